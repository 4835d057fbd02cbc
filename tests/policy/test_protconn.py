"""ProtConn: cases whose answer can be seen, properties, years, regions, costs and refusals."""

import math

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, spatial
from linkways.policy import protconn
from tests.policy.places import METRES, layer, scattered, square

COUNTRY = layer(shapely.box(0, 0, 60_000, 60_000))
FRACTIONS = ("ProtConn_Within", "ProtConn_Contig", "ProtConn_Unprot", "ProtConn_Trans")
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def at(found, kilometres: float = 10.0):
    return found.fractions.set_index("distance_km").loc[kilometres]


def brute_force(shapes: list, region_area: float, distance_m: float, probability: float = 0.5) -> float:
    """ProtConn from all pairs of distances by shapely and the best products by Floyd and Warshall."""
    nodes = shapely.get_parts(shapely.union_all(shapes))
    p = probability ** (shapely.distance(nodes[:, None], nodes[None, :]) / distance_m)
    for k in range(len(nodes)):
        p = np.maximum(p, p[:, k : k + 1] * p[k : k + 1, :])
    area = shapely.area(nodes)
    return 100 * math.sqrt(area @ p @ area) / region_area


def test_two_squares_ten_kilometres_apart_are_connected_by_half():
    found = protconn(layer(square(0, 0), square(11_000, 0)), COUNTRY)
    eca = math.sqrt(1 + 1 + 2 * 0.5)
    assert at(found).ECA_km2 == pytest.approx(eca)
    assert found.prot == pytest.approx(100 * 2 / 3600)
    assert found.protconn == pytest.approx(100 * eca / 3600)
    assert found.relconn == pytest.approx(100 * eca / 2)
    assert at(found).ProtConn_Prot == pytest.approx(100 * math.sqrt(2) / eca)
    # without either square only one is left, whose ECA is its area
    np.testing.assert_allclose(found.nodes.dProtConn, 100 * (eca - 1) / eca)
    np.testing.assert_allclose(found.nodes.varProtConn, 100 * (eca - 1) / 3600)


def test_a_stepping_stone_beyond_the_border_shortens_the_way_and_has_no_area():
    areas = layer(square(0, 0), square(21_000, 0), shapely.box(1000, -1500, 21_000, -500))
    found = protconn(areas, COUNTRY, transboundary_km=50)
    assert at(found).nodes_beyond == 1
    p = 0.5 ** (2 * 500 / 10_000)
    eca, alone = math.sqrt(2 + 2 * p), math.sqrt(2 + 2 * 0.25)
    assert at(found).ECA_km2 == pytest.approx(eca)
    assert at(found).protected_km2 == pytest.approx(2.0)
    assert at(found).ProtConn_Trans == pytest.approx(100 * (eca - alone) / eca)
    stone = found.nodes[found.nodes.beyond_border].iloc[0]
    assert stone.area_km2 == 0
    assert stone.dProtConn == pytest.approx(100 * (eca - alone) / eca)


def test_a_site_across_the_border_counts_inside_and_steps_outside():
    found = protconn(layer(shapely.box(-1000, 0, 1000, 1000)), COUNTRY)
    assert at(found).protected_km2 == pytest.approx(1.0)
    assert (at(found).nodes, at(found).nodes_beyond) == (1, 1)


def test_stepping_stones_are_sought_within_the_buffer_only():
    areas = layer(square(0, 0), square(-31_000, 0), square(-5000, 30_000))
    assert protconn(areas, COUNTRY, transboundary_km=29).fractions.nodes_beyond.max() == 0
    assert protconn(areas, COUNTRY, transboundary_km=31).fractions.nodes_beyond.max() == 2
    from_region = protconn(areas, COUNTRY, transboundary_km=5, transboundary_from="region")
    assert from_region.fractions.nodes_beyond.max() == 1


def test_two_designations_of_the_same_ground_are_within_and_two_neighbours_are_contiguous():
    whole = shapely.box(0, 0, 2000, 1000)
    twice = at(protconn(layer(whole, whole), COUNTRY))
    assert twice.ProtConn_Within == pytest.approx(100)
    halves = at(protconn(layer(square(0, 0), square(1000, 0)), COUNTRY))
    # each half alone: sqrt(1 + 1) sqrt(2 / 2) of an ECA of 2
    assert halves.ProtConn_Within == pytest.approx(100 * math.sqrt(2) / 2)
    assert halves.ProtConn_Contig == pytest.approx(100 - 100 * math.sqrt(2) / 2)


def test_on_an_island_only_the_sea_isolates_and_the_bound_variant_forgives_it():
    """One island holds a site, the mainland two that lie 10 km apart; free land joins the two of the mainland."""
    areas = layer(square(0, 0), square(11_000, 0), square(40_000, 0))
    land = layer(shapely.box(-2000, 0, 30_000, 5000), shapely.box(40_000, 0, 42_000, 5000))
    found = protconn(areas, COUNTRY, land)
    island, across = 0.5 ** (28_000 / 10_000), 0.5 ** (10_000 / 10_000)
    via_land = 0.5 ** (10_000 / 10_000)  # from the mainland's coast at x = 30 km to the island at 40 km
    eca = math.sqrt(3 + 2 * across + 2 * island + 2 * island * across)
    free = math.sqrt(3 + 2 * 1 + 4 * via_land)
    row = at(found)
    assert row.ECA_km2 == pytest.approx(eca)
    assert row.SeaOutland == pytest.approx(100 * (3 - free) / 3600)
    assert row.ProtConn_Bound == pytest.approx(100 * (eca + 3 - free) / 3600)
    assert row.ProtUnconn_Design == pytest.approx(100 * (free - eca) / 3600)
    assert found.protconn_bound == pytest.approx(row.ProtConn_Bound)


def test_without_land_no_bound_variant_is_told():
    found = protconn(layer(square(0, 0)), COUNTRY)
    assert math.isnan(found.protconn_bound)
    assert "SeaOutland" not in found.fractions


@FEW
@given(seed=st.integers(0, 10_000))
def test_fractions_add_up_to_a_hundred_and_keep_their_order(seed):
    areas = gpd.GeoDataFrame(geometry=scattered(25, seed, 80_000), crs=METRES)
    table = protconn(areas, COUNTRY, delta=False).fractions
    np.testing.assert_allclose(table[list(FRACTIONS)].sum(axis=1), 100.0, rtol=1e-12)
    np.testing.assert_allclose(table[[f"{f}_land" for f in FRACTIONS]].sum(axis=1), table.ProtConn, rtol=1e-12)
    np.testing.assert_allclose(table.ProtConn + table.ProtUnconn, table.Prot, rtol=1e-12)
    assert (table[list(FRACTIONS)] >= 0).all(axis=None)
    assert table.ProtConn.is_monotonic_increasing


@FEW
@given(seed=st.integers(0, 10_000), probability=st.sampled_from([0.05, 0.5, 0.9]))
def test_the_index_is_that_of_all_pairs_by_brute_force(seed, probability):
    shapes = scattered(20, seed, 30_000)
    inside = list(shapely.intersection(shapes, COUNTRY.geometry[0]))
    found = protconn(
        layer(*inside), COUNTRY, distances_km=[2], probabilities=[probability], cutoff=1e-12, delta=False, headline_km=2
    )
    assert found.protconn == pytest.approx(brute_force(inside, 3.6e9, 2000, probability), rel=1e-9)


@FEW
@given(seed=st.integers(0, 10_000))
def test_what_the_cutoff_hides_is_no_more_than_the_bound(seed):
    areas = gpd.GeoDataFrame(geometry=scattered(30, seed), crs=METRES)
    rough = protconn(areas, COUNTRY, distances_km=[1], headline_km=1, cutoff=0.05, delta=False)
    exact = protconn(areas, COUNTRY, distances_km=[1], headline_km=1, cutoff=1e-15, delta=False)
    assert -1e-12 <= exact.protconn - rough.protconn <= rough.error_bound + 1e-12


@FEW
@given(seed=st.integers(0, 10_000), data=st.data())
def test_the_order_of_the_areas_does_not_matter(seed, data):
    shapes = list(scattered(15, seed))
    order = data.draw(st.permutations(range(len(shapes))))
    one = protconn(layer(*shapes), COUNTRY)
    other = protconn(layer(*[shapes[i] for i in order]), COUNTRY)
    columns = one.fractions.select_dtypes("number").columns
    np.testing.assert_allclose(other.fractions[columns], one.fractions[columns], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(np.sort(other.nodes.varProtConn), np.sort(one.nodes.varProtConn), rtol=1e-9, atol=1e-15)


@FEW
@given(x=st.floats(0, 50_000), side=st.floats(100, 10_000))
def test_a_single_protected_area_is_wholly_connected(x, side):
    found = protconn(layer(square(x, x, side)), COUNTRY)
    np.testing.assert_allclose(found.fractions.ProtConn, found.prot, rtol=1e-12)
    assert found.relconn == pytest.approx(100)


@FEW
@given(count=st.integers(2, 12))
def test_areas_that_all_touch_are_wholly_connected(count):
    found = protconn(layer(*[square(1000 * i, 0) for i in range(count)]), COUNTRY)
    assert found.relconn == pytest.approx(100, rel=1e-12)
    assert (found.fractions.nodes == 1).all()


def test_with_ever_larger_distance_everything_is_connected_and_with_ever_smaller_nothing():
    areas = layer(*[square(15_000 * i, 15_000 * i, 500 + 500 * i) for i in range(4)])
    found = protconn(areas, COUNTRY, distances_km=[1e-3, 1e9])
    assert at(found, 1e9).RelConn == pytest.approx(100, rel=1e-6)
    area = np.array([0.25, 1.0, 2.25, 4.0])
    assert at(found, 1e-3).ECA_km2 == pytest.approx(math.sqrt((area**2).sum()))


def test_kilometres_feet_and_metres_give_the_same():
    shapes = scattered(20, 4)
    metres = protconn(gpd.GeoDataFrame(geometry=shapes, crs=METRES), COUNTRY)
    wkt = gpd.GeoSeries([], crs=METRES).crs.to_proj4
    with pytest.warns(UserWarning, match="lose important projection information"):
        definition = wkt()
    for unit, factor in (("km", 1e-3), ("us-ft", 3937 / 1200)):
        crs = definition.replace("+units=m", f"+units={unit}")
        scale = lambda xy, factor=factor: xy * factor  # noqa: E731
        areas = gpd.GeoDataFrame(geometry=shapely.transform(shapes, scale), crs=crs)
        region = gpd.GeoDataFrame(geometry=shapely.transform(COUNTRY.geometry.to_numpy(), scale), crs=crs)
        other = protconn(areas, region)
        columns = metres.fractions.select_dtypes("number").columns
        np.testing.assert_allclose(other.fractions[columns], metres.fractions[columns], rtol=1e-8, atol=1e-10)


def test_regions_are_computed_apart_and_the_indicators_weigh_them_by_area():
    areas = layer(square(0, 0), square(11_000, 0), square(70_000, 0, 5000))
    regions = gpd.GeoDataFrame(
        {"iso3": ["AAA", "BBB"]},
        geometry=[shapely.box(0, 0, 60_000, 60_000), shapely.box(60_000, 0, 80_000, 60_000)],
        crs=METRES,
    )
    found = protconn(areas, regions, region_column="iso3", distances_km=[10])
    rows = found.fractions.set_index("region")
    alone = protconn(areas, regions.iloc[[1]], distances_km=[10])
    assert rows.loc["BBB"].ProtConn == pytest.approx(alone.protconn)
    assert rows.loc["AAA"].nodes_beyond == 1
    assert found.protconn == pytest.approx(0.75 * rows.loc["AAA"].ProtConn + 0.25 * rows.loc["BBB"].ProtConn)
    assert set(found.nodes.region) == {"AAA", "BBB"}


def test_years_show_the_sites_that_were_there():
    areas = layer(square(0, 0), square(11_000, 0), square(30_000, 30_000), STATUS_YR=[1990, 2010, 0])
    found = protconn(areas, COUNTRY, years=[2000, 2020], distances_km=[10])
    assert found.fractions.set_index("year").protected_km2.tolist() == pytest.approx([2.0, 3.0])
    strict = protconn(areas, COUNTRY, years=[2000, 2020], distances_km=[10], unknown_year="drop")
    assert strict.fractions.set_index("year").protected_km2.tolist() == pytest.approx([1.0, 2.0])
    assert found.prot == pytest.approx(100 * 3 / 3600)
    assert len(found.nodes) == 3
    with pytest.raises(LinkwaysError, match="STATUS_YR"):
        protconn(areas.drop(columns="STATUS_YR"), COUNTRY, years=[2000])


def test_a_year_before_all_sites_has_nothing_protected():
    areas = layer(square(0, 0), STATUS_YR=[1990])
    row = protconn(areas, COUNTRY, years=[1980], distances_km=[10]).fractions.iloc[0]
    assert (row.Prot, row.ProtConn, row.nodes) == (0, 0, 0)
    assert math.isnan(row.RelConn)


def test_a_region_without_protected_areas_is_told_as_zero():
    row = at(protconn(layer(square(200_000, 0)), COUNTRY))
    assert (row.Prot, row.ProtConn, row.ProtConn_Trans_land) == (0, 0, 0)


def test_every_combination_of_distance_and_probability_is_in_the_table():
    found = protconn(layer(square(0, 0), square(5000, 0)), COUNTRY, distances_km=[1, 30], probabilities=[0.5, 0.05])
    pairs = {(r.distance_km, r.probability) for r in found.fractions.itertuples()}
    assert pairs == {(d, p) for d in (1, 10, 30) for p in (0.5, 0.05)}
    table = found.fractions.set_index(["distance_km", "probability"])
    p = 0.05 ** (4000 / 30_000)
    assert table.loc[(30, 0.05)].ECA_km2 == pytest.approx(math.sqrt(2 + 2 * p))


def test_resistance_makes_distances_costs():
    """Two areas 10 cells apart, with resistance 3 between: cost 3 x 9 km + two halves of a cell at each border."""
    resistance = np.full((60, 60), 3.0)
    resistance[59, [0, 11]] = 1.0
    raster = spatial.new_raster(resistance, crs=METRES, cell_size=1000, origin=(0, 60_000))
    areas = layer(square(0, 0), square(11_000, 0))
    found = protconn(areas, COUNTRY, resistance=raster, distances_km=[10], cutoff=1e-6)
    cost = 9 * 3000 + 2 * 1000 * (3 + 1) / 2
    assert at(found).ECA_km2 == pytest.approx(math.sqrt(2 + 2 * 0.5 ** (cost / 10_000)))


def test_areas_smaller_than_a_cell_keep_apart_on_the_resistance_raster():
    raster = spatial.new_raster(np.full((60, 60), 2.0), crs=METRES, cell_size=1000, origin=(0, 60_000))
    areas = layer(square(100, 100, 100), square(700, 100, 100))
    found = protconn(areas, COUNTRY, resistance=raster, distances_km=[10])
    p = 0.5 ** (2 * 500 / 10_000)
    assert at(found).ECA_km2 == pytest.approx(0.01 * math.sqrt(2 + 2 * p))
    assert found.decisions.decision.str.contains("too small").any()


def test_areas_without_resistance_are_refused():
    raster = spatial.new_raster(np.full((5, 5), 2.0), crs=METRES, cell_size=1000, origin=(0, 60_000))
    with pytest.raises(LinkwaysError, match="lie outside the raster or on cells without resistance"):
        protconn(layer(square(0, 0), square(5000, 0)), COUNTRY, resistance=raster)


def test_areas_within_the_tolerance_are_one_node():
    areas = layer(square(0, 0), square(1100, 0))
    assert protconn(areas, COUNTRY).fractions.nodes.max() == 2
    one = protconn(areas, COUNTRY, dissolve_within_m=100)
    assert one.fractions.nodes.max() == 1
    assert one.relconn == pytest.approx(100)


def test_small_sites_are_dropped_when_asked_and_counted():
    found = protconn(layer(square(0, 0), square(5000, 0, 500)), COUNTRY, min_area_km2=1)
    assert at(found).protected_km2 == pytest.approx(1.0)
    row = found.decisions[found.decisions.decision.str.contains("less than 1 km2")].iloc[0]
    assert (row.features, row.area_km2) == (1, pytest.approx(0.25))


def test_the_same_country_in_degrees_gives_the_same():
    """In the plane of EPSG:3035 about its centre, where its scale is true, and on the ellipsoid."""
    side = 60_000
    origin = np.array([4_321_000 - side / 2, 3_210_000 - side / 2])
    shapes = shapely.segmentize(scattered(40, 11), 500)
    plane = gpd.GeoDataFrame(geometry=shapely.transform(shapes, lambda xy: xy + origin), crs=METRES)
    country = gpd.GeoDataFrame(geometry=[shapely.box(*origin, *(origin + side))], crs=METRES)
    country = country.set_geometry(country.segmentize(500))
    flat = protconn(plane, country)
    round_ = protconn(plane.to_crs("EPSG:4258"), country.to_crs("EPSG:4258"))
    columns = ["Prot", "ProtConn", "RelConn", "ProtConn_Unprot", "ProtConn_Within"]
    np.testing.assert_allclose(round_.fractions[columns], flat.fractions[columns], rtol=2e-5)
    assert round_.nodes.crs == plane.to_crs("EPSG:4258").crs


def test_metres_in_a_geographic_crs_and_degrees_in_a_projected_one_are_refused():
    with pytest.raises(LinkwaysError, match="no longitudes and latitudes"):
        protconn(layer(square(0, 0), crs="EPSG:4326"), COUNTRY)
    with pytest.raises(LinkwaysError, match="look like degrees"):
        protconn(layer(square(10, 45, 1)), COUNTRY)
    with pytest.raises(LinkwaysError, match="has no CRS"):
        protconn(layer(square(0, 0), crs=None), COUNTRY)


def test_overlapping_sites_are_counted_or_refused():
    areas = layer(square(0, 0), square(500, 0))
    found = protconn(areas, COUNTRY)
    row = found.decisions[found.decisions.step == "dissolve"].iloc[0]
    assert row.area_km2 == pytest.approx(0.5)
    assert found.prot == pytest.approx(100 * 1.5 / 3600)
    with pytest.raises(LinkwaysError, match=r"overlap on 0\.5 km2"):
        protconn(areas, COUNTRY, overlaps="refuse")


def test_overlapping_regions_are_told_or_refused():
    regions = layer(shapely.box(0, 0, 9000, 9000), shapely.box(5000, 0, 12_000, 9000), name=["a", "b"])
    found = protconn(layer(square(0, 0)), regions, region_column="name")
    assert found.decisions.decision.str.contains("regions that overlap").any()
    with pytest.raises(LinkwaysError, match="a and b"):
        protconn(layer(square(0, 0)), regions, region_column="name", overlaps="refuse")


def test_a_missing_region_column_is_refused_with_the_nearest_name():
    with pytest.raises(LinkwaysError, match=r"no column 'ISO'.*ISO3"):
        protconn(layer(square(0, 0)), COUNTRY.assign(ISO3="AAA"), region_column="ISO")


def test_land_and_resistance_together_are_refused():
    raster = spatial.new_raster(np.ones((3, 3)), crs=METRES, cell_size=1000)
    with pytest.raises(LinkwaysError, match="either land or resistance"):
        protconn(layer(square(0, 0)), COUNTRY, COUNTRY, raster)


def test_a_projection_that_swells_areas_is_told():
    areas = layer(square(0, 8_000_000), crs="EPSG:3857")
    region = layer(shapely.box(0, 8_000_000, 60_000, 8_060_000), crs="EPSG:3857")
    found = protconn(areas, region)
    told = found.decisions.decision[found.decisions.decision.str.contains("areas in it are off by")].iloc[0]
    # Mercator at latitude 58.3: 1 / cos^2
    assert 200 < float(told.split("up to ")[1].split(" %")[0]) < 300
