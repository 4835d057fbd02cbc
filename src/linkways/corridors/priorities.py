"""Which corridors come first: ecological importance, importance to the network, vulnerability."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Layer, Param, Raster, TableOf, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

__all__ = ["Priorities", "area_by_region", "prioritise"]


@dataclass(frozen=True)
class Priorities:
    """Corridors in order of priority."""

    ranking: Annotated[
        "pd.DataFrame",
        TableOf(
            "corridors by rank: the three criteria (0 to 1), their parts, the score, and top_share, the share of "
            "random weights under which the corridor is among the first"
        ),
    ]
    corridors: Annotated["gpd.GeoDataFrame", Layer("the same with the corridors' outlines")]


@method(
    "corridors.prioritise",
    references=(
        "Rabinowitz A, Zeller KA (2010) A range-wide model of landscape connectivity and conservation for the jaguar, "
        "Panthera onca. Biological Conservation 143:939-945 (the three criteria; the formulas here are our own)",
        "Freeman LC (1977) A set of measures of centrality based on betweenness. Sociometry 40:35-41",
    ),
)
def prioritise(
    corridors: Annotated[
        "gpd.GeoDataFrame",
        Vector(
            "corridors as corridors.least_cost gives them",
            geometry=("Polygon",),
            columns=("link", "core_a", "core_b", "cost", "min_width_m", "corridor_area_km2"),
        ),
    ],
    cores: Annotated["gpd.GeoDataFrame", Vector("core areas", geometry=("Polygon",), columns=("core", "area_km2"))],
    resistance: Annotated["xr.DataArray", Raster("resistance to movement", unit="resistance", positive=True)],
    habitat: Annotated["xr.DataArray", Raster("habitat, 0 to 1")],
    protected: Annotated["gpd.GeoDataFrame | None", Vector("protected areas", geometry=("Polygon",))] = None,
    human_use: Annotated["xr.DataArray | None", Raster("human use of the land, 0 to 1")] = None,
    roads: Annotated["gpd.GeoDataFrame | None", Vector("roads", geometry=("LineString",))] = None,
    *,
    ecological_weight: Annotated[float, Param("weight of ecological importance", ge=0)] = 1.0,
    network_weight: Annotated[float, Param("weight of network importance", ge=0)] = 1.0,
    vulnerability_weight: Annotated[float, Param("weight of vulnerability", ge=0)] = 1.0,
    top_n: Annotated[int, Param("how many corridors count as the first", ge=1)] = 10,
    draws: Annotated[int, Param("random weights drawn to see how stable the order is", ge=0)] = 1000,
    seed: Annotated[int, Param("seed of the random weights", ge=0)] = 42,
) -> Priorities:
    """Corridors ranked by ecological importance, importance to the network, and vulnerability.

    Every part is scaled over the corridors to s(x) = (x - min) / (max - min); a part on which all corridors agree
    is left out. The criteria are means of their parts:

    - ecological: 1 - s(mean resistance in the corridor); s(habitat share); s(log of the product of the two core
      areas)
    - network: s(edge betweenness, links weighted by cost); s(loss), where loss is the share of linked core area,
      the sum of a_i a_j over joined pairs, that falls apart when the link is cut
    - vulnerability: s(unprotected share), when protected areas are given; s(mean human use), when given;
      1 - s(minimum width); 1 - s(mean distance to roads), when given

    Means over a corridor are weighted by cell area. The score is the weighted mean of the three criteria. The order's
    stability is told by weights drawn evenly from all that sum to 1 (Dirichlet(1, 1, 1)): the share of draws in
    which the corridor is among the first ``top_n``.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import corridors, spatial
    >>> habitat = spatial.midpoint_displacement(60, 80, seed=4)
    >>> resistance = 20 - 19 * habitat
    >>> cores = corridors.cores(habitat, threshold=0.6, min_area_km2=0.5)
    >>> found = corridors.least_cost(resistance, cores)
    >>> ranking = corridors.prioritise(found.corridors, cores, resistance, habitat).ranking
    >>> list(ranking.columns[:8])
    ['rank', 'link', 'core_a', 'core_b', 'ecological', 'network', 'vulnerability', 'score']
    """
    weights = np.array([ecological_weight, network_weight, vulnerability_weight])
    if weights.sum() == 0:
        raise LinkwaysError("corridors.prioritise: all three weights are 0; give at least one a value above 0")
    parts = _zonal_parts(corridors, resistance, habitat, protected, human_use, roads)
    parts = parts.assign(**_network_parts(corridors, cores))
    area = cores.set_index("core")["area_km2"]
    joined = area.loc[corridors["core_a"]].to_numpy() * area.loc[corridors["core_b"]].to_numpy()
    criteria = np.column_stack(
        [
            _mean_of(-_scaled(parts["mean_resistance"]) + 1, _scaled(parts["habitat_share"]), _scaled(np.log(joined))),
            _mean_of(_scaled(parts["betweenness"]), _scaled(parts["linked_area_loss"])),
            _mean_of(
                *(_scaled(parts[name]) for name in ("unprotected_share", "human_use") if name in parts),
                1 - _scaled(corridors["min_width_m"].to_numpy(float)),
                *(1 - _scaled(parts[name]) for name in ("road_distance_km",) if name in parts),
            ),
        ]
    )
    return _ranked(corridors, parts, criteria, weights, joined, top_n, draws, seed)


def _ranked(
    corridors: "gpd.GeoDataFrame",
    parts: "pd.DataFrame",
    criteria: np.ndarray,
    weights: np.ndarray,
    joined: np.ndarray,
    top_n: int,
    draws: int,
    seed: int,
) -> Priorities:
    import geopandas as gpd
    import pandas as pd

    score = criteria @ (weights / weights.sum())
    named = pd.DataFrame(criteria, columns=["ecological", "network", "vulnerability"], index=corridors.index)
    keep = ["link", "core_a", "core_b"]
    table = pd.concat(
        [
            corridors[keep],
            named.assign(score=score, top_share=_stability(criteria, top_n, draws, seed)),
            parts.assign(core_area_product_km4=joined),
            corridors.drop(columns=[*keep, *(c for c in parts if c in corridors), corridors.geometry.name]),
        ],
        axis=1,
    )
    order = np.lexsort((corridors["link"].to_numpy(), -score))
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    outlines = corridors.geometry.iloc[order].reset_index(drop=True)
    return Priorities(table, gpd.GeoDataFrame(table.copy(), geometry=outlines, crs=corridors.crs))


def _stability(criteria: np.ndarray, top_n: int, draws: int, seed: int) -> np.ndarray:
    if draws == 0:
        return np.full(len(criteria), np.nan)
    weights = np.random.default_rng(seed).dirichlet(np.ones(3), size=draws)
    scores = criteria @ weights.T
    places = (-scores).argsort(axis=0, kind="stable").argsort(axis=0)
    return np.asarray((places < top_n).mean(axis=1))


def _scaled(values: Any) -> np.ndarray:
    """(x - min) / (max - min); NaN throughout when all agree, so that the part is left out."""
    values = np.asarray(values, float)
    known = values[np.isfinite(values)]
    span = float(known.max() - known.min()) if len(known) else 0.0
    return (values - known.min()) / span if span > 0 else np.full(len(values), np.nan)


def _mean_of(*parts: np.ndarray) -> np.ndarray:
    """Mean of the parts that are known, 0 where none is."""
    stack = np.column_stack(parts)
    known = np.isfinite(stack)
    return np.asarray(np.where(known, stack, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))


def _network_parts(corridors: "gpd.GeoDataFrame", cores: "gpd.GeoDataFrame") -> dict[str, np.ndarray]:
    import networkx as nx

    area = dict(zip(cores["core"], cores["area_km2"], strict=True))
    pairs = list(zip(corridors["core_a"], corridors["core_b"], strict=True))
    for pair in pairs:
        for core in pair:
            if core not in area:
                raise LinkwaysError(
                    f"corridors names core {core}, which is not among the cores; give the cores it was made from"
                )
    graph = nx.Graph()
    graph.add_weighted_edges_from((a, b, c) for (a, b), c in zip(pairs, corridors["cost"], strict=True))
    between = nx.edge_betweenness_centrality(graph, weight="weight")
    between.update({(b, a): value for (a, b), value in between.items()})
    linked, bridges = 0.0, {}
    for members in nx.connected_components(graph):
        total = sum(area[c] for c in members)
        linked += (total**2 - sum(area[c] ** 2 for c in members)) / 2
        part = graph.subgraph(members).copy()
        for a, b in list(nx.bridges(part)):
            part.remove_edge(a, b)
            side = sum(area[c] for c in nx.node_connected_component(part, a))
            part.add_edge(a, b)
            bridges[a, b] = bridges[b, a] = side * (total - side)
    return {
        "betweenness": np.array([between[pair] for pair in pairs]),
        "linked_area_loss": np.array([bridges.get(pair, 0.0) / linked for pair in pairs]),
    }


def _zonal_parts(
    corridors: "gpd.GeoDataFrame",
    resistance: "xr.DataArray",
    habitat: "xr.DataArray",
    protected: "gpd.GeoDataFrame | None",
    human_use: "xr.DataArray | None",
    roads: "gpd.GeoDataFrame | None",
) -> "pd.DataFrame":
    import pandas as pd

    from linkways.spatial import cell_geometry, rasterize

    cells = cell_geometry(resistance)
    rasters = {"mean_resistance": resistance.values, "habitat_share": habitat.values}
    if protected is not None:
        inside = rasterize(protected, resistance).values
        rasters["unprotected_share"] = 1.0 - inside
    if human_use is not None:
        rasters["human_use"] = human_use.values
    if roads is not None:
        from linkways.kernels.clearance import distance_to_outside

        on_road = rasterize(roads, resistance, all_touched=True).values
        metres = distance_to_outside(~on_road, cells.east_west_m, cells.north_south_m, wraps=cells.wraps)
        rasters["road_distance_km"] = np.where(np.isfinite(metres), metres, np.nan) / 1000
    area = np.broadcast_to(cells.area_m2[:, None], resistance.shape)
    rows = []
    for outline in corridors.geometry:
        window, inside = cells_within(outline, resistance)
        weight = area[window] * inside
        rows.append({name: _weighted_mean(values[window], weight) for name, values in rasters.items()})
    return pd.DataFrame(rows, index=corridors.index)


def _weighted_mean(values: np.ndarray, weight: np.ndarray) -> float:
    known = np.isfinite(values) & (weight > 0)
    return float((values[known] * weight[known]).sum() / weight[known].sum()) if known.any() else float("nan")


def cells_within(outline: Any, raster: "xr.DataArray") -> tuple[tuple[slice, slice], np.ndarray]:
    """The part of the grid around a polygon, and which of its cells have their centre inside."""
    from rasterio import windows
    from rasterio.features import geometry_mask
    from rasterio.transform import rowcol

    from linkways.spatial import grid_of

    nothing = (slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool)
    if outline.is_empty:
        return nothing
    transform = grid_of(raster).transform
    west, south, east, north = outline.bounds
    rows, columns = rowcol(transform, [west, east], [north, south])
    top, bottom = max(min(rows), 0), min(max(rows) + 1, raster.shape[0])
    left, right = max(min(columns), 0), min(max(columns) + 1, raster.shape[1])
    if top >= bottom or left >= right:
        return nothing
    part = windows.Window(left, top, right - left, bottom - top)
    shape = (bottom - top, right - left)
    inside = geometry_mask([outline], shape, windows.transform(part, transform), invert=True)
    return (slice(top, bottom), slice(left, right)), inside


@method("corridors.area_by_region")
def area_by_region(
    mosaic: Annotated["xr.DataArray", Raster("corridors: every cell that is not nodata counts")],
    regions: Annotated["gpd.GeoDataFrame", Vector("countries, districts or other regions", geometry=("Polygon",))],
    cores: Annotated[
        "gpd.GeoDataFrame | None", Vector("core areas, counted on their own", geometry=("Polygon",))
    ] = None,
    *,
    name: Annotated[str, Param("the column that names the regions")] = "name",
) -> Annotated[
    "pd.DataFrame", TableOf("regions by corridor area: region, corridor_km2, share, core_km2", name="shares")
]:
    """How much corridor, and how much core area, each region holds.

    A cell belongs to the region its centre lies in; corridor cells inside a core count as core only. Shares are of
    the corridor area over all regions and the sea or land that no region covers, which stands in the row "(none)".

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import corridors, spatial
    >>> mosaic = spatial.new_raster([[0.0, 0.0, np.nan]], crs="EPSG:3035", cell_size=1000)
    >>> districts = gpd.GeoDataFrame({"name": ["A", "B"]}, geometry=[shapely.box(0, -1000, 1000, 0),
    ...     shapely.box(1000, -1000, 3000, 0)], crs="EPSG:3035")
    >>> corridors.area_by_region(mosaic, districts)[["region", "corridor_km2", "share"]]
      region  corridor_km2  share
    0      A           1.0    0.5
    1      B           1.0    0.5
    """
    import pandas as pd

    from linkways.errors import nearest
    from linkways.spatial import cell_geometry, feature_of_cell, rasterize

    if name not in regions.columns:
        raise LinkwaysError(f"regions has no column '{name}'{nearest(name, map(str, regions.columns))}")
    names = ["(none)", *dict.fromkeys(str(n) for n in regions[name])]
    of_feature = np.array([*(names.index(str(n)) for n in regions[name]), 0])
    where = of_feature[feature_of_cell(regions, mosaic)]
    area = np.broadcast_to(cell_geometry(mosaic).area_m2[:, None] / 1e6, mosaic.shape)
    core = np.zeros(mosaic.shape, bool) if cores is None else rasterize(cores, mosaic).values
    corridor = np.isfinite(mosaic.values) & ~core

    def total(mask: np.ndarray) -> np.ndarray:
        return np.bincount(where[mask], weights=area[mask], minlength=len(names))

    table = pd.DataFrame({"region": names, "corridor_km2": total(corridor), "core_km2": total(core)})
    everything = float(table["corridor_km2"].sum())
    table.insert(2, "share", table["corridor_km2"] / everything if everything else 0.0)
    table = table[(table["corridor_km2"] > 0) | (table["core_km2"] > 0)]
    return table.sort_values(["corridor_km2", "region"], ascending=[False, True], ignore_index=True)
