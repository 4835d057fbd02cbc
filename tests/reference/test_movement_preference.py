"""Food choice beside adehabitatHS::widesII and R's friedman.test (values computed with R 4.2.2 on the same counts)."""

import numpy as np
import pandas as pd
import pytest

from linkways import movement

COUNTS = np.array(
    [[30, 5, 2, 0, 13], [25, 8, 4, 1, 12], [28, 3, 0, 0, 19], [20, 10, 5, 2, 13], [33, 4, 1, 0, 12], [22, 9, 6, 1, 12]]
)
FOODS = ["a", "b", "c", "d", "e"]


@pytest.fixture(scope="module")
def found():
    rows = [(f"e{i}", FOODS[j], COUNTS[i, j]) for i in range(6) for j in range(5)]
    return movement.food_choice(pd.DataFrame(rows, columns=["animal", "food", "used"]))


def test_selection_ratios_and_their_standard_errors_agree(found):
    foods = found.foods.set_index("food").loc[FOODS]
    assert foods.w.to_numpy() == pytest.approx([2.63333, 0.65, 0.3, 0.066667, 1.35], abs=5e-6)
    assert foods.w_se.to_numpy() == pytest.approx([0.201108, 0.117615, 0.096609, 0.033333, 0.111803], abs=5e-7)


@pytest.mark.parametrize(
    ("test", "statistic", "df"),
    [
        ("Manly L1", 31.75665, 20),
        ("Manly L2", 287.73226, 24),
        ("Manly L2 - L1", 255.97560, 4),
        ("Friedman", 23.83193, 4),
    ],
)
def test_chi_squares_agree(found, test, statistic, df):
    row = found.tests.set_index("test").loc[test]
    assert row.statistic == pytest.approx(statistic, abs=5e-6)
    assert row.df == df


def test_the_p_of_friedman_agrees(found):
    assert found.tests.set_index("test").p["Friedman"] == pytest.approx(8.6315e-5, rel=1e-5)
