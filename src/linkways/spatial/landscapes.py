"""Neutral landscapes: simulated rasters with known structure, for tests, teaching and null models.

The models are those of nlmpy (Etherington, Holland and O'Sullivan, 2015, Methods in Ecology and Evolution 6:164-168).
All return values from 0 to 1 on a projected grid in metres that lies in the open sea of the Gulf of Guinea, so that no
one takes it for a place, and say in ``attrs`` that they are simulated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "classify_landscape",
    "edge_gradient",
    "midpoint_displacement",
    "planar_gradient",
    "random_cluster",
    "random_landscape",
    "random_mosaic",
]

Seed = int | np.random.Generator

# UTM zone 31 north; the south-west corner is on the equator at 3 degrees east.
_CRS = "EPSG:32631"
_LEFT = 500_000.0

_nlmpy_lock = threading.Lock()


def random_landscape(
    rows: int, columns: int, *, seed: Seed, cell_size_m: float = 100.0, crs: Any = _CRS
) -> xr.DataArray:
    """Return a landscape without structure: every cell an independent uniform draw, rescaled to 0..1.

    Args:
        rows: number of rows.
        columns: number of columns.
        seed: whole number, or the generator to draw from.
        cell_size_m: side of a cell in metres.
        crs: projected CRS in metres.

    Raises:
        LinkwaysError: fewer than 2 x 2 cells, or a cell size that is not above 0.
    """
    rng = _generator(rows, columns, seed, cell_size_m)
    return _landscape(_rescaled(rng.random((rows, columns))), "random", cell_size_m, crs)


def midpoint_displacement(
    rows: int, columns: int, *, seed: Seed, h: float = 0.75, cell_size_m: float = 100.0, crs: Any = _CRS
) -> xr.DataArray:
    """Return a fractal landscape by midpoint displacement (Fournier, Fussell and Carpenter, 1982), rescaled to 0..1.

    Args:
        rows: number of rows.
        columns: number of columns.
        seed: whole number, or the generator to draw from.
        h: spatial autocorrelation, 0 (rough) to 1 (smooth): the displacement shrinks by 2^-h with every halving.
        cell_size_m: side of a cell in metres.
        crs: projected CRS in metres.

    Raises:
        LinkwaysError: as ``random_landscape``, or ``h`` outside 0..1.
    """
    if not 0.0 <= h <= 1.0:
        raise LinkwaysError(f"h must lie between 0 (rough) and 1 (smooth); got {h}")
    rng = _generator(rows, columns, seed, cell_size_m)
    side = 2 ** max(1, int(np.ceil(np.log2(max(rows, columns) - 1)))) + 1
    surface = _seeded(lambda nlmpy: nlmpy.mpd(side, side, h), rng)
    # The window is cut here: nlmpy itself fails when one side fills the square and the other does not.
    top, left = rng.integers(0, side - rows + 1), rng.integers(0, side - columns + 1)
    window = surface[top : top + rows, left : left + columns]
    return _landscape(_rescaled(window), f"midpoint displacement, h={h:g}", cell_size_m, crs)


def random_cluster(
    rows: int, columns: int, *, seed: Seed, p: float = 0.4, cell_size_m: float = 100.0, crs: Any = _CRS
) -> xr.DataArray:
    """Return a landscape of irregular patches by random clusters (Saura and Martinez-Millan, 2000), values 0..1.

    A share ``p`` of the cells is drawn; cells joined by their edges form clusters, each with one uniform value; the
    other cells take the value of the nearest cluster.

    Args:
        rows: number of rows.
        columns: number of columns.
        seed: whole number, or the generator to draw from.
        p: share of cells drawn, above 0 and below 1; patches grow with it up to the percolation threshold 0.593.
        cell_size_m: side of a cell in metres.
        crs: projected CRS in metres.

    Raises:
        LinkwaysError: as ``random_landscape``, ``p`` outside 0..1, or so small that fewer than two clusters form.
    """
    from scipy import ndimage

    if not 0.0 < p < 1.0:
        raise LinkwaysError(f"p must lie above 0 and below 1; got {p}")
    rng = _generator(rows, columns, seed, cell_size_m)
    # nlmpy reaches for a namespace that SciPy is removing, so the model is built here.
    clusters, number = ndimage.label(rng.random((rows, columns)) < p)
    if number < 2:
        raise LinkwaysError(
            f"p={p:g} gives {number} clusters on {rows} x {columns} cells; choose another p or more cells"
        )
    nearest_cell = ndimage.distance_transform_edt(clusters == 0, return_distances=False, return_indices=True)
    values = rng.random(number)[clusters[tuple(nearest_cell)] - 1]
    return _landscape(_rescaled(values), f"random cluster, p={p:g}", cell_size_m, crs)


def random_mosaic(
    rows: int, columns: int, *, seed: Seed, patches: int = 100, cell_size_m: float = 100.0, crs: Any = _CRS
) -> xr.DataArray:
    """Return a landscape of polygonal patches: random cells get a uniform value, the others that of the nearest one.

    Args:
        rows: number of rows.
        columns: number of columns.
        seed: whole number, or the generator to draw from.
        patches: number of cells drawn, at least 2.
        cell_size_m: side of a cell in metres.
        crs: projected CRS in metres.

    Raises:
        LinkwaysError: as ``random_landscape``, or patches below 2 or above the number of cells.
    """
    rng = _generator(rows, columns, seed, cell_size_m)
    if not 2 <= patches <= rows * columns:
        raise LinkwaysError(f"patches must lie between 2 and the {rows * columns} cells; got {patches}")
    values = _seeded(lambda nlmpy: nlmpy.randomElementNN(rows, columns, patches), rng)
    return _landscape(values, f"random mosaic, {patches} patches", cell_size_m, crs)


def planar_gradient(
    rows: int,
    columns: int,
    *,
    seed: Seed = 0,
    direction_deg: float | None = None,
    cell_size_m: float = 100.0,
    crs: Any = _CRS,
) -> xr.DataArray:
    """Return a landscape that rises evenly from 0 to 1 towards a bearing.

    Args:
        rows: number of rows.
        columns: number of columns.
        seed: whole number, or the generator to draw from; used when no direction is given.
        direction_deg: bearing from north, clockwise, towards which values rise; by default drawn.
        cell_size_m: side of a cell in metres.
        crs: projected CRS in metres.

    Raises:
        LinkwaysError: as ``random_landscape``.
    """
    values, direction = _gradient("planarGradient", rows, columns, seed, direction_deg, cell_size_m)
    return _landscape(values, f"planar gradient, {direction:g} degrees", cell_size_m, crs)


def edge_gradient(
    rows: int,
    columns: int,
    *,
    seed: Seed = 0,
    direction_deg: float | None = None,
    cell_size_m: float = 100.0,
    crs: Any = _CRS,
) -> xr.DataArray:
    """Return a landscape that rises from 0 at two opposite edges to 1 along the middle between them.

    Args:
        rows: number of rows.
        columns: number of columns.
        seed: whole number, or the generator to draw from; used when no direction is given.
        direction_deg: bearing from north, clockwise, of the line across the ridge; by default drawn.
        cell_size_m: side of a cell in metres.
        crs: projected CRS in metres.

    Raises:
        LinkwaysError: as ``random_landscape``.
    """
    values, direction = _gradient("edgeGradient", rows, columns, seed, direction_deg, cell_size_m)
    return _landscape(values, f"edge gradient, {direction:g} degrees", cell_size_m, crs)


def classify_landscape(landscape: xr.DataArray, shares: Sequence[float]) -> xr.DataArray:
    """Return the landscape cut into classes 1, 2, ... that hold the given shares of its cells, lowest values first.

    Where many cells share one value (patches) the shares are met as nearly as whole values allow.

    Args:
        landscape: values of a neutral landscape, NaN left out.
        shares: weight of each class, all above 0; they are divided by their sum.

    Raises:
        LinkwaysError: fewer than two shares, or one that is not above 0.
    """
    weights = np.asarray(shares, dtype=np.float64)
    if weights.size < 2 or not np.all(weights > 0.0):
        raise LinkwaysError(f"shares must be two or more numbers above 0; got {list(shares)}")
    values = np.asarray(landscape.values, dtype=np.float64)
    known = np.isfinite(values)
    cuts = np.quantile(values[known], np.cumsum(weights)[:-1] / weights.sum(), method="inverted_cdf")
    classes = np.where(known, np.searchsorted(cuts, values, side="left") + 1.0, np.nan)
    classified = landscape.copy(data=classes)
    classified.attrs = {**landscape.attrs, "classes": True}
    return classified


def _gradient(
    model: str, rows: int, columns: int, seed: Seed, direction_deg: float | None, cell_size_m: float
) -> tuple[np.ndarray, float]:
    import nlmpy.nlmpy as nlmpy

    rng = _generator(rows, columns, seed, cell_size_m)
    direction = float(rng.uniform(0.0, 360.0)) if direction_deg is None else float(direction_deg)
    # With a direction given, nlmpy draws nothing.
    return np.asarray(getattr(nlmpy, model)(rows, columns, direction)), direction


def _generator(rows: int, columns: int, seed: Seed, cell_size_m: float) -> np.random.Generator:
    if rows < 2 or columns < 2:
        raise LinkwaysError(f"a landscape needs at least 2 x 2 cells; got {rows} x {columns}")
    if not cell_size_m > 0.0:
        raise LinkwaysError(f"cell_size_m must be above 0 metres; got {cell_size_m}")
    return np.random.default_rng(seed)


def _seeded(model: Callable[[Any], np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Run one nlmpy model from a seed drawn from ``rng``.

    nlmpy draws from numpy's global state: it is set, used and put back under a lock. Code outside this module that
    draws from the global state in another thread at the same moment would still disturb the draw.
    """
    import nlmpy.nlmpy as nlmpy

    with _nlmpy_lock:
        before = np.random.get_state()  # noqa: NPY002
        try:
            np.random.seed(int(rng.integers(2**32)))  # noqa: NPY002
            return np.asarray(model(nlmpy), dtype=np.float64)
        finally:
            np.random.set_state(before)  # noqa: NPY002


def _rescaled(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    scaled: np.ndarray = (values - low) / (high - low)
    return scaled


def _landscape(values: np.ndarray, model: str, cell_size_m: float, crs: Any) -> xr.DataArray:
    from linkways.spatial.rasters import new_raster

    return new_raster(
        values,
        crs=crs,
        cell_size=float(cell_size_m),
        origin=(_LEFT, values.shape[0] * float(cell_size_m)),
        name="landscape",
        attrs={"units": "1", "simulated": True, "source": f"simulated: neutral landscape ({model})"},
    )
