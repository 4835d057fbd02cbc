"""What a call will take, foreseen from a measured sample: the very work, on a thinned copy of the user's own landscape.

A thinned raster takes one passable cell from each block of cells and spans the same extent, so that cores, links,
distances in metres and costs stay what they are, and only the number of cells falls. Samples grow fourfold until one
takes long enough to be told from noise; what is left of the way is scaled by how the work is known to grow with cells.
Where there is much of the same (focal nodes, links, ends), a sample takes a few, then more of them, and the difference
stands for the rest. Memory is modelled: bytes for each cell, as measured by ``benchmarks/estimates.py``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["Estimate", "Sampled", "Taken", "sampled", "sampled_items", "taken", "thinned"]

Shape = tuple[int, int]
Job = Callable[[], object]

FIRST_CELLS = 10_000  # of the smallest sample
GROWTH = 4  # cells of one sample to those of the one before
ENOUGH = 0.8  # seconds of a sample that tells enough
BUDGET = 5.0  # seconds for all samples together
PROCESS_BYTES = 0.38e9  # Python with the libraries and compiled kernels, before any raster
LOADING = 0.7  # seconds until libraries and compiled kernels are loaded
COMPILED = 3.0  # a first run that takes so many seconds longer than the second has compiled, not only loaded


@dataclass(frozen=True)
class Estimate:
    """What a call will take on this machine.

    ``cpu_seconds`` are added over cores; ``memory_bytes`` is the peak of the whole process; ``job`` says what there is
    to do, ``sample`` what was measured, ``compile_seconds`` what compiling took before, which later runs are spared.
    """

    seconds: float
    cpu_seconds: float
    memory_bytes: float
    job: str
    sample: str
    compile_seconds: float = 0.0

    def __str__(self) -> str:
        compiled = ""
        if self.compile_seconds:
            compiled = f"; before that, kernels were compiled in {_duration(self.compile_seconds)}, once and for all"
        return f"about {_duration(self.seconds)} and {_size(self.memory_bytes)}: {self.job}; {self.sample}{compiled}"


@dataclass(frozen=True)
class Taken:
    """Elapsed and processor seconds."""

    seconds: float
    cpu: float

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.seconds + other.seconds, self.cpu + other.cpu)

    def __sub__(self, other: Taken) -> Taken:
        return Taken(max(self.seconds - other.seconds, 0.0), max(self.cpu - other.cpu, 0.0))

    def times(self, factor: float) -> Taken:
        return Taken(self.seconds * factor, self.cpu * factor)

    def at_most(self, other: Taken) -> Taken:
        return Taken(min(self.seconds, other.seconds), min(self.cpu, other.cpu))


def taken(job: Job) -> Taken:
    """Run a job out of sight of whoever watches progress, keeps results or collects notes."""
    start, cpu = time.perf_counter(), time.process_time()
    Context().run(job)
    return Taken(time.perf_counter() - start, time.process_time() - cpu)


@dataclass(frozen=True)
class Sampled:
    """What samples say about the whole."""

    whole: Taken
    sample: str
    compile_seconds: float = 0.0
    cells: int = 0
    """Of the largest sample."""

    def times(self, factor: float) -> Sampled:
        """The same for so many times the work."""
        return replace(self, whole=self.whole.times(factor))

    def estimate(
        self, memory_bytes: float, job: str, *, slower: float = 1.0, process_bytes: float = PROCESS_BYTES
    ) -> Estimate:
        """The estimate; the whole runs on fewer threads than its samples by the factor ``slower``."""
        return Estimate(
            LOADING + self.whole.seconds * slower, LOADING + self.whole.cpu, process_bytes + memory_bytes, job,
            self.sample, self.compile_seconds,
        )  # fmt: skip


def sampled(
    shape: Shape,
    prepare: Callable[[Shape, int], Job],
    *,
    items: int = 1,
    few: int = 1,
    more: int = 2,
    power: float = 1.0,
) -> Sampled:
    """Foresee work on a raster from samples of it.

    ``prepare(shape, n)`` makes a sample ready (that is not timed) on a raster of this shape with n of the ``items``,
    and returns the job to be timed. Samples hold ``few`` items, the last one also ``more``. Time grows with the cells
    to the ``power``. A sample that thinning makes impossible is passed over for the next; the last refusal stands.
    """
    began = time.perf_counter()
    few, more = min(few, items), min(more, items)
    first, warming = None, 0.0
    runs: list[tuple[Shape, Taken]] = []
    for size in _growing(shape):
        try:
            job = prepare(size, few)
            if first is None:
                first = taken(job)
                began += first.seconds
            run = _steady(job)
        except LinkwaysError:
            if size == shape or time.perf_counter() - began > BUDGET:
                raise
            continue
        if not runs:
            warming = max(first.seconds - run.seconds, 0.0)
        runs.append((size, run))
        # the next one, and one with more items; the smallest alone tells too little, so that the second is waited for
        further = GROWTH * run.seconds * (3 if more > few else 1)
        spent = time.perf_counter() - began if len(runs) > 1 else 0.0
        if run.seconds > ENOUGH or spent + further > BUDGET:
            break
    last, run = runs[-1]
    each = Taken(0.0, 0.0)
    if more > few:
        each = run.times(1 / few)
        # by no more than that, whatever other programs did meanwhile
        with suppress(LinkwaysError):
            each = (taken(prepare(last, more)) - run).times(1 / (more - few)).at_most(each)
    whole = _grown(runs, shape, power, each.times(items - few))
    told = f"measured on {_thinned_to(last, shape)}"
    return _said(whole, warming, told, began, cells=last[0] * last[1])


def sampled_items(
    sample: Callable[[int], object], items: int, *, told: str, few: int = 1, fixed: bool = True
) -> Sampled:
    """Foresee work that consists of many like items from some of them, spread over all: ``sample(n)`` does n.

    ``fixed``: part of a sample's time does not grow with its items; otherwise all does.
    """
    began = time.perf_counter()
    count = min(few, items)
    job = partial(sample, count)
    first = taken(job)
    began += first.seconds
    before, run = Taken(0.0, 0.0), _steady(job)
    warming = max(first.seconds - run.seconds, 0.0)
    while count < items and run.seconds < ENOUGH and time.perf_counter() - began + 2 * run.seconds < BUDGET:
        before, count = run, min(2 * count, items)
        run = taken(partial(sample, count))
    once = _fixed(before, run, 2.0) if fixed and before.cpu else 0.0
    whole = run.times(once + (1 - once) * items / count)
    return _said(whole, warming, f"measured on {_share(count, items)} {told}", began)


def _said(whole: Taken, warming: float, told: str, began: float, *, cells: int = 0) -> Sampled:
    """What was sampled; ``warming`` is by how much the first run took longer: to load kernels, or to compile them."""
    sample = f"{told} in {time.perf_counter() - began:.1f} s"
    return Sampled(whole, sample, warming if warming >= COMPILED else 0.0, cells)


def _share(count: int, items: int) -> str:
    return "all" if count == items else f"{float(f'{100 * count / items:.2g}'):g} %"


def _growing(shape: Shape) -> Iterator[Shape]:
    """Shapes of growing samples, the whole at last."""
    rows, columns = shape
    cells = FIRST_CELLS
    while cells * 1.5 < rows * columns:
        share = math.sqrt(cells / (rows * columns))
        yield max(1, round(rows * share)), max(1, round(columns * share))
        cells *= GROWTH
    yield shape


def _steady(job: Job) -> Taken:
    """The time of a job that has run before; where it is short, the quickest of two or three, in either clock."""
    found = total = taken(job)
    for _ in range(2):
        if total.seconds > ENOUGH:
            break
        again = taken(job)
        found, total = found.at_most(again), total + again
    return found


def _grown(runs: list[tuple[Shape, Taken]], shape: Shape, power: float, further: Taken) -> Taken:
    """The last run at the size of the whole: what does not grow with cells (seen from the last two), and what does."""
    (rows, columns), run = runs[-1]
    growth = (shape[0] * shape[1] / (rows * columns)) ** power
    fixed = 0.0
    if len(runs) > 1:
        (r, c), before = runs[-2]
        fixed = _fixed(before, run, (rows * columns / (r * c)) ** power)
    return (run + further).times(fixed + (1 - fixed) * growth)


def _fixed(before: Taken, run: Taken, growth: float) -> float:
    """The share of a run that does not grow, if the rest grew so much since the run before."""
    # in processor time, which other programs on the machine spoil least
    fixed = (before.cpu * growth - run.cpu) / (growth - 1)
    return min(max(fixed, 0.0), 0.8 * before.cpu) / run.cpu


def _thinned_to(size: Shape, shape: Shape) -> str:
    whole = "your raster" if size == shape else "your raster thinned to"
    return f"{whole} {'itself' if size == shape else f'{size[0]:,} x {size[1]:,} cells'}"


# --- a smaller landscape of the same extent ------------------------------------------------------------------------


def thinned(
    arguments: dict[str, Any],
    shape: Shape,
    passable: NDArray[np.bool_],
    *,
    apart: Collection[str] = (),
    peaks: Collection[str] = (),
    texture: str | None = None,
) -> dict[str, Any]:
    """The arguments of a method on thinned rasters.

    Every block of cells gives the values of one of its ``passable`` (rows, columns) cells, nodata where it has none;
    rasters named in ``peaks``, which hold little but nodata, give their largest value. Features of the layers named in
    ``apart`` that have less than two cells left move to the nearest passable cell that no other one holds.

    Thinned ground is rougher than the whole, which circuits take longer to solve. The raster named ``texture`` has the
    values of neighbouring cells in one window of the whole instead, where these are passable.
    """
    if shape == passable.shape:
        return arguments
    chosen = _chosen(passable, shape)
    out = dict(arguments)
    for name, value in arguments.items():
        if type(value).__name__ == "DataArray" and value.shape == passable.shape:
            out[name] = _thin_raster(value, chosen, name in peaks)
    if texture is not None:
        window = _fullest(passable, shape)
        neighbours = (chosen >= 0) & passable[window]
        out[texture] = out[texture].copy(data=np.where(neighbours, arguments[texture].values[window], out[texture]))
    ground = next(raster for raster in out.values() if type(raster).__name__ == "DataArray")
    layers = [name for name in apart if out.get(name) is not None]
    if layers:
        out |= dict(zip(layers, _set_apart([out[name] for name in layers], ground, chosen >= 0), strict=True))
    return out


def _starts(cells: int, blocks: int) -> NDArray[np.intp]:
    return np.arange(blocks) * cells // blocks


def _chosen(passable: NDArray[np.bool_], shape: Shape) -> NDArray[np.intp]:
    """The last passable cell of each block, flat; -1 where it has none."""
    rows, columns = passable.shape
    along = np.where(passable, np.arange(columns, dtype=np.int32), np.int32(-1))
    along = np.maximum.reduceat(along, _starts(columns, shape[1]), axis=1)
    flat = np.where(along >= 0, np.arange(rows)[:, None] * columns + along, -1)
    return np.maximum.reduceat(flat, _starts(rows, shape[0]), axis=0)


def _fullest(passable: NDArray[np.bool_], shape: Shape) -> tuple[slice, slice]:
    """The window of this shape, of nine, with the most passable cells."""
    rows, columns = ((0, (n - m) // 2, n - m) for n, m in zip(passable.shape, shape, strict=True))
    windows = [np.s_[y : y + shape[0], x : x + shape[1]] for y in rows for x in columns]
    return max(windows, key=lambda window: int(passable[window].sum()))


def _thin_raster(raster: xr.DataArray, chosen: NDArray[np.intp], peak: bool) -> xr.DataArray:
    from affine import Affine

    from linkways.spatial import grid_of

    grid = grid_of(raster)
    rows, columns = chosen.shape
    if peak:
        values = np.fmax.reduceat(raster.values, _starts(grid.columns, columns), axis=1)
        values = np.fmax.reduceat(values, _starts(grid.rows, rows), axis=0)
    else:
        values = np.where(chosen >= 0, np.asarray(raster.values, float).ravel()[chosen], np.nan)
    dx, dy = grid.dx * grid.columns / columns, grid.dy * grid.rows / rows
    small = raster.isel(y=slice(rows), x=slice(columns)).copy(data=values)
    small = small.assign_coords(x=grid.x0 + dx * (np.arange(columns) + 0.5), y=grid.y0 + dy * (np.arange(rows) + 0.5))
    placed: xr.DataArray = small.rio.write_transform(Affine(dx, 0.0, grid.x0, 0.0, dy, grid.y0))
    return placed


def _set_apart(
    layers: list[gpd.GeoDataFrame], ground: xr.DataArray, passable: NDArray[np.bool_]
) -> list[gpd.GeoDataFrame]:
    import shapely
    from rasterio.transform import rowcol

    from linkways.spatial import feature_of_cell, grid_of

    free = passable.copy()
    small = []
    for layer in layers:
        owner = feature_of_cell(layer, ground)
        cells = np.bincount(owner[passable & (owner >= 0)], minlength=len(layer))
        small.append(np.flatnonzero(cells < 2))
        free &= (owner < 0) | np.isin(owner, small[-1])
    transform = grid_of(ground).transform
    moved = []
    for layer, some in zip(layers, small, strict=True):
        shapes = layer.geometry.values.copy()
        for n in some:
            point = shapes[n].representative_point()
            row, column = rowcol(transform, point.x, point.y)
            row, column = _nearest(free, int(row), int(column))
            free[row, column] = False
            shapes[n] = shapely.Point(float(ground.x[column]), float(ground.y[row]))
        moved.append(layer.set_geometry(shapes, crs=layer.crs))
    return moved


def _nearest(free: NDArray[np.bool_], row: int, column: int) -> Shape:
    """The nearest free cell, looked for in squares of growing size; the cell itself where none is left."""
    reach = 1
    while reach < 2 * max(free.shape):
        top, left = max(row - reach, 0), max(column - reach, 0)
        found = np.argwhere(free[top : max(row + reach + 1, 0), left : max(column + reach + 1, 0)])
        if len(found):
            away = np.hypot(found[:, 0] + top - row, found[:, 1] + left - column)
            best = found[int(away.argmin())]
            return int(best[0]) + top, int(best[1]) + left
        reach *= 2
    return row, column


# --- words ---------------------------------------------------------------------------------------------------------


def _duration(seconds: float) -> str:
    """Two figures are all that an estimate knows."""
    if seconds < 90:
        return f"{float(f'{seconds:.2g}'):g} s" if seconds >= 0.1 else "0.1 s"
    if seconds < 5400:
        return f"{float(f'{seconds / 60:.2g}'):g} minutes"
    if seconds < 36 * 3600:
        return f"{float(f'{seconds / 3600:.2g}'):g} hours"
    return f"{float(f'{seconds / 86400:.2g}'):g} days"


def _size(bytes_: float) -> str:
    return f"{bytes_ / 1e9:.1f} GB" if bytes_ < 9.95e9 else f"{bytes_ / 1e9:,.0f} GB"
