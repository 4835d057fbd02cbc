"""The zoning problem as a mixed-integer program for HiGHS."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from linkways.planning._annealing import Links
from linkways.planning._select_program import Program
from linkways.planning._zones_problem import ZoneProblem

__all__ = ["program_of_zones", "program_size"]


@dataclass
class _Parts:
    """Columns and rows of a program as they come."""

    cost: list[np.ndarray] = field(default_factory=list)
    above: list[np.ndarray] = field(default_factory=list)
    whole: list[np.ndarray] = field(default_factory=list)
    entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    low: list[np.ndarray] = field(default_factory=list)
    high: list[np.ndarray] = field(default_factory=list)
    owner: list[np.ndarray] = field(default_factory=list)
    demands: list[str] = field(default_factory=list)
    columns: int = 0
    rows: int = 0

    def variables(self, cost: Any, count: int, *, whole: bool = False, above: float = 1.0) -> np.ndarray:
        """New variables from 0 to ``above``; their places."""
        self.cost.append(np.broadcast_to(cost, count).astype(float))
        self.above.append(np.full(count, above))
        self.whole.append(np.full(count, int(whole)))
        self.columns += count
        return np.arange(self.columns - count, self.columns)

    def add(
        self, entries: list[tuple[Any, Any, Any]], low: np.ndarray, high: np.ndarray, names: tuple[str, ...] = ()
    ) -> None:
        """New rows from (row, column, factor); one name for all of them or one each makes them demands."""
        for row, column, factor in entries:
            at = np.asarray(row)
            self.entries.append((at + self.rows, np.asarray(column), np.broadcast_to(factor, at.shape).astype(float)))
        count = len(low)
        self.low.append(np.asarray(low, float))
        self.high.append(np.asarray(high, float))
        first = len(self.demands)
        shared = np.full(count, first) if len(names) == 1 else first + np.arange(count)
        self.owner.append(shared if names else np.full(count, -1))
        self.demands += names
        self.rows += count

    def program(self) -> Program:
        row, column, factor = (np.concatenate([e[k] for e in self.entries]) for k in range(3))
        matrix = sp.coo_array(
            (factor, (row.astype(np.int64), column.astype(np.int64))), shape=(self.rows, self.columns)
        )
        join = np.concatenate
        return Program(
            cost=join(self.cost),
            matrix=matrix.tocsr(),
            low=join(self.low),
            high=join(self.high),
            below=np.zeros(self.columns),
            above=join(self.above),
            whole=join(self.whole),
            owner=join(self.owner),
            demands=tuple(self.demands),
        )


def program_size(problem: ZoneProblem) -> int:
    """How many variables the program has, about."""
    edges = sum(
        len(x.pairs) * (2 * problem.choices if _even(x.cost) is not None else problem.choices**2) for x in problem.links
    )
    return problem.n * problem.choices + edges


def program_of_zones(problem: ZoneProblem) -> Program:
    """The zoning as a program that minimises (a maximised objective has its sign turned); unit i in choice k is
    variable i K + k, and every unit has one choice.

    Pairs that cost the same wherever two choices differ become differences, ``x_ak - x_bk = u - v``; others the local
    marginals ``y_kl`` of both choices with ``sum_l y_kl = x_ak`` and ``sum_k y_kl = x_bl``, the tightest linear form of
    one pair. Choices that are banned have the upper bound 0.
    """
    parts, count = _Parts(), problem.n * problem.choices
    own = problem.edge + (problem.cost if problem.objective == "min_set" else 0.0)
    x = parts.variables(own.ravel(), count, whole=True)
    parts.above[0] = problem.allowed().ravel().astype(float)
    unit = np.arange(count) // problem.choices
    parts.add([(unit, x, 1.0)], np.ones(problem.n), np.ones(problem.n))
    _add_goals(parts, problem)
    _add_rows(parts, problem)
    for links in problem.links:
        _add_links(parts, links, problem.choices)
    _add_buffers(parts, problem)
    return parts.program()


def _add_goals(parts: _Parts, problem: ZoneProblem) -> None:
    goals = problem.goals
    most = np.flatnonzero(goals.most)
    if len(most):
        matrix = goals.matrix[most].tocoo()
        size = np.where(goals.target[most] > 0, goals.target[most], 1.0)
        names = tuple(goals.names[t] for t in most)
        parts.add(
            [(matrix.row, matrix.col, matrix.data / size[matrix.row])],
            np.full(len(most), -np.inf),
            goals.target[most] / size,
            names,
        )
    aimed = np.flatnonzero(goals.aimed)
    if not len(aimed):
        return
    matrix, weight, count = goals.matrix[aimed].tocoo(), goals.weight[aimed], len(aimed)
    own, row = (matrix.row, matrix.col, matrix.data / goals.target[aimed][matrix.row]), np.arange(count)
    names = tuple(goals.names[t] for t in aimed)
    one, endless = np.ones(count), np.full(count, np.inf)
    match problem.objective:
        case "min_set":
            priced = np.isfinite(goals.price[aimed])
            missed = parts.variables(np.where(priced, goals.price[aimed], 0.0), count)
            parts.above[-1] = priced.astype(float)
            parts.add([own, (row, missed, 1.0)], one, endless, names)
        case "min_shortfall":
            missed = parts.variables(weight, count)
            parts.add([own, (row, missed, 1.0)], one, endless)
        case "min_largest_shortfall":
            missed = parts.variables(0.0, count)
            largest = parts.variables(1.0, 1, above=max(float(weight.max()), 1.0))
            parts.add([own, (row, missed, 1.0)], one, endless)
            parts.add([(row, np.full(count, largest[0]), 1.0), (row, missed, -weight)], np.zeros(count), endless)
        case _:
            met = parts.variables(-weight, count, whole=True)
            parts.add([own, (row, met, -1.0)], np.zeros(count), endless)


def _add_rows(parts: _Parts, problem: ZoneProblem) -> None:
    if not len(problem.rows):
        return
    matrix = problem.rows.matrix.tocoo()
    size = np.zeros(len(problem.rows))
    np.maximum.at(size, matrix.row, np.abs(matrix.data))
    size[size == 0] = 1.0
    entries = [(matrix.row, matrix.col, matrix.data / size[matrix.row])]
    parts.add(entries, problem.rows.lower / size, problem.rows.upper / size, tuple(problem.rows.names))


def _even(cost: np.ndarray) -> float | None:
    """The one cost of two choices that differ, where it is one and above 0 and equal choices cost nothing."""
    apart = cost[~np.eye(len(cost), dtype=bool)]
    if np.diag(cost).any() or not len(apart) or apart.min() != apart.max() or apart[0] < 0:
        return None
    return float(apart[0])


def _add_links(parts: _Parts, links: Links, choices: int) -> None:
    a, b, value = links.pairs.a, links.pairs.b, links.pairs.value
    if not len(a) or not links.cost.any():
        return
    even, row = _even(links.cost), np.arange(len(a))
    zero = np.zeros(len(a))
    if even is not None and (value >= 0).all():
        for k in range(choices):
            up, down = (parts.variables(even * value / 2, len(a)) for _ in range(2))
            entries = [(row, a * choices + k, 1.0), (row, b * choices + k, -1.0), (row, up, -1.0), (row, down, 1.0)]
            parts.add(entries, zero, zero)
        return
    both = np.array(
        [[parts.variables(value * links.cost[k, m], len(a)) for m in range(choices)] for k in range(choices)]
    )
    for k in range(choices):
        for side, unit in ((both[k], a), (both[:, k], b)):
            entries = [(row, side[m], 1.0) for m in range(choices)]
            parts.add([*entries, (row, unit * choices + k, -1.0)], zero, zero)


def _add_buffers(parts: _Parts, problem: ZoneProblem) -> None:
    """x_i in the zone <= sum of x_j over the choices around it, for each neighbour j of i, both ways."""
    for buffer in problem.buffers:
        start = np.r_[buffer.pairs.a, buffer.pairs.b]
        end = np.r_[buffer.pairs.b, buffer.pairs.a]
        row = np.arange(len(start))
        entries: list[tuple[Any, Any, Any]] = [(row, start * problem.choices + buffer.choice, -1.0)]
        entries += [(row, end * problem.choices + k, 1.0) for k in np.flatnonzero(buffer.around)]
        parts.add(entries, np.zeros(len(row)), np.full(len(row), np.inf), (buffer.name,))
