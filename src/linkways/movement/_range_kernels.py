"""Compiled loops over kernels around fixes: their density on a grid, and the sums that choose their width."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from linkways.movement._bridge_kernels import bell

__all__ = ["add_kernels", "derivative_sums"]


@njit(cache=True, nogil=True)
def add_kernels(x, y, xx, xy, yy, reach, cell_x, cell_y, density):
    """Add a normal density with the covariance (xx, xy, yy) around every place at the centres of the cells.

    Places are metres east and south of the corner of ``density`` (rows, columns); beyond ``reach`` standard
    deviations a kernel is 0.
    """
    rows, columns = density.shape
    line = np.empty(columns)
    within = xx - xy * xy / yy  # variance along a row
    scale = 1 / (2 * math.pi * math.sqrt(within * yy))
    tall = reach * math.sqrt(yy)
    for i in range(x.size):
        r0 = max(math.ceil((y[i] - tall) / cell_y - 0.5), 0)
        r1 = min(math.floor((y[i] + tall) / cell_y - 0.5), rows - 1)
        for r in range(r0, r1 + 1):
            dy = (r + 0.5) * cell_y - y[i]
            half = math.sqrt(max(within * (reach * reach - dy * dy / yy), 0.0))
            centre = x[i] + xy / yy * dy
            c0 = max(math.ceil((centre - half) / cell_x - 0.5), 0)
            c1 = min(math.floor((centre + half) / cell_x - 0.5), columns - 1)
            if c0 > c1:
                continue
            bell(line, c0, c1, centre, cell_x, within)
            weight = scale * math.exp(-dy * dy / (2 * yy))
            for j in range(c1 - c0 + 1):
                density[r, c0 + j] += weight * line[j]


@njit(cache=True, nogil=True)
def derivative_sums(x, y, width, order):
    """Mean over all pairs of places of the derivatives of a round normal kernel: d^order / dx^r dy^(order - r).

    Args:
        x, y: places, sorted by x.
        width: standard deviation of the kernel.
        order: even, at most 6.

    Returns:
        (order + 1,), by r.
    """
    n = x.size
    total, hx, hy = np.zeros(order + 1), np.ones(order + 1), np.ones(order + 1)
    for i in range(n):
        for j in range(i, n):
            u, v = (x[j] - x[i]) / width, (y[j] - y[i]) / width
            if u > 9:  # exp(-40) of the middle
                break
            if v > 9 or v < -9:
                continue
            hx[1], hy[1] = u, v
            for k in range(2, order + 1):
                hx[k] = u * hx[k - 1] - (k - 1) * hx[k - 2]
                hy[k] = v * hy[k - 1] - (k - 1) * hy[k - 2]
            weight = math.exp(-(u * u + v * v) / 2) * (1.0 if i == j else 2.0)
            for r in range(order + 1):
                total[r] += weight * hx[r] * hy[order - r]
    return total / (2 * math.pi * width ** (2 + order) * n * n)
