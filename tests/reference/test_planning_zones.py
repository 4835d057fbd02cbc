"""Two-zone problems of prioritizr's unit tests and of Marxan's, with the solutions that stand there."""

import pandas as pd
import pytest

from linkways import planning

# prioritizr tests/testthat/test_add_{max_features,min_shortfall,min_largest_shortfall}_objective.R, "multiple zones";
# unit 5 has a cost in no zone and is no planning unit; unit 4 has none in zone 1
COST = {"z1": [1, 2, 4, 0], "z2": [0.5, 1, 1, 1]}
F1 = {"z1": [5, 2, 3, 0], "z2": [5, 0, 1, 10]}
F2 = {"z1": [5, 5, 5, 5], "z2": [500, 5, 5, 5]}
TARGETS = pd.DataFrame(
    {
        "feature": ["f1", "f2", "f2"],
        "zone": ["z1", "z2", "all"],
        "sense": [">=", ">=", "<="],
        "target": [5.0, 1.0, 300.0],
        "type": "absolute",
    }
)


def tall(table, name):
    return pd.concat([pd.DataFrame({"unit": range(1, 5), "zone": z, name: v}) for z, v in table.items()])


AMOUNTS = pd.concat([tall(F1, "amount").assign(feature="f1"), tall(F2, "amount").assign(feature="f2")])
LOCKS = pd.DataFrame({"unit": [1, 4], "zone": ["z1", "z1"], "lock": "never"})


@pytest.mark.parametrize("objective", ["min_shortfall", "min_largest_shortfall", "max_features"])
@pytest.mark.parametrize("budgets", ["one", "of each zone"])
@pytest.mark.parametrize("solver", ["exact", "annealing"])
def test_two_zones_within_a_budget_are_those_of_prioritizr(objective, budgets, solver):
    zones = pd.DataFrame({"zone": ["z1", "z2"]})
    if budgets == "of each zone":
        zones["budget"] = [6.0, 1.0]
    found = planning.zones(
        pd.DataFrame({"unit": range(1, 5)}),
        zones,
        TARGETS,
        AMOUNTS,
        costs=tall(COST, "cost"),
        locks=LOCKS,
        objective=objective,
        budget=7.0 if budgets == "one" else None,
        solver=solver,
        iterations=20_000,
    )
    assert found.plan["zone"].tolist() == ["none", "z1", "z1", "z2"]
    assert found.objective == (2.0 if objective == "max_features" else 0.0)
    assert found.cost == 7.0
    assert found.features["met"].all()
