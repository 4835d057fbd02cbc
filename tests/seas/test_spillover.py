"""Larvae from no-take zones, added up site by site and by what must hold of any plan."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError
from linkways.seas import spillover
from linkways.spatial import recording


def square(values):
    names = [f"s{i}" for i in range(len(values))]
    return pd.DataFrame(np.asarray(values, dtype=float), index=names, columns=names)


def reefs(n, **columns):
    return pd.DataFrame({"site": [f"s{i}" for i in range(n)], **columns})


def plan_of(selected):
    return pd.DataFrame({"unit": [f"s{i}" for i in range(len(selected))], "selected": selected})


@st.composite
def cases(draw):
    n = draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.dirichlet(np.full(n + 1, 0.5), n)[:, :n] * (rng.random((n, n)) < 0.7)
    whole = draw(st.booleans())
    share = rng.integers(0, 2, n).astype(float) if whole else rng.random(n)
    other = rng.integers(0, 2, n).astype(float)
    return values, rng.uniform(1, 50, n), share, other, rng.integers(0, 3, n), draw(st.floats(0, 8))


def by_hand(values, production, share, uplift):
    """Larvae by (source kind, sink kind), one pair of sites after the other."""
    out = {(a, b): 0.0 for a in "nf" for b in "nf"}
    for i in range(len(values)):
        for j in range(len(values)):
            larvae = production[i] * values[i, j]
            out["n", "n"] += uplift * share[i] * larvae * share[j]
            out["n", "f"] += uplift * share[i] * larvae * (1 - share[j])
            out["f", "n"] += (1 - share[i]) * larvae * share[j]
            out["f", "f"] += (1 - share[i]) * larvae * (1 - share[j])
    return out


@settings(max_examples=40, deadline=None)
@given(cases())
def test_exchange_is_the_sum_over_all_pairs_of_sites(case):
    values, production, share, other, zone, uplift = case
    sites = reefs(len(values), production=production, zone=zone)
    found = spillover(square(values), sites, plan_of(share), plan_of(other), uplift=uplift)
    expected = by_hand(values, production, share, uplift)
    plan = found.scenarios.set_index("scenario").loc["plan"]
    assert plan.no_take_to_fished == pytest.approx(expected["n", "f"])
    assert plan.no_take_to_no_take == pytest.approx(expected["n", "n"])
    assert plan.fished_to_no_take == pytest.approx(expected["f", "n"])
    assert plan.fished_to_fished == pytest.approx(expected["f", "f"])
    assert plan.settled == pytest.approx(sum(expected.values()))
    produced = production @ (uplift * share + 1 - share)
    assert plan.settled + plan.lost == pytest.approx(produced)
    rival = by_hand(values, production, other, uplift)
    told = found.scenarios.set_index("scenario").loc["other plan"]
    assert told.on_fishing_grounds == pytest.approx(rival["n", "f"] + rival["f", "f"])


@settings(max_examples=40, deadline=None)
@given(cases())
def test_zones_sites_and_exchange_add_up_to_the_same(case):
    values, production, share, other, zone, uplift = case
    sites = reefs(len(values), production=production, zone=zone)
    found = spillover(square(values), sites, plan_of(share), plan_of(other), uplift=uplift)
    plan = found.scenarios.set_index("scenario").loc["plan"]
    ends = found.exchange.groupby(["source_kind", "sink_kind"]).larvae.sum()
    assert ends.get(("no_take", "fished"), 0) == pytest.approx(plan.no_take_to_fished)
    between = found.exchange[
        (found.exchange.source_kind == "no_take")
        & (found.exchange.sink_kind == "no_take")
        & (found.exchange.source_zone != found.exchange.sink_zone)
    ].larvae.sum()
    assert found.between_no_take == pytest.approx(between, abs=1e-9)
    zones = found.zones
    assert zones.settlers.sum() == pytest.approx(plan.settled)
    assert zones.fishing_grounds.sum() == pytest.approx(plan.on_fishing_grounds)
    assert zones.from_no_take.sum() == pytest.approx(found.spillover)
    assert zones.sent_to_fished.sum() == pytest.approx(found.spillover)
    assert zones.sent_to_no_take.sum() == pytest.approx(zones.got_from_no_take.sum())
    assert found.sites.settlers.sum() == pytest.approx(plan.settled)
    rival = found.scenarios.set_index("scenario").loc["other plan"]
    assert zones.comparison.sum() == pytest.approx(rival.on_fishing_grounds)


@settings(max_examples=20, deadline=None)
@given(cases())
def test_protection_that_changes_nothing_gains_nothing(case):
    values, production, share, _, zone, _ = case
    found = spillover(square(values), reefs(len(values), production=production, zone=zone), plan_of(share), uplift=1)
    assert found.sites.gain.to_numpy() == pytest.approx(np.zeros(len(values)), abs=1e-9)
    assert not (np.abs(found.zones.gain_percent.dropna()) > 1e-9).any()
    scenarios = found.scenarios.set_index("scenario")
    assert scenarios.settled["plan"] == pytest.approx(scenarios.settled["no plan"])


def test_no_reserves_send_nothing_and_all_reserves_leave_no_grounds():
    values = [[0.1, 0.2], [0.3, 0.1]]
    none = spillover(square(values), reefs(2), plan_of([0, 0]), uplift=3)
    assert none.spillover == 0
    assert none.fishery_balance_percent == 0
    every = spillover(square(values), reefs(2), plan_of([1, 1]), uplift=3)
    assert every.spillover == 0
    assert np.isnan(every.spillover_share)
    assert every.fishery_balance_percent == -100


def test_a_closure_may_give_the_fishery_more_than_it_takes():
    """A reef that keeps nothing feeds another: closed, it triples what the other gets and costs nothing."""
    values = [[0, 0.4], [0, 0.1]]
    found = spillover(square(values), reefs(2, production=[10, 10]), plan_of([1, 0]), uplift=3)
    assert found.spillover == pytest.approx(12)
    assert found.fishing_gain_percent == pytest.approx(100 * (13 - 5) / 5)
    assert found.fishery_balance_percent == pytest.approx(160)
    assert found.zones.set_index("zone").from_no_take_share["s1"] == pytest.approx(12 / 13)


def test_links_and_sites_are_drawn_where_sites_have_shapes():
    sites = gpd.GeoDataFrame(reefs(3), geometry=gpd.points_from_xy([0, 1, 2], [0, 0, 0]), crs=4326)
    values = [[0.1, 0.2, 0.3], [0.2, 0, 0.1], [0, 0, 0.2]]
    found = spillover(square(values), sites, plan_of([1, 1, 0]), uplift=2)
    assert list(zip(found.links.source, found.links.sink, found.links.larvae, strict=True)) == [
        ("s0", "s2", pytest.approx(0.6)),
        ("s1", "s2", pytest.approx(0.2)),
    ]
    assert found.site_map.crs == sites.crs
    assert spillover(square(values), reefs(3), plan_of([1, 1, 0]), uplift=2).links is None


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (plan_of([1]), "plan misses 1 of the sites, first s1"),
        (plan_of([1, 1.5]), "selected of s1 in plan is 1.5"),
        (plan_of([1, np.nan]), "selected of 1 rows of plan is no finite number"),
        (None, "sites has no column 'selected'"),
    ],
)
def test_plans_that_do_not_fit_are_refused(plan, words):
    with pytest.raises(LinkwaysError, match=words) as told:
        spillover(square([[0.1, 0.2], [0.3, 0.1]]), reefs(2), plan, uplift=2)
    assert "\n" not in str(told.value)


def test_units_of_a_plan_that_are_no_sites_send_and_get_no_larvae():
    values = square([[0.1, 0.2], [0.3, 0.1]])
    with recording() as told:
        found = spillover(values, reefs(2), plan_of([1, 0, 1]), uplift=2)
    assert found.scenarios.equals(spillover(values, reefs(2), plan_of([1, 0]), uplift=2).scenarios)
    assert told[-1:] == ["seas.spillover: 1 units of plan are no sites, first s2, and left out"]


def test_a_site_without_a_zone_is_refused():
    with pytest.raises(LinkwaysError, match="zone of site s1 is empty"):
        spillover(square(np.eye(2)), reefs(2, zone=["a", None], selected=[1, 0]), uplift=2)
