"""Surveys before and after, at control and impact sites: read from tables or from camera traps at crossings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Counts", "camera_surveys", "read_counts", "read_design"]

ID = "populations.impact"
CELLS = (("before", "control"), ("after", "control"), ("before", "impact"), ("after", "impact"))


@dataclass(frozen=True)
class Counts:
    """Counts with their design; ``x`` is 1, after, impact, after x impact."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    effort: NDArray[np.float64]
    site: NDArray[np.int64]
    time: NDArray[np.int64] | None

    @property
    def cells(self) -> NDArray[np.int64]:
        """The position of each row's period and treatment in CELLS."""
        return (self.x[:, 1] + 2 * self.x[:, 2]).astype(np.int64)


def read_design(table: "pd.DataFrame", what: str = "surveys") -> NDArray[np.float64]:
    """1, after, impact, after x impact of every row; refuses other words, missing cells and sites that are both."""
    words = {"period": ("before", "after"), "treatment": ("control", "impact")}
    columns = []
    for name, (zero, one) in words.items():
        if name not in table:
            raise LinkwaysError(f"{ID}: {what} has no column {name}; write {zero} or {one} in it")
        values = table[name].astype(str).str.strip().str.lower()
        wrong = np.flatnonzero(~values.isin((zero, one)).to_numpy())
        if len(wrong):
            raise LinkwaysError(
                f"{ID}: {what} row {wrong[0] + 1} has {name} '{table[name].iloc[wrong[0]]}'; write {zero} or {one}"
            )
        columns.append((values == one).to_numpy(float))
    after, impact = columns
    kinds = table.assign(_=impact).groupby("site")["_"].nunique()
    if (kinds > 1).any():
        raise LinkwaysError(
            f"{ID}: site {kinds.index[kinds > 1][0]} is both control and impact; give it one treatment, or two names"
        )
    there = {(float(a), float(i)) for a, i in zip(after, impact, strict=True)}
    for period, treatment in CELLS:
        if (float(period == "after"), float(treatment == "impact")) not in there:
            raise LinkwaysError(
                f"{ID}: {what} has no row of {treatment} sites {period} the change, so its effect cannot be told from "
                "others; add one"
            )
    return np.column_stack([np.ones(len(table)), after, impact, after * impact])


def read_counts(table: "pd.DataFrame") -> Counts:
    """Counts of site, period, treatment, count; optional effort and time."""
    import pandas as pd

    if not len(table):
        raise LinkwaysError(f"{ID}: the table surveys has no rows")
    x = read_design(table)
    if "count" not in table:
        raise LinkwaysError(f"{ID}: surveys has no column count; add it, or say response='occupancy' for detections")
    y = pd.to_numeric(table["count"], errors="coerce").to_numpy(float)
    wrong = np.flatnonzero(~(np.isfinite(y) & (y >= 0) & (y == np.floor(y))))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: surveys row {wrong[0] + 1} has count {table['count'].iloc[wrong[0]]}; give a whole number from 0"
        )
    effort = np.ones(len(table))
    if "effort" in table:
        effort = pd.to_numeric(table["effort"], errors="coerce").to_numpy(float)
        wrong = np.flatnonzero(~(np.isfinite(effort) & (effort > 0)))
        if len(wrong):
            raise LinkwaysError(
                f"{ID}: surveys row {wrong[0] + 1} has effort {table['effort'].iloc[wrong[0]]}; give what was spent, "
                "or leave the row out"
            )
    if not y.any():
        raise LinkwaysError(f"{ID}: nothing was counted anywhere, so no effect can be told")
    time = pd.factorize(table["time"], sort=True)[0].astype(np.int64) if "time" in table else None
    if time is not None and (time < 0).any():
        raise LinkwaysError(f"{ID}: surveys row {int(np.argmax(time < 0)) + 1} has no time; fill it in")
    return Counts(x, y, effort, pd.factorize(table["site"])[0].astype(np.int64), time)


def camera_surveys(
    deployments: "pd.DataFrame",
    observations: "pd.DataFrame",
    species: str,
    change: str,
    features: Sequence[str],
    independence_minutes: float,
) -> "pd.DataFrame":
    """A row for each deployment: site (locationID), period, treatment (by featureType), time (month), effort, count.

    Independent events and camera days are those of `cameras`; a deployment over the change is refused.
    """
    import pandas as pd

    from linkways.populations.cameras import cameras

    if "featureType" not in deployments:
        raise LinkwaysError(f"{ID}: deployments has no column featureType, which tells crossings; give surveys instead")
    try:
        moment = pd.Timestamp(change)
    except ValueError:
        raise LinkwaysError(f"{ID}: change_date is '{change}', which is no date; write 2021-05-01, say") from None
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    found = cameras(deployments, observations, independence_minutes=independence_minutes, bootstrap=0)
    effort = found.effort.set_index("deploymentID")
    start, end = (pd.to_datetime(effort[name], utc=True) for name in ("start", "end"))
    over = (start < moment) & (end > moment)
    if over.any():
        raise LinkwaysError(
            f"{ID}: deployment {over[over].index[0]} runs over the change of {change}; split it into one before and "
            "one after"
        )
    events = found.events[found.events["species"] == species]
    if not len(events):
        known = sorted(set(found.events["species"]))
        raise LinkwaysError(f"{ID}: no event is of the species '{species}'; recorded are {', '.join(known[:8])}")
    own = deployments.assign(deploymentID=deployments["deploymentID"].astype(str)).set_index("deploymentID")
    own = own.loc[effort.index.astype(str)]
    site = effort.index.astype(str).to_numpy(dtype=object)
    if "locationID" in own:
        site = own["locationID"].where(own["locationID"].notna(), site).to_numpy(dtype=object)
    count = events.groupby(events["deploymentID"].astype(str)).size().reindex(effort.index.astype(str), fill_value=0)
    table = pd.DataFrame(
        {
            "site": site,
            "period": np.where(start >= moment, "after", "before"),
            "treatment": np.where(own["featureType"].isin(list(features)).to_numpy(), "impact", "control"),
            "time": start.dt.strftime("%Y-%m").to_numpy(),
            "effort": effort["effort_days"].to_numpy(float),
            "count": count.to_numpy(),
        }
    )
    return table[table["effort"] > 0].reset_index(drop=True)
