"""The min-cut planner beside every selection tried by hand."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.errors import LinkwaysError
from linkways.planning import select
from linkways.planning._cut_planner import plan_by_cuts, plans_apart, proven
from linkways.planning._cut_problem import covering_of, merged, part
from linkways.planning._cut_search import exact
from linkways.planning._problem import Pairs, Problem, Rows
from linkways.planning._select_program import solve
from linkways.spatial import new_raster

SIDE = 3
PAIRS = [(k, k + 1) for k in range(9) if k % 3 < 2] + [(k, k + 3) for k in range(6)]


@st.composite
def problems(draw, objective=None):
    """Nine units in a square, with boundary, directed links, locks, a budget and sums to be met, as they come."""
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    objective = draw(st.sampled_from(["min_set", "min_shortfall", "max_utility"])) if objective is None else objective
    amounts = sp.csr_array(random.integers(0, 6, (3, 9)).astype(float) + np.eye(3, 9))
    total = np.asarray(amounts.sum(axis=1)).ravel()
    costs = random.integers(1, 10, 9).astype(float)
    locked = random.permutation(9)
    inside, outside = np.isin(np.arange(9), locked[:1]), np.isin(np.arange(9), locked[1:3])
    if draw(st.booleans()):
        inside[:], outside[:] = False, False
    targets = 0.9 * random.uniform(0.2, 0.9, 3) * np.asarray(amounts @ ~outside)
    rows = Rows((), sp.csr_array((0, 9)), np.zeros(0), np.zeros(0))
    if objective != "min_set":
        # the loosest ones bind nothing, so that no price is left
        budget = costs[inside].sum() + random.uniform(0.1, draw(st.sampled_from([0.6, 2.0]))) * costs.sum()
        rows = Rows(("budget",), sp.csr_array(costs[None, :]), np.array([-np.inf]), np.array([budget]))
    if draw(st.booleans()):
        factors = random.integers(-3, 5, 9).astype(float)
        level = float(factors @ random.integers(0, 2, 9))
        upper = level if draw(st.booleans()) else np.inf
        more = sp.vstack([rows.matrix, sp.csr_array(factors[None, :])]).tocsr()
        rows = Rows((*rows.names, "sum"), more, np.r_[rows.lower, level], np.r_[rows.upper, upper])
    a, b = np.array(PAIRS).T
    asymmetric = draw(st.booleans())
    ends = (np.array([0, 4, 8, 2]), np.array([4, 0, 3, 6])) if asymmetric else (np.array([0, 3]), np.array([4, 7]))
    return Problem(
        objective,
        np.arange(9),
        costs,
        np.arange(3),
        amounts,
        targets,
        total,
        random.integers(1, 4, 3).astype(float),
        inside,
        outside,
        rows,
        boundary=Pairs(a, b, random.integers(0, 4, len(a)).astype(float)),
        exposed=random.integers(0, 4, 9).astype(float),
        boundary_penalty=float(random.choice([0.0, 0.05, 0.7])),
        edge_factor=0.5,
        connectivity=Pairs(*ends, random.integers(0, 4, len(ends[0])).astype(float)),
        connectivity_penalty=float(random.choice([0.0, 0.4])),
        asymmetric=asymmetric,
    )


def allowed(problem, x):
    if (x[problem.locked_in] < 1).any() or (x[problem.locked_out] > 0).any():
        return False
    if problem.objective == "min_set" and (problem.amounts @ x < problem.targets - 1e-9).any():
        return False
    held = problem.rows.matrix @ x
    return bool((held <= problem.rows.upper + 1e-9).all() and (held >= problem.rows.lower - 1e-9).all())


def selections():
    return (np.array(x, float) for x in itertools.product((0, 1), repeat=9))


def least(problem):
    """The best value of a problem, as one that minimises; infinite where no selection is allowed."""
    sign = -1.0 if problem.maximised else 1.0
    return min((sign * problem.value(x) for x in selections() if allowed(problem, x)), default=np.inf)


@given(problem=problems())
@settings(max_examples=40, deadline=None)
def test_a_covering_values_selections_as_the_problem_does(problem):
    covering, sign = covering_of(problem), -1.0 if problem.maximised else 1.0
    for x in selections():
        if (x[problem.locked_in] < 1).any() or (x[problem.locked_out] > 0).any():
            continue
        free = x[covering.free] > 0.5
        wanted = sign * problem.value(x) if allowed(problem, x) else np.inf
        assert covering.value(free) == pytest.approx(wanted, abs=1e-9)
        assert (covering.plan(free) == x).all()


@given(problem=problems(), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_merged_units_cost_what_they_cost_apart(problem, seed):
    covering, random = covering_of(problem), np.random.default_rng(seed)
    count = 3
    label = random.integers(-1, count, covering.n)
    rest = random.random(covering.n) < 0.5
    small = merged(covering, label, count, rest)
    for y in itertools.product((False, True), repeat=count):
        x = np.where(label >= 0, np.array(y)[label], rest)
        assert small.value(np.array(y)) == pytest.approx(covering.value(x), abs=1e-9)


@given(problem=problems())
@settings(max_examples=20, deadline=None)
def test_the_program_of_a_covering_has_the_best_selection(problem):
    covering, best = covering_of(problem), least(problem)
    found = solve(exact(covering), 20.0, 0.0)
    if np.isinf(best):
        assert found.x is None
        return
    assert covering.value(found.x[: covering.n] > 0.5) == pytest.approx(best, abs=1e-6)


@given(problem=problems())
@settings(max_examples=25, deadline=None)
def test_the_bound_is_below_the_best_selection_and_the_plan_above(problem):
    best = least(problem)
    if np.isinf(best):
        return
    assert proven(problem, 5.0).bound <= best + 1e-9
    found = plan_by_cuts(problem, 5.0, 0.02, finish=False)
    assert found.bound <= best + 1e-9
    assert allowed(problem, found.x)
    sign = -1.0 if problem.maximised else 1.0
    assert found.value == pytest.approx(sign * problem.value(found.x), abs=1e-9)
    assert found.value >= best - 1e-9


@given(problem=problems())
@settings(max_examples=20, deadline=None)
def test_with_the_exact_solver_at_the_end_the_best_selection_is_found(problem):
    best = least(problem)
    if np.isinf(best):
        return
    found = plan_by_cuts(problem, 20.0, 0.0, finish=True)
    assert found.value == pytest.approx(best, abs=1e-6)
    assert found.bound == pytest.approx(best, abs=1e-5)


def nine(objective, **changes):
    """Nine units in a square, one feature in all of them."""
    a, b = np.array(PAIRS).T
    none, ones = np.zeros(9, bool), np.ones(9)
    rows = Rows((), sp.csr_array((0, 9)), np.zeros(0), np.zeros(0))
    table = Problem(
        objective, np.arange(9), np.arange(1.0, 10.0), np.arange(1), sp.csr_array(np.ones((1, 9))), np.array([4.0]),
        np.array([9.0]), np.ones(1), none, none, rows, boundary=Pairs(a, b, np.ones(len(a))),
        exposed=ones, boundary_penalty=0.1,
    )  # fmt: skip
    return replace(table, **changes)


def test_where_nothing_has_a_price_the_cut_is_the_best_plan():
    """A budget that all units fit into is no demand: nine units with an amount of 1 each, less the outer edge of 9."""
    budget = Rows(("budget",), sp.csr_array(np.arange(1.0, 10.0)[None, :]), np.array([-np.inf]), np.array([45.0]))
    problem = nine("max_utility", rows=budget)
    found = plan_by_cuts(problem, 5.0, 0.0, finish=True)
    assert found.x.tolist() == [1.0] * 9
    assert found.value == pytest.approx(-8.1)
    assert found.bound == pytest.approx(-8.1)
    assert proven(problem, 5.0).bound == pytest.approx(-8.1)


@pytest.mark.parametrize("finish", [True, False])
@pytest.mark.parametrize("objective", ["min_set", "min_shortfall", "max_utility"])
def test_where_all_units_are_locked_nothing_is_left_to_choose(objective, finish):
    inside = np.arange(9) % 2 == 0
    problem = nine(objective, locked_in=inside, locked_out=~inside)
    value = problem.value(inside.astype(float)) * (-1 if problem.maximised else 1)
    found = plan_by_cuts(problem, 5.0, 0.0, finish=finish)
    assert found.x.tolist() == inside.tolist()
    assert found.bound == found.value == pytest.approx(value)
    assert proven(problem, 5.0).bound == pytest.approx(value)
    assert len(plans_apart(problem, found, 3, 0.1, 5.0, 0)) == 1


def test_rows_that_pull_in_opposite_directions_are_met():
    """Costs 1 to 9 that add up to 23, no more and no less, and five units at least; a repair alone fails."""
    factors = np.array([np.arange(1.0, 10.0), np.ones(9)])
    sums = Rows(("sum", "number"), sp.csr_array(factors), np.array([23.0, 5.0]), np.array([23.0, 5.0]))
    found = plan_by_cuts(nine("min_set", rows=sums), 5.0, 0.0, finish=False)
    assert found.x @ np.arange(1.0, 10.0) == 23
    assert found.x.sum() == 5


def test_a_part_needs_the_share_that_it_holds():
    covering = covering_of(landscape(12))
    units = np.flatnonzero(np.arange(covering.n) % 3 == 0)
    small = part(covering, units)
    held = np.asarray(covering.rows[:, units].sum(axis=1)).ravel() / np.asarray(covering.rows.sum(axis=1)).ravel()
    assert small.need == pytest.approx(covering.need * held)
    assert small.n == len(units)


# --- larger ----------------------------------------------------------------------------------------------------


def fields(side, features=8, seed=0):
    """Simulated: smooth features on a third of the land, and costs without pattern."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(seed)
    layers = [gaussian_filter(random.standard_normal((side, side)), 3, mode="wrap") for _ in range(features)]
    layers = [np.clip(f - np.quantile(f, 0.65), 0, None) / f.std() for f in layers]
    return random.lognormal(0, 0.5, (side, side)), layers


def landscape(side, penalty=0.1):
    cost, layers = fields(side)
    n = side * side
    amounts = sp.csr_array(np.array([f.ravel() for f in layers]))
    cell = np.arange(n).reshape(side, side)
    a, b = np.r_[cell[:, :-1].ravel(), cell[:-1].ravel()], np.r_[cell[:, 1:].ravel(), cell[1:].ravel()]
    total, none = np.asarray(amounts.sum(axis=1)).ravel(), np.zeros(n, bool)
    return Problem(
        "min_set", np.arange(n), cost.ravel(), np.arange(len(layers)), amounts, 0.2 * total, total,
        np.ones(len(layers)), none, none, Rows((), sp.csr_array((0, n)), np.zeros(0), np.zeros(0)),
        boundary=Pairs(a, b, np.ones(len(a))), exposed=np.zeros(n), boundary_penalty=penalty,
    )  # fmt: skip


def rasters(side):
    cost, layers = fields(side)
    made = [new_raster(v, crs="EPSG:32736", cell_size=1.0, name=f"f{k}") for k, v in enumerate(layers)]
    return {"cost": new_raster(cost, crs="EPSG:32736", cell_size=1.0, name="cost"), "features": made}


@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_min_cut_and_highs_bound_each_other(penalty):
    """Each plan lies above the other solver's bound; both are within the gap asked for."""
    maps = {**rasters(46), "target": 0.2, "boundary_penalty": penalty, "gap_percent": 2.0, "time_limit_s": 60.0}
    ours = select(**maps)
    theirs = select(**maps, solver="highs")
    assert ours.summary.solver[0].startswith("min_cut")
    assert theirs.summary.solver[0] == "HiGHS"
    assert ours.gap_percent <= 2.0
    assert ours.bound <= theirs.objective
    assert theirs.bound <= ours.objective + 1e-6 * ours.objective
    assert ours.targets_met == 8
    # the cut is integral, so its best bound is that of the linear relaxation
    assert ours.summary.relaxed_bound[0] == pytest.approx(theirs.summary.relaxed_bound[0], rel=5e-3)


def test_the_best_prices_prove_the_bound_of_the_linear_relaxation():
    from linkways.planning._select_program import program_of

    problem = landscape(30)
    program = program_of(problem)
    relaxed = solve(replace(program, whole=np.zeros_like(program.whole)), 60.0, 0.0)
    assert proven(problem, 30.0).bound == pytest.approx(relaxed.bound, rel=1e-3)
    assert proven(problem, 30.0).bound <= relaxed.bound * (1 + 1e-9)


@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_prices_of_targets_are_the_slopes_of_the_relaxation(penalty):
    """Beside the linear program solved at targets a little lower and a little higher."""
    from linkways.planning._select_program import program_of

    problem = landscape(20, penalty)

    def relaxed(targets):
        program = program_of(replace(problem, targets=targets))
        return solve(replace(program, whole=np.zeros_like(program.whole)), 60.0, 0.0).bound

    ours, bound = proven(problem, 20.0), relaxed(problem.targets)
    assert ours.bound == pytest.approx(bound, rel=1e-3)
    for j in range(problem.m):
        step = 1e-3 * problem.targets[j] * (np.arange(problem.m) == j)
        below, above = bound - relaxed(problem.targets - step), relaxed(problem.targets + step) - bound
        # the relaxation is convex in a target, so its slopes on both sides enclose the price
        near = 0.15 * above + 1e-4 * bound
        assert below - near <= ours.prices[j] * step[j] <= above + near


def test_a_budget_buys_as_much_as_the_bound_allows():
    maps = rasters(46)
    budget = 0.05 * float(maps["cost"].sum())
    for wishes in ({"objective": "min_shortfall", "target": 0.3}, {"objective": "max_utility"}):
        found = select(**maps, **wishes, budget=budget, boundary_penalty=1e-3, gap_percent=2.0, solver="min_cut")
        assert found.cost <= budget * (1 + 1e-9)
        assert found.gap_percent <= 2.0


@pytest.mark.parametrize("kind", ["gap", "shuffle"])
def test_further_plans_of_min_cut_differ_and_lie_within_the_gap(kind):
    wishes = {"boundary_penalty": 0.1, "gap_percent": 1.0, "portfolio": kind, "number": 4, "portfolio_gap_percent": 8.0}
    found = select(**rasters(46), target=0.2, solver="min_cut", **wishes)
    assert len(found.portfolio) == 4
    assert (found.portfolio.differ[1:] >= 1).all()
    assert (found.portfolio.objective <= 1.08 * found.portfolio.objective.min() * 1.01).all()
    assert (found.portfolio.objective.diff()[1:] >= 0).all()
    shares = found.frequency.values
    assert ((shares > 0) & (shares < 1)).any()


def test_plans_far_apart_are_farther_apart_than_shuffled_ones():
    wishes = {"boundary_penalty": 0.1, "gap_percent": 1.0, "number": 3, "portfolio_gap_percent": 8.0}
    apart, mixed = (
        select(**rasters(46), target=0.2, solver="min_cut", portfolio=kind, **wishes).portfolio.differ[1:].mean()
        for kind in ("gap", "shuffle")
    )
    assert apart > mixed


def test_annealing_has_a_bound_beside_it():
    found = select(**rasters(20), target=0.2, boundary_penalty=0.1, solver="annealing", iterations=300_000)
    exact_one = select(**rasters(20), target=0.2, boundary_penalty=0.1, gap_percent=3.0)
    assert found.summary.solver[0] == "annealing"
    assert found.targets_met == 8
    assert found.bound <= exact_one.objective * (1 + 1e-9)
    assert exact_one.bound <= found.objective * (1 + 1e-9)
    assert found.gap_percent < 25


def test_shuffled_plans_of_annealing_differ():
    wishes = {"portfolio": "shuffle", "number": 3, "portfolio_gap_percent": 30.0, "iterations": 100_000}
    found = select(**rasters(20), target=0.2, solver="annealing", **wishes)
    assert len(found.portfolio) == 3
    assert (found.portfolio.differ[1:] >= 1).all()


UNITS = pd.DataFrame({"unit": ["a", "b"], "cost": [1.0, 2.0], "frog": [1.0, 2.0]})
FROG = pd.DataFrame({"feature": ["frog"], "target": [2.0], "type": "absolute"})


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"solver": "min_cut", "portfolio": "extra"}, "no portfolio 'extra'"),
        ({"solver": "annealing", "portfolio": "gap"}, "no portfolio 'gap'"),
        ({"solver": "min_cut", "decision": "proportion"}, "solver min_cut knows"),
        ({"solver": "annealing", "decision": "proportion"}, "annealing needs whole units"),
        ({"solver": "min_cut", "objective": "max_features", "budget": 2.0}, "solver min_cut knows"),
    ],
)
def test_what_a_solver_cannot_do_is_refused_in_a_sentence(wishes, words):
    with pytest.raises(LinkwaysError, match=words):
        select(UNITS, targets=FROG, **wishes)


def test_a_plan_that_cannot_be_is_refused_by_min_cut_too():
    limit = pd.DataFrame({"column": ["cost"], "sense": ["<="], "limit": [1.0]})
    with pytest.raises(LinkwaysError, match="min_cut found no plan"):
        select(UNITS, targets=FROG, constraints=limit, solver="min_cut")
