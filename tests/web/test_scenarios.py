"""Scenarios: what an edit does to a study, and a scenario run beside its baseline."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from linkways.errors import LinkwaysError
from linkways.studies import load_study
from linkways.studies.scenarios import apply_edits, edit_from, input_layer, possible_edits
from linkways.web.jobs import Job

READ = {"accept": "text/html"}
LINE = {"type": "LineString", "coordinates": [[-86.5, 14.05], [-86.5, 14.95]]}
FAR = {"type": "LineString", "coordinates": [[0, 95], [0, 99]]}
AREA = {"type": "Polygon", "coordinates": [[[-86.8, 14.2], [-86.2, 14.2], [-86.2, 14.8], [-86.8, 14.8], [-86.8, 14.2]]]}


def study(tmp_path: Path) -> Any:
    """A study of one raster of class 1 over the box, resistance 5."""
    from linkways.spatial import new_raster, write_raster

    land = new_raster(np.ones((20, 20)), crs="EPSG:4326", cell_size=0.05, origin=(-87.0, 15.0), attrs={"classes": True})
    write_raster(land, tmp_path / "land.tif")
    (tmp_path / "study.yaml").write_text(
        """
linkways: 1
title: A plain
inputs:
  land: {path: land.tif, classes: true}
  table: {rows: [{class: 1, resistance: 5, name: grass}, {class: 2, resistance: 1, name: forest}]}
steps:
  - {id: resistance, method: corridors.resistance, inputs: {landcover: land, table: table}}
  - {id: twice, method: corridors.difference, inputs: {before: resistance, after: resistance.resistance}}
"""
    )
    return load_study(tmp_path / "study.yaml")


def test_a_study_tells_what_can_be_changed_in_it(tmp_path: Path) -> None:
    found = {one["kind"]: one for one in possible_edits(study(tmp_path))}
    assert set(found) == {"road", "fence", "crossing", "restore"}
    assert found["road"]["inputs"] == ["resistance"]
    assert found["restore"]["classes"] == {"land": [{"value": 1, "label": "grass"}, {"value": 2, "label": "forest"}]}


def test_a_river_study_offers_its_barriers_for_removal() -> None:
    found = {one["kind"]: one["inputs"] for one in possible_edits(load_study("pacific-salmon"))}
    # six steps stand on the barriers of today, two on all there ever were
    assert found["remove"] == ["standing", "all_barriers"]
    assert "road" not in found


def test_restored_land_changes_exactly_the_cells_whose_centre_lies_inside(tmp_path: Path) -> None:
    """The polygon spans 12 by 12 cells of 0.05 degrees, edges on cell edges: 144 cells, counted by hand."""
    from linkways.spatial import read_raster

    made = study(tmp_path)
    edit = edit_from({"kind": "restore", "input": "land", "value": 2, "geometry": AREA}, made)
    data = apply_edits(made, [edit], tmp_path / "job")
    file = Path(data["inputs"]["land"]["path"])
    assert file == tmp_path / "job" / "inputs" / "land.tif"
    assert data["inputs"]["land"]["classes"]
    raster = read_raster(file)
    assert (raster.values == 2).sum() == 144
    assert (raster.values[4:16, 4:16] == 2).all()
    assert (read_raster(tmp_path / "land.tif").values == 1).all()


def test_a_road_is_a_step_of_the_recipe_that_everything_after_it_uses(tmp_path: Path) -> None:
    made = study(tmp_path)
    edits = [
        edit_from({"kind": "road", "geometry": LINE, "value": 100}, made),
        edit_from({"kind": "crossing", "geometry": LINE, "value": 2}, made),
    ]
    data = apply_edits(made, edits, tmp_path / "job")
    ids = [step["id"] for step in data["steps"]]
    assert ids == ["resistance", "scenario_barriers", "scenario_crossings", "twice"]
    by_id = {step["id"]: step for step in data["steps"]}
    assert by_id["scenario_barriers"]["inputs"]["layers"] == ["resistance"]
    assert by_id["scenario_crossings"]["inputs"]["layers"] == ["scenario_barriers"]
    assert by_id["twice"]["inputs"] == {"before": "scenario_crossings", "after": "scenario_crossings"}


def test_a_road_and_a_crossing_over_it_give_the_numbers_they_say(tmp_path: Path) -> None:
    """A road of 100 down column 10, a crossing of 2 on the cell in row 9: read off the result."""
    from linkways.plain_yaml import write_yaml
    from linkways.studies import run_study

    made = study(tmp_path)
    whole = {"type": "LineString", "coordinates": [[-86.475, 14.02], [-86.475, 14.98]]}
    short = {"type": "LineString", "coordinates": [[-86.48, 14.52], [-86.47, 14.53]]}
    edits = [
        edit_from({"kind": "road", "geometry": whole, "value": 100}, made),
        edit_from({"kind": "crossing", "geometry": short, "value": 2}, made),
    ]
    data = apply_edits(made, edits, tmp_path / "job")
    (tmp_path / "job" / "study.yaml").write_text(write_yaml(data))
    run = run_study(load_study(tmp_path / "job"), tmp_path / "out", jobs=1)
    values = run.read("scenario_crossings").values
    expected = np.full((20, 20), 5.0)
    expected[:, 10] = 100.0
    expected[9, 10] = 2.0
    np.testing.assert_array_equal(values, expected)


def test_a_removed_barrier_is_gone_and_only_it(tmp_path: Path) -> None:
    made = load_study("pacific-salmon")
    before = input_layer(made, "standing")
    edit = edit_from({"kind": "remove", "input": "standing", "rows": [2, 5]}, made)
    data = apply_edits(made, [edit], tmp_path / "job")
    import geopandas as gpd

    after = gpd.read_parquet(data["inputs"]["standing"]["path"])
    assert len(after) == len(before) - 2
    kept = before.drop(index=[2, 5]).geometry.to_wkt().tolist()
    assert after.geometry.to_wkt().tolist() == kept
    assert "select" not in data["inputs"]["standing"]
    assert data["inputs"]["standing"]["simulated"]


def test_a_new_protected_area_joins_the_layer_in_its_own_crs(tmp_path: Path) -> None:
    made = load_study("y2y")
    before = input_layer(made, "protected")
    area = {"type": "Polygon", "coordinates": [[[-115, 50], [-114, 50], [-114, 51], [-115, 51], [-115, 50]]]}
    data = apply_edits(made, [edit_from({"kind": "protect", "input": "protected", "geometry": area}, made)], tmp_path)
    import geopandas as gpd

    after = gpd.read_parquet(data["inputs"]["protected"]["path"])
    assert len(after) == len(before) + 1
    assert after.crs == before.crs
    assert after.to_crs("EPSG:4326").geometry.iloc[-1].bounds == pytest.approx((-115, 50, -114, 51), abs=1e-6)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        ({"kind": "volcano"}, "no kind of change"),
        ({"kind": "road", "geometry": AREA, "value": 5}, "draw a line"),
        ({"kind": "road", "geometry": LINE, "value": -1}, "a number above 0"),
        ({"kind": "road", "geometry": LINE, "value": "nan"}, "a number above 0"),
        ({"kind": "road", "geometry": FAR, "value": 5}, "the world"),
        ({"kind": "road", "geometry": {"type": "LineString"}, "value": 5}, "draw a line"),
        ({"kind": "restore", "geometry": AREA, "value": 2, "input": "sky"}, "can change land"),
        ({"kind": "remove", "rows": [1]}, "has nothing that a change of the kind remove"),
        ("road", "must say its kind"),
    ],
)
def test_an_edit_that_cannot_be_is_told_in_a_sentence(tmp_path: Path, edit: Any, sentence: str) -> None:
    with pytest.raises(LinkwaysError, match=sentence):
        edit_from(edit, study(tmp_path))


def test_land_restored_outside_the_map_is_refused(tmp_path: Path) -> None:
    made = study(tmp_path)
    away = {"type": "Polygon", "coordinates": [[[10, 10], [11, 10], [11, 11], [10, 10]]]}
    edit = edit_from({"kind": "restore", "value": 2, "geometry": away}, made)
    with pytest.raises(LinkwaysError, match="outside the input land"):
        apply_edits(made, [edit], tmp_path / "job")


def test_a_scenario_runs_beside_its_baseline_and_is_compared_with_it(
    client: TestClient, finished: str, work: Callable[[], Job | None]
) -> None:
    """A road of 777 across the box: sums before and after are read from the files by rasterio."""
    import rasterio

    page = client.get(f"/runs/{finished}/what-if", headers=READ)
    assert page.status_code == 200
    assert "A road" in page.text
    edits = [{"kind": "road", "input": "resistance", "value": 777, "geometry": LINE}]
    answer = client.post(f"/runs/{finished}/what-if", data={"edits": json.dumps(edits), "title": "With a road"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["problems"] == []
    done = work()
    assert done is not None
    assert (done.state, done.sentence) == ("finished", "")
    assert done.baseline == finished
    shelf: Any = client.app.state.site.shelf  # type: ignore[attr-defined]
    reused = {step["id"]: step["reused"] for step in shelf.record(done.id)["steps"]}
    assert reused == {"resistance": True, "scenario_barriers": False, "habitat": True, "cores": True, "change": False}

    data = client.get("/compare.json", params={"before": finished, "after": done.id}).json()
    rows = {one["name"]: one for one in data["found"]["layers"]}
    assert rows["habitat.reclassify"]["same"]
    changed = rows["change.change"]
    assert changed["subtractable"]
    with rasterio.open(shelf.folder(finished) / "layers/change.change.tif") as one:
        before = one.read(1)
        place = one.index(-86.49, 14.5)
    with rasterio.open(shelf.folder(done.id) / "layers/change.change.tif") as one:
        after = one.read(1)
    expected = 100 * float((after - before).sum()) / abs(float(before.sum()))
    assert changed["summary"]["total_percent"] == pytest.approx(expected)
    told = client.get(changed["value"], params={"lon": -86.49, "lat": 14.5}).json()
    assert told["change"] == pytest.approx(float(after[place] - before[place]))
    indicators = {one["id"]: one for one in data["found"]["indicators"]}
    total = indicators["change.total_percent"]
    assert total["change"] == pytest.approx(total["after"] - total["before"])
    assert total["change"] > 0
    assert "scenario_barriers" in [one["name"] for one in data["found"]["parameters"]]
    assert client.get("/compare", params={"before": finished, "after": done.id}, headers=READ).status_code == 200


def test_a_scenario_can_be_written_instead_of_drawn(client: TestClient, finished: str) -> None:
    given = {"kind": "fence", "input": "resistance", "coordinates": "-86.5 14.1; -86.5 14.9"}
    answer = client.post(f"/runs/{finished}/what-if", data=given, headers=READ)
    assert answer.status_code == 303
    id = answer.headers["location"].rsplit("/", 1)[1]
    study = client.app.state.site.shelf.study(id)  # type: ignore[attr-defined]
    assert study.step("scenario_barriers").parameters == {"overlay_rule": "max"}


def test_a_scenario_with_a_mistake_leaves_nothing_behind(client: TestClient, finished: str) -> None:
    for given in ({"edits": "not json"}, {"edits": '[{"kind": "road"}]'}, {"edits": "{}"}, {}):
        assert client.post(f"/runs/{finished}/what-if", data=given).status_code in (409, 422)
    assert len(client.get("/runs.json").json()["runs"]) == 1
