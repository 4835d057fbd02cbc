"""What restored forest takes up, what planting it costs, and what its carbon credits bring."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Param, Table, TableOf, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["Carbon", "carbon"]

CO2_PER_C = 44 / 12
SCENARIOS = ("low", "central", "high")


@dataclass(frozen=True)
class Carbon:
    """Removals, trees and money of a restoration, each with a range."""

    scenarios: Annotated[
        "pd.DataFrame",
        TableOf(
            "low, central and high: tco2, tco2_per_ha_year, credits_tco2, revenue, cost, npv (discounted money); low "
            "takes the low end of every rate and price, high the high end"
        ),
    ]
    by_year: Annotated[
        "pd.DataFrame",
        TableOf("year, planted_ha, tco2 in the year and tco2_total (low, central, high), cost, revenue, cash, npv"),
    ]
    by_site: Annotated["pd.DataFrame", TableOf("site, area_ha, trees, cost, tco2 (low, central, high), of each site")]
    sources: Annotated[
        "pd.DataFrame", TableOf("every rate used: value, low, high, unit, status (how far it was checked), source")
    ]
    tco2: Annotated[float, Indicator("carbon dioxide removed over the years, central", unit="t CO2")]
    trees: Annotated[float, Indicator("trees to plant")]
    jobs: Annotated[float, Indicator("jobs in restoration")]
    planting_cost: Annotated[float, Indicator("planting and upkeep, not discounted", unit="money")]
    credit_revenue: Annotated[float, Indicator("revenue from credits, not discounted, central", unit="money")]
    npv: Annotated[float, Indicator("net present value, central", unit="money")]


@method(
    "planning.carbon",
    references=(
        "IPCC (2019) 2019 Refinement to the 2006 IPCC Guidelines for National Greenhouse Gas Inventories, Volume 4, "
        "Chapter 4 (tier 1)",
        "Requena Suarez D, Rozendaal DMA, De Sy V, et al. (2019) Estimating aboveground net biomass change for "
        "tropical and subtropical forests. Global Change Biology 25:3609-3624",
        "Brancalion PHS, de Siqueira LP, Amazonas NT, et al. (2022) Ecosystem restoration job creation potential in "
        "Brazil. People and Nature 4:1426-1434",
    ),
)
def carbon(
    sites: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("land to restore, as planning.restore chooses it: restored_ha tells its area, else the polygons do"),
    ] = None,
    rates: Annotated[
        "pd.DataFrame | None",
        Table(
            "growth by age in place of the packaged table: age_from, age_to (years), value, low, high (t d.m./ha/year)",
            columns=("age_from", "age_to", "value", "low", "high"),
        ),
    ] = None,
    *,
    area_ha: Annotated[float | None, Param("area to restore when no sites are given", unit="ha", gt=0)] = None,
    region: Annotated[Literal["america", "africa", "asia"], Param("whose tropical rainforest rates apply")] = "america",
    years: Annotated[int, Param("years from the first planting", unit="years", ge=1, le=100)] = 50,
    planting_years: Annotated[int, Param("years over which the area is planted, evenly", unit="years", ge=1)] = 1,
    root_ratio: Annotated[float | None, Param("below-ground to above-ground biomass; none: the table's", ge=0)] = None,
    carbon_fraction: Annotated[
        float | None, Param("carbon in dry matter; none: the table's", unit="t C/t d.m.", gt=0, le=1)
    ] = None,
    trees_per_ha: Annotated[
        float,
        Param("trees planted on a hectare", ge=0, source="projects in the Atlantic Forest: 2.4 million on 1,200 ha"),
    ] = 2000.0,
    jobs_per_ha: Annotated[
        float,
        Param(
            "jobs for each hectare under restoration", ge=0, source="Brancalion et al. (2022), survey in Brazil: 0.42"
        ),
    ] = 0.42,
    planting_cost_per_ha: Annotated[float, Param("cost of planting one hectare", unit="money/ha", ge=0)] = 0.0,
    upkeep_cost_per_ha: Annotated[float, Param("cost of upkeep in a year", unit="money/ha/year", ge=0)] = 0.0,
    upkeep_years: Annotated[int, Param("years of upkeep after planting", unit="years", ge=0)] = 0,
    price_per_t: Annotated[float, Param("price of a credit", unit="money/t CO2", ge=0)] = 0.0,
    price_low: Annotated[float | None, Param("low price; none: the price", unit="money/t CO2", ge=0)] = None,
    price_high: Annotated[float | None, Param("high price; none: the price", unit="money/t CO2", ge=0)] = None,
    buffer_share: Annotated[float, Param("share of credits that is kept back and never sold", ge=0, lt=1)] = 0.0,
    discount_rate: Annotated[float, Param("discount rate a year", ge=0, lt=1)] = 0.0,
) -> Carbon:
    """Carbon that restored forest takes up by IPCC tier 1, with trees, costs, credits and net present value in ranges.

    C(t) = area x sum over ages a of G(a) x (1 + R) x CF x 44/12 in t CO2: G the above-ground growth (t dry matter/ha/
    year) of the age class that the year begins in, R the root ratio, CF the carbon fraction. The rates are rows of a
    packaged table that names for each its source and how far it was checked; the result lists those used. Their low
    and high ends are no confidence interval: what the range stands for is in the table.

    Land is planted in equal parts at the start of each of the first ``planting_years``; cost of planting falls there,
    upkeep at the start of each year after, and credits, (1 - ``buffer_share``) of the year's removals, are sold at
    its end. NPV is the sum of cash flows over (1 + ``discount_rate``)^(years since the first planting).

    Raises LinkwaysError for sites without area or with degrees taken for metres, and for ages that the table does not
    cover.

    Examples
    --------
    >>> from linkways import planning
    >>> found = planning.carbon(area_ha=75_000, years=50)
    >>> round(found.tco2 / 1e6, 1), round(found.tco2 / 75_000 / 50, 2), int(found.trees)
    (29.5, 7.87, 150000000)
    """
    import pandas as pd

    if (sites is None) == (area_ha is None):
        raise LinkwaysError("planning.carbon: give either sites or area_ha, not both and not neither")
    names, areas = _areas(sites, area_ha)
    used, growth = _growth(rates, region, years)
    roots = _rate("root_ratio", region, root_ratio)
    fraction = _rate("carbon_fraction", "any", carbon_fraction)
    used += [roots, fraction]
    prices = np.array([price_per_t if p is None else p for p in (price_low, price_per_t, price_high)])
    if not prices[0] <= prices[1] <= prices[2]:
        raise LinkwaysError(
            f"planning.carbon: the prices must rise from price_low over price_per_t to price_high, and they are "
            f"{prices[0]:g}, {prices[1]:g}, {prices[2]:g}"
        )
    per_ha = growth * ((1 + _range(roots)) * _range(fraction) * CO2_PER_C)[:, None]
    planted = np.zeros(years)
    planted[: min(planting_years, years)] = areas.sum() / planting_years
    removed = np.array([np.convolve(planted, one)[:years] for one in per_ha])
    tended = np.convolve(planted, np.r_[0.0, np.ones(upkeep_years)])[:years]
    cost = planted * planting_cost_per_ha + tended * upkeep_cost_per_ha
    credits = removed * (1 - buffer_share)
    revenue = credits * prices[:, None]
    starts, ends = (
        (1 + discount_rate) ** -np.arange(years, dtype=float),
        (1 + discount_rate) ** -np.arange(1.0, years + 1),
    )
    npv = np.cumsum(revenue * ends - cost * starts, axis=1)
    scenarios = pd.DataFrame(
        {
            "scenario": SCENARIOS,
            "tco2": removed.sum(axis=1),
            "tco2_per_ha_year": removed.sum(axis=1) / areas.sum() / years,
            "credits_tco2": credits.sum(axis=1),
            "revenue": revenue.sum(axis=1),
            "cost": cost.sum(),
            "npv": npv[:, -1],
        }
    )
    by_year = _by_year(planted, removed, cost, revenue, npv)
    by_site = _by_site(names, areas, removed, cost, planted, trees_per_ha)
    central = scenarios.iloc[1]
    return Carbon(
        scenarios,
        by_year,
        by_site,
        pd.DataFrame(used),
        float(central["tco2"]),
        float(by_site["trees"].sum()),
        jobs_per_ha * float(planted.sum()),
        float(cost.sum()),
        float(central["revenue"]),
        float(central["npv"]),
    )


def _by_year(
    planted: np.ndarray, removed: np.ndarray, cost: np.ndarray, revenue: np.ndarray, npv: np.ndarray
) -> "pd.DataFrame":
    import pandas as pd

    columns: dict[str, Any] = {"year": np.arange(1, len(planted) + 1), "planted_ha": planted}
    for name, each in zip(SCENARIOS, removed, strict=True):
        columns[f"tco2_{name}"] = each
    for name, each in zip(SCENARIOS, removed.cumsum(axis=1), strict=True):
        columns[f"tco2_total_{name}"] = each
    columns |= {"cost": cost, "revenue": revenue[1], "cash": revenue[1] - cost}
    for name, each in zip(SCENARIOS, npv, strict=True):
        columns[f"npv_{name}"] = each
    return pd.DataFrame(columns)


def _by_site(
    names: Any, areas: np.ndarray, removed: np.ndarray, cost: np.ndarray, planted: np.ndarray, trees_per_ha: float
) -> "pd.DataFrame":
    import pandas as pd

    share = areas / areas.sum()
    reached = planted.sum() / areas.sum()
    columns: dict[str, Any] = {"site": names, "area_ha": areas, "trees": areas * reached * trees_per_ha}
    columns["cost"] = share * cost.sum()
    for name, each in zip(SCENARIOS, removed.sum(axis=1), strict=True):
        columns[f"tco2_{name}"] = share * each
    return pd.DataFrame(columns)


def _areas(sites: "gpd.GeoDataFrame | None", area_ha: float | None) -> tuple[Any, np.ndarray]:
    if sites is None:
        return ["all"], np.array([area_ha], float)
    import pandas as pd

    if "restored_ha" in sites.columns:
        areas = np.asarray(pd.to_numeric(sites["restored_ha"], errors="coerce"), float)
    else:
        areas = _outlined_ha(sites)
    bad = ~(np.isfinite(areas) & (areas >= 0))
    if bad.any() or not areas.sum() > 0:
        first = f", first the one with index {sites.index[int(bad.argmax())]}" if bad.any() else ""
        raise LinkwaysError(
            f"planning.carbon: sites must have areas above 0 together, and {int(bad.sum())} of {len(sites)} have none"
            f"{first}; give polygons, or fill in restored_ha"
        )
    return sites.index.to_numpy(), areas


def _outlined_ha(sites: "gpd.GeoDataFrame") -> np.ndarray:
    """Hectares inside the outlines, made valid; on the ellipsoid where they are in degrees."""
    import shapely
    from shapely.geometry.polygon import orient

    from linkways.spatial import note

    west, south, east, north = sites.total_bounds
    if not sites.crs.is_geographic and west >= -180 and east <= 180 and south >= -90 and north <= 90:
        raise LinkwaysError(
            f"planning.carbon: sites has coordinates from {west:g} {south:g} to {east:g} {north:g}, which look like "
            f"degrees, but a CRS in metres ({sites.crs.name}); give it the CRS that its coordinates are in"
        )
    wrong = ~sites.geometry.is_valid.to_numpy()
    outlines = sites.geometry.to_numpy()
    if wrong.any():
        note(f"planning.carbon: {int(wrong.sum())} invalid sites made valid, first index {sites.index[wrong][0]}")
        outlines = shapely.make_valid(outlines, method="structure", keep_collapsed=False)
    excess = float(shapely.area(outlines).sum() / max(shapely.area(shapely.union_all(outlines)), 1e-300)) - 1
    if excess > 1e-6:
        note(f"planning.carbon: sites overlap, so that their areas sum to {100 * excess:.3g} % more than the ground")
    if not sites.crs.is_geographic:
        return np.asarray(shapely.area(outlines) * sites.crs.axis_info[0].unit_conversion_factor ** 2 / 1e4)
    geod = sites.crs.get_geod()
    parts, owner = shapely.get_parts(outlines, return_index=True)
    # a ring's area on the ellipsoid has a sign, so that holes must run against their shell
    area = [abs(geod.geometry_area_perimeter(orient(part))[0]) if part.area else 0.0 for part in parts]
    return np.bincount(owner, area, minlength=len(outlines)) / 1e4


# --- rates -----------------------------------------------------------------------------------------------------


@cache
def _packaged() -> tuple[dict[str, str], ...]:
    """The rows of the packaged table."""
    import csv
    from importlib.resources import files

    text = files("linkways.planning").joinpath("data/forest_carbon.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def _numbers(row: dict[str, str]) -> dict[str, Any]:
    out: dict[str, Any] = dict(row)
    for name in ("age_from", "age_to", "value", "low", "high"):
        out[name] = float(row[name]) if row[name] else float("nan")
    return out


def _rate(quantity: str, region: str, given: float | None) -> dict[str, Any]:
    row = next(_numbers(r) for r in _packaged() if r["quantity"] == quantity and r["region"] in (region, "any"))
    if given is None:
        return row
    return row | {"value": given, "low": given, "high": given, "status": "given", "source": "given", "range_source": ""}


def _range(row: dict[str, Any]) -> np.ndarray:
    return np.array([row["low"], row["value"], row["high"]])


def _growth(rates: "pd.DataFrame | None", region: str, years: int) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The rows used, and growth (low, central, high) x age."""
    rows = _given(rates) if rates is not None else _of_region(region)
    growth = np.full((3, years), np.nan)
    used = []
    for row in rows:
        ages = np.arange(years)
        inside = (ages >= row["age_from"]) & (ages < row["age_to"])
        if inside.any():
            growth[:, inside] = _range(row)[:, None]
            used.append(row)
    unknown = np.isnan(growth).any(axis=0)
    if unknown.any():
        where = "rates" if rates is not None else f"the packaged table for {region}"
        raise LinkwaysError(
            f"planning.carbon: {where} has no growth for forest of {int(unknown.argmax())} years; use fewer years, or "
            "give a table of rates"
        )
    return used, growth


def _of_region(region: str) -> list[dict[str, Any]]:
    return [_numbers(r) for r in _packaged() if r["quantity"] == "growth" and r["region"] == region]


def _given(rates: "pd.DataFrame") -> list[dict[str, Any]]:
    out = []
    for number, row in enumerate(rates.to_dict("records")):
        numbers = {str(k): float(row[k]) for k in ("age_from", "age_to", "value", "low", "high")}
        if not (
            0 <= numbers["age_from"] < numbers["age_to"] and 0 <= numbers["low"] <= numbers["value"] <= numbers["high"]
        ):
            raise LinkwaysError(
                f"planning.carbon: row {number} of rates must have age_from < age_to and 0 <= low <= value <= high"
            )
        out.append({"quantity": "growth", "unit": "t d.m./ha/year", "status": "given", "source": "given"} | numbers)
    return out
