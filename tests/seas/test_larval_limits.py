"""Limits of larval networks with known answers, and what must hold whatever the larvae do."""

from math import ceil

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError
from linkways.seas import connectivity, metrics, spillover
from linkways.spatial import recording


def names_of(n):
    return [f"s{i}" for i in range(n)]


def square(values):
    names = names_of(len(values))
    return pd.DataFrame(np.asarray(values, dtype=float), index=names, columns=names)


def layer(n, **columns):
    return gpd.GeoDataFrame(
        {"site": names_of(n), **columns},
        geometry=gpd.points_from_xy(146 + 0.1 * np.arange(n), -18 + 0.07 * np.arange(n)),
        crs="EPSG:4326",
    )


@st.composite
def releases(draw):
    """Settlers of several dates (the last column: lost), and the production of the sites."""
    n, dates = draw(st.integers(2, 6)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    released = rng.integers(1, 200, (dates, n)) * (rng.random((dates, n)) < 0.8)
    shares = rng.dirichlet(np.full(n + 1, 0.4), n)
    counts = np.array([[rng.multinomial(released[t, i], shares[i]) for i in range(n)] for t in range(dates)])
    return counts, released, rng.uniform(0, 50, n) * (rng.random(n) < 0.9)


def table_of(counts, released):
    dates, n, _ = counts.shape
    rows = [
        (f"s{i}", f"s{j}", f"20{10 + t}-11-05", released[t, i], counts[t, i, j])
        for t in range(dates)
        for i in range(n)
        for j in range(n)
        if released[t, i]
    ]
    return pd.DataFrame(rows, columns=["source", "sink", "released_on", "released", "settled"])


# --- conservation ----------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(releases())
def test_larvae_released_are_settled_or_lost(case):
    counts, released, production = case
    if not released.any():
        return
    n = len(production)
    found = connectivity(table_of(counts, released), layer(n, production=production))
    sent = released.sum(axis=0)
    lost = counts[:, :, n].sum(axis=0)
    some = sent > 0
    assert found.sites.settled_share[some].to_numpy() == pytest.approx(1 - lost[some] / sent[some])
    assert (found.sites.local_retention + found.sites.export_share)[some].to_numpy() == pytest.approx(
        found.sites.settled_share[some].to_numpy()
    )
    assert found.pairs.settled.sum() == pytest.approx(sent.sum() - lost.sum())
    # what leaves one site for another reaches it
    assert found.sites.outflow.sum() == pytest.approx(found.sites.inflow.sum())
    own = found.pairs.flow[found.pairs.source == found.pairs.sink].sum()
    assert found.pairs.flow.sum() == pytest.approx(found.sites.inflow.sum() + own)


@settings(max_examples=12, deadline=None)
@given(releases(), st.floats(0, 5))
def test_larvae_under_a_plan_are_settled_or_lost(case, uplift):
    counts, released, production = case
    if not released.any():
        return
    n = len(production)
    share = np.linspace(0, 1, n)
    sites = layer(n, production=production, selected=share)
    found = spillover(table_of(counts, released), sites, uplift=uplift, kind="settlement").scenarios
    plan = found.set_index("scenario").loc["plan"]
    sends = released.sum(axis=0) > 0
    produced = (production * (uplift * share + 1 - share))[sends].sum()
    assert plan.settled + plan.lost == pytest.approx(produced)
    parts = ("no_take_to_fished", "no_take_to_no_take", "fished_to_no_take", "fished_to_fished")
    assert sum(plan[p] for p in parts) == pytest.approx(plan.settled)


def test_a_date_on_which_nothing_settled_counts_for_the_covariance():
    rows = [
        ("s0", "s1", "2010-11-05", 10, 4),
        ("s1", "s0", "2010-11-05", 10, 1),
        ("s0", "s1", "2011-11-05", 10, 2),
        ("s1", "s0", "2011-11-05", 10, 3),
        ("s0", "s1", "2012-11-05", 10, 0),
        ("s1", "s0", "2012-11-05", 10, 0),
    ]
    first = connectivity(pd.DataFrame(rows, columns=["source", "sink", "released_on", "released", "settled"]), layer(2))
    assert set(first.by_date.released_on) == {"2010-11-05", "2011-11-05", "2012-11-05"}
    found = metrics(first.pairs, layer(2), first.by_date).sites.temporal_covariance
    into = np.array([[0.1, 0.3, 0.0], [0.4, 0.2, 0.0]])
    assert found.tolist() == pytest.approx([-np.cov(row, into.sum(axis=0))[0, 1] for row in into])


# --- the order and the names of sites --------------------------------------------------------------------------

SITE_NUMBERS = ["probability", "flow", "migration", "variance_dates", "distance_km", "direction_deg"]


@settings(max_examples=6, deadline=None)
@given(releases(), st.randoms(use_true_random=False))
def test_sites_in_another_order_have_the_same_measures_and_spillover(case, random):
    counts, released, production = case
    if not released.any():
        return
    n = len(production)
    table = table_of(counts, released)
    sites = layer(n, production=production, selected=np.arange(n) % 2, recruits_per_recruit=np.arange(n) + 1.0)
    order = random.sample(range(n), n)
    mixed = sites.iloc[order].reset_index(drop=True)
    shuffled = table.sample(frac=1, random_state=1).reset_index(drop=True)
    key = ["source", "sink"]
    one, other = (
        connectivity(t, s).pairs.sort_values(key, ignore_index=True)[[*key, *SITE_NUMBERS]]
        for t, s in ((table, sites), (shuffled, mixed))
    )
    pd.testing.assert_frame_equal(one, other)
    columns = ["in_degree", "out_strength", "betweenness", "betweenness_probability", "pagerank", "own_lambda"]
    first, second = (metrics(t, s, kind="settlement", lost_sites=0) for t, s in ((table, sites), (shuffled, mixed)))
    pd.testing.assert_frame_equal(
        first.sites.set_index("site")[columns], second.sites.set_index("site")[columns].loc[sites.site], atol=1e-12
    )
    assert first.persistence["lambda"].to_numpy() == pytest.approx(second.persistence["lambda"].to_numpy(), abs=1e-12)
    one, other = (
        spillover(t, s, uplift=3, kind="settlement").sites.set_index("site")
        for t, s in ((table, sites), (shuffled, mixed))
    )
    pd.testing.assert_frame_equal(one, other.loc[sites.site], check_dtype=False)


# --- networks whose measures are known -------------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 6, 9])
def test_on_a_ring_one_way_each_site_lies_between_all_pairs_whose_way_passes_it(n):
    """The way from i to j passes k - 1 others, k = 1 .. n - 1: (n - 1)(n - 2) / 2 by each site."""
    found = metrics(square(np.roll(np.eye(n), 1, axis=1) * 0.5), recruits_per_recruit=3).sites
    assert found.betweenness.tolist() == [(n - 1) * (n - 2) / 2] * n
    assert found.betweenness_probability.tolist() == pytest.approx([(n - 1) * (n - 2) / 2] * n)
    assert found.pagerank.tolist() == pytest.approx([1 / n] * n)
    assert found.eigenvector.tolist() == pytest.approx([1.0] * n)
    assert found.contribution.tolist() == pytest.approx([1 / n] * n)
    # the product around the ring, (3 x 0.5)^n, is lambda^n
    assert found.own_lambda.tolist() == [0.0] * n
    assert metrics(square(np.roll(np.eye(n), 1, axis=1) * 0.5), recruits_per_recruit=3).lambda_all == pytest.approx(1.5)


@pytest.mark.parametrize("n", [4, 5, 8])
def test_on_a_ring_both_ways_paths_take_the_shorter_side(n):
    """Of pairs d links apart d - 1 sites lie between, ties shared: by symmetry each site has the sum of d - 1."""
    ring = (np.roll(np.eye(n), 1, axis=1) + np.roll(np.eye(n), -1, axis=1)) * 0.2
    hops = [min(d, n - d) for d in range(1, n)]
    assert metrics(square(ring)).sites.betweenness.tolist() == pytest.approx([sum(h - 1 for h in hops)] * n)


def test_on_a_star_all_ways_pass_the_middle():
    values = np.zeros((6, 6))
    values[0, 1:], values[1:, 0] = 0.1, 0.3
    found = metrics(square(values), recruits_per_recruit=10)
    assert found.sites.betweenness.tolist() == [20, 0, 0, 0, 0, 0]
    # out and back: 10 sqrt(5 x 0.1 x 0.3)
    assert found.lambda_all == pytest.approx(10 * np.sqrt(0.15))
    assert found.sites.lambda_loss[0] == pytest.approx(found.lambda_all)


@pytest.mark.parametrize(("n", "recruits"), [(7, 10.0), (9, 20.0), (6, 25.0)])
def test_where_all_sites_are_alike_nobody_matters_more(n, recruits):
    """Every entry 0.02: k sites grow by k x 0.02 x R, so that the fewest that persist are 1 / (0.02 R), rounded up."""
    found = metrics(square(np.full((n, n), 0.02)), recruits_per_recruit=recruits)
    assert found.sites.pagerank.tolist() == pytest.approx([1 / n] * n)
    assert found.sites.betweenness.tolist() == [0] * n
    assert found.lambda_all == pytest.approx(n * 0.02 * recruits)
    assert found.critical_recruits == pytest.approx(1 / (n * 0.02))
    assert found.minimum_sites == ceil(1 / (0.02 * recruits))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.floats(0.01, 0.9), min_size=1, max_size=8, unique=True), st.floats(0.5, 20))
def test_isolated_sites_grow_each_by_its_own_retention(own, recruits):
    found = metrics(square(np.diag(own)), recruits_per_recruit=recruits, lost_sites=3, exact_losses=True)
    best = int(np.argmax(own))
    assert found.lambda_all == pytest.approx(recruits * own[best])
    assert found.sites.own_lambda.to_numpy() == pytest.approx(recruits * np.array(own))
    assert found.sites.contribution[best] == 1
    assert found.sites.pagerank.to_numpy() == pytest.approx(np.full(len(own), 1 / len(own)))
    assert found.sites.betweenness.tolist() == [0] * len(own)
    assert found.number_of_clusters == found.number_of_components == len(own)
    rest = np.sort(own)[::-1][1:3]
    assert found.losses["lambda"].to_numpy()[1 : 1 + len(rest)] == pytest.approx(recruits * rest)
    persists = recruits * own[best] >= 1
    assert found.minimum_sets.number.tolist()[-1:] == ([1] if persists else [])
    assert found.persistence.persists[0] == persists


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.floats(0, 1))
def test_more_protection_never_slows_a_metapopulation(seed, n, fished):
    """The rate of a matrix of entries above 0 grows with each entry (Perron and Frobenius)."""
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.full(n + 1, 0.5), n)[:, :n] * (rng.random((n, n)) < 0.6)
    share = rng.random(n) * (rng.random(n) < 0.7)
    more = np.maximum(share, rng.random(n))

    def rates(selected, left):
        plan = pd.DataFrame({"unit": names_of(n), "selected": selected})
        found = metrics(square(values), plan=plan, fished=left, lost_sites=0, recruits_per_recruit=4.0, exact_up_to=0)
        return found.persistence.set_index("scenario")["lambda"]

    few, many, lightly = rates(share, fished), rates(more, fished), rates(share, min(1.0, fished + 0.2))
    for name in ("reserves alone", "reserves and fished sites"):
        assert few[name] <= many[name] + 1e-9
    assert few["reserves and fished sites"] <= lightly["reserves and fished sites"] + 1e-9
    assert few["no reserves"] <= few["reserves and fished sites"] + 1e-9
    assert many["reserves and fished sites"] <= many["all protected"] + 1e-9
    assert few["no reserves"] == pytest.approx(fished * few["all protected"], abs=1e-9)
    # the same by numpy alone
    managed = 4.0 * (share + (1 - share) * fished)[:, None] * values
    assert few["reserves and fished sites"] == pytest.approx(
        max(np.linalg.eigvals(managed).real.max(), 0.0), rel=1e-6, abs=1e-6
    )


def test_a_site_that_persists_alone_is_found_among_many():
    """A pair grows fastest and is what dropping sites one by one leaves, but one other site can do without it."""
    values = np.diag(np.full(40, 0.01))
    values[0, 1] = values[1, 0] = 0.5
    values[30, 30] = 0.3
    values[2:30, 3:31] += np.diag(np.full(28, 0.05))
    found = metrics(square(values), recruits_per_recruit=4, lost_sites=0)
    assert found.lambda_all == pytest.approx(4 * 0.51)
    assert found.minimum_sets.rule.tolist() == ["greedy", "all"]
    assert found.minimum_sets.number.tolist() == [2, 1]
    assert found.minimum_sets.sites[1] == "s30"
    assert np.flatnonzero(found.sites.minimum_set).tolist() == [30]


# --- sites that send nothing -----------------------------------------------------------------------------------


def test_a_site_without_production_sends_nothing_and_jumps_anywhere():
    values = [[0.1, 0.3, 0.2], [0.2, 0.1, 0.1], [0.0, 0.4, 0.1]]
    found = metrics(square(values), layer(3, production=[0.0, 10, 5]))
    # its row of the Google matrix is 1 / n throughout, and so not among the linked pairs
    assert set(found.google.source) == {"s1", "s2"}
    google = np.full((3, 3), found.google_jump)
    google[0] = 1 / 3
    for row in found.google.itertuples():
        google[int(row.source[1]), int(row.sink[1])] = row.google
    assert google.sum(axis=1) == pytest.approx(np.ones(3))
    rank = found.sites.pagerank.to_numpy()
    assert rank @ google == pytest.approx(rank)
    assert found.sites.out_strength[0] == 0


def test_a_matrix_of_zeros_has_no_growth_and_no_favourite():
    found = metrics(square(np.zeros((3, 3))), layer(3), recruits_per_recruit=5)
    assert (found.lambda_all, found.modularity, found.number_of_components) == (0, 0, 3)
    assert found.sites.pagerank.tolist() == pytest.approx([1 / 3] * 3)
    assert found.sites.eigenvector.tolist() == [0, 0, 0]
    assert np.isnan(found.minimum_sites)
    told = connectivity(square(np.zeros((3, 3))), layer(3), kind="probability")
    assert told.sites.role.tolist() == ["isolated"] * 3
    assert (told.linked_pairs, told.settled_share) == (0, 0)
    assert told.sites.self_recruitment.isna().all()


def test_a_class_that_ties_leave_empty_is_told():
    values = np.zeros((4, 4))
    values[0, 1] = 0.5
    with recording() as log:
        found = metrics(square(values), features=["in_degree"], discretise="quartiles")
    assert "in_degree_minimum_to_lower_quartile" not in set(found.targets.feature)
    assert any("no site is in in_degree_minimum_to_lower_quartile" in sentence for sentence in log)


# --- from one table to the next --------------------------------------------------------------------------------


def test_spillover_from_pairs_is_that_from_the_settlers():
    counts = np.array([[[5, 30, 0, 65], [0, 0, 0, 100], [10, 0, 2, 88]]])
    table, sites = table_of(counts, np.full((1, 3), 100)), layer(3, production=[50.0, 20, 8], selected=[1, 1, 0])
    direct = spillover(table, sites, uplift=2, kind="settlement")
    found = connectivity(table, sites)
    with recording() as log:
        again = spillover(found.pairs, found.sites, uplift=2)
    pd.testing.assert_frame_equal(direct.scenarios, again.scenarios)
    # of s1 nothing settles, and all it sends is lost
    assert again.scenarios.lost[0] == pytest.approx(2 * 50 * 0.65 + 2 * 20 + 8 * 0.88)
    assert not any("production" in sentence for sentence in log)


def test_production_that_contradicts_the_flows_is_told():
    counts = np.array([[[5, 30, 65], [20, 0, 80]]])
    found = connectivity(table_of(counts, np.full((1, 2), 100)), layer(2, production=[50.0, 20]))
    other = layer(2, production=[50.0, 40], selected=[1, 0])
    with recording() as log:
        kept = spillover(found.pairs, other, uplift=1)
    assert any("first that of s1 (40 and 20); name the parameter production" in sentence for sentence in log)
    assert kept.scenarios.fished_to_no_take[0] == pytest.approx(20 * 0.2)
    taken = spillover(found.pairs, other, uplift=1, production="production")
    assert taken.scenarios.fished_to_no_take[0] == pytest.approx(40 * 0.2)


# --- what is refused -------------------------------------------------------------------------------------------

GOOD = square([[0.1, 0.2], [0.3, 0.1]])
CALLS = {
    "connectivity": lambda matrix, sites, **wishes: connectivity(matrix, sites, kind="probability", **wishes),
    "metrics": metrics,
    "spillover": lambda matrix, sites, **wishes: spillover(matrix, sites.assign(selected=0), uplift=2, **wishes),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("matrix", "sites", "words"),
    [
        (GOOD.iloc[:1], layer(2), "1 rows and 2 columns, so it is no square matrix; give it as many columns"),
        (GOOD.set_axis(["s0", "s0"]), layer(2), "names s0 twice in its rows; add the two up"),
        (GOOD.set_axis(["s0", "s9"]), layer(2), "a row s9 and no such column; its rows .* must name the same sites"),
        (GOOD.replace(0.2, np.nan), layer(2), "first at row s0 column s1 .nan.; set those without larvae to 0"),
        (GOOD.replace(0.2, -0.2), layer(2), "1 entries that are below 0, first from s0 to s1 .-0.2.; set them to 0"),
        (GOOD, layer(3), "misses 1 of the sites: s2; add them with entries of 0, or leave them out"),
        (GOOD, layer(1), "sites misses 1 sites of .*: s1.*; add them to the layer, or rename them"),
        (GOOD, layer(2).assign(site="s0"), "sites holds site s0 twice, again in row 2; merge the two"),
        (GOOD, layer(2).iloc[:0], "sites holds no site; give at least one"),
        (GOOD.iloc[:0, :0], layer(2), "is empty; give it at least one row"),
        (GOOD, layer(2).set_crs(None, allow_override=True), "sites has no CRS; give it one with sites.set_crs"),
        (
            GOOD,
            layer(2).set_geometry(gpd.GeoSeries.from_wkt(["POINT (146 -18)", "POINT EMPTY"], crs=4326)),
            "1 sites have no shape, first s1 in row 2; draw them, or leave them out",
        ),
    ],
)
def test_networks_that_cannot_be_are_refused_in_one_sentence(call, matrix, sites, words):
    with pytest.raises(LinkwaysError, match=words) as told:
        CALLS[call](matrix, sites)
    assert str(told.value).count("\n") == 0


def test_points_have_no_area_to_produce_from():
    with pytest.raises(LinkwaysError, match="production is area_km2 and 2 sites have no area, first s0; draw them"):
        connectivity(GOOD, layer(2), kind="probability", production="area_km2")


@pytest.mark.parametrize("kind", ["flow", "settlement"])
def test_a_rule_for_probabilities_is_not_taken_for_other_matrices(kind):
    with pytest.raises(LinkwaysError, match=f"excess rows is for rows of probabilities, not of kind {kind}; leave it"):
        connectivity(GOOD, layer(2), kind=kind, excess="rows")


def test_a_measure_of_zero_everywhere_is_no_feature():
    with pytest.raises(LinkwaysError, match="betweenness is 0 at every site, so it can be no feature; leave it out"):
        metrics(GOOD, features=["betweenness"], discretise="none")
