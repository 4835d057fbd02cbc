"""Reachability beside brute force: every node, link and candidate taken away or added, and all paths computed anew."""

import math
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.kernels import reach

MODES = ["probability", "hops"]
SUM = {"probability": reach.probability_sum, "hops": reach.hop_sum}
LOSS = {"probability": reach.removal_loss, "hops": reach.hops_removal_loss}
GAIN = {"probability": reach.added_gain, "hops": reach.hops_added_gain}


def all_values(count, ends, weight, mode, horizon=math.inf):
    """(n, n) exp(-shortest path) or 1 / (1 + hops), by Floyd and Warshall."""
    far = np.full((count, count), np.inf)
    np.fill_diagonal(far, 0.0)
    for (a, b), w in zip(ends, weight, strict=True):
        far[a, b] = far[b, a] = min(far[a, b], 1.0 if mode == "hops" else w)
    for k in range(count):
        far = np.minimum(far, far[:, k : k + 1] + far[k])
    values = 1 / (1 + far) if mode == "hops" else np.exp(-far)
    return np.where(far <= horizon, values, 0.0)


def brute(count, ends, weight, attribute, mode, horizon=math.inf):
    return attribute @ all_values(count, ends, weight, mode, horizon) @ attribute


@st.composite
def networks(draw):
    """Nodes of attribute 0 among them, parallel links, links without weight, and parts that nothing joins."""
    count = draw(st.integers(2, 11))
    node = st.integers(0, count - 1)
    pairs = st.tuples(node, node).filter(lambda pair: pair[0] != pair[1])
    ends = draw(st.lists(pairs, max_size=25))
    weight = draw(st.lists(st.one_of(st.just(0.0), st.floats(0.01, 3)), min_size=len(ends), max_size=len(ends)))
    attribute = draw(st.lists(st.one_of(st.just(0.0), st.floats(0.1, 10)), min_size=count, max_size=count))
    return count, np.array(ends, np.int64).reshape(-1, 2), np.array(weight), np.array(attribute)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("horizon", [math.inf, 2.0])
@settings(deadline=None, max_examples=60)
@given(network=networks())
def test_losses_are_those_of_deleting_each_node_and_link(mode, horizon, network):
    count, ends, weight, attribute = network
    graph = reach.graph(count, ends, weight)
    whole = brute(count, ends, weight, attribute, mode, horizon)
    near = {"rel": 1e-11, "abs": 1e-11 * max(whole, 1)}
    found = LOSS[mode](graph, attribute, horizon, links=len(ends))
    assert SUM[mode](graph, attribute, horizon).total == pytest.approx(whole, **near)
    assert found.total == pytest.approx(whole, **near)
    values = all_values(count, ends, weight, mode, horizon)
    for k in range(count):
        kept = (ends != k).all(axis=1)
        without = attribute.copy()
        without[k] = 0.0
        expected = whole - brute(count, ends[kept], weight[kept], without, mode, horizon)
        assert found.node[k] == pytest.approx(expected, **near)
        assert found.flux[k] == pytest.approx(2 * attribute[k] * (values[k] @ attribute - attribute[k]), **near)
    for e in range(len(ends)):
        kept = np.arange(len(ends)) != e
        expected = whole - brute(count, ends[kept], weight[kept], attribute, mode, horizon)
        assert found.link[e] == pytest.approx(expected, **near)


@settings(deadline=None, max_examples=60)
@given(network=networks(), more=st.floats(0, 2))
def test_a_link_that_gets_longer_costs_what_the_other_network_lacks(network, more):
    count, ends, weight, attribute = network
    graph = reach.graph(count, ends, weight)
    whole = brute(count, ends, weight, attribute, "probability")
    found = reach.removal_loss(graph, attribute, links=len(ends), changed_weight=weight + more).link
    for e in range(len(ends)):
        changed = weight.copy()
        changed[e] += more
        expected = whole - brute(count, ends, changed, attribute, "probability")
        assert found[e] == pytest.approx(expected, rel=1e-11, abs=1e-11 * max(whole, 1))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("horizon", [math.inf, 2.0])
@settings(deadline=None, max_examples=60)
@given(network=networks(), data=st.data())
def test_gains_are_those_of_adding_each_candidate(mode, horizon, network, data):
    count, ends, weight, attribute = network
    node = st.integers(0, count - 1)
    pair = st.tuples(node, node).filter(lambda p: p[0] != p[1])
    links = np.array(data.draw(st.lists(pair, min_size=1, max_size=4)))
    lengths = np.array(data.draw(st.lists(st.floats(0, 2), min_size=len(links), max_size=len(links))))
    if mode == "hops":
        lengths = np.ones(len(links))
    joined = data.draw(st.lists(st.lists(node, unique=True, max_size=4), min_size=1, max_size=3))
    own = np.array(data.draw(st.lists(st.floats(0, 5), min_size=len(joined), max_size=len(joined))))
    graph = reach.graph(count, ends, weight)
    whole = brute(count, ends, weight, attribute, mode, horizon)

    by_link = GAIN[mode](graph, attribute, *reach.link_candidates(links, lengths), horizon).total
    for c in range(len(links)):
        expected = brute(count, np.vstack((ends, links[c])), np.append(weight, lengths[c]), attribute, mode, horizon)
        assert by_link[c] == pytest.approx(expected - whole, rel=1e-11, abs=1e-11 * max(expected, 1))

    ptr = np.concatenate(([0], np.cumsum([len(j) for j in joined]))).astype(int)
    to = np.array([v for j in joined for v in j], int)
    steps = np.ones(len(to)) if mode == "hops" else np.linspace(0, 1.5, len(to))
    by_node = GAIN[mode](graph, attribute, own, ptr, to, steps, horizon)
    for c in range(len(joined)):
        new = np.array([[v, count] for v in joined[c]], int).reshape(-1, 2)
        expected = brute(
            count + 1,
            np.vstack((ends, new)),
            np.append(weight, steps[ptr[c] : ptr[c + 1]]),
            np.append(attribute, own[c]),
            mode,
            horizon,
        )
        assert by_node.total[c] == pytest.approx(expected - whole, rel=1e-11, abs=1e-11 * max(expected, 1))
        assert by_node.intra[c] == pytest.approx(own[c] ** 2, rel=1e-15)


def geometric(count, seed, degree=6.0):
    """Random points and the pairs of them that lie near each other, simulated."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(seed)
    at = rng.random((count, 2)) * math.sqrt(count)
    ends = cKDTree(at).query_pairs(math.sqrt(degree / math.pi), output_type="ndarray")
    weight = np.hypot(*(at[ends[:, 0]] - at[ends[:, 1]]).T) * (rng.random(len(ends)) > 0.05)
    return ends, weight, rng.lognormal(0, 1, count) * (rng.random(count) > 0.1)


@pytest.mark.parametrize("seed", range(8))
def test_what_a_horizon_hides_stays_within_the_errors(seed):
    ends, weight, attribute = geometric(70, seed, 5)
    graph = reach.graph(70, ends, weight)
    exact = reach.removal_loss(graph, attribute, links=len(ends))
    assert exact.bound == 0
    assert not exact.error.any()
    for horizon, repair in ((4.0, 2.0), (3.0, 3.0), (8.0, 1.5)):
        found = reach.removal_loss(graph, attribute, horizon, repair_horizon=repair, links=len(ends))
        small = 1e-9 * exact.total
        assert -small <= exact.total - found.total <= found.bound + small
        assert (np.abs(exact.node - found.node) <= found.error + small).all()
        assert (np.abs(exact.link - found.link) <= found.link_error + small).all()
        assert np.abs(exact.node - found.node).max() > small
        of_nodes = reach.removal_loss(graph, attribute, horizon, repair_horizon=repair)
        np.testing.assert_array_equal(of_nodes.error, found.error)
    by_hops = reach.hops_removal_loss(graph, attribute, links=len(ends))
    for hops in (2, 4):
        found = reach.hops_removal_loss(graph, attribute, hops, links=len(ends))
        assert (np.abs(by_hops.node - found.node) <= found.error + 1e-9).all()
        assert (np.abs(by_hops.link - found.link) <= found.link_error + 1e-9).all()
        assert by_hops.total - found.total <= found.bound + 1e-9


def test_what_a_horizon_hides_of_gains_stays_within_their_error():
    ends, weight, attribute = geometric(70, 1, 5)
    graph = reach.graph(70, ends, weight)
    candidates = reach.link_candidates(np.random.default_rng(2).choice(70, (40, 2)), 0.3)
    exact = reach.added_gain(graph, attribute, *candidates)
    found = reach.added_gain(graph, attribute, *candidates, 3.0)
    assert not exact.error.any()
    assert (np.abs(exact.total - found.total) <= found.error).all()


def test_results_are_the_same_to_the_last_bit_for_any_number_of_threads():
    ends, weight, attribute = geometric(300, 4)
    graph = reach.graph(300, ends, weight)
    candidates = reach.link_candidates(ends[::7] // 2 + [[0, 1]], 0.1)
    for threads in (2, 3, 5):
        for one, other in (
            [
                reach.removal_loss(graph, attribute, 5, repair_horizon=4, links=len(ends), threads=t)
                for t in (1, threads)
            ],
            [reach.hop_sum(graph, attribute, threads=t) for t in (1, threads)],
            [reach.added_gain(graph, attribute, *candidates, threads=t) for t in (1, threads)],
            [reach.betweenness(graph, attribute, pairs="probability", links=5, threads=t) for t in (1, threads)],
        ):
            assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_the_order_of_nodes_and_links_does_not_matter(mode):
    ends, weight, attribute = geometric(80, 5)
    rng = np.random.default_rng(0)
    node, link = rng.permutation(80), rng.permutation(len(ends))
    first = LOSS[mode](reach.graph(80, ends, weight), attribute, links=len(ends))
    shuffled = np.empty(80)
    shuffled[node] = attribute
    second = LOSS[mode](reach.graph(80, node[ends][link], weight[link]), shuffled, links=len(ends))
    np.testing.assert_allclose(second.connector[node], first.connector, rtol=1e-9, atol=1e-12 * first.total)
    np.testing.assert_allclose(second.link, first.link[link], rtol=1e-9, atol=1e-12 * first.total)


def test_touching_patches_are_as_one():
    """Two patches at distance 0 count as one of their summed attribute."""
    apart = reach.graph(3, [[0, 1], [1, 2]], [0.0, 1.0])
    merged = reach.graph(2, [[0, 1]], [1.0])
    found = reach.probability_sum(apart, [2.0, 3.0, 4.0]).total
    assert found == pytest.approx(reach.probability_sum(merged, [5.0, 4.0]).total, rel=1e-15)


def test_inflow_of_mere_stepping_stones_is_computed_on_request():
    graph = reach.graph(3, [[0, 1], [1, 2]], [1.0, 2.0])
    attribute = np.array([2.0, 0.0, 4.0])
    assert np.isnan(reach.probability_sum(graph, attribute).inflow[1])
    inflow = reach.probability_sum(graph, attribute, every=True).inflow
    np.testing.assert_allclose(inflow, [4 * math.exp(-3), 2 * math.exp(-1) + 4 * math.exp(-2), 2 * math.exp(-3)])


def test_parallel_links_keep_the_smallest_weight():
    graph = reach.graph(2, [[0, 1], [1, 0], [0, 1]], [3.0, 1.0, 2.0])
    assert graph.nodes == 2
    np.testing.assert_array_equal(graph.weight, [1.0, 1.0])
    np.testing.assert_array_equal(graph.link, [1, 1])
    np.testing.assert_array_equal(graph.spare, [2.0, 2.0])
    assert reach.direct_sum(graph, [1.0, 1.0]) == pytest.approx(2 * math.exp(-1))


def test_a_path_as_long_as_the_horizon_counts():
    graph = reach.graph(3, [[0, 1], [1, 2]], [0.1, 0.2])
    found = reach.probability_sum(graph, np.ones(3), 0.1 + 0.2)
    assert found.covered == 9
    assert found.bound == 0


@settings(deadline=None, max_examples=60)
@given(network=networks())
def test_path_lengths_are_those_of_networkx(network):
    count, ends, weight, _ = network
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(count))
    graph.add_weighted_edges_from((a, b, w) for (a, b), w in zip(ends.tolist(), weight, strict=True))
    for by_hops in (True, False):
        lengths = dict(nx.all_pairs_dijkstra_path_length(graph, weight=None if by_hops else "weight"))
        far = [x for s, row in lengths.items() for t, x in row.items() if s < t]
        found = reach.path_lengths(reach.graph(count, ends, weight), by_hops=by_hops)
        assert found.pairs == len(far)
        assert found.longest == pytest.approx(max(far, default=0.0))
        assert found.reciprocals == pytest.approx(sum(1 / x for x in far if x > 0))
        assert math.isnan(found.mean) if not far else found.mean == pytest.approx(np.mean(far))


@settings(deadline=None, max_examples=60)
@given(network=networks(), by_hops=st.booleans(), whole_numbers=st.booleans())
def test_betweenness_is_that_of_networkx(network, by_hops, whole_numbers):
    """Weights of whole numbers make ties; tenths make ties that rounding hides."""
    count, ends, weight, _ = network
    weight = np.ceil(weight) + 1 if whole_numbers else 0.1 * (np.ceil(weight) + 1)
    lightest = {}
    for e in np.argsort(weight, kind="stable").tolist():
        lightest.setdefault(tuple(sorted(ends[e].tolist())), e)
    graph = nx.Graph()
    graph.add_nodes_from(range(count))
    graph.add_weighted_edges_from((a, b, 1 if by_hops else round(weight[e] * 10)) for (a, b), e in lightest.items())
    node = nx.betweenness_centrality(graph, normalized=False, weight="weight")
    edge = nx.edge_betweenness_centrality(graph, normalized=False, weight="weight")
    found = reach.betweenness(reach.graph(count, ends, weight), links=len(ends), by_hops=by_hops)
    np.testing.assert_allclose(found.node, [node[i] for i in range(count)], atol=1e-9)
    for (a, b), e in lightest.items():
        assert found.link[e] == pytest.approx(edge.get((a, b), edge.get((b, a))), abs=1e-9)


@pytest.mark.parametrize(("pairs", "by_hops"), [("probability", False), ("hops", True)])
def test_betweenness_of_weighted_pairs_counts_every_shortest_path(pairs, by_hops):
    """Beside the enumeration of all shortest paths by networkx."""
    rng = np.random.default_rng(7)
    graph = nx.gnp_random_graph(14, 0.3, seed=3)
    ends = np.array(graph.edges)
    weight = rng.integers(1, 4, len(ends)) / 4.0
    nx.set_edge_attributes(graph, dict(zip(graph.edges, weight.tolist(), strict=True)), "weight")
    a = rng.random(14)
    node, edge = np.zeros(14), dict.fromkeys(graph.edges, 0.0)
    for s in range(14):
        for t in range(s + 1, 14):
            if not nx.has_path(graph, s, t):
                continue
            paths = list(nx.all_shortest_paths(graph, s, t, weight=None if by_hops else "weight"))
            length = nx.path_weight(graph, paths[0], "weight")
            value = a[s] * a[t] * (1 / len(paths[0]) if by_hops else math.exp(-length)) / len(paths)
            for path in paths:
                node[path[1:-1]] += value
                for u, v in pairwise(path):
                    edge[min(u, v), max(u, v)] += value
    kind = "hops" if by_hops else "probability"
    assert kind == pairs
    found = reach.betweenness(reach.graph(14, ends, weight), a, pairs=kind, links=len(ends), by_hops=by_hops)
    np.testing.assert_allclose(found.node, node, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.link, list(edge.values()), rtol=1e-12, atol=1e-14)


@settings(deadline=None, max_examples=60)
@given(network=networks(), seed=st.integers(0, 10))
def test_betweenness_with_links_of_no_weight_does_not_depend_on_the_order(network, seed):
    count, ends, weight, _ = network
    weight = np.where(weight < 1, 0.0, np.ceil(weight))
    node = np.random.default_rng(seed).permutation(count)
    first = reach.betweenness(reach.graph(count, ends, weight), links=len(ends))
    second = reach.betweenness(reach.graph(count, node[ends], weight), links=len(ends))
    np.testing.assert_allclose(second.node[node], first.node, atol=1e-9)
    np.testing.assert_allclose(second.link, first.link, atol=1e-9)
    # every pair that is connected at a distance passes as many shares of links as of nodes, and one more
    assert first.link.sum() == pytest.approx(first.node.sum() + reach.path_lengths(
        reach.graph(count, ends, weight)).pairs)  # fmt: skip


def test_networks_without_links_or_with_one_node_are_networks():
    for count in (1, 3):
        graph = reach.graph(count, np.zeros((0, 2), int), np.zeros(0))
        found = reach.removal_loss(graph, np.arange(1.0, count + 1))
        assert found.total == sum(i * i for i in range(1, count + 1))
        np.testing.assert_array_equal(found.node, np.arange(1.0, count + 1) ** 2)
        assert not reach.betweenness(graph).node.any()
