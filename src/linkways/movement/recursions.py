"""Recursions: how often and for how long animals come back to a place."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Layer, Param, TableOf, Vector, method
from linkways.movement._fixes import Fixes, fixes_of

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["Recursions", "recursions"]

HOUR = 3600.0


@dataclass(frozen=True)
class Recursions:
    """Places with how often they are visited, and every visit to them."""

    sites: Annotated[
        "gpd.GeoDataFrame",
        Layer("the places, or the fixes without places: visits, residence_h, mean_visit_h, mean_return_h, first, last"),
    ]
    visits: Annotated[
        "pd.DataFrame | None",
        TableOf("place, animal, visit, entry, exit, inside_h, return_h of every visit to the places given"),
    ]


@method(
    "movement.recursions",
    references=(
        "Bracis C, Bildstein KL, Mueller T (2018) Revisitation analysis uncovers spatio-temporal patterns in animal "
        "movement data. Ecography 41: 1801-1811",
    ),
)
def recursions(
    fixes: Annotated["gpd.GeoDataFrame", Vector("GPS fixes", geometry=("Point",), columns=("animal", "time"))],
    places: Annotated[
        "gpd.GeoDataFrame | None",
        Vector(
            "places whose visits are counted: points (with the radius) or polygons, e.g. waterholes, farms, crossings; "
            "column place names them when present; left out: every fix is such a point",
            geometry=("Point", "Polygon"),
        ),
    ] = None,
    *,
    radius_m: Annotated[float, Param("a point is visited within this distance", unit="m", gt=0)] = 100.0,
    absence_h: Annotated[float, Param("a shorter absence does not end a visit", unit="hours", ge=0)] = 0.0,
    longest_h: Annotated[
        float | None, Param("between fixes further apart than this nothing is known of the way", unit="hours", gt=0)
    ] = None,
    whose: Annotated[
        Literal["own", "all"], Param("visits counted at a fix: of the animal it belongs to, or of all animals")
    ] = "own",
    pass_through: Annotated[
        bool, Param("a place also counts as visited when a step cuts through it without a fix inside")
    ] = False,
) -> Recursions:
    """Visits to places, or to every fix: how many, how long, and how long until the animal came back.

    An animal is inside a place from where its way, straight between fixes, crosses the edge before the first fix inside
    to where it crosses after the last; the moments are interpolated along the step. Visits parted by an absence shorter
    than ``absence_h`` are one. Residence time is the sum of the time inside, without those absences; a return is the
    time from the end of a visit to the beginning of the same animal's next. At fixes the visit of the fix itself counts
    as the first. A visit that begins with the first fix of a track, or ends with the last, is cut short there.

    Raises LinkwaysError for a layer of fixes that cannot be used (degrees, times without zone), for pass_through
    without places, and for places that are named twice.

    Examples
    --------
    >>> import geopandas as gpd, pandas as pd
    >>> from linkways import movement
    >>> x = [0, 300, 600, 300, 0, 300]
    >>> times = pd.date_range("2024-01-01", periods=6, freq="h", tz="UTC")
    >>> track = {"animal": "a", "time": times}
    >>> fixes = gpd.GeoDataFrame(track, geometry=gpd.points_from_xy(x, [0] * 6), crs="EPSG:32612")
    >>> waterhole = gpd.GeoDataFrame({"place": ["Klip"]}, geometry=gpd.points_from_xy([0], [0]), crs="EPSG:32612")
    >>> found = movement.recursions(fixes, waterhole, radius_m=150)
    >>> found.visits[["place", "visit", "inside_h", "return_h"]]
      place  visit  inside_h  return_h
    0  Klip      1       0.5       NaN
    1  Klip      2       1.0       3.0
    """
    track = fixes_of(fixes, at_least=1)
    joined = _joined(track, longest_h)
    if places is None:
        if pass_through:
            raise LinkwaysError("movement.recursions: pass_through needs places; at fixes every visit has a fix inside")
        return Recursions(_at_fixes(track, joined, radius_m, absence_h, whose), None)
    return _at_places(track, joined, places, radius_m, absence_h, pass_through)


def _joined(track: Fixes, longest_h: float | None) -> np.ndarray:
    """Whether a step leads from each fix to the next."""
    joined = np.ones(len(track.x_m), bool)
    joined[track.start[1:] - 1] = False
    if longest_h is not None:
        joined[:-1] &= np.diff(track.seconds) <= longest_h * HOUR
    return joined


def _at_fixes(track: Fixes, joined: np.ndarray, radius_m: float, absence_h: float, whose: str) -> "gpd.GeoDataFrame":
    from linkways.movement._recursion_kernels import recur_at_fixes

    group = track.group
    visits, inside, away, back, first, last = recur_at_fixes(
        *(track.x_m, track.y_m, track.seconds, group, joined, track.x_m, track.y_m, group),
        *(radius_m, absence_h * HOUR, whose == "all"),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return track.layer.assign(
            visits=visits,
            residence_h=inside / HOUR,
            mean_visit_h=inside / visits / HOUR,
            mean_return_h=away / back / HOUR,
            first=_times(first),
            last=_times(last),
        )


def _at_places(
    track: Fixes,
    joined: np.ndarray,
    places: "gpd.GeoDataFrame",
    radius_m: float,
    absence_h: float,
    pass_through: bool,
) -> Recursions:
    names = place_names(places)
    layer = places.to_crs(track.layer.crs)
    place, group, entry, leave = _stretches(track, joined, layer, radius_m, pass_through)
    order = np.lexsort([leave, entry, group, place])
    place, group, entry, leave = place[order], group[order], entry[order], leave[order]
    visits = _visits(track, names, place, group, entry, leave, absence_h)
    return Recursions(_summary(places, names, visits), visits)


def place_names(places: "gpd.GeoDataFrame") -> np.ndarray:
    """The column place as text, or numbers from 1; refuses a name that is given twice or not at all."""
    if len(places) == 0:
        raise LinkwaysError("movement.recursions: places holds no feature; give one, or leave places out")
    many = np.flatnonzero(np.asarray(places.geom_type == "MultiPoint"))
    if len(many):
        raise LinkwaysError(
            f"movement.recursions: places has several points in one feature, row {many[0] + 1}; give each its own row "
            "(GeoDataFrame.explode)"
        )
    if "place" not in places.columns:
        return np.arange(1, len(places) + 1).astype(str).astype(object)
    missing = np.flatnonzero(places["place"].isna())
    if len(missing):
        raise LinkwaysError(f"movement.recursions: places has no name in column place, row {missing[0] + 1}; fill it")
    names = places["place"].astype(str)
    twice = np.flatnonzero(names.duplicated())
    if len(twice):
        raise LinkwaysError(
            f"movement.recursions: places names {names.iloc[twice[0]]} twice, again in row {twice[0] + 1}; join its "
            "parts into one feature or give each a name"
        )
    return np.asarray(names.to_numpy(dtype=object))


def _stretches(
    track: Fixes, joined: np.ndarray, places: "gpd.GeoDataFrame", radius_m: float, pass_through: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Place, group, entry and exit of every part of a step inside a place, and of every fix inside."""
    import shapely

    unit = float(places.crs.axis_info[0].unit_conversion_factor)
    shapes = shapely.transform(places.geometry.to_numpy(), lambda xy: xy * unit)
    fix = np.column_stack([track.x_m, track.y_m])
    step = np.flatnonzero(joined)
    points = shapely.points(fix)
    lines = shapely.linestrings(np.stack([fix[step], fix[step + 1]], axis=1))
    reach = np.where(shapely.get_dimensions(shapes) == 0, radius_m, 0.0)
    group, t = track.group, track.seconds
    at_fix, fix_inside = shapely.STRtree(points).query(shapes, predicate="dwithin", distance=reach)
    parts = [(at_fix, group[fix_inside], t[fix_inside], t[fix_inside])]
    if len(step):
        at_step, crossing = shapely.STRtree(lines).query(shapes, predicate="dwithin", distance=reach)
        round_place = reach[at_step] > 0
        for chosen, cut in ((round_place, partial(_cut_by_discs, radius_m)), (~round_place, _cut_by_polygons)):
            owner, which, shares = cut(fix, step, shapes, at_step[chosen], crossing[chosen])
            kept = (shares[:, 1] > shares[:, 0]) & (pass_through | (shares[:, 0] <= 0) | (shares[:, 1] >= 1))
            owner, which, shares = owner[kept], which[kept], shares[kept]
            span = t[which + 1] - t[which]
            parts.append((owner, group[which], t[which] + shares[:, 0] * span, t[which] + shares[:, 1] * span))
    place, groups, entry, leave = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return place, groups, entry, leave


def _cut_by_discs(
    radius_m: float, fix: np.ndarray, step: np.ndarray, shapes: np.ndarray, place: np.ndarray, crossing: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place, first fix and shares (k, 2) of the part of each step in the disc of a place."""
    import shapely

    from linkways.movement._recursion_kernels import steps_in_discs

    which = step[crossing]
    centre = np.array([shapely.get_x(shapes[place]), shapely.get_y(shapes[place])])
    x, y = np.ascontiguousarray(fix.T)
    return place, which, np.asarray(steps_in_discs(x, y, which, centre[0], centre[1], radius_m))


def _cut_by_polygons(
    fix: np.ndarray, step: np.ndarray, shapes: np.ndarray, place: np.ndarray, crossing: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place, first fix and shares (k, 2) of the parts of each step in the polygon of a place."""
    import shapely

    which = step[crossing]
    begin, length = fix[which], np.hypot(*(fix[which + 1] - fix[which]).T)
    moved = length > 0
    lines = shapely.linestrings(np.stack([begin[moved], fix[which[moved] + 1]], axis=1))
    cut, of = shapely.get_parts(shapely.intersection(lines, shapes[place[moved]]), return_index=True)
    long = shapely.get_dimensions(cut) == 1
    cut, of = cut[long], np.flatnonzero(moved)[of[long]]
    ends = [shapely.get_coordinates(shapely.get_point(cut, end)) for end in (0, -1)]
    shares = np.column_stack([np.hypot(*(end - begin[of]).T) / length[of] for end in ends])
    shares = np.sort(shares, axis=1)
    # intersections are rounded, the ends of a step are not
    shares[shares < 1e-12], shares[shares > 1 - 1e-12] = 0.0, 1.0
    still = np.flatnonzero(~moved)
    return (
        np.concatenate([place[of], place[still]]),
        np.concatenate([which[of], which[still]]),
        np.concatenate([shares, np.tile([0.0, 1.0], (len(still), 1))]),
    )


def _visits(
    track: Fixes,
    names: np.ndarray,
    place: np.ndarray,
    group: np.ndarray,
    entry: np.ndarray,
    leave: np.ndarray,
    absence_h: float,
) -> "pd.DataFrame":
    import pandas as pd

    from linkways.movement._recursion_kernels import merge_visits

    visit, count = merge_visits(place, group, entry, leave, absence_h * HOUR)
    first = np.searchsorted(visit, np.arange(count))
    begin = entry[first]
    end = np.maximum.reduceat(leave, first) if count else leave
    inside = np.bincount(visit, weights=leave - entry, minlength=count)
    where, who = place[first], group[first]
    again = np.zeros(count, bool)
    again[1:] = (where[1:] == where[:-1]) & (who[1:] == who[:-1])
    number = np.arange(count)
    since = np.full(count, np.nan)
    since[1:] = np.where(again[1:], begin[1:] - end[:-1], np.nan)
    return pd.DataFrame(
        {
            "place": names[where],
            "animal": track.names[who],
            "visit": number - np.maximum.accumulate(np.where(again, 0, number)) + 1 if count else number,
            "entry": _times(begin),
            "exit": _times(end),
            "inside_h": inside / HOUR,
            "return_h": since / HOUR,
        }
    )


def _summary(places: "gpd.GeoDataFrame", names: np.ndarray, visits: "pd.DataFrame") -> "gpd.GeoDataFrame":
    by = visits.groupby("place")
    columns = {
        "visits": by.size(),
        "animals": by["animal"].nunique(),
        "residence_h": by["inside_h"].sum(),
        "mean_visit_h": by["inside_h"].mean(),
        "mean_return_h": by["return_h"].mean(),
        "first": by["entry"].min(),
        "last": by["exit"].max(),
    }
    out = places.drop(columns=["place"], errors="ignore").reset_index(drop=True)
    out.insert(0, "place", names)
    for name, values in columns.items():
        out[name] = values.reindex(names).array
    for name in ("visits", "animals"):
        out[name] = out[name].fillna(0).astype(int)
    out["residence_h"] = out["residence_h"].fillna(0.0)
    return out


def _times(seconds: np.ndarray) -> "pd.Series":
    """Moments in UTC from seconds since 1970, to the millisecond."""
    import pandas as pd

    return pd.Series(pd.to_datetime(np.round(seconds * 1000), unit="ms", utc=True))
