"""Steps between fixes: length, duration, speed, bearing and turning angle, each told at the fix where it begins."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from linkways.movement._fixes import Fixes

__all__ = ["Steps", "steps_between", "steps_of", "wrapped"]


@dataclass(frozen=True)
class Steps:
    """The step from every fix to the next of its group; arrays have one value for each fix.

    The last fix of a group begins no step: its values are NaN. So are those of a step over a gap that is longer than
    allowed.
    """

    length_m: np.ndarray
    seconds: np.ndarray
    bearing_rad: np.ndarray
    """Clockwise from the north of the grid, 0 up to 2 pi; NaN for a step of length 0."""
    turning_rad: np.ndarray
    """The turn at a fix from the step that ends there to the one that begins there, in (-pi, pi], to the left positive
    as in amt and moveHMM; NaN where one of the two is missing or has length 0 (there is no direction to turn from)."""

    @cached_property
    def speed_m_s(self) -> np.ndarray:
        """Length by duration."""
        return np.asarray(self.length_m / self.seconds)

    @property
    def known(self) -> np.ndarray:
        """Whether a step begins at the fix."""
        return np.asarray(np.isfinite(self.length_m))


def steps_of(fixes: Fixes, *, longest_s: float = np.inf) -> Steps:
    """The steps of a layer's fixes within each group; those longer than ``longest_s`` seconds are left out."""
    return steps_between(fixes.x_m, fixes.y_m, fixes.seconds, fixes.start, longest_s=longest_s)


def steps_between(
    x_m: np.ndarray, y_m: np.ndarray, seconds: np.ndarray, start: np.ndarray, *, longest_s: float = np.inf
) -> Steps:
    """The steps of fixes that lie in groups ``start[g]`` to ``start[g + 1] - 1``, by time within each.

    Length is the straight line on the map, bearing atan2(dx, dy), and the turn at fix i the bearing of step i - 1 less
    that of step i, wrapped to (-pi, pi].
    """
    count = len(x_m)
    length, duration, bearing, turn = (np.full(count, np.nan) for _ in range(4))
    if count < 2:
        return Steps(length, duration, bearing, turn)
    dx, dy, dt = np.diff(x_m), np.diff(y_m), np.diff(seconds)
    step = dt <= longest_s
    ends = np.asarray(start[1:-1], np.int64)
    step[ends[(ends > 0) & (ends < count)] - 1] = False
    size = np.hypot(dx, dy)
    length[:-1] = np.where(step, size, np.nan)
    duration[:-1] = np.where(step, dt, np.nan)
    bearing[:-1] = np.where(step & (size > 0), np.arctan2(dx, dy) % (2 * np.pi), np.nan)
    turn[1:-1] = wrapped(bearing[:-2] - bearing[1:-1])
    return Steps(length, duration, bearing, turn)


def wrapped(angle_rad: np.ndarray) -> np.ndarray:
    """Angles in (-pi, pi]."""
    turn = np.pi - (np.pi - angle_rad) % (2 * np.pi)
    # the remainder of the smallest negative numbers is rounded to a whole turn
    return np.asarray(np.where(turn <= -np.pi, np.pi, turn))
