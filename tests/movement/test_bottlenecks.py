import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from linkways import LinkwaysError, movement, spatial
from linkways.movement._pinch import Area, meeting_cells

CRS = "EPSG:32612"
WEST, NORTH = 500_000.0, 4_700_000.0


def raster(values, cell_m=100.0, crs=CRS):
    return spatial.new_raster(np.asarray(values, float), crs=crs, cell_size=cell_m, origin=(WEST, NORTH))


def two_rooms(neck=3, length=7, room=12, height=11, beside=0):
    """Two rooms of cells and a neck of so many cells between them, ``beside`` cells off the middle."""
    mask = np.zeros((height, 2 * room + length))
    mask[:, :room] = mask[:, room + length :] = 1
    top = (height - neck) // 2 + beside
    mask[top : top + neck, :] = 1
    return mask


def tracks(*lines, season=None):
    """One sequence for each (animal, points in metres from the corner, first time), a fix every two hours."""
    parts = []
    for number, (animal, points, first) in enumerate(lines):
        x, y = np.array(points, float).T
        times = pd.date_range(first, periods=len(x), freq="2h", tz="UTC")
        names = {"animal": animal, "sequence": f"{animal}_{number}", "time": times}
        if season is not None:
            names["season"] = season[number]
        parts.append(gpd.GeoDataFrame(names, geometry=gpd.points_from_xy(WEST + x, NORTH - y), crs=CRS))
    return pd.concat(parts, ignore_index=True)


def boxes(*corners, **columns):
    """Polygons from (west, south, east, north) in metres right of and below the corner."""
    shapes = [shapely.box(WEST + w, NORTH - s, WEST + e, NORTH - n) for w, n, e, s in corners]
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=CRS)


# --- place and width -----------------------------------------------------------------


def test_the_neck_between_two_rooms_is_where_and_as_wide_as_drawn():
    found = movement.bottlenecks(raster(two_rooms(neck=3, length=7)))
    only = found.bottlenecks.iloc[0]
    assert found.count == 1
    assert only.width_m == pytest.approx(300)
    assert (only.width_low_m, only.width_high_m) == pytest.approx((200, 400))
    assert only.is_cut
    # 12 cells of room and half the neck of 7; the middle row of 11
    assert only.geometry.x - WEST == pytest.approx(1550, abs=100)
    assert NORTH - only.geometry.y == pytest.approx(550)
    assert found.cross_sections.length.tolist() == pytest.approx([300])
    assert found.narrowest_m == pytest.approx(300)


@given(neck=st.integers(2, 5), side=st.booleans())
@settings(max_examples=12, deadline=None)
def test_a_neck_at_the_wall_is_as_wide_as_one_in_the_middle(neck, side):
    height = 17
    beside = (height - neck) // 2
    mask = two_rooms(neck=neck, height=height, room=15, beside=-beside if side else height - neck - beside)
    assert movement.bottlenecks(raster(mask)).bottlenecks.width_m.tolist() == pytest.approx([100.0 * neck])


@pytest.mark.parametrize("shape", [(5, 40), (40, 40), (1, 60), (3, 7)])
def test_a_rectangle_has_no_bottleneck(shape):
    assert movement.bottlenecks(raster(np.ones(shape))).count == 0
    inside = movement.bottlenecks(raster(np.pad(np.ones(shape), 3)))
    assert inside.count == 0
    assert np.isnan(inside.narrowest_m)
    assert len(inside.bottlenecks) == len(inside.tiers) == len(inside.necks) == 0


@given(angle=st.floats(0, np.pi), width=st.floats(3, 30))
@settings(max_examples=25, deadline=None)
def test_a_straight_strip_at_any_angle_has_no_bottleneck(angle, width):
    y, x = np.mgrid[:121, :121] - 60.0
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    strip = (np.abs(across) <= width / 2) & (np.abs(along) <= 50)
    assert movement.bottlenecks(raster(strip), fill_holes_km2=0).count == 0


def test_a_disc_has_no_bottleneck_and_two_that_overlap_have_one_at_the_common_chord():
    y, x = np.mgrid[:161, :241].astype(float)
    one = np.hypot(x - 80, y - 80) <= 50
    assert movement.bottlenecks(raster(one)).count == 0
    two = one | (np.hypot(x - 174, y - 80) <= 50)
    found = movement.bottlenecks(raster(two)).bottlenecks
    chord = 2 * np.sqrt(50**2 - (94 / 2) ** 2) * 100
    assert found.width_m.tolist() == pytest.approx([chord], abs=100)
    assert found.geometry.x[0] - WEST == pytest.approx(12_750, abs=100)


def wide_parts(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((60, 70), bool)
    y, x = np.mgrid[:60, :70]
    centres = rng.integers(8, 52, (5, 2))
    for k, (row, column) in enumerate(centres):
        mask |= np.hypot(y - row, x - column) <= rng.uniform(3, 11)
        if k:
            line = shapely.LineString([centres[k - 1][::-1], (column, row)])
            mask |= shapely.dwithin(line, shapely.points(x, y), rng.uniform(0.6, 2.5))
    return mask


@given(seed=st.integers(0, 10_000), turns=st.integers(0, 3), mirrored=st.booleans())
@settings(max_examples=25, deadline=None)
def test_turning_and_mirroring_the_map_changes_no_width_by_a_cell(seed, turns, mirrored):
    mask = scipy.ndimage.binary_fill_holes(wide_parts(seed))
    other = np.rot90(mask, turns)
    other = other.T if mirrored else other
    one = movement.bottlenecks(raster(mask), fill_holes_km2=0).bottlenecks
    two = movement.bottlenecks(raster(other), fill_holes_km2=0).bottlenecks
    # of several equally narrow places in a row either may be taken, and equal clearances differ by a cell of width
    assert len(one) == len(two)
    assert np.sort(one.width_m) == pytest.approx(np.sort(two.width_m), abs=101)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_without_holes_every_bottleneck_is_a_cut(seed):
    mask = scipy.ndimage.binary_fill_holes(wide_parts(seed))
    assert movement.bottlenecks(raster(mask), fill_holes_km2=0).bottlenecks.is_cut.all()


def test_turning_the_map_turns_the_place():
    mask = two_rooms(neck=3, length=1, room=12, height=11)
    straight = movement.bottlenecks(raster(mask)).bottlenecks.geometry[0]
    turned = movement.bottlenecks(raster(mask.T)).bottlenecks.geometry[0]
    assert (straight.x - WEST, NORTH - straight.y) == pytest.approx((NORTH - turned.y, turned.x - WEST))


def pairs_by_sweep(mask):
    """(s, b) in squared cells by labelling the area of every clearance anew: the part with the lower top ends."""
    far = np.rint(scipy.ndimage.distance_transform_edt(np.pad(mask, 1)) ** 2).astype(int)
    tops: list[int] = []
    pairs = []
    before = np.zeros(far.shape, int)
    for s in np.unique(far[far > 0])[::-1]:
        now, count = scipy.ndimage.label(far >= s, np.ones((3, 3)))
        merged = []
        for part in range(1, count + 1):
            inside = sorted((tops[k - 1] for k in np.unique(before[now == part]) if k), reverse=True)
            pairs += [(s, b) for b in inside[1:]]
            merged.append(inside[0] if inside else s)
        tops, before = merged, now
    return pairs


@given(seed=st.integers(0, 10_000), ratio=st.floats(0.2, 0.9))
@settings(max_examples=25, deadline=None)
def test_parts_meet_where_labelling_every_clearance_says_so(seed, ratio):
    mask = wide_parts(seed)
    area = Area.of(mask, 1.0, 1.0)
    cells, tops = meeting_cells(area, ratio, np.full(area.level.size, -1, np.int8))
    ours = list(zip(area.level[cells[:, 0]].tolist(), area.level[tops[:, 2]].tolist(), strict=True))
    for pair in pairs_by_sweep(mask):
        if np.sqrt(pair[0]) < ratio * (np.sqrt(pair[1]) - 1):
            ours.remove(pair)
    # what is left are ways round; no way between the two wide places of any is as wide as these must be
    for (cell, *_), (one, two, _) in zip(cells, tops, strict=True):
        wide = np.sqrt(area.level[cell]) / ratio + 1
        parts = scipy.ndimage.label(np.sqrt(area.level.reshape(area.inside.shape)) > wide, np.ones((3, 3)))[0].ravel()
        assert 0 < parts[one] != parts[two] > 0


def test_cells_that_are_not_square_keep_their_metres():
    tall = np.repeat(two_rooms(neck=4, height=16, room=16), 2, axis=0)
    raster_ = raster(tall, cell_m=(100.0, 50.0))
    assert movement.bottlenecks(raster_).bottlenecks.width_m.tolist() == pytest.approx([400], abs=100)


def test_a_crs_in_feet_is_told_in_metres():
    feet = raster(two_rooms(), cell_m=100.0, crs="EPSG:2263")
    metre = 1200 / 3937
    found = movement.bottlenecks(feet, threshold_m=500 * metre)
    assert found.bottlenecks.width_m.tolist() == pytest.approx([300 * metre])
    assert found.necks.length.tolist() == pytest.approx(found.necks.narrow_m / metre)


def test_the_length_narrower_than_the_threshold_is_that_of_the_neck():
    for length in (5, 9, 20):
        found = movement.bottlenecks(raster(two_rooms(neck=3, length=length)), threshold_m=400)
        assert found.bottlenecks.narrow_m[0] == pytest.approx(100 * length, abs=100)
        assert found.necks.length[0] == pytest.approx(found.bottlenecks.narrow_m[0])
    wide = movement.bottlenecks(raster(two_rooms()), threshold_m=200)
    assert wide.bottlenecks.narrow_m[0] == 0
    assert len(wide.necks) == 0


def test_wider_necks_can_be_left_out():
    assert movement.bottlenecks(raster(two_rooms(neck=3)), max_width_m=250).count == 0
    assert movement.bottlenecks(raster(two_rooms(neck=3)), max_width_m=350).count == 1


def test_prominence_is_the_room_over_the_neck():
    found = movement.bottlenecks(raster(two_rooms(neck=3, room=15, height=15))).bottlenecks
    assert found.prominence[0] == pytest.approx(15 / 3, abs=1 / 3)


def test_the_border_of_the_raster_is_an_edge_and_is_told():
    at_top = movement.bottlenecks(raster(two_rooms(height=17, room=15, beside=-7))).bottlenecks
    middle = movement.bottlenecks(raster(np.pad(two_rooms(height=17, room=15, beside=-7), 1))).bottlenecks
    assert at_top.at_border.tolist() == [True]
    assert middle.at_border.tolist() == [False]
    assert at_top.width_m[0] == pytest.approx(middle.width_m[0])


def test_a_hole_as_large_as_a_pond_is_filled_and_a_lake_is_not():
    mask = np.ones((21, 61))
    mask[9:12, 29:32] = 0  # 0.09 km2
    assert movement.bottlenecks(raster(mask), fill_holes_km2=0.1, ratio=0.6).count == 0
    assert movement.bottlenecks(raster(mask), fill_holes_km2=0.09, ratio=0.6).count == 2


def test_a_width_of_few_cells_is_noted():
    with spatial.recording() as notes:
        movement.bottlenecks(raster(two_rooms(neck=3)))
        assert notes == []
        movement.bottlenecks(raster(two_rooms(neck=2)))
    assert len(notes) == 1
    assert "1 of 1 bottlenecks are narrower than 3 cells of 100 m" in notes[0]


# --- cuts ----------------------------------------------------------------------------


def test_both_ways_round_a_lake_are_found_and_neither_is_a_cut():
    mask = np.zeros((40, 90))
    mask[:, :35] = mask[:, 55:] = 1
    mask[2:5, :] = mask[30:36, :] = 1
    found = movement.bottlenecks(raster(mask)).bottlenecks.sort_values("width_m")
    assert found.width_m.tolist() == pytest.approx([300, 600])
    assert found.is_cut.tolist() == [False, False]


def test_a_neck_into_a_dead_end_is_no_cut_between_the_ranges():
    mask = np.zeros((30, 80))
    mask[:12, :] = 1  # a wide way from west to east
    mask[12:18, 38:41] = 1
    mask[18:, 30:50] = 1  # a room that leads nowhere
    ranges = boxes((0, 0, 500, 1200), (7500, 0, 8000, 1200), range=["winter", "summer"])
    without = movement.bottlenecks(raster(mask)).bottlenecks
    with_ranges = movement.bottlenecks(raster(mask), ranges=ranges).bottlenecks
    assert without.is_cut.tolist() == [True]
    assert with_ranges.is_cut.tolist() == [False]
    assert with_ranges.parts.tolist() == [""]


def test_a_neck_between_the_ranges_is_a_cut_that_names_them():
    ranges = boxes((0, 0, 300, 1100), (2800, 0, 3100, 1100), (400, 0, 600, 1100), range=["winter", "summer", "winter"])
    found = movement.bottlenecks(raster(two_rooms()), ranges=ranges).bottlenecks
    assert found.is_cut.tolist() == [True]
    assert found.parts.tolist() == ["summer | winter"]


def test_of_two_necks_in_a_row_each_is_a_cut():
    mask = np.hstack([two_rooms(neck=3), two_rooms(neck=5, height=11)])
    found = movement.bottlenecks(raster(mask)).bottlenecks
    assert sorted(found.width_m) == pytest.approx([300])  # 5 of 11 cells are not narrow enough
    mask = np.hstack([two_rooms(neck=3, height=15, room=15), two_rooms(neck=5, height=15, room=15)])
    found = movement.bottlenecks(raster(mask)).bottlenecks
    assert sorted(found.width_m) == pytest.approx([300, 500])
    assert found.is_cut.tolist() == [True, True]


# --- tiers ---------------------------------------------------------------------------


def nested():
    """The neck is 5 cells wide for one animal and 3 for two; a neck on the right is of one animal only."""
    mask = np.hstack([two_rooms(neck=5, height=21, room=20), two_rooms(neck=5, height=21, room=20)[:, 20:]])
    narrow = np.hstack([two_rooms(neck=3, height=21, room=20), np.zeros((21, 27))])
    return mask + narrow


def test_a_bottleneck_must_show_in_as_many_tiers_as_asked():
    both = movement.bottlenecks(raster(nested()), min_tiers=1)
    assert sorted(both.bottlenecks.tiers) == [1, 2]
    lasting = movement.bottlenecks(raster(nested()))
    assert lasting.count == 1
    assert lasting.bottlenecks.level[0] == 1
    assert lasting.bottlenecks.width_m[0] == pytest.approx(500)  # that of the widest tier
    assert lasting.tiers.level.tolist() == [1, 2]
    assert lasting.tiers.width_m.tolist() == pytest.approx([500, 300])


def test_given_levels_choose_the_tiers():
    found = movement.bottlenecks(raster(nested()), levels=[2])
    assert found.bottlenecks.width_m.tolist() == pytest.approx([300])
    assert found.bottlenecks.level.tolist() == [2]


def test_cells_that_all_animals_use_are_in_every_tier():
    use = nested()
    found = movement.bottlenecks(raster(use), levels=[use.max()])
    assert found.bottlenecks.share_use.tolist() == [1.0]


def test_many_distinct_values_become_the_tiers_above_nothing_a_tenth_and_a_fifth_of_the_highest():
    wide, middle, narrow = (two_rooms(neck=neck, room=20, height=21) for neck in (7, 5, 3))
    use = np.where(narrow > 0, np.linspace(21, 100, 47), np.where(middle > 0, 15.0, np.where(wide > 0, 5.0, 0.0)))
    found = movement.bottlenecks(raster(use))
    assert found.tiers.level.tolist() == [5, 10, 20]
    assert found.tiers.width_m.tolist() == pytest.approx([700, 500, 300])


def test_tiers_of_the_same_cells_are_one():
    found = movement.bottlenecks(raster(two_rooms()), levels=[0.2, 0.5, 1.0])
    assert found.tiers.level.tolist() == [0.2]
    assert found.bottlenecks.tiers.tolist() == [1]


def test_an_occurrence_distribution_is_cut_at_its_volumes():
    core, wide = two_rooms(neck=3, height=15, room=15), two_rooms(neck=5, height=15, room=15)
    use = 9 * core + wide
    use /= use.sum()
    # the cells of the core hold ten times what those of its fringe hold, so they come first
    share = 100 * use[core > 0].sum()
    within = movement.bottlenecks(raster(use), values="occurrence", levels=[share - 1e-6]).bottlenecks
    beyond = movement.bottlenecks(raster(use), values="occurrence", levels=[100]).bottlenecks
    assert within.width_m.tolist() == pytest.approx([300])
    assert beyond.width_m.tolist() == pytest.approx([500])


# --- who passes ----------------------------------------------------------------------


def passing():
    through = [(200, 550), (1400, 550), (1700, 550), (2900, 550)]
    return tracks(
        ("a", through, "2024-04-01"),
        ("a", through[::-1], "2024-10-01"),
        ("b", [(200, 500), (2900, 500)], "2024-04-03"),
        ("c", [(200, 550), (900, 550), (200, 500)], "2024-04-05"),
        ("d", [(200, 0), (2900, 0)], "2024-04-05"),  # over the wall, far from the neck
        season=["spring", "fall", "spring", "spring", "spring"],
    )


def test_shares_count_animals_and_sequences_whose_track_meets_the_cross_section():
    found = movement.bottlenecks(raster(two_rooms()), passing())
    only = found.bottlenecks.iloc[0]
    assert only.share_animals == 0.5
    assert only.share_sequences == 0.6
    assert only.season == "spring 2, fall 1"
    assert only.score == pytest.approx(0.5 / 0.3)
    assert found.passages.sequence.tolist() == ["a_0", "b_2", "a_1"]
    assert found.passages.bottleneck.tolist() == [1, 1, 1]


def test_a_passage_has_the_time_at_which_the_line_is_met():
    found = movement.bottlenecks(raster(two_rooms()), tracks(("a", [(1000, 550), (2100, 550)], "2024-04-01")))
    x = found.bottlenecks.geometry.x[0] - WEST
    passed = pd.Timestamp("2024-04-01", tz="UTC") + pd.Timedelta(hours=2 * (x - 1000) / 1100)
    assert abs(found.passages.time[0] - passed) < pd.Timedelta(seconds=1)


def test_without_seasons_the_months_of_passage_are_told():
    found = movement.bottlenecks(raster(two_rooms()), passing().drop(columns="season"))
    assert found.bottlenecks.season[0] == "Apr 2, Oct 1"


def test_the_margin_takes_in_tracks_beside_the_cross_section():
    beside = tracks(("a", [(200, 950), (2900, 950)], "2024-04-01"))  # 250 m from the edge at 700 m
    assert movement.bottlenecks(raster(two_rooms()), beside).bottlenecks.share_animals[0] == 0
    assert movement.bottlenecks(raster(two_rooms()), beside, margin_m=260).bottlenecks.share_animals[0] == 1


def test_the_interval_of_the_share_is_that_of_drawing_animals_anew():
    through, back = [(200, 550), (2900, 550)], [(200, 550), (900, 550)]
    lines = tracks(*((f"a{k:02}", through if k < 6 else back, "2024-04-01") for k in range(20)))
    found = movement.bottlenecks(raster(two_rooms()), lines, replicates=4000).bottlenecks.iloc[0]
    low, high = binom.ppf([0.025, 0.975], 20, 0.3) / 20
    assert (found.share_animals_low, found.share_animals_high) == pytest.approx((low, high), abs=0.05)
    again = movement.bottlenecks(raster(two_rooms()), lines, replicates=4000).bottlenecks.iloc[0]
    assert found.share_animals_low == again.share_animals_low


def test_the_width_of_passages_is_how_far_apart_they_lie():
    lines = tracks(*((f"a{k}", [(200, y), (2900, y)], "2024-04-01") for k, y in enumerate((480, 520, 600))))
    found = movement.bottlenecks(raster(two_rooms()), lines).bottlenecks.iloc[0]
    assert found.passage_width_m == pytest.approx(120)
    assert found.passage_width_low_m == 0  # one animal drawn three times
    assert found.passage_width_high_m == pytest.approx(120)


def test_without_sequences_the_score_goes_by_use():
    only = movement.bottlenecks(raster(two_rooms())).bottlenecks.iloc[0]
    assert np.isnan(only.share_animals)
    assert only.score == pytest.approx(1 / 0.3)


# --- what hems it in -----------------------------------------------------------------


def test_the_nearest_feature_beyond_each_edge_is_named_with_its_distance():
    lakes = boxes((1200, 0, 1900, 400), (1200, -900, 1900, -100), name=["Fremont", "far"])
    towns = boxes((1200, 820, 1900, 1100), name=["Pinedale"])
    found = movement.bottlenecks(
        raster(two_rooms()), constraints=[lakes, towns], constraint_names=["lake", "town"], constraint_m=300
    )
    text = found.bottlenecks.constrained_by[0]
    assert sorted(text.split("; ")) == ["north: lake Fremont (0 m)", "south: town Pinedale (120 m)"]
    assert sorted(found.constraints.side) == ["north", "south"]
    assert found.constraints.layer.tolist() == ["lake", "town"]


def test_a_road_across_the_neck_is_told_as_across():
    road = gpd.GeoDataFrame(
        geometry=[shapely.LineString([(WEST + 1000, NORTH - 550), (WEST + 2000, NORTH - 550)])], crs=CRS
    )
    found = movement.bottlenecks(raster(two_rooms()), constraints=[road])
    assert found.bottlenecks.constrained_by[0] == "across: layer 1"


def test_features_further_than_asked_are_left_out():
    towns = boxes((1200, 820, 1900, 1100))
    near = movement.bottlenecks(raster(two_rooms()), constraints=[towns], constraint_m=100)
    assert near.bottlenecks.constrained_by[0] == ""
    assert len(near.constraints) == 0


# --- refusals ------------------------------------------------------------------------


def test_degrees_are_refused():
    with pytest.raises(LinkwaysError, match=r"lies on degrees .*project it first"):
        movement.bottlenecks(raster(two_rooms(), cell_m=0.01, crs="EPSG:4326").assign_coords(
            x=np.arange(31) * 0.01, y=-np.arange(11) * 0.01))  # fmt: skip


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_an_empty_corridor_is_refused(nothing):
    with pytest.raises(LinkwaysError, match="the corridor is empty"):
        movement.bottlenecks(raster(np.full((5, 5), nothing)))


def test_negative_use_is_refused_with_its_place():
    mask = two_rooms()
    mask[2, 3] = -1
    with pytest.raises(LinkwaysError, match="1 cells below 0, first at row 2 column 3"):
        movement.bottlenecks(raster(mask))


def test_a_level_that_no_cell_reaches_is_refused():
    with pytest.raises(LinkwaysError, match=r"level 7 \(the highest value is 1\)"):
        movement.bottlenecks(raster(two_rooms()), levels=[1, 7])
    with pytest.raises(LinkwaysError, match="give levels above 0"):
        movement.bottlenecks(raster(two_rooms()), levels=[0, 1])
    with pytest.raises(LinkwaysError, match="volumes in per cent"):
        movement.bottlenecks(raster(two_rooms()), values="occurrence", levels=[50, 101])


def test_ranges_that_do_not_touch_the_corridor_are_refused_by_name():
    ranges = boxes((0, 0, 300, 1100), (1300, 0, 1700, 200), range=["winter", "summer"])
    with pytest.raises(LinkwaysError, match="the range summer does not touch the corridor"):
        movement.bottlenecks(raster(two_rooms()), ranges=ranges)


def test_one_range_is_refused():
    with pytest.raises(LinkwaysError, match="one range only"):
        movement.bottlenecks(raster(two_rooms()), ranges=boxes((0, 0, 300, 1100)))


def test_as_many_names_as_layers_are_needed():
    with pytest.raises(LinkwaysError, match="holds 2 names for 1 layers"):
        movement.bottlenecks(raster(two_rooms()), constraints=[boxes((0, 0, 1, 1))], constraint_names=["lake", "town"])


def test_what_is_closed_to_animals_narrows_the_corridor_to_the_way_between():
    open_land = np.ones((11, 31))
    # two lakes leave rows 4 to 6 of columns 12 to 18; the corridor's map spreads over both
    lakes = boxes((1200, 0, 1900, 400), (1200, 700, 1900, 1100))
    assert movement.bottlenecks(raster(open_land)).count == 0
    found = movement.bottlenecks(raster(open_land), closed=lakes).bottlenecks
    same = movement.bottlenecks(raster(two_rooms())).bottlenecks
    assert found["width_m"].tolist() == same["width_m"].tolist() == pytest.approx([300])
    assert found.geometry.iloc[0].equals(same.geometry.iloc[0])


def test_a_corridor_that_is_closed_altogether_is_refused():
    with pytest.raises(LinkwaysError, match="corridor"):
        movement.bottlenecks(raster(two_rooms()), closed=boxes((-100, -100, 4000, 2000)))
