"""Windows of a grid: which rows and columns a pair of corners touches, round the globe where the grid does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    from linkways.spatial._grid import Grid

Bounds = tuple[float, float, float, float]


def window(grid: Grid, bounds: Bounds | None, name: str) -> tuple[range, range, float]:
    """Return the rows, the columns (below 0 or past the last: wrapped) and what to add to their longitudes."""
    from linkways.spatial._grid import short_name

    if bounds is None:
        return range(grid.rows), range(grid.columns), 0.0
    west, south, east, north = (float(side) for side in bounds)
    geographic = bool(grid.crs.is_geographic)
    if west > east and geographic:
        east += 360.0
    if not (west < east and south < north):
        raise LinkwaysError(
            f"bounds of {name} must be (west, south, east, north) with west < east and south < north; got {bounds}"
        )
    rows = _cells((south - grid.y0) / grid.dy, (north - grid.y0) / grid.dy, grid.rows)
    width = grid.columns * grid.dx
    if geographic and abs(width - 360.0) <= 0.5 * grid.dx:
        columns, shift = _wrapped_columns(grid, west, east), 0.0
    else:
        columns, shift = _plain_columns(grid, west, east, geographic)
    if not rows or not columns:
        raise LinkwaysError(
            f"the window {tuple(round(side, 6) for side in bounds)} does not overlap {name}, which covers "
            f"{tuple(round(side, 6) for side in grid.bounds)} in {short_name(grid.crs)}; give bounds in that CRS"
        )
    return rows, columns, shift


def _cells(one: float, other: float, count: int) -> range:
    """Return the cells touched between two positions in cells; a millionth of a cell is rounding, not a touch."""
    low, high = min(one, other), max(one, other)
    return range(max(0, math.floor(low + 1e-6)), min(count, math.ceil(high - 1e-6)))


def _plain_columns(grid: Grid, west: float, east: float, geographic: bool) -> tuple[range, float]:
    for turn in (0.0, 360.0, -360.0) if geographic else (0.0,):
        one, other = (west + turn - grid.x0) / grid.dx, (east + turn - grid.x0) / grid.dx
        columns = _cells(one, other, grid.columns)
        if columns:
            return columns, -turn
    return range(0), 0.0


def _wrapped_columns(grid: Grid, west: float, east: float) -> range:
    first = math.floor((west - grid.x0) / grid.dx + 1e-6)
    last = math.ceil((east - grid.x0) / grid.dx - 1e-6)
    return range(first, min(last, first + grid.columns))
