"""Dynamic Brownian bridges: motion variance that changes along the way, as animals rest, feed and travel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.method import Layer, Param, Raster, TableOf, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.movement._bridges import MappedTracks
    from linkways.movement._fixes import Fixes

__all__ = ["DynamicBridge", "dynamic_bridge"]


@dataclass(frozen=True)
class DynamicBridge:
    """The occurrence distribution of all groups, its contours, a row for each group and one for each fix."""

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
            "each animal or sequence: fixes, steps_used, steps_left_out, motion_variance_m2_per_min (mean over "
            "the steps "
            "used), variance_at_zero, leaves_grid (the bridges reach over the grid's edge), area_*_km2 of its contours"
        ),
    ]
    variances: Annotated[
        "pd.DataFrame",
        TableOf(
            "each fix with a step after it: animal, time, motion_variance_m2_per_min of that step, windows that "
            "told of "
            "it, used"
        ),
    ]


@method(
    "movement.dynamic_bridge",
    references=(
        "Kranstauber B, Kays R, LaPoint SD, Wikelski M, Safi K (2012) A dynamic Brownian bridge movement model to "
        "estimate utilization distributions for heterogeneous animal movement. Journal of Animal Ecology 81:738-746",
        "Horne JS, Garton EO, Krone SM, Lewis JS (2007) Analyzing animal movements using Brownian bridges. "
        "Ecology 88:2354-2363",
    ),
)
def dynamic_bridge(
    fixes: Annotated["gpd.GeoDataFrame", Vector("GPS fixes", geometry=("Point",), columns=("animal", "time"))],
    like: Annotated[
        "xr.DataArray | None", Raster("a raster whose cells the map takes; a grid around the fixes when left out")
    ] = None,
    *,
    by: Annotated[Literal["animal", "sequence"], Param("the column whose values are mapped one by one")] = "animal",
    location_error_m: Annotated[
        float | None, Param("standard deviation of a fix, where the column error_m does not tell", unit="m", gt=0)
    ] = None,
    window: Annotated[
        int, Param("fixes in a window, odd", unit="fixes", ge=5, source="Kranstauber 2012; Migration Mapper 3.2")
    ] = 31,
    margin: Annotated[
        int,
        Param(
            "fixes at each end of a window where the behaviour cannot change, odd",
            unit="fixes",
            ge=3,
            source="as window",
        ),
    ] = 11,
    extend_ends: Annotated[
        bool,
        Param("steps at both ends, of which no window tells, take the nearest variance; otherwise they are left out"),
    ] = True,
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
) -> DynamicBridge:
    """Occurrence distribution of animals between their fixes, with a motion variance that changes along the way.

    A window of ``window`` fixes slides along the track. In it, one motion variance (see movement.brownian_bridge) is
    set against two that are parted at an odd fix no nearer than ``margin`` fixes to either end; the least
    ``BIC = -2 log likelihood + variances x ln(window)`` decides. Each step takes the mean over all windows in which it
    lies from the margin-th fix to the one before the last margin (Kranstauber and others 2012). Steps nearer than
    ``margin`` fixes to an end of the track lie in no window: with ``extend_ends`` they take the variance of the nearest
    step that does, so that a migration is not cut short; without it only steps that lie in as many windows as the
    middle ones are used, as the R package move does (a migration loses ``window - margin`` fixes at each end). Steps
    longer than ``max_lag_h`` count for the variance (time is part of its likelihood) and carry no bridge.

    It is an occurrence distribution, no home range; see movement.brownian_bridge, also for how bridges are summed.

    Raises LinkwaysError as movement.brownian_bridge, and for fewer fixes than the window, an even window or margin, and
    margins that leave no room for a change.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, pandas as pd
    >>> from linkways import movement
    >>> time = pd.date_range("2024-04-01", periods=12, freq="2h", tz="UTC")
    >>> points = gpd.points_from_xy(np.arange(12) * 500, np.tile([0, 300], 6))
    >>> fixes = gpd.GeoDataFrame({"animal": "doe", "time": time}, geometry=points, crs="EPSG:32612")
    >>> found = movement.dynamic_bridge(fixes, location_error_m=30, window=7, margin=3, cell_size_m=100)
    >>> found.variances["motion_variance_m2_per_min"].round(1).unique().tolist()  # (300^2 / 2 - 30^2 / 2) / 60
    [742.5]
    """
    import pandas as pd

    from linkways.movement._bridges import BridgeRules, check_window, map_tracks
    from linkways.movement._distributions import contour_layer, refuse_degrees
    from linkways.movement._fixes import fixes_of

    check_window(window, margin, "movement.dynamic_bridge")
    refuse_degrees(like, "movement.dynamic_bridge")
    rules = BridgeRules(
        kind="dynamic",
        max_lag=max_lag_h * 60,
        step=time_step_min,
        window=window,
        margin=margin,
        extend_ends=extend_ends,
        kept=kept_percent / 100,
    )
    found = fixes_of(fixes, by=by, at_least=3)
    mapped = map_tracks(
        found,
        rules,
        location_error_m=location_error_m,
        like=like,
        cell_size_m=cell_size_m,
        buffer=buffer,
        percent=percent,
        method="movement.dynamic_bridge",
    )
    label = "occurrence distribution"
    return DynamicBridge(
        mapped.grid.raster(mapped.grid.dense(mapped.use), "occurrence", units="probability", long_name=label),
        contour_layer(mapped.grid, mapped.use, percent),
        pd.DataFrame(mapped.rows),
        _variances(found, mapped),
    )


def _variances(fixes: "Fixes", mapped: "MappedTracks") -> "pd.DataFrame":
    import pandas as pd

    last = fixes.start[1:] - 1
    columns = list(dict.fromkeys(["animal", fixes.by, "time"]))
    rows = fixes.layer.drop(index=last)[columns].reset_index(drop=True)
    told = [(motion.variance, motion.windows, motion.used) for motion in mapped.motions]
    variance, windows, used = (np.concatenate(part) for part in zip(*told, strict=True))
    return pd.DataFrame(rows).assign(motion_variance_m2_per_min=variance, windows=windows, used=used)
