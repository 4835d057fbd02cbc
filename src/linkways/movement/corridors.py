"""Migration corridors of a population: which ground how many animals use on their way, and where they stop over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Layer, Param, Raster, TableOf, Vector, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd
    import xarray as xr

    from linkways.movement._animal_use import LineRules, Plan
    from linkways.movement._bridges import BridgeRules
    from linkways.movement._distributions import PlaneGrid, Use
    from linkways.movement._fixes import Fixes
    from linkways.movement._population import Footprints, Tiers

__all__ = ["MigrationCorridors", "corridors"]

ID = "movement.corridors"


@dataclass(frozen=True)
class MigrationCorridors:
    """Corridors of a population with what they rest on and how sure they are."""

    tiers: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "corridors of low, medium and high use, nested, the widest first: tier, percent and needed (least "
            "share and "
            "number of animals), area_km2, low_km2 and high_km2 (95 % interval over animals drawn anew, around "
            "the area "
            "found), and drawn_km2, the mean of these draws"
        ),
    ]
    stopovers: Annotated[
        "gpd.GeoDataFrame",
        Layer("stopovers, the most used first: stopover, area_km2, use (share of all use); none for lines"),
    ]
    animals: Annotated["xr.DataArray", Layer("number of animals whose footprint holds the cell", unit="animals")]
    use: Annotated[
        "xr.DataArray",
        Layer("population use: mean over the animals of their occurrence distributions, summing to 1"),
    ]
    contours: Annotated[
        "gpd.GeoDataFrame", Layer("contours of the population use, the widest first: percent, area_km2")
    ]
    inclusion: Annotated[
        "xr.DataArray",
        Layer(
            "probability that the cell is in the chosen tier when as many animals are drawn anew", unit="probability"
        ),
    ]
    sequences: Annotated[
        "pd.DataFrame",
        TableOf(
            "each sequence: sequence, animal, year (biological), first and last fix, fixes, steps_used, "
            "steps_left_out, "
            "motion variance and contour areas (bridges), footprint_km2, max_distance_km between any two fixes"
        ),
    ]
    by_animal: Annotated["pd.DataFrame", TableOf("each animal: animal, sequences, years, footprint_km2")]
    by_number: Annotated[
        "pd.DataFrame",
        TableOf(
            "cells by the number of animals that use them: animals, percent, area_km2, and the probability of "
            "each tier "
            "when as many animals are drawn anew: low, medium, high"
        ),
    ]
    saturation: Annotated[
        "pd.DataFrame",
        TableOf(
            "area of each tier had only some of the animals been followed: tier, animals, needed, area_km2 "
            "(mean over all "
            "choices), low_km2 and high_km2 (95 % of drawn choices)"
        ),
    ]
    saturation_curve: Annotated["matplotlib.figure.Figure", Figure("area of each tier by animals followed")]
    corridor_km2: Annotated[float, Indicator("area of the widest tier", unit="km2")]
    stopover_km2: Annotated[float, Indicator("area of all stopovers", unit="km2")]


@method(
    ID,
    references=(
        "Sawyer H, Kauffman MJ, Nielson RM, Horne JS (2009) Identifying and prioritizing ungulate migration routes for "
        "landscape-level conservation. Ecological Applications 19:2016-2025",
        "Merkle JA, Gage J, Sawyer H, Lowrey B, Kauffman MJ (2022) Migration Mapper: identifying movement "
        "corridors and "
        "seasonal ranges for large mammal conservation. Methods in Ecology and Evolution 13:2397-2403",
        "Kauffman M and others (2020) Ungulate migrations of the western United States, volume 1. US Geological Survey "
        "(low, medium and high use corridors)",
        "Horne JS, Garton EO, Krone SM, Lewis JS (2007) Analyzing animal movements using Brownian bridges. "
        "Ecology 88:2354-2363",
        "Kranstauber B and others (2012) A dynamic Brownian bridge movement model. Journal of Animal Ecology "
        "81:738-746",
        "Efron B, Tibshirani RJ (1993) An introduction to the bootstrap. Chapman & Hall",
        "Colwell RK and others (2012) Models and estimators linking individual-based and sample-based rarefaction, "
        "extrapolation and comparison of assemblages. Journal of Plant Ecology 5:3-21",
    ),
)
def corridors(
    sequences: Annotated[
        "gpd.GeoDataFrame",
        Vector("GPS fixes of migrations", geometry=("Point",), columns=("animal", "sequence", "time")),
    ],
    like: Annotated[
        "xr.DataArray | None", Raster("a raster whose cells the maps take; a grid around the fixes when left out")
    ] = None,
    *,
    bridge: Annotated[
        Literal["brownian", "dynamic", "fixed", "line"],
        Param(
            "how a sequence is mapped: Brownian bridges with one variance each, with one that changes along the "
            "way, with "
            "a fixed one for all, or a buffered line"
        ),
    ] = "brownian",
    location_error_m: Annotated[
        float | None,
        Param("standard deviation of a fix, where the column error_m does not tell (bridges)", unit="m", gt=0),
    ] = None,
    motion_variance: Annotated[
        float | None,
        Param(
            "the variance of fixed bridges; 400 to 1200 serve mule deer, 600 to 1600 elk",
            unit="m2/min",
            gt=0,
            source="Ecosphere 2022, doi 10.1002/ecs2.4983",
        ),
    ] = None,
    max_lag_h: Annotated[
        float,
        Param("no bridge and no line over a longer time", unit="h", gt=0, source="Migration Mapper 3.2"),
    ] = 8.0,
    time_step_min: Annotated[
        float, Param("bridges are summed at times this far apart", unit="min", gt=0, source="Migration Mapper 3.2")
    ] = 5.0,
    window: Annotated[
        int, Param("fixes in a window, odd (dynamic)", unit="fixes", ge=5, source="Kranstauber 2012")
    ] = 31,
    margin: Annotated[
        int, Param("fixes at each end of a window, odd (dynamic)", unit="fixes", ge=3, source="Kranstauber 2012")
    ] = 11,
    half_width_m: Annotated[
        float, Param("half the width of a line's buffer (line)", unit="m", gt=0, source="Migration Mapper 3.2")
    ] = 200.0,
    line_cells: Annotated[
        Literal["touched", "centre"], Param("a line takes the cells it touches, or those whose centres it holds (line)")
    ] = "touched",
    cell_size_m: Annotated[
        float | None, Param("side of a cell; 500 when left out and no raster like is given", unit="m", gt=0)
    ] = None,
    buffer: Annotated[
        float | None,
        Param("grid beyond the fixes on each side, as a share of their extent; 0.3 when left out", ge=0, le=10),
    ] = None,
    footprint_percent: Annotated[
        float,
        Param("a sequence's footprint is this contour of it (bridges)", unit="%", gt=0, lt=100, source="Merkle 2022"),
    ] = 99.0,
    kept_percent: Annotated[
        float,
        Param("cells outside this contour are set to 0 at each level", unit="%", gt=0, le=100, source="Merkle 2022"),
    ] = 99.99,
    merge: Annotated[
        Literal["animal", "animal_year"],
        Param("an animal is the mean of its sequences, or of its years, each the mean of its sequences"),
    ] = "animal",
    year_starts_in_month: Annotated[
        int, Param("month in which a biological year begins", ge=1, le=12, source="Migration Mapper 3.2")
    ] = 2,
    low_percent: Annotated[
        float, Param("low use: at least this share of animals, and at least one", unit="%", ge=0, le=100, source="USGS")
    ] = 0.0,
    medium_percent: Annotated[
        float, Param("medium use: at least this share of animals", unit="%", ge=0, le=100, source="USGS")
    ] = 10.0,
    high_percent: Annotated[
        float, Param("high use: at least this share of animals", unit="%", ge=0, le=100, source="USGS")
    ] = 20.0,
    stopover_percent: Annotated[
        float,
        Param("stopovers: the most used of the cells in use", unit="%", gt=0, le=100, source="Sawyer 2009"),
    ] = 10.0,
    percent: Annotated[
        Sequence[float], Param("contours of the population use: share they hold", unit="%", gt=0, lt=100)
    ] = (50.0, 95.0, 99.0),
    inclusion_of: Annotated[Literal["low", "medium", "high"], Param("the tier whose probability is mapped")] = "medium",
    draws: Annotated[
        int, Param("times that animals are drawn anew for the intervals of areas; 0: no intervals", ge=0, le=10_000)
    ] = 200,
    seed: Annotated[int, Param("start of the random draws", ge=0)] = 1,
    compat: Annotated[
        Literal["migration_mapper"] | None,
        Param("migration_mapper: the counting and variance rules of Migration Mapper 3.2, to compare with its maps"),
    ] = None,
) -> MigrationCorridors:
    """Migration corridors of a population: use of every cell, low, medium and high use tiers, and stopovers.

    As the US ungulate migration atlas makes them. Each sequence (one migration of one animal) becomes an occurrence
    distribution, cut at ``kept_percent`` (see movement.brownian_bridge and movement.dynamic_bridge), and a footprint,
    the fewest cells that hold ``footprint_percent`` of it; a line's footprint is its buffer, over which its use is
    even. An animal is the mean of its sequences, cut again, and used a cell if any of its sequences did; the
    population is the mean of the animals, cut again. So long-followed animals weigh no more than others, and repeated
    years of one animal are no replicates. The number n(x) of the N animals that used a cell makes the tiers: low,
    medium and high use are n >= 1 and n / N at least 0, 10 and 20 per cent (US Geological Survey; the Utah Division
    of Wildlife Resources takes 0, 25 and 75). A cell that all animals used is in every tier. Stopovers are the
    highest ``stopover_percent`` of the cells in use by population use.

    How sure: if N animals were drawn anew (with replacement), a cell used by n of them would be in a tier with the
    probability P(Binomial(N, n / N) >= needed), which is exact and 1 where n = N. The interval of a tier's area is the
    spread over ``draws`` such populations, laid around the area found. Their mean lies elsewhere (``drawn_km2``): a
    draw leaves out a third of the animals and takes others twice, so that what any animal used shrinks and what many
    must use grows. The saturation curve is the exact mean area had m < N animals been followed; it rises still at N
    where animals are too few. Where the animals' footprints come to more than three million cells, the drawn
    intervals are of rows of cells evenly apart; all else is of all cells.

    ``compat="migration_mapper"`` keeps to the most cells that do not exceed a contour (one less as a rule), takes bbmm3
    variances, and joins a line over any time, so that its maps come out cell by cell.

    Raises LinkwaysError as the bridges do, and for fixed bridges without ``motion_variance``, a variance that would
    not be used, tiers that are not in order, and cells wider than ``half_width_m`` when lines take cells by their
    centres, which breaks them.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, pandas as pd
    >>> from linkways import movement
    >>> time = pd.date_range("2024-04-01", periods=9, freq="2h", tz="UTC")
    >>> east, north = np.arange(9) * 900, np.maximum(np.arange(9) - 4, 0) * 400
    >>> herd = []
    >>> for k in (-1, 0, 1):  # three ways that part at the fifth fix
    ...     columns = {"animal": f"doe {k}", "sequence": f"doe {k} sp24", "time": time}
    ...     points = gpd.points_from_xy(east, k * north)
    ...     herd.append(gpd.GeoDataFrame(columns, geometry=points, crs="EPSG:32612"))
    >>> found = movement.corridors(pd.concat(herd), location_error_m=20, cell_size_m=100, high_percent=100)
    >>> int(found.animals.max())
    3
    >>> found.tiers["needed"].tolist()  # of three animals: any, 10 %, all
    [1, 1, 3]
    """
    from linkways.movement._animal_use import sequences_by_animal
    from linkways.movement._distributions import refuse_degrees
    from linkways.movement._fixes import fixes_of
    from linkways.movement._population import Footprints, Tiers

    _check(bridge, motion_variance, window, margin, (low_percent, medium_percent, high_percent))
    refuse_degrees(like, ID)
    fixes = fixes_of(sequences, by="sequence", what="sequences", at_least=3 if bridge in ("brownian", "dynamic") else 2)
    old = compat == "migration_mapper"
    rules = _rules(
        bridge,
        motion_variance=motion_variance,
        max_lag=max_lag_h * 60,
        step=time_step_min,
        window=window,
        margin=margin,
        old=old,
        kept=kept_percent / 100,
        half_width_m=half_width_m,
        touched=line_cells == "touched" and not old,
    )
    names, groups = sequences_by_animal(fixes, merge == "animal_year", year_starts_in_month)
    plan = _plan(
        fixes,
        rules,
        (names, groups),
        location_error_m=location_error_m,
        grid=(like, cell_size_m, buffer),
        share=footprint_percent / 100,
        old=old,
        percent=tuple(percent),
    )
    mapped = _map_animals(plan, kept_percent / 100)
    tiers = Tiers((low_percent, medium_percent, high_percent))
    prints = Footprints.of(mapped.runs, mapped.counts, plan.grid)
    tables = _tables(fixes, plan, mapped, year_starts_in_month)
    return _result(plan, mapped, prints, tiers, tables, stopover_percent / 100, inclusion_of, draws, seed)


def _check(
    bridge: str, motion_variance: float | None, window: int, margin: int, percent: tuple[float, float, float]
) -> None:
    from linkways.movement._bridges import check_window

    if bridge == "fixed" and motion_variance is None:
        raise LinkwaysError(
            f"{ID}: fixed bridges need motion_variance (m2/min); 800 suits mule deer and 1000 elk, or let "
            f"bridge be brownian "
            "to have it estimated"
        )
    if bridge != "fixed" and motion_variance is not None:
        raise LinkwaysError(
            f"{ID}: motion_variance is given but bridge is {bridge}; let bridge be fixed, or leave it out"
        )
    if bridge == "dynamic":
        check_window(window, margin, ID)
    if list(percent) != sorted(percent):
        low, medium, high = percent
        raise LinkwaysError(
            f"{ID}: low_percent {low:g}, medium_percent {medium:g} and high_percent {high:g} must not fall in "
            f"this order"
        )


def _rules(
    bridge: Literal["brownian", "dynamic", "fixed", "line"],
    *,
    motion_variance: float | None,
    max_lag: float,
    step: float,
    window: int,
    margin: int,
    old: bool,
    kept: float,
    half_width_m: float,
    touched: bool,
) -> "BridgeRules | LineRules":
    from linkways.movement._animal_use import LineRules
    from linkways.movement._bridges import BridgeRules

    if bridge == "line":
        return LineRules(half_width_m, touched, np.inf if old else max_lag)
    return BridgeRules(
        kind=bridge,
        variance=motion_variance,
        max_lag=max_lag,
        step=step,
        window=window,
        margin=margin,
        swapped=old,
        kept=kept,
    )


def _plan(
    fixes: "Fixes",
    rules: "BridgeRules | LineRules",
    animals: tuple[list[str], list[list[list[int]]]],
    *,
    location_error_m: float | None,
    grid: "tuple[xr.DataArray | None, float | None, float | None]",
    share: float,
    old: bool,
    percent: tuple[float, ...],
) -> "Plan":
    from linkways.movement._animal_use import LineRules, Plan
    from linkways.movement._bridges import fit_motion, grid_for, location_errors, refuse_long_steps, tracks_of
    from linkways.movement._distributions import choose_grid

    like, cell_size_m, buffer = grid
    if isinstance(rules, LineRules):
        tracks = tracks_of(fixes, np.zeros(len(fixes.layer)))
        for track in tracks:
            refuse_long_steps(track, rules.max_lag, ID)
        chosen = choose_grid(
            fixes.layer.crs,
            fixes.x_m,
            fixes.y_m,
            like=like,
            cell_size_m=cell_size_m,
            buffer=buffer,
            reach_m=rules.half_width_m,
            method=ID,
        )
        if not old:
            _refuse_broken_lines(chosen, rules)
        return Plan(*animals, tracks, [None] * len(tracks), chosen, rules, share, old, percent, ID)
    tracks = tracks_of(fixes, location_errors(fixes.layer, location_error_m, ID))
    motions = [fit_motion(track, rules, ID) for track in tracks]
    chosen = grid_for(fixes.layer.crs, tracks, motions, like=like, cell_size_m=cell_size_m, buffer=buffer, method=ID)
    return Plan(*animals, tracks, list(motions), chosen, rules, share, old, percent, ID)


def _refuse_broken_lines(grid: "PlaneGrid", rules: "LineRules") -> None:
    widest = max(grid.cell_x_m, grid.cell_y_m)
    if not rules.all_touched and widest > rules.half_width_m:
        raise LinkwaysError(
            f"{ID}: cells of {widest:g} m are wider than half_width_m ({rules.half_width_m:g} m), so lines that "
            f"take cells by "
            "their centres break; take smaller cells, or let line_cells be touched"
        )


@dataclass(frozen=True)
class _Mapped:
    """All animals: their mean use, the number of them on every cell, and each one's footprint."""

    use: "Use"
    counts: np.ndarray
    runs: list[tuple[np.ndarray, np.ndarray]]
    footprint_km2: list[float]
    rows: list[dict[str, Any]]


def _map_animals(plan: "Plan", kept: float) -> _Mapped:
    from linkways.movement._animal_use import LineRules, animal_use
    from linkways.movement._bridges import in_batches
    from linkways.movement._distributions import Use, cut
    from linkways.movement._population_kernels import add_runs

    animals = len(plan.names)
    size = plan.grid.rows * plan.grid.columns
    total, counts = np.zeros(size), np.zeros(size, np.uint16)
    runs, areas, rows = [], [], []
    for number, found in enumerate(in_batches(animal_use, plan, range(animals))):
        total[found.use.cells] += found.use.values / animals
        add_runs(counts, *found.runs)
        runs.append(found.runs)
        areas.append(found.footprint_km2)
        rows += found.rows
        progress(0.9 * (number + 1) / animals, f"mapping {plan.names[number]}")
    cells = np.flatnonzero(total)
    if not len(cells):
        raise LinkwaysError(f"{ID}: no sequence reaches a cell of the raster like; take one that covers the fixes")
    use = Use(cells, total[cells])
    del total
    line = isinstance(plan.rules, LineRules)
    use = use.normalised() if line else use if animals == 1 else cut(use, kept)
    return _Mapped(use, counts, runs, areas, rows)


def _tables(fixes: "Fixes", plan: "Plan", mapped: _Mapped, first_month: int) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """One row for each sequence, and one for each animal."""
    import pandas as pd

    from linkways.movement._animal_use import biological_years

    times = fixes.layer["time"]
    whole = pd.DataFrame(
        {
            "sequence": [str(name) for name in fixes.names],
            "animal": [str(name) for name in fixes.animals],
            "year": biological_years(fixes, first_month),
            "first": times.iloc[fixes.start[:-1]].to_numpy(),
            "last": times.iloc[fixes.start[1:] - 1].to_numpy(),
        }
    )
    rows = pd.DataFrame(mapped.rows).set_index("number")
    of_sequences = whole.join(rows)
    counted = of_sequences.groupby("animal")
    of_animals = pd.DataFrame(
        {
            "animal": plan.names,
            "sequences": counted.size().loc[plan.names].to_numpy(),
            "years": counted["year"].nunique().loc[plan.names].to_numpy(),
            "footprint_km2": mapped.footprint_km2,
        }
    )
    return of_sequences, of_animals


def _result(
    plan: "Plan",
    mapped: _Mapped,
    prints: "Footprints",
    tiers: "Tiers",
    tables: "tuple[pd.DataFrame, pd.DataFrame]",
    stopover_share: float,
    inclusion_of: str,
    draws: int,
    seed: int,
) -> MigrationCorridors:
    from linkways.movement._distributions import contour_layer
    from linkways.movement._population import inclusion_by_animals, saturation, saturation_figure

    grid, count = plan.grid, len(plan.names)
    rng = np.random.default_rng(seed)
    layer = _tier_layer(plan, mapped, prints, tiers, draws, rng)
    stopovers = _stopovers(plan, mapped, stopover_share)
    curve = saturation(prints, tiers, draws, rng)
    chance = inclusion_by_animals(count, tiers)
    mapped_chance = chance[mapped.counts, tiers.names.index(inclusion_of)]
    return MigrationCorridors(
        tiers=layer,
        stopovers=stopovers,
        animals=grid.raster(mapped.counts, "animals", units="animals"),
        use=grid.raster(grid.dense(mapped.use), "use", units="probability", long_name="population use"),
        contours=contour_layer(grid, mapped.use, plan.percent, at_most=plan.at_most),
        inclusion=grid.raster(
            mapped_chance, "inclusion", units="probability", long_name=f"probability of {inclusion_of} use"
        ),
        sequences=tables[0],
        by_animal=tables[1],
        by_number=_by_number(prints, chance, tiers),
        saturation=curve,
        saturation_curve=saturation_figure(curve),
        corridor_km2=float(layer["area_km2"].iloc[0]),
        stopover_km2=float(stopovers["area_km2"].sum()),
    )


def _tier_layer(
    plan: "Plan", mapped: _Mapped, prints: "Footprints", tiers: "Tiers", draws: int, rng: np.random.Generator
) -> "gpd.GeoDataFrame":
    import geopandas as gpd

    from linkways.movement._distributions import outline
    from linkways.movement._population import interval, resampled_areas, tier_rows

    rows = tier_rows(tiers, len(plan.names))
    drawn = resampled_areas(prints, tiers, draws, rng) if draws else np.full((len(rows), 1), np.nan)
    shapes = []
    for row, areas in zip(rows, drawn, strict=True):
        cells = np.flatnonzero(mapped.counts >= row["needed"])
        row["area_km2"] = len(cells) * plan.grid.cell_km2
        row["low_km2"], row["high_km2"] = interval(row["area_km2"], areas)
        row["drawn_km2"] = areas.mean()
        shapes.append(outline(plan.grid, cells))
    return gpd.GeoDataFrame(rows, geometry=shapes, crs=plan.grid.crs)


def _stopovers(plan: "Plan", mapped: _Mapped, share: float) -> "gpd.GeoDataFrame":
    import geopandas as gpd

    from linkways.movement._animal_use import LineRules
    from linkways.movement._distributions import most_used, patches

    even = isinstance(plan.rules, LineRules)
    chosen = np.zeros(len(mapped.use.values), bool) if even else most_used(mapped.use.values, share)
    shapes, cells, use = patches(plan.grid, mapped.use.part(chosen))
    return gpd.GeoDataFrame(
        {"stopover": np.arange(1, len(shapes) + 1), "area_km2": cells * plan.grid.cell_km2, "use": use},
        geometry=shapes,
        crs=plan.grid.crs,
    )


def _by_number(prints: "Footprints", chance: np.ndarray, tiers: "Tiers") -> "pd.DataFrame":
    import pandas as pd

    number = np.arange(1, prints.animals + 1)
    table = {"animals": number, "percent": 100 * number / prints.animals, "area_km2": prints.area_by_users[1:]}
    return pd.DataFrame(table | {name: chance[1:, t] for t, name in enumerate(tiers.names)})
