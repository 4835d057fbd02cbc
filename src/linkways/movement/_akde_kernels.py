"""Sums over pairs of fixes and over cells for the autocorrelated kernel density: numpy in, numpy out."""

import numpy as np
from numba import njit

from linkways.movement._continuous_kernels import IID, OU


@njit(cache=True, nogil=True)
def _correlation(process, tau_p, tau_v, lag):
    if process == IID:
        return 0.0
    if process == OU:
        return np.exp(-lag / tau_p)
    return (tau_p * np.exp(-lag / tau_p) - tau_v * np.exp(-lag / tau_v)) / (tau_p - tau_v)


@njit(cache=True, nogil=True)
def pair_distances(process, tau_p, tau_v, seconds):
    """1 - correlation of the places of each pair of fixes, (n (n - 1) / 2,)."""
    n = len(seconds)
    out = np.empty(n * (n - 1) // 2)
    k = 0
    for i in range(n):
        for j in range(i):
            out[k] = 1 - _correlation(process, tau_p, tau_v, seconds[i] - seconds[j])
            k += 1
    return out


@njit(cache=True, nogil=True)
def overlap(distance, mass, square):
    """Sum of mass / (2 distance + 2 h2) over pairs or lags: the expected overlap of kernels of variance h2."""
    total = 0.0
    if len(mass) == 1:
        for d in distance:
            total += 1 / (2 * d + 2 * square)
        return total * mass[0]
    for k in range(len(distance)):
        total += mass[k] / (2 * distance[k] + 2 * square)
    return total


@njit(cache=True, nogil=True)
def add_weighted_kernels(east, south, weight, xx, xy, yy, reach, width, height, density):
    """Add normal kernels of covariance [[xx, xy], [xy, yy]] at the cell centres, in an ellipse of reach deviations.

    Along a row from the highest cell outward, each value is the one before times a ratio that itself falls by a
    constant ratio, so that a kernel costs two exponentials a row.
    """
    det = xx * yy - xy * xy
    a, b, c = yy / det, -xy / det, xx / det
    norm = 1 / (2 * np.pi * np.sqrt(det))
    rows, columns = density.shape
    tall = reach * np.sqrt(yy)
    fall = np.exp(-a * width * width)
    for p in range(len(east)):
        first = max(int(np.floor((south[p] - tall) / height)), 0)
        last = min(int(np.ceil((south[p] + tall) / height)), rows - 1)
        for row in range(first, last + 1):
            dy = (row + 0.5) * height - south[p]
            rest = reach * reach - dy * dy / yy
            if rest <= 0:
                continue
            # the ridge of the kernel in this row, and half the chord of the ellipse
            ridge = east[p] - b / a * dy
            half = np.sqrt(rest / a)
            left = max(int(np.ceil((ridge - half) / width - 0.5)), 0)
            right = min(int(np.floor((ridge + half) / width - 0.5)), columns - 1)
            if left > right:
                continue
            top = min(max(int(np.floor(ridge / width)), left), right)
            dx = (top + 0.5) * width - east[p]
            peak = weight[p] * norm * np.exp(-0.5 * (a * dx * dx + 2 * b * dx * dy + c * dy * dy))
            slope = (a * dx + b * dy) * width
            value = peak
            ratio = np.exp(-slope - 0.5 * a * width * width)
            for column in range(top, right + 1):
                density[row, column] += value
                value *= ratio
                ratio *= fall
            value = peak
            ratio = np.exp(slope - 0.5 * a * width * width)
            for column in range(top - 1, left - 1, -1):
                value *= ratio
                ratio *= fall
                density[row, column] += value


@njit(cache=True, nogil=True)
def semivariances(seconds, x, y, width, bins, every):
    """Sum of half the squared distance by axis, and number, of pairs of fixes by lag in bins of a width."""
    total = np.zeros(bins)
    count = np.zeros(bins)
    n = len(seconds)
    for i in range(0, n, every):
        for j in range(i + 1, n):
            k = int((seconds[j] - seconds[i]) / width + 0.5)
            if k >= bins:
                break
            total[k] += ((x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2) / 4
            count[k] += 1
    return total, count
