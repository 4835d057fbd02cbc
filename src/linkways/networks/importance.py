"""How much the connectivity of a habitat network depends on every patch and link, and what new ones would add."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Table, TableOf, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from linkways.networks._graph import Network

__all__ = ["Importance", "importance"]

ID = "networks.importance"


@dataclass(frozen=True)
class Importance:
    """Patches, links and candidates with their importance, the most important first."""

    patches: Annotated[
        "pd.DataFrame",
        TableOf(
            "patch, its attribute, dPC and its parts dPC_intra, dPC_flux, dPC_connector (%), dPC_error (percentage "
            "points that the horizon may hide), the same of IIC, BC (share of other pairs), BC_PC and BC_IIC (%)"
        ),
    ]
    links: Annotated[
        "pd.DataFrame",
        TableOf(
            "patch_a, patch_b, weight, dPC, dPC_error and dIIC (%) of removing the link, dPC_change (%, below 0 for a "
            "gain) of changing its weight, BC (share of pairs), BC_PC and BC_IIC (%)"
        ),
    ]
    candidates: Annotated[
        "pd.DataFrame",
        TableOf(
            "kind (patch or link), patch, patch_a, patch_b, dPC and its parts, dPC_error and dIIC (%): what adding "
            "this one alone gains"
        ),
    ]
    equivalent_connectivity: Annotated[float, Indicator("EC(PC) of the network as it is", unit="as the attribute")]
    missing: Annotated[float, Indicator("at most this much of PCnum is left out because of the horizon", unit="%")]
    largest_error: Annotated[
        float, Indicator("no dPC of a patch or link is farther than this from its exact value", unit="% points")
    ]
    patch_map: Annotated["gpd.GeoDataFrame | None", Layer("the patches with these columns, if they have geometry")]
    link_map: Annotated["gpd.GeoDataFrame | None", Layer("the links with these columns, if they have geometry")]


@method(
    "networks.importance",
    references=(
        "Saura S, Rubio L (2010) A common currency for the different ways in which patches and links can contribute "
        "to habitat availability and connectivity in the landscape. Ecography 33:523-537",
        "Pascual-Hortal L, Saura S (2006) Comparison and development of new graph-based landscape connectivity "
        "indices. Landscape Ecology 21:959-967",
        "Bodin O, Saura S (2010) Ranking individual habitat patches as connectivity providers: integrating network "
        "analysis and patch removal experiments. Ecological Modelling 221:2393-2405 (BC_PC, BC_IIC)",
        "Brandes U (2001) A faster algorithm for betweenness centrality. Journal of Mathematical Sociology 25:163-177",
    ),
)
def importance(
    patches: Annotated["pd.DataFrame", Table("habitat patches with their attribute", columns=("patch",))],
    links: Annotated["pd.DataFrame", Table("links between patches", columns=("patch_a", "patch_b"))],
    candidate_patches: Annotated[
        "pd.DataFrame | None", Table("patches that could be added, with their attribute", columns=("patch",))
    ] = None,
    candidate_links: Annotated[
        "pd.DataFrame | None",
        Table(
            "links that could be added or improved, and those of the candidate patches to existing ones",
            columns=("patch_a", "patch_b"),
        ),
    ] = None,
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
            "in IIC and BC a link joins its patches when its weight is below this (a probability: above); the distance "
            "when left out (a probability: 0)",
            ge=0,
        ),
    ] = None,
    measures: Annotated[Sequence[str], Param("what to compute", choices=("PC", "IIC", "BC"))] = ("PC", "IIC", "BC"),
    of: Annotated[
        Sequence[str], Param("whose importance; links take about as long again", choices=("patches", "links"))
    ] = ("patches", "links"),
    smallest_probability: Annotated[
        float,
        Param(
            "look for detours only between patches whose best path is at least this probable (their sums go on to its "
            "square); 0 looks at all",
            ge=0,
            lt=1,
        ),
    ] = 0.0,
    improved_to: Annotated[
        float | None, Param("weight that a link would have after its improvement, in the unit of the weight", ge=0)
    ] = None,
    changed_weight: Annotated[
        str | None, Param("column of links with the weight that each would have after a change, e.g. with a road")
    ] = None,
    gain_relative_to: Annotated[
        Literal["before", "after"], Param("gains are in % of PC and IIC before the addition or after it")
    ] = "before",
) -> Importance:
    """The importance of every patch and link for connectivity, and what candidate patches and links would add.

    dPC_k = 100 (PC - PC without k) / PC. For a patch it has three parts: intra, its own attribute a_k^2; flux, the
    pairs that end in it; connector, what other pairs lose because their best path led through it and the next best is
    worse. The same of IIC, by hops in the binary graph. A link's dPC is that of removing it or, in dPC_change, of
    giving it the weight ``improved_to`` or that of the column ``changed_weight``. A candidate patch comes with its
    candidate links to existing patches; other candidate links are added, or improve the link that is there. Each is
    added alone. dX = 100 gain / X, X before or after.

    BC is the share of pairs of other patches whose shortest path by hops runs through the patch (of all pairs, the
    link); BC_PC weighs pairs by a_i a_j p*_ij and their best paths, in % of PCnum, BC_IIC by a_i a_j / (1 + hops), in
    % of IICnum. Several shortest paths share their pair.

    Everything is exact by default. With a ``smallest_probability`` eps only detours between pairs with p* >= eps are
    looked at, and sums go to eps^2: each row then tells how far its dPC can be from the exact value at most. This
    makes networks of 100,000 patches possible (without IIC and BC, which need all pairs).

    Raises LinkwaysError for an attribute or weight that is missing or negative, a link to an unknown patch or of a
    patch to itself, a candidate that is an existing patch, and for a network whose attributes are all 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import networks
    >>> patches = pd.DataFrame({"patch": ["a", "b", "c"], "area_ha": [10.0, 1.0, 10.0]})
    >>> links = pd.DataFrame({"patch_a": ["a", "b"], "patch_b": ["b", "c"], "distance_m": [500.0, 500.0]})
    >>> found = networks.importance(patches, links, distance=500).patches.set_index("patch")
    >>> found.loc["b", ["dPC_intra", "dPC_flux", "dPC_connector"]].round(2).tolist()  # PCnum 271: 1, 20 and 50
    [0.37, 7.38, 18.45]
    """
    from linkways.networks._graph import mapped, network, read_weights
    from linkways.networks._importance import candidates_of, measure

    patches, links = patches.reset_index(drop=True), links.reset_index(drop=True)
    found = network(
        ID,
        patches,
        links,
        attribute=attribute,
        weight=weight,
        distance=distance,
        probability=probability,
        threshold=threshold,
    )
    if not found.attribute.any():
        raise LinkwaysError(f"{ID}: {attribute} is 0 in all patches, so that nothing depends on any; name another")
    if not measures or not of:
        raise LinkwaysError(f"{ID}: measures and of must each name at least one of their choices")
    if improved_to is not None and changed_weight is not None:
        raise LinkwaysError(f"{ID}: give improved_to or changed_weight, not both")
    if (improved_to is not None or changed_weight is not None) and not ("PC" in measures and "links" in of):
        raise LinkwaysError(f"{ID}: changed links are measured by dPC; name PC in measures and links in of")
    if (candidate_patches is not None or candidate_links is not None) and not {"PC", "IIC"} & set(measures):
        raise LinkwaysError(f"{ID}: candidates are measured by dPC and dIIC; name PC or IIC in measures")
    changed = None
    if improved_to is not None:
        changed = _improved(found, improved_to)
    elif changed_weight is not None:
        changed = read_weights(ID, "links", links, weight, changed_weight)
    candidates = candidates_of(found, candidate_patches, candidate_links, attribute)
    measured = measure(
        found, candidates, changed, tuple(measures), tuple(of), smallest_probability, gain_relative_to == "after"
    )
    of_patches = _ranked(patches[["patch", attribute]], measured.patches)
    of_links = _ranked(links[["patch_a", "patch_b", weight]], measured.links)
    return Importance(
        of_patches,
        of_links,
        measured.candidates,
        measured.equivalent_connectivity,
        measured.missing,
        measured.largest_error,
        mapped(patches, of_patches),
        mapped(links, of_links),
    )


def _improved(found: "Network", to: float) -> np.ndarray:
    if found.column == "probability":
        if to > 1:
            raise LinkwaysError(f"{ID}: improved_to is {to:g}, but links are weighted by probability; give 0 to 1")
        return np.asarray(np.maximum(found.raw, to))
    return np.asarray(np.minimum(found.raw, to))


def _ranked(table: "pd.DataFrame", columns: dict[str, np.ndarray]) -> "pd.DataFrame":
    """The table with the columns, by the first of them from the largest; rows keep their labels."""
    import pandas as pd

    out = pd.DataFrame(table).assign(**columns)
    if not columns:
        return out
    return out.sort_values(next(iter(columns)), ascending=False, kind="stable")
