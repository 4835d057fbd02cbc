"""Compiled loops over cells that the same animals use: who they are, and their area under drawn animals."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["add_runs", "members_at", "tier_areas"]


@njit(cache=True, nogil=True)
def add_runs(counts, first, stop):
    """Count one more animal on the cells of its runs."""
    for r in range(first.size):
        for cell in range(first[r], stop[r]):
            counts[cell] += 1


@njit(cache=True, nogil=True)
def members_at(animal, opens, asked, count):
    """The animals present after some of a row of events.

    Args:
        animal: of each event, (events,).
        opens: whether the animal comes (True) or goes, (events,).
        asked: events after which to look, ascending.
        count: sum of the animals present then, over all asked.

    Returns:
        start (asked + 1,) and members (count,): after event ``asked[k]`` they are ``members[start[k]:start[k + 1]]``.
    """
    present, place = np.empty(animal.max() + 1, np.int32), np.full(animal.max() + 1, -1, np.int32)
    start, members = np.zeros(asked.size + 1, np.int64), np.empty(count, np.int32)
    n, k = 0, 0
    for e in range(animal.size):
        a = animal[e]
        if opens[e]:
            place[a] = n
            present[n] = a
            n += 1
        else:
            n -= 1
            last = present[n]
            present[place[a]] = last
            place[last] = place[a]
        if k < asked.size and asked[k] == e:
            start[k + 1] = start[k] + n
            members[start[k] : start[k + 1]] = present[:n]
            k += 1
    return start, members


@njit(cache=True, nogil=True)
def tier_areas(start, members, area, times, needed):
    """Area of each tier under drawn animals.

    Args:
        start, members: the animals of each set of cells, as of `members_at`.
        area: of each set.
        times: how often each animal is drawn, (animals, draws) int16.
        needed: how often a tier's cells must be used, (tiers, draws) int16.

    Returns:
        (tiers, draws).
    """
    tiers, draws = needed.shape
    found, total = np.zeros((tiers, draws)), np.empty(draws, np.int16)
    for s in range(area.size):
        total[:] = 0
        for m in members[start[s] : start[s + 1]]:
            one = times[m]
            for d in range(draws):
                total[d] += one[d]
        for t in range(tiers):
            row, least = found[t], needed[t]
            for d in range(draws):
                row[d] += area[s] if total[d] >= least[d] else 0.0
    return found
