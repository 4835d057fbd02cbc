"""Measures of larval networks beside networkx, numpy's dense eigenvalues, brute force and hand-made networks."""

from itertools import combinations

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError
from linkways.planning import select
from linkways.seas import connectivity, metrics


def square(values, names=None):
    values = np.asarray(values, dtype=float)
    names = [f"s{i}" for i in range(len(values))] if names is None else list(names)
    return pd.DataFrame(values, index=names, columns=names)


def random_matrix(seed, n, linked=0.4, own=True):
    """Probabilities of a random network whose rows sum to less than 1."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.01, 1, (n, n)) * (rng.random((n, n)) < linked)
    if not own:
        np.fill_diagonal(values, 0)
    return values / np.maximum(values.sum(axis=1, keepdims=True) / rng.uniform(0.2, 0.99, (n, 1)), 1e-9)


def graph_of(values, own=False):
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(values)))
    for i, j in np.argwhere(values > 0):
        if own or i != j:
            graph.add_edge(int(i), int(j), weight=float(values[i, j]), length=float(-np.log(values[i, j])))
    return graph


networks = st.builds(
    random_matrix, st.integers(0, 2**32 - 1), st.integers(2, 12), st.sampled_from([0.15, 0.4, 1.0]), st.booleans()
)


# --- beside networkx -------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(networks)
def test_degree_strength_and_betweenness_are_those_of_networkx(values):
    found = metrics(square(values), lost_sites=0).sites
    graph = graph_of(values)
    n = len(values)
    assert found.in_degree.tolist() == [graph.in_degree(i) for i in range(n)]
    assert found.out_degree.tolist() == [graph.out_degree(i) for i in range(n)]
    assert found.in_strength.tolist() == pytest.approx([graph.in_degree(i, "weight") for i in range(n)])
    assert found.out_strength.tolist() == pytest.approx([graph.out_degree(i, "weight") for i in range(n)])
    hops = nx.betweenness_centrality(graph, normalized=False)
    assert found.betweenness.tolist() == pytest.approx([hops[i] for i in range(n)], abs=1e-9)
    likely = nx.betweenness_centrality(graph, normalized=False, weight="length")
    assert found.betweenness_probability.tolist() == pytest.approx([likely[i] for i in range(n)], abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(networks, st.sampled_from([0.5, 0.85, 0.99]))
def test_pagerank_is_that_of_networkx_and_the_stationary_distribution_of_the_google_matrix(values, damping):
    found = metrics(square(values), damping=damping, lost_sites=0)
    expected = nx.pagerank(graph_of(values, own=True), alpha=damping, tol=1e-14, max_iter=20_000)
    rank = found.sites.pagerank.to_numpy()
    assert rank == pytest.approx([expected[i] for i in range(len(values))], abs=1e-10)
    assert rank.sum() == pytest.approx(1, abs=1e-13)
    n = len(values)
    google = np.where(values.sum(axis=1, keepdims=True) > 0, found.google_jump, 1 / n) * np.ones((n, n))
    for row in found.google.itertuples():
        google[int(row.source[1:]), int(row.sink[1:])] = row.google
    assert google.sum(axis=1) == pytest.approx(np.ones(n))
    assert rank @ google == pytest.approx(rank, abs=1e-13)


def test_ties_of_probable_paths_are_shared():
    # s0 reaches s3 over s1 or s2, and the products differ by rounding only
    values = np.zeros((4, 4))
    values[0, 1], values[1, 3], values[0, 2], values[2, 3] = 0.1, 0.3, 0.3, 0.1
    found = metrics(square(values)).sites
    assert found.betweenness_probability.tolist() == [0, 0.5, 0.5, 0]


def test_a_sure_link_is_a_link_of_the_most_probable_path():
    values = np.zeros((3, 3))
    values[0, 1], values[1, 2] = 1.0, 1.0
    assert metrics(square(values)).sites.betweenness_probability.tolist() == [0, 1, 0]


def test_sampled_sources_estimate_the_betweenness_without_bias():
    """The estimates from parts of the sources, weighted by their sizes, make up the whole."""
    from scipy.sparse import csr_array

    from linkways.seas._metrics_network import betweenness, without_own

    values = random_matrix(3, 15, 0.3)
    whole = metrics(square(values), lost_sites=0).sites
    links = without_own(csr_array(values))
    for by_probability, column in ((False, "betweenness"), (True, "betweenness_probability")):
        parts = np.split(np.random.default_rng(1).permutation(15), [4, 9])
        found = [betweenness(links, by_probability=by_probability, sources=p) * len(p) / 15 for p in parts]
        assert sum(found) == pytest.approx(whole[column].to_numpy(), abs=1e-9)
    sampled = metrics(square(values), betweenness_sources=5, lost_sites=0).sites.betweenness
    assert not np.allclose(sampled, whole.betweenness)


def test_links_below_the_least_probability_count_for_no_degree():
    values = [[0, 0.5, 0.01], [0.01, 0, 0.3], [0, 0, 0]]
    found = metrics(square(values), least=0.1).sites
    assert found.out_degree.tolist() == [1, 1, 0]
    assert found.out_strength.tolist() == pytest.approx([0.51, 0.31, 0])


def test_clusters_are_groups_that_exchange_little():
    values = np.full((6, 6), 0.001)
    values[:3, :3] = values[3:, 3:] = 0.2
    found = metrics(square(values))
    assert found.sites.cluster.tolist() == [1, 1, 1, 2, 2, 2]
    assert found.clusters.inside.tolist() == pytest.approx([1.8, 1.8])
    assert found.clusters.kept.tolist() == pytest.approx([1.8 / 1.809] * 2)


@settings(max_examples=15, deadline=None)
@given(networks)
def test_the_modularity_told_is_that_of_networkx_for_the_same_clusters(values):
    found = metrics(square(values), lost_sites=0)
    graph = graph_of(values)
    if graph.number_of_edges():
        groups = [set(np.flatnonzero(found.sites.cluster == k)) for k in found.clusters.cluster]
        assert found.modularity == pytest.approx(nx.community.modularity(graph, groups), abs=1e-9)


def test_a_migration_matrix_has_no_eigenvector_to_tell_but_its_flow_has():
    """Columns that sum to 1 make the eigenvector 1 everywhere; the flow behind them does not."""
    flow = random_matrix(1, 6, 1.0) * np.arange(1, 7)[:, None]
    migration = flow / flow.sum(axis=0)
    sites = pd.DataFrame({"site": [f"s{i}" for i in range(6)], "recruits": flow.sum(axis=0)})
    found = metrics(square(migration), sites, kind="migration").sites.eigenvector.to_numpy()
    values, vectors = np.linalg.eig(flow.T)
    expected = np.abs(vectors[:, values.real.argmax()].real)
    assert found == pytest.approx(expected / expected.max())
    assert np.ptp(found) > 0.05


# --- persistence -----------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(networks, st.floats(0.1, 50))
def test_lambda_is_the_spectral_radius_and_scales_with_recruits(values, recruits):
    found = metrics(square(values), recruits_per_recruit=recruits, lost_sites=0)
    expected = np.abs(np.linalg.eigvals(values)).max()
    # eigenvalues of matrices without cycles are zero, which dense solvers tell to the root of rounding only
    assert found.lambda_all == pytest.approx(recruits * expected, rel=1e-7, abs=recruits * 1e-2 * (expected < 1e-2))
    if found.lambda_all > 0:
        assert found.critical_recruits * found.lambda_all == pytest.approx(recruits)
        rate = metrics(square(values), recruits_per_recruit=found.critical_recruits, lost_sites=0)
        assert rate.persistence.persists[0]


def test_sites_that_keep_all_their_larvae_grow_by_their_recruits():
    found = metrics(square(np.eye(5)), recruits_per_recruit=1.5)
    assert found.lambda_all == pytest.approx(1.5)
    assert found.minimum_sites == 1
    assert found.sites.own_lambda.tolist() == [1.5] * 5


def test_larvae_that_only_flow_one_way_cannot_persist():
    found = metrics(square(np.diag([0.9, 0.9, 0.9], k=1)), recruits_per_recruit=100)
    assert found.lambda_all == 0
    assert found.critical_recruits == np.inf
    assert not found.persistence.persists.any()
    assert np.isnan(found.minimum_sites)
    assert len(found.minimum_sets) == 0


def test_parts_that_exchange_nothing_grow_as_the_faster_of_them():
    one, other = random_matrix(1, 4, 1.0), random_matrix(2, 5, 1.0)
    both = np.zeros((9, 9))
    both[:4, :4], both[4:, 4:] = one, other
    rates = [metrics(square(m)).lambda_all for m in (one, other, both)]
    assert rates[2] == pytest.approx(max(rates[:2]))


def test_sites_that_take_turns_persist_too():
    # all larvae of s0 settle in s1 and back: the eigenvalues are 1 and -1
    found = metrics(square([[0, 1], [1, 0]]), recruits_per_recruit=1)
    assert found.lambda_all == pytest.approx(1)
    assert found.persistence.persists[0]


@settings(max_examples=25, deadline=None)
@given(networks)
def test_vectors_and_contributions_are_those_of_the_dense_eigenproblem(values):
    values = values + 0.02 * (1 - values.sum(axis=1, keepdims=True)) / len(values)  # all sites feed each other
    found = metrics(square(values), lost_sites=0)
    rates, right = np.linalg.eig(values)
    left_rates, left = np.linalg.eig(values.T)
    w, v = (np.abs(m[:, r.real.argmax()].real) for m, r in ((right, rates), (left, left_rates)))
    assert found.sites.settler_value.to_numpy() == pytest.approx(w / w.sum(), abs=1e-8)
    assert found.sites.settler_share.to_numpy() == pytest.approx(v / v.sum(), abs=1e-8)
    assert found.sites.contribution.to_numpy() == pytest.approx(v * w / (v @ w), abs=1e-8)


@settings(max_examples=15, deadline=None)
@given(networks)
def test_exact_losses_are_those_of_the_matrix_without_the_site(values):
    found = metrics(square(values), exact_losses=True, lost_sites=0)
    whole = np.abs(np.linalg.eigvals(values)).max()
    if whole < 1e-2:
        return
    for i in range(len(values)):
        rest = np.delete(np.delete(values, i, 0), i, 1)
        expected = whole - np.abs(np.linalg.eigvals(rest)).max()
        assert found.sites.lambda_loss[i] == pytest.approx(expected, abs=1e-3 if whole - expected < 1e-2 else 1e-8)


def test_first_order_losses_tell_small_losses_well():
    """A site's entries shrunk by 1e-4 change the rate as the first order foretells."""
    values = random_matrix(7, 6, 1.0)
    found = metrics(square(values))
    whole = np.abs(np.linalg.eigvals(values)).max()
    for i in range(6):
        less = values.copy()
        keep = less[i, i]
        less[i] *= 1 - 1e-4
        less[:, i] *= 1 - 1e-4
        less[i, i] = keep * (1 - 1e-4)
        drop = (whole - np.abs(np.linalg.eigvals(less)).max()) / 1e-4
        assert found.sites.lambda_loss[i] == pytest.approx(drop, rel=1e-3)


def test_lambda_with_and_without_reserves_and_lost_sites_is_that_of_the_matrices_behind():
    values = random_matrix(11, 8, 0.6)
    selected = np.array([1, 0, 1, 0.5, 0, 1, 0, 0])
    lost = np.array([False] * 7 + [True])
    lost[0] = True
    names = [f"s{i}" for i in range(8)]
    sites = pd.DataFrame({"site": names, "selected": selected, "lost": lost})
    found = metrics(square(values), sites, recruits_per_recruit=5, fished=0.2)
    rates = dict(zip(found.persistence.scenario, found.persistence["lambda"], strict=True))

    def rate(reproduction):
        return 5 * np.abs(np.linalg.eigvals(np.asarray(reproduction, dtype=float)[:, None] * values)).max()

    mixed = selected + (1 - selected) * 0.2
    assert rates["all protected"] == pytest.approx(rate(np.ones(8)))
    assert rates["no reserves"] == pytest.approx(rate(np.full(8, 0.2)))
    assert rates["reserves alone"] == pytest.approx(rate(selected))
    assert rates["reserves and fished sites"] == pytest.approx(rate(mixed))
    assert rates["all protected, without lost sites"] == pytest.approx(rate(~lost))
    assert rates["reserves and fished sites, without lost sites"] == pytest.approx(rate(mixed * ~lost))
    assert found.lambda_reserves == rates["reserves alone"]
    assert found.lambda_fished == rates["no reserves"]


def test_recruits_may_differ_among_sites():
    values = random_matrix(12, 5, 1.0)
    recruits = np.array([1.0, 8, 3, 2, 5])
    sites = pd.DataFrame({"site": [f"s{i}" for i in range(5)], "recruits_per_recruit": recruits})
    found = metrics(square(values), sites)
    assert found.lambda_all == pytest.approx(np.abs(np.linalg.eigvals(recruits[:, None] * values)).max())


def test_sites_lost_one_by_one_leave_the_rate_of_what_is_left():
    values = random_matrix(13, 8, 0.7)
    found = metrics(square(values), lost_sites=4).losses
    gone = []
    for row in found.itertuples():
        if row.site is not None and isinstance(row.site, str):
            gone.append(int(row.site[1:]))
        rest = np.delete(np.delete(values, gone, 0), gone, 1)
        assert row[3] == pytest.approx(np.abs(np.linalg.eigvals(rest)).max())
    assert found.lost.tolist() == [0, 1, 2, 3, 4]


def fewest_by_trying(values):
    n = len(values)
    for size in range(1, n + 1):
        for chosen in combinations(range(n), size):
            if np.abs(np.linalg.eigvals(values[np.ix_(chosen, chosen)])).max() >= 1 - 1e-9:
                return size
    return None


@settings(max_examples=25, deadline=None)
@given(st.builds(random_matrix, st.integers(0, 2**32 - 1), st.integers(2, 7), st.just(0.5)), st.floats(1.1, 6))
def test_the_fewest_sites_that_persist_are_as_few_as_trying_all_subsets_finds(values, recruits):
    found = metrics(square(values), recruits_per_recruit=recruits, lost_sites=0)
    expected = fewest_by_trying(recruits * values)
    if expected is None:
        assert np.isnan(found.minimum_sites)
        return
    assert found.minimum_sites == expected
    chosen = np.flatnonzero(found.sites.minimum_set)
    assert len(chosen) == expected
    assert np.abs(np.linalg.eigvals(recruits * values[np.ix_(chosen, chosen)])).max() >= 1 - 1e-9


def test_no_site_of_the_greedy_set_can_be_left_out():
    values = 3.0 * random_matrix(21, 30, 0.2)
    found = metrics(square(values / 3), recruits_per_recruit=3, exact_up_to=0)
    assert found.minimum_sets.rule.tolist() == ["greedy"]
    chosen = np.flatnonzero(found.sites.minimum_set)
    assert np.abs(np.linalg.eigvals(values[np.ix_(chosen, chosen)])).max() >= 1 - 1e-9
    for i in range(len(chosen)):
        rest = np.delete(chosen, i)
        assert not len(rest) or np.abs(np.linalg.eigvals(values[np.ix_(rest, rest)])).max() < 1 - 1e-9


def test_large_networks_have_the_same_rate_as_their_dense_matrix():
    """Above 200 sites eigenvalues come from sparse iterations."""
    values = random_matrix(5, 260, 0.03)
    found = metrics(square(values), recruits_per_recruit=3, lost_sites=0)
    rates, vectors = np.linalg.eig(values)
    assert found.lambda_all == pytest.approx(3 * rates.real.max(), rel=1e-10)
    expected = np.abs(vectors[:, rates.real.argmax()].real)
    assert found.sites.settler_value.to_numpy() == pytest.approx(expected / expected.sum(), abs=1e-9)


# --- what must hold of any network -----------------------------------------------------------------------------


COLUMNS = ["in_degree", "out_strength", "betweenness", "betweenness_probability", "pagerank", "lambda_loss"]


@settings(max_examples=20, deadline=None)
@given(networks, st.randoms(use_true_random=False))
def test_the_order_of_sites_changes_nothing(values, random):
    order = list(range(len(values)))
    random.shuffle(order)
    one = square(values)
    found = [metrics(t, lost_sites=0) for t in (one, one.iloc[order, order])]
    assert found[0].lambda_all == pytest.approx(found[1].lambda_all, abs=1e-12)
    unique = COLUMNS[:-1]  # of groups of one rate the first counts for the losses
    left, right = (f.sites.set_index("site")[unique].sort_index() for f in found)
    pd.testing.assert_frame_equal(left, right, rtol=1e-9, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(networks, st.floats(0.05, 20))
def test_flows_in_another_unit_change_strengths_alone(values, times):
    one, other = (metrics(square(values * k), kind="flow", lost_sites=0).sites for k in (1, times))
    assert other.out_strength.to_numpy() == pytest.approx(times * one.out_strength.to_numpy())
    for column in ("in_degree", "betweenness", "betweenness_probability", "pagerank", "contribution"):
        assert other[column].to_numpy() == pytest.approx(one[column].to_numpy(), abs=1e-9), column


# --- over time -------------------------------------------------------------------------------------------------


def brute_temporal_covariance(series, focus):
    """The sums of pairwise covariances as Daigle and others write them; series (dates, n, n)."""
    n = series.shape[1]
    out = np.zeros(n)
    for a in focus:
        for b in focus:
            if a == b:
                continue
            for c in focus:
                for v in range(n):
                    if v != c:
                        out[v] -= np.cov(series[:, a, b], series[:, c, v])[0, 1]
    return out


def test_temporal_covariance_is_the_sum_of_all_pairwise_covariances():
    rng = np.random.default_rng(8)
    series = rng.uniform(0, 1, (6, 5, 5)) * (rng.random((6, 5, 5)) < 0.7)
    rows = [(2000 + t, f"s{i}", f"s{j}", series[t, i, j]) for t in range(6) for i in range(5) for j in range(5)]
    table = pd.DataFrame(rows, columns=["time", "id1", "id2", "value"])
    sites = pd.DataFrame({"site": [f"s{i}" for i in range(5)], "focus": [True, False, True, True, False]})
    found = metrics(table, sites, kind="flow").sites.temporal_covariance
    assert found.to_numpy() == pytest.approx(brute_temporal_covariance(series, [0, 2, 3]))
    everywhere = metrics(table, kind="flow").sites.temporal_covariance
    assert everywhere.to_numpy() == pytest.approx(brute_temporal_covariance(series, range(5)))


def test_larvae_of_the_focus_and_of_sites_to_avoid_are_added_up():
    values = random_matrix(14, 6, 0.8)
    focus, avoided = np.array([1, 0, 1, 0, 0, 0]), np.array([0, 0, 0, 0, 1, 1])
    sites = pd.DataFrame({"site": [f"s{i}" for i in range(6)], "focus": focus, "avoided": avoided == 1})
    found = metrics(square(values), sites).sites
    apart = values - np.diag(np.diag(values))
    assert found.from_focus.to_numpy() == pytest.approx(apart[focus == 1].sum(axis=0))
    assert found.to_focus.to_numpy() == pytest.approx(apart[:, focus == 1].sum(axis=1))
    assert found.to_avoided.to_numpy() == pytest.approx(apart[:, avoided == 1].sum(axis=1))
    assert metrics(square(values)).sites.from_avoided.isna().all()


def test_the_tables_of_connectivity_are_taken_as_they_are():
    rng = np.random.default_rng(9)
    names = [f"s{i}" for i in range(4)]
    sites = gpd.GeoDataFrame(
        {"site": names, "production": [5.0, 1, 2, 8]}, geometry=gpd.points_from_xy(range(4), [0] * 4), crs=4326
    )
    rows, series = [], np.zeros((3, 4, 4))
    for t in range(3):
        for i in range(3):  # the last site releases nothing, and nothing reaches it
            counts = rng.multinomial(100, [0.2, 0.1, 0.3, 0.4])[:3]
            series[t, i, :3] = counts / 100 * sites.production[i]
            rows += [(names[i], names[j], f"2020-0{t + 1}-01", 100, counts[j]) for j in range(3)]
    table = pd.DataFrame(rows, columns=["source", "sink", "released_on", "released", "settled"])
    first = connectivity(table, sites)
    found = metrics(first.pairs, first.sites[["site", "geometry"]], first.by_date)
    assert found.connectivity.strength.sum() == pytest.approx(first.sites.outflow.sum())
    assert found.sites.temporal_covariance.to_numpy() == pytest.approx(brute_temporal_covariance(series, range(4)))
    assert list(found.site_map.columns[:2]) == ["site", "in_degree"]
    assert found.site_map.crs == sites.crs


# --- planning --------------------------------------------------------------------------------------------------


def test_features_by_quantiles_count_their_ends_and_quarters_part_the_sites():
    values = np.zeros((9, 9))
    values[0, 1:] = 0.02 * np.arange(1, 9)
    wishes = {"features": ["in_strength"], "lost_sites": 0}
    upper = metrics(square(values), discretise="median_to_maximum", **wishes).amounts
    assert sorted(upper.unit) == ["s4", "s5", "s6", "s7", "s8"]  # the median site itself counts
    assert set(upper.feature) == {"in_strength_median_to_maximum"}
    assert set(upper.amount) == {1.0}
    quarters = metrics(square(values), discretise="quartiles", **wishes).amounts
    assert sorted(quarters.unit) == [f"s{i}" for i in range(9)]
    assert quarters.groupby("feature").size().sort_index().tolist() == [2, 2, 2, 3]
    plain = metrics(square(values), discretise="none", **wishes).amounts.set_index("unit").amount
    assert plain["s8"] == pytest.approx(0.16)


def test_a_plan_takes_features_targets_and_strengths_straight():
    values = random_matrix(30, 10, 0.5)
    found = metrics(square(values), features=["pagerank", "betweenness"], target=0.4, symmetric=True)
    units = pd.DataFrame({"unit": found.sites.site, "cost": 1.0})
    plan = select(
        units,
        found.amounts,
        found.targets,
        connectivity=found.connectivity,
        connectivity_penalty=0.1,
        time_limit_s=20,
    )
    assert plan.features.met.all()
    chosen = np.flatnonzero(plan.plan.selected == 1)
    inside = values[np.ix_(chosen, chosen)]
    assert plan.connectivity == pytest.approx(inside.sum() - np.trace(inside))
    directed = metrics(square(values)).connectivity
    select(units, found.amounts, found.targets, connectivity=directed, connectivity_penalty=0.1, asymmetric=True)
    assert directed.strength.sum() == pytest.approx(values.sum() - np.trace(values))


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"features": ["pagernk"]}, "did you mean 'pagerank'"),
        ({"features": ["temporal_covariance"]}, "temporal_covariance is known of no site"),
    ],
)
def test_features_that_are_no_measure_are_refused(wishes, words):
    with pytest.raises(LinkwaysError, match=words):
        metrics(square([[0.1, 0.2], [0.3, 0.1]]), **wishes)


def test_measures_below_zero_are_no_amounts():
    rows = [(2000 + t, i, j, v) for t in range(3) for i, j, v in (("a", "b", t), ("b", "a", 2 * t))]
    table = pd.DataFrame(rows, columns=["time", "id1", "id2", "value"])
    with pytest.raises(LinkwaysError, match="below 0, which no amount of a feature may be; discretise it"):
        metrics(table, kind="flow", features=["temporal_covariance"], discretise="none")


@pytest.mark.parametrize(
    ("columns", "wishes", "words"),
    [
        ({"selected": [1, 2]}, {}, "selected of s1 in sites is 2"),
        ({"lost": ["maybe", "no"]}, {}, "lost of 1 sites is neither true nor false, first that of site s0"),
        ({"recruits_per_recruit": [2, 2]}, {"recruits_per_recruit": 3}, "told twice"),
        ({"production": [2, np.nan]}, {}, "production of 1 rows of sites is no finite number"),
    ],
)
def test_columns_of_sites_that_cannot_be_are_refused(columns, wishes, words):
    sites = pd.DataFrame({"site": ["s0", "s1"], **columns})
    with pytest.raises(LinkwaysError, match=words) as told:
        metrics(square([[0.1, 0.2], [0.3, 0.1]]), sites, **wishes)
    assert "\n" not in str(told.value)


def test_probabilities_whose_rows_exceed_one_are_refused():
    with pytest.raises(LinkwaysError, match="rows of matrix sum to more than 1, the largest that of site s1"):
        metrics(square([[0.1, 0.2], [0.9, 0.3]]))
