"""Migrations: simulated herds with known dates, models against a slow peer, cuts against brute force, refusals."""

import itertools
import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, movement, spatial
from linkways.movement import _displacement as nsd
from linkways.movement import _migration_contrast as contrast
from linkways.movement._fixes import fixes_of
from linkways.movement._migration_result import stopovers

UTM = "EPSG:32612"
FEBRUARY = pd.Timestamp("2019-02-01", tz="UTC")


def layer(x, y, *, hours=24.0, animal="a", begin=FEBRUARY, crs=UTM):
    """Fixes at equal times at places in metres about the middle of the zone."""
    when = begin + pd.to_timedelta(np.arange(len(x)) * hours, unit="h")
    points = gpd.points_from_xy(5e5 + np.asarray(x), 4.7e6 + np.asarray(y))
    return gpd.GeoDataFrame({"animal": animal, "time": when}, geometry=points, crs=crs)


def year(legs, *, days=364, hours=6.0, seed=0, spread=400.0, **more):
    """A simulated animal: legs (day, days on the way, km to the east at its end), and noise of some metres about."""
    t = np.arange(0, days, hours / 24)
    x, at = np.zeros(len(t)), 0.0
    for middle, lasting, to in legs:
        x += (to - at) * 1000 * np.clip((t - middle) / lasting + 0.5, 0, 1)
        at = to
    rng = np.random.default_rng(seed)
    return layer(x + rng.normal(0, spread, len(t)), rng.normal(0, spread, len(t)), hours=hours, **more)


def days_of(column):
    return ((column - FEBRUARY).dt.total_seconds() / 86400).tolist()


# --- known dates ------------------------------------------------------------------------------


THERE_AND_BACK = [(90, 10, 60), (250, 8, 0)]


@pytest.mark.parametrize("how", ["models", "contrast"])
@pytest.mark.parametrize("seed", range(4))
def test_simulated_migrations_are_found_within_three_days(how, seed):
    """Halfway along a straight move NSD is a quarter of its end, so that models date a move a fifth of it late."""
    found = movement.migration(year(THERE_AND_BACK, seed=seed), how=how).migrations
    assert found["season"].tolist() == ["spring", "autumn"]
    assert found["sequence"].tolist() == ["a_sp19", "a_fa19"]
    np.testing.assert_allclose(days_of(found["middle"]), [90, 250], atol=3)
    assert (found["confidence"] > 0.99).all()
    assert found["complete"].all()


def test_a_resident_a_disperser_and_an_early_end():
    herd = pd.concat(
        [
            year([], animal="resident"),
            year([(100, 10, 50)], animal="disperser"),
            year(THERE_AND_BACK, days=180, animal="lost"),
        ]
    )
    found = movement.migration(herd)
    assert found.years.set_index("animal")["how"].to_dict() == {
        "resident": "model",
        "disperser": "model",
        "lost": "contrast",
    }
    assert found.years.set_index("animal")["model"].to_dict()["disperser"] == "disperser"
    assert found.migrations["sequence"].tolist() == ["disperser_sp19", "lost_sp19"]
    assert found.migrating_animals == 2
    np.testing.assert_allclose(days_of(found.migrations["middle"]), [100, 90], atol=3)


def test_contrast_finds_four_legs_that_no_model_has():
    legs = [(60, 4, 40), (120, 4, 90), (220, 4, 40), (300, 4, 0)]
    found = movement.migration(year(legs), how="contrast").migrations
    np.testing.assert_allclose(days_of(found["middle"]), [60, 120, 220, 300], atol=2)
    assert found["sequence"].tolist() == ["a_sp19", "a_sp19b", "a_fa19", "a_fa19b"]


def test_a_move_shorter_than_asked_for_is_no_migration():
    short = year([(90, 5, 4), (250, 5, 0)])
    for how in ("models", "contrast"):
        with spatial.recording() as log:
            found = movement.migration(short, how=how)
        assert found.migration_count == 0
        assert len(found.sequences) == len(found.lines) == 0
        assert any("no animal migrates" in sentence for sentence in log)
        assert movement.migration(short, how=how, min_distance_km=2).migration_count == 2


def test_seasons_of_the_south_are_the_other_way_round():
    south = year(THERE_AND_BACK).to_crs("EPSG:4326")
    mirrored = gpd.GeoDataFrame(
        south[["animal", "time"]], geometry=gpd.points_from_xy(south.geometry.x, -south.geometry.y), crs="EPSG:4326"
    )
    assert movement.migration(mirrored.to_crs("EPSG:32712")).migrations["season"].tolist() == ["autumn", "spring"]


def test_the_year_begins_when_asked_and_an_empty_result_can_be_written(tmp_path):
    found = movement.migration(year(THERE_AND_BACK, days=730), year_start="07-15")
    assert found.years["year"].tolist() == [2018, 2019, 2020]
    none = movement.migration(year([]))
    assert len(spatial.read_vectors(spatial.write_vectors(none.sequences, tmp_path / "none.parquet"))) == 0


# --- what a migration measures ----------------------------------------------------------------


def dates(*rows):
    return pd.DataFrame(rows, columns=["animal", "start", "end", "season"])


def test_given_dates_cut_sequences_and_measure_them_by_hand():
    # 1.5 km a day to the east, a fix at noon of every day
    track = layer(np.arange(30) * 1500.0, np.zeros(30), begin=FEBRUARY + pd.Timedelta(hours=12))
    found = movement.migration(track, dates(("a", "2019-02-05", "2019-02-10", "Spring")))
    one = found.migrations.iloc[0]
    assert (one["sequence"], one["season"], one["how"], one["fixes"]) == ("a_sp19", "spring", "dates", 6)
    assert (one["net_km"], one["path_km"], one["days"], one["rate_km_day"]) == pytest.approx((7.5, 7.5, 5, 1.5))
    assert one["stopovers"] == 0
    assert math.isnan(one["confidence"])
    assert found.models is None
    assert found.lines.length.tolist() == pytest.approx([7500])
    assert found.median_distance_km == pytest.approx(7.5)


def test_a_day_given_as_end_counts_whole_in_its_own_zone():
    track = layer(np.arange(96) * 10.0, np.zeros(96), hours=1)
    utc = movement.migration(track, dates(("a", "2019-02-02", "2019-02-02", None)))
    assert utc.sequences["time"].dt.strftime("%d %H").tolist() == [f"02 {h:02d}" for h in range(24)]
    denver = movement.migration(track, dates(("a", "2019-02-02", "2019-02-02", None)), time_zone="America/Denver")
    assert denver.sequences["time"].iloc[[0, -1]].dt.strftime("%d %H").tolist() == ["02 07", "03 06"]
    moment = movement.migration(track, dates(("a", "2019-02-02 03:00", "2019-02-02 05:00", None)))
    assert len(moment.sequences) == 3


def test_windows_that_overlap_are_cut_in_the_middle_of_the_overlap():
    track = layer(np.arange(40) * 1000.0, np.zeros(40))
    found = movement.migration(
        track, dates(("a", "2019-02-01", "2019-02-20", "spring"), ("a", "2019-02-11", "2019-03-02", "autumn"))
    )
    first, second = found.migrations["fixes"]
    assert first + second == 30
    assert not found.sequences.duplicated("time").any()


def test_a_stopover_is_a_passage_of_a_day_within_a_kilometre():
    # hourly: on the way, a day and a half about one place, on the way, six hours about another, on the way
    x = np.concatenate([np.arange(10) * 2000, np.full(36, 20_000), 22_000 + np.arange(10) * 2000])
    x = np.concatenate([x, np.full(6, 42_000), 44_000 + np.arange(5) * 2000])
    found = movement.migration(layer(x, np.zeros(len(x)), hours=1), dates(("a", "2019-02-01", "2019-02-05", "move")))
    one = found.migrations.iloc[0]
    assert one["sequence"] == "a_move19"
    assert one["stopovers"] == 1
    assert one["stopover_days"] == pytest.approx(35 / 24)
    assert one["stopover_share"] == pytest.approx(35 / (len(x) - 1))
    assert found.sequences["stopover"].to_numpy().nonzero()[0].tolist() == list(range(10, 46))


def test_other_columns_stay_and_an_old_sequence_is_replaced():
    track = year(THERE_AND_BACK).assign(dop=2.5, sequence="old")
    found = movement.migration(track).sequences
    assert set(found["dop"]) == {2.5}
    assert set(found["sequence"]) == {"a_sp19", "a_fa19"}
    assert len(fixes_of(found, by="sequence")) == 2


def test_the_figure_has_a_panel_for_each_animal_at_most_thirty():
    herd = pd.concat([year([], days=40, hours=24, animal=f"{i:02d}") for i in range(32)])
    with spatial.recording() as log:
        found = movement.migration(herd)
    assert sum(ax.get_visible() for ax in found.displacement.axes) == 30
    assert any("first 30 of 32 animals" in sentence for sentence in log)


# --- models -----------------------------------------------------------------------------------


def displaced(days, nsd_km2):
    """An animal year with this displacement."""
    root = np.sqrt(nsd_km2)
    return nsd.AnimalYear("a", 2019, 0, len(days), np.arange(len(days)), days, root, np.zeros(len(days)), 0.0)


TRUTH = [
    nsd.Fit("resident", {"gamma": 30.0, "kappa": -0.2}, 0, 0),
    nsd.Fit("nomad", {"beta": 3.0}, 0, 0),
    nsd.Fit("disperser", {"delta": 900.0, "theta": 120.0, "phi": 5.0}, 0, 0),
    nsd.Fit("migrant", {"delta": 2500.0, "theta": 80.0, "phi": 4.0, "rho": 110.0, "phi2": 9.0}, 0, 0),
    nsd.Fit(
        "mixed migrant", {"delta": 2500.0, "theta": 80.0, "phi": 4.0, "rho": 110.0, "phi2": 9.0, "zeta": 0.6}, 0, 0
    ),
]


@pytest.mark.parametrize("truth", TRUTH, ids=lambda fit: fit.model)
def test_every_model_is_recovered_from_its_own_noisy_curve(truth):
    days = np.arange(360.0)
    exact = nsd.curve(truth, days)
    noisy = np.maximum(exact + np.random.default_rng(3).normal(0, 0.01 * exact.max(), 360), 0)
    fits = nsd.fit_models(displaced(days, noisy))
    best = nsd.best_fit(fits, 0, 0)
    assert best.model == truth.model
    for name, value in truth.parameters.items():
        assert best.parameters[name] == pytest.approx(value, rel=0.05)
    assert sum(nsd.weights_of(fits).values()) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
def test_fits_are_at_least_as_good_as_those_of_scipy_from_many_starts(seed):
    """Bounded trust-region least squares over all parameters, as a peer, on curves that no model fits."""
    from scipy.optimize import least_squares

    rng = np.random.default_rng(seed)
    days = np.arange(300.0)
    y = np.abs(np.interp(days, np.sort(rng.uniform(0, 300, 6)), rng.uniform(0, 2000, 6))) + rng.uniform(0, 100, 300)
    y[0] = 0
    ours = {fit.model: fit for fit in nsd.fit_models(displaced(days, y))}
    low, high = [0, 1, 1, 1, 1, 0.05], [y.max(), 364, 21, 364, 21, 0.95]
    for model in ("disperser", "migrant", "mixed migrant"):
        names = nsd.MODELS[model]
        k = len(names)

        def misfit(p, model=model, names=names):
            return nsd.curve(nsd.Fit(model, dict(zip(names, p, strict=True)), 0, 0), days) - y

        rss = min(
            2 * least_squares(misfit, rng.uniform(low[:k], high[:k]), bounds=(low[:k], high[:k]), x_scale=high[:k]).cost
            for _ in range(12)
        )
        fit = ours[model]
        assert fit.rss <= rss * (1 + 1e-9)
        assert (misfit(list(fit.parameters.values())) ** 2).sum() == pytest.approx(fit.rss, rel=1e-9)
        for value, least, most in zip(fit.parameters.values(), low, high, strict=False):
            assert least <= value <= most * (1 + 1e-12)


def test_aic_is_that_of_a_normal_error_with_its_variance_fitted():
    from scipy.stats import norm

    days = np.arange(200.0)
    y = np.random.default_rng(0).gamma(2.0, 50.0, 200)
    fit = {one.model: one for one in nsd.fit_models(displaced(days, y))}["nomad"]
    beta = (y @ days) / (days @ days)
    residual = y - beta * days
    loglik = norm.logpdf(residual, 0, np.sqrt(np.mean(residual**2))).sum()
    assert fit.parameters["beta"] == pytest.approx(beta)
    assert fit.aic == pytest.approx(4 - 2 * loglik)


@settings(max_examples=5, deadline=None)
@given(st.floats(-3, 3), st.integers(-400, 400), st.integers(-400, 400))
def test_moving_and_turning_the_map_changes_no_displacement_and_no_migration(angle, east, north):
    track = year(THERE_AND_BACK, hours=24)
    x, y = track.geometry.x.to_numpy() - 5e5, track.geometry.y.to_numpy() - 4.7e6
    cos, sin = math.cos(angle), math.sin(angle)
    moved = layer(x * cos - y * sin + 1000 * east, x * sin + y * cos + 1000 * north)
    one, two = movement.migration(track), movement.migration(moved)
    np.testing.assert_allclose(two.years["max_nsd_km2"], one.years["max_nsd_km2"])
    np.testing.assert_allclose(two.migrations["net_km"], one.migrations["net_km"], rtol=1e-6)
    assert two.sequences["time"].tolist() == one.sequences["time"].tolist()
    for columns in (["rss", "aic"], ["weight"]):
        np.testing.assert_allclose(two.models[columns], one.models[columns], rtol=1e-5, atol=1e-9)


@settings(max_examples=3, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(random):
    track = pd.concat([year(THERE_AND_BACK, hours=24), year([(100, 5, 30)], hours=24, animal="b")])
    order = list(range(len(track)))
    random.shuffle(order)
    one, two = movement.migration(track), movement.migration(track.iloc[order])
    pd.testing.assert_frame_equal(two.migrations, one.migrations)
    pd.testing.assert_frame_equal(two.models, one.models)


def test_a_daily_fix_is_the_first_of_its_utc_day_and_years_are_parted():
    track = layer(np.arange(8) * 100.0, np.zeros(8), hours=9, begin=pd.Timestamp("2019-01-30 12:00", tz="UTC"))
    one, two = nsd.animal_years(fixes_of(track), 2, 1)
    assert (one.year, two.year) == (2018, 2019)
    # 30th 12 and 21 h; 31st 6, 15 h; 1st 0, 9, 18 h; 2nd 3 h
    np.testing.assert_allclose(one.days, [0, 0.75])
    np.testing.assert_allclose(two.days, [0, 27 / 24])
    np.testing.assert_allclose(two.nsd_km2, [0, 0.09])


# --- cuts -------------------------------------------------------------------------------------


def spread(x, y):
    return float(((x - x.mean()) ** 2 + (y - y.mean()) ** 2).sum())


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=6, max_size=11), st.integers(1, 3))
def test_cuts_have_the_least_contrast_of_all_cuts(places, shortest):
    x, y = np.array(places, float).T
    n = len(x)
    found, cuts = contrast.best_cuts(x, y, shortest, 4)
    for parts in range(1, len(found) + 1):
        least = min(
            sum(spread(x[a:b], y[a:b]) for a, b in itertools.pairwise((0, *inner, n)))
            for inner in itertools.combinations(range(1, n), parts - 1)
            if all(b - a >= shortest for a, b in itertools.pairwise((0, *inner, n)))
        )
        assert found[parts - 1] == pytest.approx(least, abs=1e-9)
        edges = [*cuts[parts - 1], n]
        assert sum(spread(x[a:b], y[a:b]) for a, b in itertools.pairwise(edges)) == pytest.approx(least, abs=1e-9)


def test_the_number_of_stays_is_where_the_contrasts_last_bend():
    # falls of 90, 60, 2, 1, 1: the third number of parts is the last that helps; scaled to 6..1 the bends are
    # (90 - 60) / 154 * 5 = 0.97, (60 - 2) / 154 * 5 = 1.88, then below 0.04
    contrasts = np.array([160.0, 70, 10, 8, 7, 6])
    assert contrast.chosen_number(contrasts, 0.75) == 3
    assert contrast.chosen_number(contrasts, 1.9) == 1
    assert contrast.chosen_number(np.array([5.0, 5.0, 5.0]), 0.75) == 1


@settings(max_examples=40)
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=25), st.integers(1, 6))
def test_stopovers_are_the_passages_that_last(steps, least):
    x = np.cumsum(steps).astype(float)
    seconds = np.arange(len(x)).astype(float)
    expected = np.zeros(len(x), bool)
    for i in range(len(x)):
        first = last = i
        while first > 0 and abs(x[first - 1] - x[i]) <= 2:
            first -= 1
        while last < len(x) - 1 and abs(x[last + 1] - x[i]) <= 2:
            last += 1
        if last - first >= least:
            expected[first : last + 1] = True
    np.testing.assert_array_equal(stopovers(x, np.zeros(len(x)), seconds, 2.0, least), expected)


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["02-30", "february", "2", "13-01"])
def test_a_year_start_that_is_no_day_is_refused(text):
    with pytest.raises(LinkwaysError, match="is no day of every year"):
        movement.migration(year([], days=40), year_start=text)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("b", "2019-02-05", "2019-02-10", None), "dates names the animal 'b' in row 1 .known: a."),
        (("a", "2019-02-10", "2019-02-05", None), "end before its start in row 1"),
        (("a", "2019-02-10 05:00", "2019-02-10 06:00", None), "has 1 fixes between the two dates"),
        (("a", None, "2019-02-05", None), "dates has no start in row 1"),
        (("a", "2019-02-01", "soon", None), "texts that are no times"),
    ],
)
def test_given_dates_that_cannot_be_used_are_refused(row, message):
    with pytest.raises(LinkwaysError, match=message):
        movement.migration(year([], days=40), dates(row))


def test_dates_without_rows_are_refused():
    with pytest.raises(LinkwaysError, match="dates has no rows"):
        movement.migration(year([], days=40), dates())


def test_degrees_and_times_without_zone_are_refused():
    track = year([], days=40)
    with pytest.raises(LinkwaysError, match="degrees"):
        movement.migration(track.to_crs("EPSG:4326"))
    with pytest.raises(LinkwaysError, match="without a zone"):
        movement.migration(track.assign(time=track["time"].dt.tz_localize(None)))


def test_years_too_short_are_told():
    with spatial.recording() as log:
        found = movement.migration(year([], days=20))
    assert found.years["how"].tolist() == ["too short"]
    assert any("too short to tell a migration" in sentence for sentence in log)
