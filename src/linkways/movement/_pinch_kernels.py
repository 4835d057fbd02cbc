"""Necks of an area of cells: where two wide parts meet, the way through, and the shortest chord; numpy in, numpy out.

Arrays of cells are padded by one ring of outside cells and flat; ``columns`` is the padded width. ``level`` is the
squared distance of a cell to the nearest outside cell in a whole unit, 0 outside. The rank of a cell is its level,
then its index, so that no two cells are alike.
"""

import heapq

import numpy as np
from numba import njit

__all__ = ["ARCS", "beside", "chords", "meetings", "narrow_run", "neighbours", "saddle_cells", "way_to_level"]


def neighbours(columns: int) -> np.ndarray:
    """From a cell to its eight neighbours, clockwise from the one above."""
    return np.array([-columns, 1 - columns, 1, columns + 1, columns, columns - 1, -1, -columns - 1])


def _arcs() -> np.ndarray:
    """For each set of neighbours, as bits: how many parts it falls into where the cell itself is left out."""
    out = np.zeros(256, np.uint8)
    for bits in range(256):
        left = {k for k in range(8) if bits >> k & 1}
        while left:
            out[bits] += 1
            edge = [left.pop()]
            while edge:
                k = edge.pop()
                # those over an edge also touch the next over an edge, by a corner
                near = {(k + 1) % 8, (k - 1) % 8} | ({(k + 2) % 8, (k - 2) % 8} if k % 2 == 0 else set())
                edge += near & left
                left -= near
    return out


ARCS = _arcs()


@njit(cache=True, nogil=True)
def saddle_cells(level: np.ndarray, around: np.ndarray, arcs: np.ndarray) -> np.ndarray:
    """Where the neighbours of higher rank fall into several parts, (cells,) bool: only there can parts meet."""
    out = np.zeros(level.size, np.bool_)
    for cell in range(level.size):
        if level[cell] == 0:
            continue
        bits = 0
        for k in range(8):
            near = cell + around[k]
            # of one level the cell with the lower index has the higher rank
            if level[near] > level[cell] or (level[near] == level[cell] and near < cell):
                bits |= 1 << k
        out[cell] = arcs[bits] > 1
    return out


@njit(cache=True, nogil=True)
def _top(level: np.ndarray, around: np.ndarray, cell: int) -> int:
    """The cell that steepest ascent ends at."""
    while True:
        best = cell
        for step in around:
            near = cell + step
            if level[near] > level[best] or (level[near] == level[best] and near < best):
                best = near
        if best == cell:
            return best
        cell = best


@njit(cache=True, nogil=True)
def _find(parent: np.ndarray, cell: int) -> int:
    while parent[cell] != cell:
        parent[cell] = parent[parent[cell]]
        cell = parent[cell]
    return cell


@njit(cache=True, nogil=True)
def meetings(
    level: np.ndarray,
    cells: np.ndarray,
    around: np.ndarray,
    unit: float,
    ratio: float,
    link: np.ndarray,
    joined: np.ndarray,
    found: np.ndarray,
) -> int:
    """Find the cells where parts with wide places meet, or one such part meets itself; return their number.

    ``cells`` are those of `saddle_cells` from the highest rank to the lowest. The first n are written into ``found``
    (n, 3): the cell and its neighbours on the two sides. ``link`` (all -1) gets for every top the higher top that its
    part joins, or itself, and ``joined`` the cell they meet at.
    """
    parent = link.copy()  # of tops only; the root of a part is its highest top
    count = 0
    side = np.empty(4, np.int64)
    root = np.empty(4, np.int64)
    for cell in cells:
        arcs = _sides(level, around, cell, side)
        wide = _wide_level(level[cell], unit, ratio)
        for k in range(arcs):
            top = _top(level, around, side[k])
            if parent[top] < 0:
                parent[top] = link[top] = top
            root[k] = _find(parent, top)
        main = 0  # the side with the highest top
        for k in range(1, arcs):
            one, two = root[main], _find(parent, root[k])
            low, high = two, one
            if level[two] > level[one] or (level[two] == level[one] and two < one):
                low, high = one, two
            if level[low] >= wide:
                if count < found.shape[0]:
                    found[count, 0], found[count, 1], found[count, 2] = cell, side[main], side[k]
                count += 1
            if low != high:
                parent[low] = link[low] = high
                joined[low] = cell
                if high == two:
                    main = k
                root[main] = high
    return count


@njit(cache=True, nogil=True)
def _wide_level(level: int, unit: float, ratio: float) -> int:
    """The lowest level beside which a cell is a neck: ``s + 1/2 < ratio (b - 1/2)`` in clearances of cell sides.

    Half a side lies between a cell's centre and its edge, and either clearance is known to half a side.
    """
    root = np.sqrt(level) / ratio + 1.0 / unit
    return int(np.floor(root * root * (1.0 + 1e-12))) + 1


@njit(cache=True, nogil=True)
def _sides(level: np.ndarray, around: np.ndarray, cell: int, side: np.ndarray) -> int:
    """The highest neighbour in each part of the neighbours of higher rank, the highest first; how many parts."""
    higher = np.zeros(8, np.bool_)
    for k in range(8):
        near = cell + around[k]
        higher[k] = level[near] > level[cell] or (level[near] == level[cell] and near < cell)
    arcs = 0
    for start in range(8):
        if not higher[start]:
            continue
        best = cell + around[start]
        edge = [start]
        higher[start] = False
        while len(edge):
            k = edge.pop()
            near = cell + around[k]
            if level[near] > level[best] or (level[near] == level[best] and near < best):
                best = near
            for turn in (1, 7, 2, 6):
                other = (k + turn) % 8
                # those over an edge also touch the next over an edge, by a corner
                if higher[other] and (turn in (1, 7) or k % 2 == 0):
                    higher[other] = False
                    edge.append(other)
        side[arcs] = best
        arcs += 1
    return arcs


@njit(cache=True, nogil=True)
def way_to_level(
    level: np.ndarray, came: np.ndarray, around: np.ndarray, saddle: int, start: int, target: int
) -> np.ndarray:
    """Cells of the widest way from ``start`` to the first cell at ``target`` level, through ranks above the saddle's.

    Best first: the reached cell of the highest rank goes on (Pollack 1960). ``came`` (int8, all -1) is left as found.
    """
    edge = [(-np.int64(level[start]), np.int64(start))]
    touched = [np.int64(start)]
    came[start] = 8
    last = np.int64(start)
    while len(edge):
        _, cell = heapq.heappop(edge)
        last = cell
        if level[cell] >= target:
            break
        for k in range(8):
            near = cell + around[k]
            if came[near] >= 0 or level[near] < level[saddle]:
                continue
            if level[near] == level[saddle] and near >= saddle:
                continue
            came[near] = k
            touched.append(near)
            heapq.heappush(edge, (-np.int64(level[near]), np.int64(near)))
    way = [last]
    while came[last] < 8:
        last -= around[came[last]]
        way.append(last)
    for cell in touched:
        came[cell] = -1
    return np.array(way[::-1])


@njit(cache=True, nogil=True)
def _part(level: np.ndarray, around: np.ndarray, link: np.ndarray, joined: np.ndarray, cell: int, least: int) -> int:
    """The highest top that can be reached from a cell without going below a level."""
    top = _top(level, around, cell)
    while link[top] >= 0 and link[top] != top and level[joined[top]] >= least:
        top = link[top]
    return top


@njit(cache=True, nogil=True)
def _met(level: np.ndarray, link: np.ndarray, joined: np.ndarray, one: int, two: int) -> int:
    """The lower of the two tops whose parts meet where the parts of two tops do."""
    last = one
    while one != two:
        # the part that joins another one first goes on
        first = two
        if link[one] != one:
            a, b = joined[one], joined[two]
            if link[two] == two or level[a] > level[b] or (level[a] == level[b] and a < b):
                first = one
        last = first
        if first == one:
            one = link[one]
        else:
            two = link[two]
    return last


@njit(cache=True, nogil=True)
def beside(
    level: np.ndarray,
    around: np.ndarray,
    link: np.ndarray,
    joined: np.ndarray,
    came: np.ndarray,
    unit: float,
    ratio: float,
    found: np.ndarray,
) -> np.ndarray:
    """Tops of the wide places on the two sides of every cell of `meetings`, and the lower top that is parted: (n, 3).

    -1 where the two sides are one wide place: there a way runs beside a wider one, round a hole.
    """
    out = np.full((found.shape[0], 3), -1)
    for k in range(found.shape[0]):
        saddle = found[k, 0]
        wide = _wide_level(level[saddle], unit, ratio)
        for i in range(2):
            way = way_to_level(level, came, around, saddle, found[k, 1 + i], wide)
            out[k, i] = _part(level, around, link, joined, way[way.size - 1], wide)
        if out[k, 0] == out[k, 1]:
            out[k] = -1
        else:
            out[k, 2] = _met(level, link, joined, out[k, 0], out[k, 1])
    return out


@njit(cache=True, nogil=True)
def _signed(level: np.ndarray, columns: int, unit: float, cell: int) -> float:
    """Distance to the edge of the area in cell sides, negative outside, for a cell at its edge or inside."""
    if level[cell] > 0:
        return np.sqrt(level[cell]) * unit - 0.5
    rows = level.size // columns
    row, column = cell // columns, cell % columns
    best = -1.5
    for i in range(max(0, row - 1), min(rows, row + 2)):
        for j in range(max(0, column - 1), min(columns, column + 2)):
            if level[i * columns + j] > 0:
                best = max(best, -0.5 if i == row or j == column else -0.914)
    return best


@njit(cache=True, nogil=True)
def _signed_at(level: np.ndarray, columns: int, unit: float, x: float, y: float) -> float:
    """The same between the centres of cells (x: columns, y: rows), bilinear; outside of the array far outside."""
    i, j = int(np.floor(y)), int(np.floor(x))
    if i < 0 or j < 0 or i + 1 >= level.size // columns or j + 1 >= columns:
        return -1.5
    v, u = y - i, x - j
    at = i * columns + j
    above = _signed(level, columns, unit, at) * (1.0 - u) + _signed(level, columns, unit, at + 1) * u
    below = (
        _signed(level, columns, unit, at + columns) * (1.0 - u) + _signed(level, columns, unit, at + columns + 1) * u
    )
    return above * (1.0 - v) + below * v


@njit(cache=True, nogil=True)
def _ray(
    level: np.ndarray,
    columns: int,
    unit: float,
    aspect: np.ndarray,
    x0: float,
    y0: float,
    dx: float,
    dy: float,
    enough: float,
) -> float:
    """How far the edge is from a point in a direction, in sides; gives up past ``enough``.

    Steps are as long as the edge is far (sphere tracing; Hart 1996), the edge itself by a straight line in between.
    """
    low, high = 0.0, np.inf
    inner, outer = _signed_at(level, columns, unit, x0, y0), -1.0
    while low <= enough:
        # once past the edge the step is halved until the line between its ends is straight enough
        at = low + max(0.25, 0.9 * inner) if high == np.inf else 0.5 * (low + high)
        value = _signed_at(level, columns, unit, x0 + at * dx / aspect[0], y0 + at * dy / aspect[1])
        if value <= 0.0:
            high, outer = at, value
        else:
            low, inner = at, value
        if high - low <= 0.2501:
            return low + (high - low) * inner / (inner - outer)
    return np.inf


@njit(cache=True, nogil=True)
def _chord(
    level: np.ndarray, columns: int, unit: float, aspect: np.ndarray, x: float, y: float, enough: float
) -> tuple[float, float, float, float]:
    """The shortest straight line from edge to edge through a point, or the first found that is below ``enough``."""
    ahead, back, ex, ey = np.inf, np.inf, 0.0, 0.0
    clear = _signed_at(level, columns, unit, x, y)
    half = 2 * int(min(max(np.ceil(0.5 * np.pi * (clear + 0.5)), 12), 180))
    for k in range(2 * half):
        # a quarter turn swaps sine and cosine exactly, so that a turned area has the same chords
        part = k % half
        if 2 * part <= half:
            dx, dy = np.cos(0.5 * np.pi * part / half), np.sin(0.5 * np.pi * part / half)
        else:
            dy, dx = np.cos(0.5 * np.pi * (half - part) / half), np.sin(0.5 * np.pi * (half - part) / half)
        if k >= half:
            dx, dy = -dy, dx
        # neither half can be much shorter than the way to the nearest edge
        one = _ray(level, columns, unit, aspect, x, y, dx, dy, ahead + back - (clear - 0.5))
        if one >= ahead + back:
            continue
        two = _ray(level, columns, unit, aspect, x, y, -dx, -dy, ahead + back - one)
        if one + two < ahead + back - 1e-9:
            ahead, back, ex, ey = one, two, dx, dy
            if ahead + back < enough:
                break
    return ahead, back, ex, ey


@njit(cache=True, nogil=True)
def chords(level: np.ndarray, columns: int, unit: float, aspect: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The shortest straight line from edge to edge through points (n, 2) inside: length ahead, back, direction (x, y).

    Points are (column, row), lengths in cell sides (the shorter side where cells are not square; ``aspect`` holds
    width and height in it). Two neighbouring directions part by half a side at the edge.
    """
    out = np.empty((points.shape[0], 4))
    for i in range(points.shape[0]):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = _chord(
            level, columns, unit, aspect, points[i, 0], points[i, 1], 0.0
        )
    return out


@njit(cache=True, nogil=True)
def narrow_run(
    level: np.ndarray, columns: int, unit: float, aspect: np.ndarray, points: np.ndarray, at: int, threshold: float
) -> tuple[int, int]:
    """First and last of the points (n, 2) along a way around ``at`` whose chords are all below the threshold.

    They are looked at from ``at`` outwards, and each only until one of its lines is short enough. (at, at - 1) where
    the chord of ``at`` itself is not.
    """
    ends = np.array([at, at])
    ahead, back, _, _ = _chord(level, columns, unit, aspect, points[at, 0], points[at, 1], threshold)
    if not ahead + back < threshold:
        return at, at - 1
    for side in range(2):
        step = 2 * side - 1
        i = at + step
        while 0 <= i < points.shape[0]:
            ahead, back, _, _ = _chord(level, columns, unit, aspect, points[i, 0], points[i, 1], threshold)
            if not ahead + back < threshold:
                break
            ends[side] = i
            i += step
    return ends[0], ends[1]
