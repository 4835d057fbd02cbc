"""How many separate ways a habitat network offers, and what cuts them all."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Table, TableOf, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from scipy.sparse import csr_array


__all__ = ["Redundancy", "redundancy"]

ID = "networks.redundancy"
MOST_PAIRS = 20_000


@dataclass(frozen=True)
class Redundancy:
    """Disjoint paths between pairs of patches, and the links and patches that cut them."""

    pairs: Annotated[
        "pd.DataFrame",
        TableOf(
            "patch_a, patch_b, link_disjoint_paths (no two share a link), patch_disjoint_paths (no two share a patch "
            "in between)"
        ),
    ]
    cuts: Annotated[
        "pd.DataFrame",
        TableOf(
            "patch_a, patch_b, cut (links or patches), and either link_a and link_b, a link of the smallest set that "
            "parts them, or patch, one of the smallest set of patches that does, with the links that join the two "
            "directly"
        ),
    ]
    links: Annotated[
        "pd.DataFrame",
        TableOf(
            "patch_a, patch_b, weight, bridge (without it a component falls apart), in_cuts (pairs whose cut has it)"
        ),
    ]
    patches: Annotated[
        "pd.DataFrame",
        TableOf(
            "patch, articulation (without it a component falls apart), in_cuts (pairs whose cut of patches has it)"
        ),
    ]
    bridges: Annotated[int, Indicator("links without which a component falls apart")]
    articulations: Annotated[int, Indicator("patches without which a component falls apart")]
    mean_paths: Annotated[float, Indicator("link-disjoint paths between a pair, on average")]
    link_map: Annotated["gpd.GeoDataFrame | None", Layer("the links with these columns, if they have geometry")]
    patch_map: Annotated["gpd.GeoDataFrame | None", Layer("the patches with these columns, if they have geometry")]


@method(
    "networks.redundancy",
    references=(
        "Menger K (1927) Zur allgemeinen Kurventheorie. Fundamenta Mathematicae 10:96-115",
        "Ford LR, Fulkerson DR (1956) Maximal flow through a network. Canadian Journal of Mathematics 8:399-404",
        "Tarjan RE (1974) A note on finding the bridges of a graph. Information Processing Letters 2:160-161",
    ),
)
def redundancy(
    patches: Annotated["pd.DataFrame", Table("habitat patches", columns=("patch",))],
    links: Annotated["pd.DataFrame", Table("links between patches", columns=("patch_a", "patch_b"))],
    pairs: Annotated[
        "pd.DataFrame | None",
        Table("the pairs of patches to look at, e.g. core areas; all without it", columns=("patch_a", "patch_b")),
    ] = None,
    *,
    weight: Annotated[
        Literal["distance_m", "cost", "probability"], Param("column of links that says how far apart patches are")
    ] = "distance_m",
    threshold: Annotated[
        float | None,
        Param("only links whose weight is below this (a probability: above) are used; all without it", ge=0),
    ] = None,
) -> Redundancy:
    """The number of separate paths between patches, and the fewest links or patches whose loss parts them.

    The most paths of which no two share a link are as many as the fewest links that part the two patches, and the most
    of which no two share a patch in between as many as the fewest patches that do (Menger 1927), where every direct
    link is a path of its own. Both are maximum flows with capacities of 1. There can be several smallest cuts: the one
    nearest patch_a is told. Parallel links are separate ways. Bridges and articulation patches are those whose loss
    alone parts a component of the whole network.

    Raises LinkwaysError for a weight that is missing or negative, a link or pair of an unknown patch or of a patch with
    itself, and for more than 20,000 pairs.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import networks
    >>> patches = pd.DataFrame({"patch": list("abcd")})
    >>> ends = {"patch_a": list("aabc"), "patch_b": list("bcdd")}
    >>> ring = pd.DataFrame(ends).assign(distance_m=100.0)
    >>> networks.redundancy(patches, ring, pd.DataFrame({"patch_a": ["a"], "patch_b": ["d"]})).pairs
      patch_a patch_b  link_disjoint_paths  patch_disjoint_paths
    0       a       d                    2                     2
    """
    import pandas as pd

    from linkways.networks._graph import mapped, patch_ids, read_ends, read_weights

    patches, links = patches.reset_index(drop=True), links.reset_index(drop=True)
    ids = patch_ids(ID, patches)
    ends, raw = read_ends(ID, "links", links, ids), read_weights(ID, "links", links, weight)
    used = _used(raw, weight, threshold)
    between = _pairs(ids, pairs)
    flows = _Flows(len(ids), ends[used])
    counts, cuts = np.empty((len(between), 2), np.int64), []
    in_cuts, patch_in_cuts = np.zeros(len(links), np.int64), np.zeros(len(ids), np.int64)
    for i, (a, b) in enumerate(between.tolist()):
        by_links, by_patches = flows.links(a, b), flows.patches(a, b)
        counts[i] = by_links.paths, by_patches.paths
        in_cuts[np.flatnonzero(used)[by_links.links]] += 1
        patch_in_cuts[by_patches.patches] += 1
        rows = [("links", link, None) for link in by_links.links]
        rows += [("patches", link, None) for link in by_patches.links] + [
            ("patches", None, p) for p in by_patches.patches
        ]
        for cut, link, patch in rows:
            x, y = (None, None) if link is None else ids[flows.ends[link]].tolist()
            cuts.append((ids[a], ids[b], cut, x, y, None if patch is None else ids[patch]))
        if i % 64 == 0:
            progress(i / len(between), "disjoint paths")
    bridge, articulation = _weak_points(len(ids), ends, used)
    of_links = pd.DataFrame(links[["patch_a", "patch_b", weight]]).assign(bridge=bridge, in_cuts=in_cuts)
    of_patches = pd.DataFrame({"patch": ids, "articulation": articulation, "in_cuts": patch_in_cuts})
    return Redundancy(
        pd.DataFrame(
            {
                "patch_a": ids[between[:, 0]],
                "patch_b": ids[between[:, 1]],
                "link_disjoint_paths": counts[:, 0],
                "patch_disjoint_paths": counts[:, 1],
            }
        ),
        pd.DataFrame(cuts, columns=["patch_a", "patch_b", "cut", "link_a", "link_b", "patch"]),
        of_links,
        of_patches,
        int(bridge.sum()),
        int(articulation.sum()),
        float(counts[:, 0].mean()),
        mapped(links, of_links),
        mapped(patches, of_patches),
    )


def _used(raw: np.ndarray, weight: str, threshold: float | None) -> np.ndarray:
    if weight == "probability":
        return np.asarray(raw > (0.0 if threshold is None else threshold))
    return np.asarray(raw < (np.inf if threshold is None else threshold))


def _pairs(ids: np.ndarray, pairs: "pd.DataFrame | None") -> np.ndarray:
    from linkways.networks._graph import read_ends

    if pairs is not None:
        if not len(pairs):
            raise LinkwaysError(f"{ID}: pairs holds no pairs; give at least one, or leave it out for all")
        return read_ends(ID, "pairs", pairs, ids)
    count = len(ids) * (len(ids) - 1) // 2
    if not 0 < count <= MOST_PAIRS:
        raise LinkwaysError(
            f"{ID}: {len(ids)} patches make {count} pairs, but one to {MOST_PAIRS} are looked at; name those that "
            "matter in the table pairs"
        )
    return np.stack(np.triu_indices(len(ids), 1), axis=1)


class _Cut(NamedTuple):
    paths: int
    links: np.ndarray
    """Numbers of the links of the cut."""
    patches: np.ndarray


class _Flows:
    """Maximum flows of capacity 1 through the links or the patches of a network."""

    def __init__(self, count: int, ends: np.ndarray) -> None:
        from scipy.sparse import coo_array

        self.count, self.ends = count, ends
        a, b = ends.T
        one = np.ones(len(ends), np.int32)
        both = (np.concatenate((a, b)), np.concatenate((b, a)))
        self.by_link: Any = coo_array((np.tile(one, 2), both), shape=(count, count)).tocsr()
        # every patch is an entrance and, behind a door of capacity 1, an exit; links let everything through
        doors = (np.arange(count), np.arange(count) + count)
        rows, columns = np.concatenate((doors[0], both[0] + count)), np.concatenate((doors[1], both[1]))
        capacity = np.concatenate((np.ones(count, np.int32), np.full(2 * len(ends), count, np.int32)))
        self.by_patch: Any = coo_array((capacity, (rows, columns)), shape=(2 * count, 2 * count)).tocsr()

    def links(self, a: int, b: int) -> _Cut:
        """The fewest links that part a from b."""
        flow, near = _flow(self.by_link, a, b)
        return _Cut(flow, np.flatnonzero(near[self.ends[:, 0]] != near[self.ends[:, 1]]), np.zeros(0, np.int64))

    def patches(self, a: int, b: int) -> _Cut:
        """The fewest patches that part a from b, once the links that join the two are gone."""
        direct = np.flatnonzero((np.sort(self.ends, axis=1) == sorted((a, b))).all(axis=1))
        graph = self.by_patch
        if len(direct):
            graph = graph.copy()
            graph[a + self.count, b] = graph[b + self.count, a] = 0
            graph.eliminate_zeros()
        flow, near = _flow(graph, a + self.count, b)
        return _Cut(flow + len(direct), direct, np.flatnonzero(near[: self.count] & ~near[self.count :]))


def _flow(capacity: "csr_array", source: int, sink: int) -> tuple[int, np.ndarray]:
    """The maximum flow, and the nodes that its residual capacities still reach from the source."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    found = maximum_flow(csr_matrix(capacity), source, sink)
    residual = csr_matrix(capacity - found.flow)
    residual.eliminate_zeros()
    near = np.zeros(capacity.shape[0], bool)
    near[breadth_first_order(residual, source, return_predecessors=False)] = True
    return int(found.flow_value), near


def _weak_points(count: int, ends: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which links are bridges, and which patches articulations."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(count))
    pairs = np.sort(ends, axis=1)
    number: dict[tuple[int, int], int] = {}
    parallel = set()
    for link in np.flatnonzero(used).tolist():
        pair = (int(pairs[link, 0]), int(pairs[link, 1]))
        if number.setdefault(pair, link) != link:
            parallel.add(pair)
    graph.add_edges_from(number)
    bridge, articulation = np.zeros(len(ends), bool), np.zeros(count, bool)
    for a, b in nx.bridges(graph):
        pair = (min(a, b), max(a, b))
        if pair not in parallel:
            bridge[number[pair]] = True
    articulation[list(nx.articulation_points(graph))] = True
    return bridge, articulation
