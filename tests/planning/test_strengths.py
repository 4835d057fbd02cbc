"""Strengths between neighbouring units: the map of flow along the edge that they share."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import planning
from linkways.errors import LinkwaysError
from linkways.spatial import new_raster


def raster(values, cell=100.0):
    values = np.asarray(values, dtype=float)
    return new_raster(values, crs="EPSG:32617", cell_size=cell, origin=(0, len(values) * cell))


def squares(across, side):
    shapes = [
        shapely.box(x * side, y * side, (x + 1) * side, (y + 1) * side) for y in range(across) for x in range(across)
    ]
    names = [f"u{n}" for n in range(len(shapes))]
    return gpd.GeoDataFrame({"unit": names}, geometry=shapes, crs="EPSG:32617")


def as_dict(table):
    return {frozenset((a, b)): s for a, b, s in table.values}


def by_hand(values, across, cells, cell_km):
    """Every side between two cells of different units, one after the other."""
    found = {}
    rows, columns = values.shape

    def unit(row, column):
        return f"u{(rows - 1 - row) // cells * across + column // cells}"

    for row in range(rows):
        for column in range(columns):
            for down, right in ((1, 0), (0, 1)):
                other = (row + down, column + right)
                if other[0] >= rows or other[1] >= columns or unit(row, column) == unit(*other):
                    continue
                both = (values[row, column] + values[other]) / 2 * cell_km
                if np.isfinite(both) and both > 0:
                    key = frozenset((unit(row, column), unit(*other)))
                    found[key] = found.get(key, 0.0) + both
    return found


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 7.0, np.nan]), min_size=36, max_size=36))
def test_every_side_between_two_units_adds_the_mean_of_its_cells(values):
    flow = np.array(values).reshape(6, 6)
    found = as_dict(planning.strengths(raster(flow), squares(3, 200.0)))
    expected = by_hand(flow, 3, 2, 0.1)
    assert found.keys() == expected.keys()
    assert all(found[key] == pytest.approx(expected[key]) for key in expected)


def test_an_even_flow_gives_its_value_times_the_shared_edge_on_any_grid():
    for cell in (50.0, 100.0, 250.0):
        count = int(3000 / cell)
        found = planning.strengths(raster(np.full((count, count), 2.0), cell), squares(3, 1000.0))
        assert len(found) == 12
        assert found.strength.to_numpy() == pytest.approx(2.0)


def test_the_order_of_the_units_does_not_matter():
    flow = raster(np.arange(36.0).reshape(6, 6))
    units = squares(3, 200.0)
    assert as_dict(planning.strengths(flow, units)) == pytest.approx(as_dict(planning.strengths(flow, units[::-1])))


def test_select_follows_the_flow():
    flow = raster([[1.0] * 6] * 2 + [[0.0] * 6] * 4)
    units = squares(3, 200.0).assign(cost=1.0, frog=1.0)
    targets = pd.DataFrame({"feature": ["frog"], "target": [3.0], "type": "absolute"})
    found = planning.select(
        units, targets=targets, connectivity=planning.strengths(flow, units), connectivity_penalty=1.0
    )
    assert set(found.plan.unit[found.plan.selected == 1]) == {"u6", "u7", "u8"}


@pytest.mark.parametrize(
    ("flow", "units", "told"),
    [
        ([[-1.0] * 6] * 6, squares(3, 200.0), "below 0 in 36 cells"),
        ([[1.0] * 6] * 6, squares(30, 20.0), "hold the centre of no cell"),
        ([[1.0] * 6] * 6, squares(3, 200.0).assign(unit="a"), "twice"),
        ([[1.0] * 6] * 6, squares(3, 200.0).drop(columns="unit"), "no column 'unit'"),
    ],
)
def test_what_cannot_be_meant_is_refused(flow, units, told):
    with pytest.raises(LinkwaysError, match=told):
        planning.strengths(raster(flow), units)
