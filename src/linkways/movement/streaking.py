"""Streaking: fast, directed moves that mark the ways between protected areas."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Layer, Param, Raster, TableOf, Vector, method, progress
from linkways.movement._fixes import Fixes, fixes_of
from linkways.movement._steps import Steps, steps_of
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd
    import xarray as xr

__all__ = ["Streaking", "streaking"]

HOUR = 3600.0


@dataclass(frozen=True)
class Streaking:
    """Streaks, the steps they are made of, and the areas that they join."""

    streaks: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "lines: streak, animal, begin, end, hours, steps, corridor_steps, length_km, straightness, speed_km_h, "
            "outside_km, from_area, to_area, joins"
        ),
    ]
    steps: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "fixes with the step that begins there: step_m, speed_m_s, directed, corridor, variance, streak (0: none)"
        ),
    ]
    joined: Annotated[
        "pd.DataFrame | None",
        TableOf("area_a, area_b, animals, transits, with_streak, streaks, length_km, median_hours; none without areas"),
    ]
    animals: Annotated[
        "pd.DataFrame", TableOf("animal, steps, track_km, streaks, streak_km, share, joining, areas, transits")
    ]
    agreement: Annotated[
        "xr.DataArray | None",
        Layer("rules whose steps cross the cell: directed state, corridor behaviour, quick returns", unit="rules"),
    ]
    users: Annotated["xr.DataArray | None", Layer("animals whose streaks cross the cell", unit="animals")]
    streak_share: Annotated[float, Indicator("share of all way that is made in streaks")]
    joining_share: Annotated[float, Indicator("share of the way in streaks that is in those between two areas")]
    outside_share: Annotated[float, Indicator("share of the way in streaks that lies outside the areas")]
    speeds: Annotated["matplotlib.figure.Figure", Figure("speed of steps within and outside streaks by animal")]


@method(
    "movement.streaking",
    references=(
        "Douglas-Hamilton I, Krink T, Vollrath F (2005) Movements and corridors of African elephants in relation to "
        "protected areas. Naturwissenschaften 92: 158-163 (streaking between sectors)",
        "LaPoint S, Gallery P, Wikelski M, Kays R (2013) Animal behavior, cost-based corridor models, and real "
        "corridors. Landscape Ecology 28: 1615-1630",
        "Morales JM, Haydon DT, Frair J, Holsinger KE, Fryxell JM (2004) Extracting more out of relocation data. "
        "Ecology 85: 2436-2445",
    ),
)
def streaking(
    fixes: Annotated["gpd.GeoDataFrame", Vector("GPS fixes", geometry=("Point",), columns=("animal", "time"))],
    areas: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("protected areas that streaks may join; column area names them when present", geometry=("Polygon",)),
    ] = None,
    template: Annotated["xr.DataArray | None", Raster("grid of the maps", own_grid=True)] = None,
    *,
    rule: Annotated[
        Literal["state", "corridor", "either", "both"],
        Param("steps that make streaks: of the directed state, of corridor behaviour, of either or of both"),
    ] = "state",
    states: Annotated[int, Param("states of the model; the one with the longest steps is directed", ge=2, le=4)] = 3,
    speed_quantile: Annotated[
        float, Param("corridor behaviour is at least this fast among all steps", ge=0, le=1, source="LaPoint 2013")
    ] = 0.75,
    variance_quantile: Annotated[
        float, Param("and at most this varied in direction among neighbours", ge=0, le=1, source="LaPoint 2013")
    ] = 0.25,
    pause_steps: Annotated[int, Param("other steps within a streak that do not end it", ge=0)] = 1,
    min_steps: Annotated[int, Param("shortest streak", unit="steps", ge=1)] = 2,
    min_length_km: Annotated[float, Param("shortest streak", unit="km", ge=0)] = 0.0,
    longest_h: Annotated[
        float | None,
        Param("a track is cut where fixes lie further apart; left out: half as far again as usual", unit="hours", gt=0),
    ] = None,
    cell_m: Annotated[
        float | None, Param("cell of the maps where no template is given; left out: no maps", unit="m", gt=0)
    ] = None,
    starts: Annotated[int, Param("random starts of the model's fit", ge=1)] = 10,
    seed: Annotated[int, Param("of the random starts", ge=0)] = 0,
) -> Streaking:
    """Streaks, the fast and directed parts of tracks, with the areas they join and a map where several rules agree.

    Steps are told in two ways. The directed state is that of the longest mean step in a hidden Markov model of steps
    and turns (see movement.states). Corridor behaviour is a fast step that runs alongside others: with the doubled
    bearing, which takes both ways for one, the circular variance among steps with midpoints within half its length is
    low, and more than half of more than two such steps, itself included, are fast and alike. A streak is a run of such
    steps (``rule``) of one animal, without a gap in time, through at most ``pause_steps`` others at a time.

    A streak comes from the last area with a fix at its first fix or before, and goes to the first with a fix at its
    last or after; it joins two areas when they differ. A transit is the way from the last fix in one area to the first
    in another, with_streak how many of these hold a streak. Areas crossed between two fixes are not seen.

    On the maps a cell counts the rules by which any step that crosses it is marked: directed state, corridor behaviour,
    and quick returns, steps from a fix that was visited again (movement.recursions within a cell) for stays no
    longer than usual there.

    Raises LinkwaysError for fixes that cannot be used, areas named twice, and tracks too short for the model.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, pandas as pd
    >>> from shapely.geometry import box
    >>> from linkways import movement
    >>> rng = np.random.default_rng(1)
    >>> dx = np.concatenate([rng.normal(0, 60, 80), np.full(12, 1500.0) + rng.normal(0, 90, 12), rng.normal(0, 60, 80)])
    >>> x, y = 500_000 + dx.cumsum(), 4_700_000 + rng.normal(0, 60, len(dx)).cumsum()
    >>> time = pd.date_range("2024-01-01", periods=len(x), freq="h", tz="UTC")
    >>> fixes = gpd.GeoDataFrame({"animal": "a", "time": time}, geometry=gpd.points_from_xy(x, y), crs="EPSG:32612")
    >>> parks = [box(495_000, 4_690_000, 503_000, 4_710_000), box(515_000, 4_690_000, 525_000, 4_710_000)]
    >>> areas = gpd.GeoDataFrame({"area": ["Kruger", "Limpopo"]}, geometry=parks, crs="EPSG:32612")
    >>> found = movement.streaking(fixes, areas, states=2, starts=3)
    >>> found.joined[["area_a", "area_b", "animals", "transits", "streaks"]]
       area_a   area_b  animals  transits  streaks
    0  Kruger  Limpopo        1         1        1
    """
    from linkways.movement._streaking_maps import maps_of, speeds_of

    track = fixes_of(fixes, at_least=3)
    names, inside = _areas(track, areas)
    progress(0.0, "telling states")
    steps, directed = _directed(track, states, longest_h, starts, seed)
    progress(0.6, "telling corridor behaviour")
    corridor, variance = _corridor(track, steps, speed_quantile, variance_quantile)
    marked = {"state": directed, "corridor": corridor, "either": directed | corridor, "both": directed & corridor}[rule]
    streak = _runs(steps, marked, pause_steps, min_steps, min_length_km * 1000)
    progress(0.8, "drawing streaks")
    lines = _lines(track, steps, streak, corridor, areas, names, inside)
    told = track.layer.assign(
        step_m=steps.length_m,
        speed_m_s=steps.speed_m_s,
        directed=directed,
        corridor=corridor,
        variance=variance,
        streak=streak,
    )
    transits = _transits(track, inside)
    agreement, users = maps_of(track, lines, {"directed": directed, "corridor": corridor}, template, cell_m)
    way = lines["length_km"].sum()
    known = areas is not None and way > 0
    return Streaking(
        streaks=lines,
        steps=told,
        joined=None if areas is None else _joined(lines, transits, names),
        animals=_by_animal(track, steps, lines, transits, inside),
        agreement=agreement,
        users=users,
        streak_share=float(way * 1000 / max(np.nansum(steps.length_m), 1e-300)),
        joining_share=float(lines.loc[lines["joins"], "length_km"].sum() / way) if known else float("nan"),
        outside_share=float(lines["outside_km"].sum() / way) if known else float("nan"),
        speeds=speeds_of(track, steps, streak),
    )


def _areas(track: Fixes, areas: "gpd.GeoDataFrame | None") -> tuple[np.ndarray, np.ndarray]:
    """Names of the areas, and the number of the one that each fix lies in, -1 for none."""
    inside = np.full(len(track.x_m), -1)
    if areas is None:
        return np.zeros(0, object), inside
    import shapely

    if len(areas) == 0:
        raise LinkwaysError("movement.streaking: areas holds no polygon; give one, or leave areas out")
    if "area" in areas.columns:
        names = areas["area"].astype(str)
        twice = np.flatnonzero(names.duplicated())
        if len(twice):
            raise LinkwaysError(
                f"movement.streaking: areas names {names.iloc[twice[0]]} twice, again in row {twice[0] + 1}; join its "
                "parts into one feature (GeoDataFrame.dissolve)"
            )
        labels = names.to_numpy(dtype=object)
    else:
        labels = np.arange(1, len(areas) + 1).astype(str).astype(object)
    points = track.layer.geometry.to_numpy()
    polygons = areas.to_crs(track.layer.crs).geometry.to_numpy()
    polygon, fix = shapely.STRtree(points).query(polygons, predicate="intersects")
    # where areas overlap the first holds the fix
    inside[fix[::-1]] = polygon[::-1]
    return labels, inside


def _directed(track: Fixes, states: int, longest_h: float | None, starts: int, seed: int) -> tuple[Steps, np.ndarray]:
    """Steps, and whether each is in the state of the longest mean step."""
    from linkways.movement._states_model import fit
    from linkways.movement.states import chains_of, longest_step_s, refuse_too_few

    steps = steps_of(track, longest_s=longest_step_s(track, longest_h))
    chains = chains_of(steps, np.zeros((len(track.x_m), 0)))
    refuse_too_few(chains, states, "movement.streaking")
    model, _ = fit(chains, states, turn_mean=False, starts=starts, rng=np.random.default_rng(seed))
    if int(np.argmax(model.turn[0])) != states - 1:
        note(
            f"movement.streaking: the state of the longest steps ({model.mean[-1]:.0f} m) is not the most directed "
            f"(concentrations {', '.join(f'{k:.2f}' for k in model.turn[0])}); look at movement.states"
        )
    return steps, (model.path(chains) == states - 1) & steps.known


def _corridor(
    track: Fixes, steps: Steps, speed_quantile: float, variance_quantile: float
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each step shows corridor behaviour among those of its animal, and the variance of directions about it."""
    from linkways.movement._streaking_corridors import corridor_steps

    marked, variance = np.zeros(len(track.x_m), bool), np.full(len(track.x_m), np.nan)
    for group in range(len(track)):
        here = np.flatnonzero(steps.known[track.rows(group)]) + track.start[group]
        found = corridor_steps(
            (track.x_m[here] + track.x_m[here + 1]) / 2,
            (track.y_m[here] + track.y_m[here + 1]) / 2,
            *(steps.length_m[here], steps.speed_m_s[here], steps.bearing_rad[here]),
            speed_quantile=speed_quantile,
            variance_quantile=variance_quantile,
        )
        marked[here], variance[here] = found
    return marked, variance


def _runs(steps: Steps, marked: np.ndarray, pause: int, min_steps: int, min_m: float) -> np.ndarray:
    """The number of the streak that each step belongs to, from 1; 0 for none."""
    streak = np.zeros(len(marked), np.int64)
    where = np.flatnonzero(marked)
    if not len(where):
        return streak
    # a gap in time, or another animal, lies between when some step on the way is unknown
    gaps = np.concatenate([[0], np.cumsum(~steps.known)])
    far = (np.diff(where) > pause + 1) | (gaps[where[1:]] > gaps[where[:-1]])
    number = 0
    for run in np.split(where, np.flatnonzero(far) + 1):
        first, last = run[0], run[-1]
        if last - first + 1 >= min_steps and steps.length_m[first : last + 1].sum() >= min_m:
            number += 1
            streak[first : last + 1] = number
    return streak


def _lines(
    track: Fixes,
    steps: Steps,
    streak: np.ndarray,
    corridor: np.ndarray,
    areas: "gpd.GeoDataFrame | None",
    names: np.ndarray,
    inside: np.ndarray,
) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import shapely

    count = int(streak.max())
    rows = np.flatnonzero(streak)
    first = rows[np.searchsorted(streak[rows], np.arange(1, count + 1))]
    last = rows[np.searchsorted(streak[rows], np.arange(1, count + 1), side="right") - 1] + 1
    group = track.group
    xy = track.layer.geometry.get_coordinates().to_numpy()
    shapes = [shapely.linestrings(xy[a : b + 1]) for a, b in zip(first, last, strict=True)]
    length = np.bincount(streak[rows], steps.length_m[rows], minlength=count + 1)[1:]
    straight = np.hypot(track.x_m[last] - track.x_m[first], track.y_m[last] - track.y_m[first])
    hours = (track.seconds[last] - track.seconds[first]) / HOUR
    before, after = _nearest_areas(track, inside)
    came, went = before[first], after[last]
    label = np.concatenate([names, np.array([None], object)])
    joins = (came >= 0) & (went >= 0) & (came != went)
    time = track.layer["time"].dt.tz_convert("UTC")
    return gpd.GeoDataFrame(
        {
            "streak": np.arange(1, count + 1),
            "animal": track.names[group[first]],
            "begin": time.iloc[first].array,
            "end": time.iloc[last].array,
            "hours": hours,
            "steps": last - first,
            "corridor_steps": np.bincount(streak[rows], corridor[rows], minlength=count + 1)[1:].astype(int),
            "length_km": length / 1000,
            "straightness": straight / np.maximum(length, 1e-300),
            "speed_km_h": length / 1000 / hours,
            "outside_km": _outside_km(shapes, areas, track),
            "from_area": label[came],
            "to_area": label[went],
            "joins": joins,
        },
        geometry=shapes,
        crs=track.layer.crs,
    )


def _outside_km(shapes: "list[object]", areas: "gpd.GeoDataFrame | None", track: Fixes) -> np.ndarray:
    """Length of lines outside all areas, km."""
    import shapely

    unit = float(track.layer.crs.axis_info[0].unit_conversion_factor)
    lengths = np.asarray(shapely.length(shapes), float)
    if areas is not None and len(shapes):
        held = shapely.union_all(areas.to_crs(track.layer.crs).geometry.to_numpy())
        lengths = np.asarray(shapely.length(shapely.difference(shapes, held)), float)
    return lengths * unit / 1000


def _nearest_areas(track: Fixes, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every fix the area of the last fix in one up to it, and of the first from it on, of the same animal; -1."""
    rows = np.arange(len(inside))
    begin = np.repeat(track.start[:-1], np.diff(track.start))
    end = np.repeat(track.start[1:], np.diff(track.start))
    held = inside >= 0
    last = np.maximum.accumulate(np.where(held, rows, -1))
    first = np.minimum.accumulate(np.where(held, rows, len(rows))[::-1])[::-1]
    before = np.where(last >= begin, inside[np.maximum(last, 0)], -1)
    after = np.where(first < end, inside[np.minimum(first, len(rows) - 1)], -1)
    return before, after


def _transits(track: Fixes, inside: np.ndarray) -> "pd.DataFrame":
    """Ways from the last fix in one area to the first in another: group, first and last fix, the two areas."""
    import pandas as pd

    held = np.flatnonzero(inside >= 0)
    group = track.group[held]
    moved = (group[1:] == group[:-1]) & (inside[held[1:]] != inside[held[:-1]])
    first, last = held[:-1][moved], held[1:][moved]
    pair = np.sort(np.column_stack([inside[first], inside[last]]), axis=1)
    return pd.DataFrame(
        {
            "animal": track.names[track.group[first]],
            "begin": track.seconds[first],
            "end": track.seconds[last],
            "a": pair[:, 0],
            "b": pair[:, 1],
        }
    )


def _joined(lines: "gpd.GeoDataFrame", transits: "pd.DataFrame", names: np.ndarray) -> "pd.DataFrame":
    """One row for every two areas between which an animal moved."""
    import pandas as pd

    begin, end, animal = _seconds(lines["begin"]), _seconds(lines["end"]), lines["animal"].to_numpy(dtype=object)
    ends = np.sort(lines[["from_area", "to_area"]].astype(str).to_numpy(dtype=str), axis=1)
    rows = []
    for a, b in np.unique(transits[["a", "b"]].to_numpy(dtype=int), axis=0):
        ways = transits[(transits["a"] == a) & (transits["b"] == b)]
        between = lines["joins"].to_numpy(dtype=bool) & (ends == sorted([str(names[a]), str(names[b])])).all(axis=1)
        held = [
            bool(((animal == who) & (begin < until) & (end > since)).any())
            for who, since, until in zip(ways["animal"], ways["begin"], ways["end"], strict=True)
        ]
        rows.append(
            {
                "area_a": names[a],
                "area_b": names[b],
                "animals": ways["animal"].nunique(),
                "transits": len(ways),
                "with_streak": sum(held),
                "streaks": int(between.sum()),
                "length_km": lines["length_km"].to_numpy()[between].sum(),
                "median_hours": float((ways["end"] - ways["begin"]).median() / HOUR),
            }
        )
    columns = ["area_a", "area_b", "animals", "transits", "with_streak", "streaks", "length_km", "median_hours"]
    return pd.DataFrame(rows, columns=columns)


def _seconds(moments: "pd.Series") -> np.ndarray:
    """Seconds since 1970 of moments in UTC."""
    return np.asarray(moments.dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64) / 1e9)


def _by_animal(
    track: Fixes, steps: Steps, lines: "gpd.GeoDataFrame", transits: "pd.DataFrame", inside: np.ndarray
) -> "pd.DataFrame":
    import pandas as pd

    group = track.group
    way = np.bincount(group, np.nan_to_num(steps.length_m), minlength=len(track)) / 1000
    by = lines.groupby("animal")

    def per_animal(values: "pd.Series") -> np.ndarray:
        return np.asarray(values.reindex(track.names).fillna(0).to_numpy())

    pairs = np.unique(np.column_stack([group, inside])[inside >= 0], axis=0)
    streak_km = per_animal(by["length_km"].sum())
    return pd.DataFrame(
        {
            "animal": track.names,
            "steps": np.bincount(group, steps.known, minlength=len(track)).astype(int),
            "track_km": way,
            "streaks": per_animal(by.size()).astype(int),
            "streak_km": streak_km,
            "share": streak_km / np.maximum(way, 1e-300),
            "joining": per_animal(by["joins"].sum()).astype(int),
            "areas": np.bincount(pairs[:, 0], minlength=len(track)),
            "transits": per_animal(transits.groupby("animal").size()).astype(int),
        }
    )
