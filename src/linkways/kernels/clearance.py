"""How far a cell lies from the edge of its area, and the widest way through an area: numpy in, numpy out."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["distance_to_outside", "widest_way"]


def distance_to_outside(
    inside: np.ndarray, east_west: np.ndarray, north_south: np.ndarray, *, wraps: bool = False
) -> np.ndarray:
    """Distance in metres from every inside cell's centre to the nearest outside cell's centre, 0 outside.

    Exact Euclidean distance on the plane that each row spans with its own east-west step (Felzenszwalb and
    Huttenlocher 2012, lower envelope of parabolas); inf where there is no outside cell at all. Nothing beyond
    the array counts as outside: pad the array where its border is an edge.
    """
    inside = np.ascontiguousarray(inside, dtype=np.bool_)
    northing = np.concatenate([[0.0], np.cumsum(north_south)])
    columns = inside.shape[1]
    if wraps:
        inside = np.concatenate([inside, inside, inside], axis=1)
    out = _to_outside(inside, np.ascontiguousarray(east_west, dtype=np.float64), northing)
    return out[:, columns : 2 * columns] if wraps else out


def widest_way(clearance: np.ndarray, start: np.ndarray, end: np.ndarray, *, neighbours: int = 8) -> tuple[float, int]:
    """The largest clearance that can be kept all the way from a start cell to an end cell, and where it is least.

    Start and end cells themselves need that clearance too; cells with clearance 0 are closed. Returns the clearance
    and a flat cell that has it on the way, (0.0, -1) when there is no way. Maximum-bottleneck path by adding cells
    from wide to narrow (Pollack 1960).
    """
    flat = clearance.ravel()
    order = np.flatnonzero(flat > 0)
    order = order[np.argsort(-flat[order], kind="stable")].astype(np.int64)
    value, cell = _join_from_wide_to_narrow(
        np.ascontiguousarray(clearance, dtype=np.float64),
        np.ascontiguousarray(start).ravel(),
        np.ascontiguousarray(end).ravel(),
        order,
        8 if neighbours == 8 else 4,
    )
    return float(value), int(cell)


@njit(cache=True, nogil=True)
def _to_outside(inside: np.ndarray, east_west: np.ndarray, northing: np.ndarray) -> np.ndarray:
    rows, columns = inside.shape
    out = np.empty((rows, columns), np.float64)
    for column in range(columns):
        last = -np.inf
        for row in range(rows):
            if not inside[row, column]:
                last = northing[row]
            out[row, column] = northing[row] - last
        last = np.inf
        for row in range(rows - 1, -1, -1):
            if not inside[row, column]:
                last = northing[row]
            out[row, column] = min(out[row, column], last - northing[row])
    apex = np.empty(columns, np.int64)
    height = np.empty(columns, np.float64)
    begin = np.empty(columns + 1, np.float64)
    for row in range(rows):
        step = east_west[row]
        count = 0
        for column in range(columns):
            h = out[row, column]
            if h == np.inf:
                continue
            f = h * h
            x = column * step
            while count > 0:
                other = apex[count - 1] * step
                cross = (f + x * x - height[count - 1] - other * other) / (2.0 * (x - other))
                if cross > begin[count - 1]:
                    break
                count -= 1
            begin[count] = -np.inf if count == 0 else cross
            apex[count] = column
            height[count] = f
            count += 1
        if count == 0:
            out[row, :] = np.inf
            continue
        part = 0
        for column in range(columns):
            x = column * step
            while part + 1 < count and begin[part + 1] < x:
                part += 1
            gap = x - apex[part] * step
            out[row, column] = np.sqrt(gap * gap + height[part])
    return out


@njit(cache=True, nogil=True)
def _find(parent: np.ndarray, cell: int) -> int:
    while parent[cell] != cell:
        parent[cell] = parent[parent[cell]]
        cell = parent[cell]
    return cell


@njit(cache=True, nogil=True)
def _join_from_wide_to_narrow(
    clearance: np.ndarray, start: np.ndarray, end: np.ndarray, order: np.ndarray, neighbours: int
) -> tuple[float, int]:
    rows, columns = clearance.shape
    # two extra nodes stand for all start cells and all end cells
    begin, finish = rows * columns, rows * columns + 1
    parent = np.full(rows * columns + 2, -1, np.int64)
    parent[begin] = begin
    parent[finish] = finish
    for cell in order:
        row, column = cell // columns, cell % columns
        parent[cell] = begin if start[cell] else cell
        if end[cell]:
            parent[_find(parent, cell)] = finish
        for i in range(max(0, row - 1), min(rows, row + 2)):
            for j in range(max(0, column - 1), min(columns, column + 2)):
                near = i * columns + j
                if near == cell or parent[near] < 0 or (neighbours == 4 and i != row and j != column):
                    continue
                one, two = _find(parent, cell), _find(parent, near)
                if one != two:
                    parent[one] = two
        if _find(parent, begin) == _find(parent, finish):
            return clearance[row, column], cell
    return 0.0, -1
