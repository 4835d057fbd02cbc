"""Rules that tell which fixes of a track to leave out: numpy in, one True for each fix to leave out.

Fixes lie in groups (animals) ``start[g]`` to ``start[g + 1] - 1``, by time within each; places are in metres, times in
seconds.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from linkways.movement._steps import steps_between

__all__ = [
    "Still",
    "burst_numbers",
    "duplicates",
    "fast_steps",
    "lonely",
    "on_interval",
    "problem_points",
    "round_trips",
    "squared_displacement_rate",
    "still_clusters",
    "still_tails",
]


class Still(NamedTuple):
    """A cluster of fixes that hardly move: its first and last fix."""

    first: int
    last: int


def squared_displacement_rate(speed_km_h: float, minutes: float) -> float:
    """The squared displacement rate (m2/s) of moving at a speed for a time: v^2 T (amt's calculate_sdr)."""
    return (speed_km_h / 3.6) ** 2 * minutes * 60


def duplicates(
    x: np.ndarray, y: np.ndarray, seconds: np.ndarray, start: np.ndarray, dop: np.ndarray, within_s: float
) -> np.ndarray:
    """All but one of the fixes within some seconds of the first of them.

    The one with the lowest dilution of precision stays, of those the nearest to the fix before, of those the first.
    """
    out = np.zeros(len(x), bool)
    if len(x) < 2:
        return out
    close = np.append(np.diff(seconds) <= within_s, False)
    close[_lasts(start)] = False
    end = np.repeat(start[1:], np.diff(start))
    first_of_group = np.repeat(start[:-1], np.diff(start))
    kept, done = -1, -1
    for i in np.flatnonzero(close).tolist():
        if i <= done:
            continue
        done = i + int(np.searchsorted(seconds[i + 1 : end[i]], seconds[i] + within_s, side="right"))
        rows = np.arange(i, done + 1)
        apart = np.zeros(len(rows))
        if i > first_of_group[i]:
            before = kept if out[i - 1] else i - 1
            apart = np.hypot(x[rows] - x[before], y[rows] - y[before])
        best = rows[np.lexsort([rows, apart, np.nan_to_num(dop[rows], nan=np.inf)])[0]]
        out[rows] = True
        out[best] = False
        kept = int(best)
    return out


def problem_points(
    x: np.ndarray, y: np.ndarray, seconds: np.ndarray, start: np.ndarray, max_speed_m_s: float, gap_s: float
) -> np.ndarray:
    """Fixes that are both reached and left faster than a speed, within a burst (Migration Mapper)."""
    speed = steps_between(x, y, seconds, start, longest_s=gap_s).speed_m_s
    fast = speed > max_speed_m_s
    return np.asarray(np.append(False, fast[:-1]) & fast)


def fast_steps(x: np.ndarray, y: np.ndarray, seconds: np.ndarray, start: np.ndarray, most_m2_s: float) -> np.ndarray:
    """Fixes whose squared displacement rate d^2 / dt from the last kept fix is above a bound (amt's fast steps)."""
    rate = _rates(x, y, seconds, start)

    def too_fast(a: int, b: int) -> bool:
        return bool(((x[b] - x[a]) ** 2 + (y[b] - y[a]) ** 2) / (seconds[b] - seconds[a]) > most_m2_s)

    return _dropping_as_you_go(rate > most_m2_s, start, too_fast)


def round_trips(
    x: np.ndarray, y: np.ndarray, seconds: np.ndarray, start: np.ndarray, most_m2_s: float, factor: float
) -> np.ndarray:
    """Fixes that are left for where the animal came from: both rates above most / factor and factor times the direct.

    Fix i is left out if the squared displacement rates to it and from it exceed both ``most_m2_s / factor`` and
    ``factor`` times the rate from fix i - 1 straight to i + 1 (amt's fast round trips).
    """
    out = np.zeros(len(x), bool)
    if len(x) < 3:
        return out
    rate = _rates(x, y, seconds, start)
    to, away = rate[:-2], rate[1:-1]
    direct = ((x[2:] - x[:-2]) ** 2 + (y[2:] - y[:-2]) ** 2) / (seconds[2:] - seconds[:-2])
    # a rate of NaN is above nothing, so that no trip leads from one animal to the next
    least = np.minimum(to, away)
    out[1:-1] = (least > most_m2_s / factor) & (least > factor * direct)
    return out


def still_clusters(
    x: np.ndarray, y: np.ndarray, seconds: np.ndarray, start: np.ndarray, most_m: float, hours: float, gap_s: float
) -> list[Still]:
    """Runs of fixes that begin a step of at most some metres, from the first to the last for longer than some hours.

    This is how Migration Mapper finds collars that may have been shed and animals that may have died.
    """
    length = steps_between(x, y, seconds, start, longest_s=gap_s).length_m
    still = np.concatenate([[False], length <= most_m, [False]])
    edges = np.flatnonzero(still[1:] != still[:-1])
    runs = (Still(int(first), int(end) - 1) for first, end in zip(edges[::2], edges[1::2], strict=True))
    return [run for run in runs if seconds[run.last] - seconds[run.first] > hours * 3600]


def still_tails(
    x: np.ndarray, y: np.ndarray, seconds: np.ndarray, start: np.ndarray, within_m: float, steps: int, hours: float
) -> np.ndarray:
    """Fixes after which an animal never gets farther than some metres from where its track ends.

    The first of them stays, since the animal did come there. A tail counts from some steps and hours on.
    """
    out = np.zeros(len(x), bool)
    for first, end in zip(start[:-1].tolist(), start[1:].tolist(), strict=True):
        far = np.hypot(x[first:end] - x[end - 1], y[first:end] - y[end - 1]) > within_m
        begin = first + (int(np.flatnonzero(far)[-1]) + 1 if far.any() else 0)
        if end - 1 - begin >= steps and seconds[end - 1] - seconds[begin] >= hours * 3600:
            out[begin + 1 : end] = True
    return out


def burst_numbers(seconds: np.ndarray, start: np.ndarray, gap_s: float, broken: np.ndarray | None = None) -> np.ndarray:
    """The number of the burst of every fix, from 1 in each group; a longer gap (or a True in ``broken``) begins one."""
    begins = np.zeros(len(seconds), bool)
    begins[1:] = np.diff(seconds) > gap_s
    if broken is not None:
        begins |= broken
    begins[start[:-1]] = True
    counted = np.cumsum(begins)
    return np.asarray(counted - np.repeat(counted[start[:-1]], np.diff(start)) + 1)


def on_interval(
    seconds: np.ndarray, start: np.ndarray, interval_s: float, tolerance_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Which fixes to keep so that each is one interval after the one before, and which of them begin anew.

    From a kept fix the nearest to one interval later is the next, if it is within the tolerance; otherwise the first
    fix after that begins a new burst.
    """
    kept, anew = np.zeros(len(seconds), bool), np.zeros(len(seconds), bool)
    for first, end in zip(start[:-1].tolist(), start[1:].tolist(), strict=True):
        times = seconds[first:end].tolist()
        at = 0
        anew[first] = True
        while at < len(times):
            kept[first + at] = True
            wanted = times[at] + interval_s
            low = max(bisect_left(times, wanted - tolerance_s, lo=at + 1), at + 1)
            high = bisect_right(times, wanted + tolerance_s, lo=low)
            if low < high:
                at = min(range(low, high), key=lambda i: abs(times[i] - wanted))
            else:
                at = high
                if at < len(times):
                    anew[first + at] = True
    return kept, anew


def lonely(start: np.ndarray) -> np.ndarray:
    """The only fix of a group."""
    size = np.diff(start)
    return np.asarray(np.repeat(size, size) == 1)


def _rates(x: np.ndarray, y: np.ndarray, seconds: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Squared displacement rate of the step that begins at a fix."""
    steps = steps_between(x, y, seconds, start)
    return np.asarray(steps.length_m**2 / steps.seconds)


def _lasts(start: np.ndarray) -> np.ndarray:
    return np.asarray(start[1:] - 1)


def _dropping_as_you_go(wrong: np.ndarray, start: np.ndarray, test: Callable[[int, int], bool]) -> np.ndarray:
    """Fixes that fail a test against the last kept one; ``wrong`` holds it for the step that begins at a fix.

    After a fix that passes, every step is again one between neighbours, so only failures are walked through.
    """
    out = np.zeros(len(wrong), bool)
    end = np.repeat(start[1:], np.diff(start))
    done = -1
    for before in np.flatnonzero(wrong).tolist():
        if before < done:
            continue
        i = before + 1
        while i < end[before] and test(before, i):
            out[i] = True
            i += 1
        done = i
    return out
