"""The result of `capture`: coefficients, models, numbers, density maps, barriers, figure."""

from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.populations._capture_inputs import ID
from linkways.populations._capture_run import Result, barrier_index
from linkways.populations._capture_use import crossing_and_use, note_edge_of_mask
from linkways.spatial import note

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas as pd

    from linkways.populations._capture_model import Pieces
    from linkways.populations._capture_models import Fitted
    from linkways.populations.capture import CaptureModel

__all__ = ["result_of"]


def result_of(result: Result) -> "CaptureModel":
    """Put the parts together."""
    from linkways.populations.capture import CaptureModel

    survey, fitted = result.survey, result.fitted
    pieces = fitted.model.pieces(fitted.theta)
    numbers = _numbers(result, pieces)
    ground = survey.ground
    density, error = _density(result, numbers)
    unseen = density * ground.area_km2 * (1 - pieces.seen)
    note_edge_of_mask(survey, fitted, pieces)
    crossing, use, without = crossing_and_use(result, density)
    # cells of the raster that one centre stands for share its animals
    per_cell = np.bincount(ground.cell_of[ground.cell_of >= 0], minlength=len(ground.cells))
    return CaptureModel(
        coefficients=_coefficients(result),
        models=_models(result),
        density=ground.raster(density, "density", "animals/km2"),
        density_se=ground.raster(error, "density_se", "animals/km2"),
        centres=ground.raster((pieces.centres + unseen) / per_cell, "centres", "animals"),
        space_use=use,
        space_use_without=without,
        crossing=crossing,
        profiles=_profile_table(result),
        animals_captured=len(survey.records.animals),
        state_space_km2=float(ground.area_km2.sum()),
        log_likelihood=fitted.fit.log_likelihood,
        figure=_figure(result),
        **numbers,
        **_barrier(result),
    )


def _z(level: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf(0.5 + level / 2))


def _lognormal(value: float, error: float, z: float, least: float = 0.0) -> tuple[float, float]:
    """Interval of a number above ``least`` whose surplus is taken for lognormal (Chao 1989)."""
    surplus = value - least
    if not surplus > 0:
        return value, value
    width = np.exp(z * np.sqrt(np.log1p((error / surplus) ** 2)))
    return least + surplus / width, least + surplus * width


def _numbers(result: Result, pieces: "Pieces") -> dict[str, float]:
    """Expected and realised numbers, mean density and the area sampled, with intervals.

    Expected ``E(N) = sum D A``; realised ``n + sum D A (1 - p)``, with the variance of what was estimated and that of
    the number not caught (Poisson; Efford and Fewster 2013).
    """
    survey, fitted = result.survey, result.fitted
    model, theta, covariance = fitted.model, fitted.theta, fitted.covariance
    n, z = len(survey.records.animals), _z(result.request.level)
    area = float(survey.ground.area_km2.sum())
    expected, slope = pieces.caught, pieces.caught_slope
    weight = model.density_design @ theta[model.layout.density] if not model.conditional else None
    if weight is None:
        sampled = expected
        relative = n + (n / sampled) ** 2 * float(slope @ covariance @ slope)
        mean = n / sampled
        error = np.sqrt(relative) / sampled
        total, total_error = mean * area, error * area
        # the number caught is Poisson, and is known
        missed_slope = -mean * area / sampled * slope
        log_error = error / mean
    else:
        by_cell = np.exp(weight) * model.area_km2
        total = float(by_cell.sum())
        gradient = np.zeros(len(theta))
        gradient[model.layout.density] = model.density_design.T @ by_cell
        total_error = float(np.sqrt(gradient @ covariance @ gradient))
        missed_slope = gradient - slope
        sampled = expected / (total / area)
        log_error = total_error / total
    seen = expected * (n / expected if model.conditional else 1.0)
    missed = total - seen
    missed_error = float(np.sqrt(missed_slope @ covariance @ missed_slope + max(missed, 0.0)))
    ends = total * np.exp(np.array([-z, z]) * log_error)
    realised = n + missed
    low, high = _lognormal(realised, missed_error, z, n)
    return {
        "animals_expected": total,
        "animals_expected_low": float(ends[0]),
        "animals_expected_high": float(ends[1]),
        "animals_realised": realised,
        "animals_realised_low": float(low),
        "animals_realised_high": float(high),
        "mean_density": 100 * total / area,
        "mean_density_low": 100 * float(ends[0]) / area,
        "mean_density_high": 100 * float(ends[1]) / area,
        "sampled_km2": sampled,
    }


def _density(result: Result, numbers: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Density of each cell of the state space and its standard error, animals/km2."""
    model, theta = result.fitted.model, result.fitted.theta
    if model.conditional:
        mean = numbers["mean_density"] / 100
        error = mean * np.log(numbers["mean_density_high"] / mean / 100) / _z(result.request.level)
        return np.full(len(model.area_km2), mean), np.full(len(model.area_km2), error)
    at = model.layout.density
    density = np.exp(model.density_design @ theta[at])
    spread = model.density_design @ result.fitted.covariance[at, at]
    return density, density * np.sqrt((spread * model.density_design).sum(axis=1))


_UNITS = {"density": "animals/km2", "lambda0": "per unit of effort", "g0": "chance", "sigma": "m"}


def _coefficients(result: Result) -> "pd.DataFrame":
    import pandas as pd

    fitted, z = result.fitted, _z(result.request.level)
    raw = fitted.raw_fit
    errors = np.sqrt(np.diag(raw.covariance))
    rows: list[dict[str, Any]] = []
    for j, (what, term) in enumerate(fitted.assembled.labels):
        estimate, error = float(raw.theta[j]), float(errors[j])
        low, high, how, remark = estimate - z * error, estimate + z * error, "Wald", ""
        if j in result.profiles:
            low, high, how = result.profiles[j].low, result.profiles[j].high, "profile"
            remark = _remark(low, high)
        if j in fitted.flat:
            estimate, error = (np.inf if np.isinf(high) else -np.inf), np.nan
        natural = [_natural(what, term, value) for value in (estimate, low, high)]
        rows.append(
            {
                "parameter": what,
                "term": term,
                "estimate": estimate,
                "standard_error": error,
                "low": low,
                "high": high,
                "interval": how,
                "value": natural[0],
                "value_low": natural[1],
                "value_high": natural[2],
                "unit": _UNITS.get(what, "") if term == "(intercept)" else "times",
                "remark": remark,
            }
        )
    return pd.DataFrame(rows)


def _remark(low: float, high: float) -> str:
    if np.isfinite(low) and not np.isfinite(high):
        return f"at least {low:.3g}; the data give no upper bound"
    if np.isfinite(high) and not np.isfinite(low):
        return f"at most {high:.3g}; the data give no lower bound"
    return "" if np.isfinite(low) else "the data give no bound"


def _natural(what: str, term: str, value: float) -> float:
    with np.errstate(over="ignore"):
        if what == "g0" and term == "(intercept)":
            return float(1 / (1 + np.exp(-value)))
        return float(np.exp(value))


def _models(result: Result) -> "pd.DataFrame":
    import pandas as pd
    from scipy.stats import chi2

    asked = result.fitted
    rows = [("as asked", asked), *result.others.items()]
    best = min(fitted.aic for _, fitted in rows)
    weights = np.array([np.exp(-(fitted.aic - best) / 2) for _, fitted in rows])
    found = []
    for (name, fitted), weight in zip(rows, weights / weights.sum(), strict=True):
        df = asked.parameters - fitted.parameters
        ratio = 2 * (asked.fit.log_likelihood - fitted.fit.log_likelihood)
        nested = name in ("no resistance", "constant density", "constant detection", "same sigma")
        found.append(
            {
                "model": name,
                "function": fitted.assembled.terms.function,
                "parameters": fitted.parameters,
                "log_likelihood": fitted.fit.log_likelihood,
                "aic": fitted.aic,
                "aicc": fitted.aicc,
                "delta_aic": fitted.aic - best,
                "weight": weight,
                "likelihood_ratio": max(ratio, 0.0) if nested else np.nan,
                "df": df if nested else 0,
                "p": float(chi2.sf(max(ratio, 0.0), df)) if nested else np.nan,
            }
        )
    return pd.DataFrame(found)


def _profile_table(result: Result) -> "pd.DataFrame":
    import pandas as pd

    labels = result.fitted.assembled.labels
    top = result.fitted.fit.log_likelihood
    rows = [
        (*labels[j], value, height, top - height)
        for j, interval in result.profiles.items()
        for value, height in interval.points
    ]
    return pd.DataFrame(rows, columns=["parameter", "term", "value", "log_likelihood", "drop"])


def _barrier(result: Result) -> dict[str, float]:
    """Cost and detour of a barrier with their profile interval, and the test against a barrier without effect."""
    names = ("barrier_cost", "detour_km")
    out = {f"{name}{end}": np.nan for name in names for end in ("", "_low", "_high")} | {"barrier_p": np.nan}
    j = barrier_index(result)
    if j is None:
        return out
    from scipy.stats import chi2

    interval = result.profiles[j]
    estimate = np.inf if j in result.fitted.flat else float(result.fitted.raw_fit.theta[j])
    cell_km = float(np.sqrt(result.survey.ground.geometry.area_m2.mean())) / 1000
    for end, alpha in (("", estimate), ("_low", interval.low), ("_high", interval.high)):
        cost = float(np.exp(alpha))
        out[f"barrier_cost{end}"], out[f"detour_km{end}"] = cost, (cost - 1) * cell_km
    at_zero = _without_barrier(result)
    out["barrier_p"] = float(chi2.sf(max(2 * (result.fitted.fit.log_likelihood - at_zero), 0.0), 1))
    if np.isinf(interval.high):
        note(
            f"{ID}: the captures give no upper bound of the barriers' cost; crossing costs at least as much as a "
            f"detour of {out['detour_km_low']:.3g} km"
        )
    return out


def _without_barrier(result: Result) -> float:
    """Log-likelihood of the model without the barriers' resistance, other resistances as they are then best."""
    from dataclasses import replace

    from linkways.populations._capture_models import fit_model
    from linkways.populations._capture_run import BARRIERS

    terms = result.fitted.assembled.terms
    rest = tuple(name for name in terms.resistance if name != BARRIERS)
    if not rest and "no resistance" in result.others:
        return result.others["no resistance"].fit.log_likelihood
    start = fit_model(result.survey, replace(terms, resistance=()))
    if not rest:
        return start.fit.log_likelihood
    return fit_model(result.survey, replace(terms, resistance=rest), start).fit.log_likelihood


def _figure(result: Result) -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure

    panels = 1 + len(result.profiles)
    figure = Figure(figsize=(4.4 * panels, 3.4), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, panels, squeeze=False)).ravel()
    _draw_detection(result.fitted, result.survey.records.sexes, axes[0])
    for ax, j in zip(axes[1:], result.profiles, strict=True):
        _draw_profile(result, j, ax)
    return figure


def _draw_profile(result: Result, j: int, ax: Any) -> None:
    """The points of a profile and a curve through them: the signed root of the drop bends little between points."""
    from scipy.interpolate import PchipInterpolator
    from scipy.stats import chi2

    interval, top = result.profiles[j], result.fitted.fit.log_likelihood
    values, heights = np.array(sorted(dict(interval.points).items())).T
    drop = np.maximum(top - heights, 0.0)
    ax.plot(values, -drop, "o", color="#1b6ca8", markersize=4)
    if len(values) > 1:
        best = values[int(np.argmin(drop))]
        between = np.linspace(values[0], values[-1], 200)
        root = PchipInterpolator(values, np.sign(values - best) * np.sqrt(drop))(between)
        ax.plot(between, -(root**2), "-", color="#1b6ca8", linewidth=1)
    ax.axhline(-float(chi2.ppf(result.request.level, 1)) / 2, color="#c2660a", linestyle="--", linewidth=1)
    for end in (interval.low, interval.high):
        if np.isfinite(end):
            ax.axvline(end, color="#c2660a", linewidth=0.8)
    what, term = result.fitted.assembled.labels[j]
    ax.set_xlabel(what if term == "(intercept)" else f"{what}: {term}")
    ax.set_ylabel("log-likelihood below its maximum")
    ax.set_title(_remark(interval.low, interval.high).split(";")[0], fontsize=9)


def _draw_detection(fitted: "Fitted", sexes: list[str], ax: Any) -> None:
    from linkways.populations import _capture_kernels as kernels

    model, at = fitted.model, fitted.model.layout
    kind, chance = model.shape
    log_sigma = model.sigma_design @ fitted.theta[at.sigma]
    eta = model.amplitude_design @ fitted.theta[at.amplitude]
    amplitude = -np.logaddexp(0, -eta) if chance else eta
    states = model.histories.states
    far = np.linspace(0, 4 * float(np.exp(log_sigma.max())), 120)
    log_shape = float(fitted.theta[at.shape][0]) if kind == kernels.HAZARD_RATE else 0.0
    for g in range(0, len(eta), states):
        out = np.empty((1, 1, len(far)))
        middle = (amplitude[g : g + 1].mean(axis=1, keepdims=True), log_sigma[g : g + 1].mean(axis=1, keepdims=True))
        kernels.shapes(far[None], *(np.ascontiguousarray(v) for v in middle), log_shape, kind, out)
        label = sexes[g // states] if model.sexes > 1 else None
        ax.plot(far / 1000, np.exp(out[0, 0]), label=label)
    if model.sexes > 1:
        ax.legend(frameon=False, fontsize=8)
    unit = "km of open land" if fitted.assembled.terms.least_cost else "km"
    ax.set_xlabel(f"distance from the activity centre ({unit})")
    ax.set_ylabel("chance of detection" if chance else "detections per unit of effort")
    ax.set_ylim(bottom=0)
