"""Steps an animal might have taken: distributions of lengths and turns, and what selection makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["Empirical", "Tentative", "fit_tentative", "fit_turns", "updated"]

STEP_TERMS = {
    "gamma": ("sl", "log_sl"),
    "exponential": ("sl",),
    "half_normal": ("sl**2",),
    "log_normal": ("log_sl", "log_sl**2"),
}
"""The terms by which selection changes a distribution of step lengths (Avgar et al., 2016, and its appendix)."""


@dataclass(frozen=True)
class Empirical:
    """The lengths and turns that were seen, drawn independently of each other."""

    lengths: np.ndarray
    turns: np.ndarray

    def draw(self, rng: np.random.Generator, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Lengths (m) and turns (radians, left positive)."""
        return rng.choice(self.lengths, size), rng.choice(self.turns, size)


@dataclass(frozen=True)
class Tentative:
    """A distribution of step lengths (m) by its parameters, and von Mises turns about straight on."""

    name: str
    parameters: Mapping[str, float]
    kappa: float
    """Negative where turns gather about straight back."""

    @property
    def terms(self) -> tuple[str, ...]:
        """The movement terms of the model that go with it."""
        return (*STEP_TERMS[self.name], "cos_ta")

    def draw(self, rng: np.random.Generator, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Lengths (m) and turns (radians, left positive)."""
        p = self.parameters
        if self.name == "gamma":
            lengths = rng.gamma(p["shape"], p["scale"], size)
        elif self.name == "exponential":
            lengths = rng.exponential(1 / p["rate"], size)
        elif self.name == "half_normal":
            lengths = np.abs(rng.normal(0, p["sd"], size))
        else:
            lengths = rng.lognormal(p["meanlog"], p["sdlog"], size)
        turns = rng.vonmises(0.0 if self.kappa >= 0 else np.pi, abs(self.kappa), size)
        # a gamma with a small shape can be rounded to 0, which has no logarithm
        return np.maximum(lengths, 1e-6), turns


def fit_tentative(name: str, lengths: np.ndarray, turns: np.ndarray) -> Tentative:
    """The most likely distribution of this kind; lengths of 0 count as the smallest above 0."""
    lengths = np.where(lengths > 0, lengths, lengths[lengths > 0].min())
    logs = np.log(lengths)
    if name == "gamma":
        shape = _gamma_shape(float(np.log(lengths.mean()) - logs.mean()))
        parameters = {"shape": shape, "scale": float(lengths.mean()) / shape}
    elif name == "exponential":
        parameters = {"rate": 1 / float(lengths.mean())}
    elif name == "half_normal":
        parameters = {"sd": float(np.sqrt((lengths**2).mean()))}
    else:
        parameters = {"meanlog": float(logs.mean()), "sdlog": float(logs.std())}
    return Tentative(name, parameters, fit_turns(turns))


def _gamma_shape(gap: float) -> float:
    """The shape k with log k - digamma(k) = gap, by Newton's method from Minka's (2002) start."""
    from scipy.special import digamma, polygamma

    shape = (3 - gap + np.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap)
    for _ in range(50):
        change = (np.log(shape) - digamma(shape) - gap) / (1 / shape - polygamma(1, shape))
        shape -= change
        if abs(change) < 1e-14 * shape:
            break
    return float(shape)


def fit_turns(turns: np.ndarray) -> float:
    """The concentration k with I1(k) / I0(k) = mean cosine; negative where that is."""
    from scipy.optimize import brentq
    from scipy.special import i0e, i1e

    mean = float(np.cos(turns).mean())
    top = 1e4
    if abs(mean) >= i1e(top) / i0e(top):
        return float(np.copysign(top, mean))
    return float(np.copysign(brentq(lambda k: i1e(k) / i0e(k) - abs(mean), 0, top, xtol=1e-13, rtol=1e-14), mean))


def updated(tentative: Tentative, b: Mapping[str, float]) -> Tentative | None:
    """What remains of the tentative distribution once selection for the movement terms is taken in.

    The density of steps is proportional to tentative(l) exp(b_sl l + b_log log l + ...), so gamma(k, q) becomes
    gamma(k + b_log, 1 / (1 / q - b_sl)), exponential(r) becomes exponential(r - b_sl), half-normal(s) gets
    1 / s'^2 = 1 / s^2 - 2 b_sq, log-normal(m, s) gets 1 / s'^2 = 1 / s^2 - 2 b_sq and m' = s'^2 (m / s^2 + b_log), and
    von Mises(k) becomes von Mises(k + b_cos). None where no distribution has such parameters.

    Args:
        tentative: the distribution that steps were drawn from.
        b: coefficients by term (``sl``, ``log_sl``, ``sl**2``, ``log_sl**2``, ``cos_ta``); 0 where left out.
    """
    p = tentative.parameters
    of = {term: float(b.get(term, 0.0)) for terms in STEP_TERMS.values() for term in terms}
    if tentative.name == "gamma":
        rate = 1 / p["scale"] - of["sl"]
        new = {"shape": p["shape"] + of["log_sl"], "scale": 1 / rate if rate else -1.0}
    elif tentative.name == "exponential":
        new = {"rate": p["rate"] - of["sl"]}
    elif tentative.name == "half_normal":
        precision = 1 / p["sd"] ** 2 - 2 * of["sl**2"]
        new = {"sd": 1 / np.sqrt(precision) if precision > 0 else -1.0}
    else:
        precision = 1 / p["sdlog"] ** 2 - 2 * of["log_sl**2"]
        spread = 1 / np.sqrt(precision) if precision > 0 else -1.0
        new = {"meanlog": spread**2 * (p["meanlog"] / p["sdlog"] ** 2 + of["log_sl"]), "sdlog": spread}
    if any(value <= 0 for key, value in new.items() if key != "meanlog"):
        return None
    return Tentative(tentative.name, new, tentative.kappa + float(b.get("cos_ta", 0.0)))
