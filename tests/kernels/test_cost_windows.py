"""Bounded searches in windows beside the search of the whole raster."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.kernels.cost_distance import cost_field_on_grid, prepare
from linkways.kernels.cost_windows import cost_field_near


def grid(resistance, *, wraps=False, neighbours=8):
    rows = len(resistance)
    return prepare(
        resistance, np.ones(rows), np.ones(rows - 1), np.full(rows - 1, 2**0.5), neighbours=neighbours, wraps=wraps
    )


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1, 60), st.integers(0, 6), st.sampled_from([4, 8]))
def test_costs_up_to_the_limit_are_those_of_the_whole_raster(seed, limit, margin, neighbours):
    rng = np.random.default_rng(seed)
    resistance = rng.uniform(1, 9, (40, 30))
    resistance[rng.random(resistance.shape) < 0.2] = np.nan
    sources = rng.choice(resistance.size, 3, replace=False)
    whole = grid(resistance, neighbours=neighbours)
    near = cost_field_near(whole, sources, limit, margin=margin)
    expected = cost_field_on_grid(whole, sources, np.zeros(3, np.int32), max_cost=limit).distance
    found = np.full(resistance.shape, np.inf)
    rows, columns = near.field.distance.shape
    found[near.top : near.top + rows, near.left : near.left + columns] = near.field.distance
    np.testing.assert_array_equal(found, expected)


def test_a_window_is_smaller_than_the_raster_and_knows_where_it_lies():
    near = cost_field_near(grid(np.ones((200, 300))), np.array([100 * 300 + 150]), 10.0, margin=2)
    rows, columns = near.field.distance.shape
    assert rows < 60
    assert columns < 60
    here = near.inside(np.array([100 * 300 + 150, 0]), 300)
    assert here[1] == -1
    assert near.field.distance.ravel()[here[0]] == 0
    assert near.cells(here[:1], 300).tolist() == [100 * 300 + 150]


@pytest.mark.parametrize(("limit", "wraps"), [(np.inf, False), (6.0, True)])
def test_without_a_limit_or_round_the_globe_the_whole_raster_is_searched(limit, wraps):
    near = cost_field_near(grid(np.ones((20, 30)), wraps=wraps), np.array([0]), limit)
    assert near.field.distance.shape == (20, 30)
    assert near.field.distance[0, 29] == (1.0 if wraps else 29.0)
