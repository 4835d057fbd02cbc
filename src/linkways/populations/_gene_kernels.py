"""The loop of landscape genetics over a raster: sums over the edges at its cells."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["edge_sums"]

Floats = NDArray[np.float64]


def edge_sums(
    fields: Floats, kappa: Floats, edges: tuple[NDArray[np.bool_], ...], lengths: tuple[Floats, ...]
) -> Floats:
    """sum over the edges at a cell of sum_f kappa_f (drop of field f)^2 / (2 length): (rows, columns).

    fields : (f, rows, columns); kappa : (f,); edges : east, south, southeast, southwest as padded bool arrays of a
    stencil; lengths : east_west, north_south, diagonal of StepLengths.
    """
    out = np.zeros(fields.shape[1:])
    _edge_sums(np.ascontiguousarray(fields), kappa, *edges, *lengths, out)
    return out


@njit(cache=True, nogil=True)
def _edge_sums(fields, kappa, east, south, southeast, southwest, along, gap, slant, out):
    rows, columns = out.shape
    sums = np.empty((4, columns))
    for r in range(rows):
        sums[:] = 0.0
        below = r + 1 < rows
        for f in range(len(kappa)):
            here = fields[f, r]
            for c in range(columns - 1):
                drop = here[c] - here[c + 1]
                sums[0, c] += kappa[f] * drop * drop
            if below:
                under = fields[f, r + 1]
                for c in range(columns):
                    drop = here[c] - under[c]
                    sums[1, c] += kappa[f] * drop * drop
                for c in range(columns - 1):
                    drop = here[c] - under[c + 1]
                    sums[2, c] += kappa[f] * drop * drop
                for c in range(1, columns):
                    drop = here[c] - under[c - 1]
                    sums[3, c] += kappa[f] * drop * drop
        for c in range(columns):
            if c + 1 < columns and east[r + 1, c + 1]:
                part = sums[0, c] / (2.0 * along[r])
                out[r, c] += part
                out[r, c + 1] += part
            if not below:
                continue
            if south[r + 1, c + 1]:
                part = sums[1, c] / (2.0 * gap[r])
                out[r, c] += part
                out[r + 1, c] += part
            if c + 1 < columns and southeast[r + 1, c + 1]:
                part = sums[2, c] / (2.0 * slant[r])
                out[r, c] += part
                out[r + 1, c + 1] += part
            if c > 0 and southwest[r + 1, c + 1]:
                part = sums[3, c] / (2.0 * slant[r])
                out[r, c] += part
                out[r + 1, c - 1] += part
