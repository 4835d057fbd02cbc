"""Operational principles within a selection: units selected together, patches large enough, replicates in regions."""

import time
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from linkways.errors import LinkwaysError
from linkways.planning._problem import Pairs, Problem, Rows, named
from linkways.planning._select_program import Program, program_of, solve
from linkways.planning._select_solve import Plan, Portfolio, best_plan, opened, proven_plan
from linkways.planning._select_ways import Effort, plans_of

__all__ = ["Principles", "plans_by_principles"]

ID = "planning.select"
HALF = 0.5


@dataclass(frozen=True)
class Principles:
    """What a plan must keep beside its demands; numbers are -1 for units that belong to none."""

    together: np.ndarray
    """(n,) number of the set of units that are selected together"""
    together_names: list[str]
    min_patch_km2: float
    areas: np.ndarray
    """(n,) km2"""
    replicates: int
    region: np.ndarray
    """(n,) number of the region"""
    region_names: list[str]

    @property
    def of_pieces(self) -> bool:
        """Whether they ask something of the pieces of the selection."""
        return self.min_patch_km2 > 0 or self.replicates > 0


def plans_by_principles(problem: Problem, wishes: Principles, wanted: Portfolio, effort: Effort) -> list[Plan]:
    """Plans that keep the principles too, the best first.

    Units that are selected together become one unit, wherever that says the same; elsewhere (where neighbours, one
    piece or pieces are asked for, or links within a set have a worth) each gets the constraint to equal the first.

    Raises LinkwaysError where a solver cannot do what is asked, and where no plan keeps all.
    """
    if (wishes.together >= 0).any():
        _refuse_split_locks(problem, wishes)
        if not (wishes.of_pieces or problem.neighbours or problem.contiguous or _linked_within(problem, wishes)):
            number, small = _merged(problem, wishes)
            plans = plans_of(small, wanted, effort)
            return [replace(p, x=p.x[number], value=problem.value(p.x[number])) for p in plans]
        problem = replace(problem, rows=_equal(problem, wishes))
    if not wishes.of_pieces:
        return plans_of(problem, wanted, effort)
    if effort.solver in ("min_cut", "annealing") or problem.decision != "binary" or problem.contiguous:
        raise LinkwaysError(
            f"{ID}: least patches and replicates need whole units, the solver highs and no contiguity; set solver to "
            "automatic, decision to binary and contiguous to false"
        )
    if wanted.kind != "none" and wanted.number > 1:
        raise LinkwaysError(f"{ID}: portfolios do not know least patches and replicates; set portfolio to none")
    return [_in_patches(problem, wishes, effort.time_limit_s, effort.gap)]


# --- units selected together -----------------------------------------------------------------------------------


def _refuse_split_locks(problem: Problem, wishes: Principles) -> None:
    member = wishes.together >= 0
    count = len(wishes.together_names)
    inside = np.bincount(wishes.together[member & problem.locked_in], minlength=count) > 0
    outside = np.bincount(wishes.together[member & problem.locked_out], minlength=count) > 0
    both = [wishes.together_names[k] for k in np.flatnonzero(inside & outside)]
    if both:
        raise LinkwaysError(
            f"{ID}: {len(both)} sets of units that are selected together have one locked in and another locked out "
            f"({named(both)}); keep one of the two locks"
        )


def _linked_within(problem: Problem, wishes: Principles) -> bool:
    links, set_of = problem.connectivity, wishes.together
    if problem.asymmetric or not problem.connectivity_penalty:
        return False
    return bool(((set_of[links.a] >= 0) & (set_of[links.a] == set_of[links.b]) & (links.value != 0)).any())


def _merged(problem: Problem, wishes: Principles) -> tuple[np.ndarray, Problem]:
    """The number of each unit's place in a smaller problem, and that problem."""
    alone = np.flatnonzero(wishes.together < 0)
    label = wishes.together.copy()
    label[alone] = len(wishes.together_names) + np.arange(len(alone))
    _, first, number = np.unique(label, return_index=True, return_inverse=True)
    count = len(first)
    join = sp.csr_array((np.ones(problem.n), (np.arange(problem.n), number)), shape=(problem.n, count))

    def summed(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(number, values, count)) if len(values) else values

    rows = problem.rows
    return number, replace(
        problem,
        units=problem.units[first],
        costs=summed(problem.costs),
        amounts=(problem.amounts @ join).tocsr(),
        locked_in=summed(problem.locked_in.astype(float)) > 0,
        locked_out=summed(problem.locked_out.astype(float)) > 0,
        rows=replace(rows, matrix=(rows.matrix @ join).tocsr()),
        boundary=_joined(problem.boundary, number, count, directed=False),
        exposed=summed(problem.exposed),
        connectivity=_joined(problem.connectivity, number, count, directed=problem.asymmetric),
    )


def _joined(pairs: Pairs, number: np.ndarray, count: int, *, directed: bool) -> Pairs:
    a, b = number[pairs.a], number[pairs.b]
    apart = a != b
    a, b, value = a[apart], b[apart], pairs.value[apart]
    if not directed:
        a, b = np.minimum(a, b), np.maximum(a, b)
    keys, place = np.unique(a.astype(np.int64) * count + b, return_inverse=True)
    return Pairs(keys // count, keys % count, np.bincount(place, value, len(keys)))


def _equal(problem: Problem, wishes: Principles) -> Rows:
    """The rows, and one more for each further unit of a set: it equals the first."""
    first: dict[int, int] = {}
    names, pairs = [], []
    for unit in np.flatnonzero(wishes.together >= 0):
        own = int(wishes.together[unit])
        if first.setdefault(own, int(unit)) != unit:
            names.append(f"that {problem.units[unit]} is selected together with {problem.units[first[own]]}")
            pairs.append((first[own], int(unit)))
    a, b = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    row = np.arange(len(pairs))
    factors = (np.r_[np.ones(len(row)), -np.ones(len(row))], (np.r_[row, row], np.r_[a, b]))
    more = sp.csr_array(factors, shape=(len(row), problem.n))
    old, nothing = problem.rows, np.zeros(len(row))
    matrix = sp.vstack([old.matrix, more]).tocsr() if len(old) else more
    return Rows((*old.names, *names), matrix, np.r_[old.lower, nothing], np.r_[old.upper, nothing])


# --- patches and replicates ------------------------------------------------------------------------------------


def _in_patches(problem: Problem, wishes: Principles, time_limit_s: float, gap: float) -> Plan:
    """The best plan whose pieces are all large enough and of which enough touch each region.

    Solved in rounds, each with what the plan before it missed. A piece S that is too small gives the rows ``x_i <= sum
    of x over the neighbours of S`` for all i in S: whatever piece i is in has to go beyond S. They hold in every plan
    with patches large enough, and so do those of S with rings of units around it that is still too small. A region with
    too few pieces gets colours: each selected unit has one of k, units that touch have the same, and each colour occurs
    in the region, which is so just where k pieces touch it. What is left out in a round only makes the plan better, so
    every round's bound holds.
    """
    begun = time.perf_counter()
    found = _rounds(program_of(problem), problem, wishes, time_limit_s, gap)
    left = max(time_limit_s - (time.perf_counter() - begun), 1.0)
    if found.x is not None:
        return proven_plan(problem, found.program, found.x, found.bound, left, "HiGHS in rounds")
    if found.infeasible:
        best_plan(problem, left, gap)  # names the demands that clash without the principles
        clash, smallest = _clashing(problem, wishes, left)
        sure = (
            "and without any one of them the others can be met" if smallest else "and time was short to leave some out"
        )
        raise LinkwaysError(
            f"{ID}: no selection meets all demands; these clash, {sure}: {named(clash, 12)}; ease one of them"
        )
    raise LinkwaysError(
        f"{ID}: no plan {_told(wishes)} was found within {time_limit_s:g} s; raise time_limit_s or gap_percent, use "
        "fewer units, or mend the plan without them by hand"
    )


@dataclass(frozen=True)
class _Rounds:
    """What the rounds came to: a plan, the proof that there is none, or (neither) the end of time."""

    program: Program
    x: np.ndarray | None
    bound: float
    infeasible: bool


def _rounds(program: Program, problem: Problem, wishes: Principles, time_limit_s: float, gap: float) -> _Rounds:
    begun, bound, n = time.perf_counter(), -np.inf, problem.n
    a, b = problem.adjacent()
    touching = sp.csr_array((np.ones(2 * len(a)), (np.r_[a, b], np.r_[b, a])), shape=(n, n))
    small = np.flatnonzero(wishes.areas < wishes.min_patch_km2 * (1 - 1e-9))
    program = _beyond(program, touching, [r for i in small for r in _rings(touching, np.array([i]), wishes)])
    coloured: set[int] = set()
    while True:
        left = time_limit_s - (time.perf_counter() - begun)
        found = solve(program, max(left, 0.01), gap)
        if found.x is None:
            return _Rounds(program, None, bound, found.infeasible)
        bound = max(bound, found.bound)
        pieces = _pieces(touching, found.x[:n])
        missed = [s for s in pieces if wishes.areas[s].sum() < wishes.min_patch_km2 * (1 - 1e-9)]
        few = [r for r in range(len(wishes.region_names)) if _touched(wishes, pieces, r) < wishes.replicates]
        if not missed and not few:
            return _Rounds(program, found.x, bound, infeasible=False)
        if time.perf_counter() - begun > time_limit_s:
            return _Rounds(program, None, bound, infeasible=False)
        program = _beyond(program, touching, [r for s in missed for r in _rings(touching, s, wishes)])
        for r in few:
            if r not in coloured:
                program = _coloured(program, a, b, np.flatnonzero(wishes.region == r), n, wishes.replicates)
                coloured.add(r)


def _clashing(problem: Problem, wishes: Principles, time_limit_s: float) -> tuple[list[str], bool]:
    """A smallest set of demands, patches and regions' replicates that clash, by leaving out one after another.

    Beside it whether time allowed to prove for each of them that it cannot be left out.
    """
    begun, program = time.perf_counter(), program_of(problem)
    program = replace(program, cost=np.zeros_like(program.cost))
    rows = len(program.demands)
    names = [*program.demands, f"{int(problem.locked_in.sum())} units locked in"]
    names.append(f"{int(problem.locked_out.sum())} units locked out")
    names.append(f"patches of at least {wishes.min_patch_km2:g} km2")
    names += [f"{wishes.replicates} pieces in {region}" for region in wishes.region_names]
    asked = [True] * rows + [bool(problem.locked_in.any()), bool(problem.locked_out.any()), wishes.min_patch_km2 > 0]
    asked += [wishes.replicates > 0] * len(wishes.region_names)
    dropped: set[int] = set()
    smallest = True
    for one in np.flatnonzero(asked).tolist():
        without = dropped | {one}
        left = max(time_limit_s - (time.perf_counter() - begun), 0.1)
        found = _rounds(opened(program, problem, without, rows), problem, _eased(wishes, without, rows), left, 0.0)
        smallest &= found.infeasible or found.x is not None
        if found.infeasible:
            dropped.add(one)
    return [names[k] for k in np.flatnonzero(asked) if k not in dropped], smallest


def _eased(wishes: Principles, without: set[int], rows: int) -> Principles:
    """The principles without those that are left out: patches have the number rows + 2, regions those from there on."""
    regions = np.array([k for k in range(len(wishes.region_names)) if rows + 3 + k not in without], dtype=np.int64)
    number = np.full(len(wishes.region_names) + 1, -1)
    number[regions] = np.arange(len(regions))
    return replace(
        wishes,
        min_patch_km2=0.0 if rows + 2 in without else wishes.min_patch_km2,
        region=number[wishes.region],
        region_names=[wishes.region_names[k] for k in regions],
    )


def _told(wishes: Principles) -> str:
    parts = [f"with patches of at least {wishes.min_patch_km2:g} km2"] if wishes.min_patch_km2 > 0 else []
    parts += [f"with {wishes.replicates} pieces in each region"] if wishes.replicates > 0 else []
    return " and ".join(parts)


def _pieces(touching: sp.csr_array, x: np.ndarray) -> list[np.ndarray]:
    chosen = np.flatnonzero(x > HALF)
    if not len(chosen):
        return []
    count, label = connected_components(touching[chosen][:, chosen], directed=False)
    return [chosen[label == k] for k in range(count)]


def _touched(wishes: Principles, pieces: list[np.ndarray], region: int) -> int:
    return sum(bool((wishes.region[s] == region).any()) for s in pieces)


def _rings(touching: sp.csr_array, units: np.ndarray, wishes: Principles) -> list[np.ndarray]:
    """A set that is too small, and the same with ring after ring around it, as long as that is too small as well."""
    inside = np.zeros(touching.shape[0], bool)
    inside[units] = True
    found = [units]
    while True:
        wider = inside | (touching @ inside.astype(float) > 0)
        if wishes.areas[wider].sum() >= wishes.min_patch_km2 * (1 - 1e-9) or (wider == inside).all():
            return found
        inside = wider
        found.append(np.flatnonzero(inside))


def _beyond(program: Program, touching: sp.csr_array, sets: list[np.ndarray]) -> Program:
    """Rows ``sum of x around S - x_i >= 0`` for the units i of each set S."""
    row, column, factor, count = [], [], [], 0
    for units in sets:
        inside = np.zeros(touching.shape[0], bool)
        inside[units] = True
        around = np.flatnonzero((touching @ inside.astype(float) > 0) & ~inside)
        for i in units:
            row += [count] * (len(around) + 1)
            column += [*around, i]
            factor += [1.0] * len(around) + [-1.0]
            count += 1
    if not count:
        return program
    matrix = sp.csr_array((factor, (row, column)), shape=(count, touching.shape[0]))
    return program.with_rows(matrix, np.zeros(count), np.full(count, np.inf))


def _coloured(program: Program, a: np.ndarray, b: np.ndarray, inside: np.ndarray, n: int, k: int) -> Program:
    """The program with a colour of k for each selected unit: ``y_ic - y_jc <= 1 - x_j`` where i and j touch."""
    old = len(program.cost)
    total = old + n * k
    units = np.arange(n)

    def colour(i: np.ndarray, c: int) -> np.ndarray:
        return old + c * n + i

    def rows(entries: list[tuple[np.ndarray, np.ndarray, float]], count: int) -> sp.csr_array:
        place = (np.concatenate([e[0] for e in entries]), np.concatenate([e[1] for e in entries]))
        return sp.csr_array((np.concatenate([np.full(len(e[0]), e[2]) for e in entries]), place), shape=(count, total))

    blocks = [rows([(units, colour(units, c), 1.0) for c in range(k)] + [(units, units, -1.0)], n)]
    low, high = [np.zeros(n)], [np.zeros(n)]
    edge = np.arange(2 * len(a))
    i, j = np.r_[a, b], np.r_[b, a]
    for c in range(k):
        blocks.append(rows([(edge, colour(i, c), 1.0), (edge, colour(j, c), -1.0), (edge, j, 1.0)], len(edge)))
        low.append(np.full(len(edge), -np.inf))
        high.append(np.ones(len(edge)))
        blocks.append(rows([(np.zeros(len(inside), int), colour(inside, c), 1.0)], 1))
        low.append(np.ones(1))
        high.append(np.full(1, np.inf))
    wide = sp.csr_array((program.matrix.data, program.matrix.indices, program.matrix.indptr), (len(program.low), total))
    matrix = sp.vstack([wide, *blocks]).tocsr()
    fresh = np.zeros(n * k)
    return replace(
        program,
        cost=np.r_[program.cost, fresh],
        matrix=matrix,
        low=np.r_[program.low, *low],
        high=np.r_[program.high, *high],
        below=np.r_[program.below, fresh],
        above=np.r_[program.above, fresh + 1],
        whole=np.r_[program.whole, np.ones(n * k, program.whole.dtype)],
        owner=np.r_[program.owner, np.full(sum(len(v) for v in low), -1)],
    )
