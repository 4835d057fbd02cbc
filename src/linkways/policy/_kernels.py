"""Compiled loops of the policy indicators: distances between polygons, and neighbourhoods over a raster."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "candidate_counts",
    "edge_distances",
    "mark_witnessed",
    "missing_links",
    "neighbourhood_sums",
    "outline_blocks",
    "sorted_rows",
]


# --- distances between polygons ------------------------------------------------------------------------------
#
# An outline is cut into blocks of consecutive segments, each with its box. Two outlines that do not cross are
# nearest at a vertex of one of them, so that distances from vertices to segments suffice; pairs of blocks whose boxes
# are farther apart than the best distance so far are left out.


@njit(cache=True, nogil=True)
def outline_blocks(xy, rings, ring_shape, shapes, per_block):
    """Blocks of the rings of each shape: first and last vertex, box (minx, miny, maxx, maxy), pointers by shape.

    ``rings`` (r + 1) point into ``xy`` (n, 2); ``ring_shape`` (r,) is sorted.
    """
    count = 0
    for r in range(len(rings) - 1):
        segments = rings[r + 1] - rings[r] - 1
        count += (segments + per_block - 1) // per_block
    first, last = np.empty(count, np.int64), np.empty(count, np.int64)
    box = np.empty((count, 4))
    pointer = np.zeros(shapes + 1, np.int64)
    at = 0
    for r in range(len(rings) - 1):
        start, stop = rings[r], rings[r + 1] - 1
        while start < stop:
            end = min(start + per_block, stop)
            first[at], last[at] = start, end
            box[at, 0] = box[at, 2] = xy[start, 0]
            box[at, 1] = box[at, 3] = xy[start, 1]
            for v in range(start + 1, end + 1):
                box[at, 0] = min(box[at, 0], xy[v, 0])
                box[at, 1] = min(box[at, 1], xy[v, 1])
                box[at, 2] = max(box[at, 2], xy[v, 0])
                box[at, 3] = max(box[at, 3], xy[v, 1])
            pointer[ring_shape[r] + 1] += 1
            at += 1
            start = end
    for s in range(shapes):
        pointer[s + 1] += pointer[s]
    return first, last, box, pointer


@njit(cache=True, nogil=True, inline="always")
def _box_gap(a, i, b, j):
    """Squared distance of two boxes."""
    dx = max(max(a[i, 0] - b[j, 2], b[j, 0] - a[i, 2]), 0.0)
    dy = max(max(a[i, 1] - b[j, 3], b[j, 1] - a[i, 3]), 0.0)
    return dx * dx + dy * dy


@njit(cache=True, nogil=True)
def candidate_counts(bounds, reach):
    """For each shape how many later ones have a box within ``reach``."""
    n = len(bounds)
    counts = np.zeros(n, np.int64)
    limit = reach * reach
    for i in range(n):
        for j in range(i + 1, n):
            if _box_gap(bounds, i, bounds, j) <= limit:
                counts[i] += 1
    return counts


@njit(cache=True, nogil=True)
def _vertices_to_segments(xy, a0, a1, b0, b1, best, spot):
    """Least squared distance from vertices a0..a1 to segments b0..b1 if below ``best``; ``spot`` takes the two ends."""
    for v in range(a0, a1 + 1):
        px, py = xy[v, 0], xy[v, 1]
        for s in range(b0, b1):
            x, y = xy[s, 0], xy[s, 1]
            ex, ey = xy[s + 1, 0] - x, xy[s + 1, 1] - y
            wx, wy = px - x, py - y
            along = wx * ex + wy * ey
            if along > 0.0:
                length = ex * ex + ey * ey
                share = along / length if along < length else 1.0
                wx -= share * ex
                wy -= share * ey
            square = wx * wx + wy * wy
            if square < best:
                best = square
                spot[0], spot[1], spot[2], spot[3] = px, py, px - wx, py - wy
    return best


@njit(cache=True, nogil=True)
def _between(xy, first, last, box, pointer, bounds, a, b, limit, spot, trial):
    """Squared distance of two outlines, and the points where they are nearest; ``limit`` where it is not below."""
    best = limit
    nearest, at_i, at_j = np.inf, -1, -1
    for i in range(pointer[a], pointer[a + 1]):
        if _box_gap(box, i, bounds, b) >= min(best, nearest):
            continue
        for j in range(pointer[b], pointer[b + 1]):
            gap = _box_gap(box, i, box, j)
            if gap < nearest:
                nearest, at_i, at_j = gap, i, j
    if at_i < 0 or nearest >= best:
        return best
    i, j = at_i, at_j
    best = _vertices_to_segments(xy, first[i], last[i], first[j], last[j], best, spot)
    kept = best
    best = _vertices_to_segments(xy, first[j], last[j], first[i], last[i], best, trial)
    if best < kept:
        spot[0], spot[1], spot[2], spot[3] = trial[2], trial[3], trial[0], trial[1]
    for i in range(pointer[a], pointer[a + 1]):
        if best == 0.0 or _box_gap(box, i, bounds, b) >= best:
            continue
        for j in range(pointer[b], pointer[b + 1]):
            if (i == at_i and j == at_j) or _box_gap(box, i, box, j) >= best:
                continue
            best = _vertices_to_segments(xy, first[i], last[i], first[j], last[j], best, spot)
            kept = best
            best = _vertices_to_segments(xy, first[j], last[j], first[i], last[i], best, trial)
            if best < kept:
                spot[0], spot[1], spot[2], spot[3] = trial[2], trial[3], trial[0], trial[1]
    return best


@njit(cache=True, nogil=True)
def edge_distances(xy, first, last, box, pointer, bounds, rows, reach, room):
    """All pairs of a shape among ``rows`` with a later shape whose outlines lie within ``reach``.

    Returns the pairs (k, 2), their distances (k,) and the points where they are nearest (k, 4); ``room`` is the
    most pairs there can be.
    """
    pairs, distance, where = np.empty((room, 2), np.int32), np.empty(room), np.empty((room, 4))
    spot, trial = np.empty(4), np.empty(4)
    limit = reach * reach * (1.0 + 1e-12)
    count = 0
    for a in rows:
        for b in range(a + 1, len(bounds)):
            if _box_gap(bounds, a, bounds, b) > limit:
                continue
            square = _between(xy, first, last, box, pointer, bounds, a, b, limit, spot, trial)
            if square < limit:
                pairs[count, 0], pairs[count, 1] = a, b
                distance[count] = np.sqrt(square)
                for k in range(4):
                    where[count, k] = spot[k]
                count += 1
    return pairs[:count], distance[:count], where[:count]


# --- which links matter --------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def sorted_rows(count, ends):
    """Rows of a graph whose links are sorted by length: pointers, neighbours and ranks, each row from the shortest."""
    pointer = np.zeros(count + 1, np.int64)
    for e in range(len(ends)):
        pointer[ends[e, 0] + 1] += 1
        pointer[ends[e, 1] + 1] += 1
    for i in range(count):
        pointer[i + 1] += pointer[i]
    at = pointer[:-1].copy()
    neighbour, rank = np.empty(2 * len(ends), np.int32), np.empty(2 * len(ends), np.int32)
    for e in range(len(ends)):
        a, b = ends[e, 0], ends[e, 1]
        neighbour[at[a]], rank[at[a]] = b, e
        neighbour[at[b]], rank[at[b]] = a, e
        at[a] += 1
        at[b] += 1
    return pointer, neighbour, rank


@njit(cache=True, nogil=True)
def mark_witnessed(first, last, pointer, neighbour, rank, length, tried, enough, marked):
    """Mark the links of nodes first..last that ``enough`` other nodes witness.

    A node k witnesses the link i-j when both i-k and k-j come before it in the order of lengths and are together no
    longer. Only the ``tried`` nearest neighbours of each end are asked.
    """
    n = len(pointer) - 1
    direct = np.full(n, -1, np.int64)
    heard = np.zeros(n, np.int32)
    for i in range(first, last):
        start, stop = pointer[i], pointer[i + 1]
        if stop == start:
            continue
        for e in range(start, stop):
            direct[neighbour[e]] = rank[e]
        farthest = length[rank[stop - 1]]
        for e in range(start, min(stop, start + tried)):
            k, near = neighbour[e], length[rank[e]]
            for f in range(pointer[k], pointer[k + 1]):
                way = near + length[rank[f]]
                if way > farthest:
                    break
                j = neighbour[f]
                link = direct[j]
                if link > rank[e] and link > rank[f] and way <= length[link]:
                    heard[j] += 1
                    if heard[j] == enough:
                        marked[link] = True
        for e in range(start, stop):
            direct[neighbour[e]] = -1
            heard[neighbour[e]] = 0


@njit(cache=True, nogil=True)
def _paths_from(source, pointer, neighbour, rank, length, reach, best, keys, items, order):
    """Shortest paths up to ``reach``: fills ``best`` (inf before) and ``order``; how many nodes."""
    best[source] = 0.0
    keys[0], items[0], held, count = 0.0, source, 1, 0
    while held > 0:
        key, u = keys[0], items[0]
        held -= 1
        last, item, at = keys[held], items[held], 0
        while True:
            below = 2 * at + 1
            if below >= held:
                break
            if below + 1 < held and keys[below + 1] < keys[below]:
                below += 1
            if keys[below] >= last:
                break
            keys[at], items[at] = keys[below], items[below]
            at = below
        keys[at], items[at] = last, item
        if key > best[u]:
            continue
        order[count] = u
        count += 1
        for e in range(pointer[u], pointer[u + 1]):
            way = key + length[rank[e]]
            if way > reach:
                break
            v = neighbour[e]
            if way < best[v]:
                best[v] = way
                at = held
                held += 1
                while at > 0 and keys[(at - 1) >> 1] > way:
                    keys[at], items[at] = keys[(at - 1) >> 1], items[(at - 1) >> 1]
                    at = (at - 1) >> 1
                keys[at], items[at] = way, v
    return count


@njit(cache=True, nogil=True)
def missing_links(xy, first, last, box, pointer, bounds, rows, known, reach, slack, links):
    """Pairs of a shape among ``rows`` with a later one, farther apart than ``known``, that are nearer than their path.

    ``links`` (pointers, neighbours, ranks, lengths) is the graph so far, which holds all that matters up to ``known``.
    A pair is looked at only where the distance of the boxes is below the path's, each divided by ``slack``.
    """
    graph, neighbour, rank, length = links
    n = len(bounds)
    best, order = np.full(n, np.inf), np.empty(n, np.int32)
    keys, items = np.empty(len(neighbour) + 1), np.empty(len(neighbour) + 1, np.int32)
    room = 1024
    pairs, distance, where = np.empty((room, 2), np.int32), np.empty(room), np.empty((room, 4))
    spot, trial = np.empty(4), np.empty(4)
    count = 0
    for a in rows:
        settled = _paths_from(a, graph, neighbour, rank, length, reach, best, keys, items, order)
        for b in range(a + 1, n):
            limit = min(best[b], reach) * slack
            limit *= limit
            if _box_gap(bounds, a, bounds, b) >= limit:
                continue
            square = _between(xy, first, last, box, pointer, bounds, a, b, limit, spot, trial)
            if square >= limit or square * slack * slack < known * known:
                continue
            if count == room:
                room *= 2
                wider, farther, longer = np.empty((room, 2), np.int32), np.empty(room), np.empty((room, 4))
                # entry by entry: assignments to slices take numba long to compile
                for i in range(count):
                    wider[i, 0], wider[i, 1], farther[i] = pairs[i, 0], pairs[i, 1], distance[i]
                    for k in range(4):
                        longer[i, k] = where[i, k]
                pairs, distance, where = wider, farther, longer
            pairs[count, 0], pairs[count, 1] = a, b
            distance[count] = np.sqrt(square)
            for k in range(4):
                where[count, k] = spot[k]
            count += 1
        for i in range(settled):
            best[order[i]] = np.inf
    return pairs[:count].copy(), distance[:count].copy(), where[:count].copy()


# --- neighbourhoods over a raster ----------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def neighbourhood_sums(cells, cost, along, across, diagonal, wraps, limit, benefit, here, there):
    """For each of ``cells``: sum over the cells around of benefit times exp(-least cost) times similarity.

    ``cost`` (rows, columns) is per metre, NaN where nothing can pass; a step between neighbours of 8 costs its length
    (``along`` a row, ``across`` to the next, ``diagonal``) times the mean of the two. Paths up to ``limit`` count.
    Similarity is exp(-sum_k |here[k] at the cell - there[k] at the other|), 1 where there are no layers.
    """
    rows, columns = cost.shape
    layers = len(here)
    best = np.full(rows * columns, np.inf)
    touched = np.empty(rows * columns, np.int64)
    room = 1024
    keys, items = np.empty(room), np.empty(room, np.int64)
    sums = np.empty(len(cells))
    for place in range(len(cells)):
        source = cells[place]
        best[source] = 0.0
        keys[0], items[0], held = 0.0, source, 1
        touched[0] = source
        seen = 1
        total = 0.0
        while held > 0:
            key, u = keys[0], items[0]
            held -= 1
            last, item, at = keys[held], items[held], 0
            while True:
                below = 2 * at + 1
                if below >= held:
                    break
                if below + 1 < held and keys[below + 1] < keys[below]:
                    below += 1
                if keys[below] >= last:
                    break
                keys[at], items[at] = keys[below], items[below]
                at = below
            keys[at], items[at] = last, item
            if key > best[u]:
                continue
            row, column = u // columns, u % columns
            gain = benefit[row, column] * np.exp(-key)
            if layers > 0:
                apart = 0.0
                for k in range(layers):
                    apart += abs(here[k, source // columns, source % columns] - there[k, row, column])
                gain *= np.exp(-apart)
            total += gain
            if held + 8 >= room:
                room *= 2
                longer, more = np.empty(room), np.empty(room, np.int64)
                for i in range(held):
                    longer[i], more[i] = keys[i], items[i]
                keys, items = longer, more
            for down in range(-1, 2):
                r = row + down
                if r < 0 or r >= rows:
                    continue
                for right in range(-1, 2):
                    if down == 0 and right == 0:
                        continue
                    c = column + right
                    if c < 0 or c >= columns:
                        if not wraps:
                            continue
                        c = c % columns
                    if np.isnan(cost[r, c]):
                        continue
                    if down == 0:
                        step = along[row]
                    else:
                        upper = min(row, r)
                        step = across[upper] if right == 0 else diagonal[upper]
                    way = key + 0.5 * step * (cost[row, column] + cost[r, c])
                    v = r * columns + c
                    if way < best[v] and way <= limit:
                        if best[v] == np.inf:
                            touched[seen] = v
                            seen += 1
                        best[v] = way
                        at = held
                        held += 1
                        while at > 0 and keys[(at - 1) >> 1] > way:
                            keys[at], items[at] = keys[(at - 1) >> 1], items[(at - 1) >> 1]
                            at = (at - 1) >> 1
                        keys[at], items[at] = way, v
        sums[place] = total
        for i in range(seen):
            best[touched[i]] = np.inf
    return sums
