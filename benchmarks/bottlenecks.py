"""Bottlenecks of a raster of ten million cells, and fence behaviour beside BaBA's stored time.

Run: ``python benchmarks/bottlenecks.py [../shared/data/movement]``

Every figure is CPU time in seconds (user and system, all threads) of the whole call, from layers in memory to the
result, the least of the repeats; the kernels are compiled before. The rasters are simulated: smooth noise, and two
scales of noise with ragged edges, about half of the cells corridor. BaBA is not run here: its time, 21.8 s CPU for the
same two pronghorn (8,757 fixes) and 1,673 fences, was measured once with R 4.2.2 and BaBA 2.4 on a machine like this
(2 cores). The folder holds baba_pronghorn.csv and baba_fences.gpkg; without it only the first part runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from linkways import movement
from linkways.spatial import new_raster

BABA_STORED_S = 21.8
CELL_M = 25.0


def least(repeats: int, run: Callable[[], Any]) -> tuple[float, Any]:
    best, found = np.inf, None
    for _ in range(repeats):
        began = time.process_time()
        found = run()
        best = min(best, time.process_time() - began)
    return best, found


def noise(size: int, every: int, seed: int) -> np.ndarray:
    """Simulated: random values on a coarse grid, linear in between."""
    grid = np.random.default_rng(seed).standard_normal((size // every + 2, size // every + 2))
    at = np.arange(size) / every
    i, part = at.astype(int), at - at.astype(int)
    across = grid[:, i] * (1 - part) + grid[:, i + 1] * part
    return across[i] * (1 - part)[:, None] + across[i + 1] * part[:, None]


def hourglass(size: int) -> np.ndarray:
    """A neck of 400 m and a notch of 150 m in it, as long and as high as the raster."""
    x = (np.arange(size) + 0.5) * CELL_M
    y = (np.arange(size) + 0.5 - size / 2) * CELL_M
    middle, notch = size * CELL_M / 2, size * CELL_M / 4
    mask = np.abs(y)[:, None] <= 200 + 0.8 * np.abs(x - middle)
    return mask & ~((np.abs(x - notch) < 100) & (np.abs(y)[:, None] > 75))


def bottleneck_times(size: int, repeats: int) -> None:
    smooth, ragged = noise(size, 96, 1), noise(size, 96, 1) + 0.4 * noise(size, 8, 2) + 0.2 * noise(size, 3, 3)
    tiers = sum((smooth > level).astype(float) for level in (-0.15, 0.0, 0.15))
    cases = {
        "hourglass, 400 m and 150 m": hourglass(size),
        "smooth noise, one tier": smooth > 0,
        "smooth noise, three tiers": tiers,
        "ragged noise, one tier": ragged > 0,
    }
    print(f"movement.bottlenecks, {size} x {size} = {size * size / 1e6:.1f} million cells")
    for name, values in cases.items():
        corridor = new_raster(np.asarray(values, float), crs="EPSG:32612", cell_size=CELL_M)
        seconds, found = least(repeats, lambda corridor=corridor: movement.bottlenecks(corridor))
        widths = ", ".join(f"{width:.0f} m" for width in found.bottlenecks.width_m[:2])
        print(f"  {name:28} {seconds:6.2f} s CPU   {found.count:4} bottlenecks, the first {widths}")


def fence_times(folder: Path, repeats: int) -> None:
    import geopandas as gpd
    import pandas as pd

    table = pd.read_csv(folder / "baba_pronghorn.csv")
    fixes = gpd.GeoDataFrame(
        {"animal": table["Animal.ID"], "time": pd.to_datetime(table["date"], utc=True)},
        geometry=gpd.points_from_xy(table["x_utm12n"], table["y_utm12n"]),
        crs="EPSG:32612",
    )
    fences = gpd.read_file(folder / "baba_fences.gpkg")
    seconds, found = least(repeats, lambda: movement.fences(fixes, fences))
    print(f"movement.fences, {len(fixes)} fixes, {len(fences)} fences: {found.encounters} encounters")
    print(f"  Linkways {seconds:.3f} s CPU (with ranking and bootstrap), BaBA {BABA_STORED_S} s CPU (stored)")
    print(f"  ratio {BABA_STORED_S / seconds:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="folder with the tracks and fences of BaBA")
    parser.add_argument("--size", type=int, default=3164, help="cells on a side")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    movement.bottlenecks(new_raster(hourglass(200).astype(float), crs="EPSG:32612", cell_size=CELL_M))  # compiles
    bottleneck_times(options.size, options.repeats)
    if options.folder is not None:
        fence_times(options.folder, options.repeats)


if __name__ == "__main__":
    main()
