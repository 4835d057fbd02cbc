"""The spatial absorbing Markov chain: how long animals live, where they spend their time, and where they die."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.corridors.cost_distance import Neighbours
from linkways.corridors.current import Average
from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, TableOf, estimate_of, method, progress

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from linkways.corridors._landscape import Landscape
    from linkways.estimates import Estimate
    from linkways.kernels.laplacian import Stencil

__all__ = ["AbsorbingWalk", "absorbing_walk"]

BYTES_OF_FACTOR = 850.0  # per cell


@dataclass(frozen=True)
class AbsorbingWalk:
    """What an absorbing walk gives."""

    survival: Annotated[
        "xr.DataArray", Layer("expected time to death of an animal that starts in each cell", unit="steps")
    ]
    visits: Annotated[
        "xr.DataArray", Layer("expected time that the animals spend in each cell, all together", unit="animal-steps")
    ]
    mortality: Annotated[
        "xr.DataArray", Layer("animals that die in each cell in the end; they sum to all animals", unit="animals")
    ]
    distribution: Annotated[
        "xr.DataArray | None",
        Layer("animals alive in each cell after each of the chosen numbers of steps (step, y, x)", unit="animals"),
    ]
    fate: Annotated["pd.DataFrame", TableOf("animals after each of the chosen numbers of steps: step, alive, dead")]
    animals: Annotated[float, Indicator("animals that start", unit="animals")]
    life_expectancy: Annotated[float, Indicator("expected time to death, mean over all animals", unit="steps")]


@method(
    "corridors.absorbing_walk",
    references=(
        "Fletcher RJ, Sefair JA, Wang C, Poli CL, Smith TAH, Bruna EM, Holt RD, Barfield M, Marx AJ, Acevedo MA (2019) "
        "Towards a unified framework for connectivity that disentangles movement and mortality in space and time. "
        "Ecology Letters 22:1680-1689",
        "Marx AJ, Wang C, Sefair JA, Acevedo MA, Fletcher RJ (2020) samc: an R package for connectivity modeling with "
        "spatial absorbing Markov chains. Ecography 43:518-527",
        "Kemeny JG, Snell JL (1960) Finite Markov chains. Van Nostrand",
    ),
)
def absorbing_walk(
    resistance: Annotated["xr.DataArray", Raster("resistance to movement", unit="resistance", positive=True)],
    absorption: Annotated["xr.DataArray", Raster("probability of dying in each step, by cell", unit="per step")],
    fidelity: Annotated[
        "xr.DataArray | None",
        Raster("probability of staying in the cell in each step; left out: 0", unit="per step"),
    ] = None,
    sources: Annotated[
        "xr.DataArray | None",
        Raster("animals that start in each cell; left out: one animal, anywhere alike", unit="animals"),
    ] = None,
    *,
    steps: Annotated[
        list[int] | None, Param("numbers of steps after which the animals are mapped and counted", unit="steps", ge=0)
    ] = None,
    average: Average = "resistance",
    neighbours: Neighbours = 8,
) -> AbsorbingWalk:
    """How long animals live on a landscape, where they spend their time, where they die, and where they are by then.

    In each step an animal in cell i dies with probability abs_i (absorption), stays with probability fid_i (fidelity),
    or else moves to a neighbour j with probability w_ij / sum_k w_ik; w_ij is the conductance 2 / ((r_i + r_j) d) of
    the mean resistance over the distance d in metres, or the mean conductance (g_i + g_j) / (2 d) with ``average``
    conductance. With Q the matrix of these probabilities of not dying and F = (I - Q)^-1, psi the animals at the start:

    survival is F 1, visits are psi F (the start counts as a visit), mortality is visits x abs, and the distribution
    after t steps is psi Q^t, by t products. A cell without passable neighbours keeps its animals until they die.

    As w is symmetric, I - Q is a diagonal matrix times a symmetric one, D + G - W with conductance G to ground
    d_i abs_i / (1 - abs_i - fid_i): one factorisation without subtraction gives survival and visits of every cell to
    rounding, however rare death is. One million cells took 3 to 4 s of processor time and 1 GB, and each step of the
    distribution 0.01 s.

    Raises LinkwaysError for probabilities outside 0 to 1 or that sum to more than 1 in a cell, absorption missing on
    passable cells, cells from which no death can ever be reached, and sources that are negative or on nodata.

    Examples
    --------
    >>> from linkways import spatial
    >>> from linkways.corridors.absorbing_walk import absorbing_walk
    >>> resistance = spatial.new_raster([[1, 1, 1]], crs="EPSG:3035", cell_size=10)
    >>> absorption = resistance.copy(data=[[0.0, 0.0, 0.5]])
    >>> animals = resistance.copy(data=[[10.0, 0.0, 0.0]])
    >>> walk = absorbing_walk(resistance, absorption, sources=animals, steps=[1, 2])
    >>> walk.survival.values.round(6)
    array([[9., 8., 5.]])
    >>> walk.visits.values.round(6)
    array([[30., 40., 20.]])
    >>> walk.mortality.values.round(6)
    array([[ 0.,  0., 10.]])
    >>> walk.distribution.values.round(6)
    array([[[ 0., 10.,  0.]],
    <BLANKLINE>
           [[ 5.,  0.,  5.]]])
    """
    landscape, animals, chain = _checked_chain(resistance, absorption, fidelity, sources, average, neighbours)
    progress(0.1, "solving for survival and visits")
    lives = chain.solve(animals)
    deaths = lives.visits * chain.absorption
    _refuse_loss(float(deaths.sum()), float(animals.sum()))
    distribution, fate = _by_steps(landscape, chain, animals, steps or ())
    total = float(animals.sum())
    return AbsorbingWalk(
        survival=_layer(landscape, lives.survival, "survival", "steps"),
        visits=_layer(landscape, lives.visits, "visits", "animal-steps"),
        mortality=_layer(landscape, deaths, "mortality", "animals"),
        distribution=distribution,
        fate=fate,
        animals=total,
        life_expectancy=float((animals * lives.survival).sum() / total),
    )


def _checked_chain(
    resistance: "xr.DataArray",
    absorption: "xr.DataArray",
    fidelity: "xr.DataArray | None",
    sources: "xr.DataArray | None",
    average: Literal["resistance", "conductance"],
    neighbours: Literal[4, 8],
) -> tuple["Landscape", np.ndarray, "_Chain"]:
    """The landscape, the animals at the start, and the chain."""
    from linkways.corridors._walks import walk_graph, walking_landscape

    landscape = walking_landscape(resistance, neighbours)
    passable = np.isfinite(landscape.resistance)
    dying = _probability(landscape, absorption, "absorption")
    staying = np.where(passable, 0.0, np.nan) if fidelity is None else _probability(landscape, fidelity, "fidelity")
    _refuse_sums(dying, staying)
    animals = _animals(landscape, sources)
    graph = walk_graph(landscape.resistance, landscape.cells, average=average, neighbours=neighbours)
    chain = _Chain.of(graph.affinity, dying, staying)
    _refuse_immortal(chain.immortal)
    return landscape, animals, chain


def _layer(landscape: "Landscape", values: np.ndarray, name: str, units: str) -> "xr.DataArray":
    return landscape.like(np.where(np.isfinite(landscape.resistance), values, np.nan), name, units=units)


# --- what is refused -------------------------------------------------------------------------------------------


def _place(bad: np.ndarray) -> str:
    row, column = (int(n) for n in np.argwhere(bad)[0])
    return f"row {row} column {column}"


def _probability(landscape: "Landscape", raster: "xr.DataArray", name: str) -> np.ndarray:
    values = np.asarray(raster.values, np.float64)
    passable = np.isfinite(landscape.resistance)
    missing = passable & np.isnan(values)
    if missing.any():
        raise LinkwaysError(
            f"{name} is nodata in {int(missing.sum())} passable cells, first at {_place(missing)}; give them a value "
            "from 0 to 1 or make them nodata in the resistance"
        )
    bad = passable & ~((values >= 0) & (values <= 1))
    if bad.any():
        raise LinkwaysError(
            f"{name} must lie from 0 to 1, but {int(bad.sum())} cells do not, first at {_place(bad)} "
            f"({values[bad][0]:g}); it is a probability per step"
        )
    return np.where(passable, values, np.nan)


def _refuse_sums(dying: np.ndarray, staying: np.ndarray) -> None:
    over = dying + staying > 1 + 1e-12
    if over.any():
        raise LinkwaysError(
            f"absorption and fidelity sum to more than 1 in {int(over.sum())} cells, first at {_place(over)} "
            f"({dying[over][0]:g} + {staying[over][0]:g}); lower one of them"
        )


def _refuse_immortal(immortal: np.ndarray) -> None:
    if immortal.any():
        raise LinkwaysError(
            f"animals would live for ever in {int(immortal.sum())} cells, first at {_place(immortal)}: from there no "
            "absorption above 0 can be reached; give some of these cells an absorption or make them nodata"
        )


def _animals(landscape: "Landscape", sources: "xr.DataArray | None") -> np.ndarray:
    passable = np.isfinite(landscape.resistance)
    if not passable.any():
        raise LinkwaysError("resistance has no passable cell; check its nodata value")
    if sources is None:
        return np.asarray(passable / passable.sum())
    values = np.asarray(sources.values, np.float64)
    bad = np.isinf(values) | (values < 0)
    if bad.any():
        raise LinkwaysError(
            f"sources has {int(bad.sum())} cells that are negative or infinite, first at {_place(bad)} "
            f"({values[bad][0]:g}); set them to 0 or more"
        )
    lost = (values > 0) & ~passable
    if lost.any():
        raise LinkwaysError(
            f"sources puts animals on nodata of the resistance in {int(lost.sum())} cells, first at {_place(lost)}; "
            "move them or give these cells a resistance"
        )
    if not (values > 0).any():
        raise LinkwaysError("sources has no cell above 0; give at least one animal")
    return np.where(values > 0, values, 0.0)


def _refuse_loss(dead: float, animals: float) -> None:
    if abs(dead - animals) > 1e-6 * animals:
        raise LinkwaysError(
            f"the walk could not be solved: {dead:g} of {animals:g} animals die in the end; check absorption for "
            "values that are above 0 only by rounding"
        )


# --- step by step ----------------------------------------------------------------------------------------------


def _by_steps(
    landscape: "Landscape", chain: "_Chain", animals: np.ndarray, steps: Sequence[int]
) -> tuple["xr.DataArray | None", "pd.DataFrame"]:
    import pandas as pd
    import xarray as xr

    wanted = sorted(set(steps))
    maps, rows = [], []
    for step, alive, dead in chain.dispersal(animals, wanted):
        progress(0.3 + 0.7 * (step + 1) / (wanted[-1] + 1), f"step {step}")
        maps.append(_layer(landscape, alive, "distribution", "animals"))
        rows.append({"step": step, "alive": float(alive.sum()), "dead": dead})
    fate = pd.DataFrame(rows, columns=["step", "alive", "dead"])
    if not maps:
        return None, fate
    stacked = xr.concat(maps, pd.Index(wanted, name="step"))
    stacked.attrs = maps[0].attrs
    return stacked, fate


# --- the chain -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Lives:
    survival: np.ndarray
    visits: np.ndarray


@dataclass(frozen=True)
class _Chain:
    """The chain on padded rasters: ``stencil`` holds the affinities w; the others are probabilities, 0 off the map."""

    stencil: "Stencil"
    edges: np.ndarray
    dying: np.ndarray
    staying: np.ndarray
    moving: np.ndarray

    @classmethod
    def of(cls, stencil: "Stencil", dying: np.ndarray, staying: np.ndarray) -> "_Chain":
        from linkways.corridors._walks import edges_of

        absorption, fidelity = (np.pad(np.nan_to_num(values, nan=0.0), 1) for values in (dying, staying))
        on_map = np.pad(stencil.nodes, 1)
        # who cannot go anywhere stays
        alone = on_map & (stencil.diagonal <= 0)
        fidelity = np.where(alone, 1.0 - absorption, fidelity)
        moving = np.where(on_map & ~alone, np.maximum(1.0 - absorption - fidelity, 0.0), 0.0)
        return cls(stencil, edges_of(stencil), absorption, fidelity, moving)

    @property
    def absorption(self) -> np.ndarray:
        return self.dying[1:-1, 1:-1]

    @property
    def _settled(self) -> np.ndarray:
        """Cells that no one leaves alive."""
        return np.asarray(np.pad(self.stencil.nodes, 1) & (self.moving <= 0))

    @property
    def _grounded(self) -> "Stencil":
        """D + G - W over the cells that can be left: conductance d abs / moving to ground, the others at ground."""
        from linkways.kernels.laplacian import ground_cells

        leak = np.zeros_like(self.moving)
        np.divide(self.stencil.diagonal * self.dying, self.moving, out=leak, where=self.moving > 0)
        whole = replace(self.stencil, ground=leak, diagonal=self.stencil.diagonal + leak)
        return ground_cells(whole, self._settled[1:-1, 1:-1])

    @property
    def immortal(self) -> np.ndarray:
        """(rows, columns) cells from which no death can be reached."""
        from linkways.kernels.laplacian import components

        stencil = self._grounded
        labels = components(stencil.nodes, stencil.neighbours)
        mortal = np.zeros(int(labels.max(initial=0)) + 1, bool)
        if stencil.ground is not None:
            mortal[np.unique(labels[stencil.ground[1:-1, 1:-1] > 0])] = True
        settled = self._settled[1:-1, 1:-1]
        return np.asarray((stencil.nodes & ~mortal[labels]) | (settled & (self.absorption <= 0)))

    def solve(self, animals: np.ndarray) -> _Lives:
        """Expected time to death from each cell, and time spent in each cell by all animals."""
        from linkways.corridors._walks import gather, threads
        from linkways.kernels.nested_dissection import factorise

        factor = factorise(self._grounded, threads=threads())
        settled = self._settled
        begun = np.pad(animals, 1)
        # a settled cell is left by death only, at 1 - staying = dying per step
        stay = np.divide(1.0, self.dying, out=np.zeros_like(self.dying), where=settled)
        slowness = np.divide(self.stencil.diagonal, self.moving, out=np.zeros_like(stay), where=self.moving > 0)
        waits = np.where(settled, 0.0, slowness + gather(self.edges, stay))
        loads = np.stack([waits, np.where(settled, 0.0, begun)])[:, 1:-1, 1:-1]
        times, flow = np.pad(factor.solve(loads), ((0, 0), (1, 1), (1, 1)))
        visits = np.where(settled, stay * (begun + gather(self.edges, flow)), slowness * flow)
        return _Lives((times + stay)[1:-1, 1:-1], visits[1:-1, 1:-1])

    def dispersal(self, animals: np.ndarray, steps: Sequence[int]) -> Iterator[tuple[int, np.ndarray, float]]:
        """Animals alive by cell, and how many are dead, after each of the ascending numbers of steps."""
        from linkways.corridors._walks import gather

        alive, dead, done = np.pad(animals, 1), 0.0, 0
        rate = np.divide(
            self.moving, self.stencil.diagonal, out=np.zeros_like(self.moving), where=self.stencil.diagonal > 0
        )
        for step in steps:
            for _ in range(step - done):
                dead += float((alive * self.dying).sum())
                alive = self.staying * alive + gather(self.edges, rate * alive)
            done = step
            yield step, alive[1:-1, 1:-1], dead


# --- what it takes ---------------------------------------------------------------------------------------------


@estimate_of(absorbing_walk)
def _estimate(arguments: dict[str, Any]) -> "Estimate":
    """The solution, and some of the steps, on thinned ground."""
    from linkways.estimates import sampled, thinned

    names = ("resistance", "absorption", "fidelity", "sources", "average", "neighbours")
    landscape, _, _ = _checked_chain(*(arguments[name] for name in names))
    passable = np.isfinite(landscape.resistance)
    wanted = set(arguments["steps"] or ())
    last = max(wanted, default=0)

    def prepare(shape: tuple[int, int], count: int) -> Callable[[], AbsorbingWalk]:
        fewer = thinned(arguments, shape, passable, peaks=("sources",)) | {"steps": [count - 1] if count > 1 else None}
        return lambda: absorbing_walk(**fewer)

    found = sampled(landscape.shape, prepare, items=last + 1, few=1, more=21, power=1.3)
    cells = passable.size
    return found.estimate((BYTES_OF_FACTOR + 16 * len(wanted)) * cells, f"{cells:,} cells, {last:,} steps")
