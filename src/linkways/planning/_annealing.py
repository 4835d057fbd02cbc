"""Simulated annealing of selections and zonings, in the manner of Marxan, ended by repair and iterative improvement."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.planning._problem import Pairs

if TYPE_CHECKING:
    import scipy.sparse as sp

    from linkways.planning._problem import Problem

__all__ = ["Landscape", "Lines", "Links", "anneal", "anneal_landscape", "broken", "landscape_of"]

CHUNKS, LEAST_CHUNK = 1000, 30
"""Times that prices are looked at and the clock is read during one annealing, and the fewest moves between."""
HOT, COLD = 0.5, 0.01
"""First and last temperature, as a share of what a move changes."""
STEP = 0.05
"""By so much prices change at first, and a tenth of it in the end."""
WIDE = 1e4
"""Prices stay within so many times their first value."""
WATCHED = 500
"""Units up to which the best state on the way is kept."""
WIDE_LINKS = 30.0
"""The price of hard links rises so many times while it cools."""
SAMPLES = 1000
SWEEPS, SMALL_SWEEPS, RUNS = 1000, 250, 8
"""Trial moves per unit that one run makes use of (the second up to WATCHED units), and the most runs."""
ROUNDS, PASSES, RISE = 80, 60, 1.5
"""Rounds of repair, passes of improvement, and how prices rise from round to round."""
POLISH, POLISHING = 0.2, (0.05, 0.01)
"""Share of the iterations that go into moves and exchanges after the repair, and the temperatures then."""
OUT_OF_REACH = 1e3
"""Prices so many times the largest cost let no limit be broken again."""
START = 0.2
"""Share of units selected at random to begin with."""
PRICES = (2, 3)
"""Places of the prices among the rows of a state: below the lower limit and above the upper one."""
SHARPNESS = 4.0
"""The largest shortfall is lowered by way of the sum of shortfalls to this power."""
GUIDE = 0.6
"""Where targets met are counted, this part of a target's weight is paid for in shares, to show the way."""
TOLERANCE = 1e-9
"""Of a limit: less is taken for rounding."""


@dataclass(frozen=True)
class Links:
    """Pairs of units with a length, and what a unit of length costs with the first unit in one choice and the second in
    another."""

    pairs: Pairs
    cost: np.ndarray
    """(K, K), the choice of the first unit in rows"""
    hard: bool = False
    """No pair may have a choice that costs: the costs only guide the search."""


@dataclass(frozen=True)
class Lines:
    """What units add to sums (targets, budgets, areas), and what a sum beyond its limits costs.

    A sum below ``low`` costs ``(under (low - sum)) ** power``, one above ``high`` costs ``over (sum - high)``, one that
    reaches ``low`` earns ``step``. Limits that are ``hard`` must hold in the end; their prices only guide the search.
    """

    matrix: "sp.csr_array"
    """(rows, n K): unit i in choice k is column i K + k"""
    low: np.ndarray
    high: np.ndarray
    under: np.ndarray
    over: np.ndarray
    step: np.ndarray
    power: np.ndarray
    hard: np.ndarray
    """(rows,) bool"""


@dataclass(frozen=True)
class Landscape:
    """A choice for each of n units: its cost, the costs of pairs of units, and sums within limits."""

    cost: np.ndarray
    """(n, K)"""
    allowed: np.ndarray
    """(n, K) bool, one choice at least for every unit"""
    links: tuple[Links, ...]
    lines: Lines


# --- limits ----------------------------------------------------------------------------------------------------


def _held(land: Landscape, choice: np.ndarray) -> np.ndarray:
    n, count = land.cost.shape
    x = np.zeros(n * count)
    x[np.arange(n) * count + choice] = 1.0
    return np.asarray(land.lines.matrix @ x, dtype=float)


def broken(land: Landscape, choice: np.ndarray) -> np.ndarray:
    """(rows + hard links,) bool: which hard limits, and then which hard links, do not hold."""
    low, high = _limits(land.lines)
    held = _held(land, choice)
    rows = land.lines.hard & ((held < low) | (held > high))
    links = np.array([_paid(links, choice) > 0 for links in land.links if links.hard], bool)
    return np.concatenate([rows, links])


def _paid(links: Links, choice: np.ndarray) -> float:
    return float(links.pairs.value @ links.cost[choice[links.pairs.a], choice[links.pairs.b]])


def _limits(lines: Lines) -> tuple[np.ndarray, np.ndarray]:
    """The limits, eased by rounding."""
    with np.errstate(invalid="ignore"):
        low = np.where(np.isfinite(lines.low), lines.low - TOLERANCE * np.abs(lines.low), -np.inf)
        high = np.where(np.isfinite(lines.high), lines.high + TOLERANCE * np.abs(lines.high), np.inf)
    return low, high


# --- annealing -------------------------------------------------------------------------------------------------


@dataclass
class _State:
    """Where the search stands, in the arrays that the kernels take."""

    choice: np.ndarray
    held: np.ndarray
    fixed: tuple[Any, ...]
    """cost, columns, near, pair_cost, options"""
    rows: list[np.ndarray]
    """low, high, under, over, step, power"""
    free: np.ndarray
    choices: int
    rng: np.random.Generator
    tables: np.ndarray
    """(kinds, K, K) costs of pairs; those of hard links times their price stand among the fixed arrays"""
    hard_kinds: np.ndarray
    link_price: float = 0.0
    scale: float = 1.0
    """what a move changes"""

    def price_links(self, price: float) -> None:
        """Set what a broken hard link costs."""
        self.link_price = price
        self.fixed[3][self.hard_kinds] = self.tables[self.hard_kinds] * price


def _state(land: Landscape, start: np.ndarray, rng: np.random.Generator) -> _State:
    from linkways.planning._anneal_kernels import held_rows

    n, count = land.cost.shape
    columns = land.lines.matrix.tocsc()
    columns.sort_indices()
    flat = (columns.indptr.astype(np.int64), columns.indices.astype(np.int32), columns.data.astype(float))
    allowed = land.allowed
    option_ptr = np.r_[0, np.cumsum(allowed.sum(axis=1))].astype(np.int64)
    option = np.nonzero(allowed)[1].astype(np.int64)
    near, tables, hard_kinds = _neighbourhood(land, n)
    lines, (low, high) = land.lines, _limits(land.lines)
    rows = [low, high, lines.under.astype(float), lines.over.astype(float), lines.step.astype(float)]
    fixed = (land.cost.astype(float).ravel(), flat, near, tables.copy(), (option_ptr, option))
    free = np.flatnonzero(np.diff(option_ptr) > 1)
    held = np.zeros(len(low))
    choice = start.astype(np.int64)
    held_rows(choice, count, *flat, held)
    rows.append(lines.power.astype(float))
    return _State(choice, held, fixed, rows, free, count, rng, tables, hard_kinds)


def _neighbourhood(land: Landscape, n: int) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
    """Pairs from both sides, grouped by unit, the table of costs by kind of pair, and which kinds are hard."""
    count = land.cost.shape[1]
    start, end, value, kind = [], [], [], []
    tables: list[np.ndarray] = []
    hard = [links.hard for links in land.links for _ in range(2)]
    for links in land.links:
        sides = ((links.pairs.a, links.pairs.b, links.cost), (links.pairs.b, links.pairs.a, links.cost.T))
        for a, b, table in sides:
            start.append(a)
            end.append(b)
            value.append(links.pairs.value)
            kind.append(np.full(len(a), len(tables)))
            tables.append(table)
    if not start:
        empty = np.zeros(0, np.int32)
        return (np.zeros(n + 1, np.int64), empty, np.zeros(0), empty), np.zeros((1, count, count)), np.zeros(1, bool)
    first = np.concatenate(start)
    order = np.argsort(first, kind="stable")
    ptr = np.r_[0, np.cumsum(np.bincount(first, minlength=n))].astype(np.int64)
    near = (
        ptr,
        np.concatenate(end)[order].astype(np.int32),
        np.concatenate(value)[order].astype(float),
        np.concatenate(kind)[order].astype(np.int32),
    )
    return near, np.array(tables, dtype=float), np.array(hard, bool)


def anneal_landscape(
    land: Landscape,
    start: np.ndarray,
    value: Callable[[np.ndarray], float],
    *,
    rng: np.random.Generator,
    iterations: int,
    time_limit_s: float,
) -> np.ndarray:
    """A choice of low energy for each unit, (n,); hard limits hold where the search could make them hold.

    As in Marxan (Ball, Possingham and Watts 2009) one random unit after another tries another choice, and temperatures
    fall evenly in their logarithm, adapted to the changes of cost that sampled moves bring. Other than there, the price
    of a hard limit is not fixed: it rises while the limit does not hold and falls while there is room, so that it comes
    near the limit's shadow price. Then prices rise until all limits hold (repair), units change one at a time while
    that lowers the energy and keeps the limits (iterative improvement), and the last fifth of the trials are cold moves
    and exchanges of two units within the limits. Iterations beyond a thousand for each unit (250 where there
    are 500 units or fewer) go into further runs, of which the one with the lowest ``value`` is kept. Where the time
    runs out, cooling goes faster.
    """
    state = _state(land, start, rng)
    if not len(state.free):
        return state.choice
    sweeps = SWEEPS if len(state.free) > WATCHED else SMALL_SWEEPS
    runs = int(np.clip(iterations // (sweeps * len(state.free)), 1, RUNS))
    best, rank = state.choice, (True, np.inf)
    for _ in range(runs):
        state = _state(land, start, rng)
        steps, seconds = iterations // runs, time_limit_s / runs
        seen = _cool(land, state, value, int(steps * (1.0 - POLISH)), seconds * (1.0 - POLISH))
        _settle(land, state)
        settled = state.choice.copy()
        _polish(state, int(steps * POLISH), seconds * POLISH)
        for choice in (seen, settled, state.choice):
            now = _rank(land, choice, value)
            if now < rank:
                best, rank = choice, now
    return best


def _rank(land: Landscape, choice: np.ndarray, value: Callable[[np.ndarray], float]) -> tuple[bool, float]:
    """What keeps the hard limits comes first, then what is lowest."""
    return bool(broken(land, choice).any()), value(choice)


def _cool(
    land: Landscape, state: _State, value: Callable[[np.ndarray], float], iterations: int, time_limit_s: float
) -> np.ndarray:
    """Move at falling temperatures; returns the best choices seen on the way, the last ones in large landscapes."""
    from linkways.planning._anneal_kernels import anneal_steps

    begun = time.perf_counter()
    state.scale = scale = _scale(land, state)
    base = _first_prices(land, state, scale)
    price = scale / _mean_link(land)
    chunks = min(max(iterations // LEAST_CHUNK, 1), CHUNKS)
    per = -(-max(iterations, 1) // chunks)
    hot, cold = HOT * scale, COLD * scale
    progress, best, rank = 0.0, state.choice, (True, np.inf)
    while progress < 1.0:
        spent = (time.perf_counter() - begun) / time_limit_s
        ahead = min(max(progress + 1.0 / chunks, spent), 1.0)
        ends = hot * (cold / hot) ** progress, hot * (cold / hot) ** ahead
        rows = tuple(state.rows)
        state.price_links(price * WIDE_LINKS**progress)
        anneal_steps(
            state.rng, per, *ends, state.choice, state.choices, state.held, *state.fixed, state.free, rows
        )  # fmt: skip
        progress = 1.0 if ahead > 1.0 - 0.5 / chunks else ahead
        if len(state.choice) <= WATCHED and (now := _rank(land, state.choice, value)) < rank:
            best, rank = state.choice.copy(), now
        _reprice(land, state, base, 1.0 + STEP * (1.1 - progress))
    return best


def _scale(land: Landscape, state: _State) -> float:
    """The median change of cost, pairs and soft sums that a move brings at the start."""
    from linkways.planning._anneal_kernels import move_costs

    hard = land.lines.hard
    rows = list(state.rows)
    for k in PRICES:
        rows[k] = np.where(hard, 0.0, rows[k])
    state.price_links(0.0)
    found = np.empty(SAMPLES)
    move_costs(
        state.rng, SAMPLES, state.choice, state.choices, state.held, *state.fixed, state.free, tuple(rows), found
    )  # fmt: skip
    size = np.abs(found[found != 0.0])
    return float(np.median(size)) if len(size) else 1.0


def _mean_link(land: Landscape) -> float:
    """The mean value of hard pairs, 1 where there are none."""
    values = [links.pairs.value for links in land.links if links.hard and len(links.pairs)]
    return float(np.concatenate(values).mean()) if values else 1.0


def _first_prices(land: Landscape, state: _State, scale: float) -> list[np.ndarray]:
    """Prices at which a mean unit's amount is worth a mean move's cost, in the rows that are hard."""
    lines = land.lines
    counts = np.maximum(np.diff(lines.matrix.indptr), 1)
    mean = np.asarray(abs(lines.matrix).sum(axis=1)).ravel() / counts
    price = np.where(lines.hard, scale / np.where(mean > 0, mean, 1.0), 0.0)
    for k in PRICES:
        state.rows[k] = np.where(lines.hard, price, state.rows[k])
    return [price.copy(), price.copy()]


def _reprice(land: Landscape, state: _State, base: list[np.ndarray], factor: float) -> None:
    """Dearer where a hard limit does not hold, cheaper where it does."""
    low, high = state.rows[0], state.rows[1]
    for k, first, broken in zip(PRICES, base, (state.held < low, state.held > high), strict=True):
        price = np.clip(np.where(broken, state.rows[k] * factor, state.rows[k] / factor), first / WIDE, first * WIDE)
        state.rows[k] = np.where(land.lines.hard, price, state.rows[k])


def _settle(land: Landscape, state: _State) -> None:
    """Repair what hard limits are broken, at rising prices, then descend without breaking any."""
    from linkways.planning._anneal_kernels import held_rows

    hard, links = land.lines.hard, [x for x in land.links if x.hard]
    for _ in range(ROUNDS):
        held_rows(state.choice, state.choices, *state.fixed[1], state.held)  # sums anew, free of rounding
        sides = state.held < state.rows[0], state.held > state.rows[1]
        apart = any(_paid(x, state.choice) > 0 for x in links)
        if not apart and not ((sides[0] | sides[1]) & hard).any():
            break
        for k, side in zip(PRICES, sides, strict=True):
            state.rows[k] = np.where(hard & side, state.rows[k] * RISE, state.rows[k])
        if apart:
            state.price_links(state.link_price * RISE)
        _descend(state, 3)
    top = OUT_OF_REACH * (float(np.abs(state.fixed[0]).max(initial=1.0)) + float(np.abs(state.fixed[3]).max()))
    for k in PRICES:
        state.rows[k] = np.where(hard, np.maximum(state.rows[k], 1.0) * top, state.rows[k])
    state.price_links(max(state.link_price, 1.0) * top)
    _descend(state, PASSES)


def _polish(state: _State, iterations: int, time_limit_s: float) -> None:
    """Cold moves and exchanges of two units, at prices that let no limit be broken again."""
    from linkways.planning._anneal_kernels import anneal_steps, exchange_steps

    begun, rounds = time.perf_counter(), int(np.clip(iterations // LEAST_CHUNK, 1, 50))
    hot, cold = (state.scale * share for share in POLISHING)
    per = iterations // rounds // 2
    for k in range(rounds):
        if time.perf_counter() - begun > time_limit_s:
            break
        warm, cool = (hot * (cold / hot) ** (q / rounds) for q in (k, k + 1))
        for steps in (anneal_steps, exchange_steps):
            steps(
                state.rng, per, warm, cool, state.choice, state.choices, state.held, *state.fixed, state.free,
                tuple(state.rows),
            )  # fmt: skip
    _descend(state, PASSES)


def _descend(state: _State, passes: int) -> None:
    from linkways.planning._anneal_kernels import descend

    for _ in range(passes):
        order = state.rng.permutation(state.free)
        if not descend(order, state.choice, state.choices, state.held, *state.fixed, tuple(state.rows)):
            break


# --- selections ------------------------------------------------------------------------------------------------


def anneal(problem: "Problem", *, seed: int, iterations: int, time_limit_s: float) -> np.ndarray:
    """(n,) whether each unit is selected, 0 or 1, by simulated annealing (see `anneal_landscape`).

    Targets of a minimum set, budgets and other linear constraints are hard: they are repaired in the end, and hold
    unless the search found no way. Nothing is proven: give a bound beside it.

    Raises LinkwaysError for shares of units, neighbours and contiguity, which annealing does not keep.
    """
    rng = np.random.default_rng(seed)
    land = landscape_of(problem)
    share = rng.random(problem.n) < START
    start = np.where(land.allowed[:, 0] & ~(share & land.allowed[:, 1]), 0, 1)
    sign = -1.0 if problem.maximised else 1.0
    found = anneal_landscape(
        land,
        start,
        lambda choice: sign * problem.value(choice.astype(float)),
        rng=rng,
        iterations=iterations,
        time_limit_s=time_limit_s,
    )
    return found.astype(float)


def landscape_of(problem: "Problem") -> Landscape:
    """The problem with the choices out (0) and in (1), as something to be lowered."""
    for wanted, words in (
        (problem.decision != "binary", f"the decision {problem.decision}"),
        (problem.neighbours > 0, "neighbours"),
        (problem.contiguous, "contiguous"),
    ):
        if wanted:
            raise LinkwaysError(f"planning.select: annealing does not keep {words}; solve the problem exactly instead")
    terms, allowed = problem.pair_terms(), np.ones((problem.n, 2), bool)
    allowed[:, 0] = ~problem.locked_in
    allowed[:, 1] = ~problem.locked_out
    cost = np.zeros((problem.n, 2))
    cost[:, 1] = terms.unary
    if problem.objective == "min_set":
        cost[:, 1] += problem.costs
    elif problem.objective == "max_utility":
        cost[:, 1] -= problem.amounts.T @ problem.weights
    ends = terms.a, terms.b
    links = [
        Links(Pairs(*ends, value), np.array(table))
        for value, table in (
            (np.minimum(terms.up, terms.down), [[0.0, 1.0], [1.0, 0.0]]),
            (terms.up - np.minimum(terms.up, terms.down), [[0.0, 0.0], [1.0, 0.0]]),
            (terms.down - np.minimum(terms.up, terms.down), [[0.0, 1.0], [0.0, 0.0]]),
        )
        if value.any()
    ]
    if len(terms.joint):
        links.append(Links(terms.joint, np.array([[0.0, 0.0], [0.0, 1.0]])))
    return Landscape(cost, allowed, tuple(links), _lines_of(problem))


def _lines_of(problem: "Problem") -> Lines:
    """Targets scaled to 1, with what the objective makes of them, and the linear constraints."""
    import scipy.sparse as sp

    aimed = np.flatnonzero(problem.targets > 0) if problem.objective != "max_utility" else np.zeros(0, np.int64)
    scale = sp.diags_array(1.0 / problem.targets[aimed])
    matrix = sp.vstack([scale @ problem.amounts[aimed], problem.rows.matrix]).tocoo()
    wide = sp.coo_array((matrix.data, (matrix.row, matrix.col * 2 + 1)), shape=(matrix.shape[0], 2 * problem.n)).tocsr()
    extra, count = len(problem.rows), len(aimed)
    weight, none = problem.weights[aimed], np.zeros(count)
    under, step, power = weight, none, np.ones(count)
    if problem.objective == "min_largest_shortfall":
        power = np.full(count, SHARPNESS)
    elif problem.maximised:
        under, step = GUIDE * weight, (1.0 - GUIDE) * weight
    return Lines(
        wide,
        np.r_[np.ones(count), problem.rows.lower],
        np.r_[np.full(count, np.inf), problem.rows.upper],
        np.r_[under, np.zeros(extra)],
        np.zeros(count + extra),
        np.r_[step, np.zeros(extra)],
        np.r_[power, np.ones(extra)],
        np.r_[np.full(count, problem.objective == "min_set"), np.ones(extra, bool)],
    )
