"""Effective resistance between sites on a landscape whose conductance depends on covariates, with its derivatives.

Conductance of a cell is exp(sum theta_k x_k), of an edge the mean of its two cells over its length. One factorisation
gives the resistances of all pairs, R_ij = (e_i - e_j)' L+ (e_i - e_j), and the voltages v_i of a unit current into each
site. dR_ij by the conductance of an edge is minus the square of the drop of v_i - v_j across it, so that the gradient
of any function of the resistances needs no further solution (adjoint), whatever the number of covariates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from linkways.populations._gene_mlpe import Fit, Mlpe

if TYPE_CHECKING:
    from linkways.kernels.laplacian import StepLengths
    from linkways.kernels.nested_dissection import Factor

__all__ = ["Estimate", "Surface", "estimate", "hessian"]

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
STEP = 1e-4
"""Of theta, to tell the curvature at the start."""


@dataclass(frozen=True)
class Surface:
    """Covariates (k, rows, columns), NaN outside; distinct cells of the sites (c, 2), and which each site has (n,)."""

    covariates: Floats
    cells: NDArray[np.int64]
    site: NDArray[np.int64]
    neighbours: int
    steps: "StepLengths"
    threads: int

    @cached_property
    def nodes(self) -> NDArray[np.bool_]:
        """(rows, columns) cells of the network."""
        return np.asarray(np.isfinite(self.covariates).all(axis=0))

    def conductance(self, theta: Floats) -> Floats:
        """(rows, columns), NaN outside."""
        return np.where(self.nodes, np.exp(np.tensordot(theta, np.nan_to_num(self.covariates), axes=1)), np.nan)

    def factor(self, theta: Floats) -> "Factor":
        """The factor of the landscape's Laplacian, sites last."""
        from linkways.kernels.laplacian import raster_stencil
        from linkways.kernels.nested_dissection import factorise

        stencil = raster_stencil(
            self.conductance(theta),
            kind="conductance",
            neighbours=8 if self.neighbours == 8 else 4,
            steps=self.steps,
        )
        return factorise(stencil, keep_last=[self.cells], threads=self.threads)

    def resistances(self, theta: Floats, first: Numbers, second: Numbers) -> Floats:
        """Of the pairs of sites: resistance (M,)."""
        return self.factor(theta).schur().resistances()[self.site[first], self.site[second]]

    def gradient(self, theta: Floats, factor: "Factor", first: Numbers, second: Numbers, weight: Floats) -> Floats:
        """sum of weight times dR / dtheta over the pairs, (k,).

        With K the sum of weight (e_i - e_j)(e_i - e_j)' = Q diag(kappa) Q' this is, by conductance of an edge,
        -sum kappa_f (drop of field f)^2, the fields being the voltages of the currents in the columns of Q.
        """
        from linkways.populations._gene_kernels import edge_sums

        i, j = self.site[first], self.site[second]
        total = np.zeros((len(self.cells),) * 2)
        for a, b, sign in ((i, i, 1.0), (j, j, 1.0), (i, j, -1.0), (j, i, -1.0)):
            np.add.at(total, (a, b), sign * weight)
        kappa, currents = np.linalg.eigh(total)
        kept = np.abs(kappa) > 1e-14 * np.abs(kappa).max()
        conductances = factor.schur().conductances
        fields = factor.extend(currents[:, kept].T @ _unit_voltages(conductances))
        stencil = factor.stencil
        by_cell = edge_sums(
            fields,
            kappa[kept],
            (stencil.east > 0, stencil.south > 0, stencil.southeast > 0, stencil.southwest > 0),
            (self.steps.east_west, self.steps.north_south, self.steps.diagonal),
        )
        change = np.where(self.nodes, -by_cell * self.conductance(theta), 0.0)
        return np.tensordot(np.nan_to_num(self.covariates), change, axes=2)


def _unit_voltages(conductances: Floats) -> Floats:
    """Voltages (n, n) of the terminals when a unit current enters one and leaves evenly at all."""
    laplacian = np.diag(conductances.sum(axis=1)) - conductances
    size = len(laplacian)
    middle = np.full((size, size), 1 / size)
    # adding a multiple of the mean makes it invertible; the scale keeps it well conditioned
    level = float(np.trace(laplacian)) / size or 1.0
    return np.asarray(np.linalg.inv(laplacian + level * middle) - middle / level)


@dataclass(frozen=True)
class Estimate:
    """The most likely covariate effects and the model of genetic distances there."""

    theta: Floats
    fit: Fit
    resistance: Floats
    information: Floats
    """(k, k) minus the second derivatives of the profile log-likelihood."""
    steps: int
    converged: bool


def profile(surface: Surface, mlpe: Mlpe, theta: Floats) -> tuple[Fit, Floats, Floats]:
    """Fit at theta, the gradient of its log-likelihood with all other parameters at their best, and the resistances."""
    factor = surface.factor(theta)
    resistance = factor.schur().resistances()[surface.site[mlpe.first], surface.site[mlpe.second]]
    fit = mlpe.fit(resistance[:, None])
    weight = float(fit.coefficients[1]) * fit.slope
    return fit, surface.gradient(theta, factor, mlpe.first, mlpe.second, weight), resistance


def estimate(
    surface: Surface, mlpe: Mlpe, start: Floats, told: Callable[[int], None], most_steps: int = 60
) -> Estimate:
    """Maximise the profile likelihood by quasi-Newton steps (BFGS) that begin with its own curvature."""
    from scipy.optimize import minimize

    known: dict[bytes, tuple[Fit, Floats, Floats]] = {}

    def at(theta: Floats) -> tuple[Fit, Floats, Floats]:
        key = theta.tobytes()
        if key not in known:
            told(len(known))
            known[key] = profile(surface, mlpe, theta)
        return known[key]

    def objective(theta: Floats) -> tuple[float, Floats]:
        fit, gradient, _ = at(theta)
        return -fit.log_likelihood, -gradient

    slope = at(start)[1]
    curvature = np.array([(slope - at(start + STEP * unit)[1]) / STEP for unit in np.eye(len(start))])
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    # the first step goes uphill even where the likelihood is not yet concave
    inverse = vectors / np.maximum(np.abs(values), 1.0) @ vectors.T
    options = {"gtol": 1e-5, "hess_inv0": (inverse + inverse.T) / 2, "maxiter": most_steps}
    result = minimize(objective, start, jac=True, method="BFGS", options=options)
    theta = np.asarray(result.x, float)
    fit, gradient, resistance = at(theta)
    information = hessian(surface, mlpe, theta)
    step = np.linalg.lstsq(information, gradient, rcond=None)[0]
    converged = bool(np.abs(step).max() < 1e-3 * (1 + np.abs(theta).max()))
    return Estimate(theta, fit, resistance, information, len(known), converged)


def hessian(surface: Surface, mlpe: Mlpe, theta: Floats, step: float = 2e-4) -> Floats:
    """Minus the second derivatives of the profile log-likelihood, by central differences of its exact gradient."""
    out = np.empty((len(theta),) * 2)
    for k, unit in enumerate(np.eye(len(theta))):
        moved = [profile(surface, mlpe, theta + sign * step * unit)[1] for sign in (1, -1)]
        out[k] = -(moved[0] - moved[1]) / (2 * step)
    return (out + out.T) / 2
