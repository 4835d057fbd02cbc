"""Kernel ranges: the area of use of each animal from the density of its fixes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Layer, Param, Raster, TableOf, Vector, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.movement._distributions import PlaneGrid, Use

__all__ = ["KernelRange", "kernel_range"]

ID = "movement.kernel_range"
REACH = 6.0
"""Standard deviations within which a kernel is evaluated."""


@dataclass(frozen=True)
class KernelRange:
    """The ranges of all animals, their mean use, and a row for each."""

    ranges: Annotated[
        "gpd.GeoDataFrame",
        Layer("ranges: animal (or sequence), percent of its use that lies inside, area_km2; the widest first"),
    ]
    use: Annotated["xr.DataArray", Layer("use of the cells: the mean of the animals' kernel densities, summing to 1")]
    animals: Annotated[
        "pd.DataFrame",
        TableOf(
            "each animal (or sequence): fixes, bandwidth_x_m, bandwidth_y_m and bandwidth_correlation of its kernels, "
            "area_*_km2 of its ranges"
        ),
    ]


@method(
    ID,
    references=(
        "Worton BJ (1989) Kernel methods for estimating the utilization distribution in home-range studies. "
        "Ecology 70:164-168",
        "Silverman BW (1986) Density estimation for statistics and data analysis. Chapman & Hall (reference bandwidth)",
        "Wand MP, Jones MC (1994) Multivariate plug-in bandwidth selection. Computational Statistics 9:97-116",
        "Duong T, Hazelton ML (2003) Plug-in bandwidth matrices for bivariate kernel density estimation. Journal of "
        "Nonparametric Statistics 15:17-30",
        "Calenge C (2006) The package adehabitat for the R software. Ecological Modelling 197:516-519",
    ),
)
def kernel_range(
    fixes: Annotated["gpd.GeoDataFrame", Vector("GPS fixes", geometry=("Point",), columns=("animal", "time"))],
    like: Annotated[
        "xr.DataArray | None", Raster("a raster whose cells the map takes; a grid around the fixes when left out")
    ] = None,
    *,
    by: Annotated[Literal["animal", "sequence"], Param("the column whose values are mapped one by one")] = "animal",
    bandwidth: Annotated[
        Literal["reference", "plug_in"],
        Param("how wide the kernels are: as for one normal cloud of fixes, or by the shape of their density"),
    ] = "reference",
    scale: Annotated[
        float, Param("the bandwidth is taken times this (0.8 of the reference, for instance)", gt=0)
    ] = 1.0,
    cell_size_m: Annotated[
        float | None, Param("side of a cell; a quarter of the smallest bandwidth when left out", unit="m", gt=0)
    ] = None,
    buffer: Annotated[
        float | None,
        Param(
            "grid beyond the fixes on each side, as a share of their extent; at least five bandwidths in any case",
            ge=0,
            le=10,
        ),
    ] = None,
    percent: Annotated[Sequence[float], Param("ranges: share of the use inside", unit="%", gt=0, lt=100)] = (
        50.0,
        95.0,
    ),
) -> KernelRange:
    """Kernel ranges of each animal: areas that hold 50 and 95 per cent of the density of its fixes.

    The density is the mean of a normal kernel around every fix at the centres of the cells. ``reference``: round
    kernels with ``h = sqrt((var x + var y) / 2) n^(-1/6)``, right for one normal cloud and too wide for others.
    ``plug_in``: the covariance that minimises the estimated mean integrated squared error, in two stages with one
    pilot width each (Wand and Jones 1994; Duong and Hazelton 2003); it takes time with the square of the number of
    fixes. A range is the fewest cells that hold its share.

    Both bandwidths take fixes for independent. GPS fixes an hour apart are not: the more of them, the narrower the
    kernels and the smaller the range. movement.akde allows for that and gives an interval.

    Raises LinkwaysError for fixes in degrees, fewer than five of an animal, fixes all on a line (plug-in) or in one
    place, and a template that they do not lie on.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, pandas as pd
    >>> from linkways import movement
    >>> rng = np.random.default_rng(1)
    >>> time = pd.date_range("2024-04-01", periods=400, freq="1D", tz="UTC")
    >>> points = gpd.points_from_xy(*rng.normal(0, 1000, (2, 400)))
    >>> fixes = gpd.GeoDataFrame({"animal": "doe", "time": time}, geometry=points, crs="EPSG:32612")
    >>> movement.kernel_range(fixes, percent=[95]).ranges[["animal", "percent", "area_km2"]].round(1)
      animal  percent  area_km2
    0    doe     95.0      19.8
    """
    from linkways.movement._distributions import choose_grid, refuse_degrees
    from linkways.movement._fixes import fixes_of

    refuse_degrees(like, ID)
    found = fixes_of(fixes, by=by, at_least=5)
    shapes = [
        scale**2 * _bandwidth(bandwidth, str(found.names[g]), found.x_m[found.rows(g)], found.y_m[found.rows(g)])
        for g in range(len(found))
    ]
    sides = np.sqrt([np.diag(shape) for shape in shapes])
    grid = choose_grid(
        found.layer.crs,
        found.x_m,
        found.y_m,
        like=like,
        cell_size_m=cell_size_m,
        buffer=buffer,
        reach_m=5 * float(sides.max()),
        method=ID,
        default_cell_m=float(sides.min()) / 4,
        default_buffer=0.0,
    )
    total = np.zeros(grid.rows * grid.columns)
    uses, rows = [], []
    for g, shape in enumerate(shapes):
        name, places = str(found.names[g]), found.rows(g)
        use = kernel_use(found.x_m[places], found.y_m[places], shape, grid)
        if not len(use.cells):
            raise LinkwaysError(
                f"{ID}: the kernels of {name} reach no cell of the raster like; take one that covers all fixes, "
                f"or leave "
                f"{name} out"
            )
        total[use.cells] += use.values / len(found)
        rows.append({by: name, "fixes": int(found.start[g + 1] - found.start[g]), **_shape_columns(shape)})
        uses.append((name, _areas(use, percent)))
        progress((g + 1) / len(found), f"range of {name}")
    return _result(by, grid, total, uses, rows)


def kernel_use(x_m: np.ndarray, y_m: np.ndarray, shape: np.ndarray, grid: "PlaneGrid") -> "Use":
    """Mean kernel density of places over the cells of a grid, normalised to 1.

    ``shape`` is the covariance (2, 2) of a kernel in m2, its y northward.
    """
    from linkways.movement._distributions import Use
    from linkways.movement._range_kernels import add_kernels

    half_x, half_y = REACH * np.sqrt(np.diag(shape))
    east, south = grid.east_m(x_m), grid.south_m(y_m)
    first_column = int(np.clip((east.min() - half_x) // grid.cell_x_m, 0, grid.columns))
    stop_column = int(np.clip((east.max() + half_x) // grid.cell_x_m + 1, first_column, grid.columns))
    first_row = int(np.clip((south.min() - half_y) // grid.cell_y_m, 0, grid.rows))
    stop_row = int(np.clip((south.max() + half_y) // grid.cell_y_m + 1, first_row, grid.rows))
    density = np.zeros((stop_row - first_row, stop_column - first_column))
    east, south = east - first_column * grid.cell_x_m, south - first_row * grid.cell_y_m
    # rows run southward, so that the covariance changes its sign
    add_kernels(east, south, shape[0, 0], -shape[0, 1], shape[1, 1], REACH, grid.cell_x_m, grid.cell_y_m, density)
    rows, columns = np.nonzero(density)
    values = density[rows, columns]
    cells = (rows + first_row) * grid.columns + columns + first_column
    return Use(cells, values / values.sum() if len(values) else values)


def _bandwidth(rule: str, name: str, x_m: np.ndarray, y_m: np.ndarray) -> np.ndarray:
    from linkways.movement._bandwidth import plug_in_bandwidth, reference_bandwidth

    if np.ptp(x_m) == 0 and np.ptp(y_m) == 0:
        raise LinkwaysError(f"{ID}: all fixes of {name} lie in one place, so that it has no range; leave it out")
    if rule == "reference":
        return reference_bandwidth(x_m, y_m)
    try:
        return plug_in_bandwidth(x_m, y_m)
    except np.linalg.LinAlgError:
        raise LinkwaysError(
            f"{ID}: all fixes of {name} lie on a line, which the plug-in bandwidth cannot be had of; let bandwidth be "
            "reference"
        ) from None


def _shape_columns(shape: np.ndarray) -> dict[str, float]:
    x, y = np.sqrt(np.diag(shape))
    return {"bandwidth_x_m": x, "bandwidth_y_m": y, "bandwidth_correlation": shape[0, 1] / (x * y)}


def _areas(use: "Use", percent: Sequence[float]) -> list[tuple[float, np.ndarray]]:
    """Of each share, the widest first, the cells inside."""
    from linkways.movement._distributions import holding

    return [(level, use.cells[holding(use.values, level / 100)]) for level in sorted(set(percent), reverse=True)]


def _result(
    by: str,
    grid: "PlaneGrid",
    total: np.ndarray,
    uses: list[tuple[str, list[tuple[float, np.ndarray]]]],
    rows: list[dict[str, Any]],
) -> KernelRange:
    import geopandas as gpd
    import pandas as pd

    from linkways.movement._distributions import outline

    ranges: list[dict[str, Any]] = []
    shapes = []
    for row, (name, inside) in zip(rows, uses, strict=True):
        for level, cells in inside:
            area = len(cells) * grid.cell_km2
            ranges.append({by: name, "percent": level, "area_km2": area})
            row[f"area_{level:g}_km2"] = area
            shapes.append(outline(grid, cells))
    return KernelRange(
        gpd.GeoDataFrame(ranges, geometry=shapes, crs=grid.crs),
        grid.raster(total, "use", units="probability", long_name="kernel density of fixes"),
        pd.DataFrame(rows),
    )
