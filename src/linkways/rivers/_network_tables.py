"""From flowing channels and barriers to the layers and numbers of `rivers.network`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.rivers._forest import numbers_or_missing
from linkways.rivers._network_build import Sources, coordinates_of, given_lengths
from linkways.rivers._snapping import Doubles, Snapped, doubles, snap
from linkways.rivers._topology import Repairs
from linkways.rivers._topology_flow import Channels
from linkways.rivers._topology_geometry import Bools, Floats, Ints, Lines, cut_lines, vertices_of
from linkways.rivers._topology_order import labels_of
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["tables"]


@dataclass(frozen=True)
class Placed:
    """The barriers by row: where they stand, what they repeat, what passes them."""

    frame: gpd.GeoDataFrame
    ids: np.ndarray
    snapped: Snapped
    doubles: Doubles
    on_river: Bools
    why: list[str]
    passes: dict[str, Floats]


@dataclass(frozen=True)
class Reaches:
    """Channels cut at barriers, and the reach of each barrier (-1: none)."""

    lines: Lines
    edge: Ints
    down: Ints
    side_of: Ints
    on_loop: Bools
    length_m: Floats
    of_barrier: Ints


def tables(
    sources: Sources,
    channels: Channels,
    repairs: Repairs,
    *,
    kind_column: str,
    snap_m: Mapping[str, float],
    duplicate_m: float,
    likely_duplicate_m: float,
    passability_column: str,
    pass_columns: tuple[str, str],
    missing_passability: float,
) -> dict[str, Any]:
    """All parts of a `RiverNetwork`, by name."""
    placed = None
    if sources.barriers is not None and len(sources.barriers):
        passes = _passabilities(sources.barriers, passability_column, pass_columns, missing_passability)
        placed = _placed(sources, channels, kind_column, snap_m, duplicate_m, likely_duplicate_m, passes)
    reaches = _cut(channels, placed, sources)
    parted = np.zeros(len(reaches.down), bool)
    if placed is not None:
        blocks = placed.on_river & (np.prod(list(placed.passes.values()), axis=0) < 1)
        parted[reaches.of_barrier[blocks]] = True
    whole = given_lengths(sources)
    layer = _reach_layer(sources, channels, reaches, parted, whole)
    cut = _layer(
        {"line": channels.cut.line, "why": channels.why, "length_m": channels.cut.length_m}, channels.cut.lines, sources
    )
    return {
        "reaches": layer,
        "barriers": _barrier_layer(sources, placed, reaches),
        "cut": cut,
        "changed": _changed(sources, repairs),
        "unplaced": _unplaced(sources, placed),
        "repairs": _repair_table(repairs),
        "length_before_m": float(whole.sum()),
        "length_m": float(reaches.length_m.sum()),
        "length_cut_m": float(channels.cut.length_m.sum()),
        "reaches_count": len(layer),
        "basins_count": int((reaches.down < 0).sum()),
        "fragments_count": int(layer["fragment"].nunique()),
        "side_channels_count": int((reaches.side_of >= 0).sum()),
        **_counts(placed, channels),
    }


# --- barriers --------------------------------------------------------------------------------------------------


def _placed(
    sources: Sources,
    channels: Channels,
    kind_column: str,
    snap_m: Mapping[str, float],
    duplicate_m: float,
    likely_duplicate_m: float,
    passes: dict[str, Floats],
) -> Placed:
    frame = sources.barriers
    assert frame is not None
    x, y = coordinates_of(frame, "barriers")
    kind, reach_m = _tolerances(frame, kind_column, snap_m)
    same = doubles(x, y, kind, sources.metric, duplicate_m, likely_duplicate_m)
    snapped = snap(x, y, reach_m, channels, sources.metric)
    double = same.of >= 0
    on_river = (snapped.edge >= 0) & ~double
    ids = _barrier_ids(frame)
    why = list(snapped.why)
    for i in np.flatnonzero(double):
        why[i] = f"duplicate of barrier {ids[same.of[i]]}, {same.distance_m[i]:.1f} m away"
    return Placed(frame, ids, snapped, same, on_river, why, passes)


def _tolerances(frame: gpd.GeoDataFrame, kind_column: str, snap_m: Mapping[str, float]) -> tuple[np.ndarray, Floats]:
    """Kind of each barrier in small letters, and how far it may be moved."""
    if kind_column not in frame.columns:
        if kind_column != "kind":
            raise LinkwaysError(
                f"barriers: there is no column '{kind_column}'{nearest(kind_column, map(str, frame.columns))}"
            )
        return np.full(len(frame), "", object), np.full(len(frame), float(snap_m["other"]))
    kind = frame[kind_column].astype("string").fillna("").str.strip().str.lower().str.replace("_", " ")
    known = {name.replace("_", " "): metres for name, metres in snap_m.items()}
    reach = kind.map(known).astype(float)
    strange = sorted(set(kind[reach.isna().to_numpy()]) - {""})
    if strange:
        note(
            f"rivers.network: barriers of kind {', '.join(strange[:5])}{', ...' if len(strange) > 5 else ''} have no "
            f"snapping distance of their own in snap_m: {known['other']:g} m"
        )
    return kind.to_numpy(dtype=object), reach.fillna(known["other"]).to_numpy(dtype=float)


def _barrier_ids(frame: gpd.GeoDataFrame) -> np.ndarray:
    if "barrier" in frame.columns:
        ids = frame["barrier"]
        if ids.isna().any() or ids.duplicated().any():
            row = int((ids.isna() | ids.duplicated()).to_numpy().argmax())
            raise LinkwaysError(f"barriers: row {row} has no barrier id of its own; number them, or drop the column")
        return np.asarray(ids.to_numpy())
    return np.arange(len(frame))


def _passabilities(frame: gpd.GeoDataFrame, single: str, both: tuple[str, str], missing: float) -> dict[str, Floats]:
    """The columns of passability that the barriers tell: both directions, or the one that is their product."""
    for name, usual in ((single, "passability"), (both[0], "pass_up"), (both[1], "pass_down")):
        if name != usual and name not in frame.columns:
            raise LinkwaysError(f"barriers: there is no column '{name}'{nearest(name, map(str, frame.columns))}")
    one_way = [name in frame.columns for name in both]
    if any(one_way) and not all(one_way) and single not in frame.columns:
        lost = both[one_way.index(False)]
        raise LinkwaysError(f"barriers: there is no column '{lost}'; give both directions, or one passability")
    names = dict(zip(("pass_up", "pass_down"), both, strict=True)) if all(one_way) else {"passability": single}
    out = {}
    for name, column in names.items():
        values = np.full(len(frame), np.nan)
        if column in frame.columns:
            values = numbers_or_missing(frame, column, "barriers", np.arange(len(frame)), "row", least=0.0, most=1.0)
        gone = int(np.isnan(values).sum())
        if gone:
            note(f"rivers.network: {gone} of {len(frame)} barriers tell no {column}: {missing:g} taken")
        out[name] = np.where(np.isnan(values), missing, values)
    return out


# --- reaches ---------------------------------------------------------------------------------------------------


def _cut(channels: Channels, placed: Placed | None, sources: Sources) -> Reaches:
    """Cut the edges at the barriers on their inside."""
    edges, count = channels.edges, len(channels.down)
    rows = np.zeros(0, np.int64) if placed is None else np.flatnonzero(placed.on_river)
    snapped = None if placed is None else placed.snapped
    edge = np.zeros(0, np.int64) if snapped is None else snapped.edge[rows]
    along = np.zeros(0) if snapped is None else snapped.along_m[rows]
    place = np.zeros(0) if snapped is None else snapped.place[rows]
    inside = np.zeros(0, bool) if snapped is None else snapped.inside[rows]
    order = np.lexsort((along[inside], edge[inside]))
    cut_edge, cut_along, cut_place = edge[inside][order], along[inside][order], place[inside][order]
    opens = np.ones(len(order), bool)
    opens[1:] = (np.diff(cut_edge) != 0) | (np.diff(cut_along) != 0)
    pieces, owner = cut_lines(edges.lines, cut_edge[opens], cut_place[opens])
    first = np.searchsorted(owner, np.arange(count))
    last = np.searchsorted(owner, np.arange(count), side="right") - 1
    down = np.arange(1, len(owner) + 1)
    ends = channels.down
    down[last] = np.where(ends >= 0, first[ends], -1)
    side_of = np.full(len(owner), -1, np.int64)
    side_of[first] = np.where(channels.side_of >= 0, first[channels.side_of], -1)
    of_barrier = np.full(0 if placed is None else len(placed.ids), -1, np.int64)
    of_barrier[rows[~inside]] = last[edge[~inside]]
    number = np.cumsum(opens) - 1
    before = np.searchsorted(cut_edge[opens], cut_edge)
    of_barrier[rows[inside][order]] = first[cut_edge] + number - before
    touched = np.diff(first, append=len(owner)) > 1
    length = edges.length_m[owner]
    again = touched[owner]
    length[again] = vertices_of(pieces[again], sources.metric).length_m
    return Reaches(pieces, owner, down, side_of, channels.on_loop[owner], length, of_barrier)


def _reach_layer(
    sources: Sources, channels: Channels, reaches: Reaches, parted: Bools, whole: Floats
) -> gpd.GeoDataFrame:
    labels = labels_of(reaches.down, reaches.length_m, reaches.side_of >= 0, parted)
    line = channels.edges.line[reaches.edge]
    columns = {
        "reach": np.arange(len(line)),
        "down": reaches.down,
        "length_m": reaches.length_m,
        "strahler": labels.strahler,
        "basin": labels.basin,
        "fragment": labels.fragment,
        "to_outlet_m": labels.to_outlet_m,
        "side_of": reaches.side_of,
        "on_loop": reaches.on_loop,
        "line": line,
        "share": np.divide(reaches.length_m, whole[line], out=np.ones(len(line)), where=whole[line] > 0),
    }
    return _layer(columns, reaches.lines, sources, sources.lines, line)


# --- layers ----------------------------------------------------------------------------------------------------


def _layer(
    columns: dict[str, Any],
    geometry: Any,
    sources: Sources,
    carried: gpd.GeoDataFrame | None = None,
    rows: Ints | None = None,
) -> gpd.GeoDataFrame:
    """A layer with these columns first; carried ones whose name is taken end in ``_given``."""
    import geopandas as gpd
    import pandas as pd

    frame = pd.DataFrame(columns)
    if carried is not None and rows is not None:
        rest = pd.DataFrame(carried.drop(columns=carried.geometry.name)).iloc[rows].reset_index(drop=True)
        rest.columns = [str(c) for c in rest.columns]
        taken = {*frame.columns, "geometry"}
        rest = rest.rename(columns={c: f"{c}_given" for c in rest.columns if c in taken})
        frame = pd.concat([frame, rest], axis=1)
    layer = gpd.GeoDataFrame(frame, geometry=geometry, crs=sources.lines.crs)
    layer.attrs = dict(sources.lines.attrs)
    return layer


def _barrier_layer(sources: Sources, placed: Placed | None, reaches: Reaches) -> gpd.GeoDataFrame:
    import pandas as pd
    import shapely

    if placed is None:
        numbers = {name: np.zeros(0) for name in ("passability", "snap_distance_m", "snap_confidence")}
        empty = {"barrier": np.zeros(0, np.int64), "reach": np.zeros(0, np.int64), **numbers}
        return _layer(empty, [], sources)
    on, snapped = placed.on_river, placed.snapped
    maybe = placed.doubles.maybe_of
    likely = pd.Series(placed.ids[np.maximum(maybe, 0)]).convert_dtypes().where(maybe >= 0)
    columns: dict[str, Any] = {
        "barrier": placed.ids[on],
        "reach": reaches.of_barrier[on],
        **{name: values[on] for name, values in placed.passes.items()},
        "on_loop": reaches.on_loop[reaches.of_barrier[on]],
        "site": np.array(snapped.site, object)[on],
        "snap_distance_m": snapped.distance_m[on],
        "snap_confidence": snapped.confidence[on],
        "likely_duplicate_of": likely[on].reset_index(drop=True),
    }
    own = placed.frame.drop(columns=[c for c in ("barrier", *placed.passes) if c in placed.frame.columns])
    layer = _layer(columns, shapely.points(snapped.x[on], snapped.y[on]), sources, own, np.flatnonzero(on))
    layer.attrs = dict(placed.frame.attrs)
    return layer


def _unplaced(sources: Sources, placed: Placed | None) -> gpd.GeoDataFrame:
    if placed is None:
        return _layer({"barrier": np.zeros(0, np.int64), "why": np.zeros(0, object)}, [], sources)
    off = np.flatnonzero(~placed.on_river)
    columns = {"barrier": placed.ids[off], "why": np.array(placed.why, object)[off]}
    own = placed.frame.drop(columns="barrier", errors="ignore")
    return _layer(columns, placed.frame.geometry.to_numpy()[off], sources, own, off)


def _changed(sources: Sources, repairs: Repairs) -> gpd.GeoDataFrame:
    table = _repair_table(repairs)
    table = table[table["line"] >= 0]
    columns = {name: table[name].to_numpy() for name in ("line", "kind", "before_m", "after_m")}
    geometry = sources.lines.geometry.to_numpy()[columns["line"]]
    return _layer(columns, geometry, sources)


def _repair_table(repairs: Repairs) -> pd.DataFrame:
    import pandas as pd

    names = ("kind", "what", "line", "x", "y", "before_m", "after_m")
    if not repairs.blocks:
        empty = {name: np.zeros(0, object if i < 2 else float) for i, name in enumerate(names)}
        return pd.DataFrame(empty | {"line": np.zeros(0, np.int64)})
    return pd.concat([pd.DataFrame(block)[list(names)] for block in repairs.blocks], ignore_index=True)


def _counts(placed: Placed | None, channels: Channels) -> dict[str, int]:
    if placed is None:
        names = ("barriers", "unplaced", "duplicates", "at_stream_start", "at_confluence", "at_outlet", "on_loop")
        return {f"{name}_count": 0 for name in names}
    site = np.array(placed.snapped.site, object)[placed.on_river]
    return {
        "barriers_count": int(placed.on_river.sum()),
        "unplaced_count": int((~placed.on_river).sum()),
        "duplicates_count": int((placed.doubles.of >= 0).sum()),
        "at_stream_start_count": int((site == "stream start").sum()),
        "at_confluence_count": int((site == "confluence").sum()),
        "at_outlet_count": int((site == "outlet").sum()),
        "on_loop_count": int(channels.on_loop[placed.snapped.edge[placed.on_river]].sum()),
    }
