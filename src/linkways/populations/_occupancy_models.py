"""Occupancy models: log-likelihood with its gradient, what it says of every site, simulation, chances of histories.

A model holds the visits and one matrix for each of its parts (occupancy, detection, ...); its coefficients are those of
the parts one after the other. It is given new visits by ``dataclasses.replace``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["PARTS", "Dynamic", "Evaluation", "FalsePositive", "Model", "Network", "RoyleNichols", "Single", "expit"]

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

PARTS: dict[str, tuple[str, ...]] = {
    "single": ("occupancy", "detection"),
    "royle_nichols": ("occupancy", "detection"),
    "false_positive": ("occupancy", "detection", "false_detection", "confirmation"),
    "dynamic": ("occupancy", "colonisation", "extinction", "detection"),
}


def expit(eta: Floats) -> Floats:
    """Inverse logit."""
    from scipy.special import expit as inverse

    return np.asarray(inverse(eta))


@dataclass(frozen=True)
class Evaluation:
    """A model at some coefficients."""

    log_likelihood: float
    gradient: Floats
    occupied: Floats
    """P(occupied | visits) of every unit (site, or site and season)."""


@dataclass(frozen=True)
class Model:
    """What all occupancy models have."""

    first: Numbers
    """(units + 1,) where the visits of each unit begin."""
    y: Numbers
    blocks: Mapping[str, Floats]
    """The matrix of each part: one row for each site, transition or visit."""

    @property
    def sizes(self) -> dict[str, int]:
        """Number of coefficients of each part."""
        return {name: x.shape[1] for name, x in self.blocks.items()}

    @property
    def count(self) -> int:
        """Number of coefficients."""
        return sum(self.sizes.values())

    def split(self, theta: Floats) -> dict[str, Floats]:
        """The coefficients of each part."""
        ends = np.cumsum(list(self.sizes.values()))
        return dict(zip(self.blocks, np.split(theta[: ends[-1]], ends[:-1]), strict=True))

    def predictors(self, theta: Floats) -> dict[str, Floats]:
        """The linear predictor of each part."""
        return {name: np.ascontiguousarray(self.blocks[name] @ b) for name, b in self.split(theta).items()}

    def gathered(self, by: Mapping[str, Floats]) -> Floats:
        """The gradient by coefficients from that by linear predictors."""
        return np.concatenate([self.blocks[name].T @ by[name] for name in self.blocks])

    def evaluate(self, theta: Floats) -> Evaluation:
        """Log-likelihood, gradient and P(occupied | visits)."""
        raise NotImplementedError

    def psi(self, theta: Floats) -> Floats:
        """P(occupied) of every unit, without its visits."""
        x = self.blocks["occupancy"]
        return expit(x @ theta[: x.shape[1]])

    def starts(self) -> list[Floats]:
        """Coefficients to begin from."""
        first = np.zeros(self.count)
        share = self._naive()
        second = first.copy()
        second[0] = np.log(share / (1 - share)) + 0.5
        second[self.offset("detection")] = self._detection_start()
        return [second, first]

    def offset(self, part: str) -> int:
        """Where the coefficients of a part begin."""
        return sum(size for name, size in list(self.sizes.items())[: list(self.sizes).index(part)])

    def _naive(self) -> float:
        seen = np.add.reduceat(np.append(self.y > 0, False), self.first[:-1])[np.diff(self.first) > 0]
        return float(np.clip(np.mean(seen > 0), 0.02, 0.95))

    def _detection_start(self) -> float:
        units = np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))
        seen = np.zeros(len(self.first) - 1, bool)
        seen[units[self.y > 0]] = True
        share = float(np.clip(np.mean(self.y[seen[units]] > 0), 0.05, 0.95))
        return float(np.log(share / (1 - share)))

    def simulate(self, theta: Floats, rng: np.random.Generator) -> Numbers:
        """New detections on the same visits."""
        raise NotImplementedError

    def chances(self, theta: Floats, units: Numbers, visits: Numbers, codes: Numbers) -> Floats:
        """(histories, units) P(history) of units that have the same occasions.

        Args:
            theta: coefficients.
            units: (m,) which.
            visits: (m, J) their visits.
            codes: (h, J) histories.
        """
        raise NotImplementedError

    def thinned(self, every: int) -> "Model":
        """The model of every so many sites, of one season and with visits that are all alike."""
        first = self.first
        units = np.arange(0, len(first) - 1, every)
        count = np.diff(first)[units]
        visits = np.repeat(first[units] - np.concatenate([[0], np.cumsum(count)[:-1]]), count) + np.arange(count.sum())
        blocks = {name: x[units if name == "occupancy" else visits] for name, x in self.blocks.items()}
        ends = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        return replace(self, first=ends, y=self.y[visits], blocks=blocks)

    def unit_of_visit(self) -> Numbers:
        """The unit each visit is of."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))


def _bernoulli(codes: Numbers, log_p: Floats, log_q: Floats) -> Floats:
    """(h, m) log chance of histories of 0 and 1 where occupied."""
    seen = (codes > 0).astype(float)
    return np.asarray(seen @ log_p.T + (1 - seen) @ log_q.T)


def _log_expit(eta: Floats) -> Floats:
    return -np.logaddexp(0.0, -eta)


@dataclass(frozen=True)
class Single(Model):
    """One season (MacKenzie et al., 2002)."""

    def evaluate(self, theta: Floats) -> Evaluation:
        from linkways.populations._occupancy_kernels import single

        eta = self.predictors(theta)
        by = {name: np.empty(len(values)) for name, values in eta.items()}
        occupied = np.empty(len(self.first) - 1)
        total = single(
            self.first, self.y, eta["occupancy"], eta["detection"], by["occupancy"], by["detection"], occupied
        )
        return Evaluation(total, self.gathered(by), occupied)

    def simulate(self, theta: Floats, rng: np.random.Generator) -> Numbers:
        there = rng.random(len(self.first) - 1) < self.psi(theta)
        p = expit(self.predictors(theta)["detection"])
        return ((rng.random(len(p)) < p) & there[self.unit_of_visit()]).astype(np.int64)

    def chances(self, theta: Floats, units: Numbers, visits: Numbers, codes: Numbers) -> Floats:
        eta = self.predictors(theta)["detection"][visits]
        psi = self.psi(theta)[units]
        given = np.exp(_bernoulli(codes, _log_expit(eta), _log_expit(-eta)))
        return np.asarray(psi * given + np.outer((codes == 0).all(axis=1), 1 - psi))


@dataclass(frozen=True)
class FalsePositive(Model):
    """Visits that may err, and such that cannot (Miller et al., 2011)."""

    certain: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))

    def evaluate(self, theta: Floats) -> Evaluation:
        from linkways.populations._occupancy_kernels import false_positive

        eta = self.predictors(theta)
        sure = "confirmation" in eta
        nothing = np.zeros(len(self.y))
        by = {name: np.empty(len(values)) for name, values in eta.items()}
        occupied = np.empty(len(self.first) - 1)
        total = false_positive(
            self.first,
            self.y,
            self.certain,
            sure,
            eta["occupancy"],
            eta["detection"],
            eta["false_detection"],
            eta.get("confirmation", nothing),
            by["occupancy"],
            by["detection"],
            by["false_detection"],
            by.get("confirmation", nothing),
            occupied,
        )
        return Evaluation(total, self.gathered(by), occupied)

    def starts(self) -> list[Floats]:
        # detection begins above false detection: without certain visits the two could change places
        out = []
        for share in (-1.0, -3.0):
            start = np.zeros(self.count)
            start[self.offset("detection")] = max(self._detection_start(), 0.0)
            start[self.offset("false_detection")] = share
            out.append(start)
        return out

    def swapped(self, theta: Floats) -> Floats:
        """The mirror image: sites and detections change their meaning."""
        parts = self.split(theta)
        out = theta.copy()
        out[: len(parts["occupancy"])] *= -1
        if self.blocks["detection"].shape[1] == self.blocks["false_detection"].shape[1]:
            at, other = self.offset("detection"), self.offset("false_detection")
            size = len(parts["detection"])
            out[at : at + size], out[other : other + size] = parts["false_detection"], parts["detection"]
        return out

    def simulate(self, theta: Floats, rng: np.random.Generator) -> Numbers:
        eta = self.predictors(theta)
        there = (rng.random(len(self.first) - 1) < self.psi(theta))[self.unit_of_visit()]
        chance = np.where(there, expit(eta["detection"]), np.where(self.certain, 0.0, expit(eta["false_detection"])))
        y = (rng.random(len(chance)) < chance).astype(np.int64)
        if "confirmation" in eta:
            confirmed = rng.random(len(chance)) < expit(eta["confirmation"])
            y[(y > 0) & there & ~self.certain & confirmed] = 2
        return y

    def chances(self, theta: Floats, units: Numbers, visits: Numbers, codes: Numbers) -> Floats:
        eta = {name: values[visits] for name, values in self.predictors(theta).items() if name != "occupancy"}
        psi = self.psi(theta)[units]
        certain = self.certain[visits]
        there = _bernoulli(codes, _log_expit(eta["detection"]), _log_expit(-eta["detection"]))
        wrong = _log_expit(eta["false_detection"])
        absent = _bernoulli(codes, np.where(certain, -1e4, wrong), np.where(certain, 0, np.log1p(-np.exp(wrong))))
        absent += np.where(codes == 2, -1e4, 0.0).sum(axis=1)[:, None]
        if "confirmation" in eta:
            b = eta["confirmation"]
            there += (codes == 2) @ _log_expit(b).T + (codes == 1) @ np.where(certain, 0.0, _log_expit(-b)).T
        return np.asarray(psi * np.exp(there) + (1 - psi) * np.exp(absent))


@dataclass(frozen=True)
class RoyleNichols(Model):
    """Abundance behind detection (Royle and Nichols, 2003); occupancy terms act on log abundance."""

    most: int = 25

    def evaluate(self, theta: Floats) -> Evaluation:
        from scipy.special import gammaln

        from linkways.populations._occupancy_kernels import royle_nichols

        eta = self.predictors(theta)
        by = {name: np.empty(len(values)) for name, values in eta.items()}
        occupied = np.empty(len(self.first) - 1)
        factorial = gammaln(np.arange(self.most + 1) + 1.0)
        total = royle_nichols(
            self.first,
            self.y,
            eta["occupancy"],
            eta["detection"],
            self.most,
            factorial,
            by["occupancy"],
            by["detection"],
            occupied,
        )
        return Evaluation(total, self.gathered(by), occupied)

    def starts(self) -> list[Floats]:
        low, flat = super().starts()
        low[0], low[self.offset("detection")] = np.log(-np.log1p(-self._naive())), self._detection_start() - 0.5
        return [low, flat]

    def psi(self, theta: Floats) -> Floats:
        return np.asarray(-np.expm1(-self.abundance(theta)))

    def abundance(self, theta: Floats) -> Floats:
        """Expected number of animals of every site."""
        x = self.blocks["occupancy"]
        return np.exp(np.minimum(x @ theta[: x.shape[1]], 30.0))

    def beyond(self, theta: Floats) -> float:
        """P(N = most) at the largest expected number."""
        from scipy.stats import poisson

        return float(poisson.pmf(self.most, self.abundance(theta).max()))

    def simulate(self, theta: Floats, rng: np.random.Generator) -> Numbers:
        number = rng.poisson(np.minimum(self.abundance(theta), 1e6))[self.unit_of_visit()]
        missed = _log_expit(-self.predictors(theta)["detection"]) * number
        return (rng.random(len(missed)) < -np.expm1(missed)).astype(np.int64)

    def chances(self, theta: Floats, units: Numbers, visits: Numbers, codes: Numbers) -> Floats:
        from scipy.stats import poisson

        log_q = _log_expit(-self.predictors(theta)["detection"][visits])
        mean = self.abundance(theta)[units]
        total = np.outer((codes == 0).all(axis=1), np.exp(-mean))
        for number in range(1, self.most + 1):
            log_p = np.log(-np.expm1(number * log_q))
            total += poisson.pmf(number, mean) * np.exp(_bernoulli(codes, log_p, number * log_q))
        return np.asarray(total)


@dataclass(frozen=True)
class Network:
    """How far sites are from each other, for colonisation from occupied sites around."""

    distance: Floats
    """(to, from); infinite where nobody comes."""
    unit: float
    """Distance that a coefficient of 0 stands for."""
    given: bool
    """Whether the mean distance of dispersal is given (``unit``), not estimated."""

    def kernel(self, theta: float) -> Floats:
        """exp(-d / a), a = unit exp(theta)."""
        return np.asarray(np.exp(-self.distance / (self.unit * np.exp(theta))))

    @property
    def scale(self) -> float:
        """Mean connectivity if all sites were occupied: what connectivity is divided by within the fit."""
        return float(max(self.kernel(0.0).sum(axis=1).mean(), 1e-12))


@dataclass(frozen=True)
class Dynamic(Model):
    """Colonisation and extinction between seasons (MacKenzie et al., 2003), optionally from occupied sites around.

    With a network, logit gamma_it = x b + c S_it, S_it = sum_j psi_jt exp(-d_ij / a) / scale, psi_jt the model's own
    occupancy of site j; its coefficients c (and log of a) come last.
    """

    seasons: int = 2
    network: Network | None = None

    @property
    def count(self) -> int:
        extra = 0 if self.network is None else (1 if self.network.given else 2)
        return super().count + extra

    def evaluate(self, theta: Floats) -> Evaluation:
        from linkways.populations._occupancy_kernels import dynamic

        eta = self.predictors(theta)
        sites, steps = len(eta["occupancy"]), self.seasons - 1
        walk = self._walk(theta, eta)
        eta["colonisation"] = walk.eta
        by = {name: np.empty(len(values)) for name, values in eta.items()}
        smoothed = np.empty(sites * self.seasons)
        total = dynamic(
            self.first,
            self.y,
            self.seasons,
            eta["occupancy"],
            eta["colonisation"],
            eta["extinction"],
            eta["detection"],
            by["occupancy"],
            by["colonisation"],
            by["extinction"],
            by["detection"],
            smoothed,
        )
        extra = np.empty(0)
        if self.network is not None:
            extra = self._backwards(theta, walk, by, sites, steps)
        return Evaluation(total, np.concatenate([self.gathered(by), extra]), smoothed)

    def _strength(self, theta: Floats) -> tuple[float, float]:
        assert self.network is not None
        if self.network.given:
            return float(theta[-1]), 0.0
        return float(theta[-2]), float(np.clip(theta[-1], -20.0, 20.0))

    def _walk(self, theta: Floats, eta: Mapping[str, Floats]) -> "_Walk":
        """Occupancy from season to season as the model foretells it."""
        psi = expit(eta["occupancy"])
        sites, steps = len(psi), self.seasons - 1
        linear = eta["colonisation"].reshape(sites, steps).copy()
        gone = expit(eta["extinction"]).reshape(sites, steps)
        occupied, around = np.empty((sites, steps + 1)), np.zeros((sites, steps))
        occupied[:, 0] = psi
        kernel = np.empty((0, 0))
        if self.network is not None:
            strength, log_a = self._strength(theta)
            kernel = self.network.kernel(log_a) / self.network.scale
        for t in range(steps):
            if self.network is not None:
                around[:, t] = kernel @ occupied[:, t]
                linear[:, t] += strength * around[:, t]
            come = expit(linear[:, t])
            occupied[:, t + 1] = occupied[:, t] * (1 - gone[:, t]) + (1 - occupied[:, t]) * come
        return _Walk(occupied, around, np.ascontiguousarray(linear.ravel()), gone, kernel)

    def _backwards(self, theta: Floats, walk: "_Walk", by: dict[str, Floats], sites: int, steps: int) -> Floats:
        """Add what acts through the occupancy of others to the gradient (adjoint of the walk)."""
        assert self.network is not None
        strength, log_a = self._strength(theta)
        come = expit(walk.eta).reshape(sites, steps)
        to_come, to_gone = by["colonisation"].reshape(sites, steps), by["extinction"].reshape(sites, steps)
        finite = np.where(np.isfinite(self.network.distance), self.network.distance, 0.0)
        sloped = walk.kernel * finite / (self.network.unit * np.exp(log_a))
        carried = np.zeros(sites)
        by_strength = by_a = 0.0
        for t in range(steps - 1, -1, -1):
            here = walk.occupied[:, t]
            to_come[:, t] += carried * (1 - here) * come[:, t] * (1 - come[:, t])
            to_gone[:, t] -= carried * here * walk.gone[:, t] * (1 - walk.gone[:, t])
            by_strength += float(to_come[:, t] @ walk.around[:, t])
            pulled = strength * to_come[:, t]
            by_a += float(pulled @ (sloped @ here))
            carried = carried * (1 - walk.gone[:, t] - come[:, t]) + walk.kernel.T @ pulled
        psi = walk.occupied[:, 0]
        by["occupancy"] += carried * psi * (1 - psi)
        return np.array([by_strength] if self.network.given else [by_strength, by_a])

    def psi(self, theta: Floats) -> Floats:
        return np.asarray(self._walk(theta, self.predictors(theta)).occupied.ravel())

    def starts(self) -> list[Floats]:
        start, flat = super().starts()
        start[self.offset("colonisation")] = -1.0
        start[self.offset("extinction")] = -1.0
        return [start, flat]

    def rates(self, theta: Floats) -> tuple[Floats, Floats]:
        """(sites, seasons - 1) chances of colonisation and extinction."""
        walk = self._walk(theta, self.predictors(theta))
        return expit(walk.eta).reshape(walk.gone.shape), walk.gone

    def simulate(self, theta: Floats, rng: np.random.Generator) -> Numbers:
        eta = self.predictors(theta)
        come, gone = self.rates(theta)
        there = np.empty((len(come), self.seasons), bool)
        there[:, 0] = rng.random(len(come)) < expit(eta["occupancy"])
        for t in range(self.seasons - 1):
            chance = np.where(there[:, t], 1 - gone[:, t], come[:, t])
            there[:, t + 1] = rng.random(len(come)) < chance
        p = expit(eta["detection"])
        return ((rng.random(len(p)) < p) & there.ravel()[self.unit_of_visit()]).astype(np.int64)

    def chances(self, theta: Floats, units: Numbers, visits: Numbers, codes: Numbers) -> Floats:
        eta = self.predictors(theta)["detection"][visits]
        psi = self.psi(theta)[units]
        given = np.exp(_bernoulli(codes, _log_expit(eta), _log_expit(-eta)))
        return np.asarray(psi * given + np.outer((codes == 0).all(axis=1), 1 - psi))


@dataclass(frozen=True)
class _Walk:
    occupied: Floats
    around: Floats
    eta: Floats
    gone: Floats
    kernel: Floats
