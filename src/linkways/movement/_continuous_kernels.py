"""Kalman filter and smoother of the continuous-time movement models, on irregular times: numpy in, numpy out."""

import numpy as np
from numba import njit

IID, OU, OUF = 0, 1, 2


@njit(cache=True, nogil=True)
def _part(rate, dt):
    """Integral of exp(-rate s) over s from 0 to dt."""
    return -np.expm1(-rate * dt) / rate


@njit(cache=True, nogil=True)
def _step(process, tau_p, tau_v, dt, move, noise):
    """Transition matrix and noise of the unit-variance process over dt, into move and noise (2 x 2).

    The noise is the integral of the impulse response squared, not P - F P F', which would cancel for short steps.
    """
    move[:] = 0.0
    noise[:] = 0.0
    if process == IID:
        noise[0, 0] = 1.0
        return
    if process == OU:
        move[0, 0] = np.exp(-dt / tau_p)
        noise[0, 0] = -np.expm1(-2 * dt / tau_p)
        return
    a, b = 1 / tau_p, 1 / tau_v
    e1, e2 = np.exp(-a * dt), np.exp(-b * dt)
    gap = b - a
    g1 = (e1 - e2) / gap
    g2 = (b * e2 - a * e1) / gap
    move[0, 0] = (b * e1 - a * e2) / gap
    move[0, 1] = g1
    move[1, 0] = -a * b * g1
    move[1, 1] = g2
    drive = 2 * (a + b) * a * b
    both, slow, fast = _part(a + b, dt), _part(2 * a, dt), _part(2 * b, dt)
    noise[0, 0] = drive / gap**2 * (slow + fast - 2 * both)
    noise[0, 1] = noise[1, 0] = drive * g1 * g1 / 2
    noise[1, 1] = drive / gap**2 * (a * a * slow + b * b * fast - 2 * a * b * both)


@njit(cache=True, nogil=True)
def innovations(process, tau_p, tau_v, dt, columns, error):
    """Sum of log forecast variances, and the Gram matrix of the standardised innovations of the columns.

    The columns (n, m) are filtered alike as samples of one unit-variance process plus errors of the given variances
    (n,); ``dt`` (n,) holds the seconds since the fix before, the first of them unused.
    """
    n, m = columns.shape
    move, noise = np.empty((2, 2)), np.empty((2, 2))
    state = np.zeros((2, m))
    p00, p01, p11 = 1.0, 0.0, 0.0
    if process == OUF:
        p11 = 1 / (tau_p * tau_v)
    log_sum = 0.0
    gram = np.zeros((m, m))
    z = np.empty(m)
    last = -1.0
    for i in range(n):
        if i > 0:
            if dt[i] != last:
                _step(process, tau_p, tau_v, dt[i], move, noise)
                last = dt[i]
            f00, f01, f10, f11 = move[0, 0], move[0, 1], move[1, 0], move[1, 1]
            for k in range(m):
                s0, s1 = state[0, k], state[1, k]
                state[0, k] = f00 * s0 + f01 * s1
                state[1, k] = f10 * s0 + f11 * s1
            q00 = f00 * f00 * p00 + 2 * f00 * f01 * p01 + f01 * f01 * p11 + noise[0, 0]
            q01 = f00 * f10 * p00 + (f00 * f11 + f01 * f10) * p01 + f01 * f11 * p11 + noise[0, 1]
            q11 = f10 * f10 * p00 + 2 * f10 * f11 * p01 + f11 * f11 * p11 + noise[1, 1]
            p00, p01, p11 = q00, q01, q11
        v = p00 + error[i]
        g0, g1 = p00 / v, p01 / v
        root = np.sqrt(v)
        log_sum += np.log(v)
        for k in range(m):
            ahead = columns[i, k] - state[0, k]
            z[k] = ahead / root
            state[0, k] += g0 * ahead
            state[1, k] += g1 * ahead
        for k in range(m):
            for j in range(k + 1):
                gram[k, j] += z[k] * z[j]
        p11 -= g1 * p01
        p01 *= error[i] / v
        p00 *= error[i] / v
    for k in range(m):
        for j in range(k):
            gram[j, k] = gram[k, j]
    return log_sum, gram


@njit(cache=True, nogil=True)
def smoothed(process, tau_p, tau_v, dt, values, error):
    """Mean position of the unit-variance process at each fix, given all fixes (Rauch, Tung and Striebel 1965)."""
    n = len(values)
    ahead, before = np.zeros((n, 2)), np.zeros((n, 2))
    p_ahead, p_before = np.zeros((n, 2, 2)), np.zeros((n, 2, 2))
    moves = np.zeros((n, 2, 2))
    move, noise = np.empty((2, 2)), np.empty((2, 2))
    p_ahead[0, 0, 0] = 1.0
    if process == OUF:
        p_ahead[0, 1, 1] = 1 / (tau_p * tau_v)
    for i in range(n):
        if i > 0:
            _step(process, tau_p, tau_v, dt[i], move, noise)
            moves[i] = move
            for r in range(2):
                ahead[i, r] = move[r, 0] * before[i - 1, 0] + move[r, 1] * before[i - 1, 1]
                for c in range(2):
                    total = noise[r, c]
                    for k in range(2):
                        for h in range(2):
                            total += move[r, k] * p_before[i - 1, k, h] * move[c, h]
                    p_ahead[i, r, c] = total
        v = p_ahead[i, 0, 0] + error[i]
        for r in range(2):
            gain = p_ahead[i, r, 0] / v
            before[i, r] = ahead[i, r] + gain * (values[i] - ahead[i, 0])
            for c in range(2):
                p_before[i, r, c] = p_ahead[i, r, c] - gain * p_ahead[i, 0, c]
    final = before[:, 0].copy()
    later = before[n - 1].copy()
    for i in range(n - 2, -1, -1):
        p = p_ahead[i + 1]
        d0, d1 = later[0] - ahead[i + 1, 0], later[1] - ahead[i + 1, 1]
        if process == OUF:
            det = p[0, 0] * p[1, 1] - p[0, 1] * p[1, 0]
            e0 = (p[1, 1] * d0 - p[0, 1] * d1) / det
            e1 = (p[0, 0] * d1 - p[1, 0] * d0) / det
        else:
            e0, e1 = d0 / p[0, 0], 0.0
        f = moves[i + 1]
        u0 = f[0, 0] * e0 + f[1, 0] * e1
        u1 = f[0, 1] * e0 + f[1, 1] * e1
        for r in range(2):
            later[r] = before[i, r] + p_before[i, r, 0] * u0 + p_before[i, r, 1] * u1
        final[i] = later[0]
    return final
