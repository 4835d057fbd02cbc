"""From lines to edges between nodes: which ends meet, and where one line ends on the inside of another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely

from linkways.rivers._topology_geometry import (
    Bools,
    Floats,
    Ints,
    Lines,
    Metric,
    Vertices,
    along_m,
    cut_lines,
    nearest_places,
    points_at,
    vertices_of,
)

__all__ = ["Edges", "Repairs", "boxed_pairs", "joined_edges", "split_edges"]


@dataclass
class Repairs:
    """What was found and mended, in blocks of rows: kind, what was done, line as given, where, metres before, after."""

    blocks: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        kind: str,
        what: str | list[str],
        line: Ints,
        x: Floats,
        y: Floats,
        before_m: Floats | float,
        after_m: Floats | float,
    ) -> None:
        """Add one row per entry of ``line`` (-1: no single line)."""
        count = len(line)
        if count:
            block = {"kind": kind, "what": what, "line": line, "x": x, "y": y}
            whole = {"before_m": before_m, "after_m": after_m}
            block |= {name: np.broadcast_to(np.asarray(value, np.float64), count) for name, value in whole.items()}
            self.blocks.append(block)

    def count(self, *kinds: str) -> int:
        """Rows of these kinds."""
        return sum(len(block["line"]) for block in self.blocks if block["kind"] in kinds)


@dataclass(frozen=True)
class Edges:
    """River lines between nodes, as drawn or turned: water runs from ``start`` to ``end`` as far as is known."""

    lines: Lines
    line: Ints
    """Row of the line as given that the edge is (part of)."""
    start: Ints
    end: Ints
    length_m: Floats
    nodes: int

    def take(self, which: Any) -> Edges:
        """Some of the edges."""
        return replace(
            self,
            lines=self.lines[which],
            line=self.line[which],
            start=self.start[which],
            end=self.end[which],
            length_m=self.length_m[which],
        )

    def turned(self, which: Bools) -> Edges:
        """The same edges, some running the other way."""
        lines = self.lines.copy()
        lines[which] = shapely.reverse(lines[which])
        start, end = np.where(which, self.end, self.start), np.where(which, self.start, self.end)
        return replace(self, lines=lines, start=start, end=end)

    def starts_at(self) -> tuple[Floats, Floats]:
        """Coordinates of the first vertex of each edge."""
        points = shapely.get_coordinates(shapely.get_point(self.lines, 0))
        return points[:, 0], points[:, 1]

    def ends_at(self) -> tuple[Floats, Floats]:
        """Coordinates of the last vertex of each edge."""
        points = shapely.get_coordinates(shapely.get_point(self.lines, -1))
        return points[:, 0], points[:, 1]


# --- which ends meet --------------------------------------------------------------------------------------------


def joined_edges(
    lines: Lines, line: Ints, metric: Metric, tolerance_m: float, repairs: Repairs
) -> tuple[Edges, Vertices]:
    """Edges whose ends within the tolerance are one node, cut where the end of another line meets their middle."""
    vertices = vertices_of(lines, metric)
    ends = np.concatenate([vertices.starts, vertices.ends])
    x, y = vertices.x[ends], vertices.y[ends]
    node, gap = _clusters(metric.positions(x, y), tolerance_m)
    _, first = np.unique(node, return_index=True)
    wide = np.flatnonzero(gap > 0.0)
    repairs.add(
        "gap closed",
        [f"ends up to {g:.3g} m apart made one node" for g in gap[wide]],
        np.full(len(wide), -1),
        x[first[wide]],
        y[first[wide]],
        0.0,
        0.0,
    )
    start, end = np.split(node, 2)
    edges = Edges(lines, line, start, end, vertices.length_m, int(node.max()) + 1)
    return _cut_at_junctions(edges, vertices, x[first], y[first], metric, tolerance_m, repairs)


def _clusters(positions: Floats, tolerance_m: float) -> tuple[Ints, Floats]:
    """Number of the cluster of each position, and the widest gap bridged inside each cluster."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    order = np.lexsort(positions.T)
    fresh = np.concatenate([[True], (np.diff(positions[order], axis=0) != 0).any(axis=1)])
    place = np.empty(len(positions), np.int64)
    place[order] = np.cumsum(fresh) - 1
    distinct = positions[order][fresh]
    pairs = (
        cKDTree(distinct).query_pairs(tolerance_m, output_type="ndarray") if tolerance_m > 0 else np.empty((0, 2), int)
    )
    if not len(pairs):
        return place, np.zeros(len(distinct))
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(distinct),) * 2)
    count, label = connected_components(graph, directed=False)
    gap = np.zeros(count)
    np.maximum.at(gap, label[pairs[:, 0]], np.linalg.norm(distinct[pairs[:, 0]] - distinct[pairs[:, 1]], axis=1))
    return label[place].astype(np.int64), gap


def _cut_at_junctions(
    edges: Edges, vertices: Vertices, x: Floats, y: Floats, metric: Metric, tolerance_m: float, repairs: Repairs
) -> tuple[Edges, Vertices]:
    """Cut edges where a node of others lies on their inside; ``x`` and ``y`` are those of the nodes."""
    node, edge = boxed_pairs(edges.lines, x, y, np.full(len(x), max(tolerance_m, 1e-6)), metric)
    apart = (edges.start[edge] != node) & (edges.end[edge] != node)
    node, edge = node[apart], edge[apart]
    near = nearest_places(x[node], y[node], edge, vertices, metric)
    along = along_m(vertices, edge, near.place)
    inside = (near.distance_m <= max(tolerance_m, 1e-6)) & (along > 0.0) & (along < edges.length_m[edge])
    # lines that pass each other within the tolerance, and meet elsewhere, would become a small loop
    lone = np.bincount(np.concatenate([edges.start, edges.end]), minlength=edges.nodes) == 1
    piece = _merge_nodes(edges.start, edges.end, edges.nodes)
    inside &= (near.distance_m <= 1e-3) | lone[node] | (piece[node] != piece[edges.start[edge]])
    if not inside.any():
        return edges, vertices
    node, edge, place, along = node[inside], edge[inside], near.place[inside], along[inside]
    order = np.lexsort((along, edge))
    node, edge, place, along = node[order], edge[order], place[order], along[order]
    # nodes that meet a line within the tolerance of each other are one junction
    opens = np.concatenate([[True], (np.diff(edge) != 0) | (np.diff(along) > tolerance_m)])
    merged = _merge_nodes(node, node[np.maximum.accumulate(np.where(opens, np.arange(len(node)), 0))], edges.nodes)
    node, edge, place = merged[node[opens]], edge[opens], place[opens]
    px, py = points_at(vertices, edge, place)
    cut = edges.length_m[edge]
    repairs.add("line cut at a junction", "another line ends on its inside", edges.line[edge], px, py, cut, cut)
    merged_edges = replace(edges, start=merged[edges.start], end=merged[edges.end])
    edges = split_edges(merged_edges, edge, place, node, metric)
    return edges, vertices_of(edges.lines, metric)


def split_edges(edges: Edges, edge: Ints, place: Floats, node: Ints, metric: Metric) -> Edges:
    """Cut edges at places inside them, sorted by edge and along it; ``node`` is the node at each cut."""
    pieces, owner = cut_lines(edges.lines, edge, place)
    first = np.concatenate([[True], owner[1:] != owner[:-1]])
    last = np.concatenate([first[1:], [True]])
    start, end = edges.start[owner], edges.end[owner]
    start[~first] = node
    end[~last] = node
    length = vertices_of(pieces, metric).length_m
    return Edges(pieces, edges.line[owner], start, end, length, max(edges.nodes, int(node.max(initial=-1)) + 1))


def boxed_pairs(lines: Lines, x: Floats, y: Floats, reach_m: Floats, metric: Metric) -> tuple[Ints, Ints]:
    """Pairs (point, line) whose bounding boxes come within ``reach_m`` of the point, sorted by point."""
    kx, ky = metric.scales(y)
    dx, dy = reach_m / kx, reach_m / ky
    point, line = shapely.STRtree(lines).query(shapely.box(x - dx, y - dy, x + dx, y + dy))
    order = np.lexsort((line, point))
    return point[order].astype(np.int64), line[order].astype(np.int64)


def _merge_nodes(a: Ints, b: Ints, nodes: int) -> Ints:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(nodes, nodes))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
