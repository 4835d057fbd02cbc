"""Seas: larvae on the currents, who feeds whom, and reserves that seed each other."""

from linkways.seas.connectivity import Connectivity, connectivity
from linkways.seas.currents import currents
from linkways.seas.drift import Drift, drift
from linkways.seas.metrics import Metrics, metrics
from linkways.seas.spillover import Spillover, spillover

__all__ = ["Connectivity", "Drift", "Metrics", "Spillover", "connectivity", "currents", "drift", "metrics", "spillover"]
