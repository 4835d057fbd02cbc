"""Maximum likelihood of the conditional and of the weighted logistic model, by Newton's method, with their errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from linkways.errors import LinkwaysError

__all__ = ["Likelihood", "Strata", "conditional_logit", "logistic", "robust_covariance"]

ROUNDS = 60
NOT_IDENTIFIED = 50.0
"""Standard error of a coefficient of a standardised term from which on the data do not hold it: were a single case to
tell of it, the error would be about 1; when the term parts cases from the rest, it grows without bound."""

Pass = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Likelihood:
    """A fitted model: coefficients with their covariance (inverse information) and the log-likelihoods."""

    beta: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    log_likelihood_null: float


@dataclass(frozen=True)
class Strata:
    """Rows sorted by stratum: stratum s holds the rows start[s] to start[s + 1] - 1, its only case in row case[s]."""

    start: np.ndarray
    case: np.ndarray

    def __len__(self) -> int:
        return len(self.case)

    @property
    def of_row(self) -> np.ndarray:
        """The stratum of every row."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    def some(self, chosen: np.ndarray) -> tuple["Strata", np.ndarray]:
        """The chosen strata (a mask) alone, and the rows that they hold."""
        rows = np.flatnonzero(chosen[self.of_row])
        sizes = np.diff(self.start)[chosen]
        start = np.concatenate([[0], np.cumsum(sizes)])
        return Strata(start, start[:-1] + (self.case - self.start[:-1])[chosen]), rows


def conditional_logit(x: np.ndarray, strata: Strata, names: Sequence[str]) -> Likelihood:
    """Fit ``P(case) = exp(x beta) / sum over the stratum exp(x beta)`` (McFadden, 1974).

    Args:
        x: (rows, terms), sorted by stratum.
        strata: where the strata lie, each with one case.
        names: of the terms, for messages.

    Raises:
        LinkwaysError: a term that is the same within all strata, that the others add up to, or that parts the cases
            from the other rows (separation).
    """
    from linkways.movement._clogit_kernels import clogit_pass

    within = x - (np.add.reduceat(x, strata.start[:-1]) / np.diff(strata.start)[:, None])[strata.of_row]
    scale = np.sqrt((within**2).mean(axis=0))
    _refuse_constant(scale, x, names, "within every stratum, so strata tell nothing of it")
    _refuse_collinear(within / scale, names)
    scaled = np.ascontiguousarray(x / scale)
    return _newton(lambda beta: clogit_pass(scaled, strata.case, strata.start, beta), scale, names)


def logistic(x: np.ndarray, used: np.ndarray, weight: np.ndarray, names: Sequence[str]) -> Likelihood:
    """Fit ``P(used) = 1 / (1 + exp(-(a + x beta)))`` with a weight for every row; the intercept a comes first.

    Raises:
        LinkwaysError: as conditional_logit.
    """
    centre = x.mean(axis=0)
    scale = np.sqrt(((x - centre) ** 2).mean(axis=0))
    _refuse_constant(scale, x, names, "everywhere")
    _refuse_collinear((x - centre) / scale, names)
    design = np.column_stack([np.ones(len(x)), (x - centre) / scale])

    def one_pass(beta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        eta = design @ beta
        share = 0.5 * (1 + np.tanh(eta / 2))
        value = float(weight @ (used * eta - np.logaddexp(0, eta)))
        return (
            value,
            design.T @ (weight * (used - share)),
            design.T @ (design * (weight * share * (1 - share))[:, None]),
        )

    cases, all_rows = float(weight @ used), float(weight.sum())
    start = np.zeros(design.shape[1])
    start[0] = np.log(cases / (all_rows - cases))
    fitted = _newton(one_pass, np.ones(design.shape[1]), ["intercept", *names], start)
    # back from centred and scaled terms: beta = B beta', intercept too
    back = np.diag(np.concatenate([[1.0], 1 / scale]))
    back[0, 1:] = -centre / scale
    return Likelihood(
        back @ fitted.beta, back @ fitted.covariance @ back.T, fitted.log_likelihood, fitted.log_likelihood_null
    )


def robust_covariance(covariance: np.ndarray, scores: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Covariance that allows rows or strata of one cluster to depend on each other (Lin & Wei, 1989).

    ``V (sum over clusters u u') V`` with V the inverse information and u the score of the cluster summed over its
    rows. It needs more clusters than terms, and some 20 of them to be trusted.
    """
    _, number = np.unique(cluster, return_inverse=True)
    summed = np.zeros((number.max() + 1, scores.shape[1]))
    np.add.at(summed, number, scores)
    return np.asarray(covariance @ (summed.T @ summed) @ covariance)


def _newton(one_pass: Pass, scale: np.ndarray, names: Sequence[str], start: np.ndarray | None = None) -> Likelihood:
    """Newton's method with halved steps from a start; terms come divided by ``scale``."""
    beta = np.zeros(len(scale)) if start is None else start
    value, score, information = one_pass(beta)
    null = value
    for _ in range(ROUNDS):
        step = _solved(information, score)
        if step is None:
            break
        gain = float(score @ step)
        # two halves of the gain left to make are below rounding of the log-likelihood
        if gain < 1e-14 * (1 + abs(value)):
            break
        for _ in range(30):
            trial = one_pass(beta + step)
            if trial[0] >= value - 1e-12 * abs(value):
                break
            step = step / 2
        beta = beta + step
        value, score, information = trial
        _refuse_separated(beta, information, names)
    _refuse_separated(beta, information, names)
    covariance = np.linalg.inv(information)
    return Likelihood(beta / scale, covariance / np.outer(scale, scale), float(value), float(null))


def _solved(information: np.ndarray, score: np.ndarray) -> np.ndarray | None:
    try:
        return np.asarray(np.linalg.solve(information, score))
    except np.linalg.LinAlgError:
        return None


def _refuse_separated(beta: np.ndarray, information: np.ndarray, names: Sequence[str]) -> None:
    try:
        variance = np.diag(np.linalg.inv(information))
    except np.linalg.LinAlgError:
        variance = np.full(len(beta), np.inf)
    lost = ~(variance < NOT_IDENTIFIED**2) | ~np.isfinite(beta)
    if lost.any():
        worst = int(np.argmax(np.where(lost, np.abs(np.nan_to_num(beta, nan=np.inf)), -1)))
        raise LinkwaysError(
            f"the term {names[worst]} parts the used places or steps from the others perfectly (separation), so its "
            "coefficient grows without bound; leave the term out, join classes that are never or always used, or add "
            "data"
        )


def _refuse_constant(scale: np.ndarray, x: np.ndarray, names: Sequence[str], where: str) -> None:
    size = np.abs(x).max(axis=0, initial=0.0)
    flat = np.flatnonzero(~(scale > 1e-12 * np.maximum(size, 1e-300)))
    if len(flat):
        raise LinkwaysError(f"the term {names[flat[0]]} has one value {where}; leave it out")


def _refuse_collinear(standard: np.ndarray, names: Sequence[str]) -> None:
    """Refuse a term that those before it add up to (Cholesky of the correlations, one term at a time)."""
    gram = standard.T @ standard / len(standard)
    for k in range(1, len(gram)):
        before = np.linalg.lstsq(gram[:k, :k], gram[:k, k], rcond=None)[0]
        left = gram[k, k] - before @ gram[:k, k]
        if left < 1e-9 * gram[k, k]:
            raise LinkwaysError(
                f"the term {names[k]} is a sum of the terms {', '.join(names[:k])} (collinear), so they cannot be told "
                "apart; leave one of them out"
            )
