"""Running studies: the right values, in the right order, in a folder that tells where they come from."""

import functools
import http.server
import json
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkways.errors import LinkwaysError, StudyError
from linkways.method import Layer, Raster, method
from linkways.plain_yaml import write_yaml
from linkways.spatial import new_raster
from linkways.studies import Event, load_study, read_run, run_study
from linkways.studies._work import told_apart
from linkways.studies.checks import Target
from tests.studies.small_methods import small_methods
from tests.studies.small_study import ALL, CHAIN, LAND, go, leftovers

if TYPE_CHECKING:
    import xarray as xr

Write = Callable[..., Path]

pytestmark = [pytest.mark.usefixtures("plain_report"), pytest.mark.timeout(120)]


# --- results -------------------------------------------------------------------------


def test_rasters_of_one_name_in_a_list_take_the_names_of_their_steps() -> None:
    land = new_raster(np.ones((2, 2)), crs="EPSG:3035", cell_size=100, name="reclassify")
    values = {"macaw": land, "tapir": land * 2, "recharge": land.rename("recharge")}

    def get(target: Target) -> Any:
        return values[target.input or str(target.step)]

    steps = [Target("raster", step=name, output="reclassify") for name in ("macaw", "tapir")]
    other = Target("raster", input="recharge")
    assert [one.name for one in told_apart([*steps, other], get)] == ["macaw", "tapir", "recharge"]
    assert [one.name for one in told_apart([steps[0], other], get)] == ["reclassify", "recharge"]
    twice = [Target("raster", step="macaw", output=output) for output in ("first", "second")]
    assert [one.name for one in told_apart(twice, get)] == ["macaw.first", "macaw.second"]


def test_every_output_is_what_the_methods_compute(write: Write, calls: Counter[str]) -> None:
    run = go(write(CHAIN))
    assert calls == ALL
    noise = np.random.default_rng(7).normal(size=LAND.shape)
    np.testing.assert_array_equal(run.read("value"), LAND * 10)
    np.testing.assert_array_equal(run.read("both.total"), LAND * 30 + noise)
    assert run.read("both").rio.crs.to_epsg() == 3035
    assert run.read("summary.total") == LAND.sum() * 30
    assert run.read("summary.cells")["cells"].tolist() == [1] * 20
    assert run.read("outline").total_bounds.tolist() == [4_000_000, 2_999_600, 4_000_500, 3_000_000]


def test_the_folder_holds_what_the_layout_says(write: Write, calls: Counter[str]) -> None:
    out = go(write(CHAIN), settings={"summary.draw": "true"}).folder
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {name for name in files if not name.startswith(".steps/")} == {
        "study.yaml",
        "run.json",
        "ro-crate-metadata.json",
        "report.html",
        "indicators.json",
        "layers/value.test_reclass.tif",
        "layers/double.test_double.tif",
        "layers/noise.test_noise.tif",
        "layers/both.total.tif",
        "layers/outline.box.parquet",
        "layers/land.tif",
        "tables/summary.cells.csv",
        "tables/summary.cells.parquet",
        "figures/summary.chart.png",
    }
    assert not leftovers(out)
    assert json.loads((out / "indicators.json").read_text()) == [
        {
            "id": "summary.total",
            "value": 6300.0,
            "unit": "units",
            "doc": "sum of all cells",
            "method": "corridors.test_summary",
        }
    ]
    assert (out / "figures" / "summary.chart.png").read_bytes().startswith(b"\x89PNG")


def test_run_json_tells_inputs_parameters_seed_log_and_timings(write: Write, calls: Counter[str]) -> None:
    import hashlib

    run = go(write(CHAIN))
    record = run.record
    assert (record["linkways"], record["format"], record["seed"], record["title"]) == ("0.1.0", 1, 7, "A chain")
    land, values = record["inputs"]
    assert land["sha256"] == hashlib.sha256((run.folder.parent / "land.tif").read_bytes()).hexdigest()
    assert (land["kind"], land["crs"], land["shape"], land["licence"]) == ("raster", "EPSG:3035", [4, 5], "CC0-1.0")
    assert land["bounds"] == [4_000_000, 2_999_600, 4_000_500, 3_000_000]
    assert (run.folder / land["path"]).resolve() == (run.folder.parent / "land.tif").resolve()
    assert land["file"] == "layers/land.tif"
    assert (values["kind"], values["shape"], values["file"]) == ("table", [20, 2], None)
    steps = {step["id"]: step for step in record["steps"]}
    assert steps["double"]["parameters"] == {"factor": {"value": 3.0, "unit": "times"}}
    assert steps["noise"]["parameters"]["seed"]["value"] == 7
    assert steps["both"]["inputs"] == {"first": "double.test_double", "second": "noise.test_noise"}
    assert steps["outline"]["log"] == ["the outline is a box"]
    assert steps["double"]["references"] == ["Nobody (2000) Doubling."]
    assert all(step["seconds"] > 0 and not step["reused"] for step in steps.values())
    assert record["peak_memory_mb"] > 10
    assert record["report"]["indicators"] == ["summary.total"]
    for step in record["steps"]:
        for output in step["outputs"]:
            assert (output["file"] is None) == (output["kind"] in ("indicator", "figure"))
            assert output["file"] is None or (run.folder / output["file"]).is_file()


def test_the_study_in_the_folder_runs_again_to_the_same_run(write: Write, calls: Counter[str]) -> None:
    first = go(write(CHAIN), settings={"double.factor": "5"})
    again = run_study(load_study(first.folder), first.folder.parent / "again")
    assert again.id == first.id
    np.testing.assert_array_equal(again.read("double"), LAND * 50)


def test_a_step_keeps_its_own_seed(write: Write, calls: Counter[str]) -> None:
    text = CHAIN.replace(
        "test_noise, inputs: {raster: land}", "test_noise, inputs: {raster: land}, parameters: {seed: 1}"
    )
    run = go(write(text))
    np.testing.assert_array_equal(run.read("noise"), np.random.default_rng(1).normal(size=LAND.shape))


def test_inline_rows_make_a_table(write: Write, calls: Counter[str]) -> None:
    rows = ", ".join(f"{{class: {n}, value: {n / 4}}}" for n in range(1, 21))
    run = go(write(CHAIN.replace("path: values.csv", f"rows: [{rows}]")))
    np.testing.assert_array_equal(run.read("value"), LAND / 4)
    assert run.record["inputs"][1]["licence"] == "part of the study"


def test_an_aligned_input_comes_to_the_others_grid_and_the_log_says_so(write: Write, calls: Counter[str]) -> None:
    from linkways.spatial import new_raster, write_raster

    path = write(
        """
        linkways: 1
        inputs:
          fine: {path: fine.tif, align: land, rule: average, licence: CC0}
          land: {path: land.tif, licence: CC0}
        steps:
          - {id: sum, method: corridors.test_add, inputs: {first: land, second: fine}}
        """
    )
    values = np.random.default_rng(0).integers(0, 9, (8, 10)).astype(float)
    fine = new_raster(values, crs="EPSG:3035", cell_size=50.0, origin=(4_000_000, 3_000_000))
    write_raster(fine, path.parent / "fine.tif")
    run = go(path)
    np.testing.assert_allclose(run.read("sum"), LAND + values.reshape(4, 2, 5, 2).mean(axis=(1, 3)))
    assert run.record["inputs"][0]["shape"] == [4, 5]
    assert any("resampled" in sentence for sentence in run.record["inputs"][0]["log"])
    again = go(path)
    assert again.record["inputs"][0]["log"] == run.record["inputs"][0]["log"]


def test_a_built_in_input_brings_its_licence(write: Write, calls: Counter[str]) -> None:
    from linkways.spatial import builtin_sources

    try:
        builtin_sources()[0].path()
    except LinkwaysError as error:
        pytest.skip(str(error))
    text = """
        linkways: 1
        inputs:
          cover: {builtin: modis-landcover-2019, bounds: [-60, -12, -59, -10]}
        steps:
          - {id: d, method: corridors.test_double, inputs: {raster: cover}}
        report:
          maps: [{title: Land cover, layer: cover}]
        """
    run = go(write(text))
    assert run.read("d").shape == (40, 20)
    (cover,) = run.record["inputs"]
    assert cover["builtin"] == "modis-landcover-2019"
    assert "NASA" in cover["licence"]
    assert cover["bounds"] == pytest.approx([-60, -12, -59, -10])


@pytest.fixture
def server(home: Path) -> Iterator[str]:
    """A web server for the folder `home`."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(home))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_inputs_come_from_addresses_too(write: Write, server: str, calls: Counter[str]) -> None:
    text = CHAIN.replace("path: land.tif", f"url: '{server}/land.tif'").replace(
        "path: values.csv", f"url: '{server}/values.csv'"
    )
    path = write(text)
    run = go(path)
    np.testing.assert_array_equal(run.read("double"), LAND * 30)
    calls.clear()
    go(path)
    assert not calls
    values = path.parent / "values.csv"
    values.write_text(values.read_text().replace("20,200", "20,2000"))
    go(path)
    assert calls == {"reclass": 1, "double": 1, "add": 1, "summary": 1}
    values.rename(path.parent / "elsewhere.csv")
    with pytest.raises(StudyError, match=r"input values: .*/values\.csv cannot be reached \(HTTP Error 404"):
        go(path)


# --- order ---------------------------------------------------------------------------


@st.composite
def studies(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, tuple[list[str], float]]]:
    """A random study of steps that add earlier ones up, written in random order, and what each step is."""
    count = draw(st.integers(1, 7))
    recipe: dict[str, tuple[list[str], float]] = {}
    for number in range(count):
        known = ["land", *recipe]
        used = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
        recipe[f"s{number}"] = used, float(draw(st.integers(1, 3)))
    steps = [
        {"id": id, "method": "corridors.test_stack", "inputs": {"layers": used}, "parameters": {"weight": weight}}
        for id, (used, weight) in recipe.items()
    ]
    shuffled = draw(st.permutations(steps))
    return {"linkways": 1, "inputs": {"land": {"path": "land.tif", "licence": "CC0"}}, "steps": shuffled}, recipe


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(studies(), st.integers(1, 4))
def test_any_order_of_steps_and_any_number_of_jobs_gives_the_same(home: Path, drawn: Any, jobs: int) -> None:
    study, recipe = drawn
    (home / "study.yaml").write_text(write_yaml(study))
    expected = {"land": LAND}
    for id, (used, weight) in recipe.items():
        expected[id] = weight * sum(expected[name] for name in used)
    seen: list[Event] = []
    with small_methods(lambda _: None), tempfile.TemporaryDirectory() as out:
        run = run_study(load_study(home / "study.yaml"), out, jobs=jobs, on_event=seen.append)
        for id in recipe:
            np.testing.assert_array_equal(run.read(id), expected[id])
    finished: set[str] = set()
    at_work: set[str] = set()
    for event in seen:
        if event.kind == "started":
            assert {name for name in recipe[event.step][0] if name != "land"} <= finished
            at_work.add(event.step)
            assert len(at_work) <= jobs
        elif event.kind == "finished":
            at_work.discard(event.step)
            finished.add(event.step)
            assert event.finished == len(finished)
    assert finished == set(recipe)


def test_steps_side_by_side_give_the_files_that_steps_in_turn_give(write: Write, calls: Counter[str]) -> None:
    study = load_study(write(CHAIN))
    hashes = []
    for jobs in (1, 4):
        record = run_study(study, study.folder / f"out{jobs}", jobs=jobs).record
        hashes.append([one["sha256"] for step in record["steps"] for one in step["outputs"]])
    assert hashes[0] == hashes[1]


def test_free_steps_run_side_by_side(write: Write, calls: Counter[str]) -> None:
    text = """
        linkways: 1
        inputs: {land: {path: land.tif, licence: CC0}}
        steps:
          - {id: a, method: corridors.test_slow, inputs: {raster: land}, parameters: {wait_for: GO}}
          - {id: b, method: corridors.test_slow, inputs: {raster: land}, parameters: {wait_for: GO, add: 2}}
        """
    path = write(text)
    path.write_text(path.read_text().replace("GO", str(path.parent / "go")))
    at_work: set[str] = set()

    def on_event(event: Event) -> None:
        # Both wait for the file that is made only when both are at work.
        if event.kind == "progress":
            at_work.add(event.step)
            if len(at_work) == 2:
                (path.parent / "go").touch()

    go(path, jobs=2, on_event=on_event)
    assert at_work == {"a", "b"}


def test_watchers_hear_of_progress_and_of_reused_steps(write: Write, calls: Counter[str]) -> None:
    path = write(CHAIN)
    seen: list[Event] = []
    go(path, on_event=seen.append)
    half = next(event for event in seen if event.kind == "progress" and event.step == "double")
    assert (half.done, half.what, half.method, half.steps) == (0.5, "multiplying", "corridors.test_double", 6)
    assert seen[-1].kind == "report"
    seen.clear()
    go(path, on_event=seen.append)
    assert [event.kind for event in seen] == ["reused"] * 6 + ["report"]


def test_what_steps_share_is_let_go_after_its_last_use(
    write: Write, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from linkways.studies import _work

    made: list[_work._Values] = []
    most = 0

    class Watched(_work._Values):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

        def release(self, id: str) -> None:
            nonlocal most
            most = max(most, len(self._held))
            super().release(id)

    monkeypatch.setattr(_work, "_Values", Watched)
    go(write(CHAIN), jobs=1)
    assert made[0]._held == {}
    assert 2 <= most <= 4


def test_results_do_not_tell_where_the_files_lie(write: Write, calls: Counter[str]) -> None:
    @method("corridors.test_keep")
    def test_keep(raster: Annotated["xr.DataArray", Raster("anything")]) -> Annotated["xr.DataArray", Layer("it")]:
        """The raster as it came, with its attributes."""
        return raster.copy()

    text = """
        linkways: 1
        inputs: {land: {path: land.tif, licence: CC0}}
        steps:
          - {id: a, method: corridors.test_keep, inputs: {raster: land}}
          - {id: b, method: corridors.test_keep, inputs: {raster: a}}
        """
    run = go(write(text))
    place = str(run.folder.parent).encode()
    for path in [*run.folder.rglob("*.tif"), *run.folder.rglob("*.json"), *run.folder.rglob("*.yaml")]:
        assert place not in path.read_bytes(), path


# --- finding runs --------------------------------------------------------------------


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(LinkwaysError, match="there is no run in"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(LinkwaysError, match="has format 99 but this Linkways reads format 1"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(LinkwaysError, match=r"run\.json cannot be read"):
        read_run(tmp_path)


def test_a_run_names_its_outputs(write: Write, calls: Counter[str]) -> None:
    run = go(write(CHAIN), settings={"summary.draw": "true"})
    assert run.output("double")["file"] == "layers/double.test_double.tif"
    with pytest.raises(LinkwaysError, match=r"has no output 'double\.test_duble' \(did you mean"):
        run.output("double.test_duble")
    with pytest.raises(LinkwaysError, match="has no output 'summary'"):
        run.output("summary")
    with pytest.raises(LinkwaysError, match="is a figure"):
        run.read("summary.chart")
