"""Selections against brute force over every subset, and each refusal."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box

from linkways.errors import LinkwaysError
from linkways.planning import boundaries, select
from linkways.spatial import new_raster

OBJECTIVES = ["min_set", "min_shortfall", "min_largest_shortfall", "max_features", "max_coverage", "max_utility"]
HIGHER_IS_BETTER = {"max_features", "max_coverage", "max_utility"}
SIDE = 3
PAIRS = [(k, k + 1) for k in range(9) if k % 3 < 2] + [(k, k + 3) for k in range(6)]


@st.composite
def problems(draw):
    """Nine units in a square of three by three, two or three features, targets that can be met."""
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    features = draw(st.integers(2, 3))
    amounts = random.integers(0, 6, (features, 9)).astype(float)
    amounts[:, 4] += 1
    costs = random.integers(1, 10, 9).astype(float)
    targets = np.ceil(amounts.sum(axis=1) * random.uniform(0.2, 0.8, features))
    strength = random.integers(0, 5, len(PAIRS)).astype(float)
    return costs, amounts, targets, random.integers(1, 4, features).astype(float), strength


def tables(costs, amounts, targets, weights):
    units = pd.DataFrame({"unit": np.arange(9), "cost": costs})
    for j, row in enumerate(amounts):
        units[f"f{j}"] = row
    wanted = pd.DataFrame(
        {"feature": [f"f{j}" for j in range(len(targets))], "target": targets, "type": "absolute", "weight": weights}
    )
    return units, wanted


def edges(strength, column="length"):
    a, b = np.array(PAIRS).T
    return pd.DataFrame({"unit_a": a, "unit_b": b, column: strength})


def score(objective, costs, amounts, targets, weights, x):
    """The objective as the docstring tells it, by hand."""
    held = amounts @ x
    short = np.clip(1 - held / targets, 0, None)
    return {
        "min_set": costs @ x if (held >= targets).all() else np.inf,
        "min_shortfall": weights @ short,
        "min_largest_shortfall": (weights * short).max(),
        "max_features": weights[held >= targets].sum(),
        "max_coverage": weights[held >= 1].sum(),
        "max_utility": weights @ held,
    }[objective]


def brute(objective, data, *, budget=np.inf, penalty=lambda x: 0.0, allowed=lambda x: True):
    costs, amounts, targets, weights, _ = data
    sign = -1 if objective in HIGHER_IS_BETTER else 1
    best = np.inf
    for bits in itertools.product((0.0, 1.0), repeat=9):
        x = np.array(bits)
        if costs @ x <= budget + 1e-9 and allowed(x):
            best = min(best, sign * score(objective, costs, amounts, targets, weights, x) + penalty(x))
    return sign * best


@pytest.mark.parametrize("objective", OBJECTIVES)
@given(data=problems(), share=st.floats(0.2, 0.9))
@settings(max_examples=6, deadline=None)
def test_every_objective_is_the_best_of_all_subsets(objective, data, share):
    units, wanted = tables(*data[:4])
    budget = None if objective == "min_set" else float(np.floor(share * data[0].sum()))
    found = select(units, targets=wanted, objective=objective, budget=budget)
    assert found.objective == pytest.approx(brute(objective, data, budget=budget or np.inf), abs=1e-6)
    assert found.bound == pytest.approx(found.objective, abs=1e-5)
    assert found.summary.status[0] == "optimal"


@pytest.mark.parametrize("objective", OBJECTIVES)
@given(data=problems())
@settings(max_examples=4, deadline=None)
def test_boundary_and_connectivity_are_weighed_as_the_formulas_say(objective, data):
    units, wanted = tables(*data[:4])
    strength = data[4]
    budget = None if objective == "min_set" else float(np.floor(0.6 * data[0].sum()))
    a, b = np.array(PAIRS).T

    def penalty(x):
        edge = 0.3 * (strength @ np.abs(x[a] - x[b]))
        return edge - 0.2 * (strength @ (x[a] * x[b]))

    found = select(
        units,
        targets=wanted,
        objective=objective,
        budget=budget,
        boundary=edges(strength),
        boundary_penalty=0.3,
        connectivity=edges(strength, "strength"),
        connectivity_penalty=0.2,
    )
    expected = brute(objective, data, budget=budget or np.inf, penalty=penalty)
    assert found.objective == pytest.approx(expected, abs=1e-6)


@given(data=problems(), negative=st.booleans())
@settings(max_examples=8, deadline=None)
def test_asymmetric_links_cost_where_the_giver_is_selected_without_the_taker(data, negative):
    units, wanted = tables(*data[:4])
    strength = data[4] - (2.0 if negative else 0.0)
    a, b = np.array(PAIRS).T
    found = select(
        units, targets=wanted, connectivity=edges(strength, "strength"), connectivity_penalty=0.7, asymmetric=True
    )
    expected = brute("min_set", data, penalty=lambda x: 0.7 * (strength @ (x[a] * (1 - x[b]))))
    assert found.objective == pytest.approx(expected, abs=1e-6)


@given(data=problems())
@settings(max_examples=8, deadline=None)
def test_links_that_repel_are_weighed_too(data):
    units, wanted = tables(*data[:4])
    strength = data[4] - 3.0
    a, b = np.array(PAIRS).T
    found = select(units, targets=wanted, connectivity=edges(strength, "strength"), connectivity_penalty=0.5)
    expected = brute("min_set", data, penalty=lambda x: -0.5 * (strength @ (x[a] * x[b])))
    assert found.objective == pytest.approx(expected, abs=1e-6)


def in_one_piece(x):
    chosen = set(np.flatnonzero(x))
    if not chosen:
        return True
    seen, todo = set(), [min(chosen)]
    while todo:
        k = todo.pop()
        if k in seen:
            continue
        seen.add(k)
        todo += [q for p, q in [*PAIRS, *((q, p) for p, q in PAIRS)] if p == k and q in chosen]
    return seen == chosen


@given(data=problems())
@settings(max_examples=8, deadline=None)
def test_a_contiguous_plan_is_the_best_in_one_piece(data):
    units, wanted = tables(*data[:4])
    found = select(units, targets=wanted, boundary=edges(np.ones(len(PAIRS))), contiguous=True)
    assert in_one_piece(found.plan.selected.to_numpy())
    assert found.objective == pytest.approx(brute("min_set", data, allowed=in_one_piece), abs=1e-6)


@given(data=problems(), count=st.integers(1, 2))
@settings(max_examples=8, deadline=None)
def test_every_selected_unit_has_its_neighbours(data, count):
    units, wanted = tables(*data[:4])

    def allowed(x):
        beside = np.zeros(9)
        for p, q in PAIRS:
            beside[p] += x[q]
            beside[q] += x[p]
        return (beside >= count * x).all()

    found = select(units, targets=wanted, boundary=edges(np.ones(len(PAIRS))), neighbours=count)
    assert found.objective == pytest.approx(brute("min_set", data, allowed=allowed), abs=1e-6)


@given(data=problems())
@settings(max_examples=10, deadline=None)
def test_a_larger_budget_is_never_worse(data):
    units, wanted = tables(*data[:4])
    misses = [
        select(units, targets=wanted, objective="min_shortfall", budget=share * data[0].sum()).objective
        for share in (0.1, 0.3, 0.6, 1.0)
    ]
    assert all(later <= earlier + 1e-6 for earlier, later in itertools.pairwise(misses))
    assert misses[-1] == 0


@given(data=problems(), factor=st.sampled_from([1e-4, 7.0, 1e5]))
@settings(max_examples=10, deadline=None)
def test_units_of_cost_and_amount_do_not_matter(data, factor):
    units, wanted = tables(*data[:4])
    plain = select(units, targets=wanted)
    scaled = units.assign(cost=units.cost * factor, f0=units.f0 * factor)
    wanted.loc[0, "target"] *= factor
    assert select(scaled, targets=wanted).objective == pytest.approx(factor * plain.objective, rel=1e-9)


@given(data=problems())
@settings(max_examples=10, deadline=None)
def test_a_penalty_of_nothing_is_no_penalty(data):
    units, wanted = tables(*data[:4])
    free = select(units, targets=wanted, boundary=edges(data[4]), boundary_penalty=0.0)
    assert free.objective == select(units, targets=wanted).objective


@given(data=problems())
@settings(max_examples=10, deadline=None)
def test_shares_cost_no_more_than_whole_units_and_the_relaxed_bound_is_theirs(data):
    units, wanted = tables(*data[:4])
    whole, part = select(units, targets=wanted), select(units, targets=wanted, decision="proportion")
    least = select(units, targets=wanted, decision="semicontinuous", least_share=0.5)
    assert part.objective <= least.objective + 1e-6
    assert least.objective <= whole.objective + 1e-6
    assert whole.summary.relaxed_bound[0] == pytest.approx(part.objective, rel=1e-6)
    x = least.plan.selected
    assert ((x < 1e-6) | (x >= 0.5 - 1e-6)).all()


def small():
    units = pd.DataFrame(
        {
            "unit": ["a", "b", "c", "d"],
            "cost": [4.0, 3.0, 2.0, 1.0],
            "group": ["north", "north", "south", "south"],
            "frog": [2.0, 1.0, 0.0, 1.0],
            "owl": [0.0, 1.0, 1.0, 0.0],
        }
    )
    targets = pd.DataFrame({"feature": ["frog", "owl"], "target": [2.0, 1.0], "type": "absolute"})
    return units, targets


def chosen(found):
    return found.plan.unit[found.plan.selected > 0.5].tolist()


def test_the_cheapest_set_is_told_with_all_it_holds():
    units, targets = small()
    found = select(units, targets=targets)
    assert chosen(found) == ["b", "d"]
    assert (found.cost, found.selected, found.gap_percent, found.targets_met) == (4.0, 2.0, 0.0, 2)
    assert found.features.held.tolist() == [2.0, 1.0]
    assert found.features.held_share.tolist() == [0.5, 0.5]
    assert np.isnan(found.boundary)


def test_nothing_missed_is_proven_to_be_the_least():
    units, targets = small()
    found = select(units, targets=targets, objective="min_shortfall", budget=10.0)
    assert (found.objective, found.bound, found.gap_percent, found.summary.status[0]) == (0.0, 0.0, 0.0, "optimal")


def test_locked_units_are_in_and_out():
    units, targets = small()
    assert chosen(select(units.assign(locked_in=[True, False, False, False]), targets=targets)) == ["a", "c"]
    assert chosen(select(units.assign(locked_out=["no", "yes", "no", "no"]), targets=targets)) == ["a", "c"]


def test_a_table_of_amounts_says_the_same_as_columns():
    units, targets = small()
    long = units.melt("unit", ["frog", "owl"], "feature", "amount")
    assert chosen(select(units[["unit", "cost"]], long, targets)) == ["b", "d"]


def test_groups_spend_within_their_budgets():
    units, targets = small()
    budgets = pd.DataFrame({"group": ["north", "south"], "budget": [4.0, 2.0]})
    found = select(units, targets=targets, objective="min_shortfall", budgets=budgets)
    assert chosen(found) in (["a", "c"], ["b", "d"])
    budgets = pd.DataFrame({"group": ["north"], "budget": [2.0]})
    assert chosen(select(units, targets=targets, objective="max_features", budgets=budgets)) in (["c"], ["c", "d"])


def test_a_constraint_limits_the_sum_of_a_column_or_a_feature():
    units, targets = small()
    limits = pd.DataFrame({"column": ["jobs"], "sense": ["<="], "limit": [1]})
    found = select(units.assign(jobs=[0, 2, 1, 0]), targets=targets, constraints=limits)
    assert chosen(found) == ["a", "c"]
    limits = pd.DataFrame({"column": ["owl"], "sense": ["="], "limit": [2]})
    assert chosen(select(units, targets=targets, constraints=limits)) == ["b", "c", "d"]


def test_loglinear_targets_lie_between_small_and_large_ranges():
    units = pd.DataFrame({"unit": range(10), "cost": 1.0, "rare": 10.0, "between": 10.0, "wide": 10.0})
    targets = pd.DataFrame(
        {"feature": ["rare", "between", "wide"], "type": "loglinear", "range": [500.0, 10_000.0, 1e6]}
    )
    found = select(units, targets=targets, large_range=100_000.0)
    assert found.features.target.tolist() == pytest.approx([100.0, 55.0, 10.0])


def test_weights_make_one_feature_matter_more():
    units, targets = small()
    targets["weight"] = [1.0, 5.0]
    assert chosen(select(units, targets=targets, objective="max_features", budget=2.5)) == ["c"]
    assert chosen(select(units, targets=targets.assign(weight=[5.0, 1.0]), objective="max_utility", budget=1.0)) == [
        "d"
    ]


# --- places ----------------------------------------------------------------------------------------------------


def squares():
    shapes = [box(x, y, x + 100, y + 100) for y in (100, 0) for x in (0, 100)]
    units, targets = small()
    return gpd.GeoDataFrame(units, geometry=shapes, crs="EPSG:32736"), targets


def test_a_layer_measures_its_own_boundary():
    layer, targets = squares()
    found = select(layer, targets=targets, boundary_penalty=1.0)
    # a b over c d: b and d touch, and so do a and c, whose edge is as long and whose cost is higher
    assert (chosen(found), found.boundary, found.objective) == (["b", "d"], 600.0, 604.0)
    half = select(layer, targets=targets, boundary_penalty=1.0, edge_factor=0.5)
    assert half.objective == 4.0 + 200.0 + 0.5 * 400.0
    told = select(layer, targets=targets, boundary=boundaries(layer), boundary_penalty=1.0)
    assert told.objective == found.objective


def grid(values, name):
    return new_raster(np.array(values, float), crs="EPSG:32736", cell_size=100.0, name=name)


def test_cells_of_a_raster_are_units():
    cost = grid([[4, 3, np.nan], [2, 1, 1]], "cost")
    frog, owl = grid([[2, 1, 9], [0, 1, 0]], "frog"), grid([[0, 1, 0], [1, 0, 0]], "owl")
    targets = pd.DataFrame({"feature": ["frog", "owl"], "target": [2.0, 0.5], "type": ["absolute", "relative"]})
    found = select(cost=cost, features=[frog, owl], targets=targets)
    assert np.array_equal(found.plan, [[0, 1, np.nan], [0, 1, 0]], equal_nan=True)
    assert found.features.total.tolist() == [13.0, 2.0], "what lies where there is no unit counts too"
    locked = select(cost=cost, features=[frog, owl], targets=targets, locked_in=grid([[0, 0, 0], [0, 0, 1]], "lock"))
    assert locked.plan[1, 2] == 1
    out = select(cost=cost, features=[frog, owl], targets=targets, locked_out=grid([[0, 1, 1], [0, 0, 0]], "lock"))
    assert np.array_equal(out.plan, [[1, 0, np.nan], [1, 0, 0]], equal_nan=True)


def test_feature_rasters_are_summed_over_the_shapes_of_units():
    layer, _ = squares()
    cells = new_raster(np.arange(16.0).reshape(4, 4), crs="EPSG:32736", cell_size=50.0, origin=(0, 200), name="frog")
    found = select(layer[["unit", "cost", "geometry"]], features=[cells], target=1.0)
    assert found.features.held.tolist() == [120.0]
    most = select(layer[["unit", "cost", "geometry"]], features=[cells], objective="max_utility", budget=1.0)
    assert most.objective == 10 + 11 + 14 + 15


# --- portfolios ------------------------------------------------------------------------------------------------


def feasible_costs(data):
    costs, amounts, targets, _, _ = data
    all_x = (np.array(bits) for bits in itertools.product((0.0, 1.0), repeat=9))
    return sorted(costs @ x for x in all_x if (amounts @ x >= targets).all())


@given(data=problems())
@settings(max_examples=5, deadline=None)
def test_extra_plans_are_the_next_best_ones(data):
    units, wanted = tables(*data[:4])
    found = select(units, targets=wanted, portfolio="extra", number=4)
    assert found.portfolio.objective.tolist() == pytest.approx(feasible_costs(data)[:4])


@pytest.mark.parametrize("kind", ["gap", "shuffle"])
@given(data=problems())
@settings(max_examples=4, deadline=None)
def test_plans_of_a_gap_lie_within_it_and_differ(kind, data):
    units, wanted = tables(*data[:4])
    found = select(units, targets=wanted, portfolio=kind, number=5, portfolio_gap_percent=40.0)
    within = [c for c in feasible_costs(data) if c <= 1.4 * found.objective + 1e-6]
    assert (found.portfolio.objective <= 1.4 * found.objective + 1e-6).all()
    assert (found.portfolio.differ[1:] >= 1).all()
    if kind == "gap":
        assert len(found.portfolio) == min(5, len(within))
    assert found.frequency.frequency.between(0, 1).all()


def test_the_same_seed_gives_the_same_portfolio():
    units, targets = small()
    runs = [
        select(units, targets=targets, portfolio="shuffle", number=3, seed=7, portfolio_gap_percent=80) for _ in "ab"
    ]
    pd.testing.assert_frame_equal(runs[0].portfolio, runs[1].portfolio)
    assert len(runs[0].portfolio) > 1


# --- clashes ---------------------------------------------------------------------------------------------------


def test_a_clash_names_a_smallest_set_of_demands():
    units, targets = small()
    with pytest.raises(LinkwaysError, match=r"these clash.*: the target of owl \(1\), the constraint owl <= 0.5; ease"):
        select(units, targets=targets, constraints=pd.DataFrame({"column": ["owl"], "sense": ["<="], "limit": [0.5]}))


def test_a_clash_of_target_and_budget_leaves_out_the_other_target():
    units, targets = small()
    with pytest.raises(LinkwaysError, match=r": the target of frog \(2\), the budget \(2.5\); ease"):
        select(units, targets=targets, budget=2.5)


def test_a_clash_may_need_whole_units():
    units = pd.DataFrame({"unit": [1, 2], "cost": [4.0, 4.0], "frog": [1.0, 1.0]})
    targets = pd.DataFrame({"feature": ["frog"], "target": [1.5], "type": "absolute"})
    with pytest.raises(LinkwaysError, match=r"the target of frog \(1.5\), the budget \(7\)"):
        select(units, targets=targets, budget=7.0)


def test_locked_units_that_break_the_budget_clash_with_it():
    units, targets = small()
    with pytest.raises(LinkwaysError, match=r"the budget \(3\), 1 units locked in; ease"):
        select(units.assign(locked_in=[1, 0, 0, 0]), targets=targets, objective="min_shortfall", budget=3.0)


# --- refusals --------------------------------------------------------------------------------------------------


def refused(match, units=None, **changes):
    own, targets = small()
    with pytest.raises(LinkwaysError, match=match):
        select(own if units is None else units, **({"targets": targets} | changes))


def test_units_that_do_not_match_are_named():
    amounts = pd.DataFrame({"unit": ["a", "z"], "feature": ["frog", "frog"], "amount": [2.0, 1.0]})
    refused(r"amounts names units that are not among the planning units \(z; 1 rows, first row 2", amounts=amounts)
    table = pd.DataFrame({"unit_a": ["a"], "unit_b": ["q"], "length": [1.0]})
    refused(r"boundary names units .*\(q; 1 rows, first row 1, column unit_b", boundary=table)


def test_whole_numbers_match_whatever_their_type():
    units = pd.DataFrame({"unit": [1.0, 2.0], "cost": [1.0, 2.0]})
    amounts = pd.DataFrame({"unit": ["1", "2"], "feature": "frog", "amount": [1.0, 1.0]})
    assert select(units, amounts, target=0.5).cost == 1.0


def test_costs_below_0_need_permission():
    units, targets = small()
    units.loc[1, "cost"] = -3.0
    refused(r"1 units have a cost below 0 \(b\)", units)
    assert chosen(select(units, targets=targets, negative_costs=True)) == ["b", "d"]


@pytest.mark.parametrize("value", [np.nan, np.inf, "many"])
def test_amounts_that_are_no_numbers_are_refused(value):
    units, _ = small()
    refused("units has 1 rows whose frog is no finite number, first row 2", units.assign(frog=[1, value, 1, 1]))
    amounts = pd.DataFrame({"unit": ["a", "b"], "feature": "frog", "amount": [1, value]})
    refused("amounts has 1 rows whose amount is no finite number, first row 2", amounts=amounts)


def test_costs_that_are_no_numbers_are_refused():
    refused("units has 1 rows whose cost", small()[0].assign(cost=[1, np.nan, 1, 1]))


def test_amounts_below_0_are_refused():
    refused("1 amounts are below 0, first that of frog in unit b", small()[0].assign(frog=[3, -1, 1, 1]))


def test_targets_above_what_exists_are_listed():
    targets = pd.DataFrame({"feature": ["frog", "owl"], "target": [5.0, 3.0], "type": "absolute"})
    refused(r"2 targets are above what exists \(frog 5 of 4, owl 3 of 2\)", targets=targets)


def test_targets_above_what_is_open_are_listed():
    units = small()[0].assign(locked_out=[1, 0, 0, 1])
    refused(r"1 targets are above what may be selected.*\(frog 2 of 1\)", units)


def test_features_that_are_nowhere_present_are_named():
    refused(r"1 features are present in no unit \(frog\)", small()[0].assign(frog=0.0))
    amounts = pd.DataFrame({"unit": ["a"], "feature": ["frog"], "amount": [2.0]})
    refused("targets names 1 features that are nowhere present, first owl", amounts=amounts)


def test_an_asymmetric_matrix_given_as_symmetric_is_refused():
    links = pd.DataFrame({"unit_a": ["a", "b"], "unit_b": ["b", "a"], "strength": [1.0, 2.0]})
    refused("connectivity is asymmetric: 1 pairs .* a and b", connectivity=links, connectivity_penalty=1.0)
    found = select(small()[0], targets=small()[1], connectivity=links, connectivity_penalty=1.0, asymmetric=True)
    # b and d: 4 and 2 for b without a; a and c: 6 and 1 for a without b
    assert (chosen(found), found.objective) == (["b", "d"], 6.0)


def test_contradictions_are_refused():
    units, _ = small()
    refused("1 units are locked in and locked out", units.assign(locked_in=[1, 0, 0, 0], locked_out=[1, 0, 0, 0]))
    refused("min_shortfall needs a budget", objective="min_shortfall")
    refused("either the table targets or target", target=0.2)
    refused("max_utility knows no targets", objective="max_utility", budget=1.0, target=0.2, targets=None)
    refused("least_share needs the decision", least_share=0.5)
    refused("most_share needs the decision", most_share=0.5)
    refused("least_share 0.9 is above", least_share=0.9, most_share=0.5, decision="semicontinuous")
    refused("needs the table connectivity", connectivity_penalty=1.0)
    refused("so its shared edges must be told", boundary_penalty=1.0)
    refused("portfolios need whole units", decision="proportion", portfolio="gap")
    refused("no features", targets=None, target=0.5)
    refused("this objective needs targets", targets=None, amounts=units.melt("unit", ["owl"], "feature", "amount"))


def test_tables_that_tell_too_little_are_refused():
    units, targets = small()
    refused("units has no column 'cost'", units.drop(columns="cost"))
    refused("units has the unit a twice", units.assign(unit=["a", "a", "c", "d"]))
    refused("targets has no column 'type'", targets=targets.drop(columns="type"))
    refused("the type 'half' in row 1", targets=targets.assign(type="half"))
    refused("relative target 2 in row 1", targets=targets.assign(type="relative"))
    refused("has the sense '<'", constraints=pd.DataFrame({"column": ["owl"], "sense": ["<"], "limit": [1]}))
    refused("names owls in row 1", constraints=pd.DataFrame({"column": ["owls"], "sense": ["<="], "limit": [1]}))
    refused("the group east", objective="max_features", budgets=pd.DataFrame({"group": ["east"], "budget": [1.0]}))
    twice = pd.DataFrame({"unit": ["a", "a"], "feature": "frog", "amount": [2.0, 1.0]})
    refused("frog in unit a twice, again in row 2", amounts=twice)
    with pytest.raises(LinkwaysError, match="either as units"):
        select(targets=targets)


# --- prices, and what has no effect ----------------------------------------------------------------------------


def test_the_price_of_a_target_is_what_one_more_unit_of_it_costs():
    """Cheapest first: b and c hold a frog for 1 each, a holds one for 5; shares of units make the bound exact."""
    units = pd.DataFrame(
        {"unit": list("abc"), "cost": [5.0, 1.0, 1.0], "frog": [1.0, 1.0, 1.0], "owl": [1.0, 1.0, 1.0]}
    )

    def prices(frog, owl):
        wanted = pd.DataFrame({"feature": ["frog", "owl"], "target": [frog, owl], "type": "absolute"})
        return select(units, targets=wanted, decision="proportion").features.price.tolist()

    assert prices(1.5, 0.5) == pytest.approx([1.0, 0.0])
    assert prices(0.5, 2.5) == pytest.approx([0.0, 5.0])


@pytest.mark.parametrize(
    "objective", ["min_shortfall", "min_largest_shortfall", "max_features", "max_coverage", "max_utility"]
)
def test_prices_are_told_for_every_objective(objective):
    """One unit of 4 for a budget that buys half of it: a target of 4 is half met, and holding one more is worth a
    quarter of it (nothing where there are no targets)."""
    units = pd.DataFrame({"unit": ["a"], "cost": [2.0], "frog": [4.0]})
    wanted = pd.DataFrame({"feature": ["frog"], "target": [4.0], "type": "absolute"})
    found = select(units, targets=wanted, objective=objective, budget=1.0, decision="proportion")
    worth = {"max_utility": 0.0, "max_coverage": 0.0}
    assert found.features.price[0] == pytest.approx(worth.get(objective, 0.25))


FROG = pd.DataFrame({"feature": ["frog"], "target": [1.0], "type": "absolute"})
TWO = pd.DataFrame({"unit": ["a", "b"], "cost": [1.0, 2.0], "frog": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"iterations": 5}, "iterations are those of annealing"),
        ({"solver": "annealing", "gap_percent": 5.0}, "annealing ends after its iterations"),
        ({"number": 3}, "portfolio is none"),
        ({"portfolio_gap_percent": 3.0}, "portfolio is none"),
        ({"portfolio": "extra", "portfolio_gap_percent": 3.0}, "portfolio is extra"),
        ({"small_share": 0.5}, "there are none"),
    ],
)
def test_parameters_without_an_effect_are_refused(wishes, words):
    with pytest.raises(LinkwaysError, match=words):
        select(TWO, targets=FROG, **wishes)


def test_ranges_in_the_wrong_order_are_refused():
    with pytest.raises(LinkwaysError, match="not below large_range"):
        select(TWO, targets=FROG.assign(type="loglinear"), small_range=10.0, large_range=5.0)


def test_only_loglinear_targets_need_a_range():
    units = TWO.assign(owl=[4.0, 4.0])
    wanted = pd.DataFrame(
        {"feature": ["frog", "owl"], "target": [2.0, None], "type": ["absolute", "loglinear"], "range": [None, 500.0]}
    )
    found = select(units, targets=wanted)
    assert found.features.target.tolist() == [2.0, 8.0]
    with pytest.raises(LinkwaysError, match="target is no finite number, first row 2"):
        select(units, targets=wanted.assign(type=["loglinear", "absolute"], range=[500.0, 500.0]))


def test_a_table_with_some_links_told_back_and_others_not_is_asymmetric():
    links = pd.DataFrame({"unit_a": ["a", "b", "a"], "unit_b": ["b", "a", "c"], "strength": [1.0, 1.0, 2.0]})
    units = pd.DataFrame({"unit": ["a", "b", "c"], "cost": 1.0, "frog": 1.0})
    with pytest.raises(LinkwaysError, match="from unit a to c in row 3, so it is asymmetric"):
        select(units, targets=FROG, connectivity=links, connectivity_penalty=0.1)
    assert select(units, targets=FROG, connectivity=links, connectivity_penalty=0.1, asymmetric=True).targets_met == 1


def test_a_plan_in_one_piece_is_told_where_time_is_too_short_to_prove_it():
    from scipy.ndimage import label

    random = np.random.default_rng(3)
    cost = new_raster(random.lognormal(0, 1, (25, 25)), crs="EPSG:32736", cell_size=1.0, name="cost")
    maps = [
        new_raster((random.random((25, 25)) < 0.1) * 1.0, crs="EPSG:32736", cell_size=1.0, name=f"f{k}")
        for k in range(4)
    ]
    found = select(cost=cost, features=maps, target=0.2, contiguous=True, time_limit_s=2.0)
    assert label(found.plan.values > 0.5)[1] == 1
    assert found.targets_met == 4
    assert 0 < found.bound <= found.objective
