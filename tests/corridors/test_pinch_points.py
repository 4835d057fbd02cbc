import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.graph import MCP_Geometric

from linkways import LinkwaysError
from linkways.corridors.pinch_points import cut_of_least_width, pinch_points

from .conftest import cell_boxes, degrees, planar
from .dense_circuits import currents, effective_resistance, solved


def flat(raster, *boxes):
    """Flat cells of (row, column, height, width) boxes."""
    places = np.arange(raster.size).reshape(raster.shape)
    return [places[r : r + h, c : c + w].ravel() for r, c, h, w in boxes]


# --- the answer can be read off ------------------------------------------------------------------------------


def test_a_strip_has_a_single_way_and_its_resistance_is_its_cost():
    raster = planar([[1, 2, 7, 3, 1]], cell_m=50)
    found = pinch_points(raster, cell_boxes(raster, [(0, 0), (0, 4)]))
    link = found.links.iloc[0]
    assert link["cost"] == pytest.approx(50 * (1.5 + 4.5 + 5 + 2))
    assert link["effective_resistance"] == pytest.approx(link["cost"], rel=1e-9)
    assert link["redundancy"] == pytest.approx(1, rel=1e-9)
    np.testing.assert_allclose(found.current.values, [[0, 1, 1, 1, 0]], atol=1e-9)
    assert link["max_current"] == pytest.approx(1)


def test_two_equal_lanes_halve_the_resistance_and_share_the_current():
    values = np.full((3, 7), np.nan)
    values[0], values[2] = 4, 4
    values[:, 0] = values[:, -1] = 4
    raster = planar(values)
    found = pinch_points(raster, cell_boxes(raster, [(0, 0, 3, 1), (0, 6, 3, 1)]), neighbours=4)
    assert found.links["effective_resistance"].item() == pytest.approx(6 * 400 / 2, rel=1e-9)
    assert found.links["redundancy"].item() == pytest.approx(2, rel=1e-9)
    np.testing.assert_allclose(found.current.values[[0, 2], 1:-1], 0.5, atol=1e-9)


def test_the_waist_of_an_hourglass_is_the_pinch_point_and_the_minimum_cut():
    values = np.ones((7, 9))
    values[[0, 1, 2, 4, 5, 6], 4] = np.nan
    raster = planar(values, cell_m=30)
    found = pinch_points(raster, cell_boxes(raster, [(0, 0, 7, 1), (0, 8, 7, 1)]), cutoff_percent=500, minimum_cut=True)
    spot = found.pinch_points.iloc[0]
    assert (spot.geometry.x, spot.geometry.y) == (4.5 * 30, 3.5 * 30)
    assert spot["current"] == pytest.approx(1)
    assert found.links["min_cut_cells"].item() == 1
    assert found.links["min_cut_m"].item() == pytest.approx(30)


def test_cells_outside_the_corridor_are_empty_and_cores_are_zero():
    raster = planar(np.ones((9, 9)))
    found = pinch_points(raster, cell_boxes(raster, [(4, 0), (4, 8)]), cutoff=100)
    assert np.isnan(found.current.values[0, 0])
    assert found.current.values[4, 0] == found.current.values[4, 8] == 0
    assert (found.current.values[4, 1:-1] > 0).all()


def test_squared_resistances_draw_the_current_into_the_better_lane():
    values = np.full((3, 7), np.nan)
    values[0], values[2] = 2, 3
    values[:, 0] = values[:, -1] = 1
    raster = planar(values)
    cores = cell_boxes(raster, [(0, 0, 3, 1), (0, 6, 3, 1)])
    plain = pinch_points(raster, cores, neighbours=4, cutoff_percent=100)
    squared = pinch_points(raster, cores, neighbours=4, cutoff_percent=100, squared_resistance=True)
    lanes = np.array([4 * 4 + (4 + 1), 4 * 9 + (9 + 1)]) * 100.0
    assert squared.links["effective_resistance"].item() == pytest.approx(1 / (1 / lanes).sum(), rel=1e-9)
    assert np.isnan(squared.links["redundancy"].item())
    assert squared.current.values[0, 3] > plain.current.values[0, 3] > 0.5


def test_links_that_share_ground_show_the_larger_current():
    values = np.full((5, 9), np.nan)
    values[2] = 1
    values[:, 4] = 1
    raster = planar(values)
    found = pinch_points(raster, cell_boxes(raster, [(2, 0), (2, 8), (0, 4)]), rule="all_pairs", cutoff=1)
    np.testing.assert_allclose(found.current.values[2, 1:4], 1, atol=1e-9)


# --- against dense matrices ----------------------------------------------------------------------------------


def landscape(seed, shape=(9, 11)):
    rng = np.random.default_rng(seed)
    values = 10 ** rng.uniform(0, 2, shape)
    values[rng.random(shape) < 0.15] = np.nan
    values[0, :] = values[:, -1] = values[-1, :] = 30.0
    return values


def corridor_by_hand(values, one, two, cell_m, cutoff, neighbours=8):
    """Cells within the cutoff, by scikit-image's cost distances."""
    costs = np.where(np.isnan(values), -1.0, values)
    fields = [
        MCP_Geometric(costs, fully_connected=neighbours == 8).find_costs(
            [divmod(int(c), values.shape[1]) for c in cells]
        )[0]
        * cell_m
        for cells in (one, two)
    ]
    least = fields[0].ravel()[two].min()
    return fields[0] + fields[1] - least <= cutoff * (1 + 1e-12), least


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.05, 2),
    average=st.sampled_from(["resistance", "conductance"]),
    neighbours=st.sampled_from([4, 8]),
)
def test_current_and_resistance_are_those_of_dense_matrices_on_the_corridor(seed, share, average, neighbours):
    values = landscape(seed)
    raster = planar(values, cell_m=20)
    boxes = [(0, 0, 1, 2), (8, 9, 1, 2)]
    one, two = flat(raster, *boxes)
    _, least = corridor_by_hand(values, one, two, 20, 0.0, neighbours)
    inside, _ = corridor_by_hand(values, one, two, 20, share * least, neighbours)
    found = pinch_points(
        raster, cell_boxes(raster, boxes), cutoff=share * least, average=average, neighbours=neighbours
    )
    clipped = np.where(inside, values, np.nan)
    groups = [np.array([c for c in cells if inside.ravel()[c]]) for cells in (one, two)]
    options = {"cell_m": 20, "average": average, "neighbours": neighbours}
    voltage = solved(clipped, groups, [1.0, -1.0], **options)
    expected = currents(clipped, voltage, **options)
    expected.ravel()[np.concatenate(groups)] = 0
    np.testing.assert_array_equal(np.isfinite(found.current.values), inside)
    np.testing.assert_allclose(found.current.values[inside], expected[inside], atol=1e-7)
    link = found.links.iloc[0]
    drop = voltage.ravel()[groups[0][0]] - voltage.ravel()[groups[1][0]]
    assert link["effective_resistance"] == pytest.approx(drop, rel=1e-8)
    assert link["max_current"] == pytest.approx(expected[inside].max(), abs=1e-7)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_many_ways_never_resist_more_than_the_best_and_a_wider_corridor_never_more_than_a_narrow_one(seed):
    raster = planar(landscape(seed))
    cores = cell_boxes(raster, [(0, 0), (8, 10), (8, 0)])
    narrow = pinch_points(raster, cores, rule="all_pairs", cutoff_percent=5).links
    wide = pinch_points(raster, cores, rule="all_pairs", cutoff_percent=50).links
    assert (narrow["redundancy"] >= 1 - 1e-9).all()
    assert (wide["effective_resistance"] <= narrow["effective_resistance"] * (1 + 1e-9)).all()
    assert (narrow["max_current"] <= 1 + 1e-7).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_pairs_sum_the_currents_of_every_two_cores_on_all_corridors(seed):
    values = landscape(seed)
    raster = planar(values, cell_m=20)
    boxes = [(0, 0, 1, 2), (8, 9, 1, 2), (8, 0, 1, 1)]
    groups = flat(raster, *boxes)
    found = pinch_points(raster, cell_boxes(raster, boxes), mode="all_pairs", rule="all_pairs", cutoff_percent=30)
    clipped = np.where(np.isfinite(found.current.values), values, np.nan)
    groups = [np.array([c for c in g if np.isfinite(clipped.ravel()[c])]) for g in groups]
    total = np.zeros(values.shape)
    for s, t in ((0, 1), (0, 2), (1, 2)):
        voltage = solved(clipped, [groups[s], groups[t]], [1.0, -1.0], cell_m=20)
        part = currents(clipped, voltage, cell_m=20)
        part.ravel()[np.concatenate([groups[s], groups[t]])] = 0
        total += part
        row = found.links[(found.links["core_a"] == s + 1) & (found.links["core_b"] == t + 1)].iloc[0]
        expected = effective_resistance(clipped, groups[s], groups[t], cell_m=20)
        assert row["effective_resistance"] == pytest.approx(expected, rel=1e-8)
    known = np.isfinite(clipped)
    np.testing.assert_allclose(found.current.values[known], total[known], atol=1e-7)


@pytest.mark.parametrize("seed", [4, 5])
def test_all_to_one_sums_the_currents_from_all_cores_to_each(seed):
    values = landscape(seed)
    raster = planar(values, cell_m=20)
    boxes = [(0, 0, 1, 2), (8, 9, 1, 2), (8, 0, 1, 1)]
    found = pinch_points(raster, cell_boxes(raster, boxes), mode="all_to_one", rule="all_pairs", cutoff_percent=30)
    clipped = np.where(np.isfinite(found.current.values), values, np.nan)
    groups = [np.array([c for c in g if np.isfinite(clipped.ravel()[c])]) for g in flat(raster, *boxes)]
    total = np.zeros(values.shape)
    for ground in range(3):
        amperes = [1.0 if n != ground else -2.0 for n in range(3)]
        total += currents(clipped, solved(clipped, groups, amperes, cell_m=20), cell_m=20)
    total.ravel()[np.concatenate(groups)] = 0
    known = np.isfinite(clipped)
    np.testing.assert_allclose(found.current.values[known], total[known], atol=1e-7)


# --- the minimum cut -----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), neighbours=st.sampled_from([4, 8]))
def test_the_minimum_cut_is_that_of_networkx(seed, neighbours):
    rng = np.random.default_rng(seed)
    inside = rng.random((6, 9)) < 0.8
    inside[:, [0, -1]] = True
    places = np.arange(inside.size).reshape(inside.shape)
    graph = nx.Graph()
    for row, column in np.argwhere(inside):
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1))[: 2 if neighbours == 4 else 4]:
            k, m = row + down, column + right
            if k < 6 and 0 <= m < 9 and inside[k, m]:
                graph.add_edge(int(places[row, column]), int(places[k, m]))
    for cells, name in ((places[:, 0], "west"), (places[:, -1], "east")):
        for cell in cells.tolist():
            graph = nx.contracted_nodes(graph, name, cell, self_loops=False) if name in graph else (
                nx.relabel_nodes(graph, {cell: name})
            )  # fmt: skip
    expected = nx.node_connectivity(graph, "west", "east") if nx.has_path(graph, "west", "east") else 0
    cells, metres = cut_of_least_width(inside, places[:, 0], places[:, -1], np.full(6, 25.0), neighbours)
    assert cells == expected
    assert metres == pytest.approx(25 * expected)


def test_where_rows_differ_in_width_the_cut_prefers_narrow_cells():
    # two ways, each in its own row and through one row of narrow cells
    inside = np.ones((1, 5), bool)
    assert cut_of_least_width(inside, np.array([0]), np.array([4]), np.array([40.0]), 8) == (1, 40)
    inside = np.ones((3, 3), bool)
    inside[1, :] = False
    cells, metres = cut_of_least_width(inside, np.array([0, 6]), np.array([2, 8]), np.array([40.0, 30.0, 20.0]), 8)
    assert (cells, metres) == (2, pytest.approx(60))


def test_cores_that_touch_cannot_be_severed():
    raster = planar(np.ones((3, 4)))
    found = pinch_points(raster, cell_boxes(raster, [(0, 0, 3, 2), (0, 2, 3, 2)]), minimum_cut=True)
    assert np.isnan(found.links["min_cut_cells"].item())
    assert found.links["max_current"].item() == 0


# --- grids ---------------------------------------------------------------------------------------------------


def test_a_corridor_across_the_seam_of_the_globe_is_that_of_the_turned_globe():
    values = np.random.default_rng(7).uniform(1, 9, (6, 24))
    turned = np.roll(values, 12, axis=1)
    seam = degrees(values, west=-180, north=50, step=15)
    middle = degrees(turned, west=-180, north=50, step=15)
    at_seam = pinch_points(seam, cell_boxes(seam, [(2, 21), (3, 2)]))
    in_middle = pinch_points(middle, cell_boxes(middle, [(2, 9), (3, 14)]))
    np.testing.assert_allclose(np.roll(at_seam.current.values, 12, axis=1), in_middle.current.values, atol=1e-9)
    assert at_seam.links["effective_resistance"].item() == pytest.approx(
        in_middle.links["effective_resistance"].item(), rel=1e-9
    )
    assert at_seam.links["redundancy"].item() >= 1


# --- refusals ------------------------------------------------------------------------------------------------


def test_two_cutoffs_are_refused():
    raster = planar(np.ones((3, 5)))
    with pytest.raises(LinkwaysError, match="cutoff and cutoff_percent are given together"):
        pinch_points(raster, cell_boxes(raster, [(1, 0), (1, 4)]), cutoff=10, cutoff_percent=10)


def test_cores_that_cannot_reach_each_other_are_refused():
    values = np.ones((3, 5))
    values[:, 2] = np.nan
    raster = planar(values)
    with pytest.raises(LinkwaysError, match="cannot reach"):
        pinch_points(raster, cell_boxes(raster, [(1, 0), (1, 4)]))
