"""The hidden Markov model: against sums over all sequences of states, finite differences, and known truth."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from linkways import LinkwaysError, movement, spatial
from linkways.movement._states_model import Chains, Model, _Layout, objective
from linkways.movement.states import pseudo_residuals

CRS = "EPSG:32612"


def some_model(rng, states, covariates=0):
    logits = rng.normal(0, 1, (states, states, 1 + covariates))
    logits[np.arange(states), np.arange(states)] = 0
    initial = rng.dirichlet(np.ones(states))
    mean = rng.uniform(0.5, 3, states)
    return Model(
        mean, mean * rng.uniform(0.4, 1.5, states), rng.uniform(0.05, 0.3, states), rng.normal(0, 2, (2, states)),
        initial, logits,
    )  # fmt: skip


def some_chains(rng, n, covariates=0):
    step, turn = rng.gamma(2, 1, n), rng.uniform(-np.pi, np.pi, n)
    step[rng.random(n) < 0.15] = 0.0
    step[rng.random(n) < 0.1] = np.nan
    turn[~(step > 0) | (rng.random(n) < 0.1)] = np.nan
    cut = int(rng.integers(1, n))
    return Chains(step, turn, np.array([0, cut, n]), rng.normal(size=(n, covariates)))


def log_density(model, chains, i, s):
    value = 0.0
    if chains.step[i] == 0:
        value += np.log(model.zero[s])
    elif chains.step[i] > 0:
        shape, scale = (model.mean[s] / model.sd[s]) ** 2, model.sd[s] ** 2 / model.mean[s]
        value += np.log(1 - model.zero[s]) + stats.gamma.logpdf(chains.step[i], shape, scale=scale)
    if np.isfinite(chains.turn[i]):
        value += stats.vonmises.logpdf(chains.turn[i], model.kappa[s], loc=model.direction[s])
    return value


def move_probability(model, z, r, s):
    odds = np.exp(model.logits[r, :, 0] + model.logits[r, :, 1:] @ z)
    return odds[s] / odds.sum()


def all_sequences(model, chains):
    """Log joint density of the data with every sequence of states."""
    begins = set(chains.start[:-1])
    n = len(chains.step)
    for path in itertools.product(range(model.states), repeat=n):
        value = 0.0
        for i, s in enumerate(path):
            if i in begins:
                value += np.log(model.initial[s])
            else:
                value += np.log(move_probability(model, chains.covariates[i], path[i - 1], s))
            value += log_density(model, chains, i, s)
        yield path, value


seeds = st.integers(0, 10_000)


@given(seeds, st.integers(1, 3), st.integers(0, 2))
@settings(max_examples=25, deadline=None)
def test_likelihood_path_and_probabilities_are_those_of_all_sequences_of_states(seed, states, covariates):
    rng = np.random.default_rng(seed)
    model, chains = some_model(rng, states, covariates), some_chains(rng, 5, covariates)
    paths, values = zip(*all_sequences(model, chains), strict=True)
    values = np.array(values)
    assert model.log_likelihood(chains) == pytest.approx(np.logaddexp.reduce(values), abs=1e-9)
    assert tuple(model.path(chains)) == paths[int(values.argmax())]
    weight = np.exp(values - np.logaddexp.reduce(values))
    expected = np.zeros((5, states))
    for path, w in zip(paths, weight, strict=True):
        expected[np.arange(5), path] += w
    assert model.posterior(chains) == pytest.approx(expected, abs=1e-9)


@given(seeds, st.integers(1, 3), st.integers(0, 2), st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_gradient_is_that_of_finite_differences(seed, states, covariates, turn_mean):
    rng = np.random.default_rng(seed)
    chains = some_chains(rng, 30, covariates)
    layout = _Layout(states, chains.has_zeros, turn_mean, covariates)
    vector = layout.vector(some_model(rng, states, covariates))
    gradient = objective(vector, layout, chains)[1]
    for i in range(len(vector)):
        away = np.zeros_like(vector)
        away[i] = 1e-6
        both = objective(vector + away, layout, chains)[0] - objective(vector - away, layout, chains)[0]
        assert gradient[i] == pytest.approx(both / 2e-6, rel=1e-4, abs=1e-4)


def walk(rng, n=1500, stay=0.95, animal="a", pace=(40.0, 700.0), kappa=(0.3, 6.0), effect=0.0):
    """Fixes of a simulated animal, every hour, with the true state of every step."""
    state, heading = 0, 0.0
    states, xy, z = [], [np.array([500_000.0, 4_700_000.0])], rng.normal(size=n)
    for i in range(n):
        odds = np.log((1 - stay) / stay) + (effect * z[i] if state == 0 else 0.0)
        if i and rng.random() < 1 / (1 + np.exp(-odds)):
            state = 1 - state
        states.append(state)
        heading += rng.vonmises(0, kappa[state])
        length = rng.gamma(4, pace[state] / 4)
        xy.append(xy[-1] + length * np.array([np.sin(heading), np.cos(heading)]))
    xy = np.array(xy)
    times = pd.date_range("2024-01-01", periods=n + 1, freq="h", tz="UTC")
    columns = {"animal": animal, "time": times, "z": np.append(z, 0.0)}
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(*xy.T), crs=CRS), np.array(states)


@pytest.fixture(scope="module")
def walked():
    return walk(np.random.default_rng(3))


@pytest.fixture(scope="module")
def found(walked):
    return movement.states(walked[0], starts=4, compare=[1])


def test_a_walk_with_two_paces_is_told_apart(walked, found):
    assert (found.fixes["state"].to_numpy()[:-1] == walked[1] + 1).mean() > 0.98
    table = found.parameters
    for column, truth in (("mean_step_m", [40, 700]), ("concentration", [0.3, 6]), ("sd_step_m", [20, 350])):
        assert (table[f"{column}_low"] <= truth).all(), column
        assert (truth <= table[f"{column}_high"]).all(), column
    moves = found.transitions.set_index(["from", "to"])["probability"]
    true = walked[1]
    assert moves[1, 2] == pytest.approx((true[1:][true[:-1] == 0] == 1).mean(), abs=0.01)
    assert found.directed_share == pytest.approx(walked[1].mean(), abs=0.02)


def test_numbers_of_states_are_compared(found):
    one, two = found.models.itertuples()
    assert (one.parameters, two.parameters) == (3, 9)
    assert two.aic < one.aic
    assert two.aic == pytest.approx(2 * 9 - 2 * two.log_likelihood)
    assert two.bic == pytest.approx(np.log(1500) * 9 - 2 * two.log_likelihood)


def test_one_state_is_the_fit_of_one_gamma_and_one_von_mises(walked, found):
    steps = found.fixes["step_m"].dropna()
    shape, _, scale = stats.gamma.fit(steps, floc=0)
    turns = found.fixes["turn_rad"].dropna()
    kappa, _, _ = stats.vonmises.fit(turns, floc=0, fscale=1)
    expected = stats.gamma.logpdf(steps, shape, scale=scale).sum() + stats.vonmises.logpdf(turns, kappa).sum()
    assert found.models["log_likelihood"][0] == pytest.approx(expected, abs=0.01)


def test_turning_and_moving_the_map_changes_no_state(walked, found):
    layer = walked[0]
    turned = layer.set_geometry(layer.geometry.rotate(37, origin=(500_000, 4_700_000)).translate(5000, -900))
    again = movement.states(turned, starts=4)
    assert again.fixes["state"].tolist() == found.fixes["state"].tolist()
    assert again.log_likelihood == pytest.approx(found.log_likelihood, abs=1e-4)


def test_a_covariate_of_the_moves_is_recovered_from_a_column_and_from_a_raster():
    fixes, _ = walk(np.random.default_rng(8), n=3000, stay=0.9, effect=1.5)
    moves = movement.states(fixes, columns=["z"], starts=3).transitions
    row = moves[(moves["from"] == 1) & (moves["to"] == 2) & (moves["term"] == "z")].iloc[0]
    assert abs(row["coefficient"] - 1.5) < 2.5 * row["standard_error"]
    west, south, east, north = fixes.total_bounds
    values, cell = np.random.default_rng(1).normal(size=(50, 50)), ((east - west + 2) / 50, (north - south + 2) / 50)
    grid = spatial.new_raster(values, crs=CRS, cell_size=cell, origin=(west - 1, north + 1), name="ndvi")
    assert "ndvi" in set(movement.states(fixes.iloc[:500], [grid], starts=2).transitions["term"])


def test_the_hour_of_the_day_can_move_states(walked):
    terms = movement.states(walked[0].iloc[:300], daily=True, starts=2).transitions["term"]
    assert set(terms) == {"intercept", "hour_sin", "hour_cos"}


def test_pseudo_residuals_of_the_true_model_are_standard_normal():
    rng = np.random.default_rng(0)
    model = Model(np.array([1.0, 5.0]), np.array([0.5, 2.0]), np.zeros(2), np.array([[1.0, 1.0], [0, 0]]),
                  np.array([0.5, 0.5]), np.array([[[0.0], [-2.0]], [[-1.0], [0.0]]]))  # fmt: skip
    state, steps = 0, []
    for _ in range(4000):
        state = rng.choice(2, p=model.transition(np.zeros((1, 0)))[0, state])
        shape, scale = (model.mean[state] / model.sd[state]) ** 2, model.sd[state] ** 2 / model.mean[state]
        steps.append(rng.gamma(shape, scale))
    chains = Chains(np.array(steps), np.full(4000, np.nan), np.array([0, 4000]), np.zeros((4000, 0)))
    assert stats.kstest(pseudo_residuals(model, chains), "norm").pvalue > 0.01


def test_a_gap_cuts_the_track_and_the_step_over_it_says_nothing(walked):
    layer = walked[0].iloc[:400].copy()
    late = layer["time"].where(np.arange(400) < 200, layer["time"] + pd.Timedelta("90D"))
    cut = movement.states(layer.assign(time=late), starts=2).fixes
    assert np.isnan(cut["step_m"].to_numpy()[[199, 399]]).all()
    assert np.isfinite(movement.states(layer.assign(time=late), starts=2, longest_h=1e5).fixes["step_m"][199])


def test_steps_of_length_zero_get_a_probability_in_each_state():
    fixes, _ = walk(np.random.default_rng(5), n=600)
    still = np.sort(np.random.default_rng(6).choice(np.arange(1, 600), 40, replace=False))
    xy = np.column_stack([fixes.geometry.x, fixes.geometry.y])
    moves = np.diff(xy, axis=0)
    moves[still] = 0
    xy[1:] = xy[0] + moves.cumsum(axis=0)
    found = movement.states(fixes.set_geometry(gpd.points_from_xy(*xy.T, crs=CRS)), starts=3)
    share = (found.parameters["zero_steps"] * found.parameters["share"]).sum()
    assert share == pytest.approx(40 / 600, abs=0.01)


def test_figures_are_drawn(found):
    for figure in (found.distributions, found.residuals):
        assert len(figure.axes) == 2


def test_states_refuse_what_they_cannot_use(walked):
    layer = walked[0].iloc[:300]
    with pytest.raises(LinkwaysError, match="no column road"):
        movement.states(layer, columns=["road"])
    with pytest.raises(LinkwaysError, match="column animal holds no numbers"):
        movement.states(layer, columns=["animal"])
    with pytest.raises(LinkwaysError, match="column z is empty or infinite at 1 fixes, first a at"):
        movement.states(layer.assign(z=np.where(np.arange(300) == 7, np.nan, layer["z"])), columns=["z"])
    with pytest.raises(LinkwaysError, match="covariate z has one value"):
        movement.states(layer.assign(z=1.0), columns=["z"])
    with pytest.raises(LinkwaysError, match=r"15 steps .* too few for 2 states"):
        movement.states(layer.iloc[:16])
    away = spatial.new_raster(np.ones((2, 2)), crs=CRS, cell_size=10, name="ndvi")
    with pytest.raises(LinkwaysError, match="covariate ndvi has no value at 300 of 300 fixes"):
        movement.states(layer, [away])
    with pytest.raises(LinkwaysError, match="degrees"):
        movement.states(layer.to_crs(4326))
