"""Exact accumulated cost (cost-distance) over a raster: least costs, who is nearest, and the way back.

The raster is a graph: every cell that can be entered is a node, and neighbouring cells a and b are joined by an
edge of cost ``step * (r_a + r_b) / 2``, with r the resistance and step the distance between the cell centres in
metres. Nothing of that graph is stored: a grid is prepared once (`prepare`), then any number of searches run on it
(`cost_field_on_grid`), also at the same time in several threads, because the searches release the
interpreter's lock and only read the grid.

**Method.** Dijkstra (1959) with a bucket queue (Dial 1969; two levels as in Denardo and Fox 1979). Cells wait in
buckets of one width; all cells of the lowest bucket are taken as one batch, and a cell that another cell of
the same batch improves is taken again, so that the result is exact for any width. The bucket is as wide as
that repetition allows: with e the least edge cost at a cell (twice its half edges), a cell can be repeated at most
width / e times, and the width is the largest one with a mean of ``max(0, width / e - 1)`` of at most
0.1, taken over a regular sample of the cells without its least thousandth.

**Which queue.** 4096 fine buckets and 4096 coarse ones (each as wide as all the fine ones) hold edge costs up to
4094 * 4096 bucket widths, about 1.6e7. Where the costliest possible edge (or ``max_cost``, if that is less) is more
than that, a 4-ary heap is used instead. Both give the same distances to the last bit: floating-point addition is
monotone, so the least left-to-right sum over all paths does not depend on the order of the search.

**Memory.** Per running search 13 bytes a cell for the three outputs, which are also the working arrays, and the queue
(4 bytes for each waiting cell, in blocks of 64; 12 bytes in the heap). The prepared grid takes 8 bytes a cell,
once. Cells are numbered in 32 bits: the grid may have up to 2**31 cells, its rim included.

Sources: Dijkstra (1959) Numer. Math. 1:269-271; Dial (1969) Comm. ACM 12:632-633; Denardo and Fox (1979) Oper. Res.
27:161-186; Adriaensen et al. (2003) Landsc. Urban Plan. 64:233-247 for least-cost modelling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "COLUMN_STEPS",
    "NOT_REACHED",
    "ROW_STEPS",
    "SOURCE",
    "CostField",
    "Grid",
    "cost_field",
    "cost_field_on_grid",
    "prepare",
    "trace_path",
]

#: Rows to add for direction 0..7: north, west, east, south, north-west, north-east, south-west, south-east.
ROW_STEPS = (-1, 0, 0, 1, -1, -1, 1, 1)
#: Columns to add for direction 0..7, in the same order.
COLUMN_STEPS = (0, -1, 1, 0, -1, 1, -1, 1)
#: Direction of a source.
SOURCE = -1
#: Direction of a cell that was not reached.
NOT_REACHED = -2

_LEVEL_BITS = 12
_BUCKETS = 1 << _LEVEL_BITS  # on each of the two levels
_WIDEST_SPAN = float((_BUCKETS - 2) * _BUCKETS)  # bucket widths that the two levels hold
_BLOCK = 64  # queue entries allotted together, the first of which links to the block before
_AHEAD = 4  # entries between fetching a cell's surroundings into the cache and settling it
_SPARE = _BLOCK * _BLOCK * 8  # settling one block opens at most one new block per neighbour of each entry
_REPEATS = 0.1
_SAMPLE = 1 << 16
_UNRESOLVED = -3


@dataclass(frozen=True)
class CostField:
    """Least accumulated cost from a set of sources to every cell.

    Attributes
    ----------
    distance
        (rows, cols) float64, resistance x metres; inf where not reached.
    allocation
        (rows, cols) int32, the label of the source that is cheapest to come from; the smallest label where several
        are equally cheap; -1 where not reached.
    direction
        (rows, cols) int8, the neighbour through which the least cost arrives, as an index into `ROW_STEPS` and
        `COLUMN_STEPS`: the first one that leads to a source of the allocated label; `SOURCE` at
        sources and `NOT_REACHED` where not reached.
    """

    distance: NDArray[np.float64]
    allocation: NDArray[np.int32]
    direction: NDArray[np.int8]


@dataclass(frozen=True)
class Grid:
    """A resistance raster made ready for searches, to be shared by any number of them; made by `prepare`.

    Attributes
    ----------
    rows, cols
        Shape of the raster.
    neighbours
        4 or 8.
    wraps
        Whether the first and the last column touch.
    resistance
        Flat float64 of (rows + 2) x (cols + 2) cells: the raster inside a rim, inf where a cell cannot be entered;
        where the grid wraps, the rim's columns repeat the opposite side.
    half_steps
        (rows + 2, 5) float64: half the length in metres of a step along the row, to the north, to the south, to a
        northern diagonal and to a southern diagonal neighbour; inf where there is none.
    bucket_width
        Width of a bucket of the queue, in units of cost.
    costliest_edge
        No edge costs more than this.
    """

    rows: int
    cols: int
    neighbours: int
    wraps: bool
    resistance: NDArray[np.float64]
    half_steps: NDArray[np.float64]
    bucket_width: float
    costliest_edge: float


def cost_field(
    resistance: NDArray[np.float64],
    source_cells: NDArray[np.int64],
    source_labels: NDArray[np.int32],
    east_west: NDArray[np.float64],
    north_south: NDArray[np.float64],
    diagonal: NDArray[np.float64],
    *,
    neighbours: int = 8,
    max_cost: float = np.inf,
    wraps: bool = False,
    targets: NDArray[np.int64] | None = None,
) -> CostField:
    """Return the least accumulated cost from the sources to every cell of one raster.

    For several searches over the same raster call `prepare` once and `cost_field_on_grid` for each of them.

    Parameters
    ----------
    resistance
        (rows, cols) float64, resistance per metre; NaN cannot be entered, everything else is finite and > 0.
    source_cells
        Flat indices (row * cols + column) of the cells where the cost is 0; those on NaN are skipped.
    source_labels
        A label >= 0 for each of the source cells; a label may have many cells.
    east_west, north_south, diagonal
        Distances between cell centres in metres: (rows,) along each row, (rows - 1,) and (rows - 1,) between each row
        and the next.
    neighbours
        4 or 8.
    max_cost
        Cells with a least cost above this count as not reached.
    wraps
        Whether the first and the last column are neighbours (a grid around the globe).
    targets
        Flat indices; the search stops when all of them that can be reached are settled. What was settled by then
        is exact, and the rest counts as not reached.
    """
    grid = prepare(resistance, east_west, north_south, diagonal, neighbours=neighbours, wraps=wraps)
    return cost_field_on_grid(grid, source_cells, source_labels, max_cost=max_cost, targets=targets)


def prepare(
    resistance: NDArray[np.float64],
    east_west: NDArray[np.float64],
    north_south: NDArray[np.float64],
    diagonal: NDArray[np.float64],
    *,
    neighbours: int = 8,
    wraps: bool = False,
) -> Grid:
    """Return the raster made ready for `cost_field_on_grid`; see `cost_field` for the parameters."""
    rows, cols = resistance.shape
    padded = np.full((rows + 2) * (cols + 2), np.inf)
    greatest = float(_pad(np.ascontiguousarray(resistance, dtype=np.float64), wraps, padded))
    half_steps = np.full((rows + 2, 5), np.inf)
    half_steps[1:-1, 0] = 0.5 * np.asarray(east_west)
    half_steps[2:-1, 1] = half_steps[1:-2, 2] = 0.5 * np.asarray(north_south)
    half_steps[2:-1, 3] = half_steps[1:-2, 4] = 0.5 * np.asarray(diagonal)
    return Grid(
        rows=rows,
        cols=cols,
        neighbours=neighbours,
        wraps=wraps,
        resistance=padded,
        half_steps=half_steps,
        bucket_width=_bucket_width(padded.reshape(rows + 2, cols + 2)[1:-1, 1:-1], half_steps[1:-1]),
        costliest_edge=2.0 * greatest * float(half_steps[np.isfinite(half_steps)].max(initial=0.0)),
    )


def cost_field_on_grid(
    grid: Grid,
    source_cells: NDArray[np.int64],
    source_labels: NDArray[np.int32],
    *,
    max_cost: float = np.inf,
    targets: NDArray[np.int64] | None = None,
    queue: Literal["auto", "bucket", "heap"] = "auto",
) -> CostField:
    """Return the least accumulated cost from the sources to every cell of a prepared grid.

    See `cost_field` for the parameters. ``queue`` changes the time, not the costs: "auto" chooses as told at the
    top of this module. With targets, how far the search has gone beyond them when it stops depends on the queue.
    """
    stride = grid.cols + 2
    labels = np.ascontiguousarray(source_labels, dtype=np.int32)
    several = labels.size > 0 and bool((labels != labels[0]).any())
    starts = _padded_cells(source_cells, grid.cols)
    stops = _padded_cells(np.empty(0) if targets is None else targets, grid.cols)
    stops = stops[np.isfinite(grid.resistance[stops])]
    span = min(grid.costliest_edge, max_cost)
    if queue == "auto":
        queue = "bucket" if span <= _WIDEST_SPAN * grid.bucket_width else "heap"

    distance = np.full(grid.resistance.size, np.inf)
    allocation = np.full(distance.size if several else 0, -1, dtype=np.int32)
    search = (distance, allocation, grid.resistance, grid.half_steps, stride, grid.neighbours == 8, grid.wraps)
    ends = (starts, labels, stops, targets is not None, float(max_cost))
    if queue == "bucket":
        scale = 1.0 / max(grid.bucket_width, span / _WIDEST_SPAN)
        bound = _search_with_buckets(*search, *ends, scale)
    else:
        scale, bound = 1.0, _search_with_heap(*search, *ends)

    if bound < np.inf:
        _forget_beyond(distance, scale, bound)
    direction = np.empty((grid.rows, grid.cols), dtype=np.int8)
    unresolved = _directions(*search[:-1], direction)
    while unresolved:
        unresolved = _resolve_plateaus(*search[:-1], direction)
    if not several:
        allocation = np.empty(direction.size, dtype=np.int32)
    _crop(distance, allocation, grid.rows, grid.cols, several, labels[0] if labels.size else np.int32(-1))
    shape, size = direction.shape, direction.size
    return CostField(distance[:size].reshape(shape), allocation[:size].reshape(shape), direction)


def trace_path(direction: NDArray[np.int8], cell: int, *, wraps: bool = False) -> NDArray[np.int64]:
    """Return the flat cells of a least-cost path from the given cell back to its source, both included.

    Empty where the cell was not reached. ``direction`` is that of a `CostField` and ``wraps`` what the
    field was made with; a step across the seam of a grid that wraps needs no mark of its own.
    """
    path: NDArray[np.int64] = _trace(np.ascontiguousarray(direction), np.int64(cell), wraps)
    return path


def _padded_cells(cells: Any, cols: int) -> NDArray[np.int64]:
    row, column = np.divmod(np.asarray(cells, dtype=np.int64), cols)
    padded: NDArray[np.int64] = (row + 1) * (cols + 2) + column + 1
    return padded


def _bucket_width(resistance: NDArray[np.float64], half_steps: NDArray[np.float64]) -> float:
    """Return the widest bucket for which cells are settled again at most 0.1 times in the mean (see above)."""
    rows, cols = resistance.shape
    every = max(1, round((rows * cols / _SAMPLE) ** 0.5))
    edges = (2.0 * half_steps[::every].min(axis=1, keepdims=True) * resistance[::every, ::every]).ravel()
    edges = np.sort(edges[np.isfinite(edges)])
    edges = edges[edges.size // 1000 :]  # a few tiny cells cost little to repeat and must not set the width
    if edges.size == 0:
        return 1.0
    # With the k least edges below the width, sum(width / e - 1) = width * sum(1 / e) - k = 0.1 n gives the width.
    widths = (_REPEATS * edges.size + np.arange(1, edges.size + 1)) / np.cumsum(1.0 / edges)
    below = widths <= np.append(edges[1:], np.inf)
    return float(widths[np.argmax(below)])


@intrinsic
def _fetch(_typing: Any, array: Any, index: Any) -> Any:
    """Ask the processor to bring one element of an array into its cache."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        byte_pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [byte_pointer, number, number, number])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte_pointer], shape)
        address = builder.bitcast(builder.gep(data, [args[1]]), byte_pointer)
        builder.call(prefetch, [address, number(0), number(3), number(1)])  # for reading, keep, data
        return context.get_dummy_value()

    return types.void(array, index), generate


@intrinsic
def _lowest_bit(_typing: Any, bits: Any) -> Any:
    """Return the position of the lowest bit that is set."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(1))

    return bits(bits), generate


@njit(cache=True, nogil=True)
def _pad(resistance: Any, wraps: bool, padded: Any) -> float:
    """Write the raster into the padded array, NaN as inf, and return its greatest value."""
    rows, cols = resistance.shape
    stride = cols + 2
    greatest = 0.0
    for i in range(rows):
        start = (i + 1) * stride + 1
        for j in range(cols):
            value = resistance[i, j]
            if value == value:
                padded[start + j] = value
                greatest = max(greatest, value)
        if wraps:
            padded[start - 1] = padded[start + cols - 1]
            padded[start + cols] = padded[start]
    return greatest


@njit(cache=True, nogil=True, inline="always")
def _bucket_of(cost: float, scale: float) -> Any:
    return np.int64(min(cost * scale, 2.0**60))  # the limit makes a whole number of an infinite cost, too


@njit(cache=True, nogil=True, inline="always")
def _settle(cell: int, distance: Any, resistance: Any, half_steps: Any, stride: int, eight: bool, costs: Any) -> Any:
    """Write the costs of reaching each neighbour through the cell; return one bit for each that is no worse."""
    # Unsigned indices spare every access the check for a negative index, which counts from the end in Python.
    one, stride_u, c = np.uint64(1), np.uint64(stride), np.uint64(cell)
    w, e, n, s = c - one, c + one, c - stride_u, c + stride_u
    here, cost = resistance[c], distance[c]
    step = np.uint64(np.uint32(cell) // np.uint32(stride))  # 32-bit division is several times faster than 64-bit
    along, north, south = half_steps[step, 0], half_steps[step, 1], half_steps[step, 2]
    c0 = cost + north * (here + resistance[n])
    c1 = cost + along * (here + resistance[w])
    c2 = cost + along * (here + resistance[e])
    c3 = cost + south * (here + resistance[s])
    costs[0], costs[1], costs[2], costs[3] = c0, c1, c2, c3
    bits = np.int64(c0 <= distance[n]) | (np.int64(c1 <= distance[w]) << 1)
    bits |= (np.int64(c2 <= distance[e]) << 2) | (np.int64(c3 <= distance[s]) << 3)
    if eight:
        north, south = half_steps[step, 3], half_steps[step, 4]
        nw, ne, sw, se = n - one, n + one, s - one, s + one
        c4 = cost + north * (here + resistance[nw])
        c5 = cost + north * (here + resistance[ne])
        c6 = cost + south * (here + resistance[sw])
        c7 = cost + south * (here + resistance[se])
        costs[4], costs[5], costs[6], costs[7] = c4, c5, c6, c7
        bits |= (np.int64(c4 <= distance[nw]) << 4) | (np.int64(c5 <= distance[ne]) << 5)
        bits |= (np.int64(c6 <= distance[sw]) << 6) | (np.int64(c7 <= distance[se]) << 7)
    return bits


@njit(cache=True, nogil=True)
def _inside(cell: int, stride: int) -> int:
    """Return the cell of the raster that a cell of the rim's columns repeats, or the cell itself."""
    column = np.int64(np.uint32(cell) % np.uint32(stride))
    if column == 0:
        return cell + stride - 2
    if column == stride - 1:
        return cell - stride + 2
    return cell


@njit(cache=True, nogil=True)
def _repeat_on_rim(values: Any, cell: int, stride: int) -> None:
    """Copy the value of a cell of the first or last column to the rim's column that repeats it."""
    column = np.int64(np.uint32(cell) % np.uint32(stride))
    if column == 1:
        values[cell + stride - 2] = values[cell]
    if column == stride - 2:
        values[cell - stride + 2] = values[cell]


@njit(cache=True, nogil=True)
def _start(starts: Any, labels: Any, distance: Any, allocation: Any, resistance: Any, stride: int, wraps: bool) -> Any:
    """Set the sources' costs and labels; return the sources that can be entered, each once."""
    kept = np.empty(starts.size, np.int64)
    count = 0
    for i in range(starts.size):
        cell = starts[i]
        if resistance[cell] == np.inf:
            continue
        if distance[cell] != 0.0:
            distance[cell] = 0.0
            kept[count] = cell
            count += 1
            if allocation.size:
                allocation[cell] = labels[i]
        elif allocation.size:
            allocation[cell] = min(allocation[cell], labels[i])
        if wraps:
            _repeat_on_rim(distance, cell, stride)
            if allocation.size:
                _repeat_on_rim(allocation, cell, stride)
    return kept[:count]


@njit(cache=True, nogil=True, inline="always")
def _put(cell: int, bucket: int, ends: Any, entries: Any, store: Any) -> None:
    """Append a cell to a bucket.

    ``ends[bucket]`` is where its next entry goes. A multiple of the block size means that a new block is due: one of
    the free ones (``store[1]``, linked through their first entries) or the next unused one (``store[0]``).
    """
    end = np.int64(ends[bucket])
    if end & (_BLOCK - 1) == 0:
        block = store[1]
        if block:
            store[1] = entries[block]
        else:
            block = store[0]
            store[0] = block + _BLOCK
        entries[block] = end
        end = block + 1
    entries[end] = cell
    ends[bucket] = end + 1


@njit(cache=True, nogil=True, inline="always")
def _fetch_around(cell: int, distance: Any, resistance: Any, stride: int) -> None:
    _fetch(distance, cell - stride)
    _fetch(distance, cell)
    _fetch(distance, cell + stride)
    _fetch(resistance, cell - stride)
    _fetch(resistance, cell)
    _fetch(resistance, cell + stride)


@njit(cache=True, nogil=True)
def _with_room(entries: Any, store: Any) -> Any:
    """Return the queue's entries, with room for what settling one block can add."""
    if store[0] + _SPARE <= entries.size:
        return entries
    larger = np.empty(entries.size + entries.size // 2 + _SPARE, np.int32)
    larger[: store[0]] = entries[: store[0]]
    return larger


@njit(cache=True, nogil=True)
def _search_with_buckets(
    distance: Any,
    allocation: Any,
    resistance: Any,
    half_steps: Any,
    stride: int,
    eight: bool,
    wraps: bool,
    starts: Any,
    labels: Any,
    stops: Any,
    may_stop: bool,
    max_cost: float,
    scale: float,
) -> float:
    """Fill distance and allocation; return the bound below which ``distance * scale`` is final.

    Bucket b holds the costs with floor(cost * scale) = b. The buckets of the current stretch (b >> 12) are the fine
    ones; later stretches wait in one coarse bucket each and are spread out when their turn comes. An entry is not
    removed when its cell moves to a lower bucket: it is passed over when its turn comes, known by the cell's cost,
    which no longer belongs to the bucket. A cell enters each bucket once, except the bucket at work.
    """
    several = allocation.size > 0
    ends = np.zeros(2 * _BUCKETS, np.int32)
    starts = _start(starts, labels, distance, allocation, resistance, stride, wraps)
    entries = np.empty(starts.size // (_BLOCK - 1) * _BLOCK + 2 * _BLOCK + _SPARE, np.int32)
    store = np.array([_BLOCK, 0])  # the first block stays unused, so that 0 can mean "none"
    offsets = np.array([-stride, -1, 1, stride, -stride - 1, -stride + 1, stride - 1, stride + 1])
    costs = np.empty(8)
    for cell in starts:
        _put(cell, 0, ends, entries, store)
    stretch, fine, waiting, stopped_at = 0, 0, 0, 0

    while True:
        while fine < _BUCKETS and ends[fine] == 0:
            fine += 1
        if fine == _BUCKETS:
            if waiting == 0:
                return np.inf
            stretch += 1
            while ends[_BUCKETS + (stretch & (_BUCKETS - 1))] == 0:
                stretch += 1
            waiting -= 1
            end = np.int64(ends[_BUCKETS + (stretch & (_BUCKETS - 1))])
            ends[_BUCKETS + (stretch & (_BUCKETS - 1))] = 0
            fine = 0
            while end:
                block = (end - 1) & ~(_BLOCK - 1)
                entries = _with_room(entries, store)
                for i in range(block + 1, end):
                    cell = np.int64(entries[i])
                    bucket = _bucket_of(distance[cell], scale)
                    if bucket >> _LEVEL_BITS == stretch:
                        _put(cell, bucket & (_BUCKETS - 1), ends, entries, store)
                end = np.int64(entries[block])
                entries[block] = store[1]
                store[1] = block
            continue

        current = (stretch << _LEVEL_BITS) + fine
        end = np.int64(ends[fine])
        ends[fine] = 0
        while end:
            block = (end - 1) & ~(_BLOCK - 1)
            entries = _with_room(entries, store)
            for i in range(block + 1, min(end, block + 1 + _AHEAD)):
                _fetch_around(np.int64(entries[i]), distance, resistance, stride)
            for i in range(block + 1, end):
                if i + _AHEAD < end:
                    _fetch_around(np.int64(entries[i + _AHEAD]), distance, resistance, stride)
                cell = np.int64(entries[i])
                if _bucket_of(distance[cell], scale) != current:
                    continue
                bits = _settle(cell, distance, resistance, half_steps, stride, eight, costs)
                while bits:
                    k = _lowest_bit(bits)
                    bits &= bits - 1
                    other, cost = cell + offsets[k], costs[k]
                    before = distance[other]
                    if cost > max_cost:
                        continue
                    if cost >= before and not (several and cost == before and allocation[cell] < allocation[other]):
                        continue
                    if wraps:
                        other = _inside(other, stride)
                    distance[other] = cost
                    if several:
                        allocation[other] = allocation[cell]
                    if wraps:
                        _repeat_on_rim(distance, other, stride)
                        if several:
                            _repeat_on_rim(allocation, other, stride)
                    bucket, bucket_before = _bucket_of(cost, scale), _bucket_of(before, scale)
                    if bucket >> _LEVEL_BITS == stretch:
                        if bucket == bucket_before and bucket != current:
                            continue
                        slot = bucket & (_BUCKETS - 1)
                    else:
                        if bucket >> _LEVEL_BITS == bucket_before >> _LEVEL_BITS:
                            continue
                        slot = _BUCKETS + ((bucket >> _LEVEL_BITS) & (_BUCKETS - 1))
                        waiting += ends[slot] == 0
                    # `_put` written out: called here, it makes the whole search a fifth slower.
                    there = np.int64(ends[slot])
                    if there & (_BLOCK - 1) == 0:
                        added = store[1]
                        if added:
                            store[1] = entries[added]
                        else:
                            added = store[0]
                            store[0] = added + _BLOCK
                        entries[added] = there
                        there = added + 1
                    entries[there] = other
                    ends[slot] = there + 1
            end = np.int64(entries[block])
            entries[block] = store[1]
            store[1] = block

        if may_stop and ends[fine] == 0:
            while stopped_at < stops.size and _bucket_of(distance[stops[stopped_at]], scale) <= current:
                stopped_at += 1
            if stopped_at == stops.size:
                return current + 1.0


@njit(cache=True, nogil=True)
def _search_with_heap(
    distance: Any,
    allocation: Any,
    resistance: Any,
    half_steps: Any,
    stride: int,
    eight: bool,
    wraps: bool,
    starts: Any,
    labels: Any,
    stops: Any,
    may_stop: bool,
    max_cost: float,
) -> float:
    """Fill distance and allocation with a 4-ary heap; return the bound below which distances are final.

    An entry stays in the heap when its cell is improved, and is passed over when it comes out.
    """
    several = allocation.size > 0
    starts = _start(starts, labels, distance, allocation, resistance, stride, wraps)
    cells = np.empty(starts.size + 1024, np.int32)
    keys = np.empty(cells.size)
    offsets = np.array([-stride, -1, 1, stride, -stride - 1, -stride + 1, stride - 1, stride + 1])
    costs = np.empty(8)
    size, stopped_at = starts.size, 0
    cells[:size] = starts
    keys[:size] = 0.0

    while size:
        cell, key = np.int64(cells[0]), keys[0]
        size -= 1
        last_cell, last = cells[size], keys[size]
        hole = 0
        while True:
            child = 4 * hole + 1
            if child >= size:
                break
            least = child
            for i in range(child + 1, min(child + 4, size)):
                if keys[i] < keys[least]:
                    least = i
            if keys[least] >= last:
                break
            keys[hole], cells[hole] = keys[least], cells[least]
            hole = least
        keys[hole], cells[hole] = last, last_cell
        if key > distance[cell]:
            continue
        if may_stop:
            while stopped_at < stops.size and distance[stops[stopped_at]] < key:
                stopped_at += 1
            if stopped_at == stops.size:
                return key  # equal costs may still be waiting for a smaller label
        if size + 8 > keys.size:
            more_keys, more_cells = np.empty(2 * keys.size), np.empty(2 * keys.size, np.int32)
            more_keys[:size], more_cells[:size] = keys[:size], cells[:size]
            keys, cells = more_keys, more_cells
        bits = _settle(cell, distance, resistance, half_steps, stride, eight, costs)
        while bits:
            k = _lowest_bit(bits)
            bits &= bits - 1
            other, cost = cell + offsets[k], costs[k]
            before = distance[other]
            if cost > max_cost:
                continue
            if cost >= before and not (several and cost == before and allocation[cell] < allocation[other]):
                continue
            if wraps:
                other = _inside(other, stride)
            distance[other] = cost
            if several:
                allocation[other] = allocation[cell]
            if wraps:
                _repeat_on_rim(distance, other, stride)
                if several:
                    _repeat_on_rim(allocation, other, stride)
            if cost == before and cost > key:
                continue  # it still waits in the heap with this very cost
            hole = size
            size += 1
            while hole and keys[(hole - 1) // 4] > cost:
                parent = (hole - 1) // 4
                keys[hole], cells[hole] = keys[parent], cells[parent]
                hole = parent
            keys[hole], cells[hole] = cost, other
    return np.inf


@njit(cache=True, nogil=True)
def _forget_beyond(distance: Any, scale: float, bound: float) -> None:
    for cell in range(distance.size):
        if not distance[cell] * scale < bound:
            distance[cell] = np.inf


@njit(cache=True, nogil=True)
def _directions(
    distance: Any, allocation: Any, resistance: Any, half_steps: Any, stride: int, eight: bool, direction: Any
) -> int:
    """Write the direction of every cell; return how many have no neighbour of less cost that leads to a source.

    A cell's least cost arrives from the neighbour whose cost plus the edge between them is that cost to the last bit.
    None may be of less cost only where an edge is so small beside the accumulated cost that adding it changes nothing.
    """
    several = allocation.size > 0
    rows, cols = direction.shape
    found = np.empty(cols, np.int64)
    unresolved = 0
    for i in range(rows):
        start = (i + 1) * stride + 1
        cost, here = distance[start : start + cols], resistance[start : start + cols]
        found[:] = _UNRESOLVED
        for k in range(7 if eight else 3, -1, -1):  # the first direction is written last, so that it stays
            half = half_steps[i + 1, _part_of_steps(k)]
            first = start + ROW_STEPS[k] * stride + COLUMN_STEPS[k]
            cost_there, there = distance[first : first + cols], resistance[first : first + cols]
            if several:
                label, label_there = allocation[start : start + cols], allocation[first : first + cols]
                for j in range(cols):
                    arrives = cost_there[j] + half * (here[j] + there[j]) == cost[j]
                    arrives = arrives & (cost_there[j] < cost[j]) & (label_there[j] == label[j])
                    found[j] = k if arrives else found[j]
            else:
                for j in range(cols):
                    arrives = cost_there[j] + half * (here[j] + there[j]) == cost[j]
                    found[j] = k if arrives & (cost_there[j] < cost[j]) else found[j]
        for j in range(cols):
            k = SOURCE if cost[j] == 0.0 else found[j]
            k = NOT_REACHED if cost[j] == np.inf else k
            unresolved += k == _UNRESOLVED
            direction[i, j] = k
    return unresolved


@njit(cache=True, nogil=True)
def _part_of_steps(k: int) -> int:
    """Return the column of ``half_steps`` that belongs to a direction."""
    if ROW_STEPS[k] == 0:
        return 0
    return (1 if ROW_STEPS[k] < 0 else 2) + (2 if COLUMN_STEPS[k] else 0)


@njit(cache=True, nogil=True)
def _resolve_plateaus(
    distance: Any, allocation: Any, resistance: Any, half_steps: Any, stride: int, eight: bool, direction: Any
) -> int:
    """Lead unresolved cells to resolved neighbours of the same cost; return how many are left for another pass."""
    several = allocation.size > 0
    rows, cols = direction.shape
    unresolved = 0
    for i in range(rows):
        for j in range(cols):
            if direction[i, j] != _UNRESOLVED:
                continue
            c = (i + 1) * stride + 1 + j
            for k in range(8 if eight else 4):
                other = c + ROW_STEPS[k] * stride + COLUMN_STEPS[k]
                edge = half_steps[i + 1, _part_of_steps(k)] * (resistance[c] + resistance[other])
                if distance[other] + edge == distance[c] and (not several or allocation[other] == allocation[c]):
                    known = direction[i + ROW_STEPS[k], (j + COLUMN_STEPS[k]) % cols]
                    if known != _UNRESOLVED:
                        direction[i, j] = k
                        break
            unresolved += direction[i, j] == _UNRESOLVED
    return unresolved


@njit(cache=True, nogil=True)
def _crop(distance: Any, allocation: Any, rows: int, cols: int, several: bool, label: int) -> None:
    """Move the raster to the front of its arrays, without the rim, and finish the allocation."""
    stride = cols + 2
    for i in range(rows):
        start = (i + 1) * stride + 1
        for j in range(cols):
            cost = distance[start + j]
            owner = allocation[start + j] if several else label
            distance[i * cols + j] = cost
            allocation[i * cols + j] = owner if cost < np.inf else -1


@njit(cache=True, nogil=True)
def _trace(direction: Any, cell: int, wraps: bool) -> Any:
    rows, cols = direction.shape
    i, j = cell // cols, cell % cols
    if direction[i, j] == NOT_REACHED:
        return np.empty(0, np.int64)
    path = np.empty(rows + cols, np.int64)
    count = 0
    while True:
        if count == path.size:
            longer = np.empty(2 * count, np.int64)
            longer[:count] = path
            path = longer
        path[count] = i * cols + j
        count += 1
        k = direction[i, j]
        if k == SOURCE:
            return path[:count].copy()
        i, j = i + ROW_STEPS[k], j + COLUMN_STEPS[k]
        if wraps:
            j %= cols
