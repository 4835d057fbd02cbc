"""Habitat patches from rasters, whole and by blocks, and from polygons."""

from contextlib import contextmanager

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyproj import Geod
from rasterio.features import rasterize
from scipy.ndimage import label

from linkways import networks, spatial
from linkways.errors import LinkwaysError
from linkways.spatial import blocks

MASKS = arrays(bool, st.tuples(st.integers(2, 14), st.integers(2, 14)), elements=st.booleans()).filter(np.any)


def raster(values, *, cell_size=100, crs="EPSG:3035", origin=(4_000_000, 3_000_000), **attrs):
    return spatial.new_raster(np.asarray(values, float), crs=crs, cell_size=cell_size, origin=origin, attrs=attrs)


def polygons(*shapes, crs="EPSG:3035", **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


@contextmanager
def blocks_of(cells):
    """Rasters are looked at in blocks of about so many cells."""
    before, blocks.BLOCK_CELLS = blocks.BLOCK_CELLS, cells
    try:
        yield
    finally:
        blocks.BLOCK_CELLS = before


def by_scipy(mask, neighbours):
    return label(mask, structure=np.ones((3, 3)) if neighbours == 8 else None)


# --- from rasters ------------------------------------------------------------------------------------------------


def test_cells_that_touch_by_a_corner_are_one_patch_or_two():
    habitat = raster([[1, 0, 0], [0, 1, 0], [0, 0, 0]])
    assert len(networks.patches(habitat, neighbours=8)) == 1
    assert len(networks.patches(habitat, neighbours=4)) == 2


def test_patches_are_numbered_by_their_first_cells_from_the_north_west():
    habitat = raster([[0, 0, 1, 0, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 1]])
    cells = networks.patch_raster(habitat).fillna(0).values
    np.testing.assert_array_equal(cells, [[0, 0, 1, 0, 2], [3, 0, 1, 0, 0], [0, 0, 0, 0, 4]])
    assert networks.patches(habitat).patch.tolist() == [1, 2, 3, 4]
    assert networks.patches(habitat).area_ha.tolist() == [2.0, 1.0, 1.0, 1.0]


def test_small_patches_are_left_out_and_the_others_numbered_without_gaps():
    habitat = raster([[1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 0]])
    found = networks.patches(habitat, neighbours=4, min_area_ha=2)
    assert found.patch.tolist() == [1, 2]
    assert found.area_ha.tolist() == [3.0, 2.0]
    cells = networks.patch_raster(habitat, neighbours=4, min_area_ha=2).fillna(0).values
    np.testing.assert_array_equal(cells, [[0, 0, 1, 1], [0, 0, 1, 0], [2, 2, 0, 0]])


def test_habitat_may_be_some_classes_of_a_land_cover():
    cover = raster([[3, 7, 7], [5, 1, 1], [5, 5, np.nan]], classes=True)
    found = networks.patches(land_cover=cover, classes=[3, 5])
    assert found.area_ha.tolist() == [4.0]


def test_the_attribute_is_area_times_the_mean_quality_of_the_cells_that_have_one():
    habitat = raster([[1, 1, 0, 1]])
    quality = raster([[0.2, np.nan, 0.9, 0.5]])
    found = networks.patches(habitat, quality=quality)
    assert found.area_ha.tolist() == [2.0, 1.0]
    assert found.attribute.tolist() == pytest.approx([0.4, 0.5])


def test_areas_of_degrees_are_those_of_the_ellipsoid():
    habitat = raster(np.ones((4, 3)), crs="EPSG:4326", cell_size=0.5, origin=(10, 61))
    expected = sum(
        abs(Geod(ellps="WGS84").geometry_area_perimeter(shapely.segmentize(shapely.box(10, y, 11.5, y + 0.5), 1e-3))[0])
        for y in (59.0, 59.5, 60.0, 60.5)
    )
    assert networks.patches(habitat).area_ha[0] * 1e4 == pytest.approx(expected, rel=1e-8)


def test_a_patch_across_the_antimeridian_of_a_global_grid_is_one():
    values = np.zeros((18, 36))
    values[3, 0] = values[2, -1] = values[9, 5] = 1
    world = raster(values, crs="EPSG:4326", cell_size=10, origin=(-180, 90))
    for cells in (2**20, 36):
        with blocks_of(cells):
            assert len(networks.patches(world, neighbours=8)) == 2
            assert len(networks.patches(world, neighbours=4)) == 3


@settings(deadline=None)
@given(MASKS, st.sampled_from([4, 8]), st.sampled_from([1, 20, 10_000]))
def test_numbers_and_areas_are_those_of_scipy_in_blocks_of_any_height(mask, neighbours, cells):
    with blocks_of(cells):
        habitat = raster(mask)
        found = networks.patches(habitat, neighbours=neighbours)
        numbers = networks.patch_raster(habitat, neighbours=neighbours).fillna(0).values
    expected, count = by_scipy(mask, neighbours)
    np.testing.assert_array_equal(numbers, expected)
    assert found.area_ha.tolist() == pytest.approx(np.bincount(expected.ravel(), minlength=count + 1)[1:].tolist())


@settings(deadline=None)
@given(MASKS, st.sampled_from([4, 8]), st.sampled_from([1, 40, 10_000]))
def test_outlines_are_valid_and_hold_exactly_the_cells_of_their_patch(mask, neighbours, cells):
    with blocks_of(cells):
        found = networks.patches(raster(mask), neighbours=neighbours)
    assert found.geometry.is_valid.all()
    np.testing.assert_allclose(found.geometry.area / 1e4, found.area_ha)
    corner = spatial.grid_of(raster(mask)).transform
    drawn = rasterize(zip(found.geometry, found.patch, strict=True), mask.shape, transform=corner)
    np.testing.assert_array_equal(drawn, by_scipy(mask, neighbours)[0])


@settings(deadline=None)
@given(MASKS, st.integers(0, 2**32 - 1))
def test_mean_quality_does_not_depend_on_the_blocks(mask, seed):
    quality = raster(np.random.default_rng(seed).random(mask.shape))
    with blocks_of(1):
        by_rows = networks.patches(raster(mask), quality=quality)
    whole = networks.patches(raster(mask), quality=quality)
    np.testing.assert_allclose(by_rows.attribute, whole.attribute)
    numbers, count = by_scipy(mask, 8)
    means = [quality.values[numbers == k].mean() for k in range(1, count + 1)]
    np.testing.assert_allclose(whole.attribute, whole.area_ha * means)


def test_a_file_that_is_not_read_gives_the_patches_of_one_that_is(tmp_path):
    rng = np.random.default_rng(5)
    values = (rng.random((300, 200)) < 0.4).astype(float)
    spatial.write_raster(raster(values), tmp_path / "habitat.tif")
    with blocks_of(200 * 32):
        left = spatial.read_raster(tmp_path / "habitat.tif", lazy=True)
        found, numbers = networks.patches(left, min_area_ha=3), networks.patch_raster(left, min_area_ha=3)
        assert spatial.is_deferred(numbers)
        spatial.write_raster(numbers, tmp_path / "patches.tif")
    expected = networks.patches(raster(values), min_area_ha=3)
    assert found.area_ha.tolist() == expected.area_ha.tolist()
    assert shapely.equals(found.geometry.to_numpy(), expected.geometry.to_numpy()).all()
    written = spatial.read_raster(tmp_path / "patches.tif")
    np.testing.assert_array_equal(written.values, networks.patch_raster(raster(values), min_area_ha=3).values)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give one of habitat, land_cover or polygons"),
        ({"habitat": raster([[1]]), "land_cover": raster([[1]])}, "give one of habitat"),
        ({"land_cover": raster([[1]])}, "land_cover needs classes"),
        ({"habitat": raster([[1]]), "classes": [1]}, "classes are those of a land cover"),
        ({"habitat": raster([[0, 0.2]])}, "no cell is habitat"),
        ({"habitat": raster([[1, 0]]), "min_area_ha": 5}, r"no patch reaches 5 ha \(the largest has 1 ha\)"),
        ({"habitat": raster([[1, 0]]), "quality": raster([[-0.5, 1]])}, "quality is negative on habitat .least -0.5."),
        ({"habitat": raster([[1, 0]]), "quality": raster([[np.nan, 1]])}, "1 patches have no quality .* first patch 1"),
        ({"habitat": raster([[1]]), "attribute": "size"}, "attribute names a column of polygons"),
        ({"habitat": raster([[1, 1]], cell_size=0.008, origin=(10, 50))}, "its bounds look like degrees"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, message):
    with pytest.raises(LinkwaysError, match=message):
        networks.patches(**given)


# --- from polygons -----------------------------------------------------------------------------------------------

SQUARE = shapely.box(4_000_000, 3_000_000, 4_000_100, 3_000_100)
BESIDE = shapely.box(4_000_100, 3_000_000, 4_000_300, 3_000_100)
ACROSS = shapely.box(4_000_050, 3_000_000, 4_000_150, 3_000_100)
BOWTIE = shapely.Polygon([(4e6, 3e6), (4e6 + 100, 3e6 + 100), (4e6 + 100, 3e6), (4e6, 3e6 + 100)])


def test_polygons_keep_their_numbers_and_fields_and_get_area_and_attribute():
    found = networks.patches(polygons=polygons(SQUARE, BESIDE, patch=["north", "south"], owner=["a", "b"]))
    assert found.columns.tolist() == ["patch", "area_ha", "attribute", "owner", "geometry"]
    assert found.patch.tolist() == ["north", "south"]
    assert found.area_ha.tolist() == found.attribute.tolist() == [1.0, 2.0]


def test_the_attribute_of_polygons_may_be_a_column_or_come_from_quality():
    given = polygons(SQUARE, BESIDE, carrying=[3, 0])
    assert networks.patches(polygons=given, attribute="carrying").attribute.tolist() == [3.0, 0.0]
    quality = raster([[0.5, 0.2, 0.4]], origin=(4_000_000, 3_000_100))
    assert networks.patches(polygons=given, quality=quality).attribute.tolist() == pytest.approx([0.5, 0.6])


def test_areas_of_polygons_with_holes_in_degrees_are_geodesic():
    shell, hole = shapely.box(10, 50, 11, 51), shapely.box(10.2, 50.2, 10.4, 50.4)
    found = networks.patches(polygons=polygons(shell.difference(hole), crs="EPSG:4326"))
    area = [abs(Geod(ellps="WGS84").geometry_area_perimeter(shape)[0]) for shape in (shell, hole)]
    assert found.area_ha[0] * 1e4 == pytest.approx(area[0] - area[1], rel=1e-12)


def test_units_that_are_not_metres_are_converted():
    feet = networks.patches(polygons=polygons(shapely.box(1e6, 1e6, 1e6 + 1000, 1e6 + 1000), crs="EPSG:2263"))
    assert feet.area_ha[0] == pytest.approx(1e6 * (1200 / 3937) ** 2 / 1e4, rel=1e-12)


def test_polygons_that_overlap_are_refused_or_made_one_with_a_note():
    given = polygons(SQUARE, BESIDE, ACROSS, patch=[7, 8, 9], carrying=[1.0, 2.0, 4.0])
    with pytest.raises(LinkwaysError, match="2 pairs of polygons overlap, most of all patches 7 and 9"):
        networks.patches(polygons=given)
    with spatial.recording() as notes:
        found = networks.patches(polygons=given, overlaps="dissolve", attribute="carrying")
    assert found.patch.tolist() == [7]
    assert found.area_ha.tolist() == [3.0]
    assert found.attribute.tolist() == [7.0]
    assert "3 features dissolved to 1 patches" in notes[0]
    people = networks.patches(polygons=given.assign(people=[10, 20, 30]), overlaps="dissolve", attribute="people")
    assert people.attribute.tolist() == [60.0]
    assert networks.patches(polygons=given, overlaps="keep").area_ha.tolist() == [1.0, 2.0, 1.0]


def test_polygons_that_touch_do_not_overlap_nor_do_borders_drawn_twice():
    nearly = shapely.box(4_000_099.9999, 3_000_000, 4_000_300, 3_000_100)
    assert len(networks.patches(polygons=polygons(SQUARE, BESIDE))) == 2
    assert len(networks.patches(polygons=polygons(SQUARE, nearly))) == 2


def test_invalid_polygons_are_made_valid_with_a_note_or_refused():
    with spatial.recording() as notes:
        found = networks.patches(polygons=polygons(BOWTIE))
    assert found.geometry.is_valid.all()
    assert found.area_ha[0] == pytest.approx(0.5)
    assert "1 invalid polygons made valid, first patch 1 (Self-intersection" in notes[0]
    with pytest.raises(LinkwaysError, match=r"1 invalid polygons, first patch 1 \(Self-intersection"):
        networks.patches(polygons=polygons(BOWTIE), invalid="refuse")


@pytest.mark.parametrize(
    ("layer", "given", "message"),
    [
        (polygons(SQUARE, patch=[1])[:0], {}, "holds no features"),
        (polygons(SQUARE, BESIDE, patch=[1, 1]), {}, "1 stands for two features in column patch"),
        (polygons(SQUARE, BESIDE, patch=[1, None]), {}, "row 1: column patch is empty"),
        (polygons(SQUARE, size=[-2.0]), {"attribute": "size"}, "size is negative or no number, first patch 1 .-2.0."),
        (polygons(SQUARE, size=["x"]), {"attribute": "size"}, "negative or no number"),
        (polygons(SQUARE), {"attribute": "siez"}, "no column 'siez'"),
        (polygons(shapely.box(8.1, 47.2, 8.3, 47.4)), {}, "look like degrees, but a CRS in metres"),
        (polygons(SQUARE, crs="EPSG:4326"), {}, "which are no degrees"),
        (polygons(SQUARE), {"min_area_ha": 3}, "no polygon reaches 3 ha"),
        (polygons(SQUARE), {"classes": [1]}, "classes are those of a land cover"),
        (gpd.GeoDataFrame(geometry=[SQUARE]), {}, "has no CRS"),
    ],
)
def test_polygons_that_cannot_be_meant_are_refused(layer, given, message):
    with pytest.raises(LinkwaysError, match=message):
        networks.patches(polygons=layer, **given)
