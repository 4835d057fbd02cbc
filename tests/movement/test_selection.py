"""Selection: against brute-force likelihoods, known distributions, values seen in the input, and known truth."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from linkways import LinkwaysError, corridors, movement, spatial
from linkways.movement._clogit import Strata, conditional_logit, logistic, robust_covariance
from linkways.movement._clogit_kernels import clogit_pass, stratum_scores, stratum_shares
from linkways.movement._selection_data import Cases, Ground
from linkways.movement._selection_fit import _auc, _ranks, fit_selection
from linkways.movement._selection_simulation import _choose
from linkways.movement._selection_steps import Tentative, fit_tentative, updated
from linkways.movement._selection_terms import design, read_terms
from linkways.movement.selection import _steps

CRS = "EPSG:32612"
WEST, NORTH = 500_000.0, 4_700_000.0


def grid(values, cell=100.0, name="forest", **kwargs):
    values = np.asarray(values, float)
    return spatial.new_raster(values, crs=CRS, cell_size=cell, origin=(WEST, NORTH), name=name, **kwargs)


def smooth(seed, size=200, cell=100.0, name="forest"):
    from scipy.ndimage import gaussian_filter

    values = gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 3, mode="wrap")
    return grid(values / values.std(), cell, name)


def fixes_from(xy, animal="a", hours=1.0):
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.arange(len(xy)) * hours, unit="h")
    return gpd.GeoDataFrame({"animal": animal, "time": times}, geometry=gpd.points_from_xy(*np.asarray(xy).T), crs=CRS)


def walk(rng, rasters, beta, n=300, shape=1.5, scale=200.0, kappa=0.6, candidates=300):
    """Places of an animal that chooses among many steps by exp(beta x): the redistribution kernel itself."""
    size, cell = rasters[0].shape[0], 100.0
    place, bearing = np.array([WEST + size * cell / 2, NORTH - size * cell / 2]), 0.0
    xy = [place]
    values = np.stack([r.values for r in rasters], axis=2)
    for _ in range(n):
        length, turn = rng.gamma(shape, scale, candidates), rng.vonmises(0, kappa, candidates)
        ends = place + length[:, None] * np.column_stack([np.sin(bearing - turn), np.cos(bearing - turn)])
        column, row = ((ends[:, 0] - WEST) // cell).astype(int), ((NORTH - ends[:, 1]) // cell).astype(int)
        inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
        score = np.full(candidates, -np.inf)
        score[inside] = values[row[inside], column[inside]] @ beta
        w = np.exp(score - score.max())
        k = rng.choice(candidates, p=w / w.sum())
        place, bearing = ends[k], bearing - turn[k]
        xy.append(place)
    return np.array(xy)


@pytest.fixture(scope="module")
def forest():
    return smooth(1)


@pytest.fixture(scope="module")
def track(forest):
    return fixes_from(walk(np.random.default_rng(2), [forest], np.array([1.0]), n=500))


# --- the conditional logit -----------------------------------------------------------


def some_strata(rng, strata=12, terms=2):
    sizes = rng.integers(2, 6, strata)
    start = np.concatenate([[0], np.cumsum(sizes)])
    case = start[:-1] + (rng.random(strata) * sizes).astype(int)
    return rng.normal(0, 1, (start[-1], terms)), Strata(start, case)


def plain_log_likelihood(beta, x, strata):
    total = 0.0
    for s, case in enumerate(strata.case):
        weights = np.exp(x[strata.start[s] : strata.start[s + 1]] @ beta)
        total += np.log(np.exp(x[case] @ beta) / weights.sum())
    return total


@given(st.integers(0, 100_000), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_likelihood_score_and_information_are_the_definition_and_its_differences(seed, terms):
    rng = np.random.default_rng(seed)
    x, strata = some_strata(rng, terms=terms)
    beta = rng.normal(0, 1, terms)
    value, score, information = clogit_pass(x, strata.case, strata.start, beta)
    assert value == pytest.approx(plain_log_likelihood(beta, x, strata), abs=1e-10)
    for j in range(terms):
        away = np.zeros(terms)
        away[j] = 1e-5
        up, down = (clogit_pass(x, strata.case, strata.start, beta + sign * away) for sign in (1, -1))
        assert score[j] == pytest.approx((up[0] - down[0]) / 2e-5, abs=1e-6)
        assert information[j] == pytest.approx(-(up[1] - down[1]) / 2e-5, abs=1e-6)


def test_newton_finds_what_a_general_optimiser_finds():
    rng = np.random.default_rng(3)
    x, strata = some_strata(rng, 200, 3)
    found = conditional_logit(x, strata, list("abc"))
    best = optimize.minimize(lambda b: -plain_log_likelihood(b, x, strata), np.zeros(3), tol=1e-12)
    assert found.beta == pytest.approx(best.x, abs=1e-5)
    assert found.log_likelihood == pytest.approx(-best.fun, abs=1e-9)
    assert found.log_likelihood_null == pytest.approx(-np.log(np.diff(strata.start)).sum())


@given(st.floats(-3, 3), st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_shifts_within_strata_and_units_of_a_covariate_change_nothing_but_its_coefficient(shift, unit):
    x, strata = some_strata(np.random.default_rng(5), 60, 2)
    plain = conditional_logit(x, strata, list("ab"))
    moved = x.copy()
    moved[:, 0] = moved[:, 0] * unit + shift * strata.of_row
    other = conditional_logit(moved, strata, list("ab"))
    assert other.beta * [unit, 1] == pytest.approx(plain.beta, rel=1e-6, abs=1e-8)
    assert other.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-8)


def test_predictors_in_the_thousands_do_not_overflow():
    x, strata = some_strata(np.random.default_rng(6), 30, 1)
    value, score, _ = clogit_pass(x * 1e4, strata.case, strata.start, np.array([1.0]))
    assert np.isfinite(value)
    assert np.isfinite(score).all()


def test_the_covariance_by_animal_is_the_sandwich_of_scores_summed_by_animal():
    rng = np.random.default_rng(7)
    x, strata = some_strata(rng, 40, 2)
    found = conditional_logit(x, strata, list("ab"))
    share = stratum_shares(x @ found.beta, strata.start)
    scores = stratum_scores(x, strata.case, strata.start, share)
    assert scores.sum(axis=0) == pytest.approx([0, 0], abs=1e-8)
    animal = rng.integers(0, 5, 40)
    meat = np.zeros((2, 2))
    for one in range(5):
        total = np.zeros(2)
        for s in np.flatnonzero(animal == one):
            rows = slice(strata.start[s], strata.start[s + 1])
            w = np.exp(x[rows] @ found.beta)
            total += x[strata.case[s]] - (w / w.sum()) @ x[rows]
        meat += np.outer(total, total)
    expected = found.covariance @ meat @ found.covariance
    assert robust_covariance(found.covariance, scores, animal) == pytest.approx(expected, rel=1e-8)


def test_the_weighted_logistic_model_is_that_of_a_general_optimiser():
    rng = np.random.default_rng(8)
    x, weight = rng.normal(3, 2, (400, 2)), rng.uniform(0.5, 3, 400)
    used = (rng.random(400) < 1 / (1 + np.exp(1 - x @ [0.5, -0.3]))).astype(float)
    found = logistic(x, used, weight, list("ab"))

    def minus(b):
        eta = b[0] + x @ b[1:]
        return -(weight @ (used * eta - np.log1p(np.exp(eta))))

    best = optimize.minimize(minus, np.zeros(3), tol=1e-12)
    assert found.beta == pytest.approx(best.x, abs=2e-5)
    assert found.log_likelihood == pytest.approx(-best.fun, abs=1e-8)
    curvature = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            ei, ej = np.eye(3)[i] * 1e-3, np.eye(3)[j] * 1e-3
            corners = [minus(found.beta + a * ei + b * ej) * a * b for a in (1, -1) for b in (1, -1)]
            curvature[i, j] = sum(corners) / 4e-6
    assert found.covariance == pytest.approx(np.linalg.inv(curvature), rel=1e-3, abs=1e-6)


# --- distributions of steps ----------------------------------------------------------


def shares_of(tentative, b, lengths):
    """Density of steps after selection, by definition: tentative density times exp(b x), made to sum to 1."""
    p = tentative.parameters
    density = {
        "gamma": lambda: stats.gamma.pdf(lengths, p["shape"], scale=p["scale"]),
        "exponential": lambda: stats.expon.pdf(lengths, scale=1 / p["rate"]),
        "half_normal": lambda: stats.halfnorm.pdf(lengths, scale=p["sd"]),
        "log_normal": lambda: stats.lognorm.pdf(lengths, p["sdlog"], scale=np.exp(p["meanlog"])),
    }[tentative.name]()
    log = np.log(lengths)
    values = {"sl": lengths, "log_sl": log, "sl**2": lengths**2, "log_sl**2": log**2}
    return density * np.exp(sum(c * values[term] for term, c in b.items() if term in values))


@pytest.mark.parametrize(
    ("name", "parameters", "b"),
    [
        ("gamma", {"shape": 1.8, "scale": 400.0}, {"sl": -1e-3, "log_sl": 0.4}),
        ("exponential", {"rate": 0.01}, {"sl": -0.001}),
        ("half_normal", {"sd": 100.0}, {"sl**2": -2e-5}),
        ("log_normal", {"meanlog": 5.0, "sdlog": 1.0}, {"log_sl": 0.1, "log_sl**2": -0.05}),
    ],
)
def test_the_updated_distribution_is_the_tentative_one_weighted_by_selection(name, parameters, b):
    lengths = np.geomspace(1, 2_000, 400)
    tentative = Tentative(name, parameters, 0.5)
    new = updated(tentative, b)
    ratio = shares_of(tentative, b, lengths) / shares_of(new, {}, lengths)
    assert ratio / ratio[0] == pytest.approx(np.ones(400), rel=1e-8)
    assert updated(tentative, {"cos_ta": 0.3}).kappa == pytest.approx(0.8)


def test_updated_parameters_are_those_of_amt():
    def of(name, parameters, **b):
        return list(
            updated(
                Tentative(name, parameters, 0.0), {k.replace("2", "**2"): v for k, v in b.items()}
            ).parameters.values()
        )

    gamma = of("gamma", {"shape": 0.7719487, "scale": 472.527}, sl=-1e-4, log_sl=0.05)
    assert gamma == pytest.approx([0.8219487, 451.2061], rel=2e-6)
    assert of("exponential", {"rate": 0.01}, sl=-0.001) == pytest.approx([0.011])
    assert of("half_normal", {"sd": 100.0}, sl2=-1e-6) == pytest.approx([99.0147543], abs=1e-7)
    assert of("log_normal", {"meanlog": 5.0, "sdlog": 1.0}, log_sl=0.1, log_sl2=-0.05)[1] == pytest.approx(0.9534626)


def test_selection_that_leaves_no_distribution_is_none():
    assert updated(Tentative("gamma", {"shape": 0.5, "scale": 100.0}, 0.0), {"log_sl": -0.6}) is None
    assert updated(Tentative("gamma", {"shape": 0.5, "scale": 100.0}, 0.0), {"sl": 0.02}) is None
    assert updated(Tentative("half_normal", {"sd": 10.0}, 0.0), {"sl**2": 1.0}) is None


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("gamma", lambda x: dict(zip(("shape", "scale"), np.array(stats.gamma.fit(x, floc=0))[[0, 2]], strict=True))),
        ("exponential", lambda x: {"rate": 1 / stats.expon.fit(x, floc=0)[1]}),
        ("half_normal", lambda x: {"sd": stats.halfnorm.fit(x, floc=0)[1]}),
        ("log_normal", lambda x: {"meanlog": np.log(x).mean(), "sdlog": stats.lognorm.fit(x, floc=0)[0]}),
    ],
)  # fmt: skip
def test_tentative_distributions_are_scipy_s_most_likely_ones(name, peer):
    rng = np.random.default_rng(9)
    lengths, turns = rng.gamma(0.8, 300, 2000), rng.vonmises(0, 1.2, 2000)
    found = fit_tentative(name, lengths, turns)
    assert dict(found.parameters) == pytest.approx(peer(lengths), rel=1e-4)
    assert found.kappa == pytest.approx(stats.vonmises.fit(turns, floc=0, fscale=1)[0], rel=1e-4)


def test_turns_about_straight_back_get_a_negative_concentration():
    turns = np.random.default_rng(1).vonmises(np.pi, 2.0, 4000)
    found = fit_tentative("exponential", np.ones(3), turns)
    assert found.kappa == pytest.approx(-2.0, abs=0.15)
    assert np.cos(found.draw(np.random.default_rng(2), (4000,))[1]).mean() == pytest.approx(-0.698, abs=0.03)


# --- terms ---------------------------------------------------------------------------


def test_terms_are_valued_as_they_read():
    variables = {"forest": np.array([1.0, 2.0]), "log_sl": np.array([3.0, 4.0]), "cover": np.array([7.0, 9.0])}
    terms = read_terms(["forest**2:log_sl", "log(forest)", "cover:forest"], list(variables), {"cover": [7.0, 9.0]})
    assert [str(t) for t in terms] == ["forest**2:log_sl", "log(forest)", "cover[9]:forest"]
    assert design(terms, variables).tolist() == [[3.0, 0.0, 0.0], [16.0, pytest.approx(np.log(2)), 2.0]]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["forst"], "names forst, which is none of cover, forest.*forest"),
        (["forest**"], "'forest\\*\\*' is no term"),
        (["log(forest"], "is no term"),
        (["forest", "forest"], "holds forest twice"),
        (["cover**2"], "function of cover, which holds classes"),
    ],
)
def test_a_term_that_means_nothing_is_refused(texts, message):
    with pytest.raises(LinkwaysError, match=message):
        read_terms(texts, ["forest", "cover"], {"cover": [1.0, 2.0]})


# --- steps and places drawn from fixes -----------------------------------------------


def test_every_used_step_stands_first_among_its_controls_and_ends_where_the_animal_went(track, forest):
    found = movement.selection(track, [forest], n_control=5, validate="none")
    rows = found.rows
    assert rows.groupby("stratum")["case"].sum().eq(1).all()
    used = rows[rows["case"] == 1]
    xy = track.geometry.get_coordinates().to_numpy()
    # the first step has no turn
    assert used[["x_m", "y_m"]].to_numpy() == pytest.approx(xy[2:], abs=1e-6)
    assert used["sl"].to_numpy() == pytest.approx(np.hypot(*np.diff(xy, axis=0).T)[1:])
    column, row = ((rows["x_m"] - WEST) // 100).astype(int), ((NORTH - rows["y_m"]) // 100).astype(int)
    assert rows["forest"].tolist() == forest.values[row, column].tolist()


def test_controls_follow_the_tentative_distributions(track, forest):
    found = movement.selection(track, [forest], n_control=40, validate="none")
    free = found.rows[found.rows["case"] == 0]
    value = found.movement.set_index("parameter")["tentative"]
    assert stats.kstest(free["sl"], stats.gamma(value["shape"], scale=value["scale"]).cdf).statistic < 0.02
    assert free["cos_ta"].mean() == pytest.approx(stats.vonmises(value["kappa"]).expect(np.cos), abs=0.02)


def test_turning_and_moving_the_map_changes_no_movement_coefficient(track):
    plain = movement.selection(track, terms=["cos_ta"], validate="none").coefficients["coefficient"]
    turned = track.set_geometry(track.geometry.rotate(53, origin=(WEST, NORTH)).translate(3e3, 1e4))
    again = movement.selection(turned, terms=["cos_ta"], validate="none").coefficients["coefficient"]
    assert again.tolist() == pytest.approx(plain.tolist(), rel=1e-5, abs=1e-9)


def test_the_seed_decides_the_controls(track, forest):
    def of(seed):
        return movement.selection(track, [forest], validate="none", seed=seed).coefficients["coefficient"].tolist()

    assert of(1) == of(1)
    assert of(1) != of(2)


def test_steps_over_gaps_and_without_a_turn_are_not_used(track, forest):
    late = track["time"].where(np.arange(len(track)) < 250, track["time"] + pd.Timedelta("10D"))
    found = movement.selection(track.assign(time=late), [forest], validate="none")
    # one at the beginning, the gap itself, and the first step after it
    assert found.used == len(track) - 1 - 3
    with pytest.raises(LinkwaysError, match="0 steps of 3 hours"):
        movement.selection(track, [forest], interval_h=3)


def test_steps_are_counted_by_the_barriers_they_meet():
    xy = np.column_stack([WEST + np.cumsum([0, 100, 100, 100, 100, 100, 100]), NORTH + np.array([0, 5, 0, 5, 0, 5, 0])])
    lines = [shapely.LineString([(WEST + x, NORTH - 1e4), (WEST + x, NORTH + 1e4)]) for x in (250, 260, 450)]
    ground = Ground.of((), None, gpd.GeoDataFrame(geometry=lines, crs=CRS), fixes_from(xy).crs)
    along = ground.along({"cross", "crossings"}, xy[:-1], xy[1:], np.zeros(6))
    assert along["crossings"].tolist() == [0, 0, 2, 0, 1, 0]
    assert along["cross"].tolist() == [0, 0, 1, 0, 1, 0]


def test_an_animal_that_turns_back_at_a_fence_selects_against_crossing(forest):
    rng = np.random.default_rng(11)
    fence = gpd.GeoDataFrame(geometry=[shapely.LineString([(WEST + 500, NORTH), (WEST + 500, NORTH - 4000)])], crs=CRS)
    xy, side = [np.array([WEST + 300, NORTH - 1000.0])], []
    while len(xy) < 500:
        step = xy[-1] + rng.normal(0, 150, 2)
        crosses = (step[0] > WEST + 500) != (xy[-1][0] > WEST + 500)
        inside = WEST < step[0] < WEST + 1000 and NORTH - 3900 < step[1] < NORTH - 100
        if inside and (not crosses or rng.random() < 0.2):
            xy.append(step)
            side.append(crosses)
    found = movement.selection(fixes_from(xy), barriers=fence, validate="none")
    cross = found.coefficients.set_index("term").loc["cross"]
    assert cross["high"] < 0
    assert cross["relative_strength"] == pytest.approx(0.2, abs=0.12)
    assert found.suitability is None


def test_what_is_available_to_places_is_the_hull_the_buffer_or_the_area_given(track, forest):
    hull = shapely.convex_hull(shapely.union_all(track.geometry.to_numpy()))
    near = track.geometry.buffer(200).union_all()
    field = gpd.GeoDataFrame(geometry=[shapely.box(WEST + 9e3, NORTH - 1.1e4, WEST + 1.1e4, NORTH - 9e3)], crs=CRS)
    for shape, arguments in ((hull, {}), (near.buffer(5), {"buffer_m": 200}), (field.geometry[0], {"area": field})):
        found = movement.selection(track, [forest], kind="resource", n_control=5, validate="none", **arguments)
        free = found.rows[found.rows["case"] == 0]
        assert shapely.intersects_xy(shapely.buffer(shape, 1e-3), free["x_m"], free["y_m"]).all()
        spread = np.ptp(free[["x_m", "y_m"]].to_numpy(), axis=0)
        west, south, east, north = shape.bounds
        assert (spread > 0.9 * np.array([east - west, north - south])).all()


def test_classes_are_compared_with_the_most_available_one(track, forest):
    cover = grid(np.digitize(forest.values, [-0.3, 1.0]) + 4, name="whatever", attrs={"classes": True})
    found = movement.selection(track, landcover=cover, kind="step", validate="none").coefficients
    assert set(found["term"]) < {"landcover[4]", "landcover[5]", "landcover[6]"}
    assert len(found) == 2
    by = found.set_index("term")["coefficient"]
    assert by.get("landcover[6]", 0.0) > by.get("landcover[4]", 0.0)


def test_a_raster_in_degrees_is_read_where_the_fixes_lie(track, forest):
    degrees = forest.rio.reproject("EPSG:4326", resolution=0.0005, nodata=np.nan)
    degrees.name = "forest"
    plain = movement.selection(track, [forest], kind="step", validate="none").coefficients["coefficient"][0]
    again = movement.selection(track, [degrees], kind="step", validate="none").coefficients["coefficient"][0]
    assert again == pytest.approx(plain, rel=0.1)


def test_fixes_on_a_map_in_feet_give_steps_in_metres(track, forest):
    feet = movement.selection(track.to_crs("EPSG:3560"), [forest], validate="none")
    plain = movement.selection(track, [forest], validate="none")
    assert feet.rows["sl"].mean() == pytest.approx(plain.rows["sl"].mean(), rel=2e-3)
    by = [found.coefficients.set_index("term")["coefficient"]["forest"] for found in (feet, plain)]
    assert by[0] == pytest.approx(by[1], rel=0.05)


def test_interactions_with_where_a_step_starts_are_in_the_model_but_not_in_the_map(track, forest):
    found = movement.selection(track, [forest], terms=["forest", "forest_start:log_sl"], validate="none")
    assert "forest_start:log_sl" in set(found.coefficients["term"])
    assert found.suitability is not None


# --- maps, validation, simulation ----------------------------------------------------


def test_the_maps_are_the_formula_and_ready_for_corridors(track, forest):
    found = movement.selection(track, [forest], gamma=0.5, max_resistance=50, validate="none")
    b = found.coefficients.set_index("term")["coefficient"]["forest"]
    mean = found.rows[found.rows["case"] == 0]["forest"].mean()
    assert found.suitability.values == pytest.approx(np.exp(b * (forest.values - mean)))
    assert found.conductance.values == pytest.approx(found.suitability.values**0.5)
    assert (found.resistance.values.min(), found.resistance.values.max()) == pytest.approx((1, 50))
    inverse = 1 / found.conductance.values
    share = (inverse - inverse.min()) / np.ptp(inverse)
    assert found.resistance.values == pytest.approx(1 + 49 * share)
    ends = gpd.GeoDataFrame(
        {"core": [1, 2]},
        geometry=gpd.points_from_xy(WEST + np.array([3e3, 15e3]), NORTH - np.array([3e3, 15e3])).buffer(300),
        crs=CRS,
    )
    assert len(corridors.least_cost(found.resistance, ends, cutoff_percent=5).links) == 1


def test_nodata_stays_nodata_and_does_not_enter_the_fit(track, forest):
    holes = forest.copy(data=np.where(np.arange(200)[:, None] % 50 == 0, np.nan, forest.values))
    found = movement.selection(track, [holes], validate="none")
    assert np.isnan(found.suitability.values[50]).all()
    assert np.isfinite(found.resistance.values[51]).all()
    assert found.dropped > 0
    assert found.rows["forest"].notna().all()


def test_ranks_and_auc_are_those_counted_pair_by_pair():
    rng = np.random.default_rng(4)
    x, strata = some_strata(rng, 30, 1)
    score = np.round(x[:, 0], 0)
    case = np.zeros(len(x), np.int8)
    case[strata.case] = 1
    cases = Cases(case, np.full(len(x), "a", object), strata.of_row, strata.of_row, {})
    rank, _ = _ranks(cases, score)
    wins, below = [], []
    for s, chosen in enumerate(strata.case):
        rows = np.arange(strata.start[s], strata.start[s + 1])
        others = rows[rows != chosen]
        wins.append(np.mean((score[chosen] > score[others]) + 0.5 * (score[chosen] == score[others])))
        below += [(np.sum(score[rows] < score[i]) + np.sum(score[rows] == score[i]) / 2) / len(rows) for i in rows]
    assert rank == pytest.approx(np.array(below))
    assert _auc(cases, rank) == pytest.approx(np.mean(wins))


def test_a_model_that_is_right_is_valid_and_one_of_noise_is_not(track, forest):
    right = movement.selection(track, [forest], terms=["forest"], kind="step").validation
    assert right["left_out"].tolist() == [f"block {k}" for k in range(1, 6)]
    assert (right["auc"] > 0.55).all()
    assert right["spearman"].mean() > 0.6
    noise = movement.selection(track, [smooth(77, name="noise")], terms=["noise"], kind="step").validation
    assert noise["auc"].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("kind", ["resource", "step"])
def test_animals_are_left_out_in_turn_and_give_errors_of_their_own(forest, kind):
    rng = np.random.default_rng(12)
    layers = [fixes_from(walk(rng, [forest], np.array([1.0]), n=120), name) for name in "abc"]
    both = pd.concat(layers)
    found = movement.selection(
        both, [forest], terms=["forest"], kind=kind, validate="animals", standard_errors="animal"
    )
    assert found.validation["left_out"].tolist() == ["a", "b", "c"]
    row = found.coefficients.iloc[0]
    assert row["high"] - row["coefficient"] == pytest.approx(1.959964 * row["robust_error"])
    assert row["robust_error"] != pytest.approx(row["standard_error"])


def test_a_candidate_is_chosen_as_often_as_its_share():
    score = np.tile(np.log([1.0, 2.0, 5.0]), (30_000, 1))
    score[:, 0] = np.nan
    share = np.bincount(_choose(score, np.random.default_rng(1)), minlength=3) / 30_000
    assert share == pytest.approx([0, 2 / 7, 5 / 7], abs=0.01)
    assert _choose(np.full((2, 3), np.nan), np.random.default_rng(1)).tolist() == [-1, -1]


def test_simulated_paths_live_where_the_animal_would(track, forest):
    point = gpd.GeoDataFrame(geometry=gpd.points_from_xy([WEST + 1e4], [NORTH - 1e4]), crs=CRS)
    found = movement.selection(track, [forest], paths=20, path_steps=60, starts=point, validate="none")
    paths = found.simulated
    assert paths["simulated"].all()
    assert (len(paths), set(paths["start"])) == (20, {1})
    xy = shapely.get_coordinates(paths.geometry.to_numpy())
    column, row = ((xy[:, 0] - WEST) // 100).astype(int), ((NORTH - xy[:, 1]) // 100).astype(int)
    inside = (column >= 0) & (column < 200) & (row >= 0) & (row < 200)
    assert forest.values[row[inside], column[inside]].mean() > forest.values.mean() + 0.2
    again = movement.selection(track, [forest], paths=20, path_steps=60, starts=point, validate="none").simulated
    assert again.geometry.geom_equals(paths.geometry).all()


def test_a_path_ends_where_the_rasters_do(track, forest):
    small = forest.isel(x=slice(90, 110), y=slice(90, 110))
    inside = track.iloc[:60]
    point = gpd.GeoDataFrame(geometry=gpd.points_from_xy([WEST - 9e5], [NORTH]), crs=CRS)
    found = movement.selection(inside, [small], paths=2, starts=point, validate="none").simulated
    assert found["left_ground"].all()
    assert (found["steps"] == 0).all()


# --- what is refused -----------------------------------------------------------------


def table(**columns):
    return pd.DataFrame({"stratum": np.repeat(np.arange(20), 3), "case": [1, 0, 0] * 20} | columns)


def test_a_term_that_parts_used_from_available_is_refused_by_name():
    noise = np.random.default_rng(1).normal(size=60)
    apart = table(noise=noise, water=[1.0, 0, 0] * 20)
    for kind in ("step", "resource"):
        with pytest.raises(LinkwaysError, match=r"the term water parts the used .* perfectly"):
            movement.selection(cases=apart, kind=kind, terms=["noise", "water"], validate="none")


def test_a_class_that_is_never_used_is_refused_by_name():
    never = table(noise=np.random.default_rng(1).normal(size=60), town=[0, 0, 0, 0, 1, 0] * 10)
    for kind in ("step", "resource"):
        with pytest.raises(LinkwaysError, match="the term town parts"):
            movement.selection(cases=never, kind=kind, terms=["noise", "town"], validate="none")


def test_terms_that_cannot_be_told_apart_or_do_not_vary_are_refused():
    a, b = np.random.default_rng(2).normal(size=(2, 60))
    with pytest.raises(LinkwaysError, match="the term c is a sum of the terms a, b"):
        movement.selection(cases=table(a=a, b=b, c=a - 2 * b), kind="step", terms=["a", "b", "c"])
    flat = table(a=a, start=np.repeat(np.arange(20.0), 3))
    with pytest.raises(LinkwaysError, match="the term start has one value within every stratum"):
        movement.selection(cases=flat, kind="step", terms=["a", "start"])
    with pytest.raises(LinkwaysError, match="the term a has one value everywhere"):
        movement.selection(cases=table(a=1.0), kind="resource", terms=["a"])


def test_strata_without_a_case_are_left_out_and_counted():
    a = np.random.default_rng(3).normal(size=60)
    whole = table(a=a)
    some = whole.assign(case=whole["case"].where(whole["stratum"] > 2, 0))
    found = movement.selection(cases=some, kind="step", terms=["a"], validate="none")
    assert (found.used, found.dropped) == (17, 3)
    rest = movement.selection(cases=whole[whole["stratum"] > 2], kind="step", terms=["a"], validate="none")
    assert found.log_likelihood == pytest.approx(rest.log_likelihood)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"case": [2, 0, 0] * 20}, "20 rows whose case is not 0 or 1, first row 1"),
        ({"case": [1, 1, 0] * 20}, "two used steps in stratum 0"),
        ({"stratum": [None] + [1] * 59}, "1 rows without a stratum, first row 1"),
        ({"case": 0}, "no value at any of the 0 used|no used place or step is left"),
    ],
)
def test_a_table_of_cases_that_cannot_be_used_is_refused(change, message):
    a = np.random.default_rng(3).normal(size=60)
    with pytest.raises(LinkwaysError, match=message):
        movement.selection(cases=table(a=a).assign(**change), kind="step", terms=["a"])


def test_covariates_that_do_not_overlap_the_fixes_are_refused(track, forest):
    away = forest.assign_coords(x=forest.x + 1e6)
    for kind in ("resource", "step"):
        with pytest.raises(LinkwaysError, match=r"the term forest has no value at any of the .* used"):
            movement.selection(track, [away], kind=kind, validate="none")


def test_arguments_that_would_not_be_used_are_refused(track, forest):
    line = gpd.GeoDataFrame(geometry=[shapely.LineString([(0, 0), (1, 1)])], crs=CRS)
    field = gpd.GeoDataFrame(geometry=[shapely.box(WEST, NORTH - 10, WEST + 10, NORTH)], crs=CRS)
    for arguments, message in (
        ({"cases": table()}, "either fixes or cases"),
        ({"area": field}, "area is for places"),
        ({"buffer_m": 5}, "buffer_m is for places"),
        ({"kind": "resource", "area": field, "buffer_m": 5}, "without area"),
        ({"kind": "resource", "barriers": line}, "barriers act on steps"),
        ({"kind": "resource", "paths": 3}, "paths are simulated"),
        ({"starts": track[["geometry"]]}, "starts are for simulated paths"),
        ({"standard_errors": "animal"}, "errors by animal need several animals and there is 1"),
    ):
        with pytest.raises(LinkwaysError, match=message):
            movement.selection(track, [forest], **arguments)
    with pytest.raises(LinkwaysError, match="cases need terms"):
        movement.selection(cases=table(), kind="step")
    with pytest.raises(LinkwaysError, match="two covariates are named forest"):
        movement.selection(track, [forest, forest])
    with pytest.raises(LinkwaysError, match="a raster is named sl"):
        movement.selection(track, [forest.rename("sl")])
    with pytest.raises(LinkwaysError, match="nothing to select"):
        movement.selection(track, kind="step")
    with pytest.raises(LinkwaysError, match="degrees"):
        movement.selection(track.to_crs(4326), [forest])


# --- recovery ------------------------------------------------------------------------


@pytest.mark.slow
def test_true_coefficients_lie_within_the_95_percent_intervals_in_at_least_90_of_100_seeds():
    shape, scale, kappa, beta = 1.5, 200.0, 0.6, np.array([0.8, -0.5])
    terms = ["forest", "ndvi", "sl", "log_sl", "cos_ta"]
    hits = np.zeros(5)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rasters = [smooth(1000 + seed, name="forest"), smooth(2000 + seed, name="ndvi")]
        fixes = fixes_from(walk(rng, rasters, beta, 200, shape, scale, kappa))
        ground = Ground.of(rasters, None, None, fixes.crs)
        drawn = _steps(fixes, ground, terms, None, 0.25, 20, "gamma", rng)
        fitted = fit_selection(drawn.cases, drawn.terms, weight=1, by_animal=False)
        tentative = drawn.source
        truth = np.array([
            *beta, 1 / tentative.parameters["scale"] - 1 / scale, shape - tentative.parameters["shape"],
            kappa - tentative.kappa,
        ])  # fmt: skip
        error = np.sqrt(np.diag(fitted.covariance))
        hits += np.abs(fitted.beta - truth) < 1.959964 * error
    assert (hits >= 90).all(), dict(zip(terms, hits, strict=True))
