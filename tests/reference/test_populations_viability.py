"""Viability against published estimates and against theory that needs no simulation."""

import numpy as np
import pandas as pd
import pytest

from linkways import populations


def test_the_grizzlies_of_yellowstone_have_the_growth_and_risk_of_popbio(shared):
    """Dennis et al. (1991) model on Yellowstone grizzlies 1959-1997, Morris & Doak (2002) ch. 3, popbio 2.8."""
    counts = pd.read_csv(shared / "data/populations/pva/grizzly_yellowstone_counts.csv").rename(columns={"N": "count"})
    found = populations.count_viability(counts, threshold=20, years=[10, 50, 100, 200])
    assert found.mean_log_growth == pytest.approx(0.0213402688, abs=1e-10)
    assert found.variance == pytest.approx(0.013050919, abs=1e-9)
    risk = found.risk.set_index("years")["probability"]
    assert risk[10] == pytest.approx(5.949815e-7, rel=1e-6)
    assert risk[50] == pytest.approx(0.00184617017, rel=1e-8)
    assert risk[100] == pytest.approx(0.00418067299, rel=1e-8)
    assert risk[200] == pytest.approx(0.00522792926, rel=1e-8)


def test_killer_whales_have_the_rates_of_popbio(shared):
    """Brault & Caswell (1993) matrix, popbio 2.8; its damping ratio is of eigenvalues rounded to five digits."""
    matrix = pd.read_csv(shared / "data/populations/pva/whale_matrix.csv")
    found = populations.matrix_model([matrix.rename(columns={matrix.columns[0]: "stage"})])
    assert found.growth_rate == pytest.approx(1.02544133, abs=5e-9)
    assert found.damping_ratio == pytest.approx(1.04594043, abs=2e-6)
    assert found.generation_years == pytest.approx(27.8507909, abs=5e-8)
    assert found.reproduction == pytest.approx(2.01314402, abs=5e-9)
    assert found.stages["stable_share"].tolist() == pytest.approx(
        [0.0369719, 0.3160712, 0.3229097, 0.3240472], abs=5e-8
    )


WHALES = pd.DataFrame(
    {
        "stage": ["yearling", "juvenile", "mature", "postreproductive"],
        "survival": [0.9775, 0.9111 + 0.0736, 0.9534 + 0.0452, 0.9804],
        "advance": [1.0, 0.0736 / (0.9111 + 0.0736), 0.0452 / (0.9534 + 0.0452), None],
        "fecundity": [0.0, 0.0043, 0.1132, 0.0],
    }
)


def test_simulated_whales_grow_as_their_matrix_on_average():
    start = np.array([4, 32, 32, 32])
    matrix = np.array([[0, 0.0043, 0.1132, 0], [0.9775, 0.9111, 0, 0], [0, 0.0736, 0.9534, 0], [0, 0, 0.0452, 0.9804]])
    row = pd.DataFrame([dict(zip(WHALES["stage"], start, strict=True), population="pod")])
    found = populations.viability(
        WHALES,
        row,
        years=40,
        replicates=4000,
        lethal_equivalents=0,
        mating="females_only",
        order="breed_survive",
        density="none",
    )
    assert found.growth_rate == pytest.approx(1.02544133, abs=5e-9)
    path = found.trajectory.query("population == 'pod'")
    for year in (1, 5, 20, 40):
        seen = path[path["year"] == year].iloc[0]
        expected = (np.linalg.matrix_power(matrix, year) @ start).sum()
        assert abs(seen["mean"] - expected) < 3 * seen["sd"] / np.sqrt(4000)


def test_lineages_die_out_as_galton_and_watson_say():
    """One female with Poisson daughters of mean m: the risk by t is q_t = exp(m (q_t-1 - 1))."""
    mean, replicates = 1.1, 20_000
    stages = pd.DataFrame({"stage": ["female"], "survival": [0.0], "fecundity": [mean]})
    one = pd.DataFrame({"population": ["line"], "number": [1]})
    found = populations.viability(
        stages,
        one,
        years=30,
        replicates=replicates,
        lethal_equivalents=0,
        mating="females_only",
        order="breed_survive",
        density="none",
    )
    risk = found.trajectory.query("population == 'all'").set_index("year")["extinct"]
    q = 0.0
    for year in range(1, 31):
        q = np.exp(mean * (q - 1))
        assert abs(risk[year] - q) < 3.5 * np.sqrt(q * (1 - q) / replicates), year


def test_ideal_populations_of_individuals_lose_diversity_by_one_in_2n():
    """Hermaphrodites, discrete generations, a ceiling of N among many young: Wright-Fisher, H_t = (1 - 1/2N)^t."""
    size = 20
    stages = pd.DataFrame({"stage": ["plant"], "survival": [0.0], "fecundity": [8.0]})
    one = pd.DataFrame({"population": ["meadow"], "number": [size], "capacity": [size]})
    means = []
    for seed in range(12):
        found = populations.viability(
            stages,
            one,
            years=20,
            replicates=300,
            lethal_equivalents=0,
            mating="hermaphrodite",
            order="breed_survive",
            seed=seed,
        )
        genes = found.genes.query("population == 'meadow'").set_index("year")
        assert (genes["replicates"] == 300).all()
        means.append(genes.loc[[10, 20], ["gene_diversity", "heterozygosity"]].to_numpy())
    mean, error = np.mean(means, axis=0), np.std(means, axis=0, ddof=1) / np.sqrt(12)
    for row, years in enumerate((10, 20)):
        expected = (1 - 1 / (2 * size)) ** years
        assert abs(mean[row] - expected).max() < 3 * error[row].max()


def selfed(lethal_equivalents, lethal_share, loci):
    """Mean and its error of the second count of a lone selfing plant with 50 young a year, all of which would live."""
    stages = pd.DataFrame(
        {"stage": ["young", "adult"], "survival": [1.0, 1.0], "fecundity": [0.0, 50.0], "years": [1, None]}
    )
    founder = pd.DataFrame({"population": ["pot"], "young": [0], "adult": [1]})
    found = populations.viability(
        stages,
        founder,
        years=2,
        replicates=2000,
        lethal_equivalents=lethal_equivalents,
        lethal_share=lethal_share,
        loci=loci,
        mating="hermaphrodite",
        order="breed_survive",
        density="none",
        seed=1,
    )
    last = found.trajectory.query("population == 'all' and year == 2").iloc[0]
    return last["mean"], last["sd"] / np.sqrt(2000)


def test_inbred_young_survive_by_the_exponential_of_their_inbreeding():
    """Each locus of a selfed young is homozygous with 1/2: mean survival ((1 + exp(-B / L)) / 2)^L, B = LE / 2."""
    mean, error = selfed(lethal_equivalents=6.0, lethal_share=0.0, loci=5)
    survival = ((1 + np.exp(-3.0 / 5)) / 2) ** 5
    assert abs(mean - (1 + 50 * survival + 50)) < 3 * error


def test_young_with_two_copies_of_a_lethal_die():
    """Four lethal equivalents are two lethals on each gamete; a selfed young has two copies of each with 1/4."""
    mean, error = selfed(lethal_equivalents=4.0, lethal_share=1.0, loci=1)
    assert abs(mean - (1 + 50 * 0.75**4 + 50)) < 3 * error
