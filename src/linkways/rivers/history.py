"""Connectivity of a river network year by year, as barriers are built and removed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Param, Table, TableOf, method, progress
from linkways.rivers._dispersal import (
    Dispersal,
    DistanceDownM,
    DistanceM,
    Distances,
    DistanceUpM,
    Kernel,
    MobileM,
    StationaryM,
    StationaryShare,
)
from linkways.rivers._index import Passability, PassDown, PassUp, Suitability, Weight

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["RiverHistory", "history"]

ALWAYS, NEVER = -(10**9), 10**9


@dataclass(frozen=True)
class RiverHistory:
    """Connectivity of a river network through the years."""

    years: Annotated[
        "pd.DataFrame",
        TableOf(
            "year, built, removed, standing (barriers at its end), cci, dcip, dcid, dcid_up, dcid_down, all basins"
        ),
    ]
    basins: Annotated[
        "pd.DataFrame",
        TableOf("the indices by basin, for the first year and every year in which a barrier of the basin changes"),
    ]
    change: Annotated[float, Indicator("change of 100 x CCI from the first year to the last", unit="points")]


@method(
    "rivers.history",
    references=(
        "Baldan D, Cunillera-Montcusi D, Funk A, Hein T (2022) Introducing 'riverconn': an R package to assess river "
        "connectivity indices. Environmental Modelling & Software 156:105470 (indices through time)",
    ),
)
def history(
    reaches: Annotated[
        "pd.DataFrame",
        Table(
            "reaches, table or layer: reach, down (-1 at an outlet), length_m", columns=("reach", "down", "length_m")
        ),
    ],
    barriers: Annotated[
        "pd.DataFrame",
        Table(
            "barriers, table or layer: barrier, reach whose lower end carries it, passabilities, and the years: "
            "built_year (empty: there from the start) and removed_year (empty: still there)",
            columns=("barrier", "reach"),
        ),
    ],
    *,
    first_year: Annotated[int | None, Param("first year of the table; none: that of the first change")] = None,
    last_year: Annotated[int | None, Param("last year of the table; none: that of the last change")] = None,
    built: Annotated[str, Param("column with the year in which a barrier was built")] = "built_year",
    removed: Annotated[str, Param("column with the year in which a barrier was removed")] = "removed_year",
    weight: Weight = "length_m",
    suitability: Suitability = None,
    passability: Passability = "product",
    pass_up: PassUp = None,
    pass_down: PassDown = None,
    kernel: Kernel = "none",
    distances: Distances = "midpoints",
    distance_m: DistanceM = None,
    distance_up_m: DistanceUpM = None,
    distance_down_m: DistanceDownM = None,
    sigma_stationary_m: StationaryM = None,
    sigma_mobile_m: MobileM = None,
    stationary_share: StationaryShare = 0.67,
) -> RiverHistory:
    """Connectivity year by year, from the years in which barriers were built and removed.

    The indices are those of rivers.connectivity at the end of each year: a barrier counts from the year in which it
    was built to the year before it was removed, and lets everything through before and after. Barriers without a year
    of building count from the start, those without a year of removal to the end.

    Raises LinkwaysError for a barrier removed before it was built, years that are not whole, no year at all, and all
    that rivers.connectivity refuses.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import rivers
    >>> reaches = pd.DataFrame({"reach": [1, 2], "down": [2, -1], "length_m": [1000.0, 1000.0]})
    >>> dam = pd.DataFrame({"barrier": [1], "reach": [1], "passability": [0.0], "built_year": [1912],
    ...     "removed_year": [1914]})
    >>> rivers.history(reaches, dam, first_year=1911).years[["year", "standing", "dcip", "dcid"]]
       year  standing   dcip   dcid
    0  1911         0  100.0  100.0
    1  1912         1   50.0   50.0
    2  1913         1   50.0   50.0
    3  1914         0  100.0  100.0
    """
    import pandas as pd

    from linkways.rivers._index import read_passabilities, read_river
    from linkways.rivers._sums import contracted, index_sums, pair_total

    dispersal = Dispersal.of(
        kernel,
        distances,
        distance_m,
        distance_up_m,
        distance_down_m,
        sigma_stationary_m,
        sigma_mobile_m,
        stationary_share,
    )
    river = read_river(reaches, barriers, weight, suitability, method="rivers.history")
    fragments = contracted(river)
    plain = dispersal.without_distance
    values = read_passabilities(barriers, pass_up, pass_down)
    since, until = _years(barriers, built, removed)
    years = _span(since, until, first_year, last_year)
    basin = np.searchsorted(river.forest.starts, river.barriers.place, side="right") - 1
    total_weight = river.total_weight
    whole = total_weight.sum()
    rows: list[dict[str, Any]] = []
    by_basin: list[pd.DataFrame] = []
    sums: dict[str, Floats] = {}
    for number, year in enumerate(years):
        progress(number / len(years), str(year))
        new, gone = since == year, until == year
        changed = new | gone
        if not rows or changed.any():
            now = values.where((since <= year) & (until > year))
            sums = index_sums(fragments, now, passability, plain)
            sums["dcip"] = sums["cci"]
            if kernel != "none":
                sums["cci"] = pair_total(river, now, passability, dispersal)
            shown = np.unique(basin[changed]) if rows else np.arange(len(total_weight))
            by_basin.append(_basin_rows(river.forest.outlets, year, sums, total_weight, shown))
        indices = _indices(sums["cci"].sum(), sums["dcip"].sum(), whole, {k: v.sum() for k, v in sums.items()})
        standing = int(((since <= year) & (until > year)).sum())
        rows.append(
            {"year": year, "built": int(new.sum()), "removed": int(gone.sum()), "standing": standing, **indices}
        )
    table = pd.DataFrame(rows)
    change = 100 * (table["cci"].iloc[-1] - table["cci"].iloc[0])
    return RiverHistory(table, pd.concat(by_basin, ignore_index=True), float(change))


def _years(barriers: "pd.DataFrame", built: str, removed: str) -> tuple["NDArray[np.int64]", "NDArray[np.int64]"]:
    from linkways.rivers._forest import whole_numbers

    if built not in barriers.columns and removed not in barriers.columns:
        raise LinkwaysError(f"barriers: there is neither a column {built} nor {removed}; name those with the years")
    count = len(barriers)
    since, until = np.full(count, ALWAYS), np.full(count, NEVER)
    if built in barriers.columns:
        since = whole_numbers(barriers, built, "barriers", missing=ALWAYS)
    if removed in barriers.columns:
        until = whole_numbers(barriers, removed, "barriers", missing=NEVER)
    wrong = until < since
    if wrong.any():
        first = int(wrong.argmax())
        raise LinkwaysError(
            f"barriers: barrier {barriers['barrier'].iloc[first]} was removed in {until[first]}, before it was built "
            f"in {since[first]} ({int(wrong.sum())} such barriers); correct {built} or {removed}"
        )
    return since, until


def _span(
    since: "NDArray[np.int64]", until: "NDArray[np.int64]", first_year: int | None, last_year: int | None
) -> range:
    known = np.concatenate([since[since > ALWAYS], until[until < NEVER]])
    if not len(known) and (first_year is None or last_year is None):
        raise LinkwaysError("barriers: no barrier has a year; fill in the years, or give first_year and last_year")
    first = int(known.min()) if first_year is None else first_year
    last = int(known.max()) if last_year is None else last_year
    if last < first:
        raise LinkwaysError(f"the last year ({last}) lies before the first ({first}); correct first_year or last_year")
    if last - first > 10_000:
        raise LinkwaysError(f"the years run from {first} to {last}; correct them, or give first_year and last_year")
    return range(first, last + 1)


def _basin_rows(
    outlets: "NDArray[np.int64]", year: int, sums: dict[str, "Floats"], weight: "Floats", shown: "NDArray[np.intp]"
) -> "pd.DataFrame":
    import pandas as pd

    part = {name: values[shown] for name, values in sums.items()}
    indices = _indices(part["cci"], part["dcip"], weight[shown], part)
    return pd.DataFrame({"basin": outlets[shown], "year": year, **indices})


def _indices(pairs: Any, plain: Any, weight: Any, sums: dict[str, Any]) -> dict[str, Any]:
    from linkways.rivers._index import share

    access = {name: 100 * share(sums[name], weight) for name in ("dcid", "dcid_up", "dcid_down")}
    return {"cci": share(pairs, weight**2), "dcip": 100 * share(plain, weight**2), **access}
