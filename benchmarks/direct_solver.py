"""Direct solution of raster Laplacians: Linkways' nested dissection beside SuperLU and CHOLMOD.

    python benchmarks/direct_solver.py                         # 250, 500 and 1000 cells a side
    python benchmarks/direct_solver.py --sizes 2000 --repeats 1 --landscapes patchy

Factor: one factorisation. Solve: eight pairs of cells at once. Edit: ten by ten cells get another resistance and one
pair is solved again; peers factor again, with their old ordering where they can keep it. All take turns, ``--repeats``
times, and the smallest CPU time of each counts, on one thread. Linkways starts from the raster, its peers from an
assembled matrix with one cell grounded. SuperLU comes with SciPy; CHOLMOD through kvxopt or scikit-sparse, when
installed (either is for comparison only: Linkways neither needs nor uses them). Then, on Linkways alone: elapsed time
with ``--threads`` threads, and the peak memory (on Linux) of a fresh process
that factors and solves.
"""

from __future__ import annotations

import os

# before numpy: spinning BLAS threads would count as CPU time
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from circuits import LANDSCAPES, cpu, focal_cells, grounded_matrix
from scipy.sparse import csc_array, tril
from scipy.sparse.linalg import splu

from linkways.kernels.laplacian import Stencil, raster_stencil
from linkways.kernels.nested_dissection import Factor, factorise

PAIRS = 8


class Linkways:
    """Everything from the raster on."""

    name = "Linkways"

    def __init__(self, raster: np.ndarray, pairs: np.ndarray) -> None:
        self.raster, self.pairs = raster, pairs
        self.factor_: Factor | None = None

    def currents(self, pairs: np.ndarray) -> np.ndarray:
        currents = np.zeros((len(pairs), *self.raster.shape))
        for k, (a, b) in enumerate(pairs):
            currents[k, *a] += 1
            currents[k, *b] -= 1
        return currents

    def factor(self) -> None:
        self.factor_ = None  # here and below: a second factor beside the first would cost new memory
        self.factor_ = factorise(raster_stencil(self.raster), editable=True)

    def solve(self) -> np.ndarray:
        return self.resistances(self.factor_, self.pairs)

    def resistances(self, factor: Factor, pairs: np.ndarray) -> np.ndarray:
        voltages = factor.solve(self.currents(pairs))
        return np.array([v[*a] - v[*b] for v, (a, b) in zip(voltages, pairs, strict=True)])

    def edit(self, raster: np.ndarray) -> np.ndarray:
        return self.resistances(self.factor_.update(raster_stencil(raster)), self.pairs[:1])


class Peer:
    """A sparse solver that gets the assembled matrix, the ground at the first pair's second cell."""

    name = ""

    def __init__(self, raster: np.ndarray, pairs: np.ndarray) -> None:
        self.matrix, cells = grounded_matrix(raster_stencil(raster), pairs[0, 1])
        row = np.full(raster.size, -1)
        row[cells] = np.arange(cells.size)
        self.ends = row[pairs[..., 0] * raster.shape[1] + pairs[..., 1]]
        self.ground = pairs[0, 1]

    def right_hand_sides(self, count: int) -> np.ndarray:
        b = np.zeros((self.matrix.shape[0], count), order="F")
        for k, (source, sink) in enumerate(self.ends[:count]):
            b[source, k] += source >= 0
            b[sink, k] -= sink >= 0
        return b

    def resistances(self, x: np.ndarray) -> np.ndarray:
        v = np.vstack([x, np.zeros(x.shape[1])])  # row -1 is the ground
        own = np.arange(x.shape[1])
        return v[self.ends[: x.shape[1], 0], own] - v[self.ends[: x.shape[1], 1], own]

    def prepare_edit(self, raster: np.ndarray) -> None:
        self.edited = grounded_matrix(raster_stencil(raster), self.ground)[0]


class SuperLU(Peer):
    name = "SuperLU"

    def factor(self) -> None:
        self.lu = None
        self.lu = self.decompose(self.matrix)

    @staticmethod
    def decompose(matrix: csc_array) -> object:
        options = {"SymmetricMode": True}
        return splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)

    def solve(self) -> np.ndarray:
        return self.resistances(self.lu.solve(self.right_hand_sides(PAIRS)))

    def edit(self, _raster: np.ndarray) -> np.ndarray:
        return self.resistances(self.decompose(self.edited).solve(self.right_hand_sides(1)))


class CholmodOfKvxopt(Peer):
    name = "CHOLMOD (kvxopt)"

    def __init__(self, raster: np.ndarray, pairs: np.ndarray) -> None:
        super().__init__(raster, pairs)
        self.a = self.sparse(self.matrix)

    @staticmethod
    def sparse(matrix: csc_array) -> object:
        from kvxopt import matrix as dense
        from kvxopt import spmatrix

        lower = tril(matrix).tocoo()
        i, j = (dense(part.astype(np.int64)) for part in (lower.row, lower.col))
        return spmatrix(dense(lower.data), i, j, matrix.shape)

    def factor(self) -> None:
        from kvxopt import cholmod

        self.symbol = None
        self.symbol = cholmod.symbolic(self.a)
        cholmod.numeric(self.a, self.symbol)

    def solve(self) -> np.ndarray:
        return self.back(PAIRS)

    def back(self, count: int) -> np.ndarray:
        from kvxopt import cholmod
        from kvxopt import matrix as dense

        b = dense(self.right_hand_sides(count))
        cholmod.solve(self.symbol, b)
        return self.resistances(np.array(b))

    def prepare_edit(self, raster: np.ndarray) -> None:
        super().prepare_edit(raster)
        self.a_edited = self.sparse(self.edited)

    def edit(self, _raster: np.ndarray) -> np.ndarray:
        from kvxopt import cholmod

        cholmod.numeric(self.a_edited, self.symbol)
        return self.back(1)


class CholmodOfScikitSparse(Peer):
    name = "CHOLMOD (scikit-sparse)"

    def factor(self) -> None:
        from sksparse.cholmod import cholesky

        self.symbol = None
        self.symbol = cholesky(self.matrix.tocsc())

    def solve(self) -> np.ndarray:
        return self.resistances(self.symbol(self.right_hand_sides(PAIRS)))

    def edit(self, _raster: np.ndarray) -> np.ndarray:
        self.symbol.cholesky_inplace(self.edited.tocsc())
        return self.resistances(self.symbol(self.right_hand_sides(1)))


def solvers(size: int, options: argparse.Namespace) -> list[type]:
    chosen: list[type] = [Linkways]
    if size <= options.superlu_up_to:
        chosen.append(SuperLU)
    for module, kind in (("kvxopt", CholmodOfKvxopt), ("sksparse", CholmodOfScikitSparse)):
        if size <= options.cholmod_up_to and importlib.util.find_spec(module):
            chosen.append(kind)
    return chosen


def edited(raster: np.ndarray) -> np.ndarray:
    """Ten by ten cells beside the middle, where cuts of all sizes pass, become as hard as the hardest cell."""
    other = raster.copy()
    middle = raster.shape[0] // 2
    window = other[middle + 3 : middle + 13, middle - 30 : middle - 20]
    window[~np.isnan(window)] = np.nanmax(raster)
    return other


def compare(landscape: str, size: int, options: argparse.Namespace) -> None:
    rng = np.random.default_rng(options.seed)
    raster = LANDSCAPES[landscape](size, rng)
    other = edited(raster)
    pairs = focal_cells(raster, 2 * PAIRS, rng).reshape(PAIRS, 2, 2)
    running = [kind(raster, pairs) for kind in solvers(size, options)]
    for solver in running[1:]:
        solver.prepare_edit(other)
    seconds: dict[tuple[str, str], list[float]] = {}
    found: dict[tuple[str, str], np.ndarray] = {}

    def timed(solver: Linkways | Peer, task: str, run: Callable[[], np.ndarray | None]) -> None:
        def keep() -> None:
            found[solver.name, task] = run()

        seconds.setdefault((solver.name, task), []).append(cpu(keep))

    for _ in range(options.repeats):
        for solver in running:
            timed(solver, "factor", solver.factor)
            timed(solver, "solve 8", solver.solve)
            timed(solver, "edit", lambda solver=solver: solver.edit(other))
    for task in ("factor", "solve 8", "edit"):
        ours = min(seconds["Linkways", task])
        for solver in running:
            best = min(seconds[solver.name, task])
            line = f"{landscape:8} {size:5} {task:8} {solver.name:24} {best:8.3f} s {best / ours:6.1f} x"
            if task != "factor":
                reference = found["Linkways", task]
                line += f"  resistances differ by {np.max(np.abs(found[solver.name, task] / reference - 1)):.0e}"
            print(line, flush=True)
    factor = running[0].factor_
    print(f"{landscape:8} {size:5} the factor holds {factor.entries / raster.size:.1f} float64 per cell", flush=True)
    del factor, running[0].factor_
    elapsed(landscape, raster_stencil(raster), options)


def elapsed(landscape: str, stencil: Stencil, options: argparse.Namespace) -> None:
    best = {}
    for threads in (1, options.threads) * options.repeats:
        start = time.perf_counter()
        factorise(stencil, threads=threads)
        best[threads] = min(best.get(threads, np.inf), time.perf_counter() - start)
    text = ", ".join(f"{seconds:.2f} s on {threads}" for threads, seconds in best.items())
    print(f"{landscape:8} {stencil.shape[0]:5} elapsed to factor, by threads: {text}", flush=True)


def memory(landscape: str, size: int) -> None:
    for task in ("nothing", "factor", "editable"):
        command = [sys.executable, __file__, "--child", task, "--sizes", str(size), "--landscapes", landscape]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"{landscape:8} {size:5} peak memory, {task:8}: {float(result.stdout.split()[-1]):.2f} GB", flush=True)


def child(options: argparse.Namespace) -> None:
    """Do one task alone and print the peak resident memory of the process in GB."""
    rng = np.random.default_rng(options.seed)
    size = options.sizes[0] if options.child != "nothing" else 40
    raster = LANDSCAPES[options.landscapes[0]](size, rng)
    solver = Linkways(raster, focal_cells(raster, 2 * PAIRS, rng).reshape(PAIRS, 2, 2))
    solver.factor_ = factorise(raster_stencil(raster), editable=options.child == "editable")
    solver.solve()
    # of this program alone: getrusage on Linux starts from the peak of the program that started it
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024**2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[250, 500, 1000])
    parser.add_argument("--landscapes", nargs="+", choices=sorted(LANDSCAPES), default=sorted(LANDSCAPES))
    parser.add_argument("--superlu-up-to", type=int, default=500, help="largest side on which SuperLU runs")
    parser.add_argument("--cholmod-up-to", type=int, default=1000, help="largest side on which CHOLMOD runs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of the elapsed time; all else takes one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", choices=["nothing", "factor", "editable"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    if not any(importlib.util.find_spec(module) for module in ("kvxopt", "sksparse")):
        print("CHOLMOD is not installed: its rows are left out (pip install kvxopt, or scikit-sparse)")
    start = time.process_time()
    warm_up = Linkways(np.ones((40, 40)), np.array([[[0, 0], [1, 1]]]))
    warm_up.factor()
    warm_up.edit(edited(warm_up.raster))
    print(f"compiling (or loading compiled code): {time.process_time() - start:.1f} s")
    for size in options.sizes:
        for landscape in options.landscapes:
            compare(landscape, size, options)
        if Path("/proc/self/status").exists():
            memory(options.landscapes[0], size)


if __name__ == "__main__":
    main()
