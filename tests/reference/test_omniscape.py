"""Omniscape.jl's own test cases, in the mode that reproduces it.

Data: ../shared/data/corridors/omniscape (Omniscape.jl, MIT), see PROVENANCE.md there. Upstream's criterion is a
relative Frobenius norm of 1e-6 over the whole array with nodata as -9999. Its test1 was computed with a solver stopped
at 1e-6, and its maps carry errors of some 1e-6 on the cells that hold data.
"""

import numpy as np
import pytest
import rasterio

from linkways.corridors._windows import Condition, Landscape, Windows, moving_windows, source_strength

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "data/corridors/omniscape"


def read(path):
    with rasterio.open(path) as file:
        values = file.read(1).astype(float)
    return np.where(values == -9999, np.nan, values)


def strengths(folder, threshold):
    values = read(folder / "input/source.asc")
    return np.where(np.isnan(values) | (values < threshold), 0.0, values)


def differences(found, path, resistance):
    """Relative Frobenius norms of the difference: upstream's with nodata as -9999, and that of the cells with data."""
    wanted = read(path)
    known = np.isfinite(resistance)
    np.testing.assert_array_equal(np.isfinite(wanted), known)
    ours, theirs = np.where(known, found, -9999), np.where(known, wanted, -9999)
    apart = ours - theirs
    return np.linalg.norm(apart) / np.linalg.norm(theirs), np.linalg.norm(apart[known]) / np.linalg.norm(theirs[known])


@pytest.fixture(scope="module")
def first(folder):
    resistance = read(folder / "input/resistance.asc")
    windows = Windows(radius_cells=5, buffer=2, block=3, omniscape=True, tolerance=1e-10)
    return resistance, moving_windows(Landscape(1 / resistance, strengths(folder, 0.2)), windows)


@pytest.mark.parametrize(
    ("name", "file", "total"),
    [
        ("current", "cum_currmap", 2304.9801),
        ("potential", "flow_potential", 2087.7714),
        ("normalised", "normalized_cum_currmap", 984.75385),
    ],
)
def test_case_1_with_buffer_blocks_and_flow_potential_agrees(first, folder, name, file, total):
    resistance, maps = first
    found = getattr(maps, name)
    upstream, known = differences(found, folder / f"output_verify/test1/{file}.tif", resistance)
    assert maps.windows == 100
    assert upstream < 1e-7
    assert known < 5e-6
    assert found[np.isfinite(resistance)].sum() == pytest.approx(total, rel=3e-6)


def test_case_5_with_two_conditions_agrees_to_rounding(folder):
    resistance, classes = read(folder / "input/resistance.asc"), read(folder / "input/landcover.asc")
    same = Condition(classes, classes, "equal")
    windows = Windows(
        radius_cells=5, block=3, conditions=(same, same), potential=False, omniscape=True, tolerance=1e-11
    )
    maps = moving_windows(Landscape(1 / resistance, strengths(folder, 0.2)), windows)
    upstream, known = differences(maps.current, folder / "output_verify/test5/cum_currmap.tif", resistance)
    assert maps.windows == 100
    assert upstream < 1e-12
    assert known < 1e-9
    assert maps.current[np.isfinite(resistance)].sum() == pytest.approx(664.23855, rel=1e-7)


def test_the_reclassified_case_with_sources_from_resistance_agrees(folder):
    classes = read(folder / "input/discrete_resistance.asc")
    resistance = classes.copy()
    for old, new in ((1, 3), (2, 4), (3, 7), (4, 1), (5, np.nan)):
        resistance[classes == old] = new
    sources = source_strength(1 / resistance, np.inf)
    windows = Windows(radius_cells=5, omniscape=True, potential=False, tolerance=1e-11)
    maps = moving_windows(Landscape(1 / resistance, sources), windows)
    upstream, known = differences(maps.current, folder / "output_verify/test_reclass/cum_currmap.asc", resistance)
    assert maps.windows == 91
    assert upstream < 1e-10
    # the grid holds what a solver stopped at 1e-6 found, read as 32-bit values
    assert known < 1e-6
    assert maps.current[np.isfinite(resistance)].sum() == pytest.approx(105.95751, rel=1e-7)


def test_without_the_edge_quirk_case_1_changes_only_where_windows_are_cut(first, folder):
    resistance, quirk = first
    windows = Windows(radius_cells=5, buffer=2, block=3, tolerance=1e-10)
    mended = moving_windows(Landscape(1 / resistance, strengths(folder, 0.2)), windows)
    known = np.where(np.isfinite(resistance), quirk.current, np.nan)
    change = np.abs(mended.current / known - 1)
    # windows around targets at rows and columns of 7 or more are whole at the upper and left edge
    assert np.nanmax(change[14:, 14:]) < 1e-8
    assert np.nanmax(change[:7, :7]) > 0.01
