"""Small simulated habitat networks."""

import numpy as np
import pandas as pd
import pytest


def random_network(patches=40, links=90, seed=0):
    """Simulated: patches of lognormal area with random links, some of no length."""
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, patches, (links, 2))
    ends = ends[ends[:, 0] != ends[:, 1]]
    ends = np.unique(np.sort(ends, axis=1), axis=0)
    ids = np.arange(100, 100 + patches)
    return (
        pd.DataFrame({"patch": ids, "area_ha": rng.lognormal(3, 1, patches)}),
        pd.DataFrame(
            {
                "patch_a": ids[ends[:, 0]],
                "patch_b": ids[ends[:, 1]],
                "distance_m": rng.exponential(2000, len(ends)) * (rng.random(len(ends)) > 0.1),
            }
        ),
    )


@pytest.fixture
def small():
    """Three patches in a row, 1,000 m apart, and one alone."""
    return (
        pd.DataFrame({"patch": ["a", "b", "c", "d"], "area_ha": [10.0, 1.0, 10.0, 5.0]}),
        pd.DataFrame({"patch_a": ["a", "b"], "patch_b": ["b", "c"], "distance_m": [1000.0, 1000.0]}),
    )


@pytest.fixture
def network():
    return random_network()
