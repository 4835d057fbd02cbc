"""ProtConn of region 1 of Mexico, beside values computed once with the reference tools of the field.

Nodes, distances and areas: ../shared/data/networks/conefor_ref/protconn_mex1_* (made from the protected areas and
regions of connectscape/Makurhini @ 1dc5bd3c with its node rules and exact geometry). ECA and fractions: the core of
Makurhini, which Conefor agrees with, with two of its faults mended: stepping stones beyond the border have no area
(Makurhini gives a pair of them a_i a_j = 1, so that Trans depends on the unit: 0.43 in km2), and Contig is Prot -
Within (Makurhini takes 100 - Within).
"""

import math

import numpy as np
import pandas as pd
import pytest

from linkways.policy import protconn
from linkways.policy._fractions import Network, Scale, fractions
from linkways.policy._links import Links

REGION_HA = 3708497.352
EXPECTED = {
    10.0: {
        "ECA": 145302.3961,
        "ProtConn": 3.91809356,
        "RelConn": 52.0827465,
        "ProtConn_Prot": 87.371799,
        "ProtConn_Trans": 0.412864,
        "ProtConn_Unprot": 12.215337,
        "ProtConn_Within": 85.140056,
        "ProtConn_Contig": 2.231743,
    },
    30.0: {
        "ECA": 178843.5586,
        "ProtConn": 4.82253435,
        "ProtConn_Prot": 70.985681,
        "ProtConn_Trans": 0.857118,
        "ProtConn_Unprot": 28.157201,
        "ProtConn_Within": 69.172489,
        "ProtConn_Contig": 1.813192,
    },
}


@pytest.fixture(scope="module")
def tables(shared):
    folder = shared / "data/networks/conefor_ref"
    return (
        pd.read_csv(folder / "protconn_mex1_nodes.csv"),
        pd.read_csv(folder / "protconn_mex1_distances.csv.gz"),
        pd.read_csv(folder / "protconn_mex1_undissolved.csv")["area_ha"].to_numpy(),
    )


def network(tables, unit: float = 1.0) -> Network:
    """The network with areas in hectares times ``unit``."""
    nodes, distances, single = tables
    inside = int((nodes.type == "Non-Transboundary").sum())
    assert (nodes.type[:inside] == "Non-Transboundary").all()
    links = Links(distances[["id1", "id2"]].to_numpy(np.int32) - 1, distances["edge_m"].to_numpy())
    among = links.where((links.ends < inside).all(axis=1))
    return Network(nodes.area_ha.to_numpy() * unit, inside, single * unit, REGION_HA * unit, links, among)


@pytest.mark.parametrize("kilometres", [10.0, 30.0])
def test_given_nodes_and_distances_the_index_and_its_fractions_are_those_of_the_reference(tables, kilometres):
    found = fractions(network(tables), Scale(kilometres * 1000, 0.5, 1e-250))
    for name, value in EXPECTED[kilometres].items():
        # printed with nine digits, fractions of ProtConn with six decimals; Contig is a difference of two of these
        tolerance = 1.1e-6 if "_" in name else 1e-7 * value
        assert found[name] == pytest.approx(value, abs=tolerance), name


def test_links_that_no_path_needs_change_nothing(tables):
    whole = network(tables)
    lean = Network(
        whole.area,
        whole.inside,
        whole.single,
        whole.region_area,
        whole.links.that_matter(len(whole.area)),
        whole.links_inside.that_matter(whole.inside),
    )
    assert len(lean.links) < len(whole.links) / 4
    scale = Scale(10_000.0, 0.5, 1e-250)
    assert fractions(lean, scale) == pytest.approx(fractions(whole, scale), rel=1e-12)


@pytest.mark.parametrize("unit", [1e4, 1e-2], ids=["m2", "km2"])
def test_the_share_of_stepping_stones_beyond_the_border_does_not_depend_on_the_unit(tables, unit):
    scale = Scale(10_000.0, 0.5, 1e-250)
    hectares, other = fractions(network(tables), scale), fractions(network(tables, unit), scale)
    assert other.pop("ECA") == pytest.approx(hectares.pop("ECA") * unit, rel=1e-12)
    assert other == pytest.approx(hectares, rel=1e-9, abs=1e-12)
    assert other["ProtConn_Trans"] == pytest.approx(0.412864, abs=1e-6)
    assert not math.isclose(other["ProtConn_Trans"], 0.43, abs_tol=0.01)


@pytest.fixture(scope="module")
def from_polygons(shared):
    import geopandas as gpd

    folder = shared / "data/networks/makurhini"
    areas = gpd.read_file(f"/vsigzip/{folder}/Protected_areas.gpkg.gz")
    regions = gpd.read_file(f"/vsigzip/{folder}/regions.gpkg.gz")
    return protconn(areas, regions.iloc[[0]], distances_km=[10, 30], transboundary_km=50, cutoff=1e-6)


def test_from_the_polygons_the_indicators_are_those_of_the_reference(from_polygons):
    table = from_polygons.fractions.set_index("distance_km")
    for kilometres, expected in EXPECTED.items():
        for name, value in expected.items():
            column = "ECA_km2" if name == "ECA" else name
            wanted = value / 100 if name == "ECA" else value
            assert table.loc[kilometres, column] == pytest.approx(wanted, rel=1e-3), name
    assert from_polygons.prot == pytest.approx(7.5228, abs=5e-5)  # stored with the data, as in Makurhini's vignette


def test_from_the_polygons_the_nodes_are_those_of_the_reference(tables, from_polygons):
    nodes, _, _ = tables
    expected = np.sort(nodes.area_ha[nodes.type == "Non-Transboundary"]) / 100
    inside = from_polygons.nodes[~from_polygons.nodes.beyond_border]
    np.testing.assert_allclose(np.sort(inside.area_km2), expected, rtol=1e-9)


def test_importance_of_nodes_is_what_the_index_loses_without_them(tables):
    """Each node taken out by hand and the index computed again."""
    from linkways.policy._fractions import node_deltas

    whole = network(tables)
    scale = Scale(10_000.0, 0.5, 1e-250)
    lost, points = node_deltas(whole, whole.links.that_matter(len(whole.area), one_node_may_go=True), scale)
    index = fractions(whole, scale)["ProtConn"]
    for k in [*np.argsort(-lost)[:5], 3, 100]:
        rest = np.arange(len(whole.area)) != k
        place = np.cumsum(rest) - 1
        links = whole.links.where((whole.links.ends != k).all(axis=1))
        links = Links(place[links.ends], links.metres)
        inside = int(rest[: whole.inside].sum())
        without = Network(
            whole.area[rest], inside, whole.single, whole.region_area, links, links.where((links.ends < inside).all(1))
        )
        less = index - fractions(without, scale)["ProtConn"]
        assert points[k] == pytest.approx(less, rel=1e-8, abs=1e-12)
        assert lost[k] == pytest.approx(100 * less / index, rel=1e-8, abs=1e-10)
