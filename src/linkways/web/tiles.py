"""Map tiles straight from the GeoTIFFs of a run: each one warped, coloured and answered when it is asked for."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np

from linkways.web.layers import Look, RunLayer, look_of
from linkways.web.problems import NotThere

__all__ = ["bounds_in_degrees", "paint", "raster_tile", "tile_bounds", "tile_values"]

SIZE = 256
_HALF = math.pi * 6378137.0
_MOST_ZOOM = 24


def tile_bounds(z: int, x: int, y: int) -> tuple[float, float, float, float]:
    """Return west, south, east, north of a tile in Web Mercator metres.

    Raises:
        NotThere: there is no such tile.
    """
    if not (0 <= z <= _MOST_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
        raise NotThere(f"there is no tile {z}/{x}/{y}")
    width = 2 * _HALF / 2**z
    west, north = -_HALF + x * width, _HALF - y * width
    return west, north - width, west + width, north


def tile_values(file: Path, z: int, x: int, y: int, *, classes: bool, size: int = SIZE) -> np.ndarray:
    """Return the values of a raster on a tile as float64, NaN where it has none.

    Classes are taken from the nearest cell, quantities averaged when the tile is coarser than the data.
    """
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.transform import from_bounds
    from rasterio.vrt import WarpedVRT

    bounds = tile_bounds(z, x, y)
    with rasterio.open(file) as dataset:
        coarse = (bounds[2] - bounds[0]) / size > 2 * _cell_metres(dataset)
        quantity = Resampling.average if coarse else Resampling.nearest
        with WarpedVRT(
            dataset,
            crs="EPSG:3857",
            transform=from_bounds(*bounds, size, size),
            width=size,
            height=size,
            resampling=Resampling.nearest if classes else quantity,
            src_nodata=dataset.nodata,
            nodata=math.nan,
            dtype="float64",
        ) as warped:
            return np.asarray(warped.read(1, masked=True).filled(np.nan))


def paint(values: np.ndarray, look: Look) -> bytes:
    """Return values as a PNG in the colours of a look; what has no value is transparent."""
    from PIL import Image

    known = np.isfinite(values)
    rgba = np.zeros((*values.shape, 4), np.uint8)
    if known.any():
        rgba[known] = look.colours[_places(values[known], look)]
    out = io.BytesIO()
    Image.fromarray(rgba, "RGBA").save(out, "PNG", compress_level=3)
    return out.getvalue()


def _places(values: np.ndarray, look: Look) -> np.ndarray:
    if look.codes is not None:
        return np.clip(np.searchsorted(look.codes, values), 0, len(look.codes) - 1)
    if look.log:
        low, span = math.log10(look.low), math.log10(look.high / look.low)
        # what is not above 0 has no logarithm and takes the first colour
        values = np.log10(np.maximum(values, look.low * 1e-9))
    else:
        low, span = look.low, look.high - look.low
    share = (values - low) / span if span > 0 else np.zeros_like(values)
    last = len(look.colours) - 1
    return np.clip(np.rint(share * last), 0, last).astype(np.intp)


def raster_tile(layer: RunLayer, z: int, x: int, y: int) -> bytes:
    """Return one tile of a raster layer as PNG."""
    look = look_of(layer)
    return paint(tile_values(layer.file, z, x, y, classes=look.codes is not None), look)


def bounds_in_degrees(layer: RunLayer) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north of a layer in degrees; None for a layer without features."""
    if layer.kind == "raster":
        import rasterio
        from rasterio.warp import transform_bounds

        with rasterio.open(layer.file) as dataset:
            west, south, east, north = transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds, densify_pts=21)
    else:
        import geopandas as gpd

        frame = gpd.read_parquet(layer.file)
        if frame.empty:
            return None
        west, south, east, north = (float(side) for side in frame.to_crs("EPSG:4326").total_bounds)
        if not all(math.isfinite(side) for side in (west, south, east, north)):
            return None
    return west, max(south, -85.0), east, min(north, 85.0)


def _cell_metres(dataset: object) -> float:
    """The width of a cell in Web Mercator metres, roughly: enough to choose how to resample."""
    width = abs(dataset.transform.a)  # type: ignore[attr-defined]
    crs = dataset.crs  # type: ignore[attr-defined]
    return float(width * (111_320.0 if crs.is_geographic else crs.linear_units_factor[1]))
