"""The facets of records: what search can filter and count by, with labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from linkways.catalogue._vocabulary import vocabularies, vocabulary

if TYPE_CHECKING:
    from linkways.catalogue._record import Solution

__all__ = ["FACETS", "facet_label", "facets_of"]

FACETS: dict[str, str] = {
    "realm": "Realm",
    "species": "Species",
    "country": "Country",
    "region": "Region",
    "scale": "Scale",
    "iucn-habitats": "Habitats",
    "iucn-threats": "Threats",
    "cmp-actions": "Conservation actions",
    "gbf": "Global Biodiversity Framework",
    "sdg": "Sustainable Development Goals",
    "cms-goals": "CMS Strategic Plan",
    "cms-appendices": "CMS appendices",
    "gsap": "Global Species Action Plan",
    "block-category": "Building blocks",
    "keyword": "Keywords",
    "study": "Study",
    "form": "Form",
    "language": "Language",
}
"""The facets by name, with their titles, in the order in which they are shown."""

_STUDY = {"runs": "Carries a study", "waits": "Waits for methods", "none": "No study"}
_FORM = {"full": "Full record", "snapshot": "Snapshot"}
_SCHEMES = {"country": "iso-countries", "region": "m49-regions"}


def facets_of(record: Solution) -> list[tuple[str, str]]:
    """Return all (facet, code) of a record; broader codes and taxa are among them, so that they find it too."""
    return list(dict.fromkeys(_facets(record)))


def _facets(record: Solution) -> Iterator[tuple[str, str]]:
    for scheme, codes in record.classifications.root.items():
        for code in codes:
            yield from ((scheme, wide) for wide in vocabulary(scheme).with_broader(code.code))
    for challenge in record.challenges:
        for threat in challenge.threats:
            yield from (("iucn-threats", wide) for wide in vocabulary("iucn-threats").with_broader(threat))
    for species in record.species:
        yield from (("species", name) for name in _taxa(species.scientific_name))
        yield from (("cms-appendices", appendix) for appendix in species.cms)
    yield from (("country", country) for country in record.place.countries)
    yield from (("region", region) for region in record.place.all_regions())
    for block in record.building_blocks:
        if getattr(block, "category", None):
            yield "block-category", str(getattr(block, "category", ""))
        for action in getattr(block, "actions", ()):
            yield from (("cmp-actions", wide) for wide in vocabulary("cmp-actions").with_broader(action))
    yield from (("keyword", keyword.casefold()) for keyword in record.keywords)
    yield "study", "runs" if record.study else "waits" if record.waits_for else "none"
    yield "form", record.form
    yield from (("language", language) for language in (record.language, *record.translations))


def _taxa(name: str) -> list[str]:
    """A scientific name with the wider ones it holds.

    >>> _taxa("Ursus arctos horribilis")
    ['Ursus arctos horribilis', 'Ursus arctos', 'Ursus']
    """
    words = name.split()
    return [" ".join(words[:length]) for length in range(len(words), 0, -1)]


def facet_label(facet: str, code: str) -> str:
    """Return a code of a facet in words."""
    scheme = _SCHEMES.get(facet, facet)
    if scheme in vocabularies():
        return vocabularies()[scheme].labels.get(code, code)
    return {"study": _STUDY, "form": _FORM}.get(facet, {}).get(code, code)
