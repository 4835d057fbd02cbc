"""Replicating a solution: begin with its study, give inputs and parameters of one's own, see what the checks say."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.datastructures import FormData, UploadFile

from linkways.web.forms import apply_inputs, apply_parameters
from linkways.web.pages import html, posted_form, render
from linkways.web.replication import refuse_unless_open, replicate, verdict, write_job_study
from linkways.web.routes.runs import run_page, setup_of
from linkways.web.routes.solutions import visible_record
from linkways.web.site import CurrentUser, Site, TheSite, own_job
from linkways.web.uploads import used_mb

router = APIRouter(tags=["replicate"])


@router.post("/solutions/{id}/replicate")
def begin(request: Request, id: str, site: TheSite, user: CurrentUser) -> Response:
    """Begin a replication of a solution's study: a draft run, to be given inputs of one's own."""
    visible_record(site, user, id)
    job = replicate(site.settings, site.jobs, site.store, user, id)
    return _answer(request, site, job.id, {})


@router.post("/runs/{id}/setup")
def set_up(
    request: Request,
    id: str,
    site: TheSite,
    user: CurrentUser,
    form: FormData = Depends(posted_form),  # noqa: B008
) -> Response:
    """Change inputs, parameters, title and place of a draft; answers with what the checks say of it now.

    With ``then=run`` it is put into the queue when nothing is wrong.
    """
    job = own_job(site, user, id)
    refuse_unless_open(job)
    folder = site.settings.job_folder(id)
    texts = {key: value for key, value in form.multi_items() if isinstance(value, str)}
    files = {
        key: (value.filename or "", value.file)
        for key, value in form.multi_items()
        if isinstance(value, UploadFile) and value.filename
    }
    study = site.shelf.study(id)
    owned = _owned_mb(site, user.id, id)
    with_inputs, mistakes, box = apply_inputs(study, texts, files, folder, site.settings, owned)
    title = texts.get("title", "").strip()[:400]
    write_job_study(folder, with_inputs, place=texts.get("place", "").strip()[:400] or None, box=box, title=title)
    with_parameters, more = apply_parameters(site.shelf.study(id), texts)
    write_job_study(folder, with_parameters)
    if title:
        site.jobs.change(id, title=title)
    if texts.get("then") == "run" and not mistakes | more and verdict(folder).ready:
        site.jobs.queue(id, site.settings.most_waiting)
    return _answer(request, site, id, mistakes | more)


def _owned_mb(site: Site, user: str, but: str) -> float:
    """Megabytes of what a user has handed in for other runs."""
    folders = [site.settings.job_folder(job.id) for job in site.jobs.select(owner=user) if job.id != but]
    return sum(used_mb(folder / "inputs") for folder in folders)


def _answer(request: Request, site: Site, id: str, mistakes: dict[str, str]) -> Response:
    """The page of the draft: anew when all was taken, with the mistakes beside their fields otherwise."""
    if not html(request):
        setup: dict[str, Any] = {**setup_of(site, site.shelf.entry(id)), "mistakes": mistakes}
        return JSONResponse({"run": id, "setup": setup}, 422 if mistakes else 200)
    if not mistakes:
        return RedirectResponse(f"/runs/{id}#check", 303)
    data = run_page(id, site, site.user_of(request))
    data["setup"]["mistakes"] = mistakes
    return HTMLResponse(render(request, "run.html", data), 422)
