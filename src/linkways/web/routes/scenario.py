"""What if: changes drawn on a run's map, run as a scenario beside it."""

import json
import re
import threading
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.datastructures import FormData

from linkways.errors import LinkwaysError
from linkways.studies.scenarios import apply_edits, edit_from, input_layer, possible_edits
from linkways.web.layers import geojson_of
from linkways.web.pages import PageData, html, page, posted_form
from linkways.web.problems import Conflict, TooMany
from linkways.web.replication import add_job, share_steps, verdict, write_job_study
from linkways.web.site import CurrentUser, TheSite

router = APIRouter(tags=["scenarios"])


@page(router, "/runs/{id}/what-if", "what_if.html")
def what_if(id: str, site: TheSite) -> PageData:
    """What can be changed in a run's study: roads, fences, crossings, land, protected areas, barriers."""
    run = site.shelf.run(id)
    study = site.shelf.study(id)
    return {"run": site.shelf.entry(id).data(), "title": run.record["title"], "edits": possible_edits(study)}


@router.get("/runs/{id}/inputs/{name}.geojson", response_class=Response)
def input_features(id: str, name: str, site: TheSite) -> Response:
    """An input of features as the run's study reads it, each with its place in the layer (``_row``)."""
    return Response(geojson_of(input_layer(site.shelf.study(id), name)), media_type="application/geo+json")


@router.post("/runs/{id}/what-if")
def run_scenario(
    request: Request,
    id: str,
    site: TheSite,
    user: CurrentUser,
    form: FormData = Depends(posted_form),  # noqa: B008
) -> Response:
    """Run a scenario beside a run: ``edits`` as JSON, or one edit as ``kind``, ``coordinates``, ``value``, ``input``.

    A scenario in which the checks find mistakes is kept as a draft and told with them.
    """
    baseline = site.shelf.run(id)
    study = site.shelf.study(id)
    texts = {key: value for key, value in form.multi_items() if isinstance(value, str)}
    edits = [edit_from(one, study) for one in _edits(texts)]
    kinds = ", ".join(dict.fromkeys(edit.kind for edit in edits))
    title = texts.get("title", "").strip() or f"{baseline.record['title']}, what if: {kinds}"
    entry = site.shelf.entry(id)
    job = add_job(
        site.settings, site.jobs, user, {"linkways": 1, "steps": []}, kind="scenario", title=title, baseline=id,
        solution=entry.solution, about={"edits": _edits(texts)},
    )  # fmt: skip
    folder = site.settings.job_folder(job.id)
    try:
        changed = apply_edits(study, edits, folder)
    except LinkwaysError:
        site.jobs.remove(job.id)
        raise
    description = f"Scenario beside run {id}: {kinds}. {baseline.record.get('description') or ''}".strip()
    write_job_study(folder, {**changed, "title": title, "description": description})
    share_steps(baseline.folder, site.shelf.folder(job.id))
    problems = verdict(folder).problems
    if not problems:
        site.jobs.queue(job.id, site.settings.most_waiting)
    if html(request):
        return RedirectResponse(f"/runs/{job.id}", 303)
    return JSONResponse({"run": job.id, "state": "draft" if problems else "queued", "problems": problems}, 201)


@router.post("/runs/{id}/what-if/now")
def answer_now(
    id: str,
    site: TheSite,
    form: FormData = Depends(posted_form),  # noqa: B008
) -> dict[str, Any]:
    """What changes would change in the numbers of a run, told at once; nothing is kept.

    Takes what `/runs/{id}/what-if` takes. Steps that would take too long are named and left out.
    """
    from linkways.studies.instant import answer_at_once

    run, study = site.shelf.run(id), site.shelf.study(id)
    texts = {key: value for key, value in form.multi_items() if isinstance(value, str)}
    edits = [edit_from(one, study) for one in _edits(texts)]
    if not _AT_ONCE.acquire(timeout=_WAIT_S):
        raise TooMany("others are asking at the moment; try again in some seconds, or run the scenario")
    try:
        answer = answer_at_once(run, study, edits, within_s=_WITHIN_S)
    finally:
        _AT_ONCE.release()
    return {
        "indicators": [vars(one) for one in answer.indicators],
        "computed": list(answer.computed),
        "left_out": list(answer.left_out),
        "seconds": round(answer.seconds, 3),
    }


_AT_ONCE = threading.BoundedSemaphore(2)
_WAIT_S, _WITHIN_S = 20.0, 20.0


def _edits(texts: dict[str, str]) -> list[Any]:
    if texts.get("edits", "").strip():
        try:
            edits = json.loads(texts["edits"])
        except (ValueError, RecursionError):
            raise LinkwaysError("the changes cannot be read; draw them again") from None
        if not isinstance(edits, list) or len(edits) > 200:
            raise LinkwaysError("the changes must be a list of at most 200")
        if edits:
            return edits
    if not texts.get("kind"):
        raise Conflict("draw at least one change, or describe it below the map, before running")
    return [_one(texts)]


def _one(texts: dict[str, str]) -> dict[str, Any]:
    """One edit from plain form fields, for those who do not draw."""
    one: dict[str, Any] = {key: texts[key] for key in ("kind", "input", "value") if texts.get(key)}
    text = texts.get("coordinates", "")
    if one["kind"] == "remove":
        one["rows"] = [int(part) for part in re.findall(r"(?<![^,;\s])[0-9]{1,12}(?![^,;\s])", text)]
        return one
    try:
        corners = [[float(part) for part in pair.replace(",", " ").split()] for pair in text.split(";") if pair.strip()]
    except ValueError:
        raise LinkwaysError("write the corners as longitude latitude; longitude latitude; ...") from None
    if one["kind"] in ("restore", "protect"):
        ring = corners if corners[:1] == corners[-1:] else corners + corners[:1]
        one["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    else:
        one["geometry"] = {"type": "LineString", "coordinates": corners}
    return one
