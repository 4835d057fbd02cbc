"""Moving windows over a landscape: which targets, which windows, and the maps that all of them add up to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError
from linkways.method import progress
from linkways.spatial import note

if TYPE_CHECKING:
    from linkways.kernels.laplacian import StepLengths
    from linkways.kernels.windows import Conditions, Shape

__all__ = [
    "Condition",
    "Landscape",
    "Maps",
    "Windows",
    "Work",
    "moving_windows",
    "refuse_unfit",
    "source_strength",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]


@dataclass(frozen=True)
class Landscape:
    """What current flows through: conductance (NaN: no node), source strengths (0: none), and step lengths in metres.

    Without ``steps`` cells are unit squares.
    """

    conductance: Floats
    sources: Floats
    steps: StepLengths | None = None
    neighbours: Literal[4, 8] = 8


@dataclass(frozen=True)
class Condition:
    """A layer that source and target are compared by; the target takes its value from ``future``."""

    present: Floats
    future: Floats
    rule: Literal["within", "equal"] = "within"
    lower: float = 0.0
    upper: float = 0.0


@dataclass(frozen=True)
class Windows:
    """The moving window: one radius (cells or metres), buffer and block in cells, and how windows are computed.

    ``omniscape`` reproduces Omniscape's placing of the emptied block at the raster's edges, its choice among equally
    frequent values and its sources of unknown condition.
    """

    radius_cells: float | None = None
    radius_m: float | None = None
    buffer: int = 0
    block: int = 1
    conditions: tuple[Condition, ...] = ()
    decay_m: float | None = None
    correct: bool = True
    potential: bool = True
    omniscape: bool = False
    tolerance: float = 1e-3
    batch: int | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Maps:
    """The maps of all windows together, how many windows there were, and the largest estimated error of one."""

    current: Floats
    potential: Floats | None
    windows: int
    error: float

    @property
    def normalised(self) -> Floats:
        """Current over flow potential, 0 where both are 0."""
        assert self.potential is not None
        out = np.zeros_like(self.current)
        np.divide(self.current, self.potential, out=out, where=self.potential > 0)
        return out


def source_strength(conductance: Floats, r_cutoff: float) -> Floats:
    """Conductance as source strength, 0 where there is no node or its resistance is above the cut-off."""
    known = np.isfinite(conductance)
    return np.where(known & (np.where(known, conductance, 0.0) >= 1.0 / r_cutoff), conductance, 0.0)


def refuse_unfit(land: Landscape, windows: Windows) -> None:
    """Refuse, in one sentence, sources and windows that cannot give a map."""
    strength = land.sources
    bad = ~np.isfinite(strength) | (strength < 0)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise LinkwaysError(
            f"source strength has {int(bad.sum())} cells that are negative or infinite, first at row {row} column "
            f"{column} ({strength[row, column]:g}); set them to 0 or to a value above 0"
        )
    if not (strength > 0).any():
        raise LinkwaysError(
            "no cell is a source: all source strengths are 0 or below the threshold; lower the source threshold, raise "
            "the largest resistance of a source, or check the source layer"
        )
    rows, columns = strength.shape
    for row in {0, rows // 2, rows - 1}:
        _refuse_window(windows, _radii(land, windows, row), rows, columns)


def _refuse_window(windows: Windows, radii: tuple[float, float], rows: int, columns: int) -> None:
    high, wide = radii
    if min(high, wide) < 1:
        raise LinkwaysError(
            f"the window's radius is {min(high, wide):.3g} cells; give a radius of at least the width of one cell"
        )
    if int(high) + windows.buffer >= rows or int(wide) + windows.buffer >= columns:
        raise LinkwaysError(
            f"the window (radius {int(high)} x {int(wide)} cells and buffer {windows.buffer}) is larger than the "
            f"raster of {rows} x {columns} cells; give a smaller radius or a larger raster"
        )
    if windows.block // 2 >= min(int(high), int(wide)):
        raise LinkwaysError(
            f"a block of {windows.block} cells fills the window of radius {min(int(high), int(wide))} cells and leaves "
            f"no sources; give a block_size of at most {max(2 * min(int(high), int(wide)) - 1, 1)}"
        )
    if windows.block > min(rows, columns):
        raise LinkwaysError(
            f"a block of {windows.block} cells is larger than the raster of {rows} x {columns} cells; give a smaller "
            "block_size"
        )


def moving_windows(land: Landscape, windows: Windows) -> Maps:
    """Return the maps of all windows: every block's centre is grounded in turn and fed by the sources around it.

    Windows are computed in batches of neighbours, side by side; each batch builds the edges of the area it covers once.
    The sums run in a fixed order, so that the maps do not depend on how many batches run at once.
    """
    from linkways.checkpoint import resumed
    from linkways.workers import each

    refuse_unfit(land, windows)
    work = Work(land, windows)
    batches = list(work.batches())
    sums = _Sums(land.conductance.shape, windows.potential)
    content = land, replace(windows, threads=None)
    with resumed("moving windows", content, sums.arrays) as kept:
        total = len(work.targets.rows)
        progress(sums.windows / total, f"window {sums.windows} of {total}" if kept.first else f"{total} windows")
        left = batches[kept.first :]
        for done, part in enumerate(each(_run_batch, work, left, threads=windows.threads), kept.first + 1):
            sums.add(part)
            kept.keep(done)
            progress(sums.windows / total, f"window {sums.windows} of {total}")
    if sums.unmatched:
        note(f"{sums.unmatched} of {total} targets have no value of a condition in their block and received no current")
    return Maps(sums.current, sums.potential, sums.windows, sums.error)


class _Sums:
    """What the windows so far add up to; all of it lies in arrays, which can be kept."""

    def __init__(self, shape: tuple[int, int], potential: bool) -> None:
        self.current = np.zeros(shape)
        self.potential = np.zeros(shape) if potential else None
        self._counts = np.zeros(2, np.int64)
        self._error = np.zeros(())

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        found: dict[str, NDArray[np.generic]] = {
            "current": self.current, "counts": self._counts, "error": self._error
        }  # fmt: skip
        return found if self.potential is None else {**found, "potential": self.potential}

    @property
    def windows(self) -> int:
        return int(self._counts[0])

    @property
    def unmatched(self) -> int:
        return int(self._counts[1])

    @property
    def error(self) -> float:
        return float(self._error)

    def add(self, part: _BatchMaps) -> None:
        rows, columns = part.current.shape
        place = np.s_[part.top : part.top + rows, part.left : part.left + columns]
        self.current[place] += part.current
        if self.potential is not None:
            self.potential[place] += part.potential
        self._counts += part.windows, part.unmatched
        self._error[...] = max(self.error, part.error)


# --- targets -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Targets:
    """Block centres that receive current: cells, strengths, and their values of each condition (targets, k)."""

    rows: Integers
    columns: Integers
    strengths: Floats
    values: Floats


def _blocks(layer: Floats, block: int) -> Floats:
    """The whole blocks of a layer, (block rows, block columns, block, block); leftover cells belong to none."""
    high, wide = layer.shape[0] // block, layer.shape[1] // block
    whole = layer[: high * block, : wide * block]
    return whole.reshape(high, block, wide, block).transpose(0, 2, 1, 3)


def _find_targets(land: Landscape, windows: Windows) -> _Targets:
    strengths = _blocks(land.sources, windows.block).sum(axis=(2, 3))
    high, wide = np.nonzero(strengths > 0)
    values = [_block_values(c, windows, high, wide) for c in windows.conditions]
    half = windows.block // 2
    return _Targets(
        high * windows.block + half,
        wide * windows.block + half,
        strengths[high, wide],
        np.stack(values, axis=1) if values else np.zeros((len(high), 0)),
    )


def _block_values(condition: Condition, windows: Windows, high: Integers, wide: Integers) -> Floats:
    """The value of each target: median of its block, or its most frequent value; NaN where all are unknown."""
    cells = _blocks(condition.future, windows.block)[high, wide]
    values = cells.transpose(0, 2, 1).reshape(len(high), windows.block**2)
    out = np.full(len(high), np.nan)
    known = np.isfinite(values).any(axis=1)
    if condition.rule == "within":
        out[known] = np.nanmedian(values[known], axis=1)
    else:
        most = _first_most_frequent if windows.omniscape else _least_most_frequent
        out[known] = [most(v[np.isfinite(v)]) for v in values[known]]
    return out


def _least_most_frequent(values: Floats) -> float:
    """The most frequent value, the least of several: it does not depend on the raster's orientation."""
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()])


def _first_most_frequent(values: Floats) -> float:
    """The value that reaches the largest count first, going down the columns."""
    counts: dict[float, int] = {}
    best, top = values[0], 0
    for value in values:
        counts[value] = counts.get(value, 0) + 1
        if counts[value] > top:
            best, top = value, counts[value]
    return float(best)


# --- windows -------------------------------------------------------------------------------------------------


def _radii(land: Landscape, windows: Windows, row: int) -> tuple[float, float]:
    """The window's radius around a target of this row, in cells down and across."""
    if windows.radius_cells is not None:
        return windows.radius_cells, windows.radius_cells
    assert windows.radius_m is not None
    across, down = _cell_size(land, row)
    return windows.radius_m / down, windows.radius_m / across


def _cell_size(land: Landscape, row: int) -> tuple[float, float]:
    """Metres (cells, without steps) between neighbours along the row and along the column."""
    if land.steps is None:
        return 1.0, 1.0
    gap = min(row, len(land.steps.north_south) - 1)
    return float(land.steps.east_west[row]), float(land.steps.north_south[gap])


def _reach(high: float, wide: float, half: int) -> Integers:
    """How many columns an ellipse reaches on either side, for rows -half to half from its centre; -1 for none."""
    away = np.arange(-half, half + 1) / high
    inside = np.abs(away) <= 1 + 1e-12
    width = wide * np.sqrt(np.maximum(1 - away**2, 0.0))
    return np.where(inside, np.floor(width + 1e-9), -1).astype(np.intp)


def _build_shape(land: Landscape, windows: Windows, row: int, heights: Integers, widths: Integers) -> Shape:
    """The window around targets of this row; ``heights`` and ``widths`` are those of its boxes inside the raster."""
    from linkways.kernels.windows import Shape
    from linkways.kernels.windows_null import lines

    high, wide = _radii(land, windows, row)
    across, down = _cell_size(land, row)
    half_rows, half_columns = int(high + 1e-9) + windows.buffer, int(wide + 1e-9) + windows.buffer
    diagonal = down / math.hypot(across, down) if land.neighbours == 8 else 0.0
    one = np.ones((1, 1))
    shape = Shape(
        half_rows,
        half_columns,
        _reach(high + windows.buffer, wide + windows.buffer, half_rows),
        _reach(high, wide, half_rows),
        _decay(windows, across, down, half_rows, half_columns),
        one,
        down / across,
        1.0,
        diagonal,
        lines(heights, down / across, diagonal),
        lines(widths, 1.0, diagonal),
    )
    if windows.block == 1 or not windows.correct:
        return shape
    return shape._replace(factor=_block_correction(shape, windows.block, (across, down), land.neighbours))


def _decay(windows: Windows, across: float, down: float, half_rows: int, half_columns: int) -> Floats:
    if windows.decay_m is None:
        return np.ones((1, 1))
    y = np.arange(-half_rows, half_rows + 1) * down
    x = np.arange(-half_columns, half_columns + 1) * across
    weight: Floats = np.exp(-np.hypot(y[:, None], x) / windows.decay_m)
    return weight


def _block_correction(shape: Shape, block: int, cell: tuple[float, float], neighbours: Literal[4, 8]) -> Floats:
    """What the current of a block's window lacks against that of a window for each of its cells, where all is equal.

    On a window of equal resistance: the sum of the currents to each cell of the block alone, over the current of the
    window that gathers the block's strength at its centre and leaves out its sources; 1 where either is 0.
    """
    rows, columns = 2 * shape.half_rows + 1, 2 * shape.half_columns + 1
    place = np.arange(columns) - shape.half_columns
    window = np.abs(place) <= shape.reach[:, None]
    near = (np.abs(place) <= shape.source_reach[:, None]) * (shape.weight if shape.weight.size > 1 else 1.0)
    centre = (shape.half_rows, shape.half_columns)
    alone = near.copy()
    alone[centre] = 0.0
    gathered = near.copy()
    half = block // 2
    gathered[centre[0] - half : centre[0] + half + 1, centre[1] - half : centre[1] + half + 1] = 0.0
    total, found = _disk_currents(
        window, np.stack([alone / alone.sum(), gathered * (block**2 / gathered.sum())]), cell, neighbours
    )
    padded = np.pad(total, half)
    spread = sum(padded[i : i + rows, j : j + columns] for i in range(block) for j in range(block))
    return np.divide(spread, found, out=np.ones_like(found), where=(spread > 0) & (found > 0))


def _disk_currents(
    window: NDArray[np.bool_], sources: Floats, cell: tuple[float, float], neighbours: Literal[4, 8]
) -> tuple[Floats, ...]:
    """The current of each source map to the centre of a window of equal resistance."""
    from linkways.kernels.current import node_currents
    from linkways.kernels.laplacian import StepLengths, raster_stencil
    from linkways.kernels.multigrid import build_hierarchy, solve

    rows, columns = window.shape
    across, down = cell[0] / cell[1], 1.0
    gaps = np.ones(rows - 1)
    steps = StepLengths(np.full(rows, across), gaps * down, gaps * math.hypot(across, down))
    stencil = raster_stencil(np.where(window, 1.0, np.nan), neighbours=neighbours, steps=steps)
    balanced = sources.copy()
    balanced[:, rows // 2, columns // 2] -= sources.sum(axis=(1, 2))
    solution = solve(build_hierarchy(stencil), balanced, tolerance=1e-12)
    return tuple(node_currents(stencil, v) for v in solution.voltages)


# --- batches -------------------------------------------------------------------------------------------------


class _BatchMaps(NamedTuple):
    """What the windows of one batch add to the maps, from (top, left)."""

    top: int
    left: int
    current: Floats
    potential: Floats
    windows: int
    unmatched: int
    error: float


class Work:
    """The landscape, the targets, and the window's shape where it is the same everywhere."""

    def __init__(self, land: Landscape, windows: Windows) -> None:
        self.land = land
        self.windows = windows
        self.targets = _find_targets(land, windows)
        self.shape = None if self.varies else self._shape_for(np.arange(len(self.targets.rows)))

    @cached_property
    def varies(self) -> bool:
        """Whether the size of cells changes from row to row."""
        steps = self.land.steps
        if steps is None:
            return False
        return any(len(s) > 1 and np.ptp(s) > 1e-9 * s[0] for s in (steps.east_west, steps.north_south))

    def shape_of(self, batch: Integers) -> Shape:
        """The window of a batch whose targets lie in one row, or the one window of all."""
        return self._shape_for(batch) if self.shape is None else self.shape

    def _shape_for(self, batch: Integers) -> Shape:
        rows, columns = self.targets.rows[batch], self.targets.columns[batch]
        high, wide = _radii(self.land, self.windows, int(rows[0]))
        half_rows, half_columns = (int(r + 1e-9) + self.windows.buffer for r in (high, wide))
        shape = self.land.conductance.shape
        heights = np.minimum(rows + half_rows, shape[0] - 1) - np.maximum(rows - half_rows, 0) + 1
        widths = np.minimum(columns + half_columns, shape[1] - 1) - np.maximum(columns - half_columns, 0) + 1
        return _build_shape(self.land, self.windows, int(rows[0]), heights, widths)

    def batches(self) -> Iterator[Integers]:
        """Targets in groups of neighbours, row by row where the window changes with the row."""
        rows, columns = self.targets.rows // self.windows.block, self.targets.columns // self.windows.block
        high, wide = _radii(self.land, self.windows, int(self.targets.rows[0]))
        cells = (2 * high + 1) * (2 * wide + 1)
        many = self.windows.batch or int(min(max(2e6 / cells, 16), 4096))
        down = 1 if self.varies else max(1, math.isqrt(many))
        across = max(1, many // down)
        group = (rows // down) * (columns.max() // across + 1) + columns // across
        order = np.argsort(group, kind="stable")
        yield from np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _run_batch(work: Work, batch: Integers) -> _BatchMaps:
    """The maps of one batch of windows."""
    from linkways.kernels.laplacian import StepLengths
    from linkways.kernels.windows import Sources, build_terrain, run_windows

    land, windows, targets = work.land, work.windows, work.targets
    shape = work.shape_of(batch)
    total_rows, total_columns = land.conductance.shape
    top = max(int(targets.rows[batch].min()) - shape.half_rows, 0)
    bottom = min(int(targets.rows[batch].max()) + shape.half_rows + 1, total_rows)
    left = max(int(targets.columns[batch].min()) - shape.half_columns, 0)
    right = min(int(targets.columns[batch].max()) + shape.half_columns + 1, total_columns)
    area = np.s_[top:bottom, left:right]
    steps = land.steps
    if steps is not None:
        scale = steps.north_south[top] if len(steps.north_south) > top else 1.0
        gaps = np.s_[top : bottom - 1]
        steps = StepLengths(
            steps.east_west[top:bottom] / scale, steps.north_south[gaps] / scale, steps.diagonal[gaps] / scale
        )
    part = replace(land, conductance=land.conductance[area], sources=land.sources[area], steps=steps)
    terrain = build_terrain(part.conductance, steps=steps, neighbours=land.neighbours)
    sources = Sources(np.ascontiguousarray(part.sources), windows.block // 2, windows.omniscape)
    conditions = _batch_conditions(windows, area, targets.values[batch])
    cells = np.column_stack([targets.rows[batch] - top, targets.columns[batch] - left])
    current = np.zeros(part.conductance.shape)
    potential = np.zeros(part.conductance.shape) if windows.potential else np.zeros((1, 1))
    report = np.zeros((len(batch), 2))
    run_windows(
        terrain, shape, sources, conditions, cells, targets.strengths[batch], np.arange(len(batch)),
        windows.tolerance, 0, 0, current, potential, report,
    )  # fmt: skip
    for failed in np.flatnonzero(report[:, 1] < 0):
        window = int(failed)
        strength = targets.strengths[batch[window]]
        residual, solved = _solve_apart(part, shape, sources, conditions, cells[window], strength, window, current)
        if not solved:
            raise LinkwaysError(
                f"the window around row {targets.rows[batch[window]]} column {targets.columns[batch[window]]} could "
                f"not be solved (residual {residual:.1e}); narrow the range of resistances around it"
            )
        report[window, 0] = residual
    unmatched = int(np.isnan(conditions.target).any(axis=1).sum())
    return _BatchMaps(top, left, current, potential, len(batch), unmatched, float(report[:, 0].max()))


def _batch_conditions(windows: Windows, area: tuple[slice, slice], values: Floats) -> Conditions:
    from linkways.kernels.windows import Conditions

    layers = windows.conditions
    present = np.stack([c.present[area] for c in layers]) if layers else np.zeros((0, 1, 1))
    return Conditions(
        np.ascontiguousarray(present),
        np.ascontiguousarray(values),
        np.array([c.rule == "equal" for c in layers], dtype=bool),
        np.array([c.lower for c in layers], dtype=float),
        np.array([c.upper for c in layers], dtype=float),
        windows.omniscape,
    )


def _solve_apart(
    part: Landscape,
    shape: Shape,
    sources: object,
    conditions: Conditions,
    cell: Integers,
    strength: float,
    window: int,
    current: Floats,
) -> tuple[float, bool]:
    """Add the current of a window on which the fast solver stalled, by the general one; its residual, and success."""
    from linkways.kernels.current import node_currents
    from linkways.kernels.laplacian import raster_stencil
    from linkways.kernels.multigrid import build_hierarchy, solve
    from linkways.kernels.windows import window_sources

    row, column = (int(i) for i in cell)
    rows, columns = part.conductance.shape
    y0, y1 = max(row - shape.half_rows, 0), min(row + shape.half_rows, rows - 1)
    x0, x1 = max(column - shape.half_columns, 0), min(column + shape.half_columns, columns - 1)
    amperes = np.zeros((y1 - y0 + 1, x1 - x0 + 1))
    window_sources(sources, conditions, shape, window, row, column, strength, y0, y1, x0, x1, amperes)
    reach = shape.reach[y0 - row + shape.half_rows : y1 - row + shape.half_rows + 1]
    inside = np.abs(np.arange(x0, x1 + 1) - column) <= reach[:, None]
    area = np.s_[y0 : y1 + 1, x0 : x1 + 1]
    steps = part.steps
    if steps is not None:
        gaps = np.s_[y0:y1]
        steps = replace(
            steps,
            east_west=steps.east_west[y0 : y1 + 1],
            north_south=steps.north_south[gaps],
            diagonal=steps.diagonal[gaps],
        )
    stencil = raster_stencil(
        np.where(inside, part.conductance[area], np.nan), kind="conductance", neighbours=part.neighbours, steps=steps
    )
    hierarchy = build_hierarchy(stencil)
    if not stencil.nodes[row - y0, column - x0]:
        return 0.0, True
    amperes[hierarchy.labels != hierarchy.labels[row - y0, column - x0]] = 0.0
    amperes[row - y0, column - x0] -= amperes.sum()
    solution = solve(hierarchy, amperes[None], tolerance=1e-8)
    found = node_currents(stencil, solution.voltages[0], cut=0.0)
    if shape.factor.size > 1:
        up, along = y0 - row + shape.half_rows, x0 - column + shape.half_columns
        found *= shape.factor[up : up + found.shape[0], along : along + found.shape[1]]
    current[area] += found
    return float(solution.residuals[0]), bool(solution.converged[0])
