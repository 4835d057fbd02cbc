"""What a restoration plan may maximise: the value of a set of options, what one more adds, and a bound on all plans."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np

from linkways.planning._kernels import (
    CAPACITY,
    HOPS,
    PROBABILITY,
    connectivity,
    connectivity_gains,
    distances_from,
    mesh_gains,
    piece_sizes,
    relax_rows,
)
from linkways.planning._restore_problem import Problem, Units

__all__ = ["Hops", "Kind", "Mesh", "Objective", "Reach", "fractional_knapsack", "objective_of"]

Kind = Literal["mesh", "iic", "eca", "protconn", "metapopulation_capacity"]
Chosen = tuple[int, ...]
BESIDE = 1e-6  # metres between patches that meet at a corner where corners do not join them


class Objective(Protocol):
    """Something to maximise. Every value is monotone: restoring more never lowers it."""

    def value(self, chosen: Chosen) -> float:
        """The landscape's value with the chosen options carried out."""

    def gains(self, chosen: Chosen, options: np.ndarray) -> np.ndarray:
        """What each option alone adds to ``value(chosen)``."""

    def bound(self, problem: Problem) -> float:
        """A value that no set of options within the budget exceeds."""


def objective_of(kind: Kind, problem: Problem, *, dispersal_m: float, probability: float) -> Objective:
    if kind == "mesh":
        return Mesh(problem)
    if kind == "iic":
        return Hops(problem, kind, HOPS, dispersal_m)
    index = CAPACITY if kind == "metapopulation_capacity" else PROBABILITY
    return Reach(problem, kind, index, -math.log(probability) / dispersal_m)


# --- knapsack --------------------------------------------------------------------------------------------------


def fractional_knapsack(profit: np.ndarray, cost: np.ndarray, budget: float) -> float:
    """The most profit that a budget buys when options may be bought in part: above every whole choice."""
    free = 1e-12 * max(float(np.max(cost, initial=0.0)), 1e-12)
    order = np.lexsort((-profit / np.maximum(cost, free), cost > 0))  # what costs nothing first
    spent = np.cumsum(cost[order])
    whole = int(np.searchsorted(spent, budget * (1 + 1e-12), side="right"))
    total = float(profit[order[:whole]].sum())
    if whole < len(order):
        left = budget - (spent[whole - 1] if whole else 0.0)
        total += float(profit[order[whole]]) * max(left, 0.0) / float(cost[order[whole]])
    return total


# --- effective mesh size -----------------------------------------------------------------------------------------


@dataclass
class Mesh:
    """Effective mesh size, sum of squared patch areas over the landscape's area (Jaeger 2000), in ha."""

    problem: Problem

    def __post_init__(self) -> None:
        self._label = np.empty(self.problem.units.count, np.int64)

    def squares(self, chosen: Any) -> float:
        """Sum of squared patch areas, ha2."""
        units = self.problem.units
        mask = self.problem.habitat_after(chosen)
        return float((piece_sizes(mask, units.touch_ptr, units.touch, units.area_ha, self._label) ** 2).sum())

    def value(self, chosen: Chosen) -> float:
        return self.squares(chosen) / self.problem.units.landscape_ha

    def gains(self, chosen: Chosen, options: np.ndarray) -> np.ndarray:
        units, found = self.problem.units, self.problem.options
        mask = self.problem.habitat_after(chosen)
        sizes = piece_sizes(mask, units.touch_ptr, units.touch, units.area_ha, self._label)
        out = np.empty(len(options))
        mesh_gains(
            options, found.unit_ptr, found.unit_of, units.touch_ptr, units.touch, units.area_ha, self._label, sizes, out
        )
        return np.asarray(np.where(found.counts[options], out, 0.0) / units.landscape_ha)

    def bound(self, problem: Problem) -> float:
        """With everything restored let C be the pieces, F their present habitat, t what is restored of them.

        (F + t)^2 <= F^2 + (2 F + cap) t for 0 <= t <= cap, cap the most new habitat in the piece and in the budget, is
        linear in the options; the fractional knapsack over them is above every plan (new merging is taken as free).
        """
        units, options = problem.units, problem.options
        able = np.flatnonzero(options.counts & (options.cost <= problem.rules.budget * (1 + 1e-9))).tolist()
        piece = units.pieces(problem.habitat_after(able))
        new = ~units.habitat & (piece >= 0)
        count = int(piece.max(initial=-1)) + 1
        present = np.bincount(piece[units.habitat], units.area_ha[units.habitat], minlength=count)
        fresh = np.bincount(piece[new], units.area_ha[new], minlength=count)
        area = np.array([units.area_ha[options.units(o)].sum() for o in able])
        cap = np.minimum(fresh, fractional_knapsack(area, options.cost[able], problem.rules.budget))
        slope = 2 * present + cap
        profit = np.array([(slope[piece[options.units(o)]] * units.area_ha[options.units(o)]).sum() for o in able])
        most = (present**2).sum() + fractional_knapsack(profit, options.cost[able], problem.rules.budget)
        return float(most / units.landscape_ha)


# --- indices of distance ---------------------------------------------------------------------------------------


@dataclass
class State:
    """Nodes (patches, then restored places) once some options are carried out: areas, and distances to each other.

    ``rows`` holds the distances to all units, ``at`` one unit of each node, ``resistance`` that of the units.
    """

    rows: np.ndarray
    area: np.ndarray
    at: np.ndarray
    between: np.ndarray
    resistance: np.ndarray


@dataclass
class Reach:
    """ECA, ProtConn or metapopulation capacity, from least-cost distances over the units.

    A step between units costs length x mean resistance, 0 within habitat, so that a distance runs from the edge of
    one patch to the edge of the other and passes through habitat for nothing.
    """

    problem: Problem
    kind: Kind
    index: int
    scale: float
    _states: dict[Chosen, State] = field(default_factory=dict)

    def value(self, chosen: Chosen) -> float:
        state = self._state(tuple(chosen))
        return float(self._scaled(connectivity(self.index, state.between, state.area, self.scale)))

    def gains(self, chosen: Chosen, options: np.ndarray) -> np.ndarray:
        chosen = tuple(chosen)
        state = self._state(chosen)
        before = self.value(chosen)
        out = np.empty(len(options))
        places = [self._places[o] for o in options]
        single = np.array([place is not None for place in places], bool)
        if single.any():
            entry = np.array([self._entry(state, *p) for p in places if p is not None])
            added = np.array([self._added(o) for o in options[single].tolist()])
            numbers = np.empty(len(added))
            connectivity_gains(self.index, state.between, state.area, self.scale, entry, added, numbers)
            out[single] = self._scaled(numbers) - before
        for at in np.flatnonzero(~single):
            out[at] = self.value((*chosen, int(options[at]))) - before
        return out

    def _scaled(self, number: Any) -> Any:
        """The value from the number that the kernel gives."""
        if self.kind == "eca":
            return np.sqrt(number)
        if self.kind == "protconn":
            return 100.0 * np.sqrt(number) / self.problem.units.landscape_ha
        return number

    # the state, option by option

    def _state(self, chosen: Chosen) -> State:
        if chosen in self._states:
            return self._states[chosen]
        state = self._first if not chosen else self._carried_out(self._state(chosen[:-1]), chosen[-1])
        if len(self._states) > 40:
            for old in list(self._states)[:20]:
                del self._states[old]
        self._states[chosen] = state
        return state

    @cached_property
    def _first(self) -> State:
        units = self.problem.units
        starts, inside = _by_number(units.patch, len(units.patch_ha))
        rows = self._distances(starts, inside, units.resistance)
        at = inside[starts[:-1]]
        return State(rows, units.patch_ha.copy(), at, np.ascontiguousarray(rows[:, at]), units.resistance)

    def _distances(self, starts: np.ndarray, sources: np.ndarray, resistance: np.ndarray) -> np.ndarray:
        units = self.problem.units
        out = np.empty((len(starts) - 1, units.count))
        steps = (units.step_ptr, units.step, units.length_m)
        distances_from(starts, sources, *steps, resistance, self._own_free, self._horizon, out)
        return out

    _own_free = False

    @property
    def _horizon(self) -> float:
        """Beyond it a distance counts for nothing, as its probability is 0 in double precision."""
        return 745.0 / self.scale

    def _carried_out(self, state: State, option: int) -> State:
        for units, factor, area in self._parts(option):
            resistance = state.resistance.copy()
            resistance[units] = np.minimum(resistance[units], factor * self.problem.units.resistance[units])
            through = self._distances(np.array([0, len(units)]), units, resistance)
            rows = state.rows.copy()
            relax_rows(rows, through[0], self._entry(state, units, factor))
            areas, at = state.area, state.at
            if area > 0:
                rows, areas, at = np.vstack([rows, through]), np.append(areas, area), np.append(at, units[0])
            state = State(rows, areas, at, np.ascontiguousarray(rows[:, at]), resistance)
        return state

    def _parts(self, option: int) -> list[tuple[np.ndarray, float, float]]:
        """The option as places that change at once: connected ones without resistance, else unit by unit."""
        options, land = self.problem.options, self.problem.units
        units, factor = options.units(option), float(options.factor[option])
        quality = float(options.quality[option])
        if factor > 0 and len(units) > 1:
            return [(units[i : i + 1], factor, quality * float(land.area_ha[units[i]])) for i in range(len(units))]
        return [(g, factor, quality * float(land.area_ha[g].sum())) for g in _connected(land, units)]

    @cached_property
    def _places(self) -> list[tuple[np.ndarray, float] | None]:
        """Where the option changes a single place, that place and its factor."""
        parts = [self._parts(o) for o in range(self.problem.options.count)]
        return [(p[0][0], p[0][1]) if len(p) == 1 else None for p in parts]

    def _added(self, option: int) -> float:
        options = self.problem.options
        return float(options.quality[option] * self.problem.units.area_ha[options.units(option)].sum())

    def _entry(self, state: State, units: np.ndarray, factor: float) -> np.ndarray:
        """Distance from every node to the changed place, arriving over its neighbours."""
        land = self.problem.units
        after = 0.0
        if len(units) == 1:
            after = min(float(state.resistance[units[0]]), factor * float(land.resistance[units[0]]))
        steps = _steps_into(land, units)
        if not len(steps):
            return np.full(len(state.rows), np.inf)
        costs = land.length_m[steps] * 0.5 * (state.resistance[land.step[steps]] + after)
        best = (state.rows[:, land.step[steps]] + costs).min(axis=1)
        best[np.isin(state.at, units)] = 0.0
        return np.asarray(best)

    # a bound on all plans

    def bound(self, problem: Problem) -> float:
        """A value above that of every plan within the budget.

        Let S be a plan and d_S its distances. A path that crosses units of S saves their resistance and S has paid
        for them, so with any multiplier m >= 0: d_S >= d_m - m B, where d_m are the distances with the resistance of
        each unit lowered at most by what m times its cost would pay for (Lagrangian relaxation; m = 0: all restored).
        With q_ij = q(max_m (d_m - m B)) >= q(d_S), and N the most habitat the budget buys (fractional knapsack),

            sum over pairs <= sum_ij a_i a_j q_ij + sum over units u of S of a_u (2 sum_j a_j q_uj + N),

        linear in the units, so that the fractional knapsack over options is above every plan. For the capacity, whose
        matrix grows in every entry with areas and nearness, and whose eigenvalue grows when patches become one, the
        pieces of all restored land get their present habitat plus the most that the budget buys in each.
        """
        if self.index == CAPACITY:
            return self._capacity_bound(problem)
        near, beside = self._pairs_bound(problem)
        area, options = self._first.area, problem.options
        able = np.flatnonzero(self._able(problem)).tolist()
        fresh = np.array([self._added(o) for o in able])
        most = fractional_knapsack(fresh, options.cost[able], problem.rules.budget)
        worth = problem.units.area_ha * (2.0 * (area @ beside) + most)
        profit = np.array([options.quality[o] * worth[options.units(o)].sum() for o in able])
        number = float(area @ near @ area) + fractional_knapsack(profit, options.cost[able], problem.rules.budget)
        return float(self._scaled(number))

    def _pairs_bound(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds on q between patches (n, n), and from patches to units that are restored (n, units)."""
        first = self._first
        near = np.ones((len(first.area),) * 2)
        beside = np.ones(first.rows.shape)
        for multiplier in self._multipliers(problem):
            rows, arriving = self._relaxed(problem, multiplier)
            paid = multiplier * problem.rules.budget
            near = np.minimum(near, np.exp(-self.scale * np.maximum(rows[:, first.at] - paid, 0.0)))
            beside = np.minimum(beside, np.exp(-self.scale * np.maximum(arriving - paid, 0.0)))
        return near, beside

    def _multipliers(self, problem: Problem) -> list[float]:
        units, options = problem.units, problem.options
        touched = np.unique(options.unit_of)
        if not options.cost.any() or not len(units.length_m):
            return [0.0]
        step = float(np.median(units.length_m)) * float(np.median(units.resistance[touched]))
        typical = step * len(options.unit_of) / float(options.cost.sum())
        return [0.0, *(typical * share for share in (0.1, 0.25, 0.5, 1.0))]

    def _relaxed(self, problem: Problem, multiplier: float) -> tuple[np.ndarray, np.ndarray]:
        """Distances with resistances as the multiplier pays for, and the same on arrival at a unit that is restored."""
        units = problem.units
        resistance = self._lowered(problem, multiplier)
        rows = self._distances(*_by_number(units.patch, len(units.patch_ha)), resistance)
        return rows, _arriving(problem, rows, resistance)

    def _lowered(self, problem: Problem, multiplier: float) -> np.ndarray:
        """Every unit's resistance, lowered as far as the multiplier times its cost pays for the longest way across."""
        units, options = problem.units, problem.options
        resistance = units.resistance.copy()
        longest = np.zeros(units.count)
        np.maximum.at(longest, np.repeat(np.arange(units.count), np.diff(units.step_ptr)), units.length_m)
        for option in np.flatnonzero(self._able(problem)).tolist():
            own = options.units(option)
            paid = multiplier * options.cost[option] / len(own) / np.maximum(longest[own], 1e-9)
            lowered = options.factor[option] * units.resistance[own] + paid
            resistance[own] = np.minimum(resistance[own], lowered)
        return resistance

    def _able(self, problem: Problem) -> np.ndarray:
        return np.asarray(problem.options.cost <= problem.rules.budget * (1 + 1e-9))

    def _capacity_bound(self, problem: Problem) -> float:
        units, options, budget = problem.units, problem.options, problem.rules.budget
        resistance = self._lowered(problem, 0.0)
        group = _all_restored(problem, self._able(problem), resistance == 0)
        count = int(group.max(initial=-1)) + 1
        starts, inside = _by_number(group, count)
        between = self._distances(starts, inside, resistance)[:, inside[starts[:-1]]]
        grown = np.bincount(group[units.habitat], units.area_ha[units.habitat], minlength=count)
        able = np.flatnonzero(self._able(problem) & (options.quality > 0)).tolist()
        fresh = np.zeros((len(able), count))
        for row, option in enumerate(able):
            own = options.units(option)
            np.add.at(fresh[row], group[own], options.quality[option] * units.area_ha[own])
        grown += np.array([fractional_knapsack(column, options.cost[able], budget) for column in fresh.T])
        if not grown.any():
            return 0.0
        return float(np.linalg.eigvalsh(np.outer(grown, grown) * np.exp(-self.scale * between))[-1])


@dataclass
class Hops(Reach):
    """IIC: links where the ground between two patches costs less than a threshold, whatever is restored on it.

    Here habitat is crossed at the resistance of its ground, so that a link does not run through a third patch for
    nothing, and an option adds a patch (which may touch others and make one of them) but changes no link.
    """

    _own_free = True

    def _scaled(self, number: Any) -> Any:
        return number / self.problem.units.landscape_ha**2

    @property
    def _horizon(self) -> float:
        return self.scale

    @cached_property
    def _first(self) -> State:
        units = self.problem.units
        count = len(units.patch_ha)
        starts, inside = _by_number(units.patch, count)
        rows = self._distances(starts, inside, units.ground)
        arriving = _arriving(self.problem, rows, units.ground)
        between = np.maximum(_least_by_group(arriving, starts, inside), BESIDE)
        np.fill_diagonal(between, 0.0)
        return State(rows, units.patch_ha.copy(), inside[starts[:-1]], between, units.ground)

    def _carried_out(self, state: State, option: int) -> State:
        for units, _, area in self._parts(option):
            if area <= 0:
                continue
            through = self._distances(np.array([0, len(units)]), units, state.resistance)
            entry = self._entry(state, units)
            wider = np.zeros((len(entry) + 1,) * 2)
            wider[:-1, :-1] = state.between
            wider[-1, :-1] = wider[:-1, -1] = entry
            rows = np.vstack([state.rows, through])
            state = State(rows, np.append(state.area, area), np.append(state.at, units[0]), wider, state.resistance)
        return state

    def _parts(self, option: int) -> list[tuple[np.ndarray, float, float]]:
        options, land = self.problem.options, self.problem.units
        quality = float(options.quality[option])
        return [(g, 0.0, quality * float(land.area_ha[g].sum())) for g in _connected(land, options.units(option))]

    def _entry(self, state: State, units: np.ndarray, factor: float = 0.0) -> np.ndarray:
        """Distance over the ground to every node; 0 only to those that the place touches and is one patch with."""
        del factor  # what is done to the place does not change its distances
        land = self.problem.units
        steps = _steps_into(land, units)
        if not len(steps):
            return np.full(len(state.rows), np.inf)
        reached = state.rows[:, land.step[steps]]
        crossed = np.where(reached == 0, 0.0, land.length_m[steps] * 0.5 * state.resistance[land.step[steps]])
        best = np.maximum((reached + crossed).min(axis=1), BESIDE)
        touched = [land.touch[land.touch_ptr[u] : land.touch_ptr[u + 1]] for u in units]
        best[(state.rows[:, np.concatenate([units, *touched])] == 0).any(axis=1)] = 0.0
        return np.asarray(best)

    def _pairs_bound(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """1 / (1 + hops) once everything is restored: no plan has fewer, as its patches lie in those pieces."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import dijkstra

        units = problem.units
        group = units.pieces(units.habitat | _valued(problem, self._able(problem)))
        count = int(group.max(initial=-1)) + 1
        starts, inside = _by_number(group, count)
        rows = self._distances(starts, inside, units.ground)
        linked = _least_by_group(_arriving(problem, rows, units.ground), starts, inside) < self.scale
        hops = dijkstra(csr_array(linked | linked.T), directed=False, unweighted=True)
        np.fill_diagonal(hops, 0.0)
        closeness = 1.0 / (1.0 + hops)
        own = group[self._first.at]
        beside = np.where(group >= 0, closeness[own][:, np.maximum(group, 0)], 0.0)
        return closeness[np.ix_(own, own)], beside


# --- places on the graph of units ------------------------------------------------------------------------------


def _by_number(number: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each number's units start, and the units in the order of their numbers; -1 left out."""
    inside = np.flatnonzero(number >= 0)
    inside = inside[np.argsort(number[inside], kind="stable")]
    return np.searchsorted(number[inside], np.arange(count + 1)), inside


def _connected(land: Units, units: np.ndarray) -> list[np.ndarray]:
    """The units as pieces that touch."""
    if len(units) == 1:
        return [units]
    mask = np.zeros(land.count, bool)
    mask[units] = True
    piece = land.pieces(mask)[units]
    return [units[piece == p] for p in range(int(piece.max()) + 1)]


def _steps_into(land: Units, units: np.ndarray) -> np.ndarray:
    """The steps between the units and those around them."""
    steps = np.concatenate([np.arange(land.step_ptr[u], land.step_ptr[u + 1]) for u in units])
    return np.asarray(steps[~np.isin(land.step[steps], units)] if len(units) > 1 else steps)


def _arriving(problem: Problem, rows: np.ndarray, resistance: np.ndarray) -> np.ndarray:
    """Distances to units that one enters for nothing: without the last half step."""
    units = problem.units
    here = np.repeat(np.arange(units.count), np.diff(units.step_ptr))
    costs = units.length_m * 0.5 * resistance[units.step]
    out = rows.copy()
    for i in range(len(rows)):
        reached = rows[i, units.step]
        np.minimum.at(out[i], here, reached + np.where(reached == 0, 0.0, costs))
    return out


def _least_by_group(arriving: np.ndarray, starts: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Distances between groups of units: to the nearest unit of each."""
    if not len(inside):
        return np.empty((0, 0))
    out = np.minimum.reduceat(arriving[:, inside], starts[:-1], axis=1)
    return np.minimum(out, out.T)


def _valued(problem: Problem, able: np.ndarray) -> np.ndarray:
    """Units that count for something once everything is restored."""
    options = problem.options
    out = problem.units.habitat.copy()
    out[options.units_of(np.flatnonzero((options.quality > 0) & able))] = True
    return out


def _all_restored(problem: Problem, able: np.ndarray, free: np.ndarray) -> np.ndarray:
    """With everything restored: the piece of each unit that counts, -1 elsewhere.

    The units of a piece hang together by steps over ``free`` units.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    units, valued = problem.units, _valued(problem, able)
    here = np.repeat(np.arange(units.count), np.diff(units.step_ptr))
    kept = free[here] & free[units.step]
    links = csr_array((np.ones(kept.sum(), np.int8), (here[kept], units.step[kept])), shape=(units.count,) * 2)
    piece = connected_components(links, directed=False)[1]
    number = np.full(int(piece.max(initial=0)) + 1, -1)
    names = np.unique(piece[valued])
    number[names] = np.arange(len(names))
    return np.asarray(np.where(valued, number[piece], -1))
