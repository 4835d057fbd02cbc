"""Shares of cost against hand-made games and brute force over orders and subsets."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box

from linkways.errors import LinkwaysError
from linkways.planning import cost_shares, select

GROUPS = ["east", "north", "west"]


def long(held):
    """A (units, features) array as a table."""
    return pd.DataFrame(
        [(i, f"f{j}", v) for i, row in enumerate(held) for j, v in enumerate(row)],
        columns=["unit", "feature", "amount"],
    )


def least_cost(costs, held, goals):
    """By trying all subsets."""
    every = np.array(list(itertools.product([0.0, 1.0], repeat=len(costs))))
    good = (every @ held >= goals - 1e-9).all(axis=1)
    return (every[good] @ costs).min()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_shapley_is_the_mean_over_all_orders_of_what_a_group_adds_by_brute_force(seed):
    random = np.random.default_rng(seed)
    costs, held = random.integers(1, 9, 8).astype(float), random.integers(0, 5, (8, 2)).astype(float)
    held[[0, 3, 6]] += 1
    owner = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    units = pd.DataFrame({"unit": np.arange(8), "cost": costs, "group": [GROUPS[g] for g in owner]})
    goals = np.stack([0.45 * held[owner == g].sum(axis=0) for g in range(3)])
    price = {(): 0.0}
    for size in (1, 2, 3):
        for s in itertools.combinations(range(3), size):
            inside = np.isin(owner, s)
            price[s] = least_cost(costs[inside], held[inside], goals[list(s)].sum(axis=0))
    added = np.zeros(3)
    for order in itertools.permutations(range(3)):
        for k, g in enumerate(order):
            added[g] += price[tuple(sorted(order[: k + 1]))] - price[tuple(sorted(order[:k]))]
    plan = pd.DataFrame({"unit": np.arange(8), "selected": 1.0})
    found = cost_shares(units, plan, long(held), target=0.45)
    assert found.groups.shapley.to_numpy() == pytest.approx(added / 6, abs=1e-6)
    assert found.groups.alone.to_numpy() == pytest.approx([price[(g,)] for g in range(3)])
    assert found.together == pytest.approx(price[(0, 1, 2)])
    assert found.saved_together >= -1e-9
    paid = found.shares[found.shares.rule == "equal"].cost.to_numpy()
    excess = max(paid[list(s)].sum() - c for s, c in price.items() if 0 < len(s) < 3)
    assert found.rules.set_index("rule").largest_excess["equal"] == pytest.approx(excess)
    assert found.rules.set_index("rule").stable["equal"] == (excess <= 1e-6 * costs.sum())


def test_every_rule_shares_the_whole_cost_and_transfers_add_up_to_nothing():
    units = pd.DataFrame({"unit": list("abcd"), "cost": [4.0, 2.0, 3.0, 1.0], "group": ["x", "x", "y", "z"]})
    units["area_km2"] = [1.0, 2.0, 3.0, 4.0]
    amounts = pd.DataFrame({"unit": list("abcd"), "feature": "frog", "amount": [2.0, 2.0, 4.0, 2.0]})
    plan = pd.DataFrame({"unit": list("dcba"), "selected": [0, 1, 1, 0]})
    means = pd.DataFrame({"group": ["z", "y", "x"], "ability": [2.0, 5.0, 3.0]})
    found = cost_shares(units, plan, amounts, groups=means, target=0.5)
    by_rule = found.shares.pivot_table(index="group", columns="rule", values="cost")
    assert by_rule.sum().to_numpy() == pytest.approx(5.0)
    assert found.shares.groupby("rule").transfer.sum().to_numpy() == pytest.approx(0, abs=1e-12)
    assert by_rule["borne"].tolist() == [2.0, 3.0, 0.0]
    assert by_rule["area"].tolist() == pytest.approx([1.5, 1.5, 2.0])
    assert by_rule["ability"].tolist() == pytest.approx([1.5, 2.5, 1.0])
    # the target is 5 and 6 are held, so x meets 2/6 of it and y 4/6
    assert found.groups.benefit.tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert by_rule["benefit"].tolist() == pytest.approx([5 / 3, 10 / 3, 0])
    # Gini of 2, 3, 0: differences 1 + 3 + 2, both ways, over 2 x 9 x 5/3
    assert found.gini_cost == pytest.approx(12 / 30)
    assert found.rules.set_index("rule").gini["equal"] == pytest.approx(0)
    assert found.rules.set_index("rule").gini_per_ability["ability"] == pytest.approx(0)
    assert found.by_feature.share_of_target.tolist() == pytest.approx([0.4, 0.8, 0.0])


def test_groups_that_are_alike_pay_alike_and_one_that_brings_nothing_pays_nothing():
    units = pd.DataFrame({"unit": list("abc"), "cost": [3.0, 3.0, 5.0], "group": ["x", "y", "idle"]})
    amounts = pd.DataFrame({"unit": list("ab"), "feature": "frog", "amount": 1.0})
    plan = pd.DataFrame({"unit": list("abc"), "selected": [1, 0, 0]})
    found = cost_shares(units, plan, amounts, target=0.5)
    shapley = found.groups.set_index("group").shapley
    assert shapley["x"] == shapley["y"] == pytest.approx(1.5)
    assert shapley["idle"] == 0
    assert found.saved_together == pytest.approx(0.5)


def test_sampled_orders_come_within_their_errors_of_all_orders():
    random = np.random.default_rng(2)
    units = pd.DataFrame({"unit": np.arange(10), "cost": random.uniform(1, 5, 10), "group": np.arange(10) // 2})
    held = random.uniform(0, 3, (10, 1))
    plan = pd.DataFrame({"unit": np.arange(10), "selected": 1})
    exact = cost_shares(units, plan, long(held), target=0.4)
    drawn = cost_shares(units, plan, long(held), target=0.4, exact_groups=2, samples=300, seed=1)
    again = cost_shares(units, plan, long(held), target=0.4, exact_groups=2, samples=300, seed=1)
    off = np.abs(drawn.groups.shapley - exact.groups.shapley)
    assert (off <= 4 * drawn.groups.shapley_error + 1e-9).all()
    assert (drawn.groups.shapley_error > 0).any()
    assert (exact.groups.shapley_error == 0).all()
    assert drawn.groups.shapley.sum() == pytest.approx(exact.together)
    assert drawn.groups.shapley.equals(again.groups.shapley)


def test_areas_come_from_the_shapes_of_a_layer():
    shapes = [box(0, 0, 1000, 1000), box(1000, 0, 3000, 1000)]
    units = gpd.GeoDataFrame({"unit": [1, 2], "cost": 1.0, "group": ["x", "y"], "frog": 1.0}, geometry=shapes, crs=3577)
    wanted = pd.DataFrame({"feature": ["frog"], "target": [1.0], "type": ["absolute"]})
    plan = select(units, targets=wanted).plan
    found = cost_shares(units, plan, targets=wanted)
    assert found.groups.area_km2.tolist() == pytest.approx([1.0, 2.0])
    assert found.shares[found.shares.rule == "area"].share.tolist() == pytest.approx([1 / 3, 2 / 3])
    assert len(found.chart.axes) == 1


def test_refusals_name_the_group_or_unit():
    units = pd.DataFrame({"unit": list("ab"), "cost": 1.0, "group": ["x", "y"], "locked_out": [False, True]})
    amounts = pd.DataFrame({"unit": list("ab"), "feature": "frog", "amount": 1.0})
    plan = pd.DataFrame({"unit": list("ab"), "selected": [1, 0]})
    with pytest.raises(LinkwaysError, match=r"^planning\.cost_shares: the targets of y cannot be met"):
        cost_shares(units, plan, amounts, target=0.5)
    free = units.drop(columns="locked_out")
    with pytest.raises(LinkwaysError, match="plan has 1 rows for 1 of 2"):
        cost_shares(free, plan.iloc[:1], amounts, target=0.5)
    with pytest.raises(LinkwaysError, match="nothing to share"):
        cost_shares(free, plan.assign(selected=0), amounts, target=0.5)
    with pytest.raises(LinkwaysError, match="not from 0 to 1, first unit a"):
        cost_shares(free, plan.assign(selected=[2, 0]), amounts, target=0.5)
    with pytest.raises(LinkwaysError, match="all units belong to x"):
        cost_shares(free.assign(group="x"), plan, amounts, target=0.5)
    with pytest.raises(LinkwaysError, match="1 units have no group, first b"):
        cost_shares(free.assign(group=["x", None]), plan, amounts, target=0.5)
    with pytest.raises(LinkwaysError, match="groups names z, which no unit has"):
        cost_shares(free, plan, amounts, groups=pd.DataFrame({"group": ["x", "y", "z"]}), target=0.5)
    with pytest.raises(LinkwaysError, match="groups lacks y"):
        cost_shares(free, plan, amounts, groups=pd.DataFrame({"group": ["x"]}), target=0.5)
    poor = pd.DataFrame({"group": ["x", "y"], "ability": [1.0, -1.0]})
    with pytest.raises(LinkwaysError, match="no ability of 0 or more for y"):
        cost_shares(free, plan, amounts, groups=poor, target=0.5)
