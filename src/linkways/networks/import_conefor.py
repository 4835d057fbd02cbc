"""Habitat networks from the text files of Conefor."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from linkways.method import Param, Table, TableOf, method

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ConeforNetwork", "import_conefor"]


@dataclass(frozen=True)
class ConeforNetwork:
    """A habitat network read from Conefor files."""

    patches: Annotated["pd.DataFrame", TableOf("patch, attribute, and exists where the file tells")]
    links: Annotated["pd.DataFrame", TableOf("patch_a, patch_b, and the weight")]


@method(
    "networks.import_conefor",
    references=("Saura S, Torne J (2009) Conefor Sensinode 2.2. Environmental Modelling and Software 24:135-139",),
)
def import_conefor(
    nodes: Annotated["pd.DataFrame", Table("Conefor node file (.txt): id, attribute, and 1 or 0 if it exists")],
    links: Annotated["pd.DataFrame", Table("Conefor connection list (.txt): id, id, distance or probability")],
    *,
    weight: Annotated[
        Literal["distance_m", "cost", "probability", "resistance"],
        Param("what the third column of the connection list holds, which the file does not tell"),
    ] = "distance_m",
) -> ConeforNetwork:
    """The patches and links of a Conefor node file and connection file, checked.

    Columns are taken by their position. Pairs listed in both directions are one link.

    Raises LinkwaysError for ids that are no whole numbers or stand twice, negative attributes or distances,
    probabilities above 1, links of a node to itself or to one that is not listed, and two weights for one pair.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import networks
    >>> nodes = pd.DataFrame([[1, 20.5], [2, 7.0]])
    >>> networks.import_conefor(nodes, pd.DataFrame([[1, 2, 350.0]])).links
       patch_a  patch_b  distance_m
    0        1        2       350.0
    """
    from linkways.spatial import conefor_graph

    found = conefor_graph(nodes, links, weight=weight)
    return ConeforNetwork(found.nodes, found.links)
