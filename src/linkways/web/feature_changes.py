"""Features of two runs beside each other: which were added, removed or changed.

Two features are the same one when their geometries are equal, whatever their numbers are, since numbering begins anew
with every run. What is left is paired by an identifying column that both layers have, when the two also touch.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from linkways.web.layers import RunLayer, column_values

__all__ = ["FeatureChange", "FeatureChanges", "changes_geojson", "feature_changes"]

_MOST = 200_000
"""Layers of more features are compared by eye."""
_DECIMALS = 6
_SAME = 1e-9


@dataclass(frozen=True)
class FeatureChange:
    """One feature that differs.

    Attributes:
        kind: ``added``, ``removed`` or ``changed``.
        label: the feature by its identifying column; its row when there is none.
        before: its row in the layer before, None when it was added.
        after: its row in the layer after, None when it was removed.
        moved: whether its geometry is another one.
        columns: values before and after, of columns that differ.
    """

    kind: str
    label: str
    before: int | None
    after: int | None
    moved: bool
    columns: dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class FeatureChanges:
    """What differs between two layers of features, and how many features do not."""

    changes: tuple[FeatureChange, ...]
    unchanged: int

    def count(self, kind: str) -> int:
        """How many features were added, removed or changed."""
        return sum(one.kind == kind for one in self.changes)


def feature_changes(before: RunLayer, after: RunLayer) -> FeatureChanges | None:
    """Return what differs between a layer of two runs; None for layers too large to be compared while a page waits."""
    return _changes(before.file, before.changed, after.file, after.changed)


def _read(file: Path, crs: Any = None) -> Any:
    from linkways.spatial import read_vectors

    frame = read_vectors(file).reset_index(drop=True)
    return frame if crs is None or frame.crs == crs else frame.to_crs(crs)


@lru_cache(maxsize=64)
def _changes(before: Path, changed: int, after: Path, changed_after: int) -> FeatureChanges | None:
    del changed, changed_after
    old = _read(before)
    new = _read(after, old.crs)
    if max(len(old), len(new)) > _MOST:
        return None
    id = _identifying(old, new)
    pairs, old_left, new_left = _by_geometry(old, new, id)
    more, old_left, new_left = _by_id(old, new, id, old_left, new_left)
    shared = [name for name in old.columns if name in new.columns and name not in (old.geometry.name, id)]
    columns = {name: (column_values(old[name]), column_values(new[name])) for name in shared}
    names = [_labels(frame, id) for frame in (old, new)]
    found: list[FeatureChange] = []
    same = 0
    for a, b, moved in [*((a, b, False) for a, b in pairs), *((a, b, True) for a, b in more)]:
        differing = {n: (v[a], w[b]) for n, (v, w) in columns.items() if not _alike(v[a], w[b])}
        if moved or differing:
            found.append(FeatureChange("changed", names[1][b], a, b, moved, differing))
        else:
            same += 1
    found += [FeatureChange("removed", names[0][a], a, None, False, {}) for a in old_left]
    found += [FeatureChange("added", names[1][b], None, b, False, {}) for b in new_left]
    return FeatureChanges(tuple(found), same)


def _identifying(old: Any, new: Any) -> str | None:
    """A column of both layers that is different for every feature: ``id``, else one that ends in _id, else ``name``."""
    shared = [str(name) for name in old.columns if name in new.columns]
    candidates = [*(n for n in shared if n == "id"), *(n for n in shared if n.endswith("_id")), "core", "name"]
    for name in candidates:
        if name in shared and all(frame[name].is_unique and frame[name].notna().all() for frame in (old, new)):
            return name
    return None


def _keys(frame: Any) -> list[bytes]:
    """What two equal geometries share: their corners, rounded, from the same beginning."""
    import shapely

    rounded = shapely.transform(frame.geometry.to_numpy(), lambda xy: np.round(xy, _DECIMALS) + 0.0)
    return [key or b"" for key in shapely.to_wkb(shapely.normalize(rounded)).tolist()]


def _by_geometry(old: Any, new: Any, id: str | None) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Pairs of rows with equal geometries; of several with the same one, those of the same id go together."""
    there: dict[bytes, list[int]] = defaultdict(list)
    for row, key in enumerate(_keys(new)):
        there[key].append(row)
    ids = [frame[id].tolist() if id else [] for frame in (old, new)]
    pairs, left = [], []
    for row, key in enumerate(_keys(old)):
        rows = there[key]
        if not rows:
            left.append(row)
            continue
        same = next((one for one in rows if id and ids[1][one] == ids[0][row]), rows[0])
        rows.remove(same)
        pairs.append((row, same))
    return pairs, left, sorted(row for rows in there.values() for row in rows)


def _by_id(
    old: Any, new: Any, id: str | None, old_left: list[int], new_left: list[int]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Pairs of rows with the same id that touch, and the rows that are left without a partner."""
    import shapely

    if id is None or not old_left or not new_left:
        return [], old_left, new_left
    rows = {value: row for row, value in zip(new_left, new[id].iloc[new_left], strict=True)}
    candidates = [
        (row, rows[value]) for row, value in zip(old_left, old[id].iloc[old_left], strict=True) if value in rows
    ]
    if not candidates:
        return [], old_left, new_left
    first, second = (list(side) for side in zip(*candidates, strict=True))
    touching = shapely.intersects(
        shapely.envelope(old.geometry.to_numpy()[first]), shapely.envelope(new.geometry.to_numpy()[second])
    )
    pairs = [pair for pair, touches in zip(candidates, touching.tolist(), strict=True) if touches]
    gone, come = {a for a, _ in pairs}, {b for _, b in pairs}
    return pairs, [row for row in old_left if row not in gone], [row for row in new_left if row not in come]


def _labels(frame: Any, id: str | None) -> list[str]:
    return [str(value) for value in (frame[id] if id else range(len(frame)))]


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are the same but for rounding."""
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return abs(one - other) <= _SAME * max(abs(one), abs(other))
    return bool(one == other)


# --- on the map ----------------------------------------------------------------------


def changes_geojson(before: RunLayer, after: RunLayer, most: int = 20_000) -> bytes:
    """Return the features that differ as GeoJSON in degrees, with ``change``, ``label`` and ``differs`` of each.

    What changed is drawn as it is after; where its geometry is another one, as it was before too (``was``).
    """
    import geopandas as gpd
    import pandas as pd

    from linkways.web.layers import geojson_of

    found = feature_changes(before, after)
    if found is None:
        return b'{"type":"FeatureCollection","features":[]}'
    old = _read(before.file)
    new = _read(after.file, old.crs)
    drawn = list(_drawn(found.changes[:most], old.geometry.to_numpy(), new.geometry.to_numpy()))
    if not drawn:
        return b'{"type":"FeatureCollection","features":[]}'
    told = pd.DataFrame([about for about, _ in drawn])
    return geojson_of(gpd.GeoDataFrame(told, geometry=[shape for _, shape in drawn], crs=old.crs))


def _drawn(changes: tuple[FeatureChange, ...], old: Any, new: Any) -> Iterator[tuple[dict[str, str], Any]]:
    for one in changes:
        about = {"change": one.kind, "label": one.label, "differs": json.dumps(one.columns)}
        if one.after is not None:
            yield about, new[one.after]
        if one.kind == "removed":
            yield about, old[one.before]
        elif one.moved:
            yield {**about, "change": "was"}, old[one.before]
