"""Groups of patches within which movement is easier than between them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.method import Indicator, Layer, Param, Table, TableOf, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from linkways.networks._graph import Network

__all__ = ["Clusters", "clusters"]


@dataclass(frozen=True)
class Clusters:
    """Patches with their component and module, and the modules."""

    patches: Annotated["pd.DataFrame", TableOf("patch, its attribute, component and module, numbered from the largest")]
    modules: Annotated[
        "pd.DataFrame",
        TableOf("module, patches, attribute (their sum), links_within, links_out, and within (% of its link weight)"),
    ]
    modularity: Annotated[float, Indicator("modularity of the modules, -0.5 to 1")]
    number_of_modules: Annotated[int, Indicator("modules")]
    number_of_components: Annotated[int, Indicator("groups of patches that links join")]
    patch_map: Annotated["gpd.GeoDataFrame | None", Layer("the patches with these columns, if they have geometry")]


@method(
    "networks.clusters",
    references=(
        "Newman MEJ (2006) Modularity and community structure in networks. PNAS 103:8577-8582",
        "Blondel VD, Guillaume JL, Lambiotte R, Lefebvre E (2008) Fast unfolding of communities in large networks. "
        "Journal of Statistical Mechanics P10008",
        "Foltete JC, Vuidel G (2017) Using landscape graphs to delineate ecologically functional areas. Landscape "
        "Ecology 32:249-263 (modules of patches by a_i a_j p_ij)",
    ),
)
def clusters(
    patches: Annotated["pd.DataFrame", Table("habitat patches with their attribute", columns=("patch",))],
    links: Annotated["pd.DataFrame", Table("links between patches", columns=("patch_a", "patch_b"))],
    *,
    attribute: Annotated[str, Param("column of patches that holds the attribute a_i")] = "area_ha",
    weight: Annotated[
        Literal["distance_m", "cost", "probability"], Param("column of links that says how far apart patches are")
    ] = "distance_m",
    distance: Annotated[
        float | None, Param("distance (m) or cost of a link whose probability is `probability`", gt=0)
    ] = None,
    probability: Annotated[
        float, Param("probability of a link as long as the distance: 0.5 at a median, 0.05 at a maximum", gt=0, lt=1)
    ] = 0.5,
    threshold: Annotated[
        float | None,
        Param(
            "a component holds patches joined by links whose weight is below this (a probability: above); the distance "
            "when left out (a probability: 0)",
            ge=0,
        ),
    ] = None,
    resolution: Annotated[float, Param("above 1 more and smaller modules, below 1 fewer and larger ones", gt=0)] = 1.0,
    seed: Annotated[int, Param("seed of the random order in which patches are looked at", ge=0)] = 0,
) -> Clusters:
    """The components of a habitat network and its modules of high modularity, with how closed each module is.

    Components are patches that joining links connect. Modules group patches so that the links within them weigh more
    than chance would have it: Q = sum over modules of W_in / W - resolution (S / 2W)^2, where a link weighs a_i a_j
    p_ij, W is the weight of all links, W_in of those within the module and S the weight of all ends in it. They are
    sought by the method of Louvain, which depends on the order of patches (``seed``) and need not find the best. All
    links count in it, whatever the threshold. A patch without links, or whose links weigh nothing, is its own module.

    Raises LinkwaysError for what networks.indices refuses.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import networks
    >>> patches = pd.DataFrame({"patch": [1, 2, 3, 4], "area_ha": [1.0] * 4})
    >>> links = pd.DataFrame({"patch_a": [1, 3, 2], "patch_b": [2, 4, 3], "distance_m": [100.0, 100.0, 5000.0]})
    >>> networks.clusters(patches, links, distance=1000).patches.module.tolist()
    [1, 1, 2, 2]
    """
    import pandas as pd

    from linkways.networks._graph import mapped, network

    patches = patches.reset_index(drop=True)
    found = network(
        "networks.clusters",
        patches,
        links,
        attribute=attribute,
        weight=weight,
        distance=distance,
        probability=probability,
        threshold=threshold,
    )
    flow = found.attribute[found.ends[:, 0]] * found.attribute[found.ends[:, 1]] * np.exp(-found.weight)
    module = _largest_first(_modules(found, flow, resolution, seed), found.attribute)
    component = _largest_first(found.components(), found.attribute)
    table = pd.DataFrame(patches[["patch", attribute]]).assign(component=component + 1, module=module + 1)
    return Clusters(
        table,
        _module_table(found, flow, module, attribute),
        _modularity(found, flow, module, resolution),
        int(module.max()) + 1,
        int(component.max()) + 1,
        mapped(patches, table),
    )


def _modules(found: "Network", flow: np.ndarray, resolution: float, seed: int) -> np.ndarray:
    """(n,) module of each patch."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(len(found.ids)))
    for (a, b), value in zip(found.ends.tolist(), flow.tolist(), strict=True):
        if value > 0:
            # parallel links add up
            before = graph[a][b]["weight"] if graph.has_edge(a, b) else 0.0
            graph.add_edge(a, b, weight=before + value)
    if not graph.number_of_edges():
        return np.arange(len(found.ids))
    groups = nx.community.louvain_communities(graph, resolution=resolution, seed=np.random.default_rng(seed))
    module = np.empty(len(found.ids), np.int64)
    for number, group in enumerate(groups):
        module[list(group)] = number
    return module


def _largest_first(group: np.ndarray, attribute: np.ndarray) -> np.ndarray:
    """The same groups, numbered from that of the largest attribute."""
    size = np.bincount(group, weights=attribute)
    first = np.unique(group, return_index=True)[1]
    rank = np.empty(len(size), np.int64)
    rank[np.lexsort((first, -size))] = np.arange(len(size))
    return np.asarray(rank[group])


def _weights(found: "Network", flow: np.ndarray, module: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By module: the weight of the links within it, and of all ends of links in it."""
    count = int(module.max()) + 1
    a, b = module[found.ends].T
    within = np.bincount(a[a == b], weights=flow[a == b], minlength=count)
    return within, np.bincount(a, weights=flow, minlength=count) + np.bincount(b, weights=flow, minlength=count)


def _modularity(found: "Network", flow: np.ndarray, module: np.ndarray, resolution: float) -> float:
    whole = float(flow.sum())
    if whole == 0:
        return 0.0
    within, ends = _weights(found, flow, module)
    return float(np.sum(within / whole - resolution * (ends / (2 * whole)) ** 2))


def _module_table(found: "Network", flow: np.ndarray, module: np.ndarray, attribute: str) -> "pd.DataFrame":
    import pandas as pd

    count = int(module.max()) + 1
    within, ends = _weights(found, flow, module)
    a, b = module[found.ends].T
    out = np.bincount(a[a != b], minlength=count) + np.bincount(b[a != b], minlength=count)
    with np.errstate(invalid="ignore"):
        closed = 100 * 2 * within / ends
    return pd.DataFrame(
        {
            "module": np.arange(1, count + 1),
            "patches": np.bincount(module),
            attribute: np.bincount(module, weights=found.attribute),
            "links_within": np.bincount(a[a == b], minlength=count),
            "links_out": out,
            "within": closed,
        }
    )
