"""Where incidents crowd: kernel density with its edge and effort taken into account, and Getis-Ord Gi*."""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Hot", "edge_corrected_density", "false_discovery", "getis_ord", "reference_bandwidth", "smoothed_effort"]

REACH = 5.0
"""Standard deviations within which a kernel is evaluated."""


@dataclass(frozen=True)
class Hot:
    """Gi* of each cell (standard normal where incidents fall by chance), and p on both sides; NaN outside."""

    z: np.ndarray
    p: np.ndarray


def reference_bandwidth(x_m: np.ndarray, y_m: np.ndarray) -> float:
    """``sqrt((var x + var y) / 2) n^(-1/6)``, right for one normal cloud (Silverman 1986)."""
    return float(math.sqrt((np.var(x_m, ddof=1) + np.var(y_m, ddof=1)) / 2) * len(x_m) ** (-1 / 6))


def edge_corrected_density(
    row: np.ndarray, column: np.ndarray, inside: np.ndarray, cell: tuple[float, float], width_m: float
) -> np.ndarray:
    """Incidents per m2, each kernel brought back to 1 within the area (Jones 1993), NaN outside.

    Places are in cells from the upper left corner, ``cell`` is (height, width) in m. The sum over the area times the
    area of a cell is the number of incidents.
    """
    density = np.zeros(inside.shape)
    reach = [REACH * width_m / side for side in cell]
    for r, c in zip(row, column, strict=True):
        rows = slice(max(int(r - reach[0]), 0), int(r + reach[0]) + 2)
        columns = slice(max(int(c - reach[1]), 0), int(c + reach[1]) + 2)
        part = inside[rows, columns]
        down = (np.arange(part.shape[0]) + rows.start + 0.5 - r) * cell[0] / width_m
        right = (np.arange(part.shape[1]) + columns.start + 0.5 - c) * cell[1] / width_m
        kernel = np.outer(np.exp(-(down**2) / 2), np.exp(-(right**2) / 2)) * part
        density[rows, columns] += kernel / kernel.sum()
    return np.where(inside, density / (cell[0] * cell[1]), np.nan)


def smoothed_effort(effort: np.ndarray, inside: np.ndarray, cell: tuple[float, float], width_m: float) -> np.ndarray:
    """Effort around each cell, weighted by the same kernel and over the area only."""
    from scipy.ndimage import gaussian_filter

    sides = [width_m / side for side in cell]
    rules = {"sigma": sides, "mode": "constant", "truncate": REACH}
    total = gaussian_filter(np.where(inside, effort, 0.0), **rules)
    share = gaussian_filter(inside.astype(float), **rules)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(inside, total / share, np.nan))


def getis_ord(values: np.ndarray, inside: np.ndarray, cell: tuple[float, float], distance_m: float) -> Hot:
    """Gi* over the cells of the area: is the sum within a distance (the cell itself too) more than chance gives?

    ``(sum_j w_ij x_j - mean W_i) / (s sqrt((n W_i - W_i^2) / (n - 1)))`` with w 1 within the distance and 0 beyond, W_i
    the number of cells there, s the standard deviation over all n cells (Getis and Ord 1992; Ord and Getis 1995).
    """
    from scipy.signal import fftconvolve
    from scipy.stats import norm

    half = [int(distance_m / side + 1e-9) for side in cell]
    down, right = (np.arange(-h, h + 1) * side for h, side in zip(half, cell, strict=True))
    disk = (down[:, None] ** 2 + right[None, :] ** 2 <= distance_m**2 * (1 + 1e-9)).astype(float)
    x = np.where(inside, values, 0.0)
    n = int(inside.sum())
    count = np.rint(fftconvolve(inside.astype(float), disk, mode="same"))
    total = fftconvolve(x, disk, mode="same")
    mean = x.sum() / n
    spread = math.sqrt(max((x**2).sum() / n - mean**2, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (total - mean * count) / (spread * np.sqrt((n * count - count**2) / (n - 1)))
    z = np.where(inside & np.isfinite(z), z, np.where(inside, 0.0, np.nan))
    return Hot(z, np.asarray(2 * norm.sf(np.abs(z))))


def false_discovery(p: np.ndarray) -> np.ndarray:
    """p values as the least false discovery rate at which each counts (Benjamini and Hochberg 1995)."""
    order = np.argsort(p)
    n = len(p)
    stepped = np.minimum.accumulate((p[order] * n / np.arange(1, n + 1))[::-1])[::-1]
    out = np.empty(n)
    out[order] = np.minimum(stepped, 1.0)
    return out
