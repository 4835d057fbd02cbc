"""Omnidirectional connectivity: current through every place of a landscape, from everywhere around it."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.corridors.cost_distance import Neighbours
from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, Vector, estimate_of, method

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from linkways.corridors._windows import Condition, Landscape, Windows
    from linkways.estimates import Estimate
    from linkways.kernels.laplacian import StepLengths

__all__ = ["Omnidirectional", "estimate_windows", "omnidirectional"]

BYTES_OF_MAPS, BYTES_OF_TARGET, BYTES_OF_WINDOW = 75.0, 40.0, 150.0
"""Per cell of the raster, per target, and per cell of a batch of windows at work."""


@dataclass(frozen=True)
class Omnidirectional:
    """Maps of omnidirectional current."""

    current: Annotated["xr.DataArray", Layer("current summed over all windows", unit="ampere")]
    flow_potential: Annotated[
        "xr.DataArray", Layer("current that the same sources would give if resistance were equal", unit="ampere")
    ]
    normalised: Annotated[
        "xr.DataArray",
        Layer("current over flow potential: above 1 where the landscape gathers movement, below 1 where it impedes it"),
    ]
    windows: Annotated[int, Indicator("windows")]
    largest_error: Annotated[
        float, Indicator("largest estimated error of one window's current map, as a share of its current")
    ]


@method(
    "corridors.omnidirectional",
    references=(
        "McRae BH et al. (2016) Conserving nature's stage: mapping omnidirectional connectivity for resilient "
        "terrestrial landscapes in the Pacific Northwest. The Nature Conservancy, Portland",
        "Landau VA, Shah VB, Anantharaman R, Hall KR (2021) Omniscape.jl: software to compute omnidirectional "
        "landscape connectivity. Journal of Open Source Software 6(57):2829",
    ),
)
def omnidirectional(
    resistance: Annotated["xr.DataArray", Raster("resistance to movement", unit="resistance", positive=True)],
    source_strength: Annotated[
        "xr.DataArray | None",
        Raster("how much each cell sends and receives, 0 or more; left out: 1 / resistance"),
    ] = None,
    condition: Annotated[
        "xr.DataArray | None", Raster("a layer by which source and target must match, such as temperature today")
    ] = None,
    condition_future: Annotated[
        "xr.DataArray | None", Raster("the same layer as it will be: targets take their value from here")
    ] = None,
    condition_2: Annotated["xr.DataArray | None", Raster("a second layer by which they must match")] = None,
    condition_2_future: Annotated["xr.DataArray | None", Raster("the second layer as it will be")] = None,
    within: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("the study region: cells whose centre lies outside become nodata", geometry=("Polygon",)),
    ] = None,
    *,
    radius_km: Annotated[float | None, Param("how far movement reaches", unit="km", gt=0)] = None,
    radius_cells: Annotated[int | None, Param("the same in cells; give one of the two", unit="cells", ge=1)] = None,
    block_size: Annotated[
        int,
        Param(
            "side of the square blocks whose sources are gathered into one target; odd; larger is faster and coarser",
            unit="cells",
            ge=1,
            source="about a tenth of the radius keeps the maps close to those of 1 (Landau et al. 2021)",
        ),
    ] = 1,
    buffer_cells: Annotated[
        int, Param("how much wider than the radius current may go around obstacles", unit="cells", ge=0)
    ] = 0,
    source_threshold: Annotated[float, Param("cells with a lower source strength are no sources", ge=0)] = 0.0,
    source_max_resistance: Annotated[
        float | None,
        Param("without source strengths: cells above this are no sources; none: all are", unit="resistance", gt=0),
    ] = None,
    decay_km: Annotated[
        float | None,
        Param("a source counts for exp(-distance / this) as much; none: all within the radius alike", unit="km", gt=0),
    ] = None,
    condition_rule: Annotated[
        Literal["within", "equal"], Param("whether values must differ by no more than the limits, or be equal")
    ] = "within",
    condition_lower: Annotated[
        float | None, Param("least source value minus target value that still matches; none: 0", unit="condition")
    ] = None,
    condition_upper: Annotated[
        float | None, Param("largest source value minus target value that still matches; none: 0", unit="condition")
    ] = None,
    condition_2_rule: Annotated[Literal["within", "equal"], Param("the same for the second layer")] = "within",
    condition_2_lower: Annotated[
        float | None, Param("the same for the second layer; none: 0", unit="condition 2")
    ] = None,
    condition_2_upper: Annotated[
        float | None, Param("the same for the second layer; none: 0", unit="condition 2")
    ] = None,
    correct_blocks: Annotated[
        bool, Param("correct the traces that blocks leave, by what they are in a landscape of equal resistance")
    ] = True,
    neighbours: Neighbours = 8,
    tolerance: Annotated[
        float,
        Param(
            "largest estimated error of each window's current map, as a share of its current",
            gt=0,
            le=0.1,
            source="at 1e-3 the maps of all windows together differ by about 1e-4",
        ),
    ] = 1e-3,
    compat: Annotated[
        Literal["omniscape"] | None,
        Param("reproduce Omniscape.jl where it differs: unit cells, emptied blocks at the upper and left edge, ties"),
    ] = None,
) -> Omnidirectional:
    """Current through every cell from the sources within a radius of every place, summed over all places.

    The raster is cut into blocks. The centre of each block is grounded in turn, and as many amperes as the block holds
    source strength flow to it from the sources within the radius outside the block, each in proportion to its
    strength. Current flows inside a circle of the radius and the buffer, through edges of the mean conductance of two
    cells over their distance. Sources that conditions exclude are left out after the division, so that fewer matching
    sources give less current. Flow potential is the same with equal resistance everywhere (nodata included) in the
    box around the circle. Both are multiplied by the block correction: on equal resistance, the sum of the currents to
    every cell of a block over that of the block's window. Leftover rows and columns at the lower and right edge, fewer
    than a block, are no targets.

    Distances come from the grid (ellipsoid on a geographic one), so that a circle of a radius in km is one on the
    ground. A source without a value of a condition is not joined.

    Differences of ``compat="omniscape"``: cells are unit squares; in windows cut by the upper or left edge the
    emptied block lies where it would be in a whole window; of equally frequent values the first going down the
    columns counts, and otherwise the least; sources of unknown condition are joined.

    Raises LinkwaysError for no or two radii, a window or block larger than the raster, negative source strengths, no
    source at all, and limits or future values of a condition whose layer is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from linkways import corridors, spatial
    >>> resistance = spatial.new_raster(np.ones((40, 40)), crs="EPSG:3035", cell_size=100)
    >>> flow = corridors.omnidirectional(resistance, radius_cells=6)
    >>> f"{float(flow.normalised[20, 20]):.1f}"  # as much as in a landscape without obstacles
    '1.0'
    """
    from linkways.corridors._windows import moving_windows, refuse_unfit
    from linkways.spatial import raster_like

    windows = _windows(
        radius_km, radius_cells, block_size, buffer_cells, decay_km, correct_blocks, tolerance, compat,
        (
            _condition("condition", condition, condition_future, condition_rule, condition_lower, condition_upper),
            _condition(
                "condition_2", condition_2, condition_2_future, condition_2_rule, condition_2_lower, condition_2_upper
            ),
        ),
    )  # fmt: skip
    land = _landscape(resistance, source_strength, within, source_threshold, source_max_resistance, neighbours, compat)
    refuse_unfit(land, windows)
    maps = moving_windows(land, windows)
    known = np.isfinite(land.conductance)
    attrs = {"simulated": True} if resistance.attrs.get("simulated") else {}

    def layer(values: np.ndarray, name: str, units: str) -> "xr.DataArray":
        return raster_like(np.where(known, values, np.nan), resistance, name=name, units=units, attrs=attrs)

    assert maps.potential is not None
    return Omnidirectional(
        layer(maps.current, "current", "ampere"),
        layer(maps.potential, "flow_potential", "ampere"),
        layer(maps.normalised, "normalised", "1"),
        maps.windows,
        maps.error,
    )


def _windows(
    radius_km: float | None,
    radius_cells: int | None,
    block_size: int,
    buffer_cells: int,
    decay_km: float | None,
    correct: bool,
    tolerance: float,
    compat: str | None,
    conditions: "tuple[Condition | None, ...]",
) -> "Windows":
    from linkways.corridors._windows import Windows
    from linkways.spatial import note

    if (radius_km is None) == (radius_cells is None):
        given = "both are" if radius_km is not None else "neither is"
        raise LinkwaysError(f"corridors.omnidirectional needs radius_km or radius_cells, and {given} given; give one")
    if compat is not None and (radius_km is not None or decay_km is not None):
        raise LinkwaysError(
            "compat='omniscape' counts in cells and knows no distance decay; give radius_cells and leave out radius_km "
            "and decay_km"
        )
    if block_size % 2 == 0:
        note(f"block_size {block_size} is even, and a block needs a centre: raised to {block_size + 1}")
        block_size += 1
    return Windows(
        radius_cells=radius_cells,
        radius_m=None if radius_km is None else radius_km * 1000,
        buffer=buffer_cells,
        block=block_size,
        conditions=tuple(c for c in conditions if c is not None),
        decay_m=None if decay_km is None else decay_km * 1000,
        correct=correct,
        omniscape=compat is not None,
        tolerance=tolerance,
    )


def _condition(
    name: str,
    layer: "xr.DataArray | None",
    future: "xr.DataArray | None",
    rule: Literal["within", "equal"],
    lower: float | None,
    upper: float | None,
) -> "Condition | None":
    from linkways.corridors._windows import Condition

    extra = [
        word
        for word, given in (
            (f"{name}_future", future is not None),
            (f"{name}_rule", rule != "within"),
            (f"{name}_lower", lower is not None),
            (f"{name}_upper", upper is not None),
        )
        if given
    ]
    if layer is None:
        if extra:
            raise LinkwaysError(f"{' and '.join(extra)} given without the layer {name}; add it, or leave them out")
        return None
    if rule == "equal" and (lower is not None or upper is not None):
        raise LinkwaysError(f"{name}_rule is 'equal', which takes no limits; leave out {name}_lower and {name}_upper")
    low, high = lower or 0.0, upper or 0.0
    if low > high:
        raise LinkwaysError(f"{name}_lower is {low:g}, above {name}_upper {high:g}; swap them")
    present = layer.values.astype(np.float64)
    return Condition(present, present if future is None else future.values.astype(np.float64), rule, low, high)


def _landscape(
    resistance: "xr.DataArray",
    strength: "xr.DataArray | None",
    within: "gpd.GeoDataFrame | None",
    threshold: float,
    max_resistance: float | None,
    neighbours: Literal[4, 8],
    compat: str | None,
) -> "Landscape":
    from linkways.corridors._windows import Landscape, source_strength
    from linkways.spatial import note, rasterize

    if strength is not None and max_resistance is not None:
        raise LinkwaysError(
            "source_max_resistance chooses sources by resistance, but source_strength is given; leave out one of them"
        )
    conductance = 1.0 / resistance.values.astype(np.float64)
    if within is not None:
        conductance = np.where(rasterize(within, resistance).values, conductance, np.nan)
    if strength is None:
        sources = source_strength(conductance, np.inf if max_resistance is None else max_resistance)
    else:
        sources = strength.values.astype(np.float64)
        missing = int(np.isnan(sources[np.isfinite(conductance)]).sum())
        if missing:
            note(f"source_strength is nodata in {missing} cells that have a resistance: they are no sources")
        sources = np.where(np.isnan(sources), 0.0, sources)
        if within is not None:
            sources = np.where(np.isfinite(conductance), sources, 0.0)
    # negative strengths stay, to be refused
    sources = np.where((sources >= 0) & (sources < threshold), 0.0, sources)
    steps = None if compat is not None else _steps(resistance)
    return Landscape(conductance, sources, steps, neighbours)


def _steps(resistance: "xr.DataArray") -> "StepLengths":
    from linkways.kernels.laplacian import StepLengths
    from linkways.spatial import cell_geometry, note

    cells = cell_geometry(resistance)
    if cells.wraps:
        note("the raster spans 360 degrees; windows end at its first and last column and do not go around")
    return StepLengths(cells.east_west_m, cells.north_south_m, cells.diagonal_m)


# --- what it takes -----------------------------------------------------------------------------------------------


@estimate_of(omnidirectional)
def _estimate(arguments: dict[str, Any]) -> "Estimate":
    """Windows from all over the raster."""
    from linkways.corridors._windows import refuse_unfit

    a = arguments
    conditions = []
    for name in ("condition", "condition_2"):
        rule, lower, upper = (a[f"{name}_{what}"] for what in ("rule", "lower", "upper"))
        conditions.append(_condition(name, a[name], a[f"{name}_future"], rule, lower, upper))
    windows = _windows(
        a["radius_km"], a["radius_cells"], a["block_size"], a["buffer_cells"], a["decay_km"], a["correct_blocks"],
        a["tolerance"], a["compat"], tuple(conditions),
    )  # fmt: skip
    land = _landscape(
        a["resistance"], a["source_strength"], a["within"], a["source_threshold"], a["source_max_resistance"],
        a["neighbours"], a["compat"],
    )  # fmt: skip
    refuse_unfit(land, windows)
    return estimate_windows(land, windows)


def estimate_windows(land: "Landscape", windows: "Windows") -> "Estimate":
    """What moving windows over a landscape take, from small batches of them here and there."""
    import os

    from linkways.corridors._windows import Work, _run_batch
    from linkways.estimates import sampled_items
    from linkways.workers import each

    work = Work(land, windows)
    total = len(work.targets.rows)
    threads = windows.threads or min(os.cpu_count() or 1, 8)
    first = next(iter(work.batches()))
    shape = work.shape_of(first)
    # where windows change from row to row each batch makes their shape first, and only whole ones tell its share
    work.windows = windows if work.varies else replace(windows, batch=max(1, len(first) // 8))
    batches = list(work.batches())
    order = np.random.default_rng(0).permutation(len(batches))

    def sample(count: int) -> None:
        for _ in each(_run_batch, work, [batches[n] for n in order[:count]], threads=threads):
            pass

    found = sampled_items(sample, len(batches), few=4 * threads, fixed=False, told=f"of {total:,} windows")
    batch = math.isqrt(len(first)) * windows.block
    area = (batch + 2 * shape.half_rows) * (batch + 2 * shape.half_columns)
    memory = (
        (BYTES_OF_MAPS + 16 * len(windows.conditions)) * land.conductance.size
        + BYTES_OF_TARGET * total
        + BYTES_OF_WINDOW * area * threads
    )
    return found.estimate(memory, f"{land.conductance.size:,} cells, {total:,} windows")
