"""Records from JSON in the shape of PANORAMA's public API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from linkways.catalogue._files import read_json
from linkways.catalogue._geometry import checked_geometry
from linkways.catalogue._problems import RecordError
from linkways.catalogue._record import Solution, record_from, slug
from linkways.catalogue._vocabulary import vocabulary
from linkways.errors import LinkwaysError

__all__ = ["Imported", "import_panorama"]


@dataclass(frozen=True)
class Imported:
    """What came in.

    Attributes:
        records: the records, as snapshots where their source tells no more.
        notes: what was left out or changed on the way, a sentence each.
    """

    records: tuple[Solution, ...]
    notes: tuple[str, ...]


def import_panorama(source: str | Path | Mapping[str, Any]) -> Imported:
    """Return the solutions of a JSON answer of the API: ``{"solutions": [{"solution": {...}}], "pager": {...}}``.

    Summaries lose their HTML; regions and scales become codes where their names are known, all other classifications
    keywords; places are read as GeoJSON, WKT or ``latitude, longitude``.

    Args:
        source: a file, or the answer as plain data.

    Raises:
        LinkwaysError: not JSON, not of this shape, or a solution without id, title or summary (with its number).
    """
    data, name = (source, "the answer") if isinstance(source, Mapping) else (read_json(Path(source)), str(source))
    listed = data.get("solutions") if isinstance(data, Mapping) else None
    if not isinstance(listed, list):
        raise LinkwaysError(f"{name} has no list 'solutions'; give the answer of the API as it came")
    records, notes, seen = [], [], set[str]()
    for number, entry in enumerate(listed):
        one = entry.get("solution", entry) if isinstance(entry, Mapping) else None
        where = f"{name}: solutions[{number}]"
        if not isinstance(one, Mapping):
            raise LinkwaysError(f"{where} is no solution; it must hold id, title and summary")
        record, told = _record(one, where, seen)
        records.append(record)
        notes += [f"{record.id}: {note}" for note in told]
    return Imported(tuple(records), tuple(notes))


def _record(one: Mapping[str, Any], where: str, seen: set[str]) -> tuple[Solution, list[str]]:
    notes: list[str] = []
    title, summary = plain_text(one.get("title")), plain_text(one.get("summary"))
    for field, value in (("title", title), ("summary", summary)):
        if not value:
            raise LinkwaysError(f"{where} has no {field}; add it or leave the solution out")
    address = str(one.get("url") or "")
    id = slug(re.sub(r"[?#].*", "", address).rstrip("/").rpartition("/")[2] or title)
    while id in seen:
        id = f"{id}-{slug(str(one.get('id', 'again')))}"
    seen.add(id)
    if len(summary) > 4000:
        summary = summary[:3997].rstrip() + "..."
        notes.append("the summary was cut at 4000 letters")
    data: dict[str, Any] = {
        "id": id,
        "title": title[:500],
        "summary": summary,
        "place": {"name": plain_text(one.get("field_location")) or "not told", **_geometry(one, notes)},
        "contributors": list(_contributors(one)),
        "sources": {"panorama": address or f"PANORAMA solution {one.get('id', '')}".strip()},
    }
    if re.fullmatch(r"https?://[^\s<>\"]+", address):
        data["links"] = [{"title": "The solution on PANORAMA", "url": address}]
    data.update(_classified(one.get("classifications"), data["place"], notes))
    if isinstance(one.get("preview_image"), Mapping):
        notes.append("the picture was left out; add it with its credit and licence")
    try:
        return record_from(data, where), notes
    except RecordError as error:
        raise RecordError(
            [f"{where}: {problem.removeprefix(where).lstrip(': ')}" for problem in error.problems]
        ) from None


def _contributors(one: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for entry in _listed(one.get("contributors")):
        person = entry.get("contributor", entry) if isinstance(entry, Mapping) else {"name": entry}
        name, organisation = (plain_text(person.get(key))[:500] for key in ("name", "organisation"))
        if name or organisation:
            yield {"name": name or organisation, "organisation": organisation if name else ""}


def _geometry(one: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    given = one.get("field_location_geofield")
    if not given:
        return {}
    try:
        return {"geometry": _rounded(checked_geometry(_geojson(given)))}
    except (ValueError, TypeError, KeyError) as error:
        notes.append(f"its place on the map was left out ({error})")
        return {}


def _geojson(given: Any) -> dict[str, Any]:
    import shapely

    if isinstance(given, Mapping):
        return dict(given)
    text = str(given).strip()
    if text.startswith("{"):
        read: dict[str, Any] = json.loads(text)
        return read
    pair = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)", text)
    if pair:
        return {"type": "Point", "coordinates": [float(pair[2]), float(pair[1])]}
    try:
        shape = shapely.from_wkt(re.sub(r"^SRID=4326;", "", text, flags=re.IGNORECASE))
    except shapely.errors.ShapelyError:
        raise ValueError(f"'{text[:40]}' is neither GeoJSON nor WKT") from None
    return json.loads(shapely.to_geojson(shape))  # type: ignore[no-any-return]


def _rounded(geometry: dict[str, Any]) -> dict[str, Any]:
    def rounded(value: Any) -> Any:
        return [rounded(one) for one in value] if isinstance(value, (list, tuple)) else round(float(value), 6)

    return {"type": geometry["type"], "coordinates": rounded(geometry["coordinates"])}


def _classified(given: Any, place: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Codes of regions and scale where the names are known; the other names as keywords."""
    regions = {label.casefold(): code for code, label in vocabulary("m49-regions").labels.items()}
    scales = {label.casefold(): code for code, label in vocabulary("scale").labels.items()}
    scales["multi-national"] = "multinational"
    keywords, found_scales = list[str](), list[str]()
    for kind, values in given.items() if isinstance(given, Mapping) else ():
        for value in _listed(values):
            name = plain_text(value.get("name") if isinstance(value, Mapping) else value)
            folded = name.casefold()
            if str(kind) in ("region", "regions") and folded in regions:
                place.setdefault("regions", []).append(regions[folded])
            elif str(kind) in ("scale", "scale_of_implementation") and folded in scales:
                found_scales.append(scales[folded])
            elif name:
                keywords.append(name[:500])
    if keywords:
        notes.append(f"{len(keywords)} terms became keywords; choose codes of the vocabularies for them")
    told: dict[str, Any] = {"keywords": list(dict.fromkeys(keywords))}
    return {**told, "classifications": {"scale": found_scales}} if found_scales else told


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


class _Text(HTMLParser):
    """Collects the text of HTML; what scripts and styles hold is no text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        self.silent += tag in ("script", "style")
        if tag in ("p", "br", "li", "div", "tr", "h1", "h2", "h3", "h4"):
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in ("script", "style") and self.silent > 0

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(data)


def plain_text(value: Any) -> str:
    """Return the text of HTML, a line for each paragraph.

    >>> plain_text("<p>Deer &amp; <b>roads</b></p><script>alert(1)</script>")
    'Deer & roads'
    """
    if value is None or isinstance(value, (Mapping, list)):
        return ""
    reader = _Text()
    reader.feed(str(value))
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).splitlines())
    return "\n".join(line for line in lines if line)
