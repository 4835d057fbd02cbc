"""Where to place response units, so that they are near, or near enough, where they will be needed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, Table, TableOf, Vector, method, progress
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.planning._coverage_models import Placement, Siting

__all__ = ["Coverage", "coverage"]

ID = "planning.coverage"
NEEDS_LIMIT = ("max_cover", "set_cover", "expected_cover")


@dataclass(frozen=True)
class Coverage:
    """Where the units stand, whom they serve, and what more of them would bring."""

    sites: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "sites with units: site, existing, units, and of the demand nearest to each: points, weight, "
            "covered_weight, "
            "mean_travel (weighted), farthest"
        ),
    ]
    allocation: Annotated[
        "gpd.GeoDataFrame",
        Layer("demand points: demand, weight, nearest site with a unit, travel, covered, units_within the limit"),
    ]
    curve: Annotated[
        "pd.DataFrame",
        TableOf(
            "one unit, two, ...: units, objective, bound, gap, covered_weight, covered_share, mean_travel, farthest, "
            "sites"
        ),
    ]
    units: Annotated[int, Indicator("units, existing ones among them")]
    objective: Annotated[float, Indicator("value of the aim")]
    gap: Annotated[float, Indicator("how far from proven best, as a share; 0 is a proven best placement")]
    covered_weight: Annotated[float, Indicator("weight of the demand within the limit of a unit")]
    covered_share: Annotated[float, Indicator("share of the demand's weight (not of its points) within the limit")]
    covered_points_share: Annotated[float, Indicator("share of the demand points within the limit")]
    mean_travel: Annotated[float, Indicator("travel to the nearest unit, mean by weight (m; min with a speed)")]
    farthest: Annotated[float, Indicator("travel of the farthest demand point (m; min with a speed)")]


@method(
    ID,
    references=(
        "Hakimi SL (1964) Optimum locations of switching centers and the absolute centers and medians of a graph. "
        "Operations Research 12:450-459 (p-median)",
        "Church R, ReVelle C (1974) The maximal covering location problem. Papers of the Regional Science Association "
        "32:101-118",
        "Toregas C, Swain R, ReVelle C, Bergman L (1971) The location of emergency service facilities. Operations "
        "Research 19:1363-1373 (set covering)",
        "Minieka E (1970) The m-center problem. SIAM Review 12:138-139",
        "Daskin MS (1983) A maximum expected covering location model. Transportation Science 17:48-70",
        "Feng X, Barcelos G, Gaboardi JD, et al. (2022) spopt: a python package for solving spatial optimization "
        "problems in PySAL. Journal of Open Source Software 7:3330",
    ),
)
def coverage(
    demand: Annotated[
        "gpd.GeoDataFrame",
        Vector("where units will be needed, points or areas; columns demand (name) and weight when present"),
    ],
    sites: Annotated[
        "gpd.GeoDataFrame",
        Vector(
            "where units could stand; columns site (name) and existing (true: a unit stands there already) when "
            "present",
            geometry=("Point",),
        ),
    ],
    resistance: Annotated[
        "xr.DataArray | None",
        Raster(
            "how many times slower than on the best ground one travels through a cell; nodata cannot be entered",
            unit="resistance",
            positive=True,
        ),
    ] = None,
    travel: Annotated[
        "pd.DataFrame | None",
        Table("travel from every site to every demand, in any unit", columns=("site", "demand", "travel")),
    ] = None,
    *,
    aim: Annotated[
        Literal["p_median", "max_cover", "set_cover", "p_centre", "expected_cover"],
        Param(
            "least mean travel; most weight within the limit; fewest units that reach all; nearest farthest point; "
            "most "
            "weight with a free unit within the limit"
        ),
    ] = "p_median",
    units: Annotated[int | None, Param("units to have in all, existing ones too; none for set_cover", ge=1)] = None,
    limit: Annotated[
        float | None, Param("travel within which demand is covered: m, min with a speed, or the table's unit", gt=0)
    ] = None,
    speed_km_h: Annotated[
        float | None, Param("speed on ground of resistance 1; travel is told in minutes with it", unit="km/h", gt=0)
    ] = None,
    busy_share: Annotated[
        float, Param("share of the time that a unit is busy elsewhere (expected_cover)", ge=0, lt=1)
    ] = 0.3,
    curve_to: Annotated[
        int | None, Param("the curve is drawn from one unit up to so many; none: up to the units placed", ge=1)
    ] = None,
    time_limit_s: Annotated[float, Param("for each placement", unit="s", gt=0)] = 60.0,
    gap: Annotated[float, Param("a placement within this share of the best possible is good enough", ge=0, lt=1)] = 0.0,
) -> Coverage:
    """Where to place response units: near the demand on average, or within reach of as much of it as can be.

    Demand is villages, fields or cells of a risk map, weighted by what is at stake. Travel is the straight line (on the
    ellipsoid where coordinates are degrees), the least resistance x metres over a raster, or a table; a speed turns
    metres into minutes. The location models are those of PySAL's spopt, solved by HiGHS to a proven best placement or a
    stated gap; expected_cover allows for units that are out when the call comes. Existing units stay. The curve says
    what each further unit brings (with set_cover: the most weight that so few could cover).

    Shares of coverage are shares of the weight of demand; the share of its points is told beside them.

    Raises LinkwaysError where a limit or a number of units is needed and not given, for weights below 0 or all 0, names
    that occur twice, demand that no site reaches, points beyond the raster, and pairs that the table lacks.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from linkways import planning
    >>> village = gpd.points_from_xy([0, 1000, 9000], [0, 0, 0])
    >>> villages = gpd.GeoDataFrame({"weight": [30, 25, 45]}, geometry=village, crs="EPSG:32736")
    >>> camps = gpd.GeoDataFrame(
    ...     {"site": ["west", "middle", "east"]},
    ...     geometry=gpd.points_from_xy([500, 5000, 9000], [0, 0, 0]),
    ...     crs="EPSG:32736",
    ... )
    >>> found = planning.coverage(villages, camps, aim="max_cover", units=1, limit=1000)
    >>> found.sites.site.tolist(), found.covered_share, round(found.covered_points_share, 2)
    (['west'], 0.55, 0.67)
    """
    from linkways.planning._coverage_models import Siting

    points, places = _demand(demand), _sites(sites)
    matrix = _travel(points, places, resistance, travel, speed_km_h)
    if aim in NEEDS_LIMIT and limit is None:
        raise LinkwaysError(f"{ID}: {aim} needs limit, the travel within which demand counts as covered")
    siting = Siting(
        matrix,
        points["weight"].to_numpy(dtype=float),
        places["existing"].to_numpy(dtype=bool),
        np.inf if limit is None else limit,
        busy_share,
        time_limit_s,
        gap,
    )
    _refuse(aim, siting, points, units)
    return _solve(aim, siting, points, places, units, curve_to)


# --- inputs ----------------------------------------------------------------------------------------------------


def _demand(layer: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    """Demand as points with the columns demand and weight."""
    import pandas as pd

    points = _named(layer, "demand")
    if "weight" in points.columns:
        weight = pd.to_numeric(points["weight"], errors="coerce").to_numpy(dtype=float)
    else:
        weight = np.ones(len(points))
    wrong = np.flatnonzero(~(weight >= 0) | np.isinf(weight))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: demand has {len(wrong)} weights that are not numbers of 0 or more, first row {wrong[0] + 1} "
            f"({points['weight'].iloc[wrong[0]]}); mend the column weight"
        )
    if not weight.sum() > 0:
        raise LinkwaysError(
            f"{ID}: all weights of demand are 0, so any placement serves it as well; fill the column weight"
        )
    return points.assign(weight=weight)


def _sites(layer: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    from linkways.planning._coverage_inputs import flags

    places = _named(layer, "site")
    return places.assign(existing=flags(places, "existing", ID))


def _named(layer: "gpd.GeoDataFrame", column: str) -> "gpd.GeoDataFrame":
    """The features as points, with a name each (1, 2, 3, ... where there is none)."""
    what = "demand" if column == "demand" else "sites"
    if not len(layer):
        raise LinkwaysError(f"{ID}: {what} holds no feature; give at least one")
    if layer.crs is None:
        raise LinkwaysError(f"{ID}: {what} has no CRS, so its coordinates have no unit; set one (GeoDataFrame.set_crs)")
    empty = np.flatnonzero(layer.geometry.isna() | layer.geometry.is_empty)
    if len(empty):
        raise LinkwaysError(
            f"{ID}: {what} has {len(empty)} rows without a place, first row {empty[0] + 1}; leave them out"
        )
    names = layer[column].astype(str) if column in layer.columns else np.arange(1, len(layer) + 1).astype(str)
    out = layer.assign(**{column: np.asarray(names)}).reset_index(drop=True)
    twice = np.flatnonzero(out[column].duplicated())
    if len(twice):
        raise LinkwaysError(
            f"{ID}: {what} has the name {out[column].iloc[twice[0]]} twice in the column {column}, again in row "
            f"{twice[0] + 1}; give each its own"
        )
    return out if (out.geom_type == "Point").all() else out.set_geometry(out.geometry.representative_point())


def _travel(
    points: "gpd.GeoDataFrame",
    places: "gpd.GeoDataFrame",
    resistance: "xr.DataArray | None",
    travel: "pd.DataFrame | None",
    speed_km_h: float | None,
) -> np.ndarray:
    from linkways.planning._coverage_travel import straight, tabled, terrain

    if travel is not None:
        given = [n for n, v in (("resistance", resistance), ("speed_km_h", speed_km_h)) if v is not None]
        if given:
            raise LinkwaysError(f"{ID}: travel already tells how far sites are; leave out {' and '.join(given)}")
        return tabled(points, places, travel)
    metres = straight(points, places) if resistance is None else terrain(points, places, resistance)
    return metres if speed_km_h is None else metres / (speed_km_h * 1000 / 60)


def _refuse(aim: str, siting: "Siting", points: "gpd.GeoDataFrame", units: int | None) -> None:
    count, sites = int(siting.existing.sum()), len(siting.existing)
    if aim == "set_cover":
        if units is not None:
            raise LinkwaysError(
                f"{ID}: set_cover finds how many units are needed; leave units out, or choose max_cover"
            )
    elif units is None:
        raise LinkwaysError(f"{ID}: {aim} needs units, how many there are to place")
    elif units < count:
        raise LinkwaysError(f"{ID}: units is {units}, but {count} sites have one already; give at least {count}")
    elif units > sites and aim != "expected_cover":
        raise LinkwaysError(f"{ID}: units is {units}, but there are only {sites} sites; give more sites or fewer units")
    within = siting.limit if aim == "set_cover" else np.finfo(float).max
    nearest = siting.travel.min(axis=1)
    lost = np.flatnonzero(nearest > within)
    if len(lost) and aim not in ("max_cover", "expected_cover"):
        raise LinkwaysError(
            f"{ID}: {len(lost)} demand points are reached by no "
            f"site{' within the limit' if aim == 'set_cover' else ''}, "
            f"first {points['demand'].iloc[lost[0]]} (the nearest is {nearest[lost[0]]:.6g} away); add sites, raise "
            "limit, "
            "or leave them out"
        )


# --- results ---------------------------------------------------------------------------------------------------


def _solve(
    aim: Any,
    siting: "Siting",
    points: "gpd.GeoDataFrame",
    places: "gpd.GeoDataFrame",
    units: int | None,
    curve_to: int | None,
) -> Coverage:
    from linkways.planning._coverage_models import place

    chosen = place(aim, siting, units)
    count = int(chosen.units.sum())
    drawn = "max_cover" if aim == "set_cover" else aim
    known = {} if aim == "set_cover" else {count: chosen}
    last = min(curve_to or count, len(places) if aim != "expected_cover" else (curve_to or count))
    rows = []
    for k in range(max(1, int(siting.existing.sum())), last + 1):
        progress(0.5 + 0.5 * k / (last + 1), f"placement of {k} units")
        found = known.get(k) or _placed(drawn, siting, k)
        if found is not None:
            rows.append(_curve_row(siting, places, k, found))
    return _result(siting, points, places, chosen, rows)


def _placed(aim: Any, siting: "Siting", count: int) -> "Placement | None":
    """The best placement; none where so few units cannot reach every point, which the log then says."""
    from linkways.planning._coverage_models import place

    try:
        return place(aim, siting, count)
    except LinkwaysError as error:
        if aim not in ("p_centre", "p_median"):
            raise
        note(f"the curve leaves out {count} units: {error}")
        return None


def _service(siting: "Siting", units: np.ndarray) -> dict[str, float]:
    nearest = siting.travel[:, units > 0].min(axis=1)
    covered = nearest <= siting.limit if np.isfinite(siting.limit) else np.full(len(nearest), np.nan)
    weight = siting.weight
    reached = np.isfinite(nearest) & (weight > 0)
    return {
        "covered_weight": float(weight @ covered),
        "covered_share": float(weight @ covered / weight.sum()),
        "covered_points_share": float(covered.mean()),
        "mean_travel": float(np.average(nearest[reached], weights=weight[reached])) if reached.any() else np.inf,
        "farthest": float(nearest.max()),
    }


def _curve_row(siting: "Siting", places: "gpd.GeoDataFrame", count: int, found: "Placement") -> dict[str, Any]:
    names = [f"{n} x{u}" if u > 1 else str(n) for n, u in zip(places["site"], found.units, strict=True) if u]
    row = {"units": count, "objective": found.objective, "bound": found.bound, "gap": found.gap}
    row |= {k: v for k, v in _service(siting, found.units).items() if k != "covered_points_share"}
    return row | {"sites": ", ".join(names)}


def _result(
    siting: "Siting",
    points: "gpd.GeoDataFrame",
    places: "gpd.GeoDataFrame",
    chosen: "Placement",
    rows: list[dict[str, Any]],
) -> Coverage:
    import pandas as pd

    open_sites = np.flatnonzero(chosen.units)
    owner = open_sites[np.argmin(siting.travel[:, open_sites], axis=1)]
    nearest = siting.travel[np.arange(len(owner)), owner]
    allocation = points[["demand", "weight"]].assign(
        site=places["site"].to_numpy()[owner],
        travel=nearest,
        covered=nearest <= siting.limit,
        units_within=siting.reach @ chosen.units,
    )
    allocation = allocation.set_geometry(points.geometry)
    served = _service(siting, chosen.units)
    return Coverage(
        _open_sites(siting, places, chosen.units, owner, nearest),
        allocation,
        pd.DataFrame(rows),
        int(chosen.units.sum()),
        chosen.objective,
        chosen.gap,
        **served,
    )


def _open_sites(
    siting: "Siting", places: "gpd.GeoDataFrame", units: np.ndarray, owner: np.ndarray, nearest: np.ndarray
) -> "gpd.GeoDataFrame":
    size, weight = len(places), siting.weight
    total = np.bincount(owner, weight, size)
    reached = np.where(np.isfinite(nearest), nearest, 0.0)
    farthest = np.full(size, np.nan)
    np.fmax.at(farthest, owner, nearest)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(owner, weight * reached, size) / total
    table = places.assign(
        units=units,
        points=np.bincount(owner, minlength=size),
        weight=total,
        covered_weight=np.bincount(owner, weight * (nearest <= siting.limit), size),
        mean_travel=mean,
        farthest=farthest,
    )
    columns = ["site", "existing", "units", "points", "weight", "covered_weight", "mean_travel", "farthest"]
    return table.loc[units > 0, [*columns, places.geometry.name]].reset_index(drop=True)
