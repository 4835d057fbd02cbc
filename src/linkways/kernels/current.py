"""Current maps from voltages: one map, or the sum and the maximum over all pairs of focal points in one pass.

The current through a cell is the larger of what flows in and what flows out along its edges and its conductance to
ground (McRae et al. 2008, as Circuitscape defines it). Away from sources both are equal, and then the current is half
the sum of the absolute branch currents. Voltages superpose: the pair (s, t) has x_s - x_t, where x_s drives 1 A from s
to a common reference, so n solves give the maps of all n (n - 1) / 2 pairs.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkways.kernels.laplacian import Stencil

__all__ = ["BRANCH_CUT", "effective_resistances", "node_currents", "pair_currents"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

BRANCH_CUT = 1e-8  # branch currents below this share of the map's largest count as none
TILE = 64


def node_currents(stencil: Stencil, voltages: Floats, *, cut: float = BRANCH_CUT) -> Floats:
    """Return the current through every cell, max(inflow, outflow), shape (rows, columns), 0 where no node.

    ``voltages`` (rows, columns) float64. Branch currents below ``cut`` times the largest branch current count as 0.
    """
    v = np.pad(np.asarray(voltages, dtype=np.float64), 1)
    out = np.zeros(stencil.shape)
    edges = (stencil.east, stencil.south, stencil.southeast, stencil.southwest)
    threshold = cut * _largest_branch(*edges, v) if cut > 0 else 0.0
    _node_currents(*edges, *_leak(stencil), v, threshold, out)
    return out


def effective_resistances(voltages: Floats, rows: Indices, columns: Indices, component: Indices) -> Floats:
    """Return the (n, n) effective resistances between focal cells, R_st = (x_s - x_t)(s) - (x_s - x_t)(t).

    ``voltages[s]`` (rows, columns) is the response to 1 A from focal cell s to a reference common to its component;
    pairs whose ``component`` labels differ get infinity.
    """
    at = voltages[:, rows, columns]
    self = np.diag(at)
    resistance = self[:, None] + self[None, :] - at - at.T
    resistance[component[:, None] != component[None, :]] = np.inf
    np.fill_diagonal(resistance, 0.0)
    return np.maximum(resistance, 0.0)


def pair_currents(
    stencil: Stencil,
    voltages: Floats,
    rows: Indices,
    columns: Indices,
    pairs: Indices,
    *,
    weights: Floats | None = None,
    cut: float = BRANCH_CUT,
    threads: int = 1,
) -> tuple[Floats, Floats]:
    """Return the cumulative and the maximum current over pairs of focal cells, each (rows, columns).

    ``voltages`` (n, rows, columns) as for :func:`effective_resistances`; ``pairs`` (m, 2) indices of focal cells in
    the same component; ``weights`` (m,) the amperes of each pair, 1 where None. Branch currents below ``cut`` times
    the largest of their pair count as 0; ``cut=0`` saves that pass.
    """
    voltages = np.ascontiguousarray(voltages, dtype=np.float64)
    pairs = np.ascontiguousarray(pairs, dtype=np.intp)
    amperes = np.ones(len(pairs)) if weights is None else np.ascontiguousarray(weights, dtype=np.float64)
    cumulative, maximum = np.zeros(stencil.shape), np.zeros(stencil.shape)
    edges = (stencil.east, stencil.south, stencil.southeast, stencil.southwest)
    leak = _leak(stencil)
    height = stencil.shape[0]
    slabs = np.linspace(0, height, max(1, min(4 * threads, height)) + 1).astype(int)
    bounds = list(pairwise(slabs))
    thresholds = np.zeros(len(pairs))
    with ThreadPoolExecutor(threads) as pool:
        if cut > 0:

            def largest(bound: tuple[int, int]) -> Floats:
                top = np.zeros(len(pairs))
                _largest_branches(*edges, voltages, pairs, *bound, top)
                return top

            thresholds = cut * np.max(list(pool.map(largest, bounds)), axis=0)

        def accumulate(bound: tuple[int, int]) -> None:
            _pair_slab(*edges, *leak, voltages, pairs, amperes, thresholds, *bound, cumulative, maximum)

        list(pool.map(accumulate, bounds))
    _focal_cells(
        *edges,
        *leak,
        voltages,
        np.ascontiguousarray(rows, dtype=np.intp),
        np.ascontiguousarray(columns, dtype=np.intp),
        pairs,
        amperes,
        thresholds,
        cumulative,
        maximum,
    )
    return cumulative, maximum


def _leak(stencil: Stencil) -> tuple[Floats, bool]:
    return (np.zeros((1, 1)), False) if stencil.ground is None else (stencil.ground, True)


@njit(cache=True, nogil=True)
def _largest_branch(east, south, southeast, southwest, v):  # type: ignore[no-untyped-def]
    """The largest absolute branch current of padded voltages ``v``."""
    largest = 0.0
    for i in range(1, v.shape[0] - 1):
        for j in range(1, v.shape[1] - 1):
            here = v[i, j]
            a = max(abs(east[i, j] * (here - v[i, j + 1])), abs(south[i, j] * (here - v[i + 1, j])))
            b = abs(southeast[i, j] * (here - v[i + 1, j + 1]))
            largest = max(largest, a, b, abs(southwest[i, j] * (here - v[i + 1, j - 1])))
    return largest


@njit(cache=True, nogil=True)
def _node_currents(  # type: ignore[no-untyped-def]
    east, south, southeast, southwest, ground, grounded, v, threshold, out
):
    """max(inflow, outflow) of padded voltages ``v``."""
    for i in range(1, v.shape[0] - 1):
        for j in range(1, v.shape[1] - 1):
            here = v[i, j]
            net = 0.0
            total = 0.0
            for e in range(9):
                if e == 0:
                    flow = east[i, j] * (here - v[i, j + 1])
                elif e == 1:
                    flow = east[i, j - 1] * (here - v[i, j - 1])
                elif e == 2:
                    flow = south[i, j] * (here - v[i + 1, j])
                elif e == 3:
                    flow = south[i - 1, j] * (here - v[i - 1, j])
                elif e == 4:
                    flow = southeast[i, j] * (here - v[i + 1, j + 1])
                elif e == 5:
                    flow = southeast[i - 1, j - 1] * (here - v[i - 1, j - 1])
                elif e == 6:
                    flow = southwest[i, j] * (here - v[i + 1, j - 1])
                elif e == 7:
                    flow = southwest[i - 1, j + 1] * (here - v[i - 1, j + 1])
                elif grounded:
                    flow = ground[i, j] * here
                else:
                    flow = 0.0
                if e == 8 or abs(flow) >= threshold:
                    net += flow
                    total += abs(flow)
            out[i - 1, j - 1] = 0.5 * (total + abs(net))


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _branches(  # type: ignore[no-untyped-def]
    east, south, southeast, southwest, ground, grounded, voltages, s, i, first, width, flow
):
    """Fill ``flow`` (9, TILE) with the branch currents of point ``s`` at row ``i``, columns from ``first``.

    Columns and rows count from 0 without the ghost ring. Neighbours outside the raster have no edge, so any cell's
    voltage may stand for theirs.
    """
    last_row = voltages.shape[1] - 1
    last_column = voltages.shape[2] - 1
    up = i - 1 if i > 0 else 0
    down = i + 1 if i < last_row else last_row
    for t in range(width):
        j = first + t
        here = voltages[s, i, j]
        left = j - 1 if j > 0 else 0
        right = j + 1 if j < last_column else last_column
        flow[0, t] = east[i + 1, j + 1] * (here - voltages[s, i, right])
        flow[1, t] = east[i + 1, j] * (here - voltages[s, i, left])
        flow[2, t] = south[i + 1, j + 1] * (here - voltages[s, down, j])
        flow[3, t] = south[i, j + 1] * (here - voltages[s, up, j])
        flow[4, t] = southeast[i + 1, j + 1] * (here - voltages[s, down, right])
        flow[5, t] = southeast[i, j] * (here - voltages[s, up, left])
        flow[6, t] = southwest[i + 1, j + 1] * (here - voltages[s, down, left])
        flow[7, t] = southwest[i, j + 2] * (here - voltages[s, up, right])
    if grounded:
        for t in range(width):
            flow[8, t] = ground[i + 1, first + t + 1] * voltages[s, i, first + t]


@njit(cache=True, nogil=True, fastmath=True)
def _largest_branches(  # type: ignore[no-untyped-def]
    east, south, southeast, southwest, voltages, pairs, lo, hi, largest
):
    """The largest absolute branch current of each pair on rows lo to hi."""
    many = voltages.shape[0]
    flow = np.zeros((many, 9, TILE))
    for i in range(lo, hi):
        for first in range(0, voltages.shape[2], TILE):
            width = min(TILE, voltages.shape[2] - first)
            for s in range(many):
                _branches(east, south, southeast, southwest, east, False, voltages, s, i, first, width, flow[s])
            for p in range(pairs.shape[0]):
                a = flow[pairs[p, 0]]
                b = flow[pairs[p, 1]]
                top = largest[p]
                for t in range(width):
                    top = max(
                        top,
                        max(abs(a[0, t] - b[0, t]), abs(a[2, t] - b[2, t])),
                        max(abs(a[4, t] - b[4, t]), abs(a[6, t] - b[6, t])),
                    )
                largest[p] = top


@njit(cache=True, nogil=True, fastmath=True)
def _pair_slab(  # type: ignore[no-untyped-def]
    east, south, southeast, southwest, ground, grounded,
    voltages, pairs, amperes, thresholds, lo, hi, cumulative, maximum,
):  # fmt: skip
    """Half the absolute branch currents of every pair, summed and maximised, on rows lo to hi."""
    many = voltages.shape[0]
    flow = np.zeros((many, 9, TILE))
    total = np.zeros(TILE)
    top = np.zeros(TILE)
    for i in range(lo, hi):
        for first in range(0, voltages.shape[2], TILE):
            width = min(TILE, voltages.shape[2] - first)
            for s in range(many):
                _branches(east, south, southeast, southwest, ground, grounded, voltages, s, i, first, width, flow[s])
            total[:] = 0.0
            top[:] = 0.0
            for p in range(pairs.shape[0]):
                a = flow[pairs[p, 0]]
                b = flow[pairs[p, 1]]
                half = 0.5 * amperes[p]
                cut = thresholds[p]
                for t in range(TILE):
                    current = abs(a[8, t] - b[8, t])
                    for e in range(8):
                        d = abs(a[e, t] - b[e, t])
                        current += d if d >= cut else 0.0
                    current *= half
                    total[t] += current
                    top[t] = max(top[t], current)
            for t in range(width):
                cumulative[i, first + t] = total[t]
                maximum[i, first + t] = top[t]


@njit(cache=True, nogil=True)
def _focal_cells(  # type: ignore[no-untyped-def]
    east, south, southeast, southwest, ground, grounded,
    voltages, rows, columns, pairs, amperes, thresholds, cumulative, maximum,
):  # fmt: skip
    """Replace the values at focal cells, where inflow and outflow differ, by max(inflow, outflow)."""
    a = np.zeros((9, TILE))
    b = np.zeros((9, TILE))
    for n in range(rows.shape[0]):
        i = rows[n]
        j = columns[n]
        cumulative[i, j] = 0.0
        maximum[i, j] = 0.0
        for p in range(pairs.shape[0]):
            for s, flow in ((pairs[p, 0], a), (pairs[p, 1], b)):
                _branches(east, south, southeast, southwest, ground, grounded, voltages, s, i, j, 1, flow)
            net = 0.0
            total = 0.0
            for e in range(9):
                d = a[e, 0] - b[e, 0]
                if e == 8 or abs(d) >= thresholds[p]:
                    net += d
                    total += abs(d)
            current = 0.5 * (total + abs(net)) * amperes[p]
            cumulative[i, j] += current
            maximum[i, j] = max(maximum[i, j], current)
