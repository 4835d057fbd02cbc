"""Habitat networks as the text files of Conefor."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from linkways.method import Document, Param, Table, method

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ConeforFiles", "export_conefor"]


@dataclass(frozen=True)
class ConeforFiles:
    """The two files that Conefor reads."""

    nodes: Annotated[
        str, Document("node file: id, attribute, and 1 or 0 where patches tell if they exist", suffix=".txt")
    ]
    links: Annotated[str, Document("connection list: id, id, and the weight", suffix=".txt")]


@method(
    "networks.export_conefor",
    references=("Saura S, Torne J (2009) Conefor Sensinode 2.2. Environmental Modelling and Software 24:135-139",),
)
def export_conefor(
    patches: Annotated["pd.DataFrame", Table("habitat patches, numbered, with their attribute", columns=("patch",))],
    links: Annotated["pd.DataFrame", Table("links between patches", columns=("patch_a", "patch_b"))],
    *,
    attribute: Annotated[str, Param("column of patches that holds the attribute")] = "area_ha",
    weight: Annotated[
        Literal["distance_m", "cost", "probability", "resistance"], Param("column of links that holds the weight")
    ] = "distance_m",
) -> ConeforFiles:
    """The node file and the connection list that Conefor takes for a habitat network.

    Rows are separated by tabs, without header; numbers keep all their digits. A column ``exists`` of the patches
    becomes the third column of the node file. Conefor's option -t is dist for distances and costs, prob for
    probabilities, with notall, as only the pairs that have a link are listed.

    Raises LinkwaysError for columns that are missing, patches not numbered with whole numbers, and weights or
    attributes below 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import networks
    >>> patches = pd.DataFrame({"patch": [1, 2], "area_ha": [20.5, 7.0]})
    >>> links = pd.DataFrame({"patch_a": [1], "patch_b": [2], "distance_m": [350.0]})
    >>> networks.export_conefor(patches, links)
    ConeforFiles(nodes='1\\t20.5\\n2\\t7.0\\n', links='1\\t2\\t350.0\\n')
    """
    from linkways.spatial import conefor_text

    return ConeforFiles(*conefor_text(patches, links, attribute=attribute, weight=weight))
