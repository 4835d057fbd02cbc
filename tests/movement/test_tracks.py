"""Tracks from tables: reading, time, place, each rule of cleaning by hand, and every refusal."""

import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, movement, spatial
from linkways.movement import _cleaning

UTM = "EPSG:32612"


def table(xs=(0, 100, 200, 300), *, animal="a", minutes=None, ys=0.0, **more):
    """Fixes an hour apart along a line in a UTM zone."""
    n = len(xs)
    minutes = 60 * np.arange(n) if minutes is None else np.asarray(minutes)
    return pd.DataFrame(
        {
            "id": animal,
            "time": (pd.Timestamp("2020-05-01", tz="UTC") + pd.to_timedelta(minutes, unit="min")).astype(str),
            "x": 500_000.0 + np.asarray(xs, float),
            "y": 4_700_000.0 + np.asarray(ys, float),
            **more,
        }
    )


def tracks(frame, **more):
    return movement.tracks(frame, **{"xy_crs": UTM, "max_speed_m_s": None, **more})


def reasons(found):
    return dict(zip(found.reasons["row"], found.reasons["why"], strict=True))


def logged(found, rule, column="left_out"):
    return int(found.log.set_index("rule").loc[rule, column])


# --- a whole track by hand -------------------------------------------------------------------


def test_a_track_of_four_fixes_by_hand():
    found = tracks(table(xs=(0, 300, 300, 300), ys=(0, 0, 400, 400)))
    assert found.fixes.columns.tolist() == ["animal", "time", "burst", "row", "geometry"]
    assert found.fixes["burst"].tolist() == ["a_001"] * 4
    assert found.path_km == pytest.approx(0.7)
    assert found.max_speed_m_s == pytest.approx(400 / 3600)
    line = found.lines.iloc[0]
    assert (line["n"], line["length_m"]) == (4, pytest.approx(700))
    assert line["end"] - line["start"] == pd.Timedelta(hours=3)
    animal = found.animals.iloc[0]
    assert (animal["fixes_kept"], animal["missing"], animal["median_interval_h"]) == (4, 0, 1.0)
    assert found.dropped is None
    assert len(found.reasons) == 0


def test_the_result_goes_into_every_other_method_of_the_room():
    from linkways.movement._fixes import fixes_of

    assert len(fixes_of(tracks(pd.concat([table(), table(animal="b")])).fixes)) == 2


def test_the_layers_can_be_written_and_read(tmp_path):
    found = tracks(table(xs=(0, 1, 1, 5), minutes=(0, 60, 60, 120)))
    for name in ("fixes", "lines", "dropped"):
        layer = getattr(found, name)
        back = spatial.read_vectors(spatial.write_vectors(layer, tmp_path / f"{name}.parquet"))
        assert len(back) == len(layer)
        assert back.columns.tolist() == layer.columns.tolist()


def test_missing_fixes_are_counted_by_the_usual_interval():
    assert tracks(table(minutes=(0, 60, 120, 360))).animals["missing"].tolist() == [3]


# --- columns ---------------------------------------------------------------------------------


MOVEBANK = {
    "event-id": [1, 2, 3, 4, 5],
    "visible": ["true", "true", "false", "true", "true"],
    "timestamp": ["2020-01-01 00:00:00.998", *(f"2020-01-01 0{h}:00:00.000" for h in (1, 2, 3, 4))],
    "location-long": [10.0, 10.001, 10.002, 10.003, 10.004],
    "location-lat": [50.0, 50.0, 50.0, 50.0, 50.0],
    "sensor-type": "gps",
    "gps:dop": [1.0, 2.0, 1.0, 1.0, 1.0],
    "tag-local-identifier": 77,
    "individual-local-identifier": ["007", "007", "007", "007", None],
}


@pytest.mark.parametrize("underscores", [False, True])
def test_movebank_headers_are_known_either_way_and_their_times_are_utc(underscores):
    frame = pd.DataFrame(MOVEBANK)
    if underscores:
        frame.columns = frame.columns.str.replace("-", "_").str.replace(":", "_")
    found = movement.tracks(frame)
    assert found.fixes["animal"].unique().tolist() == ["007"]
    assert found.fixes["time"].iloc[0] == pd.Timestamp("2020-01-01 00:00:00.998", tz="UTC")
    assert found.fixes["dop"].tolist() == [1.0, 2.0, 1.0]
    assert reasons(found) == {3: "not visible", 5: "no animal"}


def test_marks_of_outliers_are_followed_unless_a_person_called_the_fix_valid():
    found = tracks(
        table(xs=range(5)).assign(
            **{
                "manually-marked-outlier": ["true", None, None, None, None],
                "algorithm-marked-outlier": [None, "true", "true", None, None],
                "manually-marked-valid": [None, None, "true", None, None],
            }
        )
    )
    assert reasons(found) == {1: "marked as outlier", 2: "marked as outlier"}


@pytest.mark.parametrize(("ids", "names"), [([317, 317], ["317"]), ([317.0, 317.0], ["317"]), (["01", "1"], None)])
def test_names_of_animals_are_text(ids, names):
    frame = table(xs=(0, 1)).assign(id=ids)
    if names is None:
        with pytest.raises(LinkwaysError, match="no animal of the table has two usable fixes"):
            tracks(frame)
    else:
        assert tracks(frame).fixes["animal"].unique().tolist() == names


def test_a_number_stays_the_same_name_when_another_row_has_none():
    frame = table(xs=(0, 1, 2)).assign(id=[5.0, np.nan, 5.0])
    found = tracks(frame)
    assert found.fixes["animal"].unique().tolist() == ["5"]
    assert reasons(found) == {2: "no animal"}


def test_named_columns_and_further_ones_are_carried():
    frame = table().rename(columns={"id": "who", "time": "when", "x": "e", "y": "n"}).assign(herd="north")
    found = tracks(frame, animal_column="who", time_columns=["when"], x_column="e", y_column="n", keep=["herd"])
    assert found.fixes["herd"].tolist() == ["north"] * 4


def test_date_and_time_of_day_may_stand_in_two_columns():
    frame = table(xs=(0, 1)).assign(day="01/05/2020", hour=["06:30", "08:30"])
    found = tracks(frame, time_columns=["day", "hour"], time_format="%d/%m/%Y %H:%M", time_zone="UTC")
    assert found.fixes["time"].iloc[0] == pd.Timestamp("2020-05-01 06:30", tz="UTC")


def test_a_layer_of_points_needs_no_columns_for_the_place():
    frame = table()
    points = gpd.GeoDataFrame(frame[["id", "time"]], geometry=gpd.points_from_xy(frame["x"], frame["y"]), crs=UTM)
    layer = tracks(points, xy_crs=None).fixes
    assert layer.geometry.geom_equals_exact(tracks(frame).fixes.geometry, 0).all()


def test_sequences_of_the_table_stay_with_their_fixes():
    assert tracks(table(sequence="a_sp20")).fixes["sequence"].tolist() == ["a_sp20"] * 4


def test_only_the_sensors_asked_for_stay():
    frame = table().assign(**{"sensor-type": ["gps", "gps", "argos-doppler-shift", "gps"]})
    assert reasons(tracks(frame, sensors=["gps"])) == {3: "other sensor"}


# --- time ------------------------------------------------------------------------------------


def local(times, **more):
    frame = table(xs=range(len(times))).assign(time=times)
    return tracks(frame, **{"time_zone": "America/Denver", **more})


def test_times_with_a_zone_of_their_own_are_not_moved_by_the_one_given():
    found = local(["2020-05-01T06:00:00Z", "2020-05-01 01:00:00-06:00", "2020-05-01 02:00"])
    assert [str(t)[11:16] for t in found.fixes["time"]] == ["06:00", "07:00", "08:00"]


@pytest.mark.parametrize(("rule", "first"), [("before", "07:30"), ("after", "08:30"), ("leave out", "10:00")])
def test_an_hour_that_the_clock_shows_twice_follows_the_rule_and_is_counted(rule, first):
    """On 2020-11-01 in Denver 02:00 summer time (08:00 UTC) became 01:00, so that 01:30 was 07:30 and 08:30 UTC."""
    found = local(["2020-11-01 01:30", "2020-11-01 03:00", "2020-11-01 05:00"], clock_change=rule)
    assert str(found.fixes["time"].iloc[0])[11:16] == first
    assert reasons(found) == ({1: "clock change"} if rule == "leave out" else {})
    assert logged(found, "local time shown twice", "fixes") == 1


@pytest.mark.parametrize(("rule", "utc"), [("before", "09:30"), ("after", "08:30")])
def test_an_hour_that_the_clock_skips_follows_the_rule_and_is_counted(rule, utc):
    """On 2020-03-08 in Denver 02:00 became 03:00 (09:00 UTC): 02:30 was never, read with -7 h it is 09:30 UTC."""
    found = local(["2020-03-08 02:30", "2020-03-08 12:00"], clock_change=rule)
    assert str(found.fixes["time"].iloc[0])[11:16] == utc
    assert logged(found, "local time skipped by the clock", "fixes") == 1


def test_times_of_a_parquet_file_may_have_a_zone_or_be_given_one():
    moments = pd.date_range("2020-05-01 06:00", periods=3, freq="h")
    frame = table(xs=range(3))
    aware = tracks(frame.assign(time=moments.tz_localize("America/Denver")))
    named = tracks(frame.assign(time=moments), time_zone="America/Denver")
    assert aware.fixes["time"].tolist() == named.fixes["time"].tolist()
    assert aware.fixes["time"].iloc[0] == pd.Timestamp("2020-05-01 12:00", tz="UTC")


@pytest.mark.parametrize(("unit", "factor"), [("unix seconds", 1), ("unix milliseconds", 1000)])
def test_numbers_may_count_since_1970(unit, factor):
    frame = table(xs=(0, 1)).assign(time=[factor * 86400, factor * 90000])
    assert tracks(frame, time_format=unit).fixes["time"].iloc[1] == pd.Timestamp("1970-01-02 01:00", tz="UTC")


@settings(max_examples=40)
@given(st.lists(st.integers(0, 400 * 24 * 60), min_size=2, max_size=12, unique=True), st.data())
def test_local_times_give_the_moments_they_were_written_from(minutes, data):
    """Round trip through the wall clock, told by Python's own zones; an hour told twice is the first of the two."""
    from datetime import UTC, datetime, timedelta
    from zoneinfo import ZoneInfo

    zone = data.draw(st.sampled_from(["America/Denver", "Europe/London", "Australia/Lord_Howe", "Africa/Nairobi"]))
    moments = [datetime(2019, 12, 1, tzinfo=UTC) + timedelta(minutes=m) for m in minutes]
    walls = [m.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for m in moments]
    expected = sorted({w.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC) for w in walls})
    frame = table(xs=range(len(walls))).assign(time=[str(w) for w in walls])
    if len(expected) > 1:
        assert [t.to_pydatetime() for t in tracks(frame, time_zone=zone).fixes["time"]] == expected


# --- place -----------------------------------------------------------------------------------


def degrees(lon, lat):
    return table(xs=range(len(lon))).drop(columns=["x", "y"]).assign(lon=lon, lat=lat)


def test_longitude_and_latitude_get_the_utm_zone_of_their_middle():
    assert movement.tracks(degrees([-110.0, -109.9], [42.7, 42.8])).fixes.crs == "EPSG:32612"
    assert movement.tracks(degrees([31.5, 31.6], [-24.7, -24.8])).fixes.crs == "EPSG:32736"


def test_tracks_over_the_180th_meridian_stay_together():
    found = movement.tracks(degrees([179.9, -179.9], [0.0, 0.0]), max_speed_m_s=None)
    # 0.2 degrees of the equator
    assert found.path_km == pytest.approx(0.2 * math.pi / 180 * 6378.137, rel=2e-3)


def test_wide_tracks_get_an_equal_area_map_about_their_middle():
    found = movement.tracks(degrees([-40.0, 40.0], [15.0, 15.0]), max_speed_m_s=None).fixes
    assert found.crs.coordinate_operation.method_name == "Lambert Azimuthal Equal Area"
    assert abs(found.geometry.x.sum()) < 1
    assert found.geometry.y.iloc[0] == pytest.approx(found.geometry.y.iloc[1])


def test_the_crs_asked_for_is_used():
    frame = degrees([-110.0, -109.9], [42.7, 42.8])
    assert movement.tracks(frame, project_to="EPSG:5070").fixes.crs == "EPSG:5070"


def test_lengths_of_a_map_in_feet_are_told_in_metres():
    found = tracks(table(), xy_crs="EPSG:2231")
    assert found.path_km == pytest.approx(0.3 * 1200 / 3937, rel=1e-12)


@pytest.mark.parametrize(("lon", "lat"), [(0.0, 0.0), (np.nan, 42.7), (-110.0, 95.0)])
def test_a_row_without_a_place_on_earth_is_left_out_and_told(lon, lat):
    found = movement.tracks(degrees([-110.0, lon, -110.0], [42.7, lat, 42.701]))
    assert reasons(found) == {2: "no place"}
    assert found.dropped is None


# --- rules -----------------------------------------------------------------------------------


def test_of_duplicates_the_most_precise_stays_then_the_nearest_then_the_first():
    frame = table(
        xs=(0, 90, 10, 20, 500, 510, 520), minutes=(0, 60, 60, 60, 120, 120, 180), dop=[1, 2, 2, 3, np.nan, np.nan, 1]
    )
    found = tracks(frame)
    assert reasons(found) == {2: "duplicate", 4: "duplicate", 6: "duplicate"}
    assert reasons(tracks(frame.drop(columns="dop"))) == {2: "duplicate", 4: "duplicate", 6: "duplicate"}
    assert found.dropped["row"].tolist() == [2, 4, 6]


def test_fixes_within_some_seconds_count_as_duplicates_of_the_first_of_them():
    frame = table(xs=range(6), minutes=(0, 1, 2, 3, 10, 11))
    assert sorted(reasons(tracks(frame, duplicate_s=120))) == [2, 3, 6]


def test_a_fix_reached_and_left_too_fast_is_left_out_but_not_its_neighbours():
    found = tracks(table(xs=(0, 100, 30_000, 300, 400)), max_speed_m_s=3.0)
    assert reasons(found) == {3: "problem point"}
    assert logged(found, "problem point") == 1


def test_a_fast_fix_before_a_gap_stays_since_nobody_saw_it_leave():
    frame = table(xs=(0, 100, 30_000, 300, 400), minutes=(0, 60, 120, 6000, 6060))
    assert reasons(tracks(frame, max_speed_m_s=0.05, burst_gap_hours=10)) == {}


def test_fast_steps_are_told_from_the_last_fix_that_stayed():
    # 5 km/h for an hour: d^2/dt above 6944.44 m2/s, at hourly fixes 5 km
    frame = table(xs=(0, 9_000, 9_100, 9_200, 300, 400))
    found = tracks(frame, fast_step_km_h=5)
    # from 0 to 9,200 m in 3 h the rate is 7,837
    assert reasons(found) == dict.fromkeys((2, 3, 4), "fast step")


def test_the_bounds_of_amt_for_fast_steps():
    assert _cleaning.squared_displacement_rate(5, 60) == pytest.approx(6944.444, abs=1e-3)
    assert _cleaning.squared_displacement_rate(100, 1) == pytest.approx(46296.296, abs=1e-3)


def test_a_fast_round_trip_is_left_out():
    frame = table(xs=(0, 100, 5_000, 200, 300))
    assert reasons(tracks(frame, round_trip_km_h=5)) == {3: "round trip"}
    # going on instead of coming back is no round trip
    assert reasons(tracks(table(xs=(0, 100, 5_000, 9_900, 10_000)), round_trip_km_h=5)) == {}


def test_a_still_cluster_is_reported_and_stays():
    xs = [0, 1000, *([2000] * 60), 3000]
    found = tracks(table(xs=xs))
    # fixes 3 to 61 begin steps of no length: 58 hours
    assert found.still[["hours", "fixes"]].values.tolist() == [[58.0, 59]]
    assert found.fixes_dropped == 0
    assert logged(found, "still cluster (stays)", "fixes") == 59


def test_the_still_end_of_a_track_is_left_out_but_for_the_fix_that_came_there():
    xs = [0, 1000, *([2000] * 60)]
    found = tracks(table(xs=xs), tail_m=50)
    assert set(reasons(found)) == set(range(4, 63))
    assert found.fixes_kept == 3
    assert reasons(tracks(table(xs=[*xs, 9000]), tail_m=50)) == {}


def test_imprecise_fixes_are_left_out_on_request():
    assert reasons(tracks(table(dop=[1, 9, 10, 11]), max_dop=9)) == {3: "imprecise", 4: "imprecise"}


def test_a_gap_begins_a_burst_and_a_burst_of_one_fix_has_no_line():
    found = tracks(table(minutes=(0, 60, 1000, 9000)), burst_gap_hours=10)
    assert found.fixes["burst"].tolist() == ["a_001", "a_001", "a_002", "a_003"]
    assert found.lines["burst"].tolist() == ["a_001"]
    assert found.path_km == pytest.approx(0.1)


def test_at_an_interval_the_nearest_fix_within_tolerance_stays_and_a_lack_begins_a_burst():
    frame = table(xs=range(8), minutes=(0, 30, 55, 62, 120, 300, 361, 363))
    found = tracks(frame, interval_minutes=60, tolerance_minutes=5)
    assert found.fixes["row"].tolist() == [1, 4, 5, 6, 7]
    assert found.fixes["burst"].tolist() == ["a_001"] * 3 + ["a_002"] * 2


def test_an_animal_with_one_fix_is_left_out_and_told():
    found = tracks(pd.concat([table(), table(xs=(0,), animal="b")], ignore_index=True))
    assert reasons(found) == {5: "only fix of its animal"}


def test_a_speed_that_does_not_suit_the_species_is_told():
    with spatial.recording() as log:
        tracks(table(xs=[0, 90_000] * 20), max_speed_m_s=3)
    assert any("more than errors usually make" in sentence for sentence in log)


def brute_force_fast_steps(x, seconds, most):
    kept, out = 0, []
    for i in range(1, len(x)):
        if (x[i] - x[kept]) ** 2 / (seconds[i] - seconds[kept]) > most:
            out.append(i)
        else:
            kept = i
    return out


walks = st.lists(st.tuples(st.integers(1, 50), st.integers(-60, 60)), min_size=2, max_size=40)


@given(walks, st.floats(0.5, 80))
def test_fast_steps_are_those_of_walking_through_fix_by_fix(walk, most):
    seconds = np.cumsum([dt for dt, _ in walk]).astype(float)
    x = np.cumsum([dx for _, dx in walk]).astype(float)
    # the same walk twice, so that the second animal must not see the first
    double = (np.tile(x, 2), np.zeros(2 * len(x)), np.tile(seconds, 2), np.array([0, len(x), 2 * len(x)]))
    expected = brute_force_fast_steps(x, seconds, most)
    assert np.flatnonzero(_cleaning.fast_steps(*double, most)).tolist() == expected + [i + len(x) for i in expected]


@given(walks, st.integers(0, 60))
def test_kept_fixes_are_farther_apart_than_duplicates_and_every_duplicate_has_one_near(walk, within):
    seconds = np.cumsum([dt - 1 for dt, _ in walk]).astype(float)
    x = np.cumsum([dx for _, dx in walk]).astype(float)
    dop = np.array([abs(dx) % 5 for _, dx in walk], float)
    out = _cleaning.duplicates(x, np.zeros(len(x)), seconds, np.array([0, len(x)]), dop, within)
    kept = seconds[~out]
    assert (np.diff(kept) > 0).all()
    for i in np.flatnonzero(out):
        assert np.abs(kept - seconds[i]).min() <= within


def outcome(frame, rules):
    try:
        return tracks(frame, **rules)
    except LinkwaysError as refusal:
        return str(refusal)


@settings(max_examples=40)
@given(walks, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(walk, random):
    minutes = np.cumsum([dt for dt, _ in walk])
    frame = pd.concat(
        [table(xs=np.cumsum([dx for _, dx in walk]), minutes=minutes, animal=name) for name in ("b", "a")]
    ).reset_index(drop=True)
    order = list(range(len(frame)))
    random.shuffle(order)
    rules = {"max_speed_m_s": 0.01, "fast_step_km_h": 0.05, "burst_gap_hours": 0.5, "interval_minutes": 20}
    one, two = (outcome(rows, rules) for rows in (frame, frame.iloc[order].reset_index(drop=True)))
    if isinstance(one, str):
        assert two == one
        return
    assert two.fixes["row"].map(lambda row: order[row - 1] + 1).tolist() == one.fixes["row"].tolist()
    assert two.fixes["burst"].tolist() == one.fixes["burst"].tolist()
    assert two.path_km == one.path_km
    assert one.fixes_kept + one.fixes_dropped == len(frame)
    assert one.log["left_out"].sum() == one.fixes_dropped == len(one.reasons)


def test_rows_out_of_order_are_counted():
    frame = table().iloc[[2, 0, 1, 3]].reset_index(drop=True)
    assert logged(tracks(frame), "not in order of time", "fixes") == 2


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "parameters", "message"),
    [
        (lambda t: t.iloc[:0], {}, "has no rows"),
        (lambda t: t.drop(columns="id"), {}, "no column of the table is known to hold the animal"),
        (lambda t: t.rename(columns={"id": "tag-local-identifier"}), {}, "a tag may be worn by several"),
        (lambda t: t.drop(columns="time"), {}, "known to hold the time"),
        (lambda t: t.drop(columns="x"), {}, "no two columns of the table are known to hold the place"),
        (lambda t: t, {"animal_column": "idd"}, "no column 'idd' .did you mean 'id'"),
        (lambda t: t, {"x_column": "x"}, "give both x_column and y_column"),
        (lambda t: t, {"keep": ["herd"]}, "no column 'herd'"),
        (lambda t: t.assign(row=1), {"keep": ["row"]}, "keep names row"),
        (lambda t: t, {"xy_crs": None}, "have no CRS, so nobody knows their unit"),
        (lambda t: t, {"xy_crs": "EPSG:99999999"}, "not a coordinate reference system"),
        (lambda t: t.assign(x=-110.0, y=42.7), {}, "look like degrees .row 1: -110, 42.7."),
        (lambda t: t.rename(columns={"x": "lon", "y": "lat"}), {}, "look like degrees"),
        (lambda t: t.rename(columns={"x": "lon", "y": "lat"}), {"xy_crs": None}, "no longitude and latitude in 4 rows"),
        (lambda t: t, {"project_to": "EPSG:4326"}, "is in degrees, but tracks are measured in metres"),
        (lambda t: t.assign(x=["1,5", *"234"]), {}, "column x has 1 values that are no numbers, first '1,5' in row 1"),
        (lambda t: t.assign(time=t["time"].str[:19]), {}, "4 times without zone, first row 1 .'2020-05-01 00:00:00'."),
        (lambda t: t.assign(time=t["time"].str[:19]), {"time_zone": "America/Denvr"}, "did you mean 'America/Denver'"),
        (lambda t: t.assign(time="1/5/2020 06:00"), {"time_zone": "UTC"}, "no times written as year first"),
        (lambda t: t.assign(time="1/5/2020"), {"time_zone": "UTC", "time_format": "%Y"}, "no times written as '%Y'"),
        (lambda t: t.assign(time=range(4)), {}, "holds numbers .first 0., not times"),
        (lambda t: t.assign(time=list("abcd")), {"time_format": "unix seconds"}, "'a' in row 1, which is no number"),
        (lambda t: t, {"sensors": ["gps"]}, "no column sensor-type"),
        (lambda t: t.assign(sensor="gps"), {"sensors": ["gsp"]}, "did you mean 'gps'"),
        (lambda t: t, {"max_dop": 5.0}, "max_dop is given, but"),
        (lambda t: t.assign(visible="perhaps"), {}, "neither true nor false"),
        (lambda t: t.iloc[:1], {}, "no animal of the table has two usable fixes .only fix of its animal: 1."),
    ],
)
def test_refusals_say_what_is_wrong_and_where(change, parameters, message):
    with pytest.raises(LinkwaysError, match=message):
        tracks(change(table()), **parameters)


def test_a_layer_that_is_not_of_points_is_refused():
    line = shapely.LineString([(0, 0), (1, 1)])
    layer = gpd.GeoDataFrame({"id": ["a"], "time": ["2020-01-01T00:00Z"]}, geometry=[line], crs=UTM)
    with pytest.raises(LinkwaysError, match=r"1 features that are no points, first the one in row 1 \(LineString\)"):
        tracks(layer)


def test_a_crs_that_is_not_that_of_the_layer_is_refused():
    layer = tracks(table()).fixes
    assert tracks(layer).fixes_kept == 4
    with pytest.raises(LinkwaysError, match="xy_crs is EPSG:4326, but the layer of fixes is in WGS 84 / UTM zone 12N"):
        tracks(layer, xy_crs="EPSG:4326")


def test_zero_metres_are_a_place():
    assert tracks(table().assign(x=[0.0, 10, 20, 500], y=0.0)).fixes_kept == 4


def test_a_place_that_a_map_cannot_show_is_refused():
    with pytest.raises(LinkwaysError, match="cannot be shown"):
        movement.tracks(degrees([-110.0, 70.0], [42.7, -89.0]), project_to="+proj=gnom +lat_0=42 +lon_0=-110")
