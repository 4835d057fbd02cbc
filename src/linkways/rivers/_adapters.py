"""Networks that say in their columns where each line flows: HydroRIVERS, NHDPlus and others, brought to one form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import shapely

from linkways.errors import LinkwaysError, nearest
from linkways.rivers._forest import rows_of, whole_numbers
from linkways.rivers._topology import Edges, Repairs
from linkways.rivers._topology_flow import Channels, joined_mouths
from linkways.rivers._topology_geometry import Bools, Ints, Lines, Metric, vertices_of
from linkways.rivers._topology_order import on_circles, on_loops

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["CONVENTIONS", "Convention", "channels_by_columns", "find_convention"]


@dataclass(frozen=True)
class Convention:
    """The columns in which a data set keeps its topology; capitals do not matter."""

    name: str
    id: str
    down: str
    """The id of the line downstream; 0, a negative number or nothing at an outlet."""


CONVENTIONS = (
    Convention("HydroRIVERS", "HYRIV_ID", "NEXT_DOWN"),
    Convention("NHDPlus", "Hydroseq", "DnHydroseq"),
    Convention("MERIT-Basins", "COMID", "NextDownID"),
    Convention("TauDEM and TDX-Hydro", "LINKNO", "DSLINKNO"),
    Convention("Linkways", "reach", "down"),
)


def find_convention(
    lines: gpd.GeoDataFrame, topology: str, id_column: str | None, down_column: str | None
) -> Convention | None:
    """The columns to read the topology from, None where the geometry tells it.

    Raises:
        LinkwaysError: only one of the two columns named, or a column that is not there; columns asked for and no
            convention known.
    """
    columns = {str(c).lower(): str(c) for c in lines.columns}
    if (id_column is None) != (down_column is None):
        raise LinkwaysError("rivers.network: give both id_column and down_column, or neither")
    if id_column is not None and down_column is not None:
        if topology == "geometry":
            raise LinkwaysError(
                "rivers.network: topology 'geometry' reads no columns; leave out id_column, down_column"
            )
        for name in (id_column, down_column):
            if name not in lines.columns:
                raise LinkwaysError(f"lines: there is no column '{name}'{nearest(name, columns.values())}")
        return Convention("the named columns", id_column, down_column)
    if topology == "geometry":
        return None
    for one in CONVENTIONS:
        if one.id.lower() in columns and one.down.lower() in columns:
            return Convention(one.name, columns[one.id.lower()], columns[one.down.lower()])
    if topology == "columns":
        known = ", ".join(f"{one.id} and {one.down} ({one.name})" for one in CONVENTIONS)
        raise LinkwaysError(
            f"lines: no columns tell where each line flows; name them with id_column and down_column (known: {known})"
        )
    return None


def channels_by_columns(
    frame: gpd.GeoDataFrame,
    lines: Lines,
    line: Ints,
    convention: Convention,
    metric: Metric,
    repairs: Repairs,
    *,
    keep_loops: bool,
    join_mouths: bool,
) -> Channels:
    """Channels by the ids in the columns; lines drawn against the flow are turned round.

    Raises:
        LinkwaysError: ids that are missing, repeated or not whole, or lines that flow in a circle.
    """
    ids = whole_numbers(frame, convention.id, "lines")
    below = whole_numbers(frame, convention.down, "lines", missing=-1)
    _refuse_repeated(ids, convention.id)
    # 0 may be the id of a line (TauDEM) or an outlet (the others)
    known = rows_of(ids, below)
    flows = (below > 0) | ((below == 0) & (ids == 0).any())
    down = np.where(flows & (below != ids), known, -1)
    circle = on_circles(down)
    if len(circle):
        raise LinkwaysError(
            f"lines: {len(circle)} lines flow in a circle by column {convention.down}, first {ids[circle[0]]}; correct "
            "the column, or set topology to 'geometry'"
        )
    vertices = vertices_of(lines, metric)
    nowhere = np.full(len(ids), -1, np.int64)
    edges = Edges(lines, line, nowhere, nowhere, vertices.length_m, 0)
    lost = np.flatnonzero(flows & (known < 0))
    x, y = edges.take(lost).ends_at()
    repairs.add("outlet at the edge of the data", "flows into a line that is not there", line[lost], x, y, 0.0, 0.0)
    turned = _drawn_against(edges, down, metric)
    repairs.add(
        "line turned round",
        "drawn against the flow that its columns tell",
        line[turned],
        *edges.take(turned).starts_at(),
        edges.length_m[turned],
        edges.length_m[turned],
    )
    edges = edges.turned(turned)
    side_of = _minor_paths(frame, ids)
    if keep_loops:
        x, y = edges.take(side_of >= 0).starts_at()
        length = edges.length_m[side_of >= 0]
        words = "minor path of a divergence: open at its lower end only"
        repairs.add("side channel", words, line[side_of >= 0], x, y, length, length)
    nothing = edges.take(np.zeros(0, np.int64))
    on_loop = on_loops(down, side_of >= 0, side_of)
    channels = Channels(edges, down, side_of, on_loop, np.zeros(len(ids), bool), nothing, [])
    # other data sets say which rivers are one basin
    return _mouths_joined(channels, metric, repairs) if join_mouths and convention.name == "Linkways" else channels


def _mouths_joined(channels: Channels, metric: Metric, repairs: Repairs) -> Channels:
    roots = np.flatnonzero(channels.down < 0)
    x, y = channels.edges.take(roots).ends_at()
    _, first, mouth = np.unique(np.column_stack([x, y]), axis=0, return_index=True, return_inverse=True)
    end = channels.edges.end.copy()
    end[roots] = mouth.ravel()
    count = np.bincount(mouth.ravel())
    many = count > 1
    words = [f"{k} reaches end at this outlet: joined a metre above it" for k in count[many]]
    at = first[many]
    repairs.add("confluence at an outlet", words, np.full(len(at), -1), x[at], y[at], 0.0, 0.0)
    return joined_mouths(replace(channels, edges=replace(channels.edges, end=end)), metric)


def _refuse_repeated(ids: Ints, column: str) -> None:
    found, counts = np.unique(ids, return_counts=True)
    if counts.max(initial=0) > 1:
        first = int(np.argmax(counts > 1))
        raise LinkwaysError(f"lines: {column} {found[first]} is there {counts[first]} times; give each line its own id")


def _drawn_against(edges: Edges, down: Ints, metric: Metric) -> Bools:
    """Lines whose drawn start, not their end, lies at the line they flow into; outlets go by what flows into them."""
    start, end = (np.column_stack(ends) for ends in (edges.starts_at(), edges.ends_at()))
    scale = np.column_stack(metric.scales(start[:, 1]))

    def gap(rows: Ints, a: np.ndarray, others: Ints) -> np.ndarray:
        reaches = [np.hypot(*((a[rows] - b[others]) * scale[rows]).T) for b in (start, end)]
        return np.asarray(np.minimum(*reaches))

    turned = np.zeros(len(down), bool)
    rows = np.flatnonzero(down >= 0)
    turned[rows] = gap(rows, start, down[rows]) < gap(rows, end, down[rows])
    feeds = np.full(len(down), -1, np.int64)
    feeds[down[rows]] = rows
    roots = np.flatnonzero((down < 0) & (feeds >= 0))
    # what flows into an outlet reach meets its upper end
    turned[roots] = gap(roots, end, feeds[roots]) < gap(roots, start, feeds[roots])
    return turned


def _minor_paths(frame: gpd.GeoDataFrame, ids: Ints) -> Ints:
    """NHDPlus: for a minor path of a divergence (2) the row of the main one (1) from the same node, -1 otherwise."""
    side_of = np.full(len(ids), -1, np.int64)
    columns = {str(c).lower(): str(c) for c in frame.columns}
    if not {"divergence", "fromnode"} <= set(columns):
        return side_of
    divergence = frame[columns["divergence"]].to_numpy()
    node = frame[columns["fromnode"]].to_numpy()
    main, minor = np.flatnonzero(divergence == 1), np.flatnonzero(divergence == 2)
    main = main[np.argsort(node[main], kind="stable")]
    if len(main):
        place = np.minimum(np.searchsorted(node[main], node[minor]), len(main) - 1)
        same = node[main][place] == node[minor]
        side_of[minor[same]] = main[place[same]]
    return side_of


def single_lines(geometry: Lines, line: Ints, repairs: Repairs, metric: Metric) -> Lines:
    """Multi-part lines as one line each: merged where the parts meet, else joined in their order."""
    lines = geometry.copy()
    many = shapely.get_type_id(lines) == 5
    lines[many] = shapely.line_merge(lines[many])
    still = np.flatnonzero(shapely.get_type_id(lines) == 5)
    if len(still):
        before = np.array([vertices_of(shapely.get_parts(one), metric).length_m.sum() for one in lines[still]])
        xy, owner = shapely.get_coordinates(lines[still], return_index=True)
        lines[still] = shapely.linestrings(xy, indices=owner)
        after = vertices_of(lines[still], metric).length_m
        first = np.searchsorted(owner, np.arange(len(still)))
        words = "parts that do not meet joined by straight lines"
        repairs.add("parts joined", words, line[still], xy[first, 0], xy[first, 1], before, after)
    return lines
