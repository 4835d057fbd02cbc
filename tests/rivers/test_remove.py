"""Plans of removals against every possible plan, on rivers small enough to try them all."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import rivers
from linkways.errors import LinkwaysError
from linkways.spatial import recording


def river(rng, reaches, barriers, *, directional=False):
    down = [-1 if i < 1 or rng.random() < 0.1 else int(rng.integers(0, i)) + 1 for i in range(reaches)]
    table = pd.DataFrame(
        {
            "reach": np.arange(1, reaches + 1),
            "down": down,
            "length_m": rng.uniform(0, 10, reaches).round(2),
            "other_m": rng.uniform(0, 10, reaches).round(2),
        }
    ).sample(frac=1, random_state=int(rng.integers(1000)))
    at = rng.integers(1, reaches + 1, barriers)
    walls = pd.DataFrame({"barrier": [f"b{i}" for i in range(barriers)], "reach": at})
    walls["cost"] = rng.integers(0, 6, barriers).astype(float)
    if directional:
        walls["pass_up"], walls["pass_down"] = rng.random(barriers), rng.random(barriers)
    else:
        walls["passability"] = rng.random(barriers) * rng.integers(0, 2, barriers)
    return table, walls


def way_to_the_outlet(reaches):
    """For each reach, the reaches whose lower ends are passed on the way to the outlet."""
    down = dict(zip(reaches["reach"], reaches["down"], strict=True))
    out = {}
    for reach in down:
        way, at = [], reach
        while down[at] != -1:
            way.append(at)
            at = down[at]
        out[reach] = way
    return out


def passed(reaches, walls):
    """Which barriers (columns) are passed between each reach (rows) and its outlet."""
    ways = way_to_the_outlet(reaches)
    return np.array([[barrier in ways[reach] for barrier in walls["reach"]] for reach in reaches["reach"]])


def access(reaches, walls, weight="length_m"):
    """As a function of the passabilities: sum of weight times passability to the outlet, barrier by barrier."""
    on_the_way, w = passed(reaches, walls), reaches[weight].to_numpy()
    return lambda p: float(w @ np.where(on_the_way, p, 1.0).prod(axis=1))


def dcip(reaches, walls):
    """As a function of the passabilities down and up: 100 x the mean over pairs of metres of all that is passed."""
    ways = way_to_the_outlet(reaches)
    below = dict(zip(reaches["reach"], reaches["down"], strict=True))
    outlet = np.array([below[ways[r][-1]] if ways[r] else r for r in reaches["reach"]])
    p, w = passed(reaches, walls), reaches["length_m"].to_numpy()
    only_first, only_second = p[:, None] & ~p[None], ~p[:, None] & p[None]
    share = w[:, None] * w * (outlet[:, None] == outlet) / w.sum() ** 2

    def index(down, up):
        between = np.where(only_first, down, 1.0).prod(axis=2) * np.where(only_second, up, 1.0).prod(axis=2)
        return 100 * float((share * between).sum())

    return index


def every_plan(walls, budget):
    for taken in itertools.product((False, True), repeat=len(walls)):
        mask = np.array(taken)
        if walls.loc[mask, "cost"].sum() <= budget + 1e-9:
            yield mask


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), budget=st.integers(6, 14))
def test_the_knapsack_finds_the_best_of_all_plans_for_every_budget(seed, budget):
    reaches, walls = river(np.random.default_rng(seed), 8, 6)
    found = rivers.remove(reaches, walls, budget=budget, curve_steps=budget)
    value_of, now = access(reaches, walls), walls["passability"].to_numpy()
    plans = [(walls.loc[mask, "cost"].sum(), value_of(np.where(mask, 1.0, now))) for mask in every_plan(walls, budget)]
    for money, value, answer in zip(found.curve["budget"], found.curve["value"], found.curve["answer"], strict=True):
        best = max(value for cost, value in plans if cost <= money)
        assert value == pytest.approx(best, abs=1e-9)
        assert answer == "optimal"


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_costs_that_must_be_rounded_give_a_plan_within_the_budget_and_a_true_bound(seed):
    rng = np.random.default_rng(seed)
    reaches, walls = river(rng, 8, 6)
    walls["cost"] = rng.uniform(0.5, 5, 6) + np.pi * 1e-7
    found = rivers.remove(reaches, walls, budget=8.123456789, curve_steps=1)
    value_of, now = access(reaches, walls), walls["passability"].to_numpy()
    best = max(value_of(np.where(mask, 1.0, now)) for mask in every_plan(walls, 8.123456789))
    row = found.curve.iloc[-1]
    assert row["spent"] <= 8.123456789
    assert row["value"] <= best + 1e-9 <= row["bound"] + 2e-9


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_several_targets_some_unwanted_get_the_best_of_all_plans(seed):
    rng = np.random.default_rng(seed)
    reaches, walls = river(rng, 7, 5)
    walls["bass"] = rng.random(5)
    options = walls[["barrier", "cost"]].assign(passability=1.0, bass=1.0)
    targets = pd.DataFrame(
        {
            "target": ["salmon", "bass"],
            "importance": [1.0, -rng.uniform(0.2, 1.5)],
            "weight": ["length_m", "other_m"],
            "pass_up": ["passability", "bass"],
            "pass_down": ["passability", "bass"],
        }
    )
    found = rivers.remove(reaches, walls, options, targets, budget=8, curve_steps=1)

    salmon, bass = access(reaches, walls), access(reaches, walls, "other_m")

    def value(mask):
        wanted = salmon(np.where(mask, 1.0, walls["passability"]))
        return wanted + targets["importance"][1] * bass(np.where(mask, 1.0, walls["bass"]))

    assert found.after == pytest.approx(max(value(m) for m in every_plan(walls, 8)), abs=1e-7)
    assert found.gap_percent == pytest.approx(0, abs=1e-5)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), directional=st.booleans())
def test_the_index_of_pairs_gets_the_best_of_all_plans(seed, directional):
    reaches, walls = river(np.random.default_rng(seed), 8, 6, directional=directional)
    how = "directional" if directional else "product"
    found = rivers.remove(reaches, walls, budget=7, curve_steps=1, objective="dcip", passability=how)
    now = (walls["pass_down"], walls["pass_up"]) if directional else (walls["passability"],) * 2

    index = dcip(reaches, walls)

    def value(mask):
        return index(*(np.where(mask, 1.0, one) for one in now))

    assert found.before == pytest.approx(value(np.zeros(6, bool)), rel=1e-9)
    assert found.after == pytest.approx(max(value(m) for m in every_plan(walls, 7)), rel=1e-9)
    assert found.gap_percent == 0


def test_the_bound_of_the_index_of_pairs_holds_when_time_is_up():
    rng = np.random.default_rng(5)
    reaches, walls = river(rng, 14, 11)
    walls["cost"] = rng.uniform(1, 5, 11)
    hurried = rivers.remove(reaches, walls, budget=11, curve_steps=1, objective="dcip", time_limit_s=1e-9)
    index, now = dcip(reaches, walls), walls["passability"].to_numpy()
    best = max(index(*(np.where(mask, 1.0, now),) * 2) for mask in every_plan(walls, 11))
    row = hurried.curve.iloc[-1]
    assert row["value"] <= best + 1e-9 <= row["bound"] + 2e-9


@pytest.fixture
def fork():
    """Two branches above one dam, and a weir on each."""
    reaches = pd.DataFrame({"reach": [1, 2, 3, 4], "down": [-1, 1, 2, 2], "length_m": [100.0, 100.0, 300.0, 500.0]})
    barriers = pd.DataFrame(
        {
            "barrier": ["dam", "left", "right"],
            "reach": [2, 3, 4],
            "passability": [0.0, 0.0, 0.5],
            "cost": [4.0, 2.0, 2.0],
        }
    )
    return reaches, barriers


def test_ranking_loses_where_two_removals_need_one_another(fork):
    reaches, barriers = fork
    found = rivers.remove(reaches, barriers, budget=6, curve_steps=1)
    assert set(found.plan["barrier"]) == {"dam", "right"} or set(found.plan["barrier"]) == {"dam", "left"}
    assert found.before == 100
    assert found.after == pytest.approx(max(100 + 100 + 500, 100 + 100 + 300 + 250))
    # first step of ranking: only the dam gains anything
    assert found.greedy["barrier"].iloc[0] == "dam"


def test_a_fish_pass_and_a_removal_of_one_barrier_exclude_each_other(fork):
    reaches, barriers = fork
    options = pd.DataFrame(
        {"barrier": ["dam", "dam"], "option": ["fish pass", "remove"], "cost": [1.0, 4.0], "passability": [0.6, 1.0]}
    )
    found = rivers.remove(reaches, barriers, options, budget=5, curve_steps=5)
    assert list(found.plan["option"]) == ["remove"]
    at_three = found.curve.loc[found.curve["budget"] == 3].iloc[0]
    assert at_three["value"] == pytest.approx(100 + 0.6 * (100 + 0 + 250))


def test_a_licence_that_ends_later_puts_the_removal_off(fork):
    reaches, barriers = fork
    options = pd.DataFrame(
        {"barrier": ["dam", "left", "right"], "cost": [4.0, 2.0, 2.0], "passability": 1.0, "from_year": [2030, 0, 0]}
    )
    found = rivers.remove(reaches, barriers, options, budget=4, years=[2027, 2030, 2033], curve_steps=1)
    plan = found.plan.set_index("barrier")
    assert plan.loc["dam", "year"] == 2030
    # 2027: 100; 2030 and 2033: everything, since 8 is left from two years
    assert found.after == pytest.approx(100 + 1000 + 1000)
    assert found.before == pytest.approx(300)


def test_groups_are_done_whole_or_not_at_all_and_one_of_an_exclusive_group(fork):
    reaches, barriers = fork
    options = pd.DataFrame({"barrier": ["dam", "left", "right"], "cost": [4.0, 2.0, 2.0], "passability": 1.0})
    together = rivers.remove(reaches, barriers, options.assign(together=["a", None, "a"]), budget=5, curve_steps=1)
    assert len(together.plan) == 0
    exclusive = rivers.remove(reaches, barriers, options.assign(exclusive=[None, "b", "b"]), budget=8, curve_steps=1)
    assert set(exclusive.plan["barrier"]) == {"dam", "right"} or set(exclusive.plan["barrier"]) == {"dam", "left"}


def test_a_barrier_at_an_outlet_is_left_alone(fork):
    reaches, barriers = fork
    more = pd.concat(
        [barriers, pd.DataFrame({"barrier": ["mouth"], "reach": [1], "passability": [0.0], "cost": [1.0]})]
    )
    with_mouth = rivers.remove(reaches, more, budget=6, curve_steps=1)
    without = rivers.remove(reaches, barriers, budget=6, curve_steps=1)
    assert with_mouth.after == without.after


def test_the_plan_tells_the_access_after_each_removal(fork):
    reaches, barriers = fork
    plan = rivers.remove(reaches, barriers, budget=8, curve_steps=1).plan
    assert list(plan["barrier"]) == ["dam", "left", "right"] or list(plan["barrier"]) == ["dam", "right", "left"]
    assert plan["value_after"].iloc[0] == pytest.approx(100 + 100 + 250)
    assert plan["value_after"].iloc[-1] == pytest.approx(1000)


def test_owners_are_carried_into_the_plan(fork):
    reaches, barriers = fork
    found = rivers.remove(reaches, barriers.assign(owner=["state", "farm", "town"]), budget=4, curve_steps=1)
    assert list(found.plan["owner"]) == ["state"]


def test_gains_in_the_plan_are_what_is_lost_without_each(fork):
    reaches, barriers = fork
    plan = rivers.remove(reaches, barriers, budget=8, curve_steps=1).plan.set_index("barrier")
    assert plan.loc["dam", "gain_in_plan"] == pytest.approx(900)
    assert plan.loc["left", "gain_in_plan"] == pytest.approx(300)
    assert plan.loc["left", "gain_alone"] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"budget": 1.0}, "buys nothing: the cheapest option costs 2"),
        ({"budget": 5.0, "objective": "dcip", "years": [2027]}, "no years and no groups"),
        ({"budget": 5.0, "passability": "directional"}, "choose product, up or down"),
        ({"budget": 5.0, "objective": "dcip", "passability": "up"}, "choose product or directional"),
        ({"budget": 5.0, "years": [2030, 2027]}, "years must rise"),
        ({"budget": 5.0, "cost": "price"}, "no column 'price'"),
    ],
)
def test_what_cannot_be_planned_is_refused(fork, change, words):
    with pytest.raises(LinkwaysError, match=words):
        rivers.remove(*fork, **change)


def test_options_for_barriers_that_are_not_on_the_river_are_left_out_and_noted(fork):
    options = pd.DataFrame({"barrier": ["rock", "dam"], "cost": [1, 4], "passability": [1, 1]}, index=[7, 9])
    with recording() as notes:
        found = rivers.remove(*fork, options, budget=5, curve_steps=1)
    assert list(found.plan["barrier"]) == ["dam"]
    assert any("rock" in sentence for sentence in notes)


def test_options_for_no_known_barrier_are_refused(fork):
    with pytest.raises(LinkwaysError, match=r"none of their barriers \(rock\) is among the barriers"):
        rivers.remove(*fork, pd.DataFrame({"barrier": ["rock"], "cost": [1], "passability": [1]}), budget=5)


def test_nothing_removable_is_refused(fork):
    reaches, barriers = fork
    with pytest.raises(LinkwaysError, match="none can be removed"):
        rivers.remove(reaches, barriers.assign(removable=False), budget=5)
