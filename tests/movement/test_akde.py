"""Autocorrelated kernel density: exact likelihoods, bandwidths, cells, and what a user meets."""

import warnings

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import chi2, multivariate_normal

from linkways import LinkwaysError, movement, spatial
from linkways.movement import _akde
from linkways.movement._continuous import Model, autocorrelation, fit, smoothed_places

CRS = "EPSG:32636"


def correlation(process, tau_p, tau_v, lag):
    """Written again, so that the test does not lean on what it tests."""
    if process == "IID":
        return (lag == 0).astype(float)
    if process == "OU":
        return np.exp(-lag / tau_p)
    return (tau_p * np.exp(-lag / tau_p) - tau_v * np.exp(-lag / tau_v)) / (tau_p - tau_v)


def dense_loglik(model, seconds, places, error):
    """The joint normal density of all coordinates, with the mean that fits them best."""
    n = len(seconds)
    lag = np.abs(seconds[:, None] - seconds[None, :])
    cover = np.kron(model.sigma, correlation(model.process, model.tau_p, model.tau_v, lag))
    cover += np.kron(np.eye(2), np.diag(error**2))
    design = np.kron(np.eye(2), np.ones((n, 1)))
    flat = places.T.ravel()
    weighed = np.linalg.solve(cover, design)
    mean = np.linalg.solve(design.T @ weighed, weighed.T @ flat)
    return multivariate_normal(design @ mean, cover, allow_singular=True).logpdf(flat)


def irregular_track(seed, n=40, tau_p=40_000.0, tau_v=4_000.0, size=1000.0):
    """Places of a known OUF process at irregular times, drawn from the joint distribution itself."""
    rng = np.random.default_rng(seed)
    seconds = np.cumsum(rng.gamma(2.0, 1800.0, n))
    lag = np.abs(seconds[:, None] - seconds[None, :])
    root = np.linalg.cholesky(correlation("OUF", tau_p, tau_v, lag) + 1e-12 * np.eye(n))
    shape = np.array([[1.0, 0.4], [0.0, 0.6]])
    return seconds, size * (root @ rng.normal(size=(n, 2))) @ shape


def layer(places, seconds, **columns):
    time = pd.to_datetime("2024-01-01", utc=True) + pd.to_timedelta(seconds, unit="s")
    return gpd.GeoDataFrame(
        {"animal": "Habu", "time": time, **columns}, geometry=gpd.points_from_xy(*np.asarray(places).T), crs=CRS
    )


@pytest.mark.parametrize("process", ["IID", "OU", "OUF"])
@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize("error_m", [0.0, 60.0])
def test_the_filter_gives_the_joint_normal_density_of_all_fixes(process, isotropic, error_m):
    seconds, places = irregular_track(3)
    error = np.full(len(seconds), error_m) * np.linspace(0.5, 1.5, len(seconds))
    model = fit(seconds, *places.T, error, process, isotropic, "ML")
    assert model.loglik == pytest.approx(dense_loglik(model, seconds, places, error), abs=1e-3)


@pytest.mark.parametrize("process", ["OU", "OUF"])
@pytest.mark.parametrize("error_m", [0.0, 60.0])
def test_no_model_nearby_is_more_likely_than_the_fitted_one(process, error_m):
    seconds, places = irregular_track(5)
    error = np.full(len(seconds), error_m)
    model = fit(seconds, *places.T, error, process, False, "ML")
    best = dense_loglik(model, seconds, places, error)
    for tau_p, tau_v, size in [(1.03, 1, 1), (0.97, 1, 1), (1, 1.03, 1), (1, 0.97, 1), (1, 1, 1.03), (1, 1, 0.97)]:
        other = Model(
            **{**vars(model), "tau_p": model.tau_p * tau_p, "tau_v": model.tau_v * tau_v, "sigma": model.sigma * size}
        )
        assert dense_loglik(other, seconds, places, error) <= best + 1e-6


def test_equal_time_scales_are_no_trouble():
    lag = np.array([0.0, 100.0, 5000.0])
    nearly = autocorrelation("OUF", 1000.0, 1000.0, lag)
    assert nearly == pytest.approx((1 + lag / 1000) * np.exp(-lag / 1000), abs=1e-7)


def test_independent_fixes_have_as_many_effective_places_as_fixes_less_one():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50))
    model = fit(np.arange(50.0) * 86400, x, y, np.zeros(50), "IID", True, "pHREML")
    assert model.dof_area == pytest.approx(49, rel=1e-3)
    assert model.sigma[0, 0] == pytest.approx((x.var(ddof=1) + y.var(ddof=1)) / 2)


def test_phreml_lies_between_ml_and_the_restricted_maximum_in_area():
    seconds, places = irregular_track(7, n=120)
    ml, corrected = (fit(seconds, *places.T, np.zeros(120), "OUF", False, e) for e in ("ML", "pHREML"))
    assert np.linalg.det(corrected.sigma) > np.linalg.det(ml.sigma)
    assert corrected.loglik <= ml.loglik


def test_errors_of_nothing_are_as_no_errors():
    seconds, places = irregular_track(9)
    exact = fit(seconds, *places.T, np.zeros(40), "OUF", False, "pHREML")
    tiny = fit(seconds, *places.T, np.full(40, 1e-3), "OUF", False, "pHREML")
    assert tiny.loglik == pytest.approx(exact.loglik, abs=1e-3)
    assert tiny.tau_p == pytest.approx(exact.tau_p, rel=1e-2)


def test_smoothed_places_are_the_conditional_means():
    seconds, places = irregular_track(11, n=25)
    error = np.linspace(50, 200, 25)
    sigma = np.diag([4e5, 9e5])
    model = Model("OUF", False, 40_000.0, 4_000.0, places.mean(axis=0), sigma, 0, 0, 1, 0, 0, True)
    kernel = correlation("OUF", 40_000.0, 4_000.0, np.abs(seconds[:, None] - seconds[None, :]))
    found = smoothed_places(model, seconds, places, error)
    for axis in (0, 1):
        cover = sigma[axis, axis] * kernel
        expected = model.mean[axis] + cover @ np.linalg.solve(
            cover + np.diag(error**2), places[:, axis] - model.mean[axis]
        )
        assert found[:, axis] == pytest.approx(expected, abs=1e-4)


def test_the_bandwidth_of_independent_fixes_has_the_least_expected_error():
    n = 30
    model = Model("IID", True, 0, 0, np.zeros(2), np.eye(2), 0, 0, n - 1, 0, 0, True)
    rng = np.random.default_rng(2)
    found = _akde.kernels(model, np.arange(float(n)), rng.normal(size=(n, 2)), weighted=False)

    def error(h):
        return 1 / (2 * n * h**2) + (1 - 1 / n) / (2 + 2 * h**2) - 2 / (2 + h**2) + 0.5

    assert found.bandwidth == pytest.approx(minimize_scalar(error, bounds=(0.01, 2), method="bounded").x, rel=1e-3)
    assert found.bias == pytest.approx(1 - 1 / n + found.bandwidth**2)


def test_lags_counted_on_a_grid_give_the_bandwidth_of_all_pairs(monkeypatch):
    seconds, places = irregular_track(13, n=400)
    model = fit(seconds, *places.T, np.zeros(400), "OUF", False, "pHREML")
    exact = _akde.kernels(model, seconds, places, weighted=False)
    monkeypatch.setattr(_akde, "EXACT", 10)
    gridded = _akde.kernels(model, seconds, places, weighted=False)
    assert gridded.bandwidth == pytest.approx(exact.bandwidth, rel=2e-3)
    assert gridded.bias == pytest.approx(exact.bias, rel=2e-3)


def test_weights_make_little_of_many_fixes_in_a_short_time():
    seconds = np.r_[np.arange(20) * 86400.0, 20 * 86400.0 + np.arange(60) * 300.0]
    rng = np.random.default_rng(1)
    places = rng.normal(size=(80, 2)) * 1000
    model = Model("OU", True, 43_200.0, 0, np.zeros(2), np.eye(2) * 1e6, 0, 0, 20, 0, 0, True)
    even = _akde.kernels(model, seconds, places, weighted=False)
    found = _akde.kernels(model, seconds, places, weighted=True)
    assert found.weight.sum() == pytest.approx(1)
    assert (found.weight >= 0).all()
    assert found.weight[20:].sum() < 0.25 < even.weight[20:].sum()
    distance = 1 - np.exp(-np.abs(seconds[:, None] - seconds[None, :]) / 43_200.0)

    def error(w, h):
        return w @ (1 / (2 * distance + 2 * h * h)) @ w - 2 / (2 + h * h) + 0.5

    least = error(found.weight, found.bandwidth)
    assert least < error(even.weight, even.bandwidth)
    for _ in range(50):
        other = found.weight * rng.uniform(0.9, 1.1, 80)
        assert error(other / other.sum(), found.bandwidth * rng.uniform(0.95, 1.05)) >= least - 1e-9


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(-0.9, 0.9), st.floats(0.3, 3))
def test_kernels_on_cells_are_the_sum_of_normal_densities(seed, lean, ratio):
    from linkways.movement._akde_kernels import add_weighted_kernels

    rng = np.random.default_rng(seed)
    east, south, weight = rng.uniform(5, 35, 6), rng.uniform(5, 25, 6), rng.random(6)
    xx, yy = 9.0, 9.0 * ratio
    xy = lean * np.sqrt(xx * yy)
    density = np.zeros((30, 40))
    add_weighted_kernels(east, south, weight, xx, xy, yy, 8.0, 1.0, 1.0, density)
    rows, columns = np.mgrid[:30, :40] + 0.5
    expected = sum(
        w * multivariate_normal([e, s], [[xx, xy], [xy, yy]]).pdf(np.dstack([columns, rows]))
        for e, s, w in zip(east, south, weight, strict=True)
    )
    assert density == pytest.approx(expected, abs=1e-12)


@pytest.fixture(scope="module")
def ranges():
    seconds, places = irregular_track(21, n=200)
    return movement.akde(layer(places, seconds))


def test_use_sums_to_one_and_is_nowhere_missing(ranges):
    assert float(ranges.use.sum()) == pytest.approx(1)
    assert bool((ranges.use >= 0).all())


def test_ranges_lie_within_each_other_and_have_the_area_that_is_told(ranges):
    shapes = ranges.ranges.set_index(["percent", "bound"])
    for percent in (50.0, 95.0):
        low, middle, high = (shapes.loc[(percent, bound)] for bound in ("low", "estimate", "high"))
        assert low.geometry.within(middle.geometry.buffer(1e-6))
        assert middle.geometry.within(high.geometry.buffer(1e-6))
        assert middle.geometry.area / 1e6 == pytest.approx(middle.area_km2, rel=0.02)
    assert shapes.loc[(50.0, "estimate")].geometry.within(shapes.loc[(95.0, "estimate")].geometry.buffer(1e-6))


def test_the_interval_of_the_area_is_that_of_a_chi_square(ranges):
    row = ranges.animals.iloc[0]
    free = 2 * row.dof_area
    assert row.area_95_low_km2 / row.area_95_km2 == pytest.approx(chi2.ppf(0.025, free) / free)
    assert row.area_95_high_km2 / row.area_95_km2 == pytest.approx(chi2.ppf(0.975, free) / free)


def test_the_model_with_the_least_aicc_is_chosen(ranges):
    assert ranges.models.iloc[0].delta_aicc == 0
    assert ranges.models["aicc"].is_monotonic_increasing
    assert ranges.animals.model[0] == ranges.models.model[0]
    assert len(ranges.models) == 6


@settings(max_examples=5, deadline=None)
@given(st.floats(0.2, 5), st.floats(-1e5, 1e5))
def test_areas_grow_with_the_square_of_distances_wherever_the_range_lies(scale, away):
    seconds, places = irregular_track(2, n=60)
    one = movement.akde(layer(places, seconds), model="OU", shape="ellipse")
    other = movement.akde(layer(places * scale + away, seconds), model="OU", shape="ellipse")
    assert other.animals.area_95_km2[0] / scale**2 == pytest.approx(one.animals.area_95_km2[0], rel=0.01)


def test_intervals_hold_the_true_area_of_known_ranges():
    """A process of known covariance: its 95 per cent ellipse has pi x 5.99 x sqrt(det)."""
    truth = np.pi * chi2.ppf(0.95, 2) * 1.0 * 0.6  # km2; the shape of irregular_track, 1 km
    held, areas = 0, []
    for seed in range(20):
        seconds, places = irregular_track(100 + seed, n=300)
        row = movement.akde(layer(places, seconds), model="OUF", shape="ellipse").animals.iloc[0]
        held += row.area_95_low_km2 <= truth <= row.area_95_high_km2
        areas.append(row.area_95_km2)
    assert held >= 16
    assert np.mean(areas) == pytest.approx(truth, rel=0.15)


def test_two_animals_share_one_map_and_each_has_its_row():
    seconds, places = irregular_track(31, n=60)
    both = pd.concat([layer(places, seconds), layer(places + 20_000, seconds).assign(animal="Mona")])
    found = movement.akde(gpd.GeoDataFrame(both, crs=CRS), model="OU", shape="round")
    assert found.animals.animal.tolist() == ["Habu", "Mona"]
    assert found.animals.area_95_km2.nunique() <= 2
    assert float(found.use.sum()) == pytest.approx(1)
    middle = (places[:, 0].mean() + 10_000, places[:, 1].mean() + 10_000)
    assert float(found.use.where(found.use.x + found.use.y < sum(middle), 0).sum()) == pytest.approx(0.5, abs=0.01)


def test_a_template_gives_the_map_its_cells():
    seconds, places = irregular_track(33, n=60)
    like = spatial.new_raster(np.zeros((40, 50)), crs=CRS, cell_size=500, origin=(-12_500, 10_000))
    found = movement.akde(layer(places, seconds), like, model="OU", shape="round")
    assert found.use.shape == (40, 50)
    assert float(found.use.sum()) == pytest.approx(1)


def test_location_errors_of_the_layer_are_used():
    seconds, places = irregular_track(35, n=60)
    noisy = places + np.random.default_rng(0).normal(0, 300, places.shape)
    without = movement.akde(layer(noisy, seconds), model="OU", shape="round").animals
    known = movement.akde(layer(noisy, seconds, error_m=300.0), model="OU", shape="round").animals
    assert known.tau_position_h[0] > without.tau_position_h[0]


def test_an_animal_that_never_turns_back_is_told_to_have_no_range_yet():
    seconds = np.arange(100) * 3600.0
    walk = np.cumsum(np.random.default_rng(4).normal(0, 100, (100, 2)) + 500, axis=0)
    with spatial.recording() as log:
        movement.akde(layer(walk, seconds))
    assert any("no home range" in sentence for sentence in log)


def test_the_figure_draws_one_panel_for_each_animal(ranges):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranges.variograms.canvas.draw()
    assert len(ranges.variograms.axes) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.to_crs(4326), "degrees"),
        (lambda f: f.iloc[:4], "fewer than 5"),
        (lambda f: f.set_geometry(gpd.points_from_xy([5.0] * len(f), [1.0] * len(f)), crs=CRS), "one place"),
        (lambda f: f.set_geometry(gpd.points_from_xy(np.arange(len(f)), np.arange(len(f))), crs=CRS), "on a line"),
        (lambda f: f.assign(error_m=-1.0), "error_m above 0"),
        (lambda f: f.assign(time=f.time.dt.tz_localize(None)), "without a zone"),
    ],
)
def test_fixes_that_tell_no_range_are_refused(change, words):
    seconds, places = irregular_track(41)
    with pytest.raises(LinkwaysError, match=words):
        movement.akde(change(layer(places, seconds)))


def test_more_fixes_than_weights_can_be_found_for_are_refused(monkeypatch):
    monkeypatch.setattr(_akde, "EXACT", 30)
    seconds, places = irregular_track(43)
    with pytest.raises(LinkwaysError, match="at most 30"):
        movement.akde(layer(places, seconds), weights=True)
