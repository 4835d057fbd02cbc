"""People, their sessions and invitations; and review: comments, verdicts, checks, notices."""

from alembic import op

revision = "0002"
down_revision = "0001"

_SERIAL = {"sqlite": "INTEGER PRIMARY KEY", "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"}
_DOUBLE = {"sqlite": "REAL", "postgresql": "DOUBLE PRECISION"}

_TABLES = """
CREATE TABLE people (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('contributor', 'reviewer', 'editor', 'administrator')),
  password TEXT NOT NULL,
  created TEXT NOT NULL,
  closed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE sessions (
  token TEXT PRIMARY KEY,
  person TEXT NOT NULL REFERENCES people (id),
  csrf TEXT NOT NULL,
  created {double} NOT NULL,
  seen {double} NOT NULL
);
CREATE INDEX sessions_person ON sessions (person);
CREATE TABLE invitations (
  token TEXT PRIMARY KEY,
  email TEXT NOT NULL,
  role TEXT NOT NULL,
  made_by TEXT NOT NULL,
  created {double} NOT NULL,
  used {double}
);
CREATE TABLE attempts (what TEXT NOT NULL, at {double} NOT NULL);
CREATE INDEX attempts_what ON attempts (what, at);
CREATE TABLE comments (
  number {serial},
  solution TEXT NOT NULL,
  revision INTEGER NOT NULL,
  field TEXT NOT NULL,
  author TEXT NOT NULL,
  time TEXT NOT NULL,
  body TEXT NOT NULL,
  settled_by TEXT NOT NULL DEFAULT '',
  settled TEXT NOT NULL DEFAULT ''
);
CREATE INDEX comments_solution ON comments (solution, number);
CREATE TABLE verdicts (
  solution TEXT NOT NULL,
  revision INTEGER NOT NULL,
  reviewer TEXT NOT NULL,
  criterion TEXT NOT NULL,
  met INTEGER NOT NULL,
  remark TEXT NOT NULL,
  time TEXT NOT NULL,
  PRIMARY KEY (solution, revision, reviewer, criterion)
);
CREATE TABLE checks (
  solution TEXT NOT NULL,
  revision INTEGER NOT NULL,
  run TEXT NOT NULL,
  state TEXT NOT NULL,
  told TEXT NOT NULL,
  time TEXT NOT NULL,
  PRIMARY KEY (solution, revision, run)
);
CREATE TABLE notices (
  number {serial},
  person TEXT NOT NULL,
  time TEXT NOT NULL,
  solution TEXT NOT NULL,
  body TEXT NOT NULL,
  seen INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX notices_person ON notices (person, number);
CREATE INDEX revisions_author ON revisions (author)
"""


def upgrade() -> None:
    """Add the tables to a catalogue."""
    dialect = op.get_bind().dialect.name
    for statement in _TABLES.format(serial=_SERIAL[dialect], double=_DOUBLE[dialect]).split(";\n"):
        op.execute(statement.strip())
