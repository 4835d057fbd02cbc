"""The store: every record with all its revisions, in SQLite or PostgreSQL; nothing is ever overwritten."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from linkways.catalogue._databases import Database, open_database, rows
from linkways.catalogue._differences import Difference, differences
from linkways.catalogue._facets import facets_of
from linkways.catalogue._geometry import geometry_of_place, parse_area
from linkways.catalogue._index import Index
from linkways.catalogue._record import BlockReference, BuildingBlock, Solution, record_from
from linkways.catalogue._words import search_words
from linkways.errors import LinkwaysError, MissingExtra, nearest

if TYPE_CHECKING:
    from linkways.catalogue._search import Found

__all__ = ["STATUSES", "Revision", "Store", "default_store", "open_store"]

STATUSES = ("draft", "submitted", "feedback", "approved", "published", "superseded", "withdrawn")
"""The states of a record, in the order of the editorial flow."""

HEAD = "0002"
"""The migration that this Linkways works with."""


@dataclass(frozen=True)
class Revision:
    """One revision of a record or of a building block.

    Attributes:
        id: the record, or ``solution/block``.
        number: 1 for the first.
        author: who made it.
        time: when, in UTC (ISO 8601).
        note: why, in the author's words.
        status: the state that the record was in from then on.
        sha256: of the content.
        changes: what differs from the revision before, field by field.
    """

    id: str
    number: int
    author: str
    time: str
    note: str
    status: str
    sha256: str
    changes: tuple[Difference, ...]


@dataclass(frozen=True)
class StoredBlock:
    """A building block as an entity of its own.

    Attributes:
        id: ``solution/block``.
        version: its version.
        block: what it says.
        used_by: the solutions that took it over, by id, with the version each took.
    """

    id: str
    version: int
    block: BuildingBlock
    used_by: dict[str, int]


def open_store(url: str | Path = "sqlite://") -> Store:
    """Open a catalogue, and make or update its tables where needed.

    Args:
        url: a file for SQLite, or an address: ``sqlite://`` (in memory), ``sqlite:///FILE``,
            ``postgresql://USER@HOST/NAME`` (needs PostGIS on the server and the extra ``postgres``).

    Raises:
        LinkwaysError: the database cannot be opened, or was made by a newer Linkways.
    """
    address = str(url)
    if "://" not in address:
        Path(address).expanduser().parent.mkdir(parents=True, exist_ok=True)
        address = f"sqlite:///{Path(address).expanduser().absolute()}"
    database = open_database(address)
    try:
        _migrate(database)
    except LinkwaysError:
        database.engine.dispose()
        raise
    except OperationalError as error:
        database.engine.dispose()
        raise LinkwaysError(f"the catalogue {_shown(address)} cannot be opened: {_reason(error)}") from None
    except DBAPIError as error:
        database.engine.dispose()
        raise LinkwaysError(
            f"{_shown(address)} is no catalogue of Linkways ({_reason(error)}); give another file or database"
        ) from None
    return Store(database)


def default_store() -> Path:
    """Return the file of the user's own catalogue: ``$LINKWAYS_CATALOGUE``, else below the user's data folder."""
    import os

    given = os.environ.get("LINKWAYS_CATALOGUE")
    if given:
        return Path(given)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "linkways" / "catalogue.sqlite"


def _reason(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0]


def _shown(address: str) -> str:
    """The address without a password."""
    from sqlalchemy.engine import make_url

    return make_url(address).render_as_string(hide_password=True)


def _migrate(database: Database) -> None:
    from sqlalchemy import inspect

    with database.engine.begin() as connection:
        made = inspect(connection).has_table("alembic_version")
        at = rows(connection, "SELECT version_num FROM alembic_version")[0][0] if made else None
        if at == HEAD:
            return
        if at is not None and at > HEAD:
            raise LinkwaysError(f"the catalogue is of format {at}, this Linkways works with {HEAD}; update Linkways")
        try:
            from alembic import command
            from alembic.config import Config
        except ModuleNotFoundError:
            raise MissingExtra("alembic", "catalogue", "the catalogue of solutions") from None

        database.prepare(connection)
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


class Store:
    """A catalogue of solutions and building blocks. Open one with `open_store`.

    Every change makes a new revision with author, time and differences; search sees the newest revision of each record.
    A store may be used from several threads.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._index = Index()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        self.database.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # writing

    def put(
        self, record: Solution, *, author: str, note: str = "", status: str = "published", expected: int | None = None
    ) -> Revision:
        """Put a record in; its building blocks become versions of their own.

        A record that is already there gets a new revision, one that has not changed stays as it is.

        Args:
            record: the record; its references to blocks of other solutions must exist in the store.
            author: who did it.
            note: why.
            status: the state of the record from now on.
            expected: the revision that the author had before them; another one is refused, so that no one's work is
                covered by mistake.

        Raises:
            LinkwaysError: unknown status, an empty author, a reference to no block, a record that changed meanwhile,
                or a record that is not full and not a draft.
        """
        _check_put(record, author, status)
        with self.writing() as connection:
            return self._put(connection, record, _Act(author, note, status, _now()), expected)

    def put_all(self, records: Sequence[Solution], *, author: str, note: str = "", status: str = "published") -> int:
        """Put many records in, all or none, and return how many of them made a new revision.

        Blocks may be taken over from any of them; the order does not matter.
        """
        with self.writing() as connection:
            act, new = _Act(author, note, status, _now()), 0
            for record in sorted(
                records, key=lambda one: any(isinstance(b, BlockReference) for b in one.building_blocks)
            ):
                _check_put(record, author, status)
                before = self._last(connection, "solution", record.id)
                after = self._put(connection, record, act, None)
                new += before is None or before[0] != after.number
            return new

    def set_status(self, id: str, status: str, *, author: str, note: str = "") -> Revision:
        """Give a record another state, as a revision with the same content."""
        return self.put(self.get(id), author=author, note=note, status=status)

    def _put(self, connection: Connection, record: Solution, act: _Act, expected: int | None) -> Revision:
        last = self._last(connection, "solution", record.id)
        if expected is not None and expected != (last[0] if last else 0):
            by = self._revision(connection, "solution", record.id, last[0]) if last else None
            told = f"revision {by.number} by {by.author} of {by.time}" if by else "it does not exist"
            raise LinkwaysError(f"{record.id} has changed since revision {expected}: {told}; read it again and merge")
        record = self._with_block_versions(connection, record, act)
        revision = self._revise(connection, "solution", record.id, record.to_data(), act, last)
        if last is None or revision.number != last[0]:
            self._show(connection, record, revision)
        return revision

    def _with_block_versions(self, connection: Connection, record: Solution, act: _Act) -> Solution:
        """The record with the versions that its blocks have in the store, new ones where they changed."""
        kept: list[BuildingBlock | BlockReference] = []
        connection.execute(text("DELETE FROM block_uses WHERE solution = :id"), {"id": record.id})
        for block in record.building_blocks:
            if isinstance(block, BlockReference):
                self._check_reference(connection, block)
                connection.execute(
                    text("INSERT INTO block_uses VALUES (:id, :block, :version)"),
                    {"id": record.id, "block": block.block, "version": block.version},
                )
                kept.append(block)
                continue
            id = f"{record.id}/{block.id}"
            last = self._last(connection, "block", id)
            data = block.model_dump(mode="json", exclude_defaults=True, exclude={"version"})
            revision = self._revise(connection, "block", id, data, act, last)
            if last is None or revision.number != last[0]:
                self._show_block(connection, id, block, revision.number)
            kept.append(block.model_copy(update={"version": revision.number}))
        return record.model_copy(update={"building_blocks": tuple(kept)})

    def _check_reference(self, connection: Connection, block: BlockReference) -> None:
        last = self._last(connection, "block", block.block)
        if last is None:
            known = [one[0] for one in rows(connection, "SELECT id FROM blocks")]
            raise LinkwaysError(f"the catalogue has no building block '{block.block}'{nearest(block.block, known)}")
        if block.version > last[0]:
            raise LinkwaysError(f"building block {block.block} has versions 1 to {last[0]}, not {block.version}")

    def _revise(
        self, connection: Connection, kind: str, entity: str, data: dict[str, Any], act: _Act, last: Any
    ) -> Revision:
        content = json.dumps(data, ensure_ascii=False, sort_keys=False)
        sha256 = hashlib.sha256(json.dumps(data, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
        if last is not None and last[2] == sha256 and (kind == "block" or last[1] == act.status):
            return self._revision(connection, kind, entity, last[0])
        before = json.loads(last[3]) if last is not None else {}
        changes = differences(before, data) if last is not None else []
        revision = Revision(
            entity,
            1 if last is None else last[0] + 1,
            act.author,
            act.time,
            act.note,
            act.status,
            sha256,
            tuple(changes),
        )
        connection.execute(
            text(
                "INSERT INTO revisions (kind, entity, number, author, time, note, status, content, sha256, changes) "
                "VALUES (:kind, :entity, :number, :author, :time, :note, :status, :content, :sha256, :changes)"
            ),
            {
                "kind": kind,
                "entity": entity,
                "number": revision.number,
                "author": act.author,
                "time": act.time,
                "note": act.note,
                "status": act.status,
                "content": content,
                "sha256": sha256,
                "changes": json.dumps([[one.place, one.before, one.after] for one in changes], ensure_ascii=False),
            },
        )
        return revision

    def _show(self, connection: Connection, record: Solution, revision: Revision) -> None:
        """Bring what lists and search see of a record up to its newest revision."""
        from shapely import to_wkb

        shape = geometry_of_place(record.place.geometry, record.place.bounds)
        values = {
            "id": record.id,
            "title": record.title,
            "summary": record.summary,
            "place": record.place.name,
            "status": revision.status,
            "revision": revision.number,
            "changed": rows(connection, "SELECT changes FROM state")[0][0],
            "shape": None if shape is None else to_wkb(shape),
        }
        known = rows(connection, "SELECT pk FROM records WHERE id = :id", {"id": record.id})
        if known:
            pk = known[0][0]
            settings = ", ".join(f"{name} = :{name}" for name in values if name != "id")
            connection.execute(text(f"UPDATE records SET {settings} WHERE id = :id"), values)
        else:
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            pk = connection.execute(
                text(f"INSERT INTO records ({names}) VALUES ({marks}) RETURNING pk"), values
            ).scalar_one()
        self._replace(connection, "facets", pk, [{"facet": f, "code": c} for f, c in facets_of(record)])
        self._replace(connection, "figures", pk, [_figure_row(figure) for figure in record.all_figures()])
        self.database.put_shape(connection, pk, shape)
        self.database.put_text(connection, "record_text", pk, _texts(record))

    def _replace(self, connection: Connection, table: str, pk: int, values: list[dict[str, Any]]) -> None:
        connection.execute(text(f"DELETE FROM {table} WHERE record = :pk"), {"pk": pk})
        if values:
            names = list(values[0])
            statement = (
                f"INSERT INTO {table} (record, {', '.join(names)}) VALUES (:pk, {', '.join(f':{n}' for n in names)})"
            )
            connection.execute(text(statement), [{"pk": pk, **value} for value in values])

    def _show_block(self, connection: Connection, id: str, block: BuildingBlock, version: int) -> None:
        values = {"id": id, "title": block.title, "category": block.category or "", "revision": version}
        pk = connection.execute(
            text(
                "INSERT INTO blocks (id, title, category, revision) VALUES (:id, :title, :category, :revision) "
                "ON CONFLICT (id) DO UPDATE SET title = :title, category = :category, revision = :revision RETURNING pk"
            ),
            values,
        ).scalar_one()
        body = " ".join((block.description, *block.enabling_factors, *block.lessons_learned))
        words = [" ".join(search_words(part)) for part in (block.title, body)]
        self.database.put_text(connection, "block_text", pk, words)

    # reading

    def ids(self, *, statuses: Collection[str] | None = None) -> list[str]:
        """Return the ids of all records, or of those in some states, in their order."""
        with self.reading() as connection:
            found = rows(connection, "SELECT id, status FROM records ORDER BY id")
        return [id for id, status in found if statuses is None or status in statuses]

    def get(self, id: str, revision: int | None = None) -> Solution:
        """Return a record, as it is or as it was in one revision.

        Raises:
            LinkwaysError: there is no such record or revision.
        """
        with self.reading() as connection:
            return record_from(self._content(connection, "solution", id, revision), f"{id} in the catalogue")

    def history(self, id: str) -> tuple[Revision, ...]:
        """Return all revisions of a record, or of a block (``solution/block``), the first one first."""
        kind = "block" if "/" in id else "solution"
        with self.reading() as connection:
            last = self._known(connection, kind, id)
            return tuple(self._revision(connection, kind, id, number) for number in range(1, last[0] + 1))

    def changes(self, id: str, before: int, after: int) -> list[Difference]:
        """Return what differs between two revisions of a record or of a block."""
        kind = "block" if "/" in id else "solution"
        with self.reading() as connection:
            old, new = (self._content(connection, kind, id, number) for number in (before, after))
        return differences(old, new)

    def block(self, id: str, version: int | None = None) -> StoredBlock:
        """Return a building block by ``solution/block``, as it is or in one version."""
        with self.reading() as connection:
            last = self._known(connection, "block", id)
            data = self._content(connection, "block", id, version)
            used = rows(
                connection, "SELECT solution, version FROM block_uses WHERE block = :id ORDER BY solution", {"id": id}
            )
        number = version or last[0]
        return StoredBlock(
            id, number, BuildingBlock.model_validate({**data, "version": number}), dict(map(tuple, used))
        )

    def search_blocks(self, asked: str = "", *, category: str | None = None) -> list[StoredBlock]:
        """Return building blocks that hold the words, best first; all of them, by title, when no words are given."""
        from linkways.catalogue._words import read_question

        question = read_question(asked)
        with self.reading() as connection:
            every = {
                pk: (id, kind)
                for pk, id, kind in rows(connection, "SELECT pk, id, category FROM blocks ORDER BY title, id")
            }
            found = list(every) if question is None else self.database.ranked(connection, "block_text", question, None)
        return [self.block(every[pk][0]) for pk in found if category is None or every[pk][1] == category]

    def search(
        self,
        asked: str = "",
        *,
        facets: Mapping[str, Collection[str]] | None = None,
        species: str = "",
        area: Sequence[float] | Mapping[str, Any] | None = None,
        statuses: Collection[str] | None = None,
        order: Literal["relevance", "title", "newest"] = "relevance",
        offset: int = 0,
        limit: int = 20,
    ) -> Found:
        """Return the records that answer all that is asked, with counts of facets.

        Args:
            asked: words (``"side by side"``, ``-without``) and questions about numbers (``corridor narrower than
                500 m``, ``area over 1,000 km2``). Without any, all records.
            facets: codes by facet; of one facet any code will do, every facet must be met. A broader code finds
                narrower ones.
            species: a scientific name, of a species or of a wider taxon.
            area: bounds (west, south, east, north) in degrees, west beyond east across the antimeridian, or a GeoJSON
                geometry: records whose place meets it. Records without a place on the map are not found.
            statuses: the states of records to look in; all when None.
            order: by relevance (by title when there are no words), title, or the last change.
            offset: hits to leave out.
            limit: hits to return, 0 to 1000.

        Raises:
            LinkwaysError: an unknown facet or code (told with the nearest), an area or a number that cannot be read.
        """
        from linkways.catalogue._search import Question, search

        area = None if area is None else parse_area(area)
        return search(self, Question(asked, facets or {}, species, area, statuses, order, offset, limit))

    # inside

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that reads, for search."""
        with self.database.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One change of the catalogue: all or nothing, and no two at a time (the counter is a lock)."""
        try:
            with self._lock, self.database.engine.begin() as connection:
                connection.execute(text("UPDATE state SET changes = changes + 1"))
                yield connection
        except IntegrityError as error:
            raise LinkwaysError(
                f"someone else changed the catalogue at the same time ({_reason(error)}); try again"
            ) from None
        except OperationalError as error:
            raise LinkwaysError(f"the catalogue cannot be written: {_reason(error)}") from None

    def up_to_date_index(self, connection: Connection) -> Index:
        """Return the index of search, brought up to what the database holds."""
        with self._lock:
            self.database.forget(self._index.bring_up_to_date(connection))
            return self._index

    def _last(self, connection: Connection, kind: str, entity: str) -> Any:
        found = rows(
            connection,
            "SELECT number, status, sha256, content FROM revisions WHERE kind = :kind AND entity = :entity "
            "ORDER BY number DESC LIMIT 1",
            {"kind": kind, "entity": entity},
        )
        return found[0] if found else None

    def _known(self, connection: Connection, kind: str, entity: str) -> Any:
        last = self._last(connection, kind, entity)
        if last is None:
            table, word = ("records", "solution") if kind == "solution" else ("blocks", "building block")
            known = [one[0] for one in rows(connection, f"SELECT id FROM {table}")]
            raise LinkwaysError(f"the catalogue has no {word} '{entity}'{nearest(entity, known)}")
        return last

    def _content(self, connection: Connection, kind: str, entity: str, number: int | None) -> Any:
        last = self._known(connection, kind, entity)
        if number is None or number == last[0]:
            return json.loads(last[3])
        found = rows(
            connection,
            "SELECT content FROM revisions WHERE kind = :kind AND entity = :entity AND number = :number",
            {"kind": kind, "entity": entity, "number": number},
        )
        if not found:
            raise LinkwaysError(f"{entity} has revisions 1 to {last[0]}, not {number}")
        return json.loads(found[0][0])

    def _revision(self, connection: Connection, kind: str, entity: str, number: int) -> Revision:
        found = rows(
            connection,
            "SELECT author, time, note, status, sha256, changes FROM revisions "
            "WHERE kind = :kind AND entity = :entity AND number = :number",
            {"kind": kind, "entity": entity, "number": number},
        )[0]
        changes = tuple(Difference(*one) for one in json.loads(found[5]))
        author, time, note, status, sha256 = found[:5]
        return Revision(entity, number, author, time, note, status, sha256, changes)


@dataclass(frozen=True)
class _Act:
    """Who changes the catalogue, why, when, and the state that follows."""

    author: str
    note: str
    status: str
    time: str


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check_put(record: Solution, author: str, status: str) -> None:
    if not author.strip():
        raise LinkwaysError("a change needs an author; give the name of who makes it")
    if status not in STATUSES:
        raise LinkwaysError(f"there is no status '{status}'{nearest(status, STATUSES)}")
    if status in ("submitted", "approved") and record.lacking():
        raise LinkwaysError(
            f"{record.id} is still a snapshot: it lacks {', '.join(record.lacking())}; fill them in before '{status}'"
        )


def _figure_row(figure: Any) -> dict[str, Any]:
    low, high = figure.bounds()
    return {"measure": figure.measure, "subject": figure.of, "low": low, "high": high, "shown": figure_words(figure)}


def figure_words(figure: Any) -> str:
    """Return a figure as people write it: ``corridor: area 1,200 ha``."""
    unit = f" {figure.unit}" if figure.unit else ""
    about = "about " if figure.about else ""
    if figure.value is not None:
        told = f"{about}{figure.value:,.10g}{unit}"
    elif figure.high is None:
        told = f"{about}{figure.low:,.10g}{unit} or more"
    elif figure.low is None:
        told = f"{about}{figure.high:,.10g}{unit} or less"
    else:
        told = f"{about}{figure.low:,.10g} to {figure.high:,.10g}{unit}"
    return f"{figure.of}: {told}" if figure.measure == "count" else f"{figure.of}: {figure.measure} {told}"


def _texts(record: Solution) -> list[str]:
    """The search words of a record in four columns: title, species, place, and all the rest."""
    body = [
        record.summary,
        record.context,
        record.interaction,
        record.story,
        *record.keywords,
        *record.beneficiaries,
        *(challenge.text for challenge in record.challenges),
        *(impact.fact for impact in record.impacts),
        *(contributor.name for contributor in record.contributors),
    ]
    for block in record.building_blocks:
        body += [block.title, block.description]
        body += [*getattr(block, "enabling_factors", ()), *getattr(block, "lessons_learned", ())]
    for texts in record.translations.values():
        body += [one.text for one in texts.values()]
    species = " ".join(f"{one.scientific_name} {one.name}" for one in record.species)
    return [" ".join(search_words(part)) for part in (record.title, species, _place_words(record), " ".join(body))]


def _place_words(record: Solution) -> str:
    from linkways.catalogue._vocabulary import vocabulary

    countries, regions = vocabulary("iso-countries"), vocabulary("m49-regions")
    names = [countries.labels[code] for code in record.place.countries]
    names += [regions.labels[code] for code in record.place.all_regions()]
    return " ".join((record.place.name, *names))
