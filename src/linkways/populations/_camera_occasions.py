"""Occasions of a camera trap survey: windows of days, how long cameras worked in each, and what fell into them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.populations._camera_survey import DAY, Survey, local_clock, spans
from linkways.populations._camtrap_columns import utc_of
from linkways.spatial import note

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Occasions", "Start", "idle_records", "occasions_of", "table_of", "window_of"]

Start = Literal["site", "survey"]


@dataclass(frozen=True)
class Occasions:
    """The windows of all sites, one after the other."""

    site: np.ndarray
    number: np.ndarray
    """1 for the first of the site, or of the survey."""
    start: np.ndarray
    """Seconds, UTC."""
    end: np.ndarray
    clock: np.ndarray
    """Start as the clock at the site shows it."""
    effort_days: np.ndarray
    deployment: np.ndarray
    """Index of the deployment that worked longest in the window; -1 where none did."""
    first: np.ndarray
    """(sites + 1,) where the windows of each site begin."""


def occasions_of(survey: Survey, days: float, start: Start, start_hour: float | None) -> Occasions:
    """Windows of so many days that cover each site's time, and the camera days in each.

    They count from the site's own first set-up or from the first of the survey; with an hour, from the last time before
    it that the clock showed this hour, in days of the clock.
    """
    first, last = spans(survey)
    origin = first if start == "site" else np.full(len(first), first.min())
    length = days * DAY
    at = _first_deployment(survey, first)
    if start_hour is None:
        begins, site, number = _windows(origin, first, last, length)
        clock = local_clock(survey, at[site], begins)
        ends = begins + int(length)
    else:
        local = local_clock(survey, at, origin)
        shift = int(start_hour * 3600)
        local = (local - shift) // DAY * DAY + shift
        shown = local_clock(survey, at, first), local_clock(survey, at, last)
        clock, site, number = _windows(local, *shown, length)
        begins, ends = (_utc(survey, at[site], moments) for moments in (clock, clock + int(length)))
    effort, deployment = _effort(survey, site, begins, ends)
    edges = np.searchsorted(site, np.arange(len(survey.sites) + 1))
    return Occasions(site, number, begins, ends, clock, effort, deployment, edges)


def _first_deployment(survey: Survey, first: np.ndarray) -> np.ndarray:
    """For each site the deployment that began it, whose offset its days are told in."""
    order = np.lexsort((survey.start, survey.site))
    return order[np.searchsorted(survey.site[order], np.arange(len(first)))]


def _windows(
    origin: np.ndarray, first: np.ndarray, last: np.ndarray, length: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts of the windows between first and last of each site, the site of each, and its number from the origin."""
    low = np.floor((first - origin) / length).astype(np.int64)
    high = np.maximum(np.ceil((last - origin) / length).astype(np.int64), low + 1)
    many = high - low
    site = np.repeat(np.arange(len(first)), many)
    number = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many) + np.repeat(low, many)
    begins = origin[site] + np.round(number * length).astype(np.int64)
    return begins, site, number + 1


def _utc(survey: Survey, deployment: np.ndarray, clock: np.ndarray) -> np.ndarray:
    if survey.time_zone is None:
        return np.asarray(clock - survey.offset[deployment] * 60)
    return utc_of(clock, survey.time_zone)[0]


def _effort(survey: Survey, site: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Camera days in each window, and the deployment that gave most of them."""
    effort, most, given = np.zeros(len(site)), np.zeros(len(site)), np.zeros(len(site))
    longest = np.full(len(site), -1)
    edges = np.searchsorted(site, np.arange(len(survey.sites) + 1))
    previous = -1
    for at, first, last in survey.working:
        low, high = edges[survey.site[at]], edges[survey.site[at] + 1]
        if at != previous:
            given[low:high] = 0.0
            previous = at
        # windows of a site follow each other
        start = low + int(np.searchsorted(ends[low:high], first, side="right"))
        stop = low + int(np.searchsorted(begins[low:high], last, side="left"))
        part = slice(start, stop)
        days = (np.minimum(ends[part], last) - np.maximum(begins[part], first)) / DAY
        effort[part] += days
        given[part] += days
        longer = given[part] > most[part]
        most[part] = np.where(longer, given[part], most[part])
        longest[part] = np.where(longer, at, longest[part])
    return effort, longest


def window_of(occasions: Occasions, site: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """The window that each moment at a site falls into; the last one has its end in it."""
    found = np.empty(len(site), np.int64)
    for one in np.unique(site):
        low, high = occasions.first[one], occasions.first[one + 1]
        here = site == one
        place = np.searchsorted(occasions.start[low:high], seconds[here], side="right") - 1
        found[here] = low + np.clip(place, 0, high - low - 1)
    return found


def idle_records(
    survey: Survey, occasions: Occasions, window: np.ndarray, rows: np.ndarray, invalid: str, method: str
) -> np.ndarray:
    """Which records fell into windows in which no camera worked: a contradiction, refused or left out.

    Args:
        window: (n,) the window of each record.
        rows: (n,) the row of each record in the table, counted from 0.
    """
    idle = np.asarray(occasions.effort_days[window] <= 0)
    if not idle.any():
        return idle
    if invalid == "leave out":
        note(f"{method}: {int(idle.sum())} detections in occasions without effort were left out")
        return idle
    first = int(idle.argmax())
    w = window[first]
    raise LinkwaysError(
        f"{method}: observations row {rows[first] + 1} lies in occasion {occasions.number[w]} of site "
        f"{survey.sites[occasions.site[w]]}, in which no camera worked; shorten its failure, or say invalid='leave out'"
    )


def table_of(survey: Survey, occasions: Occasions) -> "pd.DataFrame":
    """site, occasion, start, end (UTC), effort_days."""
    import pandas as pd

    return pd.DataFrame(
        {
            "site": survey.sites[occasions.site],
            "occasion": occasions.number,
            "start": pd.DatetimeIndex(occasions.start.astype("datetime64[s]"), tz="UTC"),
            "end": pd.DatetimeIndex(occasions.end.astype("datetime64[s]"), tz="UTC"),
            "effort_days": occasions.effort_days,
        }
    )
