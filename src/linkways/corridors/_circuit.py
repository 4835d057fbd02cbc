"""Circuits on rasters: the core that the current-flow methods stand on.

Build a `Circuit` once from a resistance or conductance raster (`build_circuit`), then ask it:

- ``circuit.drive(nodes)``: n focal nodes, each one cell or many, tied together while it is active. At most n solves;
  the `Responses` hold everything that follows by superposition: effective resistances of all pairs, the voltage of
  any pair, cumulative and maximum current over any set of pairs, one-to-all and all-to-one.
- ``circuit.flow(amperes, direct=...)``: voltages for given sources and grounds.
- ``circuit.current(voltage)``: the current through every cell for one map of voltages.

Everything is numpy in, numpy out: cells are flat indices into the raster (row * columns + column), voltages and
currents are (rows, columns) float64, 0 where there is no node.

How it solves. Single cells: the singular Laplacian has one multigrid hierarchy for every source and ground, and 1 A
from each focal cell to the last of its component gives x_s; the pair (s, t) has x_s - x_t. Nodes of many cells: all
of a node's cells are tied to a given voltage, so they leave the nine-point stencil and K solves of the definite
remainder give the harmonic functions phi_k (1 on node k, 0 on the others); their energies S_kl = phi_k' L phi_l are
the network between the nodes (the Schur complement), small and dense, and x_s is a sum of the phi_k. The error of S
is quadratic in the error of the phi_k. Where many groups are tied, one nested dissection that eliminates their rims
last stands in for the solves (`_circuit_regions`); very small rasters with tied cells are a sparse graph. A solve that
multigrid does not bring to its tolerance is done again by nested dissection.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from linkways.checkpoint import kept_each
from linkways.corridors._circuit_graph import Graph, graph_of_branches
from linkways.corridors._circuit_maps import NodeBranches, branches_of_nodes, current_map, rim_of
from linkways.corridors._circuit_responses import Responses
from linkways.errors import LinkwaysError
from linkways.kernels.laplacian import Stencil, StepLengths, components, ground_cells, raster_stencil
from linkways.kernels.multigrid import Hierarchy, Solution, Sources, build_hierarchy, solve
from linkways.method import progress

__all__ = ["Circuit", "Responses", "build_circuit"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Cells = Sequence[Indices]

GRAPH_CELLS = 2_500  # rasters up to this size with tied cells are a sparse graph
MANY_TIES = 20  # groups beside the focal nodes from which one factorisation beats a solve for each
FLOW_TIES, FLOW_GRAPH_CELLS = 60, 1_000_000  # given sources: from so many groups, up to so many cells, a sparse graph
FACTOR_CELLS = 4_000_000  # about 0.7 GB per million cells
FACTOR_TERMINALS = 5_000  # their dense network takes 8 bytes times the square of this, four times over
HELD_BYTES = 2_000_000_000  # voltages beyond this lie in a temporary file
SLAB_CELLS = 200_000


def build_circuit(
    raster: Floats,
    *,
    kind: Literal["resistance", "conductance"] = "resistance",
    average: Literal["resistance", "conductance"] = "conductance",
    neighbours: Literal[4, 8] = 8,
    steps: StepLengths | None = None,
    ground: Floats | None = None,
    shorted: Cells = (),
    tolerance: float = 1e-8,
    threads: int = 1,
) -> Circuit:
    """The circuit of a raster; cells that are NaN, infinite or not above 0 are no nodes.

    ``average`` says whether a branch has the mean conductance of its cells (Circuitscape's default) or the
    conductance of their mean resistance; ``steps`` are centre-to-centre distances (unit cells when None); ``ground``
    (rows, columns) finite conductances to ground; ``shorted`` groups of flat cells that are one node each, nodata
    cells in them too (they show the node's voltage). Groups that share a cell are one; one of nodata only is none.
    """
    stencil = raster_stencil(
        np.ascontiguousarray(raster, np.float64),
        kind=kind, average=average, neighbours=neighbours, steps=steps, ground=ground,
    )  # fmt: skip
    real = [g for g in merge_groups(shorted)[0] if stencil.nodes.reshape(-1)[g].any()]
    return Circuit(stencil, tuple(real), tolerance=tolerance, threads=threads)


def merge_groups(groups: Cells) -> tuple[list[Indices], Indices]:
    """Join groups of flat cells that share a cell: the cells of each merged group, and the merged group of each."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(groups):
        return [], np.empty(0, np.intp)
    cells = np.concatenate([np.asarray(g, np.intp) for g in groups])
    group = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
    distinct, place = np.unique(cells, return_inverse=True)
    size = len(groups) + len(distinct)
    links = coo_array((np.ones(len(cells)), (group, len(groups) + place)), shape=(size, size))
    label = connected_components(links, directed=False)[1]
    # numbered by their first group, so that focal nodes keep their order
    _, first, merged = np.unique(label[: len(groups)], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    merged = rank[merged]
    order = np.argsort(merged[group], kind="stable")
    bounds = np.searchsorted(merged[group][order], np.arange(1, len(first)))
    return [np.unique(part) for part in np.split(cells[order], bounds)], merged


@dataclass(frozen=True)
class Circuit:
    """A resistor network on a raster. Build it with `build_circuit`; it is never changed.

    ``shorted`` are disjoint groups of flat cells tied into one node each. ``tolerance`` bounds ||b - L v|| / ||b||
    of every solve; one that stays above it goes to a direct solver and else raises LinkwaysError.
    """

    stencil: Stencil
    shorted: tuple[Indices, ...] = ()
    tolerance: float = 1e-8
    threads: int = 1
    graph_cells: int = GRAPH_CELLS

    @property
    def shape(self) -> tuple[int, int]:
        return self.stencil.shape

    @property
    def content(self) -> tuple[object, ...]:
        """All that decides its voltages and currents; how many threads work on them does not."""
        return self.stencil, self.shorted, self.tolerance, self.graph_cells

    @cached_property
    def nodes(self) -> NDArray[np.bool_]:
        """Cells that are part of the circuit, (rows, columns), those of shorted groups included."""
        nodes = self.stencil.nodes.copy()
        for cells in self.shorted:
            nodes.reshape(-1)[cells] = True
        return nodes

    @cached_property
    def hierarchy(self) -> Hierarchy:
        """The multigrid hierarchy of the raster without ties."""
        return build_hierarchy(self.stencil)

    @cached_property
    def components(self) -> NDArray[np.int32]:
        """Connected parts of the raster without ties, 1, 2, ...; 0 where there is no node."""
        return components(self.stencil.nodes, self.stencil.neighbours)

    @cached_property
    def shorted_branches(self) -> NodeBranches:
        return branches_of_nodes(self.stencil, self.shorted)

    def components_with(self, groups: Cells) -> NDArray[np.int32]:
        """Connected parts when also ``groups`` are tied; nodata cells in a group belong to its part."""
        labels = self.components.astype(np.int32)
        if all(len(g) == 1 and labels.flat[g[0]] for g in groups):
            return labels
        # a component is a group of one label; nodata cells of a group take a label of their own
        parts = [np.unique(labels.reshape(-1)[g]) for g in groups]
        count = int(labels.max(initial=0))
        named = [np.append(p[p > 0], count + 1 + n) for n, p in enumerate(parts)]
        singles = [np.array([n]) for n in range(1, count + len(groups) + 1)]
        merged = merge_groups([*singles, *named])[1][: len(singles)]
        name = np.concatenate([[0], merged + 1]).astype(np.int32)
        labels = name[labels]
        for n, cells in enumerate(groups):
            labels.reshape(-1)[cells] = name[count + 1 + n]
        return labels

    def with_ground(self, conductance: Floats) -> Circuit:
        """The same circuit with finite conductances (rows, columns) to ground, in place of those it had."""
        s = self.stencil
        leak = np.pad(np.where(s.nodes & (conductance > 0), conductance, 0.0), 1)
        without = s.diagonal if s.ground is None else s.diagonal - s.ground
        stencil = replace(s, diagonal=without + leak, ground=leak if leak.any() else None)
        return replace(self, stencil=stencil)

    def tied(self, groups: Cells) -> Circuit:
        """The same circuit with further groups of flat cells tied into one node each."""
        return replace(self, shorted=tuple(merge_groups([*groups, *self.shorted])[0]))

    def drive(self, nodes: Cells) -> Responses:
        """Responses to 1 A from each focal node; each is an array of flat cells, tied together.

        Focal nodes that share a cell with each other or with a shorted group are one node with it. Takes as many
        solves as there are distinct nodes, shorted groups included, less one for each component. The circuit has no
        conductance to ground.
        """
        if self.stencil.ground is not None:
            raise ValueError("focal nodes are driven against each other: the circuit must have no ground")
        nodes = [np.asarray(n, np.intp) for n in nodes]
        merged, place = merge_groups([*nodes, *self.shorted])
        index = place[: len(nodes)]
        focal = int(index.max(initial=-1)) + 1
        if all(len(cells) == 1 for cells in merged):
            voltages, residual = self._drive_points(np.concatenate([*merged, np.empty(0, np.intp)]))
            part = _names_at(self.components, merged)
        else:
            labels = self.components_with(merged)
            part = _names_at(labels, merged)
            if self.components.size <= self.graph_cells:
                voltages, residual = self._drive_graph(merged, part[:focal])
            elif self._many_ties(merged, focal):
                from linkways.corridors._circuit_regions import factored_responses

                voltages, residual = factored_responses(self, merged, part[:focal])
            else:
                voltages, residual = self._drive_terminals(merged, part, focal, labels)
        branches = branches_of_nodes(self.stencil, merged)
        return Responses(self, branches, index, part[:focal], voltages, residual)

    def flow(self, amperes: Floats, *, direct: NDArray[np.bool_] | None = None) -> Floats:
        """Voltages (rows, columns) for amperes into each cell, grounds being the stencil's and the ``direct`` cells.

        Components without a source or without a ground carry no current: their voltage is 0.
        """
        direct = np.zeros(self.shape, bool) if direct is None else direct
        if self.shorted:
            many = len(self.shorted) > FLOW_TIES and self.components.size <= FLOW_GRAPH_CELLS
            if many or self.components.size <= self.graph_cells:
                return self._flow_graph(amperes, direct)
            return self._flow_terminals(amperes, direct)
        amperes = np.where(self._fed(amperes, direct, self.components) & ~direct & self.stencil.nodes, amperes, 0.0)
        inner = ground_cells(self.stencil, direct) if direct.any() else self.stencil
        hierarchy = build_hierarchy(inner) if direct.any() else self.hierarchy
        return cast(Floats, self._solve(hierarchy, amperes[None]).voltages[0])

    def current(self, voltage: Floats) -> Floats:
        """The current through every cell, max(inflow, outflow), for one map of voltages."""
        return current_map(self.stencil, self.shorted_branches, voltage)

    def imbalance(self, voltage: Floats, amperes: Floats) -> Floats:
        """Amperes that each cell (rows, columns) lacks: what enters it minus what leaves along branches and to ground.

        0 at every cell where Kirchhoff's law holds; at cells tied to ground directly, minus the current they take.
        That of a shorted group stands at its first cell.
        """
        s = self.stencil
        v = np.pad(voltage, 1)
        missing = np.pad(np.where(self.nodes, amperes, 0.0), 1)
        for edge, down, right in ((s.east, 0, 1), (s.south, 1, 0), (s.southeast, 1, 1), (s.southwest, 1, -1)):
            flow = edge * (v - np.roll(v, (-down, -right), axis=(0, 1)))
            missing += np.roll(flow, (down, right), axis=(0, 1)) - flow
        if s.ground is not None:
            missing -= s.ground * v
        missing = missing[1:-1, 1:-1].copy()
        for cells in self.shorted:
            total = missing.reshape(-1)[cells].sum()
            missing.reshape(-1)[cells] = 0.0
            missing.reshape(-1)[cells[0]] = total
        return missing

    def _many_ties(self, merged: Cells, focal: int) -> bool:
        """Whether so many groups are tied beside the focal nodes that one factorisation beats a solve for each."""
        rims = sum(len(rim_of(self.stencil, cells)) for cells in merged)
        return len(merged) > focal + MANY_TIES and self.components.size <= FACTOR_CELLS and rims <= FACTOR_TERMINALS

    # --- single cells ------------------------------------------------------------------------------------------

    def _drive_points(self, cells: Indices) -> tuple[Floats, float]:
        rows, columns = np.divmod(cells, self.shape[1])
        label = self.components[rows, columns]
        last = {int(name): n for n, name in enumerate(label)}
        reference = np.array([last[int(name)] for name in label], np.intp)
        solved = np.flatnonzero(reference != np.arange(len(cells)))

        def sources(chosen: Indices) -> Sources:
            ends = np.concatenate([chosen, reference[chosen]])
            problem = np.tile(np.arange(len(chosen)), 2)
            return Sources(problem, rows[ends], columns[ends], np.repeat([1.0, -1.0], len(chosen)), len(chosen))

        voltages = _room_for(len(cells), self.shape)
        worst = 0.0
        parts = self._solve_in_turn(solved, lambda: self.hierarchy, sources, (self.stencil, cells), "focal node")
        for chosen, part in parts:
            worst = max(worst, float(part.residuals.max()))
            for voltage, s in zip(part.voltages, chosen, strict=True):
                shift = voltage[rows[reference[s]], columns[reference[s]]]
                np.subtract(voltage, shift, out=voltages[s], where=self.components == label[s])
        return voltages, worst

    # --- tied cells on a large raster: harmonic functions of the nodes ---------------------------------------------

    def _drive_terminals(
        self, merged: Cells, part: Indices, focal: int, labels: NDArray[np.int32]
    ) -> tuple[Floats, float]:
        harmonic, worst = self._harmonic(merged, part, labels)
        schur = self._energies(harmonic)
        weights = np.zeros((focal, len(merged)))
        for name in np.unique(part[:focal]):
            inside = np.flatnonzero(part == name)
            own = inside[inside < focal]
            kept = inside[inside != own[-1]]
            if not len(kept):
                continue
            load = (kept[:, None] == own[None, :]).astype(float)
            weights[np.ix_(own, kept)] = np.linalg.solve(schur[np.ix_(kept, kept)], load).T
        for slab in _slabs(self.shape):
            harmonic[:focal, slab] = np.tensordot(weights, harmonic[:, slab], axes=1)
        return harmonic[:focal], worst

    def _harmonic(self, merged: Cells, part: Indices, labels: NDArray[np.int32]) -> tuple[Floats, float]:
        """phi_k: voltage 1 on node k, 0 on the other nodes, harmonic between them; (nodes, rows, columns)."""
        tied = np.zeros(self.shape, bool)
        for cells in merged:
            tied.reshape(-1)[cells] = True
        inner = ground_cells(self.stencil, tied)
        hierarchy = build_hierarchy(inner)
        spared = {int(name): n for n, name in enumerate(part)}.values()
        solved = np.array([n for n in range(len(merged)) if n not in spared], np.intp)
        branches = branches_of_nodes(self.stencil, merged)
        harmonic = _room_for(len(merged), self.shape)
        worst = self._solve_harmonic(hierarchy, branches, tied, solved, harmonic)
        for n in spared:
            others = [m for m in np.flatnonzero(part == part[n]) if m != n]
            inside = labels == part[n]
            harmonic[n][inside] = 1.0 - sum((harmonic[m][inside] for m in others), np.zeros(int(inside.sum())))
        return harmonic, worst

    def _solve_harmonic(
        self, hierarchy: Hierarchy, branches: NodeBranches, tied: NDArray[np.bool_], solved: Indices, out: Floats
    ) -> float:
        free = ~tied.reshape(-1)[branches.outside]

        def sources(chosen: Indices) -> Sources:
            number = np.full(len(branches), -1, np.intp)
            number[chosen] = np.arange(len(chosen))
            used = free & (number[branches.node] >= 0)
            row, column = np.divmod(branches.outside[used], self.shape[1])
            return Sources(number[branches.node[used]], row, column, branches.conductance[used], len(chosen))

        worst = 0.0
        parts = self._solve_in_turn(solved, lambda: hierarchy, sources, (self.stencil, tied, branches), "node")
        for chosen, part in parts:
            worst = max(worst, float(part.residuals.max()))
            for voltage, n in zip(part.voltages, chosen, strict=True):
                out[n] = voltage
                out[n].reshape(-1)[branches.cells[n]] = 1.0
        return worst

    def _energies(self, harmonic: Floats) -> Floats:
        """S_kl = phi_k' L phi_l from squared voltage differences along every branch, (nodes, nodes)."""
        many = len(harmonic)
        out = np.zeros((many, many))
        s = self.stencil
        for slab in _slabs(self.shape):
            first, stop = slab.start, slab.stop
            block = np.pad(harmonic[:, first : stop + 1], ((0, 0), (0, 0), (1, 1)))
            here, height = block[:, : stop - first], min(stop, self.shape[0] - 1) - first
            for edge, right in ((s.east, 1), (s.south, 0), (s.southeast, 1), (s.southwest, -1)):
                size = stop - first if edge is s.east else height
                conductance = edge[first + 1 : first + 1 + size, 1:-1].ravel()
                used = np.flatnonzero(conductance)
                below = here[:, :size] if edge is s.east else block[:, 1 : size + 1]
                a = here[:, :size, 1:-1].reshape(many, -1)[:, used]
                b = below[:, :, 1 + right : block.shape[2] - 1 + right].reshape(many, -1)[:, used]
                drop = (a - b) * np.sqrt(conductance[used])
                out += drop @ drop.T
            if s.ground is not None:
                leak = here[:, :, 1:-1] * np.sqrt(s.ground[first + 1 : stop + 1, 1:-1])
                leak = leak.reshape(many, -1)
                out += leak @ leak.T
        return out

    def _flow_terminals(self, amperes: Floats, direct: NDArray[np.bool_]) -> Floats:
        """Given sources and grounds with shorted groups: what flows into tied groups, spread by their harmonics."""
        groups = list(self.shorted)
        at_zero = np.array([bool(direct.reshape(-1)[g].any()) for g in groups])
        direct = direct.copy()
        for cells, zero in zip(groups, at_zero, strict=True):
            direct.reshape(-1)[cells] |= zero
        labels = self.components_with(groups)
        amperes = np.where(self._fed(amperes, direct, labels), amperes, 0.0)
        floating = [g for g, zero in zip(groups, at_zero, strict=True) if not zero]
        tied = direct.copy()
        for cells in floating:
            tied.reshape(-1)[cells] = True
        hierarchy = build_hierarchy(ground_cells(self.stencil, tied))
        outer = np.where(tied | ~self.stencil.nodes, 0.0, amperes)
        voltage = cast(Floats, self._solve(hierarchy, outer[None]).voltages[0])
        if not floating:
            return voltage
        branches = branches_of_nodes(self.stencil, floating)
        harmonic = _room_for(len(floating), self.shape)
        self._solve_harmonic(hierarchy, branches, tied, np.arange(len(floating)), harmonic)
        entering = harmonic.reshape(len(floating), -1) @ outer.ravel()
        entering += [amperes.reshape(-1)[g].sum() for g in floating]
        schur = self._energies(harmonic)
        # a group in a component without source or ground stays at 0
        used = np.flatnonzero(self._fed(amperes, direct, labels).reshape(-1)[[g[0] for g in floating]])
        potential = np.zeros(len(floating))
        potential[used] = np.linalg.solve(schur[np.ix_(used, used)], entering[used])
        voltage += np.tensordot(potential, harmonic, axes=1)
        return voltage

    # --- tied cells on a small raster: the graph of its nodes ------------------------------------------------------

    def _graph(self, merged: Cells, direct: NDArray[np.bool_] | None = None) -> tuple[Graph, Indices]:
        """The network whose first nodes are ``merged``, and the node of each cell (-1: none)."""
        node = np.full(self.shape[0] * self.shape[1], -1, np.intp)
        for n, cells in enumerate(merged):
            node[cells] = n
        free = np.flatnonzero(self.stencil.nodes.ravel() & (node < 0))
        node[free] = len(merged) + np.arange(len(free))
        count = len(merged) + len(free)
        padded = np.pad(node.reshape(self.shape), 1, constant_values=-1)
        tails, heads, values = [], [], []
        s = self.stencil
        for edge, down, right in ((s.east, 0, 1), (s.south, 1, 0), (s.southeast, 1, 1), (s.southwest, 1, -1)):
            i, j = np.nonzero(edge)
            tails.append(padded[i, j])
            heads.append(padded[i + down, j + right])
            values.append(edge[i, j])
        leak, fixed = np.zeros(count), np.zeros(count, bool)
        if s.ground is not None:
            at = s.ground[1:-1, 1:-1].ravel()
            leak = _summed(node[node >= 0], at[node >= 0], count)
        if direct is not None:
            found = node[direct.ravel()]
            fixed[found[found >= 0]] = True
        graph = graph_of_branches(
            np.concatenate(tails), np.concatenate(heads), np.concatenate(values), count, ground=leak, fixed=fixed
        )
        return graph, node

    def _drive_graph(self, merged: Cells, part: Indices) -> tuple[Floats, float]:
        graph, node = self._graph(merged)
        own = np.arange(len(part))
        last = {int(name): n for n, name in enumerate(part)}
        reference = np.array([last[int(name)] for name in part], np.intp)
        amperes = np.zeros((len(part), graph.nodes))
        amperes[own, own] = 1.0
        amperes[own, reference] -= 1.0
        found, residual = graph.solve(amperes, tolerance=self.tolerance)
        inside = graph.component[None, :] == graph.component[own][:, None]
        found = np.where(inside, found - found[own, reference][:, None], 0.0)
        return self._spread(found, node), float(residual.max(initial=0.0))

    def _flow_graph(self, amperes: Floats, direct: NDArray[np.bool_]) -> Floats:
        graph, node = self._graph(self.shorted, direct)
        used = node >= 0
        entering = _summed(node[used], amperes.ravel()[used], graph.nodes)
        entering[~graph.grounded[graph.component]] = 0.0
        return cast(Floats, self._spread(graph.solve(entering[None], tolerance=self.tolerance)[0], node)[0])

    def _spread(self, values: Floats, node: Indices) -> Floats:
        """Node values (k, nodes) as maps (k, rows, columns), 0 where there is no node."""
        out = np.zeros((len(values), len(node)))
        used = node >= 0
        out[:, used] = values[:, node[used]]
        return out.reshape(len(values), *self.shape)

    # --- solving -------------------------------------------------------------------------------------------------

    def _leaky(self, labels: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which components have a conductance to ground, by label."""
        out = np.zeros(int(labels.max(initial=0)) + 1, bool)
        if self.stencil.ground is not None:
            out[labels[self.stencil.ground[1:-1, 1:-1] > 0]] = True
        return out

    def _fed(self, amperes: Floats, direct: NDArray[np.bool_], labels: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Cells of components that have both a source and a ground."""
        count = int(labels.max(initial=0)) + 1
        entering = np.bincount(labels.ravel(), (amperes != 0).ravel(), count) > 0
        grounded = self._leaky(labels) | (np.bincount(labels.ravel(), direct.ravel(), count) > 0)
        fed = grounded & entering
        fed[0] = False
        return np.asarray(fed[labels])

    def _solve_in_turn(
        self,
        solved: Indices,
        hierarchy: Callable[[], Hierarchy],
        sources: Callable[[Indices], Sources],
        content: tuple[object, ...],
        what: str,
    ) -> Iterator[tuple[Indices, Solution]]:
        """Solve for these nodes, a few at once; each few with their voltages and residuals.

        ``content`` decides, with the nodes, the sources; finished solves are kept where a folder is given for that.
        """
        many, step = len(solved), 4 * max(1, self.threads)
        if not many:
            return
        chunks = [solved[first : first + step] for first in range(0, many, step)]
        progress(0.0, f"{what} 1 of {many}")
        found = kept_each(
            f"circuit, each {what}",
            (content, solved, step, self.tolerance),
            chunks,
            lambda left: (self._solve(hierarchy(), sources(chosen)) for chosen in left),
            pack=lambda part: {"voltages": part.voltages, "residuals": part.residuals},
            unpack=lambda kept: _solution(kept["voltages"], kept["residuals"]),
        )
        done = 0
        for chosen, part in zip(chunks, found, strict=True):
            yield chosen, part
            done += len(chosen)
            progress(done / many, f"{what} {min(done + 1, many)} of {many}")

    def _solve(self, hierarchy: Hierarchy, sources: Floats | Sources) -> Solution:
        part = solve(hierarchy, sources, tolerance=self.tolerance, threads=self.threads)
        for k in np.flatnonzero(~part.converged):
            amperes = _dense(sources, int(k), self.shape)
            part.voltages[k], part.residuals[k] = self._solve_directly(hierarchy.stencil, amperes)
        return part

    def _solve_directly(self, stencil: Stencil, amperes: Floats) -> tuple[Floats, float]:
        """Voltages and residual by nested dissection, for the few problems that conjugate gradients do not solve."""
        from linkways.kernels.nested_dissection import factorise

        voltage = factorise(stencil, threads=self.threads).solve(amperes[None])[0]
        missing = float(np.linalg.norm(Circuit(stencil).imbalance(voltage, amperes)))
        rounding = 8 * float(np.finfo(np.float64).eps * np.linalg.norm(stencil.diagonal[1:-1, 1:-1] * voltage))
        residual = missing / float(np.linalg.norm(amperes))
        if residual > self.tolerance and missing > rounding:
            raise LinkwaysError(
                f"the circuit could not be solved: residual {residual:.2g} is above the tolerance {self.tolerance:g}; "
                "check the raster for resistances that span too many orders of magnitude"
            )
        return voltage, residual


def _solution(voltages: Floats, residuals: Floats) -> Solution:
    """A solution that was kept: how many iterations it took is not."""
    many = len(residuals)
    return Solution(voltages, residuals, np.zeros(many, np.intp), np.ones(many, bool))


def _dense(sources: Floats | Sources, problem: int, shape: tuple[int, int]) -> Floats:
    """The amperes of one problem, (rows, columns)."""
    if not isinstance(sources, Sources):
        return np.asarray(sources[problem])
    out = np.zeros(shape)
    mine = sources.problem == problem
    np.add.at(out, (sources.row[mine], sources.column[mine]), sources.amount[mine])
    return out


def _summed(place: Indices, values: Floats, size: int) -> Floats:
    return np.bincount(place, values, size).astype(np.float64)


def _names_at(labels: NDArray[np.int32], groups: Cells) -> Indices:
    """The component of each group, by its first cell."""
    return labels.reshape(-1)[[int(cells[0]) for cells in groups]].astype(np.intp)


def _slabs(shape: tuple[int, int]) -> Iterator[slice]:
    """Bands of rows of moderate size."""
    height = max(1, SLAB_CELLS // max(1, shape[1]))
    for first in range(0, shape[0], height):
        yield slice(first, min(first + height, shape[0]))


def _room_for(maps: int, shape: tuple[int, int]) -> Floats:
    """Zeros (maps, rows, columns); in a temporary file that vanishes with the array where memory would not do."""
    size = (maps, *shape)
    if maps * shape[0] * shape[1] * 8 <= HELD_BYTES:
        return np.zeros(size)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float64, mode="w+", shape=size).view(np.ndarray)
