"""Lines, barriers and outlets become a rooted forest, and everything mended on the way is told."""

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from linkways.errors import LinkwaysError
from linkways.rivers import connectivity, network
from linkways.spatial import random_barriers, random_basin, recording

UTM = "EPSG:32631"
Y = [[(0, 200), (100, 100)], [(200, 200), (100, 100)], [(100, 100), (100, 0)]]
"""Two headwaters of 141.42 m that meet at (100, 100), and 100 m on to the outlet at (100, 0)."""
BRAID = [[(0, 300), (0, 200)], [(0, 200), (0, 100)], [(0, 200), (80, 150), (0, 100)], [(0, 100), (0, 0)]]
"""A river that parts at (0, 200) and comes together at (0, 100): 100 m straight, 188.68 m round by the east."""


def lines(*coordinates, crs=UTM, **columns):
    return gpd.GeoDataFrame(columns, geometry=[shapely.LineString(c) for c in coordinates], crs=crs)


def points(*xy, crs=UTM, **columns):
    return gpd.GeoDataFrame(columns, geometry=[shapely.Point(p) for p in xy], crs=crs)


def dams(*xy, **columns):
    return points(*xy, **({"kind": ["dam"] * len(xy), "passability": [0.5] * len(xy)} | columns))


def downs(found):
    return found.reaches["down"].tolist()


def kinds(found):
    return found.repairs["kind"].tolist()


# --- topology told by the ends of lines ------------------------------------------------------------------------------


def test_two_headwaters_meet_and_flow_on_to_the_outlet():
    found = network(lines(*Y))
    assert downs(found) == [2, 2, -1]
    np.testing.assert_allclose(found.reaches["length_m"], [20000**0.5, 20000**0.5, 100])
    np.testing.assert_allclose(found.reaches["to_outlet_m"], [100, 100, 0])
    assert found.reaches["strahler"].tolist() == [1, 1, 2]
    assert found.reaches["basin"].tolist() == [2, 2, 2]
    assert (found.basins_count, found.fragments_count, found.side_channels_count) == (1, 1, 0)
    assert not len(found.repairs)
    assert not len(found.cut)
    assert found.length_m == found.length_before_m == pytest.approx(2 * 20000**0.5 + 100)


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_line_drawn_upstream_is_turned_round_and_told(wrong):
    drawn = [c[::-1] if i == wrong else c for i, c in enumerate(Y)]
    found = network(lines(*drawn), outlets=points((100, 0)))
    assert downs(found) == [2, 2, -1]
    assert [list(g.coords) for g in found.reaches.geometry] == [list(map(tuple, c)) for c in Y]
    assert found.repairs[["kind", "line"]].values.tolist() == [["line turned round", wrong]]
    assert list(found.changed.geometry.iloc[0].coords) == drawn[wrong]
    assert (found.changed["before_m"] == found.changed["after_m"]).all()


def test_without_outlets_the_end_that_most_lines_run_to_is_the_outlet():
    tail = [[(100, -100 * i), (100, -100 * i - 100)] for i in range(4)]
    # the second line of the main stem is drawn upstream, so that a confluence looks like an outlet
    tail[1] = tail[1][::-1]
    found = network(lines(*Y, *tail))
    assert downs(found) == [2, 2, 3, 4, 5, 6, -1]
    assert kinds(found) == ["line turned round"]


def test_a_network_drawn_upstream_throughout_flows_to_the_given_outlet_and_the_log_says_so():
    with recording() as log:
        found = network(lines(*(c[::-1] for c in Y)), outlets=points((100, 0)))
    assert downs(found) == [2, 2, -1]
    assert kinds(found) == ["line turned round"] * 3
    assert any("3 of 3 lines run against" in sentence for sentence in log)
    by_outlet = network(lines(*(c[::-1] for c in Y)), outlets=points((100, 0)), direction="outlets")
    assert downs(by_outlet) == [2, 2, -1]
    assert not len(by_outlet.repairs)


def test_ends_within_the_tolerance_are_one_node_and_others_are_not():
    gap = [Y[0], Y[1], [(100.6, 100), (100, 0)]]
    closed = network(lines(*gap))
    assert downs(closed) == [2, 2, -1]
    assert closed.repairs[["kind", "what"]].values.tolist() == [["gap closed", "ends up to 0.6 m apart made one node"]]
    assert network(lines(*gap), tolerance_m=0.3).basins_count == 2


def test_a_tributary_that_ends_on_the_inside_of_a_line_cuts_it():
    found = network(lines([(0, 100), (0, 0)], [(50, 40), (0.5, 40)], name=["stem", "brook"]))
    assert found.reaches["line"].tolist() == [0, 0, 1]
    assert downs(found) == [1, -1, 1]
    np.testing.assert_allclose(found.reaches["length_m"], [60, 40, 49.5])
    np.testing.assert_allclose(found.reaches["share"], [0.6, 0.4, 1])
    assert found.reaches["name"].tolist() == ["stem", "stem", "brook"]
    assert kinds(found) == ["line cut at a junction"]


def test_lines_that_pass_near_each_other_and_meet_elsewhere_are_not_joined_there():
    # the tributaries are 0.8 m apart at a node of the first, 10 m above their confluence
    beside = lines([(0, 100), (0, 10)], [(0, 10), (0, 0)], [(9, 99), (0.8, 50), (0.8, 5), (0, 0)], [(0, 0), (0, -50)])
    found = network(beside)
    assert kinds(found) == []
    assert downs(found) == [1, 3, 3, -1]


def test_the_longer_arm_of_a_braid_becomes_a_side_channel_open_at_its_lower_end():
    found = network(lines(*BRAID))
    assert downs(found) == [1, 3, 3, -1]
    assert found.reaches["side_of"].tolist() == [-1, -1, 1, -1]
    assert found.reaches["on_loop"].tolist() == [False, True, True, False]
    assert found.reaches["strahler"].tolist() == [1, 1, 1, 1]
    assert found.side_channels_count == 1
    row = found.repairs.iloc[0]
    assert (row["kind"], row["line"], row["x"], row["y"]) == ("side channel", 2, 0, 200)
    assert found.length_cut_m == 0


def test_an_arm_of_a_braid_is_cut_on_request_and_kept_for_display():
    found = network(lines(*BRAID), loops="cut")
    assert found.reaches["line"].tolist() == [0, 1, 3]
    assert downs(found) == [1, 2, -1]
    assert found.cut[["line", "why"]].values.tolist() == [[2, "closes a loop"]]
    assert found.length_cut_m == pytest.approx(2 * np.hypot(80, 50))
    assert found.repairs[["before_m", "after_m"]].values.tolist() == [[found.length_cut_m, 0]]
    assert found.reaches["on_loop"].tolist() == [False, True, False]


def test_the_main_channel_is_the_one_with_more_of_the_main_column():
    found = network(lines(*BRAID, flow=[10, 3, 7, 10]), main_column="flow", loops="cut")
    assert found.reaches["line"].tolist() == [0, 2, 3]
    assert found.cut["line"].tolist() == [1]


def test_following_the_main_column_all_the_way_wins_over_a_single_better_branch():
    # two partings in a row: the main column says east, then west
    two = [
        [(0, 400), (0, 300)], [(0, 300), (-50, 250), (0, 200)], [(0, 300), (0, 200)],
        [(0, 200), (0, 100)], [(0, 200), (50, 150), (0, 100)], [(0, 100), (0, 0)],
    ]  # fmt: skip
    found = network(lines(*two, q=[9, 5, 4, 4, 5, 9]), main_column="q", loops="cut")
    assert found.cut["line"].tolist() == [2, 3]


def test_a_braid_of_three_arms_keeps_one_main_channel():
    found = network(lines(*BRAID, [(0, 200), (-200, 150), (0, 100)]))
    assert found.side_channels_count == 2
    assert downs(found) == [1, 3, 3, -1, 3]


def test_a_side_channel_that_ends_at_the_outlet_hangs_from_its_upper_end():
    found = network(lines([(0, 200), (0, 100)], [(0, 100), (0, 0)], [(0, 100), (90, 50), (0, 0)]))
    assert found.basins_count == 1
    assert downs(found) == [1, -1, 1]
    assert found.reaches["on_loop"].tolist() == [False, True, True]


def test_side_channels_do_not_raise_the_stream_order():
    # the braid lies on a headwater, a second headwater joins below
    found = network(lines(*BRAID, [(100, 100), (0, 0)], [(0, 0), (0, -100)]))
    assert found.reaches["strahler"].tolist() == [1, 1, 1, 1, 1, 2]


def test_rings_short_lines_and_doubles_are_left_out_and_told():
    odd = [
        [(100, 100), (150, 120), (120, 150), (100, 100)],  # a ring
        [(100, 0), (100, -0.4)],  # shorter than the tolerance
        [(100, 0), (100, 50), (100, 100)][::-1],  # the last line again
    ]
    found = network(lines(*Y, odd[0], odd[1], Y[2][::-1]))
    assert found.reaches["line"].tolist() == [0, 1, 2]
    assert dict(zip(found.cut["line"], found.cut["why"], strict=True)) == {
        3: "closed ring",
        4: "shorter than the tolerance",
        5: "drawn twice",
    }
    assert found.length_m + found.length_cut_m == pytest.approx(found.length_before_m)


def test_a_line_without_length_is_told_and_the_others_keep_their_rows():
    found = network(lines([(5, 5), (5, 5)], *Y))
    assert kinds(found) == ["without length"]
    assert found.reaches["line"].tolist() == [1, 2, 3]


def test_isolated_pieces_are_basins_of_their_own_or_left_out_below_a_length():
    pond = [(900, 900), (900, 890)]
    kept = network(lines(*Y, pond), outlets=points((100, 0)))
    assert kept.basins_count == 2
    assert kept.repairs[["kind", "what"]].values.tolist() == [
        ["isolated piece", "no given outlet on it: a basin of its own"]
    ]
    dropped = network(lines(*Y, pond), outlets=points((100, 0)), min_basin_km=0.1)
    assert dropped.basins_count == 1
    assert dropped.cut[["line", "why"]].values.tolist() == [[3, "basin shorter than the minimum"]]
    assert dropped.length_cut_m == 10
    # without outlets every piece is a basin, and only what is left out is told
    assert kinds(network(lines(*Y, pond))) == []
    assert kinds(network(lines(*Y, pond), min_basin_km=0.1)) == ["short basin"]


def test_a_given_outlet_inside_a_line_cuts_it_and_parts_the_river_below():
    found = network(lines(*Y), outlets=points((101, 30)), min_basin_km=0.05, outlet_tolerance_m=20)
    assert downs(found) == [2, 2, -1]
    np.testing.assert_allclose(found.reaches["length_m"].iloc[2], 70)
    assert kinds(found) == ["parted below an outlet", "isolated piece"]
    assert found.length_cut_m == pytest.approx(30)


def test_an_outlet_a_little_off_the_mouth_is_the_mouth():
    assert downs(network(lines(*Y), outlets=points((140, 20)))) == [2, 2, -1]


def test_an_outlet_far_from_every_line_is_refused():
    with pytest.raises(LinkwaysError, match=r"outlets: row 1 lies farther than 150 m from every line"):
        network(lines(*Y), outlets=points((100, 0), (900, 0)))


def test_direction_by_elevation_goes_by_z_or_by_two_columns():
    z = [[(*p, h) for p, h in zip(c, hs, strict=True)] for c, hs in zip(Y, [(9, 5), (8, 5), (5, 1)], strict=True)]
    upstream = [c[::-1] for c in z]
    assert downs(network(lines(*upstream), direction="elevation")) == [2, 2, -1]
    columns = lines(*(c[::-1] for c in Y), first=[5, 5, 1], last=[9, 8, 5])
    found = network(columns, direction="elevation", elevation_columns=["first", "last"])
    assert downs(found) == [2, 2, -1]
    assert not len(found.repairs)
    with pytest.raises(LinkwaysError, match="no z coordinates"):
        network(lines(*Y), direction="elevation")
    with pytest.raises(LinkwaysError, match="must name two columns"):
        network(columns, direction="elevation", elevation_columns=["first"])
    with pytest.raises(LinkwaysError, match="no column 'lasst'"):
        network(columns, direction="elevation", elevation_columns=["first", "lasst"])


def test_reaches_that_end_at_one_outlet_are_joined_above_it_or_kept_apart():
    fork = lines([(0, 40), (0, 0)], [(60, 80), (0, 0)])
    joined = network(fork)
    assert joined.reaches["line"].tolist() == [0, 1, 1]
    assert downs(joined) == [2, 2, -1]
    np.testing.assert_allclose(joined.reaches["length_m"], [40, 99, 1])
    apart = network(fork, mouths="separate")
    assert downs(apart) == [-1, -1]
    assert kinds(apart) == kinds(joined) == ["confluence at an outlet"]


def test_a_confluence_of_three_is_kept_and_told():
    found = network(lines(*Y, [(100, 300), (100, 100)]))
    assert downs(found) == [2, 2, -1, 2]
    assert found.repairs["what"].tolist() == ["3 reaches meet here: kept as they are"]
    assert found.reaches["strahler"].tolist() == [1, 1, 2, 1]


def test_parts_of_a_multi_line_are_lines_of_their_own():
    multi = gpd.GeoDataFrame({"id": [7]}, geometry=[shapely.MultiLineString(Y)], crs=UTM)
    found = network(multi)
    assert downs(found) == [2, 2, -1]
    assert found.reaches["line"].tolist() == [0, 0, 0]
    assert found.reaches["share"].sum() == pytest.approx(1)


def test_lengths_are_geodesic_in_degrees_and_metres_in_feet():
    degrees = lines([(10, 60), (10.01, 60)], [(10.01, 60), (10.02, 59.99)], crs="EPSG:4326")
    found = network(degrees)
    geod = Geod(ellps="WGS84")
    expected = [geod.line_length(*np.array(g.coords).T) for g in degrees.geometry]
    np.testing.assert_allclose(found.reaches["length_m"], expected, rtol=1e-12)
    feet = network(lines([(0, 1000), (0, 0)], crs="EPSG:2263"))
    assert feet.length_m == pytest.approx(1000 * 1200 / 3937)


def test_tolerances_are_metres_in_a_geographic_crs_too():
    # 0.00001 degrees of longitude are 0.56 m at 60 degrees north
    gap = lines([(10, 60), (10.01, 60)], [(10.01001, 60), (10.02, 60)], crs="EPSG:4326")
    assert network(gap).basins_count == 1
    assert network(gap, tolerance_m=0.5).basins_count == 2


# --- topology told by columns ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "columns",
    [
        {"HYRIV_ID": [11, 12, 13], "NEXT_DOWN": [13, 13, 0]},
        {"hydroseq": [30.0, 20.0, 10.0], "dnhydroseq": [10.0, 10.0, 0.0]},
        {"COMID": [1, 2, 3], "NextDownID": [3, 3, 0]},
        {"LINKNO": [0, 1, 2], "DSLINKNO": [2, 2, -1]},
    ],
)
def test_known_columns_tell_the_topology(columns):
    # the lines themselves do not touch
    apart = [[(x, 300 - i), (x, 200 - i)] for i, x in enumerate((0, 50, 25))]
    with recording() as log:
        found = network(lines(*apart, **columns))
    assert downs(found) == [2, 2, -1]
    assert "topology read from columns" in log[0]
    assert network(lines(*apart, **columns), topology="geometry").basins_count == 3


def test_columns_may_lead_through_a_line_without_length_and_empty_lines_are_told():
    through = lines(*Y[:2], [(100, 100), (100, 100)], Y[2], [], HYRIV_ID=[1, 2, 3, 4, 5], NEXT_DOWN=[3, 3, 4, 0, 4])
    found = network(through, dams((100, 100)))
    assert found.reaches["line"].tolist() == [0, 1, 2, 3]
    assert downs(found) == [2, 2, 3, -1]
    assert found.reaches["length_m"].tolist()[2] == 0
    assert found.barriers["reach"].tolist() == [2]
    assert found.repairs[["kind", "line"]].values.tolist() == [["without length", 4]]


def test_named_columns_tell_the_topology():
    river = lines(*Y, me=[5, 6, 7], to=pd.array([7, 7, None], "Int64"))
    assert downs(network(river, id_column="me", down_column="to")) == [2, 2, -1]
    with pytest.raises(LinkwaysError, match="give both id_column and down_column"):
        network(river, id_column="me")
    with pytest.raises(LinkwaysError, match="no column 'too'"):
        network(river, id_column="me", down_column="too")
    with pytest.raises(LinkwaysError, match="no columns tell where each line flows"):
        network(river, topology="columns")


def test_lines_against_the_flow_of_their_columns_are_turned():
    for wrong in range(3):
        drawn = [c[::-1] if i == wrong else c for i, c in enumerate(Y)]
        found = network(lines(*drawn, HYRIV_ID=[1, 2, 3], NEXT_DOWN=[3, 3, 0]))
        assert [list(g.coords) for g in found.reaches.geometry] == [list(map(tuple, c)) for c in Y]
        assert found.repairs[["kind", "line"]].values.tolist() == [["line turned round", wrong]]


def test_a_line_that_flows_out_of_the_data_ends_at_an_outlet_and_is_told():
    found = network(lines(*Y, HYRIV_ID=[1, 2, 3], NEXT_DOWN=[3, 3, 99]))
    assert downs(found) == [2, 2, -1]
    assert kinds(found) == ["outlet at the edge of the data"]


def test_columns_that_run_in_a_circle_or_repeat_are_refused():
    with pytest.raises(LinkwaysError, match="flow in a circle by column NEXT_DOWN"):
        network(lines(*Y, HYRIV_ID=[1, 2, 3], NEXT_DOWN=[3, 3, 1]))
    with pytest.raises(LinkwaysError, match="HYRIV_ID 1 is there 2 times"):
        network(lines(*Y, HYRIV_ID=[1, 1, 3], NEXT_DOWN=[3, 3, 0]))
    with pytest.raises(LinkwaysError, match="leave out the input outlets"):
        network(lines(*Y, HYRIV_ID=[1, 2, 3], NEXT_DOWN=[3, 3, 0]), outlets=points((100, 0)))
    with pytest.raises(LinkwaysError, match="main_column has no meaning"):
        network(lines(*Y, HYRIV_ID=[1, 2, 3], NEXT_DOWN=[3, 3, 0]), main_column="NEXT_DOWN")


def test_minor_paths_of_nhdplus_are_side_channels():
    plus = lines(*BRAID, Hydroseq=[4, 2, 3, 1], DnHydroseq=[2, 1, 1, 0], FromNode=[1, 2, 2, 3], Divergence=[0, 1, 2, 0])
    found = network(plus)
    assert found.reaches["side_of"].tolist() == [-1, -1, 1, -1]
    assert found.reaches["on_loop"].tolist() == [False, True, True, False]
    cut = network(plus, loops="cut")
    assert cut.cut["line"].tolist() == [2]
    assert downs(cut) == [1, 2, -1]


def test_the_reaches_of_a_network_make_the_same_network_again():
    basin = random_basin(12, 12, seed=4, channel_cells=2)
    first = network(basin, random_barriers(basin, 30, seed=1))
    again = network(first.reaches)
    assert downs(again) == downs(first)
    np.testing.assert_allclose(again.reaches["length_m"], first.reaches["length_m"])
    assert "down_given" in again.reaches


# --- barriers --------------------------------------------------------------------------------------------------------


def test_a_reach_is_cut_at_a_barrier_and_the_river_below_belongs_to_the_reach_below():
    found = network(lines(*Y), dams((110, 40), owner=["town"]))
    assert downs(found) == [2, 2, 3, -1]
    np.testing.assert_allclose(found.reaches["length_m"].iloc[2:], [60, 40])
    assert found.reaches["fragment"].tolist() == [2, 2, 2, 3]
    assert found.fragments_count == 2
    dam = found.barriers.iloc[0]
    assert (dam["barrier"], dam["reach"], dam["site"], dam["owner"]) == (0, 2, "river", "town")
    assert (dam.geometry.x, dam.geometry.y, dam["snap_distance_m"]) == (100, 40, 10)
    assert list(found.reaches.geometry.iloc[2].coords) == [(100, 100), (100, 40)]
    # DCIp by hand: 2 x 141.42 + 60 m above, 40 m below, permeability 0.5
    above, below = 2 * 20000**0.5 + 60, 40
    expected = 100 * (above**2 + below**2 + 2 * 0.5 * above * below) / (above + below) ** 2
    assert connectivity(found.reaches, found.barriers).dcip == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        ("dam", 150), ("long dam", 1000), ("off_network", 50), ("Manual", 25), ("waterfall", 100), ("road", 50),
        ("culvert", 50), ("weir", 150), ("beaver", 100), (None, 100),
    ],
)  # fmt: skip
def test_each_kind_of_barrier_is_moved_no_farther_than_its_tolerance(kind, limit):
    stem = lines([(0, 5000), (0, 0)])
    barriers = points((limit - 0.01, 2500), (limit + 0.01, 500), kind=[kind, kind])
    found = network(stem, barriers)
    assert found.barriers["barrier"].tolist() == [0]
    assert found.unplaced["barrier"].tolist() == [1]
    assert found.unplaced["why"].iloc[0] == f"no river within {limit} m, the nearest about {limit} m away"


def test_tolerances_by_kind_are_overridden_one_by_one():
    stem = lines([(0, 500), (0, 0)])
    barriers = points((200, 400), (200, 300), (200, 200), sort=["dam", "Beaver", "ford"])
    found = network(stem, barriers, kind_column="sort", snap_m={"beaver": 250, "DAM": 200})
    assert found.barriers["barrier"].tolist() == [0, 1]
    with pytest.raises(LinkwaysError, match="snap_m holds dam -1"):
        network(stem, barriers, kind_column="sort", snap_m={"dam": -1})
    with pytest.raises(LinkwaysError, match=r"no column 'sorts' \(did you mean 'sort'"):
        network(stem, barriers, kind_column="sorts")


def test_barriers_without_kinds_take_the_tolerance_of_others_and_strange_kinds_are_told():
    stem = lines([(0, 500), (0, 0)])
    assert network(stem, points((99, 200), (101, 300))).barriers["barrier"].tolist() == [0]
    with recording() as log:
        network(stem, points((9, 200), kind=["mill"]))
    assert any("kind mill have no snapping distance" in sentence for sentence in log)


def test_confidence_falls_with_distance_and_between_two_rivers():
    two = lines([(0, 500), (0, 0)], [(100, 500), (100, 0)])
    found = network(two, dams((0, 400), (30, 300), (50, 200), (-75, 100)))
    np.testing.assert_allclose(found.barriers["snap_confidence"], [1, 1 - 30 / 70, 0, 0.5])


def test_a_line_that_just_follows_on_is_no_rival():
    two = lines([(0, 500), (0, 250)], [(0, 250), (0, 0)])
    found = network(two, dams((15, 252)))
    assert found.barriers["snap_confidence"].tolist() == [pytest.approx(0.9)]


def test_a_second_barrier_of_a_kind_within_ten_metres_is_a_duplicate():
    stem = lines([(0, 500), (0, 0)])
    near = dams((0, 400), (0, 391), (0, 382), (0, 389), kind=["dam", "dam", "dam", "culvert"])
    found = network(stem, near)
    # the third lies within ten metres of the second, but not of one that stays
    assert found.barriers["barrier"].tolist() == [0, 2, 3]
    assert found.unplaced["why"].tolist() == ["duplicate of barrier 0, 9.0 m away"]
    assert found.barriers["likely_duplicate_of"].isna().tolist() == [True, False, True]
    assert found.barriers["likely_duplicate_of"].iloc[1] == 0
    assert (found.duplicates_count, found.unplaced_count) == (1, 1)
    assert network(stem, near, duplicate_m=0, likely_duplicate_m=0).barriers_count == 4


def test_own_barrier_ids_are_kept_and_must_be_unique():
    stem = lines([(0, 500), (0, 0)])
    found = network(stem, dams((0, 400), (3, 403), barrier=["A", "B"]))
    assert found.barriers["barrier"].tolist() == ["A"]
    assert found.unplaced["why"].tolist() == ["duplicate of barrier A, 4.2 m away"]
    with pytest.raises(LinkwaysError, match="row 1 has no barrier id of its own"):
        network(stem, dams((0, 400), (0, 200), barrier=["A", "A"]))


def test_a_barrier_at_the_outlet_is_kept_and_cuts_nothing():
    found = network(lines(*Y), dams((100, -20), (100.5, 0.3), kind=["dam", "weir"]))
    assert found.reaches_count == 3
    assert found.barriers["reach"].tolist() == [2, 2]
    assert found.barriers["site"].tolist() == ["outlet", "outlet"]
    assert found.at_outlet_count == 2


def test_a_barrier_at_the_start_of_a_stream_is_not_lost():
    found = network(lines(*Y), dams((-10, 210), (200, 200)))
    assert found.at_stream_start_count == 2
    assert found.barriers["site"].tolist() == ["stream start"] * 2
    np.testing.assert_allclose(sorted(found.reaches["length_m"])[:2], [1, 1])
    assert found.reaches.set_index("reach").loc[found.barriers["reach"], "strahler"].tolist() == [1, 1]
    assert found.length_m == pytest.approx(found.length_before_m)


def test_a_barrier_on_a_confluence_stands_just_below_it():
    found = network(lines(*Y), dams((100, 100)))
    assert found.at_confluence_count == 1
    assert found.barriers["snap_confidence"].tolist() == [0]
    np.testing.assert_allclose(found.reaches["length_m"].iloc[2:], [1, 99])
    assert found.barriers["reach"].tolist() == [2]
    assert found.fragments_count == 2


def test_a_barrier_at_the_lower_end_of_a_tributary_is_on_the_tributary():
    # half a metre up the eastern arm
    found = network(lines(*Y), dams((100.5, 100.5)))
    assert found.reaches_count == 3
    assert found.barriers["reach"].tolist() == [1]
    assert found.barriers["site"].tolist() == ["confluence"]
    assert found.reaches["fragment"].tolist() == [2, 1, 2]


def test_a_barrier_where_one_line_follows_another_cuts_neither():
    two = lines([(0, 500), (0, 250)], [(0, 250), (0, 0)])
    for y in (250.4, 250, 249.6):
        found = network(two, dams((3, y)))
        assert found.reaches_count == 2
        assert found.barriers["reach"].tolist() == [0]
        assert found.barriers["site"].tolist() == ["river"]


def test_several_barriers_on_one_line_cut_it_in_order_and_near_ones_share_a_cut():
    stem = lines([(0, 500), (0, 0)])
    barriers = points((0, 100), (0, 400), (0, 300.4), (0, 300), kind=["dam", "dam", "weir", "ford"])
    found = network(stem, barriers)
    np.testing.assert_allclose(found.reaches["length_m"], [100, 100, 200, 100])
    assert found.barriers["reach"].tolist() == [2, 0, 1, 1]
    assert found.fragments_count == 4


def test_a_barrier_on_a_line_that_was_left_out_is_not_moved_to_another():
    found = network(lines(*BRAID), dams((80, 150)), loops="cut")
    assert found.unplaced["why"].tolist() == ["lies on a line that was left out: closes a loop"]
    assert network(lines(*BRAID), dams((80, 150))).barriers["on_loop"].tolist() == [True]


def test_barriers_far_beyond_all_tolerances_are_told_with_their_distance():
    found = network(lines(*Y), dams((100, -1000)))
    assert found.unplaced["why"].tolist() == ["no river within 150 m, the nearest about 1000 m away"]
    assert not len(found.barriers)


def test_both_directions_are_kept_apart_and_one_permeability_is_kept_single():
    stem = lines([(0, 500), (0, 0)])
    both = points((0, 400), (0, 200), up=[0.1, 0.2], down=[0.7, None])
    with recording() as log:
        found = network(stem, both, pass_up_column="up", pass_down_column="down", missing_passability=0.25)
    assert found.barriers[["pass_up", "pass_down"]].values.tolist() == [[0.1, 0.7], [0.2, 0.25]]
    assert "passability" not in found.barriers
    assert any("1 of 2 barriers tell no down: 0.25 taken" in sentence for sentence in log)
    single = network(stem, points((0, 400), perm=[0.4]), passability_column="perm")
    assert single.barriers["passability"].tolist() == [0.4]
    assert "pass_up" not in single.barriers
    assert network(stem, points((0, 400))).barriers["passability"].tolist() == [0]


def test_fully_passable_barriers_part_no_fragments():
    found = network(lines([(0, 500), (0, 0)]), dams((0, 400), (0, 200), passability=[1.0, 0.9]))
    assert found.reaches_count == 3
    assert found.reaches["fragment"].tolist() == [1, 1, 2]


def test_passabilities_outside_0_to_1_or_half_told_are_refused():
    stem = lines([(0, 500), (0, 0)])
    with pytest.raises(LinkwaysError, match=r"passability of row 1 is 1.5 but must be 0 to 1"):
        network(stem, dams((0, 400), (0, 200), passability=[1.0, 1.5]))
    with pytest.raises(LinkwaysError, match="no column 'pass_down'; give both directions"):
        network(stem, points((0, 400), pass_up=[0.4]))
    with pytest.raises(LinkwaysError, match="no column 'perm'"):
        network(stem, dams((0, 400)), passability_column="perm")


def test_points_in_another_crs_are_reprojected_and_told():
    there = dams((100, 40)).to_crs("EPSG:4326")
    with recording() as log:
        found = network(lines(*Y), there)
    assert found.barriers["snap_distance_m"].iloc[0] == pytest.approx(0, abs=1e-6)
    assert found.barriers.crs == UTM
    assert "rivers.network: barriers reprojected to the CRS of lines" in log


def test_without_barriers_the_layers_of_barriers_are_empty():
    found = network(lines(*Y))
    for layer in (found.barriers, found.unplaced, found.cut, found.changed):
        assert len(layer) == 0
        assert layer.crs == UTM
    assert connectivity(found.reaches, found.barriers).dcip == 100
    assert len(network(lines(*Y), dams((0, 0)).iloc[:0]).barriers) == 0


def test_columns_whose_names_are_taken_are_carried_under_another():
    found = network(lines(*Y, length_m=[1, 2, 3], basin=["a", "b", "c"]))
    assert found.reaches["length_m_given"].tolist() == [1, 2, 3]
    assert found.reaches["basin_given"].tolist() == ["a", "b", "c"]


def test_what_makes_no_sense_is_refused():
    with pytest.raises(LinkwaysError, match="direction 'outlets' needs the input outlets"):
        network(lines(*Y), direction="outlets")
    with pytest.raises(LinkwaysError, match="no line has any length"):
        network(lines([(0, 0), (0, 0)]))
    with pytest.raises(LinkwaysError, match="no basin reaches 9 km of river"):
        network(lines(*Y), min_basin_km=9)
    many = gpd.GeoDataFrame(geometry=[shapely.MultiPoint([(0, 0), (1, 1)])], crs=UTM)
    with pytest.raises(LinkwaysError, match="barriers: row 0 is not one point"):
        network(lines(*Y), many)


# --- properties ------------------------------------------------------------------------------------------------------


@st.composite
def tangled_rivers(draw):
    """A connected graph on a parabola, so that no three nodes lie on a line, as (edges, coordinates)."""
    count = draw(st.integers(2, 12))
    edges = {(draw(st.integers(0, k - 1)), k) for k in range(1, count)}
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda p: p[0] < p[1])
    edges |= set(draw(st.lists(pairs, max_size=6)))
    edges = [e[::-1] if draw(st.booleans()) else e for e in sorted(edges)]
    return draw(st.permutations(edges)), [(1000.0 * k, 100.0 * k * k) for k in range(count)]


def drawn(edges, xy):
    return lines(*([xy[a], xy[b]] for a, b in edges))


def lengths(edges, xy):
    return [float(np.hypot(*np.subtract(xy[a], xy[b]))) for a, b in edges]


@settings(max_examples=60, deadline=None)
@given(tangled_rivers(), st.sampled_from(["drawn", "outlets"]), st.sampled_from(["keep", "cut"]))
def test_no_metre_is_lost_and_every_reach_leads_to_the_outlet(river, direction, loops):
    edges, xy = river
    found = network(drawn(edges, xy), outlets=points(xy[0]), direction=direction, loops=loops)
    assert found.length_m + found.length_cut_m == pytest.approx(sum(lengths(edges, xy)), rel=1e-12)
    assert found.reaches["length_m"].sum() + found.cut["length_m"].sum() == pytest.approx(found.length_before_m)
    down = found.reaches["down"].to_numpy()
    graph = nx.DiGraph([(i, int(d)) for i, d in enumerate(down)])
    assert nx.is_directed_acyclic_graph(graph)
    assert all(nx.has_path(graph, i, -1) for i in range(len(down)))
    # water goes where the line ends
    ends, starts = (shapely.get_point(found.reaches.geometry.to_numpy(), k) for k in (-1, 0))
    inner = down >= 0
    gaps = shapely.distance(ends[inner], starts[down[inner]])
    assert (gaps <= 1.0 + 1e-9).all()
    if (direction, loops) == ("outlets", "cut"):
        assert len({tuple(e) for e in edges}) - len(xy) + 1 == len(found.cut)


@settings(max_examples=40, deadline=None)
@given(tangled_rivers(), st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_direction_of_lines_changes_a_network_rooted_at_its_outlet(river, random):
    edges, xy = river
    other = [e[::-1] if random.random() < 0.5 else e for e in edges]
    random.shuffle(other)

    def told(edges):
        found = network(drawn(edges, xy), outlets=points(xy[0]), direction="outlets", mouths="separate")
        columns = found.reaches[["to_outlet_m", "strahler", "on_loop", "length_m"]].round(6)
        ends = [tuple(np.round(c, 6)) for g in found.reaches.geometry for c in (g.coords[0], g.coords[-1])]
        return sorted(zip(ends[::2], ends[1::2], *columns.to_numpy().T.tolist(), strict=True))

    assert told(edges) == told(other)


@settings(max_examples=60, deadline=None)
@given(tangled_rivers())
def test_ways_are_shortest_and_loops_are_where_no_bridge_is(river):
    edges, xy = river
    found = network(drawn(edges, xy), outlets=points(xy[0]), direction="outlets", mouths="separate")
    graph = nx.Graph()
    for (a, b), length in zip(edges, lengths(edges, xy), strict=True):
        graph.add_edge(a, b, length=length)
    away = nx.single_source_dijkstra_path_length(graph, 0, weight="length")
    bridges = {frozenset(e) for e in nx.bridges(graph)}
    number = {p: k for k, p in enumerate(xy)}
    for row in found.reaches.itertuples():
        a, b = (number[row.geometry.coords[k]] for k in (0, -1))
        assert row.on_loop == (frozenset((a, b)) not in bridges)
        if row.side_of < 0 and row.down >= 0:
            assert row.to_outlet_m == pytest.approx(away[b])
            assert away[a] == pytest.approx(away[b] + row.length_m)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_tree_without_outlets_is_rooted_where_the_fewest_lines_are_turned(data):
    count = data.draw(st.integers(2, 9))
    xy = [(1000.0 * k, 100.0 * k * k) for k in range(count)]
    edges = [(data.draw(st.integers(0, k - 1)), k) for k in range(1, count)]
    edges = [e[::-1] if data.draw(st.booleans()) else e for e in edges]
    tree = nx.Graph(edges)

    def turned(root):
        towards = {a: b for b, a in nx.bfs_edges(tree, root)}
        return sum(towards.get(a) != b for a, b in edges)

    found = network(drawn(edges, xy))
    assert kinds(found).count("line turned round") == min(turned(root) for root in range(count))


def strahler_by_recursion(down, reach):
    above = [strahler_by_recursion(down, i) for i in np.flatnonzero(down == reach)]
    if not above:
        return 1
    return max(above) + (above.count(max(above)) > 1)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["spanning_tree", "scheidegger"]))
def test_a_simulated_basin_comes_back_with_its_truth(seed, model):
    basin = random_basin(9, 11, seed=seed, model=model, channel_cells=2)
    barriers = random_barriers(basin, 25, seed=seed, offset_m=60.0)
    found = network(basin.drop(columns=["reach", "down"]), barriers, topology="geometry", duplicate_m=0)
    reaches = found.reaches
    down, line = reaches["down"].to_numpy(), reaches["line"].to_numpy()
    last = (down < 0) | (line[down] != line)
    truth = np.empty(len(basin), int)
    truth[line[last]] = np.where(down[last] < 0, -1, line[down[last]])
    np.testing.assert_array_equal(truth, basin["down"])
    np.testing.assert_allclose(reaches.groupby("line")["length_m"].sum(), basin["length_m"])
    np.testing.assert_allclose(reaches.groupby("line")["share"].sum(), 1)
    assert reaches["strahler"].tolist() == [strahler_by_recursion(down, r) for r in range(len(down))]
    # every barrier within its tolerance lies as near as the nearest line does
    away = shapely.distance(barriers.geometry.to_numpy(), shapely.union_all(basin.geometry.to_numpy()))
    within = away <= np.where(barriers["kind"] == "dam", 150, 50)
    assert found.barriers["barrier"].tolist() == np.flatnonzero(within).tolist()
    np.testing.assert_allclose(found.barriers["snap_distance_m"], away[within], rtol=1e-9, atol=1e-6)
    # the barrier stands at the lower end of its reach, but for cuts shared within a metre and nodes
    at = shapely.get_point(reaches.geometry.to_numpy()[found.barriers["reach"]], -1)
    assert (shapely.distance(at, found.barriers.geometry.to_numpy()) <= 1.0 + 1e-6).all()
    # fragments are what is left joined when the edges below barriers are taken away
    graph = nx.Graph()
    graph.add_nodes_from(range(len(down)))
    blocked = set(found.barriers.loc[found.barriers["passability"] < 1, "reach"])
    graph.add_edges_from((i, int(d)) for i, d in enumerate(down) if d >= 0 and i not in blocked)
    assert found.fragments_count == nx.number_connected_components(graph)
    for part in nx.connected_components(graph):
        assert len(set(reaches["fragment"].iloc[sorted(part)])) == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=40))
def test_duplicates_go_by_first_come(places):
    stem = lines([(0.0, 4000.0), (0.0, 0.0)])
    found = network(stem, dams(*((0.0, 10.0 + 4.0 * p) for p in places)))
    kept: list[int] = []
    for i, p in enumerate(places):
        if all(4 * abs(p - places[j]) > 10 for j in kept):
            kept.append(i)
    assert found.barriers["barrier"].tolist() == kept


def test_barriers_are_placed_as_well_in_degrees_as_in_metres():
    basin = random_basin(10, 10, seed=3, channel_cells=2)
    barriers = random_barriers(basin, 60, seed=3, offset_m=45.0)
    plane = network(basin, barriers)
    sphere = network(basin.to_crs("EPSG:4326"), barriers.to_crs("EPSG:4326"))
    assert sphere.barriers["barrier"].tolist() == plane.barriers["barrier"].tolist()
    own = [f.reaches["line"].to_numpy()[f.barriers["reach"]] for f in (plane, sphere)]
    np.testing.assert_array_equal(*own)
    # the map's scale differs from the ground's by up to four in ten thousand
    np.testing.assert_allclose(sphere.barriers["snap_distance_m"], plane.barriers["snap_distance_m"], rtol=1e-3)
    np.testing.assert_allclose(sphere.length_m, plane.length_m, rtol=5e-4)
