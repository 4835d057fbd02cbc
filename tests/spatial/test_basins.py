"""Simulated basins: seeded, simulated in name, dendritic, and with the truth they promise."""

import networkx as nx
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.errors import LinkwaysError
from linkways.spatial import random_barriers, random_basin, read_vectors, write_vectors
from linkways.spatial.basins import channel_lines, sum_downstream, sum_upstream

MODELS = ["spanning_tree", "scheidegger"]


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_basin_and_says_it_is_simulated(model, tmp_path):
    first = random_basin(12, 15, seed=7, model=model)
    assert first.equals(random_basin(12, 15, seed=7, model=model))
    assert not first.equals(random_basin(12, 15, seed=8, model=model))
    assert first.attrs["simulated"] is True
    assert first.attrs["source"].startswith("simulated: river basin")
    assert len(read_vectors(write_vectors(first, tmp_path / "basin.parquet"))) == len(first)


def test_a_spanning_tree_drains_the_whole_grid_to_one_outlet():
    basin = random_basin(20, 30, seed=1, channel_cells=1, cell_size_m=500.0)
    outlet = basin[basin["down"] < 0]
    assert len(outlet) == 1
    assert outlet["upstream_km2"].iloc[0] == 20 * 30 * 0.25
    assert outlet["elevation_end_m"].iloc[0] == 0.0
    # every cell but the sea is drawn once
    assert len(np.unique(shapely.get_coordinates(basin.geometry.to_numpy()), axis=0)) == 601


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 14), st.integers(2, 14), st.integers(0, 10**6), st.sampled_from(MODELS), st.integers(1, 3))
def test_every_reach_flows_downhill_into_its_reach_and_areas_add_up(rows, columns, seed, model, cells):
    basin = random_basin(rows, columns, seed=seed, model=model, channel_cells=cells)
    down, lines = basin["down"].to_numpy(), basin.geometry.to_numpy()
    graph = nx.DiGraph((i, int(d)) for i, d in enumerate(down))
    assert nx.is_arborescence(graph.reverse())
    inner = down >= 0
    ends, starts = shapely.get_point(lines, -1), shapely.get_point(lines, 0)
    assert shapely.equals(ends[inner], starts[down[inner]]).all()
    assert (basin["elevation_start_m"] > basin["elevation_end_m"]).all()
    np.testing.assert_allclose(basin["elevation_end_m"][inner], basin["elevation_start_m"].to_numpy()[down[inner]])
    assert (basin["upstream_km2"] >= cells).all()
    above = np.bincount(down[inner], weights=basin["upstream_km2"][inner], minlength=len(down))
    # what comes from above is no more than what leaves, less a cell for the confluence itself
    fed = np.bincount(down[inner], minlength=len(down)) > 0
    assert (basin["upstream_km2"][fed] >= above[fed] + 1).all()
    np.testing.assert_allclose(basin["length_m"], shapely.length(lines))
    # rivers touch at their ends only
    tree = shapely.STRtree(lines)
    a, b = tree.query(lines, predicate="crosses")
    assert not len(a[a != b])


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_sums_along_a_tree_are_those_of_its_paths(data):
    count = data.draw(st.integers(1, 15))
    order = data.draw(st.permutations(range(count)))
    down = np.full(count, -1)
    for k in range(1, count):
        down[order[k]] = data.draw(st.sampled_from([-1, *order[:k]]))
    values = np.array(data.draw(st.lists(st.integers(0, 9), min_size=count, max_size=count)), float)

    def path(i):
        return [i] if down[i] < 0 else [i, *path(down[i])]

    assert sum_downstream(down, values).tolist() == [values[path(i)].sum() for i in range(count)]
    above = [[j for j in range(count) if i in path(j)] for i in range(count)]
    assert sum_upstream(down, values).tolist() == [values[a].sum() for a in above]


def test_channels_run_from_sources_and_confluences_to_the_next():
    # 0 -> 1 -> 4 <- 3 <- 2, 4 -> 5 -> out; 6 is dry
    down = np.array([1, 4, 3, 4, 5, -1, 1])
    channel = np.array([True] * 6 + [False])
    x = np.arange(7.0)
    lines, first, last, onward = channel_lines(down, channel, x, -x)
    assert [shapely.get_coordinates(line)[:, 0].tolist() for line in lines] == [[0, 1, 4], [2, 3, 4], [4, 5]]
    assert first.tolist() == [0, 2, 4]
    assert last.tolist() == [1, 3, 5]
    assert onward.tolist() == [2, 2, -1]


def test_barriers_stand_where_they_say_and_as_often_as_there_is_river():
    basin = random_basin(20, 20, seed=2)
    barriers = random_barriers(basin, 4000, seed=3, kinds={"dam": 3, "ford": 1})
    truth = basin.geometry.to_numpy()[barriers["true_reach"]]
    at = shapely.line_interpolate_point(truth, barriers["true_along_m"].to_numpy())
    assert shapely.distance(at, barriers.geometry.to_numpy()).max() < 1e-6
    assert (barriers["kind"] == "dam").mean() == pytest.approx(0.75, abs=0.03)
    # chi-square of the counts by reach: expected value the number of reaches, standard deviation sqrt(2 n)
    expected = 4000 * basin["length_m"] / basin["length_m"].sum()
    counts = np.bincount(barriers["true_reach"], minlength=len(basin))
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi2 - len(basin)) < 5 * np.sqrt(2 * len(basin))
    assert barriers.attrs["simulated"] is True


def test_an_offset_moves_barriers_no_farther_than_it_says():
    basin = random_basin(10, 10, seed=2)
    barriers = random_barriers(basin, 300, seed=3, offset_m=25.0)
    away = shapely.distance(barriers.geometry.to_numpy(), shapely.union_all(basin.geometry.to_numpy()))
    assert 15 < away.max() <= 25
    assert barriers.equals(random_barriers(basin, 300, seed=3, offset_m=25.0))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rows": 1}, "at least 2 x 2 cells"),
        ({"channel_cells": 0}, "channel_cells must be above 0"),
        ({"cell_size_m": -1.0}, "cell_size_m must be above 0"),
        ({"model": "ocn"}, "model must be spanning_tree or scheidegger"),
        ({"channel_cells": 999}, "no cell of 5 x 5 gathers 999 cells"),
    ],
)
def test_impossible_basins_are_refused(given, message):
    with pytest.raises(LinkwaysError, match=message):
        random_basin(**({"rows": 5, "columns": 5, "seed": 1} | given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": 0}, "count must be 1 or more"),
        ({"offset_m": -1.0}, "offset_m 0 or more"),
        ({"kinds": {"dam": 0.0}}, "share above 0"),
    ],
)
def test_impossible_barriers_are_refused(given, message):
    basin = random_basin(5, 5, seed=1, channel_cells=2)
    with pytest.raises(LinkwaysError, match=message):
        random_barriers(basin, **({"count": 3, "seed": 1} | given))
    with pytest.raises(LinkwaysError, match="column reach and a projected CRS"):
        random_barriers(basin.to_crs("EPSG:4326"), 3, seed=1)
