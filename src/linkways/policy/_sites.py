"""Protected areas and OECMs as they come (WDPA and WD-OECM, old and new fields), and which of them count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.policy._plane import Plane, refuse_wrong_units
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["CIRCLE", "FIELDS", "Decisions", "Filters", "Sites", "checked_polygons", "read_sites"]

FIELDS: dict[str, tuple[str, ...]] = {
    "id": ("SITE_PID", "SITE_ID", "WDPA_PID", "WDPAID"),
    "type": ("SITE_TYPE", "PA_DEF"),
    "status": ("STATUS",),
    "year": ("STATUS_YR",),
    "designation": ("DESIG_ENG", "DESIG"),
    "realm": ("REALM", "MARINE"),
    "area": ("REP_AREA",),
}
"""What each field is called in the WDPA and WD-OECM, the newer name (from November 2025) first."""
CIRCLE = 16
"""Segments of a quarter circle about a site that is known as a point."""
UNESCO_MAB = "unesco-mab biosphere reserve"


@dataclass(frozen=True)
class Filters:
    """Which sites count, in the words of the parameters of `protconn`."""

    exclude_status: tuple[str, ...] = ()
    unesco_mab: str = "keep"
    oecm: str = "include"
    realm: str = "all"
    points: str = "buffer"
    invalid: str = "repair"


@dataclass
class Decisions:
    """Every choice and repair with the number of features it met, in order."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, step: str, rule: str, features: int, area_km2: float = math.nan, region: str = "") -> None:
        self.rows.append(
            {"region": region, "step": step, "decision": rule, "features": int(features), "area_km2": float(area_km2)}
        )

    def table(self) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(self.rows, columns=["region", "step", "decision", "features", "area_km2"])


@dataclass(frozen=True)
class Sites:
    """The sites that count: polygons and points, with what is known of them, one row each."""

    shape: np.ndarray
    name: np.ndarray
    oecm: np.ndarray
    year: np.ndarray
    """Year of the status, NaN where not reported."""
    point_area_m2: np.ndarray
    """Reported area of a site known as a point, NaN for polygons."""
    crs: Any

    def __len__(self) -> int:
        return len(self.shape)

    def where(self, mask: np.ndarray) -> Sites:
        """The sites of a mask."""
        parts = ("shape", "name", "oecm", "year", "point_area_m2")
        return replace(self, **{part: getattr(self, part)[mask] for part in parts})

    def on(self, plane: Plane) -> np.ndarray:
        """The sites as polygons on the plane; points become circles of exactly their reported area."""
        import shapely

        shapes = plane.project(self.shape)
        points = np.isfinite(self.point_area_m2)
        if points.any():
            shapes = shapes.copy()
            corners = 4 * CIRCLE
            radius = np.sqrt(2.0 * self.point_area_m2[points] / (corners * math.sin(2.0 * math.pi / corners)))
            shapes[points] = shapely.buffer(shapely.centroid(shapes[points]), radius, quad_segs=CIRCLE)
        broken = ~shapely.is_valid(shapes)
        if broken.any():  # rounding of a projection can make rings touch
            shapes = shapes.copy()
            shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
        return shapes


def read_sites(areas: gpd.GeoDataFrame, filters: Filters, decisions: Decisions) -> Sites:
    """The sites that count, with every rule and how many sites it met written into ``decisions``.

    Refuses an empty layer, coordinates that do not fit the CRS, and, if so asked, invalid polygons.
    """
    if not len(areas):
        raise LinkwaysError("areas: the layer holds no features; give protected areas")
    refuse_wrong_units(areas, "areas")
    columns = _columns(areas)
    told = ", ".join(f"{what} from {column}" for what, column in columns.items()) or "none of the WDPA fields"
    decisions.add("read", f"sites as given; fields read: {told}", len(areas))
    keep = _kept(areas, columns, filters, decisions)
    if not keep.any():
        raise LinkwaysError(
            f"areas: none of the {len(areas)} features is left after the filters on status, type, realm and "
            "designation; loosen them or check these fields"
        )
    chosen = areas[keep]
    shapes = checked_polygons(chosen, "areas", filters.invalid, decisions)
    sites = Sites(
        shape=shapes,
        name=_names(chosen, columns),
        oecm=_is_oecm(chosen, columns),
        year=_years(chosen, columns),
        point_area_m2=np.full(len(chosen), math.nan),
        crs=areas.crs,
    )
    return _with_points(sites, chosen, columns, filters, decisions)


def _columns(areas: gpd.GeoDataFrame) -> dict[str, str]:
    """Column by meaning, whatever its case."""
    present = {str(column).upper(): str(column) for column in areas.columns}
    found = {}
    for meaning, names in FIELDS.items():
        first = next((present[name] for name in names if name in present), None)
        if first is not None:
            found[meaning] = first
    return found


def _text(areas: gpd.GeoDataFrame, column: str) -> np.ndarray:
    return np.asarray(areas[column].astype(str).str.strip().str.lower().to_numpy(dtype=object))


def _kept(areas: gpd.GeoDataFrame, columns: dict[str, str], filters: Filters, decisions: Decisions) -> np.ndarray:
    """True for the sites that pass every filter; each filter is counted on what the ones before it left."""
    keep = np.ones(len(areas), bool)

    def apply(drop: np.ndarray, rule: str) -> None:
        decisions.add("filter", rule, int((keep & drop).sum()))
        keep[drop] = False

    if filters.exclude_status:
        words = ", ".join(filters.exclude_status)
        if "status" in columns:
            wanted = {status.strip().lower() for status in filters.exclude_status}
            apply(np.isin(_text(areas, columns["status"]), list(wanted)), f"dropped: status {words}")
        else:
            decisions.add("filter", f"status {words} could not be dropped: no field STATUS", 0)
    if filters.unesco_mab == "drop" and "designation" in columns:
        reserve = np.array([UNESCO_MAB in text for text in _text(areas, columns["designation"])], bool)
        apply(reserve, "dropped: UNESCO-MAB Biosphere Reserves, most of whose area is not protected")
    oecm = _is_oecm(areas, columns)
    if filters.oecm == "exclude":
        apply(oecm, "dropped: OECMs")
    elif filters.oecm == "only":
        apply(~oecm, "dropped: protected areas that are not OECMs")
    else:
        decisions.add("filter", "kept: OECMs beside protected areas", int((keep & oecm).sum()))
    if filters.realm != "all":
        _apply_realm(areas, columns, filters.realm, apply, decisions)
    return keep


def _apply_realm(
    areas: gpd.GeoDataFrame, columns: dict[str, str], wanted: str, apply: Any, decisions: Decisions
) -> None:
    if "realm" not in columns:
        decisions.add("filter", f"realm {wanted} could not be chosen: no field REALM or MARINE", 0)
        return
    realm = _text(areas, columns["realm"])
    # MARINE counts 0 (land), 1 (coast), 2 (sea), in text or number
    land = np.isin(realm, ["terrestrial", "0", "0.0"])
    sea = np.isin(realm, ["marine", "2", "2.0"])
    apply(sea if wanted == "terrestrial" else land, f"dropped: sites wholly outside the realm {wanted}")


def _is_oecm(areas: gpd.GeoDataFrame, columns: dict[str, str]) -> np.ndarray:
    if "type" not in columns:
        return np.zeros(len(areas), bool)
    kind = _text(areas, columns["type"])
    # SITE_TYPE says PA or OECM; PA_DEF counts 1 for a protected area and 0 for an OECM
    return np.isin(kind, ["oecm", "0", "0.0"])


def _names(areas: gpd.GeoDataFrame, columns: dict[str, str]) -> np.ndarray:
    if "id" in columns:
        values = areas[columns["id"]]
        whole = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values]
        return np.array(whole, dtype=object)
    return np.array([str(index) for index in areas.index], dtype=object)


def _years(areas: gpd.GeoDataFrame, columns: dict[str, str]) -> np.ndarray:
    import pandas as pd

    if "year" not in columns:
        return np.full(len(areas), math.nan)
    years = pd.to_numeric(areas[columns["year"]], errors="coerce").to_numpy(dtype=float)
    return np.where(years > 0, years, math.nan)  # 0 stands for not reported


def _with_points(
    sites: Sites, areas: gpd.GeoDataFrame, columns: dict[str, str], filters: Filters, decisions: Decisions
) -> Sites:
    import pandas as pd
    import shapely

    points = np.isin(shapely.get_type_id(sites.shape), (0, 4))
    empty = shapely.is_empty(sites.shape)
    if empty.any():
        decisions.add("repair", "dropped: features without any area", int(empty.sum()))
    if not points.any():
        return sites.where(~empty)
    if filters.points == "drop":
        decisions.add("filter", "dropped: sites known only as a point", int(points.sum()))
        return sites.where(~points & ~empty)
    reported = np.zeros(len(sites))
    if "area" in columns:
        reported = pd.to_numeric(areas[columns["area"]], errors="coerce").fillna(0.0).to_numpy(dtype=float)
    circle = points & (reported > 0)
    lost = points & ~circle
    decisions.add(
        "choice", "points became circles of their reported area", int(circle.sum()), float(reported[circle].sum())
    )
    if lost.any():
        decisions.add("filter", "dropped: points without a reported area", int(lost.sum()))
    sites = replace(sites, point_area_m2=np.where(circle, reported * 1e6, math.nan))
    return sites.where(~lost & ~empty)


def checked_polygons(frame: gpd.GeoDataFrame, what: str, invalid: str, decisions: Decisions) -> np.ndarray:
    """The geometries, made valid and counted, or refused with the first one's fault and place."""
    import shapely

    shapes = frame.geometry.to_numpy().copy()
    broken = ~shapely.is_valid(shapes)
    count = int(broken.sum())
    if not count:
        return np.asarray(shapely.force_2d(shapes))
    first = int(np.argmax(broken))
    reason = shapely.is_valid_reason(shapes[first])
    if invalid == "refuse":
        raise LinkwaysError(
            f"{what}: {count} polygons are invalid, first the one with index {frame.index[first]} ({reason}); repair "
            "them or set invalid to 'repair'"
        )
    mended = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    shapes[broken] = [_polygonal(shape) for shape in mended]
    note(f"{what}: {count} invalid polygons made valid, first the one with index {frame.index[first]} ({reason})")
    decisions.add("repair", f"{what}: invalid polygons made valid, first index {frame.index[first]} ({reason})", count)
    return np.asarray(shapely.force_2d(shapes))


def _polygonal(shape: Any) -> Any:
    """The polygons of a shape."""
    import shapely

    if shape.geom_type != "GeometryCollection":
        return shape
    parts: Sequence[Any] = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    return shapely.multipolygons(parts)
