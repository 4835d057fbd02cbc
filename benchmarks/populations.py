"""Populations beside their peers: one part for each science, each printing its figures in one run.

    python benchmarks/populations.py [--part NAME ...] [--data FOLDER OF REFERENCE DATA]

CPU seconds, the least of several repeats after a first call that loads the compiled kernels. Peers that are R packages
or other programs were measured once on a machine of the same kind (two shared cores) and stand here as they were noted.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from linkways import populations, spatial


def cpu_seconds(job: Callable[[], Any], repeats: int = 3) -> float:
    """The least CPU time of a job, all its threads counted."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        job()
        best = min(best, time.process_time() - begin)
    return best


def line(what: str, ours: float, peer: str = "", theirs: float | None = None) -> None:
    beside = "" if theirs is None else f"{theirs:8.2f} s   {theirs / ours:8.0f} x"
    print(f"{what:66} {ours:9.4f} s   {peer:34} {beside}")


def viability(_: Path) -> None:
    """Individuals of two populations over 100 years, 20 loci, inbreeding depression with lethals."""
    stages = pd.DataFrame(
        {
            "stage": ["cub", "subadult", "adult"],
            "survival": [0.6, 0.8, 0.93],
            "survival_sd": [0.1, 0.05, 0.02],
            "fecundity": [0.0, 0.0, 0.7],
            "years": [1, 3, None],
        }
    )
    two = pd.DataFrame({"population": ["west", "east"], "number": [120, 30], "capacity": [120, 30]})
    corridor = pd.DataFrame({"source": ["west", "east"], "target": ["east", "west"], "rate": [0.02, 0.02]})
    settings: dict[str, Any] = {"dispersal": corridor, "lethal_equivalents": 3.14, "years": 100}
    populations.viability(stages, two, replicates=50, **settings)
    ours = cpu_seconds(lambda: populations.viability(stages, two, replicates=1000, **settings))
    line("viability: 1,000 replicates, tables and figure", ours, "numba prototype, 1.1 ms each", 1.1)
    begin, cpu = time.perf_counter(), time.process_time()
    populations.viability(stages, two, replicates=10_000, **settings)
    wall = time.perf_counter() - begin
    line("viability: 10,000 replicates", time.process_time() - cpu)
    print(f"{'':4}of which {wall:.1f} s on the clock with all cores (target: under 20 s on 2 cores)")
    five = cpu_seconds(
        lambda: populations.viability(
            stages,
            pd.DataFrame({"population": list("abcdefg"), "number": 200, "capacity": 250}),
            replicates=2,
            years=5,
            lethal_equivalents=0.0,
        )
    )
    line("viability: 7 populations, 1,400 individuals, 5 years", five / 2, "CDMetaPOP 3.08, 900-1,824 ind.", 28.8)


def genes(folder: Path) -> None:
    """Resistance from genetic distances of 37 sites on 28,080 cells; 300 pairs of genes; the recursion."""
    home = folder / "melip"
    if home.is_dir():
        layers = [spatial.read_raster(home / f"{name}.tif").rename(name) for name in ("forest", "alt")]
        places = pd.read_csv(home / "coords.csv")
        distances = pd.read_csv(home / "Fst.csv").to_numpy()
        names = [f"site {k}" for k in range(len(places))]
        sites = gpd.GeoDataFrame({"population": names}, geometry=gpd.points_from_xy(places.x, places.y), crs=4326)
        pairs = [(names[i], names[j], distances[i, j]) for i, j in itertools.combinations(range(len(names)), 2)]
        genetic = pd.DataFrame(pairs, columns=["population_a", "population_b", "fst"])
        found = populations.resistance_from_genes(layers, sites, genetic, steps="cells", compare=False)
        ours = cpu_seconds(
            lambda: populations.resistance_from_genes(layers, sites, genetic, steps="cells", compare=False)
        )
        line("resistance from genes: melip, two covariates, with errors", ours, "radish 0.0.2 (5.7-7.7 s)", 5.9)
        effects = ", ".join(f"{v:.7f}" for v in found.covariates["effect"])
        print(f"{'':4}effects {effects} (radish: 0.0847068, -0.4981839)")
    two = pd.DataFrame({"population": ["west", "east"], "size": [120, 30]})
    flow = pd.DataFrame({"source": ["west", "east"], "target": ["east", "west"], "rate": [0.005, 0.02]})

    def forward(replicates: int) -> Any:
        return populations.gene_flow(two, flow, generations=100, replicates=replicates)

    forward(10)
    line("gene flow: 1,000 forward simulations, 100 generations, 20 loci", cpu_seconds(lambda: forward(1000)))
    line("gene flow: the exact recursion alone", cpu_seconds(lambda: forward(0)))


def _secr_points(folder: Path, captures: str, detectors: str, mask: str) -> tuple[Any, Any, pd.DataFrame]:
    """Captures, detectors and mask points in the names of Linkways."""
    table = pd.read_csv(folder / captures).rename(
        columns={"ID": "individual", "Occasion": "occasion", "TrapID": "detector"}
    )
    traps = pd.read_csv(folder / detectors)
    layer = gpd.GeoDataFrame(traps, geometry=gpd.points_from_xy(traps["x"], traps["y"]), crs=3857)
    return table, layer, pd.read_csv(folder / mask)


def _mask_raster(points: pd.DataFrame, values: np.ndarray, name: str) -> Any:
    """A raster from the points of a mask."""
    x, y = points["x"].to_numpy(), points["y"].to_numpy()
    step = float(np.diff(np.unique(np.round(x, 6))).min())
    column = np.round((x - x.min()) / step).astype(int)
    row = np.round((y.max() - y) / step).astype(int)
    cells = np.full((row.max() + 1, column.max() + 1), np.nan)
    cells[row, column] = values
    corner = (x.min() - step / 2, y.max() + step / 2)
    return spatial.new_raster(cells, crs=3857, cell_size=step, origin=corner, name=name)


def _mink_sized() -> dict[str, Any]:
    """Simulated captures on 21,463 cells by 638 traps in 166 places, whose animals avoid what is costly."""
    from scipy.ndimage import gaussian_filter
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    rng = np.random.default_rng(7)
    rows, columns, alpha, sigma = 127, 169, 1.2, 350.0
    rough = gaussian_filter(rng.normal(size=(rows, columns)), 4)
    z = (rough - rough.min()) / np.ptp(rough)
    cost = np.exp(alpha * z)
    links = []
    index = np.arange(rows * columns).reshape(rows, columns)
    for one, two, length in (
        (np.s_[:, :-1], np.s_[:, 1:], 1.0),
        (np.s_[:-1], np.s_[1:], 1.0),
        (np.s_[:-1, :-1], np.s_[1:, 1:], 2**0.5),
        (np.s_[:-1, 1:], np.s_[1:, :-1], 2**0.5),
    ):
        links.append((index[one].ravel(), index[two].ravel(), 50.0 * length * (cost[one] + cost[two]).ravel()))
    i, j, weight = (np.concatenate(part) for part in zip(*links, strict=True))
    graph = coo_array((weight, (i, j)), shape=(z.size, z.size)).tocsr()
    places = rng.choice(index[24:-24, 24:-24].ravel(), 166, replace=False)
    at = np.concatenate([places, rng.choice(places, 638 - 166)])
    homes = rng.choice(z.size, 330)
    distance = dijkstra(graph, directed=False, indices=places, limit=6 * sigma)
    order = {cell: row for row, cell in enumerate(places)}
    far = distance[[order[cell] for cell in at]][:, homes]
    chance = -np.expm1(-0.4 * np.exp(-(far**2) / 2 / sigma**2))
    caught = np.argwhere(rng.random((3, *chance.shape)) < chance)
    captures = pd.DataFrame(
        {
            "individual": [f"m{animal}" for animal in caught[:, 2]],
            "occasion": caught[:, 0] + 1,
            "detector": [f"t{trap}" for trap in caught[:, 1]],
        }
    )
    x, y = (at % columns + 0.5) * 100.0, (rows - at // columns - 0.5) * 100.0
    traps = gpd.GeoDataFrame(
        {"detector": [f"t{k}" for k in range(len(at))]}, geometry=gpd.points_from_xy(x, y), crs=3857
    )
    raster = spatial.new_raster(z, crs=3857, cell_size=100.0, origin=(0, rows * 100.0), name="cost")
    return {"captures": captures, "detectors": traps, "resistance": [raster]}


def capture(folder: Path) -> None:
    """Spatial capture-recapture with standard errors, maps and numbers; with a resistance estimated."""
    if folder.is_dir():
        table, traps, mask = _secr_points(
            folder / "secr", "captdata_captures.csv", "captdata_detectors.csv", "captdata_mask.csv"
        )
        habitat = _mask_raster(mask, np.ones(len(mask)), "habitat")

        def null() -> Any:
            return populations.capture(
                table, traps, habitat=habitat, detector_type="multi", function="half-normal", compare=[]
            )

        found = null()
        line("capture: captdata, 76 animals, 100 traps, 3,936 cells", cpu_seconds(null, 5), "secr 5.5.0 (CPU 3.1)", 5.0)
        print(f"{'':4}log-likelihood {found.log_likelihood:.6f} (secr: -759.025746)")
        kruger = folder / "kruger_leopard_sim"
        table_k, traps_k, mask_k = _secr_points(kruger, "captures_count.csv", "detectors.csv", "mask.csv")
        quality = _mask_raster(mask_k, mask_k["habitat.cov"].to_numpy(), "quality")

        def leopards() -> Any:
            return populations.capture(table_k, traps_k, density_covariates=[quality], density=["quality"], compare=[])

        found = leopards()
        line("capture: Kruger leopards (simulated), D ~ habitat", cpu_seconds(leopards, 5), "secr 5.5.0", 14.0)
        print(f"{'':4}log-likelihood {found.log_likelihood:.6f} (secr: -289.954132)")
    problem = _mink_sized()

    def mink() -> Any:
        return populations.capture(
            **problem, detector_type="binary", buffer_m=1800, spacing_m=200, compare=[], centres_used=1
        )

    begin = time.process_time()
    found = mink()
    ours = time.process_time() - begin
    row = found.coefficients.set_index("parameter").loc["resistance"]
    line("capture: cost of movement, size of the mink data, with its profile", ours, "oSCR 0.42 (mink, stored)", 72.0)
    print(
        f"{'':4}{found.animals_captured} animals, {np.isfinite(found.density.values).sum() // 4} centres; alpha "
        f"{row['estimate']:.3f} ({row['low']:.3f} to {row['high']:.3f}), simulated with 1.2"
    )


def _visits(sites: int, visits: int, seasons: int = 1) -> pd.DataFrame:
    """Simulated histories with a covariate of sites, one of site and season, and two of visits."""
    rng = np.random.default_rng(7)

    def chance(eta: np.ndarray) -> np.ndarray:
        return rng.random(eta.shape) < 1 / (1 + np.exp(-eta))

    forest, wet = rng.normal(size=sites), rng.normal(size=(sites, seasons))
    effort, hour = rng.normal(size=(2, sites, seasons, visits))
    there, seen = chance(0.2 + 0.5 * forest), np.empty((sites, seasons, visits))
    for t in range(seasons):
        seen[:, t] = chance(-0.3 + 0.5 * effort[:, t]) & there[:, None]
        there = np.where(there, ~chance(-1.2 + 0.4 * wet[:, t]), chance(-1 + 0.6 * forest))
    return pd.DataFrame(
        {
            "site": np.repeat(np.arange(sites), seasons * visits),
            "season": np.tile(np.repeat(np.arange(seasons), visits), sites),
            "occasion": np.tile(np.arange(visits), sites * seasons),
            "detected": seen.ravel(),
            "forest": np.repeat(forest, seasons * visits),
            "wet": np.repeat(wet.ravel(), visits),
            "effort": effort.ravel(),
            "hour": hour.ravel(),
        }
    )


def _fit_alone(table: pd.DataFrame, kind: str, terms: dict[str, list[str]], most: int = 25) -> Callable[[], Any]:
    """A fit with standard errors from arrays, without tables and figure: what unmarked's fitting functions do."""
    from linkways.populations._occupancy_build import prepare
    from linkways.populations._occupancy_fit import fit
    from linkways.populations._occupancy_histories import read_histories
    from linkways.populations._occupancy_sites import read_places

    def run() -> Any:
        visits = read_histories(table, kind)
        setup = prepare(kind, visits, read_places(visits.sites, None, None, (), None), terms, None, None, most)
        return fit(setup.model(setup.designs), [" ".join(row) for row in setup.rows(setup.designs)])

    run()
    return run


def occupancy(_: Path) -> None:
    """The sizes of the examples of unmarked, simulated; fits with standard errors, then whole methods."""
    one = _visits(1437, 3).drop(columns="season")
    terms = {"occupancy": ["forest"], "detection": ["effort", "hour"]}
    line("occupancy: 1,437 sites x 3, 5 coefficients, fit", cpu_seconds(_fit_alone(one, "single", terms), 7),
         "unmarked 1.5.0 occu", 0.40)  # fmt: skip
    line("occupancy: the same, whole method with figure", cpu_seconds(lambda: populations.occupancy(one, **terms), 7))
    _biolith(one)
    rn = {"occupancy": ["forest"], "detection": ["effort"]}
    line("occupancy: Royle-Nichols, K = 30, 4 coeff., fit", cpu_seconds(_fit_alone(one, "royle_nichols", rn, 30), 5),
         "unmarked 1.5.0 occuRN", 3.3)  # fmt: skip
    many = _visits(267, 3, 9)
    moving = {
        "occupancy": ["forest"],
        "colonisation": ["forest", "wet"],
        "extinction": ["wet"],
        "detection": ["effort"],
    }
    line("occupancy: dynamic, 267 x 9 x 3, 9 coefficients, fit", cpu_seconds(_fit_alone(many, "dynamic", moving), 5),
         "unmarked 1.5.0 colext", 3.7)  # fmt: skip
    yearly = {"occupancy": ["forest"], "colonisation": ["season"], "extinction": ["season"], "detection": ["season"]}
    line("occupancy: dynamic, rates by year, 27 coefficients, fit", cpu_seconds(_fit_alone(many, "dynamic", yearly)),
         "unmarked 1.5.0 colext, 26 coeff.", 16.0)  # fmt: skip
    large = _visits(100_000, 10).drop(columns="season")
    line("occupancy: 100,000 sites x 10, whole method", cpu_seconds(lambda: populations.occupancy(large, **rn)))
    plan = {"rate": 1.0, "site_sd": 0.5, "size": 3.0, "power_sites": [10, 20], "power_visits": [6]}
    ours = cpu_seconds(lambda: populations.impact(simulations=100, **plan), 1)
    line("impact: power of a plan, one simulated survey and its analysis", ours / 200)


def _biolith(table: pd.DataFrame) -> None:
    """The same data by MCMC, one chain of 500 + 500, where biolith is installed (its wheel needs pytest too)."""
    try:
        from biolith.models import occu
        from biolith.utils import fit
    except ImportError:
        print(f"{'':4}biolith is not installed; stored, the same model by MCMC, one chain: 19.9 s")
        return
    sites = table.drop_duplicates("site")
    visits = table[["effort", "hour"]].to_numpy().reshape(len(sites), 3, 2)
    seen = table["detected"].to_numpy().reshape(len(sites), 3)
    begin = time.process_time()
    fit(occu, site_covs=sites[["forest"]].to_numpy(), obs_covs=visits, obs=seen, num_chains=1, num_samples=500,
        num_warmup=500)  # fmt: skip
    print(f"{'':4}biolith, now, the same model by MCMC, one chain: {time.process_time() - begin:.1f} s")


PARTS: dict[str, Callable[[Path], None]] = {
    "capture": capture,
    "viability": viability,
    "genes": genes,
    "occupancy": occupancy,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=sorted(PARTS), default=sorted(PARTS))
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data" / "populations")
    arguments = parser.parse_args()
    for name in arguments.part:
        print(f"\n{name}")
        PARTS[name](arguments.data)


if __name__ == "__main__":
    main()
