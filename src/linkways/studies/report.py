"""The report of a run: one self-contained page with maps, tables, methods and data, for screen and print."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from linkways.errors import LinkwaysError
from linkways.studies._report_record import data_of, day, duration, method_steps, notes_of, solution_of
from linkways.studies.numbers import in_words, number, unit_text
from linkways.studies.report_layers import Results
from linkways.studies.run import Run, read_run

__all__ = ["write_report"]


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a finished run folder and return its path.

    The page asks for nothing from outside: maps, charts and styles lie in it, and it needs no script. A map, table or
    chart that cannot be shown leaves a sentence in its place. The page is written aside and moved into place.

    Raises:
        LinkwaysError: there is no finished run in the folder, or the folder cannot be written to.
    """
    from linkways.studies.store import write_text

    page = _environment().get_template("report.html").render(_parts(read_run(folder)))
    target = Path(folder) / "report.html"
    write_text(target, page)
    return target


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("linkways.studies", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number, unit=unit_text, words=in_words, linked=_linked, day=day, duration=duration
    )
    return environment


_ADDRESS = re.compile(r"(https?://[^\s<>\"]*[^\s<>\".,;:)\]']|\b(?:doi:\s*)?10\.\d{4,9}/[^\s<>\"]*[^\s<>\".,;:)\]'])")


def _linked(text: Any) -> Any:
    """The text with its web addresses and DOIs as links; everything else escaped."""
    from markupsafe import Markup, escape

    pieces = _ADDRESS.split(str(text))
    shown = [Markup('<a href="{}">{}</a>').format(_href(p), p) if n % 2 else escape(p) for n, p in enumerate(pieces)]
    return Markup("").join(shown)


def _href(address: str) -> str:
    return address if address.startswith("http") else "https://doi.org/" + re.sub(r"^doi:\s*", "", address)


def _parts(run: Run) -> dict[str, Any]:
    """Everything the template needs, in the order of the page."""
    record, results = run.record, Results(run)
    asked = record.get("report") or {}
    inputs = [item["name"] for item in record["inputs"]]
    shown = {
        "indicators": _shown(asked.get("indicators"), results.value, "indicator"),
        "comparisons": _shown(asked.get("comparisons"), lambda entry: _comparison(entry, results), "comparison"),
        "maps": _shown(asked.get("maps"), results.map, "map"),
        "tables": _shown(asked.get("tables"), results.table, "table"),
        "figures": _shown(asked.get("figures"), results.figure, "figure"),
    }
    steps = method_steps(record["steps"], inputs)
    return {
        "run": record,
        "short_id": run.id[:12],
        "solution": solution_of(record.get("solution"), [step["id"] for step in steps]),
        "simulated": [item["name"] for item in record["inputs"] if item.get("simulated")],
        "real": [item["name"] for item in record["inputs"] if not item.get("simulated") and item["kind"] != "table"],
        **shown,
        "documents": [
            {"step": step["id"], "doc": output["doc"], "file": output["file"]}
            for step in record["steps"]
            for output in step["outputs"]
            if output["kind"] == "document" and output["file"] is not None
        ],
        "steps": steps,
        "data": data_of(record["inputs"]),
        "notes": notes_of(record) + _gaps(shown["tables"]),
        "defaults": [(step, [p for p in step["parameters"] if p["set_by"] == "default"]) for step in steps],
    }


def _shown(entries: Any, show: Callable[[Any], dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Each entry as shown; one that cannot be shown has its title and the sentence why: a run is not lost for it."""
    out = []
    for place, entry in enumerate(entries or [], start=1):
        try:
            part = {**show(entry), "problem": ""}
        except LinkwaysError as error:
            title = entry.get("title") if isinstance(entry, Mapping) else entry
            part = {"title": title or f"{kind} {place}", "problem": str(error)}
        out.append({**part, "anchor": f"{kind}-{place}"})
    return out


def _comparison(entry: Mapping[str, Any], results: Results) -> dict[str, Any]:
    computed = results.value(entry["computed"]) if entry.get("computed") else None
    return {
        "title": entry.get("title") or (computed["doc"] if computed else ""),
        "published": unit_text(str(entry.get("published", ""))),
        "source": entry.get("source") or "",
        "why": entry.get("why") or "",
        "computed": computed,
    }


def _gaps(tables: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [
        {
            "about": f"Table {table['title']}",
            "text": f"has no column {', '.join(table['missing'])}, which the study asks to show",
            "anchor": table["anchor"],
        }
        for table in tables
        if table.get("missing")
    ]
