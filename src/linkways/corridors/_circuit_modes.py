"""The four ways to drive a circuit: pairwise, one-to-all, all-to-one and advanced (McRae et al. 2008; Circuitscape).

Arrays in, arrays out. Focal nodes are groups of flat cells; those without a cell in the circuit take part in nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from linkways.corridors._circuit import FACTOR_CELLS, FACTOR_TERMINALS, Circuit
from linkways.corridors._circuit_maps import rim_of
from linkways.corridors._circuit_network import resolve_nodes
from linkways.corridors._circuit_regions import region_pairs
from linkways.corridors._circuit_responses import Responses
from linkways.method import progress

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
    responses = circuit.drive([nodes[k] for k in alive])
    chosen = wanted[np.ix_(alive, alive)] | np.eye(len(alive), dtype=bool)
    resistance[np.ix_(alive, alive)] = np.where(chosen, responses.resistances, np.nan)
    s, t = np.nonzero(np.triu(chosen, 1))
    if maps:
        cumulative, maximum = responses.current_sums(np.column_stack([s, t]), at_focal=at_focal)
        sums = _Sums(cumulative, maximum)
    if visit is not None:
        for done, (a, b) in enumerate(zip(s.tolist(), t.tolist(), strict=True)):
            progress(done / len(s), f"map {done + 1} of {len(s)}")
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
    n = len(nodes)
    resistance = np.full((n, n), np.nan)
    np.fill_diagonal(resistance, 0.0)
    sums, worst = _Sums.of(circuit), 0.0
    pairs = [(int(a), int(b)) for a in alive for b in alive if a < b and wanted[a, b]]
    drawn = maps or visit is not None
    for done, ((a, b), found) in enumerate(_pair_solutions(circuit, nodes, pairs, drawn)):
        progress(done / len(pairs), f"pair {done + 1} of {len(pairs)}")
        worst = max(worst, found.residual)
        resistance[a, b] = resistance[b, a] = found.resistance
        if not np.isfinite(found.resistance) or found.voltage is None:
            continue
        own = circuit.tied([nodes[a], nodes[b]])
        # two regions that are one node carry no current
        current = own.current(found.voltage) if found.resistance > 0 else np.zeros(circuit.shape)
        if not at_focal:
            current.reshape(-1)[_group_of(own, nodes[a])] = current.reshape(-1)[_group_of(own, nodes[b])] = 0.0
        sums.add(current)
        if visit is not None:
            visit((a, b), found.voltage, current)
    return Flows(resistance, sums.cumulative, sums.maximum, worst)


@dataclass(frozen=True)
class _PairSolution:
    resistance: float
    voltage: Floats | None
    residual: float


def _pair_solutions(
    circuit: Circuit, nodes: Cells, pairs: list[tuple[int, int]], drawn: bool
) -> Iterator[tuple[tuple[int, int], _PairSolution]]:
    """Pairs one by one: from one factorisation where there are several and it fits in memory, else each anew."""
    used = sorted({k for pair in pairs for k in pair})
    rims = sum(len(rim_of(circuit.stencil, cells)) for cells in (*circuit.shorted, *(nodes[k] for k in used)))
    if len(pairs) < FEW_PAIRS or rims > FACTOR_TERMINALS or circuit.nodes.size > FACTOR_CELLS:
        for a, b in pairs:
            yield (a, b), _driven(circuit, nodes[a], nodes[b], drawn)
        return
    place = {k: n for n, k in enumerate(used)}
    regions = region_pairs(circuit, [nodes[k] for k in used])
    for first in range(0, len(pairs), TOGETHER):
        chosen = pairs[first : first + TOGETHER]
        found = [regions.potentials(place[a], place[b]) for a, b in chosen]
        joined = [n for n, one in enumerate(found) if one is not None and one[0] > 0] if drawn else []
        own = [(place[chosen[n][0]], place[chosen[n][1]]) for n in joined]
        held = regions.voltages(own, [found[n][1] for n in joined]) if joined else ()  # type: ignore[index]
        maps = dict(zip(joined, held, strict=True))
        for n, ((a, b), one) in enumerate(zip(chosen, found, strict=True)):
            yield (a, b), _checked_pair(circuit, nodes[a], nodes[b], one, maps.get(n), drawn)


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

    return _in_turn(circuit, nodes, wanted, strengths, case, at_focal, visit)


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

    return _in_turn(circuit, nodes, wanted, strengths, case, at_focal, visit)


_Case = Callable[[Responses, int, Sequence[int], Floats], tuple[Floats, float] | None]


def _in_turn(
    circuit: Circuit, nodes: Cells, wanted: NDArray[np.bool_], strengths: Floats, case: _Case, at_focal: bool,
    visit: Visit | None,
) -> Flows:  # fmt: skip
    alive = _alive(circuit, nodes)
    values, sums = np.full(len(nodes), np.nan), _Sums.of(circuit)
    responses = circuit.drive([nodes[k] for k in alive])
    chosen, own = wanted[np.ix_(alive, alive)], strengths[alive]
    place = {int(number): at for at, number in enumerate(alive)}
    for number in range(len(nodes)):
        progress(number / len(nodes), f"focal node {number + 1} of {len(nodes)}")
        at = place.get(number, -1)
        others = [int(k) for k in np.flatnonzero(chosen[at]) if k != at] if at >= 0 else []
        found = case(responses, at, others, own) if others else None
        if found is None:
            if visit is not None:
                visit((number,), np.zeros(circuit.shape), np.zeros(circuit.shape))
            continue
        voltage, values[number] = found
        current = responses.current(voltage)
        if not at_focal:
            for k in (at, *(k for k in others if responses.connected(at, k))):
                current.reshape(-1)[responses.branches.cells[responses.index[k]]] = 0.0
        sums.add(current)
        if visit is not None:
            visit((number,), voltage, current)
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
