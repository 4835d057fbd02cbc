"""The catalogue: the record of a solution, its store and search, and its ways in and out.

>>> from linkways.catalogue import read_record
>>> read_record("jaguar-corridor").species[0].scientific_name
'Panthera onca'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linkways.catalogue._crate import write_solution_crate
    from linkways.catalogue._differences import Difference, differences
    from linkways.catalogue._exports import catalogue_text, export_catalogue, import_catalogue
    from linkways.catalogue._facets import FACETS, facet_label
    from linkways.catalogue._files import builtin_record, builtin_records, read_record, record_text, write_record
    from linkways.catalogue._languages import in_language, stale_translations, texts_of
    from linkways.catalogue._panorama import Imported, import_panorama
    from linkways.catalogue._problems import RecordError
    from linkways.catalogue._quantities import NumberQuestion, parse_questions
    from linkways.catalogue._record import (
        BlockReference,
        BuildingBlock,
        Figure,
        Snapshot,
        Solution,
        json_schema,
        record_from,
    )
    from linkways.catalogue._review import CRITERIA, ROLES, Check, Comment, Desk, Notice, Reviewer, RoleRefused, Verdict
    from linkways.catalogue._search import FacetCount, Found, Hit
    from linkways.catalogue._site import write_site
    from linkways.catalogue._store import STATUSES, Revision, Store, StoredBlock, default_store, open_store
    from linkways.catalogue._vocabulary import Vocabulary, vocabularies, vocabulary
    from linkways.catalogue._workshop import read_workshop_sheet, write_workshop_sheet

_HOMES = {
    "_panorama": ("Imported", "import_panorama"),
    "_problems": ("RecordError",),
    "_crate": ("write_solution_crate",),
    "_differences": ("Difference", "differences"),
    "_exports": ("catalogue_text", "export_catalogue", "import_catalogue"),
    "_facets": ("FACETS", "facet_label"),
    "_files": ("builtin_record", "builtin_records", "read_record", "record_text", "write_record"),
    "_languages": ("in_language", "stale_translations", "texts_of"),
    "_quantities": ("NumberQuestion", "parse_questions"),
    "_record": (
        "BlockReference",
        "BuildingBlock",
        "Figure",
        "Snapshot",
        "Solution",
        "json_schema",
        "record_from",
    ),
    "_review": ("CRITERIA", "ROLES", "Check", "Comment", "Desk", "Notice", "Reviewer", "RoleRefused", "Verdict"),
    "_search": ("FacetCount", "Found", "Hit"),
    "_site": ("write_site",),
    "_store": ("STATUSES", "Revision", "Store", "StoredBlock", "default_store", "open_store"),
    "_vocabulary": ("Vocabulary", "vocabularies", "vocabulary"),
    "_workshop": ("read_workshop_sheet", "write_workshop_sheet"),
}

__all__ = [
    "CRITERIA",
    "FACETS",
    "ROLES",
    "STATUSES",
    "BlockReference",
    "BuildingBlock",
    "Check",
    "Comment",
    "Desk",
    "Difference",
    "FacetCount",
    "Figure",
    "Found",
    "Hit",
    "Imported",
    "Notice",
    "NumberQuestion",
    "RecordError",
    "Reviewer",
    "Revision",
    "RoleRefused",
    "Snapshot",
    "Solution",
    "Store",
    "StoredBlock",
    "Verdict",
    "Vocabulary",
    "builtin_record",
    "builtin_records",
    "catalogue_text",
    "default_store",
    "differences",
    "export_catalogue",
    "facet_label",
    "import_catalogue",
    "import_panorama",
    "in_language",
    "json_schema",
    "open_store",
    "parse_questions",
    "read_record",
    "read_workshop_sheet",
    "record_from",
    "record_text",
    "stale_translations",
    "texts_of",
    "vocabularies",
    "vocabulary",
    "write_record",
    "write_site",
    "write_solution_crate",
    "write_workshop_sheet",
]

_EXTRA = ("alembic", "openpyxl", "pydantic", "pydantic_core", "sqlalchemy")


def __getattr__(name: str) -> Any:
    """Open the module that holds a public name when it is first asked for."""
    from importlib import import_module

    from linkways.errors import MissingExtra

    for module, names in _HOMES.items():
        if name in names:
            try:
                return getattr(import_module(f"linkways.catalogue.{module}"), name)
            except ModuleNotFoundError as error:
                missing = (error.name or "").partition(".")[0]
                if missing not in _EXTRA:
                    raise
                raise MissingExtra(missing.removesuffix("_core"), "catalogue", "the catalogue of solutions") from None
    raise AttributeError(f"module 'linkways.catalogue' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
