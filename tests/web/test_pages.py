"""Pages and their JSON twins: what they show, and what they refuse."""

import dataclasses
import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from linkways.errors import LinkwaysError
from linkways.web.jobs import Job
from linkways.web.settings import Settings
from tests.web.conftest import BOX, begin

READ = {"accept": "text/html"}
PAGES = (
    "/",
    "/solutions/tiny-hills",
    "/methods",
    "/methods/corridors.cores",
    "/runs",
    "/compare",
    "/my",
    "/about",
    "/api",
)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_there_with_its_json_twin(reader: TestClient, path: str) -> None:
    page = reader.get(path, headers=READ)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.count("<h1") == 1
    assert '<main id="content"' in page.text
    twin = re.search(r'<link rel="alternate" type="application/json" href="([^"]+)"', page.text)
    assert twin is not None
    assert reader.get(twin[1]).headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", PAGES)
def test_no_page_holds_a_script_or_style_of_its_own(reader: TestClient, path: str) -> None:
    """What the Content Security Policy forbids would be lost in a browser; it must not be there."""
    answer = reader.get(path, headers=READ)
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", answer.text) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", answer.text) == []
    assert [url for url in re.findall(r'(?:src|href)="(https?://[^"]+)"', answer.text) if "static" in url] == []


def test_the_map_shows_all_places_however_many_a_search_gives_at_once(
    reader: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from linkways.web import places
    from linkways.web.routes import start

    store = reader.app.state.site.store  # type: ignore[attr-defined]
    records = [store.get(id) for id in store.ids(statuses=["published"])]
    placed = {one.id for one in records if one.place.bounds is not None or one.place.geometry is not None}
    whole = reader.get("/places.geojson").json()
    monkeypatch.setattr(start, "_AT_ONCE", 3)
    monkeypatch.setattr(places, "_AT_ONCE", 2)
    monkeypatch.setattr(start, "MOST_OUTLINES", 0)
    points = reader.get("/places.geojson").json()
    assert sorted(one["properties"]["id"] for one in points["features"]) == sorted(placed)
    assert {one["geometry"]["type"] for one in points["features"]} == {"Point"}
    assert [one for one in whole["features"] if one["properties"]["part"] == "point"] == points["features"]
    assert sum(one["properties"]["part"] == "outline" for one in whole["features"]) == len(placed)
    assert whole["numberMatched"] == len(records)


def test_search_finds_by_word_facet_and_box(reader: TestClient) -> None:
    found = reader.get("/index.json", params={"q": "core areas of some hills"}).json()
    assert found["hits"][0]["id"] == "tiny-hills"
    assert reader.get("/index.json", params={"q": "zzzz"}).json()["total"] == 0
    boxed = reader.get("/index.json", params={"bbox": "-87.5,13.5,-85.5,15.5"}).json()
    assert "tiny-hills" in [hit["id"] for hit in boxed["hits"]]
    away = reader.get("/index.json", params={"bbox": "100,10,110,20"}).json()
    assert "tiny-hills" not in [hit["id"] for hit in away["hits"]]
    ready = reader.get("/index.json", params={"facet.study": "runs"}).json()
    assert all(hit["runs"] for hit in ready["hits"])
    assert ready["total"] > 0


def test_what_a_record_says_is_shown_as_text_and_markdown_but_never_as_html(reader: TestClient) -> None:
    page = reader.get("/solutions/tiny-hills", headers=READ).text
    assert "<strong>land cover</strong>" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_solution_page_tells_blocks_study_and_how_to_cite(reader: TestClient) -> None:
    data = reader.get("/solutions/tiny-hills.json").json()
    assert [block["title"] for block in data["record"]["building_blocks"]] == ["Map the core areas"]
    assert data["study"]["steps"][0]["method"] == "corridors.resistance"
    assert "tiny-hills, revision 1" in data["cite"]
    assert data["labels"]["countries"] == ["Honduras"]


def test_the_record_comes_back_as_the_same_yaml(reader: TestClient, tmp_path: Path) -> None:
    from linkways.catalogue import read_record

    file = tmp_path / "solution.yaml"
    file.write_text(reader.get("/solutions/tiny-hills.yaml").text)
    assert read_record(file).title == "Core areas of some hills"


def test_a_simulated_solution_says_so_at_its_top(reader: TestClient) -> None:
    page = reader.get("/solutions/atlantic-forest", headers=READ).text
    assert page.index("Simulated data.") < page.index("The study")


def test_a_method_page_tells_bounds_units_and_who_uses_it(reader: TestClient) -> None:
    data = reader.get("/methods/corridors.cores.json").json()
    area = next(one for one in data["parameters"] if one["name"] == "min_area_km2")
    assert area["unit"] == "km2"
    assert area["bounds"] == ">= 0"
    assert "tiny-hills" in [one["id"] for one in data["used_by"]]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/solutions/no-such", 404), ("/methods/corridors.core", 404), ("/runs/nope", 404), ("/runs/..%2F..%2Fetc", 404),
     ("/index.json?bbox=1,2", 422), ("/index.json?order=up", 422), ("/index.json?page=0", 422), ("/nowhere", 404)],
)  # fmt: skip
def test_mistakes_are_problem_details_for_programs_and_a_sentence_for_people(
    reader: TestClient, path: str, status: int
) -> None:
    answer = reader.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["type"] == "about:blank"
    assert told["detail"]
    page = reader.get(path.replace("/index.json", "/"), headers=READ)
    assert page.status_code == status
    assert 'role="alert"' in page.text


def test_a_wrong_name_is_told_the_nearest_one(reader: TestClient) -> None:
    assert "did you mean 'corridors.cores'" in reader.get("/methods/corridors.core").json()["detail"]


def test_without_the_scripts_from_npm_pages_show_lists_and_ask_for_no_map(
    reader: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("linkways.web.pages.ASSETS", tmp_path)
    for path in ("/", "/solutions/tiny-hills"):
        page = reader.get(path, headers=READ)
        assert page.status_code == 200
        assert "maplibre" not in page.text
        assert "Core areas of some hills" in page.text
        assert "<script" not in page.text


# --- safety --------------------------------------------------------------------------


def test_a_page_of_another_site_can_change_nothing(client: TestClient) -> None:
    for foreign in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ):
        answer = client.post("/solutions/tiny-hills/replicate", headers=foreign)
        assert answer.status_code == 403, foreign
    assert client.get("/runs.json").json()["runs"] == []
    for own in ({"sec-fetch-site": "same-origin"}, {"origin": "http://testserver"}, {}):
        assert client.post("/solutions/tiny-hills/replicate", headers=own).status_code == 200


def test_the_server_answers_only_to_its_own_names(reader: TestClient) -> None:
    assert reader.get("/", headers={"host": "rebound.example"}).status_code == 400
    assert reader.get("/").status_code == 200


def test_every_answer_carries_the_security_headers(reader: TestClient) -> None:
    for path in ("/", "/nowhere", "/static/house.css", "/index.json"):
        headers = reader.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cross-origin-opener-policy"] == "same-origin"


def test_static_files_lie_in_their_folder_alone(reader: TestClient) -> None:
    for path in ("/static/../site.py", "/static/%2e%2e/site.py", "/static/..%2fsite.py", "/static//etc/passwd"):
        assert reader.get(path).status_code in (404, 405)


def test_a_body_beyond_the_limit_is_refused_by_its_header_and_by_its_size(tmp_path: Path) -> None:
    from linkways.web import create_app

    small = Settings(tmp_path / "runs", hosts=("testserver",), most_upload_mb=0.01)
    with TestClient(create_app(small, crew=False)) as client:
        answer = client.post("/runs/x/setup", content=b"x" * 50_000)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        # sent in pieces, without a length
        form = {"content-type": "application/x-www-form-urlencoded"}
        pieces = (b"a" * 1000 for _ in range(50))
        assert client.post("/runs/x/setup", content=pieces, headers=form).status_code in (404, 413)


def test_importing_linkways_brings_nothing_of_the_application_along() -> None:
    import subprocess
    import sys

    code = (
        "import sys, linkways, linkways.cli, linkways.web; "
        "print([m for m in ('fastapi', 'starlette', 'uvicorn', 'pydantic', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- replicating ---------------------------------------------------------------------


def test_a_replication_is_a_draft_with_the_verdict_of_the_checks(client: TestClient) -> None:
    id = begin(client)
    page = client.get(f"/runs/{id}", headers=READ).text
    assert "The checks found no mistakes." in page
    data = client.get(f"/runs/{id}.json").json()
    assert data["run"]["state"] == "draft"
    assert data["run"]["solution"] == "tiny-hills"
    assert data["setup"]["ready"]
    assert data["setup"]["inputs"][0]["shape"] == [20, 20]
    assert data["setup"]["box"] == BOX


def test_parameters_change_only_what_is_set_and_wrong_ones_are_told_beside_their_field(client: TestClient) -> None:
    id = begin(client)
    good = client.post(f"/runs/{id}/setup", data={"cores.min_area_km2": "50", "cores.threshold": "0.8"})
    assert good.status_code == 200
    study = client.app.state.site.shelf.study(id)  # type: ignore[attr-defined]
    assert study.step("cores").parameters == {"threshold": 0.8, "min_area_km2": 50.0}
    bad = client.post(f"/runs/{id}/setup", data={"cores.min_area_km2": "-3", "cores.min_width_km": "wide"})
    assert bad.status_code == 422
    mistakes = bad.json()["setup"]["mistakes"]
    assert set(mistakes) == {"cores.min_area_km2", "cores.min_width_km"}
    assert "must be >= 0" in mistakes["cores.min_area_km2"]
    page = client.post(f"/runs/{id}/setup", data={"cores.min_area_km2": "-3"}, headers=READ)
    assert page.status_code == 422
    assert "must be &gt;= 0" in page.text


def test_a_box_moves_the_built_in_layers_and_the_place_of_the_draft(client: TestClient) -> None:
    id = begin(client)
    answer = client.post(f"/runs/{id}/setup", data={"box": "-86, 13, -85, 14", "place": "Somewhere else"})
    assert answer.status_code == 200
    study = client.app.state.site.shelf.study(id)  # type: ignore[attr-defined]
    assert study.inputs["landcover"].bounds == (-86, 13, -85, 14)
    assert study.solution["place"] == {"name": "Somewhere else", "bounds": [-86, 13, -85, 14]}
    wrong = client.post(f"/runs/{id}/setup", data={"box": "-86, 13, -85"})
    assert "four numbers" in wrong.json()["setup"]["mistakes"]["box"]


def test_a_built_in_layer_takes_the_place_of_an_input_over_a_box_and_not_without_one(client: TestClient) -> None:
    id = str(client.post("/solutions/atlantic-forest/replicate").json()["run"])
    without = client.post(f"/runs/{id}/setup", data={"input.landcover": "builtin:modis-landcover-2019"})
    assert "give the box" in without.json()["setup"]["mistakes"]["input.landcover"]
    given = {"input.landcover": "builtin:modis-landcover-2019", "box": "-52.8,-22.6,-52.0,-22.2"}
    answer = client.post(f"/runs/{id}/setup", data=given)
    assert answer.status_code == 200
    shown = answer.json()["setup"]["inputs"][0]
    assert shown["shape"] == [8, 16]
    assert not shown["simulated"]


def test_an_uploaded_raster_takes_the_place_of_an_input_and_is_run(
    client: TestClient, work: Callable[[], Job | None], tmp_path: Path
) -> None:
    import numpy as np

    from linkways.spatial import new_raster, write_raster

    raster = new_raster(np.full((12, 9), 2.0), crs="EPSG:32616", cell_size=1000.0, attrs={"classes": True})
    file = write_raster(raster, tmp_path / "mine.tif")
    id = begin(client)
    files = {"file.landcover": ("../../x.tif", file.read_bytes(), "image/tiff")}
    answer = client.post(
        f"/runs/{id}/setup", data={"input.landcover": "upload", "source.landcover": "mine"}, files=files
    )
    assert answer.status_code == 200, answer.text
    shown = answer.json()["setup"]["inputs"][0]
    assert shown["shape"] == [12, 9]
    assert shown["source"] == "mine"
    study = client.app.state.site.shelf.study(id)  # type: ignore[attr-defined]
    assert study.inputs["landcover"].value == "inputs/landcover.tif"
    client.post(f"/runs/{id}/start")
    done = work()
    assert done is not None
    assert (done.state, done.sentence) == ("finished", "")
    # 12 by 9 cells of 1 km2, all habitat: one core of 108 km2
    cores = client.get(f"/ogc/collections/{id}:cores.cores/items").json()["features"]
    assert [round(one["properties"]["area_km2"]) for one in cores] == [108]
    assert study.inputs["landcover"].classes


def test_a_run_stands_even_when_its_draft_cannot_be_put_into_the_catalogue(
    client: TestClient, work: Callable[[], Job | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise LinkwaysError("the catalogue has no building block 'a/b'")

    monkeypatch.setattr("linkways.web.replication.after_run", refuse)
    id = begin(client)
    client.post(f"/runs/{id}/setup", data={"then": "run"})
    done = work()
    assert done is not None
    assert done.state == "finished"
    assert "no building block 'a/b'" in client.get(f"/runs/{id}/progress").json()["log"][-2]["text"]


def test_a_bad_upload_is_told_and_the_input_stays(client: TestClient) -> None:
    id = begin(client)
    files = {"file.landcover": ("x.tif", io.BytesIO(b"not a tiff"), "image/tiff")}
    answer = client.post(f"/runs/{id}/setup", data={"input.landcover": "upload"}, files=files)
    assert answer.status_code == 422
    assert "by its content" in answer.json()["setup"]["mistakes"]["input.landcover"]
    study = client.app.state.site.shelf.study(id)  # type: ignore[attr-defined]
    assert study.inputs["landcover"].origin == "builtin"


def test_nothing_starts_while_the_checks_find_mistakes(client: TestClient) -> None:
    id = begin(client)
    client.post(f"/runs/{id}/setup", data={"habitat.column": "no_such_column", "box": "0,0,0.01,0.01"})
    site: Any = client.app.state.site  # type: ignore[attr-defined]
    folder = site.settings.job_folder(id) / "solution.yaml"
    text = folder.read_text().replace("method: corridors.cores", "method: corridors.core")
    folder.write_text(text)
    answer = client.post(f"/runs/{id}/start")
    assert answer.status_code == 409
    assert "did you mean 'corridors.cores'" in answer.json()["detail"]
    assert client.get(f"/runs/{id}.json").json()["run"]["state"] == "draft"


def test_a_solution_whose_study_reads_an_address_or_a_path_is_not_run_here(client: TestClient) -> None:
    from linkways.catalogue import record_from
    from tests.web.conftest import tiny_record

    site: Any = client.app.state.site  # type: ignore[attr-defined]
    for origin in ({"url": "http://169.254.169.254/x.tif"}, {"path": "/etc/passwd"}):
        data = tiny_record() | {"id": f"reaching-{next(iter(origin))}"}
        data["study"]["inputs"]["landcover"] = {**origin, "classes": True}
        site.store.put(record_from(data), author="someone")
        answer = client.post(f"/solutions/{data['id']}/replicate")
        assert answer.status_code == 403
    assert client.get("/runs.json").json()["runs"] == []


def test_a_solution_without_a_study_is_found_as_such_and_cannot_be_replicated(client: TestClient) -> None:
    from linkways.catalogue import record_from
    from tests.web.conftest import tiny_record

    site: Any = client.app.state.site  # type: ignore[attr-defined]
    data = {key: value for key, value in tiny_record().items() if key not in ("study", "building_blocks", "reproduces")}
    waiting = {
        "id": "waiting-hills",
        "building_blocks": [],
        "waits_for": [{"method": "seas.drift", "purpose": "larvae"}],
    }
    site.store.put(record_from(data | waiting), author="someone")
    found = client.get("/index.json", params={"facet.study": "waits"}).json()
    assert [hit["id"] for hit in found["hits"]] == ["waiting-hills"]
    assert not found["hits"][0]["runs"]
    assert client.post("/solutions/waiting-hills/replicate").status_code == 409


# --- a finished run ------------------------------------------------------------------


def test_a_finished_replication_leads_to_a_draft_that_links_back(client: TestClient, finished: str) -> None:
    data = client.get(f"/runs/{finished}.json").json()
    draft = data["results"]["draft"]
    record = client.get(f"/solutions/{draft}.json").json()
    assert record["record"]["replicates"] == {"solution": "tiny-hills", "version": None, "run": finished}
    assert record["revision"]["status"] == "draft"
    assert [block["block"] for block in record["record"]["building_blocks"]] == ["tiny-hills/map-them"]
    assert draft in [one["id"] for one in client.get("/my.json").json()["drafts"]]
    assert draft not in client.get("/", params={"q": "core areas"}, headers=READ).text
    assert finished in client.get("/solutions/tiny-hills", headers=READ).text


def test_the_page_of_a_finished_run_has_numbers_files_report_and_provenance(client: TestClient, finished: str) -> None:
    page = client.get(f"/runs/{finished}", headers=READ)
    assert page.status_code == 200
    for word in ("Indicators", "How it was made", "Inputs, sources and licences", "MCD12C1"):
        assert word in page.text
    report = client.get(f"/runs/{finished}/report")
    assert report.status_code == 200
    assert "script-src" not in report.headers["content-security-policy"]
    assert "sandbox" in report.headers["content-security-policy"]
    files = client.get(f"/runs/{finished}.json").json()["results"]["files"]
    assert {"run.json", "study.yaml", "ro-crate-metadata.json"} <= {one["href"] for one in files}
    for one in files:
        answer = client.get(f"/runs/{finished}/files/{one['href']}")
        assert answer.status_code == 200
        assert len(answer.content) == one["bytes"]


@pytest.mark.parametrize(
    "name", ["../../.linkways/jobs.sqlite", "..%2f.linkways%2fjobs.sqlite", ".steps/lock", "/etc/passwd", "nope.tif"]
)
def test_only_files_that_the_record_names_are_given_out(client: TestClient, finished: str, name: str) -> None:
    assert client.get(f"/runs/{finished}/files/{name}").status_code == 404


def test_layers_tell_legend_and_bounds_and_values_are_those_of_the_file(client: TestClient, finished: str) -> None:
    """The value under the cursor equals what rasterio reads at the cell."""
    import rasterio

    told = client.get(f"/runs/{finished}/layers.json").json()
    layers = {one["name"]: one for one in told["layers"]}
    assert {"resistance.resistance", "habitat.reclassify", "cores.cores", "landcover"} <= set(layers)
    assert told["maps"][0]["layers"] == ["resistance.resistance", "cores.cores"]
    resistance = layers["resistance.resistance"]
    assert resistance["bounds"] == pytest.approx(BOX)
    assert resistance["legend"]["log"]
    assert {one["label"] for one in layers["landcover"]["legend"]["classes"]} >= {"evergreen broadleaf forest"}
    folder = client.app.state.site.shelf.folder(finished)  # type: ignore[attr-defined]
    with rasterio.open(folder / "layers" / "resistance.resistance.tif") as dataset:
        for lon, lat in ((-86.98, 14.98), (-86.51, 14.33), (-86.03, 14.01)):
            expected = next(dataset.sample([(lon, lat)]))[0]
            got = client.get(resistance["value"], params={"lon": lon, "lat": lat}).json()
            assert got["value"] == pytest.approx(float(expected))
    outside = client.get(resistance["value"], params={"lon": 0, "lat": 0}).json()
    assert outside == {"layer": "resistance.resistance", "lon": 0.0, "lat": 0.0, "value": None, "text": "outside"}


def test_features_are_geojson_in_degrees(client: TestClient, finished: str) -> None:
    layers = client.get(f"/runs/{finished}/layers.json").json()["layers"]
    cores = next(one for one in layers if one["name"] == "cores.cores")
    data = client.get(cores["features"]).json()
    assert data["type"] == "FeatureCollection"
    xs = [x for f in data["features"] for part in f["geometry"]["coordinates"] for x, *_ in _flat(part)]
    assert BOX[0] - 1e-6 <= min(xs)
    assert max(xs) <= BOX[2] + 1e-6


def _flat(part: Any) -> list[Any]:
    return [part] if isinstance(part[0], (int, float)) else [c for one in part for c in _flat(one)]


def test_a_finished_run_of_the_command_line_is_shown_but_not_changed(
    client: TestClient, finished: str, settings: Settings
) -> None:
    (settings.runs / finished).rename(settings.runs / "from-the-shell")
    client.app.state.site.jobs.remove(finished)  # type: ignore[attr-defined]
    runs = {one["id"]: one for one in client.get("/runs.json").json()["runs"]}
    assert runs["from-the-shell"]["kind"] == "study"
    assert client.get("/runs/from-the-shell", headers=READ).status_code == 200
    assert client.post("/runs/from-the-shell/remove").status_code == 403
    assert (settings.runs / "from-the-shell" / "run.json").is_file()


def test_a_study_run_on_the_command_line_stands_on_the_page_of_its_solution(
    client: TestClient, settings: Settings, tmp_path: Path
) -> None:
    from linkways.studies import load_study, run_study

    (tmp_path / "solution.yaml").write_text(client.get("/solutions/tiny-hills.yaml").text)
    run = run_study(load_study(tmp_path / "solution.yaml"), settings.runs / "by-hand", jobs=1)
    data = client.get("/solutions/tiny-hills.json").json()
    assert [one["id"] for one in data["runs"]] == ["by-hand"]
    shown = data["results"]["indicators"]
    assert [(one["id"], one["value"]) for one in shown] == [("change.total_percent", run.read("change.total_percent"))]
    assert len(data["results"]["maps"]) == 3


def test_a_broken_run_record_does_not_take_the_list_down(client: TestClient, finished: str, settings: Settings) -> None:
    (settings.runs / "spoilt").mkdir()
    (settings.runs / "spoilt" / "run.json").write_text("{")
    answer = client.get("/runs.json")
    assert [one["id"] for one in answer.json()["runs"]] == [finished]


def test_progress_tells_steps_and_the_log_after_a_number(client: TestClient, finished: str) -> None:
    told = client.get(f"/runs/{finished}/progress").json()
    assert told["state"] == "finished"
    assert [step["id"] for step in told["progress"]["steps"]] == ["resistance", "habitat", "cores", "change"]
    assert all(step["state"] == "finished" for step in told["progress"]["steps"])
    last = told["log"][-2]["number"]
    assert [one["kind"] for one in client.get(f"/runs/{finished}/progress?after={last}").json()["log"]] == ["finished"]


def test_a_failed_run_says_why_and_can_be_mended_and_run_again(
    client: TestClient, work: Callable[[], Job | None]
) -> None:
    id = begin(client)
    client.post(f"/runs/{id}/setup", data={"cores.min_area_km2": "999999", "then": "run"})
    failed = work()
    assert failed is not None
    assert failed.state == "failed"
    assert failed.sentence.startswith("step cores:")
    assert "no habitat block reaches 999999 km2" in client.get(f"/runs/{id}", headers=READ).text
    answer = client.post(f"/runs/{id}/setup", data={"cores.min_area_km2": "20", "then": "run"}, headers=READ)
    assert answer.status_code == 303
    mended = work()
    assert mended is not None
    assert mended.state == "finished"
    record = json.loads((client.app.state.site.shelf.folder(id) / "run.json").read_text())  # type: ignore[attr-defined]
    assert {step["id"]: step["reused"] for step in record["steps"]}["resistance"]


def test_a_run_is_removed_with_its_uploads(client: TestClient, finished: str, settings: Settings) -> None:
    assert client.post(f"/runs/{finished}/remove").status_code == 303
    assert not (settings.runs / finished).exists()
    assert not settings.job_folder(finished).exists()
    assert client.get(f"/runs/{finished}.json").status_code == 404


def test_more_unfinished_runs_than_allowed_are_refused_with_429(settings: Settings) -> None:
    from linkways.web import create_app

    few = dataclasses.replace(settings, most_waiting=1)
    with TestClient(create_app(few, crew=False)) as client:
        first, second = begin(client), begin(client)
        client.post(f"/runs/{first}/setup", data={"then": "run"})
        answer = client.post(f"/runs/{second}/setup", data={"then": "run"})
        assert answer.status_code == 429
        assert "1 unfinished runs, which is the most" in answer.json()["detail"]
        assert client.post(f"/runs/{first}/cancel").status_code == 200
        assert client.post(f"/runs/{second}/setup", data={"then": "run"}).status_code == 200


def test_uploads_of_one_user_together_have_a_limit(settings: Settings) -> None:
    from linkways.web import create_app

    few = dataclasses.replace(settings, most_user_mb=0.001)
    rows = "class,resistance,habitat\n" + "".join(f"{n},{n + 1},1\n" for n in range(200))
    with TestClient(create_app(few, crew=False)) as client:
        for expected in (200, 422):
            id = begin(client)
            files = {"file.classes": ("classes.csv", rows.encode(), "text/csv")}
            answer = client.post(f"/runs/{id}/setup", data={"input.classes": "upload"}, files=files)
            assert answer.status_code == expected
        assert "your uploads take" in answer.json()["setup"]["mistakes"]["input.classes"]


def test_a_run_of_someone_else_is_not_changed(tmp_path: Path) -> None:
    from linkways.web import User, create_app

    settings = Settings(tmp_path / "runs", hosts=("testserver",))
    app = create_app(settings, crew=False, user_of=lambda request: User(request.headers.get("x-user", "ada"), "A"))
    with TestClient(app) as client:
        id = client.post("/solutions/atlantic-forest/replicate").json()["run"]
        for what in ("start", "cancel", "remove", "setup"):
            assert client.post(f"/runs/{id}/{what}", headers={"x-user": "eve"}).status_code == 403


def test_an_infinite_indicator_says_so(client: TestClient, finished: str, settings: Settings, tmp_path: Path) -> None:
    """JSON holds no infinite numbers, so the run's record tells it in a word."""
    from linkways.studies.store import _write_value

    part = _write_value(tmp_path, "total_percent", "number", math.inf)
    assert (part.value, part.told) == (None, "infinite")
    file = settings.runs / finished / "run.json"
    record = json.loads(file.read_text())
    output = next(o for step in record["steps"] for o in step["outputs"] if o["name"] == "total_percent")
    output |= {"value": part.value, "told": part.told}
    file.write_text(json.dumps(record))
    page = client.get(f"/runs/{finished}", headers=READ).text
    assert re.search(r"change\.total_percent</code></td><td class=\"number\">infinite<", page)


def test_a_solution_whose_study_has_not_run_here_says_so(reader: TestClient) -> None:
    told = "has not been run on this server yet"
    assert told in reader.get("/solutions/tiny-hills", headers=READ).text


def test_even_the_page_of_an_error_of_ours_runs_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from linkways.web import create_app
    from linkways.web.routes import start

    def fail(name: str) -> Any:
        raise RuntimeError(name)

    monkeypatch.setattr(start, "simulated_inputs", fail)
    with TestClient(create_app(settings, crew=False), raise_server_exceptions=False) as client:
        answer = client.get("/about", headers=READ)
    assert answer.status_code == 500
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "RuntimeError" not in answer.text
