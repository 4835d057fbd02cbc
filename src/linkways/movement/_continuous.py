"""Continuous-time movement models of one animal (IID, OU, OUF), fitted by likelihood to fixes at any times."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["NUMBER", "Estimator", "Model", "Process", "apart", "autocorrelation", "fit", "smoothed_places"]

Process = Literal["IID", "OU", "OUF"]
Estimator = Literal["pHREML", "ML"]
NUMBER = {"IID": 0, "OU": 1, "OUF": 2}
CLOSEST = 1e-4
"""Two time scales nearer than this share are held apart by it: at equal ones the transition is 0 over 0."""


@dataclass(frozen=True)
class Model:
    """One fitted model: a stationary Gaussian process around a home range centre."""

    process: Process
    isotropic: bool
    tau_p: float
    """Seconds over which the animal crosses its range; 0 for IID."""
    tau_v: float
    """Seconds over which its velocity persists; 0 for IID and OU."""
    mean: np.ndarray
    """Centre of the range, x and y in metres."""
    sigma: np.ndarray
    """Covariance of places, 2 x 2, m2."""
    loglik: float
    aicc: float
    dof_area: float
    """Effective number of independent places for the area."""
    spread_tau_p: float
    """Standard error of the logarithm of tau_p; NaN for IID."""
    spread_tau_v: float
    certain: bool
    """Whether the likelihood has a proper maximum, so that the intervals hold."""

    @property
    def name(self) -> str:
        """Process and shape in words."""
        return f"{self.process} {'isotropic' if self.isotropic else 'anisotropic'}"


@dataclass(frozen=True)
class Track:
    """Fixes of one animal, moved to their own centre: seconds, places (n, 2), variance of the error of each."""

    dt: np.ndarray
    places: np.ndarray
    error: np.ndarray
    centre: np.ndarray

    @property
    def exact(self) -> bool:
        """Whether the fixes have no error."""
        return not self.error.any()

    @property
    def span(self) -> float:
        """Seconds from the first to the last fix."""
        return float(self.dt[1:].sum())


def autocorrelation(process: Process, tau_p: float, tau_v: float, lag: np.ndarray) -> np.ndarray:
    """Correlation of places a time apart: exp(-t/tp) for OU, (tp exp(-t/tp) - tv exp(-t/tv)) / (tp - tv) for OUF."""
    if process == "IID":
        return np.asarray(lag == 0, float)
    if process == "OU":
        return np.asarray(np.exp(-lag / tau_p))
    tau_p, tau_v = apart(tau_p, tau_v)
    return np.asarray((tau_p * np.exp(-lag / tau_p) - tau_v * np.exp(-lag / tau_v)) / (tau_p - tau_v))


def fit(
    seconds: np.ndarray,
    x_m: np.ndarray,
    y_m: np.ndarray,
    error_m: np.ndarray,
    process: Process,
    isotropic: bool,
    estimator: Estimator,
) -> Model:
    """Fit one model by maximum likelihood, or by pHREML (Fleming and others 2019), which is less biased.

    pHREML: time scales take one Newton step from their ML values along the gradient of the restricted likelihood (ML
    Hessian), then the covariance is the restricted ML one at these. The log-likelihood told is the ML one there.
    Error is the standard deviation of each fix along each axis.
    """
    places = np.column_stack([x_m, y_m])
    centre = places.mean(axis=0)
    track = Track(np.diff(seconds, prepend=seconds[0]), places - centre, error_m**2, centre)
    likelihood = _Exact(track, process, isotropic) if track.exact else _WithError(track, process, isotropic)
    taus = _most_likely(likelihood, track, process)
    certain = True
    if estimator == "pHREML" and len(taus):
        taus, certain = _corrected(likelihood, taus)
    restricted = estimator == "pHREML"
    sigma, mean, loglik = likelihood.at(taus, restricted)
    spread, proper = _spread(likelihood, sigma, taus, restricted)
    tau_p, tau_v = (float(v) for v in [*taus, 0.0, 0.0][:2])
    spread_p, spread_v = (float(v) for v in [*spread[1:], math.nan, math.nan][:2])
    return Model(
        process,
        isotropic,
        tau_p,
        tau_v,
        mean + centre,
        sigma,
        float(loglik),
        _aicc(loglik, len(places), len(taus), isotropic),
        1 / spread[0] ** 2,
        spread_p,
        spread_v,
        certain and proper,
    )


def smoothed_places(model: Model, seconds: np.ndarray, places: np.ndarray, error_m: np.ndarray) -> np.ndarray:
    """The most likely true places, (n, 2), under a model and errors of the fixes."""
    from linkways.movement._continuous_kernels import smoothed

    if not error_m.any() or model.process == "IID":
        return places
    dt = np.diff(seconds, prepend=seconds[0])
    scale, axes = np.linalg.eigh(model.sigma)
    turned = (places - model.mean) @ axes
    tau_p, tau_v = apart(model.tau_p, model.tau_v) if model.process == "OUF" else (model.tau_p, 1.0)
    code = NUMBER[model.process]
    best = [smoothed(code, tau_p, tau_v, dt, turned[:, k].copy(), error_m**2 / scale[k]) for k in (0, 1)]
    return np.asarray(np.column_stack(best) @ axes.T + model.mean)


# --- likelihoods -----------------------------------------------------------------------------------------------


class _Exact:
    """Fixes without error: both axes share one filter, and mean and covariance follow from it in closed form."""

    def __init__(self, track: Track, process: Process, isotropic: bool) -> None:
        self.track, self.process, self.isotropic = track, process, isotropic
        self.columns = np.column_stack([track.places, np.ones(len(track.places))])
        self.n = len(track.places)

    def _moments(self, taus: np.ndarray) -> tuple[float, np.ndarray, float, np.ndarray]:
        log_sum, gram = _filtered(self.track, self.process, taus, self.columns, self.track.error)
        weight = gram[2, 2]
        mean = gram[2, :2] / weight
        return log_sum, gram[:2, :2] - weight * np.outer(mean, mean), weight, mean

    def profile(self, taus: np.ndarray) -> float:
        """The log-likelihood at its best mean and covariance."""
        log_sum, scatter, _, _ = self._moments(taus)
        determinant = _determinant(scatter / self.n, self.isotropic)
        return -self.n * (math.log(2 * math.pi) + 1 + math.log(determinant) / 2) - log_sum

    rough = profile

    def search(self, start: np.ndarray, low: float, high: float) -> np.ndarray:
        """Logarithms of the most likely time scales, between bounds."""
        from scipy.optimize import minimize

        def cost(logs: np.ndarray) -> float:
            return -self.profile(np.exp(np.clip(logs, low, high)))

        rules = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 2000}
        found = minimize(cost, start, method="Nelder-Mead", options=rules)
        return np.asarray(np.clip(found.x, low, high))

    def restriction(self, taus: np.ndarray) -> float:
        """What the restricted likelihood adds to the profile: half the log-determinant of the mean's covariance."""
        _, scatter, weight, _ = self._moments(taus)
        return math.log(_determinant(scatter / self.n, self.isotropic)) / 2 - math.log(weight)

    def at(self, taus: np.ndarray, restricted: bool) -> tuple[np.ndarray, np.ndarray, float]:
        """Covariance (restricted or not) and mean at given time scales, and the log-likelihood (never restricted)."""
        _, scatter, _, mean = self._moments(taus)
        sigma = scatter / (self.n - restricted)
        return _shaped(sigma, self.isotropic), mean, self.profile(taus)

    def full(self, sigma: np.ndarray, taus: np.ndarray, restricted: bool) -> float:
        """The log-likelihood at any covariance and time scales, with the best mean."""
        log_sum, scatter, weight, _ = self._moments(taus)
        log_det = math.log(np.linalg.det(sigma))
        value = (
            -self.n * (math.log(2 * math.pi) + log_det / 2) - log_sum - np.trace(np.linalg.solve(sigma, scatter)) / 2
        )
        return float(value + restricted * (log_det / 2 - math.log(weight)))


class _WithError:
    """Fixes with known errors: one filter for each principal axis, and the covariance is found by a search."""

    def __init__(self, track: Track, process: Process, isotropic: bool) -> None:
        self.track, self.process, self.isotropic = track, process, isotropic
        self.n = len(track.places)
        self.start = _shape_of(np.cov(track.places.T), isotropic)
        self.known: dict[tuple[float, ...], np.ndarray] = {}

    def _axes(self, sigma: np.ndarray, taus: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Log-likelihood, half the log-determinant of the mean's covariance, mean."""
        scale, axes = np.linalg.eigh(sigma)
        turned = self.track.places @ axes
        value, extra, mean = -self.n * math.log(2 * math.pi), 0.0, np.zeros(2)
        for k in (0, 1):
            columns = np.column_stack([turned[:, k], np.ones(self.n)])
            log_sum, gram = _filtered(self.track, self.process, taus, columns, self.track.error / scale[k])
            mean[k] = gram[0, 1] / gram[1, 1]
            rest = gram[0, 0] - gram[0, 1] * mean[k]
            value -= (log_sum + self.n * math.log(scale[k]) + rest / scale[k]) / 2
            extra += math.log(scale[k] / gram[1, 1]) / 2
        return value, extra, axes @ mean

    def rough(self, taus: np.ndarray) -> float:
        """The log-likelihood at the covariance of the fixes."""
        return self._axes(_sigma_of(self.start, self.isotropic), taus)[0]

    def search(self, start: np.ndarray, low: float, high: float) -> np.ndarray:
        """Logarithms of the most likely time scales, between bounds, found together with the covariance."""
        from scipy.optimize import minimize

        parts = len(self.start)

        def cost(point: np.ndarray) -> float:
            return -self._axes(_sigma_of(point[:parts], self.isotropic), np.exp(point[parts:]))[0]

        bounds = [(None, None)] * parts + [(low, high)] * len(start)
        found = minimize(cost, np.r_[self.start, start], method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14})
        self.start = found.x[:parts]
        return np.asarray(found.x[parts:])

    def _best(self, taus: np.ndarray, restricted: bool) -> np.ndarray:
        """The shape of the most likely covariance at these time scales."""
        from scipy.optimize import minimize

        key = (*map(float, taus), float(restricted))
        if key not in self.known:

            def cost(shape: np.ndarray) -> float:
                value, extra, _ = self._axes(_sigma_of(shape, self.isotropic), taus)
                return -value - restricted * extra

            found = minimize(cost, self.start, method="L-BFGS-B", options={"ftol": 1e-13, "gtol": 1e-6})
            self.start = self.known[key] = found.x
        return self.known[key]

    def profile(self, taus: np.ndarray) -> float:
        """The log-likelihood at its best mean and covariance."""
        return self._axes(_sigma_of(self._best(taus, False), self.isotropic), taus)[0]

    def restriction(self, taus: np.ndarray) -> float:
        """What the restricted likelihood adds to the profile: half the log-determinant of the mean's covariance."""
        return self._axes(_sigma_of(self._best(taus, False), self.isotropic), taus)[1]

    def at(self, taus: np.ndarray, restricted: bool) -> tuple[np.ndarray, np.ndarray, float]:
        """Covariance (restricted or not) and mean at given time scales, and the log-likelihood (never restricted)."""
        sigma = _sigma_of(self._best(taus, restricted), self.isotropic)
        return sigma, self._axes(sigma, taus)[2], self.profile(taus)

    def full(self, sigma: np.ndarray, taus: np.ndarray, restricted: bool) -> float:
        """The log-likelihood at any covariance and time scales, with the best mean."""
        value, extra, _ = self._axes(sigma, taus)
        return float(value + restricted * extra)


_Likelihood = _Exact | _WithError


def _filtered(
    track: Track, process: Process, taus: np.ndarray, columns: np.ndarray, error: np.ndarray
) -> tuple[float, np.ndarray]:
    from linkways.movement._continuous_kernels import innovations

    tau_p, tau_v = [*map(float, taus), 1.0, 1.0][:2]
    if process == "OUF":
        tau_p, tau_v = apart(tau_p, tau_v)
    log_sum, gram = innovations(NUMBER[process], tau_p, tau_v, track.dt, columns, error)
    return float(log_sum), np.asarray(gram)


def apart(tau_p: float, tau_v: float) -> tuple[float, float]:
    """Time scales of OUF held apart, since the transition is 0 over 0 at equal ones."""
    middle = math.sqrt(tau_p * tau_v)
    if abs(tau_p - tau_v) >= 2 * CLOSEST * middle:
        return tau_p, tau_v
    return middle * (1 + CLOSEST), middle * (1 - CLOSEST)


def _determinant(sigma: np.ndarray, isotropic: bool) -> float:
    return float(np.trace(sigma) ** 2 / 4 if isotropic else np.linalg.det(sigma))


def _shaped(sigma: np.ndarray, isotropic: bool) -> np.ndarray:
    return np.eye(2) * np.trace(sigma) / 2 if isotropic else sigma


def _shape_of(sigma: np.ndarray, isotropic: bool) -> np.ndarray:
    """Logarithm of the square root of the determinant, and for an ellipse the logarithms of a hyperbolic stretch."""
    if isotropic:
        return np.array([math.log(np.trace(sigma) / 2)])
    scale, axes = np.linalg.eigh(sigma)
    stretch = math.log(scale[1] / scale[0]) / 2
    turn = 2 * math.atan2(axes[1, 1], axes[0, 1])
    return np.array([math.log(scale[0] * scale[1]) / 2, stretch * math.cos(turn), stretch * math.sin(turn)])


def _sigma_of(shape: np.ndarray, isotropic: bool) -> np.ndarray:
    """The covariance of a shape: exp(s) times the matrix exponential of [[a, b], [b, -a]]."""
    size = math.exp(shape[0])
    if isotropic:
        return np.eye(2) * size
    stretch = math.hypot(shape[1], shape[2])
    ratio = math.sinh(stretch) / stretch if stretch > 1e-9 else 1.0
    a, b = shape[1] * ratio, shape[2] * ratio
    round_part = math.cosh(stretch)
    return size * np.array([[round_part + a, b], [b, round_part - a]])


def _aicc(loglik: float, n: int, taus: int, isotropic: bool) -> float:
    """AIC with the small-sample penalty of a regression of both coordinates: 2 K 2n / (2n - K - covariances)."""
    covariances = 1 if isotropic else 3
    count = 2 + covariances + taus
    room = 2 * n - count - covariances
    return -2 * loglik + (2 * count * 2 * n / room if room > 0 else math.inf)


# --- time scales -----------------------------------------------------------------------------------------------


def _most_likely(likelihood: _Likelihood, track: Track, process: Process) -> np.ndarray:
    """The ML time scales in seconds: the best of a coarse table, then a search from there."""
    if process == "IID":
        return np.zeros(0)
    shortest, longest = float(track.dt[1:].min()), track.span
    slow = np.geomspace(max(shortest, longest / 1e4) / 3, longest * 10, 14)
    if process == "OU":
        table = [np.array([p]) for p in slow]
    else:
        fast = np.geomspace(shortest / 10, longest, 14)
        table = [np.array([p, v]) for p in slow for v in fast if v < p]
    start = max(table, key=likelihood.rough)
    found = likelihood.search(np.log(start), math.log(shortest) - 7, math.log(longest) + 7)
    # the two time scales of OUF are alike up to their order
    return np.sort(np.exp(found))[::-1]


def _corrected(likelihood: _Likelihood, taus: np.ndarray) -> tuple[np.ndarray, bool]:
    """One Newton step towards the restricted maximum, and whether the likelihood has a proper maximum there."""
    step = taus * 1e-3
    curve = _hessian(likelihood.profile, taus, step)
    slope = _gradient(likelihood.restriction, taus, step)
    if not np.all(np.isfinite(curve)) or np.any(np.linalg.eigvalsh(curve) >= 0):
        return taus, False
    moved = taus - np.linalg.solve(curve, slope)
    # a step that is no small correction is held within a factor of ten
    held = np.clip(moved, taus / 10, taus * 10)
    return np.sort(held)[::-1], bool(np.all(held == moved))


def _spread(likelihood: _Likelihood, sigma: np.ndarray, taus: np.ndarray, restricted: bool) -> tuple[list[float], bool]:
    """Standard errors of the logarithms of the area and of the time scales, from the curvature at the estimate."""
    shape = _shape_of(sigma, likelihood.isotropic)
    parts = len(shape)
    # time scales are varied as shares of their estimate
    middle = np.r_[shape, np.ones(len(taus))]

    def value(point: np.ndarray) -> float:
        return likelihood.full(_sigma_of(point[:parts], likelihood.isotropic), taus * point[parts:], restricted)

    curve = -_hessian(value, middle, np.full(len(middle), 1e-3))
    if np.all(np.isfinite(curve)) and np.all(np.linalg.eigvalsh(curve) > 0):
        cover = np.linalg.inv(curve)
        return [math.sqrt(cover[0, 0]), *np.sqrt(np.diag(cover)[parts:])], True
    return [1 / math.sqrt(max(curve[0, 0], 1e-12)), *[math.nan] * len(taus)], False


def _gradient(function: Callable[[np.ndarray], float], at: np.ndarray, step: np.ndarray) -> np.ndarray:
    moves = np.diag(step)
    return np.array([(function(at + m) - function(at - m)) / (2 * s) for m, s in zip(moves, step, strict=True)])


def _hessian(function: Callable[[np.ndarray], float], at: np.ndarray, step: np.ndarray) -> np.ndarray:
    size = len(at)
    moves = np.diag(step)
    out = np.empty((size, size))
    middle = function(at)
    for i in range(size):
        out[i, i] = (function(at + moves[i]) + function(at - moves[i]) - 2 * middle) / step[i] ** 2
        for j in range(i):
            a, b = moves[i], moves[j]
            mixed = function(at + a + b) - function(at + a - b) - function(at - a + b) + function(at - a - b)
            out[i, j] = out[j, i] = mixed / (4 * step[i] * step[j])
    return out
