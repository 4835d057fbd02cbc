"""Current maps against currents counted edge by edge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.kernels.current import effective_resistances, node_currents, pair_currents
from linkways.kernels.laplacian import raster_stencil
from linkways.kernels.multigrid import Sources, build_hierarchy, focal_voltages, solve


def currents_by_hand(raster, voltages, neighbours, ground=None, cut=1e-8):
    """max(inflow, outflow) of each cell, every edge counted in plain Python (mean conductance edges)."""
    rows, columns = raster.shape
    steps = [(0, 1), (1, 0)] + ([(1, 1), (1, -1)] if neighbours == 8 else [])
    branches = []
    for i in range(rows):
        for j in range(columns):
            for down, right in steps:
                k, m = i + down, j + right
                if k < rows and 0 <= m < columns and not np.isnan(raster[i, j] + raster[k, m]):
                    c = (1 / raster[i, j] + 1 / raster[k, m]) / (2 * np.hypot(down, right))
                    branches.append(((i, j), (k, m), c * (voltages[i, j] - voltages[k, m])))
    largest = max(abs(flow) for *_, flow in branches)
    inflow, outflow = np.zeros(raster.shape), np.zeros(raster.shape)
    for a, b, flow in branches:
        if abs(flow) >= cut * largest:
            outflow[a] += max(flow, 0)
            inflow[a] += max(-flow, 0)
            inflow[b] += max(flow, 0)
            outflow[b] += max(-flow, 0)
    if ground is not None:
        outflow += np.maximum(ground * voltages, 0)
        inflow += np.maximum(-ground * voltages, 0)
    return np.maximum(inflow, outflow)


def landscape(seed, rows, columns):
    rng = np.random.default_rng(seed)
    raster = 10 ** rng.uniform(0, 3, (rows, columns))
    raster[1:-1, 1:-1][rng.random((rows - 2, columns - 2)) < 0.2] = np.nan
    return raster, rng


def edge_cells(raster, rng, count):
    """Cells on the rim, which the landscape leaves whole and connected."""
    rim = np.ones(raster.shape, dtype=bool)
    rim[1:-1, 1:-1] = False
    cells = np.argwhere(rim)
    chosen = cells[rng.choice(len(cells), count, replace=False)]
    return chosen[:, 0], chosen[:, 1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 12), st.integers(3, 90), st.sampled_from([4, 8]))
def test_currents_are_those_counted_edge_by_edge(seed, rows, columns, neighbours):
    raster, rng = landscape(seed, rows, columns)
    voltages = rng.normal(size=raster.shape)
    found = node_currents(raster_stencil(raster, neighbours=neighbours), voltages)
    assert found == pytest.approx(currents_by_hand(raster, voltages, neighbours), rel=1e-12, abs=1e-14)


def test_finite_grounds_count_as_outflow_where_the_voltage_is_positive_and_as_inflow_where_negative():
    raster, rng = landscape(4, 9, 11)
    ground = np.where(np.isnan(raster), 0.0, rng.random(raster.shape))
    voltages = rng.normal(size=raster.shape)
    found = node_currents(raster_stencil(raster, ground=ground), voltages)
    assert found == pytest.approx(currents_by_hand(raster, voltages, 8, ground), rel=1e-12)


def test_branch_currents_below_the_cut_count_as_none():
    raster = np.ones((1, 4))
    stencil = raster_stencil(raster, neighbours=4)
    voltages = np.array([[0.0, 1.0, 1.0 + 5e-9, 1.0 + 5e-9]])
    assert node_currents(stencil, voltages).tolist() == [[1.0, 1.0, 0.0, 0.0]]
    assert node_currents(stencil, voltages, cut=0.0)[0, 2] == pytest.approx(5e-9, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 12), st.integers(3, 90), st.sampled_from([4, 8]), st.integers(2, 6))
def test_all_pairs_at_once_equal_pair_after_pair(seed, rows, columns, neighbours, count):
    raster, rng = landscape(seed, rows, columns)
    i, j = edge_cells(raster, rng, count)
    stencil = raster_stencil(raster, neighbours=neighbours)
    hierarchy = build_hierarchy(stencil)
    voltages = focal_voltages(hierarchy, i, j, tolerance=1e-11).voltages
    pairs = np.array([(s, t) for s in range(count) for t in range(s)])
    pairs = pairs[rng.random(len(pairs)) < 0.8] if len(pairs) > 3 else pairs
    weights = rng.uniform(0.5, 3, len(pairs))
    cumulative, maximum = pair_currents(stencil, voltages, i, j, pairs, weights=weights, threads=2)
    expected = []
    for (s, t), weight in zip(pairs, weights, strict=True):
        sources = Sources(np.zeros(2, int), i[[s, t]], j[[s, t]], np.array([1.0, -1.0]), 1)
        v = solve(hierarchy, sources, tolerance=1e-11).voltages[0]
        expected.append(weight * currents_by_hand(raster, v, neighbours))
    assert cumulative == pytest.approx(np.sum(expected, axis=0), abs=1e-7 * weights.sum())
    assert maximum == pytest.approx(np.max(expected, axis=0), abs=1e-7)


def test_current_is_conserved_away_from_source_and_sink():
    raster, _ = landscape(7, 60, 50)
    stencil = raster_stencil(raster)
    sources = Sources(np.zeros(2, int), np.array([0, 59]), np.array([0, 49]), np.array([1.0, -1.0]), 1)
    v = np.pad(solve(build_hierarchy(stencil), sources).voltages[0], 1)
    net = np.zeros_like(v)
    for edge, down, right in (
        (stencil.east, 0, 1),
        (stencil.south, 1, 0),
        (stencil.southeast, 1, 1),
        (stencil.southwest, 1, -1),
    ):
        flow = edge * (v - np.roll(v, (-down, -right), (0, 1)))
        net += flow - np.roll(flow, (down, right), (0, 1))
    assert net[1, 1] == pytest.approx(1, abs=1e-6)
    assert net[60, 50] == pytest.approx(-1, abs=1e-6)
    net[1, 1] = net[60, 50] = 0
    assert np.abs(net).max() < 1e-6


def test_every_ampere_crosses_a_neck_one_cell_wide():
    raster = np.ones((7, 9))
    raster[:, 4] = np.nan
    raster[3, 4] = 50.0
    stencil = raster_stencil(raster)
    i, j = np.array([0, 6, 2]), np.array([0, 8, 7])
    voltages = focal_voltages(build_hierarchy(stencil), i, j, tolerance=1e-11).voltages
    cumulative, maximum = pair_currents(stencil, voltages, i, j, np.array([(0, 1), (0, 2)]))
    assert cumulative[3, 4] == pytest.approx(2, abs=1e-8)
    assert maximum[3, 4] == pytest.approx(1, abs=1e-8)
    assert cumulative[0, 0] == pytest.approx(2, abs=1e-8)
    assert np.isnan(raster[cumulative == 0]).all()


def test_pairs_in_different_components_have_infinite_resistance():
    raster = np.ones((4, 5))
    raster[:, 2] = np.nan
    i, j = np.array([0, 3, 0]), np.array([0, 1, 4])
    hierarchy = build_hierarchy(raster_stencil(raster))
    voltages = focal_voltages(hierarchy, i, j).voltages
    resistance = effective_resistances(voltages, i, j, hierarchy.labels[i, j])
    assert np.isinf(resistance[[0, 1], 2]).all()
    assert 0 < resistance[0, 1] < 3
