"""The landscape matrix of a metapopulation and its leading eigenvalue."""

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from linkways.networks._graph import Network

__all__ = ["Kernel", "landscape_matrix", "leading", "losses", "reached"]

Kernel = Literal["exponential", "linear", "log_sech"]
DENSE = 60  # patches up to which all eigenvalues are computed


def reached(distance: np.ndarray, kernel: Kernel, at: float, probability: float, tail: float) -> np.ndarray:
    """The share of dispersers that go at least so far, for the kernel that gives ``probability`` at ``at``."""
    if kernel == "linear":
        return np.asarray(np.maximum(0.0, 1.0 - (1.0 - probability) * distance / at))
    if kernel == "log_sech":
        scale = at / math.tan(math.pi / 2 * (1.0 - probability)) ** tail
        return np.asarray(1.0 - 2 / math.pi * np.arctan((distance / scale) ** (1.0 / tail)))
    return np.asarray(probability ** (distance / at))


def landscape_matrix(
    found: "Network", share: np.ndarray, *, exponent: float = 1.0, own_colonists: bool = False
) -> "csr_array":
    """The symmetric matrix with the eigenvalues of M_ij = f(d_ij) a_i^x a_j; ``share`` (m,) is f for the links.

    M = D^-1 S D with S_ij = f(d_ij) (a_i a_j)^((1 + x) / 2). Of parallel links the largest share counts.
    """
    from scipy.sparse import coo_array

    n = len(found.ids)
    root = found.attribute ** ((1.0 + exponent) / 2)
    low, high = found.ends.min(axis=1, initial=n), found.ends.max(axis=1, initial=0)
    order = np.lexsort((-share, high, low))
    low, high, share = low[order], high[order], share[order]
    kept = np.ones(len(order), bool)
    kept[1:] = (np.diff(low) != 0) | (np.diff(high) != 0)
    kept &= share > 0
    low, high, values = low[kept], high[kept], (share * root[low] * root[high])[kept]
    own = np.arange(n) if own_colonists else np.zeros(0, np.int64)
    rows = np.concatenate((low, high, own))
    columns = np.concatenate((high, low, own))
    return coo_array((np.concatenate((values, values, root[own] ** 2)), (rows, columns)), shape=(n, n)).tocsr()


def leading(matrix: "csr_array", start: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """The largest eigenvalue of a symmetric matrix of entries >= 0, and its eigenvector of length 1, entries >= 0."""
    from scipy.linalg import eigh
    from scipy.sparse.linalg import eigsh

    n = matrix.shape[0]
    top = float(matrix.data.max(initial=0.0))
    if top == 0.0:
        return 0.0, np.zeros(n)
    if n <= DENSE:
        values, vectors = eigh(matrix.toarray() / top, subset_by_index=[n - 1, n - 1])
    else:
        first = np.ones(n) if start is None or not start.any() else start + start.max() * 1e-3
        values, vectors = eigsh(matrix / top, k=1, which="LA", v0=first, tol=1e-13)
    vector = vectors[:, -1]
    return float(values[-1]) * top, np.abs(vector)


def losses(matrix: "csr_array", value: float, vector: np.ndarray) -> np.ndarray:
    """(n,) by how much the leading eigenvalue falls without each node, each computed anew."""
    from scipy.sparse import diags_array

    out = np.zeros(matrix.shape[0])
    for i in np.flatnonzero(vector > 0):
        keep = np.ones(matrix.shape[0])
        keep[i] = 0.0
        mask: Any = diags_array(keep)
        without = (mask @ matrix @ mask).tocsr()
        without.eliminate_zeros()
        out[i] = value - leading(without, vector * keep)[0]
    return np.maximum(out, 0.0)
