"""Maximum likelihood of occupancy models: estimates, what cannot be identified, what lies at the boundary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError
from linkways.populations._occupancy_models import Evaluation, Model, RoyleNichols, Single

__all__ = ["Fit", "fit", "hessian", "maximise", "profile"]

Floats = NDArray[np.float64]
BOUNDARY = 5.0
"""A linear predictor beyond this, known no better than within 1, is told to lie at the boundary."""
SINGULAR = 1e-8
"""Least ratio of the eigenvalues of the information that tells all coefficients apart."""
FARTHEST = 30.0
SOME = 2000
"""Sites of a large survey from whose estimates the search begins."""


@dataclass(frozen=True)
class Fit:
    """A fitted model, in the standardised coefficients of its matrices."""

    model: Model
    theta: Floats
    log_likelihood: float
    information: Floats
    boundary: NDArray[np.bool_]
    """Coefficients whose likelihood has no maximum, or one beyond what the data can tell."""
    penalised: Floats | None
    """Coefficients of the penalised fit, where any lies at the boundary."""
    covariance: Floats
    """Of the coefficients, or of the penalised ones."""

    @property
    def reported(self) -> Floats:
        """The coefficients that predictions stand on: the penalised ones where any lies at the boundary."""
        return self.theta if self.penalised is None else self.penalised

    def at_reported(self) -> Evaluation:
        """The model at them."""
        return self.model.evaluate(self.reported)


def fit(model: Model, names: Sequence[str], starts: Sequence[Floats] | None = None) -> Fit:
    """The maximum of the likelihood with its information; refuses coefficients that it cannot tell.

    A coefficient lies at the boundary when it exceeds 5 (on the logit or log scale, covariates at mean 0 and standard
    deviation 1) and its standard error 1. The model is then fitted again with a log-F(1,1) prior on every coefficient,
    which is Firth's correction for a single proportion (Greenland and Mansournia, 2015).
    """
    starts = list(starts or _starts(model))
    # the likelihood of one season has one maximum as a rule; others are looked for where this one looks odd
    tried = starts[:1] if isinstance(model, Single) else starts
    theta, value, information = maximise(model.evaluate, tried)
    boundary = _boundary(model, theta, information)
    if boundary.any() and len(tried) < len(starts):
        theta, value, information = maximise(model.evaluate, starts)
        boundary = _boundary(model, theta, information)
    _refuse_unidentified(names, information, boundary)
    if not boundary.any():
        return Fit(model, theta, value, information, boundary, None, np.asarray(np.linalg.inv(information)))

    def penalised(at: Floats) -> Evaluation:
        plain = model.evaluate(at)
        prior = float(np.sum(at / 2 - np.logaddexp(0.0, at)))
        slope = 0.5 - 1 / (1 + np.exp(-np.clip(at, -700, 700)))
        return Evaluation(plain.log_likelihood + prior, plain.gradient + slope, plain.occupied)

    other, _, curvature = maximise(penalised, model.starts())
    return Fit(model, theta, value, information, boundary, other, np.asarray(np.linalg.inv(curvature)))


def _starts(model: Model) -> list[Floats]:
    """Where to begin; of a large survey the estimates of some of its sites, brought near by their curvature."""
    every = (len(model.first) - 1) // SOME
    some = model.thinned(every) if every > 1 and isinstance(model, (Single, RoyleNichols)) else None
    if some is None or not (some.y > 0).any():
        return model.starts()
    theta, _, information = maximise(some.evaluate, some.starts())
    value, vectors = np.linalg.eigh(information * every)
    if value[0] <= SINGULAR * value[-1]:
        return model.starts()
    at = model.evaluate(theta)
    for _ in range(8):
        step = vectors @ ((vectors.T @ at.gradient) / value)
        new = model.evaluate(theta + step)
        if not new.log_likelihood > at.log_likelihood:
            break
        theta, at = theta + step, new
        if step @ at.gradient < 1e-7:
            break
    return [theta]


def maximise(function: Callable[[Floats], Evaluation], starts: Sequence[Floats]) -> tuple[Floats, float, Floats]:
    """The best maximum from several starts, its value and information: BFGS on the exact gradient, then Newton."""
    if len(starts) == 1:
        return _newton(function, _near(function, starts[0]))
    ends = [_climb(function, start) for start in starts]
    return _newton(function, ends[int(np.argmax([function(theta).log_likelihood for theta in ends]))])


def _near(function: Callable[[Floats], Evaluation], start: Floats) -> Floats:
    """The start itself where it is all but the maximum, else what BFGS finds from it."""
    return start if np.abs(function(start).gradient).max() < 1e-2 else _climb(function, start)


def _climb(function: Callable[[Floats], Evaluation], start: Floats) -> Floats:
    from scipy.optimize import minimize

    def negative(theta: Floats) -> tuple[float, Floats]:
        at = function(theta)
        if not np.isfinite(at.log_likelihood):
            return 1e300, np.zeros(len(theta))
        return -at.log_likelihood, -at.gradient

    found = minimize(negative, start, jac=True, method="BFGS", options={"gtol": 1e-4, "maxiter": 500})
    return np.asarray(found.x)


def _newton(function: Callable[[Floats], Evaluation], theta: Floats) -> tuple[Floats, float, Floats]:
    at, information = function(theta), -hessian(function, theta)
    for _ in range(20):
        value, vectors = np.linalg.eigh(information)
        step = vectors @ ((vectors.T @ at.gradient) / np.maximum(np.abs(value), 1e-7 * np.abs(value).max() + 1e-10))
        step *= min(1.0, 2.0 / max(np.abs(step).max(), 1e-300))
        gain = float(step @ at.gradient)
        if gain < 1e-13 * (1 + abs(at.log_likelihood)) or np.abs(theta).max() > FARTHEST:
            break
        size = 1.0
        while size > 1e-6:
            new = function(theta + size * step)
            if new.log_likelihood >= at.log_likelihood:
                break
            size /= 2
        else:
            break
        theta, at = theta + size * step, new
        # a step this small changes the curvature by less than its own error
        if gain < 1e-9:
            break
        information = -hessian(function, theta)
    return theta, at.log_likelihood, information


def hessian(function: Callable[[Floats], Evaluation], theta: Floats) -> Floats:
    """Second derivatives of the log-likelihood by central differences of its exact gradient."""
    rows = []
    for k in range(len(theta)):
        step = np.zeros(len(theta))
        step[k] = 1e-4 * max(1.0, abs(theta[k]))
        rows.append((function(theta + step).gradient - function(theta - step).gradient) / (2 * step[k]))
    out = np.array(rows).reshape(len(theta), len(theta))
    return np.asarray((out + out.T) / 2)


def _boundary(model: Model, theta: Floats, information: Floats) -> NDArray[np.bool_]:
    """Coefficients beyond 5 known no better than within 1, and those of flat directions along which any ran away."""
    value, vectors = np.linalg.eigh(information)
    variance = (vectors**2) @ (1 / np.maximum(value, 1e-12))
    # the strength and the distance of colonisation from around have scales of their own
    plain = np.arange(len(theta)) < sum(model.sizes.values())
    far = (np.abs(theta) > BOUNDARY) & (variance > 1.0) & plain
    flat = _flat(value, vectors)
    if np.linalg.norm(flat.T @ theta) > BOUNDARY:
        far |= ((flat**2).sum(axis=1) > 0.1) & plain
    return np.asarray(far)


def _flat(value: Floats, vectors: Floats) -> Floats:
    """Directions in which the likelihood is the same."""
    return np.asarray(vectors[:, value <= SINGULAR * max(float(value[-1]), 1e-12)])


def _refuse_unidentified(names: Sequence[str], information: Floats, boundary: NDArray[np.bool_]) -> None:
    """Refuse a flat direction of the likelihood that no coefficient at the boundary explains."""
    flat = _flat(*np.linalg.eigh(information))
    share = (flat[~boundary] ** 2).sum(axis=0)
    if not (share > 0.1).any():
        return
    weight = np.abs(flat[:, int(np.argmax(share))])
    guilty = [names[k] for k in np.argsort(-weight, kind="stable") if weight[k] > 0.05 * weight.max()]
    raise LinkwaysError(
        f"populations.occupancy: the data cannot identify {' and '.join(guilty[:4])}: the likelihood is the same along "
        f"{'them' if len(guilty) > 1 else 'it'}; leave a term out, choose a simpler model or add visits"
    )


def profile(found: Fit, direction: Floats, drop: float) -> tuple[float, float]:
    """The interval of direction @ theta in which the likelihood is within ``drop`` of its maximum.

    An end is infinite where the likelihood never falls that far (Venzon and Moolgavkar, 1988).
    """
    return _end(found, direction, drop, -1.0), _end(found, direction, drop, 1.0)


def _end(found: Fit, direction: Floats, drop: float, sign: float) -> float:
    centre = float(direction @ found.theta)
    length = float(direction @ direction)
    others = np.linalg.svd(direction[None, :])[2][1:].T
    inverse = np.linalg.pinv(found.information, rcond=1e-12, hermitian=True)
    error = max(float(direction @ inverse @ direction), 1e-12) ** 0.5
    state = {"at": others.T @ found.theta}
    target = found.log_likelihood - drop

    def short(value: float) -> float:
        """How far the profile lies above the target."""
        base = direction * (value / length)

        def along(free: Floats) -> Evaluation:
            at = found.model.evaluate(base + others @ free)
            return Evaluation(at.log_likelihood, others.T @ at.gradient, at.occupied)

        # from where coefficients ran away there is no slope to come back by, so the penalised ones are tried too
        starts = [state["at"], others.T @ found.reported] if found.boundary.any() else [state["at"]]
        ends = [_climb(along, start) if len(start) else start for start in starts]
        values = [along(end).log_likelihood for end in ends]
        state["at"] = ends[int(np.argmax(values))]
        return max(values) - target

    step = min(2 * error, 2.0 * max(1.0, np.sqrt(length)))
    inner, outer = centre, centre + sign * step
    while short(outer) > 0:
        if abs(outer - centre) > FARTHEST * max(1.0, np.sqrt(length)) or step > 1e6:
            return sign * np.inf
        inner, step = outer, step * 2
        outer = centre + sign * min(step, 2 * FARTHEST * max(1.0, np.sqrt(length)))
    from scipy.optimize import brentq

    if short(inner) <= 0:
        return inner
    return float(brentq(short, min(inner, outer), max(inner, outer), xtol=1e-6 * max(1.0, abs(outer))))
