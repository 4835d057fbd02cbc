"""Measures of a larval network's sites: degree, betweenness, eigenvectors, ranks, clusters, and change over time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import progress

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from linkways.seas._connectivity_dispersal import Dispersal

__all__ = ["Ranks", "betweenness", "clusters", "degrees", "ranks", "temporal_covariance", "without_own"]

SHORTEST = 1e-9  # length of a link that all larvae take, so that every link has one
PIECES = 50  # of the sources, between which progress is told


def without_own(matrix: "csr_array", least: float = 0.0) -> "csr_array":
    """The entries between different sites that are above 0 and not below ``least``."""
    from scipy.sparse import coo_array

    found = matrix.tocoo()
    row, column = found.coords
    kept = (row != column) & (found.data > 0) & (found.data >= least)
    return coo_array((found.data[kept], (row[kept], column[kept])), shape=matrix.shape).tocsr()


def degrees(links: "csr_array") -> tuple[np.ndarray, np.ndarray]:
    """Links into and out of each site."""
    n = links.shape[0]
    return np.bincount(links.indices, minlength=n), np.diff(links.indptr).astype(np.int64)


def betweenness(links: "csr_array", *, by_probability: bool, sources: np.ndarray) -> np.ndarray:
    """(n,) pairs of other sites whose best path passes a site, shared among ties.

    The best path has the fewest links, or the largest product of probabilities. Where ``sources`` are a sample, sums
    are scaled to all of them (Brandes and Pich 2007).
    """
    from linkways.seas._metrics_kernels import betweenness_by_length, betweenness_by_links

    n = links.shape[0]
    starts, sinks = links.indptr.astype(np.int64), links.indices.astype(np.int32)
    lengths = np.maximum(-np.log(np.minimum(links.data, 1.0)), SHORTEST)
    total = np.zeros(n)
    pieces = np.array_split(sources.astype(np.int32), min(PIECES, max(len(sources), 1)))
    for number, piece in enumerate(pieces):
        progress(number / len(pieces), "betweenness")
        if by_probability:
            betweenness_by_length(starts, sinks, lengths, piece, total)
        else:
            betweenness_by_links(starts, sinks, piece, total)
    return np.asarray(total * (n / max(len(sources), 1)))


# --- ranks -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ranks:
    """PageRank of each site, and the Google matrix whose stationary distribution it is."""

    rank: np.ndarray
    google: "csr_array"
    """Its entries at linked pairs; every other pair of a source with links has ``jump``, of one without 1 / n."""
    jump: float


def ranks(flow: "csr_array", damping: float) -> Ranks:
    """PageRank by flow: x = x G with G = damping x rows scaled to sum to 1 + (1 - damping) / n; no links: 1 / n."""
    n = flow.shape[0]
    out = np.asarray(flow.sum(axis=1)).ravel()
    walk = flow.copy()
    walk.data = walk.data / np.repeat(np.where(out > 0, out, 1.0), np.diff(walk.indptr))
    back, ends = walk.T.tocsr(), out == 0
    x = np.full(n, 1.0 / n)
    # each step shrinks the error by the damping at least, so that this many reach rounding
    for _ in range(10_000):
        new = damping * (back @ x + x[ends].sum() / n) + (1 - damping) / n
        new /= new.sum()
        step = np.abs(new - x).sum()
        x = new
        if step < 1e-15:
            break
    google = walk.copy()
    google.data = damping * google.data + (1 - damping) / n
    return Ranks(x, google, (1 - damping) / n)


# --- clusters --------------------------------------------------------------------------------------------------


def clusters(links: "csr_array", resolution: float, seed: int) -> tuple[np.ndarray, float]:
    """(n,) cluster of each site, the one of most sites first, and the directed modularity of all.

    Louvain on the flow between different sites with Leicht and Newman's directed modularity.
    """
    import networkx as nx

    n = links.shape[0]
    if not links.nnz:
        return np.arange(n), 0.0
    graph = nx.DiGraph()
    graph.add_nodes_from(range(n))
    found = links.tocoo()
    top = float(found.data.max())
    ends = zip(found.coords[0].tolist(), found.coords[1].tolist(), (found.data / top).tolist(), strict=True)
    graph.add_weighted_edges_from(ends)
    groups = nx.community.louvain_communities(graph, resolution=resolution, seed=np.random.default_rng(seed))
    groups = sorted(groups, key=lambda g: (-len(g), min(g)))
    number = np.empty(n, np.int64)
    for k, group in enumerate(groups):
        number[list(group)] = k
    return number, _modularity(links, number, resolution)


def _modularity(links: "csr_array", number: np.ndarray, resolution: float) -> float:
    """Q = sum over clusters of W_in / W - resolution x S_out S_in / W^2 (Leicht and Newman 2008)."""
    found = links.tocoo()
    source, sink = number[found.coords[0]], number[found.coords[1]]
    count, whole = int(number.max()) + 1, float(found.data.sum())
    inside = float(found.data[source == sink].sum())
    out = np.bincount(source, weights=found.data, minlength=count)
    into = np.bincount(sink, weights=found.data, minlength=count)
    return inside / whole - resolution * float(out @ into) / whole**2


# --- change over time ------------------------------------------------------------------------------------------


def temporal_covariance(found: "Dispersal", focus: np.ndarray) -> np.ndarray:
    """(n,) - sum over focus sites a != b and c != v of Cov_t(F_ab, F_cv): NaN with fewer than 2 dates.

    Sums and covariance may change places, so that it is - Cov_t(larvae exchanged within the focus, larvae that v gets
    from the focus). It is high where v is fed when the exchange within the focus is weak.
    """
    n, dates = found.released.shape
    if dates < 2:
        return np.full(n, np.nan)
    released = found.released[found.source, found.date]
    flow = found.value / released * (found.factor * found.production)[found.source]
    used = focus[found.source] & (found.source != found.sink)
    key = found.sink[used] * dates + found.date[used]
    into = np.bincount(key, weights=flow[used], minlength=n * dates).reshape(n, dates)
    within = into[focus].sum(axis=0)
    apart = into - into.mean(axis=1, keepdims=True)
    return np.asarray(-(apart @ (within - within.mean())) / (dates - 1))


def focus_of(id: str, found: "Dispersal", column: str) -> np.ndarray:
    """(n,) whether a site is marked in a column of true and false; all are where there is no such column."""
    table = found.sites.table
    if table is None or column not in table.columns:
        return np.ones(found.sites.n, bool)
    return marked(id, table, column, found.sites.names)


def marked(id: str, table: Any, column: str, names: np.ndarray) -> np.ndarray:
    """(n,) a column of true and false (or 1 and 0)."""
    values = table[column]
    words = values.astype(str).str.strip().str.lower().to_numpy()
    yes, no = np.isin(words, ["true", "1", "1.0", "yes"]), np.isin(words, ["false", "0", "0.0", "no"])
    wrong = np.flatnonzero(~(yes | no))
    if len(wrong):
        raise LinkwaysError(
            f"{id}: {column} of {len(wrong)} sites is neither true nor false, first that of site {names[wrong[0]]} "
            f"({values.iloc[wrong[0]]}); write true or false"
        )
    return np.asarray(yes)
