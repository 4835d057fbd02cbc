"""Bottlenecks of one area and of nested areas: where they are, how wide, how long, and what they part.

Positions are (column, row) of the padded grid, lengths in the shorter side of a cell, until the method turns them into
places and metres.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from linkways.kernels.clearance import distance_to_outside
from linkways.kernels.labels import label_block
from linkways.movement._pinch_kernels import (
    ARCS,
    beside,
    chords,
    meetings,
    narrow_run,
    neighbours,
    saddle_cells,
    way_to_level,
)

__all__ = ["Area", "Neck", "match_over_tiers", "necks"]


@dataclass(frozen=True)
class Area:
    """A mask padded by a ring of outside cells, with the clearance of every cell."""

    inside: np.ndarray
    """(rows, columns) bool, padded."""
    level: np.ndarray
    """Flat: squared distance to the nearest outside cell in ``unit`` squared, 0 outside."""
    unit: float
    aspect: np.ndarray
    """Width and height of a cell in its shorter side."""

    @classmethod
    def of(cls, mask: np.ndarray, width_m: float, height_m: float) -> "Area":
        """The area of a mask (rows, columns); the border of the raster is an edge."""
        inside = np.pad(mask, 1)
        side = min(width_m, height_m)
        aspect = np.array([width_m, height_m]) / side
        rows = inside.shape[0]
        far = distance_to_outside(inside, np.full(rows, aspect[0]), np.full(rows - 1, aspect[1]))
        # squared distances on square cells are whole numbers, so that a turned area has the very same levels
        unit = 1.0 if np.allclose(aspect, 1.0, rtol=1e-9, atol=0.0) else 0.125
        np.multiply(far, far, out=far)
        far *= unit**-2
        return cls(inside, np.rint(far, out=far).astype(np.int32).ravel(), unit, aspect)

    @property
    def columns(self) -> int:
        """Of the padded grid."""
        return int(self.inside.shape[1])

    def clearance(self, cells: np.ndarray) -> np.ndarray:
        """From the centres of cells to the nearest edge."""
        return np.asarray(np.sqrt(self.level[cells]) * self.unit - 0.5)

    def level_of(self, clearance: float) -> int:
        """The level that a cell with this clearance has."""
        return int(np.ceil(((clearance + 0.5) / self.unit) ** 2))

    def points(self, cells: np.ndarray) -> np.ndarray:
        """(n, 2): column and row of cells."""
        return np.column_stack([cells % self.columns, cells // self.columns]).astype(np.float64)

    def chords(self, points: np.ndarray) -> np.ndarray:
        """The shortest line from edge to edge through every point: length ahead, length back, direction."""
        return np.asarray(chords(self.level, self.columns, self.unit, self.aspect, points))

    def widths(self, cells: np.ndarray) -> np.ndarray:
        """Length of the shortest line from edge to edge through the centre of every cell."""
        return np.asarray(self.chords(self.points(cells))[:, :2].sum(axis=1))

    def narrow_run(self, cells: np.ndarray, at: int, threshold: float) -> tuple[int, int]:
        """First and last of the cells around ``at`` narrower than a threshold; none: the first lies past it."""
        first, last = narrow_run(self.level, self.columns, self.unit, self.aspect, self.points(cells), at, threshold)
        return int(first), int(last)


@dataclass
class Neck:
    """One bottleneck of one area."""

    width: float
    clearance_beside: float
    """Of the lower of the two tops that the neck parts."""
    ends: np.ndarray
    """(2, 2): where the cross-section meets the edges."""
    way: np.ndarray
    """(n, 2): the widest way through the neck as far as it is narrower than the threshold; empty where it is not."""
    narrow: float
    """Length of that way."""
    flat: float
    """Length of the part of the way that is as narrow as the neck."""
    tops: tuple[int, int]
    cells: np.ndarray
    """Cells of the cross-section."""
    place: np.ndarray
    """(column, row) of the middle of the cross-section."""
    is_cut: bool = False
    parted: list[tuple[int, int]] = field(default_factory=list)
    """Pairs of ranges that only this neck joins."""


def necks(area: Area, *, ratio: float, threshold: float, ranges: np.ndarray | None = None) -> list[Neck]:
    """All necks of an area; of several ways between two wide places each one has its own.

    ``threshold``: a way is narrow where its width is below it, in sides. ``ranges``: (rows, columns) of the mask,
    number of the range of a cell, -1 where there is none.
    """
    came = np.full(area.level.size, -1, np.int8)
    cells, all_tops = meeting_cells(area, ratio, came)
    found: list[Neck] = []
    places = np.empty((len(cells), 3))  # column, row, width of those found
    for row, tops in zip(cells, all_tops, strict=True):
        neck = _neck(area, came, row, tops, threshold)
        # one is enough where cross-sections lie on each other
        known = places[: len(found)]
        apart = np.hypot(known[:, 0] - neck.place[0], known[:, 1] - neck.place[1])
        if not (apart <= 1.5 + 0.5 * np.minimum(known[:, 2], neck.width)).any():
            places[len(found)] = *neck.place, neck.width
            found.append(neck)
    _tell_cuts(area, found, ranges)
    return found


def meeting_cells(area: Area, ratio: float, came: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where two wide places meet, from the widest meeting down: (n, 3) cell, neighbours on both sides; (n, 3) tops.

    The tops are those of the two wide places and the lower one of those that are parted.
    """
    around = neighbours(area.columns)
    cells = np.flatnonzero(saddle_cells(area.level, around, ARCS))
    cells = cells[np.argsort(-area.level[cells], kind="stable")]
    found = np.empty((1024, 3), np.int64)
    while True:
        link = np.full(area.level.size, -1, np.int32)
        joined = np.empty(area.level.size, np.int32)
        count = int(meetings(area.level, cells, around, area.unit, ratio, link, joined, found))
        if count <= len(found):
            break
        found = np.empty((count, 3), np.int64)
    found = found[:count]
    tops = beside(area.level, around, link, joined, came, area.unit, ratio, found)
    parted = tops[:, 0] >= 0
    return found[parted], tops[parted]


def _neck(area: Area, came: np.ndarray, cells: np.ndarray, tops: np.ndarray, threshold: float) -> Neck:
    saddle = int(cells[0])
    wide = max(0.5 * threshold + 1.0, 1.1 * float(area.clearance(cells[:1])[0]) + 2.0)
    sides = []
    for start, top in zip(cells[1:], tops[:2], strict=True):
        target = min(area.level_of(wide), int(area.level[top]))
        sides.append(way_to_level(area.level, came, neighbours(area.columns), saddle, int(start), target))
    way = np.concatenate([sides[0][::-1], [saddle], sides[1]])
    at, flat = _narrowest(area, way, len(sides[0]))
    middle, (ahead, back, dx, dy) = _shortest_chord(area, way, at)
    step = np.array([dx, dy]) / area.aspect
    ends = middle + np.array([[ahead], [-back]]) * step
    line, narrow = _narrow_part(area, way, at, threshold)
    return Neck(
        width=ahead + back,
        clearance_beside=float(area.clearance(tops[2:])[0]),
        ends=ends,
        way=line,
        narrow=narrow,
        flat=flat,
        tops=(int(tops[0]), int(tops[1])),
        cells=_across(area, ends),
        place=ends.mean(axis=0),
    )


def _narrowest(area: Area, way: np.ndarray, saddle: int) -> tuple[int, float]:
    """The middle of the narrowest part of a way, next to its saddle, and the length of that part."""
    near = area.clearance(way) <= area.clearance(way[saddle : saddle + 1])[0] + 1.0
    first, last = _run(near, saddle)
    at, widths = _sampled(area, way, first, last)
    narrow = widths <= widths.min() + 0.1
    candidates = np.flatnonzero(narrow)
    nearest = candidates[np.argmin(np.abs(at[candidates] - saddle))]
    begin, end = (int(at[k]) for k in _run(narrow, int(nearest)))
    return (begin + end) // 2, _length(area, way[begin : end + 1])


def _sampled(area: Area, way: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices along a part of a way and the widths there: some of a long part, and all beside the narrowest of them."""
    stride = 1 + (last - first) // 200
    at = np.arange(first, last + 1, stride)
    widths = area.widths(way[at])
    if stride == 1:
        return at, widths
    best = at[np.argmin(widths)]
    more = np.setdiff1d(np.arange(max(first, best - stride), min(last, best + stride) + 1), at)
    at, widths = np.append(at, more), np.append(widths, area.widths(way[more]))
    order = np.argsort(at)
    return at[order], widths[order]


def _shortest_chord(area: Area, way: np.ndarray, at: int) -> tuple[np.ndarray, np.ndarray]:
    """The middle of the narrowest part, looked for between the centres of cells too, and its chord."""
    near = area.points(way[max(at - 1, 0) : at + 2])
    along = np.linspace(0.0, len(near) - 1.0, 3 * len(near) - 2)
    points = np.column_stack([np.interp(along, np.arange(len(near)), column) for column in near.T])
    own = 3 * min(at, 1)
    found = area.chords(points)
    widths = found[:, :2].sum(axis=1)
    # the centre stays unless another place is narrower beyond doubt
    best = int(np.argmin(widths)) if widths.min() < widths[own] - 0.1 else own
    return points[best], found[best]


def _run(mask: np.ndarray, at: int) -> tuple[int, int]:
    """First and last index of the run of True that ``at`` lies in."""
    no = np.flatnonzero(~mask)
    after = np.searchsorted(no, at)
    first = no[after - 1] + 1 if after > 0 else 0
    last = no[after] - 1 if after < len(no) else len(mask) - 1
    return int(first), int(last)


def _narrow_part(area: Area, way: np.ndarray, at: int, threshold: float) -> tuple[np.ndarray, float]:
    """The part of a way around ``at`` that is narrower than the threshold, and its length."""
    # a chord is at least as long as the clearance to both sides
    maybe = 2.0 * area.clearance(way) < threshold + 1.0
    first, last = _run(maybe, at) if maybe[at] else (at, at)
    begin, end = area.narrow_run(way[first : last + 1], at - first, threshold)
    if end < begin:
        return np.empty((0, 2)), 0.0
    begin, end = first + begin, first + end
    points = area.points(way[begin : end + 1])
    for edge, inner, beyond in ((0, begin, begin - 1), (-1, end, end + 1)):
        if first <= beyond <= last:
            width, wider = area.widths(way[[inner, beyond]])
            there = area.points(way[[beyond]])[0]
            point = points[edge] + (threshold - width) / (wider - width) * (there - points[edge])
            points = np.vstack([point, points] if edge == 0 else [points, point])
    return _smooth(area, points)


def _smooth(area: Area, points: np.ndarray) -> tuple[np.ndarray, float]:
    """A line along cells without its stairs, and its length."""
    import shapely

    if len(points) < 2:
        return np.empty((0, 2)), 0.0
    line = shapely.simplify(shapely.linestrings(points * area.aspect), 1.0)
    return shapely.get_coordinates(line) / area.aspect, float(shapely.length(line))


def _length(area: Area, cells: np.ndarray) -> float:
    return _smooth(area, area.points(cells))[1]


def _across(area: Area, ends: np.ndarray) -> np.ndarray:
    """Inside cells of a cross-section, closed against steps over corners, and on to the first outside cells."""
    step = (ends[0] - ends[1]) / np.hypot(*(ends[0] - ends[1]))
    cells = [_passed(area, ends[0], ends[1])]
    for end, way in ((ends[0], step), (ends[1], -step)):
        beyond = _passed(area, end, end + 2.0 * way)
        outside = np.flatnonzero(area.level[beyond] == 0)
        cells.append(beyond[: outside[0]] if len(outside) else beyond)
    flat = np.unique(np.concatenate(cells))
    return np.asarray(flat[area.level[flat] > 0])


def _passed(area: Area, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Cells that a line passes, in order, with the cell beside every step over a corner."""
    rows, columns = area.inside.shape
    steps = int(np.ceil(8.0 * np.abs(end - start).max())) + 1
    points = start + (end - start) * np.linspace(0.0, 1.0, steps + 1)[:, None]
    cells = np.clip(np.floor(points + 0.5).astype(np.int64), 0, [columns - 1, rows - 1])
    both = np.repeat(cells, 2, axis=0)[:-1]
    both[1::2, 1] = cells[1:, 1]
    return np.asarray(both[:, 1] * columns + both[:, 0])


def _tell_cuts(area: Area, found: list[Neck], ranges: np.ndarray | None) -> None:
    """Tell for every neck whether its cross-section alone parts its two sides, and which ranges.

    Parts of the area without all cross-sections are labelled once; a small graph of parts and cross-sections tells the
    rest.
    """
    if not found:
        return
    graph = _Graph(area, found)
    places = _range_nodes(graph, ranges) if ranges is not None else []
    for number, neck in enumerate(found):
        own = graph.cut(number)
        groups = graph.groups_without(own)
        if ranges is None:
            one, two = graph.nodes(np.array(neck.tops))
            neck.is_cut = bool(groups[one] != groups[two])
        else:
            neck.parted = list(_parted(places, groups, graph.whole, own))
            neck.is_cut = bool(neck.parted)


def _range_nodes(graph: "_Graph", ranges: np.ndarray) -> list[np.ndarray]:
    """The nodes that each range lies in; a part that touches no cross-section is never parted from anything."""
    padded = np.pad(ranges, 1, constant_values=-1)
    padded[~graph.area.inside] = -1
    nodes = [np.unique(graph.nodes(np.flatnonzero(padded == k))) for k in range(int(ranges.max()) + 1)]
    return [own[own >= 0] for own in nodes]


def _parted(places: list[np.ndarray], groups: np.ndarray, whole: np.ndarray, removed: int) -> Iterator[tuple[int, int]]:
    for i, one in enumerate(places):
        for j in range(i + 1, len(places)):
            two = places[j]
            joined = np.intersect1d(whole[one], whole[two]).size > 0
            still = np.intersect1d(groups[one[one != removed]], groups[two[two != removed]]).size > 0
            if joined and not still:
                yield i, j


class _Graph:
    """Parts of an area between its cross-sections, and what touches what.

    Nodes are the cross-sections and the parts that touch one; there may be very many others.
    """

    def __init__(self, area: Area, found: list[Neck]) -> None:
        self.area = area
        free = area.inside.copy()
        flat = free.ravel()
        self._cut: dict[int, int] = {}
        for number, neck in enumerate(found):
            flat[neck.cells] = False
            for cell in neck.cells.tolist():
                self._cut.setdefault(cell, number)
        self._many = len(found)
        self._labels, parts = label_block(free, neighbours=8)
        pairs = self._touching(found)
        nodes, index = np.unique(pairs, return_inverse=True)
        self._one, self._two = index.reshape(-1, 2).T
        self._node = np.full(self._many + parts, -1)
        self._node[nodes] = np.arange(len(nodes))
        self._size = len(nodes)
        self.whole = self.groups_without(-1)

    def nodes(self, cells: np.ndarray) -> np.ndarray:
        """The node of every cell of the area, -1 for one in a part that touches no cross-section."""
        return np.asarray(self._node[self._numbers(cells)])

    def cut(self, number: int) -> int:
        """The node of a cross-section."""
        return int(self._node[number])

    def groups_without(self, removed: int) -> np.ndarray:
        """The group of every node once one is taken out (none: -1)."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        kept = (self._one != removed) & (self._two != removed)
        edges = np.ones(np.count_nonzero(kept), np.int8), (self._one[kept], self._two[kept])
        graph = csr_array(edges, shape=(self._size, self._size))
        return np.asarray(connected_components(graph, directed=False)[1])

    def _numbers(self, cells: np.ndarray) -> np.ndarray:
        """The cross-section of each cell, or its part, numbered after the cross-sections."""
        out = self._labels.ravel()[cells].astype(np.int64) + self._many - 1
        for k in np.flatnonzero(out < self._many):
            out[k] = self._cut[int(cells[k])]
        return np.asarray(out)

    def _touching(self, found: list[Neck]) -> np.ndarray:
        around = np.append(neighbours(self.area.columns), 0)
        pairs = [np.empty((0, 2), np.int64)]
        for number, neck in enumerate(found):
            near = np.unique(neck.cells[:, None] + around)
            other = np.append(np.unique(self._numbers(near[self.area.level[near] > 0])), number)
            pairs.append(np.column_stack([np.full(len(other), number), other]))
        return np.concatenate(pairs)


def match_over_tiers(tiers: list[list[Neck]]) -> list[list[tuple[int, Neck]]]:
    """Necks of nested areas that are one place, from the widest area in: lists of (tier, neck).

    A neck goes with the nearest of the areas around it whose middle lies within half of both widths and half of both
    flat parts; each takes one neck of a tier.
    """
    groups: list[list[tuple[int, Neck]]] = []
    for tier, found in enumerate(tiers):
        taken = _nearest_pairs(found, [group[-1][1] for group in groups])
        for i, neck in enumerate(found):
            if i in taken:
                groups[taken[i]].append((tier, neck))
            else:
                groups.append([(tier, neck)])
    return groups


def _nearest_pairs(found: list[Neck], known: list[Neck]) -> dict[int, int]:
    if not found or not known:
        return {}
    apart = np.linalg.norm(
        np.array([neck.place for neck in found])[:, None] - np.array([neck.place for neck in known]), axis=2
    )
    room = [0.5 * np.array([neck.width + neck.flat for neck in necks]) for necks in (found, known)]
    close = np.argwhere(apart <= room[0][:, None] + room[1] + 1.0)
    taken: dict[int, int] = {}
    for i, g in close[np.argsort(apart[tuple(close.T)], kind="stable")].tolist():
        if i not in taken and g not in taken.values():
            taken[i] = g
    return taken
