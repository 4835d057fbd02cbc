"""Reading what GDAL reads and writing Cloud-Optimised GeoTIFF."""

import functools
import http.server
import threading

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from linkways.errors import LinkwaysError
from linkways.spatial import cell_geometry, new_raster, raster_like, read_raster, recording, write_raster


def from_origin(west, north, width, height):
    return Affine(width, 0.0, west, 0.0, -height, north)


def tif(path, values, *, crs="EPSG:3035", transform=None, nodata=None, **profile):
    bands = values if values.ndim == 3 else values[None]
    transform = transform or from_origin(1000.0, 2000.0, 10.0, 10.0)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=bands.shape[1],
        width=bands.shape[2],
        count=len(bands),
        dtype=bands.dtype.name,
        crs=crs,
        transform=transform,
        nodata=nodata,
        **profile,
    ) as dataset:
        dataset.write(bands)
    return path


def globe(path, cell=10.0, west=-180.0):
    """A global raster whose cells hold the number of their column."""
    columns = round(360 / cell)
    values = np.tile(np.arange(columns, dtype=np.int16), (round(180 / cell), 1))
    return tif(path, values, crs="EPSG:4326", transform=from_origin(west, 90.0, cell, cell))


def test_a_band_comes_with_centres_crs_name_and_nan_for_nodata(tmp_path):
    path = tif(tmp_path / "dem.tif", np.array([[1, 2, 3], [4, -9, 6]], dtype=np.int16), nodata=-9)
    raster = read_raster(path)
    assert raster.name == "dem"
    assert raster.dims == ("y", "x")
    assert raster.dtype == np.float64
    assert raster.x.values.tolist() == [1005.0, 1015.0, 1025.0]
    assert raster.y.values.tolist() == [1995.0, 1985.0]
    assert raster.rio.crs.to_epsg() == 3035
    np.testing.assert_array_equal(raster, [[1, 2, 3], [4, np.nan, 6]])
    assert raster.attrs["source"] == str(path)


def test_the_band_asked_for_is_read_and_a_missing_one_refused(tmp_path):
    path = tif(tmp_path / "two.tif", np.stack([np.zeros((2, 2)), np.ones((2, 2))]))
    assert read_raster(path, band=2).values.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    with pytest.raises(LinkwaysError, match="two has no band 3; it has bands 1 to 2"):
        read_raster(path, band=3)


def test_scale_offset_and_units_of_the_band_are_applied(tmp_path):
    path = tif(tmp_path / "t.tif", np.array([[0, 10]], dtype=np.int16), nodata=0)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets, dataset.units = (0.1,), (5.0,), ("degC",)
    raster = read_raster(path)
    np.testing.assert_allclose(raster, [[np.nan, 6.0]])
    assert raster.attrs["units"] == "degC"


def test_a_further_nodata_value_can_be_named(tmp_path):
    path = tif(tmp_path / "t.tif", np.array([[-9999, 10]], dtype=np.int16))
    np.testing.assert_array_equal(read_raster(path, nodata=-9999), [[np.nan, 10.0]])


def test_rows_stored_south_first_are_turned_north_up(tmp_path):
    path = tif(tmp_path / "s.tif", np.array([[1.0, 1.0], [2.0, 2.0]]), transform=Affine(10.0, 0.0, 0.0, 0.0, 10.0, 0.0))
    raster = read_raster(path)
    assert raster.y.values.tolist() == [15.0, 5.0]
    assert raster.values[:, 0].tolist() == [2.0, 1.0]


def test_classes_stay_whole_in_float32_and_are_marked(tmp_path):
    path = tif(tmp_path / "c.tif", np.array([[1, 2, 255]], dtype=np.uint8), nodata=255)
    raster = read_raster(path, classes=True)
    assert raster.dtype == np.float32
    assert raster.attrs["classes"] is True
    np.testing.assert_array_equal(raster, [[1, 2, np.nan]])


def test_large_class_codes_keep_all_their_digits(tmp_path):
    path = tif(tmp_path / "c.tif", np.array([[16777217]], dtype=np.int32))
    assert read_raster(path, classes=True).values[0, 0] == 16777217


def test_a_colour_table_means_classes(tmp_path):
    path = tif(tmp_path / "c.tif", np.array([[1, 2]], dtype=np.uint8))
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {1: (255, 0, 0, 255), 2: (0, 255, 0, 255)})
    assert read_raster(path).attrs["classes"] is True
    assert "classes" not in read_raster(path, classes=False).attrs


def test_ascii_grids_and_virtual_rasters_are_read(tmp_path):
    (tmp_path / "g.asc").write_text(
        "ncols 2\nnrows 2\nxllcorner 100\nyllcorner 200\ncellsize 10\nNODATA_value -9999\n1 2\n3 -9999\n"
    )
    raster = read_raster(tmp_path / "g.asc", crs="EPSG:32610")
    np.testing.assert_array_equal(raster, [[1, 2], [3, np.nan]])
    assert raster.y.values.tolist() == [215.0, 205.0]
    (tmp_path / "g.vrt").write_text(
        '<VRTDataset rasterXSize="2" rasterYSize="2"><SRS>EPSG:32610</SRS>'
        "<GeoTransform>100, 10, 0, 220, 0, -10</GeoTransform>"
        '<VRTRasterBand dataType="Float32" band="1"><NoDataValue>-9999</NoDataValue><SimpleSource>'
        '<SourceFilename relativeToVRT="1">g.asc</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>'
    )
    np.testing.assert_array_equal(read_raster(tmp_path / "g.vrt"), raster)


def test_a_web_address_is_read_in_place(tmp_path):
    tif(tmp_path / "web.tif", np.arange(6.0).reshape(2, 3))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with rasterio.Env(GDAL_HTTP_PROXY="", NO_PROXY="127.0.0.1"):
            raster = read_raster(f"http://127.0.0.1:{server.server_port}/web.tif?version=1")
            with pytest.raises(LinkwaysError, match="cannot read http"):
                read_raster(f"http://127.0.0.1:{server.server_port}/absent.tif")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert raster.name == "web"
    assert raster.values.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_an_overview_is_read_with_its_own_cells(tmp_path):
    path = tif(tmp_path / "o.tif", np.kron(np.arange(16.0).reshape(4, 4), np.ones((2, 2))))
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2], rasterio.enums.Resampling.average)
    raster = read_raster(path, overview=0)
    assert raster.values.tolist() == np.arange(16.0).reshape(4, 4).tolist()
    assert raster.x.values.tolist() == [1010.0, 1030.0, 1050.0, 1070.0]
    with pytest.raises(LinkwaysError, match=r"has no overview 3 \(it has levels 0 to 0\)"):
        read_raster(path, overview=3)


# --- windows ---------------------------------------------------------------------------------------------------


def test_a_window_holds_every_cell_it_touches(tmp_path):
    path = tif(tmp_path / "w.tif", np.arange(100.0).reshape(10, 10))
    raster = read_raster(path, bounds=(1011.0, 1962.0, 1030.0, 1980.0))
    assert raster.x.values.tolist() == [1015.0, 1025.0]
    assert raster.y.values.tolist() == [1975.0, 1965.0]
    assert raster.values.tolist() == [[21.0, 22.0], [31.0, 32.0]]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 120), min_size=2, max_size=2, unique=True), st.booleans())
def test_windows_agree_with_cutting_the_whole(tmp_path_factory, sides, shifted):
    path = tmp_path_factory.getbasetemp() / "cut.tif"
    if not path.exists():
        tif(path, np.arange(100.0).reshape(10, 10))
    low, high = (1000.0 + side + 0.25 * shifted for side in sorted(sides))
    whole = read_raster(path)
    touched = (whole.x + 5 > low) & (whole.x - 5 < high)
    if not touched.any():
        with pytest.raises(LinkwaysError, match="does not overlap cut"):
            read_raster(path, bounds=(low, 1900.0, high, 2000.0))
        return
    part = read_raster(path, bounds=(low, 1900.0, high, 2000.0))
    np.testing.assert_array_equal(part, whole.isel(x=touched.values))
    np.testing.assert_array_equal(part.x, whole.x[touched.values])


def test_a_window_across_the_antimeridian_has_longitudes_that_run_on(tmp_path):
    raster = read_raster(globe(tmp_path / "g.tif"), bounds=(165.0, -10.0, -155.0, 10.0))
    assert raster.x.values.tolist() == [165.0, 175.0, 185.0, 195.0, 205.0]
    assert raster.values[0].tolist() == [34.0, 35.0, 0.0, 1.0, 2.0]
    assert raster.shape == (2, 5)


def test_a_window_may_be_named_past_180_or_below_minus_180(tmp_path):
    path = globe(tmp_path / "g.tif")
    assert read_raster(path, bounds=(170.0, 0.0, 190.0, 10.0)).values[0].tolist() == [35.0, 0.0]
    west = read_raster(path, bounds=(-190.0, 0.0, -170.0, 10.0))
    assert west.values[0].tolist() == [35.0, 0.0]
    assert west.x.values.tolist() == [-185.0, -175.0]


def test_a_raster_from_0_to_360_gives_a_window_around_greenwich(tmp_path):
    raster = read_raster(globe(tmp_path / "g.tif", west=0.0), bounds=(-20.0, 0.0, 20.0, 10.0))
    assert raster.x.values.tolist() == [-15.0, -5.0, 5.0, 15.0]
    assert raster.values[0].tolist() == [34.0, 35.0, 0.0, 1.0]


def test_a_window_never_holds_a_column_twice(tmp_path):
    assert read_raster(globe(tmp_path / "g.tif"), bounds=(-175.0, 0.0, 185.0, 10.0)).shape == (1, 36)


def test_a_regional_raster_past_180_is_found_by_western_longitudes(tmp_path):
    path = tif(
        tmp_path / "p.tif", np.arange(8.0).reshape(1, 8), crs="EPSG:4326", transform=from_origin(160.0, 10, 10.0, 10.0)
    )
    raster = read_raster(path, bounds=(-170.0, 0.0, -150.0, 10.0))
    assert raster.values[0].tolist() == [3.0, 4.0]
    assert raster.x.values.tolist() == [-165.0, -155.0]


def test_two_windows_of_one_file_share_their_coordinates_exactly(tmp_path):
    path = tif(
        tmp_path / "c.tif", np.zeros((40, 40)), crs="EPSG:4326", transform=from_origin(-3.0, 9.0, 1 / 120, 1 / 120)
    )
    whole, part = read_raster(path), read_raster(path, bounds=(-2.9, 8.8, -2.7, 8.95))
    assert (whole + part).shape == part.shape


def test_the_window_of_another_raster_is_read_across_crs(tmp_path):
    path = globe(tmp_path / "g.tif", cell=0.5)
    like = new_raster(np.zeros((10, 10)), crs="EPSG:32631", cell_size=10_000.0, origin=(450_000.0, 100_000.0))
    west, south, east, north = read_raster(path, like=like).rio.bounds()
    # UTM 31: 450..550 km is 3 degrees east -0.45 .. +0.45, 0..100 km is 0 .. 0.9 degrees north.
    assert (west, south, east, north) == (2.0, -0.5, 4.0, 1.5)


def test_a_window_beside_the_raster_is_refused_with_its_extent(tmp_path):
    path = tif(tmp_path / "w.tif", np.zeros((10, 10)))
    with pytest.raises(LinkwaysError, match=r"does not overlap w, which covers \(1000.0, 1900.0, 1100.0, 2000.0\)"):
        read_raster(path, bounds=(0.0, 0.0, 10.0, 10.0))


@pytest.mark.parametrize("bounds", [(1050.0, 1950.0, 1020.0, 1960.0), (1020.0, 1960.0, 1050.0, 1950.0)])
def test_bounds_the_wrong_way_round_are_refused(tmp_path, bounds):
    with pytest.raises(LinkwaysError, match=r"must be \(west, south, east, north\)"):
        read_raster(tif(tmp_path / "w.tif", np.zeros((10, 10))), bounds=bounds)


# --- CRS -------------------------------------------------------------------------------------------------------


def test_a_wrong_crs_tag_is_replaced_and_the_log_says_so(tmp_path):
    path = tif(tmp_path / "m.tif", np.zeros((4, 8)), crs="EPSG:4267", transform=from_origin(-180, 90, 45, 45))
    with recording() as log:
        raster = read_raster(path, crs="EPSG:4326")
    assert raster.rio.crs.to_epsg() == 4326
    assert raster.x.values[0] == -157.5
    assert log == ["raster m: the file's CRS (EPSG:4267) replaced by EPSG:4326 as given"]


def test_origin_and_cell_size_can_be_given(tmp_path):
    path = tif(tmp_path / "m.tif", np.zeros((4, 8)), crs="EPSG:4326")
    raster = read_raster(path, origin=(-180.0, 90.0), cell_size=45.0)
    assert raster.rio.bounds() == (-180.0, -90.0, 180.0, 90.0)
    assert cell_geometry(raster).wraps


def test_a_file_without_any_georeference_needs_all_of_it(tmp_path):
    path = tmp_path / "plain.tif"
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        tif(path, np.zeros((2, 2)), crs=None, transform=Affine.identity())
    with pytest.raises(LinkwaysError, match="plain does not say where its cells lie"):
        read_raster(path, crs="EPSG:3035")
    raster = read_raster(path, crs="EPSG:3035", origin=(0.0, 20.0), cell_size=10.0)
    assert raster.y.values.tolist() == [15.0, 5.0]


def test_no_crs_is_refused_and_one_given_is_logged(tmp_path):
    path = tif(tmp_path / "n.tif", np.zeros((2, 2)), crs=None)
    with pytest.raises(LinkwaysError, match="n has no coordinate reference system; give one with crs="):
        read_raster(path)
    with recording() as log:
        read_raster(path, crs="EPSG:3035")
    assert log == ["raster n: the file has no CRS, EPSG:3035 as given"]


def test_a_crs_that_is_none_is_refused(tmp_path):
    with pytest.raises(LinkwaysError, match="'EPSG:99999999' is not a coordinate reference system"):
        read_raster(tif(tmp_path / "n.tif", np.zeros((2, 2))), crs="EPSG:99999999")


# --- refusals --------------------------------------------------------------------------------------------------


def test_a_missing_file_names_the_nearest_one(tmp_path):
    tif(tmp_path / "landcover.tif", np.zeros((2, 2)))
    with pytest.raises(LinkwaysError, match=r"did you mean 'landcover.tif'\?"):
        read_raster(tmp_path / "landcvoer.tif")
    with pytest.raises(LinkwaysError, match=r"the folder .* does not exist"):
        read_raster(tmp_path / "nowhere" / "landcover.tif")


def test_a_file_that_is_no_raster_is_refused(tmp_path):
    (tmp_path / "x.tif").write_text("hello")
    with pytest.raises(LinkwaysError, match="as a raster"):
        read_raster(tmp_path / "x.tif")


def test_a_truncated_raster_is_refused(tmp_path):
    path = tif(tmp_path / "x.tif", np.random.default_rng(0).random((200, 200)))
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(LinkwaysError, match=r"cells of x .* damaged or incomplete"):
        read_raster(path)


def test_a_rotated_raster_is_refused(tmp_path):
    path = tif(tmp_path / "r.tif", np.zeros((2, 2)), transform=Affine(9.0, -3.0, 0.0, 3.0, 9.0, 0.0))
    with pytest.raises(LinkwaysError, match="r is rotated; warp it"):
        read_raster(path)


# --- writing ---------------------------------------------------------------------------------------------------


def sample(values, **attrs):
    return new_raster(np.asarray(values), crs="EPSG:3035", cell_size=25.0, origin=(100.0, 400.0), name="s", attrs=attrs)


def test_what_is_written_comes_back_the_same(tmp_path):
    values = np.random.default_rng(1).normal(size=(70, 90))
    values[3, 4] = np.nan
    raster = sample(values, units="m", simulated=True, source="simulated: test")
    assert write_raster(raster, tmp_path / "s.tif") == tmp_path / "s.tif"
    back = read_raster(tmp_path / "s.tif")
    np.testing.assert_array_equal(back, raster)
    np.testing.assert_array_equal(back.x, raster.x)
    np.testing.assert_array_equal(back.y, raster.y)
    assert back.attrs == raster.attrs
    assert back.rio.crs == raster.rio.crs


@settings(max_examples=25, deadline=None)
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(-1e300, 1e300)),
    st.sampled_from([0.05, 1 / 120, 1 / 3, 0.25, 2.5]),
    st.floats(-100.0, 50.0),
)
def test_any_values_and_cells_come_back(tmp_path_factory, values, cell, west):
    path = tmp_path_factory.getbasetemp() / "any.tif"
    raster = new_raster(values, crs="EPSG:4326", cell_size=cell, origin=(west, 20.0))
    back = read_raster(write_raster(raster, path))
    np.testing.assert_array_equal(back, raster)
    np.testing.assert_allclose(back.x, raster.x, rtol=0, atol=1e-9)


def test_the_file_is_a_cloud_optimised_geotiff_with_overviews(tmp_path):
    values = np.kron(np.random.default_rng(1).random((256, 256)), np.ones((4, 4)))
    write_raster(sample(values), tmp_path / "s.tif")
    with rasterio.open(tmp_path / "s.tif") as dataset:
        structure = dataset.tags(ns="IMAGE_STRUCTURE")
        assert structure["LAYOUT"] == "COG"
        assert structure["COMPRESSION"] == "DEFLATE"
        assert dataset.overviews(1) == [2]
        assert np.isnan(dataset.nodata)
        assert dataset.profile["tiled"]
    # Overviews are means: of four equal cells, the same value.
    np.testing.assert_allclose(read_raster(tmp_path / "s.tif", overview=0), values[::2, ::2], rtol=1e-15)


@pytest.mark.parametrize(
    ("codes", "dtype", "fill"),
    [
        ([[0, 254]], "uint8", 255),
        ([[0, 255]], "int16", -32768),
        ([[-5, 3]], "int16", -32768),
        ([[0, 40000]], "uint16", 65535),
        ([[0, 65535]], "int32", -(2**31)),
    ],
)
def test_classes_are_written_as_the_smallest_integers_that_leave_room_for_nodata(tmp_path, codes, dtype, fill):
    raster = sample(np.array([[*codes[0], np.nan]]), classes=True, source="here")
    write_raster(raster, tmp_path / "c.tif")
    with rasterio.open(tmp_path / "c.tif") as dataset:
        assert (dataset.dtypes[0], dataset.nodata) == (dtype, fill)
    back = read_raster(tmp_path / "c.tif")
    np.testing.assert_array_equal(back, raster)
    assert back.attrs == raster.attrs


def test_values_that_are_not_whole_are_never_rounded_to_classes(tmp_path):
    raster = sample([[0.5, 1.0]], classes=True)
    with recording() as log:
        write_raster(raster, tmp_path / "c.tif")
    np.testing.assert_array_equal(read_raster(tmp_path / "c.tif"), raster)
    assert log == ["raster s: marked as classes but holds values that are not whole, written as continuous"]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64, np.float32])
def test_other_types_are_written_as_they_are(tmp_path, dtype):
    raster = sample(np.array([[0, 1], [1, 0]], dtype=dtype))
    write_raster(raster, tmp_path / "t.tif")
    np.testing.assert_array_equal(read_raster(tmp_path / "t.tif"), [[0, 1], [1, 0]])
    with rasterio.open(tmp_path / "t.tif") as dataset:
        assert dataset.dtypes[0] == ("uint8" if dtype is bool else np.dtype(dtype).name)


def test_south_up_rasters_are_written_north_up(tmp_path):
    raster = sample([[1.0, 2.0], [3.0, 4.0]])
    write_raster(raster.isel(y=slice(None, None, -1)), tmp_path / "t.tif")
    back = read_raster(tmp_path / "t.tif")
    np.testing.assert_array_equal(back, raster)
    np.testing.assert_array_equal(back.y, raster.y)


def test_unit_cells_at_the_origin_come_back_georeferenced(tmp_path):
    raster = new_raster(np.array([[1.0, 2.0], [3.0, 4.0]]), crs="EPSG:3035", cell_size=1.0)
    back = read_raster(write_raster(raster, tmp_path / "t.tif"))
    assert back.y.values.tolist() == [-0.5, -1.5]
    np.testing.assert_array_equal(back, raster)


def test_a_slice_is_written_where_it_lies(tmp_path):
    raster = sample(np.arange(20.0).reshape(4, 5)).isel(x=slice(1, 4), y=slice(2, 4))
    back = read_raster(write_raster(raster, tmp_path / "t.tif"))
    np.testing.assert_array_equal(back.x, raster.x)
    np.testing.assert_array_equal(back.y, raster.y)


def test_a_name_that_is_no_geotiff_is_refused(tmp_path):
    with pytest.raises(LinkwaysError, match=r"cannot tell the format of raster s.png: end the name with .tif"):
        write_raster(sample([[1.0, 2.0]]), tmp_path / "s.png")


def test_a_raster_without_crs_is_not_written(tmp_path):
    with pytest.raises(LinkwaysError, match="raster s has no coordinate reference system"):
        write_raster(sample([[1.0, 2.0], [1.0, 2.0]]).drop_vars("spatial_ref"), tmp_path / "s.tif")
    assert list(tmp_path.iterdir()) == []


def test_text_values_are_refused(tmp_path):
    with pytest.raises(LinkwaysError, match="convert them to numbers first"):
        write_raster(sample([["a", "b"], ["c", "d"]]), tmp_path / "s.tif")


def test_a_raster_like_another_takes_its_grid_and_not_its_attributes():
    template = sample([[1.0, 2.0], [3.0, 4.0]], units="m", classes=True)
    made = raster_like(np.ones((2, 2)), template, name="cost", units="resistance m")
    assert made.attrs == {"units": "resistance m"}
    assert made.name == "cost"
    np.testing.assert_array_equal(made.x, template.x)
    assert made.rio.crs == template.rio.crs
    assert template.values.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(LinkwaysError, match=r"cost has \(3, 2\) rows and columns, its template \(2, 2\)"):
        raster_like(np.ones((3, 2)), template, name="cost")


def test_an_array_that_is_no_table_of_rows_and_columns_is_refused():
    with pytest.raises(LinkwaysError, match="raster r has 3 dimensions; give rows and columns"):
        new_raster(np.zeros((2, 2, 2)), crs="EPSG:3035", cell_size=1.0, name="r")


def test_a_window_is_named_once(tmp_path):
    path = tif(tmp_path / "w.tif", np.zeros((4, 4)))
    with pytest.raises(LinkwaysError, match="give bounds or like to read_raster, not both"):
        read_raster(path, bounds=(1000.0, 1960.0, 1010.0, 1970.0), like=read_raster(path))


def test_a_raster_like_one_in_the_same_crs_is_read_on_its_window(tmp_path):
    path = tif(tmp_path / "w.tif", np.arange(16.0).reshape(4, 4))
    part = read_raster(path, bounds=(1010.0, 1960.0, 1030.0, 1980.0))
    np.testing.assert_array_equal(read_raster(path, like=part), part)


def test_a_file_of_several_layers_asks_for_one_of_them(tmp_path):
    from scipy.io import netcdf_file

    path = tmp_path / "climate.nc"
    with netcdf_file(path, "w") as file:
        for name, values in (("lat", [1.5, 0.5]), ("lon", [10.5, 11.5, 12.5])):
            file.createDimension(name, len(values))
            axis = file.createVariable(name, "f8", (name,))
            axis[:] = values
            axis.units = "degrees_north" if name == "lat" else "degrees_east"
        for name, value in (("rain", 1.0), ("heat", 2.0)):
            file.createVariable(name, "f8", ("lat", "lon"))[:] = value
    with pytest.raises(LinkwaysError, match=r"climate holds 2 layers; give the name of one of them .*:heat"):
        read_raster(path)
    heat = read_raster(f'NETCDF:"{path}":heat', crs="EPSG:4326")
    assert heat.values.tolist() == [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    assert heat.x.values.tolist() == [10.5, 11.5, 12.5]


def test_a_raster_of_one_row_keeps_its_cell(tmp_path):
    path = tif(tmp_path / "one.tif", np.array([[1.0, 2.0, 3.0]]))
    assert cell_geometry(read_raster(path)).area_m2.tolist() == [100.0]


def test_the_legend_of_a_class_raster_goes_into_the_file_and_comes_back(tmp_path):
    cover = new_raster(np.array([[1.0, 2.0]]), crs="EPSG:32631", cell_size=10, attrs={"classes": True})
    cover.attrs["class_names"] = {1: "forest", 2: "settlers' plots"}
    again = read_raster(write_raster(cover, tmp_path / "cover.tif"))
    assert again.attrs["class_names"] == {1: "forest", 2: "settlers' plots"}
