"""Log-likelihoods of occupancy models with their exact gradients by the linear predictor of every visit and site.

Visits lie one after the other by site (and season); ``first`` (units + 1,) tells where those of a unit begin. All
probabilities are inverse logits of their linear predictors. What comes back is the log-likelihood, and its derivative
by each linear predictor, so that the gradient by coefficients is X' of it.
"""

import math

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def _log1pexp(x):
    if x > 0:
        return x + math.log1p(math.exp(-x))
    return math.log1p(math.exp(x))


@numba.njit(cache=True, nogil=True)
def _expit(x):
    if x > 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@numba.njit(cache=True, nogil=True)
def _unseen(eta_p, y, begin, end, p):
    """The log chance of the visits where occupied, whether any detects; p is filled.

    log(1 + e^x) is summed as the logarithm of a product, since logarithms are dear.
    """
    given, product, seen = 0.0, 1.0, False
    for j in range(begin, end):
        x = eta_p[j]
        if x > 0:
            e = math.exp(-x)
            p[j] = 1.0 / (1.0 + e)
            given -= x
        else:
            e = math.exp(x)
            p[j] = e / (1.0 + e)
        product *= 1.0 + e
        if product > 1e200:
            given -= math.log(product)
            product = 1.0
        if y[j] > 0:
            given += x
            seen = True
    return given - math.log(product), seen


@numba.njit(cache=True, nogil=True)
def single(first, y, eta_psi, eta_p, by_psi, by_p, occupied):
    """Single season (MacKenzie et al., 2002): psi prod p^y (1 - p)^(1 - y) + (1 - psi) [no detection]."""
    total = 0.0
    for i in range(len(first) - 1):
        given, seen = _unseen(eta_p, y, first[i], first[i + 1], by_p)
        if seen:
            w = 1.0
            total += given - _log1pexp(-eta_psi[i])
        else:
            # log odds of being there unseen
            odds = eta_psi[i] + given
            w = _expit(odds)
            total += _log1pexp(odds) - _log1pexp(eta_psi[i])
        occupied[i] = w
        by_psi[i] = w - _expit(eta_psi[i])
        for j in range(first[i], first[i + 1]):
            by_p[j] = w * ((1.0 if y[j] > 0 else 0.0) - by_p[j])
    return total


@numba.njit(cache=True, nogil=True)
def false_positive(first, y, certain, sure, eta_psi, eta_p, eta_f, eta_b, by_psi, by_p, by_f, by_b, occupied):
    """Visits that may err beside those that cannot (Miller et al., 2011): y is 0, 1, or 2 for confirmed.

    Where occupied: detected with p, and on visits that may err confirmed with b (if ``sure``). Where not: visits that
    may err detect with f, never confirmed.
    """
    total = 0.0
    for i in range(len(first) - 1):
        there, absent, proven = 0.0, 0.0, False
        for j in range(first[i], first[i + 1]):
            there -= _log1pexp(eta_p[j])
            if y[j] > 0:
                there += eta_p[j]
            if certain[j]:
                proven = proven or y[j] > 0
                continue
            absent -= _log1pexp(eta_f[j])
            if y[j] > 0:
                absent += eta_f[j]
                if sure:
                    there -= _log1pexp(-eta_b[j]) if y[j] == 2 else _log1pexp(eta_b[j])
            proven = proven or y[j] == 2
        if proven:
            w = 1.0
            total += there - _log1pexp(-eta_psi[i])
        else:
            odds = eta_psi[i] + there - absent
            w = _expit(odds)
            total += absent + _log1pexp(odds) - _log1pexp(eta_psi[i])
        occupied[i] = w
        by_psi[i] = w - _expit(eta_psi[i])
        for j in range(first[i], first[i + 1]):
            seen = 1.0 if y[j] > 0 else 0.0
            by_p[j] = w * (seen - _expit(eta_p[j]))
            by_f[j] = 0.0 if certain[j] else (1.0 - w) * (seen - _expit(eta_f[j]))
            by_b[j] = 0.0
            if sure and not certain[j] and y[j] > 0:
                by_b[j] = w * ((1.0 if y[j] == 2 else 0.0) - _expit(eta_b[j]))
    return total


@numba.njit(cache=True, nogil=True)
def royle_nichols(first, y, eta_lambda, eta_r, most, log_factorial, by_lambda, by_r, occupied):
    """Abundance-induced heterogeneity (Royle and Nichols, 2003): N ~ Poisson(exp eta), P(y = 1 | N) = 1 - (1 - r)^N.

    The sum ends at N = ``most``.
    """
    total = 0.0
    term = np.empty(most + 1)
    for i in range(len(first) - 1):
        lam = math.exp(min(eta_lambda[i], 30.0))
        missed = 0.0
        seen = False
        for j in range(first[i], first[i + 1]):
            if y[j] > 0:
                seen = True
            else:
                missed -= _log1pexp(eta_r[j])
        highest = -np.inf
        for n in range(most + 1):
            term[n] = n * (eta_lambda[i] + missed) - lam - log_factorial[n]
        if seen:
            term[0] = -np.inf
            for j in range(first[i], first[i + 1]):
                if y[j] > 0:
                    q = _expit(-eta_r[j])
                    r = _expit(eta_r[j])
                    power, chance = 1.0, 0.0
                    for n in range(1, most + 1):
                        # 1 - q^n as a sum of what each animal adds, which loses no digits
                        chance += r * power
                        power *= q
                        term[n] += math.log(max(chance, 1e-300))
        for n in range(most + 1):
            highest = max(highest, term[n])
        mass, mean = 0.0, 0.0
        for n in range(most + 1):
            term[n] = math.exp(term[n] - highest)
            mass += term[n]
            mean += n * term[n]
        mean /= mass
        total += highest + math.log(mass)
        occupied[i] = 1.0 - term[0] / mass
        by_lambda[i] = mean - lam
        for j in range(first[i], first[i + 1]):
            r = _expit(eta_r[j])
            if y[j] == 0:
                by_r[j] = -mean * r
                continue
            q = 1.0 - r
            power, chance, slope = 1.0, 0.0, 0.0
            for n in range(1, most + 1):
                chance += r * power
                power *= q
                slope += term[n] * n * power / max(chance, 1e-300)
            by_r[j] = slope * r / mass
    return total


@numba.njit(cache=True, nogil=True)
def dynamic(first, y, seasons, eta_psi, eta_g, eta_e, eta_p, by_psi, by_g, by_e, by_p, smoothed):
    """Colonisation and extinction between seasons (MacKenzie et al., 2003) by forward and backward passes.

    Units are site-seasons, seasons fastest; transitions (sites, seasons - 1), flat. ``smoothed`` is P(occupied | all
    visits) of every unit.
    """
    total = 0.0
    emit0, emit1 = np.empty(seasons), np.empty(seasons)
    f0, f1 = np.empty(seasons), np.empty(seasons)
    # chances of a transition: colonised, still empty, extinct, still occupied
    come, stay, gone, keep = np.empty(seasons), np.empty(seasons), np.empty(seasons), np.empty(seasons)
    for i in range(len(eta_psi)):
        for t in range(seasons):
            unit = i * seasons + t
            given, seen = _unseen(eta_p, y, first[unit], first[unit + 1], by_p)
            # what both have in common goes to the total, so that nothing underflows
            if seen:
                total += given
                emit0[t], emit1[t] = 0.0, 1.0
            else:
                emit0[t], emit1[t] = 1.0, math.exp(given)
        psi = _expit(eta_psi[i])
        a0, a1 = _expit(-eta_psi[i]) * emit0[0], psi * emit1[0]
        scale = 1.0
        for t in range(seasons):
            if t > 0:
                k = i * (seasons - 1) + t - 1
                come[t], stay[t] = _expit(eta_g[k]), _expit(-eta_g[k])
                gone[t], keep[t] = _expit(eta_e[k]), _expit(-eta_e[k])
                a0, a1 = (
                    (f0[t - 1] * stay[t] + f1[t - 1] * gone[t]) * emit0[t],
                    (f0[t - 1] * come[t] + f1[t - 1] * keep[t]) * emit1[t],
                )
            mass = max(a0 + a1, 1e-300)
            scale *= mass
            if scale < 1e-200:
                total += math.log(scale)
                scale = 1.0
            f0[t], f1[t] = a0 / mass, a1 / mass
        total += math.log(scale)
        b0, b1 = 1.0, 1.0
        for t in range(seasons - 1, -1, -1):
            unit = i * seasons + t
            there = f1[t] * b1
            w = there / max(there + f0[t] * b0, 1e-300)
            smoothed[unit] = w
            for j in range(first[unit], first[unit + 1]):
                by_p[j] = w * ((1.0 if y[j] > 0 else 0.0) - by_p[j])
            if t == 0:
                by_psi[i] = w - psi
                break
            to0, to1 = emit0[t] * b0, emit1[t] * b1
            x00, x01 = f0[t - 1] * stay[t] * to0, f0[t - 1] * come[t] * to1
            x10, x11 = f1[t - 1] * gone[t] * to0, f1[t - 1] * keep[t] * to1
            mass = max(x00 + x01 + x10 + x11, 1e-300)
            k = i * (seasons - 1) + t - 1
            by_g[k] = (x01 * stay[t] - x00 * come[t]) / mass
            by_e[k] = (x10 * keep[t] - x11 * gone[t]) / mass
            b0, b1 = stay[t] * to0 + come[t] * to1, gone[t] * to0 + keep[t] * to1
            mass = max(b0 + b1, 1e-300)
            b0, b1 = b0 / mass, b1 / mass
    return total
