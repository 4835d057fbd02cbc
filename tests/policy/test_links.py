"""Links between shapes: distances beside shapely's, and links left out that no path can miss."""

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS, Geod
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from linkways.policy._links import Links, Outlines
from linkways.policy._nodes import dissolve
from linkways.policy._plane import Plane
from tests.policy.places import METRES, scattered

PLANE = Plane(CRS(METRES))
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def nodes_of(seed: int, count: int = 40, side: float = 20_000.0) -> np.ndarray:
    return dissolve(shapely.get_parts(scattered(count, seed, side)), 0.0)[0]


def all_pairs(shapes: np.ndarray) -> np.ndarray:
    return shapely.distance(shapes[:, None], shapes[None, :])


def paths(links: Links, count: int) -> np.ndarray:
    ends = links.ends.T
    # a link of no length must not be taken for none
    net = coo_array((np.maximum(links.metres, 1e-12), (ends[0], ends[1])), shape=(count, count)).tocsr()
    return dijkstra(net, directed=False)


@FEW
@given(seed=st.integers(0, 10_000), reach=st.sampled_from([500.0, 4000.0, 1e6]))
def test_distances_between_edges_are_shapelys(seed, reach):
    shapes = nodes_of(seed)
    links = Outlines(shapes, PLANE).within(reach)
    expected = all_pairs(shapes)
    first, second = links.ends.T
    np.testing.assert_allclose(links.metres, expected[first, second], rtol=1e-9, atol=1e-9)
    assert len(links) == (expected[np.triu_indices(len(shapes), 1)] <= reach).sum()


def test_a_shape_in_the_hole_of_another_is_measured_to_the_hole():
    ring = shapely.box(0, 0, 10_000, 10_000).difference(shapely.box(3000, 3000, 7000, 7000))
    shapes = np.array([ring, shapely.box(4000, 4000, 5000, 5000)])
    assert Outlines(shapes, PLANE).within(1e5).metres == pytest.approx([1000.0])


@FEW
@given(seed=st.integers(0, 10_000))
def test_links_left_out_leave_every_shortest_path(seed):
    shapes = nodes_of(seed)
    links = Outlines(shapes, PLANE).within(1e6)
    lean = links.that_matter(len(shapes))
    assert len(lean) < len(links)
    np.testing.assert_allclose(paths(lean, len(shapes)), paths(links, len(shapes)), rtol=1e-9, atol=1e-6)


@FEW
@given(seed=st.integers(0, 10_000))
def test_links_left_out_leave_every_shortest_path_when_any_one_node_goes(seed):
    shapes = nodes_of(seed, count=25)
    links = Outlines(shapes, PLANE).within(1e6)
    lean = links.that_matter(len(shapes), one_node_may_go=True)
    for gone in range(len(shapes)):
        whole, left = (part.where(np.all(part.ends != gone, axis=1)) for part in (links, lean))
        np.testing.assert_allclose(paths(left, len(shapes)), paths(whole, len(shapes)), rtol=1e-9, atol=1e-6)


@FEW
@given(seed=st.integers(0, 10_000), known=st.sampled_from([1.0, 300.0, 2000.0]))
def test_completed_links_hold_every_shortest_path_of_all_pairs(seed, known):
    shapes = nodes_of(seed)
    outlines = Outlines(shapes, PLANE)
    few = outlines.completed(outlines.within(known).that_matter(len(shapes)), known, 1e7)
    np.testing.assert_allclose(paths(few, len(shapes)), paths(outlines.within(1e7), len(shapes)), rtol=1e-9, atol=1e-6)


def test_links_of_no_length_in_a_ring_keep_it_together():
    """Three nodes that touch one another: each link has a witness, and yet not all may go."""
    links = Links(np.array([[0, 1], [1, 2], [0, 2]], np.int32), np.zeros(3))
    lean = links.that_matter(3)
    assert len(lean) == 2
    assert len(links.that_matter(3, one_node_may_go=True)) == 3


def test_on_the_ellipsoid_distances_are_geodesics_between_the_nearest_points():
    """Simulated areas over 9 degrees: beside the least geodesic between outlines of a vertex every 700 m or so."""
    rng = np.random.default_rng(3)
    shapes = [
        shapely.Point(*xy).buffer(r)
        for xy, r in zip(rng.uniform([5, 50], [14, 59], (5, 2)), rng.uniform(0.1, 0.5, 5), strict=True)
    ]
    shapes, _ = dissolve(np.array(shapes), 0.0)
    plane = Plane.of(shapes, CRS("EPSG:4326"))
    links = Outlines(plane.project(shapes), plane).within(2e6)
    assert len(links) == len(shapes) * (len(shapes) - 1) / 2
    geod = Geod(ellps="WGS84")
    fine = [shapely.get_coordinates(shapely.segmentize(s, 0.01)) for s in shapes]
    for (a, b), metres in zip(links.ends, links.metres, strict=True):
        one, other = np.repeat(fine[a], len(fine[b]), axis=0), np.tile(fine[b], (len(fine[a]), 1))
        least = geod.inv(one[:, 0], one[:, 1], other[:, 0], other[:, 1])[2].min()
        assert metres == pytest.approx(least, rel=2e-4, abs=60)


def test_areas_on_the_ellipsoid_are_those_of_geodesy():
    shapes = np.array([shapely.box(x, y, x + 3, y + 2) for x in (-20, 40) for y in (-60, 0, 50, 70)])
    geod = Geod(ellps="WGS84")
    for shape in shapes:
        one = np.array([shape])
        projected = Plane.of(one, CRS("EPSG:4326")).project(one)
        fine = shapely.segmentize(shape, 0.001)
        expected, _ = geod.geometry_area_perimeter(fine)
        assert shapely.area(projected)[0] == pytest.approx(abs(expected), rel=2e-7)


def test_shapes_on_both_sides_of_the_antimeridian_are_near():
    shapes = np.array([shapely.box(179.0, -17, 179.9, -16), shapely.box(-179.9, -17, -179.0, -16)])
    plane = Plane.of(shapes, CRS("EPSG:4326"))
    metres = Outlines(plane.project(shapes), plane).within(1e6).metres
    # 0.2 degrees of longitude at latitude 17, where the parallel is shorter than at 16
    expected = Geod(ellps="WGS84").inv(179.9, -17, -179.9, -17)[2]
    assert metres == pytest.approx([expected], rel=1e-4)
