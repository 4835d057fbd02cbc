"""What removals are planned on: the tree of barriers with the habitat between them, and the options at each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.rivers._forest import (
    Forest,
    numbers,
    numbers_or_missing,
    passability_columns,
    read_barriers,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["BarrierTree", "Options", "barrier_tree", "both_ways", "read_options"]


@dataclass(frozen=True)
class BarrierTree:
    """Barriers and what lies between them, branches before what they flow into, one root at the end.

    Attributes:
        down: the node below, -1 at the root, (n,). The root and the basins' lowest parts are nodes without a barrier.
        barrier: row of the barriers' table at each node, -1 where there is none, (n,).
        node: node of each row of the barriers' table, -1 for a barrier at an outlet, (barriers,).
        part: node by place of the forest: the part of the river that a reach belongs to, (reaches,).
    """

    down: "NDArray[np.int32]"
    barrier: "NDArray[np.int64]"
    node: "NDArray[np.int64]"
    part: "NDArray[np.int64]"

    def gather(self, weight: "Floats") -> "Floats":
        """Weights by place, summed over the parts of the river, (n,)."""
        return np.bincount(self.part, weights=weight, minlength=len(self.down)).astype(float)


@dataclass(frozen=True)
class Options:
    """What can be done, one row each, in the order of the barriers' table; doing nothing is not among them.

    Attributes:
        barrier: row of the barriers' table, (m,).
        name: what is done, (m,).
        cost: in the user's money, (m,).
        down, up: passability afterwards downstream and upstream, (m,); the same array where both are one.
        first, last: the years from and to which it can be done, (m,); infinite where nothing is said.
        together, exclusive: number of the group of which all or none, or at most one, is done, (m,); -1 where none.
        row: row of the options' table or of the barriers', (m,).
    """

    barrier: "NDArray[np.int64]"
    name: "NDArray[Any]"
    cost: "Floats"
    down: "Floats"
    up: "Floats"
    first: "Floats"
    last: "Floats"
    together: "NDArray[np.int64]"
    exclusive: "NDArray[np.int64]"
    row: "NDArray[np.int64]"

    def take(self, which: "NDArray[Any]") -> "Options":
        """The options at these positions."""
        return Options(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


def barrier_tree(forest: Forest, barriers: "pd.DataFrame | None") -> BarrierTree:
    """Contract the reaches to the parts between barriers; several barriers on an edge stand one above the other.

    The order of barriers on one edge is that of their rows: it does not matter to any sum, since no habitat lies
    between them.
    """
    from linkways.rivers._kernels import order_forest

    found = read_barriers(barriers, forest)
    inside = np.flatnonzero(~found.at_outlet)
    basins = len(forest.starts) - 1
    order = inside[np.argsort(found.place[inside], kind="stable")]
    place = found.place[order]
    # numbers before ordering: the root, the basins, then the barriers by place
    number = np.arange(len(order)) + 1 + basins
    last = np.r_[place[1:] != place[:-1], True] if len(order) else np.zeros(0, bool)
    first = np.r_[True, place[1:] != place[:-1]] if len(order) else np.zeros(0, bool)
    part = _parts(forest, place[last], number[last])
    to = np.full(1 + basins + len(order), -1, np.int32)
    to[1 : 1 + basins] = 0
    to[number[first]] = part[forest.down[place[first]]]
    to[number[~first]] = number[np.flatnonzero(~first) - 1]
    _, position, down, _, _ = order_forest(to)
    barrier = np.full(len(to), -1, np.int64)
    barrier[position[number]] = order
    node = np.full(len(found.ids), -1, np.int64)
    node[order] = position[number]
    return BarrierTree(down, barrier, node, position[part].astype(np.int64))


def _parts(forest: Forest, place: "NDArray[np.int32]", number: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """The number of the uppermost barrier below each place, or of its basin."""
    from linkways.rivers._removal_kernels import hand_upstream

    own = np.full(len(forest.down), -1, np.int64)
    own[forest.starts[1:] - 1] = 1 + np.arange(len(forest.starts) - 1)
    own[place] = number
    return np.asarray(hand_upstream(forest.down, own))


def read_options(
    barriers: "pd.DataFrame",
    options: "pd.DataFrame | None",
    passability: str,
    *,
    cost: str,
    mended: float,
    columns: tuple[str | None, str | None] = (None, None),
) -> Options:
    """The options of a table of their own, or to mend every barrier that has a cost and is not held back."""
    import pandas as pd

    from linkways.spatial import note

    if options is None:
        price = numbers_or_missing(barriers, cost, "barriers", barriers["barrier"], "barrier", least=0.0)
        can = ~np.isnan(price)
        if "removable" in barriers.columns:
            can &= barriers["removable"].fillna(True).to_numpy(dtype=bool)
        rows = np.flatnonzero(can)
        if not len(rows):
            raise LinkwaysError(
                f"barriers: none can be removed; give a cost in column {cost} to those that can, and no false in "
                "column removable"
            )
        after = np.full(len(rows), mended)
        return Options(
            rows, np.full(len(rows), "remove", object), price[rows], after, after, *_rules(barriers.iloc[rows]), rows
        )
    if not len(options):
        raise LinkwaysError("options: the table has no rows; give at least one thing that can be done")
    known = pd.Index(barriers["barrier"])
    if "barrier" not in options.columns:
        raise LinkwaysError("options: there is no column 'barrier'; name the barrier of each option in it")
    at = known.get_indexer(options["barrier"])
    rows = np.arange(len(options))
    if (at < 0).any():
        lost = options["barrier"][at < 0].unique()
        shown = ", ".join(map(str, lost[:5])) + (", ..." if len(lost) > 5 else "")
        if (at < 0).all():
            raise LinkwaysError(f"options: none of their barriers ({shown}) is among the barriers; correct the ids")
        note(f"rivers.remove: options of {len(lost)} barriers that are not on the river are left out ({shown})")
        rows = rows[at >= 0]
        options, at = options.iloc[rows], at[rows]
    price = numbers(options, cost, "options", options["barrier"], "barrier", least=0.0)
    down, up = both_ways(options, "options", passability, _option_columns(options, barriers, columns))
    name = options["option"].astype(str) if "option" in options.columns else pd.Series("remove", index=options.index)
    order = np.argsort(at, kind="stable")
    found = Options(at.astype(np.int64), name.to_numpy(dtype=object), price, down, up, *_rules(options), rows)
    return found.take(order)


def both_ways(
    table: "pd.DataFrame", what: str, passability: str, columns: tuple[str | None, str | None]
) -> tuple["Floats", "Floats"]:
    """Passability downstream and upstream by row; for "product" both are the passability there and back.

    A single column is that product already and is never squared.
    """
    up_name, down_name = passability_columns(table, columns)
    up = numbers(table, up_name, what, table["barrier"], "barrier", least=0.0, most=1.0)
    if up_name == down_name:
        return up, up
    down = numbers(table, down_name, what, table["barrier"], "barrier", least=0.0, most=1.0)
    if passability == "product":
        both = up * down
        return both, both
    return down, up


def _option_columns(
    options: "pd.DataFrame", barriers: "pd.DataFrame", columns: tuple[str | None, str | None]
) -> tuple[str | None, str | None]:
    """The options' passability stands in columns named as the barriers' are."""
    up, down = passability_columns(barriers, columns)
    if up not in options.columns or down not in options.columns:
        raise LinkwaysError(
            f"options: passability afterwards is read from the columns {up} and {down}, named as in barriers, but "
            f"{up if up not in options.columns else down} is missing; add it"
        )
    return up, down


def _rules(table: "pd.DataFrame") -> tuple["Floats", "Floats", "NDArray[np.int64]", "NDArray[np.int64]"]:
    """Years and groups of the options; an absent column says nothing."""
    ids = table["barrier"]
    absent = np.full(len(table), np.nan)
    years = [
        numbers_or_missing(table, name, "options", ids, "barrier") if name in table.columns else absent
        for name in ("from_year", "to_year")
    ]
    groups = []
    for name in ("together", "exclusive"):
        code = np.full(len(table), -1, np.int64)
        if name in table.columns:
            code = np.asarray(table[name].astype("category").cat.codes, np.int64)
        groups.append(code)
    return np.nan_to_num(years[0], nan=-np.inf), np.nan_to_num(years[1], nan=np.inf), groups[0], groups[1]
