"""Movement: bridges, corridors and the rest beside the R packages of the field.

    python benchmarks/movement.py                          # everything; some minutes and 2 GB
    python benchmarks/movement.py --only bridges variances
    python benchmarks/movement.py --repeats 5

CPU time of one thread, the smallest of ``--repeats``, after compilation, unless said otherwise. The R packages BBMM 3.0
and move 4.2.7 are in no registry of today; the CPU times that were measured once (R 4.2, 2 shared cores) on the same
tracks stand for them and are called stored. The tracks are 24 migrations of pronghorn (5,993 fixes), read from the
folder ``shared/data/movement`` beside the checkout (or ``--data``); the thousand sequences are simulated.

A further row is a function of ``repeats`` in PARTS that prints what it measured.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before numpy: spinning BLAS threads would count as CPU time

BEGAN = time.perf_counter()

# ruff: noqa: E402
import numpy as np
import pandas as pd

DATA = Path(os.environ.get("LINKWAYS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data" / "movement"))
STORED = {"bridges": 73.8, "variances": 20.3}
"""CPU seconds of BBMM 3.0 (variance and distribution) and of move 4.2.7 (dynamic variances) for the 24 migrations."""


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Least CPU seconds of several runs, after one that compiles."""
    work()
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def show(what: str, spent: float, peer: float | None = None, name: str = "") -> None:
    beside = f"; {name} (stored): {peer:.4g} s, {peer / spent:.3g} x" if peer is not None else ""
    print(f"  {what}: {spent:.4g} s{beside}", flush=True)


def sequences() -> object:
    """The 24 migrations as a layer of fixes."""
    from linkways import movement

    table = pd.read_csv(DATA / "pronghorn_sublette_sequences.csv")
    return movement.tracks(
        table,
        animal_column="id",
        time_columns=["timestamp"],
        x_column="x_aea",
        y_column="y_aea",
        xy_crs="EPSG:5070",
        project_to="EPSG:5070",
        keep=["sequence"],
    ).fixes


def template() -> object:
    """The grid of the peer: 344 x 399 cells of 500 m."""
    from linkways import spatial

    return spatial.new_raster(
        np.zeros((344, 399)), crs="EPSG:5070", cell_size=500, origin=(-1139435.54, 2278190.369), name="grid"
    )


def prepared() -> tuple[list, object]:
    """Tracks of the migrations, and the grid."""
    from linkways.movement._bridges import tracks_of
    from linkways.movement._distributions import choose_grid
    from linkways.movement._fixes import fixes_of

    fixes = fixes_of(sequences(), by="sequence")
    tracks = tracks_of(fixes, np.full(len(fixes.layer), 20.0))
    place = {"cell_size_m": None, "buffer": None, "reach_m": 0.0, "method": "benchmark"}
    return tracks, choose_grid(fixes.layer.crs, fixes.x_m, fixes.y_m, like=template(), **place)


def bridges(repeats: int) -> None:
    """Motion variance and occurrence distribution of 24 migrations, time step 5 min, 137,256 cells."""
    from linkways.movement._bridges import BridgeRules, fit_motion, occurrence

    tracks, grid = prepared()
    print("24 migrations, 5,993 fixes, 344 x 399 cells: variance and distribution of each")
    for kind, more in (("brownian", {}), ("dynamic", {}), ("fixed", {"variance": 1000.0})):
        rules = BridgeRules(kind, **more)

        def work(rules=rules) -> object:
            return [occurrence(t, fit_motion(t, rules, "benchmark"), grid, rules, "benchmark") for t in tracks]

        peer = STORED["bridges"] if kind == "brownian" else None
        show(f"{kind} bridges", seconds(work, repeats), peer, "BBMM 3.0")


def variances(repeats: int) -> None:
    """Dynamic motion variances of 24 migrations, window 31, margin 11."""
    from linkways.movement._bridges import BridgeRules, fit_motion

    tracks, _ = prepared()
    rules = BridgeRules("dynamic")
    print("24 migrations, 5,993 fixes: dynamic motion variances, window 31, margin 11")
    spent = seconds(lambda: [fit_motion(t, rules, "benchmark") for t in tracks], repeats)
    show("all windows", spent, STORED["variances"], "move 4.2.7")


def case(_: int) -> None:
    """CSV to corridors of the population in a fresh process (compiled code from the cache), and again in the same."""
    if "LINKWAYS_CASE" not in os.environ:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        with tempfile.TemporaryDirectory() as folder:
            environment |= {"LINKWAYS_CASE": "1", "PYTHONPYCACHEPREFIX": folder}
            for _number in range(2):  # the first compiles, both Python's own and numba's
                ran = subprocess.run(
                    [sys.executable, __file__, "--only", "case"],
                    env=environment,
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
        print("24 migrations of 15 animals, from CSV to corridors, tiers, stopovers, intervals of 200 draws")
        print(ran.stdout, end="")
        return
    from linkways import movement

    def work() -> object:
        return movement.corridors(sequences(), template(), location_error_m=20)

    work()
    wall, cpu = time.perf_counter() - BEGAN, time.process_time()
    print(f"  fresh process, imports and all: {wall:.3g} s ({cpu:.3g} s CPU)")
    walls, spent = [], []
    for _number in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        spent.append(time.process_time() - cpu)
    print(f"  again: {min(walls):.3g} s ({min(spent):.3g} s CPU)")


def herd(count: int, fixes: int, seed: int = 1) -> object:
    """Simulated migrations of 113 km north-eastward: Brownian bridges of 2,000 m2/min between two ranges, every 3 h."""
    import geopandas as gpd

    rng = np.random.default_rng(seed)
    share, lag = np.linspace(0, 1, fixes)[:, None], 180.0
    places = []
    for _ in range(count):
        start = rng.normal(60e3, 15e3, 2)
        step = rng.normal(0, np.sqrt(2000 * lag), (fixes, 2)).cumsum(axis=0)
        places.append(start + share * rng.normal(80e3, 10e3, 2) + step - share * step[-1])
    names = np.repeat([f"{k:04d}" for k in range(count)], fixes)
    times = np.tile(pd.date_range("2020-04-01", periods=fixes, freq="3h", tz="UTC"), count)
    geometry = gpd.points_from_xy(*np.concatenate(places).T)
    return gpd.GeoDataFrame({"animal": names, "sequence": names, "time": times}, geometry=geometry, crs="EPSG:32612")


def thousand(_: int) -> None:
    """1,000 sequences of 500 fixes on 50 m cells, from the layer to all results, in a fresh process for its memory."""
    if "LINKWAYS_THOUSAND" not in os.environ:
        environment = {**os.environ, "LINKWAYS_THOUSAND": "1"}
        subprocess.run([sys.executable, __file__, "--only", "thousand"], env=environment, check=True)
        return
    from linkways import movement

    movement.corridors(herd(3, 60), location_error_m=20, draws=10)
    layer = herd(1000, 500)
    wall, cpu = time.perf_counter(), time.process_time()
    found = movement.corridors(layer, location_error_m=20, cell_size_m=50, buffer=0.05)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    rows, columns = found.use.shape
    print(f"1,000 simulated sequences of 500 fixes, {rows} x {columns} cells of 50 m: movement.corridors")
    print(f"  {wall:.3g} s on {os.cpu_count()} cores ({cpu:.3g} s CPU), {peak:.2f} GB at most in all")


def necks(repeats: int) -> None:
    """Bottlenecks of ten million cells (also ``bottlenecks.py``)."""
    import bottlenecks

    bottlenecks.bottleneck_times(3164, repeats)


def fences(repeats: int) -> None:
    """Barrier behaviour beside BaBA."""
    import bottlenecks

    bottlenecks.fence_times(DATA, repeats)


def choices(_: int) -> None:
    """Selection, states, recursions and corridor behaviour (also ``selection.py``)."""
    import selection

    selection.clogit(DATA)
    selection.hidden_states(DATA)
    selection.deer(DATA)


PARTS: dict[str, Callable[[int], None]] = {
    "bridges": bridges,
    "variances": variances,
    "case": case,
    "thousand": thousand,
    "necks": necks,
    "fences": fences,
    "choices": choices,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data", type=Path, help="folder of the pronghorn tracks")
    given = parser.parse_args()
    if given.data is not None:
        os.environ["LINKWAYS_DATA"] = str(given.data)
        globals()["DATA"] = given.data
    for name in given.only:
        PARTS[name](given.repeats)


if __name__ == "__main__":
    main()
