"""Machine checks of operational principles: each measures places of a plan against a threshold."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["CHECKS", "NEEDS", "Finding", "Scene"]


@dataclass(frozen=True)
class Scene:
    """A plan and what it is held against, as arrays of shapes in metres."""

    areas: np.ndarray
    """No-take areas: the selected land, in pieces that do not touch."""
    whole: Any
    """The same in one shape."""
    names: list[str]
    """Of bioregions."""
    bioregions: np.ndarray
    kinds: list[str]
    """reef, coastal or other, of each bioregion; empty text where it is not told."""
    shelf: list[str] | None
    north: tuple[float, float]
    """The lowest and highest northing of all bioregions."""
    layers: dict[str, tuple[list[str], np.ndarray, np.ndarray]]
    """reefs, communities, places and uses, where they are given: names, shapes, targets (NaN: none)."""
    bands: int
    replicate_m2: float
    whole_share: float

    def of_kind(self, kind: str) -> list[int]:
        """Bioregions that a principle applies to."""
        chosen: dict[str, Callable[[str], bool]] = {
            "reef": lambda k: k == "reef",
            "not_reef": lambda k: k not in ("", "reef"),
            "coastal": lambda k: k == "coastal",
            "not_coastal": lambda k: k not in ("", "coastal"),
        }
        return [i for i, k in enumerate(self.kinds) if kind not in chosen or chosen[kind](k)]

    def band(self, number: int) -> Any:
        """A band of latitude, as a box across everything."""
        import shapely

        low, high = self.north
        step = (high - low) / self.bands
        return shapely.box(-1e9, low + number * step, 1e9, low + (number + 1) * step)

    def in_bands(self, bioregions: list[int]) -> Iterator[tuple[str, Any]]:
        """Every band of latitude of each of the bioregions, with its name."""
        import shapely

        for i in bioregions:
            for b in range(self.bands):
                shape = shapely.intersection(self.bioregions[i], self.band(b))
                if shape.area > self.replicate_m2:
                    yield f"{self.names[i]}, band {b + 1}", shape

    def on_shelf(self) -> Iterator[tuple[str, Any]]:
        """Every position on the shelf in each band of latitude, with its name; none where positions are not told."""
        import shapely

        for b in range(self.bands):
            for position in dict.fromkeys(self.shelf or []):
                there = self.bioregions[[s == position for s in self.shelf or []]]
                shape = shapely.intersection(shapely.union_all(there), self.band(b))
                if shape.area > self.replicate_m2:
                    yield f"{position}, band {b + 1}", shape

    def areas_in(self, bioregion: int) -> list[int]:
        """No-take areas that hold enough of a bioregion to count there."""
        import shapely

        shared = shapely.area(shapely.intersection(self.areas, self.bioregions[bioregion]))
        return [int(k) for k in np.flatnonzero((shared > 0) & (shared >= self.replicate_m2))]


@dataclass(frozen=True)
class Finding:
    """What one place measures, and whether that is enough; None: it is told, not judged."""

    place: str
    value: float
    passed: bool | None
    shape: Any
    threshold: float


Check = Callable[[Scene, str, float], Iterator[Finding]]


def _share(scene: Scene, kind: str, threshold: float) -> Iterator[Finding]:
    """Share of each bioregion that is no-take."""
    import shapely

    for i in scene.of_kind(kind):
        shape = scene.bioregions[i]
        value = shapely.intersection(scene.whole, shape).area / shape.area
        yield Finding(scene.names[i], value, value >= threshold - 1e-9, shape, threshold)


def _in_kind(scene: Scene, kind: str) -> list[int]:
    """No-take areas whose greatest part by bioregion is of the kind; with no kinds told, all."""
    import shapely

    if not any(scene.kinds):
        return [] if kind == "coastal" else list(range(len(scene.areas)))
    wanted = set(scene.of_kind(kind))
    found = []
    for k, area in enumerate(scene.areas):
        shared = shapely.area(shapely.intersection(scene.bioregions, area))
        if shared.max(initial=0) > 0 and int(shared.argmax()) in wanted:
            found.append(k)
    return found


def _width(scene: Scene, kind: str, threshold: float) -> Iterator[Finding]:
    """Diameter of the largest circle within each no-take area, in km: no way round a neck can make it wider."""
    import shapely

    for k in _in_kind(scene, kind):
        area = scene.areas[k]
        tolerance = max(threshold * 1000, 1.0) / 2000
        value = 2 * shapely.length(shapely.maximum_inscribed_circle(area, tolerance)) / 1000
        # the circle is found to the tolerance
        yield Finding(_named(k), value, value >= threshold - 2 * tolerance / 1000, area, threshold)


def _length(scene: Scene, kind: str, threshold: float) -> Iterator[Finding]:
    """Longer side of the narrowest rectangle around each no-take area, in km."""
    import shapely

    for k in _in_kind(scene, kind):
        box = shapely.minimum_rotated_rectangle(scene.areas[k])
        corners = shapely.get_coordinates(box)
        value = float(np.hypot(*np.diff(corners, axis=0).T).max()) / 1000
        yield Finding(_named(k), value, value >= threshold - 1e-9, scene.areas[k], threshold)


def _mean_area(scene: Scene, _kind: str, _threshold: float) -> Iterator[Finding]:
    """Mean area of no-take areas, in km2."""
    value = scene.whole.area / len(scene.areas) / 1e6
    yield Finding("all no-take areas", value, None, scene.whole, math.nan)


def _replicates(scene: Scene, kind: str, threshold: float) -> Iterator[Finding]:
    """Separate no-take areas in each bioregion."""
    for i in scene.of_kind(kind):
        value = len(scene.areas_in(i))
        yield Finding(scene.names[i], value, value >= threshold, scene.bioregions[i], threshold)


def _spacing(scene: Scene, kind: str, threshold: float) -> Iterator[Finding]:
    """The longest way, in km, from a part of the bioregion's no-take areas to the rest of them: the widest gap."""
    import shapely
    from scipy.sparse.csgraph import minimum_spanning_tree

    for i in scene.of_kind(kind):
        areas = scene.areas[scene.areas_in(i)]
        if len(areas) < 2:
            continue
        apart = shapely.distance(areas[:, None], areas[None, :])
        value = float(minimum_spanning_tree(apart).max()) / 1000
        yield Finding(scene.names[i], value, value <= threshold + 1e-9, scene.bioregions[i], threshold)


def _wholly(scene: Scene, _kind: str, threshold: float) -> Iterator[Finding]:
    """Share of each reef that the plan touches."""
    for name, shape, value in _held(scene, "reefs"):
        if value > 1e-9:
            yield Finding(name, value, value >= threshold - 1e-9, shape, threshold)


def _reefs(scene: Scene, kind: str, threshold: float) -> Iterator[Finding]:
    """Whole reefs in no-take areas of each bioregion; a reef is where its inner point is."""
    import shapely

    names, shapes, _ = scene.layers["reefs"]
    whole = np.array([value >= scene.whole_share - 1e-9 for _, _, value in _held(scene, "reefs")], bool)
    points = shapely.point_on_surface(shapes)
    assert len(names) == len(whole)
    for i in scene.of_kind(kind):
        value = int((shapely.intersects(points, scene.bioregions[i]) & whole).sum())
        yield Finding(scene.names[i], value, value >= threshold, scene.bioregions[i], threshold)


def _bands(scene: Scene, kind: str, _threshold: float) -> Iterator[Finding]:
    """Bands of latitude with no-take area, of those that each bioregion spans."""
    return _some(scene, scene.in_bands(scene.of_kind(kind)))


def _shelf(scene: Scene, _kind: str, _threshold: float) -> Iterator[Finding]:
    """No-take share of every position on the shelf in every band of latitude."""
    return _some(scene, scene.on_shelf())


def _some(scene: Scene, shapes: Iterator[tuple[str, Any]]) -> Iterator[Finding]:
    """Whether there is any no-take area in each of the shapes."""
    import shapely

    for name, shape in shapes:
        value = shapely.intersection(shape, scene.whole).area / shape.area
        yield Finding(name, value, value > 0, shape, 0.0)


def _communities(scene: Scene, _kind: str, threshold: float) -> Iterator[Finding]:
    """Share of each community that is no-take, against its own target where it has one."""
    targets = scene.layers["communities"][2]
    for (name, shape, value), own in zip(_held(scene, "communities"), targets, strict=True):
        wanted = threshold if math.isnan(own) else float(own)
        yield Finding(name, value, value >= wanted - 1e-9, shape, wanted)


def _special(scene: Scene, _kind: str, threshold: float) -> Iterator[Finding]:
    """Share of each special place that is no-take."""
    for name, shape, value in _held(scene, "places"):
        yield Finding(name, value, value >= threshold - 1e-9, shape, threshold)


def _neighbour(scene: Scene, _kind: str, threshold: float) -> Iterator[Finding]:
    """Distance from each no-take area to the nearest other, in km."""
    import shapely

    for k, area in enumerate(scene.areas):
        others = np.delete(scene.areas, k)
        value = float(shapely.distance(others, area).min()) / 1000 if len(others) else math.inf
        yield Finding(_named(k), value, value <= threshold + 1e-9, area, threshold)


def _apart(scene: Scene, _kind: str, threshold: float) -> Iterator[Finding]:
    """Distance from each no-take area to the nearest harmful use, in km."""
    import shapely

    shapes = scene.layers["uses"][1]
    for k, area in enumerate(scene.areas):
        value = float(shapely.distance(shapes, area).min()) / 1000
        yield Finding(_named(k), value, value >= threshold - 1e-9, area, threshold)


def _held(scene: Scene, layer: str) -> Iterator[tuple[str, Any, float]]:
    """Each place of a layer, and the share of it that is no-take; a line by length, a point by lying within."""
    import shapely

    names, shapes, _ = scene.layers[layer]
    for name, shape in zip(names, shapes, strict=True):
        inside = shapely.intersection(scene.whole, shape)
        size = shape.area or shape.length
        value = (inside.area if shape.area else inside.length) / size if size else float(not inside.is_empty)
        yield name, shape, value


def _named(area: int) -> str:
    return f"no-take area {area + 1}"


CHECKS: dict[str, Check] = {
    "apart": _apart,
    "bands": _bands,
    "communities": _communities,
    "length": _length,
    "mean_area": _mean_area,
    "neighbour": _neighbour,
    "reefs": _reefs,
    "replicates": _replicates,
    "shelf": _shelf,
    "share": _share,
    "spacing": _spacing,
    "special": _special,
    "whole": _wholly,
    "width": _width,
}
NEEDS = {"apart": "uses", "communities": "communities", "reefs": "reefs", "special": "places", "whole": "reefs"}
"""Layers without which a check cannot be made."""
