"""A bound on effective mesh size over a whole landscape, and plans near it: mixed-integer programs with lazy cuts."""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from linkways.planning._restore_problem import Problem

__all__ = ["MergingProgram", "Relaxed"]

HUBS = 8  # patches whose joining with everything else is written out pair by pair
CUTS_A_ROUND = 300
UNIT_FLOW = 1_000_000  # whole flow of the maximum-flow problems that look for violated cuts
CREEP = 200  # flow that units let through besides, so that of equal cuts one with few units is found


@dataclass(frozen=True)
class Relaxed:
    """A bound on the gain in the sum of squares (ha2), and the options of the programs' solutions, the last first."""

    bound: float
    chosen: list[tuple[int, ...]]


@dataclass
class MergingProgram:
    """Which hubs hold together with which patches and units, as a program over the options.

    Hubs are the largest patches. With x_o the options, w_hv in [0, 1] says that node v (another patch, or a unit)
    ends up in one piece with hub h, y_k that a patch that is no hub is touched, and N = sum of a_u x_u + a_k y_k:

        gain <= 2 sum_h a_h sum_v a_v w_hv + cap N - sum_k a_k^2 y_k

    as pairs of nodes that are no hubs add at most N^2 <= cap N, cap the largest N there is. What w may be is cut down
    to w_hv <= sum of x over every set of options that separates h from v; such cuts are added where the solution
    violates them, found by maximum flow. Compactness, and that the plan be one piece, are left to others: dropping
    them keeps the bound a bound.
    """

    problem: Problem
    _rows: list[tuple[np.ndarray, np.ndarray, float]] = field(default_factory=list)

    # nodes: patches, then the units of options

    @cached_property
    def members(self) -> np.ndarray:
        return np.unique(self.problem.options.unit_of)

    @cached_property
    def size(self) -> np.ndarray:
        return np.concatenate([self.problem.units.patch_ha, self.problem.units.area_ha[self.members]])

    @cached_property
    def beside(self) -> list[list[int]]:
        units, patches = self.problem.units, len(self.problem.units.patch_ha)
        local = np.full(units.count, -1)
        local[self.members] = patches + np.arange(len(self.members))
        out: list[set[int]] = [set() for _ in self.size]
        for node, u in enumerate(self.members, start=patches):
            for v in units.touch[units.touch_ptr[u] : units.touch_ptr[u + 1]]:
                other = int(units.patch[v] if units.patch[v] >= 0 else local[v])
                if other >= 0:
                    out[node].add(other)
                    out[other].add(node)
        return [sorted(s) for s in out]

    @cached_property
    def options_at(self) -> list[list[int]]:
        """The options that restore each node; none for patches."""
        options, patches = self.problem.options, len(self.problem.units.patch_ha)
        place = {int(u): patches + i for i, u in enumerate(self.members)}
        out: list[list[int]] = [[] for _ in self.size]
        for o in range(options.count):
            for u in options.units(o):
                out[place[int(u)]].append(o)
        return out

    def _paid(self, source: int) -> np.ndarray:
        """The least that any way from a node to every other costs, each unit at its share of its cheapest option."""
        options = self.problem.options
        share = options.cost / np.diff(options.unit_ptr)
        price = np.array([min((share[o] for o in at), default=0.0) for at in self.options_at])
        best = np.full(len(self.size), np.inf)
        best[source] = 0.0
        queue = [(0.0, source)]
        while queue:
            paid, node = heapq.heappop(queue)
            if paid > best[node]:
                continue
            for other in self.beside[node]:
                reached = paid + float(price[other])
                if reached < best[other]:
                    best[other] = reached
                    heapq.heappush(queue, (reached, other))
        return best

    # variables

    @cached_property
    def hubs(self) -> list[int]:
        order = np.argsort(-self.problem.units.patch_ha, kind="stable")
        return [int(k) for k in order if self.beside[k]][:HUBS]

    @cached_property
    def touched(self) -> dict[int, int]:
        """Column of y of each patch that is no hub but stands beside an option."""
        patches = [k for k in range(len(self.problem.units.patch_ha)) if self.beside[k] and k not in self.hubs]
        return {k: self.problem.options.count + i for i, k in enumerate(patches)}

    @cached_property
    def together(self) -> dict[tuple[int, int], int]:
        """Column of w of each (hub, node) that the budget can bring together."""
        column = self.problem.options.count + len(self.touched)
        out: dict[tuple[int, int], int] = {}
        for place, hub in enumerate(self.hubs):
            near = np.flatnonzero(self._paid(hub) <= self.problem.rules.budget * (1 + 1e-9))
            for node in near.tolist():
                if node not in self.hubs[: place + 1]:
                    out[hub, node] = column
                    column += 1
        return out

    @property
    def columns(self) -> int:
        return self.problem.options.count + len(self.touched) + len(self.together)

    def _column(self, hub: int, node: int) -> int | None:
        found = self.together.get((hub, node))
        return self.together.get((node, hub)) if found is None else found

    # rows: sum of value x column <= most

    def _row(self, columns: list[int], values: list[float], most: float) -> None:
        self._rows.append((np.array(columns, np.int64), np.array(values, float), most))

    def _write_rows(self) -> None:
        options, rules = self.problem.options, self.problem.rules
        every = np.arange(options.count)
        self._row(every.tolist(), options.cost.tolist(), rules.budget)
        for zone, limit in enumerate(rules.zone_limit):
            inside = every[options.zone == zone]
            self._row(inside.tolist(), options.cost[inside].tolist(), float(limit))
        for group in np.flatnonzero(np.bincount(options.group) > 1):
            inside = every[options.group == group]
            self._row(inside.tolist(), [1.0] * len(inside), 1.0)
        for patch, column in self.touched.items():
            around = sorted({o for node in self.beside[patch] for o in self.options_at[node]})
            self._row([column, *around], [1.0] + [-1.0] * len(around), 0.0)
        for (hub, node), column in self.together.items():
            if self.options_at[node]:
                at = self.options_at[node]
                self._row([column, *at], [1.0] + [-1.0] * len(at), 0.0)
            elif node in self.touched:
                self._row([column, self.touched[node]], [1.0, -1.0], 0.0)
            if hub not in self.beside[node]:  # one of its neighbours must be with the hub
                near = [c for c in (self._column(hub, other) for other in self.beside[node]) if c is not None]
                self._row([column, *near], [1.0] + [-1.0] * len(near), 0.0)
        for (hub, node), column in self.together.items():
            for other in self.hubs:  # with two hubs only where the hubs are together
                if other > hub and other != node and (other, node) in self.together:
                    both = self._column(hub, other)
                    tied = [] if both is None else [both]
                    self._row([column, self.together[other, node], *tied], [1.0, 1.0] + [-1.0] * len(tied), 1.0)

    def _objective(self, most: np.ndarray) -> np.ndarray:
        """``most`` holds the largest N of each piece of all restored land, by node."""
        out = np.zeros(self.columns)
        options = self.problem.options
        for node, at in enumerate(self.options_at):
            for o in at:
                out[o] += most[node] * self.size[node]
        for patch, column in self.touched.items():
            out[column] += most[patch] * self.size[patch] - self.size[patch] ** 2
        for (hub, node), column in self.together.items():
            out[column] += 2 * self.size[hub] * self.size[node]
        assert len(out) >= options.count
        return out

    def _newness(self) -> np.ndarray:
        out = np.zeros(self.columns)
        for node, at in enumerate(self.options_at):
            for o in at:
                out[o] += self.size[node]
        for patch, column in self.touched.items():
            out[column] += self.size[patch]
        return out

    # solving

    def solve(self, until: float) -> Relaxed:
        """Cut and solve until nothing is violated or time runs out; the bound holds at any time."""
        self._write_rows()
        cap = self._maximum(self._newness())[0]
        pieces = self._pieces()
        potential = np.bincount(pieces, self.size * np.array([n not in self.hubs for n in range(len(self.size))]))
        objective = self._objective(np.minimum(potential, cap)[pieces])
        bound = np.inf
        while time.monotonic() < until:
            top, x = self._maximum(objective)
            bound = min(bound, top)
            if not self._cut(x):
                break
        chosen: list[tuple[int, ...]] = []
        while time.monotonic() < until:
            top, solution = self._integers(objective, time.monotonic() + (until - time.monotonic()) / 2)
            bound = min(bound, top)
            if solution is None:
                break
            chosen.insert(0, tuple(np.flatnonzero(solution[: self.problem.options.count] > 0.5).tolist()))
            if not self._cut(solution):
                break
        return Relaxed(bound, chosen)

    def _pieces(self) -> np.ndarray:
        out = np.full(len(self.size), -1)
        for start in range(len(out)):
            if out[start] < 0:
                out[start], queue = start, [start]
                while queue:
                    for other in self.beside[queue.pop()]:
                        if out[other] < 0:
                            out[other] = start
                            queue.append(other)
        return out

    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = np.zeros(self.columns), np.ones(self.columns)
        low[np.flatnonzero(self.problem.options.locked)] = 1.0
        return low, high

    def _matrix(self) -> tuple[Any, np.ndarray]:
        from scipy.sparse import csr_array

        lengths = [len(columns) for columns, _, _ in self._rows]
        ptr = np.concatenate([[0], np.cumsum(lengths)])
        columns = np.concatenate([c for c, _, _ in self._rows])
        values = np.concatenate([v for _, v, _ in self._rows])
        most = np.array([m for _, _, m in self._rows])
        return csr_array((values, columns, ptr), shape=(len(lengths), self.columns)), most

    def _maximum(self, objective: np.ndarray) -> tuple[float, np.ndarray]:
        """The relaxation without whole numbers."""
        from scipy.optimize import linprog

        matrix, most = self._matrix()
        scale = max(float(np.abs(objective).max(initial=0.0)), 1e-300)
        found = linprog(
            -objective / scale, A_ub=matrix, b_ub=most, bounds=np.column_stack(self._bounds()), method="highs"
        )
        if found.x is None:
            return -np.inf, np.zeros(self.columns)
        return float(-found.fun * scale), found.x

    def _integers(self, objective: np.ndarray, until: float) -> tuple[float, np.ndarray | None]:
        from scipy.optimize import Bounds, LinearConstraint, milp

        matrix, most = self._matrix()
        scale = max(float(np.abs(objective).max(initial=0.0)), 1e-300)
        whole = np.zeros(self.columns)
        whole[: self.problem.options.count] = 1
        left = max(until - time.monotonic(), 1.0)
        found = milp(
            -objective / scale,
            constraints=LinearConstraint(matrix, -np.inf, most),
            bounds=Bounds(*self._bounds()),
            integrality=whole,
            options={"time_limit": left, "mip_rel_gap": 1e-9},
        )
        top = np.inf if found.mip_dual_bound is None else float(-found.mip_dual_bound * scale)
        return (-np.inf if found.status == 2 else top), found.x

    def _cut(self, x: np.ndarray) -> int:
        """Add the cuts that x violates most, at most `CUTS_A_ROUND`, and return how many."""
        flows = _Flows(self, x)
        worth = sorted(
            (-x[column] * self.size[hub] * self.size[node], hub, node, column)
            for (hub, node), column in self.together.items()
            if x[column] > 1e-4 and hub not in self.beside[node]
        )
        before = len(self._rows)
        for _, hub, node, column in worth:
            for cut in flows.violated(hub, node, float(x[column])):
                self._row([column, *cut], [1.0] + [-1.0] * len(cut), 0.0)
            if len(self._rows) - before >= CUTS_A_ROUND:
                break
        joined = self.problem.rules.joined
        for other in joined[1:]:
            for cut in flows.violated(joined[0], other, 1.0):
                self._row(cut, [-1.0] * len(cut), -1.0)
        return len(self._rows) - before


class _Flows:
    """Maximum flows between nodes, where a unit lets through as much as its options are chosen."""

    def __init__(self, program: MergingProgram, x: np.ndarray) -> None:
        from scipy.sparse import csr_array

        self.options_at = program.options_at
        nodes = len(program.size)
        self.through = np.array([min(sum(x[o] for o in at), 1.0) if at else np.inf for at in program.options_at])
        let = np.minimum(self.through * UNIT_FLOW + CREEP, 10**8).astype(np.int32)
        ends = np.array([(v, w) for v in range(nodes) for w in program.beside[v]], np.int64).reshape(-1, 2)
        sources = np.concatenate([2 * np.arange(nodes), 2 * ends[:, 0] + 1])
        targets = np.concatenate([2 * np.arange(nodes) + 1, 2 * ends[:, 1]])
        capacity = np.concatenate([let, np.full(len(ends), 10**8, np.int32)])
        self.graph = csr_array((capacity, (sources, targets)), shape=(2 * nodes, 2 * nodes)).astype(np.int32)

    def violated(self, one: int, other: int, wanted: float) -> list[list[int]]:
        """The smallest cuts next to either node, as options, where they let through less than ``wanted``."""
        from scipy.sparse.csgraph import breadth_first_order, maximum_flow

        left = (self.graph - maximum_flow(self.graph, 2 * one + 1, 2 * other).flow).tocsr()
        left.data[left.data < 0] = 0
        left.eliminate_zeros()
        out: dict[tuple[int, ...], None] = {}
        # a cut unit is entered but not left on the near side, left but not entered on the far one
        for graph, start, side in ((left, 2 * one + 1, 0), (left.T.tocsr(), 2 * other, 1)):
            reached = np.zeros(left.shape[0], bool)
            reached[breadth_first_order(graph, start, directed=True, return_predecessors=False)] = True
            across = np.flatnonzero(reached[side::2] & ~reached[1 - side :: 2])
            if self.through[across].sum() < wanted - 1e-3:
                out[tuple(sorted({o for node in across.tolist() for o in self.options_at[node]}))] = None
        return [list(cut) for cut in out]
