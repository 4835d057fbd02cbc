"""Where incidents are looked at: those inside the area, and the area as cells."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["FEWEST", "Ground", "ground_of"]

ID = "movement.conflict"
FEWEST = 10
"""Incidents below which neither a density nor a hotspot means anything."""
MOST_CELLS = 25_000_000


@dataclass(frozen=True)
class Ground:
    """The incidents inside the area, and the area as cells."""

    points: "gpd.GeoDataFrame"
    template: "xr.DataArray"
    inside: np.ndarray
    row: np.ndarray
    column: np.ndarray
    """Places of the incidents in cells from the upper left corner."""
    cell: tuple[float, float]
    """Height and width in m."""
    effort: np.ndarray | None
    width_m: float

    @property
    def cell_km2(self) -> float:
        """Area of a cell."""
        return self.cell[0] * self.cell[1] / 1e6

    def counts(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Incidents in each cell."""
        rows, columns = self.row.astype(int), self.column.astype(int)
        if chosen is not None:
            rows, columns = rows[chosen], columns[chosen]
        out = np.zeros(self.inside.shape)
        np.add.at(out, (rows, columns), 1.0)
        return out

    def raster(self, values: np.ndarray, name: str, units: str) -> "xr.DataArray":
        """Values of the cells as a raster."""
        from linkways.spatial import raster_like

        return raster_like(values, self.template, name=name, attrs={"units": units})


def ground_of(
    incidents: "gpd.GeoDataFrame",
    area: "gpd.GeoDataFrame",
    covariates: "Sequence[xr.DataArray]",
    effort: "xr.DataArray | None",
    cell_size_m: float | None,
    bandwidth_m: float | None,
    kinds: Sequence[str],
) -> Ground:
    from linkways.movement._conflict_density import reference_bandwidth
    from linkways.spatial import cell_geometry, feature_of_cell, grid_of

    rasters = [*covariates, *([effort] if effort is not None else [])]
    if rasters and cell_size_m is not None:
        raise LinkwaysError(f"{ID}: the rasters already fix the cells; leave out cell_size_m")
    _refuse_degrees(rasters[0].rio.crs if rasters else area.crs, "the rasters have" if rasters else "area has")
    points = _of_kind(incidents, kinds).to_crs(grid_of(rasters[0]).crs if rasters else area.crs)
    region = area.to_crs(points.crs)
    points = _inside(points, region)
    unit = float(points.crs.axis_info[0].unit_conversion_factor)
    x, y = points.geometry.x.to_numpy(), points.geometry.y.to_numpy()
    width = bandwidth_m or reference_bandwidth(x * unit, y * unit)
    if not width > 0:
        raise LinkwaysError(f"{ID}: all incidents lie in one place, so their spread tells no width; give bandwidth_m")
    template = rasters[0] if rasters else _new_grid(region, (cell_size_m or width / 3) / unit)
    grid = grid_of(template)
    if grid.dy > 0:
        raise LinkwaysError(f"{ID}: rows of the rasters must run from north to south; flip them along y")
    row, column = (y - grid.y0) / grid.dy, (x - grid.x0) / grid.dx
    on = (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
    inside = feature_of_cell(region, template) >= 0
    # a cell at the rim that holds an incident belongs to the area
    inside[row[on].astype(int), column[on].astype(int)] = True
    if not on.all():
        note(f"{ID}: {int((~on).sum())} incidents beyond the rasters are left out")
    if on.sum() < FEWEST:
        raise LinkwaysError(
            f"{ID}: {int(on.sum())} incidents lie on the rasters; give rasters of the same place as the incidents"
        )
    cells = cell_geometry(template)
    size = (float(cells.area_m2[0] / cells.east_west_m[0]), float(cells.east_west_m[0]))
    known = _known_effort(effort, inside)
    if known is not None:
        inside = inside & np.isfinite(known)
    return Ground(points[on].reset_index(drop=True), template, inside, row[on], column[on], size, known, width)


def _refuse_degrees(crs: Any, what: str) -> None:
    if crs.is_geographic:
        raise LinkwaysError(
            f"{ID}: {what} coordinates in degrees, but kernels are measured in metres; project to metres first "
            "(GeoDataFrame.to_crs, linkways.spatial.align)"
        )


def _of_kind(incidents: "gpd.GeoDataFrame", kinds: Sequence[str]) -> "gpd.GeoDataFrame":
    if len(incidents) == 0:
        raise LinkwaysError(f"{ID}: incidents holds no incident; give a layer of points")
    empty = np.flatnonzero(incidents.geometry.isna() | incidents.geometry.is_empty)
    if len(empty):
        raise LinkwaysError(
            f"{ID}: incidents has {len(empty)} rows without a place, first row {empty[0] + 1}; leave them out"
        )
    if not kinds:
        return incidents
    if "kind" not in incidents.columns:
        raise LinkwaysError(f"{ID}: kinds are asked for, but incidents has no column kind; add it or leave kinds out")
    chosen = incidents[incidents["kind"].astype(str).isin(list(kinds))]
    if not len(chosen):
        known = ", ".join(sorted(incidents["kind"].astype(str).unique())[:10])
        raise LinkwaysError(f"{ID}: no incident is of the kind {', '.join(kinds)}; the column kind holds {known}")
    return chosen


def _inside(points: "gpd.GeoDataFrame", region: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    import shapely

    whole = shapely.union_all(shapely.make_valid(region.geometry.to_numpy()))
    held = shapely.intersects_xy(whole, points.geometry.x.to_numpy(), points.geometry.y.to_numpy())
    if not held.any():
        raise LinkwaysError(f"{ID}: no incident lies inside area; check that both are of the same place and CRS")
    if not held.all():
        note(f"{ID}: {int((~held).sum())} of {len(points)} incidents lie outside area and are left out")
    if held.sum() < FEWEST:
        raise LinkwaysError(
            f"{ID}: {int(held.sum())} incidents inside area are too few to tell a pattern from chance; give at least "
            f"{FEWEST}"
        )
    return points[held]


def _new_grid(region: "gpd.GeoDataFrame", cell: float) -> "xr.DataArray":
    from linkways.spatial import new_raster

    west, south, east, north = region.total_bounds
    columns, rows = max(math.ceil((east - west) / cell), 1), max(math.ceil((north - south) / cell), 1)
    if rows * columns > MOST_CELLS:
        raise LinkwaysError(f"{ID}: {rows} x {columns} cells are too many; give a larger cell_size_m")
    return new_raster(
        np.zeros((rows, columns), np.float32), crs=region.crs, cell_size=cell, origin=(west, north), name="cells"
    )


def _known_effort(effort: "xr.DataArray | None", inside: np.ndarray) -> np.ndarray | None:
    if effort is None:
        return None
    values: np.ndarray = np.asarray(effort.values, float)
    wrong = np.argwhere(inside & (values < 0))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: effort has {len(wrong)} cells below 0, first at row {wrong[0][0]} column {wrong[0][1]}; set them "
            "to 0 "
            "or to nodata"
        )
    if not np.nansum(np.where(inside, values, 0)) > 0:
        raise LinkwaysError(f"{ID}: effort is 0 or nodata all over area; give a raster of the same place")
    return np.asarray(values)
