"""The inputs of a study: found, opened cheaply before work starts, hashed by content, and read when a step asks."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkways.errors import LinkwaysError, nearest
from linkways.studies.recipe import StudyInput

if TYPE_CHECKING:
    from linkways.spatial._grid import Grid

__all__ = ["Header", "content_hash", "header_of", "kind_of_file", "open_header", "read_input", "without_path"]

Bounds = tuple[float, float, float, float]

_KINDS_BY_ENDING = {
    "raster": (".tif", ".tiff", ".asc", ".vrt", ".img", ".nc", ".grd", ".bil", ".flt", ".jp2", ".hgt", ".dem"),
    "vector": (".gpkg", ".shp", ".geojson", ".json", ".fgb", ".kml", ".gml", ".geoparquet"),
    "table": (".csv", ".gz", ".txt", ".graphml"),
    "field": (".zarr", ".nc4"),
}
_SHAPEFILE_PARTS = (".dbf", ".shx", ".prj", ".cpg")


@dataclass(frozen=True)
class Header:
    """What can be known of an input without reading it.

    Attributes:
        kind: ``raster``, ``vector``, ``table`` or ``field``.
        target: what to read: a path or an address; None for built-in data and inline rows.
        files: the local files whose content is the input's content.
        crs: its CRS in short, e.g. ``EPSG:3035``.
        bounds: (west, south, east, north) in that CRS.
        shape: rows and columns of a raster or a table, features and fields of a vector layer; -1 where unknown;
            the sizes of a field's dimensions.
        columns: fields of a vector layer or table, None where unknown.
        geometry: geometry type of a vector layer, None where unknown or mixed.
        grid: grid of a raster as read (window cut, not aligned).
        licence: licence given in the study or known for built-in data.
        source: likewise.
        simulated: whether the study or the file calls the data simulated.
        loaded: the data themselves where opening had to read them (built-in data, inline rows).
        log: sentences noted while opening.
    """

    kind: str
    target: str | None
    files: tuple[Path, ...] = ()
    crs: str | None = None
    bounds: Bounds | None = None
    shape: tuple[int, ...] | None = None
    columns: tuple[str, ...] | None = None
    geometry: str | None = None
    grid: Grid | None = None
    licence: str | None = None
    source: str | None = None
    simulated: bool = False
    loaded: Any = None
    log: tuple[str, ...] = ()


def open_header(item: StudyInput, folder: Path, wanted: str | None = None) -> Header:
    """Find an input and open its header.

    Args:
        item: the input as the study names it.
        folder: the folder that paths are relative to.
        wanted: the kind the steps need, for an input whose kind nothing else tells.

    Raises:
        LinkwaysError: not found, not readable, no CRS and none given, no such band or layer, a window outside it.
    """
    if item.origin == "builtin":
        header = _builtin_header(item)
    elif item.origin == "rows":
        header = _rows_header(item)
    else:
        target = _target(item, folder)
        # a NetCDF file holds rasters as well as fields
        is_field = wanted == "field" and target.endswith(".nc")
        kind = item.kind or ("field" if is_field else kind_of_file(target)) or wanted
        if kind is None:
            raise LinkwaysError("the file ending does not tell what it holds; add 'kind: raster', 'vector' or 'table'")
        openers = {
            "raster": _raster_header,
            "vector": _vector_header,
            "table": _table_header,
            "field": _field_header,
        }
        header = openers[kind](item, target)
    _check_options(item, header)
    return replace(
        header,
        licence=item.licence or header.licence,
        source=item.source or header.source,
        simulated=item.simulated or header.simulated,
    )


def read_input(item: StudyInput, header: Header, downloads: Path) -> Any:
    """Read the input whole: a DataArray named like the input, a GeoDataFrame or a DataFrame; a field is read as used.

    Files behind an address are fetched into ``downloads`` unless they are rasters, which are read in place.
    """
    from linkways.spatial import builtin, read_field, read_raster, read_table, read_vectors

    if header.loaded is not None:
        value = header.loaded
    elif item.origin == "builtin":
        value = builtin(item.value, bounds=item.bounds)
    elif item.origin == "rows":
        value = _rows(item)
    elif header.kind == "raster":
        value = read_raster(str(header.target), band=item.band, bounds=item.bounds, crs=item.crs, classes=item.classes)
    elif header.kind == "vector":
        path = fetched(str(header.target), downloads)
        value = read_vectors(path, layer=item.layer, bounds=item.bounds, crs=item.crs)
    elif header.kind == "field":
        value = read_field(fetched(str(header.target), downloads))
    else:
        value = read_table(fetched(str(header.target), downloads))
    return _named(_selected(value, item), item, header)


def without_path(raster: Any, path: str | Path | None) -> Any:
    """The raster without the path it was read from: results must not tell, nor depend on, where files lie."""
    if raster.attrs.get("source") == str(path):
        raster.attrs = {key: value for key, value in raster.attrs.items() if key != "source"}
    return raster


def content_hash(item: StudyInput, header: Header, downloads: Path) -> tuple[str, str]:
    """The SHA-256 of an input's content, and of its content together with how it is read (the part of step keys).

    Local and fetched files count with all their bytes, side files included; a remote raster with the values of its
    window; inline rows with their text.
    """
    if header.kind == "raster" and _is_remote(header.target):
        parts = [("values", _values_hash(read_input(item, header, downloads)))]
    elif item.origin == "rows":
        parts = [("rows", hashlib.sha256(_canonical(item.value).encode()).hexdigest())]
    else:
        files = header.files or (fetched(str(header.target), downloads),)
        parts = [(path.suffix.lower(), file_hash(path)) for path in files]
    reading = {
        "content": parts,
        "kind": header.kind,
        "builtin": item.value if item.origin == "builtin" else None,
        **{key: getattr(item, key) for key in ("bounds", "crs", "band", "layer", "select", "classes", "simulated")},
    }
    return parts[0][1], hashlib.sha256(_canonical(reading).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LinkwaysError(f"cannot read {path}: {error.strerror or error}; check the file") from None


def fetched(target: str, downloads: Path) -> Path:
    """The local path of a file or address; an address is fetched into ``downloads`` once."""
    if not _is_remote(target):
        return Path(target)
    ending = "".join(Path(target.split("?", 1)[0]).suffixes[-2:])
    file = downloads / (hashlib.sha256(target.encode()).hexdigest()[:16] + ending)
    if not file.exists():
        _download(target, file)
    return file


# --- finding -------------------------------------------------------------------------


def _target(item: StudyInput, folder: Path) -> str:
    if item.origin == "url":
        if not _is_remote(item.value):
            raise LinkwaysError(f"the address {item.value} must begin with http:// or https://")
        return str(item.value)
    if item.origin == "package":
        return str(_package_file(item))
    if str(item.value).startswith("/vsi"):
        raise LinkwaysError(f"{item.value} is a GDAL name, which could reach anywhere; give a path or a url")
    path = folder / Path(item.value).expanduser()
    if not path.is_file() and not (path.is_dir() and path.suffix.lower() == ".zarr"):
        raise _missing(path, str(item.value))
    if not os.access(path, os.R_OK):
        raise LinkwaysError(f"{item.value} cannot be read; change its permissions")
    return str(path)


def _missing(path: Path, written: str) -> LinkwaysError:
    if path.is_dir():
        return LinkwaysError(f"{written} is a folder; give the file")
    if not path.parent.is_dir():
        return LinkwaysError(f"there is no file {written}: the folder {path.parent} does not exist; check the path")
    names = [entry.name for entry in path.parent.iterdir() if entry.is_file() and not entry.name.startswith(".")]
    return LinkwaysError(f"there is no file {written}{nearest(path.name, names)}; check the path")


def _package_file(item: StudyInput) -> Path:
    """The resource of an installed package, found without importing it: a study runs no code of its own choice."""
    from importlib.util import find_spec

    top, *inner = str(item.value).split(".")
    parts = Path(str(item.resource)).parts
    if not all(part.isidentifier() for part in (top, *inner)):
        raise LinkwaysError(f"'{item.value}' is not the name of a Python package")
    if not parts or ".." in parts or Path(str(item.resource)).is_absolute():
        raise LinkwaysError(f"the resource {item.resource} must be a path inside the package {item.value}")
    spec = find_spec(top)
    if spec is None or spec.submodule_search_locations is None:
        raise LinkwaysError(f"the package {top} is not installed; install it with: pip install {top}")
    folders = [Path(location, *inner) for location in spec.submodule_search_locations]
    for folder in folders:
        if (folder / Path(*parts)).is_file():
            return folder / Path(*parts)
    written = f"{item.resource} in the package {item.value}"
    raise _missing(folders[0] / Path(*parts), written) if folders else LinkwaysError(f"there is no file {written}")


def kind_of_file(target: str) -> str | None:
    """The kind of input that a file's ending, or its Parquet schema, tells; None where it may be several."""
    name = Path(target.split("?", 1)[0])
    ending = name.suffix.lower()
    if ending == ".parquet":
        if _is_remote(target):
            return None
        return "vector" if b"geo" in _parquet_schema(target).metadata_or_empty else "table"
    return next((kind for kind, endings in _KINDS_BY_ENDING.items() if ending in endings), None)


def _is_remote(target: str | None) -> bool:
    return target is not None and target.startswith(("http://", "https://"))


def _check_options(item: StudyInput, header: Header) -> None:
    """Refuse what the recipe says about an input of a kind that has no such thing."""
    applies = {
        "raster": {"bounds", "crs", "band", "classes", "align"},
        "vector": {"bounds", "crs", "layer", "select"},
        "table": {"select"},
        "field": set(),
    }[header.kind]
    given = {
        "bounds": item.bounds is not None,
        "crs": item.crs is not None,
        "band": item.band != 1,
        "layer": item.layer is not None,
        "select": item.select is not None,
        "classes": item.classes is not None,
        "align": item.align is not None,
    }
    for key, is_given in given.items():
        if is_given and key not in applies:
            raise LinkwaysError(f"'{key}' says nothing about a {header.kind}; remove it")
    for column in item.select or {}:
        if header.columns is not None and column not in header.columns:
            raise LinkwaysError(f"select: there is no column '{column}'{nearest(column, header.columns)}")
    if item.origin == "builtin" and (given["band"] or given["layer"]):
        raise LinkwaysError("built-in data have no other band or layer; remove 'band' and 'layer'")
    if item.kind is not None and item.kind != header.kind:
        raise LinkwaysError(f"kind is {item.kind} but this is a {header.kind}; correct 'kind'")


# --- opening -------------------------------------------------------------------------


def _builtin_header(item: StudyInput) -> Header:
    from linkways.spatial import builtin, builtin_sources, recording

    known = {source.name: source for source in builtin_sources()}
    if item.value not in known:
        raise LinkwaysError(f"there is no built-in input '{item.value}'{nearest(item.value, known)}")
    info = known[item.value]
    with recording() as log:
        value = builtin(item.value, bounds=item.bounds)
    header = header_of(_with_options(_selected(value, item), item))
    return replace(
        header, files=(info.path(),), licence=info.licence, source=info.citation, loaded=value, log=tuple(log)
    )


def _rows_header(item: StudyInput) -> Header:
    return replace(header_of(_rows(item)), licence="part of the study")


def _rows(item: StudyInput) -> Any:
    import pandas as pd

    return pd.DataFrame(item.value)


def _raster_header(item: StudyInput, target: str) -> Header:
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    remote = _is_remote(target)
    settings = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if remote else {}
    with rasterio.Env(**settings), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            dataset = rasterio.open(f"/vsicurl/{target}" if remote else target)
        except RasterioError as error:
            reason = str(error).replace("\n", " ")
            raise LinkwaysError(f"{item.value} cannot be read as a raster ({reason}); give a GeoTIFF") from None
        with dataset:
            grid = _window_grid(item, dataset, Path(target).name)
            files = [Path(name) for name in dataset.files]
            tags = dataset.tags()
    local = tuple(path for path in files if path.is_file()) or (Path(target),)
    return Header(
        "raster",
        target,
        files=() if remote else local,
        crs=_short(grid.crs),
        bounds=grid.bounds,
        shape=grid.shape,
        grid=grid,
        simulated=tags.get("SIMULATED", "").lower() == "true",
        source=tags.get("SOURCE"),
    )


def _window_grid(item: StudyInput, dataset: Any, name: str) -> Grid:
    """The grid of the window that will be read, as ``read_raster`` gives it."""
    from linkways.spatial._grid import Grid, parse_crs
    from linkways.spatial._windows import window

    if not 1 <= item.band <= dataset.count:
        raise LinkwaysError(f"{name} has no band {item.band}; it has bands 1 to {dataset.count}")
    t = dataset.transform
    if t.is_identity:
        raise LinkwaysError(f"{name} does not say where its cells lie; georeference it (for example with gdal_edit)")
    if t.b or t.d or t.a < 0:
        raise LinkwaysError(f"{name} is rotated or mirrored; warp it to a north-up grid (for example with gdalwarp)")
    if dataset.crs is None and item.crs is None:
        raise LinkwaysError(f"{name} has no coordinate reference system; add 'crs: EPSG:...' to the input")
    crs = parse_crs(item.crs if item.crs is not None else dataset.crs.to_wkt())
    whole = Grid(crs, t.c, t.f, t.a, t.e, dataset.height, dataset.width)
    rows, columns, shift = window(whole, item.bounds, item.name)
    north = whole.y0 + (rows.start if t.e < 0 else rows.stop) * t.e
    return Grid(crs, whole.x0 + columns.start * t.a + shift, north, t.a, -abs(t.e), len(rows), len(columns))


def _vector_header(item: StudyInput, target: str) -> Header:
    remote = _is_remote(target)
    if Path(target.split("?", 1)[0]).suffix.lower() in (".parquet", ".geoparquet"):
        header = Header("vector", target) if remote else _geoparquet_header(item, target)
    else:
        header = _ogr_header(item, target)
    if header.crs is None and item.crs is None and not (remote and header.columns is None):
        raise LinkwaysError(f"{Path(target).name} has no coordinate reference system; add 'crs: EPSG:...' to the input")
    crs = _short(item.crs) if item.crs is not None else header.crs
    return replace(header, crs=crs, files=() if remote else _with_side_files(Path(target)))


def _ogr_header(item: StudyInput, target: str) -> Header:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    shown = Path(target).name
    path = f"/vsicurl/{target}" if _is_remote(target) else target
    try:
        layer = _chosen_layer(pyogrio.list_layers(path), item.layer, shown)
        info = pyogrio.read_info(path, layer=layer)
    except (DataSourceError, DataLayerError) as error:
        reason = str(error).replace("\n", " ")[:300]
        raise LinkwaysError(
            f"{shown} cannot be read as a vector layer ({reason}); give a GeoPackage, GeoParquet or Shapefile"
        ) from None
    fields = tuple(str(name) for name in info["fields"])
    bounds = info.get("total_bounds")
    return Header(
        "vector",
        target,
        crs=_short(info["crs"]) if info["crs"] else None,
        bounds=tuple(float(side) for side in bounds) if bounds is not None else None,  # type: ignore[arg-type]
        shape=(int(info["features"]), len(fields)),
        columns=fields,
        geometry=_plain_geometry(info.get("geometry_type")),
    )


def _chosen_layer(layers: Any, asked: str | None, shown: str) -> str:
    """The layer asked for, or the only one with geometry."""
    spatial = [str(name) for name, geometry in layers if geometry is not None]
    if asked is not None and asked not in spatial:
        raise LinkwaysError(f"{shown} has no layer '{asked}'{nearest(asked, spatial)}")
    if not spatial:
        raise LinkwaysError(f"{shown} holds no geometries; give a vector layer, or use it as a table")
    if asked is None and len(spatial) > 1:
        raise LinkwaysError(f"{shown} has {len(spatial)} layers; add 'layer: ...', one of {', '.join(spatial[:12])}")
    return asked if asked is not None else spatial[0]


def _geoparquet_header(item: StudyInput, target: str) -> Header:
    schema = _parquet_schema(target)
    if b"geo" not in schema.metadata_or_empty:
        raise LinkwaysError(f"{Path(target).name} is Parquet without geometry; use it as a table or write GeoParquet")
    if item.layer is not None:
        raise LinkwaysError(f"{Path(target).name} is GeoParquet, which has no layers; remove 'layer'")
    geo = json.loads(schema.metadata_or_empty[b"geo"])
    primary = geo.get("primary_column", "geometry")
    column = geo.get("columns", {}).get(primary, {})
    # The format's default CRS is longitude and latitude; only an explicit null means unknown.
    crs = column.get("crs", "OGC:CRS84")
    types = column.get("geometry_types") or []
    fields = tuple(name for name in schema.names if name != primary)
    return Header(
        "vector",
        target,
        crs=_short(json.dumps(crs) if isinstance(crs, dict) else crs) if crs is not None else None,
        bounds=tuple(column["bbox"]) if len(column.get("bbox") or ()) == 4 else None,
        shape=(schema.rows, len(fields)),
        columns=fields,
        geometry=_plain_geometry(types[0]) if len(types) == 1 else None,
    )


def _table_header(_: StudyInput, target: str) -> Header:
    import pandas as pd

    if _is_remote(target):
        _check_reachable(target)
        return Header("table", target)
    if Path(target).suffix.lower() == ".parquet":
        schema = _parquet_schema(target)
        return Header("table", target, (Path(target),), shape=(schema.rows, len(schema.names)), columns=schema.names)
    name = Path(target).name
    if name.lower().endswith((".txt", ".txt.gz", ".graphml")):
        from linkways.spatial import read_table

        frame = read_table(target)
        columns = tuple(str(column) for column in frame.columns)
        return Header("table", target, (Path(target),), shape=(len(frame), len(columns)), columns=columns)
    if not name.lower().endswith((".csv", ".csv.gz")):
        raise LinkwaysError(f"{name} is not a table that can be read; write it as CSV (.csv) or Parquet (.parquet)")
    try:
        frame = pd.read_csv(target, encoding="utf-8-sig", nrows=20)
    except (ValueError, OSError) as error:
        reason = str(error).strip().replace("\n", " ")[:300]
        raise LinkwaysError(f"{name} cannot be read as a CSV table ({reason}); check the file") from None
    columns = tuple(str(column) for column in frame.columns)
    return Header("table", target, (Path(target),), shape=(-1, len(columns)), columns=columns)


def _field_header(_: StudyInput, target: str) -> Header:
    from linkways.spatial import read_field

    if _is_remote(target):
        _check_reachable(target)
        return Header("field", target)
    path = Path(target)
    files = tuple(sorted(entry for entry in path.rglob("*") if entry.is_file())) if path.is_dir() else (path,)
    with read_field(target) as field:
        header = header_of(field)
    return replace(header, target=target, files=files)


def header_of(value: Any) -> Header:
    """The header of data that are in memory."""
    from linkways.spatial._grid import grid_of, short_name

    names = [base.__name__ for base in type(value).__mro__]
    if "DataArray" in names:
        grid = grid_of(value)
        crs = short_name(grid.crs)
        simulated = bool(value.attrs.get("simulated"))
        return Header("raster", None, (), crs, grid.bounds, grid.shape, grid=grid, simulated=simulated)
    if "Dataset" in names:
        import rioxarray  # noqa: F401

        told = value.rio.crs
        sizes = tuple(int(size) for size in value.sizes.values())
        short = _short(told.to_wkt()) if told is not None else None
        return Header("field", None, (), short, shape=sizes, simulated=_flag(value.attrs.get("simulated")))
    columns = tuple(str(column) for column in value.columns)
    if "GeoDataFrame" in names:
        fields = tuple(name for name in columns if name != value.geometry.name)
        bounds = tuple(float(side) for side in value.total_bounds) if len(value) else None
        shape = (len(value), len(fields))
        return Header("vector", None, (), short_name(value.crs), bounds, shape, fields)  # type: ignore[arg-type]
    return Header("table", None, shape=(len(value), len(columns)), columns=columns)


@dataclass(frozen=True)
class _Schema:
    names: tuple[str, ...]
    metadata_or_empty: Mapping[bytes, bytes]
    rows: int


def _parquet_schema(target: str) -> _Schema:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(target)
        with file:
            schema = file.schema_arrow
            names = tuple(name for name in schema.names if not name.startswith("__index_level_"))
            return _Schema(names, schema.metadata or {}, file.metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).replace("\n", " ")[:200]
        raise LinkwaysError(f"{Path(target).name} cannot be read as Parquet ({reason}); check the file") from None


# --- small matters -------------------------------------------------------------------


def _named(value: Any, item: StudyInput, header: Header) -> Any:
    value = _with_options(value, item) if item.origin == "builtin" else value
    if header.kind == "raster":
        value = without_path(value.rename(item.name), header.target)
        value.attrs = {**value.attrs, **({"source": header.source} if header.source else {})}
    if header.simulated:
        value.attrs = {**value.attrs, "simulated": True}
    return value


def _with_options(value: Any, item: StudyInput) -> Any:
    """Built-in data with the CRS and the classes mark that the study gives them."""
    from linkways.spatial import note
    from linkways.spatial._grid import parse_crs, same_crs, short_name

    if item.crs is not None:
        chosen = parse_crs(item.crs)
        told = parse_crs(value.rio.crs.to_wkt() if hasattr(value, "rio") else value.crs)
        if not same_crs(told, chosen):
            note(f"input {item.name}: the CRS {short_name(told)} replaced by {short_name(chosen)} as given")
            raster = hasattr(value, "rio")
            value = value.rio.write_crs(chosen.to_wkt()) if raster else value.set_crs(chosen, allow_override=True)
    if item.classes is not None and hasattr(value, "rio"):
        value = value.copy(deep=False)
        value.attrs = {**value.attrs, "classes": item.classes}
    return value


def _selected(value: Any, item: StudyInput) -> Any:
    """The rows or features whose columns hold one of the values to keep.

    Raises:
        LinkwaysError: no such column, or a value that no row has.
    """
    for column, kept in (item.select or {}).items():
        if column not in value.columns:
            raise LinkwaysError(f"select: there is no column '{column}'{nearest(column, map(str, value.columns))}")
        present = set(value[column])
        absent = [one for one in kept if one not in present]
        if absent:
            known = [str(one) for one in present]
            raise LinkwaysError(f"select: no row has {column} '{absent[0]}'{nearest(str(absent[0]), known)}")
        value = value[value[column].isin(kept)].reset_index(drop=True)
    return value


def _flag(value: Any) -> bool:
    # NetCDF has no true and false: they are written as words or numbers
    return str(value).lower() in ("true", "1")


def _with_side_files(path: Path) -> tuple[Path, ...]:
    if path.suffix.lower() != ".shp":
        return (path,)
    beside = {entry.suffix.lower(): entry for entry in path.parent.iterdir() if entry.stem == path.stem}
    return (path, *(beside[part] for part in _SHAPEFILE_PARTS if part in beside))


def _plain_geometry(kind: Any) -> str | None:
    """The geometry type without Z, M and 25D marks, None where the layer may hold several."""
    if not isinstance(kind, str) or kind in ("Unknown", "GeometryCollection"):
        return None
    return kind.replace("2.5D ", "").removesuffix(" ZM").removesuffix(" Z").removesuffix(" M")


def _short(crs: Any) -> str:
    from linkways.spatial._grid import parse_crs, short_name

    return short_name(parse_crs(crs))


def _values_hash(raster: Any) -> str:
    import numpy as np

    digest = hashlib.sha256()
    for part in (raster.values, raster.x.values, raster.y.values):
        digest.update(np.ascontiguousarray(part).tobytes())
    digest.update(raster.rio.crs.to_wkt().encode())
    return digest.hexdigest()


def _canonical(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)


def _check_reachable(address: str) -> None:
    import urllib.request

    try:
        with urllib.request.urlopen(address, timeout=30):
            return
    except (OSError, ValueError) as error:
        raise LinkwaysError(f"{address} cannot be reached ({error}); check the address and the connection") from None


def _download(address: str, file: Path) -> None:
    import shutil
    import urllib.request

    aside = file.with_name(file.name + ".part")
    try:
        with urllib.request.urlopen(address, timeout=60) as answer, aside.open("wb") as out:
            shutil.copyfileobj(answer, out, 1 << 20)
    except (OSError, ValueError) as error:
        aside.unlink(missing_ok=True)
        raise LinkwaysError(f"{address} cannot be fetched ({error}); check the address and the connection") from None
    aside.replace(file)
