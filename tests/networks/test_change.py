"""Change of connectivity over time."""

import numpy as np
import pandas as pd
import pytest

from linkways import networks
from linkways.errors import LinkwaysError
from tests.networks.conftest import random_network


def dates(*areas):
    """Two patches 1,000 m apart, p = 1/2, of these areas at each date."""
    patches = [pd.DataFrame({"patch": [1, 2], "area_ha": area}) for area in areas]
    links = [pd.DataFrame({"patch_a": [1], "patch_b": [2], "distance_m": [1000.0]}) for _ in areas]
    return patches, links


def test_change_of_two_patches_by_hand():
    """ECA^2 = a^2 + b^2 + a b: 300 with 10 and 10, 100 with 10 and 0."""
    found = networks.change(*dates([10.0, 10.0], [10.0, 0.0]), dates=["before", "after"], distance=1000)
    np.testing.assert_allclose(found.dates["ECA"], [300**0.5, 10])
    row = found.changes.iloc[0]
    assert (row["from"], row["to"]) == ("before", "after")
    assert row["dA"] == pytest.approx(-50)
    assert row["dECA"] == pytest.approx(100 * (10 / 300**0.5 - 1))
    assert row["rECA"] == pytest.approx(row["dECA"] / -50)
    assert row["kind"] == "connectivity falls less than area"
    # the configuration became better, from 87 % to 100 %
    assert row["by_area"] < row["ECA_change"] < 0 < row["by_configuration"]


@pytest.mark.parametrize("scale", [0.3, 4.0])
def test_change_of_area_alone_leaves_no_part_to_configuration(scale):
    patches, links = random_network()
    larger = patches.assign(area_ha=patches["area_ha"] * scale)
    row = networks.change([patches, larger], [links, links], distance=2000).changes.iloc[0]
    assert row["rECA"] == pytest.approx(1, rel=1e-12)
    assert row["by_configuration"] == pytest.approx(0, abs=1e-9)
    assert row["kind"] == f"connectivity {'rises' if scale > 1 else 'falls'} as area does"


def test_change_of_links_alone_leaves_no_part_to_area():
    patches, links = random_network()
    row = networks.change([patches, patches], [links, links.iloc[::2]], distance=2000).changes.iloc[0]
    assert row["by_area"] == 0
    assert row["by_configuration"] == pytest.approx(row["ECA_change"], rel=1e-12)
    assert row["kind"] == "connectivity falls while area stays"
    assert np.isnan(row["rECA"])


def test_parts_add_up_and_the_whole_period_comes_last():
    tables = [random_network(seed=seed) for seed in range(4)]
    found = networks.change([t[0] for t in tables], [t[1] for t in tables], distance=2000)
    np.testing.assert_allclose(
        found.changes["by_area"] + found.changes["by_configuration"], found.changes["ECA_change"], rtol=1e-10
    )
    assert found.changes[["from", "to"]].to_numpy().tolist() == [["1", "2"], ["2", "3"], ["3", "4"], ["1", "4"]]
    assert found.eca_change == found.changes["dECA"].iloc[-1]
    np.testing.assert_allclose(found.changes["ECA_change"].iloc[:3].sum(), found.changes["ECA_change"].iloc[3])


@pytest.mark.parametrize(
    ("areas", "kind"),
    [
        (([10.0, 10.0], [10.0, 10.0]), "no change"),
        (([10.0, 10.0], [25.0, 0.0]), "connectivity rises more than area"),
        (([10.0, 10.0], [19.0, 0.0]), "connectivity rises although area falls"),
        (([20.0, 0.0], [10.5, 10.5]), "connectivity falls although area rises"),
        (([25.0, 0.0], [10.0, 10.0]), "connectivity falls more than area"),
    ],
)
def test_kinds_of_change_are_told_in_words(areas, kind):
    assert networks.change(*dates(*areas), distance=1000).changes["kind"][0] == kind


def test_one_table_with_dates_is_as_good_as_many():
    tables = [random_network(seed=seed) for seed in range(3)]
    stacked = [pd.concat([t[k].assign(year=2000 + i) for i, t in enumerate(tables)]) for k in (0, 1)]
    one = networks.change([stacked[0].iloc[::-1]], [stacked[1]], date="year", distance=2000)
    many = networks.change(
        [t[0] for t in tables], [t[1] for t in tables], dates=["2000", "2001", "2002"], distance=2000
    )
    pd.testing.assert_frame_equal(one.dates, many.dates, rtol=1e-12)
    pd.testing.assert_frame_equal(one.changes, many.changes, rtol=1e-9)


def test_tables_that_do_not_match_are_refused():
    patches, links = dates([1.0, 2.0], [2.0, 2.0])
    with pytest.raises(LinkwaysError, match="2 tables of patches, 1 of links and 2 dates"):
        networks.change(patches, links[:1], distance=1)
    with pytest.raises(LinkwaysError, match="at least two dates"):
        networks.change(patches[:1], links[:1], distance=1)
    with pytest.raises(LinkwaysError, match="date 2: patches has 1 rows whose area_ha"):
        networks.change([patches[0], patches[1].assign(area_ha=[-1.0, 2.0])], links, distance=1)
    with pytest.raises(LinkwaysError, match="the patches of date 2 have no area_ha"):
        networks.change([patches[0], patches[1].assign(area_ha=0.0)], links, distance=1)
    with pytest.raises(LinkwaysError, match="no column 'year' of dates"):
        networks.change(patches[:1], links[:1], date="year", distance=1)
    with pytest.raises(LinkwaysError, match="links name the date 1999, for which there are no patches"):
        networks.change([patches[0].assign(year=2000)], [links[0].assign(year=1999)], date="year", distance=1)
    dated = [table[0].assign(year=years) for table, years in ((patches, ["a", None]), (links, ["a"]))]
    with pytest.raises(LinkwaysError, match="patches row 2 has no year"):
        networks.change(dated[:1], dated[1:], date="year", distance=1)
