"""Patches found in rasters block by block, and patches given as polygons checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import progress
from linkways.spatial import block_values, cell_geometry, grid_of, row_blocks
from linkways.workers import each

if TYPE_CHECKING:
    import xarray as xr

    from linkways.spatial import CellGeometry

__all__ = ["FoundPatches", "Habitat", "find_patches"]

#: A habitat cell narrower than this many metres is a cell in degrees, taken for metres.
_NARROWEST_CELL_M = 0.05
#: Memory for the blocks that are looked at side by side, and what a cell takes: value, number, forest, masks.
_BLOCK_MEMORY = 10**9
_BYTES_PER_CELL = 20


@dataclass(frozen=True)
class Habitat:
    """Which cells are habitat: those of a raster from a threshold up, or those whose class is one of some."""

    raster: xr.DataArray
    threshold: float
    classes: tuple[int, ...] | None
    quality: xr.DataArray | None = None

    def mask(self, rows: range) -> np.ndarray:
        """Whether each cell of some rows is habitat."""
        values = block_values(self.raster, rows)
        if self.classes is not None:
            return np.isin(values, np.array(self.classes, dtype=values.dtype))
        return values >= self.threshold  # False for NaN

    def values(self, rows: range) -> np.ndarray:
        """The quality of each cell of some rows; an empty array without quality."""
        if self.quality is None:
            return np.empty((0, 0))
        return np.asarray(block_values(self.quality, rows), dtype=np.float64)


@dataclass(frozen=True)
class _Block:
    """What one block tells of its parts, in the order of their first cells."""

    first: np.ndarray
    """Part of each cell of the first row, from 1; 0 outside habitat."""
    last: np.ndarray
    """Likewise of the last row."""
    round_the_globe: np.ndarray
    """Pairs of parts that meet across the seam of a grid that wraps."""
    area_m2: np.ndarray
    known_m2: np.ndarray
    """Area of the cells with a quality."""
    quality: np.ndarray
    """Sum of area x quality."""
    worst: float
    """Least quality of a habitat cell."""


@dataclass(frozen=True)
class FoundPatches:
    """The patches of a raster; their cells are numbered again, block by block, whenever they are asked for."""

    habitat: Habitat
    cells: CellGeometry
    neighbours: int
    blocks: list[range]
    offsets: np.ndarray
    """(blocks + 1,) parts before each block."""
    number: np.ndarray
    """(parts + 1,) patch of each part, 0 for those left out; entry 0 is for cells outside habitat."""
    area_m2: np.ndarray
    quality: np.ndarray
    """Area-weighted mean quality, NaN without one."""

    def __len__(self) -> int:
        return len(self.area_m2)

    def rows(self, block: int) -> np.ndarray:
        """The patch of each cell of a block, 0 outside patches; int32."""
        from linkways.kernels.labels import label_block

        own = self.number[self.offsets[block] : self.offsets[block + 1] + 1].copy()
        own[0] = 0
        if not own.any():
            return np.zeros((len(self.blocks[block]), self.habitat.raster.shape[1]), np.int32)
        labels, _ = label_block(self.habitat.mask(self.blocks[block]), neighbours=self.neighbours)
        return np.asarray(own[labels])

    def window(self, rows: range, columns: range) -> np.ndarray:
        """The patch of each cell of a window, 0 outside patches."""
        parts = []
        for block, held in enumerate(self.blocks):
            low, high = max(rows.start, held.start), min(rows.stop, held.stop)
            if low < high:
                found = self.rows(block)[low - held.start : high - held.start]
                parts.append(found[:, columns.start : columns.stop])
        return np.concatenate(parts)

    @cached_property
    def outlines(self) -> np.ndarray:
        """The outline of each patch as polygon or multipolygon in the CRS of the raster."""
        import shapely

        owner, pieces = _pieces(self)
        shapes = _joined(owner, pieces, len(self))
        grid = grid_of(self.habitat.raster)
        corner, step = np.array([grid.x0, grid.y0]), np.array([grid.dx, grid.dy])
        return np.asarray(shapely.transform(shapes, lambda place: corner + step * (place - 1)))


def find_patches(habitat: Habitat, *, neighbours: int, min_area_m2: float) -> FoundPatches:
    """Number the connected parts of the habitat that reach the area, in the order of their first cells."""
    from linkways.kernels.labels import seam, unite

    raster = habitat.raster
    cells = cell_geometry(raster)
    _refuse_degrees(raster, cells)
    blocks = row_blocks(raster)
    seen: list[_Block] = []
    start = habitat, cells.area_m2, cells.wraps, neighbours
    for found in each(_look, start, blocks, threads=_threads(blocks, raster)):
        seen.append(found)
        progress(0.5 * len(seen) / len(blocks), f"habitat, rows to {blocks[len(seen) - 1].stop}")
    _refuse_negative(seen)
    offsets = np.concatenate([[0], np.cumsum([block.area_m2.size for block in seen])])
    count = int(offsets[-1])
    pairs = [block.round_the_globe + start for block, start in zip(seen, offsets, strict=False)]
    for k in range(1, len(seen)):
        upper, lower = (
            np.where(line > 0, line + start, 0)
            for line, start in ((seen[k - 1].last, offsets[k - 1]), (seen[k].first, offsets[k]))
        )
        pairs.append(seam(upper, lower, neighbours=neighbours, wraps=cells.wraps))
    root = unite(count, np.concatenate(pairs)) if count else np.zeros(1, np.int64)
    return _kept(habitat, cells, neighbours, blocks, offsets, root, seen, min_area_m2)


def _kept(
    habitat: Habitat,
    cells: CellGeometry,
    neighbours: int,
    blocks: list[range],
    offsets: np.ndarray,
    root: np.ndarray,
    seen: list[_Block],
    min_area_m2: float,
) -> FoundPatches:
    """Add up the parts of each patch and number the patches that are large enough."""
    count = root.size - 1
    area, known, total = (
        np.bincount(root[1:], np.concatenate([getattr(block, name) for block in seen]), minlength=count + 1)
        for name in ("area_m2", "known_m2", "quality")
    )
    large = area >= min_area_m2 * (1 - 1e-12)
    kept = np.flatnonzero((root == np.arange(count + 1)) & large & (area > 0))
    number = np.zeros(count + 1, np.int32)
    number[kept] = np.arange(1, kept.size + 1)
    with np.errstate(invalid="ignore"):
        quality = total[kept] / known[kept] if habitat.quality is not None else np.full(kept.size, np.nan)
    if not kept.size:
        _refuse_none(area, min_area_m2)
    return FoundPatches(habitat, cells, neighbours, blocks, offsets, number[root], area[kept], quality)


def _threads(blocks: list[range], raster: xr.DataArray) -> int:
    """How many blocks may be looked at side by side within the memory for them."""
    cells = max(len(rows) for rows in blocks) * raster.shape[1]
    return int(max(1, min(os.cpu_count() or 1, 8, _BLOCK_MEMORY // (_BYTES_PER_CELL * cells))))


def _look(start: tuple[Habitat, np.ndarray, bool, int], rows: range) -> _Block:
    from linkways.kernels.labels import label_block, seam, sum_by_label

    habitat, area_m2, wraps, neighbours = start
    mask, values = habitat.mask(rows), habitat.values(rows)
    labels, count = label_block(mask, neighbours=neighbours)
    area, known, total = sum_by_label(labels, count, area_m2[rows.start : rows.stop], values)
    lines = (labels[:, -1].astype(np.int64), labels[:, 0].astype(np.int64)) if wraps else (np.empty(0, np.int64),) * 2
    return _Block(
        labels[0].copy(), labels[-1].copy(), seam(*lines, neighbours=neighbours), area, known, total,
        float(values[mask].min(initial=np.inf, where=~np.isnan(values[mask]))) if values.size else np.inf,
    )  # fmt: skip


# --- refusals ----------------------------------------------------------------------------------------------------


def _refuse_degrees(raster: xr.DataArray, cells: CellGeometry) -> None:
    grid = grid_of(raster)
    west, south, east, north = grid.bounds
    in_degrees = west >= -360 and east <= 360 and south >= -90 and north <= 90
    if not grid.crs.is_geographic and in_degrees and float(cells.east_west_m[0]) < _NARROWEST_CELL_M:
        raise LinkwaysError(
            f"raster {raster.name} has cells of {abs(grid.dx):g} units in a CRS in metres ({grid.crs.name}), and its "
            "bounds look like degrees; give it the CRS that its coordinates are in (for example EPSG:4326)"
        )


def _refuse_negative(seen: list[_Block]) -> None:
    worst = min((block.worst for block in seen), default=np.inf)
    if worst < 0:
        raise LinkwaysError(
            f"quality is negative on habitat (least {worst:g}), so that patches would have a negative attribute; give "
            "values of 0 or more"
        )


def _refuse_none(area_m2: np.ndarray, min_area_m2: float) -> None:
    if not (area_m2 > 0).any():
        raise LinkwaysError("no cell is habitat; check threshold or classes against the values of the raster")
    raise LinkwaysError(
        f"no patch reaches {min_area_m2 / 1e4:g} ha (the largest has {area_m2.max() / 1e4:.4g} ha); lower min_area_ha"
    )


# --- outlines ----------------------------------------------------------------------------------------------------


def _pieces(found: FoundPatches) -> tuple[np.ndarray, np.ndarray]:
    """Polygons of the blocks, in (column, row) from 1, and the patch (from 0) of each; one block's lie together."""
    owner, pieces = [], []
    threads = _threads(found.blocks, found.habitat.raster)
    for k, (numbers, shapes) in enumerate(each(_outlined, found, range(len(found.blocks)), threads=threads)):
        owner.append(numbers)
        pieces.append(shapes)
        progress(0.5 + 0.4 * (k + 1) / len(found.blocks), f"outlines, rows to {found.blocks[k].stop}")
    return np.concatenate(owner), np.concatenate(pieces)


def _outlined(found: FoundPatches, block: int) -> tuple[np.ndarray, np.ndarray]:
    """The outlines of the patches inside one block, parted where cells touch by a corner only."""
    import rasterio.features
    import shapely
    from affine import Affine

    cells = found.rows(block)
    # counted from (1, 1): at (0, 0) rasterio warns of a raster that lies nowhere
    shift = Affine.translation(1, 1 + found.blocks[block].start)
    numbers: list[int] = []
    points: list[np.ndarray] = []
    rings_of: list[int] = [0]
    for outline, number in rasterio.features.shapes(cells, mask=cells > 0, connectivity=4, transform=shift):
        numbers.append(int(number) - 1)
        points.extend(np.array(ring) for ring in outline["coordinates"])
        rings_of.append(len(points))
    if not numbers:
        return np.empty(0, np.int64), np.empty(0, object)
    ends = np.concatenate([[0], np.cumsum([len(ring) for ring in points])])
    shapes = shapely.from_ragged_array(shapely.GeometryType.POLYGON, np.concatenate(points), (ends, np.array(rings_of)))
    return np.array(numbers), shapes


def _joined(owner: np.ndarray, pieces: np.ndarray, count: int) -> np.ndarray:
    """One shape for each patch from its pieces, which may share edges where blocks meet."""
    import shapely

    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(count + 1))
    shapes = np.empty(count, object)
    single = np.diff(ends) == 1
    shapes[single] = pieces[order[ends[:-1][single]]]
    for patch in np.flatnonzero(~single):
        own = pieces[order[ends[patch] : ends[patch + 1]]]
        shapes[patch] = shapely.simplify(shapely.union_all(own), 0.0)
    return shapes
