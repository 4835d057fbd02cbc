"""Languages, field by field."""

import pytest

from linkways.catalogue import RecordError, builtin_records, in_language, stale_translations, texts_of
from linkways.errors import LinkwaysError
from tests.catalogue.records import record

SPANISH = {
    "title": {"text": "Un corredor para ciervos", "of": "A corridor for deer"},
    "building_blocks.fence.description": "Se quitan los alambres.",
    "challenges.0.text": "Una carretera corta el camino.",
    "place.name": "Un valle",
}


def test_translated_fields_come_in_their_language_and_the_others_stay():
    one = in_language(record(translations={"es": SPANISH}), "es")
    assert (one.language, one.title, one.place.name) == ("es", "Un corredor para ciervos", "Un valle")
    assert one.blocks()[0].description == "Se quitan los alambres."
    assert one.blocks()[0].title == "Open the fence"
    assert one.challenges[0].text == "Una carretera corta el camino."
    assert one.summary == "Deer cross a road again."


def test_a_translation_of_a_text_that_has_changed_is_stale():
    assert stale_translations(record(translations={"es": SPANISH}), "es") == []
    assert stale_translations(record(title="Another", translations={"es": SPANISH}), "es") == ["title"]


@pytest.mark.parametrize(
    ("translations", "sentence"),
    [
        ({"es": {"titel": "x"}}, r"no text 'titel' \(did you mean 'title'\?\)"),
        ({"es": {"building_blocks.fense.title": "x"}}, r"did you mean 'building_blocks.fence.title'"),
        ({"en": {"title": "x"}}, "the language of the record itself"),
        ({"Spanish!": {"title": "x"}}, "translations"),
    ],
)
def test_a_translation_of_nothing_is_refused(translations, sentence):
    with pytest.raises(RecordError, match=sentence):
        record(translations=translations)


def test_a_language_that_is_not_there_is_told():
    with pytest.raises(LinkwaysError, match="not translated into 'fr'"):
        in_language(record(translations={"es": SPANISH}), "fr")


@pytest.mark.parametrize("id", sorted(builtin_records()))
def test_every_text_of_a_record_can_be_translated(id):
    one = builtin_records()[id]
    texts = {place: f"[{text}]"[:500] for place, text in texts_of(one).items()}
    data = {**one.to_data(), "translations": {"xx": texts}}
    from linkways.catalogue import record_from

    other = in_language(record_from(data), "xx")
    assert texts_of(other) == texts
