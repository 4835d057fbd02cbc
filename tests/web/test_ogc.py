"""OGC API and STAC: what the standards ask for, checked against them and not against our own words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from starlette.testclient import TestClient

from linkways.web.jobs import Job
from tests.web.conftest import BOX

POINT = {"type": "Point", "coordinates": [-86.5, 14.5]}
POINTS = {
    "type": "FeatureCollection",
    "features": [{"type": "Feature", "properties": {"resistance": 50}, "geometry": POINT}],
}


def test_every_link_of_the_landing_page_answers(reader: TestClient) -> None:
    landing = reader.get("/ogc").json()
    relations = {link["rel"] for link in landing["links"]}
    assert {"self", "service-desc", "conformance", "data"} <= relations
    for link in landing["links"]:
        assert reader.get(link["href"].replace("http://testserver", "")).status_code == 200


def test_it_declares_the_conformance_classes_of_core(reader: TestClient) -> None:
    classes = reader.get("/ogc/conformance").json()["conformsTo"]
    assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in classes
    assert "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core" in classes


def test_solutions_are_features_with_paging_and_a_box(reader: TestClient) -> None:
    first = reader.get("/ogc/collections/solutions/items", params={"limit": 3}).json()
    assert (first["numberReturned"], len(first["features"])) == (3, 3)
    following = next(link["href"] for link in first["links"] if link["rel"] == "next")
    second = reader.get(following.replace("http://testserver", "")).json()
    assert not {f["id"] for f in first["features"]} & {f["id"] for f in second["features"]}
    boxed = reader.get("/ogc/collections/solutions/items", params={"bbox": ",".join(map(str, BOX))}).json()
    assert "tiny-hills" in {f["id"] for f in boxed["features"]}
    assert "great-barrier-reef" not in {f["id"] for f in boxed["features"]}
    one = reader.get("/ogc/collections/solutions/items/tiny-hills").json()
    assert one["geometry"]["type"] == "Polygon"
    assert reader.get("/ogc/collections/solutions/items/none").status_code == 404


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"datetime": "2020-01-01T00:00:00Z"}, 200),
        ({"datetime": "2020-01-01/.."}, 200),
        ({"datetime": "yesterday"}, 400),
        ({"limit": 0}, 400),
        ({"bbox": "1,2,3"}, 400),
        ({"colour": "green"}, 400),
    ],
)
def test_parameters_are_taken_as_features_core_has_it(reader: TestClient, asked: dict[str, Any], status: int) -> None:
    """OGC 17-069r4: /req/core/query-param-unknown, query-param-invalid and time-collection-response."""
    assert reader.get("/ogc/collections/solutions/items", params=asked).status_code == status


def test_the_description_is_of_the_kind_that_its_link_says(reader: TestClient) -> None:
    link = next(one for one in reader.get("/ogc").json()["links"] if one["rel"] == "service-desc")
    version = link["type"].partition("version=")[2]
    assert reader.get("/openapi.json").json()["openapi"].startswith(version)


def test_every_method_is_a_process_with_valid_schemas(reader: TestClient) -> None:
    from linkways.method import methods

    listed = reader.get("/ogc/processes").json()["processes"]
    assert {one["id"] for one in listed} == set(methods())
    for one in listed:
        told = reader.get(f"/ogc/processes/{one['id']}").json()
        for part in (*told["inputs"].values(), *told["outputs"].values()):
            jsonschema.Draft202012Validator.check_schema(part["schema"])
        assert told["jobControlOptions"] == ["async-execute", "dismiss"]


def test_a_process_runs_as_a_job_and_its_results_are_linked(client: TestClient, work: Callable[[], Job | None]) -> None:
    rows = [{"class": n, "resistance": 1 + n} for n in range(17)]
    land = {"builtin": "modis-landcover-2019", "bbox": BOX}
    inputs = {"landcover": land, "table": rows, "overlays": [POINTS], "overlay_rule": "replace"}
    answer = client.post("/ogc/processes/corridors.resistance/execution", json={"inputs": inputs})
    assert answer.status_code == 201, answer.text
    status = answer.json()
    assert (status["status"], status["type"]) == ("accepted", "process")
    assert answer.headers["location"].endswith(f"/ogc/jobs/{status['jobID']}")
    done = work()
    assert done is not None
    told = client.get(f"/ogc/jobs/{status['jobID']}").json()
    assert (told["status"], told["progress"], done.sentence) == ("successful", 100, "")
    results = client.get(f"/ogc/jobs/{status['jobID']}/results").json()
    href = results["resistance"]["href"].replace("http://testserver", "")
    content = client.get(href).content
    import rasterio

    with rasterio.MemoryFile(content) as memory, memory.open() as dataset:
        values = dataset.read(1)
        assert values[dataset.index(-86.5, 14.5)] == 50
        assert np.isin(values, [*range(1, 18), 50]).all()
    # the result of one process is the input of the next, by name and without any address
    again = {"before": {"run": status["jobID"], "layer": "process.resistance"}}
    again["after"] = again["before"]
    second = client.post("/ogc/processes/corridors.difference/execution", json={"inputs": again})
    assert second.status_code == 201
    assert work() is not None
    results = client.get(f"/ogc/jobs/{second.json()['jobID']}/results").json()
    assert results["total_percent"]["value"] == 0.0


@pytest.mark.parametrize(
    ("inputs", "status", "sentence"),
    [
        ({"landcover": {"href": "http://169.254.169.254/latest"}}, 403, "never fetches"),
        ({"nothing": 1}, 400, "has no input 'nothing'"),
        ({"c": -1}, 400, "must be > 0"),
        ({"landcover": 5}, 400, "must be a raster"),
        ({"landcover": {"builtin": "no-such", "bbox": BOX}}, 400, "there is no built-in input"),
        ({"landcover": {"run": "../..", "layer": "x"}}, 404, "there is no run"),
        ([], 400, "must be an object"),
    ],
)
def test_what_a_process_cannot_take_is_told_and_leaves_no_job(
    client: TestClient, inputs: Any, status: int, sentence: str
) -> None:
    answer = client.post("/ogc/processes/corridors.resistance/execution", json={"inputs": inputs})
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]
    assert client.get("/ogc/jobs").json()["jobs"] == []


def test_a_waiting_job_is_dismissed(client: TestClient) -> None:
    land = {"builtin": "modis-landcover-2019", "bbox": BOX}
    rows = [{"class": n, "resistance": 1 + n} for n in range(17)]
    inputs = {"landcover": land, "table": rows}
    id = client.post("/ogc/processes/corridors.resistance/execution", json={"inputs": inputs}).json()["jobID"]
    assert client.delete(f"/ogc/jobs/{id}").json()["status"] == "dismissed"
    assert client.get(f"/ogc/jobs/{id}/results").status_code == 409


def test_layers_of_a_run_are_collections(client: TestClient, finished: str) -> None:
    ids = {one["id"] for one in client.get("/ogc/collections").json()["collections"]}
    assert f"{finished}:cores.cores" in ids
    assert f"{finished}:resistance.resistance" not in ids
    told = client.get(f"/ogc/collections/{finished}:cores.cores").json()
    box = told["extent"]["spatial"]["bbox"][0]
    assert BOX[0] - 1e-6 <= box[0] < box[2] <= BOX[2] + 1e-6
    items = client.get(f"/ogc/collections/{finished}:cores.cores/items").json()
    assert items["numberMatched"] == len(items["features"]) > 0


def test_the_stac_of_a_run_is_valid_as_a_folder_of_files(client: TestClient, finished: str, tmp_path: Path) -> None:
    """Written down as files, read and validated by pystac against the schemas that come with it."""
    pystac = pytest.importorskip("pystac", reason="the validator is in the package pystac")
    data = client.get(f"/stac/{finished}/collection.json").json()
    names = ["collection.json", *(link["href"] for link in data["links"] if link["rel"] == "item")]
    for name in names:
        (tmp_path / name).write_text(client.get(f"/stac/{finished}/{name.removeprefix('./')}").text)
    collection = pystac.Collection.from_file(str(tmp_path / "collection.json"))
    assert collection.validate_all() == len(names) - 1
    items = {item.properties["title"]: item for item in collection.get_items()}
    assert {"Resistance", "Cores", "Habitat"} <= set(items)
    for item in items.values():
        west, south, east, north = item.bbox
        assert BOX[0] - 1e-6 <= west < east <= BOX[2] + 1e-6
        assert BOX[1] - 1e-6 <= south < north <= BOX[3] + 1e-6
        assert client.get(item.assets["data"].href).status_code == 200
