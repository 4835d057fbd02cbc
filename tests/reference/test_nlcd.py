"""Real land cover at 30 m (NLCD 2016, Frederick, Maryland): costs equal those of scikit-image to 1e-9.

Data: ../shared/data/corridors/nlcd, see PROVENANCE.md there.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from linkways import LinkwaysError, corridors
from linkways.spatial import read_raster

CLASSES = {
    11: 50, 21: 20, 22: 40, 23: 80, 24: 100, 31: 30, 41: 1, 42: 1, 43: 1, 52: 5, 71: 8, 81: 12, 82: 15, 90: 3, 95: 6,
}  # fmt: skip


@pytest.fixture(scope="module")
def landcover(shared):
    return read_raster(shared / "data/corridors/nlcd/nlcd_2016_frederick_md.tif", classes=True)


@pytest.mark.parametrize("neighbours", [4, 8])
def test_cost_distance_over_real_land_cover_equals_scikit_image(landcover, neighbours):
    from skimage.graph import MCP_Geometric

    assert landcover.shape == (694, 725)
    table = pd.DataFrame({"class": list(CLASSES), "resistance": list(CLASSES.values())})
    resistance = corridors.resistance(landcover, table)
    x, y = float(resistance.x[100]), float(resistance.y[200])
    source = gpd.GeoDataFrame(geometry=[shapely.Point(x, y)], crs=resistance.rio.crs)
    ours = corridors.cost_distance(resistance, source, neighbours=neighbours).cost.values
    peer = MCP_Geometric(np.where(np.isnan(resistance.values), -1, resistance.values), fully_connected=neighbours == 8)
    theirs = 30.0 * peer.find_costs([(200, 100)])[0]
    np.testing.assert_allclose(ours, np.where(np.isinf(theirs), np.nan, theirs), rtol=1e-9)


def test_a_class_the_table_lacks_is_told_with_its_cells(landcover):
    table = pd.DataFrame({"class": [c for c in CLASSES if c != 95], "resistance": 1.0})
    cells = int((landcover.values == 95).sum())
    assert cells > 0
    with pytest.raises(LinkwaysError, match=rf"lacks class 95 \({cells} cells\)"):
        corridors.resistance(landcover, table)
