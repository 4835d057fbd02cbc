"""Rates of two landscapes can be compared when they are tied to one distance."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkways import populations
from linkways.errors import LinkwaysError

TWO = pd.DataFrame({"population": ["west", "east"], "node": [1, 2]})


def pair(resistance: float) -> pd.DataFrame:
    return pd.DataFrame({"node_a": [1], "node_b": [2], "resistance": [resistance]})


def rate(resistance: float, **given_: float | str) -> float:
    found = populations.dispersal_rates(TWO, pair(resistance), column="resistance", **given_)
    assert found["source"].tolist() == ["west", "east"]
    assert (found["rate"] == found["rate"].iloc[0]).all()
    return float(found["rate"].iloc[0])


@given(st.floats(0.5, 50), st.floats(0.5, 50))
def test_twice_the_resistance_lets_half_as_many_through(resistance: float, at: float) -> None:
    found = rate(resistance, rule="conductance", total=0.01, at=at)
    assert found == pytest.approx(0.01 * at / resistance)


def test_at_its_own_distance_a_pair_exchanges_the_total() -> None:
    assert rate(3.0, rule="conductance", total=0.02, at=3.0) == pytest.approx(0.02)
    assert rate(3.0, rule="exponential", total=0.02, at=3.0, mean_distance=2.0) == pytest.approx(0.02)
    assert rate(5.0, rule="exponential", total=0.02, at=3.0, mean_distance=2.0) == pytest.approx(0.02 * np.exp(-1))


def test_without_it_two_populations_exchange_the_same_whatever_lies_between() -> None:
    assert rate(1.0, rule="conductance", total=0.01) == rate(100.0, rule="conductance", total=0.01)


def test_more_than_all_is_refused() -> None:
    with pytest.raises(LinkwaysError, match="would leave, more than all"):
        rate(0.001, rule="conductance", total=0.5, at=1.0)


def test_a_node_that_no_population_has_is_named() -> None:
    apart = pair(1.0).assign(node_b=3)
    with pytest.raises(LinkwaysError, match="node_b '3'"):
        populations.dispersal_rates(TWO, apart, column="resistance", rule="conductance", total=0.01)
