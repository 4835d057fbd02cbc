"""Minimum convex polygons around the fixes of each animal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Layer, Param, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["mcp"]


@method(
    "movement.mcp",
    references=(
        "Mohr CO (1947) Table of equivalent populations of North American small mammals. American Midland Naturalist "
        "37:223-249",
        "Calenge C (2006) The package adehabitat for the R software. Ecological Modelling 197:516-519 (share of fixes)",
    ),
)
def mcp(
    fixes: Annotated["gpd.GeoDataFrame", Vector("GPS fixes", geometry=("Point",), columns=("animal", "time"))],
    *,
    by: Annotated[Literal["animal", "sequence"], Param("the column whose values get a polygon each")] = "animal",
    percent: Annotated[
        Sequence[float],
        Param("polygons: share of the fixes inside, those nearest to their mean", unit="%", gt=0, le=100),
    ] = (50.0, 95.0, 100.0),
) -> Annotated[
    "gpd.GeoDataFrame",
    Layer("minimum convex polygons, the widest first: animal (or sequence), percent, fixes inside, area_km2"),
]:
    """Minimum convex polygons around the given shares of the fixes of each animal.

    A polygon of p per cent holds the fixes whose distance from the mean of all fixes is no more than the p-quantile of
    these distances. It grows with every fix and tells nothing of use inside; movement.kernel_range and movement.akde
    do.

    Raises LinkwaysError for fixes in degrees, fewer than five of an animal, and fixes that lie on a line.

    Examples
    --------
    >>> import geopandas as gpd, pandas as pd
    >>> from linkways import movement
    >>> time = pd.date_range("2024-04-01", periods=6, freq="2h", tz="UTC")
    >>> points = gpd.points_from_xy([0, 1000, 1000, 0, 500, 5000], [0, 0, 1000, 1000, 500, 500])
    >>> fixes = gpd.GeoDataFrame({"animal": "doe", "time": time}, geometry=points, crs="EPSG:32612")
    >>> movement.mcp(fixes, percent=[80, 100])[["animal", "percent", "fixes", "area_km2"]]
      animal  percent  fixes  area_km2
    0    doe    100.0      6       3.0
    1    doe     80.0      5       1.0
    """
    import geopandas as gpd
    import shapely

    from linkways.movement._fixes import fixes_of

    found = fixes_of(fixes, by=by, at_least=5)
    unit = float(found.layer.crs.axis_info[0].unit_conversion_factor)
    rows: list[dict[str, Any]] = []
    hulls = []
    for g, name in enumerate(found.names):
        places = np.column_stack([found.x_m[found.rows(g)], found.y_m[found.rows(g)]])
        away = np.hypot(*(places - places.mean(axis=0)).T)
        for level in sorted(set(percent), reverse=True):
            # the last bits of a quantile that is one of the distances must not cost a fix
            inside = places[away <= np.quantile(away, level / 100) * (1 + 1e-12)]
            hull = shapely.convex_hull(shapely.multipoints(inside / unit))
            if hull.geom_type != "Polygon":
                raise LinkwaysError(
                    f"movement.mcp: the {len(inside)} fixes of {name} within {level:g} % lie on a line, so that "
                    f"they have no "
                    f"polygon; take a larger share, or leave {name} out"
                )
            area = hull.area * unit**2 / 1e6
            rows.append({by: str(name), "percent": level, "fixes": len(inside), "area_km2": area})
            hulls.append(hull)
    return gpd.GeoDataFrame(rows, geometry=hulls, crs=found.layer.crs)
