"""Patches given as polygons: checked, repaired where that is safe and wanted, measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["Invalid", "Overlaps", "areas_m2", "checked_polygons", "measured", "metres_per_unit"]

Invalid = Literal["repair", "refuse"]
Overlaps = Literal["refuse", "dissolve", "keep"]

#: Two polygons overlap when they share more than this part of the smaller one; less is how borders are drawn.
_SLIVER = 1e-6


def checked_polygons(
    frame: gpd.GeoDataFrame, what: str, *, invalid: Invalid, overlaps: Overlaps, attribute: str | None = None
) -> gpd.GeoDataFrame:
    """The polygons with a column ``patch``, each valid, none empty, and none over another unless that is wanted.

    Of those that are dissolved the ``attribute`` is summed, whatever numbers it holds.

    Raises LinkwaysError for no features, coordinates that do not fit the CRS, a patch numbered twice, and polygons
    that are invalid or overlap where these are refused.
    """
    if not len(frame):
        raise LinkwaysError(f"{what} holds no features; give at least one patch")
    frame = _numbered(frame.reset_index(drop=True), what)
    _refuse_wrong_crs(frame, what)
    frame = _valid(frame, what, invalid)
    if overlaps == "keep":
        return frame
    pairs, shared = _overlapping(frame)
    if not len(pairs):
        return frame
    if overlaps == "refuse":
        a, b = pairs[int(np.argmax(shared))]
        raise LinkwaysError(
            f"{what}: {len(pairs)} pairs of polygons overlap, most of all patches {frame['patch'][a]} and "
            f"{frame['patch'][b]}, so that their area would count twice; set overlaps to 'dissolve' to make one patch "
            "of those that overlap, or cut them"
        )
    return _dissolved(frame, pairs, what, attribute)


def measured(frame: gpd.GeoDataFrame, attribute: str | None, what: str) -> gpd.GeoDataFrame:
    """The polygons with their area in hectares and their attribute: a column of theirs, or the area."""
    area = areas_m2(frame) / 1e4
    values = area if attribute is None else _attribute(frame, attribute, what)
    rest = frame.drop(columns=[c for c in ("area_ha", "attribute") if c in frame.columns])
    out = rest.assign(area_ha=area, attribute=values)
    first = ["patch", "area_ha", "attribute"]
    return out[[*first, *(c for c in out.columns if c not in first)]]


def areas_m2(frame: gpd.GeoDataFrame) -> np.ndarray:
    """Area of each polygon in square metres: geodesic (Karney 2013) on a geographic CRS, else in map units."""
    if frame.crs.is_geographic:
        from shapely.geometry.polygon import orient

        geod = frame.crs.get_geod()
        # the geodesic area of a ring has a sign, so that holes must run against their shell
        parts = frame.geometry.explode(index_parts=False)
        area = [abs(geod.geometry_area_perimeter(orient(part))[0]) for part in parts]
        return np.asarray(np.bincount(parts.index, area, minlength=len(frame)))
    x, y = metres_per_unit(frame.crs)
    return np.asarray(frame.geometry.area.to_numpy() * (x * y))


def metres_per_unit(crs: Any) -> tuple[float, float]:
    """Metres in a unit along either axis of a projected CRS.

    Raises LinkwaysError for a CRS whose units are no lengths.
    """
    units = [axis.unit_conversion_factor for axis in crs.axis_info[:2]]
    if crs.is_geographic or crs.is_geocentric or len(units) < 2 or not all(unit > 0 for unit in units):
        raise LinkwaysError(
            f"the CRS {crs.name!r} is neither geographic nor projected, so that areas and distances have no unit; "
            "reproject the patches to one that is"
        )
    return units[0], units[1]


# --- checks ------------------------------------------------------------------------------------------------------


def _numbered(frame: gpd.GeoDataFrame, what: str) -> gpd.GeoDataFrame:
    if "patch" not in frame.columns:
        return frame.assign(patch=np.arange(1, len(frame) + 1))
    if frame["patch"].isna().any():
        row = int(np.argmax(frame["patch"].isna()))
        raise LinkwaysError(f"{what}, row {row}: column patch is empty; number all patches, or drop the column")
    if frame["patch"].duplicated().any():
        twice = frame["patch"][frame["patch"].duplicated()].iloc[0]
        raise LinkwaysError(
            f"{what}: {twice} stands for two features in column patch; dissolve the features by it or renumber them"
        )
    return frame


def _refuse_wrong_crs(frame: gpd.GeoDataFrame, what: str) -> None:
    import shapely

    points = shapely.get_coordinates(frame.geometry.to_numpy())
    if not len(points):
        return
    low, high = points.min(axis=0), points.max(axis=0)
    in_degrees = bool((low >= [-360, -90]).all() and (high <= [360, 90]).all())
    if frame.crs.is_geographic:
        if not in_degrees:
            raise LinkwaysError(
                f"{what} has the geographic CRS {frame.crs.name}, but coordinates from {low[0]:g} {low[1]:g} to "
                f"{high[0]:g} {high[1]:g}, which are no degrees; give it the CRS that its coordinates are in"
            )
        return
    metres_per_unit(frame.crs)
    # all whole numbers: a small layer in metres near the origin, as in examples
    if in_degrees and float((points % 1 != 0).any(axis=1).mean()) > 0.5:
        raise LinkwaysError(
            f"{what} has coordinates from {low[0]:g} {low[1]:g} to {high[0]:g} {high[1]:g}, which look like degrees, "
            f"but a CRS in metres ({frame.crs.name}); give it the CRS that its coordinates are in (for example "
            "EPSG:4326)"
        )


def _valid(frame: gpd.GeoDataFrame, what: str, invalid: Invalid) -> gpd.GeoDataFrame:
    import geopandas as gpd
    import shapely

    shapes = frame.geometry.to_numpy().copy()
    absent = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    wrong = ~shapely.is_valid(shapes) & ~absent
    if wrong.any():
        first = int(np.argmax(wrong))
        reason = shapely.is_valid_reason(shapes[first])
        if invalid == "refuse":
            raise LinkwaysError(
                f"{what} has {int(wrong.sum())} invalid polygons, first patch {frame['patch'][first]} ({reason}); mend "
                "them, or set invalid to 'repair'"
            )
        shapes[wrong] = shapely.make_valid(shapes[wrong], method="structure", keep_collapsed=False)
        note(f"{what}: {int(wrong.sum())} invalid polygons made valid, first patch {frame['patch'][first]} ({reason})")
        frame = frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs))
        absent = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if absent.any():
        first = int(np.argmax(absent))
        raise LinkwaysError(f"{what}: patch {frame['patch'][first]} has no area; give it a polygon or drop it")
    return frame


def _overlapping(frame: gpd.GeoDataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows whose polygons share more than a sliver, and the area they share."""
    import shapely

    shapes = frame.geometry.to_numpy()
    one, other = frame.sindex.query(shapes, predicate="intersects")
    upper = one < other
    one, other = one[upper], other[upper]
    beside = shapely.touches(shapes[one], shapes[other])
    one, other = one[~beside], other[~beside]
    shared = shapely.area(shapely.intersection(shapes[one], shapes[other]))
    size = shapely.area(shapes)
    over = shared > _SLIVER * np.minimum(size[one], size[other])
    return np.stack([one[over], other[over]], axis=1), shared[over]


def _dissolved(frame: gpd.GeoDataFrame, pairs: np.ndarray, what: str, attribute: str | None) -> gpd.GeoDataFrame:
    """Make one patch of polygons that overlap: number and fields of the first, sums of decimals and the attribute."""
    import shapely
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = (len(frame), len(frame))
    _, group = connected_components(coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), size), directed=False)
    shapes = frame.geometry.to_numpy()
    order = np.argsort(group, kind="stable")
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    together = np.split(shapes[order], first[1:])
    out = frame.iloc[order[first]].copy()
    out[frame.geometry.name] = [own[0] if len(own) == 1 else shapely.union_all(own) for own in together]
    for column in frame.columns:
        wanted = "iuf" if column == attribute else "f"  # other whole numbers may be codes
        if column not in ("patch", frame.geometry.name) and frame[column].dtype.kind in wanted:
            out[column] = np.bincount(group, frame[column].to_numpy())[group[out.index]]
    note(
        f"{what}: {len(pairs)} pairs of polygons overlap; {len(frame)} features dissolved to {len(out)} patches, which "
        f"keep the number of the first and the sums of fields with decimals{f' and {attribute}' if attribute else ''}"
    )
    return out.sort_index().reset_index(drop=True)


def _attribute(frame: gpd.GeoDataFrame, name: str, what: str) -> np.ndarray:
    import pandas as pd

    if name not in frame.columns:
        raise LinkwaysError(f"{what} has no column '{name}'{nearest(name, [str(c) for c in frame.columns])}")
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(values) | (values < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise LinkwaysError(
            f"{what} has {int(wrong.sum())} patches whose {name} is negative or no number, first patch "
            f"{frame['patch'][row]} ({frame[name].iloc[row]}); an attribute is 0 or more"
        )
    return np.asarray(values)
