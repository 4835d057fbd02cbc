"""Replacement costs against prioritizr's example and every subset of small problems."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.errors import LinkwaysError
from linkways.planning import irreplaceability, select


def test_replacement_costs_are_those_of_prioritizrs_example():
    """Four units, the third without a cost: 0, 8, NA, Inf (prioritizr 8, eval_replacement_importance)."""
    units = pd.DataFrame({"unit": [1, 2, 4], "cost": [10.0, 2.0, 3.0]})
    amounts = pd.DataFrame(
        {"unit": [4, 1, 2, 4], "feature": ["one", "two", "two", "two"], "amount": [1.0, 10.0, 5.0, 6.0]}
    )
    targets = pd.DataFrame({"feature": ["one", "two"], "target": [1.0, 10.0], "type": "absolute"})
    plan = pd.DataFrame({"unit": [1, 2, 4], "selected": [0, 1, 1]})
    found = irreplaceability(units, amounts, targets, plan=plan, replacement=True)
    assert found.units.replacement.tolist() == [0, 8, np.inf]
    assert found.units.replacement_at_least.tolist() == [0, 8, np.inf]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_replacement_costs_are_the_least_over_all_subsets_that_keep_the_others(seed):
    random = np.random.default_rng(seed)
    n = 8
    costs, held = random.integers(1, 9, n).astype(float), random.integers(0, 5, (n, 2)).astype(float)
    held[0] += 2
    units = pd.DataFrame({"unit": np.arange(n), "cost": costs, "f0": held[:, 0], "f1": held[:, 1]})
    units["locked_out"] = np.arange(n) == 7
    goals = np.floor(0.5 * held[:7].sum(axis=0))
    wanted = pd.DataFrame({"feature": ["f0", "f1"], "target": goals, "type": "absolute"})
    plan = select(units, targets=wanted).plan
    if seed % 2:  # a plan with more than it needs
        plan.loc[:5, "selected"] = np.where(
            units.locked_out[:6], 0.0, np.maximum(plan.selected[:6], random.random(6) > 0.5)
        )
    x = plan.selected.to_numpy()
    found = irreplaceability(units, targets=wanted, plan=plan, replacement=True).units
    every = np.array(list(itertools.product([0.0, 1.0], repeat=n)))
    every = every[(every @ held >= goals).all(axis=1) & (every[:, 7] == 0)]
    for i in range(n):
        others = np.flatnonzero((x == 1) & (np.arange(n) != i))
        good = (every[:, others] == 1).all(axis=1) & (every[:, i] == 0)
        best = (every[good] @ costs).min() - costs @ x if good.any() else np.inf
        assert found.replacement[i] == pytest.approx(best if x[i] else 0.0)
        assert found.replacement_at_least[i] == pytest.approx(best if x[i] else 0.0, abs=1e-5)


def test_what_cannot_be_replaced_is_refused():
    units = pd.DataFrame({"unit": [1, 2], "cost": 1.0, "frog": 1.0})
    wanted = pd.DataFrame({"feature": ["frog"], "target": [1.0], "type": ["absolute"]})
    with pytest.raises(LinkwaysError, match="give plan or plan_raster"):
        irreplaceability(units, targets=wanted, replacement=True)
    nothing = pd.DataFrame({"unit": [1, 2], "selected": 0})
    with pytest.raises(LinkwaysError, match="misses 1 targets, first that of frog"):
        irreplaceability(units, targets=wanted, plan=nothing, replacement=True)
    with pytest.raises(LinkwaysError, match="set replacement to true"):
        irreplaceability(units, targets=wanted, shown="replacement")
    with pytest.raises(LinkwaysError, match="costs of 0 or more, and unit 2"):
        irreplaceability(
            units.assign(cost=[1.0, -1.0]), targets=wanted, plan=nothing.assign(selected=[1, 0]), replacement=True
        )
