"""Generations of genes in several populations that exchange some: exact identity, and simulation of individuals."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkways.populations._viability_kernels import _next, _seed_streams, _uniform

__all__ = ["identity_after", "simulate_generations"]

Floats = NDArray[np.float64]
ONE = np.uint64(1)


def identity_after(identity: Floats, migration: Floats, size: Floats, mutation: float) -> Floats:
    """Probability that two genes are alike, one generation on: (D, D).

    Q'_ij = (1 - u)^2 sum_kl M_ik M_jl [k = l: 1 / (2 N_k) + (1 - 1 / (2 N_k)) Q_kk; otherwise Q_kl], M_ik the
    probability that a gene now in i was in k a generation ago. Within a population the two genes are different copies.
    """
    parents = identity + np.diag((1.0 - np.diag(identity)) / (2.0 * size))
    return np.asarray((1.0 - mutation) ** 2 * migration @ parents @ migration.T)


@njit(cache=True, nogil=True)
def _draw(state, cumulative):
    u = _uniform(state, 0)
    k = 0
    while k < len(cumulative) - 1 and u >= cumulative[k]:
        k += 1
    return k


@njit(cache=True, nogil=True)
def _measure(genes, start, labels, identity, observed, alleles):
    """Mean over loci: identity of different gene copies (D, D), observed heterozygosity (D,), alleles (D + 1,)."""
    populations, loci = len(start) - 1, genes.shape[2]
    counts = np.zeros((labels, populations), np.int32)
    share = np.zeros(populations)
    identity[:] = 0.0
    observed[:] = 0.0
    alleles[:] = 0.0
    for locus in range(loci):
        for d in range(populations):
            for i in range(start[d], start[d + 1]):
                a, b = genes[i, 0, locus], genes[i, 1, locus]
                counts[a, d] += 1
                counts[b, d] += 1
                observed[d] += a != b
        for g in range(2 * start[populations]):
            a = genes[g >> 1, g & 1, locus]
            found = False
            for d in range(populations):
                share[d] = counts[a, d] / (2.0 * (start[d + 1] - start[d]))
                if counts[a, d] > 0:
                    found = True
                    alleles[d] += 1.0
                    counts[a, d] = 0
            if not found:
                continue
            alleles[populations] += 1.0
            for d in range(populations):
                if share[d] > 0.0:
                    for e in range(populations):
                        identity[d, e] += share[d] * share[e]
    identity /= loci
    alleles /= loci
    for d in range(populations):
        individuals = start[d + 1] - start[d]
        observed[d] /= individuals * loci
        copies = 2.0 * individuals
        identity[d, d] = (copies * identity[d, d] - 1.0) / (copies - 1.0)


@njit(cache=True, nogil=True)
def _inherit(state, parents, i, children, j, side):
    bits = np.uint64(0)
    for locus in range(parents.shape[2]):
        if locus % 64 == 0:
            bits = _next(state, 0)
        children[j, side, locus] = parents[i, np.int64(bits & ONE), locus]
        bits >>= ONE


@njit(cache=True, nogil=True)
def _one(seed, start, cumulative, period, frequencies, mutation, report, loci, identity, observed, alleles):
    populations, total = len(start) - 1, start[-1]
    state = np.zeros(1, np.uint64)
    _seed_streams(state, seed, 0, 1)
    now = np.empty((total, 2, loci), np.int32)
    following = np.empty_like(now)
    labels = np.full(loci, max(2 * total, frequencies.shape[2]))
    for d in range(populations):
        for i in range(start[d], start[d + 1]):
            for side in range(2):
                for locus in range(loci):
                    if frequencies.shape[2] == 0:
                        now[i, side, locus] = 2 * i + side
                    else:
                        now[i, side, locus] = _draw(state, frequencies[locus, d])
    _measure(now, start, labels.max(), identity[0], observed[0], alleles[0])
    at = 1
    for t in range(1, len(period) + 1):
        # a stream of its own for each generation: scenarios are the same until they differ
        _seed_streams(state, seed, t, 2)
        rates = cumulative[period[t - 1]]
        for d in range(populations):
            for j in range(start[d], start[d + 1]):
                for side in range(2):
                    k = _draw(state, rates[d])
                    i = start[k] + int(_uniform(state, 0) * (start[k + 1] - start[k]))
                    _inherit(state, now, i, following, j, side)
        if mutation > 0.0:
            for j in range(total):
                for side in range(2):
                    for locus in range(loci):
                        if _uniform(state, 0) < mutation:
                            following[j, side, locus] = labels[locus]
                            labels[locus] += 1
        now, following = following, now
        if report[t]:
            _measure(now, start, labels.max(), identity[at], observed[at], alleles[at])
            at += 1


@njit(cache=True, nogil=True)
def simulate_generations(
    seeds, start, cumulative, period, frequencies, mutation, report, loci, identity, observed, alleles
):
    """One replicate for each seed, of diploid individuals whose two genes come from parents drawn independently.

    start : (D + 1,) first individual of each population; cumulative : (P, D, D) running sums of the backward rates of
    each period; frequencies : (loci, D, alleles) running sums, or no alleles: every gene its own at the start.
    identity, observed, alleles : filled, (R, reports, D, D), (R, reports, D), (R, reports, D + 1).
    """
    for r in range(len(seeds)):
        _one(
            seeds[r],
            start,
            cumulative,
            period,
            frequencies,
            mutation,
            report,
            loci,
            identity[r],
            observed[r],
            alleles[r],
        )
