"""Centrality of cores and links; the published sums are Circuitscape's network tests (sgNetworkVerify 1 and 3).

Data: ../shared/data/corridors/circuitscape, see PROVENANCE.md there.
"""

import itertools

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError
from linkways.corridors.centrality import centrality, current_flow


def network(*rows, cores=None):
    """Links (core_a, core_b, cost) drawn between cores on a circle."""
    table = pd.DataFrame(rows, columns=["core_a", "core_b", "cost"])
    table.insert(0, "link", np.arange(1, len(table) + 1))
    ids = sorted({*table["core_a"], *table["core_b"]}) if cores is None else cores
    angle = np.linspace(0, 2 * np.pi, len(ids), endpoint=False)
    points = dict(zip(ids, 1e4 * np.column_stack([np.cos(angle), np.sin(angle)]), strict=True))
    lines = [shapely.LineString([points.get(a, (0, 0)), points.get(b, (0, 1))]) for a, b, _ in rows]
    links = gpd.GeoDataFrame(table, geometry=lines, crs="EPSG:3035")
    areas = [shapely.Point(points[i]).buffer(100) for i in ids]
    return links, gpd.GeoDataFrame({"core": ids}, geometry=areas, crs="EPSG:3035")


def by_hand(count, ends, conductance, focal):
    """Every pair solved on its own with a pseudo-inverse."""
    laplacian = np.zeros((count, count))
    for (a, b), c in zip(ends, conductance, strict=True):
        laplacian[[a, b], [a, b]] += c
        laplacian[[a, b], [b, a]] -= c
    inverse = np.linalg.pinv(laplacian, hermitian=True, rcond=1e-13)
    through_links, through_nodes = np.zeros(len(ends)), np.zeros(count)
    for s, t in itertools.combinations(focal, 2):
        enters = np.zeros(count)
        enters[s], enters[t] = 1, -1
        voltage = inverse @ enters
        if not np.allclose(laplacian @ voltage, enters, atol=1e-6):
            continue  # not joined
        flow = conductance * (voltage[ends[:, 0]] - voltage[ends[:, 1]])
        through_links += np.abs(flow)
        inflow, outflow = np.zeros(count), np.zeros(count)
        for (a, b), amperes in zip(ends, flow, strict=True):
            giver, taker = (a, b) if amperes > 0 else (b, a)
            outflow[giver] += abs(amperes)
            inflow[taker] += abs(amperes)
        through_nodes += np.maximum(inflow, outflow)
    return through_links, through_nodes


# --- the answer can be read off ------------------------------------------------------------------------------


def test_on_a_chain_every_pair_sends_its_ampere_through_all_links_between():
    found = centrality(*network((1, 2, 10.0), (2, 3, 500.0), (3, 4, 10.0)))
    links = found.links.set_index("link")["current_flow"]
    assert links.to_dict() == pytest.approx({1: 3, 2: 4, 3: 3})
    cores = found.cores.set_index("core")
    assert cores["current_flow"].to_dict() == pytest.approx({1: 3, 2: 5, 3: 5, 4: 3})
    assert cores["betweenness"].to_dict() == {1: 0, 2: 2, 3: 2, 4: 0}
    assert cores["links"].to_dict() == {1: 1, 2: 2, 3: 2, 4: 1}
    assert found.links["betweenness"].tolist() == found.links["current_flow"].round(9).tolist()
    assert found.links["link"].iloc[0] == 2
    assert found.links["current_flow_share"].iloc[0] == 1


def test_on_a_triangle_two_thirds_of_each_pair_take_the_direct_link():
    found = centrality(*network((1, 2, 5.0), (2, 3, 5.0), (1, 3, 5.0)))
    # 2/3 of the pair's own ampere and 1/3 of each of the two others
    assert found.links["current_flow"].tolist() == pytest.approx([4 / 3] * 3)
    assert found.cores["current_flow"].tolist() == pytest.approx([2 + 1 / 3] * 3)
    assert found.links["betweenness"].tolist() == [1, 1, 1]


def test_parallel_links_share_the_current_by_conductance():
    found = centrality(*network((1, 2, 1.0), (2, 1, 3.0)))
    assert found.links.set_index("link")["current_flow"].to_dict() == pytest.approx({1: 0.75, 2: 0.25})
    assert found.links.set_index("link")["betweenness"].to_dict() == {1: 1, 2: 0}


def test_pairs_that_no_link_joins_carry_nothing():
    found = centrality(*network((1, 2, 1.0), (3, 4, 7.0), cores=[1, 2, 3, 4, 9]))
    assert found.links["current_flow"].tolist() == pytest.approx([1, 1])
    assert found.cores.set_index("core")["current_flow"].to_dict() == pytest.approx({1: 1, 2: 1, 3: 1, 4: 1, 9: 0})


# --- properties ----------------------------------------------------------------------------------------------


@st.composite
def networks(draw):
    count = draw(st.integers(2, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    many = draw(st.integers(1, 2 * count))
    ends = np.array([rng.choice(count, 2, replace=False) for _ in range(many)])
    return count, ends, 10 ** rng.uniform(-2, 2, many)


@settings(max_examples=80, deadline=None)
@given(networks(), st.integers(0, 2**32 - 1))
def test_sums_are_those_of_solving_every_pair_on_its_own(case, seed):
    count, ends, conductance = case
    rng = np.random.default_rng(seed)
    focal = np.sort(rng.choice(count, rng.integers(2, count + 1), replace=False))
    found = current_flow(count, ends, conductance, focal)
    links, nodes = by_hand(count, ends, conductance, focal)
    np.testing.assert_allclose(found.links, links, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found.nodes, nodes, rtol=1e-8, atol=1e-8)


@settings(max_examples=30, deadline=None)
@given(networks(), st.floats(1e-6, 1e9))
def test_the_unit_of_cost_does_not_matter(case, factor):
    count, ends, conductance = case
    one = current_flow(count, ends, conductance, np.arange(count))
    two = current_flow(count, ends, conductance * factor, np.arange(count))
    np.testing.assert_allclose(one.links, two.links, rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(networks())
def test_betweenness_is_that_of_networkx(case):
    count, ends, conductance = case
    rows = [(a + 1, b + 1, 1 / c) for (a, b), c in zip(ends.tolist(), conductance, strict=True)]
    found = centrality(*network(*rows, cores=list(range(1, count + 1))))
    graph = nx.Graph()
    graph.add_nodes_from(range(1, count + 1))
    for a, b, cost in rows:
        if cost < graph.get_edge_data(a, b, {"weight": np.inf})["weight"]:
            graph.add_edge(a, b, weight=cost)
    of_links = nx.edge_betweenness_centrality(graph, normalized=False, weight="weight")
    total = found.links.groupby([found.links[["core_a", "core_b"]].min(axis=1), found.links[["core_a", "core_b"]].max(
        axis=1)])["betweenness"].sum()  # fmt: skip
    for (a, b), value in of_links.items():
        assert total[min(a, b), max(a, b)] == pytest.approx(value, abs=1e-9)
    of_cores = nx.betweenness_centrality(graph, normalized=False, weight="weight")
    ours = found.cores.set_index("core")["betweenness"]
    assert ours.to_dict() == pytest.approx(of_cores, abs=1e-9)


# --- published -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "kind"), [(1, "conductances"), (3, "resistances")])
def test_sums_equal_the_published_cumulative_currents_of_circuitscape(shared, case, kind):
    folder = shared / "data/corridors/circuitscape"
    graph = np.loadtxt(folder / f"input/network/sgNetworkVerify{case}_graph_{kind}.txt")
    focal = np.loadtxt(folder / f"input/network/sgNetworkVerify{case}_focal_nodes.txt").astype(int)
    branches = np.loadtxt(folder / f"output_verify/sgNetworkVerify{case}_branch_currents_cum.txt")
    nodes = np.loadtxt(folder / f"output_verify/sgNetworkVerify{case}_node_currents_cum.txt")
    ends = graph[:, :2].astype(int)
    conductance = graph[:, 2] if kind == "conductances" else 1 / graph[:, 2]
    found = current_flow(int(ends.max()) + 1, ends, conductance, focal)
    sums = {(min(a, b), max(a, b)): amperes for (a, b), amperes in zip(ends.tolist(), found.links, strict=True)}
    assert len(branches) > 10
    for a, b, amperes in branches:
        assert sums.pop((int(a), int(b))) == pytest.approx(amperes, abs=1e-6)
    assert list(sums.values()) == pytest.approx([0.0] * len(sums), abs=1e-6)
    expected = np.zeros(len(found.nodes))
    expected[nodes[:, 0].astype(int)] = nodes[:, 1]
    np.testing.assert_allclose(found.nodes, expected, atol=1e-6)


# --- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "cores", "words"),
    [
        ([(1, 2, 0.0)], None, r"links row 1, between cores 1 and 2, has the cost 0"),
        ([(1, 2, 1.0), (2, 3, float("nan"))], None, r"links row 2.*cost nan"),
        ([(1, 1, 5.0)], None, "joins core 1 to itself"),
        ([(1, 2, 5.0), (1, 8, 5.0)], [1, 2, 3], "names core 8, which is not among the cores"),
        ([], [1, 2], "holds no links"),
    ],
)
def test_links_that_are_no_network_are_refused(rows, cores, words):
    with pytest.raises(LinkwaysError, match=words):
        centrality(*network(*rows, cores=cores))
