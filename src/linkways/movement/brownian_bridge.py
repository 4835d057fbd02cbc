"""Brownian bridges: where animals were between their fixes, from one motion variance for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from linkways.method import Layer, Param, Raster, TableOf, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

__all__ = ["BrownianBridge", "brownian_bridge"]


@dataclass(frozen=True)
class BrownianBridge:
    """The occurrence distribution of all groups, its contours, and a row for each group."""

    occurrence: Annotated[
        "xr.DataArray",
        Layer("occurrence distribution: probability of each cell, the mean over the groups, summing to 1"),
    ]
    contours: Annotated[
        "gpd.GeoDataFrame",
        Layer("contours of the occurrence distribution, the widest first: percent, area_km2"),
    ]
    groups: Annotated[
        "pd.DataFrame",
        TableOf(
            "each animal or sequence: fixes, steps_used, steps_left_out (longer than max_lag_h), "
            "motion_variance_m2_per_min, variance_at_zero (no motion beyond the location error was found), leaves_grid "
            "(the bridges reach over the grid's edge), area_*_km2 of its own contours"
        ),
    ]


@method(
    "movement.brownian_bridge",
    references=(
        "Horne JS, Garton EO, Krone SM, Lewis JS (2007) Analyzing animal movements using Brownian bridges. "
        "Ecology 88:2354-2363",
        "Sawyer H, Kauffman MJ, Nielson RM, Horne JS (2009) Identifying and prioritizing ungulate migration routes for "
        "landscape-level conservation. Ecological Applications 19:2016-2025",
        "Merkle JA, Gage J, Sawyer H, Lowrey B, Kauffman MJ (2022) Migration Mapper: identifying movement "
        "corridors and "
        "seasonal ranges for large mammal conservation. Methods in Ecology and Evolution 13:2397-2403",
    ),
)
def brownian_bridge(
    fixes: Annotated["gpd.GeoDataFrame", Vector("GPS fixes", geometry=("Point",), columns=("animal", "time"))],
    like: Annotated[
        "xr.DataArray | None", Raster("a raster whose cells the map takes; a grid around the fixes when left out")
    ] = None,
    *,
    by: Annotated[Literal["animal", "sequence"], Param("the column whose values are mapped one by one")] = "animal",
    location_error_m: Annotated[
        float | None, Param("standard deviation of a fix, where the column error_m does not tell", unit="m", gt=0)
    ] = None,
    motion_variance: Annotated[
        float | None,
        Param("one motion variance for all (fixed motion variance); estimated when left out", unit="m2/min", gt=0),
    ] = None,
    max_lag_h: Annotated[
        float, Param("no bridge over a longer time between fixes", unit="h", gt=0, source="Migration Mapper 3.2")
    ] = 8.0,
    time_step_min: Annotated[
        float, Param("bridges are summed at times this far apart", unit="min", gt=0, source="Migration Mapper 3.2")
    ] = 5.0,
    cell_size_m: Annotated[
        float | None, Param("side of a cell; 500 when left out and no raster like is given", unit="m", gt=0)
    ] = None,
    buffer: Annotated[
        float | None,
        Param("grid beyond the fixes on each side, as a share of their extent; 0.3 when left out", ge=0, le=10),
    ] = None,
    percent: Annotated[
        Sequence[float], Param("contours: share of the probability they hold", unit="%", gt=0, lt=100)
    ] = (50.0, 95.0, 99.0),
    kept_percent: Annotated[
        float,
        Param("cells outside this contour are set to 0 for each group", unit="%", gt=0, le=100, source="Merkle 2022"),
    ] = 99.99,
    compat: Annotated[
        Literal["bbmm3"] | None,
        Param("bbmm3: estimate the variance as the R package BBMM 3.0 does, for comparison with older maps"),
    ] = None,
) -> BrownianBridge:
    """Occurrence distribution of animals between their fixes, by Brownian bridges.

    Between two fixes a time T apart the animal is taken for a Brownian motion that is held at both ends. At the share a
    of the time its place is normal around the point at the share a of the way, with the variance in each coordinate
    ``T a (1 - a) s2 + (1 - a)^2 e1^2 + a^2 e2^2``; e are the location errors. The motion variance s2 (m2/min) of each
    group is the one of greatest likelihood for every other fix given its two neighbours (Horne 2007), leaving out
    fixes whose mean time to the neighbours reaches ``max_lag_h``; or ``motion_variance`` is used for all. The density
    is summed at times 0, step, 2 step, ... of each step that lasts no longer than ``max_lag_h``, at the centres of the
    cells within 6 standard deviations, and normalised. Cells below the contour ``kept_percent`` are set to 0.

    This is an occurrence distribution: where the animal was in the time it was tracked, and how well the fixes tell. It
    is no home range, which says where it would be in the long run (movement.akde, movement.kernel_range). Groups count
    the same, whatever the number of their fixes; for corridors of a population use movement.corridors.

    ``compat="bbmm3"`` takes the share of time after a fix for the share before it, as the R package BBMM 3.0 does,
    which matters where fixes are not evenly spaced.

    Raises LinkwaysError for fixes in degrees, a missing location error, fewer than three fixes of a group (two with a
    fixed variance), none within ``max_lag_h`` of each other, and a template that the fixes do not lie on.

    Examples
    --------
    >>> import geopandas as gpd, pandas as pd
    >>> from linkways import movement
    >>> time = pd.date_range("2024-04-01", periods=5, freq="2h", tz="UTC")
    >>> points = gpd.points_from_xy([0, 900, 2100, 2900, 4000], [0, 300, -200, 200, 0])
    >>> fixes = gpd.GeoDataFrame({"animal": "doe", "time": time}, geometry=points, crs="EPSG:32612")
    >>> found = movement.brownian_bridge(fixes, location_error_m=20, cell_size_m=100)
    >>> found.groups[["animal", "steps_used", "motion_variance_m2_per_min"]].round(1)  # (73750 - 200) / 60
      animal  steps_used  motion_variance_m2_per_min
    0    doe           4                      1225.8
    >>> round(float(found.occurrence.sum()), 9)
    1.0
    """
    import pandas as pd

    from linkways.movement._bridges import BridgeRules, map_tracks
    from linkways.movement._distributions import contour_layer, refuse_degrees
    from linkways.movement._fixes import fixes_of

    refuse_degrees(like, "movement.brownian_bridge")
    rules = BridgeRules(
        kind="brownian" if motion_variance is None else "fixed",
        variance=motion_variance,
        max_lag=max_lag_h * 60,
        step=time_step_min,
        swapped=compat == "bbmm3",
        kept=kept_percent / 100,
    )
    mapped = map_tracks(
        fixes_of(fixes, by=by, at_least=3 if motion_variance is None else 2),
        rules,
        location_error_m=location_error_m,
        like=like,
        cell_size_m=cell_size_m,
        buffer=buffer,
        percent=percent,
        method="movement.brownian_bridge",
    )
    label = "occurrence distribution"
    return BrownianBridge(
        mapped.grid.raster(mapped.grid.dense(mapped.use), "occurrence", units="probability", long_name=label),
        contour_layer(mapped.grid, mapped.use, percent),
        pd.DataFrame(mapped.rows),
    )
