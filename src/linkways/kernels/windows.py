"""Current from the sources of a moving window to its centre, window after window over one raster.

The edges are built once for the whole raster. A window copies those that stay inside it, builds a small multigrid
hierarchy on them (the same operators as :mod:`linkways.kernels.multigrid`) and solves by preconditioned conjugate
gradients: cycle in float32, voltages in float64.

A window stops when its current map is good enough. The error of the map in L1 is at most the sum of the errors of all
branch currents, e_k = sum c |d(v - v_k)|; each step of conjugate gradients changes the branch currents by
u_k = |alpha| sum c |dp|, and with the rate q at which u_k falls the remaining error is about u_k q / (1 - q).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkways.kernels.laplacian import StepLengths, raster_stencil
from linkways.kernels.multigrid import _down, _drop, _galerkin, _interpolate, _pack, _solve_coarsest, _up
from linkways.kernels.windows_null import Lines, null_currents

__all__ = ["Conditions", "Shape", "Sources", "Terrain", "build_terrain", "run_windows", "window_sources"]

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

COARSEST = 64
LIMIT = 60


class Terrain(NamedTuple):
    """The edges of a raster, with one ghost ring as in :class:`linkways.kernels.laplacian.Stencil`.

    ``missing`` (rows + 1, columns + 1) holds the number of cells without node above and left of each corner.
    """

    queen: bool
    nodes: NDArray[np.bool_]
    missing: NDArray[np.int32]
    east: Floats
    south: Floats
    southeast: Floats
    southwest: Floats


class Shape(NamedTuple):
    """The shape of a window and its null model.

    ``reach[half + i]`` is how many columns the window reaches on either side, i rows from its centre, -1 for none;
    ``source_reach`` the same for sources. ``weight`` (2 half + 1, 2 half + 1) multiplies source strengths by distance
    and ``factor`` corrects currents for blocks; (1, 1) stands for 1 everywhere. The null model has conductances
    ``across`` (steps along a row), ``down`` and ``diagonal``.
    """

    half_rows: int
    half_columns: int
    reach: Integers
    source_reach: Integers
    weight: Floats
    factor: Floats
    across: float
    down: float
    diagonal: float
    by_row: Lines
    by_column: Lines


class Sources(NamedTuple):
    """Source strengths (rows, columns) >= 0, finite; the half width of a block; and where its sources are dropped.

    With ``quirk`` the block that loses its sources lies at the place it would have in a whole window, not at the
    target, and a source on the target is dropped only after strengths were scaled.
    """

    strength: Floats
    block_half: int
    quirk: bool


class Conditions(NamedTuple):
    """Which sources may feed a target: ``present`` (k, rows, columns) compared with ``target`` (windows, k).

    For each condition k: with ``equal`` the values must be equal, else their difference must lie in
    [``lower``, ``upper``]. ``keep_unknown`` keeps sources whose value is NaN.
    """

    present: Floats
    target: Floats
    equal: NDArray[np.bool_]
    lower: Floats
    upper: Floats
    keep_unknown: bool


def build_terrain(conductance: Floats, *, steps: StepLengths | None = None, neighbours: Literal[4, 8] = 8) -> Terrain:
    """Return the edges of a raster: the mean conductance of two cells over the distance between them.

    Parameters
    ----------
    conductance : (rows, columns); a cell that is NaN or not above 0 is no node.
    steps : distances between cell centres; square unit cells when None.
    """
    stencil = raster_stencil(conductance, kind="conductance", average="conductance", neighbours=neighbours, steps=steps)
    rows, columns = conductance.shape
    missing = np.zeros((rows + 1, columns + 1), dtype=np.int32)
    np.cumsum(np.cumsum(~stencil.nodes, axis=0, dtype=np.int32), axis=1, out=missing[1:, 1:])
    edges = (stencil.east, stencil.south, stencil.southeast, stencil.southwest)
    return Terrain(neighbours == 8, stencil.nodes, missing, *edges)


@njit(cache=True, nogil=True)
def _coarsen(east, south, southeast, southwest, diagonal, planes, coarse):  # type: ignore[no-untyped-def]
    """Pack one level into ``planes`` and write the stencil of the next into ``coarse``, which holds zeros."""
    shape = coarse.shape[1:]
    active = np.zeros(shape, dtype=np.bool_)
    wx = np.zeros((shape[0], shape[1], 2))
    wy = np.zeros((shape[0], shape[1], 2))
    wc = np.zeros((shape[0], shape[1], 4))
    energy = np.zeros(shape)
    nothing = np.zeros((1, 1))
    _interpolate(east, south, southeast, southwest, diagonal, active, wx, wy, wc)
    _pack(east, south, southeast, southwest, diagonal, wx, wy, planes)
    _galerkin(east, south, southeast, southwest, diagonal, nothing, False, active, wx, wy, wc, coarse, nothing, energy)
    _drop(coarse, nothing, False, energy)


# --- cutting a window out of the raster ----------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _intervals(shape, row, column, y0, y1, x0, x1, first, last):  # type: ignore[no-untyped-def]
    """First and last column of the window on each row of its box, counted in the box; empty rows have first > last."""
    for y in range(y0, y1 + 1):
        wide = shape.reach[shape.half_rows + y - row]
        if wide < 0:
            first[y - y0] = x1 + 2
            last[y - y0] = -2
        else:
            first[y - y0] = max(column - wide, x0) - x0
            last[y - y0] = min(column + wide, x1) - x0


@njit(cache=True, nogil=True, inline="always")
def _kept(first, last, y, kind):  # type: ignore[no-untyped-def]
    """First and last column of the edges of this kind that stay inside the window, on row y of its box."""
    if kind == 0:
        return first[y], last[y] - 1
    if y + 1 >= first.shape[0]:
        return 1, 0
    right = 1 if kind == 2 else (-1 if kind == 3 else 0)
    return max(first[y], first[y + 1] - right), min(last[y], last[y + 1] - right)


@njit(cache=True, nogil=True)
def _cut_edges(source, target, first, last, kind, y0, x0):  # type: ignore[no-untyped-def]
    """Copy one kind of edges of the window out of the raster's, 0 where they leave the window."""
    width = target.shape[1]
    for j in range(width):
        target[0, j] = 0.0
        target[target.shape[0] - 1, j] = 0.0
    for y in range(first.shape[0]):
        lo, hi = _kept(first, last, y, kind)
        if hi < lo:
            lo, hi = width, width - 3
        for j in range(min(lo + 1, width)):
            target[y + 1, j] = 0.0
        for j in range(lo + 1, hi + 2):
            target[y + 1, j] = source[y0 + y + 1, x0 + j]
        for j in range(hi + 2, width):
            target[y + 1, j] = 0.0


@njit(cache=True, nogil=True)
def _sum_edges(stencil):  # type: ignore[no-untyped-def]
    """Fill the diagonal of a stencil (5, ...) from its edges."""
    for i in range(1, stencil.shape[1] - 1):
        for j in range(1, stencil.shape[2] - 1):
            total = (
                stencil[0, i, j]
                + stencil[0, i, j - 1]
                + stencil[1, i, j]
                + stencil[1, i - 1, j]
                + stencil[2, i, j]
                + stencil[2, i - 1, j - 1]
                + stencil[3, i, j]
                + stencil[3, i - 1, j + 1]
            )
            size = abs(stencil[0, i, j]) + abs(stencil[1, i, j]) + abs(stencil[0, i, j - 1]) + abs(stencil[1, i - 1, j])
            stencil[4, i, j] = total if total > 1e-9 * size else 0.0


@njit(cache=True, nogil=True)
def _dense_inverse(stencil, inverse):  # type: ignore[no-untyped-def]
    """Fill ``inverse`` with the generalised inverse of a small stencil (5, ...), constants of each part left out."""
    n = stencil.shape[1] - 2
    m = stencil.shape[2] - 2
    cells = n * m
    scale = np.zeros(cells)
    part = np.full(cells, -1)
    matrix = np.zeros((cells, cells))
    for i in range(n):
        for j in range(m):
            c = i * m + j
            if stencil[4, i + 1, j + 1] > 0.0:
                scale[c] = 1.0 / np.sqrt(stencil[4, i + 1, j + 1])
                part[c] = c
    changed = True
    while changed:
        changed = False
        for i in range(n):
            for j in range(m):
                a = i * m + j
                for e in range(4):
                    y = i + (e > 0)
                    x = j + (1 if e == 0 or e == 2 else (-1 if e == 3 else 0))
                    if y >= n or x < 0 or x >= m:
                        continue
                    b = y * m + x
                    g = stencil[e, i + 1, j + 1]
                    if g == 0.0 or part[a] < 0 or part[b] < 0:
                        continue
                    matrix[a, b] = -g * scale[a] * scale[b]
                    matrix[b, a] = matrix[a, b]
                    if part[a] != part[b]:
                        low = min(part[a], part[b])
                        part[a] = low
                        part[b] = low
                        changed = True
    weight = np.zeros(cells)
    for c in range(cells):
        if part[c] >= 0:
            matrix[c, c] = 1.0
            weight[part[c]] += 1.0 / (scale[c] * scale[c])
        else:
            matrix[c, c] = 1.0
    # a part's constant has energy 0: lift it to 1, invert, and take it out again
    for a in range(cells):
        for b in range(cells):
            if part[a] >= 0 and part[a] == part[b]:
                matrix[a, b] += 1.0 / (scale[a] * scale[b] * weight[part[a]])
    factor = _cholesky(matrix)
    column = np.zeros(cells)
    for b in range(cells):
        for a in range(b):
            column[a] = 0.0
        column[b] = 1.0
        for a in range(b, cells):
            total = 1.0 if a == b else 0.0
            for k in range(b, a):
                total -= factor[a, k] * column[k]
            column[a] = total / factor[a, a]
        for a in range(cells - 1, b - 1, -1):
            total = column[a]
            for k in range(a + 1, cells):
                total -= factor[k, a] * column[k]
            column[a] = total / factor[a, a]
        for a in range(b, cells):
            value = column[a]
            if part[a] < 0 or part[b] < 0:
                value = 0.0
            elif part[a] == part[b]:
                value -= 1.0 / (scale[a] * scale[b] * weight[part[a]])
            value *= scale[a] * scale[b]
            inverse[a, b] = value
            inverse[b, a] = value


@njit(cache=True, nogil=True)
def _cholesky(matrix):  # type: ignore[no-untyped-def]
    """Lower factor of a matrix with unit diagonal scale; pivots lost to rounding are made large."""
    n = matrix.shape[0]
    for j in range(n):
        pivot = matrix[j, j]
        for k in range(j):
            pivot -= matrix[j, k] * matrix[j, k]
        matrix[j, j] = np.sqrt(pivot) if pivot > 1e-11 else 1e30
        for i in range(j + 1, n):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = total / matrix[j, j]
    return matrix


# --- the sources of a window ---------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def window_sources(  # type: ignore[no-untyped-def]
    sources, conditions, shape, window, row, column, strength, y0, y1, x0, x1, out
):
    """Fill ``out`` with the sources of rows y0..y1 and columns x0..x1 of the raster, and return their sum.

    Strengths are scaled to the target's strength before conditions drop some of them.
    """
    half = sources.block_half
    block_row, block_column = row, column
    if sources.quirk:
        block_row, block_column = y0 + shape.half_rows, x0 + shape.half_columns
    weighted = shape.weight.shape[0] > 1
    total = 0.0
    for y in range(y0, y1 + 1):
        line = out[y - y0]
        for x in range(x1 - x0 + 1):
            line[x] = 0.0
        wide = shape.source_reach[shape.half_rows + y - row]
        lo = max(column - wide, x0)
        hi = min(column + wide, x1)
        if wide < 0:
            continue
        for x in range(lo, hi + 1):
            line[x - x0] = sources.strength[y, x]
        if weighted:
            for x in range(lo, hi + 1):
                line[x - x0] *= shape.weight[shape.half_rows + y - row, shape.half_columns + x - column]
        if abs(y - block_row) <= half:
            a = max(block_column - half, x0) - x0
            b = min(block_column + half, x1) - x0
            for x in range(a, b + 1):
                line[x] = 0.0
        for x in range(lo - x0, hi - x0 + 1):
            total += line[x]
    if total <= 0.0:
        return 0.0
    scale = strength / total
    out[row - y0, column - x0] = 0.0
    kept = 0.0
    for y in range(y0, y1 + 1):
        line = out[y - y0]
        for x in range(x1 - x0 + 1):
            line[x] *= scale
        for k in range(conditions.present.shape[0]):
            for x in range(x1 - x0 + 1):
                if line[x] > 0.0 and not _matches(conditions, k, conditions.present[k, y, x0 + x], window):
                    line[x] = 0.0
        for x in range(x1 - x0 + 1):
            kept += line[x]
    return kept


@njit(cache=True, nogil=True, inline="always")
def _matches(conditions, k, value, window):  # type: ignore[no-untyped-def]
    """Whether a source with this value of condition k may feed the target of this window."""
    wanted = conditions.target[window, k]
    if np.isnan(wanted):
        return False
    if np.isnan(value):
        return conditions.keep_unknown
    if conditions.equal[k]:
        return value == wanted
    return conditions.lower[k] <= value - wanted <= conditions.upper[k]


@njit(cache=True, nogil=True)
def _join(parent, a, b):  # type: ignore[no-untyped-def]
    while parent[a] != a:
        a = parent[a]
    while parent[b] != b:
        b = parent[b]
    if a < b:
        parent[b] = a
    else:
        parent[a] = b


@njit(cache=True, nogil=True)
def _load_reached(terrain, first, last, y0, x0, y, x, source, whole, r):  # type: ignore[no-untyped-def]
    """Write the sources that nodes join to the target at (y, x) of the box into ``r``, and return their sum.

    Runs of nodes along the rows are joined where they touch the run above. The box starts at (y0, x0) of the raster.
    """
    n = first.shape[0]
    total = 0.0
    if whole:
        for i in range(n):
            if last[i] < first[i]:
                continue
            for j in range(first[i], last[i] + 1):
                value = source[i, j]
                r[i + 1, j + 1] = value
                total += value
        return total
    room = n * (source.shape[1] // 2 + 1)
    starts = np.empty(room, dtype=np.int32)
    ends = np.empty(room, dtype=np.int32)
    parent = np.empty(room, dtype=np.int32)
    begin = np.zeros(n + 1, dtype=np.int64)
    count = 0
    mine = -1
    touch = 1 if terrain.queen else 0
    for i in range(n):
        begin[i] = count
        j = first[i]
        above = begin[i - 1] if i > 0 else 0
        while j <= last[i]:
            if not terrain.nodes[y0 + i, x0 + j]:
                j += 1
                continue
            start = j
            while j <= last[i] and terrain.nodes[y0 + i, x0 + j]:
                j += 1
            starts[count] = start
            ends[count] = j - 1
            parent[count] = count
            if i == y and start <= x <= j - 1:
                mine = count
            while above < begin[i] and ends[above] < start - touch:
                above += 1
            other = above
            while other < begin[i] and starts[other] <= j - 1 + touch:
                _join(parent, other, count)
                other += 1
            count += 1
    begin[n] = count
    if mine < 0:
        return 0.0
    root = mine
    while parent[root] != root:
        root = parent[root]
    for i in range(n):
        for run in range(begin[i], begin[i + 1]):
            a = run
            while parent[a] != a:
                a = parent[a]
            if a != root:
                continue
            for j in range(starts[run], ends[run] + 1):
                value = source[i, j]
                r[i + 1, j + 1] = value
                total += value
    return total


# --- conjugate gradients on one window -----------------------------------------------------------------------


@njit(cache=True, nogil=True, fastmath=True)
def _load(r, first, last, scale, planes):  # type: ignore[no-untyped-def]
    """Write the scaled residual into the finest level's colour planes."""
    for y in range(first.shape[0]):
        i = y // 2 + 1
        c = 2 * (y % 2)
        for j in range(first[y] // 2 + 1, last[y] // 2 + 2):
            planes[i, c, 0, j] = r[y + 1, 2 * j - 1] * scale
            planes[i, c + 1, 0, j] = r[y + 1, 2 * j] * scale


@njit(cache=True, nogil=True, fastmath=True)
def _product(r, z, first, last):  # type: ignore[no-untyped-def]
    """r . z with z in colour planes."""
    total = 0.0
    for y in range(first.shape[0]):
        i = y // 2 + 1
        c = 2 * (y % 2)
        for j in range(first[y] // 2 + 1, last[y] // 2 + 2):
            total += r[y + 1, 2 * j - 1] * z[i, c, 0, j] + r[y + 1, 2 * j] * z[i, c + 1, 0, j]
    return total


@njit(cache=True, nogil=True, fastmath=True)
def _turn(z, scale, beta, p, first, last, y):  # type: ignore[no-untyped-def]
    """p = scale z + beta p on row y of the box."""
    i = y // 2 + 1
    c = 2 * (y % 2)
    for j in range(first[y] // 2 + 1, last[y] // 2 + 2):
        p[y + 1, 2 * j - 1] = scale * z[i, c, 0, j] + beta * p[y + 1, 2 * j - 1]
        p[y + 1, 2 * j] = scale * z[i, c + 1, 0, j] + beta * p[y + 1, 2 * j]


@njit(cache=True, nogil=True, fastmath=True)
def _turn_and_apply(edges, z, scale, beta, p, q, first, last):  # type: ignore[no-untyped-def]
    """p = scale z + beta p and q = L p in one pass; returns p . q and the sum of the absolute branch currents of p."""
    energy = 0.0
    branches = 0.0
    rows = first.shape[0]
    _turn(z, scale, beta, p, first, last, 0)
    for y in range(rows):
        if y + 1 < rows:
            _turn(z, scale, beta, p, first, last, y + 1)
        i = y + 1
        for j in range(first[y] + 1, last[y] + 2):
            here = p[i, j]
            e = edges[0, i, j] * (here - p[i, j + 1])
            s = edges[1, i, j] * (here - p[i + 1, j])
            a = edges[2, i, j] * (here - p[i + 1, j + 1])
            b = edges[3, i, j] * (here - p[i + 1, j - 1])
            out = (
                e
                + s
                + a
                + b
                + edges[0, i, j - 1] * (here - p[i, j - 1])
                + edges[1, i - 1, j] * (here - p[i - 1, j])
                + edges[2, i - 1, j - 1] * (here - p[i - 1, j - 1])
                + edges[3, i - 1, j + 1] * (here - p[i - 1, j + 1])
            )
            q[i, j] = out
            energy += here * out
            branches += abs(e) + abs(s) + abs(a) + abs(b)
    return energy, branches


@njit(cache=True, nogil=True, fastmath=True)
def _step(alpha, p, q, x, r, first, last):  # type: ignore[no-untyped-def]
    """x += alpha p, r -= alpha q; returns r . r."""
    total = 0.0
    for y in range(first.shape[0]):
        for j in range(first[y] + 1, last[y] + 2):
            x[y + 1, j] += alpha * p[y + 1, j]
            new = r[y + 1, j] - alpha * q[y + 1, j]
            r[y + 1, j] = new
            total += new * new
    return total


@njit(cache=True, nogil=True, fastmath=True)
def _currents(edges, v, first, last, factor, top, left, out, row, column):  # type: ignore[no-untyped-def]
    """Add max(inflow, outflow), times ``factor`` from (top, left), to ``out`` from (row, column) of the box."""
    plain = factor.shape[0] == 1
    line = np.empty(v.shape[1])
    for y in range(first.shape[0]):
        i = y + 1
        for j in range(first[y] + 1, last[y] + 2):
            here = v[i, j]
            a = edges[0, i, j] * (here - v[i, j + 1])
            b = edges[0, i, j - 1] * (here - v[i, j - 1])
            c = edges[1, i, j] * (here - v[i + 1, j])
            d = edges[1, i - 1, j] * (here - v[i - 1, j])
            e = edges[2, i, j] * (here - v[i + 1, j + 1])
            f = edges[2, i - 1, j - 1] * (here - v[i - 1, j - 1])
            g = edges[3, i, j] * (here - v[i + 1, j - 1])
            h = edges[3, i - 1, j + 1] * (here - v[i - 1, j + 1])
            total = abs(a) + abs(b) + abs(c) + abs(d) + abs(e) + abs(f) + abs(g) + abs(h)
            line[j] = 0.5 * (total + abs(a + b + c + d + e + f + g + h))
        if plain:
            for j in range(first[y] + 1, last[y] + 2):
                out[row + y, column + j - 1] += line[j]
        else:
            for j in range(first[y] + 1, last[y] + 2):
                out[row + y, column + j - 1] += line[j] * factor[top + y, left + j - 1]


@njit(cache=True, nogil=True)
def _vector(flat, sizes, offsets, level):  # type: ignore[no-untyped-def]
    """One level's colour planes of a vector that holds all levels one after another."""
    return flat[offsets[level] * 4 : offsets[level + 1] * 4].reshape((sizes[level, 0] + 2, 4, 1, sizes[level, 1] + 2))


@njit(cache=True, nogil=True)
def _operator(planes, sizes, offsets, level):  # type: ignore[no-untyped-def]
    """One level's stencil and interpolation."""
    return planes[offsets[level] * 24 : offsets[level + 1] * 24].reshape((sizes[level, 0] + 2, 24, sizes[level, 1] + 2))


@njit(cache=True, nogil=True, fastmath=True)
def _v_cycle(sizes, offsets, planes, inverse, n, m, r, x):  # type: ignore[no-untyped-def]
    """One V(1,1) cycle from zero on all levels; n x m is the coarsest grid."""
    last = sizes.shape[0] - 1
    for level in range(last):
        _down(
            _operator(planes, sizes, offsets, level),
            _vector(r, sizes, offsets, level),
            _vector(x, sizes, offsets, level),
            _vector(r, sizes, offsets, level + 1),
        )
    _solve_coarsest(inverse, n, m, _vector(r, sizes, offsets, last), _vector(x, sizes, offsets, last))
    for level in range(last - 1, -1, -1):
        _up(
            _operator(planes, sizes, offsets, level),
            _vector(r, sizes, offsets, level),
            _vector(x, sizes, offsets, level),
            _vector(x, sizes, offsets, level + 1),
        )


@njit(cache=True, nogil=True, inline="always")
def _solve(  # type: ignore[no-untyped-def]
    sizes, offsets, planes, inverse, n, m, edges, first, last, tolerance, cycle_r, cycle_x, x, r, p, q
):
    """Solve L x = r by preconditioned conjugate gradients until the current map is good enough.

    Returns the estimated error of the map (relative, L1), the iterations, and whether it converged.
    """
    fine = (sizes[0, 0] + 2, 4, 1, sizes[0, 1] + 2)
    load = cycle_r[: offsets[1] * 4].reshape(fine)
    z = cycle_x[: offsets[1] * 4].reshape(fine)
    norm = 0.0
    for y in range(first.shape[0]):
        for j in range(first[y] + 1, last[y] + 2):
            norm += r[y + 1, j] * r[y + 1, j]
    norm = np.sqrt(norm)
    start = norm
    before = 0.0
    size = 0.0
    change = 0.0
    slow = 0.5
    error = 1.0
    for iteration in range(1, LIMIT + 1):
        _load(r, first, last, 1.0 / norm, load)
        _v_cycle(sizes, offsets, planes, inverse, n, m, cycle_r, cycle_x)
        product = _product(r, z, first, last) * norm
        beta = product / before if before > 0.0 else 0.0
        energy, branches = _turn_and_apply(edges, z, norm, beta, p, q, first, last)
        if not (product > 0.0 and energy > 0.0):
            return error, iteration, norm <= 1e-14 * start
        alpha = product / energy
        norm = np.sqrt(_step(alpha, p, q, x, r, first, last))
        before = product
        new = alpha * branches
        if iteration == 1:
            size = new
        else:
            rate = min(max(new / change, 0.05), 0.95) if change > 0.0 else 0.05
            slow = np.sqrt(rate * slow)
            error = new * slow / ((1.0 - slow) * size)
        change = new
        if error <= tolerance or norm <= 1e-15 * start:
            return error, iteration, True
    return error, LIMIT, False


@njit(cache=True, nogil=True, inline="always")
def _build_levels(edges, sizes, offsets, planes, inverse):  # type: ignore[no-untyped-def]
    """Make the window's hierarchy from its edges (5, ...), of which the last, the diagonal, is filled first."""
    stencil = edges
    _sum_edges(stencil)
    for level in range(sizes.shape[0] - 1):
        here = _operator(planes, sizes, offsets, level)
        coarse = np.zeros((5, here.shape[0], here.shape[2]))
        _coarsen(stencil[0], stencil[1], stencil[2], stencil[3], stencil[4], here, coarse)
        stencil = coarse
    _dense_inverse(stencil, inverse)


@njit(cache=True, nogil=True)
def _grids(rows, columns):  # type: ignore[no-untyped-def]
    """Sizes of the colour planes of each level and their offsets, and the size of the coarsest grid."""
    levels = 1
    n, m = rows, columns
    while n * m > COARSEST:
        n, m = (n + 1) // 2, (m + 1) // 2
        levels += 1
    sizes = np.zeros((levels, 2), dtype=np.int64)
    offsets = np.zeros(levels + 1, dtype=np.int64)
    n, m = rows, columns
    for level in range(levels):
        sizes[level, 0] = (n + 1) // 2
        sizes[level, 1] = (m + 1) // 2
        offsets[level + 1] = offsets[level] + (sizes[level, 0] + 2) * (sizes[level, 1] + 2)
        if level < levels - 1:
            n, m = (n + 1) // 2, (m + 1) // 2
    return sizes, offsets, n, m


@njit(cache=True, nogil=True)
def run_windows(  # type: ignore[no-untyped-def]
    terrain, shape, sources, conditions, targets, strengths, chosen, tolerance, top, left, current, potential, report
):
    """Add the currents of the chosen windows to ``current`` and their null model's to ``potential``.

    Parameters
    ----------
    targets : (windows, 2) row and column of each target.
    strengths : (windows,) amperes that flow into each.
    chosen : the windows to compute.
    tolerance : largest estimated error of a window's current map, relative, in L1.
    top, left : the raster's cell at the first cell of ``current`` and ``potential``.
    potential : as ``current``; (1, 1) leaves the null model out.
    report : (len(chosen), 2) receives the estimated error and the iterations of each; iterations are -1 where the
        window did not converge, and then it added nothing to ``current``.
    """
    rows, columns = terrain.nodes.shape
    high, wide = 2 * shape.half_rows + 1, 2 * shape.half_columns + 1
    cells = (high + 2) * (wide + 3)
    offsets = _grids(high, wide)[1]
    planes = np.zeros(offsets[-1] * 24, dtype=np.float32)
    cycle = np.zeros((2, offsets[-1] * 4), dtype=np.float32)
    inverse = np.zeros((COARSEST, COARSEST), dtype=np.float32)
    edges = np.zeros(5 * cells)
    vectors = np.zeros((4, cells))
    first = np.zeros(high, dtype=np.int64)
    last = np.zeros(high, dtype=np.int64)
    source = np.zeros((high, wide))
    voltage = np.zeros((high, wide))
    scratch = np.zeros(3 * (shape.half_rows + 1) * (shape.half_columns + 1) + wide)
    for order in range(chosen.shape[0]):
        window = chosen[order]
        row, column = targets[window, 0], targets[window, 1]
        y0, y1 = max(row - shape.half_rows, 0), min(row + shape.half_rows, rows - 1)
        x0, x1 = max(column - shape.half_columns, 0), min(column + shape.half_columns, columns - 1)
        n, m = y1 - y0 + 1, x1 - x0 + 1
        up, along = y0 - row + shape.half_rows, x0 - column + shape.half_columns
        report[order, 0] = 0.0
        report[order, 1] = 0.0
        kept = window_sources(
            sources, conditions, shape, window, row, column, strengths[window], y0, y1, x0, x1, source
        )
        if kept <= 0.0:
            continue
        if potential.shape[0] > 1:
            for i in range(n):
                for j in range(m):
                    voltage[i, j] = source[i, j]
            voltage[row - y0, column - x0] -= kept
            null_currents(
                shape.by_row, shape.by_column, shape.across, shape.down, shape.diagonal, n, m, voltage, scratch,
                shape.factor, up, along, potential, y0 - top, x0 - left,
            )  # fmt: skip
        if not terrain.nodes[row, column]:
            continue
        _intervals(shape, row, column, y0, y1, x0, x1, first, last)
        missing = terrain.missing
        whole = missing[y1 + 1, x1 + 1] - missing[y0, x1 + 1] - missing[y1 + 1, x0] + missing[y0, x0] == 0
        size = (n + 2) * (m + 3)
        for k in range(4):
            for i in range(size):
                vectors[k, i] = 0.0
        x = vectors[0, :size].reshape((n + 2, m + 3))
        r = vectors[1, :size].reshape((n + 2, m + 3))
        p = vectors[2, :size].reshape((n + 2, m + 3))
        q = vectors[3, :size].reshape((n + 2, m + 3))
        fed = _load_reached(terrain, first[:n], last[:n], y0, x0, row - y0, column - x0, source, whole, r)
        if fed <= 0.0:
            continue
        r[row - y0 + 1, column - x0 + 1] -= fed
        cut = edges[: 5 * (n + 2) * (m + 2)].reshape((5, n + 2, m + 2))
        raster = (terrain.east, terrain.south, terrain.southeast, terrain.southwest)
        for kind in range(4):
            _cut_edges(raster[kind], cut[kind], first[:n], last[:n], kind, y0, x0)
        sizes, offsets, coarse_rows, coarse_columns = _grids(n, m)
        for i in range(offsets[-1] * 4):
            cycle[0, i] = 0.0
            cycle[1, i] = 0.0
        for i in range(offsets[-1] * 24):
            planes[i] = 0.0
        _build_levels(cut, sizes, offsets, planes, inverse)
        error, iterations, converged = _solve(
            sizes, offsets, planes, inverse, coarse_rows, coarse_columns, cut, first[:n], last[:n], tolerance,
            cycle[0], cycle[1], x, r, p, q,
        )  # fmt: skip
        report[order, 0] = error
        report[order, 1] = iterations if converged else -1
        if converged:
            _currents(cut, x, first[:n], last[:n], shape.factor, up, along, current, y0 - top, x0 - left)
