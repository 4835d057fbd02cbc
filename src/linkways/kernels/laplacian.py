"""Raster Laplacians as symmetric nine-point stencils: the edge conductances between neighbouring cells.

Every array carries one ghost ring of zeros, so that a kernel reads the eight neighbours of any cell without
asking whether they exist.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["Stencil", "StepLengths", "components", "ground_cells", "raster_stencil"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StepLengths:
    """Centre-to-centre distances per row, in the unit of length that resistances are per.

    ``east_west`` has one entry per row; ``north_south`` and ``diagonal`` have one per gap between a row and the next.
    """

    east_west: Floats
    north_south: Floats
    diagonal: Floats

    @classmethod
    def unit_cells(cls, rows: int) -> StepLengths:
        """Square cells, lengths in cells: 1 for rook neighbours, sqrt(2) for diagonal ones."""
        gaps = max(rows - 1, 0)
        return cls(np.ones(rows), np.ones(gaps), np.full(gaps, np.sqrt(2.0)))


@dataclass(frozen=True)
class Stencil:
    """A graph Laplacian on a raster: edge conductances, their sums, and conductances to ground.

    All arrays have shape (rows + 2, columns + 2), float64. ``east[i, j]`` joins (i, j) and (i, j + 1), ``south``
    (i + 1, j), ``southeast`` (i + 1, j + 1), ``southwest`` (i + 1, j - 1). ``diagonal`` is the sum of the edges at
    the cell plus ``ground``. ``ground`` is None where no cell has a conductance to ground: then the Laplacian is
    singular on each component.
    """

    east: Floats
    south: Floats
    southeast: Floats
    southwest: Floats
    diagonal: Floats
    nodes: NDArray[np.bool_]
    ground: Floats | None = None
    neighbours: int = 8

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the raster, without the ghost ring."""
        rows, columns = self.diagonal.shape
        return rows - 2, columns - 2


def raster_stencil(
    raster: Floats,
    *,
    kind: Literal["resistance", "conductance"] = "resistance",
    average: Literal["resistance", "conductance"] = "conductance",
    neighbours: Literal[4, 8] = 8,
    steps: StepLengths | None = None,
    ground: Floats | None = None,
) -> Stencil:
    """Return the stencil of a resistance or conductance raster.

    Edge between cells a and b at distance d: the mean conductance (g_a + g_b) / (2 d), Circuitscape's default, or
    the conductance of the mean resistance, 2 / ((r_a + r_b) d) (McRae et al. 2008).

    Parameters
    ----------
    raster : (rows, columns) float64; a cell that is NaN, infinite, or not above 0 is no node.
    kind : what the raster holds.
    average : which of the two the edge averages.
    neighbours : 4 (rook) or 8.
    steps : centre-to-centre distances; square unit cells when None.
    ground : (rows, columns) conductance of each cell to ground, >= 0; NaN or no node counts as 0.
    """
    rows, columns = raster.shape
    steps = StepLengths.unit_cells(rows) if steps is None else steps
    nodes = np.isfinite(raster) & (raster > 0)
    values = np.zeros((rows + 2, columns + 2))
    inverted = kind != average
    np.divide(1.0, raster, out=values[1:-1, 1:-1], where=nodes & inverted)
    np.copyto(values[1:-1, 1:-1], raster, where=nodes & (not inverted))
    arrays = [np.zeros((rows + 2, columns + 2)) for _ in range(5)]
    _edges(
        values,
        average == "resistance",
        neighbours == 8,
        np.ascontiguousarray(steps.east_west, dtype=np.float64),
        np.ascontiguousarray(steps.north_south, dtype=np.float64),
        np.ascontiguousarray(steps.diagonal, dtype=np.float64),
        *arrays,
    )
    east, south, southeast, southwest, diagonal = arrays
    leak = None
    if ground is not None:
        clean = np.where(nodes & (ground > 0), ground, 0.0)
        if clean.any():
            leak = np.pad(clean, 1)
            diagonal += leak
    return Stencil(east, south, southeast, southwest, diagonal, nodes, leak, neighbours)


def ground_cells(stencil: Stencil, cells: NDArray[np.bool_]) -> Stencil:
    """Tie cells directly to ground: they leave the graph, and their edges become ground conductances.

    The solution of the smaller, definite problem is the voltage of all other cells; the tied cells have voltage 0.
    ``cells`` is (rows, columns) bool.
    """
    tied = np.pad(np.asarray(cells, dtype=bool), 1)
    ground = np.zeros_like(stencil.diagonal) if stencil.ground is None else stencil.ground.copy()
    kept = []
    for edge, (down, right) in (
        (stencil.east, (0, 1)),
        (stencil.south, (1, 0)),
        (stencil.southeast, (1, 1)),
        (stencil.southwest, (1, -1)),
    ):
        other = np.roll(tied, (-down, -right), axis=(0, 1))
        ground += np.where(other & ~tied, edge, 0.0)
        ground += np.roll(np.where(tied & ~other, edge, 0.0), (down, right), axis=(0, 1))
        kept.append(np.where(tied | other, 0.0, edge))
    ground[tied] = 0.0
    diagonal = np.where(tied, 0.0, stencil.diagonal)
    return replace(
        stencil,
        east=kept[0],
        south=kept[1],
        southeast=kept[2],
        southwest=kept[3],
        diagonal=diagonal,
        nodes=stencil.nodes & ~tied[1:-1, 1:-1],
        ground=ground if ground.any() else None,
    )


def components(nodes: NDArray[np.bool_], neighbours: int) -> NDArray[np.int32]:
    """Label the connected components of a raster's nodes, 1, 2, ...; 0 where there is no node."""
    from scipy.ndimage import label

    structure = np.ones((3, 3), dtype=np.int8) if neighbours == 8 else None
    labels, _ = label(nodes, structure=structure, output=np.int32)
    return np.asarray(labels)


@njit(cache=True, nogil=True, error_model="numpy")
def _edges(  # type: ignore[no-untyped-def]
    values, harmonic, queen, east_west, north_south, diagonal_step, east, south, southeast, southwest, diagonal
):
    """Fill the five stencil arrays from padded cell values (0 = no node)."""
    rows = values.shape[0] - 2
    columns = values.shape[1] - 2
    for i in range(1, rows + 1):
        along = 1.0 / east_west[i - 1]
        down = 1.0 / north_south[i - 1] if i < rows else 0.0
        slant = 1.0 / diagonal_step[i - 1] if i < rows and queen else 0.0
        for j in range(1, columns + 1):
            a = values[i, j]
            if a <= 0.0:
                continue
            b = values[i, j + 1]
            c = values[i + 1, j]
            d = values[i + 1, j + 1]
            e = values[i + 1, j - 1]
            if b > 0.0:
                east[i, j] = along * (2.0 / (a + b) if harmonic else 0.5 * (a + b))
            if c > 0.0:
                south[i, j] = down * (2.0 / (a + c) if harmonic else 0.5 * (a + c))
            if queen and d > 0.0:
                southeast[i, j] = slant * (2.0 / (a + d) if harmonic else 0.5 * (a + d))
            if queen and e > 0.0:
                southwest[i, j] = slant * (2.0 / (a + e) if harmonic else 0.5 * (a + e))
        for j in range(1, columns + 1):
            diagonal[i, j] = (
                east[i, j]
                + east[i, j - 1]
                + south[i, j]
                + south[i - 1, j]
                + southeast[i, j]
                + southeast[i - 1, j - 1]
                + southwest[i, j]
                + southwest[i - 1, j + 1]
            )
