"""The selection problem as a mixed-integer program, solved by HiGHS, with bounds that are computed anew."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from linkways.planning._problem import Problem

__all__ = ["Program", "Solved", "duality", "duality_bound", "program_of", "solve", "target_prices"]


@dataclass(frozen=True)
class Program:
    """Least ``cost v`` with ``low <= matrix v <= high``, ``below <= v <= above``; the first n of v are the units.

    ``owner`` tells of each row which of the planner's demands (``demands``) it belongs to, -1 for what only defines
    other variables.
    """

    cost: np.ndarray
    matrix: sp.csr_array
    low: np.ndarray
    high: np.ndarray
    below: np.ndarray
    above: np.ndarray
    whole: np.ndarray
    owner: np.ndarray
    demands: tuple[str, ...]

    def without(self, demands: set[int]) -> "Program":
        """The program without some of the demands' rows."""
        keep = ~np.isin(self.owner, list(demands)) if demands else np.ones(len(self.owner), bool)
        return replace(self, matrix=self.matrix[keep], low=self.low[keep], high=self.high[keep], owner=self.owner[keep])

    def with_rows(self, matrix: sp.csr_array, low: np.ndarray, high: np.ndarray) -> "Program":
        """The program with further rows over its first variables."""
        wide = sp.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], len(self.cost)))
        return replace(
            self,
            matrix=sp.vstack([self.matrix, wide]).tocsr(),
            low=np.r_[self.low, low],
            high=np.r_[self.high, high],
            owner=np.r_[self.owner, np.full(len(low), -1)],
        )


@dataclass
class _Builder:
    """Columns and rows of a program as they come."""

    cost: list[np.ndarray] = field(default_factory=list)
    below: list[np.ndarray] = field(default_factory=list)
    above: list[np.ndarray] = field(default_factory=list)
    whole: list[np.ndarray] = field(default_factory=list)
    blocks: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    low: list[np.ndarray] = field(default_factory=list)
    high: list[np.ndarray] = field(default_factory=list)
    owner: list[np.ndarray] = field(default_factory=list)
    demands: list[str] = field(default_factory=list)
    columns: int = 0
    rows: int = 0

    def variables(self, cost: np.ndarray, *, whole: bool = False, above: float = 1.0) -> np.ndarray:
        """New variables from 0 to ``above``; their indices."""
        count = len(cost)
        self.cost.append(np.asarray(cost, float))
        self.below.append(np.zeros(count))
        self.above.append(np.full(count, above))
        self.whole.append(np.full(count, int(whole)))
        self.columns += count
        return np.arange(self.columns - count, self.columns)

    def add(
        self,
        count: int,
        entries: list[tuple[np.ndarray, np.ndarray, Any]],
        low: Any,
        high: Any,
        demands: list[str] | None = None,
    ) -> None:
        """New rows from (row, column, factor) triples; a name per row makes it a demand of the planner's."""
        for row, column, factor in entries:
            row = np.asarray(row)
            self.blocks.append((row + self.rows, np.asarray(column), np.broadcast_to(factor, row.shape).astype(float)))
        self.low.append(np.broadcast_to(low, count).astype(float))
        self.high.append(np.broadcast_to(high, count).astype(float))
        if demands is None:
            self.owner.append(np.full(count, -1))
        elif len(demands) == 1:
            self.owner.append(np.full(count, len(self.demands)))
            self.demands += demands
        else:
            self.owner.append(len(self.demands) + np.arange(count))
            self.demands += demands
        self.rows += count

    def program(self) -> Program:
        rows, columns, factors = (
            (np.concatenate([b[k] for b in self.blocks]) if self.blocks else np.zeros(0, int)) for k in range(3)
        )
        matrix = sp.coo_array((factors, (rows, columns)), shape=(self.rows, self.columns)).tocsr()
        join = np.concatenate
        return Program(
            join(self.cost),
            matrix,
            join(self.low) if self.low else np.zeros(0),
            join(self.high) if self.high else np.zeros(0),
            join(self.below),
            join(self.above),
            join(self.whole),
            join(self.owner) if self.owner else np.zeros(0, int),
            tuple(self.demands),
        )


def program_of(problem: Problem, *, by_flow: bool = False) -> Program:
    """The problem as a mixed-integer program that minimises; a maximised objective has its sign turned.

    That whole units form one piece is left out, to be seen to by `solve_in_one_piece`, but for ``by_flow``.

    Pairs of units become one equality each, ``x_a - x_b = u - v`` with the costs of both directions on u and v;
    targets are scaled to 1.
    """
    build = _Builder()
    terms = problem.pair_terms()
    own = {"min_set": problem.costs, "max_utility": -np.asarray(problem.amounts.T @ problem.weights)}
    units = build.variables(
        own.get(problem.objective, 0.0) + terms.unary,
        whole=problem.decision == "binary",
        above=1.0 if problem.decision == "binary" else problem.most_share,
    )
    _add_pairs(build, units, problem)
    _add_features(build, problem)
    _add_rows(build, problem)
    if problem.decision == "semicontinuous" and problem.least_share > 0:
        _add_least_share(build, units, problem)
    if problem.neighbours:
        _add_neighbours(build, units, problem)
    if problem.contiguous and (by_flow or problem.decision != "binary"):
        _add_one_piece(build, units, problem)
    return _locked(build.program(), problem)


def _locked(program: Program, problem: Problem) -> Program:
    below, above = program.below.copy(), program.above.copy()
    inside, outside = np.flatnonzero(problem.locked_in), np.flatnonzero(problem.locked_out)
    below[inside], above[inside], above[outside] = 1.0, 1.0, 0.0
    return replace(program, below=below, above=above)


def _add_pairs(build: _Builder, units: np.ndarray, problem: Problem) -> None:
    terms = problem.pair_terms()
    count = len(terms.a)
    up, down = build.variables(terms.up), build.variables(terms.down)
    row = np.arange(count)
    entries = [(row, units[terms.a], 1.0), (row, units[terms.b], -1.0), (row, up, -1.0), (row, down, 1.0)]
    build.add(count, entries, 0.0, 0.0)
    joint = terms.joint
    both, row = build.variables(joint.value), np.arange(len(joint))
    build.add(len(joint), [(row, units[joint.a], 1.0), (row, units[joint.b], 1.0), (row, both, -1.0)], -np.inf, 1.0)


def _add_features(build: _Builder, problem: Problem) -> None:
    """What the objective asks of each feature with a target: r_j x / T_j against 1."""
    if problem.objective == "max_utility":
        return
    with_target = np.flatnonzero(problem.targets > 0)
    weights, count = problem.weights[with_target], len(with_target)
    scaled = (sp.diags_array(1.0 / problem.targets[with_target]) @ problem.amounts[with_target]).tocoo()
    row, own = np.arange(count), (scaled.row, scaled.col, scaled.data)
    if problem.objective == "min_set":
        names = [f"the target of {problem.features[j]} ({problem.targets[j]:.6g})" for j in with_target]
        build.add(count, [own], 1.0, np.inf, names)
    elif problem.objective == "min_shortfall":
        missed = build.variables(weights)
        build.add(count, [own, (row, missed, 1.0)], 1.0, np.inf)
    elif problem.objective == "min_largest_shortfall":
        largest = build.variables(np.ones(1), above=float(weights.max(initial=0.0)))
        weighted = (scaled.row, scaled.col, scaled.data * weights[scaled.row])
        build.add(count, [weighted, (row, np.full(count, largest[0]), 1.0)], weights, np.inf)
    else:
        met = build.variables(-weights, whole=True)
        build.add(count, [own, (row, met, -1.0)], 0.0, np.inf)


def _add_rows(build: _Builder, problem: Problem) -> None:
    if not len(problem.rows):
        return
    matrix = problem.rows.matrix.tocoo()
    size = np.zeros(len(problem.rows))
    np.maximum.at(size, matrix.row, np.abs(matrix.data))
    size[size == 0] = 1.0
    entries = [(matrix.row, matrix.col, matrix.data / size[matrix.row])]
    build.add(len(size), entries, problem.rows.lower / size, problem.rows.upper / size, list(problem.rows.names))


def _add_least_share(build: _Builder, units: np.ndarray, problem: Problem) -> None:
    """x = 0, or from the least share to the most."""
    chosen, row = build.variables(np.zeros(problem.n), whole=True), np.arange(problem.n)
    build.add(problem.n, [(row, units, 1.0), (row, chosen, -problem.least_share)], 0.0, np.inf)
    build.add(problem.n, [(row, units, 1.0), (row, chosen, -1.0)], -np.inf, 0.0)


def _add_neighbours(build: _Builder, units: np.ndarray, problem: Problem) -> None:
    """Sum of x over the neighbours of i >= k x_i."""
    a, b = problem.adjacent()
    entries = [(a, units[b], 1.0), (b, units[a], 1.0), (np.arange(problem.n), units, -float(problem.neighbours))]
    build.add(problem.n, entries, 0.0, np.inf, [f"{problem.neighbours} selected neighbours of each selected unit"])


def _add_one_piece(build: _Builder, units: np.ndarray, problem: Problem) -> None:
    """Selected units drink one each of a flow that springs from one of them and runs through selected units only."""
    n = problem.n
    a, b = problem.adjacent()
    start, end = np.r_[a, b], np.r_[b, a]
    row, pipe = np.arange(n), np.arange(len(start))
    spring = build.variables(np.zeros(n), whole=True)
    flow = build.variables(np.zeros(len(start)), above=float(n))
    build.add(1, [(np.zeros(n, int), spring, 1.0)], -np.inf, 1.0)
    build.add(n, [(row, spring, 1.0), (row, units, -1.0)], -np.inf, 0.0)
    demand = [(row, spring, float(n)), (end, flow, 1.0), (start, flow, -1.0), (row, units, -1.0)]
    build.add(n, demand, 0.0, np.inf, ["that the selected units form one piece"])
    for side in (start, end):
        build.add(len(pipe), [(pipe, flow, 1.0), (pipe, units[side], -float(n - 1))], -np.inf, 0.0)


# --- solving ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Solved:
    """What the solver found: ``x`` is None where there is none; ``bound`` is its lower bound on the program's cost."""

    x: np.ndarray | None
    bound: float
    infeasible: bool
    seconds: float


def solve(program: Program, time_limit_s: float, gap: float) -> Solved:
    """Solve by HiGHS (through SciPy); costs are scaled so that its absolute tolerances mean the same everywhere."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    begun = time.perf_counter()
    size = float(np.abs(program.cost[program.cost != 0]).mean()) if program.cost.any() else 1.0
    constraints = LinearConstraint(program.matrix, program.low, program.high) if len(program.low) else None
    found = milp(
        program.cost / size,
        constraints=constraints,
        integrality=program.whole,
        bounds=Bounds(program.below, program.above),
        options={"time_limit": max(time_limit_s, 0.01), "mip_rel_gap": gap, "presolve": True},
    )
    seconds = time.perf_counter() - begun
    if found.x is None:
        return Solved(None, -np.inf, found.status == 2, seconds)
    told = getattr(found, "mip_dual_bound", None)
    if told is None or not program.whole.any():
        told = found.fun if found.status == 0 else -np.inf
    x = np.where(program.whole == 1, np.rint(found.x), np.clip(found.x, program.below, program.above)) + 0.0
    return Solved(x, float(told) * size, False, seconds)


def duality_bound(program: Program, time_limit_s: float) -> float:
    """A lower bound on the program's cost by weak duality, computed from the arrays themselves; see `duality`."""
    return duality(program, time_limit_s)[0]


def target_prices(problem: Problem, prices: np.ndarray) -> np.ndarray:
    """(m,) what one more unit of each feature's target adds to the bound, from the row prices of its `program_of`."""
    found = np.zeros(problem.m)
    if problem.objective == "max_utility":
        return found
    terms, aimed = problem.pair_terms(), np.flatnonzero(problem.targets > 0)
    first = len(terms.a) + len(terms.joint)  # rows of pairs come before those of features
    weight = problem.weights[aimed] if problem.objective == "min_largest_shortfall" else 1.0
    found[aimed] = weight * np.maximum(prices[first : first + len(aimed)], 0.0) / problem.targets[aimed]
    return found


def duality(program: Program, time_limit_s: float) -> tuple[float, np.ndarray]:
    """A lower bound on the program's cost by weak duality, computed from the arrays themselves, and its row prices.

    Any row prices y give the bound ``sum_r (y_r low_r where y_r > 0, y_r high_r where y_r < 0) + sum_v min over
    [below, above] of (cost - matrix' y) v``. The prices are those of the relaxation without whole numbers; were they
    wrong, the bound would be weaker but still one.
    """
    prices = _prices(program, time_limit_s)
    prices = np.where((prices > 0) & ~np.isfinite(program.low), 0.0, prices)
    prices = np.where((prices < 0) & ~np.isfinite(program.high), 0.0, prices)
    ends = np.where(prices > 0, program.low, np.where(prices < 0, program.high, 0.0))
    reduced = program.cost - program.matrix.T @ prices
    least = np.minimum(reduced * program.below, reduced * program.above)
    return float(prices @ ends + least.sum()), prices


def _prices(program: Program, time_limit_s: float) -> np.ndarray:
    """Row prices of the linear relaxation; 0 where it was not solved in time."""
    from scipy.optimize import linprog

    if not len(program.low):
        return np.zeros(0)
    equal = program.low == program.high
    under, over = np.isfinite(program.low) & ~equal, np.isfinite(program.high) & ~equal
    size = float(np.abs(program.cost[program.cost != 0]).mean()) if program.cost.any() else 1.0
    found = linprog(
        program.cost / size,
        A_ub=sp.vstack([-program.matrix[under], program.matrix[over]]).tocsr() if (under | over).any() else None,
        b_ub=np.r_[-program.low[under], program.high[over]] if (under | over).any() else None,
        A_eq=program.matrix[equal] if equal.any() else None,
        b_eq=program.low[equal] if equal.any() else None,
        bounds=np.column_stack([program.below, program.above]),
        method="highs",
        options={"time_limit": max(time_limit_s, 0.01)},
    )
    prices = np.zeros(len(program.low))
    if found.status != 0:
        return prices
    if (under | over).any():
        marginal = found.ineqlin.marginals
        prices[under] -= marginal[: int(under.sum())]
        prices[over] += marginal[int(under.sum()) :]
    if equal.any():
        prices[equal] = found.eqlin.marginals
    return prices * size
