"""Links between disjoint shapes by the distance of their edges: all that any best path can use, and few others.

In a network where movement inside a node costs nothing, most direct links are no shorter than a way over a third
node, and no best path needs them. They are left out by three rules that lose nothing:

- A link is dropped when another node witnesses it: the two links over that node are each before it in the order of
  lengths and together no longer. By induction over that order the remaining links hold a path as short for every pair.
- Where nodes are to be removed one at a time, two witnesses are asked for: whichever node goes, one of them stays.
- Beyond a reach up to which all links were measured, a pair is measured only where the boxes of the two shapes are
  nearer than the path between them over the links so far. What is not nearer then cannot shorten any path.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from linkways.policy._plane import Plane

__all__ = ["Links", "Outlines"]

_PER_BLOCK = 8
"""Segments in a block of an outline; 8 was the quickest of 8, 16 and 32."""
_TASKS = 64
_TRIED = 128
"""Nearest neighbours of each end that are asked whether they witness a link; more found hardly any."""


@dataclass(frozen=True)
class Links:
    """Links of a network: ends (k, 2) int32 and lengths in metres (k,)."""

    ends: np.ndarray
    metres: np.ndarray

    def __len__(self) -> int:
        return len(self.metres)

    def where(self, mask: np.ndarray) -> Links:
        """The links of a mask."""
        return Links(self.ends[mask], self.metres[mask])

    def up_to(self, metres: float) -> Links:
        """The links that are no longer."""
        return self.where(self.metres <= metres)

    def and_also(self, other: Links) -> Links:
        """These and others."""
        return Links(np.concatenate([self.ends, other.ends]), np.concatenate([self.metres, other.metres]))

    def that_matter(self, nodes: int, *, one_node_may_go: bool = False) -> Links:
        """The links without those that witnesses make needless for shortest paths (also when any one node is lost)."""
        from linkways.workers import each

        order = np.argsort(self.metres, kind="stable")
        metres = self.metres[order]
        rows = _rows(nodes, self.ends[order])
        marked = np.zeros(len(self), bool)
        for found in each(_witnessed, (rows, metres, 2 if one_node_may_go else 1), _spans(nodes)):
            marked[found] = True
        keep = np.sort(order[~marked])
        return Links(self.ends[keep], self.metres[keep])


@dataclass(frozen=True)
class Outlines:
    """The outlines of shapes on a plane, made ready for measuring."""

    shapes: np.ndarray
    plane: Plane

    @cached_property
    def bounds(self) -> np.ndarray:
        """(n, 4) boxes about the middle of them all: numbers near 0 keep more digits in squares."""
        import shapely

        boxes = np.asarray(shapely.bounds(self.shapes)) - np.tile(self._middle, 2)
        return np.ascontiguousarray(boxes)

    @cached_property
    def _middle(self) -> np.ndarray:
        import shapely

        return np.asarray(np.round(np.reshape(shapely.bounds(self.shapes), (-1, 2)).mean(axis=0)))

    @cached_property
    def _blocks(self) -> tuple[np.ndarray, ...]:
        import shapely

        from linkways.policy._kernels import outline_blocks

        parts, owner = shapely.get_parts(self.shapes, return_index=True)
        rings, part = shapely.get_rings(parts, return_index=True)
        xy, ring = shapely.get_coordinates(rings, return_index=True)
        xy = np.ascontiguousarray(xy - self._middle)
        pointer = np.searchsorted(ring, np.arange(len(rings) + 1))
        return xy, *outline_blocks(xy, pointer, owner[part], len(self.shapes), _PER_BLOCK)

    @property
    def _slack(self) -> float:
        """By how much a distance on the plane can differ from the one in metres."""
        return self.plane.stretch(1.0, self.bounds + np.tile(self._middle, 2))

    def pairs_within(self, reach_m: float) -> int:
        """Number of pairs whose boxes lie within reach."""
        from linkways.policy._kernels import candidate_counts

        return int(candidate_counts(self.bounds, reach_m * self._slack).sum())

    def within(self, reach_m: float) -> Links:
        """All links up to a reach, exact: the least distance between the two outlines."""
        from linkways.policy._kernels import candidate_counts
        from linkways.workers import each

        if len(self.shapes) < 2:
            return Links(np.empty((0, 2), np.int32), np.empty(0))
        farthest = float(np.hypot(*(self.bounds[:, 2:].max(axis=0) - self.bounds[:, :2].min(axis=0)))) + 1.0
        reach = min(reach_m * self._slack, farthest)
        counts = candidate_counts(self.bounds, reach)
        shared = (self._blocks, self.bounds, counts, reach, self.plane, self._middle)
        return _joined(list(each(_measure, shared, _equal_work(counts)))).up_to(reach_m)

    def completed(self, links: Links, known_m: float, reach_m: float) -> Links:
        """``links``, which hold all that matters up to ``known_m``, and those up to ``reach_m`` that shorten a path."""
        from linkways.workers import each

        nodes = len(self.shapes)
        if known_m >= reach_m or nodes < 2:
            return links
        order = np.argsort(links.metres, kind="stable")
        graph = (*_rows(nodes, links.ends[order]), links.metres[order])
        shared = (
            self._blocks,
            self.bounds,
            known_m,
            reach_m,
            self._slack,
            graph,
            self.plane,
            self._middle,
        )
        tasks = [np.arange(i, nodes, _TASKS) for i in range(min(_TASKS, nodes))]
        more = _joined(list(each(_search, shared, tasks))).up_to(reach_m)
        return links.and_also(more).that_matter(nodes) if len(more) else links


def _rows(nodes: int, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from linkways.policy._kernels import sorted_rows

    pointer, neighbour, rank = sorted_rows(nodes, np.ascontiguousarray(ends, np.int32))
    return pointer, neighbour, rank


def _spans(nodes: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, nodes, min(_TASKS, nodes) + 1).astype(int)
    return [(int(a), int(b)) for a, b in pairwise(edges)]


def _equal_work(counts: np.ndarray) -> list[np.ndarray]:
    """Rows in runs of about the same number of pairs."""
    done = np.cumsum(counts + 1)
    cuts = np.searchsorted(done, np.linspace(0, done[-1], _TASKS + 1)[1:-1])
    return [rows for rows in np.split(np.arange(len(counts)), np.unique(cuts)) if len(rows)]


def _witnessed(shared: Any, span: tuple[int, int]) -> np.ndarray:
    from linkways.policy._kernels import mark_witnessed

    rows, metres, enough = shared
    marked = np.zeros(len(metres), bool)
    mark_witnessed(*span, *rows, metres, _TRIED, enough, marked)
    return np.flatnonzero(marked)


def _measure(shared: Any, rows: np.ndarray) -> Links:
    from linkways.policy._kernels import edge_distances

    blocks, bounds, counts, reach, plane, middle = shared
    ends, distance, where = edge_distances(*blocks, bounds, rows, reach, int(counts[rows].sum()))
    # copied, so that the room kept for all candidates is given back
    return Links(ends.copy(), plane.lengths(distance, where + np.tile(middle, 2)).copy())


def _search(shared: Any, rows: np.ndarray) -> Links:
    from linkways.policy._kernels import missing_links

    blocks, bounds, known, reach, slack, graph, plane, middle = shared
    ends, distance, where = missing_links(*blocks, bounds, rows, known, reach, slack, graph)
    return Links(ends, plane.lengths(distance, where + np.tile(middle, 2)))


def _joined(found: list[Links]) -> Links:
    if not found:
        return Links(np.empty((0, 2), np.int32), np.empty(0))
    return Links(np.concatenate([f.ends for f in found]), np.concatenate([f.metres for f in found]))
