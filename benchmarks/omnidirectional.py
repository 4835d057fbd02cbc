"""Moving windows: Linkways beside pyamg, the solver family of Omniscape, on the same windows at equal map error.

    python benchmarks/omnidirectional.py [--size 600] [--radius 100] [--block 11] [--sample 24] [--whole-peer]

Times are CPU seconds of one thread. The peer solves each window as Omniscape does: assemble the Laplacian of the
circle, ground the target, set up algebraic multigrid, solve by conjugate gradients; and again for flow potential. Its
tolerance is the loosest of a list whose current maps are as good as ours (L1, against solutions to 1e-10). Linkways
runs whole; the peer runs a sample of windows spread evenly over the raster and is scaled to all of them, unless
--whole-peer is given. Needs: pip install 'linkways[bench]'.
"""

import os

# before numpy: spinning BLAS threads would count as CPU time
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import time
import warnings

import numpy as np
import pyamg
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from linkways.corridors._windows import Landscape, Windows, Work, moving_windows, source_strength
from linkways.kernels.windows import Conditions, Sources, build_terrain, run_windows

TOLERANCES = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6)
PEERS = {"Ruge-Stuben": pyamg.ruge_stuben_solver, "smoothed aggregation": pyamg.smoothed_aggregation_solver}


def patchy(size, seed=1):
    """Resistance in clusters of 1, 5, 20, 100 and 1000, a tenth nodata, and thin barriers of 10,000 with gaps."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=(size, size)), 6)
    classes = np.digitize(field, np.quantile(field, [0.3, 0.55, 0.75, 0.9]))
    resistance = np.array([1, 5, 20, 100, 1000.0])[classes]
    for _ in range(size // 40):
        y, x = rng.integers(0, size, 2).astype(float)
        heading = rng.uniform(0, 2 * np.pi)
        for _ in range(size // 2):
            heading += rng.normal(0, 0.1)
            y, x = y + np.sin(heading), x + np.cos(heading)
            if 0 <= y < size and 0 <= x < size and rng.random() > 0.05:
                resistance[int(y), int(x)] = 1e4
    blobs = gaussian_filter(rng.normal(size=(size, size)), 4)
    resistance[blobs > np.quantile(blobs, 0.9)] = np.nan
    return resistance


def landscape(resistance):
    conductance = 1 / resistance
    return Landscape(conductance, source_strength(conductance, np.inf))


# --- the peer ------------------------------------------------------------------------------------------------


def graph(conductance):
    """Sparse Laplacian of the mean-conductance graph of 8 neighbours, and the number of each cell's node."""
    nodes = np.isfinite(conductance)
    number = np.cumsum(nodes).reshape(nodes.shape) - 1
    heads, tails, values = [], [], []
    rows, columns = conductance.shape
    for di, dj in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = np.s_[: rows - di, max(-dj, 0) : columns - max(dj, 0)]
        two = np.s_[di:, max(dj, 0) : columns + min(dj, 0)]
        both = nodes[one] & nodes[two]
        heads.append(number[one][both])
        tails.append(number[two][both])
        values.append((conductance[one][both] + conductance[two][both]) / (2 * np.hypot(di, dj)))
    a, b, c = (np.concatenate(part) for part in (heads, tails, values))
    count = int(nodes.sum())
    weights = coo_array((np.r_[c, c], (np.r_[a, b], np.r_[b, a])), shape=(count, count)).tocsr()
    degree = np.bincount(a, c, count) + np.bincount(b, c, count)
    own = np.arange(count)
    laplacian = (coo_array((degree, (own, own)), shape=(count, count)) - weights).tocsr()
    return laplacian, weights, number, nodes


def peer_problem(conductance, sources, target):
    """The definite system of a window: the target's component without the target; ``back`` makes a current map."""
    laplacian, weights, number, nodes = graph(conductance)
    ground = number[target]
    _, part = connected_components(weights, directed=False)
    kept = np.flatnonzero((part == part[ground]) & (np.arange(len(part)) != ground))
    matrix = laplacian[kept][:, kept].tocsr()
    b = sources[nodes][kept]

    def back(voltages):
        full = np.zeros(len(part))
        full[kept] = voltages
        flows = weights.tocoo()
        flow = flows.data * (full[flows.row] - full[flows.col]) * (part[flows.row] == part[ground])
        out = np.bincount(flows.row, np.maximum(flow, 0), len(part))
        into = np.bincount(flows.row, np.maximum(-flow, 0), len(part))
        current = np.zeros(conductance.shape)
        current[nodes] = np.maximum(out, into)
        return current

    return matrix, b, back


def timed(function):
    start = time.thread_time()
    result = function()
    return time.thread_time() - start, result


def peer_window(setup, problem, tolerance, solver=None):
    """Seconds of assembly, set-up and solve, and the current map; ``solver`` given: without set-up."""
    assembly, (matrix, b, back) = timed(problem)
    start_up = 0.0
    if solver is None:
        start_up, solver = timed(lambda: setup(matrix))
    solving, voltages = timed(lambda: solver.solve(b, tol=tolerance, accel="cg", maxiter=300))
    return np.array([assembly, start_up, solving]), back(voltages), solver


# --- windows of ours and theirs ------------------------------------------------------------------------------


class Sample:
    """Windows of a run, one by one: ours, and the same problems for the peer."""

    def __init__(self, land, windows):
        self.land, self.windows = land, windows
        self.work = Work(land, windows)
        self.shape, self.targets = self.work.shape, self.work.targets
        self.terrain = build_terrain(land.conductance)
        self.cells = np.column_stack([self.targets.rows, self.targets.columns])
        self.conditions = Conditions(
            np.zeros((0, 1, 1)), np.zeros((len(self.cells), 0)), np.zeros(0, bool), np.zeros(0), np.zeros(0), False
        )
        self.sources = Sources(land.sources, windows.block // 2, False)

    def box(self, window):
        row, column = self.cells[window]
        half = self.shape.half_rows
        rows, columns = self.land.conductance.shape
        return max(row - half, 0), min(row + half + 1, rows), max(column - half, 0), min(column + half + 1, columns)

    def ours(self, window, tolerance, potential):
        y0, y1, x0, x1 = self.box(window)
        current = np.zeros((y1 - y0, x1 - x0))
        null = np.zeros_like(current) if potential else np.zeros((1, 1))
        plain = self.shape._replace(factor=np.ones((1, 1)))
        arguments = (
            self.terrain, plain, self.sources, self.conditions, self.cells, self.targets.strengths,
            np.array([window]), tolerance, y0, x0, current, null, np.zeros((1, 2)),
        )  # fmt: skip
        seconds, _ = timed(lambda: run_windows(*arguments))
        return seconds, current, null

    def problems(self, window):
        """The peer's problems: the window, and its null model."""
        y0, y1, x0, x1 = self.box(window)
        row, column = self.cells[window]
        y, x = np.ogrid[y0 - row : y1 - row, x0 - column : x1 - column]
        inside = y**2 + x**2 <= self.shape.half_rows**2
        half = self.windows.block // 2
        near = inside & ~((np.abs(y) <= half) & (np.abs(x) <= half))
        sources = np.where(near, self.land.sources[y0:y1, x0:x1], 0.0)
        sources *= self.targets.strengths[window] / sources.sum()
        conductance = np.where(inside, self.land.conductance[y0:y1, x0:x1], np.nan)
        target = (row - y0, column - x0)
        return (
            lambda: peer_problem(conductance, sources, target),
            lambda: peer_problem(np.ones_like(sources), sources, target),
        )


def compare(sample, chosen, name, setup):
    """Print the peer's time per window beside ours, alternating, at the loosest tolerance as good as ours."""
    exact = {w: sample.ours(w, 1e-10, True) for w in chosen}

    def error(found, window, which):
        return np.abs(found - exact[window][which]).sum() / exact[window][which].sum()

    few = chosen[:: max(1, len(chosen) // 6)]
    aim = max(error(sample.ours(w, sample.windows.tolerance, False)[1], w, 1) for w in few)
    loosest = []
    for which in (0, 1):
        solvers = {w: setup(sample.problems(w)[which]()[0]) for w in few}
        for tolerance in TOLERANCES:
            maps = {w: peer_window(setup, sample.problems(w)[which], tolerance, solvers[w])[1] for w in few}
            if max(error(maps[w], w, 1 + which) for w in few) <= aim:
                break
        loosest.append(tolerance)
    ours, theirs, errors, kept = [], [], [], {}
    for window in chosen:
        alone = min(sample.ours(window, sample.windows.tolerance, False)[0] for _ in range(3))
        seconds, current, _ = min((sample.ours(window, sample.windows.tolerance, True) for _ in range(3)), key=_first)
        ours.append((alone, seconds))
        problem, null = sample.problems(window)
        first, found, _ = peer_window(setup, problem, loosest[0])
        second, _, solver = peer_window(setup, null, loosest[1])
        # in the peer's favour: all whole windows share the null model's matrix and its hierarchy
        shape = current.shape
        again = peer_window(setup, null, loosest[1], kept.get(shape, solver))[0][2]
        kept.setdefault(shape, solver)
        theirs.append((first.sum(), first.sum() + second.sum(), first.sum() + again, *first))
        errors.append((error(current, window, 1), error(found, window, 1)))
    ours, theirs, errors = (np.array(part) for part in (ours, theirs, errors))
    mine, peer = ours.mean(axis=0) * 1e3, theirs.mean(axis=0) * 1e3
    print(f"\npyamg {name} with CG, {len(chosen)} windows, ms of CPU per window")
    print(f"  error of the current map (L1), largest: ours {errors[:, 0].max():.1e}, peer {errors[:, 1].max():.1e}")
    print(f"  peer's tolerance {loosest[0]:g} (null model {loosest[1]:g})")
    print(
        f"  current only:                       ours {mine[0]:6.2f}   peer {peer[0]:7.1f}   {peer[0] / mine[0]:5.1f}x"
    )
    print(f"    of the peer's: assembly {peer[3]:.1f}, set-up {peer[4]:.1f}, solve {peer[5]:.1f}")
    print(
        f"  with flow potential, as Omniscape:  ours {mine[1]:6.2f}   peer {peer[1]:7.1f}   {peer[1] / mine[1]:5.1f}x"
    )
    print(
        f"  the same, peer's null set-up kept:  ours {mine[1]:6.2f}   peer {peer[2]:7.1f}   {peer[2] / mine[1]:5.1f}x"
    )
    return peer[1] / 1e3


def _first(result):
    return result[0]


def whole(size, windows):
    """CPU seconds of a whole run, its windows and its estimated error."""
    land = landscape(patchy(size))
    start = time.process_time()
    maps = moving_windows(land, windows)
    return time.process_time() - start, maps


def large(size, windows):
    """Windows of a raster of size x size, from a sub-area whose windows are all whole."""
    side = 12 * windows.block
    halo = int(windows.radius_cells) + windows.buffer
    land = landscape(patchy(side + 2 * halo, seed=2))
    inner = np.zeros(land.sources.shape, dtype=bool)
    inner[halo : halo + side, halo : halo + side] = True
    sample = Sample(land, windows)
    chosen = np.flatnonzero(inner[sample.cells[:, 0], sample.cells[:, 1]])
    seconds = sum(sample.ours(w, windows.tolerance, True)[0] for w in chosen)
    count = (size // windows.block) ** 2
    share = len(chosen) / (side // windows.block) ** 2
    print(
        f"\n{size} x {size} cells, EXTRAPOLATED: {len(chosen)} whole windows of a sub-area took "
        f"{seconds / len(chosen) * 1e3:.2f} ms each; {count * share:,.0f} windows would take "
        f"{count * share * seconds / len(chosen) / 60:.0f} minutes of one core"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=600)
    parser.add_argument("--radius", type=int, default=100)
    parser.add_argument("--block", type=int, default=11)
    parser.add_argument("--sample", type=int, default=24, help="windows that the peer solves")
    parser.add_argument("--whole-peer", action="store_true", help="let the peer solve all windows")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="pyamg")
    windows = Windows(radius_cells=options.radius, block=options.block, threads=1)
    moving_windows(landscape(patchy(options.radius + 30)), windows)  # compile

    print(f"patchy, radius {options.radius}, block {options.block}: whole runs of Linkways, CPU seconds of one thread")
    print("   cells      windows  seconds  ms/window   us/cell")
    for size in sorted({options.size * 5 // 12, options.size * 17 // 24, options.size}):
        if size <= options.radius + 1:
            continue
        seconds, maps = whole(size, windows)
        print(
            f"{size**2:9,d}  {maps.windows:9,d}  {seconds:7.1f}  {seconds / maps.windows * 1e3:9.2f}"
            f"  {seconds / size**2 * 1e6:8.1f}"
        )
    print(f"largest estimated error of a window's map in the last run: {maps.error:.1e}")

    sample = Sample(landscape(patchy(options.size)), windows)
    solved = np.isfinite(sample.land.conductance[tuple(sample.cells.T)])
    chosen = np.flatnonzero(solved)
    if not options.whole_peer:
        chosen = chosen[np.linspace(0, len(chosen) - 1, options.sample).astype(int)]
    for name, setup in PEERS.items():
        each = compare(sample, chosen, name, setup)
        told = "whole" if options.whole_peer else f"scaled from {len(chosen)} windows"
        print(f"  the whole run, {told}: peer {each * maps.windows:.0f} s, ours {seconds:.1f} s (measured whole), "
              f"{each * maps.windows / seconds:.1f}x")  # fmt: skip
    large(5000, windows)


if __name__ == "__main__":
    main()
