"""What a call will take: asked of Python and of the command line, it measures, says so, and writes nothing."""

import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, corridors
from linkways.cli import main
from linkways.estimates import Estimate, Taken, sampled, sampled_items, thinned
from linkways.method import methods
from linkways.spatial import grid_of, new_raster, write_raster, write_vectors

WITH_ESTIMATE = {
    "corridors.absorbing_walk",
    "corridors.barriers",
    "corridors.centrality",
    "corridors.current",
    "corridors.omnidirectional",
    "corridors.pinch_points",
    "corridors.randomised_paths",
    "corridors.restore_cell_gain",
}
SENTENCE = re.compile(
    r"about [\d.]+ (s|minutes|hours|days) and [\d.,]+ GB: [\d,]+ (cells|cores), .*; measured on .* in [\d.]+ s"
)


def ground(rows=60, columns=80, seed=0):
    """Resistances 1 to 10, with a wall of nodata that has a gap."""
    values = np.random.default_rng(seed).uniform(1, 10, (rows, columns))
    values[: rows // 2, columns // 2] = np.nan
    return new_raster(values, crs="EPSG:3035", cell_size=100, origin=(4_000_000, 3_000_000))


def boxes(raster, places, side):
    """Squares of so many cells at (row, column)."""
    x, y = raster.x.values, raster.y.values
    shapes = [shapely.box(x[c] - 50, y[r] + 50 - side * 100, x[c] - 50 + side * 100, y[r] + 50) for r, c in places]
    return gpd.GeoDataFrame({"core": np.arange(1, len(shapes) + 1)}, geometry=shapes, crs=3035)


def arguments(id, rows=60, columns=80):
    """A small call of each method."""
    raster = ground(rows, columns)
    cores = boxes(raster, [(5, 5), (rows - 10, 8), (8, columns - 12), (rows - 12, columns - 10)], 4)
    network = {
        "links": pd.DataFrame({"core_a": [1, 2, 3, 4], "core_b": [2, 3, 4, 1], "cost": [1.0, 2, 3, 4]}),
        "cores": cores,
    }
    network["links"] = gpd.GeoDataFrame(network["links"], geometry=[shapely.LineString([(0, 0), (1, 1)])] * 4, crs=3035)
    return {
        "corridors.absorbing_walk": {"resistance": raster, "absorption": raster.copy(data=raster.values / 100)},
        "corridors.barriers": {"resistance": raster, "cores": cores, "radii_m": [200.0]},
        "corridors.centrality": network,
        "corridors.current": {"resistance": raster, "focal_nodes": cores},
        "corridors.omnidirectional": {"resistance": raster, "radius_cells": 6, "block_size": 3},
        "corridors.pinch_points": {"resistance": raster, "cores": cores},
        "corridors.randomised_paths": {"resistance": raster, "start": cores, "theta": 1e-3},
        "corridors.restore_cell_gain": {"resistance": raster, "cores": cores, "top": 2},
    }[id]


def on_command_line(id, call, folder):
    """The call as files and options."""
    room, name = id.split(".")
    words = [room, name.replace("_", "-")]
    for key, value in call.items():
        option = f"--{key.replace('_', '-')}"
        if isinstance(value, gpd.GeoDataFrame):
            words += [option, write_vectors(value, folder / f"{key}.gpkg")]
        elif hasattr(value, "rio"):
            words += [option, write_raster(value, folder / f"{key}.tif")]
        else:
            words += [option, value[0] if isinstance(value, list) else value]
    return [str(word) for word in words]


def run(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_the_methods_that_take_long_have_an_estimate():
    assert {id for id, declared in methods().items() if declared.has_estimate} == WITH_ESTIMATE
    assert {id for id, declared in methods().items() if declared.schema()["estimate"]} == WITH_ESTIMATE


@pytest.mark.parametrize("id", sorted(WITH_ESTIMATE))
def test_estimate_prints_one_sentence_with_seconds_and_memory_and_writes_nothing(id, tmp_path, monkeypatch, capsys):
    files, place = tmp_path / "files", tmp_path / "place"
    files.mkdir(), place.mkdir()
    words = on_command_line(id, arguments(id), files)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(place)
    code, out, _ = run([*words, "--estimate"], capsys)
    assert code == 0
    assert SENTENCE.fullmatch(out.strip()), out
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("id", sorted(WITH_ESTIMATE))
def test_four_times_the_work_is_estimated_to_take_more_memory(id):
    # time on a shared machine is not asserted; what is modelled is
    declared = methods()[id]
    if id == "corridors.centrality":
        small, large = (declared.estimate(**grid_network(count)) for count in (20, 40))
    else:
        small, large = (declared.estimate(**arguments(id, 60 * k, 80 * k)) for k in (1, 2))
    assert large.memory_bytes > small.memory_bytes
    assert min(small.seconds, small.cpu_seconds) > 0


def grid_network(count):
    """Cores in a row, each joined to the next."""
    cores = gpd.GeoDataFrame({"core": range(count)}, geometry=[shapely.Point(n, 0) for n in range(count)], crs=3035)
    lines = [shapely.LineString([(n, 0), (n + 1, 0)]) for n in range(count - 1)]
    links = {"core_a": range(count - 1), "core_b": range(1, count), "cost": 1.0}
    return {"links": gpd.GeoDataFrame(links, geometry=lines, crs=3035), "cores": cores}


@pytest.mark.parametrize(
    ("id", "change"),
    [
        ("corridors.absorbing_walk", {"steps": [-1]}),
        ("corridors.barriers", {"radii_m": [10.0]}),
        ("corridors.barriers", {"cores": boxes(ground(), [(5, 5)], 3)}),
        ("corridors.current", {"focal_nodes": boxes(ground(), [(5, 5), (5, 5)], 2)}),
        ("corridors.current", {"focal_nodes": boxes(ground(), [(5, 5), (5, 40)], 1)}),
        ("corridors.current", {"sources": ground()}),
        ("corridors.omnidirectional", {"radius_cells": 70}),
        ("corridors.omnidirectional", {"radius_km": 1.0}),
        ("corridors.pinch_points", {"cutoff": 100.0, "cutoff_percent": 3.0}),
        ("corridors.pinch_points", {"resistance": ground() * 0}),
        ("corridors.randomised_paths", {"theta": 1e9}),
        ("corridors.restore_cell_gain", {"sites": boxes(ground(), [(5, 5)], 2).assign(geometry=[shapely.Point(0, 0)])}),
    ],
)
def test_what_the_method_refuses_its_estimate_refuses_in_the_same_words(id, change):
    declared = methods()[id]
    call = arguments(id) | change
    with pytest.raises(LinkwaysError) as by_method:
        declared.function(**call)
    with pytest.raises(LinkwaysError) as by_estimate:
        declared.estimate(**call)
    assert str(by_estimate.value) == str(by_method.value)


def test_a_refused_estimate_ends_in_one_sentence_and_exit_code_2(tmp_path, capsys):
    call = arguments("corridors.barriers") | {"radii_m": [10.0]}
    code, out, err = run([*on_command_line("corridors.barriers", call, tmp_path), "--estimate"], capsys)
    assert (code, out) == (2, "")
    assert err.startswith("Error: corridors.barriers: a search radius of 10 m")


def test_without_estimate_a_folder_for_the_results_is_still_asked_for(tmp_path, capsys):
    words = on_command_line("corridors.barriers", arguments("corridors.barriers"), tmp_path)
    code, _, err = run(words, capsys)
    assert code == 2
    assert "Missing option '--out'" in err


def test_a_method_without_an_estimate_has_no_such_option(tmp_path, capsys):
    code, _, err = run(["corridors", "cost-distance", "--estimate"], capsys)
    assert code == 2
    assert "No such option" in err
    declared = methods()["corridors.link_network"]
    with pytest.raises(LinkwaysError, match=r"corridors.link_network cannot tell beforehand .*: corridors.absorbing_"):
        declared.estimate(**{name: arguments("corridors.barriers")[name] for name in ("resistance", "cores")})


# --- from samples to the whole, with a clock that is told what jobs take ------------------------------------------


@pytest.fixture
def told_clock(monkeypatch):
    """Jobs return what they take instead of taking it."""
    monkeypatch.setattr("linkways.estimates.taken", lambda job: job())


def taking(seconds):
    return lambda: Taken(seconds, 2 * seconds)


@given(rows=st.integers(50, 3000), columns=st.integers(50, 3000), items=st.integers(1, 50))
@settings(max_examples=30, deadline=None)
def test_work_that_grows_with_cells_and_items_is_foreseen(rows, columns, items):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linkways.estimates.taken", lambda job: job())
        found = sampled(
            (rows, columns), lambda shape, n: taking(1e-3 + 2e-7 * n * shape[0] * shape[1]), items=items, few=2, more=4
        )
    whole = 1e-3 + 2e-7 * items * rows * columns
    assert found.whole.seconds == pytest.approx(whole, rel=0.02, abs=1e-3 * items)
    assert found.whole.cpu == pytest.approx(2 * found.whole.seconds)


def test_work_that_grows_faster_than_cells_is_foreseen_by_its_power(told_clock):
    found = sampled((2000, 3000), lambda shape, _: taking(1e-8 * (shape[0] * shape[1]) ** 1.25), power=1.25)
    assert found.whole.seconds == pytest.approx(1e-8 * 6e6**1.25, rel=1e-3)


def test_four_times_the_cells_are_foreseen_to_take_longer(told_clock):
    def foreseen(side):
        return sampled((side, side), lambda shape, _: taking(1e-6 * shape[0] * shape[1])).whole.seconds

    assert foreseen(2000) == pytest.approx(4 * foreseen(1000), rel=1e-3)


def test_work_in_like_items_is_foreseen_with_what_does_not_repeat(told_clock):
    assert sampled_items(lambda n: Taken(0.5 + 0.01 * n, 0.5 + 0.01 * n), 1000, told="").whole.seconds == pytest.approx(
        0.5 + 10, rel=0.2
    )
    assert sampled_items(lambda n: Taken(0.01 * n, 0.01 * n), 1000, told="", fixed=False).whole.seconds == (
        pytest.approx(10)
    )


def test_samples_stop_growing_once_one_tells_enough(told_clock):
    seen = []

    def prepare(shape, _):
        seen.append(shape[0] * shape[1])
        return taking(1e-5 * shape[0] * shape[1])

    sampled((5000, 5000), prepare)
    assert max(seen) <= 160_000


def test_a_sample_that_thinning_makes_impossible_is_passed_over_and_a_real_refusal_stands(told_clock):
    def prepare(shape, _):
        if shape[0] < 300:
            raise LinkwaysError("two cores share a cell")
        return taking(1.0)

    assert "thinned to 400 x 400" in sampled((1000, 1000), prepare).sample
    with pytest.raises(LinkwaysError, match="two cores share a cell"):
        sampled((299, 299), prepare)


# --- a thinned landscape -------------------------------------------------------------------------------------------


@given(
    rows=st.integers(2, 30), columns=st.integers(2, 30), high=st.integers(1, 30), wide=st.integers(1, 30),
    seed=st.integers(0, 99), share=st.floats(0, 1),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_each_block_gives_a_value_of_its_own_and_nodata_only_where_it_holds_nothing_else(
    rows, columns, high, wide, seed, share
):
    high, wide = min(high, rows), min(wide, columns)
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((rows, columns)) < share, np.nan, np.arange(1.0, rows * columns + 1).reshape(rows, -1))
    raster = new_raster(values, crs="EPSG:3035", cell_size=(100, 50), origin=(0, 0))
    small = thinned({"raster": raster, "other": raster * 2}, (high, wide), np.isfinite(values))
    assert small["raster"].shape == (high, wide)
    assert grid_of(small["raster"]).bounds == pytest.approx(grid_of(raster).bounds)
    np.testing.assert_array_equal(small["other"], 2 * small["raster"])
    down, across = (np.append(np.arange(n) * m // n, m) for n, m in ((high, rows), (wide, columns)))
    for i in range(high):
        for j in range(wide):
            block = values[down[i] : down[i + 1], across[j] : across[j + 1]]
            known = block[np.isfinite(block)]
            value = float(small["raster"][i, j])
            assert value in known if len(known) else np.isnan(value)


def test_small_features_that_would_share_a_cell_or_lie_on_nodata_move_apart():
    values = np.ones((40, 40))
    values[:, 20:] = np.nan
    raster = new_raster(values, crs="EPSG:3035", cell_size=1)
    crowd = gpd.GeoDataFrame(geometry=[shapely.Point(1.5 + n / 10, -1.5) for n in range(9)], crs=3035)
    small = thinned({"resistance": raster, "places": crowd}, (10, 10), np.isfinite(values), apart=("places",))
    rows, columns = (
        small["resistance"].indexes[axis].get_indexer(at, method="nearest")
        for axis, at in (("y", small["places"].geometry.y), ("x", small["places"].geometry.x))
    )
    assert len({*zip(rows.tolist(), columns.tolist(), strict=True)}) == 9
    assert np.isfinite(small["resistance"].values[rows, columns]).all()


def test_rasters_of_few_values_give_the_largest_of_each_block():
    amperes = np.full((20, 20), np.nan)
    amperes[3, 3], amperes[4, 4] = 2.0, 5.0
    raster = new_raster(np.ones((20, 20)), crs="EPSG:3035", cell_size=1)
    call = {"resistance": raster, "sources": raster.copy(data=amperes)}
    found = thinned(call, (2, 2), np.ones((20, 20), bool), peaks=("sources",))["sources"].values
    np.testing.assert_array_equal(found, [[5.0, np.nan], [np.nan, np.nan]])


@pytest.mark.parametrize("shape", [(7, 9), (10, 20), (20, 20)])
def test_the_texture_is_that_of_neighbouring_cells_where_they_are_passable(shape):
    values = np.arange(1.0, 401).reshape(20, 20)
    values[:, :3] = np.nan  # the fullest windows lie to the right
    raster = new_raster(values, crs="EPSG:3035", cell_size=1)
    found = thinned({"resistance": raster}, shape, np.isfinite(values), texture="resistance")["resistance"].values
    right = found[:, -5:]
    assert (np.diff(right, axis=1) == 1).all()
    assert (np.diff(right, axis=0) == 20).all()


# --- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "memory", "words"),
    [
        (0.01, 0.4e9, "about 0.1 s and 0.4 GB"),
        (41.7, 0.93e9, "about 42 s and 0.9 GB"),
        (400, 12.3e9, "about 6.7 minutes and 12 GB"),
        (30_000, 1234e9, "about 8.3 hours and 1,234 GB"),
        (1e6, 1e9, "about 12 days and 1.0 GB"),
    ],
)
def test_an_estimate_is_told_in_two_figures(seconds, memory, words):
    assert str(Estimate(seconds, seconds, memory, "100 cells", "measured")) == f"{words}: 100 cells; measured"


def test_compiling_is_told_apart():
    told = str(Estimate(3, 3, 1e9, "100 cells", "measured", compile_seconds=14))
    assert told.endswith("; before that, kernels were compiled in 14 s, once and for all")


# --- INI files -----------------------------------------------------------------------------------------------------


def test_ini_files_of_circuitscape_and_omniscape_have_estimates_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_raster(ground(), tmp_path / "resistance.tif")
    (tmp_path / "points.txt").write_text("1 4000250 2999750\n2 4007250 2994250\n3 4000250 2994250\n")
    (tmp_path / "circuit.ini").write_text(
        "scenario = pairwise\nhabitat_file = resistance.tif\npoint_file = points.txt\noutput_file = out/run.out\n"
    )
    (tmp_path / "omni.ini").write_text(
        "resistance_file = resistance.tif\nradius = 6\nblock_size = 3\nsource_from_resistance = true\n"
        "project_name = project\n"
    )
    before = sorted(tmp_path.rglob("*"))
    for command, file, job in (("circuitscape", "circuit", "3 focal nodes"), ("omniscape", "omni", "windows")):
        code, out, _ = run(["corridors", command, str(tmp_path / f"{file}.ini"), "--estimate"], capsys)
        assert code == 0
        assert SENTENCE.fullmatch(out.strip()), out
        assert job in out
    assert sorted(tmp_path.rglob("*")) == before
    text = (tmp_path / "circuit.ini").read_text().replace("pairwise", "advanced")
    (tmp_path / "circuit.ini").write_text(text + "source_file = points.txt\nground_file = points.txt\n")
    code, _, err = run(["corridors", "circuitscape", str(tmp_path / "circuit.ini"), "--estimate"], capsys)
    assert code == 2
    assert "run it without --estimate" in err


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "one_to_all"},
        {"mode": "all_to_one", "strengths": pd.DataFrame({"node": [1, 2], "strength": [2.0, 3.0]})},
        {"regions": "all", "case_maps": True},
        {"pairs": pd.DataFrame({"node_a": [1, 2, 3], "node_b": [2, 3, 4]})},
        {"pairs": pd.DataFrame({"node_a": [1], "node_b": [2]})},
        {"mask": ground(), "short_circuits": boxes(ground(), [(40, 40)], 3)},
        {"mode": "advanced", "focal_nodes": None, "sources": ground(), "grounds": ground()},
    ],
)
def test_every_way_to_drive_a_circuit_has_an_estimate(change, monkeypatch):
    monkeypatch.setattr("linkways.estimates.ENOUGH", 0)  # the smallest sample will do
    call = arguments("corridors.current", 120, 160)
    if "mask" in change or "sources" in change:
        change = {name: ground(120, 160) if hasattr(value, "rio") else value for name, value in change.items()}
    found = corridors.current.declaration.estimate(**call | change)
    assert "thinned to" in found.sample
    assert found.seconds > 0
