"""Distributions of use over the cells of a grid: kept as the cells above 0, cut, ranked, outlined and mapped.

A distribution is two arrays, ``cells`` (row * columns + column, ascending) and ``values`` (the probability of each).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import geopandas as gpd
    import shapely
    import xarray as xr
    from affine import Affine

__all__ = [
    "DEFAULT_CELL_M",
    "MOST_CELLS",
    "PlaneGrid",
    "Ranking",
    "Use",
    "choose_grid",
    "contour_layer",
    "cut",
    "holding",
    "mean_use",
    "most_used",
    "outline",
    "patches",
    "refuse_degrees",
]

DEFAULT_CELL_M = 500.0
"""Cells of Migration Mapper, where neither a cell nor a template is given."""
MOST_CELLS = 400_000_000
"""A map of more cells (3 GB) is refused rather than begun."""


@dataclass(frozen=True)
class PlaneGrid:
    """A grid in a projected CRS; its corner and cell are in units of the CRS, of which each is ``unit`` metres."""

    crs: Any
    left: float
    top: float
    cell_x: float
    cell_y: float
    unit: float
    rows: int
    columns: int

    @property
    def cell_x_m(self) -> float:
        """Width of a cell."""
        return self.cell_x * self.unit

    @property
    def cell_y_m(self) -> float:
        """Height of a cell."""
        return self.cell_y * self.unit

    @property
    def cell_km2(self) -> float:
        """Area of a cell."""
        return self.cell_x_m * self.cell_y_m / 1e6

    @property
    def transform(self) -> "Affine":
        """From (column, row) to (x, y) in units of the CRS."""
        from affine import Affine

        return Affine(self.cell_x, 0.0, self.left, 0.0, -self.cell_y, self.top)

    def east_m(self, x_m: np.ndarray) -> np.ndarray:
        """Metres east of the corner."""
        return x_m - self.left * self.unit

    def south_m(self, y_m: np.ndarray) -> np.ndarray:
        """Metres south of the corner."""
        return self.top * self.unit - y_m

    def holds(self, x_m: np.ndarray, y_m: np.ndarray) -> np.ndarray:
        """Which places lie on the grid."""
        east, south = self.east_m(x_m), self.south_m(y_m)
        inside = (east >= 0) & (east <= self.columns * self.cell_x_m)
        return np.asarray(inside & (south >= 0) & (south <= self.rows * self.cell_y_m))

    def raster(self, values: np.ndarray, name: str, **attrs: Any) -> "xr.DataArray":
        """Cell values, (rows, columns) or flat, as a raster."""
        from linkways.spatial import new_raster

        return new_raster(
            np.reshape(values, (self.rows, self.columns)),
            crs=self.crs,
            cell_size=(self.cell_x, self.cell_y),
            origin=(self.left, self.top),
            name=name,
            attrs=attrs,
        )

    def dense(self, use: "Use") -> np.ndarray:
        """The distribution over all cells, flat."""
        whole = np.zeros(self.rows * self.columns)
        whole[use.cells] = use.values
        return whole


@dataclass(frozen=True)
class Use:
    """A distribution over cells: those above 0, ascending, and their probabilities."""

    cells: np.ndarray
    values: np.ndarray

    def normalised(self) -> "Use":
        """The same, summing to 1."""
        return Use(self.cells, self.values / self.values.sum())

    def part(self, kept: np.ndarray) -> "Use":
        """Some of the cells."""
        return Use(self.cells[kept], self.values[kept])


# --- grids -----------------------------------------------------------------------------------------------------


def choose_grid(
    crs: Any,
    x_m: np.ndarray,
    y_m: np.ndarray,
    *,
    like: "xr.DataArray | None",
    cell_size_m: float | None,
    buffer: float | None,
    reach_m: float,
    method: str,
    default_cell_m: float = DEFAULT_CELL_M,
    default_buffer: float = 0.3,
) -> PlaneGrid:
    """The template's grid; or one of whole cells around the places.

    Around the places lies ``buffer`` of their extent on each side, and at least ``reach_m``; cell corners are whole
    multiples of the cell, so that maps with the same cell fit each other. Raises LinkwaysError where a template and a
    cell or a buffer are given together, for a template in degrees, one that no place lies on, and for too many cells.
    """
    if like is not None:
        return _template_grid(like, cell_size_m, buffer, x_m, y_m, method)
    unit = float(crs.axis_info[0].unit_conversion_factor)
    cell = (default_cell_m if cell_size_m is None else cell_size_m) / unit
    share = default_buffer if buffer is None else buffer
    edges = []
    for places in (x_m / unit, y_m / unit):
        low, high = float(places.min()), float(places.max())
        margin = max(share * (high - low), reach_m / unit)
        edges.append((math.floor((low - margin) / cell), math.ceil((high + margin) / cell)))
    (west, east), (south, north) = edges
    rows, columns = max(north - south, 1), max(east - west, 1)
    if rows * columns > MOST_CELLS:
        raise LinkwaysError(
            f"{method}: {rows} x {columns} cells of {cell * unit:g} m are more than {MOST_CELLS:,} cells; give "
            f"a larger "
            "cell_size_m, a smaller buffer, or fewer animals at a time"
        )
    return PlaneGrid(crs, west * cell, north * cell, cell, cell, unit, rows, columns)


def _template_grid(
    like: "xr.DataArray",
    cell_size_m: float | None,
    buffer: float | None,
    x_m: np.ndarray,
    y_m: np.ndarray,
    method: str,
) -> PlaneGrid:
    from linkways.spatial import grid_of

    given = [name for name, value in (("cell_size_m", cell_size_m), ("buffer", buffer)) if value is not None]
    if given:
        raise LinkwaysError(f"{method}: the raster like already fixes the grid; leave out {' and '.join(given)}")
    found = grid_of(like)
    unit = float(found.crs.axis_info[0].unit_conversion_factor)
    grid = PlaneGrid(
        found.crs,
        min(found.x0, found.x0 + found.columns * found.dx),
        max(found.y0, found.y0 + found.rows * found.dy),
        abs(found.dx),
        abs(found.dy),
        unit,
        found.rows,
        found.columns,
    )
    if not grid.holds(x_m, y_m).any():
        west, south, east, north = found.bounds
        raise LinkwaysError(
            f"{method}: no fix lies on the raster like ({west:g} {south:g} {east:g} {north:g}); the fixes reach from "
            f"{x_m.min() / unit:g} {y_m.min() / unit:g} to {x_m.max() / unit:g} {y_m.max() / unit:g}; take a raster of "
            "the same place, or leave it out"
        )
    return grid


def refuse_degrees(like: "xr.DataArray | None", method: str) -> None:
    """Raise LinkwaysError for a template whose cells are degrees."""
    if like is None:
        return
    import rioxarray  # noqa: F401

    if like.rio.crs is not None and like.rio.crs.is_geographic:
        raise LinkwaysError(
            f"{method}: the raster like has cells in degrees, but distances are measured in metres; give one in a "
            "projected CRS"
        )


# --- ranks -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ranking:
    """Values from the highest to the lowest, and their running sum: sorted once for all that is asked of them."""

    ranked: np.ndarray
    running: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "Ranking":
        """Of values in any order."""
        ranked = np.sort(values)[::-1]
        return cls(ranked, np.cumsum(ranked))

    def least(self, share: float, *, at_most: bool = False) -> float:
        """The lowest of the values that hold a share of the sum; infinite where none does.

        The fewest that reach the share; with ``at_most`` the most that do not exceed it, one less as a rule (the way
        of Migration Mapper). Equal values go together.
        """
        wanted = share * self.running[-1]
        if not at_most:
            # the last bits of a sum in another order must not cost a cell
            return float(self.ranked[self._place(wanted * (1 - 1e-12), "left")])
        first_out = int(np.searchsorted(self.running, wanted, side="right"))
        if first_out < len(self.ranked):
            first_out = self.number_from(float(self.ranked[first_out]), above=True)
        return float(self.ranked[first_out - 1]) if first_out else math.inf

    def first_beyond(self, share: float) -> float:
        """The first value, from the highest, at which the running sum exceeds the share."""
        return float(self.ranked[self._place(share * self.running[-1], "right")])

    def number_from(self, value: float, *, above: bool = False) -> int:
        """How many are at least (or above) a value."""
        return int(np.searchsorted(-self.ranked, -value, side="left" if above else "right"))

    def part(self, number: int) -> "Ranking":
        """The first ones alone."""
        return Ranking(self.ranked[:number], self.running[:number])

    def divided(self, total: float) -> "Ranking":
        """Of the values divided by a number."""
        return Ranking(self.ranked / total, self.running / total)

    def _place(self, wanted: float, side: Literal["left", "right"]) -> int:
        return min(int(np.searchsorted(self.running, wanted, side=side)), len(self.ranked) - 1)


def cut(use: Use, share: float) -> Use:
    """The cells with the highest values that together first exceed ``share``, normalised again.

    Leaves out the long thin rim of a kernel: cells below the first value (from the highest) at which the running sum
    is above ``share`` become 0.
    """
    if share >= 1:
        return use.normalised()
    return use.part(use.values >= Ranking.of(use.values).first_beyond(share)).normalised()


def holding(values: np.ndarray, share: float, *, at_most: bool = False) -> np.ndarray:
    """Which of the values are the highest that hold a share of their sum; see `Ranking.least`."""
    return np.asarray(values >= Ranking.of(values).least(share, at_most=at_most))


def most_used(values: np.ndarray, share: float) -> np.ndarray:
    """Which of the values belong to the highest ``share`` of their number (top per cent of the area used).

    Those at or above the quantile of order 1 - ``share``, with Sawyer and others (2009) a stopover at 0.1.
    """
    ranked = np.sort(values)[::-1]
    return np.asarray(values >= ranked[math.floor(share * (len(ranked) - 1))])


def mean_use(parts: Sequence[Use]) -> Use:
    """Mean of distributions, each with the same weight."""
    if len(parts) == 1:
        return parts[0]
    cells = np.concatenate([part.cells for part in parts])
    values = np.concatenate([part.values for part in parts])
    order = np.argsort(cells, kind="stable")
    cells, values = cells[order], values[order]
    first = np.flatnonzero(np.r_[True, cells[1:] != cells[:-1]])
    return Use(cells[first], np.add.reduceat(values, first) / len(parts))


# --- outlines --------------------------------------------------------------------------------------------------


def outline(grid: PlaneGrid, cells: np.ndarray) -> "shapely.Geometry":
    """The cells as one polygon or multipolygon along their edges."""
    import rasterio.features
    import shapely
    from affine import Affine

    if len(cells) == 0:
        return shapely.MultiPolygon()
    rows, columns = np.divmod(cells, grid.columns)
    top, left = int(rows.min()), int(columns.min())
    mask = np.zeros((int(rows.max()) - top + 1, int(columns.max()) - left + 1), np.uint8)
    mask[rows - top, columns - left] = 1
    corner = (grid.left + left * grid.cell_x, grid.top - top * grid.cell_y)
    moved = Affine(grid.cell_x, 0.0, corner[0], 0.0, -grid.cell_y, corner[1])
    found = rasterio.features.shapes(mask, mask=mask.view(bool), transform=moved, connectivity=4)
    parts = _polygons([part["coordinates"] for part, _ in found])
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


def _polygons(parts: Sequence[Sequence[Sequence[tuple[float, float]]]]) -> list["shapely.Polygon"]:
    """Polygons from the rings of each, all rings made at once."""
    import shapely

    rings = [ring for part in parts for ring in part]
    places = np.array([place for ring in rings for place in ring])
    made = shapely.linearrings(places, indices=np.repeat(np.arange(len(rings)), [len(ring) for ring in rings]))
    number = np.array([len(part) for part in parts])
    first = np.cumsum(number) - number
    whole = shapely.polygons(made[first])
    for i in np.flatnonzero(number > 1):
        whole[i] = shapely.polygons(made[first[i]], holes=made[first[i] + 1 : first[i] + number[i]])
    return list(whole)


def patches(grid: PlaneGrid, use: Use) -> tuple[list["shapely.Polygon"], np.ndarray, np.ndarray]:
    """Cells that touch by an edge as one polygon each, with number of cells and sum, the largest sum first."""
    import rasterio.features
    from affine import Affine
    from scipy.ndimage import label

    if not len(use.cells):
        return [], np.zeros(0, int), np.zeros(0)
    rows, columns = np.divmod(use.cells, grid.columns)
    top, left = int(rows.min()), int(columns.min())
    mask = np.zeros((int(rows.max()) - top + 1, int(columns.max()) - left + 1), bool)
    mask[rows - top, columns - left] = True
    labels, count = label(mask, output=np.int32)
    owner = labels[rows - top, columns - left] - 1
    number, total = np.bincount(owner, minlength=count), np.bincount(owner, weights=use.values, minlength=count)
    corner = (grid.left + left * grid.cell_x, grid.top - top * grid.cell_y)
    moved = Affine(grid.cell_x, 0.0, corner[0], 0.0, -grid.cell_y, corner[1])
    rings: list[Any] = [None] * count
    for part, value in rasterio.features.shapes(labels, mask=mask, transform=moved, connectivity=4):
        rings[int(value) - 1] = part["coordinates"]
    order = np.argsort(-total, kind="stable")
    return _polygons([rings[i] for i in order]), number[order], total[order]


def contour_layer(grid: PlaneGrid, use: Use, percent: Sequence[float], *, at_most: bool = False) -> "gpd.GeoDataFrame":
    """Contours of a distribution, the widest first: percent, area_km2 and the outline of the cells inside."""
    import geopandas as gpd

    levels = sorted(set(percent), reverse=True)
    ranking = Ranking.of(use.values)
    inside = [use.cells[use.values >= ranking.least(level / 100, at_most=at_most)] for level in levels]
    return gpd.GeoDataFrame(
        {"percent": levels, "area_km2": [len(cells) * grid.cell_km2 for cells in inside]},
        geometry=[outline(grid, cells) for cells in inside],
        crs=grid.crs,
    )
