import geopandas as gpd
import networkx as nx
import numpy as np
import pytest
import shapely

from linkways import LinkwaysError, corridors

from .conftest import cell_boxes, planar


@pytest.fixture
def star():
    """Core 1 in the middle, joined to 2, 3 and 4; 2 and 3 are also joined to each other."""
    raster = planar(np.full((3, 12), 2.0), cell_m=1000)
    cores = cell_boxes(raster, [(0, 0), (0, 3), (0, 6), (0, 9)], core=[1, 2, 3, 4], area_km2=[10.0, 20.0, 30.0, 40.0])
    made = cell_boxes(
        raster,
        [(1, 0, 1, 2), (1, 2, 1, 4), (1, 6, 2, 2), (1, 8, 2, 4)],
        link=[1, 2, 3, 4],
        core_a=[1, 1, 2, 1],
        core_b=[2, 3, 3, 4],
        cost=[5.0, 6.0, 7.0, 8.0],
        min_width_m=[1000.0, 3000.0, 2000.0, 4000.0],
        corridor_area_km2=[2.0, 4.0, 4.0, 8.0],
    )
    habitat = planar(np.tile(np.linspace(0, 1, 12), (3, 1)), cell_m=1000)
    return made, cores, raster, habitat


def by_link(result):
    return result.ranking.set_index("link").sort_index()


def test_betweenness_and_the_loss_of_linked_area_equal_their_definitions(star):
    corridors_, cores, raster, habitat = star
    table = by_link(corridors.prioritise(corridors_, cores, raster, habitat))
    graph = nx.Graph()
    graph.add_weighted_edges_from([(1, 2, 5), (1, 3, 6), (2, 3, 7), (1, 4, 8)])
    expected = nx.edge_betweenness_centrality(graph, weight="weight")
    np.testing.assert_allclose(table.betweenness, [expected[1, 2], expected[1, 3], expected[2, 3], expected[1, 4]])
    # only link 4 is a bridge: core 4 (40) falls away from 10 + 20 + 30
    pairs = sum(a * b for i, a in enumerate((10, 20, 30, 40)) for b in (10, 20, 30, 40)[i + 1 :])
    np.testing.assert_allclose(table.linked_area_loss, [0, 0, 0, 40 * 60 / pairs])


def test_zonal_parts_are_means_over_the_corridor(star):
    corridors_, cores, raster, habitat = star
    table = by_link(corridors.prioritise(corridors_, cores, raster, habitat, human_use=habitat))
    assert table.mean_resistance.tolist() == [2, 2, 2, 2]
    steps = np.linspace(0, 1, 12)
    expected = [steps[0:2].mean(), steps[2:6].mean(), steps[6:8].mean(), steps[8:12].mean()]
    np.testing.assert_allclose(table.habitat_share, expected)
    np.testing.assert_allclose(table.human_use, expected)


def test_criteria_are_means_of_scaled_parts(star):
    corridors_, cores, raster, habitat = star
    table = by_link(corridors.prioritise(corridors_, cores, raster, habitat))

    def scaled(values):
        values = np.asarray(values, float)
        return (values - values.min()) / (values.max() - values.min())

    # resistance is the same everywhere, so that part is left out
    areas = np.log([10 * 20, 10 * 30, 20 * 30, 10 * 40])
    np.testing.assert_allclose(table.ecological, (scaled(table.habitat_share) + scaled(areas)) / 2)
    np.testing.assert_allclose(table.network, (scaled(table.betweenness) + scaled(table.linked_area_loss)) / 2)
    np.testing.assert_allclose(table.vulnerability, 1 - scaled([1000, 3000, 2000, 4000]))
    np.testing.assert_allclose(table.score, (table.ecological + table.network + table.vulnerability) / 3)


def test_weights_decide_the_order(star):
    corridors_, cores, raster, habitat = star
    only = {"ecological_weight": 0, "network_weight": 0, "vulnerability_weight": 1}
    ranking = corridors.prioritise(corridors_, cores, raster, habitat, **only).ranking
    assert ranking.link.tolist() == [1, 3, 2, 4]
    assert ranking["rank"].tolist() == [1, 2, 3, 4]


def test_protected_land_and_distance_to_roads_enter_vulnerability(star):
    corridors_, cores, raster, habitat = star
    protected = cell_boxes(raster, [(0, 0, 3, 4)])
    road = gpd.GeoDataFrame(geometry=[shapely.LineString([(11_500, 0), (11_500, 3000)])], crs=3035)
    table = by_link(corridors.prioritise(corridors_, cores, raster, habitat, protected=protected, roads=road))
    assert table.unprotected_share.tolist() == [0, 0.5, 1, 1]
    # cell centres lie 11, 10 | 9..6 | 5, 4 | 3..0 km from the road's column
    np.testing.assert_allclose(table.road_distance_km, [10.5, 7.5, 4.5, 1.5])


def test_stability_is_the_share_of_draws_and_is_reproducible(star):
    corridors_, cores, raster, habitat = star
    first = by_link(corridors.prioritise(corridors_, cores, raster, habitat, top_n=2, seed=1))
    again = by_link(corridors.prioritise(corridors_, cores, raster, habitat, top_n=2, seed=1))
    np.testing.assert_array_equal(first.top_share, again.top_share)
    assert first.top_share.sum() == pytest.approx(2)  # two places in every draw
    everyone = corridors.prioritise(corridors_, cores, raster, habitat, top_n=4).ranking
    assert (everyone.top_share == 1).all()


def test_a_corridor_that_is_best_in_everything_is_always_first():
    raster = planar(np.full((2, 8), 3.0), cell_m=1000)
    raster.values[:, :4] = 1.0
    cores = cell_boxes(raster, [(0, 0), (0, 3), (0, 7)], core=[1, 2, 3], area_km2=[100.0, 90.0, 1.0])
    made = cell_boxes(
        raster, [(0, 0, 2, 4), (0, 4, 2, 4)], link=[1, 2], core_a=[1, 2], core_b=[2, 3], cost=[1.0, 9.0],
        min_width_m=[500.0, 2000.0], corridor_area_km2=[8.0, 8.0],
    )  # fmt: skip
    result = corridors.prioritise(made, cores, raster, raster / 3 * 0 + (raster == 1), top_n=1)
    assert by_link(result).top_share.tolist() == [1, 0]


def test_weights_that_are_all_zero_and_unknown_cores_are_refused(star):
    corridors_, cores, raster, habitat = star
    nothing = {"ecological_weight": 0, "network_weight": 0, "vulnerability_weight": 0}
    with pytest.raises(LinkwaysError, match="all three weights are 0"):
        corridors.prioritise(corridors_, cores, raster, habitat, **nothing)
    with pytest.raises(LinkwaysError, match="names core 4"):
        corridors.prioritise(corridors_, cores.iloc[:3], raster, habitat)


def test_area_by_region_counts_every_corridor_cell_once():
    mosaic = planar([[0, 0, 0, np.nan], [0, 0, 0, 0]], cell_m=1000)
    regions = cell_boxes(mosaic, [(0, 0, 2, 1), (0, 1, 2, 2)], name=["West", "Middle"])
    cores = cell_boxes(mosaic, [(0, 0)])
    table = corridors.area_by_region(mosaic, regions, cores).set_index("region")
    assert table.corridor_km2.to_dict() == {"Middle": 4, "West": 1, "(none)": 1}
    assert table.core_km2.to_dict() == {"Middle": 0, "West": 1, "(none)": 0}
    assert table.share.sum() == pytest.approx(1)
    assert table.share["Middle"] == pytest.approx(4 / 6)


def test_a_missing_name_column_is_refused():
    mosaic = planar([[0.0, 0.0]])
    with pytest.raises(LinkwaysError, match="no column 'name'"):
        corridors.area_by_region(mosaic, cell_boxes(mosaic, [(0, 0)], nam=["x"]))
