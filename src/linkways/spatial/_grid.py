"""The regular grid under a raster: its CRS, its outer corner and its cell, read from the coordinates themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import xarray as xr
    from affine import Affine
    from pyproj import CRS

# Coordinates stored as float32 wander by a small part of a cell; more than this is an irregular grid.
_TOLERANCE_CELLS = 0.01


@dataclass(frozen=True)
class Grid:
    """A regular grid without rotation: the outer corner of the first cell and the signed cell, in CRS units."""

    crs: CRS
    x0: float
    y0: float
    dx: float
    dy: float
    rows: int
    columns: int

    @property
    def transform(self) -> Affine:
        """The affine transform from (column, row) to (x, y)."""
        from affine import Affine

        return Affine(self.dx, 0.0, self.x0, 0.0, self.dy, self.y0)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.rows, self.columns

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) of the outer edges."""
        x1, y1 = self.x0 + self.columns * self.dx, self.y0 + self.rows * self.dy
        return min(self.x0, x1), min(self.y0, y1), max(self.x0, x1), max(self.y0, y1)

    def matches(self, other: Grid) -> bool:
        """Return whether the two grids have the same CRS and the same cells (corners within 1e-6 of a cell)."""
        if self.shape != other.shape or not same_crs(self.crs, other.crs):
            return False
        mine, theirs = self._corners(), other._corners()
        return bool(np.all(np.abs(mine - theirs) <= 1e-6 * np.abs([self.dx, self.dy, self.dx, self.dy])))

    def _corners(self) -> np.ndarray:
        x1, y1 = self.x0 + self.columns * self.dx, self.y0 + self.rows * self.dy
        return np.array([self.x0, self.y0, x1, y1])


def label(raster: xr.DataArray) -> str:
    """Return the name by which messages call ``raster``."""
    return f"raster {raster.name}" if raster.name is not None else "the raster"


def same_crs(first: CRS, second: CRS) -> bool:
    """Return whether two CRS agree, whatever the order of their axes (rasters and vectors hold x before y)."""
    return bool(first == second or first.equals(second, ignore_axis_order=True))


def short_name(crs: CRS) -> str:
    """Return the EPSG code of ``crs``, or its name where it has none."""
    code = crs.to_epsg()
    return f"EPSG:{code}" if code is not None else str(crs.name)


def parse_crs(crs: Any) -> CRS:
    """Return the pyproj CRS for anything that names one (EPSG code, WKT, PROJ string).

    Raises:
        LinkwaysError: it names none.
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(crs)
    except CRSError as error:
        raise LinkwaysError(
            f"crs {str(crs)[:80]!r} is not a coordinate reference system; write it like 'EPSG:3035'"
        ) from error


def crs_of(raster: xr.DataArray) -> CRS:
    """Return the CRS of ``raster``.

    Raises:
        LinkwaysError: it has none.
    """
    import rioxarray  # noqa: F401  (registers the .rio accessor)

    crs = raster.rio.crs
    if crs is None:
        raise LinkwaysError(
            f"{label(raster)} has no coordinate reference system; read it with crs='EPSG:...' "
            "or set one with raster.rio.write_crs('EPSG:...')"
        )
    return parse_crs(crs.to_wkt())


def grid_of(raster: xr.DataArray) -> Grid:
    """Return the grid of a 2-D raster with dimensions (y, x) and coordinates at cell centres.

    Raises:
        LinkwaysError: other dimensions, no coordinates, no CRS, a rotated or an irregular grid.
    """
    _check_dimensions(raster)
    stored = _stored_transform(raster)
    if stored is not None and (stored[2] != 0.0 or stored[4] != 0.0):
        raise LinkwaysError(
            f"{label(raster)} is rotated; warp it to a grid whose rows run east-west (for example with gdalwarp)"
        )
    crs = crs_of(raster)
    x0, dx = _axis(raster, "x", stored[1] if stored is not None else None)
    y0, dy = _axis(raster, "y", stored[5] if stored is not None else None)
    rows, columns = raster.shape
    return Grid(crs, x0, y0, dx, dy, rows, columns)


def _check_dimensions(raster: xr.DataArray) -> None:
    if raster.dims != ("y", "x"):
        raise LinkwaysError(
            f"{label(raster)} has dimensions ({', '.join(map(str, raster.dims))}) and (y, x) is needed; "
            "select one layer and rename with raster.rename({'lat': 'y', 'lon': 'x'}).transpose('y', 'x')"
        )
    if 0 in raster.shape:
        raise LinkwaysError(f"{label(raster)} has no cells; check the window it was cut to")
    for axis in ("x", "y"):
        if axis not in raster.coords:
            raise LinkwaysError(f"{label(raster)} has no {axis} coordinates; give it the centres of its cells")


def _stored_transform(raster: xr.DataArray) -> list[float] | None:
    reference = raster.coords.get("spatial_ref")
    text = None if reference is None else reference.attrs.get("GeoTransform")
    return None if text is None else [float(part) for part in str(text).split()]


def _axis(raster: xr.DataArray, axis: str, stored_step: float | None) -> tuple[float, float]:
    """Return the outer edge of the first cell and the signed step of one axis."""
    centres = np.asarray(raster.coords[axis].values, dtype=np.float64)
    if centres.size == 1:
        if stored_step is None:
            raise LinkwaysError(
                f"{label(raster)} has one cell along {axis}, so its cell size is unknown; "
                "set it with raster.rio.write_transform(...)"
            )
        return float(centres[0]) - stored_step / 2, stored_step
    step = (centres[-1] - centres[0]) / (centres.size - 1)
    expected = centres[0] + step * np.arange(centres.size)
    off = np.abs(centres - expected)
    if not np.all(np.isfinite(centres)) or step == 0.0 or off.max() > _TOLERANCE_CELLS * abs(step):
        steps = np.diff(centres)
        at = int(np.argmax(np.abs(steps - np.median(steps))))
        raise LinkwaysError(
            f"{label(raster)} is not evenly spaced along {axis} (from {centres[at]:g} to {centres[at + 1]:g} at "
            f"{'column' if axis == 'x' else 'row'} {at}, elsewhere steps of {np.median(steps):g}); "
            "resample it to a regular grid"
        )
    return _exact_axis(centres, float(step))


def _exact_axis(centres: np.ndarray, step: float) -> tuple[float, float]:
    """Return the edge and step that give back ``centres`` to the last bit, where simple numbers do.

    A grid of 0.05 degrees measured on its coordinates is 0.04999...9 wide; written so, it drifts with every copy.
    """
    plain = float(centres[0]) - step / 2, step
    count = np.arange(centres.size) + 0.5
    inverse = round(1.0 / step) if abs(step) <= 1.0 else 0
    steps = [step, float(f"{step:.15g}"), float(f"{step:.12g}"), *([1.0 / inverse] if inverse else [])]
    for each in steps:
        edge = float(centres[0]) - each / 2
        for corner in (edge, float(f"{edge:.14g}"), float(f"{edge:.11g}")):
            if np.array_equal(corner + each * count, centres):
                return corner, each
    return plain
