import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import distance_transform_edt

from linkways.kernels.clearance import distance_to_outside, widest_way


def steps(rows: int, east_west: float = 1.0, north_south: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    return np.full(rows, east_west), np.full(rows - 1, north_south)


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)),
    st.floats(0.2, 5),
    st.floats(0.2, 5),
)
def test_distance_to_outside_equals_the_euclidean_distance_transform(inside, east_west, north_south):
    got = distance_to_outside(inside, *steps(len(inside), east_west, north_south))
    if inside.all():
        assert np.isinf(got).all()
        return
    expected = distance_transform_edt(inside, sampling=(north_south, east_west))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_on_a_wrapping_grid_the_outside_is_found_across_the_seam():
    inside = np.ones((1, 10), bool)
    inside[0, 0] = False
    got = distance_to_outside(inside, *steps(1), wraps=True)
    np.testing.assert_allclose(got[0], [0, 1, 2, 3, 4, 5, 4, 3, 2, 1])


def test_each_row_uses_its_own_east_west_step():
    inside = np.ones((2, 5), bool)
    inside[:, 0] = False
    got = distance_to_outside(inside, np.array([1.0, 2.0]), np.array([1000.0]))
    np.testing.assert_allclose(got, [[0, 1, 2, 3, 4], [0, 2, 4, 6, 8]])


def test_the_widest_way_takes_the_wide_gap_and_names_the_narrowest_cell_on_it():
    # a wall in column 5 with a gap of one cell (row 1) and one of three cells (rows 5 to 7)
    inside = np.ones((9, 11), bool)
    inside[:, 5] = False
    inside[1, 5] = inside[5:8, 5] = True
    inside = np.pad(inside, 1)
    start = np.zeros_like(inside)
    end = start.copy()
    start[:, :5] = end[:, 8:] = True
    clearance = distance_to_outside(inside, *steps(len(inside)))
    value, cell = widest_way(clearance, start, end)
    assert value == 2.0  # the middle of the three open cells: two steps to the nearest closed one
    assert divmod(cell, inside.shape[1]) == (7, 6)


def test_without_a_way_the_clearance_is_zero():
    clearance = np.array([[1.0, 0.0, 1.0]])
    start, end = np.array([[True, False, False]]), np.array([[False, False, True]])
    assert widest_way(clearance, start, end) == (0.0, -1)


def test_a_cell_that_is_start_and_end_is_the_way():
    both = np.array([[False, True, True]])
    assert widest_way(np.array([[9.0, 2.0, 3.0]]), both, both) == (3.0, 2)


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(np.int8, (6, 7), elements=st.integers(0, 4)), st.sampled_from([4, 8]))
def test_the_widest_way_is_the_largest_threshold_at_which_start_and_end_are_joined(levels, neighbours):
    from scipy.ndimage import label

    start, end = np.zeros(levels.shape, bool), np.zeros(levels.shape, bool)
    start[0, 0] = end[-1, -1] = True
    shape = np.ones((3, 3)) if neighbours == 8 else None
    expected = 0.0
    for threshold in (1, 2, 3, 4):
        groups, _ = label(levels >= threshold, structure=shape)
        if groups[0, 0] and groups[0, 0] == groups[-1, -1]:
            expected = float(threshold)
    assert widest_way(levels.astype(float), start, end, neighbours=neighbours)[0] == expected
