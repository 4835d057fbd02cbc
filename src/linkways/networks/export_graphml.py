"""Habitat networks as GraphML, which other programs for graphs read."""

from typing import TYPE_CHECKING, Annotated

from linkways.method import Document, Param, Table, method

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["export_graphml"]


@method(
    "networks.export_graphml",
    references=(
        "Brandes U, Eiglsperger M, Herman I, Himsolt M, Marshall MS (2002) GraphML progress report. Graph Drawing, "
        "LNCS 2265:501-512",
    ),
)
def export_graphml(
    patches: Annotated["pd.DataFrame", Table("habitat patches, as table or features", columns=("patch",))],
    links: Annotated["pd.DataFrame", Table("links between patches, likewise", columns=("patch_a", "patch_b"))],
    *,
    geometry: Annotated[bool, Param("keep outlines and paths as text (WKT), so that they come back")] = True,
) -> Annotated[str, Document("the network with all columns of patches and links", suffix=".graphml")]:
    """A habitat network as a GraphML file with all columns of its patches and links.

    Patches that have a geometry get ``x`` and ``y``, a point inside it, in the CRS that the graph names (``crs``), so
    that other programs can draw the network in place. ``networks.import_graphml`` reads it back.

    Raises LinkwaysError for columns that are missing, and links to patches that are not there.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import networks
    >>> patches = pd.DataFrame({"patch": [1, 2], "area_ha": [20.5, 7.0]})
    >>> links = pd.DataFrame({"patch_a": [1], "patch_b": [2], "distance_m": [350.0]})
    >>> print(networks.export_graphml(patches, links).splitlines()[-5].strip())
    <edge source="1" target="2">
    """
    from linkways.spatial import graphml_text

    return graphml_text(patches, links, geometry=geometry)
