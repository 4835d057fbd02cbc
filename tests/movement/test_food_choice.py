"""Food choice: ratios, alphas, ranks and worths against hand calculation, SciPy and direct search."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import friedmanchisquare, rankdata, t

from linkways import LinkwaysError, movement, spatial
from linkways.movement import _preference as preference

CROPS = ["maize", "chilli", "garlic"]


def trials(counts, foods=CROPS, **columns):
    counts = np.atleast_2d(counts)
    rows = [
        {"animal": f"e{a}", "food": foods[f], "used": counts[a, f], **{k: v[a][f] for k, v in columns.items()}}
        for a in range(len(counts))
        for f in range(len(foods))
    ]
    return pd.DataFrame(rows)


tables = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed).integers(1, 40, (5, 4)).astype(float))


def test_foods_used_as_they_are_offered_have_a_ratio_of_one():
    offered = [[10, 20, 70]] * 4
    found = movement.food_choice(trials([[5, 10, 35]] * 4, offered=offered)).foods
    assert found.w.to_numpy() == pytest.approx(1)
    assert set(found.choice) == {"neither"}


@given(tables)
def test_use_is_the_ratio_times_what_was_offered(counts):
    share = np.full(counts.shape, 0.25)
    found = preference.ratios(counts, share, pooled=False)
    assert found.w * 0.25 @ np.ones(4) == pytest.approx(1)
    # the use of all foods together is fixed, and so is their weighted sum
    assert found.cover @ np.full(4, 0.25) == pytest.approx(0, abs=1e-12)


def test_offers_of_each_animal_count_for_that_animal():
    counts, offered = [[8, 2, 0], [10, 0, 10]], [[50, 50, 0], [50, 0, 50]]
    found = movement.food_choice(trials(counts, offered=offered)).foods.set_index("food")
    # expected use: maize 5 + 10, chilli 5, garlic 10
    assert found.w["maize"] == pytest.approx(18 / 15)
    assert found.w["chilli"] == pytest.approx(2 / 5)
    assert found.w["garlic"] == pytest.approx(10 / 10)


def test_alpha_with_depletion_is_that_of_the_logarithms():
    table = trials([[10, 5, 1]], offered=[[20, 20, 20]])
    found = movement.food_choice(table, depletion=True).foods.set_index("food")
    rates = -np.log(1 - np.array([10, 5, 1]) / 20)
    assert found.alpha[CROPS].to_numpy() == pytest.approx(rates / rates.sum())


def test_alpha_of_a_food_that_is_all_eaten_counts_half_an_item_as_left():
    found = preference.alphas(np.array([10.0, 5.0]), np.array([10.0, 10.0]), depletion=True)
    rates = np.array([np.log(10 / 0.5), np.log(2)])
    assert found == pytest.approx(rates / rates.sum())


def test_alpha_lies_in_its_interval_and_alphas_sum_to_one():
    found = movement.food_choice(trials([[30, 5, 9], [25, 8, 4], [28, 3, 12], [20, 10, 5]])).foods
    assert found.alpha.sum() == pytest.approx(1)
    assert ((found.alpha_low <= found.alpha) & (found.alpha <= found.alpha_high)).all()


@given(tables)
def test_friedman_agrees_with_scipy(counts):
    found = preference.friedman(counts)
    expected = friedmanchisquare(*counts.T)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_quade_gives_the_published_value():
    """Conover (1999, p. 375), sales of five lotions in seven stores: F 3.8293, 4 and 24 degrees, p 0.01519."""
    sales = [
        [5, 4, 7, 10, 12],
        [1, 3, 1, 0, 2],
        [16, 12, 22, 22, 35],
        [5, 4, 3, 5, 4],
        [10, 9, 7, 13, 10],
        [19, 18, 28, 37, 58],
        [10, 7, 6, 8, 7],
    ]
    found = preference.quade(np.array(sales, float))
    assert found.statistic == pytest.approx(3.8293, abs=5e-5)
    assert found.p == pytest.approx(0.01519, abs=5e-6)


@given(tables)
def test_conover_is_the_t_of_rank_sums_after_friedman(counts):
    ranks = rankdata(counts, axis=1)
    n, k = counts.shape
    whole = (ranks**2).sum() - n * k * (k + 1) ** 2 / 4
    left = 1 - friedmanchisquare(*counts.T).statistic / (n * (k - 1))
    if left < 1e-9:
        return
    se = np.sqrt(2 * n * whole / ((n - 1) * (k - 1)) * left)
    apart = abs(ranks[:, 0].sum() - ranks[:, 1].sum())
    assert preference.conover(counts)[0, 1] == pytest.approx(2 * t.sf(apart / se, (n - 1) * (k - 1)))


def test_nemenyi_rejects_at_the_critical_difference_of_the_tables():
    """Demsar (2006), table 5: q 2.343 for three classifiers at 0.05, so CD = 2.343 sqrt(3 x 4 / (6 x 10)) = 1.048."""
    ranks = np.tile([1.0, 2.0, 3.0], (10, 1))
    p = preference.nemenyi(ranks)
    assert p[0, 1] > 0.05 > p[0, 2]
    from scipy.stats import studentized_range

    assert studentized_range.isf(0.05, 3, np.inf) / np.sqrt(2) == pytest.approx(2.343, abs=1e-3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_never_lowers_p(p):
    p = np.array(p)
    found = preference.holm(p)
    order = np.argsort(p, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    assert ((found >= p) & (found <= 1)).all()
    assert found.min() == pytest.approx(min(1, p.min() * len(p)))


def direct_worths(wins, ties, with_side):
    """The most likely worths by a general search, first food 0; for comparison only."""
    k = len(wins)

    def cost(free):
        theta, tie, side = np.r_[0, free[: k - 1]], free[k - 1], free[k] if with_side else 0.0
        total = 0.0
        for i in range(k):
            for j in range(k):
                if i != j:
                    scores = [theta[i] + side, theta[j]]
                    counts = [wins[i, j, 0], wins[j, i, 1]]
                    if ties.any():
                        scores.append(tie + (theta[i] + side + theta[j]) / 2)
                        counts.append(ties[i, j])
                    total -= np.dot(counts, scores) - np.sum(counts) * np.logaddexp.reduce(scores)
        return total + (0 if ties.any() else tie**2)

    found = minimize(cost, np.zeros(k + with_side), method="BFGS", options={"gtol": 1e-9}).x
    theta = np.r_[0, found[: k - 1]]
    return theta - theta.mean(), found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.booleans(), st.booleans())
def test_worths_are_the_most_likely_ones(seed, with_ties, with_side):
    rng = np.random.default_rng(seed)
    wins = rng.integers(1, 12, (4, 4, 2)).astype(float)
    ties = rng.integers(1, 5, (4, 4)).astype(float) * with_ties
    wins[np.diag_indices(4)] = 0
    ties[np.diag_indices(4)] = 0
    found = preference.bradley_terry(wins, ties, with_side)
    expected, free = direct_worths(wins, ties, with_side)
    assert found.log_worth == pytest.approx(expected, abs=1e-4)
    if with_ties:
        assert found.tie == pytest.approx(free[3], abs=1e-4)
    if with_side:
        assert found.side == pytest.approx(free[4], abs=1e-4)


def test_two_foods_have_the_odds_of_their_wins():
    wins = np.zeros((2, 2, 2))
    wins[0, 1, 0], wins[1, 0, 1] = 30, 10
    found = preference.bradley_terry(wins, np.zeros((2, 2)), False)
    assert found.log_worth[0] - found.log_worth[1] == pytest.approx(np.log(3))
    # the variance of a log odds is 1/30 + 1/10
    difference = found.cover[0, 0] + found.cover[1, 1] - 2 * found.cover[0, 1]
    assert difference == pytest.approx(1 / 30 + 1 / 10)


def test_a_food_that_always_loses_gets_a_finite_worth_and_the_log_says_so():
    choices = pd.DataFrame({"first": ["maize", "maize", "garlic"], "second": ["chilli", "garlic", "chilli"]})
    choices = pd.concat([choices.assign(taken=["maize", "maize", "garlic"])] * 5)
    with spatial.recording() as log:
        found = movement.food_choice(trials([[9, 1, 3], [8, 2, 4]]), choices).ranking
    assert found.food.tolist() == ["maize", "garlic", "chilli"]
    assert np.isfinite(found.log_worth).all()
    assert any("half a win" in sentence for sentence in log)


def test_incomes_rank_crops_that_are_left_alone_and_pay():
    incomes = pd.DataFrame({"food": CROPS, "income": [1000, 900, 300]})
    found = movement.food_choice(trials([[40, 2, 6], [35, 4, 9]]), incomes=incomes).crops.set_index("crop")
    assert found.index[0] == "chilli"
    # maize pays more and chilli is eaten less; garlic is eaten more than chilli and pays less
    assert found.efficient.to_dict() == {"maize": True, "chilli": True, "garlic": False}
    assert found.unpalatability["maize"] == 0


def test_without_incomes_there_are_no_crops():
    assert len(movement.food_choice(trials([[4, 2, 6], [3, 4, 9]])).crops) == 0


def test_one_herd_small_counts_and_weights_are_told():
    with spatial.recording() as log:
        movement.food_choice(trials([[3, 1, 2]]))
    assert any("one replicate" in s for s in log)
    assert any("below 5" in s for s in log)
    with spatial.recording() as log:
        found = movement.food_choice(trials([[3.5, 1, 2], [2, 2, 2]]))
    assert any("not whole numbers" in s for s in log)
    assert not found.tests.test.str.contains("Manly").any()


def test_animals_that_are_not_told_apart_are_pooled():
    table = trials([[30, 5, 10]]).drop(columns="animal")
    found = movement.food_choice(table).foods.set_index("food")
    # multinomial: se of 30/45 over 1/3
    assert found.w_se["maize"] == pytest.approx(np.sqrt(2 / 3 * 1 / 3 / 45) * 3)


def test_the_forest_plot_is_drawn():
    movement.food_choice(trials([[4, 2, 6], [3, 4, 9]])).forest.canvas.draw()


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        (trials([[4], [3]], ["maize"]), {}, "two or more"),
        (trials([[4, -1, 2]]), {}, "row 2"),
        (trials([[4, np.nan, 2]]), {}, "not numbers"),
        (trials([[0, 0, 0], [1, 2, 3]]), {}, "e0 used nothing"),
        (trials([[4, 1, 2]], offered=[[5, 0, 5]]), {}, "offered to no animal"),
        (trials([[4, 1, 2], [1, 1, 1]], offered=[[5, 0, 5], [5, 5, 5]]), {}, "nothing was offered"),
        (trials([[4, 1, 2]]), {"depletion": True}, "needs the column offered"),
        (trials([[9, 1, 2]], offered=[[5, 5, 5]]), {"depletion": True}, "no more can be used"),
        (trials([[4, 1, 2], [1, 1, 1]], offered=[[5, 9, 5], [5, 5, 5]]), {"design": "II"}, "choose design III"),
        (trials([[4, 1, 2]]), {"design": "II"}, "two animals or more"),
        (trials([[4, 1, 2]]), {"side": True}, "side needs choices"),
        (
            trials([[4, 1, 2]]),
            {"choices": pd.DataFrame({"first": ["maize"], "second": ["okra"], "taken": ["okra"]})},
            "okra in row 1",
        ),
        (
            trials([[4, 1, 2]]),
            {"choices": pd.DataFrame({"first": ["maize"], "second": ["chilli"], "taken": ["garlic"]})},
            "garlic taken in row 1",
        ),
        (trials([[4, 1, 2]]), {"incomes": pd.DataFrame({"food": ["okra"], "income": [1]})}, "no food in common"),
    ],
)
def test_trials_that_tell_no_choice_are_refused(table, options, words):
    with pytest.raises(LinkwaysError, match=words):
        movement.food_choice(table, **options)
