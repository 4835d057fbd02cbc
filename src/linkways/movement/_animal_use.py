"""What one animal's sequences come to: its use of the cells, its footprint, and a row for each sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.movement._bridges import (
    BridgeRules,
    Motion,
    Track,
    contour_areas,
    motion_row,
    occurrence,
)
from linkways.movement._distributions import PlaneGrid, Use, cut, mean_use
from linkways.movement._population import runs_of

if TYPE_CHECKING:
    import shapely

    from linkways.movement._fixes import Fixes

__all__ = ["AnimalUse", "LineRules", "Plan", "animal_use", "sequences_by_animal"]


@dataclass(frozen=True)
class LineRules:
    """How a line buffer is laid: half its width, which cells count, and the longest step joined (minutes)."""

    half_width_m: float
    all_touched: bool
    max_lag: float


@dataclass(frozen=True)
class Plan:
    """All that the mapping of each animal needs."""

    names: list[str]
    groups: list[list[list[int]]]
    """Of each animal, of each of its years (one for all where years are not told apart), the numbers of its tracks."""
    tracks: list[Track]
    motions: list[Motion | None]
    grid: PlaneGrid
    rules: BridgeRules | LineRules
    share: float
    """Of the distribution, held by a sequence's footprint."""
    at_most: bool
    percent: tuple[float, ...]
    method: str


@dataclass(frozen=True)
class AnimalUse:
    """One animal: where it was, the runs of cells of its footprint, and the rows of its sequences."""

    use: Use
    runs: tuple[np.ndarray, np.ndarray]
    footprint_km2: float
    rows: list[dict[str, Any]]


def sequences_by_animal(fixes: "Fixes", by_year: bool, first_month: int) -> tuple[list[str], list[list[list[int]]]]:
    """Animals by name, and of each its sequences, by biological year where asked for."""
    years = biological_years(fixes, first_month)
    found: dict[str, dict[int, list[int]]] = {}
    for number, animal in enumerate(fixes.animals):
        year = int(years[number]) if by_year else 0
        found.setdefault(str(animal), {}).setdefault(year, []).append(number)
    names = sorted(found)
    return names, [[found[name][year] for year in sorted(found[name])] for name in names]


def biological_years(fixes: "Fixes", first_month: int) -> np.ndarray:
    """The year in which each group's biological year began, by its first fix (UTC)."""
    first = fixes.layer["time"].dt.tz_convert("UTC").iloc[fixes.start[:-1]]
    return np.asarray(first.dt.year - (first.dt.month < first_month))


def animal_use(plan: Plan, number: int) -> AnimalUse:
    """Map one animal: the mean of its sequences (within its years first, where told apart) and all their footprints."""
    years, footprints, rows = [], [], []
    for tracks in plan.groups[number]:
        uses = []
        for track in tracks:
            use, footprint, row = _sequence(plan, track)
            uses.append(use)
            footprints.append(footprint)
            rows.append(row)
        years.append(_merged(plan, uses))
    cells = footprints[0] if len(footprints) == 1 else np.unique(np.concatenate(footprints))
    return AnimalUse(_merged(plan, years), runs_of(cells), len(cells) * plan.grid.cell_km2, rows)


def _merged(plan: Plan, uses: Sequence[Use]) -> Use:
    """The mean, its rim cut as that of each part was."""
    if len(uses) == 1:
        return uses[0]
    kept = plan.rules.kept if isinstance(plan.rules, BridgeRules) else 1.0
    return cut(mean_use(uses), kept)


def _sequence(plan: Plan, number: int) -> tuple[Use, np.ndarray, dict[str, Any]]:
    """Use, footprint and row of one sequence."""
    track, motion = plan.tracks[number], plan.motions[number]
    row: dict[str, Any] = {"number": number}
    if isinstance(plan.rules, LineRules):
        cells = line_cells(track, plan.grid, plan.rules)
        use, footprint = Use(cells, np.full(len(cells), 1 / max(len(cells), 1))), cells
        joined = int((track.lags <= plan.rules.max_lag).sum())
        row |= {"fixes": len(track.minutes), "steps_used": joined, "steps_left_out": len(track.lags) - joined}
    else:
        assert motion is not None
        found = occurrence(track, motion, plan.grid, plan.rules, plan.method)
        use = found.use
        footprint = use.cells[use.values >= found.ranking.least(plan.share, at_most=plan.at_most)]
        row |= motion_row(track, motion) | {"leaves_grid": found.leaves_grid}
        row |= dict(contour_areas(found.ranking, plan.grid, plan.percent))
    row |= {"footprint_km2": len(footprint) * plan.grid.cell_km2, "max_distance_km": widest_m(track) / 1000}
    return use, footprint, row


def widest_m(track: Track) -> float:
    """Distance between the two fixes that lie farthest from each other."""
    import shapely

    hull = shapely.get_coordinates(shapely.convex_hull(shapely.multipoints(np.column_stack([track.x_m, track.y_m]))))
    return float(max(np.hypot(*(hull - corner).T).max() for corner in hull))


# --- lines -----------------------------------------------------------------------------------------------------


def line_buffer(track: Track, rules: LineRules) -> "shapely.Geometry":
    """The steps no longer than the rules allow, joined and buffered, in metres."""
    import shapely

    places = np.column_stack([track.x_m, track.y_m])
    breaks = np.flatnonzero(track.lags > rules.max_lag) + 1
    lines = [shapely.linestrings(part) for part in np.split(places, breaks) if len(part) > 1]
    return shapely.multilinestrings(lines).buffer(rules.half_width_m)


def line_cells(track: Track, grid: PlaneGrid, rules: LineRules) -> np.ndarray:
    """Cells that the line buffer of a track touches, or whose centres it holds, ascending."""
    import rasterio.features
    from affine import Affine

    shape = line_buffer(track, rules)
    west, south, east, north = shape.bounds
    left, top = grid.left * grid.unit, grid.top * grid.unit
    first_column = max(int((west - left) // grid.cell_x_m), 0)
    last_column = min(int((east - left) // grid.cell_x_m), grid.columns - 1)
    first_row = max(int((top - north) // grid.cell_y_m), 0)
    last_row = min(int((top - south) // grid.cell_y_m), grid.rows - 1)
    if first_column > last_column or first_row > last_row:
        return np.zeros(0, np.int64)
    corner = (left + first_column * grid.cell_x_m, top - first_row * grid.cell_y_m)
    burnt = rasterio.features.rasterize(
        [(shape, 1)],
        out_shape=(last_row - first_row + 1, last_column - first_column + 1),
        transform=Affine(grid.cell_x_m, 0.0, corner[0], 0.0, -grid.cell_y_m, corner[1]),
        all_touched=rules.all_touched,
        dtype=np.uint8,
    )
    rows, columns = np.nonzero(burnt)
    return np.asarray((rows + first_row) * grid.columns + columns + first_column)
