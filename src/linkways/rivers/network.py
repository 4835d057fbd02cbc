"""From lines, barriers and outlets to a river network that the other methods of this room can read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, TableOf, Vector, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["RiverNetwork", "network"]

_SARP = "Southeast Aquatic Resources Partnership, National Aquatic Barrier Inventory and Prioritization Tool"


@dataclass(frozen=True)
class RiverNetwork:
    """A river network as a forest of reaches, with its barriers, and all that was mended or left out on the way."""

    reaches: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "the reaches: reach, down (the reach that it flows into, -1 at an outlet), length_m, strahler, basin (its "
            "outlet reach), fragment (the lowest reach above the same barriers), to_outlet_m (from the lower end), "
            "side_of (for a side channel the reach that takes the main flow past it, -1 otherwise), on_loop "
            "(another way leads round it), line (row of the line as given), share (part of that line's length), and "
            "the columns of the lines"
        ),
    ]
    barriers: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "the barriers on the river: barrier, reach (whose lower end carries it), pass_up and pass_down or "
            "passability, on_loop (a loop leads round it), site (river, stream start, confluence or outlet), "
            "snap_distance_m, snap_confidence (0-1), likely_duplicate_of (a barrier, or missing), and the columns of "
            "the barriers"
        ),
    ]
    cut: Annotated["gpd.GeoDataFrame", Layer("lines left out of the network: line, why, length_m")]
    changed: Annotated[
        "gpd.GeoDataFrame",
        Layer("lines as they were given that were mended or left out: line, kind, before_m, after_m"),
    ]
    unplaced: Annotated["gpd.GeoDataFrame", Layer("barriers without a place on the river: barrier, why")]
    repairs: Annotated[
        "pd.DataFrame",
        TableOf("what was found and mended: kind, what, line (-1: no single one), x, y, before_m, after_m"),
    ]
    length_before_m: Annotated[float, Indicator("length of the lines as given", unit="m")]
    length_m: Annotated[float, Indicator("length of the reaches", unit="m")]
    length_cut_m: Annotated[float, Indicator("length of the lines left out", unit="m")]
    reaches_count: Annotated[int, Indicator("reaches")]
    basins_count: Annotated[int, Indicator("basins")]
    fragments_count: Annotated[int, Indicator("fragments between barriers that are not fully passable")]
    side_channels_count: Annotated[int, Indicator("side channels: loops kept open at their upper end")]
    barriers_count: Annotated[int, Indicator("barriers on the river")]
    unplaced_count: Annotated[int, Indicator("barriers without a place on the river, duplicates among them")]
    duplicates_count: Annotated[int, Indicator("barriers left out as duplicates")]
    at_stream_start_count: Annotated[int, Indicator("barriers within a metre of the start of a stream")]
    at_confluence_count: Annotated[int, Indicator("barriers within a metre of a confluence")]
    at_outlet_count: Annotated[int, Indicator("barriers within a metre of an outlet")]
    on_loop_count: Annotated[int, Indicator("barriers that a loop leads round")]


@method(
    "rivers.network",
    references=(
        f"{_SARP}, https://aquaticbarriers.org (snapping distances by kind of barrier, duplicates)",
        "Strahler AN (1957) Quantitative analysis of watershed geomorphology. Transactions of the American "
        "Geophysical Union 38:913-920 (stream order)",
        "Lehner B, Grill G (2013) Global river hydrography and network routing. Hydrological Processes 27:2171-2186 "
        "(HydroRIVERS and its columns)",
    ),
)
def network(
    lines: Annotated["gpd.GeoDataFrame", Vector("river lines", geometry=("LineString",))],
    barriers: Annotated[
        "gpd.GeoDataFrame | None", Vector("dams, culverts, waterfalls and other barriers", geometry=("Point",))
    ] = None,
    outlets: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("where rivers leave the network; by default told by the direction of the lines", geometry=("Point",)),
    ] = None,
    *,
    topology: Annotated[
        Literal["auto", "geometry", "columns"],
        Param(
            "what tells how lines join: their ends (geometry), columns with the next line downstream (columns), or "
            "columns where they are known (auto): HydroRIVERS, NHDPlus, MERIT-Basins, TauDEM, TDX-Hydro, Linkways"
        ),
    ] = "auto",
    id_column: Annotated[str | None, Param("column with the id of each line, where it has another name")] = None,
    down_column: Annotated[str | None, Param("column with the id of the next line downstream")] = None,
    direction: Annotated[
        Literal["drawn", "elevation", "outlets"],
        Param(
            "which way water runs, where ends tell the topology: as most lines are drawn, from the higher to the lower "
            "end, or by the shortest way to the given outlets"
        ),
    ] = "drawn",
    elevation_columns: Annotated[
        list[str] | None,
        Param("two columns: elevation of the first and of the last vertex; none: the z coordinates of the lines"),
    ] = None,
    main_column: Annotated[
        str | None,
        Param(
            "column that is larger on the main channel where a river parts, such as discharge or order; none: the "
            "shorter way to the outlet is the main one"
        ),
    ] = None,
    loops: Annotated[
        Literal["keep", "cut"],
        Param("lines that close a loop: kept as side channels that are open at the lower end, or cut out"),
    ] = "keep",
    mouths: Annotated[
        Literal["join", "separate"],
        Param("reaches that end at one outlet: joined a metre above it, or each a basin of its own"),
    ] = "join",
    tolerance_m: Annotated[float, Param("line ends this near are one", unit="m", ge=0)] = 1.0,
    outlet_tolerance_m: Annotated[
        float, Param("farthest an outlet may lie from a line; a free end this near is taken", unit="m", gt=0)
    ] = 150.0,
    min_basin_km: Annotated[
        float, Param("shorter basins without a given outlet are left out", unit="km of river", ge=0)
    ] = 0.0,
    kind_column: Annotated[str, Param("column with the kind of each barrier")] = "kind",
    snap_m: Annotated[
        dict[str, float] | None,
        Param(
            "how far a barrier of each kind may be moved to the river, where not dam 150, weir 150, long dam 1000, off "
            "network 50, manual 25, waterfall 100, road 50, culvert 50, bridge 50, ford 50, other 100",
            unit="m",
            source=_SARP,
        ),
    ] = None,
    duplicate_m: Annotated[
        float,
        Param("barriers of one kind this near are the same; the first stays", unit="m", ge=0, source=_SARP),
    ] = 10.0,
    likely_duplicate_m: Annotated[
        float,
        Param("barriers of one kind this near are marked as likely duplicates", unit="m", ge=0, source=_SARP),
    ] = 50.0,
    passability_column: Annotated[
        str, Param("column with the permeability of a barrier, up times down, 0 to 1; used without the next two")
    ] = "passability",
    pass_up_column: Annotated[str, Param("column with the part that passes upstream, 0 to 1")] = "pass_up",
    pass_down_column: Annotated[str, Param("column with the part that passes downstream, 0 to 1")] = "pass_down",
    missing_passability: Annotated[float, Param("passability of barriers that tell none", ge=0, le=1)] = 0.0,
) -> RiverNetwork:
    """A river network made from lines, barriers and outlets: a forest of reaches, each flowing into at most one other.

    Line ends within ``tolerance_m`` are one node, and a line is cut where another ends on its inside. Each node leads
    on along one line, so that the way to an outlet turns round as few lines as possible, then leaves the main channel
    as seldom as possible, then is the shortest. Pieces of river without a given outlet are basins of their own, rooted
    at the end that the fewest lines run away from. Lines that close a loop stay as side channels: they flow into the
    network at their lower end, are parted from it at the upper end, and do not raise the stream order. Confluences of
    more than two reaches stay as they are. Where the columns of the lines tell the topology, it is taken from there.

    A barrier is moved to the nearest place on the river within the distance for its kind, and the reach is cut there;
    the river just below belongs to the reach below. Barriers within a metre of each other share one cut. One within a
    metre of a node stands at the lower end of the only reach above, or just below the node where several reaches or
    none come together there. ``snap_confidence`` is 1 - d / min(reach, d2), with d the distance to the river and d2
    that to another line that does not just follow on: 0 halfway between two rivers. A barrier whose nearest line was
    left out gets no place.

    Nothing is mended silently: ``repairs`` lists it, ``changed`` shows the lines before, ``cut`` those left out, and
    length_before_m = length_m + length_cut_m. Lengths are geodesic for a geographic CRS. Columns of the lines are those
    of the whole line: multiply amounts (such as a catchment area) by ``share`` where reaches are parts of a line.

    Raises LinkwaysError for outlets far from any line, columns that are not there, ids that repeat or flow in a
    circle, passabilities outside 0 to 1, and when no line is left.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from linkways import rivers
    >>> lines = gpd.GeoDataFrame(geometry=shapely.from_wkt([
    ...     "LINESTRING (0 200, 100 100)", "LINESTRING (200 200, 100 100)", "LINESTRING (100 100, 100 0)",
    ... ]), crs="EPSG:32631")
    >>> dam = gpd.GeoDataFrame({"kind": ["dam"], "passability": [0.5]}, geometry=[shapely.Point(110, 40)], crs=32631)
    >>> found = rivers.network(lines, dam)
    >>> found.reaches[["reach", "down", "length_m", "strahler"]].round(1)
       reach  down  length_m  strahler
    0      0     2     141.4         1
    1      1     2     141.4         1
    2      2     3      60.0         2
    3      3    -1      40.0         2
    >>> found.barriers[["barrier", "reach", "passability", "site", "snap_distance_m", "snap_confidence"]].round(2)
       barrier  reach  passability   site  snap_distance_m  snap_confidence
    0        0      2          0.5  river             10.0             0.84
    """
    from linkways.rivers._network_build import Sources, build
    from linkways.rivers._network_tables import tables
    from linkways.rivers._snapping import TOLERANCES_M

    if direction == "outlets" and outlets is None:
        raise LinkwaysError("rivers.network: direction 'outlets' needs the input outlets")
    if direction == "outlets" and main_column is not None:
        raise LinkwaysError("rivers.network: main_column needs to know which way water runs; choose another direction")
    sources = Sources.of(lines, barriers, outlets)
    progress(0.0, "joining lines")
    channels, repairs = build(
        sources, topology=topology, id_column=id_column, down_column=down_column, direction=direction,
        elevation_columns=elevation_columns, main_column=main_column, keep_loops=loops == "keep",
        join_mouths=mouths == "join",
        tolerance_m=tolerance_m, outlet_tolerance_m=outlet_tolerance_m, min_basin_m=min_basin_km * 1000.0,
    )  # fmt: skip
    progress(0.6, "placing barriers")
    return RiverNetwork(
        **tables(
            sources, channels, repairs, kind_column=kind_column, snap_m=TOLERANCES_M | _lower(snap_m or {}),
            duplicate_m=duplicate_m, likely_duplicate_m=likely_duplicate_m, passability_column=passability_column,
            pass_columns=(pass_up_column, pass_down_column), missing_passability=missing_passability,
        )
    )  # fmt: skip


def _lower(tolerances: dict[str, float]) -> dict[str, float]:
    wrong = [f"{kind} {metres:g}" for kind, metres in tolerances.items() if not metres >= 0]
    if wrong:
        raise LinkwaysError(f"rivers.network: snap_m holds {wrong[0]} but must be 0 m or more")
    return {kind.strip().lower(): metres for kind, metres in tolerances.items()}
