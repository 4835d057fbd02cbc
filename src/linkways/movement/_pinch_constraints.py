"""What lies beyond the ends of a cross-section."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["features_beside"]

_COMPASS = ("east", "north-east", "north", "north-west", "west", "south-west", "south", "south-east")


def features_beside(
    ends: list[np.ndarray],
    layers: "list[gpd.GeoDataFrame]",
    names: list[str],
    reach_m: float,
    cell: float,
    unit_m: float,
) -> list[list[dict[str, Any]]]:
    """Features on the line that goes on from both ends of each cross-section, and those that cross it.

    ``ends``: (2, 2) each, ``cell`` the side of a cell, in units of the CRS. A feature counts within a cell of the line,
    as the edge is not known better.
    """
    import shapely

    found: list[list[dict[str, Any]]] = [[] for _ in ends]
    for layer, name in zip(layers, names, strict=True):
        shapes = layer.geometry.to_numpy()
        tree = shapely.STRtree(shapes)
        label = layer["name"].fillna("").astype(str).tolist() if "name" in layer.columns else [""] * len(layer)
        for k, (one, two) in enumerate(ends):
            across = _across(tree, one, two, cell)
            found[k] += [_feature("across", name, label[i], 0.0) for i in across]
            for start, end in ((two, one), (one, two)):
                side, beside = _beyond(tree, shapes, start, end, reach_m / unit_m, cell)
                found[k] += [
                    _feature(side, name, label[i], distance * unit_m) for distance, i in beside if i not in across
                ]
    return found


def _feature(side: str, layer: str, feature: str, distance_m: float) -> dict[str, Any]:
    return {"side": side, "layer": layer, "feature": feature, "distance_m": float(distance_m)}


def _across(tree: Any, one: np.ndarray, two: np.ndarray, cell: float) -> set[int]:
    """Features that meet the inner part of a cross-section, away from its edges."""
    import shapely

    length = float(np.hypot(*(two - one)))
    if length <= 2 * cell:
        return set()
    inset = cell / length * (two - one)
    return set(tree.query(shapely.linestrings([one + inset, two - inset]), predicate="intersects").tolist())


def _beyond(
    tree: Any, shapes: np.ndarray, start: np.ndarray, end: np.ndarray, reach: float, cell: float
) -> tuple[str, list[tuple[float, int]]]:
    """The side that a cross-section's end points to, and the features there with their distances, nearest first."""
    import shapely

    way = (end - start) / np.hypot(*(end - start))
    ray = shapely.linestrings([end, end + way * max(reach, cell)])
    near = tree.query(ray, predicate="dwithin", distance=cell)
    distance = shapely.distance(shapes[near], shapely.points(end))
    compass = _COMPASS[int(np.round(np.arctan2(way[1], way[0]) / (np.pi / 4))) % 8]
    within = sorted((gap, i) for gap, i in zip(distance.tolist(), near.tolist(), strict=True) if gap <= reach)
    return compass, within
