"""Autocorrelated kernel density of one animal: its bandwidth, its cells, its areas with their intervals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from linkways.movement._continuous import Model, autocorrelation
from linkways.movement._distributions import PlaneGrid

__all__ = ["Density", "Kernels", "areas", "kernels", "own_grid", "use_of_cells"]

EXACT = 4000
"""Up to so many fixes all pairs are summed one by one, and weights can be found; beyond, lags are counted on a grid."""
REACH = 8.0
"""Standard deviations within which a kernel is evaluated; 1e-14 of it lies beyond."""
WIDEST = 1500
"""Most cells along a side of an animal's own grid."""


@dataclass(frozen=True)
class Kernels:
    """The kernels of one animal: normal, all of one covariance, around its places."""

    x_m: np.ndarray
    y_m: np.ndarray
    weight: np.ndarray
    bandwidth: float
    """Standard deviation of a kernel as a share of the range's."""
    cover: np.ndarray
    """Covariance of a kernel, 2 x 2, m2."""
    bias: float
    """Expected area of the kernel density as a share of the true one, for a normal range."""

    @property
    def narrowest(self) -> float:
        """Least standard deviation of a kernel in any direction, m."""
        return float(math.sqrt(np.linalg.eigvalsh(self.cover)[0]))


@dataclass(frozen=True)
class Density:
    """Use of the cells of a grid by one animal, with its bias taken out."""

    use: np.ndarray
    """Probability of each cell, summing to 1, (rows * columns,)."""
    order: np.ndarray
    """Cells from the most to the least used."""
    running: np.ndarray
    """Sum of the use up to each cell in this order."""


def kernels(model: Model, seconds: np.ndarray, places: np.ndarray, weighted: bool) -> Kernels:
    """The kernels whose density is expected to lie nearest to the true one (Fleming and others 2015).

    With a normal range of covariance S and autocorrelation c, and kernels of covariance h2 S, the integrated squared
    error is expected to be proportional to ``sum_ij w_i w_j / (2 (1 - c_ij) + 2 h2) - 2 / (2 + h2) + 1/2``; its least
    value gives h, and with ``weighted`` the weights w of the fixes too (Fleming and others 2018). The covariance of
    such a density is expected to be ``1 - sum_ij w_i w_j c_ij + h2`` times S, the bias of its area (Fleming and
    Calabrese 2017).
    """
    n = len(seconds)
    if weighted:
        distance = 1 - autocorrelation(
            model.process, model.tau_p, model.tau_v, np.abs(seconds[:, None] - seconds[None, :])
        )
        square, weight = _weighted_bandwidth(distance)
        mean_distance = float(weight @ distance @ weight)
    else:
        lags, mass = _lags(model, seconds)
        square = _least(lambda h: _expected_error(lags, mass, n, h))
        weight = np.full(n, 1 / n)
        mean_distance = float(lags @ mass if len(mass) > 1 else lags.sum() * mass[0])
    return Kernels(
        places[:, 0],
        places[:, 1],
        weight,
        math.sqrt(square),
        model.sigma * square,
        mean_distance + square,
    )


def _lags(model: Model, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 - correlation of pairs of different fixes, and the share of all ordered pairs at each (or one for all)."""
    from linkways.movement._akde_kernels import pair_distances
    from linkways.movement._continuous import NUMBER

    n = len(seconds)
    if model.process == "IID":
        return np.ones(1), np.array([1 - 1 / n, 0.0])[:1]
    if n <= EXACT:
        from linkways.movement._continuous import apart

        tau_p, tau_v = apart(model.tau_p, model.tau_v) if model.process == "OUF" else (model.tau_p, 1.0)
        return pair_distances(NUMBER[model.process], tau_p, tau_v, seconds), np.array([2 / n**2])
    from scipy.signal import fftconvolve

    fine = max(float(np.median(np.diff(seconds))) / 8, (seconds[-1] - seconds[0]) / 2**21)
    slots = np.rint((seconds - seconds[0]) / fine).astype(int)
    counts = np.bincount(slots).astype(float)
    pairs = np.rint(fftconvolve(counts, counts[::-1]))[len(counts) - 1 :]
    pairs[0] -= n  # a fix with itself
    pairs[1:] *= 2
    used = np.flatnonzero(pairs > 0)
    lag = np.where(used == 0, fine / 4, used * fine)
    return 1 - autocorrelation(model.process, model.tau_p, model.tau_v, lag), pairs[used] / n**2


def _expected_error(distance: np.ndarray, mass: np.ndarray, n: int, square: float) -> float:
    from linkways.movement._akde_kernels import overlap

    return float(1 / (2 * n * square) + overlap(distance, mass, square) - 2 / (2 + square) + 0.5)


def _least(error: Callable[[float], float]) -> float:
    """The squared bandwidth with the least expected error."""
    from scipy.optimize import minimize_scalar

    table = np.linspace(math.log(1e-6), math.log(4), 16)
    values = [error(math.exp(v)) for v in table]
    k = int(np.clip(np.argmin(values), 1, len(table) - 2))
    found = minimize_scalar(
        lambda v: error(math.exp(v)),
        bounds=(table[k - 1], table[k + 1]),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return math.exp(float(found.x))


def _weighted_bandwidth(distance: np.ndarray) -> tuple[float, np.ndarray]:
    best: dict[float, np.ndarray] = {}

    def error(square: float) -> float:
        overlaps = 1 / (2 * distance + 2 * square)
        weight = best[square] = _best_weights(overlaps)
        return float(weight @ overlaps @ weight) - 2 / (2 + square) + 0.5

    square = _least(error)
    nearest = min(best, key=lambda known: abs(math.log(known / square)))
    return square, best[nearest]


def _best_weights(overlaps: np.ndarray) -> np.ndarray:
    """Weights >= 0 summing to 1 with the least w' G w: solve G w = 1 where w > 0, dropping those that fall below."""
    from scipy.linalg import cho_factor, cho_solve

    n = len(overlaps)
    active = np.arange(n)
    for _ in range(50):
        part = overlaps[np.ix_(active, active)]
        part[np.diag_indices(len(active))] *= 1 + 1e-10
        solved = cho_solve(cho_factor(part, overwrite_a=True), np.ones(len(active)))
        if (solved >= 0).all():
            break
        active = active[solved > 0]
    weight = np.zeros(n)
    weight[active] = solved.clip(min=0) / solved.clip(min=0).sum()
    return weight


# --- cells -----------------------------------------------------------------------------------------------------


def own_grid(crs: object, found: Kernels, margin: float) -> PlaneGrid:
    """A grid around the kernels, four cells to their least standard deviation where that is not too many."""
    from linkways.movement._distributions import choose_grid

    sides = np.sqrt(np.diag(found.cover))
    extent = max(np.ptp(found.x_m) + 2 * margin * sides[0], np.ptp(found.y_m) + 2 * margin * sides[1])
    cell = _round_down(max(found.narrowest / 4, float(extent) / WIDEST))
    return choose_grid(
        crs,
        found.x_m,
        found.y_m,
        like=None,
        cell_size_m=cell,
        buffer=0.0,
        reach_m=margin * float(sides.max()),
        method="movement.akde",
    )


def _round_down(cell: float) -> float:
    """To two digits: cell sizes that can be read."""
    power = 10 ** (math.floor(math.log10(cell)) - 1)
    return float(math.floor(cell / power) * power)


def use_of_cells(found: Kernels, grid: PlaneGrid) -> Density | None:
    """Probability of each cell of a grid, its bias taken out; none where the kernels do not reach the grid.

    Cells are ranked by the kernel density. The cells that together cover an area A hold what the kernel density holds
    in A times its bias, so that areas are expected to be right for a normal range (Fleming and Calabrese 2017).
    """
    from linkways.movement._akde_kernels import add_weighted_kernels

    # cells much wider than a kernel would miss its peak: they are cut into parts
    parts = int(np.clip(math.ceil(max(grid.cell_x_m, grid.cell_y_m) / (1.5 * found.narrowest)), 1, 16))
    density = np.zeros((grid.rows * parts, grid.columns * parts))
    xx, xy, yy = found.cover[0, 0], -found.cover[0, 1], found.cover[1, 1]
    add_weighted_kernels(
        grid.east_m(found.x_m),
        grid.south_m(found.y_m),
        found.weight,
        xx,
        xy,
        yy,
        REACH,
        grid.cell_x_m / parts,
        grid.cell_y_m / parts,
        density,
    )
    if parts > 1:
        density = density.reshape(grid.rows, parts, grid.columns, parts).sum(axis=(1, 3))
    mass = density.ravel()
    total = mass.sum()
    if total <= 0:
        return None
    order = np.argsort(-mass, kind="stable")
    held = np.r_[0.0, np.cumsum(mass[order]) / total]
    covered = np.arange(len(held)) * found.bias
    running = np.interp(covered, np.arange(len(held)), held)[1:] / np.interp(covered[-1], np.arange(len(held)), held)
    use = np.empty(len(mass))
    use[order] = np.diff(running, prepend=0.0)
    return Density(use, order, running)


def areas(
    density: Density, grid: PlaneGrid, percent: Sequence[float], dof: float, confidence: float
) -> list[tuple[float, float, float, float]]:
    """Per cent, and area in km2: estimate, low and high.

    The interval is that of a chi-square with twice the effective sample size as its degrees of freedom.
    """
    from scipy.stats import chi2

    tail = (1 - confidence) / 2
    low, high = (float(chi2.ppf(p, 2 * dof) / (2 * dof)) for p in (tail, 1 - tail))
    running = np.r_[0.0, density.running]
    found = []
    for level in percent:
        k = int(np.searchsorted(running, level / 100))
        part = (level / 100 - running[k - 1]) / (running[k] - running[k - 1])
        area = (k - 1 + part) * grid.cell_km2
        found.append((level, area, area * low, area * high))
    return found
