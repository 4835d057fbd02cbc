"""Current maps of circuits on rasters, where a node may be one cell or many.

Everywhere but at nodes that take in or give out current, or that hold several cells, the current is half the sum of
the absolute branch currents. Those nodes are summed over all branches that leave them, and all their cells show the
node's current, as in Circuitscape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkways.kernels.current import BRANCH_CUT, node_currents, pair_currents
from linkways.kernels.laplacian import Stencil

__all__ = ["NodeBranches", "branches_of_nodes", "current_map", "pair_current_sums", "rim_of"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

CHUNK = 4_000_000  # branch currents held at once
NOWHERE = np.empty(0, np.intp)


@dataclass(frozen=True)
class NodeBranches:
    """The branches that leave some nodes of a raster circuit.

    ``cells[k]`` are the flat cells of node k. Branch e joins cell ``inside[e]`` of node ``node[e]`` with cell
    ``outside[e]``, which is no cell of that node. ``ground`` are the nodes' conductances to ground. Branches are
    ordered by node.
    """

    cells: tuple[Indices, ...]
    inside: Indices
    outside: Indices
    node: Indices
    conductance: Floats
    ground: Floats

    def __len__(self) -> int:
        return len(self.cells)

    def flows(self, voltages: Floats) -> Floats:
        """Currents out of the nodes along every branch, (maps, branches), for ``voltages`` (maps, rows, columns)."""
        flat = voltages.reshape(len(voltages), -1)
        return np.asarray(self.conductance * (flat[:, self.inside] - flat[:, self.outside]))

    def potentials(self, voltages: Floats) -> Floats:
        """Voltage of every node in every map, (maps, nodes)."""
        first = np.array([cells[0] for cells in self.cells], np.intp)
        return np.asarray(voltages.reshape(len(voltages), -1)[:, first])

    def through(self, flow: Floats, potential: Floats) -> Floats:
        """max(inflow, outflow) of every node, (maps, nodes), from `flows` and `potentials`."""
        leak = self.ground * potential
        net = leak + self._sum(flow)
        total = np.abs(leak) + self._sum(np.abs(flow))
        return np.asarray(0.5 * (total + np.abs(net)))

    def _sum(self, flow: Floats) -> Floats:
        out = np.zeros((len(flow), len(self)))
        if flow.shape[1]:
            present, starts = np.unique(self.node, return_index=True)
            out[:, present] = np.add.reduceat(flow, starts, axis=1)
        return out

    def paint(self, target: Floats, values: Floats) -> None:
        """Write one value per node into all its cells of ``target`` (rows, columns)."""
        flat = target.reshape(-1)
        for cells, value in zip(self.cells, values, strict=True):
            flat[cells] = value


def branches_of_nodes(stencil: Stencil, cells: Sequence[Indices]) -> NodeBranches:
    """List the branches that leave each group of flat cells; groups share no cell."""
    rows, columns = stencil.shape
    wide = columns + 2
    count = np.array([len(c) for c in cells], np.intp)
    node = np.repeat(np.arange(len(cells)), count)
    flat = np.concatenate([*cells, NOWHERE])
    place = (flat // columns + 1) * wide + flat % columns + 1
    member = np.full((rows + 2) * wide, -1, np.int32)
    member[place] = node
    parts = []
    for edge, step in (
        (stencil.east, 1),
        (stencil.south, wide),
        (stencil.southeast, wide + 1),
        (stencil.southwest, wide - 1),
    ):
        for start, end in ((place, place + step), (place - step, place - step)):
            conductance = edge.ravel()[start]
            leaves = (conductance > 0) & (member[end] != node)
            parts.append((place[leaves], end[leaves], node[leaves], conductance[leaves]))
    inside, outside, owner, conductance = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(owner, kind="stable")
    ground = np.zeros(len(cells))
    if stencil.ground is not None:
        ground = ground + np.bincount(node, stencil.ground.ravel()[place], len(cells))
    return NodeBranches(
        tuple(cells),
        _unpadded(inside[order], columns),
        _unpadded(outside[order], columns),
        owner[order],
        conductance[order],
        ground,
    )


def rim_of(stencil: Stencil, cells: Indices) -> Indices:
    """The cells of a region with a branch to a cell outside it; one of its nodes when there is none."""
    columns = stencil.shape[1]
    wide = columns + 2
    place = (cells // columns + 1) * wide + cells % columns + 1
    leaves = np.zeros(len(cells), bool)
    for edge, step in (
        (stencil.east, 1),
        (stencil.south, wide),
        (stencil.southeast, wide + 1),
        (stencil.southwest, wide - 1),
    ):
        flat = edge.ravel()
        leaves |= (flat[place] > 0) & ~np.isin(place + step, place)
        leaves |= (flat[place - step] > 0) & ~np.isin(place - step, place)
    if leaves.any():
        return cells[leaves]
    return cells[stencil.nodes.reshape(-1)[cells]][:1]


def _unpadded(place: Indices, columns: int) -> Indices:
    row, column = np.divmod(place, columns + 2)
    return np.asarray((row - 1) * columns + column - 1)


def current_map(stencil: Stencil, branches: NodeBranches, voltage: Floats, *, cut: float = BRANCH_CUT) -> Floats:
    """The current through every cell (rows, columns) for one map of voltages; all cells of a node show its current."""
    out = node_currents(stencil, voltage, cut=cut)
    one = voltage[None]
    branches.paint(out, branches.through(branches.flows(one), branches.potentials(one))[0])
    return out


def pair_current_sums(
    stencil: Stencil,
    branches: NodeBranches,
    voltages: Floats,
    pairs: Indices,
    weights: Floats,
    *,
    at_focal: bool = True,
    cut: float = BRANCH_CUT,
    threads: int = 1,
) -> tuple[Floats, Floats]:
    """Cumulative and maximum current (rows, columns) over pairs (s, t) of responses, v = x_s - x_t times the weight.

    Response s belongs to the listed node s. Where ``at_focal`` is false, the two nodes of a pair count 0 in it.
    """
    cumulative, maximum = pair_currents(
        stencil, voltages, NOWHERE, NOWHERE, pairs, weights=weights, cut=cut, threads=threads
    )
    flow, potential = branches.flows(voltages), branches.potentials(voltages)
    total, top = np.zeros(len(branches)), np.zeros(len(branches))
    step = max(1, CHUNK // max(1, flow.shape[1]))
    for first in range(0, len(pairs), step):
        s, t = pairs[first : first + step].T
        through = branches.through(flow[s] - flow[t], potential[s] - potential[t])
        through *= weights[first : first + step, None]
        if not at_focal:
            own = np.arange(len(s))
            through[own, s] = through[own, t] = 0.0
        total += through.sum(axis=0)
        np.maximum(top, through.max(axis=0, initial=0.0), out=top)
    branches.paint(cumulative, total)
    branches.paint(maximum, top)
    return cumulative, maximum
