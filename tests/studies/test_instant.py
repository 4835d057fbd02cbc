"""A scenario told at once gives the very numbers of the scenario run in full."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from linkways.errors import LinkwaysError
from linkways.method import methods
from linkways.spatial import new_raster, write_raster
from linkways.studies import load_study, run_study
from linkways.studies.instant import answer_at_once
from linkways.studies.scenarios import apply_edits, edit_from

AREA = {"type": "Polygon", "coordinates": [[[-86.6, 14.4], [-86.4, 14.4], [-86.4, 14.8], [-86.6, 14.8], [-86.6, 14.4]]]}
ROAD = {"type": "LineString", "coordinates": [[-86.55, 14.0], [-86.55, 15.0]]}
STUDY = """
linkways: 1
title: Two woods
inputs:
  land: {path: land.tif, classes: true}
  table: {rows: [{class: 1, resistance: 5, habitat: 0, name: grass}, {class: 2, resistance: 1, habitat: 1, name: wood}]}
steps:
  - {id: resistance, method: corridors.resistance, inputs: {landcover: land, table: table}}
  - {id: habitat, method: corridors.reclassify, inputs: {landcover: land, table: table}, parameters: {column: habitat}}
  - {id: cores, method: corridors.cores, inputs: {habitat: habitat}, parameters: {threshold: 0.5, min_area_km2: 100}}
  - {id: corridors, method: corridors.least_cost, inputs: {cores: cores.cores, resistance: resistance}}
  - {id: change, method: corridors.difference, inputs: {before: resistance, after: habitat}}
"""


@pytest.fixture(scope="module")
def woods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("woods")
    values = np.ones((20, 20))
    values[4:14, :5] = values[4:14, 15:] = 2
    land = new_raster(values, crs="EPSG:4326", cell_size=0.05, origin=(-87.0, 15.0), attrs={"classes": True})
    write_raster(land, folder / "land.tif")
    (folder / "study.yaml").write_text(STUDY)
    run_study(load_study(folder / "study.yaml"), folder / "run")
    return folder


def in_full(folder: Path, study: Any, edits: list[Any], out: Path) -> Any:
    from linkways.plain_yaml import write_yaml

    out.mkdir()
    (out / "study.yaml").write_text(write_yaml(apply_edits(study, edits, out)))
    return run_study(load_study(out / "study.yaml"), out / "run")


@pytest.mark.parametrize(
    ("change", "computed"),
    [
        ({"kind": "restore", "geometry": AREA, "value": 2}, ["resistance", "habitat", "cores", "corridors", "change"]),
        ({"kind": "road", "geometry": ROAD, "value": 500}, ["scenario_barriers", "corridors", "change"]),
    ],
)
def test_the_numbers_are_those_of_the_scenario_run_in_full(woods: Path, tmp_path: Path, change, computed) -> None:
    from linkways.studies import read_run

    study = load_study(woods / "study.yaml")
    edits = [edit_from(change, study)]
    answer = answer_at_once(read_run(woods / "run"), study, edits)
    full = in_full(woods, study, edits, tmp_path / "full")
    assert sorted(answer.computed) == sorted(computed)
    assert answer.left_out == ()
    assert len(answer.indicators) >= 3
    for one in answer.indicators:
        assert one.after == pytest.approx(full.output(one.id)["value"], rel=1e-12), one.id
        assert one.before == read_run(woods / "run").output(one.id)["value"]
    assert any(one.before != one.after for one in answer.indicators)


def test_nothing_is_written(woods: Path) -> None:
    from linkways.studies import read_run

    study = load_study(woods / "study.yaml")
    before = sorted(str(file) for file in woods.rglob("*"))
    answer_at_once(read_run(woods / "run"), study, [edit_from({"kind": "road", "geometry": ROAD, "value": 9}, study)])
    assert sorted(str(file) for file in woods.rglob("*")) == before


def test_what_takes_too_long_is_named_with_all_that_stands_on_it(woods: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from linkways.method import progress
    from linkways.studies import read_run

    function = methods()["corridors.least_cost"].function

    def slow(**given: Any) -> Any:
        time.sleep(0.3)
        progress(0.5)
        return function(**given)

    monkeypatch.setattr(methods()["corridors.least_cost"].__class__, "__setattr__", object.__setattr__)
    monkeypatch.setattr(methods()["corridors.least_cost"], "function", slow)
    study = load_study(woods / "study.yaml")
    edit = edit_from({"kind": "road", "geometry": ROAD, "value": 500}, study)
    answer_at_once(read_run(woods / "run"), study, [edit])
    answer = answer_at_once(read_run(woods / "run"), study, [edit], within_s=0.25)
    assert "corridors" in answer.left_out
    assert all(not one.id.startswith("corridors.") for one in answer.indicators)


def test_a_change_outside_the_data_is_refused(woods: Path) -> None:
    from linkways.studies import read_run

    study = load_study(woods / "study.yaml")
    away = shapely.affinity.translate(shapely.geometry.shape(AREA), 50, 0)
    edit = edit_from({"kind": "restore", "geometry": shapely.geometry.mapping(away), "value": 2}, study)
    with pytest.raises(LinkwaysError, match="lies outside the input land"):
        answer_at_once(read_run(woods / "run"), study, [edit])
