"""The languages of the interface: which one a reader gets, its words, and numbers and dates as it writes them.

English is the language of the sources; the others are gettext catalogues in ``locale/``, read as they are. A page is in
the language asked for by ``?lang=``, else by the cookie that the last such wish left, else by the browser's
``Accept-Language``, else in English.
"""

from __future__ import annotations

import hashlib
import io
from contextvars import ContextVar
from datetime import datetime
from functools import cache
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "LANGUAGES",
    "N_",
    "InLanguage",
    "country_name",
    "gettext",
    "language_name",
    "ngettext",
    "pgettext",
    "script_words",
    "spoken",
    "spoken_day",
    "spoken_moment",
    "spoken_number",
    "switches",
    "words_address",
]

LANGUAGES = {"en": "English", "es": "Español", "fr": "Français"}
"""The languages of the interface, each by its own name."""
LOCALE = Path(__file__).parent / "locale"
COOKIE = "linkways_language"
_YEAR_S = 365 * 24 * 3600

_SPOKEN: ContextVar[str] = ContextVar("linkways_language", default="en")


def spoken() -> str:
    """The language of the answer that is being made."""
    return _SPOKEN.get()


def N_(text: str) -> str:
    """Mark a text that a template translates later; it stays as it is."""
    return text


# --- words ---------------------------------------------------------------------------


@cache
def catalogue_of(language: str) -> Any:
    """The messages of a language as they stand in its file."""
    from babel.messages.pofile import read_po

    with (LOCALE / language / "LC_MESSAGES" / "linkways.po").open("rb") as file:
        return read_po(file, locale=language, domain="linkways")


@cache
def _translations(language: str) -> Any:
    from babel.messages.mofile import write_mo
    from babel.support import NullTranslations, Translations

    if language == "en":
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, catalogue_of(language))
    compiled.seek(0)
    return Translations(compiled, domain="linkways")


def gettext(text: str) -> str:
    """The text in the spoken language; English where it has none."""
    # the empty text is the header of a catalogue
    return str(_translations(spoken()).gettext(text)) if text else ""


def ngettext(one: str, many: str, count: int) -> str:
    """The same for a text that depends on how many there are."""
    return str(_translations(spoken()).ngettext(one, many, count))


def pgettext(context: str, text: str) -> str:
    """The same for a text that means several things, told apart by its context."""
    return str(_translations(spoken()).pgettext(context, text))


@cache
def script_words(language: str) -> dict[str, str]:
    """The texts that scripts of pages say, in a language."""
    if language == "en":
        return {}
    return {
        str(one.id): str(one.string)
        for one in catalogue_of(language)
        if one.id and one.string and any(place.endswith(".js") for place, _ in one.locations)
    }


@cache
def words_address(language: str) -> str:
    """Where a page's scripts find their words; empty for English, which stands in them. It changes with the words."""
    words = script_words(language)
    version = hashlib.sha256(repr(sorted(words.items())).encode()).hexdigest()[:12]
    return f"/words/{language}.json?v={version}" if words else ""


# --- numbers, dates and countries ----------------------------------------------------


@cache
def _locale(language: str) -> Any:
    from babel import Locale

    return Locale.parse(language)


@cache
def _marks(language: str) -> dict[int, str]:
    """What stands in a number for the comma and the point of English."""
    symbols = _locale(language).number_symbols
    marks = symbols.get("latn", symbols)
    return str.maketrans({",": marks["group"], ".": marks["decimal"]})


def spoken_number(text: str) -> str:
    """A number written the English way, as the spoken language writes it; what has no digit is a word."""
    if spoken() == "en":
        return text
    return text.translate(_marks(spoken())) if any(one.isdigit() for one in text) else gettext(text)


def spoken_moment(moment: str) -> str:
    """A moment (ISO 8601, UTC) as people write it, to the minute."""
    if len(moment) < 16:
        return spoken_day(moment)
    if spoken() == "en":
        return f"{moment[:10]} {moment[11:16]} UTC"
    from babel.dates import format_datetime

    shown = format_datetime(datetime.fromisoformat(moment[:16]), "d MMM y, HH:mm", locale=_locale(spoken()))
    return f"{shown} UTC"


def spoken_day(moment: str) -> str:
    """The day of a moment (ISO 8601)."""
    if spoken() == "en" or len(moment) < 10:
        return moment[:10]
    from babel.dates import format_date

    return str(format_date(datetime.fromisoformat(moment[:10]), "d MMM y", locale=_locale(spoken())))


def country_name(code: str, english: str) -> str:
    """The name of a country (ISO 3166-1 alpha-2) in the spoken language."""
    if spoken() == "en":
        return english
    return str(_locale(spoken()).territories.get(code, english))


def language_name(code: str) -> str:
    """The name of a language by itself; the code where it is not known."""
    from babel import Locale, UnknownLocaleError

    try:
        name = Locale.parse(code, sep="-").get_display_name()
    except (ValueError, UnknownLocaleError):
        return code
    return f"{name[:1].upper()}{name[1:]}" if name else code


# --- which language ------------------------------------------------------------------


def language_of(scope: Scope) -> str:
    """The language of the interface that a request asks for."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("lang", [""])[-1]
    headers = Headers(scope=scope)
    wishes = [asked, _of_cookie(headers.get("cookie", "")), *_accepted(headers.get("accept-language", ""))]
    known = (known for wish in wishes if (known := wish.replace("_", "-").split("-")[0].lower()) in LANGUAGES)
    return next(known, "en")


def _of_cookie(text: str) -> str:
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _accepted(text: str) -> list[str]:
    """The languages of Accept-Language, the most wanted first (RFC 9110, section 12.5.4)."""
    wishes = []
    for part in text[:1000].split(","):
        name, _, quality = part.partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=")) if quality.strip() else 1.0
        except ValueError:
            continue
        if weight > 0:
            wishes.append((weight, name.strip()))
    return [name for _, name in sorted(wishes, key=lambda one: -one[0])]


class InLanguage:
    """Answers every request in its language, and keeps a wish of ``?lang=`` in a cookie."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        language = language_of(scope)
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("lang", [""])[-1]
        secure = "; Secure" if scope.get("scheme") == "https" else ""

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.setdefault("content-language", language)
                    headers.add_vary_header("Accept-Language")
                    headers.add_vary_header("Cookie")
                    if asked == language:
                        kept = f"{COOKIE}={language}; Path=/; Max-Age={_YEAR_S}; SameSite=Lax; HttpOnly{secure}"
                        headers.append("set-cookie", kept)
            await send(message)

        token = _SPOKEN.set(language)
        try:
            await self.app(scope, receive, send_told)
        finally:
            _SPOKEN.reset(token)


def switches(query: str) -> list[dict[str, Any]]:
    """The same page in every language: its name, its address, and whether it is spoken now."""
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "lang"]
    return [
        {"code": code, "name": name, "href": "?" + urlencode([*kept, ("lang", code)]), "now": code == spoken()}
        for code, name in LANGUAGES.items()
    ]
