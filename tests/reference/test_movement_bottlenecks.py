"""Bottlenecks of analytic shapes (an hourglass, and a notch in it) and of corridors of real pronghorn.

The hourglass has the half-width 200 + 0.1 |x - 10000| m, so that it is 400 m wide at x = 10000 and nowhere narrower.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from linkways import movement, spatial

CELL_M = 25.0


def raster(mask, cell_m=CELL_M):
    return spatial.new_raster(np.asarray(mask, float), crs="EPSG:32612", cell_size=cell_m)


def hourglass(notch_m=None, cell_m=CELL_M):
    """20 km long; the notch narrows it to so many metres from x = 4900 to 5100."""
    x = np.arange(cell_m / 2, 20_000, cell_m)
    y = np.arange(cell_m / 2, 2_400, cell_m) - 1_200
    mask = np.abs(y)[:, None] <= 200 + 0.1 * np.abs(x - 10_000)
    if notch_m is not None:
        mask &= ~((np.abs(x - 5000) < 100) & (np.abs(y)[:, None] > notch_m / 2))
    return raster(mask, cell_m)


@pytest.mark.parametrize("cell_m", [12.5, 25.0, 50.0, 100.0])
def test_the_neck_of_the_hourglass_is_400_m_wide_within_a_cell(cell_m):
    found = movement.bottlenecks(hourglass(cell_m=cell_m)).bottlenecks
    assert found.width_m.tolist() == pytest.approx([400], abs=cell_m)
    assert found.width_low_m[0] <= 400 <= found.width_high_m[0]
    assert found.geometry.x[0] == pytest.approx(10_000, abs=cell_m)
    assert found.geometry.y[0] == pytest.approx(-1_200, abs=cell_m)
    assert found.is_cut.all()


def test_the_hourglass_is_narrower_than_500_m_for_a_kilometre():
    found = movement.bottlenecks(hourglass(cell_m=12.5)).bottlenecks
    # its width changes by 0.2 m in a metre: a cell of width is 62.5 m of length at each end
    assert found.narrow_m[0] == pytest.approx(1_000, abs=125)


def test_a_notch_of_150_m_is_found_beside_the_neck_of_400_m():
    found = movement.bottlenecks(hourglass(notch_m=150)).bottlenecks
    assert found.width_m.tolist() == pytest.approx([150, 400], abs=CELL_M)
    assert found.geometry.x.tolist() == pytest.approx([5_000, 10_000], abs=CELL_M)
    assert found.narrow_m[0] == pytest.approx(200, abs=2 * CELL_M)
    # the notch parts 1400 m (at x = 5000) and more on its left from as much on its right, where it is 800 m at x = 8000
    assert found.prominence[0] > found.prominence[1] > 2


@pytest.mark.parametrize("width_m", [150.0, 400.0])
def test_hourglasses_at_any_angle_and_offset_are_as_wide_within_a_cell(width_m):
    rng = np.random.default_rng(7)
    cells = 300
    for angle, slope in zip(rng.uniform(0, np.pi, 20), [0.1, 0.3] * 10, strict=True):
        x, y = np.meshgrid(*2 * [(np.arange(cells) - cells / 2) * CELL_M])
        x, y = x + rng.uniform(0, CELL_M), y + rng.uniform(0, CELL_M)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        mask = (np.abs(across) <= width_m / 2 + slope * np.abs(along)) & (np.hypot(x, y) < 3_500)
        found = movement.bottlenecks(raster(mask)).bottlenecks
        assert found.width_m.tolist() == pytest.approx([width_m], abs=CELL_M * 1.001), (angle, slope)


def test_the_tiers_of_an_hourglass_show_the_same_neck_at_their_own_widths():
    x = np.arange(12.5, 20_000, 25)
    y = np.arange(12.5, 3_600, 25) - 1_800
    half = 200 + 0.1 * np.abs(x - 10_000)
    tiers = sum((np.abs(y)[:, None] <= k * half).astype(float) for k in (1.0, 1.25, 1.5))
    found = movement.bottlenecks(raster(tiers), min_tiers=3)
    assert found.count == 1
    assert found.tiers.width_m.tolist() == pytest.approx([600, 500, 400], abs=CELL_M)


@pytest.fixture(scope="module")
def pronghorn(shared):
    folder = shared / "data" / "movement"
    table = pd.read_csv(folder / "pronghorn_sublette_sequences.csv")
    table["time"] = pd.to_datetime(table["timestamp"], utc=True)
    fixes = gpd.GeoDataFrame(
        table[["sequence", "time"]].assign(animal=table["id"].astype(str)),
        geometry=gpd.points_from_xy(table["x_aea"], table["y_aea"]),
        crs="EPSG:5070",
    )
    return spatial.read_raster(folder / "expected_bbmm_n_individuals.tif"), fixes


def test_a_cross_section_of_the_pronghorn_corridor_is_passed_by_the_animals_whose_lines_meet_it(pronghorn):
    """15 animals (24 sequences) on the published number of animals per 500 m cell; passages recounted with shapely."""
    animals, fixes = pronghorn
    found = movement.bottlenecks(animals.where(animals > 0), fixes, min_tiers=1, replicates=10)
    assert found.count > 0
    lines = (
        fixes.sort_values("time").groupby("sequence").geometry.apply(lambda points: shapely.LineString(list(points)))
    )
    owner = fixes.groupby("sequence").animal.first()
    for row, section in zip(found.bottlenecks.itertuples(), found.cross_sections.geometry, strict=True):
        (x0, y0), (x1, y1) = section.coords
        more = 500 / section.length
        longer = shapely.LineString(
            [(x0 - more * (x1 - x0), y0 - more * (y1 - y0)), (x1 + more * (x1 - x0), y1 + more * (y1 - y0))]
        )
        passing = lines[lines.intersects(longer)].index
        assert row.share_sequences == pytest.approx(len(passing) / 24)
        assert row.share_animals == pytest.approx(owner[passing].nunique() / 15)
