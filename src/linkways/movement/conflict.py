"""Where people and wildlife come into conflict: density of incidents, hotspots, and the risk of more."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, TableOf, Vector, method, progress
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.movement._conflict_risk import Family, Fit

__all__ = ["Conflict", "conflict"]

ID = "movement.conflict"
FEWEST = 10
"""Incidents below which neither a density nor a hotspot means anything."""
MOST_CELLS = 25_000_000


@dataclass(frozen=True)
class Conflict:
    """Where incidents crowd, where they do so beyond chance, and where more are to be expected."""

    density: Annotated[
        "xr.DataArray", Layer("incidents per km2 (at the mean effort where effort is given)", unit="1/km2")
    ]
    gi_star: Annotated["xr.DataArray", Layer("Getis-Ord Gi* of the whole period; high where incidents crowd", unit="z")]
    hotspots: Annotated[
        "gpd.GeoDataFrame",
        Layer("cells that are hot beyond chance, those that touch as one: season, incidents, area_km2, z_max, p_fdr"),
    ]
    seasons: Annotated[
        "pd.DataFrame", TableOf("whole period and seasons: season, incidents, hot_km2, hotspots, incidents_in_hotspots")
    ]
    risk: Annotated[
        "xr.DataArray",
        Layer("expected incidents per km2 (poisson) or chance of any in a cell (logistic) at the mean effort; empty "
              "without covariates"),
    ]  # fmt: skip
    coefficients: Annotated[
        "pd.DataFrame",
        TableOf(
            "covariates: per unit estimate, se_model, se_blocks, low, high, p; per_sd and ratio (by one deviation)"
        ),
    ]
    validation: Annotated["pd.DataFrame", TableOf("folds of blocks left out: fold, cells, incidents, expected, auc")]
    calibration: Annotated[
        "pd.DataFrame",
        TableOf("cells by tenths of what was expected of them when left out: cells, expected, incidents"),
    ]
    incidents: Annotated[int, Indicator("incidents inside the area")]
    bandwidth_m: Annotated[float, Indicator("standard deviation of the kernels", unit="m")]
    auc: Annotated[
        float, Indicator("chance that the risk left out by blocks ranks a cell with incidents above one without")
    ]
    calibration_slope: Annotated[float, Indicator("slope of incidents on the risk left out; 1 is right, less too bold")]


@method(
    ID,
    references=(
        "Diggle PJ (1985) A kernel method for smoothing point process data. Applied Statistics 34:138-147",
        "Jones MC (1993) Simple boundary correction for kernel density estimation. Statistics and Computing 3:135-146",
        "Ord JK, Getis A (1995) Local spatial autocorrelation statistics. Geographical Analysis 27:286-306",
        "Benjamini Y, Hochberg Y (1995) Controlling the false discovery rate. Journal of the Royal Statistical "
        "Society B "
        "57:289-300",
        "Roberts DR, Bahn V, Ciuti S, et al. (2017) Cross-validation strategies for data with temporal, spatial, "
        "hierarchical, or phylogenetic structure. Ecography 40:913-929 (blocks)",
        "Liang KY, Zeger SL (1986) Longitudinal data analysis using generalized linear models. Biometrika 73:13-22",
    ),
)
def conflict(
    incidents: Annotated[
        "gpd.GeoDataFrame",
        Vector("incidents, such as crop raids; columns date or season, and kind, when present", geometry=("Point",)),
    ],
    area: Annotated["gpd.GeoDataFrame", Vector("where incidents would have been reported", geometry=("Polygon",))],
    covariates: Annotated[
        "Sequence[xr.DataArray] | None",
        Raster(
            "what the risk may depend on, each by its name: distance to water, to a reserve, share of crops", many=True
        ),
    ] = None,
    effort: Annotated[
        "xr.DataArray | None", Raster("reporting effort, such as patrol days or households; 0: nothing can be reported")
    ] = None,
    *,
    cell_size_m: Annotated[
        float | None, Param("side of a cell where no raster tells; none: a third of the bandwidth", unit="m", gt=0)
    ] = None,
    bandwidth_m: Annotated[
        float | None, Param("standard deviation of the kernels; none: the reference width", unit="m", gt=0)
    ] = None,
    distance_m: Annotated[
        float | None, Param("cells within this count as neighbours in Gi*; none: the bandwidth", unit="m", gt=0)
    ] = None,
    alpha: Annotated[float, Param("false discovery rate of hotspots", gt=0, lt=1)] = 0.05,
    season_starts: Annotated[
        Sequence[int], Param("months in which seasons begin (5, 11: May to October and November to April)", ge=1, le=12)
    ] = (),
    kinds: Annotated[Sequence[str], Param("kinds of incidents to take; none: all")] = (),
    model: Annotated[
        Literal["poisson", "logistic"], Param("numbers of incidents in a cell, or whether there were any")
    ] = "poisson",
    block_m: Annotated[
        float | None, Param("side of the blocks left out together; none: a fifth of the area's side", unit="m", gt=0)
    ] = None,
    folds: Annotated[int, Param("parts that the blocks are dealt into", ge=2)] = 5,
    confidence: Annotated[float, Param("confidence of the coefficients' intervals", gt=0, lt=1)] = 0.95,
    seed: Annotated[int, Param("seed for dealing blocks into folds", ge=0)] = 1,
) -> Conflict:
    """Hotspots of human-wildlife conflict and the risk of more: density, Getis-Ord Gi*, and a regression on covariates.

    Density: normal kernels, each brought back to one incident within the area, divided by the effort around (relative
    to its mean) where effort is given. Gi*: sums of incidents (per effort) within a distance against their expectation,
    with the false discovery rate held at ``alpha``, for the whole period and each season. Risk:
    ``log E[incidents] = log(area x effort) + b x`` or a logit for presence; intervals are robust to dependence within
    blocks, and blocks left out tell how well places not looked at are foretold (AUC, calibration). Space use alone
    foretells damage badly, so incidents are modelled, not tracks.

    Raises LinkwaysError for degrees, fewer than ten incidents, none inside the area, months without dates, covariates
    that do not vary, repeat each other, or part cells with incidents from those without, and too few cells with
    incidents for the covariates.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import movement
    >>> rng = np.random.default_rng(1)
    >>> raids = np.vstack([rng.uniform(0, 20_000, (60, 2)), rng.normal(15_000, 700, (40, 2))])
    >>> raids = gpd.GeoDataFrame(geometry=gpd.points_from_xy(*raids.T), crs="EPSG:32736")
    >>> district = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 20_000, 20_000)], crs="EPSG:32736")
    >>> found = movement.conflict(raids, district, cell_size_m=500, bandwidth_m=1500)
    >>> spot = found.hotspots.iloc[0]
    >>> len(found.hotspots), bool(spot.geometry.contains(shapely.Point(15_000, 15_000)))
    (1, True)
    """
    ground = _ground(incidents, area, covariates or [], effort, cell_size_m, bandwidth_m, kinds)
    width = bandwidth_m or ground.width_m
    progress(0.1, "density of incidents")
    density = _density(ground, width)
    progress(0.3, "hotspots")
    hot = _hotspots(ground, _seasons(ground.points, season_starts), distance_m or width, alpha)
    progress(0.6, "risk")
    risk = _risk(ground, covariates or [], model, block_m, folds, confidence, seed)
    gi_star, spots, seasons = hot
    surface, coefficients, validation, tenths, auc, slope = risk
    return Conflict(
        density,
        gi_star,
        spots,
        seasons,
        surface,
        coefficients,
        validation,
        tenths,
        len(ground.points),
        float(width),
        auc,
        slope,
    )


# --- the ground ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ground:
    """The incidents inside the area, and the area as cells."""

    points: "gpd.GeoDataFrame"
    template: "xr.DataArray"
    inside: np.ndarray
    row: np.ndarray
    column: np.ndarray
    """Places of the incidents in cells from the upper left corner."""
    cell: tuple[float, float]
    """Height and width in m."""
    effort: np.ndarray | None
    width_m: float

    @property
    def cell_km2(self) -> float:
        """Area of a cell."""
        return self.cell[0] * self.cell[1] / 1e6

    def counts(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Incidents in each cell."""
        rows, columns = self.row.astype(int), self.column.astype(int)
        if chosen is not None:
            rows, columns = rows[chosen], columns[chosen]
        out = np.zeros(self.inside.shape)
        np.add.at(out, (rows, columns), 1.0)
        return out

    def raster(self, values: np.ndarray, name: str, units: str) -> "xr.DataArray":
        """Values of the cells as a raster."""
        from linkways.spatial import raster_like

        return raster_like(values, self.template, name=name, attrs={"units": units})


def _ground(
    incidents: "gpd.GeoDataFrame",
    area: "gpd.GeoDataFrame",
    covariates: "Sequence[xr.DataArray]",
    effort: "xr.DataArray | None",
    cell_size_m: float | None,
    bandwidth_m: float | None,
    kinds: Sequence[str],
) -> _Ground:
    from linkways.movement._conflict_density import reference_bandwidth
    from linkways.spatial import cell_geometry, feature_of_cell, grid_of

    rasters = [*covariates, *([effort] if effort is not None else [])]
    if rasters and cell_size_m is not None:
        raise LinkwaysError(f"{ID}: the rasters already fix the cells; leave out cell_size_m")
    _refuse_degrees(rasters[0].rio.crs if rasters else area.crs, "the rasters have" if rasters else "area has")
    points = _of_kind(incidents, kinds).to_crs(grid_of(rasters[0]).crs if rasters else area.crs)
    region = area.to_crs(points.crs)
    points = _inside(points, region)
    unit = float(points.crs.axis_info[0].unit_conversion_factor)
    x, y = points.geometry.x.to_numpy(), points.geometry.y.to_numpy()
    width = bandwidth_m or reference_bandwidth(x * unit, y * unit)
    if not width > 0:
        raise LinkwaysError(f"{ID}: all incidents lie in one place, so their spread tells no width; give bandwidth_m")
    template = rasters[0] if rasters else _new_grid(region, (cell_size_m or width / 3) / unit)
    grid = grid_of(template)
    if grid.dy > 0:
        raise LinkwaysError(f"{ID}: rows of the rasters must run from north to south; flip them along y")
    row, column = (y - grid.y0) / grid.dy, (x - grid.x0) / grid.dx
    on = (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
    inside = feature_of_cell(region, template) >= 0
    # a cell at the rim that holds an incident belongs to the area
    inside[row[on].astype(int), column[on].astype(int)] = True
    if not on.all():
        note(f"{ID}: {int((~on).sum())} incidents beyond the rasters are left out")
    if on.sum() < FEWEST:
        raise LinkwaysError(
            f"{ID}: {int(on.sum())} incidents lie on the rasters; give rasters of the same place as the incidents"
        )
    cells = cell_geometry(template)
    size = (float(cells.area_m2[0] / cells.east_west_m[0]), float(cells.east_west_m[0]))
    known = _known_effort(effort, inside)
    if known is not None:
        inside = inside & np.isfinite(known)
    return _Ground(points[on].reset_index(drop=True), template, inside, row[on], column[on], size, known, width)


def _refuse_degrees(crs: Any, what: str) -> None:
    if crs.is_geographic:
        raise LinkwaysError(
            f"{ID}: {what} coordinates in degrees, but kernels are measured in metres; project to metres first "
            "(GeoDataFrame.to_crs, linkways.spatial.align)"
        )


def _of_kind(incidents: "gpd.GeoDataFrame", kinds: Sequence[str]) -> "gpd.GeoDataFrame":
    if len(incidents) == 0:
        raise LinkwaysError(f"{ID}: incidents holds no incident; give a layer of points")
    empty = np.flatnonzero(incidents.geometry.isna() | incidents.geometry.is_empty)
    if len(empty):
        raise LinkwaysError(
            f"{ID}: incidents has {len(empty)} rows without a place, first row {empty[0] + 1}; leave them out"
        )
    if not kinds:
        return incidents
    if "kind" not in incidents.columns:
        raise LinkwaysError(f"{ID}: kinds are asked for, but incidents has no column kind; add it or leave kinds out")
    chosen = incidents[incidents["kind"].astype(str).isin(list(kinds))]
    if not len(chosen):
        known = ", ".join(sorted(incidents["kind"].astype(str).unique())[:10])
        raise LinkwaysError(f"{ID}: no incident is of the kind {', '.join(kinds)}; the column kind holds {known}")
    return chosen


def _inside(points: "gpd.GeoDataFrame", region: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    import shapely

    whole = shapely.union_all(shapely.make_valid(region.geometry.to_numpy()))
    held = shapely.intersects_xy(whole, points.geometry.x.to_numpy(), points.geometry.y.to_numpy())
    if not held.any():
        raise LinkwaysError(f"{ID}: no incident lies inside area; check that both are of the same place and CRS")
    if not held.all():
        note(f"{ID}: {int((~held).sum())} of {len(points)} incidents lie outside area and are left out")
    if held.sum() < FEWEST:
        raise LinkwaysError(
            f"{ID}: {int(held.sum())} incidents inside area are too few to tell a pattern from chance; give at least "
            f"{FEWEST}"
        )
    return points[held]


def _new_grid(region: "gpd.GeoDataFrame", cell: float) -> "xr.DataArray":
    from linkways.spatial import new_raster

    west, south, east, north = region.total_bounds
    columns, rows = max(math.ceil((east - west) / cell), 1), max(math.ceil((north - south) / cell), 1)
    if rows * columns > MOST_CELLS:
        raise LinkwaysError(f"{ID}: {rows} x {columns} cells are too many; give a larger cell_size_m")
    return new_raster(
        np.zeros((rows, columns), np.float32), crs=region.crs, cell_size=cell, origin=(west, north), name="cells"
    )


def _known_effort(effort: "xr.DataArray | None", inside: np.ndarray) -> np.ndarray | None:
    if effort is None:
        return None
    values: np.ndarray = np.asarray(effort.values, float)
    wrong = np.argwhere(inside & (values < 0))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: effort has {len(wrong)} cells below 0, first at row {wrong[0][0]} column {wrong[0][1]}; set them "
            "to 0 "
            "or to nodata"
        )
    if not np.nansum(np.where(inside, values, 0)) > 0:
        raise LinkwaysError(f"{ID}: effort is 0 or nodata all over area; give a raster of the same place")
    return np.asarray(values)


# --- density and hotspots --------------------------------------------------------------------------------------


def _density(ground: _Ground, width: float) -> "xr.DataArray":
    from linkways.movement._conflict_density import edge_corrected_density, smoothed_effort

    if width < max(ground.cell) / 2:
        note(
            f"{ID}: the bandwidth of {width:.4g} m is less than half a cell ({max(ground.cell):.4g} m); the map is "
            "coarse"
        )
    density = edge_corrected_density(ground.row, ground.column, ground.inside, ground.cell, width) * 1e6
    if ground.effort is not None:
        around = smoothed_effort(ground.effort, ground.inside, ground.cell, width)
        mean = float(ground.effort[ground.inside].mean())
        with np.errstate(invalid="ignore", divide="ignore"):
            density = np.where(around > 1e-6 * mean, density * mean / around, np.nan)
    return ground.raster(density, "density", "1/km2")


def _seasons(points: "gpd.GeoDataFrame", starts: Sequence[int]) -> np.ndarray | None:
    """The name of each incident's season; none where seasons are not told apart."""
    import calendar

    import pandas as pd

    if not starts:
        return np.asarray(points["season"].astype(str), object) if "season" in points.columns else None
    if "date" not in points.columns:
        raise LinkwaysError(
            f"{ID}: season_starts needs the column date in incidents; add it or leave season_starts out"
        )
    dates = pd.to_datetime(points["date"], errors="coerce", utc=True)
    wrong = np.flatnonzero(dates.isna())
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: incidents has {len(wrong)} dates that cannot be read, first row {wrong[0] + 1} "
            f"({points['date'].iloc[wrong[0]]}); write them as 2024-05-31"
        )
    months = sorted(set(starts))
    ends = [(m - 2) % 12 + 1 for m in [*months[1:], months[0]]]
    names = [f"{calendar.month_abbr[a]}-{calendar.month_abbr[b]}" for a, b in zip(months, ends, strict=True)]
    # January comes before the first month: the season that began last year
    number = np.searchsorted(months, dates.dt.month.to_numpy(), side="right") - 1
    return np.array([names[k] for k in number], object)


def _hotspots(
    ground: _Ground, season: np.ndarray | None, distance: float, alpha: float
) -> "tuple[xr.DataArray, gpd.GeoDataFrame, pd.DataFrame]":
    import geopandas as gpd
    import pandas as pd

    groups: list[tuple[str, np.ndarray | None]] = [("all", None)]
    if season is not None:
        groups += [(str(name), season == name) for name in sorted(set(season))]
    spots: list[dict[str, Any]] = []
    shapes: list[Any] = []
    rows = []
    whole: np.ndarray | None = None
    for name, chosen in groups:
        counts = ground.counts(chosen)
        if counts.sum() < FEWEST:
            note(f"{ID}: {int(counts.sum())} incidents of {name} are too few for hotspots")
            continue
        z, found, outlines = _spots(ground, counts, name, distance, alpha)
        whole = z if whole is None else whole
        spots += found
        shapes += outlines
        hot_km2, held = sum(s["area_km2"] for s in found), sum(s["incidents"] for s in found)
        rows.append((name, int(counts.sum()), hot_km2, len(found), held))
    columns = ["season", "incidents", "area_km2", "z_max", "p_fdr"]
    layer = gpd.GeoDataFrame(pd.DataFrame(spots, columns=columns), geometry=shapes, crs=ground.points.crs)
    table = pd.DataFrame(rows, columns=["season", "incidents", "hot_km2", "hotspots", "incidents_in_hotspots"])
    assert whole is not None
    return ground.raster(whole, "gi_star", "z"), layer, table


def _spots(
    ground: _Ground, counts: np.ndarray, name: str, distance: float, alpha: float
) -> tuple[np.ndarray, list[dict[str, Any]], list[Any]]:
    """Gi* of one season, its hotspots from the largest, and their outlines."""
    import rasterio.features
    import shapely
    from scipy.ndimage import label

    from linkways.movement._conflict_density import false_discovery, getis_ord
    from linkways.spatial import grid_of

    usable, values = ground.inside, counts
    if ground.effort is not None:
        usable = usable & (ground.effort > 0)
        values = np.divide(counts, ground.effort, out=np.zeros_like(counts), where=usable)
    found = getis_ord(values, usable, ground.cell, distance)
    q = np.ones(usable.shape)
    q[usable] = false_discovery(found.p[usable])
    hot = usable & (found.z > 0) & (q <= alpha)
    number, _ = label(hot, structure=np.ones((3, 3)))
    parts: dict[int, list[Any]] = {}
    transform = grid_of(ground.template).transform
    for shape, value in rasterio.features.shapes(number.astype(np.int32), mask=hot, transform=transform):
        parts.setdefault(int(value), []).append(shapely.geometry.shape(shape))
    rows, outlines = [], []
    for one in sorted(parts, key=lambda k: (-int((number == k).sum()), k)):
        cells = number == one
        rows.append(
            {
                "season": name,
                "incidents": int(counts[cells].sum()),
                "area_km2": float(cells.sum() * ground.cell_km2),
                "z_max": float(found.z[cells].max()),
                "p_fdr": float(q[cells].min()),
            }
        )
        outlines.append(shapely.union_all(parts[one]))
    return found.z, rows, outlines


# --- risk ------------------------------------------------------------------------------------------------------


def _risk(
    ground: _Ground,
    covariates: "Sequence[xr.DataArray]",
    family: "Family",
    block_m: float | None,
    folds: int,
    confidence: float,
    seed: int,
) -> tuple[Any, ...]:
    """Risk raster, coefficients, validation, calibration, AUC, slope."""
    import pandas as pd

    from linkways.movement._conflict_risk import (
        area_under_curve,
        calibration,
        cross_validated,
        fit_risk,
        folds_of,
    )

    if not covariates:
        nothing = ground.raster(np.full(ground.inside.shape, np.nan), "risk", "1/km2")
        return nothing, pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), math.nan, math.nan
    names = _names(covariates)
    layers = np.stack([np.asarray(c.values, float) for c in covariates])
    usable = ground.inside & np.isfinite(layers).all(axis=0)
    if not usable.any():
        raise LinkwaysError(f"{ID}: no cell of area has a value in every covariate; give rasters that cover the area")
    described = usable
    if ground.effort is not None:
        usable = usable & (ground.effort > 0)
    raw = layers[:, usable].T
    counts = ground.counts()[usable]
    lost = int(len(ground.points) - counts.sum())
    if lost:
        note(f"{ID}: the risk leaves out {lost} incidents in cells without effort or a value of every covariate")
    y = counts if family == "poisson" else (counts > 0).astype(float)
    offset = _offset(ground, usable, family)
    _refuse_model(raw, y, names)
    middle, spread = raw.mean(axis=0), raw.std(axis=0)
    x = (raw - middle) / spread
    block = _blocks(ground, usable, block_m, folds)
    fitted = _fitted(fit_risk, x, y, offset, block, family, names)
    fold = folds_of(block, folds, np.random.default_rng(seed))
    expected = cross_validated(x, y, offset, block, fold, family)
    tested = np.isfinite(expected)
    auc = area_under_curve(expected[tested] / np.exp(offset[tested]), y[tested] > 0)
    return (
        _risk_map(ground, layers, described, fitted, middle, spread, family),
        _coefficients(fitted, names, spread, middle, confidence),
        _validation(expected, y, offset, fold, folds),
        _tenths(expected[tested], y[tested]),
        auc,
        calibration(expected[tested], y[tested], family) if tested.any() else math.nan,
    )


def _names(covariates: "Sequence[xr.DataArray]") -> list[str]:
    names = [str(c.name) if c.name is not None else f"covariate_{k}" for k, c in enumerate(covariates, 1)]
    twice = [n for k, n in enumerate(names) if n in names[:k]]
    if twice:
        raise LinkwaysError(f"{ID}: two covariates are named {twice[0]}; give each raster its own name")
    return names


def _offset(ground: _Ground, usable: np.ndarray, family: str) -> np.ndarray:
    """Logarithm of area and of effort relative to its mean (of effort alone for presence)."""
    effort: np.ndarray = np.ones(int(usable.sum()))
    if ground.effort is not None:
        effort = ground.effort[usable] / ground.effort[usable].mean()
    return np.asarray(np.log(effort * (ground.cell_km2 if family == "poisson" else 1.0)))


def _refuse_model(raw: np.ndarray, y: np.ndarray, names: list[str]) -> None:
    still = [name for name, column in zip(names, raw.T, strict=True) if np.ptp(column) == 0]
    if still:
        raise LinkwaysError(f"{ID}: {still[0]} has the same value all over area and can explain nothing; leave it out")
    scaled = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    for k in range(1, len(names)):
        rest = scaled[:, :k]
        left = scaled[:, k] - rest @ np.linalg.lstsq(rest, scaled[:, k], rcond=None)[0]
        if left.std() < 1e-6:
            raise LinkwaysError(f"{ID}: {names[k]} follows from {', '.join(names[:k])}; leave one of them out")
    cells, needed = int((y > 0).sum()), 5 * (len(names) + 1)
    if cells < needed:
        raise LinkwaysError(
            f"{ID}: {cells} cells with incidents are too few for {len(names)} covariates; give fewer covariates or "
            "smaller "
            f"cells (at least {needed} are needed)"
        )
    if (y > 0).all():
        raise LinkwaysError(f"{ID}: every cell has incidents, so none tells where there is no risk; take smaller cells")


def _blocks(ground: _Ground, usable: np.ndarray, block_m: float | None, folds: int) -> np.ndarray:
    rows, columns = np.nonzero(usable)
    down, right = rows * ground.cell[0], columns * ground.cell[1]
    side = block_m or math.sqrt(usable.sum() * ground.cell_km2 * 1e6) / 5
    number = (down // side).astype(int) * 1_000_003 + (right // side).astype(int)
    names, block = np.unique(number, return_inverse=True)
    if len(names) < folds:
        raise LinkwaysError(
            f"{ID}: the area holds {len(names)} blocks of {side:.5g} m, fewer than the {folds} folds; give a smaller "
            "block_m"
        )
    return np.asarray(block)


def _fitted(
    fit: Any, x: np.ndarray, y: np.ndarray, offset: np.ndarray, block: np.ndarray, family: Any, names: Any
) -> "Fit":
    from linkways.movement._conflict_risk import Separated

    try:
        found: Fit = fit(x, y, offset, block, family)
    except Separated as error:
        raise LinkwaysError(
            f"{ID}: {names[error.covariate]} parts cells with incidents from cells without, so that its effect has no "
            "finite estimate; leave it out, or give a covariate that overlaps"
        ) from None
    return found


def _risk_map(
    ground: _Ground,
    layers: np.ndarray,
    usable: np.ndarray,
    fitted: "Fit",
    middle: np.ndarray,
    spread: np.ndarray,
    family: str,
) -> "xr.DataArray":
    from scipy.special import expit

    score = fitted.beta[0] + np.tensordot(fitted.beta[1:] / spread, layers - middle[:, None, None], axes=1)
    with np.errstate(over="ignore"):
        risk = np.exp(score) if family == "poisson" else expit(score)
    return ground.raster(np.where(usable, risk, np.nan), "risk", "1/km2" if family == "poisson" else "probability")


def _coefficients(
    fitted: "Fit", names: list[str], spread: np.ndarray, middle: np.ndarray, confidence: float
) -> "pd.DataFrame":
    import pandas as pd
    from scipy.stats import norm

    # from deviations back to units: the intercept takes up the means
    back = np.diag(np.r_[1.0, 1 / spread])
    back[0, 1:] = -middle / spread
    beta = back @ fitted.beta
    model, blocks = (np.sqrt(np.diag(back @ c @ back.T)) for c in (fitted.cover, fitted.block_cover))
    z = float(norm.ppf((1 + confidence) / 2))
    return pd.DataFrame(
        {
            "covariate": ["intercept", *names],
            "estimate": beta,
            "se_model": model,
            "se_blocks": blocks,
            "low": beta - z * blocks,
            "high": beta + z * blocks,
            "p": 2 * norm.sf(np.abs(beta) / blocks),
            "per_sd": np.r_[math.nan, fitted.beta[1:]],
            "ratio": np.r_[math.nan, np.exp(fitted.beta[1:])],
        }
    )


def _validation(
    expected: np.ndarray, y: np.ndarray, offset: np.ndarray, fold: np.ndarray, folds: int
) -> "pd.DataFrame":
    import pandas as pd

    from linkways.movement._conflict_risk import area_under_curve

    rows = []
    for one in range(folds):
        held = fold == one
        auc = math.nan
        if np.isfinite(expected[held]).all():
            auc = area_under_curve(expected[held] / np.exp(offset[held]), y[held] > 0)
        rows.append((one + 1, int(held.sum()), float(y[held].sum()), float(expected[held].sum()), auc))
    return pd.DataFrame(rows, columns=["fold", "cells", "incidents", "expected", "auc"])


def _tenths(expected: np.ndarray, y: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    parts = np.array_split(np.argsort(expected, kind="stable"), min(10, len(expected)))
    rows = [(k + 1, len(p), float(expected[p].sum()), float(y[p].sum())) for k, p in enumerate(parts)]
    return pd.DataFrame(rows, columns=["tenth", "cells", "expected", "incidents"])
