"""Cleaning of 15 collars from Sublette County (Migration Mapper's sample data) against Migration Mapper and amt.

The expected numbers were computed once with the R code of Migration Mapper 3.2 and with amt 0.3.1.
"""

import numpy as np
import pandas as pd
import pytest

from linkways import movement, spatial

PLACE = {"x_column": "x_utm12n", "y_column": "y_utm12n", "xy_crs": "EPSG:32612"}


@pytest.fixture(scope="module")
def collars(shared):
    return spatial.read_table(shared / "data" / "movement" / "migrationmapper_sublette_gps.csv.gz")


@pytest.fixture(scope="module")
def cleaned(collars):
    return movement.tracks(collars, **PLACE, burst_gap_hours=10, still_hours=24)


def test_bursts_path_and_top_speed_are_those_of_migration_mapper(cleaned):
    assert cleaned.fixes["burst"].nunique() == 376
    assert cleaned.path_km == pytest.approx(10488.18854, abs=5e-6)
    assert cleaned.max_speed_m_s == pytest.approx(1.061552, abs=5e-7)
    assert cleaned.fixes_dropped == 0
    assert cleaned.fixes_kept == 37_554


def test_lines_add_up_to_the_path(cleaned):
    assert cleaned.lines["length_m"].sum() / 1000 == pytest.approx(10488.18854, abs=5e-6)
    np.testing.assert_allclose(cleaned.lines["length_m"], cleaned.lines.length, rtol=1e-9)


def test_problem_points_at_half_a_metre_a_second_are_those_of_migration_mapper(collars):
    found = movement.tracks(collars, **PLACE, burst_gap_hours=10, max_speed_m_s=0.5)
    assert set(found.reasons["why"]) == {"problem point"}
    # rows from 0 by animal and time (the table is in that order); the notes name these three of nine
    order = collars.assign(row=np.arange(len(collars))).sort_values(["id", "timestamp"])["row"].to_numpy()
    places = np.flatnonzero(np.isin(order, found.reasons["row"] - 1))
    assert len(places) == 9
    assert places[0] + 1 == 10371
    assert set(places + 1) >= {10371, 12440, 12564}


def test_two_animals_lie_still_for_more_than_a_day_and_none_for_two(collars, cleaned):
    assert cleaned.still[["animal", "hours"]].values.tolist() == [["346", 39.0], ["373", 36.0]]
    assert cleaned.still["start"].iloc[0] == pd.Timestamp("2009-06-11 18:00", tz="UTC")
    assert len(movement.tracks(collars, **PLACE, burst_gap_hours=10).still) == 0


def test_fast_steps_and_round_trips_of_one_animal_are_those_of_amt(collars):
    one = collars[collars["id"] == 317]
    fast = movement.tracks(one, **PLACE, fast_step_km_h=5, max_speed_m_s=None)
    assert fast.reasons["why"].tolist() == ["fast step"]
    trips = movement.tracks(one, **PLACE, round_trip_km_h=0.5, max_speed_m_s=None)
    assert trips.reasons["why"].tolist() == ["round trip"] * 27


def test_longitude_and_latitude_land_on_the_places_that_the_table_gives_in_utm(collars):
    found = movement.tracks(collars).fixes
    assert found.crs == "EPSG:32612"
    there = collars.iloc[found["row"] - 1]
    apart = np.hypot(found.geometry.x - there["x_utm12n"].to_numpy(), found.geometry.y - there["y_utm12n"].to_numpy())
    # six decimals of a degree are 0.11 m
    assert apart.max() < 0.2


def test_a_movebank_file_is_read_without_being_told_anything(shared):
    table = spatial.read_table(shared / "data" / "movement" / "movebank_elephants_wall2014.csv.gz")
    with spatial.recording() as log:
        found = movement.tracks(table)
    assert found.fixes.groupby("animal").size().to_dict() == {"Habiba": 1522, "Salif Keita": 21972}
    first = found.fixes[found.fixes["animal"] == "Salif Keita"].iloc[0]
    assert first["time"] == pd.Timestamp("2008-03-22 17:00", tz="UTC")
    assert first["sensor"] == "gps"
    assert first["species"] == "Loxodonta africana"
    # Mali and Kenya are far apart, and the log says what that does to lengths
    assert any("stretches lengths" in sentence for sentence in log)


def test_argos_positions_keep_their_class(shared):
    table = spatial.read_table(shared / "data" / "movement" / "crawl_harborseal_argos.csv")
    hours = pd.Timestamp("2000-01-01") + pd.to_timedelta(table["Time"], unit="h")
    found = movement.tracks(table.assign(animal="seal", time=hours), time_columns=["time"], time_zone="UTC")
    assert set(found.fixes["argos_class"]) <= {"0", "1", "2", "3", "A", "B"}
    assert found.log.set_index("rule")["left_out"]["no place"] == table["latitude"].isna().sum()
