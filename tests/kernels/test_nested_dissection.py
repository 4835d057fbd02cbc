"""The direct solver against dense and exact elimination, analytic networks, and the invariances of electricity."""

import pickle
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

from linkways.kernels import nested_dissection
from linkways.kernels._dense_blas import all_resistances, eliminate_first
from linkways.kernels.laplacian import components, raster_stencil
from linkways.kernels.nested_dissection import TerminalNetwork, factorise

SEEDS = st.integers(0, 2**32 - 1)
NEIGHBOURS = st.sampled_from([4, 8])
SHAPES = st.tuples(st.integers(1, 14), st.integers(1, 14)) | st.sampled_from([(1, 1), (1, 40), (40, 1), (2, 33)])


def edges_by_hand(resistance, neighbours, number=float):
    """Every edge (cell, cell, conductance) of the raster's graph, mean conductance over distance, cell by cell."""
    rows, columns = resistance.shape
    for i, j in product(range(rows), range(columns)):
        for down, right in [(0, 1), (1, 0), (1, 1), (1, -1)][: 2 if neighbours == 4 else 4]:
            k, m = i + down, j + right
            if k < rows and 0 <= m < columns and not np.isnan(resistance[i, j] + resistance[k, m]):
                length = number(float(np.hypot(down, right)))
                g = 1 / number(float(resistance[i, j])) + 1 / number(float(resistance[k, m]))
                yield i * columns + j, k * columns + m, g / (2 * length)


def laplacian_by_hand(resistance, neighbours, ground=None):
    a, b, c = np.array(list(edges_by_hand(resistance, neighbours)) or np.empty((0, 3))).T
    a, b, n = a.astype(int), b.astype(int), resistance.size
    leak = np.zeros(n) if ground is None else np.where(np.isnan(resistance), 0, ground).ravel()
    at = np.concatenate([a, b, a, b, np.arange(n)])
    to = np.concatenate([a, b, b, a, np.arange(n)])
    return coo_array((np.concatenate([c, c, -c, -c, leak]), (at, to)), shape=(n, n)).tocsc()


def landscape(rng, shape, *, decades=3.0, holes=0.2):
    resistance = 10 ** rng.uniform(0, decades, shape)
    resistance[rng.random(shape) < holes] = np.nan
    return resistance


def exact_inverse(matrix):
    """Gauss-Jordan in the numbers' own arithmetic."""
    n = len(matrix)
    rows = [[*row, *(type(row[0])(int(i == j)) for j in range(n))] for i, row in enumerate(matrix)]
    for k in range(n):
        scale = rows[k][k]
        rows[k] = [value / scale for value in rows[k]]
        for i in range(n):
            if i != k and rows[i][k]:
                factor = rows[i][k]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[n:] for row in rows]


def exact_laplacian(resistance, neighbours, number):
    n = resistance.size
    matrix = [[number(0)] * n for _ in range(n)]
    for a, b, c in edges_by_hand(resistance, neighbours, number):
        matrix[a][a] += c
        matrix[b][b] += c
        matrix[a][b] -= c
        matrix[b][a] -= c
    return matrix


def exact_resistances(resistance, neighbours, number):
    """All effective resistances of a raster without holes, from the inverse with the last cell grounded."""
    matrix = exact_laplacian(resistance, neighbours, number)
    inverse = exact_inverse([row[:-1] for row in matrix[:-1]])
    n = resistance.size
    padded = [[*row, number(0)] for row in inverse] + [[number(0)] * n]
    return np.array([[float(padded[s][s] + padded[t][t] - 2 * padded[s][t]) for t in range(n)] for s in range(n)])


def all_cells(shape):
    return np.argwhere(np.ones(shape, bool))


def effective_resistance(factor, a, b):
    currents = np.zeros((1, *factor.stencil.shape))
    currents[0, *a], currents[0, *b] = 1, -1
    voltages = factor.solve(currents)[0]
    return voltages[*a] - voltages[*b]


@settings(max_examples=50, deadline=None)
@given(SEEDS, SHAPES, NEIGHBOURS, st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.booleans(), st.integers(1, 30))
def test_voltages_equal_those_of_a_dense_solver_on_every_component(seed, shape, neighbours, holes, grounds, leaf):
    rng = np.random.default_rng(seed)
    resistance = landscape(rng, shape, holes=holes)
    ground = np.where(rng.random(shape) < 0.1, rng.uniform(0.01, 1, shape), 0.0) if grounds else None
    matrix = laplacian_by_hand(resistance, neighbours, ground).toarray()
    labels = components(~np.isnan(resistance), neighbours).ravel()
    currents = rng.normal(size=(3, resistance.size)) * (labels > 0)
    stencil = raster_stencil(resistance, neighbours=neighbours)
    usual, nested_dissection.LEAF_CELLS = nested_dissection.LEAF_CELLS, leaf
    try:
        factor = factorise(stencil, ground)
    finally:
        nested_dissection.LEAF_CELLS = usual
    leaks = np.zeros(labels.size) if ground is None else (ground * (labels.reshape(shape) > 0)).ravel()
    for label in range(1, labels.max() + 1):
        inside = labels == label
        if not leaks[inside].any():
            currents[:, inside] -= currents[:, inside].mean(axis=1, keepdims=True)
    voltages = factor.solve(currents.reshape(3, *shape)).reshape(3, -1)
    assert np.all(voltages[:, labels == 0] == 0)
    for label in range(1, labels.max() + 1):
        cells = np.flatnonzero(labels == label)
        grounded = leaks[cells].any()
        free = cells if grounded else cells[1:]
        expected = np.zeros((3, cells.size))
        expected[:, cells.size - free.size :] = np.linalg.solve(matrix[np.ix_(free, free)], currents[:, free].T).T
        got = voltages[:, cells] - (0 if grounded else voltages[:, cells[:1]])
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-9 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("neighbours", [4, 8])
def test_voltages_on_a_raster_of_many_fronts_equal_those_of_sparse_lu(neighbours):
    rng = np.random.default_rng(3)
    resistance = landscape(rng, (130, 170), decades=2, holes=0.08)
    ground = np.where(rng.random(resistance.shape) < 0.02, rng.random(resistance.shape), 0.0)
    labels = components(~np.isnan(resistance), neighbours)
    resistance[labels != np.bincount(labels.ravel())[1:].argmax() + 1] = np.nan
    inside = np.flatnonzero(~np.isnan(resistance))
    currents = rng.normal(size=(11, *resistance.shape)) * ~np.isnan(resistance)  # more than one block of problems
    matrix = laplacian_by_hand(resistance, neighbours, ground)[inside][:, inside].tocsc()
    expected = splu(matrix).solve(currents.reshape(11, -1)[:, inside].T).T
    got = factorise(raster_stencil(resistance, neighbours=neighbours), ground).solve(currents)
    np.testing.assert_allclose(got.reshape(11, -1)[:, inside], expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("grounds", [False, True])
def test_current_is_conserved_at_every_cell(grounds):
    rng = np.random.default_rng(5)
    resistance = landscape(rng, (110, 160), decades=4, holes=0.0)
    ground = np.where(rng.random(resistance.shape) < 0.01, 1e-3, 0.0) if grounds else None
    currents = rng.normal(size=(2, *resistance.shape))
    currents -= currents.mean(axis=(1, 2), keepdims=True)
    voltages = factorise(raster_stencil(resistance), ground).solve(currents)
    drawn = (laplacian_by_hand(resistance, 8, ground) @ voltages.reshape(2, -1).T).T
    scale = 10 / np.sqrt(2) * np.abs(voltages).max()
    assert np.abs(drawn.reshape(currents.shape) - currents).max() < 1e-13 * scale


@pytest.mark.parametrize(("neighbours", "leaf"), [(4, 2), (8, 2), (8, 16)])
def test_effective_resistances_at_a_contrast_of_1e15_equal_exact_rational_arithmetic(neighbours, leaf, monkeypatch):
    monkeypatch.setattr(nested_dissection, "LEAF_CELLS", leaf)
    rng = np.random.default_rng(7)
    resistance = 10.0 ** rng.choice([0, 3, 9, 15], (4, 5)) * rng.uniform(1, 2, (4, 5))
    expected = exact_resistances(resistance, neighbours, Fraction)
    stencil = raster_stencil(resistance, neighbours=neighbours)
    pairs = [(s, t) for s in range(20) for t in range(s)]
    for s, t in pairs[::3]:  # two terminals: the rest goes through the fronts
        ends = np.array([divmod(s, 5), divmod(t, 5)])
        got = factorise(stencil, keep_last=[ends]).schur().resistances()
        assert got[0, 1] == pytest.approx(expected[s, t], rel=5e-15, abs=0)
    got = factorise(stencil, keep_last=[all_cells((4, 5))]).schur().resistances()
    np.testing.assert_allclose(got, expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("neighbours", [4, 8])
def test_large_fronts_keep_their_accuracy_at_a_contrast_of_1e15(neighbours):
    """Sixty-digit arithmetic; one front of 130 cells, so that panels, dtrsm and dgemm all take part."""
    rng = np.random.default_rng(9)
    shape = (10, 13)
    resistance = 10.0 ** rng.uniform(0, 15, shape)
    with localcontext() as context:
        context.prec = 60
        expected = exact_resistances(resistance, neighbours, Decimal)
    stencil = raster_stencil(resistance, neighbours=neighbours)
    got = factorise(stencil, keep_last=[all_cells(shape)]).schur().resistances()
    np.testing.assert_allclose(got, expected, rtol=2e-14, atol=0)


def test_harmonic_extension_is_accurate_cell_by_cell_at_a_contrast_of_1e15():
    rng = np.random.default_rng(10)
    shape, ends = (7, 8), [3, 50]
    resistance = 10.0 ** rng.uniform(0, 15, shape)
    with localcontext() as context:
        context.prec = 60
        matrix = exact_laplacian(resistance, 8, Decimal)
        free = [n for n in range(resistance.size) if n not in ends]
        inverse = exact_inverse([[matrix[i][j] for j in free] for i in free])
        pull = [-matrix[i][ends[0]] for i in free]
        expected = [float(sum(a * b for a, b in zip(row, pull, strict=True))) for row in inverse]
    factor = factorise(raster_stencil(resistance), keep_last=[np.array([divmod(n, 8) for n in ends])])
    got = factor.extend(np.array([[1.0, 0.0]])).ravel()
    np.testing.assert_allclose(got[free], expected, rtol=1e-13, atol=0)
    np.testing.assert_array_equal(got[ends], [1, 0])


@settings(max_examples=40, deadline=None)
@given(SEEDS, NEIGHBOURS, st.booleans())
def test_terminals_see_the_schur_complement_of_the_dense_laplacian(seed, neighbours, grounds):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(2, 16)), int(rng.integers(2, 16)))
    resistance = landscape(rng, shape, holes=0.0)
    ground = np.where(rng.random(shape) < 0.2, rng.random(shape), 0.0) if grounds else None
    matrix = laplacian_by_hand(resistance, neighbours, ground).toarray()
    order = rng.permutation(resistance.size)
    kept, gone = np.split(order, [int(rng.integers(1, resistance.size))])
    groups = [np.argwhere(np.isin(np.arange(resistance.size), part).reshape(shape)) for part in np.split(kept, [1])]
    kept = np.concatenate([group[:, 0] * shape[1] + group[:, 1] for group in groups])
    extension = -np.linalg.solve(matrix[np.ix_(gone, gone)], matrix[np.ix_(gone, kept)])
    schur = matrix[np.ix_(kept, kept)] + matrix[np.ix_(kept, gone)] @ extension
    factor = factorise(raster_stencil(resistance, neighbours=neighbours), ground, keep_last=groups)
    network = factor.schur()
    scale = np.abs(matrix).max()
    off = ~np.eye(kept.size, dtype=bool)
    np.testing.assert_allclose(network.conductances[off], -schur[off], rtol=1e-9, atol=1e-12 * scale)
    np.testing.assert_allclose(network.ground, schur.sum(axis=1), rtol=1e-9, atol=1e-11 * scale)
    values = rng.normal(size=(9, kept.size))
    raster = factor.extend(values).reshape(9, -1)
    np.testing.assert_array_equal(raster[:, kept], values)
    np.testing.assert_allclose(raster[:, gone], values @ extension.T, rtol=1e-8, atol=1e-10)


def test_fewer_terminals_can_be_taken_from_a_network_in_any_order():
    rng = np.random.default_rng(11)
    stencil = raster_stencil(landscape(rng, (9, 11)))
    cells = np.argwhere(stencil.nodes)[rng.permutation(int(stencil.nodes.sum()))[:12]]
    ground = np.where(rng.random((9, 11)) < 0.2, 0.3, 0.0)
    wanted = np.array([7, 2, 9, 4])
    fewer = factorise(stencil, ground, keep_last=[cells]).schur(wanted)
    alone = factorise(stencil, ground, keep_last=[cells[wanted]]).schur()
    np.testing.assert_allclose(fewer.conductances, alone.conductances, rtol=1e-12)
    np.testing.assert_allclose(fewer.ground, alone.ground, rtol=1e-12)


def test_focal_regions_joined_in_the_terminal_network_equal_regions_joined_in_the_laplacian():
    rng = np.random.default_rng(12)
    resistance = landscape(rng, (20, 24), holes=0.0)
    regions = np.zeros(resistance.shape, int)
    regions[2:5, 3:8], regions[14:18, 5:7], regions[8:11, 18:22] = 1, 2, 3
    groups = [np.argwhere(regions == k) for k in (1, 2, 3)]
    network = factorise(raster_stencil(resistance), keep_last=groups).schur()
    labels = np.repeat(np.arange(3), [len(group) for group in groups])
    lone = network.merged(labels).resistances()
    full = laplacian_by_hand(resistance, 8).toarray()
    for a in range(3):
        for b in range(a):
            # only these two regions are joined; the third one's cells stay separate
            names = np.where(regions.ravel() == a + 1, 0, np.where(regions.ravel() == b + 1, 1, -1))
            names[names < 0] = 2 + np.arange((names < 0).sum())
            join = np.eye(names.max() + 1)[names]
            joined = join.T @ full @ join
            expected = np.linalg.inv(joined[1:, 1:])[0, 0]
            pair = np.select([labels == a, labels == b], [0, 1], 2 + np.arange(labels.size))
            pair = np.unique(pair, return_inverse=True)[1]
            assert network.merged(pair).resistances()[0, 1] == pytest.approx(expected, rel=1e-9)
            assert lone[a, b] <= expected * (1 + 1e-12)  # joining a third region can only lower it


@settings(max_examples=40, deadline=None)
@given(SEEDS, NEIGHBOURS, st.booleans(), st.booleans(), st.booleans())
def test_an_update_equals_a_fresh_factor_to_the_last_bit(seed, neighbours, editable, grounds, terminals):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 70)), int(rng.integers(1, 70)))
    resistance = landscape(rng, shape)
    last = [np.unique(rng.integers(0, shape, (4, 2)), axis=0)] if terminals else []
    factor = None
    for _ in range(3):  # edits of edits: new nodes, nodes lost, other conductances, other grounds
        ground = np.where(rng.random(shape) < 0.01, 1.0, 0.0) if grounds else None
        stencil = raster_stencil(resistance, neighbours=neighbours)
        fresh = factorise(stencil, ground, keep_last=last, editable=editable)
        factor = fresh if factor is None else factor.update(stencil, ground)
        currents = rng.normal(size=(2, *shape))
        np.testing.assert_array_equal(factor.solve(currents), fresh.solve(currents))
        np.testing.assert_array_equal(factor.schur().conductances, fresh.schur().conductances)
        assert factor.entries == fresh.entries
        top, left = rng.integers(0, shape)
        window = resistance[top : top + 6, left : left + 6]
        window[:] = landscape(rng, window.shape)


def test_an_update_leaves_the_factor_it_came_from_as_it_was():
    rng = np.random.default_rng(14)
    before = raster_stencil(landscape(rng, (90, 120)))
    after = raster_stencil(landscape(rng, (90, 120)))
    currents = rng.normal(size=(1, 90, 120))
    factor = factorise(before, editable=True)
    expected = factor.solve(currents)
    edited = factor.update(after)
    np.testing.assert_array_equal(factor.solve(currents), expected)
    np.testing.assert_array_equal(edited.update(before).solve(currents), expected)
    np.testing.assert_array_equal(factor.update(before).solve(currents), expected)


def test_an_edit_of_a_large_editable_raster_uses_kept_blocks_and_equals_a_fresh_factor():
    rng = np.random.default_rng(15)
    resistance = landscape(rng, (150, 170), holes=0.1)
    factor = factorise(raster_stencil(resistance), editable=True)
    currents = rng.normal(size=(1, 150, 170))
    for top, left in [(100, 40), (70, 80), (0, 0), (145, 165)]:
        resistance[top : top + 10, left : left + 10] = landscape(rng, (10, 10))[: 150 - top, : 170 - left]
        stencil = raster_stencil(resistance)
        factor = factor.update(stencil)
        np.testing.assert_array_equal(factor.solve(currents), factorise(stencil).solve(currents))


def test_a_factor_refuses_to_be_pickled_because_it_holds_addresses():
    with pytest.raises(TypeError, match="factorise it there"):
        pickle.dumps(factorise(raster_stencil(np.ones((2, 2)))))


def test_threads_do_not_change_a_bit():
    rng = np.random.default_rng(16)
    stencil = raster_stencil(landscape(rng, (210, 170)))
    currents = rng.normal(size=(20, 210, 170))
    one = factorise(stencil, keep_last=[np.array([[3, 4], [100, 100]])])
    three = factorise(stencil, keep_last=[np.array([[3, 4], [100, 100]])], threads=3)
    np.testing.assert_array_equal(one.solve(currents), three.solve(currents))
    np.testing.assert_array_equal(one.schur().conductances, three.schur().conductances)


def test_cells_in_a_row_are_resistors_in_series():
    resistance = np.array([[3.0, 5.0, 2.0, 8.0, 1.0]])
    conductance = 1 / resistance[0]
    steps = 2 / (conductance[1:] + conductance[:-1])  # mean conductance of neighbours
    for raster, a, b in ((resistance, (0, 0), (0, 4)), (resistance.T, (4, 0), (0, 0))):
        assert effective_resistance(factorise(raster_stencil(raster)), a, b) == pytest.approx(steps.sum(), rel=1e-15)


def test_two_ways_round_a_hole_are_resistors_in_parallel():
    resistance = np.ones((3, 5))
    resistance[1, 1:4] = np.nan
    factor = factorise(raster_stencil(resistance, neighbours=4))
    assert effective_resistance(factor, (1, 0), (1, 4)) == pytest.approx(6 / 2, rel=1e-14)


def test_neighbours_on_a_large_uniform_grid_are_half_an_ohm_apart():
    factor = factorise(raster_stencil(np.ones((201, 201)), neighbours=4))
    assert effective_resistance(factor, (100, 100), (100, 101)) == pytest.approx(0.5, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(SEEDS, NEIGHBOURS)
def test_resistances_times_conductances_of_the_edges_sum_to_nodes_less_components(seed, neighbours):
    """Foster (1949)."""
    rng = np.random.default_rng(seed)
    resistance = landscape(rng, (int(rng.integers(1, 12)), int(rng.integers(1, 12))), decades=6)
    cells = np.argwhere(~np.isnan(resistance))
    names = np.cumsum(~np.isnan(resistance).ravel()) - 1
    stencil = raster_stencil(resistance, neighbours=neighbours)
    got = factorise(stencil, keep_last=[cells]).schur().resistances()
    total = sum(got[names[a], names[b]] * c for a, b, c in edges_by_hand(resistance, neighbours))
    count = components(~np.isnan(resistance), neighbours).max()
    assert total == pytest.approx(len(cells) - count, rel=1e-12)
    np.testing.assert_array_equal(got, got.T)


def test_terminals_on_different_components_are_infinitely_far_apart():
    resistance = np.ones((3, 5))
    resistance[:, 2] = np.nan
    got = factorise(raster_stencil(resistance), keep_last=[np.array([[0, 0], [0, 4], [2, 1]])]).schur().resistances()
    assert got[0, 1] == got[1, 2] == np.inf
    assert np.isfinite(got[0, 2])


@pytest.mark.parametrize("neighbours", [4, 8])
def test_turning_and_flipping_the_raster_turns_and_flips_the_voltages(neighbours):
    rng = np.random.default_rng(17)
    resistance = landscape(rng, (37, 52))
    labels = components(~np.isnan(resistance), neighbours)
    resistance[labels != np.bincount(labels.ravel())[1:].argmax() + 1] = np.nan
    inside = ~np.isnan(resistance)
    currents = rng.normal(size=resistance.shape) * inside
    currents[inside] -= currents[inside].mean()

    def centred(raster, source):
        voltages = factorise(raster_stencil(raster, neighbours=neighbours)).solve(source[None])[0]
        return np.where(np.isnan(raster), 0, voltages - voltages[~np.isnan(raster)].mean())

    expected = centred(resistance, currents)
    for turn in (np.flipud, np.fliplr, np.rot90, np.transpose):
        got = centred(turn(resistance).copy(), turn(currents).copy())
        np.testing.assert_allclose(got, turn(expected), rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_a_raster_without_any_node_has_no_voltages():
    factor = factorise(raster_stencil(np.full((6, 7), np.nan)))
    assert factor.entries == 0
    np.testing.assert_array_equal(factor.solve(np.ones((1, 6, 7))), np.zeros((1, 6, 7)))


def test_current_into_one_cell_leaves_through_its_conductance_to_ground():
    factor = factorise(raster_stencil(np.array([[2.0]])), np.array([[4.0]]))
    assert factor.solve(np.array([[[3.0]]]))[0, 0, 0] == pytest.approx(0.75, rel=1e-15)


def test_a_factor_holds_at_most_eighty_numbers_per_cell_of_a_quarter_of_a_million():
    assert factorise(raster_stencil(np.ones((500, 500)))).entries <= 80 * 250_000


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(2, 40))
def test_all_resistances_of_a_dense_network_equal_those_of_its_pseudoinverse(seed, n):
    rng = np.random.default_rng(seed)
    conductances = rng.uniform(0.1, 10, (n, n))
    conductances = np.triu(conductances, 1) + np.triu(conductances, 1).T
    inverse = np.linalg.pinv(np.diag(conductances.sum(axis=0)) - conductances)
    diagonal = np.diag(inverse)
    expected = diagonal[:, None] + diagonal - 2 * inverse
    np.testing.assert_allclose(all_resistances(conductances), expected, rtol=1e-9, atol=1e-12)


def test_ground_is_one_more_way_between_terminals():
    network = TerminalNetwork(np.array([[0, 2.0], [2.0, 0]]), np.array([3.0, 6.0]))
    assert network.resistances()[0, 1] == pytest.approx(1 / (2 + 1 / (1 / 3 + 1 / 6)), rel=1e-15)


def test_elimination_of_a_middle_node_turns_a_star_into_a_triangle():
    star = np.zeros((4, 4))
    star[0, 1:] = star[1:, 0] = [1.0, 2.0, 5.0]
    got = eliminate_first(star, 1)
    np.testing.assert_allclose(got, np.array([[0, 2, 5], [2, 0, 10], [5, 10, 0]]) / 8, rtol=1e-15)
