"""From the layers as given to flowing channels: what `rivers.network` does before it places barriers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from linkways.errors import LinkwaysError, nearest
from linkways.rivers._adapters import Convention, channels_by_columns, find_convention, single_lines
from linkways.rivers._forest import numbers_or_missing
from linkways.rivers._topology import Edges, Repairs, joined_edges
from linkways.rivers._topology_flow import Channels, Flow, flowing_channels, with_outlets
from linkways.rivers._topology_geometry import Bools, Floats, Ints, Metric, vertices_of
from linkways.rivers._topology_order import labels_of
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["Sources", "build"]


@dataclass(frozen=True)
class Sources:
    """The layers as given, in the CRS of the lines, rows numbered from 0."""

    lines: gpd.GeoDataFrame
    barriers: gpd.GeoDataFrame | None
    outlets: gpd.GeoDataFrame | None
    metric: Metric

    @classmethod
    def of(
        cls, lines: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame | None, outlets: gpd.GeoDataFrame | None
    ) -> Sources:
        """Bring the points to the CRS of the lines; what is moved goes to the log."""
        points = [_in_crs(layer, lines, name) for layer, name in ((barriers, "barriers"), (outlets, "outlets"))]
        return cls(lines.reset_index(drop=True), points[0], points[1], Metric(lines.crs))


def coordinates_of(points: gpd.GeoDataFrame, what: str) -> tuple[Floats, Floats]:
    """Coordinates of a layer of single points.

    Raises:
        LinkwaysError: a feature that is empty or more than one point.
    """
    geometry = points.geometry.to_numpy()
    wrong = np.flatnonzero(shapely.get_num_coordinates(geometry) != 1)
    if len(wrong):
        raise LinkwaysError(
            f"{what}: row {wrong[0]} is not one point ({len(wrong)} such rows); give each a single position"
        )
    xy = shapely.get_coordinates(geometry)
    return np.ascontiguousarray(xy[:, 0]), np.ascontiguousarray(xy[:, 1])


def build(
    sources: Sources,
    *,
    topology: str,
    id_column: str | None,
    down_column: str | None,
    direction: str,
    elevation_columns: Sequence[str] | None,
    main_column: str | None,
    keep_loops: bool,
    join_mouths: bool,
    tolerance_m: float,
    outlet_tolerance_m: float,
    min_basin_m: float,
) -> tuple[Channels, Repairs]:
    """Flowing channels by the columns of the lines or by their geometry, short basins left out."""
    repairs = Repairs()
    frame, metric = sources.lines, sources.metric
    geometry = shapely.force_2d(frame.geometry.to_numpy())
    given = np.arange(len(frame))
    convention = find_convention(frame, topology, id_column, down_column)
    if not (shapely.length(geometry) > 0).any():
        raise LinkwaysError("lines: no line has any length; give at least one")
    # where columns tell the topology, others may flow through a line without length
    bare = shapely.is_empty(geometry) if convention is not None else shapely.length(geometry) == 0
    points = shapely.get_point(shapely.get_geometry(geometry[bare], 0), 0)
    repairs.add("without length", "left out", given[bare], shapely.get_x(points), shapely.get_y(points), 0.0, 0.0)
    geometry, given = geometry[~bare], given[~bare]
    if convention is not None:
        channels = _by_columns(
            sources, geometry, given, convention, main_column, direction, keep_loops, join_mouths, repairs
        )
        if not keep_loops:
            side = channels.side_of >= 0
            channels = _cut_side_channels(channels, side, repairs)
    else:
        drawn = direction != "outlets"
        parts, part_of = shapely.get_parts(geometry, return_index=True)
        edges, _ = joined_edges(parts, given[part_of], metric, tolerance_m, repairs)
        if direction == "elevation":
            edges = edges.turned(_uphill(frame, elevation_columns)[edges.line])
        outlets = np.zeros(0, np.int64)
        if sources.outlets is not None:
            x, y = coordinates_of(sources.outlets, "outlets")
            edges, outlets = with_outlets(edges, x, y, metric, outlet_tolerance_m, drawn, repairs)
        main = None if main_column is None else _numbers(frame, main_column)[edges.line]
        channels = flowing_channels(
            edges, outlets, Flow(drawn, main, keep_loops, join_mouths, tolerance_m), metric, repairs
        )
        _tell_turned(repairs, edges)
    channels = _basins(channels, sources.outlets is not None, min_basin_m, repairs)
    if not len(channels.down):
        raise LinkwaysError(f"rivers.network: no basin reaches {min_basin_m / 1000:g} km of river; lower min_basin_km")
    return channels, repairs


def _by_columns(
    sources: Sources,
    geometry: np.ndarray,
    given: Ints,
    convention: Convention,
    main_column: str | None,
    direction: str,
    keep_loops: bool,
    join_mouths: bool,
    repairs: Repairs,
) -> Channels:
    if sources.outlets is not None:
        raise LinkwaysError(
            f"outlets: columns {convention.id} and {convention.down} tell where rivers leave; leave out the input "
            "outlets, or set topology to 'geometry'"
        )
    if main_column is not None or direction != "drawn":
        name = "main_column" if main_column is not None else "direction"
        raise LinkwaysError(
            f"rivers.network: {name} has no meaning where columns {convention.id} and {convention.down} tell the "
            "topology; leave it out, or set topology to 'geometry'"
        )
    note(f"rivers.network: topology read from columns {convention.id} and {convention.down} ({convention.name})")
    lines = single_lines(geometry, given, repairs, sources.metric)
    return channels_by_columns(
        sources.lines.iloc[given], lines, given, convention, sources.metric, repairs,
        keep_loops=keep_loops, join_mouths=join_mouths,
    )  # fmt: skip


def _cut_side_channels(channels: Channels, side: Bools, repairs: Repairs) -> Channels:
    """Side channels left out, those that flow only into side channels with them."""
    down = channels.down
    fed = np.bincount(down[(down >= 0) & ~side], minlength=len(down)) > 0
    # a side channel that other water joins stays: only its first reach closes the loop
    drop = side & ~fed
    part = channels.edges.take(drop)
    x, y = part.starts_at()
    repairs.add("loop cut", "minor path of a divergence: left out", part.line, x, y, part.length_m, 0.0)
    return channels.without(drop, "closes a loop")


def _uphill(frame: gpd.GeoDataFrame, columns: Sequence[str] | None) -> Bools:
    """Lines whose first vertex lies lower than their last."""
    if columns is not None:
        if len(columns) != 2:
            raise LinkwaysError("rivers.network: elevation_columns must name two columns: of the first and last vertex")
        first, last = (_numbers(frame, name) for name in columns)
    else:
        geometry = frame.geometry.to_numpy()
        if not shapely.has_z(geometry).any():
            raise LinkwaysError("lines: they have no z coordinates; name two columns with elevation_columns")
        xyz, owner = shapely.get_coordinates(geometry, include_z=True, return_index=True)
        rows = np.arange(len(frame))
        start, end = np.searchsorted(owner, rows), np.searchsorted(owner, rows, side="right") - 1
        first, last = xyz[np.minimum(start, len(xyz) - 1), 2], xyz[end, 2]
    return np.asarray(first < last)


def _numbers(frame: gpd.GeoDataFrame, name: str) -> Floats:
    if name not in frame.columns:
        raise LinkwaysError(f"lines: there is no column '{name}'{nearest(name, map(str, frame.columns))}")
    return numbers_or_missing(frame, name, "lines", np.arange(len(frame)), "row")


def _tell_turned(repairs: Repairs, edges: Edges) -> None:
    turned = repairs.count("line turned round")
    if 2 * turned > len(edges.line):
        note(
            f"rivers.network: {turned} of {len(edges.line)} lines run against the way to the outlets; if they are "
            "drawn upstream give outlets and direction 'outlets'"
        )


def _basins(channels: Channels, outlets: bool, min_basin_m: float, repairs: Repairs) -> Channels:
    """Leave out short basins; tell of pieces that no given outlet lies on."""
    count = len(channels.down)
    if not count or not (outlets or min_basin_m > 0):
        return channels
    side = channels.side_of >= 0
    basin = labels_of(channels.down, channels.edges.length_m, side, np.zeros(count, bool)).basin
    length = np.bincount(basin, weights=channels.edges.length_m, minlength=count)
    roots = np.flatnonzero((channels.down < 0) & ~channels.given)
    short = length[roots] < min_basin_m
    lines = np.full(len(roots), -1, np.int64)
    x, y = channels.edges.take(roots).ends_at()
    words = ["no given outlet on it: left out" if s else "no given outlet on it: a basin of its own" for s in short]
    kind = "isolated piece" if outlets else "short basin"
    if not outlets:
        words = ["left out"] * len(roots)
    tell = np.ones(len(roots), bool) if outlets else short
    repairs.add(
        kind,
        [w for w, t in zip(words, tell, strict=True) if t],
        lines[tell],
        x[tell],
        y[tell],
        np.asarray(length[roots][tell], np.float64),
        np.where(short, 0.0, length[roots])[tell],
    )
    dropped = np.zeros(count, bool)
    dropped[roots[short]] = True
    drop = dropped[basin]
    return channels.without(drop, "basin shorter than the minimum") if drop.any() else channels


def given_lengths(sources: Sources) -> Floats:
    """Length of each line as given, in metres."""
    geometry = shapely.force_2d(sources.lines.geometry.to_numpy())
    parts, owner = shapely.get_parts(geometry, return_index=True)
    parts, owner = parts[~shapely.is_empty(parts)], owner[~shapely.is_empty(parts)]
    length = vertices_of(parts, sources.metric).length_m
    return np.asarray(np.bincount(owner, weights=length, minlength=len(geometry)), np.float64)


def _in_crs(points: gpd.GeoDataFrame | None, lines: gpd.GeoDataFrame, name: str) -> gpd.GeoDataFrame | None:
    if points is None:
        return None
    if points.crs != lines.crs:
        note(f"rivers.network: {name} reprojected to the CRS of lines")
        points = points.to_crs(lines.crs)
    return points.reset_index(drop=True)
