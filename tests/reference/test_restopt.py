"""Restoration plans beside those that restopt published.

Data: ../shared/data/networks/restoptr and restopt (dimitri-justeau/restoptr, restopt), see PROVENANCE.md there. The
published figures are those printed in the articles "Getting started" and "Case study" of restoptr 1.0.1: every plan
of them is proven optimal by its constraint solver. It measures circles on square units as wide as its units are, which
the formalism "restopt" does too; MESH is printed to 0.01 ha, and solved for to 0.0001 of a unit.
"""

import geopandas as gpd
import numpy as np
import pytest
from scipy.ndimage import label

from linkways.planning.restore import restore
from linkways.spatial import feature_of_cell, new_raster, read_raster

# by budget (ha, from 100 by 10): effective mesh size, units
CURVE = [
    (14124.59, 9), (14124.59, 9), (14140.00, 10), (14155.43, 11), (14155.43, 11), (14170.86, 12), (14186.29, 12),
    (14201.74, 13), (14201.74, 13), (14217.20, 14), (14217.20, 15), (14232.66, 15), (14248.14, 16), (14248.14, 16),
    (14263.62, 17), (14263.62, 17), (14279.12, 18), (14279.12, 18), (14294.62, 19), (14294.62, 19), (14310.13, 20),
    (14310.13, 20), (14325.65, 21), (14325.65, 21), *[(14341.18, 22)] * 12,
]  # fmt: skip


@pytest.fixture(scope="module")
def vignette(shared):
    folder = shared / "data/networks/restoptr"
    rasters = {
        "habitat": read_raster(folder / "habitat_hi_res.tif"),
        "locked_out": read_raster(folder / "locked_out.tif"),
    }
    return rasters | {"aggregation": 16, "habitat_threshold": 0.7, "compact_km": 2.5}


@pytest.fixture(scope="module")
def curve(vignette):
    return restore(**vignette, budget=220, budgets=[*range(100, 451, 10)], formalism="restopt")


def test_the_landscape_is_that_of_the_article(curve):
    codes = curve.plan.values
    assert codes.shape == (117, 170)
    assert np.isfinite(codes).sum() == 4776
    assert np.isin(codes, [1, 3]).sum() == 652  # candidates
    assert curve.value_before == pytest.approx(13667.84, abs=0.005)


def test_the_plan_for_220_hectares_is_the_published_optimum_with_a_proof(curve):
    row = curve.summary.iloc[0]
    assert row["value"] == pytest.approx(14248.14, abs=0.005)
    assert row["status"] == "optimal"
    assert row["units"] == 16
    assert row["diameter_m"] == pytest.approx(2499.808, abs=0.001)
    assert row["restored_ha"] <= 219.2941 + 1e-4


def test_the_whole_curve_is_the_published_one(curve):
    assert len(curve.curve) == len(CURVE)
    assert (curve.curve["status"] == "optimal").all()
    np.testing.assert_allclose(curve.curve["value"], [mesh for mesh, _ in CURVE], atol=0.0051)
    assert curve.curve["units"].tolist() == [units for _, units in CURVE]


def test_there_are_eight_optimal_plans(vignette):
    # asked for 100 plans without a gap, restoptr finds eight
    found = restore(**vignette, budget=220, formalism="restopt", portfolio=100, within_percent=0)
    assert len(found.portfolio) == 8
    np.testing.assert_allclose(found.portfolio["value"], 14248.14, atol=0.005)
    # the published one is among them
    assert np.isclose(found.portfolio["restored_ha"], 219.2941, atol=1e-4).any()


def test_in_true_metres_the_circle_of_the_published_plan_is_too_large(vignette, curve):
    # units are 447 m by 476 m: 5.59 units across are 2500 m, down they are 2660 m
    found = restore(**vignette, budget=220)
    assert found.summary["status"].item() == "optimal"
    assert found.value_after < curve.value_after
    rows, columns = np.nonzero(curve.plan.values == 3)
    apart = np.hypot((columns[:, None] - columns) * 447.179, (rows[:, None] - rows) * 475.894)
    assert apart.max() > 2500
    rows, columns = np.nonzero(found.plan.values == 3)
    apart = np.hypot((columns[:, None] - columns) * 447.179, (rows[:, None] - rows) * 475.894)
    assert apart.max() <= 2500


def test_without_a_circle_the_gap_is_told(vignette):
    found = restore(**vignette | {"compact_km": None}, budget=220, time_limit=6)
    row = found.summary.iloc[0]
    # joining the patches of 1699 and 231 units alone gives 3497 ha
    assert row["value"] > 13667.84 + 3497
    assert row["bound"] >= row["value"]
    assert row["status"].startswith("gap ")
    assert found.gap_percent < 8


# --- Mount Kaala ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kaala(shared):
    folder = shared / "data/networks/restoptr"
    before, after = (read_raster(folder / f"forest_{year}.tif") for year in (1976, 2021))
    tracks = gpd.read_file(f"/vsigzip/{folder}/available_150m_tracks.gpkg.gz")
    return before, after, tracks


def locked_by_unit(fine, outlines, factor):
    """Land outside the outlines, by the centre of units, as restoptr burns polygons."""
    rows, columns = (-(-n // factor) for n in fine.shape)
    west, _, _, north = fine.rio.bounds()
    width, height = (abs(step) * factor for step in fine.rio.resolution())
    units = new_raster(np.zeros((rows, columns)), crs=fine.rio.crs, cell_size=(width, height), origin=(west, north))
    outside = feature_of_cell(outlines, units) < 0
    return fine.copy(data=np.kron(outside, np.ones((factor, factor)))[: fine.shape[0], : fine.shape[1]])


def test_mesh_of_mount_kaala_fell_by_31_hectares(kaala):
    before, after, tracks = kaala
    cell_ha = float(np.prod(np.abs(before.rio.resolution()))) / 1e4
    assert float(after.sum() - before.sum()) * cell_ha == pytest.approx(-165.03, abs=0.005)
    options = {"aggregation": 3, "habitat_threshold": 0.75, "budget": 1, "compact_km": 0.1}
    then, now = (restore(f, locked_out=locked_by_unit(f, tracks, 3), **options).value_before for f in (before, after))
    assert then == pytest.approx(202.389186259541, rel=1e-9)
    assert now - then == pytest.approx(-30.98568, abs=1e-5)


def test_the_cheapest_restoration_of_the_mesh_of_1976_is_the_published_one(kaala):
    # published: 35.45694 ha (434 cells), 78 units, MESH 202.5726 ha, of 54.57428 ha degraded, in 34.7 s
    _, after, tracks = kaala
    cell_ha = float(np.prod(np.abs(after.rio.resolution()))) / 1e4
    found = restore(
        after, locked_out=locked_by_unit(after, tracks, 3), aggregation=3, habitat_threshold=0.75, restored_share=0.75,
        compact_km=0.92, connected=True, formalism="restopt", budget=434 * cell_ha, budgets=[433 * cell_ha],
    )  # fmt: skip
    one_cell_less, row = found.curve.iloc[0], found.curve.iloc[1]
    assert row["value"] == pytest.approx(202.5726, abs=5e-5)
    assert row["restored_ha"] == pytest.approx(35.45694, abs=5e-6)
    assert row["units"] == 78
    assert row["pieces"] == 1
    assert row["diameter_m"] <= 920
    assert found.chosen["total_ha"].sum() == pytest.approx(54.57428, abs=5e-6)
    # and with one cell less no plan reaches the mesh of 1976
    assert one_cell_less["bound"] < 202.389186


# --- restopt's own test data -----------------------------------------------------------------------------------------

CELLS = 16  # of a unit's side


@pytest.fixture(scope="module")
def example(shared):
    """The rasters of units as fine rasters: each unit holds its number of cells, and of them those not restorable.

    Units are squares of 1 m, so that restopt's numbers of cells and units can be read off.
    """
    folder = shared / "data/networks/restopt"
    area, restorable, accessible = (
        read_raster(folder / f"{n}.tif").values for n in ("cell_area", "restorable", "accessible")
    )
    place = np.arange(CELLS**2).reshape(1, 1, CELLS, CELLS)
    cells, degraded = (np.nan_to_num(v)[:, :, None, None] for v in (area, restorable))
    fine = np.where(place < cells, (place < cells - degraded) * 1.0, np.nan)
    rows, columns = area.shape
    fine = fine.transpose(0, 2, 1, 3).reshape(rows * CELLS, columns * CELLS)
    locked = np.kron(accessible != 2, np.ones((CELLS, CELLS)))
    habitat, locked_out = (new_raster(v, crs="EPSG:3163", cell_size=1 / CELLS) for v in (fine, locked))
    return {
        "habitat": habitat, "locked_out": locked_out, "aggregation": CELLS, "habitat_threshold": 0.7,
        "restored_share": 0.7, "formalism": "restopt", "connected": True, "compact_km": 0.006,
        "budget": 110 * 11 / CELLS**2 / 1e4,
    }  # fmt: skip


def test_a_connected_plan_of_at_most_1210_cells_reaches_a_mesh_of_652_units(example):
    found = restore(**example)
    row = found.summary.iloc[0]
    assert row["value"] * 1e4 >= 652  # units are 1 m2
    assert row["status"] == "optimal"
    assert row["pieces"] == 1
    assert row["diameter_m"] <= 6
    assert 90 * 11 <= round(row["cost"] * 1e4 * CELLS**2) <= 110 * 11


def test_iic_starts_where_plain_counting_of_hops_says_and_reaches_0_195(example):
    found = restore(**example, objective="iic", dispersal_km=0.0018, time_limit=10)
    patches, count = label(found.plan.values == 2)
    sizes = np.bincount(patches.ravel())[1:].astype(float)
    # links over at most one unit between, also diagonally: units at most two rows and two columns apart
    linked = np.zeros((count, count), bool)
    for down, across in [(0, 1), (0, 2), *((r, c) for r in (1, 2) for c in range(-2, 3))]:
        moved = np.roll(patches, (-down, -across), (0, 1))
        pairs = (patches > 0) & (moved > 0) & (patches != moved)
        linked[patches[pairs] - 1, moved[pairs] - 1] = True
    hops = np.where(np.eye(count, dtype=bool), 0.0, np.where(linked | linked.T, 1.0, np.inf))
    for k in range(count):
        hops = np.minimum(hops, hops[:, [k]] + hops[[k]])
    assert found.value_before == pytest.approx(float((np.outer(sizes, sizes) / (1 + hops)).sum()) / 4776**2, rel=1e-9)
    assert found.value_after >= 0.195
    assert found.summary["bound"].item() >= found.value_after
