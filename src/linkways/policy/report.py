"""One document for GBF Targets 2, 3 and 12 and for CMS, with the record of each corridor."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Literal

from linkways.errors import LinkwaysError, nearest
from linkways.method import Document, Indicator, Param, Table, TableOf, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["PolicyReport", "report"]

TOLD = ("unit", "method", "thresholds", "data_date", "provenance")
"""What a value says of itself beside its number."""
RECORD_SOURCE = (
    "after Hilty J et al. (2020) Guidelines for conserving connectivity through ecological networks and corridors. "
    "IUCN Best Practice Protected Area Guidelines 30"
)


@dataclass(frozen=True)
class PolicyReport:
    """The indicators in the order of the frameworks, the corridors' records, and both as one document."""

    indicators: Annotated[
        "pd.DataFrame",
        TableOf(
            "every indicator of the frameworks: framework, target, place, number, indicator, value, unit, method, "
            "thresholds, data_date, provenance, source and source_date of the list, note; value is empty where none "
            "was given"
        ),
    ]
    corridors: Annotated[
        "pd.DataFrame", TableOf("the record of each corridor: corridor, field, label, content; empty where untold")
    ]
    document: Annotated[str, Document("the report as one page")]
    answered: Annotated[int, Indicator("indicators with a value")]
    unanswered: Annotated[int, Indicator("indicators without a value")]


@method(
    "policy.report",
    references=(
        "Kunming-Montreal Global Biodiversity Framework: metadata of its indicators, https://gbf-indicators.org",
        "Samarkand Strategic Plan for Migratory Species 2024-2032; CMS Resolution 12.26",
        "Hilty J et al. (2020) Guidelines for conserving connectivity through ecological networks and corridors. IUCN "
        "Best Practice Protected Area Guidelines 30. https://doi.org/10.2305/IUCN.CH.2020.PAG.30.en",
    ),
)
def report(
    values: Annotated[
        "list[pd.DataFrame]",
        Table(
            "values to report, as policy methods return them in reported: indicator, value; and unit, method, "
            "thresholds, data_date, provenance where known",
            columns=("indicator", "value"),
            many=True,
        ),
    ],
    corridors: Annotated[
        "gpd.GeoDataFrame | None", Vector("corridors to record; columns named like the record's fields are taken over")
    ] = None,
    indicators: Annotated[
        "pd.DataFrame | None",
        Table(
            "another list of indicators, when the frameworks change; the packaged one when left out",
            columns=("framework", "target", "place", "indicator", "key", "source", "source_date"),
        ),
    ] = None,
    *,
    place: Annotated[str, Param("the country or area that is reported on")],
    prepared_by: Annotated[str, Param("who answers for the report")] = "",
    data_date: Annotated[str, Param("date of the data, for values that tell none")] = "",
    frameworks: Annotated[
        Sequence[Literal["GBF 2", "GBF 3", "GBF 12", "CMS"]],
        Param("which parts of the packaged list to report; an own list is reported whole"),
    ] = (
        "GBF 2",
        "GBF 3",
        "GBF 12",
        "CMS",
    ),
) -> PolicyReport:
    """One document for GBF Targets 2, 3 and 12 and CMS, with every indicator's place, value, method and provenance.

    Each value is set where its key stands in the list of indicators: headline, component or complementary indicator
    of a target of the Global Biodiversity Framework, target of Goal 2 of the Samarkand Strategic Plan, or Resolution
    12.26. The list is data with source and date; give another one when a framework changes. Several values of one
    key (dispersal distances, regions, years) follow one another. An indicator without a value stays in the document
    and says so. Each corridor gets the record fields of the IUCN guidelines; fields not told are left open in the
    document.

    Raises LinkwaysError for a key that the list does not hold, or when no value is given at all.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import policy
    >>> values = pd.DataFrame({"indicator": ["protconn"], "value": [7.5], "unit": ["%"]})
    >>> found = policy.report([values], place="Everywhere", frameworks=["GBF 3"])
    >>> (found.answered, found.unanswered)
    (1, 12)
    """
    import pandas as pd

    known = _list(indicators)
    listed = known if indicators is not None else [row for row in known if _asked(row, frameworks)]
    given = _given(values, {row["key"] for row in known}, data_date)
    rows = [row for place_in_list in listed for row in _reported(place_in_list, given)]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    records = _records(corridors)
    answered = sum(bool(given.get(row["key"])) for row in listed)
    return PolicyReport(
        indicators=table,
        corridors=pd.DataFrame(records, columns=["corridor", "field", "label", "content"]),
        document=_document(place, prepared_by, data_date, rows, records),
        answered=answered,
        unanswered=len(listed) - answered,
    )


_COLUMNS = (
    "framework",
    "target",
    "place",
    "number",
    "indicator",
    "value",
    *TOLD,
    "source",
    "source_date",
    "note",
)


def _packaged(name: str) -> list[dict[str, str]]:
    text = (files("linkways.policy") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _list(own: "pd.DataFrame | None") -> list[dict[str, str]]:
    if own is None:
        return _packaged("framework_indicators.csv")
    rows = own.astype(object).where(own.notna(), "").to_dict("records")
    wanted = ("number", "note", "linkways_method")
    return [{str(k): str(v) for k, v in row.items()} | {w: str(row.get(w, "")) for w in wanted} for row in rows]


def _asked(row: Mapping[str, str], frameworks: Sequence[str]) -> bool:
    return row["framework"] in frameworks or f"{row['framework']} {row['target']}" in frameworks


def _given(values: "Sequence[pd.DataFrame]", known: set[str], data_date: str) -> dict[str, list[dict[str, Any]]]:
    """The values by key, in their order."""
    out: dict[str, list[dict[str, Any]]] = {}
    for number, table in enumerate(values, 1):
        for row in table.to_dict("records"):
            key = str(row["indicator"])
            if key not in known:
                raise LinkwaysError(
                    f"values table {number} holds the indicator {key!r}, which is not in the list"
                    f"{nearest(key, sorted(known))}; name it by a key of the list or give your own list as indicators"
                )
            told = {name: _text(row.get(name)) for name in TOLD}
            told["data_date"] = told["data_date"] or data_date
            out.setdefault(key, []).append({"value": row["value"], **told})
    if not out:
        raise LinkwaysError(
            "no values to report; give the tables that policy methods return in reported, or rows of indicator, value"
        )
    return out


def _reported(row: Mapping[str, str], given: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    about = {name: row[name] for name in ("framework", "target", "place", "number", "indicator")}
    listed = {name: row[name] for name in ("source", "source_date", "note")}
    values = given.get(row["key"]) or [{"value": None, **dict.fromkeys(TOLD, ""), "method": row["linkways_method"]}]
    return [{**about, **value, **listed} for value in values]


def _records(corridors: "gpd.GeoDataFrame | None") -> list[dict[str, Any]]:
    if corridors is None:
        return []
    fields = _packaged("corridor_record_fields.csv")
    places = _places(corridors)
    out = []
    for number, (row, place) in enumerate(zip(corridors.to_dict("records"), places, strict=True), 1):
        name = _text(row.get("name")) or f"corridor {_text(row.get('corridor')) or number}"
        told = {"name": name, "location": place} | {k: _text(row.get(k)) for k in row if _text(row.get(k))}
        out += [
            {"corridor": name, "field": f["field"], "label": f["label"], "content": told.get(f["field"], "")}
            for f in fields
        ]
    return out


def _places(corridors: "gpd.GeoDataFrame") -> list[str]:
    """Where each corridor lies, by the middle of its outline."""
    import geopandas as gpd

    inside = gpd.GeoSeries(corridors.geometry.representative_point(), crs=corridors.crs).to_crs("EPSG:4326")
    return [
        f"{abs(p.y):.3f} degrees {'north' if p.y >= 0 else 'south'}, "
        f"{abs(p.x):.3f} degrees {'east' if p.x >= 0 else 'west'}"
        for p in inside
    ]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value)


def _document(
    place: str,
    prepared_by: str,
    data_date: str,
    rows: Sequence[Mapping[str, Any]],
    records: Sequence[Mapping[str, Any]],
) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from linkways import __version__

    environment = Environment(
        loader=PackageLoader("linkways.policy"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["figure"] = _figure
    sections: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        sections.setdefault(_heading(row), []).append(row)
    by_corridor: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        by_corridor.setdefault(record["corridor"], []).append(record)
    return environment.get_template("report.html").render(
        place=place,
        prepared_by=prepared_by,
        data_date=data_date,
        sections=sections,
        corridors=by_corridor,
        record_source=RECORD_SOURCE,
        version=__version__,
    )


def _heading(row: Mapping[str, Any]) -> str:
    if row["framework"] == "GBF":
        return f"Global Biodiversity Framework, Target {row['target']}"
    if row["framework"] == "CMS":
        return "Convention on Migratory Species"
    return str(row["framework"])


def _figure(value: Any) -> str:
    """A value as people read it."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"
