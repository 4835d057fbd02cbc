"""Which sequences pass a cross-section, when, and how wide apart."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.movement._fixes import Fixes, fixes_of

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["Passages", "passages_of"]


@dataclass(frozen=True)
class Passages:
    """First passages of sequences through cross-sections."""

    fixes: Fixes
    seasons: np.ndarray
    """By group of fixes; empty text where a sequence has none of its own and its months tell."""
    first: list[dict[str, np.ndarray]]
    """By cross-section: group, seconds and offset along it in metres of each sequence that passes."""
    weights: np.ndarray
    """(replicates, animals): how often an animal is drawn."""
    animals: np.ndarray
    """Number of the animal of each group."""

    def row(self, k: int) -> dict[str, Any]:
        """What the layer tells of a cross-section."""
        first = self.first[k]
        passes = np.zeros(self.weights.shape[1])
        passes[self.animals[first["group"]]] = 1.0
        drawn = self.weights @ passes / self.weights.sum(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        return {
            "share_animals": float(passes.mean()),
            "share_animals_low": float(low),
            "share_animals_high": float(high),
            "share_sequences": len(first["group"]) / len(self.fixes),
            "season": self._seasons(k),
            **self._width(k),
        }

    def table(self, k: int) -> "pd.DataFrame":
        """The sequences that pass a cross-section, by time."""
        import pandas as pd

        first = self.first[k]
        by_time = np.argsort(first["seconds"], kind="stable")
        group = first["group"][by_time]
        return pd.DataFrame(
            {
                "animal": self.fixes.animals[group],
                "sequence": self.fixes.names[group],
                "season": self._season_of(k)[by_time],
                "time": pd.to_datetime(first["seconds"][by_time], unit="s", utc=True),
            }
        )

    def _season_of(self, k: int) -> np.ndarray:
        import pandas as pd

        first = self.first[k]
        own = self.seasons[first["group"]]
        month = pd.to_datetime(first["seconds"], unit="s", utc=True).strftime("%b").to_numpy(dtype=object)
        return np.where(own == "", month, own)

    def _seasons(self, k: int) -> str:
        names, count = np.unique(self._season_of(k).astype(str), return_counts=True)
        order = np.argsort(-count, kind="stable")
        return ", ".join(f"{names[i]} {count[i]}" for i in order)

    def _width(self, k: int) -> dict[str, float]:
        first = self.first[k]
        animal = self.animals[first["group"]]
        out = {"passage_width_m": np.nan, "passage_width_low_m": np.nan, "passage_width_high_m": np.nan}
        if len(animal) < 2:
            return out
        by_place = np.argsort(first["offset_m"], kind="stable")
        offset, animal = first["offset_m"][by_place], animal[by_place]
        out["passage_width_m"] = float(_spread(offset, np.ones((1, len(offset))))[0])
        drawn = self.weights[:, animal]
        drawn = drawn[drawn.sum(axis=1) > 0]
        if len(np.unique(animal)) > 1:
            low, high = np.quantile(_spread(offset, drawn), [0.025, 0.975])
            out |= {"passage_width_low_m": float(low), "passage_width_high_m": float(high)}
        return out


def _spread(offset: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Between the first places that 2.5 % and 97.5 % of the weight do not lie beyond, for each row of weights."""
    share = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
    ends = [np.argmax(share >= part - 1e-12, axis=1) for part in (0.025, 0.975)]
    return np.asarray(offset[ends[1]] - offset[ends[0]])


def passages_of(
    sequences: "gpd.GeoDataFrame",
    ends_m: list[np.ndarray],
    margin_m: float,
    replicates: int,
    rng: np.random.Generator,
) -> Passages:
    """Where the lines through the fixes of each sequence first meet each cross-section, longer by a margin."""
    fixes = fixes_of(sequences, by="sequence", what="sequences")
    names, animals = np.unique(fixes.animals.astype(str), return_inverse=True)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=replicates).astype(np.float64)
    seasons = np.full(len(fixes), "", object)
    if "season" in fixes.layer.columns:
        own = fixes.layer["season"].astype(object)
        seasons = own.where(own.notna(), "").astype(str).to_numpy(dtype=object)[fixes.start[:-1]]
    step = np.flatnonzero(np.diff(fixes.group) == 0)
    first = [_first(fixes, step, ends, margin_m) for ends in ends_m]
    return Passages(fixes, seasons, first, weights, animals)


def _first(fixes: Fixes, step: np.ndarray, ends: np.ndarray, margin_m: float) -> dict[str, np.ndarray]:
    middle, half = ends.mean(axis=0), 0.5 * float(np.hypot(*(ends[1] - ends[0])))
    along = (ends[1] - ends[0]) / (2 * half)
    dx, dy = fixes.x_m - middle[0], fixes.y_m - middle[1]
    place, side = dx * along[0] + dy * along[1], dy * along[0] - dx * along[1]
    one, two = side[step], side[step + 1]
    # a fix on the line itself belongs to one side only
    step = step[(one >= 0) != (two >= 0)]
    part = side[step] / (side[step] - side[step + 1])
    offset = place[step] + part * (place[step + 1] - place[step])
    meets = np.abs(offset) <= half + margin_m
    step, part, offset = step[meets], part[meets], offset[meets]
    group, where = np.unique(fixes.group[step], return_index=True)
    at = step[where]
    seconds = fixes.seconds[at] + part[where] * (fixes.seconds[at + 1] - fixes.seconds[at])
    return {"group": group, "seconds": seconds, "offset_m": offset[where]}
