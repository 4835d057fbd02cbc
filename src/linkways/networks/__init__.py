"""Habitat networks: patches, links, connectivity indices, the importance of every patch and link, change over time."""

from linkways.networks.change import Change, change
from linkways.networks.clusters import Clusters, clusters
from linkways.networks.export_conefor import ConeforFiles, export_conefor
from linkways.networks.export_graphml import export_graphml
from linkways.networks.import_conefor import ConeforNetwork, import_conefor
from linkways.networks.import_graphml import GraphMLNetwork, import_graphml
from linkways.networks.importance import Importance, importance
from linkways.networks.indices import Indices, indices
from linkways.networks.links import links
from linkways.networks.metapopulation_capacity import MetapopulationCapacity, metapopulation_capacity
from linkways.networks.patches import patch_raster, patches
from linkways.networks.redundancy import Redundancy, redundancy

__all__ = [
    "Change",
    "Clusters",
    "ConeforFiles",
    "ConeforNetwork",
    "GraphMLNetwork",
    "Importance",
    "Indices",
    "MetapopulationCapacity",
    "Redundancy",
    "change",
    "clusters",
    "export_conefor",
    "export_graphml",
    "import_conefor",
    "import_graphml",
    "importance",
    "indices",
    "links",
    "metapopulation_capacity",
    "patch_raster",
    "patches",
    "redundancy",
]
