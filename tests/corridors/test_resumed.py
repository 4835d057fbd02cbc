"""Methods that are stopped go on from their finished windows, solves, pairs and fields, and end bit by bit the same."""

import itertools
from collections import Counter
from contextlib import suppress
from dataclasses import fields
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from linkways import checkpoint, corridors, workers
from linkways.checkpoint import keep_in
from linkways.corridors import _circuit, _circuit_modes, _circuit_responses, _network, _windows
from linkways.corridors import restore as restoring
from linkways.method import reporting_progress
from linkways.workers import on_cluster

from .conftest import cell_boxes, planar

# their functions carry the same names
barriers, pinch_points = (import_module(f"linkways.corridors.{name}") for name in ("barriers", "pinch_points"))


class Stop(BaseException):
    """Raised from a watcher, as a study does to stop a step."""


RNG = np.random.default_rng(8)
LAND = planar(10 ** RNG.uniform(0, 2, (62, 55)))
WIDE = planar(10 ** RNG.uniform(0, 2, (132, 70)))
POINTS = cell_boxes(LAND, [(int(r), int(c)) for r, c in zip(range(2, 62, 5), RNG.permutation(55)[:12], strict=True)])
REGIONS = cell_boxes(LAND, [(r, c, 3, 2) for r, c in itertools.product((3, 25, 50), (4, 24, 44))])
FEW = pd.DataFrame({"node_a": [1, 3], "node_b": [2, 9]})
SITES = cell_boxes(LAND, [(10, 10, 2, 2), (40, 30, 1, 4), (20, 50)])

SOLVE = (_circuit.Circuit, "_solve")
PAIR = (_circuit_modes, "_checked_pair")
FIELD = (_network, "_field_of_core")
CASES = {
    "windows": (lambda: corridors.omnidirectional(WIDE, radius_cells=4), [(_windows, "_run_batch")], 0.3),
    "windows of blocks, with decay": (
        lambda: corridors.omnidirectional(WIDE, radius_km=0.5, block_size=3, decay_km=0.4),
        [(_windows, "_run_batch")],
        0.1,
    ),
    "pairs of points": (lambda: corridors.current(LAND, POINTS), [SOLVE], 0.2),
    "pairs of points with maps": (lambda: corridors.current(LAND, POINTS, case_maps=True), [SOLVE], 0.2),
    "pairs of regions": (lambda: corridors.current(LAND, REGIONS, focal_currents=False), [PAIR], 0.4),
    "pairs of regions with maps": (
        lambda: corridors.current(LAND, REGIONS, case_maps=True, voltage_maps=True),
        [PAIR],
        0.4,
    ),
    "few pairs of regions": (
        lambda: corridors.current(LAND, REGIONS, pairs=FEW),
        [(_circuit_modes, "_driven"), SOLVE],
        "pair 1 of 2",
    ),
    "regions all at once": (lambda: corridors.current(LAND, REGIONS, regions="all"), [SOLVE], 0.2),
    "one to all, stopped in the solves": (lambda: corridors.current(LAND, REGIONS, mode="one_to_all"), [SOLVE], 0.3),
    "one to all, stopped in the maps": (
        lambda: corridors.current(LAND, REGIONS, mode="one_to_all"),
        [SOLVE, (_circuit_responses.Responses, "one_to_all")],
        0.95,
    ),
    "all to one": (
        lambda: corridors.current(LAND, REGIONS, mode="all_to_one"),
        [SOLVE, (_circuit_responses.Responses, "all_to_one")],
        0.95,
    ),
    "cost distances": (lambda: corridors.least_cost(LAND, REGIONS, rule="all_pairs"), [FIELD], 0.4),
    "pinch points, stopped in the cost distances": (lambda: corridors.pinch_points(LAND, REGIONS), [FIELD], 0.4),
    "pinch points": (
        lambda: corridors.pinch_points(LAND, REGIONS, minimum_cut=True),
        [FIELD, (pinch_points, "_through_corridor")],
        0.9,
    ),
    "pinch points of pairs": (
        lambda: corridors.pinch_points(LAND, REGIONS, mode="all_pairs", cutoff_percent=200),
        [FIELD, (pinch_points, "quietly_driven")],
        0.9,
    ),
    "pinch points of grounds": (
        lambda: corridors.pinch_points(LAND, REGIONS, mode="all_to_one", cutoff_percent=200),
        [FIELD, SOLVE],
        0.9,
    ),
    "barriers": (
        lambda: corridors.barriers(LAND, REGIONS, radii_m=[200, 400, 600]),
        [FIELD, (barriers, "_best_cell")],
        0.9,
    ),
    "barriers painted over their disks": (
        lambda: corridors.barriers(LAND, REGIONS, radii_m=[200, 400], fill=True, rule="nearest"),
        [FIELD, (barriers, "_best_cell")],
        0.85,
    ),
    "effect of all cells": (lambda: corridors.restore_cell_gain(LAND, REGIONS[:4]), [(restoring, "_look")], 0.2),
    "restored sites": (
        lambda: corridors.restore_cell_gain(LAND, REGIONS[:4], sites=SITES),
        [(restoring, "_look"), (restoring, "_edited")],
        0.7,
    ),
}


@pytest.fixture
def often(monkeypatch):
    """Everything that is finished is written at once."""
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "WORTH", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)


@pytest.fixture
def one_by_one(monkeypatch):
    """Nothing is computed ahead of its use, so that what is counted does not depend on chance."""

    def each(function, shared, items, *, threads=None):
        return (function(shared, item) for item in items)

    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(workers, "each", each)
    monkeypatch.setattr(_network, "each", each)


@pytest.fixture
def count(monkeypatch):
    """Count the calls of functions while a method runs."""

    def counted(places):
        calls = Counter()
        for place, name in places:
            real = getattr(place, name)

            def call(*args, real=real, name=name, **more):
                calls[name] += 1
                return real(*args, **more)

            monkeypatch.setattr(place, name, call)
        return calls

    return counted


def stop_at(moment):
    """Raise when a share of the work is done, or when this is told."""

    def watch(done, what):
        if what == moment if isinstance(moment, str) else done >= moment:
            raise Stop

    return reporting_progress(watch)


def same(one, two):
    """Every part of two results is the same to the last bit."""
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if isinstance(a, pd.DataFrame):
            pd.testing.assert_frame_equal(pd.DataFrame(a), pd.DataFrame(b), check_exact=True)
        elif hasattr(a, "values"):
            assert a.identical(b), field.name
            assert a.values.tobytes() == b.values.tobytes(), field.name
        else:
            assert a == b, field.name


@pytest.mark.parametrize("name", CASES)
def test_a_stopped_method_computes_only_what_was_left_and_gives_the_same(name, tmp_path, often, one_by_one, count):
    run, places, share = CASES[name]
    whole = run()
    calls = count(places)
    with suppress(Stop), keep_in(tmp_path / "kept"), stop_at(share):
        run()
    first = calls.copy()
    assert any(first.values())
    calls.clear()
    with keep_in(tmp_path / "kept") as keeper:
        resumed = run()
        assert keeper.took_over
    second = calls.copy()
    same(resumed, whole)
    calls.clear()
    same(run(), whole)
    assert first + second == calls
    assert second != calls
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("name", ["windows", "cost distances", "pinch points", "effect of all cells"])
def test_in_threads_a_stopped_method_gives_the_same(name, tmp_path, often):
    run, _, share = CASES[name]
    with suppress(Stop), keep_in(tmp_path / "kept"), stop_at(share):
        run()
    with keep_in(tmp_path / "kept") as keeper:
        same(run(), CASES[name][0]())
        assert keeper.took_over


@pytest.mark.filterwarnings("ignore")
def test_on_a_cluster_a_stopped_method_goes_on_and_gives_the_same(tmp_path, often):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        on_cluster(cluster.scheduler_address),
    ):
        for name in ("windows", "pinch points"):
            run, _, share = CASES[name]
            with suppress(Stop), keep_in(tmp_path / name), stop_at(share):
                run()
            with keep_in(tmp_path / name) as keeper:
                same(run(), run())
                assert keeper.took_over


def test_a_changed_parameter_takes_over_only_what_it_does_not_touch(tmp_path, often, one_by_one, count):
    with suppress(Stop), keep_in(tmp_path / "kept"), stop_at(0.9):
        corridors.barriers(LAND, REGIONS, radii_m=[200, 400])
    calls = count([FIELD, (barriers, "_best_cell")])
    with keep_in(tmp_path / "kept"):
        changed = corridors.barriers(LAND, REGIONS, radii_m=[200, 300])
    kept = calls.copy()
    calls.clear()
    same(changed, corridors.barriers(LAND, REGIONS, radii_m=[200, 300]))
    assert kept["_field_of_core"] == 0
    assert kept["_best_cell"] == calls["_best_cell"]


def test_progress_never_goes_back_while_currents_are_computed():
    for run, _, _ in [case for name, case in CASES.items() if "regions" in name or "points" in name or "all" in name]:
        seen = []
        with reporting_progress(lambda done, what: seen.append(done)):  # noqa: B023
            run()
        assert seen == sorted(seen)
        assert seen[0] >= 0.0
        assert seen[-1] <= 1.0
