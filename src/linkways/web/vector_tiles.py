"""Large layers of features as vector tiles: one PMTiles file for a layer, built once, read by browsers piece by piece.

Tiles are Mapbox Vector Tiles 2.1 in Web Mercator, the archive is PMTiles 3. A feature carries its row (``_row``) and
the columns that colour or label it; all its columns are asked for when it is clicked. At the deepest zoom every feature
is there; above it, of features smaller than a pixel one stands for all that share the pixel.
"""

from __future__ import annotations

import gzip
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkways.web.layers import RunLayer
from linkways.web.problems import NotThere

__all__ = ["LARGE", "attributes_of", "encode_tile", "geojson_size", "is_large", "pmtiles_of"]

LARGE = 5_000_000
"""Bytes of GeoJSON above which a layer goes to the browser as tiles."""
EXTENT = 8192
"""Units along a side of a tile; browsers hold no finer ones."""
_PIXELS = 512
_UNITS = EXTENT // _PIXELS
_BUFFER = 8 * _UNITS
"""Units around a tile that are drawn too, so that outlines and circles do not end at its side."""
_HALF = math.pi * 6378137.0
_MOST_ZOOM = 14
_MOST_TILES = 20_000
_BUSY = 5_000
_POINT_PIXELS = 3.0
"""Points nearer than this are drawn over each other."""

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]


# --- how large -----------------------------------------------------------------------


def is_large(layer: RunLayer) -> bool:
    """Whether a layer of features is too large to be sent as one GeoJSON."""
    return layer.kind == "vector" and geojson_size(layer) > LARGE


def geojson_size(layer: RunLayer) -> int:
    """Return about how many bytes the whole layer takes as GeoJSON, told from its corners, features and columns."""
    return _size(layer.file, layer.changed)


@lru_cache(maxsize=512)
def _size(file: Path, changed: int) -> int:
    del changed
    import pyarrow.parquet as pq

    about = pq.read_metadata(file)
    columns = about.num_columns
    # a corner takes 16 bytes in the file and about 22 in GeoJSON
    geometry = sum(
        about.row_group(group).column(column).total_uncompressed_size
        for group in range(about.num_row_groups)
        for column in range(columns)
        if about.row_group(group).column(column).path_in_schema == "geometry"
    )
    return int(geometry * 22 / 16 + about.num_rows * (60 + 24 * (columns - 1)))


# --- one file for a layer ------------------------------------------------------------


_BUILDING: dict[Path, threading.Lock] = {}
_BUILDING_LOCK = threading.Lock()


def pmtiles_of(layer: RunLayer, folder: Path) -> Path:
    """Return the tiles of a layer, building them when they are not there; they lie in ``folder``.

    Raises:
        NotThere: the layer has no features that could be drawn.
    """
    target = folder / f"{layer.name}-{layer.changed}.pmtiles"
    with _BUILDING_LOCK:
        lock = _BUILDING.setdefault(target, threading.Lock())
    with lock:
        if not target.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            aside = target.with_name(f".{target.name}.{threading.get_ident()}.aside")
            try:
                _build(layer, aside)
                aside.replace(target)
            finally:
                aside.unlink(missing_ok=True)
            for old in folder.glob(f"{layer.name}-*.pmtiles"):
                if old != target:
                    old.unlink(missing_ok=True)
    return target


def attributes_of(layer: RunLayer, row: int) -> dict[str, Any]:
    """Return all columns of one feature, by its row.

    Raises:
        NotThere: the layer has no such row.
    """
    from linkways.web.layers import column_values

    frame = _frame(layer.file, layer.changed)
    if not 0 <= row < len(frame):
        raise NotThere(f"{layer.name} has {len(frame)} features; there is no row {row}")
    one = frame.iloc[row : row + 1]
    return {str(name): column_values(one[name])[0] for name in frame.columns if name != frame.geometry.name}


@lru_cache(maxsize=2)
def _frame(file: Path, changed: int) -> Any:
    del changed
    from linkways.spatial import read_vectors

    return read_vectors(file)


@dataclass(frozen=True)
class _Features:
    """What tiles are made of: geometries in units of the world's side, 0 to 1 eastward and southward."""

    shapes: NDArray[Any]
    rows: Whole
    bounds: Numbers
    sizes: Numbers
    names: list[str]
    columns: list[list[Any]]


def _build(layer: RunLayer, file: Path) -> None:
    from pmtiles.tile import Compression, TileType, zxy_to_tileid
    from pmtiles.writer import Writer

    features = _features(layer)
    deepest = _deepest(features)
    with file.open("wb") as out:
        writer: Any = Writer(out)  # type: ignore[no-untyped-call]
        for z in range(deepest + 1):
            tiles = sorted((zxy_to_tileid(z, x, y), x, y, among) for x, y, among in _tiles(features, z, deepest))
            shapes = _simplified(features, z, deepest)
            for id, x, y, among in tiles:
                content = encode_tile(shapes[among], features.rows[among], z, x, y, layer.name, _tags(features, among))
                if content:
                    writer.write_tile(id, gzip.compress(content, compresslevel=4, mtime=0))
        west, north, east, south = _whole(features)
        header = {
            "tile_type": TileType.MVT,
            "tile_compression": Compression.GZIP,
            "min_zoom": 0,
            "max_zoom": deepest,
            "min_lon_e7": round(west * 1e7),
            "min_lat_e7": round(south * 1e7),
            "max_lon_e7": round(east * 1e7),
            "max_lat_e7": round(north * 1e7),
            "center_zoom": 0,
            "center_lon_e7": round((west + east) / 2 * 1e7),
            "center_lat_e7": round((south + north) / 2 * 1e7),
        }
        about = {"id": layer.name, "fields": {"_row": "Number", **dict.fromkeys(features.names, "Any")}}
        writer.finalize(header, {"name": layer.title, "vector_layers": [about | {"minzoom": 0, "maxzoom": deepest}]})


def _features(layer: RunLayer) -> _Features:
    import shapely

    from linkways.web.layers import column_values

    frame = _frame(layer.file, layer.changed)
    chosen = [str(layer.wishes[wish]) for wish in ("column", "label") if layer.wishes.get(wish) in frame.columns]
    names = list(dict.fromkeys(chosen))
    shapes = shapely.force_2d(frame.geometry.to_crs("EPSG:3857").to_numpy())
    bounds = shapely.bounds(shapes)
    known = np.isfinite(bounds).all(axis=1)
    rows = np.flatnonzero(known)
    if rows.size == 0:
        raise NotThere(f"the layer {layer.name} has nothing that could be drawn on a map")
    shapes = shapely.transform(
        shapes[rows], lambda xy: np.column_stack((xy[:, 0] + _HALF, _HALF - xy[:, 1])) / (2 * _HALF)
    )
    bounds = shapely.bounds(shapes)
    sizes = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    columns = [column_values(frame[name].iloc[rows]) for name in names]
    return _Features(shapes, rows, bounds, sizes, names, columns)


def _whole(features: _Features) -> tuple[float, float, float, float]:
    """West, north, east, south of everything in degrees; never empty, which archives must not be."""
    low, high = features.bounds[:, :2].min(axis=0), features.bounds[:, 2:].max(axis=0)
    margin = 1e-6

    def degrees(x: float, y: float) -> tuple[float, float]:
        latitude = math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * min(max(y, 0.0), 1.0)))))
        return min(max(x, 0.0), 1.0) * 360.0 - 180.0, latitude

    west, north = degrees(low[0] - margin, low[1] - margin)
    east, south = degrees(high[0] + margin, high[1] + margin)
    return west, north, east, south


def _deepest(features: _Features) -> int:
    """The zoom below which nothing new is seen: fine enough for the features' size, and few in each tile."""
    usual = float(np.median(features.sizes))
    # a fiftieth of a usual feature, or ten metres for points
    fine = max(usual / 50, 10.0 / (2 * _HALF)) if usual > 0 else 10.0 / (2 * _HALF)
    wanted = min(_MOST_ZOOM, max(0, math.ceil(math.log2(1 / (fine * EXTENT)))))
    middles = (features.bounds[:, :2] + features.bounds[:, 2:]) / 2
    for z in range(_MOST_ZOOM + 1):
        x0, y0, x1, y1 = _ranges(features.bounds, z)
        if ((x1 - x0 + 1) * (y1 - y0 + 1)).sum() > 4 * len(middles) + _MOST_TILES:
            return max(0, z - 1)
        tiles, counts = np.unique(np.floor(middles * 2**z), axis=0, return_counts=True)
        if len(tiles) > _MOST_TILES:
            return max(0, z - 1)
        if z >= wanted and counts.max() <= _BUSY:
            return z
    return _MOST_ZOOM


def _ranges(bounds: Numbers, z: int) -> tuple[Whole, Whole, Whole, Whole]:
    """First and last column and row of the tiles that each feature reaches, with their margins."""
    margin, last = _BUFFER / EXTENT, 2**z - 1
    low = np.clip(np.floor(bounds[:, :2] * 2**z - margin), 0, last).astype(np.int64)
    high = np.clip(np.floor(bounds[:, 2:] * 2**z + margin), 0, last).astype(np.int64)
    return low[:, 0], low[:, 1], high[:, 0], high[:, 1]


def _tiles(features: _Features, z: int, deepest: int) -> Iterator[tuple[int, int, Whole]]:
    """The tiles of a zoom, each with the features in it."""
    kept = np.arange(len(features.rows)) if z == deepest else _seen(features, z)
    x0, y0, x1, y1 = (side[kept] for side in _ranges(features.bounds, z))
    wide = x1 - x0 + 1
    counts = wide * (y1 - y0 + 1)
    which = np.repeat(np.arange(len(kept)), counts)
    nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    numbers = (y0[which] + nth // wide[which]) * 2**z + x0[which] + nth % wide[which]
    order = np.argsort(numbers, kind="stable")
    tiles, starts = np.unique(numbers[order], return_index=True)
    for tile, among in zip(tiles.tolist(), np.split(kept[which[order]], starts[1:]), strict=True):
        yield tile % 2**z, tile // 2**z, among


def _seen(features: _Features, z: int) -> Whole:
    """Of features smaller than a pixel, one for each pixel; all others."""
    pixel = 1 / (_PIXELS * 2**z)
    apart = np.where(features.sizes > 0, pixel, _POINT_PIXELS * pixel)
    small = features.sizes < pixel
    places = np.floor(features.bounds[small, :2] / apart[small, None])
    _, first = np.unique(np.column_stack((places, features.sizes[small] > 0)), axis=0, return_index=True)
    return np.sort(np.concatenate((np.flatnonzero(~small), np.flatnonzero(small)[first])))


def _simplified(features: _Features, z: int, deepest: int) -> NDArray[Any]:
    """The shapes, with corners left out that are seen at no pixel of this zoom."""
    import shapely

    if z == deepest:
        return features.shapes
    many = np.flatnonzero(shapely.get_num_coordinates(features.shapes) > 12)
    shapes = features.shapes.copy()
    simpler = shapely.simplify(shapes[many], 0.5 / (_PIXELS * 2**z), preserve_topology=False)
    whole = ~shapely.is_empty(simpler)
    shapes[many[whole]] = simpler[whole]
    return shapes


def _tags(features: _Features, among: Whole) -> list[tuple[str, list[Any]]]:
    rows = among.tolist()
    return [
        (name, [column[row] for row in rows]) for name, column in zip(features.names, features.columns, strict=True)
    ]


# --- one tile ------------------------------------------------------------------------


def encode_tile(
    shapes: NDArray[Any],
    rows: Whole,
    z: int,
    x: int,
    y: int,
    name: str,
    columns: Sequence[tuple[str, Sequence[Any]]] = (),
) -> bytes:
    """Return a Mapbox Vector Tile with one layer; empty when nothing of the shapes lies in it.

    Args:
        shapes: geometries in units of the world's side, 0 to 1 eastward and southward from the north-west corner.
        rows: the row of each, its id and its attribute ``_row``.
        z: zoom of the tile.
        x: its column.
        y: its row of tiles.
        name: what the layer is called in the tile.
        columns: names and values of further attributes; None is left out.
    """
    keys = _Numbered()
    values = _Numbered()
    found = bytearray()
    places = rows.tolist()
    for which, kind, geometry in _commands(shapes, z, x, y):
        tags = [keys.of("_row"), values.of(places[which])]
        for key, column in columns:
            if column[which] is not None:
                tags += (keys.of(key), values.of(column[which]))
        body = b"".join(
            (_number(1, places[which]), _bytes(2, _packed(tags)), _number(3, kind), _bytes(4, _packed(geometry)))
        )
        found += _bytes(2, body)
    if not found:
        return b""
    told = b"".join(_bytes(3, key.encode()) for key in keys)
    told += b"".join(_bytes(4, _value(value)) for value in values)
    layer = b"".join((_number(15, 2), _bytes(1, name.encode()), bytes(found), told, _number(5, EXTENT)))
    return _bytes(3, layer)


class _Numbered:
    """Things in the order in which they were met; 1, 1.0 and True are three."""

    def __init__(self) -> None:
        self._known: dict[tuple[type, Any], int] = {}

    def of(self, thing: Any) -> int:
        """The number of a thing."""
        return self._known.setdefault((type(thing), thing), len(self._known))

    def __iter__(self) -> Iterator[Any]:
        return (thing for _, thing in self._known)


_KINDS = {0: 1, 4: 1, 1: 2, 2: 2, 5: 2, 3: 3, 6: 3}
"""Kinds of shapes (GEOS) as those of tiles: points, lines, areas."""


def _commands(shapes: NDArray[Any], z: int, x: int, y: int) -> Iterator[tuple[int, int, list[int]]]:
    """For each shape that reaches into the tile: its place, its kind, and its drawing commands."""
    import shapely

    scale = EXTENT * 2.0**z
    corner = np.array((x * EXTENT, y * EXTENT), dtype=float)
    low, high = (corner - _BUFFER) / scale, (corner + EXTENT + _BUFFER) / scale
    kinds = np.array([_KINDS.get(kind, 0) for kind in shapely.get_type_id(shapes).tolist()])
    bounds = shapely.bounds(shapes)
    beyond = ((bounds[:, :2] < low) | (bounds[:, 2:] > high)).any(axis=1)
    clipped = shapes.copy()
    if beyond.any():
        clipped[beyond] = shapely.clip_by_rect(shapes[beyond], *low, *high)
    parts, of_shape = shapely.get_parts(clipped, return_index=True)
    # what a clip leaves of an area may be a line at its side
    fitting = np.array([_KINDS.get(kind, 0) for kind in shapely.get_type_id(parts).tolist()]) == kinds[of_shape]
    parts, of_shape = parts[fitting & ~shapely.is_empty(parts)], of_shape[fitting & ~shapely.is_empty(parts)]
    if len(parts) == 0:
        return
    areas = kinds[of_shape] == 3
    rings, of_part = _rings(parts, areas)
    coordinates, of_ring = shapely.get_coordinates(rings, return_index=True)
    units = np.rint(coordinates * scale - corner).astype(np.int64)
    ends = np.searchsorted(of_ring, np.arange(len(rings) + 1))
    x_units, y_units = units[:, 0].tolist(), units[:, 1].tolist()
    pieces = zip(of_shape[of_part].tolist(), of_part.tolist(), ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    yield from _drawn(pieces, kinds.tolist(), x_units, y_units)


def _rings(parts: NDArray[Any], areas: NDArray[np.bool_]) -> tuple[NDArray[Any], Whole]:
    """Points and lines as they are and areas as their rings, the outer one first, each with the part it belongs to."""
    import shapely

    rings, of_area = shapely.get_rings(parts[areas], return_index=True)
    all_parts = np.concatenate((parts[~areas], rings))
    belongs = np.concatenate((np.flatnonzero(~areas), np.flatnonzero(areas)[of_area]))
    order = np.argsort(belongs, kind="stable")
    return all_parts[order], belongs[order]


def _drawn(
    pieces: Iterator[tuple[int, int, int, int]], kinds: list[int], xs: list[int], ys: list[int]
) -> Iterator[tuple[int, int, list[int]]]:
    """The commands of each shape from its pieces: points, lines, or rings with the outer ones first."""
    now, drawn, pen, part_now, whole = -1, list[int](), (0, 0), -1, False
    for which, part, start, stop in pieces:
        if which != now:
            if drawn:
                yield now, kinds[now], _one_move(drawn) if kinds[now] == 1 else drawn
            now, drawn, pen = which, [], (0, 0)
        outer, part_now = part != part_now, part
        corners = _without_repeats(xs[start:stop], ys[start:stop])
        if kinds[which] == 3:
            if outer:
                shape = _ring(corners, clockwise=True)
                # nothing is cut out of a speck
                whole, corners = bool(shape), shape or _speck(corners)
            else:
                corners = _ring(corners, clockwise=False) if whole else []
        elif kinds[which] == 2 and len(corners) < 2:
            corners = [corners[0], (corners[0][0] + 1, corners[0][1])]
        if corners:
            pen = _draw(drawn, corners, pen, closed=kinds[which] == 3)
    if drawn:
        yield now, kinds[now], _one_move(drawn) if kinds[now] == 1 else drawn


def _without_repeats(xs: list[int], ys: list[int]) -> list[tuple[int, int]]:
    corners = list(zip(xs, ys, strict=True))
    return [one for n, one in enumerate(corners) if n == 0 or one != corners[n - 1]]


def _ring(corners: list[tuple[int, int]], *, clockwise: bool) -> list[tuple[int, int]]:
    """A ring without its closing corner, turned as it must be; none when nothing of its area is left.

    Outer rings have a positive area by the surveyor's formula with y downward, inner ones a negative one.
    """
    open_ring = corners[:-1] if corners[0] == corners[-1] else corners
    if len(open_ring) < 3:
        return []
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(open_ring, [*open_ring[1:], open_ring[0]], strict=True))
    if area == 0:
        return []
    return open_ring if (area > 0) == clockwise else open_ring[::-1]


def _speck(corners: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A pixel for an area that is smaller than its units."""
    x, y = corners[0]
    return [(x, y), (x + _UNITS, y), (x + _UNITS, y + _UNITS), (x, y + _UNITS)]


def _draw(drawn: list[int], corners: list[tuple[int, int]], pen: tuple[int, int], *, closed: bool) -> tuple[int, int]:
    """Add a move, lines and, for areas, a close; where the pen is then."""
    for n, (x, y) in enumerate(corners):
        if n == 0:
            drawn.append(9)  # move to, once
        elif n == 1:
            drawn.append((len(corners) - 1) << 3 | 2)  # lines to
        dx, dy = x - pen[0], y - pen[1]
        drawn += ((dx << 1) ^ (dx >> 63), (dy << 1) ^ (dy >> 63))
        pen = (x, y)
    if closed:
        drawn.append(15)
    return pen


def _one_move(drawn: list[int]) -> list[int]:
    """Several points as one move with all of them, as multipoints are written."""
    places = [part for n in range(0, len(drawn), 3) for part in drawn[n + 1 : n + 3]]
    return [len(places) // 2 << 3 | 1, *places]


# --- protocol buffers ----------------------------------------------------------------


def _long_varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_SHORT = [_long_varint(number) for number in range(2 * EXTENT)]
"""The numbers that tiles are full of, written once."""


def _varint(number: int) -> bytes:
    return _SHORT[number] if number < len(_SHORT) else _long_varint(number)


def _packed(numbers: Sequence[int]) -> bytes:
    most = len(_SHORT)
    return b"".join([_SHORT[number] if number < most else _long_varint(number) for number in numbers])


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _value(value: Any) -> bytes:
    """An attribute's value: text, yes or no, whole number, or number."""
    if isinstance(value, str):
        return _bytes(1, value.encode())
    if isinstance(value, bool):
        return _number(7, int(value))
    if isinstance(value, int):
        return _number(6, (value << 1) ^ (value >> 63))
    return _varint(3 << 3 | 1) + np.float64(value).tobytes()
