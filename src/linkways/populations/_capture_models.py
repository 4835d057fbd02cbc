"""Models of a survey put together, fitted, and compared with simpler ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError
from linkways.populations._capture_fit import Fit, Interval, maximise, profile_interval
from linkways.populations._capture_ground import Ground
from linkways.populations._capture_histories import Records, histories_of
from linkways.populations._capture_inputs import ID, Detectors
from linkways.populations._capture_model import SHAPES, Distances, Histories, Layout, Model
from linkways.populations._capture_paths import Paths
from linkways.populations._capture_terms import Design, Terms, density_design, detection_design
from linkways.spatial import note

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Assembled", "Fitted", "Survey", "assemble", "fit_model", "profile_of", "start_values"]

_FLAT = 0.01
"""A profile that stays this near its maximum has none of its own."""


@dataclass(frozen=True)
class Survey:
    """All that models of one survey share."""

    records: Records
    detectors: Detectors
    ground: Ground
    detector_type: str
    conditional: bool
    covariates: Sequence["xr.DataArray"]
    z: dict[str, np.ndarray]
    """Resistance covariates by name, 0 to 1 over the cells that animals can enter."""
    z_scale: dict[str, float]
    """What each was divided by."""
    neighbours: int
    sigma0: float
    """A first guess of sigma in metres."""

    def histories(self, terms: Terms) -> Histories:
        """The histories as these terms need them."""
        return histories_of(self.records, self.detector_type, terms.behaviour, terms.by_sex)

    def paths(self, names: Sequence[str]) -> Paths:
        """The raster as a graph whose costs depend on these resistances."""
        ground = self.ground
        shape = ground.passable.shape
        return Paths(
            np.array([self.z[name] for name in names]).reshape(len(names), *shape),
            ground.passable,
            ground.geometry.east_west_m,
            ground.geometry.north_south_m,
            self.neighbours,
            ground.detector_cells,
            ground.cells,
        )


@dataclass(frozen=True)
class Assembled:
    """A model with the names of its parameters and the way from its coordinates to the user's."""

    terms: Terms
    model: Model
    labels: list[tuple[str, str]]
    """Of each parameter: what it is of (density, lambda0, sigma ...) and the term."""
    to_raw: np.ndarray

    def raw(self, theta: np.ndarray) -> np.ndarray:
        """Parameters as the user's columns have them."""
        return np.asarray(self.to_raw @ theta)

    def raw_objective(self, phi: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood and gradient in the user's coordinates."""
        value, slope = self.model.value_and_gradient(np.linalg.solve(self.to_raw, phi))
        return value, np.linalg.solve(self.to_raw.T, slope)


@dataclass(frozen=True)
class Fitted:
    """A fitted model."""

    assembled: Assembled
    fit: Fit
    flat: tuple[int, ...] = ()
    """Parameters whose likelihood rises to a plateau, so that they have no finite estimate."""

    @property
    def model(self) -> Model:
        """Its likelihood."""
        return self.assembled.model

    @property
    def theta(self) -> np.ndarray:
        """Its parameters."""
        return self.fit.theta

    @property
    def covariance(self) -> np.ndarray:
        """Of the parameters; 0 for those on a plateau, which are held where they are."""
        if not self.flat:
            return self.fit.covariance
        free = np.setdiff1d(np.arange(len(self.theta)), self.flat)
        out = np.zeros_like(self.fit.covariance)
        out[np.ix_(free, free)] = np.linalg.pinv(self.fit.information[np.ix_(free, free)])
        return out

    @property
    def raw_fit(self) -> Fit:
        """The fit in the user's coordinates."""
        back = np.linalg.inv(self.assembled.to_raw)
        t = self.assembled.to_raw
        return replace(
            self.fit,
            theta=self.assembled.raw(self.theta),
            covariance=t @ self.covariance @ t.T,
            information=back.T @ self.fit.information @ back,
        )

    @property
    def parameters(self) -> int:
        """How many were estimated."""
        return len(self.theta)

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return 2 * self.parameters - 2 * self.fit.log_likelihood

    @property
    def aicc(self) -> float:
        """The same corrected for the number of animals; infinite where there are too few."""
        n, p = self.model.histories.animals, self.parameters
        return self.aic + 2 * p * (p + 1) / (n - p - 1) if n > p + 1 else np.inf


def assemble(survey: Survey, terms: Terms) -> Assembled:
    """Return the model of these terms."""
    histories = survey.histories(terms)
    sexes = survey.records.sexes if terms.by_sex else []
    amplitude = detection_design(terms.detection, survey.detectors, sexes, histories.states, "detection")
    sigma = detection_design(terms.movement, survey.detectors, sexes, histories.states, "movement")
    density = _density(survey, terms)
    distances: Distances
    fixed: tuple[np.ndarray, np.ndarray] | None = None
    if terms.least_cost:
        paths = survey.paths(terms.resistance)
        distances = paths
        if not terms.resistance:
            found = paths(np.zeros(0), np.inf)[0]
            fixed = found, np.zeros((0, *found.shape))
    else:
        distances = _no_paths
        fixed = survey.ground.euclidean, np.zeros((0, *survey.ground.euclidean.shape))
    model = Model(
        histories=histories,
        area_km2=survey.ground.area_km2,
        density_design=density.matrix,
        amplitude_design=amplitude.matrix,
        sigma_design=sigma.matrix,
        shape=SHAPES[terms.function],
        sexes=max(len(sexes), 1),
        distances=distances,
        resistances=len(terms.resistance),
        conditional=survey.conditional,
        fixed_distance=fixed,
    )
    parts = (("density", density), (terms.amplitude, amplitude), ("sigma", sigma))
    labels = [(what, name) for what, design in parts for name in design.names]
    at = model.layout
    labels += [("shape", "(intercept)")] * (at.shape.stop - at.shape.start)
    labels += [("share", f"sex {sex}") for sex in sexes[1:]]
    labels += [("resistance", name) for name in terms.resistance]
    return Assembled(terms, model, labels, _to_raw(at, density, amplitude, sigma, survey, terms))


def _no_paths(_alpha: np.ndarray, _reach: float) -> tuple[np.ndarray, np.ndarray]:
    raise AssertionError("a model with straight distances has them from the start")


def _density(survey: Survey, terms: Terms) -> Design:
    if survey.conditional:
        return Design(np.zeros((len(survey.ground.cells), 0)), [], np.eye(0))
    covariates = [raster for raster in survey.covariates if str(raster.name) in terms.density]
    return density_design(terms.density, covariates, survey.ground)


def _to_raw(at: Layout, density: Design, amplitude: Design, sigma: Design, survey: Survey, terms: Terms) -> np.ndarray:
    to_raw = np.eye(at.size)
    for where, design in ((at.density, density), (at.amplitude, amplitude), (at.sigma, sigma)):
        to_raw[where, where] = design.to_raw
    to_raw[at.resistance, at.resistance] = np.diag([1 / survey.z_scale[name] for name in terms.resistance])
    return to_raw


def start_values(survey: Survey, assembled: Assembled) -> np.ndarray:
    """A first guess: sigma from the spread of captures, lambda0 from captures per animal, D from the area sampled."""
    model = assembled.model
    at, histories = model.layout, model.histories
    thin = slice(None, None, max(1, len(model.area_km2) // 1000))
    distance = survey.ground.euclidean[:, thin] if model.fixed_distance is None else model.fixed_distance[0][:, thin]
    sigma = survey.sigma0 * (0.6 if model.shape[0] == 1 else 1.0)
    area = model.area_km2[thin] * len(model.area_km2) / len(model.area_km2[thin])
    ratio = distance / sigma
    kernel = np.exp(-ratio) if model.shape[0] == 1 else np.exp(-0.5 * ratio**2)
    total = histories.patterns.effort[0] @ kernel
    each = max(histories.count.sum() / histories.animals, 1.02)
    tried = np.linspace(-9.0, 3.0, 40)
    caught = np.array([np.exp(a) * (total @ area) / (-np.expm1(-np.exp(a) * total) @ area) for a in tried])
    log_hazard = float(np.interp(np.log(each), np.log(caught), tried))
    theta = np.zeros(at.size)
    chance = min(-np.expm1(-np.exp(log_hazard)), 0.95)
    theta[at.amplitude.start] = np.log(chance / (1 - chance)) if model.shape[1] else log_hazard
    theta[at.sigma.start] = np.log(sigma)
    if at.shape.stop > at.shape.start:
        theta[at.shape] = np.log(3.0)
    if not model.conditional:
        sampled = float(-np.expm1(-np.exp(log_hazard) * total) @ area)
        theta[at.density.start] = np.log(histories.animals / max(sampled, 1e-12))
    return theta


def fit_model(survey: Survey, terms: Terms, start: Fitted | None = None) -> Fitted:
    """Fit the model of these terms, from ``start`` (the same terms without resistance) where it is given."""
    assembled = assemble(survey, terms)
    model = assembled.model
    at = model.layout
    if start is None:
        theta, inverse = start_values(survey, assembled), None
    else:
        extra = at.size - len(start.theta)
        theta = np.concatenate([start.theta, np.zeros(extra)])
        inverse = np.zeros((at.size, at.size))
        inverse[: len(start.theta), : len(start.theta)] = start.covariance
        inverse[np.arange(at.size - extra, at.size), np.arange(at.size - extra, at.size)] = 0.1
    first = model.value_and_gradient(theta)
    if not np.isfinite(first[0]):
        theta = _possible(survey, model, theta)
        first = model.value_and_gradient(theta)
    wide = np.zeros(at.size, bool)
    wide[at.resistance] = True
    fit = maximise(model.value_and_gradient, theta, inverse, wide if wide.any() else None, first)
    return Fitted(assembled, fit)


def _possible(survey: Survey, model: Model, theta: np.ndarray) -> np.ndarray:
    """Widen sigma until every animal's captures are possible, or say whose are not."""
    theta = theta.copy()
    for _ in range(12):
        theta[model.layout.sigma.start] += 0.4
        if np.isfinite(model.log_likelihood(theta)):
            return theta
    distance = model.distances(theta[model.layout.resistance], np.inf)[0] if model.fixed_distance is None else None
    distance = model.fixed_distance[0] if model.fixed_distance is not None else distance
    assert distance is not None
    reached = np.isfinite(distance)
    for i, name in enumerate(survey.records.animals):
        mine = np.unique(survey.records.detector[survey.records.animal == i])
        if not reached[mine].all(axis=0).any():
            names = ", ".join(survey.detectors.names[k] for k in mine[:4])
            raise LinkwaysError(
                f"{ID}: no cell of the mask can be reached from all detectors that captured {name} ({names}); fill the "
                "cells without a value between them, or correct the capture"
            )
    raise LinkwaysError(
        f"{ID}: no start was found at which these captures are possible; check that x and y of the detectors and the "
        "raster are in the same place"
    )


def check_information(fitted: Fitted) -> None:
    """Refuse a fit whose likelihood is flat along some direction, by the parameter that leads it."""
    fit = fitted.fit
    free = np.setdiff1d(np.arange(len(fit.theta)), fitted.flat)
    information = fit.information[np.ix_(free, free)]
    diagonal = np.diag(information)
    bad: int | None = None
    if (diagonal <= 0).any() or not np.isfinite(information).all():
        bad = int(np.argmin(np.where(np.isfinite(diagonal), diagonal, -np.inf)))
    else:
        scale = 1 / np.sqrt(diagonal)
        values, vectors = np.linalg.eigh(information * np.outer(scale, scale))
        errors = np.sqrt(np.diag((vectors / np.maximum(values, 1e-300)) @ vectors.T)) * scale
        if values[0] < 1e-9:
            bad = int(np.abs(vectors[:, 0]).argmax())
        elif errors.max() > 30:
            bad = int(errors.argmax())
    if bad is not None:
        what, term = fitted.assembled.labels[free[bad]]
        name = what if term == "(intercept)" else f"{term} on {what}"
        raise LinkwaysError(
            f"{ID}: the parameter of {name} cannot be told from these captures (the likelihood is flat along it); "
            "leave the term out, or choose a simpler detection function"
        )


def profile_of(survey: Survey, fitted: Fitted, index: int, depth: float) -> tuple[Fitted, Interval]:
    """Return the profile interval of a parameter in the user's units, and the fit.

    The fit is moved up if the profile found a higher place. A resistance parameter is followed to where a cell of the
    greatest resistance is farther across than any detector reaches; a likelihood that is level from some value on has
    no maximum there, and the parameter counts as flat.
    """
    for _ in range(3):
        raw = fitted.raw_fit
        is_resistance = fitted.assembled.labels[index][0] == "resistance"
        at = float(raw.theta[index])
        bounds = _bounds(survey, fitted, index) if is_resistance else (at - 25, at + 25)
        found = profile_interval(fitted.assembled.raw_objective, raw, index, depth, bounds)
        best = max(found.points, key=lambda point: point[1])
        if best[1] < fitted.fit.log_likelihood + 0.005:
            break
        theta = fitted.theta.copy()
        theta[index] = best[0] / fitted.assembled.to_raw[index, index] if is_resistance else theta[index]
        wide = np.array([what == "resistance" for what, _ in fitted.assembled.labels])
        fitted = replace(fitted, fit=maximise(fitted.model.value_and_gradient, theta, None, wide))
    heights = [height for _, height in found.points]
    if is_resistance and max(heights) - min(heights) < _FLAT and not np.isfinite([found.low, found.high]).any():
        name = fitted.assembled.labels[index][1]
        raise LinkwaysError(
            f"{ID}: the resistance of {name} cannot be told: the likelihood is the same whatever its value, since it "
            "lies beyond what the detectors reach; leave it out, or add detectors near it"
        )
    if is_resistance and _level(found, fitted):
        fitted = replace(fitted, flat=(*fitted.flat, index))
    return fitted, found


def _level(found: Interval, fitted: Fitted) -> bool:
    """Whether the profile is as high at an open end as at its maximum."""
    ends = [found.points[0]] * (not np.isfinite(found.low)) + [found.points[-1]] * (not np.isfinite(found.high))
    return any(height > fitted.fit.log_likelihood - _FLAT for _, height in ends)


def _bounds(survey: Survey, fitted: Fitted, index: int) -> tuple[float, float]:
    cell = float(np.sqrt(survey.ground.geometry.area_m2.min()))
    reach = min(fitted.model.reach(fitted.theta), 1e3 * cell)
    widest = max(np.log1p(4 * reach / cell), 3.0) * fitted.assembled.to_raw[index, index]
    centre = fitted.raw_fit.theta[index]
    return min(-widest, centre - 1.0), max(widest, centre + 1.0)


def note_edges(fitted: Fitted) -> None:
    """Tell estimates that lie so far out that their standard errors mean little."""
    raw = fitted.raw_fit
    for (what, term), value, error in zip(
        fitted.assembled.labels, raw.theta, np.sqrt(np.diag(raw.covariance)), strict=True
    ):
        if what in ("g0", "share") and (abs(value) > 7 or error > 5):
            note(f"{ID}: {what} {term} lies at the edge of its range ({value:.3g}); its standard error means little")
