"""PARC-connectedness and BERI: hand-checked rows, brute force, and what must not change them."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from linkways import LinkwaysError, spatial
from linkways.policy import beri, parc
from tests.policy.places import METRES, layer

CELL = 500.0


def raster(values, **options):
    return spatial.new_raster(np.asarray(values, float), crs=METRES, cell_size=CELL, **options)


def brute_force(benefit: np.ndarray, intact_m: float, matrix_m: float, cutoff: float) -> np.ndarray:
    """(n, n) probabilities of the best paths from a whole graph of cells; 0 below the cutoff."""
    rows, columns = benefit.shape
    cost = 1 / (matrix_m + (intact_m - matrix_m) * benefit)
    a, b, w = [], [], []
    for r in range(rows):
        for c in range(columns):
            for dr, dc in ((0, 1), (1, 0), (1, 1), (1, -1)):
                s, t = r + dr, c + dc
                if s < rows and 0 <= t < columns and np.isfinite(cost[r, c]) and np.isfinite(cost[s, t]):
                    a.append(r * columns + c)
                    b.append(s * columns + t)
                    w.append(CELL * np.hypot(dr, dc) * (cost[r, c] + cost[s, t]) / 2)
    net = coo_array((w, (a, b)), shape=(benefit.size, benefit.size)).tocsr()
    p = np.exp(-dijkstra(net, directed=False))
    return np.where(p >= cutoff * (1 - 1e-12), p, 0.0)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), cutoff=st.sampled_from([0.3, 0.01]))
def test_connectedness_is_that_of_brute_force(seed, cutoff):
    rng = np.random.default_rng(seed)
    protected = (rng.random((7, 9)) < 0.3) * rng.random((7, 9)).round(2)
    protected[3, 4] = 1.0
    habitat = rng.random((7, 9))
    habitat[rng.random((7, 9)) < 0.15] = np.nan
    habitat[3, 4] = 1.0
    found = parc(raster(protected), raster(habitat), intact_km=2, matrix_km=0.4, cutoff=cutoff)
    benefit = protected + (1 - protected) * habitat
    ones = np.where(np.isfinite(benefit), 1.0, np.nan)
    value = brute_force(benefit, 2000, 400, cutoff) @ np.nan_to_num(benefit.ravel())
    whole = brute_force(ones, 2000, 400, cutoff) @ np.nan_to_num(ones.ravel())
    there = np.isfinite(benefit) & (protected > 0)
    expected = value[there.ravel()] / whole[there.ravel()]
    np.testing.assert_allclose(found.connectedness.values[there], expected)
    assert np.isnan(found.connectedness.values[~there]).all()
    assert found.parc == pytest.approx(np.average(expected, weights=protected[there]))


def test_where_all_is_intact_connectedness_is_one():
    found = parc(raster(np.eye(12)), raster(np.ones((12, 12))))
    assert found.parc == pytest.approx(1.0)
    np.testing.assert_allclose(found.connectedness.values[np.eye(12) > 0], 1.0)


def test_protection_counts_like_intact_habitat():
    protected = np.zeros((9, 9))
    protected[2:5, 2:5] = 1
    a = parc(raster(protected), raster(np.zeros((9, 9))))
    b = parc(raster(protected), raster(protected))
    np.testing.assert_array_equal(a.connectedness.values, b.connectedness.values)


def test_a_barrier_lowers_connectedness():
    protected = np.zeros((5, 11))
    protected[:, [2, 8]] = 1
    habitat = np.ones((5, 11))
    cleared = habitat.copy()
    cleared[:, 5] = 0
    assert parc(raster(protected), raster(cleared)).parc < parc(raster(protected), raster(habitat)).parc


def test_a_geographic_grid_that_spans_the_globe_has_no_seam():
    protected = np.zeros((3, 36))
    protected[1, 0] = 1
    turned = np.roll(protected, 18, axis=1)
    habitat = np.random.default_rng(1).random((3, 36))
    options = {"crs": "EPSG:4326", "cell_size": 10.0, "origin": (-180, 15)}
    here = parc(
        spatial.new_raster(protected, **options), spatial.new_raster(habitat, **options), intact_km=3000, matrix_km=500
    )
    there = parc(
        spatial.new_raster(turned, **options),
        spatial.new_raster(np.roll(habitat, 18, axis=1), **options),
        intact_km=3000,
        matrix_km=500,
    )
    assert here.parc == pytest.approx(there.parc, rel=1e-12)


def test_regions_average_over_their_protected_area():
    protected = raster([[1, 0, 0, 1]])
    habitat = raster([[1, 1, 0, 1]])
    regions = layer(shapely.box(0, -CELL, 2 * CELL, 0), shapely.box(2 * CELL, -CELL, 4 * CELL, 0), name=["w", "e"])
    found = parc(protected, habitat, regions, region_column="name")
    values = found.connectedness.values[0, [0, 3]]
    np.testing.assert_allclose(found.regions.connectedness, values)
    assert found.parc == pytest.approx(values.mean())


def test_shares_outside_0_to_1_and_no_protection_are_refused():
    with pytest.raises(LinkwaysError, match=r"habitat has 1 cells outside 0\.\.1, first at row 0 column 1"):
        parc(raster([[1, 0]]), raster([[1, 100]]))
    with pytest.raises(LinkwaysError, match="no cell of protected is above 0"):
        parc(raster([[0, 0]]), raster([[1, 1]]))


def test_resilience_is_that_of_brute_force():
    rng = np.random.default_rng(5)
    habitat = rng.random((5, 6))
    now, future = rng.random((2, 5, 6)), rng.random((2, 5, 6))
    found = beri(raster(habitat), [raster(n) for n in now], [raster(f) for f in future], intact_km=2, matrix_km=0.4)
    similar = np.exp(-np.abs(now.reshape(2, -1, 1) - future.reshape(2, 1, -1)).sum(axis=0))
    today = np.exp(-np.abs(now.reshape(2, -1, 1) - now.reshape(2, 1, -1)).sum(axis=0))
    ones = np.ones((5, 6))
    value = (brute_force(habitat, 2000, 400, 0.01) * similar) @ habitat.ravel()
    whole = (brute_force(ones, 2000, 400, 0.01) * today) @ ones.ravel()
    np.testing.assert_allclose(found.resilience.values.ravel(), value / whole)
    assert found.beri == pytest.approx(np.average(value / whole, weights=habitat.ravel()))


def test_where_all_is_intact_and_the_climate_stays_resilience_is_one():
    now = [raster(np.random.default_rng(2).random((6, 6)))]
    assert beri(raster(np.ones((6, 6))), now, now).beri == pytest.approx(1.0)


def test_predictors_must_come_in_pairs():
    one = raster(np.ones((3, 3)))
    with pytest.raises(LinkwaysError, match="now holds 1 rasters and future 2"):
        beri(one, [one], [one, one])
