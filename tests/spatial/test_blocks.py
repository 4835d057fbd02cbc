"""Rasters that stay in their file, or are computed when asked for: read by windows, written by blocks."""

import pickle

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from linkways import spatial
from linkways.spatial import blocks


@pytest.fixture
def file(tmp_path):
    """A file of 70 x 50 cells, tiles of 16, some without data."""
    path = tmp_path / "cover.tif"
    values = np.random.default_rng(1).integers(0, 9, (70, 50)).astype(np.uint8)
    profile = {
        "driver": "GTiff", "height": 70, "width": 50, "count": 1, "dtype": "uint8", "nodata": 0, "crs": "EPSG:3035",
        "transform": from_origin(4e6, 3e6, 30, 30), "tiled": True, "blockxsize": 16, "blockysize": 16,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values, 1)
    return path


@pytest.mark.parametrize("classes", [True, False])
def test_a_raster_left_in_its_file_has_the_same_cells_and_coordinates(file, classes):
    held = spatial.read_raster(file, classes=classes)
    left = spatial.read_raster(file, classes=classes, lazy=True)
    assert spatial.is_deferred(left)
    assert not spatial.is_deferred(held)
    assert left.dtype == held.dtype
    assert spatial.same_grid(left, held)
    np.testing.assert_array_equal(left.values, held.values)
    assert spatial.is_deferred(left)  # reading does not keep


@pytest.mark.parametrize("key", [(slice(3, 40), slice(5, 9)), (7, slice(None)), (slice(60, 10, -7), 3), (0, 0)])
def test_parts_of_a_raster_left_in_its_file_are_those_of_the_whole(file, key):
    held, left = spatial.read_raster(file), spatial.read_raster(file, lazy=True)
    np.testing.assert_array_equal(left[key].values, held.values[key])


def test_only_the_rows_asked_for_are_read(file, monkeypatch):
    from linkways.spatial import rasters

    asked = []
    read = rasters._read_window
    monkeypatch.setattr(rasters, "_read_window", lambda *given: asked.append(given[3:5]) or read(*given))
    spatial.block_values(spatial.read_raster(file, lazy=True), range(32, 48))
    assert asked == [(range(32, 48), range(50))]


def test_windows_and_files_that_run_from_the_south_are_turned_alike(tmp_path):
    path = tmp_path / "south_up.tif"
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    profile = {"driver": "GTiff", "height": 4, "width": 3, "count": 1, "dtype": "float32", "crs": "EPSG:3035"}
    with rasterio.open(path, "w", transform=rasterio.Affine(10, 0, 0, 0, 10, 0), **profile) as dataset:
        dataset.write(values, 1)
    left = spatial.read_raster(path, lazy=True)
    np.testing.assert_array_equal(left.values, values[::-1])
    np.testing.assert_array_equal(spatial.block_values(left, range(1, 2)), values[2:3])
    window = spatial.read_raster(path, bounds=(10, 0, 30, 20), lazy=True)
    np.testing.assert_array_equal(window.values, spatial.read_raster(path, bounds=(10, 0, 30, 20)).values)


def test_rasters_beyond_the_size_that_is_held_stay_in_their_file(file, monkeypatch):
    from linkways.spatial import rasters

    monkeypatch.setattr(rasters, "HELD_CELLS", 3000)
    assert spatial.is_deferred(spatial.read_raster(file))
    assert not spatial.is_deferred(spatial.read_raster(file, bounds=(4e6, 3e6 - 300, 4e6 + 300, 3e6)))
    assert not spatial.is_deferred(spatial.read_raster(file, lazy=False))


def test_a_raster_left_in_its_file_is_found_from_another_folder_and_another_process(file, tmp_path, monkeypatch):
    monkeypatch.chdir(file.parent)
    left = spatial.read_raster(file.name, lazy=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    sent = pickle.loads(pickle.dumps(left))
    np.testing.assert_array_equal(sent.values, spatial.read_raster(file).values)


def test_blocks_are_whole_tiles_and_cover_every_row_once(file):
    left = spatial.read_raster(file, lazy=True)
    found = spatial.row_blocks(left, cells=50 * 20)
    assert [(rows.start, rows.stop) for rows in found] == [(0, 16), (16, 32), (32, 48), (48, 64), (64, 70)]
    held = spatial.read_raster(file)
    assert [len(rows) for rows in spatial.row_blocks(held, cells=50 * 20)] == [20, 20, 20, 10]


def test_a_computed_raster_computes_the_window_asked_for(file):
    asked = []

    def window(rows, columns):
        asked.append((rows, columns))
        return np.add.outer(np.array(rows), np.array(columns)).astype(float)

    template = spatial.read_raster(file)
    raster = spatial.computed_raster(template, window, dtype=float, name="sums", block_rows=16)
    assert spatial.same_grid(raster, template)
    assert float(raster[10, 20]) == 30.0
    assert asked == [(range(10, 11), range(20, 21))]


@pytest.mark.parametrize("classes", [True, False])
def test_a_raster_written_by_blocks_comes_back_as_one_written_at_once(file, tmp_path, monkeypatch, classes):
    monkeypatch.setattr(blocks, "BLOCK_CELLS", 600)  # blocks of one row of tiles
    held = spatial.read_raster(file, classes=classes)
    spatial.write_raster(spatial.read_raster(file, classes=classes, lazy=True), tmp_path / "by_blocks.tif")
    again = spatial.read_raster(tmp_path / "by_blocks.tif", classes=classes)
    np.testing.assert_array_equal(again.values, held.values)
    assert spatial.same_grid(again, held)
    with rasterio.open(tmp_path / "by_blocks.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["by_blocks.tif", "cover.tif"]


def test_codes_are_stored_in_the_type_that_the_raster_names(file, tmp_path):
    template = spatial.read_raster(file)
    values = np.where(template.values > 4, 7.0, np.nan)
    raster = spatial.computed_raster(
        template, lambda rows, columns: values[rows.start : rows.stop, columns.start : columns.stop],
        dtype=float, name="codes", block_rows=16, attrs={"classes": True, "units": "-"}, stored=(np.uint8, 0),
    )  # fmt: skip
    spatial.write_raster(raster, tmp_path / "codes.tif")
    with rasterio.open(tmp_path / "codes.tif") as dataset:
        assert (dataset.dtypes[0], dataset.nodata) == ("uint8", 0)
    again = spatial.read_raster(tmp_path / "codes.tif")
    assert again.attrs["classes"] is True
    assert again.attrs["units"] == "-"
    np.testing.assert_array_equal(again.values, values)


def test_nothing_is_left_when_a_block_cannot_be_computed(file, tmp_path):
    def window(rows, columns):
        raise spatial_error

    spatial_error = RuntimeError("no such rows")
    raster = spatial.computed_raster(spatial.read_raster(file), window, dtype=float, name="x", block_rows=16)
    with pytest.raises(RuntimeError, match="no such rows"):
        spatial.write_raster(raster, tmp_path / "x.tif")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["cover.tif"]
