"""The state space: where activity centres can be, the raster they lie on, and straight distances to detectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.populations._capture_inputs import ID, Detectors
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from linkways.spatial import CellGeometry, Grid

__all__ = ["Ground", "barrier_cells", "ground_of", "in_metres", "metres_between"]


@dataclass(frozen=True)
class Ground:
    """A state space that no parameter changes, on a raster."""

    template: "xr.DataArray"
    grid: "Grid"
    geometry: "CellGeometry"
    passable: np.ndarray
    """(rows, cols) where animals can go at all."""
    habitat: np.ndarray
    """(rows, cols) where centres can be, near or far."""
    cell_of: np.ndarray
    """(rows * cols) number of the cell of the state space, -1 for none."""
    cells: np.ndarray
    """(m,) flat raster cell that stands for it."""
    x: np.ndarray
    y: np.ndarray
    area_km2: np.ndarray
    detector_cells: np.ndarray
    """(k,) flat raster cell of each detector."""
    euclidean: np.ndarray
    """(k, m) straight distance in metres."""

    def averaged(self, values: np.ndarray) -> np.ndarray:
        """(m,) mean of a raster over the raster cells of each cell of the state space."""
        inside = self.cell_of >= 0
        number = self.cell_of[inside]
        total = np.bincount(number, values.ravel()[inside], len(self.cells))
        return np.asarray(total / np.bincount(number, minlength=len(self.cells)))

    def raster(self, values: np.ndarray, name: str, units: str) -> "xr.DataArray":
        """Values of the cells of the state space as a raster, nan elsewhere."""
        from linkways.spatial import raster_like

        flat = np.concatenate([values, [np.nan]])[self.cell_of]
        return raster_like(flat.reshape(self.template.shape), self.template, name=name, units=units)


def in_metres(detectors: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    """The detectors in a CRS in metres: their own, or the UTM zone of their middle."""
    crs = detectors.crs
    if not crs.is_geographic and crs.axis_info[0].unit_conversion_factor == 1.0:
        return detectors
    moved = detectors.to_crs(detectors.estimate_utm_crs())
    note(f"{ID}: detectors reprojected from {crs.to_string()[:40]} to {moved.crs.to_string()}, whose unit is the metre")
    return moved


def new_grid(detectors: Detectors, buffer_m: float, spacing_m: float) -> "xr.DataArray":
    """A raster of ones around the detectors."""
    from linkways.spatial import new_raster

    left, top = detectors.x.min() - buffer_m, detectors.y.max() + buffer_m
    columns = int(np.ceil((detectors.x.max() + buffer_m - left) / spacing_m))
    rows = int(np.ceil((top - detectors.y.min() + buffer_m) / spacing_m))
    if rows * columns > 4_000_000:
        raise LinkwaysError(
            f"{ID}: a buffer of {buffer_m:g} m with a spacing of {spacing_m:g} m makes {rows} x {columns} cells; raise "
            "spacing_m or lower buffer_m"
        )
    crs = detectors.table.crs
    return new_raster(np.ones((rows, columns)), crs=crs, cell_size=spacing_m, origin=(left, top), name="state space")


def ground_of(
    detectors: Detectors,
    habitat: "xr.DataArray",
    others: Sequence["xr.DataArray"],
    resistance: Sequence["xr.DataArray"],
    buffer_m: float | None,
    spacing_m: float | None,
) -> Ground:
    """Return the state space: cells of ``habitat`` above 0, within the buffer, one centre for every ``spacing_m``."""
    from linkways.spatial import cell_geometry, grid_of

    grid, geometry = grid_of(habitat), cell_geometry(habitat)
    values = np.asarray(habitat.values, float)
    passable = np.isfinite(values)
    for raster in resistance:
        passable = passable & np.isfinite(np.asarray(raster.values, float))
    suitable = np.isfinite(values) & (np.nan_to_num(values) > 0)
    xs = grid.x0 + grid.dx * (np.arange(grid.columns) + 0.5)
    ys = grid.y0 + grid.dy * (np.arange(grid.rows) + 0.5)
    at = _detector_cells(detectors, grid, passable)
    state = suitable & passable
    if buffer_m is not None:
        state &= _near(detectors, grid, xs, ys, buffer_m)
    if not state.any():
        raise LinkwaysError(f"{ID}: no cell of habitat lies within {buffer_m:g} m of a detector; raise buffer_m")
    for raster in others:
        _refuse_gaps(raster, state)
    step = 1 if spacing_m is None else max(1, round(spacing_m / float(np.sqrt(geometry.area_m2.mean()))))
    number, cells = _blocks(state, step)
    areas = np.broadcast_to(geometry.area_km2[:, None], state.shape).ravel()
    inside = number >= 0
    row, column = np.divmod(cells, grid.columns)
    x, y = xs[column], ys[row]
    return Ground(
        template=habitat,
        grid=grid,
        geometry=geometry,
        passable=passable,
        habitat=suitable,
        cell_of=number,
        cells=cells,
        x=x,
        y=y,
        area_km2=np.bincount(number[inside], areas[inside], len(cells)),
        detector_cells=at,
        euclidean=metres_between(grid, detectors.x, detectors.y, x, y),
    )


def _detector_cells(detectors: Detectors, grid: "Grid", passable: np.ndarray) -> np.ndarray:
    column = np.floor((detectors.x - grid.x0) / grid.dx + 1e-9).astype(int)
    row = np.floor((detectors.y - grid.y0) / grid.dy + 1e-9).astype(int)
    inside = (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
    inside[inside] = passable[row[inside], column[inside]]
    if not inside.all():
        out = [name for name, ok in zip(detectors.names, inside, strict=True) if not ok]
        raise LinkwaysError(
            f"{ID}: {len(out)} of {len(inside)} detectors lie outside of the mask (beyond its rasters or on cells "
            f"without a value), first {out[0]}; enlarge the rasters, or correct the detector's place"
        )
    return np.asarray(row * grid.columns + column)


def _near(detectors: Detectors, grid: "Grid", xs: np.ndarray, ys: np.ndarray, buffer_m: float) -> np.ndarray:
    near = np.zeros((len(ys), len(xs)), bool)
    for row, y in enumerate(ys):
        far = metres_between(grid, detectors.x, detectors.y, xs, np.full(len(xs), y))
        near[row] = (far <= buffer_m).any(axis=0)
    return near


def _refuse_gaps(raster: "xr.DataArray", state: np.ndarray) -> None:
    gaps = state & ~np.isfinite(np.asarray(raster.values, float))
    if gaps.any():
        row, column = (int(v) for v in np.argwhere(gaps)[0])
        raise LinkwaysError(
            f"{ID}: density covariate {raster.name} has no value in {int(gaps.sum())} cells of the mask, first at row "
            f"{row} column {column}; fill them, or set habitat to nodata or 0 there"
        )


def _blocks(state: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Number of the block of each raster cell (-1: none), and the cell of each that is nearest its middle."""
    flat = np.flatnonzero(state)
    row, column = np.divmod(flat, state.shape[1])
    across = -(-state.shape[1] // step)
    _, number = np.unique((row // step) * across + column // step, return_inverse=True)
    size = np.bincount(number)
    far = (row - (np.bincount(number, row) / size)[number]) ** 2
    far += (column - (np.bincount(number, column) / size)[number]) ** 2
    order = np.lexsort((flat, far, number))
    first = order[np.searchsorted(number[order], np.arange(len(size)))]
    out = np.full(state.size, -1, np.int64)
    out[flat] = number
    return out, flat[first]


def metres_between(grid: "Grid", x1: np.ndarray, y1: np.ndarray, x2: np.ndarray, y2: np.ndarray) -> np.ndarray:
    """Distances in metres (one, two) between points in the CRS of the grid; geodesics where it is geographic."""
    crs: Any = grid.crs
    if not crs.is_geographic:
        unit = crs.axis_info[0].unit_conversion_factor
        return np.asarray(np.hypot(x1[:, None] - x2, y1[:, None] - y2) * unit)
    shape = (len(x1), len(x2))
    pairs = [np.broadcast_to(v, shape).ravel() for v in (x1[:, None], y1[:, None], x2[None], y2[None])]
    return np.asarray(crs.get_geod().inv(*pairs)[2]).reshape(shape)


def barrier_cells(barriers: "gpd.GeoDataFrame", ground: Ground) -> np.ndarray:
    """(rows, cols) 1 where a line lies, 0 elsewhere."""
    from linkways.spatial import burn_lines

    burnt = np.asarray(burn_lines(barriers, ground.template).values, bool)
    if not (burnt & ground.passable).any():
        raise LinkwaysError(
            f"{ID}: none of the {len(barriers)} barriers touches the raster of the mask; check their place and CRS"
        )
    return burnt.astype(float)
