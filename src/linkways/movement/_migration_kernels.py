"""Compiled least squares of the displacement models: shape parameters by damped steps, amplitudes exactly."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["DISPERSER", "LEG", "MIGRANT", "MIXED", "RESIDENT", "fit_from", "squares_at"]

RESIDENT, DISPERSER, MIGRANT, MIXED, LEG = 0, 1, 2, 3, 4
#: the part of delta that a mixed migrant comes back over (zeta) lies between these
_LEAST_RETURN, _MOST_RETURN = 0.05, 0.95
_TRIALS = 500
_SMALLEST_GAIN = 1e-13


@njit(cache=True, nogil=True, error_model="numpy")
def fit_from(model, t, y, starts, lower, upper, most):  # type: ignore[no-untyped-def]
    """The best fit from several starts: shape parameters (4, unused 0), two amplitudes, sum of squares.

    The curve is a u(t; z) + b v(t; z). The amplitudes follow exactly from z, within their bounds (0 to ``most`` for a;
    b from 0.05 a to 0.95 a for a mixed migrant; free for a leg); z goes in steps of Levenberg and Marquardt on the
    projected problem (Golub and Pereyra 1973, in Kaufman's form), held at a bound that it is pushed against.

    Args:
        model: one of the numbers above.
        t: days, (n,).
        y: displacement, (n,).
        starts: shape parameters to begin from, (k, 4).
        lower: bounds of the shape parameters, (4,); equal bounds hold a parameter.
        upper: likewise.
        most: upper bound of the amplitude.
    """
    n = len(t)
    u, v, r = np.empty(n), np.empty(n), np.empty(n)
    du, dv = np.empty((n, 4)), np.empty((n, 4))
    best = np.full(7, np.inf)
    z, trial, step = np.empty(4), np.empty(4), np.zeros(4)
    normal, gradient = np.empty((6, 6)), np.empty(6)
    for s in range(len(starts)):
        for k in range(4):
            z[k], step[k] = starts[s, k], 0.0
        rss, damping, calm, size = np.inf, 8e-3, 0, 0
        for _ in range(_TRIALS):
            for k in range(4):
                trial[k] = min(max(z[k] + step[k], lower[k]), upper[k])
            _basis(model, t, trial, u, v, du, dv)
            a, b, free = _amplitudes(model, y, u, v, most)
            tried = _squares(y, u, v, a, b, r)
            if tried < rss:
                calm = calm + 1 if rss - tried <= _SMALLEST_GAIN * rss else 0
                rss = tried
                for k in range(4):
                    z[k] = trial[k]
                if rss < best[6]:
                    best[4], best[5], best[6] = a, b, rss
                    for k in range(4):
                        best[k] = z[k]
                if calm == 3:
                    break
                size = _normal_equations(u, v, du, dv, a, b, free, r, normal, gradient)
                damping = max(damping / 8, 1e-12)
            else:
                damping *= 4
                if damping > 1e12:
                    break
            _step(normal, gradient, size, damping, z, lower, upper, step)
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def squares_at(model, t, y, shapes, most):  # type: ignore[no-untyped-def]
    """The sum of squares of each of some shapes (k, 4) with its best amplitudes."""
    n = len(t)
    u, v, r = np.empty(n), np.empty(n), np.empty(n)
    du, dv = np.empty((n, 4)), np.empty((n, 4))
    found = np.empty(len(shapes))
    for s in range(len(shapes)):
        _basis(model, t, shapes[s], u, v, du, dv)
        a, b, _ = _amplitudes(model, y, u, v, most)
        found[s] = _squares(y, u, v, a, b, r)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _basis(model, t, z, u, v, du, dv):  # type: ignore[no-untyped-def]
    """The two curves and their slopes by the shape parameters."""
    n = len(t)
    for i in range(n):
        for k in range(4):
            du[i, k] = dv[i, k] = 0.0
    if model == RESIDENT:
        for i in range(n):
            e = math.exp(z[0] * t[i])
            u[i], v[i] = 1.0 - e, 0.0
            du[i, 0] = -t[i] * e
        return
    two = model in (MIGRANT, MIXED)
    back = z[0] + 2 * z[1] + 2 * z[3] + z[2]
    for i in range(n):
        w = (t[i] - z[0]) / z[1]
        s = 1.0 / (1.0 + math.exp(-w))
        p = s * (1.0 - s) / z[1]
        if model == LEG:
            u[i], v[i] = 1.0, s
            dv[i, 0], dv[i, 1] = -p, -p * w
            continue
        u[i], v[i] = s, 0.0
        du[i, 0], du[i, 1] = -p, -p * w
        if two:
            w2 = (t[i] - back) / z[3]
            s2 = 1.0 / (1.0 + math.exp(-w2))
            p2 = s2 * (1.0 - s2) / z[3]
            v[i] = -s2
            dv[i, 0], dv[i, 1], dv[i, 2] = p2, 2 * p2, p2
            dv[i, 3] = (2.0 + w2) * p2


@njit(cache=True, nogil=True, error_model="numpy")
def _amplitudes(model, y, u, v, most):  # type: ignore[no-untyped-def]
    """The best amplitudes within bounds and the direction they may go in: 0 held, 1 first only, 2 both, 3 and 4 joined.

    For a migrant b equals a (3: one amplitude for both); at a bound of zeta b is a fixed part of a (3 + part).
    """
    if model in (RESIDENT, DISPERSER):
        a = _one(y, u, most)
        return a, 0.0, 1.0 if 0.0 < a < most else 0.0
    if model == MIGRANT:
        a = _joined(y, u, v, 1.0, most)
        return a, a, 4.0 if 0.0 < a < most else 0.0
    uu = uv = vv = uy = vy = 0.0
    for i in range(len(y)):
        uu += u[i] * u[i]
        uv += u[i] * v[i]
        vv += v[i] * v[i]
        uy += u[i] * y[i]
        vy += v[i] * y[i]
    determinant = uu * vv - uv * uv
    if determinant > 1e-12 * uu * vv:
        a, b = (uy * vv - vy * uv) / determinant, (vy * uu - uy * uv) / determinant
        if model == LEG or (0.0 < a < most and _LEAST_RETURN * a < b < _MOST_RETURN * a):
            return a, b, 2.0
    elif model == LEG:
        a, b = uy / uu, 0.0
        return a, b, 1.0
    # the squares are convex in (a, b): outside the allowed triangle the best lies on one of its sides
    best, best_a, best_b, best_free = np.inf, 0.0, 0.0, 0.0
    for part in (_LEAST_RETURN, _MOST_RETURN):
        a = _joined(y, u, v, part, most)
        b = part * a
        q = a * a * uu + 2 * a * b * uv + b * b * vv - 2 * a * uy - 2 * b * vy
        if q < best:
            best, best_a, best_b, best_free = q, a, b, 3.0 + part if 0.0 < a < most else 0.0
    if vv > 0.0:
        a = most
        b = min(max((vy - a * uv) / vv, _LEAST_RETURN * a), _MOST_RETURN * a)
        q = a * a * uu + 2 * a * b * uv + b * b * vv - 2 * a * uy - 2 * b * vy
        if q < best:
            inside = _LEAST_RETURN * a < b < _MOST_RETURN * a
            best_a, best_b, best_free = a, b, 5.0 if inside else 0.0
    return best_a, best_b, best_free


@njit(cache=True, nogil=True, error_model="numpy")
def _one(y, u, most):  # type: ignore[no-untyped-def]
    uu = uy = 0.0
    for i in range(len(y)):
        uu += u[i] * u[i]
        uy += u[i] * y[i]
    return min(max(uy / uu, 0.0), most) if uu > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _joined(y, u, v, part, most):  # type: ignore[no-untyped-def]
    """The best a of a (u + part v)."""
    uu = uy = 0.0
    for i in range(len(y)):
        w = u[i] + part * v[i]
        uu += w * w
        uy += w * y[i]
    return min(max(uy / uu, 0.0), most) if uu > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _squares(y, u, v, a, b, r):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(len(y)):
        r[i] = y[i] - a * u[i] - b * v[i]
        total += r[i] * r[i]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _normal_equations(u, v, du, dv, a, b, free, r, normal, gradient):  # type: ignore[no-untyped-def]
    """J'J and J'r of the shape parameters and, after them, of the amplitudes that are free; how many there are."""
    for k in range(6):
        gradient[k] = 0.0
        for m in range(6):
            normal[k, m] = 0.0
    size = 4 + (2 if free == 2.0 else 1 if free > 0.0 else 0)
    row = np.empty(6)
    for i in range(len(r)):
        for k in range(4):
            row[k] = a * du[i, k] + b * dv[i, k]
        if free == 1.0:
            row[4] = u[i]
        elif free == 2.0:
            row[4], row[5] = u[i], v[i]
        elif free == 5.0:
            row[4] = v[i]
        elif free > 0.0:
            row[4] = u[i] + (free - 3.0) * v[i]
        for k in range(size):
            gradient[k] += row[k] * r[i]
            for m in range(k + 1):
                normal[k, m] += row[k] * row[m]
    for k in range(size):
        for m in range(k):
            normal[m, k] = normal[k, m]
    return size


@njit(cache=True, nogil=True, error_model="numpy")
def _step(normal, gradient, size, damping, z, lower, upper, step):  # type: ignore[no-untyped-def]
    """The damped step of the shape parameters; one that is pushed against its bound is held."""
    n = 0
    chosen = np.empty(6, np.int64)
    for k in range(size):
        if k < 4:
            held = upper[k] <= lower[k] or normal[k, k] <= 0.0
            held = held or (z[k] <= lower[k] and gradient[k] < 0.0) or (z[k] >= upper[k] and gradient[k] > 0.0)
            if held:
                continue
        chosen[n] = k
        n += 1
    m = np.empty((6, 6))
    x = np.empty(6)
    for i in range(n):
        x[i] = gradient[chosen[i]]
        for j in range(n):
            m[i, j] = normal[chosen[i], chosen[j]]
        # amplitudes are solved, not stepped; a trace keeps the system regular
        m[i, i] *= 1.0 + (damping if chosen[i] < 4 else 1e-14)
    for i in range(n):
        for j in range(i):
            m[i, i] -= m[i, j] * m[i, j]
        if m[i, i] <= 0.0:
            for k in range(4):
                step[k] = 0.0
            return
        m[i, i] = math.sqrt(m[i, i])
        for k in range(i + 1, n):
            for j in range(i):
                m[k, i] -= m[k, j] * m[i, j]
            m[k, i] /= m[i, i]
    for i in range(n):
        for j in range(i):
            x[i] -= m[i, j] * x[j]
        x[i] /= m[i, i]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            x[i] -= m[j, i] * x[j]
        x[i] /= m[i, i]
    for k in range(4):
        step[k] = 0.0
    for i in range(n):
        if chosen[i] < 4:
            step[chosen[i]] = x[i]
