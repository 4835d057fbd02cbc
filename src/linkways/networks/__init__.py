"""Habitat networks: patches, links, connectivity indices, the importance of every patch and link, change over time."""

from linkways.networks.change import Change, change
from linkways.networks.clusters import Clusters, clusters
from linkways.networks.import_conefor import ConeforNetwork, import_conefor
from linkways.networks.importance import Importance, importance
from linkways.networks.indices import Indices, indices
from linkways.networks.links import links
from linkways.networks.metapopulation_capacity import MetapopulationCapacity, metapopulation_capacity
from linkways.networks.patches import patch_raster, patches
from linkways.networks.redundancy import Redundancy, redundancy

__all__ = [
    "Change",
    "Clusters",
    "ConeforNetwork",
    "Importance",
    "Indices",
    "MetapopulationCapacity",
    "Redundancy",
    "change",
    "clusters",
    "import_conefor",
    "importance",
    "indices",
    "links",
    "metapopulation_capacity",
    "patch_raster",
    "patches",
    "redundancy",
]
