"""Random walks on a raster: what steps are likely, what they cost, and sums over all paths that end at given cells.

A walk steps from cell i to a neighbour j with probability a_ij / d_i, a_ij = a_ji being the affinity of the step and
d_i the sum of the affinities at i. Paths are weighted by exp(-theta x cost). Sums of weights solve systems of the
M-matrix D - K, K = A exp(-theta C) elementwise: symmetric, nine entries a row, with positive solutions that fall off
exponentially with cost. An iterative solver with a small residual would leave nothing of the small ones; elimination
without subtraction gives every one of them to a few units of rounding. Where they leave the range of float64, the
same system is solved in logarithms, cell by cell in the order of least cost.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from linkways.corridors._landscape import Landscape
from linkways.kernels.laplacian import Stencil, StepLengths, ground_cells, raster_stencil
from linkways.kernels.nested_dissection import Factor, factorise
from linkways.spatial import note

if TYPE_CHECKING:
    import xarray as xr

    from linkways.spatial import CellGeometry

__all__ = [
    "EndedWalk", "Flows", "NotConverged", "OutOfRange", "WalkGraph", "edges_of", "flows", "gather", "threads",
    "walk_graph", "walking_landscape",
]  # fmt: skip

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SMALLEST_LOG_WEIGHT = -1075.0
"""The direct solver starts near the top of what float64 can hold, at exp(500), and is trusted down to exp(-575)."""

LIFT, STRENGTH = 500.0, 150.0
"""Solutions start at exp(LIFT); conductances are scaled by exp(STRENGTH), so that those of long ways do not vanish."""
SWEEPS = 3000
PRECISION = 1e-11


class OutOfRange(Exception):
    """The direct solver left the range of float64."""


class NotConverged(Exception):
    """The sweeps in logarithms did not settle."""


@dataclass(frozen=True)
class WalkGraph:
    """The steps of a walk: affinities, scaled so that the largest is 1, and costs of the same four edges.

    ``costs`` is (4, cells of the padded raster): east, south, southeast, southwest, as in the stencil.
    """

    affinity: Stencil
    costs: Floats

    @property
    def stride(self) -> int:
        """Cells in a row of the padded raster."""
        return int(self.affinity.diagonal.shape[1])


def walking_landscape(resistance: xr.DataArray, neighbours: int) -> Landscape:
    """The raster with its step lengths; walks do not cross the seam of a global grid."""
    landscape = Landscape.of(resistance, neighbours)
    if landscape.cells.wraps:
        note("the raster spans the globe: walks do not cross from its last column to its first")
        landscape = replace(landscape, cells=replace(landscape.cells, wraps=False))
    return landscape


def walk_graph(
    resistance: Floats, cells: CellGeometry, *, average: Literal["resistance", "conductance"], neighbours: Literal[4, 8]
) -> WalkGraph:
    """The walk on a resistance raster; a step costs its length in metres x the mean of the two resistances."""
    steps = StepLengths(cells.east_west_m, cells.north_south_m, cells.diagonal_m)
    likely = raster_stencil(resistance, average=average, neighbours=neighbours, steps=steps)
    # the conductance of the mean resistance over a length is one over the cost of the step
    same = average == "resistance"
    dear = likely if same else raster_stencil(resistance, average="resistance", neighbours=neighbours, steps=steps)
    inverse = edges_of(dear)
    costs = np.divide(1.0, inverse, out=np.zeros_like(inverse), where=inverse > 0)
    largest = max(float(edges_of(likely).max(initial=0.0)), np.finfo(float).tiny)
    scaled = (a / largest for a in (likely.east, likely.south, likely.southeast, likely.southwest, likely.diagonal))
    east, south, southeast, southwest, diagonal = scaled
    return WalkGraph(replace(likely, east=east, south=south, southeast=southeast, southwest=southwest,
                             diagonal=diagonal), costs)  # fmt: skip


def edges_of(stencil: Stencil) -> Floats:
    """The four edge arrays of a stencil, (4, cells of the padded raster)."""
    return np.stack([e.ravel() for e in (stencil.east, stencil.south, stencil.southeast, stencil.southwest)])


def gather(edges: Floats, values: Floats) -> Floats:
    """Sum over neighbours, edge x value, at each cell; ``values`` and the result are padded (rows + 2, columns + 2)."""
    out = np.zeros(values.size)
    _gather(edges, np.ascontiguousarray(values).ravel(), values.shape[1], out)
    return out.reshape(values.shape)


def threads() -> int:
    """How many fronts the direct solver works on at once."""
    return min(os.cpu_count() or 1, 8)


# --- paths that end at given cells -----------------------------------------------------------------------------


@dataclass(frozen=True)
class EndedWalk:
    """Walks weighted by exp(-theta x cost) that stop when they first enter an end cell.

    Systems (D - K) x = b over the cells that are no ends; b and x in logarithms, on the padded raster, -inf for 0.
    """

    graph: WalkGraph
    theta: float
    ends: Bools
    """(rows, columns), the cells where walks stop."""

    @cached_property
    def log_weights(self) -> Floats:
        """Logarithm of K, (4, cells of the padded raster)."""
        return _log(edges_of(self.graph.affinity)) - self.theta * self.graph.costs

    def factor(self, earlier: Factor | None = None, *, editable: bool = False) -> Factor:
        """The direct solver; made from that of other ends where there is one."""
        graph = self.graph.affinity
        affinities = edges_of(graph)
        exponent = -self.theta * self.graph.costs
        scale = np.exp(STRENGTH)
        kept = [edge.reshape(graph.diagonal.shape) for edge in affinities * np.exp(exponent + STRENGTH)]
        # what a step's cost takes from its affinity leaves as conductance to ground: no difference of near equals
        lost = gather(-scale * affinities * np.expm1(exponent), np.ones(graph.diagonal.shape))
        lost[1:-1, 1:-1][~graph.nodes] = 0.0
        east, south, southeast, southwest = kept
        whole = replace(
            graph,
            east=east,
            south=south,
            southeast=southeast,
            southwest=southwest,
            diagonal=graph.diagonal * scale,
            ground=lost,
        )
        stencil = ground_cells(whole, self.ends)
        if earlier is not None:
            return earlier.update(stencil)
        return factorise(stencil, editable=editable, threads=threads())

    def arrivals(self) -> Floats:
        """Right-hand side of the weights of all paths to the ends: what steps into them."""
        at_ends = np.where(np.pad(self.ends, 1), 0.0, -np.inf)
        return self._inside(_log_gather_on(self.log_weights, at_ends))

    def costs(self, log_paths: Floats) -> Floats:
        """Right-hand side of the cost-weighted sums over paths, given the sums of weights (0 in logarithm at ends)."""
        return self._inside(_log_gather_on(self.log_weights + _log(self.graph.costs), log_paths))

    def starts(self, mass: Floats, log_paths: Floats) -> Floats:
        """Right-hand side of the visits: mass (rows, columns) that sets out, each on one of its own paths."""
        log_mass = np.pad(_log(mass), 1, constant_values=-np.inf)
        some = log_mass > -np.inf
        return np.where(some, log_mass - np.where(some, log_paths, 0.0), -np.inf)

    def with_ends(self, log_x: Floats) -> Floats:
        """The solution with weight 1 at the ends: a path that is there has ended."""
        return np.where(np.pad(self.ends, 1), 0.0, log_x)

    def solve(self, log_b: Floats, factor: Factor) -> Floats:
        """Solve directly. Raises OutOfRange where an entry that float64 can hold was made from one that it cannot."""
        shift = float(log_b.max()) - LIFT
        x = factor.solve(np.exp(log_b[1:-1, 1:-1] - shift + STRENGTH)[None])[0]
        log_x = np.pad(_log(x) + shift, 1, constant_values=-np.inf)
        if not self._holds(log_x, log_b, shift + LIFT + SMALLEST_LOG_WEIGHT):
            raise OutOfRange
        return log_x

    def _holds(self, log_x: Floats, log_b: Floats, floor: float) -> bool:
        """Whether D x = K x + b to a relative 1e-6 in each entry that is above the floor on either side."""
        right = np.logaddexp(_log_gather_on(self.log_weights, log_x), log_b)
        left = _log(self.graph.affinity.diagonal) + log_x
        counts = (np.maximum(left, right) > floor) & (self._inside(np.zeros_like(log_x)) == 0.0)
        with np.errstate(invalid="ignore"):
            return bool((np.abs(left - right)[counts] < 1e-6).all())

    def sweep(self, log_b: Floats, least_cost: Floats) -> Floats:
        """Solve in logarithms, visiting cells by ``least_cost`` (rows, columns) from where the solution is large.

        Gauss-Seidel: one sweep sums all paths that never turn back, each further one those with one more turn. Raises
        NotConverged after ``SWEEPS``.
        """
        stride = self.graph.stride
        rows, columns = least_cost.shape
        flat = np.argsort(least_cost, axis=None, kind="stable")
        flat = flat[np.isfinite(least_cost.ravel()[flat]) & ~self.ends.ravel()[flat]]
        order = ((flat // columns + 1) * stride + flat % columns + 1).astype(np.int32)
        place = np.full(log_b.size, len(order), np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        log_d = _log(self.graph.affinity.diagonal).ravel()
        log_b = np.ascontiguousarray(log_b).ravel()
        where, weight = np.empty((len(order), 8), np.int32), np.empty((len(order), 8))
        _by_order(self.log_weights, order, place, stride, where, weight)
        source = log_b[order] - log_d[order]
        weight -= log_d[order][:, None]
        out = np.full(log_b.size, -np.inf)
        out[order] = _settle(where, weight, source)
        return out.reshape(rows + 2, columns + 2)

    def _inside(self, log_values: Floats) -> Floats:
        outside = np.pad(self.ends, 1) | ~np.pad(self.graph.affinity.nodes, 1)
        return np.where(outside, -np.inf, log_values)


@dataclass(frozen=True)
class Flows:
    """Visits of each cell, and the net flow through it; (rows, columns)."""

    passages: Floats
    net_passages: Floats


def flows(walk: EndedWalk, log_paths: Floats, log_visits: Floats) -> Flows:
    """Expected visits from the sums over paths to the ends (1 there) and from the starts (0 at the ends).

    Step i to j is taken K_ij y_i z_j times. The net flow through a cell is the larger of what enters and what leaves.
    """
    shape = log_paths.shape
    passages, net = np.zeros(shape), np.zeros(shape)
    _flows(
        walk.log_weights, np.ascontiguousarray(log_visits).ravel(), np.ascontiguousarray(log_paths).ravel(),
        _log(walk.graph.affinity.diagonal).ravel(), np.pad(walk.ends, 1).ravel(), shape[1], passages.ravel(),
        net.ravel(),
    )  # fmt: skip
    return Flows(passages[1:-1, 1:-1], net[1:-1, 1:-1])


def _log(values: Floats) -> Floats:
    return np.log(values, out=np.full(values.shape, -np.inf), where=values > 0)


def _log_gather_on(log_edges: Floats, log_values: Floats) -> Floats:
    out = np.full(log_values.size, -np.inf)
    _log_gather(log_edges, np.ascontiguousarray(log_values).ravel(), log_values.shape[1], out)
    return out.reshape(log_values.shape)


def _settle(where: NDArray[np.int32], weight: Floats, source: Floats) -> Floats:
    """Solve x_k = b_k + sum of weight x at the eight places, all in logarithms; place n is a cell without weight."""
    count = len(source)
    log_x = np.full(count + 1, -np.inf)
    for _ in range(3):
        _log_sweep(where, weight, source, log_x)
    left = SWEEPS
    before = np.inf
    while left > 0:
        # between two scalings the sweeps are plain sums around 1: no exponentials
        share, scaled_source, x = np.empty_like(weight), np.empty(count), np.ones(count + 1)
        x[count] = 0.0
        _scale(where, weight, source, log_x, share, scaled_source)
        settled = False
        for _ in range(min(left, 50)):
            change = _sweep(where, share, scaled_source, x)
            left -= 1
            ratio = min(change / before, 1.0 - 1e-6) if 0 < before < np.inf else 0.5
            before = change
            settled = change * max(1.0, ratio / (1.0 - ratio)) < PRECISION
            if settled or x.max() > 1e200:
                break
        log_x[:count] += np.log(x[:count])
        if settled:
            return log_x[:count]
    raise NotConverged


# --- kernels: flat padded arrays; edges (4, cells) lead east, south, southeast, southwest ------------------------


@njit(cache=True, nogil=True, error_model="numpy")
def _gather(edges, values, stride, out):  # type: ignore[no-untyped-def]
    for plane in range(4):
        step = 1 if plane == 0 else stride + plane - 1 if plane < 3 else stride - 1
        for i in range(out.size - step):
            if edges[plane, i] > 0.0:
                out[i] += edges[plane, i] * values[i + step]
                out[i + step] += edges[plane, i] * values[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _step(direction, i, stride):  # type: ignore[no-untyped-def]
    """Neighbour of a cell in one of eight directions, and the plane and place of the edge to it."""
    plane = direction // 2
    step = 1 if plane == 0 else stride + plane - 1 if plane < 3 else stride - 1
    if direction % 2 == 0:
        return i + step, plane, i
    return i - step, plane, i - step


@njit(cache=True, nogil=True, error_model="numpy")
def _log_gather(log_edges, log_values, stride, out):  # type: ignore[no-untyped-def]
    for i in range(stride + 1, out.size - stride - 1):
        top = -np.inf
        for direction in range(8):
            j, plane, e = _step(direction, i, stride)
            top = max(top, log_edges[plane, e] + log_values[j])
        if top == -np.inf:
            continue
        total = 0.0
        for direction in range(8):
            j, plane, e = _step(direction, i, stride)
            total += np.exp(log_edges[plane, e] + log_values[j] - top)
        out[i] = top + np.log(total)


@njit(cache=True, nogil=True, error_model="numpy")
def _by_order(log_edges, order, place, stride, where, weight):  # type: ignore[no-untyped-def]
    """Neighbours of each cell and the logarithms of the edges to them, by their places in the order."""
    count = order.size
    for k in range(count):
        for direction in range(8):
            j, plane, e = _step(direction, order[k], stride)
            where[k, direction] = place[j]
            weight[k, direction] = log_edges[plane, e] if place[j] < count else -np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def _log_sweep(where, weight, source, log_x):  # type: ignore[no-untyped-def]
    for k in range(source.size):
        top = source[k]
        for n in range(8):
            top = max(top, weight[k, n] + log_x[where[k, n]])
        if top == -np.inf:
            continue
        total = np.exp(source[k] - top)
        for n in range(8):
            total += np.exp(weight[k, n] + log_x[where[k, n]] - top)
        log_x[k] = top + np.log(total)


@njit(cache=True, nogil=True, error_model="numpy")
def _scale(where, weight, source, log_x, share, scaled_source):  # type: ignore[no-untyped-def]
    for k in range(source.size):
        here = log_x[k]
        known = here > -np.inf
        scaled_source[k] = np.exp(source[k] - here) if known else 0.0
        for n in range(8):
            share[k, n] = np.exp(weight[k, n] + log_x[where[k, n]] - here) if known else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _sweep(where, share, source, x):  # type: ignore[no-untyped-def]
    """One Gauss-Seidel sweep; returns the largest relative change."""
    change = 0.0
    for k in range(source.size):
        total = source[k]
        for n in range(8):
            total += share[k, n] * x[where[k, n]]
        if total > 0.0:
            change = max(change, abs(total - x[k]) / total)
            x[k] = total
    return change


@njit(cache=True, nogil=True, error_model="numpy")
def _flows(log_edges, log_y, log_z, log_d, ends, stride, passages, net):  # type: ignore[no-untyped-def]
    for i in range(stride + 1, log_z.size - stride - 1):
        if log_d[i] == -np.inf or log_z[i] == -np.inf:
            continue
        balance, size, entered = 0.0, 0.0, 0.0
        for direction in range(8):
            j, plane, e = _step(direction, i, stride)
            if log_edges[plane, e] == -np.inf:
                continue
            leaves = np.exp(log_edges[plane, e] + log_y[i] + log_z[j])
            enters = np.exp(log_edges[plane, e] + log_y[j] + log_z[i])
            balance += leaves - enters
            size += abs(leaves - enters)
            entered += enters
        passages[i] = entered if ends[i] else np.exp(log_d[i] + log_y[i] + log_z[i])
        net[i] = 0.5 * (size + abs(balance))
