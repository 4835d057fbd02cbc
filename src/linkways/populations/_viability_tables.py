"""Reading the tables that viability and gene flow share: numbers, populations by name, rates of dispersal."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dispersal", "column", "dispersal_of", "names_of", "places"]


def column(
    id: str,
    table: "pd.DataFrame",
    where: str,
    name: str,
    *,
    default: float | None = None,
    low: float = 0.0,
    high: float = np.inf,
    blank: float | None = None,
) -> np.ndarray:
    """One column as float64; ``default`` where the column is absent, ``blank`` where a cell is empty."""
    import pandas as pd

    if name not in table.columns:
        if default is None:
            raise LinkwaysError(f"{id}: {where} has no column '{name}'{nearest(name, map(str, table.columns))}")
        return np.full(len(table), default)
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(float, na_value=np.nan).copy()
    empty = table[name].isna().to_numpy()
    if blank is not None:
        values[empty] = blank
    wrong = np.flatnonzero(~((values >= low) & (values <= high)))
    if len(wrong):
        row = int(wrong[0])
        bounds = f"from {low:g} to {high:g}" if np.isfinite(high) else f"of {low:g} or more"
        cell = table[name].iloc[row]
        found = "empty" if empty[row] else f"'{cell}'" if isinstance(cell, str) else f"{cell:g}"
        raise LinkwaysError(
            f"{id}: {where} row {row + 1} has {name} {found}, but it must be a number {bounds}; correct the table"
        )
    return np.asarray(values)


def names_of(id: str, table: "pd.DataFrame", where: str, name: str) -> list[str]:
    """The names in a column, each once."""
    names = [str(one) for one in table[name]]
    if not names:
        raise LinkwaysError(f"{id}: {where} has no rows; give at least one {name}")
    repeated = {n for n in names if names.count(n) > 1} if len(set(names)) < len(names) else set()
    if repeated:
        raise LinkwaysError(f"{id}: {where} names {name} '{min(repeated)}' more than once; give each one row")
    return names


@dataclass(frozen=True)
class Dispersal:
    """Shares that move from one population (row) to another (column), (P, D, D), and the period of each year (Y,)."""

    rates: np.ndarray
    period: np.ndarray


def dispersal_of(
    id: str,
    table: "pd.DataFrame | None",
    where: str,
    names: list[str],
    steps: int,
    *,
    start: str = "from_year",
    incoming: bool = False,
) -> Dispersal:
    """The dispersal table (source, target, rate, and from when) as matrices.

    The rate of a pair holds from its ``start`` until a later row of the same pair. Rates that leave one population
    (with ``incoming``: that enter one) may not sum to more than 1 at any time.
    """
    count = len(names)
    if table is None or len(table) == 0:
        return Dispersal(np.zeros((1, count, count)), np.zeros(steps, np.int64))
    ends = [places(id, table, where, end, names) for end in ("source", "target")]
    rate = column(id, table, where, "rate", high=1.0)
    begin = column(id, table, where, start, default=1.0, low=1.0, blank=1.0)
    _refuse_rows(id, where, names, ends, begin, start)
    breaks = np.unique(np.append(begin[begin <= steps], 1.0))
    rates = np.zeros((len(breaks), count, count))
    for p, first in enumerate(breaks):
        for row in np.argsort(begin, kind="stable"):
            if begin[row] <= first:
                rates[p, ends[0][row], ends[1][row]] = rate[row]
        totals = rates[p].sum(axis=0 if incoming else 1)
        most = int(totals.argmax())
        if totals[most] > 1 + 1e-12:
            way = "into" if incoming else "out of"
            raise LinkwaysError(
                f"{id}: rates {way} {names[most]} in {where} sum to {totals[most]:.6g} from {start} {first:g} on, "
                "but no "
                "more than 1 can move; lower them"
            )
    period = np.searchsorted(breaks, np.arange(1, steps + 1), side="right") - 1
    return Dispersal(rates, period.astype(np.int64))


def places(id: str, table: "pd.DataFrame", where: str, end: str, names: list[str]) -> np.ndarray:
    """The numbers of the populations that a column names."""
    place = {name: d for d, name in enumerate(names)}
    for row, name in enumerate(table[end]):
        if str(name) not in place:
            raise LinkwaysError(
                f"{id}: {where} row {row + 1} has {end} '{name}', which is not among the populations"
                f"{nearest(str(name), names)}"
            )
    return np.array([place[str(name)] for name in table[end]])


def _refuse_rows(id: str, where: str, names: list[str], ends: list[np.ndarray], begin: np.ndarray, start: str) -> None:
    own = np.flatnonzero(ends[0] == ends[1])
    if len(own):
        raise LinkwaysError(
            f"{id}: {where} row {own[0] + 1} leads from {names[ends[0][own[0]]]} to itself; leave it out, those who do "
            "not move stay"
        )
    seen: set[tuple[int, int, float]] = set()
    for row, key in enumerate(zip(*ends, begin, strict=True)):
        if key in seen:
            raise LinkwaysError(
                f"{id}: {where} row {row + 1} repeats {names[key[0]]} to {names[key[1]]} from {start} {key[2]:g}; give "
                "each pair once for each time"
            )
        seen.add(key)
