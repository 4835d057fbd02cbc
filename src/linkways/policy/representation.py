"""How much of each ecoregion, habitat class or species range is protected, and what is missing to a target."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Param, Raster, TableOf, Vector, method
from linkways.policy._reported import REPORTED, reported
from linkways.policy.protconn import MAB, OECM, Invalid, Points, Realm, Status

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.policy._sites import Decisions, Sites

__all__ = ["Representation", "representation"]


@dataclass(frozen=True)
class Representation:
    """Protected shares of features against a target."""

    features: Annotated[
        "pd.DataFrame",
        TableOf(
            "one row for each feature: feature, area_ha, protected_ha, protected_percent, missing_ha and "
            "missing_percent (points) to the target, met"
        ),
    ]
    decisions: Annotated[
        "pd.DataFrame", TableOf("every filter, repair and choice: region, step, decision, features, area_km2")
    ]
    reported: Annotated["pd.DataFrame", TableOf(REPORTED)]
    protected_percent: Annotated[float, Indicator("protected share of the land of all features together", unit="%")]
    missing_ha: Annotated[float, Indicator("area missing to the target on all of that land together", unit="ha")]
    features_met: Annotated[int, Indicator("features that meet the target")]
    target_achievement: Annotated[
        float, Indicator("mean over features of the protected share of the target, each at most 100", unit="%")
    ]


@method(
    "policy.representation",
    references=(
        "Convention on Biological Diversity (2022) Kunming-Montreal Global Biodiversity Framework, Target 3 (30 "
        "percent by 2030, ecologically representative)",
        "Jantke K, Kuempel CD, McGowan J, Chauvenet ALM, Possingham HP (2019) Metrics for evaluating representation "
        "target achievement in protected area networks. Diversity and Distributions 25:170-175",
    ),
)
def representation(
    areas: Annotated[
        "gpd.GeoDataFrame",
        Vector("protected areas and OECMs; fields of the WDPA are read where present", geometry=("Polygon", "Point")),
    ],
    features: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("ecoregions, habitats or species ranges; they may overlap", geometry=("Polygon",)),
    ] = None,
    classes: Annotated[
        "xr.DataArray | None", Raster("habitat classes instead of polygons", classes=True, own_grid=True)
    ] = None,
    *,
    feature_column: Annotated[
        str | None, Param("field that names the features; none: all polygons are one feature")
    ] = None,
    target_percent: Annotated[
        float,
        Param("share of each feature to be protected", unit="%", gt=0, le=100, source="GBF Target 3: 30 percent"),
    ] = 30.0,
    exclude_status: Status = ["Proposed", "Not Reported"],  # noqa: B006
    unesco_mab: MAB = "drop",
    oecm: OECM = "include",
    realm: Realm = "all",
    points: Points = "buffer",
    invalid: Invalid = "repair",
) -> Representation:
    """The protected share of each ecoregion, habitat class or species range, and the gap to a target such as 30 %.

    protected_percent = 100 x area of the feature under the union of all sites / area of the feature; missing_ha =
    max(0, target x area - protected area). Polygons are cut exactly, on the plane of a projected CRS or, for a
    geographic one, on an equal-area projection about each feature. Cells of a raster are protected when their centre
    is, and count with their area on the ellipsoid. Where features overlap, the totals count their land once.

    Raises LinkwaysError when neither or both of features and classes are given, and as ``protconn`` for layers that
    cannot be measured.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from linkways import policy
    >>> parks = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 2000, 1000)], crs=3035)
    >>> habitats = gpd.GeoDataFrame(
    ...     {"habitat": ["forest", "fen"]},
    ...     geometry=[shapely.box(0, 0, 4000, 1000), shapely.box(4000, 0, 5000, 1000)], crs=3035,
    ... )
    >>> policy.representation(parks, habitats, feature_column="habitat").features.iloc[:, :5]
      feature  area_ha  protected_ha  protected_percent  missing_ha
    0  forest    400.0         200.0               50.0         0.0
    1     fen    100.0           0.0                0.0        30.0
    """
    import pandas as pd

    from linkways.policy._sites import Decisions, Filters, read_sites

    if (features is None) == (classes is None):
        raise LinkwaysError("policy.representation: give either features (polygons) or classes (a raster)")
    decisions = Decisions()
    filters = Filters(tuple(exclude_status or ()), unesco_mab, oecm, realm, points, invalid)
    sites = read_sites(areas, filters, decisions)
    if features is not None:
        measured = list(_polygons(features, feature_column, sites, invalid, decisions))
    else:
        assert classes is not None
        measured = list(_cells(classes, sites))
    rows = [_row(name, area, protected, target_percent) for name, area, protected in measured[1:]]
    _, area, protected = measured[0]
    table = pd.DataFrame(rows)
    whole = _row("all", area, protected, target_percent)
    achieved = np.minimum(table["protected_percent"] / target_percent, 1.0)
    return Representation(
        features=table,
        decisions=decisions.table(),
        reported=reported("policy.representation", _to_report(whole, target_percent)),
        protected_percent=whole["protected_percent"],
        missing_ha=whole["missing_ha"],
        features_met=int(table["met"].sum()),
        target_achievement=100.0 * float(achieved.mean()),
    )


def _to_report(whole: dict[str, Any], target_percent: float) -> list[dict[str, Any]]:
    how = f"all features together; target {target_percent:g} %"
    return [
        {"indicator": "protected-coverage", "value": whole["protected_percent"], "unit": "%", "thresholds": how},
        {
            "indicator": "important-habitats",
            "value": whole["protected_percent"],
            "unit": "% protected",
            "thresholds": how,
        },
    ]


def _row(name: str, area_m2: float, protected_m2: float, target: float) -> dict[str, Any]:
    share = 100.0 * protected_m2 / area_m2 if area_m2 > 0 else math.nan
    missing = max(target / 100.0 * area_m2 - protected_m2, 0.0)
    # a share that rounding puts a hair below the target meets it
    met = missing <= 1e-9 * area_m2
    return {
        "feature": name,
        "area_ha": area_m2 / 1e4,
        "protected_ha": protected_m2 / 1e4,
        "protected_percent": share,
        "missing_ha": 0.0 if met else missing / 1e4,
        "missing_percent": 0.0 if met else target - share,
        "met": met,
    }


def _polygons(
    features: "gpd.GeoDataFrame", column: str | None, sites: "Sites", invalid: str, decisions: "Decisions"
) -> Iterator[tuple[str, float, float]]:
    """(name, area, protected area) in m2: first of all land together, then of each feature."""
    import shapely

    from linkways.policy._regions import WHOLE, named_regions, planes_of

    shapes = named_regions(features, column, sites.crs, invalid, decisions, "features")
    together = shapely.union_all(np.array(list(shapes.values()), dtype=object)) if len(shapes) > 1 else None
    planes = planes_of(shapes, sites.crs, decisions)
    first = next(iter(shapes))
    if together is None:
        yield (WHOLE, *_protected(shapes[first], sites, planes[first]))
    else:
        from linkways.policy._plane import Plane

        yield (WHOLE, *_protected(together, sites, Plane.of(np.array([together], dtype=object), sites.crs)))
    for name, shape in shapes.items():
        yield (name, *_protected(shape, sites, planes[name]))


def _protected(shape: Any, sites: "Sites", plane: Any) -> tuple[float, float]:
    """Area of a feature and of its part under the sites, m2."""
    import shapely

    from linkways.policy._nodes import dissolve, within_region

    region = plane.project(np.array([shape], dtype=object))[0]
    boxes = shapely.bounds(sites.shape)
    west, south, east, north = shapely.bounds(shape)
    near = (boxes[:, 0] <= east) & (boxes[:, 2] >= west) & (boxes[:, 1] <= north) & (boxes[:, 3] >= south)
    near |= np.isfinite(sites.point_area_m2)  # circles reach beyond their point
    if not near.any():
        return float(shapely.area(region)), 0.0
    inside = within_region(sites.where(near).on(plane), region)[0]
    return float(shapely.area(region)), float(shapely.area(dissolve(inside, 0.0)[0]).sum())


def _cells(classes: "xr.DataArray", sites: "Sites") -> Iterator[tuple[str, float, float]]:
    import geopandas as gpd

    from linkways.policy._plane import Plane
    from linkways.policy._regions import WHOLE
    from linkways.spatial import cell_geometry, feature_of_cell

    plane = Plane.of(sites.shape, sites.crs)
    points = np.isfinite(sites.point_area_m2)
    shapes = sites.shape.copy()
    if points.any():
        shapes[points] = plane.unproject(sites.where(points).on(plane)).to_numpy()
    covered = feature_of_cell(gpd.GeoDataFrame(geometry=shapes, crs=sites.crs), classes) >= 0
    values = np.asarray(classes.values, dtype=np.float64)
    known = np.isfinite(values)
    if not known.any():
        raise LinkwaysError("policy.representation: classes holds nodata only; give a raster with class codes")
    area = np.broadcast_to(cell_geometry(classes).area_m2[:, None], values.shape)
    codes, code = np.unique(values[known], return_inverse=True)
    total = np.bincount(code, weights=area[known])
    held = np.bincount(code, weights=(area * covered)[known])
    yield WHOLE, float(total.sum()), float(held.sum())
    for value, of_class, protected in zip(codes, total, held, strict=True):
        yield f"{value:g}", float(of_class), float(protected)
