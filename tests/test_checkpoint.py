"""Long work that is stopped goes on from what it had finished: nothing is done twice, and not a bit differs."""

import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import checkpoint
from linkways.checkpoint import keep_in, kept_each, resumed
from linkways.cli import main
from linkways.method import progress, reporting_progress
from linkways.spatial import new_raster, read_raster, write_raster
from linkways.time_left import TimeLeft
from linkways.workers import each

ROOT = Path(__file__).resolve().parents[1]


class Stop(BaseException):
    """Raised from a watcher, as a study does to stop a step."""


@pytest.fixture
def often(monkeypatch):
    """Everything that is finished is written at once."""
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "WORTH", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "work.partial"


def stopping_at(item):
    """Watch progress and raise when this item is told to be done."""

    def watch(done, what):
        if what == f"item {item}":
            raise Stop

    return reporting_progress(watch)


# --- loops -----------------------------------------------------------------------------------------------------------

NUMBERS = [0.1, 1e17, -1e17, 0.3, 1e-9, 7.0, 0.7]


def added(numbers, log, content=("x",), name="sum"):
    """Add numbers one by one in a loop that can be resumed; in floating point their order matters."""
    total = np.zeros(2)
    with resumed(name, (content, numbers), {"total": total}) as kept:
        progress(kept.first / len(numbers), f"start {kept.first}")
        for done, number in enumerate(numbers[kept.first :], kept.first + 1):
            log.append(number)
            total += number
            kept.keep(done)
            progress(done / len(numbers), f"item {done}")
    return total


def squared(numbers, log, content=("x",), name="squares"):
    """Square numbers one by one in a loop whose results are kept."""

    def compute(left):
        for number in left:
            log.append(number)
            yield {"square": np.array(number) ** 2, "row": np.full(3, number)}

    out = []
    results = kept_each(name, (content, numbers), numbers, compute, pack=dict, unpack=dict)
    progress(0.0, "start")
    for done, found in enumerate(results, 1):
        out.append(np.append(found["row"], found["square"]))
        progress(done / len(numbers), f"item {done}")
    return np.array(out)


LOOPS = pytest.mark.parametrize("loop", [added, squared])


def stopped_after(loop, items, folder, numbers=NUMBERS, **more):
    """Start a loop and stop it after so many items; returns what it worked on."""
    log = []
    with suppress(Stop), keep_in(folder), stopping_at(items):
        loop(numbers, log, **more)
    return log


@LOOPS
@pytest.mark.parametrize("items", [1, 3, 7])
def test_a_stopped_loop_goes_on_with_the_next_item_and_ends_the_same(loop, items, folder, often):
    assert stopped_after(loop, items, folder) == NUMBERS[:items]
    log = []
    with keep_in(folder) as keeper:
        found = loop(NUMBERS, log)
        assert keeper.took_over
    assert log == NUMBERS[items:]
    np.testing.assert_array_equal(found, loop(NUMBERS, []))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e20, 1e20), min_size=2, max_size=12), st.data())
def test_however_often_a_loop_is_stopped_not_a_bit_differs(numbers, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "EVERY", 0.0)
        patch.setattr(checkpoint, "SHARE", 1e9)
        with tempfile.TemporaryDirectory() as home:
            for loop in (added, squared):
                folder = Path(home) / "p"
                for _ in range(data.draw(st.integers(1, 4))):
                    stopped_after(loop, data.draw(st.integers(1, len(numbers))), folder, numbers)
                with keep_in(folder):
                    found = loop(numbers, [])
                assert found.tobytes() == loop(numbers, []).tobytes()
                assert not folder.exists()


@LOOPS
def test_without_a_folder_nothing_is_kept(loop, tmp_path, often, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loop(NUMBERS, [])
    assert not list(tmp_path.iterdir())


@LOOPS
def test_short_work_writes_nothing(loop, folder):
    with keep_in(folder) as keeper:
        loop(NUMBERS, [])
        assert not keeper.holds
        assert not folder.exists()


@LOOPS
def test_nothing_is_left_when_the_work_is_done_but_what_is_not_ours(loop, folder, often):
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    stopped_after(loop, 3, folder)
    with keep_in(folder):
        loop(NUMBERS, [])
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def cut(data):
    return data[: len(data) // 2]


def flip(data):
    place = data.index(b"\x93NUMPY") + 130
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


@LOOPS
@pytest.mark.parametrize("damage", [cut, flip, lambda data: b"", lambda data: b"no archive at all"])
def test_a_damaged_file_is_as_good_as_none(loop, damage, folder, often):
    stopped_after(loop, 3, folder)
    for path in folder.iterdir():
        path.write_bytes(damage(path.read_bytes()))
    log = []
    with keep_in(folder):
        found = loop(NUMBERS, log)
    assert log == NUMBERS
    np.testing.assert_array_equal(found, loop(NUMBERS, []))


def test_of_several_files_only_the_damaged_one_is_done_again(folder, often):
    stopped_after(squared, 5, folder)
    spoilt = sorted(folder.iterdir())[2]
    spoilt.write_bytes(cut(spoilt.read_bytes()))
    log = []
    with keep_in(folder):
        found = squared(NUMBERS, log)
    assert log == [NUMBERS[2], *NUMBERS[5:]]
    np.testing.assert_array_equal(found, squared(NUMBERS, []))


@LOOPS
@pytest.mark.parametrize(
    "changed",
    [{"content": ("y",)}, {"name": "other"}, {"numbers": [*NUMBERS[:-1], 0.8]}, {"numbers": NUMBERS[:-1]}],
)
def test_other_work_takes_nothing_over(loop, changed, folder, often):
    stopped_after(loop, 3, folder)
    log, options = [], {"numbers": NUMBERS, **changed}
    numbers = options.pop("numbers")
    with keep_in(folder) as keeper:
        loop(numbers, log, **options)
        assert not keeper.took_over
    assert log == numbers


@LOOPS
def test_another_version_or_owner_takes_nothing_over(loop, folder, often, monkeypatch):
    stopped_after(loop, 3, folder)
    log = []
    with suppress(Stop), keep_in(folder, "corridors.current", 2), stopping_at(1):
        loop(NUMBERS, log)
    assert log[0] == NUMBERS[0]
    monkeypatch.setattr(checkpoint, "__version__", "999")
    log = []
    with keep_in(folder):
        loop(NUMBERS, log)
    assert log == NUMBERS


def test_what_a_kept_loop_calls_keeps_nothing_on_its_own(folder, often):
    inner = []

    def compute(left):
        for number in left:
            squared(NUMBERS, inner, content=(number,))
            yield {"n": np.array(number)}

    with suppress(Stop), keep_in(folder), reporting_progress(lambda *_: None):
        for found in kept_each("outer", (), [1, 2, 3], compute, pack=dict, unpack=dict):
            if found["n"] == 2:
                raise Stop
    assert len(list(folder.iterdir())) == 2
    total = np.zeros(1)
    with suppress(Stop), keep_in(folder), resumed("sums", (), {"total": total}) as kept:
        squared(NUMBERS, inner)
        kept.keep(1)
        raise Stop
    assert len(list(folder.iterdir())) == 3


def test_a_disk_that_is_full_stops_the_keeping_and_not_the_work(folder, often, monkeypatch):
    def full(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", full)
    for loop in (added, squared):
        with keep_in(folder) as keeper:
            found = loop(NUMBERS, [])
            assert not keeper.holds
        np.testing.assert_array_equal(found, loop(NUMBERS, []))


def test_a_disk_with_little_room_is_left_to_the_results(folder, often, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda _: usage)
    with keep_in(folder) as keeper:
        added(NUMBERS, [])
        assert not keeper.holds


def test_a_folder_that_cannot_be_made_is_no_hindrance(tmp_path, often):
    (tmp_path / "file").write_text("in the way")
    with keep_in(tmp_path / "file" / "work.partial"):
        found = added(NUMBERS, [])
    np.testing.assert_array_equal(found, added(NUMBERS, []))


def test_what_a_killed_process_left_half_written_goes(folder, often):
    folder.mkdir()
    (folder / "tmp-123.partial").write_bytes(b"half")
    with keep_in(folder) as keeper:
        assert not keeper.holds
        added(NUMBERS, [])
    assert not folder.exists()


def test_writing_is_put_off_until_its_time_and_takes_no_more_than_its_share(folder, monkeypatch):
    clock = [100.0]
    written = []
    clocks = {"monotonic": lambda: clock[0], "process_time": lambda: 0.0, "perf_counter": lambda: clock[0]}
    monkeypatch.setattr(checkpoint, "time", type("Time", (), clocks))

    def slow_write(file, **_):
        written.append(round(clock[0] - 100))
        clock[0] += 3  # seconds for each writing

    monkeypatch.setattr(checkpoint.np, "savez", slow_write)
    total = np.zeros(1)
    with keep_in(folder), resumed("long", (), {"total": total}) as kept:
        for done in range(1000):
            clock[0] += 1
            kept.keep(done)
        end = clock[0] - 100
    assert written[0] == 20
    assert len(written) > 4
    assert 3 * len(written) <= 0.02 * end + 2 * 3
    assert (np.diff(written) >= 20).all()


def test_work_not_yet_begun_is_cancelled_when_a_loop_is_stopped(folder, often):
    begun = []

    def slow(shared, item):
        begun.append(item)
        time.sleep(0.01)
        return {"n": np.array(item)}

    with suppress(Stop), keep_in(folder):
        items = list(range(500))
        for found in kept_each("x", (), items, lambda left: each(slow, None, left, threads=2), pack=dict, unpack=dict):
            if found["n"] == 3:
                raise Stop
    count = len(begun)
    time.sleep(0.1)
    assert count == len(begun) < 100


def test_the_time_left_leaves_out_what_was_taken_over(folder, often):
    for loop in (added, squared):
        stopped_after(loop, 4, folder)
        clock = [0.0]
        left = TimeLeft(lambda: clock[0])  # noqa: B023
        seen = []

        def watch(done, what):
            clock[0] += 10.0 * what.startswith("item")  # noqa: B023
            seen.append((what, left.taken_over))  # noqa: B023

        with keep_in(folder), reporting_progress(watch, left):
            loop(NUMBERS, [])
        expected = [True] + [False] * 3 if loop is added else [False] + [True] * 4 + [False] * 3
        assert [over for _, over in seen] == expected


@dataclass(frozen=True)
class Pair:
    one: object
    two: object


DIFFERENT = [
    None, True, 1, 1.0, "1", (1,), ((1,),), (1, 2), ("1", "2"), ("12",), 0.1, np.nextafter(0.1, 1).item(),
    float("nan"), {"a": 1}, {"a": 2}, Pair(1, 2), Pair(2, 1), np.array([1]), np.array([1.0]), np.array([[1.0]]),
    np.array(1.0), np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.zeros(0), np.zeros((0, 3)), np.array([True]),
]  # fmt: skip


def test_different_data_are_different_work_and_equal_data_the_same(folder):
    keeper = checkpoint.Keeper(folder, ())
    assert len({keeper.key("x", (value,)) for value in DIFFERENT}) == len(DIFFERENT)
    grid = np.arange(12.0).reshape(3, 4)
    assert keeper.key("x", (grid.T.copy(),)) == keeper.key("x", (grid.T,))
    assert keeper.key("x", (grid.T,)) != keeper.key("x", (grid,))
    with pytest.raises(TypeError, match="a set cannot tell one piece of work from another"):
        keeper.key("x", ({1},))


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path):
    """A folder with a resistance raster that takes six batches of windows."""
    values = 10 ** np.random.default_rng(5).uniform(0, 2, (132, 70))
    write_raster(new_raster(values, crs="EPSG:3035", cell_size=100), tmp_path / "resistance.tif")
    return tmp_path


def command(place, out="out", **options):
    given = {"radius-cells": 4, **options}
    words = [word for key, value in given.items() for word in (f"--{key}", str(value))]
    raster = ["--resistance", str(place / "resistance.tif")]
    return ["corridors", "omnidirectional", *raster, *words, "--out", str(place / out)]


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return ended.value.code


def interrupting_at(share):
    """Ctrl-C when so much is done."""

    def watch(done, what):
        if done >= share:
            raise KeyboardInterrupt

    return reporting_progress(watch)


@pytest.fixture
def batches(monkeypatch):
    """The batches of windows that are computed."""
    from linkways import workers
    from linkways.corridors import _windows

    computed = []
    real = _windows._run_batch

    def run_batch(work, batch):
        computed.append(int(batch[0]))
        return real(work, batch)

    def each(function, shared, items, *, threads=None):
        return (function(shared, item) for item in items)

    monkeypatch.setattr(_windows, "_run_batch", run_batch)
    monkeypatch.setattr(workers, "each", each)
    return computed


def test_ctrl_c_tells_in_one_sentence_what_is_kept_and_the_same_command_goes_on(place, often, batches, capsys):
    with interrupting_at(0.45):
        assert run(*command(place)) == 130
    out, err = capsys.readouterr()
    assert out == ""
    (told,) = err.strip().splitlines()
    kept = place / ".out.partial"
    assert told == (
        f"Linkways stopped; what was finished is kept in {kept}: run the same command again to go on from there"
    )
    assert kept.is_dir()
    assert not (place / "out").exists()
    assert len(batches) == 2
    assert run(*command(place)) == 0
    assert len(batches) == 6
    assert not kept.exists()
    assert run(*command(place, out="whole")) == 0
    for name in ("current", "flow_potential", "normalised"):
        one, other = (read_raster(place / out / f"omnidirectional.{name}.tif") for out in ("out", "whole"))
        assert one.values.tobytes() == other.values.tobytes()


def test_ctrl_c_before_anything_is_kept_says_so(place, batches, capsys):
    with interrupting_at(0.0):
        assert run(*command(place)) == 130
    told = capsys.readouterr().err.strip()
    assert told == "Linkways stopped before anything was kept; run the same command again to start anew"
    assert [path.name for path in place.iterdir()] == ["resistance.tif"]


def test_another_command_with_the_same_output_takes_nothing_over_and_leaves_nothing(place, often, batches):
    with interrupting_at(0.45):
        run(*command(place))
    batches.clear()
    assert run(*command(place, **{"radius-cells": 5})) == 0
    assert len(batches) == 6
    assert not (place / ".out.partial").exists()


def test_results_that_cannot_be_written_cost_no_work(place, often, batches, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "move", full)
        assert run(*command(place)) == 2
    batches.clear()
    assert run(*command(place)) == 0
    assert not batches


# Three batches are done and kept; then the process waits for its signal.
PROGRAM = """
import signal, sys, time
# a test run in the background of a shell ignores it, and so would this process
signal.signal(signal.SIGINT, signal.default_int_handler)
from linkways import checkpoint, workers
checkpoint.EVERY, checkpoint.SHARE = 0.0, 1e9
def each(function, shared, items, *, threads=None):
    for n, item in enumerate(items):
        if n == 3:
            print("ready", flush=True)
            time.sleep(100)
        yield function(shared, item)
workers.each = each
from linkways.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_a_command_that_is_ended_by_a_signal_goes_on(how, place, batches, capsys):
    if not hasattr(signal, how):
        pytest.skip(f"the system knows no {how}")
    arguments = [sys.executable, "-c", PROGRAM, *command(place)]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, how))
        _, err = process.communicate()
    if how == "SIGINT":
        assert process.returncode == 130
        assert err.strip().startswith("Linkways stopped; what was finished is kept in ")
    assert "Traceback" not in err
    assert (place / ".out.partial").is_dir()
    assert run(*command(place)) == 0
    assert len(batches) == 3
    assert not (place / ".out.partial").exists()


def test_an_omniscape_run_that_is_stopped_goes_on(place, often, batches, capsys, monkeypatch):
    monkeypatch.chdir(place)
    (place / "land.ini").write_text(
        "resistance_file = resistance.tif\nradius = 4\nproject_name = result\nsource_from_resistance = true\n"
    )
    with interrupting_at(0.45):
        assert run("corridors", "omniscape", "land.ini") == 130
    assert ".land.ini.partial: run the same command again" in capsys.readouterr().err
    assert len(batches) == 2
    assert run("corridors", "omniscape", "land.ini") == 0
    assert len(batches) == 6
    assert not (place / ".land.ini.partial").exists()


class Terminal(io.StringIO):
    """What is written to a terminal."""

    def isatty(self):
        return True


def test_bars_in_a_terminal_show_the_time_left(place, batches, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    clock = [0.0]
    monkeypatch.setattr("linkways.cli.TimeLeft", lambda: TimeLeft(lambda: clock[0]))
    from linkways.corridors import _windows

    real = _windows._run_batch

    def slow(work, batch):
        clock[0] += 3600.0
        found = real(work, batch)
        time.sleep(0.15)  # the bar is drawn ten times a second
        return found

    monkeypatch.setattr(_windows, "_run_batch", slow)
    assert run(*command(place)) == 0
    shown = re.findall(r"([-\d:]+) left", screen.getvalue())
    assert "-:--:--" in shown
    # 4096 of 9240 windows in the first hour leave 1:15:21, of which the next batch takes an hour
    assert "0:15:21" in shown


def test_bars_of_a_study_show_the_time_left_of_its_steps(monkeypatch):
    from linkways.cli import _run_display
    from linkways.studies import Event

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    with _run_display() as follow:
        follow(Event("started", "flow", "corridors.omnidirectional", steps=2))
        time.sleep(0.15)
        follow(Event("progress", "flow", done=0.25, what="window 1 of 4", steps=2, seconds_left=7325.0))
        time.sleep(0.15)
        follow(Event("finished", "flow", done=1.0, steps=2, seconds=3.0))
    text = screen.getvalue()
    assert "flow: window 1 of 4" in text
    assert "-:--:-- left" in text
    assert re.search(r"2:02:0[45] left", text)
