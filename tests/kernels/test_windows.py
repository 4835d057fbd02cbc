"""Moving-window kernels against dense solves, and the invariances of electrical networks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label

from linkways.kernels.laplacian import StepLengths
from linkways.kernels.windows import Conditions, Shape, Sources, build_terrain, run_windows
from linkways.kernels.windows_null import box_voltages, lines

ONE = np.ones((1, 1))


def laplacian(conductance, neighbours=8, across=1.0, down=1.0):
    """The dense Laplacian of the mean-conductance graph of a raster, cell by cell from the definition."""
    rows, columns = conductance.shape
    matrix = np.zeros((rows * columns, rows * columns))
    steps = [(0, 1), (1, 0)] + ([(1, 1), (1, -1)] if neighbours == 8 else [])
    for i in range(rows):
        for j in range(columns):
            for di, dj in steps:
                k, m = i + di, j + dj
                if k < rows and 0 <= m < columns and conductance[i, j] > 0 and conductance[k, m] > 0:
                    length = np.hypot(di * down, dj * across)
                    c = (conductance[i, j] + conductance[k, m]) / (2 * length)
                    a, b = i * columns + j, k * columns + m
                    matrix[a, a] += c
                    matrix[b, b] += c
                    matrix[a, b] -= c
                    matrix[b, a] -= c
    return matrix


def node_current(matrix, voltages):
    """max(inflow, outflow) of every node of a dense Laplacian."""
    flows = -matrix * (voltages[:, None] - voltages[None, :])
    np.fill_diagonal(flows, 0.0)
    return np.maximum(np.maximum(flows, 0).sum(1), np.maximum(-flows, 0).sum(1))


def disk(radius, half):
    away = np.arange(-half, half + 1)
    wide = np.sqrt(np.maximum(radius**2 - away**2, 0))
    return np.where(np.abs(away) <= radius, np.floor(wide + 1e-9), -1).astype(np.intp)


def window_shape(radius, buffer=0, neighbours=8, factor=ONE, weight=ONE):
    half = radius + buffer
    diagonal = 2**-0.5 if neighbours == 8 else 0.0
    held = lines(np.arange(half + 1, 2 * half + 2), 1.0, diagonal)
    return Shape(half, half, disk(half, half), disk(radius, half), weight, factor, 1.0, 1.0, diagonal, held, held)


def no_conditions(windows):
    return Conditions(np.zeros((0, 1, 1)), np.zeros((windows, 0)), np.zeros(0, bool), np.zeros(0), np.zeros(0), False)


def one_window(conductance, strength, target, amperes, shape, *, block_half=0, neighbours=8, tolerance=1e-10):
    """Current and null current of one window, and the kernel's report."""
    current, potential = np.zeros(conductance.shape), np.zeros(conductance.shape)
    report = np.zeros((1, 2))
    run_windows(
        build_terrain(conductance, neighbours=neighbours), shape, Sources(strength, block_half, False),
        no_conditions(1), np.array([target]), np.array([amperes]), np.array([0]), tolerance, 0, 0,
        current, potential, report,
    )  # fmt: skip
    return current, potential, report[0]


def window_by_hand(conductance, strength, target, amperes, radius, buffer=0, block_half=0, neighbours=8):
    """The same window from its definition, by a dense generalised inverse."""
    y, x = np.indices(conductance.shape)
    y, x = y - target[0], x - target[1]
    inside = y**2 + x**2 <= (radius + buffer) ** 2
    near = y**2 + x**2 <= radius**2
    block = (np.abs(y) <= block_half) & (np.abs(x) <= block_half)
    sources = np.where(near & ~block, strength, 0.0)
    if sources.sum() == 0:
        return np.zeros(conductance.shape), np.zeros(conductance.shape)
    sources *= amperes / sources.sum()
    half = radius + buffer
    rows = slice(max(target[0] - half, 0), target[0] + half + 1)
    columns = slice(max(target[1] - half, 0), target[1] + half + 1)
    null = np.zeros(conductance.shape)
    null[rows, columns] = solved(np.ones_like(conductance[rows, columns]), sources[rows, columns], neighbours,
                                 (target[0] - rows.start, target[1] - columns.start))  # fmt: skip
    cut = np.where(inside & (conductance > 0), conductance, 0.0)
    joined, _ = label(cut > 0, np.ones((3, 3)) if neighbours == 8 else None)
    current = np.zeros(conductance.shape)
    if joined[target] > 0:
        reached = np.where(joined == joined[target], sources, 0.0)
        current = solved(np.where(joined == joined[target], cut, 0.0), reached, neighbours, target)
    return current, null


def solved(conductance, sources, neighbours, target):
    matrix = laplacian(conductance, neighbours)
    balanced = sources.copy()
    balanced[target] -= sources.sum()
    voltages = np.linalg.pinv(matrix, hermitian=True, rcond=1e-13) @ balanced.ravel()
    return node_current(matrix, voltages).reshape(conductance.shape)


def relative(found, wanted):
    return np.abs(found - wanted).sum() / wanted.sum()


# --- null model ----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 12), st.integers(2, 12), st.floats(0.2, 5), st.floats(0.2, 5), st.floats(0, 2), st.integers(0, 99)
)
def test_box_voltages_satisfy_kirchhoffs_law_at_every_cell(rows, columns, across, down, diagonal, seed):
    sources = np.random.default_rng(seed).normal(size=(rows, columns))
    sources -= sources.mean()
    v = box_voltages(sources, across, down, diagonal)
    outflow = np.zeros_like(v)
    for g, di, dj in ((across, 0, 1), (down, 1, 0), (diagonal, 1, 1), (diagonal, 1, -1)):
        for i in range(rows - di):
            for j in range(max(-dj, 0), columns - max(dj, 0)):
                flow = g * (v[i, j] - v[i + di, j + dj])
                outflow[i, j] += flow
                outflow[i + di, j + dj] -= flow
    np.testing.assert_allclose(outflow, sources, atol=1e-11)


# --- windows -------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from([4, 8]), st.sampled_from([(3, 0), (4, 2), (6, 0), (5, 3)]),
    st.sampled_from([0, 1]), st.floats(0, 0.45), st.integers(0, 14), st.integers(0, 16),
)  # fmt: skip
def test_a_window_equals_the_dense_solution_wherever_it_lies(seed, neighbours, reach, block_half, holes, row, column):
    rng = np.random.default_rng(seed)
    radius, buffer = reach
    conductance = np.exp(rng.normal(0, 2, size=(15, 17)))
    conductance[rng.random((15, 17)) < holes] = np.nan
    strength = np.where(rng.random((15, 17)) < 0.3, 0.0, rng.random((15, 17)))
    shape = window_shape(radius, buffer, neighbours)
    found, null, report = one_window(
        conductance, strength, (row, column), 2.5, shape, block_half=block_half, neighbours=neighbours
    )
    graph = np.where(np.isfinite(conductance), conductance, 0.0)
    current, potential = window_by_hand(graph, strength, (row, column), 2.5, radius, buffer, block_half, neighbours)
    assert report[1] >= 0
    np.testing.assert_allclose(found, current, atol=1e-7)
    np.testing.assert_allclose(null, potential, atol=1e-10)


def test_all_the_current_arrives_at_the_target():
    conductance = np.exp(np.random.default_rng(3).normal(size=(41, 41)))
    current, null, _ = one_window(conductance, np.ones((41, 41)), (20, 20), 7.0, window_shape(20))
    assert current[20, 20] == pytest.approx(7.0, rel=1e-8)
    assert null[20, 20] == pytest.approx(7.0, rel=1e-12)


def test_a_line_of_cells_carries_what_lies_beyond_each_of_them():
    # 1 x 9 cells, radius 4, sources of 1 on either side: 4, 3, 2, 1 towards the ends
    conductance = np.full((9, 9), np.nan)
    conductance[4] = 3.0
    strength = np.where(np.isfinite(conductance), 1.0, 0.0)
    current, _, _ = one_window(conductance, strength, (4, 4), 8.0, window_shape(4))
    np.testing.assert_allclose(current[4], [1, 2, 3, 4, 8, 4, 3, 2, 1], rtol=1e-8)
    assert np.delete(current, 4, axis=0).sum() == 0


def test_sources_without_a_way_to_the_target_add_nothing_but_count_in_the_null_model():
    conductance = np.ones((11, 11))
    conductance[:, 7] = np.nan
    current, null, _ = one_window(conductance, np.ones((11, 11)), (5, 5), 1.0, window_shape(5))
    assert current[:, 8:].sum() == 0
    assert 0 < current[5, 5] < 1
    assert null[5, 5] == pytest.approx(1.0)


def test_no_sources_give_no_current():
    current, null, report = one_window(np.ones((11, 11)), np.zeros((11, 11)), (5, 5), 1.0, window_shape(5))
    assert current.sum() == null.sum() == report[1] == 0


def test_a_target_on_nodata_receives_no_current():
    conductance = np.ones((11, 11))
    conductance[5, 5] = np.nan
    current, null, _ = one_window(conductance, np.ones((11, 11)), (5, 5), 1.0, window_shape(5))
    assert current.sum() == 0
    assert null.sum() > 0


def landscapes():
    rng = np.random.default_rng(11)
    n = 90
    field = gaussian_filter(rng.normal(size=(n, n)), 5)
    patchy = np.array([1, 5, 20, 100, 1000.0])[np.digitize(field, np.quantile(field, [0.3, 0.55, 0.75, 0.9]))]
    patchy[gaussian_filter(rng.normal(size=(n, n)), 3) > 0.12] = np.nan
    walls = np.ones((n, n))
    walls[::17] = walls[:, ::23] = 1e4
    paths = 1e4 / walls
    return {
        "patchy": patchy,
        "walls": walls,
        "paths": paths,
        "noise": np.where(rng.random((n, n)) < 0.5, 1.0, 1e4),
        "percolation": np.where(rng.random((n, n)) < 0.4, np.nan, 1.0),
    }


@pytest.mark.parametrize("name", landscapes())
@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-5])
def test_the_map_of_a_window_is_as_good_as_its_tolerance(name, tolerance):
    conductance = 1 / landscapes()[name]
    strength = np.where(np.isfinite(conductance), 1.0, 0.0)
    shape = window_shape(30)
    for target in ((45, 45), (10, 60), (88, 33)):
        found, _, report = one_window(conductance, strength, target, 1.0, shape, tolerance=tolerance)
        exact, _, _ = one_window(conductance, strength, target, 1.0, shape, tolerance=1e-12)
        assert report[1] >= 0
        if exact.sum() > 0:
            assert report[0] <= tolerance
            assert relative(found, exact) <= tolerance


def test_distance_weights_multiply_the_sources():
    strength = np.random.default_rng(1).random((15, 15))
    y, x = np.indices((15, 15)) - 7
    weight = np.exp(-np.hypot(y, x) / 3)
    weighted, _, _ = one_window(np.ones((15, 15)), strength, (7, 7), 1.0, window_shape(7, weight=weight))
    by_hand, _ = window_by_hand(np.ones((15, 15)), strength * weight, (7, 7), 1.0, 7)
    np.testing.assert_allclose(weighted, by_hand, atol=1e-8)


def test_the_correction_multiplies_currents_where_the_window_lies():
    factor = np.random.default_rng(2).random((11, 11)) + 0.5
    conductance, strength = np.ones((9, 9)), np.ones((9, 9))
    plain, null, _ = one_window(conductance, strength, (2, 7), 1.0, window_shape(5))
    corrected, corrected_null, _ = one_window(conductance, strength, (2, 7), 1.0, window_shape(5, factor=factor))
    # the window's first cell lies at row -3, column 2
    part = np.zeros((9, 9))
    part[:8, 2:] = factor[3:, :7]
    np.testing.assert_allclose(corrected, plain * part, atol=1e-12)
    np.testing.assert_allclose(corrected_null, null * part, atol=1e-12)


def test_steps_of_unequal_length_change_the_edges():
    rng = np.random.default_rng(4)
    conductance = np.exp(rng.normal(size=(9, 9)))
    steps = StepLengths(np.full(9, 2.0), np.full(8, 1.0), np.full(8, np.sqrt(5.0)))
    current = np.zeros((9, 9))
    run_windows(
        build_terrain(conductance, steps=steps), window_shape(6), Sources(np.ones((9, 9)), 0, False), no_conditions(1),
        np.array([(4, 4)]), np.array([1.0]), np.array([0]), 1e-11, 0, 0, current, ONE, np.zeros((1, 2)),
    )  # fmt: skip
    sources = np.ones((9, 9))
    sources[4, 4] = 0
    matrix = laplacian(conductance, across=2.0)
    balanced = sources / 80
    balanced[4, 4] = -1
    voltages = np.linalg.pinv(matrix, hermitian=True) @ balanced.ravel()
    np.testing.assert_allclose(current, node_current(matrix, voltages).reshape(9, 9), atol=1e-8)
