"""Hidden states and corridor behaviour beside the R packages moveHMM and move (values computed once with them)."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from pyproj import Geod, Transformer

from linkways import movement
from linkways.movement._streaking_corridors import corridor_steps


@pytest.fixture(scope="module")
def salif_keita(shared):
    """The first 5,000 fixes, in kilometres when divided by 1,000, as the reference had them."""
    table = pd.read_csv(shared / "data/movement/movebank_elephants_wall2014.csv.gz")
    table = table[table["individual-local-identifier"] == "Salif Keita"].iloc[:5000]
    points = gpd.points_from_xy(table["location-long"], table["location-lat"], crs=4326)
    times = pd.to_datetime(table["timestamp"], utc=True)
    return gpd.GeoDataFrame({"animal": "Salif Keita", "time": times}, geometry=points).to_crs(32630)


def test_two_states_of_salif_keita_are_movehmm_s(salif_keita):
    found = movement.states(salif_keita, mean_turn=True, longest_h=1e6)
    # a density over kilometres is 1,000 times that over metres
    per_km = found.log_likelihood + 4999 * np.log(1000)
    assert -per_km == pytest.approx(9080.2044, abs=2e-4)
    table = found.parameters
    assert (table["mean_step_m"] / 1000).tolist() == pytest.approx([0.271376, 1.299532], abs=3e-5)
    assert (table["sd_step_m"] / 1000).tolist() == pytest.approx([0.289431, 0.772990], abs=3e-5)
    assert table["concentration"].tolist() == pytest.approx([0.665554, 2.604076], abs=2e-4)
    moves = found.transitions.set_index(["from", "to"])["probability"]
    assert (moves[1, 2], moves[2, 1]) == pytest.approx((0.077203, 0.211131), abs=2e-5)
    assert found.fixes["state"].value_counts().to_dict() == {1: 3760, 2: 1240}


def test_the_third_state_of_salif_keita_is_fast_and_directed_as_movehmm_has_it(salif_keita):
    found = movement.states(salif_keita, number=3, mean_turn=True, longest_h=1e6)
    assert -(found.log_likelihood + 4999 * np.log(1000)) == pytest.approx(8803.0295, abs=2e-4)
    assert (found.parameters["mean_step_m"] / 1000).tolist() == pytest.approx([0.129489, 0.561356, 1.786453], abs=5e-5)
    assert found.fixes["state"].value_counts().to_dict() == {1: 2057, 2: 2292, 3: 651}
    assert found.parameters["concentration"].idxmax() == 2


def test_corridor_behaviour_of_a_mule_deer_is_that_of_move(shared):
    """Speeds and circular variances of R's move, on the ellipsoid; midpoints and bearings are spherical there.

    It marks 13 segments. Its quantile is of the variances that are not 0, and of its 895 segments that are alone about
    190 are not, by rounding (1 - sqrt(sin^2 + cos^2) in other orders of the same sum leaves 160 to 180), which puts the
    quantile lower. Here a segment that is alone has variance 0 and there are 17, the 13 among them; at the quantile
    that the 190 make, (0.25 (3040 + 190) - 190) / 3040 = 0.203 of the 3,040 others, they are the 13.
    """
    table = pd.read_csv(shared / "data/movement/migrationmapper_sublette_gps.csv.gz")
    table = table[table["id"] == 317].sort_values("timestamp")
    lon, lat = table["lon"].to_numpy(), table["lat"].to_numpy()
    seconds = pd.to_datetime(table["timestamp"], utc=True).diff().dt.total_seconds().to_numpy()[1:]
    _, _, length = Geod(ellps="WGS84").inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    p, q, apart = np.radians(lat[:-1]), np.radians(lat[1:]), np.radians(np.diff(lon))
    bx, by = np.cos(q) * np.cos(apart), np.cos(q) * np.sin(apart)
    middle_lat = np.degrees(np.arctan2(np.sin(p) + np.sin(q), np.hypot(np.cos(p) + bx, by)))
    middle_lon = lon[:-1] + np.degrees(np.arctan2(by, np.cos(p) + bx))
    bearing = np.arctan2(by, np.cos(p) * np.sin(q) - np.sin(p) * bx)
    local = f"+proj=aeqd +lat_0={lat.mean()} +lon_0={lon.mean()}"
    x, y = Transformer.from_crs(4326, local, always_xy=True).transform(middle_lon, middle_lat)
    speed = length / seconds
    marked, variance = corridor_steps(x, y, length, speed, bearing, speed_quantile=0.75, variance_quantile=0.25)
    assert np.quantile(speed, 0.75) == pytest.approx(0.0274544, abs=5e-8)
    assert variance.mean() == pytest.approx(0.4368074, abs=5e-8)
    rows = set(np.flatnonzero(marked) + 1)
    named = {247, 454, 821, 958, 982, 998, 1012, 2550, 2579, 2652}
    assert (variance > 0).sum() == 3040
    assert (variance == 0).sum() == 895
    lower, _ = corridor_steps(x, y, length, speed, bearing, speed_quantile=0.75, variance_quantile=0.203)
    of_move = set(np.flatnonzero(lower) + 1)
    assert named <= of_move <= rows
    assert len(of_move) == 13
    assert len(rows) == 13 + 4
