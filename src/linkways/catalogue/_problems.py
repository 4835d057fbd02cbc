"""What is wrong with a record, told as sentences with their place in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

__all__ = ["PlacedError", "RecordError", "place_text", "record_error"]

Place = tuple[str | int, ...]


class PlacedError(ValueError):
    """A mistake deeper in a part than the check that found it."""

    def __init__(self, sentence: str, place: Place) -> None:
        super().__init__(sentence)
        self.place = place


class RecordError(LinkwaysError):
    """All the mistakes found in one record, each a sentence with its place and how to mend it."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def place_text(place: Iterable[str | int]) -> str:
    """Return a place in a record as people write it.

    >>> place_text(("building_blocks", 0, "title"))
    'building_blocks[0].title'
    """
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def record_error(error: ValidationError, model: type[BaseModel], where: Callable[[Place], str]) -> RecordError:
    """Return the mistakes that pydantic found, in the words of this house.

    Args:
        error: what pydantic raised.
        model: the model that was asked for, whose fields are the known names.
        where: tells the file, and the line where it has one, of a place.
    """
    told = [_sentence(one, model, where) for one in error.errors(include_url=False)]
    return RecordError(dict.fromkeys(told))


def _sentence(one: Mapping[str, Any], model: type[BaseModel], where: Callable[[Place], str]) -> str:
    place = _written_place(one["loc"], one.get("input"))
    place += getattr(one.get("ctx", {}).get("error"), "place", ())
    begun = f"{where(place)}: " if where(place) else ""
    what = place_text(place) or "the record"
    kind = one["type"]
    if kind == "extra_forbidden":
        key = str(place[-1])
        owner = place_text(place[:-1]) or "the record"
        return f"{begun}{owner} has the unknown field '{key}'{nearest(key, _fields_at(model, place[:-1]))}"
    if kind == "missing":
        return f"{begun}{what} is missing; add it"
    if kind in ("value_error", "assertion_error"):
        return f"{begun}{what}: {one['ctx']['error'] if 'ctx' in one else one['msg']}"
    if kind == "literal_error":
        choices = [part.strip(" '") for part in one["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        return f"{begun}{what} is {_shown(one['input'])}{nearest(str(one['input']), choices)}"
    return f"{begun}{what} is {_shown(one['input'])}: {_asked(kind, one)}"


def _asked(kind: str, one: Mapping[str, Any]) -> str:
    words = {
        "string_type": "write text, in quotes where it looks like a number",
        "list_type": "write a list",
        "dict_type": "write names and what they are",
        "model_type": "write names and what they are",
        "model_attributes_type": "write names and what they are",
        "int_type": "write a whole number",
        "int_parsing": "write a whole number",
        "int_from_float": "write a whole number",
        "float_type": "write a number",
        "float_parsing": "write a number",
        "finite_number": "write a finite number",
        "bool_type": "write true or false",
        "date_from_datetime_parsing": "write a date like 2026-11-22",
        "date_parsing": "write a date like 2026-11-22",
        "string_pattern_mismatch": "write small letters and digits with single hyphens between them",
        "string_too_short": "it is empty; write it or leave the field out",
    }
    return words.get(kind, str(one["msg"])[:1].lower() + str(one["msg"])[1:])


def _written_place(location: tuple[str | int, ...], _: Any) -> Place:
    """The place as it is written in the file: pydantic also names the form of a union that it tried."""
    return tuple(part for part in location if not (isinstance(part, str) and part.startswith("form:")))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fields_at(model: Any, place: Place) -> list[str]:
    """Names of the fields of the part of a model that stands at a place."""
    models = [model]
    for part in place:
        if isinstance(part, int):
            continue
        models = [
            found
            for one in models
            if part in getattr(one, "model_fields", {})
            for found in _models_in(one.model_fields[part].annotation)
        ]
    return sorted({name for one in models for name in one.model_fields})


def _models_in(annotation: Any) -> list[Any]:
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]
