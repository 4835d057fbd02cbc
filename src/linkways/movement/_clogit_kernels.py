"""Compiled loops of the conditional logit: likelihood, score and information over strata."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["clogit_pass", "stratum_scores", "stratum_shares"]


@njit(cache=True, nogil=True)
def clogit_pass(x, case, start, beta):
    """Log-likelihood, score and information of the conditional logit with one case in each stratum.

    Stratum s holds the rows ``start[s]`` to ``start[s + 1] - 1`` of x (rows, terms), its case in row ``case[s]``. With
    w = softmax(x beta) in the stratum and m = sum w x: the log-likelihood adds log w of the case, the score
    x_case - m, the information sum w (x - m)(x - m)'. Sums run relative to the largest predictor, so that nothing
    overflows, and relative to the case's covariates, so that nothing cancels.

    Returns:
        log-likelihood, score (terms,), information (terms, terms).
    """
    terms = x.shape[1]
    score = np.zeros(terms)
    information = np.zeros((terms, terms))
    mean = np.empty(terms)
    square = np.empty((terms, terms))
    away = np.empty(terms)
    likelihood = 0.0
    for s in range(start.size - 1):
        first, last, chosen = start[s], start[s + 1], case[s]
        # predictors relative to the case's own; the largest is at least 0
        top = 0.0
        for i in range(first, last):
            eta = 0.0
            for j in range(terms):
                eta += (x[i, j] - x[chosen, j]) * beta[j]
            top = max(top, eta)
        total = 0.0
        mean[:] = 0.0
        square[:, :] = 0.0
        for i in range(first, last):
            eta = 0.0
            for j in range(terms):
                away[j] = x[i, j] - x[chosen, j]
                eta += away[j] * beta[j]
            w = math.exp(eta - top)
            total += w
            if i == chosen:
                continue
            for j in range(terms):
                part = w * away[j]
                mean[j] += part
                for k in range(j + 1):
                    square[j, k] += part * away[k]
        likelihood -= top + math.log(total)
        for j in range(terms):
            score[j] -= mean[j] / total
            for k in range(j + 1):
                information[j, k] += square[j, k] / total - (mean[j] / total) * (mean[k] / total)
    for j in range(terms):
        for k in range(j):
            information[k, j] = information[j, k]
    return likelihood, score, information


@njit(cache=True, nogil=True)
def stratum_shares(eta, start):
    """The probability of every row to be the case of its stratum: softmax of the linear predictor within strata."""
    share = np.empty(eta.size)
    for s in range(start.size - 1):
        top = -np.inf
        for i in range(start[s], start[s + 1]):
            top = max(top, eta[i])
        total = 0.0
        for i in range(start[s], start[s + 1]):
            share[i] = math.exp(eta[i] - top)
            total += share[i]
        for i in range(start[s], start[s + 1]):
            share[i] /= total
    return share


@njit(cache=True, nogil=True)
def stratum_scores(x, case, start, share):
    """The score of every stratum, x_case - sum share x: (strata, terms)."""
    scores = np.zeros((start.size - 1, x.shape[1]))
    for s in range(start.size - 1):
        for i in range(start[s], start[s + 1]):
            for j in range(x.shape[1]):
                scores[s, j] -= share[i] * (x[i, j] - x[case[s], j])
    return scores
