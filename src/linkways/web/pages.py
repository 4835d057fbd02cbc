"""Pages and their JSON twins: a route returns plain data, the page shows it, the same address with .json gives it."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.datastructures import FormData

from linkways.errors import LinkwaysError
from linkways.web.languages import (
    country_name,
    gettext,
    language_name,
    ngettext,
    pgettext,
    spoken,
    spoken_day,
    spoken_moment,
    spoken_number,
    switches,
    words_address,
)
from linkways.web.problems import problem, status_of
from linkways.web.settings import ANYONE

__all__ = ["ASSETS", "PageData", "answer_form", "html", "page", "posted_form", "render"]

PageData = dict[str, Any]
STATIC = Path(__file__).parent / "static"
ASSETS = STATIC / "third_party"


def page(router: APIRouter, path: str, template: str) -> Callable[[Callable[..., PageData]], Callable[..., PageData]]:
    """Register a function that returns plain data as a page and, at the same address with ``.json``, as JSON.

    Both get their arguments as the function declares them.
    """

    def register(function: Callable[..., PageData]) -> Callable[..., PageData]:
        own = inspect.signature(function)
        takes_request = "request" in own.parameters

        @functools.wraps(function)
        def as_json(**given: Any) -> JSONResponse:
            return JSONResponse(function(**given))

        @functools.wraps(function)
        def as_page(request: Request, **given: Any) -> HTMLResponse:
            data = function(request=request, **given) if takes_request else function(**given)
            return HTMLResponse(render(request, template, data))

        if not takes_request:
            asked = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)
            arguments = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own.parameters.values()]
            as_page.__signature__ = own.replace(parameters=[asked, *arguments])  # type: ignore[attr-defined]

        twin = "/index.json" if path == "/" else f"{path}.json"
        summary = (function.__doc__ or "").strip().split("\n")[0]
        router.add_api_route(twin, as_json, response_model=None, summary=summary, name=f"{function.__name__}_json")
        router.add_api_route(
            path, as_page, response_model=None, response_class=HTMLResponse, include_in_schema=False,
            name=function.__name__,
        )  # fmt: skip
        return function

    return register


def render(request: Request, template: str, data: PageData) -> str:
    """The page that a template makes of data."""
    path = request.url.path
    site = getattr(request.app.state, "site", None)
    user = site.user_of(request) if site is not None else ANYONE
    return str(
        _environment()
        .get_template(template)
        .render(
            {
                **data,
                "path": path,
                "who": user,
                "token": _token(user.csrf),
                "with_accounts": site is not None and site.accounts is not None,
                "query": request.url.query,
                "language": spoken(),
                "words": words_address(spoken()),
                # what a form answers has no address of its own that could be asked for in another language
                "switches": switches(request.url.query) if request.method == "GET" else [],
                "twin": "/index.json" if path == "/" else f"{path}.json",
                "has_maps": (ASSETS / "maplibre-gl.mjs").is_file(),
            }
        )
    )


def _token(csrf: str) -> Any:
    """What a form carries so that only the pages of this session can send it."""
    from markupsafe import Markup

    return Markup('<input type="hidden" name="csrf" value="{0}">').format(csrf) if csrf else ""


def answer_form(request: Request, template: str, data: PageData, error: LinkwaysError | None) -> Response:
    """The answer to a form: the page again with its data for people, the data for programs; a mistake its status."""
    status = status_of(error) if error is not None else 200
    if html(request):
        return HTMLResponse(render(request, template, data), status)
    if error is not None:
        found = problem(status, str(error), request.url.path, error)
        if data.get("mistakes"):
            found["mistakes"] = data["mistakes"]
        return JSONResponse(found, status, media_type="application/problem+json")
    return JSONResponse(data)


async def posted_form(request: Request) -> AsyncIterator[FormData]:
    """The form that was sent, within limits; files are spooled to disk, and gone when it is answered."""
    async with request.form(max_files=100, max_fields=2000) as form:
        yield form


def html(request: Request) -> bool:
    """Whether the one who asks wants to read a page."""
    path = request.url.path
    if path.endswith((".json", ".geojson", ".png")) or path.startswith(("/ogc", "/stac")):
        return False
    return "text/html" in request.headers.get("accept", "")


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from linkways import __version__
    from linkways.studies.numbers import column_heading, column_text, in_words, number, unit_text

    environment = Environment(
        loader=PackageLoader("linkways.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(gettext, ngettext, newstyle=True, pgettext=pgettext)  # type: ignore[attr-defined]
    environment.filters.update(
        number=lambda value: spoken_number(number(value)),
        cell=lambda value: spoken_number(number(value)) if isinstance(value, (int, float)) else str(value or "–"),
        spoken=lambda value: spoken_number(str(value)),
        unit=lambda unit: gettext(unit_text(unit)),
        words=in_words,
        prose=_prose,
        linked=_linked,
        day=spoken_moment,
        date=spoken_day,
        country=country_name,
        language=language_name,
        duration=_duration,
        heading=column_heading,
        cells=column_text,
    )
    environment.globals["version"] = __version__
    return environment


@cache
def _markdown() -> Any:
    from markdown_it import MarkdownIt

    # no raw HTML, no pictures from elsewhere; the parser itself refuses javascript: and data: links
    return MarkdownIt("commonmark", {"html": False, "breaks": False}).enable("table").disable("image")


def _prose(text: Any) -> Any:
    """Text with Markdown as HTML; whatever is not Markdown is escaped."""
    from markupsafe import Markup

    shown = _markdown().render(str(text or ""))
    return Markup(shown.replace("<a href=", '<a rel="noopener noreferrer" href='))


_ADDRESS = re.compile(r"(https?://[^\s<>\"]*[^\s<>\".,;:)\]'])")


def _linked(text: Any) -> Any:
    """Text with its web addresses as links; everything else escaped."""
    from markupsafe import Markup, escape

    pieces = _ADDRESS.split(str(text))
    link = Markup('<a rel="noopener noreferrer" href="{0}">{0}</a>')
    return Markup("").join(link.format(one) if n % 2 else escape(one) for n, one in enumerate(pieces))


def _duration(seconds: Any) -> str:
    """Seconds in words."""
    from linkways.time_left import clock_words

    if seconds is None:
        return ""
    if float(seconds) < 60:
        return spoken_number(f"{float(seconds):.1f} s")
    return clock_words(float(seconds))
