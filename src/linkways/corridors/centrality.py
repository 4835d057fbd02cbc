"""Which cores and links carry the movement of the whole network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Layer, Vector, estimate_of, method

if TYPE_CHECKING:
    import geopandas as gpd
    import networkx as nx

    from linkways.estimates import Estimate

__all__ = ["Centrality", "NetworkCurrents", "centrality", "current_flow"]

PROCESS_BYTES = 0.27e9  # before any link
LINKS_AT_ONCE = 2000  # links whose currents are held for all cores


@dataclass(frozen=True)
class Centrality:
    """Cores and links with their centrality, the most central first."""

    links: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "the links with current_flow (amperes, summed over all pairs of cores), current_flow_share of the "
            "largest, and betweenness (pairs of cores whose cheapest way uses the link)"
        ),
    ]
    cores: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "the cores with current_flow (amperes, summed over all pairs, their own included), current_flow_share "
            "of the largest, betweenness (other pairs whose cheapest way passes the core) and links, their number"
        ),
    ]


@dataclass(frozen=True)
class NetworkCurrents:
    """Sums over all pairs of focal nodes, 1 A each, in amperes."""

    links: np.ndarray
    nodes: np.ndarray


@method(
    "corridors.centrality",
    references=(
        "Newman MEJ (2005) A measure of betweenness centrality based on random walks. Social Networks 27:39-54",
        "Brandes U, Fleischer D (2005) Centrality measures based on current flow. STACS 2005:533-544",
        "McRae BH (2012) Centrality Mapper. Linkage Mapper, The Nature Conservancy (resistors are link costs)",
        "Freeman LC (1977) A set of measures of centrality based on betweenness. Sociometry 40:35-41",
    ),
)
def centrality(
    links: Annotated[
        "gpd.GeoDataFrame", Vector("links between cores, with their cost", columns=("core_a", "core_b", "cost"))
    ],
    cores: Annotated["gpd.GeoDataFrame", Vector("the core areas that they join", columns=("core",))],
) -> Centrality:
    """Current-flow centrality of cores and links, with shortest-path betweenness beside it.

    The network is a circuit whose resistors are the links' costs. For every pair of cores that links join, 1 A
    enters at one and leaves at the other; the centrality of a link is the sum of |I| over all pairs, that of a core
    the sum of the current through it, 1 A where the core is one of the pair. Current takes every way in
    proportion to its conductance, so that links without which movement must go around count for more than those
    with a good second way; betweenness counts the cheapest way of each pair only. Parallel links share the current;
    of those betweenness takes the cheapest. The circuit is solved densely: thousands of cores take 8 bytes a pair.

    Raises LinkwaysError for a link whose cost is not above 0, that joins a core to itself or one that is not among
    the cores.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import corridors, spatial
    >>> resistance = spatial.new_raster(np.ones((3, 30)), crs="EPSG:3035", cell_size=100)
    >>> boxes = [shapely.box(x, -300, x + 200, 0) for x in (0, 1400, 2800)]
    >>> cores = gpd.GeoDataFrame({"core": [1, 2, 3]}, geometry=boxes, crs="EPSG:3035")
    >>> links = corridors.link_network(resistance, cores).links
    >>> found = corridors.centrality(links, cores)
    >>> int(found.cores.iloc[0].core)  # the core in the middle
    2
    """
    from linkways.corridors._landscape import core_table

    table = core_table(cores)
    ids = [int(core) for core in table["core"]]
    ends, cost = _network(links, ids)
    currents = current_flow(len(ids), ends, 1 / cost, np.arange(len(ids)))
    link_betweenness, core_betweenness = _betweenness(len(ids), ends, cost)
    of_links = links.assign(
        current_flow=currents.links, current_flow_share=_share(currents.links), betweenness=link_betweenness
    )
    of_cores = table.assign(
        current_flow=currents.nodes,
        current_flow_share=_share(currents.nodes),
        betweenness=core_betweenness,
        links=np.bincount(ends.ravel(), minlength=len(ids)),
    )
    return Centrality(*(t.sort_values("current_flow", ascending=False, kind="stable") for t in (of_links, of_cores)))


def current_flow(count: int, ends: np.ndarray, conductance: np.ndarray, focal: np.ndarray) -> NetworkCurrents:
    """The sum of |I| over all pairs of ``focal`` nodes that the links join, through every link and node.

    ``ends`` (m, 2) node indices below ``count``, ``conductance`` (m,) > 0. With x_s the voltages that 1 A from s
    drives, the pair (s, t) sends d_s - d_t through a link, d_s = c (x_s[a] - x_s[b]); the sum of |d_s - d_t| over all
    pairs follows from sorting d (Brandes and Fleischer 2005), so that n solves serve all pairs.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    parts, part = connected_components(graph, directed=False)
    through_links, through_nodes = np.zeros(len(ends)), np.zeros(count)
    for number in range(parts):
        members = np.flatnonzero(part == number)
        own_focal = focal[part[focal] == number]
        own_links = np.flatnonzero(part[ends[:, 0]] == number)
        if len(own_focal) < 2:
            continue
        place = np.full(count, -1)
        place[members] = np.arange(len(members))
        pairs = place[ends[own_links]]
        through_links[own_links] = _sums(len(members), pairs, conductance[own_links], place[own_focal])
        np.add.at(through_nodes, ends[own_links, 0], through_links[own_links])
        np.add.at(through_nodes, ends[own_links, 1], through_links[own_links])
        # half of what comes in and goes out; at the ends of a pair only one of the two is in the links
        through_nodes[own_focal] += len(own_focal) - 1
    return NetworkCurrents(through_links, through_nodes / 2)


def _sums(count: int, ends: np.ndarray, conductance: np.ndarray, focal: np.ndarray) -> np.ndarray:
    """The sum of |I| over all pairs of focal nodes through every link of a connected network."""
    from scipy.linalg import cho_factor, cho_solve

    laplacian = np.zeros((count, count))
    a, b = ends.T
    np.add.at(laplacian, (a, b), -conductance)
    np.add.at(laplacian, (b, a), -conductance)
    np.fill_diagonal(laplacian, -laplacian.sum(axis=1))
    # scaled to a unit diagonal, costs of very different size do not spoil the factors; node 0 is held at 0
    scale = 1 / np.sqrt(np.diag(laplacian)[1:])
    factor = cho_factor(scale[:, None] * laplacian[1:, 1:] * scale, lower=True)
    enters = np.zeros((count, len(focal)))
    enters[focal, np.arange(len(focal))] = 1.0
    voltage = np.zeros_like(enters)
    voltage[1:] = scale[:, None] * cho_solve(factor, scale[:, None] * enters[1:])
    rank = 2.0 * np.arange(len(focal)) - len(focal) + 1
    out = np.empty(len(ends))
    for first in range(0, len(ends), LINKS_AT_ONCE):
        some = slice(first, first + LINKS_AT_ONCE)
        drive = conductance[some, None] * (voltage[a[some]] - voltage[b[some]])
        # the sum of |x_i - x_j| over all pairs, from the order of x
        out[some] = np.sort(drive, axis=1) @ rank
    return out


def _network(links: "gpd.GeoDataFrame", ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The links as index pairs and costs, or why they are no network."""
    if not len(links):
        raise LinkwaysError("corridors.centrality: the links layer holds no links; run corridors.link_network first")
    index = {core: i for i, core in enumerate(ids)}
    cost = np.asarray(links["cost"], float)
    for row, (a, b, c) in enumerate(zip(links["core_a"], links["core_b"], cost, strict=True), 1):
        for core in (a, b):
            if core not in index:
                raise LinkwaysError(f"links row {row} names core {core}, which is not among the cores; drop the row")
        if a == b:
            raise LinkwaysError(f"links row {row} joins core {a} to itself; drop the row")
        if not (c > 0 and np.isfinite(c)):
            raise LinkwaysError(
                f"links row {row}, between cores {a} and {b}, has the cost {c:g}, but a resistor must be above 0; "
                "merge cores that touch or drop the row"
            )
    ends = [[index[a], index[b]] for a, b in zip(links["core_a"], links["core_b"], strict=True)]
    return np.array(ends, np.intp), cost


def _cheapest(count: int, ends: np.ndarray, cost: np.ndarray) -> "tuple[nx.Graph, dict[tuple[int, int], int]]":
    """The network of the cheapest link between every two cores, and the number of that link."""
    import networkx as nx

    cheapest: dict[tuple[int, int], int] = {}
    for number in np.argsort(cost, kind="stable").tolist():
        a, b = sorted(ends[number].tolist())
        cheapest.setdefault((a, b), number)
    graph = nx.Graph()
    graph.add_nodes_from(range(count))
    graph.add_weighted_edges_from((a, b, cost[number]) for (a, b), number in cheapest.items())
    return graph, cheapest


def _betweenness(count: int, ends: np.ndarray, cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import networkx as nx

    graph, cheapest = _cheapest(count, ends, cost)
    of_links = np.zeros(len(ends))
    for (a, b), value in nx.edge_betweenness_centrality(graph, normalized=False, weight="weight").items():
        of_links[cheapest[min(a, b), max(a, b)]] = value
    # every pair uses one link at each of its ends and two at each core on its way
    at_cores = np.bincount(ends.ravel(), np.repeat(of_links, 2), count)
    partners = np.zeros(count)
    for part in nx.connected_components(graph):
        partners[list(part)] = len(part) - 1
    return of_links, (at_cores - partners) / 2


def _share(values: np.ndarray) -> np.ndarray:
    top = values.max()
    return values / top if top > 0 else values


# --- what it takes -----------------------------------------------------------------------------------------------


@estimate_of(centrality)
def _estimate(arguments: dict[str, Any]) -> "Estimate":
    """Currents from, and cheapest ways from, a few of the cores over all links."""
    import networkx as nx

    from linkways.corridors._landscape import core_table
    from linkways.estimates import sampled_items

    ids = [int(core) for core in core_table(arguments["cores"])["core"]]
    ends, cost = _network(arguments["links"], ids)
    graph, _ = _cheapest(len(ids), ends, cost)

    def sample(count: int) -> None:
        current_flow(len(ids), ends, 1 / cost, np.linspace(0, len(ids) - 1, count).astype(int))
        nx.edge_betweenness_centrality(graph, k=count, seed=0, normalized=False, weight="weight")

    found = sampled_items(sample, len(ids), told=f"of {len(ids):,} cores as starts")
    # the matrix and its factor, all voltages, and the currents in a batch of links
    memory = 8.0 * len(ids) * (4 * len(ids) + 3 * min(len(ends), LINKS_AT_ONCE))
    job = f"{len(ids):,} cores, {len(ends):,} links"
    return found.estimate(memory, job, process_bytes=PROCESS_BYTES)
