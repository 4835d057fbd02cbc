"""The record: what it refuses and in which words, what it keeps, what its schema says."""

import json

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from linkways.catalogue import (
    RecordError,
    builtin_record,
    builtin_records,
    json_schema,
    read_record,
    record_from,
    record_text,
    vocabularies,
    vocabulary,
    write_record,
)
from linkways.errors import LinkwaysError
from linkways.solutions import solution_files
from tests.catalogue.records import plain, record


def changed(place, value):
    """A plain record with one place changed; DELETE removes it."""
    data = plain()
    at = data
    *way, last = place
    for part in way:
        at = at[part]
    if value is DELETE:
        del at[last]
    else:
        at[last] = value
    return data


DELETE = object()


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (["title"], DELETE, r"title is missing; add it"),
        (["id"], "Not A Slug", r"id is 'Not A Slug': write small letters and digits"),
        (["tilte"], "x", r"unknown field 'tilte' \(did you mean 'title'\?\)"),
        (["place", "bounts"], [0, 0, 1, 1], r"place has the unknown field 'bounts' \(did you mean 'bounds'\?\)"),
        (["impacts", 0, "fakt"], "x", r"impacts\[0\] has the unknown field 'fakt' \(did you mean 'fact'\?\)"),
        (
            ["building_blocks", 0, "lessons_learnt"],
            ["x"],
            r"unknown field 'lessons_learnt' \(did you mean 'lessons_learned'\?\)",
        ),
        (["classifications"], {"iucn-habitat": ["1"]}, r"no vocabulary 'iucn-habitat'.*'iucn-habitats'"),
        (
            ["classifications"],
            {"iucn-habitats": ["1.6", "1.66"]},
            r"classifications.iucn-habitats\[1\]: .* no code '1.66' \(did you mean '1.6', Forest",
        ),
        (["classifications"], {"realm": ["seas"]}, r"no code 'seas' \(did you mean 'sea', Sea and coast\?\)"),
        (["classifications"], {"sdg": ["Life on land"]}, r"did you mean '15', Life on land"),
        (["classifications"], {"iucn-habitats": [1.1]}, r"put the code in quotes, '1.1'"),
        (
            ["classifications"],
            {"iucn-habitats": [{"code": "1.6", "version": "2.0"}]},
            r"version 2.0 but this Linkways knows IUCN habitats 3.1",
        ),
        (
            ["classifications"],
            {"sdg": [{"code": "15", "label": "Fish"}]},
            r"not what .* calls 15; write 'Life on land'",
        ),
        (["place", "countries"], ["UK"], r"no code 'UK'"),
        (["place", "bounds"], [0, 5, 1, 4], r"south \(5\) must lie below north \(4\)"),
        (["place", "bounds"], [0, 0, 200, 1], r"outside longitude and latitude"),
        (["challenges"], [{"text": "x", "threats": ["4.9"]}], r"no code '4.9' \(did you mean '4"),
        (["impacts", 0, "source"], "reprt", r"sources has no 'reprt' \(did you mean 'report'\?\)"),
        (
            ["building_blocks", 0, "steps"],
            ["cores"],
            r"names a step 'cores' that does not exist; the record carries no study",
        ),
        (["building_blocks", 0, "category"], "finances", r"no code 'finances' \(did you mean 'finance'"),
        (["building_blocks"], [{"block": "nope", "title": "t", "description": "d"}], r"building_blocks\[0\].block"),
        (["links"], [{"title": "t", "url": "javascript:alert(1)"}], r"links\[0\].url"),
        (["image"], {"file": "../x.png", "alt": "a", "credit": "c"}, r"image.file"),
        (["waits_for"], [{"method": "corridors", "purpose": "p"}], r"waits_for\[0\].method"),
        (["record"], 2, r"record is 2 .*1"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_how_to_mend_it(place, value, sentence):
    with pytest.raises(RecordError, match=sentence):
        record_from(changed(place, value))


SQUARE = [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]


@pytest.mark.parametrize(
    ("geometry", "sentence"),
    [
        ({"type": "Poligon", "coordinates": SQUARE}, r"no geometry type 'Poligon' \(did you mean 'Polygon'\?\)"),
        ({"type": "Feature", "geometry": None}, "a Feature stands where a geometry belongs"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}, "ring 0 is not closed"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 0]]]}, "ring 0 has 3 positions but needs at least 4"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}, "Self-intersection"),
        ({"type": "Point", "coordinates": [45, 120]}, "latitude 120 .* beyond 90; write longitude first"),
        ({"type": "Point", "coordinates": [500_000, 4_600_000]}, "outside the globe; give degrees"),
        ({"type": "Point", "coordinates": [float("nan"), 1]}, r"must be \[longitude, latitude\]"),
        ({"type": "Point", "coordinates": ["1", "2"]}, r"must be \[longitude, latitude\]"),
        ({"type": "LineString", "coordinates": []}, "has no coordinates"),
        ({"type": "LineString", "coordinates": [[0, 0]]}, "cannot be built"),
        ({"type": "Polygon", "coordinates": 5}, "coordinates must be a list"),
        ({"type": "Point", "coordinates": [0, 0], "crs": {}}, "has type and coordinates and no 'crs'"),
    ],
)
def test_a_geometry_that_is_not_valid_geojson_is_refused_with_the_reason(geometry, sentence):
    with pytest.raises(RecordError, match=sentence):
        record_from(changed(["place", "geometry"], geometry))


@pytest.mark.parametrize(
    ("figure", "sentence"),
    [
        ({"of": "x", "measure": "area", "value": 1, "unit": "km"}, "the unit km does not fit the measure area"),
        ({"of": "x", "measure": "area", "value": 1, "unit": "sqm"}, "no unit 'sqm'"),
        ({"of": "x", "measure": "wdth", "value": 1, "unit": "m"}, r"measure is 'wdth' \(did you mean 'width'\?\)"),
        ({"of": "x", "measure": "count"}, "either a value or low and high"),
        ({"of": "x", "measure": "count", "value": 1, "low": 0}, "either a value or low and high"),
        ({"of": "x", "measure": "count", "low": 2, "high": 1}, r"low \(2\) must not exceed high \(1\)"),
        ({"of": "x", "measure": "count", "value": float("inf")}, "must be finite"),
        ({"of": "x", "measure": "count", "value": "many"}, "write a number"),
    ],
)
def test_a_figure_without_a_clear_range_and_unit_is_refused(figure, sentence):
    with pytest.raises(RecordError, match=sentence):
        record_from(changed(["figures"], [figure]))


def test_all_mistakes_are_told_together_with_file_and_line(tmp_path):
    text = yaml.safe_dump(plain(), sort_keys=False).replace("countries:", "countrys:").replace("- US", "- US")
    file = tmp_path / "x.yaml"
    file.write_text(text.replace("fact:", "fakt:"), encoding="utf-8")
    with pytest.raises(RecordError) as told:
        read_record(file)
    lines = file.read_text(encoding="utf-8").splitlines()
    for wrong in ("countrys", "fakt"):
        number = next(n for n, line in enumerate(lines, 1) if wrong in line)
        assert any(f"x.yaml line {number}: " in problem and wrong in problem for problem in told.value.problems)


def test_two_blocks_of_one_id_are_refused():
    block = {"title": "Same", "description": "d"}
    with pytest.raises(RecordError, match="two building blocks have the id 'same'"):
        record(building_blocks=[block, block])


def test_a_text_stands_for_the_part_whose_first_field_it_is():
    short = record(challenges=["A road."], species=["Panthera onca"], contributors=["Jane"])
    long = record(
        challenges=[{"text": "A road."}],
        species=[{"scientific_name": "Panthera onca"}],
        contributors=[{"name": "Jane"}],
    )
    assert short == long


def test_labels_and_versions_of_codes_are_filled_in():
    code = record(classifications={"iucn-habitats": ["1.6"]}).classifications.root["iucn-habitats"][0]
    assert (code.label, code.version) == ("Forest: Subtropical/tropical moist lowland", "3.1")


def test_the_snapshot_lies_within_the_full_record():
    full = record()
    assert full.form == "full"
    snapshot = full.snapshot().to_data()
    assert snapshot.items() <= full.to_data().items()
    assert record_from(snapshot).form == "snapshot"
    assert record_from(snapshot).lacking() == ["challenges", "building_blocks", "impacts"]


@pytest.mark.parametrize("id", sorted(solution_files()))
def test_every_built_in_record_is_full_and_valid_by_the_json_schema(id):
    assert builtin_record(id).form == "full"
    assert builtin_record(id).id == id
    data = yaml.safe_load(solution_files()[id].read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json_schema()).validate(data)
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(record_text(builtin_record(id), "json")))
    jsonschema.Draft202012Validator(json_schema("snapshot")).validate(builtin_record(id).snapshot().to_data())


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["classifications"], {"iucn-habitats": ["1.66"]}),
        (["title"], DELETE),
        (["tilte"], "x"),
        (["place", "countries"], ["UK"]),
        (["figures"], [{"of": "x", "measure": "area", "value": 1, "unit": "sqm"}]),
    ],
)
def test_the_json_schema_refuses_what_the_model_refuses(place, value):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json_schema()).validate(changed(place, value))


@pytest.mark.parametrize("form", ["yaml", "json"])
@pytest.mark.parametrize("id", sorted(solution_files()))
def test_a_built_in_record_comes_back_from_a_file_as_it_went(id, form, tmp_path):
    written = write_record(builtin_record(id), tmp_path / f"{id}.{form}")
    assert read_record(written) == builtin_record(id)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40).filter(str.strip)
CODES = {id: st.sampled_from(list(one.labels)) for id, one in vocabularies().items() if one.part == "classifications"}
RECORDS = st.builds(
    plain,
    title=TEXT,
    summary=TEXT,
    keywords=st.lists(TEXT, max_size=3),
    context=TEXT,
    challenges=st.lists(TEXT, min_size=1, max_size=3),
    classifications=st.fixed_dictionaries(
        {}, optional={id: st.lists(codes, max_size=3) for id, codes in CODES.items()}
    ),
    figures=st.lists(
        st.fixed_dictionaries(
            {
                "of": TEXT,
                "measure": st.just("area"),
                "value": st.floats(allow_nan=False, allow_infinity=False),
                "unit": st.sampled_from(["km2", "ha", "m2"]),
            }
        ),
        max_size=2,
    ),
    translations=st.dictionaries(
        st.sampled_from(["es", "fr", "pt-BR"]), st.dictionaries(st.just("title"), TEXT, min_size=1), max_size=2
    ),
)


@given(RECORDS, st.sampled_from(["yaml", "json"]))
def test_any_record_comes_back_from_its_text_as_it_went(data, form):
    from linkways.catalogue._files import record_of_text

    before = record_from(data)
    assert record_of_text(record_text(before, form), "text") == before


def test_a_record_with_code_in_it_or_deep_nesting_is_not_read(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("title: !!python/object/apply:os.system [ls]\n", encoding="utf-8")
    with pytest.raises(RecordError, match=r"the tag .* is not allowed"):
        read_record(file)
    file.write_text("[" * 5000 + "]" * 5000, encoding="utf-8")
    with pytest.raises(RecordError, match="deeper than"):
        read_record(file)


def test_a_file_that_is_not_there_is_told_with_the_nearest_solution():
    with pytest.raises(
        LinkwaysError, match=r"no built-in solution 'jaguar-coridor' \(did you mean 'jaguar-corridor'\?\)"
    ):
        read_record("jaguar-coridor")


# --- vocabularies --------------------------------------------------------------------


@pytest.mark.parametrize("id", sorted(vocabularies()))
def test_every_vocabulary_names_version_source_and_terms(id):
    known = vocabulary(id)
    assert known.version
    assert len(known.source) >= 3
    assert known.licence
    assert len(known.labels) > 1
    assert all(known.labels.values())


def test_the_iucn_codes_are_those_of_the_reference_lists(shared):
    import csv

    for id, name in (("iucn-habitats", "iucn-habitat-data.csv"), ("iucn-threats", "iucn-threat-data.csv")):
        with (shared / "data/platform/vocab" / name).open(encoding="utf-8") as file:
            assert set(vocabulary(id).labels) == {row["code"] for row in csv.DictReader(file)}


def test_codes_with_a_known_number_are_all_there():
    # 17 goals; 4 goals and 23 targets; 249 officially assigned country codes
    assert [len(vocabulary(id).labels) for id in ("sdg", "gbf", "iso-countries")] == [17, 27, 249]
    regions = vocabulary("m49-regions").labels
    assert set(vocabulary("iso-countries").broader.values()) <= set(regions)


def test_a_broader_code_follows_a_narrower_one_up_to_the_top():
    assert list(vocabulary("iucn-threats").with_broader("7.2.10")) == ["7.2.10", "7.2", "7"]
    assert list(vocabulary("m49-regions").with_broader("014")) == ["014", "202", "002", "001"]
    assert record(place={"name": "x", "countries": ["KE"]}).place.all_regions() == ("014", "202", "002")


# --- the twelve ----------------------------------------------------------------------


def test_figures_of_the_records_stand_in_the_booklet(shared):
    import re

    booklet = " ".join((shared / "booklet.txt").read_text(encoding="utf-8").split())
    words = {"2": "two", "20": "Twenty", "11": "Eleven", "5": "National Park", "12": "a dozen"}
    for id, one in builtin_records().items():
        for figure in one.all_figures():
            number = figure.value if figure.value is not None else figure.low
            forms = {f"{number:,.10g}", f"{number:g}", f"{number / 1e6:g} million", words.get(f"{number:g}", "-")}
            assert any(re.search(rf"(?<![\d.,]){re.escape(form)}", booklet) for form in forms), (id, figure)


def test_every_record_names_its_panorama_address_and_is_told_in_our_own_words(shared):
    booklet = " ".join((shared / "booklet.txt").read_text(encoding="utf-8").split())
    phrases = {" ".join(words) for words in _runs_of(booklet.split(), 8)}
    for id, one in builtin_records().items():
        assert one.sources["panorama"].startswith("https://panorama.solutions/en/solution/"), id
        told = {key: value for key, value in one.to_data().items() if key not in NAMES}
        texts = _all_texts(told)
        copied = [run for text in texts for run in map(" ".join, _runs_of(text.split(), 8)) if run in phrases]
        assert copied == [], id


NAMES = ("title", "contributors", "sources", "study", "links")


def _runs_of(words, length):
    return [words[n : n + length] for n in range(len(words) - length + 1)]


def _all_texts(value):
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in _all_texts(part)]


def test_a_block_taken_over_names_a_block_that_exists():
    known = {f"{id}/{block.id}" for id, one in builtin_records().items() for block in one.blocks()}
    taken = [b.block for one in builtin_records().values() for b in one.building_blocks if hasattr(b, "block")]
    assert taken
    assert set(taken) <= known
