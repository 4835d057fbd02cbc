"""The plans that two aims trade against each other, from weighted sums of the two."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Found", "Frontier", "slope", "traded"]

SLACK = 1e-7  # sums that differ by so small a share of their size are equal
STEPS = 60  # solutions in the search for an end of the curve, at most


@dataclass(frozen=True)
class Found:
    """A plan by its two aims, least of both being best."""

    x: np.ndarray
    own: float
    other: float

    def value(self, penalty: float) -> float:
        """Own aim and penalty times the other."""
        return self.own + penalty * self.other


class Frontier:
    """Plans that are best for own + penalty x other, at one penalty after another.

    ``solve(penalty)`` gives a plan and a lower bound on the best value; ``solve(inf)`` cares for the other aim alone.
    The best value is a concave function of the penalty, so that between two penalties the straight line between their
    bounds is a bound too, and a plan that reaches it need not be looked for again.
    """

    def __init__(self, solve: Callable[[float], tuple[Found, float]]) -> None:
        self._solve = solve
        self.plans: list[Found] = []
        self.bounds: dict[float, float] = {}

    def look(self, penalty: float) -> Found:
        """Solve at a penalty, and keep the plan and the bound."""
        found, bound = self._solve(penalty)
        self.plans.append(found)
        if np.isfinite(penalty):
            self.bounds[penalty] = max(bound, self.bounds.get(penalty, -np.inf))
        return found

    def best(self, penalty: float) -> Found:
        """The best known plan at a penalty; of equal ones that with less of the other aim."""
        least = min(self.plans, key=lambda p: p.value(penalty))
        near = least.value(penalty) + _slack(least, penalty)
        return min((p for p in self.plans if p.value(penalty) <= near), key=lambda p: (p.other, p.own))

    @property
    def first(self) -> Found:
        """The known plan that is best in its own aim, of equal ones that with less of the other."""
        return self.best(0.0)

    @property
    def last(self) -> Found:
        """The known plan with least of the other aim, of equal ones the best in its own."""
        least = min(p.other for p in self.plans)
        near = least + SLACK * abs(least)
        return min((p for p in self.plans if p.other <= near), key=lambda p: (p.own, p.other))

    def bound(self, penalty: float) -> float:
        """What no plan can better at a penalty: what was solved there, or the highest line between two bounds."""
        told = [self.bounds.get(penalty, -np.inf)]
        below = [(p, b) for p, b in self.bounds.items() if p < penalty]
        above = [(p, b) for p, b in self.bounds.items() if p > penalty]
        told += [a + (b - a) * (penalty - p) / (q - p) for p, a in below for q, b in above]
        return min(max(told), self.best(penalty).value(penalty))

    def settled(self, penalty: float) -> bool:
        """Whether the best known plan is proven at a penalty."""
        best = self.best(penalty)
        return self.bound(penalty) >= best.value(penalty) - _slack(best, penalty)

    def ends(self) -> tuple[float, float]:
        """The least and the largest penalty that matter; 0 and 0 where one plan is best in both aims.

        Up to the least penalty the first plan is best, from the largest on the last one. Each is the slope of the line
        from that plan to the next one of the curve: solve at the slope, draw the line anew to what comes out, and stop
        when nothing lies below it (Cohon, Church and Sheer 1979, from both ends only).
        """
        self.look(0.0)
        self.look(np.inf)
        return self._end(low=True), self._end(low=False)

    def _end(self, *, low: bool) -> float:
        middle, penalty = None, 0.0
        for _ in range(STEPS):
            first, last = self.first, self.last
            if not traded(first, last):
                return 0.0
            a, b = (first, middle or last) if low else (middle or first, last)
            penalty = slope(a, b)
            if not self.settled(penalty):
                self.look(penalty)
            found = self.best(penalty)
            if found.value(penalty) >= a.value(penalty) - _slack(a, penalty):
                return penalty
            # a plan found may better the end itself in its second aim, and then the line starts anew
            middle = found if traded(self.first, found) and traded(found, self.last) else None
        return penalty


def traded(first: Found, last: Found) -> bool:
    """Whether the second plan has less of the other aim, and costs some of the first's own for it."""
    less = first.other - last.other > SLACK * (abs(first.other) + abs(last.other))
    return less and last.own - first.own > SLACK * (abs(first.own) + abs(last.own))


def slope(first: Found, last: Found) -> float:
    """The penalty at which both plans are equally good."""
    return (last.own - first.own) / (first.other - last.other)


def _slack(plan: Found, penalty: float) -> float:
    return SLACK * (abs(plan.own) + penalty * abs(plan.other))
