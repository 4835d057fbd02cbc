"""The four ways to drive a circuit: pairwise, one-to-all, all-to-one and advanced (McRae et al. 2008; Circuitscape).

Arrays in, arrays out. Focal nodes are groups of flat cells; those without a cell in the circuit take part in nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from linkways.checkpoint import kept_each, resumed
from linkways.corridors._circuit import FACTOR_CELLS, FACTOR_TERMINALS, Circuit
from linkways.corridors._circuit_maps import rim_of
from linkways.corridors._circuit_network import resolve_nodes
from linkways.corridors._circuit_regions import region_pairs
from linkways.corridors._circuit_responses import Responses
from linkways.method import progress, progress_between

__all__ = [
    "Flows",
    "SourcesAndGrounds",
    "Visit",
    "advanced",
    "all_to_one",
    "one_to_all",
    "pairwise",
    "resolve",
    "ungrounded_source",
]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Cells = Sequence[Indices]
Visit = Callable[[tuple[int, ...], Floats, Floats], None]
"""Called with the focal nodes of one case (a pair, or one node), its voltages and its currents (rows, columns)."""
FEW_PAIRS = 3  # fewer pairs of regions are solved each on its own
TOGETHER = 8  # maps by one back-substitution
PAIR_TIME, VISIT_TIME = 1 / 30, 1 / 10  # of a solve: adding a pair's current, and a pair's maps one by one
Conflicts = Literal["keepall", "rmvsrc", "rmvgnd", "rmvall"]


@dataclass(frozen=True)
class Flows:
    """Effective resistances, and the sum and maximum of the current over all cases.

    ``resistance`` is (n, n) over focal nodes in pairwise mode, NaN where current cannot flow or the pair is left out;
    (n,) in the other modes: the source's voltage per ampere, or 0 at the ground, NaN where no current flows.
    """

    resistance: Floats
    cumulative: Floats
    maximum: Floats
    residual: float


@dataclass
class _Sums:
    """The running sum and maximum of current maps."""

    cumulative: Floats
    maximum: Floats

    @classmethod
    def of(cls, circuit: Circuit) -> _Sums:
        return cls(np.zeros(circuit.shape), np.zeros(circuit.shape))

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return {"cumulative": self.cumulative, "maximum": self.maximum}

    def add(self, current: Floats) -> None:
        self.cumulative += current
        np.maximum(self.maximum, current, out=self.maximum)


def pairwise(
    circuit: Circuit,
    nodes: Cells,
    wanted: NDArray[np.bool_],
    *,
    together: bool = False,
    at_focal: bool = True,
    maps: bool = True,
    visit: Visit | None = None,
) -> Flows:
    """1 A from one focal node to another, for every wanted pair.

    ``wanted`` (n, n) is symmetric. Focal nodes of several cells are tied together only in pairs that they are part
    of (each such pair is solved anew), or all at once with ``together`` (n solves for all pairs). ``at_focal`` false
    sets the current of a pair to 0 on its own two nodes. ``maps`` false leaves the currents out.
    """
    alive = _alive(circuit, nodes)
    if together or all(len(cells) == 1 for cells in nodes):
        return _pairs_at_once(circuit, nodes, wanted, alive, at_focal, maps, visit)
    return _pairs_in_turn(circuit, nodes, wanted, alive, at_focal, maps, visit)


def _pairs_at_once(
    circuit: Circuit, nodes: Cells, wanted: NDArray[np.bool_], alive: Indices, at_focal: bool, maps: bool,
    visit: Visit | None,
) -> Flows:  # fmt: skip
    n = len(nodes)
    resistance = np.full((n, n), np.nan)
    np.fill_diagonal(resistance, 0.0)
    sums = _Sums.of(circuit)
    chosen = wanted[np.ix_(alive, alive)] | np.eye(len(alive), dtype=bool)
    s, t = np.nonzero(np.triu(chosen, 1))
    rest = len(s) * (maps * PAIR_TIME + (visit is not None) * VISIT_TIME)
    solved = len(alive) / max(len(alive) + rest, 1)
    with progress_between(0.0, solved):
        responses = circuit.drive([nodes[k] for k in alive])
    resistance[np.ix_(alive, alive)] = np.where(chosen, responses.resistances, np.nan)
    if maps:
        cumulative, maximum = responses.current_sums(np.column_stack([s, t]), at_focal=at_focal)
        sums = _Sums(cumulative, maximum)
    if visit is not None:
        for done, (a, b) in enumerate(zip(s.tolist(), t.tolist(), strict=True)):
            progress(solved + (1 - solved) * done / len(s), f"map {done + 1} of {len(s)}")
            if np.isfinite(responses.resistances[a, b]):
                visit(
                    (int(alive[a]), int(alive[b])),
                    responses.pair_voltage(a, b),
                    responses.pair_current(a, b, at_focal=at_focal),
                )
    return Flows(resistance, sums.cumulative, sums.maximum, responses.residual)


def _pairs_in_turn(
    circuit: Circuit, nodes: Cells, wanted: NDArray[np.bool_], alive: Indices, at_focal: bool, maps: bool,
    visit: Visit | None,
) -> Flows:  # fmt: skip
    pairs = [(int(a), int(b)) for a in alive for b in alive if a < b and wanted[a, b]]
    drawn = maps or visit is not None
    content = (circuit.content, nodes, pairs, drawn, at_focal)
    sums = _PairSums(circuit, nodes, at_focal)
    what = "pair {} of {}".format

    def solve(left: list[tuple[int, int]]) -> Iterator[_PairSolution]:
        return _pair_solutions(circuit, nodes, pairs, drawn, left)

    if visit is None:
        with resumed("circuit, pairs of regions", content, sums.arrays) as kept:
            progress(kept.first / max(len(pairs), 1), what(kept.first, len(pairs)))
            left = pairs[kept.first :]
            for done, (pair, found) in enumerate(zip(left, solve(left), strict=True), kept.first + 1):
                sums.add(pair, found)
                kept.keep(done)
                progress(done / len(pairs), what(done, len(pairs)))
        return sums.flows()
    solutions = kept_each(
        "circuit, maps of pairs of regions", content, pairs, solve, pack=_PairSolution.pack, unpack=_PairSolution.unpack
    )
    for done, (pair, found) in enumerate(zip(pairs, solutions, strict=True), 1):
        current = sums.add(pair, found)
        if current is not None and found.voltage is not None:
            visit(pair, found.voltage, current)
        progress(done / len(pairs), what(done, len(pairs)))
    return sums.flows()


class _PairSums:
    """What pairs that are solved one by one add up to; all of it lies in arrays, which can be kept."""

    def __init__(self, circuit: Circuit, nodes: Cells, at_focal: bool) -> None:
        self.circuit, self.nodes, self.at_focal = circuit, nodes, at_focal
        self.sums = _Sums.of(circuit)
        self.resistance = np.full((len(nodes), len(nodes)), np.nan)
        np.fill_diagonal(self.resistance, 0.0)
        self.worst = np.zeros(())

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return {**self.sums.arrays, "resistance": self.resistance, "worst": self.worst}

    def add(self, pair: tuple[int, int], found: _PairSolution) -> Floats | None:
        """Add a pair and return its current, None where there is none to add."""
        a, b = pair
        self.worst[...] = max(float(self.worst), found.residual)
        self.resistance[a, b] = self.resistance[b, a] = found.resistance
        if not np.isfinite(found.resistance) or found.voltage is None:
            return None
        own = self.circuit.tied([self.nodes[a], self.nodes[b]])
        # two regions that are one node carry no current
        current = own.current(found.voltage) if found.resistance > 0 else np.zeros(self.circuit.shape)
        if not self.at_focal:
            for k in pair:
                current.reshape(-1)[_group_of(own, self.nodes[k])] = 0.0
        self.sums.add(current)
        return current

    def flows(self) -> Flows:
        return Flows(self.resistance, self.sums.cumulative, self.sums.maximum, float(self.worst))


@dataclass(frozen=True)
class _PairSolution:
    resistance: float
    voltage: Floats | None
    residual: float

    def pack(self) -> dict[str, NDArray[np.generic]]:
        found: dict[str, NDArray[np.generic]] = {"numbers": np.array([self.resistance, self.residual])}
        return found if self.voltage is None else {**found, "voltage": self.voltage}

    @classmethod
    def unpack(cls, kept: dict[str, Floats]) -> _PairSolution:
        resistance, residual = kept["numbers"].tolist()
        return cls(resistance, kept.get("voltage"), residual)


def _pair_solutions(
    circuit: Circuit, nodes: Cells, pairs: list[tuple[int, int]], drawn: bool, left: list[tuple[int, int]]
) -> Iterator[_PairSolution]:
    """Pairs one by one: from one factorisation where there are several and it fits in memory, else each anew.

    Of all pairs those that are ``left``; how a pair is solved depends on all, not on which are left.
    """
    share = {pair: (n / len(pairs), (n + 1) / len(pairs)) for n, pair in enumerate(pairs)}
    used = sorted({k for pair in pairs for k in pair})
    rims = sum(len(rim_of(circuit.stencil, cells)) for cells in (*circuit.shorted, *(nodes[k] for k in used)))
    if len(pairs) < FEW_PAIRS or rims > FACTOR_TERMINALS or circuit.nodes.size > FACTOR_CELLS:
        for pair in left:
            with progress_between(*share[pair]):
                found = _driven(circuit, nodes[pair[0]], nodes[pair[1]], drawn)
            yield found
        return
    place = {k: n for n, k in enumerate(used)}
    regions = region_pairs(circuit, [nodes[k] for k in used])
    for first in range(0, len(left), TOGETHER):
        chosen = left[first : first + TOGETHER]
        potentials = [regions.potentials(place[a], place[b]) for a, b in chosen]
        joined = [n for n, one in enumerate(potentials) if one is not None and one[0] > 0] if drawn else []
        own = [(place[chosen[n][0]], place[chosen[n][1]]) for n in joined]
        held = regions.voltages(own, [potentials[n][1] for n in joined]) if joined else ()  # type: ignore[index]
        maps = dict(zip(joined, held, strict=True))
        for n, ((a, b), one) in enumerate(zip(chosen, potentials, strict=True)):
            with progress_between(*share[a, b]):
                found = _checked_pair(circuit, nodes[a], nodes[b], one, maps.get(n), drawn)
            yield found


def _driven(circuit: Circuit, a: Indices, b: Indices, drawn: bool) -> _PairSolution:
    responses = circuit.drive([a, b])
    return _PairSolution(
        float(responses.resistances[0, 1]), responses.pair_voltage(0, 1) if drawn else None, responses.residual
    )


def _checked_pair(
    circuit: Circuit, a: Indices, b: Indices, found: tuple[float, Floats] | None, voltage: Floats | None, drawn: bool
) -> _PairSolution:
    """A pair from the factorisation; solved anew where its map does not keep Kirchhoff's law to the tolerance."""
    if found is None:
        return _PairSolution(np.nan, None, 0.0)
    if voltage is None:
        return _PairSolution(found[0], np.zeros(circuit.shape) if drawn else None, 0.0)
    own = circuit.tied([a, b])
    missing = own.imbalance(voltage, np.zeros(circuit.shape)).reshape(-1)
    for cells in (a, b):
        missing[_group_of(own, cells)] = 0.0
    residual = float(np.linalg.norm(missing)) / np.sqrt(2.0)
    if residual > circuit.tolerance:
        return _driven(circuit, a, b, drawn)
    return _PairSolution(found[0], voltage, residual)


def _group_of(circuit: Circuit, cells: Indices) -> Indices:
    """The cells of the shorted group that holds these cells."""
    return next(group for group in circuit.shorted if group[np.searchsorted(group, cells[0]) % len(group)] == cells[0])


def one_to_all(
    circuit: Circuit, nodes: Cells, wanted: NDArray[np.bool_], strengths: Floats, *, at_focal: bool = True,
    visit: Visit | None = None,
) -> Flows:  # fmt: skip
    """A source at each focal node in turn, all the others it is wanted with tied to ground; all nodes are tied.

    ``strengths`` (n,) are the sources' amperes. ``at_focal`` false sets the current to 0 on the source and its grounds.
    Nodes that nothing flows from are visited too, with maps of zeros.
    """

    def case(responses: Responses, at: int, others: Sequence[int], own: Floats) -> tuple[Floats, float] | None:
        grounds = [g for g in others if responses.connected(at, g)]
        if not grounds or own[at] == 0:
            return None
        voltage = responses.one_to_all(at, grounds, float(own[at]))
        return voltage, float(voltage.flat[_first_cell(responses, at)] / own[at])

    return _in_turn("one to all", circuit, nodes, wanted, strengths, case, at_focal, visit)


def all_to_one(
    circuit: Circuit, nodes: Cells, wanted: NDArray[np.bool_], strengths: Floats, *, at_focal: bool = True,
    visit: Visit | None = None,
) -> Flows:  # fmt: skip
    """Each focal node in turn tied to ground, sources at all the others it is wanted with; all nodes are tied.

    ``strengths`` (n,) are the sources' amperes. ``at_focal`` false sets the current to 0 on the ground and its sources.
    """

    def case(responses: Responses, at: int, others: Sequence[int], own: Floats) -> tuple[Floats, float] | None:
        sources = [s for s in others if responses.connected(at, s) and own[s] != 0]
        if not sources:
            return None
        return responses.all_to_one(at, sources, [float(own[s]) for s in sources]), 0.0

    return _in_turn("all to one", circuit, nodes, wanted, strengths, case, at_focal, visit)


_Case = Callable[[Responses, int, Sequence[int], Floats], tuple[Floats, float] | None]


def _in_turn(
    mode: str, circuit: Circuit, nodes: Cells, wanted: NDArray[np.bool_], strengths: Floats, case: _Case,
    at_focal: bool, visit: Visit | None,
) -> Flows:  # fmt: skip
    alive = _alive(circuit, nodes)
    values, sums = np.full(len(nodes), np.nan), _Sums.of(circuit)
    solved = 1 / (1 + VISIT_TIME)
    with progress_between(0.0, solved):
        responses = circuit.drive([nodes[k] for k in alive])
    chosen, own = wanted[np.ix_(alive, alive)], strengths[alive]
    place = {int(number): at for at, number in enumerate(alive)}

    def take(number: int) -> None:
        at = place.get(number, -1)
        others = [int(k) for k in np.flatnonzero(chosen[at]) if k != at] if at >= 0 else []
        found = case(responses, at, others, own) if others else None
        if found is None:
            if visit is not None:
                visit((number,), np.zeros(circuit.shape), np.zeros(circuit.shape))
            return
        voltage, values[number] = found
        current = responses.current(voltage)
        if not at_focal:
            for k in (at, *(k for k in others if responses.connected(at, k))):
                current.reshape(-1)[responses.branches.cells[responses.index[k]]] = 0.0
        sums.add(current)
        if visit is not None:
            visit((number,), voltage, current)

    content = (mode, circuit.content, nodes, wanted, strengths, at_focal)
    # maps that are asked for one by one are made again; the solves that they follow from are kept
    with resumed("circuit, nodes in turn", content, {**sums.arrays, "values": values}, keep=visit is None) as kept:
        for number in range(kept.first, len(nodes)):
            done = solved + (1 - solved) * number / len(nodes)
            progress(done, f"map of focal node {number + 1} of {len(nodes)}")
            take(number)
            kept.keep(number + 1)
    return Flows(values, sums.cumulative, sums.maximum, responses.residual)


def _first_cell(responses: Responses, node: int) -> int:
    return int(responses.branches.cells[responses.index[node]][0])


def _alive(circuit: Circuit, nodes: Cells) -> Indices:
    """The focal nodes that have a cell in the circuit."""
    inside = circuit.nodes.reshape(-1)
    return np.array([k for k, cells in enumerate(nodes) if inside[cells].any()], np.intp)


# --- advanced ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SourcesAndGrounds:
    """Sources and grounds after their conflicts are resolved, all (rows, columns).

    ``amperes`` into each cell, ``conductance`` to ground (finite, 0 for none), ``direct`` cells tied to ground. Those
    of a shorted group stand at one of its cells.
    """

    amperes: Floats
    conductance: Floats
    direct: NDArray[np.bool_]


def resolve(
    circuit: Circuit, amperes: Floats, conductance: Floats, direct: NDArray[np.bool_], conflicts: Conflicts
) -> SourcesAndGrounds:
    """Sum sources and grounds over shorted groups and settle nodes that have both.

    keepall keeps both, rmvsrc and rmvall drop the source, rmvgnd the ground; then a direct ground under a positive
    source is dropped in any case. (Circuitscape: rmvall drops the source only.)
    """
    nodes = circuit.nodes
    amperes, conductance = (np.where(nodes & np.isfinite(x), x, 0.0) for x in (amperes, conductance))
    direct = direct & nodes
    for cells in circuit.shorted:
        first = cells[np.argmax(circuit.stencil.nodes.reshape(-1)[cells])]
        for values in (amperes, conductance):
            total = values.reshape(-1)[cells].sum()
            values.reshape(-1)[cells] = 0.0
            values.reshape(-1)[first] = total
        tied = direct.reshape(-1)[cells].any()
        direct.reshape(-1)[cells] = False
        direct.reshape(-1)[first] = tied
    return SourcesAndGrounds(*resolve_nodes(amperes, conductance, direct, conflicts))


def ungrounded_source(circuit: Circuit, given: SourcesAndGrounds) -> int | None:
    """The first flat cell with a source in a component without ground; None when every source has one."""
    labels = circuit.components_with(circuit.shorted)
    grounded = np.zeros(int(labels.max(initial=0)) + 1, bool)
    grounded[labels[(given.conductance > 0) | given.direct]] = True
    lost = np.flatnonzero((given.amperes != 0) & ~grounded[labels])
    return int(lost[0]) if lost.size else None


def advanced(circuit: Circuit, given: SourcesAndGrounds) -> tuple[Floats, Floats, float]:
    """Voltages and currents (rows, columns) of given sources and grounds, and the relative residual.

    (L + diag(conductance)) v = amperes with v = 0 at direct grounds, in every component that has a source and a
    ground; 0 elsewhere.
    """
    grounded = circuit.with_ground(given.conductance)
    voltage = grounded.flow(given.amperes, direct=given.direct)
    missing = grounded.imbalance(voltage, given.amperes)
    # what a direct ground takes is no lack, and a source without ground is not solved for
    fed = (voltage != 0) & ~given.direct
    size = float(np.linalg.norm(given.amperes[fed]))
    residual = float(np.linalg.norm(missing[fed])) / size if size > 0 else 0.0
    return voltage, grounded.current(voltage), residual
