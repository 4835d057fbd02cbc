"""The effect of a change from surveys before and after: by a model of counts, exactly from totals, and on occupancy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError
from linkways.populations._impact_mixed import Mixed, MixedFit, fit_mixed
from linkways.populations._impact_surveys import CELLS, Counts, read_design
from linkways.spatial import note

if TYPE_CHECKING:
    import pandas as pd

    from linkways.populations._occupancy_fit import Fit

__all__ = ["TERMS", "Found", "from_counts", "from_detections", "mixed_of"]

ID = "populations.impact"
COLUMNS = ["method", "measure", "estimate", "se", "low", "high", "p", "status"]
TERMS = ("intercept", "after", "impact", "after:impact")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """What is reported of an effect."""

    effects: "pd.DataFrame"
    coefficients: "pd.DataFrame"
    cells: "pd.DataFrame"
    log_likelihood: float
    fit: MixedFit | None = None


def mixed_of(counts: Counts, family: str, random: str) -> Mixed:
    """The model of counts with the random effects that the design has."""
    groups: dict[str, NDArray[np.int64]] = {}
    if random != "none":
        groups["site"] = counts.site
    if random == "site and time" and counts.time is not None:
        groups["time"] = counts.time
    for name, code in list(groups.items()):
        if len(np.unique(code)) == len(code):
            note(f"{ID}: each {name} has one row only, so no random {name} is told from chance; it is left out")
            del groups[name]
    groups = dict(sorted(groups.items(), key=lambda item: -int(item[1].max())))
    return Mixed(counts.y, counts.x, np.log(counts.effort), groups, family == "negative_binomial")


def from_counts(counts: Counts, family: str, random: str, confidence: float) -> Found:
    """The effect on counts: by the model, by the saturated Poisson of totals, and exactly given their margins."""
    import pandas as pd
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + confidence / 2))
    totals = np.bincount(counts.cells, counts.y, 4).astype(float)
    effort = np.bincount(counts.cells, counts.effort, 4).astype(float)
    cells = pd.DataFrame(CELLS, columns=["period", "treatment"])
    cells["rows"] = np.bincount(counts.cells, minlength=4)
    cells["count"], cells["effort"], cells["rate"] = totals.astype(int), effort, totals / effort
    rows = [_exact(totals, effort, confidence)]
    fit = None
    if (totals > 0).all():
        logs = np.log(totals / effort)
        b, se = float(logs[3] - logs[2] - logs[1] + logs[0]), float(np.sqrt((1 / totals).sum()))
        rows.insert(0, ("saturated Poisson of totals", "ratio", *_ratio(b, se, z), "estimated"))
        model = mixed_of(counts, family, random)
        fit = fit_mixed(model)
        for name in fit.dropped:
            note(f"{ID}: the spread of {name} came out as nothing and is left out")
        k = TERMS.index("after:impact")
        rows.insert(
            0, ("model", "ratio", *_ratio(float(fit.theta[k]), float(np.sqrt(fit.covariance[k, k])), z), "estimated")
        )
    else:
        period, treatment = CELLS[int(np.argmin(totals))]
        note(
            f"{ID}: nothing was counted at {treatment} sites {period} the change, so the effect lies at the boundary: "
            "only its exact interval is reported"
        )
        rows.insert(0, ("model", "ratio", np.nan, np.nan, np.nan, np.nan, np.nan, "boundary"))
    effects = pd.DataFrame(rows, columns=COLUMNS)
    return Found(effects, _coefficients(fit, z), cells, np.nan if fit is None else fit.log_likelihood, fit)


def _ratio(b: float, se: float, z: float) -> tuple[float, float, float, float, float]:
    from scipy.stats import norm

    return np.exp(b), se, np.exp(b - z * se), np.exp(b + z * se), 2 * float(norm.sf(abs(b) / se))


def _exact(
    totals: Floats, effort: Floats, confidence: float
) -> tuple[str, str, float, float, float, float, float, str]:
    """Given the margins of the four totals the effect is the odds ratio of their 2 x 2 table (Fisher)."""
    from scipy.stats import fisher_exact
    from scipy.stats.contingency import odds_ratio

    bc, ac, bi, ai = totals.astype(int)
    scale = float(effort[2] * effort[1] / (effort[3] * effort[0]))
    table = [[ai, bi], [ac, bc]]
    name = "exact, from totals"
    if 0 in (ai + bi, ac + bc, ai + ac, bi + bc):
        return name, "ratio", np.nan, np.nan, 0.0, np.inf, 1.0, "boundary"
    found = odds_ratio(table, kind="conditional")
    low, high = found.confidence_interval(confidence)
    status = "boundary" if 0 in (bc, ac, bi, ai) else "estimated"
    value = float(found.statistic) * scale if status == "estimated" else np.nan
    # the odds ratio that stands for no effect is that of the efforts
    p = float(fisher_exact(table).pvalue) if np.isclose(scale, 1) else _p_value(table, 1 / scale)
    return name, "ratio", value, np.nan, float(low) * scale, float(high) * scale, p, status


def _p_value(table: list[list[int]], odds: float) -> float:
    """Two-sided, summing what is no likelier than what was seen, given margins and odds of no effect."""
    from scipy.stats import nchypergeom_fisher

    (a, b), (c, d) = table
    law = nchypergeom_fisher(a + b + c + d, a + b, a + c, odds)
    chances = law.pmf(np.arange(max(0, a - d), min(a + b, a + c) + 1))
    return float(min(1.0, chances[chances <= law.pmf(a) * (1 + 1e-9)].sum()))


def _coefficients(fit: MixedFit | None, z: float) -> "pd.DataFrame":
    """term, estimate, se, low, high; spreads of random effects and the size below."""
    import pandas as pd

    if fit is None:
        return pd.DataFrame(columns=["term", "estimate", "se", "low", "high"])
    error = np.sqrt(np.diag(fit.covariance))
    rows: list[tuple[str, float, float, float, float]] = []
    for k, name in enumerate([*TERMS, *fit.model.names]):
        value, spread = float(fit.theta[k]), float(error[k])
        if k < len(TERMS):
            rows.append((name, value, spread, value - z * spread, value + z * spread))
        else:
            label = "size (negative binomial)" if name == "size" else f"sd of {name}"
            ends = np.exp(value - z * spread), np.exp(value + z * spread)
            rows.append((label, np.exp(value), np.exp(value) * spread, *ends))
    for name in fit.dropped:
        label = "size (negative binomial)" if name == "size" else f"sd of {name}"
        rows.append((label, fit.spread(name), np.nan, np.nan, np.nan))
    return pd.DataFrame(rows, columns=["term", "estimate", "se", "low", "high"])


def from_detections(table: "pd.DataFrame", detection: Sequence[str], confidence: float) -> Found:
    """The effect on occupancy: odds ratio, and change in probability at impact less that at control sites.

    Each site and period is a unit of one single season model, psi ~ after + impact + after:impact; standard errors add
    the scores of a site's two periods up (sandwich), since a site is not another one after the change.
    """
    import pandas as pd
    from scipy.stats import norm

    from linkways.populations._occupancy_build import prepare
    from linkways.populations._occupancy_fit import fit
    from linkways.populations._occupancy_histories import read_histories
    from linkways.populations._occupancy_sites import read_places

    for name in ("occasion", "detected"):
        if name not in table:
            raise LinkwaysError(f"{ID}: surveys has no column {name}, which response='occupancy' needs; add it")
    x = read_design(table)
    units = table.assign(after=x[:, 1], impact=x[:, 2], own=table["site"])
    units["site"] = table["site"].astype(str) + ", " + np.where(x[:, 1] > 0, "after", "before")
    visits = read_histories(units, "single")
    places = read_places(visits.sites, None, None, (), None)
    terms = {"occupancy": ["after", "impact", "after:impact"], "detection": list(detection)}
    setup = prepare("single", visits, places, terms, None, None, 2)
    designs = setup.chosen(terms)
    rows = setup.rows(designs)
    found = fit(setup.model(designs), [" ".join(row) for row in rows])
    matrix, _ = setup.scaling(designs, standardise=False)
    beta = matrix @ found.theta
    own = units.drop_duplicates("site").set_index("site").loc[setup.histories.sites]
    score = _scores(found)
    site = pd.factorize(own["own"])[0]
    summed = np.zeros((int(site.max()) + 1, score.shape[1]))
    np.add.at(summed, site, score)
    count = len(summed)
    bread = np.linalg.pinv(found.information, hermitian=True)
    covariance = matrix @ bread @ (summed.T @ summed) @ bread @ matrix.T * count / (count - 1)
    error, z = np.sqrt(np.diag(covariance)), float(norm.ppf(0.5 + confidence / 2))
    lost = bool(found.boundary[:4].any())
    corners = np.array([[1, a, i, a * i] for a, i in ((0, 0), (1, 0), (0, 1), (1, 1))], float)
    at = corners @ (matrix @ found.reported)[:4]
    psi = 1 / (1 + np.exp(-at))
    sign = np.array([1, -1, -1, 1.0])
    slope = (sign * psi * (1 - psi)) @ corners
    change, spread = float(sign @ psi), float(np.sqrt(slope @ covariance[:4, :4] @ slope))
    if lost:
        note(f"{ID}: occupancy is 0 or 1 in a part of the surveys, so the effect has no estimate")
    odds = ("model", "odds ratio", *_ratio(float(beta[3]), float(error[3]), z), "estimated")
    points = ("model", "change in probability", change, spread, change - z * spread, change + z * spread)
    effects = pd.DataFrame(
        [
            ("model", "odds ratio", *[np.nan] * 5, "boundary") if lost else odds,
            ("model", "change in probability", *[np.nan] * 5, "boundary")
            if lost
            else (*points, 2 * float(norm.sf(abs(change) / spread)), "estimated"),
        ],
        columns=COLUMNS,
    )
    cells = pd.DataFrame(CELLS, columns=["period", "treatment"])
    code = (own["after"] + 2 * own["impact"]).astype(int).to_numpy()
    seen = np.bincount(setup.histories.site, setup.histories.y, len(own)) > 0
    cells["sites"] = np.bincount(code, minlength=4)
    cells["naive"] = np.bincount(code, seen, 4) / cells["sites"]
    cells["psi"] = psi
    coefficients = pd.DataFrame({"term": [f"{part} {name}" for part, name in rows], "estimate": beta, "se": error})
    coefficients.loc[(np.abs(matrix) > 1e-12) @ found.boundary, ["estimate", "se"]] = np.nan
    coefficients["low"] = coefficients["estimate"] - z * coefficients["se"]
    coefficients["high"] = coefficients["estimate"] + z * coefficients["se"]
    return Found(effects, coefficients, cells, found.log_likelihood)


def _scores(found: "Fit") -> Floats:
    """(units, coefficients) what each unit adds to the gradient."""
    from linkways.populations._occupancy_models import expit

    model, theta = found.model, found.theta
    at = model.evaluate(theta)
    unit = model.unit_of_visit()
    p = expit(model.predictors(theta)["detection"])
    by_psi = at.occupied - model.psi(theta)
    by_p = at.occupied[unit] * ((model.y > 0) - p)
    detection = np.zeros((len(at.occupied), model.blocks["detection"].shape[1]))
    np.add.at(detection, unit, by_p[:, None] * model.blocks["detection"])
    return np.column_stack([by_psi[:, None] * model.blocks["occupancy"], detection])
