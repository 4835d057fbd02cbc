"""Finding restoration plans: exact where a proof is in reach, else greedy with exchanges, always with a bound."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from linkways.planning._mesh_compact import CompactMesh
from linkways.planning._mesh_milp import MergingProgram
from linkways.planning._objectives import Chosen, Hops, Mesh, Objective
from linkways.planning._restore_problem import Problem

__all__ = ["Plan", "Planner"]

EXHAUSTIVE = 22  # options up to which plans are enumerated, whatever the objective
PLACE = 64  # options up to which mesh is searched exactly even where they are not within a circle
STARTS = 12  # places from which compact or connected plans are grown
EQUAL = 1e-9  # relative: two values closer than this are the same


@dataclass(frozen=True)
class Plan:
    """A set of options with its value, and what no plan exceeds."""

    chosen: Chosen
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """How far the bound lies above the value, as a share of the value."""
        if self.optimal:
            return 0.0
        return (self.bound - self.value) / abs(self.value) if self.value else np.inf

    @property
    def optimal(self) -> bool:
        return self.bound <= self.value + EQUAL * max(abs(self.value), abs(self.bound))


@dataclass
class Planner:
    """Searches for one problem and objective; budgets may change from call to call."""

    problem: Problem
    objective: Objective
    seconds: float
    seed: int
    _known: list[Chosen] = field(default_factory=list)

    # --- the best plan -----------------------------------------------------------------------------------------

    def best(self, budget: float) -> Plan | None:
        """The best plan found within the budget, or None when no plan keeps the rules (or none was found)."""
        until = time.monotonic() + self.seconds
        problem = self.problem.with_budget(budget)
        plan = self._exactly(problem, until) if self._exact_mesh else self._heuristically(problem, until)
        if plan is not None:
            self._known.append(plan.chosen)
        return plan

    @cached_property
    def _mesh(self) -> CompactMesh:
        return CompactMesh(self.problem)

    @cached_property
    def _exact_mesh(self) -> bool:
        """Whether branch and bound over places is the way: it proves in time where places are small."""
        few = self.problem.options.count <= PLACE
        return isinstance(self.objective, Mesh) and (few or bool(np.isfinite(self.problem.rules.diameter_m)))

    def _exactly(self, problem: Problem, until: float) -> Plan | None:
        """Branch and bound over places; a plan found before serves as the one to beat."""
        assert isinstance(self.objective, Mesh)
        known = max((c for c in self._known if problem.lawful(c)), key=self.objective.squares, default=None)
        if known is None:
            soon = time.monotonic() + 0.2 * self.seconds
            known = max(self._grown(problem, soon), key=self.objective.squares, default=None)
        start = self.objective.squares(())
        floor = self.objective.squares(known) - start if known is not None else 0.0
        found = self._mesh.search(problem, floor=floor, until=until)
        chosen = found.chosen[0] if found.chosen else known
        if chosen is None:
            return None
        value = self.objective.value(chosen)
        if found.proven:
            return Plan(chosen, value, value)
        bound = min((start + found.bound) / problem.units.landscape_ha, self.objective.bound(problem))
        return Plan(chosen, value, max(bound, value))

    def _heuristically(self, problem: Problem, until: float) -> Plan | None:
        grown = [c for c in self._known if problem.lawful(c)]
        half = time.monotonic() + (0.3 if isinstance(self.objective, Mesh) else 0.6) * (until - time.monotonic())
        grown += self._grown(problem, half)
        best = max(grown, key=self.objective.value, default=None)
        if best is not None:
            best = self._exchanged(problem, best, half)
        if problem.options.count <= EXHAUSTIVE:
            return self._enumerated(problem, best, until)
        bound = self.objective.bound(problem)
        if isinstance(self.objective, Mesh):
            relaxed = MergingProgram(problem).solve(until - 0.2 * self.seconds)
            bound = min(bound, self.objective.value(()) + relaxed.bound / problem.units.landscape_ha)
            found = [c for c in relaxed.chosen if problem.lawful(c)]
            if found:
                better = self._exchanged(
                    problem, max(found, key=self.objective.value), time.monotonic() + 0.2 * self.seconds
                )
                best = better if best is None else max(best, better, key=self.objective.value)
        if best is None:
            return None
        value = self.objective.value(best)
        return Plan(best, value, max(bound, value))

    # --- enumeration with a bound: a proof for small problems of any objective ------------------------------------

    def _enumerated(self, problem: Problem, best: Chosen | None, until: float) -> Plan | None:
        """Options are taken or left out one after the other; as restoring more never lowers the value, that of all

        options that may still be taken is above every completion.
        """
        value, cost = self.objective.value, problem.options.cost
        top = value(best) if best is not None else -np.inf
        locked = tuple(np.flatnonzero(problem.options.locked).tolist())
        free = [o for o in self._ranked(problem, locked) if o not in locked]
        rest, ended = -np.inf, False
        stack: list[tuple[Chosen, int]] = [(locked, 0)]
        while stack:
            chosen, at = stack.pop()
            left = problem.rules.budget * (1 + EQUAL) - problem.cost(chosen)
            coming = [o for o in free[at:] if cost[o] <= left]
            above = value((*chosen, *coming))
            if above <= top + EQUAL * abs(top):
                continue
            if time.monotonic() > until:
                rest, ended = max(rest, above), True
                continue
            if problem.lawful(chosen) and value(chosen) > top:
                best, top = chosen, value(chosen)
            if not coming:
                continue
            take = coming[0]
            after = free.index(take, at) + 1
            stack.append((chosen, after))
            if problem.affordable((*chosen, take)):
                stack.append(((*chosen, take), after))
        if best is None:
            return None
        bound = min(max(rest, top), max(self.objective.bound(problem), top)) if ended else top
        return Plan(best, top, bound)

    def _ranked(self, problem: Problem, chosen: Chosen) -> list[int]:
        every = np.arange(problem.options.count)
        worth = _per_cost(self.objective.gains(chosen, every), problem.options.cost)
        return [int(o) for o in np.argsort(-worth, kind="stable")]

    # --- greedy --------------------------------------------------------------------------------------------------

    def _grown(self, problem: Problem, until: float, noise: float = 0.0, seed: int = 0) -> list[Chosen]:
        """Plans grown by gain per cost from what must be in them: once, or from several places when tied to one."""
        base = self._base(problem)
        if base is None:
            return []
        one_place = problem.rules.connected or np.isfinite(problem.rules.diameter_m)
        rng = np.random.default_rng([self.seed, seed])
        starts: list[Chosen] = [base]
        if one_place and not base:
            moves = [(o,) for o in range(problem.options.count)] + self._ways
            singles = self.objective.gains((), np.arange(problem.options.count))
            gains = np.concatenate([singles, self._way_gains])
            costs = np.array([problem.cost(m) for m in moves])
            worth = _per_cost(gains, costs) * rng.lognormal(0, noise, len(moves))
            starts = [
                moves[i] for i in np.argsort(-worth, kind="stable")[: 4 * STARTS] if self._room(problem, moves[i])
            ]
            starts = starts[:STARTS] or [()]
        plans = []
        for start in starts:
            plan = self._extended(problem, start, until, noise, rng)
            if problem.lawful(plan):
                plans.append(plan)
            if time.monotonic() > until and plans:
                break
        return plans

    def _room(self, problem: Problem, chosen: Chosen) -> bool:
        rules = problem.rules
        return (
            problem.affordable(chosen)
            and problem.compact(chosen)
            and (not rules.connected or problem.one_piece(chosen))
        )

    def _extended(
        self, problem: Problem, chosen: Chosen, until: float, noise: float, rng: np.random.Generator
    ) -> Chosen:
        """Add the option, or the whole way between two patches, that gains most per cost, until nothing fits.

        Gains of ways are kept from earlier rounds and only the most promising are computed anew (lazy evaluation).
        """
        every = np.arange(problem.options.count)
        ways, stale = self._ways, self._way_gains.copy()
        while True:
            left = problem.rules.budget * (1 + EQUAL) - problem.cost(chosen)
            free = every[(problem.options.cost <= left) & ~np.isin(every, chosen) & self._near(problem, chosen)]
            gains = self.objective.gains(chosen, free) if len(free) else np.empty(0)
            worth = _per_cost(gains, problem.options.cost[free]) * rng.lognormal(0, noise, len(free))
            moves: list[tuple[Chosen, float, float]] = [
                ((int(o),), float(w), float(g)) for o, w, g in zip(free, worth, gains, strict=True)
            ]
            if problem.rules.connected and chosen:
                ways = self._onward(chosen)
                stale = np.full(len(ways), np.inf)
            moves += self._best_ways(problem, chosen, ways, stale, left)
            moves.sort(key=lambda m: (-m[1], m[0]))
            for move, _, gain in moves:
                wider = (*chosen, *(o for o in move if o not in chosen))
                if gain > 0 and self._room(problem, wider):
                    chosen = wider
                    break
            else:
                return chosen
            if time.monotonic() > until:
                return chosen

    def _near(self, problem: Problem, chosen: Chosen) -> np.ndarray:
        """Options that may still be compact or connected with what is chosen: a quick look that spares most checks."""
        units, options, rules = problem.units, problem.options, problem.rules
        out = np.ones(options.count, bool)
        own = options.units_of(chosen)
        if not len(own):
            return out
        if rules.connected:
            beside = np.zeros(units.count, bool)
            beside[np.concatenate([units.touch[units.touch_ptr[u] : units.touch_ptr[u + 1]] for u in own])] = True
            out &= np.logical_or.reduceat(beside[options.unit_of], options.unit_ptr[:-1])
        if np.isfinite(rules.diameter_m):
            first = options.unit_of[options.unit_ptr[:-1]]
            apart = np.zeros(options.count)
            for u in own:
                apart = np.maximum(apart, np.hypot(units.x_m[first] - units.x_m[u], units.y_m[first] - units.y_m[u]))
            out &= apart <= rules.diameter_m * (1 + EQUAL)
        return out

    def _best_ways(
        self, problem: Problem, chosen: Chosen, ways: list[Chosen], stale: np.ndarray, left: float
    ) -> list[tuple[Chosen, float, float]]:
        costs = np.array([problem.cost([o for o in w if o not in chosen]) for w in ways])
        if not len(ways):
            return []
        promise = np.where((costs <= left) & (costs > 0), _per_cost(stale, costs), -np.inf)
        first = np.flatnonzero(np.isinf(promise) & (promise > 0))
        first = first if len(first) else np.argsort(-promise, kind="stable")[:8]
        fresh = self._move_gains(chosen, [ways[i] for i in first])
        stale[first] = fresh
        return [
            (ways[i], float(g / costs[i]), float(g)) for i, g in zip(first, fresh, strict=True) if promise[i] > -np.inf
        ]

    def _move_gains(self, chosen: Chosen, moves: list[Chosen]) -> np.ndarray:
        before = self.objective.value(chosen)
        single = np.array([len(m) == 1 for m in moves], bool)
        out = np.empty(len(moves))
        if single.any():
            options = np.array([m[0] for m in moves if len(m) == 1])
            out[single] = self.objective.gains(chosen, options)
        for i in np.flatnonzero(~single):
            out[i] = self.objective.value((*chosen, *(o for o in moves[i] if o not in chosen))) - before
        return out

    # --- exchanges ---------------------------------------------------------------------------------------------

    def _exchanged(self, problem: Problem, chosen: Chosen, until: float) -> Chosen:
        """Leave out one option at a time (or two neighbours in the list) and grow again, as long as that is better."""
        rng = np.random.default_rng([self.seed, 1])
        best, top = chosen, self.objective.value(chosen)
        improved = True
        while improved and time.monotonic() < until:
            improved = False
            for out in rng.permutation(np.array(best, np.int64)):
                if problem.options.locked[out] or time.monotonic() > until:
                    continue
                kept = tuple(o for o in best if o != out)
                if problem.rules.connected and not problem.one_piece(kept):
                    continue
                tried = self._extended(problem, kept, until, 0.05, rng)
                value = self.objective.value(tried)
                if value > top * (1 + EQUAL) and problem.lawful(tried):
                    best, top, improved = tried, value, True
                    break
        return best

    # --- ways between patches ------------------------------------------------------------------------------------

    @cached_property
    def _cheapest(self) -> np.ndarray:
        """The cheapest option of each unit that becomes habitat, -1 where there is none."""
        options = self.problem.options
        out = np.full(self.problem.units.count, -1)
        for o in np.argsort(-options.cost, kind="stable"):
            if options.counts[o]:
                out[options.units(int(o))] = o
        return out

    @cached_property
    def _ways(self) -> list[Chosen]:
        """The cheapest sets of options that join two neighbouring patches, found by least-cost paths.

        Where patches need not touch to be linked (IIC), also those that end one option short of either.
        """
        found: dict[tuple[int, int], tuple[float, Chosen]] = {}
        for source in range(len(self.problem.units.patch_ha)):
            start = np.flatnonzero(self.problem.units.patch == source)
            for paid, way, target in self._walk(start, (), through=False):
                pair = (min(source, target), max(source, target))
                if pair not in found or paid < found[pair][0]:
                    found[pair] = (paid, way)
        budget = self.problem.rules.budget * (1 + EQUAL)
        ways = {w for _, w in found.values()}
        if isinstance(self.objective, Hops):
            ways |= {short for w in ways for short in (w[1:], w[:-1], w[1:-1])}
        rules, one_piece = self.problem.rules, self.problem.one_piece
        lawful = (w for w in ways if len(w) > 1 and self.problem.cost(w) <= budget and self.problem.compact(w))
        return sorted(w for w in lawful if not rules.connected or one_piece(w))

    @cached_property
    def _way_gains(self) -> np.ndarray:
        """What each way gains when nothing else is restored: where its gain is guessed from until it is looked at."""
        return self._move_gains((), self._ways)

    def _onward(self, chosen: Chosen) -> list[Chosen]:
        """The cheapest ways from what is chosen to each patch around it, not through other patches."""
        walked = self._walk(self.problem.options.units_of(chosen), chosen, through=False)
        return sorted({way for _, way, _ in walked if way})

    def _walk(self, start: np.ndarray, chosen: Chosen, *, through: bool) -> Iterator[tuple[float, Chosen, int]]:
        """Patches in the order of what reaching them costs, with the options on the way.

        Paths end at the first patch unless they may go ``through`` patches (and chosen units) for nothing.
        """
        units, options, cheapest = self.problem.units, self.problem.options, self._cheapest
        owned = np.zeros(units.count, bool)
        owned[options.units_of(chosen)] = True
        best: dict[int, float] = dict.fromkeys(start.tolist(), 0.0)
        origin: dict[int, int] = {}
        budget = self.problem.rules.budget * (1 + EQUAL)
        queue = [(0.0, u) for u in best]
        own, met = int(units.patch[start[0]]), set()
        while queue:
            paid, u = heapq.heappop(queue)
            if paid > best[u]:
                continue
            patch = int(units.patch[u])
            if patch >= 0 and patch != own and patch not in met:
                met.add(patch)
                yield paid, self._options_on(u, origin, cheapest, owned), patch
            if patch >= 0 and patch != own and not through:
                continue
            for v in units.touch[units.touch_ptr[u] : units.touch_ptr[u + 1]].tolist():
                if units.habitat[v] or owned[v]:
                    price = 0.0
                elif cheapest[v] >= 0:
                    price = float(options.cost[cheapest[v]])
                    price = 0.0 if u in origin and cheapest[u] == cheapest[v] else price
                else:
                    continue
                if paid + price <= budget and paid + price < best.get(v, np.inf):
                    best[v] = paid + price
                    origin[v] = u
                    heapq.heappush(queue, (best[v], v))

    def _options_on(self, unit: int, origin: dict[int, int], cheapest: np.ndarray, owned: np.ndarray) -> Chosen:
        out: dict[int, None] = {}
        while unit in origin:
            if not self.problem.units.habitat[unit] and not owned[unit]:
                out[int(cheapest[unit])] = None
            unit = origin[unit]
        return tuple(out)

    def _base(self, problem: Problem) -> Chosen | None:
        """What every plan holds: the locked options, and cheap ways that join the cores (Takahashi and Matsuyama).

        None when that already breaks a rule.
        """
        chosen: Chosen = tuple(np.flatnonzero(problem.options.locked).tolist())
        joined = list(problem.rules.joined)
        while len(joined) > 1:
            piece = problem.units.pieces(problem.habitat_after(chosen))
            first = {p: piece[np.flatnonzero(problem.units.patch == p)[0]] for p in joined}
            home = first[joined[0]]
            away = [p for p in joined if first[p] != home]
            if not away:
                break
            inside = np.flatnonzero((piece == home) & problem.units.habitat)
            way = next((w for _, w, p in self._walk(inside, chosen, through=True) if p in away), None)
            if way is None:
                return None
            chosen = (*chosen, *(o for o in way if o not in chosen))
        return chosen if problem.affordable(chosen) and problem.compact(chosen) else None

    # --- plans near the best -------------------------------------------------------------------------------------

    def portfolio(self, plan: Plan, budget: float, *, count: int, within: float) -> list[Plan]:
        """Different plans whose gain is within a share of the best plan's, best first, the best among them.

        For effective mesh size with a proof they are enumerated; else grown again with gains per cost multiplied by
        lognormal noise, and exchanged.
        """
        problem = self.problem.with_budget(budget)
        before = self.objective.value(())
        floor = plan.value - within * (plan.value - before)
        found = {tuple(sorted(plan.chosen)): plan.value}
        until = time.monotonic() + self.seconds
        if self._exact_mesh:
            land = problem.units.landscape_ha
            gain = (plan.value - before) * land
            for chosen in self._mesh.search(
                problem, floor=gain * (1 - 1e-12), within=within, keep=count, until=until
            ).chosen:
                found[tuple(sorted(chosen))] = self.objective.value(chosen)
        else:
            for number in range(1, 3 * count):
                if len(found) >= count or time.monotonic() > until:
                    break
                for grown in self._grown(problem, until, noise=0.5, seed=number):
                    found.setdefault(tuple(sorted(grown)), self.objective.value(grown))
        near = [(c, v) for c, v in found.items() if v >= floor - EQUAL * abs(floor)]
        near.sort(key=lambda p: (-p[1], p[0]))
        return [Plan(c, v, max(plan.bound, v)) for c, v in near[:count]]


def _per_cost(gain: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Gain per cost, and no less than that of anything at all for gains that cost nothing."""
    free = 1e-9 * max(float(np.max(cost, initial=0.0)), 1e-9)
    return np.asarray(gain / np.maximum(cost, free))
