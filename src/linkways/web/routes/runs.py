"""Runs: the list, the page of one, its progress, files and report, and what its owner may do with it."""

import shutil
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, RedirectResponse, Response

from linkways.errors import LinkwaysError
from linkways.web.forms import input_fields, parameter_fields
from linkways.web.jobs import ACTIVE
from linkways.web.languages import N_
from linkways.web.layers import layers_of, maps_of
from linkways.web.pages import PageData, page
from linkways.web.problems import Conflict, NotThere
from linkways.web.replication import box_of, verdict
from linkways.web.security import DOCUMENT_POLICY
from linkways.web.shelf import Entry
from linkways.web.site import CurrentUser, Site, TheSite, own_job

router = APIRouter(tags=["runs"])

ROWS = 50
_DOWNLOADS = {
    "run.json": N_("The run's record"),
    "study.yaml": N_("The study as it ran"),
    "indicators.json": N_("All indicators"),
    "ro-crate-metadata.json": N_("RO-Crate metadata (provenance)"),
}


@page(router, "/runs", "runs.html")
def run_list(site: TheSite) -> PageData:
    """All runs, the newest first."""
    return {"runs": [one.data() for one in site.shelf.entries()]}


@page(router, "/runs/{id}", "run.html")
def run_page(id: str, site: TheSite, user: CurrentUser) -> PageData:
    """One run: how it stands, and when it is finished its maps, numbers, tables, charts, files and provenance."""
    entry = site.shelf.entry(id)
    mine = entry.job is not None and entry.owner == user.id
    data: PageData = {
        "run": entry.data(),
        "mine": mine,
        "user": user.name,
        "progress": entry.job.progress if entry.job else {},
        "log": _log(site, id, 0),
        "setup": None,
        "results": None,
        "solution_title": _title(site, entry.solution),
        "others": [one.data() for one in site.shelf.entries() if one.state == "finished" and one.id != id][:30],
    }
    if entry.state in ("draft", "failed", "cancelled") and mine:
        data["setup"] = setup_of(site, entry)
    if entry.state == "finished":
        data["results"] = _results(site, id)
    return data


def setup_of(site: Site, entry: Entry) -> PageData:
    """What the owner may still change before the run: inputs, parameters, and what the checks say of them."""
    folder = site.settings.job_folder(entry.id)
    study = site.shelf.study(entry.id)
    told = verdict(folder)
    inputs = input_fields(study, told.inputs)
    place = (study.solution or {}).get("place") or {}
    return {
        "ready": told.ready,
        "problems": told.problems,
        "warnings": told.warnings,
        "inputs": inputs,
        "steps": parameter_fields(study),
        "seed": study.seed,
        "box": box_of(study) or place.get("bounds"),
        "boxed": any(item["builtin"] or item["builtins"] for item in inputs),
        "is_replication": (folder / "solution.yaml").is_file(),
        "place": str(place.get("name", "")),
        "server_files": bool(site.settings.read_from),
        "most_upload_mb": site.settings.most_upload_mb,
        "mistakes": {},
    }


def _title(site: Site, solution: str | None) -> str:
    if solution is None:
        return ""
    try:
        return str(site.records.get(solution).title)
    except NotThere:
        return solution


def _log(site: Site, id: str, after: int) -> list[dict[str, Any]]:
    return [vars(one) for one in site.jobs.events(id, after=after)]


def _results(site: Site, id: str) -> PageData:
    run = site.shelf.run(id)
    record = run.record
    outputs = [(step, output) for step in record["steps"] for output in step["outputs"]]
    kept = ("started", "finished", "seconds", "peak_memory_mb", "linkways", "python", "platform", "packages", "seed")
    key = {str(one) for one in (record.get("report") or {}).get("indicators") or []}
    draft = str((record.get("solution") or {}).get("id") or "")
    return {
        "title": record["title"],
        "description": record["description"],
        "about": {"id": record["id"], **{key: record.get(key) for key in kept}},
        "indicators": [
            {"id": f"{step['id']}.{o['name']}", "doc": o["doc"], "value": o["value"], "unit": o["unit"],
             "told": o.get("told", ""), "method": step["method"], "key": not key or f"{step['id']}.{o['name']}" in key}
            for step, o in outputs if o["kind"] == "indicator"
        ],
        "maps": maps_of(run),
        "layers": len(layers_of(run)),
        "tables": [
            {"id": f"{step['id']}.{o['name']}", "doc": o["doc"], "file": o["file"]}
            for step, o in outputs if o["kind"] == "table" and o["file"]
        ],
        "figures": [
            {"id": f"{step['id']}.{o['name']}", "doc": o["doc"], "file": o["file"]}
            for step, o in outputs if o["kind"] == "figure" and o["file"]
        ],
        "documents": [
            {"id": f"{step['id']}.{o['name']}", "doc": o["doc"], "file": o["file"]}
            for step, o in outputs if o["kind"] == "document" and o["file"]
        ],
        "files": _files(run, record),
        "has_report": run.report.is_file(),
        "inputs": [
            {key: item.get(key) for key in ("name", "kind", "crs", "shape", "licence", "source", "simulated", "sha256")}
            for item in record["inputs"]
        ],
        "steps": [
            {key: step[key] for key in ("id", "method", "summary", "seconds", "reused", "parameters", "inputs", "log")}
            for step in record["steps"]
        ],
        "warnings": record.get("warnings") or [],
        "simulated": [item["name"] for item in record["inputs"] if item.get("simulated")],
        "draft": draft if site.shelf.entry(id).kind == "replication" else "",
    }  # fmt: skip


def _files(run: Any, record: dict[str, Any]) -> list[dict[str, Any]]:
    titles = {**_DOWNLOADS, **{name: name for name in record.get("files") or []}}
    there = [(name, title, run.folder / name) for name, title in titles.items()]
    return [{"href": n, "title": t, "bytes": path.stat().st_size} for n, t, path in there if path.is_file()]


# --- watching ------------------------------------------------------------------------


@router.get("/runs/{id}/progress")
def progress(id: str, site: TheSite, after: Annotated[int, Query(ge=0, le=2**53)] = 0) -> dict[str, Any]:
    """How a run stands: state, steps with how far each is, and the lines of its log after a number."""
    entry = site.shelf.entry(id)
    return {
        "state": entry.state,
        "sentence": entry.sentence,
        "progress": entry.job.progress if entry.job else {},
        "waiting": _waiting(site, entry),
        "log": _log(site, id, after),
    }


def _waiting(site: Site, entry: Entry) -> int:
    """How many queued runs are before this one."""
    if entry.job is None or entry.state != "queued":
        return 0
    queued = [job for job in site.jobs.select(state="queued") if (job.queued or 0) < (entry.job.queued or 0)]
    return len(queued)


# --- files ---------------------------------------------------------------------------


@router.get("/runs/{id}/report", response_class=Response)
def report(id: str, site: TheSite) -> Response:
    """The report of a run, as it was written."""
    run = site.shelf.run(id)
    if not run.report.is_file():
        raise NotThere(f"the run {id} has no report; run its study again")
    return FileResponse(run.report, headers={"content-security-policy": DOCUMENT_POLICY})


@router.get("/runs/{id}/files/{name:path}", response_class=Response)
def file(id: str, name: str, site: TheSite) -> Response:
    """A file of a run: one of those that its record names, and nothing else."""
    run = site.shelf.run(id)
    if name not in {*_DOWNLOADS, *(run.record.get("files") or [])}:
        raise NotThere(f"the run {id} has no file '{name[:120]}'")
    path = (run.folder / name).resolve()
    if not path.is_relative_to(run.folder.resolve()) or not path.is_file():
        raise NotThere(f"the run {id} has no file '{name[:120]}'")
    shown = path.suffix in (".png", ".html", ".json")
    headers = {"content-security-policy": DOCUMENT_POLICY, "cache-control": "no-cache"}
    return FileResponse(path, filename=None if shown else f"{id}-{path.name}", headers=headers)


@page(router, "/runs/{id}/tables/{reference}", "table.html")
def table(id: str, reference: str, site: TheSite, rows: Annotated[int, Query(ge=1, le=5000)] = ROWS) -> PageData:
    """A table of a run, its first rows."""
    run = site.shelf.run(id)
    try:
        output = run.output(reference)
    except LinkwaysError as error:
        raise NotThere(str(error)) from None
    if output["kind"] != "table" or not output["file"]:
        raise NotThere(f"{reference} of the run {id} is no table")
    return {
        "run": id,
        "reference": reference,
        "file": output["file"],
        "doc": output["doc"],
        **table_part(run, output, rows),
    }


def table_part(run: Any, output: dict[str, Any], rows: int) -> dict[str, Any]:
    """The first rows of a table as people read them."""
    from linkways.spatial import read_table
    from linkways.studies.numbers import column_heading, column_text

    path = run.folder / output["file"]
    whole = path.with_suffix(".parquet")
    frame = read_table(whole if whole.is_file() else path)
    head = frame.head(rows)
    columns = [str(name) for name in frame.columns if str(name) != "geometry"]
    cells = [column_text(name, head[name].tolist()) for name in columns]
    return {
        "headings": [column_heading(name, output["doc"]) for name in columns],
        "numeric": [frame[name].dtype.kind in "fiu" for name in columns],
        "rows": [list(row) for row in zip(*cells, strict=True)],
        "total": len(frame),
    }


# --- what the owner does -------------------------------------------------------------


def _back(id: str) -> RedirectResponse:
    return RedirectResponse(f"/runs/{id}", 303)


@router.post("/runs/{id}/start")
def start(id: str, site: TheSite, user: CurrentUser) -> RedirectResponse:
    """Put a draft, or a run that failed or was cancelled, into the queue; finished steps are kept."""
    own_job(site, user, id)
    problems = verdict(site.settings.job_folder(id)).problems
    if problems:
        raise Conflict("the checks found mistakes, so nothing was started: " + "; ".join(problems))
    site.jobs.queue(id, site.settings.most_waiting)
    return _back(id)


@router.post("/runs/{id}/cancel")
def cancel(id: str, site: TheSite, user: CurrentUser) -> RedirectResponse:
    """Cancel a run; what is finished of it is kept."""
    own_job(site, user, id)
    site.jobs.cancel(id)
    return _back(id)


@router.post("/runs/{id}/remove")
def remove(id: str, site: TheSite, user: CurrentUser) -> RedirectResponse:
    """Remove a run with its results and uploads."""
    job = own_job(site, user, id)
    if job.state in ACTIVE:
        raise Conflict(f"the run {id} is at work; cancel it first")
    site.jobs.remove(id)
    shutil.rmtree(site.settings.job_folder(id), ignore_errors=True)
    shutil.rmtree(site.settings.tiles_folder(id), ignore_errors=True)
    shutil.rmtree(site.shelf.folder(id), ignore_errors=True)
    return RedirectResponse("/my", 303)
