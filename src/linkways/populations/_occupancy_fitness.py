"""Goodness of fit of occupancy models by histories (MacKenzie and Bailey, 2004), with the parametric bootstrap."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError
from linkways.method import progress
from linkways.populations._occupancy_fit import Fit, maximise
from linkways.populations._occupancy_models import FalsePositive, Model

__all__ = ["Cohort", "Fitness", "chi_square", "cohorts_of", "fitness"]

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
CHANCES = 2**20
"""Chances that are held at a time."""


@dataclass(frozen=True)
class Cohort:
    """Units that were visited on the same occasions."""

    units: Numbers
    visits: Numbers
    """(units, occasions)"""


@dataclass(frozen=True)
class Fitness:
    """How well histories fit."""

    chi_square: float
    c_hat: float
    p_value: float
    simulated: Floats


def cohorts_of(model: Model, occasion: Numbers) -> list[Cohort]:
    """Units by the occasions (and kinds of visit) on which they were visited."""
    first = model.first
    kind = occasion * 2 + (model.certain if isinstance(model, FalsePositive) else 0)
    groups: dict[bytes, list[int]] = {}
    for unit in np.flatnonzero(np.diff(first) > 0):
        groups.setdefault(kind[first[unit] : first[unit + 1]].tobytes(), []).append(int(unit))
    out = []
    for units in groups.values():
        begin = first[np.array(units)]
        count = int(first[units[0] + 1] - first[units[0]])
        out.append(Cohort(np.array(units, np.int64), begin[:, None] + np.arange(count)))
    return out


def chi_square(model: Model, theta: Floats, cohorts: list[Cohort]) -> float:
    """sum (O - E)^2 / E over the histories of each cohort; histories that nobody has add their expected number."""
    total = 0.0
    for cohort in cohorts:
        codes, observed = np.unique(model.y[cohort.visits], axis=0, return_counts=True)
        expected = np.zeros(len(codes))
        some = max(1, CHANCES // len(codes))
        for begin in range(0, len(cohort.units), some):
            part = slice(begin, begin + some)
            expected += model.chances(theta, cohort.units[part], cohort.visits[part], codes).sum(axis=1)
        total += float(np.sum((observed - expected) ** 2 / np.maximum(expected, 1e-12)))
        total += max(0.0, len(cohort.units) - float(expected.sum()))
    return total


def fitness(found: Fit, occasion: Numbers, bootstrap: int, rng: np.random.Generator) -> Fitness:
    """The statistic, its mean ratio c-hat to simulated ones, and the share of simulations that reach it."""
    if not bootstrap:
        return Fitness(float("nan"), float("nan"), float("nan"), np.empty(0))
    model, theta = found.model, found.reported
    cohorts = cohorts_of(model, occasion)
    seen = chi_square(model, theta, cohorts)
    simulated = []
    for number in range(bootstrap):
        progress(0.6 + 0.3 * number / bootstrap, "simulating histories")
        other = replace(model, y=model.simulate(theta, rng))
        if not (other.y > 0).any():
            continue
        best, *_ = maximise(other.evaluate, [theta])
        simulated.append(chi_square(other, best, cohorts))
    if len(simulated) < max(1, bootstrap // 2):
        raise LinkwaysError(
            "populations.occupancy: most simulated surveys have no detection, so the fit cannot be judged; set "
            "bootstrap to 0"
        )
    values = np.array(simulated)
    share = (1 + np.sum(values >= seen)) / (1 + len(values))
    return Fitness(seen, seen / float(values.mean()), float(share), values)
