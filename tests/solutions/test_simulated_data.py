"""The packaged simulated inputs are what the script that describes them makes."""

import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from linkways import spatial

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate-solution-data"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    subprocess.run([sys.executable, SCRIPT, folder], check=True, capture_output=True)
    return folder


def packaged(id):
    return Path(spatial.__file__).parents[1] / "solutions" / id


def test_the_simulated_layers_are_made_again_from_their_seed(made):
    for file in sorted(made.rglob("*.geojson")):
        new, old = gpd.read_file(file), gpd.read_file(packaged(file.parent.name) / file.name)
        assert new.drop(columns="geometry").equals(old.drop(columns="geometry")), file.name
        assert new.geometry.geom_equals_exact(old.geometry, 1e-4).all(), file.name


def test_the_simulated_tables_are_made_again_from_their_seed(made):
    files = sorted([*made.rglob("*.csv"), *made.rglob("*.csv.gz")])
    assert files
    for file in files:
        new, old = pd.read_csv(file), pd.read_csv(packaged(file.parent.name) / file.name)
        pd.testing.assert_frame_equal(new, old, obj=file.name)


def test_the_simulated_rasters_are_made_again_from_their_seed(made):
    for file in sorted(made.rglob("*.tif")):
        new = spatial.read_raster(file, classes=True)
        old = spatial.read_raster(packaged(file.parent.name) / file.name, classes=True)
        assert np.array_equal(new.values, old.values, equal_nan=True), file.name
        assert old.attrs["simulated"]


def test_the_protected_areas_of_y2y_are_called_simulated():
    areas = gpd.read_file(packaged("y2y") / "protected_areas.geojson")
    assert areas["simulated"].all()
    assert areas["NAME_ENG"].str.startswith("Simulated").all()
    assert areas.geometry.is_valid.all()
