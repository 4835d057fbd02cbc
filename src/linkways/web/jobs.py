"""The table of jobs: every run that was asked for, in one SQLite file that server and workers share.

A job is a draft while its inputs are being chosen, then queued, running, and finished, failed or cancelled. A worker
takes a job by one UPDATE that gives it a claim; every later word of that worker counts only as long as the claim is
still its own, so that a worker that was silent for too long and comes back cannot disturb the one that took over.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from linkways.errors import LinkwaysError
from linkways.web.problems import Conflict, NotThere, TooMany

__all__ = ["ACTIVE", "Job", "JobEvent", "Jobs"]

State = Literal["draft", "queued", "running", "finished", "failed", "cancelled"]
ACTIVE = ("queued", "running")
MOST_ATTEMPTS = 3
"""A run whose worker died this often is not tried again: it takes the worker down."""

VERSION = 1
"""Layout of the file; raised with every change of the tables, which has to bring older files along."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL,
  solution TEXT, baseline TEXT, about TEXT NOT NULL DEFAULT '{}',
  created REAL NOT NULL, queued REAL, started REAL, ended REAL,
  sentence TEXT NOT NULL DEFAULT '', progress TEXT NOT NULL DEFAULT '{}',
  claim TEXT, heartbeat REAL, attempts INTEGER NOT NULL DEFAULT 0, cancel INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, queued);
CREATE INDEX IF NOT EXISTS jobs_by_owner ON jobs (owner, created);
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL,
  step TEXT NOT NULL DEFAULT '', text TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_job ON events (job, number);
"""

_TAKE = """
UPDATE jobs SET state = 'running', claim = :claim, heartbeat = :now, started = coalesce(started, :now),
  attempts = attempts + 1, sentence = ''
WHERE state = 'queued' AND id = (
  SELECT id FROM jobs AS waiting WHERE state = 'queued'
    AND (SELECT count(*) FROM jobs AS other WHERE other.owner = waiting.owner AND other.state = 'running') < :most
  ORDER BY queued LIMIT 1)
RETURNING *
"""


@dataclass(frozen=True)
class JobEvent:
    """One line of a job's log."""

    number: int
    at: float
    kind: str
    step: str
    text: str


@dataclass(frozen=True)
class Job:
    """One row of the table.

    Attributes:
        id: short and hard to guess; also the name of the run folder.
        owner: the user who asked for it.
        kind: ``replication``, ``scenario`` or ``process``.
        state: see the module.
        solution: the id of the solution it was made from.
        baseline: the run that a scenario is compared with.
        about: what else is known of it, by kind.
        sentence: why it failed, in one sentence.
        progress: steps and how far they are, as the worker last told.
    """

    id: str
    owner: str
    kind: str
    title: str
    state: State
    solution: str | None
    baseline: str | None
    about: dict[str, Any]
    created: float
    queued: float | None
    started: float | None
    ended: float | None
    sentence: str
    progress: dict[str, Any]
    claim: str | None
    heartbeat: float | None
    attempts: int
    cancel: bool


class Jobs:
    """The jobs table in one file.

    Raises:
        LinkwaysError: a newer Linkways wrote the file.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise LinkwaysError(
                    f"{file} was written by a newer Linkways (layout {version}, this one knows {VERSION}); update "
                    "Linkways, or serve another folder of runs"
                )
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_SCHEMA)
            if version < VERSION:
                # files from before layouts were numbered have the first one
                db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.file, timeout=30.0, isolation_level=None)
        db.row_factory = sqlite3.Row
        # with a write-ahead log nothing is lost when a process dies; a power cut may cost the last moments of progress
        db.execute("PRAGMA synchronous = NORMAL")
        try:
            yield db
        finally:
            db.close()

    # --- asking --------------------------------------------------------------------

    def get(self, id: str) -> Job:
        """Return one job.

        Raises:
            NotThere: there is none.
        """
        with self._open() as db:
            row = db.execute("SELECT * FROM jobs WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise NotThere(f"there is no run '{id}'; the list of runs has all of them")
        return _job(row)

    def select(
        self, *, owner: str | None = None, state: str | None = None, solution: str | None = None, most: int = 500
    ) -> list[Job]:
        """Return jobs, the newest first."""
        asked = {"owner": owner, "state": state, "solution": solution}
        given = {name: value for name, value in asked.items() if value is not None}
        where = " AND ".join(f"{name} = :{name}" for name in given) or "1"
        with self._open() as db:
            query = f"SELECT * FROM jobs WHERE {where} ORDER BY created DESC LIMIT :most"
            return [_job(row) for row in db.execute(query, {**given, "most": most})]

    def events(self, id: str, *, after: int = 0, most: int = 1000) -> list[JobEvent]:
        """Return the log of a job from the line after number ``after``."""
        query = "SELECT number, at, kind, step, text FROM events WHERE job = ? AND number > ? ORDER BY number LIMIT ?"
        with self._open() as db:
            return [JobEvent(**dict(row)) for row in db.execute(query, (id, after, most))]

    # --- what people do ------------------------------------------------------------

    def add(
        self,
        *,
        owner: str,
        kind: str,
        title: str,
        solution: str | None = None,
        baseline: str | None = None,
        about: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> Job:
        """Add a draft and return it."""
        id = id or secrets.token_hex(6)
        now = time.time()
        with self._open() as db:
            db.execute(
                "INSERT INTO jobs (id, owner, kind, title, state, solution, baseline, about, created) "
                "VALUES (?, ?, ?, ?, 'draft', ?, ?, ?, ?)",
                (id, owner, kind, title, solution, baseline, json.dumps(dict(about or {})), now),
            )
        return self.get(id)

    def change(self, id: str, *, title: str | None = None, about: Mapping[str, Any] | None = None) -> None:
        """Change the title or what is known of a job."""
        with self._open() as db:
            if title is not None:
                db.execute("UPDATE jobs SET title = ? WHERE id = ?", (title, id))
            if about is not None:
                db.execute("UPDATE jobs SET about = ? WHERE id = ?", (json.dumps(dict(about)), id))

    def queue(self, id: str, most_waiting: int) -> Job:
        """Put a draft, or a run that failed or was cancelled, into the queue.

        Raises:
            Conflict: it is queued or running already, or finished.
            TooMany: its owner has ``most_waiting`` unfinished runs already.
        """
        query = """
        UPDATE jobs SET state = 'queued', queued = :now, ended = NULL, cancel = 0, attempts = 0, sentence = ''
        WHERE id = :id AND state IN ('draft', 'failed', 'cancelled') AND (
          SELECT count(*) FROM jobs AS other WHERE other.owner = jobs.owner AND other.state IN ('queued', 'running')
        ) < :most
        """
        with self._open() as db:
            done = db.execute(query, {"id": id, "now": time.time(), "most": most_waiting}).rowcount
            if done:
                self._note(db, id, "queued")
        job = self.get(id)
        if not done and job.state in ("draft", "failed", "cancelled"):
            raise TooMany(f"you have {most_waiting} unfinished runs, which is the most; wait for one or cancel one")
        if not done:
            raise Conflict(f"the run {id} is {job.state} already")
        return job

    def cancel(self, id: str) -> None:
        """Cancel a job: a waiting one at once, a running one when its worker hears of it.

        Raises:
            Conflict: it is neither queued nor running.
        """
        with self._open() as db:
            waiting = "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'queued'"
            if db.execute(waiting, (time.time(), id)).rowcount:
                self._note(db, id, "cancelled")
                return
            if db.execute("UPDATE jobs SET cancel = 1 WHERE id = ? AND state = 'running'", (id,)).rowcount:
                return
        raise Conflict(f"the run {id} is {self.get(id).state} and cannot be cancelled")

    def remove(self, id: str) -> None:
        """Forget a job that is not at work.

        Raises:
            Conflict: it is queued or running.
        """
        with self._open() as db:
            gone = "DELETE FROM jobs WHERE id = ? AND state NOT IN ('queued', 'running')"
            if not db.execute(gone, (id,)).rowcount:
                raise Conflict(f"the run {id} is at work; cancel it first")
            db.execute("DELETE FROM events WHERE job = ?", (id,))

    # --- what workers do -----------------------------------------------------------

    def take(self, most_running: int) -> Job | None:
        """Take the job that has waited longest, or None; no two workers ever get the same one.

        ``most_running`` is how many runs of one owner may be at work at the same time.
        """
        values = {"claim": secrets.token_hex(8), "now": time.time(), "most": most_running}
        with self._open() as db:
            rows = db.execute(_TAKE, values).fetchall()
            if not rows:
                return None
            self._note(db, rows[0]["id"], "running")
            return _job(rows[0])

    def beat(self, id: str, claim: str) -> bool | None:
        """Say that the worker is alive; return whether the run is to be cancelled, None when it is another's now."""
        query = "UPDATE jobs SET heartbeat = ? WHERE id = ? AND claim = ? AND state = 'running' RETURNING cancel"
        with self._open() as db:
            rows = db.execute(query, (time.time(), id, claim)).fetchall()
        return bool(rows[0]["cancel"]) if rows else None

    def tell(self, id: str, claim: str, progress: Mapping[str, Any], lines: list[tuple[str, str, str]]) -> None:
        """Write down how far the run is, and lines (kind, step, text) for its log."""
        query = "UPDATE jobs SET progress = ?, heartbeat = ? WHERE id = ? AND claim = ? AND state = 'running'"
        with self._open() as db:
            if db.execute(query, (json.dumps(dict(progress)), time.time(), id, claim)).rowcount:
                for kind, step, text in lines:
                    self._note(db, id, kind, step, text)

    def end(self, id: str, claim: str, state: Literal["finished", "failed", "cancelled"], sentence: str = "") -> bool:
        """Write down how the run ended; False when it is another worker's by now."""
        query = (
            "UPDATE jobs SET state = ?, sentence = ?, ended = ?, claim = NULL "
            "WHERE id = ? AND claim = ? AND state = 'running'"
        )
        with self._open() as db:
            done = db.execute(query, (state, sentence, time.time(), id, claim)).rowcount > 0
            if done:
                self._note(db, id, state, text=sentence)
        return done

    def give_back(self, id: str, claim: str) -> None:
        """Put a job that the worker cannot go on with back to the head of the queue; its finished steps are kept."""
        query = (
            "UPDATE jobs SET state = 'queued', claim = NULL, attempts = attempts - 1 "
            "WHERE id = ? AND claim = ? AND state = 'running'"
        )
        with self._open() as db:
            if db.execute(query, (id, claim)).rowcount:
                self._note(db, id, "queued", text="the worker stopped; another one goes on from the finished steps")

    def take_back(self, patience_s: float) -> list[str]:
        """Take back the jobs of workers that have been silent for so many seconds, and return their ids.

        A job goes to the queue again; one whose workers died `MOST_ATTEMPTS` times has failed.
        """
        silent = time.time() - patience_s
        again = (
            "UPDATE jobs SET state = 'queued', claim = NULL "
            "WHERE state = 'running' AND heartbeat < ? AND attempts < ? AND cancel = 0 RETURNING id"
        )
        sentence = (
            f"the process that ran it ended {MOST_ATTEMPTS} times without a word, perhaps for lack of memory; "
            "run it over a smaller area or with larger cells"
        )
        ended = (
            "UPDATE jobs SET state = iif(cancel, 'cancelled', 'failed'), sentence = iif(cancel, '', ?), ended = ?, "
            "claim = NULL WHERE state = 'running' AND heartbeat < ? RETURNING id, state, sentence"
        )
        with self._open() as db:
            ids = [row["id"] for row in db.execute(again, (silent, MOST_ATTEMPTS)).fetchall()]
            for id in ids:
                self._note(db, id, "queued", text="its worker is gone; another one goes on from the finished steps")
            for row in db.execute(ended, (sentence, time.time(), silent)).fetchall():
                self._note(db, row["id"], row["state"], text=row["sentence"])
        return ids

    def _note(self, db: sqlite3.Connection, id: str, kind: str, step: str = "", text: str = "") -> None:
        values = (id, time.time(), kind, step, text)
        db.execute("INSERT INTO events (job, at, kind, step, text) VALUES (?, ?, ?, ?, ?)", values)


def _job(row: sqlite3.Row) -> Job:
    data = dict(row)
    data["about"], data["progress"] = json.loads(data["about"]), json.loads(data["progress"])
    return Job(**{**data, "cancel": bool(data["cancel"])})
