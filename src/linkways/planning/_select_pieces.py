"""Plans in one piece: separators are added to the program as they are missed, until the best plan is in one piece."""

import time
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from linkways.kernels.min_cut import cut_graph, min_cut
from linkways.planning._problem import Problem
from linkways.planning._select_growth import Growth
from linkways.planning._select_program import Program, Solved, solve

__all__ = ["solve_in_one_piece"]

HALF = 0.5
MISSED = 1e-4  # a separator is added where it is missed by more
RELAXED_ROUNDS, MOST_CUTS = 40, 400  # rounds of the relaxation, and separators added in each
RINGS = 4  # separators around a piece, one around the other
RELAXED_SHARE = 0.3  # of the time goes into the relaxation, at most
STARTS, ROUNDS = 4, 20  # plans grown to begin with, and parts of a plan grown anew between two programs


@dataclass(frozen=True)
class _Ground:
    """Who shares an edge with whom, and what a set of units cannot do alone."""

    problem: Problem
    touching: sp.csr_array
    balls: dict[int, np.ndarray]
    """what `ball` has found so far"""

    def ball(self, unit: int) -> np.ndarray:
        """Units within the largest ball around one that cannot meet the demands alone; empty: all of them, or none."""
        if unit not in self.balls:
            self.balls[unit] = _ball(self, unit)
        return self.balls[unit]

    def lacks(self, units: np.ndarray) -> bool:
        """Whether no selection within these units (a mask) can meet the demands, so that one has to go beyond them."""
        p = self.problem
        if (p.locked_in & ~units).any():
            return True
        return p.objective == "min_set" and bool((p.held(units.astype(float)) < p.targets * (1 - 1e-6)).any())

    def border(self, units: np.ndarray) -> np.ndarray:
        """(n,) mask of the units that touch these and are not among them."""
        found: np.ndarray = np.asarray(self.touching @ units.astype(float) > 0) & ~units
        return found

    def pieces(self, x: np.ndarray) -> tuple[int, np.ndarray]:
        """How many pieces a selection has, and of each unit the number of its piece (-1: not selected)."""
        chosen = np.flatnonzero(x > HALF)
        label = np.full(self.problem.n, -1)
        count, own = connected_components(self.touching[chosen][:, chosen], directed=False)
        label[chosen] = own
        return count, label


def _ground(problem: Problem) -> _Ground:
    a, b = problem.adjacent()
    n = problem.n
    ones = np.ones(2 * len(a))
    return _Ground(problem, sp.csr_array((ones, (np.r_[a, b], np.r_[b, a])), shape=(n, n)), {})


def _ball(ground: _Ground, centre: int) -> np.ndarray:
    """Whole rings of units around the centre, as many as cannot meet the demands alone."""
    p = ground.problem
    inside = np.zeros(p.n, bool)
    inside[centre] = True
    if p.locked_out[centre] or not ground.lacks(inside):
        return np.zeros(0, np.int64)
    while True:
        ring = ground.border(inside)
        if not ring.any():
            return np.zeros(0, np.int64)
        if not ground.lacks(inside | ring):
            return np.flatnonzero(inside)
        inside |= ring


def solve_in_one_piece(program: Program, problem: Problem, time_limit_s: float, gap: float) -> tuple[Solved, Program]:
    """The best plan in one piece, and the program with the separators that proved it.

    Where two selected units lie in different pieces, the units of a set that separates them are missed: of a set S
    between a and b, ``sum_S x >= x_a + x_b - 1``; and where the units on the side of a cannot meet the demands alone,
    so that any plan with a goes beyond them, ``sum_S x >= x_a`` (Carvajal and others 2013; Fischetti and others 2017).
    Separators are found by minimum cuts in the relaxation, then around the pieces of whole plans. Every program on the
    way leaves out only what is not in one piece, so its bound holds. Plans come from the programs too, and for a
    minimum set from growth (see `Growth`).

    Carvajal R, Constantino M, Goycoolea M, Vielma JP, Weintraub A (2013) Imposing connectivity constraints in forest
    planning models. Operations Research 61:824-836.
    Fischetti M, Leitner M, Ljubic I, and others (2017) Thinning out Steiner trees: a node-based model for uniform edge
    costs. Mathematical Programming Computation 9:203-229.
    """
    begun, ground = time.perf_counter(), _ground(problem)
    until, growth = begun + time_limit_s, Growth(program, problem, ground.touching)
    program, likely, bound = _relaxed(program, ground, begun + RELAXED_SHARE * time_limit_s)
    growth.begin(likely, STARTS, until)
    growth.begin(-program.cost[: problem.n], STARTS, until)
    while True:
        enough = max(bound, bound / (1.0 - gap)) if bound > 0 else bound
        growth.improve(until, enough, ROUNDS + problem.n // 10)
        value = growth.value
        if value - bound <= gap * max(abs(value), 1e-12) or (growth.best is not None and time.perf_counter() > until):
            return Solved(growth.best, min(bound, value), False, time.perf_counter() - begun), program
        found = solve(program, max(until - time.perf_counter(), 0.01), gap)
        if found.x is None:
            over = found.infeasible and growth.best is None
            bound = value if found.infeasible and growth.best is not None else bound
            return Solved(growth.best, bound, over, time.perf_counter() - begun), program
        bound = max(bound, found.bound)
        count, label = ground.pieces(found.x[: problem.n])
        growth.take(found.x) if count <= 1 else growth.mend(found.x)
        if count <= 1 or time.perf_counter() > until:
            value = growth.value
            return Solved(growth.best, min(bound, value), False, time.perf_counter() - begun), program
        program = _with(program, problem.n, _around(ground, label, count))


def _with(program: Program, n: int, cuts: list[tuple[np.ndarray, np.ndarray, float]]) -> Program:
    """The program with ``sum over S of x - sum over the ends of x >= least`` for each (S, ends, least)."""
    if not cuts:
        return program
    rows = [np.repeat(k, len(c[0]) + len(c[1])) for k, c in enumerate(cuts)]
    columns = [np.r_[c[0], c[1]] for c in cuts]
    factors = [np.r_[np.ones(len(c[0])), -np.ones(len(c[1]))] for c in cuts]
    matrix = sp.csr_array(
        (np.concatenate(factors), (np.concatenate(rows), np.concatenate(columns))), shape=(len(cuts), n)
    )
    return program.with_rows(matrix, np.array([c[2] for c in cuts]), np.full(len(cuts), np.inf))


def _around(ground: _Ground, label: np.ndarray, count: int) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Separators around each piece, and rings around those as far as they hold no selected unit."""
    cuts, selected = [], label >= 0
    for piece in range(count):
        inside = label == piece
        own = np.flatnonzero(inside)
        for _ in range(RINGS):
            ring = ground.border(inside)
            if (ring & selected).any():
                break
            gap = np.flatnonzero(ring)
            if ground.lacks(inside):
                cuts += [(gap, np.array([a]), 0.0) for a in own]
            else:
                others = np.flatnonzero(selected & ~inside)
                cuts += [(gap, np.array([a, b]), -1.0) for a in own for b in others][:MOST_CUTS]
            inside = inside | ring
    return cuts


def _relaxed(program: Program, ground: _Ground, until: float) -> tuple[Program, np.ndarray, float]:
    """The program with separators that its relaxation to shares misses, found by minimum cuts; shares, and bound."""
    n, shares = ground.problem.n, np.zeros_like(program.whole)
    likely, bound = np.zeros(n), -np.inf
    for _ in range(RELAXED_ROUNDS):
        left = until - time.perf_counter()
        if left <= 0:
            break
        found = solve(replace(program, whole=shares), left, 0.0)
        if found.x is None:
            break
        likely, bound = found.x[:n], max(bound, found.bound)
        cuts = _missed(ground, likely)
        if not cuts:
            break
        program = _with(program, n, cuts)
    return program, likely, bound


def _missed(ground: _Ground, x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """For each unit with a share: the least separator within its ball, where it adds up to less than the share.

    Nodes are split: the arc from a unit's way in to its way out has its share as capacity.
    """
    n = len(x)
    cuts: list[tuple[np.ndarray, np.ndarray, float]] = []
    edges = ground.touching.tocoo()
    units = np.arange(n)
    much = float(n + 1)
    graph = cut_graph(
        2 * n,
        np.r_[units, n + edges.row],
        np.r_[n + units, edges.col],
        np.r_[np.maximum(x, 0.0) + 1e-9, np.full(len(edges.row), much)],
        np.zeros(n + len(edges.row)),
    )
    for a in np.argsort(-x, kind="stable"):
        if x[a] <= MISSED or len(cuts) >= MOST_CUTS:
            break
        ball = ground.ball(int(a))
        if not len(ball):
            continue
        unary = np.zeros(2 * n)
        # the separator may lie in the ring around the ball, the side of a may not
        unary[n:] = much * n
        unary[n + ball] = 0.0
        unary[n + a] = -much * n
        cut = min_cut(graph, unary)
        separator = cut.selected[:n] & ~cut.selected[n:]
        if x[separator].sum() < x[a] - MISSED and not separator[a]:
            cuts.append((np.flatnonzero(separator), np.array([a]), 0.0))
    return cuts
