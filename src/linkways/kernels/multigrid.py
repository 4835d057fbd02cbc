"""Black-box multigrid preconditioned conjugate gradients for raster Laplacians with nine-point stencils.

The hierarchy is built once per raster from the singular Laplacian (or a definite one, where cells have a conductance
to ground) and serves every source and every ground. Coarse grids take every second row and column. Interpolation is
operator-induced (Dendy 1982: weights from the stencil collapsed across the line, rows normalised to 1); coarse
operators are the exact Galerkin products, accumulated edge by edge from squared differences so that constants stay
in the null space; smoothing is four-colour Gauss-Seidel, forward before and colour-reversed after the coarse
correction, which keeps the cycle a symmetric preconditioner; the coarsest grid is solved densely.

The cycle runs in float32 inside float64 conjugate gradients, so that only the speed and never the accuracy of a
solution depends on it. Its vectors are stored by colour (even/odd row, even/odd column): every neighbour is then at
unit stride, and the even-even plane is the coarse grid.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.linalg import eigh

from linkways.kernels._dense_blas import ONE_BLAS_THREAD
from linkways.kernels.laplacian import Stencil, components

__all__ = ["Hierarchy", "Solution", "Sources", "build_hierarchy", "focal_voltages", "solve"]

Floats = NDArray[np.float64]

COARSEST_CELLS = 64
DIRECT_CELLS = 4_000_000  # nested dissection takes about 0.7 GB per million cells
REFINEMENTS = 2  # of direct solutions, by their true residual
W_CYCLE_CELLS = 300_000  # from here on a W-cycle saves more iterations than it costs
STALL_ITERATIONS, STALL_SHARE = 12, 0.3
PLANES = 24  # per pair of rows and columns: 16 edges, 4 inverse diagonals, 4 interpolation weights


@dataclass(frozen=True)
class Sources:
    """Sparse right-hand sides: ``amount[n]`` amperes enter problem ``problem[n]`` at (``row[n]``, ``column[n]``)."""

    problem: NDArray[np.intp]
    row: NDArray[np.intp]
    column: NDArray[np.intp]
    amount: Floats
    problems: int


@dataclass(frozen=True)
class Solution:
    """Voltages of k problems and how good they are.

    ``voltages`` (k, rows, columns), 0 where there is no node; each component's voltages are known up to a constant
    unless it has a conductance to ground. ``residuals`` are the true ||b - L v|| / ||b||; ``converged`` says which
    reached the tolerance, or as far as float64 voltages can; ``iterations`` counts those of conjugate gradients, and is
    0 for a direct solve.
    """

    voltages: Floats
    residuals: Floats
    iterations: NDArray[np.intp]
    converged: NDArray[np.bool_]


@dataclass(frozen=True)
class Hierarchy:
    """The multigrid hierarchy of one stencil. Build it with :func:`build_hierarchy`."""

    stencil: Stencil
    sizes: NDArray[np.intp]  # (levels, 2): rows and columns of the colour planes
    offsets: NDArray[np.intp]  # (levels + 1,): planes' cells before each level
    planes: NDArray[np.float32]
    coarsest: NDArray[np.float32]

    @property
    def coarsest_grid(self) -> tuple[int, int]:
        """Rows and columns of the grid that is solved densely."""
        rows, columns = self.stencil.shape
        for _ in range(len(self.sizes) - 1):
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        return rows, columns

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """Connected components, 1, 2, ...; 0 where there is no node."""
        return components(self.stencil.nodes, self.stencil.neighbours)


def build_hierarchy(stencil: Stencil) -> Hierarchy:
    """Return the multigrid hierarchy of a stencil: 32 bytes per cell, once for all sources."""
    rows, columns = stencil.shape
    grids = [(rows, columns)]
    while grids[-1][0] * grids[-1][1] > COARSEST_CELLS:
        grids.append(((grids[-1][0] + 1) // 2, (grids[-1][1] + 1) // 2))
    sizes = np.array([((n + 1) // 2, (m + 1) // 2) for n, m in grids], dtype=np.intp)
    offsets = np.concatenate([[0], np.cumsum((sizes[:, 0] + 2) * (sizes[:, 1] + 2))]).astype(np.intp)
    planes = np.zeros(offsets[-2] * PLANES, dtype=np.float32)
    grounded = stencil.ground is not None
    nothing = np.zeros((1, 1))
    edges = (stencil.east, stencil.south, stencil.southeast, stencil.southwest, stencil.diagonal)
    ground = stencil.ground if stencil.ground is not None else nothing
    for level in range(len(grids) - 1):
        h, w = sizes[level]
        shape = (h + 2, w + 2)
        active = np.zeros(shape, dtype=np.bool_)
        wx, wy, wc = np.zeros((*shape, 2)), np.zeros((*shape, 2)), np.zeros((*shape, 4))
        _interpolate(*edges, active, wx, wy, wc)
        here = planes[offsets[level] * PLANES : offsets[level + 1] * PLANES].reshape(h + 2, PLANES, w + 2)
        _pack(*edges, wx, wy, here)
        coarse = np.zeros((5, *shape))
        leak = np.zeros(shape) if grounded else nothing
        energy = np.zeros(shape)
        _galerkin(*edges, ground, grounded, active, wx, wy, wc, coarse, leak, energy)
        _drop(coarse, leak, grounded, energy)
        edges = (coarse[0], coarse[1], coarse[2], coarse[3], coarse[4])
        ground = leak
    return Hierarchy(stencil, sizes, offsets, planes, _dense_inverse(edges))


def _dense_inverse(edges: tuple[Floats, ...]) -> NDArray[np.float32]:
    """Return the symmetric generalised inverse of the coarsest operator, scaled to unit diagonal before its cut."""
    east, south, southeast, southwest, diagonal = edges
    n, m = diagonal.shape
    cells = np.arange(n * m).reshape(n, m)
    matrix = np.zeros((n * m, n * m))
    for edge, down, right in ((east, 0, 1), (south, 1, 0), (southeast, 1, 1), (southwest, 1, -1)):
        i, j = np.nonzero(edge)
        a, b = cells[i, j], cells[i + down, j + right]
        matrix[a, b] = matrix[b, a] = -edge[i, j]
    matrix[cells.ravel(), cells.ravel()] = diagonal.ravel()
    inner = cells[1:-1, 1:-1].ravel()
    matrix = matrix[np.ix_(inner, inner)]
    scale = np.zeros(inner.size)
    np.divide(1.0, np.sqrt(np.maximum(diagonal.ravel()[inner], 0.0)), out=scale, where=diagonal.ravel()[inner] > 0)
    with ONE_BLAS_THREAD:  # more would wait for each other longer than so small a matrix takes
        values, vectors = eigh(scale[:, None] * matrix * scale, driver="evd", overwrite_a=True, check_finite=False)
    kept = values > 1e-12
    half = scale[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    return np.ascontiguousarray(half @ half.T, dtype=np.float32)


def solve(
    hierarchy: Hierarchy,
    rhs: Floats | Sources,
    *,
    tolerance: float = 1e-8,
    limit: int = 300,
    block: int = 4,
    threads: int = 1,
) -> Solution:
    """Return the voltages L v = b of k right-hand sides.

    Conjugate gradients preconditioned by one multigrid cycle (V(1,1); W(1,1) from 300 000 cells on), ``block`` problems
    at a time, ``threads`` blocks at once.
    Problems not at the tolerance after ``limit`` iterations are solved by nested dissection where the part of the
    raster that holds the components they feed has at most 4 million cells. What then is above the tolerance, too, is
    reported as not converged, with its residual.

    Parameters
    ----------
    rhs : amperes into each cell, (k, rows, columns) float64 or :class:`Sources`. They sum to 0 on every component
        without a conductance to ground.
    tolerance : largest ||b - L v|| / ||b||.

    Raises
    ------
    ValueError
        Where a component without ground receives a net current, or a cell that is no node receives any.
    """
    many = rhs.problems if isinstance(rhs, Sources) else len(rhs)
    _check_balance(hierarchy, rhs)
    solution = Solution(
        np.zeros((many, *hierarchy.stencil.shape)),
        np.zeros(many),
        np.zeros(many, dtype=np.intp),
        np.ones(many, dtype=np.bool_),
    )
    starts = range(0, many, block)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        jobs = [
            pool.submit(_solve_block, hierarchy, rhs, slice(a, min(a + block, many)), tolerance, limit, solution)
            for a in starts
        ]
        for job in jobs:
            job.result()
    failed = np.flatnonzero(~solution.converged)
    if failed.size:
        _solve_directly(hierarchy, rhs, failed, tolerance, threads, solution)
    return solution


def _check_balance(hierarchy: Hierarchy, rhs: Floats | Sources) -> None:
    """Refuse right-hand sides that have no solution."""
    labels = hierarchy.labels
    count = int(labels.max(initial=0)) + 1
    floating = np.ones(count, dtype=bool)
    if hierarchy.stencil.ground is not None:
        floating[labels[hierarchy.stencil.ground[1:-1, 1:-1] > 0]] = False
    if isinstance(rhs, Sources):
        at = labels[rhs.row, rhs.column]
        places = rhs.problem * count + at
        size = rhs.problems * count
        net = np.bincount(places, rhs.amount, size).reshape(-1, count)
        gross = np.bincount(places, np.abs(rhs.amount), size).reshape(-1, count)
    else:
        flat = labels.ravel()
        net = np.array([np.bincount(flat, b.ravel(), count) for b in rhs]).reshape(-1, count)
        gross = np.array([np.bincount(flat, np.abs(b).ravel(), count) for b in rhs]).reshape(-1, count)
    if gross[:, 0].any():
        raise ValueError(f"problem {int(np.flatnonzero(gross[:, 0])[0])} feeds current into a cell without node")
    wrong = floating & (np.abs(net) > 1e-9 * gross)
    if wrong.any():
        problem, component = (int(n) for n in np.argwhere(wrong)[0])
        raise ValueError(
            f"the sources of problem {problem} sum to {net[problem, component]:.6g} A on component {component}, "
            "which has no ground; they must sum to 0 there"
        )


def _load(rhs: Floats | Sources, chosen: slice, target: Floats) -> None:
    """Write the chosen right-hand sides into ``target`` (rows + 2, k, columns + 2)."""
    target[:] = 0.0
    if isinstance(rhs, Sources):
        mine = (rhs.problem >= chosen.start) & (rhs.problem < chosen.stop)
        place = (rhs.row[mine] + 1, rhs.problem[mine] - chosen.start, rhs.column[mine] + 1)
        np.add.at(target, place, rhs.amount[mine])
    else:
        target[1:-1, :, 1:-1] = rhs[chosen].transpose(1, 0, 2)


def _solve_block(
    hierarchy: Hierarchy, rhs: Floats | Sources, chosen: slice, tolerance: float, limit: int, solution: Solution
) -> None:
    """Solve one block of problems into ``solution``, restarting from the true residual where rounding hid it."""
    many = chosen.stop - chosen.start
    rows, columns = hierarchy.stencil.shape
    r = np.empty((rows + 2, many, columns + 2))
    x = np.zeros_like(r)
    _load(rhs, chosen, r)
    norm = np.sqrt(np.einsum("ikj,ikj->k", r, r))
    total = np.zeros(many, dtype=np.intp)
    residual, accepted = norm, norm == 0
    for _ in range(3):
        if total.max() >= limit:
            break
        total += _conjugate_gradients(hierarchy, r, x, 0.9 * tolerance * norm, limit - int(total.max()))
        _load(rhs, chosen, r)
        _subtract_product(*_operator(hierarchy.stencil), x, r)
        residual = np.sqrt(np.einsum("ikj,ikj->k", r, r))
        accepted = _accepted(hierarchy.stencil, x, residual, tolerance * norm)
        if accepted.all():
            break
    solution.voltages[chosen] = x[1:-1, :, 1:-1].transpose(1, 0, 2)
    solution.residuals[chosen] = np.divide(residual, norm, out=np.zeros(many), where=norm > 0)
    solution.iterations[chosen] = total
    solution.converged[chosen] = accepted


def _conjugate_gradients(hierarchy: Hierarchy, r: Floats, x: Floats, goal: Floats, limit: int) -> NDArray[np.intp]:
    """Reduce r = b - L x until ||r|| <= goal, changing x and r; returns the iterations of each problem.

    Large rasters get a W-cycle, which falls back to the V-cycle where it makes no progress.
    """
    many = r.shape[1]
    operator = _operator(hierarchy.stencil)
    levels = int(hierarchy.offsets[-1]) * 4 * many
    cycle_r, cycle_x = (np.zeros(levels, dtype=hierarchy.planes.dtype) for _ in range(2))
    visits = 2 if hierarchy.stencil.nodes.size >= W_CYCLE_CELLS else 1
    kept = np.zeros(levels if visits > 1 else 0, dtype=hierarchy.planes.dtype)
    fine = (hierarchy.sizes[0, 0] + 2, 4, many, hierarchy.sizes[0, 1] + 2)
    residual, z = (flat[: hierarchy.offsets[1] * 4 * many].reshape(fine) for flat in (cycle_r, cycle_x))
    preconditioner = (
        hierarchy.sizes, hierarchy.offsets, hierarchy.planes, hierarchy.coarsest, *hierarchy.coarsest_grid
    )  # fmt: skip
    p, q = np.zeros_like(r), np.zeros_like(r)
    product, energy, beta = np.zeros(many), np.zeros(many), np.zeros(many)
    start = np.sqrt(np.einsum("ikj,ikj->k", r, r))
    norm = start.copy()
    iterations = np.zeros(many, dtype=np.intp)
    for count in range(limit):
        running = norm > goal
        if not running.any():
            break
        if visits > 1 and count == STALL_ITERATIONS and (norm > STALL_SHARE * start)[running].any():
            visits = 1
            product[:] = beta[:] = 0.0  # another preconditioner needs a new first direction
        iterations[running] += 1
        scale = np.divide(1.0, norm, out=np.ones(many), where=norm > 0)
        before = product.copy()
        _load_residual(r, scale, residual)
        _cycle(*preconditioner, many, visits, cycle_r, cycle_x, kept)
        _inner_product(r, z, scale, product)
        np.divide(product, before, out=beta, where=before > 0)
        _direction(*operator, z, 1.0 / scale, beta, p, q, energy)
        alpha = np.divide(product, energy, out=np.zeros(many), where=running & (energy > 0))
        _step(alpha, p, q, x, r, norm)
    return iterations


def _operator(stencil: Stencil) -> tuple[Floats, Floats, Floats, Floats, Floats, bool]:
    """The kernels' view of a stencil: its edges, its ground, and whether there is any."""
    ground = np.zeros((1, 1)) if stencil.ground is None else stencil.ground
    return stencil.east, stencil.south, stencil.southeast, stencil.southwest, ground, stencil.ground is not None


def _accepted(stencil: Stencil, x: Floats, residual: Floats, goal: Floats) -> NDArray[np.bool_]:
    """Which residuals reach the goal, or are what rounding the voltages to float64 leaves, 2 eps || |L| |x| ||."""
    accepted = residual <= goal
    for k in np.flatnonzero(~accepted):
        size = 4.0 * stencil.diagonal * x[:, k]
        accepted[k] = residual[k] <= np.finfo(np.float64).eps * np.sqrt(np.einsum("ij,ij->", size, size))
    return np.asarray(accepted)


def _solve_directly(
    hierarchy: Hierarchy,
    rhs: Floats | Sources,
    failed: NDArray[np.intp],
    tolerance: float,
    threads: int,
    solution: Solution,
) -> None:
    """Replace unconverged voltages by those of nested dissection, where the part they feed is small enough."""
    rows, columns = hierarchy.stencil.shape
    sources = np.empty((rows + 2, len(failed), columns + 2))
    for n, problem in enumerate(failed):
        _load(rhs, slice(problem, problem + 1), sources[:, n : n + 1])
    labels = np.pad(hierarchy.labels, 1)
    fed = np.isin(labels, np.unique(labels[np.any(sources != 0, axis=1)]))
    part = _frame(fed)
    if fed[part].size > DIRECT_CELLS:
        return
    stencil = _clipped(hierarchy.stencil, fed, part)
    amperes = np.ascontiguousarray(sources[part[0], :, part[1]])
    x = _direct(stencil, np.where(fed, labels, 0)[part], amperes, max(1, threads))
    norm = np.sqrt(np.einsum("ikj,ikj->k", amperes, amperes))
    _subtract_product(*_operator(stencil), x, amperes)
    residual = np.sqrt(np.einsum("ikj,ikj->k", amperes, amperes))
    accepted = _accepted(stencil, x, residual, tolerance * norm)
    better = accepted | (residual < solution.residuals[failed] * norm)
    for k in np.flatnonzero(better):
        voltages = np.zeros((rows + 2, columns + 2))
        voltages[part] = x[:, k]
        solution.voltages[failed[k]] = voltages[1:-1, 1:-1]
    chosen = failed[better]
    solution.residuals[chosen] = (residual / norm)[better]
    solution.iterations[chosen] = 0
    solution.converged[chosen] = accepted[better]


def _frame(cells: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest rectangle of a padded raster around some cells, with its own ghost ring."""
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    return slice(int(rows[0]) - 1, int(rows[-1]) + 2), slice(int(columns[0]) - 1, int(columns[-1]) + 2)


def _clipped(stencil: Stencil, kept: NDArray[np.bool_], part: tuple[slice, slice]) -> Stencil:
    """The stencil of whole components alone, ``kept`` on the padded raster, in the rectangle around them."""
    names = ("east", "south", "southeast", "southwest", "diagonal")
    # an edge belongs to its first cell, whose component holds the other one too
    planes = {name: np.where(kept, getattr(stencil, name), 0.0)[part] for name in names}
    ground = None if stencil.ground is None else np.where(kept, stencil.ground, 0.0)[part]
    return replace(stencil, **planes, nodes=kept[part][1:-1, 1:-1], ground=ground)  # type: ignore[arg-type]


def _direct(stencil: Stencil, labels: NDArray[np.int32], amperes: Floats, threads: int) -> Floats:
    """Voltages (rows + 2, k, columns + 2) of amperes of the same shape, by nested dissection with refinement.

    Voltages of a component without ground sum to 0, which leaves the least to rounding.
    """
    from linkways.kernels.nested_dissection import factorise

    factor = factorise(stencil, threads=threads)
    count = np.bincount(labels.ravel())
    floating = count > 0
    floating[0] = False
    if stencil.ground is not None:
        floating[labels[stencil.ground > 0]] = False
    x, residual = np.zeros_like(amperes), amperes.copy()
    for step in range(REFINEMENTS + 1):
        if step:
            residual[:] = amperes
            _subtract_product(*_operator(stencil), x, residual)
        inner = np.ascontiguousarray(residual[1:-1, :, 1:-1].transpose(1, 0, 2))
        x[1:-1, :, 1:-1] += factor.solve(inner).transpose(1, 0, 2)
        for k in range(x.shape[1]):
            total = np.bincount(labels.ravel(), x[:, k].ravel())
            mean = np.divide(total, count, out=np.zeros(len(count)), where=floating)
            x[:, k] -= mean[labels]
    return x


def focal_voltages(
    hierarchy: Hierarchy,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    *,
    tolerance: float = 1e-8,
    threads: int = 1,
    block: int = 4,
) -> Solution:
    """Return, for n focal cells, the voltages of 1 A from each to the last focal cell of its component.

    That cell has voltage 0 in all of them, its own are 0 throughout, so that x_s - x_t is the voltage of 1 A from s to
    t for any pair in one component: n - 1 solves serve all pairs. A definite stencil (with ground) takes n solves of
    1 A from each focal cell to ground, without a reference.
    """
    count = len(rows)
    label = hierarchy.labels[rows, columns]
    free = hierarchy.stencil.ground is not None
    reference = np.array([int(np.flatnonzero(label == a)[-1]) for a in label], dtype=np.intp)
    same = (rows == rows[reference]) & (columns == columns[reference])
    solved = np.arange(count) if free else np.flatnonzero(~same)
    order = np.arange(len(solved))
    if free:
        problem, cell, amount = order, solved, np.ones(len(solved))
    else:
        problem = np.concatenate([order, order])
        cell = np.concatenate([solved, reference[solved]])
        amount = np.repeat([1.0, -1.0], len(solved))
    sources = Sources(problem, rows[cell], columns[cell], amount, len(solved))
    part = solve(hierarchy, sources, tolerance=tolerance, threads=threads, block=block)
    if not free:
        many = int(hierarchy.labels.max()) > 1
        for n, s in enumerate(solved):
            voltage = part.voltages[n]
            shift = voltage[rows[reference[s]], columns[reference[s]]]
            np.subtract(
                voltage, shift, out=voltage, where=hierarchy.labels == label[s] if many else hierarchy.stencil.nodes
            )
    if len(solved) == count:
        return part
    voltages = np.zeros((count, *hierarchy.stencil.shape))
    voltages[solved] = part.voltages
    residuals, iterations = np.zeros(count), np.zeros(count, dtype=np.intp)
    residuals[solved], iterations[solved] = part.residuals, part.iterations
    converged = np.ones(count, dtype=np.bool_)
    converged[solved] = part.converged
    return Solution(voltages, residuals, iterations, converged)


@njit(cache=True, nogil=True, error_model="numpy")
def _interpolate(east, south, southeast, southwest, diagonal, active, wx, wy, wc):  # type: ignore[no-untyped-def]
    """Weights of the odd points, and which coarse points exist.

    ``active`` (h + 2, w + 2) is set; ``wx`` (h + 2, w + 2, 2) holds west and east weights of the points on even rows,
    ``wy`` north and south weights of those on even columns, ``wc`` (…, 4) NW, NE, SW, SE of the others.
    A fine point without a coarse neighbour in the direction of its edges gets one that stands on no cell.
    """
    rows = diagonal.shape[0] - 2
    columns = diagonal.shape[1] - 2
    h = active.shape[0] - 2
    w = active.shape[1] - 2
    for i in range(1, h + 1):
        for j in range(1, w + 1):
            active[i, j] = diagonal[2 * i - 1, 2 * j - 1] > 0.0
    for i in range(1, h + 1):
        fi = 2 * i - 1
        for j in range(1, w + 1):
            fj = 2 * j
            if fj > columns or diagonal[fi, fj] <= 0.0:
                continue
            a = max(east[fi, fj - 1] + southeast[fi - 1, fj - 1] + southwest[fi, fj], 0.0)
            b = max(east[fi, fj] + southwest[fi - 1, fj + 1] + southeast[fi, fj], 0.0)
            if j == w:
                b = 0.0
            if a > 0.0:
                active[i, j] = True
            if b > 0.0:
                active[i, j + 1] = True
            wx[i, j, 0] = a
            wx[i, j, 1] = b
    for i in range(1, h + 1):
        fi = 2 * i
        if fi > rows:
            continue
        for j in range(1, w + 1):
            fj = 2 * j - 1
            if diagonal[fi, fj] <= 0.0:
                continue
            a = max(south[fi - 1, fj] + southeast[fi - 1, fj - 1] + southwest[fi - 1, fj + 1], 0.0)
            b = max(south[fi, fj] + southwest[fi, fj] + southeast[fi, fj], 0.0)
            if i == h:
                b = 0.0
            if a > 0.0:
                active[i, j] = True
            if b > 0.0:
                active[i + 1, j] = True
            wy[i, j, 0] = a
            wy[i, j, 1] = b
    for i in range(1, h + 1):
        for j in range(1, w + 1):
            if 2 * j <= columns and diagonal[2 * i - 1, 2 * j] > 0.0:
                a = wx[i, j, 0]
                b = wx[i, j, 1]
                if a + b <= 0.0:
                    side = 1 if j < w and active[i, j] and not active[i, j + 1] else 0
                    active[i, j + side] = True
                    wx[i, j, side] = 1.0
                else:
                    wx[i, j, 0] = a / (a + b)
                    wx[i, j, 1] = b / (a + b)
            if 2 * i <= rows and diagonal[2 * i, 2 * j - 1] > 0.0:
                a = wy[i, j, 0]
                b = wy[i, j, 1]
                if a + b <= 0.0:
                    side = 1 if i < h and active[i, j] and not active[i + 1, j] else 0
                    active[i + side, j] = True
                    wy[i, j, side] = 1.0
                else:
                    wy[i, j, 0] = a / (a + b)
                    wy[i, j, 1] = b / (a + b)
    for i in range(1, h + 1):
        fi = 2 * i
        if fi > rows:
            continue
        for j in range(1, w + 1):
            fj = 2 * j
            if fj > columns or diagonal[fi, fj] <= 0.0:
                continue
            n = south[fi - 1, fj]
            s = south[fi, fj]
            we = east[fi, fj - 1]
            e = east[fi, fj]
            a = southeast[fi - 1, fj - 1] + n * wx[i, j, 0] + we * wy[i, j, 0]
            b = southwest[fi - 1, fj + 1] + n * wx[i, j, 1] + e * wy[i, j + 1, 0]
            c = southwest[fi, fj] + s * wx[i + 1, j, 0] + we * wy[i, j, 1]
            d = southeast[fi, fj] + s * wx[i + 1, j, 1] + e * wy[i, j + 1, 1]
            a = max(a, 0.0)
            b = max(b, 0.0)
            c = max(c, 0.0)
            d = max(d, 0.0)
            total = a + b + c + d
            if total <= 0.0:
                active[i, j] = True
                wc[i, j, 0] = 1.0
            else:
                wc[i, j, 0] = a / total
                wc[i, j, 1] = b / total
                wc[i, j, 2] = c / total
                wc[i, j, 3] = d / total


@njit(cache=True, nogil=True)
def _add_edge(out, i, j, conductance, a, b, c, d):  # type: ignore[no-untyped-def]
    """Add c (P_p - P_q)(P_p - P_q)^T of one fine edge to the coarse square with corner (i, j).

    ``a, b, c, d`` are the differences at the square's NW, NE, SW and SE corners. ``out`` (5, ...) holds east, south,
    southeast, southwest and diagonal.
    """
    ga = conductance * a
    gb = conductance * b
    gc = conductance * c
    out[0, i, j] -= ga * b
    out[1, i, j] -= ga * c
    out[2, i, j] -= ga * d
    out[3, i, j + 1] -= gb * c
    out[1, i, j + 1] -= gb * d
    out[0, i + 1, j] -= gc * d
    out[4, i, j] += ga * a
    out[4, i, j + 1] += gb * b
    out[4, i + 1, j] += gc * c
    out[4, i + 1, j + 1] += conductance * d * d


@njit(cache=True, nogil=True)
def _galerkin(  # type: ignore[no-untyped-def]
    east, south, southeast, southwest, diagonal, ground, grounded, active, wx, wy, wc, out, leak, energy
):
    """Accumulate P^T L P into ``out`` (5, h + 2, w + 2), P^T G into ``leak`` and P^2 D into ``energy``."""
    rows = diagonal.shape[0] - 2
    columns = diagonal.shape[1] - 2
    h = active.shape[0] - 2
    w = active.shape[1] - 2
    for i in range(1, h + 1):
        fi = 2 * i - 1
        for j in range(1, w + 1):
            fj = 2 * j - 1
            t0 = wx[i, j, 0]
            t1 = wx[i, j, 1]
            l0 = wy[i, j, 0]
            l1 = wy[i, j, 1]
            energy[i, j] += diagonal[fi, fj]
            if fj < columns:
                g = diagonal[fi, fj + 1]
                energy[i, j] += t0 * t0 * g
                energy[i, j + 1] += t1 * t1 * g
                g = east[fi, fj]
                if g != 0.0:
                    _add_edge(out, i, j, g, 1.0 - t0, -t1, 0.0, 0.0)
                g = east[fi, fj + 1]
                if g != 0.0:
                    _add_edge(out, i, j, g, t0, t1 - 1.0, 0.0, 0.0)
            if fi < rows:
                g = diagonal[fi + 1, fj]
                energy[i, j] += l0 * l0 * g
                energy[i + 1, j] += l1 * l1 * g
                g = south[fi, fj]
                if g != 0.0:
                    _add_edge(out, i, j, g, 1.0 - l0, 0.0, -l1, 0.0)
                g = south[fi + 1, fj]
                if g != 0.0:
                    _add_edge(out, i, j, g, l0, 0.0, l1 - 1.0, 0.0)
            if fi < rows and fj < columns:
                a = wc[i, j, 0]
                b = wc[i, j, 1]
                c = wc[i, j, 2]
                d = wc[i, j, 3]
                r0 = wy[i, j + 1, 0]
                r1 = wy[i, j + 1, 1]
                b0 = wx[i + 1, j, 0]
                b1 = wx[i + 1, j, 1]
                g = diagonal[fi + 1, fj + 1]
                energy[i, j] += a * a * g
                energy[i, j + 1] += b * b * g
                energy[i + 1, j] += c * c * g
                energy[i + 1, j + 1] += d * d * g
                g = southeast[fi, fj]
                if g != 0.0:
                    _add_edge(out, i, j, g, a - 1.0, b, c, d)
                g = southwest[fi, fj + 2]
                if g != 0.0:
                    _add_edge(out, i, j, g, a, b - 1.0, c, d)
                g = southwest[fi + 1, fj + 1]
                if g != 0.0:
                    _add_edge(out, i, j, g, a, b, c - 1.0, d)
                g = southeast[fi + 1, fj + 1]
                if g != 0.0:
                    _add_edge(out, i, j, g, a, b, c, d - 1.0)
                g = south[fi, fj + 1]
                if g != 0.0:
                    _add_edge(out, i, j, g, a - t0, b - t1, c, d)
                g = south[fi + 1, fj + 1]
                if g != 0.0:
                    _add_edge(out, i, j, g, a, b, c - b0, d - b1)
                g = east[fi + 1, fj]
                if g != 0.0:
                    _add_edge(out, i, j, g, a - l0, b, c - l1, d)
                g = east[fi + 1, fj + 1]
                if g != 0.0:
                    _add_edge(out, i, j, g, a, b - r0, c, d - r1)
                g = southwest[fi, fj + 1]
                if g != 0.0:
                    _add_edge(out, i, j, g, t0 - l0, t1, -l1, 0.0)
                g = southeast[fi, fj + 1]
                if g != 0.0:
                    _add_edge(out, i, j, g, t0, t1 - r0, 0.0, -r1)
                g = southeast[fi + 1, fj]
                if g != 0.0:
                    _add_edge(out, i, j, g, l0, 0.0, l1 - b0, -b1)
                g = southwest[fi + 1, fj + 2]
                if g != 0.0:
                    _add_edge(out, i, j, g, 0.0, r0, -b0, r1 - b1)
            if grounded:
                leak[i, j] += ground[fi, fj]
                g = ground[fi, fj + 1]
                leak[i, j] += t0 * g
                leak[i, j + 1] += t1 * g
                g = ground[fi + 1, fj]
                leak[i, j] += l0 * g
                leak[i + 1, j] += l1 * g
                g = ground[fi + 1, fj + 1]
                leak[i, j] += wc[i, j, 0] * g
                leak[i, j + 1] += wc[i, j, 1] * g
                leak[i + 1, j] += wc[i, j, 2] * g
                leak[i + 1, j + 1] += wc[i, j, 3] * g


@njit(cache=True, nogil=True)
def _drop(coarse, leak, grounded, energy):  # type: ignore[no-untyped-def]
    """Remove coarse points without energy: their basis function is constant on a whole component."""
    n = energy.shape[0]
    m = energy.shape[1]
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            if grounded:
                coarse[4, i, j] += leak[i, j]
            if coarse[4, i, j] <= 1e-11 * energy[i, j]:
                coarse[4, i, j] = 0.0
                coarse[0, i, j] = 0.0
                coarse[0, i, j - 1] = 0.0
                coarse[1, i, j] = 0.0
                coarse[1, i - 1, j] = 0.0
                coarse[2, i, j] = 0.0
                coarse[2, i - 1, j - 1] = 0.0
                coarse[3, i, j] = 0.0
                coarse[3, i - 1, j + 1] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _pack(east, south, southeast, southwest, diagonal, wx, wy, planes):  # type: ignore[no-untyped-def]
    """Write a level's stencil and interpolation weights by colour, in the precision of ``planes``."""
    rows = diagonal.shape[0] - 2
    columns = diagonal.shape[1] - 2
    h = planes.shape[0] - 2
    w = planes.shape[2] - 2
    for i in range(1, h + 1):
        for a in range(2):
            fi = 2 * i - 1 + a
            if fi > rows:
                continue
            for b in range(2):
                c = 2 * a + b
                last = w if 2 * w - 1 + b <= columns else w - 1
                for j in range(1, last + 1):
                    fj = 2 * j - 1 + b
                    planes[i, 4 * c, j] = east[fi, fj]
                    planes[i, 4 * c + 1, j] = south[fi, fj]
                    planes[i, 4 * c + 2, j] = southeast[fi, fj]
                    planes[i, 4 * c + 3, j] = southwest[fi, fj]
                    d = diagonal[fi, fj]
                    planes[i, 16 + c, j] = 1.0 / d if d > 0.0 else 0.0
        for j in range(1, w + 1):
            planes[i, 20, j] = wx[i, j, 0]
            planes[i, 21, j] = wx[i, j, 1]
            planes[i, 22, j] = wy[i, j, 0]
            planes[i, 23, j] = wy[i, j, 1]


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _first_even(s, r, x, i):  # type: ignore[no-untyped-def]
    """Forward sweep from zero on colours 0 and 1 of row pair ``i``."""
    w = s.shape[2] - 2
    for k in range(r.shape[2]):
        for j in range(1, w + 1):
            x[i, 0, k, j] = r[i, 0, k, j] * s[i, 16, j]
        for j in range(1, w + 1):
            x[i, 1, k, j] = (r[i, 1, k, j] + s[i, 0, j] * x[i, 0, k, j] + s[i, 4, j] * x[i, 0, k, j + 1]) * s[i, 17, j]


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _first_odd(s, r, x, i):  # type: ignore[no-untyped-def]
    """Forward sweep from zero on colours 2 and 3 of row pair ``i``."""
    w = s.shape[2] - 2
    for k in range(r.shape[2]):
        for j in range(1, w + 1):
            x[i, 2, k, j] = (
                r[i, 2, k, j]
                + s[i, 1, j] * x[i, 0, k, j]
                + s[i, 9, j] * x[i + 1, 0, k, j]
                + s[i, 7, j] * x[i, 1, k, j]
                + s[i, 6, j - 1] * x[i, 1, k, j - 1]
                + s[i, 10, j] * x[i + 1, 1, k, j]
                + s[i, 11, j] * x[i + 1, 1, k, j - 1]
            ) * s[i, 18, j]
        for j in range(1, w + 1):
            x[i, 3, k, j] = (
                r[i, 3, k, j]
                + s[i, 8, j] * x[i, 2, k, j]
                + s[i, 12, j] * x[i, 2, k, j + 1]
                + s[i, 5, j] * x[i, 1, k, j]
                + s[i, 13, j] * x[i + 1, 1, k, j]
                + s[i, 2, j] * x[i, 0, k, j]
                + s[i, 3, j + 1] * x[i, 0, k, j + 1]
                + s[i, 14, j] * x[i + 1, 0, k, j + 1]
                + s[i, 15, j] * x[i + 1, 0, k, j]
            ) * s[i, 19, j]


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _restrict(s, x, i, one, two, above, out):  # type: ignore[no-untyped-def]
    """Residual of row pair ``i`` after a forward sweep, restricted into ``out`` (k, w + 2).

    ``above`` holds the residual of colour 2 in the row pair above and receives this one's in ``two``.
    """
    w = s.shape[2] - 2
    for k in range(x.shape[2]):
        for j in range(1, w + 1):
            one[k, j] = (
                s[i, 5, j] * x[i, 3, k, j]
                + s[i - 1, 13, j] * x[i - 1, 3, k, j]
                + s[i, 6, j] * x[i, 2, k, j + 1]
                + s[i, 7, j] * x[i, 2, k, j]
                + s[i - 1, 11, j + 1] * x[i - 1, 2, k, j + 1]
                + s[i - 1, 10, j] * x[i - 1, 2, k, j]
            )
        for j in range(1, w + 1):
            two[k, j] = s[i, 8, j] * x[i, 3, k, j] + s[i, 12, j - 1] * x[i, 3, k, j - 1]
        for j in range(1, w + 1):
            out[k, j] = (
                s[i, 0, j] * x[i, 1, k, j]
                + s[i, 4, j - 1] * x[i, 1, k, j - 1]
                + s[i, 1, j] * x[i, 2, k, j]
                + s[i - 1, 9, j] * x[i - 1, 2, k, j]
                + s[i, 2, j] * x[i, 3, k, j]
                + s[i, 3, j] * x[i, 3, k, j - 1]
                + s[i - 1, 14, j - 1] * x[i - 1, 3, k, j - 1]
                + s[i - 1, 15, j] * x[i - 1, 3, k, j]
            )
        for j in range(1, w + 1):
            out[k, j] += (
                s[i, 20, j] * one[k, j]
                + s[i, 21, j - 1] * one[k, j - 1]
                + s[i, 22, j] * two[k, j]
                + s[i - 1, 23, j] * above[k, j]
            )


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _down(s, r, x, rc):  # type: ignore[no-untyped-def]
    """Smooth forward from zero and restrict the residual to the coarse level, in one pass over the level."""
    h = s.shape[0] - 2
    w = s.shape[2] - 2
    many = r.shape[2]
    one = np.zeros((many, w + 3), dtype=s.dtype)
    two = np.zeros((many, w + 3), dtype=s.dtype)
    above = np.zeros((many, w + 3), dtype=s.dtype)
    out = np.zeros((many, w + 3), dtype=s.dtype)
    wc = rc.shape[3] - 2
    for ahead in range(1, h + 2):
        if ahead <= h:
            _first_even(s, r, x, ahead)
        if ahead == 1:
            continue
        i = ahead - 1
        _first_odd(s, r, x, i)
        _restrict(s, x, i, one, two, above, out)
        two, above = above, two
        ic = (i + 1) // 2
        c = 2 * ((i + 1) % 2)
        for k in range(many):
            for j in range(1, wc + 1):
                rc[ic, c, k, j] = out[k, 2 * j - 1]
                rc[ic, c + 1, k, j] = out[k, 2 * j]


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _coarse_row(xc, i, row):  # type: ignore[no-untyped-def]
    """Copy row ``i`` of the coarse level out of its colour planes into ``row`` (k, w + 3)."""
    ic = (i + 1) // 2
    c = 2 * ((i + 1) % 2)
    wc = xc.shape[3] - 2
    w = row.shape[1] - 3
    for k in range(xc.shape[2]):
        for j in range(1, wc + 1):
            row[k, 2 * j - 1] = xc[ic, c, k, j]
        for j in range(1, w // 2 + 1):
            row[k, 2 * j] = xc[ic, c + 1, k, j]


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _prolong(s, x, i, here, below):  # type: ignore[no-untyped-def]
    """Add the coarse correction to colours 0, 1 and 2 of row pair ``i``; the sweep that follows recomputes 3."""
    w = s.shape[2] - 2
    for k in range(x.shape[2]):
        for j in range(1, w + 1):
            x[i, 0, k, j] += here[k, j]
        for j in range(1, w + 1):
            x[i, 1, k, j] += s[i, 20, j] * here[k, j] + s[i, 21, j] * here[k, j + 1]
        for j in range(1, w + 1):
            x[i, 2, k, j] += s[i, 22, j] * here[k, j] + s[i, 23, j] * below[k, j]


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _back_odd(s, r, x, i):  # type: ignore[no-untyped-def]
    """Backward sweep on colours 3 and 2 of row pair ``i``."""
    w = s.shape[2] - 2
    for k in range(r.shape[2]):
        for j in range(1, w + 1):
            x[i, 3, k, j] = (
                r[i, 3, k, j]
                + s[i, 8, j] * x[i, 2, k, j]
                + s[i, 12, j] * x[i, 2, k, j + 1]
                + s[i, 5, j] * x[i, 1, k, j]
                + s[i, 13, j] * x[i + 1, 1, k, j]
                + s[i, 2, j] * x[i, 0, k, j]
                + s[i, 3, j + 1] * x[i, 0, k, j + 1]
                + s[i, 14, j] * x[i + 1, 0, k, j + 1]
                + s[i, 15, j] * x[i + 1, 0, k, j]
            ) * s[i, 19, j]
        for j in range(1, w + 1):
            x[i, 2, k, j] = (
                r[i, 2, k, j]
                + s[i, 8, j] * x[i, 3, k, j]
                + s[i, 12, j - 1] * x[i, 3, k, j - 1]
                + s[i, 1, j] * x[i, 0, k, j]
                + s[i, 9, j] * x[i + 1, 0, k, j]
                + s[i, 7, j] * x[i, 1, k, j]
                + s[i, 6, j - 1] * x[i, 1, k, j - 1]
                + s[i, 10, j] * x[i + 1, 1, k, j]
                + s[i, 11, j] * x[i + 1, 1, k, j - 1]
            ) * s[i, 18, j]


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _back_even(s, r, x, i):  # type: ignore[no-untyped-def]
    """Backward sweep on colours 1 and 0 of row pair ``i``."""
    w = s.shape[2] - 2
    for k in range(r.shape[2]):
        for j in range(1, w + 1):
            x[i, 1, k, j] = (
                r[i, 1, k, j]
                + s[i, 5, j] * x[i, 3, k, j]
                + s[i - 1, 13, j] * x[i - 1, 3, k, j]
                + s[i, 6, j] * x[i, 2, k, j + 1]
                + s[i, 7, j] * x[i, 2, k, j]
                + s[i - 1, 11, j + 1] * x[i - 1, 2, k, j + 1]
                + s[i - 1, 10, j] * x[i - 1, 2, k, j]
                + s[i, 0, j] * x[i, 0, k, j]
                + s[i, 4, j] * x[i, 0, k, j + 1]
            ) * s[i, 17, j]
        for j in range(1, w + 1):
            x[i, 0, k, j] = (
                r[i, 0, k, j]
                + s[i, 0, j] * x[i, 1, k, j]
                + s[i, 4, j - 1] * x[i, 1, k, j - 1]
                + s[i, 1, j] * x[i, 2, k, j]
                + s[i - 1, 9, j] * x[i - 1, 2, k, j]
                + s[i, 2, j] * x[i, 3, k, j]
                + s[i, 3, j] * x[i, 3, k, j - 1]
                + s[i - 1, 14, j - 1] * x[i - 1, 3, k, j - 1]
                + s[i - 1, 15, j] * x[i - 1, 3, k, j]
            ) * s[i, 16, j]


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _up(s, r, x, xc):  # type: ignore[no-untyped-def]
    """Add the coarse correction and smooth backward, in one pass over the level."""
    h = s.shape[0] - 2
    w = s.shape[2] - 2
    many = r.shape[2]
    here = np.zeros((many, w + 3), dtype=s.dtype)
    below = np.zeros((many, w + 3), dtype=s.dtype)
    for ahead in range(h + 2):
        if ahead < h:
            _coarse_row(xc, ahead + 1, below)
        else:
            below[:] = 0.0
        if 1 <= ahead <= h:
            _prolong(s, x, ahead, here, below)
        here, below = below, here
        if ahead >= 2:
            _back_odd(s, r, x, ahead - 1)
            _back_even(s, r, x, ahead - 1)


@njit(cache=True, nogil=True, fastmath=True)
def _solve_coarsest(inverse, n, m, r, x):  # type: ignore[no-untyped-def]
    """Apply the dense inverse on the coarsest grid of n x m cells."""
    cells = n * m
    b = np.empty(cells, dtype=r.dtype)
    for k in range(r.shape[2]):
        for i in range(n):
            for j in range(m):
                b[i * m + j] = r[i // 2 + 1, 2 * (i % 2) + j % 2, k, j // 2 + 1]
        for i in range(n):
            for j in range(m):
                total = r[0, 0, 0, 0] * 0
                for q in range(cells):
                    total += inverse[i * m + j, q] * b[q]
                x[i // 2 + 1, 2 * (i % 2) + j % 2, k, j // 2 + 1] = total


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _residual(s, r, x):  # type: ignore[no-untyped-def]
    """r -= L x on a level; cells without edges keep r."""
    h = s.shape[0] - 2
    w = s.shape[2] - 2
    for i in range(1, h + 1):
        for k in range(r.shape[2]):
            for j in range(1, w + 1):
                v = (
                    s[i, 0, j] * x[i, 1, k, j]
                    + s[i, 4, j - 1] * x[i, 1, k, j - 1]
                    + s[i, 1, j] * x[i, 2, k, j]
                    + s[i - 1, 9, j] * x[i - 1, 2, k, j]
                    + s[i, 2, j] * x[i, 3, k, j]
                    + s[i, 3, j] * x[i, 3, k, j - 1]
                    + s[i - 1, 14, j - 1] * x[i - 1, 3, k, j - 1]
                    + s[i - 1, 15, j] * x[i - 1, 3, k, j]
                )
                d = s[i, 16, j]
                r[i, 0, k, j] += v - (x[i, 0, k, j] / d if d > 0 else v)
            for j in range(1, w + 1):
                v = (
                    s[i, 5, j] * x[i, 3, k, j]
                    + s[i - 1, 13, j] * x[i - 1, 3, k, j]
                    + s[i, 6, j] * x[i, 2, k, j + 1]
                    + s[i, 7, j] * x[i, 2, k, j]
                    + s[i - 1, 11, j + 1] * x[i - 1, 2, k, j + 1]
                    + s[i - 1, 10, j] * x[i - 1, 2, k, j]
                    + s[i, 0, j] * x[i, 0, k, j]
                    + s[i, 4, j] * x[i, 0, k, j + 1]
                )
                d = s[i, 17, j]
                r[i, 1, k, j] += v - (x[i, 1, k, j] / d if d > 0 else v)
            for j in range(1, w + 1):
                v = (
                    s[i, 8, j] * x[i, 3, k, j]
                    + s[i, 12, j - 1] * x[i, 3, k, j - 1]
                    + s[i, 1, j] * x[i, 0, k, j]
                    + s[i, 9, j] * x[i + 1, 0, k, j]
                    + s[i, 7, j] * x[i, 1, k, j]
                    + s[i, 6, j - 1] * x[i, 1, k, j - 1]
                    + s[i, 10, j] * x[i + 1, 1, k, j]
                    + s[i, 11, j] * x[i + 1, 1, k, j - 1]
                )
                d = s[i, 18, j]
                r[i, 2, k, j] += v - (x[i, 2, k, j] / d if d > 0 else v)
            for j in range(1, w + 1):
                v = (
                    s[i, 8, j] * x[i, 2, k, j]
                    + s[i, 12, j] * x[i, 2, k, j + 1]
                    + s[i, 5, j] * x[i, 1, k, j]
                    + s[i, 13, j] * x[i + 1, 1, k, j]
                    + s[i, 2, j] * x[i, 0, k, j]
                    + s[i, 3, j + 1] * x[i, 0, k, j + 1]
                    + s[i, 14, j] * x[i + 1, 0, k, j + 1]
                    + s[i, 15, j] * x[i + 1, 0, k, j]
                )
                d = s[i, 19, j]
                r[i, 3, k, j] += v - (x[i, 3, k, j] / d if d > 0 else v)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _cycle(  # type: ignore[no-untyped-def]
    sizes, offsets, planes, inverse, n, m, many, visits, r, x, kept
):
    """One cycle from zero: ``x`` on the finest level becomes an approximate solution for ``r`` there.

    Every coarse level but the coarsest is visited ``visits`` times per visit of the level above: 1 is a V-cycle, 2 a
    W-cycle. ``r``, ``x`` and ``kept`` (used by repeated visits only) are flat, all levels one after another; n x m is
    the coarsest grid.
    """
    last = sizes.shape[0] - 1
    visited = np.zeros(last + 1, dtype=np.intp)
    level = 0
    descending = True
    while True:
        o = offsets[level] * 4 * many
        e = offsets[level + 1] * 4 * many
        shape = (sizes[level, 0] + 2, 4, many, sizes[level, 1] + 2)
        r_here = r[o:e].reshape(shape)
        x_here = x[o:e].reshape(shape)
        if level == last:
            _solve_coarsest(inverse, n, m, r_here, x_here)
            descending = False
            if last == 0:
                return
            level -= 1
            continue
        s = planes[offsets[level] * 24 : offsets[level + 1] * 24].reshape((shape[0], 24, shape[3]))
        f = offsets[level + 2] * 4 * many
        below = (sizes[level + 1, 0] + 2, 4, many, sizes[level + 1, 1] + 2)
        if descending:
            _down(s, r_here, x_here, r[e:f].reshape(below))
            level += 1
            if level < last:
                visited[level] = 0
            continue
        _up(s, r_here, x_here, x[e:f].reshape(below))
        if level == 0:
            return
        visited[level] += 1
        if visited[level] < visits:
            if visited[level] == 1:
                kept[o:e] = x[o:e]
            else:
                kept[o:e] += x[o:e]
            _residual(s, r_here, x_here)
            descending = True
        else:
            if visits > 1:
                x[o:e] += kept[o:e]
            level -= 1


@njit(cache=True, nogil=True, fastmath=True)
def _apply_row(east, south, southeast, southwest, ground, grounded, p, q, i, k):  # type: ignore[no-untyped-def]
    """q (a row) = L p on row ``i`` of problem ``k``; returns the row's share of p . q."""
    columns = east.shape[1] - 2
    total = 0.0
    for j in range(1, columns + 1):
        here = p[i, k, j]
        q[j] = (
            east[i, j] * (here - p[i, k, j + 1])
            + east[i, j - 1] * (here - p[i, k, j - 1])
            + south[i, j] * (here - p[i + 1, k, j])
            + south[i - 1, j] * (here - p[i - 1, k, j])
            + southeast[i, j] * (here - p[i + 1, k, j + 1])
            + southeast[i - 1, j - 1] * (here - p[i - 1, k, j - 1])
            + southwest[i, j] * (here - p[i + 1, k, j - 1])
            + southwest[i - 1, j + 1] * (here - p[i - 1, k, j + 1])
        )
    if grounded:
        for j in range(1, columns + 1):
            q[j] += ground[i, j] * p[i, k, j]
    for j in range(1, columns + 1):
        total += p[i, k, j] * q[j]
    return total


@njit(cache=True, nogil=True, fastmath=True)
def _direction_row(z, unscale, beta, p, i, k):  # type: ignore[no-untyped-def]
    """p = z + beta p on row ``i`` of problem ``k``, z taken from its colour planes."""
    columns = p.shape[2] - 2
    ic = (i + 1) // 2
    c = 2 * ((i + 1) % 2)
    for j in range(1, columns // 2 + 1):
        p[i, k, 2 * j - 1] = z[ic, c, k, j] * unscale + beta * p[i, k, 2 * j - 1]
        p[i, k, 2 * j] = z[ic, c + 1, k, j] * unscale + beta * p[i, k, 2 * j]
    if columns % 2:
        p[i, k, columns] = z[ic, c, k, columns // 2 + 1] * unscale + beta * p[i, k, columns]


@njit(cache=True, nogil=True)
def _direction(  # type: ignore[no-untyped-def]
    east, south, southeast, southwest, ground, grounded, z, unscale, beta, p, q, energy
):
    """The new search direction p and q = L p, in one pass; ``energy`` receives p . q."""
    rows = p.shape[0] - 2
    energy[:] = 0.0
    for k in range(p.shape[1]):
        _direction_row(z, unscale[k], beta[k], p, 1, k)
    for i in range(1, rows + 1):
        for k in range(p.shape[1]):
            if i < rows:
                _direction_row(z, unscale[k], beta[k], p, i + 1, k)
            energy[k] += _apply_row(east, south, southeast, southwest, ground, grounded, p, q[i, k], i, k)


@njit(cache=True, nogil=True, fastmath=True)
def _load_row(r, scale, planes, i, k):  # type: ignore[no-untyped-def]
    """Write the scaled residual of row ``i`` into its colour planes."""
    columns = r.shape[2] - 2
    ic = (i + 1) // 2
    c = 2 * ((i + 1) % 2)
    for j in range(1, columns // 2 + 1):
        planes[ic, c, k, j] = r[i, k, 2 * j - 1] * scale
        planes[ic, c + 1, k, j] = r[i, k, 2 * j] * scale
    if columns % 2:
        planes[ic, c, k, columns // 2 + 1] = r[i, k, columns] * scale


@njit(cache=True, nogil=True, fastmath=True)
def _step_row(alpha, p, q, x, r, i, k):  # type: ignore[no-untyped-def]
    """x += alpha p and r -= alpha q on row ``i`` of problem ``k``; returns the row's share of r . r."""
    total = 0.0
    for j in range(1, p.shape[2] - 1):
        x[i, k, j] += alpha * p[i, k, j]
        new = r[i, k, j] - alpha * q[i, k, j]
        r[i, k, j] = new
        total += new * new
    return total


@njit(cache=True, nogil=True, fastmath=True)
def _product_row(r, z, i, k):  # type: ignore[no-untyped-def]
    """The share of row ``i`` in r . z."""
    columns = r.shape[2] - 2
    ic = (i + 1) // 2
    c = 2 * ((i + 1) % 2)
    total = 0.0
    for j in range(1, columns // 2 + 1):
        total += r[i, k, 2 * j - 1] * z[ic, c, k, j] + r[i, k, 2 * j] * z[ic, c + 1, k, j]
    if columns % 2:
        total += r[i, k, columns] * z[ic, c, k, columns // 2 + 1]
    return total


@njit(cache=True, nogil=True)
def _load_residual(r, scale, planes):  # type: ignore[no-untyped-def]
    """Write the residuals r, scaled to order 1, into the finest level's colour planes."""
    for i in range(1, r.shape[0] - 1):
        for k in range(r.shape[1]):
            _load_row(r, scale[k], planes, i, k)


@njit(cache=True, nogil=True, error_model="numpy")
def _inner_product(r, z, scale, product):  # type: ignore[no-untyped-def]
    """``product`` = r . z / scale for every problem, z in colour planes."""
    product[:] = 0.0
    for i in range(1, r.shape[0] - 1):
        for k in range(r.shape[1]):
            product[k] += _product_row(r, z, i, k)
    for k in range(r.shape[1]):
        product[k] /= scale[k]


@njit(cache=True, nogil=True)
def _step(alpha, p, q, x, r, norm):  # type: ignore[no-untyped-def]
    """x += alpha p, r -= alpha q; ``norm`` receives ||r||."""
    norm[:] = 0.0
    for i in range(1, p.shape[0] - 1):
        for k in range(p.shape[1]):
            norm[k] += _step_row(alpha[k], p, q, x, r, i, k)
    for k in range(p.shape[1]):
        norm[k] = np.sqrt(norm[k])


@njit(cache=True, nogil=True)
def _subtract_product(east, south, southeast, southwest, ground, grounded, x, r):  # type: ignore[no-untyped-def]
    """r -= L x for every problem of the block."""
    q = np.zeros(x.shape[2])
    for i in range(1, x.shape[0] - 1):
        for k in range(x.shape[1]):
            _apply_row(east, south, southeast, southwest, ground, grounded, x, q, i, k)
            for j in range(1, x.shape[2] - 1):
                r[i, k, j] -= q[j]
