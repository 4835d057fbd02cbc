"""Occupancy: where a species is, although it is not always seen there, and how that changes between seasons."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Layer, Param, Raster, Table, TableOf, Vector, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd
    import xarray as xr

    from linkways.populations._occupancy_build import Setup, Terms
    from linkways.populations._occupancy_fit import Fit
    from linkways.populations._occupancy_fitness import Fitness
    from linkways.populations._occupancy_sites import Places
    from linkways.populations._occupancy_tables import Reported
    from linkways.populations._occupancy_terms import Design

__all__ = ["Occupancy", "occupancy"]

ID = "populations.occupancy"
ABUNDANCES = (25, 50, 100, 200, 400, 800)
"""Upper ends of the sum over abundance that are tried one after the other."""


@dataclass(frozen=True)
class Occupancy:
    """Where a species is, how likely it is to be seen there, and what that depends on."""

    coefficients: Annotated[
        "pd.DataFrame",
        TableOf(
            "parameter, term: estimate (logit; log for abundance), se, low, high, z, p, status; at the boundary there "
            "is no estimate, but the ends of the profile interval and the penalised one (penalised, penalised_se)"
        ),
    ]
    models: Annotated[
        "pd.DataFrame",
        TableOf("model: coefficients, log_likelihood, aic, aicc, delta, weight, status; the best first"),
    ]
    fitted: Annotated[
        "pd.DataFrame",
        TableOf(
            "site (season): visits, detections, psi with psi_se, psi_low, psi_high, psi_conditional (given its "
            "visits); abundance with royle_nichols"
        ),
    ]
    seasons: Annotated[
        "pd.DataFrame",
        TableOf(
            "season: sites, surveyed, naive, psi (mean) with interval, occupied (mean of psi_conditional); if dynamic "
            "colonisation, extinction, growth and turnover to the next, with standard errors"
        ),
    ]
    goodness_of_fit: Annotated[
        "pd.DataFrame | None",
        TableOf("chi_square of histories, c_hat and p by simulation, simulations; with bootstrap"),
    ]
    corridor: Annotated[
        "pd.DataFrame | None",
        TableOf(
            "inside, outside the corridor and their difference: sites, naive, occupied (share of these sites) with se "
            "and interval"
        ),
    ]
    sites: Annotated["gpd.GeoDataFrame | None", Layer("the sites with what fitted says of the last season")]
    occupancy: Annotated[
        "xr.DataArray | None", Layer("predicted probability of occupancy (first season)", unit="probability")
    ]
    occupancy_se: Annotated["xr.DataArray | None", Layer("its standard error", unit="probability")]
    mean_psi: Annotated[float, Indicator("mean probability of occupancy of the sites, first season")]
    naive: Annotated[float, Indicator("share of the surveyed sites with a detection, first season")]
    mean_detection: Annotated[float, Indicator("mean probability of detection on a visit to an occupied site")]
    log_likelihood: Annotated[float, Indicator("maximum of the log-likelihood")]
    aic: Annotated[float, Indicator("Akaike's criterion of the reported model")]
    c_hat: Annotated[float, Indicator("overdispersion of histories; no number without bootstrap")]
    figure: Annotated["matplotlib.figure.Figure", Figure("occupancy by season, response curves, goodness of fit")]


@method(
    ID,
    references=(
        "MacKenzie DI, Nichols JD, Lachman GB et al. (2002) Estimating site occupancy rates when detection "
        "probabilities are less than one. Ecology 83:2248-2255",
        "MacKenzie DI, Nichols JD, Hines JE et al. (2003) Estimating site occupancy, colonization, and local "
        "extinction when a species is detected imperfectly. Ecology 84:2200-2207",
        "Royle JA, Nichols JD (2003) Estimating abundance from repeated presence-absence data or point counts. Ecology "
        "84:777-790",
        "Miller DA, Nichols JD, McClintock BT et al. (2011) Improving occupancy estimation when two types of "
        "observational error occur. Ecology 92:1422-1428",
        "MacKenzie DI, Bailey LL (2004) Assessing the fit of site-occupancy models. Journal of Agricultural, "
        "Biological and Environmental Statistics 9:300-318",
        "Zeller KA, Nijhawan S, Salom-Perez R et al. (2011) Integrating occupancy modeling and interview data for "
        "corridor identification: a case study for jaguars in Nicaragua. Biological Conservation 144:892-901",
        "Greenland S, Mansournia MA (2015) Penalization, bias reduction, and default priors in logistic and related "
        "categorical and survival regressions. Statistics in Medicine 34:3133-3143 (log-F prior)",
    ),
)
def occupancy(
    histories: Annotated[
        "pd.DataFrame",
        Table(
            "a row for each site and occasion (visit, or interviewed person): detected 1, 0, or empty where nobody "
            "looked (2: confirmed, with false_positive); optional season, certain (1 where a visit cannot give a false "
            "detection), and covariates of visits",
            columns=("site", "occasion", "detected"),
        ),
    ],
    sites: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("where sites are: column site, covariates; sites without histories are predicted"),
    ] = None,
    site_table: Annotated["pd.DataFrame | None", Table("covariates of sites", columns=("site",))] = None,
    covariates: Annotated[
        "Sequence[xr.DataArray] | None",
        Raster("covariates to take at sites (unless a column has the name) and to predict onto", many=True),
    ] = None,
    distances: Annotated[
        "pd.DataFrame | None",
        Table(
            "pairs of sites (source, target, or site_a, site_b) with a distance, cost or resistance: colonisation "
            "(model dynamic) then depends on how many occupied sites are near"
        ),
    ] = None,
    corridor: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("a corridor to validate: sites inside against outside; adds the covariate in_corridor", ("Polygon",)),
    ] = None,
    *,
    model: Annotated[
        Literal["single", "dynamic", "royle_nichols", "false_positive"],
        Param(
            "one season; seasons with colonisation and extinction; detection that rises with abundance; visits that "
            "may err (interviews)"
        ),
    ] = "single",
    occupancy: Annotated[
        Sequence[str],
        Param("terms of occupancy (royle_nichols: of log abundance): forest, forest**2, log(x), forest:road"),
    ] = (),
    detection: Annotated[Sequence[str], Param("terms of detection: covariates of visits or sites, season")] = (),
    colonisation: Annotated[Sequence[str], Param("terms of colonisation (dynamic): covariates, season")] = (),
    extinction: Annotated[Sequence[str], Param("terms of extinction (dynamic): covariates, season")] = (),
    false_detection: Annotated[Sequence[str], Param("terms of false detection (false_positive)")] = (),
    candidates: Annotated[
        Sequence[str],
        Param("models to compare by AIC: 'occupancy(forest) detection(.)', or all: every part of the terms given"),
    ] = (),
    report: Annotated[
        Literal["given", "best"], Param("the model of the terms given, or the candidate of least AIC")
    ] = "given",
    standardise: Annotated[bool, Param("coefficients of one standard deviation of covariates, at their means")] = False,
    max_abundance: Annotated[
        int | None,
        Param("largest abundance summed over (royle_nichols); raised until it does not matter without", ge=2),
    ] = None,
    distance_column: Annotated[str | None, Param("column of distances; its only numbers without")] = None,
    dispersal_distance: Annotated[
        float | None, Param("mean distance a of exp(-d / a), in the unit of distances; estimated without it", gt=0)
    ] = None,
    interval: Annotated[
        Literal["wald", "profile"], Param("intervals of coefficients: normal, or by profile likelihood")
    ] = "wald",
    confidence: Annotated[float, Param("confidence of all intervals", gt=0, lt=1)] = 0.95,
    bootstrap: Annotated[int, Param("simulated surveys for the goodness of fit; 0: it is not judged", ge=0)] = 0,
    seed: Annotated[int, Param("of the simulated surveys", ge=0)] = 0,
) -> Occupancy:
    """Occupancy with imperfect detection, from repeated visits, cameras or interviews, with covariates and maps.

    - ``single``: L_i = psi_i prod_j p_ij^y (1 - p_ij)^(1 - y) + (1 - psi_i) [nothing seen].
    - ``dynamic``: the same with seasons, between which an empty site is colonised with chance gamma and an occupied
      one goes extinct with chance epsilon (covariates of the season before). With ``distances`` d,
      logit gamma_it = x b + c sum_j psi_jt exp(-d_ij / a): the coefficient connectivity is c.
    - ``royle_nichols``: abundance N is Poisson, a visit detects with 1 - (1 - r)^N, and psi = 1 - exp(-lambda).
    - ``false_positive``: visits detect with p where the species is and with p10 where it is not; a detection may be
      confirmed (2) and a visit certain. Without either, all rests on p > p10, and the log says so.

    Rates are inverse logits of an intercept and the terms; text and class rasters are classes with the first in order
    as reference. Visits and sites that lack a covariate are left out and told. psi_conditional is P(occupied | visits).
    Standard errors are from the Hessian and the delta method. An estimate beyond 5 (logit, at average covariates) whose
    standard error exceeds 1 lies at the boundary: it is not reported; its profile interval is, and all predictions are
    then from a fit with a log-F(1,1) prior on each standardised coefficient (Firth's correction for one proportion).
    c-hat is the chi-square of histories (of all seasons) over its mean in simulated surveys.

    Raises LinkwaysError for coefficients that the data cannot identify, rows told twice, detections other than 0 and 1,
    unknown covariates, such that differ within a site, and inputs that the model does not use.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> seen = ["110", "011", "000", "010", "000", "101", "000", "000", "100", "000"]
    >>> visits = pd.DataFrame(
    ...     [(site, visit, int(y)) for site, row in enumerate(seen) for visit, y in enumerate(row)],
    ...     columns=["site", "occasion", "detected"],
    ... )
    >>> found = populations.occupancy(visits)
    >>> found.coefficients[["parameter", "estimate", "se"]].round(2)
       parameter  estimate    se
    0  occupancy      0.43  0.94
    1  detection     -0.24  0.67
    >>> round(found.naive, 2), round(found.mean_psi, 2)
    (0.5, 0.61)
    """
    from linkways.populations._occupancy_histories import read_histories
    from linkways.populations._occupancy_sites import distances_between, raster_names, read_places

    terms = _terms(
        model,
        {
            "occupancy": occupancy,
            "colonisation": colonisation,
            "extinction": extinction,
            "detection": detection,
            "false_detection": false_detection,
        },
    )
    _refuse_unused(model, distances, distance_column, dispersal_distance, max_abundance)
    visits = read_histories(histories, model)
    places = read_places(visits.sites, sites, site_table, covariates or (), corridor)
    compared = _candidates(terms, candidates)
    from linkways.populations._occupancy_build import name_of, prepare

    between = None if distances is None else distances_between(distances, distance_column, places.sites)
    setup = prepare(
        model, visits, places, _union(compared), between, dispersal_distance, max_abundance or ABUNDANCES[0]
    )
    progress(0.1, "fitting")
    table, fits = _compare(setup, compared, name_of(terms))
    chosen = str(table["model"].iloc[0]) if report == "best" else name_of(terms)
    setup, designs, fit = _raised(*fits[chosen], grow=max_abundance is None)
    found = _reported(setup, designs, fit, standardise, confidence)
    progress(0.6, "judging the fit")
    judged = _judged(fit, setup, bootstrap, np.random.default_rng(seed))
    progress(0.9, "tables and maps")
    return _result(found, setup, table, judged, interval, raster_names(covariates or ()))


def _terms(model: str, given: dict[str, Sequence[str]]) -> dict[str, list[str]]:
    from linkways.populations._occupancy_models import PARTS

    for part, some in given.items():
        if some and part not in PARTS[model]:
            raise LinkwaysError(f"{ID}: model {model} has no {part}; leave the terms {', '.join(some)} out")
    out = {part: [text.replace(" ", "") for text in given[part]] for part in PARTS[model] if part in given}
    for part, some in out.items():
        if len(set(some)) < len(some):
            raise LinkwaysError(f"{ID}: a term of {part} is given twice; name it once")
    return out


def _refuse_unused(
    model: str,
    distances: "pd.DataFrame | None",
    column: str | None,
    dispersal_distance: float | None,
    max_abundance: int | None,
) -> None:
    unused = {
        "distances act on colonisation, which only model dynamic has": distances is not None and model != "dynamic",
        "distance_column is a column of distances, which are not given": column is not None and distances is None,
        "dispersal_distance acts with distances, which are not given": dispersal_distance is not None
        and distances is None,
        "max_abundance is of model royle_nichols": max_abundance is not None and model != "royle_nichols",
    }
    for words, is_so in unused.items():
        if is_so:
            raise LinkwaysError(f"{ID}: {words}; leave {words.split()[0]} out or change the model")


def _candidates(terms: dict[str, list[str]], texts: Sequence[str]) -> list[dict[str, list[str]]]:
    """The models to compare, the given one first."""
    from linkways.populations._occupancy_build import subsets
    from linkways.populations._occupancy_terms import read_model

    out = [terms]
    for text in texts:
        out += subsets(terms) if text.strip() == "all" else [read_model(text, list(terms))]
    return out


def _union(models: Sequence["Terms"]) -> dict[str, list[str]]:
    parts = models[0]
    return {part: list(dict.fromkeys(text for m in models for text in m[part])) for part in parts}


def _compare(
    setup: "Setup", compared: Sequence["Terms"], given: str
) -> "tuple[pd.DataFrame, dict[str, tuple[Setup, dict[str, Design], Fit]]]":
    """All models with their AIC; a candidate that cannot be identified has none, the given model is refused."""
    import pandas as pd

    from linkways.populations._occupancy_build import name_of

    rows, fits = [], {}
    for number, terms in enumerate(compared):
        name = name_of(terms)
        if name in fits:
            continue
        progress(0.1 + 0.5 * number / len(compared), "fitting")
        designs = setup.chosen(terms)
        count = len(setup.rows(designs))
        try:
            fit = _fit(setup, designs)
        except LinkwaysError:
            if name == given:
                raise
            rows.append((name, count, np.nan, np.nan, np.nan, "not identified"))
            continue
        fits[name] = (setup, designs, fit)
        aic = 2 * count - 2 * fit.log_likelihood
        spare = len(setup.histories.sites) - count - 1
        aicc = aic + 2 * count * (count + 1) / spare if spare > 0 else np.nan
        status = "boundary" if fit.boundary.any() else "estimated"
        rows.append((name, count, fit.log_likelihood, aic, aicc, status))
    table = pd.DataFrame(rows, columns=["model", "coefficients", "log_likelihood", "aic", "aicc", "status"])
    table = table.drop_duplicates("model").sort_values("aic", kind="stable", ignore_index=True)
    table.insert(5, "delta", table["aic"] - table["aic"].min())
    weight = np.exp(-table["delta"] / 2).fillna(0.0)
    table.insert(6, "weight", weight / weight.sum())
    return table, fits


def _fit(setup: "Setup", designs: "dict[str, Design]") -> "Fit":
    """A fitted model; without certain visits false detection is what is less likely than detection."""
    from linkways.populations._occupancy_fit import fit
    from linkways.populations._occupancy_models import FalsePositive, expit
    from linkways.spatial import note

    model = setup.model(designs)
    names = [f"{part} {term}" for part, term in setup.rows(designs)]
    found = fit(model, names)
    if isinstance(model, FalsePositive) and not model.certain.any() and not (model.y == 2).any():
        note(f"{ID}: no visit or detection is certain; all rests on detection being likelier than false detection")
        eta = model.predictors(found.theta)
        if expit(eta["detection"]).mean() < expit(eta["false_detection"]).mean():
            found = fit(model, names, [model.swapped(found.theta)])
    return found


def _raised(
    setup: "Setup", designs: "dict[str, Design]", fit: "Fit", *, grow: bool
) -> "tuple[Setup, dict[str, Design], Fit]":
    """The same with a sum over abundance that goes far enough; where it is given, a note if it does not."""
    from linkways.populations._occupancy_models import RoyleNichols
    from linkways.spatial import note

    while isinstance(fit.model, RoyleNichols) and (beyond := fit.model.beyond(fit.reported)) > 1e-9:
        further = [most for most in ABUNDANCES if most > setup.most]
        if not grow or not further:
            if beyond > 1e-6:
                note(f"{ID}: P(N = {setup.most}) is {beyond:.1e} at the richest site; raise max_abundance")
            break
        setup = replace(setup, most=further[0])
        fit = _fit(setup, designs)
    return setup, designs, fit


def _reported(
    setup: "Setup", designs: "dict[str, Design]", fit: "Fit", standardise: bool, confidence: float
) -> "Reported":
    from scipy.stats import norm

    from linkways.populations._occupancy_tables import Reported
    from linkways.spatial import note

    rows = setup.rows(designs)
    if fit.boundary.any():
        guilty = [f"{part} {term}" for (part, term), at in zip(rows, fit.boundary, strict=True) if at]
        note(
            f"{ID}: {' and '.join(guilty)} at the boundary, not an estimate; predictions are from the penalised fit "
            "(log-F prior)"
        )
    matrix, shift = setup.scaling(designs, standardise)
    return Reported(fit, designs, rows, matrix, shift, setup.levels, float(norm.ppf(0.5 + confidence / 2)))


def _judged(fit: "Fit", setup: "Setup", bootstrap: int, rng: np.random.Generator) -> "Fitness":
    from linkways.populations._occupancy_fitness import fitness

    return fitness(fit, setup.histories.occasion, bootstrap, rng)


def _result(
    found: "Reported",
    setup: "Setup",
    models: "pd.DataFrame",
    judged: "Fitness",
    interval: str,
    rasters: "dict[str, xr.DataArray]",
) -> Occupancy:
    import pandas as pd

    from linkways.populations._occupancy_models import RoyleNichols
    from linkways.populations._occupancy_sites import CORRIDOR
    from linkways.populations._occupancy_tables import (
        coefficient_table,
        corridor_table,
        figure_of,
        maps_of,
        season_table,
        site_table,
    )

    histories, fit = setup.histories, found.fit
    fitted, seasons = site_table(found, histories), season_table(found, histories)
    inside = setup.places.values.get(CORRIDOR)
    corridor = None if inside is None else corridor_table(found, histories, inside)
    p = 1 / (1 + np.exp(-fit.model.predictors(fit.reported)["detection"]))
    if isinstance(fit.model, RoyleNichols):
        # of the visits to occupied sites: P(y = 1 | N > 0)
        mean = fit.model.abundance(fit.reported)[fit.model.unit_of_visit()]
        p = np.expm1(-mean * p) / np.expm1(-mean)
    layer, error = maps_of(found, rasters)
    simulated = len(judged.simulated)
    goodness = {"chi_square": judged.chi_square, "c_hat": judged.c_hat, "p": judged.p_value, "simulations": simulated}
    return Occupancy(
        coefficients=coefficient_table(found, interval == "profile"),
        models=models,
        fitted=fitted,
        seasons=seasons,
        goodness_of_fit=pd.DataFrame([goodness]) if simulated else None,
        corridor=corridor,
        sites=_site_layer(setup.places, fitted),
        occupancy=layer,
        occupancy_se=error,
        mean_psi=float(seasons["psi"].iloc[0]),
        naive=float(seasons["naive"].iloc[0]),
        mean_detection=float(p.mean()),
        log_likelihood=fit.log_likelihood,
        aic=2 * len(fit.theta) - 2 * fit.log_likelihood,
        c_hat=judged.c_hat,
        figure=figure_of(found, seasons, judged.simulated, judged.chi_square),
    )


def _site_layer(places: "Places", fitted: "pd.DataFrame") -> "gpd.GeoDataFrame | None":
    if places.layer is None:
        return None
    last = fitted.groupby("site", sort=False).tail(1).reset_index(drop=True)
    layer = places.layer
    fresh = [name for name in last.columns if name != "site"]
    out = layer.drop(columns=[name for name in fresh if name in layer.columns])
    return out.assign(**{name: last[name].to_numpy() for name in fresh})
