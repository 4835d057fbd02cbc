"""Compiled loops of the hidden Markov model: emissions, the forward and backward passes, the most likely path."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["backward", "emissions", "forward", "sums", "viterbi"]


@njit(cache=True, nogil=True)
def emissions(step, log_step, cosine, sine, gamma, turn, zero):
    """Log density of every step and turn in every state: (n, states).

    A step l > 0 has the log density ``(k - 1) log l - r l + c`` with gamma[:, state] = (k - 1, r, c), a step of 0 the
    log probability zero[0, state], and zero[1, state] is the log probability of a step above 0. A turn a adds
    ``p cos a + q sin a + d`` with turn[:, state] = (p, q, d). What is NaN adds nothing.
    """
    n, states = step.size, gamma.shape[1]
    out = np.zeros((n, states))
    for i in range(n):
        length, turns = step[i], cosine[i]
        for s in range(states):
            value = 0.0
            if length > 0:
                value = zero[1, s] + gamma[0, s] * log_step[i] - gamma[1, s] * length + gamma[2, s]
            elif length == 0:
                value = zero[0, s]
            if not math.isnan(turns):
                value += turn[0, s] * turns + turn[1, s] * sine[i] + turn[2, s]
            out[i, s] = value
    return out


@njit(cache=True, nogil=True)
def forward(logs, start, initial, transition, moving):
    """Scaled forward pass over chains of observations.

    Args:
        logs: (n, states) log densities.
        start: chain c holds the observations start[c] to start[c + 1] - 1.
        initial: (states,) probabilities at the start of a chain.
        transition: (m, states, states); matrix t leads to observation t, or the only one to every observation.
        moving: whether there is a matrix for every observation.

    Returns:
        log-likelihood, the filtered probabilities (n, states), and the probabilities before seeing the observation.
    """
    n, states = logs.shape
    filtered, foreseen = np.empty((n, states)), np.empty((n, states))
    value = 0.0
    for c in range(start.size - 1):
        for i in range(start[c], start[c + 1]):
            t = i if moving else 0
            top = -np.inf
            for s in range(states):
                top = max(top, logs[i, s])
                if i == start[c]:
                    foreseen[i, s] = initial[s]
                else:
                    p = 0.0
                    for r in range(states):
                        p += filtered[i - 1, r] * transition[t, r, s]
                    foreseen[i, s] = p
            total = 0.0
            for s in range(states):
                filtered[i, s] = foreseen[i, s] * math.exp(logs[i, s] - top)
                total += filtered[i, s]
            if not total > 0:
                return -np.inf, filtered, foreseen
            value += top + math.log(total)
            for s in range(states):
                filtered[i, s] /= total
    return value, filtered, foreseen


@njit(cache=True, nogil=True)
def backward(logs, start, filtered, foreseen, transition, moving):
    """Smoothed probabilities of the states, and of the moves between them, after `forward`.

    With a the filtered and b the foreseen probabilities, and g the smoothed ones: the move from r to s before
    observation i has the probability ``a[i-1, r] G[r, s] g[i, s] / b[i, s]``.

    Returns:
        smoothed (n, states), and moves (n or 1, states, states): those before every observation, or their sum.
    """
    n, states = logs.shape
    smoothed = np.empty((n, states))
    moves = np.zeros((n if moving else 1, states, states))
    ratio = np.empty(states)
    for c in range(start.size - 1):
        last = start[c + 1] - 1
        smoothed[last] = filtered[last]
        for i in range(last, start[c], -1):
            t = i if moving else 0
            for s in range(states):
                ratio[s] = smoothed[i, s] / foreseen[i, s] if foreseen[i, s] > 0 else 0.0
            for r in range(states):
                sum_r = 0.0
                for s in range(states):
                    move = filtered[i - 1, r] * transition[t, r, s] * ratio[s]
                    moves[t, r, s] += move
                    sum_r += move
                smoothed[i - 1, r] = sum_r
    return smoothed, moves


@njit(cache=True, nogil=True)
def sums(step, log_step, cosine, sine, smoothed):
    """What the gradient needs of the observations, weighted by the smoothed probabilities: (7, states).

    Rows: steps above 0, their sum, the sum of their logarithms, steps of 0, turns, sum of cosines, sum of sines.
    """
    n, states = smoothed.shape
    out = np.zeros((7, states))
    for i in range(n):
        length, turns = step[i], cosine[i]
        for s in range(states):
            p = smoothed[i, s]
            if length > 0:
                out[0, s] += p
                out[1, s] += p * length
                out[2, s] += p * log_step[i]
            elif length == 0:
                out[3, s] += p
            if not math.isnan(turns):
                out[4, s] += p
                out[5, s] += p * turns
                out[6, s] += p * sine[i]
    return out


@njit(cache=True, nogil=True)
def viterbi(logs, start, log_initial, log_transition, moving):
    """The most likely sequence of states of every chain: (n,) from 0 (Viterbi, 1967). Ties go to the lower state."""
    n, states = logs.shape
    path = np.empty(n, np.int64)
    came = np.zeros((n, states), np.int64)
    best = np.empty((n, states))
    for c in range(start.size - 1):
        for i in range(start[c], start[c + 1]):
            t = i if moving else 0
            for s in range(states):
                if i == start[c]:
                    best[i, s] = log_initial[s] + logs[i, s]
                    continue
                top = -np.inf
                for r in range(states):
                    value = best[i - 1, r] + log_transition[t, r, s]
                    if value > top:
                        top = value
                        came[i, s] = r
                best[i, s] = top + logs[i, s]
        last = start[c + 1] - 1
        if last < start[c]:
            continue
        path[last] = np.argmax(best[last])
        for i in range(last, start[c], -1):
            path[i - 1] = came[i, path[i]]
    return path
