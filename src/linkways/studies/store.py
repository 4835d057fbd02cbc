"""Finished steps on disk, each under the key of everything that decides its result.

A step is written into a folder aside and moved to ``.steps/KEY`` in one move when it is whole, so that a run that
stops at any moment finds there only complete results. What a step at work has finished of its own lies in
``.steps/KEY.partial`` until then. Every file is recorded with its SHA-256 and checked before it is
used again: a layer edited in place does not count as a result.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from linkways.errors import LinkwaysError
from linkways.method import Method
from linkways.studies.inputs import without_path

__all__ = ["Finished", "FolderBusy", "Part", "Store", "locked", "step_key", "write_json"]

# Matplotlib keeps fonts and settings in state that threads share.
_DRAWING = threading.Lock()


@dataclass(frozen=True)
class Part:
    """One output of a finished step.

    Attributes:
        name: the output's name.
        kind: ``raster``, ``vector``, ``table``, ``field``, ``figure``, ``document``, ``number``, or
            ``nothing`` when the method gave None.
        files: SHA-256 by file name, the one that is read back first.
        value: the number of an indicator, None when it is not finite.
        told: ``infinite`` or ``−infinite`` for a number that is so, which JSON cannot hold.
    """

    name: str
    kind: str
    files: dict[str, str]
    value: float | int | None = None
    told: str = ""


@dataclass(frozen=True)
class Finished:
    """A finished step: its folder, its record (method, parameters, seconds, log ...) and its parts by name."""

    folder: Path
    record: dict[str, Any]
    parts: dict[str, Part]

    def read(self, output: str) -> Any:
        """Read an output back: a DataArray, a GeoDataFrame, a DataFrame, a Dataset or a number."""
        from linkways.spatial import read_field, read_raster, read_table, read_vectors, recording

        part = self.parts[output]
        if part.kind == "number":
            return part.value
        path = self.folder / next(iter(part.files), "")
        # Nothing about our own files is news for the log.
        with recording():
            if part.kind == "raster":
                return without_path(read_raster(path).rename(output), path)
            if part.kind == "vector":
                return read_vectors(path)
            if part.kind == "table":
                return read_table(path)
            if part.kind == "field":
                return read_field(path)
        raise LinkwaysError(f"output {output} is a {part.kind} and cannot be handed to a step")


def step_key(method: Method, parameters: Mapping[str, Any], inputs: Mapping[str, Any], version: str) -> str:
    """The key of a step's result: method and its version, Linkways version, parameters, content of the inputs."""
    decides = {
        "method": method.id,
        "method version": method.version,
        "linkways": version,
        "parameters": dict(parameters),
        "inputs": dict(inputs),
    }
    text = json.dumps(decides, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Store:
    """The folder ``.steps`` of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._settled: set[str] = set()
        self._settling = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def tidy(self) -> None:
        """Remove what an earlier run left unfinished; only for the one that holds the lock."""
        for leftover in self.folder.glob("tmp-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    @property
    def downloads(self) -> Path:
        """A folder for what is fetched during the run; it goes when the run ends."""
        folder = self.folder / "tmp-downloads"
        folder.mkdir(exist_ok=True)
        return folder

    def finished(self, key: str) -> Finished | None:
        """The result under this key, or None when there is none or a file of it is missing or changed."""
        folder = self.folder / key
        try:
            record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            parts = {one["name"]: Part(**one) for one in record["parts"]}
            whole = all(_same(folder / name, sha) for part in parts.values() for name, sha in part.files.items())
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Finished(folder, record, parts) if whole else None

    def keep(
        self, key: str, method: Method, parts: Mapping[str, Any], record: dict[str, Any], noted: list[str]
    ) -> Finished:
        """Write a step's outputs and record, whole or not at all; what is ``noted`` while writing joins the log.

        Raises:
            LinkwaysError: an output is not what the method declares, or the disk is full.
        """
        with self._aside() as aside:
            written = [_write_part(aside, method, name, value, noted) for name, value in parts.items()]
            record = {**record, "log": [*record["log"], *noted]}
            write_json(aside / "result.json", {**record, "key": key, "parts": [vars(part) for part in written]})
            with self._settling:
                # of two equal steps side by side the first result stays: others may be reading it
                if key not in self._settled:
                    self._move(aside, self.folder / key)
                self._settled.add(key)
        found = self.finished(key)
        if found is None:
            raise LinkwaysError(f"the result in {self.folder / key} cannot be read back; check the disk")
        return found

    def keep_input(self, key: str, kind: str, value: Any, record: dict[str, Any]) -> Finished:
        """Write an input that the report shows, likewise."""
        with self._aside() as aside:
            part = _write_value(aside, "input", kind, value)
            write_json(aside / "result.json", {**record, "key": key, "parts": [vars(part)]})
            self._move(aside, self.folder / key)
        found = self.finished(key)
        if found is None:
            raise LinkwaysError(f"the result in {self.folder / key} cannot be read back; check the disk")
        return found

    def note_input(self, key: str, record: dict[str, Any]) -> None:
        """Remember what was noted when an input was read, for runs that need not read it again."""
        with self._aside() as aside:
            write_json(aside / "result.json", {**record, "key": key, "parts": []})
            self._move(aside, self.folder / key)

    def partial(self, key: str) -> Path:
        """Where the finished part of a step that is at work is kept."""
        return self.folder / f"{key}.partial"

    def forget_partial(self, key: str) -> None:
        """Remove what an earlier run kept of an unfinished step."""
        shutil.rmtree(self.partial(key), ignore_errors=True)

    def prune(self, keys: Iterable[str]) -> None:
        """Remove all results but these, what was fetched, and what is kept of steps that never were finished."""
        kept = set(keys)
        for entry in self.folder.iterdir():
            if entry.is_dir() and entry.name not in kept:
                shutil.rmtree(entry, ignore_errors=True)

    @contextmanager
    def _aside(self) -> Iterator[Path]:
        aside = self.folder / f"tmp-{secrets.token_hex(6)}"
        try:
            aside.mkdir()
            yield aside
        except OSError as error:
            raise disk_sentence(error, self.folder.parent) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _move(self, aside: Path, final: Path) -> None:
        if final.exists():
            # An older, spoilt or unwanted result leaves first; a stop in between costs only a recomputation.
            gone = self.folder / f"tmp-{secrets.token_hex(6)}"
            final.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        aside.rename(final)


class FolderBusy(LinkwaysError):
    """Another run is at work in the folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this run; the lock goes with the process, however that ends.

    Raises:
        FolderBusy: another run holds it.
    """
    file = folder / "lock"
    with file.open("a+", encoding="ascii") as handle:
        if not _lock(handle):
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise FolderBusy(
                f"another run (process {holder}) is at work in {folder.parent}; wait for it or give another --out"
            )
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        try:
            yield
        finally:
            handle.seek(0)
            handle.truncate()


def write_json(path: Path, data: Any) -> None:
    """Write strict JSON, whole or not at all; numbers that are not finite become null."""
    text = json.dumps(_strict(data), indent=2, ensure_ascii=False, allow_nan=False, default=str)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file aside and move it into place."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise disk_sentence(error, path.parent) from error
    finally:
        aside.unlink(missing_ok=True)


def disk_sentence(error: OSError, folder: Path) -> LinkwaysError:
    """The refusal for a disk that is full or a folder that cannot be written to."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return LinkwaysError(
            f"cannot write to {folder}: the disk is full; make room and run again, finished steps are kept"
        )
    return LinkwaysError(f"cannot write to {folder}: {error.strerror or error}; mend that and run again")


# --- writing one output --------------------------------------------------------------


def _write_part(folder: Path, method: Method, name: str, value: Any, log: list[str]) -> Part:
    declared = next(one for one in method.outputs if one.name == name)
    kind = _kind(value)
    allowed = {
        "layer": ("raster", "vector", "table", "nothing"),
        "table": ("table", "nothing"),
        "field": ("field", "nothing"),
        "indicator": ("number", "nothing"),
        "figure": ("figure", "nothing"),
        "document": ("document", "nothing"),
    }[declared.kind]
    if kind not in allowed:
        raise LinkwaysError(f"{method.id} gave a {type(value).__name__} as {name}, which should be a {declared.kind}")
    if kind == "number" and math.isnan(value):
        log.append(f"{name} is no number and is left empty")
    return _write_value(folder, name, kind, value, declared.suffix)


def _kind(value: Any) -> str:
    names = [base.__name__ for base in type(value).__mro__]
    known = {
        "DataArray": "raster",
        "GeoDataFrame": "vector",
        "DataFrame": "table",
        "Dataset": "field",
        "Figure": "figure",
        "str": "document",
    }
    if value is None:
        return "nothing"
    kind = next((known[name] for name in names if name in known), None)
    if kind is not None:
        return kind
    return "number" if hasattr(value, "__float__") and getattr(value, "ndim", 0) == 0 else "unknown"


def _write_value(folder: Path, name: str, kind: str, value: Any, suffix: str = "") -> Part:
    from linkways.spatial import write_field, write_raster, write_table, write_vectors
    from linkways.studies.numbers import number as number_text

    if kind == "nothing":
        return Part(name, kind, {})
    if kind == "number":
        return Part(name, kind, {}, _number(value), number_text(value) if math.isinf(value) else "")
    if kind == "raster" and value.ndim != 2:
        raise LinkwaysError(
            f"output {name} is a stack of {len(value)} maps, which a run does not keep; leave it out by the parameter "
            "that asks for it, or use the method from Python or the command line"
        )
    if kind == "raster":
        paths = [write_raster(value, folder / f"{name}.tif")]
    elif kind == "vector":
        paths = [write_vectors(value, folder / f"{name}.parquet")]
    elif kind == "table":
        paths = [write_table(value, folder / f"{name}.{ending}") for ending in ("parquet", "csv")]
    elif kind == "field":
        paths = [write_field(value, folder / f"{name}.nc")]
    elif kind == "document":
        paths = [folder / f"{name}{suffix}"]
        paths[0].write_text(value, encoding="utf-8")
    else:
        paths = [folder / f"{name}.png"]
        with _DRAWING:
            value.savefig(paths[0], dpi=150, bbox_inches="tight", metadata={"Software": None})
    return Part(name, kind, {path.name: _sha256(path) for path in paths})


def _number(value: Any) -> float | int | None:
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, (bool, int)):
        return int(number)
    return float(number) if math.isfinite(number) else None


def _same(path: Path, sha: str) -> bool:
    return _sha256(path) == sha


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _strict(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _strict(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_strict(value) for value in data]
    if hasattr(data, "item") and getattr(data, "ndim", None) == 0:
        data = data.item()
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _lock(handle: IO[str]) -> bool:
    try:
        import fcntl
    except ImportError:
        return _lock_on_windows(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_on_windows(handle: IO[str]) -> bool:
    import importlib

    msvcrt = importlib.import_module("msvcrt")
    # The locked byte lies far beyond the process number, which others must be able to read.
    handle.seek(1 << 20)
    try:
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
