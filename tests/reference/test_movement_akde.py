"""AKDE beside ctmm 1.3.1 (Fleming and Calabrese; GPL-3, run apart): elephant Habiba, every 4th fix, UTM 37N.

Reference: OUF anisotropic tau_p 267574.6 s, log-likelihood -5424.938, AICc 10864.063, AKDE 95 % 161.894 km2
[48.99, 341.05] with 4.55 effective places; OU isotropic log-likelihood -5556.511; IID KDE 95 % 64.09 km2.
"""

import geopandas as gpd
import pandas as pd
import pytest

from linkways import movement


@pytest.fixture(scope="module")
def habiba(shared):
    table = pd.read_csv(shared / "data" / "movement" / "movebank_elephants_wall2014.csv.gz")
    table = table[table["individual-local-identifier"] == "Habiba"].sort_values("timestamp").iloc[::4]
    places = gpd.points_from_xy(table["location-long"], table["location-lat"], crs="EPSG:4326").to_crs("EPSG:32637")
    time = pd.to_datetime(table["timestamp"], utc=True).to_numpy()
    return gpd.GeoDataFrame({"animal": "Habiba", "time": pd.DatetimeIndex(time, tz="UTC")}, geometry=places)


@pytest.fixture(scope="module")
def found(habiba):
    return movement.akde(habiba)


def test_the_same_model_is_chosen_with_the_same_likelihood(found):
    row = found.animals.iloc[0]
    assert row.fixes == 381
    assert row.model == "OUF anisotropic"
    assert row.loglik == pytest.approx(-5424.938, abs=0.001)
    assert row.aicc == pytest.approx(10864.063, abs=0.003)
    assert row.tau_position_h * 3600 == pytest.approx(267574.6, rel=1e-3)
    assert row.tau_velocity_h * 3600 == pytest.approx(2699.05, rel=0.01)


def test_the_round_ou_model_has_the_same_likelihood(found):
    model = found.models.set_index("model").loc["OU isotropic"]
    assert model.loglik == pytest.approx(-5556.511, abs=0.003)


def test_the_area_agrees_within_half_a_per_cent_and_its_interval_within_one(found):
    row = found.animals.iloc[0]
    assert row.area_95_km2 == pytest.approx(161.894, rel=0.005)
    assert row.area_95_low_km2 == pytest.approx(48.99, rel=0.012)
    assert row.area_95_high_km2 == pytest.approx(341.05, rel=0.012)
    assert row.dof_area == pytest.approx(4.55, rel=0.02)


def test_independent_fixes_give_the_area_of_the_plain_kernel_density(habiba):
    row = movement.akde(habiba, model="IID", shape="ellipse").animals.iloc[0]
    assert row.area_95_km2 == pytest.approx(64.09, rel=0.002)
