"""Recursions: visits counted by hand, by brute force over many moments, and their invariances."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, movement

CRS = "EPSG:32612"
FAR = 500_000.0


def track(xy, animal="a", hours=1.0):
    xy = np.asarray(xy, float) + FAR
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.arange(len(xy)) * hours, unit="h")
    return gpd.GeoDataFrame({"animal": animal, "time": times}, geometry=gpd.points_from_xy(*xy.T), crs=CRS)


def place(*shapes, names=None):
    names = names or [f"p{i}" for i in range(len(shapes))]
    moved = [shapely.transform(s, lambda a: a + FAR) for s in shapes]
    return gpd.GeoDataFrame({"place": names}, geometry=moved, crs=CRS)


THERE_AND_BACK = [(0, 0), (300, 0), (600, 0), (300, 0), (0, 0), (300, 0)]


def test_a_circle_is_entered_and_left_where_the_straight_way_crosses_it():
    found = movement.recursions(track(THERE_AND_BACK), place(shapely.Point(0, 0)), radius_m=150)
    assert found.visits["inside_h"].tolist() == pytest.approx([0.5, 1.0])
    assert found.visits["return_h"].tolist() == pytest.approx([np.nan, 3.0], nan_ok=True)
    assert str(found.visits["exit"][0]) == "2024-01-01 00:30:00+00:00"
    site = found.sites.iloc[0]
    assert (site["visits"], site["animals"], site["mean_return_h"]) == (2, 1, 3.0)


def test_a_square_is_entered_and_left_where_the_straight_way_crosses_it():
    found = movement.recursions(track(THERE_AND_BACK), place(shapely.box(-150, -150, 150, 150)))
    assert found.visits["inside_h"].tolist() == pytest.approx([0.5, 1.0])


def test_an_absence_shorter_than_the_threshold_does_not_end_a_visit():
    for hours, visits in ((3.1, 1), (3.0, 2), (2.9, 2)):
        found = movement.recursions(track(THERE_AND_BACK), place(shapely.Point(0, 0)), radius_m=150, absence_h=hours)
        assert len(found.visits) == visits, hours
    assert found.visits["inside_h"].sum() == pytest.approx(1.5)


def test_a_step_through_a_place_counts_only_when_asked_for():
    through = track([(-400, 0), (400, 0), (400, 400)])
    for shape in (shapely.Point(0, 0), shapely.box(-100, -100, 100, 100)):
        assert movement.recursions(through, place(shape)).sites["visits"].tolist() == [0]
        found = movement.recursions(through, place(shape), pass_through=True)
        assert found.visits["inside_h"].tolist() == pytest.approx([0.25])


def test_a_place_without_visits_keeps_its_row_with_nothing_in_it():
    site = movement.recursions(track(THERE_AND_BACK), place(shapely.Point(0, 9e3))).sites.iloc[0]
    assert (site["visits"], site["residence_h"]) == (0, 0.0)
    assert pd.isna(site["first"])


def test_the_way_is_unknown_over_a_long_gap():
    fixes = track([(0, 0), (0, 1), (0, 2)], hours=10)
    found = movement.recursions(fixes, place(shapely.Point(0, 0)), longest_h=5)
    assert found.visits["inside_h"].tolist() == [0, 0, 0]
    assert movement.recursions(fixes, place(shapely.Point(0, 0))).visits["inside_h"].tolist() == [20]


def test_an_animal_that_stands_still_inside_stays():
    for shape in (shapely.Point(0, 0), shapely.box(-9, -9, 9, 9)):
        found = movement.recursions(track([(0, 0), (0, 0), (0, 0)]), place(shape))
        assert found.visits["inside_h"].tolist() == [2]


def test_two_animals_are_told_apart_and_counted_together_on_request():
    both = pd.concat([track(THERE_AND_BACK), track([(0, 5), (900, 5)], "b")])
    assert movement.recursions(both, place(shapely.Point(0, 0))).sites["animals"].tolist() == [2]
    own = movement.recursions(both, radius_m=150).sites["visits"]
    every = movement.recursions(both, radius_m=150, whose="all").sites["visits"]
    assert own[0] == 2
    assert every[0] == 3


tracks = st.lists(st.tuples(st.floats(-300, 300), st.floats(-300, 300)), min_size=2, max_size=25)


@given(tracks, st.floats(40, 200))
@settings(max_examples=30, deadline=None)
def test_time_inside_is_that_of_ten_thousand_moments_along_the_way(xy, radius):
    found = movement.recursions(track(xy), place(shapely.Point(0, 0)), radius_m=radius, pass_through=True)
    xy = np.asarray(xy)
    moment = np.linspace(0, len(xy) - 1, 20_001)
    x, y = (np.interp(moment, np.arange(len(xy)), column) for column in xy.T)
    hours = (np.hypot(x, y) < radius).mean() * (len(xy) - 1)
    assert found.sites["residence_h"][0] == pytest.approx(hours, abs=2e-3 * len(xy))


@given(tracks, st.floats(20, 200), st.floats(0, 4))
@settings(max_examples=30, deadline=None)
def test_visits_at_fixes_are_runs_of_fixes_within_the_radius(xy, radius, absence):
    xy = np.round(np.asarray(xy))
    found = movement.recursions(track(xy), radius_m=radius).sites
    near = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1)) < radius
    runs = near[:, 0].astype(int) + (near[:, 1:] & ~near[:, :-1]).sum(axis=1)
    assert found["visits"].tolist() == runs.tolist()
    merged = movement.recursions(track(xy), radius_m=radius, absence_h=absence).sites
    assert (merged["visits"] <= found["visits"]).all()
    assert merged["residence_h"].tolist() == pytest.approx(found["residence_h"].tolist())


@given(tracks, st.floats(0, 6.28), st.floats(-1000, 1000))
@settings(max_examples=20, deadline=None)
def test_turning_and_moving_the_map_changes_nothing(xy, angle, shift):
    xy = np.round(np.asarray(xy))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    # a radius that no distance between whole metres comes near to
    here = movement.recursions(track(xy), radius_m=100.00317).sites
    there = movement.recursions(track(xy @ turn.T + shift), radius_m=100.00317).sites
    assert here["visits"].tolist() == there["visits"].tolist()
    assert here["residence_h"].tolist() == pytest.approx(there["residence_h"].tolist(), abs=1e-4)


def test_fixes_and_places_give_the_same_numbers_for_the_same_circles():
    xy = np.random.default_rng(4).normal(0, 60, (80, 2)).cumsum(axis=0)
    fixes = track(xy)
    at_fixes = movement.recursions(fixes, radius_m=120, absence_h=2).sites
    at_places = movement.recursions(fixes, place(*[shapely.Point(p) for p in xy]), radius_m=120, absence_h=2).sites
    for column in ("visits", "residence_h", "mean_return_h"):
        assert at_fixes[column].tolist() == pytest.approx(at_places[column].tolist(), nan_ok=True, abs=1e-6)


def test_pass_through_without_places_is_refused():
    with pytest.raises(LinkwaysError, match="pass_through needs places"):
        movement.recursions(track(THERE_AND_BACK), pass_through=True)


def test_a_place_named_twice_or_without_a_name_is_refused():
    point = shapely.Point(0, 0)
    with pytest.raises(LinkwaysError, match="names Klip twice, again in row 2"):
        movement.recursions(track(THERE_AND_BACK), place(point, point, names=["Klip", "Klip"]))
    with pytest.raises(LinkwaysError, match="no name in column place, row 2"):
        movement.recursions(track(THERE_AND_BACK), place(point, point, names=["Klip", None]))
    with pytest.raises(LinkwaysError, match="several points in one feature, row 1"):
        movement.recursions(track(THERE_AND_BACK), place(shapely.MultiPoint([(0, 0), (9, 9)])))
    with pytest.raises(LinkwaysError, match="places holds no feature"):
        movement.recursions(track(THERE_AND_BACK), place(point).iloc[:0])


def test_places_in_another_crs_are_brought_to_the_fixes():
    sites = place(shapely.Point(0, 0)).to_crs("EPSG:4326")
    found = movement.recursions(track(THERE_AND_BACK), sites, radius_m=150)
    assert found.visits["inside_h"].tolist() == pytest.approx([0.5, 1.0], abs=1e-6)
    assert found.sites.crs == sites.crs
