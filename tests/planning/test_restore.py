"""Restoration plans against brute force on tiny landscapes, written here without any of the code under test."""

import itertools
import math

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from linkways import LinkwaysError
from linkways.planning._kernels import enclosing_diameter
from linkways.planning._mesh_milp import MergingProgram
from linkways.planning._objectives import Mesh, objective_of
from linkways.planning._restore_problem import Problem, Rules
from linkways.planning._restore_search import Planner
from linkways.planning._restore_units import Blocks, Candidates, actions_of, options_of_units, units_of
from linkways.planning.restore import restore
from linkways.spatial import new_raster, recording

CELL = 100.0  # metres: one cell is one hectare
OBJECTIVES = ["mesh", "iic", "eca", "protconn", "metapopulation_capacity"]


def raster(values, **options):
    return new_raster(np.asarray(values, float), crs="EPSG:3035", cell_size=CELL, **options)


def box(row, column, rows=1, columns=1):
    """The outline of some cells of a raster with its corner at 0, 0."""
    return shapely.box(column * CELL, -(row + rows) * CELL, (column + columns) * CELL, -row * CELL)


def layer(names, boxes, column="name"):
    return gpd.GeoDataFrame({column: names}, geometry=boxes, crs="EPSG:3035")


# --- the same values, computed plainly -----------------------------------------------------------------------------


def mesh_of(habitat):
    pieces, count = label(habitat == 1)
    sizes = [int((pieces == k).sum()) for k in range(1, count + 1)]
    return sum(s * s for s in sizes) / int(np.isfinite(habitat).sum())


def cost_distances(habitat, resistance):
    """Least cost between all cells, habitat for nothing, by networkx."""
    crossing = np.where(habitat == 1, 0.0, resistance)
    graph = nx.Graph()
    cells = [tuple(int(i) for i in c) for c in np.argwhere(np.isfinite(habitat))]
    graph.add_nodes_from(cells)
    for (r, c), (s, d) in itertools.combinations(cells, 2):
        if max(abs(r - s), abs(c - d)) == 1:
            graph.add_edge(
                (r, c), (s, d), weight=CELL * math.hypot(r - s, c - d) * (crossing[r, c] + crossing[s, d]) / 2
            )
    return dict(nx.all_pairs_dijkstra_path_length(graph))


def gap(habitat, ground, one, other):
    """Cost from the edge of one set of cells to that of another, over the ground whatever stands on it."""
    own = np.zeros(habitat.shape)
    for cell in (*one, *other):
        own[cell] = 1
    d = cost_distances(np.where(np.isfinite(habitat), own, np.nan), ground)
    return d[one[0]].get(other[0], math.inf)


def index_of(kind, habitat, area, resistance, *, scale, ground=None):
    """The objective by definition; ``area`` per cell, ``scale`` the decay a metre, or the threshold of iic."""
    resistance = np.broadcast_to(np.asarray(resistance, float), habitat.shape)
    ground = resistance if ground is None else ground
    if kind == "mesh":
        return mesh_of(habitat)
    land = int(np.isfinite(habitat).sum())
    d = cost_distances(habitat, resistance)
    cells = [tuple(int(i) for i in c) for c in np.argwhere(np.nan_to_num(area) > 0)]
    if kind in ("eca", "protconn"):
        total = sum(area[i] * area[j] * math.exp(-scale * d[i].get(j, math.inf)) for i in cells for j in cells)
        return math.sqrt(total) * (1 if kind == "eca" else 100 / land)
    touching = nx.Graph()
    touching.add_nodes_from(cells)
    if kind == "iic":
        touching.add_edges_from((i, j) for i in cells for j in cells if abs(i[0] - j[0]) + abs(i[1] - j[1]) == 1)
    else:
        touching.add_edges_from((i, j) for i in cells for j in cells if i != j and d[i].get(j) == 0)
    patches = [list(p) for p in nx.connected_components(touching)]
    sizes = [sum(area[i] for i in p) for p in patches]
    apart = [[min(d[i].get(j, math.inf) for i in p for j in q) for q in patches] for p in patches]
    if kind == "iic":
        apart = [[gap(habitat, ground, p, q) for q in patches] for p in patches]
    if kind == "metapopulation_capacity":
        matrix = [
            [sizes[p] * sizes[q] * math.exp(-scale * (apart[p][q] if p != q else 0)) for q in range(len(sizes))]
            for p in range(len(sizes))
        ]
        return float(np.linalg.eigvalsh(np.array(matrix))[-1]) if matrix else 0.0
    links = nx.Graph()
    links.add_nodes_from(range(len(patches)))
    links.add_edges_from((p, q) for p in links for q in links if p != q and apart[p][q] < scale)
    hops = dict(nx.all_pairs_shortest_path_length(links))
    return sum(sizes[p] * sizes[q] / (1 + n) for p, to in hops.items() for q, n in to.items()) / land**2


def scale_of(kind, dispersal_m=200.0):
    return dispersal_m if kind == "iic" else math.log(2) / dispersal_m


def plans(habitat, budget, allowed=None):
    """Every set of free cells within the budget (a cell costs one hectare)."""
    free = [
        tuple(int(i) for i in c) for c in np.argwhere(habitat == 0 if allowed is None else (habitat == 0) & allowed)
    ]
    for count in range(min(int(budget), len(free)) + 1):
        yield from itertools.combinations(free, count)


def restored(habitat, cells):
    out = habitat.copy()
    for cell in cells:
        out[cell] = 1
    return out


def brute_force(kind, habitat, budget, lawful=lambda habitat, cells: True, allowed=None, resistance=1.0):
    """The largest value over all lawful plans."""
    values = []
    for cells in plans(habitat, budget, allowed):
        after = restored(habitat, cells)
        if lawful(after, cells):
            values.append(index_of(kind, after, after, resistance, scale=scale_of(kind)))
    return max(values) if values else None


def landscape(seed, shape=(4, 5), habitat=0.4, holes=0.1):
    rng = np.random.default_rng(seed)
    values = (rng.random(shape) < habitat).astype(float)
    values[rng.random(shape) < holes] = np.nan
    values[0, 0], values[0, 1] = 1, 0
    return values


def problem_of(habitat, budget, resistance=None, **rules):
    blocks = Blocks(raster(habitat), 1)
    units, present = units_of(blocks, 0.7, resistance, 4, "exact")
    candidates = Candidates.of(
        blocks, units, present, share=1.0, threshold=0.7, rule="exact",
        restorable=None, cost=None, locked_in=None, locked_out=None,
    )  # fmt: skip
    options = options_of_units(candidates, actions_of(None), False, 0.7)
    return Problem(units, options, Rules(budget, np.empty(0), **rules))


# --- the optimum -------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_the_plan_for_mesh_is_the_best_of_all_plans_and_is_called_optimal(seed, budget):
    habitat = landscape(seed)
    found = restore(raster(habitat), budget=budget)
    assert found.value_after == pytest.approx(brute_force("mesh", habitat, budget), rel=1e-12)
    assert found.value_before == pytest.approx(mesh_of(habitat), rel=1e-12)
    assert found.summary["status"].item() == "optimal"
    assert found.gap_percent == 0
    assert mesh_of((found.plan.values >= 2).astype(float) + habitat * 0) == pytest.approx(found.value_after, rel=1e-12)


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("seed", [1, 2])
def test_small_problems_are_proven_for_every_objective(kind, seed):
    habitat = landscape(seed, shape=(3, 5))
    found = restore(raster(habitat), budget=3, objective=kind, dispersal_km=0.2)
    assert found.value_after == pytest.approx(brute_force(kind, habitat, 3), rel=1e-9)
    assert found.value_before == pytest.approx(index_of(kind, habitat, habitat, 1.0, scale=scale_of(kind)), rel=1e-9)
    assert found.summary["status"].item() == "optimal"


@pytest.mark.parametrize("kind", ["eca", "iic", "metapopulation_capacity"])
def test_distances_follow_the_resistance(kind):
    rng = np.random.default_rng(5)
    habitat, resistance = landscape(11, shape=(3, 5)), rng.uniform(1, 9, (3, 5))
    found = restore(raster(habitat), resistance=raster(resistance), budget=2, objective=kind, dispersal_km=0.2)
    assert found.value_after == pytest.approx(brute_force(kind, habitat, 2, resistance=resistance), rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from(OBJECTIVES))
def test_no_plan_is_above_the_bound(seed, budget, kind):
    habitat = landscape(seed, shape=(3, 5))
    problem = problem_of(habitat, float(budget))
    objective = objective_of(kind, problem, dispersal_m=200.0, probability=0.5)
    assert objective.bound(problem) >= brute_force(kind, habitat, budget) * (1 - 1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_no_plan_is_above_the_bound_of_the_program_with_cuts(seed, budget):
    habitat = landscape(seed, shape=(4, 5), habitat=0.5)
    problem = problem_of(habitat, float(budget))
    relaxed = MergingProgram(problem).solve(math.inf)
    bound = Mesh(problem).value(()) + relaxed.bound / problem.units.landscape_ha
    assert bound >= brute_force("mesh", habitat, budget) * (1 - 1e-7)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(OBJECTIVES))
def test_what_an_option_adds_is_the_difference_it_makes(seed, kind):
    rng = np.random.default_rng(seed)
    habitat, resistance = landscape(seed, shape=(4, 5)), rng.uniform(1, 5, (4, 5))
    problem = problem_of(habitat, 20.0, resistance=raster(resistance))
    objective = objective_of(kind, problem, dispersal_m=200.0, probability=0.5)
    cells = [tuple(int(i) for i in c) for c in np.argwhere(habitat == 0)]
    chosen = tuple(int(o) for o in rng.permutation(len(cells))[:3])
    after = restored(habitat, [cells[o] for o in chosen])
    now = index_of(kind, after, after, resistance, scale=scale_of(kind))
    assert objective.value(chosen) == pytest.approx(now, rel=1e-9)
    rest = np.array([o for o in range(len(cells)) if o not in chosen])
    for option, gain in zip(rest, objective.gains(chosen, rest), strict=True):
        wider = restored(after, [cells[option]])
        value = index_of(kind, wider, wider, resistance, scale=scale_of(kind))
        assert gain == pytest.approx(value - now, rel=1e-7, abs=1e-9 * value)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(OBJECTIVES))
def test_a_larger_budget_is_never_worse(seed, kind):
    habitat = landscape(seed, shape=(5, 6))
    curve = restore(
        raster(habitat), budget=4, budgets=[1, 2, 3, 5], objective=kind, dispersal_km=0.2, time_limit=0.2
    ).curve
    assert curve["budget"].tolist() == [1, 2, 3, 4, 5]
    assert np.all(np.diff(curve["value"]) >= -1e-9 * curve["value"].max())
    assert np.all(curve["cost"] <= curve["budget"] * (1 + 1e-9))
    assert np.all(curve["bound"] >= curve["value"] * (1 - 1e-12))


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.transpose, np.rot90])
@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_optimum_does_not_depend_on_how_the_landscape_is_turned(turn, kind):
    habitat = landscape(21, shape=(4, 4))
    values = [
        restore(raster(h), budget=3, objective=kind, dispersal_km=0.2, compact_km=0.3).value_after
        for h in (habitat, turn(habitat))
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-9)


def test_a_raster_with_its_south_up_gives_the_same_plan():
    habitat = raster(landscape(3, shape=(5, 6)))
    upright, turned = restore(habitat, budget=3), restore(habitat.isel(y=slice(None, None, -1)), budget=3)
    assert upright.value_after == turned.value_after
    np.testing.assert_array_equal(upright.plan.values, turned.plan.values)


def test_of_two_gaps_the_one_between_the_larger_patches_is_closed():
    habitat = raster([[1, 1, 1, 0, 1, 1, 1, 0, 1]])
    found = restore(habitat, budget=1)
    np.testing.assert_array_equal(found.plan.values, [[2, 2, 2, 3, 2, 2, 2, 1, 2]])
    assert found.value_before == pytest.approx((9 + 9 + 1) / 9)
    assert found.value_after == pytest.approx((49 + 1) / 9)
    assert found.chosen[["row", "column", "cost", "units"]].values.tolist() == [[0, 3, 1.0, 1]]


# --- rules ---------------------------------------------------------------------------------------------------------


def circle(cells):
    """Diameter of the smallest circle around centres, by trying every pair and triple."""
    points = [complex(c * CELL, -r * CELL) for r, c in cells]
    if len(points) < 2:
        return 0.0
    circles = [((p + q) / 2, abs(p - q) / 2) for p, q in itertools.combinations(points, 2)]
    for p, q, s in itertools.combinations(points, 3):
        w = (s - p) / (q - p)
        if abs(w.imag) > 1e-9:
            centre = p + (q - p) * (w - abs(w) ** 2) / (2j * w.imag)
            circles.append((centre, abs(centre - p)))
    return 2 * min(r for centre, r in circles if all(abs(p - centre) <= r + 1e-6 for p in points))


@settings(max_examples=40, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=7))
def test_the_smallest_circle_is_that_of_the_best_pair_or_triple(cells):
    points = np.array(sorted(cells), float) * CELL
    assert enclosing_diameter(points[:, 1], -points[:, 0]) == pytest.approx(circle(sorted(cells)), abs=1e-6)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.11, 0.15, 0.21, 0.3]))
def test_compact_plans_fit_in_the_circle_and_none_that_does_is_better(seed, diameter_km):
    habitat = landscape(seed)
    found = restore(raster(habitat), budget=4, compact_km=diameter_km)
    best = brute_force("mesh", habitat, 4, lambda after, cells: circle(cells) <= diameter_km * 1000 + 1e-6)
    assert found.value_after == pytest.approx(best, rel=1e-12)
    assert found.summary["status"].item() == "optimal"
    cells = [tuple(c) for c in np.argwhere(found.plan.values == 3)]
    assert found.summary["diameter_m"].item() == pytest.approx(circle(cells), abs=1e-6)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["mesh", "eca"]))
def test_connected_plans_are_one_piece_and_none_that_is_is_better(seed, kind):
    habitat = landscape(seed, shape=(3, 5))

    def one_piece(after, cells):
        mask = np.zeros(habitat.shape)
        for cell in cells:
            mask[cell] = 1
        return label(mask)[1] <= 1

    found = restore(raster(habitat), budget=3, connected=True, objective=kind, dispersal_km=0.2)
    assert found.value_after == pytest.approx(brute_force(kind, habitat, 3, one_piece), rel=1e-9)
    assert found.summary["pieces"].item() == 1


CORES = np.array([[1, 0, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 0, 1, 1]], float)
WEST_AND_EAST = layer(["west", "east"], [box(0, 0), box(0, 4)])


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_named_cores_are_joined_and_no_plan_that_joins_them_is_better(kind):
    def joined(after, cells):
        pieces, _ = label(after == 1)
        return pieces[0, 0] == pieces[0, 4]

    found = restore(raster(CORES), cores=WEST_AND_EAST, budget=4, objective=kind, dispersal_km=0.2)
    assert found.value_after == pytest.approx(brute_force(kind, CORES, 4, joined), rel=1e-9)
    pieces, _ = label(found.plan.values >= 2)
    assert pieces[0, 0] == pieces[0, 4]


def test_only_the_cores_named_are_joined():
    cores = layer(["west", "east", "south"], [box(0, 0), box(0, 4), box(2, 0)])
    found = restore(raster(CORES), cores=cores, join=["west", "south"], budget=1)
    pieces, _ = label(found.plan.values >= 2)
    assert pieces[0, 0] == pieces[2, 0] != pieces[0, 4]


def test_locked_land_is_in_the_plan_and_out_of_it():
    locked_in, locked_out = np.zeros(CORES.shape), np.zeros(CORES.shape)
    locked_in[0, 2], locked_out[2, 2] = 1, 1
    found = restore(raster(CORES), locked_in=raster(locked_in), locked_out=raster(locked_out), budget=3)
    assert found.plan.values[0, 2] == 3
    assert found.plan.values[2, 2] == 0

    def lawful(after, cells):
        return (0, 2) in cells and (2, 2) not in cells

    assert found.value_after == pytest.approx(brute_force("mesh", CORES, 3, lawful))
    assert found.value_after < brute_force("mesh", CORES, 3)


def test_land_that_cannot_be_restored_is_no_candidate():
    able = np.zeros(CORES.shape)
    able[1] = 1
    found = restore(raster(CORES), restorable=raster(able), budget=2)
    assert found.value_after == pytest.approx(brute_force("mesh", CORES, 2, allowed=able > 0))
    assert set(np.unique(found.plan.values[[0, 2]])) == {0, 2}


@pytest.mark.parametrize("kind", ["mesh", "eca"])
def test_no_owner_or_municipality_gives_more_than_its_limit(kind):
    zones = layer(["left", "right"], [box(0, 0, 3, 2), box(0, 2, 3, 3)])
    limits = pd.DataFrame({"name": ["right"], "limit": [1.0]})
    found = restore(
        raster(CORES), zones=zones, limits=limits, budget=3, objective=kind, dispersal_km=0.2, time_limit=20
    )
    best = brute_force(kind, CORES, 3, lambda after, cells: sum(c >= 2 for _, c in cells) <= 1)
    assert found.value_after == pytest.approx(best, rel=1e-9)
    assert best < brute_force(kind, CORES, 3)


PARCELS = layer(["a", "b", "c"], [box(0, 1), box(1, 0, 1, 3), box(0, 2, 3, 2)], column="owner").assign(price=[5, 3, 9])
BY_PARCEL = {"a": [(0, 1)], "b": [(1, 0), (1, 1)], "c": [(0, 2), (0, 3), (1, 2), (1, 3), (2, 2)]}


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize(("budget", "unit"), [(2, "ha"), (6, "ha"), (8, "money"), (12, "money")])
def test_parcels_are_restored_whole_at_their_price(kind, budget, unit):
    price = {"a": 5, "b": 3, "c": 9} if unit == "money" else {k: len(v) for k, v in BY_PARCEL.items()}
    values = []
    for count in range(4):
        for names in itertools.combinations("abc", count):
            if sum(price[n] for n in names) <= budget:
                after = restored(CORES, [cell for n in names for cell in BY_PARCEL[n]])
                values.append(index_of(kind, after, after, 1.0, scale=scale_of(kind)))
    found = restore(
        raster(CORES), parcels=PARCELS, budget=budget, budget_unit=unit, objective=kind, dispersal_km=0.2,
        cost_column="price" if unit == "money" else None,
    )  # fmt: skip
    assert found.value_after == pytest.approx(max(values), rel=1e-9)
    assert found.cost == sum(price[PARCELS["owner"][p]] for p in found.chosen["parcel"])


def test_invalid_parcels_are_made_valid_and_told():
    whole = box(0, 0, 3, 5)
    # the same ground, its outline run through twice
    ring = list(whole.exterior.coords)
    twice = shapely.Polygon([*ring, *ring[1:]])
    assert not twice.is_valid
    plain = restore(raster(CORES), parcels=layer(["one"], [whole]), budget=15)
    with recording() as notes:
        found = restore(raster(CORES), parcels=layer(["one"], [twice]), budget=15)
    assert "1 invalid parcels made valid, first index 0" in notes[0]
    assert found.chosen["units"].tolist() == plain.chosen["units"].tolist() != []
    assert found.value_after == plain.value_after > found.value_before


def test_parcels_that_overlap_are_told_and_each_unit_goes_with_the_last():
    both = layer(["first", "second"], [box(0, 0, 3, 5), box(1, 0, 3, 5)])
    with recording() as notes:
        found = restore(raster(CORES), parcels=both, budget=9)
    shared = int((CORES[1:] == 0).sum())
    assert found.chosen.set_index("parcel").loc[1, "units"] == shared
    assert any("parcels overlap on" in note for note in notes)


def test_parcels_know_their_owners():
    limits = pd.DataFrame({"name": ["c"], "limit": [0.0]})
    found = restore(raster(CORES), parcels=PARCELS, limits=limits, limit_by="owner", budget=20)
    assert found.chosen["parcel"].tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["eca", "iic", "metapopulation_capacity"])
def test_the_best_of_several_actions_is_found_by_their_value_and_resistance(kind):
    habitat = np.array([[1, 0, 0, 1], [0, 0, 1, 0]], float)
    actions = pd.DataFrame(
        {
            "action": ["forest", "agroforestry"],
            "cost_per_ha": [3.0, 1.0],
            "habitat": [1.0, 0.25],
            "resistance_factor": [0.0, 0.5],
        }
    )
    free = [tuple(int(i) for i in c) for c in np.argwhere(habitat == 0)]
    values = []
    for choice in itertools.product([0, 1, 2], repeat=len(free)):
        if sum((0, 3, 1)[k] for k in choice) <= 5:
            after, area, resistance = habitat.copy(), habitat.copy(), np.full(habitat.shape, 4.0)
            for cell, k in zip(free, choice, strict=True):
                after[cell] = 1 if k == 1 else 0
                area[cell] = (0, 1, 0.25)[k]
                resistance[cell] = (4, 4, 2)[k]
            ground = np.full(habitat.shape, 4.0)
            values.append(index_of(kind, after, area, resistance, scale=scale_of(kind), ground=ground))
    found = restore(
        raster(habitat), resistance=raster(np.full(habitat.shape, 4.0)), actions=actions, budget=5,
        budget_unit="money", objective=kind, dispersal_km=0.2,
    )  # fmt: skip
    assert found.value_after == pytest.approx(max(values), rel=1e-9)
    assert found.cost == pytest.approx(found.chosen["action"].map({"forest": 3.0, "agroforestry": 1.0}).sum())


def test_money_is_hectares_times_the_cost_of_a_hectare():
    price = np.where(CORES == 0, 7.0, np.nan)
    price[1, 0] = 2.0
    found = restore(raster(CORES), cost=raster(price), budget=3, budget_unit="money")
    assert [tuple(c) for c in np.argwhere(found.plan.values == 3)] == [(1, 0)]
    assert found.cost == 2.0
    assert found.restored_ha == 1.0


# --- units -----------------------------------------------------------------------------------------------------


def test_units_are_habitat_by_share_and_cost_what_is_degraded():
    fine = np.zeros((4, 6))
    fine[:2, :2] = 1  # a whole unit
    fine[0, 2] = fine[1, 2] = fine[0, 3] = 1  # three of four cells
    fine[3, 4] = np.nan  # three cells of landscape, none habitat
    found = restore(raster(fine), budget=3, aggregation=2, habitat_threshold=0.7)
    # the unit of three cells costs three hectares, every other one four
    np.testing.assert_array_equal(found.plan.values, [[2, 2, 1], [1, 1, 3]])
    assert found.cost == 3
    # but it counts as a whole unit, as does A_L
    assert found.value_before == pytest.approx(8**2 / 24)
    assert found.value_after == pytest.approx((8**2 + 4**2) / 24)


@pytest.mark.parametrize(("formalism", "hectares"), [("exact", 7.0), ("restopt", 6.0)])
def test_a_share_to_reach_leaves_whole_cells_degraded(formalism, hectares):
    # 9 cells at 0.75: floor(2.25) may stay degraded; restopt lets ceil(2.25) stay
    fine = np.ones((3, 9))
    fine[:, 3:6] = 0
    found = restore(
        raster(fine), budget=9, aggregation=3, habitat_threshold=0.75, restored_share=0.75, formalism=formalism
    )
    assert found.restored_ha == pytest.approx(hectares)
    assert found.chosen["total_ha"].tolist() == pytest.approx([9.0])


def test_restopt_measures_circles_on_square_units():
    # two units of 100 m x 200 m above each other, joined over two gaps: 400 m apart, 200 m on squares
    habitat = new_raster([[1.0], [0], [1], [0], [1]], crs="EPSG:3035", cell_size=(100, 200))
    assert restore(habitat, budget=10, compact_km=0.25).summary["units"].item() == 1
    assert restore(habitat, budget=10, compact_km=0.25, formalism="restopt").summary["units"].item() == 2


def test_degrees_are_measured_on_the_ellipsoid():
    habitat = new_raster([[1.0, 0, 1]], crs="EPSG:4326", cell_size=0.01, origin=(10.0, 60.005))
    found = restore(habitat, budget=100)
    # 0.01 degree at 60 N: 0.558 km by 1.114 km
    assert found.restored_ha == pytest.approx(62.2, abs=0.1)
    assert found.value_after == pytest.approx(3 * found.restored_ha, rel=1e-9)


# --- many plans ----------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_the_portfolio_of_mesh_holds_every_optimal_plan(seed):
    habitat = landscape(seed)
    values = [mesh_of(restored(habitat, cells)) for cells in plans(habitat, 2)]
    optimal = sum(v >= max(values) * (1 - 1e-12) for v in values)
    found = restore(raster(habitat), budget=2, portfolio=400, within_percent=0)
    assert len(found.portfolio) == optimal
    assert found.frequency.max() <= 1


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_plans_of_a_portfolio_are_different_lawful_and_near_the_best(kind):
    found = restore(
        raster(landscape(8, shape=(6, 7))), budget=3, objective=kind, dispersal_km=0.2, portfolio=5,
        within_percent=30, time_limit=2,
    )  # fmt: skip
    table = found.portfolio
    assert table["value"].iloc[0] == pytest.approx(found.value_after)
    assert (table["gain"] >= 0.7 * table["gain"].iloc[0] * (1 - 1e-9)).all()
    assert (table["cost"] <= 3).all()
    assert float(found.frequency.sum()) == pytest.approx(table["chosen"].mean())


# --- larger problems: honest gaps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_a_plan_without_a_proof_tells_its_gap(kind):
    habitat = landscape(4, shape=(14, 14), habitat=0.35, holes=0)
    with recording() as notes:
        found = restore(raster(habitat), budget=12, objective=kind, dispersal_km=0.3, time_limit=1)
    row = found.summary.iloc[0]
    assert row["bound"] >= row["value"] > found.value_before
    if row["status"] != "optimal":
        assert row["status"].startswith("gap ")
        assert found.gap_percent == pytest.approx(100 * (row["bound"] / row["value"] - 1))
    assert any(row["status"] in n for n in notes)


def test_greedy_with_ways_between_patches_closes_a_gap_that_single_cells_do_not():
    habitat = np.zeros((9, 30))
    habitat[:, :8] = habitat[:, 13:22] = 1
    problem = problem_of(habitat, 5.0)
    objective = Mesh(problem)
    plan = Planner(problem, objective, 3.0, 1).best(5.0)
    # five cells in a row join 72 and 81 cells, which no plan of five cells can better
    assert plan.value == pytest.approx((72 + 81 + 5) ** 2 / 270)


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_budget_that_buys_nothing_is_refused():
    with pytest.raises(LinkwaysError, match=r"a budget of 0\.5 ha buys nothing, as the cheapest option costs 1"):
        restore(raster(CORES), budget=0.5)


def test_rules_under_which_a_budget_buys_nothing_are_refused():
    limits = pd.DataFrame({"name": ["all"], "limit": [0.0]})
    with pytest.raises(LinkwaysError, match="buys nothing that improves"):
        restore(raster(CORES), zones=layer(["all"], [box(0, 0, 3, 5)]), limits=limits, budget=2)


def test_cores_that_no_candidates_join_are_refused():
    closed = np.zeros(CORES.shape)
    closed[:, 2] = 1
    with pytest.raises(LinkwaysError, match="the cores cannot be joined even if everything"):
        restore(raster(CORES), cores=WEST_AND_EAST, locked_out=raster(closed), budget=9)


def test_a_budget_too_small_to_join_the_cores_is_refused():
    with pytest.raises(LinkwaysError, match=r"no plan within a budget of 2 keeps all rules"):
        restore(raster(CORES), cores=WEST_AND_EAST, budget=2)


def test_rasters_without_crs_are_refused():
    with pytest.raises(LinkwaysError, match="habitat has no CRS"):
        restore(raster(CORES).drop_vars("spatial_ref"), budget=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"habitat": raster(CORES * 0.5)}, r"habitat must hold 1 .* first 0\.5 at row 0 column 0"),
        ({"habitat": raster(CORES * np.nan)}, "habitat is nodata everywhere"),
        ({"locked_out": raster(CORES * 0 + 1)}, "no unit may be restored"),
        ({"locked_in": raster(1 - CORES), "locked_out": raster(1 - CORES)}, "locked in but may not be restored"),
        ({"locked_in": raster(1 - CORES)}, "what is locked in costs 9 ha and the budget is 1"),
        ({"budget_unit": "money"}, "a budget in money needs costs"),
        ({"cost": raster(CORES - 1), "budget_unit": "money"}, "cost is negative"),
        ({"cost": raster(CORES)}, "cost counts only where the budget is money"),
        ({"parcels": PARCELS, "cost_column": "price"}, "cost_column counts only where the budget is money"),
        ({"cost_column": "price", "budget_unit": "money"}, "no parcels are given"),
        (
            {"parcels": PARCELS, "cost_column": "prize", "budget_unit": "money"},
            r"no column 'prize' \(did you mean 'price'\?\)",
        ),
        ({"budgets": [-1.0]}, "budgets is -1 but must be > 0"),
        (
            {"habitat": new_raster(CORES, crs="EPSG:3035", cell_size=0.01, origin=(10, 50))},
            "cells of 0.01 units in a CRS in metres .* look like degrees",
        ),
        ({"parcels": layer(["x"], [box(50, 50)])}, "no parcel holds the centre"),
        ({"join": ["west"]}, "no cores are given"),
        ({"cores": WEST_AND_EAST, "join": ["wset", "east"]}, r"'wset', which is no core \(did you mean 'west'\?\)"),
        ({"cores": WEST_AND_EAST, "join": ["east"]}, "joining needs two cores"),
        ({"cores": layer(["a", "b"], [box(0, 0), box(1, 1)])}, "core 'b' holds no unit of habitat"),
        ({"limits": pd.DataFrame({"name": ["a"], "limit": [1.0]})}, "limits need zones or parcels"),
        (
            {"limits": pd.DataFrame({"name": ["z"], "limit": [1.0]}), "zones": layer(["all"], [box(0, 0, 3, 5)])},
            "limits names 'z', which holds no unit",
        ),
        (
            {"limits": pd.DataFrame({"name": ["all"], "limit": [-1.0]}), "zones": layer(["all"], [box(0, 0, 3, 5)])},
            "limits must be numbers of 0 or more",
        ),
        ({"resistance": raster(np.where(CORES == 1, 1, np.nan))}, "resistance has no value in 9 units"),
        (
            {
                "actions": pd.DataFrame(
                    {"action": ["a"], "cost_per_ha": [1], "habitat": [0.2], "resistance_factor": [0.5]}
                )
            },
            "no action gives land a habitat value",
        ),
        (
            {
                "actions": pd.DataFrame(
                    {"action": ["a"], "cost_per_ha": [1], "habitat": [2], "resistance_factor": [0.5]}
                )
            },
            "row 0 of actions",
        ),
        (
            {
                "actions": pd.DataFrame(
                    {"action": ["a", "a"], "cost_per_ha": 1.0, "habitat": 1.0, "resistance_factor": [0.0, 0.5]}
                )
            },
            "actions names 'a' twice",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(arguments, message):
    with pytest.raises(LinkwaysError, match=message):
        restore(**({"habitat": raster(CORES), "budget": 1} | arguments))
