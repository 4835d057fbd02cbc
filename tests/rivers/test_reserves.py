"""The reserve model: what can be known of it beforehand, and the direction of what the field has found."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import rivers
from linkways.errors import LinkwaysError
from linkways.rivers._forest import read_forest
from linkways.rivers._reserve_model import Species, Waters


def line(reaches, length_m=500.0):
    return pd.DataFrame({"reach": range(reaches), "down": [-1, *range(reaches - 1)], "length_m": length_m})


def tree(rng, reaches, low=300, high=1000):
    down = [-1, *(int(rng.integers(max(0, i - 12), i)) for i in range(1, reaches))]
    return pd.DataFrame({"reach": range(reaches), "down": down, "length_m": rng.uniform(low, high, reaches)})


def waters(reaches, **options):
    forest = read_forest(reaches)
    free = np.ones(len(reaches))
    return Waters(
        forest, forest.length_m.copy(), free, free, options.get("fishing", 0.5), options.get("displaced", 1.0)
    )


def chances(reaches, mean_m, passed=1.0):
    """C(i, j) between all reaches by walking, in the order of the table, with one passability on every edge."""
    n = len(reaches)
    down = reaches["down"].to_numpy()
    length = reaches["length_m"].to_numpy()
    out = np.zeros((n, n))
    for i in range(n):
        queue = [(i, -1, 1.0)]
        while queue:
            at, came, share = queue.pop()
            out[i, at] = share
            around = [j for j in range(n) if down[j] == at] + ([down[at]] if down[at] >= 0 else [])
            queue += [
                (j, at, share * passed * np.exp(-(length[at] + length[j]) / 2 / mean_m)) for j in around if j != came
            ]
    return out


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), mean_m=st.floats(100, 20_000))
def test_where_fish_settle_is_that_of_walking_every_way(seed, mean_m):
    rng = np.random.default_rng(seed)
    reaches = tree(rng, 12)
    water = waters(reaches)
    inside = rng.random(12) < 0.4
    c = chances(reaches, mean_m)
    length = reaches["length_m"].to_numpy()
    expected = c @ (length * inside) / (c @ length)
    found = water.settling_inside(Species("x", mean_m, 1.0, 1.0), water.forest.by_place(inside))
    assert water.forest.by_row(found) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_reserve_on_a_long_river_keeps_the_share_that_the_integral_says():
    """Two-sided exponential of mean 1/a over a stretch R: 1 - (1 - exp(-aR)) / (aR)."""
    reaches = line(4001, length_m=10.0)
    water = waters(reaches)
    for metres in (200, 1000, 3000):
        inside = np.zeros(4001, bool)
        inside[2000 : 2000 + metres // 10] = True
        kept = water.settling_inside(Species("x", 1000.0, 1.0, 1.0), water.forest.by_place(inside))
        found = water.forest.by_row(kept)[inside].mean()
        assert found == pytest.approx(1 - (1 - np.exp(-metres / 1000)) / (metres / 1000), rel=1e-3)


def test_exchange_between_two_reserves_falls_with_the_gap_as_the_kernel():
    water = waters(line(2001, length_m=10.0))
    shares = []
    for gap in (100, 600):
        inside = np.zeros(2001, bool)
        inside[1000 + gap // 10 : 1000 + gap // 10 + 30] = True
        found = water.forest.by_row(water.settling_inside(Species("x", 800.0, 1.0, 1.0), water.forest.by_place(inside)))
        shares.append(found[970:1000].mean())
    assert shares[1] / shares[0] == pytest.approx(np.exp(-500 / 800), rel=1e-3)


def test_without_fishing_the_river_is_at_its_capacity_where_it_is_uniform():
    reaches = line(400)
    water = waters(reaches, fishing=0.0)
    settled = water.settle(Species("x", 500.0, 1.0, 1.0), np.zeros(400))
    middle = water.forest.by_row(settled.abundance)[100:300]
    assert middle == pytest.approx(500.0, rel=1e-3)


def test_a_uniform_fished_river_is_at_the_level_that_growth_and_fishing_balance():
    """n (1 + r) s / (1 + r n / K) = n gives n / K = ((1 + r) s - 1) / r."""
    water = waters(line(400))
    settled = water.settle(Species("x", 500.0, 1.0, 1.0), np.zeros(400))
    middle = water.forest.by_row(settled.abundance)[100:300]
    assert middle == pytest.approx(500 * (2 * np.exp(-0.5) - 1), rel=1e-3)


def test_effort_kept_out_of_reserves_goes_to_open_water_of_the_same_basin():
    reaches = pd.concat([line(10), line(5).assign(reach=range(10, 15), down=[-1, 10, 11, 12, 13])], ignore_index=True)
    water = waters(reaches)
    protection = np.zeros(15)
    protection[water.forest.place[[2, 3]]] = 0.8
    effort = water.forest.by_row(water.effort(protection))
    assert (effort * reaches["length_m"])[:10].sum() == pytest.approx(10 * 500)
    assert effort[2] == pytest.approx(0.2)
    assert np.all(effort[10:] == 1)


def test_reserves_that_keep_no_fishing_out_change_nothing():
    found = rivers.reserves(line(20), pd.DataFrame({"reach": [4, 5], "enforcement": 0.0}))
    assert found.reserved_percent == 0
    assert np.isnan(found.biomass_ratio)
    assert found.catch_ratio == pytest.approx(1)


def test_better_enforced_and_longer_reserves_hold_more_fish():
    ratios = [
        rivers.reserves(line(60), pd.DataFrame({"reach": [30], "enforcement": share})).biomass_ratio
        for share in (0.3, 0.6, 0.95)
    ]
    assert ratios == sorted(ratios)
    assert ratios[0] > 1
    longer = [
        rivers.reserves(line(60), pd.DataFrame({"reach": list(range(30, 30 + n))})).biomass_ratio for n in (1, 3, 6)
    ]
    assert longer == sorted(longer)


def test_size_enforcement_and_a_place_among_other_reserves_raise_the_benefit_in_a_basin_of_52_reserves():
    """The direction of effects that Koning et al. (2020) report, none of which is put into the model."""
    rng = np.random.default_rng(52)
    reaches = tree(rng, 900)
    kept = rng.choice(900, 52, replace=False)
    table = rivers.reserves(reaches, pd.DataFrame({"reach": kept, "enforcement": rng.uniform(0.3, 1.0, 52)})).reserves
    causes = table[["length_m", "enforcement", "from_reserves_percent"]].to_numpy()
    causes = (causes - causes.mean(axis=0)) / causes.std(axis=0)
    design = np.column_stack([np.ones(52), causes])
    effects = np.linalg.lstsq(design, np.log(table["biomass_ratio"]), rcond=None)[0][1:]
    assert np.all(effects > 0), dict(zip(["size", "enforcement", "network"], effects, strict=True))


def test_the_choice_is_at_least_as_good_as_every_single_placing():
    reaches = tree(np.random.default_rng(3), 25)
    found = rivers.reserves(reaches, new_reserves=1)
    chosen = found.choice["objective"].iloc[0]
    for reach in range(25):
        other = rivers.reserves(reaches, pd.DataFrame({"reach": [reach]})).reaches
        assert (other["biomass_share"] * other["length_m"]).sum() <= chosen * (1 + 1e-9)


def test_a_village_gets_one_reserve_and_the_budget_is_kept():
    reaches = tree(np.random.default_rng(4), 40).assign(
        village=["a", "b", None, "c"] * 10, price=np.random.default_rng(4).uniform(1, 3, 40)
    )
    found = rivers.reserves(reaches, new_reserves=5, village="village", cost="price", budget=6)
    named = found.choice["village"].dropna()
    assert named.is_unique
    assert found.choice["cost"].sum() <= 6


def test_reserves_keep_the_spacing_asked_for():
    found = rivers.reserves(line(40), new_reserves=4, min_spacing_m=3000)
    places = np.sort(found.choice["reach"].to_numpy(dtype=int))
    assert np.diff(places).min() * 500 >= 3000


def test_random_placings_are_the_same_for_the_same_seed():
    first, again = (rivers.reserves(line(20), new_reserves=2, seed=7).alternatives for _ in range(2))
    pd.testing.assert_frame_equal(first, again)


@pytest.mark.parametrize(
    ("inputs", "options", "words"),
    [
        ([line(5, length_m=5000.0)], {"new_reserves": 1}, "no reach of 300 to 1000 m is free"),
        ([line(5), pd.DataFrame({"reach": [77]})], {}, "reserve on reach 77, which is no reach"),
        ([line(5).assign(price=9.0)], {"new_reserves": 1, "cost": "price", "budget": 2.0}, "buys no reserve"),
        ([line(5)], {"new_reserves": 1, "village": "hamlet"}, "no column 'hamlet'"),
    ],
)
def test_what_cannot_be_done_is_refused(inputs, options, words):
    with pytest.raises(LinkwaysError, match=words):
        rivers.reserves(*inputs, **options)
