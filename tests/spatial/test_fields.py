"""Fields over time come back from NetCDF and Zarr as they were, and are read only when they are used."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from linkways.errors import LinkwaysError
from linkways.spatial import read_field, write_field
from linkways.studies.inputs import content_hash, open_header, read_input
from linkways.studies.recipe import StudyInput


@pytest.fixture
def currents() -> xr.Dataset:
    rng = np.random.default_rng(1)
    times = pd.date_range("2020-01-01", periods=3, freq="h")
    u, v = rng.normal(size=(2, 3, 4, 5))
    sides = {"time": times, "y": np.arange(4.0), "x": np.arange(5.0)}
    field = xr.Dataset({"u": (("time", "y", "x"), u), "v": (("time", "y", "x"), v)}, sides)
    return field.rio.write_crs("EPSG:4326").assign_attrs(simulated="true")


def test_a_written_field_is_read_back_with_its_crs(currents, tmp_path):
    back = read_field(write_field(currents, tmp_path / "currents.nc"))
    np.testing.assert_array_equal(back["u"].values, currents["u"].values)
    np.testing.assert_array_equal(back["time"].values, currents["time"].values)
    assert back.rio.crs.to_epsg() == 4326


def test_values_are_not_read_before_they_are_used(currents, tmp_path):
    back = read_field(write_field(currents, tmp_path / "currents.nc"))
    assert not back["u"].variable._in_memory


def test_a_zarr_folder_is_a_field(currents, tmp_path):
    currents.to_zarr(tmp_path / "currents.zarr", consolidated=False, zarr_format=2)
    back = read_field(tmp_path / "currents.zarr")
    np.testing.assert_array_equal(back["v"].values, currents["v"].values)


def test_a_missing_variable_is_named_with_the_nearest(currents, tmp_path):
    file = write_field(currents, tmp_path / "currents.nc")
    with pytest.raises(LinkwaysError, match=r"field currents.nc has no variable 'uu'.*'u'"):
        read_field(file, variables=["uu"])


def test_a_file_that_is_no_netcdf_is_refused(tmp_path):
    (tmp_path / "currents.nc").write_text("u,v\n1,2\n")
    with pytest.raises(LinkwaysError, match=r"cannot read .*currents.nc as a NetCDF field"):
        read_field(tmp_path / "currents.nc")


def test_a_missing_file_names_the_nearest(currents, tmp_path):
    write_field(currents, tmp_path / "currents.nc")
    with pytest.raises(LinkwaysError, match=r"no field at .*current.nc.*currents.nc"):
        read_field(tmp_path / "current.nc")


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_a_study_takes_a_field_and_knows_its_content(currents, tmp_path, ending):
    if ending == "nc":
        write_field(currents, tmp_path / "currents.nc")
    else:
        currents.to_zarr(tmp_path / "currents.zarr", consolidated=False, zarr_format=2)
    item = StudyInput(name="currents", origin="path", value=f"currents.{ending}")
    header = open_header(item, tmp_path, "field")
    assert (header.kind, header.crs, header.simulated) == ("field", "EPSG:4326", True)
    assert sorted(header.shape) == [3, 4, 5]
    first = content_hash(item, header, tmp_path)
    assert first == content_hash(item, open_header(item, tmp_path, "field"), tmp_path)
    np.testing.assert_array_equal(read_input(item, header, tmp_path)["u"].values, currents["u"].values)
    if ending == "nc":
        write_field(currents * 2, tmp_path / "currents.nc")
        assert content_hash(item, open_header(item, tmp_path, "field"), tmp_path) != first
