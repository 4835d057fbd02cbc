"""Accumulated cost from sources, and the least-cost path to where one wants to go."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Layer, Param, Raster, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["CostDistance", "Neighbours", "cost_distance", "least_cost_path"]

Neighbours = Annotated[
    Literal[4, 8],
    Param(
        "steps to the 4 cells that share an edge, or to all 8 around",
        source="8 is the rule of Linkage Mapper and GRASS r.cost",
    ),
]


@dataclass(frozen=True)
class CostDistance:
    """What a cost distance gives."""

    cost: Annotated["xr.DataArray", Layer("accumulated cost to the nearest source", unit="cost-metres")]
    allocation: Annotated["xr.DataArray", Layer("number of the source that is cheapest to reach")]
    direction: Annotated[
        "xr.DataArray",
        Layer("compass bearing of the next cell on the way to the source; 0 is north", unit="degrees"),
    ]


@method(
    "corridors.cost_distance",
    references=(
        "Dijkstra EW (1959) A note on two problems in connexion with graphs. Numerische Mathematik 1:269-271",
        "Adriaensen F et al. (2003) The application of least-cost modelling as a functional landscape model. "
        "Landscape and Urban Planning 64:233-247",
    ),
)
def cost_distance(
    resistance: Annotated["xr.DataArray", Raster("resistance to movement", unit="resistance", positive=True)],
    sources: Annotated["gpd.GeoDataFrame", Vector("where movement starts; column core numbers them when present")],
    *,
    max_cost: Annotated[
        float | None, Param("cells that cost more are left empty; none: no limit", unit="cost-metres", gt=0)
    ] = None,
    neighbours: Neighbours = 8,
) -> CostDistance:
    """The least accumulated cost from the nearest source to every cell, that source, and the way back to it.

    A step between two cells costs its length in metres times the mean of their resistances; the cost of a cell is
    the least sum of steps from any source (exact, Dijkstra). Step lengths of a geographic grid come from the
    ellipsoid row by row. Where two sources cost the same, the one with the smaller number is told. Cells that
    cannot be reached are NaN.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import corridors, spatial
    >>> resistance = spatial.new_raster([[1, 1, 4, 1]], crs="EPSG:3035", cell_size=10)
    >>> source = gpd.GeoDataFrame(geometry=[shapely.Point(5, -5)], crs="EPSG:3035")
    >>> corridors.cost_distance(resistance, source).cost.values
    array([[ 0., 10., 35., 60.]])
    """
    from linkways.corridors._landscape import Landscape, core_cells

    landscape = Landscape.of(resistance, neighbours)
    found = core_cells(landscape, sources, "sources")
    cells = np.concatenate(found.cells)
    labels = np.repeat(np.arange(len(found)), [len(c) for c in found.cells])
    field = landscape.cost_field(cells, labels, max_cost=max_cost or math.inf)
    reached = np.isfinite(field.distance)
    ids = np.array([*found.ids, 0], float)
    return CostDistance(
        landscape.like(np.where(reached, field.distance, np.nan), "cost", units="cost-metres"),
        landscape.like(np.where(reached, ids[field.allocation], np.nan), "allocation"),
        landscape.like(_bearings(field.direction), "direction", units="degrees"),
    )


@method("corridors.least_cost_path", references=("Dijkstra EW (1959) Numerische Mathematik 1:269-271",))
def least_cost_path(
    resistance: Annotated["xr.DataArray", Raster("resistance to movement", unit="resistance", positive=True)],
    start: Annotated["gpd.GeoDataFrame", Vector("where the paths start (all features together)")],
    end: Annotated["gpd.GeoDataFrame", Vector("where the paths end: one path to each feature")],
    *,
    neighbours: Neighbours = 8,
) -> Annotated[
    "gpd.GeoDataFrame",
    Layer("paths: end, cost (cost-metres), length_m, mean_resistance, max_resistance", name="paths"),
]:
    """The least-cost path from the start to each end, with its cost, length and resistance.

    The path runs through cell centres; its cost is the sum over its steps of length times the mean resistance of
    the two cells. The end number is the feature's column core when it has one, else its position from 1.

    Raises LinkwaysError when an end cannot be reached.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import corridors, spatial
    >>> resistance = spatial.new_raster([[1, 9, 1], [1, 1, 1]], crs="EPSG:3035", cell_size=10)
    >>> ends = gpd.GeoDataFrame(geometry=[shapely.Point(5, -5), shapely.Point(25, -5)], crs="EPSG:3035")
    >>> path = corridors.least_cost_path(resistance, ends.iloc[[0]], ends.iloc[[1]])
    >>> print(f"{path.cost[0]:.1f} cost-metres through {path.geometry[0]}")
    28.3 cost-metres through LINESTRING (5 -5, 15 -15, 25 -5)
    """
    import geopandas as gpd

    from linkways.corridors._landscape import Landscape, core_cells
    from linkways.corridors._paths import path_along

    landscape = Landscape.of(resistance, neighbours)
    begin = np.unique(np.concatenate(core_cells(landscape, start, "start").cells))
    ends = core_cells(landscape, end, "end")
    field = landscape.cost_field(begin, targets=np.concatenate(ends.cells))
    flat = field.distance.ravel()
    rows = []
    for number, cells in ends:
        nearest_cell = cells[np.argmin(flat[cells])]
        if not np.isfinite(flat[nearest_cell]):
            raise LinkwaysError(
                f"end {number} cannot be reached from the start over passable cells; give the cells between them a "
                "resistance"
            )
        path = path_along(landscape, field.direction, nearest_cell)
        rows.append({"end": number, "cost": flat[nearest_cell], **path.attributes(), "geometry": path.line})
    return gpd.GeoDataFrame(rows, crs=resistance.rio.crs)


def _bearings(direction: np.ndarray) -> np.ndarray:
    """Directions of the kernel as degrees clockwise from north."""
    from linkways.kernels.cost_distance import COLUMN_STEPS, ROW_STEPS

    bearings = np.degrees(np.arctan2(np.asarray(COLUMN_STEPS), -np.asarray(ROW_STEPS))) % 360
    return np.where(direction >= 0, bearings[np.maximum(direction, 0)], np.nan)
