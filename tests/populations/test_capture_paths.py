"""Least-cost distances whose cost depends on a parameter, beside a general graph library and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from linkways.populations._capture_paths import Paths

ROWS, COLUMNS, STEP = 7, 8, 100.0


def all_distances(cost, neighbours):
    """Distances between all cells: every step by the cells that its straight line passes, each by its length."""
    moves = [(dr, dc) for dr in range(-2, 3) for dc in range(-2, 3) if (dr, dc) != (0, 0)]
    moves = [m for m in moves if max(map(abs, m)) == 1 or (neighbours == 16 and sorted(map(abs, m)) == [1, 2])]
    rows, columns, weights = [], [], []
    for r in range(ROWS):
        for c in range(COLUMNS):
            for dr, dc in moves:
                if 0 <= r + dr < ROWS and 0 <= c + dc < COLUMNS:
                    line = np.linspace(0.001, 0.999, 8)
                    passed = {(r + round(t * dr), c + round(t * dc)) for t in line}
                    # of a knight's move each of four cells holds a quarter, of any other step each of two a half
                    mean = np.mean([cost[p] for p in passed])
                    if np.isfinite(mean):
                        rows.append(r * COLUMNS + c)
                        columns.append((r + dr) * COLUMNS + c + dc)
                        weights.append(mean * np.hypot(dr, dc) * STEP)
    return dijkstra(coo_array((weights, (rows, columns)), shape=(ROWS * COLUMNS,) * 2).tocsr())


def paths_over(z, passable, neighbours):
    cells = np.flatnonzero(passable)
    return Paths(z, passable, np.full(ROWS, STEP), np.full(ROWS - 1, STEP), neighbours, cells, cells), cells


grids = st.lists(st.floats(0, 1), min_size=ROWS * COLUMNS, max_size=ROWS * COLUMNS)


@settings(max_examples=25, deadline=None)
@given(
    values=grids,
    closed=st.sets(st.integers(1, ROWS * COLUMNS - 1), max_size=15),
    alpha=st.floats(-2, 4),
    wide=st.booleans(),
)
def test_distances_are_those_of_a_general_graph_library(values, closed, alpha, wide):
    neighbours = 16 if wide else 8
    z = np.array(values).reshape(1, ROWS, COLUMNS)
    passable = np.ones(ROWS * COLUMNS, bool)
    passable[list(closed)] = False
    passable = passable.reshape(ROWS, COLUMNS)
    paths, cells = paths_over(z, passable, neighbours)
    found, _ = paths(np.array([alpha]), np.inf)
    expected = all_distances(np.where(passable, np.exp(alpha * z[0]), np.inf), neighbours)[np.ix_(cells, cells)]
    assert np.allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("neighbours", [8, 16])
def test_slopes_are_what_small_changes_of_the_parameters_make(neighbours):
    rng = np.random.default_rng(4)
    z = rng.random((2, ROWS, COLUMNS))
    paths, _ = paths_over(z, rng.random((ROWS, COLUMNS)) > 0.1, neighbours)
    alpha, step = np.array([0.7, -0.4]), 1e-6
    distance, relative = paths(alpha, np.inf)
    known = np.isfinite(distance) & (distance > 0)
    for j in range(2):
        ahead, behind = (paths(alpha + sign * step * np.eye(2)[j], np.inf)[0] for sign in (1, -1))
        change = (ahead[known] - behind[known]) / (2 * step)
        assert np.allclose((relative[j] * distance)[known], change, rtol=1e-5, atol=1e-3)


def test_a_knights_move_cannot_leap_a_fence():
    z = np.zeros((1, ROWS, COLUMNS))
    z[0, 3] = 1.0
    paths, _ = paths_over(z, np.ones((ROWS, COLUMNS), bool), 16)
    distance, _ = paths(np.array([10.0]), np.inf)
    assert distance[0, -1] > STEP * np.exp(10.0)


def test_cells_beyond_the_limit_are_not_reached_and_those_within_are_exact():
    rng = np.random.default_rng(1)
    z = rng.random((1, ROWS, COLUMNS))
    free, _ = paths_over(z, np.ones((ROWS, COLUMNS), bool), 8)
    whole = free(np.array([1.0]), np.inf)[0]
    short, _ = paths_over(z, np.ones((ROWS, COLUMNS), bool), 8)
    found = short(np.array([1.0]), 300.0)[0]
    assert np.array_equal(found[whole <= 300.0], whole[whole <= 300.0])
    assert np.isinf(found[whole > 350.0]).all()
