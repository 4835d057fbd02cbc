"""The systematic selection problem as flat arrays, and the checks it makes of itself before it is solved."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["Decision", "Objective", "PairTerms", "Pairs", "Problem", "Rows", "check_problem", "named"]

Objective = Literal["min_set", "min_shortfall", "min_largest_shortfall", "max_features", "max_coverage", "max_utility"]
Decision = Literal["binary", "proportion", "semicontinuous"]

MAXIMISED = ("max_features", "max_coverage", "max_utility")
CUTTABLE = ("min_set", "min_shortfall", "max_utility")
MET = 1e-6  # a target counts as met when all but so small a share of it is held
WIDE = 1e9  # numbers of one kind that lie farther apart than this trouble a solver that works to 1e-7 or so


def _no_numbers() -> np.ndarray:
    return np.zeros(0)


def _no_indices() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Pairs:
    """Pairs of units with a number each, as flat arrays: shared edges, or strengths of connectivity.

    Undirected pairs are listed once, the lower index in ``a``; directed ones lead from ``a`` to ``b``.
    """

    a: np.ndarray = field(default_factory=_no_indices)
    b: np.ndarray = field(default_factory=_no_indices)
    value: np.ndarray = field(default_factory=_no_numbers)

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True)
class Rows:
    """Linear constraints ``lower <= matrix x <= upper``, each with a name that a planner would call it by."""

    names: tuple[str, ...]
    matrix: "sp.csr_array"
    """(rows, n)"""
    lower: np.ndarray
    upper: np.ndarray

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class PairTerms:
    """Penalties as ``unary x + sum up max(0, x_a - x_b) + sum down max(0, x_b - x_a) + sum joint x_a x_b``.

    Each pair (a < b) is listed once; up, down and joint.value are above 0 or 0. Without joint pairs this is a cut
    function of a directed graph.
    """

    unary: np.ndarray
    a: np.ndarray
    b: np.ndarray
    up: np.ndarray
    down: np.ndarray
    joint: Pairs


def _merged(n: int, unary: np.ndarray, parts: tuple[list[np.ndarray], ...], joint: Pairs) -> PairTerms:
    a, b, up, down = (np.concatenate(p) if p else np.zeros(0) for p in parts)
    low, high = np.minimum(a, b).astype(np.int64), np.maximum(a, b).astype(np.int64)
    keys, place = np.unique(low * n + high, return_inverse=True)
    forward, backward = np.where(a < b, up, down), np.where(a < b, down, up)
    return PairTerms(
        unary,
        keys // n,
        keys % n,
        np.bincount(place, forward, len(keys)),
        np.bincount(place, backward, len(keys)),
        joint,
    )


@dataclass(frozen=True)
class Problem:
    """Which of n planning units to select, for m features.

    With x_i in {0, 1} (or a share), the costs c, the amounts r (m, n), the targets T and the weights w of features:

    - min_set: least ``c x`` with ``r_j x >= T_j`` for all j.
    - min_shortfall: least ``sum_j w_j max(0, 1 - r_j x / T_j)`` over the features with ``T_j > 0``.
    - min_largest_shortfall: least ``max_j w_j max(0, 1 - r_j x / T_j)``.
    - max_features: most ``sum_j w_j [r_j x >= T_j]``; max_coverage is the same with every target 1.
    - max_utility: most ``sum_j w_j r_j x``.

    Penalties are added where least is best and subtracted where most is:

    - boundary: ``p (E sum_i exposed_i x_i + sum_ij length_ij |x_i - x_j|)``, the edge outside of all units counted with
      the edge factor E.
    - connectivity, symmetric: ``-p sum_{i<j} s_ij x_i x_j``; asymmetric, s_ij from i to j:
      ``p sum_ij s_ij x_i (1 - x_j)``. Where units may be selected in part, the smaller of two shares stands for their
      product, and max(0, x_i - x_j) for x_i (1 - x_j).

    Locked units have x = 1 or 0. A budget is one of ``rows``.
    """

    objective: Objective
    units: np.ndarray
    """(n,) names"""
    costs: np.ndarray
    """(n,)"""
    features: np.ndarray
    """(m,) names"""
    amounts: "sp.csr_array"
    """(m, n)"""
    targets: np.ndarray
    """(m,) absolute, 0 where a feature has none"""
    totals: np.ndarray
    """(m,) what exists of each feature, in places that are no planning units too"""
    weights: np.ndarray
    """(m,)"""
    locked_in: np.ndarray
    """(n,) bool"""
    locked_out: np.ndarray
    """(n,) bool"""
    rows: Rows
    boundary: Pairs = field(default_factory=Pairs)
    exposed: np.ndarray = field(default_factory=_no_numbers)
    """(n,) edge shared with no other unit, in the unit of the boundary; empty where the problem has no boundary"""
    boundary_penalty: float = 0.0
    edge_factor: float = 1.0
    connectivity: Pairs = field(default_factory=Pairs)
    connectivity_penalty: float = 0.0
    asymmetric: bool = False
    neighbours: int = 0
    """A selected unit has at least so many selected neighbours (units that share an edge with it)."""
    contiguous: bool = False
    """Selected units form one piece by shared edges."""
    decision: Decision = "binary"
    least_share: float = 0.0
    most_share: float = 1.0

    @property
    def n(self) -> int:
        """How many planning units."""
        return len(self.costs)

    @property
    def m(self) -> int:
        """How many features."""
        return len(self.features)

    @property
    def maximised(self) -> bool:
        """Whether most is best."""
        return self.objective in MAXIMISED

    @property
    def cuttable(self) -> bool:
        """Whether it is a cut once its targets and constraints have prices: whole units, an objective that adds up over
        units and shortfalls, and penalties that are cut functions of a graph (those of shared edges, and connectivity
        that is nowhere negative)."""
        return (
            self.objective in CUTTABLE
            and self.decision == "binary"
            and not self.neighbours
            and not self.contiguous
            and (
                self.connectivity_penalty == 0 or bool((self.connectivity_penalty * self.connectivity.value >= 0).all())
            )
            and self.boundary_penalty >= 0
        )

    def pair_terms(self) -> "PairTerms":
        """The penalties as costs of single units and of pairs; see `PairTerms`."""
        unary, a, b, up, down = np.zeros(self.n), [], [], [], []
        joint = Pairs()
        if self.boundary_penalty:
            unary += self.boundary_penalty * self.edge_factor * self.exposed
            edges = self.boundary
            a, b = [edges.a], [edges.b]
            up = [self.boundary_penalty * edges.value]
            down = [self.boundary_penalty * edges.value]
        if self.connectivity_penalty and len(self.connectivity):
            links, cost = self.connectivity, self.connectivity_penalty * self.connectivity.value
            good, bad = cost > 0, cost < 0
            if self.asymmetric:
                np.add.at(unary, links.a[bad], cost[bad])
                up, down = [*up, cost[good]], [*down, np.zeros(int(good.sum()))]
            else:
                for end in (links.a, links.b):
                    np.add.at(unary, end[good], -cost[good] / 2)
                up, down = [*up, cost[good] / 2], [*down, cost[good] / 2]
            a, b = [*a, links.a[good]], [*b, links.b[good]]
            joint = Pairs(links.a[bad], links.b[bad], -cost[bad])
        return _merged(self.n, unary, (a, b, up, down), joint)

    def adjacent(self) -> tuple[np.ndarray, np.ndarray]:
        """Units that share an edge, each pair once."""
        share = self.boundary.value > 0
        return self.boundary.a[share], self.boundary.b[share]

    def held(self, x: np.ndarray) -> np.ndarray:
        """(m,) amount of each feature that a selection holds."""
        return np.asarray(self.amounts @ x, dtype=float)

    def shortfall(self, x: np.ndarray) -> np.ndarray:
        """(m,) share of each target that a selection misses, 0 where it is met or there is none."""
        held = self.held(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            missed = 1.0 - held / self.targets
        missed = np.where(self.targets > 0, np.clip(missed, 0.0, None), 0.0)
        return np.where(missed <= MET, 0.0, missed)

    def boundary_length(self, x: np.ndarray) -> float:
        """Length of the selection's edge, the part outside of all units counted with the edge factor."""
        pairs = self.boundary
        inner = float(pairs.value @ np.abs(x[pairs.a] - x[pairs.b])) if len(pairs) else 0.0
        outer = float(self.exposed @ x) if len(self.exposed) else 0.0
        return inner + self.edge_factor * outer

    def connectivity_held(self, x: np.ndarray) -> float:
        """Sum of the strengths between selected units."""
        links = self.connectivity
        return float(links.value @ np.minimum(x[links.a], x[links.b])) if len(links) else 0.0

    def penalty(self, x: np.ndarray) -> float:
        """What boundary and connectivity add to the objective."""
        total = self.boundary_penalty * self.boundary_length(x) if self.boundary_penalty else 0.0
        if self.connectivity_penalty and len(self.connectivity):
            links = self.connectivity
            if self.asymmetric:
                total += self.connectivity_penalty * float(links.value @ np.clip(x[links.a] - x[links.b], 0.0, None))
            else:
                total -= self.connectivity_penalty * self.connectivity_held(x)
        return total

    def value(self, x: np.ndarray) -> float:
        """The objective of a selection, penalties and all, computed anew from the arrays."""
        match self.objective:
            case "min_set":
                own = float(self.costs @ x)
            case "min_shortfall":
                own = float(self.weights @ self.shortfall(x))
            case "min_largest_shortfall":
                own = float((self.weights * self.shortfall(x)).max(initial=0.0))
            case "max_utility":
                own = float(self.weights @ self.held(x))
            case _:
                own = float(self.weights[(self.targets > 0) & (self.shortfall(x) == 0.0)].sum())
        return own - self.penalty(x) if self.maximised else own + self.penalty(x)


def named(names: Sequence[Any] | np.ndarray, most: int = 6) -> str:
    """The names in a sentence, the first few where there are many."""
    shown = ", ".join(str(n) for n in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def check_problem(problem: Problem, method: str, *, negative_costs: bool = False) -> list[str]:
    """Refuse a problem that cannot be meant, in plain words; return what one should know of the rest, a sentence each.

    Raises LinkwaysError for costs and amounts that are not numbers, negative costs without permission, units locked in
    and out, features that are nowhere present, targets above what exists, and (in a minimum set) targets above what may
    be selected.
    """
    _check_costs(problem, method, negative_costs)
    _check_amounts(problem, method)
    _check_locks(problem, method)
    _check_targets(problem, method)
    return _scaling(problem)


def _check_costs(problem: Problem, method: str, negative_costs: bool) -> None:
    wrong = np.flatnonzero(~np.isfinite(problem.costs))
    if len(wrong):
        raise LinkwaysError(
            f"{method}: {len(wrong)} units have no finite cost ({named(problem.units[wrong])}); give them one or leave "
            "them out"
        )
    below = np.flatnonzero(problem.costs < 0)
    if len(below) and not negative_costs:
        raise LinkwaysError(
            f"{method}: {len(below)} units have a cost below 0 ({named(problem.units[below])}), which makes selecting "
            "them a gain; mend them, or allow it with negative_costs"
        )


def _check_amounts(problem: Problem, method: str) -> None:
    data = problem.amounts.data
    if not np.isfinite(data).all():
        wrong = np.flatnonzero(~np.isfinite(data))
        row = int(np.searchsorted(problem.amounts.indptr, wrong[0], side="right")) - 1
        unit = problem.units[problem.amounts.indices[wrong[0]]]
        raise LinkwaysError(
            f"{method}: {len(wrong)} amounts are not finite numbers, first that of {problem.features[row]} in unit "
            f"{unit}; write 0 where a feature is absent"
        )
    if (data < 0).any():
        first = int(np.flatnonzero(data < 0)[0])
        row = int(np.searchsorted(problem.amounts.indptr, first, side="right")) - 1
        unit = problem.units[problem.amounts.indices[first]]
        raise LinkwaysError(
            f"{method}: {int((data < 0).sum())} amounts are below 0, first that of {problem.features[row]} in unit "
            f"{unit}; amounts are how much of a feature there is, so 0 or more"
        )
    total = np.asarray(problem.amounts.sum(axis=1)).ravel()
    absent = np.flatnonzero(total <= 0)
    if len(absent):
        raise LinkwaysError(
            f"{method}: {len(absent)} features are present in no unit ({named(problem.features[absent])}); leave them "
            "out or check the names of features and units"
        )


def _check_locks(problem: Problem, method: str) -> None:
    both = np.flatnonzero(problem.locked_in & problem.locked_out)
    if len(both):
        raise LinkwaysError(
            f"{method}: {len(both)} units are locked in and locked out ({named(problem.units[both])}); keep one of the "
            "two"
        )


def _check_targets(problem: Problem, method: str) -> None:
    total = problem.totals
    slack = 1e-9 * np.abs(problem.targets)
    above = np.flatnonzero(problem.targets > total + slack)
    if len(above):
        listed = [f"{problem.features[j]} {problem.targets[j]:.6g} of {total[j]:.6g}" for j in above]
        raise LinkwaysError(
            f"{method}: {len(above)} targets are above what exists ({named(listed)}); lower them or add units"
        )
    if problem.objective != "min_set":
        return
    most = np.where(problem.locked_out, 0.0, np.where(problem.locked_in, 1.0, problem.most_share))
    free = problem.held(most)
    above = np.flatnonzero(problem.targets > free + slack)
    if len(above):
        listed = [f"{problem.features[j]} {problem.targets[j]:.6g} of {free[j]:.6g}" for j in above]
        raise LinkwaysError(
            f"{method}: {len(above)} targets are above what may be selected, as units are locked out or selected in "
            f"part only ({named(listed)}); lower them, open units, or choose min_shortfall"
        )


def _scaling(problem: Problem) -> list[str]:
    """Sentences about numbers that lie so far apart that a solver will struggle."""
    notes = []
    for what, values in (
        ("costs", problem.costs),
        ("boundary lengths", problem.boundary.value if problem.boundary_penalty else np.zeros(0)),
        ("connectivity strengths", problem.connectivity.value if problem.connectivity_penalty else np.zeros(0)),
    ):
        if (spread := _spread(values)) > WIDE:
            notes.append(
                f"{what} lie {spread:.0e} times apart, so that the smallest are lost in the solver's tolerance; "
                "bring them closer together"
            )
    wide = [
        str(problem.features[j])
        for j in range(problem.m)
        if _spread(problem.amounts.data[problem.amounts.indptr[j] : problem.amounts.indptr[j + 1]]) > WIDE
    ]
    if wide:
        notes.append(
            f"the amounts of {named(wide)} lie more than {WIDE:.0e} times apart; set the smallest to 0 or round them"
        )
    return notes


def _spread(values: np.ndarray) -> float:
    size = np.abs(values[values != 0])
    return float(size.max() / size.min()) if len(size) else 1.0
