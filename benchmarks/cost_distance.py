"""Accumulated cost on one core beside scikit-image's MCP_Geometric and GRASS r.cost, alternating in one run.

Run: ``python benchmarks/cost_distance.py --sizes 1000 2000 5000 --landscapes smooth random patchy``

Every figure is CPU time in seconds (user and system), the least of the repeats. All compute the cost from one cell in
the middle of the same simulated float64 landscape to every other cell, with eight neighbours and cells of 1 m:

- linkways: preparing the grid and one search, with allocation and direction ("search": without preparing the grid);
- skimage: the constructor of MCP_Geometric and find_costs;
- r.cost: the command with its reading and writing of maps, without the import of the landscape; memory=4000 so that it
  need not page. Left out, with a message, where GRASS is not installed.

The columns "/" are how many times longer the peer takes than linkways. "difference" is the largest relative difference
from each peer. With ``--memory`` the peak of resident memory during a search is printed in bytes a cell (Linux only).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from linkways.kernels.cost_distance import Grid, cost_field_on_grid, prepare

_TIMED_R_COST = """
import resource, subprocess, sys
subprocess.run(["r.cost", "--quiet", "--overwrite", "input=landscape", "output=cost",
                "start_coordinates=" + sys.argv[1], "memory=4000"], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print("cpu", used.ru_utime + used.ru_stime)
"""


def smooth(size: int, rng: np.random.Generator) -> np.ndarray:
    """Simulated: a smoothed lognormal field scaled to 1..100."""
    field = ndimage.gaussian_filter(rng.standard_normal((size, size)), 10)
    field = np.exp(field / field.std())
    return 1 + 99 * (field - field.min()) / (field.max() - field.min())


def random(size: int, rng: np.random.Generator) -> np.ndarray:
    """Simulated: every cell uniform in 1..100 on its own."""
    return rng.uniform(1, 100, (size, size))


def patchy(size: int, rng: np.random.Generator) -> np.ndarray:
    """Simulated: patches of 1, 5, 20, 100 and 1000, and nodata blobs on a tenth of the area but for the middle."""
    field = ndimage.gaussian_filter(rng.standard_normal((size, size)), 6)
    classes = np.digitize(field, np.quantile(field, [0.2, 0.4, 0.6, 0.8]))
    resistance = np.array([1.0, 5.0, 20.0, 100.0, 1000.0])[classes]
    blobs = ndimage.gaussian_filter(rng.standard_normal((size, size)), 8)
    blobs[size // 2 - 40 : size // 2 + 40, size // 2 - 40 : size // 2 + 40] = -np.inf
    resistance[blobs > np.quantile(blobs, 0.9)] = np.nan
    return resistance


LANDSCAPES = {"smooth": smooth, "random": random, "patchy": patchy}


def prepared(resistance: np.ndarray) -> Grid:
    rows = resistance.shape[0]
    return prepare(resistance, np.ones(rows), np.ones(rows - 1), np.full(rows - 1, np.sqrt(2)))


def run_linkways(resistance: np.ndarray, cell: tuple[int, int]) -> tuple[float, float, np.ndarray]:
    began = time.process_time()
    grid = prepared(resistance)
    ready = time.process_time()
    source = np.array([np.ravel_multi_index(cell, resistance.shape)])
    field = cost_field_on_grid(grid, source, np.zeros(1, dtype=np.int32))
    ended = time.process_time()
    return ended - began, ended - ready, field.distance


def run_skimage(resistance: np.ndarray, cell: tuple[int, int]) -> tuple[float, np.ndarray]:
    from skimage.graph import MCP_Geometric

    costs = np.where(np.isnan(resistance), -1.0, resistance)
    began = time.process_time()
    distance, _ = MCP_Geometric(costs).find_costs([cell])
    used = time.process_time() - began
    distance[np.isnan(resistance)] = np.inf
    return used, distance


class Grass:
    """A temporary GRASS location that holds one landscape."""

    def __init__(self, folder: Path, resistance: np.ndarray) -> None:
        self.folder, self.shape = folder, resistance.shape
        (folder / "timed.py").write_text(_TIMED_R_COST)
        resistance.tofile(folder / "landscape.bin")
        subprocess.run(["grass", "-e", "-c", "EPSG:3857", folder / "location"], check=True, capture_output=True)
        rows, cols = self.shape
        region = [f"north={rows}", "south=0", f"east={cols}", "west=0", f"rows={rows}", f"cols={cols}"]
        source = [f"input={folder / 'landscape.bin'}", "output=landscape", "bytes=8", "-d"]
        self.command("r.in.bin", "--quiet", *source, *region)
        self.command("g.region", "raster=landscape")

    def command(self, *words: str) -> str:
        place = self.folder / "location" / "PERMANENT"
        done = subprocess.run(["grass", place, "--exec", *words], check=True, capture_output=True, text=True)
        return done.stdout

    def cost(self, cell: tuple[int, int]) -> float:
        where = f"{cell[1] + 0.5},{self.shape[0] - cell[0] - 0.5}"
        printed = self.command("python3", str(self.folder / "timed.py"), where)
        return float(printed.split("cpu")[-1])

    def distance(self) -> np.ndarray:
        self.command(
            "r.out.bin", "--quiet", "input=cost", f"output={self.folder / 'cost.bin'}", "null=inf", "bytes=8", "-f"
        )
        return np.fromfile(self.folder / "cost.bin").reshape(self.shape)


def relative_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    if not np.array_equal(np.isfinite(ours), np.isfinite(theirs)):
        return np.inf
    known = np.isfinite(ours) & (ours > 0)
    return float(np.max(np.abs(ours[known] - theirs[known]) / ours[known]))


def compare(name: str, size: int, repeats: int, with_grass: bool) -> None:
    resistance = LANDSCAPES[name](size, np.random.default_rng(1))
    cell = (size // 2, size // 2)
    times: dict[str, list[float]] = {"linkways": [], "search": [], "skimage": [], "r.cost": []}
    with tempfile.TemporaryDirectory() as folder:
        grass = Grass(Path(folder), resistance) if with_grass else None
        for _ in range(repeats):
            used, search, ours = run_linkways(resistance, cell)
            times["linkways"].append(used)
            times["search"].append(search)
            used, theirs = run_skimage(resistance, cell)
            times["skimage"].append(used)
            if grass:
                times["r.cost"].append(grass.cost(cell))
        differences = f"{relative_difference(ours, theirs):.0e}"
        if grass:
            differences += f" {relative_difference(ours, grass.distance()):.0e}"
    least = {who: min(values, default=np.nan) for who, values in times.items()}
    cells = np.isfinite(ours).sum() / least["search"] / 1e6
    print(
        f"{size:5d}^2 {name:8s} {least['linkways']:9.3f} {least['search']:8.3f} {cells:9.1f} {least['skimage']:9.3f}"
        f" {least['skimage'] / least['linkways']:7.1f} {least['r.cost']:9.3f}"
        f" {least['r.cost'] / least['linkways']:7.1f}   {differences}",
        flush=True,
    )


def resident_memory(size: int, name: str, labels: int) -> None:
    """Print the peak of resident memory that a search adds, in bytes a cell."""
    resistance = LANDSCAPES[name](size, np.random.default_rng(1))
    warm = prepared(np.ones((4, 4)))
    cost_field_on_grid(warm, np.arange(labels), np.arange(labels, dtype=np.int32))
    grid = prepared(resistance)
    middle = size // 2 * size + size // 2
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    field = cost_field_on_grid(grid, middle + np.arange(labels), np.arange(labels, dtype=np.int32))
    added = (_status("VmHWM") - before) * 1024 / field.distance.size
    print(f"{size:5d}^2 {name:8s} {labels} label(s): {added:.1f} bytes a cell, outputs and queue included", flush=True)


def _status(entry: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(entry))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 2000])
    parser.add_argument("--landscapes", nargs="+", choices=list(LANDSCAPES), default=list(LANDSCAPES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="also print the memory of a search")
    options = parser.parse_args()

    began = time.process_time()
    run_linkways(np.ones((8, 8)), (0, 0))
    print(f"compiling or loading the kernels: {time.process_time() - began:.1f} s CPU")
    with_grass = shutil.which("grass") is not None
    if not with_grass:
        print("GRASS is not installed here, so r.cost is left out (Debian: apt-get install grass-core)")
    print("CPU seconds            linkways   search   Mcells/s   skimage       /    r.cost       /   difference")
    for size in options.sizes:
        for name in options.landscapes:
            compare(name, size, options.repeats, with_grass)
    if options.memory and sys.platform != "linux":
        print("memory is measured on Linux only")
    elif options.memory:
        os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # what was freed before is given back and not counted as free
        for size in options.sizes:
            for name in options.landscapes:
                for labels in (1, 3):
                    search = multiprocessing.get_context("spawn").Process(
                        target=resident_memory, args=(size, name, labels)
                    )
                    search.start()
                    search.join()


if __name__ == "__main__":
    main()
