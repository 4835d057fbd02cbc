"""Loops of the min-cut planner: prices of units, repair and improvement of a selection, blocks of units that act alike.

A selection x costs ``base x + pairs(x) + sum_j dear_j max(0, need_j - held_j)`` here, held = rows x. ``indptr, indices,
data`` are the rows unit by unit; ``first, head, sister, capacity`` the arcs of `linkways.kernels.min_cut`.
"""

import numba as nb
import numpy as np

__all__ = ["blocks", "flip_costs", "flip_down", "priced"]


@nb.njit(cache=True, nogil=True)
def priced(indptr, indices, data, base, prices):
    """(n,) ``base - rows' prices``."""
    out = np.empty(base.size)
    for i in range(base.size):
        total = base[i]
        for k in range(indptr[i], indptr[i + 1]):
            total -= data[k] * prices[indices[k]]
        out[i] = total
    return out


@nb.njit(cache=True, nogil=True)
def _flip(i, x, base, first, head, sister, capacity, indptr, indices, data, lack, dear):
    """What turning unit i costs; lack = need - held."""
    total = base[i]
    for e in range(first[i], first[i + 1]):
        total += -capacity[sister[e]] if x[head[e]] else capacity[e]
    if x[i]:
        total = -total
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            now = lack[j]
            total += dear[j] * (max(now + data[k], 0.0) - max(now, 0.0))
    else:
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            now = lack[j]
            total += dear[j] * (max(now - data[k], 0.0) - max(now, 0.0))
    return total


@nb.njit(cache=True, nogil=True)
def flip_costs(among, x, base, first, head, sister, capacity, indptr, indices, data, lack, dear):
    """(len(among),) what turning each of these units alone would cost."""
    out = np.empty(among.size)
    for k in range(among.size):
        out[k] = _flip(among[k], x, base, first, head, sister, capacity, indptr, indices, data, lack, dear)
    return out


@nb.njit(cache=True, nogil=True)
def flip_down(among, told, x, base, first, head, sister, capacity, indptr, indices, data, lack, dear, least, keep):
    """Turn units in the order given, each where that still saves ``least`` and the share ``keep`` of what was told.

    Changes x and lack; returns how many were turned. Nothing that saves less than what others, later in the order, were
    told to save is turned before them by much: the share sees to that.
    """
    turned = 0
    for k in range(among.size):
        i = among[k]
        cost = _flip(i, x, base, first, head, sister, capacity, indptr, indices, data, lack, dear)
        if cost >= -least or cost > keep * told[k]:
            continue
        sign = 1.0 if x[i] else -1.0
        x[i] = not x[i]
        for q in range(indptr[i], indptr[i + 1]):
            lack[indices[q]] += sign * data[q]
        turned += 1
    return turned


@nb.njit(cache=True, nogil=True)
def blocks(first, head, signature, wanted):
    """Number the connected blocks of wanted units with the same signature, from 0; -1 elsewhere; and how many."""
    n = signature.size
    label = np.full(n, -1, np.int64)
    stack = np.empty(n, np.int64)
    count = 0
    for s in range(n):
        if not wanted[s] or label[s] >= 0:
            continue
        label[s] = count
        stack[0], depth = s, 1
        while depth > 0:
            depth -= 1
            i = stack[depth]
            for e in range(first[i], first[i + 1]):
                j = head[e]
                if wanted[j] and label[j] < 0 and signature[j] == signature[s]:
                    label[j] = count
                    stack[depth] = j
                    depth += 1
        count += 1
    return label, count


@nb.njit(cache=True, nogil=True)
def _turn(i, x, indptr, indices, data, lack):
    sign = 1.0 if x[i] else -1.0
    x[i] = not x[i]
    for q in range(indptr[i], indptr[i + 1]):
        lack[indices[q]] += sign * data[q]


@nb.njit(cache=True, nogil=True)
def wander(
    random, tries, hot, cold, among, x, base, first, head, sister, capacity, indptr, indices, data, lack, dear, room
):
    """Turn one unit or two at a time, at random, worse ones ever more seldom; the best selection that misses nothing.

    Rows marked in ``room`` must be covered: what is missing of them has its price ``dear``, but only selections that
    miss nothing are kept. ``random`` is a numpy.random.Generator. x and lack are changed. Returns the best selection
    and how much less than x it costs.
    """
    best = x.copy()
    now, least = 0.0, 0.0
    for t in range(tries):
        heat = hot * (cold / hot) ** (t / tries)
        i = among[int(random.random() * among.size)]
        first_cost = _flip(i, x, base, first, head, sister, capacity, indptr, indices, data, lack, dear)
        limit = -heat * np.log(random.random())
        if first_cost <= limit:
            _turn(i, x, indptr, indices, data, lack)
            now += first_cost
        else:
            k = among[int(random.random() * among.size)]
            if k == i or x[k] == x[i]:
                continue
            _turn(i, x, indptr, indices, data, lack)
            cost = first_cost + _flip(k, x, base, first, head, sister, capacity, indptr, indices, data, lack, dear)
            if cost > limit:
                _turn(i, x, indptr, indices, data, lack)
                continue
            _turn(k, x, indptr, indices, data, lack)
            now += cost
        if now < least - 1e-12:
            covered = True
            for j in range(lack.size):
                if room[j] and lack[j] > 0.0:
                    covered = False
                    break
            if covered:
                least = now
                best[:] = x
    return best, least
