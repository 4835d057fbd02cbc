"""From what `capture` is given to its result, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import progress, progress_between
from linkways.populations._capture_fit import Interval
from linkways.populations._capture_ground import Ground, barrier_cells, ground_of, in_metres, new_grid
from linkways.populations._capture_inputs import (
    ID,
    Detectors,
    last_occasion,
    read_captures,
    read_detectors,
    read_effort,
)
from linkways.populations._capture_model import SHAPES
from linkways.populations._capture_models import (
    Fitted,
    Survey,
    check_information,
    fit_model,
    note_edges,
    profile_of,
)
from linkways.populations._capture_terms import Terms, check_identifiable, density_design
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.populations._capture_histories import Records
    from linkways.populations.capture import CaptureModel

__all__ = ["BARRIERS", "Request", "run"]

BARRIERS = "barriers"
"""Name of the resistance parameter of the layer barriers."""
_COMPARISONS = (
    "no resistance",
    "euclidean",
    "constant density",
    "constant detection",
    "same sigma",
    "other functions",
)


@dataclass(frozen=True)
class Request:
    """The arguments of `capture`."""

    captures: "pd.DataFrame"
    detectors: "gpd.GeoDataFrame"
    effort: "pd.DataFrame | None"
    habitat: "xr.DataArray | None"
    density_covariates: list["xr.DataArray"]
    resistance: list["xr.DataArray"]
    barriers: "gpd.GeoDataFrame | None"
    detector_type: str
    function: str
    density: tuple[str, ...]
    detection: tuple[str, ...]
    movement: tuple[str, ...]
    distance: str | None
    neighbours: int
    buffer_m: float | None
    spacing_m: float | None
    occasions: int | None
    conditional: bool
    profile: tuple[str, ...]
    compare: tuple[str, ...] | None
    level: float
    centres_used: int
    seed: int


@dataclass(frozen=True)
class Result:
    """What was fitted: the asked model, the others by name, and the profile intervals by parameter."""

    request: Request
    survey: Survey
    fitted: Fitted
    others: dict[str, Fitted]
    profiles: dict[int, Interval]


def run(request: Request) -> "CaptureModel":
    """Read, check, fit, compare, and put the result together."""
    from linkways.populations._capture_results import result_of

    survey, terms = read_survey(request)
    wanted = _comparisons(request, terms)
    progress(0.05, "fitting the model")
    fitted, others = _fit_all(survey, terms, wanted)
    progress(0.5, "profile likelihoods")
    with progress_between(0.5, 0.8):
        fitted, profiles = _profiles(request, survey, fitted)
    check_information(fitted)
    note_edges(fitted)
    progress(0.8, "maps and numbers")
    return result_of(Result(request, survey, fitted, others, profiles))


def read_survey(request: Request) -> tuple[Survey, Terms]:
    """Return the survey and the terms of the asked model, checked."""
    names = _resistance_names(request)
    terms = Terms(
        density=request.density,
        detection=request.detection,
        movement=request.movement,
        function=request.function,
        resistance=names,
        least_cost=_is_least_cost(request, names),
        by_sex="sex" in (*request.detection, *request.movement),
    )
    if request.conditional and request.density:
        raise LinkwaysError(
            f"{ID}: density names {request.density[0]}, and a conditional likelihood has a constant density; leave it "
            "out or set conditional to false"
        )
    rasters = [
        raster for raster in (request.habitat, *request.density_covariates, *request.resistance) if raster is not None
    ]
    layer = request.detectors if rasters else in_metres(request.detectors)
    detectors = read_detectors(layer)
    effort = read_effort(request.effort, detectors, last_occasion(request.captures), request.occasions)
    records = read_captures(request.captures, detectors, effort, request.detector_type)
    check_identifiable(terms, records)
    sigma0 = _spread(records, detectors, rasters)
    ground = _ground(request, detectors, rasters, sigma0)
    density_design(terms.density, request.density_covariates, ground)
    z, scale = _resistances(request, ground, names)
    survey = Survey(
        records=records,
        detectors=detectors,
        ground=ground,
        detector_type=request.detector_type,
        conditional=request.conditional,
        covariates=request.density_covariates,
        z=z,
        z_scale=scale,
        neighbours=request.neighbours,
        sigma0=sigma0,
    )
    return survey, terms


def _resistance_names(request: Request) -> tuple[str, ...]:
    names = [str(raster.name) for raster in request.resistance] + [BARRIERS] * (request.barriers is not None)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise LinkwaysError(f"{ID}: two resistance rasters are called {twice[0]}; give each a name of its own")
    return tuple(names)


def _is_least_cost(request: Request, names: Sequence[str]) -> bool:
    if request.distance == "euclidean" and names:
        raise LinkwaysError(
            f"{ID}: distance is euclidean, which no resistance changes, and {names[0]} is given; set distance to "
            "least_cost or leave the resistance and the barriers out"
        )
    return request.distance == "least_cost" or bool(names)


def _spread(records: "Records", detectors: Detectors, rasters: Sequence["xr.DataArray"]) -> float:
    """A first guess of sigma: the pooled spread of captures around their animal's middle."""
    from pyproj import Transformer

    x, y = detectors.x, detectors.y
    unit = 1.0
    if rasters:
        crs = detectors.table.crs
        if crs.is_geographic:
            to_metres = Transformer.from_crs(crs, detectors.table.estimate_utm_crs(), always_xy=True)
            x, y = to_metres.transform(x, y)
        else:
            unit = crs.axis_info[0].unit_conversion_factor
    total, freedom = 0.0, 0.0
    for i in range(len(records.animals)):
        mine = records.animal == i
        weight = records.count[mine].astype(float)
        if weight.sum() < 2:
            continue
        for place in (np.asarray(x)[records.detector[mine]], np.asarray(y)[records.detector[mine]]):
            middle = np.average(place, weights=weight)
            total += float(weight @ (place - middle) ** 2)
        freedom += 2 * (weight.sum() - 1)
    return float(np.sqrt(total / freedom)) * unit


def _ground(request: Request, detectors: Detectors, rasters: Sequence["xr.DataArray"], sigma0: float) -> Ground:
    from linkways.spatial import raster_like

    buffer_m, spacing_m = request.buffer_m, request.spacing_m
    if not rasters:
        if buffer_m is None:
            buffer_m = float(f"{5 * sigma0:.2g}")
            note(f"{ID}: the state space reaches {buffer_m:g} m around the detectors (5 times the spread of captures)")
        spacing_m = spacing_m or float(f"{sigma0 / 3:.2g}")
        return ground_of(detectors, new_grid(detectors, buffer_m, spacing_m), (), (), buffer_m, None)
    habitat = request.habitat
    if habitat is None:
        finite = np.all([np.isfinite(np.asarray(raster.values, float)) for raster in rasters], axis=0)
        habitat = raster_like(np.where(finite, 1.0, np.nan), rasters[0], name="state space")
    return ground_of(detectors, habitat, request.density_covariates, request.resistance, buffer_m, spacing_m)


def _resistances(
    request: Request, ground: Ground, names: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    fields = [np.asarray(raster.values, float) for raster in request.resistance]
    if request.barriers is not None:
        fields.append(barrier_cells(request.barriers, ground))
        inside = int(fields[-1].ravel()[ground.detector_cells].sum())
        if inside:
            note(
                f"{ID}: {inside} detectors lie in cells of the barriers, from where either side costs half a crossing; "
                "smaller cells would part them"
            )
    z: dict[str, np.ndarray] = {}
    scale: dict[str, float] = {}
    for name, field in zip(names, fields, strict=True):
        inside = field[ground.passable]
        least, span = float(inside.min()), float(np.ptp(inside))
        if span <= 1e-12 * max(abs(least), 1e-300):
            raise LinkwaysError(
                f"{ID}: the resistance of {name} cannot be told, since {name} has the same value ({least:g}) in all "
                "cells that animals can enter; leave it out"
            )
        z[name], scale[name] = np.where(ground.passable, (field - least) / span, 0.0), span
    return z, scale


def _comparisons(request: Request, terms: Terms) -> list[str]:
    apply = {
        "no resistance": bool(terms.resistance),
        "euclidean": terms.least_cost,
        "constant density": bool(terms.density),
        "constant detection": bool(terms.detection),
        "same sigma": bool(terms.movement),
        "other functions": True,
    }
    if request.compare is None:
        return [name for name in _COMPARISONS if apply[name] and name not in ("euclidean", "other functions")]
    for name in request.compare:
        if name not in apply:
            raise LinkwaysError(f"{ID}: compare names '{name}', which is no model{nearest(name, _COMPARISONS)}")
        if not apply[name]:
            raise LinkwaysError(
                f"{ID}: compare names '{name}', which is the asked model itself; leave it out of compare"
            )
    return [name for name in _COMPARISONS if name in request.compare]


def _fit_all(survey: Survey, terms: Terms, wanted: Sequence[str]) -> tuple[Fitted, dict[str, Fitted]]:
    others: dict[str, Fitted] = {}
    start: Fitted | None = None
    if terms.resistance:
        start = others["no resistance"] = fit_model(survey, replace(terms, resistance=()))
    fitted = fit_model(survey, terms, start)
    simpler = {
        "euclidean": replace(terms, resistance=(), least_cost=False),
        "constant density": replace(terms, density=()),
        "constant detection": replace(terms, detection=()),
        "same sigma": replace(terms, movement=()),
    }
    for number, name in enumerate(wanted):
        progress(0.2 + 0.3 * number / len(wanted), "fitting models to compare with")
        if name == "other functions":
            chance = SHAPES[terms.function][1]
            for other, (_, its) in SHAPES.items():
                if other != terms.function and its == chance:
                    others[other] = _with_resistance(survey, replace(terms, function=other))
        elif name in simpler:
            others[name] = _with_resistance(survey, simpler[name])
    if "no resistance" not in wanted:
        others.pop("no resistance", None)
    return fitted, others


def _with_resistance(survey: Survey, terms: Terms) -> Fitted:
    start = fit_model(survey, replace(terms, resistance=())) if terms.resistance else None
    return fit_model(survey, terms, start)


def _profiles(request: Request, survey: Survey, fitted: Fitted) -> tuple[Fitted, dict[int, Interval]]:
    from scipy.stats import chi2

    depth = float(chi2.ppf(request.level, 1)) / 2
    labels = fitted.assembled.labels
    indices = [j for j, (what, _) in enumerate(labels) if what == "resistance"]
    for name in request.profile:
        indices += [j for j in _named(name, labels) if j not in indices]
    found: dict[int, Interval] = {}
    for number, j in enumerate(indices):
        progress(number / len(indices), f"profile of {labels[j][0]}")
        fitted, found[j] = profile_of(survey, fitted, j, depth)
    return fitted, found


def _named(name: str, labels: Sequence[tuple[str, str]]) -> list[int]:
    known: dict[str, list[int]] = {}
    for j, (what, term) in enumerate(labels):
        known.setdefault(what, []).append(j)
        known[f"{what}:{term}"] = [j]
    if name not in known:
        raise LinkwaysError(f"{ID}: profile names '{name}', which is no parameter of the model{nearest(name, known)}")
    return known[name]


def barrier_index(result: Any) -> int | None:
    """Which parameter is that of the barriers, if any."""
    labels = result.fitted.assembled.labels
    return next((j for j, label in enumerate(labels) if label == ("resistance", BARRIERS)), None)
