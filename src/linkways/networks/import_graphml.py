"""Habitat networks from GraphML files."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from linkways.method import Layer, Table, TableOf, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["GraphMLNetwork", "import_graphml"]


@dataclass(frozen=True)
class GraphMLNetwork:
    """A habitat network read from a GraphML file."""

    patches: Annotated["pd.DataFrame", TableOf("patch and all attributes of the nodes")]
    links: Annotated["pd.DataFrame", TableOf("patch_a, patch_b and all attributes of the edges")]
    patch_map: Annotated["gpd.GeoDataFrame | None", Layer("the patches, if the file holds their geometry")]
    link_map: Annotated["gpd.GeoDataFrame | None", Layer("the links, if the file holds their geometry")]


@method(
    "networks.import_graphml",
    references=(
        "Brandes U, Eiglsperger M, Herman I, Himsolt M, Marshall MS (2002) GraphML progress report. Graph Drawing, "
        "LNCS 2265:501-512",
    ),
)
def import_graphml(
    network: Annotated[
        "pd.DataFrame",
        Table(
            "GraphML file (.graphml); as a table: its nodes, then its edges", columns=("patch", "patch_a", "patch_b")
        ),
    ],
) -> GraphMLNetwork:
    """The patches and links of a GraphML file, with all their attributes.

    Patches are numbered by the attribute ``patch`` of the nodes, or else by their ids. Outlines and paths that
    ``networks.export_graphml`` kept come back as layers. Edges have no direction here.

    Raises LinkwaysError for a file without nodes, and two edges of a pair that differ.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import networks
    >>> rows = {"patch": [1, 2, None], "patch_a": [None, None, 1], "patch_b": [None, None, 2]}
    >>> file = pd.DataFrame(rows | {"distance_m": [None, None, 350.0]}, dtype=object)
    >>> networks.import_graphml(file).links
       patch_a  patch_b  distance_m
    0        1        2       350.0
    """
    from linkways.spatial import graphml_graph

    found = graphml_graph(network)
    patch_map, link_map = (table if hasattr(table, "crs") else None for table in (found.nodes, found.links))
    return GraphMLNetwork(_plain(found.nodes), _plain(found.links), patch_map, link_map)


def _plain(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table without geometry."""
    import pandas as pd

    return pd.DataFrame(table.drop(columns=table.geometry.name)) if hasattr(table, "crs") else table
