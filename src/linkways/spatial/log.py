"""The log of a run: safe repairs and choices, one sentence each, collected where they happen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["note", "recording"]

_recorders: ContextVar[tuple[list[str], ...]] = ContextVar("linkways_recorders", default=())
_logger = logging.getLogger("linkways")


def note(sentence: str) -> None:
    """Add one sentence to the log of the current run; outside a run it goes to the ``linkways`` logger at INFO."""
    recorders = _recorders.get()
    for recorder in recorders:
        recorder.append(sentence)
    if not recorders:
        _logger.info(sentence)


@contextmanager
def recording() -> Iterator[list[str]]:
    """Collect the sentences noted inside the block, in order; an enclosing recording collects them too.

    A thread started inside the block takes part when it runs in a copy of the caller's context
    (``contextvars.copy_context().run``).

    >>> with recording() as sentences:
    ...     note("layer cores: 2 invalid geometries made valid")
    >>> sentences
    ['layer cores: 2 invalid geometries made valid']
    """
    sentences: list[str] = []
    token = _recorders.set((*_recorders.get(), sentences))
    try:
        yield sentences
    finally:
        _recorders.reset(token)
