"""The examples of the OptiPass manual: six barriers, one target and two."""

import pandas as pd
import pytest

from linkways import rivers

# a proof takes a tenth of a second; a clock that is set forward, or a machine that stands still, must not cut it short
NO_HURRY = 1e6


def example(shared, name):
    """Reaches and barriers of an example: one reach above each barrier, and an empty one to the sea."""
    table = pd.read_csv(shared / "data/rivers/optipass_examples" / name, sep="\t")
    number = {barrier: i + 2 for i, barrier in enumerate(table["ID"])}
    down = [number.get(below, 1) for below in table["DSID"]]
    reaches = pd.DataFrame({"reach": [1, *number.values()], "down": [-1, *down], "length_m": 1.0})
    targets = sorted(column[-1] for column in table.columns if column.startswith("HAB_T"))
    for t in targets:
        reaches[f"hab_{t}"] = [0.0, *table[f"HAB_T{t}"]]
    barriers = pd.DataFrame({"barrier": table["ID"], "reach": list(number.values())})
    options = table[table["NPROJ"] == 1]
    options = pd.DataFrame({"barrier": options["ID"], "cost": options["COST"]})
    for t in targets:
        barriers[f"p{t}"] = table[f"PRE_T{t}"]
        options[f"p{t}"] = table.loc[table["NPROJ"] == 1, f"POST_T{t}"]
    return reaches, barriers, options


def test_one_target_gets_the_published_plans_at_every_budget(shared):
    reaches, barriers, options = example(shared, "example1_one_target.tsv")
    targets = pd.DataFrame(
        {"target": ["t"], "importance": [1.0], "weight": ["hab_1"], "pass_up": ["p1"], "pass_down": ["p1"]}
    )
    published = {
        100: (1.4300, "E"),
        200: (3.3180, "BC"),
        300: (3.5100, "BCE"),
        400: (5.2850, "AB"),
        500: (8.5200, "ABCF"),
    }
    found = rivers.remove(reaches, barriers, options, targets, budget=500, curve_steps=5)
    assert found.before == pytest.approx(1.2380, abs=5e-5)
    assert found.curve["value"].to_numpy() == pytest.approx([v for v, _ in published.values()], abs=5e-5)
    assert set(found.curve["answer"]) == {"optimal"}
    for money, (_, names) in published.items():
        plan = rivers.remove(reaches, barriers, options, targets, budget=money, curve_steps=1).plan
        assert set(plan["barrier"]) == set(names)


def test_two_targets_get_the_published_weighted_values(shared):
    reaches, barriers, options = example(shared, "example4_two_targets.tsv")
    targets = pd.DataFrame(
        {"target": ["1", "2"], "importance": [3.0, 1.0], "weight": ["hab_1", "hab_2"],
         "pass_up": ["p1", "p2"], "pass_down": ["p1", "p2"]}
    )  # fmt: skip
    found = rivers.remove(reaches, barriers, options, targets, budget=500, curve_steps=5, time_limit_s=NO_HURRY)
    assert found.before == pytest.approx(5.4906, abs=5e-5)
    published = [6.3690, 14.2266, 15.1050, 21.0840, 32.9360]
    assert found.curve["value"].to_numpy() == pytest.approx(published, abs=5e-5)
    assert set(found.curve["answer"]) == {"optimal"}
