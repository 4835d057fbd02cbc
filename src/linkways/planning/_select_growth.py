"""Plans in one piece that are grown way by way, relieved of what they do not need, and grown anew in part."""

import time

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, dijkstra

from linkways.planning._problem import Problem
from linkways.planning._select_program import Program

__all__ = ["Growth"]

HALF = 0.5
FREE = 1e-9  # share of a mean cost that a way through selected units counts for
SLACK = 1e-9


class Growth:
    """The best plan in one piece so far, of a minimum set of whole units, and ways to a better one.

    A piece grows along the way that adds most of what is still missing of the targets for its cost, until nothing is
    missing; then units leave it, the dearest first, that neither the targets nor the piece need. Parts of the best plan
    are torn out at random and grown anew (ruin and recreate: Schrimpf and others 2000). Nothing is proven here.

    Schrimpf G, Schneider J, Stamm-Wilbrandt H, Dueck G (2000) Record breaking optimization results using the ruin and
    recreate principle. Journal of Computational Physics 159:139-171.
    """

    def __init__(self, program: Program, problem: Problem, touching: sp.csr_array) -> None:
        """``able``: the problem is one that growth can plan; elsewhere only plans that are given are kept."""
        self.program, self.problem, self.touching = program, problem, touching
        self.random = np.random.default_rng(0)
        self.terms = problem.pair_terms()
        columns = problem.n + 2 * len(self.terms.a) + len(self.terms.joint)
        self.able = problem.objective == "min_set" and len(program.cost) == columns
        aimed = np.flatnonzero(problem.targets > 0)
        self.shares = (sp.diags_array(1.0 / problem.targets[aimed]) @ problem.amounts[aimed]).tocsr()
        self.useful = self.shares.minimum(1.0).T.tocsr()
        own = program.cost[: problem.n]
        self.cost = np.maximum(own, 0.0) + FREE * (float(np.abs(own).mean()) or 1.0)
        ends = touching.tocoo()
        self.ends = ends.row, ends.col
        self.best: np.ndarray | None = None
        self.value = np.inf

    def whole(self, chosen: np.ndarray) -> np.ndarray:
        """All variables of the program for a selection: units, then what pairs of them cost."""
        x, terms = chosen.astype(float), self.terms
        apart = x[terms.a] - x[terms.b]
        return np.concatenate([x, np.maximum(apart, 0.0), np.maximum(-apart, 0.0), x[terms.joint.a] * x[terms.joint.b]])

    def take(self, v: np.ndarray) -> None:
        """Keep the variables of a plan in one piece, if they are the best."""
        value = float(self.program.cost @ v)
        if value < self.value:
            self.best, self.value = v, value

    def mend(self, v: np.ndarray) -> bool:
        """Grow the pieces of a plan together; whether that is the best plan."""
        return self.grow(v[: self.problem.n] > HALF, self.cost)

    def offer(self, chosen: np.ndarray) -> bool:
        """Keep a selection if it is in one piece, allowed, and the best; whether it is."""
        v = self.whole(chosen)
        value = float(self.program.cost @ v)
        if value >= self.value - 1e-12 * abs(value) or self._pieces(chosen)[0] > 1:
            return False
        p, held = self.program, self.program.matrix @ v
        size = 1e-9 * (1.0 + np.abs(v).max(initial=0.0))
        fits = (held >= p.low - size).all() and (held <= p.high + size).all()
        if not fits or (v < p.below).any() or (v > p.above).any():
            return False
        self.best, self.value = v, value
        return True

    def begin(self, likely: np.ndarray, starts: int, until: float) -> None:
        """Grow from the likeliest units (of a relaxation), at costs that are lower the likelier a unit is."""
        if not self.able:
            return
        price = self.cost * (1.0 - 0.9 * np.clip(likely, 0.0, 1.0))
        for start in np.argsort(-likely, kind="stable")[:starts]:
            if time.perf_counter() > until:
                return
            seed = self.problem.locked_in.copy()
            if not seed.any():
                seed[start] = not self.problem.locked_out[start]
            self.grow(seed, price)

    def grow(self, chosen: np.ndarray, price: np.ndarray) -> bool:
        """A plan that holds what is chosen, or most of it; whether it is the best."""
        if not self.able or not chosen.any():
            return False
        chosen = chosen.copy()
        while True:
            missing = np.clip(1.0 - self.shares @ chosen, 0.0, None)
            missing[missing <= SLACK] = 0.0
            count, label = self._pieces(chosen)
            if count <= 1 and not missing.any():
                break
            reach, before = self._ways(chosen if count <= 1 else label == 0, chosen, price)
            if count > 1:
                gain = np.where((label > 0) & np.isfinite(reach), 1.0, 0.0)
            else:
                gain = np.asarray(self.useful @ missing) * ~chosen
            gain[~np.isfinite(reach)] = 0.0
            if not gain.any():
                return False
            end = int(np.argmax(gain / np.maximum(reach, 1e-300)))
            while end >= 0 and label[end] != 0:
                chosen[end] = True
                end = int(before[end])
        return self.offer(self._relieved(chosen))

    def improve(self, until: float, enough: float = -np.inf, rounds: int = 10**9) -> None:
        """Tear out parts of the best plan and grow them anew, until time or rounds are over or it is good enough."""
        if self.best is None or not self.able:
            return
        for _ in range(rounds):
            if time.perf_counter() > until or self.value <= enough:
                return
            chosen = self.best[: self.problem.n] > HALF
            near = np.zeros(self.problem.n, bool)
            near[self.random.choice(np.flatnonzero(chosen))] = True
            for _ in range(int(self.random.integers(1, 6))):
                near |= self.touching @ near.astype(float) > 0
            noise = self.random.lognormal(0.0, 0.3, self.problem.n)
            self.grow((chosen & ~near) | self.problem.locked_in, self.cost * noise)

    def _pieces(self, chosen: np.ndarray) -> tuple[int, np.ndarray]:
        """How many pieces, and of each unit the number of its piece, 0 the largest; -1: not selected."""
        units, label = np.flatnonzero(chosen), np.full(len(chosen), -1)
        if not len(units):
            return 0, label
        count, own = connected_components(self.touching[units][:, units], directed=False)
        rank = np.empty(count, int)
        rank[np.argsort(-np.bincount(own), kind="stable")] = np.arange(count)
        label[units] = rank[own]
        return int(count), label

    def _ways(self, start: np.ndarray, chosen: np.ndarray, price: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cost of the cheapest way from the start to every unit, that of the units entered, and the unit before."""
        entered = np.where(chosen, FREE * float(self.cost.mean()), price)
        open_ = ~self.problem.locked_out[self.ends[1]]
        ways = sp.csr_array(
            (entered[self.ends[1]][open_], (self.ends[0][open_], self.ends[1][open_])), shape=self.touching.shape
        )
        found = dijkstra(ways, indices=np.flatnonzero(start), min_only=True, return_predecessors=True)
        return found[0], found[1]

    def _relieved(self, chosen: np.ndarray) -> np.ndarray:
        """The selection without units that neither the targets nor the piece need, the dearest left out first."""
        own = self.program.cost[: self.problem.n]
        held, by_unit = self.shares @ chosen.astype(float), self.shares.tocsc()
        for i in np.argsort(-own, kind="stable"):
            if not chosen[i] or self.problem.locked_in[i] or own[i] <= 0:
                continue
            place = slice(by_unit.indptr[i], by_unit.indptr[i + 1])
            rows, less = by_unit.indices[place], by_unit.data[place]
            if (held[rows] - less < 1.0 - SLACK / 2).any():
                continue
            chosen[i] = False
            if self._pieces(chosen)[0] > 1:
                chosen[i] = True
            else:
                held[rows] -= less
        return chosen
