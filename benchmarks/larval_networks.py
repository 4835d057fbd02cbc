"""Betweenness and PageRank of a larval network of 10,000 reefs beside networkx, and the time of all of seas.metrics.

    python benchmarks/larval_networks.py                      # 10,000 reefs, 20 draws of links each
    python benchmarks/larval_networks.py --sites 20000 --whole

The network is simulated: reefs on a strip of coast, links whose distance follows a t-distribution, lognormal strengths.
Both compute the betweenness over the same sample of sources, in turns; CPU time, the least of the rounds, and the
largest relative difference of the values. networkx is version 3 in pure Python on the same graph, whose building is
not counted. --whole adds one call of seas.metrics on all sources, persistence and clusters with it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import networkx as nx
import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from linkways.seas import metrics
from linkways.seas._metrics_network import betweenness, ranks, without_own


def simulated(sites: int, draws: int) -> pd.DataFrame:
    """Probabilities between reefs: 30 % of each reef's larvae settle."""
    rng = np.random.default_rng(0)
    source = np.repeat(np.arange(sites), draws)
    far = np.rint(rng.standard_t(2, len(source)) * draws).astype(int)
    table = pd.DataFrame({"source": source, "sink": np.clip(source + far, 0, sites - 1)})
    table["value"] = rng.lognormal(0, 1.5, len(table))
    table = table.groupby(["source", "sink"], as_index=False)["value"].sum()
    table["value"] *= 0.3 / table.groupby("source")["value"].transform("sum")
    return table


def timed(call: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.process_time()
    found = call()
    return time.process_time() - start, found


def compare(name: str, ours: Callable[[], np.ndarray], theirs: Callable[[], np.ndarray], rounds: int) -> None:
    pairs = [(timed(ours), timed(theirs)) for _ in range(rounds)]
    own, other = min(p[0][0] for p in pairs), min(p[1][0] for p in pairs)
    mine, peer = pairs[0][0][1], pairs[0][1][1]
    apart = np.abs(mine - peer).max() / np.abs(peer).max()
    print(f"{name}: CPU {own:.2f} s, networkx {other:.2f} s, ratio {other / own:.0f}, apart by {apart:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--sources", type=int, default=20, help="sampled for the betweenness")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--whole", action="store_true", help="all of seas.metrics too")
    given = parser.parse_args()
    table = simulated(given.sites, given.draws)
    n = given.sites
    matrix = csr_array((table["value"], (table["source"], table["sink"])), shape=(n, n))
    links = without_own(matrix)
    print(f"sites {n:,}, links {links.nnz:,}")
    graph = nx.from_scipy_sparse_array(links, create_using=nx.DiGraph)
    for _, _, edge in graph.edges(data=True):
        edge["length"] = -np.log(edge["weight"])
    sources = np.sort(np.random.default_rng(1).choice(n, given.sources, replace=False))
    small = csr_array(np.array([[0.0, 0.5], [0.5, 0.0]]))
    nodes = list(range(n))
    for name, by_probability, weight in (("fewest links", False, None), ("most probable", True, "length")):
        betweenness(small, by_probability=by_probability, sources=np.arange(2))  # compiles

        def peer(weight: str | None = weight) -> np.ndarray:
            found = nx.betweenness_centrality_subset(graph, sources.tolist(), nodes, weight=weight)
            return np.array([found[i] for i in nodes]) * n / len(sources)

        def ours(by_probability: bool = by_probability) -> np.ndarray:
            return betweenness(links, by_probability=by_probability, sources=sources)

        compare(f"betweenness, {name}, {len(sources)} sources", ours, peer, given.rounds)
    whole = nx.from_scipy_sparse_array(matrix, create_using=nx.DiGraph)
    compare(
        "PageRank",
        lambda: ranks(matrix, 0.85).rank,
        lambda: np.array(list(nx.pagerank(whole, tol=1e-15 / n * 10, max_iter=1000).values())),
        given.rounds,
    )
    if given.whole:
        seconds = time.process_time()
        found = metrics(table, recruits_per_recruit=5, lost_sites=5)
        seconds = time.process_time() - seconds
        print(
            f"seas.metrics: CPU {seconds:.1f} s, lambda {found.lambda_all:.4f}, minimum set {found.minimum_sites:.0f}"
        )


if __name__ == "__main__":
    main()
