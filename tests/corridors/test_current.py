"""Current flow: against circuits solved by hand, a dense Laplacian written here, and the laws that must hold."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import spatial
from linkways.corridors import _circuit, _circuit_graph, _circuit_modes, _circuit_regions
from linkways.corridors._circuit import build_circuit
from linkways.corridors._circuit_graph import graph_of_branches
from linkways.corridors._circuit_maps import rim_of
from linkways.corridors._circuit_regions import factored_responses, region_pairs
from linkways.corridors.current import current, resistance_matrix
from linkways.corridors.network_current import network_current
from linkways.errors import LinkwaysError

CRS = "EPSG:3035"
FEW = settings(max_examples=15, deadline=None)


def raster(values):
    return spatial.new_raster(np.asarray(values, float), crs=CRS, cell_size=100)


def points(*cells, **columns):
    """Points at the centres of (row, column) cells."""
    where = [shapely.Point(100 * column + 50, -100 * row - 50) for row, column in cells]
    return gpd.GeoDataFrame(columns, geometry=where, crs=CRS)


def boxes(*windows, **columns):
    """Polygons over (first row, first column, rows, columns) of cells."""
    where = [shapely.box(100 * j, -100 * (i + n), 100 * (j + m), -100 * i) for i, j, n, m in windows]
    return gpd.GeoDataFrame(columns, geometry=where, crs=CRS)


# --- a circuit solved densely, cell by cell ----------------------------------------------------------------------


class Dense:
    """The same circuit by brute force: a Laplacian filled in a loop, solved by its pseudo-inverse."""

    def __init__(self, r, groups=(), neighbours=8, average="conductance"):
        rows, columns = r.shape
        self.node = np.full(r.size, -1)
        for n, cells in enumerate(groups):
            self.node[cells] = n
        for cell in np.flatnonzero(np.isfinite(r.ravel()) & (self.node < 0)):
            self.node[cell] = self.node.max(initial=len(groups) - 1) + 1
        count = self.node.max() + 1
        self.c = np.zeros((count, count))
        steps = [(0, 1, 1.0), (1, 0, 1.0)] + [(1, 1, 2**0.5), (1, -1, 2**0.5)] * (neighbours == 8)
        for i in range(rows):
            for j in range(columns):
                for di, dj, d in steps:
                    k, m = i + di, j + dj
                    if not (0 <= k < rows and 0 <= m < columns) or not np.isfinite(r[i, j] + r[k, m]):
                        continue
                    a, b = self.node[i * columns + j], self.node[k * columns + m]
                    mean = (1 / r[i, j] + 1 / r[k, m]) / 2 if average == "conductance" else 2 / (r[i, j] + r[k, m])
                    if a != b:
                        self.c[a, b] += mean / d
                        self.c[b, a] += mean / d
        self.laplacian = np.diag(self.c.sum(axis=0)) - self.c
        self.inverse = np.linalg.pinv(self.laplacian, rcond=1e-13)

    def voltage(self, source, sink):
        """1 A from a source cell to a sink cell, which has voltage 0; NaN where they are not joined."""
        a, b = self.node[source], self.node[sink]
        amperes = np.zeros(len(self.c))
        amperes[a] += 1
        amperes[b] -= 1
        v = self.inverse @ amperes
        if np.abs(self.laplacian @ v - amperes).max() > 1e-6:
            return None
        return v - v[b]

    def current(self, v):
        """max(inflow, outflow) of every cell from the node voltages."""
        flow = self.c * (v[:, None] - v[None, :])
        through = np.maximum(np.maximum(flow, 0).sum(axis=1), np.maximum(-flow, 0).sum(axis=1))
        return np.where(self.node >= 0, through[self.node], 0.0)


@st.composite
def landscapes(draw, rows=(3, 9), columns=(3, 9)):
    shape = draw(st.integers(*rows)), draw(st.integers(*columns))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    r = np.exp(rng.uniform(0, 4, shape))
    r[rng.random(shape) < draw(st.sampled_from([0.0, 0.2, 0.35]))] = np.nan
    r.flat[0] = r.flat[-1] = 1.0
    return r, rng


def some_cells(rng, r, count):
    return [np.array([c]) for c in rng.choice(np.flatnonzero(np.isfinite(r.ravel())), count, replace=False)]


# --- hand-checkable ------------------------------------------------------------------------------------------------


def test_resistors_in_a_row_add_up():
    flow = current(raster([[2, 2, 4, 4]]), points((0, 0), (0, 3)), average="resistance")
    assert flow.resistances.resistance[0] == pytest.approx(2 + 3 + 4)
    np.testing.assert_allclose(flow.cumulative.values, 1.0)


def test_mean_conductance_and_mean_resistance_give_their_own_branch():
    pair = points((0, 0), (0, 1))
    r = raster([[1, 3]])
    assert current(r, pair, average="conductance").resistances.resistance[0] == pytest.approx(2 / (1 + 1 / 3))
    assert current(r, pair, average="resistance").resistances.resistance[0] == pytest.approx(2.0)


def test_current_splits_evenly_over_two_equal_ways():
    flow = current(raster([[1, 1, 1], [1, np.nan, 1], [1, 1, 1]]), points((0, 1), (2, 1)), neighbours=4)
    np.testing.assert_allclose(flow.cumulative.values, [[0.5, 1, 0.5], [0.5, np.nan, 0.5], [0.5, 1, 0.5]], atol=1e-7)
    assert flow.resistances.resistance[0] == pytest.approx(2.0)


def test_step_lengths_in_metres_scale_resistance_by_the_cell():
    r, pair = raster(np.full((4, 5), 3.0)), points((0, 0), (3, 4))
    cells = current(r, pair).resistances.resistance[0]
    assert current(r, pair, step_lengths="metres").resistances.resistance[0] == pytest.approx(100 * cells)


def test_a_conductance_raster_is_the_inverse_of_a_resistance_raster_and_its_zeros_are_barriers():
    r = np.array([[1.0, 4, 2], [np.nan, 3, 1]])
    pair = points((0, 0), (1, 2))
    as_conductance = raster(np.where(np.isnan(r), 0, 1 / r))
    one = current(raster(r), pair)
    other = current(as_conductance, pair, values="conductance")
    np.testing.assert_allclose(one.resistances.resistance, other.resistances.resistance)
    np.testing.assert_allclose(one.cumulative.values, other.cumulative.values, atol=1e-7)


def test_focal_nodes_in_different_parts_have_no_resistance_and_no_current():
    flow = current(raster([[1, np.nan, 1, 1]]), points((0, 0), (0, 2), (0, 3)))
    table = resistance_matrix(flow.resistances)
    assert np.isnan(table.loc[1, 2])
    assert np.isnan(table.loc[1, 3])
    assert table.loc[2, 3] == pytest.approx(1.0)
    np.testing.assert_allclose(flow.cumulative.values, [[0, np.nan, 1, 1]])


def test_one_to_all_grounds_all_others_and_reports_volts_per_ampere():
    flow = current(raster([[1, 1, 1, 1, 1]]), points((0, 0), (0, 2), (0, 4)), mode="one_to_all")
    # from the middle node two ways of 2 in parallel; from either end the middle node is the nearest ground
    np.testing.assert_allclose(flow.resistances.resistance, [2, 1, 2])
    np.testing.assert_allclose(flow.cumulative.values, [[1.5, 1.5, 3.0, 1.5, 1.5]], atol=1e-7)


def test_all_to_one_collects_an_ampere_from_every_other_node():
    strengths = pd.DataFrame({"node": [3], "strength": [5.0]})
    flow = current(
        raster([[1, 1, 1]]), points((0, 0), (0, 1), (0, 2)), mode="all_to_one", strengths=strengths, case_maps=True
    )
    assert flow.resistances.resistance.tolist() == [0, 0, 0]
    np.testing.assert_allclose(flow.case_currents.sel(case="1").values, [[6, 6, 5]], atol=1e-6)
    np.testing.assert_allclose(flow.case_currents.sel(case="2").values, [[1, 6, 5]], atol=1e-6)


def test_advanced_solves_the_given_sources_and_grounds():
    grounds = points((0, 3), value=[2.0])
    flow = current(
        raster([[1, 1, 1, 1]]),
        mode="advanced",
        source_points=points((0, 0), amperes=[3.0]),
        ground_points=grounds,
        voltage_maps=True,
    )
    np.testing.assert_allclose(flow.voltages.values, [[[15, 12, 9, 6]]])
    np.testing.assert_allclose(flow.cumulative.values, 3.0)


@pytest.mark.parametrize(
    ("conflicts", "expected"),
    [
        ("keepall", [[2 / 3, 2 / 3 - 1 / 3, 0]]),
        ("rmvsrc", [[0, 0, 0]]),
        ("rmvall", [[0, 0, 0]]),
        ("rmvgnd", [[2, 1, 0]]),
    ],
)
def test_conflicts_between_source_and_ground_follow_the_rule(conflicts, expected):
    if conflicts in ("rmvsrc", "rmvall"):
        # the only source goes, so that nothing is left to flow
        expected = np.zeros((1, 3))
    flow = current(
        raster([[1, 1, 1]]),
        mode="advanced",
        source_points=points((0, 0), amperes=[1.0]),
        ground_points=points((0, 0), (0, 2), value=[1.0, 0.0]),
        conflicts=conflicts,
        voltage_maps=True,
    )
    np.testing.assert_allclose(flow.voltages.values[0], expected, atol=1e-9)


def test_a_short_circuit_joins_distant_cells_and_shows_its_current_in_all_of_them():
    ways = raster([[1, 1, 1, 1, 1]])
    strips = boxes((0, 1, 1, 3))
    flow = current(ways, points((0, 0), (0, 4)), strips)
    assert flow.resistances.resistance[0] == pytest.approx(2.0)
    np.testing.assert_allclose(flow.cumulative.values, 1.0)


def test_focal_currents_can_be_left_out_of_their_own_pairs_only():
    flow = current(raster([[1, 1, 1]]), points((0, 0), (0, 1), (0, 2)), focal_currents=False)
    # pairs 1-2 and 2-3 leave no cell; pair 1-3 flows through node 2
    np.testing.assert_allclose(flow.cumulative.values, [[0, 1, 0]], atol=1e-9)
    np.testing.assert_allclose(flow.maximum.values, [[0, 1, 0]], atol=1e-9)


def test_pairs_can_be_included_or_excluded():
    r, nodes = raster([[1, 1, 1]]), points((0, 0), (0, 1), (0, 2), node=[7, 8, 9])
    chosen = pd.DataFrame({"node_a": [9], "node_b": [7]})
    assert current(r, nodes, pairs=chosen).resistances.values.tolist() == [[7, 9, 2.0]]
    left = current(r, nodes, pairs=chosen, pairs_rule="exclude").resistances
    assert left[["node_a", "node_b"]].values.tolist() == [[7, 8], [8, 9]]


# --- refusals ------------------------------------------------------------------------------------------------------


def refusal(*arguments, **named):
    with pytest.raises(LinkwaysError) as error:
        current(*arguments, **named)
    return str(error.value)


def test_bad_focal_nodes_are_refused_by_name():
    r = raster([[1, np.nan, 1]])
    assert "focal nodes 2 lie entirely on nodata" in refusal(r, points((0, 0), (0, 1)))
    assert "number 5 stands for two features" in refusal(r, points((0, 0), (0, 2), node=[5, 5]))
    assert "focal nodes 1 and 2 share 1 cells, first row 0 column 0" in refusal(
        r, gpd.GeoDataFrame(geometry=[shapely.box(0, -100, 100, 0), shapely.Point(30, -30)], crs=CRS)
    )
    crowd = points(*[(0, 0)] * 5001)
    assert "more than 5000" in refusal(r, crowd)


def test_values_that_are_no_resistance_are_refused_and_told():
    pair = points((0, 0), (0, 1))
    assert "is it a map of conductance" in refusal(raster([[1, 1, 0]]), pair)
    assert "first at row 0 column 2 (-3)" in refusal(raster([[1, 1, -3]]), pair)
    assert "no cell above 0" in refusal(raster([[0, 0]]), pair, values="conductance")


def test_habitat_quality_given_as_resistance_is_noted():
    with spatial.recording() as notes:
        current(raster([[0.5, 1.0, 0.25]]), points((0, 0), (0, 2)))
    assert any("maps of habitat quality" in n for n in notes)


def test_regions_that_touch_are_noted_and_joined_by_their_border():
    with spatial.recording() as notes:
        flow = current(raster([[1, 1, 1, 1]]), boxes((0, 0, 1, 2), (0, 2, 1, 2)))
    assert flow.resistances.resistance[0] == pytest.approx(1.0)
    assert any("focal nodes 1 and 2 touch" in n for n in notes)


def test_a_source_without_ground_is_refused_with_its_place():
    said = refusal(
        raster([[1, np.nan, 1, 1]]),
        mode="advanced",
        source_points=points((0, 0), amperes=[1.0]),
        ground_points=points((0, 3), value=[0.0]),
    )
    assert "source at row 0 column 0 lies in a part of the landscape without ground" in said


def test_absurd_numbers_of_maps_are_refused():
    r = raster(np.ones((300, 300)))
    many = points(*[(i, j) for i in range(0, 300, 20) for j in range(0, 300, 20)])
    assert "case_maps or voltage_maps asks for 25200 maps" in refusal(r, many, case_maps=True)


def test_inputs_of_another_mode_are_refused():
    said = refusal(raster([[1, 1]]), points((0, 0), (0, 1)), ground_points=points((0, 0), value=[1.0]))
    assert "ground_points is for mode advanced" in said


# --- against the dense circuit -------------------------------------------------------------------------------------


@FEW
@given(landscapes(), st.sampled_from([4, 8]), st.sampled_from(["conductance", "resistance"]))
def test_points_agree_with_the_dense_laplacian(landscape, neighbours, average):
    r, rng = landscape
    nodes = some_cells(rng, r, min(4, int(np.isfinite(r).sum())))
    responses = build_circuit(r, neighbours=neighbours, average=average, tolerance=1e-11).drive(nodes)
    dense = Dense(r, neighbours=neighbours, average=average)
    for s in range(len(nodes)):
        for t in range(s + 1, len(nodes)):
            v = dense.voltage(nodes[t][0], nodes[s][0])
            if v is None:
                assert np.isnan(responses.resistances[s, t])
                continue
            assert responses.resistances[s, t] == pytest.approx(v[dense.node[nodes[t][0]]], rel=1e-8)
            np.testing.assert_allclose(responses.pair_current(s, t).ravel(), dense.current(v), atol=1e-7)


@FEW
@given(landscapes(rows=(5, 10), columns=(5, 10)), st.sampled_from([0, 10**9]))
def test_tied_cells_agree_with_the_dense_laplacian_by_either_route(landscape, graph_cells):
    r, rng = landscape
    shuffled = rng.permutation(np.flatnonzero(np.isfinite(r.ravel())))
    regions, short = [np.sort(shuffled[:3]), np.sort(shuffled[3:5])], np.sort(shuffled[5:8])
    circuit = build_circuit(r, shorted=[short], tolerance=1e-11)
    responses = _circuit.replace(circuit, graph_cells=graph_cells).drive(regions)
    dense = Dense(r, [*regions, short])
    v = dense.voltage(regions[1][0], regions[0][0])
    if v is None:
        assert np.isnan(responses.resistances[0, 1])
        return
    assert responses.resistances[0, 1] == pytest.approx(v[1], rel=1e-7)
    np.testing.assert_allclose(responses.pair_current(0, 1).ravel(), dense.current(v), atol=1e-6)
    np.testing.assert_allclose(responses.current_sums()[0].ravel(), dense.current(v), atol=1e-6)


@FEW
@given(landscapes(rows=(6, 10), columns=(6, 10)))
def test_pairs_of_regions_from_one_factorisation_equal_the_dense_laplacian(landscape):
    r, rng = landscape
    shuffled = rng.permutation(np.flatnonzero(np.isfinite(r.ravel())))
    regions = [np.sort(shuffled[3 * k : 3 * k + 3]) for k in range(3)]
    circuit = build_circuit(r, shorted=[np.sort(shuffled[9:12])])
    rims = region_pairs(circuit, regions)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        dense = Dense(r, [regions[a], regions[b], *circuit.shorted])
        v = dense.voltage(regions[b][0], regions[a][0])
        found = rims.potentials(a, b)
        if v is None:
            assert found is None
            continue
        assert found[0] == pytest.approx(v[1], rel=1e-8)
        drop = rims.voltages([(a, b)], [found[1]])[0].ravel()
        joined = np.array([dense.node[c] >= 0 and abs(v[dense.node[c]]) > 0 for c in range(r.size)])
        inside = joined & (drop != 0)
        np.testing.assert_allclose(drop[inside], v[dense.node[inside]], atol=1e-8)


@FEW
@given(landscapes(rows=(6, 10), columns=(6, 10)))
def test_many_tied_groups_by_one_factorisation_equal_the_graph_of_their_nodes(landscape):
    r, rng = landscape
    shuffled = rng.permutation(np.flatnonzero(np.isfinite(r.ravel())))
    groups = [np.sort(shuffled[2 * k : 2 * k + 2]) for k in range(5)]
    circuit = build_circuit(r, shorted=groups[3:])
    expected = circuit.drive(groups[:3])
    maps, residual = factored_responses(circuit, groups, expected.part)
    assert residual < 1e-8
    np.testing.assert_allclose(maps, expected.voltages, atol=1e-8)


def test_the_accurate_inverse_stands_in_where_cholesky_is_not_accurate(monkeypatch):
    rng = np.random.default_rng(4)
    r = rng.uniform(1, 9, (12, 12))
    regions = [np.array([0, 1, 12]), np.array([70, 71]), np.array([142, 143])]
    plain = region_pairs(build_circuit(r), regions).potentials(0, 2)
    monkeypatch.setattr(_circuit_regions, "INVERSE_ERROR", -1.0)
    careful = region_pairs(build_circuit(r), regions).potentials(0, 2)
    assert careful[0] == pytest.approx(plain[0], rel=1e-12)
    np.testing.assert_allclose(careful[1], plain[1], atol=1e-12)


# --- laws ----------------------------------------------------------------------------------------------------------


@FEW
@given(landscapes())
def test_effective_resistance_is_symmetric_and_a_distance(landscape):
    r, rng = landscape
    nodes = some_cells(rng, r, min(5, int(np.isfinite(r).sum())))
    found = build_circuit(r, tolerance=1e-11).drive(nodes).resistances
    np.testing.assert_array_equal(found, found.T)
    for k in range(len(nodes)):
        detour = found[:, [k]] + found[[k], :]
        known = np.isfinite(found) & np.isfinite(detour)
        assert (found[known] <= detour[known] * (1 + 1e-8) + 1e-9).all()


@FEW
@given(landscapes(), st.floats(1.1, 50))
def test_raising_any_resistance_never_lowers_an_effective_resistance(landscape, factor):
    r, rng = landscape
    nodes = some_cells(rng, r, 2)
    before = build_circuit(r, tolerance=1e-11).drive(nodes).resistances[0, 1]
    worse = r.copy()
    worse.flat[rng.choice(r.size)] *= factor
    after = build_circuit(worse, tolerance=1e-11).drive(nodes).resistances[0, 1]
    assert np.isnan(before) or after >= before * (1 - 1e-8)


@FEW
@given(landscapes(), st.integers(0, 3), st.booleans())
def test_maps_do_not_depend_on_the_orientation_of_the_grid(landscape, turns, flip):
    r, rng = landscape
    cells = [np.unravel_index(int(n[0]), r.shape) for n in some_cells(rng, r, 3)]

    def turned(values):
        values = np.rot90(values, turns)
        return values[:, ::-1] if flip else values

    marks = np.full(r.shape, -1)
    for k, cell in enumerate(cells):
        marks[cell] = k
    here = build_circuit(r, tolerance=1e-11).drive([np.flatnonzero(marks == k) for k in range(3)])
    there = build_circuit(turned(r), tolerance=1e-11).drive([np.flatnonzero(turned(marks) == k) for k in range(3)])
    np.testing.assert_allclose(here.resistances, there.resistances, rtol=1e-8)
    for a, b in zip(here.current_sums(), there.current_sums(), strict=True):
        np.testing.assert_allclose(turned(a), b, atol=1e-7)


@FEW
@given(landscapes(rows=(5, 12), columns=(5, 12)), st.booleans())
def test_current_is_conserved_wherever_there_is_neither_source_nor_ground(landscape, shorts):
    r, rng = landscape
    shuffled = rng.permutation(np.flatnonzero(np.isfinite(r.ravel())))
    circuit = build_circuit(r, shorted=[shuffled[:3]] if shorts else [])
    nodes = [shuffled[3:4], shuffled[4:5]]
    responses = circuit.drive(nodes)
    if not np.isfinite(responses.resistances[0, 1]):
        return
    missing = circuit.imbalance(responses.pair_voltage(0, 1), np.zeros(r.shape)).ravel()
    missing[np.concatenate(nodes)] = 0.0
    assert np.abs(missing).max() <= 1e-6


@FEW
@given(landscapes(rows=(5, 9), columns=(5, 9)))
def test_sums_over_pairs_equal_pair_by_pair_solves(landscape):
    r, rng = landscape
    nodes = some_cells(rng, r, 4)
    circuit = build_circuit(r, tolerance=1e-11)
    cumulative, maximum = circuit.drive(nodes).current_sums()
    total, top = np.zeros(r.shape), np.zeros(r.shape)
    for s in range(4):
        for t in range(s + 1, 4):
            one = circuit.drive([nodes[s], nodes[t]]).pair_current(0, 1)
            total, top = total + one, np.maximum(top, one)
    np.testing.assert_allclose(cumulative, total, atol=1e-6)
    np.testing.assert_allclose(maximum, top, atol=1e-6)


def test_the_sum_over_branches_of_resistance_times_conductance_is_the_nodes_less_one():
    """Foster's theorem, on a network without loops or parallels."""
    rng = np.random.default_rng(5)
    tail, head = np.triu_indices(12, 1)
    kept = rng.random(len(tail)) < 0.5
    graph = graph_of_branches(tail[kept], head[kept], rng.uniform(0.1, 9, int(kept.sum())), 12)
    assert len(np.unique(graph.component)) == 1
    amperes = np.zeros((len(graph.tail), 12))
    amperes[np.arange(len(graph.tail)), graph.tail] = 1
    amperes[np.arange(len(graph.tail)), graph.head] -= 1
    v, _ = graph.solve(amperes)
    own = np.arange(len(graph.tail))
    resistance = v[own, graph.tail] - v[own, graph.head]
    assert float(resistance @ graph.conductance) == pytest.approx(11)


# --- routes and fallbacks --------------------------------------------------------------------------------------------


def test_regions_tied_in_their_own_pairs_differ_from_regions_tied_in_all():
    nodes = boxes((0, 0, 1, 1), (0, 1, 1, 3), (0, 4, 1, 1))
    alone = resistance_matrix(current(raster([[1, 1, 1, 1, 1]]), nodes).resistances)
    tied = resistance_matrix(current(raster([[1, 1, 1, 1, 1]]), nodes, regions="all").resistances)
    assert alone.loc[1, 3] == pytest.approx(4.0)  # node 2 is ordinary land
    assert tied.loc[1, 3] == pytest.approx(2.0)  # and here free passage
    assert alone.loc[1, 2] == pytest.approx(1.0)


def test_pairs_of_regions_are_the_same_in_turn_and_from_one_factorisation(monkeypatch):
    rng = np.random.default_rng(8)
    r = raster(rng.uniform(1, 20, (24, 30)))
    nodes = boxes((1, 1, 4, 5), (15, 3, 6, 4), (4, 20, 5, 6), (16, 22, 2, 2))
    fast = current(r, nodes, focal_currents=False)
    monkeypatch.setattr(_circuit_modes, "FACTOR_TERMINALS", 0)
    slow = current(r, nodes, focal_currents=False)
    np.testing.assert_allclose(fast.resistances.resistance, slow.resistances.resistance, rtol=1e-7)
    np.testing.assert_allclose(fast.cumulative.values, slow.cumulative.values, atol=1e-6)
    assert (fast.cumulative.values[1:5, 1:6] < fast.cumulative.values.max()).all()


def test_voltages_that_memory_would_not_hold_lie_in_a_file_and_are_the_same(monkeypatch):
    rng = np.random.default_rng(6)
    circuit = build_circuit(rng.uniform(1, 9, (60, 70)))
    points_of = [np.array([c]) for c in (5, 2000, 4100)]
    regions_of = [np.array([c, c + 1]) for c in (5, 2000, 4100)]
    held = [circuit.drive(nodes).current_sums() for nodes in (points_of, regions_of)]
    monkeypatch.setattr(_circuit, "HELD_BYTES", 0)
    filed = [circuit.drive(nodes).current_sums() for nodes in (points_of, regions_of)]
    np.testing.assert_array_equal(held, filed)


def test_the_rim_of_a_region_is_where_current_can_leave_it():
    r = np.ones((6, 6))
    r[:, 0] = np.nan
    cells = (np.arange(4)[:, None] * 6 + np.arange(4)).ravel()
    rim = rim_of(build_circuit(r, neighbours=4).stencil, cells)
    assert sorted(rim.tolist()) == [3, 9, 15, 19, 20, 21]


def test_a_solve_that_does_not_converge_goes_to_the_direct_solver(monkeypatch):
    rng = np.random.default_rng(2)
    r = rng.uniform(1, 9, (20, 20))
    nodes = [np.array([3]), np.array([388])]
    expected = build_circuit(r, tolerance=1e-11).drive(nodes).resistances[0, 1]
    real = _circuit.solve

    def stalled(*arguments, **named):
        part = real(*arguments, **named)
        part.converged[:] = False
        part.voltages[:] = 0.0
        return part

    monkeypatch.setattr(_circuit, "solve", stalled)
    again = build_circuit(r).drive(nodes)
    assert again.resistances[0, 1] == pytest.approx(expected, rel=1e-10)
    assert again.residual < 1e-10


def test_a_solve_that_no_solver_brings_to_its_tolerance_is_an_error_with_the_residual(monkeypatch):
    class Wrong:
        def solve(self, amperes):
            return np.ones_like(amperes) * np.arange(amperes.shape[-1])

    from linkways.kernels import nested_dissection

    real = _circuit.solve

    def stalled(*arguments, **named):
        part = real(*arguments, **named)
        part.converged[:] = False
        return part

    monkeypatch.setattr(_circuit, "solve", stalled)
    monkeypatch.setattr(nested_dissection, "factorise", lambda *a, **k: Wrong())
    with pytest.raises(LinkwaysError, match=r"residual .* is above the tolerance"):
        build_circuit(np.ones((5, 5))).drive([np.array([0]), np.array([24])])


def test_large_networks_are_solved_the_same_with_approx_chol(monkeypatch):
    pytest.importorskip("approx_chol", reason="the optional package approx-chol is not installed")
    rng = np.random.default_rng(12)
    tail, head = rng.integers(0, 400, (2, 1500))
    conductance = np.exp(rng.uniform(-3, 3, 1500))
    direct = graph_of_branches(tail, head, conductance, 400)
    amperes = np.zeros((1, 400))
    amperes[0, tail[0]], amperes[0, head[0]] = 1, -1
    expected = direct.solve(amperes)[0]
    monkeypatch.setattr(_circuit_graph, "ITERATIVE_NODES", 0)
    graph = graph_of_branches(tail, head, conductance, 400)
    monkeypatch.setattr(type(graph), "_direct", property(lambda self: pytest.fail("the direct solver was called")))
    np.testing.assert_allclose(graph.solve(amperes)[0], expected, atol=1e-9)


# --- networks ------------------------------------------------------------------------------------------------------


def test_a_network_with_grounds_is_the_circuit_of_mcrae_2008_figure_2():
    links = pd.DataFrame({"node_a": [0, 1, 1, 2, 3], "node_b": [1, 2, 3, 4, 4], "resistance": [1.0] * 5})
    flow = network_current(
        links,
        mode="advanced",
        sources=pd.DataFrame({"node": [0], "amperes": [1.0]}),
        grounds=pd.DataFrame({"node": [0, 1, 2, 3, 4], "resistance": [99, 33, 49.5, 49.5, 0]}),
        case_tables=True,
    )
    np.testing.assert_allclose(flow.voltages.voltage, [1.92315926, 0.94258511, 0.46657963, 0.46657963, 0], atol=1e-8)


def test_parallel_links_of_a_network_add_their_conductances():
    links = pd.DataFrame({"node_a": ["a", "b"], "node_b": ["b", "a"], "resistance": [2.0, 2.0]})
    flow = network_current(links, pd.DataFrame({"node": ["a", "b"]}))
    assert flow.resistances.values.tolist() == [["a", "b", 1.0]]


def test_a_network_of_one_link_tied_at_both_ends_has_nothing_to_solve():
    graph = graph_of_branches(np.array([0]), np.array([1]), np.ones(1), 2, fixed=np.array([True, True]))
    np.testing.assert_array_equal(graph.solve(np.ones((1, 2)))[0], 0.0)


def test_unjoined_nodes_of_a_network_have_no_resistance():
    links = pd.DataFrame({"node_a": [1, 3], "node_b": [2, 4], "conductance": [1.0, 1.0]})
    flow = network_current(links, pd.DataFrame({"node": [1, 2, 3]}), case_tables=True)
    assert flow.resistances.resistance.isna().tolist() == [False, True, True]
    assert flow.nodes.cumulative.tolist() == [1.0, 1.0, 0.0, 0.0]
    assert flow.voltages.node.tolist() == [1, 2]


def test_mistakes_in_network_tables_are_told():
    links = pd.DataFrame({"node_a": [1], "node_b": [2], "resistance": [1.0]})
    with pytest.raises(LinkwaysError, match="focal_nodes, row 1: node 9 is not in the network"):
        network_current(links, pd.DataFrame({"node": [1, 9]}))
    with pytest.raises(LinkwaysError, match="branches, row 0"):
        network_current(links.assign(resistance=-1.0), pd.DataFrame({"node": [1, 2]}))
    with pytest.raises(LinkwaysError, match="names node 1 twice"):
        network_current(links, pd.DataFrame({"node": [1, 1]}))
