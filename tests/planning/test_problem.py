"""Problems put together from verbs: the same answers as by hand, told as sentences, checked before they are solved."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import planning
from linkways.errors import LinkwaysError
from linkways.spatial import new_raster

UNITS = pd.DataFrame(
    {
        "unit": ["a", "b", "c", "d"],
        "cost": [3.0, 2.0, 2.0, 4.0],
        "group": ["north", "north", "south", "south"],
        "frog": [4.0, 2.0, 1.0, 0.0],
        "owl": [0.0, 1.0, 1.0, 3.0],
    }
)
TARGETS = pd.DataFrame({"feature": ["frog", "owl"], "target": [3.0, 1.0], "type": "absolute"})


def best(units, allowed, value):
    """The least value over all selections that are allowed, by trying each."""
    tried = (np.array(x) for x in itertools.product([0, 1], repeat=len(units)))
    return min(value(x) for x in tried if allowed(x))


def meets(x):
    return x @ UNITS.frog >= 3 and x @ UNITS.owl >= 1


def chosen(found):
    return set(found.plan.unit[found.plan.selected == 1])


def stem():
    return planning.problem(UNITS).protect(targets=TARGETS).minimise("cost")


def test_the_least_cost_is_that_of_the_best_of_all_selections():
    assert stem().solve().cost == best(UNITS, meets, lambda x: x @ UNITS.cost)


def test_a_verb_leaves_the_problem_it_was_said_to_as_it_was():
    plain = stem()
    locked = plain.lock_in("d")
    assert plain.solve().cost == best(UNITS, meets, lambda x: x @ UNITS.cost)
    assert locked.solve().cost == best(UNITS, lambda x: meets(x) and x[3], lambda x: x @ UNITS.cost)
    assert "locked_in" not in UNITS.columns


@pytest.mark.parametrize("names", [["b"], ["b", "c"]])
def test_units_locked_out_are_not_selected_and_locks_add_up(names):
    found = stem().lock_out(names[:1]).lock_out(names).solve()
    out = UNITS.unit.isin(names).to_numpy()
    assert found.cost == best(UNITS, lambda x: meets(x) and not (x @ out), lambda x: x @ UNITS.cost)


def test_locks_written_as_text_in_a_table_keep_their_meaning():
    units = UNITS.assign(locked_in=["false", "false", "false", "true"])
    problem = planning.problem(units).protect(targets=TARGETS).lock_in(["a"])
    assert "2 units locked in" in str(problem)
    assert chosen(problem.solve()) >= {"a", "d"}


def test_limits_add_up_and_hold():
    problem = stem().require("frog", ">=", 5).require("cost", "<=", 6)
    x = problem.solve().plan.selected.to_numpy()
    assert x @ UNITS.frog >= 5
    assert x @ UNITS.cost == best(UNITS, lambda x: meets(x) and x @ UNITS.frog >= 5, lambda x: x @ UNITS.cost)
    assert len(problem.given["constraints"]) == 2


@pytest.mark.parametrize(("what", "objective"), [("shortfall", sum), ("largest shortfall", max)])
def test_what_a_budget_misses_is_least(what, objective):
    def missed(x):
        return objective([max(0.0, 1 - x @ UNITS.frog / 6), max(0.0, 1 - x @ UNITS.owl / 4)])

    targets = TARGETS.assign(target=[6.0, 4.0])
    found = planning.problem(UNITS).protect(targets=targets).minimise(what).spend_at_most(6).solve()
    assert found.objective == pytest.approx(best(UNITS, lambda x: x @ UNITS.cost <= 6, missed), abs=1e-9)


@pytest.mark.parametrize("what", ["features", "coverage", "utility"])
def test_what_a_budget_can_do_is_most(what):
    def done(x):
        held = np.array([x @ UNITS.frog, x @ UNITS.owl])
        return {"features": (held >= [5, 3]).sum(), "coverage": (held >= 1).sum(), "utility": held.sum()}[what]

    targets = TARGETS.assign(target=[5.0, 3.0])
    problem = planning.problem(UNITS).protect(targets=targets).maximise(what).spend_at_most(4)
    assert problem.solve().objective == -best(UNITS, lambda x: x @ UNITS.cost <= 4, lambda x: -done(x))


def test_budgets_of_groups_are_kept():
    found = stem().spend_at_most(by_group={"north": 3.0, "south": 10.0}).solve()
    x = found.plan.selected.to_numpy()
    north = (UNITS.group == "north").to_numpy()
    assert (x * north) @ UNITS.cost <= 3
    assert found.cost == best(UNITS, lambda x: meets(x) and (x * north) @ UNITS.cost <= 3, lambda x: x @ UNITS.cost)


matrices = st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=4, max_size=4).map(np.array)


@settings(max_examples=25, deadline=None)
@given(strengths=matrices, penalty=st.sampled_from([0.25, 1.0]))
def test_links_as_a_square_matrix_reward_what_they_join(strengths, penalty):
    both = (strengths + strengths.T).astype(float)
    table = pd.DataFrame(both, UNITS.unit.to_list(), UNITS.unit.to_list())

    def value(x):
        return x @ UNITS.cost - penalty * (x @ np.triu(both, 1) @ x)

    assert stem().connect(table, penalty).solve().objective == pytest.approx(best(UNITS, meets, value), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(strengths=matrices)
def test_directed_links_charge_a_source_without_its_target(strengths):
    apart = strengths * ~np.eye(4, dtype=bool)
    a, b = np.nonzero(apart)
    names = UNITS.unit.to_numpy()
    table = pd.DataFrame({"from_reef": names[a], "to_reef": names[b], "larvae": apart[a, b].astype(float)})
    problem = stem().connect(table, 0.5, directed=True, columns=("from_reef", "to_reef", "larvae"))

    def value(x):
        return x @ UNITS.cost + 0.5 * (x @ apart @ (1 - x))

    assert problem.solve().objective == pytest.approx(best(UNITS, meets, value), abs=1e-6)


def grid():
    """Nine square units of 1 km in three rows."""
    shapes = [shapely.box(1000 * x, 1000 * y, 1000 * x + 1000, 1000 * y + 1000) for y in range(3) for x in range(3)]
    data = {"unit": list("abcdefghi"), "cost": 1.0, "moss": [1.0, 0, 0, 0, 0, 0, 0, 0, 1.0]}
    return gpd.GeoDataFrame(data, geometry=shapes, crs="EPSG:32631")


def test_one_piece_joins_opposite_corners_by_a_path():
    targets = pd.DataFrame({"feature": ["moss"], "target": [2.0], "type": "absolute"})
    problem = planning.problem(grid()).protect(targets=targets)
    assert problem.solve().selected == 2
    assert problem.in_one_piece().solve().selected == 5
    assert problem.in_patches(2.0).solve().selected == 4
    assert problem.with_neighbours(1).solve().selected == 4


def test_compactness_is_charged_by_the_edge():
    edges = planning.boundaries(grid())
    targets = pd.DataFrame({"feature": ["moss"], "target": [1.0], "type": "absolute"})
    found = planning.problem(grid()).protect(targets=targets)
    charged = found.keep_compact(0.001, edges)
    assert charged.solve().objective == pytest.approx(1 + 0.001 * 4000)
    assert found.keep_compact(0.001).solve().objective == pytest.approx(1 + 0.001 * 4000)
    assert found.keep_compact(0.001, edges, outer=0.5).solve().objective == pytest.approx(1 + 0.001 * 3000)


def test_cells_of_a_raster_are_units_too():
    cost = new_raster(np.array([[1.0, 2.0], [3.0, np.nan]]), crs="EPSG:32631", cell_size=100.0, origin=(0, 200))
    newt = cost.copy(data=np.array([[1.0, 1.0], [1.0, 0.0]])).rename("newt")
    problem = planning.problem(cost).protect([newt], share=0.5)
    assert problem.solve().cost == 3.0
    assert problem.lock_in(cost.copy(data=np.array([[0.0, 0.0], [1.0, 0.0]]))).solve().cost == 4.0
    assert str(problem).startswith("Of 3 cells with a cost")


def test_shares_of_units_can_be_selected():
    found = stem().in_shares().solve()
    assert found.cost < stem().solve().cost
    half = stem().in_shares(least=0.5, most=0.75).solve().plan.selected.to_numpy()
    assert all(x == pytest.approx(0) or 0.5 - 1e-9 <= x <= 0.75 + 1e-9 for x in half)


def test_several_plans_are_offered():
    plans = stem().offer(3, "extra").solve().portfolio
    costs = sorted(np.array(x) @ UNITS.cost for x in itertools.product([0, 1], repeat=4) if meets(np.array(x)))
    assert plans.objective.tolist() == pytest.approx(costs[:3])


def test_the_problem_reads_back_as_a_sentence():
    told = str(stem().lock_in(["a"]).spend_at_most(9).in_shares(least=0.2).require("owl", "<=", 4).offer(5, "shuffle"))
    assert told == (
        "Of 4 planning units, select shares of at least 0.2 up to 1 at least cost; 2 features hold their targets; for "
        "at most 9; owl <= 4; 1 unit locked in; offer 5 plans found after shuffling."
    )


def test_the_check_solves_nothing_and_warns_of_scale(monkeypatch):
    from linkways.planning import _select_principles

    monkeypatch.setattr(_select_principles, "plans_by_principles", None)
    assert stem().check() == []
    wide = UNITS.assign(frog=[4e9, 2.0, 1.0, 0.0])
    told = planning.problem(wide).protect(targets=TARGETS).check()
    assert len(told) == 1
    assert "frog" in told[0]
    assert all(sentence.strip() and not sentence.startswith("planning.select") for sentence in told)


def test_the_check_refuses_what_cannot_be_met():
    with pytest.raises(LinkwaysError, match="frog"):
        stem().protect(targets=TARGETS.assign(target=[30.0, 1.0])).check()


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: planning.problem(UNITS.drop(columns="unit")), "no column 'unit'"),
        (lambda: stem().minimise("costs"), "cannot minimise 'costs'.*cost"),
        (lambda: stem().maximise("shortfall"), "cannot maximise 'shortfall'"),
        (lambda: stem().offer(3, "gaps"), "cannot offer 'gaps'"),
        (lambda: stem().lock_in(["z"]), "'z' is to be locked in, and no unit is called so"),
        (lambda: stem().lock_in(xr.DataArray([[1.0]])), "give the names"),
        (lambda: planning.problem(xr.DataArray([[1.0]])).lock_out(["a"]), "in a raster"),
        (lambda: stem().connect(pd.DataFrame({"x": [1]}), 1.0), "neither the columns unit_a, unit_b, strength"),
        (
            lambda: stem().connect(pd.DataFrame([[0, 1.0], [2, 0]], ["a", "b"], ["a", "b"]), 1.0),
            "1 from a to b and 2 back",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(ask, told):
    with pytest.raises(LinkwaysError, match=told):
        ask()
