"""Corridors: resistance, core areas, least-cost links and corridors, priorities."""

from linkways.corridors.cores import cores
from linkways.corridors.cost_distance import CostDistance, cost_distance, least_cost_path
from linkways.corridors.least_cost import LeastCostCorridors, least_cost
from linkways.corridors.links import LinkNetwork, link_network
from linkways.corridors.priorities import Priorities, area_by_region, prioritise
from linkways.corridors.resistance import reclassify, resistance

__all__ = [
    "CostDistance",
    "LeastCostCorridors",
    "LinkNetwork",
    "Priorities",
    "area_by_region",
    "cores",
    "cost_distance",
    "least_cost",
    "least_cost_path",
    "link_network",
    "prioritise",
    "reclassify",
    "resistance",
]
