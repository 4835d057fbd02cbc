"""ProtConn of simulated countries with thousands of protected areas: seconds, memory and the bound of the error.

Run: ``python benchmarks/protconn.py --sizes 5000 20000 --delta``

The protected areas are simulated: outlines of hundreds of vertices (a random Fourier series around a circle), areas
log-normal (median 0.8 km2, sigma of the logarithm 1.9), clustered about one centre for every 40 of them, some of them
overlapping. The country is a square of 500 km for 5000 areas and grows with the square root of their number. Each
size runs in a process of its own; the index is computed by `linkways.policy.protconn` for the headline distance of
10 km, or for those that ``--distances`` names. Compilation is not counted (a small country is run first).

"wall" and "cpu" are seconds (cpu: user and system of all threads), "rss" is the peak of resident memory in MB and
"bound" by how many percentage points ProtConn can be too low because paths of a probability below 1e-4 are left out.

Figures of others are stored ones, told as such: they were not run beside ours.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import time
from typing import Any

import numpy as np
import shapely

STORED = (
    "stored, another day on this kind of machine: Makurhini 3.0, index alone on 131 nodes with all distances given: "
    "0.46 CPU s\n"
    "stored, issues 276, 335 and 336 of GEO-BON/bon-in-a-box-pipelines: the official pipeline (Makurhini) does not end "
    "for the Netherlands and Denmark"
)


def simulated_areas(count: int, side_m: float, seed: int) -> np.ndarray:
    """Simulated protected areas in a square country."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, side_m, (max(1, count // 40), 2))
    places = centres[rng.integers(0, len(centres), count)] + rng.normal(0, side_m / 18, (count, 2))
    places = np.clip(places, 0.01 * side_m, 0.99 * side_m)
    areas = np.exp(rng.normal(math.log(0.8e6), 1.9, count))
    vertices = 190 * (areas / 1e6) ** 0.35 * np.exp(rng.normal(0, 0.5, count))
    corners = np.clip(vertices, 24, 5000).astype(int)
    return np.array([outline(*spec, rng) for spec in zip(places, areas, corners, strict=True)])


def outline(place: np.ndarray, area: float, corners: int, rng: np.random.Generator) -> Any:
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    waves = np.arange(1, min(corners // 3, 40))
    phase = rng.uniform(0, 2 * np.pi, len(waves))
    radius = np.exp((0.35 * waves**-1.5 * np.cos(waves * angle[:, None] + phase)).sum(axis=1))
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    scale = math.sqrt(area / (0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))))
    return shapely.polygons(np.column_stack([place[0] + scale * x, place[1] + scale * y]))


def country(count: int, seed: int) -> tuple[Any, Any]:
    import geopandas as gpd

    side = 500_000.0 * math.sqrt(count / 5000)
    areas = gpd.GeoDataFrame(geometry=simulated_areas(count, side, seed), crs="EPSG:3035")
    return areas, gpd.GeoDataFrame(geometry=[shapely.box(0, 0, side, side)], crs="EPSG:3035")


def run(count: int, distances: list[float], delta: bool, seed: int) -> None:
    from linkways.policy import protconn

    small = country(60, seed)
    protconn(*small, distances_km=distances, delta=delta)
    areas, region = country(count, seed)
    wall, cpu = time.perf_counter(), time.process_time()
    found = protconn(areas, region, distances_km=distances, delta=delta)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    vertices = shapely.get_num_coordinates(areas.geometry.to_numpy()).mean()
    print(
        f"{count:7d} {vertices:9.0f} {int(found.fractions.nodes.iloc[0]):7d} {wall:8.1f} {cpu:8.1f} {memory:7.0f} "
        f"{found.prot:8.3f} {found.protconn:9.4f} {found.error_bound:9.1e}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000, 20000])
    parser.add_argument("--distances", type=float, nargs="+", default=[10.0], help="dispersal distances in km")
    parser.add_argument("--delta", action="store_true", help="also the importance of every node")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    asked = ", ".join(f"{d:g}" for d in chosen.distances)
    print(f"simulated; distances {asked} km; importance of nodes: {'yes' if chosen.delta else 'no'}")
    print("  areas  vertices   nodes     wall      cpu     rss   Prot %  ProtConn     bound")
    for size in chosen.sizes:
        process = multiprocessing.get_context("spawn").Process(
            target=run, args=(size, chosen.distances, chosen.delta, chosen.seed)
        )
        process.start()
        process.join()
    print(STORED)


if __name__ == "__main__":
    main()
