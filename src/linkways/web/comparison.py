"""Two runs beside each other: indicators and what changed, and difference maps coloured like the report's."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.web.feature_changes import FeatureChanges, feature_changes
from linkways.web.languages import gettext, spoken_number
from linkways.web.layers import Look, RunLayer, bar_look, heading_of, layers_of, look_of, value_at
from linkways.web.problems import NotThere
from linkways.web.tiles import paint, tile_values

if TYPE_CHECKING:
    from linkways.studies import Run

__all__ = ["compare", "difference_at", "difference_look", "difference_tile", "shared_features", "shared_layer"]

_ROUNDING = 1e-9
"""Values that differ by a smaller share are the same: sums in another order differ by as much."""
_LISTED = 50
"""Features that differ and are listed on the page; the map shows all."""
_MOST_CELLS = 6_000_000
"""Rasters of more cells are compared by eye on the map; their sums are not computed while a page waits."""


def compare(before: Run, after: Run) -> dict[str, Any]:
    """Return what two runs share and where they differ: indicators, layers, parameters, inputs."""
    return {
        "indicators": _indicators(before, after),
        "layers": [_layer(one, other) for one, other in _shared(before, after)],
        "parameters": _parameters(before, after),
        "inputs": _inputs(before, after),
    }


def _indicators(before: Run, after: Run) -> list[dict[str, Any]]:
    old, new = _values(before), _values(after)
    rows = []
    for id in [*old, *(name for name in new if name not in old)]:
        one, other = old.get(id), new.get(id)
        about = one or other or {}
        a, b = (one or {}).get("value"), (other or {}).get("value")
        change = _change(a, b)
        rows.append(
            {
                "id": id,
                "doc": about.get("doc", ""),
                "unit": about.get("unit", ""),
                "before": a,
                "after": b,
                "change": change,
                "percent": 100.0 * change / abs(a) if change is not None and a else None,
            }
        )
    return rows


def _change(before: float | None, after: float | None) -> float | None:
    """After minus before; 0 where they differ by no more than rounding does."""
    if before is None or after is None:
        return None
    return 0.0 if math.isclose(before, after, rel_tol=_ROUNDING) else after - before


def _values(run: Run) -> dict[str, dict[str, Any]]:
    return {
        f"{step['id']}.{output['name']}": output
        for step in run.record["steps"]
        for output in step["outputs"]
        if output["kind"] == "indicator"
    }


def _parameters(before: Run, after: Run) -> list[dict[str, Any]]:
    """Settings that differ; a step that only one of the runs has stands as a whole."""
    old, new = ({step["id"]: step for step in run.record["steps"]} for run in (before, after))
    rows = []
    for id in [*old, *(name for name in new if name not in old)]:
        if id not in old or id not in new:
            step = (old.get(id) or new.get(id) or {})["method"]
            rows.append({"name": id, "before": step if id in old else None, "after": step if id in new else None})
            continue
        one, other = old[id]["parameters"], new[id]["parameters"]
        for name in sorted({*one, *other}):
            a, b = (each.get(name, {}).get("value") for each in (one, other))
            if a != b:
                rows.append({"name": f"{id}.{name}", "before": a, "after": b})
    return rows


def _inputs(before: Run, after: Run) -> list[dict[str, Any]]:
    """Inputs whose content or window differs."""
    old, new = ({item["name"]: item for item in run.record["inputs"]} for run in (before, after))
    rows = []
    for name in [*old, *(one for one in new if one not in old)]:
        a, b = old.get(name), new.get(name)
        same = a is not None and b is not None and all(a.get(k) == b.get(k) for k in ("sha256", "bounds", "crs"))
        if not same:
            rows.append({"name": name, "before": _input_words(a), "after": _input_words(b)})
    return rows


def _input_words(item: dict[str, Any] | None) -> str | None:
    if item is None:
        return None
    where = item.get("builtin") or item.get("resource") or Path(str(item.get("path") or "")).name or item.get("package")
    bounds = ", ".join(f"{side:g}" for side in item.get("bounds") or ())
    source = item.get("source") or ""
    return "; ".join(part for part in (str(where or ""), f"over {bounds}" if bounds else "", source) if part)


# --- layers --------------------------------------------------------------------------


def _shared(before: Run, after: Run) -> list[tuple[RunLayer, RunLayer]]:
    new = {layer.name: layer for layer in layers_of(after)}
    return [(one, new[one.name]) for one in layers_of(before) if one.name in new and new[one.name].kind == one.kind]


def shared_layer(before: Run, after: Run, name: str) -> tuple[RunLayer, RunLayer]:
    """Return a layer of both runs.

    Raises:
        NotThere: they do not share such a raster of quantities.
    """
    for one, other in _shared(before, after):
        if one.name == name and one.kind == "raster" and look_of(one).codes is None:
            return one, other
    raise NotThere(f"the two runs share no raster '{name[:80]}' that could be subtracted")


def _layer(one: RunLayer, other: RunLayer) -> dict[str, Any]:
    row: dict[str, Any] = {"name": one.name, "title": one.title, "kind": one.kind, "unit": one.unit}
    row["same"] = _same(one.kind, one.file, one.changed, other.file, other.changed)
    row["subtractable"] = row["countable"] = False
    if one.kind == "vector" and not row["same"]:
        found = feature_changes(one, other)
        row["same"] = found is not None and not found.changes
        row["countable"] = found is not None and bool(found.changes)
        if found is not None and found.changes:
            row["changes"] = _feature_rows(found)
        return row
    row["subtractable"] = one.kind == "raster" and not row["same"] and look_of(one).codes is None
    if row["subtractable"]:
        row["legend"] = difference_look(one, other).legend
        row["summary"] = _summary(one.file, one.changed, other.file, other.changed)
    return row


def _feature_rows(found: FeatureChanges) -> dict[str, Any]:
    """Counts, and the first features that differ, the changed ones first."""
    return {
        **{kind: found.count(kind) for kind in ("added", "removed", "changed")},
        "unchanged": found.unchanged,
        "first": [
            {
                "kind": one.kind,
                "label": one.label,
                "moved": one.moved,
                "columns": [{"name": name, "before": a, "after": b} for name, (a, b) in one.columns.items()][:8],
            }
            for one in found.changes[:_LISTED]
        ],
        "more": max(0, len(found.changes) - _LISTED),
    }


def shared_features(before: Run, after: Run, name: str) -> tuple[RunLayer, RunLayer]:
    """Return a layer of features of both runs.

    Raises:
        NotThere: they do not share such a layer.
    """
    for one, other in _shared(before, after):
        if one.name == name and one.kind == "vector":
            return one, other
    raise NotThere(f"the two runs share no layer of features '{name[:80]}'")


@lru_cache(maxsize=512)
def _same(kind: str, before: Path, changed: int, after: Path, changed_after: int) -> bool:
    """Whether two layers are the same but for rounding."""
    del changed, changed_after
    if before.stat().st_size == after.stat().st_size and before.read_bytes() == after.read_bytes():
        return True
    if kind != "raster":
        return False
    import rasterio

    with rasterio.open(before) as one, rasterio.open(after) as other:
        if one.shape != other.shape or one.transform != other.transform or one.width * one.height > _MOST_CELLS:
            return False
        old, new = (each.read(1, masked=True).astype("float64").filled(np.nan) for each in (one, other))
    scale = float(np.nanmax(np.abs(old))) if np.isfinite(old).any() else 0.0
    return bool(np.allclose(old, new, rtol=_ROUNDING, atol=_ROUNDING * scale, equal_nan=True))


@lru_cache(maxsize=128)
def _summary(before: Path, changed: int, after: Path, changed_after: int) -> dict[str, Any] | None:
    """Change of the sum and area of loss, by the declared method; None where grids differ or are very large."""
    del changed, changed_after
    from linkways.corridors import difference
    from linkways.spatial import read_raster, same_grid

    old, new = read_raster(before), read_raster(after)
    if old.size > _MOST_CELLS or not same_grid(old, new):
        return None
    try:
        found = difference(old, new, top=0)
    except LinkwaysError:
        return None
    total = found.total_percent if np.isfinite(found.total_percent) else None
    return {"total_percent": total, "lost_area_km2": found.lost_area_km2, "loss_percent": 10.0}


def difference_look(before: RunLayer, after: RunLayer) -> Look:
    """The colours of after minus before."""
    return _difference_look(before.file, before.changed, after.file, after.changed, before.title, before.unit)


@lru_cache(maxsize=128)
def _difference_look(before: Path, changed: int, after: Path, changed_after: int, title: str, unit: str) -> Look:
    del changed, changed_after
    old, new = _sampled(before, before), _sampled(after, before)
    values = np.where(np.isclose(old, new, rtol=_ROUNDING, atol=0.0), 0.0, new - old)
    known = values[np.isfinite(values)]
    if known.size == 0:
        return Look({"kind": "plain", "heading": f"{title}: nothing to compare"}, np.zeros((1, 4), np.uint8))
    far = float(np.quantile(np.abs(known[known != 0]), 0.98)) if (known != 0).any() else 1.0
    ends = np.array([-far, far])
    heading = heading_of(f"Change of {title[:1].lower()}{title[1:]}", unit)
    return bar_look(ends, heading, "difference", {"palette": "difference"})


def _sampled(file: Path, like: Path, most: int = 700) -> np.ndarray:
    """A raster on a coarser grid over the area of another one."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.transform import from_bounds
    from rasterio.vrt import WarpedVRT

    with rasterio.open(like) as template:
        shrink = max(1.0, max(template.width, template.height) / most)
        height, width = max(1, round(template.height / shrink)), max(1, round(template.width / shrink))
        bounds, crs = template.bounds, template.crs
    with (
        rasterio.open(file) as dataset,
        WarpedVRT(
            dataset,
            crs=crs,
            transform=from_bounds(*bounds, width, height),
            width=width,
            height=height,
            resampling=Resampling.nearest,
            src_nodata=dataset.nodata,
            nodata=np.nan,
            dtype="float64",
        ) as warped,
    ):
        return np.asarray(warped.read(1, masked=True).filled(np.nan))


def difference_tile(before: RunLayer, after: RunLayer, z: int, x: int, y: int) -> bytes:
    """Return one tile of after minus before as PNG; places where nothing changes are transparent."""
    old, new = (tile_values(layer.file, z, x, y, classes=False) for layer in (before, after))
    values = new - old
    values[np.isclose(old, new, rtol=_ROUNDING, atol=0.0)] = np.nan
    return paint(values, difference_look(before, after))


def difference_at(before: RunLayer, after: RunLayer, longitude: float, latitude: float) -> dict[str, Any]:
    """Return both values at a place, and the change."""
    from linkways.studies.numbers import number

    old, new = (value_at(layer, longitude, latitude) for layer in (before, after))
    change = new["value"] - old["value"] if old["value"] is not None and new["value"] is not None else None
    told = {"before": old["text"], "after": new["text"]}
    if change is None:
        text = gettext("before %(before)s, after %(after)s") % told
    else:
        told["change"] = spoken_number(number(change))
        text = gettext("before %(before)s, after %(after)s, change %(change)s") % told
    return {"before": old["value"], "after": new["value"], "change": change, "text": text}
