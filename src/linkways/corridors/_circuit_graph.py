"""General electrical networks: nodes, branches, conductances to ground; solved by sparse factorisation.

What has no grid under it is solved here: networks given as tables, and rasters in which whole regions are one node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError

__all__ = ["FLOAT_LIMIT", "Graph", "branch_currents", "graph_of_branches", "node_currents_of"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

ITERATIVE_NODES = 200_000  # larger networks are solved iteratively where approx-chol is installed
FLOAT_LIMIT = np.finfo(np.float64).eps


@dataclass(frozen=True)
class Graph:
    """A resistor network: branch n joins nodes ``tail[n]`` and ``head[n]`` with ``conductance[n]``.

    ``ground`` (nodes,) are finite conductances to ground; nodes that are ``fixed`` are tied to it directly. Parallel
    branches are merged and no branch joins a node with itself (:func:`graph_of_branches` sees to both).
    """

    tail: Indices
    head: Indices
    conductance: Floats
    ground: Floats
    fixed: NDArray[np.bool_]

    @property
    def nodes(self) -> int:
        return len(self.ground)

    @cached_property
    def component(self) -> NDArray[np.int32]:
        """Connected component of each node, 0, 1, ...; the ground joins nothing."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        links = coo_array((np.ones(len(self.tail)), (self.tail, self.head)), shape=(self.nodes, self.nodes))
        return np.asarray(connected_components(links, directed=False)[1])

    @cached_property
    def grounded(self) -> NDArray[np.bool_]:
        """Which components have a conductance to ground."""
        count = int(self.component.max(initial=-1)) + 1
        leak = (self.ground > 0) | self.fixed
        return np.asarray(np.bincount(self.component, leak, count) > 0)

    @cached_property
    def solved(self) -> Indices:
        """Nodes with an unknown voltage: not fixed, nor the first node of a component without ground."""
        _, first = np.unique(self.component, return_index=True)
        known = self.fixed.copy()
        known[first[~self.grounded]] = True
        return np.flatnonzero(~known)

    @cached_property
    def _matrix(self) -> Any:
        """The Laplacian of the nodes with an unknown voltage."""
        from scipy.sparse import coo_array

        diagonal = self.ground + np.bincount(self.tail, self.conductance, self.nodes)
        diagonal += np.bincount(self.head, self.conductance, self.nodes)
        own = np.arange(self.nodes)
        matrix = coo_array(
            (
                np.concatenate([-self.conductance, -self.conductance, diagonal]),
                (np.concatenate([self.tail, self.head, own]), np.concatenate([self.head, self.tail, own])),
            )
        ).tocsr()
        return matrix[self.solved][:, self.solved]

    @cached_property
    def _direct(self) -> Callable[[Floats], Floats]:
        """Solver of (nodes, k) right-hand sides by sparse LU."""
        from scipy.sparse.linalg import splu

        options = {"SymmetricMode": True}
        factor = splu(self._matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
        return cast("Callable[[Floats], Floats]", factor.solve)

    @cached_property
    def _iterative(self) -> Callable[[Floats], Floats] | None:
        """The same by conjugate gradients with an approximate Cholesky factor; None where it is not installed."""
        from importlib import import_module
        from importlib.util import find_spec

        if len(self.solved) < ITERATIVE_NODES or find_spec("approx_chol") is None:
            return None
        from scipy.sparse.linalg import cg

        matrix = self._matrix.tocsr()
        factor = import_module("approx_chol").factorize(matrix)

        def solve(amperes: Floats) -> Floats:
            columns = [cg(matrix, b, rtol=1e-10, maxiter=1000, M=factor)[0] for b in amperes.T]
            return np.stack(columns, axis=1)

        return solve

    def imbalance(self, voltages: Floats, amperes: Floats) -> Floats:
        """Current that each node lacks, (k, nodes): ``amperes`` minus what leaves it; from voltage differences."""
        flow = self.conductance * (voltages[:, self.tail] - voltages[:, self.head])
        missing = amperes - self.ground * voltages
        for row, along in zip(missing, flow, strict=True):
            row -= np.bincount(self.tail, along, self.nodes)
            row += np.bincount(self.head, along, self.nodes)
        missing[:, self.fixed] = 0.0
        return np.asarray(missing)

    def solve(self, amperes: Floats, *, tolerance: float = 1e-8) -> tuple[Floats, Floats]:
        """Return voltages (k, nodes) and residuals ||b - L v|| / ||b|| (k,) for ``amperes`` (k, nodes).

        One sparse LU (for large networks conjugate gradients with approx-chol, where that is installed), then two
        steps of refinement with residuals from voltage differences. Voltages of a component without ground are
        relative to its first node.

        Raises LinkwaysError with the residual where one stays above the tolerance and above what float64 can hold.
        """
        amperes = np.where(self.fixed, 0.0, amperes)
        if self._iterative is not None:
            voltages, residual, bad = self._refined(self._iterative, amperes, tolerance)
            if not bad.any():
                return voltages, residual
        voltages, residual, bad = self._refined(lambda b: self._direct(b), amperes, tolerance)
        if bad.any():
            raise LinkwaysError(
                f"the network could not be solved: residual {residual[bad].max():.2g} is above the tolerance "
                f"{tolerance:g}; check the conductances, which span {self.conductance.min():g} to "
                f"{self.conductance.max():g}"
            )
        return voltages, residual

    def _refined(
        self, solver: Callable[[Floats], Floats], amperes: Floats, tolerance: float
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Voltages, residuals, and which are neither within the tolerance nor what float64 can hold."""
        voltages = np.zeros_like(amperes)
        if len(self.solved):
            for _ in range(3):
                missing = self.imbalance(voltages, amperes)
                voltages[:, self.solved] += solver(np.ascontiguousarray(missing[:, self.solved].T)).T
        missing = self.imbalance(voltages, amperes)
        norm = np.linalg.norm(amperes, axis=1)
        left = np.linalg.norm(missing, axis=1)
        residual = np.divide(left, norm, out=np.zeros_like(norm), where=norm > 0)
        diagonal = self.ground + np.bincount(self.tail, self.conductance, self.nodes)
        diagonal += np.bincount(self.head, self.conductance, self.nodes)
        rounding = 8 * FLOAT_LIMIT * np.linalg.norm(diagonal * voltages, axis=1)
        return voltages, residual, (left > tolerance * norm) & (left > rounding)


def graph_of_branches(
    tail: Indices,
    head: Indices,
    conductance: Floats,
    nodes: int,
    *,
    ground: Floats | None = None,
    fixed: NDArray[np.bool_] | None = None,
) -> Graph:
    """The network of these branches: parallel ones added up, loops left out, ordered by node numbers."""
    low, high = np.minimum(tail, head), np.maximum(tail, head)
    used = (low != high) & (conductance > 0)
    key = low[used].astype(np.int64) * nodes + high[used]
    pairs, place = np.unique(key, return_inverse=True)
    return Graph(
        (pairs // nodes).astype(np.intp),
        (pairs % nodes).astype(np.intp),
        np.bincount(place, conductance[used], len(pairs)).astype(np.float64),
        np.zeros(nodes) if ground is None else ground,
        np.zeros(nodes, bool) if fixed is None else fixed,
    )


def branch_currents(graph: Graph, voltages: Floats, *, cut: float = 0.0) -> Floats:
    """Current from tail to head of each branch; those below ``cut`` times the largest count as 0."""
    flow = graph.conductance * (voltages[graph.tail] - voltages[graph.head])
    if cut > 0 and len(flow):
        flow[np.abs(flow) < cut * np.abs(flow).max()] = 0.0
    return np.asarray(flow)


def node_currents_of(graph: Graph, voltages: Floats, *, cut: float = 0.0) -> Floats:
    """Current through each node, max(inflow, outflow), its conductance to ground included (McRae et al. 2008)."""
    flow = branch_currents(graph, voltages, cut=cut)
    leak = graph.ground * voltages
    net = leak + np.bincount(graph.tail, flow, graph.nodes) - np.bincount(graph.head, flow, graph.nodes)
    size = np.abs(flow)
    total = np.abs(leak) + np.bincount(graph.tail, size, graph.nodes) + np.bincount(graph.head, size, graph.nodes)
    return np.asarray(0.5 * (total + np.abs(net)))
