"""Units selected together, least patches, replicates and fair shares, against every subset of small problems."""

import itertools

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box

from linkways.errors import LinkwaysError
from linkways.planning import principles, select

SIDE = 3
N = 9
PAIRS = [(k, k + 1) for k in range(N) if k % 3 < 2] + [(k, k + 3) for k in range(6)]
EVERY = np.array(list(itertools.product([0.0, 1.0], repeat=N)))
EDGES = pd.DataFrame(PAIRS, columns=["unit_a", "unit_b"]).assign(length=1.0)
GRAPH = nx.Graph(PAIRS)


def pieces(x):
    return list(nx.connected_components(GRAPH.subgraph(np.flatnonzero(x).tolist())))


@st.composite
def problems(draw):
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    units = pd.DataFrame({"unit": np.arange(N), "cost": random.integers(1, 10, N).astype(float)})
    units["frog"], units["owl"] = random.integers(0, 6, N), random.integers(0, 6, N)
    units.loc[4, ["frog", "owl"]] = 3
    wanted = pd.DataFrame({"feature": ["frog", "owl"], "target": random.uniform(0.1, 0.5, 2), "type": "relative"})
    return units, wanted, random


def meets(units, wanted):
    held = EVERY @ units[["frog", "owl"]].to_numpy(float)
    return (held >= wanted.target.to_numpy() * units[["frog", "owl"]].sum().to_numpy() - 1e-9).all(axis=1)


def least(values, good):
    return values[good].min() if good.any() else None


def check(expected, **inputs):
    """The objective is the least of all subsets and proven, or a refusal where there is none."""
    if expected is None:
        with pytest.raises(LinkwaysError, match="no selection meets"):
            select(**inputs)
        return None
    found = select(**inputs)
    assert found.objective == pytest.approx(expected, abs=1e-6)
    assert found.bound == pytest.approx(expected, abs=1e-5)
    return found.plan.selected.to_numpy()


@settings(max_examples=25, deadline=None)
@given(problems(), st.sampled_from(["plain", "boundary", "connectivity", "asymmetric", "neighbours", "contiguous"]))
def test_units_of_a_reef_are_selected_together_at_the_least_cost_of_all_subsets(problem, kind):
    units, wanted, random = problem
    units["together"] = ["A", "A", None, "B", "", None, "B", "B", None]
    same = EVERY[:, 0] == EVERY[:, 1]
    same &= (EVERY[:, 3] == EVERY[:, 6]) & (EVERY[:, 6] == EVERY[:, 7])
    good, value, inputs = meets(units, wanted) & same, EVERY @ units.cost.to_numpy(), {}
    a, b = np.array(PAIRS).T
    if kind == "boundary":
        inputs = {"boundary": EDGES, "boundary_penalty": 1.5}
        value = value + 1.5 * np.abs(EVERY[:, a] - EVERY[:, b]).sum(axis=1)
    if kind in ("connectivity", "asymmetric"):
        strength = random.integers(1, 4, len(PAIRS)).astype(float)
        links = pd.DataFrame(PAIRS, columns=["unit_a", "unit_b"]).assign(strength=strength)
        inputs = {"connectivity": links, "connectivity_penalty": 0.7, "asymmetric": kind == "asymmetric"}
        lost, kept = EVERY[:, a] * (1 - EVERY[:, b]), EVERY[:, a] * EVERY[:, b]
        value = value + (0.7 * lost @ strength if kind == "asymmetric" else -0.7 * kept @ strength)
    if kind == "neighbours":
        inputs = {"boundary": EDGES, "neighbours": 1}
        touching = nx.to_numpy_array(GRAPH, nodelist=range(N))
        good &= (EVERY @ touching >= EVERY).all(axis=1)
    if kind == "contiguous":
        inputs = {"boundary": EDGES, "contiguous": True}
        good &= np.array([len(pieces(x)) <= 1 for x in EVERY])
    x = check(least(value, good), units=units, targets=wanted, **inputs)
    if x is not None:
        assert x[0] == x[1]
        assert x[3] == x[6] == x[7]


@settings(max_examples=15, deadline=None)
@given(problems(), st.floats(1.5, 6))
def test_patches_are_large_enough_at_the_least_cost_of_all_subsets(problem, size):
    units, wanted, random = problem
    units["area_km2"] = random.uniform(0.5, 2, N)
    area = units.area_km2.to_numpy()
    large = np.array([all(area[list(p)].sum() >= size for p in pieces(x)) for x in EVERY])
    expected = least(EVERY @ units.cost.to_numpy(), meets(units, wanted) & large)
    check(expected, units=units, targets=wanted, boundary=EDGES, min_patch_km2=size)


@settings(max_examples=10, deadline=None)
@given(problems(), st.integers(1, 3), st.sampled_from([0.0, 2.0]))
def test_each_region_has_its_replicates_at_the_least_cost_of_all_subsets(problem, k, size):
    units, wanted, _ = problem
    units["area_km2"], units["region"] = 1.0, ["n", "n", "n", "n", None, "s", "s", "s", "s"]
    north, south = set(range(4)), set(range(5, 9))
    good = [
        all(sum(bool(p & r) for p in parts) >= k for r in (north, south)) and all(len(p) >= size for p in parts)
        for parts in map(pieces, EVERY)
    ]
    expected = least(EVERY @ units.cost.to_numpy(), meets(units, wanted) & np.array(good))
    check(expected, units=units, targets=wanted, boundary=EDGES, replicates=k, min_patch_km2=size)


@settings(max_examples=10, deadline=None)
@given(problems(), st.floats(0.34, 0.9))
def test_no_group_bears_more_than_its_share_at_the_least_cost_of_all_subsets(problem, share):
    units, wanted, _ = problem
    units["group"] = ["x", "x", "x", "y", "y", "y", "z", "z", "z"]
    paid = np.stack([EVERY[:, 3 * g : 3 * g + 3] @ units.cost.to_numpy()[3 * g : 3 * g + 3] for g in range(3)])
    fair = (paid <= share * paid.sum(axis=0) + 1e-9).all(axis=0)
    expected = least(EVERY @ units.cost.to_numpy(), meets(units, wanted) & fair)
    check(expected, units=units, targets=wanted, most_group_share=share)


def test_a_reef_in_parts_stays_whole_when_pieces_are_asked_for_too():
    units = pd.DataFrame({"unit": np.arange(N), "cost": [1.0, 5, 1, 5, 5, 5, 5, 5, 5], "frog": 1.0, "area_km2": 1.0})
    units["together"] = ["reef", None, "reef"] + [None] * 6
    wanted = pd.DataFrame({"feature": ["frog"], "target": [1.0], "type": ["absolute"]})
    found = select(units, targets=wanted, boundary=EDGES, min_patch_km2=2.0)
    # the reef's two corners would need units 1, or 3 and 5, to be patches of two; any other pair costs 10
    assert found.plan.unit[found.plan.selected == 1].tolist() == [0, 1, 2]
    assert found.cost == 7


def test_what_the_principles_cannot_be_combined_with_is_refused_in_one_sentence():
    units = pd.DataFrame({"unit": np.arange(N), "cost": 1.0, "frog": 1.0, "area_km2": 1.0, "region": "r"})
    wanted = pd.DataFrame({"feature": ["frog"], "target": [2.0], "type": ["absolute"]})
    given_ = {"targets": wanted, "boundary": EDGES}
    with pytest.raises(LinkwaysError, match="need whole units, the solver highs and no contiguity"):
        select(units, min_patch_km2=2.0, solver="min_cut", **given_)
    with pytest.raises(LinkwaysError, match="need whole units, the solver highs and no contiguity"):
        select(units, replicates=2, contiguous=True, **given_)
    with pytest.raises(LinkwaysError, match="set portfolio to none"):
        select(units, replicates=2, portfolio="gap", **given_)
    with pytest.raises(LinkwaysError, match="give units a column region"):
        select(units.drop(columns="region"), replicates=2, **given_)
    with pytest.raises(LinkwaysError, match="give shapes, or a column area_km2"):
        select(units.drop(columns="area_km2"), min_patch_km2=2.0, **given_)
    with pytest.raises(LinkwaysError, match=r"can be met: .*patches of at least 20 km2"):
        select(units, min_patch_km2=20.0, **given_)
    with pytest.raises(LinkwaysError, match="needs planning units as a layer or table with a column group"):
        select(units, most_group_share=0.5, **given_)
    reef = units.assign(together="reef", locked_in=[True] + [False] * 8, locked_out=[False] * 8 + [True])
    with pytest.raises(LinkwaysError, match=r"one locked in and another locked out \(reef\)"):
        select(reef, **given_)


@settings(max_examples=20, deadline=None)
@given(problems(), st.floats(1.5, 6), st.integers(1, 3), st.floats(0.05, 0.6))
def test_demands_that_clash_are_a_smallest_set_by_all_subsets(problem, size, k, purse):
    units, wanted, random = problem
    units = units.assign(area_km2=random.uniform(0.5, 1.5, N), region=np.repeat(["north", "south"], [4, 5]))
    budget = purse * units.cost.sum()
    held = EVERY @ units[["frog", "owl"]].to_numpy(float)
    reached = held >= wanted.target.to_numpy() * units[["frog", "owl"]].sum().to_numpy() - 1e-9
    parts = [pieces(x) for x in EVERY]
    area = units.area_km2.to_numpy()

    def touched(members):
        return np.array([sum(bool(members & part) for part in one) >= k for one in parts])

    keeps = {
        "the target of frog": reached[:, 0],
        "the target of owl": reached[:, 1],
        "the budget": EVERY @ units.cost.to_numpy() <= budget + 1e-9,
        "patches of at least": np.array([all(area[list(part)].sum() >= size for part in one) for one in parts]),
        f"{k} pieces in north": touched(set(range(4))),
        f"{k} pieces in south": touched(set(range(4, 9))),
    }

    def possible(names):
        return np.all([keeps[name] for name in names] or [np.ones(len(EVERY), bool)], axis=0).any()

    given_ = {"targets": wanted, "boundary": EDGES, "min_patch_km2": size, "replicates": k, "budget": budget}
    if possible(keeps):
        select(units, **given_)
        return
    with pytest.raises(LinkwaysError, match="these clash, and without any one of them") as told:
        select(units, **given_)
    clash = [name for name in keeps if name in str(told.value)]
    assert not possible(clash)
    assert all(possible([name for name in clash if name != one]) for one in clash)


def km(x, y, w, h):
    return box(x * 1e3, y * 1e3, (x + w) * 1e3, (y + h) * 1e3)


def test_an_audit_gives_the_optimiser_what_the_rules_ask_and_the_new_plan_keeps_them():
    cells = [(x, y) for y in range(6) for x in range(6)]
    shapes = [km(10 * x, 10 * y, 10, 10) for x, y in cells]
    random = np.random.default_rng(3)
    units = gpd.GeoDataFrame({"unit": np.arange(36), "cost": random.integers(1, 9, 36)}, geometry=shapes, crs=3577)
    bioregions = gpd.GeoDataFrame(
        {"bioregion": ["lagoon", "slope"], "kind": ["other", "reef"]}, geometry=[km(0, 0, 30, 60), km(30, 0, 30, 60)]
    ).set_crs(3577)
    # the first two share a unit, and so become one
    reefs = gpd.GeoDataFrame(
        {"name": ["North", "Outer", "South"]}, geometry=[km(35, 52, 12, 4), km(42, 54, 12, 4), km(2, 2, 15, 4)]
    ).set_crs(3577)
    wreck = gpd.GeoDataFrame({"name": ["wreck"]}, geometry=[km(3, 33, 2, 2)], crs=3577)
    port = gpd.GeoDataFrame({"name": ["port"]}, geometry=[km(51, 1, 2, 2)], crs=3577)
    layers = {"reefs": reefs, "places": wreck, "uses": port, "replicates": 2}
    before = principles(units.assign(selected=units.unit < 2).astype({"selected": int}), bioregions, **layers)
    given_ = before.units.drop(columns="selected")
    assert given_.region.tolist() == (["lagoon"] * 3 + ["slope"] * 3) * 6
    assert given_.unit[given_.together == "North + Outer"].tolist() == [33, 34, 35]
    assert given_.unit[given_.together == "South"].tolist() == [0, 1]
    assert given_.unit[given_.locked_in].tolist() == [18]
    assert given_.unit[given_.locked_out].tolist() == [5]
    # a fifth of 1800 km2, a hundredth of each of four bands, and the two whole reefs that the slope has
    bands = {f"{name}, band {k}": 450.0 for name in ("lagoon", "slope") for k in (1, 2, 3, 4)}
    area = {"lagoon": 1800.0, "slope": 1800.0, **bands, "slope, number of reefs": 2.0}
    assert before.amounts.groupby("feature").amount.sum().to_dict() == pytest.approx(area)
    asked = {"lagoon": 360.0, "slope": 360.0, **dict.fromkeys(bands, 4.5), "slope, number of reefs": 1.98}
    assert before.targets.set_index("feature").target.to_dict() == pytest.approx(asked)
    told = before.parameters.set_index("rule").value
    assert told["Minimum size"] == pytest.approx(np.pi * 100)
    assert told["Replicates"] == 2
    given_.loc[0, "locked_in"] = True  # a unit of the southern reef, which brings the other one
    plan = select(given_, before.amounts, before.targets, replicates=2, min_patch_km2=told["Minimum size"]).plan
    assert plan.selected[[0, 1]].tolist() == [1, 1]
    after = principles(plan, bioregions, **layers).audit.set_index("title").result
    kept = ("Replicates", "Whole reefs", "Minimum of each reef bioregion", "Latitudinal diversity")
    for title in (*kept, "Special and unique places"):
        assert after[title] == "pass"
    assert after["Adjacent sea and land uses"] == "pass"
