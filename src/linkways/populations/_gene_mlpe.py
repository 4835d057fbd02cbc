"""Regression of pairwise distances with maximum-likelihood population effects (MLPE), in closed form but for rho.

Pairs that share a site correlate by rho: C = (1 - 2 rho) I + rho Z Z', Z the incidence of pairs and sites (Clarke et
al. 2002). The eigenvectors of Z'Z, sites by sites, diagonalise C for every rho at once, for any set of pairs. For all
pairs they are the constant vector, the centred site sums, and the rest, with 1 + 2 (n - 2) rho, 1 + (n - 4) rho, 1 - 2
rho.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fit", "Mlpe"]

Floats = NDArray[np.float64]
MOST_RHO = 0.5 - 1e-9


@dataclass(frozen=True)
class Fit:
    """Maximum-likelihood estimates: coefficients (intercept first), their covariance, and the rest of the model."""

    coefficients: Floats
    covariance: Floats
    rho: float
    variance: float
    log_likelihood: float
    """With its constant, M / 2 ln(2 pi)."""
    slope: Floats
    """(M,) C^-1 e / variance: the gradient of the log-likelihood by the fitted values."""
    fitted: Floats


@dataclass(frozen=True)
class Mlpe:
    """The pairs and the response; fits any predictors."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    response: Floats

    @cached_property
    def _space(self) -> tuple[Floats, Floats]:
        """Orthonormal basis (M, r) of the site effects and the eigenvalues (r,) of Z Z' there."""
        size = int(max(self.first.max(), self.second.max())) + 1
        incidence = np.zeros((len(self.first), size))
        rows = np.arange(len(self.first))
        incidence[rows, self.first] = incidence[rows, self.second] = 1.0
        values, vectors = np.linalg.eigh(incidence.T @ incidence)
        kept = values > 1e-9 * values[-1]
        return incidence @ vectors[:, kept] / np.sqrt(values[kept]), values[kept]

    def fit(self, predictors: Floats, most_rho: float = MOST_RHO) -> Fit:
        """Fit intercept and predictors (M, k); the columns must be linearly independent."""
        from scipy.optimize import brentq

        design = np.column_stack([np.ones(len(self.response)), predictors])
        # columns of like size keep the normal equations well conditioned
        scale = np.linalg.norm(design, axis=0)
        table = np.column_stack([design / scale, self.response])
        basis, values = self._space
        inside, whole = basis.T @ table, table.T @ table

        def solve(rho: float) -> tuple[float, Floats, Floats, float]:
            rest = 1 - 2 * rho
            weight = rho * values / (rest + rho * values)
            products = (whole - inside.T @ (weight[:, None] * inside)) / rest
            normal = products[:-1, :-1]
            beta = np.linalg.solve(normal, products[:-1, -1])
            variance = float(products[-1, -1] - products[:-1, -1] @ beta) / len(table)
            log_det = (len(table) - len(values)) * np.log(rest) + np.log(rest + rho * values).sum()
            value = -0.5 * (len(table) * (np.log(2 * np.pi * variance) + 1) + log_det)
            return float(value), beta, normal, variance

        def uphill(rho: float) -> float:
            """Derivative of the profile log-likelihood by rho: the other estimates are at their best already."""
            _, beta, _, variance = solve(rho)
            rest = 1 - 2 * rho
            along = inside[:, -1] - inside[:, :-1] @ beta
            left = table[:, -1] - table[:, :-1] @ beta
            outside = float(left @ left - along @ along)
            own = rest + rho * values
            shape = (values - 2) / own
            squares = -2 * outside / rest**2 + float((along**2 * shape / own).sum())
            return 0.5 * (squares / variance + 2 * (len(table) - len(values)) / rest - float(shape.sum()))

        grid = np.linspace(0.0, most_rho, 41)
        best = int(np.argmax([solve(float(r))[0] for r in grid]))
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, 40)])
        rho = float(grid[best])
        if uphill(low) > 0 > uphill(high):
            rho = float(brentq(uphill, low, high, xtol=1e-15, rtol=1e-14))
        value, beta, normal, variance = solve(rho)
        residual = self.response - design / scale @ beta
        rest = 1 - 2 * rho
        back = basis @ (rho * values / (rest + rho * values) * (basis.T @ residual))
        return Fit(
            coefficients=beta / scale,
            covariance=np.linalg.inv(normal) * variance / np.outer(scale, scale),
            rho=rho,
            variance=variance,
            log_likelihood=value,
            slope=(residual - back) / rest / variance,
            fitted=self.response - residual,
        )
