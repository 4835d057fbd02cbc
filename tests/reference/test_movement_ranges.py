"""Kernel ranges and convex polygons beside adehabitatHR (run once; values in shared/methods/movement.md, O10)."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from linkways import movement, spatial


@pytest.fixture(scope="module")
def deer(shared):
    table = pd.read_csv(shared / "data" / "movement" / "migrationmapper_sublette_gps.csv.gz")
    table = table[table["id"] == 317]
    return gpd.GeoDataFrame(
        {"animal": "317", "time": pd.to_datetime(table["timestamp"], utc=True)},
        geometry=gpd.points_from_xy(table["x_utm12n"], table["y_utm12n"]),
        crs="EPSG:32612",
    )


@pytest.fixture(scope="module")
def grid(deer):
    """200 x 200 points over three times the extent, as adehabitatHR lays them."""
    west, _, east, north = deer.total_bounds
    wide = east - west
    cell = 3 * wide / 199
    return spatial.new_raster(
        np.zeros((200, 200)),
        crs="EPSG:32612",
        cell_size=cell,
        origin=(west - wide - cell / 2, north + wide + cell / 2),
    )


def test_reference_bandwidth_and_areas(deer, grid):
    """On cells of 1.06 km2 the contours may part by one cell; adehabitatHR counts those that do not exceed a share."""
    found = movement.kernel_range(deer, grid, percent=[50, 95])
    row = found.animals.iloc[0]
    assert row["bandwidth_x_m"] == pytest.approx(4807.435450, abs=5e-7)
    assert row["bandwidth_y_m"] == pytest.approx(4807.435450, abs=5e-7)
    cell_km2 = abs(float(grid.x[1] - grid.x[0])) ** 2 / 1e6
    assert row["area_50_km2"] == pytest.approx(391.656, abs=1.01 * cell_km2)
    assert row["area_95_km2"] == pytest.approx(1787.259, abs=1.01 * cell_km2)
    assert found.use.values.sum() == pytest.approx(1, abs=1e-12)


def test_convex_polygons(deer):
    found = movement.mcp(deer, percent=[95, 100]).set_index("percent")
    assert found.loc[95, "area_km2"] == pytest.approx(803.851, abs=5e-4)
    assert found.loc[100, "area_km2"] == pytest.approx(815.983, abs=5e-4)
