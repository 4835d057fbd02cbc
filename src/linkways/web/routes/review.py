"""Review: editing drafts, submitting them, what reviewers say, and what becomes public."""

import re
import shutil
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from linkways.errors import LinkwaysError
from linkways.web.accounts import refuse_anyone
from linkways.web.editing import new_record, record_fields, record_of_form
from linkways.web.jobs import Job
from linkways.web.pages import PageData, answer_form, html, page, posted_form
from linkways.web.problems import Conflict, Forbidden, NotThere
from linkways.web.routes.solutions import visible_record
from linkways.web.settings import User
from linkways.web.site import CurrentUser, Site, TheSite

router = APIRouter(tags=["review"])


def _form(name: str, form: FormData) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


@page(router, "/review", "review_list.html")
def review_list(site: TheSite, user: CurrentUser) -> PageData:
    """What waits for reviewers and editors."""
    if not user.at_least("reviewer"):
        refuse_anyone(user)
        raise Forbidden(f"the editors' desk is for reviewers; your role is {user.role}")
    waiting = [{"id": id, "title": title, "status": status} for id, title, status in site.desk.waiting()]
    return {"waiting": waiting}


@page(router, "/solutions/{id}/review", "review.html")
def review_page(id: str, site: TheSite, user: CurrentUser) -> PageData:
    """How a record stands: its state, criteria, check, comments, and what changed in every revision."""
    _refuse_strangers(site, user, id)
    return _review(site, user, id)


def _review(site: Site, user: User, id: str) -> PageData:
    from linkways.catalogue import CRITERIA

    who, desk = site.reviewer(user), site.desk
    history, names, verdicts = site.store.history(id), site.names(), desk.verdicts(id)
    record = site.records.get(id)
    own = user.id in desk.authors(id)
    return {
        "id": id,
        "title": record.title,
        "status": history[-1].status,
        "revision": history[-1].number,
        "lacking": record.lacking(),
        "has_study": bool(record.study),
        "own": own,
        "may_edit": site.may_edit(user, id),
        "may_judge": who.at_least("reviewer") and (not own or who.alone) and history[-1].status == "submitted",
        "may_check": who.at_least("reviewer") and bool(record.study),
        "moves": desk.moves(id, who),
        "fields": desk.fields(id),
        "criteria": [
            {
                "name": name,
                "label": label,
                "mine": next(({**vars(v)} for v in verdicts if v.criterion == name and v.reviewer == user.id), None),
                "verdicts": [
                    {**vars(one), "reviewer": names.get(one.reviewer, one.reviewer)}
                    for one in verdicts
                    if one.criterion == name
                ],
            }
            for name, label in CRITERIA.items()
        ],
        "reproduces": [one.model_dump(mode="json") for one in record.reproduces],
        "checks": [{**vars(one), "told": list(one.told)} for one in reversed(desk.checks(id))],
        "comments": [
            {
                **vars(one),
                "author": names.get(one.author, one.author),
                "settled_by": names.get(one.settled_by, one.settled_by),
            }
            for one in desk.comments(id)
        ],
        "history": [
            {
                "number": one.number,
                "author": names.get(one.author, one.author),
                "time": one.time,
                "note": one.note,
                "status": one.status,
                "changes": [
                    {"place": change.place, "before": _short(change.before), "after": _short(change.after)}
                    for change in one.changes[:40]
                ],
                "more": max(0, len(one.changes) - 40),
            }
            for one in reversed(history)
        ],
    }


@page(router, "/solutions/{id}/edit", "edit.html")
def edit_page(id: str, site: TheSite, user: CurrentUser) -> PageData:
    """The fields of a record as a form."""
    record = _editable(site, user, id)
    return _editing(site, id, record_fields(record), {})


def _editing(site: Site, id: str, fields: list[dict[str, str]], mistakes: dict[str, str]) -> PageData:
    names = site.names()
    comments = [
        {"field": one.field, "author": names.get(one.author, one.author), "body": one.body}
        for one in site.desk.comments(id)
        if not one.settled
    ]
    last = site.store.history(id)[-1]
    about = {"id": id, "title": site.store.get(id).title, "status": last.status, "revision": last.number}
    return {**about, "fields": fields, "mistakes": mistakes, "comments": comments}


@router.post("/solutions/{id}/edit")
def edit(
    request: Request,
    id: str,
    site: TheSite,
    user: CurrentUser,
    form: FormData = Depends(posted_form),  # noqa: B008
) -> Response:
    """Save the fields as a new revision; refused when someone else saved one meanwhile."""
    record = _editable(site, user, id)
    texts = {key: value for key, value in form.multi_items() if isinstance(value, str)}
    made, mistakes = record_of_form(record, texts)
    if made is None:
        data = _editing(site, id, record_fields(record, texts), mistakes)
        return answer_form(request, "edit.html", data, LinkwaysError("; ".join(mistakes.values())))
    last = site.store.history(id)[-1]
    given = re.fullmatch("[0-9]{1,9}", texts.get("revision", "").strip())
    expected = int(given[0]) if given else last.number
    note = texts.get("note", "").strip()[:1000]
    after = site.store.put(made, author=user.id, note=note, status=last.status, expected=expected)
    site.records.forget(id)
    if after.number != last.number:
        changed = ", ".join(dict.fromkeys(one.place.split(".")[0].split("[")[0] for one in after.changes)) or "nothing"
        told = {one.reviewer for one in site.desk.verdicts(id)} | {one.author for one in site.desk.comments(id)}
        site.desk.tell((site.desk.authors(id) | told) - {user.id}, id, f"{{{user.id}}} changed {changed}")
    return _to(request, f"/solutions/{id}/review", {"revision": after.number})


@router.post("/solutions")
def create(
    request: Request,
    site: TheSite,
    user: CurrentUser,
    form: FormData = Depends(posted_form),  # noqa: B008
) -> Response:
    """Begin the draft of a solution."""
    import secrets

    title = _form("title", form).strip()[:400]
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-")
    id = f"{slug or 'solution'}-{secrets.token_hex(3)}"
    record = new_record(id, title, user.name if site.accounts else "")
    site.store.put(record, author=user.id, note="begun", status="draft")
    return _to(request, f"/solutions/{id}/edit", {"id": id}, 201)


@router.post("/solutions/{id}/status")
def move(
    request: Request,
    id: str,
    site: TheSite,
    user: CurrentUser,
    form: FormData = Depends(posted_form),  # noqa: B008
) -> Response:
    """Give a record another state: submit it, ask for changes, approve, publish, supersede, withdraw."""
    _refuse_strangers(site, user, id)
    revision = site.desk.move(id, _form("to", form), site.reviewer(user), _form("note", form).strip()[:1000])
    site.records.forget(id)
    return _to(request, f"/solutions/{id}/review", {"status": revision.status, "revision": revision.number})


@router.post("/solutions/{id}/comments")
def comment(
    request: Request,
    id: str,
    site: TheSite,
    user: CurrentUser,
    form: FormData = Depends(posted_form),  # noqa: B008
) -> Response:
    """Say something of a field, or of the whole record."""
    visible_record(site, user, id)
    if site.accounts:
        site.accounts.limit(user, "comment")
    said = site.desk.comment(id, site.reviewer(user), _form("body", form), _form("field", form))
    return _to(request, f"/solutions/{id}/review#comment-{said.number}", {"comment": said.number}, 201)


@router.post("/solutions/{id}/comments/{number}/settle")
def settle(request: Request, id: str, number: int, site: TheSite, user: CurrentUser) -> Response:
    """Mark a comment as settled."""
    _refuse_strangers(site, user, id)
    if number not in [one.number for one in site.desk.comments(id)]:
        raise LinkwaysError(f"{id} has no comment {number}")
    site.desk.settle(number, site.reviewer(user))
    return _to(request, f"/solutions/{id}/review#comment-{number}", {"comment": number})


@router.post("/solutions/{id}/verdicts")
def judge(
    request: Request,
    id: str,
    site: TheSite,
    user: CurrentUser,
    form: FormData = Depends(posted_form),  # noqa: B008
) -> Response:
    """Judge the criteria: ``met.NAME`` is yes or no, ``remark.NAME`` says why."""
    visible_record(site, user, id)
    verdicts = {
        key.removeprefix("met."): (value == "yes", _form(f"remark.{key.removeprefix('met.')}", form))
        for key, value in form.multi_items()
        if key.startswith("met.") and value in ("yes", "no")
    }
    if not verdicts:
        raise LinkwaysError("no criterion was judged; choose yes or no for one of them")
    site.desk.judge(id, site.reviewer(user), verdicts)
    return _to(request, f"/solutions/{id}/review", {"judged": sorted(verdicts)})


@router.post("/solutions/{id}/check")
def check(request: Request, id: str, site: TheSite, user: CurrentUser) -> Response:
    """Run the study of a record from nothing and compare what it gives with what the record states."""
    if not user.at_least("reviewer"):
        raise Forbidden(f"checks are started by reviewers; your role is {user.role}")
    visible_record(site, user, id)
    job = begin_check(site, user, id)
    return _to(request, f"/solutions/{id}/review", {"run": job.id}, 201)


def begin_check(site: Site, user: User, id: str) -> Job:
    """Queue the run of a record's study, with the inputs that came with it.

    Raises:
        Conflict: it has no study, or its inputs are not on this server.
    """
    from linkways.catalogue import builtin_records
    from linkways.plain_yaml import write_yaml
    from linkways.solutions import solution_files
    from linkways.studies.store import write_text

    record = site.store.get(id)
    if not record.study:
        raise Conflict(f"{id} has no study to run")
    revision = site.store.history(id)[-1].number
    job = site.jobs.add(
        owner=user.id, kind="check", title=f"Check of {id}, revision {revision}", solution=id,
        about={"revision": revision},
    )  # fmt: skip
    target = site.settings.job_folder(job.id)
    source: Path | None = None
    if record.replicates and record.replicates.run:
        source = _inputs_of(site, id, record.replicates.run)
    elif id in builtin_records():
        source = solution_files()[id].parent
    if source is not None and source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
        (target / "solution.yaml").unlink(missing_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    write_text(target / "study.yaml", write_yaml(record.study))
    site.jobs.queue(job.id, site.settings.most_waiting)
    site.desk.note_check(id, job.id, "running", revision=revision)
    return job


def _inputs_of(site: Site, id: str, run: str) -> Path | None:
    """The folder of the run that made a record; a run that is not its authors' lends nothing, though it be named."""
    try:
        owner = site.jobs.get(run).owner
    except NotThere:
        return None
    return site.settings.job_folder(run) if owner in site.desk.authors(id) else None


@router.post("/my/seen")
def seen(request: Request, site: TheSite, user: CurrentUser) -> Response:
    """Mark all notices as seen."""
    site.desk.saw(user.id)
    return _to(request, "/my", {"seen": True})


@page(router, "/solutions/{id}/changes", "changes.html")
def changes(
    id: str,
    site: TheSite,
    user: CurrentUser,
    before: Annotated[int, Query(ge=1, le=2**31 - 1)] = 1,
    after: Annotated[int, Query(ge=1, le=2**31 - 1)] = 1,
) -> PageData:
    """What differs between two revisions of a record."""
    record = visible_record(site, user, id)
    found = [
        {"place": one.place, "before": _short(one.before, 4000), "after": _short(one.after, 4000)}
        for one in site.store.changes(id, before, after)
    ]
    return {"id": id, "title": record.title, "before": before, "after": after, "changes": found}


def _short(value: Any, most: int = 300) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _editable(site: Site, user: User, id: str) -> Any:
    refuse_anyone(user)
    record = visible_record(site, user, id)
    if not site.may_edit(user, id):
        status = site.store.history(id)[-1].status
        raise Forbidden(f"{id} is {status}: its authors change drafts and what came back to them, editors everything")
    return record


def _refuse_strangers(site: Site, user: User, id: str) -> None:
    """The desk of a record is for its authors and for reviewers."""
    refuse_anyone(user)
    visible_record(site, user, id)
    if not user.at_least("reviewer") and user.id not in site.desk.authors(id):
        raise Forbidden(f"the review of {id} is for its authors and for reviewers")


def _to(request: Request, path: str, data: dict[str, Any], status: int = 200) -> Response:
    """On to a page for people, plain data for programs."""
    from fastapi.responses import JSONResponse

    return RedirectResponse(path, 303) if html(request) else JSONResponse(data, status)
