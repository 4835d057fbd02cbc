"""Refusals: every mistake is one sentence, told as a page to people and as RFC 9457 problem details to programs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from linkways.errors import LinkwaysError, StudyError

__all__ = ["Conflict", "Forbidden", "NotSignedIn", "NotThere", "TooLarge", "TooMany", "problem", "status_of"]


class NotThere(LinkwaysError):
    """There is nothing of this name."""


class Forbidden(LinkwaysError):
    """This user, or this page, may not do that."""


class NotSignedIn(LinkwaysError):
    """This needs someone who is signed in."""


class Conflict(LinkwaysError):
    """The thing is not in a state in which this can be done."""


class TooLarge(LinkwaysError):
    """What was sent is larger than this server takes."""


class TooMany(LinkwaysError):
    """The user has as much going on as this server allows."""


_STATUS: dict[type[LinkwaysError], int] = {
    NotSignedIn: 401,
    Forbidden: 403,
    NotThere: 404,
    Conflict: 409,
    TooLarge: 413,
    TooMany: 429,
}


def status_of(error: LinkwaysError) -> int:
    """The HTTP status that tells of an error; 422 for a mistake in what was sent."""
    from linkways.catalogue import RoleRefused

    if isinstance(error, RoleRefused):
        return 403
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 422)


def problem(status: int, detail: str, instance: str, error: Exception | None = None) -> dict[str, Any]:
    """The error as RFC 9457 problem details; several mistakes stand one by one under ``problems``."""
    out: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
    }
    if isinstance(error, StudyError):
        out["problems"] = error.problems
    return out
