"""The Linkage Mapper demonstration: distances it published, and least costs computed by scikit-image for it.

Data: ../shared/data/corridors/linkage_mapper_demo (linkagescape/linkage-mapper), see PROVENANCE.md there.
"""

import numpy as np
import pytest

from linkways import corridors
from linkways.corridors._corridors import normalised_corridor
from linkways.corridors._network import build_network
from linkways.spatial import read_raster, read_vectors

# least-cost distances in cost-metres: scikit-image MCP_Geometric, 8 neighbours, cores by the cell-centre rule
LEAST_COSTS = {
    (1, 2): 120021.37, (1, 3): 116280.66, (1, 4): 76104.04, (1, 5): 71431.49, (1, 6): 112708.31,
    (2, 3): 49648.72, (2, 4): 147656.74, (2, 5): 90330.82, (2, 6): 122636.97, (3, 4): 88445.13,
    (3, 5): 24714.57, (3, 6): 56481.06, (4, 5): 35447.86, (4, 6): 35919.99, (5, 6): 13845.64,
}  # fmt: skip
# cells with normalised least-cost corridor <= 5000, by link, and of their union
CORRIDOR_CELLS = {(1, 4): 1307, (1, 5): 1335, (2, 3): 766, (3, 5): 815, (4, 5): 1571, (4, 6): 1516, (5, 6): 1173}
UNION_CELLS = 7546
ALLOCATION_NEIGHBOURS = {(1, 2), (1, 4), (1, 5), (2, 3), (2, 5), (3, 5), (3, 6), (4, 5), (4, 6), (5, 6)}


@pytest.fixture(scope="module")
def demo(shared):
    folder = shared / "data/corridors/linkage_mapper_demo"
    resistance = read_raster(folder / "lm_resistances.tif")
    cores = read_vectors(folder / "lm_cores.shp").rename(columns={"core_id": "core"})
    return folder, resistance, cores[["core", "geometry"]].to_crs(resistance.rio.crs)


@pytest.fixture(scope="module")
def all_pairs(demo):
    _, resistance, cores = demo
    return build_network(
        resistance, cores, None, rule="all_pairs", max_cost=None, nearest=1, drop_through_cores=False,
        unreachable="refuse", neighbours=8,
    )  # fmt: skip


def test_cores_hold_the_cells_of_the_cell_centre_rule(all_pairs):
    assert [len(cells) for _, cells in all_pairs.cores] == [3698, 624, 2132, 1920, 2125, 3224]


def test_euclidean_distances_equal_the_published_file_to_a_millimetre(demo, all_pairs):
    published = np.loadtxt(demo[0] / "distances_lm_cores.txt")
    ours = {(row.core_a, row.core_b): row.euclidean_m for row in all_pairs.table().itertuples()}
    assert len(published) == 15
    for a, b, metres in published:
        assert ours[min(a, b), max(a, b)] == pytest.approx(metres, abs=1e-3)


def test_least_costs_equal_those_of_scikit_image(all_pairs):
    ours = {(row.core_a, row.core_b): row.cost for row in all_pairs.table().itertuples()}
    assert set(ours) == set(LEAST_COSTS)
    for pair, cost in LEAST_COSTS.items():
        assert ours[pair] == pytest.approx(cost, abs=0.01)


def test_neighbours_by_cost_allocation_are_the_published_ten(demo):
    _, resistance, cores = demo
    links = corridors.link_network(resistance, cores, rule="allocation").links
    assert set(zip(links["core_a"], links["core_b"], strict=True)) == ALLOCATION_NEIGHBOURS


def test_corridors_hold_the_published_numbers_of_cells(all_pairs):
    ids = all_pairs.cores.ids
    union = np.zeros(all_pairs.landscape.shape, bool)
    for link in all_pairs.links:
        pair = (ids[link.a], ids[link.b])
        if pair not in CORRIDOR_CELLS:
            continue
        window, excess = normalised_corridor(all_pairs, link)
        inside = excess <= 5000
        assert int(inside.sum()) == CORRIDOR_CELLS[pair], pair
        union[window.slices] |= inside
    assert int(union.sum()) == UNION_CELLS


def test_the_mosaic_of_the_method_is_the_same_union(demo):
    _, resistance, cores = demo
    import pandas as pd

    pairs = pd.DataFrame(list(CORRIDOR_CELLS), columns=["core_a", "core_b"])
    links = cores.iloc[[0] * len(pairs)][["geometry"]].reset_index(drop=True).join(pairs)
    result = corridors.least_cost(resistance, cores, links, cutoff=5000)
    assert int(np.isfinite(result.mosaic).sum()) == UNION_CELLS
