"""The plane, in metres, on which areas are cut, dissolved and measured: that of the layer, or one about the place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import geopandas as gpd
    from pyproj import CRS

__all__ = ["LONGEST_STEP_DEGREES", "Plane", "area_scale_error", "refuse_wrong_units"]

LONGEST_STEP_DEGREES = 0.05
"""Edges in degrees are cut to this length before they are projected, so that they keep to their parallel."""


@dataclass(frozen=True)
class Plane:
    """Where shapes of one CRS are measured in metres.

    For a projected CRS this is its own plane, its unit turned into metres. For a geographic CRS it is the Lambert
    azimuthal equal-area projection of its ellipsoid about ``centre`` (longitude, latitude): areas are those of the
    ellipsoid, and distances are geodesics between the points that are nearest in the projection.
    """

    crs: CRS
    centre: tuple[float, float] | None = None

    @classmethod
    def of(cls, shapes: np.ndarray, crs: Any) -> Plane:
        """The plane for these shapes (for a geographic CRS: about their middle)."""
        from pyproj import CRS

        crs = CRS.from_user_input(crs)
        return cls(crs, _middle(shapes) if crs.is_geographic else None)

    @property
    def is_local(self) -> bool:
        """Whether this is a projection made for the place."""
        return self.centre is not None

    @cached_property
    def target(self) -> CRS:
        """The CRS of the coordinates in the plane, but for the unit."""
        from pyproj import CRS

        if self.centre is None:
            return self.crs
        longitude, latitude = self.centre
        place = f"+lat_0={latitude:.6f} +lon_0={longitude:.6f}"
        return CRS.from_proj4(f"+proj=laea {place} {self._ellipsoid} +units=m +no_defs")

    @property
    def _ellipsoid(self) -> str:
        ellipsoid = self.crs.ellipsoid
        assert ellipsoid is not None
        return f"+a={ellipsoid.semi_major_metre} +b={ellipsoid.semi_minor_metre}"

    @cached_property
    def _unit(self) -> float:
        return 1.0 if self.is_local else float(self.crs.axis_info[0].unit_conversion_factor)

    def project(self, shapes: np.ndarray) -> np.ndarray:
        """The shapes in metres on the plane."""
        import geopandas as gpd
        import shapely

        if self.is_local:
            fine = shapely.segmentize(shapes, LONGEST_STEP_DEGREES)
            return np.asarray(gpd.GeoSeries(fine, crs=self._geodetic).to_crs(self.target).to_numpy())
        if self._unit != 1.0:
            return np.asarray(shapely.transform(shapes, lambda xy: xy * self._unit))
        return shapes

    def unproject(self, shapes: np.ndarray) -> gpd.GeoSeries:
        """Shapes of the plane in the CRS of the layer."""
        import geopandas as gpd
        import shapely

        if self.is_local:
            back = gpd.GeoSeries(shapes, crs=self.target).to_crs(self._geodetic)
            return back.set_crs(self.crs, allow_override=True)
        if self._unit != 1.0:
            shapes = shapely.transform(shapes, lambda xy: xy / self._unit)
        return gpd.GeoSeries(shapes, crs=self.crs)

    def lengths(self, distance: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Metres between the points ``ends`` (k, 4), whose distance in the plane is given."""
        if not self.is_local or not len(distance):
            return distance
        from pyproj import Transformer

        back = Transformer.from_crs(self.target, self._geodetic, always_xy=True)
        lon1, lat1 = back.transform(ends[:, 0], ends[:, 1])
        lon2, lat2 = back.transform(ends[:, 2], ends[:, 3])
        geod = self.crs.get_geod()
        assert geod is not None
        return np.asarray(geod.inv(lon1, lat1, lon2, lat2)[2])

    def stretch(self, reach: float, bounds: np.ndarray) -> float:
        """``reach`` lengthened so that no geodesic of this length between shapes in ``bounds`` is missed.

        At the angular distance c from its centre the projection lengthens by at most 1 / cos(c / 2).
        """
        if not self.is_local:
            return reach
        far = float(np.abs(bounds).max(initial=0.0)) * math.sqrt(2.0) / 6.35e6
        return reach * (1.0 / max(math.cos(min(far / 2.0, 1.2)), 0.3) + 0.001)

    @property
    def words(self) -> str:
        """What was chosen, for the log."""
        if self.centre is None:
            return f"map plane of {self.crs.name}"
        longitude, latitude = self.centre
        return f"equal-area plane about longitude {longitude:.3f}, latitude {latitude:.3f}; distances are geodesics"

    @cached_property
    def _geodetic(self) -> CRS:
        """Longitude and latitude on the same ellipsoid, without a change of datum."""
        from pyproj import CRS

        return CRS.from_proj4(f"+proj=longlat {self._ellipsoid} +no_defs")


def _middle(shapes: np.ndarray) -> tuple[float, float]:
    """Longitude and latitude of the mean direction of the corners of the boxes, also across the antimeridian."""
    import shapely

    boxes = shapely.bounds(shapely.get_parts(shapes))
    longitude = np.radians(np.concatenate([boxes[:, 0], boxes[:, 2]]))
    latitude = np.radians(np.concatenate([boxes[:, 1], boxes[:, 3]]))
    weight = np.tile(np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) + 1e-9, 2)
    x = np.sum(weight * np.cos(latitude) * np.cos(longitude))
    y = np.sum(weight * np.cos(latitude) * np.sin(longitude))
    z = np.sum(weight * np.sin(latitude))
    return math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))


def refuse_wrong_units(frame: gpd.GeoDataFrame, what: str) -> None:
    """Refuse degrees in a projected CRS, metres in a geographic one, and a CRS that measures neither."""
    crs = frame.crs
    bounds = np.abs(np.asarray(frame.total_bounds, dtype=float))
    if not len(frame) or not np.isfinite(bounds).all():
        return
    if crs.is_geographic:
        if bounds[[1, 3]].max() > 90.0 or bounds[[0, 2]].max() > 360.0:
            raise LinkwaysError(
                f"{what}: the CRS {crs.name} is in degrees but coordinates reach {bounds.max():.6g}, which are no "
                "longitudes and latitudes; set the projected CRS they are in"
            )
        return
    if crs.is_geocentric or crs.is_engineering or not crs.is_projected:
        raise LinkwaysError(f"{what}: distances cannot be measured in the CRS {crs.name}; reproject the layer")
    fine_unit = crs.axis_info[0].unit_conversion_factor <= 1.0  # a country of 180 km is one, of 180 m hardly
    if fine_unit and bounds[[0, 2]].max() <= 180.0 and bounds[[1, 3]].max() <= 90.0:
        raise LinkwaysError(
            f"{what}: the CRS {crs.name} is in {crs.axis_info[0].unit_name} but all coordinates lie within "
            "-180..180 and -90..90, so they look like degrees; set the CRS to EPSG:4326 if they are"
        )


def area_scale_error(plane: Plane, shapes: np.ndarray) -> float | None:
    """Largest error in percent that the map projection brings to areas at the boxes' corners; None if not known."""
    if plane.is_local:
        return 0.0
    import shapely
    from pyproj import Proj, Transformer
    from pyproj.exceptions import ProjError

    boxes = shapely.bounds(shapes)
    x = boxes[:, [0, 2, 0, 2]].ravel()
    y = boxes[:, [1, 1, 3, 3]].ravel()
    try:
        geodetic = plane.crs.geodetic_crs
        lon, lat = Transformer.from_crs(plane.crs, geodetic, always_xy=True).transform(x, y)
        factors = Proj(plane.crs).get_factors(lon, lat)
    except (ProjError, AttributeError, TypeError):
        return None
    scale = np.asarray(factors.areal_scale, dtype=float)
    scale = scale[np.isfinite(scale)]
    return float(100.0 * np.abs(scale - 1.0).max()) if len(scale) else None
