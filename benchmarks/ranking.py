"""Priority ranking: time of 130,000 cells x 67 layers and of a million x 100, beside the stored figures of Zonation 5.

Run: ``python benchmarks/ranking.py [--data FOLDER] [--skip-large]``

With ``--data`` the folder of the 67 maps of European trees (EU-Trees4F), the same input that Zonation 5 v2.4 was run
on by its publishers; without it a simulated land of the same size. Then a simulated land of a million cells.
Figures of Linkways are CPU seconds on one core of the whole call, from rasters in memory to curves, the least of the
repeats, kernels compiled before. Zonation 5 is not run here: its figures are those of its own log, wall time of the
ranking on 4 threads of another machine, so that no ratio is drawn.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from linkways.planning import rank
from linkways.spatial import new_raster, read_raster

ZONATION = "Zonation 5 v2.4, stored: CAZ2, 68 rounds, 2.94 s wall on 4 threads, area under curve 0.722295"


def simulated(rows: int, columns: int, layers: int, seed: int = 0) -> list[object]:
    """Smooth ranges of 2 to 60 per cent of the land."""
    rng = np.random.default_rng(seed)
    out = []
    for j in range(layers):
        field = gaussian_filter(rng.normal(size=(rows, columns)), rng.uniform(5, 60))
        field = np.clip(field - np.quantile(field, 1 - rng.uniform(0.02, 0.6)), 0, None)
        out.append(new_raster(field / field.max(), crs="EPSG:3035", cell_size=1000, name=f"simulated_{j}"))
    return out


def show(title: str, layers: list[object], rules: tuple[str, ...], repeats: int) -> None:
    print(title)
    for rule in rules:
        best = np.inf
        for _ in range(repeats):
            began = time.process_time()
            found = rank(layers, missing="zero", share_of="cells", rule=rule)
            best = min(best, time.process_time() - began)
        print(
            f"  {rule:7} {best:7.2f} CPU-s  {found.iterations:4d} rounds  area under curve {found.area_under_curve:.6f}"
            f"  held in the top 30 %: mean {found.mean_held_30:.3f}, least {found.min_held_30:.3f}"
        )
    print(f"  peak memory so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-large", action="store_true")
    given = parser.parse_args()
    rules = ("CAZ2", "CAZ1", "CAZMAX", "ABF")
    for rule in rules:
        rank(simulated(20, 20, 3), rule=rule)
    if given.data:
        layers = [read_raster(path) for path in sorted(given.data.glob("*.tif"))]
        show(f"130,210 cells x {len(layers)} layers, European trees", layers, rules, given.repeats)
        print(f"  {ZONATION}")
    else:
        show("130,210 cells x 67 layers, simulated", simulated(290, 449, 67), rules, given.repeats)
    if not given.skip_large:
        show("1,000,000 cells x 100 layers, simulated", simulated(1000, 1000, 100), ("CAZ2", "ABF"), 1)


if __name__ == "__main__":
    main()
