"""Brownian bridges between the fixes of one animal: motion variance, and where the animal was while nobody looked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from linkways.errors import LinkwaysError
from linkways.movement._distributions import PlaneGrid, Ranking, Use, choose_grid

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from linkways.movement._fixes import Fixes

__all__ = [
    "BridgeRules",
    "BridgeWork",
    "MappedTracks",
    "Motion",
    "Occurrence",
    "Track",
    "check_window",
    "contour_areas",
    "fit_motion",
    "grid_for",
    "in_batches",
    "location_errors",
    "map_tracks",
    "motion_row",
    "occurrence",
    "occurrences",
    "refuse_long_steps",
    "tracks_of",
]

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

REACH = 6.0
"""Standard deviations within which a bridge's density is evaluated; 2e-9 of it lies beyond."""


@dataclass(frozen=True)
class BridgeRules:
    """How bridges are made of fixes. Times in minutes, variances in m2 per minute."""

    kind: Literal["brownian", "dynamic", "fixed"]
    variance: float | None = None
    max_lag: float = 480.0
    step: float = 5.0
    window: int = 31
    margin: int = 11
    extend_ends: bool = True
    swapped: bool = False
    kept: float = 0.9999


@dataclass(frozen=True)
class Track:
    """The fixes of one animal or sequence, by time."""

    name: str
    minutes: np.ndarray
    x_m: np.ndarray
    y_m: np.ndarray
    error_m: np.ndarray

    @property
    def lags(self) -> np.ndarray:
        """Minutes of each segment."""
        return np.diff(self.minutes)


@dataclass(frozen=True)
class Motion:
    """What the fixes of one track tell of its motion."""

    variance: np.ndarray
    """Of each segment, (n - 1,)."""
    used: np.ndarray
    """Segments that a bridge is laid over, (n - 1,)."""
    windows: np.ndarray
    """How many windows told of each segment (dynamic), else how many terms of the whole track."""

    @property
    def mean(self) -> float:
        """Mean variance of the segments used."""
        return float(self.variance[self.used].mean())


@dataclass(frozen=True)
class Occurrence:
    """Where one track's animal was between its fixes."""

    use: Use
    ranking: Ranking
    """Of its values."""
    leaves_grid: bool
    """The bridges reach over the edge of the grid within 3 standard deviations."""


def tracks_of(fixes: "Fixes", error_m: np.ndarray) -> list[Track]:
    """One track of each group."""
    minutes = fixes.seconds / 60
    return [
        Track(str(name), minutes[rows], fixes.x_m[rows], fixes.y_m[rows], error_m[rows])
        for name, rows in ((fixes.names[g], fixes.rows(g)) for g in range(len(fixes)))
    ]


def location_errors(layer: "gpd.GeoDataFrame", location_error_m: float | None, method: str) -> np.ndarray:
    """Standard deviation of each fix in metres: the column ``error_m`` where it has a value, the parameter elsewhere.

    Raises LinkwaysError where neither is given, and for errors that are not numbers above 0.
    """
    import pandas as pd

    if "error_m" not in layer.columns:
        if location_error_m is None:
            raise LinkwaysError(
                f"{method} needs the location error of the fixes; give location_error_m (20 m is usual for GPS "
                f"collars) "
                "or a column error_m"
            )
        return np.full(len(layer), location_error_m)
    column = pd.to_numeric(layer["error_m"], errors="coerce").to_numpy(dtype=float)
    text = layer["error_m"].notna().to_numpy() & np.isnan(column)
    error = column if location_error_m is None else np.where(np.isnan(column), location_error_m, column)
    wrong = np.flatnonzero(text | ~(error > 0) | np.isinf(error))
    if len(wrong):
        one = layer.iloc[wrong[0]]
        raise LinkwaysError(
            f"{method}: {len(wrong)} fixes have no error_m above 0, first that of {one['animal']} at {one['time']} "
            f"({one['error_m']}); fill the column, or leave such cells empty and give location_error_m for them"
        )
    return error


def check_window(window: int, margin: int, method: str) -> None:
    """Raise LinkwaysError for a window and a margin between which no behaviour can change."""
    if window % 2 == 0 or margin % 2 == 0:
        raise LinkwaysError(f"{method}: window ({window}) and margin ({margin}) must be odd numbers of fixes")
    if window < 2 * margin + 1:
        raise LinkwaysError(
            f"{method}: two margins of {margin} fixes leave no step between them in a window of {window}; the window "
            f"needs at least {2 * margin + 1} fixes"
        )


# --- motion ----------------------------------------------------------------------------------------------------


def fit_motion(track: Track, rules: BridgeRules, method: str) -> Motion:
    """Motion variance of every segment of a track, and the segments to use.

    Raises LinkwaysError where the fixes are too few or too far apart in time to tell.
    """
    refuse_long_steps(track, rules.max_lag, method)
    used = track.lags <= rules.max_lag
    if rules.kind == "fixed":
        assert rules.variance is not None
        return Motion(np.full(len(used), rules.variance), used, np.zeros(len(used), int))
    if rules.kind == "dynamic":
        return _dynamic_motion(track, rules, used, method)
    return _brownian_motion(track, rules, used, method)


def refuse_long_steps(track: Track, max_lag: float, method: str) -> None:
    """Raise LinkwaysError for a track without any step short enough to use."""
    if track.lags.min() > max_lag:
        raise LinkwaysError(
            f"{method}: all steps of {track.name} last longer than max_lag_h ({max_lag / 60:g} h; the shortest "
            f"{track.lags.min() / 60:.3g} h); raise max_lag_h or leave {track.name} out"
        )


def _brownian_motion(track: Track, rules: BridgeRules, used: np.ndarray, method: str) -> Motion:
    from linkways.movement._bridge_kernels import bridge_terms, motion_variance

    terms = bridge_terms(track.minutes, track.x_m, track.y_m, track.error_m, rules.swapped)
    middle = np.arange(1, len(track.minutes) - 1, 2)
    middle = middle[(track.lags[middle - 1] + track.lags[middle]) / 2 < rules.max_lag]
    if not len(middle):
        raise LinkwaysError(
            f"{method}: {track.name} has no three fixes in a row within max_lag_h ({rules.max_lag / 60:g} h), so its "
            "motion variance is not known; raise max_lag_h, give motion_variance, or leave it out"
        )
    gain, noise, square = (term[middle] for term in terms)
    variance, _ = motion_variance(gain, noise, square, 0, len(middle), 1)
    return Motion(np.full(len(used), variance), used, np.full(len(used), len(middle)))


def _dynamic_motion(track: Track, rules: BridgeRules, used: np.ndarray, method: str) -> Motion:
    from linkways.movement._bridge_kernels import dynamic_variances

    count = len(track.minutes)
    if count < rules.window:
        raise LinkwaysError(
            f"{method}: {track.name} has {count} fixes, fewer than the window of {rules.window}; take a smaller window "
            "or leave it out"
        )
    variance, told = dynamic_variances(track.minutes, track.x_m, track.y_m, track.error_m, rules.window, rules.margin)
    variance, told = variance[:-1], told[:-1]
    if rules.extend_ends:
        known = np.flatnonzero(told)
        variance = variance[np.clip(np.arange(count - 1), known[0], known[-1])]
        return Motion(variance, used, told)
    full = told == told.max()
    if not (used & full).any():
        raise LinkwaysError(
            f"{method}: no step of {track.name} lies in as many windows as the middle ones and within max_lag_h; let "
            "extend_ends be true, or leave it out"
        )
    return Motion(variance, used & full, told)


# --- occurrence ------------------------------------------------------------------------------------------------


def reach_m(track: Track, motion: Motion) -> float:
    """How far from its fixes a track's bridges reach."""
    lags = track.lags[motion.used]
    spread = lags / 4 * motion.variance[motion.used]
    return float(REACH * np.sqrt(spread.max() + track.error_m.max() ** 2))


def grid_for(
    crs: Any,
    tracks: Sequence[Track],
    motions: Sequence[Motion],
    *,
    like: "xr.DataArray | None",
    cell_size_m: float | None,
    buffer: float | None,
    method: str,
) -> PlaneGrid:
    """The grid that all tracks are mapped on."""
    return choose_grid(
        crs,
        np.concatenate([track.x_m for track in tracks]),
        np.concatenate([track.y_m for track in tracks]),
        like=like,
        cell_size_m=cell_size_m,
        buffer=buffer,
        reach_m=max(reach_m(track, motion) for track, motion in zip(tracks, motions, strict=True)),
        method=method,
    )


def occurrence(track: Track, motion: Motion, grid: PlaneGrid, rules: BridgeRules, method: str) -> Occurrence:
    """Occurrence distribution of one track over the cells of a grid, cut and normalised.

    Only the tiles of cells that a bridge reaches are held. Raises LinkwaysError for a track off the grid.
    """
    from linkways.movement._bridge_kernels import TILE, add_bridges, mark_tiles, tile_cells

    window, first_row, first_column = _window(track, motion, grid, method)
    tiles = np.zeros((-(-window.rows // TILE), -(-window.columns // TILE)), np.int32)
    bridges = (
        track.minutes,
        window.east_m(track.x_m),
        window.south_m(track.y_m),
        track.error_m,
        motion.variance,
        motion.used,
        rules.step,
        REACH,
        window.cell_x_m,
        window.cell_y_m,
        window.rows,
        window.columns,
    )
    mark_tiles(*bridges, tiles)
    number = np.cumsum(tiles, dtype=np.int32).reshape(tiles.shape)
    pool = np.zeros((int(number[-1, -1]), TILE, TILE))
    tiles = np.where(tiles > 0, number - 1, -1).astype(np.int32)
    add_bridges(*bridges, tiles, pool)
    cells, values = tile_cells(tiles, pool, window.rows, window.columns)
    if not len(cells):
        raise LinkwaysError(
            f"{method}: the bridges of {track.name} reach no cell's centre; take cells that are smaller than the "
            "location error is wide, or a grid that holds its fixes"
        )
    rows, columns = np.divmod(cells, window.columns)
    use = Use((rows + first_row) * grid.columns + columns + first_column, values)
    ranking = Ranking.of(use.values)
    kept = use.part(use.values >= ranking.first_beyond(rules.kept)) if rules.kept < 1 else use
    total = kept.values.sum()
    ranking = ranking.part(len(kept.cells)).divided(total)
    return Occurrence(Use(kept.cells, kept.values / total), ranking, _leaves(track, motion, grid))


@dataclass(frozen=True)
class BridgeWork:
    """All tracks with their motions, the grid and the rules: what each piece of the mapping needs."""

    tracks: list[Track]
    motions: list[Motion]
    grid: PlaneGrid
    rules: BridgeRules
    method: str


def occurrences(work: BridgeWork) -> Iterator[Occurrence]:
    """The occurrence distribution of every track in order, computed side by side, a few at a time held."""
    yield from in_batches(_occurrence_of, work, range(len(work.tracks)))


def _occurrence_of(work: BridgeWork, number: int) -> Occurrence:
    return occurrence(work.tracks[number], work.motions[number], work.grid, work.rules, work.method)


def in_batches(function: Callable[[S, T], R], shared: S, items: Sequence[T], *, size: int = 8) -> Iterator[R]:
    """What `linkways.workers.each` yields, a batch at a time, so that no more than a batch of results waits."""
    from linkways.workers import each

    for start in range(0, len(items), size):
        yield from each(function, shared, items[start : start + size])


def map_tracks(
    fixes: "Fixes",
    rules: BridgeRules,
    *,
    location_error_m: float | None,
    like: "xr.DataArray | None",
    cell_size_m: float | None,
    buffer: float | None,
    percent: Sequence[float],
    method: str,
) -> "MappedTracks":
    """Bridges over every group of fixes, their mean, and one row for each group."""
    from linkways.method import progress

    tracks = tracks_of(fixes, location_errors(fixes.layer, location_error_m, method))
    motions = [fit_motion(track, rules, method) for track in tracks]
    grid = grid_for(fixes.layer.crs, tracks, motions, like=like, cell_size_m=cell_size_m, buffer=buffer, method=method)
    work = BridgeWork(tracks, motions, grid, rules, method)
    total, rows = np.zeros(grid.rows * grid.columns), []
    for number, found in enumerate(occurrences(work)):
        total[found.use.cells] += found.use.values / len(tracks)
        rows.append(_row(fixes, number, work, found, percent))
        progress((number + 1) / len(tracks), f"bridges of {tracks[number].name}")
    cells = np.flatnonzero(total)
    return MappedTracks(tracks, motions, grid, Use(cells, total[cells]), rows)


@dataclass(frozen=True)
class MappedTracks:
    """The tracks of a layer with their motions and the mean of their occurrence distributions."""

    tracks: list[Track]
    motions: list[Motion]
    grid: PlaneGrid
    use: Use
    rows: list[dict[str, Any]]
    """Of each track, what the table of groups holds."""


def _row(fixes: "Fixes", number: int, work: BridgeWork, found: Occurrence, percent: Sequence[float]) -> dict[str, Any]:
    track, motion = work.tracks[number], work.motions[number]
    names = {fixes.by: track.name} | ({"animal": fixes.animals[number]} if fixes.by != "animal" else {})
    return {
        **names,
        **motion_row(track, motion),
        "leaves_grid": found.leaves_grid,
        **dict(contour_areas(found.ranking, work.grid, percent)),
    }


def motion_row(track: Track, motion: Motion) -> dict[str, Any]:
    """The columns of a table that tell of a track and its motion."""
    return {
        "fixes": len(track.minutes),
        "steps_used": int(motion.used.sum()),
        "steps_left_out": int((~motion.used).sum()),
        "motion_variance_m2_per_min": motion.mean,
        "variance_at_zero": bool((motion.variance[motion.used] == 0).any()),
    }


def _window(track: Track, motion: Motion, grid: PlaneGrid, method: str) -> tuple[PlaneGrid, int, int]:
    """The part of the grid that a track's bridges can reach."""
    if not grid.holds(track.x_m, track.y_m).any():
        raise LinkwaysError(
            f"{method}: no fix of {track.name} lies on the raster like; take a raster that covers all of them, "
            f"or leave "
            f"{track.name} out"
        )
    reach = reach_m(track, motion)
    east, south = grid.east_m(track.x_m), grid.south_m(track.y_m)
    first_column = max(int((east.min() - reach) // grid.cell_x_m), 0)
    last_column = min(int((east.max() + reach) // grid.cell_x_m), grid.columns - 1)
    first_row = max(int((south.min() - reach) // grid.cell_y_m), 0)
    last_row = min(int((south.max() + reach) // grid.cell_y_m), grid.rows - 1)
    window = replace(
        grid,
        left=grid.left + first_column * grid.cell_x,
        top=grid.top - first_row * grid.cell_y,
        rows=last_row - first_row + 1,
        columns=last_column - first_column + 1,
    )
    return window, first_row, first_column


def _leaves(track: Track, motion: Motion, grid: PlaneGrid) -> bool:
    """Whether some bridge reaches over the grid's edge within 3 standard deviations at its widest."""
    spread = np.sqrt(track.lags / 4 * motion.variance + np.maximum(track.error_m[:-1], track.error_m[1:]) ** 2 / 2)
    near = 3 * np.where(motion.used, spread, 0.0)
    for ends in (slice(None, -1), slice(1, None)):
        for away_x in (-near, near):
            for away_y in (-near, near):
                held = grid.holds(track.x_m[ends] + away_x, track.y_m[ends] + away_y)
                if not held[motion.used].all():
                    return True
    return False


def contour_areas(ranking: Ranking, grid: PlaneGrid, percent: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Column name and area in km2 of each contour of a ranked distribution."""
    for level in percent:
        cells = ranking.number_from(ranking.least(level / 100))
        yield f"area_{level:g}_km2", cells * grid.cell_km2
