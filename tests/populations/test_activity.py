"""Daily activity from camera traps: densities against a direct sum of kernels, times against the sky."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import i0, iv

from linkways.errors import LinkwaysError
from linkways.populations import activity
from linkways.populations._activity_density import bandwidths, centred_interval, densities, on_grid
from linkways.spatial import recording

RNG = np.random.default_rng(7)
NIGHT = np.mod(RNG.vonmises(0, 2, 60), 2 * math.pi) * 12 / math.pi
DAY = np.mod(RNG.vonmises(math.pi, 2, 40), 2 * math.pi) * 12 / math.pi
EVENTS = pd.DataFrame({"species": ["leopard"] * 60 + ["goat"] * 40, "hour": np.concatenate([NIGHT, DAY])})


def direct_bandwidth(angles):
    """Taylor's rule with the largest of three moment estimates, each found on a fine grid of concentrations."""
    kappas = np.linspace(1e-4, 12, 30_001)
    best = 0.0
    for k in (1, 2, 3):
        r = abs(np.exp(1j * k * angles).mean())
        best = max(best, kappas[np.argmin(np.abs(iv(k, kappas) / i0(kappas) - r))])
    n = len(angles)
    return (3 * n * best**2 * iv(2, 2 * best) / (4 * math.sqrt(math.pi) * i0(best) ** 2)) ** 0.4


def direct_density(angles, nu, x):
    """A mean of von Mises densities, term by term."""
    return np.exp(nu * np.cos(np.subtract.outer(x, angles))).mean(axis=1) / (2 * math.pi * i0(nu))


def test_the_curve_is_the_sum_of_its_kernels():
    found = activity(EVENTS, clock="hour", bootstrap=0)
    for name, hours in (("leopard", NIGHT), ("goat", DAY)):
        angles = hours * math.pi / 12
        nu = direct_bandwidth(angles)
        level = found.levels.set_index("species").loc[name]
        assert level["bandwidth"] == pytest.approx(nu, rel=1e-3)
        curve = found.curves[found.curves["species"] == name]
        expected = direct_density(angles, level["bandwidth"], curve["hour"].to_numpy() * math.pi / 12) * math.pi / 12
        np.testing.assert_allclose(curve["density"], expected, rtol=1e-10)
        grid = direct_density(angles, level["bandwidth"], 2 * math.pi * np.arange(512) / 512)
        assert level["activity_level"] == pytest.approx(1 / (2 * math.pi * grid.max()), rel=1e-10)


@pytest.mark.parametrize(("estimator", "factor"), [("Dhat1", 0.8), ("Dhat4", 1.0)])
def test_the_overlap_is_that_of_the_densities(estimator, factor):
    found = activity(EVENTS, clock="hour", bootstrap=0, overlap_estimator=estimator).overlaps.iloc[0]
    a, b = NIGHT * math.pi / 12, DAY * math.pi / 12
    nu_a, nu_b = direct_bandwidth(a) / factor, direct_bandwidth(b) / factor
    if estimator == "Dhat1":
        x = 2 * math.pi * np.arange(20_000) / 20_000
        both = np.minimum(direct_density(a, nu_a, x), direct_density(b, nu_b, x))
        expected = both.mean() * 2 * math.pi
    else:
        at_a = np.minimum(1, direct_density(b, nu_b, a) / direct_density(a, nu_a, a)).mean()
        at_b = np.minimum(1, direct_density(a, nu_a, b) / direct_density(b, nu_b, b)).mean()
        expected = (at_a + at_b) / 2
    assert found["overlap"] == pytest.approx(expected, abs=1e-4)
    assert found["estimator"] == estimator


def test_small_samples_use_dhat1_and_larger_ones_dhat4():
    assert activity(EVENTS, clock="hour", bootstrap=0).overlaps["estimator"].tolist() == ["Dhat1"]
    more = pd.concat([EVENTS, EVENTS])
    assert activity(more, clock="hour", bootstrap=0).overlaps["estimator"].tolist() == ["Dhat4"]


def test_animals_active_all_day_have_a_level_near_one():
    even = pd.DataFrame({"species": "fox", "hour": np.arange(0, 24, 0.1)})
    assert activity(even, clock="hour", bootstrap=0).levels["activity_level"].iloc[0] > 0.99


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 6.28), min_size=5, max_size=40), st.floats(0, 6.28))
def test_turning_the_clock_turns_the_density_and_keeps_its_mass(angles, turn):
    first, second = np.array([angles]), np.mod(np.array([angles]) + turn, 2 * math.pi)
    nu = bandwidths(first, 1.0)
    # records of one moment have no spread to turn
    assert bandwidths(second, 1.0) == pytest.approx(nu, rel=1e-4)
    points = 4096
    step = 2 * math.pi / points
    density = on_grid(densities(first, nu), points)[0]
    assert density.min() > -1e-9
    assert density.sum() * step == pytest.approx(1, abs=1e-9)
    # a density turned by whole steps is the same one, begun elsewhere
    steps = round(turn / step)
    turned = on_grid(densities(np.mod(first + steps * step, 2 * math.pi), nu), points)[0]
    np.testing.assert_allclose(np.roll(density, steps), turned, atol=1e-9 * density.max())


def test_intervals_hold_the_estimate_and_repeat_with_the_seed():
    found = activity(EVENTS, clock="hour", bootstrap=300)
    again = activity(EVENTS, clock="hour", bootstrap=300)
    other = activity(EVENTS, clock="hour", bootstrap=300, seed=2)
    pd.testing.assert_frame_equal(found.levels, again.levels)
    assert not found.levels["low"].equals(other.levels["low"])
    assert (found.levels["low"] < found.levels["activity_level"]).all()
    assert (found.levels["activity_level"] < found.levels["high"]).all()
    one = found.overlaps.iloc[0]
    assert 0 < one["low"] < one["overlap"] < one["high"] < 1


def test_an_interval_is_centred_on_the_estimate_however_the_resamples_are_shifted():
    logits = np.random.default_rng(5).normal(0.4, 0.3, 4000)
    resamples = 1 / (1 + np.exp(-logits))
    low, high, _ = centred_interval(0.3, resamples, 0.95)
    centre, spread = math.log(0.3 / 0.7), 1.96 * 0.3
    assert math.log(low / (1 - low)) == pytest.approx(centre - spread, abs=0.04)
    assert math.log(high / (1 - high)) == pytest.approx(centre + spread, abs=0.04)


def test_solar_time_is_noon_when_the_sun_is_highest():
    """Solar noon at Greenwich: 12:14:12 UTC on 11 February, 11:43:35 on 3 November 2024 (almanac, to half a minute)."""
    times = ["2024-02-11T12:14:12Z", "2024-11-03T11:43:35Z"] * 5
    events = pd.DataFrame({"species": "x", "time": times, "longitude": 0.0})
    peak = activity(events, bootstrap=0, adjust=0.01).levels["peak_hour"].iloc[0]
    assert peak == pytest.approx(12, abs=0.05)
    east = events.assign(longitude=15.0)
    assert activity(east, bootstrap=0, adjust=0.01).levels["peak_hour"].iloc[0] == pytest.approx(13, abs=0.05)


def test_between_sunrise_and_sunset_the_day_has_twelve_hours():
    """London on 21 June 2024: sunrise 04:43, sunset 21:21 BST (almanac); they become 6 and 18."""
    for clock, hour in (("2024-06-21T03:43:00Z", 6), ("2024-06-21T20:21:00Z", 18)):
        events = pd.DataFrame({"species": "x", "time": [clock] * 10, "longitude": -0.128, "latitude": 51.507})
        peak = activity(events, clock="sun", bootstrap=0).levels["peak_hour"].iloc[0]
        assert peak == pytest.approx(hour, abs=0.06)


def test_days_without_sunset_are_left_out_and_told():
    times = ["2024-06-21T12:00:00Z"] * 3 + ["2024-03-21T12:00:00Z"] * 10
    events = pd.DataFrame({"species": "x", "time": times, "longitude": 20.0, "latitude": 70.0})
    with recording() as notes:
        assert activity(events, clock="sun", bootstrap=0).records_used == 10
    assert any("3 events on days without sunrise" in one for one in notes)


def test_wrong_clocks_are_left_out_unless_kept():
    events = pd.DataFrame({"species": "x", "local_time": ["2024-06-21 22:00:00"] * 20})
    events["timestamp_issues"] = [True] * 8 + [False] * 12
    assert activity(events, clock="local", bootstrap=0).records_used == 12
    assert activity(events, clock="local", bootstrap=0, clock_issues="keep").records_used == 20


@pytest.mark.parametrize(
    ("events", "options", "words"),
    [
        (EVENTS, {"species": ["leopart"]}, "did you mean 'leopard'"),
        (EVENTS, {"min_records": 61}, "no species has 61 records"),
        (EVENTS, {"species": ["goat"], "min_records": 50}, "goat has 40 records"),
        (EVENTS, {"clock": "solar"}, "no column 'time'"),
        (EVENTS.assign(hour=25.0), {}, "row 1 has the hour 25"),
        (EVENTS.assign(time="2024-06-21T12:00:00", longitude=0.0), {"clock": "solar"}, "with its offset from UTC"),
        (EVENTS.assign(local_time="noon"), {"clock": "local"}, "row 1 has no time in local_time"),
    ],
)
def test_events_that_tell_no_time_of_day_are_refused(events, options, words):
    with pytest.raises(LinkwaysError, match=words):
        activity(events, **({"clock": "hour", "bootstrap": 0} | options))
