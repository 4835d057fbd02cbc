"""Least-cost distances between detectors and cells, as a resistance parameter makes them, with their slopes."""

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Paths"]

_RIM = 2
_MOVES = (
    (-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1),
    (-2, -1), (-2, 1), (2, -1), (2, 1), (-1, -2), (-1, 2), (1, -2), (1, 2),
)  # fmt: skip
_WIDEST = 50.0
"""Largest logarithm of a cost."""


@dataclass
class Paths:
    """A raster as a graph whose costs are ``exp(sum_j alpha_j z_j)`` times metres.

    A step between neighbours costs its length times the mean cost of the two cells; with 16 neighbours a knight's move
    costs a quarter of its length in each of the four cells that its line passes, so that it cannot leap a barrier.
    """

    resistance: np.ndarray
    """(j, rows, cols) z_j."""
    passable: np.ndarray
    """(rows, cols) where animals can go."""
    east_west_m: np.ndarray
    north_south_m: np.ndarray
    neighbours: int
    from_cells: np.ndarray
    """(k,) flat cell of each detector."""
    to_cells: np.ndarray
    """(m,) flat cell of each cell of the state space."""
    _kept: dict[str, tuple[np.ndarray, float, tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows, cols = self.resistance.shape[1:]
        self._stride = cols + 2 * _RIM
        z = np.where(self.passable, self.resistance, 0.0)
        rim = ((0, 0), (_RIM, _RIM), (_RIM, _RIM))
        self._z = np.ascontiguousarray(np.pad(z, rim).reshape(len(z), (rows + 2 * _RIM) * self._stride))
        self._open = np.pad(self.passable, _RIM).ravel()
        moves = np.array(_MOVES[: self.neighbours])
        self._steps = (moves[:, 0] * self._stride + moves[:, 1]).astype(np.int64)
        self._between = np.array([_passed(move, self._stride) for move in _MOVES[: self.neighbours]], np.int64)
        self._lengths = self._step_lengths(rows, moves)
        self._sources, self._which = np.unique(self._padded(self.from_cells, cols), return_inverse=True)
        self._targets = self._padded(self.to_cells, cols)

    def _padded(self, cells: np.ndarray, cols: int) -> np.ndarray:
        row, column = np.divmod(np.asarray(cells, np.int64), cols)
        return np.asarray((row + _RIM) * self._stride + column + _RIM)

    def _step_lengths(self, rows: int, moves: np.ndarray) -> np.ndarray:
        lengths = np.full((rows + 2 * _RIM, len(moves)), np.inf)
        north = np.concatenate([[0.0], np.cumsum(self.north_south_m)])
        for q, (down, along) in enumerate(moves):
            row = np.arange(rows)
            other = row + down
            inside = (other >= 0) & (other < rows)
            row, other = row[inside], other[inside]
            width = (self.east_west_m[row] + self.east_west_m[other]) / 2
            lengths[row + _RIM, q] = np.hypot(north[other] - north[row], along * width)
        return lengths

    def cost(self, alpha: np.ndarray) -> np.ndarray:
        """(cells with rim) cost per metre, inf where no animal can go."""
        return np.where(self._open, np.exp(np.clip(alpha @ self._z, -_WIDEST, _WIDEST)), np.inf)

    def __call__(self, alpha: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """Distances (k, m), inf beyond ``reach`` metres, and their slopes by alpha over themselves (j, k, m)."""
        for kept, limit, found in self._kept.values():
            if limit >= reach and np.array_equal(kept, alpha):
                return found
        limit = 1.15 * reach
        distance, slope = self.between(alpha, limit, self._sources, self._targets)
        relative = np.zeros_like(slope)
        np.divide(slope, distance, out=relative, where=(distance > 0) & np.isfinite(distance))
        found = distance[self._which], np.ascontiguousarray(relative[:, self._which])
        if "last" in self._kept:
            self._kept["before"] = self._kept["last"]
        self._kept["last"] = (alpha.copy(), limit, found)
        return found

    def between(
        self, alpha: np.ndarray, limit: float, sources: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Distances (s, t) between cells numbered with their rim, and their slopes (j, s, t)."""
        from linkways.populations import _capture_kernels as kernels

        cost = self.cost(alpha)
        gain = np.where(self._open, self._z * np.where(self._open, cost, 0.0), 0.0)
        out = np.empty((len(sources), len(targets)))
        slope = np.empty((len(gain), *out.shape))
        kernels.path_distances(
            cost, gain, self._lengths, self._stride, self._steps, self._between, sources, targets, limit, out, slope
        )
        return out, slope

    def to_all(self, alpha: np.ndarray, limit: float, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances and slopes from cells of the state space, by number, to all of them."""
        return self.between(alpha, limit, self._targets[which], self._targets)


def _passed(move: tuple[int, int], stride: int) -> tuple[int, int]:
    """Offsets of the two cells that the line of a knight's move passes."""
    down, along = move
    if abs(down) == 2:
        return (down // 2) * stride, (down // 2) * stride + along
    if abs(along) == 2:
        return along // 2, down * stride + along // 2
    return 0, 0
