"""The record of a solution: a snapshot (what, where, who) within the full record (why, how, with what effect).

The models are the schema: `json_schema` writes them down for others, `record_from` reads plain data by them and tells
every mistake as a sentence.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    RootModel,
    StringConstraints,
    Tag,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from linkways.catalogue._geometry import checked_bounds, checked_geometry
from linkways.catalogue._problems import Place, PlacedError, record_error
from linkways.catalogue._quantities import MEASURES, UNITS, bounds_in_base, to_base
from linkways.catalogue._vocabulary import vocabularies, vocabulary
from linkways.errors import LinkwaysError, nearest

__all__ = [
    "BlockReference",
    "BuildingBlock",
    "Challenge",
    "Classifications",
    "Code",
    "Contributor",
    "Figure",
    "Image",
    "Impact",
    "Link",
    "PlaceOfSolution",
    "Replicates",
    "Snapshot",
    "Solution",
    "Species",
    "Translation",
    "WaitsFor",
    "json_schema",
    "record_from",
    "slug",
]

FORMAT = 1
"""Version of the record format that this Linkways reads and writes."""


class Part(BaseModel):
    """A part of a record: known fields only, never changed in place."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def _or_text(field: str, model: Any) -> BeforeValidator:
    """Let a plain text stand for a part of which only this field is told."""

    def written(value: Any) -> Any:
        return {field: value} if isinstance(value, str) else value

    return BeforeValidator(written, json_schema_input_type=str | model)


Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=120)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Address = Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>\"]+$", max_length=2000)]


# --- codes ---------------------------------------------------------------------------


class Code(Part):
    """One code of a vocabulary, with the label and the version it was given by."""

    code: str
    label: str = ""
    version: str = ""


def _checked_code(scheme: str, code: Code, number: int) -> Code:
    known = vocabulary(scheme)
    if code.code not in known.labels:
        raise PlacedError(known.no_code(code.code), (scheme, number))
    label = known.labels[code.code]
    if code.version and code.version != known.version:
        raise PlacedError(
            f"{code.code} is of version {code.version} but this Linkways knows {known.title} {known.version}; "
            f"check the code there and write its version",
            (scheme, number),
        )
    if code.label and code.label != label:
        sentence = f"'{code.label}' is not what {known.title} calls {code.code}; write '{label}' or no label"
        raise PlacedError(sentence, (scheme, number))
    return Code(code=code.code, label=label, version=known.version)


def _written_code(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"put the code in quotes, '{value}', so that it is read as it is written")
    return {"code": value} if isinstance(value, str) else value


class Classifications(RootModel[dict[str, tuple[Annotated[Code, BeforeValidator(_written_code)], ...]]]):
    """The codes of a solution by vocabulary; labels and versions are filled in and, where given, checked."""

    model_config = ConfigDict(frozen=True)

    @field_validator("root")
    @classmethod
    def _known(cls, value: dict[str, tuple[Code, ...]]) -> dict[str, tuple[Code, ...]]:
        usable = [id for id, one in vocabularies().items() if one.part == "classifications"]
        checked = {}
        for scheme, codes in value.items():
            if scheme not in usable:
                sentence = f"there is no vocabulary '{scheme}' for solutions{nearest(scheme, usable)}"
                raise PlacedError(sentence, (scheme,))
            placed = (_checked_code(scheme, code, number) for number, code in enumerate(codes))
            checked[scheme] = tuple(dict.fromkeys(placed))
        return {scheme: checked[scheme] for scheme in usable if checked.get(scheme)}

    @classmethod
    def __get_pydantic_json_schema__(cls, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
        usable = [one for one in vocabularies().values() if one.part == "classifications"]
        return {
            "type": "object",
            "title": "Classifications",
            "additionalProperties": False,
            "properties": {
                one.id: {
                    "type": "array",
                    "title": f"{one.title} ({one.version})",
                    "description": f"Source: {one.source}",
                    "items": _code_schema(one.id),
                }
                for one in usable
            },
        }

    def codes(self, scheme: str) -> tuple[str, ...]:
        """Return the codes of one vocabulary."""
        return tuple(one.code for one in self.root.get(scheme, ()))


def _code_schema(scheme: str) -> dict[str, Any]:
    codes = {"type": "string", "enum": list(vocabulary(scheme).labels)}
    written = {
        "type": "object",
        "properties": {"code": codes, "label": {"type": "string"}, "version": {"type": "string"}},
        "required": ["code"],
        "additionalProperties": False,
    }
    return {"anyOf": [codes, written]}


def _of_vocabulary(scheme: str) -> BeforeValidator:
    def checked(value: Any) -> Any:
        if isinstance(value, str) and value not in vocabulary(scheme).labels:
            raise ValueError(vocabulary(scheme).no_code(value))
        return value

    return BeforeValidator(checked)


def _enumerated(scheme: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(vocabulary(scheme).labels)})


CountryCode = Annotated[str, _of_vocabulary("iso-countries"), _enumerated("iso-countries")]
RegionCode = Annotated[str, _of_vocabulary("m49-regions"), _enumerated("m49-regions")]
CmsAppendix = Annotated[str, _of_vocabulary("cms-appendices"), _enumerated("cms-appendices")]
BlockCategory = Annotated[str, _of_vocabulary("block-category"), _enumerated("block-category")]
BlockPhase = Annotated[str, _of_vocabulary("block-phase"), _enumerated("block-phase")]
Scale = Annotated[str, _of_vocabulary("scale"), _enumerated("scale")]
ThreatCode = Annotated[str, _of_vocabulary("iucn-threats"), _enumerated("iucn-threats")]
ActionCode = Annotated[str, _of_vocabulary("cmp-actions"), _enumerated("cmp-actions")]


# --- the snapshot --------------------------------------------------------------------


class PlaceOfSolution(Part):
    """Where a solution is: in words, by countries and regions, and on the map."""

    name: Line
    countries: tuple[CountryCode, ...] = ()
    regions: tuple[RegionCode, ...] = ()
    bounds: tuple[float, float, float, float] | None = None
    geometry: dict[str, Any] | None = None
    wdpa: tuple[int, ...] = ()

    @field_validator("bounds")
    @classmethod
    def _bounds(cls, value: tuple[float, float, float, float] | None) -> tuple[float, float, float, float] | None:
        return None if value is None else checked_bounds(value)

    @field_validator("geometry")
    @classmethod
    def _geometry(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else checked_geometry(value)

    def all_regions(self) -> tuple[str, ...]:
        """Return the M49 codes of the regions that are named or that its countries lie in, broader ones too."""
        of_countries = (vocabulary("iso-countries").broader[country] for country in self.countries)
        named = (*self.regions, *of_countries)
        broader = (wide for code in named for wide in vocabulary("m49-regions").with_broader(code))
        return tuple(dict.fromkeys(code for code in broader if code != "001" or "001" in self.regions))


class Species(Part):
    """A species (or a wider or narrower taxon) that a solution is about."""

    scientific_name: Annotated[str, StringConstraints(pattern=r"^[A-Z][\w.×-]+( [\w.×()-]+)*$", max_length=200)]
    name: str = ""
    cms: tuple[CmsAppendix, ...] = ()


class Contributor(Part):
    """A person or organisation that stands behind a solution or its record."""

    name: Line
    organisation: str = ""
    role: str = ""
    orcid: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$")] | None = None
    url: Address | None = None


class Image(Part):
    """A picture beside the record, with what must be told with it."""

    file: Annotated[str, StringConstraints(pattern=r"^[\w-]+(/[\w-]+)*\.(png|jpe?g|webp|gif)$")]
    alt: Line
    credit: Line
    caption: str = ""
    licence: str = ""


class Link(Part):
    """A page, publication or other resource elsewhere."""

    title: Line
    url: Address


class Translation(Part):
    """The text of one field in another language."""

    text: Text
    of: str = ""
    """The text it was made from; when that is no longer the field's text, the translation is stale."""


class Snapshot(Part):
    """The short form of a record: what it is, where, and who stands behind it."""

    id: Slug
    title: Line
    summary: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    language: Language = "en"
    place: PlaceOfSolution
    species: tuple[Annotated[Species, _or_text("scientific_name", Species)], ...] = ()
    classifications: Classifications = Classifications({})
    keywords: tuple[Line, ...] = ()
    contributors: tuple[Annotated[Contributor, _or_text("name", Contributor)], ...] = ()
    image: Image | None = None
    links: tuple[Link, ...] = ()
    sources: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")], Line] = {}
    licence: str = ""
    published: datetime.date | None = None
    updated: datetime.date | None = None

    def to_data(self) -> dict[str, Any]:
        """Return the record as plain data (text, numbers, lists, dicts), without what is at its default."""
        return self.model_dump(mode="json", exclude_defaults=True)


# --- the full record -----------------------------------------------------------------


class Figure(Part):
    """A number with what it measures and its unit; compared in search by its range."""

    of: Line
    measure: Literal["count", "length", "width", "height", "depth", "distance", "area", "share", "mass", "duration"]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    about: bool = False
    """The source says "about", "almost", "roughly"."""
    source: str = ""

    @model_validator(mode="after")
    def _one_range(self) -> Self:
        if (self.value is None) == (self.low is None and self.high is None):
            raise ValueError("a figure has either a value or low and high (one of them for 'more than', 'up to')")
        numbers = [number for number in (self.value, self.low, self.high) if number is not None]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError("the number of a figure must be finite; leave low or high out for an open range")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low ({self.low:g}) must not exceed high ({self.high:g})")
        to_base(0.0, self.unit, self.measure)
        return self

    def bounds(self) -> tuple[float, float]:
        """Return the least and the largest value in the base unit of the measure; open ends are infinite."""
        return bounds_in_base(self.value, self.low, self.high, self.unit, self.measure)


class Challenge(Part):
    """What the solution was up against."""

    text: Text
    kind: Literal["climate", "ecological", "economic", "social"] | None = None
    threats: tuple[ThreatCode, ...] = ()


class BuildingBlock(Part):
    """One part of a solution that others can take over: an entity of its own, with versions."""

    id: Slug
    version: Annotated[int, Field(ge=1)] = 1
    title: Line
    description: Text
    category: BlockCategory | None = None
    phase: BlockPhase | None = None
    scale: Scale | None = None
    actions: tuple[ActionCode, ...] = ()
    enabling_factors: tuple[Text, ...] = ()
    lessons_learned: tuple[Text, ...] = ()
    resources: tuple[Link, ...] = ()
    steps: tuple[Line, ...] = ()
    """Steps of the record's study that carry it out."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "id" not in value and isinstance(value.get("title"), str):
            return {"id": slug(value["title"]), **value}
        return value


class BlockReference(Part):
    """A building block taken over from another solution, as it was in one version."""

    block: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*$")]
    """``solution/block``"""
    version: Annotated[int, Field(ge=1)] = 1
    title: Line
    description: Text
    """How this solution uses it."""
    steps: tuple[Line, ...] = ()


def _block_form(value: Any) -> str:
    taken_over = "block" in value if isinstance(value, Mapping) else isinstance(value, BlockReference)
    return "form:reference" if taken_over else "form:block"


AnyBlock = Annotated[
    Annotated[BuildingBlock, Tag("form:block")] | Annotated[BlockReference, Tag("form:reference")],
    Discriminator(_block_form),
]


class Impact(Part):
    """What the solution brought about or stands for, as its source tells it, with the figures in it."""

    fact: Text
    kind: Literal["ecological", "social", "economic", "governance"] | None = None
    figures: tuple[Figure, ...] = ()
    source: Line


class WaitsFor(Part):
    """A method that the study of this solution needs and waits for."""

    method: Annotated[str, StringConstraints(pattern=r"^[a-z]+\.[a-z0-9_]+$")]
    purpose: Line


class Replicates(Part):
    """The solution that this one was made from."""

    solution: Slug
    version: Annotated[int, Field(ge=1)] | None = None
    run: str = ""


class StatedResult(Part):
    """A number that the study must give when it runs again; reviewers have it checked."""

    computed: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*\.[a-z0-9_]+$")]
    """The indicator: ``step.output``."""
    value: float
    tolerance_percent: Annotated[float, Field(ge=0, le=100)] = 1.0

    def met_by(self, found: float | None) -> bool:
        """Whether a number found is the one stated, within the tolerance."""
        if found is None:
            return False
        return math.isclose(found, self.value, rel_tol=self.tolerance_percent / 100, abs_tol=1e-9)


class Solution(Snapshot):
    """The record of a solution; full when it tells challenges, building blocks and impacts."""

    record: Literal[1] = 1
    context: str = ""
    challenges: tuple[Annotated[Challenge, _or_text("text", Challenge)], ...] = ()
    beneficiaries: tuple[Text, ...] = ()
    building_blocks: tuple[AnyBlock, ...] = ()
    interaction: str = ""
    """How the building blocks work together."""
    impacts: tuple[Impact, ...] = ()
    figures: tuple[Figure, ...] = ()
    """Numbers of the place and the problem, as against impacts."""
    story: str = ""
    resources: tuple[Link, ...] = ()
    replicates: Replicates | None = None
    waits_for: tuple[WaitsFor, ...] = ()
    study: dict[str, Any] | None = None
    reproduces: tuple[StatedResult, ...] = ()
    """What the study gives, stated so that it can be checked by running it again."""
    translations: dict[Language, dict[str, Annotated[Translation, _or_text("text", Translation)]]] = {}

    @property
    def form(self) -> Literal["full", "snapshot"]:
        """``full`` or ``snapshot``."""
        return "snapshot" if self.lacking() else "full"

    def lacking(self) -> list[str]:
        """Return the fields that a full record has and this one leaves empty."""
        return [name for name in ("challenges", "building_blocks", "impacts") if not getattr(self, name)]

    def snapshot(self) -> Snapshot:
        """Return the snapshot that lies within this record."""
        return Snapshot.model_validate({name: getattr(self, name) for name in Snapshot.model_fields})

    def blocks(self) -> tuple[BuildingBlock, ...]:
        """Return the building blocks that this record defines, without those taken over from others."""
        return tuple(block for block in self.building_blocks if isinstance(block, BuildingBlock))

    def all_figures(self) -> tuple[Figure, ...]:
        """Return the figures of the place and of the impacts."""
        return (*self.figures, *(figure for impact in self.impacts for figure in impact.figures))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = [block.id for block in self.blocks()]
        twice = next((id for id in ids if ids.count(id) > 1), None)
        if twice is not None:
            raise ValueError(f"two building blocks have the id '{twice}'; give one of them another id or title")
        self._check_sources()
        self._check_steps()
        from linkways.catalogue._languages import check_translations

        check_translations(self)
        return self

    def _check_sources(self) -> None:
        for named in (*(one.source for one in self.impacts), *(one.source for one in self.all_figures())):
            if named and re.fullmatch(r"[a-z][a-z0-9_]*", named) and named not in self.sources:
                raise ValueError(f"sources has no '{named}'{nearest(named, self.sources)}")

    def _check_steps(self) -> None:
        steps = (self.study or {}).get("steps")
        known = [str(s.get("id")) for s in steps if isinstance(s, Mapping)] if isinstance(steps, list) else []
        for stated in self.reproduces:
            step = stated.computed.partition(".")[0]
            if step not in known:
                raise ValueError(f"reproduces: the study has no step '{step}'{nearest(step, known)}")
        for block in self.building_blocks:
            for step in block.steps:
                if step not in known:
                    hint = nearest(step, known) if self.study else "; the record carries no study, remove the step"
                    raise ValueError(f"building block '{block.title}' names a step '{step}' that does not exist{hint}")


def slug(text: str) -> str:
    """Return a text as an id: small letters and digits with hyphens.

    >>> slug("Rank corridors, by three criteria!")
    'rank-corridors-by-three-criteria'
    """
    import unicodedata

    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:120].strip("-") or "untitled"


# --- in and out ----------------------------------------------------------------------


def record_from(data: Any, name: str = "", where: Callable[[Place], str] | None = None) -> Solution:
    """Return the record that plain data tell.

    Args:
        data: the record as dicts, lists, text and numbers.
        name: the file or other origin, for messages.
        where: tells the file and line of a place in the data.

    Raises:
        RecordError: every mistake, each a sentence with its place and how to mend it.
    """
    try:
        return Solution.model_validate(data)
    except ValidationError as error:
        raise record_error(error, Solution, where or (lambda _: name)) from None


def json_schema(form: Literal["full", "snapshot"] = "full") -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a record, as it is read.

    It holds the codes of all vocabularies. What no JSON Schema can say (valid rings, steps that exist, units that fit)
    is checked by `record_from` alone.
    """
    if form not in ("full", "snapshot"):
        raise LinkwaysError(f"there is no form '{form}' of a record{nearest(form, ['full', 'snapshot'])}")
    model = Solution if form == "full" else Snapshot
    schema = model.model_json_schema(mode="validation")
    units = sorted(unit for unit in UNITS)
    if "Figure" in schema.get("$defs", {}):
        schema["$defs"]["Figure"]["properties"]["unit"]["enum"] = units
        schema["$defs"]["Figure"]["properties"]["measure"]["enum"] = list(MEASURES)
    if "BuildingBlock" in schema.get("$defs", {}):
        schema["$defs"]["BuildingBlock"]["required"].remove("id")  # made from the title
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Linkways solution, {form} record, format {FORMAT}",
        **{key: value for key, value in schema.items() if key != "title"},
    }
