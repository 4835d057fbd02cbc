"""Connected parts of a mask that is looked at block by block: numbers within a block, and what joins two blocks.

A block is a stack of whole rows of the grid. Within a block the parts are numbered by one scan of its cells with a
disjoint-set forest whose roots are the smallest numbers (Rosenfeld and Pfaltz 1966; Wu, Otoo and Suzuki 2009), so that
the numbers follow the first cells of the parts row by row. Blocks are joined by the parts that meet at their seam
(`seam`, `unite`); as every root is again the smallest number, the parts of the whole grid are in the order of their
first cells, too.

Memory: 4 bytes a cell for the numbers of one block and 2 for its forest; 8 bytes for each part of a block after that.

Sources: Rosenfeld and Pfaltz (1966) J. ACM 13:471-494; Wu, Otoo and Suzuki (2009) Pattern Anal. Appl. 12:117-135.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["label_block", "seam", "sum_by_label", "unite"]


def label_block(mask: NDArray[np.bool_], *, neighbours: int = 8) -> tuple[NDArray[np.int32], int]:
    """Return the number of the part of each cell (0 where the mask is False), from 1 in the order of first cells.

    Parameters
    ----------
    mask
        (rows, cols) bool, fewer than 2**31 cells.
    neighbours
        4 (cells that share an edge) or 8 (or a corner).
    """
    labels = np.empty(mask.shape, dtype=np.int32)
    count = _label(np.ascontiguousarray(mask), neighbours == 8, labels)
    return labels, int(count)


def sum_by_label(
    labels: NDArray[np.int32], count: int, row_weight: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return by label - 1: the weight of its cells, that of its cells with a value, and the sum of weight x value.

    ``row_weight`` is (rows,), ``values`` (rows, cols) with NaN where there is none; an empty array of values (0, 0)
    means that there are none at all.
    """
    weight, known, total = np.zeros(count), np.zeros(count), np.zeros(count)
    _sums(labels, row_weight, np.ascontiguousarray(values, dtype=np.float64), weight, known, total)
    return weight, known, total


def seam(
    one: NDArray[np.int64], other: NDArray[np.int64], *, neighbours: int = 8, wraps: bool = False
) -> NDArray[np.int64]:
    """Return the pairs of labels (n, 2) that meet where two lines of cells lie side by side, each pair once.

    ``one`` and ``other`` hold the labels of two neighbouring rows (or columns), 0 where there is none; with ``wraps``
    the ends of the lines are neighbours, too.
    """
    reach = (-1, 0, 1) if neighbours == 8 else (0,)
    found = []
    for shift in reach:
        if wraps:
            here, there = one, np.roll(other, -shift)
        else:
            here = one[max(0, -shift) : one.size - max(0, shift)]
            there = other[max(0, shift) : other.size - max(0, -shift)]
        meet = (here > 0) & (there > 0)
        found.append(np.stack([here[meet], there[meet]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def unite(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the smallest number that each of the numbers 0..count is joined to by the pairs, (count + 1,)."""
    root = np.arange(count + 1)
    _unite(root, np.ascontiguousarray(pairs, dtype=np.int64))
    return root


@njit(cache=True, nogil=True, inline="always")
def _root(parent: Any, i: int) -> Any:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _label(mask: Any, eight: bool, labels: Any) -> int:
    rows, cols = mask.shape
    # a new number needs a cell whose left neighbour is not of the mask
    parent = np.empty(rows * (cols // 2 + 1) + 1, np.int32)
    parent[0] = 0
    last = 0
    for i in range(rows):
        for j in range(cols):
            if not mask[i, j]:
                labels[i, j] = 0
                continue
            left = labels[i, j - 1] if j > 0 else 0
            up = labels[i - 1, j] if i > 0 else 0
            if eight and up == 0 and i > 0:
                # the cell above would join all its neighbours, so the corners matter only without it
                corner = labels[i - 1, j + 1] if j + 1 < cols else 0
                if left == 0 and j > 0:
                    left = labels[i - 1, j - 1]
                up = corner
            if up and left:
                if up != left:
                    a, b = _root(parent, np.int64(up)), _root(parent, np.int64(left))
                    if a < b:
                        parent[b] = a
                    elif b < a:
                        parent[a] = b
                labels[i, j] = up
            elif up or left:
                labels[i, j] = max(up, left)
            else:
                last += 1
                parent[last] = last
                labels[i, j] = last
    count = 0
    for k in range(1, last + 1):
        if parent[k] == k:
            count += 1
            parent[k] = count
        else:
            parent[k] = parent[parent[k]]  # a smaller number, which already has its final one
    for i in range(rows):
        for j in range(cols):
            if labels[i, j]:
                labels[i, j] = parent[labels[i, j]]
    return count


@njit(cache=True, nogil=True)
def _sums(labels: Any, row_weight: Any, values: Any, weight: Any, known: Any, total: Any) -> None:
    rows, cols = labels.shape
    for i in range(rows):
        each = row_weight[i]
        j = 0
        while j < cols:
            k = labels[i, j]
            start = j
            while j < cols and labels[i, j] == k:
                j += 1
            if k == 0:
                continue
            weight[k - 1] += (j - start) * each
            if values.size == 0:
                continue
            cells, value = 0, 0.0
            for at in range(start, j):
                if values[i, at] == values[i, at]:
                    cells += 1
                    value += values[i, at]
            known[k - 1] += cells * each
            total[k - 1] += value * each


@njit(cache=True, nogil=True)
def _unite(root: Any, pairs: Any) -> None:
    for n in range(pairs.shape[0]):
        a, b = _root(root, pairs[n, 0]), _root(root, pairs[n, 1])
        if a < b:
            root[b] = a
        elif b < a:
            root[a] = b
    for i in range(root.size):
        root[i] = root[root[i]]
