"""Compiled loops over a forest of reaches in the order of places (see `_forest`): numpy in, numpy out.

The scans need no subtraction: what lies outside a branch is summed over the branches before it and those after it, so
that sums over small parts beside large ones keep their digits, and passabilities of 0 need no care.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "access_from_outlets",
    "connect",
    "dams_above",
    "dams_below",
    "fragments_of",
    "multiply_on_edges",
    "order_forest",
    "sum_access",
    "sum_pairs",
    "sum_upstream",
    "sums_with_unmapped",
]


@njit(cache=True, nogil=True)
def order_forest(to):
    """Give each reach a place after all reaches upstream of it, basin by basin.

    Args:
        to: row of the reach downstream by row, -1 at an outlet, (n,) int32.

    Returns:
        row by place, place by row (-1 on a circle), place downstream by place, first places of the basins with n at
        the end, and how many reaches have a place.
    """
    n = to.size
    waiting = np.zeros(n, np.int32)
    basins = 0
    for v in range(n):
        if to[v] >= 0:
            waiting[to[v]] += 1
        else:
            basins += 1
    size = np.ones(n, np.int32)
    order = np.empty(n, np.int32)
    placed = 0
    # from every headwater down, until a reach still waits for another branch
    for head in range(n):
        if waiting[head] != 0 or size[head] != 1:
            continue
        v = head
        while True:
            order[placed] = v
            placed += 1
            below = to[v]
            if below < 0:
                break
            size[below] += size[v]
            waiting[below] -= 1
            if waiting[below] > 0:
                break
            v = below
    place = np.full(n, -1, np.int32)
    row = np.empty(n, np.int32)
    down = np.full(n, -1, np.int32)
    starts = np.zeros(basins + 1, np.int64)
    free = waiting  # the last free place in the block of a reach
    count = 0
    for v in range(n):
        if to[v] < 0:
            starts[count + 1] = starts[count] + size[v]
            place[v] = starts[count + 1] - 1
            free[v] = place[v] - 1
            row[place[v]] = v
            count += 1
    for i in range(placed - 1, -1, -1):
        v = order[i]
        below = to[v]
        if below < 0:
            continue
        place[v] = free[below]
        free[below] -= size[v]
        free[v] = place[v] - 1
        row[place[v]] = v
        down[place[v]] = place[below]
    return row, place, down, starts, placed


@njit(cache=True, nogil=True)
def multiply_on_edges(n, place, order, value, left_out):
    """Products of the values on each edge, (n,), and for each value that of the others on its edge.

    Args:
        n: number of places.
        place: place of each value.
        order: the values' numbers sorted by place.
        value: the values.
        left_out: values that count as 1.
    """
    edge = np.ones(n)
    others = np.ones(value.size)
    i = 0
    while i < order.size:
        j = i
        before = 1.0
        while j < order.size and place[order[j]] == place[order[i]]:
            k = order[j]
            others[k] = before
            if not left_out[k]:
                before *= value[k]
            j += 1
        edge[place[order[i]]] = before
        after = 1.0
        for m in range(j - 1, i - 1, -1):
            k = order[m]
            others[k] *= after
            if not left_out[k]:
                after *= value[k]
        i = j
    return edge, others


@njit(cache=True, nogil=True)
def connect(down, starts, weight, a, b, leave, through, within):
    """The sum over pairs, what each reach can reach and be reached by, and the slopes at every edge.

    C(i, j) is the product of ``a`` along the edges passed downstream and of ``b`` along those passed upstream, times
    ``leave`` of both ends and ``through`` of every reach between them; C(i, i) is ``within``. With ``leave``,
    ``through`` and ``within`` empty all these are 1 (distances from middle to middle, already in a and b).

    Args:
        down, starts: the forest.
        weight: weights, (n,) float64.
        a, b: factors of the edge below each place, passed downstream and upstream, float64 or complex128.
        leave, through, within: (n,) or empty, of the dtype of a.

    Returns:
        ``total``: sum of w_i w_j C(i, j) over all ordered pairs of each basin, (basins,).
        ``source``: sum over j of C(i, j) w_j. ``sink``: sum over i of C(i, j) w_i. Both (n,).
        ``slope_a``, ``slope_b``: what ``total`` rises by per unit of a and of b of an edge, (n,); exact for changes of
        any size, since ``total`` is linear in each.
    """
    n = down.size
    plain = leave.size == 0
    one = a[0] * 0 + 1
    basins = starts.size - 1
    total = np.zeros(basins, a.dtype)
    above_a = np.zeros(n, a.dtype)  # arriving from upstream at the upper end
    above_b = np.zeros(n, a.dtype)  # reached upstream from the upper end
    slope_a = np.zeros(n, a.dtype)  # first: reached over the branches before this one, then outside, then the slope
    slope_b = np.zeros(n, a.dtype)
    for k in range(basins):
        s = one * 0
        for v in range(starts[k], starts[k + 1]):
            w = weight[v]
            g = one if plain else leave[v]
            t = one if plain else through[v]
            s += w * (w * (one if plain else within[v]) + g * (above_a[v] + above_b[v]))
            p = down[v]
            if p >= 0:
                x = a[v] * (g * w + t * above_a[v])
                y = b[v] * (g * w + t * above_b[v])
                s += x * above_b[p] + y * above_a[p]
                slope_a[v] = above_b[p]
                slope_b[v] = above_a[p]
                above_a[p] += x
                above_b[p] += y
        total[k] = s
    beside_a = np.zeros(n, a.dtype)  # what the branches of a reach share: the reach, all below, the branches after
    beside_b = np.zeros(n, a.dtype)
    for v in range(n - 1, -1, -1):
        w = weight[v]
        g = one if plain else leave[v]
        t = one if plain else through[v]
        from_here = g * w + t * above_a[v]
        to_here = g * w + t * above_b[v]
        p = down[v]
        if p >= 0:
            outside_a = slope_a[v] + beside_a[p]
            outside_b = slope_b[v] + beside_b[p]
            beside_a[p] += b[v] * to_here
            beside_b[p] += a[v] * from_here
            below_a = a[v] * outside_a
            below_b = b[v] * outside_b
            slope_a[v] = from_here * outside_a
            slope_b[v] = to_here * outside_b
        else:
            below_a = one * 0
            below_b = one * 0
            slope_a[v] = one * 0
            slope_b[v] = one * 0
        beside_a[v] = g * w + t * below_a
        beside_b[v] = g * w + t * below_b
        inside = w * (one if plain else within[v])
        above_b[v] = inside + g * (above_b[v] + below_a)
        above_a[v] = inside + g * (above_a[v] + below_b)
    return total, above_b, above_a, slope_a, slope_b


@njit(cache=True, nogil=True)
def access_from_outlets(down, starts, weight, p):
    """Passability of the way between each reach and the outlet of its basin, and what mending an edge opens.

    Args:
        down, starts: the forest.
        weight: weights, (n,).
        p: passability of the edge below each place, (n,).

    Returns:
        ``access``: product of p down to the outlet, 1 at the outlet, (n,). ``total``: sum of weight times access of
        each basin, (basins,). ``slope``: what ``total`` rises by per unit of p of an edge, (n,).
    """
    n = down.size
    held = weight.copy()
    for v in range(n):
        if down[v] >= 0:
            held[down[v]] += p[v] * held[v]
    access = np.ones(n)
    for v in range(n - 1, -1, -1):
        below = down[v]
        if below >= 0:
            access[v] = access[below] * p[v]
    total = np.empty(starts.size - 1)
    for k in range(total.size):
        total[k] = held[starts[k + 1] - 1]
    for v in range(n):
        below = down[v]
        held[v] = access[below] * held[v] if below >= 0 else 0.0
    return access, total, held


@njit(cache=True, nogil=True)
def sum_upstream(down, values):
    """Sum of the values of each reach and all reaches upstream of it, (n,)."""
    out = values.copy()
    for v in range(down.size):
        if down[v] >= 0:
            out[down[v]] += out[v]
    return out


@njit(cache=True, nogil=True)
def fragments_of(down, on_edge):
    """Fragments of a forest that is cut at edges.

    Args:
        down: the forest.
        on_edge: barriers that cut on the edge below each place, those at outlets too, (n,).

    Returns:
        The lowest place of each one's fragment, the barriers between it and the end of its outlet reach, and those
        upstream of it (not at its own lower end), (n,) each. Barriers at the outlet count as between it and the sea.
    """
    n = down.size
    root = np.empty(n, np.int32)
    below = np.empty(n, np.int64)
    above = np.zeros(n, np.int64)
    for v in range(n - 1, -1, -1):
        p = down[v]
        root[v] = v if p < 0 or on_edge[v] > 0 else root[p]
        below[v] = on_edge[v] + (below[p] if p >= 0 else 0)
    for v in range(n):
        if down[v] >= 0:
            above[down[v]] += above[v] + on_edge[v]
    return root, below, above


@njit(cache=True, nogil=True)
def dams_below(down, flow, waterfall):
    """Least of the values of the dams at the lower end of each reach and downstream, no farther than a waterfall.

    Args:
        down: the forest.
        flow: value of the dam at the lower end of each reach, infinite without one, (n,).
        waterfall: whether the lower end of a reach is one, (n,).
    """
    out = flow.copy()
    for v in range(down.size - 1, -1, -1):
        p = down[v]
        if p >= 0 and not waterfall[v]:
            out[v] = min(out[v], out[p])
    return out


@njit(cache=True, nogil=True)
def dams_above(down, flow):
    """Largest of the values of the dams upstream of each reach, minus infinity without one."""
    out = np.full(down.size, -np.inf)
    for v in range(down.size):
        p = down[v]
        if p >= 0:
            out[p] = max(out[p], out[v])
            if flow[v] < np.inf:
                out[p] = max(out[p], flow[v])
    return out


@njit(cache=True, nogil=True)
def sum_pairs(down, starts, weight, a, b, leave, through, within):
    """The ``total`` of `connect` alone."""
    n = down.size
    plain = leave.size == 0
    basins = starts.size - 1
    total = np.zeros(basins)
    above_a = np.zeros(n)
    above_b = np.zeros(n)
    for k in range(basins):
        s = 0.0
        for v in range(starts[k], starts[k + 1]):
            w = weight[v]
            g = 1.0 if plain else leave[v]
            t = 1.0 if plain else through[v]
            s += w * (w * (1.0 if plain else within[v]) + g * (above_a[v] + above_b[v]))
            p = down[v]
            if p >= 0:
                x = a[v] * (g * w + t * above_a[v])
                y = b[v] * (g * w + t * above_b[v])
                s += x * above_b[p] + y * above_a[p]
                above_a[p] += x
                above_b[p] += y
        total[k] = s
    return total


@njit(cache=True, nogil=True)
def sum_access(down, starts, weight, p):
    """The ``total`` of `access_from_outlets` alone."""
    held = weight.copy()
    for v in range(down.size):
        if down[v] >= 0:
            held[down[v]] += p[v] * held[v]
    total = np.empty(starts.size - 1)
    for k in range(total.size):
        total[k] = held[starts[k + 1] - 1]
    return total


@njit(cache=True, nogil=True)
def sums_with_unmapped(down, starts, weight, length, edge, a, b, product, up, downward, gaps, unmapped, rate, totals):
    """Sums over all pairs of points, and access, with unmapped barriers thrown along the reaches.

    Args:
        down, starts: the forest.
        weight: weights, spread evenly along each reach, (n,).
        length: lengths, (n,).
        edge: number of the edge below each place among those with barriers; the last number for all others, (n,).
        a, b: factors of the edges downstream and upstream, (edges,).
        product, up, downward: passabilities of the edges there and back, upstream, downstream, (edges,).
        gaps: distances between unmapped barriers along all reaches laid end to end.
        unmapped: what an unmapped barrier lets through.
        rate: decay of the kernel per length.
        totals: is filled with the sum over pairs, and the access there and back, up and down, (4, basins).

    Returns:
        Whether there were gaps enough.
    """
    n = down.size
    above = np.zeros((n, 5))
    used = 0
    gap = gaps[0]
    for k in range(starts.size - 1):
        s = 0.0
        for v in range(starts[k], starts[k + 1]):
            arriving, reached = above[v, 0], above[v, 1]
            there, upward, outward = above[v, 2], above[v, 3], above[v, 4]
            left = length[v]
            per_m = weight[v] / left if left > 0 else 0.0
            while True:
                piece = min(gap, left)
                w = per_m * piece if left > 0 else weight[v]
                x = rate * piece
                if x > 0:
                    t = np.exp(-x)
                    g = -np.expm1(-x) / x
                    inside = 2 * (1 - g) / x if x > 1e-3 else 1 - x / 3 + x * x / 12
                    s += w * (w * inside + g * (arriving + reached))
                    arriving = g * w + t * arriving
                    reached = g * w + t * reached
                else:
                    s += w * (w + arriving + reached)
                    arriving += w
                    reached += w
                there += w
                upward += w
                outward += w
                if gap >= left:
                    gap -= left
                    break
                left -= gap
                arriving *= unmapped
                reached *= unmapped
                there *= unmapped
                upward *= unmapped
                outward *= unmapped
                used += 1
                if used >= gaps.size:
                    return False
                gap = gaps[used]
            p = down[v]
            if p >= 0:
                e = edge[v]
                x = a[e] * arriving
                y = b[e] * reached
                s += x * above[p, 1] + y * above[p, 0]
                above[p, 0] += x
                above[p, 1] += y
                above[p, 2] += product[e] * there
                above[p, 3] += up[e] * upward
                above[p, 4] += downward[e] * outward
            else:
                totals[1, k] = there
                totals[2, k] = upward
                totals[3, k] = outward
        totals[0, k] = s
    return True
