"""Current flow: effective resistance, and where movement concentrates between places."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.corridors.cost_distance import Neighbours
from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, Table, TableOf, Vector, estimate_of, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.corridors._circuit import Circuit
    from linkways.corridors._circuit_inputs import FocalNodes
    from linkways.corridors._circuit_modes import Flows, Visit
    from linkways.corridors._landscape import Landscape
    from linkways.estimates import Estimate, Sampled

__all__ = ["CurrentFlow", "current", "resistance_matrix"]

BYTES_OF_CIRCUIT, BYTES_OF_PROBLEM, BYTES_OF_FACTOR = 110.0, 40.0, 870.0
"""Per cell: of the raster and its hierarchy, of each problem solved at a time, and where all is factored once."""

MCRAE = (
    "McRae BH, Dickson BG, Keitt TH, Shah VB (2008) Using circuit theory to model connectivity in ecology, evolution, "
    "and conservation. Ecology 89:2712-2724"
)
HALL = (
    "Hall KR, Anantharaman R, Landau VA, et al. (2021) Circuitscape in Julia: empowering dynamic approaches to "
    "connectivity assessment. Land 10:301"
)

Values = Annotated[
    Literal["resistance", "conductance"],
    Param("what the raster holds: resistance to movement, or its inverse (then 0 is a barrier)"),
]
Average = Annotated[
    Literal["resistance", "conductance"],
    Param(
        "a step between two cells has their mean conductance, or the conductance of their mean resistance",
        source="conductance is the default of Circuitscape; resistance is the rule of the least-cost methods",
    ),
]
StepRule = Annotated[
    Literal["cells", "metres"],
    Param(
        "lengths of steps: 1 and the root of 2 cells, or the metres between cell centres",
        source="cells as in Circuitscape",
    ),
]
PairsRule = Annotated[Literal["include", "exclude"], Param("whether pairs lists the only pairs, or those to leave out")]
Conflicts = Annotated[
    Literal["keepall", "rmvsrc", "rmvgnd", "rmvall"],
    Param(
        "a cell with both a source and a ground: keep both, drop the source (rmvsrc, rmvall) or the ground (rmvgnd); a "
        "direct ground under a positive source is always dropped",
        source="Circuitscape, whose rmvall drops the source only",
    ),
]
GroundValues = Annotated[
    Literal["resistance", "conductance"],
    Param("what grounds hold; a resistance of 0 ties the cell to ground directly"),
]
UnitCurrents = Annotated[bool, Param("every source gives 1 A, or takes 1 A where it is negative")]
DirectGrounds = Annotated[bool, Param("every ground ties its cell to ground directly, whatever its value")]
FocalCurrents = Annotated[
    bool,
    Param(
        "show the current on the focal nodes of a case; false: 0 there, so that the flow of others stands out",
        source="set_focal_node_currents_to_zero of Circuitscape 4 when false",
    ),
]


@dataclass(frozen=True)
class CurrentFlow:
    """What current flow gives."""

    resistances: Annotated[
        "pd.DataFrame",
        TableOf(
            "effective resistance: node_a, node_b, resistance (pairwise), or node, resistance (one-to-all, "
            "all-to-one); NaN where current cannot flow"
        ),
    ]
    cumulative: Annotated["xr.DataArray", Layer("current through each cell, summed over all cases", unit="amperes")]
    maximum: Annotated["xr.DataArray", Layer("largest current through each cell in any case", unit="amperes")]
    case_currents: Annotated[
        "xr.DataArray | None", Layer("current map of each case (case, y, x), on request", unit="amperes")
    ]
    voltages: Annotated[
        "xr.DataArray | None",
        Layer("voltage map of each case (case, y, x), on request", unit="amperes x resistance"),
    ]
    residual: Annotated[float, Indicator("largest relative residual of the solves")]


@method("corridors.current", references=(MCRAE, HALL))
def current(
    resistance: Annotated["xr.DataArray", Raster("resistance to movement, or conductance", unit="resistance")],
    focal_nodes: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("points or regions that current flows between; column node (or core) numbers them when present"),
    ] = None,
    short_circuits: Annotated[
        "gpd.GeoDataFrame | None", Vector("regions without resistance: each feature is one node")
    ] = None,
    pairs: Annotated[
        "pd.DataFrame | None", Table("pairs of focal nodes to include or exclude", columns=("node_a", "node_b"))
    ] = None,
    strengths: Annotated[
        "pd.DataFrame | None",
        Table("amperes of focal nodes (one-to-all, all-to-one); 1 for others", columns=("node", "strength")),
    ] = None,
    mask: Annotated["xr.DataArray | None", Raster("cells that are nodata or not above 0 are left out")] = None,
    sources: Annotated["xr.DataArray | None", Raster("amperes into cells (advanced)", unit="amperes")] = None,
    grounds: Annotated["xr.DataArray | None", Raster("resistance or conductance to ground (advanced)")] = None,
    source_points: Annotated[
        "gpd.GeoDataFrame | None", Vector("sources as features (advanced)", columns=("amperes",))
    ] = None,
    ground_points: Annotated[
        "gpd.GeoDataFrame | None", Vector("grounds as features (advanced)", columns=("value",))
    ] = None,
    *,
    mode: Annotated[
        Literal["pairwise", "one_to_all", "all_to_one", "advanced"],
        Param("1 A between all pairs; from one node to all others; from all others to one; given sources and grounds"),
    ] = "pairwise",
    values: Values = "resistance",
    average: Average = "conductance",
    neighbours: Neighbours = 8,
    step_lengths: StepRule = "cells",
    pairs_rule: PairsRule = "include",
    regions: Annotated[
        Literal["pair", "all"],
        Param(
            "pairwise, regions of several cells: free of resistance only in their own pairs, or in all (much faster)",
            source="pair is the rule of Circuitscape; all that of its other modes",
        ),
    ] = "pair",
    focal_currents: FocalCurrents = True,
    ground_values: GroundValues = "resistance",
    conflicts: Conflicts = "keepall",
    unit_currents: UnitCurrents = False,
    direct_grounds: DirectGrounds = False,
    case_maps: Annotated[bool, Param("keep the current map of every case")] = False,
    voltage_maps: Annotated[bool, Param("keep the voltage map of every case")] = False,
    many_nodes: Annotated[bool, Param("allow more than 5000 focal nodes")] = False,
) -> CurrentFlow:
    """Effective resistances and current maps of a landscape seen as an electrical circuit.

    Cells are nodes; neighbours a and b at distance d are joined by the conductance (g_a + g_b) / (2 d), or
    2 / ((r_a + r_b) d) with ``average`` resistance. The voltages of a case solve Kirchhoff's law L v = i, L being the
    graph Laplacian; the effective resistance of a pair is its voltage at 1 A. The current through a cell is the larger
    of what flows in and what flows out. A focal node or short circuit of several cells is one node.

    Modes: ``pairwise`` puts 1 A between every two focal nodes; ``one_to_all`` a source at each node in turn with all
    others tied to ground; ``all_to_one`` one ground and sources at all others; ``advanced`` takes sources (amperes) and
    grounds as they are given. All cases follow by superposition from at most one solve for each focal node and short
    circuit, but for pairs of regions under ``regions`` pair. Every solve is checked: its relative residual is at most
    1e-8, or the method ends in an error that tells it.

    Resistances are per step: with ``step_lengths`` cells the unit is the raster's, with metres it is that times metres.
    Nodes that current cannot join have resistance NaN.

    Thin barriers: with ``average`` conductance a step into a barrier still conducts half as well as open land, so that
    a fence, road or river one cell wide hardly slows current. Use ``average`` resistance, or nodata where nothing can
    cross, and burn lines in on the grid that is used (``overlays`` of `corridors.resistance`): a fence thinner than a
    cell is lost or thinned out when a raster is resampled.

    Raises LinkwaysError for focal nodes on nodata, numbered twice or sharing cells, more than 5000 of them, values that
    are no resistance, a source in a part of the landscape without ground, and maps that no memory holds.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import corridors, spatial
    >>> resistance = spatial.new_raster(np.full((1, 4), 2.0), crs="EPSG:3035", cell_size=100)
    >>> ends = gpd.GeoDataFrame(geometry=[shapely.Point(50, -50), shapely.Point(350, -50)], crs="EPSG:3035")
    >>> flow = corridors.current(resistance, ends)
    >>> flow.resistances
       node_a  node_b  resistance
    0       1       2         6.0
    >>> flow.cumulative.values.round(6)
    array([[1., 1., 1., 1.]])
    """
    from linkways.corridors._circuit_inputs import circuit_of
    from linkways.corridors._circuit_inputs import focal_nodes as nodes_of

    circuit, landscape = circuit_of(
        resistance, mask, short_circuits, values=values, average=average, neighbours=neighbours,
        step_lengths=step_lengths,
    )  # fmt: skip
    if mode == "advanced":
        given = (sources, source_points, grounds, ground_points)
        rules = {"ground_values": ground_values, "unit_currents": unit_currents, "direct_grounds": direct_grounds}
        return _advanced(circuit, landscape, given, rules, conflicts, voltage_maps)
    _refuse_advanced_inputs(
        mode, sources=sources, source_points=source_points, grounds=grounds, ground_points=ground_points
    )
    nodes = nodes_of(focal_nodes, circuit, landscape, many=many_nodes)
    return _between(
        circuit, landscape, nodes, pairs, strengths, mode=mode, pairs_rule=pairs_rule, together=regions == "all",
        at_focal=focal_currents, case_maps=case_maps, voltage_maps=voltage_maps,
    )  # fmt: skip


def resistance_matrix(resistances: "pd.DataFrame") -> "pd.DataFrame":
    """The table of pairwise effective resistances as a symmetric matrix, 0 on its diagonal, NaN for pairs left out.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import corridors
    >>> corridors.resistance_matrix(pd.DataFrame({"node_a": [1], "node_b": [4], "resistance": [2.5]}))
         1    4
    1  0.0  2.5
    4  2.5  0.0
    """
    import pandas as pd

    ids = sorted({*resistances["node_a"], *resistances["node_b"]})
    place = {id: n for n, id in enumerate(ids)}
    matrix = np.full((len(ids), len(ids)), np.nan)
    np.fill_diagonal(matrix, 0.0)
    a, b = ([place[id] for id in resistances[name]] for name in ("node_a", "node_b"))
    matrix[a, b] = matrix[b, a] = resistances["resistance"]
    return pd.DataFrame(matrix, index=ids, columns=ids)


def _refuse_advanced_inputs(mode: str, **given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise LinkwaysError(f"{name} is for mode advanced, but mode is {mode}; leave it out or change the mode")


def _between(
    circuit: "Circuit",
    landscape: "Landscape",
    nodes: "FocalNodes",
    pairs: "pd.DataFrame | None",
    strengths: "pd.DataFrame | None",
    *,
    mode: str,
    pairs_rule: Literal["include", "exclude"],
    together: bool,
    at_focal: bool,
    case_maps: bool,
    voltage_maps: bool,
) -> CurrentFlow:
    from linkways.corridors._circuit_inputs import refuse_too_many, source_strengths, wanted_pairs
    from linkways.corridors._circuit_modes import all_to_one, one_to_all, pairwise

    wanted = wanted_pairs(pairs, nodes.ids, pairs_rule)
    cases = int(np.triu(wanted).sum()) if mode == "pairwise" else len(nodes.ids)
    kept = _Kept(circuit, nodes.ids, case_maps, voltage_maps)
    refuse_too_many(cases * (case_maps + voltage_maps), circuit.shape, "case_maps or voltage_maps")
    if mode == "pairwise":
        if strengths is not None:
            raise LinkwaysError("strengths is for modes one_to_all and all_to_one; pairs always carry 1 A")
        flows = pairwise(circuit, nodes.cells, wanted, together=together, at_focal=at_focal, visit=kept.visit)
    else:
        run = one_to_all if mode == "one_to_all" else all_to_one
        amperes = source_strengths(strengths, nodes.ids)
        flows = run(circuit, nodes.cells, wanted, amperes, at_focal=at_focal, visit=kept.visit)
    return CurrentFlow(
        resistances=_table(nodes.ids, wanted, flows),
        cumulative=_layer(landscape, circuit, flows.cumulative, "cumulative", "amperes"),
        maximum=_layer(landscape, circuit, flows.maximum, "maximum", "amperes"),
        case_currents=kept.layer(landscape, kept.currents, "case_currents", "amperes") if case_maps else None,
        voltages=kept.layer(landscape, kept.voltages, "voltages", "amperes x resistance") if voltage_maps else None,
        residual=flows.residual,
    )


def _table(ids: tuple[int, ...], wanted: np.ndarray, flows: "Flows") -> "pd.DataFrame":
    import pandas as pd

    if flows.resistance.ndim == 1:
        return pd.DataFrame({"node": ids, "resistance": flows.resistance})
    a, b = np.nonzero(np.triu(wanted, 1))
    names = np.array(ids)
    return pd.DataFrame({"node_a": names[a], "node_b": names[b], "resistance": flows.resistance[a, b]})


def _layer(landscape: "Landscape", circuit: "Circuit", values: np.ndarray, name: str, units: str) -> "xr.DataArray":
    return landscape.like(np.where(circuit.nodes, values, np.nan), name, units=units)


class _Kept:
    """The maps of cases that were asked for."""

    def __init__(self, circuit: "Circuit", ids: tuple[int, ...], currents: bool, voltages: bool) -> None:
        self.nodes, self.ids = circuit.nodes, ids
        self.wants = currents, voltages
        self.names: list[str] = []
        self.currents: list[np.ndarray] = []
        self.voltages: list[np.ndarray] = []

    @property
    def visit(self) -> "Visit | None":
        return self._keep if any(self.wants) else None

    def _keep(self, case: tuple[int, ...], voltage: np.ndarray, current: np.ndarray) -> None:
        self.names.append("-".join(str(self.ids[k]) for k in case))
        if self.wants[0]:
            self.currents.append(np.where(self.nodes, current, np.nan))
        if self.wants[1]:
            self.voltages.append(np.where(self.nodes, voltage, np.nan))

    def layer(self, landscape: "Landscape", maps: list[np.ndarray], name: str, units: str) -> "xr.DataArray":
        import xarray as xr

        layers = [landscape.like(values, name, units=units) for values in maps]
        if not layers:
            layers = [landscape.like(np.full(landscape.shape, np.nan), name, units=units)]
            self.names = ["none"]
        return xr.concat(layers, dim=xr.Variable("case", self.names), combine_attrs="override")


def _advanced(
    circuit: "Circuit",
    landscape: "Landscape",
    given: tuple[Any, Any, Any, Any],
    rules: dict[str, Any],
    conflicts: Any,
    voltage_maps: bool,
) -> CurrentFlow:
    import pandas as pd

    from linkways.corridors._circuit_inputs import amperes_and_grounds
    from linkways.corridors._circuit_modes import advanced, resolve, ungrounded_source

    settled = resolve(circuit, *amperes_and_grounds(landscape, *given, **rules), conflicts)
    lost = ungrounded_source(circuit, settled)
    if lost is not None:
        row, column = divmod(lost, circuit.shape[1])
        raise LinkwaysError(
            f"the source at row {row} column {column} lies in a part of the landscape without ground, so its current "
            "cannot leave; give that part a ground or drop the source"
        )
    voltage, through, residual = advanced(circuit, settled)
    layer = _layer(landscape, circuit, through, "cumulative", "amperes")
    potential = _layer(landscape, circuit, voltage, "voltages", "amperes x resistance").expand_dims(case=["advanced"])
    return CurrentFlow(
        resistances=pd.DataFrame({"node_a": [], "node_b": [], "resistance": []}),
        cumulative=layer,
        maximum=layer.rename("maximum"),
        case_currents=None,
        voltages=potential if voltage_maps else None,
        residual=residual,
    )


# --- what it takes -----------------------------------------------------------------------------------------------


@estimate_of(current)
def _estimate(arguments: dict[str, Any]) -> "Estimate":
    """On thinned ground; of many focal nodes or pairs a few."""
    from linkways.corridors._circuit_inputs import circuit_of, wanted_pairs
    from linkways.corridors._circuit_inputs import focal_nodes as nodes_of

    rules = ("values", "average", "neighbours", "step_lengths")
    circuit, landscape = circuit_of(
        *(arguments[name] for name in ("resistance", "mask", "short_circuits")), **{k: arguments[k] for k in rules}
    )
    cells = circuit.nodes.size
    if arguments["mode"] == "advanced":
        found = _few_of(arguments, circuit.nodes, lambda _: {}, 1, 1)
        return found.estimate((BYTES_OF_CIRCUIT + 2 * BYTES_OF_PROBLEM) * cells, f"{cells:,} cells, one solve")
    nodes = nodes_of(arguments["focal_nodes"], circuit, landscape, many=arguments["many_nodes"])
    wanted = wanted_pairs(arguments["pairs"], nodes.ids, arguments["pairs_rule"])
    pairs = int(np.triu(wanted).sum())
    of_regions = arguments["mode"] == "pairwise" and any(len(own) > 1 for own in nodes.cells)
    if of_regions and arguments["regions"] == "pair":
        return _estimate_in_turn(arguments, circuit, nodes, wanted)
    count = len(nodes.ids)

    def some_nodes(number: int) -> dict[str, Any]:
        if number == count:
            return {}
        return _with_nodes(arguments, {nodes.ids[n] for n in np.linspace(0, count - 1, number).astype(int)})

    at_once = 4 * circuit.threads
    found = _few_of(arguments, circuit.nodes, some_nodes, count, at_once)
    problems = min(count + len(circuit.shorted) - 1, at_once)
    maps = (arguments["case_maps"] + arguments["voltage_maps"]) * (pairs if arguments["mode"] == "pairwise" else count)
    bytes_ = BYTES_OF_CIRCUIT + BYTES_OF_PROBLEM * problems + 8.0 * (count + len(circuit.shorted)) + 16.0 * maps
    return found.estimate(bytes_ * cells, f"{cells:,} cells, {count} focal nodes")


def _estimate_in_turn(
    arguments: dict[str, Any], circuit: "Circuit", nodes: "FocalNodes", wanted: np.ndarray
) -> "Estimate":
    """Pairs of regions: first neighbours in the list, so that few pairs have all regions among them."""
    import pandas as pd

    from linkways.corridors._circuit import FACTOR_CELLS, FACTOR_TERMINALS
    from linkways.corridors._circuit_maps import rim_of
    from linkways.corridors._circuit_modes import FEW_PAIRS

    pairs = sorted(np.argwhere(np.triu(wanted)).tolist(), key=lambda pair: (pair[1] - pair[0], pair[0]))
    rims = sum(len(rim_of(circuit.stencil, cells)) for cells in (*circuit.shorted, *nodes.cells))
    at_once = len(pairs) >= FEW_PAIRS and rims <= FACTOR_TERMINALS and circuit.nodes.size <= FACTOR_CELLS

    def some_pairs(number: int) -> dict[str, Any]:
        rows = [(nodes.ids[a], nodes.ids[b]) for a, b in pairs[:number]]
        return {"pairs": pd.DataFrame(rows, columns=["node_a", "node_b"]), "pairs_rule": "include"}

    few = max(len(nodes.ids) - 1, FEW_PAIRS) if at_once else 1
    found = _few_of(arguments, circuit.nodes, some_pairs, len(pairs), few, power=1.2 if at_once else 1.05)
    maps = 16.0 * (arguments["case_maps"] + arguments["voltage_maps"]) * len(pairs)
    bytes_ = BYTES_OF_FACTOR if at_once else BYTES_OF_CIRCUIT + 2 * BYTES_OF_PROBLEM
    cells = circuit.nodes.size
    return found.estimate((bytes_ + maps) * cells, f"{cells:,} cells, {len(pairs)} pairs of regions")


def _few_of(
    arguments: dict[str, Any],
    passable: np.ndarray,
    fewer: Callable[[int], dict[str, Any]],
    items: int,
    few: int,
    *,
    power: float = 1.05,
) -> "Sampled":
    from linkways.estimates import sampled, thinned

    def prepare(shape: tuple[int, int], count: int) -> Callable[[], CurrentFlow]:
        given = thinned(
            {**arguments, **fewer(count)}, shape, passable,
            apart=("focal_nodes",), peaks=("sources", "grounds"), texture="resistance",
        )  # fmt: skip
        return lambda: current(**given)

    return sampled(passable.shape, prepare, items=items, few=few, more=4 * few, power=power)


def _with_nodes(arguments: dict[str, Any], ids: set[int]) -> dict[str, Any]:
    """Some of the focal nodes, all of their pairs, and their strengths."""
    from linkways.corridors._landscape import core_table

    frame = arguments["focal_nodes"]
    named = frame.assign(core=frame["node"]) if "node" in frame.columns else frame
    table = core_table(named, "focal_nodes")
    strengths = arguments["strengths"]
    return {
        "focal_nodes": table[table["core"].isin(ids)].drop(columns="node", errors="ignore"),
        "pairs": None,
        "pairs_rule": "include",
        "strengths": None if strengths is None else strengths[strengths["node"].isin(ids)],
    }
