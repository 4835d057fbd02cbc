"""Resampling and burning against values worked out by hand or by brute force."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from scipy import ndimage
from shapely.geometry import LineString, Point, Polygon, box

from linkways.errors import LinkwaysError
from linkways.spatial import align, burn_lines, new_raster, rasterize, recording, to_grid_crs

NAN = np.nan


def plane(values, cell=1.0, origin=(0.0, 4.0), name="r", crs="EPSG:3035"):
    return new_raster(np.asarray(values, dtype=float), crs=crs, cell_size=cell, origin=origin, name=name)


def template(rows, columns, cell=1.0, origin=(0.0, 4.0), crs="EPSG:3035"):
    return plane(np.zeros((rows, columns)), cell, origin, "template", crs)


SIXTEEN = np.arange(16.0).reshape(4, 4)


def test_a_raster_on_the_grid_is_returned_as_it_is():
    raster = plane(SIXTEEN)
    with recording() as log:
        assert align(raster, template(4, 4), rule="average") is raster
    assert log == []


def test_average_is_the_mean_of_the_cells_covered():
    with recording() as log:
        result = align(plane(SIXTEEN), template(2, 2, 2.0), rule="average")
    assert result.values.tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert result.name == "r"
    assert log == ["raster r resampled from 1 metre cells in EPSG:3035 to 2 metre cells in EPSG:3035 by average"]


def test_average_weights_cells_by_the_part_covered():
    result = align(plane([[0.0, 10.0], [20.0, 30.0]], 3.0, (0.0, 6.0)), template(3, 3, 2.0, (0.0, 6.0)), rule="average")
    np.testing.assert_allclose(result, [[0, 5, 10], [10, 15, 20], [20, 25, 30]], atol=1e-12)


def test_average_leaves_out_cells_without_data():
    result = align(plane([[1.0, NAN], [3.0, NAN]], origin=(0, 2)), template(1, 1, 2.0, (0, 2)), rule="average")
    assert result.values.tolist() == [[2.0]]


def test_fraction_is_the_share_of_the_cell_covered():
    mask = [[1, 1, 0, 0], [1, 0, 0, NAN], [0, 0, 1, 1], [0, 0, 1, 1]]
    result = align(plane(mask), template(2, 2, 2.0), rule="fraction")
    assert result.values.tolist() == [[0.75, 0.0], [0.0, 1.0]]


def test_fraction_takes_boolean_masks_and_is_0_where_the_mask_does_not_reach():
    mask = plane(np.ones((2, 2)), origin=(0, 2)).astype(bool)
    result = align(mask, template(2, 2, 2.0, (0, 4)), rule="fraction")
    assert result.values.tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_fraction_counts_the_part_of_a_cell_beyond_the_mask_as_not_covered():
    mask = plane(np.ones((3, 3)), origin=(0, 3))
    result = align(mask, template(2, 2, 2.0, (0, 4)), rule="fraction")
    assert result.values.tolist() == [[0.5, 0.25], [1.0, 0.5]]
    assert align(mask, template(1, 1, 10.0, (-4, 8)), rule="fraction").values.item() == pytest.approx(0.09)


def test_a_global_average_has_no_seam():
    raster = plane(np.tile(np.arange(36.0), (18, 1)), 10.0, (-180.0, 90.0), crs="EPSG:4326")
    # One cell of 20 degrees on either side of the antimeridian: the last and the first column.
    result = align(raster, template(2, 2, 20.0, (170.0, 20.0), "EPSG:4326"), rule="average")
    assert result.values.tolist() == [[17.5, 1.5], [17.5, 1.5]]


def test_fraction_refuses_values_that_are_no_mask():
    with pytest.raises(LinkwaysError, match=r"raster r has 14 cells that are neither 0 nor 1, first at row 0 column 2"):
        align(plane(SIXTEEN), template(2, 2, 2.0), rule="fraction")


def test_nearest_takes_the_cell_in_which_the_centre_lies():
    result = align(plane(SIXTEEN), template(3, 3, 1.0, (0.2, 3.8)), rule="nearest")
    assert result.values.tolist() == SIXTEEN[:3, :3].tolist()
    result = align(plane(SIXTEEN), template(3, 3, 1.0, (0.6, 3.4)), rule="nearest")
    assert result.values.tolist() == SIXTEEN[1:, 1:].tolist()


def test_cells_beyond_the_raster_have_no_data():
    result = align(plane(SIXTEEN), template(2, 2, 1.0, (3.0, 5.0)), rule="nearest")
    np.testing.assert_array_equal(result, [[NAN, NAN], [3.0, NAN]])


def test_classes_keep_their_mark_and_their_type():
    raster = plane(SIXTEEN).astype("float32").assign_attrs(classes=True)
    result = align(raster, template(3, 3, 1.0, (0.2, 3.8)), rule="nearest")
    assert result.dtype == np.float32
    assert result.attrs["classes"] is True


def nearest_by_hand(raster, grid, period=None):
    to_source = Transformer.from_crs(grid.rio.crs, raster.rio.crs, always_xy=True)
    x, y = to_source.transform(*np.meshgrid(grid.x.values, grid.y.values))
    west, south, east, north = raster.rio.bounds()
    if period:
        x = west + (x - west) % period
    dx, dy = (east - west) / raster.shape[1], (north - south) / raster.shape[0]
    columns, rows = np.floor((x - west) / dx).astype(int), np.floor((north - y) / dy).astype(int)
    inside = (columns >= 0) & (columns < raster.shape[1]) & (rows >= 0) & (rows < raster.shape[0])
    values = np.full(x.shape, NAN)
    values[inside] = raster.values[rows[inside], columns[inside]]
    return values


def test_a_cell_beside_the_raster_has_no_average():
    result = align(plane(np.ones((2, 2)), origin=(0, 2)), template(3, 3, 2.0, (-2, 4)), rule="average")
    np.testing.assert_array_equal(result, [[NAN, NAN, NAN], [NAN, 1.0, NAN], [NAN, NAN, NAN]])


def test_a_centre_between_two_cells_takes_the_later_one_everywhere():
    raster = plane(np.arange(400.0).reshape(1, 400), 0.05, (-7.0, 0.05), crs="EPSG:4326")
    result = align(raster, template(1, 300, 0.05, (-5.975, 0.05), "EPSG:4326"), rule="nearest")
    assert np.diff(result.values[0]).tolist() == [1.0] * 299
    assert result.values[0, 0] == 21.0


def test_averages_across_crs_are_those_of_many_points_in_the_cell():
    rng = np.random.default_rng(5)
    smooth = ndimage.gaussian_filter(rng.random((120, 120)), 3.0)
    raster = plane(smooth, 0.02, (2.0, 2.4), crs="EPSG:4326")
    grid = template(12, 12, 15_000.0, (400_000.0, 240_000.0), "EPSG:32631")
    result = align(raster, grid, rule="average")
    fine = template(12 * 20, 12 * 20, 750.0, (400_000.0, 240_000.0), "EPSG:32631")
    expected = nearest_by_hand(raster, fine).reshape(12, 20, 12, 20).mean(axis=(1, 3))
    assert np.isfinite(expected).all()
    # A cell covers about 7 x 7 cells; points and GDAL place their edges differently by part of a cell.
    np.testing.assert_allclose(result, expected, atol=0.05 * np.ptp(smooth))
    assert np.abs(result.values - expected).mean() < 0.005 * np.ptp(smooth)


def test_nearest_across_crs_is_the_cell_found_by_transforming_every_centre():
    rng = np.random.default_rng(3)
    raster = plane(rng.random((50, 40)), 0.1, (1.0, 5.0), crs="EPSG:4326")
    grid = template(70, 70, 9_000.0, (200_000.0, 640_000.0), "EPSG:32631")
    result = align(raster, grid, rule="nearest")
    expected = nearest_by_hand(raster, grid)
    assert np.isnan(expected).any()
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("west", [-180.0, 0.0])
@pytest.mark.parametrize(
    "grid",
    [
        template(8, 20, 2.0, (165.0, 8.0), "EPSG:4326"),
        template(8, 20, 2.0, (-195.0, 8.0), "EPSG:4326"),
        template(8, 20, 2.0, (-25.0, 8.0), "EPSG:4326"),
        template(30, 40, 100_000.0, (2_000_000.0, 1_500_000.0), "EPSG:3832"),
        template(30, 40, 100_000.0, (-2_000_000.0, 1_500_000.0), "EPSG:4326+3855").rio.write_crs("EPSG:6933"),
    ],
    ids=["past 180", "before -180", "greenwich", "pacific", "world equal area"],
)
def test_a_global_raster_is_turned_towards_the_grid(west, grid):
    raster = plane(np.random.default_rng(4).random((60, 120)), 3.0, (west, 90.0), crs="EPSG:4326")
    result = align(raster, grid, rule="nearest")
    assert not np.isnan(result).any()
    np.testing.assert_array_equal(result, nearest_by_hand(raster, grid, period=360.0))


def test_a_regional_raster_is_turned_towards_a_grid_past_180():
    raster = plane([[1.0, 2.0]], 10.0, (-180.0, 10.0), crs="EPSG:4326")
    result = align(raster, template(1, 4, 5.0, (175.0, 10.0), "EPSG:4326"), rule="nearest")
    np.testing.assert_array_equal(result, [[NAN, 1.0, 1.0, 2.0]])


def test_rasters_that_do_not_overlap_are_refused_with_both_extents():
    with pytest.raises(LinkwaysError, match=r"raster r covers \(0.0, 0.0, 4.0, 4.0\) and raster template \(100.0, 2.0"):
        align(plane(SIXTEEN), template(2, 2, 1.0, (100.0, 4.0)), rule="nearest")


def test_an_unknown_rule_names_the_nearest():
    with pytest.raises(LinkwaysError, match=r"did you mean 'average'\?"):
        align(plane(SIXTEEN), template(2, 2), rule="averge")


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_area_under_a_mask_is_kept_by_fraction(factor, seed):
    mask = np.random.default_rng(seed).integers(0, 2, size=(12, 12)).astype(float)
    coarse = template(-(-12 // factor), -(-12 // factor), float(factor), (0.0, 4.0))
    result = align(plane(mask), coarse, rule="fraction")
    assert result.values.sum() * factor**2 == pytest.approx(mask.sum(), abs=1e-6)
    assert (result.values >= 0).all()
    assert (result.values <= 1 + 1e-12).all()


# --- burning ---------------------------------------------------------------------------------------------------


def features(*geometries, crs="EPSG:3035", **fields):
    return gpd.GeoDataFrame(fields, geometry=list(geometries), crs=crs)


def test_a_mask_holds_the_cells_whose_centre_lies_inside():
    result = rasterize(features(box(0.6, 0.0, 2.6, 1.6)), template(4, 4))
    assert result.dtype == bool
    assert result.values.astype(int).tolist() == [[0] * 4, [0] * 4, [0, 1, 1, 0], [0, 1, 1, 0]]


def test_all_touched_takes_every_cell_a_polygon_touches():
    result = rasterize(features(box(0.6, 0.1, 2.6, 1.6)), template(4, 4), all_touched=True)
    assert result.values.astype(int).tolist() == [[0] * 4, [0] * 4, [1, 1, 1, 0], [1, 1, 1, 0]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_centre_rule_agrees_with_asking_every_centre(seed):
    rng = np.random.default_rng(seed)
    polygon = Polygon(rng.uniform(-1.0, 9.0, size=(6, 2))).convex_hull
    grid = template(8, 8, 1.0, (0.0, 8.0))
    x, y = np.meshgrid(grid.x.values, grid.y.values)
    expected = shapely.contains_xy(polygon, x, y)
    np.testing.assert_array_equal(rasterize(features(polygon), grid).values, expected)


def test_a_field_gives_exact_values_and_no_data_outside():
    cores = features(box(0, 0, 2, 4), box(2, 0, 3, 4), core_id=[16777217, 0.1])
    result = rasterize(cores, template(1, 4), field="core_id")
    np.testing.assert_array_equal(result, [[16777217, 16777217, 0.1, NAN]])
    assert result.name == "core_id"


def test_the_last_feature_holds_a_cell_shared_by_two():
    result = rasterize(features(box(0, 0, 2, 4), box(1, 0, 3, 4), n=[1, 2]), template(1, 4), field="n")
    np.testing.assert_array_equal(result, [[1, 2, 2, NAN]])


def test_features_that_hold_no_cell_are_logged():
    with recording() as log:
        rasterize(features(box(0, 0, 2, 4), box(2.1, 3.1, 2.2, 3.2), n=[7, 9]), template(4, 4), field="n")
        rasterize(features(box(50, 50, 51, 51)), template(4, 4))
    assert log == ["1 of 2 features hold no cell of the grid (n: 9)", "none of the 1 features reaches the grid"]


def test_features_are_reprojected_to_the_grid():
    grid = template(4, 4, 1000.0, (498_000.0, 4_000.0), "EPSG:32631")
    with recording() as log:
        result = rasterize(features(box(3.0, 0.0, 4.0, 1.0), crs="EPSG:4326"), grid)
    # The central meridian of zone 31 is 3 degrees east, at 500 000 m: the eastern half.
    assert result.values.astype(int).tolist() == [[0, 0, 1, 1]] * 4
    assert log == ["1 features reprojected from EPSG:4326 to EPSG:32631"]


def test_features_east_of_the_antimeridian_reach_a_grid_past_180():
    grid = template(1, 4, 5.0, (170.0, 5.0), "EPSG:4326")
    assert rasterize(features(box(-180, 0, -175, 5), crs="EPSG:4326"), grid).values.tolist() == [
        [False, False, True, False]
    ]


def test_the_axis_order_of_a_crs_is_no_reason_to_reproject():
    grid = template(2, 2, 1.0, (0.0, 2.0), "EPSG:4326")
    frame = features(Point(0, 0), crs="OGC:CRS84")
    assert to_grid_crs(frame, grid) is frame


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_burnt_line_stops_diagonal_steps(seed):
    rng = np.random.default_rng(seed)
    ends = rng.uniform(0.0, 12.0, size=2)
    line = LineString([(-1.0, ends[0]), (rng.uniform(2.0, 10.0), rng.uniform(0.0, 12.0)), (13.0, ends[1])])
    burnt = burn_lines(features(line), template(12, 12, 1.0, (0.0, 12.0))).values
    x, y = np.meshgrid(np.arange(12), np.arange(12))
    touched = np.array([line.intersects(box(c, 11 - r, c + 1, 12 - r)) for r, c in zip(y.flat, x.flat, strict=True)])
    np.testing.assert_array_equal(burnt, touched.reshape(12, 12))
    open_regions, _ = ndimage.label(~burnt, structure=np.ones((3, 3)))
    north = {label for label, centre in _labelled(open_regions) if _side(line, centre) > 0}
    south = {label for label, centre in _labelled(open_regions) if _side(line, centre) < 0}
    assert not north & south


def _labelled(regions):
    for row, column in np.argwhere(regions > 0):
        yield regions[row, column], (column + 0.5, 11.5 - row)


def _side(line, centre):
    xs, ys = np.array(line.coords).T
    return np.sign(centre[1] - np.interp(centre[0], xs, ys))


def test_polygons_are_not_burnt_as_lines():
    with pytest.raises(LinkwaysError, match="lines are needed and Polygon given"):
        burn_lines(features(box(0, 0, 1, 1)), template(4, 4))


@pytest.mark.parametrize(
    ("values", "field", "sentence"),
    [
        ([1.0], "cor", r"no field 'cor' \(did you mean 'core'\?\)"),
        (["a"], "core", "field 'core' is not numeric"),
        ([NAN], "core", "field 'core' has no value at row 0"),
    ],
)
def test_fields_that_cannot_be_burnt_are_refused(values, field, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        rasterize(features(box(0, 0, 1, 1), core=values), template(4, 4), field=field)


def test_features_without_crs_are_refused():
    with pytest.raises(LinkwaysError, match="the features have no coordinate reference system"):
        rasterize(features(box(0, 0, 1, 1), crs=None), template(4, 4))


def test_published_core_areas_hold_the_published_number_of_cells(shared):
    from linkways.spatial import read_raster, read_vectors

    folder = shared / "data" / "corridors" / "linkage_mapper_demo"
    resistance = read_raster(folder / "lm_resistances.tif")
    cores = rasterize(read_vectors(folder / "lm_cores.shp"), resistance, field="core_id")
    # Cells by the cell-centre rule, PROVENANCE.md of the reference data.
    counts = [int((cores == number).sum()) for number in range(1, 7)]
    assert counts == [3698, 624, 2132, 1920, 2125, 3224]


def test_each_cell_tells_which_feature_it_belongs_to_and_the_last_one_holds_an_overlap():
    import geopandas as gpd
    from shapely import box

    from linkways.spatial import feature_of_cell, new_raster

    template = new_raster(np.zeros((1, 5)), crs="EPSG:3035", cell_size=10)
    frame = gpd.GeoDataFrame(geometry=[box(0, 0, 30, 10), box(20, 0, 40, 10)], crs="EPSG:3035")
    west, south = (float(v) for v in (template.x[0] - 5, template.y[0] - 5))
    frame["geometry"] = frame.translate(west, south)
    assert feature_of_cell(frame, template).tolist() == [[0, 0, 1, 1, -1]]
