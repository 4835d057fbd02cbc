"""Streams from flow directions and elevation, checked by hand and by following single cells."""

import importlib.util
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.errors import LinkwaysError, MissingExtra
from linkways.rivers import network, streams
from linkways.spatial import cell_geometry, new_raster

needs_pyflwdir = pytest.mark.skipif(
    importlib.util.find_spec("pyflwdir") is None, reason="the extra 'rivers' (pyflwdir) is not installed"
)
D8 = {1: (0, 1), 2: (1, 1), 4: (1, 0), 8: (1, -1), 16: (0, -1), 32: (-1, -1), 64: (-1, 0), 128: (-1, 1)}
LDD = {6: (0, 1), 3: (1, 1), 2: (1, 0), 1: (1, -1), 4: (0, -1), 7: (-1, -1), 8: (-1, 0), 9: (-1, 1)}


def raster(values, **given):
    return new_raster(np.asarray(values, float), **({"crs": "EPSG:32631", "cell_size": 1000} | given))


@needs_pyflwdir
def test_streams_run_between_sources_confluences_and_outlets():
    # two rows run east into the third column, which runs south
    found = streams(raster([[1, 1, 4], [1, 1, 4], [0, 16, 0]]), min_upstream_km2=1)
    told = sorted(zip(found["upstream_km2"], found["length_m"], strict=True))
    assert told == [(2, 1000), (2, 2000), (3, 3000), (7, 1000)]
    built = network(found)
    assert built.basins_count == 2
    assert built.length_m == found["length_m"].sum()


@needs_pyflwdir
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["d8", "ldd"]))
def test_every_cell_is_drained_as_its_code_says(seed, encoding):
    rng = np.random.default_rng(seed)
    codes = D8 if encoding == "d8" else LDD
    south = [code for code, (row, _) in codes.items() if row == 1]
    # all cells run south in some way, so that nothing runs in a circle; the last row is the outlets
    values = rng.choice(south, (7, 9)).astype(float)
    values[-1] = 0 if encoding == "d8" else 5
    code_of = {step: code for code, step in codes.items()}
    for column, out in ((0, -1), (-1, 1)):
        values[:-1, column][values[:-1, column] == code_of[1, out]] = code_of[1, 0]
    area = np.ones((7, 9))
    drains = {}
    for row in range(6):
        for column in range(9):
            step = codes[int(values[row, column])]
            to = (row + step[0], column + step[1])
            drains[row, column] = to
            area[to] += area[row, column]
    found = streams(raster(values), encoding=encoding, min_upstream_km2=2)
    grid = raster(values)
    steps = set()
    for line in found.geometry:
        cells = [(round((grid.y.values[0] - y) / 1000), round((x - grid.x.values[0]) / 1000)) for x, y in line.coords]
        steps |= set(pairwise(cells))
    assert steps == {(cell, to) for cell, to in drains.items() if area[cell] >= 2}


@needs_pyflwdir
def test_streams_from_elevation_run_down_a_valley():
    y, x = np.mgrid[0:9, 0:9]
    valley = 10.0 * np.abs(x - 4) + (9 - y)
    found = streams(elevation=raster(valley), min_upstream_km2=20)
    assert len(found) >= 1
    trunk = found.loc[found["upstream_km2"].idxmax()]
    assert trunk["upstream_km2"] == 81
    assert {round(c[0] - raster(valley).x.values[4]) for c in trunk.geometry.coords} == {0}


@needs_pyflwdir
def test_areas_and_lengths_are_those_of_the_ellipsoid_in_degrees():
    directions = raster([[4.0], [4.0], [0.0]], crs="EPSG:4326", cell_size=0.1, origin=(10.0, 60.0))
    found = streams(directions, min_upstream_km2=1)
    geometry = cell_geometry(directions)
    assert found["upstream_km2"].iloc[0] == pytest.approx(geometry.area_km2.sum())
    assert found["length_m"].iloc[0] == pytest.approx(geometry.north_south_m.sum())


@needs_pyflwdir
def test_wrong_inputs_are_refused():
    good = raster([[1, 1, 0]])
    with pytest.raises(LinkwaysError, match="either directions or elevation"):
        streams()
    with pytest.raises(LinkwaysError, match="1 cells that are no d8 code, first 3 at row 0 column 1"):
        streams(raster([[1, 3, 0]]))
    with pytest.raises(LinkwaysError, match="no stream gathers 99 km2, the largest 3 km2"):
        streams(good, min_upstream_km2=99)
    with pytest.raises(LinkwaysError, match="rows of the raster must run from north to south"):
        streams(raster([[1, 0], [1, 0]]).isel(y=slice(None, None, -1)))


def test_without_pyflwdir_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyflwdir", None)
    with pytest.raises(MissingExtra, match=r"pip install 'linkways\[rivers\]'"):
        streams(raster([[1, 0]]))
