"""Tables of patches and links that are no network are refused in one sentence, whatever the method."""

import numpy as np
import pandas as pd
import pytest

from linkways import networks
from linkways.errors import LinkwaysError


def broken(small, where, row, column, value):
    patches, links = (table.copy() for table in small)
    table = {"patches": patches, "links": links}[where]
    table[column] = table[column].astype(object)
    table.loc[row, column] = value
    return patches, links


@pytest.mark.parametrize(
    ("where", "row", "column", "value", "words"),
    [
        ("patches", 1, "area_ha", -2.0, r"patches has 1 rows whose area_ha is not .* first row 2 \(patch b: -2\)"),
        ("patches", 2, "area_ha", np.nan, r"first row 3 \(patch c: nan\)"),
        ("patches", 2, "area_ha", np.inf, r"first row 3 \(patch c: inf\)"),
        ("patches", 2, "area_ha", "large", "column area_ha of patches must hold numbers"),
        ("patches", 3, "patch", "a", "patches row 4 repeats patch a"),
        ("patches", 3, "patch", None, "patches row 4 has no patch id"),
        ("links", 1, "patch_b", "z", r"patch_b is not among the patches, first row 2 \('z'\)"),
        ("links", 0, "patch_b", "a", "links row 1 joins patch a to itself"),
        ("links", 0, "distance_m", -1.0, r"distance_m is not a number from 0 up, first row 1 \(a - b: -1\)"),
        ("links", 1, "distance_m", np.nan, r"first row 2 \(b - c: nan\)"),
    ],
)
def test_a_wrong_cell_is_named_with_its_row(small, where, row, column, value, words):
    tables = broken(small, where, row, column, value)
    for method in (networks.indices, networks.importance, networks.clusters, networks.metapopulation_capacity):
        with pytest.raises(LinkwaysError, match=words):
            method(*tables, distance=1000)


def test_columns_that_are_missing_are_named(small):
    patches, links = small
    with pytest.raises(LinkwaysError, match="patches has no column 'area_km2'"):
        networks.indices(patches, links, attribute="area_km2", distance=1)
    with pytest.raises(LinkwaysError, match="links has no column 'cost'"):
        networks.indices(patches, links, weight="cost", distance=1)
    with pytest.raises(LinkwaysError, match="patches holds no patches"):
        networks.indices(patches.iloc[:0], links, distance=1)


def test_a_distance_is_asked_for_unless_links_have_probabilities(small):
    patches, links = small
    with pytest.raises(LinkwaysError, match="distance is missing; give the distance_m at which"):
        networks.indices(patches, links)
    links = links.assign(probability=0.5)
    assert networks.indices(patches, links, weight="probability").components == 2
    with pytest.raises(LinkwaysError, match="probability is not a probability from 0 to 1, first row 1"):
        networks.indices(patches, links.assign(probability=1.5), weight="probability")
    with pytest.raises(LinkwaysError, match="threshold is 1000, but the links' weight is a probability"):
        networks.indices(patches, links, weight="probability", threshold=1000)


def test_a_landscape_smaller_than_its_patches_is_refused(small):
    with pytest.raises(LinkwaysError, match="landscape_area is 20, but the patches sum to 26"):
        networks.indices(*small, distance=1000, landscape_area=20)


def test_a_probability_of_one_and_of_none_are_probabilities(small):
    patches, links = small
    links = links.assign(probability=[1.0, 0.0])
    found = networks.indices(patches, links, weight="probability").indices.set_index("index").value
    assert found["PCnum"] == pytest.approx(11**2 + 10**2 + 5**2)
    assert found["NL"] == 1


def test_an_infinite_distance_is_no_way(small):
    patches, links = small
    links = links.assign(distance_m=[1000.0, np.inf])
    found = networks.indices(patches, links, distance=1000, threshold=2000).indices.set_index("index").value
    assert found["PCnum"] == pytest.approx(100 + 1 + 100 + 25 + 2 * 10 * 0.5)
    assert found["NC"] == 3


def test_patches_of_any_kind_of_id_and_in_any_order_give_the_same(network):
    patches, links = network
    named = patches.assign(patch="p" + patches["patch"].astype(str)).sample(frac=1, random_state=1)
    ends = {c: "p" + links[c].astype(str) for c in ("patch_a", "patch_b")}
    renamed = links.assign(**ends).sample(frac=1, random_state=2)
    one = networks.importance(patches, links, distance=2000)
    two = networks.importance(named, renamed, distance=2000)
    assert one.equivalent_connectivity == pytest.approx(two.equivalent_connectivity, rel=1e-13)
    first = one.patches.set_index("patch").sort_index()
    second = two.patches.set_index("patch").sort_index()
    assert ["p" + str(i) for i in first.index] == list(second.index)
    pd.testing.assert_frame_equal(first.reset_index(drop=True), second.reset_index(drop=True), rtol=1e-9, atol=1e-9)
