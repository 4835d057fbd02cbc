"""The indices of networks small enough for a pencil, and what must hold for all."""

import math

import numpy as np
import pandas as pd
import pytest

from linkways import networks
from linkways.errors import LinkwaysError
from tests.networks.conftest import random_network

NONE = pd.DataFrame({"patch_a": [], "patch_b": [], "distance_m": []})


def values(found):
    return found.indices.set_index("index").value


def test_indices_of_three_patches_in_a_row_and_one_alone(small):
    """a - b - c with p = 1/2 per link: PCnum = 226 + 2 (5 + 5 + 25), IICnum = 226 + 2 (5 + 5 + 100/3)."""
    found = values(networks.indices(*small, distance=1000, threshold=1001, landscape_area=100))
    pc, iic = 226 + 2 * (5 + 5 + 25), 226 + 2 * (5 + 5 + 100 / 3)
    expected = {
        "PCnum": pc, "EC(PC)": math.sqrt(pc), "PC": pc / 1e4,
        "PCintra": 22600 / pc, "PCdirect": 2000 / pc, "PCstep": 5000 / pc, "PCnum_missing": 0,
        "F": 2, "AWF": 20, "IICnum": iic, "EC(IIC)": math.sqrt(iic), "IIC": iic / 1e4, "IICintra": 22600 / iic,
        "IICdirect": 2000 / iic, "IICstep": 100 * 200 / 3 / iic, "H": 2.5, "CPL": 4 / 3, "GD": 2000,
        "NL": 2, "NC": 2, "CCP": (21**2 + 5**2) / 26**2, "LCP": (21**2 + 5**2) / 1e4, "ECS": 466 / 26, "MSC": 13,
        "SLC": 21, "MESH": 2.26, "DIVISION": 1 - 0.0226, "SPLIT": 1e4 / 226, "MESH_patches": 226 / 26,
    }  # fmt: skip
    for index, value in expected.items():
        assert found[index] == pytest.approx(value, rel=1e-12), index
    assert set(found.index) - set(expected) == {"lambda_M"}


def test_a_link_as_long_as_the_threshold_does_not_join(small):
    assert networks.indices(*small, distance=1000).components == 4
    assert networks.indices(*small, distance=1000.001).components == 2


def test_patches_have_their_own_table(small):
    found = networks.indices(*small, distance=1000, threshold=1001).patches.set_index("patch")
    assert found["links"].tolist() == [1, 2, 1, 0]
    assert found["component"].tolist() == [1, 1, 1, 2]
    np.testing.assert_allclose(found["inflow"], [0.5 + 2.5, 10, 0.5 + 2.5, 0])
    assert found["metapopulation_share"].sum() == pytest.approx(1)


def test_interaction_flux_sums_to_pc(network):
    found = networks.indices(*network, distance=2000)
    assert found.patches["IF"].sum() == pytest.approx(values(found)["PCnum"], rel=1e-12)


def test_flux_takes_an_exponent_of_the_attribute(small):
    """Graphab's F_i = sum over j of a_j^beta p*_ij and IF_i = a_i^beta F_i + a_i^(2 beta)."""
    patches = networks.indices(*small, distance=1000, beta=2).patches.set_index("patch")
    assert patches.loc["b", "F"] == pytest.approx(100 * 0.5 + 100 * 0.5)
    assert patches.loc["a", "IF"] == pytest.approx(100 * (1 * 0.5 + 100 * 0.25) + 1e4)
    count = networks.indices(*small, distance=1000, beta=0).patches.set_index("patch")
    assert count.loc["a", "F"] == pytest.approx(0.5 + 0.25)


def test_one_patch_is_as_connected_as_its_own_area():
    found = values(networks.indices(pd.DataFrame({"patch": [1], "area_ha": [7.0]}), NONE, distance=1, landscape_area=7))
    for index, value in {"EC(PC)": 7, "PC": 1, "IIC": 1, "LCP": 1, "MESH": 7, "DIVISION": 0, "SPLIT": 1}.items():
        assert found[index] == pytest.approx(value), index
    assert math.isnan(found["CPL"])


def test_patches_that_touch_are_as_connected_as_one():
    patches = pd.DataFrame({"patch": [1, 2], "area_ha": [3.0, 4.0]})
    touching = pd.DataFrame({"patch_a": [1], "patch_b": [2], "distance_m": [0.0]})
    assert networks.indices(patches, touching, distance=1000).equivalent_connectivity == pytest.approx(7)


@pytest.mark.parametrize("seed", range(3))
def test_indices_do_not_depend_on_the_unit_of_area(seed):
    """Hectares, square metres and square kilometres: dimensionless ones stay, areas scale, squares scale twice."""
    patches, links = random_network(seed=seed)
    landscape = 2 * patches["area_ha"].sum()
    found = networks.indices(patches, links, distance=2000, landscape_area=landscape).indices.set_index("index")
    for unit, scale in {"m2": 1e4, "km2": 1e-2}.items():
        scaled = patches.assign(**{f"area_{unit}": patches["area_ha"] * scale})
        other = networks.indices(
            scaled, links, attribute=f"area_{unit}", distance=2000, landscape_area=landscape * scale
        ).indices.set_index("index")
        for index, row in found.iterrows():
            power = {"ha": 1, "ha^2": 2}.get(row["unit"], 0)
            assert other.value[index] == pytest.approx(row["value"] * scale**power, rel=1e-9), index
            assert other.unit[index] == row["unit"].replace("ha", unit)


def test_pairs_left_out_are_within_the_bound_that_is_told(network):
    exact = values(networks.indices(*network, distance=2000))
    some = values(networks.indices(*network, distance=2000, smallest_probability=0.2))
    missing = 100 * (exact["PCnum"] - some["PCnum"]) / some["PCnum"]
    assert 0 < missing <= some["PCnum_missing"]


def test_what_needs_all_paths_can_be_left_out(small):
    found = networks.indices(*small, distance=1000, hops=False)
    assert not {"IIC", "IICnum", "H", "CPL", "GD"} & set(found.indices["index"])
    assert math.isnan(found.equivalent_connectivity_binary)


def test_a_patch_that_reaches_out_counts_whole_in_cross_boundary_mesh():
    """Half of a patch of 8 ha lies in a reporting unit of 10 ha with another of 2 ha: 4 x 8 + 2 x 2, cut 16 + 4."""
    patches = pd.DataFrame({"patch": [1, 2], "area_ha": [8.0, 2.0], "in_ha": [4.0, 2.0]})
    found = values(networks.indices(patches, NONE, distance=1, inside="in_ha", landscape_area=10))
    assert found["MESH_CBC"] == pytest.approx(3.6)
    assert found["MESH_cut"] == pytest.approx(2.0)
    without = values(networks.indices(patches, NONE, distance=1, inside="in_ha"))
    assert without["MESH_CBC"] == pytest.approx(6.0)
    with pytest.raises(LinkwaysError, match="in_ha exceeds area_ha"):
        networks.indices(patches.assign(in_ha=9.0), NONE, distance=1, inside="in_ha")


def test_parallel_links_count_once_and_by_the_shortest(small):
    patches, links = small
    doubled = pd.concat([links, links.assign(distance_m=3000.0)])
    pd.testing.assert_frame_equal(
        networks.indices(patches, links, distance=1000, threshold=5000).indices,
        networks.indices(patches, doubled, distance=1000, threshold=5000).indices,
    )
