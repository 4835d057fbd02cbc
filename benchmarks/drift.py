"""Larvae on the currents: seas.drift beside OceanParcels 4 and 3 in one run, on the same field.

    python benchmarks/drift.py --parcels4 PYTHON --parcels3 PYTHON     # some minutes, 2 GB
    python benchmarks/drift.py --days 30 --repeats 1                  # the whole of it: a quarter of an hour

A field of 500 x 500 cells of 2 km with hourly times (a double gyre whose border swings), larvae spread at random, RK4
at steps of 10 minutes. Parcels runs in environments of its own, whose interpreters are given by the options or by the
variables LINKWAYS_PARCELS4 and LINKWAYS_PARCELS3 (version 3 compiles with the C compiler it finds); one that is not
given is left out, and said so. Peers get a share of the larvae and of the days, which is printed: their cost grows
with both. Speeds are RK4 particle-steps by CPU second of one core, reading of the field included, after a first short
run that compiles; peers and we take turns, and the best of ``--repeats`` counts. Then positions after 10 days are
compared, and a run of a day and a longer one (``--days``, at least 4) tell time and peak memory, each in a process of
its own, with a field of which each hour is computed as it is read.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# ruff: noqa: E402
import numpy as np

CELLS, SIZE, STEP_S = 500, 2000.0, 600.0
START = "2020-01-01"

PEER = textwrap.dedent(
    """
    import json, sys, time, warnings
    warnings.simplefilter("ignore")
    import numpy as np
    version, grid, folder, days, warm = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5] == "warm"
    hours = int(np.ceil(days * 24)) + 2
    u = np.load(folder + f"/u_{grid}.npy", mmap_mode="r")[:hours].astype(np.float32)
    v = np.load(folder + f"/v_{grid}.npy", mmap_mode="r")[:hours].astype(np.float32)
    places = np.load(folder + "/places.npy")
    count = int(sys.argv[6])
    x, y = places[:count].T
    size, cells = 2000.0, 500
    if grid == "A":
        lon = lat = size * (np.arange(cells) + 0.5)
    else:
        # indexing of NEMO: faces belong to the node after them
        lon = lat = size * np.arange(cells + 1)
        u = np.pad(u, ((0, 0), (1, 0), (0, 0)))
        v = np.pad(v, ((0, 0), (0, 0), (1, 0)))
    import parcels
    step = 600.0
    if version == "4":
        import xarray as xr, parcels._sgrid as sgrid
        n = len(lon)
        dims = (["time", "depth", "YG", "XG"],) * 2
        if grid == "C":
            dims = (["time", "depth", "YC", "XG"], ["time", "depth", "YG", "XC"])
        stamps = np.datetime64("2020-01-01", "ns") + np.arange(len(u)) * np.timedelta64(3600, "s")
        ds = xr.Dataset(
            {"U": (dims[0], u[:, None]), "V": (dims[1], v[:, None])},
            coords={"time": (["time"], stamps, {"axis": "T"}), "depth": (["depth"], np.zeros(1), {"axis": "Z"}),
                    "YC": (["YC"], np.arange(n) + 0.5, {"axis": "Y"}), "YG": (["YG"], np.arange(n), {"axis": "Y"}),
                    "XC": (["XC"], np.arange(n) + 0.5, {"axis": "X"}), "XG": (["XG"], np.arange(n), {"axis": "X"}),
                    "lat": (["YG"], lat, {"axis": "Y"}), "lon": (["XG"], lon, {"axis": "X"})},
        ).pipe(sgrid._attach_sgrid_metadata, sgrid.SGrid2DMetadata(
            cf_role="grid_topology", topology_dimension=2, node_dimensions=("XG", "YG"),
            node_coordinates=("lon", "lat"),
            face_dimensions=(sgrid.FaceNodePadding("XC", "XG", sgrid.Padding.LOW),
                             sgrid.FaceNodePadding("YC", "YG", sgrid.Padding.LOW)),
            vertical_dimensions=(sgrid.FaceNodePadding("ZC", "depth", sgrid.Padding.BOTH),)))
        from parcels._core.particle import get_default_particle  # positions in double precision, as ours
        def run(days, x, y):
            field = parcels.FieldSet.from_sgrid_conventions(ds, mesh="flat")
            larvae = parcels.ParticleSet(field, get_default_particle(np.float64), x=x, y=y, z=np.zeros(len(x)))
            start = time.process_time()
            larvae.execute(parcels.kernels.AdvectionRK4, dt=np.timedelta64(int(step), "s"),
                           runtime=np.timedelta64(int(days * 86400), "s"), verbose_progress=False)
            spent = time.process_time() - start
            return spent, np.column_stack([larvae.x, larvae.y])
    else:
        import logging
        parcels.logger.setLevel(logging.ERROR)
        times = np.arange(len(u)) * 3600.0
        def run(days, x, y):
            options = {"interp_method": "cgrid_velocity", "gridindexingtype": "nemo"} if grid == "C" else {}
            field = parcels.FieldSet.from_data(
                {"U": u, "V": v}, {"lon": lon, "lat": lat, "time": times}, mesh="flat", **options)
            larvae = parcels.ParticleSet(field, parcels.JITParticle, lon=x, lat=y, lonlatdepth_dtype=np.float64)
            start = time.process_time()
            # positions are reported one step late
            larvae.execute(parcels.AdvectionRK4, dt=step, runtime=days * 86400 + step, verbose_progress=False)
            spent = time.process_time() - start
            return spent, np.column_stack([larvae.lon, larvae.lat])
    if warm:
        run(step * 6 / 86400, x[:100], y[:100])
    spent, ends = run(days, x, y)
    np.save(folder + f"/ends_{version}_{grid}.npy", ends)
    print("RESULT", json.dumps({"seconds": spent, "version": parcels.__version__}))
    """
)


def field(grid: str, days: float, *, load: bool = True) -> object:
    """The currents of this benchmark on an A or a C grid, held in memory unless said otherwise."""
    from linkways import seas

    edge = CELLS * SIZE
    made = seas.currents(
        flow="double_gyre", bounds=[0, 0, edge, edge], cell_size=SIZE, crs="EPSG:32631", start=START,
        days=days, interval_h=1, grid=grid, flow_parameters={"speed_m_s": 0.5},
    )  # fmt: skip
    return made.load() if load else made


def larvae(places: np.ndarray) -> object:
    """One release site that deals its larvae out to the places."""
    import geopandas as gpd
    import shapely

    return gpd.GeoDataFrame({"site": ["all"]}, geometry=[shapely.multipoints(places)], crs="EPSG:32631")


def ours(currents: object, places: np.ndarray, days: float, **options: object) -> tuple[float, object]:
    """CPU seconds of following the larvae, without setting them out, and the result."""
    from linkways import seas
    from linkways.seas import _drift_run

    spent = []
    inner = _drift_run._follow

    def timed(shared: object, particles: object) -> object:
        start = time.process_time()
        found = inner(shared, particles)
        spent.append(time.process_time() - start)
        return found

    _drift_run._follow = timed
    try:
        found = seas.drift(
            currents,
            larvae(places),
            release_dates=[START],
            number=len(places),
            days=days,
            step_min=STEP_S / 60,
            **options,
        )
    finally:
        _drift_run._follow = inner
    return spent[0], found


def peer(python: str, version: str, grid: str, folder: Path, days: float, count: int) -> dict[str, object]:
    """One run of Parcels in its own environment."""
    done = subprocess.run(
        [python, "-c", PEER, version, grid, str(folder), str(days), "warm", str(count)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    if not lines:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return {"failed": last}
    return dict(json.loads(lines[-1][len("RESULT") :]))


def store(currents: object, grid: str, folder: Path) -> None:
    for one in "uv":
        # no peer is followed for longer than ten days
        np.save(folder / f"{one}_{grid}.npy", currents[one].values[: 10 * 24 + 7])  # type: ignore[index]


def steps(count: int, days: float) -> float:
    return count * days * 86400 / STEP_S


def steps_made(found: object) -> float:
    """Steps of larvae that may have left the field: from the time they spent in all cells."""
    larva_days = float(found.density.sum()) * (SIZE / 1000) ** 2  # type: ignore[attr-defined]
    return larva_days * 86400 / STEP_S


def ends_of(found: object) -> np.ndarray:
    import shapely

    lines = found.tracks.geometry.values  # type: ignore[attr-defined]
    return np.asarray(shapely.get_coordinates(shapely.get_point(lines, -1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--parcels4", default=os.environ.get("LINKWAYS_PARCELS4"), help="interpreter that has Parcels 4"
    )
    parser.add_argument(
        "--parcels3", default=os.environ.get("LINKWAYS_PARCELS3"), help="interpreter that has Parcels 3"
    )
    parser.add_argument("--particles", type=int, default=1_000_000, help="larvae of ours")
    parser.add_argument("--days", type=float, default=1.0, help="days of ours")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--grids", default="AC", choices=["A", "C", "AC"])
    parser.add_argument("--only-whole", action="store_true", help="leave out the comparisons")
    given = parser.parse_args()
    peers = {"4": (given.parcels4, 10_000, 0.5), "3": (given.parcels3, 100_000, 0.5)}
    for version, (python, _, _) in peers.items():
        if python is None:
            print(f"Parcels {version} is left out: no interpreter that has it was given (--parcels{version})")
    with tempfile.TemporaryDirectory() as name:
        for grid in "" if given.only_whole else given.grids:
            compare(grid, given, peers, Path(name))
    for grid in given.grids:
        whole(grid, given)


def compare(
    grid: str, given: argparse.Namespace, peers: dict[str, tuple[str | None, int, float]], folder: Path
) -> None:
    rng = np.random.default_rng(7)
    places = rng.uniform(0.05 * CELLS * SIZE, 0.95 * CELLS * SIZE, (given.particles, 2))
    np.save(folder / "places.npy", places)
    currents = field(grid, max(given.days, 10.0) + 0.25)
    store(currents, grid, folder)
    ours(currents, places[:1000], 0.1)
    best: dict[str, float] = {}
    for _ in range(given.repeats):
        spent, found = ours(currents, places, given.days)
        best["ours"] = max(best.get("ours", 0.0), steps_made(found) / spent)
        for version, (python, count, days) in peers.items():
            if python is None:
                continue
            told = peer(python, version, grid, folder, days, count)
            if "failed" in told:
                print(f"  Parcels {version} failed: {told['failed']}")
                continue
            key = f"Parcels {told['version']}"
            best[key] = max(best.get(key, 0.0), steps(count, days) / float(told["seconds"]))  # type: ignore[arg-type]
    print(f"{grid} grid, {CELLS} x {CELLS} cells, hourly, RK4 at {STEP_S / 60:g} minutes")
    print(
        f"  seas.drift: {best['ours'] / 1e6:.2f} million steps/s/core ({given.particles:,} larvae, {given.days:g} days)"
    )
    for key, speed in best.items():
        if key != "ours":
            _, count, days = peers[key.split()[1][0]]
            print(f"  {key}: {speed / 1e6:.3f} ({count:,} larvae, {days:g} days); ours {best['ours'] / speed:.1f} x")
    agreement(grid, currents, places[:200], peers, folder)


def agreement(
    grid: str, currents: object, places: np.ndarray, peers: dict[str, tuple[str | None, int, float]], folder: Path
) -> None:
    _, found = ours(currents, places, 10.0, keep_tracks=len(places))
    mine = ends_of(found)
    far = np.hypot(*(mine - places).T).max() / SIZE
    for version, (python, _, _) in peers.items():
        if python is None:
            continue
        told = peer(python, version, grid, folder, 10.0, len(places))
        if "failed" not in told:
            theirs = np.load(folder / f"ends_{version}_{grid}.npy")
            away = np.abs(theirs - mine).max() / SIZE
            print(f"  after 10 days (up to {far:.0f} cells) at most {away:.1e} cells from Parcels {told['version']}")


def whole(grid: str, given: argparse.Namespace) -> None:
    """Time and peak memory of all larvae over a day and over all days, each in a process of its own."""
    code = (
        "import sys; sys.argv = ['drift.py']; sys.path.insert(0, {folder!r}); import drift, numpy as np;"
        "c = drift.seas_stream({grid!r}, {days}); p = np.random.default_rng(7).uniform(5e4, 9.5e5, ({count}, 2));"
        "drift.ours(c, p[:1000], 0.1); spent, found = drift.ours(c, p, {days});"
        "print(spent, drift.peak_mb(), drift.steps_made(found), found.lost_percent)"
    )
    count = given.particles
    for days in (1.0, max(given.days, 4.0)):
        text = code.format(folder=str(Path(__file__).parent), grid=grid, days=days, count=count)
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        spent, peak, made, lost = map(float, done.stdout.split()[-4:])
        print(
            f"{grid} grid, {count:,} larvae over {days:g} days, field computed as it is read: {spent:.0f} CPU seconds, "
            f"{made / spent / 1e6:.2f} million steps/s/core, peak memory {peak:.0f} MB, {lost:.2f} % left the field",
            flush=True,
        )


def peak_mb() -> float:
    """Peak memory of this process; what getrusage tells is handed on from parent to child."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def seas_stream(grid: str, days: float) -> object:
    """The field, of which each hour is computed as it is read."""
    module = importlib.import_module("linkways.seas.currents")
    module._EAGER_BYTES = 0  # type: ignore[attr-defined]
    return field(grid, days + 0.25, load=False)


if __name__ == "__main__":
    main()
