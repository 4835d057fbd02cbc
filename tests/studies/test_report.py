"""The report of a real run over a small landscape: complete, self-contained, safe, and readable in a browser."""

import re
import shutil
from html.parser import HTMLParser

import geopandas as gpd
import numpy as np
import pytest
import shapely

from linkways import LinkwaysError, spatial
from linkways.studies import load_study, run_study
from linkways.studies.report import write_report

STUDY = """
id: a-valley
title: A valley reconnected
summary: Two reserves joined.
place: {name: A valley}
species: [{scientific_name: Lynx lynx, name: lynx}]
challenges: [A road runs between the reserves.]
building_blocks:
  - {title: Map the corridor, description: From a resistance raster., steps: [corridors]}
impacts: [{fact: Animals crossed 12 times., source: book}]
sources: {book: "A book about the valley, https://example.org/valley"}
study:
  linkways: 1
  title: Corridors <script>alert(1)</script> in a valley
  description: A least-cost corridor between two reserves.
  inputs:
    resistance: {path: resistance.tif, source: A survey & a guess, licence: CC0-1.0, simulated: true}
    reserves: {path: reserves.gpkg, source: The register, licence: CC0-1.0}
  steps:
    - id: corridors
      method: corridors.least_cost
      inputs: {resistance: resistance, cores: reserves}
      parameters: {cutoff_percent: 8}
  report:
    indicators: [corridors.links_count, corridors.corridor_area_km2]
    comparisons:
      - {title: Corridor area, published: 10 km2, source: A book,
         computed: corridors.corridor_area_km2, why: Other data.}
      - {title: Lynx, published: about 30, source: A book, why: Animals are not counted here.}
    maps:
      - {title: The corridor, layer: corridors.mosaic, over: [reserves, corridors.links], caption: A caption.}
      - {title: Narrow places, layer: corridors.bottlenecks, label: link, column: min_width_m}
    tables:
      - {title: Links, table: corridors.links, columns: [link, core_a, core_b, cost, min_width_m], rows: 2}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("valley")
    rng = np.random.default_rng(2)
    values = rng.uniform(1, 5, (40, 60))
    spatial.write_raster(
        spatial.new_raster(values, crs="EPSG:3035", cell_size=100, origin=(4_000_000, 3_000_000)),
        home / "resistance.tif",
    )
    corners = [(0, 0), (5000, 0), (0, 3000), (5000, 3000)]
    boxes = [shapely.box(4_000_000 + x, 2_999_500 - y, 4_000_500 + x, 3_000_000 - y) for x, y in corners]
    frame = gpd.GeoDataFrame({"core": [1, 2, 3, 4], "name": list("ABCD")}, geometry=boxes, crs=3035)
    spatial.write_vectors(frame, home / "reserves.gpkg")
    (home / "solution.yaml").write_text(STUDY, encoding="utf-8")
    return run_study(load_study(home / "solution.yaml"), home / "out")


@pytest.fixture(scope="module")
def page(run):
    return run.report.read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Headings, images and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.images, self.addresses, self.scripts = [], [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.images.append(attrs)
        self.scripts += tag == "script"
        self.addresses += [attrs[k] for k in ("src", "href") if k in attrs]


def test_everything_asked_for_is_there(run, page):
    for words in (
        "A least-cost corridor between two reserves.", "A valley", "<i>Lynx lynx</i>", "A road runs between",
        "Map the corridor", "Carried out by the steps corridors", "Animals crossed 12 times.", "Simulated data.",
        "10 km²", "Other data.", "not computed", "A caption.", "McRae BH, Kavanagh DM (2011)", "cutoff_percent",
        "A survey &amp; a guess", "CC0-1.0", run.record["inputs"][0]["sha256"][:12], run.id,
        "layers/corridors.mosaic.tif",
    ):  # fmt: skip
        assert words in page, words


def test_indicators_are_the_numbers_of_the_run(run, page):
    area = run.read("corridors.corridor_area_km2")
    assert f"{area:.3f}"[:5] in page
    assert f">{run.read('corridors.links_count')}</span>" in page


def test_tables_have_units_in_their_headings_and_tell_how_many_rows_there_are(run, page):
    assert "Cost (cost-metres)" in page
    assert "Minimum width (m)" in page
    assert f"The first 2 of {len(run.read('corridors.links'))}." in page


def test_the_page_asks_for_nothing_from_outside_and_runs_no_script(page):
    outline = Outline(page)
    assert outline.scripts == 0
    outside = [a for a in outline.addresses if not a.startswith(("#", "data:"))]
    assert outside == ["https://example.org/valley"]  # a link to read, nothing that is loaded


def test_titles_and_values_cannot_inject_markup(page):
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_headings_step_down_one_at_a_time_and_images_are_told_in_words(page):
    outline = Outline(page)
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert len(outline.images) == 2
    assert all(len(i["alt"]) > 30 for i in outline.images)
    assert "Values from 0 to" in outline.images[0]["alt"]


def test_writing_again_gives_the_same_words(run, page):
    def words(text):
        return re.sub(r"base64,[^\"]+", "", text)

    write_report(run.folder)
    assert words(run.report.read_text(encoding="utf-8")) == words(page)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(LinkwaysError, match="there is no run in"):
        write_report(tmp_path)


def test_nothing_aside_is_left(run):
    assert [p.name for p in run.folder.glob(".*")] == [".steps"]


# --- in a browser --------------------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the report is not looked at in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_is_readable_at_every_width(run, browser, width):
    tab = browser.new_page(viewport={"width": width, "height": 800})
    said, asked = [], []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(run.report.as_uri())
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    sizes = tab.evaluate("[...document.images].map(i => [i.naturalWidth, i.getBoundingClientRect().width])")
    assert len(sizes) == 2
    assert all(natural > 500 and 200 < shown <= width for natural, shown in sizes)
    small = tab.evaluate(
        "[...document.querySelectorAll('td, p, li')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(small) >= 12
    tab.close()


def test_the_keyboard_reaches_the_content_first(run, browser):
    tab = browser.new_page()
    tab.goto(run.report.as_uri())
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    tab.keyboard.press("Enter")
    assert tab.url.endswith("#content")
    tab.close()


def test_the_page_prints_on_a4_without_the_navigation(run, browser):
    tab = browser.new_page()
    tab.goto(run.report.as_uri())
    tab.emulate_media(media="print")
    assert tab.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert tab.pdf(format="A4").startswith(b"%PDF")
    tab.close()


def test_the_report_can_be_printed_to_pdf_from_the_command_line(run, capsys):
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError):
        pytest.skip("WeasyPrint or its Pango library is not on this machine")
    from linkways.cli import main

    source = str(run.folder.parent / "solution.yaml")
    with pytest.raises(SystemExit) as ended:
        main(["study", "run", source, "--out", str(run.folder), "--pdf"])
    assert ended.value.code == 0
    assert (run.folder / "report.pdf").read_bytes().startswith(b"%PDF")
