"""Disjoint paths and cuts."""

import networkx as nx
import pandas as pd
import pytest

from linkways import networks
from linkways.errors import LinkwaysError
from tests.networks.conftest import random_network


def as_graph(patches, links):
    graph = nx.Graph()
    graph.add_nodes_from(patches["patch"])
    graph.add_edges_from(links[["patch_a", "patch_b"]].itertuples(index=False, name=None))
    return graph


@pytest.mark.parametrize("seed", range(3))
def test_disjoint_paths_are_as_many_as_networkx_counts(seed):
    patches, links = random_network(25, 50, seed)
    graph = as_graph(patches, links)
    found = networks.redundancy(patches, links)
    assert len(found.pairs) == 25 * 24 / 2
    for a, b, by_links, by_patches in found.pairs.itertuples(index=False):
        assert by_links == nx.edge_connectivity(graph, a, b)
        without = graph.copy()
        direct = without.has_edge(a, b)
        if direct:
            without.remove_edge(a, b)
        assert by_patches == nx.node_connectivity(without, a, b) + direct
    assert found.mean_paths == found.pairs["link_disjoint_paths"].mean()


@pytest.mark.parametrize("seed", range(3))
def test_cuts_are_as_small_as_the_paths_are_many_and_part_their_pair(seed):
    patches, links = random_network(20, 40, seed)
    graph = as_graph(patches, links)
    found = networks.redundancy(patches, links)
    cuts = dict(iter(found.cuts.groupby(["patch_a", "patch_b", "cut"])))
    for a, b, by_links, by_patches in found.pairs.itertuples(index=False):
        for kind, paths in (("links", by_links), ("patches", by_patches)):
            rows = cuts.get((a, b, kind), found.cuts.iloc[:0])
            assert len(rows) == paths
            left = graph.copy()
            gone = rows.dropna(subset="link_a")
            left.remove_edges_from(zip(gone["link_a"], gone["link_b"], strict=True))
            left.remove_nodes_from(rows["patch"].dropna())
            assert not nx.has_path(left, a, b)


def test_the_link_that_holds_two_rings_together_is_a_bridge():
    rows = [(1, 2), (2, 3), (3, 1), (3, 4), (4, 5), (5, 6), (6, 4)]
    links = pd.DataFrame(rows, columns=["patch_a", "patch_b"]).assign(distance_m=1.0)
    patches = pd.DataFrame({"patch": range(1, 7)})
    found = networks.redundancy(patches, links, pd.DataFrame({"patch_a": [1], "patch_b": [5]}))
    assert found.links.loc[found.links["bridge"], ["patch_a", "patch_b"]].to_numpy().tolist() == [[3, 4]]
    assert found.patches.loc[found.patches["articulation"], "patch"].tolist() == [3, 4]
    assert (found.bridges, found.articulations) == (1, 2)
    assert found.links["in_cuts"].tolist() == [0, 0, 0, 1, 0, 0, 0]
    # two patches part them alone; the nearer to patch_a is told
    assert found.patches.set_index("patch")["in_cuts"].to_dict() == {1: 0, 2: 0, 3: 1, 4: 0, 5: 0, 6: 0}
    doubled = pd.concat([links, links.iloc[[3]].assign(distance_m=9.0)])
    again = networks.redundancy(patches, doubled, pd.DataFrame({"patch_a": [1], "patch_b": [5]}))
    assert again.bridges == 0
    assert again.pairs["link_disjoint_paths"].tolist() == [2]
    assert again.pairs["patch_disjoint_paths"].tolist() == [1]


def test_links_beyond_the_threshold_are_not_used():
    patches, links = random_network(20, 40)
    near = links[links["distance_m"] < 1500]
    one = networks.redundancy(patches, links, threshold=1500)
    two = networks.redundancy(patches, near)
    pd.testing.assert_frame_equal(one.pairs, two.pairs)
    assert not one.links.loc[links["distance_m"] >= 1500, "bridge"].any()


def test_pairs_that_cannot_be_looked_at_are_refused():
    patches, links = random_network(20, 40)
    pair = pd.DataFrame({"patch_a": [100], "patch_b": [7]})
    with pytest.raises(LinkwaysError, match="pairs has 1 rows whose patch_b is not among the patches"):
        networks.redundancy(patches, links, pair)
    with pytest.raises(LinkwaysError, match="pairs row 1 joins patch 100 to itself"):
        networks.redundancy(patches, links, pair.assign(patch_b=100))
    with pytest.raises(LinkwaysError, match="pairs holds no pairs"):
        networks.redundancy(patches, links, pair.iloc[:0])
    many = pd.DataFrame({"patch": range(300)})
    with pytest.raises(LinkwaysError, match="300 patches make 44850 pairs"):
        networks.redundancy(many, links.iloc[:0])
