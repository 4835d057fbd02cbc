import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from linkways import LinkwaysError, corridors

from .conftest import cell_boxes, degrees, planar

ROOT2 = math.sqrt(2)


def two_cores(raster, first=(0, 0), second=None):
    rows, columns = raster.shape
    return cell_boxes(raster, [first, second or (rows - 1, columns - 1)])


def random_landscape(seed: int, shape=(14, 17), holes: float = 0.1):
    rng = np.random.default_rng(seed)
    values = rng.uniform(1, 20, shape)
    values[rng.random(shape) < holes] = np.nan
    values[0, 0] = values[-1, -1] = 1.0
    values[0, :] = values[:, -1] = np.where(np.isnan(values[0, :]).any(), 3.0, 3.0)
    return planar(values)


# --- cost distance -------------------------------------------------------------------------------------------


def test_uniform_ground_gives_octile_distances():
    raster = planar(np.full((9, 12), 2.0), cell_m=50)
    field = corridors.cost_distance(raster, cell_boxes(raster, [(3, 4)]))
    rows, columns = np.mgrid[0:9, 0:12]
    down, across = abs(rows - 3), abs(columns - 4)
    octile = np.maximum(down, across) + (ROOT2 - 1) * np.minimum(down, across)
    np.testing.assert_allclose(field.cost, 2.0 * 50 * octile, rtol=1e-12)
    rook = corridors.cost_distance(raster, cell_boxes(raster, [(3, 4)]), neighbours=4)
    np.testing.assert_allclose(rook.cost, 2.0 * 50 * (down + across), rtol=1e-12)


def test_allocation_names_the_nearer_source_and_the_smaller_number_on_a_tie():
    raster = planar(np.ones((1, 5)))
    field = corridors.cost_distance(raster, cell_boxes(raster, [(0, 0), (0, 4)], core=[7, 3]))
    assert field.allocation.values.tolist() == [[7, 7, 3, 3, 3]]


def test_direction_points_to_the_next_cell_on_the_way():
    raster = planar(np.ones((3, 3)))
    field = corridors.cost_distance(raster, cell_boxes(raster, [(0, 1)]))
    assert np.isnan(field.direction.values[0, 1])
    assert field.direction.values[0, 0] == 90  # east
    assert field.direction.values[0, 2] == 270  # west
    assert field.direction.values[1, 1] == 0  # north
    assert field.direction.values[1, 0] == 45


def test_max_cost_leaves_dearer_cells_empty():
    raster = planar(np.ones((1, 6)), cell_m=10)
    field = corridors.cost_distance(raster, cell_boxes(raster, [(0, 0)]), max_cost=30)
    np.testing.assert_array_equal(field.cost.values[0], [0, 10, 20, 30, np.nan, np.nan])


def test_nodata_cannot_be_entered():
    values = np.ones((3, 3))
    values[:, 1] = np.nan
    field = corridors.cost_distance(planar(values), cell_boxes(planar(values), [(1, 0)]))
    assert np.isnan(field.cost.values[:, 1:]).all()


def test_on_degrees_a_step_costs_its_geodesic_length():
    raster = degrees(np.ones((5, 7)), west=20, north=62, step=0.5)
    field = corridors.cost_distance(raster, cell_boxes(raster, [(2, 3)]))
    geod = Geod(ellps="WGS84")
    lon, lat = float(raster.x[3]), float(raster.y[2])

    def metres(row, column):
        return geod.inv(lon, lat, float(raster.x[column]), float(raster.y[row]))[2]

    for row, column in ((2, 4), (1, 3), (3, 3), (1, 4), (3, 2)):
        assert float(field.cost[row, column]) == pytest.approx(metres(row, column), rel=1e-6)


def test_on_a_uniform_geographic_grid_cost_stays_within_the_octile_bound_of_the_geodesic_distance():
    raster = degrees(np.ones((120, 120)), west=10, north=50, step=0.05)
    field = corridors.cost_distance(raster, cell_boxes(raster, [(60, 60)]))
    geod = Geod(ellps="WGS84")
    lon, lat = np.meshgrid(raster.x, raster.y)
    straight = geod.inv(np.full(lon.size, raster.x[60]), np.full(lon.size, raster.y[60]), lon.ravel(), lat.ravel())[2]
    ratio = field.cost.values.ravel()[straight > 0] / straight[straight > 0]
    # the worst direction for eight steps on cells as narrow as the northernmost row's
    width, height = geod.inv(10, 50, 10.05, 50)[2], geod.inv(10, 50, 10, 49.95)[2]
    angle = np.linspace(0, np.pi / 2, 10_001)
    across, down = np.cos(angle) / width, np.sin(angle) / height
    slant = np.minimum(across, down)
    worst = (slant * np.hypot(width, height) + (across - slant) * width + (down - slant) * height).max()
    assert ratio.min() > 0.9999
    assert ratio.max() < worst * 1.001
    along_the_meridian = field.cost.values[:, 60]
    expected = [geod.inv(raster.x[60], raster.y[60], raster.x[60], y)[2] for y in raster.y.values]
    np.testing.assert_allclose(along_the_meridian, expected, rtol=1e-6)


def test_a_global_grid_is_crossed_at_the_antimeridian():
    raster = degrees(np.ones((1, 36)), west=-180, north=5, step=10)
    field = corridors.cost_distance(raster, cell_boxes(raster, [(0, 0)]))
    assert float(field.cost[0, 35]) == pytest.approx(float(field.cost[0, 1]))
    path = corridors.least_cost_path(raster, cell_boxes(raster, [(0, 0)]), cell_boxes(raster, [(0, 34)]))
    assert path.cost[0] == pytest.approx(2 * float(field.cost[0, 1]))


# --- paths ---------------------------------------------------------------------------------------------------


def test_the_path_goes_through_the_only_gap_in_a_wall():
    values = np.ones((7, 7))
    values[:, 3] = np.nan
    values[5, 3] = 1.0
    raster = planar(values, cell_m=1)
    path = corridors.least_cost_path(raster, cell_boxes(raster, [(0, 0)]), cell_boxes(raster, [(0, 6)]))
    # (0,0) to (5,3): 3 diagonal and 2 straight steps, and the same back
    assert path.cost[0] == pytest.approx(2 * (3 * ROOT2 + 2))
    assert path.length_m[0] == pytest.approx(path.cost[0])
    assert shapely.Point(3.5, 1.5).distance(path.geometry[0]) < 1e-9


def test_path_attributes_follow_from_the_cells_it_crosses():
    raster = planar([[1.0, 4.0, 1.0, 2.0]], cell_m=10)
    path = corridors.least_cost_path(raster, cell_boxes(raster, [(0, 0)]), cell_boxes(raster, [(0, 3)]))
    assert path.cost[0] == pytest.approx(10 * (2.5 + 2.5 + 1.5))
    assert path.length_m[0] == pytest.approx(30)
    assert path.mean_resistance[0] == pytest.approx(2.0)
    assert path.max_resistance[0] == 4.0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_a_path_costs_the_sum_of_its_steps(seed):
    raster = random_landscape(seed)
    path = corridors.least_cost_path(raster, two_cores(raster).iloc[[0]], two_cores(raster).iloc[[1]])
    points = shapely.get_coordinates(path.geometry[0])
    resistance = [float(raster.sel(x=x, y=y, method="nearest")) for x, y in points]
    steps = np.hypot(*np.diff(points, axis=0).T)
    cost = (steps * (np.array(resistance[:-1]) + resistance[1:]) / 2).sum()
    assert path.cost[0] == pytest.approx(cost, rel=1e-12)


# --- links and corridors -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000))
def test_link_costs_are_symmetric_and_do_not_change_when_the_grid_is_turned_or_mirrored(seed):
    raster = random_landscape(seed)
    cores = two_cores(raster)
    cost = corridors.link_network(raster, cores).links.cost[0]
    assert corridors.link_network(raster, cores.iloc[::-1]).links.cost[0] == pytest.approx(cost, rel=1e-12)
    for turned, first, second in (
        (raster.values[::-1], (-1, 0), (0, -1)),
        (raster.values[:, ::-1], (0, -1), (-1, 0)),
        (raster.values.T, (0, 0), (-1, -1)),
        (np.rot90(raster.values), (-1, 0), (0, -1)),
    ):
        other = planar(turned)
        rows, columns = other.shape
        ends = [(r % rows, c % columns) for r, c in (first, second)]
        assert corridors.link_network(other, cell_boxes(other, ends)).links.cost[0] == pytest.approx(cost, rel=1e-12)


def test_the_normalised_corridor_is_zero_on_the_path_and_grows_with_the_detour():
    raster = planar(np.ones((7, 9)), cell_m=1)
    result = corridors.least_cost(raster, cell_boxes(raster, [(3, 0), (3, 8)]), cutoff=10)
    mosaic = result.mosaic.values
    np.testing.assert_allclose(mosaic[3], 0, atol=1e-12)
    # through (0, 4): 3 diagonal + 1 straight step on each side against 4 straight ones
    assert mosaic[0, 4] == pytest.approx(2 * (3 * ROOT2 + 1) - 8)
    assert (np.nan_to_num(mosaic) >= 0).all()


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.floats(1, 60))
def test_a_wider_cutoff_holds_the_narrower_corridor(seed, percent):
    raster = random_landscape(seed)
    cores = two_cores(raster)
    narrow = corridors.least_cost(raster, cores, cutoff_percent=percent)
    wide = corridors.least_cost(raster, cores, cutoff_percent=2 * percent)
    assert (np.isfinite(wide.mosaic.values) >= np.isfinite(narrow.mosaic.values)).all()
    assert wide.corridor_area_km2 >= narrow.corridor_area_km2
    assert not wide.corridors.min_width_m[0] < narrow.corridors.min_width_m[0]


def test_the_minimum_width_is_that_of_the_neck_and_the_bottleneck_lies_in_it():
    values = np.full((11, 21), np.nan)
    values[:, :6] = values[:, 15:] = 1.0
    values[4:7, 6:15] = 1.0  # a neck three cells wide
    values[5, 9] = 1.0
    raster = planar(values, cell_m=100)
    cores = cell_boxes(raster, [(0, 0, 11, 1), (0, 20, 11, 1)])
    result = corridors.least_cost(raster, cores, cutoff=1e6)
    assert result.corridors.min_width_m[0] == pytest.approx(300)
    spot = result.bottlenecks.geometry[0]
    assert 600 <= spot.x <= 1500
    assert spot.y == pytest.approx(550)


def test_a_corridor_drawn_to_a_width_has_it_and_the_next_smaller_cutoff_does_not():
    raster = planar(np.ones((21, 31)), cell_m=100)
    cores = cell_boxes(raster, [(10, 0), (10, 30)])
    result = corridors.least_cost(raster, cores, width_km=0.5)
    row = result.corridors.iloc[0]
    assert row.min_width_m >= 500
    narrower = corridors.least_cost(raster, cores, cutoff=row.cutoff * 0.99)
    assert narrower.corridors.min_width_m[0] < 500


def test_corridor_area_is_that_of_its_cells_outside_the_cores():
    raster = planar(np.ones((3, 10)), cell_m=1000)
    cores = cell_boxes(raster, [(0, 0, 3, 2), (0, 8, 3, 2)])
    result = corridors.least_cost(raster, cores, cutoff=1e9)
    assert result.corridor_area_km2 == pytest.approx(18)
    assert result.core_area_km2 == pytest.approx(12)
    assert result.network_area_km2 == pytest.approx(30)
    assert result.corridors.geometry[0].area == pytest.approx(18e6)


def test_rules_give_the_links_they_promise():
    raster = planar(np.ones((3, 30)))
    cores = cell_boxes(raster, [(1, 0), (1, 8), (1, 18), (1, 29)])

    def pairs(**options):
        links = corridors.link_network(raster, cores, **options).links
        return set(zip(links.core_a, links.core_b, strict=True))

    assert pairs(rule="allocation") == {(1, 2), (2, 3), (3, 4)}
    assert pairs(rule="all_pairs") == {(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)}
    assert pairs(rule="all_pairs", drop_through_cores=True) == {(1, 2), (2, 3), (3, 4)}
    assert pairs(rule="nearest", nearest=1) == {(1, 2), (2, 3), (3, 4)}
    assert pairs(rule="delaunay") == {(1, 2), (2, 3), (3, 4)}
    assert pairs(rule="all_pairs", max_cost=1000) == {(1, 2), (2, 3)}


def test_delaunay_joins_the_corners_of_a_square_and_one_diagonal():
    raster = planar(np.ones((21, 21)))
    cores = cell_boxes(raster, [(0, 0), (0, 20), (20, 0), (20, 19)])
    links = corridors.link_network(raster, cores, rule="delaunay").links
    assert len(links) == 5


def test_euclidean_distance_is_edge_to_edge_and_geodesic_on_degrees():
    raster = planar(np.ones((1, 10)), cell_m=100)
    assert corridors.link_network(raster, cell_boxes(raster, [(0, 0), (0, 9)])).links.euclidean_m[0] == 800
    earth = degrees(np.ones((1, 12)), west=0, north=60.25, step=0.5)
    links = corridors.link_network(earth, cell_boxes(earth, [(0, 0), (0, 11)])).links
    upper = Geod(ellps="WGS84").inv(0.5, 60.25, 5.5, 60.25)[2]  # the northern corners lie closest
    assert links.euclidean_m[0] == pytest.approx(upper, rel=1e-5)


def test_given_links_are_followed():
    raster = planar(np.ones((3, 30)))
    cores = cell_boxes(raster, [(1, 0), (1, 8), (1, 29)], core=[10, 20, 30])
    links = corridors.link_network(raster, cores, rule="all_pairs").links
    result = corridors.least_cost(raster, cores, links[links.core_b == 30].iloc[:1], cutoff=10)
    assert result.links[["core_a", "core_b"]].values.tolist() == [[10, 30]]


def test_one_cost_distance_is_computed_for_each_core_however_many_links_there_are(monkeypatch):
    from linkways.kernels import cost_distance

    calls = []
    real = cost_distance.cost_field_on_grid
    monkeypatch.setattr(cost_distance, "cost_field_on_grid", lambda *a, **k: calls.append(1) or real(*a, **k))
    raster = planar(np.ones((20, 20)))
    cores = cell_boxes(raster, [(0, 0), (0, 19), (19, 0), (19, 19), (10, 10)])
    result = corridors.least_cost(raster, cores, rule="all_pairs", cutoff=10)
    assert len(result.links) == 10
    assert len(calls) == 5


def test_fields_beyond_the_memory_allowance_give_the_same_corridors(monkeypatch):
    from linkways.corridors import _network

    raster = random_landscape(5, (30, 40))
    cores = cell_boxes(raster, [(0, 0), (29, 39), (0, 39)])
    before = corridors.least_cost(raster, cores, rule="all_pairs")
    monkeypatch.setattr(_network, "MEMORY_FOR_FIELDS", 0)
    after = corridors.least_cost(raster, cores, rule="all_pairs")
    np.testing.assert_array_equal(before.mosaic, after.mosaic)


# --- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, -2.0, np.inf])
def test_resistance_that_is_not_finite_and_positive_is_refused_with_how_many_and_where(value):
    values = np.ones((3, 4))
    values[1, 2] = values[2, 0] = value
    raster = planar(values)
    with pytest.raises(LinkwaysError, match=r"resistance has 2 cells .* first at row 1 column 2"):
        corridors.cost_distance(raster, cell_boxes(raster, [(0, 0)]))


def test_cores_on_nodata_are_named():
    values = np.ones((3, 6))
    values[:, 4:] = np.nan
    raster = planar(values)
    with pytest.raises(LinkwaysError, match="cores 9 lie entirely on nodata"):
        corridors.link_network(raster, cell_boxes(raster, [(0, 0), (0, 2), (0, 5)], core=[1, 2, 9]))


def test_a_single_core_is_refused():
    raster = planar(np.ones((3, 3)))
    with pytest.raises(LinkwaysError, match="a single core"):
        corridors.least_cost(raster, cell_boxes(raster, [(0, 0)]))


def test_cores_that_cannot_reach_each_other_are_named_and_may_be_dropped():
    values = np.ones((3, 12))
    values[:, 8] = np.nan
    raster = planar(values)
    cores = cell_boxes(raster, [(0, 0), (0, 6), (0, 10)], core=[1, 2, 5])
    with pytest.raises(LinkwaysError, match="cores 5 cannot reach"):
        corridors.least_cost(raster, cores)
    assert corridors.least_cost(raster, cores, unreachable="drop").links_count == 1


def test_two_cutoffs_together_are_refused():
    raster = planar(np.ones((3, 6)))
    with pytest.raises(LinkwaysError, match="cutoff and width_km are given together"):
        corridors.least_cost(raster, cell_boxes(raster, [(0, 0), (0, 5)]), cutoff=5, width_km=1)


def test_links_that_name_unknown_cores_are_refused():
    raster = planar(np.ones((3, 6)))
    cores = cell_boxes(raster, [(0, 0), (0, 5)])
    links = cores.assign(core_a=1, core_b=8)
    with pytest.raises(LinkwaysError, match="row 1 names core 8"):
        corridors.least_cost(raster, cores, links)


def test_no_link_within_max_cost_is_refused():
    raster = planar(np.ones((3, 6)))
    with pytest.raises(LinkwaysError, match="no link between the 2 cores would cost at most 5"):
        corridors.link_network(raster, cell_boxes(raster, [(0, 0), (0, 5)]), max_cost=5)


def test_core_numbers_must_be_whole_and_different():
    raster = planar(np.ones((3, 6)))
    with pytest.raises(LinkwaysError, match="number 4 stands for two"):
        corridors.link_network(raster, cell_boxes(raster, [(0, 0), (0, 5)], core=[4, 4]))
    with pytest.raises(LinkwaysError, match="whole numbers"):
        corridors.link_network(raster, cell_boxes(raster, [(0, 0), (0, 5)], core=["a", "b"]))


def test_an_end_that_cannot_be_reached_is_refused():
    values = np.ones((1, 5))
    values[0, 2] = np.nan
    raster = planar(values)
    with pytest.raises(LinkwaysError, match="end 1 cannot be reached"):
        corridors.least_cost_path(raster, cell_boxes(raster, [(0, 0)]), cell_boxes(raster, [(0, 4)]))
