"""The report in a real browser: nothing asked from outside, nothing wider than a phone, readable text, whole pages."""

import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from linkways.studies.report import write_report
from tests.studies.finished_run import make_run

playwright = pytest.importorskip("playwright.sync_api", reason="the browser test needs the package playwright")

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome", "chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on the PATH to open the report with")
OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
CONTRAST = """() => {
  const parts = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n };
  const linear = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => .2126 * linear(c[0]) + .7152 * linear(c[1]) + .0722 * linear(c[2]);
  const under = e => {
    for (; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      if (colour[3] > 0) return colour;
    }
    return [255, 255, 255, 1];
  };
  const written = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  return [...document.querySelectorAll('body *')].filter(written).map(e => {
    const [dark, pale] = [light(parts(getComputedStyle(e).color)), light(under(e))].sort((x, y) => x - y);
    return [e.tagName + ' ' + e.className, (pale + .05) / (dark + .05)];
  });
}"""
CELLS = """() => [...document.querySelectorAll('table.data')].map(table => [...table.tBodies[0].rows].map(row =>
  [...row.cells].map(cell => {
    const box = cell.getBoundingClientRect(), range = document.createRange();
    range.selectNodeContents(cell);
    const lines = new Set([...range.getClientRects()].map(line => Math.round(line.top)));
    const size = parseFloat(getComputedStyle(cell).fontSize);
    return [box.left, box.right, cell.className === 'number' ? lines.size : 1, size];
  })))"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_run(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield opened
        opened.close()


@pytest.fixture
def open_at(browser: Any, report: Path) -> Iterator[Any]:
    """Opens the report in a window of a width; what it asked for and complained of is kept on the page."""
    context = browser.new_context()

    def open_page(width: int, height: int = 900) -> Any:
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("requestfailed", lambda request: page.complaints.append(f"failed {request.url[:80]}"))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(report.as_uri(), wait_until="load")
        return page

    yield open_page
    context.close()


def test_the_page_asks_for_itself_alone_and_raises_no_complaint(open_at: Any, report: Path) -> None:
    page = open_at(1280)
    outside = [url for url in page.asked if not url.startswith("data:image/png;base64,")]
    assert outside == [report.as_uri()]
    assert page.complaints == []


def test_every_image_is_drawn_and_told(open_at: Any) -> None:
    images = open_at(1280).evaluate(
        "[...document.images].map(i => [i.complete, i.naturalWidth, i.naturalHeight, i.width / i.height, i.alt])"
    )
    assert len(images) == 4
    for complete, width, height, drawn, alt in images:
        assert complete
        assert width > 300
        assert height > 200
        assert drawn == pytest.approx(width / height, rel=0.01)
        assert re.search(r"[A-Z].{20,}\.$", alt)


def test_headings_step_down_one_level_at_a_time_in_the_outline(open_at: Any) -> None:
    levels = open_at(1280).evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("width", [320, 360, 768, 1024, 1280, 1920])
def test_nothing_is_wider_than_the_window(open_at: Any, width: int) -> None:
    page = open_at(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = page.evaluate(
        """() => [...document.querySelectorAll('main *, header *, nav *, footer *')]
          .filter(e => !e.closest('.wide') && e.getBoundingClientRect().right > innerWidth + 1)
          .filter(e => getComputedStyle(e).position !== 'absolute' && !e.closest('thead'))
          .map(e => e.tagName + ' ' + e.className)"""
    )
    assert beyond == []


@pytest.mark.parametrize("width", [360, 1280])
def test_tables_can_be_read_cells_do_not_cover_each_other_and_numbers_do_not_break(open_at: Any, width: int) -> None:
    page = open_at(width)
    tables = page.evaluate(CELLS)
    assert len(tables) == 2
    for rows in tables:
        for cells in rows:
            assert all(a[1] <= b[0] + 0.5 for a, b in itertools.pairwise(cells))
            assert all(lines <= 1 for _, _, lines, _ in cells)
            assert all(size >= 12 for *_, size in cells)


def test_a_table_wider_than_the_phone_scrolls_in_its_own_frame_reached_by_keyboard(open_at: Any) -> None:
    page = open_at(360)
    page.evaluate("document.querySelector('.wide:has(table.data)').focus()")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.wide:has(table.data)').scrollLeft > 0")
    assert page.evaluate("scrollX") == 0
    page.evaluate("document.querySelector('.wide:has(table.data)').scrollLeft = 10_000")
    caption = page.evaluate("document.querySelector('table.data caption div').getBoundingClientRect().toJSON()")
    assert caption["left"] >= 0
    assert caption["right"] <= 360


def test_the_keyboard_reaches_the_content_first_and_shows_where_it_is(open_at: Any) -> None:
    page = open_at(1280)
    page.keyboard.press("Tab")
    first = page.evaluate("[document.activeElement.textContent, document.activeElement.getBoundingClientRect().left]")
    assert first[0] == "Skip to the content"
    assert first[1] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_all_text_has_the_contrast_of_wcag_aa(open_at: Any) -> None:
    """Relative luminance and contrast ratio as WCAG 2.2 defines them; 4.5 to 1 for all sizes, stricter than AA."""
    found = open_at(1280).evaluate(CONTRAST)
    assert len(found) > 200
    assert [(what, ratio) for what, ratio in found if ratio < 4.5] == []


def test_the_contents_stay_beside_the_text_of_a_wide_window_and_above_it_in_a_narrow_one(open_at: Any) -> None:
    boxes = "['nav', 'main'].map(s => document.querySelector(s).getBoundingClientRect().toJSON())"
    nav, main = open_at(1400).evaluate(boxes)
    assert nav["right"] < main["left"]
    nav, main = open_at(700).evaluate(boxes)
    assert nav["bottom"] <= main["top"]


def test_it_prints_on_a4_without_cutting_maps_or_rows(open_at: Any, tmp_path: Path) -> None:
    page = open_at(1280)
    page.emulate_media(media="print")
    # A4 less its side margins of 16 mm, at 96 dots per inch: what a page of print can hold.
    page.set_viewport_size({"width": round(178 / 25.4 * 96), "height": 1000})
    assert page.evaluate("document.documentElement.scrollWidth") <= round(178 / 25.4 * 96)
    tallest = page.evaluate("Math.max(...[...document.querySelectorAll('figure, tr')].map(e => e.offsetHeight))")
    assert tallest <= 262 / 25.4 * 96
    assert page.evaluate("getComputedStyle(document.querySelector('figure')).breakInside") == "avoid"
    assert page.evaluate("getComputedStyle(document.querySelector('tr')).breakInside") == "avoid"
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    content = page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content)
    assert 5 <= len(boxes) <= 15
    for width, height in boxes:
        assert sorted((float(width), float(height))) == pytest.approx([595, 842], abs=2)
