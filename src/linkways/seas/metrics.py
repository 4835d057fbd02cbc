"""Measures of a larval network: who is central, what persists, and all of it as planning takes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Table, TableOf, method, progress_between
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from scipy.sparse import csr_array

    from linkways.seas._connectivity_dispersal import Dispersal

__all__ = ["Metrics", "metrics"]

ID = "seas.metrics"


@dataclass(frozen=True)
class Metrics:
    """Measures of every site and of the network, whether it persists, and tables for a plan."""

    sites: Annotated[
        "pd.DataFrame",
        TableOf(
            "sites: in_degree, out_degree (links), in_strength, out_strength (larvae), betweenness (pairs of others by "
            "fewest links), betweenness_probability (by the most probable path), eigenvector (1 at most), pagerank, "
            "own_lambda (recruits per recruit alone), contribution (part in lambda, sums to 1), settler_share and "
            "settler_value (how settlers are spread in the long run, what one is worth), lambda_loss (without the "
            "site), minimum_set (in the fewest sites that persist), temporal_covariance, from_focus, to_focus, "
            "from_avoided, to_avoided (larvae got from and sent to the other sites marked so), cluster, component"
        ),
    ]
    site_map: Annotated["gpd.GeoDataFrame | None", Layer("the same on the map, where sites has shapes")]
    clusters: Annotated[
        "pd.DataFrame",
        TableOf(
            "clusters: cluster, sites, inside (larvae exchanged within, each site's own too), out, into, kept (of the "
            "settlers it sends, those that stay)"
        ),
    ]
    persistence: Annotated[
        "pd.DataFrame",
        TableOf(
            "scenario, sites (that reproduce), lambda (settlers per settler a generation later), critical_recruits "
            "(recruits per recruit from which it persists), persists"
        ),
    ]
    losses: Annotated[
        "pd.DataFrame", TableOf("sites lost one by one, the most important first: lost, site, lambda, persists")
    ]
    minimum_sets: Annotated[
        "pd.DataFrame",
        TableOf("the fewest sites that persist by themselves: rule (greedy, all), number, lambda, sites"),
    ]
    google: Annotated[
        "pd.DataFrame",
        TableOf("Google matrix at linked pairs: source, sink, google; other pairs: google_jump, without links 1 / n"),
    ]
    amounts: Annotated["pd.DataFrame", TableOf("features for planning.select: unit, feature, amount")]
    targets: Annotated["pd.DataFrame", TableOf("their targets for planning.select: feature, target, type")]
    connectivity: Annotated[
        "pd.DataFrame", TableOf("larvae between sites for planning.select: unit_a, unit_b, strength")
    ]
    lambda_all: Annotated[float, Indicator("growth rate with every site protected")]
    lambda_reserves: Annotated[float, Indicator("growth rate of the selected sites alone; NaN: none are told")]
    lambda_fished: Annotated[float, Indicator("growth rate without reserves")]
    critical_recruits: Annotated[float, Indicator("recruits per recruit from which all sites together persist")]
    minimum_sites: Annotated[float, Indicator("fewest sites that persist by themselves; NaN: none, or not asked for")]
    number_of_clusters: Annotated[int, Indicator("clusters")]
    modularity: Annotated[float, Indicator("directed modularity of the clusters")]
    number_of_components: Annotated[int, Indicator("groups of sites that all feed each other, at some removes")]
    google_jump: Annotated[float, Indicator("entry of the Google matrix where no larvae go")]


@method(
    ID,
    references=(
        "Daigle RM, Metaxas A, Balbar AC, et al. (2020) Operationalizing ecological connectivity in spatial "
        "conservation planning with Marxan Connect. Methods in Ecology and Evolution 11:570-579 (the set of measures, "
        "classes as features, temporal covariance)",
        "Hastings A, Botsford LW (2006) Persistence of spatial populations depends on returning home. PNAS "
        "103:6067-6072 (persistence)",
        "Jacobi MN, Jonsson PR (2011) Optimal networks of nature reserves can be found through eigenvalue perturbation "
        "theory of the connectivity matrix. Ecological Applications 21:1861-1870 (contributions)",
        "Brandes U (2001) A faster algorithm for betweenness centrality. Journal of Mathematical Sociology 25:163-177",
        "Brandes U, Pich C (2007) Centrality estimation in large networks. International Journal of Bifurcation and "
        "Chaos 17:2303-2318 (sampled sources)",
        "Brin S, Page L (1998) The anatomy of a large-scale hypertextual web search engine. Computer Networks and ISDN "
        "Systems 30:107-117 (PageRank, Google matrix)",
        "Leicht EA, Newman MEJ (2008) Community structure in directed networks. Physical Review Letters 100:118703",
        "Blondel VD, Guillaume JL, Lambiotte R, Lefebvre E (2008) Fast unfolding of communities in large networks. "
        "Journal of Statistical Mechanics P10008",
    ),
)
def metrics(
    matrix: Annotated[
        "pd.DataFrame",
        Table(
            "pairs of seas.connectivity; or a matrix, square with named rows or as source, sink (or id1, id2) and "
            "value, on several dates with time; or settlers as seas.connectivity takes them"
        ),
    ],
    sites: Annotated[
        "pd.DataFrame | None",
        Table(
            "the sites, a layer or table: site, and when present production, selected (reserves: 1, 0 or a share), "
            "lost, focus and avoided (true or false), recruits_per_recruit; left out: those that the matrix names"
        ),
    ] = None,
    by_date: Annotated[
        "pd.DataFrame | None",
        Table(
            "for the temporal covariance, the matrix on several dates, as by_date of seas.connectivity; left out: the "
            "matrix itself",
            columns=("source", "sink"),
        ),
    ] = None,
    plan: Annotated[
        "pd.DataFrame | None",
        Table(
            "which sites are reserves, as planning.select tells: unit, selected (1, 0 or a share), other units too; in "
            "place of the column selected of sites",
            columns=("selected",),
        ),
    ] = None,
    *,
    kind: Annotated[
        Literal["settlement", "probability", "flow", "migration"],
        Param("what the matrix holds; with columns probability and flow it tells both"),
    ] = "probability",
    production: Annotated[
        str | None,
        Param(
            "column of sites with the larvae that each produces; left out: production if it is a column, else 1 for "
            "each (of a flow: its settlers)"
        ),
    ] = None,
    excess: Annotated[
        Literal["refuse", "largest", "rows"],
        Param(
            "rows of probabilities that sum to more than 1: refuse them; divide the whole matrix by the largest sum; "
            "divide each of these rows by its sum"
        ),
    ] = "refuse",
    least: Annotated[
        float, Param("links of a smaller probability count for no degree, betweenness or cluster", ge=0, le=1)
    ] = 0.0,
    damping: Annotated[
        float, Param("share of PageRank's steps that follow larvae", ge=0, lt=1, source="Brin and Page 1998")
    ] = 0.85,
    betweenness_sources: Annotated[
        int | None, Param("sites, drawn at random, whose paths are looked at; left out: all", ge=1)
    ] = None,
    resolution: Annotated[float, Param("above 1 more and smaller clusters, below 1 fewer and larger", gt=0)] = 1.0,
    recruits_per_recruit: Annotated[
        float | None,
        Param(
            "settlers that one settler would leave in its life if every larva settled (eggs times survival outside "
            "the larval phase); left out: lambda is that of 1, and nothing is said of persistence",
            gt=0,
        ),
    ] = None,
    fished: Annotated[
        float,
        Param("reproduction of sites that are not selected, as a share of that within reserves; 0: none", ge=0, le=1),
    ] = 0.0,
    exact_losses: Annotated[
        bool, Param("compute lambda_loss anew without each site in turn, instead of to first order")
    ] = False,
    lost_sites: Annotated[int, Param("sites to lose one after the other in the table losses", ge=0)] = 20,
    exact_up_to: Annotated[
        int,
        Param(
            "sets smaller than the greedy minimum set are all tried, unless they are more than the subsets of so many "
            "sites",
            ge=0,
            le=22,
        ),
    ] = 15,
    features: Annotated[Sequence[str], Param("measures that become features of a plan")] = ("pagerank",),
    discretise: Annotated[
        Literal[
            "none",
            "median_to_maximum",
            "upper_quartile_to_maximum",
            "lower_quartile_to_maximum",
            "minimum_to_median",
            "minimum_to_lower_quartile",
            "quartiles",
        ],
        Param(
            "amounts of features: the measures themselves; 1 for sites within these quantiles, which count; or four "
            "features, one for each quarter of the sites"
        ),
    ] = "median_to_maximum",
    target: Annotated[
        float,
        Param("share of every feature that is wanted", ge=0, le=1, source="tutorial of Marxan Connect, CF_demographic"),
    ] = 0.25,
    symmetric: Annotated[
        bool, Param("strengths of both directions added up, each pair once, for a penalty that knows no direction")
    ] = False,
    seed: Annotated[int, Param("of the clusters and the sampled sources", ge=0)] = 0,
) -> Metrics:
    """Degree, betweenness, eigenvector, PageRank, clusters and persistence of sites, and the tables a plan needs.

    Rows are sources and columns sinks. Degrees, strengths, betweenness, clusters and strengths for planning leave a
    site's own larvae out; PageRank, eigenvector and lambda count them. Strength is the flow F. Betweenness is the
    number of pairs of other sites whose best path leads through, over fewest links or the largest product of
    probabilities (lengths -ln P). The eigenvector x solves x F = rate x, scaled to 1 at most; PageRank x = x G with
    the Google matrix G_ij = d F_ij / sum_j F_ij + (1 - d) / n, and 1 / n for sites that send nothing. Clusters are
    Louvain's with directed modularity, which need not find the best.

    Persistence: with R recruits per recruit and r_i the reproduction of a site (1 in reserves, ``fished`` outside, a
    share's mean between), lambda is the largest eigenvalue of R_i r_i P_ij: above 1 the metapopulation grows from few.
    With left and right eigenvectors v and w a site contributes v_i w_i / sum v w, and without it lambda falls by
    (2 lambda - R P_ii) v_i w_i / sum v w to first order. The minimum set is sought from all sites downwards, those of
    least loss first, until none can be left out; then all smaller sets are tried, where they are not too many. A column
    recruits_per_recruit gives each site its own R; sites marked lost get a scenario without them.

    Strengths and what is exchanged are in the unit of production; rates and ranks have none. NaN: not told or not known
    (no focus, fewer than two dates). Marxan Connect counts a site's link with itself in the degrees, which here are
    the links with others.

    Temporal covariance of v is minus the covariance over dates of the larvae exchanged within the focus (all sites
    when none are marked) and of those v gets from there; sites of a high one are fed when the focus is not.

    Raises LinkwaysError for what seas.connectivity refuses, features that are no measure, below 0 or 0 everywhere,
    marks that are neither true nor false, plans that do not name every site, and R told twice.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import seas
    >>> matrix = pd.DataFrame({"source": ["a", "b", "b"], "sink": ["b", "a", "c"], "value": [0.4, 0.1, 0.3]})
    >>> found = seas.metrics(matrix, recruits_per_recruit=6)
    >>> found.sites[["site", "in_degree", "out_degree", "betweenness"]].to_numpy().tolist()
    [['a', 1, 1, 0.0], ['b', 1, 2, 1.0], ['c', 1, 0, 0.0]]
    >>> round(found.lambda_all, 9), round(found.critical_recruits, 9)  # 6 sqrt(0.4 x 0.1)
    (1.2, 5.0)
    >>> found.minimum_sets.sites[0]
    'a, b'
    """
    from linkways.seas._connectivity_dispersal import read_dispersal
    from linkways.seas._connectivity_maps import is_layer, refuse_unplaced
    from linkways.seas._connectivity_tables import read_sites
    from linkways.seas._metrics_network import without_own
    from linkways.seas._metrics_planning import feature_tables, strengths

    given = None if sites is None else read_sites(ID, sites)
    if is_layer(sites):
        refuse_unplaced(ID, sites)
    found = read_dispersal(ID, matrix, given, kind=kind, production=production, excess=excess)
    links = without_own(found.probability, least)
    with progress_between(0.0, 0.5):
        columns, network = _network(found, links, damping, betweenness_sources, resolution, seed)
    with progress_between(0.5, 1.0):
        rates, survival = _persistence(
            found,
            recruits_per_recruit,
            _scenarios(found, fished, plan),
            exact_losses=exact_losses,
            lost=lost_sites,
            exact_up_to=exact_up_to,
        )
    over_time = _over_time(found, by_date, kind, production, excess)
    table = _table(
        found, {**columns, **rates, "temporal_covariance": over_time, **_exchanged(found), **network.pop("columns")}
    )
    amounts, targets = feature_tables(ID, table, list(features), discretise, target)
    return Metrics(
        sites=table,
        site_map=_mapped(found, table),
        amounts=amounts,
        targets=targets,
        connectivity=strengths(without_own(found.flow), found.sites.names, symmetric),
        **network,
        **survival,
    )


# --- the network -----------------------------------------------------------------------------------------------


def _network(
    found: "Dispersal", links: "csr_array", damping: float, sampled: int | None, resolution: float, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns of the sites, and parts of the result with those columns that come last."""
    import pandas as pd
    from scipy.sparse.csgraph import connected_components

    from linkways.seas import _metrics_network as net
    from linkways.seas._metrics_persistence import growth

    n = found.sites.n
    flow = net.without_own(found.flow)
    into, out = net.degrees(links)
    sources = np.arange(n)
    if sampled is not None and sampled < n:
        sources = np.sort(np.random.default_rng(seed).choice(n, sampled, replace=False))
    with progress_between(0.0, 0.3):
        hops = net.betweenness(links, by_probability=False, sources=sources)
    with progress_between(0.3, 0.8):
        likely = net.betweenness(links, by_probability=True, sources=sources)
    vector = growth(found.flow).share
    rank = net.ranks(found.flow, damping)
    kept = flow.multiply(links > 0).tocsr()
    cluster, modularity = net.clusters(kept, resolution, seed)
    count, component = connected_components(links, directed=True, connection="strong")
    google = rank.google.tocoo()
    columns = {
        "in_degree": into,
        "out_degree": out,
        "in_strength": np.asarray(flow.sum(axis=0)).ravel(),
        "out_strength": np.asarray(flow.sum(axis=1)).ravel(),
        "betweenness": hops,
        "betweenness_probability": likely,
        "eigenvector": vector / vector.max() if vector.any() else vector,
        "pagerank": rank.rank,
    }
    names = found.sites.names
    parts = {
        "columns": {"cluster": cluster + 1, "component": _largest_first(component) + 1},
        "clusters": _cluster_table(found, cluster),
        "number_of_clusters": int(cluster.max()) + 1,
        "modularity": modularity,
        "number_of_components": int(count),
        "google": pd.DataFrame(
            {"source": names[google.coords[0]], "sink": names[google.coords[1]], "google": google.data}
        ),
        "google_jump": rank.jump,
    }
    return columns, parts


def _largest_first(group: np.ndarray) -> np.ndarray:
    """The same groups, numbered from the one of most sites."""
    size = np.bincount(group)
    rank = np.empty(len(size), np.int64)
    rank[np.lexsort((np.unique(group, return_index=True)[1], -size))] = np.arange(len(size))
    return np.asarray(rank[group])


def _cluster_table(found: "Dispersal", cluster: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    flow = found.flow.tocoo()
    source, sink = cluster[flow.coords[0]], cluster[flow.coords[1]]
    count, same = int(cluster.max()) + 1, source == sink
    inside = np.bincount(source[same], weights=flow.data[same], minlength=count)
    out = np.bincount(source[~same], weights=flow.data[~same], minlength=count)
    into = np.bincount(sink[~same], weights=flow.data[~same], minlength=count)
    sent = inside + out
    return pd.DataFrame(
        {
            "cluster": np.arange(1, count + 1),
            "sites": np.bincount(cluster, minlength=count),
            "inside": inside,
            "out": out,
            "into": into,
            "kept": np.divide(inside, sent, out=np.full(count, np.nan), where=sent > 0),
        }
    )


# --- persistence -----------------------------------------------------------------------------------------------


def _persistence(
    found: "Dispersal",
    recruits: float | None,
    scenarios: list[tuple[str, np.ndarray]],
    *,
    exact_losses: bool,
    lost: int,
    exact_up_to: int,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns of the sites and parts of the result that tell of lambda."""
    import pandas as pd

    from linkways.seas import _metrics_persistence as alive
    from linkways.seas._connectivity_dispersal import scaled

    per_site = _recruits(found, recruits)
    told = per_site is not None
    factor = np.ones(found.sites.n) if per_site is None else per_site
    if not found.losses_known:
        note(f"{ID}: larvae lost at sea are unknown, so lambda is that of settlers only and too high")
    whole = scaled(found.probability, factor)
    everywhere = alive.growth(whole)
    loss = alive.exact_losses(whole, everywhere) if exact_losses else everywhere.loss
    rows = []
    for name, reproduction in scenarios:
        rate = everywhere.rate if (reproduction == 1).all() else alive.rate_of(_reproducing(whole, reproduction))
        rows.append((name, int((reproduction > 0).sum()), rate, *_verdict(rate, factor, told)))
    table = pd.DataFrame(rows, columns=["scenario", "sites", "lambda", "critical_recruits", "persists"])
    table["persists"] = table["persists"].astype("boolean")
    rates = dict(zip(table["scenario"], table["lambda"], strict=True))
    gone, after = alive.loss_curve(whole, lost)
    minimum, sets = _minimum(found, whole, told, exact_up_to)
    columns = {
        "own_lambda": whole.diagonal(),
        "contribution": everywhere.contribution,
        "settler_share": everywhere.share,
        "settler_value": everywhere.value,
        "lambda_loss": loss,
        "minimum_set": minimum,
    }
    losses = pd.DataFrame(
        {
            "lost": np.arange(len(after)),
            "site": [None, *found.sites.names[gone]],
            "lambda": after,
            "persists": pd.array([r >= 1 if told else None for r in after], dtype="boolean"),
        }
    )
    return columns, {
        "persistence": table,
        "losses": losses,
        "minimum_sets": sets,
        "lambda_all": everywhere.rate,
        "lambda_reserves": rates.get("reserves alone", float("nan")),
        "lambda_fished": rates["no reserves"],
        "critical_recruits": float(table["critical_recruits"].iloc[0]),
        "minimum_sites": float(sets["number"].iloc[-1]) if len(sets) else float("nan"),
    }


def _recruits(found: "Dispersal", recruits: float | None) -> np.ndarray | None:
    """(n,) recruits per recruit, or None where nobody told."""
    from linkways.seas._connectivity_tables import column_of

    table = found.sites.table
    column = table is not None and "recruits_per_recruit" in table.columns
    if column and recruits is not None:
        raise LinkwaysError(
            f"{ID}: recruits_per_recruit is told twice, as a parameter and as a column of sites; keep one"
        )
    if column:
        return column_of(ID, found.sites, "recruits_per_recruit")
    return None if recruits is None else np.full(found.sites.n, recruits)


def _scenarios(found: "Dispersal", fished: float, plan: "pd.DataFrame | None") -> list[tuple[str, np.ndarray]]:
    """Names of the scenarios, and the share of its full reproduction that each site has in them."""
    from linkways.seas._metrics_network import marked
    from linkways.seas._spillover_flows import selected_by

    n, table = found.sites.n, found.sites.table
    out = [("all protected", np.ones(n)), ("no reserves", np.full(n, fished))]
    left = np.ones(n)
    if table is not None and "lost" in table.columns:
        left = np.where(marked(ID, table, "lost", found.sites.names), 0.0, 1.0)
        out.append(("all protected, without lost sites", left))
    told, name = (plan, "plan") if plan is not None else (table, "sites")
    if told is not None and (plan is not None or "selected" in told.columns):
        share = selected_by(ID, told, found.sites, name)
        out += [("reserves alone", share), ("reserves and fished sites", share + (1 - share) * fished)]
        if not left.all():
            out.append(("reserves and fished sites, without lost sites", out[-1][1] * left))
    return out


def _reproducing(whole: "csr_array", reproduction: np.ndarray) -> "csr_array":
    """The matrix with less reproduction; sites without any are gone, settlers too."""
    from linkways.seas._connectivity_dispersal import scaled

    kept = np.flatnonzero(reproduction > 0)
    return scaled(whole[kept][:, kept].tocsr(), reproduction[kept])


def _verdict(rate: float, factor: np.ndarray, told: bool) -> tuple[float, bool | None]:
    """Recruits per recruit that make the rate 1 (a mean one, where they differ among sites), and whether it is."""
    from linkways.seas._metrics_persistence import SAME

    critical = float(factor.mean()) / rate if rate > 0 else float("inf")
    return critical, bool(rate >= 1 - SAME) if told else None


def _minimum(found: "Dispersal", whole: "csr_array", told: bool, exact_up_to: int) -> tuple[np.ndarray, "pd.DataFrame"]:
    """Whether each site is in the fewest that persist, and the sets found."""
    import pandas as pd

    from linkways.seas import _metrics_persistence as alive

    n = found.sites.n
    columns = ["rule", "number", "lambda", "sites"]
    kept = alive.greedy_sites(whole) if told else np.zeros(n, bool)
    if not kept.any():
        return kept, pd.DataFrame(columns=columns)

    def row(rule: str, chosen: np.ndarray) -> tuple[str, int, float, str]:
        rate = alive.rate_of(whole[chosen][:, chosen].tocsr())
        return rule, len(chosen), rate, ", ".join(str(found.sites.names[i]) for i in chosen)

    chosen = np.flatnonzero(kept)
    rows = [row("greedy", chosen)]
    if alive.smaller_sets(whole, len(chosen)) < 2**exact_up_to:
        better = alive.fewest_sites(whole, len(chosen))
        chosen = chosen if better is None else np.sort(better)
        rows.append(row("all", chosen))
    minimum = np.zeros(n, bool)
    minimum[chosen] = True
    return minimum, pd.DataFrame(rows, columns=columns)


# --- over time, and the tables ---------------------------------------------------------------------------------


def _over_time(
    found: "Dispersal", by_date: "pd.DataFrame | None", kind: Any, production: str | None, excess: Any
) -> np.ndarray:
    from linkways.seas._connectivity_dispersal import read_dispersal
    from linkways.seas._metrics_network import focus_of, temporal_covariance

    dated = found
    if by_date is not None:
        if "flow" in by_date.columns and production is None:
            kind, excess = "flow", "refuse"
        dated = read_dispersal(
            ID, by_date, found.sites, kind=kind, production=production, excess=excess, name="by_date"
        )
    return temporal_covariance(dated, focus_of(ID, dated, "focus"))


def _exchanged(found: "Dispersal") -> dict[str, np.ndarray]:
    """Larvae that each site gets from and sends to the other sites of the focus, and those to avoid; NaN: none told."""
    from linkways.seas._metrics_network import marked, without_own

    flow, table, out = without_own(found.flow), found.sites.table, {}
    for column in ("focus", "avoided"):
        told = table is not None and column in table.columns
        some = marked(ID, table, column, found.sites.names) * 1.0 if told else np.full(found.sites.n, np.nan)
        out[f"from_{column}"], out[f"to_{column}"] = np.asarray(flow.T @ some), np.asarray(flow @ some)
        if not told:
            out[f"from_{column}"] = out[f"to_{column}"] = some
    return out


def _table(found: "Dispersal", columns: dict[str, np.ndarray]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({"site": found.sites.names, **columns})


def _mapped(found: "Dispersal", table: "pd.DataFrame") -> "gpd.GeoDataFrame | None":
    import geopandas as gpd

    from linkways.seas._connectivity_maps import is_layer

    given = found.sites.table
    if not is_layer(given):
        return None

    return gpd.GeoDataFrame(table, geometry=list(given.geometry), crs=given.crs)  # type: ignore[union-attr]
