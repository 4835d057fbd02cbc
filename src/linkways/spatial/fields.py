"""Fields in and out: quantities over time, depth and space (currents, winds) as lazily read xarray Datasets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkways.errors import LinkwaysError, MissingExtra, nearest

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["read_field", "write_field"]

_FORMATS = {".nc": "NetCDF", ".nc4": "NetCDF", ".zarr": "Zarr"}


def read_field(path: str | os.PathLike[str], *, variables: Iterable[str] = ()) -> xr.Dataset:
    """Return the variables of a NetCDF file or a Zarr folder; values are read when they are used, not before.

    Args:
        path: the file (.nc, .nc4) or the folder (.zarr).
        variables: names that must be there.

    Raises:
        LinkwaysError: no such file or variable, another ending, or not readable.
    """
    import xarray as xr

    from linkways.spatial._atomic import check_suffix, missing_file

    place = Path(path)
    suffix = check_suffix(place, _FORMATS, "field")
    if not place.exists():
        raise missing_file(place, "field")
    package = "zarr" if suffix == ".zarr" else "netCDF4"
    if find_spec(package) is None:
        raise MissingExtra(package.lower(), "seas", f"reading {place.name}")
    try:
        # the one list of all variables that a Zarr folder may hold is not needed where listing a folder is cheap
        how = {"engine": "zarr", "consolidated": False} if suffix == ".zarr" else {"engine": "netcdf4"}
        field = xr.open_dataset(place, decode_coords="all", **how)
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).strip().replace("\n", " ")[:300]
        raise LinkwaysError(f"cannot read {place} as a {_FORMATS[suffix]} field ({reason}); check the file") from error
    for name in variables:
        if name not in field.variables:
            found = [str(one) for one in field.data_vars]
            raise LinkwaysError(f"field {place.name} has no variable '{name}'{nearest(name, found)}")
    return field


def write_field(field: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a field as compressed NetCDF (.nc), aside and then moved into place, and return the path.

    Raises:
        LinkwaysError: another ending, or no folder to write to.
    """
    from linkways.spatial._atomic import check_suffix, written_aside

    place = Path(path)
    check_suffix(place, {".nc": "NetCDF"}, "field")
    if find_spec("netCDF4") is None:
        raise MissingExtra("netcdf4", "seas", f"writing {place.name}")
    coding = {str(name): _coding(field[name]) for name in field.data_vars if field[name].dtype.kind in "fiu"}
    with written_aside(place) as aside:
        field.to_netcdf(aside, engine="netcdf4", encoding=coding)
    return place


def _coding(variable: xr.DataArray) -> dict[str, Any]:
    """How a variable is stored: compressed; its mark that names the CRS is kept."""
    mapping = variable.encoding.get("grid_mapping")
    return {"zlib": True, "complevel": 1, **({"grid_mapping": mapping} if mapping else {})}
