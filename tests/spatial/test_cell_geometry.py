"""Steps and areas of cells against geodesics, integrals over the ellipsoid and known totals."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from scipy.integrate import quad

from linkways.errors import LinkwaysError
from linkways.spatial import cell_geometry, new_raster

A = 6378137.0
F = 1 / 298.257223563
E2 = F * (2 - F)


def meridian_radius(latitude: float) -> float:
    return A * (1 - E2) / (1 - E2 * np.sin(latitude) ** 2) ** 1.5


def parallel_radius(latitude: float) -> float:
    return A * np.cos(latitude) / np.sqrt(1 - E2 * np.sin(latitude) ** 2)


def degrees_raster(rows, columns, cell, origin, crs="EPSG:4326"):
    return new_raster(np.zeros((rows, columns)), crs=crs, cell_size=cell, origin=origin, name="grid")


@pytest.mark.parametrize("latitude", [0.0, 45.0, -45.0, 80.0])
def test_steps_are_geodesics_between_cell_centres(latitude):
    raster = degrees_raster(2, 3, (0.5, 0.25), (10.0, latitude + 0.25))
    geometry = cell_geometry(raster)
    geod = Geod(ellps="WGS84")
    north, south = latitude + 0.125, latitude - 0.125
    assert geometry.east_west_m == pytest.approx([geod.inv(0, lat, 0.5, lat)[2] for lat in (north, south)], rel=1e-12)
    assert geometry.north_south_m == pytest.approx([geod.inv(0, north, 0, south)[2]], rel=1e-12)
    assert geometry.diagonal_m == pytest.approx([geod.inv(0, north, 0.5, south)[2]], rel=1e-12)


def test_steps_along_the_equator_are_arcs_of_the_equatorial_circle():
    geometry = cell_geometry(degrees_raster(1, 4, 0.1, (0.0, 0.05)))
    assert geometry.east_west_m[0] == pytest.approx(A * np.radians(0.1), rel=1e-12)


@pytest.mark.parametrize("latitude", [0.0, 45.0, 80.0])
def test_steps_to_the_north_are_the_integral_of_the_meridian_radius(latitude):
    geometry = cell_geometry(degrees_raster(2, 2, 1.0, (0.0, latitude + 1.0)))
    length, _ = quad(meridian_radius, np.radians(latitude - 0.5), np.radians(latitude + 0.5))
    assert geometry.north_south_m[0] == pytest.approx(length, rel=1e-10)


@pytest.mark.parametrize("south", [-90.0, -30.0, 0.0, 44.0, 80.0, 89.0])
def test_areas_are_the_integral_over_the_ellipsoid(south):
    geometry = cell_geometry(degrees_raster(1, 2, 1.0, (0.0, south + 1.0)))
    area, _ = quad(
        lambda p: meridian_radius(p) * parallel_radius(p) * np.radians(1.0), np.radians(south), np.radians(south + 1)
    )
    assert geometry.area_m2[0] == pytest.approx(area, rel=1e-10)


@pytest.mark.parametrize("south", [0.0, 45.0, 80.0])
def test_areas_agree_with_geodesic_polygons_that_follow_the_parallels(south):
    geometry = cell_geometry(degrees_raster(1, 2, 1.0, (0.0, south + 1.0)))
    along = np.linspace(0.0, 1.0, 2001)
    longitudes = np.concatenate([along, along[::-1]])
    latitudes = np.concatenate([np.full(2001, south), np.full(2001, south + 1.0)])
    area, _ = Geod(ellps="WGS84").polygon_area_perimeter(longitudes, latitudes)
    assert geometry.area_m2[0] == pytest.approx(area, rel=1e-8)


def test_a_global_grid_has_the_surface_of_the_ellipsoid():
    geometry = cell_geometry(degrees_raster(180, 360, 1.0, (-180.0, 90.0)))
    # Surface of WGS 84 (Moritz, 1980, for GRS 80: 510 065 621.7 km2).
    assert geometry.area_km2.sum() * 360 == pytest.approx(510_065_621.724, rel=1e-11)


def test_a_global_grid_on_a_sphere_has_four_pi_r_squared():
    crs = "+proj=longlat +R=6371000 +no_defs"
    geometry = cell_geometry(degrees_raster(36, 72, 5.0, (-180.0, 90.0), crs))
    assert geometry.area_m2.sum() * 72 == pytest.approx(4 * np.pi * 6371000.0**2, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.floats(-89.0, 80.0), st.integers(1, 40), st.floats(0.01, 5.0))
def test_the_area_of_a_band_does_not_depend_on_how_many_rows_it_is_cut_into(south, rows, width):
    whole = cell_geometry(degrees_raster(1, 2, (width, 9.0), (0.0, south + 9.0)))
    cut = cell_geometry(degrees_raster(rows, 2, (width, 9.0 / rows), (0.0, south + 9.0)))
    assert cut.area_m2.sum() == pytest.approx(whole.area_m2[0], rel=1e-9)


def test_a_diagonal_is_longer_than_either_side_and_shorter_than_both():
    geometry = cell_geometry(degrees_raster(179, 10, 1.0, (0.0, 89.5)))
    sides = np.maximum(geometry.east_west_m[1:], geometry.east_west_m[:-1])
    assert (geometry.diagonal_m > geometry.north_south_m).all()
    assert (geometry.diagonal_m < geometry.north_south_m + sides).all()


def test_rows_may_run_from_south_to_north():
    north_up = degrees_raster(5, 4, 2.0, (0.0, 60.0))
    south_up = north_up.isel(y=slice(None, None, -1))
    assert cell_geometry(south_up).area_m2 == pytest.approx(cell_geometry(north_up).area_m2[::-1], rel=1e-12)
    assert cell_geometry(south_up).diagonal_m == pytest.approx(cell_geometry(north_up).diagonal_m[::-1], rel=1e-12)


def test_a_slice_keeps_its_own_latitudes():
    raster = degrees_raster(10, 4, 1.0, (0.0, 60.0))
    whole, part = cell_geometry(raster), cell_geometry(raster.isel(y=slice(4, 8)))
    assert part.area_m2 == pytest.approx(whole.area_m2[4:8], rel=1e-12)


def test_metres_stay_metres_on_a_projected_crs():
    geometry = cell_geometry(degrees_raster(3, 4, (30.0, 40.0), (0.0, 0.0), "EPSG:3035"))
    assert geometry.east_west_m.tolist() == [30.0] * 3
    assert geometry.north_south_m.tolist() == [40.0] * 2
    assert geometry.diagonal_m.tolist() == [50.0] * 2
    assert geometry.area_m2.tolist() == [1200.0] * 3
    assert not geometry.wraps


def test_us_survey_feet_become_metres():
    geometry = cell_geometry(degrees_raster(2, 2, 3937.0, (6e6, 2e6), "EPSG:2225"))
    # The US survey foot is 1200/3937 metre by definition.
    assert geometry.east_west_m == pytest.approx([1200.0, 1200.0], rel=1e-9)
    assert geometry.area_m2 == pytest.approx([1.44e6, 1.44e6], rel=1e-9)


@pytest.mark.parametrize(("columns", "cell", "wraps"), [(360, 1.0, True), (359, 1.0, False), (43200, 1 / 120, True)])
def test_a_grid_wraps_when_it_spans_the_circle(columns, cell, wraps):
    assert cell_geometry(degrees_raster(1, columns, cell, (-180.0, 10.0))).wraps is wraps


def test_a_grid_from_0_to_360_wraps():
    assert cell_geometry(degrees_raster(2, 720, 0.5, (0.0, 10.0))).wraps


def test_float32_coordinates_are_regular_enough():
    raster = degrees_raster(2, 8640, 1 / 24, (-180.0, 10.0))
    raster = raster.assign_coords(x=raster.x.astype("float32"))
    assert cell_geometry(raster).wraps


def test_a_raster_without_crs_is_refused():
    raster = xr.DataArray(np.zeros((2, 2)), dims=("y", "x"), coords={"y": [1.5, 0.5], "x": [0.5, 1.5]}, name="dem")
    with pytest.raises(LinkwaysError, match="raster dem has no coordinate reference system; read it with crs="):
        cell_geometry(raster)


def test_uneven_coordinates_are_refused_with_the_place():
    raster = degrees_raster(2, 4, 1.0, (0.0, 10.0)).assign_coords(x=[0.5, 1.5, 3.5, 4.5])
    with pytest.raises(LinkwaysError, match=r"not evenly spaced along x \(from 1.5 to 3.5 at column 1"):
        cell_geometry(raster)


def test_a_rotated_grid_is_refused():
    from affine import Affine

    raster = degrees_raster(3, 3, 1.0, (0.0, 10.0)).rio.write_transform(Affine.rotation(30.0))
    with pytest.raises(LinkwaysError, match="raster grid is rotated; warp it"):
        cell_geometry(raster)


def test_latitudes_beyond_the_poles_are_refused():
    with pytest.raises(LinkwaysError, match=r"from latitude 86 to 91, beyond the poles"):
        cell_geometry(degrees_raster(5, 2, 1.0, (0.0, 91.0)))


def test_metres_taken_for_degrees_are_refused():
    with pytest.raises(LinkwaysError, match="beyond the poles; check its CRS"):
        cell_geometry(degrees_raster(5, 2, 30.0, (500000.0, 4e6)))


def test_more_than_a_circle_is_refused():
    with pytest.raises(LinkwaysError, match="spans 361 degrees of longitude"):
        cell_geometry(degrees_raster(2, 361, 1.0, (-180.0, 10.0)))


def test_a_rotated_pole_is_refused():
    crs = "+proj=ob_tran +o_proj=longlat +o_lon_p=-162 +o_lat_p=39.25 +lon_0=180 +ellps=WGS84"
    with pytest.raises(LinkwaysError, match=r"rotated-pole|neither geographic nor projected"):
        cell_geometry(degrees_raster(2, 2, 1.0, (0.0, 10.0), crs))


def test_other_dimension_names_are_refused_with_the_way_to_rename():
    raster = degrees_raster(2, 2, 1.0, (0.0, 10.0)).rename({"y": "lat", "x": "lon"})
    with pytest.raises(LinkwaysError, match=r"dimensions \(lat, lon\) and \(y, x\) is needed"):
        cell_geometry(raster)


def test_one_row_cut_from_a_grid_without_a_stored_cell_is_refused():
    raster = degrees_raster(4, 4, 1.0, (0.0, 10.0)).isel(y=slice(0, 1))
    with pytest.raises(LinkwaysError, match="one cell along y, so its cell size is unknown"):
        cell_geometry(raster)


def test_a_compound_crs_counts_by_its_horizontal_part():
    compound = cell_geometry(degrees_raster(2, 3, 0.5, (10.0, 50.0), "EPSG:9518"))
    plain = cell_geometry(degrees_raster(2, 3, 0.5, (10.0, 50.0)))
    assert compound.area_m2.tolist() == plain.area_m2.tolist()
    assert compound.diagonal_m.tolist() == plain.diagonal_m.tolist()


def test_a_geocentric_crs_is_refused():
    with pytest.raises(LinkwaysError, match="neither geographic nor projected; reproject it"):
        cell_geometry(degrees_raster(2, 2, 1.0, (0.0, 10.0), "EPSG:4978"))


def test_a_raster_without_coordinates_is_refused():
    raster = degrees_raster(2, 2, 1.0, (0.0, 10.0)).drop_vars("x")
    with pytest.raises(LinkwaysError, match="raster grid has no x coordinates; give it the centres of its cells"):
        cell_geometry(raster)


def test_a_raster_without_cells_is_refused():
    with pytest.raises(LinkwaysError, match="raster grid has no cells; check the window"):
        cell_geometry(degrees_raster(2, 2, 1.0, (0.0, 10.0)).isel(x=slice(0, 0)))


def test_grids_are_the_same_only_with_the_same_crs_and_cells():
    from linkways.spatial import new_raster, same_grid

    one = new_raster(np.ones((2, 3)), crs="EPSG:3035", cell_size=10)
    assert same_grid(one, one + 1)
    assert not same_grid(one, one[:, :2])
    assert not same_grid(one, new_raster(np.ones((2, 3)), crs="EPSG:3035", cell_size=20))
    assert not same_grid(one, new_raster(np.ones((2, 3)), crs="EPSG:32633", cell_size=10))
