"""Tiles: where they lie, what they show, and that colours mean what the legend says."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from linkways.web.layers import RunLayer, look_of
from linkways.web.problems import NotThere
from linkways.web.tiles import bounds_in_degrees, raster_tile, tile_bounds, tile_values


def layer(file: Path, **wishes: object) -> RunLayer:
    return RunLayer(
        "land", "Land", "", "", "raster", file, file.name, True, False, file.stat().st_mtime_ns, dict(wishes)
    )


def written(tmp_path: Path, values: np.ndarray, **more: object) -> Path:
    from linkways.spatial import new_raster, write_raster

    raster = new_raster(values, crs="EPSG:3857", cell_size=1000.0, origin=(0.0, 256_000.0), **more)
    return write_raster(raster, tmp_path / "land.tif")


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


@given(z=st.integers(0, 20), x=st.floats(0, 0.999), y=st.floats(0, 0.999))
def test_tiles_lie_where_the_formula_of_slippy_maps_puts_them(z: int, x: float, y: float) -> None:
    """North-west corner by the formula of the OpenStreetMap wiki (Slippy map tilenames), in degrees."""
    column, row = int(x * 2**z), int(y * 2**z)
    west, _, _, north = tile_bounds(z, column, row)
    longitude = column / 2**z * 360.0 - 180.0
    latitude = math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / 2**z))))
    radius = 6378137.0
    assert west == pytest.approx(math.radians(longitude) * radius, abs=1e-3)
    expected = radius * math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))
    assert north == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("place", [(-1, 0, 0), (2, 4, 0), (2, 0, -1), (99, 0, 0)])
def test_a_tile_that_does_not_exist_is_not_there(place: tuple[int, int, int]) -> None:
    with pytest.raises(NotThere):
        tile_bounds(*place)


def test_values_on_a_tile_are_those_of_the_cells_beneath(tmp_path: Path) -> None:
    """A raster in the tiles' own CRS: every pixel centre lies in one cell, which is computed here by hand."""
    values = np.arange(256.0 * 256).reshape(256, 256)
    file = written(tmp_path, values)
    z, x, y = 10, 514, 509
    west, _, east, north = tile_bounds(z, x, y)
    found = tile_values(file, z, x, y, classes=True)
    step = (east - west) / 256
    columns = np.floor((west + step * (np.arange(256) + 0.5)) / 1000.0).astype(int)
    rows = np.floor((256_000.0 - (north - step * (np.arange(256) + 0.5))) / 1000.0).astype(int)
    np.testing.assert_array_equal(found, values[np.ix_(rows, columns)])


def test_nodata_and_what_lies_outside_is_transparent(tmp_path: Path) -> None:
    values = np.ones((256, 256))
    values[:, 128:] = np.nan
    values[0, 0] = 2.0
    one = layer(written(tmp_path, values))
    west, _, east, north = 0.0, 0.0, 256_000.0, 256_000.0
    picture = pixels(raster_tile(one, 7, 64, 63))
    tile = tile_bounds(7, 64, 63)
    step = (tile[2] - tile[0]) / 256
    xs = tile[0] + step * (np.arange(256) + 0.5)
    ys = tile[3] - step * (np.arange(256) + 0.5)
    inside = np.outer((ys < north) & (ys > 0), (xs > west) & (xs < east / 2))
    # a pixel's width at the edges is left out: resampling may take either side there
    near = np.outer((ys < north - step) & (ys > step), (xs > west + step) & (xs < east / 2 - step))
    far = ~np.outer((ys < north + step) & (ys > -step), (xs > west - step) & (xs < east / 2 + step))
    assert (picture[near][:, 3] == 255).all()
    assert (picture[far][:, 3] == 0).all()
    assert inside.any()


def test_classes_keep_the_colours_of_the_legend(tmp_path: Path) -> None:
    values = np.full((256, 256), 2.0)
    values[:, 128:] = 13.0
    attrs = {"classes": True, "class_names": {2: "evergreen broadleaf forest", 13: "urban", 0: "water"}}
    values[:2] = 0.0
    one = layer(written(tmp_path, values, attrs=attrs))
    legend = {entry["label"]: entry["colour"] for entry in look_of(one).legend["classes"]}
    assert set(legend) == {"water", "evergreen broadleaf forest", "urban"}
    picture = pixels(raster_tile(one, 10, 514, 509))
    shown = {"#" + "".join(f"{part:02x}" for part in colour[:3]) for colour in picture.reshape(-1, 4) if colour[3]}
    assert shown == {legend["evergreen broadleaf forest"].lower()}


def test_a_logarithmic_bar_has_equal_steps_of_the_logarithm(tmp_path: Path) -> None:
    values = np.geomspace(1.0, 10_000.0, 256 * 256).reshape(256, 256)
    look = look_of(layer(written(tmp_path, values), log=True))
    at = [stop["value"] for stop in look.legend["stops"]]
    assert at[0] == pytest.approx(1.0, rel=0.01)
    assert at[-1] == pytest.approx(10_000.0, rel=0.01)
    ratios = np.diff(np.log(at))
    assert ratios == pytest.approx(np.full(len(ratios), ratios[0]))


def test_bounds_are_told_in_degrees(tmp_path: Path) -> None:
    west, south, east, north = bounds_in_degrees(layer(written(tmp_path, np.ones((256, 256))))) or (0, 0, 0, 0)
    assert (west, south) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert east == pytest.approx(math.degrees(256_000.0 / 6378137.0))
    assert north == pytest.approx(math.degrees(2 * math.atan(math.exp(256_000.0 / 6378137.0)) - math.pi / 2))


def test_features_for_the_map_are_strict_json_with_the_values_of_the_layer() -> None:
    """Missing and infinite numbers, text in any alphabet, dates and truth values; read back by geopandas."""
    import json

    import geopandas as gpd
    import pandas as pd
    import shapely

    from linkways.web.layers import geojson_of

    frame = gpd.GeoDataFrame(
        {
            "name": ['a "b"', "Łódź", None],
            "height": [1.5, np.nan, np.inf],
            "count": pd.array([1, None, 3], dtype="Int64"),
            "standing": [True, False, True],
            "built": pd.to_datetime(["2001-02-03", None, "2004-05-06"]),
        },
        geometry=[shapely.Point(500_000, 0), None, shapely.LineString([(500_000, 0), (500_000, 1000)])],
        crs="EPSG:32633",
    )
    data = json.loads(geojson_of(frame), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    rows = [feature["properties"] for feature in data["features"]]
    assert [row["_row"] for row in rows] == [0, 1, 2]
    assert [row["name"] for row in rows] == ['a "b"', "Łódź", None]
    assert [row["height"] for row in rows] == [1.5, None, None]
    assert [row["count"] for row in rows] == [1, None, 3]
    assert [row["standing"] for row in rows] == [True, False, True]
    assert rows[1]["built"] is None
    assert data["features"][0]["geometry"] == {"type": "Point", "coordinates": [15.0, 0.0]}
    assert data["features"][1]["geometry"] is None
