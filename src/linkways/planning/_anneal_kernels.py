"""Loops of simulated annealing that numba compiles: moves of one unit to another choice, and descents.

Every unit has one of K choices (out and in, or a zone each). A landscape is told by flat arrays:

- ``cost[i * K + k]``: of unit i in choice k.
- ``col_ptr, col_row, col_value``: column i * K + k lists what the unit adds to each row (a target, a budget) in
  choice k, the rows in rising order.
- ``near_ptr, near_unit, near_value, near_kind``: pairs of units, told from both sides; with own choice k and the
  other's choice l a pair costs ``near_value * pair_cost[near_kind, k, l]``.
- ``option_ptr, option``: the choices that a unit may have; ``free``: the units with two and more.
- rows: ``under * (low - held)`` where less than low is held (to the given power), ``over * (held - high)`` where more
  than high is, and ``-step`` where low is held.
"""

import numpy as np
from numba import njit

__all__ = ["anneal_steps", "descend", "exchange_steps", "held_rows", "move_costs"]


@njit(cache=True, nogil=True)
def _row_energy(held, low, high, under, over, step, power):
    energy = 0.0
    if held < low:
        energy = under * (low - held)
        if power != 1.0:
            energy = energy**power
    else:
        energy = -step
    if held > high:
        energy += over * (held - high)
    return energy


@njit(cache=True, nogil=True)
def _rows_change(old, new, held, col_ptr, col_row, col_value, low, high, under, over, step, power):
    """Change of the rows' energy where a unit leaves column ``old`` for column ``new``."""
    change = 0.0
    a, a_end = col_ptr[old], col_ptr[old + 1]
    b, b_end = col_ptr[new], col_ptr[new + 1]
    while a < a_end or b < b_end:
        if b >= b_end or (a < a_end and col_row[a] < col_row[b]):
            r = col_row[a]
            amount = -col_value[a]
            a += 1
        elif a >= a_end or col_row[b] < col_row[a]:
            r = col_row[b]
            amount = col_value[b]
            b += 1
        else:
            r = col_row[a]
            amount = col_value[b] - col_value[a]
            a += 1
            b += 1
        before = held[r]
        after = before + amount
        if before >= low[r] and after >= low[r] and before <= high[r] and after <= high[r]:
            continue
        change += _row_energy(after, low[r], high[r], under[r], over[r], step[r], power[r])
        change -= _row_energy(before, low[r], high[r], under[r], over[r], step[r], power[r])
    return change


@njit(cache=True, nogil=True)
def _move(old, new, held, col_ptr, col_row, col_value):
    for a in range(col_ptr[old], col_ptr[old + 1]):
        held[col_row[a]] -= col_value[a]
    for b in range(col_ptr[new], col_ptr[new + 1]):
        held[col_row[b]] += col_value[b]


@njit(cache=True, nogil=True)
def _own_change(i, now, then, choices, choice, cost, near_ptr, near_unit, near_value, near_kind, pair_cost):
    """Change of cost and of the pairs' costs where unit i changes its choice."""
    change = cost[i * choices + then] - cost[i * choices + now]
    for e in range(near_ptr[i], near_ptr[i + 1]):
        other = choice[near_unit[e]]
        kind = near_kind[e]
        change += near_value[e] * (pair_cost[kind, then, other] - pair_cost[kind, now, other])
    return change


@njit(cache=True, nogil=True)
def held_rows(choice, choices, col_ptr, col_row, col_value, held):
    """Fill ``held`` with what each row holds."""
    held[:] = 0.0
    for i in range(len(choice)):
        column = i * choices + choice[i]
        for a in range(col_ptr[column], col_ptr[column + 1]):
            held[col_row[a]] += col_value[a]


@njit(cache=True, nogil=True)
def _other_option(rng, i, now, option_ptr, option):
    """Another of the unit's options, each as likely as the next."""
    count = option_ptr[i + 1] - option_ptr[i]
    pick = option_ptr[i] + int(rng.random() * (count - 1))
    if option[pick] == now:
        return option[option_ptr[i + 1] - 1]
    return option[pick]


@njit(cache=True, nogil=True)
def anneal_steps(
    rng, steps, hot, cold, choice, choices, held, cost, columns, near, pair_cost, options, free, rows
):  # fmt: skip
    """So many trial moves at temperatures that fall evenly in their logarithm; returns the accepted moves.

    A move that lowers the energy is made, one that raises it by d with probability exp(-d / temperature) (Metropolis).
    """
    col_ptr, col_row, col_value = columns
    near_ptr, near_unit, near_value, near_kind = near
    option_ptr, option = options
    low, high, under, over, step, power = rows
    block = 256
    factor = (cold / hot) ** (block / max(steps, 1)) if hot > 0.0 else 1.0
    temperature = hot
    accepted = 0
    for trial in range(steps):
        if trial % block == block - 1:
            temperature *= factor
        i = free[int(rng.random() * len(free))]
        now = choice[i]
        then = _other_option(rng, i, now, option_ptr, option)
        change = _own_change(i, now, then, choices, choice, cost, near_ptr, near_unit, near_value, near_kind, pair_cost)
        old, new = i * choices + now, i * choices + then
        change += _rows_change(old, new, held, col_ptr, col_row, col_value, low, high, under, over, step, power)
        if change > 0.0 and (temperature <= 0.0 or rng.random() >= np.exp(-change / temperature)):
            continue
        _move(old, new, held, col_ptr, col_row, col_value)
        choice[i] = then
        accepted += 1
    return accepted


@njit(cache=True, nogil=True)
def exchange_steps(
    rng, steps, hot, cold, choice, choices, held, cost, columns, near, pair_cost, options, free, rows
):  # fmt: skip
    """So many trials of two moves at once, one unit to another choice and a second one to the choice that it left;
    temperatures as in `anneal_steps`; returns the accepted trials."""
    col_ptr, col_row, col_value = columns
    near_ptr, near_unit, near_value, near_kind = near
    option_ptr, option = options
    low, high, under, over, step, power = rows
    block = 256
    factor = (cold / hot) ** (block / max(steps, 1)) if hot > 0.0 else 1.0
    temperature = hot
    accepted = 0
    for trial in range(steps):
        if trial % block == block - 1:
            temperature *= factor
        i = free[int(rng.random() * len(free))]
        now = choice[i]
        then = _other_option(rng, i, now, option_ptr, option)
        j = -1
        for _ in range(16):
            other = free[int(rng.random() * len(free))]
            if choice[other] == then:
                j = other
                break
        if j < 0:
            continue
        may = False
        for o in range(option_ptr[j], option_ptr[j + 1]):
            may = may or option[o] == now
        if not may:
            continue
        change = _own_change(i, now, then, choices, choice, cost, near_ptr, near_unit, near_value, near_kind, pair_cost)
        old, new = i * choices + now, i * choices + then
        change += _rows_change(old, new, held, col_ptr, col_row, col_value, low, high, under, over, step, power)
        _move(old, new, held, col_ptr, col_row, col_value)
        choice[i] = then
        change += _own_change(
            j, then, now, choices, choice, cost, near_ptr, near_unit, near_value, near_kind, pair_cost
        )
        old2, new2 = j * choices + then, j * choices + now
        change += _rows_change(old2, new2, held, col_ptr, col_row, col_value, low, high, under, over, step, power)
        if change > 0.0 and (temperature <= 0.0 or rng.random() >= np.exp(-change / temperature)):
            _move(new, old, held, col_ptr, col_row, col_value)
            choice[i] = now
            continue
        _move(old2, new2, held, col_ptr, col_row, col_value)
        choice[j] = now
        accepted += 1
    return accepted


@njit(cache=True, nogil=True)
def move_costs(rng, samples, choice, choices, held, cost, columns, near, pair_cost, options, free, rows, out):
    """Fill ``out`` with the change of energy of random moves, none of which is made."""
    col_ptr, col_row, col_value = columns
    near_ptr, near_unit, near_value, near_kind = near
    option_ptr, option = options
    low, high, under, over, step, power = rows
    for sample in range(samples):
        i = free[int(rng.random() * len(free))]
        now = choice[i]
        then = _other_option(rng, i, now, option_ptr, option)
        change = _own_change(i, now, then, choices, choice, cost, near_ptr, near_unit, near_value, near_kind, pair_cost)
        old, new = i * choices + now, i * choices + then
        change += _rows_change(old, new, held, col_ptr, col_row, col_value, low, high, under, over, step, power)
        out[sample] = change


@njit(cache=True, nogil=True)
def descend(order, choice, choices, held, cost, columns, near, pair_cost, options, rows):
    """One pass over the units in the given order, each moved to its best choice; returns how many moved."""
    col_ptr, col_row, col_value = columns
    near_ptr, near_unit, near_value, near_kind = near
    option_ptr, option = options
    low, high, under, over, step, power = rows
    moved = 0
    for i in order:
        now = choice[i]
        best, pick = -1e-12, now
        for o in range(option_ptr[i], option_ptr[i + 1]):
            then = option[o]
            if then == now:
                continue
            change = _own_change(
                i, now, then, choices, choice, cost, near_ptr, near_unit, near_value, near_kind, pair_cost
            )
            change += _rows_change(
                i * choices + now, i * choices + then, held, col_ptr, col_row, col_value, low, high, under, over, step,
                power,
            )  # fmt: skip
            if change < best:
                best, pick = change, then
        if pick != now:
            _move(i * choices + now, i * choices + pick, held, col_ptr, col_row, col_value)
            choice[i] = pick
            moved += 1
    return moved
