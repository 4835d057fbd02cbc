import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, movement, spatial

from .herd import herd, track, walk

QUICK = settings(max_examples=12, deadline=None)


def template(rows=40, columns=60, cell=100.0, origin=(-2000.0, 2000.0), crs="EPSG:32612"):
    return spatial.new_raster(np.zeros((rows, columns)), crs=crs, cell_size=cell, origin=origin)


def test_the_variance_of_a_zigzag_is_known():
    """Every inner fix lies 300 m from the middle of its neighbours, an hour away: s2 = (4.5e4 - 200) / 30."""
    found = movement.brownian_bridge(
        track(500 * np.arange(9), np.tile([0, 300], 5)[:9], minutes=60), location_error_m=20
    )
    assert found.groups["motion_variance_m2_per_min"].iloc[0] == pytest.approx((45_000 - 200) / 30)
    assert not found.groups["variance_at_zero"].iloc[0]


def test_a_straight_even_walk_has_no_variance_beyond_the_location_error():
    found = movement.brownian_bridge(track(500 * np.arange(9), np.zeros(9)), location_error_m=20, cell_size_m=10)
    assert found.groups["motion_variance_m2_per_min"].iloc[0] == 0
    assert found.groups["variance_at_zero"].iloc[0]


@QUICK
@given(st.integers(0, 10**6), st.floats(5, 100), st.floats(40, 300))
def test_an_occurrence_distribution_sums_to_one_and_its_contours_are_nested(seed, error, cell):
    found = movement.brownian_bridge(walk(seed), location_error_m=error, cell_size_m=cell, percent=[50, 80, 95])
    values = found.occurrence.values
    assert values.sum() == pytest.approx(1, abs=1e-12)
    assert (values >= 0).all()
    outer, middle, inner = found.contours.geometry
    assert outer.buffer(1e-6).covers(middle)
    assert middle.buffer(1e-6).covers(inner)
    assert found.contours["percent"].tolist() == [95, 80, 50]


@QUICK
@given(st.integers(0, 10**6), st.integers(-50, 50), st.integers(-50, 50))
def test_moving_the_fixes_by_whole_cells_moves_the_map(seed, right, up):
    fixes = walk(seed)
    moved = fixes.set_geometry(fixes.translate(right * 128.0, up * 128.0))
    one = movement.brownian_bridge(fixes, location_error_m=25, cell_size_m=128, kept_percent=100)
    two = movement.brownian_bridge(moved, location_error_m=25, cell_size_m=128, kept_percent=100)
    np.testing.assert_allclose(one.occurrence.values, two.occurrence.values, atol=1e-9)
    np.testing.assert_allclose(two.occurrence.x.values - one.occurrence.x.values, right * 128.0, atol=1e-6)


@QUICK
@given(st.integers(0, 10**6))
def test_time_may_run_backwards(seed):
    """With steps that last whole numbers of time steps, and an odd number of fixes (every other one is asked)."""
    rng = np.random.default_rng(seed)
    minutes = np.cumsum(np.r_[0, 10.0 * rng.integers(3, 20, 12)])
    x, y = rng.normal(0, 400, (2, 13)).cumsum(axis=1)
    ahead = track(x, y, minutes=minutes)
    back = track(x[::-1], y[::-1], minutes=minutes[-1] - minutes[::-1])
    one = movement.brownian_bridge(ahead, location_error_m=25, cell_size_m=150, kept_percent=100)
    two = movement.brownian_bridge(back, location_error_m=25, cell_size_m=150, kept_percent=100)
    np.testing.assert_allclose(one.occurrence.values, two.occurrence.values, atol=1e-9)
    variance = [found.groups["motion_variance_m2_per_min"].iloc[0] for found in (one, two)]
    assert variance[0] == pytest.approx(variance[1])


def test_the_old_share_of_time_matters_where_fixes_are_uneven_only():
    uneven = walk(4, minutes=np.cumsum(np.r_[0, np.tile([30, 90, 60], 4)])[:12])
    for fixes, same in ((walk(4), True), (uneven, False)):
        new = movement.brownian_bridge(fixes, location_error_m=20).groups["motion_variance_m2_per_min"]
        old = movement.brownian_bridge(fixes, location_error_m=20, compat="bbmm3").groups["motion_variance_m2_per_min"]
        assert (new.iloc[0] == pytest.approx(old.iloc[0])) == same


def test_a_fixed_variance_equal_to_the_estimate_gives_the_same_map():
    fixes = walk(11)
    free = movement.brownian_bridge(fixes, location_error_m=20, cell_size_m=100)
    variance = float(free.groups["motion_variance_m2_per_min"].iloc[0])
    fixed = movement.brownian_bridge(fixes, free.occurrence, location_error_m=20, motion_variance=variance)
    np.testing.assert_allclose(fixed.occurrence.values, free.occurrence.values, atol=1e-15)


def test_without_motion_the_animal_walks_the_straight_line():
    fixes = track([0, 3000, 6000], [0, 0, 0])
    found = movement.brownian_bridge(fixes, location_error_m=30, motion_variance=1e-6, cell_size_m=20)
    rows, _ = np.nonzero(found.occurrence.values)
    assert np.abs(found.occurrence.y.values[rows]).max() <= 6 * 30


def test_groups_count_the_same_and_their_order_does_not_matter():
    fixes = herd(3)
    whole = movement.brownian_bridge(fixes, location_error_m=20, cell_size_m=200)
    shuffled = fixes.sample(frac=1, random_state=1)
    again = movement.brownian_bridge(shuffled, location_error_m=20, cell_size_m=200)
    np.testing.assert_array_equal(whole.occurrence.values, again.occurrence.values)
    alone = [
        movement.brownian_bridge(one, whole.occurrence, location_error_m=20).occurrence.values
        for _, one in fixes.groupby("animal")
    ]
    np.testing.assert_allclose(whole.occurrence.values, np.mean(alone, axis=0), atol=1e-15)


def test_errors_of_single_fixes_are_used_and_gaps_are_filled_by_the_parameter():
    fixes = walk(2)
    plain = movement.brownian_bridge(fixes, location_error_m=35, cell_size_m=150)
    column = movement.brownian_bridge(fixes.assign(error_m=35.0), cell_size_m=150)
    np.testing.assert_array_equal(plain.occurrence.values, column.occurrence.values)
    gaps = fixes.assign(error_m=np.where(np.arange(len(fixes)) % 3, 35.0, np.nan))
    filled = movement.brownian_bridge(gaps, location_error_m=35, cell_size_m=150)
    np.testing.assert_array_equal(plain.occurrence.values, filled.occurrence.values)


def test_long_steps_carry_no_bridge():
    minutes = np.r_[np.arange(6) * 60, 3000 + np.arange(6) * 60]
    x = np.r_[np.arange(6) * 300, 50_000 + np.arange(6) * 300]
    fixes = track(x, np.tile([0, 150], 6), minutes=minutes)
    found = movement.brownian_bridge(fixes, location_error_m=20, cell_size_m=100)
    assert found.groups[["steps_used", "steps_left_out"]].iloc[0].tolist() == [10, 1]
    between = found.occurrence.sel(x=slice(10_000, 40_000))
    assert float(between.sum()) == 0


def test_a_map_over_the_edge_of_its_grid_says_so():
    fixes = walk(5)
    west, _, _, north = fixes.total_bounds
    wide = template(300, 300, 100, (west - 10_000, north + 10_000))
    narrow = template(20, 60, 100, (west, north))
    assert not movement.brownian_bridge(fixes, wide, location_error_m=20).groups["leaves_grid"].iloc[0]
    found = movement.brownian_bridge(fixes, narrow, location_error_m=20)
    assert found.groups["leaves_grid"].iloc[0]
    assert found.occurrence.values.sum() == pytest.approx(1)


def test_feet_are_read_as_feet():
    """EPSG:2225 is in US survey feet."""
    foot = 1200 / 3937
    metres = walk(8)
    feet = track(metres.geometry.x / foot, metres.geometry.y / foot, crs="EPSG:2225")
    one = movement.brownian_bridge(metres, location_error_m=20, cell_size_m=150)
    two = movement.brownian_bridge(feet, location_error_m=20, cell_size_m=150)
    assert two.groups["area_95_km2"].iloc[0] == pytest.approx(one.groups["area_95_km2"].iloc[0], rel=0.01)
    np.testing.assert_allclose(
        two.groups["motion_variance_m2_per_min"], one.groups["motion_variance_m2_per_min"], rtol=1e-9
    )


def test_a_tile_border_leaves_no_seam():
    """One bridge far wider than a tile of 64 cells is the density written out, however the grid cuts it."""
    fixes = track([0, 100, 0], [0, 0, 0], minutes=400)
    found = movement.brownian_bridge(
        fixes, location_error_m=500, motion_variance=1e-9, cell_size_m=20, kept_percent=100
    )
    x, y = np.meshgrid(found.occurrence.x, found.occurrence.y)
    a = np.arange(0, 401, 5) / 400
    want = sum(
        np.exp(-((x - 100 * s) ** 2 + y**2) / (2 * v)) / v
        for s, v in zip(a, ((1 - a) ** 2 + a**2) * 500.0**2, strict=True)
    )
    assert np.abs(found.occurrence.values - want / want.sum()).sum() < 1e-7


def refused(fixes, like=None, *, match, **given):
    with pytest.raises(LinkwaysError, match=match):
        movement.brownian_bridge(fixes, like, **({"location_error_m": 20} | given))


def test_what_cannot_be_mapped_is_refused():
    fixes = walk(1)
    refused(fixes.set_crs("EPSG:4326", allow_override=True), match="degrees")
    refused(fixes, location_error_m=None, match="needs the location error")
    refused(fixes.assign(error_m=-1.0), match="no error_m above 0")
    refused(fixes.assign(error_m=np.nan), location_error_m=None, match="no error_m above 0")
    refused(fixes.iloc[:1], match="fewer than 3 fixes")
    refused(fixes.iloc[:2], match="fewer than 3 fixes")
    refused(fixes, template(origin=(1e6, 1e6)), match="no fix lies on the raster like")
    refused(fixes, template(crs="EPSG:4326", cell=0.01, origin=(0, 0)), match="cells in degrees")
    refused(fixes, template(), cell_size_m=100, match="leave out cell_size_m")
    refused(fixes, cell_size_m=0.01, match="larger cell_size_m")
    refused(fixes, max_lag_h=1, match="last longer than max_lag_h")
    refused(fixes.assign(time=fixes["time"].dt.tz_localize(None)), match="without a zone")
    refused(fixes, by="sequence", match="sequence")


def test_an_animal_off_the_template_is_named():
    far = walk(2, animal="far").translate(1e6, 0)
    both = pd.concat([walk(1), walk(2, animal="far").set_geometry(far)])
    refused(both, template(300, 300, 100, (-10_000, 10_000)), match="no fix of far lies on the raster")


def test_no_three_fixes_in_a_row_is_refused_and_a_fixed_variance_mends_it():
    fixes = track([0, 500, 90_000, 90_500], [0, 0, 0, 0], minutes=[0, 60, 3000, 3060])
    refused(fixes, match="no three fixes in a row")
    found = movement.brownian_bridge(fixes, location_error_m=20, motion_variance=500)
    assert found.groups["steps_used"].iloc[0] == 2


def test_cells_that_miss_every_bridge_are_refused():
    fixes = track([400, 500, 600], [500, 500, 500])
    cells = template(1, 1, 100_000, (0, 100_000))
    refused(fixes, cells, location_error_m=1, motion_variance=1e-6, match="reach no cell's centre")
