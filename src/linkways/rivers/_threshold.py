"""Compiled sums over the pairs of reaches within a distance of each other: numpy in, numpy out.

Two rules. *One* distance: a pair counts where the whole way is at most R long; centroids part the forest until every
pair has met at one. *Two* distances: a pair counts where the part of the way that leads downstream is at most R_down
and the part that leads upstream at most R_up; pairs meet at the reach where the way turns, and jumps over 1, 2, 4 ...
reaches gather what lies in the window of each.

Nothing is ever subtracted. That also serves passabilities of 0: they are replaced by ``NOTHING``, small enough to
vanish in every sum, and dividing what crosses an edge by its passability still gives the slope there to full precision.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["NOTHING", "TOLERANCE", "connect_within", "connect_within_two"]

NOTHING = 1e-150
#: distances that exceed the limit by less than this part of it are ties
TOLERANCE = 1e-9


@njit(cache=True, nogil=True)
def connect_within(down, weight, a, b, length, limit):  # type: ignore[no-untyped-def]
    """Sums over the pairs whose whole way is at most ``limit`` long.

    Args:
        down: place downstream by place, -1 at an outlet, (n,) int32.
        weight: weights, (n,).
        a, b: passability of the edge below each place downstream and upstream, all above 0, (n,).
        length: length of the edge below each place, (n,).
        limit: the largest length of a way.

    Returns:
        source (n,), sink (n,), and what crosses the edge below each place downstream and upstream: the sum of
        w_i w_j C(i, j) over the pairs whose way leads over it, (n,) each.
    """
    n = down.size
    source = weight.copy()
    sink = weight.copy()
    crossing_a = np.zeros(n)
    crossing_b = np.zeros(n)
    first = np.full(n, -1, np.int32)
    following = np.full(n, -1, np.int32)
    for v in range(n):
        if down[v] >= 0:
            following[v] = first[down[v]]
            first[down[v]] = v
    done = np.zeros(n, np.bool_)
    size = np.empty(n, np.int32)
    node = np.empty(n, np.int32)
    back = np.empty(n, np.int32)
    far = np.empty(n)
    to_c = np.empty(n)
    from_c = np.empty(n)
    reached = np.empty(n)
    arriving = np.empty(n)
    sorted_by = np.empty(n, np.int32)
    spare = np.empty(n, np.int32)
    sum_to = np.empty(n)
    sum_from = np.empty(n)
    runs = np.empty(n + 1, np.int32)
    waiting = [np.int32(0)]
    waiting.pop()
    for v in range(n):
        if down[v] < 0:
            waiting.append(np.int32(v))  # noqa: PERF401 (numba)
    while len(waiting):
        start = waiting.pop()
        count = _component(start, down, first, following, done, node, back)
        c = _centroid(count, node, back, size)
        count, branches = _branches(
            c, down, first, following, done, a, b, length, limit, node, back, far, to_c, from_c, runs
        )
        reached[:count] = 0.0
        arriving[:count] = 0.0
        _meet(
            count, branches, runs, node, weight, far, to_c, from_c, limit,
            reached, arriving, sorted_by, spare, sum_to, sum_from,
        )  # fmt: skip
        for k in range(count - 1, -1, -1):
            v = node[k]
            forth = to_c[k] * reached[k]
            home = from_c[k] * arriving[k]
            source[v] += forth
            sink[v] += home
            # from here on what starts or ends at or beyond this reach
            sum_to[k] = weight[v] * forth
            sum_from[k] = weight[v] * home
        for k in range(count - 1, 0, -1):
            v = node[k]
            u = node[back[k]]
            sum_to[back[k]] += sum_to[k]
            sum_from[back[k]] += sum_from[k]
            if down[v] == u:
                crossing_a[v] += sum_to[k]
                crossing_b[v] += sum_from[k]
            else:
                crossing_b[u] += sum_to[k]
                crossing_a[u] += sum_from[k]
        done[c] = True
        if down[c] >= 0 and not done[down[c]]:
            waiting.append(down[c])
        child = first[c]
        while child >= 0:
            if not done[child]:
                waiting.append(child)
            child = following[child]
    return source, sink, crossing_a, crossing_b


@njit(cache=True, nogil=True)
def _component(start, down, first, following, done, node, back):  # type: ignore[no-untyped-def]
    """List the reaches joined to one, each after the one it was found from; return how many."""
    node[0] = start
    back[0] = -1
    count = 1
    k = 0
    while k < count:
        v = node[k]
        found_from = node[back[k]] if k else -1
        u = down[v]
        if u >= 0 and u != found_from and not done[u]:
            node[count] = u
            back[count] = k
            count += 1
        u = first[v]
        while u >= 0:
            if u != found_from and not done[u]:
                node[count] = u
                back[count] = k
                count += 1
            u = following[u]
        k += 1
    return count


@njit(cache=True, nogil=True)
def _centroid(count, node, back, size):  # type: ignore[no-untyped-def]
    """A reach of the list without which no part holds more than half of them."""
    for k in range(count):
        size[k] = 1
    for k in range(count - 1, 0, -1):
        if 2 * size[k] >= count:
            return node[k]
        size[back[k]] += size[k]
    return node[0]


@njit(cache=True, nogil=True)
def _branches(c, down, first, following, done, a, b, length, limit, node, back, far, to_c, from_c, runs):  # type: ignore[no-untyped-def]
    """List the reaches within the limit of c, branch after branch, and where each branch begins; c is the first."""
    node[0] = c
    back[0] = -1
    far[0] = 0.0
    to_c[0] = 1.0
    from_c[0] = 1.0
    runs[0] = 0
    runs[1] = 1
    branches = 1
    count = 1
    neighbour = down[c]
    if neighbour < 0 or done[neighbour]:
        neighbour = _next_open(first[c], following, done)
    while neighbour >= 0:
        begin = count
        k = 0
        u = neighbour
        v = c
        while True:
            # u beside v = node[k]
            if down[v] == u:
                edge, there, here = v, b[v], a[v]
            else:
                edge, there, here = u, a[u], b[u]
            away = far[k] + length[edge]
            if away <= limit:
                node[count] = u
                back[count] = k
                far[count] = away
                to_c[count] = to_c[k] * there
                from_c[count] = from_c[k] * here
                count += 1
            # the next neighbour of v, or those of the next reach of this branch
            u = _next_neighbour(u, v, c, node[back[k]] if k else -1, down, first, following, done)
            while u < 0:
                k = begin if k == 0 else k + 1
                if k >= count:
                    break
                v = node[k]
                u = _first_neighbour(v, node[back[k]], down, first, following, done)
            if u < 0 or k >= count:
                break
        if count > begin:
            branches += 1
            runs[branches] = count
        if neighbour == down[c]:
            neighbour = _next_open(first[c], following, done)
        else:
            neighbour = _next_open(following[neighbour], following, done)
    return count, branches


@njit(cache=True, nogil=True)
def _next_open(u, following, done):  # type: ignore[no-untyped-def]
    while u >= 0 and done[u]:
        u = following[u]
    return u


@njit(cache=True, nogil=True)
def _first_neighbour(v, found_from, down, first, following, done):  # type: ignore[no-untyped-def]
    u = down[v]
    if u >= 0 and u != found_from and not done[u]:
        return u
    u = first[v]
    while u >= 0 and (done[u] or u == found_from):
        u = following[u]
    return u


@njit(cache=True, nogil=True)
def _next_neighbour(u, v, c, found_from, down, first, following, done):  # type: ignore[no-untyped-def]
    if v == c:
        return np.int32(-1)  # the branches of c come one by one
    u = first[v] if u == down[v] else following[u]
    while u >= 0 and (done[u] or u == found_from):
        u = following[u]
    return u


@njit(cache=True, nogil=True)
def _meet(  # type: ignore[no-untyped-def]
    count, branches, runs, node, weight, far, to_c, from_c, limit,
    reached, arriving, sorted_by, spare, sum_to, sum_from,
):  # fmt: skip
    """For each listed reach the weight reached in other branches and arriving from there, at the centroid.

    The branches, each sorted by distance, are merged two by two; every two that meet are within the limit where the
    distances add up to it at most, and sums over the nearer part of the other branch give all of these at once.
    """
    for r in range(branches):
        begin, end = runs[r], runs[r + 1]
        for k in range(begin, end):
            sorted_by[k] = k
        width = 1
        while width < end - begin:
            for low in range(begin, end - width, 2 * width):
                _merge(low, low + width, min(low + 2 * width, end), sorted_by, far, spare)
            width *= 2
    while branches > 1:
        merged = 0
        for r in range(0, branches - 1, 2):
            begin, middle, end = runs[r], runs[r + 1], runs[r + 2]
            _sum_up(begin, middle, sorted_by, node, weight, to_c, from_c, sum_to, sum_from)
            _sum_up(middle, end, sorted_by, node, weight, to_c, from_c, sum_to, sum_from)
            _look_across(begin, middle, middle, end, sorted_by, far, limit, sum_to, sum_from, reached, arriving)
            _look_across(middle, end, begin, middle, sorted_by, far, limit, sum_to, sum_from, reached, arriving)
            _merge(begin, middle, end, sorted_by, far, spare)
            runs[merged] = begin
            merged += 1
        if branches % 2:
            runs[merged] = runs[branches - 1]
            merged += 1
        runs[merged] = count
        branches = merged


@njit(cache=True, nogil=True)
def _sum_up(begin, end, sorted_by, node, weight, to_c, from_c, sum_to, sum_from):  # type: ignore[no-untyped-def]
    x = 0.0
    y = 0.0
    for i in range(begin, end):
        k = sorted_by[i]
        w = weight[node[k]]
        x += w * to_c[k]
        y += w * from_c[k]
        sum_to[i] = x
        sum_from[i] = y


@njit(cache=True, nogil=True)
def _look_across(begin, end, there, last, sorted_by, far, limit, sum_to, sum_from, reached, arriving):  # type: ignore[no-untyped-def]
    j = last - 1
    for i in range(begin, end):
        k = sorted_by[i]
        while j >= there and far[k] + far[sorted_by[j]] > limit:
            j -= 1
        if j < there:
            return
        reached[k] += sum_from[j]
        arriving[k] += sum_to[j]


@njit(cache=True, nogil=True)
def _merge(begin, middle, end, sorted_by, far, spare):  # type: ignore[no-untyped-def]
    i = begin
    j = middle
    if far[sorted_by[middle - 1]] <= far[sorted_by[middle]]:
        return
    for k in range(begin, end):
        if j >= end or (i < middle and far[sorted_by[i]] <= far[sorted_by[j]]):
            spare[k] = sorted_by[i]
            i += 1
        else:
            spare[k] = sorted_by[j]
            j += 1
    sorted_by[begin:end] = spare[begin:end]


# --- two distances -------------------------------------------------------------------


@njit(cache=True, nogil=True)
def connect_within_two(down, weight, a, b, length, limit_down, limit_up):  # type: ignore[no-untyped-def]
    """Sums over the pairs whose way leads at most ``limit_down`` downstream and at most ``limit_up`` upstream.

    Arguments and results are those of `connect_within`.
    """
    n = down.size
    window_a = _windows(down, length, limit_down)
    window_b = _windows(down, length, limit_up)
    above_a, beside_a = _arrivals(down, weight, a, window_a)
    above_b, beside_b = _arrivals(down, weight, b, window_b)
    source, crossing_a = _go_down(down, weight, a, window_a, beside_b)
    sink, crossing_b = _go_down(down, weight, b, window_b, beside_a)
    for v in range(n):
        source[v] += above_b[v]
        sink[v] += above_a[v]
    return source, sink, crossing_a, crossing_b


@njit(cache=True, nogil=True)
def _windows(down, length, limit):  # type: ignore[no-untyped-def]
    """How many reaches downstream of each lie within the limit."""
    n = down.size
    depth = np.zeros(n, np.int32)
    far = np.zeros(n)
    deepest = 0
    farthest = 0.0
    for v in range(n - 1, -1, -1):
        if down[v] >= 0:
            depth[v] = depth[down[v]] + 1
            far[v] = far[down[v]] + length[v]
            deepest = max(deepest, depth[v])
            farthest = max(farthest, far[v])
    limit += 4e-16 * farthest  # rounding of the differences of distances from the outlet
    path = np.zeros(deepest + 1)
    window = np.zeros(n, np.int32)
    for v in range(n - 1, -1, -1):
        # falling places visit a reach right after the way from the outlet to it
        path[depth[v]] = far[v]
        low = 0
        high = depth[v]
        while low < high:
            middle = (low + high) // 2
            if far[v] - path[middle] <= limit:
                high = middle
            else:
                low = middle + 1
        window[v] = depth[v] - low
    return window


@njit(cache=True, nogil=True)
def _levels(window):  # type: ignore[no-untyped-def]
    longest = 0
    for v in range(window.size):
        longest = max(longest, window[v])
    levels = 0
    while longest > 0:
        levels += 1
        longest >>= 1
    return levels


@njit(cache=True, nogil=True)
def _jumps(down, factor, levels):  # type: ignore[no-untyped-def]
    """Where 1, 2, 4 ... steps downstream lead (-1: beyond the outlet), and the product of the factors on the way."""
    n = down.size
    to = np.full((levels, n), -1, np.int32)
    product = np.zeros((levels, n))
    for k in range(levels):
        for v in range(n):
            if k == 0:
                to[0, v] = down[v]
                product[0, v] = factor[v] if down[v] >= 0 else 0.0
            else:
                half = to[k - 1, v]
                if half >= 0:
                    to[k, v] = to[k - 1, half]
                    product[k, v] = product[k - 1, v] * product[k - 1, half]
    return to, product


@njit(cache=True, nogil=True)
def _arrivals(down, weight, factor, window):  # type: ignore[no-untyped-def]
    """Weight that meets each reach from upstream within the windows, its own included, and that beside each branch.

    Returns:
        ``above``: w_v and, of every reach upstream in whose window v lies, its weight times the factors on the way.
        ``beside``: for each reach the same sum at the reach below it without the branch that it heads.
    """
    n = down.size
    levels = _levels(window)
    to, product = _jumps(down, factor, levels)
    leaving = np.zeros((levels, n)) if levels else np.zeros((1, n))
    for v in range(n):
        u = v
        z = weight[v]
        for k in range(levels):
            if window[v] >> k & 1:
                leaving[k, u] += z
                z *= product[k, u]
                u = to[k, u]
    for k in range(levels - 1, 0, -1):
        for v in range(n):
            z = leaving[k, v]
            if z > 0:
                leaving[k - 1, v] += z
                leaving[k - 1, to[k - 1, v]] += z * product[k - 1, v]
    above = weight.copy()
    beside = np.zeros(n)
    for v in range(n):
        p = down[v]
        if p >= 0:
            beside[v] = above[p]
            above[p] += factor[v] * leaving[0, v]
    after = np.zeros(n)
    for v in range(n - 1, -1, -1):
        p = down[v]
        if p >= 0:
            beside[v] += after[p]
            after[p] += factor[v] * leaving[0, v]
    return above, beside


@njit(cache=True, nogil=True)
def _go_down(down, weight, factor, window, beside):  # type: ignore[no-untyped-def]
    """What each reach meets beside the reaches downstream in its window, and what crosses each edge on that account."""
    n = down.size
    levels = _levels(window)
    met = np.zeros(n)
    if levels == 0:
        return met, np.zeros(n)
    to, product = _jumps(down, factor, levels)
    ahead = np.zeros((levels, n))
    for k in range(levels):
        for v in range(n):
            if k == 0:
                ahead[0, v] = product[0, v] * beside[v]
            elif to[k - 1, v] >= 0:
                ahead[k, v] = ahead[k - 1, v] + product[k - 1, v] * ahead[k - 1, to[k - 1, v]]
    leaving = np.zeros((levels, n))
    passing = np.zeros((levels, n))
    _enter_windows(weight, window, to, product, ahead, leaving, passing, met)
    for k in range(levels - 1, 0, -1):
        for v in range(n):
            z = leaving[k, v]
            if z > 0 or passing[k, v] > 0:
                half = to[k - 1, v]
                there = z * product[k - 1, v]
                leaving[k - 1, v] += z
                leaving[k - 1, half] += there
                passing[k - 1, v] += passing[k, v] + there * ahead[k - 1, half]
                passing[k - 1, half] += passing[k, v]
    crossing = np.empty(n)
    for v in range(n):
        crossing[v] = leaving[0, v] * ahead[0, v] + passing[0, v]
    return met, crossing


@njit(cache=True, nogil=True)
def _enter_windows(weight, window, to, product, ahead, leaving, passing, met):  # type: ignore[no-untyped-def]
    """Part the window of each reach into jumps: what enters each of them, and what passes it whole to go on."""
    levels = to.shape[0]
    at = np.empty(levels, np.int32)
    mass = np.empty(levels)
    for v in range(weight.size):
        u = v
        z = weight[v]
        for k in range(levels):
            if window[v] >> k & 1:
                at[k] = u
                mass[k] = z
                z *= product[k, u]
                u = to[k, u]
        beyond = 0.0
        for k in range(levels - 1, -1, -1):
            if window[v] >> k & 1:
                through = product[k, at[k]] * beyond
                leaving[k, at[k]] += mass[k]
                passing[k, at[k]] += mass[k] * through
                beyond = ahead[k, at[k]] + through
        met[v] = beyond
