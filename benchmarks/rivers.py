"""River connectivity: all indices and gains in two loops, beside riverconn.

    python benchmarks/rivers.py                          # everything; some minutes and 2 GB
    python benchmarks/rivers.py --only index threshold
    python benchmarks/rivers.py --repeats 5

CPU time of one thread, the smallest of ``--repeats``, after compilation. The rivers are random trees in which a reach
flows into one of the last few before it (long winding stems, as of rivers), numbered at random. Where Rscript finds the
package riverconn, its index and its gains are timed in the same run on the same river and the ratio is printed;
elsewhere the times of riverconn 0.3.33 that were measured once (R 4.2, 2 shared cores) stand for it, and are called
stored.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before numpy: spinning BLAS threads would count as CPU time

# ruff: noqa: E402
import numpy as np
import pandas as pd

from linkways import rivers
from linkways.rivers._dispersal import Dispersal, connected
from linkways.rivers._forest import edge_passability
from linkways.rivers._index import gains, mended_passabilities, read_passabilities, read_river

STORED = {(500, 50): 25.4}
"""Seconds that riverconn 0.3.33 took for the exponential index and the gains of all barriers, by reaches, barriers."""


def random_river(reaches: int, barriers: int, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A random tree, and barriers on different reaches (none at the outlet)."""
    rng = np.random.default_rng(seed)
    i = np.arange(1, reaches)
    below = np.maximum(0, i - 1 - rng.exponential(3, reaches - 1).astype(np.int64))
    number = rng.permutation(reaches)
    down = np.full(reaches, -1)
    down[number[1:]] = number[below]
    table = pd.DataFrame({"reach": np.arange(reaches), "down": down, "length_m": rng.uniform(100, 2000, reaches)})
    on = number[1 + rng.choice(reaches - 1, barriers, replace=False)]
    passable = {"pass_up": rng.random(barriers), "pass_down": rng.random(barriers)}
    return table, pd.DataFrame({"barrier": np.arange(barriers), "reach": on, **passable})


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Least CPU seconds of several runs, after one that compiles."""
    work()
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def index(repeats: int) -> None:
    """Index, both reach indices and the gains of all barriers."""
    for reaches, barriers in ((500, 50), (4_000, 400), (1_000_000, 100_000)):
        tables = random_river(reaches, barriers)
        river = read_river(*tables, "length_m", method="benchmark")
        now = read_passabilities(tables[1])
        then = mended_passabilities(tables[1], now, 1.0)
        kernel = Dispersal.of("exponential", "midpoints", 10_000.0)
        edges = edge_passability(river.forest, river.barriers, now.down, now.up)

        def scans(dispersal: Dispersal, river=river, now=now, then=then, edges=edges) -> object:
            found = connected(river.forest, river.weight, edges.down, edges.up, dispersal)
            return gains(river, edges, (now.down, now.up), (then.down, then.up), found)

        def arrays(tables=tables, dispersal=kernel, scans=scans) -> object:
            river = read_river(*tables, "length_m", method="benchmark")
            now = read_passabilities(tables[1])
            edges = edge_passability(river.forest, river.barriers, now.down, now.up)
            return scans(dispersal, river, now, mended_passabilities(tables[1], now, 1.0), edges)

        def method(tables=tables) -> object:
            return rivers.connectivity(*tables, passability="directional", kernel="exponential", distance_m=10_000.0)

        print(f"{reaches} reaches, {barriers} barriers: CCI, source and sink of all reaches, gain of all barriers")
        show("once numbered, no kernel", seconds(lambda scans=scans: scans(Dispersal()), repeats))
        show("once numbered, exponential kernel", seconds(lambda kernel=kernel, scans=scans: scans(kernel), repeats))
        own = show("from the arrays, exponential kernel", seconds(arrays, repeats))
        whole = show("rivers.connectivity, with DCIp, DCId and tables", seconds(method, repeats))
        peer = riverconn(*tables, (reaches, barriers))
        if peer is not None:
            spent, kind = peer
            print(
                f"  riverconn ({kind}): {spent:.4g} s, {spent / own:.3g} x the arrays, {spent / whole:.3g} x the method"
            )


def large(repeats: int) -> None:
    """A river as large as HydroRIVERS of the world, in a fresh process for its memory."""
    if "LINKWAYS_LARGE" not in os.environ:
        subprocess.run(
            [sys.executable, __file__, "--only", "large", "--repeats", str(repeats)],
            env={**os.environ, "LINKWAYS_LARGE": "1"},
            check=True,
        )
        return
    tables = random_river(8_500_000, 1_000_000)
    now = read_passabilities(tables[1])
    then = mended_passabilities(tables[1], now, 1.0)
    start = time.process_time()
    river = read_river(*tables, "length_m", method="benchmark")
    edges = edge_passability(river.forest, river.barriers, now.down, now.up)
    numbered = time.process_time() - start
    del tables
    kept = _memory_now()

    def scans() -> object:
        found = connected(river.forest, river.weight, edges.down, edges.up, Dispersal())
        return gains(river, edges, (now.down, now.up), (then.down, then.up), found)

    spent = seconds(scans, repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print("8500000 reaches, 1000000 barriers: CCI, source and sink of all reaches, gain of all barriers")
    show("numbering and edges", numbered)
    show("once numbered", spent)
    print(f"  memory: {kept:.2f} GB once numbered, {_peak_of(scans):.2f} GB at most in the scans, {peak:.2f} GB in all")


def _memory_now() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


def _peak_of(work: Callable[[], object]) -> float:
    """Most memory of the process during the work, looked at every few milliseconds."""
    import threading

    seen, done = [_memory_now()], threading.Event()

    def look() -> None:
        while not done.wait(0.005):
            seen.append(_memory_now())

    watcher = threading.Thread(target=look)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(seen)


def threshold(repeats: int) -> None:
    """The kernels that are not exponential, with sources, sinks and the slopes at all edges."""
    tables = random_river(1_000_000, 100_000)
    river = read_river(*tables, "length_m", method="benchmark")
    now = read_passabilities(tables[1])
    edges = edge_passability(river.forest, river.barriers, now.down, now.up)
    print("1000000 reaches, 100000 barriers: other kernels")
    for name, dispersal in (
        ("threshold of 10 km", Dispersal.of("threshold", "midpoints", 10_000.0)),
        ("threshold of 1000 km", Dispersal.of("threshold", "midpoints", 1e6)),
        ("thresholds of 10 km up and 1000 km down", Dispersal.of("threshold", "midpoints", None, 1e4, 1e6)),
        (
            "leptokurtic",
            Dispersal.of("leptokurtic", "midpoints", sigma_stationary_m=500.0, sigma_mobile_m=10_000.0),
        ),
        ("exponential, between points", Dispersal.of("exponential", "points", 10_000.0)),
    ):
        work = lambda d=dispersal: connected(river.forest, river.weight, edges.down, edges.up, d)  # noqa: E731
        show(name, seconds(work, min(repeats, 2)))


def draws(_: int) -> None:
    """Monte Carlo: a tenth of the draws, times ten."""
    tables = random_river(1_000_000, 100_000)
    print("1000000 reaches, 100000 barriers: 1,000 draws (100 measured, times ten)")
    for name, chosen in (
        ("passabilities, uniform", {"spread": 0.2, "distribution": "uniform"}),
        ("passabilities, beta", {"spread": 0.2}),
        (
            "passabilities, uniform, and 0.5 unmapped barriers per km",
            {"spread": 0.2, "distribution": "uniform", "unmapped_per_km": 0.5},
        ),
    ):
        rivers.uncertainty(*random_river(100, 10), draws=10, **chosen)
        start = time.process_time()
        rivers.uncertainty(*tables, draws=100, **chosen)
        show(name, 10 * (time.process_time() - start))


def removal(_: int) -> None:
    """The best removals for every budget at once, and what ranking loses."""
    from linkways.rivers._kernels import order_forest
    from linkways.rivers._removal_kernels import best_by_budget, plan_at

    print("100000 barriers, 1,000 budget levels: exact plans for all budgets")
    for dearest in (10, 100):
        rng = np.random.default_rng(1)
        to = np.r_[-1, (rng.random(99_999) * np.arange(1, 100_000)).astype(int)].astype(np.int32)
        down = order_forest(to)[2]
        cost = np.zeros(200_000, np.int64)
        cost[1::2] = rng.integers(1, dearest, 100_000)
        passed = np.ones(200_000)
        passed[::2] = rng.random(100_000) * 0.9
        starts = np.arange(0, 200_001, 2)
        case = (down, rng.random(100_000), starts, cost, passed)
        best_by_budget(*case, 2)
        begin = time.process_time()
        run = best_by_budget(*case, 1000)
        plan_at(down, starts, cost, *run[1:], 1000)
        show(f"costs of 1 to {dearest - 1} levels", time.process_time() - begin)
    for count in (200, 2000):
        reaches, barriers = random_river(4 * count, count, seed=5)
        barriers["cost"] = np.random.default_rng(5).integers(1, 60, count)
        rivers.remove(reaches, barriers, budget=60, curve_steps=1)
        begin = time.process_time()
        found = rivers.remove(reaches, barriers, budget=20.0 * count / 10, curve_steps=1)
        spent = time.process_time() - begin
        share = 100 * found.greedy_share
        show(f"{count} barriers, one plan with tables (ranking reaches {share:.0f} % of its gain)", spent)


def show(what: str, spent: float) -> float:
    print(f"  {what}: {spent:.4g} s", flush=True)
    return spent


SCRIPT = """
suppressPackageStartupMessages({library(riverconn); library(igraph)})
edges <- read.csv("edges.csv", colClasses = c("character", "character", "character", "numeric", "numeric"))
nodes <- read.csv("nodes.csv", colClasses = c("character", "numeric"))
river <- graph_from_data_frame(edges, vertices = nodes)
dams <- data.frame(id_barrier = edges$id_barrier[!is.na(edges$id_barrier)], pass_u_updated = 1, pass_d_updated = 1)
spent <- system.time(d_index_calculation(river, barriers_metadata = dams, param = exp(-1 / 10000), parallel = FALSE))
cat(spent[["user.self"]] + spent[["sys.self"]])
"""


def riverconn(reaches: pd.DataFrame, barriers: pd.DataFrame, size: tuple[int, int]) -> tuple[float, str] | None:
    """Seconds of riverconn for the index and all gains, measured now or stored."""
    if shutil.which("Rscript") and size[0] <= 1000:
        with tempfile.TemporaryDirectory() as folder:
            _write_for_riverconn(reaches, barriers, Path(folder))
            ran = subprocess.run(["Rscript", "-e", SCRIPT], cwd=folder, capture_output=True, text=True, check=False)
        if ran.returncode == 0:
            return float(ran.stdout), "same run"
        print(f"  riverconn did not run: {ran.stderr.strip().splitlines()[-1]}")
    return (STORED[size], "stored") if size in STORED else None


def _write_for_riverconn(reaches: pd.DataFrame, barriers: pd.DataFrame, folder: Path) -> None:
    flows = reaches[reaches["down"] >= 0]
    edges = pd.DataFrame({"from": flows["reach"], "to": flows["down"]}).merge(
        barriers.rename(columns={"reach": "from", "barrier": "id_barrier", "pass_up": "pass_u", "pass_down": "pass_d"}),
        on="from",
        how="left",
    )
    edges.to_csv(folder / "edges.csv", index=False, na_rep="NA")
    nodes = pd.DataFrame({"name": reaches["reach"], "length": reaches["length_m"]})
    nodes.to_csv(folder / "nodes.csv", index=False)


PARTS = {"index": index, "threshold": threshold, "draws": draws, "removal": removal, "large": large}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    for name in given.only:
        PARTS[name](given.repeats)


if __name__ == "__main__":
    main()
