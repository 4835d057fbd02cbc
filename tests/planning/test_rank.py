"""Priority ranking against removal cell by cell, what must not change it, curves by hand, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError
from linkways.planning import _rank_kernels as kernels
from linkways.planning import rank
from linkways.spatial import new_raster, recording

RULES = ("CAZ1", "CAZ2", "CAZMAX", "ABF")


def raster(values, name="layer", crs="EPSG:3035", cell_size=1000):
    return new_raster(np.atleast_2d(np.asarray(values, float)), crs=crs, cell_size=cell_size, name=name)


def layers_of(amounts):
    return [raster(values, f"f{j}") for j, values in enumerate(amounts)]


def weights_of(values):
    return pd.DataFrame({"feature": [f"f{j}" for j in range(len(values))], "weight": values})


def loss(p, kept, weight, rule, z=0.25):
    """What losing each kept cell costs, straight from the definitions; p is (cells, layers) of shares."""
    held = p[kept].sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if rule == "ABF":
            terms = np.nan_to_num(np.abs(weight) * z * held ** (z - 1) * p, posinf=0)
        else:
            terms = np.nan_to_num(np.abs(weight) * p / held, posinf=0)
    put = {
        "CAZ1": lambda t: t.sum(axis=1),
        "ABF": lambda t: t.sum(axis=1),
        "CAZ2": lambda t: np.sqrt((t**2).sum(axis=1)),
        "CAZMAX": lambda t: t.max(axis=1, initial=0),
    }[rule]
    return put(terms[:, weight >= 0]) - put(terms[:, weight < 0])


def landscape(seed, cells=400, layers=8):
    """Amounts without ties, each layer in a part of the land."""
    rng = np.random.default_rng(seed)
    amounts = rng.lognormal(0, 1, (layers, cells)) * (rng.random((layers, cells)) < rng.uniform(0.2, 0.9, (layers, 1)))
    amounts[:, 0] += 0.01
    return amounts


@pytest.mark.parametrize("rule", ["CAZ1", "CAZ2", "CAZMAX", "ABF"])
@given(seed=st.integers(0, 10**6), harmful=st.booleans())
@settings(max_examples=25, deadline=None)
def test_scores_along_an_order_are_those_of_the_definition(rule, seed, harmful):
    rng = np.random.default_rng(seed)
    amounts = landscape(seed, cells=40, layers=5)
    p = (amounts / amounts.sum(axis=1, keepdims=True)).T
    weight = rng.uniform(0.2, 3, 5) * np.array([1, 1, 1, 1, -1 if harmful else 1])
    cost = rng.uniform(0.5, 2, 40)
    order = rng.permutation(40)
    found = np.empty(40)
    args = (order, p.astype(np.float32), np.abs(weight), 4 if harmful else 5, cost)
    if rule == "ABF":
        kernels.power_scores(*args, 0.25, found)
    else:
        kernels.ratio_scores(*args, ("CAZ1", "CAZ2", "CAZMAX").index(rule), found)
    net = np.array([loss(p, order[k:], weight, rule)[order[k]] for k in range(40)])
    expected = np.where(net > 0, net / cost[order], net * cost[order])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_the_order_is_a_fixed_point_but_for_neighbours(rule):
    amounts = landscape(3, cells=600)
    p = (amounts / amounts.sum(axis=1, keepdims=True)).T
    order = np.argsort(rank(layers_of(amounts), rule=rule).rank.values.ravel())
    score = np.array([loss(p, order[k:], np.ones(8), rule)[order[k]] for k in range(600)])
    moves = np.abs(np.argsort(np.argsort(score, kind="stable")) - np.arange(600))
    assert moves.mean() / 600 < 2e-3


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_ranking_performs_as_removal_cell_by_cell(rule, seed):
    amounts = landscape(seed, cells=300)
    p = (amounts / amounts.sum(axis=1, keepdims=True)).T
    kept = list(range(300))
    order = []
    while kept:
        scores = loss(p, kept, np.ones(8), rule)[kept]
        order.append(kept.pop(int(np.argmin(scores))))
    held = p[order][::-1].cumsum(axis=0)[::-1]
    found = rank(layers_of(amounts), rule=rule, levels=[0.1, 0.3, 0.5])
    for level, row in zip((0.1, 0.3, 0.5), found.held.itertuples(), strict=True):
        place = 300 - round(300 * level)
        assert row.mean == pytest.approx(held[place].mean(), abs=0.02)
        if rule != "ABF":  # additive benefits may let go of any one layer
            assert row.min == pytest.approx(held[place].min(), abs=0.04)
    places = np.empty(300)
    places[order] = np.arange(1, 301) / 300
    assert np.corrcoef(places, found.rank.values.ravel())[0, 1] > (0.9 if rule == "CAZMAX" else 0.98)


def test_with_one_layer_cells_rank_by_what_they_hold():
    values = np.random.default_rng(1).permutation(30) + 1.0
    for rule in RULES:
        assert rank([raster(values)], rule=rule).rank.values.ravel() == pytest.approx(values / 30)


def test_a_single_refuge_of_a_rare_layer_comes_last_for_core_areas():
    common = np.arange(1.0, 21.0)
    rare = np.zeros(20)
    rare[0] = 1
    for rule in ("CAZ1", "CAZ2", "CAZMAX"):
        found = rank(layers_of([common, rare]), rule=rule)
        # both the refuge and the best common cell hold all of a layer at their place; the refuge holds more besides
        assert found.rank.values[0, 0] >= 0.95


def test_curves_by_hand():
    # shares 0.1, 0.2, 0.3, 0.4: kept from the best cell down
    found = rank([raster([1, 2, 3, 4])], points=4, levels=[0.5, 0.3])
    assert found.curves["kept"].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert found.curves["mean"].tolist() == pytest.approx([0, 0.4, 0.7, 0.9, 1])
    assert found.layer_curves["layer"].tolist() == pytest.approx([0, 0.4, 0.7, 0.9, 1])
    assert found.held["mean"].tolist() == pytest.approx([0.7, 0.4])
    # trapezoids of width a quarter
    assert found.area_under_curve == pytest.approx((0.2 + 0.55 + 0.8 + 0.95) / 4)
    assert found.mean_held_30 == found.min_held_30 == pytest.approx(0.4)
    assert found.chart.axes[0].get_xlabel() == "top of the ranking kept (% of area)"
    assert found.layers[["total", "cells", "held_0.5"]].iloc[0].tolist() == pytest.approx([10, 4, 0.7])


def test_levels_hold_whole_cells_and_no_more_than_they_allow():
    values = landscape(5)
    found = rank(layers_of(values), levels=[0.101])
    # of the 40.4 cells the last fits in part, and stays out
    top = found.rank.values.ravel() > 1 - 0.101 + 1 / 400 - 1e-9
    assert top.sum() == 40
    held = values[:, top].sum(axis=1) / values.sum(axis=1)
    assert found.held["mean"][0] == pytest.approx(held.mean(), rel=1e-6)
    assert found.held["min"][0] == pytest.approx(held.min(), rel=1e-6)
    assert found.held["least"][0] == f"f{held.argmin()}"


def test_in_degrees_the_land_is_counted_by_area():
    values = np.array([[1.0, 2.0], [4.0, 3.0], [5.0, 6.0]])
    layer = new_raster(values, crs="EPSG:4326", cell_size=10.0, origin=(0.0, 70.0), name="layer")
    by_area, by_cells = rank([layer]), rank([layer], share_of="cells")
    # rows lie at 65, 55 and 45 degrees; on a sphere their areas are as the differences of sines
    rows = np.diff(np.sin(np.radians([40, 50, 60, 70])))[::-1]
    area = np.repeat(rows / rows.sum() / 2, 2)
    order = np.argsort(values.ravel())
    lost = np.empty(6)
    lost[order] = area[order].cumsum()
    assert by_area.rank.values.ravel() == pytest.approx(lost, abs=2e-3)
    assert by_cells.rank.values.ravel() == pytest.approx(values.ravel() / 6)


@given(seed=st.integers(0, 10**6), rule=st.sampled_from(RULES))
@settings(max_examples=20, deadline=None)
def test_cells_and_layers_may_be_permuted(seed, rule):
    rng = np.random.default_rng(seed)
    amounts = landscape(seed, cells=200, layers=5)
    cells, layers = rng.permutation(200), rng.permutation(5)
    plain = rank(layers_of(amounts), rule=rule)
    mixed = rank(layers_of(amounts[np.ix_(layers, cells)]), rule=rule)
    back = np.empty(200)
    back[cells] = mixed.rank.values.ravel()
    # empty cells tie and may stand in any order among themselves
    some = amounts.sum(axis=0) > 0
    assert np.abs(back - plain.rank.values.ravel())[some].mean() < 2e-3
    assert mixed.area_under_curve == pytest.approx(plain.area_under_curve, abs=1e-3)


@given(seed=st.integers(0, 10**6), power=st.integers(-6, 6), rule=st.sampled_from(RULES))
@settings(max_examples=20, deadline=None)
def test_the_unit_of_a_layer_and_of_the_costs_does_not_matter(seed, power, rule):
    amounts = landscape(seed, cells=150, layers=4)
    cost = np.random.default_rng(seed).uniform(1, 9, 150)
    plain = rank(layers_of(amounts), cost=raster(cost), rule=rule)
    amounts[1] *= 2.0**power
    other = rank(layers_of(amounts), cost=raster(cost * 2.0**power), rule=rule)
    assert np.array_equal(plain.rank.values, other.rank.values)


@pytest.mark.parametrize("rule", ["CAZ1", "ABF"])
def test_two_copies_of_half_the_weight_are_one_layer(rule):
    amounts = landscape(8)
    plain = rank(layers_of(amounts), rule=rule)
    twice = rank(layers_of([*amounts, amounts[0]]), weights_of([0.5, *[1] * 7, 0.5]), rule=rule)
    assert np.abs(plain.rank.values - twice.rank.values).mean() < 1e-3


@pytest.mark.parametrize("rule", RULES)
def test_a_weight_of_0_only_watches_the_layer(rule):
    amounts = landscape(9)
    without = rank(layers_of(amounts[:7]), rule=rule)
    found = rank(layers_of(amounts), weights_of([*[1] * 7, 0]), rule=rule)
    assert np.abs(without.rank.values - found.rank.values).mean() < 1e-3
    assert found.area_under_curve == pytest.approx(without.area_under_curve, abs=1e-4)
    top = found.rank.values.ravel() > 0.7 + 1e-9
    watched = found.layers.set_index("feature").loc["f7", "held_0.3"]
    assert watched == pytest.approx(amounts[7, top].sum() / amounts[7].sum(), rel=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_more_weight_keeps_more_of_a_layer(rule):
    amounts = landscape(10)
    shares = [rank(layers_of(amounts), weights_of([w, *[1] * 7]), rule=rule).layers["held_0.3"][0] for w in (0.2, 1, 5)]
    assert shares[0] < shares[1] < shares[2]


@pytest.mark.parametrize("rule", RULES)
def test_what_is_to_be_avoided_is_lost_early(rule):
    amounts = landscape(11)
    wanted = rank(layers_of(amounts), rule=rule).layers["held_0.3"][7]
    found = rank(layers_of(amounts), weights_of([*[1] * 7, -1]), rule=rule)
    assert found.layers["held_0.3"][7] < 0.5 * wanted
    assert found.held["mean"].iloc[-1] == pytest.approx(found.layers["held_0.3"][:7].mean())


def test_a_cell_of_harm_alone_goes_first_and_a_dear_one_before_a_cheap_one():
    good, harm = [1, 2, 3, 4, 0, 0], [0, 0, 0, 0, 1, 1]
    cost = [1, 1, 1, 1, 1, 5]
    for rule in RULES:
        found = rank(layers_of([good, harm]), weights_of([1, -1]), raster(cost), rule=rule, share_of="cells")
        assert found.rank.values[0, 5] == pytest.approx(1 / 6)
        assert found.rank.values[0, 4] == pytest.approx(2 / 6)


def test_a_cell_counts_by_what_it_holds_for_its_cost():
    found = rank([raster([4, 3, 2, 1])], cost=raster([8, 3, 1, 0.25]))
    # 0.5, 1, 2, 4 for each unit of cost
    assert found.rank.values.ravel() == pytest.approx([0.25, 0.5, 0.75, 1])
    by_cost = rank([raster([4, 3, 2, 1])], cost=raster([8, 3, 1, 0.25]), share_of="cost")
    assert by_cost.rank.values.ravel() == pytest.approx(np.array([8, 11, 12, 12.25]) / 12.25)


@pytest.mark.parametrize("rule", RULES)
def test_higher_levels_of_the_mask_are_kept_longer(rule):
    amounts = landscape(12)
    level = np.random.default_rng(12).integers(-1, 3, 400)
    found = rank(layers_of(amounts), mask=raster(level), rule=rule).rank.values.ravel()
    for a in (-1, 0, 1):
        assert found[level == a].max() < found[level == a + 1].min()
    top = level == 2
    # what the top level leaves out does not count there, so that it is ranked as if it were alone but for the totals
    alone = rank(
        layers_of([row[top] for row in amounts]), weights_of((amounts[:, top].sum(axis=1) > 0) * 1.0), rule=rule
    )
    if rule != "ABF":
        order, by_itself = np.argsort(np.argsort(found[top])), np.argsort(np.argsort(alone.rank.values.ravel()))
        assert np.corrcoef(order, by_itself)[0, 1] > 0.97


def test_nodata_stays_nodata_and_zero_stands_for_it_when_asked():
    holes = [raster([1, np.nan, 3, np.nan], "a"), raster([np.nan, 5, 1, np.nan], "b")]
    found = rank(holes, missing="zero")
    filled = rank([raster([1, 0, 3, np.nan], "a"), raster([0, 5, 1, np.nan], "b")])
    assert np.array_equal(found.rank.values, filled.rank.values, equal_nan=True)
    assert np.isnan(found.rank.values[0, 3])
    assert found.rank.attrs["units"] == "1"


def test_the_same_ranking_comes_every_time():
    amounts = np.round(landscape(13))
    amounts[:, :8] += 1
    assert np.array_equal(rank(layers_of(amounts)).rank.values, rank(layers_of(amounts)).rank.values)


def test_it_says_when_cells_still_move():
    with recording() as notes:
        found = rank(layers_of(landscape(14)), max_rounds=2)
    assert found.iterations == 2
    assert any("after 2 rounds cells still move" in str(n) for n in notes)


ONE = raster([1, 2, 3], "a")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"features": []}, "features"),
        ({"features": [ONE, raster([1, 2, 3], "a")]}, "layers need names of their own, and 'a' is taken"),
        ({"features": [ONE, raster([1, -2, -3], "b")]}, r"layer b has 2 cells below 0 .* row 0 column 1 \(-2\)"),
        ({"features": [raster([1, np.inf, 2], "a")]}, "layer a has 1 cells below 0 or infinite"),
        ({"features": [ONE, raster([0, 0, 0], "b")]}, "layer b is nowhere above 0"),
        ({"features": [ONE, raster([0, np.nan, 1], "b")]}, "layer b has nodata in 1 cells .* row 0 column 1"),
        ({"features": [ONE, raster([[1, 2, 3], [1, 2, 3]], "b")]}, "different grids"),
        ({"cost": raster([1, 0, 2])}, r"cost is nodata, infinite, 0 or below in 1 cells .* row 0 column 1 \(0\)"),
        ({"cost": raster([1, 2, np.nan])}, "cost is nodata, infinite, 0 or below in 1 cells .* column 2"),
        ({"cost": raster([[1, 2]])}, "different grids"),
        ({"mask": raster([1, 1.5, 2])}, r"mask has no whole number in 1 cells .* column 1 \(1.5\)"),
        ({"mask": raster([1, 1, np.nan])}, "mask has no whole number in 1 cells"),
        ({"weights": pd.DataFrame({"feature": ["b"], "weight": [1]})}, "weights names b, which is no layer"),
        ({"weights": pd.DataFrame({"feature": [], "weight": []})}, "no row for 1 layers, the first a"),
        ({"weights": pd.DataFrame({"feature": ["a", "a"], "weight": [1, 1]})}, "weights has a in 2 rows"),
        ({"weights": pd.DataFrame({"feature": ["a"], "weight": ["much"]})}, "the weight of a is no number"),
        ({"weights": pd.DataFrame({"feature": ["a"], "weight": [-1]})}, "no weight is above 0"),
        ({"share_of": "cost"}, "shares of cost need costs"),
        ({"levels": [1.5]}, "levels"),
    ],
)
def test_what_cannot_be_ranked_is_refused(arguments, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        rank(**({"features": [ONE]} | arguments))
