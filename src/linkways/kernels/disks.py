"""The least and the greatest value within a radius of every cell: numpy in, numpy out.

A disk is the set of cells whose centres lie within the radius of a cell's centre. On every row that it meets, it is a
run of columns; the run's minimum is that of two overlapping runs of a power of two cells, which a table holds for all
places (the sparse table of Bender and Farach-Colton 2000). The cost per cell is two look-ups for each row that the
disk meets, in loops that run along the rows; a radius of K cells takes 2 K + 1 of them instead of pi K^2 comparisons.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["disk_chords", "disk_maximum", "disk_minimum", "ring_minimum"]

Floats = NDArray[np.float64]

ROUNDING = 1e-9  # centres that lie on the circle belong to the disk, whatever the last digits say
BAND = 128  # rows worked on at once, more where the disks are larger
TILE = 1024  # columns whose results stay in the first-level cache


def disk_minimum(
    values: Floats, radius: float, east_west: Floats, north_south: Floats, *, wraps: bool = False
) -> Floats:
    """Return the least value within ``radius`` of every cell; cells beyond the raster do not count.

    Parameters
    ----------
    values : (rows, columns) without NaN; inf never wins.
    radius : metres, between cell centres.
    east_west : (rows,) metres between neighbours of a row.
    north_south : (rows - 1,) metres from a row to the next.
    wraps : the first and the last column are neighbours.

    On a grid whose rows differ in step, the distance between cells of two rows is that of the plane with the mean of
    their steps, so that a lies in the disk around b exactly when b lies in the disk around a.
    """
    values = np.ascontiguousarray(values, dtype=np.float64)
    rows, columns = values.shape
    chords = disk_chords(radius, east_west, north_south, columns, wraps=wraps)
    reach = chords.shape[1] // 2
    widest = max(int(chords.max()), 0)
    out = np.full((rows, columns), np.inf)
    band = max(BAND, 4 * reach)
    for top in range(0, rows, band):
        bottom = min(top + band, rows)
        lo, hi = max(0, top - reach), min(rows, bottom + reach)
        padded = _padded(values[lo:hi], widest, wraps)
        _least_in_disks(padded, chords[top:bottom], top - lo, widest, out[top:bottom])
    return out


def disk_maximum(
    values: Floats, radius: float, east_west: Floats, north_south: Floats, *, wraps: bool = False
) -> Floats:
    """Return the greatest value within ``radius`` of every cell; see :func:`disk_minimum`. -inf never wins."""
    return -disk_minimum(-np.asarray(values, dtype=np.float64), radius, east_west, north_south, wraps=wraps)


def disk_chords(
    radius: float, east_west: Floats, north_south: Floats, columns: int, *, wraps: bool = False
) -> NDArray[np.int64]:
    """Return how many columns to each side the disks reach, (rows, 2 K + 1): entry (i, K + k) on row i + k.

    -1 where the disk does not meet that row, or the row is not there.
    """
    east_west = np.asarray(east_west, dtype=np.float64)
    rows = len(east_west)
    northing = np.concatenate([[0.0], np.cumsum(north_south)])
    limit = radius * (1 + ROUNDING)
    reach = int((np.searchsorted(northing, northing + limit, side="right") - 1 - np.arange(rows)).max())
    other = np.arange(rows)[:, None] + np.arange(-reach, reach + 1)
    there = (other >= 0) & (other < rows)
    other = np.clip(other, 0, rows - 1)
    gap = northing[other] - northing[:, None]
    step = 0.5 * (east_west[other] + east_west[:, None])
    inside = there & (np.abs(gap) <= limit)
    half = np.floor(np.sqrt(np.where(inside, limit**2 - gap**2, 0.0)) / step)
    # no disk needs to look at a column twice
    half = np.minimum(half, columns // 2 if wraps else columns - 1).astype(np.int64)
    return np.where(inside, half, -1)


def ring_minimum(values: Floats, inner: float, outer: float, east_west: float, north_south: float) -> Floats | None:
    """Return the least value among the cells at a distance from ``inner`` to ``outer`` of every cell.

    For grids of equal steps; None where no cell centre lies in the ring at all.
    """
    rows, columns = values.shape
    down = np.arange(-int(outer / north_south) - 1, int(outer / north_south) + 2)
    right = np.arange(-int(outer / east_west) - 1, int(outer / east_west) + 2)
    distance = np.hypot(down[:, None] * north_south, right * east_west)
    chosen = np.argwhere((distance >= inner * (1 - ROUNDING)) & (distance <= outer * (1 + ROUNDING)))
    if not len(chosen):
        return None
    out = np.full((rows, columns), np.inf)
    for i, j in chosen:
        here, there = _shifted(rows, int(down[i])), _shifted(columns, int(right[j]))
        part = out[here[0], there[0]]
        np.minimum(part, values[here[1], there[1]], out=part)
    return out


def _shifted(length: int, by: int) -> tuple[slice, slice]:
    """The places that have a partner ``by`` further on, and these partners."""
    by = max(-length, min(length, by))
    return slice(max(0, -by), length - max(0, by)), slice(max(0, by), length + min(0, by))


def _padded(values: Floats, widest: int, wraps: bool) -> Floats:
    if not wraps:
        return np.pad(values, ((0, 0), (widest, widest)), constant_values=np.inf)
    return np.pad(values, ((0, 0), (widest, widest)), mode="wrap")


@njit(cache=True, nogil=True)
def _least_in_disks(padded, chords, offset, widest, out):  # type: ignore[no-untyped-def]
    """Minima over disks of a band of rows; row 0 of ``out`` is row ``offset`` of ``padded``."""
    rows, columns = out.shape
    reach = chords.shape[1] // 2
    levels = 1
    while 2 << (levels - 1) <= 2 * widest + 1:
        levels += 1
    height, width = padded.shape
    # table[p, i, j] is the least of padded[i, j : j + 2**p]
    table = np.empty((levels, height, width))
    table[0] = padded
    for p in range(1, levels):
        half = 1 << (p - 1)
        count = width - (1 << p) + 1
        for i in range(height):
            short = table[p - 1, i]
            long = table[p, i]
            for j in range(count):
                long[j] = min(short[j], short[j + half])
    for i in range(rows):
        for first in range(0, columns, TILE):
            count = min(TILE, columns - first)
            best = out[i, first : first + count]
            for k in range(chords.shape[1]):
                chord = chords[i, k]
                if chord < 0:
                    continue
                p = 0
                while 2 << p <= 2 * chord + 1:
                    p += 1
                start = first + widest - chord
                one = table[p, offset + i + k - reach, start:]
                two = table[p, offset + i + k - reach, start + 2 * chord + 1 - (1 << p) :]
                for j in range(count):
                    best[j] = min(best[j], min(one[j], two[j]))
