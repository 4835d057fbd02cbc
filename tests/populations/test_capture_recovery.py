"""Simulated reserves with a fence of known permeability: how often its interval holds the truth."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from linkways import populations, spatial

CRS = "EPSG:3857"
SIDE, FENCE_ROW = 24, 11
ALPHA, DENSITY, LAMBDA0, SIGMA_KM = 1.5, 0.25, 1.5, 1.8
"""The truth: crossing the fence costs as much as exp(1.5) - 1 = 3.5 km of detour."""
SEEDS = 100


def least_cost_km(cells):
    cost = np.ones((SIDE, SIDE))
    cost[FENCE_ROW] = np.exp(ALPHA)
    rows, columns, weights = [], [], []
    for r in range(SIDE):
        for c in range(SIDE):
            for down, along in ((0, 1), (1, 0), (1, 1), (1, -1)):
                a, b = r + down, c + along
                if a < SIDE and 0 <= b < SIDE:
                    rows.append(r * SIDE + c)
                    columns.append(a * SIDE + b)
                    weights.append(np.hypot(down, along) * (cost[r, c] + cost[a, b]) / 2)
    graph = coo_array((weights, (rows, columns)), shape=(SIDE**2, SIDE**2)).tocsr()
    return dijkstra(graph, directed=False, indices=cells)


@pytest.mark.slow
def test_the_interval_of_a_fences_cost_holds_the_truth_and_a_model_without_the_fence_is_rejected():
    """100 reserves of 24 x 24 km with 36 cameras; about 90 leopards are caught in each."""
    at = np.array([(r, c) for r in range(4, SIDE - 3, 3) for c in range(4, SIDE - 3, 3)])
    names = [f"c{k}" for k in range(len(at))]
    distance = least_cost_km(at @ [SIDE, 1])
    cameras = gpd.GeoDataFrame(
        {"detector": names},
        geometry=gpd.points_from_xy((at[:, 1] + 0.5) * 1000, (SIDE - at[:, 0] - 0.5) * 1000),
        crs=CRS,
    )
    habitat = spatial.new_raster(np.ones((SIDE, SIDE)), crs=CRS, cell_size=1000, origin=(0, SIDE * 1000))
    north = (SIDE - FENCE_ROW - 0.5) * 1000
    fence = gpd.GeoDataFrame(geometry=[shapely.LineString([(100, north), (SIDE * 1000 - 100, north)])], crs=CRS)
    held = held_number = rejected = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        number = rng.poisson(DENSITY * SIDE**2)
        home = rng.integers(0, SIDE**2, number)
        visits = rng.poisson(LAMBDA0 * np.exp(-(distance[:, home] ** 2) / 2 / SIGMA_KM**2)).T
        animal, camera = np.nonzero(visits)
        captures = pd.DataFrame(
            {
                "individual": [f"L{i}" for i in animal],
                "occasion": 1,
                "detector": [names[k] for k in camera],
                "count": visits[animal, camera],
            }
        )
        found = populations.capture(captures, cameras, habitat=habitat, barriers=fence, centres_used=1)
        held += found.barrier_cost_low <= np.exp(ALPHA) <= found.barrier_cost_high
        held_number += found.animals_realised_low <= number <= found.animals_realised_high
        rejected += found.barrier_p < 0.05
    assert held >= 90
    assert rejected >= 95
    # a binomial of 100 with 95 % is below 88 once in 400 times
    assert held_number >= 88
