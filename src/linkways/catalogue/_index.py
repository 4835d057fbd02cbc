"""What search holds in memory: facets and figures of all records as flat arrays, read anew where they changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from linkways.catalogue._databases import rows
from linkways.catalogue._quantities import NumberQuestion, subject_words

__all__ = ["Index"]

Mask = NDArray[np.bool_]


@dataclass
class _Entry:
    """One record: its place in the order of titles comes later, with the arrays."""

    title: str
    status: str
    changed: int
    codes: list[int] = field(default_factory=list)
    figures: list[tuple[str, str, float, float, str]] = field(default_factory=list)


class Index:
    """Facets, figures, titles and states of all records.

    Rows of the arrays are records in the order of ``pks``. Facet codes are numbered in the order in which they are met.
    """

    def __init__(self) -> None:
        self.seen = -1
        self.codes: dict[tuple[str, str], int] = {}
        self.subjects: list[str] = []
        self._entries: dict[int, _Entry] = {}
        self.pks: NDArray[np.int64] = np.empty(0, np.int64)
        self._pair_row: NDArray[np.int64] = np.empty(0, np.int64)
        self._pair_code: NDArray[np.int64] = np.empty(0, np.int64)
        self.by_title: NDArray[np.int64] = np.empty(0, np.int64)
        self.by_change: NDArray[np.int64] = np.empty(0, np.int64)
        self._status: NDArray[np.int64] = np.empty(0, np.int64)
        self._statuses: dict[str, int] = {}

    def bring_up_to_date(self, connection: Connection) -> list[int]:
        """Read what changed in the database since the last time, and return the primary keys of it."""
        now = int(rows(connection, "SELECT changes FROM state")[0][0])
        if now == self.seen:
            return []
        changed_pks = []
        given = {"seen": self.seen}
        for pk, title, status, changed in rows(
            connection, "SELECT pk, title, status, changed FROM records WHERE changed > :seen", given
        ):
            self._entries[pk] = _Entry(title, status, changed)
            changed_pks.append(pk)
        among = "WHERE record IN (SELECT pk FROM records WHERE changed > :seen)" if self.seen >= 0 else ""
        given = given if among else {}
        for pk, facet, code in rows(connection, f"SELECT record, facet, code FROM facets {among}", given):
            self._entries[pk].codes.append(self.codes.setdefault((facet, code), len(self.codes)))
        for pk, measure, subject, low, high, shown in rows(
            connection, f"SELECT record, measure, subject, low, high, shown FROM figures {among}", given
        ):
            self._entries[pk].figures.append((measure, subject, low, high, shown))
        self.seen = now
        self._lay_out()
        return changed_pks

    def _lay_out(self) -> None:
        pks = sorted(self._entries)
        entries = [self._entries[pk] for pk in pks]
        self.pks = np.array(pks, np.int64)
        counts = [len(entry.codes) for entry in entries]
        self._pair_row = np.repeat(np.arange(len(pks)), counts)
        self._pair_code = np.fromiter((code for e in entries for code in e.codes), np.int64, sum(counts))
        titles = [(entry.title.casefold(), row) for row, entry in enumerate(entries)]
        self.by_title = np.array([row for _, row in sorted(titles)], np.int64)
        self.by_change = np.array(sorted(range(len(pks)), key=lambda row: -entries[row].changed), np.int64)
        self._statuses = {one: n for n, one in enumerate(sorted({entry.status for entry in entries}))}
        self._status = np.array([self._statuses[entry.status] for entry in entries], np.int64)
        figures = [(row, *figure) for row, entry in enumerate(entries) for figure in entry.figures]
        subjects = {subject: n for n, subject in enumerate(dict.fromkeys(figure[2] for figure in figures))}
        self.subjects = list(subjects)
        self._figure_row = np.array([figure[0] for figure in figures], np.int64)
        self._figure_measure = np.array([figure[1] for figure in figures], np.str_)
        self._figure_subject = np.array([subjects[figure[2]] for figure in figures], np.int64)
        self._figure_range = np.array([figure[3:5] for figure in figures], np.float64).reshape(-1, 2)
        self._figure_words = [figure[5] for figure in figures]
        self._subject_words = [set(subject_words(subject)) for subject in subjects]
        self.known_codes: dict[str, list[str]] = {}
        numbers: dict[str, list[int]] = {}
        for (facet, code), number in self.codes.items():
            self.known_codes.setdefault(facet, []).append(code)
            numbers.setdefault(facet, []).append(number)
        self._numbers = {facet: np.array(of_facet, np.int64) for facet, of_facet in numbers.items()}

    # masks over the records

    def everything(self, statuses: Collection[str] | None) -> Mask:
        """The records of these states, or all."""
        if statuses is None:
            return np.ones(len(self.pks), bool)
        return np.isin(self._status, [self._statuses[one] for one in statuses if one in self._statuses])

    def of_pks(self, pks: Collection[int]) -> Mask:
        """The records with these primary keys; those that came in since the index was read are left out."""
        asked = np.fromiter(pks, np.int64, len(pks))
        mask = np.zeros(len(self.pks), bool)
        rows_of = np.searchsorted(self.pks, asked)
        known = rows_of < len(self.pks)
        known[known] = self.pks[rows_of[known]] == asked[known]
        mask[rows_of[known]] = True
        return mask

    def with_codes(self, facet: str, codes: Iterable[str]) -> Mask:
        """The records that have any of these codes of a facet."""
        numbers = [self.codes[facet, code] for code in codes if (facet, code) in self.codes]
        chosen = np.zeros(len(self.codes) + 1, bool)
        chosen[numbers] = True
        mask = np.zeros(len(self.pks), bool)
        mask[self._pair_row[chosen[self._pair_code]]] = True
        return mask

    def answering(self, question: NumberQuestion) -> tuple[Mask, NDArray[np.int64]]:
        """The records with a figure that answers a question, and the places of such figures among all."""
        mask = np.zeros(len(self.pks), bool)
        low, high = self._figure_range.T
        holds = {
            "<": high < question.value,
            "<=": high <= question.value,
            ">": low > question.value,
            ">=": low >= question.value,
        }[question.comparison]
        asked = set(question.subject)
        fitting = np.array([asked <= words for words in self._subject_words], bool)
        holds &= np.isin(self._figure_measure, question.measures)
        places = np.flatnonzero(holds)
        places = places[fitting[self._figure_subject[places]]]
        mask[self._figure_row[places]] = True
        return mask, places

    def answers_of(self, pk: int, places: NDArray[np.int64]) -> list[str]:
        """The figures of a record among these places, in words."""
        row = np.searchsorted(self.pks, pk)
        return [self._figure_words[place] for place in places[self._figure_row[places] == row]]

    def counts(self, mask: Mask) -> NDArray[np.int64]:
        """How many of the records have each code, by its number."""
        return np.bincount(self._pair_code[mask[self._pair_row]], minlength=len(self.codes))

    def largest(self, facet: str, counts: NDArray[np.int64], most: int) -> list[tuple[str, int]]:
        """The codes of a facet that some records have, with how many; only the most frequent when there are more."""
        numbers = self._numbers.get(facet, np.empty(0, np.int64))
        of_facet = counts[numbers]
        places = np.flatnonzero(of_facet)
        if len(places) > most:
            places = places[np.argsort(-of_facet[places], kind="stable")[:most]]
        codes = self.known_codes.get(facet, [])
        return [(codes[place], int(of_facet[place])) for place in places]
