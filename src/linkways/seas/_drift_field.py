"""The velocity field as the kernel reads it: two of its times at once, packed so that neighbours lie together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.seas._currents_places import goes_around, metres_per_cell, step_of

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from linkways.seas._drift_kernels import Flow

STEADY_WINDOW_S = 3600.0
_AHEAD_BYTES = 128e6
_NONE = np.zeros((1, 2, 2, 2), np.float32)


@dataclass(frozen=True)
class Wanted:
    """What of the field is read."""

    depths: tuple[float, float]
    """Shallowest and deepest; equal: one layer."""
    rises: bool = False
    temperature: bool = False
    diffusivity: bool = False
    stokes: bool = False
    windage: float = 0.0


class Stream:
    """A standard field, read state by state: two states are held, and what was stored in one piece with the later."""

    def __init__(self, field: xr.Dataset, wanted: Wanted, origin: np.datetime64) -> None:
        self.field, self.wanted, self.origin = field, wanted, origin
        self.staggered = "x_u" in field.dims
        self.wraps = goes_around(field)
        self.water = np.ascontiguousarray(field["mask"].values, np.uint8)
        self.rows, self.columns = self.water.shape
        self.levels, self.kept, self.blend = self._levels()
        self.surface = self._surface()
        self.ahead: tuple[int, xr.Dataset] | None = None
        self.metric = _metric(field)
        per_x, _ = metres_per_cell(field, np.arange(self.rows + 1) - 0.5)
        self.through = self._through(per_x) if self.staggered else None
        self.longitudes = self._longitudes(field["x"].values)
        self.rim = None if self.staggered else Rim(self.water.astype(bool), self.wraps)

    @property
    def times(self) -> NDArray[np.float64] | None:
        """Seconds of the field's times; None where it is steady."""
        if "time" not in self.field.dims:
            return None
        since = self.field["time"].values - self.origin
        return np.asarray(since / np.timedelta64(1, "ns")) * 1e-9

    def windows(self, first: float, last: float) -> Iterator[Flow]:
        """The field between each two of its times, from the one that holds ``first`` to the one that holds ``last``."""
        times = self.times
        if times is None:
            state = self._state(None)
            for n in range(max(int(np.ceil((last - first) / STEADY_WINDOW_S)), 1)):
                yield self._flow(state, state, first + n * STEADY_WINDOW_S, STEADY_WINDOW_S)
            return
        start = max(int(np.searchsorted(times, first, side="right")) - 1, 0)
        earlier: dict[str, Any] | None = None
        for k in range(start, len(times) - 1):
            if times[k] >= last:
                return
            earlier = earlier or self._state(k)
            later = self._state(k + 1)
            yield self._flow(earlier, later, float(times[k]), float(times[k + 1] - times[k]))
            earlier = later

    # --- one state -------------------------------------------------------------------------------------------------

    def _levels(self) -> tuple[NDArray[np.float64], slice | None, float]:
        """The levels that are read, and where between them a single layer lies."""
        if "depth" not in self.field.dims:
            return np.zeros(1), None, 0.0
        depth = self.field["depth"].values
        shallow, deep = self.wanted.depths
        if deep > depth[-1] + 1e-6:
            raise LinkwaysError(
                f"larvae go to a depth of {deep:g} m but the currents reach {depth[-1]:g} m; give less, or currents "
                "that reach deeper"
            )
        first = max(int(np.searchsorted(depth, shallow, side="right")) - 1, 0)
        last = min(max(int(np.searchsorted(depth, deep, side="left")), first), len(depth) - 1)
        kept = slice(first, last + 1)
        if shallow == deep:
            span = depth[last] - depth[first]
            return np.array([shallow]), kept, float(np.clip((shallow - depth[first]) / span, 0, 1)) if span > 0 else 0.0
        return depth[kept].astype(float), kept, 0.0

    def _surface(self) -> NDArray[np.float32]:
        """How much of what is known of the surface alone is felt at each level that is read: all at the topmost level
        of the field, less towards the next, nothing below."""
        out = np.zeros((len(self.levels), 1, 1), np.float32)
        if self.kept is None or self.kept.start == 0:
            out[0] = 1.0 - self.blend
        return out

    def _read(self, k: int | None) -> xr.Dataset:
        """The values wanted of one time; those of a stored chunk are read together, so that it is unpacked once."""
        names = self._names()
        part = self.field[names]
        if self.kept is not None and "depth" in part.dims:
            part = part.isel(depth=self.kept)
        if k is None:
            return part.load()
        if self.ahead is None or not self.ahead[0] <= k < self.ahead[0] + self.ahead[1].sizes["time"]:
            count = _times_at_once(part)
            first = k - k % count
            self.ahead = None  # two pieces are never held
            self.ahead = first, part.isel(time=slice(first, first + count)).load()
        return self.ahead[1].isel(time=k - self.ahead[0])

    def _names(self) -> list[str]:
        names = ["u", "v"]
        names += ["w"] if self.wanted.rises else []
        names += ["temperature"] if self.wanted.temperature else []
        names += ["diffusivity"] if self.wanted.diffusivity else []
        names += ["stokes_u", "stokes_v"] if self.wanted.stokes else []
        names += ["wind_u", "wind_v"] if self.wanted.windage > 0 else []
        return names

    def _state(self, k: int | None) -> dict[str, NDArray[np.float32]]:
        part = self._read(k)
        out = {str(name): self._layers(part[name].values) for name in part.data_vars}
        for part_of in ("stokes_u", "stokes_v", "wind_u", "wind_v"):
            if part_of in out and "depth" not in part[part_of].dims:
                out[part_of] = out[part_of] * self.surface
        if "diffusivity" in out and (out["diffusivity"] < 0).any():
            raise LinkwaysError("the diffusivity of the currents is below 0 in places; give 0 or more")
        if not self.staggered:
            out["u"], out["v"] = self._moved(out)
        else:
            self._faces(out)
        for name in ("w", "temperature", "diffusivity"):
            if name in out:
                filled = self._around(Rim.of(self).filled(out[name]))
                # what is known in one layer holds at all depths
                out[name] = np.broadcast_to(filled, (len(self.levels), *filled.shape[1:]))
        return out

    def _layers(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """(level, row, column); below the sea bed the deepest value above it; one layer where one is asked for."""
        layers = np.asarray(values, np.float32)
        layers = layers[None] if layers.ndim == 2 else layers
        if len(layers) > 1:
            layers = layers.copy()
            for k in range(1, len(layers)):
                np.copyto(layers[k], layers[k - 1], where=np.isnan(layers[k]))
            if len(self.levels) == 1:
                layers = ((1.0 - self.blend) * layers[:1] + self.blend * layers[-1:]).astype(np.float32)
        return layers

    def _moved(self, state: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What moves larvae on an A grid: currents, and at the surface waves and wind."""
        assert self.rim is not None
        out = []
        for part in "uv":
            values = np.nan_to_num(state[part], copy=True)
            for name, share in ((f"stokes_{part}", 1.0), (f"wind_{part}", self.wanted.windage)):
                if name in state:
                    extra = np.nan_to_num(state.pop(name)) * np.float32(share)
                    values += extra
            out.append(self._around(self.rim.filled(np.where(self.water, values, np.nan))))
        return out[0], out[1]

    def _faces(self, state: dict[str, Any]) -> None:
        """The same on a C grid, where faces towards land are closed; v becomes flow, v times width."""
        assert self.through is not None
        for part, through, axis in (("u", self.through[0], 2), ("v", self.through[1], 1)):
            values = np.nan_to_num(state[part], copy=True)
            for name, share in ((f"stokes_{part}", 1.0), (f"wind_{part}", self.wanted.windage)):
                if name in state:
                    extra = np.nan_to_num(state.pop(name)) * np.float32(share)
                    if extra.shape[1:] != values.shape[1:]:
                        extra = _on_faces(extra, axis)
                    values += extra
            state[part] = (values * through).astype(np.float32)

    def _through(self, width: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each face of a C grid: 1 where u passes it, the width in metres where v does, 0 beside land."""
        water = self.water.astype(bool)
        across = np.pad(water, ((0, 0), (1, 1)), mode="wrap" if self.wraps else "edge")
        along = np.pad(water, ((1, 1), (0, 0)), mode="edge")
        return (across[:, :-1] & across[:, 1:]).astype(float), (along[:-1] & along[1:]) * width[:, None]

    def _around(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The first column once more at the end where the field goes around the world."""
        return np.concatenate([values, values[..., :1]], axis=-1) if self.wraps else values

    # --- two states ------------------------------------------------------------------------------------------------

    def _flow(self, one: dict[str, Any], two: dict[str, Any], start: float, interval: float) -> Flow:
        from linkways.seas._drift_kernels import Flow, packed

        both = (one, two)
        parts = [np.ascontiguousarray(s[name]) for s in both for name in ("u", "v")]
        return Flow(
            velocity=packed(*parts, self.staggered),
            vertical=-self._pair(both, "w"),
            temperature=self._pair(both, "temperature"),
            diffusivity=self._pair(both, "diffusivity"),
            levels=self.levels,
            metric=self.metric,
            even=bool((self.metric == self.metric[0]).all() and not self.metric[0, [1, 2, 4, 5]].any()),
            water=self.water,
            habitat=np.full((1, 1), -1, np.int32),
            columns=self.columns,
            wraps=self.wraps,
            staggered=self.staggered,
            start=start,
            interval=interval,
            first_longitude=self.longitudes[0],
            longitude_step=self.longitudes[1],
        )

    def _pair(self, both: tuple[dict[str, Any], dict[str, Any]], name: str) -> NDArray[np.float32]:
        return np.stack([s[name] for s in both], axis=-1) if name in both[0] else _NONE

    def _longitudes(self, x: NDArray[np.float64]) -> tuple[float, float]:
        """Of the first column, and from column to column; one for all where x is in metres."""
        from pyproj import CRS, Transformer

        crs = CRS.from_user_input(self.field.rio.crs)
        if crs.is_geographic:
            return float(x[0]), step_of(self.field, "x")
        y = self.field["y"].values
        middle = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(x.mean(), y.mean())
        return (float(middle[0]) if np.isfinite(middle[0]) else 0.0), 0.0


def _times_at_once(part: xr.Dataset) -> int:
    """Times that one stored chunk holds, no more than memory bears; one where values are computed as they are read."""
    longest = 1
    for array in part.data_vars.values():
        if "time" in array.dims and not array.variable._in_memory:
            stored = array.encoding.get("preferred_chunks", {}).get("time", 1)
            longest = max(longest, array.chunksizes["time"][0] if array.chunks else int(stored))
    state = sum(array.nbytes // array.sizes.get("time", 1) for array in part.data_vars.values())
    return max(min(longest, int(_AHEAD_BYTES // max(state, 1))), 1)


def _on_faces(centred: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Values between cells; at the rim those of its cells."""
    width = [(0, 0)] * 3
    width[axis] = (1, 1)
    padded = np.moveaxis(np.pad(centred, width, mode="edge"), axis, 0)
    return np.moveaxis((padded[:-1] + padded[1:]) / np.float32(2), 0, axis)


def _metric(field: xr.Dataset) -> NDArray[np.float64]:
    """Cells per metre along x and y between each two rows, as quadratics through both rows and their middle."""
    rows = field.sizes["y"]
    out = np.empty((rows - 1, 6))
    at = [metres_per_cell(field, np.arange(rows - 1) + part) for part in (0.0, 0.5, 1.0)]
    for axis in range(2):
        # at a pole a cell has no width
        first, middle, last = (1.0 / np.where(np.abs(m[axis]) < 1.0, 1.0, m[axis]) for m in at)
        bend = 2.0 * (first - 2.0 * middle + last)
        out[:, 3 * axis], out[:, 3 * axis + 1], out[:, 3 * axis + 2] = first, last - first - bend, bend
    return out


class Rim:
    """Land cells beside water, and the mean of the water around each: what interpolation near the coast meets there.

    So that the flow is not slowed towards the coast by land at rest; the coast itself stops larvae.
    """

    def __init__(self, water: NDArray[np.bool_], wraps: bool) -> None:
        from scipy.sparse import csr_array

        rows, columns = water.shape
        land = np.argwhere(~water)
        entries = []
        for dj in (-1, 0, 1):
            for di in (-1, 0, 1):
                j, i = land[:, 0] + dj, land[:, 1] + di
                i = i % columns if wraps else i
                inside = (j >= 0) & (j < rows) & (i >= 0) & (i < columns)
                inside[inside] = water[j[inside], i[inside]]
                entries.append(np.column_stack([np.flatnonzero(inside), (j * columns + i)[inside]]))
        found = np.concatenate(entries)
        count = np.bincount(found[:, 0], minlength=len(land))
        self.water = water
        self.land = land[:, 0] * columns + land[:, 1]
        weights = (1.0 / np.maximum(count, 1)).astype(np.float32)[found[:, 0]]
        self.means = csr_array((weights, (found[:, 0], found[:, 1])), shape=(len(land), rows * columns))

    @classmethod
    def of(cls, stream: Stream) -> Rim:
        """That of a stream, made when it is first asked for."""
        if stream.rim is None:
            stream.rim = cls(stream.water.astype(bool), stream.wraps)
        return stream.rim

    def filled(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(level, row, column) with land filled from beside it, and zeros further in; missing water values are 0."""
        out = np.nan_to_num(np.where(self.water, values, np.float32(0)))
        if len(self.land):
            for layer in out:
                flat = layer.reshape(-1)
                flat[self.land] = self.means @ flat
        return out
