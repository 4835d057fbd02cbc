"""Vector layers in and out: GeoPackage, GeoParquet, Shapefile and GeoJSON as GeoDataFrames."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.spatial.log import note

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["holds_features", "read_vectors", "write_vectors"]

Bounds = tuple[float, float, float, float]

_WRITTEN = {".parquet": "GeoParquet", ".gpkg": "GeoPackage", ".geojson": "GeoJSON"}


def read_vectors(
    path: str | os.PathLike[str],
    *,
    layer: str | None = None,
    bounds: Bounds | None = None,
    crs: Any = None,
    columns: Sequence[str] | None = None,
) -> gpd.GeoDataFrame:
    """Return the features of a vector file as a GeoDataFrame with a CRS and valid geometries.

    Invalid geometries are made valid (polygons stay polygons) and features without geometry are left out; both are
    written into the run's log.

    Args:
        path: GeoParquet (.parquet) or anything GDAL reads (.gpkg, .shp, .geojson, a zip of one, an http address).
        layer: name of the layer; needed where the file has several.
        bounds: (west, south, east, north) in the layer's CRS; features that intersect it are returned, whole.
        crs: use this CRS instead of what the file says.
        columns: read only these fields.

    Raises:
        LinkwaysError: no such file, layer or field, unreadable, several layers and none named, no CRS and none given.
    """
    text = os.fspath(path)
    name = layer or Path(text.split("?", 1)[0]).stem
    if Path(text).suffix.lower() in (".parquet", ".geoparquet"):
        if layer is not None:
            raise LinkwaysError(f"{text} is GeoParquet, which has no layers; leave layer={layer!r} out")
        frame = _read_parquet(text, columns)
    else:
        frame = _read_ogr(text, layer, bounds, columns)
    frame = _with_crs(frame, name, crs)
    frame = _with_geometry(frame, name)
    if bounds is not None:
        frame = _within(frame, bounds, name)
    return frame


def holds_features(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a layer of features rather than a plain table: told by its ending, or inside Parquet."""
    suffix = Path(path).suffix.lower()
    if suffix != ".parquet":
        return suffix in (".geoparquet", ".gpkg", ".geojson", ".json", ".shp", ".zip", ".fgb", ".kml")
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import read_schema

    try:
        return b"geo" in (read_schema(path).metadata or {})
    except (OSError, ArrowInvalid):
        return False


def write_vectors(frame: gpd.GeoDataFrame, path: str | os.PathLike[str]) -> Path:
    """Write a GeoDataFrame as GeoParquet (.parquet), GeoPackage (.gpkg) or GeoJSON (.geojson) and return its path.

    GeoJSON holds longitude and latitude on WGS 84 only (RFC 7946), so other CRS are reprojected and the log says so.
    The file is written aside and moved into place.

    Raises:
        LinkwaysError: no CRS, another ending, the folder missing or not writable, the disk full.
    """
    from linkways.spatial._atomic import check_suffix, written_aside

    final = Path(path)
    suffix = check_suffix(final, _WRITTEN, "vector layer")
    if frame.crs is None:
        raise LinkwaysError(
            f"the layer to write to {final.name} has no coordinate reference system; set one with frame.set_crs(...)"
        )
    content = _parquet_bytes(frame) if suffix == ".parquet" else _ogr_bytes(frame, final.stem, suffix)
    with written_aside(final) as aside:
        aside.write_bytes(content)
    return final


# --- reading ---------------------------------------------------------------------------------------------------


def _read_parquet(path: str, columns: Sequence[str] | None) -> gpd.GeoDataFrame:
    import geopandas as gpd

    from linkways.spatial._atomic import missing_file

    if not Path(path).exists():
        raise missing_file(path, "vector file")
    try:
        frame = gpd.read_parquet(path)
    # The errors of pyarrow are children of these.
    except (ValueError, OSError, KeyError, NotImplementedError) as error:
        raise LinkwaysError(
            f"cannot read {path} as GeoParquet ({_one_line(error)}); write it with geopandas or give a GeoPackage"
        ) from error
    if columns is None:
        return frame
    _check_fields(columns, [str(name) for name in frame.columns], path)
    return frame[[*columns, frame.geometry.name]]


def _read_ogr(path: str, layer: str | None, bounds: Bounds | None, columns: Sequence[str] | None) -> gpd.GeoDataFrame:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    from linkways.spatial._atomic import missing_file

    remote = path.startswith(("http://", "https://"))
    target = f"/vsicurl/{path}" if remote else path
    if not remote and not path.startswith("/vsi") and not Path(path).exists():
        raise missing_file(path, "vector file")
    try:
        chosen = _layer(pyogrio.list_layers(target), layer, path)
        if columns is not None:
            _check_fields(columns, list(pyogrio.read_info(target, layer=chosen)["fields"]), path)
        # Across the antimeridian the window is two boxes: everything is read and then cut.
        box = bounds if bounds is not None and bounds[0] < bounds[2] else None
        return pyogrio.read_dataframe(target, layer=chosen, bbox=box, columns=columns)
    except (DataSourceError, DataLayerError) as error:
        raise LinkwaysError(
            f"cannot read {path} as a vector layer ({_one_line(error)}); "
            "give a GeoPackage, GeoParquet, Shapefile or GeoJSON"
        ) from error


def _layer(layers: np.ndarray, asked: str | None, path: str) -> str:
    """Return the name of the layer to read: the one asked for, or the only one with geometry."""
    spatial = [str(name) for name, geometry in layers if geometry is not None]
    if asked is not None:
        if asked not in spatial:
            raise LinkwaysError(f"{path} has no layer {asked!r}{nearest(asked, spatial)}")
        return asked
    if not spatial:
        raise LinkwaysError(f"{path} holds no geometries; read it with read_table or give a vector layer")
    if len(spatial) > 1:
        raise LinkwaysError(f"{path} has {len(spatial)} layers; name one with layer=: {', '.join(spatial[:12])}")
    return spatial[0]


def _check_fields(asked: Sequence[str], fields: list[str], path: str) -> None:
    for field in asked:
        if field not in fields:
            raise LinkwaysError(f"{path} has no field {field!r}{nearest(field, fields)}")


def _with_crs(frame: gpd.GeoDataFrame, name: str, given: Any) -> gpd.GeoDataFrame:
    from linkways.spatial._grid import parse_crs, same_crs, short_name

    told = frame.crs
    if given is None:
        if told is None:
            raise LinkwaysError(f"layer {name} has no coordinate reference system; give one with crs='EPSG:...'")
        return frame
    chosen = parse_crs(given)
    if told is None:
        note(f"layer {name}: the file has no CRS, {short_name(chosen)} as given")
    elif not same_crs(told, chosen):
        note(f"layer {name}: the file's CRS ({short_name(told)}) replaced by {short_name(chosen)} as given")
    return frame.set_crs(chosen, allow_override=True)


def _with_geometry(frame: gpd.GeoDataFrame, name: str) -> gpd.GeoDataFrame:
    """Return the features that have a geometry, each valid; what was done goes to the log."""
    import geopandas as gpd
    import shapely

    geometries = frame.geometry.to_numpy().copy()
    invalid = ~shapely.is_valid(geometries) & ~shapely.is_missing(geometries)
    if invalid.any():
        geometries[invalid] = _made_valid(geometries[invalid])
        frame = frame.set_geometry(gpd.GeoSeries(geometries, index=frame.index, crs=frame.crs))
        note(f"layer {name}: {_count(invalid, 'invalid geometry', 'invalid geometries')} made valid")
    absent = shapely.is_missing(geometries) | shapely.is_empty(geometries)
    if absent.any():
        frame = frame[~absent]
        note(
            f"layer {name}: {_count(absent, 'feature', 'features')} without geometry left out, "
            f"first at row {int(np.argmax(absent))}"
        )
    return frame.reset_index(drop=True)


def _made_valid(geometries: np.ndarray) -> np.ndarray:
    import shapely

    fixed = shapely.make_valid(geometries)
    areal = np.isin(shapely.get_type_id(geometries), (3, 6))
    # Polygons must stay polygons: collapsed slivers are not turned into lines beside them.
    fixed[areal] = shapely.make_valid(geometries[areal], method="structure", keep_collapsed=False)
    return np.asarray(fixed)


def _within(frame: gpd.GeoDataFrame, bounds: Bounds, name: str) -> gpd.GeoDataFrame:
    import shapely

    west, south, east, north = bounds
    if not south < north or (west >= east and not frame.crs.is_geographic):
        raise LinkwaysError(
            f"bounds of layer {name} must be (west, south, east, north) with west < east and south < north; "
            f"got {bounds}"
        )
    boxes = [shapely.box(west, south, east, north)]
    if west > east:
        boxes = [shapely.box(west, south, 180.0, north), shapely.box(-180.0, south, east, north)]
    return frame[frame.intersects(shapely.union_all(boxes))].reset_index(drop=True)


def _count(mask: np.ndarray, one: str, many: str) -> str:
    number = int(mask.sum())
    return f"{number} {one if number == 1 else many}"


def _one_line(error: Exception) -> str:
    return str(error).replace("\n", " ")[:300]


# --- writing ---------------------------------------------------------------------------------------------------


def _parquet_bytes(frame: gpd.GeoDataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, compression="zstd", index=frame.index.name is not None)
    return buffer.getvalue()


def _ogr_bytes(frame: gpd.GeoDataFrame, layer: str, suffix: str) -> bytes:
    import pyogrio

    options: dict[str, str] = {}
    if suffix == ".geojson":
        if frame.crs.to_epsg() != 4326:
            note(f"layer {layer}: reprojected to longitude and latitude (EPSG:4326) for GeoJSON")
            frame = frame.to_crs("EPSG:4326")
        options = {"RFC7946": "YES"}
    buffer = io.BytesIO()
    driver = {".gpkg": "GPKG", ".geojson": "GeoJSON"}[suffix]
    pyogrio.write_dataframe(frame, buffer, driver=driver, layer=layer, **options)
    return buffer.getvalue()
