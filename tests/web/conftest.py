"""What tests of the application share: a small solution, an application over it, and a worker that runs at once."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("fastapi", reason="the application needs the extra web")
pytest.importorskip("httpx2", reason="the test client of Starlette needs the package httpx2")

from starlette.testclient import TestClient

from linkways.web import Settings, create_app
from linkways.web.jobs import Job
from linkways.web.worker import Worker

# the 400 cells of land between these sides of Honduras are read in no time
BOX = [-87.0, 14.0, -86.0, 15.0]
TINY = f"""
id: tiny-hills
title: Core areas of some hills
summary: Land cover becomes resistance and habitat, and habitat core areas.
place: {{name: Hills of Honduras, bounds: {BOX}, countries: [HN]}}
species: [{{scientific_name: Panthera onca, name: jaguar}}]
challenges: [Roads part the woods.]
building_blocks:
  - id: map-them
    title: Map the core areas
    description: From **land cover**. <script>alert(1)</script>
    steps: [resistance, habitat, cores]
impacts: [{{fact: Two hills are joined., source: Linkways}}]
study:
  linkways: 1
  title: Core areas of some hills
  inputs:
    landcover: {{builtin: modis-landcover-2019, bounds: {BOX}, classes: true}}
    classes:
      rows:
        - {{class: 0, resistance: 90, habitat: 0, name: water}}
        - {{class: 2, resistance: 1, habitat: 1, name: evergreen broadleaf forest}}
ROWS
  steps:
    - {{id: resistance, method: corridors.resistance, inputs: {{landcover: landcover, table: classes}}}}
    - id: habitat
      method: corridors.reclassify
      inputs: {{landcover: landcover, table: classes}}
      parameters: {{column: habitat}}
    - id: cores
      method: corridors.cores
      inputs: {{habitat: habitat}}
      parameters: {{threshold: 0.8, min_area_km2: 20}}
    - id: change
      method: corridors.difference
      inputs: {{before: habitat, after: resistance}}
  report:
    indicators: [change.total_percent]
    maps:
      - {{title: Resistance and cores, layer: resistance, over: [cores], log: true}}
      - {{title: Habitat, layer: habitat}}
      - {{title: Land cover, layer: landcover}}
"""
_OTHERS = [n for n in range(17) if n not in (0, 2)]
_ROWS = "".join(f"        - {{class: {n}, resistance: {10 + n}, habitat: 0, name: class {n}}}\n" for n in _OTHERS)


def tiny_record() -> dict[str, Any]:
    """The record of the small solution as plain data."""
    data: dict[str, Any] = yaml.safe_load(TINY.replace("ROWS\n", _ROWS))
    return data


def slow_record() -> dict[str, Any]:
    """A solution whose second step works for some seconds."""
    data = tiny_record() | {"id": "slow-hills", "title": "A slow study", "building_blocks": []}
    study = data["study"]
    study["inputs"]["landcover"]["bounds"] = [-89.0, 12.5, -84.5, 17.0]
    flow = {"id": "flow", "method": "corridors.omnidirectional", "inputs": {"resistance": "resistance"}}
    study["steps"] = [study["steps"][0], flow | {"parameters": {"radius_km": 60, "block_size": 1}}]
    study["report"] = {}
    return data


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with the built-in solutions and the small one, made once."""
    from linkways.catalogue import builtin_records, open_store, record_from

    file = tmp_path_factory.mktemp("seed") / "catalogue.sqlite"
    with open_store(file) as store:
        store.put_all(list(builtin_records().values()), author="Linkways")
        store.put_all([record_from(tiny_record()), record_from(slow_record())], author="A tester")
    return file


@pytest.fixture
def settings(tmp_path: Path, catalogue: Path) -> Settings:
    chosen = Settings(tmp_path / "runs", hosts=("testserver",), patience_s=2.0)
    chosen.own.mkdir(parents=True)
    shutil.copy(catalogue, chosen.own)
    return chosen


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """The application without workers, the small solution in its catalogue."""
    with TestClient(create_app(settings, crew=False), follow_redirects=False) as opened:
        yield opened


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory, catalogue: Path) -> Iterator[TestClient]:
    """The same for tests that change nothing."""
    chosen = Settings(tmp_path_factory.mktemp("read") / "runs", hosts=("testserver",))
    chosen.own.mkdir(parents=True)
    shutil.copy(catalogue, chosen.own)
    with TestClient(create_app(chosen, crew=False), follow_redirects=False) as opened:
        yield opened


@pytest.fixture
def work(settings: Settings) -> Callable[[], Job | None]:
    """Runs the job that has waited longest, here and now."""

    def run_next() -> Job | None:
        worker = Worker(settings.runs, steps_at_once=1)
        job = worker.jobs.take(5)
        if job is None:
            return None
        worker.run(job)
        return worker.jobs.get(job.id)

    return run_next


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory, catalogue: Path) -> tuple[Path, str]:
    """A folder of runs with one finished replication of the small solution, and its id; made once, to be copied."""
    chosen = Settings(tmp_path_factory.mktemp("ran") / "runs", hosts=("testserver",))
    chosen.own.mkdir(parents=True)
    shutil.copy(catalogue, chosen.own)
    with TestClient(create_app(chosen, crew=False)) as client:
        id = begin(client)
        assert client.post(f"/runs/{id}/start").status_code == 200
    worker = Worker(chosen.runs, steps_at_once=1)
    job = worker.jobs.take(5)
    assert job is not None
    worker.run(job)
    done = worker.jobs.get(id)
    assert (done.state, done.sentence) == ("finished", "")
    return chosen.runs, id


@pytest.fixture
def finished(settings: Settings, ran: tuple[Path, str], client: TestClient) -> str:
    """The id of a finished replication of the small solution, in this test's own folder."""
    from linkways.catalogue import read_record

    folder, id = ran
    shutil.copytree(folder / id, settings.runs / id)
    shutil.copytree(folder / ".linkways" / "jobs" / id, settings.job_folder(id))
    for file in settings.own.glob("jobs.sqlite*"):
        file.unlink()
    for file in (folder / ".linkways").glob("jobs.sqlite*"):
        shutil.copy(file, settings.own)
    record = read_record(settings.job_folder(id) / "solution.yaml")
    client.app.state.site.store.put(record, author="local", status="draft")  # type: ignore[attr-defined]
    return id


def begin(client: TestClient) -> str:
    """Begin a replication of the small solution and return the id of its run."""
    answer = client.post("/solutions/tiny-hills/replicate")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["run"])
