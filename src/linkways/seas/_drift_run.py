"""Following larvae through the field: window by window, in threads of this machine or in chunks on a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.method import progress

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from linkways.seas._drift_field import Wanted
    from linkways.seas._drift_kernels import Flow, Life, Particles

_SORT_EVERY = 24
_SHARE = 20_000  # larvae of a thread at least: below, handing over costs more than it saves
_CHUNK = 100_000  # larvae of a task on a cluster


@dataclass(frozen=True)
class Shared:
    """What all larvae have in common."""

    field: xr.Dataset
    wanted: Wanted
    life: Life
    habitat: NDArray[np.int32]
    origin: np.datetime64
    end: float
    tracked: NDArray[np.int64]
    """Numbers of the larvae whose tracks are kept, sorted."""
    engine: str = "linkways"
    threads: int | None = None


@dataclass
class Followed:
    """Where larvae ended, in order of their number, how long they stayed where, and the tracks that were asked for."""

    number: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    status: NDArray[np.uint8]
    sink: NDArray[np.int32]
    ended: NDArray[np.float64]
    stay: NDArray[np.int64]
    track_number: NDArray[np.int64]
    track_time: NDArray[np.float64]
    track_xy: NDArray[np.float64]


def follow(shared: Shared, particles: Particles) -> Followed:
    """All larvae to their ends. The numbers do not depend on threads, chunks or the order of the larvae."""
    from linkways import workers

    if not workers.has_cluster():
        return _follow(shared, particles)
    cuts = range(0, len(particles.x), _CHUNK)
    chunks = [type(particles)(*[values[a : a + _CHUNK].copy() for values in particles]) for a in cuts]
    found = []
    for n, part in enumerate(workers.each(_follow, replace(shared, threads=1), chunks)):
        progress((n + 1) / len(chunks), "larvae on the currents")
        found.append(part)
    return _joined(found)


def _joined(found: list[Followed]) -> Followed:
    names = [n for n in Followed.__annotations__ if n != "stay"]
    parts = {name: np.concatenate([getattr(one, name) for one in found]) for name in names}
    stay = sum((one.stay for one in found), np.zeros_like(found[0].stay))
    return Followed(**{**parts, "stay": stay})


def _follow(shared: Shared, particles: Particles) -> Followed:
    from linkways.seas import _drift_kernels as kernels
    from linkways.seas._drift_field import Stream

    stream = Stream(shared.field, shared.wanted, shared.origin)
    threads = shared.threads or min(os.cpu_count() or 1, 8)
    stays = [np.zeros(stream.water.shape, np.int64) for _ in range(threads)]
    tracks = _Tracks(shared.tracked, particles)
    first = float(particles.released.min())
    move = _engine(shared)
    with ThreadPoolExecutor(threads) as pool:
        for n, window in enumerate(stream.windows(first, shared.end)):
            flow = window._replace(habitat=shared.habitat)
            if n % _SORT_EVERY == 0:
                particles = _sorted(particles, flow)
            stop = flow.start + flow.interval
            active = np.flatnonzero((particles.status == kernels.DRIFTING) & (particles.released < stop))
            if not len(active):
                if (particles.status != kernels.DRIFTING).all():
                    break
                continue
            move(pool, active, particles, flow, shared.life, stays)
            tracks.note(particles, stop)
            progress(min((stop - first) / max(shared.end - first, 1e-9), 1.0), "larvae on the currents")
    order = np.argsort(particles.number)
    number, time, xy = tracks.read()
    return Followed(
        number=particles.number[order],
        x=particles.x[order],
        y=particles.y[order],
        status=particles.status[order],
        sink=particles.sink[order],
        ended=particles.ended[order],
        stay=sum(stays[1:], stays[0]),
        track_number=number,
        track_time=time,
        track_xy=xy,
    )


def _sorted(particles: Particles, flow: Flow) -> Particles:
    """Larvae of neighbouring cells side by side, so that what the kernel reads of the field is still at hand."""
    columns = flow.water.shape[1]
    cell = np.rint(particles.y).astype(np.int64) * columns + np.rint(particles.x).astype(np.int64)
    # the ended ones last
    cell[particles.status != 0] = np.iinfo(np.int64).max
    order = np.argsort(cell, kind="stable")
    return type(particles)(*[values[order] for values in particles])


def _engine(shared: Shared) -> Callable[..., None]:
    if shared.engine == "parcels":
        from linkways.seas._drift_parcels import ParcelsEngine

        return ParcelsEngine(shared).move
    return _move


def _move(
    pool: ThreadPoolExecutor,
    active: NDArray[np.int64],
    particles: Particles,
    flow: Flow,
    life: Life,
    stays: list[NDArray[np.int64]],
) -> None:
    from linkways.seas._drift_kernels import advance

    nowhere = np.empty((0, 2))
    parts = np.array_split(active, max(min(len(stays), len(active) // _SHARE), 1))
    if len(parts) == 1:
        advance(active, particles, flow, life, nowhere, stays[0])
        return
    done = [
        pool.submit(advance, part, particles, flow, life, nowhere, stay)
        for part, stay in zip(parts, stays, strict=False)
    ]
    for one in done:
        one.result()


class _Tracks:
    """The places of a few larvae at the field's times and at their ends."""

    def __init__(self, tracked: NDArray[np.int64], particles: Particles) -> None:
        self.tracked = tracked
        self.closed = np.zeros(len(tracked), bool)
        self.parts: list[tuple[Any, Any, Any]] = []
        at = self._places(particles)
        if len(self.tracked):
            self._add(particles, at, particles.released[at])

    def _places(self, particles: Particles) -> NDArray[np.int64]:
        """Where in the arrays each tracked larva is now."""
        if not len(self.tracked):
            return np.empty(0, np.int64)
        here = np.flatnonzero(np.isin(particles.number, self.tracked))
        self.tracked = np.sort(particles.number[here])
        if len(self.closed) != len(self.tracked):
            self.closed = np.zeros(len(self.tracked), bool)
        return here[np.argsort(particles.number[here])]

    def note(self, particles: Particles, time: float) -> None:
        """Their places at the end of a window."""
        if self.closed.all():
            return
        at = self._places(particles)
        use = ~self.closed & (particles.released[at] < time)
        ended = np.where(particles.status[at] != 0, particles.ended[at], np.minimum(particles.ends[at], time))
        self.closed |= use & ((particles.status[at] != 0) | (particles.ends[at] <= time))
        self._add(particles, at[use], ended[use])

    def _add(self, particles: Particles, at: NDArray[np.int64], time: NDArray[np.float64]) -> None:
        self.parts.append((particles.number[at], time, np.column_stack([particles.x[at], particles.y[at]])))

    def read(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Number, time and (column, row) of every place noted, in the order they were."""
        if not self.parts:
            return np.empty(0, np.int64), np.empty(0), np.empty((0, 2))
        number, time, xy = zip(*self.parts, strict=True)
        return np.concatenate(number), np.concatenate(time), np.concatenate(xy)
