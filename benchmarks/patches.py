"""Habitat patches of a raster file that memory does not hold: seconds, and the peak of resident memory.

Run: ``python benchmarks/patches.py --size 31623``

Makes a simulated landscape of SIZE x SIZE cells (uint8, tiles of 512, deflate) block by block, then, each in a process
of its own, finds its patches with `networks.patches` (areas and outlines) and writes their numbers with
`networks.patch_raster` (a Cloud-Optimised GeoTIFF). Every line tells the CPU seconds (user and system, all threads),
the peak of resident memory of the process (ru_maxrss; it includes Python and its libraries) and how many patches there
are. With ``--check`` the numbers are compared with those of scipy.ndimage.label on the whole raster in memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

CELL_M = 30.0


def simulate(path: Path, size: int, seed: int = 1) -> None:
    """Simulated: two scales of smooth noise, a third of the cells habitat; written in rows of tiles."""
    rng = np.random.default_rng(seed)
    scales = ((96, 1.0), (12, 0.5))
    noise = [rng.standard_normal((size // every + 3, size // every + 3)).astype(np.float32) for every, _ in scales]
    profile = {
        "driver": "GTiff", "height": size, "width": size, "count": 1, "dtype": "uint8", "compress": "deflate",
        "tiled": True, "blockxsize": 512, "blockysize": 512, "crs": "EPSG:3035", "bigtiff": "if_safer",
        "transform": rasterio.transform.from_origin(3e6, 4e6, CELL_M, CELL_M),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.update_tags(SIMULATED="true")
        for top in range(0, size, 512):
            rows = np.arange(top, min(top + 512, size))
            field = np.zeros((rows.size, size), np.float32)
            for (every, weight), grid in zip(scales, noise, strict=True):
                field += weight * _between(grid, rows / every, np.arange(size) / every)
            dataset.write((field > 0.3).astype(np.uint8), 1, window=Window(0, top, size, rows.size))


def _between(grid: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Values of a coarse grid at fractional rows and columns, linear in between."""
    i, j = y.astype(int), x.astype(int)
    v, u = (y - i).astype(np.float32)[:, None], (x - j).astype(np.float32)
    across = grid[:, j] * (1 - u) + grid[:, j + 1] * u
    return across[i] * (1 - v) + across[i + 1] * v


def used() -> str:
    own = resource.getrusage(resource.RUSAGE_SELF)
    peak = own.ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    return f"{own.ru_utime + own.ru_stime:8.1f} s CPU   {peak:6.2f} GB peak"


def find(path: Path, neighbours: int, min_area_ha: float) -> None:
    from linkways import networks, spatial

    began = time.perf_counter()
    habitat = spatial.read_raster(path, lazy=True)
    found = networks.patches(habitat, neighbours=neighbours, min_area_ha=min_area_ha)
    print(
        f"networks.patches       {used()}   {time.perf_counter() - began:7.1f} s   {len(found)} patches, "
        f"{found.area_ha.sum():.6g} ha, {sum(found.geometry.count_coordinates())} vertices",
        flush=True,
    )


def write(path: Path, neighbours: int, min_area_ha: float) -> None:
    from linkways import networks, spatial

    began = time.perf_counter()
    habitat = spatial.read_raster(path, lazy=True)
    out = path.with_name("patches.tif")
    spatial.write_raster(networks.patch_raster(habitat, neighbours=neighbours, min_area_ha=min_area_ha), out)
    size = out.stat().st_size / 1e9
    print(f"networks.patch_raster  {used()}   {time.perf_counter() - began:7.1f} s   file of {size:.2f} GB", flush=True)


def check(path: Path, neighbours: int) -> None:
    from scipy.ndimage import label

    with rasterio.open(path) as dataset:
        mask = dataset.read(1) > 0
    expected, count = label(mask, structure=np.ones((3, 3)) if neighbours == 8 else None)
    with rasterio.open(path.with_name("patches.tif")) as dataset:
        same = np.array_equal(dataset.read(1), expected)
    print(f"scipy.ndimage.label    {count} patches, the written numbers are {'the same' if same else 'DIFFERENT'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=8000, help="rows and columns; 31623 gives 1e9 cells")
    parser.add_argument("--neighbours", type=int, choices=(4, 8), default=8)
    parser.add_argument("--min-area-ha", type=float, default=0.0)
    parser.add_argument("--check", action="store_true", help="compare with scipy; needs 6 bytes a cell")
    parser.add_argument("--folder", type=Path, help="where the files go (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "habitat.tif"
        began = time.process_time()
        simulate(path, options.size)
        print(
            f"{options.size} x {options.size} = {options.size**2:.3g} cells, file of "
            f"{path.stat().st_size / 1e9:.2f} GB, made in {time.process_time() - began:.0f} s CPU",
            flush=True,
        )
        for part in (find, write):
            process = multiprocessing.get_context("spawn").Process(
                target=part, args=(path, options.neighbours, options.min_area_ha)
            )
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(f"{part.__name__} ended with {process.exitcode}")
        if options.check:
            if options.min_area_ha:
                sys.exit("--check compares all patches; leave out --min-area-ha")
            check(path, options.neighbours)


if __name__ == "__main__":
    main()
