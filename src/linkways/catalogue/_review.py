"""Review: how a record goes from draft to published, what reviewers say of it, and who is told.

    draft -> submitted -> feedback -> submitted ... -> approved -> published -> superseded

Who may do what depends on the role: authors submit and take back, reviewers ask for changes and approve (never a record
of their own), editors publish, supersede and withdraw. A record is approved when the three criteria are met and the
platform has run its study and found the figures that it states.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from linkways.catalogue._databases import rows
from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    from linkways.catalogue._store import Revision, Store

__all__ = ["CRITERIA", "ROLES", "Check", "Comment", "Desk", "Notice", "Reviewer", "RoleRefused", "Verdict"]


class RoleRefused(LinkwaysError):
    """The role, or being an author of the record, does not allow this."""


ROLES = ("reader", "contributor", "reviewer", "editor", "administrator")
"""Each may do what those before it may."""

CRITERIA = {
    "relevance": "Thematic relevance: it is about ecological connectivity",
    "impact": "Demonstrated impact: what changed is told with its source",
    "replicable": "Replicable: others can take over its building blocks",
}
"""What a reviewer judges; whether the study runs and gives its stated figures, the platform finds out itself."""

_MOVES: dict[tuple[str, str], str] = {
    ("draft", "submitted"): "author",
    ("feedback", "submitted"): "author",
    ("submitted", "draft"): "author",
    ("submitted", "feedback"): "reviewer",
    ("submitted", "approved"): "reviewer",
    ("approved", "feedback"): "editor",
    ("approved", "published"): "editor",
    ("published", "superseded"): "editor",
    ("published", "withdrawn"): "editor",
    ("superseded", "published"): "editor",
    ("withdrawn", "draft"): "editor",
}


@dataclass(frozen=True)
class Reviewer:
    """Who acts: the id that stands as author, and the role.

    ``alone`` is the one person of an installation without accounts, who may also approve what is their own.
    """

    id: str
    role: str
    alone: bool = False

    def at_least(self, role: str) -> bool:
        """Whether the role reaches that far."""
        return self.role in ROLES and ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class Comment:
    """A remark on one field of a record (or on all of it: field ``""``)."""

    number: int
    revision: int
    field: str
    author: str
    time: str
    body: str
    settled_by: str
    settled: str


@dataclass(frozen=True)
class Verdict:
    """What one reviewer says of one criterion at one revision."""

    revision: int
    reviewer: str
    criterion: str
    met: bool
    remark: str
    time: str


@dataclass(frozen=True)
class Check:
    """The platform's own run of the study of a revision.

    Attributes:
        state: ``running``, ``passed`` or ``failed``.
        told: what was found, a sentence each.
    """

    revision: int
    run: str
    state: str
    told: tuple[str, ...]
    time: str


@dataclass(frozen=True)
class Notice:
    """What a person is told of a record of theirs."""

    number: int
    time: str
    solution: str
    body: str
    seen: bool


class Desk:
    """The editors' desk of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # states

    def authors(self, id: str) -> set[str]:
        """Who wrote the record: the authors of its first revision and of those that changed something."""
        return {one.author for one in self.store.history(id) if one.number == 1 or one.changes}

    def moves(self, id: str, who: Reviewer) -> list[str]:
        """The states that this person may give the record now."""
        status = self.store.history(id)[-1].status
        return [to for (at, to), by in _MOVES.items() if at == status and self._may(id, by, who, to)]

    def move(self, id: str, to: str, who: Reviewer, note: str = "") -> Revision:
        """Give a record another state, and tell its authors.

        Raises:
            LinkwaysError: no such step from the present state, a role that may not, a record that is not full, or
                one that is to be approved while criteria are open or the check has not passed.
        """
        last = self.store.history(id)[-1]
        if (last.status, to) not in _MOVES:
            known = [state for at, state in _MOVES if at == last.status]
            raise LinkwaysError(f"{id} is {last.status} and cannot become '{to}'{nearest(to, known)}")
        by = _MOVES[last.status, to]
        if not self._may(id, by, who, to):
            raise RoleRefused(_refusal(id, to, by, who, who.id in self.authors(id)))
        if to == "approved":
            self._refuse_open_criteria(id)
        revision = self.store.set_status(id, to, author=who.id, note=note)
        body = f"{to} by {{{who.id}}}" + (f": {note}" if note else "")
        self.tell(self.authors(id) - {who.id}, id, body)
        return revision

    def _may(self, id: str, by: str, who: Reviewer, to: str) -> bool:
        own = who.id in self.authors(id)
        if by == "author":
            return own or who.at_least("editor")
        if to == "approved" and own and not who.alone:
            return False
        return who.at_least(by)

    def _refuse_open_criteria(self, id: str) -> None:
        # verdicts count for the content they were given on; a change of state alone keeps the content
        judged = {one.criterion for one in self.verdicts(id) if one.met}
        against = {one.criterion for one in self.verdicts(id) if not one.met}
        open_ones = [name for name in CRITERIA if name not in judged or name in against]
        if open_ones:
            raise LinkwaysError(
                f"{id} cannot be approved: not met or not yet judged: {', '.join(open_ones)}; judge them on the review "
                "page, or ask for changes"
            )
        if self.store.get(id).study and not any(one.state == "passed" for one in self.checks(id)):
            raise LinkwaysError(
                f"{id} cannot be approved: its study has not been run and found right on this revision; start the "
                "check on the review page"
            )

    # what is said

    def comment(self, id: str, who: Reviewer, body: str, field: str = "") -> Comment:
        """Add a remark; the authors and those who remarked before are told.

        Raises:
            LinkwaysError: nothing said, or a field that the record does not have.
        """
        body = body.strip()
        if not body:
            raise LinkwaysError("the comment is empty; write what should be seen or changed")
        if len(body) > 10_000:
            raise LinkwaysError("the comment is longer than 10,000 characters; shorten it")
        fields = self.fields(id)
        if field and field not in fields:
            raise LinkwaysError(f"{id} has no field '{field}'{nearest(field, fields)}")
        revision = self.store.history(id)[-1].number
        with self.store.writing() as connection:
            number = connection.execute(
                text(
                    "INSERT INTO comments (solution, revision, field, author, time, body) "
                    "VALUES (:solution, :revision, :field, :author, :time, :body) RETURNING number"
                ),
                {
                    "solution": id,
                    "revision": revision,
                    "field": field,
                    "author": who.id,
                    "time": _now(),
                    "body": body,
                },
            ).scalar_one()
        others = {one.author for one in self.comments(id)}
        where = f" on {field}" if field else ""
        self.tell((self.authors(id) | others) - {who.id}, id, f"{{{who.id}}} commented{where}: {body[:300]}")
        return next(one for one in self.comments(id) if one.number == number)

    def settle(self, number: int, who: Reviewer) -> None:
        """Mark a remark as settled; its author, the record's authors and editors may."""
        with self.store.reading() as connection:
            found = rows(connection, "SELECT solution, author FROM comments WHERE number = :n", {"n": number})
        if not found:
            raise LinkwaysError(f"there is no comment {number}")
        solution, author = found[0]
        if who.id not in {author} | self.authors(solution) and not who.at_least("editor"):
            raise RoleRefused(f"only who wrote comment {number} and the authors of {solution} settle it")
        with self.store.writing() as connection:
            connection.execute(
                text("UPDATE comments SET settled_by = :who, settled = :time WHERE number = :n AND settled = ''"),
                {"who": who.id, "time": _now(), "n": number},
            )

    def comments(self, id: str) -> list[Comment]:
        """All remarks on a record, the oldest first."""
        with self.store.reading() as connection:
            found = rows(
                connection,
                "SELECT number, revision, field, author, time, body, settled_by, settled FROM comments "
                "WHERE solution = :id ORDER BY number",
                {"id": id},
            )
        return [Comment(*one) for one in found]

    def judge(self, id: str, who: Reviewer, verdicts: Mapping[str, tuple[bool, str]]) -> None:
        """Put down what a reviewer says of criteria: (met, remark) by criterion.

        Raises:
            LinkwaysError: no reviewer, an author of the record, or no such criterion.
        """
        if not who.at_least("reviewer"):
            raise RoleRefused("only reviewers judge criteria; ask an administrator for the role")
        if who.id in self.authors(id) and not who.alone:
            raise RoleRefused(f"you wrote {id}; only someone else judges it")
        last = self.store.history(id)[-1]
        if last.status != "submitted":
            raise LinkwaysError(f"{id} is {last.status}; criteria are judged while it is submitted")
        for criterion in verdicts:
            if criterion not in CRITERIA:
                raise LinkwaysError(f"there is no criterion '{criterion}'{nearest(criterion, CRITERIA)}")
        with self.store.writing() as connection:
            for criterion, (met, remark) in verdicts.items():
                key = {"id": id, "revision": last.number, "who": who.id, "criterion": criterion}
                connection.execute(
                    text(
                        "DELETE FROM verdicts WHERE solution = :id AND revision = :revision AND reviewer = :who "
                        "AND criterion = :criterion"
                    ),
                    key,
                )
                connection.execute(
                    text("INSERT INTO verdicts VALUES (:id, :revision, :who, :criterion, :met, :remark, :time)"),
                    {**key, "met": int(met), "remark": remark.strip()[:4000], "time": _now()},
                )

    def verdicts(self, id: str) -> list[Verdict]:
        """What was said of the criteria since the content last changed."""
        since = self._content_since(id)
        with self.store.reading() as connection:
            found = rows(
                connection,
                "SELECT revision, reviewer, criterion, met, remark, time FROM verdicts "
                "WHERE solution = :id AND revision >= :since ORDER BY time",
                {"id": id, "since": since},
            )
        newest = {(who, criterion): (at, who, criterion, met, *rest) for at, who, criterion, met, *rest in found}
        return [Verdict(at, who, name, bool(met), remark, time) for at, who, name, met, remark, time in newest.values()]

    # the platform's own check

    def note_check(self, id: str, run: str, state: str, told: Iterable[str] = (), revision: int | None = None) -> None:
        """Put down that the study of a record is being run, or what came of it; authors are told of the outcome."""
        at = self.store.history(id)[-1].number if revision is None else revision
        with self.store.writing() as connection:
            connection.execute(
                text("DELETE FROM checks WHERE solution = :id AND revision = :at AND run = :run"),
                {"id": id, "at": at, "run": run},
            )
            connection.execute(
                text("INSERT INTO checks VALUES (:id, :at, :run, :state, :told, :time)"),
                {"id": id, "at": at, "run": run, "state": state, "told": json.dumps(list(told)), "time": _now()},
            )
        if state in ("passed", "failed"):
            self.tell(self.authors(id), id, f"the check of its study {state} (run {run})")

    def checks(self, id: str) -> list[Check]:
        """The checks of the study since the content last changed, the oldest first."""
        with self.store.reading() as connection:
            found = rows(
                connection,
                "SELECT revision, run, state, told, time FROM checks WHERE solution = :id AND revision >= :since "
                "ORDER BY time",
                {"id": id, "since": self._content_since(id)},
            )
        return [Check(at, run, state, tuple(json.loads(told)), time) for at, run, state, told, time in found]

    def _content_since(self, id: str) -> int:
        """The first revision that has the content of the newest."""
        history = self.store.history(id)
        first = history[-1]
        for one in reversed(history):
            if one.sha256 != first.sha256:
                break
            first = one
        return first.number

    # who is told

    def tell(self, people: Iterable[str], solution: str, body: str) -> None:
        """Leave a notice for people; ``{id}`` in it stands for a person."""
        values = [
            {"person": one, "time": _now(), "solution": solution, "body": body[:1000]} for one in sorted(set(people))
        ]
        if values:
            with self.store.writing() as connection:
                connection.execute(
                    text(
                        "INSERT INTO notices (person, time, solution, body) VALUES (:person, :time, :solution, :body)"
                    ),
                    values,
                )

    def notices(self, person: str, most: int = 50) -> list[Notice]:
        """What a person was told, the newest first."""
        with self.store.reading() as connection:
            found = rows(
                connection,
                "SELECT number, time, solution, body, seen FROM notices WHERE person = :person "
                "ORDER BY number DESC LIMIT :most",
                {"person": person, "most": most},
            )
        return [Notice(number, time, solution, body, bool(seen)) for number, time, solution, body, seen in found]

    def saw(self, person: str) -> None:
        """Mark all notices of a person as seen."""
        with self.store.writing() as connection:
            connection.execute(text("UPDATE notices SET seen = 1 WHERE person = :person"), {"person": person})

    # lists

    def waiting(self) -> list[tuple[str, str, str]]:
        """Records at the desk (submitted, feedback, approved) as (id, title, state)."""
        with self.store.reading() as connection:
            found = rows(
                connection,
                "SELECT id, title, status FROM records WHERE status IN ('submitted', 'feedback', 'approved') "
                "ORDER BY changed",
            )
        return [(id, title, status) for id, title, status in found]

    def records_of(self, person: str) -> list[tuple[str, str, str]]:
        """Records that a person wrote in, as (id, title, state), the last changed first."""
        with self.store.reading() as connection:
            found = rows(
                connection,
                "SELECT id, title, status FROM records WHERE id IN "
                "(SELECT entity FROM revisions WHERE kind = 'solution' AND author = :person) ORDER BY changed DESC",
                {"person": person},
            )
        return [(id, title, status) for id, title, status in found]

    def fields(self, id: str) -> list[str]:
        """The fields of a record that can be remarked on."""
        data: dict[str, Any] = self.store.get(id).to_data()
        names = [name for name in data if name not in ("record", "id")]
        blocks = data.get("building_blocks", [])
        names += [f"building_blocks.{block.get('id') or block.get('block')}" for block in blocks]
        names += [f"impacts.{number}" for number, _ in enumerate(data.get("impacts", []))]
        return names


def _refusal(id: str, to: str, by: str, who: Reviewer, own: bool) -> str:
    if to == "approved" and own and who.at_least(by):
        return f"you wrote {id}; only another reviewer approves it"
    needed = "its authors" if by == "author" else f"{by}s"
    return f"only {needed} may make {id} '{to}'; your role is {who.role}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
