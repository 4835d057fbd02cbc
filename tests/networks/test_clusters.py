"""Components and modules."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from linkways import networks
from tests.networks.conftest import random_network


def cliques(groups=4, size=5):
    """Complete groups of patches at 100 m, in a ring with 3,000 m between neighbours."""
    rows = [(g * size + i, g * size + j, 100.0) for g in range(groups) for i in range(size) for j in range(i + 1, size)]
    rows += [(g * size, (g + 1) % groups * size + 1, 3000.0) for g in range(groups)]
    links = pd.DataFrame(rows, columns=["patch_a", "patch_b", "distance_m"])
    return pd.DataFrame({"patch": np.arange(groups * size), "area_ha": 1.0}), links


def test_groups_of_near_patches_are_the_modules():
    found = networks.clusters(*cliques(), distance=1000)
    assert found.number_of_modules == 4
    assert found.patches.groupby("module")["patch"].agg(list).tolist() == [
        list(range(5 * g, 5 * g + 5)) for g in range(4)
    ]
    assert found.modules["links_within"].tolist() == [10] * 4
    assert found.modules["links_out"].tolist() == [2] * 4
    within, out = 10 * 0.5**0.1, 0.5**3
    np.testing.assert_allclose(found.modules["within"], 100 * 2 * within / (2 * within + 2 * out))


@pytest.mark.parametrize("resolution", [1.0, 2.5])
def test_modularity_is_that_of_networkx_for_these_modules(resolution):
    patches, links = random_network()
    found = networks.clusters(patches, links, distance=2000, resolution=resolution)
    area = patches.set_index("patch")["area_ha"]
    graph = nx.Graph()
    graph.add_nodes_from(patches["patch"])
    for a, b, d in links.itertuples(index=False):
        graph.add_edge(a, b, weight=area[a] * area[b] * 0.5 ** (d / 2000))
    groups = found.patches.groupby("module")["patch"].agg(set).tolist()
    assert found.modularity == pytest.approx(nx.community.modularity(graph, groups, resolution=resolution), rel=1e-12)
    assert found.modularity > 0.2


def test_components_are_those_of_joining_links():
    found = networks.clusters(*cliques(), distance=1000)
    assert found.number_of_components == 4
    assert networks.clusters(*cliques(), distance=1000, threshold=4000).number_of_components == 1


def test_groups_are_numbered_from_the_largest():
    patches = pd.DataFrame({"patch": list("abcd"), "area_ha": [1.0, 2.0, 50.0, 3.0]})
    links = pd.DataFrame({"patch_a": ["a"], "patch_b": ["d"], "distance_m": [10.0]})
    found = networks.clusters(patches, links, distance=1000).patches
    assert found["component"].tolist() == [2, 3, 1, 2]
    assert found["module"].tolist() == [2, 3, 1, 2]


def test_the_seed_decides():
    tables = random_network(120, 200, seed=8)
    one, two = (networks.clusters(*tables, distance=2000, seed=5) for _ in range(2))
    pd.testing.assert_frame_equal(one.patches, two.patches)
    assert len({networks.clusters(*tables, distance=2000, seed=s).modularity for s in range(5)}) > 1


def test_patches_without_links_are_modules_of_their_own():
    patches = pd.DataFrame({"patch": [1, 2, 3], "area_ha": [1.0, 1.0, 0.0]})
    none = pd.DataFrame({"patch_a": [], "patch_b": [], "distance_m": []})
    found = networks.clusters(patches, none, distance=1000)
    assert (found.number_of_modules, found.number_of_components, found.modularity) == (3, 3, 0.0)
    assert found.patch_map is None
