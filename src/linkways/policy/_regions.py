"""The regions that an indicator is computed for: one shape for each name, on its own plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.policy._plane import Plane, area_scale_error, refuse_wrong_units
from linkways.policy._sites import Decisions, checked_polygons

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["WHOLE", "named_regions", "overlap_of", "planes_of"]

WHOLE = "all"
"""Name of the region when all polygons together are one."""


def named_regions(
    regions: gpd.GeoDataFrame, column: str | None, crs: Any, invalid: str, decisions: Decisions, what: str = "regions"
) -> dict[str, Any]:
    """One shape for each region, in the CRS ``crs``; features of the same name are united.

    Refuses an empty layer, a column that is not there, and coordinates that do not fit the CRS.
    """
    import shapely

    if not len(regions):
        raise LinkwaysError(f"{what}: the layer holds no features; give at least one polygon")
    refuse_wrong_units(regions, what)
    if column is not None and column not in regions.columns:
        known = [str(c) for c in regions.columns if c != regions.geometry.name]
        raise LinkwaysError(f"{what}: there is no column {column!r}{nearest(column, known)}")
    shapes = checked_polygons(regions, what, invalid, decisions)
    if regions.crs != crs:
        import geopandas as gpd

        shapes = gpd.GeoSeries(shapes, crs=regions.crs).to_crs(crs).to_numpy()
        decisions.add("repair", f"{what} reprojected from {regions.crs.name} to {crs.name}", len(regions))
    names = np.full(len(regions), WHOLE, dtype=object) if column is None else regions[column].astype(str).to_numpy()
    return {
        str(name): shapes[names == name][0] if (names == name).sum() == 1 else shapely.union_all(shapes[names == name])
        for name in dict.fromkeys(names)
    }


def planes_of(shapes: dict[str, Any], crs: Any, decisions: Decisions) -> dict[str, Plane]:
    """The plane of each region, noted with what its projection does to areas."""
    planes = {}
    for name, shape in shapes.items():
        one = np.array([shape], dtype=object)
        plane = planes[name] = Plane.of(one, crs)
        error = area_scale_error(plane, one)
        told = "" if error is None or plane.is_local else f"; areas in it are off by up to {error:.2g} %"
        decisions.add("choice", f"measured in the {plane.words}{told}", 1, region=name)
    return planes


def overlap_of(shapes: dict[str, Any]) -> list[tuple[str, str]]:
    """Names of the regions that share more than a border."""
    import shapely

    names, values = list(shapes), np.array(list(shapes.values()), dtype=object)
    if len(values) < 2:
        return []
    first, second = shapely.STRtree(values).query(values, predicate="intersects")
    later = first < second
    first, second = first[later], second[later]
    shared = shapely.area(shapely.intersection(values[first], values[second]))
    enough = shared > 1e-9 * np.minimum(shapely.area(values[first]), shapely.area(values[second]))
    return [(names[a], names[b]) for a, b in zip(first[enough], second[enough], strict=True)]
