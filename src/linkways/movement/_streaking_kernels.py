"""Compiled loops of corridor behaviour: how alike the directions of the steps around a step are."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["axial_variances", "neighbour_shares"]


@njit(cache=True, nogil=True)
def axial_variances(x, y, reach, bearing):
    """Circular variance of the doubled bearings of the steps whose midpoints lie within reach of each step's own.

    Doubling takes a direction and its opposite for the same. The step itself is among them; alone it has variance 0.

    Args:
        x, y: (n,) midpoints, sorted by x.
        reach: (n,) half the length of each step.
        bearing: (n,) radians.

    Returns:
        variances, 0 for all alike to 1 (n,), and how many steps they are of (n,).
    """
    n = x.size
    variance, count = np.zeros(n), np.ones(n, np.int64)
    cosine, sine = np.cos(2 * bearing), np.sin(2 * bearing)
    for i in range(n):
        low, high = np.searchsorted(x, x[i] - reach[i]), np.searchsorted(x, x[i] + reach[i], side="right")
        many, c, s = 0, 0.0, 0.0
        for j in range(low, high):
            if j == i or (x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2 <= reach[i] ** 2:
                many += 1
                c += cosine[j]
                s += sine[j]
        count[i] = many
        # alone it is 0, which rounding would miss
        variance[i] = 0.0 if many == 1 else max(0.0, 1 - math.sqrt(c * c + s * s) / many)
    return variance, count


@njit(cache=True, nogil=True)
def neighbour_shares(x, y, reach, marked):
    """For every marked step the share of marked ones among the steps within its reach, itself included; else 0."""
    n = x.size
    share = np.zeros(n)
    for i in range(n):
        if not marked[i]:
            continue
        low, high = np.searchsorted(x, x[i] - reach[i]), np.searchsorted(x, x[i] + reach[i], side="right")
        many, of = 0, 0
        for j in range(low, high):
            if j == i or (x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2 <= reach[i] ** 2:
                of += 1
                many += marked[j]
        share[i] = many / of
    return share
