"""Compiled kernels of nested dissection: cutting the grid, finding, eliminating and solving with its fronts.

Flat arrays in and out. Terms and meanings are those of ``nested_dissection``: fronts in postorder; cells by their
number in the order of elimination, ``cells`` and ``numbers`` from one to the other; ``indices[offsets[f]:]`` the
``pivots[f]`` pivots and ``rims[f]`` boundary cells of a front, ascending; the number of ground is the number of cells.
Factor columns and boundary blocks are given by address, because fronts of one factor may lie in several arrays.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from linkways.kernels._dense_blas import (
    BLOCK,
    add_outer_product,
    eliminate,
    memory,
    substitute_backward,
    substitute_forward,
)

__all__ = [
    "ancestry",
    "backward",
    "dissect",
    "factor_fronts",
    "find_structure",
    "forward",
    "gather",
    "needed_again",
    "plan_blocks",
    "scatter",
]


@njit(cache=True, nogil=True)
def _push(parts, waiting, top, bottom, west, east):  # type: ignore[no-untyped-def]
    parts[waiting, 0], parts[waiting, 1], parts[waiting, 2], parts[waiting, 3] = top, bottom, west, east
    parts[waiting, 4] = 0
    return waiting + 1


@njit(cache=True, nogil=True)
def dissect(rows, columns, numbers, leaf):  # type: ignore[no-untyped-def]
    """Cut parts across their longer side until they have at most ``leaf`` cells; number cells in postorder."""
    bound = 2 * rows * columns + 1
    starts, left, right = np.empty(bound + 1, np.int64), np.empty(bound, np.int64), np.empty(bound, np.int64)
    cells = np.empty(rows * columns, np.int32)
    parts = np.empty((256, 5), np.int64)  # top, bottom, left and right sides; 1 once its halves are done
    waiting = _push(parts, 0, 0, rows, 0, columns)
    done = np.empty(256, np.int64)
    finished = fronts = number = 0
    stride = columns + 2
    while waiting:
        part = parts[waiting - 1]
        top, bottom, west, east, halved = part[0], part[1], part[2], part[3], part[4]
        high, wide = bottom - top, east - west
        small = high * wide <= leaf
        middle = (top + bottom) // 2 if high >= wide else (west + east) // 2
        if not small and halved == 0:
            part[4] = 1
            if high >= wide:
                waiting = _push(parts, waiting, middle + 1, bottom, west, east)
                waiting = _push(parts, waiting, top, middle, west, east)
            else:
                waiting = _push(parts, waiting, top, bottom, middle + 1, east)
                waiting = _push(parts, waiting, top, bottom, west, middle)
            continue
        waiting -= 1
        left[fronts] = right[fronts] = -1
        if not small:
            finished -= 2
            left[fronts], right[fronts] = done[finished], done[finished + 1]
            if high >= wide:
                top, bottom = middle, middle + 1
            else:
                west, east = middle, middle + 1
        starts[fronts] = number
        for i in range(top, bottom):
            for j in range(west, east):
                cell = (i + 1) * stride + j + 1
                if numbers[cell] == -1:
                    cells[number] = cell
                    number += 1
        done[finished] = fronts
        finished += 1
        fronts += 1
    starts[fronts] = number
    return starts[: fronts + 1].copy(), cells, left[:fronts].copy(), right[:fronts].copy()


@njit(cache=True, nogil=True)
def ancestry(left, right):  # type: ignore[no-untyped-def]
    """Return parent, first descendant and depth of each front."""
    fronts = left.size
    parent, descendant, depth = np.full(fronts, -1), np.arange(fronts), np.zeros(fronts, np.int64)
    for f in range(fronts):
        for child in (left[f], right[f]):
            if child >= 0:
                parent[child] = f
        if left[f] >= 0:
            descendant[f] = descendant[left[f]]
    for f in range(fronts - 2, -1, -1):
        depth[f] = depth[parent[f]] + 1
    return parent, descendant, depth


@njit(cache=True, nogil=True)
def _later_neighbours(  # type: ignore[no-untyped-def]
    cell, after, numbers, east, south, southeast, southwest, stride, found, edges
):
    """List the neighbours of a cell whose numbers are at least ``after``, and the edges to them; return how many."""
    count = 0
    for n in range(8):
        if n == 0:
            edge, other = east[cell], cell + 1
        elif n == 1:
            edge, other = south[cell], cell + stride
        elif n == 2:
            edge, other = southeast[cell], cell + stride + 1
        elif n == 3:
            edge, other = southwest[cell], cell + stride - 1
        elif n == 4:
            edge, other = east[cell - 1], cell - 1
        elif n == 5:
            edge, other = south[cell - stride], cell - stride
        elif n == 6:
            edge, other = southeast[cell - stride - 1], cell - stride - 1
        else:
            edge, other = southwest[cell - stride + 1], cell - stride + 1
        if edge > 0.0 and numbers[other] >= after:
            found[count] = numbers[other]
            edges[count] = edge
            count += 1
    return count


@njit(cache=True, nogil=True)
def _insert(values, count, value):  # type: ignore[no-untyped-def]
    """Put a value into the ascending list ``values[:count]`` unless it is there; return the new count."""
    at = count
    while at > 0 and values[at - 1] > value:
        at -= 1
    if at > 0 and values[at - 1] == value:
        return count
    for i in range(count, at, -1):
        values[i] = values[i - 1]
    values[at] = value
    return count + 1


@njit(cache=True, nogil=True)
def _longer(values, used, length):  # type: ignore[no-untyped-def]
    """Return a list of another length with the same first ``used`` values."""
    other = np.empty(length, np.int32)
    for i in range(used):  # assigning slices takes seconds to compile
        other[i] = values[i]
    return other


@njit(cache=True, nogil=True)
def find_structure(  # type: ignore[no-untyped-def]
    fronts, starts, cells, numbers, left, right, nodes,
    east, south, southeast, southwest, ground, grounded, stride,
    pivots, rims, offsets, indices, used,
):  # fmt: skip
    """Boundary of a front = boundaries of its children and later neighbours of its pivots, without the pivots."""
    total = cells.size
    pool = _longer(indices, used, max(2 * used, 1024))
    found, edges = np.empty(9, np.int64), np.empty(9)
    extras = np.empty(1024, np.int64)
    for f in fronts:
        begin, end = starts[f], starts[f + 1]
        a, b = left[f], right[f]
        most = (end - begin) * 9 + 1
        if extras.size < most:
            extras = np.empty(2 * most, np.int64)
        for child in (a, b):
            most += rims[child] if child >= 0 else 0
        if used + most > pool.size:
            pool = _longer(pool, used, 2 * (used + most))
        offsets[f] = used
        extra = 0
        leaks = False
        for number in range(begin, end):
            cell = cells[number]
            if not nodes[cell]:
                continue
            pool[used] = number
            used += 1
            leaks |= grounded and ground[cell] > 0.0
            for n in range(
                _later_neighbours(cell, end, numbers, east, south, southeast, southwest, stride, found, edges)
            ):
                extra = _insert(extras, extra, found[n])
        if leaks:
            extras[extra] = total
            extra += 1
        pivots[f] = used - offsets[f]
        count = used
        i = offsets[a] + pivots[a] if a >= 0 else 0
        j = offsets[b] + pivots[b] if b >= 0 else 0
        i_end = i + rims[a] if a >= 0 else 0
        j_end = j + rims[b] if b >= 0 else 0
        k = 0
        while i < i_end and pool[i] < end:
            i += 1
        while j < j_end and pool[j] < end:
            j += 1
        while i < i_end or j < j_end or k < extra:  # merge the three ascending lists
            least = total + 1
            if i < i_end:
                least = pool[i]
            if j < j_end:
                least = min(least, pool[j])
            if k < extra:
                least = min(least, extras[k])
            i += i < i_end and pool[i] == least
            j += j < j_end and pool[j] == least
            k += k < extra and extras[k] == least
            pool[used] = least
            used += 1
        rims[f] = used - count
    return _longer(pool, used, used)


@njit(cache=True, nogil=True)
def needed_again(touched, left, right, rims, kept):  # type: ignore[no-untyped-def]
    """Return the untouched fronts whose boundary blocks are needed and not kept."""
    again = np.zeros(touched.size, np.bool_)
    for f in range(touched.size - 1, -1, -1):
        if touched[f] or again[f]:
            for child in (left[f], right[f]):
                if child >= 0 and not touched[child] and kept[child] == 0 and rims[child] > 0:
                    again[child] = True
    return again


@njit(cache=True, nogil=True)
def plan_blocks(chosen, left, right, depth, rims):  # type: ignore[no-untyped-def]
    """Place the boundary blocks of fronts on two stacks, of odd and of even depth; return places and extent.

    In postorder the blocks of a front's children are the last on their stack, and its own goes on the other.
    """
    places, extent = np.full(rims.size, -1), np.zeros(2, np.int64)
    top = np.zeros(2, np.int64)
    for f in chosen:
        side = depth[f] & 1
        for child in (left[f], right[f]):
            if child >= 0 and places[child] >= 0:
                top[1 - side] = min(top[1 - side], places[child])
        places[f] = top[side]
        top[side] += rims[f] * rims[f]
        extent[side] = max(extent[side], top[side])
    for f in chosen:
        places[f] += extent[0] * (depth[f] & 1)
    return places[chosen], extent[0] + extent[1]


@njit(cache=True, nogil=True)
def _locate(indices, begin, end, number):  # type: ignore[no-untyped-def]
    """Return where in the ascending ``indices[begin:end]`` a number is, which must be there."""
    low = begin
    while begin < end:
        middle = (begin + end) // 2
        if indices[middle] < number:
            begin = middle + 1
        else:
            end = middle
    return begin - low


@njit(cache=True, nogil=True)
def factor_fronts(  # type: ignore[no-untyped-def]
    chosen, starts, cells, numbers, left, right, pivots, rims, offsets, indices,
    east, south, southeast, southwest, ground, grounded, stride,
    columns, squares, kept, storing, terminals, network,
):  # fmt: skip
    """Assemble and eliminate fronts, children before parents."""
    found, edges = np.empty(8, np.int64), np.empty(8)
    widest = 1
    for rim in rims:
        widest = max(widest, rim)
    positions = np.empty((2, widest), np.int64)
    for f in chosen:
        count, rim, offset = pivots[f], rims[f], offsets[f]
        rows = count + rim
        if rows == 0:
            continue
        front = memory(columns[f], rows * count)
        front[:] = 0.0
        for k in range(count):
            number = indices[offset + k]
            cell = cells[number]
            neighbours = _later_neighbours(
                cell, number + 1, numbers, east, south, southeast, southwest, stride, found, edges
            )
            for n in range(neighbours):
                if found[n] < starts[f + 1]:
                    at = _locate(indices, offset, offset + count, found[n])
                else:
                    at = count + _locate(indices, offset + count, offset + rows, found[n])
                front[k * rows + at] += edges[n]
            if grounded and ground[cell] > 0.0:
                front[k * rows + rows - 1] += ground[cell]
        for side in range(2):
            child = left[f] if side == 0 else right[f]
            if child >= 0:
                _match(indices, offsets[child] + pivots[child], rims[child], offset, positions[side])
                _add_to_pivots(squares[child], kept[child], rims[child], positions[side], front, count, rows)
        if terminals > 0 and f == left.size - 1:
            _copy_network(front, indices, offset, count, rows, cells.size - terminals, network)
        eliminate(front, columns[f], rows, count)
        if rim == 0:
            continue
        block = memory(squares[f], rim * rim)
        if count > 0:
            add_outer_product(columns[f] + 8 * count, rows, rim, count, 0.0, squares[f], rim)
        else:
            block[:] = 0.0
        for side in range(2):
            child = left[f] if side == 0 else right[f]
            if child >= 0:
                _add_to_rim(squares[child], kept[child], rims[child], positions[side], block, count, rim)
        if storing[f]:
            _pack(block, rim, memory(kept[f], rim * (rim + 1) // 2))


@njit(cache=True, nogil=True)
def _match(indices, begin, size, offset, positions):  # type: ignore[no-untyped-def]
    """Position in the parent's front of each boundary cell of a child; both lists ascend."""
    at = 0
    for i in range(size):
        number = indices[begin + i]
        while indices[offset + at] < number:
            at += 1
        positions[i] = at


@njit(cache=True, nogil=True)
def _add_column(block, begin, j, size, positions, target, shift):  # type: ignore[no-untyped-def]
    """Add rows j.. of a column, which starts at ``block[begin + j]``, to ``target[shift + positions]``, run by run."""
    i = j
    while i < size:
        place = positions[i]
        end = size
        if positions[size - 1] - place != size - 1 - i:
            end = i + 1
            while positions[end] - place == end - i:
                end += 1
        for n in range(end - i):
            target[shift + place + n] += block[begin + i + n]
        i = end


@njit(cache=True, nogil=True)
def _add_to_pivots(square, kept, size, positions, front, count, rows):  # type: ignore[no-untyped-def]
    """Add those columns of a child's boundary block that are pivots of the front."""
    packed = square == 0
    block = memory(kept if packed else square, size * size)
    for j in range(size):
        if positions[j] >= count:
            break
        begin = j * size - j * (j + 1) // 2 if packed else j * size
        _add_column(block, begin, j, size, positions, front, positions[j] * rows)


@njit(cache=True, nogil=True)
def _add_to_rim(square, kept, size, positions, target, count, rim):  # type: ignore[no-untyped-def]
    """Add the other columns of a child's boundary block to the boundary block of the front."""
    packed = square == 0
    block = memory(kept if packed else square, size * size)
    first = 0
    while first < size and positions[first] < count:
        first += 1
    for j in range(first, size):
        begin = j * size - j * (j + 1) // 2 if packed else j * size
        _add_column(block, begin, j, size, positions, target, (positions[j] - count) * rim - count)


@njit(cache=True, nogil=True)
def _pack(block, rim, packed):  # type: ignore[no-untyped-def]
    """Copy the lower triangle of a column-major square."""
    at = 0
    for j in range(rim):
        for i in range(j, rim):
            packed[at] = block[j * rim + i]
            at += 1


@njit(cache=True, nogil=True)
def _copy_network(front, indices, offset, count, rows, first, network):  # type: ignore[no-untyped-def]
    """Copy the assembled last front: conductances between terminals, and in the last row and column to ground."""
    ground = network.shape[0] - 1
    for k in range(count):
        a = indices[offset + k] - first
        for i in range(k + 1, rows):
            b = indices[offset + i] - first if i < count else ground
            network[a, b] = network[b, a] = front[k * rows + i]


@njit(cache=True, nogil=True)
def gather(raster, nodes, cells, x):  # type: ignore[no-untyped-def]
    """Fill x (numbers, BLOCK) from a stack of at most BLOCK rasters, where there are nodes."""
    k, _, columns = raster.shape
    stride = columns + 2
    for number in range(cells.size):
        row, column = divmod(cells[number], stride)
        if nodes[row - 1, column - 1]:
            for n in range(k):
                x[number, n] = raster[n, row - 1, column - 1]


@njit(cache=True, nogil=True)
def scatter(x, cells, raster):  # type: ignore[no-untyped-def]
    """Fill a stack of at most BLOCK rasters from x (numbers, BLOCK)."""
    k, _, columns = raster.shape
    stride = columns + 2
    for number in range(cells.size):
        row, column = divmod(cells[number], stride)
        for n in range(k):
            raster[n, row - 1, column - 1] = x[number, n]


@njit(cache=True, nogil=True)
def forward(pivots, rims, offsets, indices, columns, x):  # type: ignore[no-untyped-def]
    """x := L^-1 x, front by front; fronts that no current has reached yet are skipped."""
    widest = 1
    for f in range(pivots.size):
        widest = max(widest, pivots[f] + rims[f])
    y = np.empty((widest, BLOCK))
    for f in range(pivots.size):
        count, offset = pivots[f], offsets[f]
        rows = count + rims[f]
        silent = True
        for k in range(count):
            number = indices[offset + k]
            for n in range(BLOCK):
                y[k, n] = x[number, n]
                silent &= y[k, n] == 0.0
        if silent:
            continue
        y[count:rows] = 0.0
        substitute_forward(columns[f], rows, count, y)
        for k in range(count):
            number = indices[offset + k]
            for n in range(BLOCK):
                x[number, n] = y[k, n]
        for i in range(count, rows):
            number = indices[offset + i]
            for n in range(BLOCK):
                x[number, n] += y[i, n]


@njit(cache=True, nogil=True)
def backward(pivots, rims, offsets, indices, columns, fronts, x):  # type: ignore[no-untyped-def]
    """x := L^-T x in the first ``fronts`` fronts."""
    widest = 1
    for f in range(pivots.size):
        widest = max(widest, pivots[f] + rims[f])
    y = np.empty((widest, BLOCK))
    for f in range(fronts - 1, -1, -1):
        count, offset = pivots[f], offsets[f]
        rows = count + rims[f]
        for i in range(rows):
            number = indices[offset + i]
            for n in range(BLOCK):
                y[i, n] = x[number, n]
        substitute_backward(columns[f], rows, count, y)
        for k in range(count):
            number = indices[offset + k]
            for n in range(BLOCK):
                x[number, n] = y[k, n]
