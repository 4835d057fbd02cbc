"""Search: words, facets with counts, species, places, and questions about numbers, in one request."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from linkways.catalogue._databases import rows
from linkways.catalogue._facets import FACETS, facet_label
from linkways.catalogue._quantities import NumberQuestion, parse_questions
from linkways.catalogue._words import read_question
from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry
    from sqlalchemy import Connection

    from linkways.catalogue._index import Index, Mask
    from linkways.catalogue._store import Store
    from linkways.catalogue._words import TextQuestion

__all__ = ["FacetCount", "Found", "Hit", "Question", "search"]


COUNTED_AT_MOST = 100
"""Codes of one facet that an answer tells, the most frequent ones; only species, countries and keywords have more."""


@dataclass(frozen=True)
class Hit:
    """One record that was found.

    Attributes:
        id: its id.
        title: its title.
        summary: its summary.
        place: its place in words.
        status: its state.
        answers: the figures of it that answer the questions about numbers.
    """

    id: str
    title: str
    summary: str
    place: str
    status: str
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class FacetCount:
    """How many of the records found have a code; of a facet that is filtered by, how many would without that filter."""

    code: str
    label: str
    count: int
    chosen: bool


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        total: how many records answer.
        hits: the page of them that was asked for.
        facets: counts by facet, the largest first; of each at most the 100 most frequent codes and those chosen.
        words: the words that were searched for.
        numbers: the questions about numbers, as they were understood.
    """

    total: int
    hits: tuple[Hit, ...]
    facets: dict[str, tuple[FacetCount, ...]]
    words: str
    numbers: tuple[NumberQuestion, ...]


@dataclass(frozen=True)
class Question:
    """What is asked; the fields are the arguments of ``Store.search``."""

    asked: str
    facets: Mapping[str, Collection[str]]
    species: str
    area: BaseGeometry | None
    statuses: Collection[str] | None
    order: str
    offset: int
    limit: int


def search(store: Store, question: Question) -> Found:
    """Return the records that answer all that is asked, with counts of facets."""
    _check(question)
    with store.reading() as connection:
        index = store.up_to_date_index(connection)
        words, numbers = parse_questions(question.asked, index.subjects)
        in_words = read_question(words)
        base = index.everything(question.statuses)
        if question.species:
            base &= index.with_codes("species", [_species(index, question.species)])
        if question.area is not None:
            base &= index.of_pks(store.database.within(connection, question.area))
        answering = []
        for one in numbers:
            holding, places = index.answering(one)
            base &= holding
            answering.append(places)
        if in_words is not None:
            base &= index.of_pks(store.database.matching(connection, "record_text", in_words))
        chosen = {
            facet: index.with_codes(facet, _codes(index, facet, codes)) for facet, codes in question.facets.items()
        }
        mask = np.logical_and.reduce([base, *chosen.values()])
        pks = _page(store, connection, index, mask, in_words, question)
        answers = {pk: [told for places in answering for told in index.answers_of(pk, places)] for pk in pks}
        hits = _hits(connection, pks, answers)
    counted = _counts(index, base, chosen, mask, question.facets)
    return Found(int(mask.sum()), hits, counted, words, numbers)


def _check(question: Question) -> None:
    orders = ("relevance", "title", "newest")
    if question.order not in orders:
        raise LinkwaysError(f"there is no order '{question.order}'{nearest(question.order, orders)}")
    if question.offset < 0 or not 0 <= question.limit <= 1000:
        raise LinkwaysError(
            f"offset is {question.offset} and limit {question.limit}; offset is 0 or more, limit 0 to 1000"
        )


def _codes(index: Index, facet: str, codes: Collection[str]) -> Collection[str]:
    if facet not in FACETS:
        raise LinkwaysError(f"there is no facet '{facet}'{nearest(facet, FACETS)}")
    if not codes:
        raise LinkwaysError(f"the facet {facet} is asked for without a code; give one or leave the facet out")
    known = index.known_codes.get(facet, [])
    for code in codes:
        if code not in known and facet_label(facet, code) == code:
            raise LinkwaysError(f"no record has '{code}' as {FACETS[facet].lower()}{nearest(code, known)}")
    return codes


def _species(index: Index, name: str) -> str:
    known = index.known_codes.get("species", [])
    folded = {one.casefold(): one for one in known}
    if name.casefold() not in folded:
        raise LinkwaysError(f"no record is about the species '{name}'{nearest(name, known)}")
    return folded[name.casefold()]


def _page(
    store: Store, connection: Connection, index: Index, mask: Mask, words: TextQuestion | None, question: Question
) -> list[int]:
    """The primary keys of one page, in the order asked for. Only records that pass all filters are ranked."""
    page = slice(question.offset, question.offset + question.limit)
    if question.order == "newest":
        return _of_rows(index, index.by_change, mask)[page]
    if question.order == "title" or words is None:
        return _of_rows(index, index.by_title, mask)[page]
    among = [int(pk) for pk in index.pks[mask]]
    if len(among) <= store.database.ranked_at_most:
        return store.database.ranked(connection, "record_text", words, among)[page]
    head = store.database.matching_in_head(connection, words).intersection(among)
    ranked = store.database.ranked(connection, "record_text", words, sorted(head)[: store.database.ranked_at_most])
    seen = set(ranked)
    rest = (pk for pk in _of_rows(index, index.by_title, mask) if pk not in seen)
    return [*ranked, *rest][page] if len(ranked) < page.stop else ranked[page]


def _of_rows(index: Index, order: NDArray[np.int64], mask: Mask) -> list[int]:
    return [int(pk) for pk in index.pks[order[mask[order]]]]


def _hits(connection: Connection, pks: Sequence[int], answers: Mapping[int, list[str]]) -> tuple[Hit, ...]:
    if not pks:
        return ()
    among = ", ".join(str(int(pk)) for pk in pks)
    found = {
        one.pk: one
        for one in rows(connection, f"SELECT pk, id, title, summary, place, status FROM records WHERE pk IN ({among})")
    }
    hits = ((found[pk], tuple(answers.get(pk, ()))) for pk in pks)
    return tuple(Hit(one.id, one.title, one.summary, one.place, one.status, told) for one, told in hits)


def _counts(
    index: Index, base: Mask, chosen: Mapping[str, Mask], mask: Mask, asked: Mapping[str, Collection[str]]
) -> dict[str, tuple[FacetCount, ...]]:
    all_filters = index.counts(mask)
    without = {
        facet: index.counts(np.logical_and.reduce([base, *(m for other, m in chosen.items() if other != facet)]))
        for facet in chosen
    }
    found = {}
    for facet in FACETS:
        counts = without.get(facet, all_filters)
        picked = list(asked.get(facet, ()))
        listed = dict(index.largest(facet, counts, COUNTED_AT_MOST))
        for code in picked:
            listed.setdefault(code, int(counts[index.codes[facet, code]]) if (facet, code) in index.codes else 0)
        told = [FacetCount(code, facet_label(facet, code), count, code in picked) for code, count in listed.items()]
        if told:
            found[facet] = tuple(sorted(told, key=lambda one: (-one.count, one.label, one.code)))
    return found
