"""Small simulated countries that the tests of the policy indicators share."""

import geopandas as gpd
import numpy as np
import shapely

METRES = "EPSG:3035"


def layer(*shapes, crs=METRES, **columns) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


def square(x: float, y: float, side: float = 1000.0):
    return shapely.box(x, y, x + side, y + side)


def scattered(count: int, seed: int, side: float = 60_000.0) -> np.ndarray:
    """Simulated outlines of 5 to 60 vertices at random places; some overlap."""
    rng = np.random.default_rng(seed)
    shapes = []
    for _ in range(count):
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 60)))
        radius = rng.lognormal(6.0, 1.0) * rng.uniform(0.6, 1.4, len(angle))
        centre = rng.uniform(0, side, 2)
        ring = shapely.polygons(centre + (radius * [np.cos(angle), np.sin(angle)]).T)
        shapes.append(shapely.make_valid(ring, method="structure", keep_collapsed=False))
    return np.array([s for s in shapes if not s.is_empty])
