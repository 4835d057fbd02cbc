"""Populations beside their peers: one part for each science, each printing its figures in one run.

    python benchmarks/populations.py [--part NAME ...] [--data FOLDER OF REFERENCE DATA]

CPU seconds, the least of several repeats after a first call that loads the compiled kernels. Peers that are R packages
or other programs were measured once on a machine of the same kind (two shared cores) and stand here as they were noted.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from linkways import populations, spatial


def cpu_seconds(job: Callable[[], Any], repeats: int = 3) -> float:
    """The least CPU time of a job, all its threads counted."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        job()
        best = min(best, time.process_time() - begin)
    return best


def line(what: str, ours: float, peer: str = "", theirs: float | None = None) -> None:
    beside = "" if theirs is None else f"{theirs:8.2f} s   {theirs / ours:8.0f} x"
    print(f"{what:66} {ours:9.4f} s   {peer:34} {beside}")


def viability(_: Path) -> None:
    """Individuals of two populations over 100 years, 20 loci, inbreeding depression with lethals."""
    stages = pd.DataFrame(
        {
            "stage": ["cub", "subadult", "adult"],
            "survival": [0.6, 0.8, 0.93],
            "survival_sd": [0.1, 0.05, 0.02],
            "fecundity": [0.0, 0.0, 0.7],
            "years": [1, 3, None],
        }
    )
    two = pd.DataFrame({"population": ["west", "east"], "number": [120, 30], "capacity": [120, 30]})
    corridor = pd.DataFrame({"source": ["west", "east"], "target": ["east", "west"], "rate": [0.02, 0.02]})
    settings: dict[str, Any] = {"dispersal": corridor, "lethal_equivalents": 3.14, "years": 100}
    populations.viability(stages, two, replicates=50, **settings)
    ours = cpu_seconds(lambda: populations.viability(stages, two, replicates=1000, **settings))
    line("viability: 1,000 replicates, tables and figure", ours, "numba prototype, 1.1 ms each", 1.1)
    begin, cpu = time.perf_counter(), time.process_time()
    populations.viability(stages, two, replicates=10_000, **settings)
    wall = time.perf_counter() - begin
    line("viability: 10,000 replicates", time.process_time() - cpu)
    print(f"{'':4}of which {wall:.1f} s on the clock with all cores (target: under 20 s on 2 cores)")
    five = cpu_seconds(
        lambda: populations.viability(
            stages,
            pd.DataFrame({"population": list("abcdefg"), "number": 200, "capacity": 250}),
            replicates=2,
            years=5,
            lethal_equivalents=0.0,
        )
    )
    line("viability: 7 populations, 1,400 individuals, 5 years", five / 2, "CDMetaPOP 3.08, 900-1,824 ind.", 28.8)


def genes(folder: Path) -> None:
    """Resistance from genetic distances of 37 sites on 28,080 cells; 300 pairs of genes; the recursion."""
    home = folder / "melip"
    if home.is_dir():
        layers = [spatial.read_raster(home / f"{name}.tif").rename(name) for name in ("forest", "alt")]
        places = pd.read_csv(home / "coords.csv")
        distances = pd.read_csv(home / "Fst.csv").to_numpy()
        names = [f"site {k}" for k in range(len(places))]
        sites = gpd.GeoDataFrame({"population": names}, geometry=gpd.points_from_xy(places.x, places.y), crs=4326)
        pairs = [(names[i], names[j], distances[i, j]) for i, j in itertools.combinations(range(len(names)), 2)]
        genetic = pd.DataFrame(pairs, columns=["population_a", "population_b", "fst"])
        found = populations.resistance_from_genes(layers, sites, genetic, steps="cells", compare=False)
        ours = cpu_seconds(
            lambda: populations.resistance_from_genes(layers, sites, genetic, steps="cells", compare=False)
        )
        line("resistance from genes: melip, two covariates, with errors", ours, "radish 0.0.2 (5.7-7.7 s)", 5.9)
        effects = ", ".join(f"{v:.7f}" for v in found.covariates["effect"])
        print(f"{'':4}effects {effects} (radish: 0.0847068, -0.4981839)")
    two = pd.DataFrame({"population": ["west", "east"], "size": [120, 30]})
    flow = pd.DataFrame({"source": ["west", "east"], "target": ["east", "west"], "rate": [0.005, 0.02]})

    def forward(replicates: int) -> Any:
        return populations.gene_flow(two, flow, generations=100, replicates=replicates)

    forward(10)
    line("gene flow: 1,000 forward simulations, 100 generations, 20 loci", cpu_seconds(lambda: forward(1000)))
    line("gene flow: the exact recursion alone", cpu_seconds(lambda: forward(0)))


PARTS: dict[str, Callable[[Path], None]] = {"viability": viability, "genes": genes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=sorted(PARTS), default=sorted(PARTS))
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data" / "populations")
    arguments = parser.parse_args()
    for name in arguments.part:
        print(f"\n{name}")
        PARTS[name](arguments.data)


if __name__ == "__main__":
    main()
