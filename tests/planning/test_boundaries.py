"""Shared edges whose lengths can be read off the drawing."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from pyproj import Geod
from shapely import box

from linkways.errors import LinkwaysError
from linkways.planning import boundaries
from linkways.spatial import new_raster


def layer(shapes, crs="EPSG:32736"):
    return gpd.GeoDataFrame({"unit": list("abcdef")[: len(shapes)]}, geometry=shapes, crs=crs)


def rows(table):
    return {(a, b): length for a, b, length in table.itertuples(index=False)}


def test_polygons_share_the_line_that_lies_in_both_though_their_corners_differ():
    wide, upper, lower = box(0, 0, 10, 30), box(10, 10, 20, 30), box(10, 0, 30, 10)
    found = rows(boundaries(layer([wide, upper, lower])))
    expected = {("a", "a"): 50, ("a", "b"): 20, ("a", "c"): 10, ("b", "b"): 30, ("b", "c"): 10, ("c", "c"): 40}
    assert found == pytest.approx(expected)


def test_corners_that_touch_share_no_edge_and_an_enclosed_unit_has_no_outer_one():
    ring = box(0, 0, 30, 30).difference(box(10, 10, 20, 20))
    found = rows(boundaries(layer([ring, box(10, 10, 20, 20), box(30, 30, 40, 40)])))
    assert found == pytest.approx({("a", "a"): 120, ("a", "b"): 40, ("c", "c"): 40})


def test_edges_in_degrees_are_measured_on_the_ellipsoid():
    found = rows(boundaries(layer([box(0, 60, 1, 61), box(1, 60, 2, 61)], "EPSG:4326")))
    assert found[("a", "b")] == pytest.approx(Geod(ellps="WGS84").line_length([1, 1], [60, 61]), rel=1e-9)


def test_feet_become_metres():
    found = rows(boundaries(layer([box(0, 0, 100, 100)], "EPSG:2263")))
    assert found[("a", "a")] == pytest.approx(400 * 1200 / 3937)


def test_cells_share_their_sides_and_are_named_by_their_number():
    cells = new_raster(np.array([[1, np.nan], [1, 1]]), crs="EPSG:32736", cell_size=(10.0, 30.0))
    assert rows(boundaries(cost=cells)) == pytest.approx({(0, 0): 70, (0, 2): 10, (2, 2): 40, (2, 3): 30, (3, 3): 50})


def test_cells_and_the_same_squares_agree():
    values = np.ones((3, 4))
    values[1, 2] = np.nan
    cells = new_raster(values, crs="EPSG:32736", cell_size=25.0, origin=(0, 75))
    shapes, names = [], []
    for row in range(3):
        for column in range(4):
            if values[row, column] == 1:
                shapes.append(box(25 * column, 75 - 25 * row - 25, 25 * column + 25, 75 - 25 * row))
                names.append(4 * row + column)
    squares = gpd.GeoDataFrame({"unit": names}, geometry=shapes, crs="EPSG:32736")
    pd.testing.assert_frame_equal(boundaries(squares), boundaries(cost=cells), check_dtype=False)


def test_sides_of_cells_in_degrees_are_near_those_on_the_ellipsoid():
    cells = new_raster(np.ones((3, 2)), crs="EPSG:4326", cell_size=0.1, origin=(10.0, 60.0))
    found = rows(boundaries(cost=cells))
    geod = Geod(ellps="WGS84")
    assert found[(0, 2)] == pytest.approx(geod.line_length([10, 10.1], [59.9, 59.9]), rel=1e-5)
    assert found[(2, 3)] == pytest.approx(geod.line_length([10, 10], [59.8, 59.9]), rel=1e-4)


def test_what_cannot_be_measured_is_refused():
    one = layer([box(0, 0, 1, 1), box(1, 0, 2, 1)])
    with pytest.raises(LinkwaysError, match="either units"):
        boundaries()
    with pytest.raises(LinkwaysError, match="no column 'unit'"):
        boundaries(one.drop(columns="unit"))
    with pytest.raises(LinkwaysError, match="the unit a twice"):
        boundaries(one.assign(unit="a"))
    with pytest.raises(LinkwaysError, match="no cell with a value"):
        boundaries(cost=new_raster(np.full((2, 2), np.nan), crs="EPSG:32736", cell_size=1.0))
