"""Conefor files and GraphML: what is written comes back, what cannot be meant is refused."""

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import shapely

from linkways import networks, spatial
from linkways.errors import LinkwaysError

NODES = pd.DataFrame({"patch": [3, 1, 7], "attribute": [0.1, 1 / 3, 2.5e7]})
LINKS = pd.DataFrame({"patch_a": [3, 1], "patch_b": [1, 7], "distance_m": [1e-9, 123456.789012345]})


def write(folder, nodes, links):
    paths = folder / "nodes.txt", folder / "links.txt"
    for path, text in zip(paths, (nodes, links), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


# --- Conefor -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", ["\t", " ", "   "])
def test_conefor_files_are_lists_without_header_separated_by_any_blanks(tmp_path, blank):
    nodes, links = (text.replace(" ", blank) for text in ("1 20.5\n2 7\n5 0\n", "1 2 350.5\n5 2 0\n"))
    graph = spatial.read_conefor(*write(tmp_path, nodes, links))
    pd.testing.assert_frame_equal(graph.nodes, pd.DataFrame({"patch": [1, 2, 5], "attribute": [20.5, 7.0, 0.0]}))
    expected = pd.DataFrame({"patch_a": [1, 2], "patch_b": [2, 5], "distance_m": [350.5, 0.0]})
    pd.testing.assert_frame_equal(graph.links, expected)


def test_conefor_files_that_are_written_come_back_to_the_last_digit(tmp_path):
    paths = tmp_path / "nodes.txt", tmp_path / "links.txt"
    spatial.write_conefor(NODES, LINKS, *paths)
    assert paths[0].read_text() == "3\t0.1\n1\t0.3333333333333333\n7\t25000000.0\n"
    graph = spatial.read_conefor(*paths)
    pd.testing.assert_frame_equal(graph.nodes, NODES)
    assert graph.links.distance_m.tolist() == LINKS.distance_m.tolist()
    assert [{a, b} for a, b in zip(graph.links.patch_a, graph.links.patch_b, strict=True)] == [{1, 3}, {1, 7}]


def test_a_third_column_of_nodes_tells_which_patches_exist(tmp_path):
    graph = spatial.read_conefor(*write(tmp_path, "1 20 1\n2 7 0\n", "1 2 0.25\n"), weight="probability")
    assert graph.nodes.exists.tolist() == [True, False]
    assert graph.links.probability.tolist() == [0.25]
    spatial.write_conefor(graph.nodes, graph.links, tmp_path / "again.txt", tmp_path / "links_again.txt")
    assert (tmp_path / "again.txt").read_text() == "1\t20.0\t1\n2\t7.0\t0\n"


def test_pairs_listed_in_both_directions_are_one_link_with_a_note(tmp_path):
    with spatial.recording() as notes:
        graph = spatial.read_conefor(*write(tmp_path, "1 1\n2 1\n", "1 2 5\n2 1 5\n"))
    assert len(graph.links) == 1
    assert notes == ["connection file: 1 pairs listed in both directions taken once"]


@pytest.mark.parametrize(
    ("nodes", "links", "weight", "message"),
    [
        ("1 2\n", "1 2 3 4\n", "cost", "connection file has 4 columns"),
        ("1 2 1 1\n", "1 2 3\n", "cost", "node file has 4 columns"),
        ("1 -2\n", "1 1 3\n", "cost", "row 1: attribute is -2 but must be a number of 0 or more"),
        ("1 2\n1 3\n", "1 1 3\n", "cost", "the id 1 stands twice"),
        ("1.5 2\n", "1 1 3\n", "cost", "row 1: .*1.5.* is no whole number"),
        ("1 2\n2 2\n", "1 2 3\n1 3 4\n", "cost", "row 2: 3 is not in the node file"),
        ("1 2\n2 2\n", "1 1 3\n", "cost", "row 1 joins 1 to itself"),
        ("1 2\n2 2\n", "1 2 3\n2 1 4\n", "cost", "the pair 1 and 2 stands there with two weights"),
        ("1 2\n2 2\n", "1 2 3\n", "probability", "row 1: 3 is no probability"),
        ("1 2\n2 2\n", "1 2 -3\n", "cost", "third column is -3"),
        ("1 2 0.5\n2 2 1\n", "1 2 3\n", "cost", "third column is 0.5 but must be 0 or 1"),
        ("1 2,5\n2 2,5\n", "1 2 3\n", "cost", "decimal commas"),
        ("", "1 2 3\n", "cost", "cannot read"),
    ],
)
def test_conefor_files_that_cannot_be_meant_are_refused(tmp_path, nodes, links, weight, message):
    with pytest.raises(LinkwaysError, match=message):
        spatial.read_conefor(*write(tmp_path, nodes, links), weight=weight)


@pytest.mark.parametrize(
    ("nodes", "links", "given", "message"),
    [
        (NODES.assign(patch=["a", "b", "c"]), LINKS, {}, "'a' is no whole number; number the patches"),
        (NODES.drop(columns="attribute"), LINKS, {}, "nodes has no column 'attribute'"),
        (NODES, LINKS.drop(columns="distance_m"), {}, "links has no weight"),
        (NODES, LINKS.assign(cost=1.0), {}, "links has several weights .distance_m, cost."),
        (NODES, LINKS, {"weight": "cost"}, "links has no column 'cost'"),
        (NODES.assign(attribute=-1.0), LINKS, {}, "attribute is -1.0 but must be"),
    ],
)
def test_networks_that_conefor_cannot_hold_are_refused_and_nothing_is_written(tmp_path, nodes, links, given, message):
    with pytest.raises(LinkwaysError, match=message):
        spatial.write_conefor(nodes, links, tmp_path / "n.txt", tmp_path / "l.txt", **given)
    assert not list(tmp_path.iterdir())


def test_when_one_file_cannot_be_written_the_other_is_not_left_either(tmp_path):
    with pytest.raises(LinkwaysError, match="does not exist"):
        spatial.write_conefor(NODES, LINKS, tmp_path / "n.txt", tmp_path / "missing" / "l.txt")
    assert not list(tmp_path.iterdir())


def test_text_tables_may_have_a_header(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("patch area\n1 2.5\n2 3\n", encoding="utf-8")
    pd.testing.assert_frame_equal(spatial.read_table(path), pd.DataFrame({"patch": [1, 2], "area": [2.5, 3.0]}))
    path.write_text("1 2.5\n2 3\n", encoding="utf-8")
    assert spatial.read_table(path).columns.tolist() == ["column_1", "column_2"]
    with pytest.raises(LinkwaysError, match="cannot tell the format"):
        spatial.write_table(NODES, path)


def test_conefor_files_are_inputs_of_a_method():
    found = networks.import_conefor(NODES, LINKS.assign(distance_m=[0.5, 0.1]), weight="probability")
    assert found.links.probability.tolist() == [0.5, 0.1]
    assert found.patches.patch.tolist() == [3, 1, 7]


# --- GraphML -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    shapes = [shapely.box(x, 0, x + 200, 200).difference(shapely.box(x + 50, 50, x + 70, 70)) for x in (0, 500, 2000)]
    layer = gpd.GeoDataFrame({"name": ["north", "south", None]}, geometry=shapes, crs="EPSG:3035")
    patches = networks.patches(polygons=layer)
    return patches, networks.links(patches)


def test_a_network_written_as_graphml_comes_back_with_its_geometries(network, tmp_path):
    patches, links = network
    spatial.write_graphml(patches, links, tmp_path / "net.graphml")
    again = spatial.read_graphml(tmp_path / "net.graphml")
    assert again.nodes.patch.tolist() == [1, 2, 3]
    assert again.nodes.area_ha.tolist() == patches.area_ha.tolist()
    assert again.nodes.name.tolist()[:2] == ["north", "south"]
    assert again.links.patch_a.tolist() == links.patch_a.tolist()
    assert again.links.distance_m.tolist() == links.distance_m.tolist()
    assert again.nodes.crs == again.links.crs == patches.crs
    assert shapely.equals(again.nodes.geometry.to_numpy(), patches.geometry.to_numpy()).all()
    assert shapely.equals(again.links.geometry.to_numpy(), links.geometry.to_numpy()).all()


def test_other_programs_find_nodes_edges_and_a_point_inside_each_patch(network, tmp_path):
    patches, links = network
    spatial.write_graphml(patches, links, tmp_path / "net.graphml", geometry=False)
    graph = nx.read_graphml(tmp_path / "net.graphml")
    assert sorted(graph.nodes) == ["1", "2", "3"]
    assert graph.edges["1", "2"]["distance_m"] == links.distance_m[0]
    assert graph.graph["crs"] == "EPSG:3035"
    for patch, shape in zip(patches.patch, patches.geometry, strict=True):
        node = graph.nodes[str(patch)]
        assert shape.contains(shapely.Point(node["x"], node["y"]))
        assert "geometry_wkt" not in node


def test_tables_without_geometry_and_patches_with_names_are_kept(tmp_path):
    nodes = pd.DataFrame({"patch": ["b", "a"], "exists": [True, False], "attribute": [1.5, np.nan]})
    links = pd.DataFrame({"patch_a": ["b"], "patch_b": ["a"], "cost": [7]})
    spatial.write_graphml(nodes, links, tmp_path / "net.graphml")
    again = spatial.read_graphml(tmp_path / "net.graphml")
    pd.testing.assert_frame_equal(again.nodes, nodes)
    pd.testing.assert_frame_equal(again.links[["patch_a", "patch_b", "cost"]], links)


def test_graphml_of_other_programs_is_read_with_numbered_patches_and_without_direction(tmp_path):
    graph = nx.DiGraph()
    graph.add_node("2", area=5.0)
    graph.add_node("10", area=6.0)
    graph.add_edge("10", "2", distance_m=3.0)
    graph.add_edge("2", "10", distance_m=3.0)
    nx.write_graphml_xml(graph, tmp_path / "theirs.graphml")
    found = spatial.read_graphml(tmp_path / "theirs.graphml")
    assert found.nodes.patch.tolist() == [2, 10]
    assert found.links.values.tolist() == [[2, 10, 3.0]]
    graph.edges["2", "10"]["distance_m"] = 4.0
    nx.write_graphml_xml(graph, tmp_path / "theirs.graphml")
    with pytest.raises(LinkwaysError, match="the pair 2 and 10 stands there with two weights"):
        spatial.read_graphml(tmp_path / "theirs.graphml")


def test_a_network_without_links_is_read(tmp_path):
    nx.write_graphml_xml(nx.empty_graph(2), tmp_path / "net.graphml")
    found = spatial.read_graphml(tmp_path / "net.graphml")
    assert found.links.columns.tolist() == ["patch_a", "patch_b"]
    assert len(found.links) == 0


@pytest.mark.parametrize("text", ["", "not xml", "<html></html>", '<?xml version="1.0"?><graphml></graphml>'])
def test_what_is_no_graphml_is_refused(tmp_path, text):
    path = tmp_path / "net.graphml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LinkwaysError, match=r"as GraphML|holds no nodes"):
        spatial.read_graphml(path)


def test_graphml_that_cannot_be_meant_is_refused(network, tmp_path):
    patches, links = network
    with pytest.raises(LinkwaysError, match="patch 3 is not among the nodes"):
        spatial.write_graphml(patches[:2], links, tmp_path / "net.graphml")
    with pytest.raises(LinkwaysError, match="cannot tell the format"):
        spatial.write_graphml(patches, links, tmp_path / "net.xml")
    with pytest.raises(LinkwaysError, match="no network at"):
        spatial.read_graphml(tmp_path / "nett.graphml")
    assert not list(tmp_path.iterdir())
