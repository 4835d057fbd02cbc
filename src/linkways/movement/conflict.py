"""Where people and wildlife come into conflict: density of incidents, hotspots, and the risk of more."""

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

    from linkways.movement._conflict_ground import Ground

__all__ = ["Conflict", "conflict"]

ID = "movement.conflict"


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
    from linkways.movement._conflict_ground import ground_of
    from linkways.movement._conflict_model import risk_of

    ground = ground_of(incidents, area, covariates or [], effort, cell_size_m, bandwidth_m, kinds)
    width = bandwidth_m or ground.width_m
    progress(0.1, "density of incidents")
    density = _density(ground, width)
    progress(0.3, "hotspots")
    hot = _hotspots(ground, _seasons(ground.points, season_starts), distance_m or width, alpha)
    progress(0.6, "risk")
    risk = risk_of(ground, covariates or [], model, block_m, folds, confidence, seed)
    gi_star, spots, seasons = hot
    return Conflict(
        density,
        gi_star,
        spots,
        seasons,
        risk.risk,
        risk.coefficients,
        risk.validation,
        risk.calibration,
        len(ground.points),
        float(width),
        risk.auc,
        risk.calibration_slope,
    )


# --- density and hotspots --------------------------------------------------------------------------------------


def _density(ground: "Ground", width: float) -> "xr.DataArray":
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
    ground: "Ground", season: np.ndarray | None, distance: float, alpha: float
) -> "tuple[xr.DataArray, gpd.GeoDataFrame, pd.DataFrame]":
    import geopandas as gpd
    import pandas as pd

    from linkways.movement._conflict_ground import FEWEST

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
    ground: "Ground", counts: np.ndarray, name: str, distance: float, alpha: float
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
