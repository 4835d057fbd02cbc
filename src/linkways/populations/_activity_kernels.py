"""Compiled sums of the waves that a circular density is made of."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["density_at", "trigonometric_moments"]


@njit(cache=True, nogil=True)
def trigonometric_moments(angles, waves):
    """Means of cos(k x) and sin(k x) over the columns of ``angles`` (samples, n), for k = 1 to ``waves``."""
    samples, n = angles.shape
    cosines, sines = np.zeros((samples, waves)), np.zeros((samples, waves))
    for s in range(samples):
        for i in range(n):
            c, d = math.cos(angles[s, i]), math.sin(angles[s, i])
            re, im = 1.0, 0.0
            for k in range(waves):
                re, im = re * c - im * d, re * d + im * c
                cosines[s, k] += re
                sines[s, k] += im
    return cosines / n, sines / n


@njit(cache=True, nogil=True)
def density_at(cosines, sines, angles):
    """The density ``(1 + 2 sum_k (a_k cos kx + b_k sin kx)) / (2 pi)`` of each sample at its own angles.

    Args:
        cosines: (samples, waves) a_k, damped by the kernel.
        sines: (samples, waves) b_k.
        angles: (samples, n).

    Returns:
        (samples, n).
    """
    samples, n = angles.shape
    waves = cosines.shape[1]
    found = np.empty((samples, n))
    for s in range(samples):
        for i in range(n):
            c, d = math.cos(angles[s, i]), math.sin(angles[s, i])
            re, im, total = 1.0, 0.0, 0.5
            for k in range(waves):
                re, im = re * c - im * d, re * d + im * c
                total += cosines[s, k] * re + sines[s, k] * im
            found[s, i] = total / math.pi
    return found
