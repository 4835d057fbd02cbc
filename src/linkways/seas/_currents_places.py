"""Places on a velocity field: its cells in metres, and features brought to its CRS and its longitudes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr
    from numpy.typing import NDArray


def metres_per_cell(
    field: xr.Dataset, rows: NDArray[np.floating[Any]] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Width and signed height of a cell in metres at rows of the field (any number, whole at cell centres).

    On a geographic CRS from the radii of curvature of its ellipsoid: N cos(lat) dlon and M dlat.

    Raises LinkwaysError for latitudes beyond the poles.
    """
    crs = field.rio.crs
    at = np.arange(field.sizes["y"], dtype=float) if rows is None else np.asarray(rows, float)
    dx, dy = step_of(field, "x"), step_of(field, "y")
    from pyproj import CRS

    place = CRS.from_user_input(crs)
    if not place.is_geographic:
        factor = float(place.axis_info[0].unit_conversion_factor) if place.axis_info else 1.0
        return np.full(len(at), abs(dx) * factor), np.full(len(at), dy * factor)
    latitude = float(field["y"].values[0]) + dy * at
    if np.abs(latitude).max() > 90.0 + 1e-6:
        raise LinkwaysError(
            f"the field reaches latitude {np.abs(latitude).max():g}, beyond the pole; check its coordinate y"
        )
    ellipsoid = place.get_geod()
    assert ellipsoid is not None  # a geographic CRS has one
    a, squared = ellipsoid.a, ellipsoid.es
    phi = np.radians(latitude)
    root = np.sqrt(1.0 - squared * np.sin(phi) ** 2)
    east = a / root * np.cos(phi)
    north = a * (1.0 - squared) / root**3
    return east * np.radians(abs(dx)), north * np.radians(dy)


def step_of(field: xr.Dataset | xr.DataArray, axis: str) -> float:
    """The signed step between cell centres."""
    values = field[axis].values
    return float((values[-1] - values[0]) / (len(values) - 1))


def goes_around(field: xr.Dataset) -> bool:
    """Whether the field's last column is the neighbour of its first."""
    from pyproj import CRS

    width = abs(step_of(field, "x")) * field.sizes["x"]
    return bool(
        CRS.from_user_input(field.rio.crs).is_geographic and abs(width - 360.0) < 1e-3 * 360.0 / field.sizes["x"]
    )


def on_field(features: gpd.GeoDataFrame, field: xr.Dataset, name: str) -> gpd.GeoDataFrame:
    """The features in the field's CRS, and their longitudes in its convention.

    Raises LinkwaysError for features that lie on both sides of the other convention's seam.
    """
    from pyproj import CRS

    crs = CRS.from_user_input(field.rio.crs)
    if not CRS.from_user_input(features.crs).equals(crs, ignore_axis_order=True):
        note(f"{name} reprojected from {features.crs.to_string()[:40]} to the CRS of the currents")
        features = features.to_crs(crs)
    if not crs.is_geographic or goes_around(field) or not len(features):
        return features
    return _wrapped(features, field, name)


def _wrapped(features: gpd.GeoDataFrame, field: xr.Dataset, name: str) -> gpd.GeoDataFrame:
    import shapely

    x = field["x"].values
    middle = (x.min() + x.max()) / 2.0
    bounds = features.geometry.bounds
    if bounds["minx"].min() < -180.0 - 1e-6 or (bounds["minx"].min() < -1e-6 and bounds["maxx"].max() > 180.0 + 1e-6):
        raise LinkwaysError(
            f"{name} mixes conventions of longitude: from {bounds['minx'].min():g} to {bounds['maxx'].max():g}; bring "
            "all to -180..180 or all to 0..360"
        )
    turns = np.round((middle - (bounds["minx"] + bounds["maxx"]).to_numpy() / 2.0) / 360.0)
    if not turns.any():
        return features
    note(f"{name}: longitudes of {int((turns != 0).sum())} features turned by 360 degrees to those of the currents")
    moved: list[Any] = [
        shapely.transform(shape, lambda at, t=turn: at + np.array([360.0 * t, 0.0]))
        for shape, turn in zip(features.geometry, turns, strict=True)
    ]
    return features.set_geometry(moved, crs=features.crs)
