"""Compiled loops of recursions: the times a track spends within a radius of many centres, and visits made of them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["merge_visits", "recur_at_fixes", "steps_in_discs"]


@njit(cache=True, nogil=True)
def _chord(x0, y0, x1, y1, cx, cy, radius):
    """The part of a step that lies in a disc, as shares of the step; the first is above the second if none does."""
    dx, dy, fx, fy = x1 - x0, y1 - y0, x0 - cx, y0 - cy
    a, b, c = dx * dx + dy * dy, fx * dx + fy * dy, fx * fx + fy * fy - radius * radius
    if a == 0.0:
        return (0.0, 1.0) if c < 0 else (1.0, 0.0)
    root = b * b - a * c
    if root <= 0:
        return 1.0, 0.0
    root = math.sqrt(root)
    return max(0.0, (-b - root) / a), min(1.0, (-b + root) / a)


@njit(cache=True, nogil=True)
def recur_at_fixes(x, y, seconds, group, joined, centre_x, centre_y, centre_group, radius, absence_s, all_groups):
    """Visits of tracks to the disc around every centre.

    A track is inside from where it crosses into the disc before its first fix there to where it crosses out after the
    last one, by linear interpolation; ``joined[i]`` says whether a step leads from fix i to the next. A visit goes on
    through absences shorter than ``absence_s``.

    Args:
        x, y, seconds, group, joined: (n,) of the fixes, by group and time.
        centre_x, centre_y, centre_group: (m,) centres and the group whose visits count there.
        radius: of the discs; a fix is inside when it is nearer than this.
        absence_s: shorter absences do not end a visit.
        all_groups: count the visits of all groups.

    Returns:
        visits (m,), seconds inside (m,), sum of seconds between the end of a visit and the next of the same group (m,),
        number of such returns (m,), first entry and last exit (m,).
    """
    n, m = x.size, centre_x.size
    left, bottom = x.min(), y.min()
    # a cell of at least the radius, but never more cells than a few for each fix
    cell = max(radius, math.sqrt((x.max() - left + radius) * (y.max() - bottom + radius) / (2.0 * n + 16)))
    columns, rows = int((x.max() - left) / cell) + 1, int((y.max() - bottom) / cell) + 1
    first = np.zeros(columns * rows + 1, np.int64)
    where = np.empty(n, np.int64)
    for i in range(n):
        where[i] = int((y[i] - bottom) / cell) * columns + int((x[i] - left) / cell)
        first[where[i] + 1] += 1
    for k in range(columns * rows):
        first[k + 1] += first[k]
    fill = first[:-1].copy()
    # x and y too, so that a search reads memory in a row
    sorted_fix, sorted_x, sorted_y = np.empty(n, np.int64), np.empty(n), np.empty(n)
    for i in range(n):
        k = fill[where[i]]
        sorted_fix[k], sorted_x[k], sorted_y[k] = i, x[i], y[i]
        fill[where[i]] += 1
    visits, back = np.zeros(m, np.int64), np.zeros(m, np.int64)
    inside, away = np.zeros(m), np.zeros(m)
    begin, end = np.full(m, np.nan), np.full(m, np.nan)
    found = np.empty(n, np.int64)
    square = radius * radius
    for c in range(m):
        cx, cy = centre_x[c], centre_y[c]
        column, row = math.floor((cx - left) / cell), math.floor((cy - bottom) / cell)
        many = 0
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            low, high = max(column - 1, 0), min(column + 2, columns)
            if low >= high:
                continue
            for k in range(first[r * columns + low], first[r * columns + high]):
                dx, dy = sorted_x[k] - cx, sorted_y[k] - cy
                if dx * dx + dy * dy < square and (all_groups or group[sorted_fix[k]] == centre_group[c]):
                    found[many] = sorted_fix[k]
                    many += 1
        if many == 0:
            continue
        these = np.sort(found[:many])
        last_group, last_exit = -1, 0.0
        k = 0
        while k < many:
            i = these[k]
            while k + 1 < many and these[k + 1] == these[k] + 1 and joined[these[k]]:
                k += 1
            j = these[k]
            k += 1
            entry, leave = seconds[i], seconds[j]
            if i > 0 and joined[i - 1]:
                share = _chord(x[i - 1], y[i - 1], x[i], y[i], cx, cy, radius)[0]
                entry = seconds[i - 1] + share * (seconds[i] - seconds[i - 1])
            if j + 1 < n and joined[j]:
                share = _chord(x[j], y[j], x[j + 1], y[j + 1], cx, cy, radius)[1]
                leave = seconds[j] + share * (seconds[j + 1] - seconds[j])
            inside[c] += leave - entry
            if group[i] != last_group:
                visits[c] += 1
            elif entry - last_exit >= absence_s:
                visits[c] += 1
                back[c] += 1
                away[c] += entry - last_exit
            last_group, last_exit = group[i], leave
            begin[c] = entry if np.isnan(begin[c]) else min(begin[c], entry)
            end[c] = leave if np.isnan(end[c]) else max(end[c], leave)
    return visits, inside, away, back, begin, end


@njit(cache=True, nogil=True)
def steps_in_discs(x, y, step, centre_x, centre_y, radius):
    """Shares of steps at which they enter and leave discs: (k, 2), for k pairs of a step (its first fix) and a disc.

    The first is above the second where the step does not meet the disc.
    """
    out = np.empty((step.size, 2))
    for k in range(step.size):
        i = step[k]
        out[k, 0], out[k, 1] = _chord(x[i], y[i], x[i + 1], y[i + 1], centre_x[k], centre_y[k], radius)
    return out


@njit(cache=True, nogil=True)
def merge_visits(place, group, entry, leave, absence_s):
    """Visits from stretches inside, sorted by place, group and entry: those parted by less than ``absence_s`` are one.

    Returns:
        the number of the visit of every stretch, from 0, and how many visits there are.
    """
    visit = np.empty(place.size, np.int64)
    number = -1
    last = 0.0
    for k in range(place.size):
        same = k > 0 and place[k] == place[k - 1] and group[k] == group[k - 1]
        # stretches that meet at a fix are one stay, whatever the threshold and the rounding
        if not same or (entry[k] - last > 1e-6 and entry[k] - last >= absence_s):
            number += 1
            last = leave[k]
        else:
            last = max(last, leave[k])
        visit[k] = number
    return visit, number + 1
