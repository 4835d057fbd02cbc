"""A camera trap survey in arrays: which cameras worked when, and what was recorded, after all rows were checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.populations._camtrap_columns import NO_TIME, where_known

if TYPE_CHECKING:
    import pandas as pd

    from linkways.populations._camtrap_checks import CheckedTable, Findings, Package

__all__ = ["DAY", "Invalid", "Level", "Records", "Survey", "chosen_species", "local_clock", "read_survey", "spans"]

DAY = 86400
Level = Literal["auto", "event", "media"]
Invalid = Literal["refuse", "leave out"]
_NEEDED = {
    "deployments": ("deploymentID", "latitude", "longitude", "deploymentStart", "deploymentEnd"),
    "observations": ("deploymentID", "eventStart"),
}


@dataclass(frozen=True)
class Records:
    """Observations of one level that name a species, in the order of the table."""

    row: np.ndarray
    """Row of the table, counted from 0."""
    deployment: np.ndarray
    """Index of the deployment."""
    seconds: np.ndarray
    """Start of the event, UTC."""
    species: np.ndarray
    """Index into ``names``."""
    names: list[str]
    count: np.ndarray
    together: np.ndarray
    """A number for each event (or file): rows of one show animals at once."""
    individual: np.ndarray
    """Text, or None."""
    sex: np.ndarray
    """female, male, or None."""


@dataclass(frozen=True)
class Survey:
    """Deployments, sites, working times and records."""

    deployments: np.ndarray
    """Their names."""
    start: np.ndarray
    end: np.ndarray
    offset: np.ndarray
    """Minutes that the deployment's clock is ahead of UTC."""
    latitude: np.ndarray
    longitude: np.ndarray
    clock_issues: np.ndarray
    site: np.ndarray
    """Index of each deployment's site."""
    sites: np.ndarray
    """Their names."""
    working: np.ndarray
    """(n, 3): deployment, first and last second of each time a camera worked without a break."""
    failures: "pd.DataFrame"
    """deploymentID, start, end (UTC seconds), reason; cut to the deployment."""
    table: "pd.DataFrame"
    """The deployments as declared, in the same order."""
    records: Records
    level: str
    observations: "CheckedTable"
    """All observations, of which findings may tell more."""
    findings: "Findings"
    time_zone: str | None

    @property
    def effort_days(self) -> np.ndarray:
        """Camera days of each deployment."""
        seconds = np.bincount(
            self.working[:, 0], weights=self.working[:, 2] - self.working[:, 1], minlength=len(self.deployments)
        )
        return np.asarray(seconds / DAY)

    @property
    def site_effort_days(self) -> np.ndarray:
        """Camera days of each site: those of all its cameras together."""
        return np.bincount(self.site, weights=self.effort_days, minlength=len(self.sites))

    def site_places(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean longitude and latitude of each site's deployments."""
        n = np.bincount(self.site, minlength=len(self.sites))
        lon, lat = (
            np.bincount(self.site, weights=one, minlength=len(self.sites)) / n
            for one in (self.longitude, self.latitude)
        )
        return lon, lat


def read_survey(
    deployments: "pd.DataFrame",
    observations: "pd.DataFrame",
    failures: "pd.DataFrame | None",
    *,
    method: str,
    site: Literal["deployment", "location"],
    level: Level,
    kinds: Sequence[str],
    invalid: Invalid,
    time_zone: str | None,
    same_place_m: float,
) -> Survey:
    """The survey that the tables tell, by the rules of `populations.import_camtrapdp`.

    Columns beyond place and time may be missing: without a level all rows are events, without a type those with a name
    are animals.

    Raises LinkwaysError for a row that breaks a rule when ``invalid`` is refuse, and for a survey without deployments.
    """
    from linkways.populations._camtrap_checks import check_package
    from linkways.spatial import note

    package = check_package(
        {"deployments": deployments, "observations": _with_names(observations)},
        method=method,
        time_zone=time_zone,
        same_place_m=same_place_m,
        required=_NEEDED,
    )
    broken = _read_failures(package.deployments, failures, method, time_zone)
    working = _working(package.deployments, broken)
    _check_effort(package, working)
    _obey(package, invalid, method)
    keep = np.flatnonzero(~package.deployments.bad)
    if len(keep) == 0:
        raise LinkwaysError(f"{method}: no deployment is left of {package.deployments.rows}; mend the rows told of")
    renumber = np.full(package.deployments.rows, -1)
    renumber[keep] = np.arange(len(keep))
    working = working[renumber[working[:, 0]] >= 0]
    working[:, 0] = renumber[working[:, 0]]
    records, used = _records(package, renumber, level, kinds, method)
    table = package.deployments
    site_of, names = _sites(table, keep, site, method)
    start = _seconds(table, "deploymentStart")[keep]
    issues = table.values("timestampIssues")
    issues = np.zeros(len(keep), bool) if issues is None else issues[keep] == 1
    if issues.any():
        note(f"{method}: {int(issues.sum())} deployments have times known to be wrong (timestampIssues)")
    return Survey(
        deployments=np.array(table.text("deploymentID").take(keep).to_pylist(), object),
        start=start,
        end=_seconds(table, "deploymentEnd")[keep],
        offset=table.columns["deploymentStart"].offsets[keep].astype(np.int64),
        latitude=table.columns["latitude"].values[keep],
        longitude=table.columns["longitude"].values[keep],
        clock_issues=issues,
        site=site_of,
        sites=names,
        working=working,
        failures=broken[~table.bad[broken["at"].to_numpy(dtype=int)]].drop(columns="at").reset_index(drop=True),
        table=table.frame(~table.bad).reset_index(drop=True),
        records=records,
        level=used,
        observations=package.observations,
        findings=package.findings,
        time_zone=time_zone,
    )


def local_clock(survey: Survey, deployment: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Clock times: of the zone asked for, or of the offset that the deployment's own times have."""
    if survey.time_zone is None:
        return np.asarray(seconds + survey.offset[deployment] * 60)
    import pandas as pd

    moments = pd.DatetimeIndex(seconds.astype("datetime64[s]"), tz="UTC").tz_convert(survey.time_zone)
    return np.asarray(moments.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64))


def chosen_species(names: Sequence[str], asked: Sequence[str], method: str) -> None:
    """Refuse a species that nothing was recorded of."""
    for name in asked:
        if name not in names:
            raise LinkwaysError(f"{method}: there is no record of the species '{name}'{nearest(name, names)}")


# --- reading ---------------------------------------------------------------------------------


def _with_names(observations: "pd.DataFrame") -> "pd.DataFrame":
    if "scientificName" not in observations and "observationType" not in observations:
        raise LinkwaysError(
            "the table observations has neither scientificName nor observationType, so nobody knows what was seen"
        )
    return observations


def _seconds(table: "CheckedTable", name: str) -> np.ndarray:
    return table.columns[name].values


def _read_failures(
    table: "CheckedTable", failures: "pd.DataFrame | None", method: str, time_zone: str | None
) -> "pd.DataFrame":
    """Failures cut to their deployments: deploymentID, start, end (seconds), reason, at (row of the deployment).

    Raises LinkwaysError for one that ends before it starts, lies outside its deployment, or names none.
    """
    import pandas as pd

    columns = ["deploymentID", "start", "end", "reason", "at"]
    if failures is None or len(failures) == 0:
        empty = {name: pd.Series(dtype="int64" if name in ("start", "end", "at") else "object") for name in columns}
        return pd.DataFrame(empty)
    from linkways.populations._camtrap_columns import arrow_column, read_column
    from linkways.populations._camtrap_fields import CamtrapField

    for name in ("deploymentID", "start", "end"):
        if name not in failures:
            raise LinkwaysError(f"{method}: the table failures has no column '{name}'{nearest(name, failures.columns)}")
    names = read_column(CamtrapField("deploymentID"), arrow_column(failures["deploymentID"]), None).output.to_pylist()
    rows = {name: k for k, name in enumerate(table.text("deploymentID").to_pylist())}
    times = [
        read_column(CamtrapField(n, "time"), arrow_column(failures[n]), time_zone).values for n in ("start", "end")
    ]
    at = np.array([rows.get(name, -1) for name in names])
    where = f"{method}: failures row"
    for broken, words in (
        (at < 0, "names a deployment that is not there"),
        (times[0] == NO_TIME, "has no start that can be read as a time with offset; or name time_zone"),
        (times[1] == NO_TIME, "has no end that can be read as a time with offset; or name time_zone"),
        (times[1] <= times[0], "ends before it starts"),
    ):
        if broken.any():
            row = int(np.flatnonzero(broken)[0])
            raise LinkwaysError(f"{where} {row + 1} ({names[row]}) {words}")
    first = np.maximum(times[0], _seconds(table, "deploymentStart")[at])
    last = np.minimum(times[1], _seconds(table, "deploymentEnd")[at])
    outside = (last <= first) & ~table.bad[at]
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise LinkwaysError(f"{where} {row + 1} ({names[row]}) lies outside its deployment; correct its start and end")
    reasons = failures["reason"].to_numpy(dtype=object) if "reason" in failures else np.full(len(at), None, object)
    found = pd.DataFrame({"deploymentID": names, "start": first, "end": last, "reason": reasons, "at": at})
    kept: pd.DataFrame = found[~table.bad[at]]
    return kept.sort_values(["at", "start"], ignore_index=True)


def _working(table: "CheckedTable", failures: "pd.DataFrame") -> np.ndarray:
    """(n, 3): deployment, first and last second of each time it worked; failures that overlap count once."""
    start, end = _seconds(table, "deploymentStart"), _seconds(table, "deploymentEnd")
    failed = failures["at"].to_numpy(dtype=np.int64)
    whole = np.flatnonzero(~table.bad & ~np.isin(np.arange(table.rows), failed))
    parts = [np.column_stack([whole, start[whole], end[whole]]).astype(np.int64)]
    begins, ends = failures["start"].to_numpy(dtype=np.int64), failures["end"].to_numpy(dtype=np.int64)
    for deployment in np.unique(failed):
        at = int(start[deployment])
        for k in np.flatnonzero(failed == deployment):
            if begins[k] > at:
                parts.append(np.array([[deployment, at, begins[k]]], dtype=np.int64))
            at = max(at, int(ends[k]))
        if at < end[deployment]:
            parts.append(np.array([[deployment, at, end[deployment]]], dtype=np.int64))
    found = np.concatenate(parts)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def _check_effort(package: "Package", working: np.ndarray) -> None:
    """Every deployment worked at some time, and what was recorded was recorded while it worked."""
    import pyarrow.compute as pc

    table, seen = package.deployments, package.observations
    add = package.findings.add
    sound = ~table.bad
    rows = np.flatnonzero(sound & ~np.isin(np.arange(table.rows), working[:, 0]))
    why = "its failures last as long as it does, so it has no effort"
    add(table, "has effort between its failures", "deploymentID", int(sound.sum()), rows, why)
    names = table.text("deploymentID")
    at = pc.fill_null(pc.index_in(seen.text("deploymentID").cast(names.type), names), -1)
    at = np.asarray(at.to_numpy(zero_copy_only=False))
    known = ~seen.bad & (at >= 0)
    idle = np.flatnonzero(known & np.isin(at, rows))
    add(seen, "its deployment has effort", "deploymentID", int(known.sum()), idle, "its deployment has no effort")
    seconds = _seconds(seen, "eventStart")
    # the last working time that began before the record
    keys = working[:, 0].astype(float) * 1e11 + working[:, 1]
    place = np.searchsorted(keys, at.astype(float) * 1e11 + seconds, side="right") - 1
    inside = (place >= 0) & (working[place, 0] == at) & (seconds <= working[place, 2]) if len(working) else known
    rows = np.flatnonzero(known & ~seen.bad & ~inside)
    why = "recorded while the camera is said to have failed; shorten the failure?"
    add(seen, "recorded while the camera worked", "eventStart", int(known.sum()), rows, why, reject=False)


def _obey(package: "Package", invalid: Invalid, method: str) -> None:
    """Refuse the first rejected row, or tell how many are left out."""
    from linkways.spatial import note

    count = sum(int(table.bad.sum()) for table in package.tables)
    if count == 0:
        return
    if invalid == "leave out":
        note(f"{method}: {count} rows break a rule and were left out; the table rows names each")
        return
    rows = package.findings.broken_table()
    first = rows[rows["outcome"] == "rejected"].iloc[0]
    shown = f" ('{first['value']}')" if first["value"] else ""
    more = "" if count == 1 else f"; {count} rows break a rule, and populations.import_camtrapdp names each"
    raise LinkwaysError(
        f"{method}: {first['table']} row {first['row']}, field {first['field']}{shown}: {first['why']}{more}; mend "
        "them, or say invalid='leave out'"
    )


def _sites(table: "CheckedTable", keep: np.ndarray, site: str, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Index of each deployment's site, and the names of the sites in order of their first deployment in the table."""
    column = "deploymentID" if site == "deployment" else "locationID"
    if column not in table.columns:
        raise LinkwaysError(f"{method}: site is location, but the table deployments has no column locationID; add it")
    names = table.text(column).take(keep).to_pylist()
    if None in names:
        row = int(keep[names.index(None)])
        raise LinkwaysError(f"{method}: site is location, but deployments row {row + 1} has no locationID; fill it in")
    order = {name: k for k, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names]), np.array(list(order), object)


def _records(
    package: "Package", renumber: np.ndarray, level: Level, kinds: Sequence[str], method: str
) -> tuple[Records, str]:
    """The sound observations of some kinds at one level, with a name."""
    import pandas as pd
    import pyarrow.compute as pc

    table = package.observations
    n = table.rows

    def text(name: str) -> np.ndarray:
        found = table.text(name)
        return np.full(n, None, object) if found is None else found.to_pandas().to_numpy(dtype=object)

    def missing(name: str) -> np.ndarray:
        return table.columns[name].missing if name in table.columns else np.ones(n, bool)

    named = ~missing("scientificName")
    kind = (
        text("observationType")
        if "observationType" in table.columns
        else where_known(named, np.full(n, "animal", object))
    )
    levels = text("observationLevel") if "observationLevel" in table.columns else np.full(n, "event", object)
    wanted = ~table.bad & np.isin(kind.astype(str), list(kinds)) & (named | (kind != "animal"))
    used = _level(levels, wanted, level, method)
    rows = np.flatnonzero(wanted & (levels == used))
    names = np.where(named, text("scientificName"), kind)[rows]
    codes, unique = pd.factorize(names, sort=True)
    at = package.deployments.text("deploymentID")
    deployment = pc.index_in(table.text("deploymentID").take(rows).cast(at.type), at).to_numpy(zero_copy_only=False)
    count = table.values("count")
    count = np.ones(len(rows)) if count is None else np.where(np.isfinite(count[rows]), count[rows], 1.0)
    seconds = _seconds(table, "eventStart")[rows]
    records = Records(
        row=rows,
        deployment=renumber[np.asarray(deployment, dtype=np.int64)] if len(rows) else np.zeros(0, np.int64),
        seconds=seconds,
        species=codes.astype(np.int64),
        names=[str(one) for one in unique],
        count=count,
        together=_together(table, rows, used, seconds),
        individual=_none_for_nan(text("individualID")[rows]),
        sex=_none_for_nan(text("sex")[rows]),
    )
    return records, used


def _none_for_nan(texts: np.ndarray) -> np.ndarray:
    import pandas as pd

    found = texts.copy()
    found[pd.isna(texts)] = None
    return found


def _level(levels: np.ndarray, wanted: np.ndarray, level: Level, method: str) -> str:
    """The one level that is analysed: rows of events and of files tell the same animals twice."""
    from linkways.spatial import note

    count = {name: int((wanted & (levels == name)).sum()) for name in ("event", "media")}
    used = level if level != "auto" else ("event" if count["event"] else "media")
    other = "media" if used == "event" else "event"
    if count[other]:
        note(
            f"{method}: {count[used]} observations at the level of {used} are used, and {count[other]} at the level of "
            f"{other} left out, as they tell the same animals again"
        )
    return used


def _together(table: "CheckedTable", rows: np.ndarray, level: str, seconds: np.ndarray) -> np.ndarray:
    """A number for each event or file; a moment where it has no name."""
    import pandas as pd

    column = "eventID" if level == "event" else "mediaID"
    moments = pd.Series(seconds).astype(str)
    if column not in table.columns:
        return np.asarray(pd.factorize(moments)[0])
    names = table.text(column).take(rows).to_pandas()
    return np.asarray(pd.factorize(("n" + names.astype("str")).where(names.notna(), moments))[0])


def spans(survey: Survey) -> tuple[np.ndarray, np.ndarray]:
    """First and last second of each site."""
    first = np.full(len(survey.sites), np.iinfo(np.int64).max)
    last = np.full(len(survey.sites), np.iinfo(np.int64).min)
    np.minimum.at(first, survey.site, survey.start)
    np.maximum.at(last, survey.site, survey.end)
    return first, last
