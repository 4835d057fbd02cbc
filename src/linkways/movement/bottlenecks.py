"""Bottlenecks: where a migration corridor is narrow, how narrow, who passes, and what hems it in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, TableOf, Vector, method, progress
from linkways.movement._pinch_layers import MOST_TIERS

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.movement._pinch import Neck

__all__ = ["Bottlenecks", "bottlenecks"]

_FEW_CELLS = 3
"""A width of fewer cells is known to a third at best."""
_HOLE_SOURCE = "Migration Mapper fills holes under 20,000 m2 (Merkle et al. 2022)"


@dataclass(frozen=True)
class Bottlenecks:
    """Bottlenecks of a corridor, numbered from the highest score."""

    bottlenecks: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "middle of each bottleneck: bottleneck, width_m (width_low_m to width_high_m by the size of the cells), "
            "prominence (width of the narrower of the two parts beside it, over its own), tiers it is found in, level "
            "of the widest of them, narrow_m (length of the way through it that is narrower than the threshold), "
            "is_cut, parts (the ranges it parts), at_border, share_use, share_animals (with its interval), "
            "share_sequences, season, passage_width_m (with its interval), constrained_by, score"
        ),
    ]
    cross_sections: Annotated["gpd.GeoDataFrame", Layer("shortest line from edge to edge: bottleneck, width_m")]
    necks: Annotated[
        "gpd.GeoDataFrame", Layer("way through each bottleneck where it is narrower than the threshold: narrow_m")
    ]
    tiers: Annotated["pd.DataFrame", TableOf("width and prominence of each bottleneck in every tier it is found in")]
    passages: Annotated[
        "pd.DataFrame", TableOf("sequences that pass each bottleneck: animal, sequence, season, first time")
    ]
    constraints: Annotated[
        "pd.DataFrame", TableOf("features beside each bottleneck: side, layer, feature, distance_m from the edge")
    ]
    count: Annotated[int, Indicator("bottlenecks")]
    narrowest_m: Annotated[float, Indicator("width of the narrowest bottleneck", unit="m")]


@method(
    "movement.bottlenecks",
    references=(
        "Felzenszwalb PF, Huttenlocher DP (2012) Theory Comput. 8:415-428 (exact distance transform)",
        "Edelsbrunner H, Letscher D, Zomorodian A (2002) Discrete Comput. Geom. 28:511-533 (a saddle's persistence: "
        "the younger of two tops ends where two parts meet)",
        "Sawyer H, Kauffman MJ, Nielson RM, Horne JS (2009) Ecol. Appl. 19:2016-2025 (corridors of a population, and "
        "priorities by the share of animals that use them)",
    ),
)
def bottlenecks(
    corridor: Annotated[
        "xr.DataArray",
        Raster("corridor mask, number of animals or use tier of each cell, or an occurrence distribution"),
    ],
    sequences: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("GPS fixes of migrations", geometry=("Point",), columns=("animal", "sequence", "time")),
    ] = None,
    ranges: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("seasonal ranges the corridor joins; a column range names them", geometry=("Polygon",)),
    ] = None,
    constraints: Annotated[
        "Sequence[gpd.GeoDataFrame]",
        Vector(
            "what may hem the corridor in: lakes, towns, roads, fences; a column name names the features", many=True
        ),
    ] = (),
    closed: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("what animals do not enter, such as lakes: cut out of the corridor", geometry=("Polygon",)),
    ] = None,
    *,
    values: Annotated[
        Literal["use", "occurrence"],
        Param("cells hold use (more is a narrower tier), or the probability of occurrence (tiers are its volumes)"),
    ] = "use",
    levels: Annotated[
        list[float] | None,
        Param(
            "tiers: cells at or above each value of use, or within each volume in per cent; when left out every value "
            f"of up to {MOST_TIERS}, else above 0, 10 % and 20 % of the highest; volumes 50, 95 and 99"
        ),
    ] = None,
    ratio: Annotated[
        float, Param("a neck is narrower than this share of the parts on both its sides", gt=0, lt=1)
    ] = 0.5,
    min_tiers: Annotated[int, Param("tiers that must show a bottleneck (all, where there are fewer)", ge=1)] = 2,
    threshold_m: Annotated[
        float,
        Param("the length narrower than this is told", unit="m", gt=0),
    ] = 500.0,
    max_width_m: Annotated[
        float | None, Param("wider necks are left out; all are kept when left out", unit="m", gt=0)
    ] = None,
    fill_holes_km2: Annotated[
        float, Param("smaller holes of the corridor are filled first", unit="km2", ge=0, source=_HOLE_SOURCE)
    ] = 0.02,
    margin_m: Annotated[
        float | None,
        Param(
            "a cross-section is this much longer at both ends for tracks; a cell's side when left out", unit="m", ge=0
        ),
    ] = None,
    constraint_names: Annotated[list[str] | None, Param("names of the layers of constraints, in order")] = None,
    constraint_m: Annotated[
        float, Param("features within this of an edge, along the cross-section, hem it in", unit="m", ge=0)
    ] = 500.0,
    replicates: Annotated[int, Param("bootstrap resamples of animals", ge=10)] = 500,
    seed: Annotated[int, Param("of the bootstrap", ge=0)] = 0,
) -> Bottlenecks:
    """Bottlenecks of a migration corridor: place, width, length, who passes when, whether it is a cut, what hems it in.

    In every tier (nested areas, from the most cells to the fewest) the clearance of a cell is the exact Euclidean
    distance to the tier's edge. Cells are added from the widest place down; a neck is where two parts meet, at
    clearance s, that have places of clearance b with ``s < ratio x b`` whatever half a cell does to both. Where they
    have met before, on a way round, it is one too unless that way is as wide as b all along. The width is the shortest
    line from edge to edge through the middle of the narrowest part, the edge running half-way between cells inside and
    outside; either edge is known to half a cell, hence the interval of one cell's side to both sides. Beyond
    the raster there is no corridor: ``at_border`` marks cross-sections that end there, whose width is a lower bound.
    Bridges between fixes spread over both banks: give lakes and the like as ``closed``, or the width is that of the
    spread. Cells with their centre in them leave the corridor.

    A bottleneck is a neck found in at least ``min_tiers`` tiers (in the one tier of a mask); its width is that in the
    widest of them. It is a cut where its cross-section alone parts the two sides, or, with ``ranges``, any two of them.

    A sequence passes where the line through its fixes meets the cross-section; ``passage_width_m`` is how far apart the
    middle 95 % of first passages lie along it. Intervals are 2.5 and 97.5 % of a bootstrap over animals. ``share_use``
    is the highest value on the cross-section over the highest of the raster. Score is the share of animals (without
    sequences: of use) per km of width.

    Raises LinkwaysError for degrees, an empty corridor, levels that hold no cell, and ranges that do not touch it.

    Examples
    --------
    >>> import numpy as np
    >>> from linkways import movement, spatial
    >>> mask = np.zeros((11, 31))
    >>> mask[:, :12] = mask[:, 19:] = 1
    >>> mask[4:7, :] = 1
    >>> corridor = spatial.new_raster(mask, crs="EPSG:32612", cell_size=100)
    >>> found = movement.bottlenecks(corridor)
    >>> found.bottlenecks[["width_m", "width_low_m", "width_high_m", "narrow_m", "is_cut"]].round()
       width_m  width_low_m  width_high_m  narrow_m  is_cut
    0    300.0        200.0         400.0     684.0    True
    """
    from linkways.movement._pinch import match_over_tiers, necks
    from linkways.movement._pinch_layers import Grid, Report, tiers_of, widths_in_cells

    grid = Grid.of(corridor)
    if closed is not None:
        corridor = _without(corridor, closed)
    tiers = tiers_of(corridor, values, levels, fill_holes_km2, grid)
    places, names = _ranges(ranges, corridor, tiers[0].mask)
    found: list[list[Neck]] = []
    for number, tier in enumerate(tiers):
        progress(number / (len(tiers) + 1), f"finding bottlenecks in tier {number + 1} of {len(tiers)}")
        area = tier.area(grid)
        found.append(necks(area, ratio=ratio, threshold=threshold_m / grid.side_m, ranges=places))
    needed = min(min_tiers, len(tiers))
    groups = [group for group in match_over_tiers(found) if len(group) >= needed]
    widest = widths_in_cells(max_width_m, grid)
    groups = [group for group in groups if group[0][1].width < widest]
    report = Report(grid, corridor, [tier.level for tier in tiers], groups, names)
    report.add_passages(sequences, grid.side_m if margin_m is None else margin_m, replicates, seed)
    report.add_constraints(list(constraints), constraint_names, constraint_m)
    result = Bottlenecks(**report.layers())
    _note_coarse(result, grid.side_m)
    return result


def _note_coarse(found: Bottlenecks, side_m: float) -> None:
    """Say so where cells are too large for the widths they show."""
    from linkways.spatial import note

    coarse = int((found.bottlenecks["width_m"] < _FEW_CELLS * side_m).sum())
    if coarse:
        note(
            f"movement.bottlenecks: {coarse} of {found.count} bottlenecks are narrower than {_FEW_CELLS} cells of "
            f"{side_m:g} m; a corridor on smaller cells would tell their width better"
        )


def _without(corridor: "xr.DataArray", closed: "gpd.GeoDataFrame") -> "xr.DataArray":
    """The corridor with nothing where animals do not enter."""
    from linkways.spatial import feature_of_cell

    return corridor.where(feature_of_cell(closed, corridor) < 0, 0.0)


def _ranges(
    ranges: "gpd.GeoDataFrame | None", corridor: "xr.DataArray", mask: np.ndarray
) -> tuple[np.ndarray | None, list[str]]:
    """Number of the range of each cell (-1: none), and the names of the ranges."""
    if ranges is None:
        return None, []
    import pandas as pd

    from linkways.spatial import feature_of_cell

    label: Any = ranges["range"].astype(str) if "range" in ranges.columns else np.arange(1, len(ranges) + 1).astype(str)
    codes, names = pd.factorize(np.asarray(label, dtype=object), sort=True)
    if len(names) < 2:
        raise LinkwaysError(
            "movement.bottlenecks: ranges holds one range only, but a cut parts two; give a polygon for each range, or "
            "a column range with two names"
        )
    places = np.append(codes, -1)[feature_of_cell(ranges, corridor, all_touched=True)]
    for number, name in enumerate(names):
        if not (mask & (places == number)).any():
            raise LinkwaysError(
                f"movement.bottlenecks: the range {name} does not touch the corridor; give ranges that the corridor "
                "reaches, or a corridor that reaches them"
            )
    return places, [str(name) for name in names]
