"""Selection, hidden states, recursions and corridor behaviour on real animals, beside the peers' times.

    python benchmarks/selection.py [FOLDER OF REFERENCE DATA]

CPU seconds, the least of several repeats after a first call that loads the compiled kernels. The times of the R and C++
packages were measured once on a machine of the same kind (R 4.2, two shared cores) and stand here as they were noted;
statsmodels runs beside ours, in turns, where it is installed. The data are one pronghorn's 26,049 used and available
steps, an African elephant's first 5,000 hourly fixes and one mule deer's 3,936 fixes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from linkways.movement._clogit import Strata, conditional_logit
from linkways.movement._fixes import Fixes, fixes_of
from linkways.movement._recursion_kernels import recur_at_fixes
from linkways.movement._states_model import Chains, fit
from linkways.movement._steps import steps_of
from linkways.movement._streaking_corridors import corridor_steps

REPEATS = 5


def cpu_seconds(*jobs: Callable[[], Any], repeats: int = REPEATS) -> list[float]:
    """The least CPU time of each job, run in turns."""
    best = [float("inf")] * len(jobs)
    for _ in range(repeats):
        for number, job in enumerate(jobs):
            begin = time.process_time()
            job()
            best[number] = min(best[number], time.process_time() - begin)
    return best


def line(what: str, ours: float, peer: str, theirs: float | None, agree: str) -> None:
    beside = f"{'':9}   {'':8}" if theirs is None else f"{theirs:7.2f} s   {theirs / ours:6.0f} x"
    print(f"{what:44} {ours:9.4f} s   {peer:28} {beside}   {agree}")


def fixes(table: pd.DataFrame, x: str, y: str, time_column: str, crs: int) -> Fixes:
    times = pd.to_datetime(table[time_column], utc=True)
    points = gpd.points_from_xy(table[x], table[y], crs=crs)
    layer = gpd.GeoDataFrame({"animal": "a", "time": times}, geometry=points)
    return fixes_of(layer.to_crs(32630) if crs == 4326 else layer)


def clogit(folder: Path) -> None:
    table = pd.read_csv(folder / "issa_pronghorn102_casecontrol.csv.gz")
    table = table[table.groupby("step_id_")["case"].transform("sum") == 1].sort_values("step_id_", kind="stable")
    stratum = table["step_id_"].to_numpy()
    strata = Strata(
        np.append(np.flatnonzero(np.diff(stratum, prepend=-1)), len(stratum)), np.flatnonzero(table["case"] == 1)
    )
    names = ["cross", "dfence", "sl", "log_sl", "cos_ta"]
    x = np.column_stack(
        [table["cross"], table["dfence"] / 1000, table["sl_"] / 1000, np.log(table["sl_"]), np.cos(table["ta_"])]
    )

    def ours() -> Any:
        return conditional_logit(x, strata, names)

    jobs: list[Callable[[], Any]] = [ours]
    try:
        from statsmodels.discrete.conditional_models import ConditionalLogit
    except ImportError:
        print("statsmodels is not installed and is left out (pip install statsmodels)")
    else:
        jobs.append(lambda: ConditionalLogit(table["case"].to_numpy(), x, groups=stratum).fit(disp=0))
    beta = ours().beta
    off = np.abs(beta - [-0.462272860, 0.089254376, 0.091871491, 0.016670117, 0.003855599]).max()
    best = cpu_seconds(*jobs, repeats=REPEATS if len(jobs) == 1 else 3)
    agree = f"coefficients within {off:.0e}"
    line(f"conditional logit, {len(x):,} rows x 5", best[0], "survival::clogit (stored)", 0.15, agree)
    if len(best) > 1:
        far = np.abs(np.asarray(jobs[1]().params) - beta).max()
        line("", best[0], "statsmodels, now", best[1], f"coefficients within {far:.0e}")


def hidden_states(folder: Path) -> None:
    table = pd.read_csv(folder / "movebank_elephants_wall2014.csv.gz")
    table = table[table["individual-local-identifier"] == "Salif Keita"].iloc[:5000]
    track = fixes(table, "location-long", "location-lat", "timestamp", 4326)
    steps = steps_of(track)
    for states, expected, seconds in ((2, 9080.2044, 2.9), (3, 8803.0295, None)):
        chains = Chains(steps.length_m / 1000, steps.turning_rad, np.array([0, 5000]), np.zeros((5000, 0)))

        def ours(chains: Chains = chains, states: int = states) -> float:
            return fit(chains, states, turn_mean=True, starts=25, rng=np.random.default_rng(0))[1]

        off = abs(-ours() - expected)
        what = f"hidden Markov model, 5,000 fixes, {states} states"
        peer = "moveHMM (stored)" if seconds else "moveHMM (time not noted)"
        line(what, cpu_seconds(ours)[0], peer, seconds, f"ours 25 starts; log-likelihood within {off:.0e}")


def deer(folder: Path) -> None:
    table = pd.read_csv(folder / "migrationmapper_sublette_gps.csv.gz")
    track = fixes(table[table["id"] == 317], "x_utm12n", "y_utm12n", "timestamp", 32612)
    group = np.zeros(len(track.x_m), np.int64)
    joined = np.arange(len(group)) < len(group) - 1

    def recursions() -> Any:
        places = track.x_m, track.y_m
        return recur_at_fixes(*places, track.seconds, group, joined, *places, group, 500.0, 0.0, False)

    visits = recursions()[0]
    agree = f"{visits.sum():,} visits (100,692)"
    line("recursions, 3,936 fixes, 500 m", cpu_seconds(recursions)[0], "recurse, C++ (stored)", 0.54, agree)
    steps = steps_of(track)
    here = np.flatnonzero(steps.known)
    middle = [(values[here] + values[here + 1]) / 2 for values in (track.x_m, track.y_m)]

    def corridor() -> Any:
        told = steps.length_m[here], steps.speed_m_s[here], steps.bearing_rad[here]
        return corridor_steps(*middle, *told, speed_quantile=0.75, variance_quantile=0.25)

    mean = np.nanmean(corridor()[1])
    agree = f"mean circular variance {mean:.4f} on the map (0.4368 on the ellipsoid)"
    line("corridor behaviour, 3,935 steps", cpu_seconds(corridor)[0], "move::corridor (stored)", 2.5, agree)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "shared/data/movement"
    if not folder.is_dir():
        sys.exit(f"the reference data are not in {folder}; name their folder")
    print(f"{'':44} {'ours, CPU':>11}   {'peer':28} {'its CPU':>9}   {'ratio':>8}")
    clogit(folder)
    hidden_states(folder)
    deer(folder)


if __name__ == "__main__":
    main()
