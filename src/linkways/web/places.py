"""Where solutions are, many at once: read from the catalogue's table, no record is opened for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from linkways.catalogue import Store

__all__ = ["places_of"]

_AT_ONCE = 500
"""Ids of one question to the database; SQLite takes no more than 999 values."""


def places_of(store: Store, ids: Sequence[str], *, outlines: bool) -> list[dict[str, Any]]:
    """Return a GeoJSON point in the place of each solution, and its outline when asked for.

    A solution that tells no place is left out; the others keep their order.
    """
    import shapely

    rows = _rows(store, ids)
    if not rows:
        return []
    shapes = shapely.from_wkb([bytes(row.shape) for row in rows])
    points = np.round(shapely.get_coordinates(shapely.point_on_surface(shapes)), 4).tolist()
    features = []
    for row, shape, point in zip(rows, shapes, points, strict=True):
        about = {"id": row.id, "title": row.title, "place": row.place}
        if outlines:
            features.append(_feature(about, "outline", shapely.geometry.mapping(shape)))
        features.append(_feature(about, "point", {"type": "Point", "coordinates": point}))
    return features


def _rows(store: Store, ids: Sequence[str]) -> list[Any]:
    from sqlalchemy import text

    found = {}
    with store.reading() as connection:
        for start in range(0, len(ids), _AT_ONCE):
            asked = {f"id{n}": id for n, id in enumerate(ids[start : start + _AT_ONCE])}
            marks = ", ".join(f":{name}" for name in asked)
            question = text(f"SELECT id, title, place, shape FROM records WHERE shape IS NOT NULL AND id IN ({marks})")
            found.update({row.id: row for row in connection.execute(question, asked)})
    return [found[id] for id in ids if id in found]


def _feature(about: dict[str, str], part: str, geometry: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": {**about, "part": part}, "geometry": geometry}
