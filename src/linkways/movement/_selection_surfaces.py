"""What a fitted selection model says of a landscape: suitability, resistance, conductance, and curves of strength."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.movement._selection_data import CROSSINGS, MOVEMENT, START, Cases, Ground
from linkways.movement._selection_fit import NORMAL_95, Fitted
from linkways.movement._selection_terms import Term, design
from linkways.spatial import note

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr

__all__ = ["curves", "resistance_of", "suitability_of"]

SPAN = 50.0
"""Suitability is kept within exp(-50) to exp(50) of that of an average available place."""


def suitability_of(ground: Ground, fitted: Fitted, cases: Cases) -> "xr.DataArray | None":
    """exp(b x) of the terms that are made of rasters alone, relative to a place with the mean of the available x.

    None where there is no such term. It lies on the grid of the first raster among those terms.
    """
    habitat = [k for k, term in enumerate(fitted.terms) if term.names <= set(ground.rasters)]
    if not habitat:
        return None
    terms, beta = [fitted.terms[k] for k in habitat], fitted.beta[habitat]
    needed = set().union(*(term.names for term in terms))
    names = [name for name in ground.rasters if name in needed]
    template = ground.rasters[names[0]]
    variables = {name: _on_grid(ground, name, template) for name in names}
    mean = design(terms, cases.variables)[cases.case == 0].mean(axis=0)
    # term by term, so that a large landscape needs one more layer of memory, not one for each term
    log_w = np.full(template.shape, -float(mean @ beta))
    for term, b in zip(terms, beta, strict=True):
        log_w += b * term.of(variables)
    over = int((np.abs(log_w) > SPAN).sum())
    if over:
        note(f"movement.selection: suitability is cut at exp({SPAN:g}) in {over} cells far outside what was available")
    from linkways.spatial import raster_like

    values = np.exp(np.clip(log_w, -SPAN, SPAN))
    return raster_like(values, template, name="suitability", units="relative to an average available place")


def _on_grid(ground: Ground, name: str, template: "xr.DataArray") -> np.ndarray:
    from linkways.spatial import align

    rule: Any = "nearest" if name in ground.class_names else "average"
    raster = ground.rasters[name]
    return np.asarray(align(raster, template, rule=rule).values, dtype=float)


def resistance_of(suitability: "xr.DataArray", gamma: float, highest: float) -> "tuple[xr.DataArray, xr.DataArray]":
    """Resistance, w^-gamma stretched to 1 ... highest, and conductance, w^gamma."""
    from linkways.spatial import raster_like

    conductance = suitability.values**gamma
    known = np.isfinite(conductance)
    if not known.any():
        raise LinkwaysError("no cell has a value in all covariates of the model; give covariates that overlap")
    inverse = 1 / conductance
    low, high = inverse[known].min(), inverse[known].max()
    share = (inverse - low) / (high - low) if high > low else np.where(known, 0.0, np.nan)
    return (
        raster_like(1 + (highest - 1) * share, suitability, name="resistance", units="resistance"),
        raster_like(conductance, suitability, name="conductance", units="conductance"),
    )


def curves(fitted: Fitted, cases: Cases, classes: Mapping[str, Sequence[float]]) -> "matplotlib.figure.Figure":
    """log-RSS of every variable over what was available, against its mean or reference, with 95 % intervals."""
    from matplotlib.figure import Figure

    names = _drawn(fitted.terms)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(4.0 * columns, 3.2 * rows), layout="constrained")
    for axes, name in zip(figure.subplots(rows, columns, squeeze=False).ravel(), names, strict=False):
        _curve(axes, name, fitted, cases, classes)
    for axes in figure.axes[len(names) :]:
        axes.set_visible(False)
    return figure


def _drawn(terms: Sequence[Term]) -> list[str]:
    """Variables with a curve: those of places; where there are none, all."""
    every = sorted(set().union(*(term.names for term in terms)))
    some = [n for n in every if n not in (*MOVEMENT, *CROSSINGS) and not n.endswith(START)]
    return some or every


def log_rss(fitted: Fitted, first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """log relative selection strength b (x1 - x2) of rows against others, with its error (Avgar et al., 2017)."""
    apart = design(fitted.terms, first) - design(fitted.terms, second)
    return apart @ fitted.beta, np.sqrt(np.einsum("ij,jk,ik->i", apart, fitted.of_intervals, apart))


def _curve(axes: Any, name: str, fitted: Fitted, cases: Cases, classes: Mapping[str, Sequence[float]]) -> None:
    values = cases.variables[name][cases.case == 0]
    if name in classes:
        grid = np.asarray(classes[name])
    else:
        low, high = np.nanquantile(values, [0.01, 0.99])
        grid = np.linspace(low, high, 100)
    typical = {other: _typical(other, cases, classes, len(grid)) for other in cases.variables}
    value, error = log_rss(fitted, typical | {name: grid}, typical)
    if name in classes:
        position = np.arange(len(grid))
        axes.errorbar(position, value, NORMAL_95 * error, fmt="o", capsize=3)
        axes.set_xticks(position, [f"{code:g}" for code in grid])
    else:
        axes.plot(grid, value)
        axes.fill_between(grid, value - NORMAL_95 * error, value + NORMAL_95 * error, alpha=0.2)
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.set(xlabel=name, ylabel="log-RSS")


def _typical(name: str, cases: Cases, classes: Mapping[str, Sequence[float]], count: int) -> np.ndarray:
    if name in classes:
        return np.full(count, classes[name][0])
    values = cases.variables[name][cases.case == 0]
    values = values[np.isfinite(values)]
    return np.full(count, float(values.mean()) if len(values) else 0.0)
