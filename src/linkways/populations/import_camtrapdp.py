"""Camera trap tables in the Camtrap DP standard, checked row by row, from tables or from a whole package."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Param, Table, TableOf, method

if TYPE_CHECKING:
    import pandas as pd

    from linkways.populations._camtrap_checks import Package

__all__ = ["CameraTrapTables", "import_camtrapdp", "read_camtrapdp"]

ID = "populations.import_camtrapdp"
REFERENCES = (
    "Bubnicki JW, Norton B, Baskauf SJ et al. (2024) Camtrap DP: an open standard for the FAIR exchange and archiving "
    "of camera trap data. Remote Sensing in Ecology and Conservation 10:283-295",
)


@dataclass(frozen=True)
class CameraTrapTables:
    """The tables of a camera trap study in Camtrap DP 1.0 without the rows that break a rule, and what was found."""

    deployments: Annotated["pd.DataFrame", TableOf("placements of cameras: deploymentID, latitude, longitude, ...")]
    observations: Annotated["pd.DataFrame", TableOf("what was seen: observationID, deploymentID, eventStart, ...")]
    media: Annotated["pd.DataFrame | None", TableOf("files: mediaID, deploymentID, timestamp, ...")]
    failures: Annotated[
        "pd.DataFrame | None", TableOf("when cameras did not work: deploymentID, start, end, reason; where it is known")
    ]
    checks: Annotated[
        "pd.DataFrame",
        TableOf("every rule: table, field, rule, rows_checked, rows_broken, outcome (kept, told, rejected), first_row"),
    ]
    rows: Annotated[
        "pd.DataFrame",
        TableOf(
            "every row that broke a rule: table, row (1 is the first below the header), field, value, why, outcome "
            "(rejected: left out of the tables; told: kept)"
        ),
    ]
    deployments_kept: Annotated[int, Indicator("deployments kept")]
    observations_kept: Annotated[int, Indicator("observations kept")]
    rows_rejected: Annotated[int, Indicator("rows left out of the tables, as they break a rule")]


@method(ID, references=REFERENCES)
def import_camtrapdp(
    deployments: Annotated["pd.DataFrame", Table("deployments.csv of a Camtrap DP package", columns=("deploymentID",))],
    observations: Annotated["pd.DataFrame", Table("observations.csv of the package", columns=("deploymentID",))],
    media: Annotated["pd.DataFrame | None", Table("media.csv of the package")] = None,
    clock_shifts: Annotated[
        "pd.DataFrame | None",
        Table(
            "clocks that ran wrong: deploymentID and shift_minutes, which is added to the times of its observations "
            "and media",
            columns=("deploymentID", "shift_minutes"),
        ),
    ] = None,
    *,
    time_zone: Annotated[
        str | None, Param("IANA zone of times that are written without offset, e.g. Asia/Ashgabat; refused without it")
    ] = None,
    same_place_m: Annotated[
        float,
        Param("deployments this close, or of one locationID, are one place for an individual seen at both", "m", ge=0),
    ] = 50.0,
) -> CameraTrapTables:
    """The tables of a Camtrap DP package, every row checked, with each row that breaks a rule named and left out.

    Rules are those of Camtrap DP 1.0 for each field (kind, bounds, words allowed, required, unique, naming a row that
    is there), and these: a deployment ends after it starts, so it has effort; an observation and a file lie within
    their deployment; an event does not end before it starts; an individual is at one place at a time; rows of a
    rejected deployment are rejected too. Told, and kept: animals without a name, an individual counted as several,
    rows that repeat an earlier one under another name, times known to be wrong, columns that the standard does not
    know. Tables of version 0.1.6 (start, end, timestamp) are brought to 1.0 first. ``read_camtrapdp`` reads a whole
    package: folder, datapackage.json or zip file.

    Raises LinkwaysError for columns that are missing, a deployment in ``clock_shifts`` that is not there, and an
    unknown zone.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> deployments = pd.DataFrame({"deploymentID": ["a"], "latitude": [37.9], "longitude": [57.2]})
    >>> deployments["deploymentStart"] = "2024-03-01T09:00:00+05:00"
    >>> deployments["deploymentEnd"] = "2024-05-01T09:00:00+05:00"
    >>> seen = pd.DataFrame({"observationID": [1, 2], "deploymentID": "a", "observationLevel": "event"})
    >>> seen["eventStart"] = seen["eventEnd"] = ["2024-04-02T21:15:00Z", "2025-04-02T21:15:00Z"]
    >>> seen["observationType"], seen["scientificName"] = "animal", "Panthera pardus"
    >>> found = populations.import_camtrapdp(deployments, seen)
    >>> len(found.observations)
    1
    >>> found.rows[["table", "row", "field"]]
              table  row       field
    0  observations    2  eventStart
    >>> found.rows["why"].iloc[0]
    'outside its deployment (row 1): after it was taken down at 2024-05-01T09:00:00+05:00'
    """
    frames: dict[str, Any] = {"deployments": deployments, "observations": observations}
    if media is not None:
        frames = {"deployments": deployments, "media": media, "observations": observations}
    return checked_tables(frames, clock_shifts, time_zone, same_place_m)


def read_camtrapdp(
    path: str | os.PathLike[str], *, time_zone: str | None = None, same_place_m: float = 50.0
) -> CameraTrapTables:
    """A whole Camtrap DP package (its folder, its datapackage.json, or a zip file), read offline and checked.

    What datapackage.json must tell is checked with the rest, and told. Parameters and rules are those of
    `import_camtrapdp`.

    Raises LinkwaysError for a package that is not there, not Camtrap DP 1.0 or 0.1.6, or whose tables are missing, lie
    elsewhere or cannot be read.
    """
    from linkways.populations._camtrap_files import metadata_problems, read_package_files

    files = read_package_files(path)
    found = checked_tables(files.tables, None, time_zone, same_place_m, version=files.version)
    names = found.observations.get("scientificName")
    species = [] if names is None else sorted(map(str, names.dropna().unique()))
    return _with_metadata(found, metadata_problems(files.metadata, species))


def checked_tables(
    frames: Mapping[str, Any],
    clock_shifts: "pd.DataFrame | None",
    time_zone: str | None,
    same_place_m: float,
    *,
    version: str | None = None,
    failures: "pd.DataFrame | None" = None,
    method: str = ID,
) -> CameraTrapTables:
    """Tables by their names, brought to 1.0 where they are older, with clocks put right, checked."""
    from linkways.populations._camtrap_checks import check_package
    from linkways.populations._camtrap_upgrade import is_old, upgraded
    from linkways.spatial import note

    if version == "0.1.6" or (version is None and is_old(frames)):
        frames = upgraded(frames, method)
        note(f"{method}: tables of Camtrap DP 0.1.6 brought to 1.0; countNew and taxonID have no place there")
    if clock_shifts is not None:
        frames = _shifted(frames, clock_shifts, time_zone)
    found = check_package(frames, method=method, time_zone=time_zone, same_place_m=same_place_m)
    return _tables(found, failures, method)


def _tables(found: "Package", failures: "pd.DataFrame | None", method: str) -> CameraTrapTables:
    from linkways.spatial import note

    rejected = {table.spec.name: int(table.bad.sum()) for table in found.tables}
    for name, count in rejected.items():
        if count:
            note(f"{method}: {count} rows of {name} break a rule and were left out; the table rows names each")
    return CameraTrapTables(
        deployments=found.deployments.frame(~found.deployments.bad),
        observations=found.observations.frame(~found.observations.bad),
        media=None if found.media is None else found.media.frame(~found.media.bad),
        failures=failures,
        checks=found.findings.checks_table(),
        rows=found.findings.broken_table(),
        deployments_kept=int((~found.deployments.bad).sum()),
        observations_kept=int((~found.observations.bad).sum()),
        rows_rejected=sum(rejected.values()),
    )


def _with_metadata(found: CameraTrapTables, problems: list[tuple[str, str, str]]) -> CameraTrapTables:
    from dataclasses import replace

    import pandas as pd

    told = [p for p in problems if p[2]]
    checks = pd.DataFrame(
        {
            "table": "datapackage.json",
            "field": [p[0] for p in problems],
            "rule": [p[1] for p in problems],
            "rows_checked": 1,
            "rows_broken": [int(bool(p[2])) for p in problems],
            "outcome": ["told" if p[2] else "kept" for p in problems],
            "first_row": pd.array([pd.NA] * len(problems), dtype="Int64"),
        }
    )
    rows = pd.DataFrame(
        {
            "table": "datapackage.json",
            "row": 0,
            "field": [p[0] for p in told],
            "value": "",
            "why": [f"{p[2]}; it must be: {p[1]}" for p in told],
            "outcome": "told",
        }
    )
    return replace(
        found,
        checks=pd.concat([checks, found.checks], ignore_index=True),
        rows=pd.concat([rows, found.rows], ignore_index=True) if len(rows) else found.rows,
    )


def _shifted(frames: Mapping[str, Any], shifts: "pd.DataFrame", time_zone: str | None) -> dict[str, Any]:
    """The tables with the clocks of some deployments put right."""
    import numpy as np
    import pandas as pd

    from linkways.populations._camtrap_columns import NO_TIME, columns_of, read_column, times_as_text
    from linkways.populations._camtrap_fields import TABLES
    from linkways.spatial import note

    minutes = pd.to_numeric(shifts["shift_minutes"], errors="coerce")
    names = shifts["deploymentID"].astype(str)
    if minutes.isna().any() or names.duplicated().any():
        row = int(np.flatnonzero(minutes.isna() | names.duplicated())[0])
        raise LinkwaysError(f"{ID}: clock_shifts row {row + 1} has no number of minutes or repeats a deployment")
    known = columns_of(frames["deployments"])["deploymentID"].cast("large_string").to_pylist()
    for row, name in enumerate(names):
        if name not in known:
            raise LinkwaysError(f"{ID}: clock_shifts row {row + 1} names the deployment '{name}', which is not there")
    by_name = dict(zip(names, minutes, strict=True))
    found = dict(frames)
    for table, columns in (("media", ("timestamp",)), ("observations", ("eventStart", "eventEnd"))):
        if table not in frames:
            continue
        raw = columns_of(frames[table])
        of_row = pd.Series(raw["deploymentID"].cast("large_string").to_pylist()).map(by_name).to_numpy(dtype=float)
        for name in columns:
            declared = TABLES[table].field(name)
            if name not in raw or declared is None:
                continue
            column = read_column(declared, raw[name], time_zone)
            moved = np.isfinite(of_row) & (column.values != NO_TIME)
            texts = np.array(raw[name].cast("large_string").to_pylist(), object)
            seconds = column.values[moved] + np.round(of_row[moved] * 60).astype(np.int64)
            texts[moved] = times_as_text(seconds, column.offsets[moved])
            raw[name] = texts
            note(f"{ID}: {int(moved.sum())} times in {table}.{name} moved by clock_shifts")
        found[table] = pd.DataFrame({n: c if isinstance(c, np.ndarray) else c.to_pandas() for n, c in raw.items()})
    return found
