"""Risk of incidents from what surrounds them: a regression with an offset for effort, and its test in space."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["Family", "Fit", "Separated", "area_under_curve", "calibration", "cross_validated", "fit_risk", "folds_of"]

Family = Literal["poisson", "logistic"]


class Separated(Exception):
    """A coefficient has no finite estimate; holds the number of the covariate."""

    def __init__(self, covariate: int) -> None:
        super().__init__(covariate)
        self.covariate = covariate


@dataclass(frozen=True)
class Fit:
    """Coefficients (the intercept first) and their covariances."""

    beta: np.ndarray
    cover: np.ndarray
    """From the curvature, times the dispersion for counts."""
    block_cover: np.ndarray
    """Robust to dependence within blocks (Liang and Zeger 1986)."""
    loglik: float
    null_loglik: float
    dispersion: float


def fit_risk(x: np.ndarray, y: np.ndarray, offset: np.ndarray, block: np.ndarray, family: Family) -> Fit:
    """Most likely coefficients by Newton's method; counts with a log link, presence with a logit.

    ``x`` (cells, covariates) should have deviations near 1. Raises Separated where some covariate parts cells with
    incidents from those without.
    """
    design = np.column_stack([np.ones(len(x)), x])
    beta, information = _newton(design, y, offset, family)
    mean = _mean(design @ beta + offset, family)
    inverse = np.linalg.inv(information)
    dispersion = 1.0
    if family == "poisson":
        dispersion = max(float(((y - mean) ** 2 / mean).sum() / max(len(y) - design.shape[1], 1)), 1.0)
    score = design * (y - mean)[:, None]
    blocks = int(block.max()) + 1
    sums = np.column_stack([np.bincount(block, column, blocks) for column in score.T])
    used = int(np.count_nonzero(np.bincount(block, minlength=blocks)))
    meat = sums.T @ sums * (used / max(used - 1, 1))
    null, _ = _newton(design[:, :1], y, offset, family)
    return Fit(
        beta,
        inverse * dispersion,
        inverse @ meat @ inverse,
        _loglik(design @ beta + offset, y, family),
        _loglik(null[0] + offset, y, family),
        dispersion,
    )


def _newton(design: np.ndarray, y: np.ndarray, offset: np.ndarray, family: Family) -> tuple[np.ndarray, np.ndarray]:
    beta = np.zeros(design.shape[1])
    rate = y.sum() / np.exp(offset).sum()
    beta[0] = math.log(rate) if family == "poisson" else math.log(rate / max(1 - rate, 1e-6))
    best = _loglik(design @ beta + offset, y, family)
    for _ in range(60):
        mean = _mean(design @ beta + offset, family)
        weight = mean if family == "poisson" else mean * (1 - mean)
        information = design.T @ (design * weight[:, None])
        try:
            step = np.linalg.solve(information, design.T @ (y - mean))
        except np.linalg.LinAlgError:
            raise Separated(_largest(beta)) from None
        moved, value = beta + step, -math.inf
        for _ in range(30):
            value = _loglik(design @ moved + offset, y, family)
            if value >= best - 1e-12 * abs(best):
                break
            step = step / 2
            moved = beta + step
        beta, best = moved, value
        if np.abs(step).max() < 1e-9:
            break
        if np.abs(beta[1:]).max(initial=0.0) > 30:
            raise Separated(_largest(beta))
    mean = _mean(design @ beta + offset, family)
    weight = mean if family == "poisson" else mean * (1 - mean)
    information = design.T @ (design * weight[:, None])
    # where the likelihood rises for ever its curvature dies away
    if np.abs(step).max() > 1e-6 or np.linalg.eigvalsh(information)[0] < 1e-7:
        raise Separated(_largest(beta))
    return beta, information


def _largest(beta: np.ndarray) -> int:
    return int(np.argmax(np.abs(beta[1:]))) if len(beta) > 1 else 0


def _mean(score: np.ndarray, family: Family) -> np.ndarray:
    from scipy.special import expit

    return np.asarray(np.exp(np.minimum(score, 50)) if family == "poisson" else expit(score))


def _loglik(score: np.ndarray, y: np.ndarray, family: Family) -> float:
    from scipy.special import gammaln

    if family == "poisson":
        return float((y * score - np.exp(np.minimum(score, 50)) - gammaln(y + 1)).sum())
    return float((y * score - np.logaddexp(0, score)).sum())


def folds_of(block: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """The fold of each cell: whole blocks, shuffled and dealt out in turn."""
    names, number = np.unique(block, return_inverse=True)
    deal = np.empty(len(names), int)
    deal[rng.permutation(len(names))] = np.arange(len(names)) % folds
    return np.asarray(deal[number])


def cross_validated(
    x: np.ndarray, y: np.ndarray, offset: np.ndarray, block: np.ndarray, fold: np.ndarray, family: Family
) -> np.ndarray:
    """The expected incidents of each cell by the model fitted to the other folds; NaN where that cannot be fitted."""
    out = np.full(len(y), np.nan)
    for one in range(int(fold.max()) + 1):
        rest = fold != one
        if y[rest].sum() == 0:
            continue
        try:
            found = fit_risk(x[rest], y[rest], offset[rest], np.unique(block[rest], return_inverse=True)[1], family)
        except Separated:
            continue
        design = np.column_stack([np.ones(int((~rest).sum())), x[~rest]])
        out[~rest] = _mean(design @ found.beta + offset[~rest], family)
    return out


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a cell with an incident has the higher score than one without; ties count a half."""
    from scipy.stats import rankdata

    n, m = int(positive.sum()), int((~positive).sum())
    if n == 0 or m == 0:
        return math.nan
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


def calibration(expected: np.ndarray, y: np.ndarray, family: Family) -> float:
    """Slope of the incidents on the logarithm (or logit) of what was expected; 1 is right, less is overconfident."""
    from scipy.special import logit

    score = np.log(np.maximum(expected, 1e-12)) if family == "poisson" else logit(np.clip(expected, 1e-9, 1 - 1e-9))
    if np.ptp(score) == 0:
        return math.nan
    middle = score.mean()
    try:
        beta, _ = _newton(np.column_stack([np.ones(len(y)), score - middle]), y, np.zeros(len(y)), family)
    except Separated:
        return math.nan
    return float(beta[1])
