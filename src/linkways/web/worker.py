"""A worker process: takes jobs from the table and runs them, one after the other.

It ends when the server that started it is gone, or when it is told to by SIGTERM; a run at work then goes back to the
queue with its finished steps kept. Started as ``python -m linkways.web.worker``.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkways.errors import LinkwaysError
from linkways.web.jobs import Job, Jobs

if TYPE_CHECKING:
    from linkways.studies import Event

__all__ = ["Worker", "main"]

_IDLE_S = 0.25
_BEAT_S = 1.0
_TELL_S = 0.25
_log = logging.getLogger("linkways.worker")


class Worker:
    """Runs the jobs of one table.

    Args:
        runs: the folder of runs.
        most_running: runs of one owner at the same time.
        patience_s: how long a worker may be silent.
        steps_at_once: steps of one run side by side; None for one per core.
        parent: the process that must be alive; None for none.
        catalogue: the database of the catalogue; a file beside the jobs table by default.
    """

    def __init__(
        self,
        runs: Path,
        *,
        most_running: int = 2,
        patience_s: float = 15.0,
        steps_at_once: int | None = None,
        parent: int | None = None,
        catalogue: str = "",
    ) -> None:
        self.runs, self.most_running, self.patience_s = runs, most_running, patience_s
        self.steps_at_once, self.parent = steps_at_once, parent
        self.catalogue = catalogue or str(runs / ".linkways" / "catalogue.sqlite")
        self.jobs = Jobs(runs / ".linkways" / "jobs.sqlite")
        self.stop = threading.Event()

    def work(self) -> None:
        """Take and run jobs until told to stop."""
        while not self.stop.is_set() and self._has_parent():
            self.jobs.take_back(self.patience_s)
            job = self.jobs.take(self.most_running)
            if job is None:
                self.stop.wait(_IDLE_S)
            else:
                self.run(job)

    def run(self, job: Job) -> None:
        """Run one job that was taken."""
        watch = _Watch(self, job)
        with watch:
            state, sentence = self._outcome(job, watch)
        if state == "stopped":
            self.jobs.give_back(job.id, str(job.claim))
            # whoever holds the folder needs a moment to let go
            self.stop.wait(_BEAT_S)
        else:
            self._settle(job, state, sentence)
            self.jobs.end(job.id, str(job.claim), state, sentence)  # type: ignore[arg-type]

    def _settle(self, job: Job, state: str, sentence: str) -> None:
        """Tell the editors' desk what came of a check."""
        from linkways.web.replication import after_check

        if job.kind == "check":
            try:
                after_check(job, self.runs, self.catalogue, state, sentence)
            except LinkwaysError as error:
                _log.error("check %s: %s", job.id, error)

    def _outcome(self, job: Job, watch: _Watch) -> tuple[str, str]:
        from linkways.studies import RunStopped, load_study, run_study
        from linkways.studies.store import FolderBusy
        from linkways.web.replication import after_run

        try:
            study = load_study(self.runs / ".linkways" / "jobs" / job.id)
            watch.plan(study)
            out = self.runs / job.id
            run_study(study, out, jobs=self.steps_at_once, on_event=watch.hear, stop=watch.halt)
            watch.flush()
        except RunStopped:
            return ("cancelled", "") if watch.cancelled else ("stopped", "")
        except FolderBusy:
            # a worker that was thought dead is ending its step
            return "stopped", ""
        except LinkwaysError as error:
            return "failed", str(error)
        except Exception as error:
            _log.exception("run %s", job.id)
            return "failed", f"an error in Linkways itself ({type(error).__name__}: {error}); please report it"
        try:
            after_run(self.jobs.get(job.id), self.runs, self.catalogue)
        except LinkwaysError as error:
            # the results are there, whatever becomes of the draft
            watch.note(f"the draft of the solution could not be put into the catalogue: {error}")
        return "finished", ""

    def _has_parent(self) -> bool:
        return self.parent is None or os.getppid() == self.parent


class _Watch:
    """Stands between a run and the table: tells its progress, and stops it when asked to."""

    def __init__(self, worker: Worker, job: Job) -> None:
        self.worker, self.job, self.claim = worker, job, str(job.claim)
        self.halt, self.done = threading.Event(), threading.Event()
        self.cancelled = False
        self.steps: dict[str, dict[str, Any]] = {}
        self.now = ""
        self.lines: list[tuple[str, str, str]] = []
        self.told = 0.0
        self.thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def plan(self, study: Any) -> None:
        """The steps that will be run, for those who watch."""
        self.steps = {
            step.id: {"id": step.id, "method": step.method, "state": "waiting", "done": 0.0, "what": ""}
            for step in study.steps
        }
        self.flush()

    def hear(self, event: Event) -> None:
        """Take one event of the run."""
        if event.step in self.steps:
            states = {"progress": "running", "started": "running"}
            step = self.steps[event.step]
            ended = event.kind in ("finished", "reused")
            step["state"] = states.get(event.kind, event.kind)
            step["done"] = 1.0 if ended else round(event.done, 4)
            step["what"] = "" if ended else event.what
            step["seconds"] = event.seconds
            step["seconds_left"] = event.seconds_left
        else:
            self.now = {"stopping": "stopping", "report": "writing the report"}.get(event.kind, "")
        if event.kind != "progress":
            self.lines.append((event.kind, event.step, self._line(event)))
        if event.kind != "progress" or time.monotonic() - self.told >= _TELL_S:
            self.flush()

    def note(self, sentence: str) -> None:
        """Write a sentence into the log."""
        self.lines.append(("note", "", sentence))
        self.flush()

    def flush(self) -> None:
        """Write down what was heard."""
        steps = list(self.steps.values())
        finished = sum(step["state"] in ("finished", "reused") for step in steps)
        share = sum(step["done"] for step in steps) / len(steps) if steps else 0.0
        progress = {"steps": steps, "finished": finished, "total": len(steps), "done": share, "what": self.now}
        self.worker.jobs.tell(self.job.id, self.claim, progress, self.lines)
        self.lines = []
        self.told = time.monotonic()

    def _line(self, event: Event) -> str:
        if event.kind == "finished":
            return f"{event.seconds:.1f} s"
        return event.what

    def _beat(self) -> None:
        while not self.done.wait(_BEAT_S):
            word = self.worker.jobs.beat(self.job.id, self.claim)
            self.cancelled = bool(word)
            if word is not False or self.worker.stop.is_set() or not self.worker._has_parent():
                self.halt.set()


def main(arguments: list[str]) -> None:
    """Work on a folder of runs: RUNS PARENT MOST_RUNNING PATIENCE STEPS_AT_ONCE (0 for one per core)."""
    runs, parent, most_running, patience, steps = arguments
    worker = Worker(
        Path(runs),
        most_running=int(most_running),
        patience_s=float(patience),
        steps_at_once=int(steps) or None,
        parent=int(parent),
        catalogue=os.environ.get("LINKWAYS_WEB_CATALOGUE", ""),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop.set())
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    worker.work()


if __name__ == "__main__":
    main(sys.argv[1:])
