"""Randomised shortest paths and absorbing walks against dense matrices, their two limits, and simulation."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from linkways import LinkwaysError, corridors
from linkways.corridors import _walks
from linkways.corridors.absorbing_walk import absorbing_walk
from linkways.corridors.current import current
from linkways.corridors.randomised_paths import randomised_paths

from .conftest import cell_boxes, degrees, planar


def landscape(seed: int, shape=(7, 9), holes: float = 0.1, cell_m: float = 100.0):
    """Random resistances with holes; the border is passable, so that nothing is cut off from it unless enclosed."""
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(0, 1, shape))
    inner = rng.random(shape) < holes
    inner[[0, -1]] = inner[:, [0, -1]] = False
    values[inner] = np.nan
    return planar(values, cell_m=cell_m)


def dense_graph(raster, average: str, neighbours: int, cell_m: float = 100.0):
    """Affinity and cost matrices over all cells, written from their definitions."""
    r = raster.values
    rows, columns = r.shape
    affinity, cost = np.zeros((r.size, r.size)), np.zeros((r.size, r.size))
    for i in range(rows):
        for j in range(columns):
            for di, dj in ((0, 1), (1, 0), (1, 1), (1, -1)):
                k, m = i + di, j + dj
                if not (k < rows and 0 <= m < columns) or (neighbours == 4 and di and dj):
                    continue
                if np.isnan(r[i, j]) or np.isnan(r[k, m]):
                    continue
                d = cell_m * math.hypot(di, dj)
                mean = (r[i, j] + r[k, m]) / 2
                w = 1 / (mean * d) if average == "resistance" else (1 / r[i, j] + 1 / r[k, m]) / 2 / d
                a, b = i * columns + j, k * columns + m
                affinity[a, b] = affinity[b, a] = w
                cost[a, b] = cost[b, a] = mean * d
    return affinity, cost


def dense_paths(affinity, cost, theta: float, movers, ends):
    """Passages, net passages, free energy and expected cost of every cell by inverting I - W (Saerens et al. 2009)."""
    d = affinity.sum(axis=1)
    likely = np.divide(affinity, d[:, None], out=np.zeros_like(affinity), where=d[:, None] > 0)
    w = likely * np.exp(-theta * cost)
    w[ends] = 0.0
    fundamental = np.linalg.inv(np.eye(len(d)) - w)
    z = fundamental[:, ends].sum(axis=1)
    steps = np.zeros_like(w)
    expected = np.full(len(d), np.nan)
    for s in np.flatnonzero((z > 0) & (d > 0)):
        taken = fundamental[s][:, None] * w * z[None, :] / z[s]
        expected[s] = (taken * cost).sum()
        steps += movers[s] * taken
    net = steps - steps.T
    through = 0.5 * (np.abs(net).sum(axis=1) + np.abs(net.sum(axis=1)))
    passages = steps.sum(axis=1)
    passages[ends] = steps.sum(axis=0)[ends]
    with np.errstate(divide="ignore"):
        return passages, through, -np.log(z) / theta, expected


def one_mover(raster, cell, shape_of=None):
    movers = np.zeros(raster.size)
    movers[np.ravel_multi_index(cell, raster.shape)] = 1.0
    return movers


def flat(raster, *cells):
    return np.array([np.ravel_multi_index(cell, raster.shape) for cell in cells])


def filled(layer):
    return np.nan_to_num(layer.values, nan=0.0).ravel()


# --- randomised shortest paths ---------------------------------------------------------------------------------


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("average", ["resistance", "conductance"])
@pytest.mark.parametrize("theta", [1e-7, 1e-3, 0.02, 0.1])
def test_passages_and_costs_equal_those_of_the_inverted_matrix(theta, average, neighbours):
    raster = landscape(3)
    affinity, cost = dense_graph(raster, average, neighbours)
    found = randomised_paths(
        raster, cell_boxes(raster, [(1, 0)]), cell_boxes(raster, [(5, 7, 2, 2)]), theta=theta, average=average,
        neighbours=neighbours,
    )  # fmt: skip
    ends = flat(raster, (5, 7), (5, 8), (6, 7), (6, 8))
    ends = ends[np.isfinite(raster.values.ravel()[ends])]
    passages, net, free, expected = dense_paths(affinity, cost, theta, one_mover(raster, (1, 0)), ends)
    s = flat(raster, (1, 0))[0]
    tolerance = {1e-7: 1e-6, 1e-3: 1e-9}.get(theta, 1e-10)  # -log z / theta of the dense side loses digits
    assert found.costs.free_energy[0] == pytest.approx(free[s], rel=tolerance)
    assert found.costs.expected_cost[0] == pytest.approx(expected[s], rel=1e-9)
    np.testing.assert_allclose(filled(found.passages), passages, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(filled(found.net_passages), net, rtol=1e-7, atol=1e-9)


def test_the_solver_in_logarithms_equals_elimination(monkeypatch):
    raster = landscape(11, (30, 40))
    places = [cell_boxes(raster, [(2, 0), (20, 0)]), cell_boxes(raster, [(28, 39)])]
    direct = randomised_paths(raster, *places, theta=0.01)
    monkeypatch.setattr(_walks, "SMALLEST_LOG_WEIGHT", -1e-9)
    swept = randomised_paths(raster, *places, theta=0.01)
    np.testing.assert_allclose(filled(swept.passages), filled(direct.passages), rtol=1e-8, atol=1e-200)
    np.testing.assert_allclose(filled(swept.net_passages), filled(direct.net_passages), rtol=1e-7, atol=1e-12)
    pd.testing.assert_frame_equal(swept.costs, direct.costs, rtol=1e-10)


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("average", ["resistance", "conductance"])
def test_a_large_theta_gives_the_least_cost_path_and_its_cost(average, neighbours):
    raster = landscape(5, (20, 30))
    start, end = cell_boxes(raster, [(0, 0)]), cell_boxes(raster, [(19, 29)])
    path = corridors.least_cost_path(raster, start, end, neighbours=neighbours)
    found = randomised_paths(raster, start, end, theta=50.0, average=average, neighbours=neighbours)
    assert found.costs.expected_cost[0] == pytest.approx(path.cost[0], rel=1e-9)
    assert found.costs.least_cost[0] == pytest.approx(path.cost[0], rel=1e-12)
    along = np.zeros(raster.shape)
    for x, y in path.geometry[0].coords:
        along[int(20 - y / 100), int(x / 100)] = 1.0
    np.testing.assert_allclose(filled(found.passages), along.ravel(), atol=1e-6)


def test_where_a_float64_would_vanish_the_free_energy_of_a_single_way_is_exact():
    """On a line there is one way; z = product over steps of P exp(-theta c), corrected by the ways back."""
    raster = planar(np.ones((1, 400)))
    found = randomised_paths(
        raster, cell_boxes(raster, [(0, 0)]), cell_boxes(raster, [(0, 399)]), theta=0.1, neighbours=4
    )
    # hitting z_k of a homogeneous line: z_0 = w z_1 at the reflecting end, z_k = w (z_(k-1) + z_(k+1)) / 2 inside
    w = math.exp(-10.0)
    ratio = w  # z_0 / z_1
    log_z = math.log(ratio)
    for _ in range(398):
        ratio = (w / 2) / (1 - (w / 2) * ratio)
        log_z += math.log(ratio)
    assert log_z < -4000
    assert found.costs.free_energy[0] == pytest.approx(-log_z / 0.1, rel=1e-12)
    assert found.costs.least_cost[0] == pytest.approx(39900)
    np.testing.assert_allclose(found.net_passages.values, 1.0, rtol=1e-9)


@pytest.mark.parametrize("average", ["resistance", "conductance"])
def test_a_small_theta_gives_the_map_of_current(average):
    raster = landscape(7, (12, 15))
    start, end = cell_boxes(raster, [(3, 0)]), cell_boxes(raster, [(9, 14)])
    flow = current(
        raster, pd.concat([start, end], ignore_index=True).assign(node=[1, 2]), average=average, step_lengths="metres"
    )
    found = randomised_paths(raster, start, end, theta=1e-10, average=average)
    np.testing.assert_allclose(filled(found.net_passages), filled(flow.cumulative), atol=1e-6)


def test_a_small_theta_gives_the_expected_cost_of_a_random_walk():
    """The random walk from s hits t with expected cost sum_ij of (visits of i) P_ij c_ij; solved as I - P."""
    raster = landscape(9)
    affinity, cost = dense_graph(raster, "resistance", 8)
    s, t = flat(raster, (0, 0), (6, 8))
    passable = np.isfinite(raster.values.ravel()) & (affinity.sum(axis=1) > 0)
    inside = np.flatnonzero(passable & (np.arange(raster.size) != t))
    likely = affinity[inside] / affinity[inside].sum(axis=1)[:, None]
    mean_cost = (likely * cost[inside]).sum(axis=1)
    expected = np.linalg.solve(np.eye(len(inside)) - likely[:, inside], mean_cost)
    found = randomised_paths(raster, cell_boxes(raster, [(0, 0)]), cell_boxes(raster, [(6, 8)]), theta=1e-13)
    assert found.expected_cost == pytest.approx(expected[inside == s][0], rel=1e-8)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), log_theta=st.floats(-8, 1), average=st.sampled_from(["resistance", "conductance"]))
def test_every_mover_leaves_and_arrives_and_costs_are_in_order(seed, log_theta, average):
    raster = landscape(seed, (8, 11))
    start, end = cell_boxes(raster, [(0, 0)]), cell_boxes(raster, [(7, 10)])
    found = randomised_paths(raster, start, end, theta=10**log_theta, average=average)
    passages, net = filled(found.passages), filled(found.net_passages)
    s, t = flat(raster, (0, 0), (7, 10))
    assert passages[t] == pytest.approx(1.0, rel=1e-7)
    assert passages[s] >= 1 - 1e-7
    assert net[s] == pytest.approx(1.0, rel=1e-6)
    assert net[t] == pytest.approx(1.0, rel=1e-6)
    assert (net <= passages + 1e-6).all()
    row = found.costs.iloc[0]
    assert row.least_cost <= row.expected_cost * (1 + 1e-9)
    assert row.expected_cost <= row.free_energy * (1 + 1e-9)


def test_expected_cost_falls_as_theta_grows():
    raster = landscape(21, (15, 15))
    start, end = cell_boxes(raster, [(0, 0)]), cell_boxes(raster, [(14, 14)])
    costs = [randomised_paths(raster, start, end, theta=t).expected_cost for t in (1e-6, 1e-4, 1e-2, 1e-1, 1, 20)]
    assert all(a > b for a, b in itertools.pairwise(costs))


@pytest.mark.parametrize("theta", [0.01, 30.0])
def test_a_mirrored_or_turned_landscape_gives_the_mirrored_or_turned_map(theta):
    values = landscape(31, (9, 9)).values

    def passages(grid, s, t):  # fmt: skip
        raster = planar(grid)
        return randomised_paths(raster, cell_boxes(raster, [s]), cell_boxes(raster, [t]), theta=theta).passages.values

    plain = passages(values, (0, 2), (8, 5))
    np.testing.assert_allclose(passages(values[:, ::-1], (0, 6), (8, 3))[:, ::-1], plain, rtol=1e-8, atol=1e-14)
    np.testing.assert_allclose(passages(values.T, (2, 0), (5, 8)).T, plain, rtol=1e-8, atol=1e-14)


def test_all_pairs_of_one_layer_are_the_sum_of_its_pairs():
    raster = landscape(13, (12, 12))
    cores = cell_boxes(raster, [(0, 0, 2, 2), (11, 0), (5, 10, 2, 2)], core=[4, 7, 9])
    together = randomised_paths(raster, cores, theta=0.01)
    assert set(zip(together.costs.start, together.costs.end, strict=True)) == {
        (4, 7), (4, 9), (7, 4), (7, 9), (9, 4), (9, 7)
    }  # fmt: skip
    total = np.zeros(raster.size)
    for row in together.costs.itertuples():
        a, b = cores[cores.core == row.start], cores[cores.core == row.end]
        alone = randomised_paths(raster, a, b, theta=0.01)
        total += filled(alone.passages)
        assert row.expected_cost == pytest.approx(alone.expected_cost, rel=1e-10)
        assert row.free_energy == pytest.approx(alone.costs.free_energy[0], rel=1e-10)
        assert row.movers == 1
    np.testing.assert_allclose(filled(together.passages), total, rtol=1e-9, atol=1e-12)


def test_quality_weights_pairs_by_the_product_of_sums_and_cells_by_their_share():
    raster = landscape(17, (6, 8), holes=0)
    quality = raster.copy(data=np.zeros(raster.shape))
    quality.values[0, 0:2], quality.values[5, 7] = (1.0, 3.0), 2.0
    found = randomised_paths(
        raster, cell_boxes(raster, [(0, 0, 1, 2)]), cell_boxes(raster, [(5, 7)]), quality, theta=0.01
    )
    affinity, cost = dense_graph(raster, "resistance", 8)
    movers = np.zeros(raster.size)
    movers[flat(raster, (0, 0), (0, 1))] = 2.0, 6.0
    passages, _, free, expected = dense_paths(affinity, cost, 0.01, movers, flat(raster, (5, 7)))
    np.testing.assert_allclose(filled(found.passages), passages, rtol=1e-9)
    row = found.costs.iloc[0]
    assert row.movers == pytest.approx(8.0)
    assert row.free_energy == pytest.approx(0.25 * free[0] + 0.75 * free[1], rel=1e-10)
    assert row.expected_cost == pytest.approx(0.25 * expected[0] + 0.75 * expected[1], rel=1e-10)


@pytest.mark.parametrize("theta", [0.01, 5.0])
def test_cells_behind_the_end_are_seen_only_by_those_who_go_around_it(theta):
    """An end across the only gap hides what lies behind it; an end beside a way does not."""
    values = np.ones((5, 9))
    values[[0, 1, 3, 4], 4] = np.nan
    raster = planar(values)
    found = randomised_paths(raster, cell_boxes(raster, [(2, 0)]), cell_boxes(raster, [(2, 4)]), theta=theta)
    assert (found.passages.values[:, 5:] == 0).all()
    assert np.isnan(found.passages.values[0, 4])
    values[0, 4] = 1.0
    open_way = planar(values)
    around = randomised_paths(open_way, cell_boxes(open_way, [(2, 0)]), cell_boxes(open_way, [(2, 4)]), theta=theta)
    affinity, cost = dense_graph(open_way, "resistance", 8)
    ends = flat(open_way, (2, 4))
    if theta < 1:
        expected = dense_paths(affinity, cost, theta, one_mover(open_way, (2, 0)), ends)[0]
        np.testing.assert_allclose(filled(around.passages), expected, rtol=1e-9, atol=1e-13)


def test_units_of_theta_are_per_metre_of_cost_whatever_the_cells():
    """Cells of 50 m with resistance 2 cost as much as cells of 100 m with resistance 1."""
    small, large = planar(np.full((6, 8), 2.0), cell_m=50), planar(np.ones((6, 8)), cell_m=100)
    one, other = (
        randomised_paths(r, cell_boxes(r, [(0, 0)]), cell_boxes(r, [(5, 7)]), theta=0.01) for r in (small, large)
    )
    np.testing.assert_allclose(one.passages, other.passages, rtol=1e-10)
    pd.testing.assert_frame_equal(one.costs, other.costs, rtol=1e-10)
    assert one.passages.attrs["units"] == "visits"


def test_on_a_geographic_grid_costs_are_geodesic():
    raster = degrees(np.ones((1, 30)), west=10, north=60.5, step=1.0)
    found = randomised_paths(raster, cell_boxes(raster, [(0, 0)]), cell_boxes(raster, [(0, 29)]), theta=1.0)
    step = Geod(ellps="WGS84").inv(0, 60, 1, 60)[2]
    assert found.expected_cost == pytest.approx(29 * step, rel=1e-9)


def test_a_globe_is_not_crossed_at_its_seam(monkeypatch):
    raster = degrees(np.ones((3, 36)), west=-180, north=15, step=10.0)
    found = randomised_paths(raster, cell_boxes(raster, [(1, 0)]), cell_boxes(raster, [(1, 35)]), theta=1e-3)
    step = Geod(ellps="WGS84").inv(0, 0, 10, 0)[2]
    assert found.costs.least_cost[0] == pytest.approx(35 * step, rel=0.03)


def test_a_theta_that_neither_solver_can_do_is_refused_with_the_largest_that_works(monkeypatch):
    monkeypatch.setattr(_walks, "SWEEPS", 0)
    raster = landscape(1, (40, 40))
    places = cell_boxes(raster, [(0, 0)]), cell_boxes(raster, [(39, 39)])
    with pytest.raises(LinkwaysError, match=r"theta 0.5 is too large .* largest theta that works .* about") as refused:
        randomised_paths(raster, *places, theta=0.5)
    largest = float(str(refused.value).split("about ")[1].split()[0])
    randomised_paths(raster, *places, theta=largest * 0.95)
    with pytest.raises(LinkwaysError, match="too large"):
        randomised_paths(raster, *places, theta=largest * 1.5)


@pytest.mark.parametrize("theta", [1e9, math.inf])
def test_a_theta_beyond_float64_is_refused_with_one_that_works(theta):
    raster = landscape(1, (20, 20))
    places = cell_boxes(raster, [(0, 0)]), cell_boxes(raster, [(19, 19)])
    with pytest.raises(LinkwaysError, match="or a theta up to") as refused:
        randomised_paths(raster, *places, theta=theta)
    largest = float(str(refused.value).split("up to ")[1].split()[0])
    found = randomised_paths(raster, *places, theta=largest * 0.9)
    assert found.expected_cost == pytest.approx(corridors.least_cost_path(raster, *places).cost[0], rel=1e-6)
    assert found.passages.values[19, 19] == pytest.approx(1.0, rel=1e-5)


def test_what_cannot_be_is_refused_in_one_sentence():
    values = np.ones((5, 9))
    values[:, 4] = np.nan
    cut = planar(values)
    a, b = cell_boxes(cut, [(2, 0)]), cell_boxes(cut, [(2, 8)])
    raster = planar(np.ones((5, 9)))
    quality = raster.copy(data=np.zeros(raster.shape))
    cases = [
        (lambda: randomised_paths(raster, a, b, theta=0.0), "theta is 0 per cost-metre but must be > 0"),
        (lambda: randomised_paths(raster, a, b, theta=-1.0), "theta is -1"),
        (lambda: randomised_paths(cut, a, b, theta=1.0), "end 1 cannot be reached from start 1"),
        (lambda: randomised_paths(cut, cell_boxes(cut, [(2, 4)]), b, theta=1.0), "start 1 lie entirely on nodata"),
        (lambda: randomised_paths(raster, a, theta=1.0), "start holds one feature"),
        (lambda: randomised_paths(raster, a, a, theta=1.0), "start 1 and end 1 share 1 cells"),
        (lambda: randomised_paths(raster, a, b, quality, theta=1.0), "no cell with quality above 0"),
        (lambda: randomised_paths(raster, a, b, quality - 1, theta=1.0), "45 cells that are negative or infinite"),
    ]
    for call, words in cases:
        with pytest.raises(LinkwaysError, match=words):
            call()


def test_cells_of_a_start_that_cannot_reach_the_end_send_no_one():
    values = np.ones((5, 9))
    values[1, :5] = values[0, 4] = np.nan
    raster = planar(values)
    found = randomised_paths(raster, cell_boxes(raster, [(0, 0, 3, 1)]), cell_boxes(raster, [(2, 8)]), theta=1.0)
    assert found.costs.movers[0] == 1
    assert found.passages.values[2, 0] == pytest.approx(1.0, rel=1e-6)
    assert (found.passages.values[0, :4] == 0).all()


# --- absorbing walks -------------------------------------------------------------------------------------------


def chain_inputs(seed: int, shape=(6, 8), settled: bool = False):
    rng = np.random.default_rng(seed)
    raster = landscape(seed, shape, holes=0.15)
    absorption = raster.copy(data=rng.uniform(0, 0.3, shape) * (rng.random(shape) < 0.5))
    absorption.values[0, 0] = 0.1
    fidelity = raster.copy(data=rng.uniform(0, 0.6, shape))
    if settled:
        absorption.values[1, 0], fidelity.values[1, 0] = 1.0, 0.0
        absorption.values[0, 3], fidelity.values[0, 3] = 0.25, 0.75
    animals = raster.copy(data=np.where(np.isfinite(raster.values), rng.uniform(0, 5, shape), np.nan))
    return raster, absorption, fidelity, animals


def dense_chain(raster, absorption, fidelity, average="resistance", neighbours=8):
    affinity, _ = dense_graph(raster, average, neighbours)
    kept = np.flatnonzero(np.isfinite(raster.values.ravel()))
    w = affinity[np.ix_(kept, kept)]
    dies, stays = absorption.values.ravel()[kept], fidelity.values.ravel()[kept].copy()
    alone = w.sum(axis=1) == 0
    stays[alone] = 1 - dies[alone]
    degree = np.where(alone, 1.0, w.sum(axis=1))
    return kept, (1 - dies - stays)[:, None] * w / degree[:, None] + np.diag(stays), dies


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("average", ["resistance", "conductance"])
@pytest.mark.parametrize(("seed", "settled"), [(1, False), (2, True)])
def test_survival_visits_and_mortality_equal_those_of_the_fundamental_matrix(seed, settled, average, neighbours):
    raster, absorption, fidelity, animals = chain_inputs(seed, settled=settled)
    absorption = absorption.where(absorption > 0, 0.001)
    fidelity = fidelity.where(absorption + fidelity <= 1, 1 - absorption)
    kept, q, dies = dense_chain(raster, absorption, fidelity, average, neighbours)
    fundamental = np.linalg.inv(np.eye(len(kept)) - q)
    psi = animals.values.ravel()[kept]
    found = absorbing_walk(raster, absorption, fidelity, animals, average=average, neighbours=neighbours)
    np.testing.assert_allclose(found.survival.values.ravel()[kept], fundamental.sum(axis=1), rtol=1e-10)
    np.testing.assert_allclose(found.visits.values.ravel()[kept], psi @ fundamental, rtol=1e-10)
    np.testing.assert_allclose(found.mortality.values.ravel()[kept], (psi @ fundamental) * dies, rtol=1e-10)
    assert found.life_expectancy == pytest.approx(psi @ fundamental.sum(axis=1) / psi.sum(), rel=1e-10)
    assert found.animals == pytest.approx(psi.sum())
    assert np.isnan(found.survival.values.ravel()[np.isnan(raster.values.ravel())]).all()


def test_the_distribution_after_t_steps_is_the_power_of_the_matrix():
    raster, absorption, fidelity, animals = chain_inputs(4)
    kept, q, dies = dense_chain(raster, absorption, fidelity)
    psi = animals.values.ravel()[kept]
    found = absorbing_walk(raster, absorption, fidelity, animals, steps=[50, 0, 1, 7, 7])
    assert list(found.distribution.step.values) == [0, 1, 7, 50]
    dead_by = {t: sum(psi @ np.linalg.matrix_power(q, k) @ dies for k in range(t)) for t in (0, 1, 7, 50)}
    for t in (0, 1, 7, 50):
        ours = found.distribution.sel(step=t).values.ravel()[kept]
        np.testing.assert_allclose(ours, psi @ np.linalg.matrix_power(q, t), rtol=1e-10, atol=1e-14)
    assert list(found.fate.dead) == pytest.approx(list(dead_by.values()), rel=1e-10)


def test_survival_lies_within_the_error_of_simulated_animals():
    raster, absorption, fidelity, _ = chain_inputs(8, (5, 6))
    absorption = absorption.where(absorption > 0, 0.02)
    kept, q, _ = dense_chain(raster, absorption, fidelity)
    rng = np.random.default_rng(20)
    bounds = np.cumsum(q, axis=1)
    start, count = 0, 20_000
    where, alive, age = np.full(count, start), np.ones(count, bool), np.zeros(count)
    died_at = np.zeros(len(kept))
    while alive.any():
        age[alive] += 1
        draw = rng.random(int(alive.sum()))
        nextto = (draw[:, None] >= bounds[where[alive]]).sum(axis=1)
        index = np.flatnonzero(alive)
        gone = nextto == len(kept)
        np.add.at(died_at, where[index[gone]], 1)
        where[index[~gone]] = nextto[~gone]
        alive[index[gone]] = False
    animals = raster.copy(data=np.zeros(raster.shape))
    animals.values.ravel()[kept[start]] = 1.0
    found = absorbing_walk(raster, absorption, fidelity, animals)
    error = age.std(ddof=1) / math.sqrt(count)
    assert abs(found.survival.values.ravel()[kept[start]] - age.mean()) < 3 * error
    share = found.mortality.values.ravel()[kept]
    assert (np.abs(died_at / count - share) < 4 * np.sqrt(share * (1 - share) / count) + 1e-12).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), log_risk=st.floats(-12, 0), steps=st.integers(0, 40))
def test_all_animals_die_in_the_end_and_the_living_and_dead_add_up(seed, log_risk, steps):
    raster, absorption, fidelity, animals = chain_inputs(seed)
    risk = (absorption.where(absorption > 0, 0.05) * 10**log_risk).fillna(0.01)
    found = absorbing_walk(raster, risk, fidelity, animals, steps=[steps])
    total = np.nansum(animals.values)
    assert float(found.mortality.sum()) == pytest.approx(total, rel=1e-9)
    row = found.fate.iloc[0]
    assert row.alive + row.dead == pytest.approx(total, rel=1e-9)
    # time lived by all animals, counted by where they live and by where they start
    assert float(found.visits.sum()) == pytest.approx(float((animals * found.survival).sum()), rel=1e-9)


@pytest.mark.parametrize("risk", [0.5, 1e-3, 1e-9, 1e-15])
def test_the_same_risk_everywhere_gives_a_life_of_one_over_it(risk):
    raster = landscape(3, (20, 20))
    found = absorbing_walk(raster, raster.copy(data=np.full(raster.shape, risk)))
    np.testing.assert_allclose(filled(found.survival)[np.isfinite(raster.values.ravel())], 1 / risk, rtol=1e-10)
    assert found.life_expectancy == pytest.approx(1 / risk, rel=1e-10)
    assert found.survival.attrs["units"] == "steps"


def test_without_fidelity_visits_of_a_long_lived_animal_follow_the_sums_of_conductance():
    """The stationary distribution of a reversible walk is proportional to d_i."""
    raster = landscape(6, (8, 8))
    affinity, _ = dense_graph(raster, "resistance", 8)
    found = absorbing_walk(raster, raster.copy(data=np.full(raster.shape, 1e-12)))
    kept = affinity.sum(axis=1) > 0
    kept &= np.isfinite(raster.values.ravel())
    groups = corridors.cost_distance(raster, cell_boxes(raster, [(0, 0)])).cost.values.ravel()
    kept &= np.isfinite(groups)
    degree, visits = affinity.sum(axis=1)[kept], found.visits.values.ravel()[kept]
    np.testing.assert_allclose(visits / visits.sum(), degree / degree.sum(), rtol=1e-8)


def test_a_cell_without_passable_neighbours_keeps_its_animals_until_they_die():
    values = np.full((5, 5), np.nan)
    values[2, 2], values[:, 0] = 1.0, 1.0
    raster = planar(values)
    risk = raster.copy(data=np.full((5, 5), 0.2))
    animals = raster.copy(data=np.zeros((5, 5)))
    animals.values[2, 2] = 3.0
    found = absorbing_walk(raster, risk, sources=animals, steps=[2])
    assert found.survival.values[2, 2] == pytest.approx(5.0)
    assert found.visits.values[2, 2] == pytest.approx(15.0)
    assert found.distribution.values[0, 2, 2] == pytest.approx(3 * 0.64)
    assert found.mortality.values[2, 2] == pytest.approx(3.0)


def test_without_steps_there_is_no_distribution():
    raster = landscape(2)
    found = absorbing_walk(raster, raster.copy(data=np.full(raster.shape, 0.1)))
    assert found.distribution is None
    assert list(found.fate.columns) == ["step", "alive", "dead"]
    assert len(found.fate) == 0
    assert found.animals == pytest.approx(1.0)


def test_impossible_chains_are_refused_in_one_sentence():
    values = np.ones((4, 6))
    values[:, 3] = np.nan
    raster = planar(values)

    def layer(value, *cells, default=0.0):  # fmt: skip
        out = raster.copy(data=np.full((4, 6), default))
        for cell in cells:
            out.values[cell] = value
        return out

    some = layer(0, default=0.1)
    cases = [
        (lambda: absorbing_walk(raster, layer(1.5, (1, 2), default=0.1)), "absorption must lie from 0 to 1.*row 1"),
        (lambda: absorbing_walk(raster, layer(-0.1, (1, 2), default=0.1)), "absorption must lie from 0 to 1"),
        (lambda: absorbing_walk(raster, some, layer(2.0, (0, 1))), "fidelity must lie from 0 to 1"),
        (lambda: absorbing_walk(raster, some, layer(0.95, (3, 5))), "sum to more than 1 in 1 cells.*row 3 column 5"),
        (lambda: absorbing_walk(raster, layer(0.0)), "live for ever in 20 cells, first at row 0 column 0"),
        (lambda: absorbing_walk(raster, layer(0.1, (0, 0))), "live for ever in 8 cells, first at row 0 column 4"),
        (lambda: absorbing_walk(raster, layer(0.1, (0, 0), (0, 5)), layer(1.0, (2, 2))), "live for ever in"),
        (lambda: absorbing_walk(raster, layer(np.nan, (2, 1), default=0.1)), "absorption is nodata in 1 passable"),
        (lambda: absorbing_walk(raster, some, sources=layer(1.0, (0, 3))), "animals on nodata.*row 0 column 3"),
        (lambda: absorbing_walk(raster, some, sources=layer(-1.0, (0, 2))), "negative or infinite"),
        (lambda: absorbing_walk(raster, some, sources=layer(0.0)), "no cell above 0"),
        (lambda: absorbing_walk(raster, some, steps=[-1]), "steps is -1"),
    ]
    for call, words in cases:
        with pytest.raises(LinkwaysError, match=words):
            call()
