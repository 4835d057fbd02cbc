"""Corridors on land: resistance, core areas, least-cost links and corridors, current flow, barriers, priorities."""

from linkways.corridors.absorbing_walk import AbsorbingWalk, absorbing_walk
from linkways.corridors.barriers import Barriers, barriers
from linkways.corridors.centrality import Centrality, centrality
from linkways.corridors.cores import cores
from linkways.corridors.cost_distance import CostDistance, cost_distance, least_cost_path
from linkways.corridors.current import CurrentFlow, current, resistance_matrix
from linkways.corridors.difference import Difference, difference
from linkways.corridors.least_cost import LeastCostCorridors, least_cost
from linkways.corridors.links import LinkNetwork, link_network
from linkways.corridors.network_current import NetworkCurrent, network_current
from linkways.corridors.omnidirectional import Omnidirectional, omnidirectional
from linkways.corridors.pinch_points import PinchPoints, pinch_points
from linkways.corridors.priorities import Priorities, area_by_region, prioritise
from linkways.corridors.randomised_paths import RandomisedPaths, randomised_paths
from linkways.corridors.resistance import reclassify, resistance
from linkways.corridors.restore import RestoreGain, restore_cell_gain

__all__ = [
    "AbsorbingWalk",
    "Barriers",
    "Centrality",
    "CostDistance",
    "CurrentFlow",
    "Difference",
    "LeastCostCorridors",
    "LinkNetwork",
    "NetworkCurrent",
    "Omnidirectional",
    "PinchPoints",
    "Priorities",
    "RandomisedPaths",
    "RestoreGain",
    "absorbing_walk",
    "area_by_region",
    "barriers",
    "centrality",
    "cores",
    "cost_distance",
    "current",
    "difference",
    "least_cost",
    "least_cost_path",
    "link_network",
    "network_current",
    "omnidirectional",
    "pinch_points",
    "prioritise",
    "randomised_paths",
    "reclassify",
    "resistance",
    "resistance_matrix",
    "restore_cell_gain",
]
