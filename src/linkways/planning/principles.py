"""Whether a plan keeps the operational principles it was drawn by, and where it does not."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import Indicator, Layer, Param, Table, TableOf, Vector, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from linkways.planning._principles_checks import Finding, Scene

__all__ = ["Audit", "principles"]

ID = "planning.principles"
COLUMNS = ("principle", "title", "check", "applies_to", "threshold", "unit", "status", "rule", "source")
KINDS = ("reef", "coastal", "other")


@dataclass(frozen=True)
class Audit:
    """A plan held against principles."""

    audit: Annotated[
        "pd.DataFrame",
        TableOf(
            "one row for each rule: principle, title, result (pass, fail, told, not checked), checked and failed "
            "(places), worst (value), threshold, unit, where (places that fail), rule, status (of its number), source"
        ),
    ]
    places: Annotated[
        "pd.DataFrame", TableOf("every place checked: principle, title, place, value, threshold, unit, passed")
    ]
    failures: Annotated["gpd.GeoDataFrame", Layer("the places that fail, with outlines")]
    areas: Annotated["gpd.GeoDataFrame", Layer("no-take areas: place (the name used in the tables), area_km2")]
    units: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "the plan's planning units as planning.select takes them: unit, cost (when present), region (bioregion), "
            "area_km2, together (reef), locked_in (special places), locked_out (near harmful uses); none without a "
            "column unit"
        ),
    ]
    amounts: Annotated[
        "pd.DataFrame",
        TableOf(
            "unit, feature (bioregion, its bands of latitude, positions on the shelf, communities), amount in km2; "
            "reefs of a bioregion by number"
        ),
    ]
    targets: Annotated["pd.DataFrame", TableOf("feature, target (the least that is asked, in km2 or reefs), type")]
    parameters: Annotated[
        "pd.DataFrame", TableOf("parameters of planning.select: parameter, value, rule, says (how much of the rule)")
    ]
    passed: Annotated[int, Indicator("rules that the plan keeps")]
    failed: Annotated[int, Indicator("rules that it does not keep")]
    not_checked: Annotated[int, Indicator("rules for which a layer or column is missing")]


@method(
    ID,
    references=(
        "Great Barrier Reef Marine Park Authority (2002) Biophysical Operational Principles as recommended by the "
        "Scientific Steering Committee for the Representative Areas Program. Technical Information Sheet 6",
        "Fernandes L, Day J, Lewis A, et al. (2005) Establishing representative no-take areas in the Great Barrier "
        "Reef: large-scale implementation of theory on marine protected areas. Conservation Biology 19:1733-1744",
        "Dobbs K, Fernandes L, Slegers S, et al. (2008) Incorporating dugong habitats into the marine protected area "
        "design for the Great Barrier Reef Marine Park, Queensland, Australia. Ocean & Coastal Management 51:368-375",
    ),
)
def principles(
    plan: Annotated[
        "gpd.GeoDataFrame",
        Vector(
            "no-take areas, or planning units with a column selected (1 or 0); with a column unit they come back as "
            "planning.select takes them",
            geometry=("Polygon",),
        ),
    ],
    bioregions: Annotated[
        "gpd.GeoDataFrame",
        Vector(
            "bioregions: bioregion (name) and, when present, kind (reef, coastal, other) and shelf (position on the "
            "shelf)",
            geometry=("Polygon",),
            columns=("bioregion",),
        ),
    ],
    reefs: Annotated["gpd.GeoDataFrame | None", Vector("reefs; column name when present", ("Polygon",))] = None,
    communities: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("communities and environments: name and, when present, target (a share)", columns=("name",)),
    ] = None,
    places: Annotated["gpd.GeoDataFrame | None", Vector("special places; column name when present")] = None,
    uses: Annotated["gpd.GeoDataFrame | None", Vector("uses that harm; column name when present")] = None,
    rules: Annotated[
        "pd.DataFrame | None",
        Table(
            "own rules in place of the eleven of the Great Barrier Reef: also applies_to, unit, rule, source when "
            "present",
            columns=("principle", "title", "check", "threshold"),
        ),
    ] = None,
    *,
    coastal_length_km: Annotated[float, Param("least length of coastal areas", unit="km", ge=0)] = 10.0,
    replicates: Annotated[int, Param("least number of separate areas in a bioregion", ge=1)] = 3,
    replicate_km2: Annotated[float, Param("area of a bioregion that counts as present", unit="km2", ge=0)] = 0.0,
    whole_share: Annotated[float, Param("a reef counts as whole from this share on", gt=0, le=1)] = 0.99,
    reefs_per_bioregion: Annotated[int, Param("least number of whole reefs in a reef bioregion", ge=1)] = 3,
    coastal_areas: Annotated[int, Param("least number of areas in a coastal bioregion", ge=1)] = 6,
    coastal_spacing_km: Annotated[float, Param("widest gap between coastal areas", unit="km", gt=0)] = 100.0,
    bands: Annotated[int, Param("bands of latitude", ge=1)] = 4,
    community_share: Annotated[float, Param("least share of communities without a target", gt=0, le=1)] = 0.1,
    network_km: Annotated[float, Param("how far the nearest other area may be", unit="km", gt=0)] = 100.0,
    special_share: Annotated[float, Param("least share of a special place", gt=0, le=1)] = 1.0,
    use_distance_km: Annotated[float, Param("least distance to harmful uses", unit="km", ge=0)] = 1.0,
) -> Audit:
    """Which operational principles a plan keeps, and the places where it does not.

    The built-in rules are the eleven biophysical principles of the 2003 rezoning of the Great Barrier Reef, packaged as
    a table with their source. Numbers that were not seen in a source are no part of it: they are the parameters, with
    defaults to begin from, and the status of such a rule is "parameter". No-take areas are pieces of selected land that
    share no edge, the largest first. The checks:

    - width: diameter of the largest circle within an area; length: longer side of the narrowest rectangle around it
    - share: no-take share of a bioregion; replicates: no-take areas in it; reefs: whole reefs in it; spacing: widest
      gap between its areas (along their minimum spanning tree)
    - whole: no-take share of reefs that are touched; communities, special: of all of them
    - bands, shelf: no-take in each band of latitude of a bioregion, or of a position on the shelf
    - neighbour: distance to the nearest other area; apart: to the nearest harmful use; mean_area is only told

    Rules apply to bioregions of a kind (reef, not_reef, coastal, not_coastal) or to all; an area belongs to the kind of
    the bioregion that it holds most of. Where kinds are not told, rules about reef and coastal bioregions, and shares
    of non-reef ones, are not checked, nor are rules whose layer is missing. Degrees are projected to an equal-area
    plane (Lambert) around the bioregions.

    What of the rules an optimiser can keep comes back as its inputs: shares of bioregions and communities, bands
    of latitude, positions on the shelf and numbers of reefs as targets, reefs as units that are selected together,
    special places and harmful uses as locks, replicates and (in part) the least width as parameters.
    ``planning.select(found.units, found.amounts, found.targets)`` makes a plan by them.

    Raises LinkwaysError for a plan without selected land, bioregions of an unknown kind, and rules with an unknown
    check, or without a number where the check needs one.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from linkways import planning
    >>> km = lambda x, y, w, h: shapely.box(x * 1e3, y * 1e3, (x + w) * 1e3, (y + h) * 1e3)
    >>> sea = gpd.GeoDataFrame({"bioregion": ["lagoon", "shelf edge"], "kind": ["other", "reef"]},
    ...     geometry=[km(0, 0, 100, 100), km(100, 0, 50, 100)], crs="EPSG:3577")
    >>> plan = gpd.GeoDataFrame(geometry=[km(0, 0, 60, 50), km(110, 0, 15, 20)], crs="EPSG:3577")
    >>> found = planning.principles(plan, sea)
    >>> found.audit.query("title.str.startswith('Minimum') and result != 'not checked'")[["title", "result", "where"]]
                                      title result           where
    0                          Minimum size   fail  no-take area 2
    5        Minimum of each reef bioregion   fail      shelf edge
    7    Minimum of each non-reef bioregion   pass
    """
    given = {
        "coastal_length_km": coastal_length_km,
        "replicates": replicates,
        "whole_share": whole_share,
        "reefs_per_bioregion": reefs_per_bioregion,
        "coastal_areas": coastal_areas,
        "coastal_spacing_km": coastal_spacing_km,
        "bands": bands,
        "community_share": community_share,
        "network_km": network_km,
        "special_share": special_share,
        "use_distance_km": use_distance_km,
    }
    table = _packaged(given) if rules is None else _own(rules)
    layers = {"reefs": reefs, "communities": communities, "places": places, "uses": uses}
    scene, crs = _scene(plan, bioregions, layers, bands, replicate_km2 * 1e6, whole_share)
    return _audited(table, scene, crs, plan)


# --- rules -----------------------------------------------------------------------------------------------------


def _packaged(given: dict[str, float]) -> list[dict[str, Any]]:
    """The built-in rules; numbers without a source come from the parameters."""
    import csv
    from importlib.resources import files

    text = files("linkways.planning").joinpath("data/reef_principles.csv").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = []
    for row in csv.DictReader(text.splitlines()):
        threshold = given[row["parameter"]] if row["parameter"] else float(row["threshold"] or "nan")
        rows.append({name: row[name] for name in COLUMNS} | {"threshold": float(threshold)})
    return rows


def _own(rules: "pd.DataFrame") -> list[dict[str, Any]]:
    from linkways.planning._principles_checks import CHECKS

    usual = {"applies_to": "all", "unit": "", "rule": "", "source": "", "status": "given"}
    rows = []
    for number, row in enumerate(rules.to_dict("records"), start=1):
        check = str(row["check"]).strip()
        if check not in CHECKS:
            raise LinkwaysError(
                f"{ID}: rules has the unknown check {check} in row {number}{nearest(check, CHECKS)}; checks are "
                f"{', '.join(CHECKS)}"
            )
        try:
            threshold = float(row["threshold"])
        except (TypeError, ValueError):
            threshold = math.nan
        if math.isnan(threshold) and check not in ("mean_area", "bands", "shelf"):
            raise LinkwaysError(
                f"{ID}: rules has no number as the threshold of {row['title']} (row {number}); give one"
            )
        # what a table of files leaves empty comes as NaN, which is not itself
        told = {str(k): v for k, v in row.items() if isinstance(v, str) or v == v}
        rows.append(usual | {k: told[k] for k in COLUMNS if k in told} | {"check": check, "threshold": threshold})
    return rows


# --- the plan and its surroundings -----------------------------------------------------------------------------


def _scene(
    plan: "gpd.GeoDataFrame",
    bioregions: "gpd.GeoDataFrame",
    layers: "dict[str, gpd.GeoDataFrame | None]",
    bands: int,
    replicate_m2: float,
    whole_share: float,
) -> tuple["Scene", Any]:
    import shapely

    from linkways.planning._principles_checks import Scene

    if not len(bioregions):
        raise LinkwaysError(f"{ID}: bioregions holds no row; give at least one polygon")
    crs, scale = _plane(bioregions)
    shapes = _metres(bioregions, crs, scale)
    whole = shapely.union_all(_metres(_chosen(plan), crs, scale))
    if not whole.area > 0:
        raise LinkwaysError(f"{ID}: plan has no selected land; mark some units with 1 in the column selected")
    names = [str(n) for n in bioregions["bioregion"]]
    order = list(dict.fromkeys(names))
    merged = np.array([shapely.union_all(shapes[[n == name for n in names]]) for name in order], object)
    first = [names.index(n) for n in order]
    bounds = shapely.total_bounds(shapes)
    scene = Scene(
        areas=np.array(sorted((p for p in shapely.get_parts(whole) if p.area > 0), key=lambda p: -p.area), object),
        whole=whole,
        names=order,
        bioregions=merged,
        kinds=[_kind(bioregions, row) for row in first],
        shelf=[str(bioregions["shelf"].iloc[row]) for row in first] if "shelf" in bioregions.columns else None,
        north=(float(bounds[1]), float(bounds[3])),
        layers={k: _places(layer, k, crs, scale) for k, layer in layers.items() if layer is not None and len(layer)},
        bands=bands,
        replicate_m2=replicate_m2,
        whole_share=whole_share,
    )
    return scene, (crs, scale)


def _plane(layer: "gpd.GeoDataFrame") -> tuple[Any, float]:
    """A plane to measure in, and the metres of its unit."""
    from pyproj import CRS

    crs = CRS(layer.crs)
    if not crs.is_geographic:
        return crs, float(crs.axis_info[0].unit_conversion_factor)
    west, south, east, north = layer.total_bounds
    return CRS(f"+proj=laea +lat_0={(south + north) / 2} +lon_0={(west + east) / 2} +ellps=WGS84 +units=m"), 1.0


def _metres(layer: "gpd.GeoDataFrame", crs: Any, scale: float) -> np.ndarray:
    import shapely

    shapes = layer.to_crs(crs).geometry.to_numpy()
    return np.asarray(shapes if scale == 1 else shapely.transform(shapes, lambda xy: xy * scale), object)


def _chosen(plan: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    if "selected" not in plan.columns:
        return plan
    import pandas as pd

    value = pd.to_numeric(plan["selected"], errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero((value != 0) & (value != 1))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: plan has {len(wrong)} units whose selected is neither 1 nor 0, first row {wrong[0] + 1}; give one"
        )
    return plan[value == 1]


def _kind(bioregions: "gpd.GeoDataFrame", row: int) -> str:
    if "kind" not in bioregions.columns:
        return ""
    kind = str(bioregions["kind"].iloc[row]).strip()
    if kind not in KINDS:
        name = bioregions["bioregion"].iloc[row]
        raise LinkwaysError(f"{ID}: bioregion {name} is of the kind {kind!r}; give {', '.join(KINDS)}")
    return kind


def _places(layer: "gpd.GeoDataFrame", what: str, crs: Any, scale: float) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, shapes and targets; communities of one name are put together."""
    import pandas as pd
    import shapely

    shapes = _metres(layer, crs, scale)
    single = what.rstrip("s")
    names = [str(n) for n in layer["name"]] if "name" in layer.columns else [
        f"{single} {k}" for k in range(1, len(layer) + 1)
    ]  # fmt: skip
    targets = np.full(len(names), np.nan)
    if what == "communities":
        if "target" in layer.columns:
            targets = pd.to_numeric(layer["target"], errors="coerce").to_numpy(dtype=float)
        order = list(dict.fromkeys(names))
        shapes = np.array([shapely.union_all(shapes[[n == name for n in names]]) for name in order], object)
        targets = targets[[names.index(n) for n in order]]
        names = order
    return names, shapes, targets


# --- the audit -------------------------------------------------------------------------------------------------


def _audited(table: list[dict[str, Any]], scene: "Scene", plane: Any, plan: "gpd.GeoDataFrame") -> Audit:
    import geopandas as gpd
    import pandas as pd
    import shapely

    crs, scale = plane
    rows, places, shapes = [], [], []
    for done, rule in enumerate(table):
        progress(done / len(table), str(rule["title"]))
        found = _findings(scene, rule)
        rows.append(_row(rule, found))
        for one in found:
            head = {"principle": rule["principle"], "title": rule["title"], "place": one.place, "value": one.value}
            places.append(head | {"threshold": one.threshold, "unit": rule["unit"], "passed": one.passed})
            shapes.append(one.shape)
    audit = pd.DataFrame(rows)
    names = ["principle", "title", "place", "value", "threshold", "unit", "passed"]
    checked = pd.DataFrame(places, columns=names).astype({"passed": object})
    failing = [k for k, row in enumerate(places) if row["passed"] is False]

    def back(values: list[Any]) -> Any:
        array = np.asarray(values, object)
        return array if scale == 1 else shapely.transform(array, lambda xy: xy / scale)

    failures = gpd.GeoDataFrame(
        checked.iloc[failing].drop(columns="passed").reset_index(drop=True),
        geometry=list(back([shapes[k] for k in failing])),
        crs=crs,
    ).to_crs(plan.crs)
    areas = gpd.GeoDataFrame(
        {
            "place": [f"no-take area {k + 1}" for k in range(len(scene.areas))],
            "area_km2": shapely.area(scene.areas) / 1e6,
        },
        geometry=list(back(list(scene.areas))),
        crs=crs,
    ).to_crs(plan.crs)
    count = audit["result"].value_counts()
    return Audit(
        audit,
        checked,
        failures,
        areas,
        *_optimiser(table, scene, plane, plan),
        *(int(count.get(result, 0)) for result in ("pass", "fail", "not checked")),
    )


def _optimiser(
    table: list[dict[str, Any]], scene: "Scene", plane: Any, plan: "gpd.GeoDataFrame"
) -> "tuple[gpd.GeoDataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]":
    """Units, amounts, targets and parameters for planning.select."""
    from linkways.planning._principles_inputs import amounts_and_targets, parameters_of, unit_columns

    named = "unit" in plan.columns
    kept = [c for c in ("unit", "cost", "group", "selected") if c in plan.columns]
    units = plan[[*kept, plan.geometry.name]].iloc[: None if named else 0].reset_index(drop=True)
    shapes = _metres(units, *plane)
    units = units.assign(**unit_columns(scene, table, shapes)) if named else units
    amounts, targets = amounts_and_targets(scene, table, shapes, units["unit"] if named else [])
    return units, amounts, targets, parameters_of(scene, table)


def _findings(scene: "Scene", rule: dict[str, Any]) -> "list[Finding]":
    from linkways.planning._principles_checks import CHECKS, NEEDS

    check = str(rule["check"])
    if check in NEEDS and NEEDS[check] not in scene.layers:
        return []
    if check == "shelf" and scene.shelf is None:
        return []
    found = CHECKS[check](scene, str(rule["applies_to"]), float(rule["threshold"]))
    return [replace(one, passed=None if one.passed is None else bool(one.passed)) for one in found]


def _row(rule: dict[str, Any], found: "list[Finding]") -> dict[str, Any]:
    failed = [one for one in found if one.passed is False]
    told = bool(found) and all(one.passed is None for one in found)
    result = "told" if told else "fail" if failed else "pass" if found else "not checked"
    values = [one.value for one in found]
    worst = math.nan
    if values:
        worst = max(values) if rule["check"] in ("spacing", "neighbour") else min(values)
    return {
        "principle": rule["principle"],
        "title": rule["title"],
        "result": result,
        "checked": len(found),
        "failed": len(failed),
        "worst": worst,
        "threshold": rule["threshold"],
        "unit": rule["unit"],
        "where": "; ".join(one.place for one in failed),
        "rule": rule["rule"],
        "status": rule["status"],
        "source": rule["source"],
    }
