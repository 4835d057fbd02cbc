"""What came of the drift, as tables, a map and tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.seas._currents_places import metres_per_cell, step_of
from linkways.seas._drift_release import Cohorts
from linkways.seas._drift_run import Followed
from linkways.seas.drift import Drift

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

FATES = ("drifting", "settled", "dead", "lost", "beached")


@dataclass(frozen=True)
class Outcome:
    """What the larvae were released with."""

    field: xr.Dataset
    cohorts: Cohorts
    sinks: list[str]
    released: NDArray[np.float64]
    origin: np.datetime64

    @property
    def cohort(self) -> NDArray[np.int64]:
        """The cohort of each larva, by number."""
        return np.repeat(np.arange(len(self.cohorts.number)), self.cohorts.number)


def result_of(outcome: Outcome, followed: Followed) -> Drift:
    """All parts of the result."""
    counts = np.bincount(followed.status, minlength=len(FATES))
    percent = dict(zip(FATES, 100.0 * counts / len(followed.status), strict=True))
    settled = followed.status == FATES.index("settled")
    days = (followed.ended - outcome.released)[settled] / 86400.0
    return Drift(
        settlement=_settlement(outcome, followed),
        fates=_fates(outcome, followed),
        density=_density(outcome.field, followed.stay),
        tracks=_tracks(outcome, followed),
        larvae=len(followed.status),
        settled_percent=float(percent["settled"]),
        dead_percent=float(percent["dead"]),
        lost_percent=float(percent["lost"]),
        beached_percent=float(percent["beached"]),
        drifting_percent=float(percent["drifting"]),
        mean_days_to_settle=float(days.mean()) if len(days) else float("nan"),
    )


def _settlement(outcome: Outcome, followed: Followed) -> pd.DataFrame:
    import pandas as pd

    cohorts, sinks = outcome.cohorts, outcome.sinks
    settled = followed.status == FATES.index("settled")
    pairs = outcome.cohort[settled] * max(len(sinks), 1) + followed.sink[settled]
    pair, count = np.unique(pairs, return_counts=True)
    cohort, sink = pair // max(len(sinks), 1), pair % max(len(sinks), 1)
    names = np.array([*sinks, ""], object)
    # a cohort that nobody of settled keeps its larvae in the table, at its own site where that is a sink
    silent = np.setdiff1d(np.arange(len(cohorts.number)), cohort) if sinks else np.empty(0, np.int64)
    place = {name: i for i, name in enumerate(sinks)}
    own = np.array([place.get(cohorts.sites[s], 0) for s in cohorts.site[silent]], np.int64)
    cohort, sink = np.concatenate([cohort, silent]), np.concatenate([sink, own])
    count = np.concatenate([count, np.zeros(len(silent), count.dtype)])
    order = np.lexsort([sink, cohort])
    cohort, sink, count = cohort[order].astype(np.int64), sink[order].astype(np.int64), count[order]
    dates = pd.DatetimeIndex(cohorts.dates)
    return pd.DataFrame(
        {
            "source": np.array(cohorts.sites, object)[cohorts.site[cohort]],
            "sink": names[sink],
            "released_on": dates[cohorts.date[cohort]],
            "released": cohorts.number[cohort],
            "settled": count.astype(np.int64),
        }
    )


def _fates(outcome: Outcome, followed: Followed) -> pd.DataFrame:
    import pandas as pd

    cohorts = outcome.cohorts
    sites = len(cohorts.sites)
    site = cohorts.site[outcome.cohort]
    table = np.bincount(site * len(FATES) + followed.status, minlength=sites * len(FATES)).reshape(sites, len(FATES))
    settled = followed.status == FATES.index("settled")
    days = (followed.ended - outcome.released) / 86400.0
    total = np.bincount(site[settled], weights=days[settled], minlength=sites)
    with np.errstate(invalid="ignore"):
        mean = total / table[:, FATES.index("settled")]
    columns = {"source": cohorts.sites, "released": table.sum(axis=1)}
    for fate in ("settled", "dead", "lost", "beached", "drifting"):
        columns[fate] = table[:, FATES.index(fate)]
    return pd.DataFrame({**columns, "mean_days_to_settle": mean})


def _density(field: xr.Dataset, stay: NDArray[np.int64]) -> xr.DataArray:
    """Larva-days per km2, north up, nothing on land."""
    from linkways.spatial import new_raster

    width, height = metres_per_cell(field)
    area = width * np.abs(height) / 1e6
    values = np.where(field["mask"].values > 0, stay / 86400e3 / area[:, None], np.nan)
    dx, dy = step_of(field, "x"), step_of(field, "y")
    x, y = field["x"].values, field["y"].values
    values = values[:: -1 if dy > 0 else 1, :: -1 if dx < 0 else 1]
    raster = new_raster(
        values,
        crs=field.rio.crs,
        cell_size=(abs(dx), abs(dy)),
        origin=(float(x.min()) - abs(dx) / 2, float(y.max()) + abs(dy) / 2),
        name="density",
    )
    if field.attrs.get("simulated"):
        raster.attrs["simulated"] = field.attrs["simulated"]
    raster.attrs["units"] = "larva-days/km2"
    return raster


def _tracks(outcome: Outcome, followed: Followed) -> gpd.GeoDataFrame | None:
    import geopandas as gpd
    import shapely

    if not len(followed.track_number):
        return None
    field, cohorts = outcome.field, outcome.cohorts
    order = np.lexsort([followed.track_time, followed.track_number])
    number, xy, time = followed.track_number[order], followed.track_xy[order], followed.track_time[order]
    first = np.array([float(field["x"].values[0]), float(field["y"].values[0])])
    at = first + xy * np.array([step_of(field, "x"), step_of(field, "y")])
    larvae, place, counts = np.unique(number, return_inverse=True, return_counts=True)
    kept = counts[place] > 1  # a line has two ends
    lines = shapely.linestrings(at[kept], indices=np.unique(place[kept], return_inverse=True)[1])
    larvae = larvae[counts > 1]
    cohort = outcome.cohort[larvae]
    last = np.cumsum(counts)[counts > 1] - 1
    sinks: NDArray[Any] = np.array([*outcome.sinks, None], object)
    import pandas as pd

    return gpd.GeoDataFrame(
        {
            "larva": larvae,
            "source": np.array(cohorts.sites, object)[cohorts.site[cohort]],
            "released_on": pd.DatetimeIndex(cohorts.dates)[cohorts.date[cohort]],
            "fate": np.array(FATES, object)[followed.status[larvae]],
            "sink": sinks[followed.sink[larvae]],
            "days": (time[last] - outcome.released[larvae]) / 86400.0,
        },
        geometry=lines,
        crs=field.rio.crs,
    )
