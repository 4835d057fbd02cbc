"""Protected shares of ecoregions, habitats and ranges against a target."""

import numpy as np
import pytest
import shapely

from linkways import LinkwaysError, spatial
from linkways.policy import representation
from tests.policy.places import METRES, layer, scattered, square

HABITATS = layer(
    shapely.box(0, 0, 4000, 1000), shapely.box(4000, 0, 5000, 1000), shapely.box(5000, 0, 7000, 1000),
    habitat=["forest", "fen", "forest"],
)  # fmt: skip


def test_share_and_gap_of_each_habitat():
    parks = layer(shapely.box(0, 0, 1000, 1000), shapely.box(500, 0, 1500, 1000), shapely.box(4900, 0, 5000, 1000))
    found = representation(parks, HABITATS, feature_column="habitat")
    table = found.features.set_index("feature")
    assert table.area_ha.tolist() == pytest.approx([600, 100])
    assert table.protected_ha.tolist() == pytest.approx([150, 10])
    assert table.protected_percent.tolist() == pytest.approx([25, 10])
    assert table.missing_ha.tolist() == pytest.approx([30, 20])
    assert table.missing_percent.tolist() == pytest.approx([5, 20])
    assert not table.met.any()
    assert found.protected_percent == pytest.approx(100 * 160 / 700)
    assert found.missing_ha == pytest.approx(210 - 160)
    assert found.target_achievement == pytest.approx(100 * (25 / 30 + 10 / 30) / 2)


def test_a_target_that_is_just_met_is_met():
    found = representation(layer(shapely.box(0, 0, 300, 1000)), layer(square(0, 0)))
    assert found.features.met.tolist() == [True]
    assert (found.features_met, found.missing_ha) == (1, 0.0)


def test_ranges_that_overlap_count_each_by_itself_and_once_together():
    ranges = layer(square(0, 0), square(500, 0), species=["lynx", "bear"])
    found = representation(layer(square(500, 0, 500)), ranges, feature_column="species")
    assert found.features.protected_percent.tolist() == pytest.approx([25, 25])
    assert found.protected_percent == pytest.approx(100 * 0.25 / 1.5)


@pytest.mark.parametrize("seed", range(3))
def test_the_protected_area_is_that_of_one_overlay(seed):
    areas, habitats = scattered(40, seed), scattered(10, seed + 100)
    found = representation(layer(*areas), layer(*habitats, name=[str(i) for i in range(len(habitats))]),
                           feature_column="name")  # fmt: skip
    whole = shapely.union_all(areas)
    expected = shapely.area(shapely.intersection(habitats, whole)) / 1e4
    np.testing.assert_allclose(found.features.protected_ha, expected, rtol=1e-9, atol=1e-9)


def test_classes_of_a_raster_count_with_the_area_of_their_cells():
    classes = spatial.new_raster([[1, 1, 2, 2], [1, 1, 2, np.nan]], crs=METRES, cell_size=1000, origin=(0, 2000))
    found = representation(layer(shapely.box(0, 0, 1000, 2000)), classes=classes)
    table = found.features.set_index("feature")
    assert table.area_ha.tolist() == [400, 300]
    assert table.protected_ha.tolist() == [200, 0]
    assert found.protected_percent == pytest.approx(100 * 2 / 7)


def test_degrees_and_metres_agree():
    move = np.array([4_321_000, 3_210_000])
    parks, ground = (shapely.transform(shapely.segmentize(s, 200), lambda xy: xy + move) for s in
                     (shapely.box(0, 0, 3000, 5000), shapely.box(0, 0, 10_000, 10_000)))  # fmt: skip
    flat = representation(layer(parks), layer(ground))
    degrees = representation(layer(parks).to_crs(4258), layer(ground).to_crs(4258))
    assert degrees.protected_percent == pytest.approx(flat.protected_percent, rel=1e-5)
    assert degrees.missing_ha == pytest.approx(flat.missing_ha, rel=1e-5)


def test_exactly_one_of_polygons_and_raster_is_needed():
    with pytest.raises(LinkwaysError, match="either features"):
        representation(layer(square(0, 0)))
