"""Effective mesh size with a proof, where all that is restored lies within a circle."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from linkways.planning._kernels import covered_sets, search_place
from linkways.planning._restore_problem import Problem

__all__ = ["CompactMesh", "Found"]

NODES = 200_000  # of a place that are searched before the time is looked at
SLACK = 1e-11  # of the landscape's sum of squares: two plans closer than this are equal


@dataclass(frozen=True)
class Found:
    """Sets of options with their gains in the sum of squared patch areas (ha2), best first, and a bound on any gain.

    ``proven``: the search was exhausted, so that the best is the optimum (and without one, no plan keeps the rules).
    """

    chosen: list[tuple[int, ...]]
    gains: list[float]
    bound: float
    proven: bool


@dataclass(frozen=True)
class CompactMesh:
    """The exact search: every set of options that a circle of the allowed diameter covers lies within one place.

    A place is a set of options that one circle covers and, of those about the same point, none with more. There are a
    few for each unit, and each is searched by branch and bound (`mesh_search`), best bound first: most are never
    entered, as their bound lies below what another place gives.
    """

    problem: Problem

    @cached_property
    def places(self) -> list[np.ndarray]:
        """The options of each place; without a diameter all options are one."""
        options, units, diameter = self.problem.options, self.problem.units, self.problem.rules.diameter_m
        if np.isinf(diameter):
            return [np.flatnonzero(options.counts)]
        owner = np.repeat(np.arange(options.count), np.diff(options.unit_ptr))
        kept = options.counts[owner]
        owner, members = owner[kept], options.unit_of[kept]
        size = np.bincount(owner, minlength=options.count)
        x, y = units.x_m[members], units.y_m[members]
        keys = np.random.default_rng(0).integers(1, np.iinfo(np.int64).max, options.count)
        ptr, flat = covered_sets(x, y, owner, size, *_around(x, y, diameter), diameter / 2, keys)
        locked = np.flatnonzero(options.locked & options.counts)
        sets = [flat[ptr[i] : ptr[i + 1]] for i in range(len(ptr) - 1)]
        return [s for s in sets if not len(locked) or np.isin(locked, s).all()]

    def search(
        self, problem: Problem, *, floor: float = 0.0, within: float = 0.0, keep: int = 1, until: float = np.inf
    ) -> Found:
        """The best plans for the problem's rules; those within ``within`` (share of the best gain) are kept too.

        ``floor`` is a gain already known to be reached (its plan is not returned). Ends at ``until`` (of the monotonic
        clock, s) with a bound.
        """
        equal = SLACK * (float((self.problem.units.patch_ha**2).sum()) + 1.0)
        tops = np.array([self._run(p, problem, 0.0, equal, 1, 1)[4] for p in self.places])
        best, bound, proven = floor, -np.inf, True
        found: dict[tuple[int, ...], float] = {}
        for at in np.argsort(-tops, kind="stable"):
            slack = max(equal, within * best) if keep > 1 else -equal
            if -np.inf < tops[at] <= best - slack:
                continue
            limit = NODES if time.monotonic() < until else 1
            top, gains, sets, _, rest = self._run(self.places[at], problem, best, slack, keep, limit)
            while rest > -np.inf and time.monotonic() < until:
                limit *= 4
                top, gains, sets, _, rest = self._run(self.places[at], problem, max(best, top), slack, keep, limit)
            if rest > -np.inf:
                proven, bound = False, max(bound, rest)
            best = max(best, top)
            for gain, members in zip(gains, sets, strict=True):
                found[tuple(sorted(self.places[at][members].tolist()))] = float(gain)
        slack = max(equal, within * best) if keep > 1 else equal
        ranked = sorted(((g, c) for c, g in found.items() if g >= best - slack), key=lambda p: (-p[0], p[1]))[:keep]
        return Found([c for _, c in ranked], [g for g, _ in ranked], max(best, bound), proven)

    @cached_property
    def _scratch(self) -> tuple[np.ndarray, np.ndarray]:
        units = self.problem.units
        return np.full(units.count, -1), np.full(len(units.patch_ha), -1)

    def _run(
        self, own: np.ndarray, problem: Problem, floor: float, slack: float, keep: int, limit: int
    ) -> tuple[float, np.ndarray, np.ndarray, int, float]:
        units, options, rules = problem.units, problem.options, problem.rules
        return search_place(  # type: ignore[no-any-return]
            own,
            options.unit_ptr,
            options.unit_of,
            units.touch_ptr,
            units.touch,
            units.patch,
            units.patch_ha,
            units.area_ha,
            *self._scratch,
            options.cost,
            options.group,
            options.zone,
            rules.zone_limit,
            rules.budget,
            options.locked,
            rules.connected,
            np.array(rules.joined, np.int64),
            floor,
            slack,
            keep,
            limit,
        )


def _around(x: np.ndarray, y: np.ndarray, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """The other points within the distance of each point, as compressed rows."""
    from scipy.spatial import cKDTree

    tree = cKDTree(np.column_stack([x, y]))
    pairs = tree.query_pairs(distance * (1 + 1e-9), output_type="ndarray").astype(np.int64)
    start, end = np.concatenate([pairs, pairs[:, ::-1]]).T
    order = np.lexsort((end, start))
    return np.searchsorted(start[order], np.arange(len(x) + 1)), np.ascontiguousarray(end[order])
