"""Gene flow and landscape genetics against published estimates, peers' results and exact theory."""

import itertools
from functools import cache

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from linkways import populations
from linkways.spatial import read_raster

CONSTANT = 666 / 2 * np.log(2 * np.pi)
"""Of the log-likelihood of 666 pairs: radish leaves it out."""


@cache
def melip(folder, steps="cells"):
    """Melipona bees (37 sites, Fst), forest and altitude: the example of radish 0.0.2."""
    forest, altitude = (read_raster(folder / f"{name}.tif").rename(name) for name in ("forest", "alt"))
    places = pd.read_csv(folder / "coords.csv")
    distances = pd.read_csv(folder / "Fst.csv").to_numpy()
    names = [f"site {k}" for k in range(len(places))]
    sites = gpd.GeoDataFrame({"population": names}, geometry=gpd.points_from_xy(places.x, places.y), crs=4326)
    pairs = [(names[i], names[j], distances[i, j]) for i, j in itertools.combinations(range(len(names)), 2)]
    genetic = pd.DataFrame(pairs, columns=["population_a", "population_b", "fst"])
    return populations.resistance_from_genes([forest, altitude], sites, genetic, steps=steps)


def test_bees_have_the_covariate_effects_of_radish(shared):
    found = melip(shared / "data/populations/melip")
    table = found.covariates.set_index("covariate")
    assert table["effect"].tolist() == pytest.approx([0.0847068, -0.4981839], abs=1e-5)
    assert table["standard_error"].tolist() == pytest.approx([0.0932428, 0.0676207], abs=1e-5)
    # radish joins cells by the sum of their conductances, we by the mean: its resistances are half of ours
    assert 2 * found.slope == pytest.approx(0.3523698, abs=1e-5)
    assert found.intercept == pytest.approx(-0.0406028, abs=1e-5)
    assert found.rho == pytest.approx(0.38324087, abs=1e-5)
    assert found.variance == pytest.approx(0.00193974, abs=1e-8)


def test_bees_have_the_likelihoods_of_radish_but_for_its_constant(shared):
    models = melip(shared / "data/populations/melip").models.set_index("covariates")["log_likelihood"] + CONSTANT
    assert models["forest + alt"] == pytest.approx(2155.38492, abs=1e-5)
    assert models["none"] == pytest.approx(2091.1083, abs=1e-4)
    assert models["alt"] == pytest.approx(2154.97747, abs=1e-5)


def test_resistances_of_an_even_landscape_are_those_of_radish(shared):
    from linkways.kernels.laplacian import StepLengths
    from linkways.populations._gene_surface import Surface

    folder = shared / "data/populations/melip"
    layers = [read_raster(folder / f"{name}.tif") for name in ("forest", "alt")]
    places = pd.read_csv(folder / "coords.csv").iloc[:4]
    at = [
        layers[0].indexes["x"].get_indexer(places.x, "nearest"),
        layers[0].indexes["y"].get_indexer(places.y, "nearest"),
    ]
    rows = len(layers[0])
    ones = StepLengths(np.ones(rows), np.ones(rows - 1), np.ones(rows - 1))
    cells = np.column_stack([at[1], at[0]])
    surface = Surface(np.array([r.values for r in layers]), cells, np.arange(4), 8, ones, 1)
    found = surface.resistances(np.zeros(2), np.array([0, 0, 0]), np.array([1, 2, 3])) / 2
    assert found.tolist() == pytest.approx([0.1526792713, 0.4737293374, 0.4109985601], abs=1e-10)


def recursion(generations, **rates):
    two = pd.DataFrame({"population": ["west", "east"], "size": [40, 8]})
    table = pd.DataFrame(
        [("east", "west", m, t) for t, m in zip(rates["since"], rates["west"], strict=True)]
        + [("west", "east", m, t) for t, m in zip(rates["since"], rates["east"], strict=True)],
        columns=["source", "target", "rate", "from_generation"],
    )
    return populations.gene_flow(
        two, table, direction="backward", generations=generations, replicates=rates.get("replicates", 0), seed=4
    )


def state(found):
    """Heterozygosity of both at the end, and Fst."""
    last = found.diversity[found.diversity["generation"] == found.diversity["generation"].max()]
    h = last.set_index("population")["heterozygosity"]
    return h["west"], h["east"], 2 * h["all"] - (h["west"] + h["east"]) / 2, found.fst


def test_two_demes_follow_the_exact_recursion():
    """Checked against 400,000 Wright-Fisher replicates when it was written down; last digits as printed there."""
    isolated = state(recursion(20, since=[1], west=[0.0], east=[0.0]))
    assert isolated == pytest.approx((0.777575, 0.275059, 1, 0.310344), abs=1e-6)
    joined = state(recursion(20, since=[1], west=[1 / 80], east=[1 / 16]))
    assert joined == pytest.approx((0.803629, 0.633217, 0.870581, 0.095757), abs=1e-6)
    five = state(recursion(5, since=[1], west=[0.0], east=[0.0]))
    assert five == pytest.approx((0.939043, 0.724196, 1, 0.091930), abs=1e-6)


def test_a_corridor_after_five_generations_follows_the_exact_recursion():
    ten = state(recursion(15, since=[1, 6], west=[0.0, 0.01], east=[0.0, 0.05]))
    assert ten == pytest.approx((0.843639, 0.627892, 0.926378, 0.114679), abs=1e-6)
    fifty = state(recursion(55, since=[1, 6], west=[0.0, 0.01], east=[0.0, 0.05]))
    assert fifty[3] == pytest.approx(0.123420, abs=1e-6)


def test_simulated_individuals_keep_the_heterozygosity_of_the_recursion():
    found = recursion(20, since=[1], west=[1 / 80], east=[1 / 16], replicates=2000)
    rows = found.diversity.query("generation in (10, 20)")
    # 95 % of replicates lie between low and high; the error of their mean follows from it
    error = (rows["simulated_high"] - rows["simulated_low"]) / 3.92 / np.sqrt(2000)
    assert (abs(rows["simulated"] - rows["heterozygosity"]) < 3 * error).all()
    single = rows[rows["population"] != "all"]
    assert (abs(single["observed"] - single["heterozygosity"]) < 3.5 * error[single.index]).all()


@pytest.mark.parametrize(("demes", "size", "rate"), [(2, 50, 0.005), (10, 30, 0.01)])
def test_islands_reach_the_fst_of_wright(demes, size, rate):
    """Fst = 1 / (1 + 4 N m (d / (d - 1))^2) for rare migration and rarer mutation; m is the share from all others."""
    names = [f"island {k}" for k in range(demes)]
    pairs = itertools.permutations(names, 2)
    table = pd.DataFrame(pairs, columns=["source", "target"]).assign(rate=rate / (demes - 1))
    islands = pd.DataFrame({"population": names, "size": size})
    found = populations.gene_flow(islands, table, generations=6000, replicates=0, report_every=6000, mutation_rate=1e-5)
    assert found.fst == pytest.approx(1 / (1 + 4 * size * rate * (demes / (demes - 1)) ** 2), rel=0.03)


def test_genes_of_two_islands_coalesce_when_theory_says():
    """E[T] within = 2 N d, between = 2 N d + (d - 1) / (2 m): 200 and 300 for N = 50, m = 0.005."""
    pytest.importorskip("msprime")
    two = pd.DataFrame({"population": ["a", "b"], "size": [50, 50]})
    flow = pd.DataFrame({"source": ["a", "b"], "target": ["b", "a"], "rate": [0.005, 0.005]})
    found = populations.gene_flow(two, flow, replicates=0, coalescent_replicates=3000, generations=1)
    times = found.coalescence.set_index(["population_a", "population_b"])
    for pair, expected in ((("a", "a"), 200), (("b", "b"), 200), (("a", "b"), 300)):
        row = times.loc[pair]
        assert abs(row["generations"] - expected) < 3 * row["standard_error"]
    assert times.loc[("a", "b"), "fst_hudson"] == pytest.approx(1 / 3, abs=0.05)


def test_migrants_go_the_way_the_table_says_in_recursion_and_coalescent():
    """All genes of the sink come from the source within a generation or two, never the other way."""
    pytest.importorskip("msprime")
    two = pd.DataFrame({"population": ["source", "sink"], "size": [10, 1000]})
    flow = pd.DataFrame({"source": ["source"], "target": ["sink"], "rate": [0.5]})
    found = populations.gene_flow(
        two, flow, direction="backward", replicates=0, coalescent_replicates=400, generations=30
    )
    last = found.diversity.query("generation == 30").set_index("population")["heterozygosity"]
    assert last["source"] == pytest.approx((1 - 1 / 20) ** 30)
    assert last["sink"] < 0.35
    times = found.coalescence.set_index(["population_a", "population_b"])["generations"]
    assert times[("source", "source")] == pytest.approx(20, rel=0.25)
    assert times[("sink", "sink")] < 40


def test_cats_of_nancy_have_the_statistics_of_hierfstat(shared):
    """nancycats (adegenet 2.1.10), basic.stats and wc of hierfstat 0.5-11."""
    cats = pd.read_csv(shared / "data/populations/genetics/nancycats_genotypes.csv")
    found = populations.genetic_diversity(cats.rename(columns={"ind": "individual", "pop": "population"}))
    nei = (found.ho, found.hs, found.ht, found.nei_fst, found.dest)
    assert nei == pytest.approx((0.6299, 0.7083, 0.7717, 0.0821, 0.2310), abs=5e-5)
    assert 1 - found.ho / found.hs == pytest.approx(0.1108, abs=5e-5)
    assert found.wc_fst == pytest.approx(0.0849495941, abs=1e-9)
    assert found.wc_fis == pytest.approx(0.120589009, abs=1e-8)
    loci = found.loci.set_index("locus")["wc_fst"]
    assert loci["fca8"] == pytest.approx(0.1015051550, abs=1e-9)
    assert loci["fca37"] == pytest.approx(0.0698532056, abs=1e-9)
    pairs = found.distances.set_index(["population_a", "population_b"])["fst"]
    assert pairs[("P01", "P02")] == pytest.approx(0.130774064, abs=1e-9)
