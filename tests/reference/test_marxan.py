"""Marxan's tutorial of Tasmania (mattwatts/RunMarxanLPILPTas): the folder unchanged, against proven numbers."""

import shutil

import pandas as pd
import pytest

from linkways.planning.marxan import run_marxan


@pytest.fixture
def tutorial(shared, tmp_path):
    source = shared / "data/planning/marxan_tas_watts"
    (tmp_path / "input").mkdir()
    for file in source.iterdir():
        shutil.copy(file, tmp_path if file.name == "input.dat" else tmp_path / "input")
    return tmp_path / "input.dat"


def test_the_tutorial_lies_between_its_bound_and_the_published_plan(tutorial):
    """LP 3,353,055,642.88; the published plan costs 3,454,395,986.15, the best known 3,371,344,214.95."""
    run_marxan(tutorial, gap_percent=0.5)
    out = tutorial.parent / "output"
    told = pd.read_csv(out / "output_bound.csv").iloc[0]
    assert 3_353_055_642 <= told.bound <= 3_371_344_215
    assert 3_363_741_550 <= told.objective <= 3_371_344_215 * 1.005
    plan = pd.read_csv(out / "output_best.csv").set_index("PUID").SOLUTION
    amounts = pd.read_csv(tutorial.parent / "input/puvsp.dat.gz")
    held = amounts[amounts.pu.map(plan) == 1].groupby("species").amount.sum()
    targets = pd.read_csv(tutorial.parent / "input/spec.dat").set_index("id").target
    assert (held.reindex(targets.index) >= targets * (1 - 1e-6)).all()
    cost = pd.read_csv(tutorial.parent / "input/pu.dat.gz").set_index("id").cost
    assert cost[plan[plan == 1].index].sum() == pytest.approx(told.objective)
