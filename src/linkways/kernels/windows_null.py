"""Current over a uniform box of cells, exactly and without iterations: the null model of moving windows.

On a box of equal conductances the Laplacian with eight neighbours is a sum of three tensor products,
L = K_r (x) M_c + M_r (x) K_c - g K_r (x) K_c, with K the Laplacian of a line of cells, M = a I + g D (D the number of
neighbours on the line), g the diagonal conductance and a that of the steps across the line. The eigenvectors of
K x = lambda M x diagonalise it (fast diagonalisation, Lynch, Rice & Thomas 1964), whatever the sources. A line of cells
is symmetric, so even and odd halves separate and each product is a quarter of the size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["Lines", "box_voltages", "lines", "null_currents", "null_workspace"]

Floats = NDArray[np.float64]


class Lines(NamedTuple):
    """Eigenvectors of lines of cells of several lengths, packed one after another.

    ``place[n]`` is the position of length n in ``vector_start`` and ``value_start``, -1 where it is not held. For a
    length: X_even (m, m) and its transpose, X_odd (k, k) and its transpose, with m = (n + 1) // 2 and k = n // 2, the
    first half of each eigenvector; ``values`` hold the m even and the k odd eigenvalues.
    """

    place: NDArray[np.intp]
    vector_start: NDArray[np.intp]
    value_start: NDArray[np.intp]
    vectors: Floats
    values: Floats


def lines(lengths: NDArray[np.intp], across: float, diagonal: float) -> Lines:
    """Return the eigenvectors of lines of these lengths.

    Parameters
    ----------
    lengths : cells in a line.
    across : conductance of the steps from one line to the next.
    diagonal : conductance of the diagonal steps, 0 with four neighbours.
    """
    lengths = np.unique(lengths)
    place = np.full(int(lengths.max()) + 1, -1, dtype=np.intp)
    place[lengths] = np.arange(len(lengths))
    vectors: list[Floats] = []
    values: list[Floats] = []
    vector_start, value_start = [0], [0]
    for n in lengths:
        even, odd = _halves(int(n), across, diagonal)
        parts = [even[1].ravel(), even[1].T.ravel(), odd[1].ravel(), odd[1].T.ravel()]
        vectors += parts
        values += [even[0], odd[0]]
        vector_start.append(vector_start[-1] + sum(p.size for p in parts))
        value_start.append(value_start[-1] + int(n))
    return Lines(
        place,
        np.array(vector_start, dtype=np.intp),
        np.array(value_start, dtype=np.intp),
        np.concatenate(vectors),
        np.concatenate(values),
    )


def _halves(n: int, across: float, diagonal: float) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Eigenvalues and half eigenvectors of a line of n cells, the even and the odd ones."""
    degree = np.full(n, 2.0)
    degree[[0, -1]] = 1.0 if n > 1 else 0.0
    mass = across + diagonal * degree
    line = np.diag(degree) - np.eye(n, k=1) - np.eye(n, k=-1) if n > 1 else np.zeros((1, 1))
    out = []
    for sign, count in ((1.0, (n + 1) // 2), (-1.0, n // 2)):
        fold = np.zeros((n, count))
        own = np.arange(count)
        fold[own, own] = 1.0
        fold[n - 1 - own, own] = sign
        fold /= np.linalg.norm(fold, axis=0)
        root = 1.0 / np.sqrt(np.einsum("ij,i,ij->j", fold, mass, fold))
        values, vectors = np.linalg.eigh(root[:, None] * (fold.T @ line @ fold) * root)
        if sign > 0:
            values[0] = 0.0
        out.append((values, np.ascontiguousarray((fold @ (root[:, None] * vectors))[:count])))
    return out[0], out[1]


def null_workspace(rows: int, columns: int) -> tuple[Floats, Floats]:
    """Return (voltages, scratch) for boxes of up to rows x columns cells."""
    m, k = (rows + 1) // 2, (columns + 1) // 2
    return np.zeros((rows, columns)), np.zeros(3 * m * k)


def box_voltages(source: Floats, across: float, down: float, diagonal: float) -> Floats:
    """Return the voltages of a uniform box, up to a constant, for sources (rows, columns) that sum to 0."""
    rows, columns = source.shape
    by_row, by_column = lines(np.array([rows]), across, diagonal), lines(np.array([columns]), down, diagonal)
    voltages, scratch = null_workspace(rows, columns)
    voltages[:] = source
    _voltages(by_row, by_column, diagonal, voltages, scratch, rows, columns)
    return voltages


@njit(cache=True, nogil=True, fastmath=True)
def _multiply(a, b, out):  # type: ignore[no-untyped-def]
    """out = a b; two rows and four terms at a time, so that the inner loop runs on vectors."""
    n = a.shape[0]
    inner = a.shape[1]
    m = b.shape[1]
    paired = n - n % 2
    for i in range(0, paired, 2):
        for j in range(m):
            out[i, j] = 0.0
            out[i + 1, j] = 0.0
        k = 0
        while k + 3 < inner:
            a0, a1, a2, a3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            c0, c1, c2, c3 = a[i + 1, k], a[i + 1, k + 1], a[i + 1, k + 2], a[i + 1, k + 3]
            for j in range(m):
                p, q, r, s = b[k, j], b[k + 1, j], b[k + 2, j], b[k + 3, j]
                out[i, j] += a0 * p + a1 * q + a2 * r + a3 * s
                out[i + 1, j] += c0 * p + c1 * q + c2 * r + c3 * s
            k += 4
        while k < inner:
            a0, c0 = a[i, k], a[i + 1, k]
            for j in range(m):
                out[i, j] += a0 * b[k, j]
                out[i + 1, j] += c0 * b[k, j]
            k += 1
    if n > paired:
        for j in range(m):
            out[paired, j] = 0.0
        for k in range(inner):
            a0 = a[paired, k]
            for j in range(m):
                out[paired, j] += a0 * b[k, j]


@njit(cache=True, nogil=True)
def _half(bases, n, parity):  # type: ignore[no-untyped-def]
    """Half eigenvectors, their transpose and the eigenvalues of one parity of a line of n cells."""
    m = (n + 1) // 2
    k = n // 2
    at = bases.place[n]
    first = bases.vector_start[at]
    low = bases.value_start[at]
    size = m
    if parity == 1:
        first += 2 * m * m
        low += m
        size = k
    square = size * size
    x = bases.vectors[first : first + square].reshape((size, size))
    transposed = bases.vectors[first + square : first + 2 * square].reshape((size, size))
    return x, transposed, bases.values[low : low + size]


@njit(cache=True, nogil=True, fastmath=True)
def _fold(v, rows, columns):  # type: ignore[no-untyped-def]
    """Turn a box into its sums and differences under both reflections, in place: even halves first."""
    for i in range(rows // 2):
        o = rows - 1 - i
        for j in range(columns):
            a = v[i, j]
            b = v[o, j]
            v[i, j] = a + b
            v[o, j] = a - b
    for i in range(rows):
        for j in range(columns // 2):
            o = columns - 1 - j
            a = v[i, j]
            b = v[i, o]
            v[i, j] = a + b
            v[i, o] = a - b


@njit(cache=True, nogil=True, fastmath=True)
def _voltages(by_row, by_column, diagonal, v, scratch, rows, columns):  # type: ignore[no-untyped-def]
    """Replace the sources in v[:rows, :columns] by voltages; ``scratch`` holds three quarter boxes."""
    _fold(v, rows, columns)
    for p in range(2):
        xr, xrt, lr = _half(by_row, rows, p)
        m = lr.shape[0]
        for q in range(2):
            xc, xct, lc = _half(by_column, columns, q)
            k = lc.shape[0]
            size = m * k
            if size == 0:
                continue
            a = scratch[:size].reshape((m, k))
            b = scratch[size : 2 * size].reshape((m, k))
            for i in range(m):
                s = rows - 1 - i if p == 1 else i
                if q == 0:
                    for j in range(k):
                        a[i, j] = v[s, j]
                else:
                    for j in range(k):
                        a[i, j] = v[s, columns - 1 - j]
            _multiply(xrt, a, b)
            _multiply(b, xc, a)
            for i in range(m):
                for j in range(k):
                    below = lr[i] + lc[j] - diagonal * lr[i] * lc[j]
                    a[i, j] = a[i, j] / below if below > 0.0 else 0.0
            _multiply(xr, a, b)
            _multiply(b, xct, a)
            for i in range(m):
                s = rows - 1 - i if p == 1 else i
                if q == 0:
                    for j in range(k):
                        v[s, j] = a[i, j]
                else:
                    for j in range(k):
                        v[s, columns - 1 - j] = a[i, j]
    _fold(v, rows, columns)


@njit(cache=True, nogil=True, fastmath=True)
def _cell_current(v, i, j, rows, columns, across, down, diagonal):  # type: ignore[no-untyped-def]
    """max(inflow, outflow) of one cell of the box, whatever neighbours it has."""
    net = 0.0
    total = 0.0
    for di in range(-1, 2):
        for dj in range(-1, 2):
            a = i + di
            b = j + dj
            if (di == 0 and dj == 0) or a < 0 or b < 0 or a >= rows or b >= columns:
                continue
            g = across if di == 0 else (down if dj == 0 else diagonal)
            flow = g * (v[i, j] - v[a, b])
            net += flow
            total += abs(flow)
    return 0.5 * (total + abs(net))


@njit(cache=True, nogil=True, fastmath=True)
def null_currents(  # type: ignore[no-untyped-def]
    by_row, by_column, across, down, diagonal, rows, columns, v, scratch, factor, top, left, out, row, column
):
    """Add the null model's current, times ``factor`` from (top, left), to ``out`` from (row, column).

    ``v[:rows, :columns]`` holds sources that sum to 0 and receives the voltages. ``across`` and ``down`` are the
    conductances of steps along a row and along a column. A ``factor`` of one cell counts as 1 everywhere.
    """
    _voltages(by_row, by_column, diagonal, v, scratch, rows, columns)
    plain = factor.shape[0] == 1
    current = scratch
    for i in range(rows):
        if 0 < i < rows - 1:
            current[0] = _cell_current(v, i, 0, rows, columns, across, down, diagonal)
            for j in range(1, columns - 1):
                here = v[i, j]
                e = across * (here - v[i, j + 1])
                w = across * (here - v[i, j - 1])
                s = down * (here - v[i + 1, j])
                n = down * (here - v[i - 1, j])
                se = diagonal * (here - v[i + 1, j + 1])
                nw = diagonal * (here - v[i - 1, j - 1])
                sw = diagonal * (here - v[i + 1, j - 1])
                ne = diagonal * (here - v[i - 1, j + 1])
                net = e + w + s + n + se + nw + sw + ne
                total = abs(e) + abs(w) + abs(s) + abs(n) + abs(se) + abs(nw) + abs(sw) + abs(ne)
                current[j] = 0.5 * (total + abs(net))
            if columns > 1:
                current[columns - 1] = _cell_current(v, i, columns - 1, rows, columns, across, down, diagonal)
        else:
            for j in range(columns):
                current[j] = _cell_current(v, i, j, rows, columns, across, down, diagonal)
        if plain:
            for j in range(columns):
                out[row + i, column + j] += current[j]
        else:
            for j in range(columns):
                out[row + i, column + j] += current[j] * factor[top + i, left + j]
