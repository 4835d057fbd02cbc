import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, movement

from .herd import herd, track, walk


def variances_written_out(x, y, minutes, error, window, margin):
    """The rule of Kranstauber and others (2012) with a search over a grid for each fit; (n,), NaN where none."""
    grid = np.r_[0, np.geomspace(1e-3, 1e7, 4001)]

    def fit(first, last):
        middle = np.arange(first + 1, last, 2)
        whole = minutes[middle + 1] - minutes[middle - 1]
        a = (minutes[middle] - minutes[middle - 1]) / whole
        mx = x[middle - 1] + a * (x[middle + 1] - x[middle - 1])
        my = y[middle - 1] + a * (y[middle + 1] - y[middle - 1])
        square = (x[middle] - mx) ** 2 + (y[middle] - my) ** 2
        v = (whole * a * (1 - a))[:, None] * grid + (((1 - a) ** 2 + a**2) * error**2)[:, None]
        misfit = (np.log(v) + square[:, None] / (2 * v)).sum(axis=0)
        return grid[misfit.argmin()], misfit.min()

    n = len(x)
    told = [[] for _ in range(n)]
    for w in range(n - window + 1):
        last = w + window - 1
        one, misfit = fit(w, last)
        best = 2 * misfit + np.log(window), one, one, last + 1
        for b in range(w + margin - 1, last - margin + 2, 2):
            (left, m1), (right, m2) = fit(w, b), fit(b, last)
            best = min(best, (2 * (m1 + m2) + 2 * np.log(window), left, right, b))
        for i in range(w + margin - 1, last - margin + 1):
            told[i].append(best[1] if i < best[3] else best[2])
    return np.array([np.mean(t) if t else np.nan for t in told])


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_variances_follow_the_published_rule(seed):
    rng = np.random.default_rng(seed)
    n = 24
    minutes = np.cumsum(rng.integers(20, 90, n)).astype(float)
    x, y = (rng.normal(0, 1, (2, n)) * np.where(np.arange(n) < 12, 30, 400)).cumsum(axis=1)
    fixes = track(x, y, minutes=minutes)
    found = movement.dynamic_bridge(fixes, location_error_m=15, window=11, margin=3, extend_ends=False).variances
    want = variances_written_out(x, y, minutes, 15, 11, 3)[:-1]
    told = found["windows"].to_numpy() > 0
    np.testing.assert_array_equal(told, ~np.isnan(want))
    np.testing.assert_allclose(found["motion_variance_m2_per_min"][told], want[told], rtol=0.01, atol=1e-3)


def test_rest_and_travel_are_told_apart():
    rng = np.random.default_rng(5)
    step = np.where(np.arange(80) < 40, 20.0, 800.0)
    x, y = (rng.normal(0, 1, (2, 80)) * step).cumsum(axis=1)
    rows = movement.dynamic_bridge(track(x, y), location_error_m=10, window=19, margin=7).variances
    variance = rows["motion_variance_m2_per_min"]
    assert variance.iloc[60:].median() > 100 * variance.iloc[:20].median()


def test_ends_take_the_nearest_variance_or_are_left_out():
    """Of 40 fixes, windows of 15 with margins of 5 tell of the steps after fixes 5 to 35, all of them of 10 to 30."""
    fixes = walk(3, 40)
    given = {"location_error_m": 20, "window": 15, "margin": 5}
    whole = movement.dynamic_bridge(fixes, **given)
    variance = whole.variances["motion_variance_m2_per_min"].to_numpy()
    assert whole.groups["steps_used"].iloc[0] == 39
    assert len(set(variance[:5])) == 1
    assert len(set(variance[34:])) == 1
    short = movement.dynamic_bridge(fixes, extend_ends=False, **given)
    assert np.flatnonzero(short.variances["windows"]).tolist() == list(range(4, 35))
    assert np.flatnonzero(short.variances["used"]).tolist() == list(range(9, 30))
    assert short.groups["steps_left_out"].iloc[0] == 18
    np.testing.assert_array_equal(variance[4:35], short.variances["motion_variance_m2_per_min"][4:35])


def test_one_behaviour_throughout_is_the_plain_brownian_bridge():
    fixes = track(500 * np.arange(40), np.tile([0, 300], 20), minutes=60)
    dynamic = movement.dynamic_bridge(fixes, location_error_m=20, cell_size_m=100)
    plain = movement.brownian_bridge(fixes, dynamic.occurrence, location_error_m=20)
    np.testing.assert_allclose(dynamic.occurrence.values, plain.occurrence.values, atol=1e-12)


def test_maps_sum_to_one_with_nested_contours_and_a_row_for_each_group_and_step():
    found = movement.dynamic_bridge(herd(3, n=20), location_error_m=20, window=9, margin=3, cell_size_m=150)
    assert found.occurrence.values.sum() == pytest.approx(1, abs=1e-12)
    areas = found.contours.set_index("percent")["area_km2"]
    assert areas[50] < areas[95] < areas[99]
    assert found.groups["animal"].tolist() == ["doe 0", "doe 1", "doe 2"]
    assert len(found.variances) == 3 * 19
    assert found.variances.groupby("animal").size().tolist() == [19, 19, 19]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"window": 12}, "must be odd"),
        ({"window": 11, "margin": 4}, "must be odd"),
        ({"window": 21, "margin": 11}, "at least 23 fixes"),
        ({}, "fewer than the window of 31"),
        ({"window": 9, "margin": 3, "location_error_m": None}, "location error"),
        ({"window": 9, "margin": 3, "max_lag_h": 1}, "max_lag_h"),
    ],
)
def test_windows_that_cannot_be_are_refused(given, match):
    with pytest.raises(LinkwaysError, match=match):
        movement.dynamic_bridge(walk(1, 20), **({"location_error_m": 20} | given))


def test_degrees_and_single_fixes_are_refused():
    with pytest.raises(LinkwaysError, match="degrees"):
        movement.dynamic_bridge(walk(1, 40).to_crs("EPSG:4326"), location_error_m=20)
    with pytest.raises(LinkwaysError, match="fewer than 3 fixes"):
        movement.dynamic_bridge(walk(1, 1), location_error_m=20)
