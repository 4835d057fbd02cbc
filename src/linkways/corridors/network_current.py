"""Current flow on networks given as tables: patches and links instead of cells."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.corridors.current import Conflicts, DirectGrounds, FocalCurrents, PairsRule, UnitCurrents
from linkways.errors import LinkwaysError, nearest
from linkways.method import Indicator, Param, Table, TableOf, method

if TYPE_CHECKING:
    import pandas as pd

    from linkways.corridors._circuit_graph import Graph

__all__ = ["NetworkCurrent", "network_current"]


@dataclass(frozen=True)
class NetworkCurrent:
    """What current flow on a network gives."""

    resistances: Annotated[
        "pd.DataFrame", TableOf("effective resistance: node_a, node_b, resistance; NaN where current cannot flow")
    ]
    nodes: Annotated[
        "pd.DataFrame", TableOf("current through each node: node, component, cumulative, maximum (amperes)")
    ]
    branches: Annotated[
        "pd.DataFrame", TableOf("current along each branch: node_a, node_b, conductance, cumulative, maximum (amperes)")
    ]
    voltages: Annotated[
        "pd.DataFrame",
        TableOf(
            "voltage and current of each node in each case: case, node, voltage, current; empty when not asked for"
        ),
    ]
    residual: Annotated[float, Indicator("largest relative residual of the solves")]


@method(
    "corridors.network_current",
    references=(
        "McRae BH, Dickson BG, Keitt TH, Shah VB (2008) Using circuit theory to model connectivity in ecology, "
        "evolution, and conservation. Ecology 89:2712-2724",
    ),
)
def network_current(
    branches: Annotated[
        "pd.DataFrame",
        Table("links of the network, with a column resistance or conductance", columns=("node_a", "node_b")),
    ],
    focal_nodes: Annotated[
        "pd.DataFrame | None", Table("nodes that current flows between (pairwise)", columns=("node",))
    ] = None,
    pairs: Annotated[
        "pd.DataFrame | None", Table("pairs of focal nodes to include or exclude", columns=("node_a", "node_b"))
    ] = None,
    sources: Annotated[
        "pd.DataFrame | None", Table("amperes into nodes (advanced)", columns=("node", "amperes"))
    ] = None,
    grounds: Annotated[
        "pd.DataFrame | None",
        Table(
            "nodes tied to ground (advanced), with a column resistance (0: directly) or conductance", columns=("node",)
        ),
    ] = None,
    *,
    mode: Annotated[
        Literal["pairwise", "advanced"], Param("1 A between all pairs of focal nodes, or given sources and grounds")
    ] = "pairwise",
    pairs_rule: PairsRule = "include",
    focal_currents: FocalCurrents = True,
    conflicts: Conflicts = "keepall",
    unit_currents: UnitCurrents = False,
    direct_grounds: DirectGrounds = False,
    case_tables: Annotated[bool, Param("keep the voltages and currents of every case")] = False,
) -> NetworkCurrent:
    """Effective resistances, and the current through nodes and branches, of a network of resistors.

    The voltages of a case solve Kirchhoff's law L v = i, L being the graph Laplacian of the branch conductances; the
    current of a branch is |c (v_a - v_b)|, that of a node the larger of what flows in and what flows out. Parallel
    branches are joined. All pairs follow by superposition from one solve for each focal node (sparse direct, refined).

    Raises LinkwaysError for nodes that are not in the network, branches without resistance or conductance above 0, and
    sources in a part of the network without ground.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import corridors
    >>> links = pd.DataFrame({"node_a": [0, 1, 1, 2, 3], "node_b": [1, 2, 3, 4, 4], "resistance": [1.0] * 5})
    >>> flow = corridors.network_current(links, pd.DataFrame({"node": [0, 4]}))
    >>> flow.resistances
       node_a  node_b  resistance
    0       0       4         2.0
    >>> flow.nodes.cumulative.tolist()
    [1.0, 1.0, 0.5, 0.5, 1.0]
    """
    graph, names = _network(branches)
    if mode == "advanced":
        return _advanced(graph, names, sources, grounds, conflicts, unit_currents, direct_grounds, case_tables)
    return _pairwise(graph, names, focal_nodes, pairs, pairs_rule, focal_currents, case_tables)


def _network(branches: "pd.DataFrame") -> "tuple[Graph, np.ndarray]":
    import pandas as pd

    from linkways.corridors._circuit_network import network_of

    conductance = _conductances(branches, "branches")
    if not len(branches):
        raise LinkwaysError("branches holds no rows; give the links of the network")
    if not (np.isfinite(conductance) & (conductance > 0)).all():
        row = int(np.argmax(~(np.isfinite(conductance) & (conductance > 0))))
        raise LinkwaysError(f"branches, row {row}: resistance and conductance must be finite and above 0")
    ends = pd.concat([branches["node_a"], branches["node_b"]], ignore_index=True)
    if ends.isna().any():
        raise LinkwaysError(f"branches, row {int(ends.isna().argmax()) % len(branches)}: a node has no name")
    codes, names = pd.factorize(ends, sort=True)
    graph, _ = network_of(codes[: len(branches)], codes[len(branches) :], conductance)
    return graph, np.asarray(names)


def _conductances(table: "pd.DataFrame", what: str) -> np.ndarray:
    """Conductances from a column conductance or resistance; a resistance of 0 is infinite conductance."""
    given = [name for name in ("resistance", "conductance") if name in table.columns]
    if len(given) != 1:
        raise LinkwaysError(f"{what} must have one column, resistance or conductance, but has {len(given)} of them")
    values = table[given[0]].to_numpy(float)
    if given[0] == "conductance":
        return values
    return np.asarray(np.divide(1.0, values, out=np.where(values == 0, np.inf, values), where=values != 0))


def _positions(names: np.ndarray, wanted: "pd.Series", what: str) -> np.ndarray:
    place = {name: n for n, name in enumerate(names.tolist())}
    out = []
    for row, name in enumerate(wanted.tolist()):
        if name not in place:
            raise LinkwaysError(
                f"{what}, row {row}: node {name} is not in the network{nearest(str(name), map(str, names))}"
            )
        out.append(place[name])
    return np.array(out, np.intp)


def _pairwise(
    graph: "Graph",
    names: np.ndarray,
    focal_nodes: "pd.DataFrame | None",
    pairs: "pd.DataFrame | None",
    rule: Literal["include", "exclude"],
    at_focal: bool,
    case_tables: bool,
) -> NetworkCurrent:
    import pandas as pd

    from linkways.corridors._circuit_inputs import wanted_pairs
    from linkways.corridors._circuit_network import network_pairwise

    if focal_nodes is None:
        raise LinkwaysError("focal_nodes is missing; mode pairwise needs the nodes that current flows between")
    ids = focal_nodes["node"].tolist()
    if len(set(ids)) < len(ids):
        twice = next(id for n, id in enumerate(ids) if id in ids[:n])
        raise LinkwaysError(f"focal_nodes names node {twice} twice; keep one row")
    focal = _positions(names, focal_nodes["node"], "focal_nodes")
    wanted = wanted_pairs(pairs, ids, rule)
    cases: list[pd.DataFrame] = []

    def visit(
        case: tuple[int, ...], inside: np.ndarray, voltage: np.ndarray, through: np.ndarray, _along: np.ndarray
    ) -> None:
        name = "-".join(str(ids[k]) for k in case)
        cases.append(_case(name, names[inside], voltage[inside], through[inside]))

    flows = network_pairwise(graph, focal, wanted, at_focal=at_focal, visit=visit if case_tables else None)
    a, b = np.nonzero(np.triu(wanted, 1))
    named = [ids[k] for k in a], [ids[k] for k in b]
    return NetworkCurrent(
        resistances=pd.DataFrame({"node_a": named[0], "node_b": named[1], "resistance": flows.resistance[a, b]}),
        nodes=_nodes(graph, names, flows.node_cumulative, flows.node_maximum),
        branches=_branches(graph, names, flows.branch_cumulative, flows.branch_maximum),
        voltages=pd.concat(cases, ignore_index=True) if cases else _case("", names[:0], np.empty(0), np.empty(0)),
        residual=flows.residual,
    )


def _advanced(
    graph: "Graph",
    names: np.ndarray,
    sources: "pd.DataFrame | None",
    grounds: "pd.DataFrame | None",
    conflicts: str,
    unit_currents: bool,
    direct_grounds: bool,
    case_tables: bool,
) -> NetworkCurrent:
    import pandas as pd

    from linkways.corridors._circuit_network import network_advanced, resolve_nodes

    if sources is None or grounds is None:
        raise LinkwaysError("mode advanced needs both sources (node, amperes) and grounds (node, resistance)")
    amperes = np.zeros(graph.nodes)
    given = sources["amperes"].to_numpy(float)
    np.add.at(amperes, _positions(names, sources["node"], "sources"), np.sign(given) if unit_currents else given)
    conductance, direct = np.zeros(graph.nodes), np.zeros(graph.nodes, bool)
    leak = _conductances(grounds, "grounds")
    if not (leak >= 0).all():
        raise LinkwaysError(f"grounds, row {int(np.argmin(leak >= 0))}: resistance and conductance must be 0 or above")
    at = _positions(names, grounds["node"], "grounds")
    tied = np.isinf(leak) | (direct_grounds & (leak > 0))
    direct[at[tied]] = True
    np.add.at(conductance, at[~tied], leak[~tied])
    amperes, conductance, direct = resolve_nodes(amperes, conductance, direct, conflicts)
    _refuse_ungrounded(graph, names, amperes, (conductance > 0) | direct)
    voltage, through, along, residual = network_advanced(graph, amperes, conductance, direct)
    return NetworkCurrent(
        resistances=pd.DataFrame({"node_a": [], "node_b": [], "resistance": []}),
        nodes=_nodes(graph, names, through, through),
        branches=_branches(graph, names, along, along),
        voltages=_case("advanced", names, voltage, through)
        if case_tables
        else _case("", names[:0], *[np.empty(0)] * 2),
        residual=residual,
    )


def _refuse_ungrounded(graph: "Graph", names: np.ndarray, amperes: np.ndarray, grounded: np.ndarray) -> None:
    has = np.bincount(graph.component, grounded) > 0
    lost = np.flatnonzero((amperes != 0) & ~has[graph.component])
    if lost.size:
        raise LinkwaysError(
            f"the source at node {names[lost[0]]} lies in a part of the network without ground, so its current cannot "
            "leave; give that part a ground or drop the source"
        )


def _case(name: str, nodes: np.ndarray, voltage: np.ndarray, through: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({"case": [name] * len(nodes), "node": nodes, "voltage": voltage, "current": through})


def _nodes(graph: "Graph", names: np.ndarray, total: np.ndarray, top: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({"node": names, "component": graph.component + 1, "cumulative": total, "maximum": top})


def _branches(graph: "Graph", names: np.ndarray, total: np.ndarray, top: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    columns: dict[str, Any] = {"node_a": names[graph.tail], "node_b": names[graph.head]}
    return pd.DataFrame({**columns, "conductance": graph.conductance, "cumulative": total, "maximum": top})
