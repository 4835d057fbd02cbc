"""Siting beside PySAL spopt's own example: 16 stores, 205 San Francisco tracts, network distances (BSD-3)."""

import geopandas as gpd
import pandas as pd
import pytest

from linkways import planning

pytest.importorskip("spopt")


@pytest.fixture(scope="module")
def city(shared):
    folder = shared / "data" / "movement"
    tracts = pd.read_csv(folder / "spopt_SF_demand_205_centroid_uniform_weight.csv")
    stores = pd.read_csv(folder / "spopt_SF_store_site_16_longlat.csv")
    table = pd.read_csv(folder / "spopt_SF_network_distance_candidateStore_16_censusTract_205_new.csv")
    demand = gpd.GeoDataFrame(
        {"demand": tracts["NAME"], "weight": tracts["POP2000"]},
        geometry=gpd.points_from_xy(tracts["long"], tracts["lat"]),
        crs="EPSG:4326",
    )
    sites = gpd.GeoDataFrame(
        {"site": stores["NAME"]}, geometry=gpd.points_from_xy(stores["long"], stores["lat"]), crs="EPSG:4326"
    )
    travel = table.rename(columns={"name": "site", "distance": "travel"}).drop(columns="demand")
    return {"demand": demand, "sites": sites, "travel": travel.rename(columns={"DestinationName": "demand"})}


def test_the_p_median_of_four_stores_is_that_of_spopt(city):
    found = planning.coverage(**city, units=4)
    assert found.objective == pytest.approx(2848268129.7145, abs=1e-3)
    assert found.mean_travel == pytest.approx(2982.126858, abs=1e-6)
    assert set(found.sites.site) == {"Store_11", "Store_12", "Store_15", "Store_2"}
    assert found.gap == 0


def test_the_maximal_cover_is_that_of_spopt_and_its_share_is_of_people(city):
    found = planning.coverage(**city, aim="max_cover", units=4, limit=5000.0)
    assert found.covered_weight == 875_247
    assert found.covered_share == pytest.approx(875_247 / 955_113)
    # what spopt calls coverage is the share of tracts
    assert found.covered_points_share == pytest.approx(0.8976, abs=5e-5)


@pytest.mark.parametrize(("limit", "units"), [(5000.0, 8), (8000.0, 3)])
def test_the_set_cover_needs_as_many_stores_as_that_of_spopt(city, limit, units):
    assert planning.coverage(**city, aim="set_cover", limit=limit, curve_to=1).units == units


def test_the_p_centre_of_four_stores_is_that_of_spopt(city):
    assert planning.coverage(**city, aim="p_centre", units=4, curve_to=1).objective == pytest.approx(
        7403.0638, abs=1e-4
    )
