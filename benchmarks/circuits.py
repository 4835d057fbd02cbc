"""Circuit solves on rasters: Linkways' multigrid beside pyamg, at equal error of the current map.

    python benchmarks/circuits.py                              # 500, 1000 and 3000 cells a side
    python benchmarks/circuits.py --sizes 1000 --repeats 5 --landscapes patchy

One pair of cells: every solver runs at the loosest tolerance of a ladder (untimed) whose node-current map is within
``--error`` (L1, relative) of a tight solve; then all run in turn, ``--repeats`` times, and the smallest CPU time of
each counts. The time of pyamg is its set-up and solve, without the assembly of the matrix; that of Linkways is
everything from the raster on. Many focal points: all pairs, cumulative and maximum current map; pyamg's time is its
measured set-up and the mean of two measured solves times the number of solves, without any map. Peak memory is that
of a fresh process that runs only Linkways, interpreter and compiler included.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before numpy: spinning BLAS threads would count as CPU time

# ruff: noqa: E402
import numpy as np
from scipy.ndimage import gaussian_filter, label
from scipy.sparse import coo_array, csr_array

from linkways.kernels.current import node_currents, pair_currents
from linkways.kernels.laplacian import Stencil, raster_stencil
from linkways.kernels.multigrid import Sources, build_hierarchy, focal_voltages, solve

try:
    import pyamg
except ImportError:
    pyamg = None

LADDER = [10.0 ** (-n / 2) for n in range(6, 25)]


def random_landscape(size: int, rng: np.random.Generator) -> np.ndarray:
    """Independent lognormal resistances, clipped to 1..100, no holes."""
    return np.clip(np.exp(rng.normal(2, 1.2, (size, size))), 1, 100)


def patchy_landscape(size: int, rng: np.random.Generator) -> np.ndarray:
    """Clustered resistances 1..1000, 10 % nodata in blobs, thin wandering barriers of 1e4 with gaps."""
    field = gaussian_filter(rng.normal(size=(size, size)), 6)
    classes = np.digitize(field, np.quantile(field, [0.25, 0.5, 0.7, 0.85]))
    raster = np.array([1.0, 5, 20, 100, 1000])[classes]
    blobs = gaussian_filter(rng.normal(size=(size, size)), 8)
    raster[blobs > np.quantile(blobs, 0.9)] = np.nan
    for _ in range(size // 40):
        at = rng.integers(size, size=2)
        ahead = rng.integers(2)
        for _ in range(size // 2):
            if not ((at >= 0) & (at < size)).all():
                break
            if rng.random() < 0.97 and not np.isnan(raster[tuple(at)]):
                raster[tuple(at)] = 1e4
            at[ahead] += 1
            at[1 - ahead] += rng.integers(-1, 2)
    labels, _ = label(~np.isnan(raster), np.ones((3, 3)))
    raster[labels != np.bincount(labels.ravel())[1:].argmax() + 1] = np.nan
    return raster


LANDSCAPES = {"patchy": patchy_landscape, "random": random_landscape}


def focal_cells(raster: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    cells = np.argwhere(~np.isnan(raster))
    return cells[rng.choice(len(cells), count, replace=False)]


def grounded_matrix(stencil: Stencil, ground: np.ndarray) -> tuple[csr_array, np.ndarray]:
    """The matrix without the ground's row and column, and the flat numbers of its cells."""
    nodes = stencil.nodes.copy()
    nodes[tuple(ground)] = False
    number = np.full(stencil.diagonal.shape, -1)
    number[1:-1, 1:-1][nodes] = np.arange(nodes.sum())
    heads, tails, values = [], [], []
    steps = ((stencil.east, 0, 1), (stencil.south, 1, 0), (stencil.southeast, 1, 1), (stencil.southwest, 1, -1))
    for edge, down, right in steps:
        i, j = np.nonzero(edge)
        a, b = number[i, j], number[i + down, j + right]
        kept = (a >= 0) & (b >= 0)
        heads.append(a[kept])
        tails.append(b[kept])
        values.append(-edge[i, j][kept])
    a, b, c = (np.concatenate(part) for part in (heads, tails, values))
    own = np.arange(nodes.sum())
    entries = np.concatenate([c, c, stencil.diagonal[1:-1, 1:-1][nodes]])
    matrix = coo_array((entries, (np.concatenate([a, b, own]), np.concatenate([b, a, own])))).tocsr()
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return matrix, np.flatnonzero(nodes)


def linkways_pair(raster: np.ndarray, cells: np.ndarray, tolerance: float) -> np.ndarray:
    hierarchy = build_hierarchy(raster_stencil(raster))
    zero = np.zeros(2, dtype=np.intp)
    sources = Sources(zero, cells[:, 0], cells[:, 1], np.array([1.0, -1.0]), 1)
    return solve(hierarchy, sources, tolerance=tolerance).voltages[0]


def pyamg_pair(
    kind: str, matrix: csr_array, numbers: np.ndarray, shape: tuple[int, int], source: np.ndarray, tolerance: float
) -> np.ndarray:
    build = pyamg.smoothed_aggregation_solver if kind == "SA" else pyamg.ruge_stuben_solver
    b = (numbers == source[0] * shape[1] + source[1]).astype(float)
    voltages = np.zeros(shape[0] * shape[1])
    voltages[numbers] = build(matrix).solve(b, tol=tolerance, accel="cg", maxiter=300)
    return voltages.reshape(shape)


def cpu(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def loosest(
    run: Callable[[float], np.ndarray], stencil: Stencil, tight: np.ndarray, error: float
) -> tuple[float, float]:
    """The first tolerance of the ladder whose current map is within ``error`` of ``tight``, and its error."""
    found = np.inf
    for tolerance in LADDER:
        found = np.abs(node_currents(stencil, run(tolerance)) - tight).sum() / tight.sum()
        if found <= error:
            break
    return tolerance, found


def one_pair(name: str, size: int, options: argparse.Namespace) -> None:
    rng = np.random.default_rng(options.seed)
    raster = LANDSCAPES[name](size, rng)
    cells = focal_cells(raster, 2, rng)
    stencil = raster_stencil(raster)
    tight = node_currents(stencil, linkways_pair(raster, cells, 1e-12))
    runs = {"Linkways": lambda tolerance: linkways_pair(raster, cells, tolerance)}
    if pyamg is not None and size <= options.peer_up_to:
        matrix, numbers = grounded_matrix(stencil, cells[1])
        for kind in ("SA", "RS"):
            runs[f"pyamg {kind}-CG"] = lambda tolerance, kind=kind: pyamg_pair(
                kind, matrix, numbers, raster.shape, cells[0], tolerance
            )
    chosen = {who: loosest(run, stencil, tight, options.error) for who, run in runs.items()}
    seconds: dict[str, list[float]] = {who: [] for who in runs}
    for _ in range(options.repeats):
        for who, run in runs.items():
            seconds[who].append(cpu(lambda run=run, who=who: run(chosen[who][0])))
    best = {who: min(times) for who, times in seconds.items()}
    for who in runs:
        tolerance, error = chosen[who]
        print(
            f"{name:8} {size:5} {who:12} tol {tolerance:7.0e}  error {error:8.1e}  "
            f"{best[who]:8.3f} s  {best[who] / best['Linkways']:6.1f} x",
            flush=True,
        )


def many_points(name: str, size: int, options: argparse.Namespace) -> None:
    rng = np.random.default_rng(options.seed)
    raster = LANDSCAPES[name](size, rng)
    cells = focal_cells(raster, options.focal, rng)
    pairs = np.array(list(combinations(range(options.focal), 2)))

    def ours() -> None:
        stencil = raster_stencil(raster)
        hierarchy = build_hierarchy(stencil)
        voltages = focal_voltages(
            hierarchy, cells[:, 0], cells[:, 1], tolerance=options.tolerance, threads=options.threads
        ).voltages
        pair_currents(stencil, voltages, cells[:, 0], cells[:, 1], pairs, threads=options.threads)

    best, wall = np.inf, np.inf
    for _ in range(options.repeats):
        start = time.perf_counter()
        best = min(best, cpu(ours))
        wall = min(wall, time.perf_counter() - start)
    print(
        f"{name:8} {size:5} Linkways     {options.focal} focal points, {len(pairs)} pairs, cumulative and maximum: "
        f"{best:.2f} s CPU, {wall:.2f} s elapsed on {options.threads} threads"
    )
    if pyamg is None or size > options.peer_up_to:
        return
    matrix, numbers = grounded_matrix(raster_stencil(raster), cells[-1])
    for kind, build in (("SA", pyamg.smoothed_aggregation_solver), ("RS", pyamg.ruge_stuben_solver)):
        start = time.process_time()
        solver = build(matrix)
        setup = time.process_time() - start
        times = []
        for source in cells[:2]:
            b = (numbers == source[0] * size + source[1]).astype(float)
            times.append(cpu(lambda b=b, solver=solver: solver.solve(b, tol=1e-8, accel="cg", maxiter=300)))
        total = setup + (options.focal - 1) * float(np.mean(times))
        print(
            f"{name:8} {size:5} pyamg {kind}-CG  {setup:.2f} s + {options.focal - 1} x {np.mean(times):.2f} s = "
            f"{total:.1f} s CPU (two solves measured), {total / best:.1f} x, no maps"
        )


def peak_gigabytes() -> float:
    """Peak resident memory of this process; getrusage alone would report the parent's where that was larger."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return float(lines["VmHWM"].split()[0]) / 1024**2
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def memory(name: str, size: int, task: str, options: argparse.Namespace) -> None:
    command = [sys.executable, __file__, "--child", task, "--sizes", str(size), "--landscapes", name]
    command += ["--focal", str(options.focal), "--threads", str(options.threads), "--tolerance", str(options.tolerance)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    print(f"{name:8} {size:5} Linkways     {task}: peak memory {float(result.stdout.split()[-1]):.2f} GB", flush=True)


def child(options: argparse.Namespace) -> None:
    """Run one task alone and print the peak resident memory of the process in GB."""
    size, name = options.sizes[0], options.landscapes[0]
    rng = np.random.default_rng(options.seed)
    raster = LANDSCAPES[name](size, rng)
    count = 2 if options.child == "pair" else options.focal
    cells = focal_cells(raster, count, rng)
    stencil = raster_stencil(raster)
    hierarchy = build_hierarchy(stencil)
    rows, columns = cells[:, 0], cells[:, 1]
    voltages = focal_voltages(hierarchy, rows, columns, tolerance=options.tolerance, threads=options.threads).voltages
    pairs = np.array(list(combinations(range(count), 2)))
    pair_currents(stencil, voltages, rows, columns, pairs, threads=options.threads)
    print(peak_gigabytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 3000])
    parser.add_argument("--landscapes", nargs="+", choices=sorted(LANDSCAPES), default=sorted(LANDSCAPES))
    parser.add_argument("--focal", type=int, default=20, help="focal points of the all-pairs run")
    parser.add_argument("--focal-size", type=int, default=1000, help="side of its raster; 0 leaves it out")
    parser.add_argument("--error", type=float, default=1e-6, help="L1 error of the current map, relative")
    parser.add_argument("--tolerance", type=float, default=1e-8, help="of the all-pairs run")
    parser.add_argument("--peer-up-to", type=int, default=1000, help="largest side on which pyamg runs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of the all-pairs run; single pairs take one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", choices=["pair", "focal"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    if pyamg is None:
        print("pyamg is not installed: its rows are left out (pip install pyamg)")
    options_of_warm_up = argparse.Namespace(**vars(options) | {"focal": 3, "repeats": 1, "peer_up_to": 0})
    print("(compiling) ", end="")
    many_points("random", 40, options_of_warm_up)
    for size in options.sizes:
        for name in options.landscapes:
            one_pair(name, size, options)
        memory(options.landscapes[0], size, "pair", options)
    if options.focal_size:
        for name in options.landscapes:
            many_points(name, options.focal_size, options)
        memory(options.landscapes[0], options.focal_size, "focal", options)


if __name__ == "__main__":
    main()
