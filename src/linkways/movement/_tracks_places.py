"""Places of fixes on a map in metres: a UTM zone where tracks fit in one, an equal-area map about them elsewhere."""

from typing import Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.movement._tracks_table import parsed_crs

__all__ = ["map_crs", "projected"]

#: degrees from the middle of a zone within which UTM lengths are right to 2 in 1000
_UTM_REACH = 3.5


def projected(x: np.ndarray, y: np.ndarray, crs: Any, asked: str | None) -> tuple[np.ndarray, np.ndarray, Any]:
    """Coordinates on the map of the result and its CRS; nothing is moved when they are projected and none is asked for.

    Raises LinkwaysError for a CRS that is not projected, and for places that it cannot show.
    """
    if asked is None and not crs.is_geographic:
        return x, y, crs
    place = np.isfinite(x) & np.isfinite(y)
    target = parsed_crs(asked) if asked is not None else map_crs(x[place], y[place])
    if target.is_geographic:
        raise LinkwaysError(
            f"project_to {asked} is in degrees, but tracks are measured in metres; give a projected CRS, e.g. "
            "EPSG:32612, or leave it out for one that fits the tracks"
        )
    from pyproj import Transformer

    moved_x, moved_y = np.full(len(x), np.nan), np.full(len(y), np.nan)
    moved = Transformer.from_crs(crs, target, always_xy=True).transform(x[place], y[place])
    moved_x[place], moved_y[place] = np.asarray(moved[0], float), np.asarray(moved[1], float)
    lost = np.flatnonzero(place & ~(np.isfinite(moved_x) & np.isfinite(moved_y)))
    if len(lost):
        raise LinkwaysError(
            f"{len(lost)} fixes cannot be shown in {target.name}, first row {lost[0] + 1} ({x[lost[0]]:g}, "
            f"{y[lost[0]]:g}); give a project_to that covers the tracks, or mend the place"
        )
    return moved_x, moved_y, target


def map_crs(longitude: np.ndarray, latitude: np.ndarray) -> Any:
    """The UTM zone of the middle of the places when all lie near it, else Lambert's equal-area map about the middle.

    The middle is that of the shortest arc that holds all longitudes, so that places on both sides of the 180th
    meridian stay together.
    """
    west, span = _arc(longitude)
    middle = (west + span / 2 + 180) % 360 - 180
    low, high = float(latitude.min()), float(latitude.max())
    zone = int((middle + 180) // 6) % 60 + 1
    centre = zone * 6 - 183
    reach = np.abs((longitude - centre + 180) % 360 - 180).max()
    if reach <= _UTM_REACH and low >= -80 and high <= 84:
        # on both sides of the equator: the zone of the side with more of the fixes
        return parsed_crs(f"EPSG:{(32600 if np.median(latitude) >= 0 else 32700) + zone}")
    return parsed_crs(f"+proj=laea +lat_0={(low + high) / 2:.4f} +lon_0={middle:.4f} +datum=WGS84 +units=m +type=crs")


def _arc(longitude: np.ndarray) -> tuple[float, float]:
    """West end and width of the shortest arc that holds all longitudes."""
    ordered = np.unique(longitude % 360)
    gaps = np.diff(np.append(ordered, ordered[0] + 360))
    widest = int(np.argmax(gaps))
    return float(ordered[(widest + 1) % len(ordered)]), float(360 - gaps[widest])
