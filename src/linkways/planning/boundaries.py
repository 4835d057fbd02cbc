"""How long the edges are that planning units share."""

from typing import TYPE_CHECKING, Annotated

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Raster, TableOf, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

__all__ = ["boundaries"]

ID = "planning.boundaries"


@method(
    ID,
    references=(
        "Ball IR, Possingham HP, Watts M (2009) Marxan and relatives: software for spatial conservation "
        "prioritisation. In: Spatial conservation prioritisation, Oxford University Press, 185-195",
    ),
)
def boundaries(
    units: Annotated[
        "gpd.GeoDataFrame | None", Vector("planning units with the column unit", geometry=("Polygon",))
    ] = None,
    cost: Annotated["xr.DataArray | None", Raster("in place of units: cells with a value are planning units")] = None,
) -> Annotated[
    "pd.DataFrame",
    TableOf("unit_a, unit_b, length (m); a unit with itself: its edge that it shares with no other", name="boundaries"),
]:
    """How long the edges are that planning units share, in metres, as `planning.select` takes them.

    Polygons share the lines that lie in both boundaries (vertices need not agree, the lines must); lengths are those on
    the ellipsoid where coordinates are degrees. Cells share their sides; on a grid in degrees a side between two rows
    is as long as the mean of the widths of the rows. Cells are named by their number in reading order from 0.

    Raises LinkwaysError where both or none of units and cost are given, and for units without name or shape.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> from linkways import planning
    >>> shapes = [box(0, 0, 100, 100), box(100, 0, 200, 100)]
    >>> squares = gpd.GeoDataFrame({"unit": ["a", "b"]}, geometry=shapes, crs="EPSG:32736")
    >>> planning.boundaries(squares).values.tolist()
    [['a', 'a', 300.0], ['a', 'b', 100.0], ['b', 'b', 300.0]]
    """
    import pandas as pd

    from linkways.planning._boundary_lengths import grid_boundary, polygon_boundary

    if (units is None) == (cost is None):
        raise LinkwaysError(f"{ID}: give either units (polygons) or cost (a raster)")
    if units is not None:
        names = named_units(units, ID)
        pairs, exposed = polygon_boundary(units)
    else:
        assert cost is not None
        inside = np.isfinite(np.asarray(cost.data, dtype=float))
        if not inside.any():
            raise LinkwaysError(f"{ID}: the raster of cost holds no cell with a value, so there is no planning unit")
        names = np.flatnonzero(inside)
        pairs, exposed = grid_boundary(cost, inside)
    own = np.flatnonzero(exposed > 0)
    first, second = np.r_[pairs.a, own], np.r_[pairs.b, own]
    order = np.lexsort((second, first))
    length = np.r_[pairs.value, exposed[own]][order]
    return pd.DataFrame({"unit_a": names[first[order]], "unit_b": names[second[order]], "length": length})


def named_units(units: "gpd.GeoDataFrame", method: str) -> np.ndarray:
    """Their names, told apart; ``method`` is who refuses others."""
    if "unit" not in units.columns:
        raise LinkwaysError(f"{method}: units has no column 'unit'; name the planning units in one")
    twice = np.flatnonzero(units["unit"].duplicated() | units["unit"].isna())
    if len(twice):
        raise LinkwaysError(
            f"{method}: units has the unit {units['unit'].iloc[twice[0]]} twice or without a name, in row "
            f"{twice[0] + 1}; give each unit its own name"
        )
    return np.asarray(units["unit"])
