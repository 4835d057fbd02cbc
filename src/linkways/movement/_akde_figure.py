"""The variograms of animals with their fitted models."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.movement._continuous import Model, autocorrelation
from linkways.spatial import note

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Variogram", "draw_variograms", "variogram"]

MOST_PANELS = 30
MOST_PAIRS = 1e8


@dataclass(frozen=True)
class Variogram:
    """Half the mean squared distance (along an axis) of places a time apart, and what the model expects."""

    animal: str
    lag_h: np.ndarray
    km2: np.ndarray
    low: np.ndarray
    high: np.ndarray
    expected_km2: np.ndarray
    model: str


def variogram(
    animal: str, model: Model, seconds: np.ndarray, x_m: np.ndarray, y_m: np.ndarray, error_m: np.ndarray
) -> Variogram:
    """Semivariance up to half the time followed, with the interval of as many independent pairs as fit that time."""
    from scipy.stats import chi2

    from linkways.movement._akde_kernels import semivariances

    span = float(seconds[-1] - seconds[0])
    width = max(float(np.median(np.diff(seconds))), span / 400)
    bins = max(int(span / 2 / width), 2)
    every = max(int(len(seconds) ** 2 / 2 / MOST_PAIRS), 1)
    total, count = semivariances(seconds, x_m, y_m, width, bins, every)
    used = np.flatnonzero(count[1:] > 0) + 1
    lag = used * width
    mean = total[used] / count[used] / 1e6
    free = 2 * np.maximum(np.minimum(count[used], span / lag), 1)
    level = np.trace(model.sigma) / 2
    theory = level * (1 - autocorrelation(model.process, model.tau_p, model.tau_v, lag)) + np.mean(error_m**2)
    return Variogram(
        animal,
        lag / 3600,
        mean,
        mean * free / chi2.ppf(0.975, free),
        mean * free / chi2.ppf(0.025, free),
        theory / 1e6,
        model.name,
    )


def draw_variograms(found: list[Variogram]) -> "Figure":
    """One panel for each animal, the first 30."""
    from matplotlib.figure import Figure

    if len(found) > MOST_PANELS:
        note(f"movement.akde: the figure shows the first {MOST_PANELS} of {len(found)} animals")
    shown = found[:MOST_PANELS]
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(4.2 * columns, 2.6 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for one, ax in zip(shown, axes, strict=False):
        _draw(one, ax)
    for ax in axes[len(shown) :]:
        ax.set_visible(False)
    figure.supxlabel("time between places (days)", fontsize=9)
    figure.supylabel("semivariance (km²)", fontsize=9)
    return figure


def _draw(one: Variogram, ax: Any) -> None:
    days = one.lag_h / 24
    ax.fill_between(days, one.low, one.high, color="#9ecae1", alpha=0.5, linewidth=0)
    ax.plot(days, one.km2, color="#2171b5", linewidth=1.2, label="fixes")
    ax.plot(days, one.expected_km2, color="#c2410c", linewidth=1.4, linestyle="--", label=one.model)
    # the interval of long lags would squeeze the curve
    ax.set_ylim(0, 1.6 * max(one.km2.max(), one.expected_km2.max()))
    ax.set_title(one.animal, fontsize=9)
    ax.tick_params(labelsize=7)
    ax.legend(fontsize=7, frameon=False, loc="upper left")
