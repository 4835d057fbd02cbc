"""Pairs of regions, each tied only in its own pairs, from one factorisation of the whole raster.

Only the rims of the regions matter: with every other cell eliminated, the rims and the shorted groups are a small dense
network (the Schur complement), inverted once. With currents i that sum to 0 on each component, voltages are
v = G i + constant, G being any generalised inverse. A pair (a, b) asks for the currents on the rims of a and b alone
that make each of the two equipotential and carry 1 A: a dense system of the size of two rims. The map is the harmonic
extension of the rims' voltages, one back-substitution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from linkways.corridors._circuit_maps import rim_of
from linkways.errors import LinkwaysError
from linkways.kernels.nested_dissection import Factor, TerminalNetwork, factorise

if TYPE_CHECKING:
    from linkways.corridors._circuit import Circuit

__all__ = ["RegionPairs", "factored_responses", "region_pairs"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

INVERSE_ERROR = 1e-9


@dataclass(frozen=True)
class RegionPairs:
    """The network between the rims of regions. Build it with `region_pairs`.

    ``label[t]`` is the node of terminal t in that network, ``green`` (nodes, nodes) a generalised inverse of its
    Laplacian, 0 between components, ``part`` (nodes,) its components; ``rims[k]`` are the nodes of region k.
    """

    circuit: Circuit
    factor: Factor
    regions: tuple[Indices, ...]
    label: Indices
    green: Floats
    part: Indices
    rims: tuple[Indices, ...]

    def potentials(self, a: int, b: int) -> tuple[float, Floats] | None:
        """Effective resistance of two regions and the voltages of the network's nodes at 1 A from b to a.

        Region a and everything out of reach have voltage 0. None where current cannot flow.
        """
        zero = np.zeros(len(self.part))
        if any(np.intersect1d(of[a], of[b]).size for of in (self.regions, self.rims)):
            return 0.0, zero
        if not np.intersect1d(self.part[self.rims[a]], self.part[self.rims[b]]).size:
            return None
        on = np.concatenate([self.rims[a], self.rims[b]])
        parts, place = np.unique(self.part[on], return_inverse=True)
        at_b = (np.arange(len(on)) >= len(self.rims[a])).astype(float)
        member = (place[:, None] == np.arange(len(parts))[None, :]).astype(float)
        size = len(on) + len(parts) + 1
        # unknown: current of each rim node, constant of each component, voltage of b; a has voltage 0
        matrix, load = np.zeros((size, size)), np.zeros(size)
        matrix[: len(on), : len(on)] = self.green[np.ix_(on, on)]
        matrix[: len(on), len(on) : -1] = member
        matrix[: len(on), -1] = -at_b
        matrix[len(on) : -1, : len(on)] = member.T
        matrix[-1, : len(on)] = at_b
        load[-1] = 1.0
        found = np.linalg.solve(matrix, load)
        voltage = self.green[:, on] @ found[: len(on)]
        for n, name in enumerate(parts):
            voltage[self.part == name] += found[len(on) + n]
        voltage[~np.isin(self.part, parts)] = 0.0
        voltage[self.rims[a]], voltage[self.rims[b]] = 0.0, found[-1]
        return float(found[-1]), voltage

    def voltages(self, pairs: Sequence[tuple[int, int]], potentials: Sequence[Floats]) -> Floats:
        """Maps of voltages (pairs, rows, columns) from the potentials of the network's nodes."""
        maps = self.factor.extend(np.stack([p[self.label] for p in potentials]))
        for one, (a, b), potential in zip(maps, pairs, potentials, strict=True):
            flat = one.reshape(-1)
            for k, cells in enumerate(self.circuit.shorted):
                flat[cells] = potential[k]
            for k in (a, b):
                flat[self.regions[k]] = potential[self.rims[k][0]]
        return np.asarray(maps)


def region_pairs(circuit: Circuit, regions: Sequence[Indices]) -> RegionPairs:
    """Factor the raster with the rims of all regions and shorted groups eliminated last."""
    shorts = circuit.shorted
    short_of = np.full(circuit.nodes.size, -1, np.intp)
    for k, cells in enumerate(shorts):
        short_of[cells] = k
    inside = circuit.stencil.nodes.reshape(-1)
    rims = [_within(rim_of(circuit.stencil, cells), inside) for cells in (*shorts, *regions)]
    terminals = np.unique(np.concatenate(rims))
    # shorted groups are the first nodes of the network, other terminals follow
    label = short_of[terminals]
    single = label < 0
    label[single] = len(shorts) + np.arange(int(single.sum()))
    where = np.column_stack(np.divmod(terminals, circuit.shape[1]))
    factor = factorise(circuit.stencil, keep_last=[where], threads=circuit.threads)
    green, part = _inverse(_merged(factor.schur(), label))
    nodes = []
    for cells, rim in zip(regions, rims[len(shorts) :], strict=True):
        own = label[np.searchsorted(terminals, rim)]
        swallowed = short_of[cells]
        nodes.append(np.unique(np.concatenate([own, swallowed[swallowed >= 0]])))
    return RegionPairs(circuit, factor, tuple(regions), label, green, part, tuple(nodes))


def factored_responses(circuit: Circuit, groups: Sequence[Indices], part: Indices) -> tuple[Floats, float]:
    """Responses (focal nodes, rows, columns) to 1 A from each of the first groups to the last of its component.

    All ``groups`` are tied; the first ``len(part)`` are the focal nodes, with their components. One factorisation with
    the rims of all groups last, whatever their number. Also the largest relative residual.
    """
    inside = circuit.stencil.nodes.reshape(-1)
    rims = [_within(rim_of(circuit.stencil, cells), inside) for cells in groups]
    terminals = np.concatenate(rims)
    label = np.repeat(np.arange(len(groups)), [len(rim) for rim in rims])
    where = np.column_stack(np.divmod(terminals, circuit.shape[1]))
    factor = factorise(circuit.stencil, keep_last=[where], threads=circuit.threads)
    green, joined = _inverse(_merged(factor.schur(), label))
    last = {int(name): n for n, name in enumerate(part)}
    reference = np.array([last[int(name)] for name in part], np.intp)
    own = np.arange(len(part))
    values = green[own] - green[reference]
    values = np.where(joined == joined[own][:, None], values - values[own, reference][:, None], 0.0)
    maps = np.asarray(factor.extend(values[:, label]))
    tied, worst = circuit.tied(groups), 0.0
    for one, value, s, t in zip(maps, values, own.tolist(), reference.tolist(), strict=True):
        for cells, potential in zip(groups, value, strict=True):
            one.reshape(-1)[cells] = potential
        amperes = np.zeros(circuit.nodes.size)
        amperes[groups[s][0]] += 1.0
        amperes[groups[t][0]] -= 1.0
        missing = tied.imbalance(one, amperes.reshape(circuit.shape))
        worst = max(worst, float(np.linalg.norm(missing)) / np.sqrt(2.0))
    if worst > circuit.tolerance:
        raise LinkwaysError(
            f"the circuit could not be solved: residual {worst:.2g} is above the tolerance {circuit.tolerance:g}; "
            "check the raster for resistances that span too many orders of magnitude"
        )
    return maps, worst


def _merged(network: TerminalNetwork, label: Indices) -> TerminalNetwork:
    """Join terminals of one label: their conductances add."""
    order = np.argsort(label, kind="stable")
    starts = np.searchsorted(label[order], np.arange(int(label.max()) + 1))
    if (label == np.arange(len(label))).all():
        return network
    joined = network.conductances[np.ix_(order, order)]
    joined = np.add.reduceat(np.add.reduceat(joined, starts, axis=0), starts, axis=1)
    np.fill_diagonal(joined, 0.0)
    return TerminalNetwork(joined, np.add.reduceat(network.ground[order], starts))


def _inverse(network: TerminalNetwork) -> tuple[Floats, Indices]:
    """A generalised inverse of the network's Laplacian, and the component of each node.

    The last node of a component is held at 0. Where contrast makes the inverse inaccurate, -R / 2 stands in its place,
    R being the effective resistances by elimination without subtraction (Klein & Randic 1993); that is much slower.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    conductances = network.conductances
    part = connected_components(csr_array(conductances), directed=False)[1].astype(np.intp)
    green = np.zeros_like(conductances)
    for name in np.unique(part):
        kept = np.flatnonzero(part == name)[:-1]
        laplacian = -conductances[np.ix_(kept, kept)]
        np.fill_diagonal(laplacian, conductances[kept].sum(axis=1))
        inverse = _inverted(laplacian)
        if inverse is None:
            resistance = network.resistances()
            return np.where(np.isfinite(resistance), -0.5 * resistance, 0.0), part
        green[np.ix_(kept, kept)] = inverse
    return green, part


def _inverted(matrix: Floats) -> Floats | None:
    """The inverse of a symmetric positive definite matrix by Cholesky; None where it is not accurate.

    Accuracy is probed with a few random vectors, A (A^-1 x) = x.
    """
    from scipy.linalg.lapack import dpotrf, dpotri

    if not len(matrix):
        return matrix
    factor, failed = dpotrf(matrix, lower=1)
    if failed:
        return None
    lower, failed = dpotri(factor, lower=1)
    if failed:
        return None
    inverse = np.tril(lower) + np.tril(lower, -1).T
    probes = np.random.default_rng(0).standard_normal((len(matrix), 4))
    error = np.abs(matrix @ (inverse @ probes) - probes).max()
    return inverse if error <= INVERSE_ERROR else None


def _within(cells: Indices, inside: NDArray[np.bool_]) -> Indices:
    return cells[inside[cells]]
