"""Green and blue space in cities (GBF Target 12): its share, who lives near it, and how connected it is."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, TableOf, Vector, method
from linkways.policy._reported import REPORTED, reported

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.policy._plane import Plane

__all__ = ["UrbanGreen", "urban_green"]


@dataclass(frozen=True)
class UrbanGreen:
    """Green and blue space of cities."""

    cities: Annotated[
        "pd.DataFrame",
        TableOf(
            "one row for each city: city, area_ha, green_ha, green_percent, patches, mesh_ha (connections inside the "
            "city only), mesh_cross_boundary_ha, and with a population raster people, people_near, near_percent"
        ),
    ]
    patches: Annotated[
        "gpd.GeoDataFrame",
        Layer("green and blue space inside the cities: city, group (patches that are connected), area_ha"),
    ]
    decisions: Annotated["pd.DataFrame", TableOf("every repair and choice: region, step, decision, features, area_km2")]
    reported: Annotated["pd.DataFrame", TableOf(REPORTED)]
    green_percent: Annotated[float, Indicator("mean share of green and blue space over the cities", unit="%")]
    near_percent: Annotated[
        float,
        Indicator("share of people near green or blue space; not told without a population raster", unit="%"),
    ]
    mesh_ha: Annotated[float, Indicator("effective mesh size of green space inside the cities", unit="ha")]
    mesh_cross_boundary_ha: Annotated[
        float, Indicator("effective mesh size with connections across the cities' boundaries", unit="ha")
    ]


@method(
    "policy.urban_green",
    references=(
        "GBF indicators, metadata 12-1 (2024): average share of the built-up area of cities that is green/blue space "
        "for public use for all",
        "Moser B, Jaeger JAG, Tappeiner U, Tasser E, Eiselt B (2007) Modification of the effective mesh size for "
        "measuring landscape fragmentation to solve the boundary problem. Landscape Ecology 22:447-459",
    ),
)
def urban_green(
    green: Annotated[
        "gpd.GeoDataFrame",
        Vector("green and blue space, also beyond the cities' boundaries", geometry=("Polygon",)),
    ],
    cities: Annotated["gpd.GeoDataFrame", Vector("built-up area of each city, or its boundary", geometry=("Polygon",))],
    population: Annotated["xr.DataArray | None", Raster("people in each cell", unit="people", own_grid=True)] = None,
    *,
    city_column: Annotated[str | None, Param("field that names the cities; none: all polygons are one city")] = None,
    near_m: Annotated[
        float,
        Param(
            "people whose cell's centre lies this near to green or blue space have it near",
            unit="metres",
            ge=0,
            source="300 m: access to nature in the Urban Nature Indexes (IUCN)",
        ),
    ] = 300.0,
    min_near_ha: Annotated[
        float, Param("connected space smaller than this does not count as near", unit="ha", ge=0)
    ] = 0.0,
    connect_within_m: Annotated[
        float, Param("patches no farther apart are connected; 0: those that touch", unit="metres", ge=0)
    ] = 0.0,
    invalid: Annotated[
        Literal["repair", "refuse"], Param("invalid polygons are made valid and counted, or the layer is refused")
    ] = "repair",
) -> UrbanGreen:
    """Share of green and blue space in cities, share of people near it, and its connectivity as effective mesh size.

    green_percent = 100 x area of green inside the city / area of the city; the indicator is the mean over cities, as
    in headline indicator 12.1 (give only space for public use as green to follow it to the letter). With A the area
    of the city, A_c the green inside it of a connected group c, and A_c' all green of the group it belongs to, inside
    and outside: mesh = sum A_c^2 / A, where the boundary cuts connections, and mesh_cross_boundary =
    sum A_c A_c' / A (Moser et al. 2007), where it does not. Indicators of mesh size are means weighted by area.

    Distances are straight, from the centre of a cell to the edge of the space; walks are longer.

    Raises LinkwaysError for empty layers, no green in any city, negative people, and as ``protconn`` for layers that
    cannot be measured.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from linkways import policy
    >>> park = gpd.GeoDataFrame(geometry=[shapely.box(800, 0, 1400, 500)], crs=3035)
    >>> city = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1000, 1000)], crs=3035)
    >>> found = policy.urban_green(park, city)
    >>> found.green_percent, found.mesh_ha, found.mesh_cross_boundary_ha
    (10.0, 1.0, 3.0)
    """
    import geopandas as gpd
    import pandas as pd

    from linkways.policy._plane import refuse_wrong_units
    from linkways.policy._regions import named_regions, planes_of
    from linkways.policy._sites import Decisions, checked_polygons

    if not len(green):
        raise LinkwaysError("green: the layer holds no features; give green and blue space")
    refuse_wrong_units(green, "green")
    decisions = Decisions()
    shapes = checked_polygons(green, "green", invalid, decisions)
    places = named_regions(cities, city_column, green.crs, invalid, decisions, "cities")
    planes = planes_of(places, green.crs, decisions)
    people = None if population is None else _people(population)
    rows, layers = [], []
    for name, place in places.items():
        row, layer = _city(place, shapes, planes[name], connect_within_m, near_m, min_near_ha, people)
        rows.append({"city": name, **row})
        layers.append(layer.assign(city=name)[["city", "group", "area_ha", "geometry"]])
    table = pd.DataFrame(rows)
    weight = table["area_ha"].to_numpy()
    near = math.nan
    if people is not None and table["people"].sum() > 0:
        near = 100.0 * float(table["people_near"].sum() / table["people"].sum())
    filled = [layer for layer in layers if len(layer)] or layers[:1]
    return UrbanGreen(
        cities=table,
        patches=gpd.GeoDataFrame(pd.concat(filled, ignore_index=True), crs=green.crs),
        decisions=decisions.table(),
        reported=reported("policy.urban_green", _to_report(table, connect_within_m)),
        green_percent=float(table["green_percent"].mean()),
        near_percent=near,
        mesh_ha=float(np.average(table["mesh_ha"], weights=weight)),
        mesh_cross_boundary_ha=float(np.average(table["mesh_cross_boundary_ha"], weights=weight)),
    )


def _to_report(table: "pd.DataFrame", connect_within_m: float) -> list[dict[str, Any]]:
    """Share and mesh of each city, and the mean share."""
    mean = {"indicator": "urban-green-share", "value": table["green_percent"].mean(), "unit": "%"}
    joined = f"effective mesh size across the boundary; patches within {connect_within_m:g} m are connected"
    meshes = [
        {"indicator": "urban-green-mesh", "value": mesh, "unit": "ha", "thresholds": f"{city}; {joined}"}
        for city, mesh in zip(table["city"], table["mesh_cross_boundary_ha"], strict=True)
    ]
    return [{**mean, "thresholds": "mean over cities"}, *meshes]


def _people(population: "xr.DataArray") -> "gpd.GeoDataFrame":
    """Cells with people, as points."""
    import geopandas as gpd

    values = np.nan_to_num(np.asarray(population.values, dtype=np.float64))
    if (values < 0).any():
        row, column = np.argwhere(values < 0)[0]
        raise LinkwaysError(
            f"population has {int((values < 0).sum())} negative cells, first at row {row} column {column}; set them "
            "to nodata"
        )
    row, column = np.nonzero(values)
    points = gpd.points_from_xy(population.x.values[column], population.y.values[row])
    return gpd.GeoDataFrame({"people": values[row, column]}, geometry=points, crs=population.rio.crs)


def _city(
    place: Any,
    green: np.ndarray,
    plane: "Plane",
    connect_m: float,
    near_m: float,
    min_near_ha: float,
    people: "gpd.GeoDataFrame | None",
) -> "tuple[dict[str, Any], gpd.GeoDataFrame]":
    """Values of one city, and its patches."""
    import geopandas as gpd
    import shapely

    from linkways.policy._nodes import dissolve, within_region

    city = plane.project(np.array([place], dtype=object))[0]
    whole, _ = dissolve(shapely.get_parts(plane.project(green)), 0.0)  # single patches, overlaps counted once
    whole, group, group_area = _groups(shapely.get_parts(whole), connect_m)
    inside, owner, _, _ = within_region(whole, city)
    inner, own, own_area = _groups(inside, connect_m)
    area = float(shapely.area(city))
    owned = shapely.area(inside)
    row = {
        "area_ha": area / 1e4,
        "green_ha": float(owned.sum()) / 1e4,
        "green_percent": 100.0 * float(owned.sum()) / area,
        "patches": len(inside),
        "mesh_ha": float((own_area**2).sum()) / area / 1e4,
        "mesh_cross_boundary_ha": float((owned * group_area[group[owner]]).sum()) / area / 1e4,
    }
    if people is not None:
        large = group_area[group] >= min_near_ha * 1e4
        row |= _near(place, people, whole[large], plane, near_m)
    layer = gpd.GeoDataFrame({"group": own + 1, "area_ha": shapely.area(inner) / 1e4}, geometry=plane.unproject(inner))
    return row, layer


def _groups(parts: np.ndarray, connect_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The parts, the group of each, and the area of each group."""
    import shapely

    from linkways.policy._nodes import dissolve

    group = np.zeros(len(parts), np.int64)
    _, members = dissolve(parts, connect_m)
    for number, m in enumerate(members):
        group[m] = number
    return parts, group, np.bincount(group, weights=shapely.area(parts), minlength=len(members))


def _near(place: Any, people: "gpd.GeoDataFrame", green: np.ndarray, plane: "Plane", near_m: float) -> dict[str, Any]:
    """People of the city, and those within reach of green space."""
    import shapely

    points = people.to_crs(plane.crs)
    shapely.prepare(place)
    here = shapely.intersects(place, points.geometry.to_numpy())
    count = points["people"].to_numpy()[here]
    near = np.zeros(len(count), bool)
    if len(green) and len(count):
        there = plane.project(points.geometry.to_numpy()[here])
        hits = shapely.STRtree(green).query_nearest(there, max_distance=max(near_m, 1e-9), all_matches=False)[0]
        near[hits] = True
    total = float(count.sum())
    share = 100.0 * float(count[near].sum()) / total if total > 0 else math.nan
    return {"people": total, "people_near": float(count[near].sum()), "near_percent": share}
