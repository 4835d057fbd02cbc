"""The report of a run: one self-contained page with maps, tables, methods, data and provenance."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from linkways.studies._numbers import column_heading, column_text, in_words, number, unit_text
from linkways.studies.run import Run, read_run

__all__ = ["write_report"]

ROWS = 20
"""Rows of a table that are shown when the study does not say how many."""


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a finished run folder and return its path.

    The page asks for nothing from outside: maps and figures lie in it. It is written aside and moved into place.

    Raises:
        LinkwaysError: there is no finished run in the folder.
    """
    from linkways.studies.store import write_text

    page = _environment().get_template("report.html").render(Report(read_run(folder)).parts())
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
    environment.filters.update(number=number, unit=unit_text, words=in_words, linked=_linked)
    return environment


def _linked(text: str) -> Any:
    """The text with its web addresses as links."""
    import re

    from markupsafe import Markup, escape

    pieces = re.split(r"(https?://[^\s<>\"]+[^\s<>\".,;)])", str(text))
    shown = [Markup('<a href="{0}">{0}</a>').format(p) if n % 2 else escape(p) for n, p in enumerate(pieces)]
    return Markup("").join(shown)


@dataclass
class Report:
    """What the page shows, gathered from the run."""

    run: Run

    @property
    def record(self) -> dict[str, Any]:
        return self.run.record

    @property
    def asked(self) -> dict[str, Any]:
        return self.record.get("report") or {}

    def parts(self) -> dict[str, Any]:
        """Everything the template needs."""
        solution = self.record.get("solution") or {}
        return {
            "run": self.record,
            "solution": solution,
            "simulated": self.simulated,
            "indicators": [self._indicator(reference) for reference in self.asked.get("indicators") or []],
            "comparisons": [self._comparison(entry) for entry in self.asked.get("comparisons") or []],
            "maps": [self._map(n, entry) for n, entry in enumerate(self.asked.get("maps") or [], 1)],
            "tables": [self._table(entry) for entry in self.asked.get("tables") or []],
            "figures": [self._figure(entry) for entry in self.asked.get("figures") or []],
            "notes": self._notes(),
            "sources": solution.get("sources") or {},
        }

    @cached_property
    def simulated(self) -> list[str]:
        """Names of the inputs that are simulated."""
        return [item["name"] for item in self.record["inputs"] if item.get("simulated")]

    def _value(self, reference: str) -> dict[str, Any]:
        output = self.run.output(reference)
        return {"value": number(output["value"]), "unit": unit_text(output["unit"] or ""), "doc": output["doc"]}

    def _indicator(self, reference: str) -> dict[str, Any]:
        found = self._value(reference)
        return {**found, "name": found["doc"][:1].upper() + found["doc"][1:], "id": reference}

    def _comparison(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        computed = None
        if entry.get("computed"):
            found = self._value(entry["computed"])
            computed = f"{found['value']} {found['unit']}".strip()
        return {"title": "", "source": "", "why": "", **entry, "computed": computed}

    def _notes(self) -> list[tuple[str, str]]:
        """Safe repairs and choices that were made, and warnings, with where."""
        notes = [("study", sentence) for sentence in self.record.get("warnings") or []]
        for kind in ("inputs", "steps"):
            for item in self.record[kind]:
                notes += [(item.get("id") or item["name"], sentence) for sentence in item.get("log") or []]
        return notes

    # layers

    def _layer(self, reference: str) -> Any:
        """A step's output or an input that the run keeps, as data."""
        from linkways.spatial import read_raster, read_vectors

        for item in self.record["inputs"]:
            if item["name"] == reference and item.get("file"):
                path = self.run.folder / item["file"]
                return read_raster(path).rename(reference) if path.suffix == ".tif" else read_vectors(path)
        return self.run.read(reference)

    def _about(self, reference: str) -> tuple[str, str]:
        """What a layer shows, and its unit."""
        if any(item["name"] == reference for item in self.record["inputs"]):
            return in_words(reference), ""
        output = self.run.output(reference)
        step = reference.split(".")[0]
        alone = len(next(s for s in self.record["steps"] if s["id"] == step)["outputs"]) == 1
        return in_words(step if alone else output["name"]), output["unit"] or ""

    def _map(self, place: int, entry: Mapping[str, Any]) -> dict[str, Any]:
        import matplotlib.pyplot as plt

        from linkways.studies.maps import draw_map

        layer = self._layer(entry["layer"])
        over = {self._about(reference)[0]: self._layer(reference) for reference in entry.get("over") or []}
        name, unit = self._about(entry["layer"])
        with plt.rc_context():
            figure = draw_map(
                layer,
                over=over,
                name=entry.get("legend") or name,
                unit=unit,
                source="; ".join(self._credits("source")),
                licence="; ".join(self._credits("licence")),
                simulated=bool(self.simulated),
                **{key: entry[key] for key in ("palette", "label", "column", "width", "log") if key in entry},
            )
            image = io.BytesIO()
            figure.savefig(image, format="png")
            plt.close(figure)
        title = entry.get("title") or name
        return {
            "id": f"map-{place}",
            "title": title,
            "caption": entry.get("caption") or "",
            "image": base64.b64encode(image.getvalue()).decode(),
            "alt": self._in_a_sentence(title, layer, list(over), unit, entry.get("column")),
            "file": self._file_of(entry["layer"]),
        }

    def _credits(self, key: str) -> list[str]:
        """Sources or licences of the spatial inputs, each once."""
        spatial = [item for item in self.record["inputs"] if item["kind"] != "table"]
        return list(dict.fromkeys(str(item[key]) for item in spatial if item.get(key)))

    def _in_a_sentence(self, title: str, layer: Any, over: list[str], unit: str, column: str | None) -> str:
        """What one would say of the map to somebody who cannot see it."""
        import numpy as np

        parts = [f"Map: {title}."]
        if type(layer).__name__ == "DataArray":
            values = layer.values[np.isfinite(layer.values)]
            if len(values):
                shown = f"{number(values.min())} to {number(values.max())} {unit_text(unit)}".strip()
                parts.append(f"Values from {shown} on {number(len(values))} of {number(layer.size)} cells.")
        else:
            parts.append(f"{number(len(layer))} features.")
            if column and column in layer and len(layer):
                low, high = float(layer[column].min()), float(layer[column].max())
                parts.append(f"{column_heading(column)} from {number(low)} to {number(high)}.")
        if over:
            parts.append(f"Drawn over it: {', '.join(over)}.")
        return " ".join(parts)

    def _file_of(self, reference: str) -> str:
        for item in self.record["inputs"]:
            if item["name"] == reference:
                return str(item.get("file") or "")
        return str(self.run.output(reference)["file"] or "")

    # tables and figures

    def _table(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        frame = self._layer(entry["table"])
        if hasattr(frame, "geometry"):
            frame = frame.drop(columns=frame.geometry.name)
        chosen = [c for c in (entry.get("columns") or frame.columns) if c in frame.columns]
        shown = frame[chosen].head(entry.get("rows") or ROWS)
        is_input = any(item["name"] == entry["table"] for item in self.record["inputs"])
        doc = "" if is_input else self.run.output(entry["table"])["doc"]
        texts = [column_text(str(column), shown[column].tolist()) for column in chosen]
        numeric = [str(frame[column].dtype).startswith(("int", "float", "uint")) for column in chosen]
        return {
            "title": entry.get("title") or self._about(entry["table"])[0],
            "caption": entry.get("caption") or "",
            "headings": [column_heading(str(column), doc) for column in chosen],
            "numeric": numeric,
            "rows": [list(zip(row, numeric, strict=True)) for row in zip(*texts, strict=True)],
            "total": len(frame),
            "file": self._file_of(entry["table"]),
        }

    def _figure(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        output = self.run.output(entry["figure"])
        image = (self.run.folder / output["file"]).read_bytes()
        title = entry.get("title") or in_words(output["name"])
        return {
            "title": title,
            "caption": entry.get("caption") or output["doc"],
            "image": base64.b64encode(image).decode(),
            "alt": f"Figure: {title}. {output['doc']}",
        }
