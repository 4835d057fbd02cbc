"""What the routes of one application share: settings, jobs, runs, catalogue, and who is asking."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from linkways.web.jobs import Job, Jobs
from linkways.web.problems import Forbidden, NotThere
from linkways.web.settings import Settings, User
from linkways.web.shelf import Shelf

if TYPE_CHECKING:
    from linkways.catalogue import Solution, Store

__all__ = ["CurrentUser", "Records", "Site", "TheSite", "local_user", "own_job", "site_of"]

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
        from linkways.errors import LinkwaysError

        try:
            record = self.store.get(id)
        except LinkwaysError as error:
            raise NotThere(str(error)) from None
        with self._lock:
            if len(self._kept) > 2000:
                self._kept.clear()
            self._kept[id] = (now, record)
        return record

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
    records: Records = field(init=False)

    def __post_init__(self) -> None:
        self.records = Records(self.store)


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
