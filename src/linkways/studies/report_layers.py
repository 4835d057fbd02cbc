"""What a report shows of a run's results: layers at the detail of a page, whence they come, maps and tables."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from linkways.errors import LinkwaysError
from linkways.studies._map_words import map_in_words
from linkways.studies.numbers import column_heading, column_text, in_words, unit_text
from linkways.studies.run import Run

__all__ = ["About", "Results"]

ROWS = 20
"""Rows of a table that are shown when the study does not say how many."""
BROAD = 12
"""A table with more columns is printed on a page turned sideways."""
_MOST_CELLS = 12_000_000
"""A raster with more cells is read from its overviews, which still hold more than a page can show."""
_BUILTIN_LAND_COVER = "modis-landcover-2019"


@dataclass(frozen=True)
class About:
    """What is known of a layer or table before it is read: whose it is, what it shows, and where it lies."""

    reference: str
    name: str
    doc: str
    unit: str
    file: str | None
    inputs: tuple[Mapping[str, Any], ...]
    """The records of the study inputs it was made from; of itself for an input."""
    computed: bool

    @property
    def simulated(self) -> bool:
        """Whether any input it was made from is simulated."""
        return any(item.get("simulated") for item in self.inputs)


class Results:
    """The results of one run, as the report shows them."""

    def __init__(self, run: Run) -> None:
        self.run = run

    # what there is

    @cached_property
    def _inputs(self) -> dict[str, Mapping[str, Any]]:
        return {item["name"]: item for item in self.run.record["inputs"]}

    @cached_property
    def _steps(self) -> dict[str, Mapping[str, Any]]:
        return {step["id"]: step for step in self.run.record["steps"]}

    def about(self, reference: str) -> About:
        """Return what is known of an input or of a step's output.

        Raises:
            LinkwaysError: the run has no such result.
        """
        if reference in self._inputs:
            item = self._inputs[reference]
            return About(reference, in_words(reference), "", "", item.get("file"), (item,), computed=False)
        output = self.run.output(reference)
        id = reference.split(".")[0]
        # An output without a name of its own is called like its method; the step tells more.
        default = output["name"] == self._steps[id]["method"].split(".")[-1]
        name = in_words(id if default else output["name"])
        doc, unit = str(output.get("doc") or ""), str(output.get("unit") or "")
        return About(reference, name, doc, unit, output.get("file"), tuple(self._behind(id)), computed=True)

    def _behind(self, id: str) -> list[Mapping[str, Any]]:
        """The study inputs that the outputs of a step were made from, in the order of the study."""
        names: set[str] = set()
        waiting, seen = [id], {id}
        while waiting:
            for value in self._steps[waiting.pop()]["inputs"].values():
                for reference in value if isinstance(value, list) else [value]:
                    source = str(reference).split(".")[0]
                    if reference in self._inputs:
                        names.add(reference)
                    elif source in self._steps and source not in seen:
                        seen.add(source)
                        waiting.append(source)
        return [item for name, item in self._inputs.items() if name in names]

    def read(self, about: About) -> Any:
        """Return the data: a DataArray at the detail of a page, a GeoDataFrame or a DataFrame.

        Raises:
            LinkwaysError: the folder does not hold them.
        """
        from linkways.spatial import read_table, read_vectors

        if not about.file:
            raise LinkwaysError(f"the run folder does not hold {about.reference}; run the study again")
        path = self.run.folder / about.file
        if path.suffix == ".tif":
            return self._raster(path, about)
        if path.parent.name == "tables":
            whole = path.with_suffix(".parquet")
            return read_table(whole if whole.exists() else path)
        return read_vectors(path)

    def _raster(self, path: Path, about: About) -> Any:
        from linkways.spatial import IGBP_CLASSES, read_raster

        raster = read_raster(path, overview=_overview(path)).rename(about.name)
        if not about.computed and about.inputs[0].get("builtin") == _BUILTIN_LAND_COVER:
            raster.attrs["class_names"] = dict(IGBP_CLASSES)
        return raster

    # maps

    def map(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return one map of the report: its image, its title and caption, and what it shows in a sentence."""
        from linkways.studies.maps import draw_map

        about = self.about(entry["layer"])
        layer = self.read(about)
        beneath = [self.about(reference) for reference in _listed(entry.get("over"))]
        names = [about.name, *(one.name for one in beneath)]
        over = {
            one.name if names.count(one.name) == 1 else f"{one.name} ({one.reference})": self.read(one)
            for one in beneath
        }
        simulated = any(one.simulated for one in (about, *beneath)) or bool(layer.attrs.get("simulated"))
        shown = about.doc if about.doc and len(about.doc) <= 90 and hasattr(layer, "dims") else about.name
        options = {key: entry[key] for key in ("palette", "label", "column", "width", "log") if entry.get(key)}
        figure = draw_map(
            layer,
            over=over,
            name=shown[:1].upper() + shown[1:],
            unit=about.unit,
            source=self._source_line([about, *beneath]),
            licence=self._licence_line([about, *beneath]),
            simulated=simulated,
            **options,
        )
        image = io.BytesIO()
        figure.savefig(image, format="png")
        width, height = (round(side * figure.dpi) for side in figure.get_size_inches())
        title = entry.get("title") or about.name
        words = map_in_words(
            title, layer, over, shows=shown, unit=about.unit, label=entry.get("label"), column=entry.get("column")
        )
        return {
            "title": title,
            "caption": entry.get("caption") or "",
            "image": base64.b64encode(image.getvalue()).decode(),
            "width": width,
            "height": height,
            "alt": f"Simulated data. {words}" if simulated else words,
            "simulated": simulated,
            "file": about.file or "",
        }

    def _source_line(self, layers: list[About]) -> str:
        sources = _each_once(item.get("source") for one in layers for item in one.inputs if item["kind"] != "table")
        told = "; ".join(sources) or "the inputs of the study, whose source is not told"
        computed = any(one.computed for one in layers)
        return f"computed by Linkways, run {self.run.id[:12]}, from {told}" if computed else told

    def _licence_line(self, layers: list[About]) -> str:
        inputs = {item["name"]: item for one in layers for item in one.inputs if item["kind"] != "table"}
        told = _each_once(item.get("licence") for item in inputs.values())
        untold = [name for name, item in inputs.items() if not item.get("licence")]
        return "; ".join([*told, *([f"not told for {', '.join(untold)}"] if untold else [])])

    # tables

    def table(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return one table of the report, its cells as text."""
        about = self.about(entry["table"])
        frame = self.read(about)
        if hasattr(frame, "total_bounds"):
            frame = frame.drop(columns=frame.geometry.name)
        asked = [str(name) for name in entry.get("columns") or frame.columns]
        chosen = [name for name in asked if name in frame.columns]
        shown = frame[chosen].head(entry.get("rows") or ROWS)
        texts = [column_text(name, shown[name].tolist()) for name in chosen]
        numeric = [str(frame[name].dtype).lower().startswith(("int", "float", "uint")) for name in chosen]
        return {
            "title": entry.get("title") or about.name,
            "caption": entry.get("caption") or "",
            "headings": [column_heading(name, about.doc) for name in chosen],
            "numeric": numeric,
            "rows": [list(zip(row, numeric, strict=True)) for row in zip(*texts, strict=True)],
            "total": len(frame),
            "file": about.file or "",
            "broad": len(chosen) > BROAD,
            "missing": [name for name in asked if name not in frame.columns],
            "simulated": about.simulated,
            "computed": about.computed,
        }

    # figures and numbers

    def figure(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return one chart of the report."""
        about = self.about(entry["figure"])
        if not about.file:
            raise LinkwaysError(f"the step did not draw {about.reference}")
        content = (self.run.folder / about.file).read_bytes()
        title = entry.get("title") or about.name
        # A PNG tells its width and height in the sixteen bytes after its signature and the head's name.
        width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
        return {
            "title": title,
            "caption": entry.get("caption") or about.doc[:1].upper() + about.doc[1:],
            "image": base64.b64encode(content).decode(),
            "width": width,
            "height": height,
            "alt": f"Chart: {title}{f', {about.doc}' if about.doc else ''}.",
            "simulated": about.simulated,
            "file": about.file,
        }

    def value(self, reference: str) -> dict[str, Any]:
        """Return one number of the run with its unit and meaning."""
        from linkways.studies.numbers import number

        output, about = self.run.output(reference), self.about(reference)
        return {
            "value": output.get("told") or number(output["value"]),
            "unit": unit_text(about.unit),
            "doc": about.doc[:1].upper() + about.doc[1:] or about.name,
            "id": reference,
            "step": reference.split(".")[0],
            "simulated": about.simulated,
        }


def _overview(path: Path) -> int | None:
    """The overview to read so that a large raster keeps at least as many cells as a page can show."""
    import rasterio

    with rasterio.open(path) as dataset:
        factors = dataset.overviews(1)
        cells, longest = dataset.width * dataset.height, max(dataset.width, dataset.height)
    if cells <= _MOST_CELLS:
        return None
    fitting = [at for at, factor in enumerate(factors) if longest / factor >= 1000]
    return fitting[-1] if fitting else None


def _listed(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _each_once(texts: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(str(text).rstrip(". ") for text in texts if text))
