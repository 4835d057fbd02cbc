"""Compiled loops of removal planning: the knapsack on the tree of barriers gives all budgets at once."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["best_by_budget", "hand_upstream", "plan_at"]


@njit(cache=True, nogil=True)
def hand_upstream(down, own):
    """Every place takes the number of the place below where it has none (-1) of its own, (n,)."""
    n = down.size
    out = own.copy()
    for v in range(n - 1, -1, -1):
        if out[v] < 0 and down[v] >= 0:
            out[v] = out[down[v]]
    return out


@njit(cache=True, nogil=True)
def _sizes(down, option_start, option_cost, budget):
    """How much money each subtree of barriers can use, in units, at most the budget, (n,) int64."""
    n = down.size
    use = np.zeros(n, np.int64)
    for j in range(n):
        dearest = np.int64(0)
        for k in range(option_start[j], option_start[j + 1]):
            dearest = max(dearest, option_cost[k])
        use[j] = min(use[j] + dearest, budget)
        if down[j] >= 0:
            use[down[j]] = min(use[down[j]] + use[j], budget)
    return use


@njit(cache=True, nogil=True)
def _pool(down, use):
    """The most entries that results wait for at once, when barriers are taken in rising order."""
    n = down.size
    held = np.zeros(n, np.int64)
    waiting = np.int64(0)
    most = np.int64(0)
    for j in range(n):
        waiting += use[j] + 1 - held[j]
        most = max(most, waiting + held[j])
        if down[j] >= 0:
            held[down[j]] += use[j] + 1
    return most


@njit(cache=True, nogil=True)
def best_by_budget(down, habitat, option_start, option_cost, option_pass, budget):
    """The largest accessible habitat for every budget, and what to do for it.

    Everything above a barrier is multiplied by the same factor below it, which is never negative, so that subtrees can
    be settled on their own: V_j(b) = max over options k of p_jk (h_j + best split of b - c_jk over the branches).

    Args:
        down: the barrier below each, the last one is the root; branches come before what they flow into, (n,).
        habitat: what lies between each barrier and the next ones above it, (n,).
        option_start: (n + 1,), option_cost: whole units (m,), option_pass: (m,); each barrier's first option is to
            leave it as it is, at no cost.
        budget: units.

    Returns:
        The values for 0 to ``budget`` units, and the decisions for `plan_at`: for every node and budget the option
        (``choice`` from ``choice_start``), and what of the money before a merge goes to the branch (``split``).
    """
    n = down.size
    use = _sizes(down, option_start, option_cost, budget)
    choice_start = np.zeros(n + 1, np.int64)
    split_start = np.zeros(n + 1, np.int64)
    gathered = np.zeros(n, np.int64)  # what the branches merged so far can use
    for j in range(n):
        choice_start[j + 1] = choice_start[j] + use[j] + 1
        below = down[j]
        length = np.int64(0)
        if below >= 0:
            gathered[below] = min(gathered[below] + use[j], budget)
            length = gathered[below] + 1
        split_start[j + 1] = split_start[j] + length
    choice = np.zeros(choice_start[n], np.uint8)
    split = np.zeros(split_start[n], np.int32)
    pool = np.empty(_pool(down, use) + 1, np.float64)
    top = np.int64(0)
    branches = np.zeros(n, np.int64)
    for j in range(n):
        if down[j] >= 0:
            branches[down[j]] += 1
    member = np.empty(n, np.int64)  # nodes whose results wait, in their order
    members = 0
    acc = np.empty(budget + 1, np.float64)
    new = np.empty(budget + 1, np.float64)
    for j in range(n):
        acc[0] = habitat[j]
        size = np.int64(0)
        first = members - branches[j]
        start = top
        for m in range(first, members):
            start -= use[member[m]] + 1
        at = start
        for m in range(first, members):
            child = member[m]
            room = use[child]
            total = min(size + room, budget)
            where = split_start[child]
            for i in range(total + 1):
                new[i] = -1.0
            for i in range(size + 1):
                base = acc[i]
                for k in range(min(room, total - i) + 1):
                    found = base + pool[at + k]
                    if found > new[i + k]:
                        new[i + k] = found
                        split[where + i + k] = k
            for i in range(total + 1):
                acc[i] = new[i]
            size = total
            at += room + 1
        members = first
        top = start
        out = choice_start[j]
        for b in range(use[j] + 1):
            best = -1.0
            chosen = 0
            for k in range(option_start[j], option_start[j + 1]):
                left = b - option_cost[k]
                if left < 0:
                    continue
                found = option_pass[k] * acc[min(left, size)]
                if found > best:
                    best = found
                    chosen = k - option_start[j]
            pool[top + b] = best
            choice[out + b] = chosen
        top += use[j] + 1
        member[members] = j
        members += 1
    values = np.empty(budget + 1, np.float64)
    for b in range(budget + 1):
        values[b] = pool[min(b, use[n - 1])]
    return values, choice, choice_start, split, split_start, use


@njit(cache=True, nogil=True)
def plan_at(down, option_start, option_cost, choice, choice_start, split, split_start, use, budget):
    """The option of every barrier in the best plan for a budget of whole units, (n,) uint8."""
    n = down.size
    money = np.zeros(n, np.int64)
    picked = np.zeros(n, np.uint8)
    money[n - 1] = min(budget, use[n - 1])
    # last branch first: its share is taken from what was merged up to it
    left = np.zeros(n, np.int64)
    for j in range(n - 1, -1, -1):
        below = down[j]
        if below >= 0:
            merged = split_start[j + 1] - split_start[j] - 1
            before = min(left[below], merged)
            share = np.int64(split[split_start[j] + before])
            money[j] = share
            left[below] = before - share
        k = choice[choice_start[j] + min(money[j], use[j])]
        picked[j] = k
        left[j] = money[j] - option_cost[option_start[j] + k]
    return picked
