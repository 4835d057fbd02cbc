import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from linkways import LinkwaysError, corridors

from .conftest import planar


def test_change_percent_places_and_area_can_be_read_off():
    before = planar([[10, 0, 4], [np.nan, 5, 8]], cell_m=1000)
    after = planar([[5, 3, 4], [1, 6, 7.9]], cell_m=1000)
    found = corridors.difference(before, after, loss_percent=20)
    np.testing.assert_allclose(found.change, [[-5, 3, 0], [np.nan, 1, -0.1]], atol=1e-12)
    np.testing.assert_allclose(found.percent, [[-50, np.nan, 0], [np.nan, 20, -1.25]])
    assert found.places["rank"].tolist() == [1, 2]
    assert found.places.change.tolist() == pytest.approx([-5, -0.1])
    assert (found.places.geometry.x[0], found.places.geometry.y[0]) == (500, 1500)
    assert found.total_percent == pytest.approx(100 * (-5 + 3 + 0 + 1 - 0.1) / 27)
    assert found.lost_area_km2 == 1


@settings(deadline=None, max_examples=30)
@given(hnp.arrays(float, (3, 4), elements=st.floats(1, 100)), hnp.arrays(float, (3, 4), elements=st.floats(1, 100)))
def test_the_way_back_undoes_the_change(one, two):
    there = corridors.difference(planar(one), planar(two))
    back = corridors.difference(planar(two), planar(one))
    np.testing.assert_allclose(there.change, -back.change)
    np.testing.assert_allclose(one * (1 + there.percent / 100), two)


def test_maps_without_a_common_cell_are_refused():
    with pytest.raises(LinkwaysError, match="no cell has a value both before and after"):
        corridors.difference(planar([[1, np.nan]]), planar([[np.nan, 1]]))
