"""Marxan's problems as zonings: units out or in, or in one of several zones, with a price for missed targets."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError
from linkways.planning._annealing import Links
from linkways.planning._marxan_files import ID, MarxanInput, MarzoneInput
from linkways.planning._problem import Pairs, Rows
from linkways.planning._zones_problem import Ban, Goals, ZoneProblem
from linkways.spatial import note

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = [
    "IN_RESERVE",
    "LOCKED_IN",
    "LOCKED_OUT",
    "amounts_of_marxan",
    "edges_of_marxan",
    "greedy_penalty",
    "marxan_problem",
    "occurrences",
    "zone_shares",
]

LOCKED_IN, LOCKED_OUT = 2, 3
IN_RESERVE = ("reserve",)
FREE = 1e-12
"""What a unit that costs nothing is taken to cost where amounts are divided by costs."""


def marxan_problem(given: MarxanInput, *, spf: bool) -> ZoneProblem:
    """Least ``cost + BLM x boundary``, or with zones ``cost + connections``, under targets.

    With ``spf`` a target may be missed at Marxan's price: its feature's penalty factor times what meeting the target
    alone would cost times the missed share. Without it targets must be met; those of a Marxan problem above what may be
    selected are lowered to just that, which is told.
    """
    if given.marzone is not None:
        return _zoned(given, given.marzone, spf)
    return _reserve(given, spf)


def amounts_of_marxan(given: MarxanInput) -> "sp.csr_array":
    """(m, n) amounts of features in units; rows of a feature and unit that come again add up."""
    import pandas as pd
    import scipy.sparse as sp

    row = pd.Index(given.features["id"]).get_indexer(pd.Index(given.amounts["feature"]))
    column = pd.Index(given.units["id"]).get_indexer(pd.Index(given.amounts["unit"]))
    value = given.amounts["amount"].to_numpy(dtype=float)
    matrix = sp.coo_array((value, (row, column)), shape=(len(given.features), len(given.units))).tocsr()
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def occurrences(matrix: "sp.csr_array") -> "sp.csr_array":
    """1 where there is an amount above 0."""
    found = matrix.copy()
    found.data = (found.data > 0).astype(float)
    found.eliminate_zeros()
    return found


def edges_of_marxan(given: MarxanInput) -> tuple[Pairs, np.ndarray]:
    """Pairs of units with their lengths (each once, lower first; as told where they have a direction), and each unit's
    own row."""
    import pandas as pd

    count = len(given.units)
    if given.boundary is None:
        return Pairs(), np.zeros(count)
    index = pd.Index(given.units["id"])
    a, b = (index.get_indexer(pd.Index(given.boundary[c])) for c in ("unit_a", "unit_b"))
    length = given.boundary["length"].to_numpy(dtype=float)
    own = np.bincount(a[a == b], length[a == b], count)
    apart = a != b
    if given.settings.number("ASYMMETRICCONNECTIVITY", 0.0) == 1:
        return Pairs(a[apart].astype(np.int64), b[apart].astype(np.int64), length[apart]), own
    # a pair told from both sides counts once, as it was told first
    low, high = np.minimum(a, b)[apart], np.maximum(a, b)[apart]
    _, first = np.unique(low.astype(np.int64) * count + high, return_index=True)
    return Pairs(low[first].astype(np.int64), high[first].astype(np.int64), length[apart][first]), own


def greedy_penalty(amount: np.ndarray, cost: np.ndarray, fixed: np.ndarray, target: float, occurrences: float) -> float:
    """What it costs to meet one feature's target alone, Marxan's base of the penalty for missing it.

    Units that are fixed come first; then, one after another, the cheapest unit that meets the rest alone, or else the
    one with the most amount for its cost. Where all of them do not meet it, the cost is scaled up by target / held.
    """
    own = fixed & (amount > 0)
    held, found, paid = float(amount[own].sum()), int(own.sum()), float(cost[own].sum())
    if held >= target and found >= occurrences:
        return 0.0
    open_ = np.flatnonzero((amount > 0) & ~fixed)
    r, c = amount[open_], np.maximum(cost[open_], FREE)
    order = np.argsort(-(r / c), kind="stable")
    left = np.ones(len(order), bool)
    for at in order:
        if held >= target and found >= occurrences:
            return paid
        alone = np.flatnonzero(left & (r >= target - held)) if found + 1 >= occurrences else ()
        pick = alone[int(np.argmin(c[alone]))] if len(alone) else (at if left[at] else order[left[order]][0])
        left[pick] = False
        held, found, paid = held + float(r[pick]), found + 1, paid + float(c[pick])
    if held >= target and found >= occurrences:
        return paid
    scale = target / max(held, FREE) if held < target else 0.0
    return paid * (scale + (occurrences / found if 0 < found < occurrences else 0.0))


# --- Marxan ----------------------------------------------------------------------------------------------------


def _reserve(given: MarxanInput, spf: bool) -> ZoneProblem:
    settings, n = given.settings, len(given.units)
    penalty = settings.number("BLM", 0.0)
    asymmetric = settings.number("ASYMMETRICCONNECTIVITY", 0.0) == 1
    status, price = given.units["status"].to_numpy(), given.units["cost"].to_numpy(dtype=float)
    pairs, own = edges_of_marxan(given)
    cost, edge = np.zeros((n, 2)), np.zeros((n, 2))
    cost[:, 1], edge[:, 1] = price, penalty * own
    table = np.array([[0.0, 0.0], [1.0, 0.0]]) if asymmetric else np.array([[0.0, 1.0], [1.0, 0.0]])
    links = (Links(Pairs(pairs.a, pairs.b, penalty * pairs.value), table),) if penalty and len(pairs) else ()
    bans = []
    for locked, choice, words in ((LOCKED_IN, 0, "locked in"), (LOCKED_OUT, 1, "locked out")):
        which = np.flatnonzero(status == locked)
        if len(which):
            bans.append(Ban(f"{len(which)} units {words}", which, np.full(len(which), choice)))
    around = own + np.bincount(pairs.a, pairs.value, n)
    if not asymmetric:
        around = around + np.bincount(pairs.b, pairs.value, n)
    goals = _reserve_goals(given, status, price + penalty * around, spf)
    features = given.features["id"].to_numpy()
    return _problem(given, IN_RESERVE, cost, edge, tuple(bans), features, goals, links)


def _problem(
    given: MarxanInput,
    zones: tuple[str, ...],
    cost: np.ndarray,
    edge: np.ndarray,
    bans: tuple[Ban, ...],
    features: np.ndarray,
    goals: Goals,
    links: tuple[Links, ...],
) -> ZoneProblem:
    import scipy.sparse as sp

    rows = Rows((), sp.csr_array((0, cost.size)), np.zeros(0), np.zeros(0))
    return ZoneProblem(
        "min_set", given.units["id"].to_numpy(), zones, cost, edge, bans, features, goals, rows, links, ()
    )


def _reserve_goals(given: MarxanInput, status: np.ndarray, full: np.ndarray, spf: bool) -> Goals:
    """Targets of amounts and of occurrences, in the choice in (1)."""
    matrix, table, n = amounts_of_marxan(given), given.features, len(given.units)
    counted = occurrences(matrix)
    may = (status != LOCKED_OUT).astype(float)
    parts = []
    for j in range(len(table)):
        target, wanted = float(table["target"].iloc[j]), float(table["occurrences"].iloc[j])
        price = np.inf
        if spf:
            amount = matrix[[j]].toarray().ravel() * may
            alone = greedy_penalty(amount, full, status == LOCKED_IN, target, wanted)
            price = float(table["spf"].iloc[j]) * alone / (2.0 if target > 0 and wanted > 0 else 1.0)
        for kind, goal, words in ((matrix, target, ""), (counted, wanted, " occurrences")):
            own = kind[[j]].tocoo()
            most = float(own.data @ may[own.col])
            if goal > most * (1 + 1e-9) and not spf:
                note(f"{ID}: the target of {table['name'].iloc[j]} lowered from {goal:.6g} to {most:.6g}{words}, all "
                     "that may be selected")  # fmt: skip
                goal = most
            if goal > 0:
                parts.append(
                    (j, f"{table['name'].iloc[j]} >= {goal:.6g}{words}", own.col * 2 + 1, own.data, goal, price)
                )
    return _goals(parts, "all", 2 * n)


def _goals(parts: list[tuple[int, str, np.ndarray, np.ndarray, float, float]], zone: str, size: int) -> Goals:
    import scipy.sparse as sp

    rows = [sp.csr_array((p[3], (np.zeros(len(p[2]), int), p[2])), shape=(1, size)) for p in parts]
    count = len(parts)
    return Goals(
        tuple(p[1] for p in parts),
        np.array([p[0] for p in parts], np.int64),
        (zone,) * count,
        sp.vstack(rows).tocsr() if rows else sp.csr_array((0, size)),
        np.zeros(count, bool),
        np.array([p[4] for p in parts], float),
        np.ones(count),
        np.array([p[5] for p in parts], float),
    )


# --- Marxan with Zones -----------------------------------------------------------------------------------------


def _zoned(given: MarxanInput, zones: MarzoneInput, spf: bool) -> ZoneProblem:
    """Every unit in one zone; choice k is the k-th zone of the file, from 1."""
    n, count = len(given.units), len(zones.zones)
    place = {int(z): k for k, z in enumerate(zones.zones["zone"], start=1)}
    cost = np.zeros((n, count + 1))
    prices = np.column_stack([given.units.get(c, 1.0 + 0.0 * given.units["id"]).to_numpy(float) for c in zones.costs])
    factor = np.ones((len(zones.costs), count + 1))
    if zones.zone_costs is not None:
        factor[:] = 0.0
        for zone, number, share in zip(*(zones.zone_costs[c] for c in ("zone", "cost", "factor")), strict=True):
            factor[_numbered(number, len(zones.costs)), _zone(place, zone, "the costs of zones")] = share
    cost[:, 1:] = (prices @ factor)[:, 1:]
    pairs, own = edges_of_marxan(given)
    table = np.zeros((count + 1, count + 1))
    table[1:, 1:] = 1.0 if zones.zone_boundaries is None else 0.0
    if zones.zone_boundaries is not None:
        for a, b, share in zip(*(zones.zone_boundaries[c] for c in ("zone_a", "zone_b", "factor")), strict=True):
            i, j = (_zone(place, z, "the boundary costs of zones") for z in (a, b))
            table[i, j] = table[j, i] = share
    edge = np.zeros_like(cost)
    edge[:, 1:] = own[:, None]
    links = (Links(pairs, table),) if len(pairs) and table.any() else ()
    around = own + np.bincount(pairs.a, pairs.value, n) + np.bincount(pairs.b, pairs.value, n)
    goals = _zone_goals(given, zones, place, prices.sum(axis=1), cost.max(axis=1) + around, spf)
    names = tuple(str(z).strip() for z in zones.zones["name"])
    features = given.features["id"].to_numpy()
    return _problem(given, names, cost, edge, _zone_bans(given, zones, place), features, goals, links)


def _numbered(number: float, count: int) -> int:
    if not 1 <= number <= count:
        raise LinkwaysError(f"{ID}: the costs of zones name the cost {number:g}, and there are {count}; mend the file")
    return int(number) - 1


def _zone(place: dict[int, int], zone: float, what: str) -> int:
    if int(zone) not in place:
        raise LinkwaysError(f"{ID}: {what} name the zone {zone:g}, which is not in the table of zones; mend the file")
    return place[int(zone)]


def _zone_bans(given: MarxanInput, zones: MarzoneInput, place: dict[int, int]) -> tuple[Ban, ...]:
    import pandas as pd

    n, index = len(given.units), pd.Index(given.units["id"])
    every = np.arange(n)
    bans = [Ban("a zone for each unit", every, np.zeros(n, int))]
    for table, words in ((zones.locks, "locked in a zone"), (zones.permits, "that may have certain zones only")):
        if table is None:
            continue
        may: np.ndarray = np.zeros((n, len(place) + 1), bool)
        unit = index.get_indexer(pd.Index(table["unit"]))
        known = unit >= 0
        may[unit[known], [_zone(place, z, "the locks of units") for z in table["zone"][known]]] = True
        some = np.asarray(may.any(axis=1))
        i, k = np.nonzero(some[:, None] & ~may)
        if len(i):
            bans.append(Ban(f"{int(some.sum())} units {words}", i, k))
    return tuple(bans)


def zone_shares(given: MarxanInput) -> "list[sp.csr_array]":
    """For each choice the (m, n) contributed amounts."""
    import pandas as pd
    import scipy.sparse as sp

    assert given.marzone is not None
    zones, place = given.marzone, {int(z): k for k, z in enumerate(given.marzone.zones["zone"], start=1)}
    matrix, count = amounts_of_marxan(given), len(place)
    empty, table = sp.csr_array(matrix.shape), zones.contributions
    if table is None:  # the first zone is the one that is available, and holds nothing
        return [empty, empty] + [matrix] * (count - 1)
    feature = pd.Index(given.features["id"])
    if "unit" in table.columns:
        row = feature.get_indexer(pd.Index(table["feature"]))
        column = pd.Index(given.units["id"]).get_indexer(pd.Index(table["unit"]))
        choice = np.array([place.get(int(z), -1) for z in table["zone"]])
        good = (row >= 0) & (column >= 0) & (choice > 0)
        fraction = table["fraction"].to_numpy(float)
        own = [good & (choice == k) for k in range(count + 1)]
        return [matrix * sp.coo_array((fraction[o], (row[o], column[o])), shape=matrix.shape).tocsr() for o in own]
    share = np.zeros((len(feature), count + 1))
    every = table["feature"] if "feature" in table.columns else [None] * len(table)
    for zone, name, fraction in zip(table["zone"], every, table["fraction"], strict=True):
        k = place.get(int(zone), -1)
        j = np.arange(len(feature)) if name is None else feature.get_indexer([name])
        share[j[(j >= 0) & (k > 0)], k] = fraction
    return [(sp.diags_array(share[:, k]) @ matrix).tocsr() for k in range(count + 1)]


def _zone_goals(
    given: MarxanInput, zones: MarzoneInput, place: dict[int, int], price: np.ndarray, full: np.ndarray, spf: bool
) -> Goals:
    """Targets in all zones, of what contributes; and targets of zones, of what is there."""
    matrix, table, count = amounts_of_marxan(given), given.features, len(place) + 1
    shares, wanted = zone_shares(given), _zone_wishes(given, zones, place, matrix)
    fixed = np.zeros(len(given.units), bool)
    if zones.locks is not None:
        fixed = given.units["id"].isin(zones.locks["unit"]).to_numpy()
    parts = []
    for j in range(len(table)):
        name, own = table["name"].iloc[j], [w for w in wanted if w[0] == j]
        target, found = float(table["target"].iloc[j]), float(table["occurrences"].iloc[j])
        cost = np.inf
        if spf:
            most = max(target, sum(w[2] for w in own if not w[3]))
            many = max(found, sum(w[2] for w in own if w[3]))
            alone = greedy_penalty(matrix[[j]].toarray().ravel(), np.where(fixed, full, price), fixed, most, many)
            cost = float(table["spf"].iloc[j]) * alone
        every = [(k, shares[k]) for k in range(1, count)]
        for goal, counted in ((target, False), (found, True)):
            if goal > 0:
                parts.append((j, f"{name} >= {goal:.6g}", *_row(every, j, count, counted), goal, cost, "all"))
        for _, k, goal, counted in own:
            zone = str(zones.zones["name"].iloc[k - 1]).strip()
            words = f"{name} >= {goal:.6g}{' occurrences' if counted else ''} in {zone}"
            parts.append((j, words, *_row([(k, matrix)], j, count, counted), goal, cost, zone))
    goals = _goals([p[:6] for p in parts], "all", count * len(given.units))
    return replace(goals, zone=tuple(p[6] for p in parts))


def _row(
    kinds: "list[tuple[int, sp.csr_array]]", feature: int, count: int, counted: bool
) -> tuple[np.ndarray, np.ndarray]:
    column, value = [np.zeros(0, np.int64)], [np.zeros(0)]
    for k, matrix in kinds:
        own = matrix[[feature]].tocoo()
        there = own.data != 0
        column.append(own.col[there].astype(np.int64) * count + k)
        value.append((own.data[there] > 0).astype(float) if counted else own.data[there])
    return np.concatenate(column), np.concatenate(value)


def _zone_wishes(
    given: MarxanInput, zones: MarzoneInput, place: dict[int, int], matrix: "sp.csr_array"
) -> list[tuple[int, int, float, bool]]:
    """(feature, choice, target, whether of occurrences) of each target of a zone."""
    if zones.targets is None:
        return []
    import pandas as pd

    feature = pd.Index(given.features["id"])
    total = np.asarray(matrix.sum(axis=1)).ravel()
    found = np.diff(matrix.indptr)
    wishes = {}
    for zone, name, target, kind in zip(
        *(zones.targets[c] for c in ("zone", "feature", "target", "type")), strict=True
    ):
        j = int(feature.get_indexer([name])[0])
        for f in range(len(feature)) if name == -1 else ([j] if j >= 0 else []):
            if int(zone) not in place:
                continue
            amount = {0: target, 1: target * total[f], 2: np.ceil(target), 3: np.ceil(target * found[f])}[int(kind)]
            if amount > 0:
                wishes[f, place[int(zone)], int(kind) >= 2] = float(amount)
    return [(f, k, amount, counted) for (f, k, counted), amount in wishes.items()]
