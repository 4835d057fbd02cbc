import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from linkways import LinkwaysError, corridors

from .conftest import cell_boxes, planar

TABLE = pd.DataFrame({"class": [1, 2, 3], "resistance": [1.0, 10.0, None], "habitat": [1.0, 0.2, 0.0]})


def test_land_cover_takes_the_number_of_its_class_and_an_empty_number_cannot_be_entered():
    made = corridors.resistance(planar([[1, 2], [3, np.nan]]), TABLE)
    np.testing.assert_array_equal(made.values, [[1, 10], [np.nan, np.nan]])
    assert made.name == "resistance"
    assert str(made.rio.crs) == "EPSG:3035"


def test_reclassify_reads_any_column():
    made = corridors.reclassify(planar([[1, 2, 3]]), TABLE, column="habitat")
    np.testing.assert_array_equal(made.values, [[1, 0.2, 0]])


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ("linear", [100.0, 50.5, 1.0]),
        ("negative_exponential", [100.0, 100 - 99 * (1 - np.exp(-2)) / (1 - np.exp(-4)), 1]),
    ],
)
def test_suitability_becomes_resistance_by_the_stated_formula(transform, expected):
    made = corridors.resistance(suitability=planar([[0, 0.5, 1]]), transform=transform, c=4)
    np.testing.assert_allclose(made.values[0], expected, rtol=1e-12)


@given(st.floats(0.01, 64))
def test_the_negative_exponential_runs_from_the_maximum_to_one_and_never_rises(c):
    made = corridors.resistance(suitability=planar([np.linspace(0, 1, 11)]), c=c, max_resistance=50).values[0]
    assert made[0] == pytest.approx(50)
    assert made[-1] == pytest.approx(1)
    assert (np.diff(made) <= 1e-12).all()


@pytest.mark.parametrize(("combine", "expected"), [("max", [4.0, 6]), ("sum", [6.0, 7]), ("product", [8.0, 6])])
def test_layers_are_combined_cell_by_cell(combine, expected):
    made = corridors.resistance(layers=[planar([[2, 6]]), planar([[4, 1]])], combine=combine)
    np.testing.assert_array_equal(made.values[0], expected)


def test_a_cell_that_is_nodata_in_one_layer_cannot_be_entered():
    made = corridors.resistance(layers=[planar([[2, np.nan]]), planar([[np.nan, 1]])])
    assert np.isnan(made.values).all()


def test_roads_are_burnt_in_and_a_crossing_laid_over_them_opens_them():
    ground = planar(np.ones((3, 5)))
    road = gpd.GeoDataFrame({"resistance": [50.0]}, geometry=[shapely.LineString([(250, 10), (250, 290)])], crs=3035)
    crossing = cell_boxes(ground, [(1, 2)], resistance=[2.0])
    made = corridors.resistance(layers=[ground], overlays=[road, crossing], all_touched=False).values
    np.testing.assert_array_equal(made[:, 2], [50, 2, 50])
    assert (np.delete(made, 2, axis=1) == 1).all()


def test_a_fence_with_an_empty_number_closes_its_cells():
    ground = planar(np.ones((3, 3)))
    fence = cell_boxes(ground, [(0, 1, 3, 1)], resistance=[None])
    assert np.isnan(corridors.resistance(layers=[ground], overlays=[fence], all_touched=False).values[:, 1]).all()


def test_the_rule_max_only_raises():
    ground = planar([[1.0, 9.0]])
    band = cell_boxes(ground, [(0, 0, 1, 2)], resistance=[5.0])
    made = corridors.resistance(layers=[ground], overlays=[band], overlay_rule="max", all_touched=False)
    np.testing.assert_array_equal(made.values, [[5, 9]])


def test_all_touched_leaves_no_diagonal_leak_in_a_slanting_line():
    from scipy.ndimage import label

    ground = planar(np.ones((20, 20)), cell_m=1)
    line = shapely.LineString([(-1, 3.3), (21, 15.9)])
    road = gpd.GeoDataFrame({"resistance": [None]}, geometry=[line], crs=3035)
    made = corridors.resistance(layers=[ground], overlays=[road])
    _, count = label(np.isfinite(made.values), structure=np.ones((3, 3)))
    assert count == 2


def test_cells_outside_the_region_become_nodata():
    ground = planar(np.ones((2, 4)))
    made = corridors.resistance(layers=[ground], within=cell_boxes(ground, [(0, 0, 2, 2)]))
    np.testing.assert_array_equal(np.isnan(made.values), [[False, False, True, True]] * 2)


def test_features_in_another_crs_are_brought_to_the_raster_and_that_is_noted():
    from linkways.spatial import recording

    ground = planar(np.ones((3, 3)), cell_m=1000, crs="EPSG:32633")
    ground = ground.assign_coords(x=ground.x + 500_000, y=ground.y + 5_000_000)
    ground = ground.rio.write_transform(ground.rio.transform(recalc=True))
    band = cell_boxes(ground, [(1, 1)], resistance=[7.0]).to_crs(4326)
    with recording() as notes:
        made = corridors.resistance(layers=[ground], overlays=[band], all_touched=False)
    assert made.values[1, 1] == 7
    assert any("overlays reprojected from EPSG:4326" in n for n in notes)


def test_unknown_classes_are_named_with_their_number_of_cells():
    with pytest.raises(LinkwaysError, match=r"lacks class 7 \(2 cells\), class 9 \(1 cells\)"):
        corridors.resistance(planar([[1, 7, 7, 9]]), TABLE)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (pd.DataFrame({"class": [1, 1], "resistance": [1, 2]}), "class 1 stands twice"),
        (pd.DataFrame({"class": [1], "resistance": ["much"]}), "row 1 has no number"),
        (pd.DataFrame({"class": [1], "cost": [1]}), "no column 'resistance'"),
        (pd.DataFrame({"class": [1], "resistance": [-3.0]}), "zero, negative or infinite, first at row 0 column 0"),
    ],
)
def test_bad_tables_are_refused(table, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        corridors.resistance(planar([[1, 1]]), table)


def test_suitability_outside_zero_to_one_is_refused_with_the_first_cell():
    with pytest.raises(LinkwaysError, match=r"1 cells outside 0 to 1, first at row 0 column 1 \(1.5\)"):
        corridors.resistance(suitability=planar([[0.5, 1.5]]))


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({}, "give landcover with table, suitability, or layers"),
        ({"landcover": planar([[1]])}, "landcover is given without table"),
        ({"table": TABLE, "layers": [planar([[1]])]}, "table is given without landcover"),
    ],
)
def test_too_few_inputs_are_refused(inputs, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        corridors.resistance(**inputs)


def test_an_overlay_that_is_not_above_zero_is_refused():
    ground = planar(np.ones((3, 3)))
    with pytest.raises(LinkwaysError, match="feature 0 has resistance"):
        corridors.resistance(layers=[ground], overlays=[cell_boxes(ground, [(1, 1)], resistance=[0.0])])


def test_layers_on_different_grids_are_refused_and_both_are_described():
    with pytest.raises(LinkwaysError, match=r"layers\[0\] \(2 x 2 cells.*layers\[1\] \(3 x 3 cells.*different grids"):
        corridors.resistance(layers=[planar(np.ones((2, 2))), planar(np.ones((3, 3)))])
