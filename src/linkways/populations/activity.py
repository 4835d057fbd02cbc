"""When in the day animals are active, and how far the days of two species overlap, from camera traps."""

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import Figure, Indicator, Param, Table, TableOf, method

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

__all__ = ["ActivityPatterns", "activity"]

ID = "populations.activity"
STEPS = 96


@dataclass(frozen=True)
class ActivityPatterns:
    """Daily activity of each species, and the overlap of each pair."""

    levels: Annotated[
        "pd.DataFrame",
        TableOf("species, records, bandwidth (concentration of the kernel), activity_level, low, high, se, peak_hour"),
    ]
    curves: Annotated["pd.DataFrame", TableOf("species, hour, density (per hour), low, high (each hour by itself)")]
    overlaps: Annotated[
        "pd.DataFrame", TableOf("species_a, species_b, records_a, records_b, estimator, overlap, low, high, se")
    ]
    figure: Annotated["Drawing", Figure("activity of each species over the day, with its band")]
    species_shown: Annotated[int, Indicator("species with enough records")]
    records_used: Annotated[int, Indicator("records used")]


@dataclass(frozen=True)
class _Resampled:
    """A species' records, its resamples, and their densities on the grid for the curve and for Dhat1."""

    angles: np.ndarray
    samples: np.ndarray
    plain: np.ndarray
    sharper: np.ndarray


@method(
    ID,
    references=(
        "Ridout MS, Linkie M (2009) Estimating overlap of daily activity patterns from camera trap data. Journal of "
        "Agricultural, Biological, and Environmental Statistics 14:322-337",
        "Rowcliffe JM, Kays R, Kranstauber B et al. (2014) Quantifying levels of animal activity using camera trap "
        "data. Methods in Ecology and Evolution 5:1170-1179",
        "Taylor CC (2008) Automatic bandwidth selection for circular density estimation. Computational Statistics and "
        "Data Analysis 52:3493-3500",
        "Nouvellet P, Rasmussen GSA, Macdonald DW, Courchamp F (2012) Noisy clocks and silent sunrises: measurement "
        "methods of daily activity pattern. Journal of Zoology 286:179-184",
    ),
)
def activity(
    events: Annotated[
        "pd.DataFrame",
        Table("independent events of populations.cameras, or any table of species and time", columns=("species",)),
    ],
    *,
    species: Annotated[list[str] | None, Param("species to show; all with enough records without it")] = None,
    min_records: Annotated[int, Param("species with fewer records are left out", ge=2)] = 10,
    clock: Annotated[
        Literal["solar", "sun", "local", "hour"],
        Param(
            "time of day by the sun's place (12 at its highest; columns time and longitude), by sunrise at 6 and "
            "sunset at 18 (also latitude), by the clock (local_time), or as told in the column hour"
        ),
    ] = "solar",
    adjust: Annotated[float, Param("factor on the smoothing; above 1 smooths more", gt=0)] = 1.0,
    overlap_estimator: Annotated[
        Literal["auto", "Dhat1", "Dhat4"], Param("auto: Dhat4, or Dhat1 where one species has less than 50 records")
    ] = "auto",
    clock_issues: Annotated[
        Literal["leave out", "keep"], Param("events of deployments whose times are known to be wrong")
    ] = "leave out",
    bootstrap: Annotated[int, Param("resamples for the intervals; none with 0", ge=0)] = 1000,
    confidence: Annotated[float, Param("confidence of the intervals", gt=0, lt=1)] = 0.95,
    seed: Annotated[int, Param("seed of the resampling", ge=0)] = 1,
) -> ActivityPatterns:
    """The daily activity of each species as a density around the clock, its level, and the overlap of each pair.

    Density: mean of von Mises kernels at the records, with Taylor's bandwidth from the largest of three moment
    estimates of the concentration. Activity level (Rowcliffe et al. 2014): ``1 / (2 pi max f)``, the share of the day
    that animals are active if all are active at the peak. Overlap: ``Dhat1``, the integral of the smaller density, or
    ``Dhat4``, the mean of ``min(1, g/f)`` at the records of f and the other way round (Ridout and Linkie 2009).
    Intervals: smoothed bootstrap, on the logit scale, centred on the estimate; they take records as independent, so
    give independent events. Solar time needs no time zone and does not jump with summer time.

    Raises LinkwaysError for columns that are missing, times that cannot be read, hours outside 0 to 24, and species
    without enough records.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> events = pd.DataFrame({"species": "leopard", "hour": [20, 21, 21.5, 22, 22.5, 23, 23.5, 0, 1, 2]})
    >>> found = populations.activity(events, clock="hour", bootstrap=100)
    >>> found.levels[["species", "records"]]
       species  records
    0  leopard       10
    >>> bool(22 < found.levels["peak_hour"].iloc[0] < 23)
    True
    """
    from linkways.method import progress
    from linkways.populations._activity_figure import draw_activity

    names, angles = _records(events, species, min_records, clock, clock_issues)
    rng = np.random.default_rng(seed)
    resampled = {}
    for k, name in enumerate(names):
        progress(0.6 * k / len(names), f"resampling {name}")
        resampled[name] = _resampled(angles[name], adjust, bootstrap, rng)
    levels, curves = _levels(resampled, adjust, confidence), _curves(resampled, adjust, confidence)
    progress(0.7, "overlaps of each pair")
    overlaps = _overlaps(resampled, overlap_estimator, adjust, confidence)
    return ActivityPatterns(
        levels=levels,
        curves=curves,
        overlaps=overlaps,
        figure=draw_activity(curves, levels, clock),
        species_shown=len(names),
        records_used=sum(len(one) for one in angles.values()),
    )


def _records(
    events: "pd.DataFrame", species: list[str] | None, min_records: int, clock: str, clock_issues: str
) -> tuple[list[str], dict[str, np.ndarray]]:
    """The angles of each species that has enough of them."""
    from linkways.populations._activity_times import angles_of
    from linkways.spatial import note

    if clock_issues == "leave out" and clock != "hour" and "timestamp_issues" in events:
        doubtful = events["timestamp_issues"].astype("str").str.lower().isin(("true", "1")).to_numpy(dtype=bool)
        if doubtful.any():
            note(f"{ID}: {int(doubtful.sum())} events whose times are known to be wrong were left out")
        events = events[~doubtful]
    known = sorted(events["species"].dropna().astype(str).unique())
    for name in species or []:
        if name not in known:
            raise LinkwaysError(f"{ID}: no event of the species '{name}'{nearest(name, known)}")
    whole = angles_of(events, clock)  # type: ignore[arg-type]
    unrisen = np.isnan(whole)
    if unrisen.any():
        note(f"{ID}: {int(unrisen.sum())} events on days without sunrise or sunset were left out")
    of = events["species"].astype(str).to_numpy()
    found = {name: whole[(of == name) & ~unrisen] for name in (list(dict.fromkeys(species)) if species else known)}
    few = [name for name, one in found.items() if len(one) < min_records]
    if few and species:
        raise LinkwaysError(
            f"{ID}: {few[0]} has {len(found[few[0]])} records, fewer than min_records ({min_records}); leave it out"
        )
    if len(few) == len(found):
        raise LinkwaysError(f"{ID}: no species has {min_records} records (min_records); there is no pattern to show")
    if few:
        note(f"{ID}: {len(few)} species with fewer than {min_records} records were left out")
    names = [name for name in found if name not in few]
    return names, {name: found[name] for name in names}


def _resampled(angles: np.ndarray, adjust: float, repeats: int, rng: np.random.Generator) -> _Resampled:
    from linkways.populations._activity_density import DHAT_ADJUST, bandwidths, densities, on_grid, smoothed_samples

    samples = smoothed_samples(angles, adjust, repeats, rng) if repeats else np.zeros((0, angles.size))
    grids = []
    for own in (1.0, DHAT_ADJUST["Dhat1"]):
        blocks = [np.zeros((0, 512))]
        block = max(1, 4_000_000 // angles.size)
        for first in range(0, repeats, block):
            part = samples[first : first + block]
            blocks.append(on_grid(densities(part, bandwidths(part, own * adjust))))
        grids.append(np.concatenate(blocks))
    return _Resampled(angles, samples, grids[0], grids[1])


def _levels(resampled: dict[str, _Resampled], adjust: float, confidence: float) -> "pd.DataFrame":
    import pandas as pd

    from linkways.populations._activity_density import (
        GRID,
        bandwidths,
        centred_interval,
        densities,
        level_of,
        on_grid,
    )

    rows = []
    for name, one in resampled.items():
        nu = bandwidths(one.angles[None], adjust)
        grid = on_grid(densities(one.angles[None], nu))
        level = float(level_of(grid)[0])
        low, high, se = centred_interval(level, level_of(one.plain), confidence)
        rows.append(
            {
                "species": name,
                "records": one.angles.size,
                "bandwidth": float(nu[0]),
                "activity_level": level,
                "low": low,
                "high": high,
                "se": se,
                "peak_hour": 24 * int(grid[0].argmax()) / GRID,
            }
        )
    return pd.DataFrame(rows)


def _curves(resampled: dict[str, _Resampled], adjust: float, confidence: float) -> "pd.DataFrame":
    import pandas as pd

    from linkways.populations._activity_density import GRID, bandwidths, densities, on_grid

    per_hour = np.pi / 12
    hours = 24 * np.arange(STEPS) / STEPS
    at = np.arange(STEPS) * GRID / STEPS
    tables = []
    for name, one in resampled.items():
        waves = densities(one.angles[None], bandwidths(one.angles[None], adjust))
        found = pd.DataFrame({"species": name, "hour": hours, "density": on_grid(waves, STEPS)[0] * per_hour})
        band = np.full((2, GRID), np.nan)
        if len(one.plain) > 1:
            band = np.quantile(one.plain, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0) * per_hour
        for column, edge in zip(("low", "high"), band, strict=True):
            found[column] = np.interp(at, np.arange(GRID + 1), np.append(edge, edge[0]))
        tables.append(found)
    return pd.concat(tables, ignore_index=True)


def _overlaps(resampled: dict[str, _Resampled], estimator: str, adjust: float, confidence: float) -> "pd.DataFrame":
    import pandas as pd

    from linkways.populations._activity_density import centred_interval, exact_overlap, grid_overlap, record_overlap

    rows = []
    for (a, one), (b, other) in combinations(resampled.items(), 2):
        smallest = min(one.angles.size, other.angles.size)
        used = estimator if estimator != "auto" else ("Dhat1" if smallest < 50 else "Dhat4")
        found = exact_overlap(one.angles, other.angles, used, adjust)
        if used == "Dhat1":
            samples = grid_overlap(one.sharper, other.sharper)
        else:
            samples = record_overlap(one.plain, other.plain, one.samples, other.samples)
        low, high, se = centred_interval(found, samples, confidence)
        rows.append([a, b, one.angles.size, other.angles.size, used, found, low, high, se])
    columns = ["species_a", "species_b", "records_a", "records_b", "estimator", "overlap", "low", "high", "se"]
    return pd.DataFrame(rows, columns=columns)
