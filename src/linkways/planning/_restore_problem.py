"""A restoration problem as numbers: planning units, what may be done with them, and the rules a plan must keep."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Options", "Problem", "Rules", "Units"]

NEAR = 1e-9  # relative room for rounding in sums of costs


@dataclass(frozen=True)
class Units:
    """The landscape: ``n`` planning units, habitat or not, and what lies beside what.

    ``x_m``, ``y_m`` centres in metres (their distances decide about compactness); ``area_ha``; ``habitat`` bool;
    ``ground`` resistance > 0, ``resistance`` the same but 0 in habitat; ``touch_ptr``, ``touch`` the units that make
    one patch with each; ``step_ptr``, ``step``, ``length_m`` the units one can step to, and how far it is.
    """

    x_m: np.ndarray
    y_m: np.ndarray
    area_ha: np.ndarray
    habitat: np.ndarray
    ground: np.ndarray
    resistance: np.ndarray
    touch_ptr: np.ndarray
    touch: np.ndarray
    step_ptr: np.ndarray
    step: np.ndarray
    length_m: np.ndarray

    @property
    def count(self) -> int:
        return len(self.area_ha)

    @cached_property
    def landscape_ha(self) -> float:
        return float(self.area_ha.sum())

    @cached_property
    def patch(self) -> np.ndarray:
        """Number of the habitat patch of each unit from 0, -1 outside habitat."""
        return self.pieces(self.habitat)

    @cached_property
    def patch_ha(self) -> np.ndarray:
        inside = self.patch >= 0
        return np.bincount(self.patch[inside], weights=self.area_ha[inside]) if inside.any() else np.empty(0)

    def pieces(self, mask: np.ndarray) -> np.ndarray:
        """Number of the connected piece of each unit of the mask from 0, in the order of first units; -1 outside."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        inside = np.flatnonzero(mask)
        out = np.full(self.count, -1)
        if not len(inside):
            return out
        graph = csr_array((np.ones(len(self.touch), np.int8), self.touch, self.touch_ptr), shape=(self.count,) * 2)
        out[inside] = connected_components(graph[inside][:, inside], directed=False)[1]
        return out


@dataclass(frozen=True)
class Options:
    """What may be done: option ``o`` restores the units ``unit_of[unit_ptr[o]:unit_ptr[o + 1]]`` at ``cost[o]``.

    ``quality`` is the habitat value (0 to 1) its units get, ``factor`` what multiplies their resistance, ``counts``
    whether they become habitat (for patches, connection and compactness); of the options of one ``group`` one may be
    chosen; ``zone`` is -1 or the zone whose limit its cost counts against; ``locked`` options must be chosen.
    """

    unit_ptr: np.ndarray
    unit_of: np.ndarray
    cost: np.ndarray
    restored_ha: np.ndarray
    quality: np.ndarray
    factor: np.ndarray
    counts: np.ndarray
    group: np.ndarray
    zone: np.ndarray
    locked: np.ndarray

    @property
    def count(self) -> int:
        return len(self.cost)

    def units(self, option: int) -> np.ndarray:
        return np.asarray(self.unit_of[self.unit_ptr[option] : self.unit_ptr[option + 1]])

    def units_of(self, chosen: Any) -> np.ndarray:
        """All units of several options."""
        return np.concatenate([self.units(o) for o in chosen]) if len(chosen) else np.empty(0, np.int64)


@dataclass(frozen=True)
class Rules:
    """What a plan must keep; ``joined`` holds the patches that must end up in one piece of habitat."""

    budget: float
    zone_limit: np.ndarray
    diameter_m: float = np.inf
    connected: bool = False
    joined: tuple[int, ...] = ()


@dataclass(frozen=True)
class Problem:
    """Units, options and rules, with the questions that searches ask of a set of options."""

    units: Units
    options: Options
    rules: Rules

    def cost(self, chosen: Any) -> float:
        return float(self.options.cost[np.asarray(chosen, np.int64)].sum())

    def affordable(self, chosen: Any) -> bool:
        """Within the budget and every zone's limit, and one option a group."""
        index = np.asarray(chosen, np.int64)
        if self.cost(index) > self.rules.budget * (1 + NEAR):
            return False
        if len(np.unique(self.options.group[index])) < len(index):
            return False
        zones = self.options.zone[index]
        inside = zones >= 0
        spent = np.bincount(zones[inside], self.options.cost[index][inside], minlength=len(self.rules.zone_limit))
        return bool(np.all(spent <= self.rules.zone_limit * (1 + NEAR) + 1e-12))

    def diameter_m(self, chosen: Any) -> float:
        """Diameter of the smallest circle around the centres of all chosen units."""
        from linkways.planning._kernels import enclosing_diameter

        units = self.options.units_of(chosen)
        return float(enclosing_diameter(self.units.x_m[units], self.units.y_m[units]))

    def compact(self, chosen: Any) -> bool:
        return np.isinf(self.rules.diameter_m) or self.diameter_m(chosen) <= self.rules.diameter_m * (1 + NEAR)

    def one_piece(self, chosen: Any) -> bool:
        """The chosen units that become habitat touch each other as one piece (not by way of other habitat)."""
        return self.pieces(chosen) <= 1

    def pieces(self, chosen: Any) -> int:
        """How many connected pieces the chosen units form by themselves."""
        mask = np.zeros(self.units.count, bool)
        mask[self.options.units_of(chosen)] = True
        return int(self.units.pieces(mask).max(initial=-1)) + 1

    def habitat_after(self, chosen: Any) -> np.ndarray:
        mask = self.units.habitat.copy()
        mask[self.options.units_of([o for o in chosen if self.options.counts[o]])] = True
        return mask

    def joins(self, chosen: Any) -> bool:
        """All named cores stand in one piece of habitat."""
        return len(self.rules.joined) < 2 or self._in_one_piece(self.habitat_after(chosen))

    def can_join(self) -> bool:
        """Whether restoring everything at once would join the cores."""
        return len(self.rules.joined) < 2 or self._in_one_piece(self.habitat_after(range(self.options.count)))

    def _in_one_piece(self, mask: np.ndarray) -> bool:
        piece = self.units.pieces(mask)
        inside = np.flatnonzero(np.isin(self.units.patch, self.rules.joined))
        return len(np.unique(piece[inside])) == 1

    def lawful(self, chosen: Any) -> bool:
        """Whether a plan keeps every rule."""
        chosen = list(chosen)
        return (
            set(np.flatnonzero(self.options.locked)) <= set(chosen)
            and self.affordable(chosen)
            and self.compact(chosen)
            and (not self.rules.connected or self.one_piece(chosen))
            and self.joins(chosen)
        )

    def with_budget(self, budget: float) -> Problem:
        from dataclasses import replace

        return Problem(self.units, self.options, replace(self.rules, budget=budget))
