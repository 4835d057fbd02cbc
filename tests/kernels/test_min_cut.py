"""Minimum cuts beside every selection tried by hand, and beside SciPy's maximum flow."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import maximum_flow

from linkways.kernels.min_cut import cut_graph, cut_value, min_cut


def cost(unary, a, b, up, down, x):
    """The definition, pair by pair."""
    apart = x[a] - x[b]
    return unary @ x + up @ np.maximum(apart, 0) + down @ np.maximum(-apart, 0)


@st.composite
def pictures(draw):
    """Up to eight nodes, pairs told more than once or of no weight among them."""
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    n, pairs = int(random.integers(2, 9)), int(random.integers(0, 16))
    a = random.integers(0, n, pairs)
    b = (a + random.integers(1, n, pairs)) % n
    up, down = (random.uniform(0, 1, pairs) * (random.random(pairs) < 0.7) for _ in range(2))
    if draw(st.booleans()):  # whole numbers: many cuts of the same cost
        up, down = np.rint(3 * up), np.rint(3 * down)
        return np.rint(2 * random.normal(size=n)), a, b, up, down
    return random.normal(size=n), a, b, up, down


def least(picture):
    unary = picture[0]
    return min(cost(*picture, np.array(x, float)) for x in itertools.product((0, 1), repeat=len(unary)))


@given(picture=pictures())
@settings(deadline=None, max_examples=200)
def test_no_selection_costs_less_than_the_cut(picture):
    unary, *pairs = picture
    found = min_cut(cut_graph(len(unary), *pairs), unary)
    assert found.value == pytest.approx(least(picture), abs=1e-12)
    assert found.bound == pytest.approx(found.value, abs=1e-12)
    assert found.value == pytest.approx(cost(*picture, found.selected.astype(float)), abs=1e-12)


@given(picture=pictures(), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=100)
def test_the_flow_of_another_cut_is_as_good_a_start_as_none(picture, seed):
    unary, *pairs = picture
    graph = cut_graph(len(unary), *pairs)
    moved = unary + np.random.default_rng(seed).normal(size=len(unary))
    first = min_cut(graph, unary)
    kept = first.spare.copy()
    found = min_cut(graph, moved, first.spare)
    assert found.value == pytest.approx(least((moved, *pairs)), abs=1e-12)
    assert found.bound == pytest.approx(found.value, abs=1e-12)
    assert (first.spare == kept).all()


@given(picture=pictures())
@settings(deadline=None, max_examples=60)
def test_reduced_costs_tell_what_turning_a_node_costs_at_least(picture):
    unary, *pairs = picture
    n = len(unary)
    found = min_cut(cut_graph(n, *pairs), unary)
    for x in itertools.product((0, 1), repeat=n):
        x = np.array(x, float)
        extra = np.where(x == 1, np.maximum(found.reduced, 0), np.maximum(-found.reduced, 0)).sum()
        assert cost(*picture, x) >= found.bound + extra - 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_the_cut_of_a_grid_is_the_maximum_flow_of_scipy(seed):
    """SciPy's flow (Dinic) has whole capacities, so these are whole numbers."""
    random, side = np.random.default_rng(seed), 40
    cell = np.arange(side * side).reshape(side, side)
    a, b = np.r_[cell[:, :-1].ravel(), cell[:-1].ravel()], np.r_[cell[:, 1:].ravel(), cell[1:].ravel()]
    up, down = random.integers(0, 12, len(a)), random.integers(0, 12, len(a))
    unary = random.integers(-20, 21, side * side)
    source, sink = side * side, side * side + 1
    chosen, refused = np.flatnonzero(unary < 0), np.flatnonzero(unary > 0)
    arcs = sp.csr_array(
        (
            np.r_[up, down, -unary[chosen], unary[refused]].astype(np.int32),
            (
                np.r_[a, b, np.full(len(chosen), source), refused],
                np.r_[b, a, chosen, np.full(len(refused), sink)],
            ),
        ),
        shape=(side * side + 2,) * 2,
    )
    flow = maximum_flow(arcs, source, sink).flow_value
    found = min_cut(cut_graph(side * side, a, b, up, down), unary.astype(float))
    assert found.value == unary[chosen].sum() + flow
    assert found.bound == found.value
    assert 0 < found.selected.sum() < side * side


def test_of_cuts_that_cost_the_same_the_smallest_is_found():
    graph = cut_graph(3, np.array([0, 1]), np.array([1, 2]), np.ones(2), np.ones(2))
    assert not min_cut(graph, np.zeros(3)).selected.any()
    assert min_cut(graph, np.array([-1.0, 0.0, 1.0])).value == 0.0


def test_nodes_without_pairs_are_selected_where_that_saves():
    none = np.zeros(0, int)
    unary = np.array([-2.0, 0.5, 0.0, -1e-9])
    found = min_cut(cut_graph(4, none, none, none, none), unary)
    assert found.selected.tolist() == [True, False, False, True]
    assert found.value == found.bound == -2.0 - 1e-9


def test_the_cost_of_a_selection_counts_each_pair_in_its_direction():
    graph = cut_graph(2, np.array([0]), np.array([1]), np.array([5.0]), np.array([3.0]))
    assert cut_value(graph, np.array([1.0, 10.0]), np.array([True, False])) == 6.0
    assert cut_value(graph, np.array([1.0, 10.0]), np.array([False, True])) == 13.0
    assert cut_value(graph, np.array([1.0, 10.0]), np.array([True, True])) == 11.0
