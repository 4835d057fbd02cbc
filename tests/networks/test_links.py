"""Links between patches: straight, on the ellipsoid, by least cost, planar, by current."""

import geopandas as gpd
import numpy as np
import pytest
import scipy.sparse as sparse
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from scipy.ndimage import distance_transform_edt, gaussian_filter, label
from scipy.sparse.csgraph import dijkstra, shortest_path

from linkways import networks, spatial
from linkways.errors import LinkwaysError

GEOD = Geod(ellps="WGS84")
ORIGIN = (4_000_000, 3_000_000)


def polygons(*shapes, crs="EPSG:3035", **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


def boxes(*corners, crs="EPSG:3035", **columns):
    x, y = ORIGIN if crs == "EPSG:3035" else (0, 0)
    return polygons(*(shapely.box(a + x, b + y, c + x, d + y) for a, b, c, d in corners), crs=crs, **columns)


def surface(values, *, cell_size=10):
    values = np.asarray(values, float)
    return spatial.new_raster(values, crs="EPSG:3035", cell_size=cell_size, origin=ORIGIN)


def pairs(links):
    return list(zip(links.patch_a.tolist(), links.patch_b.tolist(), strict=True))


# --- straight ----------------------------------------------------------------------------------------------------

ROW = boxes((0, 0, 100, 100), (300, 0, 400, 100), (400, 50, 500, 200), (1000, 0, 1100, 50))


def test_edge_distances_run_between_outlines_and_are_zero_where_patches_touch():
    links = networks.links(ROW)
    assert pairs(links) == [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]
    assert links.distance_m.tolist() == pytest.approx([200, 300, 900, 0, 600, 500])
    np.testing.assert_allclose(links.geometry.length, links.distance_m)
    assert (links.kind == "edge").all()


def test_a_horizon_keeps_links_as_long_as_itself():
    assert pairs(networks.links(ROW, max_distance_km=0.3)) == [(1, 2), (1, 3), (2, 3)]
    assert pairs(networks.links(ROW, max_distance_km=0.2999)) == [(1, 2), (2, 3)]


def test_patches_are_called_by_their_own_numbers_in_their_order():
    links = networks.links(ROW.assign(patch=["d", "b", "c", "a"]), max_distance_km=0.25)
    assert pairs(links) == [("d", "b"), ("b", "c")]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 2))
def test_links_within_a_horizon_are_those_of_all_pairs_that_are_short_enough(seed, horizon):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 3000, (12, 2)) + ORIGIN
    sizes = rng.uniform(10, 400, (12, 2))
    shapes = [shapely.box(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sizes, strict=True)]
    links = networks.links(polygons(*shapes), overlaps="keep", max_distance_km=horizon)
    expected = {
        (i + 1, j + 1): shapes[i].distance(shapes[j])
        for i in range(12)
        for j in range(i + 1, 12)
        if shapes[i].distance(shapes[j]) <= horizon * 1000
    }
    assert dict(zip(pairs(links), links.distance_m, strict=True)) == pytest.approx(expected)


def test_centroid_distances_and_anchors_inside_the_largest_part():
    horseshoe = shapely.box(0, 0, 300, 300).difference(shapely.box(100, 100, 300, 200))
    two = shapely.MultiPolygon([shapely.box(1000, 0, 1200, 200), shapely.box(1400, 0, 1500, 100)])
    layer = polygons(*(shapely.transform(s, lambda xy: xy + ORIGIN) for s in (horseshoe, two)))
    by_centroid = networks.links(layer, kind="centroid")
    assert by_centroid.distance_m[0] == pytest.approx(horseshoe.centroid.distance(two.centroid))
    inside = networks.links(layer, kind="inside")
    start, end = shapely.get_coordinates(inside.geometry[0]) - ORIGIN
    assert end.tolist() == [1100.0, 100.0]  # the middle of the larger part
    assert horseshoe.contains(shapely.Point(start))
    assert not horseshoe.contains(horseshoe.centroid)
    assert inside.distance_m[0] == pytest.approx(np.hypot(*(end - start)))


def test_units_that_are_not_metres_are_converted():
    feet = polygons(*(shapely.box(x, 1e6, x + 100, 1e6 + 100) for x in (1e6, 1e6 + 600)), crs="EPSG:2263")
    assert networks.links(feet).distance_m[0] == pytest.approx(500 * 1200 / 3937)
    assert len(networks.links(feet, max_distance_km=0.15)) == 0
    assert len(networks.links(feet, kind="centroid", max_distance_km=0.19)) == 1


# --- on the ellipsoid --------------------------------------------------------------------------------------------


def drawn(shape, metres):
    """Points along an outline in degrees, at most so far apart."""
    return shapely.get_coordinates(shapely.segmentize(shape.boundary, metres / 111_320))


def least_geodesic(one, other, metres=60):
    a, b = drawn(one, metres), drawn(other, metres)
    return min(
        GEOD.inv(np.full(len(b), x), np.full(len(b), y), b[:, 0], b[:, 1])[2].min() for x, y in a.tolist()
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_geodesic_distances_are_those_of_a_search_over_all_points_of_finely_drawn_outlines(seed):
    rng = np.random.default_rng(seed)
    lat = rng.uniform(-70, 70)
    shapes = []
    for k in range(2):
        turn = np.sort(rng.uniform(0, 2 * np.pi, 7))
        radius = rng.uniform(0.02, 0.05, 7)
        shapes.append(
            shapely.Polygon(np.column_stack([20 + 0.3 * k + radius * np.cos(turn), lat + radius * np.sin(turn)]))
        )
    found = networks.links(polygons(*shapes, crs="EPSG:4326")).distance_m[0]
    expected = least_geodesic(*shapes)
    # the points drawn are up to 30 m from the nearest one, which tells of at most 30^2 / 2 d more
    assert expected - 30**2 / expected <= found <= expected + 0.05


def test_across_the_antimeridian_patches_are_as_near_as_elsewhere():
    here = boxes((10.0, 40, 10.5, 41), (10.9, 40, 11.2, 41), crs="EPSG:4326")
    there = boxes((179.2, 40, 179.7, 41), (-179.9, 40, -179.6, 41), crs="EPSG:4326")
    for kind in ("edge", "centroid", "inside"):
        expected = networks.links(here, kind=kind).distance_m[0]
        for reach in (None, 75):
            found = networks.links(there, kind=kind, max_distance_km=reach).distance_m[0]
            assert found == pytest.approx(expected, abs=0.02)


def test_distances_along_the_equator_and_over_the_pole_are_known():
    equator = boxes((0, -1, 1, 1), (3, -1, 4, 1), crs="EPSG:4326")
    # a parallel at latitude 1 is shorter than the equator: the nearest points are the corners
    assert networks.links(equator).distance_m[0] == pytest.approx(GEOD.inv(1, 1, 3, 1)[2], abs=0.05)
    pole = boxes((-10, 88, 10, 89), (170, 88, 190, 89), crs="EPSG:4326")
    assert networks.links(pole).distance_m[0] == pytest.approx(GEOD.inv(10, 89, 170, 89)[2], rel=1e-6)


def test_patches_in_degrees_that_touch_or_hold_each_other_are_no_distance_apart():
    layer = boxes((0, 50, 1, 51), (1, 50, 2, 51), (0.4, 50.4, 0.5, 50.5), crs="EPSG:4326")
    links = networks.links(layer, overlaps="keep")
    assert dict(zip(pairs(links), links.distance_m == 0, strict=True)) == {(1, 2): True, (1, 3): True, (2, 3): False}


@pytest.mark.parametrize("seed", range(2))
def test_links_in_degrees_within_a_horizon_leave_out_none(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-180, 180, 40), rng.uniform(-85, 85, 40)
    layer = polygons(
        *(shapely.box(a, b, min(a + w, 180), b + 1) for a, b, w in zip(x, y, rng.choice([0.2, 10], 40), strict=True)),
        crs="EPSG:4326",
    )
    everything = networks.links(layer, overlaps="keep")
    for reach in (500, 2000):
        links = networks.links(layer, overlaps="keep", max_distance_km=reach)
        near = everything[everything.distance_m <= reach * 1000]
        assert pairs(links) == pairs(near)


def test_a_centroid_in_degrees_is_that_of_an_equal_area_map():
    shape = shapely.Polygon([(0, 60), (6, 60), (6, 63), (3, 61), (0, 64)])
    layer = polygons(shape, shapely.box(20, 60, 21, 61), crs="EPSG:4326")
    start = shapely.get_coordinates(networks.links(layer, kind="centroid").geometry[0])[0]
    local = "+proj=laea +lat_0=61.5 +lon_0=3 +ellps=WGS84"
    fine = gpd.GeoSeries([shapely.segmentize(shape, 0.01)], crs="EPSG:4326").to_crs(local)
    expected = fine.centroid.to_crs("EPSG:4326")[0]
    assert GEOD.inv(*start, expected.x, expected.y)[2] < 100  # the patch is 300 km wide


# --- least cost --------------------------------------------------------------------------------------------------


def graph_of(resistance, cell, neighbours):
    """The raster as a sparse graph, and its cell numbers."""
    number = np.arange(resistance.size).reshape(resistance.shape)
    shifts = [(0, 1, 1.0), (1, 0, 1.0)] + ([(1, 1, 2**0.5), (1, -1, 2**0.5)] if neighbours == 8 else [])
    rows, columns = resistance.shape
    ends, costs = [], []
    for down, right, length in shifts:
        a = number[: rows - down, max(0, -right) : columns - max(0, right)]
        b = number[down:, max(0, right) : columns + min(0, right)]
        cost = length * cell * (resistance.ravel()[a] + resistance.ravel()[b]) / 2
        known = np.isfinite(cost)
        ends.append(np.stack([a[known], b[known]]))
        costs.append(cost[known])
    (a, b), cost = np.concatenate(ends, axis=1), np.concatenate(costs)
    return sparse.csr_array((cost, (a, b)), shape=(resistance.size,) * 2)


def least_costs(resistance, numbers, *, cell=10, neighbours=8):
    """Least cost between all pairs of numbered patches by scipy: from all cells of one to any cell of the other."""
    graph = graph_of(resistance, cell, neighbours)
    count = numbers.max()
    flat = numbers.ravel()
    out = {}
    for a in range(1, count):
        cost = dijkstra(graph, directed=False, indices=np.flatnonzero(flat == a), min_only=True)
        for b in range(a + 1, count + 1):
            out[a, b] = cost[flat == b].min()
    return out


def landscape(seed, shape=(24, 30), *, holes=0.1, neighbours=8, smooth=1.5):
    """A resistance raster and patches on it, with the number of the patch of each cell."""
    rng = np.random.default_rng(seed)
    resistance = rng.choice([1.0, 2.0, 5.0, 20.0], shape)
    field = gaussian_filter(rng.standard_normal(shape), smooth)
    mask = field > np.quantile(field, 0.85)
    resistance[(rng.random(shape) < holes) & ~mask] = np.nan
    numbers, _ = label(mask, structure=np.ones((3, 3)) if neighbours == 8 else None)
    raster = surface(resistance)
    patches = networks.patches(raster.copy(data=mask.astype(float)), neighbours=neighbours)
    return raster, patches, numbers


def cost_along(line, resistance, cell=10):
    """Cost of a line through cell centres, worked out step by step."""
    x, y = shapely.get_coordinates(line).T
    column, row = ((x - ORIGIN[0]) / cell - 0.5).round().astype(int), ((ORIGIN[1] - y) / cell - 0.5).round().astype(int)
    r = resistance[row, column]
    steps = np.hypot(np.diff(x), np.diff(y))
    assert steps.max(initial=0) < 1.5 * cell
    return float((steps * (r[1:] + r[:-1]) / 2).sum()), steps.sum(), r, (row, column)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 8]))
def test_least_costs_of_all_pairs_are_those_of_dijkstra_by_scipy(seed, neighbours):
    raster, patches, numbers = landscape(seed)
    links = networks.links(patches, raster, kind="least_cost", neighbours=neighbours)
    expected = {k: v for k, v in least_costs(raster.values, numbers, neighbours=neighbours).items() if np.isfinite(v)}
    assert dict(zip(pairs(links), links.cost, strict=True)) == pytest.approx(expected)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(20, 800))
def test_a_horizon_of_cost_leaves_out_dearer_links_and_no_other(seed, limit):
    raster, patches, numbers = landscape(seed)
    links = networks.links(patches, raster, kind="least_cost", max_cost=limit)
    expected = {k: v for k, v in least_costs(raster.values, numbers).items() if v <= limit}
    assert dict(zip(pairs(links), links.cost, strict=True)) == pytest.approx(expected)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_paths_lead_from_one_patch_to_the_other_at_their_cost(seed):
    raster, patches, numbers = landscape(seed)
    for topology, weights in (("complete", "surface"), ("planar", "surface"), ("planar", "zones")):
        links = networks.links(patches, raster, kind="least_cost", topology=topology, weights=weights)
        for link in links.itertuples():
            cost, length, r, (row, column) = cost_along(link.geometry, raster.values)
            assert cost == pytest.approx(link.cost)
            assert length == pytest.approx(link.length_m)
            assert (r.max(), r.mean()) == pytest.approx((link.max_resistance, link.mean_resistance))
            assert numbers[row[0], column[0]] == link.patch_a
            assert numbers[row[-1], column[-1]] == link.patch_b


def zone_pairs(resistance, numbers):
    """Pairs of patches whose cost-allocation zones have neighbouring cells, by scipy; ties belong to both."""
    graph = graph_of(resistance, 10, 8)
    flat = numbers.ravel()
    cost = np.array([
        dijkstra(graph, directed=False, indices=np.flatnonzero(flat == k), min_only=True)
        for k in range(1, numbers.max() + 1)
    ])  # fmt: skip
    least = cost.min(axis=0)
    owners = (cost <= least * (1 + 1e-12)) & np.isfinite(least)
    a, b = graph.nonzero()
    certain, possible = set(), set()
    for i, j in zip(a.tolist(), b.tolist(), strict=True):
        one, other = (np.flatnonzero(owners[:, cell]) + 1 for cell in (i, j))
        met = {(min(p, q), max(p, q)) for p in one.tolist() for q in other.tolist() if p != q}
        possible |= met
        if len(one) == len(other) == 1:
            certain |= met
    return certain, possible


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_planar_links_join_the_patches_whose_zones_touch_at_the_least_cost_of_the_whole_surface(seed):
    raster, patches, numbers = landscape(seed)
    links = networks.links(patches, raster, kind="least_cost", topology="planar")
    certain, possible = zone_pairs(raster.values, numbers)
    assert certain <= set(pairs(links)) <= possible
    expected = least_costs(raster.values, numbers)
    assert links.cost.tolist() == pytest.approx([expected[pair] for pair in pairs(links)])
    in_zones = networks.links(patches, raster, kind="least_cost", topology="planar", weights="zones")
    assert pairs(in_zones) == pairs(links)
    assert (in_zones.cost >= links.cost * (1 - 1e-12)).all()
    assert (links.kind == "least_cost").all()
    assert (in_zones.kind == "least_cost_in_zones").all()


def test_each_planar_link_of_a_400_by_400_landscape_is_a_true_least_cost_path():
    raster, patches, numbers = landscape(11, (400, 400), holes=0.02, smooth=8)
    assert 50 < len(patches) < 150
    links = networks.links(patches, raster, kind="least_cost", topology="planar")
    graph = graph_of(raster.values, 10, 8)
    flat = numbers.ravel()
    for patch in np.unique(links.patch_a)[::4]:
        cost = dijkstra(graph, directed=False, indices=np.flatnonzero(flat == patch), min_only=True)
        for link in links[links.patch_a == patch].itertuples():
            assert link.cost == pytest.approx(cost[flat == link.patch_b].min(), rel=1e-12)


def test_the_cheapest_way_over_a_border_can_be_dearer_than_a_path_over_a_third_zone():
    resistance = np.full((5, 13), 100.0)
    resistance[0], resistance[:, [0, 12]] = 1.0, 1.0
    resistance[0, 6] = 1.0
    resistance[4, 1:12] = 5.0
    mask = np.zeros(resistance.shape)
    mask[4, 0] = mask[4, 12] = mask[0, 6] = 1
    raster = surface(resistance)
    patches = networks.patches(raster.copy(data=mask))
    assert patches.patch.tolist() == [1, 2, 3]
    inside, anywhere = (
        networks.links(patches, raster, kind="least_cost", topology="planar", weights=weights).set_index(
            ["patch_a", "patch_b"]
        )
        for weights in ("zones", "surface")
    )
    # along the bottom: 5 x 10 a step, but 3 for the first and last; over the top it is shorter through patch 1
    assert inside.cost[2, 3] == pytest.approx(10 * 50 + 2 * 30)
    assert anywhere.cost[2, 3] == pytest.approx(least_costs(resistance, numbers_of(mask))[2, 3])
    assert anywhere.cost[2, 3] < inside.cost[2, 3]


def numbers_of(mask):
    return label(mask, structure=np.ones((3, 3)))[0]


def test_a_cost_may_be_the_sum_of_the_cells_entered():
    resistance = np.full((3, 6), 9.0)
    resistance[1] = [1, 2, 3, 4, 5, 1]
    mask = np.zeros(resistance.shape)
    mask[1, 0] = mask[1, 5] = 1
    raster = surface(resistance)
    links = networks.links(
        networks.patches(raster.copy(data=mask)), raster, kind="least_cost", topology="planar", weights="zones",
        cost_rule="entered_cells", neighbours=4,
    )  # fmt: skip
    assert links.cost.tolist() == [2 + 3 + 4 + 5]
    assert links.max_resistance.tolist() == [5.0]


def test_patches_between_cell_centres_stand_for_the_cell_they_lie_in_even_one_that_they_share():
    x, y = ORIGIN
    tiny = [shapely.box(a, y - b - 2, a + 2, y - b) for a, b in ((x + 1, 1), (x + 7, 1), (x + 41, 7))]
    with spatial.recording() as notes:
        links = networks.links(polygons(*tiny), surface(np.full((1, 6), 2.0)), kind="least_cost")
    assert links.cost.tolist() == [0.0, 80.0, 80.0]
    assert any("3 patches hold no centre of a cell" in sentence for sentence in notes)
    planar = networks.links(polygons(*tiny), surface(np.full((1, 6), 2.0)), kind="least_cost", topology="planar")
    assert (1, 2) in pairs(planar)


def test_patches_that_cannot_be_reached_have_no_link_and_a_note_says_so():
    resistance = np.ones((3, 9))
    resistance[:, 4] = np.nan
    mask = np.zeros(resistance.shape)
    mask[0, 0] = mask[0, 2] = mask[2, 8] = 1
    raster = surface(resistance)
    with spatial.recording() as notes:
        links = networks.links(networks.patches(raster.copy(data=mask)), raster, kind="least_cost")
    assert pairs(links) == [(1, 2)]
    assert notes == ["1 of 3 patches have no link under the rule and limits given: 3"]


def test_a_horizon_of_distance_goes_for_least_cost_links_too():
    raster, patches, _ = landscape(3)
    links = networks.links(patches, raster, kind="least_cost")
    near = networks.links(patches, raster, kind="least_cost", max_distance_km=0.06)
    assert 0 < len(near) < len(links)
    assert pairs(near) == pairs(links[links.euclidean_m <= 60])


def test_a_layer_without_any_link_is_empty_and_keeps_its_columns():
    far = boxes((0, 0, 10, 10), (900, 0, 910, 10))
    links = networks.links(far, max_distance_km=0.1)
    assert links.columns.tolist() == ["link", "patch_a", "patch_b", "kind", "distance_m", "geometry"]
    assert len(links) == len(networks.links(far[:1])) == 0
    assert links.crs == far.crs
    raster = surface(np.ones((2, 92)))
    by_cost = networks.links(far.translate(0, -20).to_frame("geometry"), raster, kind="least_cost", max_cost=5)
    assert len(by_cost) == 0
    assert "cost" in by_cost.columns


# --- neighbours --------------------------------------------------------------------------------------------------


def test_planar_straight_links_leave_out_pairs_with_a_patch_between():
    row = boxes((0, 0, 100, 1000), (300, 0, 400, 1000), (600, 0, 700, 1000))
    for kind in ("edge", "centroid", "inside"):
        assert pairs(networks.links(row, kind=kind, topology="planar")) == [(1, 2), (2, 3)]


def test_planar_links_of_patches_with_one_centre_join_them_and_one_patch_has_none():
    ring = shapely.box(0, 0, 300, 300).difference(shapely.box(100, 100, 200, 200))
    layer = [ring, shapely.box(140, 140, 160, 160), shapely.box(500, 0, 600, 100), shapely.box(450, 400, 500, 500)]
    layer = polygons(*(shapely.transform(shape, lambda xy: xy + ORIGIN) for shape in layer))
    links = networks.links(layer, kind="centroid", topology="planar")
    assert (1, 2) in pairs(links)
    assert len(links) >= 4
    for kind in ("edge", "centroid"):
        assert len(networks.links(layer[:1], kind=kind, topology="planar")) == 0
        assert pairs(networks.links(layer[:2], kind=kind, topology="planar")) == [(1, 2)]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_planar_edge_links_hold_all_pairs_whose_zones_touch_on_a_fine_raster(seed):
    rng = np.random.default_rng(seed)
    numbers = np.zeros((80, 80), int)
    for k in range(1, 9):
        row, column, height, width = (*rng.integers(5, 60, 2), *rng.integers(2, 14, 2))
        if not numbers[row - 2 : row + height + 2, column - 2 : column + width + 2].any():
            numbers[row : row + height, column : column + width] = k
    kept = np.unique(numbers[numbers > 0])
    corners = [(numbers == k).nonzero() for k in kept]
    layer = boxes(*((c.min(), r.min(), c.max() + 1, r.max() + 1) for r, c in corners), patch=kept)
    links = networks.links(layer, topology="planar")
    at = distance_transform_edt(numbers == 0, return_distances=False, return_indices=True)
    zone = numbers[tuple(at)]
    # a border of several cells, so that zones do not meet at a point only
    borders = np.concatenate([
        np.stack([zone[:, :-1].ravel(), zone[:, 1:].ravel()], axis=1),
        np.stack([zone[:-1].ravel(), zone[1:].ravel()], axis=1),
    ])  # fmt: skip
    meeting, length = np.unique(np.sort(borders[borders[:, 0] != borders[:, 1]], axis=1), axis=0, return_counts=True)
    assert {tuple(pair) for pair in meeting[length > 4].tolist()} <= set(pairs(links))
    assert len(links) <= max(1, 3 * len(kept) - 3)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_pruning_keeps_all_shortest_paths_and_no_link_that_two_others_beat(seed):
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 200, (14, 2)) * 10
    layer = boxes(*((x, y, x + 9, y + 9) for x, y in np.unique(corners, axis=0).tolist()))
    links, pruned = (networks.links(layer, prune=prune) for prune in (False, True))

    def paths(table):
        size = len(layer)
        a, b = table.patch_a - 1, table.patch_b - 1
        return shortest_path(sparse.coo_array((table.distance_m, (a, b)), (size, size)).tocsr(), directed=False)

    np.testing.assert_allclose(paths(pruned), paths(links), atol=1e-9)
    length = {**dict(zip(pairs(pruned), pruned.distance_m, strict=True))}
    for (a, b), metres in list(length.items()):
        for c in range(1, len(layer) + 1):
            legs = [length.get((min(x, c), max(x, c))) for x in (a, b)]
            assert None in legs or sum(legs) >= metres


# --- by current --------------------------------------------------------------------------------------------------


def test_effective_resistance_of_a_single_way_is_its_cost():
    raster = surface([[1, 3, 2, 5, 1]])
    mask = raster.copy(data=np.array([[1.0, 0, 0, 0, 1]]))
    links = networks.links(networks.patches(mask), raster, kind="effective_resistance")
    assert links.resistance.tolist() == pytest.approx([10 * (2 + 2.5 + 3.5 + 3)])
    assert links.euclidean_m.tolist() == [30.0]


def test_two_ways_halve_the_effective_resistance():
    resistance = np.full((3, 5), 2.0)
    resistance[1, 1:4] = np.nan
    mask = np.zeros(resistance.shape)
    mask[:, [0, 4]] = 1
    raster = surface(resistance)
    links = networks.links(networks.patches(raster.copy(data=mask)), raster, kind="effective_resistance", neighbours=4)
    assert links.resistance.tolist() == pytest.approx([80 / 2])


def test_effective_resistance_is_never_more_than_the_least_cost():
    raster, patches, _ = landscape(5, (20, 24))
    by_cost = networks.links(patches, raster, kind="least_cost").set_index(["patch_a", "patch_b"]).cost
    by_current = networks.links(patches, raster, kind="effective_resistance").set_index(["patch_a", "patch_b"])
    assert len(by_current) == len(by_cost) > 3
    assert (by_current.resistance <= by_cost * (1 + 1e-9)).all()
    planar = networks.links(patches, raster, kind="effective_resistance", topology="planar")
    assert 0 < len(planar) < len(by_current)


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "least_cost"}, "links of kind least_cost need a resistance raster"),
        ({"resistance": surface([[1.0]])}, "links of kind edge do not look at resistance"),
        ({"max_cost": 5.0}, "max_cost is a horizon for kind least_cost"),
        ({"weights": "zones"}, "weights 'zones' are for planar links by least cost"),
        ({"kind": "least_cost", "resistance": surface([[1.0]]), "cost_rule": "entered_cells"}, "entered_cells needs"),
        ({"kind": "least_cost", "resistance": surface([[1.0]])}, "patches 1, 2 lie entirely on nodata or outside"),
        ({"kind": "least_cost", "resistance": surface([[0.0]])}, "1 cells that are zero, negative or infinite"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(given, message):
    with pytest.raises(LinkwaysError, match=message):
        networks.links(boxes((50, 50, 60, 60), (80, 50, 90, 60)), **given)


def test_layers_that_cannot_be_meant_are_refused():
    with pytest.raises(LinkwaysError, match="1 pairs of polygons overlap"):
        networks.links(boxes((0, 0, 10, 10), (5, 0, 15, 10)))
    with pytest.raises(LinkwaysError, match="look like degrees"):
        networks.links(polygons(shapely.box(8.1, 47.2, 8.3, 47.4), shapely.box(9.1, 47.2, 9.3, 47.4)))
    with pytest.raises(LinkwaysError, match="has no CRS"):
        networks.links(gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)]))
    with pytest.raises(LinkwaysError, match="features that are not Polygon"):
        networks.links(polygons(shapely.Point(0, 0)))
    assert networks.links(boxes((0, 0, 10, 10), (5, 0, 15, 10)), overlaps="keep").distance_m.tolist() == [0.0]
