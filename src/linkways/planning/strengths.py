"""How strongly neighbouring planning units are joined by a map of flow."""

from typing import TYPE_CHECKING, Annotated

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Raster, TableOf, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

__all__ = ["strengths"]

ID = "planning.strengths"


@method(
    ID,
    references=(
        "Daigle RM, Metaxas A, Balbar AC, et al. (2020) Operationalizing ecological connectivity in spatial "
        "conservation planning with Marxan Connect. Methods in Ecology and Evolution 11:570-579 (connectivity as a "
        "strength between planning units)",
        "McRae BH, Dickson BG, Keitt TH, Shah VB (2008) Using circuit theory to model connectivity in ecology, "
        "evolution, and conservation. Ecology 89:2712-2724 (current maps)",
    ),
)
def strengths(
    flow: Annotated[
        "xr.DataArray", Raster("a map that is higher where more moves: current, a corridor's closeness, visits")
    ],
    units: Annotated["gpd.GeoDataFrame", Vector("planning units with the column unit", geometry=("Polygon",))],
) -> Annotated[
    "pd.DataFrame",
    TableOf("unit_a, unit_b, strength (the map's unit x km): units that share cell sides", name="strengths"),
]:
    """How strongly planning units are joined to their neighbours by a map of flow: what crosses the edge they share.

    Each cell belongs to the unit that its centre lies in. Over all sides between a cell of one unit and a cell of the
    other, ``strength = sum (flow_1 + flow_2) / 2 x length of the side in km``: the integral of the map along the shared
    edge, so that many units along a corridor are joined as strongly as few. Cells without a value join nothing; pairs
    whose strength is 0 are left out. The table is what planning.select and planning.zones take as connectivity.

    Raises LinkwaysError for units without a name, units too small to hold a cell's centre, and values below 0.

    Examples
    --------
    >>> import numpy as np
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> from linkways import planning, spatial
    >>> flow = spatial.new_raster(np.full((1, 4), 0.5), crs="EPSG:32617", cell_size=1000, origin=(0, 1000))
    >>> shapes = [box(0, 0, 2000, 1000), box(2000, 0, 4000, 1000)]
    >>> farms = gpd.GeoDataFrame({"unit": ["a", "b"]}, geometry=shapes, crs="EPSG:32617")
    >>> planning.strengths(flow, farms).values.tolist()
    [['a', 'b', 0.5]]
    """
    import pandas as pd

    from linkways.planning._boundary_lengths import grid_boundary
    from linkways.planning.boundaries import named_units
    from linkways.spatial import feature_of_cell

    names = named_units(units, ID)
    values = np.asarray(flow.data, dtype=float)
    if (values < 0).any():
        raise LinkwaysError(
            f"{ID}: the map {flow.name} has values below 0 in {int((values < 0).sum())} cells; give a "
            "map that is 0 where nothing moves"
        )
    owner = feature_of_cell(units, flow)
    empty = np.setdiff1d(np.arange(len(names)), owner)
    if len(empty):
        raise LinkwaysError(
            f"{ID}: {len(empty)} units hold the centre of no cell of {flow.name}, first {names[empty[0]]}; give a "
            "finer map, or leave them out"
        )
    inside = np.isfinite(values) & (owner >= 0)
    sides, _ = grid_boundary(flow, inside)
    of, on = owner[inside], values[inside]
    first, second = np.minimum(of[sides.a], of[sides.b]), np.maximum(of[sides.a], of[sides.b])
    crossing = first != second
    amount = (on[sides.a] + on[sides.b]) / 2 * sides.value / 1000
    pair = first[crossing] * len(names) + second[crossing]
    found, place = np.unique(pair, return_inverse=True)
    strength = np.bincount(place, amount[crossing], len(found))
    found, strength = found[strength > 0], strength[strength > 0]
    return pd.DataFrame(
        {"unit_a": names[found // len(names)], "unit_b": names[found % len(names)], "strength": strength}
    )
