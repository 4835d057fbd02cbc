"""How much memory the process holds while something runs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MemoryWatch", "Peak"]

_EVERY_SECONDS = 0.02
_STATM = Path("/proc/self/statm")


@dataclass
class Peak:
    """The most memory seen, in bytes; None where the system does not tell."""

    bytes: int | None = None

    @property
    def megabytes(self) -> float | None:
        """The peak in MB (10^6 bytes)."""
        return None if self.bytes is None else round(self.bytes / 1e6, 1)

    def see(self, held: int | None) -> None:
        """Take one more observation."""
        if held is not None:
            self.bytes = max(self.bytes or 0, held)


class MemoryWatch:
    """Looks at the process' resident memory every 20 ms and tells each block its peak.

    Steps that run side by side share one memory, so the peak of a step is that of the process while it ran. Where the
    system keeps a high-water mark and it rose inside the block, the mark is used: it misses nothing.
    """

    def __init__(self) -> None:
        self._open: list[Peak] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="linkways-memory", daemon=True)

    def __enter__(self) -> MemoryWatch:
        if resident() is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    @contextmanager
    def watching(self) -> Iterator[Peak]:
        """Yield a `Peak` that holds the peak when the block ends."""
        peak, before = Peak(), high_water()
        peak.see(resident())
        with self._lock:
            self._open.append(peak)
        try:
            yield peak
        finally:
            with self._lock:
                # By identity: two peaks may hold the same number.
                self._open = [one for one in self._open if one is not peak]
            peak.see(resident())
            after = high_water()
            if after is not None and before is not None and after > before:
                peak.see(after)

    def _look(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            held = resident()
            with self._lock:
                for peak in self._open:
                    peak.see(held)


def resident() -> int | None:
    """Bytes the process holds in memory now; None where the system does not tell."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def high_water() -> int | None:
    """The most bytes the process ever held; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
