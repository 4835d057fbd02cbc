"""Carbon by hand, and the figures that projects and notes give."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from linkways import LinkwaysError
from linkways.planning.carbon import _packaged, carbon
from linkways.spatial import recording

FLAT = pd.DataFrame({"age_from": [0], "age_to": [100], "value": [3.0], "low": [2.0], "high": [4.0]})
PLAIN = {"root_ratio": 0.0, "carbon_fraction": 0.5}  # 3 t of dry matter hold 1.5 t of carbon, 5.5 t CO2
SQUARES = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 100, 200), shapely.box(0, 0, 100, 100)], crs="EPSG:3035")


def test_fifty_years_on_75000_hectares_take_up_29_5_million_tonnes():
    # methods/networks.md 3.6: 5.9 then 2.3 t/ha/year, R 0.221, CF 0.47: 7.87 t CO2/ha/year
    found = carbon(area_ha=75_000, years=50)
    by_hand = (20 * 5.9 + 30 * 2.3) * 1.221 * 0.47 * 44 / 12
    assert found.tco2 == pytest.approx(75_000 * by_hand, rel=1e-12)
    assert found.tco2 / 75_000 / 50 == pytest.approx(7.87, abs=0.005)
    assert found.tco2 / 1e6 == pytest.approx(29.5, abs=0.05)
    assert found.trees == 150e6


def test_growth_slows_at_twenty_years():
    yearly = carbon(area_ha=1, years=22).by_year["tco2_central"]
    assert yearly[19] / yearly[20] == pytest.approx(5.9 / 2.3)
    assert yearly[0] == yearly[19]


def test_money_by_hand():
    found = carbon(
        rates=FLAT, area_ha=10, years=2, **PLAIN, price_per_t=20, price_low=10, price_high=30, buffer_share=0.2,
        discount_rate=0.1, planting_cost_per_ha=50, upkeep_cost_per_ha=5, upkeep_years=1,
    )  # fmt: skip
    # 55 t a year, 44 sold at 20 at the end of each year; 500 at once, 50 a year later
    assert found.tco2 == pytest.approx(110)
    assert found.credit_revenue == pytest.approx(1760)
    assert found.planting_cost == pytest.approx(550)
    assert found.npv == pytest.approx(-500 + (880 - 50) / 1.1 + 880 / 1.1**2)
    low, _, high = found.scenarios["npv"]
    assert low == pytest.approx(-500 + (880 / 3 - 50) / 1.1 + 880 / 3 / 1.1**2)
    assert high == pytest.approx(-500 + (1760 - 50) / 1.1 + 1760 / 1.1**2)
    assert found.by_year["npv_central"].iloc[-1] == pytest.approx(found.npv)


def test_land_planted_later_is_younger():
    at_once = carbon(rates=FLAT, area_ha=6, years=3, **PLAIN)
    spread = carbon(rates=FLAT, area_ha=6, years=3, planting_years=3, **PLAIN)
    assert spread.by_year["planted_ha"].tolist() == [2, 2, 2]
    np.testing.assert_allclose(spread.by_year["tco2_central"], [11, 22, 33])
    assert at_once.tco2 == pytest.approx(99)
    half = carbon(rates=FLAT, area_ha=6, years=3, planting_years=6, **PLAIN)
    assert half.trees == pytest.approx(3 * 2000)


@given(st.integers(1, 100), st.floats(0.1, 1e6))
def test_the_range_holds_the_value_and_removals_are_proportional_to_area(years, area):
    found = carbon(area_ha=area, years=years)
    low, central, high = found.scenarios["tco2"]
    assert low <= central <= high
    assert central == pytest.approx(area * carbon(area_ha=1, years=years).tco2)


def test_sites_share_by_area_and_take_restored_hectares_before_outlines():
    found = carbon(SQUARES, years=5)
    assert found.by_site["area_ha"].tolist() == [2.0, 1.0]
    assert found.by_site["tco2_central"].sum() == pytest.approx(found.tco2)
    told = carbon(SQUARES.assign(restored_ha=[1.0, 3.0]), years=5)
    assert told.by_site["area_ha"].tolist() == [1.0, 3.0]
    assert told.tco2 == pytest.approx(found.tco2 * 4 / 3)


def test_degrees_are_hectares_on_the_ellipsoid():
    found = carbon(SQUARES.to_crs(4326), years=1)
    assert found.by_site["area_ha"].sum() == pytest.approx(3.0, rel=2e-3)


def test_a_hole_is_left_out_however_its_ring_runs():
    shell = [(10, 50), (10.02, 50), (10.02, 50.02), (10, 50.02)]
    hole = [(10.005, 50.005), (10.015, 50.005), (10.015, 50.015), (10.005, 50.015)]
    found = [
        carbon(gpd.GeoDataFrame(geometry=[shapely.Polygon(shell, [ring])], crs=4326), years=1).by_site["area_ha"][0]
        for ring in (hole, hole[::-1])
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-12)
    # a cell of a hundredth of a degree at 50.01 degrees north: three of four quarters remain
    assert found[0] == pytest.approx(3 * 1112.2 * 716.8 / 1e4, rel=2e-3)


def test_invalid_and_overlapping_sites_are_told():
    bowtie = shapely.Polygon([(4e6, 3e6), (4e6 + 100, 3e6 + 100), (4e6 + 100, 3e6), (4e6, 3e6 + 100)])
    with recording() as notes:
        found = carbon(gpd.GeoDataFrame(geometry=[bowtie], crs="EPSG:3035"), years=1)
    assert found.by_site["area_ha"].tolist() == [0.5]
    assert "1 invalid sites made valid" in notes[0]
    with recording() as notes:
        carbon(SQUARES, years=1)
    assert "sites overlap, so that their areas sum to 50 % more" in notes[0]


def test_every_rate_of_the_packaged_table_names_its_source_and_how_far_it_was_checked():
    assert {"growth", "root_ratio", "carbon_fraction"} == {row["quantity"] for row in _packaged()}
    for row in _packaged():
        assert row["source"]
        assert row["range_source"]
        assert row["licence"]
        assert row["unit"]
        assert row["status"] in ("abstract", "recoded", "unverified")
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])


def test_the_result_tells_which_rates_were_used():
    sources = carbon(area_ha=1, years=30, root_ratio=0.3).sources
    assert sources["quantity"].tolist() == ["growth", "growth", "root_ratio", "carbon_fraction"]
    assert sources["status"].tolist() == ["unverified", "abstract", "given", "unverified"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either sites or area_ha"),
        ({"sites": SQUARES, "area_ha": 1}, "either sites or area_ha"),
        ({"area_ha": 1, "region": "asia", "years": 30}, "no growth for forest of 20 years"),
        ({"area_ha": 1, "rates": FLAT.assign(low=5)}, "row 0 of rates"),
        ({"area_ha": 1, "rates": FLAT.assign(age_from=10)}, "rates has no growth for forest of 0 years"),
        ({"area_ha": 1, "price_per_t": 5, "price_low": 9}, "prices must rise"),
        ({"sites": SQUARES.to_crs(4326).set_crs(3035, allow_override=True)}, "look like degrees, but a CRS in metres"),
        ({"sites": SQUARES.assign(restored_ha=[1, np.nan])}, "1 of 2 have none, first the one with index 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(arguments, message):
    with pytest.raises(LinkwaysError, match=message):
        carbon(**arguments)


def test_jobs_follow_the_area_planted():
    assert carbon(area_ha=1000, years=20).jobs == pytest.approx(420)
    assert carbon(area_ha=1000, years=5, planting_years=10, jobs_per_ha=1).jobs == pytest.approx(500)
