"""Languages, field by field: which texts of a record can be translated, and the record in another language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    from linkways.catalogue._record import BlockReference, BuildingBlock, Solution

__all__ = ["check_translations", "in_language", "stale_translations", "texts_of"]

_PLAIN = ("title", "summary", "context", "interaction", "story")
_LISTS = {"challenges": ("text",), "impacts": ("fact",)}


def texts_of(record: Solution) -> dict[str, str]:
    """Return the texts of a record that can be translated, by their place in it.

    Places read ``title``, ``challenges.0.text``, ``building_blocks.<id>.lessons_learned.1``.
    """
    return dict(_texts(record))


def _texts(record: Solution) -> Iterator[tuple[str, str]]:
    for name in _PLAIN:
        if getattr(record, name):
            yield name, getattr(record, name)
    yield "place.name", record.place.name
    for number, species in enumerate(record.species):
        if species.name:
            yield f"species.{number}.name", species.name
    for number, text in enumerate(record.beneficiaries):
        yield f"beneficiaries.{number}", text
    for name, fields in _LISTS.items():
        for number, part in enumerate(getattr(record, name)):
            yield from ((f"{name}.{number}.{field}", getattr(part, field)) for field in fields)
    for block in record.building_blocks:
        id = _block_id(block)
        yield f"building_blocks.{id}.title", block.title
        yield f"building_blocks.{id}.description", block.description
        for field in ("enabling_factors", "lessons_learned"):
            for number, text in enumerate(getattr(block, field, ())):
                yield f"building_blocks.{id}.{field}.{number}", text
    if record.image is not None:
        yield from ((f"image.{f}", getattr(record.image, f)) for f in ("alt", "caption") if getattr(record.image, f))


def check_translations(record: Solution) -> None:
    """Refuse translations of texts that the record does not have, and into the record's own language.

    Raises:
        ValueError: the one sentence that says what is wrong.
    """
    if not record.translations:
        return
    known = texts_of(record)
    for language, texts in record.translations.items():
        if language == record.language:
            raise ValueError(f"translations hold '{language}', the language of the record itself; remove it there")
        for place in texts:
            if place not in known:
                raise ValueError(f"translations.{language}: the record has no text '{place}'{nearest(place, known)}")


def stale_translations(record: Solution, language: str) -> list[str]:
    """Return the places whose translation was made from a text that has changed since."""
    known = texts_of(record)
    texts = record.translations.get(language, {})
    return [place for place, one in texts.items() if one.of and one.of != known[place]]


def in_language(record: Solution, language: str) -> Solution:
    """Return the record in another language; texts without a translation stay as they are.

    Raises:
        LinkwaysError: no text of the record is translated into this language.
    """
    from linkways.catalogue._record import Solution

    if language == record.language:
        return record
    if language not in record.translations:
        known = [record.language, *record.translations]
        raise LinkwaysError(f"the record {record.id} is not translated into '{language}'{nearest(language, known)}")
    data = record.to_data()
    data.pop("translations")
    blocks = [_block_id(block) for block in record.building_blocks]
    for place, one in record.translations[language].items():
        _put(data, place, one.text, blocks)
    return Solution.model_validate({**data, "language": language})


def _block_id(block: BuildingBlock | BlockReference) -> str:
    return str(getattr(block, "id", None) or getattr(block, "block", ""))


def _put(data: Any, place: str, text: str, blocks: list[str]) -> None:
    *way, last = place.split(".")
    for part in way:
        data = data[_key(data, part, blocks)]
    data[_key(data, last, blocks)] = text


def _key(data: Any, part: str, blocks: list[str]) -> str | int:
    if isinstance(data, dict):
        return part
    return blocks.index(part) if part in blocks else int(part)
