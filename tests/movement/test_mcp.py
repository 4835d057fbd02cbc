import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, movement

from .herd import herd, track


def hull_area(points):
    """Gift wrapping and the shoelace rule."""
    points = np.unique(points, axis=0)
    start = int(np.lexsort(points.T[::-1])[0])
    ring, at = [], start
    while True:
        ring.append(at)
        far = (at + 1) % len(points)
        for k in range(len(points)):
            a, b = points[far] - points[at], points[k] - points[at]
            if a[0] * b[1] - a[1] * b[0] < 0:
                far = k
        at = far
        if at == start:
            break
    x, y = points[ring].T
    return abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(6, 40))
def test_the_polygon_holds_the_fixes_nearest_to_their_mean(seed, n):
    points = np.random.default_rng(seed).normal(0, 5000, (n, 2))
    found = movement.mcp(track(*points.T), percent=[80, 100]).set_index("percent")
    away = np.hypot(*(points - points.mean(axis=0)).T)
    near = points[away <= np.quantile(away, 0.8)]
    assert found.loc[80, "fixes"] == len(near)
    assert found.loc[80, "area_km2"] == pytest.approx(hull_area(near) / 1e6)
    assert found.loc[100, "area_km2"] == pytest.approx(hull_area(points) / 1e6)
    assert found.geometry.loc[100].buffer(1e-6).covers(found.geometry.loc[80])


def test_each_animal_has_a_row_for_each_share_the_widest_first():
    found = movement.mcp(herd(2, n=20), percent=[50, 95])
    assert found["animal"].tolist() == ["doe 0", "doe 0", "doe 1", "doe 1"]
    assert found["percent"].tolist() == [95, 50, 95, 50]
    by_sequence = movement.mcp(herd(2, 2, n=20), by="sequence", percent=[100])
    assert by_sequence["sequence"].tolist() == ["doe 0 0", "doe 0 1", "doe 1 0", "doe 1 1"]


def test_feet_are_read_as_feet():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]]) * 1000 / (1200 / 3937)
    found = movement.mcp(track(*square.T, crs="EPSG:2225"), percent=[100])
    assert found["area_km2"].iloc[0] == pytest.approx(1)


def test_degrees_few_fixes_and_lines_are_refused():
    with pytest.raises(LinkwaysError, match="degrees"):
        movement.mcp(herd(1).to_crs("EPSG:4326"))
    with pytest.raises(LinkwaysError, match="fewer than 5 fixes"):
        movement.mcp(herd(1, n=1))
    with pytest.raises(LinkwaysError, match="lie on a line"):
        movement.mcp(track(np.arange(8), np.zeros(8)))
