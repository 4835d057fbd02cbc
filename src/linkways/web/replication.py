"""Replications: a solution's study with one's own inputs and parameters, and the draft of a solution that follows.

The folder of a job holds ``solution.yaml`` (a replication: the draft of the new solution, its study inside) or
``study.yaml`` (anything else), and what was handed in under ``inputs/``. What the worker runs is what lies there.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkways.errors import LinkwaysError
from linkways.web.problems import Conflict, Forbidden
from linkways.web.settings import Settings, User

if TYPE_CHECKING:
    from linkways.catalogue import Solution, Store
    from linkways.studies import Study
    from linkways.web.jobs import Job, Jobs

__all__ = [
    "Verdict",
    "add_job",
    "after_check",
    "after_run",
    "box_of",
    "draft_record",
    "read_box",
    "read_job_study",
    "refuse_unless_open",
    "replicate",
    "share_steps",
    "verdict",
    "write_job_study",
]

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Verdict:
    """What the checks say before anything runs."""

    problems: list[str]
    warnings: list[str]
    inputs: dict[str, dict[str, Any]]
    """What was found of each input: kind, CRS, bounds, rows and columns, licence, source, simulated."""

    @property
    def ready(self) -> bool:
        """Whether it can run."""
        return not self.problems


def replicate(settings: Settings, jobs: Jobs, store: Store, user: User, solution: str) -> Job:
    """Begin a replication: a draft job with the study of a solution, to be given inputs of one's own.

    Raises:
        Conflict: the solution carries no study.
        Forbidden: its study reads from an address or from a path, which this server does not do for others.
    """
    record = store.get(solution)
    if not record.study:
        raise Conflict(f"the solution {solution} carries no study yet, so it cannot be replicated here")
    _refuse_reaching_out(record.study)
    title = f"Replication of: {record.title}"[:400]
    job = jobs.add(owner=user.id, kind="replication", title=title, solution=solution)
    made = draft_record(record, job.id, user, title)
    _write_record(made, settings.job_folder(job.id))
    return job


def add_job(
    settings: Settings,
    jobs: Jobs,
    user: User,
    study: Mapping[str, Any],
    *,
    kind: str,
    title: str,
    baseline: str | None = None,
    solution: str | None = None,
    about: Mapping[str, Any] | None = None,
) -> Job:
    """Add a draft job that runs a study given as plain data."""
    job = jobs.add(
        owner=user.id, kind=kind, title=title[:400], solution=solution, baseline=baseline, about=dict(about or {})
    )
    write_job_study(settings.job_folder(job.id), {**study, "title": title})
    return job


def draft_record(original: Solution, id: str, user: User, title: str) -> Solution:
    """The draft of the solution that a replication makes: it links back, and takes over the blocks that the study runs.

    What the original tells of its place, impacts and partners is not copied: the new solution tells its own.
    """
    from linkways.catalogue import record_from

    data = original.to_data()
    blocks = [
        {
            "block": block["block"] if "block" in block else f"{original.id}/{block['id']}",
            "version": block.get("version", 1),
            "title": block["title"],
            "description": block["description"],
            "steps": block["steps"],
        }
        for block in data.get("building_blocks", [])
        if block.get("steps")
    ]
    kept = {name: data[name] for name in ("language", "species", "classifications", "keywords") if data.get(name)}
    return record_from(
        {
            "id": f"{original.id}-{id}"[:120],
            "title": title,
            "summary": f"The study of the solution '{original.title}', run again with other inputs or settings."[:4000],
            **kept,
            "place": {key: data["place"][key] for key in ("name", "bounds") if data["place"].get(key)},
            **({"contributors": [user.name]} if user != User() else {}),
            "building_blocks": blocks,
            "replicates": {"solution": original.id},
            "study": data["study"],
        },
        name=f"draft {id}",
    )


def read_job_study(folder: Path) -> Study:
    """The study that lies in the folder of a job."""
    from linkways.studies import load_study

    return load_study(folder)


def write_job_study(
    folder: Path, study: Mapping[str, Any], *, place: str | None = None, box: Box | None = None, title: str = ""
) -> None:
    """Put a changed study into the folder of a job; of a replication also the place and title of its draft."""
    from linkways.catalogue import read_record, record_from, write_record
    from linkways.plain_yaml import write_yaml
    from linkways.studies.store import write_text

    file = folder / "solution.yaml"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "study.yaml", write_yaml(dict(study)))
        return
    data = read_record(file).to_data()
    data["study"] = dict(study)
    if title:
        data["title"] = data["study"]["title"] = title
    if place:
        data["place"]["name"] = place
    if box:
        data["place"]["bounds"] = list(box)
    write_record(record_from(data, name="the draft"), file)


def verdict(folder: Path) -> Verdict:
    """Check the study of a job; nothing is computed and nothing is written."""
    from linkways.studies.checks import examine

    found = examine(read_job_study(folder))
    name = str(folder)
    hide = [(f"{name}/solution.yaml", "the study"), (f"{name}/study.yaml", "the study"), (f"{name}/", "")]
    shown = {
        key: {
            "kind": header.kind,
            "crs": header.crs,
            "bounds": header.bounds,
            "shape": header.shape,
            "licence": header.licence,
            "source": header.source,
            "simulated": header.simulated,
        }
        for key, header in found.headers.items()
    }
    return Verdict(_without(found.problems, hide), _without(found.warnings, hide), shown)


def after_run(job: Job, runs: Path, catalogue: str) -> None:
    """When a replication has run: its draft names the run and goes into the catalogue, as a draft of its owner.

    The key indicators of the run become what the draft states that its study gives.
    """
    from linkways.catalogue import open_store, read_record, record_from, write_record

    file = runs / ".linkways" / "jobs" / job.id / "solution.yaml"
    if job.kind != "replication" or not file.is_file():
        return
    data = read_record(file).to_data()
    data["replicates"]["run"] = job.id
    data["reproduces"] = [{"computed": name, "value": value} for name, value in key_indicators(runs / job.id).items()]
    record = record_from(data, name="the draft")
    write_record(record, file)
    with open_store(catalogue) as store:
        store.put(record, author=job.owner, note=f"made by run {job.id}", status="draft")


def key_indicators(folder: Path) -> dict[str, float]:
    """The numbers that the report of a finished run shows, by ``step.output``; those that are finite."""
    from linkways.studies import read_run

    run = read_run(folder)
    found = {}
    for name in (run.record.get("report") or {}).get("indicators") or []:
        value = run.output(str(name))["value"]
        if isinstance(value, (int, float)):
            found[str(name)] = float(value)
    return found


def after_check(job: Job, runs: Path, catalogue: str, state: str, sentence: str) -> None:
    """When the check of a record has run: what its study gave beside what the record states goes to the desk."""
    from linkways.catalogue import Desk, open_store

    with open_store(catalogue) as store:
        desk, id = Desk(store), str(job.solution)
        revision = int(job.about.get("revision", 1))
        if state != "finished":
            told = [sentence or f"the run was {state}"]
            desk.note_check(id, job.id, "failed", told, revision)
            return
        run = _indicators(runs / job.id)
        told, wrong = [], 0
        for stated in store.get(id, revision).reproduces:
            found = run.get(stated.computed)
            right = stated.met_by(found)
            wrong += not right
            shown = "nothing" if found is None else f"{found:,.6g}"
            told.append(
                f"{stated.computed}: stated {stated.value:,.6g}, found {shown}"
                + ("" if right else f"; differs by more than {stated.tolerance_percent:g} per cent")
            )
        if not told:
            told = ["the study runs; the record states no figures of it"]
        desk.note_check(id, job.id, "failed" if wrong else "passed", told, revision)


def _indicators(folder: Path) -> dict[str, float | None]:
    """All numbers of a finished run, by ``step.output``."""
    from linkways.studies import read_run

    outputs = [(step["id"], one) for step in read_run(folder).record["steps"] for one in step["outputs"]]
    return {f"{step}.{one['name']}": one["value"] for step, one in outputs if one["kind"] == "indicator"}


def share_steps(baseline: Path, folder: Path) -> None:
    """Let a new run begin with the finished steps of another one, so that only what differs is computed again.

    Results are linked, not copied; the store of steps checks every file and never changes one in place.
    """
    import os

    source, target = baseline / ".steps", folder / ".steps"
    if not source.is_dir() or target.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / ".steps.aside"
    shutil.rmtree(aside, ignore_errors=True)

    def link(one: str, other: str) -> None:
        try:
            os.link(one, other)
        except OSError:
            shutil.copy2(one, other)

    ignored = shutil.ignore_patterns("lock", "tmp-*", "*.partial")
    shutil.copytree(source, aside, copy_function=link, ignore=ignored)
    aside.rename(target)


def box_of(study: Study) -> Box | None:
    """The box over which a study reads built-in layers, when it reads any."""
    boxes = [item.bounds for item in study.inputs.values() if item.origin == "builtin" and item.bounds]
    return boxes[0] if boxes else None


def _write_record(record: Solution, folder: Path) -> None:
    from linkways.catalogue import write_record

    folder.mkdir(parents=True, exist_ok=True)
    write_record(record, folder / "solution.yaml")


def _refuse_reaching_out(study: Mapping[str, Any]) -> None:
    """A record may come from anyone: its study must not make this server fetch addresses or read its files."""
    inputs = study.get("inputs")
    for name, item in (inputs if isinstance(inputs, dict) else {}).items():
        for origin in ("url", "path"):
            if isinstance(item, dict) and item.get(origin) is not None:
                raise Forbidden(
                    f"input {name} of this study is read from a {origin}, which this server does not do for others; "
                    "run it from the command line, or import it with its data in a package"
                )


def _without(sentences: list[str], hide: list[tuple[str, str]]) -> list[str]:
    """The sentences without the paths of the server in them."""
    out = []
    for sentence in sentences:
        for old, new in hide:
            sentence = sentence.replace(old, new)
        out.append(sentence)
    return out


def refuse_unless_open(job: Job) -> None:
    """Refuse a change to a job that has begun.

    Raises:
        Conflict: it is queued, running or finished.
    """
    if job.state not in ("draft", "failed", "cancelled"):
        raise Conflict(f"the run {job.id} is {job.state}; begin a new one to change its inputs or settings")


def read_box(bounds: str) -> Box:
    """Read a box from text: west, south, east, north in degrees.

    Raises:
        LinkwaysError: not four numbers, or outside the world.
    """
    try:
        west, south, east, north = (float(part) for part in bounds.split(","))
    except ValueError:
        raise LinkwaysError("the box must be four numbers in degrees: west, south, east, north") from None
    inside = -180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= 90 and -90 <= north <= 90
    if not inside or not south < north or west == east:
        raise LinkwaysError(
            f"the box {bounds} does not lie in the world; west and east run from -180 to 180, south from -90 up to "
            "north, at most 90"
        )
    return west, south, east, north
