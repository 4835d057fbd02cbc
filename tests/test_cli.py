"""The command line: what comes out, and one sentence with exit code 2 for every mistake, with nothing written."""

import json
import stat
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pytest
import shapely

from linkways.cli import main
from linkways.spatial import new_raster, read_raster, read_table, read_vectors, write_raster, write_vectors


@pytest.fixture
def place(tmp_path):
    """A folder with a resistance raster and two cores."""
    resistance = new_raster(np.ones((20, 30)), crs="EPSG:3035", cell_size=100, origin=(4_000_000, 3_000_000))
    write_raster(resistance, tmp_path / "resistance.tif")
    boxes = [shapely.box(4_000_000 + x, 2_999_000, 4_000_200 + x, 2_999_200) for x in (0, 2800)]
    write_vectors(gpd.GeoDataFrame({"core": [1, 2]}, geometry=boxes, crs=3035), tmp_path / "cores.gpkg")
    return tmp_path


def linkways(*arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def refused(*arguments, capsys, out=None):
    code, stdout, err = linkways(*arguments, capsys=capsys)
    assert code == 2
    assert stdout == ""
    assert err.startswith("Error: ")
    assert "Traceback" not in err
    if out is not None:
        assert not out.exists()
    return err


def test_a_method_runs_from_files_to_files(place, capsys):
    out = place / "out"
    code, stdout, _ = linkways(
        "corridors", "least-cost", "--resistance", place / "resistance.tif", "--cores", place / "cores.gpkg",
        "--cutoff-percent", "5", "--out", out, capsys=capsys,
    )  # fmt: skip
    assert code == 0
    assert "corridors between core areas: 1" in stdout
    assert read_raster(out / "least_cost.mosaic.tif").shape == (20, 30)
    links = read_vectors(out / "least_cost.links.parquet")
    assert links.cost[0] == pytest.approx(2700)
    indicators = json.loads((out / "least_cost.indicators.json").read_text())
    assert indicators["links_count"]["value"] == 1
    assert indicators["corridor_area_km2"]["unit"] == "km2"


def test_underscores_serve_as_well_as_hyphens_and_features_may_be_geopackage(place, capsys):
    out = place / "out"
    code, _, _ = linkways(
        "corridors", "link_network", "--resistance", place / "resistance.tif", "--cores", place / "cores.gpkg",
        "--out", out, "--gpkg", capsys=capsys,
    )  # fmt: skip
    assert code == 0
    assert (out / "link_network.links.gpkg").is_file()


def test_several_inputs_and_a_table_come_out_as_declared(place, capsys):
    write_raster(read_raster(place / "resistance.tif") * 3, place / "more.tif")
    code, _, _ = linkways(
        "corridors", "resistance", "--layers", place / "resistance.tif", "--layers", place / "more.tif",
        "--combine", "sum", "--out", place / "r", capsys=capsys,
    )  # fmt: skip
    assert code == 0
    assert (read_raster(place / "r/resistance.resistance.tif") == 4).all()
    regions = gpd.GeoDataFrame({"name": ["A"]}, geometry=[shapely.box(4e6, 2.9e6, 4.1e6, 3e6)], crs=3035)
    write_vectors(regions, place / "regions.parquet")
    code, _, _ = linkways(
        "corridors", "area-by-region", "--mosaic", place / "more.tif", "--regions", place / "regions.parquet",
        "--out", place / "s", capsys=capsys,
    )  # fmt: skip
    assert code == 0
    assert read_table(place / "s/area_by_region.shares.csv").corridor_km2.tolist() == pytest.approx([6.0])


def test_a_crs_can_be_given_for_a_file_that_has_none(place, capsys):
    raster = new_raster(np.ones((5, 5)), crs="EPSG:3035", cell_size=10)
    path = place / "bare.asc"
    path.write_text(
        "ncols 5\nnrows 5\nxllcorner 0\nyllcorner -50\ncellsize 10\nNODATA_value -9999\n" + ("1 1 1 1 1\n" * 5)
    )
    points = gpd.GeoDataFrame(geometry=[shapely.Point(5, -5)], crs=3035)
    write_vectors(points, place / "point.geojson")
    ask = [
        "corridors",
        "cost-distance",
        "--resistance",
        path,
        "--sources",
        place / "point.geojson",
        "--out",
        place / "o",
    ]
    assert "no coordinate reference system" in refused(*ask, capsys=capsys, out=place / "o")
    code, _, _ = linkways(*ask, "--crs", "resistance=EPSG:3035", capsys=capsys)
    assert code == 0
    assert read_raster(place / "o/cost_distance.cost.tif").shape == raster.shape


def test_help_is_made_from_the_declaration(capsys):
    code, out, _ = linkways("corridors", "least-cost", "--help", capsys=capsys)
    assert code == 0
    for words in ("--cutoff-percent", "cost-metres", "NLC_ab(x)", "McRae BH, Kavanagh DM (2011)", "--neighbours 4|8"):
        assert words in out
    assert ">>>" not in out


def test_methods_are_listed_with_their_sentence_and_as_json(capsys):
    code, out, _ = linkways("methods", capsys=capsys)
    assert code == 0
    assert "corridors.least_cost " in out
    code, out, _ = linkways("methods", "--json", capsys=capsys)
    assert {"corridors.cores", "corridors.resistance"} <= {m["id"] for m in json.loads(out)}
    code, out, _ = linkways("methods", "corridors.cores", capsys=capsys)
    assert "min_area_km2 : a number, km2, >= 0" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["corridor"], "no command 'corridor' (did you mean 'corridors'?)"),
        (["corridors", "leest-cost"], "no method 'leest-cost' (did you mean 'least-cost'?)"),
        (["methods", "corridors.core"], "no method 'corridors.core' (did you mean 'corridors.cores'?)"),
        (["study", "run", "jaguar-corridors", "--out", "x"], "jaguar-corridor"),
        (["study", "run", "jaguar-corridor", "--out", "x", "--set", "cores"], "--set cores must read NAME=VALUE"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(arguments, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(*arguments, capsys=capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--resistance", "resistence.tif"], "resistance.tif"),
        (["--resistance", "broken.tif"], "broken.tif"),
        (["--cores", "no.gpkg"], "no.gpkg"),
        (["--cutoff-percent", "-3"], "cutoff_percent is -3 percent but must be > 0 percent"),
        (["--neighbours", "6"], "neighbours is '6' but must be one of 4, 8"),
        (["--rule", "alocation"], "(did you mean 'allocation'?)"),
        (["--crs", "resistance"], "--crs resistance must read INPUT=VALUE"),
        (["--crs", "resistence=EPSG:4326"], "no input 'resistence' (did you mean 'resistance'?)"),
    ],
)
def test_bad_input_of_a_method_is_one_sentence_and_nothing_is_written(place, change, sentence, capsys, monkeypatch):
    monkeypatch.chdir(place)
    (place / "broken.tif").write_bytes(b"not a raster")
    good = {"--resistance": "resistance.tif", "--cores": "cores.gpkg", "--out": "out"}
    good.update({change[0]: change[1]})
    arguments = [part for pair in good.items() for part in pair]
    before = sorted(place.iterdir())
    assert sentence in refused("corridors", "least-cost", *arguments, capsys=capsys, out=place / "out")
    assert sorted(place.iterdir()) == before


def test_resistance_that_is_not_positive_is_refused_with_count_and_first_cell(place, capsys):
    raster = read_raster(place / "resistance.tif")
    raster[3, 4] = 0
    write_raster(raster, place / "zero.tif")
    err = refused(
        "corridors", "least-cost", "--resistance", place / "zero.tif", "--cores", place / "cores.gpkg", "--out",
        place / "out", capsys=capsys, out=place / "out",
    )  # fmt: skip
    assert "resistance has 1 cells that are zero, negative or infinite, first at row 3 column 4" in err


def test_an_output_folder_that_cannot_be_written_is_refused_before_work(place, capsys, monkeypatch):
    import os

    locked = place / "locked"
    locked.mkdir()
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    # root may write everywhere, so the answer of the system is given here
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(locked))
    err = refused(
        "corridors", "least-cost", "--resistance", place / "resistance.tif", "--cores", place / "cores.gpkg", "--out",
        locked / "out", capsys=capsys,
    )  # fmt: skip
    assert "cannot be written" in err


def test_a_full_disk_leaves_nothing_half_written(place, capsys, monkeypatch):
    import errno

    from linkways import spatial

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spatial, "write_vectors", full)
    arguments = (
        "corridors", "least-cost", "--resistance", place / "resistance.tif", "--cores", place / "cores.gpkg", "--out",
        place / "out",
    )  # fmt: skip
    before = sorted(place.iterdir())
    err = refused(*arguments, capsys=capsys, out=place / "out")
    assert "disk" in err
    assert sorted(place.iterdir()) == before


def test_the_installed_command_answers_quickly_and_without_a_traceback(tmp_path):
    command = [sys.executable, "-c", "from linkways.cli import main; main()", "study", "check", "nothing.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_missing_required_options_are_told(capsys):
    code, _, err = linkways("corridors", "least-cost", "--out", "x", capsys=capsys)
    assert code == 2
    assert "--resistance" in err


def test_a_stack_of_maps_becomes_a_file_for_each_and_parts_not_asked_for_are_left_out(place, capsys):
    ask = ["corridors", "current", "--resistance", place / "resistance.tif", "--focal-nodes", place / "cores.gpkg"]
    code, _, _ = linkways(*ask, "--out", place / "plain", capsys=capsys)
    assert code == 0
    assert not list((place / "plain").glob("current.case_currents*"))
    code, _, _ = linkways(*ask, "--case-maps", "true", "--out", place / "maps", capsys=capsys)
    assert code == 0
    assert len(list((place / "maps").glob("current.case_currents.*.tif"))) == 1


@pytest.fixture
def walled(place):
    """The same place with a wall of nodata, cores on both sides of it, and one on the wall."""
    raster = read_raster(place / "resistance.tif")
    raster[:, 15] = np.nan
    write_raster(raster, place / "walled.tif")
    boxes = [shapely.box(4_000_000 + x, 2_999_000, 4_000_100 + x, 2_999_100) for x in (0, 600, 1500, 2800)]
    cores = gpd.GeoDataFrame({"core": [1, 2, 3, 4]}, geometry=boxes, crs=3035)
    for name, chosen in {"single": [0], "on_wall": [0, 1, 2], "apart": [0, 1, 3]}.items():
        write_vectors(cores.iloc[chosen], place / f"{name}.gpkg")
    return place


@pytest.mark.parametrize(
    ("cores", "sentence"),
    [
        ("single", "cores holds a single core area"),
        ("on_wall", "cores 3 lie entirely on nodata"),
        ("apart", "cores 4 cannot reach the others"),
    ],
)
def test_cores_that_cannot_serve_are_named_and_nothing_is_written(walled, cores, sentence, capsys):
    err = refused(
        "corridors", "least-cost", "--resistance", walled / "walled.tif", "--cores", walled / f"{cores}.gpkg", "--out",
        walled / "out", capsys=capsys, out=walled / "out",
    )  # fmt: skip
    assert sentence in err


def test_an_unknown_class_and_rasters_that_do_not_overlap_are_refused(place, capsys):
    (place / "table.csv").write_text("class,resistance\n2,5\n")
    ask = ["corridors", "resistance", "--out", place / "out"]
    land = ["--landcover", place / "resistance.tif", "--table", place / "table.csv"]
    assert "lacks class 1 (600 cells)" in refused(*ask, *land, capsys=capsys, out=place / "out")
    far = new_raster(np.ones((20, 30)), crs="EPSG:3035", cell_size=100, origin=(5_000_000, 3_000_000))
    write_raster(far, place / "far.tif")
    layers = ["--layers", place / "resistance.tif", "--layers", place / "far.tif"]
    assert "lie on different grids" in refused(*ask, *layers, capsys=capsys, out=place / "out")


def test_a_study_with_a_circle_of_steps_is_refused(place, capsys):
    (place / "study.yaml").write_text(
        "linkways: 1\ntitle: A circle\ninputs:\n  r: {path: resistance.tif, licence: CC0-1.0}\nsteps:\n"
        "  - {id: one, method: corridors.resistance, inputs: {layers: [two]}}\n"
        "  - {id: two, method: corridors.resistance, inputs: {layers: [one]}}\n"
    )
    err = refused("study", "run", place / "study.yaml", "--out", place / "out", capsys=capsys, out=place / "out")
    assert "one" in err
    assert "two" in err


def test_a_camera_trap_package_becomes_tables_with_its_checks(shared, tmp_path, capsys):
    package, out = shared / "data" / "populations" / "camtrapdp_example", tmp_path / "tables"
    linkways("populations", "camtrapdp", package, "--out", out, capsys=capsys)
    written = {file.name for file in out.iterdir()}
    assert {"import_camtrapdp.deployments.csv", "import_camtrapdp.checks.csv"} <= written
