"""Occupancy models beside unmarked 1.5.0 (R) on its own examples and on camera traps of Leuven.

The estimates and log-likelihoods were computed once with unmarked on the files in ``shared/data/populations``. Its
optimiser (BFGS on numerical gradients) ends up to 1e-5 below the maximum; ours must not be below its value.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from linkways import populations, spatial
from linkways.populations._occupancy_models import Dynamic

SHORT = 1e-5
"""How far below the maximum unmarked may have stopped."""


@pytest.fixture(scope="module")
def birds(shared):
    """Wood thrush, 50 sites x 11 visits (Royle, 2004)."""
    return long(pd.read_csv(shared / "data/populations/occupancy/woodthrush_bin.csv").to_numpy(float))


@pytest.fixture(scope="module")
def frogs(shared):
    """Frogs of Delaware, 130 sites x 3 visits, with time and temperature of the visit."""
    table = pd.read_csv(shared / "data/populations/occupancy/frog_pcru.csv")
    minutes, warmth = (
        table[[f"{name}{k}" for k in (1, 2, 3)]].to_numpy(float) for name in ("MinAfterSunset", "Temperature")
    )
    return long(table[["y1", "y2", "y3"]].to_numpy(float), minutes=minutes, warmth=warmth)


def long(y, **columns):
    sites, visits = y.shape
    table = pd.DataFrame({"site": np.repeat(np.arange(sites), visits), "occasion": np.tile(np.arange(visits), sites)})
    table["detected"] = y.ravel()
    table["visit"] = [f"visit {k:02d}" for k in table["occasion"]]
    for name, values in columns.items():
        table[name] = values.ravel()
    return table


def agrees(found, log_likelihood, estimates=(), errors=(), tolerance=1e-4):
    assert found.log_likelihood == pytest.approx(log_likelihood, abs=SHORT)
    assert found.log_likelihood > log_likelihood - 1e-7
    table = found.coefficients
    np.testing.assert_allclose(table["estimate"][: len(estimates)], estimates, atol=tolerance)
    np.testing.assert_allclose(table["se"][: len(errors)], errors, atol=tolerance)


def test_wood_thrush_with_constant_rates(birds):
    agrees(populations.occupancy(birds), -352.2480684, (2.2250536, -0.3432538), (0.483524, 0.0920897))


def test_wood_thrush_with_a_rate_for_each_visit(birds):
    agrees(populations.occupancy(birds, detection=["visit"]), -344.1179332)


def test_wood_thrush_by_royle_and_nichols(birds):
    found = populations.occupancy(birds, model="royle_nichols", max_abundance=25)
    agrees(found, -314.9766967, (0.7920760, -1.2110375))
    visits = populations.occupancy(birds, model="royle_nichols", detection=["visit"], max_abundance=25)
    agrees(visits, -306.1385323)


def test_wood_thrush_by_royle_and_nichols_up_to_ten_birds(birds):
    """The values of unmarked's own test, which it holds to a relative 1e-3; ours at the maximum differ by 0.002."""
    found = populations.occupancy(birds, model="royle_nichols", detection=["visit"], max_abundance=10)
    theirs = [0.7921122, -1.8328867, 0.4268205, -0.1442194]
    np.testing.assert_allclose(found.coefficients["estimate"][:4], theirs, atol=2e-3)


def test_spring_peepers_with_time_and_temperature(frogs):
    """psi of the null model is badly told (SE 1.4), so that 1e-5 of the likelihood is 0.006 of its logit."""
    agrees(populations.occupancy(frogs), -228.502079, (2.952089, -0.249008), tolerance=6e-3)
    found = populations.occupancy(frogs, detection=["minutes", "warmth"], standardise=True)
    agrees(found, -174.379572, (1.537304, 0.209771, -0.085546, -1.893615))


def test_pickerel_frogs_everywhere_is_no_estimate(shared):
    """unmarked reports a logit of 8.77 with standard error 29 and no warning."""
    table = long(pd.read_csv(shared / "data/populations/occupancy/frog_pfer.csv").to_numpy(float))
    with spatial.recording() as log:
        found = populations.occupancy(table)
    psi, p = (found.coefficients.iloc[k] for k in (0, 1))
    assert psi["status"] == "boundary"
    assert np.isnan(psi["estimate"])
    assert np.isinf(psi["high"])
    assert 0 < psi["low"] < psi["penalised"] < 8
    assert p["estimate"] == pytest.approx(-1.922225, abs=1e-3)
    # along the flat ridge unmarked stops 0.001 short of the limit
    assert found.log_likelihood == pytest.approx(-128.6650446, abs=2e-3)
    assert found.log_likelihood > -128.6650446
    assert found.naive == pytest.approx(0.330769, abs=1e-6)
    assert any("at the boundary" in line for line in log)


SEASONS = ["10110000", "11000000", "00000000", "00110000", "11100100", "00000011"]
"""unmarked's test of colext: 6 sites, 4 seasons of 2 visits."""
PENALISED = [0.1422577, -1.4950576, 0.2100365, 1.1998444]


def colext():
    rows = [(site, k // 2, k % 2, int(y)) for site, history in enumerate(SEASONS) for k, y in enumerate(history)]
    return pd.DataFrame(rows, columns=["site", "season", "occasion", "detected"])


def test_colonisation_and_extinction_as_in_unmarkeds_own_test():
    """unmarked maximises the log-likelihood less 0.001 |theta|; its estimates differ from the maximum by that."""
    found = populations.occupancy(colext(), model="dynamic")
    np.testing.assert_allclose(found.coefficients["estimate"], PENALISED, atol=1e-3)


def test_with_unmarkeds_hidden_ridge_the_estimates_are_unmarkeds():
    y = np.array([[int(c) for c in history] for history in SEASONS]).ravel()
    ones = {name: np.ones((rows, 1)) for name, rows in
            (("occupancy", 6), ("colonisation", 18), ("extinction", 18), ("detection", 48))}  # fmt: skip
    model = Dynamic(np.arange(0, 49, 2), y, ones, seasons=4)

    def ridged(theta):
        return 0.001 * np.linalg.norm(theta) - model.evaluate(theta).log_likelihood

    best = minimize(ridged, PENALISED, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 5000})
    np.testing.assert_allclose(best.x, PENALISED, atol=5e-5)


LEUVEN = {
    "Capreolus capreolus": (-241.385911, (1.357591, 0.938725), -220.848299, (1.352164, -1.189699, 1.254979)),
    "Vulpes vulpes": (-263.850265, (1.409016, 0.461266), -247.024573, (1.397176, -1.930096, 1.358801)),
    "Sus scrofa": (-261.214602, (1.614882, 0.656220), -251.261883, (1.608359, -0.576360, 0.722948)),
}


def by_formula(histories, psi, p):
    """The log-likelihood of a season with one psi and a p for each visit."""
    table = histories.assign(chance=np.where(histories["detected"] > 0, p, 1 - p))
    sites = table.groupby("site").agg(given=("chance", "prod"), seen=("detected", "max"))
    return float(np.log(psi * sites["given"] + (1 - psi) * (sites["seen"] == 0)).sum())


@pytest.mark.parametrize("species", LEUVEN)
def test_mammals_of_leuven_from_camera_traps_to_occupancy(shared, species):
    """87 deployments, windows of 7 x 24 h from set-up; detection constant, then by log(effort).

    At unmarked's estimates the likelihood is what unmarked says; for Vulpes it stopped 9e-5 below the maximum.
    """
    home = shared / "data/populations/camtrapdp_leuven"
    deployments, observations = (
        pd.read_csv(home / f"{name}.csv", low_memory=False) for name in ("deployments", "observations")
    )
    histories = populations.detection_histories(
        deployments, observations, species=species, level="event", invalid="leave out"
    ).histories.dropna()
    null, null_estimates, effort, estimates = LEUVEN[species]
    agrees(populations.occupancy(histories), null, null_estimates, tolerance=5e-4)
    psi, p, slope = estimates
    theirs = by_formula(histories, expit(psi), expit(p + slope * np.log(histories["effort_days"])))
    assert theirs == pytest.approx(effort, abs=2e-6)
    found = populations.occupancy(histories, detection=["log(effort_days)"])
    assert effort < found.log_likelihood + 1e-6 < effort + 1e-4
    np.testing.assert_allclose(found.coefficients["estimate"], estimates, atol=1e-2)
    own = found.coefficients["estimate"].to_numpy()
    p = expit(own[1] + own[2] * np.log(histories["effort_days"]))
    assert found.log_likelihood == pytest.approx(by_formula(histories, expit(own[0]), p), abs=1e-8)
