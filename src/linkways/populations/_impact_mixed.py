"""Counts before and after, by a Poisson or negative binomial model with random sites and times (Laplace).

log mu = X b + log effort + sigma_1 s_site + sigma_2 s_time, s standard normal. The integral over s is taken by
Laplace's method: L = h(s^) - 1/2 log |A|, h the joint log-density, s^ its maximum, A = I + Lambda Z' W Z Lambda its
curvature there. The gradient is exact: what s^ and A change with every parameter is followed through (implicit
differentiation).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mixed", "MixedFit", "fit_mixed"]

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
LEAST_SD = 0.02
"""A random effect whose standard deviation falls below this is left out."""
MOST_SIZE = 2000.0
"""A negative binomial of a larger size is a Poisson."""


@dataclass(frozen=True)
class Mixed:
    """Counts and what they may depend on."""

    y: Floats
    x: Floats
    offset: Floats
    groups: dict[str, Numbers]
    """For each random effect the level of every row; the one with more levels first."""
    overdispersed: bool

    @property
    def names(self) -> list[str]:
        """The parameters after the coefficients of x, on their log scales."""
        return [*self.groups, *(["size"] if self.overdispersed else [])]

    def start(self) -> Floats:
        """Coefficients by least squares of log counts, and middling spreads."""
        log = np.log(self.y + 0.5) - self.offset
        b = np.linalg.lstsq(self.x, log, rcond=None)[0]
        return np.concatenate([b, np.full(len(self.groups), -1.0), [1.0] if self.overdispersed else []])

    def evaluate(self, theta: Floats) -> tuple[float, Floats]:
        """The Laplace log-likelihood and its gradient."""
        p, q = self.x.shape[1], len(self.groups)
        sd = np.exp(np.clip(theta[p : p + q], -12, 5))
        size = float(np.exp(np.clip(theta[-1], -12, 16))) if self.overdispersed else np.inf
        linear = self.x @ theta[:p] + self.offset
        codes = list(self.groups.values())
        levels = [int(code.max()) + 1 for code in codes]
        s = [np.zeros(count) for count in levels]
        value = self._joint(linear, codes, sd, s, size)
        for _ in range(50):
            slope, w = self._slopes(self._eta(linear, codes, sd, s), size)[:2]
            to = [a * np.bincount(c, slope, m) - v for a, c, m, v in zip(sd, codes, levels, s, strict=True)]
            curve = _Curvature.of(w, codes, levels, sd)
            step = curve.solve(to)
            gain = sum(float(a @ b) for a, b in zip(step, to, strict=True))
            if gain < 1e-12:
                break
            part = 1.0
            while part > 1e-8:
                other = [v + part * d for v, d in zip(s, step, strict=True)]
                new = self._joint(linear, codes, sd, other, size)
                if new >= value - 1e-12:
                    break
                part /= 2
            s, value = other, new
        return self._laplace(linear, codes, levels, sd, s, size)

    def _laplace(
        self,
        linear: Floats,
        codes: list[Numbers],
        levels: list[int],
        sd: Floats,
        s: list[Floats],
        size: float,
    ) -> tuple[float, Floats]:
        eta = self._eta(linear, codes, sd, s)
        slope, w, bend = self._slopes(eta, size)
        curve = _Curvature.of(w, codes, levels, sd)
        value = self._joint(linear, codes, sd, s, size) - 0.5 * curve.log_determinant
        leverage = curve.leverage(codes, sd) if codes else np.zeros(len(eta))
        pull = -0.5 * leverage * bend
        q = curve.solve([a * np.bincount(c, pull, m) for a, c, m in zip(sd, codes, levels, strict=True)])
        moved = np.zeros(len(eta))
        for a, c, v in zip(sd, codes, q, strict=True):
            moved += a * v[c]
        by_eta = slope + pull - w * moved
        out = [self.x.T @ by_eta]
        for g, (a, c, m) in enumerate(zip(sd, codes, levels, strict=True)):
            own = a * s[g][c]
            total = float(by_eta @ own) - float(np.sum(1 - curve.diagonal(g)))
            out.append(np.array([total + float(q[g] @ (a * np.bincount(c, slope, m)))]))
        if self.overdispersed:
            by_size, slope_by, w_by = self._by_size(eta, size)
            total = by_size.sum() + float(slope_by @ moved)
            out.append(np.array([size * (total - 0.5 * float(leverage @ w_by))]))
        return value, np.concatenate(out)

    def _eta(self, linear: Floats, codes: list[Numbers], sd: Floats, s: list[Floats]) -> Floats:
        eta = linear.copy()
        for a, c, v in zip(sd, codes, s, strict=True):
            eta += a * v[c]
        return np.minimum(eta, 50.0)

    def _joint(self, linear: Floats, codes: list[Numbers], sd: Floats, s: list[Floats], size: float) -> float:
        from scipy.special import gammaln

        eta = self._eta(linear, codes, sd, s)
        mu = np.exp(eta)
        if np.isinf(size):
            own = self.y * eta - mu - gammaln(self.y + 1)
        else:
            own = gammaln(self.y + size) - gammaln(size) - gammaln(self.y + 1) + self.y * (eta - np.log(size + mu))
            own -= size * np.log1p(mu / size)
        return float(own.sum()) - 0.5 * sum(float(v @ v) for v in s)

    def _slopes(self, eta: Floats, size: float) -> tuple[Floats, Floats, Floats]:
        """First derivative of the log-density by eta, minus the second, and minus the third."""
        mu = np.exp(eta)
        if np.isinf(size):
            return self.y - mu, mu, mu
        whole = size + mu
        w = mu * size * (size + self.y) / whole**2
        return size * (self.y - mu) / whole, w, w * (size - mu) / whole

    def _by_size(self, eta: Floats, size: float) -> tuple[Floats, Floats, Floats]:
        """Derivatives by the size of the log-density, of its slope, and of its curvature."""
        from scipy.special import psi

        mu = np.exp(eta)
        whole = size + mu
        value = psi(self.y + size) - psi(size) - np.log1p(mu / size) + 1 - (size + self.y) / whole
        w = mu * (2 * size * mu - size * self.y + self.y * mu) / whole**3
        return value, (self.y - mu) * mu / whole**2, w


@dataclass(frozen=True)
class _Curvature:
    """A and its inverse where needed, by elimination of the first group, in which A is diagonal."""

    first: Floats
    """(n,) diagonal of the first group; empty without groups."""
    between: Floats
    """(n, m) of the first and second group."""
    second: Floats
    """(m, m) inverse of the Schur complement."""
    log_determinant: float

    @classmethod
    def of(cls, w: Floats, codes: list[Numbers], levels: list[int], sd: Floats) -> "_Curvature":
        if not codes:
            return cls(np.empty(0), np.empty((0, 0)), np.empty((0, 0)), 0.0)
        first = 1 + sd[0] ** 2 * np.bincount(codes[0], w, levels[0])
        value = float(np.log(first).sum())
        if len(codes) == 1:
            return cls(first, np.empty((levels[0], 0)), np.empty((0, 0)), value)
        cells = np.bincount(codes[0] * levels[1] + codes[1], w, levels[0] * levels[1])
        between = sd[0] * sd[1] * cells.reshape(levels[0], levels[1])
        own = np.diag(1 + sd[1] ** 2 * np.bincount(codes[1], w, levels[1]))
        schur = own - between.T @ (between / first[:, None])
        return cls(first, between, np.asarray(np.linalg.inv(schur)), value + float(np.linalg.slogdet(schur)[1]))

    def solve(self, right: list[Floats]) -> list[Floats]:
        """A^-1 right."""
        if not right:
            return []
        if len(right) == 1:
            return [right[0] / self.first]
        low = self.second @ (right[1] - self.between.T @ (right[0] / self.first))
        return [(right[0] - self.between @ low) / self.first, low]

    def diagonal(self, group: int) -> Floats:
        """The diagonal of A^-1."""
        if group == 1:
            return np.diag(self.second)
        if not self.second.size:
            return np.asarray(1 / self.first)
        return np.asarray(
            1 / self.first + np.einsum("ij,jk,ik->i", self.between, self.second, self.between) / self.first**2
        )

    def leverage(self, codes: list[Numbers], sd: Floats) -> Floats:
        """The diagonal of Z Lambda A^-1 Lambda Z'."""
        out = sd[0] ** 2 * self.diagonal(0)[codes[0]]
        if len(codes) == 2:
            cross = -(self.between @ self.second) / self.first[:, None]
            out = out + 2 * sd[0] * sd[1] * cross[codes[0], codes[1]] + sd[1] ** 2 * self.diagonal(1)[codes[1]]
        return np.asarray(out)


@dataclass(frozen=True)
class MixedFit:
    """A fitted model."""

    model: Mixed
    theta: Floats
    log_likelihood: float
    covariance: Floats
    dropped: tuple[str, ...]
    """Spreads that turned out to be nothing."""

    def spread(self, name: str) -> float:
        """Standard deviation of a random effect, or the size of the negative binomial (infinite: Poisson)."""
        if name in self.model.names:
            return float(np.exp(self.theta[self.model.x.shape[1] + self.model.names.index(name)]))
        return float("inf") if name == "size" else 0.0


def fit_mixed(model: Mixed, start: Floats | None = None) -> MixedFit:
    """The maximum of the Laplace likelihood; spreads at their boundary are left out and named."""
    from scipy.optimize import minimize

    def negative(theta: Floats) -> tuple[float, Floats]:
        value, slope = model.evaluate(theta)
        return -value, -slope

    found = minimize(
        negative,
        model.start() if start is None else start,
        jac=True,
        method="BFGS",
        options={"gtol": 1e-5, "maxiter": 300},
    )
    theta, p = np.asarray(found.x), model.x.shape[1]
    for position, name in enumerate(model.names):
        value = float(np.exp(np.clip(theta[p + position], -50, 50)))
        if name == "size" and value > MOST_SIZE:
            less = fit_mixed(replace(model, overdispersed=False), np.delete(theta, p + position))
        elif name != "size" and value < LEAST_SD:
            groups = {key: code for key, code in model.groups.items() if key != name}
            less = fit_mixed(replace(model, groups=groups), np.delete(theta, p + position))
        else:
            continue
        return replace(less, dropped=(*less.dropped, name))
    rows = []
    for k in range(len(theta)):
        step = np.zeros(len(theta))
        step[k] = 1e-4
        rows.append((model.evaluate(theta + step)[1] - model.evaluate(theta - step)[1]) / 2e-4)
    information = -np.array(rows)
    covariance = np.asarray(np.linalg.pinv((information + information.T) / 2, hermitian=True))
    return MixedFit(model, theta, -float(found.fun), covariance, ())
