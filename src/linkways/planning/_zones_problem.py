"""The zoning problem as flat arrays: a zone, or none, for every planning unit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from linkways.planning._annealing import Landscape, Lines, Links
from linkways.planning._problem import MET, Pairs, Rows

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["Ban", "Buffer", "Goals", "ZoneObjective", "ZoneProblem", "landscape_of_zones"]

ZoneObjective = Literal["min_set", "min_shortfall", "min_largest_shortfall", "max_features"]
SHARPNESS, GUIDE = 4.0, 0.3


@dataclass(frozen=True)
class Goals:
    """Targets: what is wanted of a feature in some zones, as sums over units and zones.

    A target of the sense ``>=`` is met when all but a millionth is held; one of the sense ``<=`` is a limit that must
    hold. In a minimum set targets must be met, but for those with a finite ``price``: what a wholly missed one costs.
    """

    names: tuple[str, ...]
    """as a planner would call them"""
    feature: np.ndarray
    """(t,) place of the feature"""
    zone: tuple[str, ...]
    """the zone, the zones joined by +, or all"""
    matrix: "sp.csr_array"
    """(t, n K): unit i in choice k is column i K + k"""
    most: np.ndarray
    """(t,) bool, sense <="""
    target: np.ndarray
    weight: np.ndarray
    price: np.ndarray
    """(t,) inf: must be met"""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def aimed(self) -> np.ndarray:
        """Targets that ask for something."""
        return ~self.most & (self.target > 0)


@dataclass(frozen=True)
class Buffer:
    """A zone that needs others around it: beside each of its units, only units in choices that are ``around``."""

    name: str
    pairs: Pairs
    choice: int
    around: np.ndarray
    """(K,) bool, its own choice among them"""


@dataclass(frozen=True)
class Ban:
    """Choices that units may not have, and why."""

    name: str
    units: np.ndarray
    choices: np.ndarray


@dataclass(frozen=True)
class ZoneProblem:
    """Which choice each of n units gets: 0 for no zone, 1 to Z for the zones (K = Z + 1 choices).

    - min_set: least cost, with all targets held (or, where they have prices, cost and price of what is missed).
    - min_shortfall: least ``sum_t w_t max(0, 1 - held_t / T_t)``.
    - min_largest_shortfall: least ``max_t w_t max(0, 1 - held_t / T_t)``.
    - max_features: most ``sum_t w_t [held_t >= T_t]``.

    Pairs of units and outer edges cost as the choices of both have it: ``sum_ij v_ij C[z_i, z_j]``, added where least
    is best and subtracted where most is. Budgets and areas are rows.
    """

    objective: ZoneObjective
    units: np.ndarray
    zones: tuple[str, ...]
    cost: np.ndarray
    """(n, K)"""
    edge: np.ndarray
    """(n, K) what outer edges cost, in terms of the objective"""
    bans: tuple[Ban, ...]
    features: np.ndarray
    goals: Goals
    rows: Rows
    """(rows, n K)"""
    links: tuple[Links, ...]
    buffers: tuple[Buffer, ...]

    @property
    def n(self) -> int:
        """How many planning units."""
        return len(self.units)

    @property
    def choices(self) -> int:
        """How many choices: the zones and none."""
        return len(self.zones) + 1

    @property
    def maximised(self) -> bool:
        """Whether most is best."""
        return self.objective == "max_features"

    def allowed(self, without: frozenset[int] | set[int] = frozenset()) -> np.ndarray:
        """(n, K) bool: the choices that each unit may have, some bans left out."""
        free = np.ones((self.n, self.choices), bool)
        for number, ban in enumerate(self.bans):
            if number not in without:
                free[ban.units, ban.choices] = False
        return free

    def held(self, choice: np.ndarray) -> np.ndarray:
        """(t,) what a zoning holds of each target."""
        return np.asarray(self.goals.matrix @ self.chosen(choice), dtype=float)

    def chosen(self, choice: np.ndarray) -> np.ndarray:
        """(n K,) 1 where a unit has a choice."""
        x = np.zeros(self.n * self.choices)
        x[np.arange(self.n) * self.choices + choice] = 1.0
        return x

    def shortfall(self, choice: np.ndarray) -> np.ndarray:
        """(t,) share of each target that a zoning misses, 0 where it is met or nothing is asked for."""
        goals, held = self.goals, self.held(choice)
        missed = np.zeros(len(goals))
        aimed = goals.aimed
        missed[aimed] = np.clip(1.0 - held[aimed] / goals.target[aimed], 0.0, None)
        return np.where(missed <= MET, 0.0, missed)

    def paid(self, choice: np.ndarray) -> float:
        """Cost of the zoning without penalties."""
        return float(self.cost[np.arange(self.n), choice].sum())

    def penalty(self, choice: np.ndarray) -> float:
        """What edges and links add to the objective."""
        total = float(self.edge[np.arange(self.n), choice].sum())
        for links in self.links:
            total += float(links.pairs.value @ links.cost[choice[links.pairs.a], choice[links.pairs.b]])
        return total

    def missed(self, choice: np.ndarray) -> float:
        """What missed targets with prices cost."""
        priced = np.isfinite(self.goals.price)
        if not priced.any() or self.objective != "min_set":
            return 0.0
        return float((self.goals.price * self.shortfall(choice))[priced].sum())

    def value(self, choice: np.ndarray) -> float:
        """The objective of a zoning, computed anew from the arrays."""
        goals, short = self.goals, self.shortfall(choice)
        match self.objective:
            case "min_set":
                own = self.paid(choice) + self.missed(choice)
            case "min_shortfall":
                own = float(goals.weight @ short)
            case "min_largest_shortfall":
                own = float((goals.weight * short).max(initial=0.0))
            case _:
                own = float(goals.weight[goals.aimed & (short == 0)].sum())
        return own - self.penalty(choice) if self.maximised else own + self.penalty(choice)


# --- as a landscape for annealing ------------------------------------------------------------------------------


def landscape_of_zones(problem: ZoneProblem) -> Landscape:
    """The zoning as something to be lowered: hard targets and rows as limits, buffers as hard links."""
    goals = problem.goals
    cost = problem.edge + (problem.cost if problem.objective == "min_set" else 0.0)
    links = problem.links + tuple(_hard_link(b) for b in problem.buffers)
    return Landscape(cost, problem.allowed(), links, _lines(problem, goals))


def _hard_link(buffer: Buffer) -> Links:
    table = np.zeros((len(buffer.around), len(buffer.around)))
    table[buffer.choice, ~buffer.around] += 1.0
    table[~buffer.around, buffer.choice] += 1.0
    return Links(Pairs(buffer.pairs.a, buffer.pairs.b, np.ones(len(buffer.pairs))), table, hard=True)


def _lines(problem: ZoneProblem, goals: Goals) -> Lines:
    import scipy.sparse as sp

    used = np.flatnonzero(goals.aimed | goals.most)
    scale = np.where(goals.target[used] > 0, goals.target[used], 1.0)
    most, weight, price = goals.most[used], goals.weight[used], goals.price[used]
    count, extra = len(used), len(problem.rows)
    under, step, power = np.where(most, 0.0, weight), np.zeros(count), np.ones(count)
    if problem.objective == "min_set":
        under = np.where(most | ~np.isfinite(price), 0.0, price)
    elif problem.objective == "min_largest_shortfall":
        power = np.where(most, 1.0, SHARPNESS)
    elif problem.maximised:
        under, step = GUIDE * under, (1.0 - GUIDE) * under
    hard = most | (~np.isfinite(price) if problem.objective == "min_set" else False)
    limit = goals.target[used] / scale
    return Lines(
        sp.vstack([sp.diags_array(1.0 / scale) @ goals.matrix[used], problem.rows.matrix]).tocsr(),
        np.r_[np.where(most, -np.inf, limit), problem.rows.lower],
        np.r_[np.where(most, limit, np.inf), problem.rows.upper],
        np.r_[under, np.zeros(extra)],
        np.zeros(count + extra),
        np.r_[step, np.zeros(extra)],
        np.r_[power, np.ones(extra)],
        np.r_[hard, np.ones(extra, bool)],
    )
