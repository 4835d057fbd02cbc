"""The application in a real browser: found, read, replicated, watched, changed, compared; and usable by all."""

import math
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from linkways.web.pages import ASSETS

playwright = pytest.importorskip("playwright.sync_api", reason="the browser test needs the package playwright")

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome", "chrome") if (path := shutil.which(name))), None
)
AXE = Path(__file__).parent / "third_party" / "axe.min.js"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on the PATH to open the pages with"),
    pytest.mark.skipif(not (ASSETS / "maplibre-gl.mjs").is_file(), reason="scripts/web-assets has not been run"),
]
OPTIONS = [
    "--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SERVE = """
import sys, uvicorn
from pathlib import Path
from linkways.web import Settings, create_app
settings = Settings(Path(sys.argv[1]), steps_at_once=1, auth="auth" in sys.argv)
uvicorn.run(create_app(settings), port=int(sys.argv[2]), log_level="warning")
"""
SHOTS = os.environ.get("LINKWAYS_SCREENSHOTS")
"""A folder for screenshots, to be looked at."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, catalogue: Path, ran: tuple[Path, str]) -> Iterator[str]:
    """A server with one worker and one finished run."""
    runs = tmp_path_factory.mktemp("browser") / "runs"
    shutil.copytree(ran[0], runs)
    yield from served(runs)


def served(runs: Path, *more: str) -> Iterator[str]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(runs), str(port), *more])
    base = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(base, timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    yield base
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A page that remembers what it asked for and complained of; any complaint fails the test."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(40_000)
    complaints: list[str] = []
    outside: list[str] = []
    opened.on("request", lambda r: None if r.url.startswith((address, "blob:", "data:")) else outside.append(r.url))
    opened.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    told = [
        one for one in complaints if "GPU stall" not in one and "GL Driver" not in one and "net::ERR_ABORTED" not in one
    ]
    assert told == []
    assert outside == []


def settle(page: Any, selector: str) -> None:
    """Wait until a map has drawn everything; it says so itself."""
    page.wait_for_selector(f"{selector}[data-idle]")


def shoot(page: Any, name: str, *, full: bool = False) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=full)


def accessible(page: Any) -> None:
    """No violation of WCAG 2 A and AA that axe finds."""
    if not AXE.is_file():
        return
    page.evaluate(AXE.read_text(encoding="utf-8") + ";0")
    found = page.evaluate(
        "async () => (await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})).violations"
        ".map(v => [v.id, v.nodes.map(n => n.html.slice(0, 160))])"
    )
    assert found == []


def test_find_read_replicate_watch_see_change_and_compare(page: Any) -> None:
    # find
    page.goto("/")
    settle(page, "#explorer")
    shoot(page, "01-start")
    page.get_by_label("Search", exact=True).fill("core areas of some hills")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"q=core"))
    settle(page, "#explorer")
    shoot(page, "02-search")
    # read
    page.get_by_role("link", name="Core areas of some hills").first.click()
    settle(page, "#place")
    assert page.get_by_role("heading", level=1).inner_text() == "Core areas of some hills"
    shoot(page, "03-solution", full=True)
    # replicate, with a box drawn on the map and a setting of one's own
    page.get_by_role("button", name="Replicate with your own data").click()
    settle(page, "#box-map")
    before = page.get_by_label("Box over the built-in layers").input_value()
    page.get_by_role("button", name="Draw a box").click()
    page.locator("#box-map").scroll_into_view_if_needed()
    area = page.locator("#box-map").bounding_box()
    page.mouse.move(area["x"] + area["width"] * 0.3, area["y"] + area["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.7, area["y"] + area["height"] * 0.8, steps=4)
    page.mouse.up()
    after = page.get_by_label("Box over the built-in layers").input_value()
    assert after != before
    west, south, east, north = (float(side) for side in after.split(","))
    assert -87 < west < east < -86
    assert 14 < south < north < 15
    page.get_by_label("Place in words").fill("A smaller box")
    page.locator("[name='cores.min_area_km2']").fill("5")
    shoot(page, "04-setup", full=True)
    page.get_by_role("button", name="Check these inputs and settings").click()
    page.wait_for_url(re.compile("#check"))
    assert "The checks found no mistakes." in page.locator("#check").inner_text()
    page.locator("#check button").click()
    # watch
    page.wait_for_selector("#watch, #h-prov")
    shoot(page, "05-running")
    page.wait_for_selector("#h-prov, .problem", timeout=90_000)
    assert page.locator(".problem").all_inner_texts() == []
    baseline = page.url.split("#")[0]
    # see
    settle(page, ".run-map .map")
    panel = page.locator(".run-map .panel")
    assert panel.locator("input[type=checkbox]:checked").count() == 2
    page.wait_for_timeout(300)
    canvas = page.locator(".run-map canvas").bounding_box()
    page.mouse.move(canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2)
    playwright.expect(page.locator(".run-map .reading")).to_have_text(re.compile("Resistance: [0-9]"), timeout=10_000)
    shoot(page, "06-run", full=True)
    # change: a road drawn across
    page.get_by_role("link", name="What if").click()
    settle(page, "#draw-map")
    page.get_by_label("Resistance, class or value").fill("500")
    page.get_by_role("button", name="Draw on the map").click()
    area = page.locator("#draw-map").bounding_box()
    for x, y in ((0.5, 0.25), (0.52, 0.5), (0.5, 0.75)):
        page.mouse.click(area["x"] + area["width"] * x, area["y"] + area["height"] * y)
        page.wait_for_timeout(350)
    shoot(page, "07-draw", full=True)
    page.get_by_role("button", name="Finish the shape").click()
    assert "road (500) on resistance" in page.locator("#changes").inner_text()
    page.get_by_role("button", name="Run the scenario").click()
    page.wait_for_selector("#h-prov", timeout=90_000)
    assert page.url != baseline
    # compare
    page.get_by_role("link", name="Compare the two").click()
    settle(page, "#difference .map")
    page.wait_for_timeout(300)
    shoot(page, "08-compare", full=True)
    painted = page.evaluate(
        """() => {
          const map = document.querySelector('#difference .map').linkwaysMap, canvas = map.getCanvas();
          const copy = document.createElement('canvas');
          [copy.width, copy.height] = [canvas.width, canvas.height];
          const context = copy.getContext('2d');
          context.drawImage(canvas, 0, 0);
          const data = context.getImageData(0, 0, copy.width, copy.height).data;
          let purple = 0;
          for (let n = 0; n < data.length; n += 4) if (data[n + 2] > data[n + 1] + 40) purple++;
          return purple / (data.length / 4);
        }"""
    )
    # the road's cells, and hardly more, rise
    assert 0.001 < painted < 0.4
    text = page.locator("main").inner_text()
    assert "change of the sum over all cells" in text
    assert "scenario_barriers" in text


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/solutions/tiny-hills", "/methods/corridors.cores", "/about", "/compare", "RUN", "WHAT-IF"),
        *("/?lang=es", "RUN?lang=fr", "WHAT-IF?lang=es"),
    ],
)
def test_pages_pass_axe_and_are_not_wider_than_a_phone(page: Any, path: str, ran: tuple[Path, str]) -> None:
    path = path.replace("RUN", f"/runs/{ran[1]}").replace("WHAT-IF", f"/runs/{ran[1]}/what-if")
    page.goto(path)
    if page.locator(".map").count():
        settle(page, ".map")
    accessible(page)
    page.set_viewport_size({"width": 360, "height": 780})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    shoot(page, "phone" + path.replace("/", "-").replace("?", "-"), full=True)


@pytest.fixture(scope="module")
def with_large_layer(tmp_path_factory: pytest.TempPathFactory, ran: tuple[Path, str]) -> Iterator[str]:
    """A server with the finished run, and beside it one whose cores are 25,000 cells in southern Africa."""
    from tests.web.test_vector_tiles import many_cells

    runs = tmp_path_factory.mktemp("large") / "runs"
    shutil.copytree(ran[0], runs)
    shutil.copytree(runs / ran[1], runs / "large-run")
    file = next(one for one in (runs / "large-run").rglob("*cores*.parquet") if ".steps" not in one.parts)
    many_cells().iloc[:25_000].to_parquet(file)
    yield from served(runs)


def test_a_large_layer_comes_in_tiles_and_tells_all_of_a_clicked_feature(browser: Any, with_large_layer: str) -> None:
    page = browser.new_page(base_url=with_large_layer, viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/runs/large-run")
    settle(page, ".run-map .map")
    assert not any("cores.cores.geojson" in url for url in asked)
    page.evaluate(
        """() => {
          const map = document.querySelector('.run-map .map').linkwaysMap;
          map.jumpTo({ center: [27.5, -21.75], zoom: 10 });
          return new Promise((done) => map.once('idle', done));
        }"""
    )
    shoot(page, "large-layer")
    area = page.locator(".run-map canvas").bounding_box()
    page.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    popup = page.locator(".maplibregl-popup")
    popup.wait_for()
    row = int(re.search(r"cell (\d+)", popup.inner_text())[1])  # type: ignore[index]
    # the cell under the centre, by the formula of Web Mercator
    half = math.pi * 6378137.0
    x = 27.5 / 180 * half
    y = math.log(math.tan(math.pi / 4 + math.radians(-21.75) / 2)) / math.pi * half
    assert row == int((y + 2_500_000.0) // 1000) * 316 + int((x - 3_000_000.0) // 1000)
    page.close()


def test_features_that_differ_are_on_the_map_of_the_comparison(
    browser: Any, with_large_layer: str, ran: tuple[Path, str]
) -> None:
    page = browser.new_page(base_url=with_large_layer, viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(f"/compare?before={ran[1]}&after=large-run&lang=es")
    settle(page, "#difference .map")
    assert page.locator("#legend").inner_text().split("\n")[:2] == ["añadido", "eliminado"]
    assert "25.000" in page.locator("main").inner_text()
    accessible(page)
    shoot(page, "compare-features")
    page.close()


def test_scripts_speak_the_language_of_the_page(page: Any, ran: tuple[Path, str]) -> None:
    page.goto(f"/runs/{ran[1]}")
    page.get_by_role("link", name="Español").click()
    settle(page, ".run-map .map")
    assert page.evaluate("document.documentElement.lang") == "es"
    assert "Opacidad" in page.locator(".run-map .layers").inner_text()
    assert page.locator(".maplibregl-ctrl-zoom-in").get_attribute("aria-label") == "Acercar"
    # the wish is kept
    page.goto("/")
    assert page.get_by_role("heading", level=1).inner_text().startswith("Soluciones")


def test_the_keyboard_reaches_the_content_first_and_shows_where_it_is(page: Any) -> None:
    page.goto("/methods")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_without_scripts_a_run_can_be_begun_and_its_numbers_read(
    browser: Any, address: str, ran: tuple[Path, str]
) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/?q=hills")
    page.get_by_role("link", name="Core areas of some hills").first.click()
    page.get_by_role("button", name="Replicate with your own data").click()
    assert "The checks found no mistakes." in page.locator("#check").inner_text()
    page.goto(f"/runs/{ran[1]}")
    assert "change.total_percent" in page.locator("main").inner_text()
    context.close()


def test_the_report_runs_nothing_and_is_whole(page: Any, ran: tuple[Path, str]) -> None:
    page.goto(f"/runs/{ran[1]}/report")
    assert page.locator("h1").inner_text()
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


@pytest.fixture(scope="module")
def with_accounts(tmp_path_factory: pytest.TempPathFactory, catalogue: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A server that people sign in to, and an invitation for each role."""
    from linkways.catalogue import open_store
    from linkways.web.accounts import Accounts

    runs = tmp_path_factory.mktemp("accounts") / "runs"
    own = runs / ".linkways"
    own.mkdir(parents=True)
    shutil.copy(catalogue, own)
    with open_store(own / "catalogue.sqlite") as store:
        accounts = Accounts(store, own / "secret")
        invited = {role: accounts.invite(None, "", role) for role in ("contributor", "reviewer", "administrator")}
    for base in served(runs, "auth"):
        yield base, invited


def test_submit_review_publish(browser: Any, with_accounts: tuple[str, dict[str, str]]) -> None:
    base, invited = with_accounts
    people = {}
    for role, token in invited.items():
        context = browser.new_context(base_url=base, viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.set_default_timeout(40_000)
        page.goto(f"/join?token={token}")
        accessible(page)
        page.fill("#name", f"The {role}")
        page.fill("#email", f"{role}@example.org")
        page.fill("#password", "a wide bridge over the road")
        page.click("button:has-text('Make the account')")
        page.wait_for_url("**/my")
        people[role] = page
    author, reviewer, editor = people["contributor"], people["reviewer"], people["administrator"]

    author.fill("#new-title", "A bridge over the road")
    author.click("button:text-is('Begin')")
    author.wait_for_url("**/edit")
    accessible(author)
    shoot(author, "edit")
    author.fill("#f-summary", "Deer cross a road by a bridge.")
    author.fill("#f-challenges", "- A road parts the wood.")
    author.fill("#f-building_blocks", "- {id: bridge, title: The bridge, description: Forty metres wide.}")
    author.fill("#f-impacts", "- {fact: Deer cross., source: The rangers}")
    author.fill("#f-species", "- {scientific_name: 7}")
    author.click("button:has-text('Save')")
    assert "write text" in author.inner_text("[role=alert]")
    author.fill("#f-species", "- Cervus elaphus")
    author.click("button:has-text('Save')")
    author.wait_for_url("**/review")
    author.click("button:has-text('Submit for review')")

    reviewer.goto("/review")
    reviewer.click("text=A bridge over the road")
    reviewer.select_option("#field", "impacts.0")
    reviewer.fill("#body", "How **many** deer?")
    reviewer.click("#say button")
    reviewer.fill("#note", "Tell the number of deer.")
    reviewer.click("button:has-text('Ask for changes')")
    accessible(reviewer)

    author.goto("/my")
    assert "Tell the number of deer." in author.inner_text(".news")
    author.click("text=Edit")
    assert "How many deer?" in author.inner_text("#edit").replace("**", "")
    author.fill("#f-impacts", "- {fact: Forty deer cross., source: The rangers}")
    author.click("button:has-text('Save')")
    author.wait_for_url("**/review")
    author.click("button:has-text('Submit for review')")

    reviewer.reload()
    for name in ("relevance", "impact", "replicable"):
        reviewer.check(f"input[name='met.{name}'][value=yes]")
    reviewer.click("button:has-text('Save verdicts')")
    reviewer.click("button:text-is('Approve')")
    shoot(reviewer, "review", full=True)

    editor.goto("/review")
    editor.click("text=A bridge over the road")
    editor.click("button:text-is('Publish')")
    accessible(editor)
    stranger = browser.new_context(base_url=base).new_page()
    stranger.goto("/?q=bridge+over+the+road")
    stranger.click("text=A bridge over the road")
    assert "Forty deer cross." in stranger.inner_text("#content")
    assert "Sign in" in stranger.inner_text("header")
