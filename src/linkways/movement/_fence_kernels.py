"""Straightness of movement around encounters with fences: numpy in, numpy out."""

import numpy as np
from numba import njit

__all__ = ["usual_straightness"]


@njit(cache=True, nogil=True)
def usual_straightness(
    x: np.ndarray,
    y: np.ndarray,
    seconds: np.ndarray,
    path: np.ndarray,
    apart: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    steps: np.ndarray,
) -> np.ndarray:
    """Straightness of all windows as long as an encounter, around it: (n, 3) count, mean, standard deviation.

    ``path`` is the way along the fixes up to each, ``apart`` whether a fix does not follow the one before it after one
    interval. Encounter k looks at the fixes ``first[k]`` to ``last[k] - 1`` (its animal's) between the times
    ``begin[k]`` and ``end[k]``, in windows of ``steps[k]`` steps that nothing parts. A window without movement has no
    straightness.
    """
    out = np.full((first.size, 3), np.nan)
    for k in range(first.size):
        low, high = first[k], last[k]
        low += np.searchsorted(seconds[low:high], begin[k], side="left")
        high = first[k] + np.searchsorted(seconds[first[k] : high], end[k], side="right")
        count, mean, squares = 0, 0.0, 0.0
        run = low
        for i in range(low, high):
            if i > low and apart[i]:
                run = i
            back = i - steps[k]
            if back < run:
                continue
            way = path[i] - path[back]
            if way <= 0.0:
                continue
            value = np.hypot(x[i] - x[back], y[i] - y[back]) / way
            count += 1
            delta = value - mean
            mean += delta / count
            squares += delta * (value - mean)
        out[k, 0] = count
        if count > 0:
            out[k, 1] = mean
        if count > 1:
            out[k, 2] = np.sqrt(squares / (count - 1))
    return out
