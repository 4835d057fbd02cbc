"""Curves of cost against length held against every subset of small problems."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.errors import LinkwaysError
from linkways.planning import calibrate, select

N = 7
PAIRS = [(a, a + 1) for a in range(N - 1)] + [(0, 3), (2, 5)]
EVERY = np.array(list(itertools.product([0.0, 1.0], repeat=N)))


@st.composite
def problems(draw):
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    units = pd.DataFrame({"unit": np.arange(N), "cost": random.integers(1, 12, N).astype(float)})
    units["frog"], units["owl"] = random.integers(0, 5, N), random.integers(0, 5, N)
    units.loc[0, ["frog", "owl"]] = 3
    wanted = pd.DataFrame({"feature": ["frog", "owl"], "target": random.uniform(0.2, 0.7, 2), "type": "relative"})
    return units, wanted, random.integers(0, 6, len(PAIRS)).astype(float), random.integers(0, 4, N).astype(float)


def meets(units, wanted):
    held = units[["frog", "owl"]].to_numpy(float).T @ EVERY.T
    goal = wanted.target.to_numpy() * units[["frog", "owl"]].sum().to_numpy()
    return (held >= goal[:, None] - 1e-9).all(axis=0)


def boundary_table(inner, outer):
    rows = [(a, b, v) for (a, b), v in zip(PAIRS, inner, strict=True)] + [(k, k, v) for k, v in enumerate(outer)]
    return pd.DataFrame(rows, columns=["unit_a", "unit_b", "length"])


def check(found, own, other, measure):
    """Every row against all subsets; the ends and the penalties that matter from their definitions."""
    curve = found.curve
    for row in curve.itertuples():
        assert row.value == pytest.approx((own + row.penalty * other).min(), rel=1e-6, abs=1e-6)
        assert row.bound == pytest.approx(row.value, rel=1e-5, abs=1e-5)
    first = min(zip(own, other, strict=True))
    last = min(zip(other, own, strict=True))[::-1]
    assert [curve.objective.iloc[0], abs(curve[measure].iloc[0])] == pytest.approx([first[0], abs(first[1])])
    if first[1] <= last[1]:
        assert np.isnan(found.cohon_penalty)
        assert len(curve) == 1
        return
    assert [curve.objective.iloc[-1], abs(curve[measure].iloc[-1])] == pytest.approx([last[0], abs(last[1])])
    assert found.cohon_penalty == pytest.approx((last[0] - first[0]) / (first[1] - last[1]))
    longer, shorter = other > last[1] + 1e-9, other < first[1] - 1e-9
    assert found.largest_penalty == pytest.approx(((last[0] - own[longer]) / (other[longer] - last[1])).max())
    assert found.least_penalty == pytest.approx(((own[shorter] - first[0]) / (first[1] - other[shorter])).min())
    depth = 1 - (own - first[0]) / (last[0] - first[0]) - (other - last[1]) / (first[1] - last[1])
    assert found.knee_below_chord == pytest.approx(max(depth.max(), 0), abs=1e-6)
    assert len(curve) >= 10
    assert curve.penalty.is_monotonic_increasing
    assert curve.knee.sum() == 1


@settings(max_examples=12, deadline=None)
@given(problems())
def test_every_point_of_a_boundary_curve_is_the_best_of_all_subsets(problem):
    units, wanted, inner, outer = problem
    found = calibrate(units, targets=wanted, boundary=boundary_table(inner, outer), edge_factor=0.5, steps=10)
    good = meets(units, wanted)
    a, b = np.array(PAIRS).T
    length = (np.abs(EVERY[:, a] - EVERY[:, b]) @ inner + 0.5 * EVERY @ outer)[good]
    check(found, (EVERY @ units.cost.to_numpy())[good], length, "length")


@settings(max_examples=8, deadline=None)
@given(problems())
def test_every_point_of_a_connectivity_curve_is_the_best_of_all_subsets(problem):
    units, wanted, inner, _ = problem
    links = pd.DataFrame(PAIRS, columns=["unit_a", "unit_b"]).assign(strength=inner + 1)
    found = calibrate(units, targets=wanted, connectivity=links, penalty="connectivity", steps=10)
    good = meets(units, wanted)
    a, b = np.array(PAIRS).T
    held = ((EVERY[:, a] * EVERY[:, b]) @ (inner + 1))[good]
    check(found, (EVERY @ units.cost.to_numpy())[good], -held, "connectivity")


def test_a_maximised_objective_is_told_as_it_is_and_falls_along_the_curve():
    units = pd.DataFrame({"unit": list("abcd"), "cost": 1.0, "frog": [5.0, 1.0, 1.0, 4.0]})
    row = pd.DataFrame({"unit_a": list("abcad"), "unit_b": list("bcdad"), "length": [1.0, 1, 1, 1, 1]})
    wanted = pd.DataFrame({"feature": ["frog"]})
    found = calibrate(units, targets=wanted, boundary=row, objective="max_utility", budget=2.0)
    # by hand: both ends (9, edge 4), a alone or with b (6, edge 2), nothing (0, 0): slopes 3/2 and 6/2
    ends = found.curve[["objective", "length"]].drop_duplicates().values.tolist()
    assert ends == [[9.0, 4.0], [6.0, 2.0], [0.0, 0.0]]
    assert (found.least_penalty, found.largest_penalty, found.cohon_penalty) == (1.5, 3.0, 2.25)
    assert found.curve.loc[found.curve.knee, "objective"].tolist() == [6.0]
    assert found.knee_below_chord == pytest.approx(1 - 3 / 9 - 2 / 4)


def test_the_plan_at_the_knee_is_what_select_finds_at_cohons_penalty():
    random = np.random.default_rng(4)
    units = pd.DataFrame({"unit": np.arange(25), "cost": random.uniform(1, 9, 25), "frog": random.uniform(0, 3, 25)})
    pairs = [(k, k + 1) for k in range(25) if k % 5 < 4] + [(k, k + 5) for k in range(20)]
    edges = pd.DataFrame(pairs, columns=["unit_a", "unit_b"]).assign(length=1.0)
    wanted = pd.DataFrame({"feature": ["frog"], "target": [0.4], "type": "relative"})
    found = calibrate(units, targets=wanted, boundary=edges)
    one = select(units, targets=wanted, boundary=edges, boundary_penalty=found.cohon_penalty)
    assert one.objective == pytest.approx(found.curve.loc[found.curve.cohon, "value"].item())
    assert found.knee_penalty == found.cohon_penalty
    assert found.curve.cost.is_monotonic_increasing
    assert (found.curve.length.diff().dropna() <= 1e-9).all()
    assert len(found.chart.axes) == 1
    assert set(found.plan.selected) == {0.0, 1.0}


def test_the_shortest_of_equally_cheap_plans_begins_the_curve():
    units = pd.DataFrame({"unit": list("abcd"), "cost": 1.0, "frog": 1.0})
    row = pd.DataFrame({"unit_a": list("abcad"), "unit_b": list("bcdad"), "length": [1.0, 1, 1, 1, 1]})
    wanted = pd.DataFrame({"feature": ["frog"], "target": [2.0], "type": ["absolute"]})
    found = calibrate(units, targets=wanted, boundary=row)
    assert found.curve[["cost", "length"]].values.tolist() == [[2.0, 2.0]]
    assert np.isnan(found.cohon_penalty)
    assert np.isnan(found.knee_penalty)
    assert found.largest_penalty == 0


def test_what_cannot_be_calibrated_is_refused_in_its_own_name():
    units = pd.DataFrame({"unit": ["a", "b"], "cost": 1.0, "frog": 1.0})
    wanted = pd.DataFrame({"feature": ["frog"], "target": [1.0], "type": ["absolute"]})
    links = pd.DataFrame({"unit_a": ["a"], "unit_b": ["b"], "strength": [1.0]})
    with pytest.raises(LinkwaysError, match=r"planning\.calibrate: to calibrate the connectivity penalty"):
        calibrate(units, targets=wanted, penalty="connectivity")
    with pytest.raises(LinkwaysError, match="choose one of them"):
        calibrate(units, targets=wanted, connectivity=links)
    with pytest.raises(LinkwaysError, match=r"^planning\.calibrate: units is a table without shapes"):
        calibrate(units, targets=wanted)
    with pytest.raises(LinkwaysError, match=r"^planning\.calibrate: max_utility needs a budget"):
        calibrate(units, targets=wanted, connectivity=links, penalty="connectivity", objective="max_utility")
