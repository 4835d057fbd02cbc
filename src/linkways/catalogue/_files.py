"""Records as YAML and JSON files, and the built-in ones."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from linkways.catalogue._problems import Place, RecordError
from linkways.catalogue._record import Solution, record_from
from linkways.errors import LinkwaysError, StudyError, nearest

__all__ = ["builtin_record", "builtin_records", "data_from_text", "read_record", "record_text", "write_record"]

MOST_BYTES = 500_000_000


def read_record(source: str | Path) -> Solution:
    """Return the record of a YAML or JSON file, of a folder that holds ``solution.yaml``, or of a built-in solution.

    Raises:
        RecordError: every mistake of the record, each with file and line.
        LinkwaysError: there is no such file or solution, or it cannot be read.
    """
    path = Path(source)
    if path.is_dir() and (path / "solution.yaml").is_file():
        path = path / "solution.yaml"
    if not path.is_file():
        known = _builtin_files()
        if str(source) not in known:
            raise LinkwaysError(
                f"there is no record file and no built-in solution '{source}'{nearest(str(source), known)}"
            )
        path = known[str(source)]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LinkwaysError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise LinkwaysError(f"cannot read {path}: {error.strerror}; check its permissions") from None
    return record_of_text(text, str(source) if path != Path(source) and path.name != "solution.yaml" else str(path))


def record_of_text(text: str, name: str) -> Solution:
    """Return the record that a text in YAML or JSON tells; ``name`` is its file, for messages."""
    data, where = data_from_text(text, name)
    if not isinstance(data, dict):
        raise RecordError([f"{name} is no record; write id, title, summary and place"])
    return record_from(data, where=where)


def data_from_text(text: str, name: str) -> tuple[Any, Any]:
    """Return the plain data of a text in YAML or JSON, and what tells the line of a place in it.

    Raises:
        RecordError: neither, or nested deeper or larger than the limits.
    """
    from linkways.plain_yaml import read_yaml

    try:
        document = read_yaml(text, name)
    except StudyError as error:
        raise RecordError(error.problems) from None
    if document.problems:
        raise RecordError(document.problems)

    def where(place: Place) -> str:
        return document.where(*place)

    return document.data, where


def read_json(file: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        LinkwaysError: it cannot be read, is larger than 500 MB, not UTF-8, or not JSON (with the line).
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise LinkwaysError(f"{file} is larger than {MOST_BYTES // 1_000_000} MB; give it in parts")
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except LinkwaysError:
        raise
    except OSError as error:
        raise LinkwaysError(f"cannot read {file}: {error.strerror}; check the path") from None
    except UnicodeDecodeError as error:
        raise LinkwaysError(f"{file} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise LinkwaysError(f"{file} line {error.lineno}: not valid JSON ({error.msg}); mend it there") from None
    except (RecursionError, ValueError):
        raise LinkwaysError(f"{file} is nested too deeply or holds endless numbers; give a file of records") from None


def record_text(record: Solution, form: str = "yaml") -> str:
    """Return a record as text that `read_record` reads back as the same record.

    Args:
        record: the record.
        form: ``yaml`` or ``json``.
    """
    from linkways.plain_yaml import write_yaml

    if form == "json":
        return json.dumps(record.to_data(), indent=2, ensure_ascii=False) + "\n"
    if form != "yaml":
        raise LinkwaysError(f"records are written as yaml or json, not as '{form}'{nearest(form, ['yaml', 'json'])}")
    return write_yaml(record.to_data())


def write_record(record: Solution, path: str | Path) -> Path:
    """Write a record to a ``.yaml`` or ``.json`` file, aside and then into place, and return the path."""
    target = Path(path)
    form = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}.get(target.suffix.lower())
    if form is None:
        raise LinkwaysError(f"{target.name}: records are written to .yaml or .json files")
    write_aside(target, record_text(record, form))
    return target


def write_aside(target: Path, content: str | bytes) -> None:
    """Write a file beside its place and move it there, so that nothing half-written is ever found."""
    aside = target.with_name(f".{target.name}.aside")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
        aside.replace(target)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise LinkwaysError(f"cannot write {target} ({error.strerror or error}); choose another place") from None


def _builtin_files() -> dict[str, Path]:
    from linkways.solutions import solution_files

    return solution_files()


@cache
def builtin_record(id: str) -> Solution:
    """Return the record of one built-in solution.

    Raises:
        LinkwaysError: there is none of this name.
    """
    known = _builtin_files()
    if id not in known:
        raise LinkwaysError(f"there is no built-in solution '{id}'{nearest(id, known)}")
    return record_of_text(known[id].read_text(encoding="utf-8"), f"solution {id}")


def builtin_records() -> dict[str, Solution]:
    """Return the records of all built-in solutions, by id."""
    return {id: builtin_record(id) for id in _builtin_files()}
