import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, movement, spatial
from linkways.movement._distributions import PlaneGrid
from linkways.movement._population import Footprints, Tiers, inclusion_by_animals, resampled_areas, runs_of, saturation

from .herd import herd, track, walk


def grid(columns=10, rows=10, cell=1000.0):
    return PlaneGrid(None, 0.0, 0.0, cell, cell, 1.0, rows, columns)


def random_footprints(seed, animals=6, cells=100):
    """Masks (animals, cells), and the same as footprints."""
    rng = np.random.default_rng(seed)
    masks = rng.random((animals, cells)) < rng.random((animals, 1))
    masks[:, :3] = True  # a neck that all pass
    runs = [runs_of(np.flatnonzero(mask)) for mask in masks]
    return masks, Footprints.of(runs, masks.sum(axis=0), grid())


# --- tiers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("animals", "percent", "needed"),
    [
        (148, (0, 10, 20), [1, 15, 30]),
        (15, (0, 15, 20), [1, 3, 3]),
        (10, (0, 10, 20), [1, 1, 2]),
        (30, (0, 10, 20), [1, 3, 6]),
        (4, (0, 25, 75), [1, 1, 3]),
        (7, (0, 50, 100), [1, 4, 7]),
    ],
)
def test_a_tier_needs_the_least_number_of_animals_that_is_its_share(animals, percent, needed):
    assert Tiers(percent).needed(animals).tolist() == needed


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["brownian", "fixed", "line"]))
def test_cells_that_all_animals_used_are_in_every_tier(seed, bridge):
    """The leading tool drops them: its classes end below 100 per cent."""
    given = {"motion_variance": 800} if bridge == "fixed" else {}
    found = movement.corridors(
        herd(4, seed=seed), bridge=bridge, location_error_m=25, cell_size_m=300, high_percent=100, draws=5, **given
    )
    everywhere = found.animals.values == 4
    for tier, needed in zip(found.tiers["tier"], found.tiers["needed"], strict=True):
        inside = spatial.rasterize(found.tiers[found.tiers["tier"] == tier], found.animals).values
        assert inside[everywhere].all()
        np.testing.assert_array_equal(inside, found.animals.values >= needed)
    assert (found.inclusion.values[everywhere] == 1).all()


def test_tiers_are_nested_polygons_with_the_area_of_their_cells():
    found = movement.corridors(herd(5, 2), location_error_m=25, cell_size_m=250, medium_percent=40, high_percent=60)
    assert found.tiers["needed"].tolist() == [1, 2, 3]
    low, medium, high = found.tiers.geometry
    assert low.buffer(1e-6).covers(medium)
    assert medium.buffer(1e-6).covers(high)
    np.testing.assert_allclose(found.tiers.geometry.area / 1e6, found.tiers["area_km2"])
    assert found.corridor_km2 == found.tiers["area_km2"].iloc[0]
    assert (found.tiers["low_km2"] <= found.tiers["area_km2"]).all()
    assert (found.tiers["area_km2"] <= found.tiers["high_km2"]).all()


# --- merging ---------------------------------------------------------------------------------------------------


def test_repeated_years_of_an_animal_are_no_replicates():
    """An animal with three equal years beside one with a single year: the map of one year each."""
    one, other = walk(1, animal="a", sequence="a1"), walk(2, animal="b", sequence="b1")
    again = [one.assign(sequence=f"a{k}", time=one["time"] + pd.DateOffset(years=k)) for k in (2, 3)]
    single = movement.corridors(pd.concat([one, other]), location_error_m=25, cell_size_m=200, draws=0)
    repeated = movement.corridors(pd.concat([one, other, *again]), location_error_m=25, cell_size_m=200, draws=0)
    np.testing.assert_array_equal(single.animals.values, repeated.animals.values)
    # cut once more at 99.99 per cent, as a mean of several
    assert np.abs(single.use.values - repeated.use.values).sum() < 5e-4
    assert repeated.by_animal["years"].tolist() == [3, 1]
    assert repeated.animals.values.max() == 2


def test_years_may_be_averaged_before_animals():
    """Two springs of 2020 and one of 2021: weights 1/4, 1/4, 1/2 instead of thirds."""
    parts = [
        walk(k, animal="a", sequence=f"s{k}", start=start)
        for k, start in enumerate(["2020-04-01"] * 2 + ["2021-03-01"])
    ]
    fixes = pd.concat(parts)
    kwargs = {"location_error_m": 25, "kept_percent": 100, "draws": 0}
    template = movement.corridors(fixes, cell_size_m=200, **kwargs).use
    alone = [movement.corridors(part, template, **kwargs).use.values for part in parts]
    animal = movement.corridors(fixes, template, merge="animal", **kwargs)
    year = movement.corridors(fixes, template, merge="animal_year", **kwargs)
    np.testing.assert_allclose(animal.use.values, sum(alone) / 3, atol=1e-15)
    np.testing.assert_allclose(year.use.values, alone[0] / 4 + alone[1] / 4 + alone[2] / 2, atol=1e-15)
    np.testing.assert_array_equal(animal.animals.values, year.animals.values)


def test_a_biological_year_begins_in_its_month():
    fixes = pd.concat(
        [walk(k, animal="a", sequence=f"s{k}", start=f"2021-{month}-05") for k, month in enumerate(("01", "02"))]
    )
    found = movement.corridors(fixes, location_error_m=25, cell_size_m=300, draws=0)
    assert found.sequences["year"].tolist() == [2020, 2021]
    january = movement.corridors(fixes, location_error_m=25, cell_size_m=300, draws=0, year_starts_in_month=1)
    assert january.sequences["year"].tolist() == [2021, 2021]


def test_order_and_names_of_animals_do_not_matter():
    fixes = herd(4, 2)
    renamed = fixes.assign(
        animal=fixes["animal"].map({f"doe {k}": f"elk {9 - k}" for k in range(4)}), sequence="x" + fixes["sequence"]
    ).sample(frac=1, random_state=3)
    one = movement.corridors(fixes, location_error_m=25, cell_size_m=250, draws=0)
    two = movement.corridors(renamed, location_error_m=25, cell_size_m=250, draws=0)
    np.testing.assert_allclose(one.use.values, two.use.values, atol=1e-12)
    np.testing.assert_array_equal(one.animals.values, two.animals.values)


@pytest.mark.parametrize("bridge", ["brownian", "dynamic", "fixed", "line"])
def test_every_way_of_mapping_gives_a_use_that_sums_to_one(bridge):
    given = {"dynamic": {"window": 9, "margin": 3}, "fixed": {"motion_variance": 800}}.get(bridge, {})
    found = movement.corridors(herd(3, 2), bridge=bridge, location_error_m=25, cell_size_m=200, draws=10, **given)
    assert found.use.values.sum() == pytest.approx(1, abs=1e-12)
    assert found.animals.values.max() <= 3
    assert (found.animals.values[found.use.values > 0] >= 0).all()
    if bridge == "line":
        assert len(found.stopovers) == 0
    else:
        assert found.stopovers["use"].is_monotonic_decreasing
        cells = found.stopovers["area_km2"].sum() / 0.04
        assert cells == pytest.approx(0.1 * (found.use.values > 0).sum(), abs=2)
        inside = spatial.rasterize(found.stopovers, found.use).values
        assert found.use.values[inside].min() >= found.use.values[~inside].max()


def test_a_fixed_variance_at_the_estimate_is_the_brownian_corridor():
    one = walk(6, animal="a", sequence="a1")
    free = movement.corridors(one, location_error_m=25, cell_size_m=200, draws=0)
    variance = float(free.sequences["motion_variance_m2_per_min"].iloc[0])
    fixed = movement.corridors(one, free.use, bridge="fixed", motion_variance=variance, location_error_m=25, draws=0)
    np.testing.assert_allclose(free.use.values, fixed.use.values, atol=1e-15)


# --- lines -----------------------------------------------------------------------------------------------------


def test_a_line_takes_every_cell_that_its_buffer_touches():
    fixes = track([130, 2310, 4000], [-40, 1490, 1200], animal="a", sequence="a1")
    found = movement.corridors(fixes, bridge="line", half_width_m=150, cell_size_m=200, draws=0)
    buffer = shapely.LineString([(130, -40), (2310, 1490), (4000, 1200)]).buffer(150)
    x, y = np.meshgrid(found.animals.x, found.animals.y)
    cells = shapely.box(x - 100, y - 100, x + 100, y + 100)
    shared_area = shapely.area(shapely.intersection(cells, buffer))
    taken = found.animals.values > 0
    assert taken[shared_area > 1].all()
    assert not taken[~shapely.intersects(cells, buffer.buffer(1))].any()
    np.testing.assert_allclose(found.use.values[taken], 1 / taken.sum())


def test_lines_are_not_drawn_over_long_gaps():
    fixes = track([0, 1000, 50_000, 51_000], [0, 0, 0, 0], minutes=[0, 60, 6000, 6060], animal="a", sequence="a1")
    found = movement.corridors(fixes, bridge="line", cell_size_m=200, draws=0)
    assert found.animals.sel(x=slice(5000, 45_000)).values.sum() == 0
    old = movement.corridors(fixes, bridge="line", cell_size_m=200, draws=0, compat="migration_mapper")
    assert old.animals.sel(x=slice(5000, 45_000)).values.sum() > 0


# --- how sure --------------------------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_sets_of_cells_tell_the_area_under_any_draw(seed):
    masks, prints = random_footprints(seed)
    rng = np.random.default_rng(seed)
    times = rng.integers(0, 3, (len(masks), 9))
    needed = np.tile([[1], [2], [4]], 9)
    found = prints.areas(times, needed)
    for d in range(9):
        used = (masks * times[:, [d]]).sum(axis=0)
        assert found[:, d].tolist() == [(used >= k).sum() for k in (1, 2, 4)]
    assert prints.area_by_users[1:].tolist() == np.bincount(masks.sum(axis=0), minlength=7)[1:].tolist()


def test_inclusion_probabilities_are_those_of_drawing_animals_anew():
    """Beside 20,000 draws; within four standard errors."""
    tiers = Tiers((0, 30, 60))
    exact = inclusion_by_animals(6, tiers)
    rng = np.random.default_rng(1)
    draws = rng.integers(0, 6, (20_000, 6))
    for users in range(7):
        times = (draws < users).sum(axis=1)
        share = (times[:, None] >= tiers.needed(6)).mean(axis=0)
        np.testing.assert_allclose(exact[users], share, atol=4 * np.sqrt(0.25 / 20_000))
    assert ((exact >= 0) & (exact <= 1)).all()
    assert (exact[6] == 1).all()
    assert (exact[0] == 0).all()


def test_resampled_areas_have_the_mean_that_inclusion_tells():
    masks, prints = random_footprints(5, animals=8)
    tiers = Tiers((0, 25, 50))
    drawn = resampled_areas(prints, tiers, 4000, np.random.default_rng(2))
    chance = inclusion_by_animals(8, tiers)[masks.sum(axis=0)]
    error = drawn.std(axis=1) / np.sqrt(4000)
    assert (np.abs(drawn.mean(axis=1) - chance.sum(axis=0)) <= 4 * error + 1e-9).all()


def test_the_saturation_curve_is_the_mean_over_all_choices_of_animals():
    from itertools import combinations

    masks, prints = random_footprints(9, animals=5)
    tiers = Tiers((0, 40, 80))
    table = saturation(prints, tiers, 300, np.random.default_rng(3))
    for row in table.itertuples():
        need = tiers.needed(row.animals)[tiers.names.index(row.tier)]
        areas = [(masks[list(c)].sum(axis=0) >= need).sum() for c in combinations(range(5), row.animals)]
        assert row.area_km2 == pytest.approx(np.mean(areas))
        assert min(areas) - 1e-9 <= row.low_km2 <= row.high_km2 <= max(areas) + 1e-9
    low = table[table["tier"] == "low"]["area_km2"]
    assert low.is_monotonic_increasing


def test_many_cells_are_drawn_from_rows_evenly_apart(monkeypatch):
    from linkways.movement import _population

    yes = np.zeros((40, 40), bool)
    yes[:, 5:30] = True
    masks = np.stack([yes, np.roll(yes, 5, axis=1), np.roll(yes, 9, axis=1)]).reshape(3, -1)
    runs = [runs_of(np.flatnonzero(mask)) for mask in masks]
    whole = Footprints.of(runs, masks.sum(axis=0), grid(40, 40))
    monkeypatch.setattr(_population, "MOST_USES", 1000)
    thin = Footprints.of(runs, masks.sum(axis=0), grid(40, 40))
    times, needed = np.array([[1, 2, 0], [1, 0, 1], [1, 1, 2]]), np.array([[1, 1, 1], [2, 2, 2]])
    np.testing.assert_allclose(thin.areas(times, needed), whole.areas(times, needed))
    assert len(thin.members) <= len(whole.members)
    np.testing.assert_array_equal(thin.area_by_users, whole.area_by_users)


def test_the_same_seed_gives_the_same_intervals_and_another_does_not():
    given = {"location_error_m": 25, "cell_size_m": 250, "draws": 20}
    runs = [movement.corridors(herd(5), seed=seed, **given).tiers["low_km2"].tolist() for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_tables_and_figure_tell_of_every_sequence_animal_and_number():
    found = movement.corridors(herd(3, 2), location_error_m=25, cell_size_m=250, draws=10)
    assert found.sequences["sequence"].tolist() == [f"doe {a} {s}" for a in range(3) for s in range(2)]
    assert found.by_animal["sequences"].tolist() == [2, 2, 2]
    assert found.by_number["animals"].tolist() == [1, 2, 3]
    assert found.by_number["area_km2"].sum() == pytest.approx(found.corridor_km2)
    assert found.saturation.groupby("tier").size().to_dict() == {"low": 3, "medium": 3, "high": 3}
    last = found.saturation[found.saturation["animals"] == 3].set_index("tier")["area_km2"]
    assert last.loc[["low", "medium", "high"]].tolist() == pytest.approx(found.tiers["area_km2"].tolist())
    assert found.saturation_curve.axes[0].get_ylabel() == "area (km2)"
    assert found.stopover_km2 == pytest.approx(found.stopovers["area_km2"].sum())
    first = found.sequences.iloc[0]
    assert (first["last"] - first["first"]) == pd.Timedelta("22h")


# --- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"location_error_m": None}, "needs the location error"),
        ({"bridge": "fixed"}, "need motion_variance"),
        ({"motion_variance": 800}, "let bridge be fixed"),
        ({"bridge": "dynamic", "window": 31}, "fewer than the window of 31"),
        ({"bridge": "dynamic", "window": 10, "margin": 3}, "must be odd"),
        ({"medium_percent": 30}, "must not fall"),
        ({"bridge": "line", "line_cells": "centre", "cell_size_m": 300}, "wider than half_width_m"),
        ({"max_lag_h": 1}, "max_lag_h"),
        ({"bridge": "line", "max_lag_h": 1}, "max_lag_h"),
    ],
)
def test_what_cannot_be_mapped_is_refused(given, match):
    with pytest.raises(LinkwaysError, match=match):
        movement.corridors(herd(2), **({"location_error_m": 25} | given))


def test_fixes_that_tell_no_place_are_refused():
    fixes = herd(2)
    far = spatial.new_raster(np.zeros((9, 9)), crs="EPSG:32612", cell_size=100, origin=(1e6, 1e6))
    degrees = spatial.new_raster(np.zeros((9, 9)), crs="EPSG:4326", cell_size=0.1)
    for layer, like, match in (
        (fixes.to_crs("EPSG:4326"), None, "degrees"),
        (fixes.drop(columns="sequence"), None, "sequence"),
        (fixes.groupby("sequence").head(1), None, "fewer than 3 fixes"),
        (fixes, far, "no fix lies on the raster like"),
        (fixes, degrees, "cells in degrees"),
        (fixes.iloc[:0], None, "no fix"),
    ):
        with pytest.raises(LinkwaysError, match=match):
            movement.corridors(gpd.GeoDataFrame(layer), like, location_error_m=25)
