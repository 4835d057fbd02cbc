"""Velocity fields come in one form, whatever model wrote them, and are refused where that cannot be."""

import cftime
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr

from linkways import LinkwaysError, seas
from linkways.spatial import recording

TIMES = pd.date_range("2020-01-01", periods=4, freq="h")


def model(lon=None, lat=None, units="m s-1", **names):
    """A small field as an ocean model writes it: one land cell at (2, 3)."""
    lon = np.arange(140.0, 146.0) if lon is None else lon
    lat = np.arange(-20.0, -15.0) if lat is None else lat
    rng = np.random.default_rng(1)
    u, v = rng.normal(size=(2, 4, len(lat), len(lon)))
    u[:, 2, 3] = v[:, 2, 3] = np.nan
    dims = ("time", "latitude", "longitude")
    return xr.Dataset(
        {
            names.get("u", "uo"): (dims, u, {"units": units, "standard_name": "eastward_sea_water_velocity"}),
            names.get("v", "vo"): (dims, v, {"units": units, "standard_name": "northward_sea_water_velocity"}),
        },
        {
            "time": TIMES,
            "latitude": ("latitude", lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "longitude": ("longitude", lon, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )


def test_a_field_gets_standard_names_dims_crs_and_a_mask_of_its_missing_cells():
    raw = model()
    got = seas.currents(raw)
    assert got.u.dims == ("time", "y", "x")
    np.testing.assert_array_equal(got.u.values, raw.uo.values)
    assert got.rio.crs.to_epsg() == 4326
    assert (got.mask.values == 0).sum() == 1
    assert got.mask.values[2, 3] == 0


def test_what_is_in_the_standard_form_stays_as_it_is():
    once = seas.currents(model())
    xr.testing.assert_identical(seas.currents(once), once)


def test_variables_of_odd_names_are_found_by_their_standard_name():
    xr.testing.assert_equal(seas.currents(model(u="eastish", v="northish")), seas.currents(model()))


def test_centimetres_per_second_become_metres_per_second():
    with recording() as notes:
        got = seas.currents(model(units="cm/s"))
    np.testing.assert_allclose(got.u.values, 0.01 * model().uo.values)
    assert any("cm/s" in n for n in notes)


def test_kilometres_become_metres():
    raw = model().rename(latitude="Y", longitude="X").assign_coords(
        X=("X", np.arange(6) * 4.0, {"units": "km", "axis": "X"}),
        Y=("Y", np.arange(5) * 4.0, {"units": "km", "axis": "Y"}),
    )  # fmt: skip
    got = seas.currents(raw, crs="EPSG:32755")
    np.testing.assert_allclose(got.x.values, np.arange(6) * 4000.0)


def test_depths_are_positive_down_and_sorted():
    raw = model().expand_dims(depth=[-30.0, -10.0, -2.0], axis=1)
    raw = raw.assign_coords(depth=("depth", [-30.0, -10.0, -2.0], {"positive": "up"}))
    got = seas.currents(raw)
    np.testing.assert_array_equal(got.depth.values, [2.0, 10.0, 30.0])


def test_longitudes_that_jump_at_the_antimeridian_run_on():
    lon = np.array([177.0, 178, 179, -180, -179, -178])
    got = seas.currents(model(lon=lon))
    np.testing.assert_allclose(got.x.values, np.arange(177.0, 183.0))


def test_longitudes_of_mixed_conventions_are_refused():
    with pytest.raises(LinkwaysError, match="mix conventions"):
        seas.currents(model(lon=np.array([-179.0, -178, 10, 181, 182, 183])))
    with pytest.raises(LinkwaysError, match="mix conventions"):
        seas.currents(model(lon=np.array([170.0, 171, 172, -50, -49, -48])))


def test_dates_of_a_calendar_without_leap_days_are_taken_over_and_noted():
    raw = model().assign_coords(time=[cftime.DatetimeNoLeap(2021, 1, 1, h) for h in range(4)])
    with recording() as notes:
        got = seas.currents(raw)
    assert got.time.values[1] == np.datetime64("2021-01-01T01:00")
    assert any("noleap" in n for n in notes)


def test_a_calendar_of_360_days_is_refused():
    raw = model().assign_coords(time=[cftime.Datetime360Day(2021, 2, 27 + d) for d in range(4)])
    with pytest.raises(LinkwaysError, match="360_day"):
        seas.currents(raw)


def test_times_as_numbers_are_read_by_their_unit():
    raw = model().assign_coords(time=("time", np.arange(4.0), {"Unit": "days since 1950-01-01"}))
    assert seas.currents(raw).time.values[3] == np.datetime64("1950-01-04")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop_vars("uo"), "no variable u"),
        (lambda f: f.assign(uo=f.uo.assign_attrs(units="furlong")), "furlong"),
        (lambda f: f.assign(uo=f.uo.assign_attrs(units="")), "no unit"),
        (lambda f: f.fillna(0.1), "no land mask"),
        (lambda f: f.isel(time=[0, 2, 1, 3]), "do not increase"),
        (lambda f: f.assign_coords(latitude=[-20, -19, -18, -16, -15.0]), "not regular"),
        (lambda f: f.drop_vars("longitude"), "no coordinate"),
        (lambda f: f.expand_dims(member=3), "member"),
        (lambda f: f * np.nan, "no unit|all land"),
    ],
)
def test_a_field_that_cannot_be_read_is_refused_in_one_sentence(change, words):
    with pytest.raises(LinkwaysError, match=words) as told:
        seas.currents(change(model()))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bounds": [0, 0, 9, 9]}, "bounds is for a flow"),
        ({"depths_m": [1.0]}, "depths_m is for a flow"),
        ({"flow_parameters": {"u_m_s": 1}}, "flow_parameters is for a flow"),
        ({"velocity_unit": "cm/s"}, "has the unit m s-1"),
        ({"crs": "EPSG:32631"}, "field currents is in WGS 84"),
        ({"grid": "A"}, "on the faces"),
    ],
)
def test_what_contradicts_the_field_or_would_not_be_used_is_refused(given, words):
    import rioxarray  # noqa: F401

    field = model().rio.write_crs("EPSG:4326")
    if "grid" in given:
        field = seas.currents(field, grid="C", land_from="none")
    with pytest.raises(LinkwaysError, match=words):
        seas.currents(field, **given)


def test_a_unit_is_given_where_the_field_names_none():
    bare = model(units="")
    np.testing.assert_allclose(seas.currents(bare, velocity_unit="cm/s").u.values, 0.01 * bare.uo.values)


def test_metres_without_a_crs_are_refused():
    raw = model().rename(latitude="y", longitude="x").assign_coords(x=np.arange(6.0), y=np.arange(5.0))
    with pytest.raises(LinkwaysError, match="no CRS"):
        seas.currents(raw)


def test_land_at_rest_and_no_land_at_all_are_land_when_said():
    still = model().fillna(0.0)
    assert (seas.currents(still, land_from="zero").mask.values == 0).sum() == 1
    assert seas.currents(still, land_from="none").mask.values.all()


def test_land_polygons_are_cut_out():
    land = gpd.GeoDataFrame(geometry=[shapely.box(139.5, -20.5, 141.5, -18.5)], crs="EPSG:4326")
    got = seas.currents(model().fillna(0.1), land)
    assert (got.mask.values == 0).sum() == 4
    assert not got.mask.values[:2, :2].any()


def test_faces_that_a_c_grid_file_leaves_out_are_closed():
    """ROMS stores the faces between cells; the outer ones are walls."""
    x, y = np.arange(0, 5000.0, 1000), np.arange(0, 4000.0, 1000)
    raw = xr.Dataset(
        {"u": (("eta_rho", "xi_u"), np.ones((4, 4)), {"units": "m s-1"}),
         "v": (("eta_v", "xi_rho"), np.ones((3, 5)), {"units": "m s-1"})},
        {"xi_rho": ("xi_rho", x, {"axis": "X"}), "eta_rho": ("eta_rho", y, {"axis": "Y"}),
         "xi_u": ("xi_u", x[:-1] + 500, {"axis": "X"}), "eta_v": ("eta_v", y[:-1] + 500, {"axis": "Y"})},
    )  # fmt: skip
    got = seas.currents(raw, crs="EPSG:32755", land_from="none")
    assert got.u.shape == (4, 6)
    assert got.v.shape == (5, 5)
    np.testing.assert_array_equal(np.isnan(got.u.values[0]), [True, False, False, False, False, True])
    np.testing.assert_allclose(got.x_u.values, np.arange(-500, 5000, 1000.0))


def test_nothing_but_the_first_time_is_read(tmp_path):
    pytest.importorskip("netCDF4")
    model().to_netcdf(tmp_path / "model.nc")
    with xr.open_dataset(tmp_path / "model.nc") as raw:
        got = seas.currents(raw)
        assert not got.u.variable._in_memory


FLOWS = ["uniform", "solid_rotation", "double_gyre", "bickley_jet", "stommel_gyre"]


@pytest.mark.parametrize("flow", FLOWS)
def test_no_water_is_made_or_lost_in_an_analytic_flow(flow):
    """Divergence by differences of the faces, beside the shear of the same flow."""
    got = seas.currents(
        flow=flow, bounds=[0, 0, 400e3, 200e3], cell_size=1e3, crs="EPSG:32631", grid="C", days=0.25
    ).isel(time=-1, missing_dims="ignore")  # fmt: skip
    divergence = np.diff(got.u.values, axis=1) + np.diff(got.v.values, axis=0)
    across = np.abs(np.diff(got.u.values, axis=0)).max() + np.abs(np.diff(got.v.values, axis=1)).max()
    # faces hold the velocity of their middle: the differences are of second order in the cell
    assert np.abs(divergence).max() <= 2e-3 * across + 1e-12


@pytest.mark.parametrize("flow", ["double_gyre", "stommel_gyre"])
def test_gyres_keep_their_water_inside_their_walls(flow):
    got = seas.currents(flow=flow, bounds=[0, 0, 400e3, 200e3], cell_size=10e3, crs="EPSG:32631", grid="C", days=0.25)
    for wall in (got.u.isel(x_u=[0, -1]), got.v.isel(y_v=[0, -1])):
        np.testing.assert_allclose(wall.values, 0, atol=1e-7)


def test_the_shelf_is_called_simulated_and_repeats_with_its_seed():
    make = {"flow": "shelf", "bounds": [145, -19, 147, -17], "cell_size": 0.1, "days": 1}
    with recording() as notes:
        one, two = seas.currents(**make), seas.currents(**make)
    assert one.attrs["simulated"] == "true"
    assert any("simulated" in n for n in notes)
    xr.testing.assert_identical(one, two)
    assert not np.array_equal(seas.currents(**make, seed=2).u.values, one.u.values)


def test_the_tides_of_the_shelf_come_back_after_12_hours_25_minutes():
    """The M2 period 12.4206 h: the largest peak of the spectrum of a month."""
    quiet = {"mean_speed_m_s": 0, "wind_share": 0, "eddies": 0}
    got = seas.currents(flow="shelf", bounds=[145, -19, 146, -18], cell_size=0.5, days=30, flow_parameters=quiet)
    u = got.u.values[:, 0, 0]
    power = np.abs(np.fft.rfft(u - u.mean(), 16 * len(u)))
    assert 1 / np.fft.rfftfreq(16 * len(u))[power.argmax()] == pytest.approx(12.4206, rel=0.005)


def test_near_land_the_shelf_flows_along_the_coast():
    land = gpd.GeoDataFrame(geometry=[shapely.box(144, -20, 145.5, -16)], crs="EPSG:4326")
    got = seas.currents(land=land, flow="shelf", bounds=[145, -19, 147, -17], cell_size=0.02, days=2)
    edge = int(got.mask.values.argmax(axis=1)[50])
    speed = np.abs(got.isel(y=50)).mean("time")
    assert float(speed.u[edge]) < 0.1 * float(speed.v[edge])
    assert float(speed.u[edge]) < 0.1 * float(speed.u[-1])


def test_a_flow_too_large_to_hold_is_computed_as_it_is_read():
    pytest.importorskip("dask")
    got = seas.currents(flow="shelf", bounds=[140, -25, 150, -15], cell_size=0.02, days=10)
    assert got.u.chunks is not None
    assert got.u.shape == (241, 500, 500)
    small = got.isel(time=[3]).load()
    assert np.isfinite(small.u.values).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "not both and not neither"),
        ({"flow": "uniform"}, "needs bounds"),
        ({"flow": "uniform", "bounds": [0, 0, 1, 1], "cell_size": 1}, "1 x 1 cells"),
        ({"flow": "uniform", "bounds": [0, 0, 1e6, 1e6], "cell_size": 0.05}, "units of the CRS"),
        ({"flow": "uniform", "bounds": [1, 0, 0, 1], "cell_size": 0.1}, "west below east"),
        ({"flow": "shelf", "flow_parameters": {"tide": 1}}, "no parameter 'tide'"),
        ({"flow": "double_gyre", "bounds": [0, 0, 9, 9], "cell_size": 1, "depths_m": [1]}, "no depth"),
        ({"flow": "double_gyre", "bounds": [0, 0, 9, 9], "cell_size": 1, "start": "yesterdayish"}, "no date"),
        ({"flow": "uniform", "bounds": [0, 0, 9, 9], "cell_size": 1, "crs": "EPSG:none"}, "no CRS"),
        ({"flow": "uniform", "bounds": [0, 0, 9, 9], "cell_size": 1, "velocity_unit": "cm/s"}, "velocity_unit is for"),
        ({"flow": "uniform", "bounds": [0, 0, 9, 9], "cell_size": 1, "land_from": "zero"}, "land_from is for a field"),
    ],
)
def test_a_flow_that_cannot_be_made_is_refused_in_one_sentence(given, words):
    with pytest.raises(LinkwaysError, match=words):
        seas.currents(**given)
