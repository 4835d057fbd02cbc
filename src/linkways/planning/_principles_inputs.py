"""From principles to what the optimiser takes: units with region, reef and locks, amounts, targets and parameters."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from linkways.planning._principles_checks import Scene

__all__ = ["amounts_and_targets", "parameters_of", "unit_columns"]

SLIVER = 1e-6  # a smaller share of a unit is a rounding of outlines
SOME = 0.01  # share of a bioregion's band that is asked for where a rule wants some, however little


def _shared(units: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """(shapes, units) area in m2 that they share, slivers left out."""
    import shapely

    tree = shapely.STRtree(units)
    at, unit = tree.query(shapes, predicate="intersects")
    found = np.zeros((len(shapes), len(units)))
    found[at, unit] = shapely.area(shapely.intersection(shapes[at], units[unit]))
    return np.where(found > SLIVER * shapely.area(units), found, 0.0)


def unit_columns(scene: "Scene", rules: list[dict[str, Any]], units: np.ndarray) -> dict[str, Any]:
    """Columns of planning units: region, together, locked_in, locked_out and area_km2."""
    import shapely

    in_region = _shared(units, scene.bioregions)
    most = in_region.argmax(axis=0)
    region = np.where(in_region.max(axis=0) > 0, np.array(scene.names, object)[most], "")
    columns: dict[str, Any] = {"region": region, "area_km2": shapely.area(units) / 1e6}
    checks = {str(rule["check"]): float(rule["threshold"]) for rule in rules}
    if "whole" in checks and "reefs" in scene.layers:
        columns["together"] = _reefs(scene, units)
    if "special" in checks and "places" in scene.layers:
        shapes = scene.layers["places"][1]
        columns["locked_in"] = (_shared(units, shapes) > 0).any(axis=0)
    if "apart" in checks and "uses" in scene.layers:
        shapes = scene.layers["uses"][1]
        near = shapely.distance(units, shapely.union_all(shapes)) / 1000
        columns["locked_out"] = near < checks["apart"] - 1e-9
    return columns


def _reefs(scene: "Scene", units: np.ndarray) -> np.ndarray:
    """The reef of each unit; reefs that share a unit are selected together, and named together."""
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    names, shapes, _ = scene.layers["reefs"]
    at, unit = np.nonzero(_shared(units, shapes) > 0)
    r, n = len(names), len(units)
    graph = sp.csr_array((np.ones(len(at)), (at, r + unit)), shape=(r + n, r + n))
    _, label = connected_components(graph, directed=False)
    joined: dict[int, list[str]] = {}
    for k in np.unique(at):
        joined.setdefault(int(label[k]), []).append(str(names[k]))
    return np.array([" + ".join(joined.get(int(one), [])) for one in label[r:]], object)


def amounts_and_targets(
    scene: "Scene", rules: list[dict[str, Any]], units: np.ndarray, names: Any
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Amounts (unit, feature, amount in km2) and targets (feature, target in km2, type); those of reefs are numbers.

    Targets are shares of the whole bioregion or community, as the audit counts them, the largest where rules differ.
    Of bands of latitude and positions on the shelf some is asked, however little, and nothing where no unit reaches.
    """
    import pandas as pd

    wanted: dict[str, tuple[Any, float]] = {}
    for rule in rules:
        for feature, shape, share in _goals(scene, rule):
            known = wanted.get(feature, (shape, 0.0))
            wanted[feature] = (shape, max(known[1], share))
    shapes = np.array([shape for shape, _ in wanted.values()], object)
    features = list(wanted)
    held = _shared(units, shapes) / 1e6 if len(shapes) else np.zeros((0, len(units)))
    at, unit = np.nonzero(held)
    listed = np.asarray(names)
    amounts = pd.DataFrame({"unit": listed[unit], "feature": np.array(features, object)[at], "amount": held[at, unit]})
    size = np.array([share * shape.area / 1e6 for shape, share in wanted.values()])
    some = np.array([share == SOME for _, share in wanted.values()], bool)
    if len(units):
        size[some] = np.minimum(size, held.sum(axis=1))[some]
    asked = ~some | (size > 0)
    targets = pd.DataFrame({"feature": np.array(features, object)[asked], "target": size[asked], "type": "absolute"})
    for rule in rules:
        if rule["check"] == "reefs" and "reefs" in scene.layers and len(units):
            more = _reef_numbers(scene, str(rule["applies_to"]), float(rule["threshold"]), units, listed)
            amounts, targets = (
                pd.concat([a, b], ignore_index=True) for a, b in zip((amounts, targets), more, strict=True)
            )
    return amounts, targets


def _reef_numbers(
    scene: "Scene", kind: str, least: float, units: np.ndarray, names: np.ndarray
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Amounts and targets of reefs by number: a reef counts by the share of it in each unit, in the end as a whole.

    No more are asked of a bioregion than it has within the units.
    """
    import pandas as pd
    import shapely

    shapes = scene.layers["reefs"][1]
    share = _shared(units, shapes) / np.maximum(shapely.area(shapes), 1e-9)[:, None]
    whole = share.sum(axis=1) >= scene.whole_share
    points = shapely.point_on_surface(shapes)
    rows, wanted = [], []
    for i in scene.of_kind(kind):
        own = share[whole & shapely.intersects(points, scene.bioregions[i])]
        held = own.sum(axis=0)
        some = np.flatnonzero(held)
        feature = f"{scene.names[i]}, number of reefs"
        rows.append(pd.DataFrame({"unit": names[some], "feature": feature, "amount": held[some]}))
        # outlines leave a reef's shares a little short of one
        wanted.append((feature, min(least, len(own)) * scene.whole_share, "absolute"))
    kept = [k for k, row in enumerate(rows) if len(row)]
    columns = ["feature", "target", "type"]
    if not kept:
        return pd.DataFrame({"unit": names[:0], "feature": [], "amount": []}), pd.DataFrame([], columns=columns)
    return pd.concat([rows[k] for k in kept]), pd.DataFrame([wanted[k] for k in kept], columns=columns)


def _goals(scene: "Scene", rule: dict[str, Any]) -> list[tuple[str, Any, float]]:
    if rule["check"] == "share":
        kind = str(rule["applies_to"])
        return [(scene.names[i], scene.bioregions[i], float(rule["threshold"])) for i in scene.of_kind(kind)]
    if rule["check"] == "bands":
        return [(name, shape, SOME) for name, shape in scene.in_bands(scene.of_kind(str(rule["applies_to"])))]
    if rule["check"] == "shelf":
        return [(name, shape, SOME) for name, shape in scene.on_shelf()]
    if rule["check"] == "communities" and "communities" in scene.layers:
        names, shapes, targets = scene.layers["communities"]
        return [
            (str(name), shape, float(rule["threshold"]) if math.isnan(own) else float(own))
            for name, shape, own in zip(names, shapes, targets, strict=True)
            if shape.area > 0
        ]
    return []


def parameters_of(scene: "Scene", rules: list[dict[str, Any]]) -> "pd.DataFrame":
    """Parameters of planning.select that say a rule, or the part of it that they can."""
    import pandas as pd

    rows = []
    for rule in rules:
        kind, number = str(rule["applies_to"]), float(rule["threshold"])
        if rule["check"] == "width":
            value = math.pi * (number / 2) ** 2
            says = "in part: the area of a circle so wide; a patch of that area may still be narrower"
            rows.append(("min_patch_km2", value, rule["title"], says))
        if rule["check"] == "replicates":
            wide = len(scene.of_kind(kind)) == len(scene.names)
            says = "wholly" if wide else f"for more than is asked: all regions, not only {kind} ones"
            rows.append(("replicates", number, rule["title"], says))
    return pd.DataFrame(rows, columns=["parameter", "value", "rule", "says"])
