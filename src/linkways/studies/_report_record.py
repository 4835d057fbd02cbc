"""The parts of a report that are told rather than drawn: the solution, the methods, the data, and the run itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from linkways.errors import LinkwaysError
from linkways.studies.numbers import in_words, number, unit_text

__all__ = ["data_of", "day", "duration", "method_steps", "notes_of", "solution_of"]

_DETAILS = {
    "enabling_factors": "What made it possible",
    "lessons": "Lessons learned",
    "lessons_learned": "Lessons learned",
    "lesson_learned": "Lessons learned",
}


_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


# --- the solution --------------------------------------------------------------------


def solution_of(record: Mapping[str, Any] | None, steps: Sequence[str]) -> dict[str, Any] | None:
    """Return the record of the solution in the one form the page shows, or None when the run has none.

    Records are written by people: single texts stand for lists, texts for mappings with a name.
    """
    if not record:
        return None
    sources = record.get("sources")
    known = {str(key): _text(value) for key, value in sources.items()} if isinstance(sources, Mapping) else {}
    listed = list(known.values()) if known else _texts(sources)
    return {
        "id": _text(record.get("id")),
        "title": _text(record.get("title")),
        "summary": _text(record.get("summary")),
        "place": _text(record.get("place")),
        "species": [_species(one) for one in _listed(record.get("species"))],
        "challenges": _texts(record.get("challenges")),
        "building_blocks": [_block(one, steps) for one in _listed(record.get("building_blocks"))],
        "impacts": [_impact(one, known) for one in _listed(record.get("impacts"))],
        "sources": listed,
    }


def _species(one: Any) -> dict[str, str]:
    if isinstance(one, Mapping):
        common = _text(one.get("name") or one.get("common_name"))
        return {"name": common, "scientific": _text(one.get("scientific_name"))}
    return {"name": _text(one), "scientific": ""}


def _block(one: Any, steps: Sequence[str]) -> dict[str, Any]:
    if not isinstance(one, Mapping):
        return {"title": _text(one), "description": "", "details": [], "steps": []}
    named = [str(step) for step in _listed(one.get("steps"))]
    details = [(heading, "; ".join(_texts(one[key]))) for key, heading in _DETAILS.items() if one.get(key)]
    return {
        "title": _text(one.get("title") or one.get("name")),
        "description": _text(one.get("description")),
        "details": details,
        "steps": [(step, step in steps) for step in named],
    }


def _impact(one: Any, sources: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(one, Mapping):
        return {"fact": _text(one), "source": ""}
    source = _text(one.get("source"))
    return {
        "fact": _text(one.get("fact") or one.get("text") or one.get("title")),
        "source": sources.get(source, source),
    }


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _texts(value: Any) -> list[str]:
    return [text for text in (_text(one) for one in _listed(value)) if text]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        named = value.get("name") or value.get("title") or value.get("text") or value.get("citation")
        return str(named if named is not None else "; ".join(f"{key}: {one}" for key, one in value.items())).strip()
    return str(value).strip()


# --- methods and data ----------------------------------------------------------------


def method_steps(steps: Sequence[Mapping[str, Any]], inputs: Sequence[str]) -> list[dict[str, Any]]:
    """Return each step as the page tells it: what it does, on what, with which parameters, and its references."""
    alone = [step["id"] for step in steps if len(step["outputs"]) == 1]
    return [
        {
            "id": step["id"],
            "name": in_words(step["id"]),
            "method": step["method"],
            "version": step.get("version"),
            "summary": step.get("summary") or "",
            "works_on": [_wired(name, value, inputs, alone) for name, value in (step.get("inputs") or {}).items()],
            **_parameters(step),
            "references": list(step.get("references") or []),
            "gives": [
                {"name": one["name"], "doc": one.get("doc") or "", "unit": unit_text(one.get("unit") or "")}
                for one in step["outputs"]
            ],
        }
        for step in steps
    ]


def _wired(name: str, value: Any, inputs: Sequence[str], alone: Sequence[str]) -> dict[str, Any]:
    shown = []
    for reference in _listed(value):
        text = str(reference)
        step, _, output = text.partition(".")
        if text in inputs:
            shown.append({"text": text, "anchor": f"data-{text}", "kind": "input"})
        else:
            told = f"{output} of step {step}" if output and output != step and step not in alone else f"step {step}"
            shown.append({"text": told, "anchor": f"step-{step}", "kind": "step"})
    return {"name": in_words(name).lower(), "from": shown}


def _parameters(step: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that have a value, with whether it is the method's default, and those that are not used."""
    declared = _declared(step["method"])
    shown, unused = [], []
    for name, given in (step.get("parameters") or {}).items():
        value = given.get("value")
        if value is None:
            unused.append(name)
            continue
        parameter = declared.get(name)
        default = parameter is not None and not parameter.required and _same(parameter.default, value)
        shown.append(
            {
                "name": name,
                "value": _value(name, value),
                "unit": unit_text(given.get("unit") or ""),
                "doc": parameter.spec.doc if parameter is not None else "",
                "set_by": "" if parameter is None else "default" if default else "study",
                "source": parameter.spec.source if parameter is not None and default else "",
            }
        )
    return {"parameters": shown, "unused": unused}


def _declared(method: str) -> dict[str, Any]:
    """The parameters that the method declares; none when this Linkways does not have the method."""
    from linkways.method import find_method

    try:
        return {parameter.name: parameter for parameter in find_method(method).parameters}
    except LinkwaysError:
        return {}


def _same(default: Any, value: Any) -> bool:
    if isinstance(default, (list, tuple)) and isinstance(value, (list, tuple)):
        return list(default) == list(value)
    return bool(default == value)


def _value(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_value(name, one)}" for key, one in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(name, one) for one in value) or "none"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    return str(value) if name == "seed" else number(value, 6)


def data_of(inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each input as the page tells it."""
    return [
        {
            "name": item["name"],
            "kind": {"vector": "features"}.get(item["kind"], item["kind"]),
            "from": _origin(item),
            "source": item.get("source") or "",
            "licence": item.get("licence") or "",
            "crs": item.get("crs") or "",
            "size": _size(item),
            "extent": _extent(item),
            "sha256": item.get("sha256") or "",
            "simulated": bool(item.get("simulated")),
            "log": list(item.get("log") or []),
        }
        for item in inputs
    ]


def _origin(item: Mapping[str, Any]) -> str:
    if item.get("builtin"):
        return f"built-in source {item['builtin']}"
    if item.get("package"):
        return f"{item.get('resource', '')} of the package {item['package']}"
    told = item.get("url") or item.get("path")
    parts = [str(told) if told else "rows written in the study"]
    parts += [f"{key} {item[key]}" for key in ("layer", "band") if item.get(key)]
    if item.get("align"):
        parts.append(f"brought to the grid of {item['align']} by {item.get('rule')}")
    return ", ".join(parts)


def _size(item: Mapping[str, Any]) -> str:
    shape = [int(side) for side in item.get("shape") or [] if side is not None]
    if item["kind"] == "field":
        return " × ".join(number(side) for side in shape)
    if len(shape) != 2 or shape[0] < 0:
        return ""
    if item["kind"] == "raster":
        return f"{number(shape[0])} rows × {number(shape[1])} columns"
    what = "features" if item["kind"] == "vector" else "rows"
    return f"{number(shape[0])} {what}, {number(shape[1])} {'fields' if item['kind'] == 'vector' else 'columns'}"


def _extent(item: Mapping[str, Any]) -> str:
    bounds = item.get("bounds")
    if not bounds or item["kind"] == "table":
        return ""
    west, south, east, north = (number(float(side), 6) for side in bounds)
    return f"x {west} to {east}, y {south} to {north}"


# --- notes and time ------------------------------------------------------------------


def notes_of(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what a reader must know before trusting the numbers: warnings, then the log of inputs and steps."""
    notes = [{"about": "Warning", "text": str(text), "anchor": ""} for text in record.get("warnings") or []]
    for item in record["inputs"]:
        if item.get("simulated"):
            text = "these data are simulated; they say nothing about a real place"
            notes.append({"about": f"Input {item['name']}", "text": text, "anchor": f"data-{item['name']}"})
        notes += [
            {"about": f"Input {item['name']}", "text": str(text), "anchor": f"data-{item['name']}"}
            for text in item.get("log") or []
        ]
    for step in record["steps"]:
        notes += [
            {"about": f"Step {step['id']}", "text": str(text), "anchor": f"step-{step['id']}"}
            for text in step.get("log") or []
        ]
    return notes


def day(stamp: Any, *, time: bool = False) -> str:
    """Return an ISO time as a date in words: ``22 November 2026``, with the time in UTC on request."""
    try:
        moment = datetime.fromisoformat(str(stamp))
    except ValueError:
        return str(stamp)
    text = f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
    return f"{text}, {moment:%H:%M} UTC" if time else text


def duration(seconds: Any) -> str:
    """Return a time in the two units that matter: ``47 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if not isinstance(seconds, (int, float)):
        return "not recorded"
    whole = round(seconds)
    if whole < 60:
        return f"{number(seconds, 2)} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
