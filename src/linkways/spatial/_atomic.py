"""Nothing half-written: a file is written aside in its own folder and moved into place when it is whole."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linkways.errors import LinkwaysError, nearest

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` to write to; at the end of the block it replaces ``path`` in one move.

    When the block fails nothing is left behind and an older file at ``path`` is untouched.

    Raises:
        LinkwaysError: the folder does not exist or cannot be written to, ``path`` is a folder, or the disk is full.
    """
    final = Path(path)
    folder = final.parent
    if not folder.is_dir():
        raise LinkwaysError(f"cannot write {final.name}: the folder {folder} does not exist; create it first")
    if final.is_dir():
        raise LinkwaysError(f"cannot write {final}: it is a folder; give a file name")
    aside = folder / f".{final.stem[:100]}.{secrets.token_hex(6)}{final.suffix}"
    try:
        yield aside
        _flush(aside)
        aside.replace(final)
    except OSError as error:
        raise _sentence(error, final) from error
    finally:
        _discard(aside)


def check_suffix(path: str | os.PathLike[str], known: dict[str, str], what: str) -> str:
    """Return the lower-case suffix of ``path``, refusing one that is not a key of ``known`` (suffix to format)."""
    suffix = Path(path).suffix.lower()
    if suffix in known:
        return suffix
    formats = ", ".join(f"{name} ({format_})" for name, format_ in known.items())
    raise LinkwaysError(f"cannot tell the format of {what} {Path(path).name}: end the name with {formats}")


def missing_file(path: str | os.PathLike[str], what: str) -> LinkwaysError:
    """Return the refusal for a file that is not there, naming the nearest file of that folder."""
    asked = Path(path)
    if not asked.parent.is_dir():
        return LinkwaysError(f"no {what} at {asked}: the folder {asked.parent} does not exist; check the path")
    names = [entry.name for entry in asked.parent.iterdir() if not entry.name.startswith(".")]
    return LinkwaysError(f"no {what} at {asked}{nearest(asked.name, names)}; check the path")


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _discard(aside: Path) -> None:
    # SQLite may leave its journal beside the file it could not finish.
    for leftover in (aside, *(aside.with_name(aside.name + end) for end in ("-journal", "-wal", "-shm"))):
        try:
            leftover.unlink(missing_ok=True)
        except OSError:
            continue


def _sentence(error: OSError, final: Path) -> LinkwaysError:
    if error.errno in _FULL or "no space left" in str(error).lower():
        return LinkwaysError(
            f"cannot write {final}: the disk, or your quota on it, is full ({_free_megabytes(final.parent)} MB free); "
            "make room or choose another folder, nothing was written"
        )
    if error.errno in _FORBIDDEN:
        return LinkwaysError(
            f"cannot write {final.name}: the folder {final.parent} is not writable; "
            "change its permissions or choose another folder"
        )
    return LinkwaysError(
        f"cannot write {final}: {error.strerror or error}; mend that and run again, nothing was written"
    )


def _free_megabytes(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free / 1e6:.1f}"
    except OSError:
        return "unknown"
