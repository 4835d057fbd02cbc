"""The reserve model as arrays: species that move along the river, effort that reserves push elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from linkways.rivers._forest import Forest

    Floats = NDArray[np.float64]

__all__ = ["Outcome", "Species", "Waters"]

TOLERANCE = 1e-9
MOST_YEARS = 2000


@dataclass(frozen=True)
class Species:
    """One species or guild: mean distance it moves in a year, growth, catchability, share of the capacity."""

    name: str
    dispersal_m: float
    growth_rate: float
    catchability: float


@dataclass(frozen=True)
class Outcome:
    """What one species does under given reserves, by place.

    Attributes:
        abundance: before growth, (n,), in units of carrying capacity.
        catch: a year, (n,).
    """

    abundance: Floats
    catch: Floats


@dataclass(frozen=True)
class Waters:
    """The river for all species.

    Attributes:
        forest: the reaches. capacity: carrying capacity by place, (n,).
        pass_down, pass_up: passability of the edge below each place, (n,).
        fishing: instantaneous fishing mortality a year where fishing is open and nothing is displaced.
        displaced: share of the effort kept out of reserves that goes to open water of the same basin.
    """

    forest: Forest
    capacity: Floats
    pass_down: Floats
    pass_up: Floats
    fishing: float
    displaced: float
    _factors: dict[float, tuple[Floats, Floats, Floats]] = field(default_factory=dict, repr=False)

    def factors(self, dispersal_m: float) -> tuple[Floats, Floats, Floats]:
        """Factors downstream and upstream with exp(-d / mean) between middles, and sum_k C(i, k) l_k."""
        from linkways.rivers._reserve_kernels import arrivals

        if dispersal_m in self._factors:
            return self._factors[dispersal_m]
        forest = self.forest
        length = forest.length_m
        below = np.where(forest.down >= 0, length[forest.down], 0.0)
        near = np.exp(-(length + below) / 2 / dispersal_m)
        a, b = self.pass_down * near, self.pass_up * near
        reachable = np.empty_like(length)
        # what i can reach is what would arrive at i if the river were passed the other way
        arrivals(forest.down, b, a, length, np.empty_like(length), reachable)
        self._factors[dispersal_m] = a, b, reachable
        return a, b, reachable

    def effort(self, protection: Floats) -> Floats:
        """Fishing effort by place, 1 where nothing is protected: 1 - protection, and what is displaced from reserves.

        ``protection`` is the share of the effort that a reserve keeps out, 0 in open water.
        """
        length, basin = self.forest.length_m, self.forest.basin
        basins = len(self.forest.starts) - 1
        kept_out = np.bincount(basin, protection * length, basins)
        open_water = np.bincount(basin, np.where(protection > 0, 0.0, length), basins)
        more = np.divide(kept_out, open_water, out=np.zeros(basins), where=open_water > 0)
        return np.where(protection > 0, 1.0 - protection, 1.0 + self.displaced * more[basin])

    def settle(
        self, species: Species, protection: Floats, start: Floats | None = None, tolerance: float = TOLERANCE
    ) -> Outcome:
        """Abundance and catch once a year changes no abundance by more than ``tolerance`` of the largest."""
        from linkways.rivers._reserve_kernels import equilibrium

        a, b, reachable = self.factors(species.dispersal_m)
        survival = np.exp(-self.fishing * species.catchability * self.effort(protection))
        first = self.capacity if start is None else start
        r = species.growth_rate
        found, _ = equilibrium(
            self.forest.down, a, b, self.forest.length_m, reachable, self.capacity, r, survival, first, tolerance,
            MOST_YEARS,
        )  # fmt: skip
        return Outcome(found, (1 - survival) * self.grown(found, r))

    def grown(self, abundance: Floats, growth_rate: float) -> Floats:
        """Beverton-Holt: (1 + r) n / (1 + r n / K)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            grown = (1 + growth_rate) * abundance / (1 + growth_rate * abundance / self.capacity)
        return np.where(self.capacity > 0, grown, 0.0)

    def settling_inside(self, species: Species, inside: NDArray[np.bool_]) -> Floats:
        """Share of the fish of each place that settle in the places ``inside``, (n,)."""
        from linkways.rivers._reserve_kernels import arrivals

        a, b, reachable = self.factors(species.dispersal_m)
        out = np.empty_like(a)
        weight = np.where(inside, self.forest.length_m, 0.0)
        arrivals(self.forest.down, b, a, weight, np.empty_like(a), out)
        return np.divide(out, reachable, out=np.zeros_like(out), where=reachable > 0)
