"""A least-cost path taken from the directions of a cost field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from linkways.corridors._landscape import Landscape

__all__ = ["Path", "path_along"]


@dataclass(frozen=True)
class Path:
    """A path through cell centres, from its source to the cell asked for."""

    cells: np.ndarray
    line: Any
    length_m: float
    mean_resistance: float
    max_resistance: float

    def attributes(self) -> dict[str, float]:
        return {
            "length_m": self.length_m,
            "mean_resistance": self.mean_resistance,
            "max_resistance": self.max_resistance,
        }


def path_along(landscape: Landscape, direction: np.ndarray, cell: int) -> Path:
    """Follow the directions back from ``cell``. The mean resistance is that of the cells along the path."""
    import shapely

    from linkways.kernels.cost_distance import trace_path

    cells = trace_path(direction, int(cell), wraps=landscape.cells.wraps)[::-1]
    rows, columns = np.divmod(cells, landscape.shape[1])
    resistance = landscape.resistance[rows, columns]
    points = landscape.points(cells)
    line = shapely.LineString(points if len(points) > 1 else np.repeat(points, 2, axis=0))
    return Path(
        cells, _unwrapped(line, landscape), _length(landscape, rows, columns), float(resistance.mean()),
        float(resistance.max()),
    )  # fmt: skip


def _length(landscape: Landscape, rows: np.ndarray, columns: np.ndarray) -> float:
    east_west, north_south, diagonal = landscape.steps
    down = np.diff(rows)
    upper = np.minimum(rows[:-1], rows[1:])
    across = np.diff(columns) != 0
    between = np.minimum(upper, len(north_south) - 1) if len(north_south) else upper
    straight = north_south[between] if len(north_south) else np.zeros(len(upper))
    slant = diagonal[between] if len(diagonal) else np.zeros(len(upper))
    return float(np.where(down == 0, east_west[upper], np.where(across, slant, straight)).sum())


def _unwrapped(line: Any, landscape: Landscape) -> Any:
    """Part a line that crosses the seam of a global grid in two, so that it does not run around the world."""
    import shapely

    if not landscape.cells.wraps:
        return line
    points = shapely.get_coordinates(line)
    breaks = np.flatnonzero(np.abs(np.diff(points[:, 0])) > 180) + 1
    if not len(breaks):
        return line
    pieces = [p for p in np.split(points, breaks) if len(p) > 1]
    return shapely.multilinestrings([shapely.LineString(p) for p in pieces])
