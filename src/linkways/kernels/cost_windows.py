"""Least costs up to a limit around a few cells of a large raster, in a window that holds all that is reached.

A search bounded by a cost touches a small part of the raster; its arrays should be as small. The search runs on a
window of the prepared grid, and where a cell on the window's edge is reached, the window grows on that side and the
search runs anew. When no edge is reached, no path that leaves the window costs less than the limit, so that all costs
up to it are those of the whole raster to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from linkways.kernels.cost_distance import CostField, Grid, cost_field_on_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WindowField", "cost_field_near"]


@dataclass(frozen=True)
class WindowField:
    """A cost field on a window of a grid: the field, and the row and column of its first cell."""

    field: CostField
    top: int
    left: int

    def cells(self, flat: NDArray[np.int64], columns: int) -> NDArray[np.int64]:
        """Return the flat cells of the window as flat cells of the grid with so many columns."""
        rows, cols = np.divmod(flat, self.field.distance.shape[1])
        moved: NDArray[np.int64] = (rows + self.top) * columns + cols + self.left
        return moved

    def inside(self, flat: NDArray[np.int64], columns: int) -> NDArray[np.int64]:
        """Return flat cells of the grid as flat cells of the window; -1 for those outside it."""
        rows, cols = np.divmod(flat, columns)
        height, width = self.field.distance.shape
        rows, cols = rows - self.top, cols - self.left
        held = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        return np.where(held, rows * width + cols, -1)


def cost_field_near(grid: Grid, source_cells: NDArray[np.int64], max_cost: float, *, margin: int = 16) -> WindowField:
    """Return the least costs up to ``max_cost`` from all the source cells together.

    Parameters
    ----------
    grid
        The prepared raster.
    source_cells
        Flat indices of the cells where the cost is 0.
    max_cost
        Cells that cost more count as not reached; inf searches the whole grid.
    margin
        Cells around the sources that the first window holds; a good guess spares repetitions.
    """
    labels = np.zeros(len(source_cells), np.int32)
    if grid.wraps or not np.isfinite(max_cost):
        return WindowField(cost_field_on_grid(grid, source_cells, labels, max_cost=max_cost), 0, 0)
    rows, cols = np.divmod(source_cells, grid.cols)
    margins = [margin] * 4
    while True:
        top, bottom = max(0, int(rows.min()) - margins[0]), min(grid.rows, int(rows.max()) + margins[1] + 1)
        left, right = max(0, int(cols.min()) - margins[2]), min(grid.cols, int(cols.max()) + margins[3] + 1)
        sources = (rows - top) * (right - left) + cols - left
        field = cost_field_on_grid(_window(grid, top, bottom, left, right), sources, labels, max_cost=max_cost)
        cost = field.distance
        open_sides = (
            top > 0 and bool(np.isfinite(cost[0]).any()),
            bottom < grid.rows and bool(np.isfinite(cost[-1]).any()),
            left > 0 and bool(np.isfinite(cost[:, 0]).any()),
            right < grid.cols and bool(np.isfinite(cost[:, -1]).any()),
        )
        if not any(open_sides):
            return WindowField(field, top, left)
        margins = [m * 2 + 1 if is_open else m for m, is_open in zip(margins, open_sides, strict=True)]


def _window(grid: Grid, top: int, bottom: int, left: int, right: int) -> Grid:
    """Return a part of a grid as a grid of its own; its rim cannot be entered."""
    whole = grid.resistance.reshape(grid.rows + 2, grid.cols + 2)
    part = np.full((bottom - top + 2, right - left + 2), np.inf)
    part[1:-1, 1:-1] = whole[top + 1 : bottom + 1, left + 1 : right + 1]
    steps = np.full((bottom - top + 2, 5), np.inf)
    steps[1:-1] = grid.half_steps[top + 1 : bottom + 1]
    return replace(grid, rows=bottom - top, cols=right - left, resistance=part.ravel(), half_steps=steps, wraps=False)
