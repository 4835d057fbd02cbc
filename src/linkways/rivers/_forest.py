"""Rivers as arrays: a checked forest of reaches that flow towards their outlets, and the barriers between them.

The tables of this room, as every method of it reads and writes them:

- reaches, one row each: ``reach`` (whole number, unique), ``down`` (the reach that it flows into; -1 or missing at an
  outlet), ``length_m``, and columns of one's own such as weights. Geometry is welcome and not needed.
- barriers, one row each: ``barrier`` (unique), ``reach``: the reach whose downstream end carries the barrier (reaches
  are cut at barriers, and the river just below a barrier belongs to the reach below it), ``pass_up`` and ``pass_down``
  or one ``passability``, all 0 to 1, and columns of one's own.

A `Forest` holds the reaches in the order of their *places*: every place lies after all those upstream of it and the
places of a basin, and of everything upstream of any reach, follow one another. One loop over the places in rising order
goes down all rivers, one in falling order up, and nothing here recurses.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int32]

__all__ = [
    "BarrierPlaces",
    "EdgePassability",
    "Forest",
    "edge_passability",
    "numbers",
    "numbers_or_missing",
    "passability_columns",
    "read_barriers",
    "read_forest",
    "read_weights",
    "rows_of",
    "whole_numbers",
]


@dataclass(frozen=True)
class Forest:
    """A checked rooted forest of n reaches in k basins.

    Attributes:
        ids: reach id by row of the table, (n,).
        row: row of the table by place, (n,).
        place: place by row of the table, (n,).
        down: place downstream by place, always larger than the own one; -1 at an outlet, (n,).
        starts: the first place of each basin, and n at the end, (k + 1,); the outlet is the last place of its basin.
        length_m: length by place, in metres, (n,).
    """

    ids: "NDArray[np.int64]"
    row: "Places"
    place: "Places"
    down: "Places"
    starts: "NDArray[np.int64]"
    length_m: "Floats"

    @property
    def outlets(self) -> "NDArray[np.int64]":
        """Ids of the outlet reaches, one for each basin."""
        return self.ids[self.row[self.starts[1:] - 1]]

    @property
    def basin(self) -> "NDArray[np.int64]":
        """Number of the basin by place."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def by_row(self, values: "NDArray[Any]") -> "NDArray[Any]":
        """Values in the order of places as those in the order of the table's rows."""
        return values[self.place]

    def by_place(self, values: "NDArray[Any]") -> "NDArray[Any]":
        """Values in the order of the table's rows as those in the order of places."""
        return values[self.row]

    def sum_by_basin(self, values: "Floats") -> "Floats":
        """Sums over the basins of values in the order of places."""
        return np.add.reduceat(values, self.starts[:-1])


@dataclass(frozen=True)
class BarrierPlaces:
    """Barriers by row of their table: ids, the place of the reach that ends at each, whether that is an outlet."""

    ids: "NDArray[Any]"
    place: "Places"
    at_outlet: "NDArray[np.bool_]"

    @cached_property
    def order(self) -> "NDArray[np.intp]":
        """Rows sorted by place."""
        return np.argsort(self.place, kind="stable")


@dataclass(frozen=True)
class EdgePassability:
    """Passability of the edge below each place, and of the other barriers on the edge of each barrier.

    Attributes:
        down: product of the downstream passabilities on the edge below a place, 1 where there is none, (n,).
        up: likewise upstream; the same array where both are the same.
        other_down: for each barrier the product over the other barriers on its edge, (barriers,).
        other_up: likewise upstream.
    """

    down: "Floats"
    up: "Floats"
    other_down: "Floats"
    other_up: "Floats"


# --- reaches -------------------------------------------------------------------------


def read_forest(reaches: "pd.DataFrame") -> Forest:
    """Check the table of reaches and put it in the order of places.

    Raises:
        LinkwaysError: no rows or columns; ids that are missing, repeated or not whole; ``down`` names no reach;
            reaches that run in a circle; lengths missing, negative or infinite.
    """
    from linkways.rivers._kernels import order_forest

    if not len(reaches):
        raise LinkwaysError("reaches: the table has no rows; give at least one reach")
    ids = whole_numbers(reaches, "reach", "reaches")
    _refuse_repeated(ids)
    downstream = whole_numbers(reaches, "down", "reaches", missing=-1)
    to = np.full(len(ids), -1, np.int32)
    flows = downstream != -1
    to[flows] = rows_of(ids, downstream[flows])
    lost = np.flatnonzero(flows & (to < 0))
    if len(lost):
        raise LinkwaysError(
            f"reaches: reach {ids[lost[0]]} flows into {downstream[lost[0]]}, which is no reach ({len(lost)} such "
            "reaches); correct column down, or set it to -1 at an outlet"
        )
    length = numbers(reaches, "length_m", "reaches", ids, "reach", least=0.0)
    row, place, down, starts, placed = order_forest(to)
    if placed < len(ids):
        raise LinkwaysError(_circle(ids, to, np.flatnonzero(place < 0)))
    return Forest(ids, row, place, down, starts, length[row])


def read_weights(reaches: "pd.DataFrame", forest: Forest, weight: str, suitability: str | None = None) -> "Floats":
    """Weights by place: the column ``weight``, times the column ``suitability`` where one is named."""
    found = numbers(reaches, weight, "reaches", forest.ids, "reach", least=0.0)
    if suitability is not None:
        found = found * numbers(reaches, suitability, "reaches", forest.ids, "reach", least=0.0)
    if not found.any():
        raise LinkwaysError(f"reaches: the weights in column {weight} are all zero; give some reach a weight above 0")
    return found[forest.row]


def rows_of(ids: "NDArray[np.int64]", wanted: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """The row of each wanted id among unique ids, -1 where there is none."""
    low, high = int(ids.min()), int(ids.max())
    if high - low > 4 * len(ids) + 1000:
        import pandas as pd

        return np.asarray(pd.Index(ids).get_indexer(pd.Index(wanted)), np.int64)
    table = np.full(high - low + 2, -1, np.int64)
    table[ids - low] = np.arange(len(ids))
    # ids outside the range read the last entry, which stays -1
    inside = (wanted >= low) & (wanted <= high)
    return table[np.where(inside, wanted - low, high - low + 1)]


def _refuse_repeated(ids: "NDArray[np.int64]") -> None:
    low, high = int(ids.min()), int(ids.max())
    if high - low <= 4 * len(ids) + 1000:
        count = np.bincount(ids - low)
        if count.max() == 1:
            return
        first, times = int(np.argmax(count > 1)) + low, int(count[count > 1][0])
    else:
        found, counts = np.unique(ids, return_counts=True)
        if counts.max() == 1:
            return
        first, times = int(found[counts > 1][0]), int(counts[counts > 1][0])
    raise LinkwaysError(f"reaches: reach {first} is there {times} times; give each reach its own number")


def _circle(ids: "NDArray[np.int64]", to: "Places", left: "NDArray[np.intp]") -> str:
    """Name one of the circles; what cannot be put in order lies on circles, all of it."""
    at = int(left[0])
    chain: list[int] = []
    while not chain or at != int(left[0]):
        chain.append(int(ids[at]))
        at = int(to[at])
    shown = " -> ".join(map(str, chain[:12])) + (" -> ..." if len(chain) > 12 else f" -> {chain[0]}")
    return (
        f"reaches: {len(chain)} reaches run in a circle ({shown}), {len(left)} in all circles; correct column down so "
        "that each leads to an outlet"
    )


# --- barriers ------------------------------------------------------------------------


def read_barriers(barriers: "pd.DataFrame | None", forest: Forest) -> BarrierPlaces:
    """Check the barriers' ids and reaches and find the places of these.

    Raises:
        LinkwaysError: ids that are missing or repeated; ``reach`` names no reach.
    """
    if barriers is None or not len(barriers):
        return BarrierPlaces(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, bool))
    column = _column(barriers, "barrier", "barriers")
    if column.isna().any():
        raise LinkwaysError(f"barriers: row {int(column.isna().to_numpy().argmax())} has no barrier id; give it one")
    if column.duplicated().any():
        twice = column[column.duplicated()].iloc[0]
        raise LinkwaysError(f"barriers: barrier {twice} is there more than once; give each barrier its own id")
    reach = whole_numbers(barriers, "reach", "barriers")
    row = rows_of(forest.ids, reach)
    lost = np.flatnonzero(row < 0)
    if len(lost):
        raise LinkwaysError(
            f"barriers: barrier {column.iloc[lost[0]]} is on reach {reach[lost[0]]}, which is no reach ({len(lost)} "
            "such barriers); correct column reach"
        )
    place = forest.place[row]
    return BarrierPlaces(column.to_numpy(), place, forest.down[place] < 0)


def passability_columns(
    barriers: "pd.DataFrame", columns: tuple[str | None, str | None] = (None, None)
) -> tuple[str, str]:
    """Names of the columns that hold the passability upstream and downstream, the same name for a single one.

    ``columns`` names those upstream and downstream; without names ``pass_up`` and ``pass_down`` are taken where both
    are there, else ``passability``. One column is the permeability of the whole barrier, up times down: it counts once
    in either direction and is never squared.
    """
    up, down = columns
    if up is not None or down is not None:
        return str(up or down), str(down or up)
    if {"pass_up", "pass_down"} <= set(barriers.columns):
        return "pass_up", "pass_down"
    if "passability" in barriers.columns:
        return "passability", "passability"
    raise LinkwaysError(
        "barriers: there are no columns pass_up and pass_down, nor passability; add them (0: nothing passes, 1: all)"
    )


def edge_passability(forest: Forest, found: BarrierPlaces, down: "Floats", up: "Floats") -> EdgePassability:
    """Multiply the passabilities of all barriers on an edge; those at outlets lie outside the basin and count as 1."""
    from linkways.rivers._kernels import multiply_on_edges

    order = found.order
    n = len(forest.down)
    edge_down, other_down = multiply_on_edges(n, found.place, order, down, found.at_outlet)
    if up is down:
        return EdgePassability(edge_down, edge_down, other_down, other_down)
    edge_up, other_up = multiply_on_edges(n, found.place, order, up, found.at_outlet)
    return EdgePassability(edge_down, edge_up, other_down, other_up)


# --- columns -------------------------------------------------------------------------


def numbers(
    table: "pd.DataFrame",
    name: str,
    what: str,
    ids: Any,
    noun: str,
    *,
    least: float = -np.inf,
    most: float = np.inf,
) -> "Floats":
    """A column of finite numbers within bounds, by row."""
    values = _floats(table, name, what)
    wrong = ~((values >= least) & (values <= most) & np.isfinite(values))
    if wrong.any():
        _refuse_number(values, wrong, name, what, ids, noun, least, most)
    return values


def numbers_or_missing(
    table: "pd.DataFrame",
    name: str,
    what: str,
    ids: Any,
    noun: str,
    *,
    least: float = -np.inf,
    most: float = np.inf,
) -> "Floats":
    """A column of numbers within bounds, NaN where one is missing, by row."""
    values = _floats(table, name, what)
    wrong = ~(((values >= least) & (values <= most) & np.isfinite(values)) | np.isnan(values))
    if wrong.any():
        _refuse_number(values, wrong, name, what, ids, noun, least, most)
    return values


def _refuse_number(
    values: "Floats", wrong: "NDArray[np.bool_]", name: str, what: str, ids: Any, noun: str, least: float, most: float
) -> None:
    first = int(wrong.argmax())
    allowed = "a finite number"
    if np.isfinite(least) or np.isfinite(most):
        allowed = f"{least:g} or more" if not np.isfinite(most) else f"{least:g} to {most:g}"
    shown = "missing" if np.isnan(values[first]) else f"{values[first]:g}"
    raise LinkwaysError(
        f"{what}: {name} of {noun} {np.asarray(ids)[first]} is {shown} but must be {allowed} ({int(wrong.sum())} such "
        "rows); correct the column"
    )


def whole_numbers(table: "pd.DataFrame", name: str, what: str, missing: int | None = None) -> "NDArray[np.int64]":
    """A column of whole numbers, by row; a missing one becomes ``missing`` or is refused."""
    column = _column(table, name, what)
    if column.dtype.kind in "iu" and not column.hasnans:
        return np.asarray(column.to_numpy(), np.int64)
    gone = column.isna().to_numpy()
    if gone.any() and missing is None:
        raise LinkwaysError(f"{what}: row {int(gone.argmax())} has no {name}; give it a whole number")
    try:
        if hasattr(column.dtype, "numpy_dtype") and column.dtype.kind in "iu":
            return np.asarray(column.fillna(-1 if missing is None else missing), np.int64)
        values = np.where(gone, np.nan, column.to_numpy(dtype=float, na_value=np.nan))
    except (TypeError, ValueError):
        raise LinkwaysError(f"{what}: column {name} holds text; give whole numbers") from None
    wrong = ~gone & ~((np.abs(values) < 2.0**53) & (values == np.floor(values)))
    if wrong.any():
        first = int(wrong.argmax())
        raise LinkwaysError(f"{what}: {name} in row {first} is {values[first]:g} but must be a whole number")
    return np.where(gone, -1 if missing is None else missing, np.where(gone, 0, values)).astype(np.int64)


def _floats(table: "pd.DataFrame", name: str, what: str) -> "Floats":
    column = _column(table, name, what)
    try:
        return np.asarray(column.to_numpy(dtype=float, na_value=np.nan), np.float64)
    except (TypeError, ValueError):
        raise LinkwaysError(f"{what}: column {name} holds text; give numbers") from None


def _column(table: "pd.DataFrame", name: str, what: str) -> "pd.Series[Any]":
    if name not in table.columns:
        raise LinkwaysError(f"{what}: there is no column '{name}'{nearest(name, map(str, table.columns))}")
    return table[name]
