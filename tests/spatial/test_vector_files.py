"""Reading and writing vector layers."""

import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from linkways.errors import LinkwaysError
from linkways.spatial import read_vectors, recording, write_vectors

BOW_TIE = Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])


@pytest.fixture
def cores():
    return gpd.GeoDataFrame(
        {"core_id": [1, 2, 3], "name": ["a", "b", "é"]},
        geometry=[box(0, 0, 1, 1), box(5, 5, 6, 6), box(20, 0, 21, 1)],
        crs="EPSG:3035",
    )


@pytest.mark.parametrize("ending", ["parquet", "gpkg"])
def test_what_is_written_comes_back_the_same(tmp_path, cores, ending):
    path = write_vectors(cores, tmp_path / f"cores.{ending}")
    with recording() as log:
        back = read_vectors(path)
    assert_geodataframe_equal(back, cores, check_like=True, normalize=True)
    assert log == []


def test_geojson_is_longitude_and_latitude_and_the_log_says_so(tmp_path):
    points = gpd.GeoDataFrame({"n": [1]}, geometry=[Point(500_000, 0)], crs="EPSG:32631")
    with recording() as log:
        write_vectors(points, tmp_path / "p.geojson")
    content = json.loads((tmp_path / "p.geojson").read_text())
    # The central meridian of UTM zone 31 is 3 degrees east.
    assert content["features"][0]["geometry"]["coordinates"] == pytest.approx([3.0, 0.0], abs=1e-7)
    assert "crs" not in content
    assert log == ["layer p: reprojected to longitude and latitude (EPSG:4326) for GeoJSON"]
    assert read_vectors(tmp_path / "p.geojson").crs.to_epsg() == 4326


def test_shapefiles_and_zipped_ones_are_read(tmp_path, cores):
    import zipfile

    cores.to_file(tmp_path / "cores.shp")
    assert read_vectors(tmp_path / "cores.shp")["core_id"].tolist() == [1, 2, 3]
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for part in tmp_path.glob("cores.*"):
            archive.write(part, part.name)
    assert read_vectors(tmp_path / "z.zip")["core_id"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("ending", ["parquet", "gpkg"])
def test_bounds_choose_the_features_that_intersect_them_whole(tmp_path, cores, ending):
    write_vectors(cores, tmp_path / f"c.{ending}")
    chosen = read_vectors(tmp_path / f"c.{ending}", bounds=(0.5, 0.5, 5.5, 5.5))
    assert chosen["core_id"].tolist() == [1, 2]
    assert chosen.geometry.iloc[0].equals(box(0, 0, 1, 1))


def test_bounds_may_cross_the_antimeridian(tmp_path):
    points = gpd.GeoDataFrame({"n": [1, 2, 3]}, geometry=[Point(175, 0), Point(-175, 0), Point(0, 0)], crs="EPSG:4326")
    write_vectors(points, tmp_path / "p.gpkg")
    assert read_vectors(tmp_path / "p.gpkg", bounds=(170, -5, -170, 5))["n"].tolist() == [1, 2]


def test_bounds_the_wrong_way_round_are_refused(tmp_path, cores):
    write_vectors(cores, tmp_path / "c.parquet")
    with pytest.raises(LinkwaysError, match="bounds of layer c must be"):
        read_vectors(tmp_path / "c.parquet", bounds=(5, 0, 1, 1))


@pytest.mark.parametrize("ending", ["parquet", "gpkg"])
def test_fields_can_be_chosen_and_a_missing_one_names_the_nearest(tmp_path, cores, ending):
    path = write_vectors(cores, tmp_path / f"c.{ending}")
    assert list(read_vectors(path, columns=["name"]).columns) == ["name", "geometry"]
    with pytest.raises(LinkwaysError, match=r"has no field 'cor_id' \(did you mean 'core_id'\?\)"):
        read_vectors(path, columns=["cor_id"])


def test_invalid_polygons_are_made_valid_polygons_and_reported(tmp_path, cores):
    cores.loc[1, "geometry"] = BOW_TIE
    cores.to_file(tmp_path / "cores.gpkg")
    with recording() as log:
        back = read_vectors(tmp_path / "cores.gpkg")
    assert log == ["layer cores: 1 invalid geometry made valid"]
    assert back.is_valid.all()
    mended = back.geometry.iloc[1]
    assert isinstance(mended, MultiPolygon)
    # The two triangles of the bow tie.
    assert mended.area == pytest.approx(2.0)
    assert back.geometry.iloc[0].equals(box(0, 0, 1, 1))


def test_features_without_geometry_are_left_out_and_reported(tmp_path, cores):
    cores.loc[1, "geometry"] = None
    cores.to_parquet(tmp_path / "cores.parquet")
    with recording() as log:
        back = read_vectors(tmp_path / "cores.parquet")
    assert back["core_id"].tolist() == [1, 3]
    assert back.index.tolist() == [0, 1]
    assert log == ["layer cores: 1 feature without geometry left out, first at row 1"]


def test_lines_are_left_as_they_are(tmp_path):
    line = LineString([(0, 0), (2, 2), (2, 0), (0, 2)])
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[line], crs="EPSG:3035")
    with recording() as log:
        back = read_vectors(write_vectors(frame, tmp_path / "l.gpkg"))
    assert back.geometry.iloc[0].equals(line)
    assert log == []


def test_several_layers_need_a_name_and_a_wrong_one_names_the_nearest(tmp_path, cores):
    cores.to_file(tmp_path / "m.gpkg", layer="cores")
    cores.iloc[:1].to_file(tmp_path / "m.gpkg", layer="roads")
    with pytest.raises(LinkwaysError, match="has 2 layers; name one with layer=: cores, roads"):
        read_vectors(tmp_path / "m.gpkg")
    with pytest.raises(LinkwaysError, match=r"has no layer 'raods' \(did you mean 'roads'\?\)"):
        read_vectors(tmp_path / "m.gpkg", layer="raods")
    assert len(read_vectors(tmp_path / "m.gpkg", layer="roads")) == 1


def test_no_crs_is_refused_and_one_given_is_logged(tmp_path, cores):
    cores.set_crs(None, allow_override=True).to_parquet(tmp_path / "n.parquet")
    with pytest.raises(LinkwaysError, match="layer n has no coordinate reference system; give one with crs="):
        read_vectors(tmp_path / "n.parquet")
    with recording() as log:
        assert read_vectors(tmp_path / "n.parquet", crs="EPSG:3035").crs.to_epsg() == 3035
    assert log == ["layer n: the file has no CRS, EPSG:3035 as given"]


def test_a_wrong_crs_is_replaced_without_moving_anything(tmp_path, cores):
    path = write_vectors(cores, tmp_path / "c.gpkg")
    with recording() as log:
        back = read_vectors(path, crs="EPSG:32631")
    assert np.array_equal(back.total_bounds, cores.total_bounds)
    assert log == ["layer c: the file's CRS (EPSG:3035) replaced by EPSG:32631 as given"]


@pytest.mark.parametrize("ending", ["parquet", "gpkg", "geojson"])
def test_missing_and_unreadable_files_are_refused(tmp_path, ending):
    (tmp_path / f"cores.{ending}").write_text("hello")
    with pytest.raises(LinkwaysError, match=f"did you mean 'cores.{ending}'"):
        read_vectors(tmp_path / f"core.{ending}")
    with pytest.raises(LinkwaysError, match="cannot read"):
        read_vectors(tmp_path / f"cores.{ending}")


def test_a_parquet_table_without_geometry_is_refused(tmp_path, cores):
    cores.drop(columns="geometry").to_parquet(tmp_path / "t.parquet")
    with pytest.raises(LinkwaysError, match="as GeoParquet"):
        read_vectors(tmp_path / "t.parquet")


def test_geoparquet_has_no_layers(tmp_path, cores):
    path = write_vectors(cores, tmp_path / "c.parquet")
    with pytest.raises(LinkwaysError, match="leave layer='cores' out"):
        read_vectors(path, layer="cores")


def test_layers_without_crs_and_unknown_endings_are_not_written(tmp_path, cores):
    with pytest.raises(LinkwaysError, match="has no coordinate reference system; set one"):
        write_vectors(cores.set_crs(None, allow_override=True), tmp_path / "c.gpkg")
    with pytest.raises(LinkwaysError, match=r"cannot tell the format of vector layer c.shp"):
        write_vectors(cores, tmp_path / "c.shp")
    assert list(tmp_path.iterdir()) == []


def test_published_core_areas_are_read(shared):
    cores = read_vectors(next((shared / "data" / "corridors" / "linkage_mapper_demo").glob("lm_cores.shp")))
    # Six core areas (Linkage Mapper demo, PROVENANCE.md of the reference data).
    assert sorted(cores["core_id"]) == [1, 2, 3, 4, 5, 6]
    assert shapely.is_valid(cores.geometry.to_numpy()).all()


def test_a_layer_is_told_from_a_table(tmp_path):
    from linkways.spatial import holds_features, write_table, write_vectors

    layer = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(1, 2)], crs="EPSG:32631")
    for ending in ("parquet", "gpkg", "geojson"):
        assert holds_features(write_vectors(layer, tmp_path / f"layer.{ending}"))
    for ending in ("parquet", "csv"):
        assert not holds_features(write_table(layer[["a"]], tmp_path / f"table.{ending}"))
