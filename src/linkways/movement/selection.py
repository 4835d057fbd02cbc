"""Resource and step selection: what animals choose of the ground, from used and available places or steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Layer, Param, Raster, Table, TableOf, Vector, method, progress
from linkways.movement._fixes import fixes_of
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd
    import xarray as xr

    from linkways.movement._selection_data import Cases, Ground
    from linkways.movement._selection_fit import Fitted
    from linkways.movement._selection_steps import Empirical, Tentative
    from linkways.movement._selection_terms import Term

__all__ = ["Selection", "selection"]

Kind = Literal["resource", "step", "integrated_step"]
Distribution = Literal["gamma", "exponential", "half_normal", "log_normal"]


@dataclass(frozen=True)
class Selection:
    """A fitted selection model, how well it foresees, and what it says of the landscape."""

    coefficients: Annotated[
        "pd.DataFrame",
        TableOf(
            "term, coefficient, standard_error, robust_error (by animal), low and high (95 %), z, p, relative_strength"
        ),
    ]
    log_likelihood: Annotated[float, Indicator("log-likelihood of the model", unit="natural logarithm")]
    log_likelihood_null: Annotated[
        float, Indicator("log-likelihood without selection: all coefficients 0", unit="natural logarithm")
    ]
    aic: Annotated[float, Indicator("Akaike's information criterion; compare models of the same rows only")]
    used: Annotated[int, Indicator("used places or steps in the model")]
    dropped: Annotated[
        int, Indicator("used places or steps left out: strata without a case or a choice, or without covariates")
    ]
    movement: Annotated[
        "pd.DataFrame | None",
        TableOf("parameters of steps and turns: tentative, and updated for selection; integrated_step only"),
    ]
    validation: Annotated["pd.DataFrame | None", TableOf("left_out, used, auc, spearman of every fold")]
    suitability: Annotated[
        "xr.DataArray | None", Layer("exp(b x) of the terms of places", unit="relative to an average available place")
    ]
    resistance: Annotated["xr.DataArray | None", Layer("resistance for corridors, from 1", unit="resistance")]
    conductance: Annotated["xr.DataArray | None", Layer("conductance, suitability to the power of gamma")]
    simulated: Annotated[
        "gpd.GeoDataFrame | None", Layer("simulated paths: path, start, steps, left_ground, simulated")
    ]
    rows: Annotated["pd.DataFrame", TableOf("the used and available rows with their variables")]
    curves: Annotated["matplotlib.figure.Figure", Figure("log relative selection strength by variable")]


@method(
    "movement.selection",
    references=(
        "Fortin D, Beyer HL, Boyce MS, Smith DW, Duchesne T, Mao JS (2005) Wolves influence elk movements: behavior "
        "shapes a trophic cascade in Yellowstone National Park. Ecology 86: 1320-1330",
        "Avgar T, Potts JR, Lewis MA, Boyce MS (2016) Integrated step selection analysis: bridging the gap between "
        "resource selection and animal movement. Methods in Ecology and Evolution 7: 619-630",
        "Fithian W, Hastie T (2013) Finite-sample equivalence in statistical models for presence-only data. Annals of "
        "Applied Statistics 7: 1917-1939",
        "Boyce MS, Vernier PR, Nielsen SE, Schmiegelow FKA (2002) Evaluating resource selection functions. Ecological "
        "Modelling 157: 281-300",
        "Roberts DR et al. (2017) Cross-validation strategies for data with temporal, spatial, hierarchical, or "
        "phylogenetic structure. Ecography 40: 913-929",
    ),
)
def selection(
    fixes: Annotated[
        "gpd.GeoDataFrame | None", Vector("GPS fixes", geometry=("Point",), columns=("animal", "time"))
    ] = None,
    covariates: Annotated[
        "Sequence[xr.DataArray] | None",
        Raster("rasters of what may be selected; terms call them by name", many=True, own_grid=True),
    ] = None,
    landcover: Annotated[
        "xr.DataArray | None",
        Raster("land cover classes; the most available is the reference", classes=True, own_grid=True),
    ] = None,
    barriers: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("fences, roads, rivers for the terms cross and crossings", geometry=("LineString",)),
    ] = None,
    area: Annotated[
        "gpd.GeoDataFrame | None", Vector("what is available (kind resource)", geometry=("Polygon",))
    ] = None,
    starts: Annotated[
        "gpd.GeoDataFrame | None", Vector("where simulated paths start; left out: first fixes", geometry=("Point",))
    ] = None,
    cases: Annotated[
        "pd.DataFrame | None",
        Table("instead of fixes: used (case 1) and available (0) rows by stratum, with variables", columns=("case",)),
    ] = None,
    *,
    kind: Annotated[Kind, Param("places (RSF), steps (SSF), or steps with their movement (iSSA)")] = "integrated_step",
    terms: Annotated[
        Sequence[str] | None,
        Param("e.g. forest, elevation**2, forest:log_sl, cross; left out: every raster, and cross where barriers are"),
    ] = None,
    n_control: Annotated[int, Param("available places or steps for each used one", ge=1)] = 20,
    step_distribution: Annotated[Distribution, Param("tentative step lengths of integrated_step")] = "gamma",
    interval_h: Annotated[float | None, Param("time of a step; left out: the median", unit="hours", gt=0)] = None,
    tolerance: Annotated[
        float, Param("steps whose time is off by more than this share are left out", ge=0, lt=1)
    ] = 0.25,
    buffer_m: Annotated[
        float | None, Param("kind resource: available is this far around fixes, not the convex hull", unit="m", gt=0)
    ] = None,
    weight: Annotated[
        float, Param("of an available place (kind resource)", gt=0, source="Fithian & Hastie 2013: large")
    ] = 1000.0,
    standard_errors: Annotated[
        Literal["model", "animal"], Param("intervals from the likelihood, or from what differs between animals")
    ] = "model",
    validate: Annotated[Literal["blocks", "animals", "none"], Param("what is left out in turn")] = "blocks",
    folds: Annotated[int, Param("blocks of time", ge=2)] = 5,
    gamma: Annotated[float, Param("conductance is suitability to this power", gt=0)] = 1.0,
    max_resistance: Annotated[float, Param("resistance of the least suitable cell", gt=1)] = 100.0,
    paths: Annotated[int, Param("simulated paths from each start", ge=0)] = 0,
    path_steps: Annotated[int, Param("steps of a simulated path", ge=1)] = 200,
    candidates: Annotated[int, Param("steps to choose from in simulated paths", ge=2)] = 100,
    seed: Annotated[int, Param("of available and simulated steps", ge=0)] = 0,
) -> Selection:
    """Selection coefficients from used and available places or steps, with maps for corridors and simulated paths.

    - ``resource``: every fix against ``n_control`` places drawn evenly from the animal's convex hull, a buffer or a
      given area, by logistic regression in which available places weigh ``weight``.
    - ``step``: every step against others from the same start whose lengths and turns are drawn from those seen, by
      conditional logistic regression: P(case) = exp(b x) / sum over the stratum exp(b x).
    - ``integrated_step``: the same with steps drawn from a fitted distribution and von Mises turns; the movement terms
      (gamma: sl and log_sl; exponential: sl; half_normal: sl**2; log_normal: log_sl and log_sl**2; and cos_ta) are
      always in the model and give the distribution that is left without selection (table movement).

    A variable is the value of a raster at a place or at the end of a step (name), or where the step starts
    (name_start, for interactions such as name_start:log_sl); sl is the length in metres, log_sl its logarithm, cos_ta
    the cosine of the turn, cross whether and crossings how many barriers the step meets. A step is used when it and
    the one before take ``interval_h`` and it has a length and a turn. Rows without covariates are left out; a stratum
    that loses its case is left out whole and counted in ``dropped``.

    Suitability is exp(b x) of the terms made of rasters alone, relative to an average available place, resistance
    w^-gamma stretched to 1 ... ``max_resistance``, for corridors.least_cost. Barriers act on steps, not on cells:
    their relative_strength is the factor by which a crossing is less likely. Fixes that follow each other closely are
    not independent: with several animals (20 or more) trust ``standard_errors="animal"``.

    Raises LinkwaysError for a term that parts used from available rows perfectly (separation), terms that cannot be
    told apart, covariates that do not overlap the fixes, unknown terms, and a table of cases with two in a stratum.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import movement
    >>> cases = pd.DataFrame(
    ...     {
    ...         "stratum": [1, 1, 1, 2, 2, 2, 3, 3, 3],
    ...         "case": [1, 0, 0] * 3,
    ...         "forest": [1, 0, 0, 1, 0, 0, 0, 1, 0],
    ...     }
    ... )
    >>> found = movement.selection(cases=cases, kind="step", terms=["forest"], validate="none")
    >>> found.coefficients[["term", "coefficient", "standard_error"]].round(3)
         term  coefficient  standard_error
    0  forest        1.386           1.225
    """
    from linkways.movement._selection_fit import fit_selection, validated
    from linkways.movement._selection_surfaces import curves

    rng = np.random.default_rng(seed)
    _refuse_unused(fixes, cases, kind, barriers, area, buffer_m, starts, paths)
    if fixes is None:
        drawn = _from_table(cases, covariates or (), landcover, kind, terms)
    else:
        ground = _ground(covariates or (), landcover, barriers, fixes.crs)
        texts = _texts(terms, ground, kind, step_distribution)
        if kind == "resource":
            drawn = _places(fixes, ground, texts, area, buffer_m, n_control, rng)
        else:
            distribution = step_distribution if kind == "integrated_step" else None
            drawn = _steps(fixes, ground, texts, interval_h, tolerance, n_control, distribution, rng)
    progress(0.4, "fitting")
    fitted = fit_selection(drawn.cases, drawn.terms, weight=weight, by_animal=standard_errors == "animal")
    validation = None
    if validate != "none":
        validation = validated(drawn.cases, drawn.terms, by=validate, folds=folds, weight=weight)
    progress(0.8, "drawing maps and curves")
    suitability, resistance, conductance = _maps(drawn, fitted, gamma, max_resistance)
    simulated = _simulated(drawn, fitted, starts, paths, path_steps, candidates, rng) if paths else None
    return Selection(
        coefficients=fitted.table(),
        log_likelihood=fitted.log_likelihood,
        log_likelihood_null=fitted.log_likelihood_null,
        aic=fitted.aic,
        used=int(drawn.cases.case.sum()),
        dropped=drawn.cases.dropped,
        movement=_movement_table(drawn.source, fitted.by_term),
        validation=validation,
        suitability=suitability,
        resistance=resistance,
        conductance=conductance,
        simulated=simulated,
        rows=drawn.cases.table(),
        curves=curves(fitted, drawn.cases, drawn.classes),
    )


@dataclass(frozen=True)
class _Drawn:
    """Complete used and available rows, the terms of the model on them, and where they are from."""

    cases: "Cases"
    terms: "list[Term]"
    classes: dict[str, list[float]]
    ground: "Ground"
    source: "Empirical | Tentative | None" = None
    first_m: np.ndarray | None = None
    """(animals, 2) first fixes."""


def _refuse_unused(
    fixes: "gpd.GeoDataFrame | None",
    cases: "pd.DataFrame | None",
    kind: str,
    barriers: "gpd.GeoDataFrame | None",
    area: "gpd.GeoDataFrame | None",
    buffer_m: float | None,
    starts: "gpd.GeoDataFrame | None",
    paths: int,
) -> None:
    """Refuse what the call would not make use of."""
    if (fixes is None) == (cases is None):
        raise LinkwaysError("movement.selection: give either fixes or cases, not both and not neither")
    unused = {
        "barriers act on steps drawn from fixes": barriers is not None and (fixes is None or kind == "resource"),
        "area is for places drawn from fixes (kind resource)": area is not None
        and (fixes is None or kind != "resource"),
        "buffer_m is for places drawn from fixes (kind resource), without area": buffer_m is not None
        and (fixes is None or kind != "resource" or area is not None),
        "paths are simulated from a model of steps drawn from fixes": paths > 0
        and (fixes is None or kind == "resource"),
        "starts are for simulated paths": starts is not None and paths == 0,
    }
    for words, is_so in unused.items():
        if is_so:
            raise LinkwaysError(f"movement.selection: {words}; leave {words.split()[0]} out or change the rest")


def _ground(
    covariates: "Sequence[xr.DataArray]",
    landcover: "xr.DataArray | None",
    barriers: "gpd.GeoDataFrame | None",
    crs: Any,
) -> "Ground":
    from linkways.movement._selection_data import Ground

    return Ground.of(covariates, landcover, barriers, crs)


def _texts(terms: Sequence[str] | None, ground: "Ground", kind: str, distribution: str) -> list[str]:
    """The terms asked for, or those of all rasters and barriers, with the movement terms that kind always has."""
    from linkways.movement._selection_steps import STEP_TERMS

    if terms is None:
        terms = [*ground.rasters, *(["cross"] if ground.barriers is not None else [])]
    texts = [text.replace(" ", "") for text in terms]
    if kind == "integrated_step":
        texts += [term for term in (*STEP_TERMS[distribution], "cos_ta") if term not in texts]
    if not texts:
        raise LinkwaysError(
            "movement.selection: nothing to select is given; give covariates, landcover, barriers or terms"
        )
    return texts


def _read(texts: Sequence[str], cases: "Cases", ground: "Ground") -> "tuple[list[Term], dict[str, list[float]]]":
    from linkways.movement._selection_data import classes_by_use
    from linkways.movement._selection_terms import read_terms

    classes = classes_by_use(cases, ground.class_names)
    return read_terms(texts, list(cases.variables), classes), classes


def _drawn(
    cases: "Cases",
    texts: Sequence[str],
    ground: "Ground",
    source: "Empirical | Tentative | None" = None,
    first_m: np.ndarray | None = None,
) -> _Drawn:
    terms, classes = _read(texts, cases, ground)
    complete = cases.complete(terms)
    if complete.dropped:
        what = "used places" if cases.stratum is None else "strata"
        note(f"movement.selection: {complete.dropped} {what} left out without a case, a choice or covariates")
    return _Drawn(complete, terms, classes, ground, source, first_m)


def _from_table(
    table: "pd.DataFrame | None",
    covariates: "Sequence[xr.DataArray]",
    landcover: "xr.DataArray | None",
    kind: str,
    terms: Sequence[str] | None,
) -> _Drawn:
    from linkways.movement._selection_data import cases_of_table

    assert table is not None
    if not terms:
        raise LinkwaysError("movement.selection: cases need terms; name the columns that may be selected")
    ground = _ground(covariates, landcover, None, None)
    return _drawn(cases_of_table(table, kind != "resource"), terms, ground)


def _named(texts: Sequence[str], known: Sequence[str]) -> set[str]:
    """The variables that terms are made of; refuses unknown ones before anything is read."""
    from linkways.movement._selection_terms import read_terms

    return set().union(*(term.names for term in read_terms(texts, known, {})))


def _places(
    fixes: "gpd.GeoDataFrame",
    ground: "Ground",
    texts: Sequence[str],
    area: "gpd.GeoDataFrame | None",
    buffer_m: float | None,
    n_control: int,
    rng: np.random.Generator,
) -> _Drawn:
    from linkways.movement._selection_data import available_points

    names = _named(texts, ground.names(steps=False))
    track = fixes_of(fixes, at_least=1 if area is not None or buffer_m is not None else 3)
    return _drawn(available_points(track, ground, names, area, buffer_m, n_control, rng), texts, ground)


def _steps(
    fixes: "gpd.GeoDataFrame",
    ground: "Ground",
    texts: Sequence[str],
    interval_h: float | None,
    tolerance: float,
    n_control: int,
    distribution: str | None,
    rng: np.random.Generator,
) -> _Drawn:
    from linkways.movement._selection_data import StepRule, available_steps

    names = _named(texts, ground.names(steps=True))
    track = fixes_of(fixes)
    rule = StepRule(None if interval_h is None else interval_h * 3600, tolerance, n_control, distribution)
    cases, source, left_out = available_steps(track, ground, names, rule, rng)
    note(f"movement.selection: {left_out} steps left out, which are of another duration, of length 0 or without a turn")
    first = track.start[:-1]
    return _drawn(cases, texts, ground, source, np.column_stack([track.x_m[first], track.y_m[first]]))


def _maps(
    drawn: _Drawn, fitted: "Fitted", gamma: float, highest: float
) -> "tuple[xr.DataArray | None, xr.DataArray | None, xr.DataArray | None]":
    """Suitability, resistance and conductance; none without terms of rasters."""
    from linkways.movement._selection_surfaces import resistance_of, suitability_of

    suitability = suitability_of(drawn.ground, fitted, drawn.cases)
    if suitability is None:
        return None, None, None
    return (suitability, *resistance_of(suitability, gamma, highest))


def _movement_table(source: "Empirical | Tentative | None", by_term: dict[str, float]) -> "pd.DataFrame | None":
    """distribution, parameter, tentative and updated value; updated is empty where selection leaves no distribution."""
    import pandas as pd

    from linkways.movement._selection_steps import Tentative, updated

    if not isinstance(source, Tentative):
        return None
    new = updated(source, by_term)
    if new is None:
        note(f"movement.selection: the coefficients leave no {source.name} distribution of steps; look at the data")
    rows = [(source.name, key, value, new and new.parameters[key]) for key, value in source.parameters.items()]
    rows.append(("von_mises", "kappa", source.kappa, new and new.kappa))
    table = pd.DataFrame(rows, columns=["distribution", "parameter", "tentative", "updated"])
    return table.astype({"tentative": float, "updated": float})


def _simulated(
    drawn: _Drawn,
    fitted: "Fitted",
    starts: "gpd.GeoDataFrame | None",
    paths: int,
    path_steps: int,
    candidates: int,
    rng: np.random.Generator,
) -> "gpd.GeoDataFrame":
    from linkways.movement._selection_simulation import simulate

    ground = drawn.ground
    assert drawn.source is not None
    if starts is None:
        starts_m = drawn.first_m
    else:
        points = starts.to_crs(ground.crs).geometry.get_coordinates()
        starts_m = points.to_numpy() * ground.unit_m
    assert starts_m is not None
    return simulate(
        ground, fitted, drawn.source, starts_m, paths=paths, steps=path_steps, candidates=candidates, rng=rng
    )
