"""The catalogue: current records, their revisions, building blocks, and what search needs of them."""

from alembic import op

revision = "0001"
down_revision = None

_SERIAL = {"sqlite": "INTEGER PRIMARY KEY", "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"}
_BYTES = {"sqlite": "BLOB", "postgresql": "BYTEA"}
_DOUBLE = {"sqlite": "REAL", "postgresql": "DOUBLE PRECISION"}

_TABLES = """
CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), changes BIGINT NOT NULL);
INSERT INTO state VALUES (1, 0);
CREATE TABLE revisions (
  number_of_all {serial},
  kind TEXT NOT NULL CHECK (kind IN ('solution', 'block')),
  entity TEXT NOT NULL,
  number INTEGER NOT NULL,
  author TEXT NOT NULL,
  time TEXT NOT NULL,
  note TEXT NOT NULL,
  status TEXT NOT NULL,
  content TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  changes TEXT NOT NULL,
  UNIQUE (kind, entity, number)
);
CREATE TABLE records (
  pk {serial},
  id TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL,
  summary TEXT NOT NULL,
  place TEXT NOT NULL,
  status TEXT NOT NULL,
  revision INTEGER NOT NULL,
  changed BIGINT NOT NULL,
  shape {bytes}
);
CREATE INDEX records_changed ON records (changed);
CREATE TABLE facets (
  record BIGINT NOT NULL REFERENCES records (pk),
  facet TEXT NOT NULL,
  code TEXT NOT NULL,
  PRIMARY KEY (record, facet, code)
);
CREATE TABLE figures (
  record BIGINT NOT NULL REFERENCES records (pk),
  measure TEXT NOT NULL,
  subject TEXT NOT NULL,
  low {double} NOT NULL,
  high {double} NOT NULL,
  shown TEXT NOT NULL
);
CREATE INDEX figures_record ON figures (record);
CREATE TABLE blocks (
  pk {serial},
  id TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL,
  category TEXT NOT NULL,
  revision INTEGER NOT NULL
);
CREATE TABLE block_uses (
  solution TEXT NOT NULL,
  block TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (solution, block)
);
CREATE INDEX block_uses_block ON block_uses (block)
"""

_SQLITE = """
CREATE VIRTUAL TABLE record_text USING fts5 (title, species, place, body, tokenize = 'unicode61');
CREATE VIRTUAL TABLE block_text USING fts5 (title, body, tokenize = 'unicode61');
CREATE VIRTUAL TABLE boxes USING rtree (part, west, east, south, north, +record INTEGER);
CREATE TRIGGER revisions_kept BEFORE UPDATE ON revisions BEGIN SELECT RAISE(ABORT, 'revisions never change'); END;
CREATE TRIGGER revisions_stay BEFORE DELETE ON revisions BEGIN SELECT RAISE(ABORT, 'revisions never change'); END
"""

_POSTGRESQL = """
CREATE TABLE record_text (
  record BIGINT PRIMARY KEY REFERENCES records (pk), words TSVECTOR NOT NULL, head TSVECTOR NOT NULL
);
CREATE INDEX record_text_words ON record_text USING gin (words) WITH (fastupdate = off);
CREATE INDEX record_text_head ON record_text USING gin (head) WITH (fastupdate = off);
CREATE TABLE block_text (record BIGINT PRIMARY KEY REFERENCES blocks (pk), words TSVECTOR NOT NULL);
CREATE INDEX block_text_words ON block_text USING gin (words);
CREATE TABLE boxes (record BIGINT PRIMARY KEY REFERENCES records (pk), shape geometry(Geometry, 4326) NOT NULL);
CREATE INDEX boxes_shape ON boxes USING gist (shape);
CREATE FUNCTION revisions_refuse() RETURNS trigger AS
  'BEGIN RAISE EXCEPTION ''revisions never change'' USING ERRCODE = ''23514''; END' LANGUAGE plpgsql;
CREATE TRIGGER revisions_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON revisions
  FOR EACH STATEMENT EXECUTE FUNCTION revisions_refuse()
"""


def upgrade() -> None:
    """Make the tables of an empty database."""
    dialect = op.get_bind().dialect.name
    tables = _TABLES.format(serial=_SERIAL[dialect], bytes=_BYTES[dialect], double=_DOUBLE[dialect])
    for part in (tables, _SQLITE if dialect == "sqlite" else _POSTGRESQL):
        for statement in _statements(part):
            op.execute(statement)


def _statements(text: str) -> list[str]:
    """The statements of a text; those of a trigger or function body end with their line."""
    return [one.strip() for one in text.replace(";\n", "\0").split("\0") if one.strip()]
