"""Current on networks given as tables of branches: between focal nodes, or from sources to grounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkways.corridors._circuit_graph import Graph, branch_currents, graph_of_branches, node_currents_of
from linkways.kernels.current import BRANCH_CUT

__all__ = ["NetworkFlows", "VisitNetwork", "network_advanced", "network_of", "network_pairwise", "resolve_nodes"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
VisitNetwork = Callable[[tuple[int, ...], Indices, Floats, Floats, Floats], None]
"""Called with the case, the nodes of its component, and over all nodes the voltages and node currents, and over all
branches the absolute branch currents."""


@dataclass(frozen=True)
class NetworkFlows:
    """Effective resistances (n, n), NaN where not joined or left out; currents summed and largest over all pairs."""

    resistance: Floats
    node_cumulative: Floats
    node_maximum: Floats
    branch_cumulative: Floats
    branch_maximum: Floats
    residual: float


def network_of(
    tail: NDArray[np.int64], head: NDArray[np.int64], conductance: Floats
) -> tuple[Graph, NDArray[np.int64]]:
    """The network of a table of branches and the name of each node, in ascending order."""
    names, place = np.unique(np.concatenate([tail, head]), return_inverse=True)
    graph = graph_of_branches(
        place[: len(tail)].astype(np.intp), place[len(tail) :].astype(np.intp), conductance, len(names)
    )
    return graph, names


def network_pairwise(
    graph: Graph,
    focal: Indices,
    wanted: NDArray[np.bool_],
    *,
    at_focal: bool = True,
    tolerance: float = 1e-8,
    visit: VisitNetwork | None = None,
) -> NetworkFlows:
    """1 A between all wanted pairs of focal nodes, by superposition of one solve per focal node."""
    many = len(focal)
    part = graph.component[focal]
    last = {int(name): n for n, name in enumerate(part)}
    reference = np.array([last[int(name)] for name in part], np.intp)
    amperes = np.zeros((many, graph.nodes))
    own = np.arange(many)
    amperes[own, focal] = 1.0
    amperes[own, focal[reference]] -= 1.0
    response, residual = graph.solve(amperes, tolerance=tolerance)
    at = response[:, focal]
    self_ = np.diag(at)
    resistance = np.maximum(self_[:, None] + self_[None, :] - at - at.T, 0.0)
    resistance[(part[:, None] != part[None, :]) | ~(wanted | np.eye(many, dtype=bool))] = np.nan
    np.fill_diagonal(resistance, 0.0)
    node, branch = np.zeros((2, graph.nodes)), np.zeros((2, len(graph.conductance)))
    for s, t in zip(*np.nonzero(np.triu(np.isfinite(resistance), 1)), strict=True):
        inside = graph.component == part[s]
        voltage = response[t] - response[s]
        voltage = np.where(inside, voltage - voltage[focal[s]], 0.0)
        through = node_currents_of(graph, voltage, cut=BRANCH_CUT)
        along = np.abs(branch_currents(graph, voltage, cut=BRANCH_CUT))
        if not at_focal:
            through[focal[[s, t]]] = 0.0
        for sums, new in ((node, through), (branch, along)):
            sums[0] += new
            np.maximum(sums[1], new, out=sums[1])
        if visit is not None:
            visit((int(s), int(t)), np.flatnonzero(inside), voltage, through, along)
    return NetworkFlows(resistance, node[0], node[1], branch[0], branch[1], float(residual.max(initial=0.0)))


def resolve_nodes(
    amperes: Floats, conductance: Floats, direct: NDArray[np.bool_], conflicts: str
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Sources and grounds of nodes after conflicts: keepall, rmvsrc and rmvall (the source), rmvgnd (the ground).

    Then a direct ground under a positive source is dropped in any case, as in Circuitscape.
    """
    amperes, conductance, direct = amperes.copy(), np.where(direct, 0.0, conductance), direct.copy()
    both = (amperes != 0) & ((conductance != 0) | direct)
    if conflicts in ("rmvsrc", "rmvall"):
        amperes[both] = 0.0
    elif conflicts == "rmvgnd":
        conductance[both], direct[both] = 0.0, False
    direct[direct & (amperes > 0)] = False
    return amperes, conductance, direct


def network_advanced(
    graph: Graph, amperes: Floats, conductance: Floats, direct: NDArray[np.bool_], *, tolerance: float = 1e-8
) -> tuple[Floats, Floats, Floats, float]:
    """Voltages and currents of the nodes, absolute branch currents, and the residual.

    All are 0 in components without source or ground.
    """
    tied = Graph(graph.tail, graph.head, graph.conductance, conductance, direct)
    fed = np.where(tied.grounded[tied.component], amperes, 0.0)
    voltages, residual = tied.solve(fed[None], tolerance=tolerance)
    voltage = voltages[0]
    through = node_currents_of(tied, voltage, cut=BRANCH_CUT)
    return voltage, through, np.abs(branch_currents(tied, voltage, cut=BRANCH_CUT)), float(residual[0])
