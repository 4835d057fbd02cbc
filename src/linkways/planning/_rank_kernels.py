"""Loops of priority ranking that numba compiles: scores along an order, averaged orders, shares held.

``share`` is (cells, layers), float32: the share of the layer's total that the cell holds; layers of negative weight are
the last columns, from ``harmful`` on. An order lists the cells from the first to lose to the last. What is held at a
place is held by the cells from that place to the end; the sums are float64, so that rounding the shares to float32
leaves a relative error below 1e-7 in a score.
"""

import numpy as np
from numba import njit

__all__ = ["averaged_order", "held_along", "power_scores", "ratio_scores"]

NEAR = 0.01
"""How far what is held of a layer grows before its power is computed afresh, as a share of it."""
NOTHING = 1e-300
"""Held before the first cell; keeps 0 / 0 out and is lost in the first sum."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _sums(values, weight, held, first, last):
    """The terms w v / R of one cell: their sum, their sum of squares and the largest; R grows by v before."""
    total = 0.0
    squares = 0.0
    for j in range(first, last):
        v = np.float64(values[j])
        held[j] += v
        term = weight[j] * v / held[j]
        total += term
        squares += term * term
    return total, squares


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"nnan", "nsz", "contract", "reassoc"})
def _largest(values, weight, held, term, first, last):
    """The largest of the same terms; ``term`` is room for them, so that divisions and comparisons run side by side."""
    for j in range(first, last):
        v = np.float64(values[j])
        h = held[j] + v
        held[j] = h
        term[j] = weight[j] * v / h
    a = b = c = d = 0.0
    j = first
    while j + 4 <= last:
        a = max(a, term[j])
        b = max(b, term[j + 1])
        c = max(c, term[j + 2])
        d = max(d, term[j + 3])
        j += 4
    while j < last:
        a = max(a, term[j])
        j += 1
    return max(max(a, b), max(c, d))


@njit(cache=True, nogil=True, error_model="numpy")
def ratio_scores(order, share, weight, harmful, cost, rule, score):
    """Write into score[k] what is lost with cell order[k] at place k, by its terms ``w v / R`` (weights without sign).

    v is the cell's share of a layer, R what is held from its place on. Rule 0 adds the terms, 1 takes the root of
    the sum of their squares, 2 the largest; harms are combined the same way and taken off. A score above 0 is divided
    by the cost, one below is multiplied by it, so that a dear cell always goes earlier.
    """
    layers = weight.shape[0]
    held = np.full(layers, NOTHING)
    term = np.empty(layers)
    for k in range(order.shape[0] - 1, -1, -1):
        cell = order[k]
        if rule == 2:
            net = _largest(share[cell], weight, held, term, 0, harmful)
            net -= _largest(share[cell], weight, held, term, harmful, layers)
        else:
            good, good_squares = _sums(share[cell], weight, held, 0, harmful)
            harm, harm_squares = _sums(share[cell], weight, held, harmful, layers)
            net = good - harm if rule == 0 else np.sqrt(good_squares) - np.sqrt(harm_squares)
        score[k] = net / cost[cell] if net > 0 else net * cost[cell]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nnan", "nsz"})
def _power_terms(values, held, inverse, slope, exponent, first, last):
    """The sum of the terms with powers by their series, and how far the farthest layer has moved."""
    one, two, three = exponent - 1.0, (exponent - 2.0) / 2.0, (exponent - 3.0) / 3.0
    total = 0.0
    far = 0.0
    for j in range(first, last):
        x = held[j] * inverse[j] - 1.0
        far = x if x > far else far
        total += np.float64(values[j]) * slope[j] * (1.0 + one * x * (1.0 + two * x * (1.0 + three * x)))
    return total, far


@njit(cache=True, nogil=True, error_model="numpy")
def power_scores(order, share, weight, harmful, cost, exponent, score):
    """As `ratio_scores`, with terms ``w z R^(z - 1) v``, the slope of the benefit ``w R^z`` times the share, added.

    The power is carried along by its series of third order within 1 per cent of where it was last computed, which
    errs by less than 5e-8 of it for exponents from 0 to 1.
    """
    layers = weight.shape[0]
    held = np.full(layers, NOTHING)
    inverse = np.full(layers, 1.0 / NOTHING)
    slope = np.zeros(layers)
    for k in range(order.shape[0] - 1, -1, -1):
        cell = order[k]
        values = share[cell]
        for j in range(layers):
            held[j] += np.float64(values[j])
        good, far = _power_terms(values, held, inverse, slope, exponent, 0, harmful)
        harm, far_too = _power_terms(values, held, inverse, slope, exponent, harmful, layers)
        if far > NEAR or far_too > NEAR:
            for j in range(layers):
                if held[j] * inverse[j] - 1.0 > NEAR:
                    inverse[j] = 1.0 / held[j]
                    slope[j] = weight[j] * exponent * held[j] ** (exponent - 1.0)
            good, _ = _power_terms(values, held, inverse, slope, exponent, 0, harmful)
            harm, _ = _power_terms(values, held, inverse, slope, exponent, harmful, layers)
        net = good - harm
        score[k] = net / cost[cell] if net > 0 else net * cost[cell]


@njit(cache=True, nogil=True)
def averaged_order(order, found):
    """The order by mean place in two orders, ties as in the first; and the mean way that cells move, in shares of n.

    ``found[k]`` is the place in ``order`` of the cell that stands at place k of the second order.
    """
    n = order.shape[0]
    other = np.empty(n, np.int64)
    for k in range(n):
        other[found[k]] = k
    count = np.zeros(2 * n, np.int64)
    for k in range(n):
        count[k + other[k] + 1] += 1
    for s in range(1, 2 * n):
        count[s] += count[s - 1]
    new = np.empty(n, np.int64)
    way = 0.0
    for k in range(n):
        s = k + other[k]
        place = count[s]
        count[s] += 1
        new[place] = order[k]
        way += abs(place - k)
    return new, way / n / n


@njit(cache=True, nogil=True)
def held_along(order, share, places, middle):
    """(places, layers): share of each layer held from each place on; and (layers,) the area under its whole curve.

    ``places`` rise and may end with n. ``middle[k]`` is the share of the land lost when half of the cell at place k is:
    what a cell holds is kept so long, so that the sum of share x middle is the area under the curve.
    """
    layers = share.shape[1]
    held = np.zeros(layers)
    area = np.zeros(layers)
    out = np.zeros((places.shape[0], layers))
    point = places.shape[0] - 1
    while point >= 0 and places[point] >= order.shape[0]:
        point -= 1
    for k in range(order.shape[0] - 1, -1, -1):
        cell = order[k]
        for j in range(layers):
            v = np.float64(share[cell, j])
            held[j] += v
            area[j] += v * middle[k]
        while point >= 0 and places[point] == k:
            out[point] = held
            point -= 1
    return out, area
