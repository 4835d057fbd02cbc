"""Population viability: what individuals, years and corridors do, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, populations

STAGES = pd.DataFrame(
    {
        "stage": ["cub", "subadult", "adult"],
        "survival": [0.6, 0.8, 0.92],
        "fecundity": [0.0, 0.0, 0.8],
        "years": [1, 3, None],
    }
)
TWO = pd.DataFrame({"population": ["west", "east"], "number": [40, 8], "capacity": [50, 15]})
CORRIDOR = pd.DataFrame({"source": ["west", "east"], "target": ["east", "west"], "rate": [0.05, 0.05]})
ALIVE = pd.DataFrame({"stage": ["adult"], "survival": [1.0], "fecundity": [1e-12]})
"""Nobody dies and nobody is born."""


def run(stages=STAGES, two=TWO, *tables, **settings):
    given = {"years": 20, "replicates": 40, "lethal_equivalents": 0.0, **settings}
    return populations.viability(stages, two, *tables, **given)


def path(found, population="all", scenario="baseline"):
    table = found.trajectory
    return table[(table["population"] == population) & (table["scenario"] == scenario)].set_index("year")


def test_equal_seeds_give_equal_futures_and_others_do_not():
    first, again, other = run(seed=1), run(seed=1), run(seed=2)
    pd.testing.assert_frame_equal(first.trajectory, again.trajectory)
    assert not first.trajectory["mean"].equals(other.trajectory["mean"])


def test_a_corridor_changes_nothing_before_the_year_it_opens():
    later = CORRIDOR.assign(from_year=11)
    found = run(STAGES, TWO, None, later, lethal_equivalents=3.0)
    for population in ("west", "east"):
        before, after = path(found, population), path(found, population, "scenario")
        pd.testing.assert_series_equal(before.loc[:10, "mean"], after.loc[:10, "mean"])
        assert not before.loc[11:, "mean"].equals(after.loc[11:, "mean"])


def test_a_later_row_of_a_pair_takes_over_from_its_year():
    rates = pd.DataFrame({"source": ["west"] * 2, "target": ["east"] * 2, "rate": [0.0, 1.0], "from_year": [1, 3]})
    found = run(ALIVE, TWO[["population", "number"]], rates, density="none", years=4)
    assert path(found, "west")["mean"].tolist() == [40, 40, 40, 0, 0]
    assert path(found, "east")["mean"].tolist() == [8, 8, 8, 48, 48]


def test_those_who_die_on_the_way_arrive_nowhere():
    rates = pd.DataFrame({"source": ["west"], "target": ["east"], "rate": [1.0]})
    found = run(ALIVE, TWO[["population", "number"]], rates, density="none", years=1, dispersal_survival=0.0)
    assert path(found, "east")["mean"].tolist() == [8, 8]
    assert path(found)["mean"].tolist() == [48, 8]


def test_only_the_dispersing_sex_and_stages_move():
    rates = pd.DataFrame({"source": ["west"], "target": ["east"], "rate": [1.0]})
    stages = pd.DataFrame(
        {"stage": ["young", "adult"], "survival": [1.0, 1.0], "fecundity": [0, 1e-12], "years": [90, None]}
    )
    two = pd.DataFrame({"population": ["west", "east"], "young": [10, 0], "adult": [20, 0]})
    moved = {
        (sex, stage): path(
            run(stages, two, rates, density="none", years=1, dispersing_sex=sex, dispersing_stages=stage), "east"
        )["mean"][1]
        for sex in ("both", "female")
        for stage in ((), ("young",))
    }
    assert moved[("both", ())] == 20
    assert moved[("both", ("young",))] == 10
    # half of everybody is female, but which of them is adult differs among replicates
    assert moved[("female", ())] == pytest.approx(10, abs=1)


@settings(max_examples=15, deadline=None)
@given(
    capacity=st.lists(st.integers(1, 60), min_size=2, max_size=2),
    rate=st.floats(0, 1),
    mating=st.sampled_from(["random", "pairs", "hermaphrodite"]),
    seed=st.integers(0, 10**6),
)
def test_numbers_never_exceed_the_ceiling_and_shares_stay_shares(capacity, rate, mating, seed):
    found = run(
        STAGES,
        TWO.assign(capacity=capacity),
        CORRIDOR.assign(rate=rate),
        mating=mating,
        seed=seed,
        replicates=5,
        lethal_equivalents=2.0,
        report_every=1,
    )
    for population, most in zip(TWO["population"], capacity, strict=True):
        assert path(found, population).loc[1:, "high"].max() <= most
    risk = path(found)["extinct"]
    assert risk.between(0, 1).all()
    assert risk.is_monotonic_increasing
    genes = found.genes[["gene_diversity", "heterozygosity", "inbreeding"]].to_numpy(float)
    known = genes[np.isfinite(genes)]
    assert known.min() >= -1e-12
    assert known.max() <= 1 + 1e-12


def test_a_sure_catastrophe_without_survivors_ends_the_population_it_strikes():
    end = pd.DataFrame({"catastrophe": ["flood"], "probability": [1.0], "survival": [0.0], "fecundity": [0.0]})
    found = run(STAGES, TWO, None, None, end.assign(population="east"))
    assert path(found, "east").loc[1:, "mean"].eq(0).all()
    assert path(found, "west").loc[1, "mean"] > 10
    assert run(STAGES, TWO, None, None, end).extinct == 1


def test_survival_varies_among_years_as_the_beta_distribution_asked_for():
    """N individuals of one year: mean N m, variance N m (1 - m) + N (N - 1) sd^2."""
    many, mean, sd, replicates = 200, 0.7, 0.1, 4000
    stages = pd.DataFrame({"stage": ["a"], "survival": [mean], "survival_sd": [sd], "fecundity": [1e-12]})
    one = pd.DataFrame({"population": ["p"], "number": [many]})
    seen = path(run(stages, one, density="none", years=1, replicates=replicates, loci=0)).loc[1]
    variance = many * mean * (1 - mean) + many * (many - 1) * sd**2
    assert abs(seen["mean"] - many * mean) < 3 * np.sqrt(variance / replicates)
    assert seen["sd"] ** 2 == pytest.approx(variance, rel=3.5 * np.sqrt(2 / replicates))


def test_litters_vary_among_years_as_the_log_normal_distribution_asked_for():
    """N mothers with Poisson litters: mean N m, variance N m + N^2 sd^2."""
    many, mean, sd, replicates = 50, 1.5, 0.4, 4000
    stages = pd.DataFrame({"stage": ["a"], "survival": [1.0], "fecundity": [mean], "fecundity_sd": [sd]})
    one = pd.DataFrame({"population": ["p"], "number": [many]})
    found = run(stages, one, density="none", years=1, replicates=replicates, mating="females_only")
    seen = path(found).loc[1]
    variance = many * mean + many**2 * sd**2
    assert abs(seen["mean"] - many * (1 + mean)) < 3 * np.sqrt(variance / replicates)
    assert seen["sd"] ** 2 == pytest.approx(variance, rel=0.15)


@pytest.mark.parametrize(("correlation", "shared"), [(1.0, 1.0), (0.0, 0.0)])
def test_populations_share_their_years_as_far_as_asked(correlation, shared):
    stages = pd.DataFrame({"stage": ["a"], "survival": [0.5], "survival_sd": [0.2], "fecundity": [1e-12]})
    two = pd.DataFrame({"population": ["a", "b"], "number": [500, 500]})
    found = run(stages, two, density="none", years=1, replicates=1500, loci=0, environment_correlation=correlation)
    total, a, b = (path(found, name).loc[1, "sd"] ** 2 for name in ("all", "a", "b"))
    assert (total - a - b) / 2 / (500**2 * 0.2**2) == pytest.approx(shared, abs=0.12)


@pytest.mark.parametrize(("mating", "young"), [("pairs", 1), ("random", 10), ("hermaphrodite", 11)])
def test_who_breeds_depends_on_the_mating_system(mating, young):
    stages = pd.DataFrame({"stage": ["a"], "survival": [1.0], "fecundity": [1.0]})
    one = pd.DataFrame({"population": ["p"], "number": [11]})
    found = run(stages, one, density="none", years=1, mating=mating, litter="rounded", female_share=10 / 11)
    assert path(found).loc[1, "mean"] == 11 + young


def test_one_sex_alone_is_extinct_but_females_only_are_not():
    stages = pd.DataFrame({"stage": ["a"], "survival": [1.0], "fecundity": [1e-12]})
    one = pd.DataFrame({"population": ["p"], "number": [1]})
    assert run(stages, one, density="none").extinct == 1
    assert run(stages, one, density="none", mating="females_only").extinct == 0


def test_a_last_stage_of_fixed_length_ends_in_death():
    stages = pd.DataFrame(
        {"stage": ["young", "adult"], "survival": [1.0, 1.0], "fecundity": [0, 1e-12], "years": [2, 3]}
    )
    one = pd.DataFrame({"population": ["p"], "young": [10], "adult": [0]})
    numbers = path(run(stages, one, density="none", years=6))
    # young may be in their first or second year at the start
    assert numbers["mean"].tolist()[:4] == [10] * 4
    assert numbers.loc[5, "mean"] == 0


@pytest.mark.parametrize("density", ["beverton_holt", "ricker"])
def test_crowded_births_hold_numbers_at_capacity(density):
    one = pd.DataFrame({"population": ["p"], "number": [3000], "capacity": [3000]})
    found = run(STAGES, one, density=density, years=120, replicates=10, loci=0)
    assert found.growth_rate > 1.02
    assert path(found).loc[120, "mean"] == pytest.approx(3000, rel=0.02)


def test_the_growth_rate_is_that_of_the_age_classes_written_out():
    """Births follow survival: a cub of next year has a mother that survived this one."""
    s0, s1, s2, f = 0.6, 0.8, 0.92, 0.8 / 2
    survive = np.zeros((5, 5))
    survive[1, 0], survive[2, 1], survive[3, 2], survive[4, 3], survive[4, 4] = s0, s1, s1, s1, s2
    births = np.zeros((5, 5))
    births[0, 4] = f
    expected = np.abs(np.linalg.eigvals((np.eye(5) + births) @ survive)).max()
    assert run().growth_rate == pytest.approx(expected, abs=1e-12)


def test_generation_time_of_a_semelparous_animal_is_its_age_at_birth():
    stages = pd.DataFrame(
        {"stage": ["young", "adult"], "survival": [0.5, 0.0], "fecundity": [0.0, 5.0], "years": [3, None]}
    )
    one = pd.DataFrame({"population": ["p"], "number": [20], "capacity": [30]})
    assert run(stages, one).generation_years == pytest.approx(3.0)


def test_sensitivity_pairs_every_rate_with_the_unchanged_run():
    found = run(sensitivity=0.1, years=10)
    table = found.sensitivity.set_index(["rate", "factor"])
    assert table.loc[("none", 1.0), "extinct"] == found.extinct
    assert table.loc[("none", 1.0), "growth_rate"] == found.growth_rate
    for rate in ("survival of adult", "fecundity of adult"):
        assert table.loc[(rate, 0.9), "growth_rate"] < found.growth_rate < table.loc[(rate, 1.1), "growth_rate"]
    assert table.loc[("capacity", 1.1), "growth_rate"] == found.growth_rate
    assert table.loc[("survival of adult", 0.9), "number"] < table.loc[("survival of adult", 1.1), "number"]


def test_the_difference_table_is_that_of_the_two_scenarios():
    found = run(STAGES, TWO, None, CORRIDOR, years=50, replicates=200)
    rows = found.difference.set_index("measure")
    assert rows.loc["extinct", "baseline"] == found.extinct
    assert rows.loc["extinct", "scenario"] == found.extinct_with
    ends = path(found, "all", "scenario")["mean"][50] - path(found)["mean"][50]
    assert rows.loc["number", "difference"] == pytest.approx(ends)
    assert rows.loc["empty: east", "high"] < 0


def test_without_a_scenario_the_numbers_of_one_are_empty():
    found = run()
    assert np.isnan(found.extinct_with)
    assert found.difference.empty


def changed(column, row, value):
    table = STAGES.copy()
    table[column] = table[column].astype(object)
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("stages", "two", "tables", "settings", "message"),
    [
        (changed("survival", 1, 1.2), TWO, (), {}, "row 2 has survival 1.2, but it must be a number from 0 to 1"),
        (changed("survival", 1, "many"), TWO, (), {}, "row 2 has survival 'many'"),
        (changed("years", 0, None), TWO, (), {}, "stage 'cub' needs either years"),
        (
            STAGES.assign(survival_sd=0.5),
            TWO,
            (),
            {},
            "survival_sd 0.5, but a share with mean 0.6 cannot vary that much",
        ),
        (STAGES.assign(fecundity=0.0), TWO, (), {}, "no stage of females breeds"),
        (STAGES.assign(stage="a"), TWO, (), {}, "names stage 'a' more than once"),
        (STAGES, TWO.drop(columns="number"), (), {}, "needs a column number"),
        (STAGES, TWO.assign(number=0), (), {}, "start with no individual"),
        (STAGES, TWO.assign(number=2.5), (), {}, "give a whole number"),
        (STAGES, TWO.drop(columns="capacity"), (), {}, "no column 'capacity'"),
        (STAGES, TWO, (CORRIDOR.assign(rate=1.5),), {}, "rate 1.5, but it must be a number from 0 to 1"),
        (STAGES, TWO, (CORRIDOR.assign(source="north"),), {}, "source 'north', which is not among the populations"),
        (STAGES, TWO, (pd.concat([CORRIDOR, CORRIDOR]),), {}, "repeats west to east"),
        (STAGES, TWO, (CORRIDOR.assign(target=CORRIDOR["source"]),), {}, "from west to itself"),
        (
            STAGES,
            pd.concat([TWO, TWO.iloc[:1].assign(population="north")]),
            (pd.DataFrame({"source": "west", "target": ["east", "north"], "rate": 0.6}),),
            {},
            "rates out of west in dispersal sum to 1.2",
        ),
        (STAGES, TWO, (), {"mating": "females_only", "lethal_equivalents": 2.0}, "inbreeding cannot be followed"),
        (STAGES, TWO, (), {"loci": 0, "lethal_equivalents": 2.0}, "need loci to tell inbreeding by"),
        (STAGES, TWO, (), {"dispersing_stages": ["adults"]}, "'adults', which is no stage .did you mean 'adult'"),
        (changed("fecundity", 2, 0.1), TWO, (), {"density": "ricker"}, "growth rate is 0.9"),
        (changed("fecundity", 2, 60.0), TWO.assign(capacity=np.nan), (), {}, "grew beyond 500,000 individuals"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_sentence(stages, two, tables, settings, message):
    with pytest.raises(LinkwaysError, match=message):
        run(stages, two, *tables, **settings)


def test_males_need_rows_that_say_who_may_sire():
    both = pd.concat([STAGES.assign(sex="female"), STAGES.assign(sex="male")])
    with pytest.raises(LinkwaysError, match="rows of males but no column breeding"):
        run(both)
    males = STAGES.assign(sex="male", breeding=[0.0, 0.0, 1.0], survival=[0.6, 0.8, 0.0])
    found = run(pd.concat([STAGES.assign(sex="female", breeding=1.0), males]), years=30)
    assert path(found).loc[30, "extinct"] > path(run(years=30)).loc[30, "extinct"]


def test_counts_with_missing_years_use_the_time_between_them():
    """ln 2 in 4 years and ln 1/2 in 1: mu = 0, residuals ln 2 / 2 and -ln 2, one degree of freedom."""
    counts = pd.DataFrame({"year": [2000, 2004, 2005], "count": [50, 100, 50]})
    found = populations.count_viability(counts, threshold=10, years=[30])
    assert found.mean_log_growth == pytest.approx(0.0, abs=1e-15)
    assert found.variance == pytest.approx(1.25 * np.log(2) ** 2)
    # without drift the risk is twice the normal tail (reflection)
    from scipy.stats import norm

    tail = 2 * norm.cdf(-np.log(5) / np.sqrt(found.variance * 30))
    assert found.risk["probability"].tolist() == pytest.approx([tail])
    assert found.ultimate_risk == 1


@pytest.mark.parametrize(
    ("year", "count", "threshold", "message"),
    [
        ([1, 2], [5, 6], 1, "at least 3"),
        ([1, 1, 2], [5, 6, 7], 1, "the year 1 twice"),
        ([1, 2, 3], [5, 0, 7], 1, "the count of 2 is 0"),
        ([1, 2, 3], [5, 7, 6], 6, "is not above the threshold"),
        ([1, 2, 3], [1, 2, 4], 1, "sigma squared is 0"),
    ],
)
def test_series_that_tell_no_risk_are_refused(year, count, threshold, message):
    with pytest.raises(LinkwaysError, match=message):
        populations.count_viability(pd.DataFrame({"year": year, "count": count}), threshold=threshold)


def matrix_table(values):
    names = [f"s{k}" for k in range(len(values))]
    return pd.DataFrame({"stage": names, **{n: np.asarray(values)[:, k] for k, n in enumerate(names)}})


def test_sensitivities_are_the_slopes_of_the_growth_rate():
    values = np.array([[0.0, 1.5, 3.0], [0.4, 0.2, 0.0], [0.0, 0.3, 0.7]])
    found = populations.matrix_model([matrix_table(values)])
    slopes = found.rates["sensitivity"].to_numpy().reshape(3, 3)
    for i in range(3):
        for j in range(3):
            moved = [np.abs(np.linalg.eigvals(values + s * 1e-6 * np.outer(*np.eye(3)[[i, j]]))).max() for s in (1, -1)]
            assert slopes[i, j] == pytest.approx((moved[0] - moved[1]) / 2e-6, rel=1e-6)
    assert found.rates["elasticity"].sum() == pytest.approx(1.0)


def test_growth_in_random_years_of_one_stage_is_the_geometric_mean():
    found = populations.matrix_model([matrix_table([[a]]) for a in (0.8, 1.3)])
    assert found.growth_rate == pytest.approx(1.05)
    assert found.stochastic_low < np.sqrt(0.8 * 1.3) < found.stochastic_high
    assert found.stochastic_approximation == pytest.approx(1.05 * np.exp(-(0.25**2) / (2 * 1.05**2)))


@pytest.mark.parametrize(
    ("tables", "settings", "message"),
    [
        ([matrix_table([[0.5, -1.0], [0.5, 0.5]])], {}, "must be a number of 0 or more"),
        ([matrix_table([[0.5, 1.0], [0.5, 0.5]]).assign(s9=0.0)], {}, "a column 's9' but no such row"),
        ([matrix_table([[0.5, 1.0], [0.7, 0.5]])], {}, "of stage 's0' 1.2 survive"),
        ([matrix_table([[0.5, 0.0], [0.5, 0.5]])], {}, "hold no births"),
        ([matrix_table([[0.5, 1.0], [0.5, 0.5]])], {"births": ["s7"]}, "births has 's7', which is no stage"),
    ],
)
def test_tables_that_are_no_stage_matrix_are_refused(tables, settings, message):
    with pytest.raises(LinkwaysError, match=message):
        populations.matrix_model(tables, **settings)
