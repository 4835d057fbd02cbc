"""The written pages name only methods, pages and tests that are there."""

import importlib.util
import re
from pathlib import Path

import pytest

from linkways.method import methods

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
AGREEMENT = DOCS / "explanation" / "agreement-with-other-tools.md"
ROOMS = sorted({one.room for one in methods().values() if one.function.__module__.startswith("linkways.")})
METHOD = re.compile(rf"`({'|'.join(ROOMS)})\.([a-z_]+)`")
HELPERS = {"corridors.resistance_matrix", "planning.problem"}
"""Public functions of a room that are no methods."""


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def reference_index() -> str:
    """The page of all methods as docs/build.py makes it."""
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    return str(build.reference_index())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_methods_that_are_declared(page):
    named = {f"{room}.{name}" for room, name in METHOD.findall(text_of(page))}
    assert named - set(methods()) - HELPERS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+\.(?:md|png))(?:#[^)]*)?\)", text_of(page))
    # the reference is made when the documentation is built
    missing = [link for link in links if not link.startswith("reference/") and not (page.parent / link).is_file()]
    assert missing == []


def test_every_method_stands_in_the_table_of_all_methods_under_its_room():
    rooms = re.split(r"^## ", reference_index(), flags=re.MULTILINE)[1:]
    listed = {room.split("\n")[0]: set(re.findall(r"^\| \[`([a-z_.]+)`\]", room, re.MULTILINE)) for room in rooms}
    declared: dict[str, set[str]] = {}
    for id, one in methods().items():
        declared.setdefault(one.room, set()).add(id)
    assert listed == declared


def test_the_page_of_agreements_names_the_reference_tests_that_there_are():
    named = set(re.findall(r"`(test_\w+\.py)`", text_of(AGREEMENT)))
    there = {file.name for file in (ROOT / "tests" / "reference").glob("test_*.py")}
    assert named - there == set()
    assert there - named == set()
