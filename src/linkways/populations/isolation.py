"""Isolation by distance, resistance or environment: which of them explains genetic distances."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Annotated

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import Figure, Indicator, Param, Table, TableOf, Vector, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd

    from linkways.populations._gene_mlpe import Mlpe
    from linkways.populations._gene_pairs import Pairs

__all__ = ["Isolation", "isolation"]

ID = "populations.isolation"
NORMAL_95 = 1.959963984540054
MOST_SUBSETS = 6


@dataclass(frozen=True)
class Isolation:
    """Models of genetic distances, from the best, and permutation tests beside them."""

    models: Annotated[
        "pd.DataFrame",
        TableOf(
            "predictors of the model (none: intercept only), parameters, log_likelihood (with its constant), aic, "
            "delta_aic, weight, rho, r2 (share of variance that the predictors explain)"
        ),
    ]
    coefficients: Annotated[
        "pd.DataFrame",
        TableOf("predictors of the model, term: coefficient, 95 % interval (low, high), p, standardised coefficient"),
    ]
    tests: Annotated[
        "pd.DataFrame",
        TableOf("test (mantel, partial_mantel, mmrr), predictor, given: statistic (r; for mmrr beta), p"),
    ]
    best: Annotated[str, Indicator("predictors of the model with the lowest AIC")]
    figure: Annotated["matplotlib.figure.Figure", Figure("genetic distance against every predictor")]


@method(
    "populations.isolation",
    references=(
        "Clarke RT, Rothery P, Raybould AF (2002) Confidence limits for regression relationships between distance "
        "matrices: estimating gene flow with distance. JABES 7:361-372 (MLPE)",
        "Mantel N (1967) The detection of disease clustering. Cancer Research 27:209-220",
        "Wang IJ (2013) Examining the full effects of landscape heterogeneity on spatial genetic variation. Evolution "
        "67:3403-3411 (MMRR)",
        "Guillot G, Rousset F (2013) Dismantling the Mantel tests. Methods in Ecology and Evolution 4:336-344",
    ),
)
def isolation(
    genetic: Annotated[
        "pd.DataFrame",
        Table("genetic distances: population_a, population_b and the response, e.g. genetic_diversity's"),
    ],
    predictors: Annotated[
        "Sequence[pd.DataFrame] | None",
        Table(
            "tables of pairs (core_a, core_b or source, target ...) with least-cost or resistance distances", many=True
        ),
    ] = None,
    sites: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("where the populations are; adds distance_m and differences of environment", columns=("population",)),
    ] = None,
    *,
    response: Annotated[str, Param("column of genetic that is explained")] = "fst",
    use: Annotated[Sequence[str], Param("predictors to use; empty: all numbers of predictors and sites")] = (),
    environment: Annotated[Sequence[str], Param("columns of sites whose absolute differences are predictors")] = (),
    logarithm: Annotated[Sequence[str], Param("predictors of which the logarithm is taken")] = (),
    subsets: Annotated[bool, Param("fit all combinations of predictors, not only each alone and all together")] = False,
    permutations: Annotated[int, Param("of the Mantel family; 0: leave these tests out", ge=0)] = 999,
    seed: Annotated[int, Param("of the permutations", ge=0)] = 0,
) -> Isolation:
    """Which of distance, resistance and environment explains genetic distances, by mixed models and Mantel tests.

    MLPE: y_ij = a + sum b_k x_k,ij + e_ij, e normal with variance s2 and correlation rho (0 to 0.5) between pairs that
    share a population, fitted by maximum likelihood, so that models with different predictors can be compared by AIC.
    Intervals and p are those of the normal distribution at the estimated rho. With rho the pairs of n populations do
    not count as n (n - 1) / 2 observations.

    The Mantel family permutes populations: r of response and predictor; partial, given all other predictors; mmrr,
    standardised coefficients of the multiple regression. These p are too small where both matrices are spatially
    autocorrelated, as they usually are (Guillot and Rousset, 2013): they do not choose between distance and resistance.
    The tests need every pair and are left out, with a note, where some are missing.

    Raises LinkwaysError for pairs without a predictor, too few pairs for the model, and predictors that do not vary or
    repeat others, whose coefficients could not be told apart.

    Examples
    --------
    >>> import itertools, numpy as np, pandas as pd
    >>> from linkways import populations
    >>> pairs = pd.DataFrame(itertools.combinations("abcdef", 2), columns=["population_a", "population_b"])
    >>> road = pairs["population_a"].isin(["a", "b", "c"]) != pairs["population_b"].isin(["a", "b", "c"])
    >>> noise = np.random.default_rng(1).normal(0, 0.01, len(pairs))
    >>> known = pairs.assign(across_road=road * 1.0, distance_m=np.random.default_rng(2).uniform(1e3, 9e3, len(pairs)))
    >>> found = populations.isolation(pairs.assign(fst=0.05 + 0.1 * road + noise), [known])
    >>> found.best, round(float(found.coefficients.query("term == 'across_road'")["coefficient"].iloc[0]), 1)
    ('across_road', 0.1)
    """
    import pandas as pd

    from linkways.populations._gene_mlpe import Mlpe
    from linkways.populations._gene_pairs import pairs_of

    pairs = pairs_of(ID, genetic, "genetic", response)
    columns = _columns(genetic, predictors or (), sites, pairs, use, environment, logarithm)
    chosen = _models(list(columns), subsets)
    _refuse_unidentifiable(pairs, columns)
    mlpe = Mlpe(pairs.first, pairs.second, pairs.response)
    models, coefficients = [], []
    for number, terms in enumerate(chosen):
        progress(0.8 * number / len(chosen), "fitting models")
        model, rows = _fit(mlpe, columns, terms)
        models.append(model)
        coefficients += rows
    table = pd.DataFrame(models).sort_values("aic", kind="stable", ignore_index=True)
    table.insert(4, "delta_aic", table["aic"] - table["aic"].iloc[0])
    share = np.exp(-table["delta_aic"] / 2)
    table.insert(5, "weight", share / share.sum())
    progress(0.8, "permuting populations")
    return Isolation(
        models=table,
        coefficients=pd.DataFrame(coefficients),
        tests=_tests(pairs, columns, permutations, seed),
        best=str(table["predictors"].iloc[0]),
        figure=_draw(pairs, columns, response),
    )


def _columns(
    genetic: "pd.DataFrame",
    tables: "Sequence[pd.DataFrame]",
    sites: "gpd.GeoDataFrame | None",
    pairs: "Pairs",
    use: Sequence[str],
    environment: Sequence[str],
    logarithm: Sequence[str],
) -> dict[str, np.ndarray]:
    from linkways.populations._gene_pairs import predictor_columns, site_predictors

    if environment and sites is None:
        raise LinkwaysError(f"{ID}: environment names columns of sites, but sites is missing; give it")
    found = predictor_columns(ID, tables, genetic, pairs, use)
    if sites is not None:
        found = {**site_predictors(ID, sites, pairs, environment), **found}
    for name in use:
        if name not in found:
            raise LinkwaysError(f"{ID}: use has '{name}', which no input has{nearest(name, found)}")
    found = {name: found[name] for name in use} if use else found
    if not found:
        raise LinkwaysError(f"{ID}: there is nothing to explain genetic distances by; give predictors or sites")
    for name in logarithm:
        if name not in found:
            raise LinkwaysError(f"{ID}: logarithm has '{name}', which is no predictor{nearest(name, found)}")
        if not (found[name] > 0).all():
            raise LinkwaysError(f"{ID}: predictor '{name}' is 0 or less for some pair and has no logarithm there")
        found[name] = np.log(found[name])
    return found


def _models(names: list[str], subsets: bool) -> list[tuple[str, ...]]:
    if subsets and len(names) > MOST_SUBSETS:
        raise LinkwaysError(
            f"{ID}: subsets of {len(names)} predictors are too many; name at most {MOST_SUBSETS} in use"
        )
    sizes = range(1, len(names) + 1) if subsets else sorted({1, len(names)})
    return [(), *(c for size in sizes for c in combinations(names, size))]


def _refuse_unidentifiable(pairs: "Pairs", columns: dict[str, np.ndarray]) -> None:
    """Every predictor must vary, and not be a combination of those before it."""
    needed = len(columns) + 4
    if len(pairs.first) < needed or len(pairs.names) < 4:
        raise LinkwaysError(
            f"{ID}: {len(pairs.first)} pairs of {len(pairs.names)} populations are too few for {len(columns)} "
            "predictors; "
            f"give at least {needed} pairs of 4 populations"
        )
    if np.ptp(pairs.response) == 0:
        raise LinkwaysError(f"{ID}: all genetic distances are the same, so nothing can be explained")
    basis = np.full((len(pairs.first), 1), len(pairs.first) ** -0.5)
    for name, values in columns.items():
        size = np.linalg.norm(values)
        left = values - basis @ (basis.T @ values)
        left -= basis @ (basis.T @ left)
        if np.linalg.norm(left) <= 1e-9 * size or size == 0:
            why = (
                "does not vary among pairs" if basis.shape[1] == 1 else "does not vary or follows from those before it"
            )
            raise LinkwaysError(
                f"{ID}: the coefficient of '{name}' cannot be identified: it {why}; leave it out with use"
            )
        basis = np.column_stack([basis, left / np.linalg.norm(left)])


def _fit(
    mlpe: "Mlpe", columns: dict[str, np.ndarray], terms: tuple[str, ...]
) -> tuple[dict[str, object], list[dict[str, object]]]:
    from scipy.special import ndtr

    design = np.column_stack([columns[t] for t in terms]) if terms else np.zeros((len(mlpe.response), 0))
    fit = mlpe.fit(design)
    count = len(terms) + 3
    spread = float(fit.fitted.var())
    name = " + ".join(terms) or "none"
    model: dict[str, object] = {
        "predictors": name,
        "parameters": count,
        "log_likelihood": fit.log_likelihood,
        "aic": 2 * count - 2 * fit.log_likelihood,
        "rho": fit.rho,
        "r2": spread / (spread + fit.variance),
    }
    errors = np.sqrt(np.diag(fit.covariance))
    scale = np.array([np.nan, *(columns[t].std() for t in terms)]) / mlpe.response.std()
    rows: list[dict[str, object]] = [
        {
            "predictors": name,
            "term": term,
            "coefficient": float(b),
            "low": float(b - NORMAL_95 * e),
            "high": float(b + NORMAL_95 * e),
            "p": float(2 * ndtr(-abs(b) / e)),
            "standardised": float(b * s),
        }
        for term, b, e, s in zip(("intercept", *terms), fit.coefficients, errors, scale, strict=True)
    ]
    return model, rows


def _tests(pairs: "Pairs", columns: dict[str, np.ndarray], permutations: int, seed: int) -> "pd.DataFrame":
    import pandas as pd

    from linkways.populations._gene_mantel import mantel, partial_mantel, regression
    from linkways.spatial import note

    rows: list[tuple[str, str, str, float, float]] = []
    if permutations and not pairs.complete:
        note(f"{ID}: some pairs of populations are missing, so the Mantel family is left out")
    if permutations and pairs.complete:
        rng = np.random.default_rng(seed)
        response = pairs.square(pairs.response)
        squares = {name: pairs.square(values) for name, values in columns.items()}
        for name, square in squares.items():
            rows.append(("mantel", name, "", *mantel(response, square, permutations, rng)))
        if len(squares) > 1:
            for name, square in squares.items():
                given = [n for n in squares if n != name]
                found = partial_mantel(response, square, [squares[n] for n in given], permutations, rng)
                rows.append(("partial_mantel", name, " + ".join(given), *found))
        beta, p, _ = regression(response, list(squares.values()), permutations, rng)
        rows += [("mmrr", n, "", float(b), float(q)) for n, b, q in zip(squares, beta, p, strict=True)]
    return pd.DataFrame(rows, columns=["test", "predictor", "given", "statistic", "p"])


def _draw(pairs: "Pairs", columns: dict[str, np.ndarray], response: str) -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure

    shown = list(columns.items())[:9]
    across = min(3, len(shown))
    figure = Figure(figsize=(3.6 * across, 3.0 * (1 + (len(shown) - 1) // across)), layout="constrained")
    axes = figure.subplots(1 + (len(shown) - 1) // across, across, squeeze=False).ravel()
    for ax in axes[len(shown) :]:
        ax.set_visible(False)
    for (name, values), ax in zip(shown, axes, strict=False):
        ax.plot(values, pairs.response, "o", color="#2171b5", markersize=3, alpha=0.6)
        ax.set_xlabel(name)
        ax.set_ylabel(response)
    return figure
