"""Differences between two records, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Difference", "differences"]


@dataclass(frozen=True)
class Difference:
    """One field that differs.

    Attributes:
        place: where, such as ``building_blocks[rank].title``.
        before: what stood there; None when nothing did.
        after: what stands there now; None when nothing does.
    """

    place: str
    before: Any
    after: Any


def differences(before: Any, after: Any) -> list[Difference]:
    """Return where two plain values (dicts, lists, text, numbers) differ, at the smallest parts that do.

    Parts of lists that have an id are compared by it, so that a block put in front does not change all behind it.

    >>> differences({"title": "A", "blocks": [{"id": "x", "n": 1}]}, {"title": "B", "blocks": [{"id": "x", "n": 1}]})
    [Difference(place='title', before='A', after='B')]
    """
    return list(_differences(before, after, ""))


def _differences(before: Any, after: Any, place: str) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from _differences(before.get(key), after.get(key), f"{place}.{key}" if place else str(key))
    elif isinstance(before, list) and isinstance(after, list) and not _same(before, after):
        old, new = _by_id(before), _by_id(after)
        if list(old) != list(new) and set(old) == set(new):
            yield Difference(f"{place} (order)", [str(key) for key in old], [str(key) for key in new])
        for key in dict.fromkeys((*old, *new)):
            yield from _differences(old.get(key), new.get(key), f"{place}[{key}]")
    elif not _same(before, after):
        yield Difference(place, before, after)


def _same(before: Any, after: Any) -> bool:
    # by their text, since true equals 1 in Python and is another value in a record
    return json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)


def _by_id(parts: list[Any]) -> dict[Any, Any]:
    """The parts of a list by their id where all have one, else by their place."""
    for name in ("id", "block", "code"):
        ids = [part.get(name) if isinstance(part, dict) else None for part in parts]
        if parts and all(ids) and len(set(ids)) == len(ids):
            return dict(zip(ids, parts, strict=True))
    return dict(enumerate(parts))
