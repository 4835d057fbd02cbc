"""The layers of a finished run as a browser's map shows them: what there is, its colours and legend, its features."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.web.languages import gettext, spoken_number
from linkways.web.problems import NotThere

if TYPE_CHECKING:
    from linkways.studies import Run

__all__ = [
    "Look",
    "RunLayer",
    "bar_look",
    "column_values",
    "features",
    "geojson_of",
    "heading_of",
    "layer_of",
    "layers_of",
    "look_of",
    "maps_of",
    "value_at",
]

_SAMPLE = 700
"""Cells along the longer side of the sample that decides the colours of a raster."""
_MOST_COORDINATES = 250_000
"""A layer with more corners than this is simplified for the map; the download is whole."""
_MOST_WHOLE = 20_000
"""Features that are sent to the map with all their columns."""
_STOPS = 9


@dataclass(frozen=True)
class RunLayer:
    """One layer of a run.

    Attributes:
        name: the reference of it, ``step.output`` or the name of an input.
        title: what it is called on the page.
        doc: what it shows.
        unit: unit of its values.
        kind: ``raster`` or ``vector``.
        file: where it lies.
        href: its file as seen from the run folder.
        computed: whether the run made it; else it is an input.
        simulated: whether anything it was made from is simulated.
        changed: when the file was written, for caches.
        wishes: how the report draws it: column, palette, log, label.
    """

    name: str
    title: str
    doc: str
    unit: str
    kind: str
    file: Path
    href: str
    computed: bool
    simulated: bool
    changed: int
    wishes: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[Any, ...]:
        """What decides how it is drawn."""
        return self.file, self.changed, self.title, self.unit, self.doc, json.dumps(self.wishes, sort_keys=True)


@dataclass(frozen=True)
class Look:
    """How a layer is coloured.

    Attributes:
        legend: what the page draws beside the map: ``bar`` (stops of value and colour), ``classes`` or ``plain``.
        low: for a bar, the value at the first colour; likewise ``high``.
        log: whether colours follow the logarithm.
        codes: for classes, the sorted codes.
        colours: RGBA, one row per step of the bar or class.
        column: for features, the column that colours them.
    """

    legend: dict[str, Any]
    colours: np.ndarray
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    codes: np.ndarray | None = None
    column: str | None = None


# --- what there is -------------------------------------------------------------------


def layers_of(run: Run) -> list[RunLayer]:
    """Return the layers of a run: what it made, in the order of its steps, then the inputs that it kept."""
    from linkways.studies.report_layers import Results

    results = Results(run)
    names = [
        f"{step['id']}.{output['name']}"
        for step in run.record["steps"]
        for output in step["outputs"]
        if output["kind"] == "layer"
    ]
    names += [item["name"] for item in run.record["inputs"] if item.get("kind") != "table"]
    wishes = _wishes(run)
    found = []
    for name in names:
        about = results.about(name)
        file = run.folder / about.file if about.file else None
        if file is None or file.suffix not in (".tif", ".parquet") or not file.is_file():
            continue
        found.append(
            RunLayer(
                name,
                about.name,
                about.doc,
                about.unit,
                "raster" if file.suffix == ".tif" else "vector",
                file,
                str(about.file),
                about.computed,
                about.simulated,
                file.stat().st_mtime_ns,
                wishes.get(name, {}),
            )
        )
    return found


def layer_of(run: Run, name: str) -> RunLayer:
    """Return one layer of a run.

    Raises:
        NotThere: the run has no such layer.
    """
    for layer in layers_of(run):
        if layer.name == name:
            return layer
    raise NotThere(f"the run has no layer '{name[:80]}'; its page lists those it has")


def maps_of(run: Run) -> list[dict[str, Any]]:
    """Return the maps that the study's report draws, as names of layers from the bottom up."""
    known = {layer.name for layer in layers_of(run)}
    maps = []
    for entry in (run.record.get("report") or {}).get("maps") or []:
        if not isinstance(entry, dict):
            continue
        over = entry.get("over") or []
        names = [_full(run, one) for one in [entry.get("layer"), *(over if isinstance(over, list) else [over])]]
        shown = [name for name in names if name in known]
        if shown:
            maps.append({"title": entry.get("title", ""), "caption": entry.get("caption", ""), "layers": shown})
    return maps


def _full(run: Run, reference: Any) -> str:
    """A reference of the report in full: ``step.output``, or an input."""
    text = str(reference)
    if any(item["name"] == text for item in run.record["inputs"]) or "." in text:
        return text
    step = next((one for one in run.record["steps"] if one["id"] == text), None)
    return f"{text}.{step['outputs'][0]['name']}" if step and len(step["outputs"]) == 1 else text


def _wishes(run: Run) -> dict[str, dict[str, Any]]:
    """How the report draws the layer that each of its maps is about; the first map of a layer counts."""
    wishes: dict[str, dict[str, Any]] = {}
    for entry in (run.record.get("report") or {}).get("maps") or []:
        if isinstance(entry, dict) and entry.get("layer"):
            chosen = {key: entry[key] for key in ("column", "palette", "log", "label") if entry.get(key)}
            wishes.setdefault(_full(run, entry["layer"]), chosen)
    return wishes


# --- colours -------------------------------------------------------------------------


def look_of(layer: RunLayer) -> Look:
    """Return the colours and the legend of a layer, those that the report uses."""
    return _look(layer.kind, *layer.key)


@lru_cache(maxsize=512)
def _look(kind: str, file: Path, changed: int, title: str, unit: str, doc: str, wishes: str) -> Look:
    del changed
    wanted = json.loads(wishes)
    heading = heading_of(title, unit)
    if kind == "raster":
        return _raster_look(file, heading, f"{title} {unit} {doc}", wanted)
    return _vector_look(file, heading, wanted)


def heading_of(title: str, unit: str) -> str:
    from linkways.studies.numbers import unit_text

    return f"{title} ({unit_text(unit)})" if unit and unit_text(unit).lower() not in title.lower() else title


def _raster_look(file: Path, heading: str, about: str, wanted: Mapping[str, Any]) -> Look:
    import rasterio

    with rasterio.open(file) as dataset:
        shrink = max(1.0, max(dataset.width, dataset.height) / _SAMPLE)
        shape = (max(1, round(dataset.height / shrink)), max(1, round(dataset.width / shrink)))
        tags = dataset.tags()
        is_classes = tags.get("CLASSES", "").lower() == "true"
        values = dataset.read(1, out_shape=shape, masked=True).astype("float64").filled(np.nan)
    known = values[np.isfinite(values)]
    if known.size == 0:
        return Look({"kind": "plain", "heading": f"{heading}: no data"}, np.zeros((1, 4), np.uint8))
    if is_classes:
        names = json.loads(tags.get("CLASS_NAMES") or "{}") or _builtin_names(file)
        return _class_look(np.unique(known), names, heading, wanted.get("palette"))
    return bar_look(known, heading, about, wanted)


def _builtin_names(file: Path) -> dict[str, str]:
    """Names of the classes of the built-in land cover, which an input kept by a run does not carry."""
    from linkways.spatial import IGBP_CLASSES

    del file
    return {str(code): name for code, name in IGBP_CLASSES.items()}


def _class_look(codes: np.ndarray, names: Mapping[str, str], heading: str, palette: str | None) -> Look:
    from linkways.studies.map_style import MOST_CLASSES, class_scale, repeating_scale

    if len(codes) > MOST_CLASSES:
        scale = repeating_scale(len(codes), heading)
        rgba = (np.asarray(scale.cmap(np.arange(MOST_CLASSES))) * 255).astype(np.uint8)
        colours = rgba[np.arange(len(codes)) % MOST_CLASSES]
        legend = {"kind": "classes", "heading": heading, "note": f"{len(codes)} classes; colours repeat", "classes": []}
        return Look(legend, colours, codes=codes)
    numbers = {int(float(code)): name for code, name in names.items()}
    scale = class_scale(codes, numbers, palette=palette, heading=heading)
    colours = (np.asarray(scale.cmap(np.arange(len(codes)))) * 255).round().astype(np.uint8)
    entries = [
        {"code": _plain(code), "label": numbers.get(int(code), f"class {code:g}"), "colour": _hex(colour)}
        for code, colour in zip(codes, colours, strict=True)
    ]
    return Look({"kind": "classes", "heading": heading, "classes": entries}, colours, codes=codes)


def bar_look(known: np.ndarray, heading: str, about: str, wanted: Mapping[str, Any]) -> Look:
    from linkways.studies.map_style import continuous_scale

    log = bool(wanted.get("log")) and bool((known > 0).any())
    scale = continuous_scale(known, palette=wanted.get("palette"), about=about, heading=heading, log=log)
    low, high = float(scale.norm.vmin or 0.0), float(scale.norm.vmax or 1.0)
    colours = (np.asarray(scale.cmap(np.linspace(0, 1, 256))) * 255).round().astype(np.uint8)
    return Look(_bar(low, high, log, colours, heading, scale.extend), colours, low, high, log)


def _bar(low: float, high: float, log: bool, colours: np.ndarray, heading: str, extend: str) -> dict[str, Any]:
    from linkways.studies.numbers import number

    at = np.linspace(0, 1, _STOPS)
    values = 10 ** (np.log10(low) + at * np.log10(high / low)) if log else low + at * (high - low)
    stops = [
        {"value": float(value), "text": number(float(value), 3), "colour": _hex(colours[round(place * 255)])}
        for value, place in zip(values, at, strict=True)
    ]
    return {"kind": "bar", "heading": heading, "log": log, "extend": extend, "stops": stops}


def _vector_look(file: Path, heading: str, wanted: Mapping[str, Any]) -> Look:
    from linkways.spatial import read_vectors
    from linkways.studies.map_style import class_colours, continuous_scale, own_colours

    column = wanted.get("column")
    frame = read_vectors(file)
    plain = Look({"kind": "plain", "heading": heading}, np.zeros((1, 4), np.uint8))
    if column not in frame.columns:
        return plain
    values = frame[column]
    title = f"{heading}: {str(column).replace('_', ' ')}"
    if values.dtype.kind in "fiu":
        known = values.to_numpy(dtype=float)
        known = known[np.isfinite(known)]
        if known.size == 0:
            return plain
        log = bool(wanted.get("log")) and bool((known > 0).any())
        scale = continuous_scale(known, palette=wanted.get("palette"), about=str(column), heading=title, log=log)
        low, high = float(scale.norm.vmin or 0.0), float(scale.norm.vmax or 1.0)
        colours = (np.asarray(scale.cmap(np.linspace(0, 1, 256))) * 255).round().astype(np.uint8)
        return Look(_bar(low, high, log, colours, title, scale.extend), colours, low, high, log, column=column)
    labels = sorted(str(one) for one in values.dropna().unique())[:20]
    chosen = class_colours(labels, own_colours(frame, str(column)))
    entries = [{"code": label, "label": label, "colour": colour} for label, colour in zip(labels, chosen, strict=True)]
    legend = {"kind": "classes", "heading": title, "classes": entries}
    return Look(legend, np.zeros((1, 4), np.uint8), column=column)


def _hex(colour: np.ndarray) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in colour[:3])


def _plain(code: Any) -> float | int:
    value = float(code)
    return int(value) if value.is_integer() else value


# --- features and values -------------------------------------------------------------


def features(layer: RunLayer) -> bytes:
    """Return a layer of features as GeoJSON in degrees.

    It is simplified where it has very many corners; of very many features only the columns that the map draws by are
    sent along. The download is whole.
    """
    return _features(layer.file, layer.changed, layer.wishes.get("column"), layer.wishes.get("label"))


@lru_cache(maxsize=24)
def _features(file: Path, changed: int, *drawn_by: str | None) -> bytes:
    del changed
    from linkways.spatial import read_vectors

    frame = read_vectors(file)
    if len(frame) > _MOST_WHOLE:
        frame = frame[[name for name in frame.columns if name in drawn_by or name == frame.geometry.name]]
    return geojson_of(frame)


def geojson_of(frame: Any) -> bytes:
    """Return a layer of features as GeoJSON text in degrees; numbers as numbers, everything else as text."""
    import shapely

    frame = frame.to_crs("EPSG:4326")
    shapes = frame.geometry.to_numpy()
    corners = int(shapely.get_num_coordinates(shapes).sum())
    if corners > _MOST_COORDINATES:
        west, south, east, north = frame.total_bounds
        tolerance = max(east - west, north - south) / 4000 * (corners / _MOST_COORDINATES) ** 0.5
        shapes = shapely.simplify(shapes, tolerance)
    shapes = shapely.transform(shapes, lambda xy: np.round(xy, 6))
    names = [str(name) for name in frame.columns if name != frame.geometry.name]
    columns = [column_values(frame[name]) for name in frame.columns if name != frame.geometry.name]
    pieces = (
        f'{{"type":"Feature","properties":{json.dumps(dict(zip(("_row", *names), (row, *values), strict=True)))},'
        f'"geometry":{shape or "null"}}}'
        for row, (shape, *values) in enumerate(zip(shapely.to_geojson(shapes), *columns, strict=True))
    )
    return f'{{"type":"FeatureCollection","features":[{",".join(pieces)}]}}'.encode()


def column_values(column: Any) -> list[Any]:
    """A column as JSON has it: numbers that are finite, true and false, and text; everything else empty."""
    if column.dtype.kind in "fiu":
        values = column.to_numpy(dtype=float, na_value=np.nan)
        whole = column.dtype.kind in "iu"
        return [None if not np.isfinite(one) else int(one) if whole else one for one in values.tolist()]
    if column.dtype.kind == "b":
        return [bool(one) for one in column]
    return [None if missing else str(one) for one, missing in zip(column, column.isna(), strict=True)]


def value_at(layer: RunLayer, longitude: float, latitude: float) -> dict[str, Any]:
    """Return the value of a raster layer at a place in degrees, None outside it or where it is empty.

    Raises:
        LinkwaysError: the layer is no raster.
    """
    import rasterio
    from rasterio.warp import transform

    from linkways.studies.numbers import number, unit_text

    if layer.kind != "raster":
        raise LinkwaysError(f"{layer.name} holds features; values at a place are read from rasters")
    with rasterio.open(layer.file) as dataset:
        xs, ys = transform("EPSG:4326", dataset.crs, [longitude], [latitude])
        west, _, east, _ = dataset.bounds
        # data across the antimeridian run on past 180 degrees
        x = xs[0] + 360.0 if dataset.crs.is_geographic and xs[0] < west and xs[0] + 360.0 <= east else xs[0]
        row, column = dataset.index(x, ys[0])
        if not (0 <= row < dataset.height and 0 <= column < dataset.width):
            return {"value": None, "text": gettext("outside")}
        window = ((row, row + 1), (column, column + 1))
        cell = dataset.read(1, window=window, masked=True).astype("float64").filled(np.nan)[0, 0]
    if not np.isfinite(cell):
        return {"value": None, "text": gettext("no data")}
    legend = look_of(layer).legend
    if legend["kind"] == "classes":
        label = next((one["label"] for one in legend["classes"] if one["code"] == cell), f"class {cell:g}")
        return {"value": float(cell), "text": label}
    unit = unit_text(layer.unit)
    return {"value": float(cell), "text": f"{spoken_number(number(float(cell)))} {gettext(unit)}".rstrip()}
