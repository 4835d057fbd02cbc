"""Circular densities of times of day: von Mises kernels, activity levels and overlaps (Ridout and Linkie 2009)."""

import math

import numpy as np

__all__ = [
    "DHAT_ADJUST",
    "GRID",
    "bandwidths",
    "centred_interval",
    "concentrations",
    "densities",
    "exact_overlap",
    "grid_overlap",
    "level_of",
    "on_grid",
    "record_overlap",
    "smoothed_samples",
]

GRID = 512
"""Points around the clock at which densities are told."""
DHAT_ADJUST = {"Dhat1": 0.8, "Dhat4": 1.0}
"""What Taylor's bandwidth is divided by for each estimator of overlap (Ridout and Linkie 2009)."""
_LOWEST, _HIGHEST = 1e-4, 345.0


def concentrations(angles: np.ndarray, most: int = 3) -> np.ndarray:
    """The concentration kappa of each sample (samples, n): the largest of the first ``most`` moment estimates.

    The k-th is the root of ``I_k(kappa) / I_0(kappa) = |mean exp(i k x)|``, between 1e-4 and 345 (Taylor 2008).
    """
    from scipy.special import ive

    orders = np.arange(1, most + 1)
    moments = np.stack([np.abs(np.exp(1j * k * angles).mean(axis=1)) for k in orders])
    low, high = np.full(moments.shape, _LOWEST), np.full(moments.shape, _HIGHEST)
    k = orders[:, None]
    for _ in range(60):
        middle = (low + high) / 2
        below = ive(k, middle) / ive(0, middle) < moments
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(((low + high) / 2).max(axis=0))


def bandwidths(angles: np.ndarray, adjust: float) -> np.ndarray:
    """The concentration of the kernel for each sample: Taylor's rule over ``adjust`` (above 1 smooths more).

    ``nu = (3 n kappa^2 I_2(2 kappa) / (4 sqrt(pi) I_0(kappa)^2))^(2/5) / adjust``.
    """
    from scipy.special import ive

    kappa = concentrations(angles)
    ratio = ive(2, 2 * kappa) / ive(0, kappa) ** 2
    rule = (3 * angles.shape[1] * kappa**2 * ratio / (4 * math.sqrt(math.pi))) ** 0.4
    return np.asarray(rule / adjust)


def densities(angles: np.ndarray, nu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Waves (a_k, b_k) of the kernel density of each sample, (samples, waves) each.

    A mean of von Mises kernels is a Fourier series: the k-th wave of the data times ``I_k(nu) / I_0(nu)``. As many are
    kept as one kernel needs to be right to 1e-14.
    """
    from scipy.special import ive

    from linkways.populations._activity_kernels import trigonometric_moments

    waves = max(8, math.ceil(8.1 * math.sqrt(float(nu.max()))) + 8)
    cosines, sines = trigonometric_moments(np.ascontiguousarray(angles), waves)
    damping = ive(np.arange(1, waves + 1)[None, :], nu[:, None]) / ive(0, nu)[:, None]
    return cosines * damping, sines * damping


def on_grid(waves: tuple[np.ndarray, np.ndarray], points: int = GRID) -> np.ndarray:
    """(samples, points) densities at equal steps around the clock, from 0."""
    x = 2 * math.pi * np.arange(points) / points
    k = np.arange(1, waves[0].shape[1] + 1)
    angle = np.outer(k, x)
    return np.asarray((1 + 2 * (waves[0] @ np.cos(angle) + waves[1] @ np.sin(angle))) / (2 * math.pi))


def level_of(grid: np.ndarray) -> np.ndarray:
    """Activity level ``1 / (2 pi max f)`` of each density: the share of the day that animals are active, if all are at
    the peak (Rowcliffe et al. 2014)."""
    return np.asarray(1 / (2 * math.pi * grid.max(axis=1)))


def exact_overlap(a: np.ndarray, b: np.ndarray, estimator: str, adjust: float) -> float:
    """Overlap of two species from their angles, by Dhat1 (grid) or Dhat4 (densities at the records themselves).

    ``Dhat1 = integral of min(f, g)`` with 0.8 times, ``Dhat4 = (mean of min(1, g/f) over the records of f + mean of
    min(1, f/g) over those of g) / 2`` with 1 times the bandwidth of Taylor's rule (Ridout and Linkie 2009).
    """
    from linkways.populations._activity_kernels import density_at

    own = adjust * DHAT_ADJUST[estimator]
    samples = [np.ascontiguousarray(x[None]) for x in (a, b)]
    waves = [densities(x, bandwidths(x, own)) for x in samples]
    if estimator == "Dhat1":
        return float(grid_overlap(on_grid(waves[0]), on_grid(waves[1]))[0])
    ratios = [
        np.minimum(1.0, density_at(*waves[1 - k], samples[k]) / density_at(*waves[k], samples[k])).mean()
        for k in (0, 1)
    ]
    return float((ratios[0] + ratios[1]) / 2)


def grid_overlap(f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Dhat1 of pairs of densities on the grid."""
    return np.asarray(np.minimum(f, g).sum(axis=1) * (2 * math.pi / f.shape[1]))


def record_overlap(f: np.ndarray, g: np.ndarray, at_f: np.ndarray, at_g: np.ndarray) -> np.ndarray:
    """Dhat4 of pairs of densities on the grid, told at the records of each by straight lines between its points."""
    ratios = [
        np.minimum(1.0, _between(other, at) / _between(mine, at)).mean(axis=1)
        for mine, other, at in ((f, g, at_f), (g, f, at_g))
    ]
    return np.asarray((ratios[0] + ratios[1]) / 2)


def _between(grid: np.ndarray, angles: np.ndarray) -> np.ndarray:
    points = grid.shape[1]
    place = angles * (points / (2 * math.pi))
    low = np.floor(place).astype(np.int64)
    share = place - low
    rows = np.arange(len(grid))[:, None]
    return np.asarray(grid[rows, low % points] * (1 - share) + grid[rows, (low + 1) % points] * share)


def smoothed_samples(angles: np.ndarray, adjust: float, repeats: int, rng: np.random.Generator) -> np.ndarray:
    """(repeats, n) samples from the kernel density of one sample (n,): a smoothed bootstrap."""
    nu = float(bandwidths(angles[None], adjust)[0])
    picked = rng.choice(angles, size=(repeats, angles.size))
    return np.asarray(np.mod(picked + rng.vonmises(0.0, nu, size=picked.shape), 2 * math.pi))


def centred_interval(estimate: float, samples: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Low and high end of the interval, and standard error, of a share estimated from resamples.

    On the logit scale the resamples are moved so that their mean is the estimate, since smoothing and resampling shift
    them (Meredith and Ridout's basic0).
    """
    if samples.size < 2:
        return math.nan, math.nan, math.nan
    clipped = np.clip(samples, 1e-9, 1 - 1e-9)
    logits = np.log(clipped / (1 - clipped))
    centre = math.log(min(max(estimate, 1e-9), 1 - 1e-9) / (1 - min(max(estimate, 1e-9), 1 - 1e-9)))
    ends = np.quantile(logits, [(1 - confidence) / 2, (1 + confidence) / 2]) - logits.mean() + centre
    low, high = 1 / (1 + np.exp(-ends))
    return float(low), float(high), float(samples.std(ddof=1))
