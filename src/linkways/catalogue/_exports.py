"""The whole catalogue as one file: JSON with everything, GeoJSON for maps, CSV for tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from linkways.catalogue._files import read_json, write_aside
from linkways.catalogue._geometry import area_of_bounds
from linkways.catalogue._problems import RecordError
from linkways.catalogue._record import FORMAT, Solution, record_from
from linkways.catalogue._store import figure_words
from linkways.errors import LinkwaysError, nearest

__all__ = ["catalogue_text", "export_catalogue", "import_catalogue"]

_FORMS = {".json": "json", ".geojson": "geojson", ".csv": "csv"}


def export_catalogue(records: Iterable[Solution], path: str | Path) -> Path:
    """Write records into one file, by its ending: ``.json`` (everything), ``.geojson`` (for maps), ``.csv`` (a table).

    Raises:
        LinkwaysError: another ending, or a place that cannot be written to.
    """
    target = Path(path)
    form = _FORMS.get(target.suffix.lower())
    if form is None:
        known = ", ".join(_FORMS)
        raise LinkwaysError(f"{target.name}: the catalogue is written to {known}{nearest(target.suffix, _FORMS)}")
    write_aside(target, catalogue_text(records, form))
    return target


def catalogue_text(records: Iterable[Solution], form: str) -> str:
    """Return records as one text of the form ``json``, ``geojson`` or ``csv``."""
    if form == "csv":
        return _csv(list(records))
    data = _geojson(records) if form == "geojson" else _json(records)
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def import_catalogue(path: str | Path) -> tuple[Solution, ...]:
    """Return the records of a ``.json`` file that `export_catalogue` wrote.

    Raises:
        LinkwaysError: it cannot be read or is no catalogue.
        RecordError: every mistake of every record.
    """
    file = Path(path)
    data = read_json(file)
    listed = data.get("solutions") if isinstance(data, dict) else None
    if not isinstance(listed, list) or data.get("catalogue") != FORMAT:
        raise LinkwaysError(f"{file} is no catalogue of format {FORMAT}; it must hold 'catalogue' and 'solutions'")
    records, problems = [], []
    for number, one in enumerate(listed):
        try:
            records.append(record_from(one, f"{file} solutions[{number}]"))
        except RecordError as error:
            problems += error.problems
    if problems:
        raise RecordError(problems)
    return tuple(records)


def _json(records: Iterable[Solution]) -> dict[str, Any]:
    return {"catalogue": FORMAT, "solutions": [record.to_data() for record in records]}


def _geojson(records: Iterable[Solution]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": [feature(record) for record in records]}


def feature(record: Solution) -> dict[str, Any]:
    """Return a record as a GeoJSON feature; one whose place is not on the map has no geometry."""
    from shapely.geometry import mapping

    geometry: Any = record.place.geometry
    if geometry is None and record.place.bounds is not None:
        geometry = mapping(area_of_bounds(record.place.bounds))
    return {"type": "Feature", "id": record.id, "geometry": geometry, "properties": _row(record)}


def _row(record: Solution) -> dict[str, Any]:
    """The fields of a record that fit into one cell each; lists are joined by "; "."""
    codes = {scheme: "; ".join(one.code for one in given) for scheme, given in record.classifications.root.items()}
    west, south, east, north = record.place.bounds or ("", "", "", "")
    return {
        "id": record.id,
        "title": record.title,
        "summary": record.summary,
        "form": record.form,
        "place": record.place.name,
        "countries": "; ".join(record.place.countries),
        "regions": "; ".join(record.place.all_regions()),
        "west": west,
        "south": south,
        "east": east,
        "north": north,
        "species": "; ".join(one.scientific_name for one in record.species),
        "challenges": "; ".join(one.text for one in record.challenges),
        "building_blocks": "; ".join(one.title for one in record.building_blocks),
        "impacts": "; ".join(one.fact for one in record.impacts),
        "figures": "; ".join(figure_words(one) for one in record.all_figures()),
        **{scheme: codes.get(scheme, "") for scheme in _schemes()},
        "study": "runs" if record.study else "",
        "waits_for": "; ".join(one.method for one in record.waits_for),
        "source": record.sources.get("panorama", ""),
    }


def _schemes() -> list[str]:
    from linkways.catalogue._vocabulary import vocabularies

    return [id for id, one in vocabularies().items() if one.part == "classifications"]


def _csv(records: list[Solution]) -> str:
    written = io.StringIO()
    rows = [_row(record) for record in records]
    names = list(rows[0]) if rows else ["id"]
    table = csv.DictWriter(written, names, lineterminator="\r\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: _cell(value) for name, value in row.items()})
    return written.getvalue()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
