"""OceanParcels as the engine that moves larvae; how they live and end stays ours."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, MissingExtra
from linkways.seas._currents_places import goes_around, step_of

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from linkways.seas._drift_kernels import Flow, Life, Particles
    from linkways.seas._drift_rules import Rules
    from linkways.seas._drift_run import Shared

_MARGIN = 4  # cells around the field that go on as its edge: Parcels stops where a stage of a step looks beyond it


def check_engine(field: xr.Dataset, rules: Rules) -> None:
    """Refuse what this engine cannot do.

    Raises MissingExtra where Parcels is not installed, LinkwaysError for another version, depths that change, the
    adaptive scheme and fields that go around the world.
    """
    if find_spec("parcels") is None:
        raise MissingExtra("parcels", "parcels", "engine parcels")
    import parcels

    if int(str(parcels.__version__).split(".")[0]) < 4:
        raise LinkwaysError(f"engine parcels works with Parcels 4, but {parcels.__version__} is installed; update it")
    for wrong, words in (
        (rules.vertical != "fixed", f"vertical {rules.vertical}"),
        (rules.scheme != "rk4", f"scheme {rules.scheme}"),
        (goes_around(field), "a field that goes around the world"),
    ):
        if wrong:
            raise LinkwaysError(f"engine parcels is not made for {words}; take engine linkways")


class ParcelsEngine:
    """Advection by Parcels, one step at a time, between them the random walk, coast, growth and settlement of ours."""

    def __init__(self, shared: Shared) -> None:
        from pyproj import CRS

        self.life = shared.life._replace(scheme=2)
        x, y = shared.field["x"].values, shared.field["y"].values
        self.first = float(x[0]), float(y[0])
        self.step = step_of(shared.field, "x"), step_of(shared.field, "y")
        self.mesh = "spherical" if CRS.from_user_input(shared.field.rio.crs).is_geographic else "flat"
        from linkways.seas._currents_places import metres_per_cell

        rows = len(y)
        self.face_width = metres_per_cell(shared.field, np.arange(rows + 1) - 0.5)[0]

    def move(
        self,
        pool: ThreadPoolExecutor,  # noqa: ARG002 - Parcels 4 is not to be called from several threads
        active: NDArray[np.int64],
        particles: Particles,
        flow: Flow,
        life: Life,  # noqa: ARG002 - its own, with the scheme that takes positions
        stays: list[NDArray[np.int64]],
    ) -> None:
        """One window; steps also begin and end where larvae do."""
        from linkways.seas._drift_kernels import DRIFTING, advance

        fields = self._fieldset(flow)
        cuts = self._cuts(particles, active, flow)
        for begin, end in pairwise(cuts):
            here = active[
                (particles.status[active] == DRIFTING)
                & (particles.released[active] <= begin + 1e-6)
                & (particles.ends[active] >= end - 1e-6)
            ]
            if len(here):
                moved = self._moved(fields, particles, here, begin - flow.start, end - begin)
                advance(here, particles, _between(flow, begin, end), self.life, moved, stays[0])

    def _cuts(self, particles: Particles, active: NDArray[np.int64], flow: Flow) -> NDArray[np.float64]:
        stop = flow.start + flow.interval
        own = np.concatenate([particles.released[active], particles.ends[active]])
        edges = np.unique(np.r_[flow.start, own[(own > flow.start) & (own < stop)], stop])
        parts = []
        for begin, end in pairwise(edges):
            n = max(int(np.ceil((end - begin) / self.life.step - 1e-9)), 1)
            parts.append(np.linspace(begin, end, n + 1)[:-1])
        return np.concatenate([*parts, [stop]])

    def _moved(
        self, fields: Any, particles: Particles, here: NDArray[np.int64], since: float, seconds: float
    ) -> NDArray[np.float64]:
        import parcels
        from parcels._core.particle import get_default_particle

        larvae = parcels.ParticleSet(
            fields,
            get_default_particle(np.float64),
            x=self.first[0] + self.step[0] * particles.x[here],
            y=self.first[1] + self.step[1] * particles.y[here],
            z=np.zeros(len(here)),
            t=np.full(len(here), np.timedelta64(round(since * 1e9), "ns")),
        )
        span = np.timedelta64(round(seconds * 1e9), "ns")
        larvae.execute(parcels.kernels.AdvectionRK4, dt=span, runtime=span, verbose_progress=False)
        return np.column_stack(
            [
                (np.asarray(larvae.x) - self.first[0]) / self.step[0],
                (np.asarray(larvae.y) - self.first[1]) / self.step[1],
            ]
        )

    def _fieldset(self, flow: Flow) -> Any:
        """The two states of the window as Parcels takes them, a margin around."""
        import parcels
        import parcels._sgrid as sgrid
        import xarray as xr

        rows, columns = flow.water.shape
        packed = flow.velocity.reshape(rows, columns, -1)
        if flow.staggered:
            u, v, first = self._faces(packed)
            dims = ["time", "depth", "YC", "XG"], ["time", "depth", "YG", "XC"]
        else:
            u, v = packed[..., [0, 2]], packed[..., [1, 3]]
            u, v = (np.pad(w, ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0)), mode="edge") for w in (u, v))
            dims, first = (["time", "depth", "YG", "XG"],) * 2, -float(_MARGIN)
        high, wide = u.shape[:2]
        times = np.array([0, round(flow.interval * 1e9)], "timedelta64[ns]")
        data = xr.Dataset(
            {"U": (dims[0], np.moveaxis(u, 2, 0)[:, None]), "V": (dims[1], np.moveaxis(v, 2, 0)[:, None])},
            coords={
                "time": (["time"], times, {"axis": "T"}),
                "depth": (["depth"], np.zeros(1), {"axis": "Z"}),
                "YC": (["YC"], np.arange(high) + 0.5, {"axis": "Y"}),
                "YG": (["YG"], np.arange(high), {"axis": "Y"}),
                "XC": (["XC"], np.arange(wide) + 0.5, {"axis": "X"}),
                "XG": (["XG"], np.arange(wide), {"axis": "X"}),
                "lat": (["YG"], self.first[1] + self.step[1] * (first + np.arange(high)), {"axis": "Y"}),
                "lon": (["XG"], self.first[0] + self.step[0] * (first + np.arange(wide)), {"axis": "X"}),
            },
        )
        told = sgrid.SGrid2DMetadata(
            cf_role="grid_topology",
            topology_dimension=2,
            node_dimensions=("XG", "YG"),
            node_coordinates=("lon", "lat"),
            face_dimensions=(
                sgrid.FaceNodePadding("XC", "XG", sgrid.Padding.LOW),
                sgrid.FaceNodePadding("YC", "YG", sgrid.Padding.LOW),
            ),
            vertical_dimensions=(sgrid.FaceNodePadding("ZC", "depth", sgrid.Padding.BOTH),),
        )
        return parcels.FieldSet.from_sgrid_conventions(sgrid._attach_sgrid_metadata(data, told), mesh=self.mesh)

    def _faces(self, packed: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
        """u and v on the nodes after their faces, as NEMO counts them, and the place of the first node."""
        u = np.concatenate([packed[..., [0, 4]], packed[:, -1:, [1, 5]]], axis=1)
        v = np.concatenate([packed[..., [2, 6]], packed[-1:, :, [3, 7]]], axis=0) / self.face_width[:, None, None]
        u = np.pad(u, ((_MARGIN + 1, _MARGIN), (_MARGIN, _MARGIN), (0, 0)), mode="edge")
        v = np.pad(v, ((_MARGIN, _MARGIN), (_MARGIN + 1, _MARGIN), (0, 0)), mode="edge")
        return u, v.astype(np.float32), -0.5 - _MARGIN


def _between(flow: Flow, begin: float, end: float) -> Flow:
    """The same field, cut to a part of its window."""
    parts = {}
    for name in ("temperature", "diffusivity"):
        pair = getattr(flow, name)
        ways = (np.array([begin, end]) - flow.start) / flow.interval
        parts[name] = (pair[..., :1] + (pair[..., 1:] - pair[..., :1]) * ways).astype(np.float32)
    return flow._replace(start=begin, interval=end - begin, **parts)
