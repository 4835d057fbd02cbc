"""Where animals are expected at any time, with barriers and without, and what lies beyond the edge of the mask."""

from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.populations._capture_inputs import ID
from linkways.spatial import note

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from linkways.populations._capture_model import Pieces
    from linkways.populations._capture_models import Fitted, Survey
    from linkways.populations._capture_run import Result

__all__ = ["crossing_and_use", "note_edge_of_mask"]

_TOGETHER = 64


def crossing_and_use(
    result: "Result", density: np.ndarray
) -> tuple["pd.DataFrame | None", "xr.DataArray | None", "xr.DataArray | None"]:
    """Share of time beyond barriers, by scenario, and the maps of space use with barriers and without."""
    import pandas as pd

    from linkways.populations._capture_run import barrier_index

    j = barrier_index(result)
    if j is None:
        return None, None, None
    use = _Use(result, density, j)
    interval = result.profiles[j]
    scale = result.fitted.assembled.to_raw[j, j]
    estimate = float(result.fitted.raw_fit.theta[j])
    flat = j in result.fitted.flat
    rows, maps = [], {}
    for name, alpha in (
        ("as estimated", estimate),
        ("low end", interval.low),
        ("high end", interval.high),
        ("removed", 0.0),
    ):
        # beyond the plateau nothing changes: its foot stands for an infinite cost
        used = alpha if np.isfinite(alpha) else np.sign(alpha) * max(abs(estimate), 30.0)
        share, maps[name] = use.at(used / scale)
        shown = np.inf if flat and name == "as estimated" else alpha
        rows.append((name, shown, share, share * use.animals))
    table = pd.DataFrame(rows, columns=["scenario", "alpha", "crossing_share", "animals_beyond"])
    ground = result.survey.ground
    return (
        table,
        ground.raster(maps["as estimated"], "space_use", "animals/km2"),
        ground.raster(maps["removed"], "space_use_without", "animals/km2"),
    )


class _Use:
    """The use that activity centres make of cells, for any resistance of the barriers."""

    def __init__(self, result: "Result", density: np.ndarray, index: int) -> None:
        survey, fitted = result.survey, result.fitted
        self.ground, self.fitted = survey.ground, fitted
        terms, at = fitted.assembled.terms, fitted.model.layout
        self.paths = survey.paths(terms.resistance)
        self.alpha = fitted.theta[at.resistance].copy()
        self.which = index - at.resistance.start
        self.beyond_counts = survey.z[terms.resistance[self.which]].ravel()[self.ground.cells] == 0
        self.centres, self.weight = _drawn(result, density * self.ground.area_km2)
        self.animals = float(self.weight.sum())
        shares = fitted.model.pieces(fitted.theta).shares
        states = fitted.model.histories.states
        sigma = fitted.model.sigma_design @ fitted.theta[at.sigma]
        eta = fitted.model.amplitude_design @ fitted.theta[at.amplitude]
        self.sexes = [
            (share, float(eta[c * states].mean()), float(sigma[c * states].mean())) for c, share in enumerate(shares)
        ]
        self.reach = fitted.model.reach(fitted.theta)

    def at(self, alpha: float) -> tuple[float, np.ndarray]:
        """Share of time beyond a barrier, and animals per km2 in each cell."""
        full = self.alpha.copy()
        full[self.which] = alpha
        area = self.ground.area_km2
        present = np.zeros(len(area))
        beyond = 0.0
        for first in range(0, len(self.centres), _TOGETHER):
            some = self.centres[first : first + _TOGETHER]
            distance, slope = self.paths.to_all(full, self.reach, some)
            crossed = (slope[self.which] > 0) & self.beyond_counts[some][:, None] & self.beyond_counts
            weight = self.weight[first : first + _TOGETHER]
            for share, eta, sigma in self.sexes:
                use = self._kernel(distance, eta, sigma) * area
                total = use.sum(axis=1, keepdims=True)
                use *= (share * weight[:, None]) / np.where(total > 0, total, 1.0)
                present += use.sum(axis=0)
                beyond += float(use[crossed].sum())
        return beyond / self.animals, present / area

    def _kernel(self, distance: np.ndarray, eta: float, log_sigma: float) -> np.ndarray:
        from linkways.populations import _capture_kernels as kernels

        kind, chance = self.fitted.model.shape
        at = self.fitted.model.layout
        log_shape = float(self.fitted.theta[at.shape][0]) if kind == kernels.HAZARD_RATE else 0.0
        amplitude = -np.logaddexp(0, -eta) if chance else eta
        out = np.empty((1, *distance.shape))
        column = np.ones((1, len(distance)))
        kernels.shapes(distance, amplitude * column, log_sigma * column, log_shape, kind, out)
        use = np.exp(out[0])
        return np.asarray(-np.log1p(-use) if chance else use)


def _drawn(result: "Result", animals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All centres with their animals; or as many as asked for, drawn by their animals, which they share alike."""
    most = result.request.centres_used
    if len(animals) <= most:
        return np.arange(len(animals)), animals
    draw = np.random.default_rng(result.request.seed)
    # systematic: evenly spaced in the running sum, so that every part of the map is met in proportion
    at = (draw.random() + np.arange(most)) / most * animals.sum()
    chosen = np.minimum(np.searchsorted(np.cumsum(animals), at), len(animals) - 1)
    note(f"{ID}: space use is carried by {most} of {len(animals)} activity centres")
    return chosen, np.full(most, animals.sum() / most)


def note_edge_of_mask(survey: "Survey", fitted: "Fitted", pieces: "Pieces") -> None:
    """Tell if animals from beyond the state space would raise the area sampled by more than a hundredth."""
    inside = float(pieces.seen @ survey.ground.area_km2)
    beyond = _sampled_beyond(survey, fitted, pieces)
    if beyond > 0.01 * inside:
        note(
            f"{ID}: {100 * beyond / (inside + beyond):.2g} % of the area that the detectors sample lies outside of the "
            "state space, so densities are too high by about as much; enlarge buffer_m or the rasters (4 sigma or more)"
        )


def _sampled_beyond(survey: "Survey", fitted: "Fitted", pieces: "Pieces") -> float:
    """Effective area in km2 of habitat beyond the buffer, and beyond the raster where its edge is habitat.

    Straight distances are used, so that with least-cost distance this is an upper bound.
    """
    from linkways.populations._capture_ground import metres_between

    ground, model, at = survey.ground, fitted.model, fitted.model.layout
    grid: Any = ground.grid
    sigma = float(np.exp((model.sigma_design @ fitted.theta[at.sigma]).max()))
    cell = float(np.sqrt(ground.geometry.area_m2.mean()))
    thin = max(1, round(sigma / 2 / cell))
    width = int(np.ceil(5 * sigma / cell / thin)) * thin
    columns = np.arange(-width, grid.columns + width, thin)
    rows = np.arange(-width, grid.rows + width, thin)
    if len(columns) * len(rows) > 200_000:
        return 0.0
    row, column = (v.ravel() for v in np.meshgrid(rows, columns, indexing="ij"))
    near_row, near_column = np.clip(row, 0, grid.rows - 1), np.clip(column, 0, grid.columns - 1)
    flat = near_row * grid.columns + near_column
    in_raster = (row == near_row) & (column == near_column)
    outside = ground.habitat[near_row, near_column] & ~(in_raster & (ground.cell_of[flat] >= 0))
    if not outside.any():
        return 0.0
    x = grid.x0 + grid.dx * (column[outside] + 0.5)
    y = grid.y0 + grid.dy * (row[outside] + 0.5)
    distance = metres_between(grid, survey.detectors.x, survey.detectors.y, x, y)
    seen = _seen(fitted, pieces.shares, distance)
    areas = ground.geometry.area_km2[near_row[outside]] * thin**2
    return float(seen @ areas)


def _seen(fitted: "Fitted", shares: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Chance that an animal at these distances from the detectors is caught, as a naive animal."""
    from linkways.populations import _capture_kernels as kernels

    model, at = fitted.model, fitted.model.layout
    kind, chance = model.shape
    states = model.histories.states
    eta = model.amplitude_design @ fitted.theta[at.amplitude]
    amplitude = -np.logaddexp(0, -eta) if chance else eta
    log_sigma = model.sigma_design @ fitted.theta[at.sigma]
    log_shape = float(fitted.theta[at.shape][0]) if kind == kernels.HAZARD_RATE else 0.0
    out = np.empty((*eta.shape, distance.shape[1]))
    kernels.shapes(distance, np.ascontiguousarray(amplitude), np.ascontiguousarray(log_sigma), log_shape, kind, out)
    hazard = np.exp(out)
    if chance:
        hazard = -np.log1p(-hazard)
    total = np.tensordot(hazard[::states], model.histories.patterns.effort[0], (1, 0))
    return np.asarray(shares @ -np.expm1(-total))
