"""Functional networks, GainMiles, fragments and tiers: by hand, and against a walk through the tree."""

import numpy as np
import pandas as pd
import pytest

from linkways import rivers
from linkways.errors import LinkwaysError
from tests.rivers.brute_force import random_river


@pytest.fixture
def river():
    """A stem 1 <- 2 <- 3 (mouth 1) with a branch 4 into 2 and its upper part 5; lengths 10, 8, 6, 4 and 2 km."""
    return pd.DataFrame(
        {"reach": [1, 2, 3, 4, 5], "down": [-1, 1, 2, 2, 4], "length_m": [10_000.0, 8_000.0, 6_000.0, 4_000.0, 2_000.0]}
    )


@pytest.fixture
def dams():
    """m at the lower end of 2, a of 3, b of 5."""
    return pd.DataFrame({"barrier": ["m", "a", "b"], "reach": [2, 3, 5]})


def test_gain_is_the_smaller_network_unless_the_way_to_the_sea_is_open(river, dams):
    found = rivers.barriers(river, dams).barriers.set_index("barrier")
    assert found["upstream_km"].tolist() == [12, 6, 2]
    assert found["downstream_free_km"].tolist() == [10, 12, 12]
    assert found["functional_network_km"].tolist() == [22, 18, 14]
    assert found["gain_km"].tolist() == [12, 6, 2]  # m: the sea is open, so all of its 12 km
    assert found["gain_miles"].tolist() == pytest.approx([12 / 1.609344, 6 / 1.609344, 2 / 1.609344])
    assert found["barriers_to_sea"].tolist() == [0, 1, 1]
    assert found["barriers_upstream"].tolist() == [2, 0, 0]
    assert found["next_barrier"].fillna("sea").tolist() == ["sea", "m", "m"]
    assert found["total_upstream_km"].tolist() == [20, 6, 2]


def test_a_basin_that_does_not_reach_the_sea_gains_the_smaller_network(river, dams):
    found = rivers.barriers(river.assign(to_sea=[False] * 5), dams, sea="to_sea").barriers
    assert found["gain_km"].tolist() == [10, 6, 2]


def test_lakes_below_are_not_free_flowing(river, dams):
    found = rivers.barriers(river.assign(lake=[0, 1.0, 0, 0.5, 0]), dams, waterbody="lake").barriers
    assert found["downstream_free_km"].tolist() == [10, 2, 2]
    assert found["gain_km"].tolist() == [12, 2, 2]


def test_a_barrier_at_a_headwater_gains_nothing(river):
    source = pd.concat([river, pd.DataFrame({"reach": [6], "down": [5], "length_m": [0.0]})])
    assert rivers.barriers(source, pd.DataFrame({"barrier": [1], "reach": [6]})).barriers["gain_km"].tolist() == [0]


def test_a_barrier_at_the_outlet_parts_the_river_from_the_sea(river, dams):
    more = pd.concat([dams, pd.DataFrame({"barrier": ["tide"], "reach": [1]})], ignore_index=True)
    found = rivers.barriers(river, more)
    table = found.barriers.set_index("barrier")
    assert table["barriers_to_sea"].tolist() == [1, 2, 2, 0]
    assert table["gain_km"].tolist() == [10, 6, 2, 10]
    assert table.loc["m", "next_barrier"] == "tide"
    assert pd.isna(table.loc["tide", "fragment_down"])
    assert found.open_to_sea == 0


def test_only_barriers_that_let_too_little_through_cut(river, dams):
    found = rivers.barriers(river, dams.assign(passability=[0.9, 0.3, 1.0]), cuts_below=0.5)
    assert found.barriers["cuts"].tolist() == [False, True, False]
    assert found.barriers["gain_km"].fillna(-1).tolist() == [-1, 6, -1]
    assert found.barriers["tier_nc"].isna().tolist() == [True, False, True]
    assert found.fragment_count == 2
    assert found.open_to_sea == 80


def test_waterfalls_cut_but_are_not_ranked(river, dams):
    found = rivers.barriers(river, dams.assign(removable=[True, True, False]))
    assert found.fragment_count == 4
    assert found.barriers["tier_nc"].isna().tolist() == [False, False, True]


def test_fragments_are_named_by_their_lowest_reach_and_hold_all_the_river(river, dams):
    found = rivers.barriers(river, dams)
    assert found.reaches["fragment"].tolist() == [1, 2, 3, 2, 5]
    assert found.reaches["barriers_to_sea"].tolist() == [0, 1, 2, 1, 2]
    fragments = found.fragments.set_index("fragment")
    assert fragments["length_km"].to_dict() == {2: 12, 1: 10, 3: 6, 5: 2}
    assert fragments["barrier_below"].fillna("sea").to_dict() == {2: "m", 1: "sea", 3: "a", 5: "b"}
    assert found.longest_km == 12
    assert found.open_to_sea == pytest.approx(100 * 10 / 30)


def test_tiers_are_twentieths_of_the_range_of_ranks_among_different_values():
    n = 41
    reaches = pd.DataFrame(
        {"reach": range(n + 1), "down": [-1] + [0] * n, "length_m": [0.0, *(1000.0 * np.arange(n) + 1)]}
    )
    dams = pd.DataFrame({"barrier": range(n), "reach": range(1, n + 1)})
    tiers = rivers.barriers(reaches, dams).barriers["tier_nc"].tolist()
    # ranks 0 to 40 of 41 different values lie at 0, 2.5, 5 ... 100 % of the range
    assert tiers == [min(20, 20 - (k // 2)) if k < 40 else 1 for k in range(n)]
    same = rivers.barriers(reaches.assign(length_m=5.0), dams).barriers["tier_nc"]
    assert set(same) == {20}


def test_conditions_upstream_make_the_other_tiers(river, dams):
    reaches = river.assign(natural=[0, 0.5, 1.0, 0.5, 0.0], wild=[0, 1.0, 0, 0, 0.6], size=["c", "b", "a", "a", "a"])
    found = rivers.barriers(reaches, dams, unaltered="natural", landcover="wild", size_class="size").barriers
    # upstream of m, a, b: natural 0.5, 1, 0; wild 8/12, 0, 0.6; classes 2, 1, 1
    wc = np.array([(0.5 + 1 + 1) / 3, (1 + 0 + 0) / 3, (0 + 0.5 + 0) / 3])
    nc = np.array([1, 0.5, 0])
    for name, score in (("tier_nc", nc), ("tier_wc", wc), ("tier_ncwc", (nc + wc) / 2)):
        relative = 100 * (score - score.min()) / np.ptp(score)
        assert found[name].tolist() == [1 if r >= 95 else 20 - int(r // 5) for r in relative]


def test_ranks_within_states_are_apart(river, dams):
    found = rivers.barriers(river, dams.assign(state=["N", "S", "S"]), rank_within="state").barriers
    assert found["tier_nc"].tolist() == [20, 1, 20]


def test_owners_and_regulators_are_carried_along_and_counted(river, dams):
    told = dams.assign(owner=["mill", "city", "mill"], regulator=["FERC", None, "state"], height_m=[3, 2, 1])
    found = rivers.barriers(river, told)
    assert found.barriers["height_m"].tolist() == [3, 2, 1]
    rows = found.responsible.set_index(["role", "name"])
    assert rows.loc[("owner", "mill"), "barriers"] == 2
    assert rows.loc[("owner", "mill"), "largest_gain_km"] == 12
    assert rows.loc[("owner", "mill"), "barrier"] == "m"
    assert rows.loc[("owner", "mill"), "in_first_tiers"] == 1
    assert rows.loc[("regulator", "not told"), "barriers"] == 1
    assert rivers.barriers(river, dams).responsible is None


def test_random_rivers_agree_with_a_walk_through_the_tree():
    rng = np.random.default_rng(5)
    for _ in range(150):
        reaches, barriers, down, rows = random_river(rng)
        found = rivers.barriers(reaches, barriers, cuts_below=0.5)
        n, length = len(down), reaches["length_m"].to_numpy() / 1000
        cuts = (barriers["pass_up"] * barriers["pass_down"] < 0.5).to_numpy()
        cut_edges = set(rows[cuts])

        def lowest(v, cut_edges=cut_edges, down=down):
            while down[v] >= 0 and v not in cut_edges:
                v = down[v]
            return v

        def dams_below(v, down=down, rows=rows, cuts=cuts):
            count = 0
            while v >= 0:
                count += int((rows[cuts] == v).sum())
                v = down[v]
            return count

        low = np.array([lowest(v) for v in range(n)])
        assert found.reaches["fragment"].tolist() == reaches["reach"].to_numpy()[low].tolist()
        assert found.fragments["length_km"].sum() == pytest.approx(length.sum())
        for k, row in enumerate(rows):
            one = found.barriers.iloc[k]
            up = length[low == low[row]].sum() if row in cut_edges else None
            to_sea = dams_below(down[row]) if down[row] >= 0 else 0
            assert one["barriers_to_sea"] == to_sea
            if not cuts[k]:
                assert np.isnan(one["gain_km"])
                continue
            below = length[low == low[down[row]]].sum() if down[row] >= 0 else 0.0
            assert one["upstream_km"] == pytest.approx(up)
            assert one["gain_km"] == pytest.approx(up if to_sea == 0 else min(up, below))


@pytest.mark.parametrize(
    ("change", "chosen", "words"),
    [
        ({"removable": [True, None, True]}, {}, "removable of barrier a is missing"),
        ({"reach": [2, 3, 77]}, {}, "barrier b is on reach 77"),
        ({}, {"waterbody": "lakes"}, "no column 'lakes'"),
        ({}, {"size_class": "order"}, "no column 'order'"),
        ({}, {"rank_within": "state"}, "no column 'state'"),
    ],
)
def test_what_cannot_be_read_is_refused(river, dams, change, chosen, words):
    with pytest.raises(LinkwaysError, match=words):
        rivers.barriers(river, dams.assign(**change), **chosen)
