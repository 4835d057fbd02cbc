"""Dynamic Brownian bridges beside the R package move 4.2.7 (run once; values in shared/methods/movement.md, O2)."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from linkways import movement, spatial
from linkways.movement._bridge_kernels import TILE, add_bridges, bridge_terms, motion_variance, tile_cells


def fixes(x, y, *, freq="1min", crs="EPSG:32612", animal="a"):
    time = pd.date_range("2024-04-01", periods=len(x), freq=freq, tz="UTC")
    return gpd.GeoDataFrame({"animal": animal, "time": time}, geometry=gpd.points_from_xy(x, y), crs=crs)


def test_the_zigzag_has_a_variance_of_049():
    """Exact: gain 1/2, noise 0.005, z = 1/2 at every fix: (z / 2 - noise) / gain = 0.49 (move prints 0.489995)."""
    x = np.cumsum([1, *np.tile([0.5, 1.5], 4)])
    y = np.tile([0, 0.5], 5)[:9]
    layer = fixes(np.tile(x, 3) + np.repeat([0, 10, 20], 9), np.tile(y, 3)).iloc[:9]
    found = movement.dynamic_bridge(layer, location_error_m=0.1, window=9, margin=3, cell_size_m=0.1)
    np.testing.assert_allclose(found.variances["motion_variance_m2_per_min"], 0.49, rtol=1e-12)


def test_variances_along_a_migration_are_those_of_move(shared):
    table = pd.read_csv(shared / "data" / "movement" / "pronghorn_sublette_sequences.csv")
    table = table[table["sequence"] == "JMH-27_sp13"]
    layer = gpd.GeoDataFrame(
        {"animal": table["id"], "time": pd.to_datetime(table["timestamp"], utc=True)},
        geometry=gpd.points_from_xy(table["x_aea"], table["y_aea"]),
        crs="EPSG:5070",
    )
    rows = movement.dynamic_bridge(layer, location_error_m=20, extend_ends=False).variances
    told = rows[rows["windows"] > 0]["motion_variance_m2_per_min"]
    assert told.mean() == pytest.approx(1924.7258, rel=1e-6)
    at = rows["motion_variance_m2_per_min"].iloc[[19, 39, 59]]
    assert at.tolist() == pytest.approx([5301.117, 403.4957, 1319.925], rel=1e-6)
    assert rows["used"].sum() == 463 - 2 * 20 + 1  # the fixes that move gives a distribution to


def test_an_even_circle_has_no_motion_beyond_the_location_error():
    """Exactly 0; the optimiser of move stops at 5.5278e-5 short of its bound."""
    angle = np.linspace(0, 2 * np.pi, 49)
    found = movement.dynamic_bridge(fixes(np.cos(angle), np.sin(angle)), location_error_m=0.1, cell_size_m=0.05)
    assert found.variances["motion_variance_m2_per_min"].max() < 5.6e-5
    assert found.groups["variance_at_zero"].all()


def test_the_density_of_moves_circle():
    """Grid of move: 200 x 200 cells to +-1.6; its step of three lags lands on three fixes, three apart.

    move cuts at 4 standard deviations, hence 1e-4 of the highest cell and two cells of the 99 % contour.
    """
    angle = np.linspace(0, 2 * np.pi, 49)
    cell, size = 3.2 / 200, 200
    used = np.isin(np.arange(48), [21, 24, 27])
    tiles = np.arange(16, dtype=np.int32).reshape(4, 4)
    pool = np.zeros((16, TILE, TILE))
    add_bridges(
        np.arange(49) / 60,
        np.cos(angle) + 1.6,
        1.6 - np.sin(angle),
        np.full(49, 0.1),
        np.full(48, 5.5278e-5),
        used,
        0.05,
        6.0,
        cell,
        cell,
        size,
        size,
        tiles,
        pool,
    )
    values = tile_cells(tiles, pool, size, size)[1]
    values = np.sort(values)[::-1] / values.sum()
    assert values[0] == pytest.approx(1.355291e-3, rel=1e-4)
    cells = [int(np.searchsorted(np.cumsum(values), p)) + 1 for p in (0.5, 0.95, 0.99)]
    assert np.abs(np.subtract(cells, [508, 1879, 2638])).max() <= 2


def test_variances_of_bridges_between_uneven_fixes_have_the_greatest_likelihood():
    """Beside scipy's bounded search over a fine grid of starts, with errors as large as the motion."""
    from scipy.optimize import minimize_scalar

    rng = np.random.default_rng(7)
    for _ in range(300):
        n = 31
        minutes = np.cumsum(rng.choice([1.0, 5.0, 60.0, 300.0], n))
        x, y = rng.normal(0, 1, (2, n)).cumsum(axis=1) * 10 ** rng.uniform(0, 2)
        terms = bridge_terms(minutes, x, y, rng.choice([5.0, 20.0, 100.0], n), False)
        gain, noise, square = (term[1:-1:2].copy() for term in terms)

        def misfit(s, gain=gain, noise=noise, square=square):
            v = gain * s + noise
            return np.sum(np.log(v) + square / (2 * v))

        found, value = motion_variance(gain, noise, square, 0, len(gain), 1)
        starts = np.r_[0, np.geomspace(1e-6, 1e6, 400)]
        best = min(range(len(starts)), key=lambda k: misfit(starts[k]))
        around = starts[max(best - 1, 0)], starts[min(best + 1, len(starts) - 1)]
        peer = minimize_scalar(misfit, bounds=around, method="bounded", options={"xatol": 1e-10 * around[1]})
        assert value <= min(peer.fun, misfit(0.0)) + 1e-9
        assert value == pytest.approx(misfit(found), abs=1e-9)


def test_the_sum_over_bridges_is_the_sum_over_bridges():
    """Beside a dense sum written out, over a grid with oblong cells and an uneven track."""
    rng = np.random.default_rng(3)
    minutes = np.array([0, 7.0, 31.0, 600.0, 618.0])
    x, y = rng.uniform(200, 2800, (2, 5))
    error = rng.uniform(10, 60, 5)
    template = spatial.new_raster(np.zeros((70, 90)), crs="EPSG:32612", cell_size=(40, 50), origin=(0, 3200))
    layer = fixes(x, y).assign(error_m=error)
    layer["time"] = pd.Timestamp("2024-04-01", tz="UTC") + pd.to_timedelta(minutes, "min")
    found = movement.brownian_bridge(layer, template, motion_variance=900, kept_percent=100, time_step_min=4)
    cx, cy = np.meshgrid(template.x.values, template.y.values)
    total = np.zeros(cx.shape)
    for i, lag in enumerate(np.diff(minutes)):
        if lag > 480:
            continue
        for tau in np.arange(0, lag + 1e-9, 4):
            a = tau / lag
            v = lag * a * (1 - a) * 900 + (1 - a) ** 2 * error[i] ** 2 + a**2 * error[i + 1] ** 2
            square = (cx - x[i] - a * (x[i + 1] - x[i])) ** 2 + (cy - y[i] - a * (y[i + 1] - y[i])) ** 2
            total += np.exp(-square / (2 * v)) / (2 * np.pi * v)
    assert np.abs(found.occurrence.values - total / total.sum()).sum() < 1e-8
    assert found.groups["steps_left_out"].tolist() == [1]
