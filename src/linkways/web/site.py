"""What the routes of one application share: settings, jobs, runs, catalogue, and who is asking."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from linkways.errors import LinkwaysError
from linkways.web.accounts import Accounts, refuse_anyone, same_token
from linkways.web.jobs import Job, Jobs
from linkways.web.problems import Forbidden, NotThere
from linkways.web.settings import Settings, User
from linkways.web.shelf import Entry, Shelf

if TYPE_CHECKING:
    from linkways.catalogue import Desk, Reviewer, Solution, Store

__all__ = [
    "CurrentUser",
    "Records",
    "Site",
    "TheSite",
    "check_form_token",
    "guard",
    "local_user",
    "own_job",
    "site_of",
]

UserOf = Callable[[Request], User]


def local_user(request: Request) -> User:
    """The person at this machine, whoever asks: the server listens to this machine only."""
    del request
    return User()


class Records:
    """Records of the catalogue, kept for a few seconds: a page of twenty asks for twenty of them."""

    _FRESH_S = 5.0

    def __init__(self, store: Store) -> None:
        self.store = store
        self._kept: dict[str, tuple[float, Solution]] = {}
        self._lock = threading.Lock()

    def get(self, id: str) -> Solution:
        """One record.

        Raises:
            NotThere: there is none.
        """
        now = time.monotonic()
        with self._lock:
            kept = self._kept.get(id)
        if kept is not None and now - kept[0] < self._FRESH_S:
            return kept[1]
        try:
            record = self.store.get(id)
        except LinkwaysError as error:
            raise NotThere(str(error)) from None
        with self._lock:
            if len(self._kept) > 2000:
                self._kept.clear()
            self._kept[id] = (now, record)
        return record

    def forget(self, id: str) -> None:
        """Let go of a record that has just changed."""
        with self._lock:
            self._kept.pop(id, None)

    def status(self, id: str) -> str:
        """The state of a record in the editorial flow."""
        return self.store.history(id)[-1].status


@dataclass
class Site:
    """One application at work."""

    settings: Settings
    jobs: Jobs
    shelf: Shelf
    store: Store
    user_of: UserOf = local_user
    accounts: Accounts | None = None
    """None where people need no accounts."""
    records: Records = field(init=False)
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        from linkways.catalogue import Desk

        self.records = Records(self.store)
        self.desk = Desk(self.store)
        if self.accounts is not None:
            self.shelf.may_see = self.may_see_now

    def reviewer(self, user: User) -> Reviewer:
        """The user at the editors' desk."""
        from linkways.catalogue import Reviewer

        return Reviewer(user.id, user.role, alone=self.accounts is None)

    def names(self) -> dict[str, str]:
        """Names of people by id."""
        return self.accounts.names() if self.accounts else {User().id: "You"}

    def may_see(self, user: User, entry: Entry) -> bool:
        """Whether a run is shown to this user: runs of the command line, one's own, and to editors all.

        A run that made a record, or checks one, is shown to whoever may read the record.
        """
        if self.accounts is None or entry.owner in ("", user.id) or user.at_least("editor"):
            return True
        record = self._record_of(entry)
        try:
            return bool(record) and self.may_read(user, record)
        except LinkwaysError:
            return False

    def may_read(self, user: User, id: str) -> bool:
        """Whether a record is shown: to everyone when it is published, to reviewers once it is submitted, and always to
        its authors and to editors.

        Raises:
            LinkwaysError: there is no such record.
        """
        history = self.store.history(id)
        status = history[-1].status
        if status in ("published", "superseded") or user.at_least("editor"):
            return True
        return user.id in [one.author for one in history] or (status != "draft" and user.at_least("reviewer"))

    def may_edit(self, user: User, id: str) -> bool:
        """Whether this user may change a record: its authors drafts and what came back to them, editors everything."""
        if user.at_least("editor"):
            return True
        return self.records.status(id) in ("draft", "feedback") and user.id in self.desk.authors(id)

    def _record_of(self, entry: Entry) -> str:
        """The record that a run made or checks; a scenario has none, whatever its study is called."""
        if entry.kind == "check":
            return entry.solution or ""
        return self.shelf.draft_of(entry.id) if entry.kind == "replication" else ""

    def may_see_now(self, entry: Entry) -> bool:
        """The same for whoever asks at this moment; what no request asks for is for the server itself."""
        user = ASKING.get()
        return user is None or self.may_see(user, entry)


ASKING: ContextVar[User | None] = ContextVar("linkways_asking", default=None)
"""Who asks in this request, where people have accounts."""


def site_of(request: Request) -> Site:
    """The site that a request is for."""
    site: Site = request.app.state.site
    return site


def _user(request: Request) -> User:
    return site_of(request).user_of(request)


TheSite = Annotated[Site, Depends(site_of)]
CurrentUser = Annotated[User, Depends(_user)]


def own_job(site: Site, user: User, id: str) -> Job:
    """A job that this user may change.

    Raises:
        NotThere: there is none.
        Forbidden: it is another's, or a run from the command line, which nobody changes here.
    """
    site.shelf.entry(id)
    try:
        job = site.jobs.get(id)
    except NotThere:
        raise Forbidden(f"the run {id} was made on the command line and is only shown here") from None
    if job.owner != user.id:
        raise Forbidden(f"the run {id} belongs to someone else")
    return job


async def guard(request: Request) -> None:
    """What every request passes where people have accounts: it is known who asks, and only who is signed in changes
    something.

    Raises:
        NotSignedIn: nobody is signed in.
    """
    site = site_of(request)
    if site.accounts is None:
        return
    user = await run_in_threadpool(site.user_of, request)
    ASKING.set(user)
    if request.method not in ("GET", "HEAD", "OPTIONS") and request.url.path not in OPEN_TO_ANYONE:
        refuse_anyone(user)


OPEN_TO_ANYONE = ("/sign-in", "/join")
"""What may be sent without being signed in."""


async def check_form_token(request: Request) -> None:
    """Refuse a change by a signed-in person without the token of the session: in the form, or in X-CSRF-Token.

    Raises:
        Forbidden: the token is missing or is another session's.
    """
    site = site_of(request)
    if site.accounts is None or request.method in ("GET", "HEAD", "OPTIONS"):
        return
    user = await run_in_threadpool(site.user_of, request)
    if not user.csrf:
        return
    given = request.headers.get("x-csrf-token", "")
    if not given and request.headers.get("content-type", "").startswith(
        ("multipart/form-data", "application/x-www-form-urlencoded")
    ):
        form = await request.form(max_files=100, max_fields=2000)
        given = str(form.get("csrf", ""))
    if not same_token(given, user.csrf):
        raise Forbidden("this form is from another session; go back, load the page again and send it once more")
