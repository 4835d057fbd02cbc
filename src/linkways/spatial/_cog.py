"""How a raster is stored: the type that holds its values, and the Cloud-Optimised GeoTIFF around them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.spatial.log import note

if TYPE_CHECKING:
    import xarray as xr

    from linkways.spatial._grid import Grid


def encoded(raster: xr.DataArray) -> tuple[np.ndarray, float | None]:
    """Return the values in the type of the file, and the nodata value (None: no cell is without data)."""
    values = np.asarray(raster.values)
    if values.dtype == np.bool_:
        return values.astype(np.uint8), None
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise LinkwaysError(f"raster {raster.name} holds {values.dtype} values; convert them to numbers first")
    if np.issubdtype(values.dtype, np.integer):
        return values, None
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    if raster.attrs.get("classes"):
        codes = _as_codes(values)
        if codes is not None:
            return codes
        note(f"raster {raster.name}: marked as classes but holds values that are not whole, written as continuous")
    return values, math.nan


def _as_codes(values: np.ndarray) -> tuple[np.ndarray, float] | None:
    known = np.isfinite(values)
    codes = values[known]
    if np.isinf(values).any() or (codes != np.rint(codes)).any():
        return None
    low, high = (float(codes.min()), float(codes.max())) if codes.size else (0.0, 0.0)
    for dtype in (np.uint8, np.int16, np.uint16, np.int32):
        limits = np.iinfo(dtype)
        fill = limits.max if limits.min == 0 else limits.min
        # One value of the type is kept free for nodata.
        if limits.min + (fill == limits.min) <= low and high <= limits.max - (fill == limits.max):
            return np.where(known, values, fill).astype(dtype), float(fill)
    return None


def _class_names(raster: xr.DataArray) -> dict[str, str]:
    """The legend by code, as JSON has keys."""
    return {str(int(code)): str(name) for code, name in (raster.attrs.get("class_names") or {}).items()}


def describe(dataset: Any, raster: xr.DataArray, *, whole: bool) -> None:
    """Write units, name, source and the marks of the raster into an open file."""
    tags = {
        "SOURCE": raster.attrs.get("source"),
        "SIMULATED": "true" if raster.attrs.get("simulated") else None,
        "CLASSES": "true" if whole and raster.attrs.get("classes") else None,
        "CLASS_NAMES": json.dumps(names, ensure_ascii=False) if whole and (names := _class_names(raster)) else None,
    }
    dataset.update_tags(**{key: str(value) for key, value in tags.items() if value is not None})
    if raster.attrs.get("units"):
        dataset.set_band_unit(1, str(raster.attrs["units"]))
    if raster.name is not None:
        dataset.set_band_description(1, str(raster.name))


def write_cog(aside: Path, values: np.ndarray, fill: float | None, grid: Grid, raster: xr.DataArray) -> None:
    """Make the file in memory and write it out in one go: GDAL would hide why a disk refuses it."""
    import warnings

    import rasterio
    from affine import Affine
    from rasterio.errors import NotGeoreferencedWarning

    west, _, _, north = grid.bounds
    if grid.dy > 0:
        values = values[::-1]
    whole = np.issubdtype(values.dtype, np.integer)
    with rasterio.MemoryFile(ext=".tif") as memory, warnings.catch_warnings():
        # Unit cells at the origin look like no georeference; the GeoTIFF driver stores them all the same.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(
            driver="COG",
            height=values.shape[0],
            width=values.shape[1],
            count=1,
            dtype=values.dtype.name,
            crs=grid.crs.to_wkt(),
            transform=Affine(abs(grid.dx), 0.0, west, 0.0, -abs(grid.dy), north),
            nodata=fill,
            compress="DEFLATE",
            predictor="YES",
            bigtiff="IF_SAFER",
            overview_resampling="MODE" if whole else "AVERAGE",
        ) as dataset:
            dataset.write(values, 1)
            describe(dataset, raster, whole=bool(whole))
        aside.write_bytes(memory.getbuffer())
