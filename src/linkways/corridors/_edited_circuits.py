"""The circuit between two cores, its derivative by every cell, and what an edit of some cells does to it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from linkways.corridors._circuit_maps import branches_of_nodes
from linkways.errors import LinkwaysError
from linkways.kernels.laplacian import Stencil, StepLengths, components, ground_cells, raster_stencil
from linkways.kernels.multigrid import Hierarchy, Sources, build_hierarchy, solve

if TYPE_CHECKING:
    from linkways.corridors._landscape import Landscape

__all__ = ["After", "Edit", "Ground", "TwoCores", "gradient_and_gain"]

TOLERANCE = 1e-8


@dataclass(frozen=True)
class Ground:
    """A resistance raster and how its cells are joined: what circuits are made of."""

    resistance: np.ndarray
    steps: StepLengths
    average: Literal["resistance", "conductance"]
    neighbours: Literal[4, 8]

    @classmethod
    def of(cls, landscape: Landscape, average: Literal["resistance", "conductance"]) -> Ground:
        neighbours: Literal[4, 8] = 8 if landscape.neighbours == 8 else 4
        return cls(landscape.resistance, StepLengths(*landscape.steps), average, neighbours)

    def stencil(self) -> Stencil:
        return raster_stencil(self.resistance, average=self.average, neighbours=self.neighbours, steps=self.steps)

    def part(self, rows: slice, columns: slice) -> Ground:
        gaps = slice(rows.start, rows.stop - 1)
        steps = StepLengths(self.steps.east_west[rows], self.steps.north_south[gaps], self.steps.diagonal[gaps])
        return replace(self, resistance=self.resistance[rows, columns], steps=steps)

    def restored(self, cells: np.ndarray, to: float) -> Ground:
        """The same with flat cells lowered to a resistance; nodata can then be entered, lower cells stay."""
        values = self.resistance.copy()
        values.reshape(-1)[cells] = np.fmin(values.reshape(-1)[cells], to)
        return replace(self, resistance=values)


@dataclass(frozen=True)
class Edit:
    """Some cells, and the raster around them before and after they are restored."""

    rows: slice
    columns: slice
    core: tuple[slice, slice]  # of the window: the cells whose branches all lie within it
    before: Stencil
    after: Stencil
    opens: bool  # cells that could not be entered become ground

    @classmethod
    def of(cls, ground: Ground, cells: np.ndarray, restored: float) -> Edit | None:
        """None where nothing changes."""
        shape = ground.resistance.shape
        old = ground.resistance.ravel()[cells]
        changed = cells[~(old <= restored)]
        if not len(changed):
            return None
        row, column = np.divmod(changed, shape[1])
        rows, columns = (_around(place, size) for place, size in ((row, shape[0]), (column, shape[1])))
        before = ground.part(rows, columns)
        flat = (row - rows.start) * (columns.stop - columns.start) + column - columns.start
        inner = tuple(
            slice(0 if part.start == 0 else 1, part.stop - part.start - (0 if part.stop == size else 1))
            for part, size in ((rows, shape[0]), (columns, shape[1]))
        )
        return cls(
            rows, columns, (inner[0], inner[1]), before.stencil(), before.restored(flat, restored).stencil(),
            bool(np.isnan(old).any()),
        )  # fmt: skip


def _around(place: np.ndarray, size: int) -> slice:
    """Two cells to each side: then all branches of the changed cells' neighbours are within."""
    return slice(max(0, int(place.min()) - 2), min(size, int(place.max()) + 3))


@dataclass(frozen=True)
class TwoCores:
    """The circuit between two tied groups of cells: the potential, 1 on the first and 0 on the second, and C = 1/R."""

    ground: Ground
    groups: tuple[np.ndarray, np.ndarray]
    stencil: Stencil
    inner: Stencil  # without the tied cells, grounded where they were
    potential: np.ndarray
    imbalance: np.ndarray  # what the solver left of L phi, 0 on the groups
    conductance: float

    @classmethod
    def joined(cls, ground: Ground, one: np.ndarray, two: np.ndarray) -> TwoCores:
        """Solve the circuit; where nothing joins the cores, the conductance is 0."""
        stencil = ground.stencil()
        tied = np.zeros(stencil.shape, bool)
        tied.reshape(-1)[one] = tied.reshape(-1)[two] = True
        inner = ground_cells(stencil, tied)
        branches = branches_of_nodes(stencil, (one, two))
        used = (branches.node == 0) & ~tied.reshape(-1)[branches.outside]
        row, column = np.divmod(branches.outside[used], stencil.shape[1])
        first = np.zeros(len(row), np.intp)
        potential = _solved(build_hierarchy(inner), Sources(first, row, column, branches.conductance[used], 1))
        potential.reshape(-1)[one] = 1.0
        labels = components(stencil.nodes, stencil.neighbours).ravel()
        meet = np.intersect1d(labels[one], labels[two])
        energy, leaving = 0.0, np.zeros((stencil.shape[0] + 2, stencil.shape[1] + 2))
        for (down, right), (c, drop) in zip(_STEPS, _drops(stencil, potential), strict=True):
            flow = c * drop
            energy += float((flow * drop).sum())
            leaving[1:-1, 1:-1] += flow
            leaving[1 + down : -1 + down or None, 1 + right : -1 + right or None] -= flow
        imbalance = np.where(tied, 0.0, leaving[1:-1, 1:-1])
        return cls(ground, (one, two), stencil, inner, potential, imbalance, energy if len(meet) else 0.0)

    @property
    def resistance(self) -> float:
        """Effective resistance between the groups."""
        return 1 / self.conductance if self.conductance > 0 else math.inf

    def after(self, edit: Edit | None, cells: np.ndarray, restored: float) -> After:
        """Effective resistance when the cells of an edit are restored."""
        if edit is None:
            return After(self.resistance, 0.0, 0.0)
        least = self._at_least(edit)
        if edit.opens or self.conductance == 0:
            found = TwoCores.joined(self.ground.restored(cells, restored), *self.groups).resistance
            # where nothing joined the cores there is no gain to tell
            return After(found, max(self.resistance - found, 0.0) if self.conductance > 0 else math.nan, least)
        added = self._added_conductance(edit)
        new = self.conductance + added
        return After(1 / new, added / (self.conductance * new), least)

    def _at_least(self, edit: Edit) -> float:
        """sum I_e^2 (1/c_e - 1/c'_e) over the branches of the edit."""
        total = 0.0
        window = self.potential[edit.rows, edit.columns]
        pairs = zip(_drops(edit.before, window), _drops(edit.after, window), strict=True)
        for (old, drop), (new, _) in pairs:
            share = np.divide(old, new, out=np.ones_like(old), where=new > 0)
            total += float((old * drop**2 * (1 - share)).sum())
        return total * self.resistance**2 if self.conductance > 0 else 0.0

    def _added_conductance(self, edit: Edit) -> float:
        """C' - C = phi' dL phi - s' (L + dL)^-1 s with s = -dL phi.

        The hierarchy is made anew: that of the unedited raster would take 4 to 8 times the iterations for 4 x 4 to
        10 x 10 cells, more than it saves.
        """
        window = self.potential[edit.rows, edit.columns]
        tied = np.zeros(self.stencil.shape, bool)
        tied.reshape(-1)[np.concatenate(self.groups)] = True
        tied = tied[edit.rows, edit.columns]
        load = np.zeros((window.shape[0] + 2, window.shape[1] + 2))
        direct = 0.0
        pairs = zip(_STEPS, _drops(edit.before, window), _drops(edit.after, window), strict=True)
        for (down, right), (old, drop), (new, _) in pairs:
            flow = (new - old) * drop
            direct += float((flow * drop).sum())
            load[1:-1, 1:-1] -= flow
            load[1 + down : -1 + down or None, 1 + right : -1 + right or None] += flow
        source = np.where(tied, 0.0, load[1:-1, 1:-1])
        row, column = np.nonzero(source)
        if not len(row):
            return direct
        inner = _patched(self.inner, ground_cells(edit.after, tied), edit)
        amperes = source[row, column]
        sources = Sources(
            np.zeros(len(row), np.intp), row + edit.rows.start, column + edit.columns.start, amperes, 1
        )  # fmt: skip
        moved = _solved(build_hierarchy(inner), sources)
        pulled = float(amperes @ moved[edit.rows, edit.columns][row, column])
        # the last term takes out the first-order effect of the solver's error in phi
        return direct - pulled + 2 * float(np.vdot(self.imbalance, moved))


@dataclass(frozen=True)
class After:
    """A link after an edit: its effective resistance, the gain (NaN where nothing joined it before), its bound."""

    resistance: float
    gain: float
    at_least: float


_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))


def _drops(stencil: Stencil, potential: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each of the four kinds of branches: conductances, and potential differences along them, (rows, columns)."""
    padded = np.pad(potential, 1)
    edges = (stencil.east, stencil.south, stencil.southeast, stencil.southwest)
    for edge, (down, right) in zip(edges, _STEPS, strict=True):
        there = padded[1 + down : -1 + down or None, 1 + right : -1 + right or None]
        yield edge[1:-1, 1:-1], potential - there


def _patched(stencil: Stencil, part: Stencil, edit: Edit) -> Stencil:
    """The stencil with an edited window laid in."""
    inside = tuple(slice(s.start + 1, s.stop + 1) for s in edit.core)
    target = tuple(
        slice(o.start + s.start, o.start + s.stop) for o, s in zip((edit.rows, edit.columns), inside, strict=True)
    )

    def laid_in(whole: np.ndarray, window: np.ndarray) -> np.ndarray:
        out = whole.copy()
        out[target] = window[inside]
        return out

    nothing = np.zeros_like(stencil.diagonal) if stencil.ground is None else stencil.ground
    return replace(
        stencil,
        east=laid_in(stencil.east, part.east),
        south=laid_in(stencil.south, part.south),
        southeast=laid_in(stencil.southeast, part.southeast),
        southwest=laid_in(stencil.southwest, part.southwest),
        diagonal=laid_in(stencil.diagonal, part.diagonal),
        ground=laid_in(nothing, np.zeros_like(part.diagonal) if part.ground is None else part.ground),
    )


def _solved(hierarchy: Hierarchy, sources: Sources) -> np.ndarray:
    found = solve(hierarchy, sources, tolerance=TOLERANCE)
    if not found.converged.all():
        raise LinkwaysError(
            f"corridors.restore_cell_gain: the circuit could not be solved, residual {found.residuals.max():.2g}; "
            "check the resistance for values that span too many orders of magnitude"
        )
    return np.asarray(found.voltages[0])


def gradient_and_gain(circuit: TwoCores, restored: float) -> tuple[np.ndarray, np.ndarray]:
    """dR/dr of every cell, and the least gain of lowering it alone to ``restored``; both (rows, columns), 0 if none."""
    rows, columns = circuit.stencil.shape
    ground = circuit.ground
    values = np.pad(np.where(circuit.stencil.nodes, ground.resistance, 1.0), 1, constant_values=1.0)
    harmonic = ground.average == "resistance"
    # a branch between means of x: for mean resistances x = r and c / c' = (r' + r_b) / (r_a + r_b), for mean
    # conductances x = 1 / r and c / c' = (x_a + x_b) / (x' + x_b)
    x = values if harmonic else 1 / values
    target = restored if harmonic else 1 / restored
    slope = np.ones_like(x) if harmonic else x * x
    gradient, gain = np.zeros_like(x), np.zeros_like(x)
    here = slice(1, rows + 1), slice(1, columns + 1)
    for (down, right), (c, drop) in zip(_STEPS, _drops(circuit.stencil, circuit.potential), strict=True):
        there = slice(1 + down, rows + 1 + down), slice(1 + right, columns + 1 + right)
        power = c * drop**2
        share = power / (x[here] + x[there])
        for one, two in ((here, there), (there, here)):
            gradient[one] += share * slope[one]
            if harmonic:
                gain[one] += share * (x[one] - target)
            else:
                gain[one] += power * (target - x[one]) / (target + x[two])
    scale = circuit.resistance**2 if circuit.conductance > 0 else 0.0
    better = values[here] > restored
    return scale * gradient[here], np.where(better, scale * gain[here], 0.0)
