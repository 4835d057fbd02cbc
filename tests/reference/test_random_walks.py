"""Randomised shortest paths beside the published numbers of ConScape and those of itinera.

ConScape: test/wall.jl of ConScape.jl (set "wall_landmark1"): a grid of 30 x 60 cells with a permeable wall, affinities
0.5 and 0.5 / sqrt(2), costs -log(affinity), theta 0.2, qualities falling from 1800 to 1, four target cells; the numbers
are the quality-weighted betweenness of the nine cells of the wider gap.

itinera 0.14.2 (MIT): rsp_passages with normalize=False, run on the cost matrix of the grid below.
"""

from dataclasses import replace

import numpy as np
import pytest

from linkways.corridors._walks import EndedWalk, WalkGraph, flows
from linkways.corridors.randomised_paths import randomised_paths
from linkways.kernels.laplacian import raster_stencil

from ..corridors.conftest import cell_boxes, planar

CONSCAPE_GAP = [
    [1.35257193796979e9, 1.3112254944853191e9, 1.3525448385844798e9],
    [1.7383632661402326e9, 1.9571251417867596e9, 1.7385247019409044e9],
    [1.352382919812123e9, 1.3103077614483771e9, 1.3520848636655023e9],
]
WALL_COLUMNS, GAPS = slice(29, 32), (slice(8, 11), slice(20, 22))
STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))


def wall_graph() -> tuple[WalkGraph, np.ndarray]:
    plain = raster_stencil(np.full((30, 60), 0.5), kind="conductance")
    wall = np.zeros((32, 62), bool)
    inside = wall[1:-1, 1:-1]
    inside[:, WALL_COLUMNS] = True
    for gap in GAPS:
        inside[gap, WALL_COLUMNS] = False
    edges, costs, diagonal = [], [], np.zeros(wall.shape)
    whole = (plain.east, plain.south, plain.southeast, plain.southwest)
    for edge, (down, right) in zip(whole, STEPS, strict=True):
        costs.append(-np.log(edge, out=np.zeros_like(edge), where=edge > 0).ravel())
        into_wall = (wall | np.roll(wall, (-down, -right), axis=(0, 1))) & (edge > 0)
        edges.append(np.where(into_wall, 1e-20, edge))
        diagonal += edges[-1] + np.roll(edges[-1], (down, right), axis=(0, 1))
    east, south, southeast, southwest = edges
    stencil = replace(plain, east=east, south=south, southeast=southeast, southwest=southwest, diagonal=diagonal)
    return WalkGraph(stencil, np.stack(costs)), wall[1:-1, 1:-1]


@pytest.mark.parametrize("solver", ["elimination", "logarithms"])
def test_movement_through_the_gap_of_a_wall_equals_that_of_conscape(solver):
    graph, wall = wall_graph()
    quality = (1800.0 - np.arange(1800)).reshape(30, 60)
    total = np.zeros((30, 60))
    for target in ((9, 14), (19, 14), (9, 44), (19, 44)):
        ends = np.zeros((30, 60), bool)
        ends[target] = True
        movers = np.where(wall | ends, 0.0, quality * quality[target])
        walk = EndedWalk(graph, 0.2, ends)
        factor = walk.factor()
        rows, columns = np.indices(ends.shape)
        nearby = np.hypot(rows - target[0], columns - target[1])
        everywhere = np.where(ends, np.inf, 0.0)

        def solve(log_b, order, walk=walk, factor=factor):
            return walk.solve(log_b, factor) if solver == "elimination" else walk.sweep(log_b, order)

        paths = walk.with_ends(solve(walk.arrivals(), nearby))
        total += flows(walk, paths, solve(walk.starts(movers, paths), everywhere)).passages
    np.testing.assert_allclose(total[8:11, 29:32], CONSCAPE_GAP, rtol=1e-10)


# theta, end -> free energy, then passages of six cells as shares of the largest
CELLS = ((2, 1), (5, 5), (6, 9), (9, 13), (0, 14), (11, 0))
ITINERA = {
    (0.001, (9, 13)): (
        6467.166312251863,
        [1.0, 0.25204376920634464, 0.1753925535535868, 0.6585986771082717, 0.017218703279155603, 0.020141516800861146],
    ),
    (0.001, (0, 14)): (
        6506.357923774363,
        [1.0, 0.12506588448808253, 0.04458306691482199, 0.008874990525956276, 0.6585999337556286,
         0.0034373104073922595],
    ),
    (0.02, (9, 13)): (
        1394.2377577180184,
        [1.0, 0.09894143985663562, 0.051040961144979684, 0.9915684096567543, 2.299289102847457e-08,
         1.0026246374771128e-08],
    ),
    (0.02, (0, 14)): (
        1371.4635939475368,
        [1.0, 0.0015039264953972107, 6.809224035608616e-05, 4.380945654968101e-09, 0.9915684096567543,
         2.1781189438050855e-12],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("theta", "end"), list(ITINERA))
def test_free_energies_and_passages_equal_those_of_itinera(theta, end):
    rows, columns = np.mgrid[0:12, 0:15]
    raster = planar(1.0 + (7 * rows + 5 * columns) % 11, cell_m=10)
    found = randomised_paths(raster, cell_boxes(raster, [(2, 1)]), cell_boxes(raster, [end]), theta=theta)
    free_energy, shares = ITINERA[theta, end]
    assert found.costs.free_energy[0] == pytest.approx(free_energy, rel=1e-10)
    passages = found.passages.values / found.passages.values.max()
    np.testing.assert_allclose([passages[cell] for cell in CELLS], shares, rtol=1e-9)
