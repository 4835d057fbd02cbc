"""The spreadsheet for writing workshops: a template to fill in, and filled ones read as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkways.catalogue._files import write_aside
from linkways.catalogue._problems import Place, RecordError
from linkways.catalogue._quantities import MEASURES, UNITS
from linkways.catalogue._record import BuildingBlock, Solution, record_from
from linkways.catalogue._vocabulary import vocabularies, vocabulary
from linkways.errors import LinkwaysError, MissingExtra, nearest

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

__all__ = ["read_workshop_sheet", "write_workshop_sheet"]

_FIELDS = {
    "id": "Short name: small letters and hyphens, such as jaguar-corridor. Leave empty to make it from the title.",
    "title": "What was achieved, in one line",
    "summary": "The solution in one or two paragraphs",
    "language": "Language of this sheet: en, es, fr, ...",
    "place.name": "Where, in words",
    "place.countries": "Codes of countries, one per line (sheet Codes)",
    "place.regions": "Codes of regions, one per line, when not told by countries",
    "west": "Western edge of the place in degrees",
    "south": "Southern edge in degrees",
    "east": "Eastern edge in degrees",
    "north": "Northern edge in degrees",
    "keywords": "Keywords, one per line",
    "context": "What the situation was before",
    "beneficiaries": "Who gains, one per line",
    "interaction": "How the building blocks work together",
    "story": "A story from the ground, if you have one",
    "licence": "Licence of this text, such as CC-BY-4.0",
}
MOST_BYTES = 50_000_000
_LINES = ("place.countries", "place.regions", "keywords", "beneficiaries")
_SIDES = ("west", "south", "east", "north")


@dataclass(frozen=True)
class _Table:
    """A sheet whose rows are parts of one list of the record."""

    field: str
    columns: dict[str, str]
    lines: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    choices: Mapping[str, tuple[str, ...]] | None = None


_TABLES = {
    "Species": _Table("species", {"scientific_name": "Scientific name", "name": "Common name"}),
    "Challenges": _Table(
        "challenges",
        {"text": "What the solution was up against", "kind": "Kind", "threats": "Codes of IUCN threats, one per line"},
        lines=("threats",),
        choices={"kind": ("climate", "ecological", "economic", "social")},
    ),
    "Building blocks": _Table(
        "building_blocks",
        {
            "title": "Title",
            "description": "What it is and how it works",
            "category": "Category",
            "phase": "Phase",
            "scale": "Scale",
            "actions": "Codes of conservation actions, one per line",
            "enabling_factors": "What made it possible, one per line",
            "lessons_learned": "What was learnt, also from what failed, one per line",
        },
        lines=("actions", "enabling_factors", "lessons_learned"),
        choices={
            "category": tuple(vocabulary("block-category").labels),
            "phase": tuple(vocabulary("block-phase").labels),
            "scale": tuple(vocabulary("scale").labels),
        },
    ),
    "Impacts": _Table(
        "impacts",
        {
            "fact": "What changed, with figures",
            "kind": "Kind",
            "source": "Name of the source (sheet Sources), or the source",
        },
        choices={"kind": ("ecological", "social", "economic", "governance")},
    ),
    "Figures": _Table(
        "figures",
        {
            "of": "What is measured, such as corridor",
            "measure": "Measure",
            "value": "Value",
            "low": "At least (instead of a value)",
            "high": "At most (instead of a value)",
            "unit": "Unit",
            "source": "Name of the source (sheet Sources), or the source",
            "impact": "Number of the impact it belongs to (1 for the first), empty for the place or problem",
        },
        numbers=("value", "low", "high", "impact"),
        choices={"measure": tuple(MEASURES), "unit": tuple(unit for unit in UNITS if unit)},
    ),
    "Contributors": _Table(
        "contributors",
        {"name": "Name", "organisation": "Organisation", "role": "Role", "orcid": "ORCID", "url": "Address"},
    ),
    "Links": _Table("links", {"title": "Title", "url": "Address"}),
}
_HEAD = {"Classifications": ("vocabulary", "code"), "Sources": ("name", "source")}


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ModuleNotFoundError:
        raise MissingExtra("openpyxl", "catalogue", "the spreadsheet for workshops") from None
    return openpyxl


# --- out -----------------------------------------------------------------------------


def write_workshop_sheet(path: str | Path, record: Solution | None = None) -> Path:
    """Write the spreadsheet (``.xlsx``) for a writing workshop: empty, or filled from a record.

    It has a sheet for the solution, one for each list in it, and one with all codes; cells with few choices offer them.
    Study, geometry, translations, and blocks taken over from other solutions do not fit into a sheet and stay out.

    Raises:
        LinkwaysError: another ending than ``.xlsx``, or a place that cannot be written to.
        MissingExtra: openpyxl is not installed.
    """
    import io

    target = Path(path)
    if target.suffix.lower() != ".xlsx":
        raise LinkwaysError(f"{target.name}: the spreadsheet is written to a file that ends in .xlsx")
    book = _openpyxl().Workbook()
    data = record.to_data() if record is not None else {}
    _write_solution(book, data)
    for name, table in _TABLES.items():
        _write_table(book, name, table, _parts(record, table, data))
    codes = [(scheme, one["code"]) for scheme, given in data.get("classifications", {}).items() for one in given]
    _write_rows(book, "Classifications", _HEAD["Classifications"], codes)
    _write_rows(book, "Sources", _HEAD["Sources"], list(data.get("sources", {}).items()))
    known = [(id, one.version, code, label) for id, one in vocabularies().items() for code, label in one.labels.items()]
    _write_rows(book, "Codes", ("vocabulary", "version", "code", "label"), known)
    written = io.BytesIO()
    book.save(written)
    write_aside(target, written.getvalue())
    return target


def _write_solution(book: Workbook, data: Mapping[str, Any]) -> None:
    sheet: Any = book.active
    sheet.title = "Solution"
    _head(sheet, ("field", "your text", "what to write"), (22, 80, 60))
    sides = dict(zip(_SIDES, data.get("place", {}).get("bounds", ()), strict=False))
    for name, help in _FIELDS.items():
        value: Any = data
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        value = sides.get(name, value)
        sheet.append([name, None, help])
        _put(sheet, sheet.max_row, 2, "\n".join(value) if isinstance(value, list) else value)


def _parts(record: Solution | None, table: _Table, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    if record is None:
        return []
    if table.field == "figures":
        of_impacts = [
            {**figure, "impact": number}
            for number, impact in enumerate(data.get("impacts", ()), start=1)
            for figure in impact.get("figures", ())
        ]
        return [*data.get("figures", ()), *of_impacts]
    if table.field == "building_blocks":
        return [block.model_dump(mode="json") for block in record.building_blocks if isinstance(block, BuildingBlock)]
    return list(data.get(table.field, ()))


def _write_table(book: Workbook, name: str, table: _Table, parts: list[dict[str, Any]]) -> None:
    from openpyxl.worksheet.datavalidation import DataValidation

    sheet = book.create_sheet(name)
    _head(
        sheet,
        tuple(table.columns),
        tuple(50 if column in ("text", "description", "fact") else 24 for column in table.columns),
    )
    for number, (column, help) in enumerate(table.columns.items(), start=1):
        _put(sheet, 2, number, help)
        sheet.cell(2, number).font = _openpyxl().styles.Font(italic=True, color="666666")
        offered = (table.choices or {}).get(column)
        if offered:
            letter = _openpyxl().utils.get_column_letter(number)
            rule = DataValidation(type="list", formula1=f'"{",".join(offered)}"', allow_blank=True)
            sheet.add_data_validation(rule)
            rule.add(f"{letter}3:{letter}200")
    for row, part in enumerate(parts, start=3):
        for number, column in enumerate(table.columns, start=1):
            value = part.get(column)
            _put(sheet, row, number, "\n".join(value) if isinstance(value, list) else value)


def _write_rows(book: Workbook, name: str, head: tuple[str, ...], rows: list[Any]) -> None:
    sheet = book.create_sheet(name)
    _head(sheet, head, (24,) * (len(head) - 1) + (80,))
    for row, values in enumerate(rows, start=2):
        for number, value in enumerate(values, start=1):
            _put(sheet, row, number, value)


def _head(sheet: Worksheet, names: tuple[str, ...], widths: tuple[int, ...]) -> None:
    styles = _openpyxl().styles
    for number, (name, width) in enumerate(zip(names, widths, strict=True), start=1):
        cell = sheet.cell(1, number)
        cell.value, cell.font = name, styles.Font(bold=True)
        sheet.column_dimensions[_openpyxl().utils.get_column_letter(number)].width = width
    sheet.freeze_panes = "A2"


def _put(sheet: Worksheet, row: int, column: int, value: Any) -> None:
    """Put a value into a cell as what it is: a text stays text, also one that looks like a number or a formula."""
    cell = sheet.cell(row, column)
    if value is None or value == "":
        return
    cell.value = value
    if isinstance(value, str):
        cell.data_type, cell.number_format = "s", "@"
    cell.alignment = _openpyxl().styles.Alignment(wrap_text=True, vertical="top")


# --- in ------------------------------------------------------------------------------


def read_workshop_sheet(path: str | Path) -> Solution:
    """Return the record of a filled spreadsheet.

    Raises:
        RecordError: every mistake, each with its sheet and row.
        LinkwaysError: it cannot be read, or a sheet or column of the template is missing.
        MissingExtra: openpyxl is not installed.
    """
    import zipfile

    file = Path(path)
    openpyxl = _openpyxl()
    _refuse_bomb(file)
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except FileNotFoundError:
        raise LinkwaysError(f"there is no file {file}") from None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, openpyxl.utils.exceptions.InvalidFileException) as error:
        raise LinkwaysError(f"{file} is no spreadsheet in .xlsx form ({error}); save it as .xlsx") from None
    try:
        data, rows = _data(book, file)
    finally:
        book.close()

    def where(place: Place) -> str:
        for length in range(len(place), 0, -1):
            if place[:length] in rows:
                return f"{file.name} {rows[place[:length]]}"
        return f"{file.name} sheet Solution" if place else file.name

    return record_from(data, where=where)


def _refuse_bomb(file: Path) -> None:
    """Refuse a file whose parts unpack to far more than any record needs, before anything is unpacked."""
    import zipfile

    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as packed:
        unpacked = sum(part.file_size for part in packed.infolist())
    if unpacked > MOST_BYTES:
        raise LinkwaysError(f"{file} unpacks to {unpacked / 1e6:,.0f} MB; a filled sheet holds less than 50 MB")


def _data(book: Workbook, file: Path) -> tuple[dict[str, Any], dict[Place, str]]:
    rows: dict[Place, str] = {}
    data = _solution(book, file, rows)
    for name, table in _TABLES.items():
        data[table.field] = _rows_of(book, file, name, table, rows)
    _figures_to_impacts(data, rows, file)
    codes: dict[str, list[str]] = {}
    for row, (scheme, code) in _pairs(book, file, "Classifications"):
        listed = codes.setdefault(scheme, [])
        rows.setdefault(("classifications", scheme), f"sheet Classifications row {row}")
        rows["classifications", scheme, len(listed)] = f"sheet Classifications row {row}"
        listed.append(code)
    data["classifications"] = codes
    data["sources"] = {name: source for _, (name, source) in _pairs(book, file, "Sources")}
    return {key: value for key, value in data.items() if value not in (None, "", [], {})}, rows


def _sheet(book: Workbook, file: Path, name: str) -> Any:
    if name not in book.sheetnames:
        raise LinkwaysError(f"{file} has no sheet '{name}'{nearest(name, book.sheetnames)}; begin with the template")
    return book[name]


def _solution(book: Workbook, file: Path, rows: dict[Place, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, row in enumerate(_sheet(book, file, "Solution").iter_rows(min_row=2, max_col=2, values_only=True), 2):
        name = _text(row[0])
        if not name:
            continue
        if name not in _FIELDS:
            raise LinkwaysError(
                f"{file} sheet Solution row {number}: there is no field '{name}'{nearest(name, _FIELDS)}"
            )
        value: Any = row[1]
        found[name] = _split(value) if name in _LINES else value if name in _SIDES else _text(value)
        rows[tuple(name.split("."))] = f"sheet Solution row {number}"
    place = {"name": found.pop("place.name", "")}
    for name in ("countries", "regions"):
        place[name] = found.pop(f"place.{name}", [])
    sides = [found.pop(side, None) for side in _SIDES]
    if any(side is not None for side in sides):
        place["bounds"] = sides
        rows["place", "bounds"] = "sheet Solution, west to north"
    from linkways.catalogue._record import slug

    found["id"] = found.get("id") or slug(found.get("title") or "")
    found["place"] = {key: value for key, value in place.items() if value}
    return found


def _rows_of(book: Workbook, file: Path, name: str, table: _Table, rows: dict[Place, str]) -> list[dict[str, Any]]:
    sheet = _sheet(book, file, name)
    read = sheet.iter_rows(values_only=True)
    head = [_text(cell) for cell in next(read, ())]
    missing = [column for column in table.columns if column not in head]
    if missing:
        raise LinkwaysError(f"{file} sheet {name} has no column '{missing[0]}'{nearest(missing[0], head)}")
    parts: list[dict[str, Any]] = []
    for number, cells in enumerate(read, start=2):
        row = dict(zip(head, cells, strict=False))
        if number == 2 and _text(row.get(next(iter(table.columns)))) == next(iter(table.columns.values())):
            continue  # the line of help
        part = {column: _value(row.get(column), column, table) for column in table.columns}
        part = {column: value for column, value in part.items() if value not in (None, "", [])}
        if part:
            rows[table.field, len(parts)] = f"sheet {name} row {number}"
            parts.append(part)
    return parts


def _figures_to_impacts(data: dict[str, Any], rows: dict[Place, str], file: Path) -> None:
    own: list[dict[str, Any]] = []
    for number, figure in enumerate(data["figures"]):
        impact = figure.pop("impact", None)
        if impact is None:
            rows["figures", len(own)] = rows["figures", number]
            own.append(figure)
            continue
        if impact not in range(1, len(data["impacts"]) + 1):
            raise RecordError(
                [f"{file.name} {rows['figures', number]}: impact is {impact}, of {len(data['impacts'])} impacts"]
            )
        of_impact = data["impacts"][int(impact) - 1].setdefault("figures", [])
        rows["impacts", int(impact) - 1, "figures", len(of_impact)] = rows["figures", number]
        of_impact.append(figure)
    data["figures"] = own


def _value(cell: Any, column: str, table: _Table) -> Any:
    if column in table.lines:
        return _split(cell)
    return cell if column in table.numbers else _text(cell)


def _pairs(book: Workbook, file: Path, name: str) -> list[tuple[int, tuple[str, str]]]:
    found = []
    for number, row in enumerate(_sheet(book, file, name).iter_rows(min_row=2, max_col=2, values_only=True), start=2):
        first, second = _text(row[0]), _text(row[1] if len(row) > 1 else None)
        if first and second:
            found.append((number, (first, second)))
        elif first or second:
            column = _HEAD[name][0 if second else 1]
            raise RecordError(
                [f"{file.name} sheet {name} row {number}: {column} is empty; fill it in or clear the row"]
            )
    return found


def _text(cell: Any) -> str:
    """A cell as text: spreadsheets turn codes such as 15 into numbers."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _split(cell: Any) -> list[str]:
    return [line.strip() for line in _text(cell).splitlines() if line.strip()]
