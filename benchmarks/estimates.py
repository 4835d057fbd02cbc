"""What `--estimate` predicts, beside what the same job then takes: seconds and peak memory.

    python benchmarks/estimates.py                          # every method, three sizes each
    python benchmarks/estimates.py --methods barriers omnidirectional --sizes 500 1000
    python benchmarks/estimates.py --no-estimate            # the jobs alone: what the table of time and memory is from

The landscape is simulated: clustered resistances 1 to 1000, a tenth nodata in blobs, thin wandering barriers with gaps.
Prediction and job each run in a process of their own that reads the inputs from files; the job's seconds are those of
the method, without reading and writing, its memory (on Linux) is the peak of the whole process. Both are printed with
elapsed and CPU seconds, because on a busy machine only the latter can be compared from one run to the next.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from circuits import patchy_landscape

CELL = 100.0


@dataclass(frozen=True)
class Job:
    """A call of a method: its id, sizes (cells a side, or cores), and what it is called with."""

    method: str
    sizes: tuple[int, ...]
    arguments: Callable[[np.random.Generator, int], dict[str, Any]]


def raster(values: np.ndarray) -> Any:
    from linkways.spatial import new_raster

    return new_raster(values, crs="EPSG:3035", cell_size=CELL, origin=(4_000_000, 3_000_000))


def landscape(rng: np.random.Generator, size: int) -> Any:
    return raster(patchy_landscape(size, rng))


def points(rng: np.random.Generator, ground: Any, count: int) -> gpd.GeoDataFrame:
    """Cell centres, one in each of as many parts of the raster's passable cells."""
    passable = np.flatnonzero(np.isfinite(ground.values))
    cells = [int(rng.choice(part)) for part in np.array_split(passable, count)]
    rows, columns = np.divmod(cells, ground.shape[1])
    return gpd.GeoDataFrame(geometry=gpd.points_from_xy(ground.x.values[columns], ground.y.values[rows]), crs=3035)


def patches(rng: np.random.Generator, ground: Any, count: int, share: float = 0.03) -> gpd.GeoDataFrame:
    """Squares whose side is a share of the raster's, round places that do not let them meet."""
    side = ground.shape[0] * CELL
    across = int(np.ceil(np.sqrt(count)))
    places = rng.choice(across**2, count, replace=False)
    found = []
    for place in np.sort(places):
        down, right = divmod(int(place), across)
        x, y = (np.array([right, down]) + rng.uniform(0.25, 0.75, 2)) * side / across
        found.append(shapely.box(4e6 + x, 3e6 - y - share * side, 4e6 + x + share * side, 3e6 - y))
    return gpd.GeoDataFrame({"core": np.arange(1, count + 1)}, geometry=found, crs=3035)


def between(features: Callable[..., gpd.GeoDataFrame], name: str, count: int, **more: Any) -> Callable[..., Any]:
    """A landscape, features on it, and parameters; those that are functions are asked with the side in metres."""

    def arguments(rng: np.random.Generator, size: int) -> dict[str, Any]:
        ground = landscape(rng, size)
        asked = {key: value(size * CELL) if callable(value) else value for key, value in more.items()}
        return {"resistance": ground, name: features(rng, ground, count), **asked}

    return arguments


def moving(radius: int, block: int) -> Callable[..., Any]:
    def arguments(rng: np.random.Generator, size: int) -> dict[str, Any]:
        return {"resistance": landscape(rng, size), "radius_cells": radius, "block_size": block}

    return arguments


def walking(rng: np.random.Generator, size: int) -> dict[str, Any]:
    ground = landscape(rng, size)
    return {"resistance": ground, "absorption": raster(rng.uniform(1e-4, 1e-2, ground.shape)), "steps": [10, 200]}


def network(rng: np.random.Generator, size: int) -> dict[str, Any]:
    """Cores at random and the links of their triangulation."""
    from scipy.spatial import Delaunay

    xy = rng.uniform(0, 1e5, (size, 2))
    corners = Delaunay(xy).simplices
    ends = np.unique(
        np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]]), axis=1), axis=0
    )
    lines = shapely.linestrings(xy[ends])
    links = {"core_a": ends[:, 0] + 1, "core_b": ends[:, 1] + 1, "cost": shapely.length(lines)}
    cores = gpd.GeoDataFrame({"core": np.arange(1, size + 1)}, geometry=shapely.points(xy), crs=3035)
    return {"links": gpd.GeoDataFrame(links, geometry=lines, crs=3035), "cores": cores}


SIDES = (500, 1000, 2000)
JOBS = {
    "current": Job("corridors.current", SIDES, between(points, "focal_nodes", 20)),
    "current-one-pair": Job("corridors.current", (1000, 2000, 4000), between(points, "focal_nodes", 2)),
    "current-regions": Job("corridors.current", SIDES, between(patches, "focal_nodes", 8)),
    "current-one-to-all": Job("corridors.current", SIDES, between(patches, "focal_nodes", 8, mode="one_to_all")),
    "omnidirectional": Job("corridors.omnidirectional", (300, 600, 1200), moving(50, 5)),
    "omnidirectional-wide": Job("corridors.omnidirectional", (600, 1200), moving(100, 11)),
    "pinch_points": Job("corridors.pinch_points", SIDES, between(patches, "cores", 8)),
    "pinch_points-all-pairs": Job("corridors.pinch_points", SIDES, between(patches, "cores", 5, mode="all_pairs")),
    "barriers": Job("corridors.barriers", SIDES, between(patches, "cores", 8, radii_m=[500.0, 1000.0])),
    "centrality": Job("corridors.centrality", (200, 500, 1000), network),
    "restore_cell_gain": Job("corridors.restore_cell_gain", (300, 600, 1200), between(patches, "cores", 5)),
    "randomised_paths": Job(
        "corridors.randomised_paths", SIDES, between(patches, "start", 3, theta=lambda side: 3.0 / side)
    ),
    "randomised_paths-strict": Job(
        "corridors.randomised_paths", SIDES, between(patches, "start", 3, theta=lambda side: 3000.0 / side)
    ),
    "absorbing_walk": Job("corridors.absorbing_walk", SIDES, walking),
}  # fmt: skip


# --- in a process of its own -----------------------------------------------------------------------------------------


def store(folder: Path, arguments: dict[str, Any]) -> None:
    from linkways.spatial import write_raster, write_vectors

    plain = {}
    for name, value in arguments.items():
        if isinstance(value, gpd.GeoDataFrame):
            write_vectors(value, folder / f"{name}.parquet")
        elif hasattr(value, "rio"):
            write_raster(value, folder / f"{name}.tif")
        else:
            plain[name] = value
    (folder / "plain.json").write_text(json.dumps(plain))


def stored(folder: Path) -> dict[str, Any]:
    from linkways.spatial import read_raster, read_vectors

    arguments = json.loads((folder / "plain.json").read_text())
    arguments |= {file.stem: read_raster(file) for file in folder.glob("*.tif")}
    return arguments | {file.stem: read_vectors(file) for file in folder.glob("*.parquet")}


def child(task: str, method: str, folder: Path) -> None:
    """Estimate or run, and print what that took as JSON."""
    room, name = method.split(".")
    declared = getattr(importlib.import_module(f"linkways.{room}"), name).declaration
    arguments = stored(folder)
    start, cpu = time.perf_counter(), time.process_time()
    out: dict[str, Any] = {}
    if task == "estimate":
        estimate = declared.estimate(**arguments)
        out = {
            "seconds": estimate.seconds,
            "cpu_seconds": estimate.cpu_seconds,
            "bytes": estimate.memory_bytes,
            "text": str(estimate),
        }
    else:
        declared.function(**arguments)
    out |= {"elapsed": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    status = Path("/proc/self/status")
    # of this program alone: getrusage on Linux starts from the peak of the program that started it
    out["peak"] = int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 if status.exists() else float("nan")
    print(json.dumps(out))


def in_child(task: str, method: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", task, method, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--sizes", type=int, nargs="+", help="cells a side (cores, for centrality)")
    parser.add_argument("--no-estimate", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        task, method, folder = options.child
        child(task, method, Path(folder))
        return
    print(f"{os.cpu_count()} cores; seconds and GB as predicted / as they were; CPU: of the job")
    for name in options.methods:
        job = JOBS[name]
        for size in options.sizes or job.sizes:
            with tempfile.TemporaryDirectory(prefix="linkways-") as folder:
                store(Path(folder), job.arguments(np.random.default_rng(options.seed), size))
                guess = None if options.no_estimate else in_child("estimate", job.method, Path(folder))
                job_ = in_child("run", job.method, Path(folder))
            print(f"{name:24} {size:5d} " + _line(guess, job_), flush=True)


def _line(guess: dict[str, Any] | None, job: dict[str, Any]) -> str:
    was = f"{job['elapsed']:8.2f} s (CPU {job['cpu']:8.2f} s) {job['peak'] / 1e9:6.2f} GB"
    if guess is None:
        return was
    return (
        f"predicted {guess['seconds']:8.2f} s (CPU {guess['cpu_seconds']:8.2f} s) {guess['bytes'] / 1e9:6.2f} GB   "
        f"was {was}   ratio {guess['seconds'] / job['elapsed']:5.2f} (CPU {guess['cpu_seconds'] / job['cpu']:5.2f}) "
        f"{guess['bytes'] / job['peak']:5.2f}   "
        f"the sample took {guess['elapsed']:.1f} s"
    )


if __name__ == "__main__":
    main()
