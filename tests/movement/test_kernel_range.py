import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, movement, spatial
from linkways.movement._bandwidth import plug_in_bandwidth
from linkways.movement._range_kernels import derivative_sums

from .herd import herd, track


def cloud(seed, n=200, *, cov=((1e6, 0), (0, 1e6)), **given):
    x, y = np.random.default_rng(seed).multivariate_normal((0, 0), cov, n).T
    return track(x, y, **given)


def density(x, y, at_x, at_y, cov):
    """Mean of normal kernels, written out."""
    inverse = np.linalg.inv(cov)
    dx, dy = at_x[..., None] - x, at_y[..., None] - y
    square = inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2
    return np.exp(-square / 2).mean(axis=-1) / (2 * np.pi * np.sqrt(np.linalg.det(cov)))


@pytest.mark.parametrize("bandwidth", ["reference", "plug_in"])
def test_the_map_is_the_mean_of_the_kernels(bandwidth):
    fixes = cloud(1, 80, cov=((1e6, 7e5), (7e5, 1.5e6)))
    found = movement.kernel_range(fixes, bandwidth=bandwidth, cell_size_m=100)
    row = found.animals.iloc[0]
    sx, sy, r = row["bandwidth_x_m"], row["bandwidth_y_m"], row["bandwidth_correlation"]
    cov = np.array([[sx**2, r * sx * sy], [r * sx * sy, sy**2]])
    if bandwidth == "plug_in":
        assert r > 0.3  # leans as the fixes do
    x, y = np.meshgrid(found.use.x, found.use.y)
    want = density(fixes.geometry.x.to_numpy(), fixes.geometry.y.to_numpy(), x, y, cov) * 100**2
    assert np.abs(found.use.values - want / want.sum()).sum() < 1e-6


def test_the_reference_bandwidth_is_that_of_the_formula():
    fixes = cloud(2, 50)
    x, y = fixes.geometry.x.to_numpy(), fixes.geometry.y.to_numpy()
    h = np.sqrt((x.var(ddof=1) + y.var(ddof=1)) / 2) * 50 ** (-1 / 6)
    found = movement.kernel_range(fixes, scale=0.7).animals.iloc[0]
    assert found[["bandwidth_x_m", "bandwidth_y_m", "bandwidth_correlation"]].tolist() == pytest.approx(
        [0.7 * h, 0.7 * h, 0]
    )


def test_one_normal_cloud_has_the_area_of_its_ellipse():
    """The 95 % range of a normal cloud smoothed by h has the area 2 pi (s^2 + h^2) ln 20."""
    x, y = np.random.default_rng(3).normal(0, 1, (2, 20_000))
    x, y = 1000 * (x - x.mean()) / x.std(), 1000 * (y - y.mean()) / y.std()
    found = movement.kernel_range(track(x, y, minutes=1.0), cell_size_m=40).animals.iloc[0]
    want = 2 * np.pi * (1e6 + found["bandwidth_x_m"] ** 2) * np.log(20) / 1e6
    assert found["area_95_km2"] == pytest.approx(want, rel=0.02)


@pytest.mark.parametrize("order", [4, 6])
def test_sums_of_derivatives_are_those_of_the_kernel(order):
    """Beside central differences of the normal density in quadruple steps, through Hermite polynomials of numpy."""
    rng = np.random.default_rng(order)
    x, y = rng.normal(0, 1, (2, 30))
    order_x = np.argsort(x)
    x, y, width = x[order_x], y[order_x], 0.6
    u, v = (x[:, None] - x) / width, (y[:, None] - y) / width
    bell = np.exp(-(u**2 + v**2) / 2) / (2 * np.pi) / width ** (2 + order)
    want = [
        np.mean(np.polynomial.hermite_e.hermeval(u, np.eye(order + 1)[r]) * bell
                * np.polynomial.hermite_e.hermeval(v, np.eye(order + 1)[order - r]))
        for r in range(order + 1)
    ]  # fmt: skip
    np.testing.assert_allclose(derivative_sums(x, y, width, order), want, atol=1e-12)


def test_the_plug_in_bandwidth_of_a_normal_cloud_is_near_the_best_one():
    """For a normal density the best covariance is n^(-1/3) of its own (Wand and Jones 1995)."""
    cov = np.array([[4.0, 1.5], [1.5, 2.0]])
    found = np.mean(
        [
            plug_in_bandwidth(*np.random.default_rng(k).multivariate_normal((0, 0), cov, 1000).T) / 1000 ** (-1 / 3)
            for k in range(10)
        ],
        axis=0,
    )
    np.testing.assert_allclose(found, cov, rtol=0.15)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 6.3))
def test_the_plug_in_bandwidth_goes_with_the_fixes(seed, angle):
    """Exactly when they are mirrored or stretched; nearly when turned, since one pilot width serves all directions."""
    places = np.random.default_rng(seed).multivariate_normal((0, 0), ((3, 1), (1, 1)), 60).T
    found = plug_in_bandwidth(*places)
    for change in (np.diag([5.0, -0.2]), np.diag([-1.0, 1.0])):
        np.testing.assert_allclose(
            plug_in_bandwidth(*(change @ places)), change @ found @ change.T, rtol=1e-5, atol=1e-7
        )
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = plug_in_bandwidth(*(turn @ places))
    assert np.abs(turned - turn @ found @ turn.T).max() < 0.1 * np.trace(found)


def test_two_clumps_have_a_smaller_range_by_plug_in_than_by_reference():
    rng = np.random.default_rng(4)
    x = np.r_[rng.normal(0, 500, 200), rng.normal(20_000, 500, 200)]
    fixes = track(x, rng.normal(0, 500, 400))
    wide = movement.kernel_range(fixes, cell_size_m=200).animals["area_95_km2"].iloc[0]
    close = movement.kernel_range(fixes, cell_size_m=200, bandwidth="plug_in").animals["area_95_km2"].iloc[0]
    assert close < wide / 5


def test_ranges_are_nested_and_the_mean_use_sums_to_one():
    found = movement.kernel_range(herd(3, n=30), percent=[95, 50], cell_size_m=200)
    assert found.use.values.sum() == pytest.approx(1, abs=1e-12)
    assert found.ranges["animal"].tolist() == ["doe 0", "doe 0", "doe 1", "doe 1", "doe 2", "doe 2"]
    for _, rows in found.ranges.groupby("animal"):
        assert rows["percent"].tolist() == [95, 50]
        assert rows.geometry.iloc[0].buffer(1e-6).covers(rows.geometry.iloc[1])
        np.testing.assert_allclose(rows.geometry.area / 1e6, rows["area_km2"])


def test_what_has_no_range_is_refused():
    def refused(fixes, like=None, *, match, **given):
        with pytest.raises(LinkwaysError, match=match):
            movement.kernel_range(fixes, like, **given)

    refused(cloud(1, 4), match="fewer than 5 fixes")
    refused(cloud(1).to_crs("EPSG:4326"), match="degrees")
    refused(track(np.zeros(6), np.zeros(6)), match="in one place")
    refused(track(np.arange(9), np.zeros(9)), match="on a line", bandwidth="plug_in")
    far = spatial.new_raster(np.zeros((9, 9)), crs="EPSG:32612", cell_size=100, origin=(1e6, 1e6))
    refused(cloud(1), far, match="no fix lies on the raster like")
    both = pd.concat([cloud(1), cloud(2, animal="far").set_geometry(cloud(2).translate(5e5, 0))])
    near = spatial.new_raster(np.zeros((99, 99)), crs="EPSG:32612", cell_size=100, origin=(-5000, 5000))
    refused(both, near, match="kernels of far reach no cell")
