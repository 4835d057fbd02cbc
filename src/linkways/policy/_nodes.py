"""Nodes of a region's network: what lies inside, dissolved where it touches, and stepping stones beyond the border."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Nodes", "dissolve", "region_nodes", "within_region"]


@dataclass(frozen=True)
class Nodes:
    """Dissolved protected land on a plane in metres; those outside the region come last and have no area."""

    shape: np.ndarray
    area_m2: np.ndarray
    """Protected area inside the region; 0 for stepping stones outside."""
    sites: list[np.ndarray]
    """Positions of the sites each node was made of."""
    single_m2: np.ndarray
    """Areas of the single polygons inside the region before dissolving."""
    dropped: int = 0
    """Sites inside the region that were smaller than the least area."""
    dropped_m2: float = 0.0

    def __len__(self) -> int:
        return len(self.shape)

    @property
    def inside(self) -> int:
        """Number of nodes inside the region."""
        return int((self.area_m2 > 0).sum())


def region_nodes(
    shapes: np.ndarray,
    region: object,
    *,
    reach_m: float,
    around: str,
    tolerance_m: float,
    least_m2: float,
) -> Nodes:
    """Nodes of one region from sites on a plane.

    Sites are cut at the region's border. What lies inside is dissolved where it touches or overlaps (or lies within
    the tolerance); a node is one connected piece. What lies outside and within ``reach_m`` of the nodes inside, or
    of the region, is dissolved apart and gets no area.
    """
    import shapely

    inner, inner_site, outer, outer_site = within_region(shapes, region)
    own = np.bincount(inner_site, weights=shapely.area(inner), minlength=len(shapes))
    small = (own > 0) & (own < least_m2)
    keep = ~small[inner_site]
    inner, inner_site = inner[keep], inner_site[keep]
    nodes, members = dissolve(inner, tolerance_m)
    near = _near(outer, region if around == "region" else nodes, reach_m)
    outer, outer_site = outer[near], outer_site[near]
    beyond, beyond_members = dissolve(outer, tolerance_m)
    return Nodes(
        shape=np.concatenate([nodes, beyond]),
        area_m2=np.concatenate([shapely.area(nodes), np.zeros(len(beyond))]),
        sites=[np.unique(inner_site[m]) for m in members] + [np.unique(outer_site[m]) for m in beyond_members],
        single_m2=np.asarray(shapely.area(inner)),
        dropped=int(small.sum()),
        dropped_m2=float(own[small].sum()),
    )


def within_region(shapes: np.ndarray, region: object) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Single polygons inside and outside the region, each with the position of its shape."""
    import shapely

    parts, site = shapely.get_parts(shapes, return_index=True)
    shapely.prepare(region)
    touching = shapely.intersects(region, parts)
    whole = np.zeros(len(parts), bool)
    whole[touching] = shapely.contains_properly(region, parts[touching])
    cut = np.flatnonzero(touching & ~whole)
    inner, outer = [parts[whole]], [parts[~touching]]
    inner_site, outer_site = [site[whole]], [site[~touching]]
    if len(cut):
        local = _clipped(region, parts[cut])
        for cutter, pieces, owners in (
            (shapely.intersection, inner, inner_site),
            (shapely.difference, outer, outer_site),
        ):
            got, at = shapely.get_parts(cutter(parts[cut], local), return_index=True)
            areal = (shapely.get_type_id(got) == 3) & (shapely.area(got) > 0)
            pieces.append(got[areal])
            owners.append(site[cut][at[areal]])
    return np.concatenate(inner), np.concatenate(inner_site), np.concatenate(outer), np.concatenate(outer_site)


def _clipped(region: object, parts: np.ndarray) -> np.ndarray:
    """The region about each part: cutting with a whole country's outline for every part would take far longer."""
    import shapely

    boxes = shapely.bounds(parts)
    room = 1.0 + 0.01 * np.max(boxes[:, 2:] - boxes[:, :2], axis=1)
    local = np.array(
        [
            shapely.clip_by_rect(region, *(box + d * np.array([-1, -1, 1, 1])))
            for box, d in zip(boxes, room, strict=True)
        ]
    )
    unsure = ~shapely.is_valid(local) | ~np.isin(shapely.get_type_id(local), (3, 6))
    local[unsure] = region
    return local


def dissolve(parts: np.ndarray, tolerance_m: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """Parts joined where they touch or overlap, or lie within the tolerance, and which parts each was made of.

    Only parts that meet are overlaid. The order is that of the first part of each.
    """
    import shapely
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(parts):
        return np.empty(0, object), []
    tree = shapely.STRtree(parts)
    if tolerance_m > 0:
        first, second = tree.query(parts, predicate="dwithin", distance=tolerance_m)
    else:
        first, second = tree.query(parts, predicate="intersects")
    joined = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(parts), len(parts)))
    count, group = connected_components(joined, directed=False)
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.searchsorted(group[order], np.arange(1, count)))
    members.sort(key=lambda m: int(m[0]))
    whole = np.empty(count, object)
    for i, m in enumerate(members):
        whole[i] = parts[m[0]] if len(m) == 1 else shapely.union_all(parts[m])
    return whole, members


def _near(parts: np.ndarray, place: object, reach_m: float) -> np.ndarray:
    """Positions of the parts within reach of a polygon or of any of several."""
    import shapely

    targets = place if isinstance(place, np.ndarray) else np.array([place], dtype=object)
    if not len(parts) or not len(targets) or reach_m <= 0:
        return np.empty(0, np.int64)
    hits = shapely.STRtree(targets).query_nearest(parts, max_distance=reach_m, all_matches=False)
    return np.unique(hits[0])
