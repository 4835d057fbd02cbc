"""Priority ranking beside the published run of Zonation 5 on 67 European trees."""

import numpy as np
import pytest

from linkways.planning import rank
from linkways.spatial import read_raster


@pytest.fixture(scope="module")
def trees(shared):
    folder = shared / "data" / "planning" / "zonation5_eutrees"
    if not folder.is_dir():
        pytest.skip("the maps of European trees are not beside this checkout")
    return [read_raster(path) for path in sorted(folder.glob("*.tif"))]


def test_caz2_has_the_area_under_curve_of_zonation_5(trees):
    """Zonation 5 v2.4, CAZ2, equal weights: 0.722295 (repository thiago-cav/Zonation5RData, data EU-Trees4F).

    Its own run ends within 1e-4 of a fixed point and rounds amounts to 8 bits, hence the tolerance; the other rules
    end at least 0.008 away.
    """
    found = rank(trees, missing="zero", share_of="cells")
    assert len(trees) == 67
    assert np.isfinite(found.rank.values).sum() == 130_210
    assert found.area_under_curve == pytest.approx(0.722295, abs=1e-4)
    assert found.mean_move < 2e-5
    for rule in ("CAZ1", "CAZMAX", "ABF"):
        other = rank(trees, missing="zero", share_of="cells", rule=rule, max_rounds=20)
        assert abs(other.area_under_curve - 0.722295) > 5e-3
