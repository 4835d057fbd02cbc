"""Rasters whose cells stay where they are, or are not yet computed, until a part of them is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

if TYPE_CHECKING:
    from linkways.spatial._grid import Grid

__all__ = ["Cells", "FileCells", "deferred"]


class Cells(BackendArray):
    """A two-dimensional array that is made window by window by a function of (rows, columns) as ranges."""

    def __init__(self, shape: tuple[int, int], dtype: Any, window: Callable[[range, range], np.ndarray]) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.window = window

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._basic)

    def _basic(self, key: tuple[Any, ...]) -> np.ndarray:
        """The cells of one window given by whole numbers and slices with steps."""
        ranges: list[range] = []
        after: list[slice | int] = []
        for part, size in zip(key, self.shape, strict=True):
            if isinstance(part, slice):
                chosen = range(size)[part]
                low, high = (min(chosen), max(chosen) + 1) if len(chosen) else (0, 0)
                ranges.append(range(low, high))
                after.append(slice(None, None, chosen.step))
            else:
                ranges.append(range(int(part), int(part) + 1))
                after.append(0)
        rows, columns = ranges
        if not rows or not columns:
            return np.empty((len(rows), len(columns)), self.dtype)[tuple(after)]
        values = self.window(rows, columns)
        return np.asarray(values[tuple(after)], dtype=self.dtype)


class FileCells:
    """Reads windows of one band of a raster file, as ``read_raster`` gives them; every read opens the file anew."""

    def __init__(
        self,
        path: str,
        band: int,
        grid: Grid,
        rows: range,
        columns: range,
        overview: int | None,
        classes: bool,
        nodata: float | None,
    ) -> None:
        self.path, self.band, self.grid, self.rows, self.columns = path, band, grid, rows, columns
        self.overview, self.classes, self.nodata = overview, classes, nodata

    def __call__(self, rows: range, columns: range) -> np.ndarray:
        from linkways.spatial.rasters import _as_float, _opened, _read_window

        # rows of the raster run from the north, those of a file may run from the south
        south_up = self.grid.dy > 0
        first, last = (len(self.rows) - rows.stop, len(self.rows) - rows.start) if south_up else (rows.start, rows.stop)
        with _opened(self.path, self.overview) as dataset:
            read = _read_window(
                dataset, self.band, self.grid, self.rows[first:last], self.columns[columns.start : columns.stop],
                self.path,
            )  # fmt: skip
            values = _as_float(read, dataset, self.band, self.classes, self.nodata)
        return values[::-1] if south_up else values


def deferred(cells: Cells) -> Any:
    """The array as xarray holds arrays that are not yet in memory."""
    return indexing.LazilyIndexedArray(cells)
