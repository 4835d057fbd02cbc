"""The accumulated-cost kernel against explicit graphs, other libraries and answers known beforehand."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from skimage.graph import MCP_Geometric

from linkways.kernels.cost_distance import (
    COLUMN_STEPS,
    NOT_REACHED,
    ROW_STEPS,
    SOURCE,
    cost_field,
    cost_field_on_grid,
    prepare,
    trace_path,
)


def planar(rows, cellsize=1.0):
    """The step lengths of a grid with square cells."""
    return (
        np.full(rows, cellsize),
        np.full(max(rows - 1, 0), cellsize),
        np.full(max(rows - 1, 0), cellsize * np.sqrt(2)),
    )


def edges_of(resistance, steps, neighbours, wraps):
    """Every edge of the raster graph as (cell, cell, direction, cost), written out one by one."""
    rows, cols = resistance.shape
    east_west, north_south, diagonal = steps
    edges = []
    for i in range(rows):
        for j in range(cols):
            for k in range(neighbours):
                y, x = i + ROW_STEPS[k], j + COLUMN_STEPS[k]
                if wraps:
                    x %= cols
                if not (0 <= y < rows and 0 <= x < cols) or np.isnan(resistance[i, j] + resistance[y, x]):
                    continue
                if y == i:
                    step = east_west[i]
                elif COLUMN_STEPS[k] == 0:
                    step = north_south[min(i, y)]
                else:
                    step = diagonal[min(i, y)]
                cost = step * (resistance[i, j] + resistance[y, x]) / 2
                edges.append((i * cols + j, y * cols + x, k, cost))
    return edges


def reference_distances(resistance, edges, cells):
    """Distances from each of the cells over the written-out graph, by scipy."""
    least = {}
    for a, b, _, cost in edges:
        if a != b:
            least[a, b] = min(cost, least.get((a, b), np.inf))
    a, b = np.array(list(least), dtype=int).reshape(-1, 2).T
    graph = coo_array((np.array(list(least.values())), (a, b)), shape=(resistance.size, resistance.size))
    distances = np.full((len(cells), resistance.size), np.inf)
    for n, cell in enumerate(cells):
        if np.isfinite(resistance.flat[cell]):
            distances[n] = dijkstra(graph.tocsr(), indices=cell) if a.size else np.inf
            distances[n, cell] = 0.0
    return distances


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, cols = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    kind = draw(st.sampled_from(["real", "whole", "extreme"]))
    if kind == "real":
        resistance = rng.uniform(1, 100, (rows, cols))
    elif kind == "whole":  # many equal costs
        resistance = rng.integers(1, 4, (rows, cols)).astype(float)
    else:
        resistance = 10.0 ** rng.uniform(-3, 6, (rows, cols))
    resistance[rng.random((rows, cols)) < draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))] = np.nan
    if kind == "whole":  # lengths whose sums are exact, so that equal costs are equal to the last bit
        steps = tuple(rng.integers(1, 4, n) * 2.0 for n in (rows, rows - 1, rows - 1))
    else:
        steps = tuple(rng.uniform(0.5, 40, n) for n in (rows, rows - 1, rows - 1))
    count = draw(st.integers(1, 6))
    return {
        "resistance": resistance,
        "steps": steps,
        "cells": rng.integers(0, rows * cols, count),
        "labels": rng.integers(0, 4, count).astype(np.int32),
        "neighbours": draw(st.sampled_from([4, 8])),
        "wraps": draw(st.booleans()),
        "max_cost": draw(st.sampled_from([np.inf, np.inf, 10.0, 100.0, 1000.0])),
        "whole": kind == "whole",
    }


def solve(problem, queue="auto", **options):
    grid = prepare(problem["resistance"], *problem["steps"], neighbours=problem["neighbours"], wraps=problem["wraps"])
    options = {"max_cost": problem["max_cost"], **options}
    return cost_field_on_grid(grid, problem["cells"], problem["labels"], queue=queue, **options)


def assert_directions_lead_home(problem, field):
    """Following the directions costs the distance and reaches a source of the allocated label."""
    resistance, cols = problem["resistance"], problem["resistance"].shape[1]
    edges = {
        (a, k): (b, cost)
        for a, b, k, cost in edges_of(resistance, problem["steps"], problem["neighbours"], problem["wraps"])
    }
    distance, direction = field.distance.ravel(), field.direction.ravel()
    for cell in range(resistance.size):
        path = trace_path(field.direction, cell, wraps=problem["wraps"])
        if direction[cell] == NOT_REACHED:
            assert path.size == 0
            assert distance[cell] == np.inf
            assert field.allocation.flat[cell] == -1
            continue
        assert path[0] == cell
        assert direction[path[-1]] == SOURCE
        total = 0.0
        for here, there in pairwise(path):
            expected, cost = edges[int(here), int(direction[here])]
            assert there == expected
            total += cost
        assert total == pytest.approx(distance[cell], rel=1e-12)
        home = problem["labels"][problem["cells"] == path[-1]]
        assert field.allocation.flat[cell] == home.min()
    assert field.direction.shape == field.distance.shape == (resistance.shape[0], cols)


@settings(max_examples=250, deadline=None)
@given(problems(), st.sampled_from(["bucket", "heap"]))
def test_costs_labels_and_directions_agree_with_the_written_out_graph(problem, queue):
    edges = edges_of(problem["resistance"], problem["steps"], problem["neighbours"], problem["wraps"])
    each = reference_distances(problem["resistance"], edges, problem["cells"])
    expected = each.min(axis=0)
    # Whole numbers add up exactly, so that a cost equal to the limit is reached for certain.
    limit = problem["max_cost"] * (1 if problem["whole"] else 1 + 1e-12)
    expected[expected > limit] = np.inf

    field = solve(problem, queue)

    np.testing.assert_allclose(field.distance.ravel(), expected, rtol=1e-12)
    reached = np.isfinite(expected)
    labels = np.where(each <= expected * (1 + 1e-12), problem["labels"][:, None], 99).min(axis=0)
    np.testing.assert_array_equal(field.allocation.ravel(), np.where(reached, labels, -1))
    np.testing.assert_array_equal(field.direction.ravel() == SOURCE, reached & (expected == 0))
    assert_directions_lead_home(problem, field)


@settings(max_examples=100, deadline=None)
@given(problems())
def test_both_queues_agree_to_the_last_bit(problem):
    bucket, heap = solve(problem, "bucket"), solve(problem, "heap")
    np.testing.assert_array_equal(bucket.distance, heap.distance)
    np.testing.assert_array_equal(bucket.allocation, heap.allocation)
    np.testing.assert_array_equal(bucket.direction, heap.direction)


@settings(max_examples=100, deadline=None)
@given(problems(), st.data(), st.sampled_from(["bucket", "heap"]))
def test_a_search_that_stops_at_targets_is_exact_where_it_went(problem, data, queue):
    size = problem["resistance"].size
    targets = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=3)))
    whole, stopped = solve(problem), solve(problem, queue, targets=targets)
    settled = np.isfinite(stopped.distance)
    np.testing.assert_array_equal(settled.ravel()[targets], np.isfinite(whole.distance.ravel()[targets]))
    for name in ("distance", "allocation", "direction"):
        np.testing.assert_array_equal(getattr(stopped, name)[settled], getattr(whole, name)[settled])
    assert (stopped.allocation[~settled] == -1).all()
    assert (stopped.direction[~settled] == NOT_REACHED).all()


@settings(max_examples=40, deadline=None)
@given(problems(), st.data())
def test_the_cost_from_a_to_b_is_the_cost_from_b_to_a(problem, data):
    a, b = (data.draw(st.integers(0, problem["resistance"].size - 1)) for _ in range(2))
    if np.isnan(problem["resistance"].flat[[a, b]]).any():
        return
    one = np.zeros(1, np.int32)
    options = {"neighbours": problem["neighbours"], "wraps": problem["wraps"]}
    there = cost_field(problem["resistance"], np.array([a]), one, *problem["steps"], **options).distance.flat[b]
    back = cost_field(problem["resistance"], np.array([b]), one, *problem["steps"], **options).distance.flat[a]
    assert there == pytest.approx(back, rel=1e-12)


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("spread", [2.0, 100.0, 1e6])
def test_planar_grids_agree_with_skimage(neighbours, spread):
    rng = np.random.default_rng(7)
    resistance = np.exp(rng.uniform(0, np.log(spread), (140, 110)))
    resistance[rng.random(resistance.shape) < 0.15] = np.nan
    resistance[[3, 100], [5, 90]] = 1.0
    search = MCP_Geometric(np.where(np.isnan(resistance), -1, resistance), fully_connected=neighbours == 8)
    expected, _ = search.find_costs([(3, 5), (100, 90)])
    cells = np.array([3 * 110 + 5, 100 * 110 + 90])
    field = cost_field(resistance, cells, np.array([4, 2], np.int32), *planar(140), neighbours=neighbours)
    expected[np.isnan(resistance)] = np.inf
    np.testing.assert_allclose(field.distance, expected, rtol=1e-9)
    assert 0 < np.isfinite(field.distance).mean() < 1


def test_on_a_uniform_grid_costs_are_octile_distances():
    resistance = np.full((31, 47), 3.0)
    field = cost_field(resistance, np.array([10 * 47 + 20]), np.zeros(1, np.int32), *planar(31, 30.0))
    down, right = abs(np.arange(31) - 10)[:, None], abs(np.arange(47) - 20)[None, :]
    octile = np.maximum(down, right) + (np.sqrt(2) - 1) * np.minimum(down, right)
    np.testing.assert_allclose(field.distance, 3.0 * 30.0 * octile, rtol=1e-13)
    assert (field.allocation == 0).all()


def test_with_four_neighbours_on_a_uniform_grid_costs_are_city_block_distances():
    field = cost_field(np.ones((9, 12)), np.array([0]), np.zeros(1, np.int32), *planar(9), neighbours=4)
    np.testing.assert_array_equal(field.distance, np.add.outer(np.arange(9), np.arange(12)))


def test_a_path_passes_the_one_gap_in_a_wall():
    resistance = np.ones((20, 21))
    resistance[:, 10] = np.nan
    resistance[17, 10] = 1.0
    field = cost_field(resistance, np.array([2 * 21 + 3]), np.zeros(1, np.int32), *planar(20))
    path = trace_path(field.direction, 2 * 21 + 17)
    assert 17 * 21 + 10 in path
    # seven columns and fifteen rows to the gap and the same back
    assert field.distance[2, 17] == pytest.approx(2 * (8 + 7 * np.sqrt(2)), rel=1e-13)
    resistance[17, 10] = np.nan
    closed = cost_field(resistance, np.array([2 * 21 + 3]), np.zeros(1, np.int32), *planar(20))
    assert np.isinf(closed.distance[:, 10:]).all()
    assert np.isfinite(closed.distance[:, :10]).all()


@pytest.mark.parametrize("turn", [np.rot90, np.flipud, np.fliplr, np.transpose])
def test_turning_or_mirroring_the_raster_turns_or_mirrors_the_costs(turn):
    rng = np.random.default_rng(3)
    resistance = rng.lognormal(2, 1, (40, 53))
    resistance[rng.random(resistance.shape) < 0.2] = np.nan
    resistance[11, 30] = 2.0
    marks = np.zeros(resistance.shape, bool)
    marks[11, 30] = True
    turned = np.ascontiguousarray(turn(resistance))
    plain = cost_field(resistance, np.flatnonzero(marks), np.zeros(1, np.int32), *planar(40))
    other = cost_field(turned, np.flatnonzero(turn(marks)), np.zeros(1, np.int32), *planar(turned.shape[0]))
    np.testing.assert_allclose(other.distance, turn(plain.distance), rtol=1e-13)


def test_the_smallest_label_wins_where_two_sources_are_equally_near_whatever_their_order():
    for cells, labels in (([0, 8], [5, 3]), ([8, 0], [3, 5])):
        field = cost_field(np.ones((1, 9)), np.array(cells), np.array(labels, np.int32), *planar(1))
        np.testing.assert_array_equal(field.allocation, [[5, 5, 5, 5, 3, 3, 3, 3, 3]])
        np.testing.assert_array_equal(field.direction, [[SOURCE, 1, 1, 1, 2, 2, 2, 2, SOURCE]])


def test_a_cell_that_is_a_source_of_two_labels_has_the_smaller_one():
    field = cost_field(np.ones((2, 2)), np.array([3, 3]), np.array([7, 2], np.int32), *planar(2))
    assert (field.allocation == 2).all()


def test_a_grid_around_the_globe_is_crossed_at_the_seam():
    resistance = np.ones((3, 100))
    field = cost_field(resistance, np.array([100 + 2]), np.zeros(1, np.int32), *planar(3), wraps=True)
    np.testing.assert_array_equal(field.distance[1], np.minimum(abs(np.arange(100) - 2), 102 - np.arange(100)))
    np.testing.assert_array_equal(trace_path(field.direction, 198, wraps=True), [198, 199, 100, 101, 102])


def test_cells_beyond_the_greatest_cost_are_not_reached_and_cells_at_it_are():
    field = cost_field(np.ones((1, 10)), np.array([0]), np.zeros(1, np.int32), *planar(1), max_cost=4.0)
    np.testing.assert_array_equal(np.isfinite(field.distance[0]), np.arange(10) <= 4)
    np.testing.assert_array_equal(field.allocation[0], np.where(np.arange(10) <= 4, 0, -1))


def test_sources_on_nodata_are_skipped_and_a_raster_of_nodata_reaches_nothing():
    resistance = np.array([[np.nan, 1.0, 1.0]])
    field = cost_field(resistance, np.array([0, 2]), np.array([1, 2], np.int32), *planar(1))
    np.testing.assert_array_equal(field.distance, [[np.inf, 1.0, 0.0]])
    np.testing.assert_array_equal(field.allocation, [[-1, 2, 2]])
    empty = cost_field(np.full((4, 5), np.nan), np.array([3]), np.zeros(1, np.int32), *planar(4))
    assert np.isinf(empty.distance).all()
    assert (empty.direction == NOT_REACHED).all()


def test_no_sources_reach_nothing():
    field = cost_field(np.ones((3, 3)), np.empty(0, np.int64), np.empty(0, np.int32), *planar(3))
    assert np.isinf(field.distance).all()
    assert (field.allocation == -1).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1)])
def test_grids_of_one_row_or_column_are_sums_along_a_line(shape):
    resistance = np.random.default_rng(5).uniform(1, 9, shape)
    field = cost_field(resistance, np.array([0]), np.zeros(1, np.int32), *planar(shape[0], 10.0))
    line = resistance.ravel()
    expected = np.concatenate([[0.0], np.cumsum(10.0 * (line[:-1] + line[1:]) / 2)])
    np.testing.assert_allclose(field.distance.ravel(), expected, rtol=1e-13)


def test_one_large_source_costs_nothing_inside_and_the_straight_way_outside():
    resistance = np.ones((300, 400))
    core = np.zeros(resistance.shape, bool)
    core[:, :350] = True  # 105 000 cells, more than the queue starts with
    field = cost_field(resistance, np.flatnonzero(core), np.full(core.sum(), 6, np.int32), *planar(300))
    np.testing.assert_array_equal(field.distance, np.tile(np.maximum(np.arange(400) - 349.0, 0), (300, 1)))


def test_a_wide_range_of_resistance_takes_the_heap_and_a_narrow_one_the_buckets():
    """Along a line the cost is known whatever the range, and the grid records what the choice is made from."""
    line = np.ones((1, 4000))
    line[0, 2000] = 1e12
    field = cost_field(line, np.array([0]), np.zeros(1, np.int32), *planar(1))
    assert field.distance[0, 1999] == 1999.0
    assert field.distance[0, -1] == pytest.approx(1e12 + 3998.0, rel=1e-15)
    assert prepare(line, *planar(1)).costliest_edge / prepare(line, *planar(1)).bucket_width > 4094 * 4096
    line[0, 2000] = 1e6
    assert prepare(line, *planar(1)).costliest_edge / prepare(line, *planar(1)).bucket_width < 4094 * 4096


def test_edges_too_small_to_change_the_cost_still_lead_home():
    """Beyond the wall 1e-9 is lost in the rounding of 1e12, and a whole plateau has one cost."""
    resistance = np.full((12, 30), 1e-9)
    resistance[:, 10] = 1e12
    grid = prepare(resistance, *planar(12))
    for queue in ("bucket", "heap"):
        field = cost_field_on_grid(grid, np.array([0, 330]), np.array([1, 2], np.int32), queue=queue)
        assert len(np.unique(field.distance[:, 12:])) <= 2
        for cell in (29, 359, 200):
            path = trace_path(field.direction, cell)
            assert path[-1] in (0, 330)
            assert field.allocation.flat[cell] == {0: 1, 330: 2}[int(path[-1])]


def test_searches_in_several_threads_share_one_grid():
    rng = np.random.default_rng(11)
    grid = prepare(rng.lognormal(2, 1, (150, 160)), *planar(150))
    sources = rng.integers(0, 150 * 160, 8)

    def search(cell):
        return cost_field_on_grid(grid, np.array([cell]), np.zeros(1, np.int32)).distance

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(search, sources))
    for field, cell in zip(together, sources, strict=True):
        np.testing.assert_array_equal(field, search(cell))
    pairs = np.array([[field.flat[cell] for cell in sources] for field in together])
    np.testing.assert_allclose(pairs, pairs.T, rtol=1e-12)
