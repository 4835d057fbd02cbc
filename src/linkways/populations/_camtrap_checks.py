"""The rules that tables of camera traps must keep, checked on all rows, with every broken one named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.populations._camtrap_columns import NO_TIME, Column, columns_of, read_column, shown_values, times_as_text
from linkways.populations._camtrap_fields import TABLES, CamtrapField, CamtrapTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CheckedTable", "Findings", "Package", "check_package"]


@dataclass
class Findings:
    """What was checked, and every row that broke a rule or is worth telling of."""

    checks: list[dict[str, object]] = field(default_factory=list)
    broken: "list[pd.DataFrame]" = field(default_factory=list)

    def add(
        self,
        table: "CheckedTable",
        rule: str,
        column: str,
        checked: int,
        rows: np.ndarray,
        why: str | Sequence[str],
        *,
        reject: bool = True,
        each: bool = True,
    ) -> None:
        """Note a rule, how many rows it was asked of, and the rows (counted from 0) that broke it.

        ``each``: name every row; without it they are only counted.
        """
        import pandas as pd

        rows = np.asarray(rows, dtype=np.int64)
        outcome = "rejected" if reject else "told"
        self.checks.append(
            {
                "table": table.spec.name,
                "field": column,
                "rule": rule,
                "rows_checked": int(checked),
                "rows_broken": len(rows),
                "outcome": outcome if len(rows) else "kept",
                "first_row": int(rows[0]) + 1 if len(rows) else pd.NA,
            }
        )
        if not len(rows) or not each:
            return
        told = {
            "table": table.spec.name,
            "row": rows + 1,
            "field": column,
            "value": shown_values(table.raw[column], rows) if column in table.raw else [""] * len(rows),
            "why": why if isinstance(why, str) else list(why),
            "outcome": outcome,
        }
        self.broken.append(pd.DataFrame(told))
        if reject:
            table.bad[rows] = True

    def checks_table(self) -> "pd.DataFrame":
        """table, field, rule, rows_checked, rows_broken, outcome, first_row."""
        import pandas as pd

        columns = ["table", "field", "rule", "rows_checked", "rows_broken", "outcome", "first_row"]
        return pd.DataFrame(self.checks, columns=columns).astype({"first_row": "Int64"})

    def broken_table(self) -> "pd.DataFrame":
        """table, row, field, value, why, outcome; by table and row."""
        import pandas as pd

        columns = ["table", "row", "field", "value", "why", "outcome"]
        if not self.broken:
            return pd.DataFrame({name: pd.Series(dtype="int64" if name == "row" else "str") for name in columns})
        found = pd.concat(self.broken, ignore_index=True)[columns]
        return found.sort_values(["table", "row"], kind="stable", ignore_index=True)


@dataclass
class CheckedTable:
    """A table whose columns were read as declared."""

    spec: CamtrapTable
    raw: dict[str, Any]
    """Columns as they came, pyarrow arrays."""
    columns: dict[str, Column]
    """Declared columns that are there."""
    rows: int
    bad: np.ndarray

    def text(self, name: str) -> Any:
        """The text of a declared column (pyarrow), None where it is absent."""
        return self.columns[name].output if name in self.columns else None

    def values(self, name: str) -> np.ndarray | None:
        """The numbers, truths or seconds of a declared column, None where it is absent."""
        return self.columns[name].values if name in self.columns else None

    def frame(self, keep: np.ndarray | None = None) -> "pd.DataFrame":
        """The table as declared, columns in their order; only some rows."""
        import pandas as pd
        import pyarrow as pa

        text = pd.StringDtype(na_value=np.nan)
        kinds = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.large_string(): text}
        mask = None if keep is None or keep.all() else pa.array(keep)
        found = {}
        for name in self.raw:
            column = self.columns[name].output if name in self.columns else self.raw[name]
            column = column if mask is None else column.filter(mask)
            found[name] = column.to_pandas(types_mapper=kinds.get if name in self.columns else None)
        return pd.DataFrame(found, copy=False)


@dataclass
class Package:
    """The tables of a package, checked, and what was found."""

    deployments: CheckedTable
    observations: CheckedTable
    media: CheckedTable | None
    findings: Findings

    @property
    def tables(self) -> tuple[CheckedTable, ...]:
        """Those that are there."""
        found = (self.deployments, self.media, self.observations)
        return tuple(one for one in found if one is not None)


def check_package(
    frames: Mapping[str, Any],
    *,
    method: str,
    time_zone: str | None,
    same_place_m: float,
    required: Mapping[str, tuple[str, ...]] | None = None,
) -> Package:
    """Read the tables (DataFrames or Arrow tables by their names) and check them by all rules.

    ``required``: the columns without which nothing can be done; those that Camtrap DP requires without it.

    Raises LinkwaysError for a column that is missing, an empty table of deployments, and an unknown zone.
    """
    from linkways.method import progress

    findings = Findings()
    tables: dict[str, CheckedTable] = {}
    for step, (name, frame) in enumerate(frames.items()):
        progress(0.15 + 0.2 * step, f"checking {name}")
        wanted = required[name] if required else None
        tables[name] = _checked(TABLES[name], frame, findings, method, time_zone, wanted)
    found = Package(tables["deployments"], tables["observations"], tables.get("media"), findings)
    if found.deployments.rows == 0:
        raise LinkwaysError(f"{method}: the table deployments has no rows; give one for each placement of a camera")
    progress(0.75, "checking deployments, detections and individuals against each other")
    _check_deployments(found)
    for table in (found.media, found.observations):
        if table is not None:
            _check_links(found, table)
    _check_observations(found)
    _check_individuals(found, same_place_m)
    return found


# --- one table by itself ---------------------------------------------------------------


def _checked(
    spec: CamtrapTable,
    frame: Any,
    findings: Findings,
    method: str,
    time_zone: str | None,
    required: tuple[str, ...] | None,
) -> CheckedTable:
    raw = columns_of(frame)
    wanted = tuple(one.name for one in spec.fields if one.required) if required is None else required
    for name in wanted:
        if name not in raw:
            raise LinkwaysError(
                f"{method}: the table {spec.name} has no column '{name}'{nearest(name, raw)}; every row needs it"
            )
    rows = len(next(iter(raw.values()))) if raw else 0
    table = CheckedTable(spec, raw, {}, rows, np.zeros(rows, bool))
    for declared in spec.fields:
        if declared.name in raw:
            _check_field(table, declared, findings, time_zone, declared.name in wanted)
    if spec.key in raw:
        _check_unique(table, findings)
    unknown = [name for name in raw if spec.field(name) is None]
    for name in unknown:
        findings.add(table, "a column that Camtrap DP does not know; carried on", name, rows, np.zeros(0), "")
    return table


def _check_field(
    table: CheckedTable, declared: CamtrapField, findings: Findings, time_zone: str | None, required: bool
) -> None:
    column = table.columns[declared.name] = read_column(declared, table.raw[declared.name], time_zone)
    known = ~column.missing
    if required:
        findings.add(table, "has a value", declared.name, table.rows, np.flatnonzero(column.missing), "has no value")
    if not known.any():
        return
    if declared.kind != "text":
        rule, why = _KINDS[declared.kind]
        findings.add(table, rule, declared.name, int(known.sum()), np.flatnonzero(column.bad), why)
    fine = known & ~column.bad
    for rule, broken in _bounds(declared, column):
        findings.add(table, rule, declared.name, int(fine.sum()), np.flatnonzero(fine & broken), f"must be {rule}")
    for note in column.notes:
        rows = np.flatnonzero(column.noted) if column.noted is not None else np.zeros(0)
        findings.add(table, note, declared.name, int(known.sum()), rows, note, reject=False, each=False)
    if declared.kind in ("number", "whole", "truth"):
        # nothing asks for the text again, and of a million rows it is large
        table.raw[declared.name] = column.output


_KINDS = {
    "number": ("is a number", "is not a number"),
    "whole": ("is a whole number", "is not a whole number"),
    "truth": ("is true or false", "is neither true nor false"),
    "time": (
        "is a time with its offset from UTC",
        "is not a time such as 2024-05-18T06:30:00Z or 2024-05-18T11:30:00+05:00 (or name time_zone for times without "
        "offset)",
    ),
}


def _bounds(declared: CamtrapField, column: Column) -> list[tuple[str, np.ndarray]]:
    """The bounds of a field in words, and which values break them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: list[tuple[str, np.ndarray]] = []
    with np.errstate(invalid="ignore"):
        if declared.low is not None and declared.high is not None:
            outside = (column.values < declared.low) | (column.values > declared.high)
            found.append((f"from {declared.low:g} to {declared.high:g}", outside))
        elif declared.low is not None:
            found.append((f"at least {declared.low:g}", column.values < declared.low))
    text = column.output

    def flags(mask: Any) -> np.ndarray:
        return np.asarray(pc.fill_null(mask, True).to_numpy(zero_copy_only=False))

    if declared.choices:
        known = pc.is_in(text, value_set=pa.array(declared.choices, text.type))
        found.append((f"one of {', '.join(declared.choices)}", ~flags(known)))
    if declared.begins:
        mask = pc.match_substring_regex(text, f"^({'|'.join(declared.begins)})")
        found.append((f"a text that begins with {' or '.join(declared.begins)}", ~flags(mask)))
    if declared.path:
        outside = pc.or_(pc.match_substring_regex(text, r"^[./~]"), pc.match_substring(text, ".."))
        found.append(("a path inside the package, or an address", flags(pc.fill_null(outside, False))))
    return found


def _check_unique(table: CheckedTable, findings: Findings) -> None:
    key = table.spec.key
    codes = _codes(table.text(key))
    times = np.bincount(codes[codes >= 0]) if (codes >= 0).any() else np.zeros(0, int)
    again = np.flatnonzero((codes >= 0) & (times[codes] > 1)) if len(times) else np.zeros(0, int)
    findings.add(table, "stands in one row only", key, table.rows, again, "stands in several rows")


def _codes(text: Any) -> np.ndarray:
    """A number for every distinct text, -1 for none."""
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(text.dictionary_encode().indices, -1).to_numpy(zero_copy_only=False))


# --- tables against each other -----------------------------------------------------------


def _times(table: CheckedTable, name: str) -> np.ndarray:
    values = table.values(name)
    return np.full(table.rows, NO_TIME) if values is None else values


def _check_deployments(package: Package) -> None:
    table = package.deployments
    start, end = _times(table, "deploymentStart"), _times(table, "deploymentEnd")
    known = (start != NO_TIME) & (end != NO_TIME)
    add = package.findings.add
    why = "the camera was taken down before it was set up (deploymentEnd before deploymentStart)"
    broken = np.flatnonzero(known & (end < start))
    add(table, "deploymentEnd is after deploymentStart", "deploymentEnd", known.sum(), broken, why)
    broken = np.flatnonzero(known & (end == start))
    why = "the camera worked for no time at all, so it has no effort (deploymentEnd equals deploymentStart)"
    add(table, "the deployment has effort", "deploymentEnd", known.sum(), broken, why)
    latitude, longitude = table.values("latitude"), table.values("longitude")
    if latitude is not None and longitude is not None:
        nowhere = np.flatnonzero((latitude == 0) & (longitude == 0))
        why = "latitude and longitude 0 is the sea south of Ghana: is the place unknown?"
        add(table, "lies somewhere", "latitude", table.rows, nowhere, why, reject=False)
    issues = table.values("timestampIssues")
    if issues is not None:
        rows = np.flatnonzero(issues == 1)
        why = "its times are known to be wrong (timestampIssues)"
        add(table, "times without known issues", "timestampIssues", table.rows, rows, why, reject=False)


def _check_links(package: Package, table: CheckedTable) -> None:
    """Every row's deployment and media are there and sound, and its time lies within its deployment."""
    import pyarrow.compute as pc

    for column, other_name in table.spec.links:
        other = package.deployments if other_name == "deployments" else package.media
        text = table.text(column)
        if text is None or other is None:
            continue
        names = other.text(other.spec.key)
        at = np.asarray(pc.fill_null(pc.index_in(text.cast(names.type), names), -1).to_numpy(zero_copy_only=False))
        known = ~table.columns[column].missing
        why = f"there is no such row in {other_name}"
        rows = np.flatnonzero(known & (at < 0))
        package.findings.add(table, f"names a row of {other_name}", column, known.sum(), rows, why)
        rows = np.flatnonzero(known & (at >= 0) & other.bad[at])
        reasons = [f"its row of {other_name} ({at[row] + 1}) is rejected" for row in rows]
        package.findings.add(table, f"names a sound row of {other_name}", column, known.sum(), rows, reasons)
        if other_name == "deployments":
            _check_within(package, table, np.where(known, at, -1))


def _check_within(package: Package, table: CheckedTable, at: np.ndarray) -> None:
    begin, finish = ("timestamp", "timestamp") if table.spec.name == "media" else ("eventStart", "eventEnd")
    start = _times(table, begin)
    end = _times(table, finish) if finish in table.columns else start
    set_up = _times(package.deployments, "deploymentStart")
    taken = _times(package.deployments, "deploymentEnd")
    offsets = package.deployments.columns["deploymentStart"].offsets
    linked = (at >= 0) & ~package.deployments.bad[at] & (start != NO_TIME)
    early = linked & (start < set_up[at])
    late = linked & (start > taken[at])
    over = linked & (end != NO_TIME) & (end > taken[at]) & ~early & ~late
    cases = [(begin, early, set_up, "before it was set up"), (begin, late, taken, "after it was taken down")]
    if finish != begin:
        cases.append((finish, over, taken, "after it was taken down"))
    for column, broken, limit, word in cases:
        rows = np.flatnonzero(broken)
        moments = times_as_text(limit[at[rows]], offsets[at[rows]])
        reasons = [
            f"outside its deployment (row {at[row] + 1}): {word} at {moment}"
            for row, moment in zip(rows, moments, strict=True)
        ]
        rule = f"within its deployment, not {word}"
        package.findings.add(table, rule, column, int(linked.sum()), rows, reasons)


def _check_observations(package: Package) -> None:
    table = package.observations
    add = package.findings.add
    start, end = _times(table, "eventStart"), _times(table, "eventEnd")
    known = (start != NO_TIME) & (end != NO_TIME)
    why = "the event ends before it starts (a clock reversed?)"
    rows = np.flatnonzero(known & (end < start))
    add(table, "eventEnd is not before eventStart", "eventEnd", int(known.sum()), rows, why)
    kinds, names = table.text("observationType"), table.columns.get("scientificName")
    if kinds is not None and names is not None:
        import pyarrow.compute as pc

        animal = np.asarray(pc.fill_null(pc.equal(kinds, "animal"), False).to_numpy(zero_copy_only=False))
        rows = np.flatnonzero(animal & names.missing)
        why = "an animal without a name; it counts for no species"
        add(table, "an animal has a name", "scientificName", int(animal.sum()), rows, why, reject=False)
    individuals, counts = table.columns.get("individualID"), table.values("count")
    if individuals is not None and counts is not None:
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero(~individuals.missing & (counts > 1))
        why = "several animals with the name of one individual"
        known_ones = int((~individuals.missing).sum())
        add(table, "an individual is one animal", "individualID", known_ones, rows, why, reject=False)
    _check_repeats(package)


_SAME = (
    "deploymentID",
    "mediaID",
    "eventID",
    "observationLevel",
    "observationType",
    "scientificName",
    "lifeStage",
    "sex",
    "behavior",
    "individualID",
)
_SAME_NUMBERS = ("eventStart", "eventEnd", "count", "bboxX", "bboxY", "bboxWidth", "bboxHeight")


def _check_repeats(package: Package) -> None:
    """Rows that tell the same animal at the same time again, under another observationID."""
    import pandas as pd

    table = package.observations
    names = [name for name in _SAME if name in table.columns and not table.columns[name].missing.all()]
    parts = {name: _codes(table.text(name)).astype(np.int64) for name in names}
    parts |= {name: table.columns[name].values for name in _SAME_NUMBERS if name in table.columns}
    if not parts or table.rows == 0:
        return
    again = np.asarray(pd.util.hash_pandas_object(pd.DataFrame(parts), index=False))
    repeated = np.asarray(pd.Series(again).duplicated())
    rows = np.flatnonzero(repeated)
    why = "the same as an earlier row but for its observationID"
    package.findings.add(table, "differs from every earlier row", "observationID", table.rows, rows, why, reject=False)


def _check_individuals(package: Package, same_place_m: float) -> None:
    """No individual is at two places at once."""
    table = package.observations
    if "individualID" not in table.columns or "deploymentID" not in table.columns:
        return
    individuals = table.columns["individualID"]
    start = _times(table, "eventStart")
    end = np.maximum(_times(table, "eventEnd"), start)
    rows = np.flatnonzero(~individuals.missing & ~table.bad & (start != NO_TIME))
    clashes = _clashes(package, rows, start, end, same_place_m) if len(rows) else {}
    broken = np.array(sorted(clashes), dtype=np.int64)
    reasons = [
        f"this individual is at another place at the same time (row {clashes[int(row)] + 1}): is one of them misnamed?"
        for row in broken
    ]
    rule = "an individual is at one place at a time"
    package.findings.add(table, rule, "individualID", len(rows), broken, reasons)


def _clashes(
    package: Package, rows: np.ndarray, start: np.ndarray, end: np.ndarray, same_place_m: float
) -> dict[int, int]:
    """Rows of one individual that overlap in time and not in place, each with one that it clashes with."""
    import pyarrow.compute as pc

    table, deployments = package.observations, package.deployments
    names = deployments.text("deploymentID")
    at = pc.index_in(table.text("deploymentID").take(rows).cast(names.type), names).to_numpy(zero_copy_only=False)
    who = _codes(table.text("individualID").take(rows)).astype(np.int64)
    if "scientificName" in table.columns:
        species = _codes(table.text("scientificName").take(rows))
        who = who * (int(species.max(initial=0)) + 2) + species
    place = _places(deployments)
    order = np.lexsort((start[rows], who))
    found: dict[int, int] = {}
    latest: dict[int, int] = {}  # by deployment, the row whose event ends last
    for number, i in enumerate(order):
        if number and who[i] != who[order[number - 1]]:
            latest = {}
        here = int(at[i])
        for there, j in latest.items():
            apart = there != here and end[rows[j]] >= start[rows[i]]
            if apart and not _same_place(place, here, there, same_place_m):
                found.setdefault(int(rows[i]), int(rows[j]))
                found.setdefault(int(rows[j]), int(rows[i]))
        if here not in latest or end[rows[i]] >= end[rows[latest[here]]]:
            latest[here] = int(i)
    return found


def _places(deployments: CheckedTable) -> tuple[list[str | None], np.ndarray, np.ndarray]:
    nothing = np.full(deployments.rows, np.nan)
    location = deployments.text("locationID")
    names = [None] * deployments.rows if location is None else location.to_pylist()
    latitude, longitude = deployments.values("latitude"), deployments.values("longitude")
    return names, nothing if latitude is None else latitude, nothing if longitude is None else longitude


def _same_place(place: tuple[list[str | None], np.ndarray, np.ndarray], i: int, j: int, within_m: float) -> bool:
    names, latitude, longitude = place
    if names[i] is not None and names[i] == names[j]:
        return True
    a, b = np.radians(latitude[i]), np.radians(latitude[j])
    h = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(longitude[j] - longitude[i]) / 2) ** 2
    return bool(2 * 6371008.8 * np.arcsin(np.sqrt(min(1.0, h))) <= within_m)
