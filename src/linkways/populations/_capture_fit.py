"""Maximum likelihood: climbing with exact gradients, standard errors, and profile intervals that may be one-sided."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Fit", "Interval", "climb", "maximise", "profile_interval"]

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]
_STEPS = 200
_LONGEST = 1.5
"""A single step changes no parameter by more than this (logarithms, logits, standardised covariates)."""


@dataclass(frozen=True)
class Fit:
    """A maximum of the log-likelihood."""

    theta: np.ndarray
    log_likelihood: float
    covariance: np.ndarray
    """Inverse of the observed information; nan where it has none."""
    information: np.ndarray
    evaluations: int
    weakest: np.ndarray
    """Direction of least information, scaled by the diagonal; its length is 1."""
    least_information: float
    """Least eigenvalue of the information scaled to a unit diagonal."""


@dataclass(frozen=True)
class Interval:
    """A profile interval; an end that the data do not give is infinite."""

    low: float
    high: float
    points: list[tuple[float, float]]
    """Values and the log-likelihood maximised over all other parameters."""


def climb(
    objective: Objective,
    start: np.ndarray,
    inverse: np.ndarray | None = None,
    tolerance: float = 1e-7,
    first: tuple[float, np.ndarray] | None = None,
) -> tuple[np.ndarray, float, np.ndarray, int]:
    """Return the maximum near ``start``: parameters, value, inverse information as climbed, evaluations.

    BFGS (Nocedal and Wright 2006, algorithm 6.1) with backtracking; ``inverse`` is a first guess of the inverse
    information, ``first`` what is known at the start. Ends when a step is expected to gain less than ``tolerance``.
    """
    theta = start.copy()
    value, slope = objective(theta) if first is None else first
    evaluations = 1
    if inverse is None:
        inverse, more = _first_inverse(objective, theta, slope)
        evaluations += more
    inverse = inverse.copy()
    for _ in range(_STEPS):
        step = inverse @ slope
        gain = float(step @ slope)
        if not gain > 0:
            inverse = np.diag(1 / np.maximum(np.abs(slope), 1.0))
            step = inverse @ slope
            gain = float(step @ slope)
        if gain < 2 * tolerance:
            break
        step *= min(1.0, _LONGEST / max(np.abs(step).max(), 1e-300))
        gain = float(step @ slope)
        length, found = 1.0, None
        for _ in range(30):
            trial, trial_slope = objective(theta + length * step)
            evaluations += 1
            if trial >= value + 1e-4 * length * gain:
                found = trial
                break
            curved = -0.5 * gain * length**2 / (trial - value - gain * length) if np.isfinite(trial) else 0.0
            length = float(np.clip(curved, 0.1 * length, 0.5 * length))
        if found is None:
            break
        moved, bent = length * step, slope - trial_slope
        theta, value, slope = theta + moved, found, trial_slope
        inverse = _updated(inverse, moved, bent)
    return theta, value, inverse, evaluations


def _updated(inverse: np.ndarray, moved: np.ndarray, bent: np.ndarray) -> np.ndarray:
    curvature = float(moved @ bent)
    if curvature <= 1e-10 * np.sqrt(float(moved @ moved) * float(bent @ bent)):
        return inverse
    left = np.eye(len(moved)) - np.outer(moved, bent) / curvature
    return np.asarray(left @ inverse @ left.T + np.outer(moved, moved) / curvature)


def _first_inverse(objective: Objective, theta: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, int]:
    """An inverse information from forward differences of the gradient, its eigenvalues made positive."""
    size = len(theta)
    information = np.empty((size, size))
    for j in range(size):
        ahead = theta.copy()
        ahead[j] += 1e-3
        information[j] = (slope - objective(ahead)[1]) / 1e-3
    return _positive_inverse((information + information.T) / 2), size


def _positive_inverse(information: np.ndarray) -> np.ndarray:
    if not np.isfinite(information).all():
        return np.eye(len(information)) * 1e-2
    values, vectors = np.linalg.eigh(information)
    values = np.maximum(np.abs(values), 1e-3 * max(np.abs(values).max(), 1e-6))
    return np.asarray((vectors / values) @ vectors.T)


def maximise(
    objective: Objective,
    start: np.ndarray,
    inverse: np.ndarray | None = None,
    wide: np.ndarray | None = None,
    first: tuple[float, np.ndarray] | None = None,
) -> Fit:
    """Return the maximum with its information; ``wide`` marks parameters whose likelihood has kinks."""
    theta, value, inverse, evaluations = climb(objective, start, inverse, first=first)
    information, more = _information(objective, theta, inverse, wide)
    covariance, weakest, least = _inverted(information)
    return Fit(theta, value, covariance, information, evaluations + more, weakest, least)


def _information(
    objective: Objective, theta: np.ndarray, inverse: np.ndarray, wide: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """Central differences of the gradient over a small part of the standard errors that the climb foresaw."""
    size = len(theta)
    spread = np.clip(np.sqrt(np.abs(np.diag(inverse))), 1e-3, 1.0)
    part = np.full(size, 1e-3) if wide is None else np.where(wide, 0.1, 1e-3)
    information = np.empty((size, size))
    for j in range(size):
        h = part[j] * spread[j]
        ahead, behind = theta.copy(), theta.copy()
        ahead[j] += h
        behind[j] -= h
        information[j] = (objective(behind)[1] - objective(ahead)[1]) / (2 * h)
    if wide is not None:
        # a row taken across kinks is rougher than the same entries from the other rows
        smooth = ~wide
        information[np.ix_(wide, smooth)] = information[np.ix_(smooth, wide)].T
    return (information + information.T) / 2, 2 * size


def _inverted(information: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    size = len(information)
    nothing = np.full((size, size), np.nan)
    diagonal = np.diag(information)
    if not np.isfinite(information).all() or (diagonal <= 0).any():
        flat = np.where(np.isfinite(diagonal), diagonal, -np.inf)
        return nothing, np.eye(size)[int(np.argmin(flat))], 0.0
    scale = 1 / np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(information * np.outer(scale, scale))
    if values[0] < 1e-10:
        return nothing, vectors[:, 0], float(values[0])
    inverse = (vectors / values) @ vectors.T * np.outer(scale, scale)
    return inverse, vectors[:, 0], float(values[0])


def profile_interval(
    objective: Objective,
    fit: Fit,
    index: int,
    depth: float,
    bounds: tuple[float, float],
) -> Interval:
    """Return where the profile log-likelihood of a parameter falls ``depth`` below its maximum, on either side.

    The signed root of the drop is nearly straight, so that Newton's method on it (with the slope that the maximum over
    the others leaves) needs few steps. Where the profile does not fall that far within ``bounds`` the end is infinite.
    """
    points = [(float(fit.theta[index]), fit.log_likelihood)]
    ends = [
        _end(objective, fit, index, depth, bound, sign, points) for sign, bound in zip((-1, 1), bounds, strict=True)
    ]
    return Interval(ends[0], ends[1], sorted(points))


def _end(
    objective: Objective,
    fit: Fit,
    index: int,
    depth: float,
    bound: float,
    sign: int,
    points: list[tuple[float, float]],
) -> float:
    profile = _Profile(objective, fit, index)
    error = np.sqrt(fit.covariance[index, index]) if np.isfinite(fit.covariance[index, index]) else np.nan
    step = min(2.0 * error, 1.0) if np.isfinite(error) else 0.5
    centre, inside, outside = float(fit.theta[index]), float(fit.theta[index]), None
    at = centre + sign * step
    for _ in range(40):
        at = min(at, bound) if sign > 0 else max(at, bound)
        value, slope = profile(at)
        points.append((at, value))
        drop = fit.log_likelihood - value
        if abs(drop - depth) < 1e-3 * depth:
            return at
        if drop < depth:
            inside = at
            if at == bound:
                return sign * np.inf
        else:
            outside = at
        at = _next(at, drop, slope, depth, sign, centre, inside, outside)
        if outside is not None and abs(outside - inside) < 1e-4:
            break
    return at


def _next(
    at: float, drop: float, slope: float, depth: float, sign: int, centre: float, inside: float, outside: float | None
) -> float:
    """Newton's step on the root of the drop, kept between what lies inside and outside of the interval."""
    root = np.sqrt(max(drop, 1e-12))
    gain = -slope * sign / (2 * root)
    forward = (np.sqrt(depth) - root) / gain if gain > 1e-9 else np.inf
    widest = max(1.0, abs(at - centre))
    new = at + sign * min(forward, widest)
    if outside is None:
        return new if abs(new - centre) > abs(inside - centre) else inside + sign * widest
    low, high = sorted((inside, outside))
    margin = 0.02 * (high - low)
    return float(new) if low + margin < new < high - margin else (low + high) / 2


class _Profile:
    """The log-likelihood at a value of one parameter, maximised over the others from where the last one was found."""

    def __init__(self, objective: Objective, fit: Fit, index: int) -> None:
        self.objective, self.index = objective, index
        self.free = np.arange(len(fit.theta)) != index
        self.at, self.others = float(fit.theta[index]), fit.theta[self.free].copy()
        rest = fit.information[np.ix_(self.free, self.free)]
        self.inverse = _positive_inverse(rest)
        self.drift = self.inverse @ -fit.information[self.free, index]

    def __call__(self, value: float) -> tuple[float, float]:
        full = np.empty(len(self.free))
        full[self.index] = value

        def along(others: np.ndarray) -> tuple[float, np.ndarray]:
            full[self.free] = others
            height, slope = self.objective(full)
            self.slope = float(slope[self.index])
            return height, slope[self.free]

        move = np.clip((value - self.at) * self.drift, -0.5, 0.5)
        if not np.isfinite(move).all():
            move = np.zeros_like(move)
        others, height, inverse, _ = climb(along, self.others + move, self.inverse, 1e-6)
        along(others)
        self.drift = (others - self.others) / (value - self.at) if value != self.at else self.drift
        self.at, self.others, self.inverse = value, others, inverse
        return height, self.slope
