"""Whether a metapopulation persists: its growth rate, what each site adds to it, and the fewest sites it needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from linkways.method import progress

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = [
    "Growth",
    "exact_losses",
    "fewest_sites",
    "greedy_sites",
    "growth",
    "loss_curve",
    "on_cycles",
    "rate_of",
    "smaller_sets",
]

DENSE = 200  # sites of a group up to which all eigenvalues are computed
SAME = 1e-9  # growth rates that differ relatively by less are equal
BATCH = 20_000  # subsets whose eigenvalues are computed at once


@dataclass(frozen=True)
class Growth:
    """The growth rate of a matrix, rows donors, and its vectors; each vector sums to 1 (0 where nothing grows)."""

    rate: float
    """The largest eigenvalue: settlers per settler a generation later."""
    share: np.ndarray
    """(n,) left vector: how settlers are spread over the sites in the long run."""
    value: np.ndarray
    """(n,) right vector: what a settler at each site is worth for later generations."""
    contribution: np.ndarray
    """(n,) product of the two: the site's part in the rate (its elasticity)."""
    loss: np.ndarray
    """(n,) by how much the rate falls without the site, to first order (at most the rate itself)."""


# --- growth rate -----------------------------------------------------------------------------------------------


def growth(matrix: "csr_array") -> Growth:
    """The growth rate and its vectors, group by group of sites that all feed each other.

    The eigenvalues of a matrix are those of its strongly connected groups, so that none is missed or smeared where
    larvae flow one way only. A group's rate is the largest real eigenvalue, which is the largest of all by Perron and
    Frobenius. Of several groups of one rate the first counts.
    """
    n = matrix.shape[0]
    group, rate = _leading_group(matrix)
    zero = np.zeros(n)
    if rate <= 0:
        return Growth(0.0, zero, zero, zero, zero)
    inside = matrix[group][:, group].tocsr()
    value = _extended(matrix, group, _vector(inside), rate)
    share = _extended(matrix.T.tocsr(), group, _vector(inside.T.tocsr()), rate)
    product = np.zeros(n)
    product[group] = share[group] * value[group]
    contribution = product / product.sum()
    # v A w without row and column i: 2 rate v_i w_i less the diagonal, which would be taken off twice
    loss = (2 * rate - matrix.diagonal()) * contribution
    return Growth(rate, share / share.sum(), value / value.sum(), contribution, np.clip(loss, 0.0, rate))


def rate_of(matrix: "csr_array") -> float:
    """The growth rate alone."""
    return _leading_group(matrix)[1]


def _leading_group(matrix: "csr_array") -> tuple[np.ndarray, float]:
    """The sites of the strongly connected group of the largest rate, and that rate."""
    from scipy.sparse.csgraph import connected_components

    if not matrix.nnz:
        return np.arange(min(matrix.shape[0], 1)), 0.0
    count, label = connected_components(matrix, directed=True, connection="strong")
    size = np.bincount(label, minlength=count)
    own = np.zeros(count)
    np.maximum.at(own, label, matrix.diagonal())
    best, best_rate = int(own.argmax()), float(own.max(initial=0.0))
    order = np.argsort(label, kind="stable")
    ends = np.concatenate(([0], np.cumsum(size)))
    # no eigenvalue exceeds the largest row sum, nor the largest column sum
    for k in np.flatnonzero(size > 1):
        members = order[ends[k] : ends[k + 1]]
        block = matrix[members][:, members].tocsr()
        most = min(float(block.sum(axis=1).max()), float(block.sum(axis=0).max()))
        if most <= best_rate:
            continue
        rate = _largest(block)
        if rate > best_rate:
            best, best_rate = int(k), rate
    return order[ends[best] : ends[best + 1]], best_rate


def _largest(block: "csr_array") -> float:
    """The largest eigenvalue of a group whose sites all reach each other."""
    if block.shape[0] <= DENSE:
        return float(np.linalg.eigvals(block.toarray()).real.max())
    return _sparse_pair(block)[0]


def _vector(block: "csr_array") -> np.ndarray:
    """The right vector above 0 of a group's rate, summing to 1."""
    n = block.shape[0]
    if n == 1:
        return np.ones(1)
    if n <= DENSE:
        values, vectors = np.linalg.eig(block.toarray())
        vector = np.abs(vectors[:, values.real.argmax()].real)
        return np.asarray(vector / vector.sum())
    return _sparse_pair(block)[1]


def _sparse_pair(block: "csr_array") -> tuple[float, np.ndarray]:
    """Rate and right vector of a large group."""
    from scipy.sparse.linalg import ArpackNoConvergence, eigs

    n, top = block.shape[0], float(block.data.max())
    try:
        # a start that is no eigenvector itself, as all ones often is
        values, vectors = eigs(block / top, k=1, which="LR", v0=np.linspace(1.0, 2.0, n), tol=1e-14)
    except ArpackNoConvergence:
        return _by_steps(block)
    vector = np.abs(vectors[:, 0].real)
    return float(values[0].real) * top, np.asarray(vector / vector.sum())


def _by_steps(block: "csr_array") -> tuple[float, np.ndarray]:
    """The same by repeated multiplication; a share of the identity lets sites that take turns settle too."""
    n = block.shape[0]
    shift = 0.5 * float(block.sum(axis=1).mean())
    x = np.full(n, 1.0 / n)
    value = shift
    for _ in range(100_000):
        new = block @ x + shift * x
        value = float(new.sum())
        new /= value
        change = float(np.abs(new - x).max())
        x = new
        if change <= 1e-15 * float(x.max()):
            break
    return value - shift, x


def _extended(matrix: "csr_array", group: np.ndarray, vector: np.ndarray, rate: float) -> np.ndarray:
    """A group's right vector over all sites: those that feed the group, at however many removes, have a part in it."""
    n = matrix.shape[0]
    start = np.zeros(n)
    start[group] = vector
    inside = np.zeros(n, bool)
    inside[group] = True
    out = start.copy()
    # the other groups' rates are smaller, so that the parts of ever longer chains fade
    for _ in range(20_000):
        new = np.where(inside, start, (matrix @ out) / rate)
        change = float(np.abs(new - out).max())
        out = new
        if change <= 1e-15 * float(out.max()):
            break
    return out


# --- losses ----------------------------------------------------------------------------------------------------


def _without(matrix: "csr_array", gone: np.ndarray) -> "csr_array":
    """The matrix of the sites that are left."""
    kept = np.flatnonzero(~gone)
    return matrix[kept][:, kept].tocsr()


def exact_losses(matrix: "csr_array", found: Growth) -> np.ndarray:
    """(n,) by how much the rate falls without each site, each computed anew."""
    n = matrix.shape[0]
    out = np.zeros(n)
    # without sites that have no part in the leading group its rate stays
    for number, i in enumerate(np.flatnonzero(found.contribution > 0)):
        if number % 50 == 0:
            progress(number / n, "losses")
        gone = np.zeros(n, bool)
        gone[i] = True
        out[i] = max(found.rate - rate_of(_without(matrix, gone)), 0.0)
    return out


def loss_curve(matrix: "csr_array", most: int) -> tuple[list[int], list[float]]:
    """Sites lost one after the other, each time the one of the largest first-order loss, and the rate after each."""
    n = matrix.shape[0]
    gone = np.zeros(n, bool)
    lost: list[int] = []
    rates = [rate_of(matrix)]
    while len(lost) < min(most, n) and rates[-1] > 0:
        progress(len(lost) / most, "lost sites")
        left = np.flatnonzero(~gone)
        found = growth(_without(matrix, gone))
        lost.append(int(left[found.loss.argmax()]))
        gone[lost[-1]] = True
        rates.append(rate_of(_without(matrix, gone)))
    return lost, rates


# --- the fewest sites that persist -----------------------------------------------------------------------------


def greedy_sites(matrix: "csr_array") -> np.ndarray:
    """(n,) sites that persist by themselves (rate >= 1) such that none of them can be left out; none: no set does.

    Starting from the leading group, sites are dropped in order of their first-order losses, the least first: half of
    those left at once while that keeps the rate at 1, else half as many, down to one. At the end each site is tried.
    """
    n = matrix.shape[0]
    kept = np.zeros(n, bool)
    group, rate = _leading_group(matrix)
    if rate < 1 - SAME:
        return kept
    kept[group] = True
    batch = max(int(kept.sum()) // 2, 1)
    while batch:
        progress(1 - kept.sum() / n, "fewest sites")
        found = growth(_without(matrix, ~kept))
        left = np.flatnonzero(kept)
        # sites that drop out of the leading group come first
        drop = left[np.argsort(found.loss, kind="stable")[:batch]]
        trial = kept.copy()
        trial[drop] = False
        if trial.any() and rate_of(_without(matrix, ~trial)) >= 1 - SAME:
            kept = trial
            batch = min(batch, max(int(kept.sum()) // 2, 1))
        else:
            batch //= 2
    return _pruned(matrix, kept)


def _pruned(matrix: "csr_array", kept: np.ndarray) -> np.ndarray:
    """The same sites without any that the rest can do without, those of the least loss tried first."""
    found = growth(_without(matrix, ~kept))
    for i in np.flatnonzero(kept)[np.argsort(found.loss, kind="stable")]:
        trial = kept.copy()
        trial[i] = False
        if trial.any() and rate_of(_without(matrix, ~trial)) >= 1 - SAME:
            kept = trial
    return kept


def on_cycles(matrix: "csr_array") -> np.ndarray:
    """Sites whose larvae can come back, directly or over others: only among them can a set persist."""
    from scipy.sparse.csgraph import connected_components

    _, label = connected_components(matrix, directed=True, connection="strong")
    alone = np.bincount(label)[label] == 1
    return np.flatnonzero(~(alone & (matrix.diagonal() == 0)))


def smaller_sets(matrix: "csr_array", most: int) -> int:
    """How many sets of fewer than ``most`` sites there are among those on cycles."""
    useful = len(on_cycles(matrix))
    return sum(comb(useful, size) for size in range(1, most))


def fewest_sites(matrix: "csr_array", most: int) -> np.ndarray | None:
    """The first smallest set of fewer than ``most`` sites of rate >= 1, or None: all subsets are tried, by size."""
    if most > 1 and matrix.diagonal().max(initial=0.0) >= 1 - SAME:
        return np.flatnonzero(matrix.diagonal() >= 1 - SAME)[:1]
    if most <= 2:
        return None
    useful = on_cycles(matrix)
    dense = matrix[useful][:, useful].toarray()
    for size in range(2, min(most, len(useful) + 1)):
        for chosen in _batches(combinations(range(len(useful)), size)):
            progress(size / most, "all subsets")
            blocks = dense[chosen[:, :, None], chosen[:, None, :]]
            # no eigenvalue exceeds the largest row sum, nor the largest column sum
            bound = np.minimum(blocks.sum(axis=2).max(axis=1), blocks.sum(axis=1).max(axis=1))
            hopeful = np.flatnonzero(bound >= 1 - SAME)
            if not len(hopeful):
                continue
            rates = np.linalg.eigvals(blocks[hopeful]).real.max(axis=1)
            found = np.flatnonzero(rates >= 1 - SAME)
            if len(found):
                return np.asarray(useful[chosen[hopeful[found[0]]]])
    return None


def _batches(items: Iterator[tuple[int, ...]]) -> Iterator[np.ndarray]:
    while batch := list(islice(items, BATCH)):
        yield np.array(batch, np.int64)
