"""What a scenario changes, told at once: the steps that it touches are computed in memory, and nothing is written.

All else is taken from the finished run beside it. What takes longer than the time given is left out and named; the
scenario run as a study of its own tells it all, with maps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from linkways.errors import LinkwaysError
from linkways.studies._work import told_apart

if TYPE_CHECKING:
    from linkways.studies import Run, Study
    from linkways.studies.checks import Examined, Target
    from linkways.studies.scenarios import Edit

__all__ = ["Answer", "ChangedIndicator", "answer_at_once"]

_COMPARED = ("method", "inputs", "parameters")


@dataclass(frozen=True)
class ChangedIndicator:
    """One number before and after: ``step.output``, what it is, its unit."""

    id: str
    doc: str
    unit: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class Answer:
    """What a scenario changes.

    Attributes:
        indicators: every indicator of the steps that were computed again.
        computed: those steps, in their order.
        left_out: steps that the scenario touches and that were not computed in the time given.
        seconds: how long it took.
    """

    indicators: tuple[ChangedIndicator, ...]
    computed: tuple[str, ...]
    left_out: tuple[str, ...]
    seconds: float


class _TooLong(BaseException):
    """Raised inside a step when its time is over; not an Exception, so that no method takes it for its own."""


def answer_at_once(run: Run, study: Study, edits: Sequence[Edit], *, within_s: float = 20.0) -> Answer:
    """Return what edits of a study change in the numbers of its finished run.

    Args:
        run: the finished run of the study.
        study: the study as it ran.
        edits: roads, fences, crossings, restored land, protected areas, removed barriers.
        within_s: seconds after which steps that are not finished are left out.

    Raises:
        LinkwaysError: an edit outside the data, or a step that refuses what it is given.
    """
    from linkways.studies import load_study
    from linkways.studies.checks import examine
    from linkways.studies.scenarios import apply_edits, study_on_its_own

    began = time.perf_counter()
    with TemporaryDirectory() as folder:
        before = study_on_its_own(study)
        data = apply_edits(study, edits, Path(folder))
        edited = load_study(_written(data, Path(folder)))
        found = examine(edited)
        if found.problems:
            raise LinkwaysError(found.problems[0])
        touched = _touched(before, found)
        memory = _Memory(run, found, touched)
        computed: list[str] = []
        left_out: list[str] = []
        for id in (one for one in found.order if one in touched):
            lacking = {str(one.step) for one in found.targets(id)} & set(left_out)
            left_s = within_s - (time.perf_counter() - began)
            if lacking or left_s <= 0 or not memory.compute(id, left_s):
                left_out.append(id)
            else:
                computed.append(id)
    rows = [row for id in computed for row in _indicators(run, found, id, memory.results[id])]
    return Answer(tuple(rows), tuple(computed), tuple(left_out), time.perf_counter() - began)


def _written(data: Mapping[str, Any], folder: Path) -> Path:
    from linkways.plain_yaml import write_yaml

    file = folder / "study.yaml"
    file.write_text(write_yaml(dict(data)), encoding="utf-8")
    return file


def _touched(before: Mapping[str, Any], found: Examined) -> set[str]:
    """Steps that differ, or stand on an input or a step that does."""
    after = found.study.data
    inputs = {name for name, item in after["inputs"].items() if item != before["inputs"].get(name)}
    inputs |= {name for name, item in found.study.inputs.items() if item.align in inputs}
    known = {step["id"]: step for step in before["steps"]}
    touched: set[str] = set()
    steps = {step["id"]: step for step in after["steps"]}
    for id in found.order:
        own = known.get(id)
        differs = own is None or any(own.get(key) != steps[id].get(key) for key in _COMPARED)
        stands_on = any(one.input in inputs or one.step in touched for one in found.targets(id))
        if differs or stands_on:
            touched.add(id)
    return touched


class _Memory:
    """What steps are given and what they gave."""

    def __init__(self, run: Run, found: Examined, touched: set[str]) -> None:
        self.run, self.found, self.touched = run, found, touched
        self.results: dict[str, dict[str, Any]] = {}
        self._inputs: dict[str, Any] = {}

    def compute(self, id: str, within_s: float) -> bool:
        """Compute a step; whether it was done in time."""
        method = self.found.methods[id]
        handed = {
            name: told_apart(value, self._get) if isinstance(value, list) else self._get(value)
            for name, value in self.found.wiring[id].items()
        }
        with _ending(within_s) as watching:
            try:
                with watching:
                    result = method.function(**handed, **self.found.parameters[id])
            except _TooLong:
                return False
            except LinkwaysError as error:
                raise LinkwaysError(f"step {id}: {error}") from error
        self.results[id] = method.parts(result)
        return True

    def _get(self, target: Target) -> Any:
        if target.input is not None:
            value = self._input(target.input)
        elif target.step in self.touched:
            value = self.results[str(target.step)][str(target.output)]
        else:
            value = _kept(self.run.folder, self._stamp(), f"{target.step}.{target.output}")
        return value.copy(deep=False) if hasattr(value, "copy") else value

    def _input(self, name: str) -> Any:
        from linkways.spatial import align
        from linkways.studies.inputs import read_input

        if name not in self._inputs:
            item = self.found.study.inputs[name]
            header = self.found.headers[name]
            own = [(str(file), file.stat().st_mtime_ns) for file in header.files]
            if own and item.align is None:
                kept = _kept_input(repr((self.run.folder, name, own, item)))
                if kept[0] is None:
                    kept[0] = read_input(item, header, self.run.folder)
                value = kept[0]
            else:
                value = read_input(item, header, self.run.folder)
            if item.align is not None:
                value = align(value, self._input(item.align), rule=item.rule or "nearest")
            self.found.headers[name] = replace(header, loaded=None)
            self._inputs[name] = value
        return self._inputs[name]

    def _stamp(self) -> int:
        return (self.run.folder / "run.json").stat().st_mtime_ns


@lru_cache(maxsize=48)
def _kept(folder: Path, stamp: int, reference: str) -> Any:
    """A result of a finished run, held for the next question."""
    from linkways.studies import read_run

    del stamp  # part of the key
    return read_run(folder).read(reference)


@lru_cache(maxsize=48)
def _kept_input(key: str) -> list[Any]:
    """A place for an input as it was read, held for the next question."""
    del key
    return [None]


@contextmanager
def _ending(within_s: float) -> Iterator[Any]:
    from linkways.method import reporting_progress

    end = time.perf_counter() + within_s
    own = threading.get_ident()

    def watch(done: float, what: str) -> None:
        del done, what
        if time.perf_counter() > end and threading.get_ident() == own:
            raise _TooLong

    yield reporting_progress(watch)


def _indicators(run: Run, found: Examined, id: str, parts: Mapping[str, Any]) -> list[ChangedIndicator]:
    rows = []
    for output in found.methods[id].outputs:
        if output.kind != "indicator":
            continue
        name = f"{id}.{output.name}"
        try:
            before = run.output(name)["value"]
        except LinkwaysError:
            continue
        rows.append(ChangedIndicator(name, output.doc, output.unit, before, _number(parts[output.name])))
    return rows


def _number(value: Any) -> float | None:
    import math

    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None
