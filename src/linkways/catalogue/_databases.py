"""What SQLite and PostgreSQL do differently: opening, text search, and places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from linkways.catalogue._words import TextQuestion
from linkways.errors import LinkwaysError, MissingExtra

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

__all__ = ["Database", "open_database"]


class Database(Protocol):
    """The part of a store that depends on the database."""

    engine: Engine
    ranked_at_most: int
    """Above so many matches, only those that hold the words in title, species or place are ranked by relevance."""

    def prepare(self, connection: Connection) -> None:
        """Make what migrations need."""

    def put_text(self, connection: Connection, table: str, pk: int, texts: Sequence[str]) -> None:
        """Put the search words of a record in place, heaviest column first."""

    def put_shape(self, connection: Connection, pk: int, shape: BaseGeometry | None) -> None:
        """Put where a record is."""

    def matching(self, connection: Connection, table: str, question: TextQuestion) -> list[int]:
        """The records that hold the words, in no order."""

    def ranked(
        self, connection: Connection, table: str, question: TextQuestion, among: Iterable[int] | None
    ) -> list[int]:
        """The records that hold the words, best first, among those given."""

    def matching_in_head(self, connection: Connection, question: TextQuestion) -> set[int]:
        """The records that hold the words in title, species or place."""

    def within(self, connection: Connection, area: BaseGeometry) -> list[int]:
        """The records whose place meets the area."""

    def forget(self, pks: Iterable[int]) -> None:
        """Let go of what is kept in memory of records that have changed."""


def open_database(url: str) -> Database:
    """Open the database of a URL: ``sqlite://`` (in memory), ``sqlite:///file``, ``postgresql://...``.

    Raises:
        LinkwaysError: no URL, or another kind of database.
        MissingExtra: the driver for PostgreSQL is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise LinkwaysError(f"'{url}' is no database address; write sqlite:///FILE or postgresql://HOST/NAME") from None
    kind = parsed.drivername.partition("+")[0]
    if kind == "sqlite":
        return _Sqlite(parsed)
    if kind in ("postgresql", "postgres"):
        return _Postgresql(parsed.set(drivername="postgresql+psycopg"))
    raise LinkwaysError(f"the catalogue lives in SQLite or PostgreSQL, not in '{kind}'; write sqlite:///FILE")


# --- SQLite --------------------------------------------------------------------------

_WEIGHTS = {"record_text": (10.0, 8.0, 4.0, 1.0), "block_text": (10.0, 1.0)}
_COLUMNS = {"record_text": ("title", "species", "place", "body"), "block_text": ("title", "body")}


class _Sqlite:
    """SQLite: FTS5 for texts, RTree for places, shapely for the exact answer."""

    ranked_at_most = 2000

    def __init__(self, url: Any) -> None:
        options: dict[str, Any] = {}
        if url.database in (None, "", ":memory:"):
            options = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        self.engine = create_engine(url, **options)
        self._shapes: dict[int, Any] = {}

        @event.listens_for(self.engine, "connect")
        def _settings(connection: Any, _: Any) -> None:
            for setting in ("foreign_keys = ON", "busy_timeout = 10000", "journal_mode = WAL"):
                connection.execute(f"PRAGMA {setting}")

    def prepare(self, connection: Connection) -> None:
        """SQLite has all that is needed."""

    def put_text(self, connection: Connection, table: str, pk: int, texts: Sequence[str]) -> None:
        columns = _COLUMNS[table]
        names, marks = ", ".join(columns), ", ".join(f":{name}" for name in columns)
        connection.execute(text(f"DELETE FROM {table} WHERE rowid = :pk"), {"pk": pk})
        connection.execute(
            text(f"INSERT INTO {table} (rowid, {names}) VALUES (:pk, {marks})"),
            {"pk": pk, **dict(zip(columns, texts, strict=True))},
        )

    def put_shape(self, connection: Connection, pk: int, shape: BaseGeometry | None) -> None:
        connection.execute(
            text("DELETE FROM boxes WHERE part IN (SELECT part FROM boxes WHERE record = :pk)"), {"pk": pk}
        )
        for part in () if shape is None else getattr(shape, "geoms", (shape,)):
            west, south, east, north = part.bounds
            connection.execute(
                text("INSERT INTO boxes (west, east, south, north, record) VALUES (:w, :e, :s, :n, :pk)"),
                {"w": west, "e": east, "s": south, "n": north, "pk": pk},
            )

    def matching(self, connection: Connection, table: str, question: TextQuestion) -> list[int]:
        return _numbers(
            connection, f"SELECT json_group_array(rowid) FROM {table} WHERE {table} MATCH :q", {"q": question.fts5()}
        )

    def ranked(
        self, connection: Connection, table: str, question: TextQuestion, among: Iterable[int] | None
    ) -> list[int]:
        import json

        weights = ", ".join(str(weight) for weight in _WEIGHTS[table])
        chosen, given = "", {"q": question.fts5()}
        if among is not None:
            # the plus keeps SQLite from asking the text index anew for every row; only rows that stay are ranked
            chosen = "AND +rowid IN (SELECT value FROM json_each(:among))"
            given["among"] = json.dumps(list(among))
        return _numbers(
            connection,
            f"SELECT json_group_array(rowid) FROM (SELECT rowid, bm25({table}, {weights}) AS score FROM {table} "
            f"WHERE {table} MATCH :q {chosen} ORDER BY score, rowid)",
            given,
        )

    def matching_in_head(self, connection: Connection, question: TextQuestion) -> set[int]:
        asked = f"{{title species place}} : ({question.fts5()})"
        statement = "SELECT json_group_array(rowid) FROM record_text WHERE record_text MATCH :q"
        return set(_numbers(connection, statement, {"q": asked}))

    def within(self, connection: Connection, area: BaseGeometry) -> list[int]:
        import shapely

        inside, near = set[int](), set[int]()
        for part in getattr(area, "geoms", (area,)):
            west, south, east, north = part.bounds
            rectangle = part.equals(part.envelope)
            given = {"w": west, "e": east, "s": south, "n": north}
            meets = "FROM boxes WHERE east >= :w AND west <= :e AND north >= :s AND south <= :n"
            near.update(_numbers(connection, f"SELECT json_group_array(record) {meets}", given))
            if rectangle:
                # what lies wholly in a rectangle needs no closer look; RTree rounds its boxes outwards
                whole = "AND west >= :w AND east <= :e AND south >= :s AND north <= :n"
                inside.update(_numbers(connection, f"SELECT json_group_array(record) {meets} {whole}", given))
        pks = sorted(near - inside)
        shapely.prepare(area)
        found = shapely.intersects(area, self._shapes_of(connection, pks))
        return [*inside, *(pk for pk, yes in zip(pks, found, strict=True) if yes)]

    def _shapes_of(self, connection: Connection, pks: Sequence[int]) -> list[Any]:
        """The shapes of records, kept until they change."""
        import json

        import shapely

        missing = [pk for pk in pks if pk not in self._shapes]
        if missing:
            read = connection.execute(
                text("SELECT pk, shape FROM records WHERE pk IN (SELECT value FROM json_each(:pks))"),
                {"pks": json.dumps(missing)},
            ).all()
            self._shapes.update((pk, shapely.from_wkb(wkb)) for pk, wkb in read)
        return [self._shapes[pk] for pk in pks]

    def forget(self, pks: Iterable[int]) -> None:
        for pk in pks:
            self._shapes.pop(pk, None)


# --- PostgreSQL ----------------------------------------------------------------------


class _Postgresql:
    """PostgreSQL with PostGIS: tsvector for texts, geometry for places."""

    ranked_at_most = 300  # its rank reads the whole text of each

    def __init__(self, url: Any) -> None:
        try:
            self.engine = create_engine(url, pool_pre_ping=True)
        except ModuleNotFoundError:
            raise MissingExtra("psycopg", "postgres", "a catalogue in PostgreSQL") from None

    def prepare(self, connection: Connection) -> None:
        try:
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS postgis"))
        except SQLAlchemyError as error:
            raise LinkwaysError(
                f"PostgreSQL cannot load PostGIS ({str(error.__cause__).splitlines()[0]}); install it there "
                "and run CREATE EXTENSION postgis in the database"
            ) from None

    def put_text(self, connection: Connection, table: str, pk: int, texts: Sequence[str]) -> None:
        given = {"pk": pk, **{f"t{n}": words for n, words in enumerate(texts)}}
        letters = "ABCD" if len(texts) == 4 else "AD"
        parts = [f"setweight(to_tsvector('simple', :t{n}), '{letter}')" for n, letter in enumerate(letters)]
        columns = {"words": " || ".join(parts)}
        if table == "record_text":
            columns["head"] = " || ".join(parts[:3])
        again = ", ".join(f"{name} = excluded.{name}" for name in columns)
        connection.execute(
            text(
                f"INSERT INTO {table} (record, {', '.join(columns)}) VALUES (:pk, {', '.join(columns.values())}) "
                f"ON CONFLICT (record) DO UPDATE SET {again}"
            ),
            given,
        )

    def put_shape(self, connection: Connection, pk: int, shape: BaseGeometry | None) -> None:
        connection.execute(text("DELETE FROM boxes WHERE record = :pk"), {"pk": pk})
        if shape is not None:
            connection.execute(
                text("INSERT INTO boxes VALUES (:pk, ST_GeomFromText(:shape, 4326))"), {"pk": pk, "shape": shape.wkt}
            )

    def matching(self, connection: Connection, table: str, question: TextQuestion) -> list[int]:
        return self._holding(connection, table, "words", question)

    def ranked(
        self, connection: Connection, table: str, question: TextQuestion, among: Iterable[int] | None
    ) -> list[int]:
        given: dict[str, Any] = {"q": question.tsquery()}
        chosen = "words @@ to_tsquery('simple', :q)"
        if among is not None:
            # they are known to hold the words, so that each is read once, for its rank
            chosen, given["among"] = "record = ANY(:among)", list(among)
        found = connection.execute(
            text(
                f"SELECT record FROM {table} WHERE {chosen} "
                "ORDER BY ts_rank('{0.05, 0.3, 0.6, 1.0}', words, to_tsquery('simple', :q)) DESC, record"
            ),
            given,
        )
        return list(found.scalars())

    def matching_in_head(self, connection: Connection, question: TextQuestion) -> set[int]:
        return set(self._holding(connection, "record_text", "head", question))

    def _holding(self, connection: Connection, table: str, column: str, question: TextQuestion) -> list[int]:
        # reading all the texts is what the planner chooses for frequent words; they are long, and the index knows
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        found = connection.execute(
            text(f"SELECT array_agg(record) FROM {table} WHERE {column} @@ to_tsquery('simple', :q)"),
            {"q": question.tsquery()},
        ).scalar_one()
        connection.execute(text("SET LOCAL enable_seqscan = on"))
        return list(found or ())

    def within(self, connection: Connection, area: BaseGeometry) -> list[int]:
        found = connection.execute(
            text("SELECT record FROM boxes WHERE ST_Intersects(shape, ST_GeomFromText(:area, 4326)) ORDER BY record"),
            {"area": area.wkt},
        )
        return list(found.scalars())

    def forget(self, pks: Iterable[int]) -> None:
        """Nothing is kept in memory."""


def rows(connection: Connection, statement: str, given: Mapping[str, Any] | None = None) -> list[Any]:
    """Return all rows of a statement."""
    return list(connection.execute(text(statement), dict(given or {})).all())


def _numbers(connection: Connection, statement: str, given: Mapping[str, Any]) -> list[int]:
    """The numbers of a statement that gives them as one JSON list: thousands of rows cost more than their numbers."""
    import json

    found: list[int] = json.loads(connection.execute(text(statement), dict(given)).scalar_one())
    return found
