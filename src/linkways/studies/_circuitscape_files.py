"""The file formats of Circuitscape: Arc/Info ASCII grids, GeoTIFF, text lists, pair lists; plain or gzipped."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError

__all__ = [
    "AsciiGrid", "Pairs", "read_branches", "read_grid", "read_pairs", "read_points", "read_table", "write_grid",
    "write_rows",
]  # fmt: skip

Floats = NDArray[np.float64]
NODATA = -9999.0
_GRIDS = (".asc", ".txt", ".tif", ".tiff")


@dataclass(frozen=True)
class AsciiGrid:
    """A raster with square cells: values (rows, columns) from north to south, NaN for nodata."""

    values: Floats
    left: float
    bottom: float
    cell_size: float
    nodata: float = NODATA
    crs: Any = None

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.values.shape
        return rows, columns

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of the cell that holds a point, None outside; points on an edge belong west and south."""
        rows, columns = self.shape
        row = math.ceil(rows - (y - self.bottom) / self.cell_size) - 1
        column = math.ceil((x - self.left) / self.cell_size) - 1
        return (row, column) if 0 <= row < rows and 0 <= column < columns else None


# --- reading ---------------------------------------------------------------------------------------------------


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LinkwaysError(f"{path} is not a text file; give an ASCII grid, a text list or a GeoTIFF") from None


def is_grid(path: Path) -> bool:
    """Whether a file is a raster; a text list otherwise."""
    data = _bytes(path)[:200]
    return _is_tiff(data) or data.lstrip().lower().startswith((b"ncols", b"nrows"))


def _is_tiff(data: bytes) -> bool:
    return data[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


def read_grid(path: Path, like: AsciiGrid | None = None, what: str = "raster") -> AsciiGrid:
    """Read an ASCII grid or GeoTIFF; one with another size than ``like`` is refused."""
    data = _bytes(path)
    grid = _from_tiff(data, path) if _is_tiff(data[:4]) else _from_ascii(_text(path), path)
    if like is not None and grid.shape != like.shape:
        raise LinkwaysError(
            f"{what} {path} has {grid.shape[0]} rows and {grid.shape[1]} columns but the habitat map has "
            f"{like.shape[0]} and {like.shape[1]}; bring both to one grid"
        )
    return grid


def _from_ascii(text: str, path: Path) -> AsciiGrid:
    header: dict[str, float] = {}
    start = 0
    while True:
        end = text.find("\n", start)
        words = text[start : end if end >= 0 else len(text)].split()
        if not words or not words[0][0].isalpha() or words[0].lower() == "nan":
            break
        try:
            header[words[0].lower()] = float(words[1])
        except (IndexError, ValueError):
            raise LinkwaysError(f"{path}: header line '{' '.join(words)}' must hold a name and a number") from None
        start = end + 1
    for name in ("ncols", "nrows", "cellsize"):
        if name not in header:
            raise LinkwaysError(f"{path} is no ASCII grid: its header has no {name}")
    rows, columns, size = int(header["nrows"]), int(header["ncols"]), header["cellsize"]
    values = _numbers(text[start:], path)
    if values.size != rows * columns:
        raise LinkwaysError(f"{path} holds {values.size} values but its header tells {rows} rows of {columns}")
    nodata = header.get("nodata_value", NODATA)
    left = header.get("xllcorner", header.get("xllcenter", 0.0) - size / 2)
    bottom = header.get("yllcorner", header.get("yllcenter", 0.0) - size / 2)
    return AsciiGrid(_without(values.reshape(rows, columns), nodata), left, bottom, size, nodata)


def _numbers(text: str, path: Path) -> Floats:
    try:
        return np.array(text.split(), dtype=np.float64)
    except ValueError as error:
        raise LinkwaysError(f"{path} must hold numbers only ({error})") from None


def _without(values: Floats, nodata: float) -> Floats:
    """Circuitscape takes both the file's nodata value and -9999 for nodata."""
    return np.where((values == nodata) | (values == NODATA), np.nan, values)


def _from_tiff(data: bytes, path: Path) -> AsciiGrid:
    import warnings

    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.io import MemoryFile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with MemoryFile(data) as memory, memory.open() as dataset:
                values = dataset.read(1).astype(np.float64)
                nodata = NODATA if dataset.nodata is None else float(dataset.nodata)
                at, bottom, crs = dataset.transform, dataset.bounds.bottom, dataset.crs
    except RasterioError as error:
        raise LinkwaysError(f"cannot read {path} as a raster ({error}); give a GeoTIFF or an ASCII grid") from error
    known = nodata if abs(nodata) < 1e30 and not math.isnan(nodata) else NODATA
    clean = np.where(np.abs(values) >= 1e30, np.nan, values)
    if not math.isclose(at.a, -at.e, rel_tol=1e-9):
        raise LinkwaysError(f"{path} has cells of {at.a:g} by {-at.e:g}; Circuitscape's formats need square cells")
    return AsciiGrid(_without(clean, nodata), at.c, bottom, at.a, known, crs)


def read_table(path: Path, columns: int, what: str) -> Floats:
    """Read a text list of rows with ``columns`` numbers; empty lines are left out."""
    rows = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words:
            continue
        try:
            row = [float(w) for w in words]
        except ValueError:
            raise LinkwaysError(f"{what} {path}, line {number}: '{line.strip()}' must hold numbers only") from None
        if len(row) != columns:
            raise LinkwaysError(f"{what} {path}, line {number}: {len(row)} numbers where {columns} are needed")
        rows.append(row)
    return np.array(rows, dtype=np.float64).reshape(-1, columns)


def read_branches(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Read a network: node, node and resistance or conductance in each row."""
    table = read_table(path, 3, "network")
    nodes = table[:, :2]
    if not len(table):
        raise LinkwaysError(f"network {path} holds no branches")
    if (nodes % 1 != 0).any() or (nodes < 0).any():
        raise LinkwaysError(f"network {path}: node numbers must be whole and not negative")
    return nodes[:, 0].astype(np.int64), nodes[:, 1].astype(np.int64), table[:, 2]


def read_points(path: Path, grid: AsciiGrid, what: str) -> Floats:
    """Values and their flat cells (n, 2), from a raster or a list of value, x, y; cells without value are left out."""
    if is_grid(path):
        values = read_grid(path, grid, what).values.ravel()
        cells = np.flatnonzero(np.isfinite(values))
        return np.column_stack([values[cells], cells])
    found = []
    for value, x, y in read_table(path, 3, what):
        cell = grid.cell(x, y)
        if cell is None:
            raise LinkwaysError(f"{what} {path}: the point {x:g} {y:g} (value {value:g}) lies outside the habitat map")
        found.append((value, cell[0] * grid.shape[1] + cell[1]))
    return np.array(found, dtype=np.float64).reshape(-1, 2)


@dataclass(frozen=True)
class Pairs:
    """Pairs of focal nodes to include, or to exclude; a matrix or include list drops the nodes it does not name."""

    pairs: frozenset[tuple[int, int]]
    ids: frozenset[int]
    include: bool

    def keeps(self, id: int) -> bool:
        return not self.include or id in self.ids

    def wants(self, a: int, b: int) -> bool:
        return ((min(a, b), max(a, b)) in self.pairs) == self.include


def read_pairs(path: Path) -> Pairs:
    """Read a list (``mode include`` or ``exclude``, then pairs) or a matrix (``min``, ``max``, then the matrix)."""
    lines = [line.split() for line in _text(path).splitlines() if line.strip()]
    first = [words[0].lower() for words in lines[:2]]
    try:
        if first[:1] == ["mode"] and lines[0][1].lower() in ("include", "exclude"):
            named = [(int(float(a)), int(float(b))) for a, b in lines[1:]]
            ids = frozenset(n for pair in named for n in pair)
            return Pairs(frozenset((min(p), max(p)) for p in named), ids, lines[0][1].lower() == "include")
        if first == ["min", "max"]:
            return _pairs_of_matrix(float(lines[0][1]), float(lines[1][1]), np.array(lines[2:], dtype=np.float64))
    except (ValueError, IndexError):
        pass
    raise LinkwaysError(
        f"{path} must start with 'mode include' or 'mode exclude' and list pairs, or with 'min' and 'max' and hold a "
        "matrix with the focal nodes in its first row and column"
    )


def _pairs_of_matrix(low: float, high: float, matrix: Floats) -> Pairs:
    ids = matrix[0, 1:].astype(int)
    if matrix.shape[0] != matrix.shape[1] or (matrix[1:, 0].astype(int) != ids).any():
        raise ValueError
    inside = (matrix[1:, 1:] >= low) & (matrix[1:, 1:] <= high)
    a, b = np.nonzero(np.triu(inside | inside.T, 1))
    named = zip(ids[a].tolist(), ids[b].tolist(), strict=True)
    return Pairs(frozenset((min(p), max(p)) for p in named), frozenset(ids.tolist()), include=True)


# --- writing ---------------------------------------------------------------------------------------------------


def write_grid(grid: AsciiGrid, values: Floats, stem: str, *, tif: bool, compress: bool) -> Path:
    """Write values (NaN: nodata) on a grid as .asc, .asc.gz or .tif; whole or not at all."""
    filled = replace(grid, values=np.where(np.isnan(values), grid.nodata, values))
    if tif:
        return _write_tif(filled, Path(f"{stem}.tif"))
    path = Path(f"{stem}.asc.gz" if compress else f"{stem}.asc")
    rows, columns = filled.shape
    head = (
        f"ncols         {columns}\nnrows         {rows}\nxllcorner     {grid.left!r}\nyllcorner     {grid.bottom!r}\n"
        f"cellsize      {grid.cell_size!r}\nNODATA_value  {grid.nodata:.15g}\n"
    )
    lines = (" ".join([f"{v:.10g}" for v in row]) for row in filled.values.tolist())
    data = (head + "\n".join(lines) + "\n").encode()
    return _put(path, gzip.compress(data, 6, mtime=0) if compress else data)


def _write_tif(grid: AsciiGrid, path: Path) -> Path:
    import rasterio
    from rasterio.transform import from_origin

    rows, columns = grid.shape
    top = grid.bottom + rows * grid.cell_size
    aside = path.with_name(f".{path.name}.aside.tif")
    with rasterio.open(
        aside, "w", driver="GTiff", height=rows, width=columns, count=1, dtype="float64", nodata=grid.nodata,
        crs=grid.crs, transform=from_origin(grid.left, top, grid.cell_size, grid.cell_size), compress="deflate",
        predictor=3,
    ) as out:  # fmt: skip
        out.write(grid.values, 1)
    aside.replace(path)
    return path


def write_rows(path: Path, rows: Any, separator: str = " ") -> Path:
    """Write rows of numbers as text: whole numbers as such, others with 12 significant digits."""
    lines = (separator.join([_number(v) for v in row]) for row in rows)
    return _put(path, ("\n".join(lines) + "\n").encode())


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.12g}"


def _put(path: Path, data: bytes) -> Path:
    aside = path.with_name(f".{path.name}.aside")
    aside.write_bytes(data)
    aside.replace(path)
    return path
