"""The application: its routes, what every request passes through, and how mistakes are told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from linkways import __version__
from linkways.errors import LinkwaysError
from linkways.web.accounts import Accounts
from linkways.web.crew import Crew
from linkways.web.jobs import Jobs
from linkways.web.languages import InLanguage
from linkways.web.pages import STATIC, html, render
from linkways.web.problems import NotSignedIn, problem, status_of
from linkways.web.security import SAFE_HEADERS, BodyLimit, SafeHeaders, refuse_foreign_requests
from linkways.web.settings import Settings
from linkways.web.shelf import Shelf
from linkways.web.site import Site, UserOf, check_form_token, guard, local_user

__all__ = ["create_app"]

_log = logging.getLogger("linkways.web")


class KeptFiles(StaticFiles):
    """Files that browsers keep: what comes from npm for a day; our own, which change together, are asked for again."""

    def file_response(self, full_path: Any, *args: Any, **given: Any) -> Response:
        """The file with how long it is kept."""
        answer = super().file_response(full_path, *args, **given)
        kept = "public, max-age=86400" if "third_party" in str(full_path) else "no-cache"
        answer.headers["cache-control"] = kept
        return answer


def create_app(settings: Settings, *, user_of: UserOf | None = None, crew: bool = True) -> FastAPI:
    """Return the application.

    Args:
        settings: where it keeps things and what it allows.
        user_of: tells who is asking, from a request; by default the session where ``settings.auth`` asks for accounts,
            else the one person at this machine.
        crew: whether to start worker processes; without, queued runs wait for workers that are started elsewhere.
    """
    from linkways.catalogue import builtin_records, open_store

    settings.own.mkdir(parents=True, exist_ok=True)
    jobs = Jobs(settings.database)
    store = open_store(settings.catalogue_url)
    store.put_all(list(builtin_records().values()), author="Linkways")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        working: AbstractContextManager[Any] = Crew(settings) if crew else nullcontext()
        with working:
            yield
        store.close()

    app = FastAPI(
        title="Linkways",
        version=__version__,
        description=(
            "Solutions for ecological connectivity that run. Every page has a JSON twin at its own address with "
            ".json at the end; mistakes are told as RFC 9457 problem details."
        ),
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        dependencies=[Depends(refuse_foreign_requests), Depends(guard), Depends(check_form_token)],
    )
    accounts = Accounts(store, settings.own / "secret") if settings.auth else None
    who = user_of or (accounts.user_of if accounts else local_user)
    app.state.site = Site(settings, jobs, Shelf(settings, jobs), store, who, accounts)
    _add_routes(app)
    app.mount("/static", KeptFiles(directory=STATIC), name="static")
    app.add_middleware(InLanguage)
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=4)
    app.add_middleware(BodyLimit, most_mb=settings.most_upload_mb * 2)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*settings.hosts], www_redirect=False)
    app.add_middleware(SafeHeaders)
    app.add_exception_handler(LinkwaysError, _told)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    return app


def _add_routes(app: FastAPI) -> None:
    from linkways.web.routes import (
        compare,
        layers,
        methods,
        ogc,
        people,
        replicate,
        review,
        runs,
        scenario,
        solutions,
        stac,
        start,
    )

    for module in (start, people, review, solutions, methods, runs, layers, replicate, scenario, compare, ogc, stac):
        app.include_router(module.router)


# --- how mistakes are told -----------------------------------------------------------


def _answer(request: Request, status: int, detail: str, error: Exception | None = None) -> Response:
    if status == 422 and request.url.path.startswith("/ogc"):
        status = 400  # as OGC API has it (/req/core/query-param-invalid)
    data = problem(status, detail, request.url.path, error)
    if html(request):
        return HTMLResponse(render(request, "problem.html", {"problem": data}), status)
    return JSONResponse(data, status, media_type="application/problem+json")


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, LinkwaysError)
    if isinstance(error, NotSignedIn) and html(request):
        back = request.url.path if request.method == "GET" else "/"
        return RedirectResponse(f"/sign-in?next={quote(back)}", 303)
    return _answer(request, status_of(error), str(error), error)


async def _not_understood(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    parts = [f"{'.'.join(str(one) for one in each['loc'][1:])}: {each['msg'].lower()}" for each in error.errors()]
    return _answer(request, 422, "; ".join(parts) or "the request cannot be understood", error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"there is no page {request.url.path[:200]}; the start page leads to all of them"
    answer = _answer(request, error.status_code, detail)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("%s %s", request.method, request.url.path, exc_info=error)
    answer = _answer(request, 500, "an error in Linkways itself; it was written to the server's log, please report it")
    # this answer is made outside of everything that requests pass through
    for name, value in SAFE_HEADERS.items():
        answer.headers[name] = value
    return answer
