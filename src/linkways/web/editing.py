"""Editing a record in the browser: its fields as a form, and the form as a record.

Texts are written as they are, lists of texts one a line, and what has parts of its own as YAML, checked like a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from linkways.catalogue import Solution, record_from
from linkways.errors import LinkwaysError
from linkways.plain_yaml import read_yaml, write_yaml
from linkways.web.languages import N_

__all__ = ["new_record", "record_fields", "record_of_form"]

_FIELDS: dict[str, tuple[str, str, str]] = {
    "title": ("line", N_("Title"), ""),
    "summary": ("text", N_("Summary"), N_("Two or three sentences that stand in lists.")),
    "place": ("yaml", N_("Place"), N_("name, countries (ISO codes), bounds: [west, south, east, north] in degrees")),
    "species": ("yaml", N_("Species"), N_("- {scientific_name: Panthera onca, name: jaguar}")),
    "keywords": ("lines", N_("Keywords"), N_("One a line.")),
    "context": ("text", N_("Context"), N_("Where it began. Markdown.")),
    "challenges": ("yaml", N_("Challenges"), N_("A sentence each, after a dash.")),
    "beneficiaries": ("lines", N_("Who benefits"), N_("One a line.")),
    "building_blocks": (
        "yaml",
        N_("Building blocks"),
        N_("id, title, description, enabling_factors, lessons_learned, steps"),
    ),
    "interaction": ("text", N_("How the blocks work together"), ""),
    "impacts": ("yaml", N_("Impacts"), N_("- {fact: what changed, source: where it is told}")),
    "story": ("text", N_("Story"), N_("Markdown.")),
    "classifications": ("yaml", N_("Classifications"), N_("vocabulary: [codes]")),
    "contributors": ("yaml", N_("Contributors"), N_("A name each, after a dash; or name, organisation, role.")),
    "sources": ("yaml", N_("Sources"), N_("key: citation")),
    "links": ("yaml", N_("Links"), N_("- {title: ..., url: https://...}")),
    "resources": ("yaml", N_("Resources"), N_("- {title: ..., url: https://...}")),
    "reproduces": (
        "yaml",
        N_("What the study gives"),
        N_("- {computed: step.output, value: 12.5, tolerance_percent: 1}; reviewers have it run again and compared"),
    ),
    "translations": ("yaml", N_("Translations"), N_("language: {field: text}")),
}


def record_fields(record: Solution, texts: Mapping[str, str] | None = None) -> list[dict[str, str]]:
    """The fields of a record for a form; ``texts`` are what was sent and not taken."""
    data = record.to_data()
    out = []
    for name, (kind, label, doc) in _FIELDS.items():
        text = (texts or {}).get(name)
        shown = _text(kind, data.get(name)) if text is None else text
        out.append({"name": name, "kind": kind, "label": label, "doc": doc, "text": shown})
    return out


def record_of_form(record: Solution, texts: Mapping[str, str]) -> tuple[Solution | None, dict[str, str]]:
    """The record with what was sent, or the mistakes by field.

    A field that was not sent stays as it is. The study is not changed here: it comes with the replication.
    """
    data, mistakes = record.to_data(), {}
    for name, (kind, label, _) in _FIELDS.items():
        if name not in texts:
            continue
        try:
            value = _value(kind, texts[name], label)
        except LinkwaysError as error:
            mistakes[name] = str(error)
            continue
        if value in (None, "", [], {}):
            data.pop(name, None)
        else:
            data[name] = value
    if mistakes:
        return None, mistakes
    try:
        return record_from(data), {}
    except LinkwaysError as error:
        return None, _by_field(error)


def new_record(id: str, title: str, author: str) -> Solution:
    """The draft of a solution that begins with its title.

    Raises:
        RecordError: the id or the title will not do.
    """
    data: dict[str, Any] = {
        "id": id.strip(),
        "title": title.strip(),
        "summary": "To be written.",
        "place": {"name": "To be told"},
    }
    if author:
        data["contributors"] = [author]
    return record_from(data)


def _text(kind: str, value: Any) -> str:
    if value is None:
        return ""
    if kind == "lines":
        return "\n".join(str(one) for one in value)
    return write_yaml(value).strip() if kind == "yaml" else str(value)


def _value(kind: str, text: str, label: str) -> Any:
    text = text.replace("\r\n", "\n").strip()
    if kind == "lines":
        return [line.strip() for line in text.split("\n") if line.strip()]
    return read_yaml(text, label).data if kind == "yaml" and text else text


def _by_field(error: LinkwaysError) -> dict[str, str]:
    """Mistakes by the field that each begins with; others under the title."""
    out: dict[str, list[str]] = {}
    for sentence in getattr(error, "problems", [str(error)]):
        plain = sentence.lstrip(": ")
        name = next((one for one in _FIELDS if plain.startswith(one)), "title")
        out.setdefault(name, []).append(plain)
    return {name: "; ".join(sentences) for name, sentences in out.items()}
