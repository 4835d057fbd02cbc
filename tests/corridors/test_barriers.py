import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skimage.graph import MCP_Geometric

from linkways import LinkwaysError
from linkways.corridors.barriers import barriers

from .conftest import cell_boxes, degrees, planar


def strip(*values, cell_m=100.0):
    raster = planar([values], cell_m=cell_m)
    return raster, cell_boxes(raster, [(0, 0), (0, len(values) - 1)])


def cost_from(resistance, cells, cell_m):
    """Cost distance by scikit-image; cells that cannot be entered are inf."""
    costs = np.where(np.isnan(resistance), -1.0, resistance)
    found, _ = MCP_Geometric(costs).find_costs(cells)
    return found * cell_m


def least_in_disks(values, radius_cells):
    rows, columns = values.shape
    i, j, k, l = np.ogrid[:rows, :columns, :rows, :columns]  # noqa: E741
    return np.where((i - k) ** 2 + (j - l) ** 2 <= radius_cells**2, values[None, None], np.inf).min(axis=(2, 3))


# --- the answer can be read off ------------------------------------------------------------------------------


def test_a_single_bad_cell_on_a_strip_gains_what_its_two_steps_cost_beyond_restored_ground():
    raster, ends = strip(1, 1, 1, 1, 1, 100, 1, 1, 1, 1, 1)
    found = barriers(raster, ends, radii_m=[100])
    # 8 steps of 100 and two of 5050; the disk around the bad cell joins 400 and 400 over 200 m
    assert found.links["cost"].item() == 10_900
    assert found.score.values[0, 5] == pytest.approx((10_900 - 400 - 400 - 200) / 200, rel=1e-12)
    assert int(found.score.values.argmax()) == 5
    assert found.percent.values[0, 5] == pytest.approx(100 * 49.5 / 10_900, rel=1e-12)
    site = found.sites.iloc[0]
    assert (site["link"], site["core_a"], site["core_b"], site["radius_m"]) == (1, 1, 2, 100)
    assert site["saving"] == pytest.approx(9_900, rel=1e-12)
    assert site["saving_percent"] == pytest.approx(100 * 9_900 / 10_900, rel=1e-12)
    assert (site.geometry.x, site.geometry.y) == (550, 50)


def test_restored_resistance_is_paid_along_the_diameter():
    raster, ends = strip(1, 1, 1, 1, 1, 100, 1, 1, 1, 1, 1)
    score = {r: barriers(raster, ends, radii_m=[100], restored_resistance=r).score.values[0, 5] for r in (1.0, 3.0)}
    assert score[1.0] - score[3.0] == pytest.approx(2.0, rel=1e-12)


def test_without_a_restored_resistance_the_least_of_the_raster_is_taken():
    raster, ends = strip(4, 4, 4, 4, 100, 4, 2, 4, 4)
    own = barriers(raster, ends, radii_m=[100], restored_resistance=None)
    given = barriers(raster, ends, radii_m=[100], restored_resistance=2.0)
    np.testing.assert_array_equal(own.score, given.score)


def test_good_ground_has_nothing_to_gain():
    raster = planar(np.ones((5, 9)))
    found = barriers(raster, cell_boxes(raster, [(2, 0), (2, 8)]), radii_m=[100, 200])
    assert (found.score.values == 0).all()
    assert (found.score_sum.values == 0).all()
    assert np.isnan(found.link.values).all()
    assert found.sites.empty
    assert found.links["score"].tolist() == [0.0]
    assert found.links["radius_m"].isna().all()


def test_the_radius_that_fits_the_barrier_wins():
    # three bad cells in a row, two steps of 5000 between them and two of 2550 at their ends: 150 m joins the outer
    # two, 200 m the good cells beyond, 300 m only more good ground
    raster, ends = strip(1, 1, 1, 1, 1, 50, 50, 50, 1, 1, 1, 1, 1)
    found = barriers(raster, ends, radii_m=[150, 200, 300])
    assert found.radius.values[0, 6] == 200
    scores = found.sites.set_index("radius_m")["score"]
    expected = {150: (10_000 - 300) / 300, 200: (15_100 - 400) / 400, 300: (15_300 - 600) / 600}
    assert scores.to_dict() == pytest.approx(expected, rel=1e-12)
    assert found.sites["radius_m"].iloc[0] == 200


def test_radii_from_to_step_are_the_same_as_listed():
    raster, ends = strip(1, 1, 1, 1, 1, 50, 50, 50, 1, 1, 1, 1, 1)
    listed = barriers(raster, ends, radii_m=[300, 100, 200, 100])
    stepped = barriers(raster, ends, from_radius_m=100, to_radius_m=300, radius_step_m=100)
    np.testing.assert_array_equal(listed.score, stepped.score)
    assert len(listed.sites) == len(stepped.sites) == 3


def test_a_wall_that_cannot_be_entered_scores_although_the_path_goes_around_it():
    values = np.ones((9, 11))
    values[:8, 5] = np.nan
    raster = planar(values)
    found = barriers(raster, cell_boxes(raster, [(0, 0), (0, 10)]), radii_m=[100])
    assert np.isnan(values[0, 5])
    # from (0, 4) to (0, 6), each 400 from its core
    expected = (found.links["cost"].item() - 800 - 200) / 200
    assert found.score.values[0, 5] == pytest.approx(expected, rel=1e-12)


def test_filling_paints_each_score_over_its_disk():
    raster, ends = strip(1, 1, 1, 1, 1, 100, 1, 1, 1, 1, 1)
    plain = barriers(raster, ends, radii_m=[100]).score.values[0]
    filled = barriers(raster, ends, radii_m=[100], fill=True).score.values[0]
    around = np.pad(plain, 1, constant_values=0)
    np.testing.assert_array_equal(filled, np.max([around[:-2], around[1:-1], around[2:]], axis=0))
    assert (filled > plain).any()


def test_links_that_share_a_barrier_add_up():
    values = np.full((7, 9), np.nan)
    values[3, :] = 1
    values[:, 0] = values[:, 8] = 1
    values[3, 4] = 60
    raster = planar(values)
    found = barriers(raster, cell_boxes(raster, [(3, 0), (0, 8), (6, 8)]), radii_m=[100], rule="all_pairs")
    at = found.score_sum.values[3, 4]
    alone = found.sites[found.sites["saving"] > 1000]
    assert set(zip(alone["core_a"], alone["core_b"], strict=True)) == {(1, 2), (1, 3)}
    assert at == pytest.approx(alone["score"].sum(), rel=1e-12)
    assert found.score.values[3, 4] == pytest.approx(alone["score"].max(), rel=1e-12)
    assert found.link.values[3, 4] == 1


def test_over_radii_the_largest_sum_and_the_largest_percent_count():
    values = np.random.default_rng(8).uniform(1, 60, (9, 12))
    raster = planar(values)
    cores = cell_boxes(raster, [(0, 0), (8, 11), (0, 11)])
    alone = [barriers(raster, cores, radii_m=[radius], rule="all_pairs") for radius in (300, 100, 200)]
    both = barriers(raster, cores, radii_m=[300, 100, 200], rule="all_pairs")
    for name in ("score", "score_sum", "percent"):
        largest = np.fmax.reduce([getattr(one, name).values for one in alone])
        np.testing.assert_allclose(getattr(both, name), largest, rtol=1e-12)
    best = np.argmax([one.score.values for one in alone], axis=0)
    positive = both.score.values > 0
    np.testing.assert_array_equal(both.radius.values[positive], np.array([300, 100, 200])[best][positive])


@pytest.mark.parametrize("seed", range(6))
def test_a_limit_on_cost_changes_no_gain(seed):
    # a disk beyond the cells that both cores reach may still hold some of them
    raster = planar(np.random.default_rng(seed).uniform(1, 60, (30, 30)))
    cores = cell_boxes(raster, [(14, 8), (15, 20)])
    free = barriers(raster, cores, radii_m=[100, 400])
    limited = barriers(raster, cores, radii_m=[100, 400], max_cost=free.links["cost"].item() * 1.001)
    assert np.isnan(limited.score.values).any()
    np.testing.assert_array_equal(np.nan_to_num(limited.score), np.nan_to_num(free.score))


# --- against brute force -------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@example(seed=338, radius=1.0, restored=1.0)  # a pocket that no link reaches
@given(seed=st.integers(0, 2**32 - 1), radius=st.sampled_from([1.0, 1.5, 2.0, 3.7]), restored=st.floats(0.5, 5))
def test_scores_are_the_formula_applied_to_scikit_images_cost_distances(seed, radius, restored):
    rng = np.random.default_rng(seed)
    values = rng.uniform(1, 60, (12, 14))
    values[rng.random(values.shape) < 0.1] = np.nan
    values[0, :] = values[:, -1] = 20.0  # a way around, so that cores reach each other
    places = [(0, 0), (11, 13), (0, 13)]
    raster = planar(values, cell_m=30)
    found = barriers(
        raster, cell_boxes(raster, places), radii_m=[radius * 30], restored_resistance=restored, rule="all_pairs"
    )
    fields = [cost_from(values, [place], 30) for place in places]
    least = [least_in_disks(field, radius) for field in fields]
    diameter = 2 * radius * 30
    scores, costs = [], []
    for a, b in ((0, 1), (0, 2), (1, 2)):
        cost = fields[a][places[b]]
        scores.append((cost - least[a] - least[b] - diameter * restored) / diameter)
        costs.append(cost)
    gains = np.maximum(scores, 0)
    known = np.isfinite(scores[0])  # a disk that no link can come to has no score
    np.testing.assert_allclose(found.score.values[known], gains.max(axis=0)[known], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.score_sum.values[known], gains.sum(axis=0)[known], rtol=1e-9, atol=1e-9)
    percent = (100 * gains / np.array(costs)[:, None, None]).max(axis=0)
    np.testing.assert_allclose(found.percent.values[known], percent[known], rtol=1e-9, atol=1e-12)
    assert np.isnan(found.score.values[~known]).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_restoring_the_best_disk_saves_at_least_what_the_score_promises(seed):
    rng = np.random.default_rng(seed)
    values = rng.uniform(5, 60, (13, 15))
    raster = planar(values, cell_m=50)
    radius, restored = 2, 0.01
    found = barriers(raster, cell_boxes(raster, [(6, 0), (6, 14)]), radii_m=[radius * 50], restored_resistance=restored)
    site = found.sites.iloc[0]
    column, row = int(site.geometry.x / 50), 12 - int(site.geometry.y / 50)
    i, j = np.ogrid[:13, :15]
    mended = np.where((i - row) ** 2 + (j - column) ** 2 <= radius**2, restored, values)
    before, after = (cost_from(grid, [(6, 0)], 50)[6, 14] for grid in (values, mended))
    # grid paths are up to 8.3 percent longer than the straight diameter
    longer = 0.083 * 2 * radius * 50 * restored
    assert before - after >= site["saving"] - longer - 1e-9


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_ring_of_linkage_mapper_never_finds_more_than_the_disk(seed):
    raster = planar(np.random.default_rng(seed).uniform(1, 60, (12, 14)), cell_m=50)
    ends = cell_boxes(raster, [(0, 0), (11, 13)])
    disk = barriers(raster, ends, radii_m=[100, 150]).score.values
    ring = barriers(raster, ends, radii_m=[100, 150], method="lm-annulus").score.values
    assert (np.nan_to_num(ring) <= disk + 1e-12).all()


def test_on_degrees_a_disk_is_round_in_metres():
    # at latitude 60 a degree of longitude is half as long: the disk reaches over twice as many columns
    values = np.ones((41, 41))
    values[:, 20] = 100
    raster = degrees(values, west=10, north=60.205, step=0.01)
    ends = cell_boxes(raster, [(20, 0), (20, 40)])
    found = barriers(raster, ends, radii_m=[1200], restored_resistance=1.0)
    across = 2 * math.pi * 6_378_137 * math.cos(math.radians(60)) * 0.01 / 360
    assert int(1200 / across) == 2
    # a disk gains as soon as it reaches the bad column, two cells aside; rows are 1114 m apart, one within reach
    assert np.flatnonzero(found.score.values[20] > 0).tolist() == [18, 19, 20, 21, 22]
    assert found.score.values[20, 20] == pytest.approx(
        (found.links["cost"].item() - 36 * across - 2400) / 2400, rel=2e-3
    )


# --- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs search radii"),
        ({"radii_m": []}, "radii_m is empty"),
        ({"radii_m": [100.0], "to_radius_m": 300.0}, "keep one of the two"),
        ({"from_radius_m": 300.0, "to_radius_m": 100.0, "radius_step_m": 50.0}, "exchange them"),
        ({"from_radius_m": 100.0, "to_radius_m": 300.0}, "radius_step_m"),
        ({"radii_m": [60.0]}, "smaller than a cell"),
        ({"radii_m": [120.0], "method": "lm-annulus"}, "no cell centre lies between 119 and 120 m"),
    ],
)
def test_radii_that_make_no_sense_are_refused(options, words):
    raster, ends = strip(1, 1, 5, 1, 1)
    with pytest.raises(LinkwaysError, match=words):
        barriers(raster, ends, **options)


def test_the_ring_of_linkage_mapper_is_refused_on_degrees():
    raster = degrees(np.ones((5, 7)), west=20, north=62, step=0.01)
    with pytest.raises(LinkwaysError, match="projected grids only"):
        barriers(raster, cell_boxes(raster, [(2, 0), (2, 6)]), radii_m=[2000], method="lm-annulus")


def test_a_single_core_is_refused():
    raster = planar(np.ones((3, 3)))
    with pytest.raises(LinkwaysError, match="single core"):
        barriers(raster, cell_boxes(raster, [(0, 0)]), radii_m=[100])
