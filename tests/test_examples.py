"""Every example a reader meets runs: those of the methods, of the public modules, and of the documentation."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

from linkways import method
from linkways.method import methods

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
    if BLOCK.search(page.read_text(encoding="utf-8"))
]
MODULES = ["linkways", "linkways.errors", "linkways.spatial.log"]


def run_examples(text: str, name: str, names: dict[str, object] | None = None) -> int:
    test = doctest.DocTestParser().get_doctest(text, names or {}, name, name, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    failures = []
    runner.run(test, out=failures.append)
    assert not runner.failures, "".join(failures)
    return runner.tries


@pytest.mark.parametrize("id", sorted(methods()))
def test_every_method_has_an_example_that_runs(id):
    assert run_examples(methods()[id].examples, id) > 0


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_public_modules_run(name):
    module = importlib.import_module(name)
    tests = [t for t in doctest.DocTestFinder().find(module) if t.examples]
    assert tests
    for test in tests:
        run_examples(test.docstring, test.name, dict(vars(module)))


@pytest.mark.parametrize(
    "page", [p for p in PAGES if BLOCK.search(p.read_text(encoding="utf-8"))], ids=lambda p: p.name
)
def test_the_python_blocks_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # a page may declare a method of its own, which must not stay
    monkeypatch.setattr(method, "_REGISTRY", dict(method._REGISTRY))
    names: dict[str, object] = {"__name__": "page"}
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, str(page), "exec"), names)
