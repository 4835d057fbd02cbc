"""The interface in its languages: every text is translated, and every page speaks the language that is asked for."""

import re
import runpy
import string
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from starlette.testclient import TestClient

from linkways.web import languages
from linkways.web.languages import LANGUAGES, LOCALE
from linkways.web.names import NAMES

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "src/linkways/web"
OTHERS = [one for one in LANGUAGES if one != "en"]
READ = {"accept": "text/html"}


@cache
def extracted() -> Catalog:
    found: Catalog = runpy.run_path(str(ROOT / "scripts/messages"), run_name="messages")["extracted"]()
    return found


@cache
def catalogue(language: str) -> Catalog:
    with (LOCALE / language / "LC_MESSAGES/linkways.po").open("rb") as file:
        return read_po(file, locale=language)


def texts(found: Catalog) -> set[tuple[Any, Any]]:
    return {(one.id, one.context) for one in found if one.id}


# --- catalogues ----------------------------------------------------------------------


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_holds_every_text_of_the_interface_and_no_other(language: str) -> None:
    assert len(texts(extracted())) > 400
    assert texts(catalogue(language)) == texts(extracted())


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated_in_all_its_plural_forms(language: str) -> None:
    for one in catalogue(language):
        if one.id:
            forms = one.string if isinstance(one.string, tuple) else (one.string,)
            assert len(forms) == (catalogue(language).num_plurals if isinstance(one.id, tuple) else 1)
            assert all(forms), one.id
            assert not one.fuzzy, one.id


def placeholders(text: str) -> Counter[str]:
    """What is filled in: %(name)s of templates, {name} of scripts; tags and doubled percent signs count too."""
    return Counter(re.findall(r"%\(\w+\)s|%%|\{\w+\}|</?\w+(?: href=\"[^\"]*\")?>", text))


@pytest.mark.parametrize("language", OTHERS)
def test_translations_fill_in_what_the_english_fills_in(language: str) -> None:
    for one in catalogue(language):
        if not one.id:
            continue
        ids, forms = (each if isinstance(each, tuple) else (each,) for each in (one.id, one.string))
        # what stands in the help of YAML fields is YAML, not filled in
        wanted = [placeholders(text) for text in ids]
        if any("{" in text and ": " in text.partition("{")[2] for text in ids):
            continue
        for form in forms:
            assert placeholders(form) in wanted, (one.id, form)


def sentence_end(text: str) -> str:
    return text.rstrip("»” ")[-1:] if text.rstrip("»” ")[-1:] in ".:…" else ""


@pytest.mark.parametrize("language", OTHERS)
def test_translations_end_as_the_english_does(language: str) -> None:
    def ends(one: Message) -> tuple[str, str]:
        text, form = (each[0] if isinstance(each, tuple) else each for each in (one.id, one.string))
        return sentence_end(text), sentence_end(form)

    wrong = [one.id for one in catalogue(language) if one.id and len(set(ends(one))) > 1]
    assert wrong == []


TOKEN = re.compile(r"(\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<(?:[^<>{]|\{\{.*?\}\}|\{%.*?%\})*>)", re.S)
NAMES_KEPT = {"Linkways", "Python", "CSV", "YAML", "kB", "km²", "collection.json", "/ogc/processes/"}


@pytest.mark.parametrize("file", sorted(WEB.glob("templates/*.html")), ids=lambda file: file.name)
def test_no_word_of_a_template_stands_outside_what_is_translated(file: Path) -> None:
    left = []
    translated = code = False
    for piece in TOKEN.split(file.read_text(encoding="utf-8")):
        if piece.startswith("{%"):
            translated = translated or bool(re.match(r"\{%-?\s*trans\b", piece))
            translated = translated and "endtrans" not in piece
        elif piece.startswith("{{"):
            # words that a template chooses among are translated where they stand
            chosen = re.findall(r'(?<![(=\[,"] )(?<![(=\[,"])"([A-Z][a-z]+ [^"]*|[A-Z][a-z]+)"', piece)
            left += [one for one in chosen if f'_("{one}")' not in piece and f', "{one}")' not in piece]
        elif piece.startswith("<"):
            code = piece.startswith(("<code", "<script")) or (code and not piece.startswith(("</code", "</script")))
            plain = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", piece)
            left += re.findall(r'(?:aria-label|alt|title|content)="([^"]*[A-Za-z]{2} [^"]*)"', plain)
        elif not translated and not code:
            words = piece.strip(string.whitespace + string.punctuation.replace("/", "") + "·–×“”")
            if re.search(r"[A-Za-z]{2}", words) and words not in NAMES_KEPT:
                left.append(words)
    assert [one for one in left if "width=device-width" not in one] == []


def test_names_from_other_rooms_are_among_the_texts() -> None:
    from linkways.catalogue import CRITERIA, FACETS, vocabulary
    from linkways.catalogue._store import STATUSES
    from linkways.method import ROOMS
    from linkways.studies.scenarios import EDITS
    from linkways.web.settings import _RANKS

    small = [
        label
        for name in ("realm", "scale", "block-phase", "block-category")
        for label in vocabulary(name).labels.values()
    ]
    edits = [doc for _, doc in EDITS.values()]
    wanted = {*FACETS.values(), *CRITERIA.values(), *STATUSES, *ROOMS, *_RANKS, *small, *edits}
    assert wanted - set(NAMES) == set()


# --- which language ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "cookie", "accept", "expected"),
    [
        ("", "", "", "en"),
        ("", "", "es", "es"),
        ("", "", "fr-CA,fr;q=0.9,en;q=0.5", "fr"),
        ("", "", "de, es;q=0.3, fr;q=0.6", "fr"),
        ("", "", "fr;q=0, es;q=0.1", "es"),
        ("", "", "de", "en"),
        ("", "", "es;q=x, fr;q=0.2", "fr"),
        ("", "es", "fr", "es"),
        ("", "../../etc", "fr", "fr"),
        ("fr", "es", "en", "fr"),
        ("pt", "es", "fr", "es"),
        ("fr-BE", "", "", "fr"),
    ],
)
def test_the_wish_then_the_cookie_then_the_browser_decide(asked: str, cookie: str, accept: str, expected: str) -> None:
    scope = {
        "type": "http",
        "query_string": f"lang={asked}".encode() if asked else b"",
        "headers": [(b"cookie", f"{languages.COOKIE}={cookie}".encode()), (b"accept-language", accept.encode())],
    }
    assert languages.language_of(scope) == expected


@pytest.mark.parametrize(("language", "heading"), [("en", "Runs"), ("es", "Ejecuciones"), ("fr", "Exécutions")])
def test_pages_speak_the_language_of_the_browser(reader: TestClient, language: str, heading: str) -> None:
    answer = reader.get("/runs", headers={**READ, "accept-language": f"{language};q=0.9"})
    assert f'<html lang="{language}"' in answer.text
    assert f"<h1>{heading}</h1>" in answer.text
    assert answer.headers["content-language"] == language
    assert {"accept-language", "cookie"} <= {one.strip().lower() for one in answer.headers["vary"].split(",")}


def test_a_wish_is_kept_in_a_cookie(client: TestClient) -> None:
    assert "Ejecuciones" in client.get("/runs?lang=es", headers=READ).text
    assert "Ejecuciones" in client.get("/runs", headers={**READ, "accept-language": "fr"}).text
    assert "Runs" in client.get("/runs?lang=en", headers=READ).text
    assert "<h1>Runs</h1>" in client.get("/runs", headers={**READ, "accept-language": "fr"}).text


def test_the_footer_leads_to_the_same_page_in_every_language(reader: TestClient) -> None:
    page = reader.get("/?q=hills&facet.realm=land", headers=READ).text
    assert '<a href="?q=hills&amp;facet.realm=land&amp;lang=fr" lang="fr" hreflang="fr">Français</a>' in page
    assert 'lang="en" hreflang="en" aria-current="true"' in page


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize(
    "path", ["/", "/solutions/tiny-hills", "/methods", "/methods/corridors.cores", "/compare", "/my", "/about", "/api"]
)
def test_pages_render_in_every_language_without_english_navigation(
    reader: TestClient, path: str, language: str
) -> None:
    answer = reader.get(path, headers={**READ, "accept-language": language})
    assert answer.status_code == 200
    assert "Skip to the content" not in answer.text
    assert "My work" not in answer.text
    assert "%(" not in answer.text
    assert "This page as JSON" in reader.get(path, headers=READ).text


def test_a_finished_run_reads_in_spanish(client: TestClient, finished: str) -> None:
    page = client.get(f"/runs/{finished}", headers={**READ, "accept-language": "es"}).text
    assert "Cómo se hizo" in page
    assert "terminada" not in re.findall(r"<h1>(.*?)</h1>", page)
    assert re.search(r"<dd>\d{1,2} \w+ 20\d\d, \d\d:\d\d UTC, tras [\d,]+ s</dd>", page)


def test_mistakes_have_their_title_in_the_language_and_programs_the_standard_one(reader: TestClient) -> None:
    page = reader.get("/nowhere", headers={**READ, "accept-language": "fr"})
    assert (page.status_code, "<h1>Introuvable</h1>" in page.text) == (404, True)
    assert reader.get("/nowhere", headers={"accept-language": "fr"}).json()["title"] == "Not Found"


@pytest.mark.parametrize(
    ("language", "number", "moment"),
    [
        ("en", "2,612,346.5", "2026-03-01 14:05 UTC"),
        ("es", "2.612.346,5", "1 mar 2026, 14:05 UTC"),
        ("fr", "2\u202f612\u202f346,5", "1 mars 2026, 14:05 UTC"),
    ],
)
def test_numbers_and_dates_are_written_as_the_language_writes_them(language: str, number: str, moment: str) -> None:
    """Separators and names of months are those of the Unicode CLDR for each language."""
    token = languages._SPOKEN.set(language)
    try:
        assert languages.spoken_number("2,612,346.5") == number
        assert languages.spoken_moment("2026-03-01T14:05:59+00:00") == moment
    finally:
        languages._SPOKEN.reset(token)


def test_scripts_get_their_words_and_english_needs_none(reader: TestClient) -> None:
    page = reader.get("/", headers={**READ, "accept-language": "es"}).text
    address = re.search(r'data-words="([^"]+)"', page)
    assert address is not None
    words = reader.get(address[1]).json()
    said = {text for file in WEB.glob("static/*.js") for text in re.findall(r'\b_\("([^"]+)"', file.read_text())}
    assert set(words) == said
    assert words["Opacity"] == "Opacidad"
    assert "data-words" not in reader.get("/", headers=READ).text
    assert reader.get("/words/xx.json").status_code == 404


def test_a_record_is_shown_in_the_language_of_the_page_where_it_has_it(client: TestClient) -> None:
    from linkways.catalogue import record_from
    from tests.web.conftest import tiny_record

    data = tiny_record()
    data["id"] = "two-tongues"
    data["translations"] = {"fr": {"title": "Noyaux de quelques collines"}, "pt": {"title": "Núcleos de colinas"}}
    client.app.state.site.store.put(record_from(data), author="A tester")  # type: ignore[attr-defined]
    address = "/solutions/two-tongues"

    def heading(path: str, language: str) -> str:
        page = client.get(path, headers={**READ, "accept-language": language}).text
        found = re.search(r"<h1[^>]*>(.*?)</h1>", page)
        assert found is not None
        return found[1]

    assert heading(address, "fr") == "Noyaux de quelques collines"
    assert heading(address, "es") == "Core areas of some hills"
    assert heading(address + "?lang=pt", "fr") == "Núcleos de colinas"
    assert "Noyaux de quelques" in client.get("/?q=hills", headers={**READ, "accept-language": "fr"}).text
