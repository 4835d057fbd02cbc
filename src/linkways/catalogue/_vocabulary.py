"""Vocabularies: lists of codes with labels and versions, by which solutions are classified.

A record holds codes, never free text in their place. Labels are the scheme's own short names, or short names of ours
where a scheme has only numbers; ``Vocabulary.licence`` says which.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from linkways.errors import LinkwaysError, nearest

__all__ = ["Vocabulary", "vocabularies", "vocabulary"]


@dataclass(frozen=True)
class Vocabulary:
    """One scheme of codes.

    Attributes:
        id: the name it has in records.
        title: its name for readers.
        version: the version whose codes these are.
        publisher: who keeps it.
        source: the document it comes from.
        licence: what is taken from it here, and on which terms.
        part: where a record uses it: ``classifications``, ``place``, ``species`` or ``building_blocks``.
        labels: the label of every code, in the order of the scheme.
        broader: the next broader code of every code that has one; of a country its M49 region.
    """

    id: str
    title: str
    version: str
    publisher: str
    source: str
    licence: str
    part: str
    labels: dict[str, str] = field(repr=False)
    broader: dict[str, str] = field(repr=False)

    def label(self, code: str) -> str:
        """Return the label of a code.

        Raises:
            LinkwaysError: there is no such code; the sentence names the nearest one.

        >>> vocabulary("iucn-habitats").label("1.6")
        'Forest: Subtropical/tropical moist lowland'
        """
        if code not in self.labels:
            raise LinkwaysError(self.no_code(code))
        return self.labels[code]

    def no_code(self, code: str) -> str:
        """Return the sentence that refuses a code that does not exist, with the nearest one that does."""
        return f"{self.title} {self.version} has no code '{code}'{self._hint(code)}"

    def _hint(self, code: str) -> str:
        by_label = {label.lower(): known for known, label in self.labels.items()}
        if code.lower() in by_label:
            return f" (did you mean '{by_label[code.lower()]}', {self.labels[by_label[code.lower()]]}?)"
        told = nearest(code, self.labels)
        near = next((known for known in self.labels if told == f" (did you mean '{known}'?)"), None)
        return f" (did you mean '{near}', {self.labels[near]}?)" if near else self._hint_by_label(code, by_label, told)

    def _hint_by_label(self, code: str, by_label: dict[str, str], told: str) -> str:
        near = nearest(code.lower(), by_label)
        found = next((known for label, known in by_label.items() if near == f" (did you mean '{label}'?)"), None)
        return f" (did you mean '{found}', {self.labels[found]}?)" if found else told

    def with_broader(self, code: str) -> Iterator[str]:
        """Yield a code and all the codes that are broader than it, the narrowest first.

        >>> list(vocabulary("iucn-habitats").with_broader("9.8.1"))
        ['9.8.1', '9.8', '9']
        """
        at = code
        while at in self.labels:
            yield at
            at = self.broader.get(at, "")


@cache
def vocabularies() -> dict[str, Vocabulary]:
    """Return all vocabularies by id."""
    return {row["id"]: _read(row) for row in _rows("vocabularies")}


def vocabulary(id: str) -> Vocabulary:
    """Return one vocabulary.

    Raises:
        LinkwaysError: there is none of this name.
    """
    known = vocabularies()
    if id not in known:
        raise LinkwaysError(f"there is no vocabulary '{id}'{nearest(id, known)}")
    return known[id]


def _read(row: dict[str, str]) -> Vocabulary:
    codes = list(_rows(row["id"]))
    labels = {one["code"]: one["label"] for one in codes}
    broader = {one["code"]: _broader(one) for one in codes}
    return Vocabulary(
        id=row["id"],
        title=row["title"],
        version=row["version"],
        publisher=row["publisher"],
        source=row["source"],
        licence=row["licence"],
        part=row["in_records"],
        labels=labels,
        broader={code: wide for code, wide in broader.items() if wide},
    )


def _broader(row: dict[str, str]) -> str:
    """The broader code: written in the file, or what stands before the last dot."""
    return row["broader"] if "broader" in row else row["code"].rpartition(".")[0]


def _rows(name: str) -> Iterator[dict[str, str]]:
    with files("linkways.catalogue").joinpath(f"data/{name}.csv").open(encoding="utf-8") as file:
        yield from csv.DictReader(file)
