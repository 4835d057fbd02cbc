import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from pyproj import Geod

from linkways import LinkwaysError, corridors

from .conftest import cell_boxes, degrees, planar


def test_blocks_are_numbered_from_the_largest_with_area_and_quality():
    habitat = np.zeros((4, 8))
    habitat[0, 0] = 0.6
    habitat[1:3, 4:7] = 0.9
    habitat[2, 6] = 0.6
    found = corridors.cores(planar(habitat, cell_m=1000))
    assert found.core.tolist() == [1, 2]
    assert found.area_km2.tolist() == [6, 1]
    assert found.quality.tolist() == [pytest.approx((5 * 0.9 + 0.6) / 6), pytest.approx(0.6)]
    assert found.geometry.area.tolist() == [6e6, 1e6]


def test_diagonal_cells_are_one_block_with_eight_neighbours_and_two_with_four():
    habitat = planar([[1, 0], [0, 1]])
    assert len(corridors.cores(habitat)) == 1
    assert len(corridors.cores(habitat, neighbours=4)) == 2


def test_blocks_under_the_minimum_area_are_left_out():
    habitat = planar([[1, 1, 0, 1]], cell_m=1000)
    assert corridors.cores(habitat, min_area_km2=2).area_km2.tolist() == [2]


def test_a_neck_narrower_than_the_minimum_width_parts_two_cores():
    habitat = np.zeros((9, 21))
    habitat[1:8, 1:8] = habitat[1:8, 13:20] = 1
    habitat[4, 8:13] = 1  # one cell wide
    raster = planar(habitat, cell_m=1000)
    assert len(corridors.cores(raster)) == 1
    parted = corridors.cores(raster, min_width_km=3)
    assert len(parted) == 2
    assert (parted.area_km2 <= 49).all()
    assert (parted.area_km2 >= 45).all()  # a disk cannot fill the corners of a square


def test_a_quality_raster_is_averaged_over_each_core():
    habitat = planar([[1, 1, 0, 1]])
    quality = planar([[0.2, 0.4, 9, 0.8]])
    assert corridors.cores(habitat, quality=quality).quality.tolist() == pytest.approx([0.3, 0.8])


def test_areas_on_degrees_are_those_of_the_ellipsoid():
    raster = degrees(np.ones((2, 2)), west=30, north=60, step=1)
    found = corridors.cores(raster)
    geod = Geod(ellps="WGS84")
    lon, lat = np.linspace(30, 32, 2001), np.linspace(58, 60, 3)
    ring_x = np.concatenate([lon, np.full(3, 32), lon[::-1], np.full(3, 30)])
    ring_y = np.concatenate([np.full(2001, 58), lat, np.full(2001, 60), lat[::-1]])
    area = abs(geod.polygon_area_perimeter(ring_x, ring_y)[0]) / 1e6
    assert found.area_km2[0] == pytest.approx(area, rel=1e-6)


def test_given_polygons_keep_their_numbers_and_columns():
    raster = planar(np.ones((4, 4)), cell_m=1000)
    polygons = cell_boxes(raster, [(0, 0, 2, 2), (3, 3)], core=[12, 5], name=["north", "south"])
    found = corridors.cores(polygons=polygons, quality=raster, min_area_km2=0.5)
    assert found.core.tolist() == [5, 12]
    assert found.area_km2.tolist() == [1, 4]
    assert found.quality.tolist() == [1, 1]
    assert found.name.tolist() == ["south", "north"]


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=10)))
def test_core_areas_add_up_to_the_habitat(habitat):
    if not habitat.any():
        return
    found = corridors.cores(planar(habitat.astype(float), cell_m=1000))
    assert found.area_km2.sum() == pytest.approx(habitat.sum())
    assert found.geometry.area.sum() == pytest.approx(habitat.sum() * 1e6)


def test_blocks_join_across_the_seam_of_a_global_grid():
    values = np.zeros((2, 36))
    values[0, 0] = values[0, -1] = 1
    assert len(corridors.cores(degrees(values, west=-180, north=10, step=10))) == 1


def test_nothing_large_enough_is_refused_with_the_largest_block():
    with pytest.raises(LinkwaysError, match=r"no habitat block reaches 5 km2 \(the largest has 1 km2"):
        corridors.cores(planar([[1.0, 0]], cell_m=1000), min_area_km2=5)


def test_habitat_and_polygons_together_are_refused():
    raster = planar(np.ones((2, 2)))
    with pytest.raises(LinkwaysError, match="either habitat"):
        corridors.cores(raster, cell_boxes(raster, [(0, 0)]))
    with pytest.raises(LinkwaysError, match="either habitat"):
        corridors.cores()
