"""Draws of passabilities and unmapped barriers: their means are known exactly."""

import math

import numpy as np
import pandas as pd
import pytest

from linkways import rivers
from linkways.errors import LinkwaysError
from linkways.rivers._kernels import sums_with_unmapped


@pytest.fixture
def river():
    reaches = pd.DataFrame(
        {"reach": [1, 2, 3, 4, 5], "down": [3, 3, 5, 5, -1], "length_m": [9000.0, 4000.0, 6000.0, 5000.0, 7000.0]}
    )
    barriers = pd.DataFrame({"barrier": [1, 2, 3], "reach": [1, 3, 4], "passability": [0.4, 0.6, 0.2]})
    return reaches, barriers


def bounded(barriers, low, high):
    return barriers.assign(passability_low=low, passability_high=high)


def mean_and_error(found, index):
    row = found.intervals.set_index("index").loc[index]
    return row["mean"], row["sd"] / math.sqrt(len(found.draws))


@pytest.mark.parametrize(
    ("distribution", "means"),
    [
        ("uniform", (0.45, 0.5, 0.3)),
        ("beta", ((0.1 + 4 * 0.4 + 0.8) / 6, (0.3 + 4 * 0.6 + 0.7) / 6, (0 + 4 * 0.2 + 0.6) / 6)),
    ],
)
def test_the_mean_of_the_draws_is_the_index_at_the_mean_passabilities(river, distribution, means):
    """The indices are linear in the passability of each barrier, and draws are independent."""
    reaches, barriers = river
    guess = bounded(barriers, [0.1, 0.3, 0.0], [0.8, 0.7, 0.6])
    found = rivers.uncertainty(reaches, guess, draws=4000, distribution=distribution)
    exact = rivers.connectivity(reaches, barriers.assign(passability=means))
    for index in ("cci", "dcid"):
        mean, error = mean_and_error(found, index)
        assert abs(mean - getattr(exact, index)) < 4 * error
    mapped = rivers.connectivity(reaches, barriers)
    best = found.intervals.set_index("index")["mapped"]
    assert best["cci"] == pytest.approx(mapped.cci, rel=1e-12)
    assert best["dcid"] == pytest.approx(mapped.dcid, rel=1e-12)


def test_uniform_draws_of_one_barrier_have_the_quantiles_of_the_uniform_distribution():
    reaches = pd.DataFrame({"reach": [1, 2], "down": [2, -1], "length_m": 1000.0})
    weir = bounded(pd.DataFrame({"barrier": [1], "reach": [1], "passability": [0.5]}), [0.2], [0.8])
    row = rivers.uncertainty(reaches, weir, draws=5000, distribution="uniform", interval=0.9).intervals.iloc[1]
    assert (row["low"], row["median"], row["high"]) == pytest.approx((50 + 50 * 0.23, 75, 50 + 50 * 0.77), abs=1)
    assert row["sd"] == pytest.approx(50 * 0.6 / math.sqrt(12), rel=0.05)


@pytest.mark.parametrize("chosen", [{}, {"kernel": "exponential", "distance_m": 9000.0, "distances": "points"}])
def test_unmapped_barriers_let_through_on_average_what_the_poisson_process_says(river, chosen):
    """Between points d apart the mean is exp(-r (1 - m) d): an exponential kernel."""
    reaches, barriers = river
    found = rivers.uncertainty(reaches, barriers, unmapped_per_km=0.3, unmapped_passability=0.4, draws=4000, **chosen)
    rate = 0.3e-3 * 0.6 + (1 / 9000 if chosen else 0)
    exact = rivers.connectivity(reaches, barriers, kernel="exponential", distance_m=1 / rate, distances="points").cci
    mean, error = mean_and_error(found, "cci")
    assert abs(mean - exact) < 4 * error


def test_access_past_unmapped_barriers_has_its_closed_form():
    reaches = pd.DataFrame({"reach": [1, 2], "down": [2, -1], "length_m": [2000.0, 3000.0]})
    found = rivers.uncertainty(reaches, unmapped_per_km=0.5, unmapped_passability=0.0, draws=4000)
    mean, error = mean_and_error(found, "dcid_up")
    assert abs(mean - 100 * (1 - math.exp(-2.5)) / 2.5) < 4 * error


def test_one_throw_parts_the_river_at_its_points():
    """A reach of 10 with weight 20, barriers of 0.5 after 4 and 3 more."""
    totals = np.empty((4, 1))
    ones = np.ones(1)
    river = np.array([-1], np.int32), np.array([0, 1]), np.array([20.0]), np.array([10.0]), np.array([0], np.int32)
    assert sums_with_unmapped(*river, *(ones,) * 5, np.array([4.0, 3.0, 99.0]), 0.5, 0.0, totals)
    w = np.array([8.0, 6.0, 6.0])
    steps = np.abs(np.subtract.outer(range(3), range(3)))
    assert totals[0, 0] == pytest.approx(w @ 0.5**steps @ w)
    assert totals[1:, 0] == pytest.approx([6 + 3 + 2] * 3)
    assert not sums_with_unmapped(*river, *(ones,) * 5, np.array([4.0, 3.0]), 0.5, 0.0, totals)


def test_the_same_seed_gives_the_same_draws_and_another_does_not(river):
    reaches, barriers = river
    one, two, three = (
        rivers.uncertainty(reaches, barriers, spread=0.2, unmapped_per_km=0.1, draws=20, seed=s).draws
        for s in (4, 4, 5)
    )
    pd.testing.assert_frame_equal(one, two)
    assert not one["cci"].equals(three["cci"])


def test_draws_agree_with_the_index_at_their_passabilities_also_with_a_kernel_and_two_directions(river):
    reaches, barriers = river
    both = barriers.drop(columns="passability").assign(
        pass_up=[0.4, 0.0, 1.0], pass_down=0.5, pass_up_low=[0.4, 0.0, 1.0], pass_up_high=[0.4, 0.0, 1.0]
    )
    both = both.assign(pass_down_low=0.5, pass_down_high=[0.5, 0.5, 0.5 + 1e-12])
    for chosen in ({"kernel": "threshold", "distance_m": 9000.0}, {"kernel": "exponential", "distance_m": 5000.0}, {}):
        found = rivers.uncertainty(reaches, both, draws=10, passability="directional", **chosen)
        exact = rivers.connectivity(reaches, both, passability="directional", **chosen)
        for index in ("cci", "dcid", "dcid_up", "dcid_down"):
            assert found.draws[index].to_numpy() == pytest.approx(np.full(10, getattr(exact, index)), rel=1e-9)


def test_basins_have_intervals_of_their_own(river):
    reaches, barriers = river
    lone = pd.DataFrame({"reach": [9], "down": [-1], "length_m": [5000.0]})
    found = rivers.uncertainty(pd.concat([reaches, lone]), barriers, spread=0.1, draws=50)
    basins = found.basins.set_index(["basin", "index"])
    assert basins.loc[(9, "cci"), ["mean", "sd"]].tolist() == [1, 0]
    alone = rivers.uncertainty(reaches, barriers, spread=0.1, draws=50).intervals.set_index("index")
    assert basins.loc[(5, "cci"), "high"] == pytest.approx(alone.loc["cci", "high"], rel=1e-12)


def test_ranks_of_barriers_are_counted_over_the_draws(river):
    reaches, barriers = river
    found = rivers.uncertainty(reaches, barriers, spread=0.15, draws=400, rank_barriers=True, top=2).barriers
    assert found["best_percent"].sum() == pytest.approx(100)
    assert found["top_percent"].sum() == pytest.approx(200)
    assert (found["top_percent"] >= found["best_percent"]).all()
    small = rivers.uncertainty(reaches, barriers, spread=1e-9, draws=10, rank_barriers=True).barriers
    exact = rivers.connectivity(reaches, barriers).barriers
    assert small["gain_points_mean"].tolist() == pytest.approx(exact["gain_points"].tolist(), rel=1e-6)
    hidden = rivers.uncertainty(
        reaches, barriers, unmapped_per_km=0.3, unmapped_passability=0.4, draws=10, rank_barriers=True
    ).barriers
    mean_river = rivers.connectivity(
        reaches, barriers, kernel="exponential", distance_m=1 / (0.3e-3 * 0.6), distances="points"
    ).barriers
    assert hidden["gain_points_mean"].tolist() == pytest.approx(mean_river["gain_points"].tolist(), rel=1e-12)


@pytest.mark.parametrize(
    ("change", "chosen", "words"),
    [
        ({}, {}, "nothing is uncertain here"),
        ({"passability_low": [0.5, 0.0, 0.0]}, {}, "passability of barrier 1 is 0.4, outside its bounds 0.5 to 0.4"),
        ({"passability_high": [2.0, 1.0, 1.0]}, {}, "passability_high of barrier 1 is 2"),
        ({}, {"unmapped_per_km": 1.0, "kernel": "threshold", "distance_m": 5.0}, "part reaches at points"),
        ({}, {"unmapped_per_km": 1.0, "kernel": "exponential", "distance_m": 5.0}, "part reaches at points"),
    ],
)
def test_what_makes_no_distribution_is_refused(river, change, chosen, words):
    reaches, barriers = river
    with pytest.raises(LinkwaysError, match=words):
        rivers.uncertainty(reaches, barriers.assign(**change), **chosen)


def test_ranking_without_barriers_is_refused(river):
    with pytest.raises(LinkwaysError, match="no barriers to rank"):
        rivers.uncertainty(river[0], unmapped_per_km=1.0, rank_barriers=True)
