"""Files are whole or absent: full disks, forbidden folders, failures half-way."""

import os
import secrets
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely.geometry import Point

from linkways.errors import LinkwaysError
from linkways.spatial import new_raster, write_raster, write_table, write_vectors
from linkways.spatial._atomic import written_aside


def write_some(path: Path) -> Path:
    if path.suffix == ".tif":
        return write_raster(new_raster(np.ones((300, 300)), crs="EPSG:3035", cell_size=1.0), path)
    if path.suffix in (".gpkg", ".geojson"):
        return write_vectors(gpd.GeoDataFrame({"n": [1]}, geometry=[Point(0, 0)], crs="EPSG:4326"), path)
    if path.name == "points.parquet":
        return write_vectors(gpd.GeoDataFrame({"n": [1]}, geometry=[Point(0, 0)], crs="EPSG:4326"), path)
    return write_table(pd.DataFrame({"a": [1.0]}), path)


NAMES = ["r.tif", "v.gpkg", "v.geojson", "points.parquet", "t.csv", "t.parquet"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_the_file_is_left_in_the_folder(tmp_path, name):
    write_some(tmp_path / name)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_and_the_older_file_stays(tmp_path, name, monkeypatch):
    path = tmp_path / name
    path.write_bytes(b"older")
    monkeypatch.setattr(secrets, "token_hex", lambda size: "full")
    # The file aside is the device on which every write fails for want of space.
    (tmp_path / f".{path.stem}.full{path.suffix}").symlink_to("/dev/full")
    with pytest.raises(LinkwaysError, match=r"the disk, or your quota on it, is full .*nothing was written"):
        write_some(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert path.read_bytes() == b"older"


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_may_not_be_written_to_is_refused(tmp_path, name, monkeypatch):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    if os.geteuid() == 0:

        def refuse(self, data):
            raise PermissionError(13, "Permission denied", str(self))

        # The superuser may write anywhere; what the system would tell anyone else is told here.
        monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(LinkwaysError, match=r"the folder .*locked is not writable; change its permissions"):
        write_some(folder / name)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_does_not_exist_is_refused(tmp_path, name):
    with pytest.raises(LinkwaysError, match=r"the folder .*absent does not exist; create it first"):
        write_some(tmp_path / "absent" / name)


def test_a_failure_half_way_leaves_the_older_file(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("older")

    def fail_half_way():
        with written_aside(path) as aside:
            aside.write_text("new")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail_half_way()
    assert path.read_text() == "older"
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.txt"]


def test_the_older_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("older")
    with written_aside(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "older"
        assert aside.parent == path.parent
    assert path.read_text() == "new"


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(LinkwaysError, match="it is a folder; give a file name"):
        write_some(tmp_path / "t.csv")
