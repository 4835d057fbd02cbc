"""The likelihood of capture histories in space, with its exact gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import lgamma
from typing import Literal

import numpy as np

__all__ = ["SHAPES", "Distances", "Histories", "Layout", "Model", "Patterns", "Pieces"]

DetectorType = Literal["count", "binary", "multi"]
KINDS: dict[str, int] = {"count": 0, "binary": 1, "multi": 2}
SHAPES: dict[str, tuple[int, bool]] = {
    "half-normal": (0, True),
    "exponential": (1, True),
    "hazard-rate": (2, True),
    "hazard half-normal": (0, False),
    "hazard exponential": (1, False),
    "hazard hazard-rate": (2, False),
}
"""Kernel of the loops, and whether it gives a chance (g0) rather than a hazard (lambda0)."""
_CHUNK = 4_000_000
_REACH = (7.5, 28.0, np.inf)
"""Beyond this many sigma a kernel is below 1e-12."""


@dataclass(frozen=True)
class Patterns:
    """How effort meets detectors, for totals of hazard: columns of effort, and what of it counts as caught before."""

    effort: np.ndarray
    """(u, k) columns of effort; the first is the effort of the whole survey."""
    base: np.ndarray
    start: np.ndarray
    detector: np.ndarray
    extra: np.ndarray


@dataclass(frozen=True)
class Histories:
    """What was caught: records sorted by animal, the pattern of each animal, and of each record of a multi-trap."""

    sex: np.ndarray
    pattern: np.ndarray
    start: np.ndarray
    detector: np.ndarray
    state: np.ndarray
    count: np.ndarray
    effort: np.ndarray
    own_pattern: np.ndarray
    patterns: Patterns
    states: int
    kind: int
    constant: float
    """Terms of the log-likelihood without parameters, the multinomial coefficient left out."""
    log_repeats: float
    """Sum of log c! over histories that c animals share."""

    @property
    def animals(self) -> int:
        """Number of animals."""
        return len(self.sex)


#: least-cost distances (k, m) in metres at these resistance parameters, exact up to a limit, and slopes over distance
Distances = Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Layout:
    """Where in the vector of parameters each part lies."""

    density: slice
    amplitude: slice
    sigma: slice
    shape: slice
    sexes: slice
    resistance: slice
    size: int

    @classmethod
    def of(cls, density: int, amplitude: int, sigma: int, shape: int, sexes: int, resistance: int) -> "Layout":
        """The parts one after the other."""
        ends = np.cumsum([0, density, amplitude, sigma, shape, sexes, resistance])
        one, two, three, four, five, six = (slice(int(a), int(b)) for a, b in pairwise(ends))
        return cls(one, two, three, four, five, six, int(ends[-1]))


@dataclass(frozen=True)
class Pieces:
    """What a set of parameters says of cells and animals."""

    density: np.ndarray
    """(m,) animals per km2; 1 in a conditional model."""
    shares: np.ndarray
    """(c,) share of each sex."""
    unseen: np.ndarray
    """(c, m) chance that an animal there is never caught."""
    centres: np.ndarray
    """(m,) how many of the caught animals have their centre in each cell, by their posterior."""
    caught: float
    """Animals expected to be caught; in a conditional model the area sampled in km2."""
    caught_slope: np.ndarray
    """Its gradient."""

    @property
    def seen(self) -> np.ndarray:
        """(m,) chance that an animal there is caught at least once."""
        return np.asarray(self.shares @ (1 - self.unseen))


@dataclass(frozen=True)
class Model:
    """The likelihood of one model; parameters in the order of its layout.

    With D_m animals per km2, cells of A_m km2, hazards h and total hazard H,
    ``log L = sum_i log sum_m L_im D_m A_m - sum_m D_m A_m (1 - exp(-H_m)) - sum_u log c_u!`` (Borchers and Efford,
    2008; c_u animals share history u), or, conditional on the n animals, with a = sum_m A_m (1 - exp(-H_m)),
    ``sum_i log sum_m L_im A_m - n log a + log n! - sum_u log c_u!``.
    """

    histories: Histories
    area_km2: np.ndarray
    density_design: np.ndarray
    """(m, p); without columns the likelihood is conditional."""
    amplitude_design: np.ndarray
    """(g, k, p) of log lambda0 or logit g0."""
    sigma_design: np.ndarray
    """(g, k, p) of log sigma, in metres."""
    shape: tuple[int, bool]
    sexes: int
    distances: Distances
    resistances: int
    conditional: bool
    fixed_distance: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def layout(self) -> Layout:
        """Where the parameters lie."""
        return Layout.of(
            self.density_design.shape[1],
            self.amplitude_design.shape[2],
            self.sigma_design.shape[2],
            int(self.shape[0] == 2),
            self.sexes - 1,
            self.resistances,
        )

    def reach(self, theta: np.ndarray) -> float:
        """Metres beyond which no detector detects."""
        at = self.layout
        return float(_REACH[self.shape[0]] * np.exp((self.sigma_design @ theta[at.sigma]).max()))

    def log_likelihood(self, theta: np.ndarray) -> float:
        """Log-likelihood; -inf where it cannot be."""
        return self._evaluate(theta, gradient=False)[0]

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood and its derivatives by the parameters."""
        return self._evaluate(theta, gradient=True)

    def pieces(self, theta: np.ndarray) -> Pieces:
        """What these parameters say of each cell, of the animals caught, and of how many are to be caught."""
        work = _Work(self, theta)
        caught, slope = work.expected_caught()
        return Pieces(work.density, work.shares, work.unseen, work.histories(gradient=True)[1], caught, slope)

    def _evaluate(self, theta: np.ndarray, *, gradient: bool) -> tuple[float, np.ndarray]:
        if not np.isfinite(theta).all() or np.abs(theta).max(initial=0.0) > 500:
            return -np.inf, np.zeros_like(theta)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return _Work(self, theta).run(gradient)


class _Work:
    """One evaluation of a model: what is computed once and used by value and gradient."""

    def __init__(self, model: Model, theta: np.ndarray) -> None:
        from linkways.populations import _capture_kernels as kernels

        self.model, self.theta, self.at = model, theta, model.layout
        at = self.at
        history, patterns = model.histories, model.histories.patterns
        self.distance, self.relative = model.fixed_distance or model.distances(theta[at.resistance], model.reach(theta))
        self.log_sigma = np.ascontiguousarray(model.sigma_design @ theta[at.sigma])
        self.log_shape = float(theta[at.shape][0]) if model.shape[0] == kernels.HAZARD_RATE else 0.0
        kind, chance = model.shape
        eta = np.ascontiguousarray(model.amplitude_design @ theta[at.amplitude])
        self.amplitude_slope = 1 / (1 + np.exp(np.minimum(eta, 500.0))) if chance else np.ones_like(eta)
        amplitude = -np.logaddexp(0.0, -eta) if chance else eta
        log_hazard = np.empty((*eta.shape, self.distance.shape[1]))
        kernels.shapes(self.distance, amplitude, self.log_sigma, self.log_shape, kind, log_hazard)
        self.log_hazard, self.hazard = log_hazard, np.exp(log_hazard)
        if chance:
            kernels.hazards_of_chances(self.log_hazard.ravel(), self.hazard.ravel())
        linear = np.concatenate([[0.0], theta[at.sexes]])
        self.log_shares = linear - np.logaddexp.reduce(linear)
        self.shares = np.exp(self.log_shares)
        cells = self.distance.shape[1]
        self.bases = np.empty((model.sexes, len(patterns.effort), cells))
        self.totals = np.empty((model.sexes, len(patterns.base), cells))
        kernels.pattern_totals(
            self.hazard, history.states, patterns.effort, patterns.base, patterns.start, patterns.detector,
            patterns.extra, self.bases, self.totals,
        )  # fmt: skip
        self.grown, self.grown_slope = np.empty_like(self.totals), np.empty_like(self.totals)
        if history.kind == KINDS["multi"]:
            kernels.growth(self.totals.ravel(), self.grown.ravel(), self.grown_slope.ravel())
        self.unseen = np.exp(-self.bases[:, 0])
        if model.conditional:
            self.log_density = np.zeros(cells)
        else:
            self.log_density = model.density_design @ theta[at.density]
        self.density = np.exp(self.log_density)

    def run(self, gradient: bool) -> tuple[float, np.ndarray]:
        """Value, and gradient if asked (zeros otherwise)."""
        model = self.model
        n = model.histories.animals
        log_sum, by_cell, by_sex, scores = self.histories(gradient)
        weight = self.density * model.area_km2
        seen = -np.expm1(-self.bases[:, 0])
        expected = self.shares @ (seen @ weight)
        value = log_sum + model.histories.constant - model.histories.log_repeats
        value += lgamma(n + 1) - n * np.log(expected) if model.conditional else -expected
        if not np.isfinite(value):
            return -np.inf, np.zeros_like(self.theta)
        if not gradient:
            return float(value), np.zeros_like(self.theta)
        scale = n / expected if model.conditional else 1.0
        slope = self._parameters(scores, weight, scale)
        at = self.at
        if not model.conditional:
            slope[at.density] = model.density_design.T @ (by_cell - weight * (self.shares @ seen))
        by_share = by_sex - n * self.shares - scale * self.shares * (seen @ weight - expected)
        slope[at.sexes] = by_share[1:]
        return float(value), slope

    def expected_caught(self) -> tuple[float, np.ndarray]:
        """Sum of density x area x chance to be caught, and its gradient."""
        model, at = self.model, self.at
        weight = self.density * model.area_km2
        seen = -np.expm1(-self.bases[:, 0])
        expected = float(self.shares @ (seen @ weight))
        groups, detectors = self.log_sigma.shape
        nothing = (
            np.zeros_like(self.totals),
            np.zeros((groups, detectors)),
            np.zeros((groups, detectors)),
            np.zeros(1 + model.resistances),
        )
        slope = self._parameters(nothing, weight, -1.0)
        if not model.conditional:
            slope[at.density] = model.density_design.T @ (weight * (self.shares @ seen))
        slope[at.sexes] = (self.shares * (seen @ weight - expected))[1:]
        return expected, slope

    def histories(self, gradient: bool) -> tuple[float, np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
        """Sum of the log-likelihoods of the animals, posterior by cell and by sex, and slopes of the hazards."""
        from linkways.populations import _capture_kernels as kernels

        model, history = self.model, self.model.histories
        groups, detectors = self.log_sigma.shape
        cells = self.distance.shape[1]
        prior = self.log_shares[:, None] + (self.log_density + np.log(model.area_km2))[None]
        by_total = np.zeros_like(self.totals)
        by_cell, by_sex = np.zeros(cells), np.zeros(model.sexes)
        by_amplitude, by_sigma = np.zeros((groups, detectors)), np.zeros((groups, detectors))
        by_rest = np.zeros(1 + model.resistances)
        log_sum = 0.0
        chunk = max(1, _CHUNK // (model.sexes * cells))
        what = (
            history.states, history.pattern, history.start, history.detector, history.state, history.count,
            history.effort, history.own_pattern, history.kind,
        )  # fmt: skip
        for first in range(0, history.animals, chunk):
            last = min(first + chunk, history.animals)
            terms = np.empty((last - first, model.sexes, cells))
            kernels.history_terms(
                first, last, history.sex, prior, self.log_hazard, self.hazard, self.totals, *what, self.grown, terms
            )
            greatest = terms.max(axis=(1, 2), keepdims=True)
            if not np.isfinite(greatest).all():
                log_sum = -np.inf
                break
            terms -= greatest
            np.exp(terms, out=terms)
            sums = terms.sum(axis=(1, 2), keepdims=True)
            log_sum += float((greatest + np.log(sums)).sum())
            if gradient:
                terms /= sums
                kernels.history_scores(
                    first, last, terms, self.distance, self.relative, self.hazard, *what, self.grown_slope,
                    *model.shape, self.log_sigma, self.log_shape, by_total, by_cell, by_sex, by_amplitude,
                    by_sigma, by_rest,
                )  # fmt: skip
        return log_sum, by_cell, by_sex, (by_total, by_amplitude, by_sigma, by_rest)

    def _parameters(self, scores: tuple[np.ndarray, ...], weight: np.ndarray, scale: float) -> np.ndarray:
        """Slopes by the parameters of detection and resistance."""
        from linkways.populations import _capture_kernels as kernels

        model, patterns = self.model, self.model.histories.patterns
        by_total, by_amplitude, by_sigma, by_rest = scores
        by_base = np.zeros_like(self.bases)
        by_base[:, 0] = -scale * self.shares[:, None] * weight * self.unseen
        kernels.slopes_of_totals(
            by_base, by_total, self.distance, self.relative, self.hazard, model.histories.states, patterns.effort,
            patterns.base, patterns.start, patterns.detector, patterns.extra, *model.shape, self.log_sigma,
            self.log_shape, by_amplitude, by_sigma, by_rest,
        )  # fmt: skip
        at = self.at
        slope = np.zeros(at.size)
        by_eta = by_amplitude * self.amplitude_slope
        slope[at.amplitude] = np.tensordot(by_eta, model.amplitude_design, 2)
        slope[at.sigma] = np.tensordot(by_sigma, model.sigma_design, 2)
        slope[at.shape] = by_rest[: at.shape.stop - at.shape.start]
        slope[at.resistance] = by_rest[1:]
        return slope
