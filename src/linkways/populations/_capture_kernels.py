"""Loops of spatial capture-recapture: hazards, sums over detectors, histories and least-cost paths with slopes.

Detectors are k, cells of the state space m, sexes c. A detection group g = c * states + b joins a sex with a
behavioural state b (0: as a naive animal, 1: caught before). Hazards are (g, k, m) per unit of effort.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = [
    "EXPONENTIAL",
    "HALF_NORMAL",
    "HAZARD_RATE",
    "growth",
    "hazards_of_chances",
    "history_scores",
    "history_terms",
    "path_distances",
    "pattern_totals",
    "shapes",
    "slopes_of_totals",
]

HALF_NORMAL, EXPONENTIAL, HAZARD_RATE = 0, 1, 2
_NONE = 1e-15  # a hazard or weight below this adds nothing that float64 would show


@njit(cache=True, nogil=True)
def shapes(distance, amplitude, log_sigma, log_shape, kind, out):
    """Write amplitude + log kernel(d / sigma) for every group, detector and cell; -inf where nothing reaches."""
    groups, detectors = amplitude.shape
    cells = distance.shape[1]
    shape = math.exp(log_shape)
    for g in range(groups):
        for k in range(detectors):
            a = amplitude[g, k]
            inverse = math.exp(-log_sigma[g, k])
            row, to = distance[k], out[g, k]
            if kind == HALF_NORMAL:
                scale = -0.5 * inverse * inverse
                for m in range(cells):
                    to[m] = a + scale * row[m] * row[m]
            elif kind == EXPONENTIAL:
                for m in range(cells):
                    to[m] = a - inverse * row[m]
            else:
                for m in range(cells):
                    ratio = row[m] * inverse
                    if ratio <= 0.0:
                        to[m] = a
                    elif ratio == math.inf:
                        to[m] = -math.inf
                    else:
                        to[m] = a + math.log(-math.expm1(-(ratio ** (-shape))))


@njit(cache=True, nogil=True)
def hazards_of_chances(log_chance, chance):
    """Turn chances g into hazards h = -log(1 - g), both arrays (flat, log and plain) in place."""
    for x in range(chance.size):
        g = chance[x]
        if g < 0.003:
            more = g * (0.5 + g * (1.0 / 3.0 + g * (0.25 + g * 0.2)))
            log_chance[x] += more * (1.0 - more * (0.5 - more * (1.0 / 3.0 - 0.25 * more)))
            chance[x] = g * (1.0 + more)
        else:
            h = -math.log1p(-min(g, 1.0 - 1e-15))
            log_chance[x] = math.log(h)
            chance[x] = h


@njit(cache=True, nogil=True)
def growth(total, value, slope):
    """Write log((exp(x) - 1) / x) and its derivative for every total hazard (flat)."""
    for m in range(total.size):
        value[m] = _log_growth(total[m])
        slope[m] = _growth_slope(total[m])


@njit(cache=True, nogil=True)
def pattern_totals(hazard, states, effort, base, start, detector, extra, bases, totals):
    """Sum hazards over detectors: ``bases`` (c, u, m) under each effort column, ``totals`` (c, p, m) of each pattern.

    A pattern is an effort column of naive animals plus the effort (``extra``) at some detectors that counts in state 1.
    """
    sexes, columns, cells = bases.shape
    for c in range(sexes):
        for u in range(columns):
            to = bases[c, u]
            to[:] = 0.0
            for k in range(effort.shape[1]):
                e = effort[u, k]
                if e != 0.0:
                    row = hazard[c * states, k]
                    for m in range(cells):
                        to[m] += e * row[m]
        for p in range(totals.shape[1]):
            to = totals[c, p]
            to[:] = bases[c, base[p]]
            for j in range(start[p], start[p + 1]):
                naive, caught, e = hazard[c * states, detector[j]], hazard[c * states + 1, detector[j]], extra[j]
                for m in range(cells):
                    to[m] += e * (caught[m] - naive[m])


@njit(cache=True, nogil=True, inline="always")
def _log_growth(x):
    """log((exp(x) - 1) / x)."""
    if x < 0.05:
        return x * (0.5 + x * (1.0 / 24.0 - x * x / 2880.0))
    if x > 30.0:
        return x - math.log(x)
    return math.log(math.expm1(x) / x)


@njit(cache=True, nogil=True, inline="always")
def _growth_slope(x):
    """Its derivative, 1 / (1 - exp(-x)) - 1 / x."""
    if x < 0.05:
        return 0.5 + x * (1.0 / 12.0 - x * x / 720.0)
    return -1.0 / math.expm1(-x) - 1.0 / x


@njit(cache=True, nogil=True)
def history_terms(
    first, last, sex, log_prior, log_hazard, hazard, totals, states, pattern, start, detector, state, count, effort,
    own_pattern, kind, grown, out,
):  # fmt: skip
    """Write log(prior x likelihood) of the histories ``first`` to ``last`` for every sex and cell.

    ``kind`` 0: counts, 1: seen or not, 2: one detector an occasion. -inf for a sex that the animal does not have.
    """
    sexes, cells = log_prior.shape
    for i in range(first, last):
        for c in range(sexes):
            to = out[i - first, c]
            if sex[i] >= 0 and sex[i] != c:
                to[:] = -math.inf
                continue
            total = totals[c, pattern[i]]
            prior = log_prior[c]
            for m in range(cells):
                to[m] = prior[m] - total[m]
            for r in range(start[i], start[i + 1]):
                g, k = c * states + state[r], detector[r]
                row = log_hazard[g, k]
                if kind == 0:
                    y = count[r]
                    for m in range(cells):
                        to[m] += y * row[m]
                elif kind == 1:
                    e, level = effort[r], hazard[g, k]
                    for m in range(cells):
                        to[m] += row[m] + _log_growth(e * level[m])
                else:
                    more = grown[c, own_pattern[r]]
                    for m in range(cells):
                        to[m] += row[m] + more[m]


@njit(cache=True, nogil=True, inline="always")
def _slopes(kind, chance, ratio, shape, h):
    """Slopes of the log hazard: by amplitude, by log sigma, by log shape."""
    if chance:
        if h < 0.01:
            by_amplitude = 1.0 + h * (0.5 + h * (1.0 / 6.0 + h * (1.0 / 24.0 + h * (1.0 / 120.0 + h / 720.0))))
        else:
            by_amplitude = math.expm1(h) / h
    else:
        by_amplitude = 1.0
    if kind == HALF_NORMAL:
        return by_amplitude, by_amplitude * ratio * ratio, 0.0
    if kind == EXPONENTIAL:
        return by_amplitude, by_amplitude * ratio, 0.0
    if ratio <= 0.0:
        return by_amplitude, 0.0, 0.0
    t = ratio ** (-shape)
    if t > 700.0:
        return by_amplitude, 0.0, 0.0
    q = shape * t / math.expm1(t)
    return by_amplitude, by_amplitude * q, -by_amplitude * q * math.log(ratio)


@njit(cache=True, nogil=True)
def history_scores(
    first, last, weight, distance, relative, hazard, states, pattern, start, detector, state, count, effort,
    own_pattern, kind, grown_slope, shape_kind, chance, log_sigma, log_shape, by_total, by_cell, by_sex, by_amplitude,
    by_sigma, by_rest,
):  # fmt: skip
    """Add the slopes of the log-likelihoods of the histories, each cell by its posterior ``weight`` (i, c, m).

    ``by_total`` (c, p, m) by the totals of the patterns, ``by_cell`` (m) and ``by_sex`` (c) sums of the weights,
    ``by_amplitude`` and ``by_sigma`` (g, k), ``by_rest``: log shape, then each resistance parameter.
    """
    _, sexes, cells = weight.shape
    shape = math.exp(log_shape)
    parameters = relative.shape[0]
    kept = np.empty(cells, np.int64)
    heavy = np.empty(cells)
    for i in range(first, last):
        for c in range(sexes):
            size = 0
            own = by_total[c, pattern[i]]
            for m in range(cells):
                w = weight[i - first, c, m]
                if w > _NONE:
                    kept[size] = m
                    heavy[size] = w
                    size += 1
                    by_cell[m] += w
                    by_sex[c] += w
                    own[m] -= w
            for r in range(start[i], start[i + 1]):
                g, k = c * states + state[r], detector[r]
                inverse = math.exp(-log_sigma[g, k])
                level, far = hazard[g, k], distance[k]
                amplitude, sigma, rest = 0.0, 0.0, 0.0
                if kind == 2:
                    here, to = grown_slope[c, own_pattern[r]], by_total[c, own_pattern[r]]
                    for x in range(size):
                        to[kept[x]] += heavy[x] * here[kept[x]]
                for x in range(size):
                    m = kept[x]
                    slope = heavy[x]
                    if kind == 0:
                        slope *= count[r]
                    elif kind == 1:
                        y = effort[r] * level[m]
                        slope *= 1.0 + y * _growth_slope(y)
                    a, s, z = _slopes(shape_kind, chance, far[m] * inverse, shape, level[m])
                    amplitude += slope * a
                    sigma += slope * s
                    rest += slope * z
                    for j in range(parameters):
                        by_rest[1 + j] -= slope * s * relative[j, k, m]
                by_amplitude[g, k] += amplitude
                by_sigma[g, k] += sigma
                by_rest[0] += rest


@njit(cache=True, nogil=True)
def _add_row(
    factor, by_hazard, row, distance, relative, k, inverse, shape_kind, chance, shape, by_rest,
):  # fmt: skip
    """Return the slopes by amplitude and log sigma of sum_m by_hazard * h at one detector; add those of the rest."""
    cells = row.size
    parameters = relative.shape[0]
    amplitude, sigma = 0.0, 0.0
    here = distance[k]
    if shape_kind == HALF_NORMAL and not chance and parameters == 0:
        for m in range(cells):
            x = by_hazard[m] * row[m]
            ratio = here[m] * inverse
            amplitude += x
            sigma += x * ratio * ratio if row[m] > 0.0 else 0.0
        return factor * amplitude, factor * sigma
    for m in range(cells):
        h = row[m]
        if h < _NONE or by_hazard[m] == 0.0:
            continue
        x = factor * by_hazard[m] * h
        a, s, z = _slopes(shape_kind, chance, here[m] * inverse, shape, h)
        amplitude += x * a
        sigma += x * s
        by_rest[0] += x * z
        for j in range(parameters):
            by_rest[1 + j] -= x * s * relative[j, k, m]
    return amplitude, sigma


@njit(cache=True, nogil=True)
def slopes_of_totals(
    by_base, by_total, distance, relative, hazard, states, effort, base, start, detector, extra, shape_kind, chance,
    log_sigma, log_shape, by_amplitude, by_sigma, by_rest,
):  # fmt: skip
    """Carry the slopes by the totals of effort columns (c, u, m) and patterns (c, p, m) on to the parameters."""
    sexes, columns, cells = by_base.shape
    shape = math.exp(log_shape)
    mixed = np.empty(cells)
    for c in range(sexes):
        for p in range(base.size):
            by_base[c, base[p]] += by_total[c, p]
        naive = c * states
        for k in range(effort.shape[1]):
            mixed[:] = 0.0
            for u in range(columns):
                if effort[u, k] != 0.0:
                    mixed += effort[u, k] * by_base[c, u]
            a, s = _add_row(
                1.0, mixed, hazard[naive, k], distance, relative, k, math.exp(-log_sigma[naive, k]), shape_kind,
                chance, shape, by_rest,
            )  # fmt: skip
            by_amplitude[naive, k] += a
            by_sigma[naive, k] += s
        for p in range(base.size):
            for j in range(start[p], start[p + 1]):
                k = detector[j]
                for b in range(2):
                    g = naive + b
                    a, s = _add_row(
                        extra[j] if b else -extra[j], by_total[c, p], hazard[g, k], distance, relative, k,
                        math.exp(-log_sigma[g, k]), shape_kind, chance, shape, by_rest,
                    )  # fmt: skip
                    by_amplitude[g, k] += a
                    by_sigma[g, k] += s


# --- least-cost paths ----------------------------------------------------------------


@njit(cache=True, nogil=True, inline="always")
def _rise(heap, place, distance, position):
    cell = heap[position]
    d = distance[cell]
    while position > 0:
        above = (position - 1) >> 2
        other = heap[above]
        if distance[other] <= d:
            break
        heap[position] = other
        place[other] = position
        position = above
    heap[position] = cell
    place[cell] = position


@njit(cache=True, nogil=True, inline="always")
def _take_least(heap, place, distance, size):
    """Remove the first of the heap, which had ``size`` entries, and put the order right."""
    top = heap[0]
    place[top] = -1
    size -= 1
    if size == 0:
        return top
    cell = heap[size]
    d = distance[cell]
    position = 0
    while True:
        child = 4 * position + 1
        if child >= size:
            break
        best = child
        least = distance[heap[child]]
        for other in range(child + 1, min(child + 4, size)):
            if distance[heap[other]] < least:
                least = distance[heap[other]]
                best = other
        if least >= d:
            break
        heap[position] = heap[best]
        place[heap[position]] = position
        position = best
    heap[position] = cell
    place[cell] = position
    return top


@njit(cache=True, nogil=True)
def path_distances(cost, slope, lengths, stride, steps, between, sources, targets, limit, out, out_slope):
    """Write least accumulated cost from each source to each target and its slope by each parameter of the cost.

    The raster lies in a rim two cells wide. ``cost`` (cells) is inf where none may enter, ``slope`` (J, cells) its
    derivatives. ``lengths`` (rows, directions) are metres of a step, ``steps`` its offset; a knight's move passes the
    two cells of ``between`` (offsets; 0: none), a quarter of its length in each of the four. Along a path found best
    the derivative of the cost is that of the least cost itself (envelope theorem); it is summed in the same search.
    Targets farther than ``limit`` get inf.
    """
    cells = cost.size
    parameters = slope.shape[0]
    distance = np.full(cells, math.inf)
    gained = np.zeros((parameters, cells))
    heap = np.empty(cells, np.int64)
    place = np.full(cells, -1, np.int64)
    touched = np.empty(cells, np.int64)
    directions = steps.size
    for s in range(sources.size):
        source = sources[s]
        distance[source] = 0.0
        gained[:, source] = 0.0
        heap[0] = source
        place[source] = 0
        size, reached = 1, 1
        touched[0] = source
        while size > 0:
            cell = _take_least(heap, place, distance, size)
            size -= 1
            d = distance[cell]
            if d > limit:
                break
            here = cost[cell]
            row = cell // stride
            for q in range(directions):
                other = cell + steps[q]
                there = cost[other]
                if there == math.inf:
                    continue
                if q < 8:
                    length = 0.5 * lengths[row, q]
                    new = d + length * (here + there)
                    if new >= distance[other]:
                        continue
                    for j in range(parameters):
                        gained[j, other] = gained[j, cell] + length * (slope[j, cell] + slope[j, other])
                else:
                    one, two = cell + between[q, 0], cell + between[q, 1]
                    length = 0.25 * lengths[row, q]
                    new = d + length * (here + cost[one] + cost[two] + there)
                    if not new < distance[other]:
                        continue
                    for j in range(parameters):
                        passed = slope[j, cell] + slope[j, one] + slope[j, two] + slope[j, other]
                        gained[j, other] = gained[j, cell] + length * passed
                if distance[other] == math.inf:
                    touched[reached] = other
                    reached += 1
                    heap[size] = other
                    place[other] = size
                    size += 1
                distance[other] = new
                _rise(heap, place, distance, place[other])
        for t in range(targets.size):
            cell = targets[t]
            d = distance[cell]
            if d > limit:
                out[s, t] = math.inf
                for j in range(parameters):
                    out_slope[j, s, t] = 0.0
            else:
                out[s, t] = d
                for j in range(parameters):
                    out_slope[j, s, t] = gained[j, cell]
        for t in range(reached):
            distance[touched[t]] = math.inf
            place[touched[t]] = -1
