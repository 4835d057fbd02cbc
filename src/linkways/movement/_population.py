"""From sequences to animals to a population: mean use, footprints, and what other animals would have shown.

A footprint is kept as runs of cells, ``[first, stop)`` in the flat order of the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from linkways.movement._distributions import PlaneGrid

__all__ = [
    "Footprints",
    "Tiers",
    "inclusion_by_animals",
    "resampled_areas",
    "runs_of",
    "saturation",
    "saturation_figure",
]

Runs = tuple[np.ndarray, np.ndarray]

MOST_SIZES = 15
"""Numbers of animals at which the saturation curve is drawn."""
MOST_USES = 3_000_000
"""Cells summed over the animals that use them, of which draws look at all; beyond, at rows of cells evenly apart."""


@dataclass(frozen=True)
class Tiers:
    """Low, medium and high use: the least share of animals in per cent."""

    percent: tuple[float, float, float]
    names: tuple[str, str, str] = ("low", "medium", "high")

    def needed(self, animals: int) -> np.ndarray:
        """The least number of animals of each tier, at least one and at most all."""
        exact = np.asarray(self.percent) * animals / 100
        return np.clip(np.ceil(exact - 1e-9), 1, animals).astype(np.int64)


@dataclass(frozen=True)
class Footprints:
    """The cells that each animal uses, as sets of cells with the same animals."""

    animals: int
    start: np.ndarray
    members: np.ndarray
    """The animals of set s are ``members[start[s]:start[s + 1]]``."""
    area_km2: np.ndarray
    """Of each set."""
    area_by_users: np.ndarray
    """That exactly 0, 1, 2, ... animals use; that of none is 0. Of all cells, whatever rows the sets are of."""

    @classmethod
    def of(cls, runs: Sequence[Runs], counts: np.ndarray, grid: "PlaneGrid") -> "Footprints":
        """From the runs of each animal, and the number of animals on every cell."""
        users = np.bincount(counts, minlength=len(runs) + 1)
        users[0] = 0
        uses = int(users @ np.arange(len(users)))
        every = -(-uses // MOST_USES)
        if every > 1:
            runs = [_rows_apart(run, grid.columns, every) for run in runs]
        start, members, cells = _sets(runs)
        return cls(
            len(runs), start, members, cells * (users.sum() / cells.sum()) * grid.cell_km2, users * grid.cell_km2
        )

    def areas(self, times: np.ndarray, needed: np.ndarray) -> np.ndarray:
        """Area of each tier (rows) under each draw (columns); see `tier_areas`."""
        from linkways.movement._population_kernels import tier_areas

        return np.asarray(
            tier_areas(self.start, self.members, self.area_km2, times.astype(np.int16), needed.astype(np.int16))
        )


def _rows_apart(runs: Runs, columns: int, every: int) -> Runs:
    """Those of the runs that begin in every so manieth row of cells, to the end of the row."""
    first, stop = runs
    row = first // columns
    kept = row % every == 0
    return first[kept], np.minimum(stop, (row + 1) * columns)[kept]


def _sets(runs: Sequence[Runs]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start and members of each set of cells with the same animals, and its number of cells."""
    from linkways.movement._population_kernels import members_at

    animal = np.repeat(np.arange(len(runs), dtype=np.int32), [len(first) for first, _ in runs])
    at = np.concatenate([*(first for first, _ in runs), *(stop for _, stop in runs)])
    order = np.argsort(at, kind="stable")
    at, opens = at[order], order < len(animal)
    animal = np.concatenate([animal, animal])[order]
    length = np.diff(at, append=at[-1])
    present = np.cumsum(np.where(opens, 1, -1))
    # a set of animals is known by the exclusive or of a random key of each; two of a million meet once in 10^7
    keys = np.random.default_rng(0).integers(1, 2**63, len(runs))
    key = np.bitwise_xor.accumulate(keys[animal])
    # an interval with cells follows the last event at its place, so that the order of events there is no matter
    held = np.flatnonzero((length > 0) & (present > 0))
    _, first, which = np.unique(key[held], return_index=True, return_inverse=True)
    cells = np.bincount(which, weights=length[held])
    by_place = np.argsort(first)
    asked = held[first[by_place]]
    start, members = members_at(animal, opens, asked, int(present[asked].sum()))
    return start, members, cells[by_place]


def runs_of(cells: np.ndarray) -> Runs:
    """Ascending cells as runs: the first of each, and the one after its last."""
    if not len(cells):
        return cells, cells
    breaks = np.flatnonzero(np.diff(cells) != 1)
    return cells[np.r_[0, breaks + 1]], cells[np.r_[breaks, len(cells) - 1]] + 1


# --- other animals ---------------------------------------------------------------------------------------------


def inclusion_by_animals(animals: int, tiers: Tiers) -> np.ndarray:
    """Probability that a cell used by 0, 1, ... animals (rows) is in each tier (columns) when animals are drawn anew.

    ``animals`` are drawn with replacement; those that use the cell come up as often as a binomial of n draws with
    probability users / n, so that no draw is needed: P(Binomial(n, users / n) >= needed). It is 1 for cells that all
    animals use.
    """
    from scipy.special import bdtrc

    share = np.arange(animals + 1) / animals
    return np.asarray(bdtrc(tiers.needed(animals)[None, :] - 1, animals, share[:, None]))


def resampled_areas(prints: Footprints, tiers: Tiers, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Area of each tier (rows) when as many animals are drawn with replacement, for each of many draws (columns)."""
    count = prints.animals
    times = rng.multinomial(count, np.full(count, 1 / count), size=draws).T
    return prints.areas(times, np.repeat(tiers.needed(count)[:, None], draws, axis=1))


def saturation(prints: Footprints, tiers: Tiers, draws: int, rng: np.random.Generator) -> "pd.DataFrame":
    """Area of each tier if only some of the animals had been followed: animals, tier, area_km2, low_km2, high_km2.

    The area is the exact mean over all choices of m of the n animals without replacement, P(Hypergeometric >= needed)
    summed over the cells (rarefaction; Colwell and others 2012); low and high are the 2.5 and 97.5 per cent points over
    drawn choices, and empty without draws.
    """
    import pandas as pd

    count = prints.animals
    sizes = np.unique(np.rint(np.linspace(1, count, min(count, MOST_SIZES))).astype(int))
    area = prints.area_by_users
    parts = []
    needed = np.array([tiers.needed(size) for size in sizes]).T
    drawn = _drawn_choices(prints, sizes, needed, draws, rng) if draws else None
    for t, name in enumerate(tiers.names):
        held = np.array([_chosen_often(count, m, k) for m, k in zip(sizes, needed[t], strict=True)])
        low, high = np.full((2, len(sizes)), np.nan) if drawn is None else np.percentile(drawn[t], (2.5, 97.5), axis=1)
        table = {"tier": name, "animals": sizes, "needed": needed[t], "area_km2": held @ area}
        parts.append(pd.DataFrame(table).assign(low_km2=low, high_km2=high))
    return pd.concat(parts, ignore_index=True)


def _chosen_often(animals: int, chosen: int, needed: int) -> np.ndarray:
    """Probability that at least ``needed`` of 0, 1, ... users are among the chosen of all animals; by users."""
    log = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, animals + 1)))])  # of factorials
    users, among = np.arange(animals + 1)[:, None], np.arange(needed, chosen + 1)[None, :]
    others = chosen - among
    can = (among <= users) & (others <= animals - users)
    among, others = np.where(can, among, 0), np.where(can, others, 0)
    ways = log[users] - log[among] - log[users - among]
    ways += log[animals - users] - log[others] - log[animals - users - others]
    ways -= log[animals] - log[chosen] - log[animals - chosen]
    return np.asarray(np.where(can, np.exp(ways), 0.0).sum(axis=1))


def _drawn_choices(
    prints: Footprints, sizes: np.ndarray, needed: np.ndarray, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """(tiers, sizes, draws): areas when the first m animals of random orders had been followed."""
    rank = rng.permuted(np.tile(np.arange(prints.animals), (draws, 1)), axis=1).T
    chosen = rank[:, None, :] < sizes[None, :, None]
    times = chosen.reshape(prints.animals, -1)
    found = prints.areas(times, np.repeat(needed[:, :, None], draws, axis=2).reshape(len(needed), -1))
    return found.reshape(len(needed), len(sizes), draws)


def saturation_figure(table: "pd.DataFrame") -> "Figure":
    """The saturation curve of each tier with the band of drawn choices."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    colours = {"low": "#7fb3a6", "medium": "#d98f3d", "high": "#8c2d19"}
    for tier, rows in table.groupby("tier", sort=False):
        colour = colours[str(tier)]
        axes.plot(rows["animals"], rows["area_km2"], color=colour, marker="o", markersize=3, label=f"{tier} use")
        if rows["low_km2"].notna().any():
            axes.fill_between(rows["animals"], rows["low_km2"], rows["high_km2"], color=colour, alpha=0.2, linewidth=0)
    axes.set_xlabel("animals followed")
    axes.set_ylabel("area (km2)")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


def interval(found: float, drawn: np.ndarray) -> tuple[float, float]:
    """The 2.5 and 97.5 per cent points of drawn areas, moved so that their mean is the area found; none below 0."""
    low, high = np.percentile(drawn, (2.5, 97.5)) - drawn.mean() + found
    return max(float(low), 0.0), float(high)


def tier_rows(tiers: Tiers, animals: int) -> list[dict[str, Any]]:
    """What each tier asks for."""
    return [
        {"tier": name, "percent": percent, "needed": int(needed)}
        for name, percent, needed in zip(tiers.names, tiers.percent, tiers.needed(animals), strict=True)
    ]
