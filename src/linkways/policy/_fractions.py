"""ProtConn and its fractions from a network of nodes and links (Saura et al. 2017, 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from linkways.policy._links import Links

__all__ = ["Network", "Scale", "fractions", "node_deltas"]


@dataclass(frozen=True)
class Scale:
    """A dispersal distance with its probability, and the least probability that is followed."""

    distance_m: float
    probability: float
    cutoff: float

    @property
    def per_metre(self) -> float:
        """-ln p of one metre: p(d) = exp(-d per_metre)."""
        return -math.log(self.probability) / self.distance_m

    @property
    def horizon(self) -> float:
        """-ln p of the least probability."""
        return -math.log(self.cutoff)

    @property
    def reach_m(self) -> float:
        """Metres at which the probability falls to the cutoff."""
        return self.horizon / self.per_metre


@dataclass(frozen=True)
class Network:
    """Protected land of one region: nodes, those outside last and without area; links; and what they lie in.

    Areas may be in any one unit. ``bound`` is the network with the region's own land as further nodes without area.
    """

    area: np.ndarray
    inside: int
    single: np.ndarray
    region_area: float
    links: Links
    links_inside: Links
    bound_nodes: int = 0
    links_bound: Links | None = None


def fractions(network: Network, scale: Scale) -> dict[str, float]:
    """ECA, its bound, and all percentages for one dispersal distance and probability."""
    total = _sum(network.links, len(network.area), network.area, scale)
    alone = total
    if network.inside < len(network.area):
        alone = _sum(network.links_inside, network.inside, network.area[: network.inside], scale)
    out = _shares(network, math.sqrt(total[0]), math.sqrt(alone[0]))
    out["error_bound"] = 100.0 * (math.sqrt(total[0] + total[1]) - math.sqrt(total[0])) / network.region_area
    if network.links_bound is not None:
        area = np.zeros(network.bound_nodes)
        area[: len(network.area)] = network.area
        free = _sum(network.links_bound, network.bound_nodes, area, scale)
        out |= _bound_shares(out, 100.0 * math.sqrt(free[0]) / network.region_area)
    return out


def _sum(links: Links, nodes: int, area: np.ndarray, scale: Scale) -> tuple[float, float]:
    """PCnum and how much of it the cutoff can hide at most."""
    from linkways.kernels.reach import graph, probability_sum

    if not area.any():
        return 0.0, 0.0
    near = links.up_to(scale.reach_m)
    reached = probability_sum(graph(nodes, near.ends, near.metres * scale.per_metre), area, scale.horizon)
    return max(reached.total, reached.intra), reached.bound


def _shares(network: Network, eca: float, eca_alone: float) -> dict[str, float]:
    protected = float(network.area.sum())
    out = {
        "ECA": eca,
        "Prot": 100.0 * protected / network.region_area,
        "ProtConn": 100.0 * eca / network.region_area,
        "ProtUnconn": 100.0 * max(protected - eca, 0.0) / network.region_area,
        "RelConn": 100.0 * eca / protected if protected > 0 else math.nan,
    }
    names = ("Prot", "Trans", "Unprot", "Within", "Contig")
    if eca <= 0:
        return out | {f"ProtConn_{n}": math.nan for n in names} | {f"ProtConn_{n}_land": 0.0 for n in names}
    trans = 100.0 * max(eca - eca_alone, 0.0) / eca
    prot = min(100.0 * math.sqrt(float(network.area @ network.area)) / eca, 100.0 - trans)
    single = float(network.single.sum())
    within = 100.0 * math.sqrt(float(network.single @ network.single) * protected / single) / eca
    within = min(within, prot)
    values = (prot, trans, 100.0 - prot - trans, within, prot - within)
    for name, value in zip(names, values, strict=True):
        out[f"ProtConn_{name}"] = value
        out[f"ProtConn_{name}_land"] = value * out["ProtConn"] / 100.0
    return out


def _bound_shares(shares: dict[str, float], free: float) -> dict[str, float]:
    """The parts of ProtUnconn, given ProtConn when all the region's own land is free to cross."""
    sea_outland = max(shares["Prot"] - free, 0.0)
    bound = min(shares["ProtConn"] + sea_outland, shares["Prot"])
    return {
        "SeaOutland": sea_outland,
        "ProtUnconn_Design": max(shares["ProtUnconn"] - sea_outland, 0.0),
        "ProtConn_Bound": bound,
        "RelConn_Bound": 100.0 * bound / shares["Prot"] if shares["Prot"] > 0 else math.nan,
    }


def node_deltas(network: Network, links: Links, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """For each node the percentage of ProtConn that is lost without it, and that loss in percentage points.

    ``links`` must hold what matters also when any one node is lost.
    """
    from linkways.kernels.reach import graph, removal_loss

    if not network.area.any():
        return np.zeros(len(network.area)), np.zeros(len(network.area))
    near = links.up_to(scale.reach_m)
    net = graph(len(network.area), near.ends, near.metres * scale.per_metre)
    losses = removal_loss(net, network.area, scale.horizon)
    eca = math.sqrt(losses.total)
    points = 100.0 * (eca - np.sqrt(np.maximum(losses.total - losses.node, 0.0))) / network.region_area
    return 100.0 * points / (100.0 * eca / network.region_area), points
