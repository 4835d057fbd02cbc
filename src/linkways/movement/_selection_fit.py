"""A selection model fitted to used and available rows, its coefficients, and how well it tells rows it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import progress
from linkways.movement._clogit import Likelihood, conditional_logit, logistic, robust_covariance
from linkways.movement._selection_data import Cases
from linkways.movement._selection_terms import Term, design
from linkways.spatial import note

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Fitted", "fit_selection", "validated"]

NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class Fitted:
    """Coefficients of terms (without the intercept), with covariances of the model and by animal."""

    terms: Sequence[Term]
    beta: np.ndarray
    covariance: np.ndarray
    robust: np.ndarray | None
    by_animal: bool
    """Whether intervals come from the covariance by animal."""
    log_likelihood: float
    log_likelihood_null: float
    parameters: int

    @property
    def of_intervals(self) -> np.ndarray:
        """The covariance that intervals come from."""
        return self.robust if self.by_animal and self.robust is not None else self.covariance

    @property
    def by_term(self) -> dict[str, float]:
        """Coefficients by the text of their term."""
        return {str(term): float(b) for term, b in zip(self.terms, self.beta, strict=True)}

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return 2 * self.parameters - 2 * self.log_likelihood

    def table(self) -> "pd.DataFrame":
        """term, coefficient, its errors, 95 % interval, z, p, and relative strength exp(coefficient)."""
        import pandas as pd
        from scipy.stats import norm

        error = np.sqrt(np.diag(self.covariance))
        robust = np.full(len(error), np.nan) if self.robust is None else np.sqrt(np.diag(self.robust))
        shown = np.sqrt(np.diag(self.of_intervals))
        with np.errstate(over="ignore"):
            strength = np.exp(self.beta)
        return pd.DataFrame(
            {
                "term": [str(term) for term in self.terms],
                "coefficient": self.beta,
                "standard_error": error,
                "robust_error": robust,
                "low": self.beta - NORMAL_95 * shown,
                "high": self.beta + NORMAL_95 * shown,
                "z": self.beta / shown,
                "p": 2 * norm.sf(np.abs(self.beta / shown)),
                "relative_strength": strength,
            }
        )


def fit_selection(cases: Cases, terms: Sequence[Term], *, weight: float, by_animal: bool) -> Fitted:
    """Fit the conditional logit where rows have strata, else the weighted logistic model.

    ``weight`` is that of an available place (Fithian & Hastie, 2013). Raises LinkwaysError for separation, terms that
    cannot be told apart, and errors by animal with a single one.
    """
    x = design(terms, cases.variables)
    names = [str(term) for term in terms]
    animals = len(set(cases.animal))
    if by_animal and animals < 2:
        raise LinkwaysError(
            f"standard errors by animal need several animals and there is {animals}; set standard_errors to model"
        )
    fitted = _likelihood(cases, x, names, weight)
    scores, animal = _scores(cases, x, fitted.beta, weight)
    robust = robust_covariance(fitted.covariance, scores, animal) if animals > 1 else None
    slopes = slice(0 if cases.stratum is not None else 1, None)
    return Fitted(
        list(terms),
        fitted.beta[slopes],
        fitted.covariance[slopes, slopes],
        None if robust is None else robust[slopes, slopes],
        by_animal,
        fitted.log_likelihood,
        fitted.log_likelihood_null,
        len(fitted.beta),
    )


def _likelihood(cases: Cases, x: np.ndarray, names: Sequence[str], weight: float) -> Likelihood:
    if cases.stratum is not None:
        return conditional_logit(x, cases.strata, names)
    return logistic(x, cases.case.astype(float), np.where(cases.case == 1, 1.0, weight), names)


def _scores(cases: Cases, x: np.ndarray, beta: np.ndarray, weight: float) -> tuple[np.ndarray, np.ndarray]:
    """The score of every stratum or row, and the animal it belongs to."""
    from linkways.movement._clogit_kernels import stratum_scores, stratum_shares

    if cases.stratum is not None:
        strata = cases.strata
        share = stratum_shares(x @ beta, strata.start)
        return stratum_scores(x, strata.case, strata.start, share), cases.animal[strata.case]
    full = np.column_stack([np.ones(len(x)), x])
    share = 0.5 * (1 + np.tanh(full @ beta / 2))
    return full * ((cases.case - share) * np.where(cases.case == 1, 1.0, weight))[:, None], cases.animal


def validated(cases: Cases, terms: Sequence[Term], *, by: str, folds: int, weight: float) -> "pd.DataFrame | None":
    """How well a model fitted to the other folds tells used from available rows in each fold.

    Folds are animals, or stretches of each animal's time (blocks: Roberts et al., 2017). In a fold, ``auc`` is the
    probability that a used row scores above an available one (of its stratum). ``spearman`` is the rank correlation of
    ten bins of score with used / expected rows in them (Boyce et al., 2002; for strata the bins are ranks within
    the stratum, Fortin et al., 2009): near 1 for a good model, 0 for none.
    """
    import pandas as pd

    fold, names = _folds(cases, by, folds)
    if len(names) < 2:
        note(f"movement.selection: no validation, since there is one {'animal' if by == 'animals' else 'block'} only")
        return None
    rows = []
    for k, name in enumerate(names):
        progress(0.5 + 0.3 * k / len(names), f"validating, fold {k + 1} of {len(names)}")
        left, rest = cases.chosen(fold == k), cases.chosen(fold != k)
        try:
            beta = fit_selection(rest, terms, weight=weight, by_animal=False).beta
        except LinkwaysError as error:
            note(f"movement.selection: validation without {name} is left empty: {error}")
            rows.append((name, int(left.case.sum()), np.nan, np.nan))
            continue
        rank, expected = _ranks(left, design(terms, left.variables) @ beta)
        rows.append((name, int(left.case.sum()), _auc(left, rank), _boyce(left, rank, expected)))
    return pd.DataFrame(rows, columns=["left_out", "used", "auc", "spearman"])


def _folds(cases: Cases, by: str, folds: int) -> tuple[np.ndarray, list[str]]:
    """The fold of every row, and the names of folds; a block is a stretch of time of every animal."""
    animals, number = np.unique(cases.animal.astype(str), return_inverse=True)
    if by == "animals":
        return number, [str(name) for name in animals]
    fold = np.zeros(len(number), np.int64)
    for animal in range(len(animals)):
        rows = np.flatnonzero(number == animal)
        _, position = np.unique(cases.order[rows], return_inverse=True)
        fold[rows] = position * folds // (position.max() + 1)
    return fold, [f"block {k + 1}" for k in range(fold.max() + 1)]


def _ranks(cases: Cases, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank of every row, 0 to 1, among those of its stratum or the available; and how often a row is expected used."""
    from scipy.stats import rankdata

    if cases.stratum is None:
        available = np.sort(score[cases.case == 0])
        below = np.searchsorted(available, score, "left") + np.searchsorted(available, score, "right")
        return below / (2 * max(len(available), 1)), (cases.case == 0).astype(float)
    order = np.lexsort([score, cases.stratum])
    strata = cases.strata
    size = np.diff(strata.start)[strata.of_row]
    # ties share their mean rank: rank among all rows less what lies before the stratum
    _, group = np.unique(cases.stratum, return_inverse=True)
    dense = np.empty(len(score))
    dense[order] = np.cumsum(np.r_[0, np.diff(score[order]) != 0] + np.r_[0, np.diff(group[order]) != 0] > 0)
    rank = rankdata(dense) - strata.start[strata.of_row] - 0.5
    return rank / size, 1 / size


def _auc(cases: Cases, rank: np.ndarray) -> float:
    """Probability that a used row ranks above an available one, ties half."""
    used = rank[cases.case == 1]
    if cases.stratum is None:
        return float(used.mean())
    size = np.diff(cases.strata.start)
    # a rank of (below + ties / 2 + 1/2) / size counts the row itself for a half
    return float(((used * size - 0.5) / (size - 1)).mean())


def _boyce(cases: Cases, rank: np.ndarray, expected: np.ndarray) -> float:
    """Rank correlation of ten bins of score with the used rows in them by those expected without selection."""
    from scipy.stats import rankdata

    bin_of = np.minimum((rank * 10).astype(int), 9)
    used = np.bincount(bin_of, weights=cases.case, minlength=10)
    by_chance = np.bincount(bin_of, weights=expected, minlength=10)
    filled = by_chance > 0
    if filled.sum() < 3:
        return float("nan")
    ratio = rankdata(used[filled] / by_chance[filled])
    if np.ptp(ratio) == 0:
        return 0.0
    return float(np.corrcoef(np.arange(filled.sum()), ratio)[0, 1])
