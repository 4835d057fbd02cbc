"""Importance of every patch for the probability of connectivity (dPC): Linkways beside Conefor and plain deletion.

    python benchmarks/networks.py                              # 300 to 100,000 patches
    python benchmarks/networks.py --sizes 1000 --repeats 5
    python benchmarks/networks.py --conefor /path/to/conefor   # runs its command line on the small networks, too

Simulated networks: random points at a density of one, links between points less than 1.63 apart (about four per
patch), lognormal attributes, and a median dispersal distance as long as the mean link. Every figure is CPU time in
seconds (user and system) of a fresh process with compiled code, the least of the repeats; memory is its peak.

Up to 2,000 patches all pairs count. Beyond, detours are sought between pairs with p* >= 1e-4 and sums go on to 1e-8:
"missing" is the largest share of PCnum that is left out and "error" the farthest that any patch's dPC can be from its
exact value, both certified by the run itself; "typical" is the median error of a patch in % of its own dPC.

Conefor 2.7.3 is run where its path is given; otherwise its times are stored ones, measured once on another network of
the same kind and size on a machine like this, that of 1,000 patches scaled up from 11 of them. "deletion" is what the
definition says, with SciPy's Dijkstra over all pairs once without each patch: a few patches, scaled to all.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before numpy: spinning BLAS threads would count as CPU time

# ruff: noqa: E402
import numpy as np

from linkways.kernels import reach

STORED = {300: 30.7, 1000: 4000.0}  # CPU seconds
EXACT_UP_TO = 2000
SMALLEST = 1e-4


def random_network(patches: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulated: links, their -ln p, and the patches' attributes."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(seed)
    at = rng.random((patches, 2)) * math.sqrt(patches)
    ends = cKDTree(at).query_pairs(math.sqrt(8.4 / math.pi), output_type="ndarray")
    length = np.hypot(*(at[ends[:, 0]] - at[ends[:, 1]]).T)
    return ends, length * (math.log(2) / length.mean()), rng.lognormal(0, 1, patches)


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def linkways(patches: int, links: bool, threads: int) -> dict[str, float]:
    """One run in this process."""
    ends, weight, attribute = random_network(patches)
    small = random_network(30)
    reach.removal_loss(reach.graph(30, *small[:2]), small[2], links=len(small[0]), threads=1)  # compiled
    horizon = -math.log(SMALLEST) if patches > EXACT_UP_TO else math.inf
    started, began = cpu(), time.perf_counter()
    found = reach.removal_loss(
        reach.graph(patches, ends, weight),
        attribute,
        2 * horizon,
        repair_horizon=horizon,
        links=len(ends) if links else 0,
        threads=threads,
    )
    return {
        "links": len(ends),
        "cpu": cpu() - started,
        "elapsed": time.perf_counter() - began,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "missing": found.bound / found.total,
        "error": float((found.error / found.total).max()),
        "typical": float(np.median(found.error / found.node)),
    }


def deletion(patches: int, sample: int = 3) -> float:
    """CPU seconds of all pairs once without each patch, from a few of them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    ends, weight, attribute = random_network(patches)
    graph = coo_array((weight, ends.T), shape=(patches, patches)).tocsr()
    started = cpu()
    for k in np.linspace(0, patches - 1, sample).astype(int):
        kept = np.arange(patches) != k
        lengths = dijkstra(graph[kept][:, kept], directed=False)
        attribute[kept] @ np.exp(-lengths) @ attribute[kept]
    return (cpu() - started) / sample * patches


def conefor(binary: Path, patches: int) -> float:
    """CPU seconds of Conefor's command line on the same network: PC with the importance of all patches."""
    ends, weight, attribute = random_network(patches)
    with tempfile.TemporaryDirectory() as folder:
        nodes, links = Path(folder, "nodes.txt"), Path(folder, "links.txt")
        np.savetxt(nodes, np.column_stack((np.arange(patches), attribute)), fmt=("%d", "%.9g"), delimiter="\t")
        np.savetxt(links, np.column_stack((ends, weight / math.log(2))), fmt=("%d", "%d", "%.12g"), delimiter="\t")
        options = ["-t", "dist", "notall", "-confProb", "1", "0.5", "-PC"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [binary.resolve(), "-nodeFile", nodes.name, "-conFile", links.name, *options],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def child(*arguments: object) -> dict[str, float]:
    """A run of Linkways in a fresh process."""
    command = [sys.executable, __file__, "--run", *(str(a) for a in arguments)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def row(patches: int, repeats: int, threads: int, binary: Path | None) -> str:
    """One line of the table."""
    runs = [(child(patches, 0, 1), child(patches, 1, 1)) for _ in range(repeats)]
    nodes = min((run[0] for run in runs), key=lambda run: run["cpu"])
    both = min((run[1] for run in runs), key=lambda run: run["cpu"])
    side_by_side = min(child(patches, 0, threads)["elapsed"] for _ in range(repeats))
    theirs = "-"
    if binary is not None and patches <= 1000:
        theirs = f"{conefor(binary, patches):.0f}"
    elif patches in STORED:
        theirs = f"{STORED[patches]:.0f} stored"
    plain = f"{deletion(patches):.1f}" if patches <= EXACT_UP_TO else "-"
    share = [f"{100 * nodes[k]:.2g} %" for k in ("missing", "error", "typical")]
    return (
        f"{patches:>8,} {int(nodes['links']):>8,} {nodes['cpu']:>9.2f} {both['cpu']:>10.2f} {side_by_side:>9.2f} "
        f"{both['memory']:>7.0f} {share[0]:>10} {share[1]:>10} {share[2]:>10} {plain:>10} {theirs:>12}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[300, 1000, 2000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--conefor", type=Path, help="Conefor's command line program")
    parser.add_argument("--run", type=int, nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        print(json.dumps(linkways(given.run[0], bool(given.run[1]), given.run[2])))
        return
    print(
        f"{'':>17} {'Linkways, CPU s':>20} {'elapsed s':>9} {'MB':>7} {'at most':>32} {'CPU s':>10} {'CPU s':>12}\n"
        f"{'patches':>8} {'links':>8} {'patches':>9} {'and links':>10} {given.threads:>5} thr {'peak':>7} "
        f"{'missing':>10} {'error':>10} {'typical':>10} {'deletion':>10} {'Conefor':>12}"
    )
    for patches in given.sizes:
        print(row(patches, given.repeats, given.threads, given.conefor), flush=True)


if __name__ == "__main__":
    main()
