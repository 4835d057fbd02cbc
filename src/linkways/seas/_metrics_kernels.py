"""Compiled loops over larval networks: betweenness by Brandes, by links and by probability.

Links are compressed rows: those from i are ``sinks[starts[i]:starts[i + 1]]``; none leads from a site to itself.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["betweenness_by_length", "betweenness_by_links"]

SAME = 1e-13  # path lengths that differ relatively by less are ties


@njit(cache=True, nogil=True)
def betweenness_by_links(starts, sinks, sources, total):
    """Add to ``total`` (n,) the share of fewest-link paths from each of ``sources`` that pass each node.

    Brandes (2001): paths are counted going out, and their shares added up coming back.
    """
    n = len(starts) - 1
    far = np.full(n, -1, np.int32)
    paths = np.zeros(n)
    share = np.zeros(n)
    order = np.empty(n, np.int32)
    for source in sources:
        count = 1
        order[0] = source
        far[source] = 0
        paths[source] = 1.0
        at = 0
        while at < count:
            node = order[at]
            at += 1
            for k in range(starts[node], starts[node + 1]):
                sink = sinks[k]
                if far[sink] < 0:
                    far[sink] = far[node] + 1
                    order[count] = sink
                    count += 1
                if far[sink] == far[node] + 1:
                    paths[sink] += paths[node]
        for at in range(count - 1, -1, -1):
            node = order[at]
            through = 0.0
            for k in range(starts[node], starts[node + 1]):
                sink = sinks[k]
                if far[sink] == far[node] + 1:
                    through += (1.0 + share[sink]) / paths[sink]
            share[node] = through * paths[node]
            if node != source:
                total[node] += share[node]
        for at in range(count):
            far[order[at]] = -1
            paths[order[at]] = 0.0
            share[order[at]] = 0.0


@njit(cache=True, nogil=True)
def betweenness_by_length(starts, sinks, lengths, sources, total):
    """The same over shortest paths; ``lengths`` > 0 of the links. Lengths that differ by rounding only are ties."""
    n = len(starts) - 1
    far = np.full(n, np.inf)
    paths = np.zeros(n)
    share = np.zeros(n)
    done = np.zeros(n, np.bool_)
    order = np.empty(n, np.int32)
    heap = np.empty(n, np.int32)
    where = np.full(n, -1, np.int32)  # place of a node on the heap
    for source in sources:
        far[source] = 0.0
        heap[0] = source
        where[source] = 0
        size = 1
        count = 0
        while size > 0:
            node = heap[0]
            size -= 1
            if size > 0:
                last = heap[size]
                key = far[last]
                at = 0
                while True:
                    below = 2 * at + 1
                    if below >= size:
                        break
                    if below + 1 < size and far[heap[below + 1]] < far[heap[below]]:
                        below += 1
                    if far[heap[below]] >= key:
                        break
                    heap[at] = heap[below]
                    where[heap[at]] = at
                    at = below
                heap[at] = last
                where[last] = at
            where[node] = -1
            done[node] = True
            order[count] = node
            count += 1
            for k in range(starts[node], starts[node + 1]):
                sink = sinks[k]
                if done[sink]:
                    continue
                reach = far[node] + lengths[k]
                if reach < far[sink]:
                    far[sink] = reach
                    at = where[sink]
                    if at < 0:
                        at = size
                        size += 1
                    while at > 0:
                        above = (at - 1) >> 1
                        if far[heap[above]] <= reach:
                            break
                        heap[at] = heap[above]
                        where[heap[at]] = at
                        at = above
                    heap[at] = sink
                    where[sink] = at
        # paths are counted once all distances are known, so that ties by rounding cannot be counted in part
        paths[source] = 1.0
        for at in range(count):
            node = order[at]
            for k in range(starts[node], starts[node + 1]):
                sink = sinks[k]
                if abs(far[node] + lengths[k] - far[sink]) <= SAME * far[sink]:
                    paths[sink] += paths[node]
        for at in range(count - 1, -1, -1):
            node = order[at]
            through = 0.0
            for k in range(starts[node], starts[node + 1]):
                sink = sinks[k]
                if abs(far[node] + lengths[k] - far[sink]) <= SAME * far[sink]:
                    through += (1.0 + share[sink]) / paths[sink]
            share[node] = through * paths[node]
            if node != source:
                total[node] += share[node]
        for at in range(count):
            far[order[at]] = np.inf
            paths[order[at]] = 0.0
            share[order[at]] = 0.0
            done[order[at]] = False
