"""Files that users hand in: taken within limits, of allow-listed formats only, told by their content and not by name.

What a file says it is decides nothing: GDAL opens by content, and some of its formats reach for other files or for the
network. So every file must begin as its format begins, and only then is it opened.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from linkways.errors import LinkwaysError, nearest
from linkways.web.problems import Forbidden, TooLarge
from linkways.web.settings import Settings

__all__ = ["FORMATS", "check_file", "server_file", "take_upload", "used_mb"]

FORMATS: dict[str, tuple[str, ...]] = {
    "raster": (".tif", ".tiff"),
    "vector": (".geojson", ".json", ".gpkg", ".parquet", ".zip"),
    "table": (".csv", ".parquet"),
    "field": (".nc",),
}
"""File endings that are taken, by the kind of the input; a ``.zip`` holds one shapefile."""

_BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    ".tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".gpkg": (b"SQLite format 3\0",),
    ".parquet": (b"PAR1",),
    ".zip": (b"PK\x03\x04",),
    ".nc": (b"\x89HDF", b"CDF\x01", b"CDF\x02", b"CDF\x05"),
}
_GEOJSON = (
    *("FeatureCollection", "Feature", "Point", "MultiPoint", "LineString", "MultiLineString"),
    *("Polygon", "MultiPolygon", "GeometryCollection"),
)
_SHAPEFILE = (".shp", ".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".xml")
_MOST_BANDS = 200
_MOST_MEMBERS = 30
_MOST_RATIO = 200
_PIECE = 1 << 20


def take_upload(file: BinaryIO, filename: str, kind: str, target: Path, settings: Settings) -> Path:
    """Keep an uploaded file as ``target`` with the ending of its format, and return where it is.

    Args:
        file: what was sent.
        filename: the name it was sent with; only its ending is used.
        kind: ``raster``, ``vector`` or ``table``.
        target: where it goes, without ending.
        settings: the limits.

    Raises:
        LinkwaysError: not one of the formats, or not readable as it.
        TooLarge: larger than an upload may be.
    """
    ending = _ending(filename, kind)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.aside{ending}")
    try:
        _copy(file, aside, filename, settings.most_upload_mb)
        if ending == ".zip":
            return _shapefile(aside, target, filename, settings)
        check_file(aside, kind, filename, settings)
        kept = target.with_suffix(ending)
        aside.replace(kept)
        return kept
    finally:
        aside.unlink(missing_ok=True)


def server_file(text: str, kind: str, settings: Settings) -> Path:
    """Return a file on the server that a user named by its path.

    Raises:
        Forbidden: it does not lie in one of the folders that the server may read from.
        LinkwaysError: not a file, not one of the formats, or not readable as it.
    """
    allowed = [folder.resolve() for folder in settings.read_from]
    if not allowed:
        raise Forbidden("this server reads no files by path; start it with --read-from FOLDER, or upload the file")
    given = Path(text.strip())
    candidates = [given] if given.is_absolute() else [folder / given for folder in allowed]
    for candidate in candidates:
        path = candidate.resolve()
        if any(path.is_relative_to(folder) for folder in allowed) and path.is_file():
            _ending(path.name, kind, archives=False)
            check_file(path, kind, path.name, settings)
            return path
    raise Forbidden(f"there is no file '{text.strip()[:200]}' in the folders that this server may read from")


def check_file(path: Path, kind: str, name: str, settings: Settings) -> None:
    """Refuse a file that is not what its ending says, cannot be read, or holds more than a study may.

    Raises:
        LinkwaysError: one sentence that says what is wrong with it.
    """
    ending = path.suffix.lower()
    with path.open("rb") as file:
        begins = file.read(16)
    if ending in _BEGINNINGS and not begins.startswith(_BEGINNINGS[ending]):
        raise LinkwaysError(f"{name} is not a {ending} file by its content; export it again")
    if ending in (".geojson", ".json"):
        _check_geojson(path, name)
    elif ending == ".csv":
        _check_csv(path, name)
    if kind == "raster":
        _check_raster(path, name, settings.most_cells)
    elif kind == "vector":
        _check_vector(path, name)
    elif kind == "field":
        _check_field(path, name, settings.most_cells)


def used_mb(folder: Path) -> float:
    """Megabytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6 if folder.is_dir() else 0.0


def _check_field(path: Path, name: str, most_cells: int) -> None:
    from linkways.spatial import read_field

    with read_field(path) as field:
        values = max((int(one.size) for one in field.data_vars.values()), default=0)
    if values > most_cells:
        raise LinkwaysError(
            f"{name} holds {values:,} values of one variable, more than the {most_cells:,} allowed; cut it"
        )


# --- taking --------------------------------------------------------------------------


def _ending(filename: str, kind: str, *, archives: bool = True) -> str:
    ending = PurePosixPath(filename.replace("\\", "/")).suffix.lower()
    allowed = [one for one in FORMATS[kind] if archives or one != ".zip"]
    if ending not in allowed:
        hint = nearest(ending, allowed) if ending else ""
        hint = hint if "did you" in hint else ""
        raise LinkwaysError(f"'{filename[-80:]}' is not taken as a {kind}{hint}; give one of {', '.join(allowed)}")
    return ending


def _copy(file: BinaryIO, target: Path, name: str, most_mb: float) -> None:
    size = 0
    with target.open("wb") as out:
        while piece := file.read(_PIECE):
            size += len(piece)
            if size > most_mb * 1e6:
                raise TooLarge(f"{name[-80:]} is larger than {most_mb:g} MB, the most that this server takes")
            out.write(piece)
    if size == 0:
        raise LinkwaysError(f"{name[-80:]} is empty; choose the file again")


def _shapefile(archive: Path, target: Path, name: str, settings: Settings) -> Path:
    """Unpack the one shapefile in an archive; nothing but its parts, and no more than an upload may be."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = list(_members(opened, name, settings.most_upload_mb))
            folder = target.with_name(target.name + "-shapefile")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for member in members:
                ending = PurePosixPath(member.filename).suffix.lower()
                if ending in _SHAPEFILE:
                    _unpack(opened, member, folder / f"{target.name}{ending}", settings.most_upload_mb, name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise LinkwaysError(f"{name[-80:]} cannot be unpacked ({error}); zip the shapefile again") from None
    shape = folder / f"{target.name}.shp"
    _check_vector(shape, name)
    return shape


def _members(opened: zipfile.ZipFile, name: str, most_mb: float) -> Iterator[zipfile.ZipInfo]:
    members = [one for one in opened.infolist() if not one.is_dir()]
    shapes = [one for one in members if one.filename.lower().endswith(".shp")]
    if len(members) > _MOST_MEMBERS or len(shapes) != 1:
        raise LinkwaysError(
            f"{name[-80:]} holds {len(members)} files and {len(shapes)} shapefiles; zip one shapefile with its parts"
        )
    unpacked = sum(one.file_size for one in members)
    packed = max(1, sum(one.compress_size for one in members))
    if unpacked > most_mb * 1e6 or unpacked / packed > _MOST_RATIO:
        raise TooLarge(f"{name[-80:]} would unpack to {unpacked / 1e6:,.0f} MB, more than this server takes")
    yield from members


def _unpack(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, most_mb: float, name: str) -> None:
    """Unpack one member; what its header says of its size is not believed."""
    with opened.open(member) as packed:
        _copy(packed, target, name, most_mb)  # type: ignore[arg-type]


# --- looking into --------------------------------------------------------------------


def _check_geojson(path: Path, name: str) -> None:
    """GDAL takes other things than GeoJSON for JSON, some of which name files and commands."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        raise LinkwaysError(f"{name[-80:]} is not valid JSON; export it again as GeoJSON") from None
    if not isinstance(data, dict) or data.get("type") not in _GEOJSON:
        raise LinkwaysError(f"{name[-80:]} is JSON but not GeoJSON; export it again as GeoJSON")


def _check_csv(path: Path, name: str) -> None:
    with path.open("rb") as file:
        head = file.read(65536)
    if b"\0" in head:
        raise LinkwaysError(f"{name[-80:]} is not a text file; export it again as CSV")


def _check_raster(path: Path, name: str, most_cells: int) -> None:
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(path, driver="GTiff") as dataset:
                cells, bands = dataset.width * dataset.height, dataset.count
        except RasterioError as error:
            raise LinkwaysError(f"{name[-80:]} cannot be read as a GeoTIFF ({_short(error, path, name)})") from None
    if cells > most_cells or bands > _MOST_BANDS:
        raise TooLarge(
            f"{name[-80:]} has {cells:,} cells in {bands} bands; this server takes {most_cells:,} cells and "
            f"{_MOST_BANDS} bands, so use larger cells or a smaller area"
        )


def _check_vector(path: Path, name: str) -> None:
    import pyogrio
    from pyogrio.errors import DataSourceError

    if path.suffix.lower() == ".parquet":
        _check_geoparquet(path, name)
        return
    try:
        layers = pyogrio.list_layers(path)
        for layer, _ in layers:
            pyogrio.read_info(path, layer=layer)
    except (DataSourceError, ValueError, RuntimeError) as error:
        raise LinkwaysError(f"{name[-80:]} cannot be read as map features ({_short(error, path, name)})") from None


def _check_geoparquet(path: Path, name: str) -> None:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    try:
        metadata = pq.read_schema(path).metadata or {}
    except (ArrowException, OSError) as error:
        raise LinkwaysError(f"{name[-80:]} cannot be read as Parquet ({_short(error, path, name)})") from None
    if b"geo" not in metadata:
        raise LinkwaysError(f"{name[-80:]} is Parquet without geometry; export it as GeoParquet")


def _short(error: Exception, path: Path, name: str) -> str:
    """What a library says, without our path in it."""
    return str(error).splitlines()[0].replace(str(path), name[-80:])[:200]
