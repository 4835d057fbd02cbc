"""Compiled loops of the reserve model: fish that grow, are fished and move along the river."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["arrivals", "equilibrium"]


@njit(cache=True, nogil=True)
def arrivals(down, a, b, leaving, above, out):
    """Sum over i of leaving_i C(i, j) for every j, with C the product of a downstream and of b upstream; C(i, i) = 1.

    Args:
        down: place downstream by place, -1 at an outlet, (n,). a, b: factors of the edge below each place, (n,).
        leaving: what sets out at each place, (n,). above: room for (n,). out: (n,).
    """
    n = down.size
    for v in range(n):
        above[v] = leaving[v]
    for v in range(n):
        p = down[v]
        if p >= 0:
            above[p] += a[v] * above[v]
    for v in range(n - 1, -1, -1):
        p = down[v]
        if p >= 0:
            # what is at the place below without what came from here; rounding must not make it negative
            out[v] = above[v] + b[v] * max(out[p] - a[v] * above[v], 0.0)
        else:
            out[v] = above[v]


@njit(cache=True, nogil=True)
def equilibrium(down, a, b, length, reachable, capacity, growth, survival, start, tolerance, most_years):
    """Abundance before growth when a year changes it by less than ``tolerance`` of the largest, and the years taken.

    Each year fish reproduce (Beverton-Holt: n' = (1 + r) n / (1 + r n / K)), are fished (share ``survival`` is left)
    and settle where kernel times length says: from i to j the share C(i, j) l_j / sum_k C(i, k) l_k.

    Args:
        reachable: sum_k C(i, k) l_k, (n,). capacity: K, (n,). survival: (n,). start: (n,).
    """
    n = down.size
    now = start.copy()
    leaving, above, settled = np.empty(n), np.empty(n), np.empty(n)
    years = 0
    while years < most_years:
        years += 1
        for v in range(n):
            grown = (1 + growth) * now[v] / (1 + growth * now[v] / capacity[v]) if capacity[v] > 0 else 0.0
            leaving[v] = survival[v] * grown / reachable[v] if reachable[v] > 0 else 0.0
        arrivals(down, a, b, leaving, above, settled)
        change, largest = 0.0, 0.0
        for v in range(n):
            new = settled[v] * length[v]
            change = max(change, abs(new - now[v]))
            largest = max(largest, new)
            now[v] = new
        if change <= tolerance * largest:
            break
    return now, years
