"""Simulated river basins: dendritic networks and barriers with known truth, for tests, teaching and null models.

Cells of a grid drain into one another along a random tree; channels begin where enough cells have come together. What
is returned lies in metres off the Gulf of Guinea, so that no one takes it for a place, and says that it is simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["random_barriers", "random_basin"]

Seed = int | np.random.Generator

# UTM zone 31 north; the outlet lies on the equator
_CRS = "EPSG:32631"
_LEFT = 500_000.0


def random_basin(
    rows: int,
    columns: int,
    *,
    seed: Seed,
    model: Literal["spanning_tree", "scheidegger"] = "spanning_tree",
    channel_cells: int = 5,
    cell_size_m: float = 1000.0,
    steepness: float = 20.0,
    crs: Any = _CRS,
) -> gpd.GeoDataFrame:
    """Return the channels of a simulated basin, one line per reach, drawn downstream, with the truth about each.

    ``"spanning_tree"``: the spanning tree of least total weight over uniform random weights between the four
    neighbours on the grid, rooted at the middle of the southern edge: one basin that fills the grid.
    ``"scheidegger"``: every cell drains to one of its two southern neighbours, each as likely (Scheidegger, 1967,
    Bulletin of the International Association of Scientific Hydrology 12:15-20): many basins side by side.

    Each cell is drawn at a random place in its middle half. Along each step of length L the bed rises by
    steepness x L / sqrt(upstream cells): slope falls with the root of the area (Flint, 1974, Water Resources Research
    10:969-973).

    Args:
        rows: number of rows of cells.
        columns: number of columns of cells.
        seed: whole number, or the generator to draw from.
        model: how cells drain.
        channel_cells: a cell carries a channel when so many cells drain through it, itself counted.
        cell_size_m: side of a cell in metres.
        steepness: slope below a single cell, in metres per kilometre.
        crs: projected CRS in metres.

    Returns:
        Lines with reach, down (reach downstream, -1 at an outlet), length_m, upstream_km2 (at the lower end),
        elevation_start_m and elevation_end_m; ``attrs`` say that they are simulated, and by which model.

    Raises:
        LinkwaysError: fewer than 2 x 2 cells, sizes that are not above 0, an unknown model, or no cell with a channel.
    """
    import geopandas as gpd
    import shapely

    _check(rows, columns, channel_cells, cell_size_m, steepness)
    rng = np.random.default_rng(seed)
    models = {"spanning_tree": _spanning_tree, "scheidegger": _scheidegger}
    if model not in models:
        raise LinkwaysError(f"model must be spanning_tree or scheidegger; got {model!r}")
    down = models[model](rows, columns, rng)
    shift = 0.5 if model == "scheidegger" else 0.0
    x, y = _cell_places(rows, columns, shift, cell_size_m, rng)
    land = np.arange(len(down)) < rows * columns
    cells = sum_upstream(down, land.astype(np.float64))
    lines, first, last, onward = channel_lines(down, (cells >= channel_cells) & (land | (cells > 0)), x, y)
    if not len(lines):
        raise LinkwaysError(f"no cell of {rows} x {columns} gathers {channel_cells} cells; lower channel_cells")
    step = np.where(down >= 0, np.hypot(x - x[down], y - y[down]), 0.0)
    bed = sum_downstream(down, steepness / 1000.0 * step / np.sqrt(np.maximum(cells, 1.0)))
    frame = gpd.GeoDataFrame(
        {
            "reach": np.arange(len(lines)),
            "down": onward,
            "length_m": shapely.length(lines),
            "upstream_km2": cells[last] * (cell_size_m / 1000.0) ** 2,
            "elevation_start_m": bed[first],
            "elevation_end_m": bed[np.where(down[last] >= 0, down[last], last)],
        },
        geometry=lines,
        crs=crs,
    )
    frame.attrs = {"simulated": True, "source": f"simulated: river basin ({model.replace('_', ' ')})"}
    return frame


def random_barriers(
    reaches: gpd.GeoDataFrame,
    count: int,
    *,
    seed: Seed,
    offset_m: float = 0.0,
    kinds: Mapping[str, float] | None = None,
) -> gpd.GeoDataFrame:
    """Return simulated barriers along a river, each as likely on every metre, with the truth about where they stand.

    Args:
        reaches: lines with a column reach, drawn downstream, in a projected CRS in metres.
        count: number of barriers.
        seed: whole number, or the generator to draw from.
        offset_m: each is moved off the river by up to so much, in any direction: the error of a register.
        kinds: share of each kind; by default half dams, half culverts.

    Returns:
        Points with kind, passability (uniform, 0 to 1), true_reach and true_along_m (from the upper end of the reach);
        ``attrs`` say that they are simulated.

    Raises:
        LinkwaysError: no column reach, a geographic CRS, a count below 1, an offset below 0, or shares not above 0.
    """
    import geopandas as gpd
    import shapely

    shares = {"dam": 0.5, "culvert": 0.5} if kinds is None else dict(kinds)
    if "reach" not in reaches.columns or reaches.crs is None or reaches.crs.is_geographic:
        raise LinkwaysError("reaches must have a column reach and a projected CRS in metres")
    if count < 1 or not offset_m >= 0.0:
        raise LinkwaysError(f"count must be 1 or more and offset_m 0 or more; got {count} and {offset_m}")
    if not shares or not all(share > 0 for share in shares.values()):
        raise LinkwaysError(f"kinds must give each kind a share above 0; got {shares}")
    rng = np.random.default_rng(seed)
    lines = reaches.geometry.to_numpy()
    length = shapely.length(lines)
    laid = np.cumsum(length)
    spot = rng.uniform(0.0, laid[-1], count)
    row = np.searchsorted(laid, spot, side="right")
    along = spot - (laid[row] - length[row])
    at = shapely.get_coordinates(shapely.line_interpolate_point(lines[row], along))
    turn, away = rng.uniform(0.0, 2.0 * np.pi, count), offset_m * rng.random(count)
    weights = np.array(list(shares.values())) / sum(shares.values())
    frame = gpd.GeoDataFrame(
        {
            "kind": rng.choice(np.array(list(shares), dtype=object), count, p=weights),
            "passability": rng.random(count),
            "true_reach": reaches["reach"].to_numpy()[row],
            "true_along_m": along,
        },
        geometry=shapely.points(at[:, 0] + away * np.cos(turn), at[:, 1] + away * np.sin(turn)),
        crs=reaches.crs,
    )
    frame.attrs = {"simulated": True, "source": f"simulated: {count} barriers, up to {offset_m:g} m off the river"}
    return frame


# --- trees of cells, each with the cell that it drains to, -1 where water leaves -------------------------------------


def sum_downstream(down: Ints, values: Floats) -> Floats:
    """Sum of the values from each cell down to where the water leaves, its own included."""
    total, onward = np.append(values, 0.0), np.append(down, -1)
    while (onward >= 0).any():
        # the last entry, which -1 reads, is 0 and leads nowhere
        total, onward = total + total[onward], onward[onward]
    return total[:-1]


def sum_upstream(down: Ints, values: Floats) -> Floats:
    """Sum of the values of each cell and of all cells that drain through it."""
    depth = sum_downstream(down, np.ones(len(down))).astype(np.int64)
    order = np.argsort(-depth, kind="stable")
    total = values.astype(np.float64).copy()
    # all cells of one depth at a time, the farthest from the outlet first
    for level in np.split(order, np.flatnonzero(np.diff(depth[order])) + 1)[: int(depth.max()) - 1]:
        np.add.at(total, down[level], total[level])
    return total


def channel_lines(down: Ints, channel: Bools, x: Floats, y: Floats) -> tuple[NDArray[np.object_], Ints, Ints, Ints]:
    """Channel cells as lines between sources, confluences and outlets.

    Below a channel cell every cell must be one. A line starts at a source or a confluence and ends at the next
    confluence, or at the cell where the water leaves.

    Returns:
        The lines; of each the first cell, the last cell before the next line, and the line that it flows into (-1).
    """
    import shapely

    inside = channel & (down >= 0)
    donors = np.bincount(down[inside], minlength=len(down))
    head = channel & (donors != 1)
    above = np.arange(len(down))
    above[down[inside]] = np.flatnonzero(inside)
    above[~channel | head] = np.flatnonzero(~channel | head)
    hops = (above != np.arange(len(down))).astype(np.int64)
    while (above[above] != above).any():
        hops, above = hops + hops[above], above[above]
    # a head from which the water leaves at once has no length
    starts = np.flatnonzero(head & (down >= 0))
    number = np.full(len(down) + 1, -1, np.int64)
    number[starts] = np.arange(len(starts))
    members = np.flatnonzero(channel & (number[above] >= 0))
    order = members[np.lexsort((hops[members], number[above[members]]))]
    line = number[above[order]]
    ends = np.flatnonzero(np.append(line[1:] != line[:-1], True)) if len(line) else np.zeros(0, np.int64)
    last = order[ends]
    joins = last[down[last] >= 0]
    cells = np.concatenate([order, down[joins]])
    owner = np.concatenate([line, number[above[joins]]])
    sort = np.argsort(owner, kind="stable")
    lines = shapely.linestrings(np.column_stack([x, y])[cells[sort]], indices=owner[sort])
    return lines, starts, last, number[down[last]]


def _spanning_tree(rows: int, columns: int, rng: np.random.Generator) -> Ints:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    cell = np.arange(rows * columns).reshape(rows, columns)
    a = np.concatenate([cell[:, :-1].ravel(), cell[:-1].ravel()])
    b = np.concatenate([cell[:, 1:].ravel(), cell[1:].ravel()])
    graph = coo_array((1.0 - rng.random(len(a)), (a, b)), shape=(cell.size,) * 2).tocsr()
    mouth = int(cell[-1, columns // 2])
    _, before = breadth_first_order(minimum_spanning_tree(graph), mouth, directed=False)
    down = np.concatenate([before.astype(np.int64), np.full(columns, -1, np.int64)])
    down[mouth] = mouth + columns
    return down


def _scheidegger(rows: int, columns: int, rng: np.random.Generator) -> Ints:
    row, column = np.divmod(np.arange(rows * columns), columns)
    # rows are shifted by half a cell in turn, so that the two southern neighbours are as near
    to = np.clip(column + rng.integers(0, 2, rows * columns) - 1 + row % 2, 0, columns - 1)
    # the last row drains straight into the sea, each cell by itself
    to = np.where(row == rows - 1, column, to)
    return np.concatenate([(row + 1) * columns + to, np.full(columns, -1)]).astype(np.int64)


def _cell_places(
    rows: int, columns: int, shift: float, cell_size_m: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """A place for each cell, and for the sea south of each column."""
    row, column = np.divmod(np.arange((rows + 1) * columns), columns)
    jitter = rng.uniform(-0.25, 0.25, (2, len(row)))
    x = _LEFT + (column + 0.5 + shift * (row % 2) + jitter[0]) * cell_size_m
    y = (rows - row - 0.5 + jitter[1]) * cell_size_m
    # the sea lies at the southern edge of the last row
    y[row == rows] = 0.0
    return x, y


def _check(rows: int, columns: int, channel_cells: int, cell_size_m: float, steepness: float) -> None:
    if rows < 2 or columns < 2:
        raise LinkwaysError(f"a basin needs at least 2 x 2 cells; got {rows} x {columns}")
    for name, value in (("channel_cells", channel_cells), ("cell_size_m", cell_size_m), ("steepness", steepness)):
        if not value > 0:
            raise LinkwaysError(f"{name} must be above 0; got {value}")
