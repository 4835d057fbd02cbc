"""Rows and features can be chosen by the values of a column; a wrong column or value is told with the nearest."""

import geopandas as gpd
import pytest
import shapely

from linkways import spatial
from linkways.studies import check_study, load_study
from tests.studies.small_study import go

STUDY = """
linkways: 1
title: Chosen rows
inputs:
  land: {{path: land.tif, licence: CC0-1.0}}
  values: {{path: values.csv{table}}}
  areas: {{path: areas.gpkg, licence: CC0-1.0{layer}}}
steps:
  - {{id: value, method: corridors.test_reclass, inputs: {{raster: land, table: values}}}}
report:
  maps: [{{title: Areas, layer: areas}}]
"""


@pytest.fixture
def areas(home):
    boxes = [shapely.box(4_000_000 + x, 2_999_600, 4_000_100 + x, 3_000_000) for x in (0, 200, 400)]
    frame = gpd.GeoDataFrame({"name": ["North", "South", "West"], "code": [1, 2, 3]}, geometry=boxes, crs=3035)
    spatial.write_vectors(frame, home / "areas.gpkg")


def study(write, table="", layer=""):
    return write(STUDY.format(table=table, layer=layer))


def test_only_the_chosen_features_are_read(write, calls, plain_report, areas):
    run = go(study(write, layer=", select: {name: [West, North]}"))
    shown = next(i for i in run.record["inputs"] if i["name"] == "areas")
    assert spatial.read_vectors(run.folder / shown["file"]).name.tolist() == ["North", "West"]


def test_a_single_value_needs_no_list_and_columns_are_combined(write, calls, plain_report, areas):
    run = go(study(write, layer=", select: {name: [West, North], code: 3}"))
    shown = next(i for i in run.record["inputs"] if i["name"] == "areas")
    assert spatial.read_vectors(run.folder / shown["file"]).name.tolist() == ["West"]


def test_another_choice_runs_the_steps_again_and_the_same_does_not(write, calls, plain_report, areas):
    everything = ", select: {class: [" + ", ".join(map(str, range(1, 21))) + "]}"
    go(study(write, table=everything))
    go(study(write, table=everything))
    assert calls["reclass"] == 1
    go(study(write))
    assert calls["reclass"] == 2


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"layer": ", select: {nam: West}"}, "no column 'nam' (did you mean 'name'?)"),
        ({"layer": ", select: [West]"}, "select must name columns and the values to keep"),
        ({"table": ", select: {clas: 1}"}, "no column 'clas' (did you mean 'class'?)"),
    ],
)
def test_a_wrong_choice_is_told_before_work_starts(write, calls, areas, choice, sentence):
    problems = check_study(load_study(study(write, **choice)))
    assert any(sentence in problem for problem in problems), problems


def test_a_value_that_no_feature_has_is_refused(write, calls, plain_report, areas):
    with pytest.raises(Exception, match=r"no row has name 'Wst' \(did you mean 'West'\?\)"):
        go(study(write, layer=", select: {name: Wst}"))


def test_a_published_figure_without_a_computed_one_says_why(write, calls):
    text = (
        STUDY.format(table="", layer="")
        .split("report:")[0]
        .replace("  areas: {path: areas.gpkg, licence: CC0-1.0}\n", "")
    )
    bare = text + "report:\n  comparisons: [{title: Animals, published: many, source: a book%s}]\n"
    assert check_study(load_study(write(bare % ", why: not estimated here"))) == []
    assert any("has nothing computed" in problem for problem in check_study(load_study(write(bare % ""))))
