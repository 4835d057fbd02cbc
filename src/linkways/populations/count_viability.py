"""Extinction risk from a series of counts: growth and its variance among years (Dennis et al., 1991)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Param, Table, TableOf, method

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas as pd

__all__ = ["CountViability", "count_viability"]

ID = "populations.count_viability"


@dataclass(frozen=True)
class CountViability:
    """Growth of a counted population and its risk of falling to a threshold."""

    risk: Annotated[
        "pd.DataFrame",
        TableOf("years from the last count: probability of having been at the threshold, 95 % interval (low, high)"),
    ]
    mean_log_growth: Annotated[float, Indicator("mean yearly change of the logarithm of numbers (mu)")]
    mean_low: Annotated[float, Indicator("lower end of its 95 % interval")]
    mean_high: Annotated[float, Indicator("upper end of its 95 % interval")]
    variance: Annotated[float, Indicator("variance of that change among years (sigma squared)")]
    variance_low: Annotated[float, Indicator("lower end of its 95 % interval")]
    variance_high: Annotated[float, Indicator("upper end of its 95 % interval")]
    growth_rate: Annotated[float, Indicator("yearly growth rate of the mean number, exp(mu + sigma squared / 2)")]
    ultimate_risk: Annotated[float, Indicator("probability of ever falling to the threshold")]
    autocorrelation: Annotated[
        float, Indicator("correlation of changes that follow each other; far from 0 is a warning")
    ]
    figure: Annotated["matplotlib.figure.Figure", Figure("the counts, and the risk with its interval")]


@method(
    "populations.count_viability",
    references=(
        "Dennis B, Munholland PL, Scott JM (1991) Estimation of growth and extinction parameters for endangered "
        "species. Ecological Monographs 61:115-143",
        "Morris WF, Doak DF (2002) Quantitative conservation biology. Sinauer (chapter 3)",
    ),
)
def count_viability(
    counts: Annotated[
        "pd.DataFrame", Table("counts of one population; years may be missing", columns=("year", "count"))
    ],
    *,
    threshold: Annotated[float, Param("quasi-extinction: falling to this number", unit="individuals", gt=0)],
    years: Annotated[Sequence[float], Param("times to tell the risk for, after the last count", unit="years", gt=0)] = (
        10,
        20,
        50,
        100,
    ),
    draws: Annotated[int, Param("draws of growth and variance behind the interval of the risk", ge=100)] = 2000,
    seed: Annotated[int, Param("of these draws", ge=0)] = 0,
) -> CountViability:
    """The probability that a counted population falls to a threshold within given times, and its growth.

    Numbers are a random walk on the log scale (diffusion): the change over a time t between counts is normal with mean
    mu t and variance sigma2 t. mu and sigma2 come from the regression of ln(N_j / N_i) / sqrt(t) on sqrt(t) through 0,
    sigma2 its residual mean square. With d = ln(last count / threshold) the probability of having been at the threshold
    by T is Phi((-d - mu T) / sqrt(sigma2 T)) + exp(-2 mu d / sigma2) Phi((-d + mu T) / sqrt(sigma2 T)). The intervals
    of mu and sigma2 are those of the t and chi-square distributions; that of the risk from draws of both. The model
    knows no density dependence, no catastrophes, and takes counting error for variance of the population.

    Raises LinkwaysError for fewer than three counts, counts of 0 or less, a year twice, changes that do not vary (then
    the variance cannot be estimated), and a threshold that is not below the last count.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> counts = pd.DataFrame({"year": [2001, 2002, 2003, 2005, 2006], "count": [60, 48, 55, 40, 44]})
    >>> found = populations.count_viability(counts, threshold=10, years=[50])
    >>> round(found.mean_log_growth, 4)  # ln(44 / 60) / 5 years
    -0.062
    >>> round(float(found.risk["probability"].iloc[0]), 2)
    0.94
    """
    import pandas as pd
    from scipy.stats import chi2, t

    year, number = _series(counts)
    span = np.diff(year)
    change = np.diff(np.log(number))
    total, free = float(span.sum()), len(span) - 1
    mu = float(change.sum() / total)
    residual = (change - mu * span) / np.sqrt(span)
    variance = float(residual @ residual / free)
    if variance <= 1e-14 * max(mu * mu, 1e-300):
        raise LinkwaysError(
            f"{ID}: the counts change by the same share every year, so sigma squared is 0; give more counts"
        )
    distance = float(np.log(number[-1] / threshold))
    if distance <= 0:
        raise LinkwaysError(
            f"{ID}: the last count {number[-1]:g} (in {year[-1]:g}) is not above the threshold {threshold:g}; lower it"
        )
    half = float(t.ppf(0.975, free) * np.sqrt(variance / total))
    times = np.asarray(sorted(set(years)), float)
    rng = np.random.default_rng(seed)
    some_variance = variance * free / rng.chisquare(free, draws)
    some_mu = mu + np.sqrt(some_variance / total) * rng.standard_normal(draws)
    low, high = np.percentile(_passed(distance, some_mu, some_variance, times[:, None]), (2.5, 97.5), axis=1)
    risk = pd.DataFrame(
        {"years": times, "probability": _passed(distance, mu, variance, times), "low": low, "high": high}
    )
    middle = residual - residual.mean()
    return CountViability(
        risk=risk,
        mean_log_growth=mu,
        mean_low=mu - half,
        mean_high=mu + half,
        variance=variance,
        variance_low=float(variance * free / chi2.ppf(0.975, free)),
        variance_high=float(variance * free / chi2.ppf(0.025, free)),
        growth_rate=float(np.exp(mu + variance / 2)),
        ultimate_risk=float(min(1.0, np.exp(-2 * mu * distance / variance))) if mu > 0 else 1.0,
        autocorrelation=float(middle[1:] @ middle[:-1] / (middle @ middle)),
        figure=_draw(year, number, threshold, risk),
    )


def _series(counts: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray]:
    from linkways.populations._viability_tables import column

    known = counts[counts["count"].notna()].reset_index(drop=True)
    year = column(ID, known, "counts", "year", low=-np.inf)
    number = column(ID, known, "counts", "count")
    order = np.argsort(year, kind="stable")
    year, number = year[order], number[order]
    if len(year) < 3:
        raise LinkwaysError(f"{ID}: counts has {len(year)} years with a count, but needs at least 3 to tell a variance")
    twice = np.flatnonzero(np.diff(year) == 0)
    if len(twice):
        raise LinkwaysError(f"{ID}: counts has the year {year[twice[0]]:g} twice; give each year one count")
    none = np.flatnonzero(number <= 0)
    if len(none):
        raise LinkwaysError(
            f"{ID}: the count of {year[none[0]]:g} is {number[none[0]]:g}, which has no logarithm; leave years without "
            "individuals out, or end the series before"
        )
    return year, number


def _passed(distance: float, mu: "float | np.ndarray", variance: "float | np.ndarray", times: np.ndarray) -> np.ndarray:
    """Probability that a diffusion with drift has gone down by the distance (inverse Gaussian distribution)."""
    from scipy.special import log_ndtr, ndtr

    sd = np.sqrt(variance * times)
    back = log_ndtr((-distance + mu * times) / sd) - 2 * mu * distance / variance
    return np.asarray(np.minimum(ndtr((-distance - mu * times) / sd) + np.exp(np.minimum(back, 0.0)), 1.0))


def _draw(year: np.ndarray, number: np.ndarray, threshold: float, risk: "pd.DataFrame") -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(year, number, "o-", color="#2171b5", markersize=3, linewidth=1)
    left.axhline(threshold, color="#c2410c", linestyle="--", linewidth=1)
    left.set_yscale("log")
    left.set_xlabel("year")
    left.set_ylabel("count (log scale); dashed: threshold")
    right.fill_between(risk["years"], risk["low"], risk["high"], color="#9ecae1", alpha=0.5, linewidth=0)
    right.plot(risk["years"], risk["probability"], "o-", color="#2171b5", markersize=3)
    right.set_ylim(0, 1)
    right.set_xlabel("years after the last count")
    right.set_ylabel("probability of the threshold")
    return figure
