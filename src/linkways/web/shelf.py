"""The shelf of runs: jobs from the table, and finished runs that lie in the folder without a job."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkways.errors import LinkwaysError
from linkways.web.jobs import Job, Jobs
from linkways.web.problems import Conflict, NotThere
from linkways.web.settings import Settings

if TYPE_CHECKING:
    from linkways.studies import Run, Study

__all__ = ["Entry", "Shelf"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True)
class Entry:
    """One run in a list: what it is, what it was made from, and how it stands."""

    id: str
    title: str
    kind: str
    state: str
    owner: str
    solution: str | None
    baseline: str | None
    created: str
    ended: str
    sentence: str
    done: float
    job: Job | None

    def data(self) -> dict[str, Any]:
        """The entry as plain data."""
        kept = ("id", "title", "kind", "state", "solution", "baseline", "created", "ended", "sentence", "done")
        return {name: getattr(self, name) for name in kept}


class Shelf:
    """All runs that this server shows.

    Attributes:
        may_see: asked of every run before anything of it is shown to whoever asks; None shows all to everyone.
    """

    def __init__(self, settings: Settings, jobs: Jobs) -> None:
        self.settings, self.jobs = settings, jobs
        self.may_see: Callable[[Entry], bool] | None = None
        self._lock = threading.Lock()

    def folder(self, id: str) -> Path:
        """The run folder of an id, whether or not it exists.

        Raises:
            NotThere: the id is no name of a folder.
        """
        if not _NAME.fullmatch(id):
            raise NotThere(f"there is no run '{id[:60]}'; the list of runs has all of them")
        return self.settings.runs / id

    def entry(self, id: str) -> Entry:
        """One run.

        Raises:
            NotThere: there is none that may be seen.
        """
        found = self._entry(id)
        if self.may_see is not None and not self.may_see(found):
            raise NotThere(f"there is no run '{id[:60]}'; the list of runs has all of them")
        return found

    def _entry(self, id: str) -> Entry:
        folder = self.folder(id)
        try:
            return _of_job(self.jobs.get(id))
        except NotThere:
            if not (folder / "run.json").is_file():
                raise
        return _of_record(id, self._run(id).record)

    def entries(self) -> list[Entry]:
        """All runs, the newest first."""
        found = [_of_job(job) for job in self.jobs.select()]
        known = {one.id for one in found}
        for file in self.settings.runs.glob("*/run.json"):
            id = file.parent.name
            if id not in known and _NAME.fullmatch(id):
                try:
                    found.append(_of_record(id, self._run(id).record))
                except LinkwaysError:
                    continue
        if self.may_see is not None:
            found = [one for one in found if self.may_see(one)]
        return sorted(found, key=lambda one: one.created, reverse=True)

    def of_solution(self, solution: str) -> list[Entry]:
        """Finished runs of a solution's own study, the newest first."""
        return [one for one in self.entries() if one.state == "finished" and self._solution(one) == solution]

    def _solution(self, entry: Entry) -> str | None:
        """The solution whose study ran unchanged, or the draft that was made for a replication."""
        return str((self.record(entry.id).get("solution") or {}).get("id") or "") or None

    def record(self, id: str) -> dict[str, Any]:
        """What ``run.json`` of a finished run says; read again only when the file has changed.

        Raises:
            Conflict: the run is not finished.
        """
        return self.run(id).record

    def run(self, id: str) -> Run:
        """A finished run.

        Raises:
            Conflict: the run is not finished.
            NotThere: it may not be seen.
        """
        if self.may_see is not None:
            self.entry(id)
        return self._run(id)

    def draft_of(self, id: str) -> str:
        """The id of the record that a finished run's study came from or made; empty when there is none."""
        try:
            return str((self._run(id).record.get("solution") or {}).get("id") or "")
        except LinkwaysError:
            return ""

    def _run(self, id: str) -> Run:
        folder = self.folder(id)
        try:
            changed = (folder / "run.json").stat().st_mtime_ns
        except OSError:
            raise Conflict(f"the run {id} has no results yet; wait until it is finished") from None
        with self._lock:
            return _read(folder, changed)

    def study(self, id: str) -> Study:
        """The study of a run, finished or not.

        Raises:
            NotThere: there is neither a job nor a finished run.
        """
        from linkways.studies import load_study

        if self.may_see is not None:
            self.entry(id)
        folder = self.settings.job_folder(id)
        if _NAME.fullmatch(id) and folder.is_dir():
            return load_study(folder)
        self.entry(id)
        return load_study(self.folder(id) / "study.yaml")


@lru_cache(maxsize=256)
def _read(folder: Path, changed: int) -> Run:
    from linkways.studies import read_run

    del changed  # part of the key
    return read_run(folder)


def _of_job(job: Job) -> Entry:
    return Entry(
        job.id,
        job.title,
        job.kind,
        job.state,
        job.owner,
        job.solution,
        job.baseline,
        _iso(job.created),
        _iso(job.ended),
        job.sentence,
        1.0 if job.state == "finished" else float(job.progress.get("done", 0.0)),
        job,
    )


def _of_record(id: str, record: dict[str, Any]) -> Entry:
    solution = (record.get("solution") or {}).get("id")
    started, finished = str(record["started"]), str(record["finished"])
    return Entry(id, record["title"], "study", "finished", "", solution, None, started, finished, "", 1.0, None)


def _iso(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
