"""Steps between fixes: checked by hand, against amt's turning angles, and by what must not change them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from linkways.movement._steps import steps_between, wrapped


def steps(points, seconds=None, start=None, **more):
    x, y = np.array(points, float).T
    when = np.arange(len(x)) * 60.0 if seconds is None else np.array(seconds, float)
    return steps_between(x, y, when, np.array([0, len(x)] if start is None else start), **more)


def test_a_walk_around_a_square_by_hand():
    found = steps([(0, 0), (0, 30), (40, 30), (40, 0), (0, 0)])
    np.testing.assert_allclose(found.length_m, [30, 40, 30, 40, np.nan])
    np.testing.assert_allclose(np.degrees(found.bearing_rad), [0, 90, 180, 270, np.nan])
    np.testing.assert_allclose(np.degrees(found.turning_rad), [np.nan, -90, -90, -90, np.nan])
    np.testing.assert_allclose(found.speed_m_s, [0.5, 2 / 3, 0.5, 2 / 3, np.nan])


def test_a_turn_to_the_left_is_positive_and_a_turn_back_is_plus_pi():
    np.testing.assert_allclose(steps([(0, 0), (0, 1), (-1, 1), (0, 1)]).turning_rad[1:3], [math.pi / 2, math.pi])


def test_a_step_of_no_length_has_no_direction_and_no_turn_on_either_side():
    found = steps([(0, 0), (1, 0), (1, 0), (1, 1), (2, 1)])
    assert found.length_m[1] == 0
    np.testing.assert_array_equal(np.isnan(found.bearing_rad), [False, True, False, False, True])
    np.testing.assert_array_equal(np.isnan(found.turning_rad), [True, True, True, False, True])


def test_no_step_leads_from_one_animal_to_the_next():
    found = steps([(0, 0), (0, 1), (9, 9), (9, 8)], start=[0, 2, 4])
    np.testing.assert_array_equal(found.known, [True, False, True, False])
    assert np.isnan(found.turning_rad).all()


def test_a_gap_that_is_too_long_is_no_step():
    found = steps([(0, 0), (0, 1), (0, 2), (0, 3)], seconds=[0, 60, 7260, 7320], longest_s=3600)
    np.testing.assert_array_equal(found.known, [True, False, True, False])
    assert np.isnan(found.turning_rad).all()


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_fixes_make_no_step(count):
    assert not steps(np.zeros((count, 2)), start=[0, count]).known.any()


def test_turning_angles_are_those_of_amt(shared):
    """amt 0.3.1 made the table; its ta_ is rounded to six digits and lies at the fix where the step begins."""
    import pandas as pd

    folder = shared / "data" / "movement"
    used = pd.read_csv(folder / "issa_pronghorn102_casecontrol.csv.gz").query("case == 1")
    track = pd.read_csv(folder / "baba_pronghorn.csv").query("`Animal.ID` == '102_2014'")
    when = pd.to_datetime(track["date"], utc=True)
    found = steps(track[["x_utm12n", "y_utm12n"]], seconds=(when - when.iloc[0]).dt.total_seconds())
    ours = pd.DataFrame({"length": found.length_m, "turn": found.turning_rad}, index=when)
    both = ours.loc[pd.to_datetime(used["t1_"], utc=True)]
    np.testing.assert_allclose(both["length"], used["sl_"], rtol=1e-6)
    # amt gives a direction to a step of length 0, which has none
    known = both["turn"].notna().to_numpy()
    assert known.mean() > 0.98
    apart = wrapped(both["turn"].to_numpy()[known] - used["ta_"].to_numpy()[known])
    assert np.abs(apart).max() < 1e-6


places = arrays(float, st.tuples(st.integers(3, 12), st.just(2)), elements=st.integers(-1000, 1000).map(float))


@given(places, st.floats(-3, 3), st.integers(-1000, 1000), st.booleans())
def test_moving_and_turning_the_map_changes_no_length_and_no_turn(points, angle, shift, mirrored):
    cos, sin = math.cos(angle), math.sin(angle)
    moved = points * [-1 if mirrored else 1, 1] @ np.array([[cos, sin], [-sin, cos]]) + shift
    one, two = steps(points), steps(moved)
    np.testing.assert_allclose(two.length_m, one.length_m, atol=1e-9)
    still = one.length_m == 0
    sure = ~(still | np.roll(still, 1))
    turned = wrapped(two.turning_rad - (-1 if mirrored else 1) * one.turning_rad)[sure]
    np.testing.assert_allclose(turned[np.isfinite(turned)], 0, atol=1e-6)


@given(st.floats(-50, 50))
def test_wrapping_keeps_the_direction_and_lands_in_the_half_open_circle(angle):
    found = float(wrapped(np.array(angle)))
    assert -math.pi < found <= math.pi
    assert math.cos(found - angle) == pytest.approx(1)
