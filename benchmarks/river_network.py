"""Time to build a river network of a million reaches and to place a hundred thousand barriers on it.

    python benchmarks/river_network.py                                  # 1,000,000 lines, 100,000 barriers
    python benchmarks/river_network.py --reaches 100000 --barriers 10000

The basin is simulated (random spanning tree on a grid, one line per reach, drawn downstream; a share of the lines drawn
the other way; barriers up to 40 m off the river). Topology comes from the ends of the lines, not from their columns.
CPU time and elapsed time of one call after a small one that compiles; peak memory of the process (on Linux). The
result is checked against the truth of the simulation: every line flows where it did, every barrier within 40 m stands
on its reach or on one that lies nearer.
"""

from __future__ import annotations

import argparse
import sys
import time

import geopandas as gpd
import numpy as np

from linkways.rivers import network
from linkways.spatial import random_barriers, random_basin

CELLS_PER_REACH = 1.75
"""Cells of the grid per reach of the spanning tree when every cell carries a channel, found by trying."""


def simulated(reaches: int, barriers: int, turned: float) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """A basin of about so many lines, some drawn upstream, and its barriers."""
    side = int(np.ceil(np.sqrt(reaches * CELLS_PER_REACH)))
    basin = random_basin(side, side, seed=1, channel_cells=1, cell_size_m=1000.0)
    points = random_barriers(basin, barriers, seed=2, offset_m=40.0)
    wrong = np.random.default_rng(3).random(len(basin)) < turned
    basin["geometry"] = basin.geometry.where(~wrong, basin.geometry.reverse())
    return basin, points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reaches", type=int, default=1_000_000)
    parser.add_argument("--barriers", type=int, default=100_000)
    parser.add_argument("--turned", type=float, default=0.01, help="share of lines drawn upstream")
    given = parser.parse_args()
    network(*simulated(200, 20, given.turned), topology="geometry")
    lines, points = simulated(given.reaches, given.barriers, given.turned)
    vertices = int(lines.count_coordinates().sum())
    cpu, clock = time.process_time(), time.perf_counter()
    found = network(lines, points, topology="geometry")
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    print(f"lines {len(lines):,}, vertices {vertices:,}, barriers {len(points):,}")
    print(f"reaches {found.reaches_count:,}, basins {found.basins_count:,}, repairs {len(found.repairs):,}")
    print(f"CPU {cpu:.1f} s, elapsed {clock:.1f} s{peak()}")
    check(lines, points, found)


def check(lines: gpd.GeoDataFrame, points: gpd.GeoDataFrame, found: object) -> None:
    """Compare with the truth of the simulation."""
    reaches, barriers = found.reaches, found.barriers  # type: ignore[attr-defined]
    own, below = reaches["line"].to_numpy(), reaches["down"].to_numpy()
    leaves = (below < 0) | (own[below] != own)
    to = np.where(below[leaves] < 0, -1, own[below[leaves]])
    right = (to == lines["down"].to_numpy()[own[leaves]]).sum()
    placed = own[np.searchsorted(reaches["reach"].to_numpy(), barriers["reach"].to_numpy())]
    on_own = placed == barriers["true_reach"].to_numpy()
    true_line = lines.geometry.to_numpy()[barriers["true_reach"].to_numpy()]
    start = points.geometry.to_numpy()[barriers["barrier"].to_numpy()]
    nearer = gpd.GeoSeries(start).distance(gpd.GeoSeries(true_line)).to_numpy() + 1e-6 >= barriers["snap_distance_m"]
    print(f"lines that flow where they did {right:,} of {len(lines):,}")
    other = (nearer & ~on_own).sum()
    print(f"barriers placed {len(barriers):,}: on their own line {on_own.sum():,}, nearer to another {other:,}")


def peak() -> str:
    if sys.platform != "linux":
        return ""
    import resource

    return f", peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"


if __name__ == "__main__":
    main()
