"""Core areas: blocks of habitat large and wide enough to hold a population."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Layer, Param, Raster, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["cores"]


@method(
    "corridors.cores",
    references=(
        "Majka D, Jenness J, Beier P (2007) CorridorDesigner: ArcGIS tools for designing and evaluating corridors "
        "(population patches: connected habitat above a threshold and a minimum area)",
    ),
)
def cores(
    habitat: Annotated["xr.DataArray | None", Raster("habitat suitability, 0 to 1, or a 0/1 mask")] = None,
    polygons: Annotated[
        "gpd.GeoDataFrame | None", Vector("core areas that are already known", geometry=("Polygon",))
    ] = None,
    quality: Annotated[
        "xr.DataArray | None", Raster("quality to average over each core; habitat when left out")
    ] = None,
    *,
    threshold: Annotated[float, Param("a cell is habitat from this suitability up")] = 0.5,
    min_area_km2: Annotated[float, Param("smallest core", unit="km2", ge=0)] = 0.0,
    min_width_km: Annotated[
        float,
        Param("blocks are cut where habitat is narrower than this, and narrower parts left out", unit="km", ge=0),
    ] = 0.0,
    neighbours: Annotated[Literal[4, 8], Param("cells that touch by an edge (4), or also by a corner (8)")] = 8,
) -> Annotated["gpd.GeoDataFrame", Layer("core areas, numbered from the largest: core, area_km2, quality")]:
    """Core areas from habitat blocks, or from polygons that are already known, with number, area and quality.

    Habitat cells (suitability >= ``threshold``) that touch form a block. With a minimum width w, only cells that a
    disk of diameter w can reach without leaving habitat are kept (a morphological opening; distances in metres, to
    within one cell), so that necks narrower than w part two cores. Blocks under the minimum area are left out. Area
    is the sum of the ellipsoidal cell areas, or the geodesic area of given polygons; quality is the mean of the
    quality raster over the core.

    Raises LinkwaysError when nothing is left.

    Examples
    --------
    >>> from linkways import corridors, spatial
    >>> habitat = spatial.new_raster([[1, 1, 0, 1], [1, 1, 0, 0]], crs="EPSG:3035", cell_size=1000)
    >>> corridors.cores(habitat, min_area_km2=2)[["core", "area_km2", "quality"]]
       core  area_km2  quality
    0     1       4.0      1.0
    """
    if (habitat is None) == (polygons is None):
        raise LinkwaysError("corridors.cores: give either habitat (a raster) or polygons, not both and not neither")
    if polygons is not None:
        return _from_polygons(polygons, quality, min_area_km2)
    assert habitat is not None
    return _from_habitat(habitat, quality, threshold, min_area_km2, min_width_km, neighbours)


def _from_habitat(
    habitat: "xr.DataArray",
    quality: "xr.DataArray | None",
    threshold: float,
    min_area_km2: float,
    min_width_km: float,
    neighbours: int,
) -> "gpd.GeoDataFrame":
    from linkways.corridors._landscape import Landscape

    grid = Landscape.of(habitat, neighbours)
    mask = np.nan_to_num(habitat.values, nan=-np.inf) >= threshold
    if min_width_km > 0:
        mask = _open(mask, grid, min_width_km * 1000)
    blocks, areas = _blocks(mask, grid)
    kept = np.flatnonzero(areas >= max(min_area_km2, 1e-12))
    if not len(kept):
        largest = areas.max() if len(areas) else 0.0
        raise LinkwaysError(
            f"no habitat block reaches {min_area_km2:g} km2 (the largest has {largest:.4g} km2 at suitability >= "
            f"{threshold:g} and width >= {min_width_km:g} km); lower min_area_km2, min_width_km or threshold"
        )
    kept = kept[np.argsort(-areas[kept], kind="stable")]
    values = (habitat if quality is None else quality).values
    return _table(blocks, kept, areas, values, grid)


def _open(mask: np.ndarray, grid: Any, width_m: float) -> np.ndarray:
    """Cells that a disk of this diameter inside the mask can cover."""
    from linkways.kernels.clearance import distance_to_outside

    cell = np.sqrt(grid.cells.area_m2)[:, None]
    steps = (grid.cells.east_west_m, grid.cells.north_south_m)
    # a cell's own half lies between its centre and the edge of the block
    interior = distance_to_outside(mask, *steps, wraps=grid.cells.wraps) - cell / 2 >= width_m / 2
    if not interior.any():
        return np.asarray(interior)
    reach = distance_to_outside(~interior, *steps, wraps=grid.cells.wraps)
    return np.asarray(mask & (reach <= width_m / 2))


def _blocks(mask: np.ndarray, grid: Any) -> tuple[np.ndarray, np.ndarray]:
    """Block number of each cell (0: none) and area in km2 by number - 1."""
    from linkways.corridors._landscape import Landscape

    habitat = np.where(mask, 1.0, np.nan)
    groups = Landscape(grid.raster.copy(data=habitat), grid.cells, grid.neighbours).groups
    areas = np.bincount(groups.ravel(), weights=grid.area_km2.ravel())[1:]
    return groups, areas


def _table(
    blocks: np.ndarray, kept: np.ndarray, areas: np.ndarray, quality: np.ndarray, grid: Any
) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import rasterio.features
    import shapely

    number = np.zeros(len(areas) + 1, np.int32)
    number[kept + 1] = np.arange(1, len(kept) + 1)
    cores = number[blocks]
    valid = np.isfinite(quality)
    weight = np.where(valid, grid.area_km2, 0.0)
    total = np.bincount(
        cores.ravel(), weights=(weight * np.where(valid, quality, 0.0)).ravel(), minlength=len(kept) + 1
    )
    share = np.bincount(cores.ravel(), weights=weight.ravel(), minlength=len(kept) + 1)
    parts: list[list[Any]] = [[] for _ in kept]
    outlines = rasterio.features.shapes(cores, mask=cores > 0, transform=grid.transform, connectivity=4)
    for outline, core in outlines:
        parts[int(core) - 1].append(shapely.geometry.shape(outline))
    with np.errstate(invalid="ignore"):
        means = total[1:] / share[1:]
    return gpd.GeoDataFrame(
        {"core": np.arange(1, len(kept) + 1), "area_km2": areas[kept], "quality": means},
        geometry=[shapely.multipolygons(p) if len(p) > 1 else p[0] for p in parts],
        crs=grid.raster.rio.crs,
    )


def _from_polygons(
    polygons: "gpd.GeoDataFrame", quality: "xr.DataArray | None", min_area_km2: float
) -> "gpd.GeoDataFrame":
    from linkways.corridors._landscape import core_table

    table = core_table(polygons, "polygons")
    areas = polygon_areas_km2(table)
    means = _mean_in(table, quality) if quality is not None else np.full(len(table), np.nan)
    table = table.assign(area_km2=areas, quality=means)
    kept = table[table["area_km2"] >= min_area_km2]
    if not len(kept):
        raise LinkwaysError(f"no polygon reaches {min_area_km2:g} km2; lower min_area_km2")
    first: Sequence[str] = ("core", "area_km2", "quality")
    rest = [c for c in kept.columns if c not in first]
    return kept[[*first, *rest]].reset_index(drop=True)


def _mean_in(table: "gpd.GeoDataFrame", quality: "xr.DataArray") -> np.ndarray:
    from linkways.spatial import cell_geometry, feature_of_cell

    owner = feature_of_cell(table, quality).ravel()
    values = quality.values.ravel()
    areas = np.broadcast_to(cell_geometry(quality).area_m2[:, None], quality.shape).ravel()
    known = np.isfinite(values) & (owner >= 0)
    total = np.bincount(owner[known], weights=(areas * values)[known], minlength=len(table))
    share = np.bincount(owner[known], weights=areas[known], minlength=len(table))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / share)


def polygon_areas_km2(features: "gpd.GeoDataFrame") -> np.ndarray:
    """Area of each polygon in km2: geodesic for a geographic CRS, in its own units otherwise."""
    crs = features.crs
    if crs.is_geographic:
        geod = crs.get_geod()
        return np.array([abs(geod.geometry_area_perimeter(g)[0]) / 1e6 for g in features.geometry])
    factor = crs.axis_info[0].unit_conversion_factor
    return np.asarray(features.geometry.area.to_numpy() * factor**2 / 1e6)
