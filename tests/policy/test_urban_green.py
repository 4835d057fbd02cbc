"""Green and blue space in cities."""

import math

import numpy as np
import pytest
import shapely

from linkways import LinkwaysError, spatial
from linkways.policy import urban_green
from tests.policy.places import METRES, layer

CITY = layer(shapely.box(0, 0, 1000, 1000))


def test_share_and_mesh_size_of_two_parks():
    parks = layer(shapely.box(0, 0, 100, 1000), shapely.box(500, 0, 700, 1000))
    found = urban_green(parks, CITY)
    assert found.green_percent == pytest.approx(30)
    assert found.mesh_ha == pytest.approx((10**2 + 20**2) / 100)
    assert found.mesh_cross_boundary_ha == pytest.approx(found.mesh_ha)
    assert found.patches.area_ha.tolist() == pytest.approx([10, 20])
    assert math.isnan(found.near_percent)


def test_overlapping_green_counts_once():
    parks = layer(shapely.box(0, 0, 200, 1000), shapely.box(100, 0, 300, 1000))
    assert urban_green(parks, CITY).green_percent == pytest.approx(30)


def test_parks_within_the_distance_are_one_mesh():
    parks = layer(shapely.box(0, 0, 100, 1000), shapely.box(150, 0, 250, 1000))
    assert urban_green(parks, CITY).mesh_ha == pytest.approx(2.0)
    assert urban_green(parks, CITY, connect_within_m=50).mesh_ha == pytest.approx(4.0)


def test_green_beyond_the_boundary_connects_what_it_parts():
    """A horseshoe whose legs are inside: cut at the boundary they are two, across it they are one."""
    shoe = shapely.union_all(
        [shapely.box(0, 800, 100, 1200), shapely.box(400, 800, 500, 1200), shapely.box(0, 1100, 500, 1200)]
    )
    found = urban_green(layer(shoe), CITY)
    leg, whole = 2.0, shoe.area / 1e4
    assert found.mesh_ha == pytest.approx(2 * leg**2 / 100)
    assert found.mesh_cross_boundary_ha == pytest.approx(2 * leg * whole / 100)


def test_people_near_green_space():
    park = layer(shapely.box(0, 0, 100, 1000))
    population = spatial.new_raster([[10, 20, np.nan, 5]], crs=METRES, cell_size=250, origin=(0, 250))
    found = urban_green(park, CITY, population, near_m=275)
    # centres at 125, 375 and 875 m: 25, 275 and 775 m from the park
    assert found.near_percent == pytest.approx(100 * 30 / 35)
    none_large = urban_green(park, CITY, population, near_m=275, min_near_ha=11)
    assert none_large.near_percent == 0


def test_cities_are_averaged_and_told_apart():
    cities = layer(shapely.box(0, 0, 1000, 1000), shapely.box(2000, 0, 5000, 1000), name=["a", "b"])
    found = urban_green(layer(shapely.box(0, 0, 500, 1000)), cities, city_column="name")
    assert found.cities.green_percent.tolist() == pytest.approx([50, 0])
    assert found.green_percent == pytest.approx(25)
    assert found.mesh_ha == pytest.approx(25 * 100 / 400)
    assert found.patches.city.tolist() == ["a"]


def test_a_city_in_degrees_has_the_same_values():
    move = np.array([4_321_000, 3_210_000])
    shapes = [shapely.box(200, 200, 700, 1500), shapely.box(0, 0, 1000, 1000)]
    park, city = (layer(shapely.transform(s, lambda xy: xy + move)) for s in shapes)
    flat, degrees = urban_green(park, city), urban_green(park.to_crs(4258), city.to_crs(4258))
    for name in ("green_percent", "mesh_ha", "mesh_cross_boundary_ha"):
        assert getattr(degrees, name) == pytest.approx(getattr(flat, name), rel=1e-5)


def test_negative_people_are_refused():
    population = spatial.new_raster([[10, -1]], crs=METRES, cell_size=250, origin=(0, 250))
    with pytest.raises(LinkwaysError, match="1 negative cells, first at row 0 column 1"):
        urban_green(CITY, CITY, population)
