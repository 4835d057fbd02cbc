"""Compiled loops over Brownian bridges: motion variances, and occurrence summed into tiles of cells.

Times are minutes, places metres, variances m2 per minute, as in the literature on Brownian bridges.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = [
    "TILE",
    "add_bridges",
    "bell",
    "bridge_terms",
    "dynamic_variances",
    "mark_tiles",
    "motion_variance",
    "tile_cells",
]

TILE = 64
"""Cells along a side of a tile; 32 kB, so that a tile stays in the nearest cache while its bridges are summed."""


@njit(cache=True, nogil=True)
def bridge_terms(minutes, x, y, error_m, swapped):
    """Each inner fix seen from the bridge between its neighbours.

    With T the time between the neighbours and a the share of it before the fix, the squared distance z of the fix
    from the bridge's mean has the variance ``v = gain * s2 + noise`` in each coordinate, ``gain = T a (1 - a)`` and
    ``noise = (1 - a)^2 e_before^2 + a^2 e_after^2``. ``swapped`` takes the share after the fix for the one before.

    Returns:
        gain, noise and z, (n,) each; the first and the last are 0.
    """
    n = minutes.size
    gain, noise, square = np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(1, n - 1):
        whole = minutes[i + 1] - minutes[i - 1]
        a = (minutes[i + 1] - minutes[i] if swapped else minutes[i] - minutes[i - 1]) / whole
        dx = x[i] - (x[i - 1] + a * (x[i + 1] - x[i - 1]))
        dy = y[i] - (y[i - 1] + a * (y[i + 1] - y[i - 1]))
        gain[i] = whole * a * (1 - a)
        noise[i] = (1 - a) ** 2 * error_m[i - 1] ** 2 + a**2 * error_m[i + 1] ** 2
        square[i] = dx * dx + dy * dy
    return gain, noise, square


@njit(cache=True, nogil=True)
def _misfit(gain, noise, square, first, last, step, variance):
    """Sum of log v + z / (2 v): minus the log likelihood, without its constant."""
    total, product = 0.0, 1.0
    for i in range(first, last, step):
        v = gain[i] * variance + noise[i]
        total += square[i] / (2 * v)
        product *= v
        if product > 1e200 or product < 1e-200:  # one logarithm serves many factors
            total += math.log(product)
            product = 1.0
    return total + math.log(product)


@njit(cache=True, nogil=True)
def _descend(gain, noise, square, first, last, step, low, high, start):
    """Newton steps towards the variance where the misfit is least, kept inside a bracket; scoring where it is bent."""
    s = start
    for _ in range(200):
        slope, bend, information = 0.0, 0.0, 0.0
        for i in range(first, last, step):
            g = gain[i] / (gain[i] * s + noise[i])
            r = square[i] / (2 * (gain[i] * s + noise[i]))
            slope += g * (1 - r)
            bend += g * g * (2 * r - 1)
            information += g * g
        if slope > 0:
            high = s
        else:
            low = s
        new = s - slope / (bend if bend > 0.05 * information else information)
        if not low <= new <= high:
            new = 0.5 * (low + high)
        if abs(new - s) <= 1e-13 * s or high - low <= 1e-15 * high:
            return new
        s = new
    return s


@njit(cache=True, nogil=True)
def motion_variance(gain, noise, square, first, last, step):
    """The variance >= 0 with the least misfit over terms first, first + step, ... below last, and that misfit.

    Every minimum lies between the smallest and the largest of the terms' own estimates (z / 2 - noise) / gain. Where
    the noise is small or much the same for all terms there is one minimum only; elsewhere the bracket is looked
    through on a logarithmic scale first.
    """
    low, high, mean, n = np.inf, 0.0, 0.0, 0
    least, most = np.inf, 0.0
    for i in range(first, last, step):
        own = (square[i] / 2 - noise[i]) / gain[i]
        low, high = min(low, own), max(high, own)
        mean += own
        ratio = noise[i] / gain[i]
        least, most = min(least, ratio), max(most, ratio)
        n += 1
    low = max(low, 0.0)
    if high <= 0:
        return 0.0, _misfit(gain, noise, square, first, last, step, 0.0)
    start = min(max(mean / n, low, 1e-12 * high), high)
    if most > 2 * least and most > 0.01 * start:
        best = np.inf
        floor = max(low, 1e-6 * high)
        for k in range(40):
            s = floor * (high / floor) ** (k / 39)
            value = _misfit(gain, noise, square, first, last, step, s)
            if value < best:
                best, start = value, s
    s = _descend(gain, noise, square, first, last, step, low, high, start)
    value = _misfit(gain, noise, square, first, last, step, s)
    if low == 0:
        still = _misfit(gain, noise, square, first, last, step, 0.0)
        if still <= value or s < 1e-12 * high:
            return 0.0, still
    return s, value


@njit(cache=True, nogil=True)
def dynamic_variances(minutes, x, y, error_m, window, margin):
    """Variance of the segment after every fix, averaged over sliding windows, and how many windows told of it.

    In each window of ``window`` fixes one variance, or two parted at an odd fix at least ``margin`` fixes from both
    ends, whichever has the least BIC (Kranstauber and others 2012).

    Returns:
        variances (n,), 0 where no window tells; windows (n,).
    """
    n = minutes.size
    gain, noise, square = bridge_terms(minutes, x, y, error_m, False)
    total, told = np.zeros(n), np.zeros(n, np.int64)
    penalty = math.log(window)
    for w in range(n - window + 1):
        end = w + window
        before, misfit = motion_variance(gain, noise, square, w + 1, end - 1, 2)
        after, parted = before, end
        least = 2 * misfit + penalty
        for b in range(w + margin - 1, end - margin + 1, 2):
            one, misfit_one = motion_variance(gain, noise, square, w + 1, b, 2)
            two, misfit_two = motion_variance(gain, noise, square, b + 1, end - 1, 2)
            bic = 2 * (misfit_one + misfit_two) + 2 * penalty
            if bic < least:
                least, before, after, parted = bic, one, two, b
        for i in range(w + margin - 1, end - margin):
            total[i] += before if i < parted else after
            told[i] += 1
    for i in range(n):
        if told[i] > 0:
            total[i] /= told[i]
    return total, told


@njit(cache=True, nogil=True)
def _steps(lag, step):
    """How many times 0, step, 2 step, ... lie in a lag (1e-9 of a step forgives times in floating point)."""
    return math.floor(lag / step + 1e-9) + 1


@njit(cache=True, nogil=True)
def _spread(lag, a, variance, error_before, error_after):
    return lag * a * (1 - a) * variance + (1 - a) ** 2 * error_before**2 + a**2 * error_after**2


@njit(cache=True, nogil=True)
def mark_tiles(minutes, x, y, error_m, variance, used, step, reach, cell_x, cell_y, rows, columns, tiles):
    """Mark (1) the tiles that hold a cell within ``reach`` standard deviations of a bridge at some time.

    Places are metres east and south of the grid's corner; ``tiles`` is (tile rows, tile columns) int32.
    """
    for i in range(minutes.size - 1):
        if not used[i]:
            continue
        lag = minutes[i + 1] - minutes[i]
        for k in range(_steps(lag, step)):
            a = min(k * step / lag, 1.0)
            half = reach * math.sqrt(_spread(lag, a, variance[i], error_m[i], error_m[i + 1]))
            mx, my = x[i] + a * (x[i + 1] - x[i]), y[i] + a * (y[i + 1] - y[i])
            c0, c1 = math.floor((mx - half) / cell_x), math.floor((mx + half) / cell_x)
            r0, r1 = math.floor((my - half) / cell_y), math.floor((my + half) / cell_y)
            if c1 < 0 or r1 < 0 or c0 >= columns or r0 >= rows:
                continue
            for tr in range(max(r0, 0) // TILE, min(r1, rows - 1) // TILE + 1):
                for tc in range(max(c0, 0) // TILE, min(c1, columns - 1) // TILE + 1):
                    tiles[tr, tc] = 1


@njit(cache=True, nogil=True)
def bell(values, first, last, centre, cell, spread):
    """exp(-d^2 / (2 spread)) at the centres of cells ``first`` to ``last``, from the nearest outwards.

    The exponent is quadratic in the cell's number, so that each value is the last one times a factor that itself
    changes by one factor.
    """
    nearest = math.floor(centre / cell)
    if nearest < first:
        nearest = first
    elif nearest > last:
        nearest = last
    d = (nearest + 0.5) * cell - centre
    change = math.exp(-cell * cell / spread)
    top = math.exp(-d * d / (2 * spread))
    values[nearest - first] = top
    value, factor = top, math.exp(-(2 * d + cell) * cell / (2 * spread))
    for j in range(nearest + 1, last + 1):
        value *= factor
        factor *= change
        values[j - first] = value
    value, factor = top, math.exp((2 * d - cell) * cell / (2 * spread))
    for j in range(nearest - 1, first - 1, -1):
        value *= factor
        factor *= change
        values[j - first] = value


@njit(cache=True, nogil=True)
def add_bridges(minutes, x, y, error_m, variance, used, step, reach, cell_x, cell_y, rows, columns, tiles, pool):
    """Add to the tiles the density of every bridge at times 0, step, 2 step, ... of each segment, at cell centres.

    ``tiles`` holds the number of each tile in ``pool`` (tiles, TILE, TILE), -1 where there is none. A density is
    evaluated within ``reach`` standard deviations of its mean in each coordinate and is 0 beyond. (A disk instead of
    the square would save a fifth of the cells and cost three times as long.)
    """
    flat = pool.reshape(-1)
    wide, tall = np.empty(columns), np.empty(rows)
    for i in range(minutes.size - 1):
        if not used[i]:
            continue
        lag = minutes[i + 1] - minutes[i]
        for k in range(_steps(lag, step)):
            a = min(k * step / lag, 1.0)
            spread = _spread(lag, a, variance[i], error_m[i], error_m[i + 1])
            half = reach * math.sqrt(spread)
            mx, my = x[i] + a * (x[i + 1] - x[i]), y[i] + a * (y[i + 1] - y[i])
            c0 = max(math.ceil((mx - half) / cell_x - 0.5), 0)
            c1 = min(math.floor((mx + half) / cell_x - 0.5), columns - 1)
            r0 = max(math.ceil((my - half) / cell_y - 0.5), 0)
            r1 = min(math.floor((my + half) / cell_y - 0.5), rows - 1)
            if c0 > c1 or r0 > r1:
                continue
            bell(wide, c0, c1, mx, cell_x, spread)
            bell(tall, r0, r1, my, cell_y, spread)
            scale = 1 / (2 * math.pi * spread)
            for r in range(r0, r1 + 1):
                weight = scale * tall[r - r0]
                c = c0
                while c <= c1:
                    stop = min(c1 + 1, (c // TILE + 1) * TILE)
                    at = (np.int64(tiles[r // TILE, c // TILE]) * TILE + r % TILE) * TILE + c % TILE
                    line = flat[at : at + stop - c]
                    add = wide[c - c0 : stop - c0]
                    for j in range(line.size):
                        line[j] += weight * add[j]
                    c = stop


@njit(cache=True, nogil=True)
def tile_cells(tiles, pool, rows, columns):
    """Cells (row * columns + column, ascending) that are above 0, and their values."""
    count = 0
    for value in pool.ravel():
        if value > 0:
            count += 1
    cells, values = np.empty(count, np.int64), np.empty(count)
    n = 0
    for r in range(rows):
        for tc in range(tiles.shape[1]):
            tile = tiles[r // TILE, tc]
            if tile < 0:
                continue
            for j in range(min(TILE, columns - tc * TILE)):
                value = pool[tile, r % TILE, j]
                if value > 0:
                    cells[n] = r * columns + tc * TILE + j
                    values[n] = value
                    n += 1
    return cells[:n], values[:n]
