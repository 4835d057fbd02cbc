"""Networks that leave for other programs and come back, by the command line and in a study."""

import geopandas as gpd
import networkx as nx
import pandas as pd
import pytest
import shapely

from linkways import networks, spatial
from linkways.cli import main
from linkways.errors import LinkwaysError
from linkways.studies import check_study, load_study, run_study

SQUARES = gpd.GeoDataFrame(
    {"patch": [4, 9, 2], "area_ha": [20.5, 7.0, 1 / 3], "people": [3, 0, 12]},
    geometry=[shapely.box(x, 3e6, x + 100, 3e6 + 100) for x in (4e6, 4e6 + 600, 4e6 + 3000)],
    crs="EPSG:3035",
)
STUDY = """
linkways: 1
title: A network for other programs
inputs:
  polygons: {path: squares.gpkg}
steps:
  - {id: patches, method: networks.patches, inputs: {polygons: polygons}}
  - {id: links, method: networks.links, inputs: {patches: patches}}
  - {id: conefor, method: networks.export_conefor, inputs: {patches: patches, links: links}}
  - {id: graph, method: networks.export_graphml, inputs: {patches: patches, links: links}}
"""
BACK = """
linkways: 1
title: A network from another program
inputs:
  network: {path: network.graphml}
steps:
  - {id: read, method: networks.import_graphml, inputs: {network: network}}
  - id: worth
    method: networks.indices
    inputs: {patches: read.patches, links: read.links}
    parameters: {distance: 500}
"""


def test_the_files_for_conefor_hold_ids_attributes_and_distances_to_the_last_digit():
    files = networks.export_conefor(SQUARES, networks.links(SQUARES))
    assert files.nodes == "4\t20.5\n9\t7.0\n2\t0.3333333333333333\n"
    assert files.links == "4\t9\t500.0\n4\t2\t2900.0\n9\t2\t2300.0\n"
    with pytest.raises(LinkwaysError, match="'a' is no whole number; number the patches"):
        networks.export_conefor(SQUARES.assign(patch=list("abc")), networks.links(SQUARES))


def test_what_is_exported_to_graphml_comes_back_with_kinds_and_outlines(tmp_path):
    links = networks.links(SQUARES)
    (tmp_path / "network.graphml").write_text(networks.export_graphml(SQUARES, links), encoding="utf-8")
    found = networks.import_graphml(spatial.read_table(tmp_path / "network.graphml"))
    assert found.patches[["patch", "area_ha", "people"]].to_dict("list") == (
        SQUARES[["patch", "area_ha", "people"]].to_dict("list")
    )
    assert found.patches.people.dtype.kind == found.links.patch_a.dtype.kind == "i"
    assert found.patch_map.geometry.geom_equals(SQUARES.geometry).all()
    assert found.patch_map.crs == found.link_map.crs == SQUARES.crs
    assert not hasattr(found.patches, "crs")
    plain = networks.import_graphml(
        pd.DataFrame({"patch": ["x"], "patch_a": [None], "patch_b": [None], "area_ha": [2.0]})
    )
    assert plain.patch_map is None
    assert len(plain.links) == 0


def test_a_table_without_nodes_is_no_network():
    nothing = pd.DataFrame({"patch": [None], "patch_a": [1], "patch_b": [2]})
    with pytest.raises(LinkwaysError, match="holds no nodes"):
        networks.import_graphml(nothing)


def test_the_command_line_writes_what_conefor_and_other_programs_read(tmp_path):
    spatial.write_vectors(SQUARES, tmp_path / "patches.gpkg")
    spatial.write_vectors(networks.links(SQUARES), tmp_path / "links.gpkg")
    layers = ["--patches", str(tmp_path / "patches.gpkg"), "--links", str(tmp_path / "links.gpkg")]
    for name in ("conefor", "graphml"):
        with pytest.raises(SystemExit) as end:
            main(["networks", f"export-{name}", *layers, "--out", str(tmp_path / name)])
        assert end.value.code == 0
    back = spatial.read_conefor(*(tmp_path / "conefor" / f"export_conefor.{name}.txt" for name in ("nodes", "links")))
    assert back.nodes.patch.tolist() == [4, 9, 2]
    graph = nx.read_graphml(tmp_path / "graphml" / "export_graphml.export_graphml.graphml")
    assert sorted(graph.nodes) == ["2", "4", "9"]
    assert graph.edges["4", "9"]["distance_m"] == 500.0


def test_a_study_exports_networks_and_another_reads_them(tmp_path):
    spatial.write_vectors(SQUARES, tmp_path / "squares.gpkg")
    for name, text in (("out.yaml", STUDY), ("back.yaml", BACK)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    run_study(load_study(tmp_path / "out.yaml"), tmp_path / "run")
    files = {file.name: file for file in (tmp_path / "run" / "documents").iterdir()}
    assert set(files) == {"conefor.nodes.txt", "conefor.links.txt", "graph.export_graphml.graphml"}
    assert spatial.read_conefor(files["conefor.nodes.txt"], files["conefor.links.txt"]).links.distance_m.max() == 2900
    files["graph.export_graphml.graphml"].rename(tmp_path / "network.graphml")
    study = load_study(tmp_path / "back.yaml")
    assert check_study(study) == []
    run_study(study, tmp_path / "again")
    table = pd.read_csv(next((tmp_path / "again").rglob("*worth*indices*.csv"))).set_index("index")["value"]
    expected = networks.indices(networks.patches(polygons=SQUARES), networks.links(SQUARES), distance=500)
    assert table["EC(PC)"] == pytest.approx(expected.equivalent_connectivity, rel=1e-12)
