"""The problem as arrays: what a selection is worth, its pair terms, and what it says of itself."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from linkways.errors import LinkwaysError
from linkways.planning._problem import Pairs, Problem, Rows, check_problem
from linkways.planning._select_program import duality_bound, program_of, solve


def problem(**changes):
    """Marxan's two neighbours: an edge of 30 between units 0 and 1, 20 and 0 around."""
    rows = Rows((), sp.csr_array((0, 3)), np.zeros(0), np.zeros(0))
    own = Problem(
        "min_set",
        np.array(["a", "b", "c"]),
        np.array([1.0, 2.0, 3.0]),
        np.array(["frog"]),
        sp.csr_array(np.array([[1.0, 2.0, 3.0]])),
        np.array([3.0]),
        np.array([6.0]),
        np.ones(1),
        np.zeros(3, bool),
        np.zeros(3, bool),
        rows,
        boundary=Pairs(np.array([0]), np.array([1]), np.array([30.0])),
        exposed=np.array([20.0, 0.0, 5.0]),
        boundary_penalty=1.0,
    )
    return replace(own, **changes)


def test_the_boundary_of_one_of_two_neighbours_and_of_both():
    """Marxan's test of ConnectionCost2: 50 alone; its neighbour, beside it, changes the edge by 50 - 30 = 20 less."""
    alone, both = np.array([1.0, 0.0, 0.0]), np.array([1.0, 1.0, 0.0])
    assert problem().boundary_length(alone) == 50
    assert problem().boundary_length(both) == 20
    assert problem(boundary_penalty=15.0).penalty(alone) == 750
    assert problem(edge_factor=0.5).boundary_length(alone) == 40


@given(
    strength=st.lists(st.integers(-3, 3), min_size=3, max_size=3),
    asymmetric=st.booleans(),
    bits=st.tuples(*[st.booleans()] * 3),
)
def test_pair_terms_are_the_penalty(strength, asymmetric, bits):
    links = Pairs(np.array([0, 0, 1]), np.array([1, 2, 2]), np.array(strength, float))
    if asymmetric:
        links = Pairs(np.array([1, 0, 2]), np.array([0, 2, 1]), links.value)
    own = problem(connectivity=links, connectivity_penalty=0.5, asymmetric=asymmetric)
    x, terms = np.array(bits, float), own.pair_terms()
    step = x[terms.a] - x[terms.b]
    total = terms.unary @ x + terms.up @ np.clip(step, 0, None) + terms.down @ np.clip(-step, 0, None)
    total += terms.joint.value @ (x[terms.joint.a] * x[terms.joint.b])
    if asymmetric:
        by_hand = sum(s * x[a] * (1 - x[b]) for a, b, s in zip(links.a, links.b, links.value, strict=True))
    else:
        by_hand = -sum(s * x[a] * x[b] for a, b, s in zip(links.a, links.b, links.value, strict=True))
    assert total == pytest.approx(0.5 * by_hand + own.boundary_length(x))
    assert (terms.up >= 0).all()
    assert (terms.down >= 0).all()
    assert own.cuttable == (len(terms.joint) == 0)


def test_the_bound_by_duality_is_the_relaxation_and_never_above_the_optimum():
    program = program_of(problem(boundary_penalty=0.0))
    # the cheapest per frog costs 1 each, so 3 of them cost 3
    assert duality_bound(program, 10.0) == pytest.approx(3.0)
    assert solve(program, 10.0, 0.0).bound == pytest.approx(3.0)


def test_a_bound_without_prices_is_still_a_bound():
    program = program_of(problem())
    assert duality_bound(program, 1e-9) <= 3.0 + 20 + 1e-9


def test_numbers_too_far_apart_are_told():
    notes = check_problem(problem(costs=np.array([1e-6, 1.0, 1e6]), boundary_penalty=0.0), "planning.select")
    assert len(notes) == 1
    assert "costs lie 1e+12 times apart" in notes[0]
    amounts = sp.csr_array(np.array([[1e-8, 2.0, 3e3]]))
    assert "amounts of frog" in check_problem(problem(amounts=amounts), "planning.select")[0]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"costs": np.array([1.0, np.nan, 1.0])}, r"1 units have no finite cost \(b\)"),
        ({"costs": np.array([1.0, -1.0, 1.0])}, r"cost below 0 \(b\)"),
        (
            {"amounts": sp.csr_array(np.array([[1.0, np.nan, 3.0]]))},
            "1 amounts are not finite numbers, .* frog in unit b",
        ),
        ({"amounts": sp.csr_array((1, 3))}, r"present in no unit \(frog\)"),
        ({"targets": np.array([7.0])}, r"above what exists \(frog 7 of 6\)"),
        ({"locked_out": np.array([True, False, True])}, r"above what may be selected.* \(frog 3 of 2\)"),
    ],
)
def test_problems_that_cannot_be_meant_are_refused(changes, match):
    with pytest.raises(LinkwaysError, match=match):
        check_problem(problem(**changes), "planning.select")
