"""The connectivity and fragmentation indices of a habitat network in one table."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Param, Table, TableOf, method, progress

if TYPE_CHECKING:
    import pandas as pd

    from linkways.networks._graph import Network

__all__ = ["Indices", "indices"]


@dataclass(frozen=True)
class Indices:
    """The indices of a habitat network, and the patches' parts in some."""

    indices: Annotated["pd.DataFrame", TableOf("index, value, unit, and convention: what exactly was computed")]
    patches: Annotated[
        "pd.DataFrame",
        TableOf(
            "patch, its attribute, links (that join it), component, inflow (sum over other patches j of a_j p*_ij), F "
            "and IF (flux and interaction flux as in Graphab), metapopulation_share"
        ),
    ]
    equivalent_connectivity: Annotated[
        float, Indicator("EC(PC): attribute of one patch as well connected as the network", unit="as the attribute")
    ]
    equivalent_connectivity_binary: Annotated[float, Indicator("EC(IIC), the same by hops", unit="as the attribute")]
    components: Annotated[int, Indicator("groups of patches that links join")]
    effective_mesh_size: Annotated[float, Indicator("effective mesh size of the patches", unit="as the attribute")]
    metapopulation_capacity: Annotated[
        float, Indicator("metapopulation capacity, exponential kernel, M_ii = 0", unit="square of the attribute's")
    ]


@dataclass(frozen=True)
class _Row:
    index: str
    value: float
    unit: str
    convention: str


@method(
    "networks.indices",
    references=(
        "Pascual-Hortal L, Saura S (2006) Comparison and development of new graph-based landscape connectivity "
        "indices. Landscape Ecology 21:959-967",
        "Saura S, Pascual-Hortal L (2007) A new habitat availability index to integrate connectivity in landscape "
        "conservation planning. Landscape and Urban Planning 83:91-103",
        "Saura S, Estreguil C, Mouton C, Rodriguez-Freire M (2011) Network analysis to assess landscape connectivity "
        "trends. Ecological Indicators 11:407-416 (equivalent connected area)",
        "Saura S, Torne J (2009) Conefor Sensinode 2.2. Environmental Modelling and Software 24:135-139",
        "Foltete JC, Clauzel C, Vuidel G (2012) A software tool dedicated to the modelling of landscape networks. "
        "Environmental Modelling and Software 38:316-327",
        "Jaeger JAG (2000) Landscape division, splitting index, and effective mesh size. Landscape Ecology 15:115-130",
        "Moser B, Jaeger JAG, Tappeiner U, Tasser E, Eiselt B (2007) Modification of the effective mesh size for "
        "measuring landscape fragmentation to solve the boundary problem. Landscape Ecology 22:447-459",
        "Hanski I, Ovaskainen O (2000) The metapopulation capacity of a fragmented landscape. Nature 404:755-758",
    ),
)
def indices(
    patches: Annotated["pd.DataFrame", Table("habitat patches with their attribute", columns=("patch",))],
    links: Annotated["pd.DataFrame", Table("links between patches", columns=("patch_a", "patch_b"))],
    *,
    attribute: Annotated[str, Param("column of patches that holds the attribute a_i")] = "area_ha",
    weight: Annotated[
        Literal["distance_m", "cost", "probability"], Param("column of links that says how far apart patches are")
    ] = "distance_m",
    distance: Annotated[
        float | None, Param("distance (m) or cost of a link whose probability is `probability`", gt=0)
    ] = None,
    probability: Annotated[
        float, Param("probability of a link as long as the distance: 0.5 at a median, 0.05 at a maximum", gt=0, lt=1)
    ] = 0.5,
    threshold: Annotated[
        float | None,
        Param(
            "in the binary indices a link joins its patches when its weight is below this (a probability: above); the "
            "distance when left out (a probability: 0)",
            ge=0,
        ),
    ] = None,
    landscape_area: Annotated[
        float | None, Param("area A_L of the whole landscape, habitat or not, in the unit of the attribute", gt=0)
    ] = None,
    inside: Annotated[
        str | None,
        Param("column of patches with the part of the attribute inside a reporting unit, for cross-boundary MESH"),
    ] = None,
    beta: Annotated[float, Param("exponent of the attribute in F and IF of each patch", ge=0)] = 1.0,
    smallest_probability: Annotated[
        float, Param("leave out pairs whose best path is less probable than this; 0 leaves none out", ge=0, lt=1)
    ] = 0.0,
    hops: Annotated[bool, Param("also compute what needs all paths of the binary graph: IIC, H, CPL, GD")] = True,
) -> Indices:
    """Connectivity and fragmentation indices of a habitat network, each with its unit and convention.

    Sums run over all pairs of patches in both orders, i = j included where the sum says so; p*_ij is the probability
    of the best path (the product of its links), nl_ij the number of links of the shortest path in the binary graph.

    - PCnum = sum_ij a_i a_j p*_ij, EC(PC) = sqrt(PCnum), PC = PCnum / A_L^2; its parts in %: intra (i = j), direct
      (what the links alone give) and step (the rest, by way of stepping stones)
    - IICnum = sum_ij a_i a_j / (1 + nl_ij), EC(IIC), IIC and the same parts
    - F = sum_{i != j} p_ij and AWF = sum_{i != j} a_i a_j p_ij over the links alone
    - NL, NC: joining links and components; with A_c the attribute of a component and A their sum: CCP = sum (A_c/A)^2,
      LCP = sum (A_c/A_L)^2, ECS = sum A_c^2 / A, MSC = A / NC, SLC = max A_c
    - H = sum over unordered pairs of 1 / nl_ij, CPL the mean nl_ij of connected pairs, GD the longest shortest path by
      weight
    - MESH = sum a_i^2 / A_t, DIVISION = 1 - sum (a_i / A_t)^2, SPLIT = A_t^2 / sum a_i^2 over single patches, A_t =
      A_L or, without one, the sum of the patches; MESH_CBC = sum a_i,inside a_i / A_t counts the whole of a patch that
      reaches out of the reporting unit
    - lambda_M: metapopulation capacity of M_ij = p_ij a_i a_j over the links, M_ii = 0

    With a ``smallest_probability`` eps, PCnum lacks at most eps times the attribute products of the pairs left out;
    that bound is in the table.

    Raises LinkwaysError for an attribute or weight that is missing or negative, a link to an unknown patch or of a
    patch to itself, and for a landscape smaller than its patches.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import networks
    >>> patches = pd.DataFrame({"patch": ["a", "b"], "area_ha": [3.0, 4.0]})
    >>> links = pd.DataFrame({"patch_a": ["a"], "patch_b": ["b"], "distance_m": [500.0]})
    >>> found = networks.indices(patches, links, distance=500, threshold=1000, landscape_area=100)
    >>> found.indices.set_index("index").value[["PCnum", "EC(PC)", "NC"]].round(3).to_dict()  # 9 + 16 + 2 x 12 x 0.5
    {'PCnum': 37.0, 'EC(PC)': 6.083, 'NC': 1.0}
    """
    import pandas as pd

    from linkways.networks._graph import area_unit, check_landscape, network, read_attribute
    from linkways.networks._metapopulation import landscape_matrix, leading

    id = "networks.indices"
    found = network(
        id,
        patches,
        links,
        attribute=attribute,
        weight=weight,
        distance=distance,
        probability=probability,
        threshold=threshold,
    )
    check_landscape(id, found.attribute, landscape_area)
    part = None if inside is None else read_attribute(id, "patches", patches, inside)
    if part is not None and (part > found.attribute * (1 + 1e-9)).any():
        raise LinkwaysError(f"{id}: {inside} exceeds {attribute} in some patches; it must be the part of it inside")
    unit = area_unit(attribute)
    share = np.exp(-found.weight)
    capacity, vector = leading(landscape_matrix(found, share))
    probable, table = _probability(found, unit, landscape_area, smallest_probability, beta)
    component = found.components()
    rows = [
        *probable,
        *(_hops(found, unit, landscape_area) if hops else []),
        *_components(found, component, unit, landscape_area),
        *_mesh(found.attribute, part, unit, landscape_area),
        _Row("lambda_M", capacity, f"{unit}^2", "exponential kernel, M_ii = 0, direct links only"),
    ]
    progress(1.0, "indices")
    value = {row.index: row.value for row in rows}
    degree = np.diff(found.binary().indptr)
    return Indices(
        pd.DataFrame(rows),
        pd.DataFrame({"patch": found.ids, attribute: found.attribute, "links": degree, "component": component + 1})
        .assign(**table)
        .assign(metapopulation_share=vector**2),
        value["EC(PC)"],
        value.get("EC(IIC)", math.nan),
        int(value["NC"]),
        value["MESH"],
        capacity,
    )


def _probability(
    found: "Network", unit: str, landscape_area: float | None, smallest: float, beta: float
) -> tuple[list[_Row], dict[str, np.ndarray]]:
    """The indices of probabilities, and each patch's part in them."""
    from linkways.kernels.reach import direct_sum, probability_sum
    from linkways.networks._graph import horizon_of

    graph = found.probable()
    a = found.attribute
    horizon = horizon_of(smallest)

    share, first = (0.6, 0.0) if beta == 1 else (0.3, 0.3)
    reach = probability_sum(graph, a, horizon, every=True, progress=lambda done: progress(share * done, "PC"))
    direct = direct_sum(graph, a)
    cut = f"; pairs with p* < {smallest:g} left out" if smallest > 0 else ""
    rows = _parts("PC", reach.total, reach.intra, direct, unit, landscape_area, f"p* of the best path{cut}")
    rows.append(
        _Row("PCnum_missing", 100 * _ratio(reach.bound, reach.total), "%", "at most this much of PCnum is left out")
    )
    rows.append(_Row("F", direct_sum(graph, np.ones(len(a))), "1", "links alone, both orders"))
    rows.append(_Row("AWF", direct, f"{unit}^2", "links alone, both orders"))
    inflow = reach.inflow
    if beta != 1:
        inflow = probability_sum(
            graph, a**beta, horizon, every=True, progress=lambda done: progress(first + share * done, "flux")
        ).inflow
    power = a**beta
    table = {"inflow": reach.inflow, "F": inflow, "IF": power * inflow + power**2}
    return rows, table


def _hops(found: "Network", unit: str, landscape_area: float | None) -> list[_Row]:
    """The indices that need all shortest paths of the binary graph."""
    from linkways.kernels.reach import direct_sum, hop_sum, path_lengths

    graph = found.binary()
    reach = hop_sum(graph, found.attribute, progress=lambda done: progress(0.6 + 0.2 * done, "IIC"))
    direct = direct_sum(graph, found.attribute, hops=True)
    by_hops = path_lengths(graph, by_hops=True, progress=lambda done: progress(0.8 + 0.1 * done, "paths"))
    by_weight = path_lengths(graph, progress=lambda done: progress(0.9 + 0.1 * done, "paths"))
    distance = {"distance_m": "m", "cost": "cost", "probability": "-ln p"}[found.column]
    return [
        *_parts("IIC", reach.total, reach.intra, direct, unit, landscape_area, "1 / (1 + links); unreachable 0"),
        _Row("H", by_hops.reciprocals, "1", "unordered pairs"),
        _Row("CPL", by_hops.mean, "links", "mean over connected pairs"),
        _Row("GD", by_weight.longest, distance, "longest shortest path between connected patches"),
    ]


def _parts(
    name: str, total: float, intra: float, direct: float, unit: str, landscape_area: float | None, convention: str
) -> list[_Row]:
    rows = [
        _Row(f"{name}num", total, f"{unit}^2", f"both orders, i = j included; {convention}"),
        _Row(f"EC({name})", math.sqrt(total), unit, f"sqrt({name}num)"),
        _Row(f"{name}intra", 100 * _ratio(intra, total), "%", f"of {name}num; i = j"),
        _Row(f"{name}direct", 100 * _ratio(direct, total), "%", f"of {name}num; the links alone"),
        _Row(f"{name}step", 100 * max(_ratio(total - intra - direct, total), 0.0), "%", f"of {name}num; the rest"),
    ]
    if landscape_area is not None:
        rows.insert(
            2, _Row(name, total / landscape_area**2, "1", f"{name}num / A_L^2, A_L = {landscape_area:.10g} {unit}")
        )
    return rows


def _components(found: "Network", component: np.ndarray, unit: str, landscape_area: float | None) -> list[_Row]:
    areas = np.bincount(component, weights=found.attribute)
    whole = float(areas.sum())
    squares = float(areas @ areas)
    if found.column == "probability":
        rule = "links that join: probability above the threshold"
    else:
        rule = f"links that join: {found.column} below the threshold, not equal to it"
    rows = [
        _Row("NL", float(len(found.binary().link) // 2), "1", f"{rule}; parallel links count once"),
        _Row("NC", float(len(areas)), "1", "patches without a link count as components"),
        _Row("CCP", _ratio(squares, whole**2), "1", "A = sum of the patches"),
        _Row("ECS", _ratio(squares, whole), unit, "sum A_c^2 / A"),
        _Row("MSC", whole / len(areas), unit, "A / NC"),
        _Row("SLC", float(areas.max()), unit, "largest A_c"),
    ]
    if landscape_area is not None:
        rows.insert(3, _Row("LCP", squares / landscape_area**2, "1", f"A_L = {landscape_area:.10g} {unit}"))
    return rows


def _mesh(a: np.ndarray, part: np.ndarray | None, unit: str, landscape_area: float | None) -> list[_Row]:
    whole = float(a.sum()) if landscape_area is None else landscape_area
    of = "A_t = sum of the patches" if landscape_area is None else f"A_t = A_L = {landscape_area:.10g} {unit}"
    squares = float(a @ a)
    rows = [
        _Row("MESH", _ratio(squares, whole), unit, of),
        _Row("DIVISION", 1 - _ratio(squares, whole**2), "1", of),
        _Row("SPLIT", _ratio(whole**2, squares), "1", of),
    ]
    if landscape_area is not None:
        rows.append(_Row("MESH_patches", _ratio(squares, float(a.sum())), unit, "A_t = sum of the patches"))
    if part is not None:
        unit_area = float(part.sum()) if landscape_area is None else landscape_area
        words = "A_t = sum of the parts inside" if landscape_area is None else of
        rows += [
            _Row("MESH_cut", _ratio(float(part @ part), unit_area), unit, f"patches cut at the boundary; {words}"),
            _Row("MESH_CBC", _ratio(float(part @ a), unit_area), unit, f"cross-boundary connections; {words}"),
        ]
    return rows


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan
