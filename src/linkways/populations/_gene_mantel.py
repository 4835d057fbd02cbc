"""Permutation tests between distance matrices: Mantel, partial Mantel, and multiple regression on matrices."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["mantel", "partial_mantel", "regression"]

Floats = NDArray[np.float64]


def _vector(matrix: Floats) -> Floats:
    return matrix[np.triu_indices(len(matrix), 1)]


def _shuffles(matrix: Floats, permutations: int, rng: np.random.Generator) -> Floats:
    """(permutations + 1, M): the matrix with its sites in random order; first row: as it is."""
    upper = np.triu_indices(len(matrix), 1)
    out = np.empty((permutations + 1, len(upper[0])))
    out[0] = matrix[upper]
    for k in range(1, permutations + 1):
        order = rng.permutation(len(matrix))
        out[k] = matrix[order[upper[0]], order[upper[1]]]
    return out


def _share(statistics: Floats) -> float:
    """Share of permutations at least as far from 0 as what was found, which counts among them."""
    return float((np.abs(statistics) >= abs(statistics[0]) - 1e-12).mean())


def _standard(values: Floats) -> Floats:
    centred = values - values.mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.linalg.norm(centred, axis=-1, keepdims=True))


def mantel(response: Floats, predictor: Floats, permutations: int, rng: np.random.Generator) -> tuple[float, float]:
    """Correlation of two distance matrices and its two-sided permutation p (Mantel 1967)."""
    statistics = _standard(_shuffles(response, permutations, rng)) @ _standard(_vector(predictor))
    return float(statistics[0]), _share(statistics)


def partial_mantel(
    response: Floats, predictor: Floats, given: list[Floats], permutations: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Correlation given other matrices (Smouse et al. 1986); the sites of the response are permuted."""
    others = np.column_stack([np.ones(len(_vector(predictor))), *(_vector(g) for g in given)])
    basis = np.linalg.qr(others)[0]
    shuffled = _shuffles(response, permutations, rng)
    shuffled = shuffled - (shuffled @ basis) @ basis.T
    left = _vector(predictor) - basis @ (basis.T @ _vector(predictor))
    statistics = shuffled @ left / np.linalg.norm(shuffled, axis=1) / np.linalg.norm(left)
    return float(statistics[0]), _share(statistics)


def regression(
    response: Floats, predictors: list[Floats], permutations: int, rng: np.random.Generator
) -> tuple[Floats, Floats, float]:
    """Standardised coefficients, their p from permuted t, and R2 (Legendre et al. 1994; MMRR, Wang 2013)."""
    columns = np.column_stack([_standard(_vector(p)) for p in predictors])
    shuffled = _standard(_shuffles(response, permutations, rng))
    inverse = np.linalg.inv(columns.T @ columns)
    beta = shuffled @ columns @ inverse
    residual = np.maximum(1 - np.einsum("pk,kl,pl->p", beta, columns.T @ columns, beta), 1e-300)
    t = beta / np.sqrt(residual[:, None] * np.diag(inverse))
    return beta[0], np.array([_share(t[:, k]) for k in range(len(predictors))]), float(1 - residual[0])
