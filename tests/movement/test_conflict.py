"""Conflict: densities that keep their incidents, hotspots against brute force and esda, risks of known truth."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import false_discovery_control

from linkways import LinkwaysError, movement, spatial
from linkways.movement import _conflict_density as density
from linkways.movement import _conflict_risk as risk

CRS = "EPSG:32736"
SIDE = 20_000.0


def area(side=SIDE):
    return gpd.GeoDataFrame(geometry=[shapely.box(0, 0, side, side)], crs=CRS)


def layer(places, **columns):
    places = np.asarray(places)
    return gpd.GeoDataFrame(columns, index=range(len(places)), geometry=gpd.points_from_xy(*places.T), crs=CRS)


def raids(seed=1, scattered=60, crowded=40):
    """Simulated: incidents anywhere, and a crowd around (15, 15) km."""
    rng = np.random.default_rng(seed)
    return np.vstack([rng.uniform(0, SIDE, (scattered, 2)), rng.normal(15_000, 700, (crowded, 2))])


def raster(values, name, cell=500.0):
    values = np.asarray(values, float)
    return spatial.new_raster(values, crs=CRS, cell_size=cell, origin=(0, values.shape[0] * cell), name=name)


# --- density ---------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(200, 8000))
def test_the_density_holds_every_incident_once_however_near_the_edge(seed, bandwidth):
    places = np.random.default_rng(seed).uniform(0, SIDE, (15, 2))
    found = movement.conflict(layer(places), area(), cell_size_m=500, bandwidth_m=bandwidth)
    assert float(found.density.sum()) * 0.25 == pytest.approx(15)


def test_far_from_edges_the_density_is_that_of_normal_kernels():
    places = np.full((10, 2), 10_000.0)
    found = movement.conflict(layer(places), area(), cell_size_m=100, bandwidth_m=1000).density
    top = float(found.sel(x=10_050, y=10_050))
    assert top == pytest.approx(10 / (2 * np.pi) * np.exp(-(0.05**2)), rel=1e-4)


def test_twice_the_effort_halves_the_density():
    places = np.random.default_rng(0).uniform(0, SIDE, (400, 2))
    effort = np.ones((40, 40))
    effort[:, 20:] = 3
    plain = movement.conflict(layer(places), area(), effort=raster(np.ones((40, 40)), "effort"), bandwidth_m=500)
    found = movement.conflict(layer(places), area(), effort=raster(effort, "effort"), bandwidth_m=500)
    ratio = found.density / plain.density
    # the mean effort is 2
    assert float(ratio[20, 2]) == pytest.approx(2)
    assert float(ratio[20, 37]) == pytest.approx(2 / 3)


# --- hotspots --------------------------------------------------------------------------------------------------


def brute_gi(values, inside, distance, cell):
    rows, columns = np.nonzero(inside)
    x, n = values[inside], int(inside.sum())
    out = np.full(values.shape, np.nan)
    for r, c in zip(rows, columns, strict=True):
        w = ((rows - r) ** 2 + (columns - c) ** 2) * cell**2 <= distance**2
        spread = x.std() * np.sqrt((n * w.sum() - w.sum() ** 2) / (n - 1))
        out[r, c] = (x[w].sum() - x.mean() * w.sum()) / spread
    return out


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([500.0, 710.0, 1500.0]))
def test_gi_star_is_the_sum_around_against_its_expectation(seed, distance):
    rng = np.random.default_rng(seed)
    values, inside = rng.poisson(1.0, (12, 15)).astype(float), rng.random((12, 15)) < 0.8
    found = density.getis_ord(values, inside, (500.0, 500.0), distance)
    assert found.z[inside] == pytest.approx(brute_gi(values, inside, distance, 500.0)[inside], abs=1e-8)


def test_gi_star_agrees_with_esda():
    esda = pytest.importorskip("esda")
    libpysal = pytest.importorskip("libpysal")
    values = np.random.default_rng(0).poisson(1.0, (12, 15)).astype(float)
    rows, columns = (a.ravel() * 500.0 for a in np.mgrid[:12, :15])
    neighbours = libpysal.weights.DistanceBand(np.column_stack([columns, rows]), 1100, silence_warnings=True)
    expected = esda.G_Local(values.ravel(), neighbours, transform="B", star=True, permutations=0)
    found = density.getis_ord(values, np.ones((12, 15), bool), (500.0, 500.0), 1100)
    assert found.z.ravel() == pytest.approx(expected.Zs, abs=1e-8)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=30))
def test_false_discovery_agrees_with_scipy(p):
    assert density.false_discovery(np.array(p)) == pytest.approx(false_discovery_control(p))


def test_a_crowd_is_found_and_scattered_incidents_are_not():
    found = movement.conflict(layer(raids()), area(), cell_size_m=500, bandwidth_m=1500)
    assert len(found.hotspots) == 1
    spot = found.hotspots.iloc[0]
    assert spot.geometry.contains(shapely.Point(15_000, 15_000))
    assert spot.geometry.within(shapely.Point(15_000, 15_000).buffer(5_000))
    assert spot.area_km2 == pytest.approx(spot.geometry.area / 1e6)
    assert spot.incidents >= 38


def test_incidents_by_chance_seldom_make_a_hotspot():
    hot = [
        len(movement.conflict(layer(raids(s, 300, 0)), area(), cell_size_m=1000, distance_m=2000).hotspots)
        for s in range(20)
    ]
    assert np.mean(np.array(hot) > 0) <= 0.25


def test_a_crowd_where_effort_is_high_is_no_hotspot():
    effort = np.full((40, 40), 1.0)
    effort[8:13, 26:34] = 60
    places = raids(2, 60, 40)
    without = movement.conflict(layer(places), area(), cell_size_m=500, bandwidth_m=1500)
    found = movement.conflict(layer(places), area(), effort=raster(effort, "effort"), bandwidth_m=1500)
    middle = shapely.Point(15_000, 15_000)
    assert without.hotspots.contains(middle).any()
    assert not found.hotspots.contains(middle).any()


def test_seasons_are_told_apart_by_the_months_they_begin_in():
    places = raids()
    month = np.r_[np.tile([1, 6], 30), np.full(40, 7)]
    date = [f"2024-{m:02d}-15" for m in month]
    found = movement.conflict(
        layer(places, date=date), area(), cell_size_m=500, bandwidth_m=1500, season_starts=[5, 11]
    )
    seasons = found.seasons.set_index("season")
    assert seasons.incidents.to_dict() == {"all": 100, "May-Oct": 70, "Nov-Apr": 30}
    assert seasons.hotspots["May-Oct"] == 1
    assert seasons.hotspots["Nov-Apr"] == 0


def test_only_the_kinds_asked_for_count():
    kind = ["fence"] * 60 + ["crop"] * 40
    found = movement.conflict(layer(raids(), kind=kind), area(), cell_size_m=500, bandwidth_m=1500, kinds=["crop"])
    assert found.incidents == 40


def test_incidents_outside_are_left_out_and_the_log_says_so():
    places = np.vstack([raids(), [[-5000, 0], [90_000, 0]]])
    with spatial.recording() as log:
        found = movement.conflict(layer(places), area(), cell_size_m=500, bandwidth_m=1500)
    assert found.incidents == 100
    assert any("2 of 102 incidents lie outside area" in sentence for sentence in log)


# --- risk ------------------------------------------------------------------------------------------------------


def simulated(seed, per_km2=0.3, water=1.0, crops=-0.6, n=60):
    """Simulated incidents of a known risk: log rate = log(per_km2) + water a + crops b."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[:n, :n]
    a, b = (right / n - 0.5) * 2, np.sin(down / 6)
    number = rng.poisson(per_km2 * 0.25 * np.exp(water * a + crops * b))
    rows, columns = np.nonzero(number)
    rows, columns = np.repeat(rows, number[rows, columns]), np.repeat(columns, number[rows, columns])
    x = (columns + rng.random(len(columns))) * 500
    y = (n - rows - rng.random(len(rows))) * 500
    return layer(np.column_stack([x, y])), area(n * 500.0), [raster(a, "water"), raster(b, "crops")]


@pytest.mark.parametrize("family", ["poisson", "logistic"])
def test_coefficients_are_the_most_likely_ones(family):
    rng = np.random.default_rng(0)
    x, offset = rng.normal(size=(400, 2)), rng.normal(0, 0.3, 400)
    score = -1 + x @ [0.8, -0.5] + offset
    y = rng.poisson(np.exp(score)) if family == "poisson" else rng.random(400) < 1 / (1 + np.exp(-score))
    y = np.asarray(y, float)

    def cost(beta):
        eta = beta[0] + x @ beta[1:] + offset
        return (np.exp(eta) if family == "poisson" else np.logaddexp(0, eta)).sum() - y @ eta

    expected = minimize(cost, np.zeros(3), method="BFGS", options={"gtol": 1e-8})
    found = risk.fit_risk(x, y, offset, np.arange(400) % 20, family)
    assert found.beta == pytest.approx(expected.x, abs=1e-5)
    step, at = np.eye(3) * 1e-3, expected.x

    def bend(a, b):
        return (cost(at + a + b) - cost(at + a - b) - cost(at - a + b) + cost(at - a - b)) / 4e-6

    curve = [[bend(a, b) for a in step] for b in step]
    assert found.cover / found.dispersion == pytest.approx(np.linalg.inv(curve), rel=1e-3, abs=1e-5)


def test_intervals_hold_the_true_coefficients():
    held = 0
    for seed in range(20):
        found = movement.conflict(*simulated(seed), bandwidth_m=2000).coefficients.set_index("covariate")
        held += found.low["water"] <= 1.0 <= found.high["water"]
        held += found.low["crops"] <= -0.6 <= found.high["crops"]
    assert held >= 34  # of 40, at 95 per cent


def test_the_risk_map_sums_to_the_incidents():
    incidents, ground, covariates = simulated(3)
    found = movement.conflict(incidents, ground, covariates, bandwidth_m=2000)
    assert float(found.risk.sum()) * 0.25 == pytest.approx(len(incidents))
    assert found.auc > 0.6
    assert found.calibration_slope == pytest.approx(1, abs=0.25)
    assert found.calibration.incidents.sum() == len(incidents)
    assert found.validation.cells.sum() == 3600


def test_effort_that_makes_the_pattern_leaves_no_effect():
    incidents, ground, covariates = simulated(4, water=1.5, crops=0)
    effort = raster(np.exp(1.5 * covariates[0].values), "effort")
    found = movement.conflict(incidents, ground, covariates, effort, bandwidth_m=2000).coefficients.set_index(
        "covariate"
    )
    assert found.low["water"] < 0 < found.high["water"]


@given(st.integers(0, 1000))
def test_the_auc_is_the_share_of_pairs_ranked_right(seed):
    rng = np.random.default_rng(seed)
    score, positive = rng.integers(0, 5, 30).astype(float), rng.random(30) < 0.4
    if positive.all() or not positive.any():
        return
    pairs = np.subtract.outer(score[positive], score[~positive])
    assert risk.area_under_curve(score, positive) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_blocks_are_never_split_between_folds():
    block = np.random.default_rng(0).integers(0, 12, 500)
    fold = risk.folds_of(block, 4, np.random.default_rng(1))
    assert all(len(set(fold[block == b])) == 1 for b in range(12))
    assert set(fold) == {0, 1, 2, 3}


# --- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("incidents", "options", "words"),
    [
        (layer(raids()[:0]), {}, "holds no incident"),
        (layer(raids()[:5]), {}, "too few"),
        (layer(raids() + 1e6), {}, "no incident lies inside area"),
        (layer(np.full((20, 2), 9e3)), {}, "give bandwidth_m"),
        (layer(raids()), {"season_starts": [5]}, "needs the column date"),
        (layer(raids(), date="long ago"), {"season_starts": [5]}, "cannot be read"),
        (layer(raids()), {"kinds": ["crop"]}, "no column kind"),
        (layer(raids(), kind="fence"), {"kinds": ["crop"]}, "no incident is of the kind crop"),
        (layer(raids()), {"effort": raster(np.zeros((40, 40)), "e")}, "0 or nodata all over"),
        (layer(raids()), {"effort": raster(-np.ones((40, 40)), "e")}, "below 0"),
        (layer(raids()), {"covariates": [raster(np.ones((40, 40)), "flat")]}, "flat has the same value"),
        (layer(raids()), {"covariates": [raster(np.full((40, 40), np.nan), "gap")]}, "no cell of area"),
        (layer(raids()), {"covariates": [raster(np.eye(40), "a"), raster(np.eye(40), "a")]}, "two covariates"),
        (layer(raids()), {"covariates": [raster(np.eye(40), "a"), raster(2 * np.eye(40), "b")]}, "b follows from a"),
        (layer(raids()), {"covariates": [raster(np.eye(40), "a")], "cell_size_m": 500}, "leave out cell_size_m"),
        (
            layer(raids()),
            {"covariates": [raster(np.random.default_rng(0).random((40, 40)), "a")], "block_m": 1e6},
            "blocks",
        ),
        (
            layer(np.column_stack([np.linspace(1, 9e3, 60), np.linspace(1, 19e3, 60)])),
            {"covariates": [raster(np.tile(np.arange(40) < 19, (40, 1)), "west")]},
            "west parts cells",
        ),
    ],
)
def test_what_tells_no_pattern_is_refused(incidents, options, words):
    with pytest.raises(LinkwaysError, match=words):
        movement.conflict(incidents, area(), **options)


def test_degrees_are_refused():
    with pytest.raises(LinkwaysError, match="degrees"):
        movement.conflict(layer(raids()).to_crs(4326), area().to_crs(4326))


def test_too_many_covariates_for_the_incidents_are_refused():
    rng = np.random.default_rng(0)
    covariates = [raster(rng.random((40, 40)), f"c{k}") for k in range(4)]
    with pytest.raises(LinkwaysError, match="too few for 4 covariates"):
        movement.conflict(layer(raids()[:15]), area(), covariates)


def test_seasons_of_a_column_are_taken_as_they_are():
    season = pd.Series(["dry"] * 60 + ["wet"] * 40)
    found = movement.conflict(layer(raids(), season=season), area(), cell_size_m=500, bandwidth_m=1500)
    assert found.seasons.season.tolist() == ["all", "dry", "wet"]
