"""Maps: legends, true scale, classes, stamps, labels, and what they do with odd layers."""

import itertools
import math
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from pyproj import CRS, Geod, Transformer

from linkways.errors import LinkwaysError
from linkways.spatial import new_raster
from linkways.studies._map_frame import View, degree_text, degree_ticks, plane_ticks, scale_bar
from linkways.studies._map_rasters import coarsened
from linkways.studies._map_words import map_in_words
from linkways.studies.map_style import PALETTES, class_colours, own_colours
from linkways.studies.maps import draw_map

WGS84 = Geod(ellps="WGS84")


def texts(figure: Figure) -> list[str]:
    """All that is written on a map, ticks of the frame and of colour bars too."""
    figure.canvas.draw()
    return [t.get_text() for t in figure.findobj(Text) if t.get_text() and t.get_visible()]


def written(figure: Figure) -> str:
    """All that is written on a map, with line breaks as blanks."""
    return " ".join(texts(figure))


def with_gid(figure: Figure, gid: str) -> list[Any]:
    return figure.findobj(lambda artist: artist.get_gid() == gid)


def raster(
    values: Any, crs: str = "EPSG:32633", cell: float = 1000.0, origin: Any = (400_000, 5_500_000), **attrs: Any
) -> Any:
    return new_raster(
        np.asarray(values, dtype=float), crs=crs, cell_size=cell, origin=origin, name="height", attrs=attrs
    )


def degrees(values: Any, west: float, north: float, cell: float) -> Any:
    return raster(values, "EPSG:4326", cell, (west, north))


def features(geometries: list[Any], crs: str = "EPSG:32633", **columns: Any) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=geometries, crs=crs)


def bar_ends(figure: Figure) -> tuple[float, float, float]:
    """Where the scale bar would begin and end if laid on the map through its centre, in map units, and that y."""
    figure.canvas.draw()
    axes = figure.axes[0]
    boxes = [patch.get_window_extent() for at in (0, 1) for patch in with_gid(figure, f"scale-bar-{at}")]
    dots = max(box.x1 for box in boxes) - min(box.x0 for box in boxes)
    y = sum(axes.get_ylim()) / 2
    middle = axes.transData.transform((sum(axes.get_xlim()) / 2, y))
    ends = axes.transData.inverted().transform([(middle[0] - dots / 2, middle[1]), (middle[0] + dots / 2, middle[1])])
    return float(ends[0][0]), float(ends[1][0]), y


def metres_told(figure: Figure) -> float:
    number, unit = with_gid(figure, "scale-bar-text")[0].get_text().split()
    return float(number.replace(",", "")) * {"km": 1000.0, "m": 1.0}[unit]


# --- scale ---------------------------------------------------------------------------


@pytest.mark.parametrize(("west", "north", "cell"), [(-118.0, 33.0, 0.8), (10.0, 71.0, 0.01), (100.0, 0.5, 0.001)])
def test_the_scale_bar_of_a_geographic_map_is_a_geodesic_of_the_length_it_tells(
    west: float, north: float, cell: float
) -> None:
    figure = draw_map(degrees(np.arange(6000.0).reshape(60, 100), west, north, cell), countries=False)
    start, end, y = bar_ends(figure)
    assert WGS84.inv(start, y, end, y)[2] == pytest.approx(metres_told(figure), rel=2e-3)


@pytest.mark.parametrize(
    ("crs", "origin", "cell"),
    [
        ("EPSG:32633", (400_000, 5_500_000), 500.0),
        ("EPSG:3857", (1_000_000, 9_000_000), 2000.0),
        ("EPSG:2263", (950_000, 260_000), 300.0),
        ("EPSG:3035", (4_000_000, 3_000_000), 25.0),
    ],
)
def test_the_scale_bar_of_a_projected_map_is_true_on_the_ground_whatever_its_unit(
    crs: str, origin: tuple[float, float], cell: float
) -> None:
    figure = draw_map(raster(np.arange(5000.0).reshape(50, 100), crs, cell, origin), countries=False)
    start, end, y = bar_ends(figure)
    projection = CRS(crs)
    geodetic = projection.geodetic_crs
    assert geodetic is not None
    geod = projection.get_geod()
    assert geod is not None
    back = Transformer.from_crs(projection, geodetic, always_xy=True)
    (lon_a, lat_a), (lon_b, lat_b) = back.transform(start, y), back.transform(end, y)
    assert geod.inv(lon_a, lat_a, lon_b, lat_b)[2] == pytest.approx(metres_told(figure), rel=2e-3)


@given(west=st.floats(-170, 150), middle=st.floats(-75, 75), width=st.floats(0.001, 20))
@settings(max_examples=60, deadline=None)
def test_a_scale_bar_is_round_and_no_longer_than_a_third_of_the_map(west: float, middle: float, width: float) -> None:
    view = View.around(CRS(4326), (west, middle - width / 3, west + width, middle + width / 3))
    bar = scale_bar(view)
    assert round(bar.metres / 10 ** math.floor(math.log10(bar.metres) + 1e-9), 6) in (1, 2, 5)
    assert 0.1 * view.width < bar.width <= view.width / 3 * 1.001
    x, y = view.centre
    assert WGS84.inv(x - bar.width / 2, y, x + bar.width / 2, y)[2] == pytest.approx(bar.metres, rel=1e-6)


def test_a_map_says_so_where_its_scale_varies_by_more_than_ten_per_cent() -> None:
    wide = draw_map(degrees(np.ones((70, 80)), 0.0, 70.0, 1.0), countries=False)
    # The bar shrinks with the cosine of latitude; against the middle of 0 and 70 degrees it is longest on the equator.
    longest = math.cos(0) / math.cos(math.radians(35)) - 1
    shortest = 1 - math.cos(math.radians(70)) / math.cos(math.radians(35))
    assert f"the scale varies by up to {max(longest, shortest):.0%}" in written(wide)
    small = draw_map(degrees(np.ones((10, 10)), 10.0, 47.0, 0.01), countries=False)
    assert "scale varies" not in written(small)


def test_a_degree_of_longitude_is_drawn_as_much_shorter_as_it_is_on_the_ground() -> None:
    figure = draw_map(degrees(np.arange(400.0).reshape(20, 20), 10.0, 61.0, 0.1), countries=False)
    axes = figure.axes[0]
    origin, east, north = axes.transData.transform([(11.0, 60.0), (11.1, 60.0), (11.0, 60.1)])
    drawn = (east[0] - origin[0]) / (north[1] - origin[1])
    ground = WGS84.inv(11.0, 60.0, 11.1, 60.0)[2] / WGS84.inv(11.0, 60.0, 11.0, 60.1)[2]
    assert drawn == pytest.approx(ground, rel=0.01)


def test_north_is_turned_where_the_grid_is() -> None:
    """Far east of the central meridian of LAEA Europe the meridians lean to the left going north."""
    figure = draw_map(raster(np.ones((20, 20)), "EPSG:3035", 10_000.0, (6_500_000, 4_000_000)), countries=False)
    arrow = with_gid(figure, "north-arrow")[0].get_xy()
    tip, middle = arrow[0], arrow[:4].mean(axis=0)
    to_degrees = Transformer.from_crs(3035, 4258, always_xy=True)
    lon, lat = to_degrees.transform(6_600_000, 3_900_000)
    x, y = to_degrees.transform(lon, lat + 0.01, direction="INVERSE")
    expected = math.degrees(math.atan2(x - 6_600_000, y - 3_900_000))
    assert expected < -10
    assert math.degrees(math.atan2(tip[0] - middle[0], tip[1] - middle[1])) == pytest.approx(expected, abs=2.0)


def test_degrees_stand_on_the_frame_of_a_geographic_map_and_kilometres_on_a_metric_one() -> None:
    shown = texts(draw_map(degrees(np.ones((73, 85)), -118.0, 33.0, 1.0), countries=False))
    assert {"100°W", "80°W", "20°N", "0°", "20°S"} <= set(shown)
    shown = texts(draw_map(raster(np.ones((60, 100))), countries=False))
    assert "420 km" in shown
    assert "5,480 km" in shown
    assert any(
        text.endswith(" ft") for text in texts(draw_map(raster(np.ones((60, 100)), "EPSG:2263"), countries=False))
    )


@pytest.mark.parametrize(
    ("value", "sides", "text"),
    [
        (-60, "EW", "60°W"),
        (190, "EW", "170°W"),
        (180, "EW", "180°"),
        (0, "NS", "0°"),
        (-0.5, "NS", "0.5°S"),
        (12.25, "NS", "12.25°N"),
    ],
)
def test_degrees_are_written_with_their_side_of_the_world(value: float, sides: str, text: str) -> None:
    assert degree_text(value, sides) == text


@given(low=st.floats(-180, 170), span=st.floats(0.001, 360), about=st.integers(2, 6))
def test_ticks_are_inside_evenly_spaced_and_few(low: float, span: float, about: int) -> None:
    for ticks in (degree_ticks(low, low + span, about), plane_ticks(low, low + span, about)):
        assert all(low - 1e-6 <= tick <= low + span + 1e-6 for tick in ticks)
        assert len(ticks) <= 2 * about + 1
        steps = np.diff(ticks)
        assert np.allclose(steps, steps[0] if len(steps) else 0)


def test_the_crs_source_and_licence_stand_under_the_map() -> None:
    figure = draw_map(
        raster([[1, 2], [3, 4]]), source="Survey $office$ of the hills", licence="CC-BY-4.0", countries=False
    )
    shown = written(figure)
    assert "WGS 84 / UTM zone 33N (EPSG:32633), unit metre" in shown
    assert "Source: Survey $office$ of the hills" in shown
    assert "Licence: CC-BY-4.0" in shown


# --- legends -------------------------------------------------------------------------


def test_a_quantity_has_a_colour_bar_with_its_name_and_unit_and_round_numbers() -> None:
    figure = draw_map(raster(np.linspace(0, 4000, 600).reshape(20, 30), units="km2"), name="Catchment", countries=False)
    shown = texts(figure)
    assert "Catchment (km²)" in shown
    assert {"1,000", "2,000", "3,000"} <= set(shown)
    assert "no data" not in shown


def test_cells_without_data_are_grey_and_the_legend_says_so() -> None:
    values = np.arange(100.0).reshape(10, 10)
    values[4:6, 4:6] = np.nan
    figure = draw_map(raster(values), countries=False)
    assert "no data" in texts(figure)
    grey = np.array([0xE4, 0xE4, 0xE0])
    assert np.abs(pixel(figure, 405_000, 5_495_000) - grey).max() <= 2
    assert np.abs(pixel(figure, 401_500, 5_498_500) - grey).max() > 20


def pixel(figure: Figure, x: float, y: float) -> np.ndarray:
    """The colour drawn at a place of the map."""
    figure.canvas.draw()
    column, row = figure.axes[0].transData.transform((x, y))
    image = np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]
    return image[image.shape[0] - 1 - int(row), int(column), :3].astype(int)


def test_a_class_raster_has_one_entry_per_class_with_its_name_and_colour() -> None:
    codes = raster([[1, 1, 2], [2, 7, 7]], classes=True, class_names={1: "forest", 2: "water", 7: "rice field"})
    figure = draw_map(codes, countries=False)
    shown = texts(figure)
    assert [name for name in shown if name in ("forest", "water", "rice field")] == ["forest", "water", "rice field"]
    colours = {
        tuple(pixel(figure, 400_500 + 1000 * column, 5_499_500 - 1000 * row)) for row in (0, 1) for column in (0, 1, 2)
    }
    assert len(colours) == 3
    assert not [axes for axes in figure.axes if axes.get_label() == "colour bar"]


def test_classes_without_names_are_numbered_and_too_many_are_not_listed() -> None:
    assert {"class 3", "class 9"} <= set(texts(draw_map(raster([[3, 9]], classes=True), countries=False)))
    many = raster(np.arange(40_000.0).reshape(200, 200), classes=True)
    figure = draw_map(many, countries=False)
    assert "40000 classes; colours repeat" in written(figure)
    assert np.abs(pixel(figure, 400_500, 5_499_500) - pixel(figure, 401_500, 5_499_500)).max() > 60
    names = features([BOX] * 30, name=[f"park {k}" for k in range(30)])
    assert "30 classes; colours repeat" in written(draw_map(names, column="name", countries=False))


def test_true_and_false_are_yes_and_no() -> None:
    values = new_raster(np.array([[True, False], [False, False]]), crs="EPSG:32633", cell_size=10.0, name="protected")
    assert {"yes", "no"} <= set(texts(draw_map(values, countries=False)))


def test_a_raster_of_one_value_says_that_it_is_everywhere() -> None:
    assert "7.5 everywhere" in texts(draw_map(raster(np.full((5, 5), 7.5)), countries=False))


def test_far_outliers_do_not_wash_out_the_colours_and_the_bar_has_an_arrow_for_them() -> None:
    values = np.linspace(0, 1, 10_000).reshape(100, 100)
    values[0, 0] = 1e6
    figure = draw_map(raster(values), countries=False)
    ticks = [text for axes in figure.axes if axes.get_label() == "colour bar" for text in axes.get_yticklabels()]
    assert ticks
    assert max(float(text.get_text()) for text in ticks) <= 1
    assert np.abs(pixel(figure, 450_500, 5_490_500) - pixel(figure, 450_500, 5_410_500)).max() > 60


def test_a_difference_is_centred_on_zero() -> None:
    values = np.linspace(-1, 9, 10_000).reshape(100, 100)
    figure = draw_map(raster(values), name="change of cost", countries=False)
    middle = np.argmin(np.abs(values.ravel()))
    at_zero = pixel(figure, 400_500 + 1000 * (middle % 100), 5_499_500 - 1000 * (middle // 100))
    assert at_zero.min() > 235  # nearly white: no change


def test_a_logarithmic_scale_has_ticks_at_powers_of_ten_and_needs_a_value_above_zero() -> None:
    figure = draw_map(raster(np.geomspace(1, 10_000, 100).reshape(10, 10)), log=True, countries=False)
    assert {"10", "100", "1,000"} <= set(texts(figure))
    with pytest.raises(LinkwaysError, match="no value above 0; leave log out"):
        draw_map(raster(np.zeros((3, 3))), log=True, name="flow", countries=False)


@pytest.mark.parametrize("palette", [*PALETTES, "viridis", "cividis"])
def test_every_palette_draws(palette: str) -> None:
    assert texts(draw_map(raster(np.arange(4.0).reshape(2, 2) - 1), palette=palette, countries=False))


def test_a_palette_that_is_not_known_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(LinkwaysError, match=r"no palette 'virdis' \(did you mean 'viridis'\?\)"):
        draw_map(raster([[1, 2]]), palette="virdis", countries=False)


def test_sequential_palettes_keep_their_order_in_grey_and_for_colour_blind_readers() -> None:
    """Lightness (the L of CIELAB, from relative luminance) runs one way only, so that hue is never needed."""
    import matplotlib

    for name, colours in PALETTES.items():
        if name == "difference":
            continue
        rgb = matplotlib.colormaps[colours](np.linspace(0, 1, 32))[:, :3]
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
        steps = np.diff(lightness)
        assert (steps > -0.5).all() or (steps < 0.5).all(), name
        assert abs(lightness[-1] - lightness[0]) > 40, name


# --- features ------------------------------------------------------------------------

BOX = shapely.box(400_000, 5_400_000, 410_000, 5_410_000)


def test_lines_get_wider_with_a_column_and_the_legend_tells_its_values() -> None:
    lines = [shapely.LineString([(400_000, 5_400_000 + k), (420_000, 5_400_000 + k)]) for k in (0, 4000, 8000)]
    figure = draw_map(features(lines, flow_km2=[10.0, 20.0, 30.0]), width="flow_km2", countries=False)
    shown = texts(figure)
    assert "line width: Flow (km²)" in shown
    assert {"10", "20", "30"} <= set(shown)
    drawn = [c for c in figure.axes[0].collections if type(c).__name__ == "LineCollection"][-1].get_linewidths()
    assert drawn[0] < drawn[1] < drawn[2]
    assert drawn[1] - drawn[0] == pytest.approx(drawn[2] - drawn[1])


def test_a_column_of_words_becomes_classes_and_a_column_of_numbers_a_bar() -> None:
    boxes = [shapely.affinity.translate(BOX, 12_000 * k) for k in range(3)]
    frame = features(boxes, owner=["state", "private", None], area_km2=[100.0, 200.0, 400.0])
    shown = texts(draw_map(frame, column="owner", countries=False))
    told = ["Owner", "private", "state", "no value"]
    assert [text for text in shown if text in told] == told
    figure = draw_map(frame, column="area_km2", countries=False)
    assert "Area (km²)" in texts(figure)
    assert [axes.get_label() for axes in figure.axes] == ["map", "colour bar"]


def test_classes_take_the_colours_that_the_layer_brings_if_it_brings_one_for_each() -> None:
    boxes = [shapely.affinity.translate(BOX, 12_000 * k) for k in range(3)]
    own = features(boxes, zone=["farm", "park", "farm"], colour=["#ff00aa", "#00aa55", "#ff00aa"])
    torn = own.assign(colour=["#ff00aa", "#00aa55", "#0000ff"])
    wrong = own.assign(colour=["#ff00aa", "no colour", "#ff00aa"])
    assert class_colours(["farm", "park"], own_colours(own, "zone")) == ["#ff00aa", "#00aa55"]
    assert own_colours(torn, "zone") == own_colours(wrong, "zone") == own_colours(own[["zone"]], "zone") == {}
    faces = {
        to_hex(face)
        for collection in draw_map(own, column="zone", countries=False).findobj(Collection)
        for face in collection.get_facecolor()
    }
    assert {"#ff00aa", "#00aa55"} <= faces


def test_layers_over_the_map_are_named_in_the_legend_and_brought_to_its_crs() -> None:
    place = gpd.GeoSeries([shapely.Point(405_000, 5_495_000)], crs="EPSG:32633").to_crs(4326)
    over = {"Cameras $5": gpd.GeoDataFrame(geometry=place)}
    figure = draw_map(raster(np.arange(100.0).reshape(10, 10)), over=over, countries=False)
    assert "Cameras $5" in texts(figure)
    assert np.abs(pixel(figure, 405_000, 5_495_000) - np.array([0xD5, 0x5E, 0x00])).max() < 40


def test_a_raster_over_another_is_warped_to_its_crs_and_lets_it_show_through() -> None:
    ramp = np.ones((10, 10))
    ramp[4:6, 4:6] = 0.0
    base, top = raster(ramp), np.full((4, 4), np.nan)
    top[1:3, 1:3] = 5.0
    corner = Transformer.from_crs(32633, 3035, always_xy=True).transform(405_000, 5_495_000)
    over = {"spot": raster(top, "EPSG:3035", 1000.0, (corner[0] - 2000, corner[1] + 2000))}
    alone, figure = draw_map(base, countries=False), draw_map(base, over=over, countries=False)
    assert {"spot", "5 everywhere"} <= set(texts(figure))
    middle, edge = (405_000, 5_495_000), (401_500, 5_491_500)
    assert np.abs(pixel(figure, *middle) - pixel(alone, *middle)).max() > 60
    assert np.array_equal(pixel(figure, *edge), pixel(alone, *edge))


def test_nested_collections_and_mixed_geometries_are_drawn() -> None:
    mixed = shapely.GeometryCollection(
        [BOX, shapely.GeometryCollection([shapely.Point(415_000, 5_405_000), BOX.exterior])]
    )
    figure = draw_map(features([mixed, None]), countries=False)
    kinds = {type(one).__name__ for one in figure.axes[0].get_children()}
    assert {"PathPatch", "PathCollection", "LineCollection"} <= kinds


def test_a_polygon_keeps_its_hole() -> None:
    ring = BOX.difference(shapely.box(403_000, 5_403_000, 407_000, 5_407_000))
    figure = draw_map(features([ring], kind=["park"]), column="kind", countries=False)
    assert pixel(figure, 405_000, 5_405_000).min() == 255
    assert pixel(figure, 401_500, 5_401_500).min() < 200


def test_a_single_point_makes_a_map() -> None:
    figure = draw_map(features([shapely.Point(500_000, 5_400_000)]), countries=False)
    assert metres_told(figure) > 0


# --- labels --------------------------------------------------------------------------


def boxes_of(figure: Figure, gid: str) -> list[Any]:
    figure.canvas.draw()
    return [text.get_window_extent() for text in with_gid(figure, gid)]


def test_no_label_covers_another_even_where_features_crowd() -> None:
    rng = np.random.default_rng(1)
    points = shapely.points(rng.normal(500_000, 3000, 60), rng.normal(5_400_000, 3000, 60))
    figure = draw_map(features(list(points), rank=np.arange(1, 61)), label="rank", countries=False)
    boxes = boxes_of(figure, "label")
    assert len(boxes) >= 20
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    told = re.search(r"(\d+) labels? left out", written(figure))
    assert len(boxes) + (int(told.group(1)) if told else 0) == 60


def test_labels_that_find_no_room_are_counted_on_the_map() -> None:
    same = [shapely.LineString([(0, 0), (1000, 1000)])] * 150
    figure = draw_map(features(same, rank=np.arange(150)), label="rank", countries=False)
    shown = {int(text.get_text()) for text in with_gid(figure, "label")}
    assert f"{150 - len(shown)} labels left out for want of room" in written(figure)
    assert shown >= {0, 1, 2}  # the first ranks choose first


def test_labels_go_to_the_first_layer_that_has_the_column_and_a_wrong_column_is_refused() -> None:
    lines = features([shapely.LineString([(401_000, 5_492_000), (409_000, 5_498_000)])], rank=[17])
    figure = draw_map(raster(np.ones((10, 10))), over={"links": lines}, label="rank", countries=False)
    assert [text.get_text() for text in with_gid(figure, "label")] == ["17"]
    with pytest.raises(LinkwaysError, match=r"no layer of the map has a column 'rnak' \(did you mean 'rank'\?\)"):
        draw_map(raster(np.ones((10, 10))), over={"links": lines}, label="rnak", countries=False)


def test_country_names_stand_once_each_inside_the_map_and_never_under_a_label() -> None:
    west, east = shapely.box(10, 45, 14, 50), shapely.box(14, 45, 20, 50)
    countries = features(
        [shapely.MultiPolygon([west, shapely.box(10, 40, 12, 42)]), east], "EPSG:4326", name=["Westland", "Eastland"]
    )
    figure = draw_map(degrees(np.ones((50, 100)), 10.0, 50.0, 0.1), over={"countries": countries})
    assert sorted(text.get_text() for text in with_gid(figure, "name")) == ["Eastland", "Westland"]
    assert "countries" not in texts(figure)
    frame = figure.axes[0].get_window_extent()
    assert all(frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1) for box in boxes_of(figure, "name"))


# --- honesty, and odd layers -----------------------------------------------------------


@pytest.mark.parametrize("layer", [raster([[1, 2]], simulated=True), raster([[1, 2]])])
def test_maps_of_simulated_data_are_stamped(layer: Any) -> None:
    figure = draw_map(layer, simulated=not layer.attrs.get("simulated"), countries=False)
    assert "SIMULATED DATA" in texts(figure)
    assert "SIMULATED DATA" not in texts(draw_map(raster([[1, 2]]), countries=False))


def test_borders_of_real_countries_are_not_drawn_round_simulated_land() -> None:
    made_up = draw_map(degrees(np.ones((50, 50)), 5.0, 50.0, 0.2), simulated=True)
    assert not with_gid(made_up, "name")


def test_a_raster_without_any_data_says_so() -> None:
    figure = draw_map(raster(np.full((4, 4), np.nan)), countries=False)
    assert texts(figure).count("no data") == 2  # across the map and in the legend


def test_a_layer_without_features_says_so_and_takes_the_extent_of_what_lies_over_it() -> None:
    over = {"cores": features([BOX])}
    figure = draw_map(features([]), over=over, name="Corridors", countries=False)
    assert {"no features", "Corridors: none", "cores"} <= set(texts(figure))
    west, east = figure.axes[0].get_xlim()
    assert west < 400_000
    assert east > 410_000
    assert "no features" in texts(draw_map(features([]), countries=False))


def test_an_empty_layer_over_the_map_is_told_in_the_legend() -> None:
    assert "parks: none" in texts(draw_map(raster([[1, 2]]), over={"parks": features([])}, countries=False))


def test_a_layer_without_crs_is_refused() -> None:
    with pytest.raises(LinkwaysError, match="no coordinate reference system"):
        draw_map(gpd.GeoDataFrame(geometry=[BOX]), countries=False)


def test_the_map_closes_in_on_the_cells_that_hold_data() -> None:
    values = np.full((100, 100), np.nan)
    values[40:60, 30:70] = 1.0
    axes = draw_map(raster(values), countries=False).axes[0]
    west, east = axes.get_xlim()
    south, north = axes.get_ylim()
    assert 425_000 < west < 430_000 < 470_000 < east < 475_000
    assert 5_435_000 < south < 5_440_000 < 5_460_000 < north < 5_465_000


def test_a_map_past_the_antimeridian_has_its_degrees_right() -> None:
    shown = texts(draw_map(degrees(np.ones((50, 100)), 170.0, -10.0, 0.2), countries=False))
    assert {"175°E", "180°", "175°W"} <= set(shown)


def test_dollar_signs_and_markup_in_titles_are_plain_text() -> None:
    figure = draw_map(raster([[1, 2]]), title=r"Cost in $ and \frac <b>", caption="$x^$", countries=False)
    assert {r"Cost in $ and \frac <b>", "$x^$"} <= set(texts(figure))


def test_a_map_can_be_saved_as_svg_too(tmp_path: Any) -> None:
    draw_map(raster([[1, 2], [3, 4]]), countries=False).savefig(tmp_path / "map.svg")
    assert ElementTree.parse(tmp_path / "map.svg").getroot().tag.endswith("svg")


# --- fewer cells -----------------------------------------------------------------------


@given(
    rows=st.integers(1, 12), columns=st.integers(1, 12), step_y=st.integers(1, 5), step_x=st.integers(1, 5),
    seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_blocks_are_the_mean_of_their_cells_that_hold_data(
    rows: int, columns: int, step_y: int, step_x: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns))
    values[rng.random((rows, columns)) < 0.3] = np.nan
    small = coarsened(values, step_y, step_x, classes=False)
    for i, j in itertools.product(range(small.shape[0]), range(small.shape[1])):
        block = values[i * step_y : (i + 1) * step_y, j * step_x : (j + 1) * step_x]
        known = block[np.isfinite(block)]
        if known.size:
            assert small[i, j] == pytest.approx(known.mean())
        else:
            assert np.isnan(small[i, j])


def test_classes_keep_their_codes_when_there_are_fewer_cells() -> None:
    values = np.random.default_rng(2).choice([1.0, 40.0, np.nan], size=(50, 37))
    small = coarsened(values, 4, 7, classes=True)
    assert small.shape == (13, 6)
    assert set(small[np.isfinite(small)]) <= {1.0, 40.0}


def test_a_large_raster_is_drawn_where_it_lies() -> None:
    """A bright block of cells in a raster of 9 million comes out at its place although cells are averaged."""
    values = np.zeros((3000, 3001))
    values[1000:1100, 2000:2100] = 1.0
    figure = draw_map(raster(values, cell=10.0), countries=False)
    inside, outside = (
        pixel(figure, 400_000 + 20_500, 5_500_000 - 10_500),
        pixel(figure, 400_000 + 19_500, 5_500_000 - 10_500),
    )
    assert np.abs(inside - outside).max() > 100
    assert np.array_equal(outside, pixel(figure, 400_000 + 21_500, 5_500_000 - 10_500))


# --- in words --------------------------------------------------------------------------


def test_a_raster_in_words_tells_its_range_its_middle_and_where_it_lies() -> None:
    values = np.array([[1.0, 2.0, 9.0], [np.nan, 3.0, 1500.0]])
    words = map_in_words("Cost", degrees(values, -60.0, 10.0, 5.0), {}, shows="cost of moving", unit="cost-metres")
    assert words == (
        "Map: Cost. Cost of moving: from 1 to 1,500 cost-metres, half of the cells at or below 3, on 5 of 6 cells. "
        "It reaches from 60°W to 45°W and from 0° to 10°N."
    )


def test_classes_in_words_tell_the_commonest_first() -> None:
    codes = raster([[1, 1, 1, 2]], classes=True, class_names={1: "forest", 2: "water"})
    assert "2 classes on 4 of 4 cells; the commonest: forest 75% and water 25%." in map_in_words("Land", codes, {})


def test_features_in_words_tell_their_number_and_the_column_shown() -> None:
    frame = features([BOX, BOX], area_km2=[100.0, 250.0], owner=["state", "state"])
    words = map_in_words("Parks", frame, {"Roads": features([])}, column="area_km2", label="owner")
    assert "2 polygons, coloured by area (km²) from 100 to 250, labelled with owner." in words
    assert "Drawn over it: Roads (no features)." in words
    assert "(state)" in map_in_words("Parks", frame, {}, column="owner")
