"""Landscape genetics by brute force: mixed models, adjoint gradients, permutations, F-statistics, and refusals."""

import itertools
from math import comb

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from linkways import LinkwaysError, populations, spatial
from linkways.kernels.laplacian import StepLengths
from linkways.populations._gene_mlpe import Mlpe
from linkways.populations._gene_surface import Surface, profile


def all_pairs(n):
    first, second = np.triu_indices(n, 1)
    return first.astype(np.int64), second.astype(np.int64)


def dense_covariance(first, second, rho):
    share = (
        (first[:, None] == first)
        | (first[:, None] == second)
        | (second[:, None] == first)
        | (second[:, None] == second)
    )
    return np.where(np.eye(len(first), dtype=bool), 1.0, rho * share)


@pytest.mark.parametrize("kept", [1.0, 0.7])
def test_the_mixed_model_is_the_best_of_dense_generalised_least_squares(kept):
    """All pairs, and some of them: the likelihood written out with the M x M covariance, maximised by simplex."""
    rng = np.random.default_rng(5)
    first, second = all_pairs(9)
    chosen = np.sort(rng.permutation(len(first))[: int(kept * len(first))])
    first, second = first[chosen], second[chosen]
    x, site = rng.normal(size=len(first)), rng.normal(size=9)
    y = 0.3 + 0.5 * x + 0.4 * (site[first] + site[second]) + 0.3 * rng.normal(size=len(first))
    fit = Mlpe(first, second, y).fit(x[:, None])

    def negative(p):
        covariance = np.exp(p[2]) * dense_covariance(first, second, 0.5 / (1 + np.exp(-p[3])))
        return -multivariate_normal.logpdf(y, p[0] + p[1] * x, covariance)

    start = [*fit.coefficients, np.log(fit.variance), -np.log(0.5 / fit.rho - 1)]
    assert fit.log_likelihood == pytest.approx(-negative(start), abs=1e-9)
    best = minimize(
        negative, np.array(start) + 0.05, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-11, "maxiter": 4000}
    )
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-6)
    assert fit.coefficients == pytest.approx(best.x[:2], abs=1e-4)
    precision = np.linalg.inv(dense_covariance(first, second, fit.rho)) / fit.variance
    design = np.column_stack([np.ones(len(x)), x])
    assert fit.covariance == pytest.approx(np.linalg.inv(design.T @ precision @ design), rel=1e-8)
    assert fit.slope == pytest.approx(precision @ (y - fit.fitted), rel=1e-7, abs=1e-9)


def test_the_correlation_matrix_has_the_eigenvalues_of_clarke():
    first, second = all_pairs(8)
    values = np.sort(np.linalg.eigvalsh(dense_covariance(first, second, 0.3)))
    expected = [1 - 0.6] * 20 + [1 + 4 * 0.3] * 7 + [1 + 12 * 0.3]
    assert values == pytest.approx(expected)


def dense_resistances(conductance, cells, lengths, neighbours):
    """From the pseudo-inverse of the whole Laplacian, edges one by one."""
    rows, columns = conductance.shape
    number = np.arange(rows * columns).reshape(rows, columns)
    laplacian = np.zeros((rows * columns,) * 2)
    moves = [(0, 1), (1, 0), (1, 1), (1, -1)][: 4 if neighbours == 8 else 2]
    for r, c in itertools.product(range(rows), range(columns)):
        for dr, dc in moves:
            if r + dr < rows and 0 <= c + dc < columns:
                a, b = conductance[r, c], conductance[r + dr, c + dc]
                if np.isfinite(a) and np.isfinite(b):
                    w = (a + b) / 2 / lengths[(dr, abs(dc))][r]
                    p, q = number[r, c], number[r + dr, c + dc]
                    laplacian[p, p] += w
                    laplacian[q, q] += w
                    laplacian[p, q] -= w
                    laplacian[q, p] -= w
    inverse = np.linalg.pinv(laplacian, hermitian=True)
    at = number[cells[:, 0], cells[:, 1]]
    diagonal = np.diag(inverse)[at]
    return diagonal[:, None] + diagonal[None, :] - 2 * inverse[np.ix_(at, at)]


@pytest.mark.parametrize("neighbours", [4, 8])
def test_resistances_and_the_gradient_of_the_likelihood_are_those_of_brute_force(neighbours):
    rng = np.random.default_rng(8)
    rows, columns = 7, 6
    covariates = rng.normal(size=(2, rows, columns))
    covariates[:, 3, 2] = np.nan
    cells = np.array([[0, 0], [0, 5], [2, 3], [4, 1], [6, 5], [6, 0]])
    site = np.array([0, 1, 2, 3, 4, 5, 0])  # the last population shares the cell of the first
    steps = StepLengths(rng.uniform(0.8, 1.2, rows), rng.uniform(0.8, 1.2, rows - 1), rng.uniform(1.2, 1.6, rows - 1))
    surface = Surface(covariates, cells, site, neighbours, steps, 1)
    first, second = all_pairs(7)
    lengths = {(0, 1): steps.east_west, (1, 0): steps.north_south, (1, 1): steps.diagonal}
    theta = np.array([0.4, -0.7])
    expected = dense_resistances(surface.conductance(theta), cells, lengths, neighbours)[np.ix_(site, site)]
    assert surface.resistances(theta, first, second) == pytest.approx(expected[first, second], rel=1e-10, abs=1e-12)
    mlpe = Mlpe(first, second, 0.1 + 0.2 * expected[first, second] + 0.05 * rng.normal(size=len(first)))
    gradient = profile(surface, mlpe, theta + 0.2)[1]
    for k in range(2):
        values = []
        for sign in (1, -1):
            moved = theta + 0.2 + sign * 1e-5 * np.eye(2)[k]
            other = dense_resistances(surface.conductance(moved), cells, lengths, neighbours)[np.ix_(site, site)]
            values.append(mlpe.fit(other[first, second][:, None]).log_likelihood)
        assert gradient[k] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)


def landscape(seed=2, sites=14, size=30):
    """A simulated landscape with the truth that distances are made from."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2, size, size))
    layers = [
        spatial.new_raster(v, crs="EPSG:3035", cell_size=1000, origin=(0, size * 1e3), name=n)
        for v, n in zip(values, ("forest", "roads"), strict=True)
    ]
    at = rng.uniform(0, size * 1e3, (sites, 2))
    names = [f"p{k}" for k in range(sites)]
    points = gpd.GeoDataFrame({"population": names}, geometry=gpd.points_from_xy(*at.T), crs="EPSG:3035")
    pairs = pd.DataFrame(itertools.combinations(names, 2), columns=["population_a", "population_b"])
    return layers, points, pairs


def test_a_simulated_landscape_gives_back_the_effects_it_was_made_with():
    layers, points, pairs = landscape()
    z = np.array([(r.values - r.values.mean()) / r.values.std(ddof=1) for r in layers])
    row = 29 - np.floor(points.geometry.y / 1000).astype(int).to_numpy()
    cells = np.column_stack([row, np.floor(points.geometry.x / 1000).astype(int)])
    conductance = np.exp(0.8 * z[0] - 0.5 * z[1])
    lengths = {(0, 1): np.ones(30), (1, 0): np.ones(30), (1, 1): np.full(30, np.sqrt(2))}
    truth = dense_resistances(conductance, cells, lengths, 8)[all_pairs(14)]
    noise = np.random.default_rng(0).normal(0, 0.002, len(truth))
    found = populations.resistance_from_genes(layers, points, pairs.assign(fst=0.01 + 0.1 * truth + noise))
    table = found.covariates.set_index("covariate")
    for name, value in (("forest", 0.8), ("roads", -0.5)):
        assert abs(table.loc[name, "effect"] - value) < 3 * table.loc[name, "standard_error"]
        assert table.loc[name, "standard_error"] < 0.1
    assert found.slope == pytest.approx(0.1, rel=0.1)
    assert found.models["aic"].idxmin() == 0
    mean = found.resistance.values[np.unravel_index(abs(z).sum(axis=0).argmin(), z[0].shape)]
    assert mean == pytest.approx(1.0, abs=0.1)


def test_effects_that_cannot_be_told_are_refused_by_name():
    layers, points, pairs = landscape()
    genetic = pairs.assign(fst=np.random.default_rng(1).uniform(size=len(pairs)))
    flat = layers[0].copy(data=np.full((30, 30), 3.0)).rename("sea")
    with pytest.raises(LinkwaysError, match="the effect of 'sea' cannot be identified: it has one value everywhere"):
        populations.resistance_from_genes([layers[0], flat], points, genetic)
    again = (layers[0] * 2 + layers[1]).rio.write_crs("EPSG:3035").rename("both")
    with pytest.raises(LinkwaysError, match="the effect of 'both' cannot be identified"):
        populations.resistance_from_genes([*layers, again], points, genetic)


def test_populations_off_the_map_or_behind_a_gap_are_refused():
    layers, points, pairs = landscape()
    genetic = pairs.assign(fst=0.1)
    with pytest.raises(LinkwaysError, match=r"population 'p\d+' \(\d+ in all\) lies where a covariate has no value"):
        populations.resistance_from_genes(layers, points.assign(geometry=points.translate(20e3, 0)), genetic)
    wall = layers[0].copy()
    wall[:, 15] = np.nan
    with pytest.raises(LinkwaysError, match="cells without data part"):
        populations.resistance_from_genes(
            [wall],
            points[abs(points.geometry.x - 15500) > 500],
            genetic[
                genetic[["population_a", "population_b"]]
                .isin(points["population"][abs(points.geometry.x - 15500) > 500].tolist())
                .all(axis=1)
            ],
        )


def distances(seed=3, n=8):
    rng = np.random.default_rng(seed)
    names = [f"p{k}" for k in range(n)]
    pairs = pd.DataFrame(itertools.combinations(names, 2), columns=["population_a", "population_b"])
    near, cost = rng.uniform(1, 9, len(pairs)), rng.uniform(1, 9, len(pairs))
    fst = 0.02 + 0.03 * cost + 0.02 * rng.normal(size=len(pairs))
    return pairs.assign(fst=fst), pairs.assign(distance_m=near, cost=cost)


def test_the_better_predictor_wins_and_aic_is_that_of_its_likelihood():
    genetic, known = distances()
    found = populations.isolation(genetic, [known], permutations=99, subsets=True)
    models = found.models.set_index("predictors")
    assert found.best.startswith("cost") or found.best == "distance_m + cost"
    assert models.loc["distance_m", "aic"] > models.loc["cost", "aic"] + 10
    assert models["weight"].sum() == pytest.approx(1)
    assert models["aic"].tolist() == pytest.approx((2 * models["parameters"] - 2 * models["log_likelihood"]).tolist())
    slope = found.coefficients.query("predictors == 'cost' and term == 'cost'").iloc[0]
    assert slope["low"] < 0.03 < slope["high"]


def test_mantel_tests_are_those_of_all_permutations_written_out():
    """Six populations have 720 orders: the p of many random ones is near the exact one."""
    genetic, known = distances(n=6, seed=11)
    found = populations.isolation(genetic, [known], permutations=4000).tests.set_index(["test", "predictor"])
    upper = np.triu_indices(6, 1)
    y = np.zeros((6, 6))
    y[upper] = genetic["fst"]
    y += y.T
    x, z = known["cost"].to_numpy(), known["distance_m"].to_numpy()

    def partial(v):
        a, b, c = np.corrcoef(v, x)[0, 1], np.corrcoef(v, z)[0, 1], np.corrcoef(x, z)[0, 1]
        return (a - b * c) / np.sqrt((1 - b**2) * (1 - c**2))

    orders = [y[np.ix_(o, o)][upper] for o in map(list, itertools.permutations(range(6)))]
    for test, statistic in (("mantel", lambda v: np.corrcoef(v, x)[0, 1]), ("partial_mantel", partial)):
        values = np.array([statistic(v) for v in orders])
        row = found.loc[(test, "cost")]
        assert row["statistic"] == pytest.approx(values[0])
        exact = (abs(values) >= abs(values[0]) - 1e-9).mean()
        assert abs(row["p"] - exact) < 4 * np.sqrt(exact / 4000) + 1 / 4000
    standard = [(v - v.mean()) / v.std() for v in (genetic["fst"], known["distance_m"], known["cost"])]
    beta = np.linalg.lstsq(np.column_stack(standard[1:]), standard[0], rcond=None)[0]
    assert found.loc["mmrr"]["statistic"].tolist() == pytest.approx(beta.tolist())


def test_sites_give_distances_along_the_ellipsoid_and_differences_of_their_columns():
    genetic, _ = distances(n=6)
    rng = np.random.default_rng(0)
    points = gpd.points_from_xy(rng.uniform(10, 12, 6), rng.uniform(50, 51, 6))
    sites = gpd.GeoDataFrame(
        {"population": [f"p{k}" for k in range(6)], "rain": rng.normal(size=6)}, geometry=points, crs=4326
    )
    found = populations.isolation(genetic, sites=sites, environment=["rain"], permutations=0, logarithm=["distance_m"])
    assert set(found.models["predictors"]) == {"none", "distance_m", "difference_rain", "distance_m + difference_rain"}
    assert found.tests.empty
    table = genetic.assign(metres=[np.exp(v) for v in np.ones(15)])
    table["metres"] = [
        sites.to_crs(sites.estimate_utm_crs())
        .geometry.iloc[int(a[1:])]
        .distance(sites.to_crs(sites.estimate_utm_crs()).geometry.iloc[int(b[1:])])
        for a, b in zip(genetic["population_a"], genetic["population_b"], strict=True)
    ]
    plane = populations.isolation(table, use=["metres"], logarithm=["metres"], permutations=0)
    ours = found.models.set_index("predictors").loc["distance_m", "log_likelihood"]
    assert plane.models.set_index("predictors").loc["metres", "log_likelihood"] == pytest.approx(ours, abs=0.01)


def test_predictors_that_cannot_be_told_apart_are_refused_by_name():
    genetic, known = distances()
    for column, values in (("even", 2.0), ("twice", 2 * known["cost"] + 3)):
        with pytest.raises(LinkwaysError, match=f"the coefficient of '{column}' cannot be identified"):
            populations.isolation(genetic, [known.assign(**{column: values})])
    with pytest.raises(LinkwaysError, match="has no distance_m for 1 of 28 pairs, first p6 and p7"):
        populations.isolation(genetic, [known.iloc[:-1]])
    with pytest.raises(LinkwaysError, match=r"use has 'costs', which no input has .did you mean 'cost'"):
        populations.isolation(genetic, [known], use=["costs", "cost"])
    with pytest.raises(LinkwaysError, match="nothing to explain genetic distances by"):
        populations.isolation(genetic)


def genotypes(populations_sizes, loci, alleles, seed):
    rng = np.random.default_rng(seed)
    rows = []
    for name, size in populations_sizes.items():
        for _ in range(size):
            cells = {f"locus{k}": "/".join(map(str, rng.integers(1, alleles + 1, 2))) for k in range(loci)}
            rows.append({"population": name, **cells})
    return pd.DataFrame(rows)


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(2, 9), min_size=2, max_size=4), seed=st.integers(0, 10**6))
def test_weir_and_cockerham_is_the_nested_analysis_of_variance(sizes, seed):
    """Sums of squares of allele indicators among populations, individuals and genes, with Cockerham's n0."""
    table = genotypes({f"p{k}": n for k, n in enumerate(sizes)}, 2, 3, seed)
    found = populations.genetic_diversity(table)
    n = np.array(sizes)
    r, total = len(n), n.sum()
    n0 = (total - (n**2).sum() / total) / (r - 1)
    parts = np.zeros(3)
    for locus in ("locus0", "locus1"):
        genes = np.array([[int(a) for a in cell.split("/")] for cell in table[locus]])
        owner = np.repeat(np.arange(r), n)
        for allele in np.unique(genes):
            x = (genes == allele).astype(float)
            person = x.mean(axis=1)
            group = np.array([x[owner == d].mean() for d in range(r)])
            msg = ((x - person[:, None]) ** 2).sum() / total
            msi = 2 * ((person - group[owner]) ** 2).sum() / (total - r)
            msp = 2 * (n * (group - x.mean()) ** 2).sum() / (r - 1)
            parts += [(msp - msi) / (2 * n0), (msi - msg) / 2, msg]
    assert found.wc_fst == pytest.approx(parts[0] / parts.sum(), abs=1e-10)
    assert found.wc_fis == pytest.approx(parts[1] / parts[1:].sum(), abs=1e-10)


def test_allelic_richness_is_the_mean_over_all_subsamples():
    table = pd.DataFrame({"population": ["a"] * 4 + ["b"] * 2, "x": ["1/1", "1/2", "1/3", "2/2", "1/2", "2/2"]})
    found = populations.genetic_diversity(table)
    assert found.rarefied_genes == 4
    genes = [1, 1, 1, 2, 1, 3, 2, 2]
    mean = np.mean([len(set(s)) for s in itertools.combinations(genes, 4)])
    assert len(list(itertools.combinations(genes, 4))) == comb(8, 4)
    rows = found.populations.set_index("population")
    assert rows.loc["a", "allelic_richness"] == pytest.approx(mean)
    assert rows.loc["b", "allelic_richness"] == pytest.approx(2)
    assert rows["private_alleles"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            pd.DataFrame({"population": ["a", "b"], "x": ["1/2", "12"]}),
            "row 2 has '12' at locus 'x'; write both alleles",
        ),
        (pd.DataFrame({"population": ["a", "a"], "x": ["1/2", "1/2"]}), "one population, a; Fst needs at least two"),
        (pd.DataFrame({"population": ["a", "b"], "x": ["1/1", "1/1"]}), "no locus has more than one allele"),
        (pd.DataFrame({"population": ["a", None], "x": ["1/1", "1/2"]}), "row 2 has no population"),
        (pd.DataFrame({"population": ["a", "b"], "x": [None, "NA"]}), "locus 'x' has no genotype"),
    ],
)
def test_tables_that_are_no_genotypes_are_refused(table, message):
    with pytest.raises(LinkwaysError, match=message):
        populations.genetic_diversity(table)


THREE = pd.DataFrame({"population": ["a", "b", "c"], "size": [20, 10, 30]})
FLOW = pd.DataFrame({"source": ["a", "b"], "target": ["b", "c"], "rate": [0.1, 0.2]})


def test_forward_rates_become_backward_ones_by_the_sizes_of_the_origins():
    """b has 8 of its own and 2 of a; c has 30 of its own and 2 of b."""
    found = populations.gene_flow(THREE, FLOW, generations=1, replicates=0).migration
    shares = found.set_index(["population", "origin"])["share"]
    assert shares.to_dict() == pytest.approx({("b", "a"): 2 / 10, ("c", "b"): 2 / 32})
    assert found["migrants"].tolist() == pytest.approx([10 * 0.2, 30 * 2 / 32])


def test_gene_flow_scenarios_are_the_same_until_their_rates_differ():
    later = FLOW.assign(from_generation=6)
    found = populations.gene_flow(THREE, None, later, generations=10, replicates=20, report_every=1)
    both = [found.diversity[found.diversity["scenario"] == s].reset_index(drop=True) for s in ("baseline", "scenario")]
    early = both[0]["generation"] <= 5
    columns = ["heterozygosity", "simulated", "observed", "alleles"]
    pd.testing.assert_frame_equal(both[0].loc[early, columns], both[1].loc[early, columns])
    assert not both[0].loc[~early, "simulated"].equals(both[1].loc[~early, "simulated"])


def test_an_isolated_population_has_its_own_effective_size():
    found = populations.gene_flow(THREE, generations=20, replicates=0, report_every=5).diversity
    sizes = found[found["generation"] > 0].groupby("population")["effective_size"].unique()
    for name, size in zip("abc", (20, 10, 30), strict=True):
        assert sizes[name] == pytest.approx(np.full(len(sizes[name]), size))


def test_genotypes_start_both_recursion_and_simulation_from_their_frequencies():
    table = genotypes({"a": 30, "b": 20, "c": 25}, 4, 3, seed=2)
    found = populations.gene_flow(THREE, genotypes=table, generations=1, replicates=400, report_every=1)
    start = found.diversity.query("generation == 0").set_index("population")
    genes = {name: part.drop(columns="population") for name, part in table.groupby("population")}
    for name, part in genes.items():
        h = []
        for locus in part:
            alleles = pd.Series([a for cell in part[locus] for a in cell.split("/")])
            h.append(1 - (alleles.value_counts(normalize=True) ** 2).sum())
        assert start.loc[name, "heterozygosity"] == pytest.approx(np.mean(h))
        assert start.loc[name, "simulated"] == pytest.approx(np.mean(h), abs=0.02)
    assert start["alleles"].max() <= 3


def test_mutation_and_drift_balance_where_theory_says():
    """Infinite alleles: H = 1 - 1 / (1 + 4 N u), nearly."""
    one = pd.DataFrame({"population": ["a"], "size": [50]})
    found = populations.gene_flow(one, generations=2000, mutation_rate=0.005, replicates=30, loci=30, report_every=2000)
    last = found.diversity.query("population == 'a' and generation == 2000").iloc[0]
    assert last["heterozygosity"] == pytest.approx(1 - 1 / (1 + 4 * 50 * 0.005), abs=0.005)
    assert last["simulated"] == pytest.approx(last["heterozygosity"], abs=0.03)


@pytest.mark.parametrize(
    ("table", "flow", "settings", "message"),
    [
        (THREE.assign(size=[20, 10, 2.5]), None, {}, "'c' has size 2.5, but individuals can be simulated"),
        (THREE, FLOW.assign(rate=-0.1), {}, "rate -0.1, but it must be a number from 0 to 1"),
        (THREE, FLOW.assign(target="d"), {}, "target 'd', which is not among the populations"),
        (THREE, FLOW.assign(rate=1.0, source=["a", "b"], target=["c", "c"]), {"direction": "backward"}, "rates into c"),
        (THREE, FLOW.iloc[:1].assign(rate=1.0), {}, "everybody leaves population 'a' and nobody arrives"),
        (THREE, FLOW.iloc[:1], {"coalescent_replicates": 5}, "genes of 'a' and 'c' have no common ancestor"),
    ],
)
def test_gene_flow_that_cannot_be_is_refused(table, flow, settings, message):
    with pytest.raises(LinkwaysError, match=message):
        populations.gene_flow(table, flow, replicates=settings.pop("replicates", 1), generations=3, **settings)


def test_populations_without_genotypes_are_refused():
    table = genotypes({"a": 3, "b": 3}, 1, 3, seed=0)
    with pytest.raises(LinkwaysError, match="no individual of population 'c'"):
        populations.gene_flow(THREE, genotypes=table, generations=1)


def test_coalescence_without_msprime_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "msprime", None)
    with pytest.raises(LinkwaysError, match=r"pip install 'linkways\[populations\]'"):
        populations.gene_flow(THREE, FLOW, generations=1, replicates=0, coalescent_replicates=5)


APART = pd.DataFrame({"core_a": ["a", "a", "b"], "core_b": ["b", "c", "c"], "km": [1.0, 2.0, 4.0]})


def test_rates_go_with_conductance_and_leave_as_many_as_asked():
    rates = populations.dispersal_rates(THREE, APART, column="km", rule="conductance", total=0.06)
    matrix = rates.pivot_table(index="source", columns="target", values="rate", fill_value=0.0)
    assert matrix.sum(axis=1).mean() == pytest.approx(0.06)
    assert matrix.loc["a", "b"] / matrix.loc["b", "c"] == pytest.approx(4)
    assert np.allclose(matrix, matrix.T)


def test_rates_of_each_population_sum_to_the_total():
    rates = populations.dispersal_rates(
        THREE, APART, column="km", rule="exponential", total=0.3, per="each", mean_distance=2.0
    )
    assert rates.groupby("source")["rate"].sum().tolist() == pytest.approx([0.3] * 3)
    of_a = rates[rates["source"] == "a"].set_index("target")["rate"]
    assert of_a["b"] / of_a["c"] == pytest.approx(np.exp(0.5))


def test_immigrant_shares_are_the_backward_rates_of_gene_flow():
    rates = populations.dispersal_rates(THREE, APART, column="km", rule="conductance", total=0.1)
    flow = populations.gene_flow(THREE, rates, generations=1, replicates=0).migration
    ours = rates.set_index(["target", "source"])["immigrant_share"].sort_index()
    theirs = flow.set_index(["population", "origin"])["share"].sort_index()
    assert ours.to_numpy() == pytest.approx(theirs.to_numpy())


@pytest.mark.parametrize(
    ("apart", "settings", "message"),
    [
        (APART, {"rule": "exponential", "total": 0.1}, "needs mean_distance"),
        (APART.assign(km=0.0), {"rule": "conductance", "total": 0.1}, "row 1 has km 0, whose conductance is infinite"),
        (APART.assign(core_b="d"), {"rule": "conductance", "total": 0.1}, "core_b 'd', which is not among"),
        (pd.concat([APART, APART]), {"rule": "conductance", "total": 0.1}, "is there twice"),
        (APART, {"rule": "conductance", "total": 0.9}, "would leave, more than all"),
        (APART.iloc[:1], {"rule": "conductance", "total": 0.1, "per": "each"}, "'c' has no pair in distances"),
        (
            APART.rename(columns={"core_a": "one"}),
            {"rule": "conductance", "total": 0.1},
            "no two columns that name a pair",
        ),
    ],
)
def test_distances_that_give_no_rates_are_refused(apart, settings, message):
    with pytest.raises(LinkwaysError, match=message):
        populations.dispersal_rates(THREE, apart, column="km", **settings)
