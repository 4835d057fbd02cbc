"""Soft barriers: fences against all fences there are, and what goes round their ends."""

from itertools import product

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, planning

CRS = "EPSG:32736"


def edge(damage, **columns):
    """Stretches of 1 km in a row from west to east."""
    lines = [shapely.LineString([(1000 * k, 0), (1000 * k + 1000, 0)]) for k in range(len(damage))]
    return gpd.GeoDataFrame({"damage": damage, **columns}, geometry=lines, crs=CRS)


def expected_damage(fenced, damage, e, displaced, steps):
    """By hand: an open stretch within so many steps to either side takes what goes round."""
    total = 0.0
    for i, here in enumerate(fenced):
        around = fenced[max(i - steps, 0) : i + steps + 1]
        leak = displaced if here and not all(around) else 0.0
        total += damage[i] * (1 - e + e * leak if here else 1.0)
    return total


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(0, 20), min_size=6, max_size=6).filter(any),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.sampled_from([0, 1, 2]),
    st.integers(0, 6),
)
def test_no_other_fences_within_the_budget_leave_less_damage(damage, displaced, steps, count):
    found = planning.soft_barriers(
        edge(damage),
        budget=1000.0 * count,
        effectiveness=0.6,
        displaced=displaced,
        reach_m=0.0 if steps == 0 else 1000.0 * steps - 400,
    )
    choices = [f for f in product([False, True], repeat=6) if sum(f) <= count]
    least = min(expected_damage(f, damage, 0.6, displaced, steps) for f in choices)
    assert found.damage_after == pytest.approx(least)
    assert found.cost <= 1000.0 * count
    assert found.gap == 0


def test_a_fence_around_all_leaks_nowhere():
    found = planning.soft_barriers(edge([1, 2, 3]), budget=3000.0, effectiveness=0.5, displaced=1.0)
    assert not found.segments.leaks.any()
    assert found.damage_after == pytest.approx(3)


def test_where_all_goes_round_a_single_stretch_saves_nothing():
    found = planning.soft_barriers(edge([5, 5, 5, 5]), budget=1000.0, displaced=1.0, reach_m=600.0)
    assert found.damage_after == pytest.approx(20)


def test_a_wider_prior_gives_a_wider_interval_around_the_same_expectation():
    narrow, wide = (planning.soft_barriers(edge([5, 1]), budget=1000.0, effectiveness_sd=s) for s in (0.05, 0.25))
    assert narrow.damage_after == wide.damage_after
    assert wide.damage_after_low < narrow.damage_after_low < narrow.damage_after
    assert narrow.damage_after < narrow.damage_after_high < wide.damage_after_high
    known = planning.soft_barriers(edge([5, 1]), budget=1000.0, effectiveness_sd=0.0)
    assert known.damage_after_low == known.damage_after_high == known.damage_after


def test_more_money_never_saves_less():
    found = planning.soft_barriers(edge([3, 9, 1, 4, 7, 2]), budget=6000.0)
    assert (np.diff(found.curve.saved) >= -1e-9).all()
    assert found.curve.saved.iloc[0] == 0
    assert (found.curve.cost <= found.curve.budget + 1e-9).all()
    assert found.curve.damage.iloc[-1] == found.damage_after


def test_existing_fences_cost_nothing_and_count_before():
    found = planning.soft_barriers(
        edge([8, 8, 1], existing=[True, False, False]), budget=1000.0, effectiveness=0.5, displaced=0.0
    )
    assert found.segments.fenced.tolist() == [True, True, False]
    assert found.cost == 1000
    assert (found.damage_before, found.damage_after) == (13, 9)


def test_incidents_count_for_the_nearest_stretch():
    points = gpd.GeoDataFrame(
        {"damage": [2, 3, 4]}, geometry=gpd.points_from_xy([100, 900, 1500], [50, -80, 10]), crs=CRS
    )
    found = planning.soft_barriers(edge([0, 0]).drop(columns="damage"), points, budget=0.0)
    assert found.segments.damage.tolist() == [5, 4]


@pytest.mark.parametrize(
    ("segments", "options", "words"),
    [
        (edge([1])[:0], {}, "no stretch"),
        (edge([0, 0]), {}, "no damage on any stretch"),
        (edge([1, -1]), {}, "first row 2"),
        (edge([1, 1], cost=[1, np.nan]), {}, "column cost"),
        (edge([1, 1], segment=["a", "a"]), {}, "the name a twice"),
        (edge([1, 1]).drop(columns="damage"), {}, "either a column damage"),
        (edge([1, 1]).to_crs(4326), {}, "degrees"),
        (edge([1, 1]), {"effectiveness": 0.05, "effectiveness_sd": 0.4}, "cannot have a standard deviation"),
    ],
)
def test_what_cannot_be_fenced_is_refused(segments, options, words):
    with pytest.raises(LinkwaysError, match=words):
        planning.soft_barriers(segments, **{"budget": 1000.0, **options})
