"""Where independent pieces of one method's work run: threads of this machine, or a Dask cluster when one is given."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from linkways.errors import LinkwaysError, MissingExtra

__all__ = ["each", "has_cluster", "on_cluster"]

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

_CLUSTER: ContextVar[Any] = ContextVar("linkways_cluster", default=None)


def has_cluster() -> bool:
    """Whether work that is handed out goes to a cluster."""
    return _CLUSTER.get() is not None


def each(function: Callable[[S, T], R], shared: S, items: Iterable[T], *, threads: int | None = None) -> Iterator[R]:
    """Yield ``function(shared, item)`` for every item, in order, computed side by side.

    The numbers are the same wherever they are computed. On this machine at most ``threads`` (default: its cores,
    at most 8) run at once; on a cluster the shared part is sent to each worker once. Work not yet begun is
    cancelled when the caller stops asking.
    """
    client = _CLUSTER.get()
    waiting: deque[Any]
    if client is not None:
        # hash=False: equal inputs of two calls must not be mistaken for one another's futures
        sent = client.scatter(shared, broadcast=True, hash=False)
        waiting = deque(client.submit(function, sent, item, pure=False) for item in items)
        yield from _in_order(waiting)
        return
    with ThreadPoolExecutor(threads or min(os.cpu_count() or 1, 8)) as pool:
        waiting = deque(pool.submit(copy_context().run, function, shared, item) for item in items)
        yield from _in_order(waiting)


def _in_order(waiting: deque[Any]) -> Iterator[Any]:
    try:
        while waiting:
            # popped, so that a result is held only once
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """Send the work of `each` inside the block to the Dask cluster at this address; None: stay on this machine."""
    if address is None:
        yield
        return
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtra("distributed", "dask", "running on a Dask cluster") from None
    try:
        client: Any = Client(address, timeout="10s")  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise LinkwaysError(
            f"no Dask scheduler answers at {address} ({error}); check the address or leave out --dask"
        ) from None
    token = _CLUSTER.set(client)
    try:
        yield
    finally:
        _CLUSTER.reset(token)
        client.close()
