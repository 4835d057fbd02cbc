"""The report of a run, read as a page: its parts, its numbers and units, and what it does not let through."""

import base64
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from linkways.errors import LinkwaysError
from linkways.studies._report_record import day, duration, solution_of
from linkways.studies.numbers import column_heading, column_text, in_words, number, unit_text
from linkways.studies.report import write_report
from tests.studies.finished_run import CORRIDORS, HOSTILE, RUN_ID, links, make_run, report, run_record

VOID = {"meta", "link", "img", "br", "hr", "input"}
INLINE = {"a", "span", "strong", "em", "i", "code"}


class Page(HTMLParser):
    """A page taken apart: elements in order with their attributes and all the text inside them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[dict[str, Any]] = []
        self._open: list[dict[str, Any]] = []
        self.unbalanced: list[str] = []
        self.feed(html)
        self.close()
        self.unbalanced += [one["tag"] for one in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = {"tag": tag, "text": "", "inside": [one["tag"] for one in self._open], **dict(attrs)}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1]["tag"] != tag:
            self.unbalanced.append(f"/{tag}")
            return
        self._open.pop()
        if tag not in INLINE:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element["text"] += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, Any]]:
        wanted = {"class" if key == "of" else key: value for key, value in attributes.items()}
        return [e for e in self.elements if e["tag"] == tag and all(e.get(k) == v for k, v in wanted.items())]

    def section(self, id: str) -> str:
        (found,) = self.all("section", id=id)
        return plain(found["text"])


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return write_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.fixture
def page_of(tmp_path: Path) -> Callable[..., Page]:
    """The page of a run whose ``run.json`` is changed."""

    def make(**changes: Any) -> Page:
        return Page(write_report(make_run(tmp_path, **changes)).read_text(encoding="utf-8"))

    return make


@pytest.fixture
def bare() -> dict[str, Any]:
    return {"report": {}, "solution": None, "warnings": [], "inputs": [], "steps": []}


# --- the page ------------------------------------------------------------------------


def test_the_report_is_one_whole_file_beside_the_results(run: Path, html: str) -> None:
    assert html.startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


def test_the_page_asks_for_nothing_from_outside_and_needs_no_script(page: Page, html: str) -> None:
    assert not page.all("script")
    assert not page.all("link")
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    css = page.all("style")[0]["text"]
    assert "url(" not in css
    assert "@import" not in css


def test_every_element_that_opens_closes(page: Page) -> None:
    assert page.unbalanced == []


def test_the_parts_stand_in_the_order_a_reader_needs(page: Page) -> None:
    ids = [section["id"] for section in page.all("section")]
    assert ids == [
        "solution", "results", "maps", "tables", "figures", "methods", "data", "assumptions", "provenance",
    ]  # fmt: skip
    contents = [link["href"][1:] for link in page.all("a") if "nav" in link["inside"]]
    assert contents == ids


def test_headings_step_down_one_level_at_a_time(page: Page) -> None:
    levels = [int(e["tag"][1]) for e in page.elements if re.fullmatch("h[1-6]", e["tag"])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_link_inside_the_page_has_its_target_and_every_id_is_used_once(page: Page) -> None:
    ids = [e["id"] for e in page.elements if e.get("id")]
    assert len(ids) == len(set(ids))
    targets = [link["href"][1:] for link in page.all("a") if link["href"].startswith("#")]
    assert set(targets) <= set(ids)


def test_the_page_can_be_read_by_keyboard_and_screen_reader(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("a", of="skip")[0]["href"] == "#content"
    assert page.all("main", id="content")
    assert all(cell["scope"] in ("col", "row") for cell in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(plain(caption["text"]) for caption in page.all("caption"))
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in page.all("div", role="region"))


def test_links_to_files_of_the_run_lead_to_files_that_are_there(run: Path, page: Page) -> None:
    files = {a["href"] for a in page.all("a") if re.match(r"(layers|tables|figures)/", a["href"])}
    assert {
        "layers/resistance.resistance.tif",
        "tables/priorities.ranking.csv",
        "figures/priorities.chart.png",
    } <= files
    assert all((run / file).is_file() for file in files)


def test_a_page_without_anything_to_show_has_no_empty_sections(
    page_of: Callable[..., Page], bare: dict[str, Any]
) -> None:
    page = page_of(**bare)
    assert [section["id"] for section in page.all("section")] == ["methods", "data", "assumptions", "provenance"]
    assert "No warnings" in page.section("assumptions")
    assert page.unbalanced == []


# --- what may not get through ----------------------------------------------------------


def test_markup_in_titles_and_values_is_shown_and_not_obeyed(page_of: Callable[..., Page]) -> None:
    evil = '"><img src=x onerror=alert(1)><script>bad()</script></style>'
    changed = json.loads(json.dumps(run_record()))
    changed["title"] = changed["description"] = changed["seed"] = evil
    changed["solution"]["title"] = changed["solution"]["impacts"][0]["fact"] = evil
    changed["solution"]["sources"]["book"] = f"javascript:alert(1) https://example.org/{evil}"
    changed["steps"][0]["summary"] = changed["inputs"][0]["source"] = evil
    changed["steps"][0]["log"] = changed["steps"][0]["references"] = [evil]
    for kind in ("maps", "tables", "figures", "comparisons"):
        changed["report"][kind][0] |= {"title": evil, "caption": evil}
    changed["report"]["comparisons"][0]["published"] = evil
    page = page_of(**changed)
    assert not page.all("script")
    assert all(image["src"].startswith("data:") for image in page.all("img"))
    assert not [e for e in page.elements if any(key.startswith("on") for key in e)]
    assert not [a for a in page.all("a") if not re.match(r"https?://|#|[\w./-]+$", a["href"])]
    assert page.unbalanced == []
    assert len(page.all("style")) == 1
    assert evil in page.all("h1")[0]["text"]


def test_markup_in_table_cells_is_text(page: Page) -> None:
    assert HOSTILE in [cell["text"] for cell in page.all("td")]


# --- the solution and key results ------------------------------------------------------


def test_the_solution_names_place_species_blocks_and_the_sources_of_its_impacts(page: Page) -> None:
    text = page.section("solution")
    assert "Place Simulated Hills" in text
    assert "lynx Lynx lynx" in text
    assert "Roads part the woods." in text
    assert "1,200 km² are joined again. Source: The Book of the Hills (2001) doi:10.1234/hills.2001" in text
    blocks = [item for item in page.all("li") if "Map the corridors" in item["text"]]
    assert "Carried out in this run by steps resistance, corridors" in plain(blocks[0]["text"])
    assert {"#step-resistance", "#step-corridors"} <= {a["href"] for a in page.all("a")}


def test_dois_and_addresses_are_links(page: Page) -> None:
    addresses = {a["href"] for a in page.all("a")}
    assert "https://doi.org/10.1234/hills.2001" in addresses
    assert "https://doi.org/10.1007/s10980-012-9737-0" in addresses
    assert "https://parks.example.org/data" in addresses


@pytest.mark.parametrize(
    "record",
    [
        {"title": "T", "place": "Hills", "species": "lynx", "challenges": "one", "impacts": "good", "sources": "book"},
        {
            "title": "T",
            "building_blocks": ["a block", {"name": "b", "lessons": ["x", "y"]}],
            "species": [{"name": "lynx"}],
        },
        {"title": 7, "sources": ["a", {"title": "b"}], "impacts": [{"text": "it grew", "source": "a"}]},
    ],
)
def test_a_record_written_more_simply_is_shown_too(page_of: Callable[..., Page], record: dict[str, Any]) -> None:
    page = page_of(solution=record, report={})
    assert str(record["title"]) in page.section("solution")
    assert page.unbalanced == []


def test_a_run_without_a_solution_has_none() -> None:
    assert solution_of(None, []) is None


def test_key_results_are_cards_with_number_unit_meaning_and_run(page: Page) -> None:
    cards = [plain(item["text"]) for item in page.all("li") if "figure" in str(item) or "corridors." in item["text"]]
    assert "1,234,568 km² Area of all corridors together corridors.area_km2 simulated data" in cards
    assert "30 Corridors corridors.links_count simulated data" in cards
    assert f"run {RUN_ID[:12]}" in page.section("results")


def test_published_figures_stand_beside_computed_ones_with_source_run_and_reason(page: Page) -> None:
    rows = [plain(row["text"]) for row in page.all("tr")]
    (area,) = [row for row in rows if row.startswith("Corridor area")]
    assert "1.1 million km² The Book of the Hills (2001)" in area
    assert f"1,234,568 km² corridors.area_km2, run {RUN_ID[:12]}" in area
    assert area.endswith("The book used a coarser map.")
    (lynx,) = [row for row in rows if row.startswith("Lynx about 40")]
    assert "not computed" in lynx


# --- maps, tables, charts ----------------------------------------------------------------


def images(page: Page, id: str) -> Iterator[dict[str, Any]]:
    start = next(n for n, e in enumerate(page.elements) if e.get("id") == id)
    return (e for e in page.elements[start:] if e["tag"] == "img")


def test_a_map_is_an_image_of_the_size_it_tells_with_its_numbers_in_words(page: Page) -> None:
    image = next(images(page, "map-1"))
    picture = Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2])))
    assert picture.size == (int(image["width"]), int(image["height"]))
    lake = int(np.sum(np.hypot(*np.ogrid[-70:230, -90:330]) < 32))
    assert f"on {300 * 420 - lake:,} of 126,000 cells" in image["alt"]
    assert "from 1 to 100" in image["alt"]
    assert "Cores (12 polygons) and Links (30 lines)" in image["alt"]


def test_only_what_was_made_from_simulated_data_is_called_simulated(page: Page) -> None:
    assert next(images(page, "map-1"))["alt"].startswith("Simulated data. Map: Resistance and ranked corridors.")
    assert next(images(page, "map-2"))["alt"].startswith("Map: Core areas. 12 polygons")
    note = plain(page.all("p", of="simulated")[0]["text"])
    assert note.startswith("Simulated data. Input landcover is simulated.")
    titles = {plain(h["text"]) for h in page.all("h3")}
    assert {"Resistance and ranked corridors simulated data", "Core areas", "Landcover raster simulated data"} <= titles


def test_a_report_of_real_data_does_not_speak_of_simulation(page_of: Callable[..., Page]) -> None:
    record = run_record()
    for item in record["inputs"]:
        item["simulated"] = False
    record |= {"title": "Corridors", "solution": None, "report": {**report(), "maps": [{"layer": "cores"}]}}
    page = page_of(**record)
    assert "simulated" not in page.all("body")[0]["text"].lower()


def test_a_table_has_units_in_its_headings_and_separators_in_its_numbers(page: Page) -> None:
    (table,) = [t for t in page.all("table") if "Rank 1 comes first." in t["text"]]
    at = page.elements.index(table)
    inside = [e for e in page.elements[at:] if e["tag"] in ("th", "td", "caption")]
    headings = [e["text"] for e in inside if e["tag"] == "th"][:8]
    assert headings == [
        "Rank", "Core a", "Core b", "Score", "Cost (cost-metres)", "Minimum width (m)", "Corridor area (km²)", "Note",
    ]  # fmt: skip
    first = [e["text"] for e in inside if e["tag"] == "td"][:8]
    assert first == [
        "1",
        str(links().core_a[0]),
        str(links().core_b[0]),
        "0.910",
        "1,234,568",
        "4,200",
        "41.25",
        HOSTILE,
    ]
    caption = plain(inside[0]["text"])
    assert caption.startswith(f"Rank 1 comes first. The first 12 of {CORRIDORS} rows; full table in tables/priorities")
    assert f"Computed by run {RUN_ID[:12]}" in caption


def test_a_vector_layer_is_shown_as_the_table_of_its_attributes(page: Page) -> None:
    (caption,) = [plain(c["text"]) for c in page.all("caption") if "All 12 rows" in c["text"]]
    assert "layers/cores.cores.parquet" in caption
    assert "POLYGON" not in page.section("tables")


def test_a_chart_is_shown_at_its_own_size(page: Page) -> None:
    image = next(images(page, "figure-1"))
    assert (image["width"], image["height"]) == ("480", "300")
    assert "Chart: Score, score by rank." in image["alt"]


def test_what_cannot_be_shown_leaves_a_sentence_in_its_place(page_of: Callable[..., Page]) -> None:
    asked = {
        "maps": [{"title": "Wrong", "layer": "resistance", "palette": "virdis"}, {"layer": "nowhere.atall"}],
        "tables": [{"table": "priorities.ranking", "columns": ["rank", "beauty"]}],
        "figures": [{"figure": "priorities.chart"}],
        "indicators": ["corridors.area"],
    }
    page = page_of(report=asked)
    problems = [plain(p["text"]) for p in page.all("p", of="problem")]
    assert any("Wrong cannot be shown: there is no palette 'virdis' (did you mean 'viridis'?)" in p for p in problems)
    assert any("map 2 cannot be shown" in p and "nowhere.atall" in p for p in problems)
    assert any("corridors.area cannot be shown" in p for p in problems)
    assert "has no column beauty, which the study asks to show" in page.section("assumptions")
    assert page.all("section", id="figures")


def test_an_input_that_the_folder_does_not_hold_is_said_to_be_missing(page_of: Callable[..., Page]) -> None:
    page = page_of(report={"maps": [{"title": "Parks", "layer": "parks"}]})
    assert "Parks cannot be shown: the run folder does not hold parks" in page.section("maps")


# --- methods, data, provenance -----------------------------------------------------------


def test_each_step_tells_method_summary_inputs_parameters_with_units_and_references(page: Page) -> None:
    (step,) = page.all("article", id="step-corridors")
    text = plain(step["text"])
    assert text.startswith("Corridors corridors.least_cost What corridors.least_cost gives.")
    assert "Works on resistance from step resistance; cores from step cores." in text
    assert "cutoff 200,000 cost-metres" in text
    assert "seed 12345" in text
    (step,) = page.all("article", id="step-resistance")
    assert "max_resistance 100 resistance" in plain(step["text"])
    assert "Left without a value: c." in plain(step["text"])
    assert "Zeller KA et al. (2012)" in step["text"]


def test_parameters_left_at_the_method_s_default_are_told_from_those_the_study_set(page: Page) -> None:
    from linkways.method import find_method

    (default,) = [p.default for p in find_method("corridors.resistance").parameters if p.name == "max_resistance"]
    assert default == 100.0
    (cutoff,) = [p.default for p in find_method("corridors.least_cost").parameters if p.name == "cutoff"]
    rows = {plain(r["text"]).split()[0]: plain(r["text"]) for r in page.all("tr")}
    assert rows["max_resistance"].endswith("default")
    assert rows["cutoff"].endswith("default" if cutoff == 200000.0 else "study")
    assert rows["min_area_km2"].endswith("study")
    assert "max_resistance 100 resistance" in page.section("assumptions")


def test_each_input_tells_source_licence_crs_size_hash_and_repairs(page: Page) -> None:
    (land,) = page.all("article", id="data-landcover")
    text = plain(land["text"])
    assert "Source drawn by a random process" in text
    assert "Licence not told" in text
    assert "CRS EPSG:32633; x 420,000 to 462,000, y 5,290,000 to 5,320,000" in text
    assert "Size 300 rows × 420 columns" in text
    assert f"SHA-256 {'a' * 64}" in text
    assert "Safe repairs raster landcover: the file has no CRS, EPSG:32633 as given" in text
    (parks,) = page.all("article", id="data-parks")
    assert "Licence CC-BY-4.0" in plain(parks["text"])
    assert "Size 12 features, 3 fields" in plain(parks["text"])


def test_warnings_and_repairs_are_gathered_in_one_place(page: Page) -> None:
    text = page.section("assumptions")
    assert "Warning: study.yaml line 9: input landcover has no licence" in text
    assert "Input landcover: these data are simulated" in text
    assert "Step corridors: layer cores: 2 invalid geometries made valid" in text


def test_the_run_tells_its_id_versions_time_memory_seed_and_how_to_run_again(page: Page) -> None:
    text = page.section("provenance")
    assert f"Run {RUN_ID}" in text
    assert "Started 4 May 2026, 09:30 UTC" in text
    assert "Took 3 min 20 s, at most 812 MB of memory" in text
    assert "Seed 42" in text
    assert "Linkways 0.1.0, Python 3.11.7, numpy 2.4.6, scipy 1.17.1" in text
    assert "linkways study run study.yaml --out again" in text
    assert "linkways study run simulated-hills --input NAME=FILE" in text
    (row,) = [plain(r["text"]) for r in page.all("tr") if plain(r["text"]).startswith("cores corridors.cores")]
    assert row == "cores corridors.cores 1 12 700 yes"


def test_writing_again_gives_the_same_page(run: Path, html: str) -> None:
    assert write_report(run).read_text(encoding="utf-8") == html


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LinkwaysError, match="there is no run in"):
        write_report(tmp_path)


def test_a_report_that_fails_leaves_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, report={})
    before = write_report(tmp_path).read_text(encoding="utf-8")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(LinkwaysError, match="disk is full"):
        write_report(tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "figures", "layers", "report.html", "run.json", "study.yaml", "tables",
    ]  # fmt: skip


# --- numbers as people read them -----------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2612345.678, "2,612,346"), (1234.5, "1,234"), (12.3456, "12.35"), (0.123456, "0.1235"), (-5.5, "−5.5"),
        (0, "0"), (0.0, "0"), (12, "12"), (1.0e7, "10,000,000"), (1.5e-7, "1.5 × 10⁻⁷"), (2e18, "2 × 10¹⁸"),
        (float("nan"), "no value"), (None, "no value"), (True, "yes"), (float("inf"), "infinite"), (0.5, "0.5"),
    ],
)  # fmt: skip
def test_numbers_have_separators_and_the_digits_that_matter(value: Any, text: str) -> None:
    assert number(value) == text


def test_a_column_keeps_one_number_of_decimals_and_numbers_of_things_stay_plain() -> None:
    assert column_text("area_km2", [1234.56, 7.0, float("nan"), None]) == ["1,235", "7", "–", "–"]
    assert column_text("share", [0.12345, 0.5]) == ["0.123", "0.500"]
    assert column_text("rate", [12345.0, 0.017, 0.0, -0.0004]) == ["12,345", "0.017", "0", "−4 × 10⁻⁴"]
    assert column_text("year", [2019, 2020]) == ["2019", "2020"]
    assert column_text("core_a", [12000.0, float("nan")]) == ["12000", "–"]
    assert column_text("open", [True, False, None]) == ["yes", "no", "–"]
    assert column_text("name", ["a", "b"]) == ["a", "b"]
    assert column_text("p", [1e-9, 3e-6]) == ["1 × 10⁻⁹", "3 × 10⁻⁶"]


def test_headings_and_units_are_as_in_print() -> None:
    assert column_heading("min_width_m") == "Minimum width (m)"
    assert column_heading("area_km2") == "Area (km²)"
    assert column_heading("cost", "paths: link, cost (cost-metres), length_m") == "Cost (cost-metres)"
    assert column_heading("unprotected_share") == "Unprotected share"
    assert column_heading("m") == "M"
    assert unit_text("cost-metres") == "cost-metres"
    assert unit_text("ha per km2") == "ha per km²"
    assert in_words("mean_resistance") == "Mean resistance"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.734, "0.73 s"), (47.4, "47 s"), (200.0, "3 min 20 s"), (7500, "2 h 5 min"), (None, "not recorded")],
)
def test_durations_have_the_units_that_matter(seconds: Any, text: str) -> None:
    assert duration(seconds) == text


def test_dates_are_in_words() -> None:
    assert day("2026-11-02T07:05:09Z") == "2 November 2026"
    assert day("2026-11-02T07:05:09+00:00", time=True) == "2 November 2026, 07:05 UTC"
    assert day("soon") == "soon"
