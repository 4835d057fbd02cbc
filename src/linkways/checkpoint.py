"""Finished parts of long work, kept in a folder while it runs, so that the same work goes on from there after a stop.

Nothing is kept unless a folder is given: by a study for each of its steps, by the command line beside the output, and
in Python by `keep_in`. Inside a method, a loop that adds up uses `resumed` and a loop whose results are used one by
one uses `kept_each`. Both give bit by bit what an uninterrupted run
gives (to 1e-13 where another process compiled the kernels of moving windows, which may then round otherwise).

What is kept belongs to exactly one piece of work: its file is named by a digest of all data that decide its numbers,
of the version of Linkways and of whose work it is. A file that is damaged, or of other work, is as good as none.
Writing is put off until it is worth it: mostly every 20 seconds, and not again while it took more than 2 % of the time
of the work. What cannot be written (a full disk) is not kept, and the work goes on.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from linkways import __version__
from linkways.errors import LinkwaysError
from linkways.method import mark_taken_over

__all__ = ["Keeper", "Resumed", "Stopped", "keep_in", "kept_each", "resumed"]

S = TypeVar("S")
R = TypeVar("R")
Arrays = Mapping[str, np.ndarray]

EVERY = 20.0  # seconds between two writings
SHARE = 0.02  # the part of the time of the work that writing may take
WORTH = 1.0  # seconds of unwritten work that are worth writing when a loop ends
WAITING_BYTES = 128 * 2**20  # results that wait to be written together
ROOM = 10  # nothing is kept on a disk with less than so many times its size free
SUFFIX = ".partial"


class Stopped(LinkwaysError):
    """Work that was stopped before its end at the user's wish."""


class Keeper:
    """The folder of one piece of work, and when it is time to write there. Make it with `keep_in`."""

    def __init__(self, folder: Path, owner: tuple[Any, ...]) -> None:
        self.folder, self.owner = folder, owner
        self.took_over = False
        """Whether anything of an earlier run was used."""
        self._began = self._written = time.monotonic()
        self._cpu = time.process_time()
        self._spent = 0.0
        self._broken = False
        with suppress(OSError):
            for leftover in folder.glob(f"tmp-*{SUFFIX}"):
                leftover.unlink()

    @property
    def holds(self) -> bool:
        """Whether the folder holds anything finished."""
        return any(self.folder.glob(f"*{SUFFIX}"))

    def due(self, size: int) -> bool:
        """Whether so many bytes that wait to be written should be now."""
        late = time.monotonic() - self._written >= EVERY or size >= WAITING_BYTES
        return late and self.affordable()

    def affordable(self) -> bool:
        """Whether writing has taken no more than its share so far; work on other cores counts as time too."""
        worked = max(time.monotonic() - self._began, time.process_time() - self._cpu)
        return not self._broken and self._spent <= SHARE * worked

    def write(self, name: str, arrays: Arrays) -> bool:
        """Write arrays under a name, whole or not at all; returns whether they are there."""
        started = time.perf_counter()
        aside = self.folder / f"tmp-{secrets.token_hex(6)}{SUFFIX}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            size = sum(np.asarray(value).nbytes for value in arrays.values())
            if shutil.disk_usage(self.folder).free < ROOM * size:
                self._broken = True
                return False
            with aside.open("wb") as file:
                np.savez(file, **{key: np.asarray(value) for key, value in arrays.items()})  # type: ignore[arg-type]
            aside.replace(self.folder / (name + SUFFIX))
        except OSError:
            self._broken = True
            return False
        finally:
            with suppress(OSError):
                aside.unlink()
            self._spent += time.perf_counter() - started
            self._written = time.monotonic()
        return True

    def read(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays under a name, None when there are none or their file is damaged."""
        path = self.folder / (name + SUFFIX)
        if not _members(path):
            return None
        try:
            with np.load(path, allow_pickle=False) as found:
                return {key: found[key] for key in found.files}
        except (OSError, ValueError):
            return None

    def contents(self, start: str) -> dict[str, list[str]]:
        """All names that begin so, and which arrays lie under each; damaged ones hold none."""
        found = sorted(self.folder.glob(f"{start}*{SUFFIX}"))
        return {path.name.removesuffix(SUFFIX): _members(path) for path in found}

    def key(self, name: str, content: tuple[Any, ...]) -> str:
        """The name of the file of one loop over this content."""
        started = time.perf_counter()
        found = hashlib.sha256()
        _feed(found, (__version__, self.owner, name, content))
        self._spent += time.perf_counter() - started
        return found.hexdigest()[:32]

    def remove(self) -> None:
        """Remove what was kept, and the folder when nothing else lies in it."""
        try:
            for path in self.folder.glob(f"*{SUFFIX}"):
                path.unlink(missing_ok=True)
            self.folder.rmdir()
        except OSError:
            # others' files stay, and a file that cannot be removed harms nothing
            return


def _members(path: Path) -> list[str]:
    """The arrays in a file; none when it is missing or differs from what was written."""
    try:
        with zipfile.ZipFile(path) as found:
            return [] if found.testzip() else [name.removesuffix(".npy") for name in found.namelist()]
    except Exception:  # a damaged file may do anything to its reader; the work is then done again
        return []


_KEEPER: ContextVar[Keeper | None] = ContextVar("linkways_keeper", default=None)


@contextmanager
def keep_in(folder: str | Path, *owner: Any) -> Iterator[Keeper]:
    """Keep finished parts of the long work inside the block in a folder; the same work then goes on from there.

    When the block ends well the folder is removed (only what was kept there, should it hold other files). When it
    ends by an error, Ctrl-C or the end of the process, running the same block again takes over what is finished; work
    with other data, parameters or another version of Linkways begins anew. Give every piece of work a folder of its
    own. ``owner`` (text, numbers) tells apart work that has the same data.

    Examples
    --------
    >>> import numpy as np
    >>> from linkways import corridors, spatial
    >>> from linkways.checkpoint import keep_in
    >>> resistance = spatial.new_raster(np.ones((30, 30)), crs="EPSG:3035", cell_size=100)
    >>> with keep_in("current.partial"):
    ...     flow = corridors.omnidirectional(resistance, radius_cells=4)
    """
    keeper = Keeper(Path(folder).absolute(), owner)
    token = _KEEPER.set(keeper)
    try:
        yield keeper
    finally:
        _KEEPER.reset(token)
    keeper.remove()


# --- loops that add up -----------------------------------------------------------------------------------------------


class Resumed:
    """A loop that adds up into arrays: ``first`` is how many of its items an earlier run finished."""

    def __init__(self, keeper: Keeper | None, name: str, content: tuple[Any, ...], arrays: Arrays) -> None:
        self.first = 0
        self._keeper, self._name, self._content, self._arrays = keeper, name, content, arrays
        self._done, self._since = 0, time.monotonic()
        if keeper is not None and keeper.holds:
            self._restore(keeper)

    @cached_property
    def _key(self) -> str:
        assert self._keeper is not None
        return self._keeper.key(self._name, self._content)

    def _restore(self, keeper: Keeper) -> None:
        found = keeper.read(self._key) or {}
        done = found.pop("items finished", None)
        same = {key: (value.shape, value.dtype) for key, value in self._arrays.items()}
        if done is None or {key: (value.shape, value.dtype) for key, value in found.items()} != same:
            return
        for key, value in found.items():
            self._arrays[key][...] = value
        self.first = self._done = int(done)
        keeper.took_over = True

    def keep(self, done: int) -> None:
        """The first ``done`` items are in the arrays now; written when it is time."""
        mark_taken_over(False)
        self._done = done
        if self._keeper is not None and self._keeper.due(0):
            self._write(self._keeper)

    def finish(self) -> None:
        """The loop is over: write what it made if that took long enough."""
        if self._keeper is not None and time.monotonic() - self._since >= WORTH and self._keeper.affordable():
            self._write(self._keeper)

    def _write(self, keeper: Keeper) -> None:
        keeper.write(self._key, {**self._arrays, "items finished": np.array(self._done)})
        self._since = time.monotonic()


@contextmanager
def resumed(name: str, content: tuple[Any, ...], arrays: Arrays, *, keep: bool = True) -> Iterator[Resumed]:
    """A loop over ordered items that adds up into ``arrays``, in place.

    When an earlier run did the same (``name``, ``content``: all that decides the numbers), the arrays hold what it had
    after its first ``first`` items: tell that as progress and go on with the next. Call ``keep(done)`` after each item,
    before its progress is told. Nothing inside the block keeps anything on its own. ``keep`` false: begin at the first
    item and keep nothing.
    """
    keeper = _KEEPER.get() if keep else None
    loop = Resumed(keeper, name, content, arrays)
    token = _KEEPER.set(None)
    mark_taken_over(loop.first > 0)
    try:
        yield loop
    finally:
        mark_taken_over(False)
        _KEEPER.reset(token)
    loop.finish()


# --- loops whose results are used one by one -------------------------------------------------------------------------


def kept_each(
    name: str,
    content: tuple[Any, ...],
    items: Sequence[S],
    compute: Callable[[list[S]], Iterable[R]],
    *,
    pack: Callable[[R], Arrays],
    unpack: Callable[[dict[str, np.ndarray]], R],
) -> Iterator[R]:
    """Yield the result of every item, in order: those of an earlier run, and those that ``compute`` makes of the rest.

    ``compute`` gets the items that are left and yields their results in order; each depends on its own item and on
    ``content`` alone, which with ``name`` is all that decides the numbers. ``pack`` makes arrays of a result, and
    ``unpack`` the same result of these, to the last bit; results must not be changed afterwards. Nothing that
    ``compute`` does keeps anything on its own.
    """
    keeper = _KEEPER.get()
    if keeper is None:
        yield from _alone(iter(compute(list(items))))
        return
    loop = _Kept(keeper, name, content)
    earlier = loop.find()
    computed = iter(compute([item for n, item in enumerate(items) if n not in earlier]))
    try:
        for n in range(len(items)):
            found = loop.read(earlier[n], n) if n in earlier else None
            mark_taken_over(found is not None)
            if found is not None:
                yield unpack(found)
                continue
            result = _next_alone(computed if n not in earlier else iter(compute([items[n]])))
            loop.add(n, pack(result))
            yield result
    finally:
        mark_taken_over(False)
        _close(computed)
    loop.finish()


def _alone(computed: Iterator[R]) -> Iterator[R]:
    try:
        while True:
            try:
                result = _next_alone(computed)
            except StopIteration:
                return
            yield result
    finally:
        _close(computed)


def _next_alone(computed: Iterator[R]) -> R:
    """The next result; what is done for it keeps nothing on its own."""
    token = _KEEPER.set(None)
    try:
        return next(computed)
    finally:
        _KEEPER.reset(token)


def _close(computed: Any) -> None:
    """End a generator now, so that work not yet begun is cancelled."""
    if hasattr(computed, "close"):
        computed.close()


class _Kept:
    """The results of one loop: several to a file, by number."""

    def __init__(self, keeper: Keeper, name: str, content: tuple[Any, ...]) -> None:
        self._keeper, self._name, self._content = keeper, name, content
        self._waiting: dict[int, Arrays] = {}
        self._size = 0
        self._since = time.monotonic()
        self._open: tuple[str, dict[str, np.ndarray]] = ("", {})

    @cached_property
    def _key(self) -> str:
        return self._keeper.key(self._name, self._content)

    def find(self) -> dict[int, str]:
        """The file of each result that an earlier run kept."""
        if not self._keeper.holds:
            return {}
        where: dict[int, str] = {}
        for name, arrays in self._keeper.contents(self._key).items():
            where |= {int(array.partition(" ")[0]): name for array in arrays}
        self._keeper.took_over |= bool(where)
        return where

    def read(self, name: str, number: int) -> dict[str, np.ndarray] | None:
        """One result."""
        if self._open[0] != name:
            self._open = name, self._keeper.read(name) or {}
        start = f"{number} "
        return {key.removeprefix(start): part for key, part in self._open[1].items() if key.startswith(start)} or None

    def add(self, number: int, arrays: Arrays) -> None:
        """A new result: it waits until it is time to write."""
        self._open = ("", {})
        size = sum(np.asarray(value).nbytes for value in arrays.values())
        if self._waiting and self._size + size > WAITING_BYTES:
            if not self._keeper.affordable():
                return
            self._write()
        self._waiting[number] = arrays
        self._size += size
        if self._keeper.due(self._size):
            self._write()

    def finish(self) -> None:
        """The loop is over: write what waits if it took long enough."""
        if self._waiting and time.monotonic() - self._since >= WORTH and self._keeper.affordable():
            self._write()

    def _write(self) -> None:
        together = {f"{number} {key}": part for number, parts in self._waiting.items() for key, part in parts.items()}
        self._keeper.write(f"{self._key}-{min(self._waiting):06}", together)
        self._waiting, self._size, self._since = {}, 0, time.monotonic()


# --- what data are the same ------------------------------------------------------------------------------------------


def _feed(found: Any, value: Any) -> None:
    """Feed a value into a digest, such that different values are fed differently."""
    if value is None or isinstance(value, (bool, int, str, np.generic)):
        found.update(f"{type(value).__name__} {value!r};".encode())
    elif isinstance(value, float):
        found.update(f"float {'nan' if math.isnan(value) else value.hex()};".encode())
    elif isinstance(value, np.ndarray):
        found.update(f"array {value.dtype.str} {value.shape};".encode())
        found.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
    elif isinstance(value, (list, tuple)):
        found.update(f"{len(value)} of;".encode())
        for part in value:
            _feed(found, part)
    elif isinstance(value, Mapping):
        _feed(found, [part for pair in value.items() for part in pair])
    elif is_dataclass(value) and not isinstance(value, type):
        found.update(f"{type(value).__name__};".encode())
        for one in fields(value):
            _feed(found, getattr(value, one.name))
    else:
        raise TypeError(f"a {type(value).__name__} cannot tell one piece of work from another")
