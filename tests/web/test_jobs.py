"""The jobs table: who gets a job, what becomes of it, and what a worker that comes back too late may do."""

import multiprocessing
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from linkways.errors import LinkwaysError
from linkways.web.jobs import MOST_ATTEMPTS, Jobs
from linkways.web.problems import Conflict, NotThere, TooMany


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path / "jobs.sqlite")


def queued(jobs: Jobs, owner: str = "ada", title: str = "a run") -> str:
    id = jobs.add(owner=owner, kind="replication", title=title).id
    jobs.queue(id, most_waiting=1000)
    return id


def _take_all(file: str, out: "multiprocessing.Queue[list[str]]") -> None:
    """Take jobs until there are none; in a process of its own."""
    own, taken = Jobs(Path(file)), []
    while (job := own.take(1000)) is not None:
        taken.append(job.id)
        assert own.end(job.id, str(job.claim), "finished")
    out.put(taken)


def test_two_workers_never_take_the_same_job_under_load(jobs: Jobs) -> None:
    """Four processes and two threads grab 150 jobs while more are queued; every job is taken exactly once."""
    ids = [queued(jobs) for _ in range(100)]
    context = multiprocessing.get_context("spawn")
    out: multiprocessing.Queue[list[str]] = context.Queue()
    workers = [context.Process(target=_take_all, args=(str(jobs.file), out)) for _ in range(4)]
    for worker in workers:
        worker.start()
    inside: list[list[str]] = []

    def take_here() -> None:
        taken = []
        while (job := jobs.take(1000)) is not None:
            taken.append(job.id)
            jobs.end(job.id, str(job.claim), "finished")
        inside.append(taken)

    threads = [threading.Thread(target=take_here) for _ in range(2)]
    for thread in threads:
        thread.start()
    ids += [queued(jobs) for _ in range(50)]
    outside = [out.get(timeout=60) for _ in workers]
    for one in (*workers, *threads):
        one.join(timeout=60)
    late = []
    while (job := jobs.take(1000)) is not None:
        late.append(job.id)
    taken = Counter(id for part in (*outside, *inside, late) for id in part)
    assert taken == Counter(ids)


def test_the_job_that_has_waited_longest_goes_first(jobs: Jobs) -> None:
    first, second = queued(jobs), queued(jobs)
    taken = [job.id for job in (jobs.take(5), jobs.take(5)) if job is not None]
    assert taken == [first, second]


def test_one_user_does_not_get_more_workers_than_allowed(jobs: Jobs) -> None:
    queued(jobs, "ada")
    queued(jobs, "ada")
    other = queued(jobs, "ben")
    assert jobs.take(1) is not None
    job = jobs.take(1)
    assert job is not None
    assert job.id == other
    assert jobs.take(1) is None


def test_a_user_with_too_many_unfinished_runs_is_told_so(jobs: Jobs) -> None:
    for _ in range(2):
        queued(jobs)
    more = jobs.add(owner="ada", kind="replication", title="one more")
    with pytest.raises(TooMany, match="2 unfinished runs"):
        jobs.queue(more.id, most_waiting=2)
    assert jobs.get(more.id).state == "draft"


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_by_its_worker(jobs: Jobs) -> None:
    waiting = queued(jobs)
    jobs.cancel(waiting)
    assert jobs.get(waiting).state == "cancelled"
    running = queued(jobs)
    job = jobs.take(5)
    assert job is not None
    jobs.cancel(running)
    assert jobs.get(running).state == "running"
    assert jobs.beat(running, str(job.claim)) is True
    assert jobs.end(running, str(job.claim), "cancelled")
    with pytest.raises(Conflict, match="is cancelled and cannot be cancelled"):
        jobs.cancel(running)


def test_a_cancelled_or_failed_job_can_be_queued_again_but_not_a_running_one(jobs: Jobs) -> None:
    id = queued(jobs)
    jobs.cancel(id)
    assert jobs.queue(id, 5).state == "queued"
    jobs.take(5)
    with pytest.raises(Conflict, match="is running already"):
        jobs.queue(id, 5)


def test_the_job_of_a_silent_worker_is_taken_back_and_that_worker_can_say_nothing_more(jobs: Jobs) -> None:
    id = queued(jobs)
    old = jobs.take(5)
    assert old is not None
    time.sleep(0.05)
    assert jobs.take_back(0.01) == [id]
    new = jobs.take(5)
    assert new is not None
    assert new.claim != old.claim
    assert jobs.beat(id, str(old.claim)) is None
    jobs.tell(id, str(old.claim), {"done": 0.9}, [("finished", "x", "late word")])
    assert jobs.get(id).progress == {}
    assert "late word" not in [line.text for line in jobs.events(id)]
    assert not jobs.end(id, str(old.claim), "failed", "late")
    assert jobs.get(id).state == "running"


def test_a_job_whose_workers_always_die_fails_with_a_sentence(jobs: Jobs) -> None:
    id = queued(jobs)
    for _ in range(MOST_ATTEMPTS):
        assert jobs.take(5) is not None
        time.sleep(0.02)
        jobs.take_back(0.01)
    job = jobs.get(id)
    assert job.state == "failed"
    assert "perhaps for lack of memory" in job.sentence


def test_giving_a_job_back_does_not_count_as_a_death(jobs: Jobs) -> None:
    id = queued(jobs)
    for _ in range(MOST_ATTEMPTS + 2):
        job = jobs.take(5)
        assert job is not None
        jobs.give_back(id, str(job.claim))
    assert jobs.get(id).state == "queued"


def test_the_log_goes_on_from_a_number(jobs: Jobs) -> None:
    id = queued(jobs)
    job = jobs.take(5)
    assert job is not None
    jobs.tell(id, str(job.claim), {"done": 0.5}, [("finished", "cores", "1.0 s")])
    lines = jobs.events(id)
    assert [line.kind for line in lines] == ["queued", "running", "finished"]
    assert jobs.events(id, after=lines[1].number) == lines[2:]


def test_a_job_at_work_is_not_removed(jobs: Jobs) -> None:
    id = queued(jobs)
    with pytest.raises(Conflict):
        jobs.remove(id)
    jobs.cancel(id)
    jobs.remove(id)
    with pytest.raises(NotThere):
        jobs.get(id)


def test_a_file_of_a_newer_layout_is_refused_and_left_alone_and_one_without_a_number_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "jobs.sqlite"
    id = Jobs(file).add(owner="ana", kind="replication", title="first", about={}).id
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version = 0")
    assert Jobs(file).get(id).title == "first"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    with pytest.raises(LinkwaysError, match=r"newer Linkways \(layout 99, this one knows 1\); update Linkways"):
        Jobs(file)
    assert file.read_bytes() == before
