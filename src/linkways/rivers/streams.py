"""River lines from a raster of flow directions, or from elevation."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError, MissingExtra
from linkways.method import Layer, Param, Raster, method

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["streams"]


@method(
    "rivers.streams",
    references=(
        "Eilander D et al. (2021) A hydrography upscaling method for scale-invariant parametrization of distributed "
        "hydrological models. Hydrology and Earth System Sciences 25:5287-5313 (pyflwdir)",
        "Wang L, Liu H (2006) An efficient method for identifying and filling surface depressions in digital elevation "
        "models. International Journal of Geographical Information Science 20:193-213",
    ),
)
def streams(
    directions: Annotated["xr.DataArray | None", Raster("flow directions, codes of the encoding", classes=True)] = None,
    elevation: Annotated["xr.DataArray | None", Raster("elevation; depressions are filled", unit="m")] = None,
    *,
    encoding: Annotated[
        Literal["d8", "ldd"],
        Param("codes of the directions: 1 east, 2 southeast, 4 south to 128 (d8), or as on a keypad (ldd)"),
    ] = "d8",
    min_upstream_km2: Annotated[
        float, Param("a stream begins where so much land drains to it", unit="km2", gt=0)
    ] = 10.0,
) -> Annotated[
    "gpd.GeoDataFrame",
    Layer(
        "streams between sources, confluences and outlets, drawn downstream: reach, down (-1 at an outlet), length_m, "
        "upstream_km2 (at the lower end); rivers.network reads them"
    ),
]:
    """The streams that flow directions or elevation tell, as lines that `rivers.network` takes as they are.

    A cell belongs to a stream when the cells that drain through it, itself counted, cover ``min_upstream_km2``; areas
    are those of the cells on the ellipsoid. Lines run between the centres of cells. From elevation, depressions are
    filled up to their lowest rim and water leaves at the edge of the known cells.

    Needs the extra ``rivers`` (pyflwdir). Raises LinkwaysError for both inputs or neither, codes that are not of the
    encoding, a raster whose rows do not run from north to south, and when no cell gathers enough land.

    Examples
    --------
    >>> from linkways import rivers, spatial
    >>> east = spatial.new_raster([[1, 1, 1, 0], [64, 1, 64, 0]], crs="EPSG:32631", cell_size=1000)
    >>> rivers.streams(east, min_upstream_km2=2)[["reach", "down", "length_m", "upstream_km2"]]
       reach  down  length_m  upstream_km2
    0      0     1    2000.0           3.0
    1      1    -1    1000.0           7.0
    2      2     1    1000.0           2.0
    """
    if (directions is None) == (elevation is None):
        raise LinkwaysError("rivers.streams: give either directions or elevation, not both and not neither")
    raster = directions if directions is not None else elevation
    assert raster is not None
    return _lines(raster, _flow(raster, directions is not None, encoding), min_upstream_km2)


def _flow(raster: "xr.DataArray", coded: bool, encoding: str) -> Any:
    try:
        import pyflwdir
    except ImportError:
        raise MissingExtra("pyflwdir", "rivers", "rivers.streams") from None
    from linkways.spatial import grid_of

    if grid_of(raster).dy > 0:
        raise LinkwaysError("rivers.streams: rows of the raster must run from north to south; flip it along y")
    values = np.asarray(raster.values, dtype=np.float64)
    known = np.isfinite(values)
    if not coded:
        elevation = np.where(known, values, -9999.0)
        if (elevation[known] <= -9999.0).any():
            raise LinkwaysError("rivers.streams: elevation holds values of -9999 m or below; set them to nodata")
        return pyflwdir.from_dem(elevation, nodata=-9999.0)
    allowed, nodata = (range(1, 10), 255) if encoding == "ldd" else ((0, 1, 2, 4, 8, 16, 32, 64, 128, 255), 247)
    wrong = known & ~np.isin(values, list(allowed))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise LinkwaysError(
            f"rivers.streams: directions holds {int(wrong.sum())} cells that are no {encoding} code, first "
            f"{values[row, column]:g} at row {row} column {column}; set encoding, or correct them"
        )
    return pyflwdir.from_array(np.where(known, values, nodata).astype(np.uint8), ftype=encoding, check_ftype=False)


def _lines(raster: "xr.DataArray", flow: Any, min_upstream_km2: float) -> "gpd.GeoDataFrame":
    import geopandas as gpd

    from linkways.rivers._topology_geometry import Metric, vertices_of
    from linkways.spatial import cell_geometry, grid_of
    from linkways.spatial.basins import channel_lines

    grid = grid_of(raster)
    area = np.broadcast_to(cell_geometry(raster).area_km2[:, None], raster.shape)
    gathered = np.asarray(flow.accuflux(np.ascontiguousarray(area)), dtype=np.float64).ravel()
    onward = np.asarray(flow.idxs_ds, dtype=np.int64)
    down = np.where(onward == np.arange(len(onward)), -1, onward)
    down = np.where((down < 0) | (down >= len(down)), -1, down)
    # a hair below, so that a sum of equal areas that reaches the limit counts
    channel = gathered >= min_upstream_km2 * (1 - 1e-9)
    row, column = np.divmod(np.arange(len(down)), raster.shape[1])
    lines, _, last, below = channel_lines(
        down, channel, grid.x0 + (column + 0.5) * grid.dx, grid.y0 + (row + 0.5) * grid.dy
    )
    if not len(lines):
        raise LinkwaysError(
            f"rivers.streams: no stream gathers {min_upstream_km2:g} km2, the largest {gathered.max():.4g} km2; lower "
            "min_upstream_km2"
        )
    columns = {
        "reach": np.arange(len(lines)),
        "down": below,
        "length_m": vertices_of(lines, Metric(grid.crs)).length_m,
        "upstream_km2": gathered[last],
    }
    streams = gpd.GeoDataFrame(columns, geometry=lines, crs=grid.crs)
    streams.attrs = {key: raster.attrs[key] for key in ("simulated", "source", "licence") if key in raster.attrs}
    return streams
