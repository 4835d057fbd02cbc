"""Importance of planning units: prioritizr's published case, all plans counted, targets by hand, and refusals."""

from itertools import combinations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError
from linkways.planning import irreplaceability
from linkways.planning.irreplaceability import ferrier
from linkways.spatial import new_raster

UNITS = pd.DataFrame({"unit": ["a", "b", "c"], "cost": [1.0, 1.0, 1.0]})
AMOUNTS = pd.DataFrame(
    {"unit": ["a", "b", "c", "c"], "feature": ["frog", "frog", "frog", "fern"], "amount": [1.0, 2.0, 3.0, 5.0]}
)


def cells(values, name):
    return new_raster(np.array([values], float), crs="EPSG:3035", cell_size=100, name=name)


def published(**more):
    """methods/planning.md O3: four units, the third without a cost."""
    return irreplaceability(
        cost=cells([10, 2, np.nan, 3], "cost"),
        features=[cells([0, 0, 0, 1], "spp1"), cells([10, 5, 10, 6], "spp2")],
        targets=pd.DataFrame({"feature": ["spp1", "spp2"], "target": [1, 10], "type": "absolute"}),
        plan_raster=cells([0, 1, np.nan, 1], "plan"),
        **more,
    )


def test_rarity_weighted_richness_is_that_of_prioritizr():
    found = published()
    assert found.map.values[0] == pytest.approx([0, 0.0161290323, np.nan, 1.0193548387], abs=1e-9, nan_ok=True)
    assert found.units["rarity"].tolist() == pytest.approx([0, 0.0161290323, 1.0193548387], abs=1e-9)


def test_ferrier_is_that_of_prioritizr_with_its_spread():
    found = published(spread="prioritizr", shown="ferrier")
    by_feature = found.by_feature.set_index(["feature", "unit"])["ferrier"]
    assert by_feature["spp2", 1] == pytest.approx(0.151980968, abs=1e-9)
    assert by_feature["spp2", 3] == pytest.approx(0.184265947, abs=1e-9)
    assert by_feature["spp1", 3] == 1
    assert found.map.values[0] == pytest.approx([0, 0.151980968, np.nan, 1.184265947], abs=1e-9, nan_ok=True)
    assert found.units["ferrier_max"].tolist() == pytest.approx([0, 0.151980968, 1])


def counted(x, p, target):
    """Of all plans of p units that meet the target, the share that does not without the unit."""
    meeting, lost = 0, np.zeros(len(x))
    for plan in combinations(range(len(x)), p):
        total = x[list(plan)].sum()
        if total >= target:
            meeting += 1
            lost[[k for k in plan if total - x[k] < target]] += 1
    return lost / meeting


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.35, 0.45, 0.55])
def test_ferrier_comes_near_to_counting_all_plans(seed, share):
    x = np.random.default_rng(seed).uniform(1, 3, 14)
    exact = counted(x, 7, share * x.sum())
    found = ferrier(x, 7, share * x.sum(), "variance")
    assert np.abs(found - exact).mean() < 0.12
    assert np.corrcoef(found, exact)[0, 1] > 0.9


@given(
    x=st.lists(st.floats(0, 100), min_size=1, max_size=12),
    p=st.integers(1, 12),
    share=st.floats(0.01, 1),
    form=st.sampled_from(["variance", "prioritizr"]),
)
@settings(max_examples=200, deadline=None)
def test_ferrier_is_a_share_and_0_where_there_is_nothing(x, p, share, form):
    x = np.array(x)
    if x.sum() > 1e-6:
        found = ferrier(x, min(p, len(x)), share * x.sum(), form)
        assert np.isfinite(found).all()
        assert (found <= 1 + 1e-9).all()
        assert np.all(found[(x == 0)] < 1e-6) or len(x) == 1


def test_shares_of_targets_by_hand():
    targets = pd.DataFrame({"feature": ["frog", "fern"], "target": [4, 0.5], "type": ["absolute", "relative"]})
    plan = pd.DataFrame({"unit": ["c", "a", "b"], "selected": [1, 0, 1]})
    free = irreplaceability(UNITS, AMOUNTS, targets)
    assert free.units["proportional"].tolist() == pytest.approx([1 / 4, 2 / 4, 3 / 4 + 1])
    assert free.units["complementarity"].tolist() == pytest.approx([1 / 4, 2 / 4, 3 / 4 + 1])
    # without c only 3 of 4 frogs are left, and no fern
    assert free.units["necessary"].tolist() == [0, 0, 2]
    assert free.necessary_units == 1
    assert free.units["ferrier"].isna().all()
    # b and c hold 5 frogs: without b 3 of 4, without c 2 of 4 and no fern; a adds nothing
    found = irreplaceability(UNITS, AMOUNTS, targets, plan=plan)
    assert found.units["complementarity"].tolist() == pytest.approx([0, 1 / 4, 2 / 4 + 1])
    assert found.units["selected"].tolist() == [0, 1, 1]
    assert found.units["rarity"].tolist() == pytest.approx([0, 2 / 3 / 6, 1 / 6 + 1 / 5])


def test_weights_multiply_what_a_feature_counts():
    plain = pd.DataFrame({"feature": ["frog", "fern"], "target": [0.5, 0.5], "type": "relative"})
    frog, fern, both = (
        irreplaceability(UNITS, AMOUNTS, plain.assign(weight=w)).units[["rarity", "proportional", "complementarity"]]
        for w in ([1, 0], [0, 1], [3, 2])
    )
    assert both.to_numpy() == pytest.approx(3 * frog.to_numpy() + 2 * fern.to_numpy())


def test_a_unit_that_holds_all_of_a_feature_is_irreplaceable():
    found = irreplaceability(UNITS, AMOUNTS, target=0.2, size=2)
    by_feature = found.by_feature.set_index(["feature", "unit"])
    assert by_feature.loc[("fern", "c"), "ferrier"] == 1
    assert by_feature.loc[("fern", "c"), "share"] == 1
    assert found.units["ferrier_max"].tolist()[2] == 1


def test_without_units_a_plan_has_nothing_irreplaceable():
    found = irreplaceability(UNITS, AMOUNTS, target=0.2, plan=pd.DataFrame({"unit": list("abc"), "selected": 0}))
    assert found.units["ferrier"].tolist() == [0, 0, 0]


def test_polygons_keep_their_outlines():
    layer = gpd.GeoDataFrame(UNITS, geometry=[shapely.box(x, 0, x + 1, 1) for x in range(3)], crs="EPSG:3035")
    found = irreplaceability(layer, AMOUNTS, target=0.5)
    assert found.map.geometry.equals(layer.geometry)
    assert found.map["necessary"].tolist() == found.units["necessary"].tolist()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "targets"),
        ({"target": 0.5, "size": 4}, "size is 4, and there are 3 planning units"),
        ({"target": 0.5, "size": 1, "plan": pd.DataFrame({"unit": list("abc"), "selected": 1})}, "for want of a plan"),
        ({"target": 0.5, "plan": pd.DataFrame({"unit": list("ab"), "selected": 1})}, "2 rows for 2 of 3"),
        ({"target": 0.5, "plan": pd.DataFrame({"unit": list("abcc"), "selected": 1})}, "4 rows for 3 of 3"),
        ({"target": 0.5, "plan": pd.DataFrame({"unit": list("abd"), "selected": 1})}, "irreplaceability: plan.*d"),
        ({"target": 0.5, "plan": pd.DataFrame({"unit": list("abc"), "selected": [1, 0.5, 0]})}, "neither 1 nor 0"),
        ({"target": 0.5, "plan_raster": cells([1, 1], "plan")}, "units that are cells"),
        ({"target": 0.5, "amounts": AMOUNTS.assign(amount=-1.0)}, "feature frog has amounts below 0"),
        ({"target": 0.5, "amounts": AMOUNTS.assign(amount=0.0)}, "no planning unit holds anything"),
        ({"target": 0.5, "amounts": AMOUNTS.assign(amount=np.nan)}, "irreplaceability: .*amount"),
        ({"targets": pd.DataFrame({"feature": ["frog"], "type": ["loglinear"]})}, "loglinear targets"),
        ({"targets": pd.DataFrame({"feature": ["newt"], "target": [1], "type": ["absolute"]})}, "nowhere present"),
    ],
)
def test_what_cannot_be_told_is_refused(arguments, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        irreplaceability(**({"units": UNITS, "amounts": AMOUNTS} | arguments))
