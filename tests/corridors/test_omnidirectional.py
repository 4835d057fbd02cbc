"""Omnidirectional current: invariances, definitions by hand, and refusals in one sentence."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.corridors import _windows
from linkways.corridors._windows import Landscape, Windows, moving_windows
from linkways.corridors.omnidirectional import omnidirectional
from linkways.errors import LinkwaysError
from linkways.method import reporting_progress
from linkways.spatial import recording
from tests.corridors.conftest import degrees, planar
from tests.kernels.test_windows import window_by_hand


def random_landscape(seed, shape=(27, 27), holes=0.15):
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(0, 1.5, size=shape))
    values[rng.random(shape) < holes] = np.nan
    return values


# --- what the maps are ---------------------------------------------------------------------------------------


def test_normalised_current_is_1_in_the_interior_of_a_uniform_landscape():
    # the buffer lets current of the circle go where that of the box does, so that only the corners differ
    found = omnidirectional(planar(np.full((60, 60), 7.0)), radius_cells=8, buffer_cells=4, tolerance=1e-8)
    np.testing.assert_allclose(found.normalised.values[12:-12, 12:-12], 1.0, atol=0.02)


def test_maps_do_not_depend_on_the_unit_of_resistance():
    values = random_landscape(1)
    strength = planar(np.ones_like(values))
    one = omnidirectional(planar(values), strength, radius_cells=6, tolerance=1e-9)
    many = omnidirectional(planar(values * 1000), strength, radius_cells=6, tolerance=1e-9)
    np.testing.assert_allclose(many.current, one.current, rtol=1e-6)


TURNS = {
    "upside down": lambda a: a[::-1],
    "left to right": lambda a: a[:, ::-1],
    "transposed": lambda a: a.T,
    "a quarter": np.rot90,
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_turning_the_landscape_turns_the_maps(turn):
    values = random_landscape(2)
    classes = np.random.default_rng(3).integers(1, 4, values.shape).astype(float)

    def run(landscape, layer):
        return omnidirectional(
            planar(landscape), condition=planar(layer), condition_rule="equal", radius_cells=7, block_size=3,
            buffer_cells=1, tolerance=1e-9,
        )  # fmt: skip

    one, other = run(values, classes), run(turn(values).copy(), turn(classes).copy())
    for name in ("current", "flow_potential", "normalised"):
        np.testing.assert_allclose(
            getattr(other, name).values, turn(getattr(one, name).values), rtol=1e-5, atol=1e-9, equal_nan=True
        )


def test_the_omniscape_mode_depends_on_orientation_at_the_edges_and_ours_does_not():
    values = random_landscape(2, holes=0)
    upright = omnidirectional(planar(values), radius_cells=7, block_size=3, compat="omniscape").current.values
    turned = omnidirectional(planar(values[::-1]), radius_cells=7, block_size=3, compat="omniscape").current.values
    assert np.abs(turned[::-1] / upright - 1).max() > 0.01


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 3]), st.sampled_from([0, 2]), st.sampled_from([4, 8]))
def test_maps_are_the_sum_of_all_windows_solved_densely(seed, block, buffer, neighbours):
    values = random_landscape(seed, (12, 14))
    rng = np.random.default_rng(seed)
    strength = np.where(rng.random(values.shape) < 0.4, 0.0, rng.random(values.shape))
    found = omnidirectional(
        planar(values), planar(strength), radius_cells=4, block_size=block, buffer_cells=buffer,
        neighbours=neighbours, correct_blocks=False, tolerance=1e-10,
    )  # fmt: skip
    graph = np.where(np.isfinite(values), 1 / values, 0.0)
    current, potential, count = np.zeros(values.shape), np.zeros(values.shape), 0
    half = block // 2
    for i in range(half, 12 - half, block):
        for j in range(half, 14 - half, block):
            amperes = strength[i - half : i + half + 1, j - half : j + half + 1].sum()
            if amperes > 0:
                part = window_by_hand(graph, strength, (i, j), amperes, 4, buffer, half, neighbours)
                current, potential, count = current + part[0], potential + part[1], count + 1
    assert found.windows == count
    known = np.isfinite(values)
    np.testing.assert_allclose(found.current.values[known], current[known], atol=1e-6)
    np.testing.assert_allclose(found.flow_potential.values[known], potential[known], atol=1e-9)
    assert np.isnan(found.current.values[~known]).all()


def test_a_block_of_one_cell_needs_no_correction():
    raster = planar(random_landscape(5))
    with_it = omnidirectional(raster, radius_cells=5, block_size=1, correct_blocks=True)
    without = omnidirectional(raster, radius_cells=5, block_size=1, correct_blocks=False)
    np.testing.assert_array_equal(with_it.current, without.current)


def test_the_correction_brings_blocks_close_to_single_cells_where_all_is_equal():
    raster = planar(np.ones((63, 63)))
    inner = np.s_[21:-21, 21:-21]

    def current(block, correct):
        found = omnidirectional(raster, radius_cells=10, block_size=block, correct_blocks=correct, tolerance=1e-8)
        return found.current.values[inner]

    single = current(1, True)
    corrected = np.abs(current(3, True) / single - 1)
    assert corrected.max() < 0.05
    assert corrected.mean() < 0.2 * np.abs(current(3, False) / single - 1).mean()


def test_a_gap_in_a_wall_gathers_current():
    values = np.ones((41, 41))
    values[20] = np.nan
    values[20, 18:23] = 1.0
    normalised = omnidirectional(planar(values), radius_cells=12, buffer_cells=3).normalised.values
    assert normalised[20, 20] > 1.5
    assert normalised[21, 2] < 0.7


@pytest.mark.parametrize(
    ("cell", "reached"), [((12, 20), True), ((12, 21), False), ((16, 12), True), ((17, 12), False)]
)
def test_a_radius_in_km_is_the_same_distance_in_every_direction_on_degrees(cell, reached):
    # at 60 degrees north 0.01 degrees are 0.558 km of longitude and 1.114 km of latitude: 4.6 km are 8 columns, 4 rows
    strength = np.zeros((25, 25))
    strength[12, 12] = strength[cell] = 1.0
    raster, layer = degrees(np.ones((25, 25)), 10, 60.125, 0.01), degrees(strength, 10, 60.125, 0.01)
    current = omnidirectional(raster, layer, radius_km=4.6).current.values
    assert current[12, 12] == pytest.approx(2.0 if reached else 0.0, rel=1e-3)


def test_normalised_current_is_1_on_uniform_degrees():
    raster = degrees(np.ones((50, 50)), 10, 60.25, 0.01)
    found = omnidirectional(raster, radius_km=7, buffer_cells=4, block_size=3, tolerance=1e-6)
    np.testing.assert_allclose(found.normalised.values[12:-12, 17:-17], 1.0, atol=0.05)


def test_square_cells_of_any_size_give_the_maps_of_unit_cells():
    values = random_landscape(7)
    kilometres = omnidirectional(planar(values, 250.0), radius_km=1.5, tolerance=1e-9)
    cells = omnidirectional(planar(values), radius_cells=6, tolerance=1e-9)
    np.testing.assert_allclose(kilometres.current, cells.current, rtol=1e-6)
    np.testing.assert_allclose(kilometres.flow_potential, cells.flow_potential, rtol=1e-9)


def test_distance_decay_makes_near_sources_count_more():
    raster = planar(np.ones((31, 31)), 1000.0)
    plain = omnidirectional(raster, radius_km=10)
    near = omnidirectional(raster, radius_km=10, decay_km=2)
    assert near.current.values[15, 15] < plain.current.values[15, 15]
    far = omnidirectional(raster, radius_km=10, decay_km=1e6, tolerance=1e-8).current.values
    np.testing.assert_allclose(far, omnidirectional(raster, radius_km=10, tolerance=1e-8).current.values, rtol=1e-4)


def test_cells_outside_the_region_are_nodata_and_no_sources():
    raster = planar(np.ones((20, 20)))
    region = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1000, 2000)], crs=raster.rio.crs)
    found = omnidirectional(raster, within=region, radius_cells=4)
    alone = omnidirectional(planar(np.ones((20, 10))), radius_cells=4)
    assert np.isnan(found.current.values[:, 10:]).all()
    np.testing.assert_allclose(found.current.values[:, :10], alone.current.values, rtol=1e-3)


# --- sources -------------------------------------------------------------------------------------------------


def test_sources_are_the_inverse_of_resistance_up_to_the_cut_off():
    values = random_landscape(8)
    raster = planar(values)
    by_resistance = omnidirectional(raster, radius_cells=5, source_max_resistance=2.0)
    strength = np.where(np.isfinite(values) & (values <= 2.0), 1 / values, 0.0)
    by_layer = omnidirectional(raster, planar(strength), radius_cells=5)
    np.testing.assert_allclose(by_resistance.current, by_layer.current, rtol=1e-12)


def test_sources_below_the_threshold_count_as_none():
    raster = planar(random_landscape(9))
    strength = np.random.default_rng(9).random((27, 27))
    cut = omnidirectional(raster, planar(strength), radius_cells=5, source_threshold=0.4)
    none = omnidirectional(raster, planar(np.where(strength < 0.4, 0.0, strength)), radius_cells=5)
    np.testing.assert_array_equal(cut.current, none.current)


# --- conditions ----------------------------------------------------------------------------------------------


def test_targets_are_fed_only_by_sources_of_the_same_class():
    values = np.ones((9, 9))
    classes = np.ones((9, 9))
    classes[:, 4:] = 2
    strength = np.zeros((9, 9))
    strength[4, 2] = strength[4, 6] = 1.0
    raster, layer = planar(values), planar(classes)
    apart = omnidirectional(raster, planar(strength), layer, condition_rule="equal", radius_cells=5)
    assert apart.current.values.sum() == 0
    alike = omnidirectional(raster, planar(strength), planar(np.ones((9, 9))), condition_rule="equal", radius_cells=5)
    assert alike.current.values[4, 2] == pytest.approx(2.0, rel=1e-3)


def test_limits_count_from_the_target_to_the_source():
    strength = np.zeros((9, 9))
    strength[4, 2] = strength[4, 6] = 1.0
    warmth = np.zeros((9, 9))
    warmth[4, 6] = 3.0
    raster, layers = planar(np.ones((9, 9))), (planar(strength), planar(warmth))
    up = omnidirectional(raster, *layers, radius_cells=5, condition_lower=2.0, condition_upper=4.0).current.values
    # only the target at column 2 finds its source 2 to 4 warmer than itself
    assert up[4, 2] == pytest.approx(1.0, rel=1e-3)
    assert up[4, 6] == pytest.approx(1.0, rel=1e-3)
    both = omnidirectional(raster, *layers, radius_cells=5, condition_lower=-4.0, condition_upper=4.0).current.values
    assert both[4, 2] == pytest.approx(2.0, rel=1e-3)
    assert both[4, 6] == pytest.approx(2.0, rel=1e-3)


def test_targets_take_their_value_from_the_future_layer():
    strength = np.zeros((9, 9))
    strength[4, 2] = strength[4, 6] = 1.0
    today, later = np.zeros((9, 9)), np.full((9, 9), 5.0)
    raster, layer = planar(np.ones((9, 9))), planar(strength)
    same = omnidirectional(raster, layer, planar(today), radius_cells=5)
    warmer = omnidirectional(raster, layer, planar(today), planar(later), radius_cells=5)
    matched = omnidirectional(
        raster, layer, planar(today), planar(later), radius_cells=5, condition_lower=-5.0, condition_upper=0.0
    )
    assert warmer.current.values.sum() == 0
    np.testing.assert_allclose(matched.current, same.current)


def test_both_conditions_must_hold():
    strength = np.zeros((9, 9))
    strength[4, 2] = strength[4, 6] = 1.0
    other = np.zeros((9, 9))
    other[4, 6] = 1.0
    raster, layer = planar(np.ones((9, 9))), planar(strength)
    found = omnidirectional(
        raster, layer, planar(np.ones((9, 9))), condition_2=planar(other), condition_2_rule="equal", radius_cells=5
    )
    assert found.current.values.sum() == 0


def test_a_block_stands_for_its_median_or_its_most_frequent_value():
    cells = np.array([[1, 1, 9], [1, 5, 5], [9, 5, 9]], float)
    condition = _windows.Condition(cells, cells, "equal")
    one = np.zeros(1, np.intp)
    # 1, 5 and 9 stand three times each: the least of them, or the one that is complete first down the columns
    assert _windows._block_values(condition, Windows(block=3), one, one) == [1.0]
    assert _windows._block_values(condition, Windows(block=3, omniscape=True), one, one) == [1.0]
    turned = _windows.Condition(cells, cells[::-1, ::-1].copy(), "equal")
    assert _windows._block_values(turned, Windows(block=3, omniscape=True), one, one) == [5.0]
    assert _windows._block_values(turned, Windows(block=3), one, one) == [1.0]
    median = _windows.Condition(cells, cells, "within")
    assert _windows._block_values(median, Windows(block=3), one, one) == [5.0]


def test_targets_without_a_value_of_the_condition_are_told_of():
    layer = np.ones((9, 9))
    layer[0, 0] = np.nan
    with recording() as notes:
        omnidirectional(planar(np.ones((9, 9))), condition=planar(layer), radius_cells=3)
    assert notes == ["1 of 81 targets have no value of a condition in their block and received no current"]


# --- running -------------------------------------------------------------------------------------------------


def test_maps_do_not_depend_on_how_many_threads_compute_them():
    land = Landscape(1 / random_landscape(10), np.ones((27, 27)))
    one, two = (moving_windows(land, Windows(radius_cells=5, batch=20, threads=n)) for n in (1, 2))
    np.testing.assert_array_equal(one.current, two.current)
    np.testing.assert_array_equal(one.potential, two.potential)


def test_maps_hardly_depend_on_how_windows_are_batched():
    land = Landscape(1 / random_landscape(10), np.ones((27, 27)))
    few, many = (moving_windows(land, Windows(radius_cells=5, batch=n)) for n in (1, 200))
    np.testing.assert_allclose(few.current, many.current, rtol=1e-10)


def test_a_batch_can_be_computed_in_another_process():
    import pickle

    land = Landscape(1 / random_landscape(10), np.ones((27, 27)))
    work = _windows.Work(land, Windows(radius_cells=5, batch=20))
    batch = next(iter(work.batches()))
    here, there = _windows._run_batch(work, batch), _windows._run_batch(pickle.loads(pickle.dumps(work)), batch)
    np.testing.assert_array_equal(here.current, there.current)
    np.testing.assert_array_equal(here.potential, there.potential)


def test_progress_counts_windows_and_can_cancel():
    told = []

    def watch(done, what):
        told.append((done, what))
        if done > 0:
            raise KeyboardInterrupt

    with reporting_progress(watch), pytest.raises(KeyboardInterrupt):
        moving_windows(Landscape(np.ones((30, 30)), np.ones((30, 30))), Windows(radius_cells=4, batch=90))
    assert told[0] == (0.0, "900 windows")
    assert told[1] == (pytest.approx(0.1), "window 90 of 900")


def test_a_window_on_which_the_fast_solver_stalls_is_solved_by_the_general_one(monkeypatch):
    from linkways.kernels import windows as kernels

    land = Landscape(1 / random_landscape(11), np.ones((27, 27)))
    usual = moving_windows(land, Windows(radius_cells=5, block=3, tolerance=1e-9))
    run = kernels.run_windows

    def stalled(*arguments):
        run(*arguments)
        arguments[-3][:] = 0.0
        arguments[-1][:, 1] = -1

    monkeypatch.setattr(kernels, "run_windows", stalled)
    general = moving_windows(land, Windows(radius_cells=5, block=3))
    np.testing.assert_allclose(general.current, usual.current, rtol=1e-5, atol=1e-8)


# --- refusals ------------------------------------------------------------------------------------------------

UNIFORM = planar(np.ones((20, 20)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "needs radius_km or radius_cells, and neither is given; give one"),
        ({"radius_km": 1.0, "radius_cells": 3}, "and both are given; give one"),
        ({"radius_cells": 20}, r"radius 20 x 20 cells and buffer 0\) is larger than the raster of 20 x 20 cells"),
        ({"radius_cells": 10, "buffer_cells": 10}, "is larger than the raster"),
        ({"radius_km": 0.05}, "radius is 0.5 cells; give a radius of at least the width of one cell"),
        ({"radius_cells": 3, "block_size": 7}, "leaves no sources; give a block_size of at most 5"),
        ({"radius_cells": 3, "source_max_resistance": 0.5}, "no cell is a source"),
        ({"radius_cells": 3, "condition_upper": 1.0}, "condition_upper given without the layer condition"),
        ({"radius_cells": 3, "condition_2_rule": "equal"}, "condition_2_rule given without the layer condition_2"),
        ({"radius_cells": 3, "condition_future": UNIFORM}, "condition_future given without the layer condition"),
        ({"radius_cells": 3, "condition": UNIFORM, "condition_lower": 2.0}, "above condition_upper 0; swap them"),
        (
            {"radius_cells": 3, "condition": UNIFORM, "condition_rule": "equal", "condition_lower": 2.0},
            "takes no limits",
        ),
        ({"radius_km": 0.5, "compat": "omniscape"}, "compat='omniscape' counts in cells"),
        (
            {"radius_cells": 3, "source_strength": UNIFORM, "source_max_resistance": 2.0},
            "but source_strength is given",
        ),
    ],
)
def test_what_cannot_be_mapped_is_refused_in_one_sentence(options, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        omnidirectional(UNIFORM, **options)


def test_negative_sources_are_refused_with_their_place():
    strength = np.ones((20, 20))
    strength[3, 4] = -2.0
    with pytest.raises(LinkwaysError, match=r"1 cells that are negative or infinite, first at row 3 column 4 \(-2\)"):
        omnidirectional(UNIFORM, planar(strength), radius_cells=3)


def test_an_even_block_is_raised_and_told_of():
    with recording() as notes:
        even = omnidirectional(UNIFORM, radius_cells=5, block_size=2)
    assert notes == ["block_size 2 is even, and a block needs a centre: raised to 3"]
    np.testing.assert_array_equal(even.current, omnidirectional(UNIFORM, radius_cells=5, block_size=3).current)
