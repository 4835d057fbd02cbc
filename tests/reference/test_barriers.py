"""Improvement scores on the Linkage Mapper demonstration.

Data: ../shared/data/corridors/linkage_mapper_demo (linkagescape/linkage-mapper), see PROVENANCE.md there. The maxima
were computed for ../shared/methods/corridors.md (3.7 and 4.1) with scikit-image's cost distances and whole disks, and
with the ring of Linkage Mapper for the link 3-5.
"""

import pandas as pd
import pytest

from linkways.corridors.barriers import barriers
from linkways.spatial import read_raster, read_vectors

DISK_MAXIMA_AT_800_M = {
    (1, 4): 25.6480, (1, 5): 8.6738, (2, 3): 26.4581, (3, 5): 1.7111, (4, 5): 5.9837, (4, 6): 1.4585, (5, 6): 1.8444,
}  # fmt: skip


@pytest.fixture(scope="module")
def demo(shared):
    folder = shared / "data/corridors/linkage_mapper_demo"
    resistance = read_raster(folder / "lm_resistances.tif")
    cores = read_vectors(folder / "lm_cores.shp").rename(columns={"core_id": "core"})
    cores = cores[["core", "geometry"]].to_crs(resistance.rio.crs)
    pairs = pd.DataFrame(list(DISK_MAXIMA_AT_800_M), columns=["core_a", "core_b"])
    return resistance, cores, cores.iloc[[0] * len(pairs)][["geometry"]].reset_index(drop=True).join(pairs)


def best(found, radius):
    chosen = found.sites[found.sites["radius_m"] == radius]
    return {(a, b): s for a, b, s in zip(chosen["core_a"], chosen["core_b"], chosen["score"], strict=True)}


@pytest.fixture(scope="module")
def by_disk(demo):
    return barriers(*demo, radii_m=[800, 1200])


def test_the_largest_scores_of_seven_links_equal_those_of_scikit_image(by_disk):
    ours = best(by_disk, 800)
    assert set(ours) == set(DISK_MAXIMA_AT_800_M)
    for pair, score in DISK_MAXIMA_AT_800_M.items():
        assert ours[pair] == pytest.approx(score, abs=6e-5), pair


def test_the_map_holds_the_largest_of_all_links(by_disk):
    assert float(by_disk.score.max()) == pytest.approx(26.4581, abs=6e-5)


def test_the_ring_of_linkage_mapper_underestimates_the_link_between_3_and_5(demo, by_disk):
    ring = barriers(*demo, radii_m=[1200], method="lm-annulus")
    assert best(by_disk, 1200)[3, 5] == pytest.approx(1.598, abs=6e-4)
    assert best(ring, 1200)[3, 5] == pytest.approx(1.185, abs=6e-4)
