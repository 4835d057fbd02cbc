"""Runs that are repeated, changed, stopped, killed or that fail: nothing runs twice, nothing is half-written."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pytest

from linkways.errors import LinkwaysError
from linkways.method import Layer, Param, Raster, method
from linkways.studies import Event, RunStopped, load_study, read_run, run_study
from linkways.studies.store import locked
from tests.studies.small_study import ALL, CHAIN, LAND, ROOT, go, leftovers

if TYPE_CHECKING:
    import xarray as xr

Write = Callable[..., Path]

pytestmark = [pytest.mark.usefixtures("plain_report"), pytest.mark.timeout(120)]


# --- what runs again -----------------------------------------------------------------


def test_nothing_runs_a_second_time(write: Write, calls: Counter[str]) -> None:
    path = write(CHAIN)
    first = go(path)
    calls.clear()
    second = go(path)
    assert not calls
    assert all(step["reused"] for step in second.record["steps"])
    for key in ("id", "inputs", "seed", "report", "files"):
        assert second.record[key] == first.record[key]


@pytest.mark.parametrize(
    ("setting", "again"),
    [
        ({"double.factor": "4"}, {"double": 1, "add": 1, "summary": 1}),
        ({"value.rule": "sum"}, {"reclass": 1, "double": 1, "add": 1, "summary": 1}),
        ({"seed": "8"}, {"noise": 1, "add": 1}),
        ({"double.factor": "3.0"}, {}),
    ],
)
def test_a_changed_parameter_runs_again_only_what_depends_on_it(
    setting: dict[str, str], again: dict[str, int], write: Write, calls: Counter[str]
) -> None:
    path = write(CHAIN)
    go(path)
    calls.clear()
    changed = go(path, settings=setting)
    assert calls == again
    fresh = run_study(load_study(path, settings=setting), path.parent / "fresh")
    np.testing.assert_array_equal(changed.read("both.total"), fresh.read("both.total"))
    assert changed.id == fresh.id


def test_a_changed_input_runs_again_what_depends_on_it(write: Write, calls: Counter[str]) -> None:
    path = write(CHAIN)
    go(path)
    table = path.parent / "values.csv"
    stamp = table.stat()
    table.write_text(table.read_text().replace("7,70", "7,71"))
    os.utime(table, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    calls.clear()
    run = go(path)
    assert calls == {"reclass": 1, "double": 1, "add": 1, "summary": 1}
    assert run.read("summary.total") == LAND.sum() * 30 + 3


def test_an_input_that_only_moved_runs_nothing_again(write: Write, calls: Counter[str]) -> None:
    path = write(CHAIN)
    go(path)
    calls.clear()
    shutil.move(path.parent / "land.tif", path.parent / "moved.tif")
    go(path, inputs={"land": str(path.parent / "moved.tif")})
    assert not calls


def test_a_new_version_of_a_method_runs_again(write: Write, calls: Counter[str], monkeypatch: Any) -> None:
    from dataclasses import replace

    from linkways import method as registry

    path = write(CHAIN)
    go(path)
    calls.clear()
    newer = replace(registry._REGISTRY["corridors.test_double"], version=2)
    monkeypatch.setitem(registry._REGISTRY, "corridors.test_double", newer)
    go(path)
    assert calls == {"double": 1, "add": 1, "summary": 1}


def test_fresh_runs_everything_again(write: Write, calls: Counter[str]) -> None:
    path = write(CHAIN)
    go(path)
    calls.clear()
    go(path, fresh=True)
    assert calls == ALL


def test_a_layer_that_was_edited_in_place_is_computed_again(write: Write, calls: Counter[str]) -> None:
    path = write(CHAIN)
    run = go(path)
    layer = run.folder / "layers" / "double.test_double.tif"
    with layer.open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"scribble")
    calls.clear()
    again = go(path)
    assert calls == {"double": 1}
    np.testing.assert_array_equal(again.read("double"), LAND * 30)


def test_a_step_that_left_the_study_leaves_the_folder(write: Write, calls: Counter[str]) -> None:
    path = write(CHAIN)
    out = go(path).folder
    (out / "layers" / "notes.txt").write_text("mine")
    path.write_text(
        CHAIN.replace("  - {id: outline, method: corridors.test_outline, inputs: {raster: land}}\n", "").replace(
            ", outline]", "]"
        )
    )
    go(path)
    names = {entry.name for entry in (out / "layers").iterdir()}
    assert "outline.box.parquet" not in names
    assert {"notes.txt", "double.test_double.tif"} <= names
    assert len([entry for entry in (out / ".steps").iterdir() if entry.is_dir()]) == 5 + 2


# --- failing and stopping ------------------------------------------------------------

REFUSING = CHAIN.replace(
    "test_add, inputs: {first: double, second: noise}", "test_refuse, inputs: {raster: double}"
).replace("both.total", "both")


def test_a_refusing_step_is_named_in_one_sentence_and_the_finished_ones_stay(write: Write, calls: Counter[str]) -> None:
    path = write(REFUSING)
    with pytest.raises(LinkwaysError) as caught:
        go(path, jobs=1)
    assert str(caught.value) == (
        "step both: raster has 3 cells that are too blue, first at row 1 column 2; paint them green"
    )
    out = path.parent / "out"
    assert [entry.name for entry in out.iterdir()] == [".steps"]
    assert not leftovers(out)
    with pytest.raises(LinkwaysError, match="is not finished; run the study again"):
        read_run(out)
    done = calls.copy()
    assert done["double"] == 1
    path.write_text(CHAIN)
    go(path)
    assert calls - done == {key: 1 for key in ALL if done[key] == 0}


def test_a_failed_run_leaves_the_earlier_run_as_it_was(write: Write, calls: Counter[str]) -> None:
    path = write(CHAIN)
    earlier = go(path).record
    path.write_text(REFUSING)
    with pytest.raises(LinkwaysError):
        go(path)
    assert read_run(path.parent / "out").record == earlier


def test_a_bug_in_a_method_stays_a_bug_and_says_in_which_step(write: Write, calls: Counter[str]) -> None:
    path = write(
        REFUSING.replace(
            "test_refuse, inputs: {raster: double}", "test_refuse, inputs: {raster: double}, parameters: {bug: true}"
        )
    )
    with pytest.raises(ZeroDivisionError) as caught:
        go(path)
    assert caught.value.__notes__ == ["in step both (corridors.test_refuse); finished steps are kept"]


def test_an_output_of_the_wrong_type_is_refused(write: Write, calls: Counter[str]) -> None:
    @method("corridors.test_wrong")
    def test_wrong(
        raster: Annotated["xr.DataArray", Raster("anything")],
        *,
        empty: Annotated[bool, Param("give nothing at all")] = False,
    ) -> Annotated["xr.DataArray", Layer("a raster, says the method")]:
        """Text where a raster should be."""
        return None if empty else "a raster"

    text = """
        linkways: 1
        inputs: {land: {path: land.tif, licence: CC0}}
        steps:
          - {id: w, method: corridors.test_wrong, inputs: {raster: land}}
          - {id: d, method: corridors.test_double, inputs: {raster: w}}
        """
    path = write(text)
    with pytest.raises(LinkwaysError, match=r"step w: corridors\.test_wrong gave a str as test_wrong, which should be"):
        go(path)
    with pytest.raises(LinkwaysError, match=r"step d: w\.test_wrong is empty with these parameters"):
        go(path, settings={"w.empty": "true"})


def test_ctrl_c_keeps_what_is_finished_and_the_next_run_goes_on(write: Write, calls: Counter[str]) -> None:
    path = write(CHAIN)

    def on_event(event: Event) -> None:
        if event.kind == "finished" and event.step == "double":
            raise KeyboardInterrupt

    with pytest.raises(RunStopped) as caught:
        go(path, jobs=1, on_event=on_event)
    assert "of 6 steps finished, which are kept in" in str(caught.value)
    assert "run the same command again to go on from there" in str(caught.value)
    assert not leftovers(path.parent / "out")
    done = calls.copy()
    assert done["double"] == 1
    assert done["summary"] == 0
    go(path)
    assert calls == ALL


def test_a_run_can_be_stopped_from_another_thread_at_the_next_sign_of_progress(
    write: Write, calls: Counter[str]
) -> None:
    text = """
        linkways: 1
        inputs: {land: {path: land.tif, licence: CC0}}
        steps: [{id: a, method: corridors.test_slow, inputs: {raster: land}, parameters: {wait_for: /nowhere/at/all}}]
        """
    stop = threading.Event()
    seen: list[str] = []

    def on_event(event: Event) -> None:
        seen.append(event.kind)
        if event.kind == "progress":
            stop.set()

    with pytest.raises(RunStopped, match="stopped with 0 of 1 steps finished"):
        go(write(text), on_event=on_event, stop=stop)
    assert "stopping" in seen
    assert "finished" not in seen


def test_two_runs_cannot_share_a_folder(write: Write, calls: Counter[str]) -> None:
    path = write(CHAIN)
    go(path)
    with (
        locked(path.parent / "out" / ".steps"),
        pytest.raises(
            LinkwaysError,
            match=rf"another run \(process {os.getpid()}\) is at work in .*out; wait for it or give another",
        ),
    ):
        go(path)
    calls.clear()
    go(path)
    assert not calls


def test_the_lock_file_of_a_dead_process_does_not_lock(write: Write, calls: Counter[str]) -> None:
    path = write(CHAIN)
    (path.parent / "out" / ".steps").mkdir(parents=True)
    (path.parent / "out" / ".steps" / "lock").write_text("999999999")
    go(path)
    assert calls == ALL


# Starts a run in another process, whose methods tell on standard output that they run.
PROGRAM = """
import signal, sys, types
# a test run in the background of a shell ignores it, and so would this process
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from tests.studies.small_methods import small_methods
from linkways.studies import load_study, run_study
from linkways.errors import LinkwaysError
report = types.ModuleType("linkways.studies.report")
report.write_report = lambda folder: (folder / "report.html").write_text("a report")
sys.modules["linkways.studies.report"] = report
{before}
with small_methods(lambda name: print("ran", name, flush=True)):
    try:
        run_study(load_study(sys.argv[1]), sys.argv[2], jobs=1)
    except LinkwaysError as error:
        print("refused", error, flush=True)
"""


def start(path: Path, before: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(before=before), str(path), str(path.parent / "out")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


SLOW = """
linkways: 1
inputs: {land: {path: land.tif, licence: CC0}}
steps:
  - {id: first, method: corridors.test_double, inputs: {raster: land}}
  - {id: second, method: corridors.test_slow, inputs: {raster: first}, parameters: {wait_for: GO}}
  - {id: third, method: corridors.test_double, inputs: {raster: second}}
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system cannot kill a process outright")
def test_a_killed_run_goes_on_from_its_finished_steps(write: Write, calls: Counter[str]) -> None:
    path = write(SLOW)
    ready = path.parent / "go"
    path.write_text(path.read_text().replace("GO", str(ready)))
    out = path.parent / "out"
    with start(path) as process:
        assert process.stdout is not None
        assert [process.stdout.readline(), process.stdout.readline()] == ["ran double\n", "ran slow\n"]
        with pytest.raises(LinkwaysError, match=rf"another run \(process {process.pid}\) is at work"):
            go(path)
        # As if it had died while writing.
        (out / ".steps" / "tmp-half").mkdir()
        (out / ".steps" / "tmp-half" / "second.tif").write_bytes(b"half a layer")
        process.send_signal(signal.SIGKILL)
    assert not (out / "run.json").exists()
    ready.touch()
    run = go(path)
    assert calls == {"slow": 1, "double": 1}
    assert [step["reused"] for step in run.record["steps"]] == [True, False, False]
    np.testing.assert_array_equal(run.read("third"), (LAND * 2 + 1) * 2)
    assert not leftovers(out)


def test_a_signal_stops_a_run_with_a_sentence(write: Write) -> None:
    path = write(SLOW)
    path.write_text(path.read_text().replace("GO", "/nowhere/at/all"))
    with start(path) as process:
        assert process.stdout is not None
        assert [process.stdout.readline(), process.stdout.readline()] == ["ran double\n", "ran slow\n"]
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        words = process.stdout.read()
    assert words.startswith("refused stopped with 1 of 3 steps finished, which are kept in ")


# --- inside a step -------------------------------------------------------------------

WINDOWS = """
linkways: 1
inputs: {land: {path: wide.tif, licence: CC0}}
steps:
  - {id: double, method: corridors.test_double, inputs: {raster: land}}
  - {id: flow, method: corridors.omnidirectional, inputs: {resistance: double}, parameters: {radius_cells: 4}}
"""


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is finished inside a step is written at once."""
    from linkways import checkpoint

    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)


@pytest.fixture
def windows(write: Write, often: None) -> Path:
    """A study whose second step has six batches of windows."""
    from linkways.spatial import new_raster, write_raster

    path = write(WINDOWS)
    values = 10 ** np.random.default_rng(5).uniform(0, 2, (132, 70))
    write_raster(new_raster(values, crs="EPSG:3035", cell_size=100.0), path.parent / "wide.tif")
    return path


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batches of windows that are computed, by their first target."""
    from linkways.corridors import _windows

    computed: list[int] = []
    real = _windows._run_batch

    def run(work: Any, batch: Any) -> Any:
        computed.append(int(batch[0]))
        return real(work, batch)

    monkeypatch.setattr(_windows, "_run_batch", run)
    return computed


def partial(path: Path) -> list[Path]:
    """What is kept of unfinished steps."""
    return sorted((path.parent / "out" / ".steps").glob("*.partial/*"))


def stop_in_the_middle(path: Path, monkeypatch: pytest.MonkeyPatch, pause: float = 0.1) -> tuple[str, list[Event]]:
    """Start the study and stop it after three of its six batches; returns what it said at last and its events."""
    from linkways import workers

    stop = threading.Event()
    seen: list[Event] = []

    def each(function: Any, shared: Any, items: Any, *, threads: Any = None) -> Any:
        for n, item in enumerate(items):
            yield function(shared, item)
            time.sleep(pause)
            if n == 1:
                stop.wait(60)

    def on_event(event: Event) -> None:
        seen.append(event)
        if event.kind == "progress" and event.step == "flow" and event.done > 0.47:  # two batches
            stop.set()

    with monkeypatch.context() as patch:
        patch.setattr(workers, "each", each)
        with pytest.raises(RunStopped) as caught:
            go(path, on_event=on_event, stop=stop)
    return str(caught.value), seen


def maps(run: Any) -> list[np.ndarray]:
    return [run.read(f"flow.{name}").values for name in ("current", "flow_potential", "normalised")]


def fresh_maps(path: Path) -> list[np.ndarray]:
    return maps(run_study(load_study(path), path.parent / "fresh"))


def test_a_stopped_step_goes_on_from_its_finished_windows(
    windows: Path, calls: Counter[str], batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, _ = stop_in_the_middle(windows, monkeypatch)
    assert re.search(r"stopped with 1 of 2 steps finished, .* with what was finished of flow; run the", stopped)
    assert len(partial(windows)) == 1
    first = batches.copy()
    assert len(first) == 3
    batches.clear()
    seen: list[Event] = []
    run = go(windows, on_event=seen.append)
    assert len(batches) == 3
    assert not set(first) & set(batches)
    assert calls["double"] == 1
    assert not partial(windows)
    assert not leftovers(windows.parent / "out")
    assert any("went on from what an earlier run had finished" in line for line in run.record["steps"][1]["log"])
    told = [event for event in seen if event.kind == "progress" and event.step == "flow"]
    assert told[0].done > 0.3
    for one, other in zip(maps(run), fresh_maps(windows), strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_killed_step_goes_on_from_its_finished_windows(
    windows: Path, calls: Counter[str], batches: list[int]
) -> None:
    before = """
from linkways import checkpoint, workers
from linkways.corridors import _windows
checkpoint.EVERY, checkpoint.SHARE = 0.0, 1e9
real = _windows._run_batch
def run_batch(work, batch):
    found = real(work, batch)
    print("batch", batch[0], flush=True)
    return found
_windows._run_batch = run_batch
def each(function, shared, items, *, threads=None):
    for n, item in enumerate(items):
        if n == 3:
            print("three are done", flush=True)
            import time
            time.sleep(100)
        yield function(shared, item)
workers.each = each
"""
    with start(windows, before) as process:
        assert process.stdout is not None
        told: list[str] = []
        while "three are done\n" not in told:
            told.append(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    done = [int(line.split()[1]) for line in told if line.startswith("batch")]
    assert len(done) == 3
    assert len(partial(windows)) == 1
    run = go(windows)
    assert len(batches) == 3
    assert not set(done) & set(batches)
    assert not calls["double"]
    assert not partial(windows)
    for one, other in zip(maps(run), fresh_maps(windows), strict=True):
        # another process may have compiled the kernels otherwise, which shows in the last digit
        np.testing.assert_allclose(one, other, rtol=1e-13)


@pytest.mark.parametrize("how", ["another parameter", "another input", "afresh", "damaged"])
def test_what_is_kept_of_a_step_serves_only_that_very_step(
    how: str, windows: Path, calls: Counter[str], batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_in_the_middle(windows, monkeypatch)
    kept = partial(windows)
    assert len(kept) == 1
    batches.clear()
    if how == "damaged":
        kept[0].write_bytes(kept[0].read_bytes()[:-1000])
    settings = {"another parameter": {"flow.radius_cells": "5"}, "another input": {"double.factor": "3"}}.get(how, {})
    go(windows, settings=settings, fresh=how == "afresh")
    assert len(batches) == 6
    assert not partial(windows)


def test_events_tell_the_time_left_of_a_step_and_a_resumed_one_is_not_fooled(
    windows: Path, calls: Counter[str], batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, seen = stop_in_the_middle(windows, monkeypatch, pause=1.0)
    told = [event for event in seen if event.step == "flow" and event.kind == "progress"]
    assert told[0].seconds_left is None
    assert told[-1].seconds_left is not None
    assert told[-1].seconds_left > 0
    assert all(event.seconds_left is None for event in seen if event.kind != "progress")
    seen.clear()
    go(windows, on_event=seen.append)
    resumed = next(event for event in seen if event.step == "flow" and event.kind == "progress")
    assert resumed.done > 0.5
    # nothing of this run's own speed is known yet
    assert resumed.seconds_left is None


def test_of_two_equal_steps_the_first_result_stays_where_others_may_be_reading_it(tmp_path: Path) -> None:
    from linkways.method import find_method
    from linkways.spatial import new_raster
    from linkways.studies.store import Store

    declared = find_method("corridors.cost_distance")
    layer = next(output.name for output in declared.outputs)
    store = Store(tmp_path / ".steps")
    raster = new_raster(np.ones((2, 2)), crs="EPSG:3035", cell_size=100.0)
    first = store.keep("key", declared, {layer: raster}, {"log": []}, [])
    stamp = (first.folder / f"{layer}.tif").stat().st_ino
    second = store.keep("key", declared, {layer: raster}, {"log": []}, [])
    assert (second.folder / f"{layer}.tif").stat().st_ino == stamp
    assert not list(store.folder.glob("tmp-*"))


# --- a full disk ---------------------------------------------------------------------

# A file system of 300 kB of its own, seen by the program alone; what is left on it is listed before it goes.
SMALL_DISK = (
    'mount -t tmpfs -o size=300k tmpfs "$1" && cp "$1"/../study.yaml "$1"/../land.tif "$1" && shift && exec "$@"'
)


def test_a_full_disk_is_told_in_one_sentence_and_leaves_no_partial_result(write: Write) -> None:
    from linkways.spatial import new_raster, write_raster

    namespaces = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*namespaces, "true"], capture_output=True).returncode:
        pytest.skip("the system does not let a test mount a small disk")
    path = write(SLOW.replace("parameters: {wait_for: GO}", "parameters: {add: 0.5}"))
    noise = np.random.default_rng(0).normal(size=(110, 110))
    write_raster(new_raster(noise, crs="EPSG:3035", cell_size=100.0), path.parent / "land.tif")
    disk = path.parent / "disk"
    disk.mkdir()
    after = "print(*sorted(str(p.relative_to(sys.argv[2])) for p in Path(sys.argv[2]).rglob('*')), sep='\\n')"
    program = [sys.executable, "-c", PROGRAM.format(before="") + after, str(disk / "study.yaml"), str(disk / "out")]
    done = subprocess.run(
        [*namespaces, SMALL_DISK, "sh", str(disk), *program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ran, refused, *left = [line for line in done.stdout.splitlines() if line != "ran slow"]
    assert ran == "ran double"
    assert refused.startswith("refused step second: cannot write ")
    assert "is full" in refused
    kept = sorted({Path(name).parts[1] for name in left if len(Path(name).parts) > 1} - {"lock"})
    assert not any(name.startswith("tmp-") for name in kept)
    for key in kept:
        assert f".steps/{key}/result.json" in left
    assert sum(name.endswith(".tif") for name in left) == 1


def test_a_disk_that_fills_while_the_folder_is_made_is_told_too(
    write: Write, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    path = write(CHAIN)
    go(path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("linkways.studies._publish.os.link", full)
    monkeypatch.setattr("linkways.studies._publish.shutil.copyfile", full)
    with pytest.raises(LinkwaysError, match="the disk is full; make room and run again, finished steps are kept"):
        go(path)
    monkeypatch.undo()
