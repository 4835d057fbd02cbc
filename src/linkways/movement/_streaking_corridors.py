"""Corridor behaviour: fast steps that run alongside others, whichever way these go."""

import numpy as np

__all__ = ["corridor_steps"]

ALONE = 1e-12


def corridor_steps(
    x_m: np.ndarray,
    y_m: np.ndarray,
    length_m: np.ndarray,
    speed_m_s: np.ndarray,
    bearing_rad: np.ndarray,
    *,
    speed_quantile: float,
    variance_quantile: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Which steps of one animal show corridor behaviour (LaPoint et al., 2013), and the circular variance about each.

    A step is a candidate when its speed is at or above the quantile of all, and the circular variance of doubled
    bearings of the steps with midpoints within half its length is at or below the quantile of those above 0. It shows
    corridor behaviour when it has more than two such neighbours, itself included, and more than half are candidates.

    Args:
        x_m, y_m: (n,) midpoints.
        length_m, speed_m_s, bearing_rad: (n,) of the steps; a step of length 0 has no bearing (NaN), is no neighbour
            and is never marked.
        speed_quantile, variance_quantile: 0 to 1.
    """
    from linkways.movement._streaking_kernels import axial_variances, neighbour_shares

    marked, variance = np.zeros(len(x_m), bool), np.full(len(x_m), np.nan)
    rows = np.flatnonzero(np.isfinite(bearing_rad))
    if not len(rows):
        return marked, variance
    rows = rows[np.argsort(x_m[rows], kind="stable")]
    x, y, reach = x_m[rows], y_m[rows], length_m[rows] / 2
    around, count = axial_variances(x, y, reach, bearing_rad[rows])
    variance[rows] = around
    several = around > ALONE
    if not several.any():
        return marked, variance
    fast = speed_m_s[rows] >= np.nanquantile(speed_m_s, speed_quantile)
    alike = around <= np.quantile(around[several], variance_quantile)
    candidate = fast & alike
    marked[rows] = candidate & (count > 2) & (neighbour_shares(x, y, reach, candidate) > 0.5)
    return marked, variance
