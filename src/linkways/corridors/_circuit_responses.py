"""What focal nodes do to a circuit, and all that follows from it by superposition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from linkways.corridors._circuit_maps import NodeBranches, current_map, pair_current_sums
from linkways.kernels.current import BRANCH_CUT

if TYPE_CHECKING:
    from linkways.corridors._circuit import Circuit

__all__ = ["Responses"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Responses:
    """What n focal nodes do to a circuit; see `Circuit.drive`.

    ``voltages[m]`` (rows, columns) is x_m, the response to 1 A from distinct node m to a reference in its component.
    ``index[n]`` is the distinct node of focal node n: several focal nodes may be one. ``part[m]`` is the component of
    a distinct node. ``branches`` lists the distinct nodes first,
    then the shorted groups. ``residual`` is the largest of all solves.
    """

    circuit: Circuit
    branches: NodeBranches
    index: Indices
    part: Indices
    voltages: Floats
    residual: float

    @cached_property
    def green(self) -> Floats:
        """Voltage of distinct node n in response m, (m, n)."""
        return self.branches.potentials(self.voltages)[:, : len(self.voltages)]

    @cached_property
    def resistances(self) -> Floats:
        """Effective resistance between all focal nodes (n, n): NaN in different components, 0 for one node."""
        self_ = np.diag(self.green)
        resistance = self_[:, None] + self_[None, :] - (self.green + self.green.T)
        resistance = np.maximum(resistance, 0.0)
        resistance[self.part[:, None] != self.part[None, :]] = np.nan
        np.fill_diagonal(resistance, 0.0)
        return np.asarray(resistance[np.ix_(self.index, self.index)])

    def connected(self, s: int, t: int) -> bool:
        """Whether focal nodes s and t are two nodes of one component."""
        a, b = self.index[s], self.index[t]
        return bool(a != b and self.part[a] == self.part[b])

    def all_pairs(self) -> Indices:
        """All pairs (s, t) with s < t of focal nodes that current can join, (pairs, 2)."""
        s, t = np.triu_indices(len(self.index), 1)
        a, b = self.index[s], self.index[t]
        joined = (a != b) & (self.part[a] == self.part[b])
        return np.column_stack([s[joined], t[joined]]).astype(np.intp)

    def pair_voltage(self, s: int, t: int) -> Floats:
        """Voltages of 1 A entering at focal node t and leaving at s, which has voltage 0; other components are 0."""
        a, b = self.index[s], self.index[t]
        if not self.connected(s, t):
            return np.zeros(self.circuit.shape)
        voltage = self.voltages[b] - self.voltages[a]
        return self._from_zero_at(voltage, a)

    def pair_current(self, s: int, t: int, *, at_focal: bool = True) -> Floats:
        """Current map of 1 A between two focal nodes; with ``at_focal`` false, 0 on the two nodes themselves."""
        if not self.connected(s, t):
            return np.zeros(self.circuit.shape)
        out = self.current(self.pair_voltage(s, t))
        if not at_focal:
            for n in (s, t):
                out.reshape(-1)[self.branches.cells[self.index[n]]] = 0.0
        return out

    def current(self, voltage: Floats) -> Floats:
        """Current map of any voltages that superpose the responses."""
        return current_map(self.circuit.stencil, self.branches, voltage)

    def current_sums(
        self, pairs: Indices | None = None, weights: Floats | None = None, *, at_focal: bool = True,
        cut: float = BRANCH_CUT,
    ) -> tuple[Floats, Floats]:  # fmt: skip
        """Cumulative and maximum current (rows, columns) over pairs of focal nodes (all when None).

        ``weights`` are the amperes of each pair (1 when None); pairs that current cannot join add nothing.
        """
        pairs = self.all_pairs() if pairs is None else np.asarray(pairs, np.intp).reshape(-1, 2)
        amperes = np.ones(len(pairs)) if weights is None else np.asarray(weights, np.float64)
        joined = np.array([self.connected(s, t) for s, t in pairs], bool)
        pairs, amperes = self.index[pairs[joined]].reshape(-1, 2), amperes[joined]
        if not len(pairs):
            return np.zeros(self.circuit.shape), np.zeros(self.circuit.shape)
        return pair_current_sums(
            self.circuit.stencil, self.branches, self.voltages, pairs, amperes,
            at_focal=at_focal, cut=cut, threads=self.circuit.threads,
        )  # fmt: skip

    def one_to_all(self, source: int, grounds: Sequence[int], amperes: float = 1.0) -> Floats:
        """Voltages of a source at one focal node with the others tied to ground; 0 everywhere when none is joined."""
        at = self.index[source]
        tied = np.unique([self.index[g] for g in grounds if self.connected(source, g)]).astype(np.intp)
        if not len(tied):
            return np.zeros(self.circuit.shape)
        leaving = np.zeros(len(tied))
        first, rest = tied[0], tied[1:]
        if len(rest):
            # the currents that leave at the grounds so that all have one voltage
            here, there = self.green[np.ix_(tied, tied)], self.green[at, tied]
            spread = here[1:, 1:] - here[1:, :1] - here[:1, 1:] + here[0, 0]
            leaving[1:] = np.linalg.solve(spread, there[1:] - there[0] - here[0, 1:] + here[0, 0])
        leaving[0] = 1.0 - leaving[1:].sum()
        voltage = self.voltages[at] - np.tensordot(leaving, self.voltages[tied], axes=1)
        return amperes * self._from_zero_at(voltage, int(first))

    def all_to_one(self, ground: int, sources: Sequence[int], amperes: Sequence[float]) -> Floats:
        """Voltages of sources at focal nodes with one focal node tied to ground."""
        at = self.index[ground]
        voltage = np.zeros(self.circuit.shape)
        for s, a in zip(sources, amperes, strict=True):
            if self.connected(ground, s):
                voltage += a * (self.voltages[self.index[s]] - self.voltages[at])
        return self._from_zero_at(voltage, at)

    def _from_zero_at(self, voltage: Floats, node: int) -> Floats:
        """The same voltages, 0 at a distinct node and in other components."""
        inside = self._labels == self.part[node]
        shift = voltage.reshape(-1)[self.branches.cells[node][0]]
        return np.asarray(np.where(inside, voltage - shift, 0.0))

    @cached_property
    def _labels(self) -> NDArray[np.int32]:
        return self.circuit.components_with(self.branches.cells)
