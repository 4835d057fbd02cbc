"""What every answer and every request must keep to: headers, hosts, same origin, and the size of what is sent."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linkways.web.problems import Forbidden, TooLarge

__all__ = ["DOCUMENT_POLICY", "PAGE_POLICY", "SAFE_HEADERS", "BodyLimit", "SafeHeaders", "refuse_foreign_requests"]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Pages run our own scripts and nothing that stands in the page itself."""

DOCUMENT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups allow-top-navigation"
)
"""Reports and documents that a run wrote run nothing at all; their styles stand in them."""

SAFE_HEADERS = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
"""What every answer carries that does not say otherwise."""
_SAFE = ("GET", "HEAD", "OPTIONS")


class SafeHeaders:
    """Adds the security headers to every answer that does not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_safely)


class BodyLimit:
    """Ends a request whose body is larger than the server takes, whatever its headers say."""

    def __init__(self, app: ASGIApp, most_mb: float) -> None:
        self.app, self.most = app, int(most_mb * 1e6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sentence = f"what was sent is larger than {self.most / 1e6:g} MB, the most that this server takes"
        told = Headers(scope=scope).get("content-length", "0")
        if told.isdigit() and int(told) > self.most:
            await _refuse(scope, receive, send, sentence)
            return
        size = 0

        async def receive_within() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.most:
                raise TooLarge(sentence)
            return message

        await self.app(scope, receive_within, send)


async def _refuse(scope: Scope, receive: Receive, send: Send, sentence: str) -> None:
    from fastapi.responses import JSONResponse

    from linkways.web.problems import problem

    data = problem(413, sentence, scope["path"])
    await JSONResponse(data, 413, media_type="application/problem+json")(scope, receive, send)


def refuse_foreign_requests(request: Request) -> None:
    """Refuse a request that changes something and was made by a page of another site.

    Browsers say where a request comes from (Sec-Fetch-Site, Origin), and no page can change what they say; programs
    other than browsers send neither and carry nobody's session along.

    Raises:
        Forbidden: the request comes from another site.
    """
    if request.method in _SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    elif origin is not None:
        foreign = urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    else:
        foreign = False
    if foreign:
        raise Forbidden("this request was made by a page of another site; open the page here and try again")
