"""Nearest points of outlines in space, beside a search over finely drawn outlines."""

import numpy as np
import pytest
from pyproj import Geod

from linkways.kernels.geodesic_outlines import Outline, from_space, nearest_points, to_space

GEOD = Geod(ellps="WGS84")


def outline(degrees):
    points = to_space(np.asarray(degrees, float), GEOD.a, GEOD.es)
    return Outline(points[:-1], points[1:])


def test_points_go_into_space_and_come_back():
    rng = np.random.default_rng(0)
    degrees = np.column_stack([rng.uniform(-180, 180, 100), rng.uniform(-90, 90, 100)])
    np.testing.assert_allclose(from_space(to_space(degrees, GEOD.a, GEOD.es), GEOD.es), degrees, atol=1e-12)
    np.testing.assert_allclose(to_space(np.array([[0, 90]]), GEOD.a, GEOD.es), [[0, 0, GEOD.b]], atol=1e-6)


@pytest.mark.parametrize("pieces", [10, 200])
def test_nearest_points_lie_inside_pieces_and_are_the_nearest_of_all(pieces):
    rng = np.random.default_rng(pieces)
    for _ in range(8):
        lines = [np.cumsum(rng.normal(0, 0.05, (pieces + 1, 2)), axis=0) + np.array([k * 3, 50]) for k in (0, 1)]
        one, other = (outline(line) for line in lines)
        a, b = nearest_points(one, other)
        found = np.linalg.norm(a - b)
        along = np.linspace(0, 1, 11)[:, None, None]
        drawn = [(o.start + along * (o.end - o.start)).reshape(-1, 3) for o in (one, other)]
        least = min(np.linalg.norm(drawn[1] - point, axis=1).min() for point in drawn[0])
        step = max(o.reach.max() for o in (one, other)) / 5
        assert least - step <= found <= least + 1e-6


def test_pieces_that_cross_in_space_are_no_distance_apart():
    a, b = nearest_points(outline([[0, -0.001], [0, 0.001]]), outline([[-0.001, 0], [0.001, 0]]))
    assert np.linalg.norm(a - b) < 0.01


def test_a_piece_of_no_length_is_a_point():
    a, b = nearest_points(outline([[0, 0], [0, 0]]), outline([[1, -1], [1, 1]]))
    np.testing.assert_allclose(from_space(np.stack([a, b]), GEOD.es), [[0, 0], [1, 0]], atol=1e-3)
