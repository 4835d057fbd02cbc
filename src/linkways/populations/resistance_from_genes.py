"""Resistance of a landscape estimated from genetic distances between populations."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Layer, Param, Raster, Table, TableOf, Vector, method, progress
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd
    import xarray as xr

    from linkways.populations._gene_mlpe import Mlpe
    from linkways.populations._gene_pairs import Pairs
    from linkways.populations._gene_surface import Estimate, Surface

__all__ = ["ResistanceFromGenes", "resistance_from_genes"]

ID = "populations.resistance_from_genes"
NORMAL_95 = 1.959963984540054
FARTHEST = 25.0
"""A standardised effect beyond which conductances leave the range of what can be computed."""


@dataclass(frozen=True)
class ResistanceFromGenes:
    """The resistance that explains genetic distances best, and what speaks for it."""

    resistance: Annotated["xr.DataArray", Layer("resistance of each cell; 1 where covariates have their mean")]
    covariates: Annotated[
        "pd.DataFrame",
        TableOf(
            "covariate: effect on the logarithm of conductance of one standard deviation, standard_error, 95 % "
            "interval "
            "(low, high), p, mean, sd and effect_per_unit"
        ),
    ]
    models: Annotated[
        "pd.DataFrame",
        TableOf(
            "covariates of the model (none: distance through an even landscape; no landscape): log_likelihood, aic"
        ),
    ]
    distances: Annotated[
        "pd.DataFrame", TableOf("population_a, population_b, genetic distance, resistance between them, fitted")
    ]
    log_likelihood: Annotated[float, Indicator("log-likelihood of the model, its constant M / 2 ln(2 pi) counted")]
    intercept: Annotated[float, Indicator("genetic distance at resistance 0")]
    slope: Annotated[float, Indicator("genetic distance per unit of resistance")]
    rho: Annotated[float, Indicator("correlation of pairs that share a population")]
    variance: Annotated[float, Indicator("residual variance of genetic distances")]
    figure: Annotated["matplotlib.figure.Figure", Figure("genetic distance against resistance between populations")]


@method(
    "populations.resistance_from_genes",
    references=(
        "McRae BH (2006) Isolation by resistance. Evolution 60:1551-1561",
        "Clarke RT, Rothery P, Raybould AF (2002) Confidence limits for regression relationships between distance "
        "matrices: estimating gene flow with distance. JABES 7:361-372 (MLPE)",
        "Pope NS (2020) radish: fast gradient-based optimization of resistance surfaces (conductance as "
        "log-linear model, "
        "adjoint gradient)",
    ),
)
def resistance_from_genes(
    covariates: Annotated[
        "Sequence[xr.DataArray]", Raster("what resistance may depend on, each by its name", many=True)
    ],
    sites: Annotated["gpd.GeoDataFrame", Vector("where the populations are", ("Point",), columns=("population",))],
    genetic: Annotated[
        "pd.DataFrame",
        Table("genetic distances: population_a, population_b and the response, e.g. genetic_diversity's"),
    ],
    *,
    response: Annotated[str, Param("column of genetic that is explained")] = "fst",
    compare: Annotated[bool, Param("fit each covariate alone beside all together")] = True,
    neighbours: Annotated[Literal[4, 8], Param("cells that are joined by an edge (4), or also by a corner (8)")] = 8,
    steps: Annotated[
        Literal["metres", "cells"],
        Param("conductance between neighbours falls with the metres between them, or all neighbours are alike"),
    ] = "metres",
) -> ResistanceFromGenes:
    """The resistance surface that explains genetic distances best, with the effect and interval of every covariate.

    Conductance of a cell is exp(sum theta_k z_k), z_k the covariate less its mean over its standard deviation;
    resistance is its inverse. Two neighbours are joined by the mean of their conductances over the metres between them
    (in units of the mean cell), and R_ij is the effective resistance between two populations' cells. Genetic distances
    are a + b R_ij + e_ij, with the mixed model of populations.isolation (MLPE); theta and all its parameters are fitted
    together by maximum likelihood, with the exact gradient (adjoint). Standard errors come from the curvature of the
    profile likelihood. Other programs leave out the constant M / 2 ln(2 pi) of the log-likelihood.

    Effects of covariates that go together in the landscape are hard to part: look at their intervals, and compare
    models by AIC. A rise of genetic distance with resistance is what the model is about: it is noted where b < 0.

    Raises LinkwaysError for populations outside the covariates or parted by cells without data, for covariates that do
    not vary or follow from others, too few pairs, and for effects without a finite estimate, naming the covariate.

    Examples
    --------
    >>> import geopandas as gpd, itertools, numpy as np, pandas as pd
    >>> from linkways import populations, spatial
    >>> rng = np.random.default_rng(3)
    >>> forest = spatial.new_raster(rng.normal(size=(12, 12)), crs="EPSG:3035", cell_size=1000, origin=(0, 12e3))
    >>> at = rng.uniform(500, 11500, (9, 2))
    >>> sites = gpd.GeoDataFrame({"population": list("abcdefghi")}, geometry=gpd.points_from_xy(*at.T), crs="EPSG:3035")
    >>> pairs = pd.DataFrame(itertools.combinations("abcdefghi", 2), columns=["population_a", "population_b"])
    >>> found = populations.resistance_from_genes([forest], sites, pairs.assign(fst=rng.uniform(0.1, 0.2, 36)))
    >>> found.models["covariates"].tolist()
    ['covariate_1', 'none', 'no landscape']
    """
    import pandas as pd

    from linkways.populations._gene_mlpe import Mlpe
    from linkways.populations._gene_pairs import pairs_of

    places = [str(p) for p in sites["population"]]
    if len(set(places)) < len(places):
        raise LinkwaysError(f"{ID}: sites names a population more than once; give each one point")
    pairs = pairs_of(ID, genetic, "genetic", response, places)
    names, values, spread = _standardised(covariates)
    surface = _surface(covariates[0], values, sites, pairs, neighbours, steps)
    _refuse_unidentifiable(surface, pairs, names)
    mlpe = Mlpe(pairs.first, pairs.second, pairs.response)
    best = _estimate(surface, mlpe, names, 0.0, 0.7 if compare and len(names) > 1 else 1.0)
    theta, information = best.theta, best.information
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    from scipy.special import ndtr

    table = pd.DataFrame(
        {
            "covariate": names,
            "effect": theta,
            "standard_error": errors,
            "low": theta - NORMAL_95 * errors,
            "high": theta + NORMAL_95 * errors,
            "p": 2 * ndtr(-np.abs(theta / errors)),
            "mean": spread[0],
            "sd": spread[1],
            "effect_per_unit": theta / spread[1],
        }
    )
    if best.fit.coefficients[1] < 0:
        note(
            f"{ID}: genetic distance falls with resistance (slope {best.fit.coefficients[1]:.4g}); the effects "
            "mean nothing"
        )
    resistance = covariates[0].copy(data=1 / surface.conductance(theta)).rename("resistance")
    resistance.attrs = {"units": "resistance"}
    distances = pd.DataFrame(
        {
            "population_a": np.array(pairs.names)[pairs.first],
            "population_b": np.array(pairs.names)[pairs.second],
            response: pairs.response,
            "resistance": best.resistance,
            "fitted": best.fit.fitted,
        }
    )
    return ResistanceFromGenes(
        resistance=resistance,
        covariates=table,
        models=_models(surface, mlpe, names, best, compare),
        distances=distances,
        log_likelihood=best.fit.log_likelihood,
        intercept=float(best.fit.coefficients[0]),
        slope=float(best.fit.coefficients[1]),
        rho=best.fit.rho,
        variance=best.fit.variance,
        figure=_draw(distances, response),
    )


def _standardised(covariates: "Sequence[xr.DataArray]") -> tuple[list[str], np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Names, values less their mean over their standard deviation, and these two."""
    if not covariates:
        raise LinkwaysError(f"{ID}: covariates is empty; give at least one raster")
    names = [
        str(c.name) if c.name not in (None, "", "raster") else f"covariate_{k + 1}" for k, c in enumerate(covariates)
    ]
    if len(set(names)) < len(names):
        raise LinkwaysError(f"{ID}: two covariates are called '{max(names, key=names.count)}'; rename one")
    stack = np.array([np.asarray(c.values, float) for c in covariates])
    stack[~np.isfinite(stack)] = np.nan
    shared = np.isfinite(stack).all(axis=0)
    if not shared.any():
        raise LinkwaysError(f"{ID}: no cell has a value of every covariate; give rasters that overlap")
    mean = np.array([layer[np.isfinite(layer)].mean() for layer in stack])
    sd = np.array([layer[np.isfinite(layer)].std(ddof=1) for layer in stack])
    for name, layer, deviation in zip(names, stack, sd, strict=True):
        if not deviation > 1e-12 * max(np.nanmax(np.abs(layer)), 1e-300):
            raise LinkwaysError(
                f"{ID}: the effect of '{name}' cannot be identified: it has one value everywhere; leave it out"
            )
    return names, (stack - mean[:, None, None]) / sd[:, None, None], (mean, sd)


def _surface(
    raster: "xr.DataArray",
    values: np.ndarray,
    sites: "gpd.GeoDataFrame",
    pairs: "Pairs",
    neighbours: int,
    steps: str,
) -> "Surface":
    from linkways.kernels.laplacian import StepLengths, components
    from linkways.populations._gene_surface import Surface
    from linkways.spatial import cell_geometry, grid_of

    grid = grid_of(raster)
    used = np.unique(np.concatenate([pairs.first, pairs.second]))
    x, y = sites.geometry.x.to_numpy(), sites.geometry.y.to_numpy()
    column = np.floor((x - grid.x0) / grid.dx).astype(np.int64)
    row = np.floor((y - grid.y0) / grid.dy).astype(np.int64)
    nodes = np.isfinite(values).all(axis=0)
    inside = (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
    inside[inside] = nodes[row[inside], column[inside]]
    outside = [pairs.names[k] for k in used if not inside[k]]
    if outside:
        raise LinkwaysError(
            f"{ID}: population '{outside[0]}' ({len(outside)} in all) lies where a covariate has no value; move "
            "its point, "
            "fill the raster, or leave it out of genetic"
        )
    groups = components(nodes, neighbours)
    of = groups[row[used], column[used]]
    if len(np.unique(of)) > 1:
        odd = pairs.names[used[int((of != of[0]).argmax())]]
        raise LinkwaysError(
            f"{ID}: cells without data part '{odd}' from '{pairs.names[used[0]]}', so their resistance is "
            "infinite; fill the "
            "covariates there, or leave one out of genetic"
        )
    kept = groups == of[0]
    cells, place = np.unique(np.column_stack([row[used], column[used]]), axis=0, return_inverse=True)
    site = np.full(len(pairs.names), -1, np.int64)
    site[used] = place.ravel()
    if steps == "cells":
        lengths = StepLengths(np.ones(grid.rows), np.ones(grid.rows - 1), np.ones(grid.rows - 1))
    else:
        cell = cell_geometry(raster)
        unit = float(np.sqrt(cell.area_m2.mean()))
        lengths = StepLengths(cell.east_west_m / unit, cell.north_south_m / unit, cell.diagonal_m / unit)
    threads = min(os.cpu_count() or 1, 8)
    return Surface(np.where(kept, values, np.nan), cells, site, neighbours, lengths, threads)


def _refuse_unidentifiable(surface: "Surface", pairs: "Pairs", names: list[str]) -> None:
    """Covariates must vary among the cells joined to the populations, none following from the others."""
    if len(surface.cells) < 3 or len(pairs.first) < len(names) + 5:
        raise LinkwaysError(
            f"{ID}: {len(pairs.first)} pairs in {len(surface.cells)} cells are too few for {len(names)} "
            "covariates; give at "
            f"least {len(names) + 5} pairs in 3 cells"
        )
    inside = surface.covariates[:, surface.nodes]
    basis = np.full((inside.shape[1], 1), inside.shape[1] ** -0.5)
    for name, values in zip(names, inside, strict=True):
        left = values - basis @ (basis.T @ values)
        left -= basis @ (basis.T @ left)
        size = np.linalg.norm(left)
        if size <= 1e-9 * max(float(np.linalg.norm(values)), 1e-300):
            raise LinkwaysError(
                f"{ID}: the effect of '{name}' cannot be identified: it has one value where the populations are "
                "joined, or "
                "follows from the covariates before it; leave it out"
            )
        basis = np.column_stack([basis, left / size])


def _estimate(surface: "Surface", mlpe: "Mlpe", names: list[str], first: float, last: float) -> "Estimate":
    """The most likely effects, refused where the data do not tell one of them."""
    from linkways.populations._gene_surface import estimate

    def told(step: int) -> None:
        progress(first + (last - first) * (1 - 0.85**step), f"{' + '.join(names)}: step {step}")

    with np.errstate(over="ignore", invalid="ignore"):
        found = estimate(surface, mlpe, np.zeros(len(names)), told)
    values, vectors = np.linalg.eigh(found.information)
    flat = values[0] <= 1e-8 * max(values[-1], 1.0)
    far = np.abs(found.theta) > FARTHEST
    if flat or far.any() or not found.converged:
        worst = int(np.abs(found.theta).argmax()) if far.any() else int(np.abs(vectors[:, 0]).argmax())
        raise LinkwaysError(
            f"{ID}: the effect of '{names[worst]}' cannot be estimated: the likelihood "
            f"{'grows without end' if far.any() else 'is flat'} in its direction (last value "
            f"{found.theta[worst]:.3g}); leave "
            "it out, or add populations where it differs"
        )
    return found


def _models(surface: "Surface", mlpe: "Mlpe", names: list[str], best: "Estimate", compare: bool) -> "pd.DataFrame":
    from dataclasses import replace

    import pandas as pd

    rows: list[dict[str, Any]] = []

    def add(name: str, parameters: int, value: float) -> None:
        aic = 2 * parameters - 2 * value
        rows.append({"covariates": name, "parameters": parameters, "log_likelihood": value, "aic": aic})

    add(" + ".join(names), len(names) + 4, best.fit.log_likelihood)
    for k, name in enumerate(names if compare and len(names) > 1 else []):
        alone = replace(surface, covariates=np.where(surface.nodes, surface.covariates[k : k + 1], np.nan))
        share = 0.7 + 0.3 * k / len(names)
        add(name, 5, _estimate(alone, mlpe, [name], share, share + 0.3 / len(names)).fit.log_likelihood)
    even = surface.resistances(np.zeros(len(names)), mlpe.first, mlpe.second)
    add("none", 4, mlpe.fit(even[:, None]).log_likelihood)
    add("no landscape", 3, mlpe.fit(np.zeros((len(even), 0))).log_likelihood)
    return pd.DataFrame(rows)


def _draw(distances: "pd.DataFrame", response: str) -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    ax = figure.subplots()
    ax.plot(distances["resistance"], distances[response], "o", color="#2171b5", markersize=3, alpha=0.6)
    order = distances.sort_values("resistance")
    ax.plot(order["resistance"], order["fitted"], color="#c2410c", linewidth=1.4)
    ax.set_xlabel("resistance between populations")
    ax.set_ylabel(response)
    return figure
