"""Before and after, at control and impact sites: effects of counts and of occupancy, camera traps, and plans."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binom, nbinom, norm, poisson

from linkways import LinkwaysError, populations, spatial
from linkways.populations._impact_mixed import Mixed, fit_mixed


def four(counts, efforts=(1, 1, 1, 1)):
    """One row for each of before and after at control, before and after at impact."""
    return pd.DataFrame(
        {
            "site": ["c", "c", "i", "i"],
            "period": ["before", "after"] * 2,
            "treatment": ["control"] * 2 + ["impact"] * 2,
            "count": counts,
            "effort": efforts,
        }
    )


def design(sites, visits):
    site, time = np.repeat(np.arange(2 * sites), 2 * visits), np.tile(np.arange(2 * visits), 2 * sites)
    after, impact = (time >= visits) * 1.0, (site >= sites) * 1.0
    return site, time, np.column_stack([np.ones(len(site)), after, impact, after * impact])


def surveyed(sites, visits, effect, *, sd=(0.5, 0.3), size=np.inf, seed=0, rate=3.0):
    rng = np.random.default_rng(seed)
    site, time, x = design(sites, visits)
    effort = rng.uniform(0.5, 2, len(site))
    eta = np.log(rate) + x @ [0, 0.2, -0.1, np.log(effect)] + np.log(effort)
    eta += sd[0] * rng.normal(size=2 * sites)[site] + sd[1] * rng.normal(size=2 * visits)[time]
    mean = np.exp(eta) * (rng.gamma(size, 1 / size, len(eta)) if np.isfinite(size) else 1)
    return pd.DataFrame(
        {
            "site": site,
            "time": time,
            "period": np.where(x[:, 1] > 0, "after", "before"),
            "treatment": np.where(x[:, 2] > 0, "impact", "control"),
            "effort": effort,
            "count": rng.poisson(mean),
        }
    )


# --- closed forms --------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 500), min_size=4, max_size=4),
    efforts=st.lists(st.floats(0.5, 50), min_size=4, max_size=4),
)
def test_four_counts_give_the_ratio_of_ratios_and_its_closed_error(counts, efforts):
    found = populations.impact(four(counts, efforts), family="poisson", random="none")
    bc, ac, bi, ai = np.array(counts) / np.array(efforts)
    ratio, error = (ai / bi) / (ac / bc), np.sqrt(sum(1 / c for c in counts))
    for row in (0, 1):
        one = found.effects.iloc[row]
        assert one["estimate"] == pytest.approx(ratio, rel=1e-4)
        assert one["se"] == pytest.approx(error, rel=1e-4)
        assert one["low"] == pytest.approx(ratio * np.exp(-1.959964 * error), rel=1e-4)
    assert found.effect == found.effects["estimate"][0]
    assert found.p_value == pytest.approx(2 * norm.sf(abs(np.log(ratio)) / error), rel=1e-3, abs=1e-8)


def test_the_exact_interval_holds_the_odds_whose_tails_are_a_fortieth():
    """Given margins the count at impact after is noncentral hypergeometric, made here from two binomials."""
    counts, efforts = [12, 9, 4, 15], [10.0, 8.0, 9.0, 11.0]
    row = populations.impact(four(counts, efforts), family="poisson", random="none").effects.iloc[-1]
    bc, ac, bi, ai = counts
    scale = efforts[2] * efforts[1] / (efforts[3] * efforts[0])

    def law(effect):
        odds = effect / scale
        k = np.arange(max(0, ai - bc), min(ai + bi, ai + ac) + 1)
        weight = binom.pmf(k, ai + bi, odds / (1 + odds)) * binom.pmf(ai + ac - k, ac + bc, 0.5)
        return k, weight / weight.sum()

    k, chance = law(row["low"])
    assert chance[k >= ai].sum() == pytest.approx(0.025, rel=1e-4)
    k, chance = law(row["high"])
    assert chance[k <= ai].sum() == pytest.approx(0.025, rel=1e-4)
    k, chance = law(row["estimate"])
    assert (k * chance).sum() == pytest.approx(ai, rel=1e-5)  # the conditional maximum has the mean seen
    k, chance = law(1.0)
    assert row["p"] == pytest.approx(chance[chance <= chance[k == ai] * (1 + 1e-9)].sum(), rel=1e-6)


def test_nothing_counted_in_a_part_leaves_the_exact_interval_only():
    with spatial.recording() as log:
        found = populations.impact(four([12, 9, 0, 15]), family="poisson", random="none")
    assert found.effects["status"].tolist() == ["boundary", "boundary"]
    assert np.isnan(found.effects["estimate"]).all()
    assert found.effect_low > 1
    assert np.isinf(found.effect_high)
    assert any("nothing was counted at impact sites before" in line for line in log)


# --- the mixed model -----------------------------------------------------------------


def by_hand(model, theta):
    """Laplace's approximation from a general search and numerical second derivatives."""
    p, groups = model.x.shape[1], list(model.groups.values())
    sd = np.exp(theta[p : p + len(groups)])
    size = np.exp(theta[-1]) if model.overdispersed else None
    counts = [int(code.max()) + 1 for code in groups]

    def negative(s):
        eta = model.x @ theta[:p] + model.offset
        for a, code, part in zip(sd, groups, np.split(s, np.cumsum(counts)[:-1]), strict=True):
            eta = eta + a * part[code]
        mu = np.exp(eta)
        law = poisson.logpmf(model.y, mu) if size is None else nbinom.logpmf(model.y, size, size / (size + mu))
        return -law.sum() + 0.5 * s @ s

    best = minimize(negative, np.zeros(sum(counts)), method="BFGS", options={"gtol": 1e-7})
    h, eye = 1e-3, np.eye(sum(counts))
    curve = np.array(
        [
            [
                sum(a * b * negative(best.x + h * (a * u + b * v)) for a, b in itertools.product((1, -1), repeat=2))
                / (4 * h * h)
                for u in eye
            ]
            for v in eye
        ]
    )
    return -best.fun - 0.5 * np.linalg.slogdet(curve)[1]


@pytest.mark.parametrize("overdispersed", [False, True])
@pytest.mark.parametrize("effects", [(), ("site",), ("site", "time")])
def test_the_laplace_likelihood_and_its_gradient(overdispersed, effects):
    table = surveyed(2, 3, 2.0, size=3.0, seed=1)
    _, _, x = design(2, 3)
    groups = {name: table[name].to_numpy() for name in effects}
    groups = dict(sorted(groups.items(), key=lambda item: -item[1].max()))
    model = Mixed(table["count"].to_numpy(float), x, np.log(table["effort"].to_numpy()), groups, overdispersed)
    rng = np.random.default_rng(2)
    theta = model.start() + 0.2 * rng.normal(size=len(model.start()))
    value, gradient = model.evaluate(theta)
    if effects:
        assert value == pytest.approx(by_hand(model, theta), abs=1e-4)
    else:
        mu = np.exp(x @ theta[:4] + model.offset)
        size = np.exp(theta[-1])
        law = nbinom.logpmf(model.y, size, size / (size + mu)) if overdispersed else poisson.logpmf(model.y, mu)
        assert value == pytest.approx(law.sum())
    for k in range(len(theta)):
        step = np.zeros(len(theta))
        step[k] = 1e-5
        slope = (model.evaluate(theta + step)[0] - model.evaluate(theta - step)[0]) / 2e-5
        assert gradient[k] == pytest.approx(slope, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("size", [np.inf, 3.0])
def test_simulated_effects_are_recovered_with_honest_errors(size):
    scores = []
    for seed in range(25):
        table = surveyed(15, 5, 2.0, size=size, seed=seed)
        found = populations.impact(table, family="poisson" if np.isinf(size) else "negative_binomial")
        row = found.effects.iloc[0]
        scores.append((np.log(row["estimate"]) - np.log(2)) / row["se"])
    # 25 draws of a standard normal
    assert abs(np.mean(scores)) < 0.7
    assert 0.6 < np.std(scores) < 1.5


def test_spreads_among_sites_and_times_are_recovered():
    table = surveyed(60, 20, 1.5, sd=(0.6, 0.4), size=4.0, seed=3)
    rows = populations.impact(table).coefficients.set_index("term")["estimate"]
    assert rows["sd of site"] == pytest.approx(0.6, abs=0.15)
    assert rows["sd of time"] == pytest.approx(0.4, abs=0.15)
    assert rows["size (negative binomial)"] == pytest.approx(4.0, rel=0.3)


def test_a_spread_that_is_nothing_is_left_out_and_told():
    table = surveyed(10, 4, 2.0, sd=(0.6, 0.0), seed=6)
    for seed in range(10):
        table = surveyed(10, 4, 2.0, sd=(0.6, 0.0), seed=seed)
        with spatial.recording() as log:
            found = populations.impact(table, family="poisson")
        if any("the spread of time came out as nothing" in line for line in log):
            break
    else:
        raise AssertionError("in ten surveys without differences among times none told so")
    without = populations.impact(table, family="poisson", random="site")
    assert found.effect == pytest.approx(without.effect, rel=1e-4)
    assert found.coefficients.set_index("term").loc["sd of time", "estimate"] == 0


def test_neither_the_order_nor_the_names_of_sites_matter():
    table = surveyed(6, 4, 2.0, seed=2)
    one = populations.impact(table)
    other = table.assign(site="x" + (97 - table["site"]).astype(str)).sample(frac=1, random_state=1)
    assert populations.impact(other).effect == pytest.approx(one.effect, rel=1e-4)


def test_totals_are_too_sure_where_times_differ_between_treatments():
    """Differences among sites cancel out; what each site does after the change on its own does not, and the totals
    hold it for certain: the size of the negative binomial takes it up."""
    table = surveyed(8, 5, 2.0, sd=(0.5, 0.0), size=1.0, seed=4)
    found = populations.impact(table).effects.set_index("method")["se"]
    assert found["model"] > 1.4 * found["saturated Poisson of totals"]


# --- occupancy -----------------------------------------------------------------------


def detections(sites, visits, b3, seed):
    """Half of the sites keep their state where the change did nothing to them."""
    rng = np.random.default_rng(seed)
    rows = []
    for site in range(2 * sites):
        impact = site >= sites
        for after in (0, 1):
            there = rng.random() < expit(-0.5 + 0.3 * after + 0.2 * impact + b3 * after * impact)
            for occasion in range(visits):
                seen = int(there and rng.random() < 0.5)
                rows.append((site, ("before", "after")[after], ("control", "impact")[impact], occasion, seen))
    return pd.DataFrame(rows, columns=["site", "period", "treatment", "occasion", "detected"])


def test_the_effect_on_occupancy_is_recovered_as_odds_ratio_and_in_points():
    table = detections(300, 6, 1.2, 1)
    found = populations.impact(table, response="occupancy")
    odds, points = found.effects.iloc[0], found.effects.iloc[1]
    assert abs(np.log(odds["estimate"]) - 1.2) < 3.5 * odds["se"]
    truth = expit(1.2) - expit(-0.3) - (expit(-0.2) - expit(-0.5))
    assert abs(points["estimate"] - truth) < 3.5 * points["se"]
    psi = found.cells["psi"]
    assert points["estimate"] == pytest.approx(psi[3] - psi[2] - psi[1] + psi[0])
    assert found.effect == odds["estimate"]


def test_with_perfect_detection_the_odds_ratio_is_that_of_the_sites():
    table = detections(60, 1, 1.0, 3)
    table = pd.concat([table.assign(occasion=k) for k in range(4)])
    # a visit that misses, so that detection has an estimate
    first = table["detected"].to_numpy().copy()
    seen = np.flatnonzero(first)
    first[seen[:6]] = 0
    found = populations.impact(table.assign(detected=first), response="occupancy")
    sites = table.assign(detected=first).groupby(["treatment", "period", "site"])["detected"].max()
    share = sites.groupby(["treatment", "period"]).mean()
    odds = share / (1 - share)
    expected = (odds["impact", "after"] / odds["impact", "before"]) / (
        odds["control", "after"] / odds["control", "before"]
    )
    # p is 0.97: hardly any occupied site is missed four times
    assert found.effect == pytest.approx(expected, rel=0.01)


def test_errors_are_clustered_by_site():
    """Sites whose state never changes: before and after are the same twice, so the contrast of time has no error."""
    rng = np.random.default_rng(0)
    there = rng.random(200) < 0.5
    rows = []
    for site in range(200):
        kept = [int(there[site] and rng.random() < 0.6) for _ in range(5)]
        for period in ("before", "after"):
            rows += [(site, period, ("control", "impact")[site >= 100], k, y) for k, y in enumerate(kept)]
    table = pd.DataFrame(rows, columns=["site", "period", "treatment", "occasion", "detected"])
    row = populations.impact(table, response="occupancy").effects.iloc[0]
    assert row["estimate"] == pytest.approx(1, abs=1e-4)
    assert row["se"] < 1e-3


# --- camera traps --------------------------------------------------------------------


def cameras_at_a_road():
    """Two underpasses and two places on a game trail, each two months before and after; so many events of deer."""
    events = {
        ("u1", 0): 2,
        ("u1", 1): 9,
        ("u2", 0): 3,
        ("u2", 1): 8,
        ("t1", 0): 5,
        ("t1", 1): 4,
        ("t2", 0): 6,
        ("t2", 1): 7,
    }
    deployments, observations = [], []
    for (place, after), count in events.items():
        start = pd.Timestamp("2021-06-01" if after else "2020-06-01", tz="UTC")
        name = f"{place}-{after}"
        feature = "roadUnderpass" if place[0] == "u" else "trailGame"
        deployments.append(
            (name, place, 45.0, 5.0, start.isoformat(), (start + pd.Timedelta("60D")).isoformat(), feature)
        )
        for k in range(count):
            at = start + pd.Timedelta(days=2 * k, hours=5)
            observations.append((name, at.isoformat(), at.isoformat(), "Capreolus capreolus"))
            # a second picture of the same event
            later = at + pd.Timedelta("5min")
            observations.append((name, later.isoformat(), later.isoformat(), "Capreolus capreolus"))
    columns = ["deploymentID", "locationID", "latitude", "longitude", "deploymentStart", "deploymentEnd", "featureType"]
    return (
        pd.DataFrame(deployments, columns=columns),
        pd.DataFrame(observations, columns=["deploymentID", "eventStart", "eventEnd", "scientificName"]),
    )


def test_camera_traps_at_underpasses_are_impact_sites():
    deployments, observations = cameras_at_a_road()
    found = populations.impact(
        deployments=deployments,
        observations=observations,
        species="Capreolus capreolus",
        change_date="2021-01-01",
        family="poisson",
        random="none",
    )
    assert found.cells["count"].tolist() == [11, 11, 5, 17]
    assert found.cells["effort"].tolist() == [120, 120, 120, 120]
    assert found.effect == pytest.approx(17 / 5)


def test_a_deployment_over_the_change_is_refused():
    deployments, observations = cameras_at_a_road()
    with pytest.raises(LinkwaysError, match="deployment u1-1 runs over the change of 2021-06-15; split it"):
        populations.impact(
            deployments=deployments,
            observations=observations,
            species="Capreolus capreolus",
            change_date="2021-06-15",
        )


# --- plans ---------------------------------------------------------------------------


def test_power_is_what_normal_theory_says_where_counts_are_many():
    """Poisson without random effects: the error of the log effect is sqrt(sum 1 / expected total)."""
    rate, sites, visits, effect = 3.0, 6, 5, 1.35
    power = populations.impact(
        power_sites=[sites], power_visits=[visits], power_effects=[effect, 1.0], simulations=300, rate=rate, site_sd=0
    ).power
    n = rate * sites * visits
    error = np.sqrt(3 / n + 1 / (n * effect))
    expected = norm.sf(1.959964 - np.log(effect) / error) + norm.cdf(-1.959964 - np.log(effect) / error)
    assert power["power"][0] == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 300))
    # without an effect it is found as often as the level says
    assert power["power"][1] == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 300))
    assert (power["coverage"] > 0.9).all()
    assert power["mean_ratio"][0] == pytest.approx(effect, rel=0.1)
    assert (power["power_low"] <= power["power"]).all()


def test_more_sites_find_more_and_the_seed_decides():
    ask = {"power_visits": [3], "simulations": 60, "rate": 1.0, "site_sd": 0.3, "size": 2.0}
    one = populations.impact(power_sites=[3, 15], seed=4, **ask).power
    two = populations.impact(power_sites=[3, 15], seed=4, **ask).power
    assert one["power"][1] > one["power"][0]
    pd.testing.assert_frame_equal(one, two)


def test_a_plan_takes_what_a_pilot_survey_found():
    table = surveyed(6, 4, 1.0, sd=(0.5, 0.3), size=3.0, seed=8)
    found = populations.impact(table, power_sites=[5], power_visits=[4], simulations=20)
    assert len(found.power) == 1
    assert np.isfinite(found.effect)
    with pytest.raises(LinkwaysError, match="plans need rate"):
        populations.impact(power_sites=[5])


# --- what is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"period": ["before", "during"] * 2}, "row 2 has period 'during'; write before or after"),
        ({"treatment": ["control", "impact"] * 2}, "site c is both control and impact"),
        ({"period": ["before", "after", "before", "before"]}, "no row of impact sites after the change"),
        ({"count": [1, 2, -3, 4]}, "row 3 has count -3"),
        ({"count": [1, 2, 3.5, 4]}, "row 3 has count 3.5"),
        ({"effort": [1, 0, 1, 1]}, "row 2 has effort 0"),
        ({"count": [0, 0, 0, 0]}, "nothing was counted anywhere"),
    ],
)
def test_mistakes_in_surveys_are_refused_with_their_row(change, words):
    with pytest.raises(LinkwaysError, match=words):
        populations.impact(four([1, 2, 3, 4]).assign(**change))


@pytest.mark.parametrize(
    ("given_too", "words"),
    [
        ({"species": "Lynx lynx"}, "belong to deployments"),
        ({"detection": ["effort"]}, "detection is of response occupancy"),
        ({"response": "occupancy", "power_sites": [3]}, "plans are of counts"),
        ({"response": "occupancy"}, "no column occasion"),
    ],
)
def test_what_does_not_go_together_is_refused(given_too, words):
    with pytest.raises(LinkwaysError, match=words):
        populations.impact(four([1, 2, 3, 4]), **given_too)


def test_the_fit_of_many_levels_agrees_with_the_one_of_few_swapped():
    """Which group is eliminated first is a matter of speed alone."""
    table = surveyed(4, 3, 2.0, seed=9)
    _, _, x = design(4, 3)
    y, offset = table["count"].to_numpy(float), np.log(table["effort"].to_numpy())
    site, time = table["site"].to_numpy(), table["time"].to_numpy()
    one = fit_mixed(Mixed(y, x, offset, {"site": site, "time": time}, False))
    two = fit_mixed(Mixed(y, x, offset, {"time": time, "site": site}, False))
    assert one.log_likelihood == pytest.approx(two.log_likelihood, abs=1e-6)
    assert one.spread("site") == pytest.approx(two.spread("site"), rel=1e-3)
