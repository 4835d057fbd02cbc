"""The multigrid solver against sparse LU, analytic networks, and the invariances of electrical networks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import splu, spsolve

from linkways.kernels import multigrid
from linkways.kernels.current import effective_resistances
from linkways.kernels.laplacian import StepLengths, components, ground_cells, raster_stencil
from linkways.kernels.multigrid import Sources, build_hierarchy, focal_voltages, solve

AVERAGES = st.sampled_from(["conductance", "resistance"])
NEIGHBOURS = st.sampled_from([4, 8])


def edges_by_hand(resistance, average, neighbours):
    """Every edge of the raster's graph as (cell, cell, conductance), cell by cell from the definitions."""
    rows, columns = resistance.shape
    steps = [(0, 1), (1, 0)] + ([(1, 1), (1, -1)] if neighbours == 8 else [])
    for i in range(rows):
        for j in range(columns):
            for down, right in steps:
                k, m = i + down, j + right
                if not (k < rows and 0 <= m < columns):
                    continue
                a, b = resistance[i, j], resistance[k, m]
                if np.isnan(a) or np.isnan(b):
                    continue
                d = np.hypot(down, right)
                c = 2 / ((a + b) * d) if average == "resistance" else (1 / a + 1 / b) / (2 * d)
                yield i * columns + j, k * columns + m, c


def laplacian_by_hand(resistance, average, neighbours):
    edges = np.array(list(edges_by_hand(resistance, average, neighbours))).reshape(-1, 3)
    a, b, c = edges[:, 0].astype(int), edges[:, 1].astype(int), edges[:, 2]
    rows, columns = np.concatenate([a, b, a, b]), np.concatenate([a, b, b, a])
    return coo_array((np.concatenate([c, c, -c, -c]), (rows, columns)), (resistance.size,) * 2).tocsc()


def resistance_by_hand(resistance, average, neighbours, source, sink):
    """Effective resistance and voltages (0 at the sink) of the source's component.

    Sparse LU, refined with residuals summed edge by edge in extended precision: at high contrast LU alone is less
    accurate than what it is here to check.
    """
    columns = resistance.shape[1]
    s, t = source[0] * columns + source[1], sink[0] * columns + sink[1]
    labels = components(~np.isnan(resistance), neighbours).ravel()
    inside = np.flatnonzero((labels == labels[s]) & (np.arange(labels.size) != t))
    factor = splu(laplacian_by_hand(resistance, average, neighbours)[inside][:, inside].tocsc())
    ends = np.array([edge for edge in edges_by_hand(resistance, average, neighbours) if labels[edge[0]] == labels[s]])
    a, b, c = ends[:, 0].astype(int), ends[:, 1].astype(int), ends[:, 2].astype(np.longdouble)
    voltages = np.zeros(labels.size, dtype=np.longdouble)
    for _ in range(6):
        residual = np.zeros(labels.size, dtype=np.longdouble)
        residual[s] = 1
        np.subtract.at(residual, a, c * (voltages[a] - voltages[b]))
        np.add.at(residual, b, c * (voltages[a] - voltages[b]))
        voltages[inside] += factor.solve(residual[inside].astype(float))
    return float(voltages[s]), voltages.reshape(resistance.shape).astype(float)


def pair_sources(source, sink):
    return Sources(
        np.array([0, 0]),
        np.array([source[0], sink[0]]),
        np.array([source[1], sink[1]]),
        np.array([1.0, -1.0]),
        1,
    )


def resistance_between(raster, source, sink, **rules):
    hierarchy = build_hierarchy(raster_stencil(np.ascontiguousarray(raster), **rules))
    solution = solve(hierarchy, pair_sources(source, sink), tolerance=1e-11)
    v = solution.voltages[0]
    assert solution.converged.all()
    return v[source] - v[sink]


@st.composite
def landscapes(draw, largest=26):
    """A raster with holes and contrast up to 1e6, and two cells of its largest component."""
    rows, columns = draw(st.integers(2, largest)), draw(st.integers(2, largest))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    exponent = draw(st.floats(0, 6))
    kind = draw(st.sampled_from(["smooth", "noise", "binary"]))
    field = rng.random((rows, columns))
    if kind == "smooth":
        field = gaussian_filter(field, 2.0)
        field = (field - field.min()) / max(np.ptp(field), 1e-12)
    if kind == "binary":
        field = np.round(field)
    raster = 10.0 ** (exponent * field)
    raster[rng.random((rows, columns)) < draw(st.floats(0, 0.4))] = np.nan
    return raster, rng


def two_cells(raster, neighbours, rng):
    """Two cells of the largest component, or None where it has fewer."""
    labels = components(~np.isnan(raster), neighbours)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    cells = np.argwhere(labels == sizes.argmax())
    if sizes.max() < 2:
        return None
    a, b = rng.choice(len(cells), 2, replace=False)
    return tuple(int(n) for n in cells[a]), tuple(int(n) for n in cells[b])


@settings(max_examples=40, deadline=None)
@given(landscapes(), AVERAGES, NEIGHBOURS)
def test_voltages_agree_with_a_direct_solve_of_the_matrix_built_edge_by_edge(landscape, average, neighbours):
    raster, rng = landscape
    cells = two_cells(raster, neighbours, rng)
    if cells is None:
        return
    source, sink = cells
    expected, voltages = resistance_by_hand(raster, average, neighbours, source, sink)
    hierarchy = build_hierarchy(raster_stencil(raster, average=average, neighbours=neighbours))
    solution = solve(hierarchy, pair_sources(source, sink), tolerance=1e-11)
    v = solution.voltages[0]
    assert solution.converged.all()
    assert v[source] - v[sink] == pytest.approx(expected, rel=1e-8)
    inside = components(~np.isnan(raster), neighbours) == hierarchy.labels[source]
    assert np.abs((v - v[sink] - voltages)[inside]).max() <= 1e-7 * expected


@settings(max_examples=30, deadline=None)
@given(landscapes(), AVERAGES, NEIGHBOURS, st.floats(1e-4, 1e3))
def test_cells_with_a_conductance_to_ground_agree_with_a_direct_solve(landscape, average, neighbours, leak):
    raster, rng = landscape
    nodes = ~np.isnan(raster)
    labels = components(nodes, neighbours)
    if not nodes.any():
        return
    ground = np.where(rng.random(raster.shape) < 0.2, leak * rng.random(raster.shape), 0.0)
    firsts = np.unique(labels.ravel(), return_index=True)[1]
    ground.ravel()[firsts] = leak
    ground[~nodes] = 0.0
    sources = np.where(nodes, rng.normal(size=raster.shape), 0.0)
    matrix = laplacian_by_hand(raster, average, neighbours)
    matrix = matrix + diags_array(ground.ravel() + ~nodes.ravel())
    expected = spsolve(matrix.tocsc(), sources.ravel()).reshape(raster.shape)
    hierarchy = build_hierarchy(raster_stencil(raster, average=average, neighbours=neighbours, ground=ground))
    solution = solve(hierarchy, sources[None], tolerance=1e-11)
    assert solution.converged.all()
    assert np.abs(solution.voltages[0] - expected).max() <= 1e-6 * np.abs(expected).max()


def test_cells_tied_to_ground_agree_with_the_matrix_without_their_rows():
    rng = np.random.default_rng(3)
    raster = rng.uniform(1, 50, (23, 31))
    tied = np.zeros(raster.shape, dtype=bool)
    tied[5, 6:9] = tied[20, 30] = True
    sources = np.where(tied, 0.0, rng.random(raster.shape))
    kept = np.flatnonzero(~tied.ravel())
    expected = np.zeros(raster.size)
    expected[kept] = spsolve(laplacian_by_hand(raster, "conductance", 8)[kept][:, kept].tocsc(), sources.ravel()[kept])
    hierarchy = build_hierarchy(ground_cells(raster_stencil(raster), tied))
    solution = solve(hierarchy, sources[None], tolerance=1e-11)
    assert solution.voltages[0] == pytest.approx(expected.reshape(raster.shape), rel=1e-8)


@settings(max_examples=20, deadline=None)
@given(landscapes(), AVERAGES, NEIGHBOURS)
def test_effective_resistance_is_symmetric_and_obeys_the_triangle_inequality(landscape, average, neighbours):
    raster, rng = landscape
    labels = components(~np.isnan(raster), neighbours)
    cells = np.argwhere(labels > 0)
    if len(cells) < 3:
        return
    chosen = cells[rng.choice(len(cells), min(5, len(cells)), replace=False)]
    rows, columns = chosen[:, 0], chosen[:, 1]
    hierarchy = build_hierarchy(raster_stencil(raster, average=average, neighbours=neighbours))
    solution = focal_voltages(hierarchy, rows, columns, tolerance=1e-11)
    at = solution.voltages[:, rows, columns]
    resistance = effective_resistances(solution.voltages, rows, columns, labels[rows, columns])
    finite = np.isfinite(resistance)
    assert np.array_equal(finite, labels[rows, columns][:, None] == labels[rows, columns][None, :])
    size = resistance[finite].max(initial=1.0)
    joined = np.where(finite, at, 0.0)
    assert np.abs(joined - joined.T).max() <= 1e-7 * size
    through = (resistance[:, :, None] + resistance[None, :, :]).min(axis=1)
    assert (resistance[finite] <= through[finite] + 1e-7 * size).all()


@settings(max_examples=20, deadline=None)
@given(landscapes(), AVERAGES, NEIGHBOURS)
def test_raising_the_resistance_of_a_cell_never_lowers_the_effective_resistance(landscape, average, neighbours):
    raster, rng = landscape
    cells = two_cells(raster, neighbours, rng)
    if cells is None:
        return
    before = resistance_between(raster, *cells, average=average, neighbours=neighbours)
    worse = raster.copy()
    changed = np.argwhere(~np.isnan(raster))
    i, j = changed[rng.integers(len(changed))]
    worse[i, j] *= 10
    after = resistance_between(worse, *cells, average=average, neighbours=neighbours)
    assert after >= before * (1 - 1e-8)


@settings(max_examples=20, deadline=None)
@given(landscapes(), AVERAGES, NEIGHBOURS)
def test_rotating_and_reflecting_the_raster_leaves_the_resistance(landscape, average, neighbours):
    raster, rng = landscape
    cells = two_cells(raster, neighbours, rng)
    if cells is None:
        return
    rules = {"average": average, "neighbours": neighbours}
    expected = resistance_between(raster, *cells, **rules)
    marks = np.zeros(raster.shape, dtype=int)
    marks[cells[0]], marks[cells[1]] = 1, 2
    for turn in (lambda a: np.rot90(a), lambda a: a[::-1], lambda a: a.T):
        turned = turn(marks)
        s, t = (tuple(int(n) for n in np.argwhere(turned == mark)[0]) for mark in (1, 2))
        assert resistance_between(turn(raster), s, t, **rules) == pytest.approx(expected, rel=1e-8)


def test_cells_in_a_row_are_resistors_in_series():
    raster = np.array([[1.0, 2.0, 4.0, 8.0, 3.0]])
    halves = raster[0, 1:] + raster[0, :-1]
    assert resistance_between(raster, (0, 0), (0, 4), average="resistance") == pytest.approx(halves.sum() / 2)
    by_conductance = (2 / (1 / raster[0, 1:] + 1 / raster[0, :-1])).sum()
    assert resistance_between(raster, (0, 0), (0, 4)) == pytest.approx(by_conductance)


def test_a_ring_of_cells_is_two_resistors_in_parallel():
    raster = np.ones((3, 3))
    raster[1, 1] = np.nan
    between = resistance_between(raster, (0, 0), (0, 2), neighbours=4)
    assert between == pytest.approx(1 / (1 / 2 + 1 / 6))


def test_row_step_lengths_scale_each_edge_by_its_distance():
    steps = StepLengths(np.array([3.0, 5.0]), np.array([4.0]), np.array([5.0]))
    stencil = raster_stencil(np.full((2, 2), 2.0), steps=steps)
    assert stencil.east[1:3, 1].tolist() == pytest.approx([1 / 6, 1 / 10])
    assert stencil.south[1, 1:3].tolist() == pytest.approx([1 / 8, 1 / 8])
    assert (stencil.southeast[1, 1], stencil.southwest[1, 2]) == pytest.approx((1 / 10, 1 / 10))


def test_neighbours_on_a_large_uniform_rook_grid_are_half_a_resistor_apart():
    """The infinite square lattice has R = 1/2 between neighbours (van der Pol & Bremmer 1955)."""
    raster = np.ones((501, 501))
    assert resistance_between(raster, (250, 250), (250, 251), neighbours=4) == pytest.approx(0.5, abs=1e-5)


def test_fosters_theorem_edge_resistance_times_conductance_sums_to_nodes_minus_one():
    raster = np.random.default_rng(0).uniform(1, 1000, (7, 9))
    hierarchy = build_hierarchy(raster_stencil(raster))
    i, j = (n.ravel() for n in np.indices(raster.shape))
    voltages = focal_voltages(hierarchy, i, j, tolerance=1e-12).voltages
    resistance = effective_resistances(voltages, i, j, np.ones(raster.size, dtype=int))
    total = sum(c * resistance[a, b] for a, b, c in edges_by_hand(raster, "conductance", 8))
    assert total == pytest.approx(raster.size - 1, rel=1e-9)


@pytest.mark.parametrize("average", ["conductance", "resistance"])
@pytest.mark.parametrize("cycle", ["V", "W", "W that stalls"])
def test_a_landscape_with_many_small_holes_converges(average, cycle, monkeypatch):
    """The case in which a W-cycle can make no progress: clustered resistances, 35 % small holes, 400 x 400."""
    if cycle != "V":
        monkeypatch.setattr(multigrid, "W_CYCLE_CELLS", 0)
    if cycle == "W that stalls":
        monkeypatch.setattr(multigrid, "STALL_SHARE", 0.0)
    rng = np.random.default_rng(2)
    field = gaussian_filter(rng.normal(size=(400, 400)), 6)
    raster = np.array([1.0, 5, 20, 100, 1000])[np.digitize(field, np.quantile(field, [0.25, 0.5, 0.7, 0.85]))]
    holes = gaussian_filter(rng.normal(size=(400, 400)), 0.8)
    raster[holes > np.quantile(holes, 0.65)] = np.nan
    labels, _ = label(~np.isnan(raster), np.ones((3, 3)))
    raster[labels != np.bincount(labels.ravel())[1:].argmax() + 1] = np.nan
    cells = np.argwhere(~np.isnan(raster))
    hierarchy = build_hierarchy(raster_stencil(raster, average=average))
    solution = solve(hierarchy, pair_sources(cells[0], cells[-1]), limit=60)
    assert solution.converged.all()
    assert 0 < solution.iterations[0] <= 60


def test_problems_in_different_components_are_solved_side_by_side():
    raster = np.random.default_rng(1).uniform(1, 9, (40, 40))
    raster[:, 20] = np.nan
    rhs = np.zeros((1, 40, 40))
    rhs[0, 3, 3], rhs[0, 30, 12], rhs[0, 4, 25], rhs[0, 22, 39] = 1, -1, 2, -2
    v = solve(build_hierarchy(raster_stencil(raster)), rhs, tolerance=1e-11).voltages[0]
    left, _ = resistance_by_hand(raster, "conductance", 8, (3, 3), (30, 12))
    right, _ = resistance_by_hand(raster, "conductance", 8, (4, 25), (22, 39))
    assert v[3, 3] - v[30, 12] == pytest.approx(left, rel=1e-8)
    assert v[4, 25] - v[22, 39] == pytest.approx(2 * right, rel=1e-8)


def test_blocks_threads_and_dense_sources_give_the_same_voltages():
    rng = np.random.default_rng(5)
    raster = rng.uniform(1, 100, (61, 47))
    hierarchy = build_hierarchy(raster_stencil(raster))
    rhs = rng.normal(size=(7, 61, 47))
    rhs -= rhs.mean(axis=(1, 2), keepdims=True)
    k, i, j = np.indices(rhs.shape)
    sources = Sources(k.ravel(), i.ravel(), j.ravel(), rhs.ravel(), 7)
    one = solve(hierarchy, rhs, tolerance=1e-11, block=1).voltages
    many = solve(hierarchy, sources, tolerance=1e-11, block=3, threads=2).voltages
    centred = [v - v.mean(axis=(1, 2), keepdims=True) for v in (one, many)]
    assert centred[0] == pytest.approx(centred[1], abs=1e-8 * np.abs(centred[0]).max())


def test_a_problem_without_sources_has_voltage_zero():
    solution = solve(build_hierarchy(raster_stencil(np.ones((20, 20)))), np.zeros((1, 20, 20)))
    assert solution.converged.all()
    assert not solution.voltages.any()


def test_sources_that_do_not_sum_to_zero_on_a_floating_component_are_refused():
    raster = np.ones((5, 7))
    raster[:, 3] = np.nan
    rhs = np.zeros((1, 5, 7))
    rhs[0, 1, 1], rhs[0, 1, 5] = 1.0, -1.0
    with pytest.raises(ValueError, match="component 1, which has no ground"):
        solve(build_hierarchy(raster_stencil(raster)), rhs)


def test_current_into_a_cell_that_is_no_node_is_refused():
    raster = np.ones((5, 7))
    raster[2, 2] = np.nan
    with pytest.raises(ValueError, match="cell without node"):
        solve(build_hierarchy(raster_stencil(raster)), pair_sources((2, 2), (4, 4)))


def test_a_problem_that_stalls_is_solved_directly():
    raster = np.random.default_rng(6).choice([1.0, 1e6], (60, 60))
    hierarchy = build_hierarchy(raster_stencil(raster, average="resistance", neighbours=4))
    solution = solve(hierarchy, pair_sources((0, 0), (59, 59)), limit=2)
    expected, _ = resistance_by_hand(raster, "resistance", 4, (0, 0), (59, 59))
    v = solution.voltages[0]
    assert solution.converged.all()
    assert solution.iterations[0] == 0
    assert v[0, 0] - v[59, 59] == pytest.approx(expected, rel=1e-8)


def test_where_multigrid_is_weak_the_direct_solver_reaches_the_tolerance_and_tells_its_residual():
    """Two kinds of ground 1e6 apart cell by cell, rook edges of mean resistance: 300 iterations are too few."""
    raster = np.random.default_rng(6).choice([1.0, 1e6], (130, 110))
    hierarchy = build_hierarchy(raster_stencil(raster, average="resistance", neighbours=4))
    solution = solve(hierarchy, pair_sources((0, 0), (129, 109)), tolerance=1e-8)
    assert solution.iterations[0] == 0
    assert solution.converged.all()
    expected, _ = resistance_by_hand(raster, "resistance", 4, (0, 0), (129, 109))
    v = solution.voltages[0]
    assert v[0, 0] - v[129, 109] == pytest.approx(expected, rel=1e-8)
    b = np.zeros(raster.size)
    b[0], b[-1] = 1, -1
    ends = np.array(list(edges_by_hand(raster, "resistance", 4)))
    tail, head, c = ends[:, 0].astype(int), ends[:, 1].astype(int), ends[:, 2]
    flow = c * (v.ravel()[tail] - v.ravel()[head])
    np.subtract.at(b, tail, flow)
    np.add.at(b, head, flow)
    assert solution.residuals[0] == pytest.approx(np.linalg.norm(b) / np.sqrt(2), rel=1e-3)
    assert solution.residuals[0] <= 1e-8


@pytest.mark.parametrize("leak", [0.0, 0.5])
def test_the_direct_solver_looks_at_nothing_but_the_components_that_are_fed(leak):
    raster = np.random.default_rng(11).uniform(1, 9, (24, 31))
    raster[:, 9] = raster[:, 21] = raster[13] = np.nan
    ground = np.zeros(raster.shape)
    ground[3, 15] = leak
    hierarchy = build_hierarchy(raster_stencil(raster, ground=ground if leak else None))
    ends = np.array([[0, 10], [12, 20], [0, 22], [12, 30]])
    amperes = np.array([1.0, -1.0, 2.0, -2.0])
    problems = Sources(np.array([0, 0, 1, 1]), ends[:, 0], ends[:, 1], amperes, 2)
    direct = solve(hierarchy, problems, limit=0)
    assert (direct.iterations == 0).all()
    assert direct.converged.all()
    iterated = solve(hierarchy, problems, tolerance=1e-12)
    assert (iterated.iterations > 0).all()
    for k, (one, two) in enumerate(ends.reshape(2, 2, 2).tolist()):
        one, two = tuple(one), tuple(two)
        inside = hierarchy.labels == hierarchy.labels[one]
        assert (direct.voltages[k][~inside] == 0).all()
        shift = [v[k] - (0.0 if leak and k == 0 else v[k][two]) for v in (direct.voltages, iterated.voltages)]
        np.testing.assert_allclose(shift[0][inside], shift[1][inside], rtol=1e-8, atol=1e-10)


def test_a_problem_too_large_for_the_direct_solver_is_reported_as_not_converged(monkeypatch):
    monkeypatch.setattr(multigrid, "DIRECT_CELLS", 100)
    hierarchy = build_hierarchy(raster_stencil(np.random.default_rng(6).uniform(1, 9, (60, 60))))
    solution = solve(hierarchy, pair_sources((0, 0), (59, 59)), limit=2)
    assert not solution.converged.any()
    assert 1e-8 < solution.residuals[0] < 1


def test_the_reported_residual_is_that_of_the_voltages_returned():
    raster = np.random.default_rng(8).uniform(1, 1000, (45, 38))
    hierarchy = build_hierarchy(raster_stencil(raster))
    solution = solve(hierarchy, pair_sources((0, 0), (44, 37)), tolerance=1e-5)
    b = np.zeros(raster.size)
    b[0], b[-1] = 1, -1
    r = b - laplacian_by_hand(raster, "conductance", 8) @ solution.voltages[0].ravel()
    assert solution.residuals[0] == pytest.approx(np.linalg.norm(r) / np.sqrt(2), rel=1e-6)
    assert solution.residuals[0] <= 1e-5
