import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.kernels.disks import disk_chords, disk_maximum, disk_minimum, ring_minimum


def by_hand(values, radius, east_west, north_south, wraps=False):
    """Every pair of cells compared, one by one."""
    rows, columns = values.shape
    northing = np.concatenate([[0.0], np.cumsum(north_south)])
    i, j, k, l = np.ogrid[:rows, :columns, :rows, :columns]  # noqa: E741
    apart = np.abs(j - l)
    apart = np.minimum(apart, columns - apart) if wraps else apart
    across = apart * (east_west[i] + east_west[k]) / 2
    near = np.hypot(across, northing[i] - northing[k]) <= radius * (1 + 1e-9)
    return np.where(near, values[None, None], np.inf).min(axis=(2, 3))


@st.composite
def grids(draw):
    rows, columns = draw(st.integers(1, 11)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.integers(0, 50, (rows, columns)).astype(float)
    values[rng.random((rows, columns)) < draw(st.sampled_from([0.0, 0.3]))] = np.inf
    if draw(st.booleans()):
        east_west, north_south = np.full(rows, 30.0), np.full(rows - 1, 30.0)
    else:
        east_west, north_south = rng.uniform(5, 40, rows), rng.uniform(10, 30, rows - 1)
    return values, east_west, north_south


@settings(max_examples=150, deadline=None)
@given(
    grid=grids(), radius=st.one_of(st.floats(0.1, 200), st.sampled_from([30.0, 60.0, 90.0, 1e6])), wraps=st.booleans()
)
def test_disk_minima_are_those_of_comparing_every_pair_of_cells(grid, radius, wraps):
    values, east_west, north_south = grid
    expected = by_hand(values, radius, east_west, north_south, wraps)
    found = disk_minimum(values, radius, east_west, north_south, wraps=wraps)
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=30, deadline=None)
@given(grid=grids(), radius=st.floats(0.1, 200))
def test_disk_maxima_mirror_disk_minima(grid, radius):
    values, east_west, north_south = grid
    finite = np.where(np.isinf(values), -7.0, values)
    expected = -by_hand(-finite, radius, east_west, north_south)
    np.testing.assert_array_equal(disk_maximum(finite, radius, east_west, north_south), expected)


def test_a_grid_larger_than_one_band_and_one_tile_agrees_with_scipy():
    from scipy.ndimage import minimum_filter

    values = np.random.default_rng(5).random((310, 1150))
    y, x = np.ogrid[-4:5, -4:5]
    expected = minimum_filter(values, footprint=x * x + y * y <= 16, mode="constant", cval=np.inf)
    found = disk_minimum(values, 400.0, np.full(310, 100.0), np.full(309, 100.0))
    np.testing.assert_array_equal(found, expected)


def test_a_radius_of_two_cells_reaches_thirteen_cells():
    chords = disk_chords(800.0, np.full(9, 399.8877), np.full(8, 399.8877), 9)
    assert (2 * chords[4] + 1).tolist() == [1, 3, 5, 3, 1]


def test_a_radius_below_one_cell_changes_nothing():
    values = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(disk_minimum(values, 99.0, np.full(3, 100.0), np.full(2, 100.0)), values)


@pytest.mark.parametrize(("inner", "outer", "offsets"), [(799.0, 800.0, 4), (0.0, 800.0, 13), (1199.0, 1200.0, 4)])
def test_a_ring_takes_the_cells_between_its_two_radii(inner, outer, offsets):
    spot = np.full((9, 9), np.inf)
    spot[4, 4] = 1.0
    found = ring_minimum(spot, inner, outer, 399.8877, 399.8877)
    assert int((found == 1.0).sum()) == offsets


def test_a_ring_without_any_cell_centre_is_told():
    assert ring_minimum(np.zeros((3, 3)), 99.0, 99.5, 100.0, 100.0) is None
