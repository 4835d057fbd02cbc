"""Rivers: networks and their barriers, connectivity, removals under a budget, riverine reserves."""

from linkways.rivers.barriers import RiverBarriers, barriers
from linkways.rivers.connectivity import RiverConnectivity, connectivity
from linkways.rivers.free_flowing import FreeFlowing, free_flowing
from linkways.rivers.history import RiverHistory, history
from linkways.rivers.network import RiverNetwork, network
from linkways.rivers.remove import RemovalPlan, remove
from linkways.rivers.reserves import RiverReserves, reserves
from linkways.rivers.species import SpeciesConnectivity, species_connectivity
from linkways.rivers.streams import streams
from linkways.rivers.uncertainty import RiverUncertainty, uncertainty

__all__ = [
    "FreeFlowing",
    "RemovalPlan",
    "RiverBarriers",
    "RiverConnectivity",
    "RiverHistory",
    "RiverNetwork",
    "RiverReserves",
    "RiverUncertainty",
    "SpeciesConnectivity",
    "barriers",
    "connectivity",
    "free_flowing",
    "history",
    "network",
    "remove",
    "reserves",
    "species_connectivity",
    "streams",
    "uncertainty",
]
