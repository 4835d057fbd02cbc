"""Likelihoods of occupancy models against sums over all latent states, their gradients, and the search for maxima."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logsumexp
from scipy.stats import poisson

from linkways.errors import LinkwaysError
from linkways.populations._occupancy_fit import fit, profile
from linkways.populations._occupancy_fitness import chi_square, cohorts_of
from linkways.populations._occupancy_models import Dynamic, FalsePositive, Network, RoyleNichols, Single

KINDS = ["single", "royle_nichols", "false_positive", "dynamic", "network", "network, distance given"]


def made(kind, seed):
    """A small model of random visits (some units without any), and coefficients."""
    rng = np.random.default_rng(seed)
    sites = int(rng.integers(2, 6))
    seasons = 3 if kind.startswith(("dynamic", "network")) else 1
    count = rng.integers(0, 4, sites * seasons)
    first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    visits = int(first[-1])
    y = rng.integers(0, 2, visits).astype(np.int64)

    def block(rows):
        return np.column_stack([np.ones(rows), rng.normal(size=rows)])

    blocks = {"occupancy": block(sites), "detection": block(visits)}
    if kind == "single":
        model = Single(first, y, blocks)
    elif kind == "royle_nichols":
        model = RoyleNichols(first, y, blocks, most=40)
    elif kind == "false_positive":
        certain = rng.random(visits) < 0.3
        y = np.where(certain, y, rng.integers(0, 3, visits)).astype(np.int64)
        blocks |= {"false_detection": block(visits), "confirmation": np.ones((visits, 1))}
        model = FalsePositive(first, y, blocks, certain=certain)
    else:
        steps = sites * (seasons - 1)
        blocks = {
            "occupancy": block(sites),
            "colonisation": block(steps),
            "extinction": block(steps),
            "detection": block(visits),
        }
        network = None
        if kind.startswith("network"):
            distance = rng.uniform(1, 5, (sites, sites))
            distance[rng.random((sites, sites)) < 0.2] = np.inf
            np.fill_diagonal(distance, np.inf)
            distance[0, 1] = 2.5
            network = Network(distance, 2.0, "given" in kind)
        model = Dynamic(first, y, blocks, seasons=seasons, network=network)
    return model, 0.7 * rng.normal(size=model.count)


def history(model, unit):
    return slice(model.first[unit], model.first[unit + 1])


def by_hand(model, theta):
    """The likelihood of each site as a sum over what cannot be seen."""
    parts, start = {}, 0
    for name, x in model.blocks.items():
        parts[name] = x @ theta[start : start + x.shape[1]]
        start += x.shape[1]
    p = expit(parts["detection"])

    def seen(unit, there):
        at = history(model, unit)
        return np.prod(np.where(model.y[at] > 0, p[at], 1 - p[at])) if there else float((model.y[at] == 0).all())

    total = 0.0
    sites = len(parts["occupancy"])
    if isinstance(model, Dynamic):
        return by_all_states(model, theta, parts, seen)
    for i in range(sites):
        at = history(model, i)
        if isinstance(model, RoyleNichols):
            lam = np.exp(parts["occupancy"][i])
            terms = []
            for n in range(model.most + 1):
                with np.errstate(divide="ignore"):
                    unseen = n * np.log1p(-p[at])
                    visits = np.where(model.y[at] > 0, np.log(-np.expm1(unseen)), unseen)
                terms.append(poisson.logpmf(n, lam) + visits.sum())
            total += logsumexp(terms)
            continue
        psi = expit(parts["occupancy"][i])
        if isinstance(model, Single):
            total += np.log(psi * seen(i, 1) + (1 - psi) * seen(i, 0))
            continue
        there = absent = 1.0
        f, b = expit(parts["false_detection"][at]), expit(parts["confirmation"][at])
        for y, sure, p11, p10, b1 in zip(model.y[at], model.certain[at], p[at], f, b, strict=True):
            if sure:
                there, absent = there * (p11 if y else 1 - p11), absent * (0 if y else 1)
            else:
                there *= [1 - p11, p11 * (1 - b1), p11 * b1][y]
                absent *= [1 - p10, p10, 0.0][y]
        total += np.log(psi * there + (1 - psi) * absent)
    return total


def by_all_states(model, theta, parts, seen):
    """The same for models with seasons."""
    total, sites = 0.0, len(parts["occupancy"])
    psi = expit(parts["occupancy"])
    g, e = (parts[name].reshape(sites, -1).copy() for name in ("colonisation", "extinction"))
    e = expit(e)
    if model.network is not None:
        strength, a = (theta[-1], 2.0) if model.network.given else (theta[-2], 2.0 * np.exp(theta[-1]))
        scale = np.exp(-model.network.distance / 2.0).sum(axis=1).mean()
        now = psi.copy()
        for t in range(g.shape[1]):
            near = [sum(now[j] * np.exp(-model.network.distance[i, j] / a) for j in range(sites)) for i in range(sites)]
            g[:, t] += strength * np.array(near) / scale
            now = now * (1 - e[:, t]) + (1 - now) * expit(g[:, t])
    g = expit(g)
    for i in range(sites):
        whole = 0.0
        for states in itertools.product((0, 1), repeat=model.seasons):
            chance = psi[i] if states[0] else 1 - psi[i]
            for t, (before, after) in enumerate(itertools.pairwise(states)):
                come = g[i, t] if not before else 1 - e[i, t]
                chance *= come if after else 1 - come
            for t, state in enumerate(states):
                chance *= seen(i * model.seasons + t, state)
            whole += chance
        total += np.log(whole)
    return total


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_likelihood_is_the_sum_over_all_latent_states(kind, seed):
    model, theta = made(kind, seed)
    assert model.evaluate(theta).log_likelihood == pytest.approx(by_hand(model, theta), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_gradient_is_that_of_central_differences(kind, seed):
    model, theta = made(kind, seed)
    exact = model.evaluate(theta).gradient
    for k in range(len(theta)):
        step = np.zeros(len(theta))
        step[k] = 1e-5
        up, down = (model.evaluate(theta + s * step).log_likelihood for s in (1, -1))
        assert exact[k] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("kind", ["single", "royle_nichols", "false_positive", "dynamic"])
def test_what_is_occupied_given_the_visits_follows_from_bayes(kind):
    """The derivative by the intercept of occupancy is the sum of P(occupied | visits) less psi."""
    model, theta = made(kind, 5)
    occupied = model.evaluate(theta).occupied
    assert ((occupied >= 0) & (occupied <= 1)).all()
    if isinstance(model, (Single, FalsePositive)):
        at = model.evaluate(theta).gradient
        psi = model.psi(theta)
        # d log L / d intercept of occupancy is sum (w - psi)
        assert at[0] == pytest.approx((occupied - psi).sum())
    units = model.unit_of_visit()
    sure = np.unique(units[model.y > 0]) if kind != "false_positive" else np.unique(units[model.y == 2])
    np.testing.assert_allclose(occupied[sure], 1.0)


@pytest.mark.parametrize("kind", ["single", "royle_nichols", "false_positive", "dynamic"])
def test_the_chances_of_all_histories_sum_to_one(kind):
    model, theta = made(kind, 3)
    if kind == "false_positive":
        model = replace(model, certain=np.zeros_like(model.certain))
    unit = int(np.argmax(np.diff(model.first)))
    visits = np.arange(model.first[unit], model.first[unit + 1])[None, :]
    codes = np.array(list(itertools.product(range(3 if kind == "false_positive" else 2), repeat=visits.shape[1])))
    assert model.chances(theta, np.array([unit]), visits, codes).sum() == pytest.approx(1.0, abs=1e-9)


def test_a_long_history_does_not_underflow():
    first = np.array([0, 4000])
    y = np.zeros(4000, np.int64)
    y[7] = 1
    for x in (-3.0, 0.0, 3.0):
        model = Single(first, y, {"occupancy": np.ones((1, 1)), "detection": np.ones((4000, 1))})
        expected = np.log(0.5) + x - 4000 * np.logaddexp(0, x)
        assert model.evaluate(np.array([0.0, x])).log_likelihood == pytest.approx(expected, rel=1e-12)


def surveyed(psi, p, sites, visits, seed=0):
    rng = np.random.default_rng(seed)
    there = rng.random(sites) < psi
    y = ((rng.random((sites, visits)) < p) & there[:, None]).astype(np.int64)
    first = np.arange(0, sites * visits + 1, visits)
    return Single(first, y.ravel(), {"occupancy": np.ones((sites, 1)), "detection": np.ones((sites * visits, 1))})


def test_the_profile_interval_is_that_of_a_search_over_the_other_coefficient():
    model = surveyed(0.6, 0.4, 200, 4)
    found = fit(model, ["psi", "p"])
    low, high = profile(found, np.array([1.0, 0.0]), 1.9207294103470)
    grid = np.linspace(-4, 4, 4001)
    for end in (low, high):
        best = max(model.evaluate(np.array([end, p])).log_likelihood for p in grid)
        assert found.log_likelihood - best == pytest.approx(1.92073, abs=1e-4)
    assert low < found.theta[0] < high


def test_the_profile_of_a_combination_is_that_of_the_model_in_other_coordinates():
    model = surveyed(0.6, 0.4, 200, 4)
    turned = np.array([1.0, -1.0])
    found = fit(model, ["psi", "p"])
    low, high = profile(found, turned, 1.0)
    grid = np.linspace(-4, 4, 8001)
    for end in (low, high):
        best = max(model.evaluate(np.array([end + p, p])).log_likelihood for p in grid)
        assert found.log_likelihood - best == pytest.approx(1.0, abs=1e-4)


def test_of_one_proportion_the_penalised_estimate_is_firths():
    """Detected on every visit wherever at all: p is at the boundary, psi is not; Firth's p = (y + 1/2) / (n + 1)."""
    sites, visits = 40, 3
    y = np.zeros((sites, visits), np.int64)
    y[:15] = 1
    model = Single(
        np.arange(0, sites * visits + 1, visits),
        y.ravel(),
        {"occupancy": np.ones((sites, 1)), "detection": np.ones((sites * visits, 1))},
    )
    found = fit(model, ["psi", "p"])
    assert found.boundary.tolist() == [False, True]
    assert expit(found.theta[0]) == pytest.approx(15 / 40, abs=1e-6)
    # nearly all unseen sites are empty then
    assert expit(found.penalised[1]) == pytest.approx((45 + 0.5) / (45 + 1), abs=1e-4)
    assert expit(found.penalised[0]) == pytest.approx((15 + 0.5) / (40 + 1), abs=1e-4)


def test_a_flat_likelihood_is_refused_and_the_coefficients_named():
    """With visits that are all uncertain and one a site, only one number can be told."""
    sites = 50
    y = (np.arange(sites) % 3 == 0).astype(np.int64)
    ones = np.ones((sites, 1))
    model = Single(np.arange(sites + 1), y, {"occupancy": ones, "detection": ones})
    with pytest.raises(LinkwaysError, match=r"cannot identify (psi and p|p and psi)"):
        fit(model, ["psi", "p"])


def test_large_surveys_reach_the_maximum_from_some_of_their_sites():
    rng = np.random.default_rng(2)
    sites, visits = 5000, 3
    x = rng.normal(size=sites)
    there = rng.random(sites) < expit(0.3 + 0.7 * x)
    y = ((rng.random((sites, visits)) < 0.35) & there[:, None]).astype(np.int64)
    blocks = {"occupancy": np.column_stack([np.ones(sites), x]), "detection": np.ones((sites * visits, 1))}
    model = Single(np.arange(0, sites * visits + 1, visits), y.ravel(), blocks)
    quick = fit(model, ["psi", "x", "p"])
    slow = fit(model, ["psi", "x", "p"], [np.zeros(3)])
    np.testing.assert_allclose(quick.theta, slow.theta, atol=1e-6)
    assert np.abs(model.evaluate(quick.theta).gradient).max() < 1e-4


@pytest.mark.parametrize("kind", ["single", "royle_nichols", "false_positive"])
def test_chi_square_of_histories_is_the_sum_over_all_possible_ones(kind):
    rng = np.random.default_rng(4)
    sites, visits = 30, 3
    first = np.arange(0, sites * visits + 1, visits)
    y = rng.integers(0, 2, sites * visits)
    x = np.column_stack([np.ones(sites), rng.normal(size=sites)])
    blocks = {"occupancy": x, "detection": np.ones((sites * visits, 1))}
    if kind == "false_positive":
        blocks |= {"false_detection": np.ones((sites * visits, 1))}
        model = FalsePositive(first, y, blocks, certain=np.zeros(sites * visits, bool))
    else:
        model = {"single": Single, "royle_nichols": RoyleNichols}[kind](first, y, blocks)
    theta = np.array([0.2, 0.4, -0.3, -1.5][: model.count])
    expected = 0.0
    for history in itertools.product((0, 1), repeat=visits):
        chances = 0.0
        for i in range(sites):
            one = replace(
                model,
                first=np.array([0, visits]),
                y=np.array(history),
                blocks={
                    "occupancy": x[i : i + 1],
                    **{name: b[:visits] for name, b in blocks.items() if name != "occupancy"},
                },
            )
            if kind == "false_positive":
                one = replace(one, certain=np.zeros(visits, bool))
            chances += np.exp(by_hand(one, theta)) if kind != "false_positive" else np.exp(_no_confirmation(one, theta))
        observed = int((y.reshape(sites, visits) == history).all(axis=1).sum())
        expected += (observed - chances) ** 2 / chances
    cohorts = cohorts_of(model, np.tile(np.arange(visits), sites))
    assert chi_square(model, theta, cohorts) == pytest.approx(expected, rel=1e-6)


def _no_confirmation(model, theta):
    psi = expit(model.blocks["occupancy"] @ theta[:2])[0]
    p, f = expit(theta[2:])
    k, n = int(model.y.sum()), len(model.y)
    return np.log(psi * p**k * (1 - p) ** (n - k) + (1 - psi) * f**k * (1 - f) ** (n - k))


def test_units_visited_on_other_occasions_are_other_cohorts():
    model = surveyed(0.6, 0.4, 6, 2)
    occasion = np.tile([0, 1], 6)
    occasion[-2:] = [0, 2]
    assert sorted(len(c.units) for c in cohorts_of(model, occasion)) == [1, 5]
