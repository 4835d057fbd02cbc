"""Plans for several scenarios held against every subset of small problems."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.errors import LinkwaysError
from linkways.planning import robust, select

N = 7
EVERY = np.array(list(itertools.product([0.0, 1.0], repeat=N)))
SCENARIOS = ["dry", "wet", "warm"]


def long(amounts):
    """A (scenarios, features, units) array as a table."""
    rows = [
        (s, i, f"f{j}", amounts[k, j, i])
        for k, s in enumerate(SCENARIOS)
        for j in range(amounts.shape[1])
        for i in range(N)
    ]
    return pd.DataFrame(rows, columns=["scenario", "unit", "feature", "amount"])


@st.composite
def problems(draw):
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    amounts = random.integers(0, 6, (3, 2, N)).astype(float)
    amounts[:, :, 3] += 1
    return random.integers(1, 8, N).astype(float), amounts, random.uniform(0.3, 0.8, 2)


def targets(shares):
    return pd.DataFrame({"feature": ["f0", "f1"], "target": shares, "type": "relative"})


@settings(max_examples=12, deadline=None)
@given(problems(), st.sampled_from(["absolute", "relative"]), st.sampled_from(["min_shortfall", "max_utility"]))
def test_no_subset_within_the_budget_has_a_smaller_largest_regret(problem, regret, objective):
    costs, amounts, shares = problem
    budget = 0.4 * costs.sum()
    inside = EVERY[EVERY @ costs <= budget + 1e-9]
    held = np.einsum("sjn,pn->psj", amounts, inside)
    if objective == "min_shortfall":
        value = np.clip(1 - held / (shares * amounts.sum(axis=2)), 0, None).sum(axis=2)
    else:
        value = -held.sum(axis=2)
    optima = value.min(axis=0)
    if regret == "relative" and (np.abs(optima) < 1e-9).any():
        return
    regrets = (value - optima) / (np.abs(optima) if regret == "relative" else 1.0)
    units = pd.DataFrame({"unit": np.arange(N), "cost": costs})
    wanted = targets(shares) if objective == "min_shortfall" else pd.DataFrame({"feature": ["f0", "f1"]})
    found = robust(units, long(amounts), wanted, budget=budget, regret=regret, objective=objective)
    best = regrets.max(axis=1).min()
    assert found.largest_regret == pytest.approx(best, abs=1e-6)
    assert found.bound == pytest.approx(best, abs=1e-5)
    tied = regrets[regrets.max(axis=1) <= best + 1e-7]
    assert found.plans.mean_regret[0] == pytest.approx(tied.mean(axis=1).min(), abs=1e-5)
    x = found.selections.robust.to_numpy(float)
    place = int(np.flatnonzero((inside == x).all(axis=1))[0])
    assert found.regrets.iloc[0, 1:].astype(float).tolist() == pytest.approx(regrets[place].tolist(), abs=1e-6)
    # nobody regrets a plan in the scenario it was made for
    assert np.diag(found.regrets.iloc[1:, 1:].to_numpy(float)) == pytest.approx(0, abs=1e-6)
    assert found.largest_regret <= found.best_single + 1e-6


@settings(max_examples=8, deadline=None)
@given(problems())
def test_a_least_cost_plan_meets_the_targets_of_every_scenario_at_the_least_largest_regret(problem):
    base, amounts, shares = problem
    costs = np.stack([base, base[::-1] + 1, np.roll(base, 2)])
    held = np.einsum("sjn,pn->psj", amounts, EVERY)
    meets = (held >= shares * amounts.sum(axis=2) - 1e-9).all(axis=2)
    value = EVERY @ costs.T
    optima = np.array([value[meets[:, s], s].min() for s in range(3)])
    good = meets.all(axis=1)
    best = (value[good] - optima).max(axis=1).min()
    table = pd.DataFrame(
        [(s, i, costs[k, i]) for k, s in enumerate(SCENARIOS) for i in range(N)], columns=["scenario", "unit", "cost"]
    )
    units = pd.DataFrame({"unit": np.arange(N)})
    found = robust(units, long(amounts), targets(shares), table, objective="min_set")
    assert found.largest_regret == pytest.approx(best, abs=1e-5)
    alone = found.outcomes[found.outcomes.plan != "robust"]
    for row in alone.itertuples():
        x = found.selections[row.plan].to_numpy(float)
        assert row.allowed == meets[(x == EVERY).all(axis=1), SCENARIOS.index(row.scenario)][0]
        assert np.isinf(row.regret) == (not row.allowed)


def test_a_plan_that_hedges_is_chosen_over_both_that_gamble():
    units = pd.DataFrame({"unit": ["hill", "shore", "wood"], "cost": 1.0})
    amounts = pd.DataFrame(
        {
            "scenario": ["dry"] * 3 + ["wet"] * 3,
            "unit": ["hill", "shore", "wood"] * 2,
            "feature": "frog",
            "amount": [0.0, 10.0, 7.0, 10.0, 0.0, 6.0],
        }
    )
    wanted = pd.DataFrame({"feature": ["frog"], "target": [10.0], "type": ["absolute"]})
    found = robust(units, amounts, wanted, budget=1.0)
    assert found.plan.unit[found.plan.selected == 1].tolist() == ["wood"]
    assert found.largest_regret == pytest.approx(0.4)
    assert found.best_single == pytest.approx(1.0)
    assert found.plans.worst_scenario.tolist() == ["wet", "wet", "dry"]


def test_scenarios_that_agree_leave_nothing_to_regret_and_give_the_plan_of_select():
    units = pd.DataFrame({"unit": list("abc"), "cost": [2.0, 2.0, 3.0]})
    one = pd.DataFrame({"unit": list("abc"), "feature": "frog", "amount": [2.0, 1.0, 4.0]})
    both = pd.concat([one.assign(scenario="now"), one.assign(scenario="later")])
    found = robust(units, both, target=0.5, objective="min_set")
    plain = select(units, one, target=0.5)
    assert found.largest_regret == 0
    assert found.gap_percent == 0
    assert found.plan.selected.tolist() == plain.plan.selected.tolist()


def test_refusals_say_which_scenario_and_what_to_mend():
    units = pd.DataFrame({"unit": list("ab"), "cost": 1.0})
    one = pd.DataFrame({"unit": list("ab"), "feature": "frog", "amount": [2.0, 1.0]})
    two = pd.concat([one.assign(scenario="dry"), one.assign(scenario="wet")], ignore_index=True)
    with pytest.raises(LinkwaysError, match=r"^planning\.robust: nothing tells scenarios"):
        robust(units, one, target=0.5, budget=1.0)
    with pytest.raises(LinkwaysError, match="one scenario only"):
        robust(units, one.assign(scenario="dry"), target=0.5, budget=1.0)
    with pytest.raises(LinkwaysError, match="called robust"):
        robust(units, pd.concat([two, one.assign(scenario="robust")]), target=0.5, budget=1.0)
    cost = pd.DataFrame({"unit": list("abab"), "scenario": ["dry", "dry", "cold", "cold"], "cost": 1.0})
    with pytest.raises(LinkwaysError, match="tell different scenarios, first cold"):
        robust(units, two, costs=cost, target=0.5, budget=1.0)
    with pytest.raises(LinkwaysError, match=r"scenario cold: costs has no finite cost for 1 units, first b"):
        robust(units, one, costs=cost.iloc[:3], target=0.5, budget=1.0)
    with pytest.raises(LinkwaysError, match=r"^planning\.robust: scenario dry: min_shortfall needs a budget"):
        robust(units, two, target=0.5)
    with pytest.raises(LinkwaysError, match="objective of 0"):
        robust(units, two, target=0.5, budget=2.0, regret="relative")
    apart = two.assign(amount=[1.0, 0.001, 0.001, 1.0])
    limit = pd.DataFrame({"column": ["cost"], "sense": ["<="], "limit": [1.0]})
    with pytest.raises(LinkwaysError, match="no plan meets the demands of all 2 scenarios"):
        robust(units, apart, target=0.9, objective="min_set", constraints=limit)
