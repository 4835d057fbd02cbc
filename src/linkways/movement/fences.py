"""Fences: how animals behave where they meet one, and which fence to mend or remove first."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Layer, Param, TableOf, Vector, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd

    from linkways.movement._fence_events import Encounters
    from linkways.movement._fence_ranking import Ranking
    from linkways.movement._fixes import Fixes

__all__ = ["Fences", "fences"]

_XU = "Xu et al. 2021"


@dataclass(frozen=True)
class Fences:
    """Encounters with fences by behaviour, and fences by what they do."""

    events: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "first fix of each encounter: event, animal, behaviour (bounce, quick_cross, average, back_and_forth, "
            "trace, trapped, unknown), start, end, duration_h, crossings, straightness, usual_straightness, usual_sd, "
            "fence"
        ),
    ]
    paths: Annotated[
        "gpd.GeoDataFrame",
        Layer("track of each encounter (of a short one with the fixes before and after): event, animal, behaviour"),
    ]
    fences: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "fences: fence, length_km, encounters, one column for each behaviour, individuals, index (0 to 1), "
            "crossed_share, crossings, crossings_per_km, gain, gain_per_km, rank; intervals as _low and _high"
        ),
    ]
    ranking: Annotated[
        "pd.DataFrame",
        TableOf(
            "fences to mend or remove, the most altered encounters ended per km first: gain, gain_per_km, gain_alone, "
            "cumulative_gain, cumulative_km"
        ),
    ]
    by_behaviour: Annotated["pd.DataFrame", TableOf("encounters, animals, hours and crossings of each behaviour")]
    chart: Annotated["matplotlib.figure.Figure", Figure("encounters by behaviour")]
    encounters: Annotated[int, Indicator("encounters with fences")]
    altered_share: Annotated[
        float, Indicator("share of encounters in which the animal bounced, went back and forth, traced or was trapped")
    ]
    crossings: Annotated[int, Indicator("times that tracks cross fences")]


@method(
    "movement.fences",
    references=(
        "Xu W, Dejid N, Herrmann V, Sawyer H, Middleton AD (2021) J. Appl. Ecol. 58:690-698 (barrier behaviour)",
    ),
)
def fences(
    fixes: Annotated[
        "gpd.GeoDataFrame", Vector("GPS fixes at a regular interval", geometry=("Point",), columns=("animal", "time"))
    ],
    fences: Annotated[
        "gpd.GeoDataFrame", Vector("fence lines; columns id, type and owner are carried on", geometry=("LineString",))
    ],
    *,
    distance_m: Annotated[
        float, Param("a fix within this of a fence is an encounter with it", unit="m", gt=0, source=f"pronghorn; {_XU}")
    ] = 110.0,
    interval_h: Annotated[
        float | None, Param("time between fixes; the commonest one when left out", unit="h", gt=0)
    ] = None,
    b_time_h: Annotated[
        float, Param("longest short encounter (bounce, quick cross)", unit="h", gt=0, source=_XU)
    ] = 4.0,
    p_time_h: Annotated[float, Param("an animal is trapped in a longer encounter", unit="h", gt=0, source=_XU)] = 36.0,
    window_h: Annotated[
        float, Param("time around an encounter that tells an animal's usual straightness", unit="h", gt=0, source=_XU)
    ] = 168.0,
    tolerance_h: Annotated[
        float, Param("longest stay outside that does not end an encounter", unit="h", ge=0, source=_XU)
    ] = 0.0,
    max_cross: Annotated[int, Param("most crossings of a trace or a back and forth", ge=0, source=_XU)] = 0,
    sd_multiplier: Annotated[
        float, Param("standard deviations from the mean within which straightness is usual", gt=0, source=_XU)
    ] = 1.0,
    exclude_buffer: Annotated[bool, Param("leave encounters out of the usual straightness", source=_XU)] = False,
    min_encounters: Annotated[int, Param("a fence with fewer encounters gets no index and no rank", ge=1)] = 1,
    replicates: Annotated[int, Param("bootstrap resamples of animals", ge=10)] = 500,
    seed: Annotated[int, Param("of the bootstrap", ge=0)] = 0,
) -> Fences:
    """Behaviour of animals at fences, crossing rates, and a ranking of fences to mend or remove.

    An encounter is a run of fixes within ``distance_m`` of a fence (buffers whose round ends have five straight parts a
    quarter), one interval apart; a stay outside of no more than ``tolerance_h`` longer does not end it. Up to
    ``b_time_h`` it is a bounce or, where the track from the fix before to the fix after crosses a fence, a quick cross
    (unknown, where one of the two is missing and nothing is crossed). Over ``p_time_h`` the animal is trapped. In
    between, straightness (net distance over path) is compared with that of all windows as long within ``window_h``/2
    before and after: within ``sd_multiplier`` standard deviations of their mean it is average movement, below back and
    forth, above a trace; the last two with no more than ``max_cross`` crossings, else unknown, as where less than a
    quarter of the windows is there or the animal did not move.

    By fence (lines of one ``id`` are one fence), from the encounters whose first fix is within ``distance_m``: index =
    (bounce + back_and_forth + trace + trapped) / encounters x individuals, scaled from the lowest to the highest, so
    that 1 is the least permeable; ``crossed_share`` of them that cross it; ``crossings`` of all steps no longer than
    one interval. ``gain`` is the share of all altered encounters that a fence stands for, one beside n fences counting
    1/n for each; ``gain_alone`` is the share beside no other fence, which removing this one alone would end for
    certain. Fences are ranked by gain per km; ``cumulative_gain`` is the share of altered encounters with no fence left
    beside them once all fences up to that rank are gone. Intervals are 2.5 and 97.5 % of a bootstrap over animals.

    Raises LinkwaysError for degrees, animals with different intervals when none is given, an interval longer than
    ``b_time_h``, and where no fix is near a fence.

    Examples
    --------
    >>> import geopandas as gpd, pandas as pd, shapely
    >>> from linkways import movement
    >>> track = gpd.GeoDataFrame(
    ...     {"animal": "a", "time": pd.date_range("2024-05-01", periods=6, freq="2h", tz="UTC")},
    ...     geometry=gpd.points_from_xy([0, 400, 900, 500, 900, 1500], [0, 0, 0, 0, 0, 0]), crs="EPSG:32612",
    ... )
    >>> fence = gpd.GeoDataFrame(geometry=[shapely.LineString([(1000, -500), (1000, 500)])], crs="EPSG:32612")
    >>> found = movement.fences(track, fence, distance_m=150)
    >>> found.events[["animal", "behaviour", "duration_h", "crossings"]]
      animal    behaviour  duration_h  crossings
    0      a       bounce         0.0          0
    1      a  quick_cross         0.0          1
    """
    from linkways.movement._fence_events import Barriers, Rules, encounters_of, sampling_interval_h
    from linkways.movement._fence_ranking import ranking_of
    from linkways.movement._fixes import fixes_of
    from linkways.spatial import note

    grouped = fixes_of(fixes, what="fixes")
    lines = _fence_lines(fences)
    if lines.crs != fixes.crs:
        note(f"movement.fences: fences reprojected from {lines.crs.name} to {fixes.crs.name}")
        lines = lines.to_crs(fixes.crs)
    unit_m = float(fixes.crs.axis_info[0].unit_conversion_factor)
    interval = sampling_interval_h(grouped, interval_h)
    if interval > b_time_h:
        raise LinkwaysError(
            f"movement.fences: fixes are {interval:g} h apart, longer than b_time_h ({b_time_h:g} h), so no short "
            "encounter can be told; give a b_time_h of at least that, or finer fixes"
        )
    rules = Rules(
        distance_m,
        unit_m,
        interval,
        b_time_h,
        p_time_h,
        window_h,
        tolerance_h,
        max_cross,
        sd_multiplier,
        exclude_buffer,
    )
    barriers = Barriers.of(lines)
    points = np.asarray(grouped.layer.geometry.array)
    found = encounters_of(grouped, points, barriers, rules)
    progress(0.5, "ranking fences")
    names, codes = _numbered(lines)
    length_km = np.bincount(codes, weights=lines.geometry.length) * unit_m / 1000
    start, near = barriers.tree.query(points[found.first], predicate="dwithin", distance=rules.distance)
    ranking = ranking_of(
        found,
        np.column_stack([start, near]),
        codes,
        length_km,
        len(grouped),
        min_encounters=min_encounters,
        replicates=replicates,
        rng=np.random.default_rng(seed),
    )
    crossings = _all_crossings(grouped, points, barriers, rules.interval_h + rules.slack_h, codes)
    layer = _fence_layer(lines, names, codes, length_km, ranking, crossings)
    events, paths = _event_layers(grouped, points, found, names[codes[barriers.tree.nearest(points[found.first])]])
    table = _by_behaviour(found)
    altered = int(table.loc[table["altered"], "encounters"].sum())
    return Fences(
        events=events,
        paths=paths,
        fences=layer,
        ranking=_ranking_table(layer, ranking),
        by_behaviour=table,
        chart=_chart(table),
        encounters=len(found),
        altered_share=altered / len(found),
        crossings=int(crossings.sum()),
    )


def _fence_lines(fences: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    lines = fences[~(fences.geometry.isna() | fences.geometry.is_empty)]
    if not len(lines):
        raise LinkwaysError("movement.fences: the layer fences holds no line; give the fences of the area")
    if "id" in lines.columns and lines["id"].isna().any():
        row = int(np.flatnonzero(lines["id"].isna())[0]) + 1
        raise LinkwaysError(
            f"movement.fences: fences has rows without id, first row {row}; fill the column id or leave it out"
        )
    return lines


def _numbered(lines: "gpd.GeoDataFrame") -> tuple[np.ndarray, np.ndarray]:
    """Names of the fences, and the number of the fence of each line; rows from 1 where there is no column id."""
    import pandas as pd

    label = lines["id"].to_numpy() if "id" in lines.columns else np.arange(1, len(lines) + 1)
    codes, names = pd.factorize(label)
    return np.asarray(names), codes


def _all_crossings(
    fixes: "Fixes", points: np.ndarray, barriers: Any, longest_h: float, codes: np.ndarray
) -> np.ndarray:
    """How often steps between fixes cross each fence."""
    import shapely

    step = np.flatnonzero((np.diff(fixes.group) == 0) & (np.diff(fixes.seconds) / 3600 <= longest_h))
    xy = shapely.get_coordinates(points)
    paths = shapely.linestrings(np.stack([xy[step], xy[step + 1]], axis=1))
    path, line = barriers.tree.query(paths, predicate="intersects")
    count = shapely.get_num_coordinates(shapely.intersection(paths[path], barriers.lines[line]))
    return np.bincount(codes[line], weights=count, minlength=int(codes.max()) + 1).astype(np.int64)


def _event_layers(
    fixes: "Fixes", points: np.ndarray, found: "Encounters", fence: np.ndarray
) -> "tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]":
    import geopandas as gpd
    import pandas as pd

    from linkways.movement._fence_events import rows_of

    table = pd.DataFrame({**rows_of(fixes, found), "fence": fence})
    crs = fixes.layer.crs
    events = gpd.GeoDataFrame(table, geometry=points[found.first], crs=crs)
    paths = gpd.GeoDataFrame(table[["event", "animal", "behaviour"]].copy(), geometry=found.paths, crs=crs)
    return events, paths


def _fence_layer(
    lines: "gpd.GeoDataFrame",
    names: np.ndarray,
    codes: np.ndarray,
    length_km: np.ndarray,
    ranking: "Ranking",
    crossings: np.ndarray,
) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import pandas as pd

    from linkways.movement._fence_events import BEHAVIOURS

    first = np.unique(codes, return_index=True)[1]
    told = [name for name in ("type", "owner") if name in lines.columns]
    with np.errstate(invalid="ignore", divide="ignore"):
        per_km = {"crossings_per_km": crossings / length_km, "gain_per_km": ranking.gain / length_km}
    table = pd.DataFrame(
        {
            "fence": names,
            **{name: lines[name].to_numpy()[first] for name in told},
            "length_km": length_km,
            "encounters": ranking.encounters,
            **dict(zip(BEHAVIOURS, ranking.by_behaviour.T, strict=True)),
            "individuals": ranking.individuals,
            **_with_interval("index", ranking.index, ranking.index_interval),
            **_with_interval("crossed_share", ranking.crossed_share, ranking.crossed_interval),
            "crossings": crossings,
            "crossings_per_km": per_km["crossings_per_km"],
            **_with_interval("gain", ranking.gain, ranking.gain_interval),
            "gain_per_km": per_km["gain_per_km"],
            "rank": pd.array(np.where(ranking.rank > 0, ranking.rank, -1), dtype="Int64"),
        }
    )
    table.loc[ranking.rank == 0, "rank"] = pd.NA
    return gpd.GeoDataFrame(table, geometry=_whole(lines, codes), crs=lines.crs)


def _with_interval(name: str, values: np.ndarray, interval: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values, f"{name}_low": interval[0], f"{name}_high": interval[1]}


def _whole(lines: "gpd.GeoDataFrame", codes: np.ndarray) -> np.ndarray:
    """One geometry for each fence."""
    import shapely

    shapes = np.asarray(lines.geometry.array)
    if codes.max() + 1 == len(shapes):
        return shapes
    parts, line = shapely.get_parts(shapes, return_index=True)
    order = np.argsort(codes[line], kind="stable")
    return np.asarray(shapely.multilinestrings(parts[order], indices=codes[line][order]))


def _ranking_table(layer: "gpd.GeoDataFrame", ranking: "Ranking") -> "pd.DataFrame":
    import pandas as pd

    told = [name for name in ("type", "owner") if name in layer.columns]
    columns = ["rank", "fence", *told, "length_km", "encounters", "individuals", "index", "crossed_share"]
    gains = ["gain", "gain_low", "gain_high", "gain_per_km"]
    table = pd.DataFrame(layer[[*columns, *gains]]).assign(
        gain_alone=ranking.gain_alone, cumulative_gain=ranking.cumulative
    )
    table = table[ranking.rank > 0].sort_values("rank", ignore_index=True)
    return table.assign(cumulative_km=table["length_km"].cumsum())


def _by_behaviour(found: "Encounters") -> "pd.DataFrame":
    import pandas as pd

    from linkways.movement._fence_events import ALTERED, BEHAVIOURS

    many = len(BEHAVIOURS)
    animals = np.unique(np.column_stack([found.behaviour, found.animal]), axis=0)[:, 0]
    count = np.bincount(found.behaviour, minlength=many)
    return pd.DataFrame(
        {
            "behaviour": BEHAVIOURS,
            "altered": [name in ALTERED for name in BEHAVIOURS],
            "encounters": count,
            "share": count / len(found),
            "animals": np.bincount(animals, minlength=many),
            "hours": np.bincount(found.behaviour, weights=found.duration_h, minlength=many),
            "crossings": np.bincount(found.behaviour, weights=found.crossings, minlength=many).astype(np.int64),
        }
    )


def _chart(table: "pd.DataFrame") -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure as Sheet

    sheet = Sheet(figsize=(6, 3.2), layout="constrained")
    axes = sheet.subplots()
    words = [name.replace("_", " ") for name in table["behaviour"]]
    colours = ["#b2182b" if altered else "#8c96a0" for altered in table["altered"]]
    bars = axes.barh(words, table["encounters"], color=colours)
    axes.bar_label(bars, padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("encounters (red: the fence alters the movement)")
    axes.spines[["top", "right"]].set_visible(False)
    return sheet
