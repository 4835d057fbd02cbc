"""Large layers as vector tiles: read back by other programs' decoders, they hold what the layer holds."""

import gzip
from pathlib import Path
from typing import Any

import geopandas as gpd
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from pmtiles.reader import MemorySource, Reader, all_tiles
from starlette.testclient import TestClient

from linkways.web.layers import RunLayer
from linkways.web.problems import NotThere
from linkways.web.settings import Settings
from linkways.web.vector_tiles import EXTENT, attributes_of, encode_tile, geojson_size, is_large, pmtiles_of

SIDE = 316
"""Cells along a side of the generated layer: 99,856 in all, and 144 points make it 100,000."""


def written(tmp_path: Path, frame: gpd.GeoDataFrame, **wishes: object) -> RunLayer:
    file = tmp_path / "cells.parquet"
    frame.to_parquet(file)
    stamp = file.stat().st_mtime_ns
    return RunLayer("made.cells", "Cells", "", "", "vector", file, file.name, True, False, stamp, dict(wishes))


def many_cells() -> gpd.GeoDataFrame:
    """Square cells of one kilometre side by side in southern Africa, and some points, each with a number and a name."""
    x, y = (np.ravel(one) * 1000.0 for one in np.meshgrid(np.arange(SIDE), np.arange(SIDE)))
    west, south = 3_000_000.0, -2_500_000.0
    cells = shapely.box(west + x, south + y, west + x + 1000, south + y + 1000)
    points = shapely.points(west - 20_000 - 500.0 * np.arange(100_000 - len(cells)), south)
    rows = np.arange(100_000)
    columns = {"flow": rows / 7.0, "name": [f"cell {row}" for row in rows], "kept": rows % 2 == 0}
    return gpd.GeoDataFrame(columns, geometry=np.concatenate((cells, points)), crs="EPSG:3857")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunLayer, Path]:
    folder = tmp_path_factory.mktemp("large")
    layer = written(folder, many_cells(), column="flow")
    return layer, pmtiles_of(layer, folder / "tiles")


def archive(file: Path) -> tuple[Reader, dict[tuple[int, int, int], dict[str, Any]]]:
    source = MemorySource(file.read_bytes())
    tiles = {
        place: mapbox_vector_tile.decode(gzip.decompress(content), default_options={"y_coord_down": True})
        for place, content in all_tiles(source)
    }
    return Reader(source), tiles


@pytest.fixture(scope="module")
def read(large: tuple[RunLayer, Path]) -> tuple[Reader, dict[tuple[int, int, int], dict[str, Any]]]:
    return archive(large[1])


@pytest.mark.slow
def test_the_deepest_zoom_holds_every_feature_with_its_number(read: Any) -> None:
    reader, tiles = read
    deepest = reader.header()["max_zoom"]
    found = {}
    for (z, _, _), tile in tiles.items():
        if z == deepest:
            for feature in tile["made.cells"]["features"]:
                found[feature["properties"]["_row"]] = feature["properties"]["flow"]
    assert found == {row: row / 7.0 for row in range(100_000)}


@pytest.mark.slow
def test_features_lie_where_they_lie_in_the_layer(read: Any) -> None:
    """The corner of a cell in a tile, by the formula of Web Mercator tiles, is that of the layer within a unit."""
    reader, tiles = read
    deepest = reader.header()["max_zoom"]
    frame = many_cells()
    half = np.pi * 6378137.0
    seen = 0
    for (z, x, y), tile in tiles.items():
        if z != deepest:
            continue
        unit = 2 * half / 2**z / EXTENT
        for feature in tile["made.cells"]["features"][::97]:
            ring = shapely.geometry.shape(feature["geometry"])
            units = np.array(shapely.bounds(ring))
            metres = np.array(
                [
                    (x * EXTENT + units[0]) * unit - half,
                    half - (y * EXTENT + units[3]) * unit,
                    (x * EXTENT + units[2]) * unit - half,
                    half - (y * EXTENT + units[1]) * unit,
                ]
            )
            whole = shapely.bounds(frame.geometry.iloc[feature["properties"]["_row"]])
            inside = (units[:2] > -100).all() and (units[2:] < EXTENT + 100).all()
            if inside:
                assert metres == pytest.approx(whole, abs=unit)
                seen += 1
    assert seen > 300


@pytest.mark.slow
def test_above_the_deepest_zoom_no_place_is_left_empty(read: Any) -> None:
    """Cells smaller than a pixel are thinned, yet every pixel that held one still holds one."""
    _, tiles = read
    for z in (0, 3, 5):
        places = set()
        for (level, x, y), tile in tiles.items():
            if level == z:
                for feature in tile["made.cells"]["features"]:
                    left, top, *_ = shapely.geometry.shape(feature["geometry"]).bounds
                    places.add((round((x * EXTENT + left) / 64), round((y * EXTENT + top) / 64)))
        assert places
        units = 2**z * EXTENT / (2 * np.pi * 6378137.0)
        bounds = np.array(many_cells().bounds)[: SIDE * SIDE]
        expected = np.unique(
            np.round(
                np.column_stack((bounds[:, 0] + np.pi * 6378137.0, np.pi * 6378137.0 - bounds[:, 3])) * units / 64
            ),
            axis=0,
        )
        near = {(px + dx, py + dy) for px, py in places for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
        assert {(int(a), int(b)) for a, b in expected} <= near


@pytest.mark.slow
def test_the_archive_tells_where_it_is_and_no_tile_is_heavy(read: Any, large: tuple[RunLayer, Path]) -> None:
    reader, tiles = read
    header = reader.header()
    west, south, east, north = many_cells().to_crs("EPSG:4326").total_bounds
    told = [header[f"{side}_e7"] / 1e7 for side in ("min_lon", "min_lat", "max_lon", "max_lat")]
    assert told == pytest.approx([west, south, east, north], abs=1e-3)
    assert {z for z, _, _ in tiles} == set(range(header["max_zoom"] + 1))
    assert max(len(content) for _, content in all_tiles(MemorySource(large[1].read_bytes()))) < 1_000_000


def test_tiles_are_built_once_and_anew_when_the_layer_changed(tmp_path: Path) -> None:
    from dataclasses import replace

    layer = written(tmp_path, many_cells().iloc[:50])
    first = pmtiles_of(layer, tmp_path / "tiles")
    stamp = first.stat().st_mtime_ns
    assert pmtiles_of(layer, tmp_path / "tiles").stat().st_mtime_ns == stamp
    second = pmtiles_of(replace(layer, changed=layer.changed + 1), tmp_path / "tiles")
    assert (first.exists(), second.exists()) == (False, True)
    assert list((tmp_path / "tiles").iterdir()) == [second]


def test_size_is_told_about_right(tmp_path: Path) -> None:
    small = written(tmp_path, many_cells().iloc[:2000])
    whole = len(many_cells().iloc[:2000].to_crs("EPSG:4326").to_json().encode())
    assert whole / 2 < geojson_size(small) < whole * 2
    assert not is_large(small)
    assert is_large(written(tmp_path, many_cells()))


def test_a_clicked_feature_tells_all_its_columns(tmp_path: Path) -> None:
    layer = written(tmp_path, many_cells())
    assert attributes_of(layer, 7) == {"flow": 1.0, "name": "cell 7", "kept": False}
    with pytest.raises(NotThere, match="there is no row 100000"):
        attributes_of(layer, 100_000)


SHAPES = {
    "point": "POINT (10 20)",
    "points": "MULTIPOINT ((10 20), (30 40), (7 7))",
    "line": "LINESTRING (0 0, 100 50, 100 300)",
    "lines": "MULTILINESTRING ((0 0, 100 50), (500 500, 600 700, 800 800))",
    "area": "POLYGON ((0 0, 400 0, 400 400, 0 400, 0 0))",
    "hole": "POLYGON ((0 0, 400 0, 400 400, 0 400, 0 0), (100 100, 200 100, 200 200, 100 200, 100 100))",
    "areas": "MULTIPOLYGON (((0 0, 9 0, 9 9, 0 0)), ((50 50, 90 50, 90 90, 50 50), (70 60, 80 60, 80 65, 70 60)))",
}


@pytest.mark.parametrize("name", list(SHAPES))
@pytest.mark.parametrize("reverse", [False, True])
def test_another_program_reads_every_kind_of_shape_as_it_was(name: str, reverse: bool) -> None:
    shape = shapely.from_wkt(SHAPES[name])
    given = shapely.reverse(shape) if reverse else shape
    units = shapely.transform(np.array([given], dtype=object), lambda xy: xy / EXTENT)
    content = encode_tile(units, np.array([5]), 0, 0, 0, "it", [("a", ["é"]), ("n", [-3]), ("x", [0.5]), ("b", [True])])
    found = mapbox_vector_tile.decode(content, default_options={"y_coord_down": True})["it"]
    (feature,) = found["features"]
    assert shapely.equals(shapely.geometry.shape(feature["geometry"]), shape)
    assert feature["properties"] == {"_row": 5, "a": "é", "n": -3, "x": 0.5, "b": True}
    assert (found["extent"], feature["id"]) == (EXTENT, 5)


def test_what_lies_elsewhere_makes_no_tile_and_what_reaches_in_is_cut() -> None:
    band = np.array([shapely.box(0.0, 0.4, 1.0, 0.45)], dtype=object)
    assert encode_tile(band, np.array([0]), 2, 0, 3, "it") == b""
    tile = mapbox_vector_tile.decode(
        encode_tile(band, np.array([0]), 2, 1, 1, "it"), default_options={"y_coord_down": True}
    )
    left, top, right, bottom = shapely.geometry.shape(tile["it"]["features"][0]["geometry"]).bounds
    # from 0.4 to 0.45 of the world is from 0.6 to 0.8 of the second tile of four
    assert (top, bottom) == pytest.approx((0.6 * EXTENT, 0.8 * EXTENT), abs=1)
    assert -200 < left < 0
    assert EXTENT < right < EXTENT + 200


def test_the_page_gets_ranges_of_the_archive(client: TestClient, finished: str, settings: Settings) -> None:
    reference = next(
        one["name"] for one in client.get(f"/runs/{finished}/layers.json").json()["layers"] if one["kind"] == "vector"
    )
    told = client.get(f"/runs/{finished}/layers.json").json()["layers"]
    layer = next(one for one in told if one["name"] == reference)
    assert "pmtiles" not in layer
    many_cells().iloc[:25_000].to_parquet(settings.runs / finished / layer["download"].split("/files/")[1])
    layer = next(
        one for one in client.get(f"/runs/{finished}/layers.json").json()["layers"] if one["name"] == reference
    )
    head = client.get(layer["pmtiles"], headers={"range": "bytes=0-126", "accept-encoding": "gzip"})
    assert (head.status_code, len(head.content), head.content[:7]) == (206, 127, b"PMTiles")
    whole = client.get(layer["pmtiles"]).content
    assert head.headers["content-range"] == f"bytes 0-126/{len(whole)}"
    assert Reader(MemorySource(whole)).header()["max_zoom"] >= 5
    assert client.get(f"{layer['feature']}/3").json()["properties"]["name"] == "cell 3"
    assert client.get(f"{layer['feature']}/999999").status_code == 404
    assert (settings.own / "tiles" / finished).is_dir()
    client.post(f"/runs/{finished}/remove")
    assert not (settings.own / "tiles" / finished).exists()
