"""Direct solution of raster Laplacians: nested dissection of the grid, multifrontal elimination without subtraction.

The raster is cut in two by a line of cells, each half again, down to a few cells (George 1973). A part's cells are
eliminated before the line that cuts it off, so that it acts on the rest only through its rim; one line separates parts
of a nine-point stencil. Each cut (and each smallest part) is a *front*: the dense matrix of conductances among its own
cells, the pivots, and the cells around the part that are eliminated later, its boundary (Duff and Reid 1983).
Eliminating the pivots leaves conductances among the boundary cells, which are added to the front above.

Fronts hold conductances, not matrix entries, and pivots are sums of conductances (Grassmann, Taksar and Heyman 1985;
see ``_dense_blas``): factors are accurate at any contrast of resistances. Conductance to ground is a conductance to
one further node, which is never eliminated. A component without ground ends in a node with no conductance left; that
node is held at voltage 0, which is exact for currents that sum to zero on the component.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linkways.kernels._dense_blas import BLOCK, ONE_BLAS_THREAD, all_resistances, eliminate_first
from linkways.kernels._fronts import (
    ancestry,
    backward,
    dissect,
    factor_fronts,
    find_structure,
    forward,
    gather,
    needed_again,
    plan_blocks,
    scatter,
)
from linkways.kernels.laplacian import Stencil

__all__ = ["Factor", "TerminalNetwork", "factorise"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

LEAF_CELLS = 16  # a part of at most so many cells is not cut further
STORED_CELLS = 2000  # an editable factor keeps what parts larger than this leave to the rest, every second cut


@dataclass(frozen=True)
class TerminalNetwork:
    """The network that terminals see when all other cells are eliminated.

    ``conductances`` (n, n), symmetric, >= 0, diagonal 0: the off-diagonal of the Schur complement with its sign
    turned. ``ground`` (n,): conductance of each terminal to ground. Nothing was subtracted to find them.
    """

    conductances: Floats
    ground: Floats

    def merged(self, labels: NDArray[np.integer]) -> TerminalNetwork:
        """Join terminals that carry the same label 0, 1, ... into one node: conductances in parallel add."""
        count = int(labels.max()) + 1
        membership = np.zeros((len(labels), count))
        membership[np.arange(len(labels)), labels] = 1.0
        joined = membership.T @ self.conductances @ membership
        np.fill_diagonal(joined, 0.0)
        return TerminalNetwork(joined, membership.T @ self.ground)

    def without(self, terminals: NDArray[np.integer]) -> TerminalNetwork:
        """Eliminate some of the terminals: the network that the others, in their order, see."""
        gone = np.zeros(len(self.ground), dtype=bool)
        gone[terminals] = True
        order = np.concatenate([np.flatnonzero(gone), np.flatnonzero(~gone)])
        with ONE_BLAS_THREAD:
            left = eliminate_first(self._with_ground(order), int(gone.sum()))
        return TerminalNetwork(left[:-1, :-1].copy(), left[-1, :-1].copy())

    def resistances(self) -> Floats:
        """Effective resistance between all pairs of terminals, (n, n); inf where nothing connects them.

        Conductances to ground count as ways from one terminal to another. Cost O(n^3) for all pairs together; every
        entry is accurate to a few units of rounding.
        """
        if not self.ground.any():
            return all_resistances(self.conductances)
        count = len(self.ground)
        full = self._with_ground(np.arange(count))
        ground_first = np.roll(np.arange(count + 1), 1)
        return all_resistances(eliminate_first(full[np.ix_(ground_first, ground_first)], 1))

    def _with_ground(self, order: Indices) -> Floats:
        """Return the conductances in the given order, ground as the last node."""
        count = len(order)
        full = np.zeros((count + 1, count + 1))
        full[:count, :count] = self.conductances[np.ix_(order, order)]
        full[count, :count] = full[:count, count] = self.ground[order]
        return full


@dataclass(frozen=True)
class _Tree:
    """How a raster is cut; fronts are in postorder, children before parents.

    Cells are numbered in the order of elimination, nodata cells included. ``starts`` (fronts + 1): the first number of
    each front; ``cells``: the cell, as an index of the padded raster, of each number; ``numbers``: the reverse, -1 on
    the ghost ring; ``left``, ``right``, ``parent``: fronts, -1 where there is none; ``descendant``: the first front of
    the subtree; ``depth``: 0 at the root; ``terminals``: how many of the last numbers are terminals.
    """

    starts: Indices
    cells: NDArray[np.int32]
    numbers: NDArray[np.int32]
    left: Indices
    right: Indices
    parent: Indices
    descendant: Indices
    depth: Indices
    terminals: int


@dataclass(frozen=True)
class _Structure:
    """Which cells each front holds.

    ``indices[offsets[f]:]`` are its ``pivots[f]`` pivots and then its ``rims[f]`` boundary cells, by number, ascending;
    the number of ground is the number of cells.
    """

    pivots: Indices
    rims: Indices
    offsets: Indices
    indices: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Factor:
    """The factor of a raster Laplacian. Make it with :func:`factorise`; it does not change afterwards.

    Memory is shared with factors made by :meth:`update`. A factor cannot be pickled or copied: it holds addresses.
    Its methods may be called from several threads at once.
    """

    stencil: Stencil
    threads: int
    editable: bool
    _tree: _Tree
    _structure: _Structure
    _columns: Indices  # address of the factor columns of each front
    _kept: Indices  # address of the packed boundary block of each front, 0 where it is not kept
    _memories: tuple[Floats, ...]  # what the addresses point into
    _network: Floats  # terminals and ground before their elimination

    def __reduce_ex__(self, _protocol: object) -> str:
        raise TypeError("a Factor holds addresses in this process; send the Stencil and factorise it there")

    @property
    def entries(self) -> int:
        """Number of float64 that the factor holds for solving."""
        pivots, rims = self._structure.pivots, self._structure.rims
        return int((pivots * (pivots + rims)).sum())

    def solve(self, currents: Floats) -> Floats:
        """Return the voltages of k problems, (k, rows, columns), given the currents into cells of the same shape.

        A component without ground has voltage 0 at one of its cells, which is the same for all problems; its currents
        must sum to zero, and what they lack is drawn there. Cells without a node have voltage 0.
        """
        tree, structure = self._tree, self._structure
        k = len(currents)
        voltages = np.zeros((k, *self.stencil.shape))

        def work(first: int) -> None:
            x = np.zeros((tree.cells.size + 1, BLOCK))
            gather(currents[first : first + BLOCK], self.stencil.nodes, tree.cells, x)
            forward(*self._fronts, x)
            x[-1] = 0.0
            backward(*self._fronts, len(structure.pivots), x)
            scatter(x, tree.cells, voltages[first : first + BLOCK])

        self._each(work, range(0, k, BLOCK))
        return voltages

    def schur(self, cells: NDArray[np.integer] | None = None) -> TerminalNetwork:
        """Return the network among the terminals, in the order of ``keep_last``; all other cells are eliminated.

        ``cells``: positions in that order of the terminals wanted; all when None.
        """
        count = self._tree.terminals
        network = TerminalNetwork(self._network[:count, :count].copy(), self._network[count, :count].copy())
        if cells is None:
            return network
        wanted = np.asarray(cells, dtype=np.int64)
        network = network.without(np.setdiff1d(np.arange(count), wanted))
        order = np.searchsorted(np.sort(wanted), wanted)
        return TerminalNetwork(network.conductances[np.ix_(order, order)], network.ground[order])

    def extend(self, values: Floats) -> Floats:
        """Return the harmonic extension (k, rows, columns) of voltages (k, terminals) held at the terminals.

        No current enters elsewhere: each other cell has the mean of its neighbours, weighted by conductance, ground
        among them at voltage 0. Voltages are 0 where there is no node and on components without a terminal.
        """
        tree = self._tree
        k = len(values)
        voltages = np.zeros((k, *self.stencil.shape))
        fronts = len(self._structure.pivots) - (tree.terminals > 0)

        def work(first: int) -> None:
            x = np.zeros((tree.cells.size + 1, BLOCK))
            part = values[first : first + BLOCK]
            x[tree.cells.size - tree.terminals : tree.cells.size, : len(part)] = part.T
            backward(*self._fronts, fronts, x)
            scatter(x, tree.cells, voltages[first : first + BLOCK])

        self._each(work, range(0, k, BLOCK))
        return voltages

    def update(self, stencil: Stencil, ground: Floats | None = None) -> Factor:
        """Return the factor of an edited raster: only the fronts above the cells that differ are done again.

        The result is, to the last bit, that of :func:`factorise` on the same arguments, with the same terminals.
        Edges, grounds and nodes may all differ; the shape may not. Fast when this factor is editable; otherwise what
        the other parts leave to the edited fronts has to be computed again. This factor stays valid.
        """
        stencil = _grounded(stencil, ground)
        changed = _changed_cells(self.stencil, stencil)
        if changed.size == 0:
            return replace(self, stencil=stencil)
        touched = _touched_fronts(self._tree, self._tree.numbers[changed].astype(np.int64))
        structure = _structure(self._tree, stencil, self._structure, np.flatnonzero(touched))
        return _numeric(self, stencil, structure, touched)

    @property
    def _fronts(self) -> tuple[Indices, Indices, Indices, NDArray[np.int32], Indices]:
        structure = self._structure
        return structure.pivots, structure.rims, structure.offsets, structure.indices, self._columns

    def _each(self, work, items: Sequence[int]) -> None:  # type: ignore[no-untyped-def]
        if self.threads == 1 or len(items) == 1:
            for item in items:
                work(item)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(work, items))


def factorise(
    stencil: Stencil,
    ground: Floats | None = None,
    *,
    keep_last: Sequence[NDArray[np.integer]] = (),
    editable: bool = False,
    threads: int = 1,
) -> Factor:
    """Factor the Laplacian of a stencil, plus conductances to ground.

    Parameters
    ----------
    stencil : edges between cells; its own ground counts too.
    ground : (rows, columns) further conductance of each cell to ground, >= 0; ignored where there is no node.
    keep_last : groups of terminals, each an array (n, 2) of row and column, no cell twice; they are eliminated last,
        so that :meth:`Factor.schur` and :meth:`Factor.extend` serve all of them with one factorisation.
    editable : keep what :meth:`Factor.update` needs to be fast, about 30 % more memory.
    threads : how many parts of the raster are eliminated, and blocks of right-hand sides solved, side by side. The
        result does not depend on it, to the last bit.

    Notes
    -----
    Memory and work grow like n log n and n^1.5 with the number n of cells: about 66 float64 per cell at a million.
    """
    stencil = _grounded(stencil, ground)
    rows, columns = stencil.shape
    groups = [np.asarray(group, dtype=np.int64).reshape(-1, 2) for group in keep_last]
    kept = np.concatenate(groups) if groups else np.empty((0, 2), np.int64)
    tree = _cut(rows, columns, (kept[:, 0] + 1) * (columns + 2) + kept[:, 1] + 1)
    fronts = len(tree.left)
    nothing = np.zeros(fronts, np.int64)
    empty = _Structure(nothing, nothing, nothing, np.empty(0, np.int32))
    structure = _structure(tree, stencil, empty, np.arange(fronts))
    network = np.zeros((len(kept) + 1, len(kept) + 1))
    blank = Factor(stencil, threads, editable, tree, structure, nothing, nothing, (), network)
    return _numeric(blank, stencil, structure, np.ones(fronts, bool))


def _grounded(stencil: Stencil, ground: Floats | None) -> Stencil:
    """Add conductances to ground, (rows, columns), to those that a stencil has."""
    if ground is None:
        return stencil
    leak = np.pad(np.where(stencil.nodes & (ground > 0), ground, 0.0), 1)
    own = leak if stencil.ground is None else stencil.ground + leak
    return replace(stencil, ground=own, diagonal=stencil.diagonal + leak)


def _cut(rows: int, columns: int, terminals: Indices) -> _Tree:
    """Cut the raster; terminals, as indices of the padded raster, are left out and put into a last front."""
    numbers = np.full((rows + 2) * (columns + 2), -1, np.int32)
    numbers[terminals] = -2
    starts, cells, left, right = dissect(rows, columns, numbers, LEAF_CELLS)
    if terminals.size:
        cells[-terminals.size :] = terminals
        left, right = np.append(left, len(left) - 1), np.append(right, -1)
        starts = np.append(starts, cells.size)
    numbers[cells] = np.arange(cells.size)
    parent, descendant, depth = ancestry(left, right)
    return _Tree(starts, cells, numbers, left, right, parent, descendant, depth, terminals.size)


def _planes(stencil: Stencil) -> tuple[Floats, Floats, Floats, Floats, Floats, bool, int]:
    """Return the edges and ground as flat arrays, whether there is ground, and the length of a padded row."""
    edges = [np.ravel(edge) for edge in (stencil.east, stencil.south, stencil.southeast, stencil.southwest)]
    ground = edges[0] if stencil.ground is None else np.ravel(stencil.ground)
    return (*edges, ground, stencil.ground is not None, stencil.diagonal.shape[1])


def _changed_cells(old: Stencil, new: Stencil) -> Indices:
    """Return the cells, as indices of the padded raster, whose node, ground or edge to a later cell differs."""
    differs = np.pad(old.nodes != new.nodes, 1)
    for name in ("east", "south", "southeast", "southwest"):
        differs |= getattr(old, name) != getattr(new, name)
    nothing = np.zeros(1)
    differs |= (nothing if old.ground is None else old.ground) != (nothing if new.ground is None else new.ground)
    cells = np.flatnonzero(differs)
    stride = differs.shape[1]
    around = np.unique(np.add.outer([0, 1, stride - 1, stride, stride + 1], cells))
    return np.asarray(around[around < differs.size])


def _touched_fronts(tree: _Tree, numbers: Indices) -> NDArray[np.bool_]:
    """Return which fronts hold one of these cells as a pivot or are above one that does."""
    touched = np.zeros(len(tree.left), bool)
    touched[np.searchsorted(tree.starts, numbers[numbers >= 0], side="right") - 1] = True
    for f in np.flatnonzero(touched):
        above = tree.parent[f]
        while above >= 0 and not touched[above]:
            touched[above] = True
            above = tree.parent[above]
    return touched


def _structure(tree: _Tree, stencil: Stencil, old: _Structure, fronts: Indices) -> _Structure:
    """Find the cells of the given fronts (children before parents); the others stay as they are."""
    pivots, rims, offsets = old.pivots.copy(), old.rims.copy(), old.offsets.copy()
    nodes = np.pad(stencil.nodes, 1).ravel()
    shape = (tree.starts, tree.cells, tree.numbers, tree.left, tree.right)
    added = find_structure(
        fronts, *shape, nodes, *_planes(stencil), pivots, rims, offsets, old.indices, len(old.indices)
    )
    return _Structure(pivots, rims, offsets, added)


def _numeric(old: Factor, stencil: Stencil, structure: _Structure, touched: NDArray[np.bool_]) -> Factor:
    """Compute the touched fronts, and again those untouched ones whose boundary block is needed but was not kept."""
    tree = old._tree
    columns, kept = old._columns.copy(), old._kept.copy()
    again = needed_again(touched, tree.left, tree.right, structure.rims, kept)
    sizes = structure.pivots * (structure.pivots + structure.rims)
    columns[touched], factor = _allocate(sizes[touched])
    storing = touched & _worth_keeping(tree) if old.editable else np.zeros(len(touched), bool)
    kept[storing], blocks = _allocate((structure.rims * (structure.rims + 1) // 2)[storing])
    discard = np.empty(int(sizes[again].max(initial=0)))
    target = columns.copy()
    target[again] = discard.ctypes.data
    network = np.zeros_like(old._network)
    squares = np.zeros(len(touched), np.int64)

    def work(chosen: Indices) -> Floats:
        places, extent = plan_blocks(chosen, tree.left, tree.right, tree.depth, structure.rims)
        room = np.empty(extent)
        squares[chosen] = room.ctypes.data + 8 * places
        with ONE_BLAS_THREAD:
            factor_fronts(
                chosen, tree.starts, tree.cells, tree.numbers, tree.left, tree.right,
                structure.pivots, structure.rims, structure.offsets, structure.indices, *_planes(stencil),
                target, squares, kept, storing, tree.terminals, network,
            )  # fmt: skip
        return room

    chosen = touched | again
    rooms = []
    if old.threads > 1 and touched.all():
        tops = _subtrees(tree, 4 * old.threads)
        with ThreadPoolExecutor(old.threads) as pool:
            rooms = list(pool.map(lambda top: work(np.arange(int(tree.descendant[top]), top + 1)), tops))
        for top in tops:
            chosen[tree.descendant[top] : top + 1] = False
    rooms.append(work(np.flatnonzero(chosen)))  # rooms must live until the last front has read its children
    used = [m for m in old._memories if _points_into(columns, m) or _points_into(kept, m)]
    return replace(
        old,
        stencil=stencil,
        _structure=structure,
        _columns=columns,
        _kept=kept,
        _memories=(*used, factor, blocks),
        _network=network,
    )


def _allocate(sizes: Indices) -> tuple[Indices, Floats]:
    """Return the addresses of consecutive pieces of one new array of float64, and the array."""
    ends = np.cumsum(sizes)
    room = np.empty(int(ends[-1]) if len(ends) else 0)
    return room.ctypes.data + 8 * (ends - sizes), room


def _points_into(addresses: Indices, room: Floats) -> bool:
    begin = room.ctypes.data
    return bool(((addresses >= begin) & (addresses < begin + room.nbytes)).any())


def _worth_keeping(tree: _Tree) -> NDArray[np.bool_]:
    """Large parts, every second cut: what lies between is computed again from the kept blocks of its two halves."""
    cells = tree.starts[1:] - tree.starts[tree.descendant]
    return np.asarray((cells > STORED_CELLS) & (tree.depth % 2 == 1))


def _subtrees(tree: _Tree, count: int) -> list[int]:
    """Return the tops of about ``count`` disjoint subtrees, found by cutting the largest again and again."""
    cells = tree.starts[1:] - tree.starts[tree.descendant]
    tops = [len(tree.left) - 1]
    while len(tops) < count:
        largest = max(tops, key=lambda f: cells[f])
        if cells[largest] < STORED_CELLS:
            break
        tops.remove(largest)
        tops += [int(child) for child in (tree.left[largest], tree.right[largest]) if child >= 0]
    return sorted(tops, key=lambda f: -cells[f])
