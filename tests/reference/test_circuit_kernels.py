"""The circuit kernels against the published verification files of Circuitscape (MIT), raster mode.

Cases without short-circuit regions run on the kernels directly: sgVerify13 (pairwise, mask and included pairs), the
one connected pair of single cells in sgVerify6, and mgVerify6 (a direct ground). Held to a relative 1e-6 in
resistance and to a sum of squared differences below 1e-8 in every map.
"""

from pathlib import Path

import numpy as np
import pytest

from linkways.kernels.current import effective_resistances, node_currents, pair_currents
from linkways.kernels.laplacian import components, ground_cells, raster_stencil
from linkways.kernels.multigrid import build_hierarchy, focal_voltages, solve


def read_grid(path: Path) -> np.ndarray:
    grid = np.loadtxt(path, skiprows=6, ndmin=2)
    return np.where(grid == -9999, np.nan, grid)


def read_resistances(path: Path) -> dict[tuple[int, int], float]:
    table = np.loadtxt(path)
    ids = table[0, 1:].astype(int)
    return {(a, b): table[n + 1, m + 1] for n, a in enumerate(ids) for m, b in enumerate(ids)}


@pytest.fixture
def circuitscape(shared):
    return shared / "data" / "corridors" / "circuitscape"


def squared_difference(found, expected):
    return np.nansum((found - np.nan_to_num(expected)) ** 2)


def solve_points(conductance, points, **rules):
    stencil = raster_stencil(conductance, kind="conductance", **rules)
    hierarchy = build_hierarchy(stencil)
    ids = sorted(points)
    rows = np.array([points[n][0] for n in ids])
    columns = np.array([points[n][1] for n in ids])
    solution = focal_voltages(hierarchy, rows, columns, tolerance=1e-11)
    resistance = effective_resistances(solution.voltages, rows, columns, hierarchy.labels[rows, columns])
    return stencil, ids, rows, columns, solution.voltages, resistance


def test_pairwise_case_13_with_mask_and_included_pairs_matches_circuitscape(circuitscape):
    folder, verify = circuitscape / "input/raster/pairwise/13", circuitscape / "output_verify"
    conductance = read_grid(folder / "cellmap.asc")
    mask = read_grid(folder / "mask.asc")
    conductance[~(mask > 0)] = np.nan
    grid = read_grid(folder / "points.asc")
    points = {int(n): tuple(np.argwhere(grid == n)[0]) for n in np.unique(grid[~np.isnan(grid)])}
    expected = read_resistances(verify / "sgVerify13_resistances.out")
    points = {n: at for n, at in points.items() if (n, n) in expected and np.isfinite(conductance[at])}
    stencil, ids, rows, columns, voltages, resistance = solve_points(conductance, points, neighbours=4)
    labels = components(stencil.nodes, 4)
    maps, pairs = [], []
    for s, a in enumerate(ids):
        for t, b in enumerate(ids):
            if t <= s or expected[a, b] < 0:
                continue
            pairs.append((s, t))
            assert resistance[s, t] == pytest.approx(expected[a, b], rel=1e-6)
            v = voltages[s] - voltages[t]
            maps.append(node_currents(stencil, v))
            stored = read_grid(verify / f"sgVerify13_curmap_{a}_{b}.asc")
            assert squared_difference(maps[-1], stored) < 1e-8
            stored = read_grid(verify / f"sgVerify13_voltmap_{a}_{b}.asc")
            rise = np.where(labels == labels[points[a]], v[points[a]] - v, 0.0)  # Circuitscape grounds the first
            assert squared_difference(rise, stored) < 1e-8
    assert len(pairs) == 3
    cumulative, maximum = pair_currents(stencil, voltages, rows, columns, np.array(pairs))
    assert squared_difference(cumulative, read_grid(verify / "sgVerify13_cum_curmap.asc")) < 1e-8
    assert maximum == pytest.approx(np.max(maps, axis=0), abs=1e-9)


def test_pairs_of_single_cells_in_case_6_match_circuitscape(circuitscape):
    folder, verify = circuitscape / "input/raster/pairwise/6", circuitscape / "output_verify"
    resistance_map = read_grid(folder / "cellmap5x5.asc")
    listed = np.loadtxt(folder / "points5x5_polys.txt")
    cells = {}
    for n, x, y in listed:
        cells.setdefault(int(n), []).append((int((150 - y) // 10), int((x - 100) // 10)))
    points = {n: at[0] for n, at in cells.items() if len(at) == 1}
    stored = read_resistances(verify / "sgVerify6_resistances.out")
    stencil, ids, _, _, voltages, found = solve_points(1 / resistance_map, points, neighbours=4, average="resistance")
    compared = 0
    for s, a in enumerate(ids):
        for t, b in enumerate(ids):
            if t > s and stored[a, b] > 0:
                assert found[s, t] == pytest.approx(stored[a, b], rel=1e-6)
                expected = read_grid(verify / f"sgVerify6_curmap_{a}_{b}.asc")
                currents = node_currents(stencil, voltages[s] - voltages[t])
                assert squared_difference(currents, expected) < 1e-8
                compared += 1
    assert compared == 1


def test_advanced_case_6_with_a_direct_ground_matches_circuitscape(circuitscape):
    """Sources of 1, 2, ... amperes and a direct ground on the first, where the ground removes the source."""
    folder = circuitscape / "input/raster/advanced/6"
    resistance = read_grid(folder / "cellmap.asc")
    sources = np.nan_to_num(read_grid(folder / "points.asc"))
    tied = np.zeros(resistance.shape, dtype=bool)
    tied[0, 0] = True
    stencil = raster_stencil(resistance, average="resistance")
    sources[tied | ~stencil.nodes] = 0.0
    hierarchy = build_hierarchy(ground_cells(stencil, tied))
    voltages = solve(hierarchy, sources[None], tolerance=1e-11).voltages[0]
    stored = read_grid(circuitscape / "output_verify/mgVerify6_curmap.asc")
    assert squared_difference(node_currents(stencil, voltages), stored) < 1e-8
