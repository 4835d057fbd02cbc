"""Connectivity through the years: each year is the river with the barriers that stood then."""

import numpy as np
import pandas as pd
import pytest

from linkways import rivers
from linkways.errors import LinkwaysError
from tests.rivers.brute_force import random_river


@pytest.mark.parametrize("chosen", [{}, {"kernel": "exponential", "distance_m": 900.0}, {"passability": "directional"}])
def test_every_year_is_the_river_with_the_barriers_that_stood_then(chosen):
    rng = np.random.default_rng(2)
    for _ in range(12):
        reaches, barriers, _, _ = random_river(rng)
        count = len(barriers)
        built = np.where(rng.random(count) < 0.3, np.nan, rng.integers(1900, 1910, count))
        gone = np.where(rng.random(count) < 0.4, np.nan, np.nan_to_num(built, nan=1900) + rng.integers(0, 6, count))
        barriers = barriers.assign(built_year=built, removed_year=gone)
        found = rivers.history(reaches, barriers, first_year=1899, last_year=1917, **chosen)
        assert found.years["year"].tolist() == list(range(1899, 1918))
        for row in found.years.itertuples():
            stands = ~(built > row.year) & ~(gone <= row.year)
            then = rivers.connectivity(reaches, barriers[stands], **chosen)
            assert row.standing == stands.sum()
            for name in ("cci", "dcip", "dcid", "dcid_up", "dcid_down"):
                assert getattr(row, name) == pytest.approx(getattr(then, name), rel=1e-12)
        assert found.years["built"].sum() == np.isfinite(built).sum()


def test_basins_are_told_in_the_years_in_which_they_change():
    reaches = pd.DataFrame({"reach": [1, 2, 3, 4], "down": [2, -1, 4, -1], "length_m": 1000.0})
    dams = pd.DataFrame(
        {
            "barrier": [1, 2],
            "reach": [1, 3],
            "passability": 0.0,
            "built_year": [1950, 1960],
            "removed_year": [1955, None],
        }
    )
    found = rivers.history(reaches, dams)
    told = [(row.basin, row.year, row.dcip) for row in found.basins.itertuples()]
    assert told == [(2, 1950, 50), (4, 1950, 100), (2, 1955, 100), (4, 1960, 50)]
    assert found.years["year"].tolist() == list(range(1950, 1961))
    assert found.change == pytest.approx(0)


def test_several_changes_in_one_year_count_together():
    reaches = pd.DataFrame({"reach": [1, 2, 3], "down": [2, 3, -1], "length_m": 1000.0})
    dams = pd.DataFrame({"barrier": [1, 2], "reach": [1, 2], "passability": 0.0, "removed_year": [2000, 2000]})
    found = rivers.history(reaches, dams, first_year=1999).years
    assert found["dcip"].tolist() == pytest.approx([100 / 3, 100])
    assert found["removed"].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("change", "chosen", "words"),
    [
        (
            {"built_year": [1950], "removed_year": [1940]},
            {},
            "barrier 1 was removed in 1940, before it was built in 1950",
        ),
        ({"built_year": [None]}, {}, "no barrier has a year"),
        ({}, {}, "neither a column built_year nor removed_year"),
        ({"built_year": [1950.5]}, {}, "must be a whole number"),
        ({"built_year": [195]}, {"last_year": 190}, "lies before the first"),
        ({"built_year": [-19500]}, {"last_year": 1990}, "the years run from -19500"),
    ],
)
def test_years_that_make_no_history_are_refused(change, chosen, words):
    reaches = pd.DataFrame({"reach": [1, 2], "down": [2, -1], "length_m": 1000.0})
    dam = pd.DataFrame({"barrier": [1], "reach": [1], "passability": [0.0], **change})
    with pytest.raises(LinkwaysError, match=words):
        rivers.history(reaches, dam, **chosen)
