"""Recursions beside the R package recurse 1.4.0, on its own tracks and a collar (values computed once with it)."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from linkways import movement


def fixes(table, x, y, time, crs="EPSG:32612"):
    times = pd.to_datetime(table[time], format="ISO8601", utc=True)
    columns = {"animal": table["id"].astype(str), "time": times}
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(table[x], table[y]), crs=crs)


def test_the_simulated_track_martin_has_recurse_s_revisits_and_residence(shared):
    martin = fixes(pd.read_csv(shared / "data/movement/recurse_martin.csv"), "x", "y", "t")
    found = movement.recursions(martin, radius_m=1).sites
    assert (found["visits"].sum(), found["visits"].max()) == (2765, 17)
    assert found["residence_h"].sum() == pytest.approx(6129.211, abs=5e-4)


def test_places_beside_the_simulated_track_have_recurse_s_revisits_and_residence(shared):
    track = fixes(pd.read_csv(shared / "data/movement/recurse_track.csv"), "x", "y", "t")
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy([-50, 50, 0], [0, 100, 0]), crs=track.crs)
    found = movement.recursions(track, points, radius_m=50).sites
    assert found["visits"].tolist() == [2, 0, 1]
    assert found["residence_h"].tolist() == pytest.approx([997.2326, 0, 2376], abs=5e-5)


@pytest.mark.parametrize(("absence_h", "total", "most"), [(0, 100692, 97), (12, 50161, 43)])
def test_a_migrating_animal_has_recurse_s_revisits(shared, absence_h, total, most):
    table = pd.read_csv(shared / "data/movement/migrationmapper_sublette_gps.csv.gz")
    animal = fixes(table[table["id"] == 317], "x_utm12n", "y_utm12n", "timestamp")
    found = movement.recursions(animal, radius_m=500, absence_h=absence_h).sites
    assert (found["visits"].sum(), found["visits"].max()) == (total, most)
    if absence_h == 0:
        assert int(np.argmax(found["visits"])) + 1 == 1865
