"""Isolation of protected areas."""

import numpy as np
import pytest
import shapely

from linkways import LinkwaysError, spatial
from linkways.policy import protected_isolation
from tests.policy.places import METRES, layer, scattered, square


def test_isolation_of_three_squares_in_a_row():
    found = protected_isolation(layer(square(0, 0), square(6000, 0), square(46_000, 0, 2000)))
    near, far = 0.5 ** (5 / 10), 0.5 ** (39 / 10)
    assert found.nodes.nearest_km.tolist() == pytest.approx([5, 5, 39])
    assert found.nodes.isolated.tolist() == [False, False, True]
    expected = [1 - (near + 4 * near * far) / 5, 1 - (near + 4 * far) / 5, 1 - (far + near * far) / 2]
    assert found.nodes.isolation.tolist() == pytest.approx(expected)
    assert found.isolated_share == pytest.approx(100 / 3)
    assert found.isolated_area == pytest.approx(100 * 4 / 6)
    assert found.isolation == pytest.approx(np.average(expected, weights=[1, 1, 4]))


@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_distance_is_that_of_all_pairs(seed):
    areas = layer(*scattered(30, seed, 200_000))
    found = protected_isolation(areas, distance_km=1)
    nodes = shapely.get_parts(shapely.union_all(areas.geometry.to_numpy()))
    between = shapely.distance(nodes[:, None], nodes[None, :])
    np.fill_diagonal(between, np.inf)
    np.testing.assert_allclose(np.sort(found.nodes.nearest_km), np.sort(between.min(axis=0) / 1000), rtol=1e-9)


def test_nodes_very_far_apart_know_their_nearest():
    found = protected_isolation(layer(square(0, 0), square(5_000_000, 0)))
    assert found.nodes.nearest_km.tolist() == pytest.approx([4999, 4999])
    assert found.isolation == pytest.approx(1.0)


def test_effective_resistance_to_all_others_joined():
    """Cells in a row, resistance 2: between the middle node and its neighbours 3 and 2 steps of 2 ohms side by side."""
    resistance = spatial.new_raster(np.full((1, 6), 2.0), crs=METRES, cell_size=1000, origin=(0, 1000))
    areas = layer(square(0, 0), square(3000, 0), square(5000, 0))
    found = protected_isolation(areas, resistance)
    assert found.nodes.effective_resistance.tolist() == pytest.approx([6.0, 1 / (1 / 6 + 1 / 4), 4.0])
    assert found.effective_resistance == pytest.approx(np.mean([6.0, 2.4, 4.0]))


def test_a_single_area_is_refused():
    with pytest.raises(LinkwaysError, match="needs two or more"):
        protected_isolation(layer(square(0, 0), square(500, 0)))
