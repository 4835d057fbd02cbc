"""The server itself: it starts, answers, and loses nothing when it is killed in the middle of a run."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from linkways.errors import LinkwaysError
from linkways.web import Settings, User, serve
from linkways.web.jobs import Jobs
from linkways.web.replication import add_job

Start = Callable[[], tuple[subprocess.Popen[bytes], int]]
SERVE = """
import sys, uvicorn
from pathlib import Path
from linkways.web import Settings, create_app
settings = Settings(Path(sys.argv[1]), patience_s=3.0, steps_at_once=1)
uvicorn.run(create_app(settings), port=int(sys.argv[2]), log_level="warning")
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def ask(port: int, path: str, method: str = "GET") -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def until(done: Callable[[], Any], seconds: float = 240.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = done()
        except (urllib.error.URLError, ConnectionError):
            found = None
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def runs(tmp_path: Path, catalogue: Path) -> Path:
    """A folder of runs with the catalogue of the tests."""
    own = tmp_path / "runs" / ".linkways"
    own.mkdir(parents=True)
    shutil.copy(catalogue, own)
    return own.parent


@pytest.fixture
def server(runs: Path) -> Iterator[Start]:
    """Starts the server on one folder, as often as asked; all are killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[subprocess.Popen[bytes], int]:
        port = free_port()
        process = subprocess.Popen([sys.executable, "-c", SERVE, str(runs), str(port)])
        started.append(process)
        until(lambda: ask(port, "/index.json"))
        return process, port

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=60)


def test_a_server_killed_in_the_middle_of_a_run_loses_nothing(server: Start, runs: Path) -> None:
    """kill -9 while a step is at work: the next server finishes the run, and takes over the steps that were done."""
    process, port = server()
    id = ask(port, "/solutions/slow-hills/replicate", "POST")["run"]
    ask(port, f"/runs/{id}/setup", "POST")
    Jobs(runs / ".linkways" / "jobs.sqlite").queue(id, 5)

    def at_work() -> bool:
        steps = ask(port, f"/runs/{id}/progress")["progress"].get("steps", [])
        return [step["state"] for step in steps] == ["finished", "running"]

    until(at_work)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert Jobs(runs / ".linkways" / "jobs.sqlite").get(id).state in ("running", "queued")
    _, port = server()
    told = until(lambda: (now := ask(port, f"/runs/{id}/progress"))["state"] in ("finished", "failed") and now)
    assert (told["state"], told["sentence"]) == ("finished", "")
    steps = json.loads((runs / id / "run.json").read_text())["steps"]
    assert steps[0]["reused"] is True
    assert list((runs / id).rglob("tmp-*")) == []
    assert ask(port, f"/solutions/slow-hills-{id}.json")["record"]["replicates"]["run"] == id


def test_a_queued_run_waits_for_the_next_server_and_can_be_cancelled_at_work(server: Start, runs: Path) -> None:
    settings = Settings(runs)
    land = {"builtin": "modis-landcover-2019", "bounds": [-87, 14, -86.5, 14.5], "classes": True}
    rows = [{"class": n, "resistance": 1 + n} for n in range(17)]
    study = {
        "linkways": 1,
        "inputs": {"land": land, "classes": {"rows": rows}},
        "steps": [{"id": "r", "method": "corridors.resistance", "inputs": {"landcover": "land", "table": "classes"}}],
    }
    jobs = Jobs(settings.database)
    waiting = add_job(settings, jobs, User(), study, kind="process", title="waiting")
    jobs.queue(waiting.id, 5)
    _, port = server()
    assert until(lambda: ask(port, f"/runs/{waiting.id}/progress")["state"] == "finished")
    id = ask(port, "/solutions/slow-hills/replicate", "POST")["run"]
    jobs.queue(id, 5)
    until(lambda: ask(port, f"/runs/{id}/progress")["progress"].get("finished") == 1)
    jobs.cancel(id)
    told = until(lambda: (now := ask(port, f"/runs/{id}/progress"))["state"] == "cancelled" and now)
    assert [line["kind"] for line in told["log"]][-1] == "cancelled"
    assert not (runs / id / "run.json").exists()


def test_serving_once_answers_and_ends(runs: Path) -> None:
    code = "import sys; from linkways.web import serve; serve(sys.argv[1], port=0, once=True)"
    command = [sys.executable, "-c", code, str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.startswith("Linkways answers at http://127.0.0.1:")
    assert done.stdout.rstrip().endswith("(200)")


def test_a_port_that_is_taken_is_told_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(LinkwaysError, match="give another --port"):
            serve(tmp_path / "runs", port=taken.getsockname()[1])


def test_the_command_has_the_options_it_tells() -> None:
    from click.testing import CliRunner

    from linkways.web._command import serve_command

    told = CliRunner().invoke(serve_command, ["--help"]).output
    for option in ("--runs", "--host", "--port", "--read-from", "--workers", "--open", "--once"):
        assert option in told
