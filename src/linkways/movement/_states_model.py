"""The hidden Markov model of steps and turns: its likelihood with gradient, its fit, and what follows from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Chains", "Model", "fit", "standard_errors"]


@dataclass(frozen=True)
class Chains:
    """What is observed: steps and turns in chains without gaps, and covariates of the moves between states."""

    step: np.ndarray
    """(n,) lengths, NaN where unknown."""
    turn: np.ndarray
    """(n,) radians, NaN where unknown."""
    start: np.ndarray
    """Chain c holds the observations start[c] to start[c + 1] - 1."""
    covariates: np.ndarray
    """(n, k) of the fix at which the observation's step begins."""

    @property
    def has_zeros(self) -> bool:
        """Whether a step has length 0, so that its probability belongs to the model."""
        return bool((self.step == 0).any())

    @cached_property
    def prepared(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """step, log step, cos turn, sin turn."""
        with np.errstate(divide="ignore"):
            return self.step, np.log(self.step), np.cos(self.turn), np.sin(self.turn)


@dataclass(frozen=True)
class Model:
    """Parameters of a model with K states, on the scale of the data.

    In state s a step is gamma with mean[s] and sd[s], or 0 with probability zero[s]; a turn is von Mises with the mean
    direction and concentration of the vector turn[:, s] = kappa (cos mu, sin mu). The first state of a chain follows
    ``initial``; the move from r to s at an observation with covariates z has the probability softmax over s of
    logits[r, s, 0] + logits[r, s, 1:] z, where logits[r, r] = 0.
    """

    mean: np.ndarray
    sd: np.ndarray
    zero: np.ndarray
    turn: np.ndarray
    initial: np.ndarray
    logits: np.ndarray

    @property
    def states(self) -> int:
        """How many states."""
        return len(self.mean)

    @property
    def kappa(self) -> np.ndarray:
        """Concentration of turns in every state."""
        return np.asarray(np.hypot(self.turn[0], self.turn[1]))

    @property
    def direction(self) -> np.ndarray:
        """Mean turn in every state, radians."""
        return np.asarray(np.arctan2(self.turn[1], self.turn[0]))

    def sorted(self) -> "Model":
        """The same model with states in the order of their mean step."""
        order = np.argsort((1 - self.zero) * self.mean, kind="stable")
        return Model(
            self.mean[order],
            self.sd[order],
            self.zero[order],
            self.turn[:, order],
            self.initial[order],
            self.logits[np.ix_(order, order)],
        )

    def transition(self, covariates: np.ndarray) -> np.ndarray:
        """(m, K, K) probabilities of moves; m is 1 without covariates."""
        if covariates.shape[1] == 0:
            predictor = self.logits[None, :, :, 0]
        else:
            predictor = self.logits[None, :, :, 0] + np.einsum("nk,rsk->nrs", covariates, self.logits[:, :, 1:])
        predictor = predictor - predictor.max(axis=2, keepdims=True)
        odds = np.exp(predictor)
        return np.asarray(odds / odds.sum(axis=2, keepdims=True))

    def log_densities(self, chains: Chains) -> np.ndarray:
        """(n, K) log densities of the observations."""
        from scipy.special import gammaln, i0e

        from linkways.movement._states_kernels import emissions

        shape, rate = (self.mean / self.sd) ** 2, self.mean / self.sd**2
        gamma = np.stack([shape - 1, rate, shape * np.log(rate) - gammaln(shape)])
        turn = np.vstack([self.turn, -np.log(2 * np.pi * i0e(self.kappa)) - self.kappa])
        with np.errstate(divide="ignore"):
            zero = np.log(np.stack([self.zero, 1 - self.zero]))
        return np.asarray(emissions(*chains.prepared, gamma, turn, zero))

    def passes(self, chains: Chains) -> tuple[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Log-likelihood, log densities, filtered and foreseen probabilities, and transitions."""
        from linkways.movement._states_kernels import forward

        logs = self.log_densities(chains)
        transition = self.transition(chains.covariates)
        value, filtered, foreseen = forward(logs, chains.start, self.initial, transition, len(transition) > 1)
        return float(value), logs, filtered, foreseen, transition

    def log_likelihood(self, chains: Chains) -> float:
        """Log density of all observations."""
        return self.passes(chains)[0]

    def foreseen(self, chains: Chains) -> np.ndarray:
        """(n, K) probabilities of the states given all observations before."""
        return self.passes(chains)[3]

    def posterior(self, chains: Chains) -> np.ndarray:
        """(n, K) probabilities of the states given all observations of the chain."""
        from linkways.movement._states_kernels import backward

        _, logs, filtered, foreseen, transition = self.passes(chains)
        return np.asarray(backward(logs, chains.start, filtered, foreseen, transition, len(transition) > 1)[0])

    def path(self, chains: Chains) -> np.ndarray:
        """(n,) the most likely sequence of states, from 0."""
        from linkways.movement._states_kernels import viterbi

        logs, transition = self.log_densities(chains), self.transition(chains.covariates)
        with np.errstate(divide="ignore"):
            initial, moves = np.log(self.initial), np.log(transition)
        return np.asarray(viterbi(logs, chains.start, initial, moves, len(transition) > 1))


@dataclass(frozen=True)
class _Layout:
    """How the parameters lie in the vector that is optimised: logarithms, logits and turn vectors without bounds."""

    states: int
    zeros: bool
    turn_mean: bool
    covariates: int

    @property
    def sizes(self) -> dict[str, int]:
        k = self.states
        return {
            "mean": k,
            "sd": k,
            "zero": k if self.zeros else 0,
            "turn": k * (2 if self.turn_mean else 1),
            "initial": k - 1,
            "logits": k * (k - 1) * (1 + self.covariates),
        }

    def parts(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        ends = np.cumsum(list(self.sizes.values()))
        return dict(zip(self.sizes, np.split(vector, ends[:-1]), strict=True))

    @property
    def moves(self) -> np.ndarray:
        return ~np.eye(self.states, dtype=bool)

    def model(self, vector: np.ndarray) -> Model:
        # a step of the search may go far; exp(50) stands for without bound
        part = self.parts(np.clip(vector, -50.0, 50.0))
        k = self.states
        turn = np.zeros((2, k))
        turn[: 2 if self.turn_mean else 1] = part["turn"].reshape(-1, k)
        logits = np.zeros((k, k, 1 + self.covariates))
        logits[self.moves] = part["logits"].reshape(-1, 1 + self.covariates)
        first = np.exp(np.concatenate([[0.0], part["initial"]]) - max(0.0, part["initial"].max(initial=0.0)))
        zero = 1 / (1 + np.exp(-part["zero"])) if self.zeros else np.zeros(k)
        return Model(np.exp(part["mean"]), np.exp(part["sd"]), zero, turn, first / first.sum(), logits)

    def vector(self, model: Model) -> np.ndarray:
        initial = np.clip(model.initial, 1e-8, None)
        zero = np.clip(model.zero, 1e-8, 1 - 1e-8)
        return np.concatenate(
            [
                np.log(model.mean),
                np.log(model.sd),
                np.log(zero / (1 - zero)) if self.zeros else [],
                model.turn[: 2 if self.turn_mean else 1].ravel(),
                np.log(initial[1:] / initial[0]),
                model.logits[self.moves].ravel(),
            ]
        )


def objective(vector: np.ndarray, layout: _Layout, chains: Chains) -> tuple[float, np.ndarray]:
    """Negative log-likelihood and its gradient.

    By Fisher's identity the gradient is that of the complete-data log-likelihood averaged over the smoothed
    probabilities of states and moves, so one backward pass gives all of it.
    """
    from scipy.special import digamma, i0e, i1e

    from linkways.movement._states_kernels import backward, sums

    model = layout.model(vector)
    value, logs, filtered, foreseen, transition = model.passes(chains)
    if not np.isfinite(value):
        return 1e300, np.zeros_like(vector)
    moving = len(transition) > 1
    smoothed, moves = backward(logs, chains.start, filtered, foreseen, transition, moving)
    count, total, log_total, zeros, turns, cosines, sines = sums(*chains.prepared, smoothed)
    shape, rate = (model.mean / model.sd) ** 2, model.mean / model.sd**2
    by_shape = log_total + count * (np.log(rate) - digamma(shape))
    by_rate = count * shape / rate - total
    kappa = np.maximum(model.kappa, 1e-300)
    pull = turns * i1e(kappa) / i0e(kappa) / kappa
    gradient = {
        # shape = (mean / sd)^2 and rate = mean / sd^2, both told by the logarithms of mean and sd
        "mean": 2 * shape * by_shape + rate * by_rate,
        "sd": -2 * shape * by_shape - 2 * rate * by_rate,
        "zero": zeros * (1 - model.zero) - count * model.zero if layout.zeros else np.zeros(0),
        "turn": (np.stack([cosines, sines]) - pull * model.turn)[: 2 if layout.turn_mean else 1].ravel(),
    }
    first = smoothed[chains.start[:-1]]
    gradient["initial"] = (first.sum(axis=0) - len(first) * model.initial)[1:]
    surplus = moves - moves.sum(axis=2, keepdims=True) * transition
    slopes = [np.einsum("n,nrs->rs", z, surplus)[layout.moves] for z in chains.covariates.T]
    columns = [surplus.sum(axis=0)[layout.moves], *slopes]
    gradient["logits"] = np.stack(columns, axis=1).ravel()
    return -value, -np.concatenate([gradient[name] for name in layout.sizes])


def fit(chains: Chains, states: int, *, turn_mean: bool, starts: int, rng: np.random.Generator) -> tuple[Model, float]:
    """The most likely model with so many states, sorted by mean step, and its log-likelihood.

    BFGS with the exact gradient from many starts: each is run for a few rounds, and the best are run to the end.
    """
    from scipy.optimize import minimize

    layout = _Layout(states, chains.has_zeros, turn_mean, chains.covariates.shape[1])

    def run(vector: np.ndarray, rounds: int) -> Any:
        # with few parameters a dense BFGS is as good as L-BFGS-B, whose small matrices keep all cores spinning
        return minimize(
            objective, vector, (layout, chains), "BFGS", jac=True, options={"maxiter": rounds, "gtol": 1e-5}
        )

    first = [run(layout.vector(model), 15) for model in _starts(chains, layout, starts, rng)]
    first.sort(key=lambda found: found.fun)
    best = min((run(found.x, 1000) for found in _different(first, 3)), key=lambda found: found.fun)
    return layout.model(best.x).sorted(), -float(best.fun)


def _different(runs: list[Any], most: int) -> Iterator[Any]:
    """The best runs that have not yet come to the same value."""
    seen: list[float] = []
    for found in runs:
        if all(abs(found.fun - value) > 1e-3 for value in seen):
            seen.append(found.fun)
            yield found
        if len(seen) == most:
            return


def _starts(chains: Chains, layout: _Layout, count: int, rng: np.random.Generator) -> Iterator[Model]:
    """Models to begin with: mean steps at random quantiles of the steps, the first at even ones."""
    k = layout.states
    steps = chains.step[chains.step > 0]
    share = float(np.mean(chains.step[np.isfinite(chains.step)] == 0))
    even = (np.arange(k) + 0.5) / k
    for number in range(count):
        quantiles = even if number == 0 else np.sort(rng.uniform(0.02, 0.98, k))
        mean = np.quantile(steps, quantiles) * np.exp(rng.normal(0, 0.1 if number else 0.0, k))
        turn = np.zeros((2, k))
        turn[0] = np.linspace(0.3, 2.0, k) if number == 0 else rng.exponential(1.5, k)
        stay = 0.9 if number == 0 else rng.uniform(0.6, 0.97)
        logits = np.zeros((k, k, 1 + layout.covariates))
        if k > 1:
            logits[layout.moves, 0] = np.log((1 - stay) / (k - 1) / stay)
        zero = np.full(k, share)
        yield Model(mean, mean * rng.uniform(0.5, 1.2) if number else mean, zero, turn, np.full(k, 1 / k), logits)


def standard_errors(model: Model, chains: Chains, *, turn_mean: bool) -> dict[str, np.ndarray]:
    """Standard errors of log mean, log sd, turn vector and logits from the curvature of the likelihood.

    The Hessian is taken by central differences of the exact gradient. Parameters at a bound (a first state, or a move
    that never happens) have no curvature and leave the others' errors as they are (pseudo-inverse).
    """
    layout = _Layout(model.states, chains.has_zeros, turn_mean, chains.covariates.shape[1])
    vector = layout.vector(model)
    hessian = np.empty((len(vector), len(vector)))
    for i in range(len(vector)):
        away = np.zeros_like(vector)
        away[i] = 1e-5 * max(1.0, abs(vector[i]))
        up, down = objective(vector + away, layout, chains)[1], objective(vector - away, layout, chains)[1]
        hessian[i] = (up - down) / (2 * away[i])
    hessian = (hessian + hessian.T) / 2
    # those whose curvature is lost in rounding tell nothing
    held = np.diag(hessian) > 1e-4
    variance = np.full(len(vector), np.nan)
    inverse = np.diag(np.linalg.pinv(hessian[np.ix_(held, held)], hermitian=True))
    variance[held] = np.where(inverse > 0, inverse, np.nan)
    return layout.parts(np.sqrt(variance))
