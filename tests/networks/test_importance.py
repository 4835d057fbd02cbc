"""Importance beside taking away, changing and adding each patch and link and computing the index anew."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from linkways import networks
from linkways.errors import LinkwaysError
from linkways.spatial import recording
from tests.networks.conftest import random_network

SETTING = {"distance": 2000, "threshold": 2500}


def number(patches, links, index):
    return networks.indices(patches, links, **SETTING).indices.set_index("index").value[index]


def test_importance_of_a_stepping_stone_by_hand(small):
    """a - b - c, areas 10, 1, 10, p = 1/2, and d of 5 alone: without b the pair a, c loses 2 x 100 x 1/4."""
    found = networks.importance(*small, distance=1000, threshold=1001)
    row = found.patches.set_index("patch").loc["b"]
    assert found.equivalent_connectivity**2 == pytest.approx(296)
    assert row["dPC_intra"] == pytest.approx(100 * 1 / 296)
    assert row["dPC_flux"] == pytest.approx(100 * 20 / 296)
    assert row["dPC_connector"] == pytest.approx(100 * 50 / 296)
    assert row["dPC"] == pytest.approx(100 * 71 / 296)
    assert row["dPC_error"] == 0
    assert row["BC"] == pytest.approx(1 / 3)
    assert row["BC_PC"] == pytest.approx(100 * 50 / 296)
    assert row["BC_IIC"] == pytest.approx(100 * 2 * 100 / 3 / (226 + 2 * (5 + 5 + 100 / 3)))
    assert found.links["dPC"].tolist() == pytest.approx([100 * (10 + 50) / 296] * 2)


def test_patches_come_the_most_important_first(network):
    found = networks.importance(*network, **SETTING)
    assert found.patches["dPC"].is_monotonic_decreasing
    assert found.links["dPC"].is_monotonic_decreasing
    assert found.patches["dPC"].iloc[0] > found.patches["dPC"].iloc[-1]


@pytest.mark.parametrize("name", ["PC", "IIC"])
def test_importance_is_what_the_index_loses(network, name):
    patches, links = network
    whole = number(patches, links, f"{name}num")
    found = networks.importance(patches, links, **SETTING)
    for patch, loss in found.patches.set_index("patch")[f"d{name}"].items():
        kept = links[(links["patch_a"] != patch) & (links["patch_b"] != patch)]
        left = number(patches[patches["patch"] != patch], kept, f"{name}num")
        assert loss == pytest.approx(100 * (whole - left) / whole, abs=1e-9)
    for row, loss in found.links[f"d{name}"].items():
        left = number(patches, links.drop(index=row), f"{name}num")
        assert loss == pytest.approx(100 * (whole - left) / whole, abs=1e-9)


def test_changed_links_are_measured_as_with_their_new_weight(network):
    patches, links = network
    rng = np.random.default_rng(3)
    links = links.assign(with_road_m=links["distance_m"] * rng.choice([0.3, 1.0, 2.5], len(links)))
    whole = number(patches, links, "PCnum")
    found = networks.importance(patches, links, **SETTING, measures=["PC"], changed_weight="with_road_m").links
    for row, change in found["dPC_change"].items():
        other = links.copy()
        other.loc[row, "distance_m"] = links.loc[row, "with_road_m"]
        assert change == pytest.approx(100 * (whole - number(patches, other, "PCnum")) / whole, abs=1e-9)
    assert (found["dPC_change"] < -1e-6).any()
    assert (found["dPC_change"] > 1e-6).any()


def test_an_improved_link_gains_what_its_best_weight_gives(network):
    patches, links = network
    whole = number(patches, links, "PCnum")
    found = networks.importance(patches, links, **SETTING, measures=["PC"], improved_to=100).links
    row = found["dPC_change"].idxmin()
    better = links.copy()
    better.loc[row, "distance_m"] = 100.0
    assert found.loc[row, "dPC_change"] == pytest.approx(100 * (whole - number(patches, better, "PCnum")) / whole)
    assert (found.loc[links["distance_m"] < 100, "dPC_change"] == 0).all()


@pytest.mark.parametrize("relative", ["before", "after"])
def test_candidates_gain_what_the_index_gains_by_each_alone(network, relative):
    patches, links = network
    new = pd.DataFrame({"patch": [900, 901, 902], "area_ha": [30.0, 0.0, 12.0]})
    ids = patches["patch"].to_numpy()
    more = pd.DataFrame(
        {
            "patch_a": [900, ids[0], 901, ids[5], ids[7], ids[2], 900],
            "patch_b": [ids[3], 900, ids[9], 901, ids[30], ids[20], 901],
            "distance_m": [300.0, 900.0, 100.0, 200.0, 50.0, 2400.0, 1.0],
        }
    )
    with recording() as sentences:
        found = networks.importance(
            patches, links, new, more, **SETTING, measures=["PC", "IIC"], gain_relative_to=relative
        ).candidates
    assert any("between two candidate patches" in sentence for sentence in sentences)
    assert len(found) == 5
    for name in ("PC", "IIC"):
        whole = number(patches, links, f"{name}num")
        for row in found.itertuples():
            if row.kind == "patch":
                own = new[new["patch"] == row.patch]
                ends = more[["patch_a", "patch_b"]]
                joining = more[(ends == row.patch).any(axis=1) & ~(ends >= 900).all(axis=1)]
                bigger = number(pd.concat([patches, own]), pd.concat([links, joining]), f"{name}num")
            else:
                one = more[(more["patch_a"] == row.patch_a) & (more["patch_b"] == row.patch_b)]
                bigger = number(patches, pd.concat([links, one]), f"{name}num")
            expected = 100 * (bigger - whole) / (whole if relative == "before" else bigger)
            assert getattr(row, f"d{name}") == pytest.approx(expected, abs=1e-9)
    alone = found[found["patch"] == 902].iloc[0]
    assert alone["dPC_connector"] == alone["dPC_flux"] == 0


def test_what_the_horizon_hides_is_within_the_errors_that_are_told():
    patches, links = random_network(80, 160, seed=4)
    exact = networks.importance(patches, links, **SETTING, measures=["PC"])
    some = networks.importance(patches, links, **SETTING, measures=["PC"], smallest_probability=0.2)
    assert exact.missing == exact.largest_error == 0
    for one, two in ((exact.patches, some.patches), (exact.links, some.links)):
        hidden = (one["dPC"] - two["dPC"].reindex(one.index)).abs()
        assert (hidden <= two["dPC_error"].reindex(one.index) + 1e-9).all()
        assert hidden.max() > 1e-6
        assert hidden.max() <= some.largest_error
    assert some.missing > 0


def test_layers_keep_their_geometry_and_tables_have_none(small):
    patches, links = small
    points = gpd.GeoDataFrame(patches, geometry=shapely.points([[0, 0], [1, 0], [2, 0], [9, 9]]), crs="EPSG:3035")
    lines = gpd.GeoDataFrame(links, geometry=shapely.linestrings([[[0, 0], [1, 0]], [[1, 0], [2, 0]]]), crs="EPSG:3035")
    found = networks.importance(points, lines, distance=1000)
    assert "geometry" not in found.patches
    mapped = found.patch_map.set_index("patch")
    assert mapped.crs == points.crs
    assert mapped.geometry["c"].equals(shapely.Point(2, 0))
    assert mapped["dPC"].idxmax() == found.patches["patch"].iloc[0]
    assert len(found.link_map) == 2
    assert networks.importance(patches, links, distance=1000).patch_map is None


def test_only_what_is_asked_for_is_computed(small):
    found = networks.importance(*small, distance=1000, measures=["PC"], of=["patches"])
    assert "dIIC" not in found.patches
    assert "dPC" not in found.links
    only = networks.importance(*small, distance=1000, measures=["IIC"], of=["links"])
    assert list(only.patches) == ["patch", "area_ha"]
    assert "dIIC" in only.links


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"improved_to": 1, "changed_weight": "distance_m"}, "improved_to or changed_weight, not both"),
        ({"improved_to": 1, "measures": ["IIC"]}, "changed links are measured by dPC"),
        ({"measures": []}, "measures and of must each name"),
        ({"changed_weight": "road"}, "links has no column 'road'"),
        (
            {"candidate_patches": pd.DataFrame({"patch": ["a"], "area_ha": [1.0]})},
            "names patch a, which is there already",
        ),
        (
            {"candidate_links": pd.DataFrame({"patch_a": ["a"], "patch_b": ["y"], "distance_m": [1.0]})},
            "candidate_links has 1 rows whose patch_b is not among the patches",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(small, more, words):
    with pytest.raises(LinkwaysError, match=words):
        networks.importance(*small, distance=1000, **more)


def test_a_network_without_habitat_is_refused(small):
    patches, links = small
    with pytest.raises(LinkwaysError, match="area_ha is 0 in all patches"):
        networks.importance(patches.assign(area_ha=0.0), links, distance=1000)
