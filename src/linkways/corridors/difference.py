"""What a scenario changes: two maps of the same thing, before and after."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, method

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["Difference", "difference"]


@dataclass(frozen=True)
class Difference:
    """The difference between two maps."""

    change: Annotated["xr.DataArray", Layer("after minus before; empty where either is empty")]
    percent: Annotated["xr.DataArray", Layer("change as a share of before; empty where before is 0", unit="percent")]
    places: Annotated["gpd.GeoDataFrame", Layer("cells with the largest loss: rank, before, after, change, percent")]
    total_percent: Annotated[float, Indicator("change of the sum over all cells", unit="percent")]
    lost_area_km2: Annotated[float, Indicator("area of the cells that lose at least the stated share", unit="km2")]


@method("corridors.difference")
def difference(
    before: Annotated["xr.DataArray", Raster("the map as it is")],
    after: Annotated["xr.DataArray", Raster("the map under the scenario")],
    *,
    loss_percent: Annotated[
        float, Param("a cell counts as losing from this loss up", unit="percent", gt=0, le=100)
    ] = 10.0,
    top: Annotated[int, Param("how many cells with the largest loss are listed", ge=0)] = 10,
) -> Difference:
    """Where and by how much a scenario changes a map.

    change = after - before and percent = 100 change / before, cell by cell. Cells that are nodata in one of the maps
    are nodata in the difference. Areas are the ellipsoidal cell areas.

    Raises LinkwaysError when no cell has a value in both maps.

    Examples
    --------
    >>> from linkways import corridors, spatial
    >>> before = spatial.new_raster([[2.0, 4.0, 4.0]], crs="EPSG:3035", cell_size=1000)
    >>> after = spatial.new_raster([[2.0, 3.0, 1.0]], crs="EPSG:3035", cell_size=1000)
    >>> found = corridors.difference(before, after)
    >>> found.percent.values, found.lost_area_km2
    (array([[  0., -25., -75.]]), 2.0)
    """
    import geopandas as gpd

    from linkways.corridors._landscape import Landscape

    grid = Landscape.of(before)
    old, new = before.values.astype(float), after.values.astype(float)
    change = new - old
    known = np.isfinite(change)
    if not known.any():
        raise LinkwaysError("corridors.difference: no cell has a value both before and after; check the two maps")
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = np.where(old != 0, 100 * change / np.abs(old), np.nan)
    order = np.argsort(np.where(known, change, np.inf), axis=None, kind="stable")[:top]
    worst = order[change.ravel()[order] < 0]
    points = grid.points(worst)
    places = gpd.GeoDataFrame(
        {
            "rank": np.arange(1, len(worst) + 1),
            **{name: v.ravel()[worst] for name, v in (("before", old), ("after", new), ("change", change))},
            "percent": percent.ravel()[worst],
        },
        geometry=gpd.points_from_xy(points[:, 0], points[:, 1]),
        crs=before.rio.crs,
    )
    units = before.attrs.get("units", "")
    base = old[known].sum()
    return Difference(
        grid.like(change, "change", units=units),
        grid.like(percent, "percent", units="percent"),
        places,
        float(100 * change[known].sum() / abs(base)) if base else float("nan"),
        float(grid.area_km2[percent <= -loss_percent].sum()),
    )
