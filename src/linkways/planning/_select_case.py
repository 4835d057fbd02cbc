"""A selection problem from what a method was given, for the methods that solve several of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from linkways.errors import LinkwaysError
from linkways.planning import _select_inputs as given
from linkways.planning._problem import Objective, Problem, check_problem
from linkways.spatial import note

if TYPE_CHECKING:
    from linkways.planning._select_inputs import Units

__all__ = ["BUDGETED", "Demands", "case_of", "retold"]

BUDGETED = ("min_shortfall", "min_largest_shortfall", "max_features", "max_coverage", "max_utility")
USUAL = given.LogLinear()
NO_TARGETS = ("max_utility", "max_coverage")


@contextmanager
def retold(method: str, where: str = "") -> Iterator[None]:
    """Refusals of planning.select's readers and solvers, told as another method's, and of which of its cases."""
    try:
        yield
    except LinkwaysError as error:
        raise LinkwaysError(str(error).replace(f"{given.ID}: ", f"{method}: {where}")) from None


@dataclass(frozen=True)
class Demands:
    """What a plan must do, beside its units and features: the objective, targets, budgets and constraints."""

    objective: Objective
    targets: Any = None
    target: float | None = None
    budget: float | None = None
    budgets: Any = None
    constraints: Any = None
    negative_costs: bool = False
    loglinear: given.LogLinear = USUAL
    """shares of log-linear targets"""
    group_share: float | None = None
    """most that a group may bear of the plan's cost"""


def case_of(units: "Units", features: Any, amounts: Any, wanted: Demands, **penalties: Any) -> Problem:
    """The problem of units and features, checked; ``penalties`` are further fields of it.

    Raises LinkwaysError as planning.select does, in its name; see `retold`.
    """
    import numpy as np

    needed = wanted.objective not in NO_TARGETS
    if wanted.objective in BUDGETED and wanted.budget is None and wanted.budgets is None and wanted.constraints is None:
        raise LinkwaysError(f"{given.ID}: {wanted.objective} needs a budget (or budgets of groups, or constraints)")
    if not needed and wanted.target is not None:
        raise LinkwaysError(
            f"{given.ID}: {wanted.objective} knows no targets; leave target out, or choose max_features"
        )
    found = given.amounts_of(units, features, amounts, wanted.targets)
    goals, weights = given.targets_of(found, wanted.targets, wanted.target, wanted.loglinear, needed)
    if not needed and wanted.targets is not None and "target" in wanted.targets.columns:
        note(f"{given.ID}: {wanted.objective} uses the features and weights of targets, and none of its targets")
    if wanted.objective == "max_coverage":
        goals = np.ones(len(found.features))
    problem = Problem(
        wanted.objective,
        units.names,
        units.costs,
        found.features,
        found.matrix,
        goals,
        found.totals,
        weights,
        units.locked_in,
        units.locked_out,
        given.rows_of(units, found, wanted.budget, wanted.budgets, wanted.constraints, wanted.group_share),
        **penalties,
    )
    for sentence in check_problem(problem, given.ID, negative_costs=wanted.negative_costs):
        note(f"{given.ID}: {sentence}")
    return problem
