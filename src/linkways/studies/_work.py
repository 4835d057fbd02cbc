"""The work of one run: which steps must run, in which order, side by side, with what handed to them."""

from __future__ import annotations

import contextvars
import hashlib
import json
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from linkways import __version__
from linkways.checkpoint import Keeper, Stopped, keep_in
from linkways.errors import LinkwaysError
from linkways.method import reporting_progress
from linkways.studies import provenance
from linkways.studies._memory import MemoryWatch, Peak
from linkways.studies._publish import FORMAT, publish
from linkways.studies.checks import Examined, Target, align_chain
from linkways.studies.inputs import content_hash, read_input
from linkways.studies.store import Finished, Store, disk_sentence, step_key
from linkways.time_left import TimeLeft

__all__ = ["Event", "RunStopped", "Work"]


@dataclass(frozen=True)
class Event:
    """Something that happened in a run, for whoever watches it.

    Attributes:
        kind: ``started``, ``progress``, ``finished``, ``reused`` or ``failed`` tell of a step; ``stopping`` that the
            run was asked to stop and waits for the steps at work; ``report`` that the report is being written.
        step: the step's id, empty for ``stopping`` and ``report``.
        method: the id of its method.
        done: how much of the step is done, 0 to 1.
        what: what it is doing, or why it failed.
        finished: how many steps are finished.
        steps: how many steps the study has.
        seconds: how long the step took, once it is finished.
        seconds_left: how much longer the step will take, None where that cannot be told (yet).
    """

    kind: Literal["started", "progress", "finished", "reused", "failed", "stopping", "report"]
    step: str = ""
    method: str = ""
    done: float = 0.0
    what: str = ""
    finished: int = 0
    steps: int = 0
    seconds: float | None = None
    seconds_left: float | None = None


class RunStopped(Stopped):
    """A run was stopped before its end; what is finished is kept and the next run goes on from there."""


class _Cancelled(BaseException):
    """Raised inside a step when the run is to stop; not an Exception, so that no method takes it for its own."""


@dataclass(frozen=True)
class _News:
    """What a step's thread tells the run."""

    step: str
    event: Event | None = None
    finished: Finished | None = None
    error: BaseException | None = None


class Work:
    """One execution of an examined study."""

    def __init__(
        self,
        found: Examined,
        out: Path,
        store: Store,
        on_event: Callable[[Event], None],
        stop: threading.Event,
    ) -> None:
        self.found, self.out, self.store, self.on_event, self.stop = found, out, store, on_event, stop
        self.halt = threading.Event()
        """Set when steps at work are to end at their next sign of progress."""
        self.news: queue.SimpleQueue[_News] = queue.SimpleQueue()
        self.finished: dict[str, Finished] = {}
        self.reused: set[str] = set()
        self.keys: dict[str, str] = {}
        self.hashes: dict[str, tuple[str, str]] = {}
        self.read_records: dict[str, dict[str, Any]] = {}
        self.memory = MemoryWatch()

    def run(self, jobs: int, fresh: bool) -> None:
        """Run what must run and write the run folder."""
        started, clock = datetime.now(UTC), time.perf_counter()
        with self.memory, self.memory.watching() as peak:
            self._hash_inputs()
            self._find_keys()
            if fresh:
                for key in self.keys.values():
                    self.store.forget_partial(key)
            else:
                self._take_over()
            waiting = [id for id in self.found.order if id not in self.finished]
            self.values = _Values(self, waiting)
            self._work_off(waiting, _safe_jobs(min(jobs, len(waiting))))
            shown = self._keep_shown_inputs()
        record = self._record(started, clock, peak, shown)
        publish(self.out, self.found, record, self.finished, shown, lambda: self._tell("report"))
        self.store.prune({*self.keys.values(), *(key for _, key in self.hashes.values())})

    def stopped(self) -> RunStopped:
        """What to say when the run was stopped."""
        done, steps = len(self.finished), len(self.found.study.steps)
        parts = [id for id, key in self.keys.items() if id not in self.finished and self.store.partial(key).is_dir()]
        also = f" with what was finished of {', '.join(parts)}" if parts else ""
        return RunStopped(
            f"stopped with {done} of {steps} steps finished, which are kept in {self.out}{also}; "
            "run the same command again to go on from there"
        )

    # keys

    def _hash_inputs(self) -> None:
        inputs = self.found.study.inputs
        own = {
            name: content_hash(item, self.found.headers[name], self.store.downloads) for name, item in inputs.items()
        }
        for name in inputs:
            chain = align_chain(inputs, name)
            if len(chain) == 1:
                self.hashes[name] = own[name]
                continue
            decides = [[own[link][1], inputs[link].rule] for link in chain]
            self.hashes[name] = own[name][0], _text_key(decides)

    def _find_keys(self) -> None:
        for id in self.found.order:
            wiring = {
                name: [self._content(one) for one in value] if isinstance(value, list) else self._content(value)
                for name, value in self.found.wiring[id].items()
            }
            self.keys[id] = step_key(self.found.methods[id], self.found.parameters[id], wiring, __version__)

    def _content(self, target: Target) -> str:
        if target.input is not None:
            return self.hashes[target.input][1]
        return f"{self.keys[str(target.step)]}.{target.output}"

    def _take_over(self) -> None:
        for id in self.found.order:
            earlier = self.store.finished(self.keys[id])
            # a result of an earlier declaration may lack a part that was added since
            declared = {one.name for one in self.found.methods[id].outputs}
            if earlier is not None and declared <= set(earlier.parts):
                self.finished[id] = earlier
                self.reused.add(id)
                self._tell("reused", id, done=1.0, seconds=earlier.record["seconds"])

    # steps

    def _work_off(self, waiting: list[str], jobs: int) -> None:
        """Start steps as they become free, at most ``jobs`` at once, until all are finished or one failed."""
        left, running = list(waiting), set[str]()
        failure: tuple[str, BaseException] | None = None
        stopping = False
        while running or (left and failure is None and not stopping):
            try:
                if failure is None and not stopping:
                    for id in self._startable(left, jobs - len(running)):
                        left.remove(id)
                        running.add(id)
                        self._start(id)
                news = self._next_news()
                if news is not None and news.event is not None:
                    self.on_event(news.event)
                elif news is not None:
                    running.discard(news.step)
                    failure = self._take(news, failure)
                if self.stop.is_set() and not stopping:
                    raise KeyboardInterrupt
            except KeyboardInterrupt:
                # A second Ctrl-C does not wait: what is at work has written nothing that counts.
                if stopping:
                    raise
                stopping = True
                self.halt.set()
                self._tell("stopping", what=f"waiting for {', '.join(sorted(running))}" if running else "")
        if failure is not None:
            raise _told(self.found, *failure)
        if stopping:
            raise self.stopped()

    def _startable(self, left: list[str], free: int) -> list[str]:
        ready = [id for id in left if self.found.dependencies(id) <= self.finished.keys()]
        return ready[: max(free, 0)]

    def _start(self, id: str) -> None:
        self._tell("started", id)
        context = contextvars.copy_context()
        # Daemon threads: a process that is told twice to stop does not wait for them.
        threading.Thread(target=context.run, args=(self._work_on, id), name=f"step {id}", daemon=True).start()

    def _next_news(self) -> _News | None:
        try:
            return self.news.get(timeout=0.2)
        except queue.Empty:
            return None

    def _take(self, news: _News, failure: tuple[str, BaseException] | None) -> tuple[str, BaseException] | None:
        if news.finished is not None:
            self.finished[news.step] = news.finished
            self._tell("finished", news.step, done=1.0, seconds=news.finished.record["seconds"])
            return failure
        error = news.error
        if error is None or isinstance(error, _Cancelled):
            return failure
        self._tell("failed", news.step, what=str(error))
        return failure or (news.step, error)

    def _work_on(self, id: str) -> None:
        """Run one step; in its own thread."""
        try:
            self.news.put(_News(id, finished=self._compute(id)))
        except BaseException as error:
            self.news.put(_News(id, error=error))
        finally:
            self.values.release(id)

    def _compute(self, id: str) -> Finished:
        handed = {
            name: told_apart(value, self.values.get) if isinstance(value, list) else self.values.get(value)
            for name, value in self.found.wiring[id].items()
        }
        self._check_stop()
        # removed only when the step is in the store, so that a full disk there costs no work
        with keep_in(self.store.partial(self.keys[id])) as keeper:
            return self._compute_kept(id, keeper, handed)

    def _compute_kept(self, id: str, keeper: Keeper, handed: dict[str, Any]) -> Finished:
        from linkways.spatial import note, recording

        method, parameters = self.found.methods[id], self.found.parameters[id]
        clock = time.perf_counter()
        time_left = TimeLeft()
        watching = reporting_progress(self._watcher(id, time_left), time_left)
        with self.memory.watching() as peak, recording() as log, watching:
            result = method.function(**handed, **parameters)
            if keeper.took_over:
                note("went on from what an earlier run had finished of it; the seconds are those of this run alone")
        record = {
            "step": id,
            "method": method.id,
            "version": method.version,
            "linkways": __version__,
            "parameters": parameters,
            "finished": _iso(datetime.now(UTC)),
            "seconds": round(time.perf_counter() - clock, 4),
            "peak_memory_mb": peak.megabytes,
            "log": log,
        }
        with recording() as writing:
            return self.store.keep(self.keys[id], method, method.parts(result), record, writing)

    def _watcher(self, id: str, time_left: TimeLeft) -> Callable[[float, str], None]:
        last = 0.0

        def watch(done: float, what: str) -> None:
            nonlocal last
            self._check_stop()
            now = time.monotonic()
            # Nobody sees more than a few changes a second.
            if now - last >= 0.05 or done >= 1.0:
                last = now
                event = self._event("progress", id, done=done, what=what, seconds_left=time_left.seconds())
                self.news.put(_News(id, event=event))

        return watch

    def _check_stop(self) -> None:
        if self.halt.is_set() or self.stop.is_set():
            raise _Cancelled

    def _tell(self, kind: Any, id: str = "", **more: Any) -> None:
        self.on_event(self._event(kind, id, **more))

    def _event(self, kind: Any, id: str, **more: Any) -> Event:
        method = self.found.methods[id].id if id else ""
        return Event(kind, id, method, finished=len(self.finished), steps=len(self.found.study.steps), **more)

    # what remains

    def _keep_shown_inputs(self) -> dict[str, Finished]:
        """The inputs that the report draws, kept beside the results so that the folder stands on its own."""
        kept = {}
        for name in sorted(self.found.shown):
            key = self.hashes[name][1]
            earlier = self.store.finished(key)
            if earlier is not None and earlier.parts:
                kept[name] = earlier
                self.read_records[name] = earlier.record
                continue
            value = self.values.read(name)
            kept[name] = self.store.keep_input(key, self.found.headers[name].kind, value, self.read_records[name])
        return kept

    def _record(self, started: datetime, clock: float, peak: Peak, shown: Mapping[str, Finished]) -> dict[str, Any]:
        study = self.found.study
        inputs = []
        for name in study.inputs:
            sha, key = self.hashes[name]
            read = self.read_records.get(name) or self._earlier_record(key)
            record = provenance.input_record(self.found, name, sha, read, self.out)
            files = [file for file, _ in provenance.published_input(name, shown[name])] if name in shown else []
            inputs.append({**record, "file": files[0] if files else None})
        steps = [
            provenance.step_record(self.found, id, self.keys[id], self.finished[id], id in self.reused)
            for id in (step.id for step in study.steps)
        ]
        return {
            "linkways": __version__,
            "format": FORMAT,
            "id": provenance.run_id(self.found, {name: key for name, (_, key) in self.hashes.items()}),
            "title": study.title,
            "description": study.description,
            "solution": study.solution,
            "started": _iso(started),
            "finished": _iso(datetime.now(UTC)),
            "seconds": round(time.perf_counter() - clock, 3),
            "peak_memory_mb": peak.megabytes,
            **provenance.surroundings(),
            "seed": study.seed,
            "warnings": self.found.warnings,
            "inputs": inputs,
            "steps": steps,
            "report": study.report,
        }

    def _earlier_record(self, key: str) -> dict[str, Any] | None:
        earlier = self.store.finished(key)
        return earlier.record if earlier is not None else None


def told_apart(targets: Sequence[Target], get: Callable[[Target], Any]) -> list[Any]:
    """Their values; rasters of one name, as results of one method are, take the names they have in the study."""
    values = [get(one) for one in targets]
    names = [getattr(value, "name", None) for value in values]
    if len({*map(str, names)}) == len(names) or not all(hasattr(value, "dims") for value in values):
        return values
    steps = [one.reference.split(".")[0] for one in targets]
    short = len(set(steps)) == len(steps)
    return [
        value.rename(step if short else one.reference) for value, step, one in zip(values, steps, targets, strict=True)
    ]


class _Values:
    """What is handed to steps: read from disk once, shared, and let go after the last step that needs it.

    Outputs are always handed on as they are read back, so that a run in one go and a resumed run compute with the very
    same values.
    """

    def __init__(self, work: Work, waiting: list[str]) -> None:
        self._work = work
        self._lock = threading.RLock()
        self._held: dict[str, Any] = {}
        self._uses: dict[str, int] = {}
        for id in waiting:
            for target in set(work.found.targets(id)):
                self._uses[target.reference] = self._uses.get(target.reference, 0) + 1

    def get(self, target: Target) -> Any:
        """The value for one step; attributes set on it do not reach other steps."""
        with self._lock:
            value = self.read(target.input) if target.input is not None else self._read_back(target)
        return value.copy(deep=False)

    def release(self, id: str) -> None:
        """The step has done with its inputs."""
        with self._lock:
            for target in set(self._work.found.targets(id)):
                self._uses[target.reference] -= 1
                if self._uses[target.reference] <= 0:
                    self._held.pop(target.reference, None)

    def read(self, name: str) -> Any:
        """Read a study input whole, aligned where the recipe says so, and remember what was noted."""
        from linkways.spatial import align, recording

        with self._lock:
            if name in self._held:
                return self._held[name]
            work = self._work
            item, header = work.found.study.inputs[name], work.found.headers[name]
            template = self.read(item.align) if item.align is not None else None
            with recording() as log:
                try:
                    value = read_input(item, header, work.store.downloads)
                    if template is not None:
                        value = align(value, template, rule=item.rule or "nearest")
                except LinkwaysError as error:
                    raise LinkwaysError(f"input {name}: {error}") from error
            record = provenance.read_record(value, [*header.log, *log])
            if name not in work.read_records:
                work.read_records[name] = record
                key = work.hashes[name][1]
                if work.store.finished(key) is None:
                    work.store.note_input(key, record)
            # Data that opening had to read are held here from now on, or read again.
            work.found.headers[name] = replace(header, loaded=None)
            return self._hold(name, value)

    def _read_back(self, target: Target) -> Any:
        if target.reference in self._held:
            return self._held[target.reference]
        finished, output = self._work.finished[str(target.step)], str(target.output)
        if finished.parts[output].kind == "nothing":
            raise LinkwaysError(f"{target.reference} is empty with these parameters, and this step needs it")
        return self._hold(target.reference, finished.read(output))

    def _hold(self, reference: str, value: Any) -> Any:
        if self._uses.get(reference, 0) > 0:
            self._held[reference] = value
        return value


# --- small matters -------------------------------------------------------------------


def _told(found: Examined, id: str, error: BaseException) -> BaseException:
    """The error of a step as the run tells it: one sentence for a mistake, the error itself with a note for a bug."""
    where = f"step {id} ({found.methods[id].id})"
    if isinstance(error, LinkwaysError):
        return LinkwaysError(f"step {id}: {error}")
    if isinstance(error, MemoryError):
        return LinkwaysError(f"{where} ran out of memory; use fewer --jobs, smaller bounds or larger cells")
    if isinstance(error, OSError):
        return LinkwaysError(f"{where}: {disk_sentence(error, Path(str(error.filename or '.')))}")
    error.add_note(f"in {where}; finished steps are kept")
    return error


def _safe_jobs(jobs: int) -> int:
    """As many jobs, or one where numba's threads could not take kernels from two steps at once (it would abort)."""
    if jobs < 2:
        return max(jobs, 1)
    from importlib import import_module

    from numba import config

    if str(config.THREADING_LAYER) == "workqueue":
        return 1
    for layer in ("omppool", "tbbpool"):
        try:
            import_module(f"numba.np.ufunc.{layer}")
        except ImportError:
            continue
        return jobs
    return 1


def _text_key(data: Any) -> str:
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
