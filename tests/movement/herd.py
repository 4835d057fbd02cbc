"""Small made-up tracks for the tests of bridges, corridors and ranges."""

import geopandas as gpd
import numpy as np
import pandas as pd


def track(x, y, *, animal="doe", sequence=None, minutes=120.0, start="2024-04-01", crs="EPSG:32612"):
    """Fixes at even (one number) or given minutes after the start."""
    after = np.arange(len(x)) * minutes if np.isscalar(minutes) else np.asarray(minutes, float)
    columns = {"animal": animal, "time": pd.Timestamp(start, tz="UTC") + pd.to_timedelta(after, "min")}
    if sequence is not None:
        columns["sequence"] = sequence
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(x, y), crs=crs)


def walk(seed, n=12, *, step=400.0, **given):
    """A random walk eastward."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, step, (2, n)).cumsum(axis=1)
    return track(x + 300 * np.arange(n), y, **given)


def herd(animals=4, sequences=1, n=12, seed=0, **given):
    """Animals with some sequences each."""
    parts = [
        walk(seed + 100 * a + s, n, animal=f"doe {a}", sequence=f"doe {a} {s}", start=f"{2020 + s}-04-01", **given)
        for a in range(animals)
        for s in range(sequences)
    ]
    return pd.concat(parts, ignore_index=True)
