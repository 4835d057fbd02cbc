"""Selections that cover all rows: repair of what a cut misses, improvement unit by unit and by small exact programs."""

import numpy as np
import scipy.sparse as sp

from linkways.planning._cut_kernels import blocks, flip_costs, flip_down, wander
from linkways.planning._cut_problem import TOLERANCE, Covering, merged, pairs_of
from linkways.planning._select_program import Program, solve

__all__ = ["Search", "exact"]

HALF = 0.5
ROUNDS = 60
LIKELY = 5_000  # units that a repair looks at, or a twentieth of all
DEARER = 1.6  # what is still missing costs so much more in each round of a repair
SHARE = 0.6  # a unit is turned while it saves this share of what it saved when all were ranked


class Search:
    """The best selection so far, and ways to a better one."""

    def __init__(self, covering: Covering, random: np.random.Generator) -> None:
        self.covering = covering
        self.random = random
        self.best: np.ndarray | None = None
        self.value = np.inf
        self.everyone = np.arange(covering.n)
        self._arrays = (
            covering.base,
            *covering.graph,
            covering.turned.indptr,
            covering.turned.indices,
            covering.turned.data,
        )
        capped = float(covering.cap[~covering.hard].sum()) / max(covering.n, 1)
        self.typical = float(np.abs(covering.base).mean() if covering.n else 0.0) + capped or 1.0

    def offer(self, x: np.ndarray) -> bool:
        """Keep a selection if it is the best; whether it is."""
        value = self.covering.value(x)
        if value < self.value - 1e-12 * abs(value):
            self.best, self.value = x.copy(), value
            return True
        return False

    def take(self, x: np.ndarray, prices: np.ndarray) -> bool:
        """Offer a selection as it is, and repaired: where rows pull in opposite directions a repair may lose a plan."""
        better = self.offer(x)
        return self.offer(self.repair(x, prices)) or better

    def _likely(self, x: np.ndarray, prices: np.ndarray) -> np.ndarray:
        """Units whose turning costs least at the prices."""
        count = max(LIKELY, self.covering.n // 20)
        if count >= self.covering.n:
            return self.everyone
        return np.sort(np.argpartition(self._turning(x, prices), count)[:count])

    def _turning(self, x: np.ndarray, prices: np.ndarray) -> np.ndarray:
        """(n,) what turning each unit alone costs at the prices."""
        c, none = self.covering, np.zeros(len(prices))
        return np.asarray(flip_costs(self.everyone, x, c.priced(prices), *self._arrays[1:], none, none))

    def repair(self, x: np.ndarray, prices: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
        """A selection that covers what x misses, and holds nothing that it can do without.

        Units are turned, the most saving first, as long as that lowers the cost with rows priced somewhat above their
        prices; rows that are still missing grow dearer until there are none. Then units are turned only where all rows
        stay covered.
        """
        if among is None:
            among = self._likely(x, prices)
            repaired = self.repair(x, prices, among)
            lack = self.covering.need - self.covering.rows @ repaired
            missing = bool((self.covering.hard & (lack > TOLERANCE)).any())
            if len(among) == self.covering.n or not missing or self.best is not None:
                return repaired
            return self.repair(repaired, prices, self.everyone)
        covering, x = self.covering, x.copy()
        lack = covering.need - covering.rows @ x
        dear = np.where(covering.hard, 1.02 * prices, covering.cap)
        floor = 0.05 * float(prices.mean()) if prices.any() else self.typical
        for _ in range(ROUNDS):
            self._descend(x, lack, dear, among)
            short = covering.hard & (lack > TOLERANCE)
            if not short.any():
                break
            dear[short] = DEARER * np.maximum(dear[short], floor)
        self.trim(x, lack, among)
        return x

    def trim(self, x: np.ndarray, lack: np.ndarray, among: np.ndarray) -> None:
        """Turn units where that lowers the cost and leaves all rows covered that must be."""
        covering = self.covering
        if (covering.hard & (lack > TOLERANCE)).any():
            return
        # room for rounding, so that a row does not count as missing by a trillionth
        spare = np.where(covering.hard, lack - TOLERANCE / 2, lack)
        dear = np.where(covering.hard, 1e30, covering.cap)
        self._descend(x, spare, dear, among)
        lack[:] = covering.need - covering.rows @ x

    def _descend(self, x: np.ndarray, lack: np.ndarray, dear: np.ndarray, among: np.ndarray) -> None:
        arrays, least = self._arrays, 1e-12 * self.typical
        for _ in range(ROUNDS):
            costs = flip_costs(among, x, *arrays, lack, dear)
            saving = np.flatnonzero(costs < -least)
            if not len(saving):
                return
            order = saving[np.argsort(costs[saving], kind="stable")]
            if not flip_down(among[order], costs[order], x, *arrays, lack, dear, least, SHARE):
                flip_down(among[order], costs[order], x, *arrays, lack, dear, least, 0.0)

    def wander(self, prices: np.ndarray, tries: int) -> bool:
        """Anneal among the units that are least certain at the prices, then repair; whether that is a better plan.

        How many units take part, how dear what is missing is, and how hot it begins are drawn at random.
        """
        assert self.best is not None
        c, random = self.covering, self.random
        x = self.best.copy()
        lack = c.need - c.rows @ x + TOLERANCE
        lasting = np.where(c.hard, prices, c.cap)
        costs = np.abs(self._turning(x, prices))
        count = min(c.n, int(300 * 10 ** random.uniform(0.0, 1.0 + np.log10(max(c.n, 10_000) / 10_000) / 2)))
        among = np.argpartition(costs, count - 1)[:count]
        heat = float(costs[among].mean()) * 10 ** random.uniform(-1.5, -0.5)
        floor = 0.05 * float(prices.mean()) if prices.any() else self.typical
        much = 10 ** random.uniform(0.1, 1.3)
        dear = np.where(c.hard, much * np.maximum(prices, floor), lasting)
        best, saved = wander(
            random,
            tries,
            max(heat, 1e-300),
            0.05 * max(heat, 1e-300),
            among,
            x,
            *self._arrays,
            lack,
            dear,
            c.hard,
        )
        better = saved < 0 and self.offer(self.repair(best, prices, among))
        return self.offer(self.repair(x, much * prices, among)) or better

    def core(
        self, x: np.ndarray, prices: np.ndarray, selections: list[np.ndarray], most: int, time_limit_s: float
    ) -> bool:
        """Solve the problem of the least certain blocks of units exactly, all others as in x; whether it helped.

        Units that were selected or not together in x and all the cuts given, and lie together, form a block; the
        blocks whose turning costs least at the prices are the least certain.
        """
        c = self.covering
        label, count = self._blocks([x, *selections])
        cost = self._block_costs(label, count, x, prices)
        chosen = np.argsort(cost, kind="stable")[:most]
        rank = np.full(count, -1)
        rank[chosen] = np.arange(len(chosen))
        label = np.where(label >= 0, rank[label], -1)
        small = merged(c, label, len(chosen), x)
        found = solve(exact(small), time_limit_s, 1e-5)
        if found.x is None:
            return False
        y = x.copy()
        y[label >= 0] = found.x[: len(chosen)][label[label >= 0]] > HALF
        return self.take(y, prices)

    def _blocks(self, selections: list[np.ndarray]) -> tuple[np.ndarray, int]:
        """Number of the block of each unit, and how many there are; every unit is in a block."""
        signature = np.zeros(self.covering.n, np.int64)
        for x in selections:
            signature = np.unique(2 * signature + x, return_inverse=True)[1]
        graph = self.covering.graph
        label, count = blocks(graph.first, graph.head, signature, np.ones(self.covering.n, bool))
        return label, int(count)

    def _block_costs(self, label: np.ndarray, count: int, x: np.ndarray, prices: np.ndarray) -> np.ndarray:
        """What turning each block alone would cost at the prices."""
        c = self.covering
        own = c.priced(prices)
        cost = np.bincount(label, np.where(x, -own, own), count)
        a, b, up, down = pairs_of(c)
        across = label[a] != label[b]
        a, b, up, down = a[across], b[across], up[across], down[across]
        now = up * (x[a] & ~x[b]) + down * (x[b] & ~x[a])
        with_a = up * (~x[a] & ~x[b]) + down * (x[b] & x[a])
        with_b = up * (x[a] & x[b]) + down * (~x[b] & ~x[a])
        return cost + np.bincount(label[a], with_a - now, count) + np.bincount(label[b], with_b - now, count)


def exact(covering: Covering) -> Program:
    """The problem as a mixed-integer program: units, then what each cut pair costs, then what is missing of rows."""
    n, k = covering.n, len(covering.need)
    a, b, up, down = pairs_of(covering)
    even = np.flatnonzero(up > 0)
    odd = np.flatnonzero(down > 0)
    tail, head, cost = np.r_[a[even], b[odd]], np.r_[b[even], a[odd]], np.r_[up[even], down[odd]]
    soft = np.flatnonzero(~covering.hard)
    p, s = len(cost), len(soft)
    row = np.arange(p)
    cut = sp.csr_array((np.r_[-np.ones(p), np.ones(p)], (np.r_[row, row], np.r_[tail, head])), shape=(p, n))
    missing = sp.csr_array((np.ones(s), (soft, np.arange(s))), shape=(k, s))
    matrix = sp.block_array([[covering.rows, sp.csr_array((k, p)), missing], [cut, sp.eye_array(p), None]])
    if not p:
        matrix = sp.hstack([covering.rows, missing])
    size = n + p + s
    return Program(
        np.r_[covering.base, cost, covering.cap[soft]],
        matrix.tocsr(),
        np.r_[covering.need, np.zeros(p)],
        np.full(k + p, np.inf),
        np.zeros(size),
        np.r_[np.ones(n + p), np.full(s, np.inf)],
        np.r_[np.ones(n, int), np.zeros(p + s, int)],
        np.full(k + p, -1),
        (),
    )
