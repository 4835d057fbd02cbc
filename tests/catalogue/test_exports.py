"""Ways in and out: workshop sheets, PANORAMA's JSON, the catalogue as one file, crates, the static site."""

import csv
import io
import json
import re
import zipfile
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

import openpyxl
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkways.catalogue import (
    RecordError,
    Solution,
    builtin_record,
    builtin_records,
    catalogue_text,
    export_catalogue,
    import_catalogue,
    import_panorama,
    read_workshop_sheet,
    record_from,
    write_site,
    write_solution_crate,
    write_workshop_sheet,
)
from linkways.errors import LinkwaysError
from tests.catalogue.records import plain, record

# --- workshop sheets -----------------------------------------------------------------

STAYS_OUT = (
    "study",
    "translations",
    "waits_for",
    "record",
    "published",
    "updated",
    "image",
    "resources",
    "replicates",
    "reproduces",
)


def fits_a_sheet(one):
    """A record without what no sheet holds."""
    data = one.to_data()
    for name in STAYS_OUT:
        data.pop(name, None)
    data["building_blocks"] = [
        {key: value for key, value in block.items() if key not in ("id", "version", "steps", "resources")}
        for block in data["building_blocks"]
        if "block" not in block
    ]
    for figure in [*data.get("figures", []), *(f for impact in data["impacts"] for f in impact.get("figures", []))]:
        figure.pop("about", None)
    return record_from(data)


@pytest.mark.parametrize("id", sorted(builtin_records()))
def test_a_record_comes_back_from_a_workshop_sheet(id, tmp_path):
    file = write_workshop_sheet(tmp_path / "sheet.xlsx", builtin_record(id))
    assert read_workshop_sheet(file) == fits_a_sheet(builtin_record(id))


def filled(tmp_path, change):
    """The sheet of a plain record after a change by hand."""
    file = write_workshop_sheet(tmp_path / "sheet.xlsx", record())
    book = openpyxl.load_workbook(file)
    change(book)
    book.save(file)
    return file


def put(sheet, cell, value):
    def change(book):
        book[sheet][cell] = value

    return change


def test_codes_that_a_spreadsheet_turned_into_numbers_are_read_as_codes(tmp_path):
    def change(book):
        book["Classifications"].append(["sdg", 15])
        book["Classifications"].append(["iucn-habitats", 1.6])

    codes = read_workshop_sheet(filled(tmp_path, change)).classifications
    assert codes.codes("sdg") == ("15",)
    assert codes.codes("iucn-habitats") == ("4.4", "1.6")


def test_an_empty_template_is_told_what_it_lacks(tmp_path):
    with pytest.raises(RecordError, match="title"):
        read_workshop_sheet(write_workshop_sheet(tmp_path / "empty.xlsx"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("Challenges", "B3", "politics"), r"sheet.xlsx sheet Challenges row 3: challenges\[0\].kind is 'politics'"),
        (put("Classifications", "B2", "4.44"), r"sheet Classifications row \d.*no code '4.44' \(did you mean '4.4'"),
        (put("Impacts", "C3", "reprt"), r"sources has no 'reprt'"),
        (put("Figures", "A3", "corridor"), r"sheet Figures row 3"),
        (put("Solution", "A3", "titel"), r"row 3: there is no field 'titel' \(did you mean 'title'\?\)"),
        (put("Impacts", "A1", "facts"), r"sheet Impacts has no column 'fact' \(did you mean 'facts'\?\)"),
        (put("Sources", "A9", "only a name"), r"sheet Sources row 9: source is empty"),
        (lambda book: book.remove(book["Figures"]), r"has no sheet 'Figures'"),
    ],
)
def test_a_mistake_in_a_sheet_is_told_with_sheet_and_row(tmp_path, change, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        read_workshop_sheet(filled(tmp_path, change))


def test_what_is_no_spreadsheet_is_refused(tmp_path):
    file = tmp_path / "x.xlsx"
    file.write_bytes(b"PK\x03\x04 no")
    with pytest.raises(LinkwaysError, match=r"no spreadsheet in .xlsx form"):
        read_workshop_sheet(file)
    with pytest.raises(LinkwaysError, match=r"ends in \.xlsx"):
        write_workshop_sheet(tmp_path / "x.csv")


def test_a_packed_bomb_is_refused_before_it_is_unpacked(tmp_path):
    file = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b"0" * 60_000_000)
    assert file.stat().st_size < 100_000
    with pytest.raises(LinkwaysError, match="unpacks to 60 MB"):
        read_workshop_sheet(file)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_sheet_with_anything_in_any_cell_is_read_or_refused_in_a_sentence(tmp_path, data):
    file = write_workshop_sheet(tmp_path / "sheet.xlsx", record())
    book = openpyxl.load_workbook(file)
    for _ in range(data.draw(st.integers(1, 4))):
        sheet = book[data.draw(st.sampled_from([name for name in book.sheetnames if name != "Codes"]))]
        cell = sheet.cell(data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6)))
        cell.value = data.draw(
            st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
            | st.datetimes() | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)
        )  # fmt: skip
    book.save(file)
    with suppress(LinkwaysError):
        assert read_workshop_sheet(file).title


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
FIELDS = (
    "id",
    "url",
    "title",
    "summary",
    "classifications",
    "contributors",
    "field_location",
    "field_location_geofield",
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from((*FIELDS, "field_location_geofield")), JSON, max_size=4))
def test_an_answer_with_anything_in_it_is_read_or_refused_in_a_sentence(changes):
    with suppress(LinkwaysError):
        assert import_panorama(answer(**changes)).records


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([*Solution.model_fields]),
    JSON | st.lists(st.dictionaries(st.sampled_from(["id", "title", "block", "text", "code", "of", "fact"]), JSON)),
)
def test_a_record_with_anything_in_a_field_is_read_or_refused_in_a_sentence(field, value):
    with suppress(RecordError):
        record(**{field: value}) if field != "id" else record(value)


def test_a_text_like_a_formula_stays_text(tmp_path):
    file = write_workshop_sheet(tmp_path / "s.xlsx", record(title="=1+1"))
    assert read_workshop_sheet(file).title == "=1+1"


# --- PANORAMA ------------------------------------------------------------------------


def answer(**changes):
    one = {
        "id": "123",
        "url": "https://panorama.solutions/en/solution/a-bridge-for-otters",
        "title": "A bridge for otters",
        "summary": "<p>Otters &amp; <em>people</em>.</p><script>alert(1)</script><p>Second.</p>",
        "preview_image": {"src": "x.jpg"},
        "classifications": {
            "theme": ["Connectivity / transboundary conservation"],
            "region": ["Southern Africa"],
            "scale": ["Local"],
        },
        "contributors": [{"contributor": {"name": "Jane Doe", "organisation": "Otter Trust"}}],
        "field_location": "A river",
        "field_location_geofield": "POINT (27.5 -25.25)",
    }
    return {"solutions": [{"solution": {**one, **changes}}], "pager": {"count": 1}}


def test_an_answer_of_panorama_becomes_a_snapshot():
    found = import_panorama(answer())
    (one,) = found.records
    assert (one.id, one.title, one.summary) == (
        "a-bridge-for-otters",
        "A bridge for otters",
        "Otters & people.\nSecond.",
    )
    assert one.form == "snapshot"
    assert one.place.geometry == {"type": "Point", "coordinates": [27.5, -25.25]}
    assert one.place.regions == ("018",)
    assert one.classifications.codes("scale") == ("local",)
    assert one.keywords == ("Connectivity / transboundary conservation",)
    assert one.contributors[0].organisation == "Otter Trust"
    assert one.sources["panorama"] == "https://panorama.solutions/en/solution/a-bridge-for-otters"
    assert any("picture was left out" in note for note in found.notes)


@pytest.mark.parametrize(
    ("geofield", "expected"),
    [
        ('{"type":"Point","coordinates":[1,2]}', {"type": "Point", "coordinates": [1, 2]}),
        ("-25.5, 27", {"type": "Point", "coordinates": [27, -25.5]}),
        ("MULTIPOINT ((1 2), (3 4))", {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}),
        ("somewhere", None),
        ("POINT (500 2)", None),
        ("", None),
    ],
)
def test_a_place_is_read_in_the_forms_it_comes_in(geofield, expected):
    found = import_panorama(answer(field_location_geofield=geofield))
    assert found.records[0].place.geometry == expected
    assert any("left out (" in note for note in found.notes) == (expected is None and geofield != "")


def test_two_solutions_of_one_name_get_ids_of_their_own():
    twice = answer()
    twice["solutions"] *= 2
    assert len({one.id for one in import_panorama(twice).records}) == 2


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"solution": []}, "has no list 'solutions'"),
        ({"solutions": ["x"]}, r"solutions\[0\] is no solution"),
        (answer(title=""), r"solutions\[0\] has no title"),
        (answer(summary="<p></p>"), r"solutions\[0\] has no summary"),
    ],
)
def test_an_answer_of_another_shape_is_refused(data, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        import_panorama(data)


# --- the catalogue as one file -------------------------------------------------------


def test_the_catalogue_comes_back_from_json(tmp_path):
    file = export_catalogue(builtin_records().values(), tmp_path / "all.json")
    assert {one.id: one for one in import_catalogue(file)} == builtin_records()


def test_geojson_holds_a_valid_place_for_every_record_on_the_map():
    across = record("across", place={"name": "Fiji", "bounds": [176, -20, -178, -15]})
    nowhere = record("nowhere", place={"name": "?"})
    data = json.loads(catalogue_text([*builtin_records().values(), across, nowhere], "geojson"))
    shapes = {f["id"]: f["geometry"] and shapely.geometry.shape(f["geometry"]) for f in data["features"]}
    assert shapes["nowhere"] is None
    assert shapes["across"].area == pytest.approx((4 + 2) * 5)
    assert all(shape.is_valid for id, shape in shapes.items() if id != "nowhere")
    assert shapes["y2y"].bounds == (-141, 42, -108, 67.2)


def test_the_table_has_a_row_for_each_record_and_no_formulas():
    text = catalogue_text(
        [record(title="=HYPERLINK(1)"), record("b", place={"name": "x", "bounds": [-5, -6, 7, 8]})], "csv"
    )
    first, second = csv.DictReader(io.StringIO(text))
    assert first["title"] == "'=HYPERLINK(1)"
    assert (second["id"], float(second["west"])) == ("b", -5.0)
    assert second["species"] == "Odocoileus hemionus"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "line 1: not valid JSON"),
        ("[]", "is no catalogue of format 1"),
        ('{"catalogue": 9, "solutions": []}', "is no catalogue of format 1"),
        (json.dumps({"catalogue": 1, "solutions": [{**plain(), "titel": 1}]}), r"solutions\[0\]: .*'titel'"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused(content, sentence, tmp_path):
    file = tmp_path / "x.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(LinkwaysError, match=sentence):
        import_catalogue(file)


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(LinkwaysError, match=r"written to \.json, \.geojson, \.csv"):
        export_catalogue([], tmp_path / "x.shp")


# --- RO-Crate ------------------------------------------------------------------------


@pytest.fixture
def finished_run(tmp_path):
    """A folder as a run leaves it, as far as a crate is concerned."""
    folder = tmp_path / "a-run"
    (folder / "layers").mkdir(parents=True)
    (folder / "layers" / "x.tif").write_bytes(b"raster")
    (folder / "run.json").write_text("{}", encoding="utf-8")
    (folder / ".work").mkdir()
    (folder / ".work" / "big").write_bytes(b"not part of the crate")
    parts = [{"@id": name, "@type": "File"} for name in ("layers/x.tif", "run.json")]
    root = {"@id": "./", "@type": "Dataset", "name": "A run", "identifier": "abcdef0123456789", "hasPart": parts}
    (folder / "ro-crate-metadata.json").write_text(json.dumps({"@graph": [root, *parts]}), encoding="utf-8")
    return folder


def test_a_crate_of_a_solution_and_its_run_is_read_by_the_reference_library(tmp_path, finished_run):
    from rocrate.rocrate import ROCrate

    write_solution_crate(builtin_record("jaguar-corridor"), tmp_path / "crate", runs=[finished_run])
    crate = ROCrate(tmp_path / "crate")
    assert crate.name == builtin_record("jaguar-corridor").title
    named = {entity.id for entity in crate.data_entities}
    assert {"solution.yaml", "solution.json", "study.yaml", "runs/abcdef012345/"} <= named
    on_disk = {p.relative_to(tmp_path / "crate").as_posix() for p in (tmp_path / "crate").rglob("*") if p.is_file()}
    assert on_disk == {
        "ro-crate-metadata.json",
        "solution.json",
        "solution.yaml",
        "study.yaml",
        "runs/abcdef012345/layers/x.tif",
        "runs/abcdef012345/ro-crate-metadata.json",
        "runs/abcdef012345/run.json",
    }
    graph = json.loads((tmp_path / "crate/ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    known = {one["@id"] for one in graph} | {"https://w3id.org/ro/crate/1.1"}
    assert len(known) == len(graph) + 1
    assert set(re.findall(r'\{"@id": "([^"]+)"\}', json.dumps(graph))) <= known


@pytest.mark.parametrize("id", sorted(builtin_records()))
def test_every_solution_makes_a_crate(id, tmp_path):
    assert write_solution_crate(builtin_record(id), tmp_path / "crate").is_file()


def test_a_crate_never_takes_files_from_outside_a_run(tmp_path, finished_run):
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    described = finished_run / "ro-crate-metadata.json"
    described.write_text(described.read_text(encoding="utf-8").replace("run.json", "../secret"), encoding="utf-8")
    with pytest.raises(LinkwaysError, match=r"lacks the file \.\./secret"):
        write_solution_crate(record(), tmp_path / "crate", runs=[finished_run])
    assert not (tmp_path / "crate").exists()


def test_a_crate_does_not_cover_what_is_there(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x", encoding="utf-8")
    with pytest.raises(LinkwaysError, match="is not empty"):
        write_solution_crate(record(), tmp_path / "full")
    with pytest.raises(LinkwaysError, match="is no finished run"):
        write_solution_crate(record(), tmp_path / "new", runs=[tmp_path / "full"])


# --- the static site -----------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_site(builtin_records().values(), tmp_path_factory.mktemp("site") / "site").parent


class Page(HTMLParser):
    """The addresses that a page refers to, its ids, headings and elements."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.ids, self.tags, self.text = [], set(), [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.addresses += [(tag, given[key]) for key in ("href", "src", "srcset", "action", "data") if key in given]
        if "id" in given:
            assert given["id"] not in self.ids
            self.ids.add(given["id"])

    def handle_data(self, data):
        self.text += data


def pages(site):
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_every_link_inside_the_site_leads_somewhere_and_nothing_is_loaded_from_outside(site):
    found = pages(site)
    for path, page in found.items():
        for tag, address in page.addresses:
            parts = urlparse(address)
            if parts.scheme:
                assert tag == "a", (path, address)
                assert parts.scheme in ("http", "https")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), (path, address)
            assert target.is_relative_to(site.resolve())
            if parts.fragment:
                assert parts.fragment in found[Path(target)].ids, (path, address)
    assert "script" not in {tag for page in found.values() for tag in page.tags}
    style = (site / "style.css").read_text(encoding="utf-8")
    assert "@import" not in style
    assert "url(" not in style


def test_every_solution_has_a_page_with_one_heading_and_its_record_beside_it(site):
    for id, one in builtin_records().items():
        page = pages(site)[site / "solutions" / f"{id}.html"]
        assert page.tags.count("h1") == 1
        assert one.impacts[0].fact in page.text
        assert all(block.title in page.text for block in one.building_blocks)
        assert record_from(json.loads((site / "solutions" / f"{id}.json").read_text(encoding="utf-8"))) == one


def test_a_page_says_which_methods_a_solution_waits_for(site, tmp_path):
    waiting = record(waits_for=[{"method": "seas.drift", "purpose": "larvae"}])
    own = write_site([waiting], tmp_path / "own").parent
    assert "seas.drift" in pages(own)[own / "solutions" / "a.html"].text
    assert "linkways study run y2y" in pages(site)[site / "solutions" / "y2y.html"].text


def test_a_record_cannot_bring_code_onto_a_page(tmp_path):
    evil = record(title="<script>alert(1)</script>", summary='"><img src=x onerror=alert(1)>', keywords=["</style>"])
    page = Page((write_site([evil], tmp_path / "s").parent / "solutions" / "a.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "img" not in page.tags


def test_a_site_is_replaced_as_a_whole_but_nothing_else_is(tmp_path):
    write_site([record("a")], tmp_path / "s")
    write_site([record("b")], tmp_path / "s")
    assert not (tmp_path / "s/solutions/a.html").exists()
    assert (tmp_path / "s/solutions/b.html").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/x.txt").write_text("x", encoding="utf-8")
    with pytest.raises(LinkwaysError, match="holds something else"):
        write_site([record()], tmp_path / "mine")
    assert (tmp_path / "mine/x.txt").read_text(encoding="utf-8") == "x"


def test_an_empty_catalogue_still_makes_a_site(tmp_path):
    assert "0 documented solutions" in write_site([], tmp_path / "s").read_text(encoding="utf-8")
