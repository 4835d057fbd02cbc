"""A map in words: what one would say of it to somebody who cannot see it, with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.studies.numbers import column_heading, number, unit_text

if TYPE_CHECKING:
    from linkways.studies.maps import MapLayer

__all__ = ["map_in_words"]


def map_in_words(
    title: str,
    layer: MapLayer,
    over: Mapping[str, MapLayer],
    *,
    shows: str = "",
    unit: str = "",
    label: str | None = None,
    column: str | None = None,
) -> str:
    """Return what a map shows as sentences: range, middle value and extent of a raster, number and kind of features."""
    raster = hasattr(layer, "dims")
    told = _raster(layer, shows, unit) if raster else _features(layer, column, label)
    sentences = [f"Map: {title.rstrip('.')}.", told, _place(layer)]
    if over:
        parts = [f"{name} ({_count(one)})" if not hasattr(one, "dims") else name for name, one in over.items()]
        sentences.append(f"Drawn over it: {_joined(parts)}.")
    return " ".join(sentence for sentence in sentences if sentence)


def _raster(raster: Any, shows: str, unit: str) -> str:
    from linkways.studies._map_rasters import is_classes

    values = raster.values
    known = values[np.isfinite(values)]
    if known.size == 0:
        return "It holds no data."
    where = f"on {number(known.size)} of {number(values.size)} cells"
    if is_classes(raster):
        return _classes(known, raster, where)
    unit = unit_text(unit or str(raster.attrs.get("units", "")))
    unit = "" if unit.lower() in shows.lower() else unit
    low, middle, high = (f"{number(float(value))}" for value in (known.min(), np.median(known), known.max()))
    subject = f"{shows[:1].upper()}{shows[1:]}" if shows else "Values"
    if low == high:
        return f"{subject}: {low} {unit}".rstrip() + f" everywhere, {where}."
    return f"{subject}: from {low} to {high} {unit}".rstrip() + f", half of the cells at or below {middle}, {where}."


def _classes(known: np.ndarray, raster: Any, where: str) -> str:
    codes, counts = np.unique(known, return_counts=True)
    names = raster.attrs.get("class_names") or ({0: "no", 1: "yes"} if raster.dtype == bool else {})
    order = np.argsort(-counts)[:3]
    shares = [f"{names.get(int(codes[i]), f'class {number(codes[i])}')} {counts[i] / known.size:.0%}" for i in order]
    how_many = "1 class" if len(codes) == 1 else f"{len(codes)} classes"
    return f"{how_many} {where}; the commonest: {_joined(shares)}."


def _features(frame: Any, column: str | None, label: str | None) -> str:
    text = f"{_count(frame)[:1].upper()}{_count(frame)[1:]}"
    if column is not None and column in frame and len(frame):
        text += f", coloured by {_lower(column_heading(column))}{_range(frame[column])}"
    if label is not None and label in frame:
        text += f", labelled with {_lower(column_heading(label))}"
    return text + "."


def _range(values: Any) -> str:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    known = values.dropna()
    if not len(known):
        return " (no values)"
    if is_numeric_dtype(values) and not is_bool_dtype(values):
        return f" from {number(float(known.min()))} to {number(float(known.max()))}"
    names = [str(name) for name in known.value_counts().index]
    return f" ({_joined(names[:4])}{' and others' if len(names) > 4 else ''})"


def _count(frame: Any) -> str:
    kinds = {str(kind).replace("Multi", "").replace("LinearRing", "LineString") for kind in frame.geom_type.dropna()}
    words = {"Point": "point", "LineString": "line", "Polygon": "polygon"}
    noun = words.get(kinds.pop(), "feature") if len(kinds) == 1 else "feature"
    return f"{number(len(frame)) if len(frame) else 'no'} {noun}{'' if len(frame) == 1 else 's'}"


def _place(layer: Any) -> str:
    """Where the map lies, in degrees."""
    from linkways.spatial._grid import grid_of
    from linkways.studies._map_frame import View, degree_text
    from linkways.studies.maps import bounds_of_data

    if hasattr(layer, "dims"):
        grid = grid_of(layer)
        crs, bounds = grid.crs, bounds_of_data(layer, grid)
    else:
        crs, bounds = layer.crs, tuple(layer.total_bounds)
    if not np.isfinite(bounds).all():
        return ""
    box = View(crs, *bounds, 1.0).bounds_in_degrees()
    if box is None:
        return ""
    digits = 0 if min(box[2] - box[0], box[3] - box[1]) > 5 else 2
    west, east = (degree_text(side, "EW", digits) for side in (box[0], box[2]))
    south, north = (degree_text(side, "NS", digits) for side in (box[1], box[3]))
    return f"It reaches from {west} to {east} and from {south} to {north}."


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
