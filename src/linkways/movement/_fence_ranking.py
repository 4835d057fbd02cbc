"""Fences by what they do to the animals that meet them, and what removing them would end."""

from dataclasses import dataclass

import numpy as np

from linkways.movement._fence_events import BEHAVIOURS, Encounters, altered_numbers

__all__ = ["Ranking", "ranking_of"]


@dataclass(frozen=True)
class Ranking:
    """By fence, in the order of the fences; intervals are (2, fences), low and high."""

    encounters: np.ndarray
    by_behaviour: np.ndarray
    """(fences, behaviours)."""
    individuals: np.ndarray
    index: np.ndarray
    index_interval: np.ndarray
    crossed_share: np.ndarray
    crossed_interval: np.ndarray
    gain: np.ndarray
    gain_interval: np.ndarray
    rank: np.ndarray
    """From 1; 0 for a fence that is not ranked."""
    gain_alone: np.ndarray
    """Share of altered encounters with no other fence beside them."""
    cumulative: np.ndarray
    """Share of altered encounters that end once the fences up to this rank are gone."""


@dataclass(frozen=True)
class _Tables:
    """Encounters of some fences by animal, (fences, animals); and altered encounters of each animal."""

    met: np.ndarray
    altered: np.ndarray
    crossed: np.ndarray
    ended: np.ndarray
    """Parts of altered encounters that each fence stands for."""
    all_altered: np.ndarray
    enough: np.ndarray
    """Which fences have encounters enough for an index."""

    def figures(self, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Index, share of encounters that cross, share of altered encounters ended: (fences, columns of ``drawn``).

        ``drawn`` (animals, n): how often each animal counts.
        """
        met = self.met @ drawn
        with np.errstate(invalid="ignore", divide="ignore"):
            index = (self.altered @ drawn) / met * ((self.met > 0) @ drawn)
            index = _scaled(np.where(self.enough[:, None] & (met > 0), index, np.nan))
            crossed = np.where(met > 0, (self.crossed @ drawn) / met, np.nan)
            altered = self.all_altered @ drawn
            gain = np.where(altered > 0, (self.ended @ drawn) / altered, 0.0)
        return index, crossed, gain


def _scaled(index: np.ndarray) -> np.ndarray:
    """From the lowest to the highest of each column; fences that are all alike get 0."""
    known = np.isfinite(index)
    low = np.where(known, index, np.inf).min(axis=0)
    high = np.where(known, index, -np.inf).max(axis=0)
    return np.where(high > low, (index - low) / (high - low), np.where(known, 0.0, np.nan))


def ranking_of(
    found: Encounters,
    at_start: np.ndarray,
    fence_of_line: np.ndarray,
    length_km: np.ndarray,
    animals: int,
    *,
    min_encounters: int,
    replicates: int,
    rng: np.random.Generator,
) -> Ranking:
    """Rank fences; ``at_start`` (pairs, 2): encounter and fence line near its first fix."""
    fences = len(length_km)
    at_start = np.unique(np.column_stack([at_start[:, 0], fence_of_line[at_start[:, 1]]]), axis=0)
    by_behaviour = np.zeros((fences, len(BEHAVIOURS)), np.int64)
    np.add.at(by_behaviour, (at_start[:, 1], found.behaviour[at_start[:, 0]]), 1)
    encounters = by_behaviour.sum(axis=1)
    altered = np.isin(found.behaviour, altered_numbers())
    pairs = np.unique(np.column_stack([found.beside[:, 0], fence_of_line[found.beside[:, 1]]]), axis=0)
    pairs = pairs[altered[pairs[:, 0]]]
    beside = np.bincount(pairs[:, 0], minlength=len(found))
    alone = np.bincount(pairs[beside[pairs[:, 0]] == 1, 1], minlength=fences)
    active = np.unique(np.concatenate([at_start[:, 1], pairs[:, 1]]))
    tables = _tables(found, at_start, pairs, beside, fence_of_line, active, animals, encounters >= min_encounters)
    values = tables.figures(np.ones((animals, 1)))
    intervals = _intervals(tables, animals, replicates, rng)

    def everywhere(values: np.ndarray, elsewhere: float) -> np.ndarray:
        out = np.full((*values.shape[:-1], fences), elsewhere)
        out[..., active] = values
        return out

    index, crossed, gain = (value[:, 0] for value in values)
    gain = everywhere(gain, 0.0)
    rank = _rank(gain / length_km, encounters >= min_encounters, gain)
    return Ranking(
        encounters=encounters,
        by_behaviour=by_behaviour,
        individuals=everywhere((tables.met > 0).sum(axis=1), 0).astype(np.int64),
        index=everywhere(index, np.nan),
        index_interval=everywhere(intervals[0], np.nan),
        crossed_share=everywhere(crossed, np.nan),
        crossed_interval=everywhere(intervals[1], np.nan),
        gain=gain,
        gain_interval=everywhere(intervals[2], 0.0),
        rank=rank,
        gain_alone=alone / max(int(altered.sum()), 1),
        cumulative=_cumulative(pairs, rank, int(altered.sum())),
    )


def _tables(
    found: Encounters,
    at_start: np.ndarray,
    pairs: np.ndarray,
    beside: np.ndarray,
    fence_of_line: np.ndarray,
    active: np.ndarray,
    animals: int,
    enough: np.ndarray,
) -> _Tables:
    """``at_start`` and ``pairs`` (n, 2): encounter, and fence near its first fix or beside it where it is altered."""

    def table(event: np.ndarray, fence: np.ndarray, values: np.ndarray) -> np.ndarray:
        out = np.zeros((len(active), animals))
        np.add.at(out, (np.searchsorted(active, fence), found.animal[event]), values)
        return out

    event, fence = at_start.T
    altered = np.isin(found.behaviour, altered_numbers())
    key = np.array([len(enough), 1])
    crosses = np.isin(at_start @ key, np.column_stack([found.crossed[:, 0], fence_of_line[found.crossed[:, 1]]]) @ key)
    return _Tables(
        met=table(event, fence, np.ones(len(event))),
        altered=table(event, fence, altered[event].astype(float)),
        crossed=table(event, fence, crosses.astype(float)),
        ended=table(pairs[:, 0], pairs[:, 1], 1.0 / beside[pairs[:, 0]]),
        all_altered=np.bincount(found.animal, weights=altered, minlength=animals),
        enough=enough[active],
    )


def _intervals(tables: _Tables, animals: int, replicates: int, rng: np.random.Generator) -> list[np.ndarray]:
    """2.5 and 97.5 % over resamples of animals, (2, fences) for each figure; NaN with one animal only."""
    if animals < 2:
        return [np.full((2, len(tables.enough)), np.nan)] * 3
    drawn = rng.multinomial(animals, np.full(animals, 1 / animals), size=replicates).T.astype(float)
    return [_interval(value) for value in tables.figures(drawn)]


def _interval(values: np.ndarray) -> np.ndarray:
    """Of each row, NaN left out; NaN where a row has nothing else."""
    whole = np.isfinite(values).all(axis=1)
    out = np.full((2, len(values)), np.nan)
    out[:, whole] = np.quantile(values[whole], [0.025, 0.975], axis=1)
    for k in np.flatnonzero(~whole):
        known = values[k][np.isfinite(values[k])]
        if len(known):
            out[:, k] = np.quantile(known, [0.025, 0.975])
    return out


def _rank(gain_per_km: np.ndarray, enough: np.ndarray, gain: np.ndarray) -> np.ndarray:
    ranked = np.flatnonzero(enough & (gain > 0))
    order = ranked[np.lexsort([-gain[ranked], -gain_per_km[ranked]])]
    rank = np.zeros(len(gain), np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    return rank


def _cumulative(pairs: np.ndarray, rank: np.ndarray, altered: int) -> np.ndarray:
    """An encounter ends with the last of the fences beside it; one that stays keeps it for good."""
    never = rank.max(initial=0) + 1
    event, which = np.unique(pairs[:, 0], return_inverse=True)
    last = np.zeros(len(event), np.int64)
    np.maximum.at(last, which, np.where(rank[pairs[:, 1]] > 0, rank[pairs[:, 1]], never))
    ended = np.cumsum(np.bincount(last, minlength=never + 1))
    return np.where(rank > 0, ended[rank] / max(altered, 1), np.nan)
