"""How wide the kernels around fixes should be: the reference bandwidth and the plug-in bandwidth."""

import math

import numpy as np

__all__ = ["plug_in_bandwidth", "reference_bandwidth"]


def reference_bandwidth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Covariance (2, 2) of round kernels, h^2 on the diagonal: ``h = sqrt((var x + var y) / 2) n^(-1/6)``."""
    variance = (np.var(x, ddof=1) + np.var(y, ddof=1)) / 2
    return np.asarray(variance * len(x) ** (-1 / 3) * np.eye(2))


def plug_in_bandwidth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Covariance (2, 2) of kernels by a two-stage plug-in rule, any shape and direction.

    The mean integrated squared error of a density by n kernels is to first order ``1 / (4 pi n sqrt|H|) + 1/4 v' P
    v`` with v = (Hxx, Hxy, Hyy) and P made of the integrals psi_r of the density times its fourth derivatives (Wand
    and Jones 1995). These come from kernel estimates whose one pilot width minimises the sum of their squared leading
    errors (Duong and Hazelton 2003; one width for all keeps P positive), which needs the sixth, and these the eighth,
    taken of a normal density. Done on places scaled to the unit covariance.
    """
    places = np.stack([x, y])
    places = places - places.mean(axis=1, keepdims=True)
    root = np.linalg.cholesky(np.cov(places))
    sphered = np.linalg.solve(root, places)
    sphered = sphered[:, np.argsort(sphered[0], kind="stable")]
    eighth = _normal_integrals(8)
    sixth = _estimated_integrals(sphered, 6, eighth)
    fourth = _estimated_integrals(sphered, 4, sixth)
    return np.asarray(root @ _least_error(fourth, len(x)) @ root.T)


def _hermite_at_zero(k: int) -> float:
    """0 for odd k, else (-1)^(k/2) (k - 1)!!."""
    return 0.0 if k % 2 else float((-1) ** (k // 2) * math.prod(range(1, k, 2)))


def _at_zero(order: int) -> np.ndarray:
    """Derivatives of the standard normal density in the plane at 0, by the number of them along x."""
    return np.array([_hermite_at_zero(r) * _hermite_at_zero(order - r) for r in range(order + 1)]) / (2 * math.pi)


def _normal_integrals(order: int) -> np.ndarray:
    """The integrals for the standard normal density: its derivatives, convolved with itself, at 0."""
    return _at_zero(order) / 2 ** ((2 + order) / 2)


def _estimated_integrals(places: np.ndarray, order: int, above: np.ndarray) -> np.ndarray:
    """The integrals of an order from pairs of places, the pilot width from those two orders above."""
    from scipy.optimize import minimize_scalar

    from linkways.movement._range_kernels import derivative_sums

    n = places.shape[1]
    centre, bend = _at_zero(order), above[:-2] + above[2:]

    def error(log_width: float) -> float:
        width = math.exp(log_width)
        return float(np.sum((centre / (n * width ** (2 + order)) + width**2 * bend / 2) ** 2))

    # the two terms are of one size near n^(-1 / (order + 4))
    guess = -math.log(n) / (order + 4)
    width = math.exp(minimize_scalar(error, bounds=(guess - 3, guess + 2), method="bounded").x)
    return np.asarray(derivative_sums(places[0], places[1], width, order))


def _least_error(fourth: np.ndarray, n: int) -> np.ndarray:
    """The covariance (2, 2) with the least error, over its triangular root."""
    from scipy.optimize import minimize

    p04, p13, p22, p31, p40 = fourth
    bend = np.array([[p40, 2 * p31, p22], [2 * p31, 4 * p22, 2 * p13], [p22, 2 * p13, p04]])

    def covariance(free: np.ndarray) -> np.ndarray:
        root = np.array([[math.exp(free[0]), 0.0], [free[1], math.exp(free[2])]])
        return np.asarray(root @ root.T)

    def error(free: np.ndarray) -> float:
        h = covariance(free)
        v = np.array([h[0, 0], h[0, 1], h[1, 1]])
        return float((1 / (4 * math.pi * n * math.exp(free[0] + free[2])) + v @ bend @ v / 4) * n ** (2 / 3))

    start = np.array([-math.log(n) / 6, 0.0, -math.log(n) / 6])
    found = minimize(error, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 4000})
    return covariance(found.x)
