"""Networks built from published river data agree with what their sources say about them."""

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import shapely

from linkways.rivers import connectivity, network


def yamaska(shared, **given):
    layers = [
        gpd.read_file(shared / "data/rivers/yamaska/yamaska.gpkg", layer=n) for n in ("rivers", "barriers", "outlet")
    ]
    return network(*layers, **given)


def dcip_by_pairs(reaches, barriers, column):
    """DCIp from all pairs of fragments, without the room's arrays: lengths, and products of passability on the way."""
    down = reaches.set_index("reach")["down"]
    graph = nx.Graph()
    graph.add_nodes_from(down.index)
    passes = barriers.groupby("reach")[column].prod()
    for reach, below in down[down >= 0].items():
        graph.add_edge(reach, below, passes=passes.get(reach, 1.0))
    free = nx.subgraph_view(graph, filter_edge=lambda a, b: graph[a][b]["passes"] == 1.0)
    fragment = {reach: k for k, part in enumerate(nx.connected_components(free)) for reach in part}
    length = reaches["length_m"].groupby(reaches["reach"].map(fragment)).sum()
    joined = nx.Graph()
    joined.add_nodes_from(length.index)
    joined.add_weighted_edges_from(
        (fragment[a], fragment[b], -np.log(d["passes"])) for a, b, d in graph.edges(data=True) if d["passes"] < 1.0
    )
    total = sum(
        length[a] * length[b] * np.exp(-away)
        for a, others in nx.all_pairs_dijkstra_path_length(joined)
        for b, away in others.items()
    )
    return 100 * total / length.sum() ** 2


def test_yamaska_from_raw_lines_has_the_dcip_of_the_published_clean_network(shared):
    """The package dci cleans these lines by the same rule: of the arms of a loop the longer line stays.

    Its cleaned network has DCIp 57.646852861 (an edge belongs to the fragment of its inside); repairs differ in detail.
    """
    found = yamaska(shared, passability_column="pass_1", loops="cut", main_column="riv_length")
    assert (found.basins_count, found.fragments_count, found.barriers_count) == (1, 15, 14)
    assert found.length_m + found.length_cut_m == pytest.approx(299001.460496, abs=1e-3)
    by_pairs = dcip_by_pairs(found.reaches, found.barriers, "passability")
    assert by_pairs == pytest.approx(57.646852861, rel=0.01)
    assert connectivity(found.reaches, found.barriers).dcip == pytest.approx(by_pairs, rel=1e-10)


def test_yamaska_keeps_its_loops_and_says_which_barriers_they_lead_round(shared):
    """26 lines more than a tree; barriers on loops are those on no bridge of the graph of ends rounded to 1 cm."""
    found = yamaska(shared, passability_column="pass_1")
    lines = gpd.read_file(shared / "data/rivers/yamaska/yamaska.gpkg", layer="rivers").geometry
    graph = nx.MultiGraph((*(tuple(np.round(g.coords[k], 2)) for k in (0, -1)), i) for i, g in enumerate(lines))
    assert found.side_channels_count == graph.number_of_edges() - graph.number_of_nodes() + 1 == 26
    single = nx.Graph(graph)
    bridges = {i for a, b in nx.bridges(single) if graph.number_of_edges(a, b) == 1 for i in graph[a][b]}
    assert found.reaches.loc[~found.reaches["on_loop"], "line"].tolist() == sorted(bridges)
    assert found.length_cut_m == 0


@pytest.fixture(scope="module")
def ebro(shared):
    return gpd.read_file(shared / "data/rivers/ebro_hydrorivers/ebro_hydrorivers.gpkg")


@pytest.mark.parametrize("topology", ["columns", "geometry"])
def test_the_ebro_of_hydrorivers_has_its_orders_areas_and_distances(ebro, topology):
    """HydroRIVERS 1.1 (Lehner and Grill, 2013): ORD_STRA, UPLAND_SKM and DIST_DN_KM are its own columns."""
    found = network(ebro, topology=topology, mouths="separate").reaches
    assert found["line"].tolist() == list(range(5021))
    assert (found["down"] < 0).sum() == found["basin"].nunique() == 8
    assert (found["strahler"] == ebro["ORD_STRA"]).all()
    ids = dict(zip(ebro["HYRIV_ID"], range(5021), strict=True))
    assert found["down"].tolist() == [ids.get(k, -1) for k in ebro["NEXT_DOWN"]]
    order = found["to_outlet_m"].argsort()[::-1]
    area = ebro["CATCH_SKM"].to_numpy().copy()
    for reach in order:
        if found["down"].iloc[reach] >= 0:
            area[found["down"].iloc[reach]] += area[reach]
    # its own columns are rounded: 7.1 km2 of 85,000 at most
    assert np.abs(area - ebro["UPLAND_SKM"]).max() < 7.1
    assert np.abs(found["length_m"] / 1000 - ebro["LENGTH_KM"]).max() < 0.05
    # DIST_DN_KM counts from the lower end too; its lengths and ours differ by up to a few kilometres in 900
    assert np.abs(found["to_outlet_m"] / 1000 - ebro["DIST_DN_KM"]).max() < 20


@pytest.fixture(scope="module")
def new_hope(shared):
    return gpd.read_file(shared / "data/rivers/nhdplus_new_hope/new_hope.gpkg")


def test_new_hope_creek_of_nhdplus_has_its_path_lengths(new_hope):
    """NHDPlusV2: Pathlength is the sum of LENGTHKM below a line along main paths, here for all 746 lines."""
    found = network(new_hope).reaches
    down, km = found["down"].to_numpy(), new_hope["LENGTHKM"].to_numpy()
    path = np.zeros(746)
    for reach in np.argsort(new_hope["Hydroseq"].to_numpy()):
        if down[reach] >= 0:
            path[reach] = path[down[reach]] + km[down[reach]]
    outlet = int(np.flatnonzero(down < 0)[0])
    # the data set is part of a larger river: its path lengths go on to the sea
    expected = new_hope["Pathlength"].to_numpy() - new_hope["Pathlength"].to_numpy()[outlet]
    np.testing.assert_allclose(path, expected, atol=1e-6)


def test_new_hope_creek_of_nhdplus_has_its_areas_counted_once_round_loops(new_hope):
    """TotDASqKM is the area of all lines upstream, each once, a side channel draining what its main channel does."""
    found = network(new_hope).reaches
    down, side_of = found["down"].to_numpy(), found["side_of"].to_numpy()
    graph = nx.DiGraph()
    graph.add_nodes_from(range(746))
    graph.add_edges_from((i, int(d)) for i, d in enumerate(down) if d >= 0)
    for side in np.flatnonzero(side_of >= 0):
        # what flows into the main channel at the divergence flows into the side channel too
        main = side_of[side]
        graph.add_edges_from((i, int(side)) for i in np.flatnonzero(down == main))
    area = new_hope["AreaSqKM"].to_numpy()
    total = [area[[i, *nx.ancestors(graph, i)]].sum() for i in range(746)]
    np.testing.assert_allclose(total, new_hope["TotDASqKM"], atol=1e-6)


def test_new_hope_creek_from_its_lines_alone_has_the_same_divergences(new_hope):
    """84 lines are minor paths by the column Divergence; the graph of line ends has as many independent loops."""
    found = network(new_hope, topology="geometry")
    assert found.side_channels_count == (new_hope["Divergence"] == 2).sum() == 84
    assert found.basins_count == 1
    assert not (found.repairs["kind"] == "line turned round").any()


def test_the_rivers_of_europe_build_from_their_lines(shared):
    """EFAS network (ECMWF): 253,105 lines, 3,356 outlets, 1,475,087 km; the Danube has 32,003 lines."""
    nodes = pd.read_parquet(shared / "data/platform/efas_river_network_europe.parquet")
    below = nodes["down"].to_numpy()
    upper = np.flatnonzero(below >= 0)
    xy = nodes[["lon", "lat"]].to_numpy(dtype=float)
    lines = gpd.GeoDataFrame(geometry=shapely.linestrings(np.stack([xy[upper], xy[below[upper]]], axis=1)), crs=4326)
    found = network(lines)
    assert found.basins_count == 3356
    assert found.side_channels_count == 0
    assert found.length_m == pytest.approx(1_475_087e3, rel=1e-6)
    own = found.reaches.drop_duplicates("line")
    assert own["basin"].value_counts().head(3).tolist() == [32_003, 13_775, 11_344]
    # every line flows into the line that leaves the node where it ends, or out at an outlet
    row = np.full(len(nodes), -1)
    row[upper] = np.arange(len(upper))
    line, down = found.reaches["line"].to_numpy(), found.reaches["down"].to_numpy()
    leaves = (down < 0) | (line[down] != line)
    to = np.where(down[leaves] < 0, -1, line[down[leaves]])
    from_ = line[leaves]
    stub = row[below[upper[from_]]] < 0
    np.testing.assert_array_equal(to[~stub], row[below[upper[from_[~stub]]]])
    ends = below[upper]
    assert (ends[from_[stub & (to >= 0)]] == ends[to[stub & (to >= 0)]]).all()
