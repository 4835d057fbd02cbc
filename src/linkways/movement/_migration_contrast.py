"""Stays of an animal by penalised contrast: the cut of its daily places that leaves the least spread within parts."""

import numpy as np

__all__ = ["best_cuts", "chosen_number", "stays"]


def stays(x: np.ndarray, y: np.ndarray, shortest: int, most: int, threshold: float) -> list[int]:
    """First index of each stay, after the cut that Lavielle's rule chooses; [0] is one stay."""
    contrast, cuts = best_cuts(x, y, shortest, most)
    return cuts[chosen_number(contrast, threshold) - 1]


def best_cuts(x: np.ndarray, y: np.ndarray, shortest: int, most: int) -> tuple[np.ndarray, list[list[int]]]:
    """The least contrast of cutting a series into 1, 2, ... parts of at least some fixes, and where each part begins.

    The contrast is the sum over parts of squared distances to the part's mean place (Lavielle 1999); dynamic
    programming over all cuts, so the least is found exactly (Bellman 1961), in O(parts n^2).
    """
    n = len(x)
    cost = _costs(x, y, shortest)
    least = cost[0].copy()
    contrast, back = [float(least[n])], []
    for _ in range(1, min(most, n // shortest)):
        total = least[:, None] + cost
        before = np.argmin(total, axis=0)
        least = total[before, np.arange(n + 1)]
        contrast.append(float(least[n]))
        back.append(before)
    cuts = []
    for parts in range(1, len(contrast) + 1):
        at, begins = n, []
        for k in range(parts - 2, -1, -1):
            at = int(back[k][at])
            begins.append(at)
        cuts.append([0, *begins[::-1]])
    return np.array(contrast), cuts


def chosen_number(contrast: np.ndarray, threshold: float) -> int:
    """The largest number of parts at which the curve of contrasts bends by more than a threshold (Lavielle 2005).

    Contrasts are scaled to fall from K to 1 over K numbers; the bend is their second difference, without bound at 1.
    """
    most = len(contrast)
    if most < 3 or contrast[0] <= contrast[-1]:
        return 1
    scaled = (contrast[-1] - contrast) / (contrast[-1] - contrast[0]) * (most - 1) + 1
    bend = np.diff(scaled, 2)
    bent = np.flatnonzero(bend > threshold)
    return int(bent[-1]) + 2 if len(bent) else 1


def _costs(x: np.ndarray, y: np.ndarray, shortest: int) -> np.ndarray:
    """Sum of squared distances to the mean of fixes i to j - 1, (n + 1, n + 1); infinite for parts too short."""
    n = len(x)
    # sums of places about their mean lose fewer digits
    x, y = x - x.mean(), y - y.mean()
    sx, sy, ss = (np.append(0.0, np.cumsum(values)) for values in (x, y, x * x + y * y))
    count = np.arange(n + 1)[None, :] - np.arange(n + 1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = ((sx[None, :] - sx[:, None]) ** 2 + (sy[None, :] - sy[:, None]) ** 2) / count
    cost = np.maximum(ss[None, :] - ss[:, None] - mean, 0.0)
    return np.where(count >= shortest, cost, np.inf)
