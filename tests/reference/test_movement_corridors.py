"""Population corridors beside Migration Mapper 3.2 (R package BBMM 3.0), run once on 24 pronghorn migrations.

Source of the expected files: shared/data/movement/PROVENANCE.md (location error 20 m, step 5 min, lag 8 h, contour 99).
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from linkways import movement, spatial


@pytest.fixture(scope="module")
def data(shared):
    return shared / "data" / "movement"


@pytest.fixture(scope="module")
def sequences(data):
    table = pd.read_csv(data / "pronghorn_sublette_sequences.csv")
    return gpd.GeoDataFrame(
        {"animal": table["id"], "sequence": table["sequence"], "time": pd.to_datetime(table["timestamp"], utc=True)},
        geometry=gpd.points_from_xy(table["x_aea"], table["y_aea"]),
        crs="EPSG:5070",
    )


@pytest.fixture(scope="module")
def expected(data):
    """Results of the peer by sequence, its population use, and its number of animals."""
    table = pd.read_csv(data / "expected_bbmm_per_sequence.csv").set_index("sequence")
    use = spatial.read_raster(data / "expected_bbmm_population_ud.tif", crs="EPSG:5070")
    animals = spatial.read_raster(data / "expected_bbmm_n_individuals.tif", crs="EPSG:5070")
    return table, use, animals


@pytest.fixture(scope="module")
def found(sequences, expected):
    return movement.corridors(
        sequences,
        expected[1],
        location_error_m=20,
        compat="migration_mapper",
        percent=(5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99),
        draws=50,
    )


def test_motion_variances_are_those_of_bbmm(found, expected):
    table = found.sequences.set_index("sequence")
    wanted = expected[0]["bmvar_m2_per_min"].loc[table.index]
    np.testing.assert_allclose(table["motion_variance_m2_per_min"], wanted, rtol=1e-5)


def test_contours_of_each_sequence_hold_the_cells_they_should(found, expected):
    table = found.sequences.set_index("sequence")
    wanted = expected[0].loc[table.index]
    cell_km2 = 0.25
    for column, level in (("cells_50", 50), ("cells_95", 95), ("cells_99", 99)):
        assert (table[f"area_{level}_km2"] / cell_km2 - wanted[column]).abs().max() == 0
    assert (table["footprint_km2"] / cell_km2 - wanted["footprint99_cells"]).abs().max() == 0


def test_population_use_is_migration_mappers_to_a_millionth(found, expected):
    use = expected[1].values
    assert np.abs(found.use.values - use).sum() < 1e-6
    assert found.use.values.sum() == pytest.approx(1, abs=1e-12)


def test_as_many_animals_use_every_cell(found, expected):
    np.testing.assert_array_equal(found.animals.values, expected[2].values)
    assert np.bincount(found.animals.values.ravel()).tolist()[1:] == [6646, 796, 272, 104, 13]
    km2 = found.by_number.set_index("animals")["area_km2"]
    assert (km2.loc[1:5] / 0.25).tolist() == [6646, 796, 272, 104, 13]
    assert (km2.loc[6:] == 0).all()


def test_volume_contours_have_its_areas(found, data):
    wanted = pd.read_csv(data / "expected_bbmm_population_volume_contours.csv").set_index("volume_contour_pct")
    table = found.contours.set_index("percent")
    np.testing.assert_allclose(table["area_km2"], wanted["area_SqKm"].loc[table.index], rtol=0, atol=1e-6)
    np.testing.assert_allclose(table.geometry.area / 1e6, table["area_km2"], rtol=1e-9)


def test_the_right_share_of_time_changes_uneven_tracks_only(sequences, expected):
    """PH-069_fa19 has 4773.24 with the share of time before a fix, and 5387.48 in BBMM 3.0."""
    found = movement.brownian_bridge(sequences, expected[1], by="sequence", location_error_m=20)
    variance = found.groups.set_index("sequence")["motion_variance_m2_per_min"]
    assert variance["PH-069_fa19"] == pytest.approx(4773.24, rel=1e-5)
    assert variance["JMH-27_sp13"] == pytest.approx(2322.47, rel=1e-5)
    old = movement.brownian_bridge(sequences, expected[1], by="sequence", location_error_m=20, compat="bbmm3")
    old_variance = old.groups.set_index("sequence")["motion_variance_m2_per_min"]
    np.testing.assert_allclose(old_variance, expected[0]["bmvar_m2_per_min"].loc[old_variance.index], rtol=1e-5)


def test_line_buffers_take_the_cells_of_migration_mapper(sequences, expected):
    found = movement.corridors(
        sequences, expected[1], bridge="line", half_width_m=200, compat="migration_mapper", draws=0
    )
    table = found.sequences.set_index("sequence")
    assert (table["footprint_km2"] / 0.25).round().astype(int).to_dict() == expected[0]["linebuffer200_cells"].to_dict()
    assert np.bincount(found.animals.values.ravel()).tolist()[1:] == [3331, 278, 71, 10]


def test_lines_that_take_every_cell_they_touch_are_not_broken(sequences, expected):
    """By centres a 200 m buffer on 500 m cells keeps 98 of 227, 445 of 1009 and 396 of 730 touched cells (notes)."""
    found = movement.corridors(sequences, expected[1], bridge="line", half_width_m=200, max_lag_h=48, draws=0)
    cells = (found.sequences.set_index("sequence")["footprint_km2"] / 0.25).round().astype(int)
    for name, touched in (("JMH-1_sp13", 227), ("JMH-26_sp13", 1009), ("JMH-27_fa13", 730)):
        assert abs(cells[name] - touched) <= 1


def test_distances_across_each_migration(found):
    distance = found.sequences.set_index("sequence")["max_distance_km"]
    assert distance["JMH-26_sp13"] == pytest.approx(89.3466, abs=5e-5)
    assert distance.mean() == pytest.approx(43.6251, abs=5e-5)
    assert distance.std() == pytest.approx(22.3725, abs=5e-5)
