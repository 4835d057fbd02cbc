"""Accounts: people with roles, signed sessions, invitations, and limits on how often something may be tried.

A session is a random number in a cookie that is signed and never leaves the browser by script; the database keeps only
its hash, so that neither a stolen database nor a forged cookie opens anything, and a session can be ended from here.
Every form of a signed-in page carries a token of its session, which another site cannot know.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import text

from linkways.errors import LinkwaysError, nearest
from linkways.web.problems import Forbidden, NotSignedIn, NotThere, TooMany
from linkways.web.settings import ANYONE, User

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from linkways.catalogue import Store

__all__ = ["COOKIE", "ROLES_GIVEN", "Accounts", "Invitation", "Person"]

COOKIE = "linkways_session"
ROLES_GIVEN = ("contributor", "reviewer", "editor", "administrator")
LEAST_PASSWORD = 12
_SESSION_DAYS = 14.0
_INVITATION_DAYS = 7.0
_SEEN_EVERY_S = 300.0
_EMAIL = re.compile(r"[^@\s]{1,120}@[^@\s.]+(\.[^@\s.]+)+")


@dataclass(frozen=True)
class Person:
    """Someone with an account."""

    id: str
    email: str
    name: str
    role: str
    created: str
    closed: bool

    def user(self, csrf: str = "") -> User:
        """The person as who is asking."""
        return User(self.id, self.name, self.role, csrf)


@dataclass(frozen=True)
class Invitation:
    """An invitation that was not used yet."""

    email: str
    role: str
    made_by: str
    created: float


class Accounts:
    """People, sessions and invitations in the database of a catalogue."""

    def __init__(self, store: Store, secret_file: Path) -> None:
        self.engine = store.database.engine
        self._secret = _secret(secret_file)

    # --- people --------------------------------------------------------------------

    def people(self) -> list[Person]:
        """Everyone, by name."""
        with self.engine.connect() as db:
            return [_person(one) for one in db.execute(text(f"{_SELECT} ORDER BY name"))]

    def person(self, id: str) -> Person:
        """One person.

        Raises:
            NotThere: there is none.
        """
        with self.engine.connect() as db:
            found = db.execute(text(f"{_SELECT} WHERE id = :id"), {"id": id}).first()
        if found is None:
            raise NotThere(f"there is no account '{id[:40]}'")
        return _person(found)

    def names(self) -> dict[str, str]:
        """Names by id, for what people signed."""
        return {one.id: one.name for one in self.people()}

    def change(self, by: User, id: str, *, role: str | None = None, closed: bool | None = None) -> Person:
        """Change the role of a person or close and open the account, as an administrator.

        Raises:
            Forbidden: no administrator, or the last one would go.
            LinkwaysError: no such role.
        """
        self._refuse_but(by, "administrator")
        person = self.person(id)
        if role is not None and role not in ROLES_GIVEN:
            raise LinkwaysError(f"there is no role '{role[:40]}'{nearest(role, ROLES_GIVEN)}")
        changed = replace(person, role=role or person.role, closed=person.closed if closed is None else closed)
        stays = changed.role == "administrator" and not changed.closed
        others = [one for one in self.people() if one.role == "administrator" and not one.closed and one.id != id]
        if person.role == "administrator" and not stays and not others:
            raise Forbidden("this is the only administrator; make someone else one first")
        with self.engine.begin() as db:
            db.execute(
                text("UPDATE people SET role = :role, closed = :closed WHERE id = :id"),
                {"role": changed.role, "closed": int(changed.closed), "id": id},
            )
            if changed.closed:
                db.execute(text("DELETE FROM sessions WHERE person = :id"), {"id": id})
        return changed

    def change_password(self, user: User, old: str, new: str) -> None:
        """Give oneself another password; all other sessions end.

        Raises:
            Forbidden: the old one is wrong.
            LinkwaysError: the new one is too short.
        """
        self._count(f"password {user.id}", most=10, within_s=900)
        with self.engine.connect() as db:
            found = db.execute(text("SELECT password, email FROM people WHERE id = :id"), {"id": user.id}).first()
        if found is None or not _fits(found[0], old):
            raise Forbidden("the present password is not right; type it again")
        _refuse_weak(new, found[1])
        with self.engine.begin() as db:
            values = {"id": user.id, "password": _hasher().hash(new)}
            db.execute(text("UPDATE people SET password = :password WHERE id = :id"), values)
            db.execute(
                text("DELETE FROM sessions WHERE person = :id AND csrf <> :csrf"), {"id": user.id, "csrf": user.csrf}
            )

    # --- invitations ---------------------------------------------------------------

    def invite(self, by: User | None, email: str, role: str) -> str:
        """Return the token of an invitation, which is told only now; ``by`` None is the one who starts the server.

        Raises:
            Forbidden: no administrator.
            LinkwaysError: no e-mail address, no such role, or someone who has an account.
        """
        if by is not None:
            self._refuse_but(by, "administrator")
            self._count(f"invite {by.id}", most=50, within_s=3600)
        email = email.strip().lower()
        if email and not _EMAIL.fullmatch(email):
            raise LinkwaysError(f"'{email[:120]}' is no e-mail address")
        if role not in ROLES_GIVEN:
            raise LinkwaysError(f"there is no role '{role[:40]}'{nearest(role, ROLES_GIVEN)}")
        if email and any(one.email == email for one in self.people()):
            raise LinkwaysError(f"{email} has an account already; change its role in the list of people")
        token = secrets.token_urlsafe(24)
        with self.engine.begin() as db:
            db.execute(
                text("INSERT INTO invitations (token, email, role, made_by, created) VALUES (:t, :e, :r, :by, :now)"),
                {"t": _hash(token), "e": email, "r": role, "by": by.id if by else "", "now": time.time()},
            )
        return token

    def invitation(self, token: str) -> Invitation:
        """What a token invites to.

        Raises:
            NotThere: no such invitation, or it was used or is too old.
        """
        with self.engine.connect() as db:
            found = db.execute(
                text("SELECT email, role, made_by, created FROM invitations WHERE token = :t AND used IS NULL"),
                {"t": _hash(token)},
            ).first()
        if found is None or found[3] < time.time() - _INVITATION_DAYS * 86400:
            raise NotThere("this invitation was used or is too old; ask for a new one")
        return Invitation(*found)

    def join(self, token: str, email: str, name: str, password: str, whence: str) -> Person:
        """Make the account that an invitation invites to.

        Raises:
            NotThere: no such invitation.
            LinkwaysError: no name, another e-mail address than the invited one, or a weak password.
            TooMany: tried too often.
        """
        self._count(f"join {whence}", most=20, within_s=900)
        invited = self.invitation(token)
        email, name = email.strip().lower(), " ".join(name.split())
        if invited.email and email != invited.email:
            raise LinkwaysError("the invitation is for another e-mail address; use the one it was sent to")
        if not _EMAIL.fullmatch(email):
            raise LinkwaysError(f"'{email[:120]}' is no e-mail address")
        if not 1 <= len(name) <= 120:
            raise LinkwaysError("give your name, at most 120 characters; it stands beside what you write")
        _refuse_weak(password, email)
        person = Person(f"p{secrets.token_hex(6)}", email, name, invited.role, _now(), False)
        values = {**vars(person), "password": _hasher().hash(password), "closed": 0}
        with self.engine.begin() as db:
            used = db.execute(
                text("UPDATE invitations SET used = :now WHERE token = :t AND used IS NULL"),
                {"now": time.time(), "t": _hash(token)},
            )
            if used.rowcount != 1:
                raise NotThere("this invitation was used or is too old; ask for a new one")
            if db.execute(text("SELECT 1 FROM people WHERE email = :e"), {"e": email}).first():
                raise LinkwaysError("this e-mail address has an account already; sign in with it")
            db.execute(
                text(
                    "INSERT INTO people (id, email, name, role, password, created, closed) "
                    "VALUES (:id, :email, :name, :role, :password, :created, :closed)"
                ),
                values,
            )
        return person

    # --- sessions ------------------------------------------------------------------

    def sign_in(self, email: str, password: str, whence: str) -> str:
        """Return the cookie of a new session.

        Raises:
            Forbidden: address and password do not belong together.
            TooMany: tried too often, from one place or for one account.
        """
        email = email.strip().lower()[:200]
        self._count(f"sign-in {whence}", most=30, within_s=900)
        self._count(f"sign-in {email}", most=10, within_s=900)
        with self.engine.connect() as db:
            found = db.execute(
                text("SELECT id, password FROM people WHERE email = :e AND closed = 0"), {"e": email}
            ).first()
        # the same work is done for an address that has no account, so that time does not tell which have one
        fits = _fits(found[1] if found else _no_password(), password)
        if found is None or not fits:
            raise Forbidden("e-mail address and password do not belong together; check both")
        if _hasher().check_needs_rehash(found[1]):
            with self.engine.begin() as db:
                values = {"p": _hasher().hash(password), "id": found[0]}
                db.execute(text("UPDATE people SET password = :p WHERE id = :id"), values)
        return self.open_session(found[0])

    def open_session(self, id: str) -> str:
        """Return the cookie of a new session of a person."""
        token, now = secrets.token_urlsafe(32), time.time()
        with self.engine.begin() as db:
            db.execute(text("DELETE FROM sessions WHERE created < :old"), {"old": now - _SESSION_DAYS * 86400})
            db.execute(
                text("INSERT INTO sessions VALUES (:t, :id, :csrf, :now, :now)"),
                {"t": _hash(token), "id": id, "csrf": secrets.token_urlsafe(24), "now": now},
            )
        return str(self._signer().dumps(token))

    def sign_out(self, cookie: str) -> None:
        """End a session."""
        token = self._token(cookie)
        if token:
            with self.engine.begin() as db:
                db.execute(text("DELETE FROM sessions WHERE token = :t"), {"t": _hash(token)})

    def user_of(self, request: Request) -> User:
        """Who is asking: the person of the session in the cookie, or anyone."""
        known: User | None = getattr(request.state, "linkways_user", None)
        if known is None:
            known = self._user(request.cookies.get(COOKIE, ""))
            request.state.linkways_user = known
        return known

    def _user(self, cookie: str) -> User:
        token = self._token(cookie)
        if not token:
            return ANYONE
        now = time.time()
        with self.engine.connect() as db:
            found = db.execute(
                text(
                    "SELECT p.id, p.name, p.role, s.csrf, s.seen FROM sessions s JOIN people p ON p.id = s.person "
                    "WHERE s.token = :t AND s.created > :old AND p.closed = 0"
                ),
                {"t": _hash(token), "old": now - _SESSION_DAYS * 86400},
            ).first()
        if found is None:
            return ANYONE
        if now - found[4] > _SEEN_EVERY_S:
            with self.engine.begin() as db:
                db.execute(text("UPDATE sessions SET seen = :now WHERE token = :t"), {"now": now, "t": _hash(token)})
        return User(*found[:4])

    def _token(self, cookie: str) -> str:
        from itsdangerous import BadSignature

        try:
            return str(self._signer().loads(cookie, max_age=int(_SESSION_DAYS * 86400))) if cookie else ""
        except BadSignature:
            return ""

    def _signer(self) -> Any:
        from itsdangerous import URLSafeTimedSerializer

        return URLSafeTimedSerializer(self._secret, salt="linkways session")

    # --- limits --------------------------------------------------------------------

    def _count(self, what: str, *, most: int, within_s: float) -> None:
        now = time.time()
        with self.engine.begin() as db:
            db.execute(text("DELETE FROM attempts WHERE at < :old"), {"old": now - 86400})
            db.execute(text("INSERT INTO attempts VALUES (:what, :now)"), {"what": what, "now": now})
            tried = _tried(db, what, now - within_s)
        if tried > most:
            raise TooMany(f"tried more than {most} times in {within_s / 60:.0f} minutes; wait and try again")

    def limit(self, user: User, what: str, *, most: int = 120, within_s: float = 3600.0) -> None:
        """Count something that a person does, and refuse it when it is done too often.

        Raises:
            TooMany: more than ``most`` times within that time.
        """
        self._count(f"{what} {user.id}", most=most, within_s=within_s)

    def _refuse_but(self, user: User, role: str) -> None:
        if not user.at_least(role):
            raise Forbidden(f"only an {role} does that; your role is {user.role}")


def set_cookie(answer: Response, cookie: str, *, secure: bool) -> None:
    """Put a session into the answer."""
    answer.set_cookie(
        COOKIE, cookie, max_age=int(_SESSION_DAYS * 86400), httponly=True, samesite="lax", secure=secure, path="/"
    )


def same_token(given: str, kept: str) -> bool:
    """Whether a form's token is the session's, in time that does not tell how much of it is right."""
    return bool(kept) and hmac.compare_digest(given.encode(), kept.encode())


def refuse_anyone(user: User) -> None:
    """Refuse someone who is not signed in.

    Raises:
        NotSignedIn: nobody is.
    """
    if user.role == "reader":
        raise NotSignedIn("sign in first; accounts are made by invitation")


_SELECT = "SELECT id, email, name, role, created, closed FROM people"


def _person(row: Any) -> Person:
    id, email, name, role, created, closed = row
    return Person(id, email, name, role, created, bool(closed))


def _tried(db: Connection, what: str, since: float) -> int:
    asked = text("SELECT count(*) FROM attempts WHERE what = :what AND at >= :since")
    return int(db.execute(asked, {"what": what, "since": since}).scalar_one())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _secret(file: Path) -> str:
    """The key that signs cookies, made once and readable by its owner only."""
    try:
        return file.read_text(encoding="ascii")
    except FileNotFoundError:
        pass
    import os

    made = secrets.token_urlsafe(48)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text(encoding="ascii")
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(made)
    return made


@cache
def _hasher() -> Any:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _no_password() -> str:
    return str(_hasher().hash(secrets.token_urlsafe(16)))


def _fits(kept: str, given: str) -> bool:
    from argon2.exceptions import VerificationError

    try:
        return bool(_hasher().verify(kept, given[:1000]))
    except VerificationError:
        return False


def _refuse_weak(password: str, email: str) -> None:
    if not LEAST_PASSWORD <= len(password) <= 1000:
        raise LinkwaysError(f"the password must have {LEAST_PASSWORD} characters or more; a sentence does well")
    name = email.partition("@")[0]
    if len(set(password)) < 5 or password.lower() in (email, name * 2, name * 3):
        raise LinkwaysError("the password is too easy to guess; take one that is not made of a few characters or names")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
