"""Capture histories as the likelihood takes them: records, behavioural states, and patterns of effort."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import lgamma

import numpy as np

from linkways.populations._capture_model import KINDS, Histories, Patterns

__all__ = ["Records", "histories_of"]


@dataclass(frozen=True)
class Records:
    """Captures by number: sorted by animal, then occasion; each animal, occasion and detector once."""

    animals: list[str]
    sexes: list[str]
    """Names of the sexes, the first is the reference."""
    sex: np.ndarray
    """(n,) number of the animal's sex, -1 where it is not known."""
    animal: np.ndarray
    occasion: np.ndarray
    detector: np.ndarray
    count: np.ndarray
    effort: np.ndarray
    """(k, s) effort of each detector on each occasion, 0 where it did not work."""


def histories_of(records: Records, detector_type: str, behaviour: str | None, sexes: bool) -> Histories:
    """Return the histories for a detector type and a behaviour.

    Behaviour "b" changes with the first capture anywhere, "bk" with the first at the detector. ``sexes`` false
    takes all animals for one sex.
    """
    kind = KINDS[detector_type]
    n = len(records.animals)
    start = np.searchsorted(records.animal, np.arange(n + 1))
    builder = _Builder(records)
    pattern = np.zeros(n, np.int64)
    state = np.zeros(len(records.animal), np.int64)
    own = np.full(len(records.animal), -1, np.int64)
    for i in range(n):
        rows = np.arange(start[i], start[i + 1])
        caught = _caught_before(records, rows, behaviour)
        pattern[i] = builder.whole(caught)
        for r in rows:
            if caught is not None:
                state[r] = int(caught[records.detector[r], records.occasion[r]])
            if kind == 2:
                own[r] = builder.occasion(records.occasion[r], caught)
    effort = records.effort[records.detector, records.occasion].astype(float)
    count = records.count.astype(float) if kind == 0 else np.ones(len(records.count))
    constant = float((count * np.log(effort)).sum()) - sum(lgamma(y + 1) for y in count)
    return Histories(
        sex=records.sex.astype(np.int64) if sexes else np.full(n, -1, np.int64),
        pattern=pattern,
        start=start.astype(np.int64),
        detector=records.detector.astype(np.int64),
        state=state,
        count=count,
        effort=effort,
        own_pattern=own,
        patterns=builder.patterns(),
        states=1 if behaviour is None else 2,
        kind=kind,
        constant=constant,
        log_repeats=_log_repeats(records, start, count),
    )


def _caught_before(records: Records, rows: np.ndarray, behaviour: str | None) -> np.ndarray | None:
    """(k, s) whether the animal had been caught before, anywhere or at this detector."""
    if behaviour is None:
        return None
    detectors, occasions = records.effort.shape
    caught = np.zeros((detectors, occasions), bool)
    for r in rows:
        where = slice(None) if behaviour == "b" else records.detector[r]
        caught[where, records.occasion[r] + 1 :] = True
    return caught


def _log_repeats(records: Records, start: np.ndarray, count: np.ndarray) -> float:
    found = [
        tuple(sorted(zip(records.occasion[a:b], records.detector[a:b], count[a:b], strict=True)))
        for a, b in pairwise(start)
    ]
    return sum(lgamma(times + 1) for times in Counter(found).values())


class _Builder:
    """Gathers the distinct columns and patterns of effort."""

    def __init__(self, records: Records) -> None:
        self.effort = records.effort.astype(float)
        self.columns: dict[bytes, int] = {}
        self.column_list: list[np.ndarray] = []
        self.known: dict[tuple[int, bytes], int] = {}
        self.base: list[int] = []
        self.extras: list[tuple[np.ndarray, np.ndarray]] = []
        self._pattern(self.effort.sum(axis=1), None)

    def whole(self, caught: np.ndarray | None) -> int:
        """The pattern of all occasions."""
        extra = None if caught is None else (self.effort * caught).sum(axis=1)
        return self._pattern(self.effort.sum(axis=1), extra)

    def occasion(self, s: int, caught: np.ndarray | None) -> int:
        """The pattern of one occasion."""
        extra = None if caught is None else self.effort[:, s] * caught[:, s]
        return self._pattern(self.effort[:, s], extra)

    def _pattern(self, column: np.ndarray, extra: np.ndarray | None) -> int:
        key = column.tobytes()
        if key not in self.columns:
            self.columns[key] = len(self.column_list)
            self.column_list.append(column)
        base = self.columns[key]
        extra = np.zeros(0) if extra is None or not extra.any() else extra
        both = (base, extra.tobytes())
        if both not in self.known:
            self.known[both] = len(self.base)
            where = np.flatnonzero(extra)
            self.base.append(base)
            self.extras.append((where, extra[where]))
        return self.known[both]

    def patterns(self) -> Patterns:
        """What was gathered; the whole survey of a naive animal is the first."""
        ends = np.cumsum([0, *(len(where) for where, _ in self.extras)])
        return Patterns(
            effort=np.ascontiguousarray(self.column_list),
            base=np.array(self.base, np.int64),
            start=ends.astype(np.int64),
            detector=np.concatenate([where for where, _ in self.extras]).astype(np.int64),
            extra=np.concatenate([extra for _, extra in self.extras]).astype(float),
        )
