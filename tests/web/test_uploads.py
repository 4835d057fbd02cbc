"""Files that users hand in: what is taken, what is refused, and that nothing reaches for anything else."""

import io
import json
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from linkways.errors import LinkwaysError
from linkways.web.problems import Forbidden, TooLarge
from linkways.web.settings import Settings
from linkways.web.uploads import server_file, take_upload

FEATURES = gpd.GeoDataFrame({"name": ["a"]}, geometry=[shapely.Point(1, 2)], crs="EPSG:4326")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "runs", most_upload_mb=1.0, most_cells=1000, read_from=(tmp_path / "open",))


def raster_bytes(tmp_path: Path, rows: int = 5) -> bytes:
    from linkways.spatial import new_raster, write_raster

    raster = new_raster(np.ones((rows, 5)), crs="EPSG:3035", cell_size=100.0)
    return write_raster(raster, tmp_path / "made.tif").read_bytes()


def shapefile_zip(tmp_path: Path) -> bytes:
    FEATURES.to_file(tmp_path / "areas.shp")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for file in tmp_path.glob("areas.*"):
            archive.write(file, f"../../etc/{file.name}")
    return out.getvalue()


def take(content: bytes, filename: str, kind: str, settings: Settings) -> Path:
    return take_upload(io.BytesIO(content), filename, kind, settings.runs / "inputs" / "mine", settings)


def test_a_geotiff_is_kept_under_our_name_whatever_it_was_called(tmp_path: Path, settings: Settings) -> None:
    kept = take(raster_bytes(tmp_path), "../../../etc/passwd.TIF", "raster", settings)
    assert kept == settings.runs / "inputs" / "mine.tif"
    assert [file.name for file in kept.parent.iterdir()] == ["mine.tif"]


def test_geojson_geopackage_and_geoparquet_are_taken(tmp_path: Path, settings: Settings) -> None:
    FEATURES.to_file(tmp_path / "a.gpkg")
    FEATURES.to_parquet(tmp_path / "a.parquet")
    FEATURES.to_file(tmp_path / "a.geojson")
    for name in ("a.gpkg", "a.parquet", "a.geojson"):
        assert take((tmp_path / name).read_bytes(), name, "vector", settings).suffix == Path(name).suffix


def test_a_zipped_shapefile_is_unpacked_inside_its_folder_alone(tmp_path: Path, settings: Settings) -> None:
    kept = take(shapefile_zip(tmp_path), "areas.zip", "vector", settings)
    assert kept == settings.runs / "inputs" / "mine-shapefile" / "mine.shp"
    assert len(gpd.read_file(kept)) == 1
    outside = [file for file in settings.runs.rglob("*") if file.is_file() and file.parent != kept.parent]
    assert outside == []


@pytest.mark.parametrize("name", ["land.vrt", "land.nc", "land.tif.exe", "land", "land.svg", "land.tif.gz"])
def test_other_formats_are_refused_by_their_ending(name: str, settings: Settings) -> None:
    with pytest.raises(LinkwaysError, match="is not taken as a raster"):
        take(b"whatever", name, "raster", settings)


def test_a_virtual_raster_that_names_another_file_is_refused_under_any_name(tmp_path: Path, settings: Settings) -> None:
    secret = tmp_path / "secret.tif"
    secret.write_bytes(raster_bytes(tmp_path))
    vrt = f"""<VRTDataset rasterXSize="5" rasterYSize="5"><VRTRasterBand dataType="Float64" band="1">
      <SimpleSource><SourceFilename>{secret}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""
    with pytest.raises(LinkwaysError, match=r"is not a \.tif file by its content"):
        take(vrt.encode(), "land.tif", "raster", settings)


@pytest.mark.parametrize(
    "data",
    [
        {"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read /etc/passwd"},
        {"driver": "GDALG", "type": "gdal_streamed_alg"},
        {"type": "Topology", "objects": {}},
        {"rings": [], "spatialReference": {"wkid": 4326}},
        ["FeatureCollection"],
    ],
)
def test_json_that_gdal_would_take_for_something_else_is_refused(data: object, settings: Settings) -> None:
    with pytest.raises(LinkwaysError, match="not GeoJSON"):
        take(json.dumps(data).encode(), "areas.geojson", "vector", settings)


def test_a_virtual_vector_layer_is_refused_as_geojson(settings: Settings) -> None:
    vrt = (
        b'<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'
    )
    with pytest.raises(LinkwaysError, match="not valid JSON"):
        take(vrt, "areas.geojson", "vector", settings)


def test_deeply_nested_json_is_refused(settings: Settings) -> None:
    with pytest.raises(LinkwaysError, match="not valid JSON"):
        take(b"[" * 200_000, "areas.geojson", "vector", settings)


def test_a_file_larger_than_the_limit_is_refused_and_not_kept(settings: Settings) -> None:
    with pytest.raises(TooLarge, match="larger than 1 MB"):
        take(b"II*\0" + bytes(1_100_000), "land.tif", "raster", settings)
    assert list((settings.runs / "inputs").iterdir()) == []


def test_a_raster_of_too_many_cells_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(TooLarge, match="5,000 cells"):
        take(raster_bytes(tmp_path, rows=1000), "land.tif", "raster", settings)


def test_a_zip_bomb_is_refused_before_and_while_it_is_unpacked(settings: Settings) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("areas.shp", bytes(900_000))
    with pytest.raises(TooLarge, match="would unpack"):
        take(out.getvalue(), "areas.zip", "vector", settings)
    # a header that lies about the size: the claim of 10 bytes stands in the central directory
    liar = bytearray(out.getvalue())
    place = liar.rindex(b"PK\x01\x02")
    liar[place + 24 : place + 28] = (10).to_bytes(4, "little")
    with pytest.raises(LinkwaysError):
        take(bytes(liar), "areas.zip", "vector", settings)


def test_an_archive_of_several_shapefiles_is_refused(settings: Settings) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.shp", b"x")
        archive.writestr("b.shp", b"x")
    with pytest.raises(LinkwaysError, match="2 shapefiles"):
        take(out.getvalue(), "areas.zip", "vector", settings)


def test_a_server_path_is_read_only_inside_the_folders_that_are_open(tmp_path: Path, settings: Settings) -> None:
    inside = tmp_path / "open"
    inside.mkdir()
    (inside / "land.tif").write_bytes(raster_bytes(tmp_path))
    (tmp_path / "other.tif").write_bytes(raster_bytes(tmp_path))
    (inside / "link.tif").symlink_to(tmp_path / "other.tif")
    assert server_file("land.tif", "raster", settings) == inside / "land.tif"
    assert server_file(str(inside / "land.tif"), "raster", settings) == inside / "land.tif"
    for outside in ("../other.tif", str(tmp_path / "other.tif"), "link.tif", "/etc/passwd", ""):
        with pytest.raises(Forbidden):
            server_file(outside, "raster", settings)
    with pytest.raises(Forbidden, match="reads no files by path"):
        server_file("land.tif", "raster", Settings(tmp_path / "runs"))


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("raster", ".tif"), *(("vector", f".{e}") for e in ("geojson", "gpkg", "zip")), ("table", ".csv")],
)
@how(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_no_bytes_whatever_end_in_anything_but_a_sentence(
    kind: str, ending: str, content: bytes, settings: Settings
) -> None:
    """Random bytes behind the right beginning of each format: taken or refused, never an error of another kind."""
    begins = {".tif": b"II*\0", ".gpkg": b"SQLite format 3\0", ".zip": b"PK\x03\x04", ".parquet": b"PAR1"}
    told = "taken"
    try:
        take(begins.get(ending, b"") + content, f"x{ending}", kind, settings)
    except LinkwaysError as error:
        told = str(error)
    assert told
    assert "\n" not in told
    assert str(settings.runs) not in told
