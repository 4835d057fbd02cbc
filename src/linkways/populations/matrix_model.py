"""Stage matrices: growth rate, what it depends on, generation time, and growth when years differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import Indicator, Param, Table, TableOf, method

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MatrixModel", "matrix_model"]

ID = "populations.matrix_model"


@dataclass(frozen=True)
class MatrixModel:
    """What a stage matrix says of a population."""

    stages: Annotated["pd.DataFrame", TableOf("stage: stable_share, reproductive_value (first stage: 1)")]
    rates: Annotated["pd.DataFrame", TableOf("stage_to, stage_from: rate, sensitivity, elasticity of the growth rate")]
    growth_rate: Annotated[float, Indicator("yearly growth rate (lambda) of the mean matrix")]
    damping_ratio: Annotated[float, Indicator("how fast the stable distribution is reached, lambda / |second|")]
    reproduction: Annotated[float, Indicator("young in the first stage that a newborn leaves in its life (R0)")]
    generation_years: Annotated[float, Indicator("generation time, ln R0 / ln lambda", unit="years")]
    stochastic_growth: Annotated[
        float, Indicator("yearly growth rate in the long run when the matrices come in random order; no number for one")
    ]
    stochastic_low: Annotated[float, Indicator("lower end of its 95 % interval")]
    stochastic_high: Annotated[float, Indicator("upper end of its 95 % interval")]
    stochastic_approximation: Annotated[float, Indicator("the same by Tuljapurkar's small-variance approximation")]


@method(
    "populations.matrix_model",
    references=(
        "Caswell H (2001) Matrix population models. 2nd ed. Sinauer",
        "Tuljapurkar SD (1982) Population dynamics in variable environments II. Theoretical Population Biology "
        "21:141-165",
        "Brault S, Caswell H (1993) Pod-specific demography of killer whales (Orcinus orca). Ecology 74:1444-1454",
    ),
)
def matrix_model(
    matrices: Annotated[
        "Sequence[pd.DataFrame]",
        Table(
            "a square matrix of yearly rates, to the row's stage from the column's (column stage names the "
            "rows); several, "
            "one for each observed year, for growth in random years",
            columns=("stage",),
            many=True,
        ),
    ],
    *,
    births: Annotated[
        Sequence[str],
        Param("stages that the young enter: their rows, but for survival on the diagonal; empty: the first"),
    ] = (),
    years: Annotated[int, Param("years simulated for growth in random years", ge=100)] = 50_000,
    seed: Annotated[int, Param("of these years", ge=0)] = 0,
) -> MatrixModel:
    """Growth rate of a stage-structured population, its sensitivities, generation time, and growth in random years.

    For the mean matrix A with eigenvalue lambda, right vector w (stable shares) and left vector v (reproductive
    values): sensitivity of a_ij is v_i w_j / <v, w>, elasticity is that times a_ij / lambda. A = T + F with F the
    births; R0 is the leading eigenvalue of F (1 - T)^-1, generation time ln R0 / ln lambda. Births are the rows of
    ``births`` outside the diagonal; on the first stage's diagonal stands survival. In random years (each matrix alike
    likely, every year anew) the growth rate is exp of the mean of ln(n_t+1 / n_t) over a simulation, with the interval
    of batch means, and by approximation lambda exp(-tau2 / (2 lambda^2)), tau2 = sum of cov(a_ij, a_kl) s_ij s_kl.

    Raises LinkwaysError for a matrix that is not square, with negative rates, with survival above 1, without births, or
    with a growth rate of 0, and for several that do not name the same stages.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> matrix = pd.DataFrame({"stage": ["young", "adult"], "young": [0.0, 0.5], "adult": [1.0, 0.5]})
    >>> found = populations.matrix_model([matrix])
    >>> round(found.growth_rate, 6), round(found.reproduction, 6)
    (1.0, 1.0)
    >>> found.rates["elasticity"].round(3).tolist()
    [0.0, 0.333, 0.333, 0.333]
    """
    import pandas as pd

    names, stack = _matrices(matrices)
    mean = stack.mean(axis=0)
    fertile = _births(names, mean, births)
    values, right = np.linalg.eig(mean)
    lead = int(np.argmax(values.real))
    growth = float(values[lead].real)
    if growth <= 0:
        raise LinkwaysError(f"{ID}: the growth rate is 0: no stage leads back to itself; correct the matrix")
    w = np.abs(right[:, lead].real)
    w /= w.sum()
    left_values, left = np.linalg.eig(mean.T)
    v = np.abs(left[:, int(np.argmax(left_values.real))].real)
    sensitivity = np.outer(v, w) / (v @ w)
    others = np.sort(np.abs(np.delete(values, lead)))
    stay = mean - fertile
    reproduction = float(np.abs(np.linalg.eigvals(fertile @ np.linalg.inv(np.eye(len(mean)) - stay))).max())
    random, low, high, near = _in_random_years(stack, sensitivity, growth, years, seed)
    rates = pd.DataFrame(
        {
            "stage_to": np.repeat(names, len(names)),
            "stage_from": np.tile(names, len(names)),
            "rate": mean.ravel(),
            "sensitivity": sensitivity.ravel(),
            "elasticity": (sensitivity * mean / growth).ravel(),
        }
    )
    value = v / v[0] if v[0] > 0 else v / v.max()
    return MatrixModel(
        stages=pd.DataFrame({"stage": names, "stable_share": w, "reproductive_value": value}),
        rates=rates,
        growth_rate=growth,
        damping_ratio=float(growth / others[-1]) if len(others) and others[-1] > 0 else float("inf"),
        reproduction=reproduction,
        generation_years=_generation(growth, reproduction, v, w, fertile),
        stochastic_growth=random,
        stochastic_low=low,
        stochastic_high=high,
        stochastic_approximation=near,
    )


def _generation(growth: float, reproduction: float, v: np.ndarray, w: np.ndarray, fertile: np.ndarray) -> float:
    """ln R0 / ln lambda, or the limit of it at lambda = 1: the mean age of mothers."""
    if abs(growth - 1) < 1e-7:
        return float(growth * (v @ w) / (v @ fertile @ w))
    return float(np.log(reproduction) / np.log(growth))


def _matrices(tables: "Sequence[pd.DataFrame]") -> tuple[list[str], np.ndarray]:
    from linkways.populations._viability_tables import column, names_of

    if not tables:
        raise LinkwaysError(f"{ID}: matrices is empty; give at least one")
    names = names_of(ID, tables[0], "matrices[0]", "stage")
    found = []
    for number, table in enumerate(tables):
        where = f"matrices[{number}]"
        rows = [str(s) for s in table["stage"]]
        if rows != names:
            raise LinkwaysError(f"{ID}: {where} has the stages {', '.join(rows)}, but the first has {', '.join(names)}")
        extra = [str(c) for c in table.columns if str(c) not in (*names, "stage")]
        if extra:
            raise LinkwaysError(f"{ID}: {where} has a column '{extra[0]}' but no such row{nearest(extra[0], names)}")
        found.append(np.column_stack([column(ID, table, where, name) for name in names]))
    return names, np.array(found)


def _births(names: list[str], mean: np.ndarray, births: Sequence[str]) -> np.ndarray:
    """The part of the matrix that is births; the rest must be shares of a stage's members."""
    for name in births:
        if name not in names:
            raise LinkwaysError(f"{ID}: births has '{name}', which is no stage{nearest(name, names)}")
    enter = np.isin(names, list(births) or names[:1])
    fertile = np.where(enter[:, None] & ~np.eye(len(names), dtype=bool), mean, 0.0)
    if len(names) == 1:
        fertile = mean.copy()
    if not fertile.any():
        raise LinkwaysError(
            f"{ID}: the rows of births ({', '.join(np.array(names)[enter])}) hold no births; name others"
        )
    alive = (mean - fertile).sum(axis=0)
    worst = int(alive.argmax())
    if alive[worst] > 1 + 1e-9:
        raise LinkwaysError(
            f"{ID}: of stage '{names[worst]}' {alive[worst]:.4g} survive or move on, more than all; correct its "
            "column, or "
            "name the rows that are births"
        )
    if np.abs(np.linalg.eigvals(mean - fertile)).max() >= 1 - 1e-12:
        raise LinkwaysError(
            f"{ID}: stage '{names[worst]}' lives for ever, so lifetime reproduction has no end; give it survival "
            "below 1"
        )
    return fertile


def _in_random_years(
    stack: np.ndarray, sensitivity: np.ndarray, growth: float, years: int, seed: int
) -> tuple[float, float, float, float]:
    if len(stack) == 1:
        return float("nan"), float("nan"), float("nan"), float("nan")
    flat = (stack - stack.mean(axis=0)).reshape(len(stack), -1)
    # the spread of the observed years themselves, as each is drawn alike
    along = flat @ sensitivity.ravel()
    near = float(growth * np.exp(-np.mean(along**2) / (2 * growth**2)))
    steps = _log_growth(stack, np.random.default_rng(seed).integers(len(stack), size=years + 200))[200:]
    batches = np.array([part.mean() for part in np.array_split(steps, 50)])
    half = 2.009575 * batches.std(ddof=1) / np.sqrt(len(batches))
    middle = float(steps.mean())
    return float(np.exp(middle)), float(np.exp(middle - half)), float(np.exp(middle + half)), near


def _log_growth(stack: np.ndarray, order: np.ndarray) -> np.ndarray:
    shares = np.full(stack.shape[1], 1 / stack.shape[1])
    out = np.empty(len(order))
    for step, k in enumerate(order):
        shares = stack[k] @ shares
        total = shares.sum()
        if total <= 0:
            raise LinkwaysError(
                f"{ID}: in random years the population dies out, as a year leaves none; correct the matrices"
            )
        out[step] = np.log(total)
        shares = shares / total
    return out
