"""Species diversity from counts: Hill numbers, their estimates, coverage, and accumulation (Chao et al. 2014)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Sample", "accumulated", "bootstrapped", "coverage_at", "estimated", "observed", "size_at_coverage"]


@dataclass(frozen=True)
class Sample:
    """How often each species was found: events, or sampling units with it."""

    counts: np.ndarray
    """Above 0."""
    size: int
    """Events, or sampling units, in all."""
    incidence: bool

    @property
    def total(self) -> int:
        """Events, or incidences, of all species."""
        return int(self.counts.sum())

    @property
    def once(self) -> int:
        """Species found once."""
        return int((self.counts == 1).sum())

    @property
    def twice(self) -> int:
        """Species found twice."""
        return int((self.counts == 2).sum())

    @property
    def unseen(self) -> float:
        """Chao's lower bound of the species not found: ``(n-1)/n f1^2 / (2 f2)``."""
        first, second = self.once, self.twice
        pairs = first**2 / (2 * second) if second else first * (first - 1) / 2
        return (self.size - 1) / self.size * pairs

    @property
    def turning(self) -> float:
        """``A``: the chance that the next one of a species found once is of a species found before."""
        first, second, n = self.once, self.twice, self.size
        if second:
            return 2 * second / ((n - 1) * first + 2 * second)
        return 2 / ((n - 1) * (first - 1) + 2) if first else 1.0


def observed(sample: Sample) -> np.ndarray:
    """Hill numbers of order 0, 1 and 2 of the counts: ``(sum p^q)^(1/(1-q))``, ``exp(Shannon)`` for 1."""
    p = sample.counts / sample.counts.sum()
    return np.array([p.size, math.exp(-(p * np.log(p)).sum()), 1 / (p**2).sum()])


def estimated(sample: Sample) -> np.ndarray:
    """Asymptotic Hill numbers: Chao1 or Chao2, Chao's Shannon (Chao, Wang and Jost 2013), and unbiased Simpson."""
    n, x = sample.size, sample.counts.astype(float)
    richness = x.size + sample.unseen
    shannon = _shannon(sample)
    pairs = (x * (x - 1)).sum()
    if sample.incidence:
        shannon = n / sample.total * shannon + math.log(sample.total / n)
        simpson = sample.total**2 * (n - 1) / (n * pairs) if pairs else math.nan
    else:
        simpson = n * (n - 1) / pairs if pairs else math.nan
    return np.array([richness, math.exp(shannon), simpson])


def _shannon(sample: Sample) -> float:
    """Estimate of ``-sum p log p``, where p is the chance of a species in one event or unit."""
    from scipy.special import digamma

    n, x = sample.size, sample.counts.astype(float)
    seen = float((x / n * (digamma(n) - digamma(x)))[x < n].sum())
    a = sample.turning
    if sample.once == 0 or a >= 1:
        return seen
    return seen + sample.once / n * _tail(n, a)


def _tail(n: int, a: float) -> float:
    """``(1-A)^(1-n) (-log A - sum_{r<n} (1-A)^r / r) = sum_{j>0} (1-A)^j / (n-1+j)``, in the form that is exact."""
    if n * a > 5:
        j = np.arange(1, math.ceil(40 / a) + 1)
        return float(((1 - a) ** j / (n - 1 + j)).sum())
    r = np.arange(1, n)
    return float((-math.log(a) - ((1 - a) ** r / r).sum()) * (1 - a) ** (1 - n))


def coverage_at(sample: Sample, sizes: np.ndarray) -> np.ndarray:
    """Expected coverage of samples of some sizes: the share of events (or incidences) of species found."""
    n, x = sample.size, sample.counts.astype(float)
    sizes = np.asarray(sizes, dtype=float)
    missing = np.empty(sizes.size)
    below = sizes < n
    if below.any():
        lost = _chance_missed(x, n - 1, sizes[below], n)
        missing[below] = (x[:, None] / sample.total * lost).sum(axis=0)
    more = sizes[~below] - n
    missing[~below] = sample.once / sample.total * (1 - sample.turning) ** (more + 1)
    return 1 - missing


def _chance_missed(x: np.ndarray, n: int, sizes: np.ndarray, whole: int) -> np.ndarray:
    """(species, sizes) ``C(whole - x, m) / C(n, m)``; 0 where more are drawn than there are others."""
    from scipy.special import gammaln

    others = whole - x[:, None]
    m = sizes[None, :]
    possible = others >= m
    room = np.where(possible, others - m, 0.0)
    logs = gammaln(others + 1) - gammaln(room + 1) - gammaln(n + 1) + gammaln(n - m + 1)
    return np.where(possible, np.exp(np.minimum(logs, 0.0)), 0.0)


def accumulated(sample: Sample, sizes: np.ndarray) -> np.ndarray:
    """Expected species in samples of some sizes: rarefied below the size of the sample, extrapolated above."""
    n, x = sample.size, sample.counts.astype(float)
    sizes = np.asarray(sizes, dtype=float)
    found = np.empty(sizes.size)
    below = sizes <= n
    if below.any():
        found[below] = (1 - _chance_missed(x, n, sizes[below], n)).sum(axis=0)
    unseen = sample.unseen
    if (~below).any():
        share = 1.0 if unseen <= 0 else 1 - sample.once / (n * unseen + sample.once)
        found[~below] = x.size + max(unseen, 0.0) * (1 - share ** (sizes[~below] - n))
    return found


def size_at_coverage(sample: Sample, coverage: float) -> float:
    """The size at which this coverage is expected, infinite where no size reaches it."""
    low, high = 1.0, float(sample.size)
    while coverage_at(sample, np.array([high]))[0] < coverage:
        if high > 1e9 * sample.size:
            return math.inf
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        if coverage_at(sample, np.array([middle]))[0] < coverage:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def bootstrapped(
    sample: Sample, measure: Callable[[Sample], np.ndarray], repeats: int, rng: np.random.Generator
) -> np.ndarray:
    """Standard errors of a measure, from samples of the community that the sample suggests (Chao et al. 2014).

    It has the species found, their chances lessened by what coverage says is missing, and Chao's number of unseen
    species, which share the rest equally.
    """
    chances = _community(sample)
    values = []
    for _ in range(repeats):
        if sample.incidence:
            drawn = rng.binomial(sample.size, chances)
        else:
            drawn = rng.multinomial(sample.size, chances / chances.sum())
        drawn = drawn[drawn > 0]
        if drawn.size:
            values.append(measure(Sample(drawn, sample.size, sample.incidence)))
    if len(values) < 2:
        return np.full(measure(sample).shape, np.nan)
    return np.asarray(np.nanstd(np.array(values), axis=0, ddof=1))


def _community(sample: Sample) -> np.ndarray:
    n, x = sample.size, sample.counts.astype(float)
    per_unit = sample.total / n if sample.incidence else 1.0
    gap = per_unit * (1 - float(coverage_at(sample, np.array([n]))[0]))
    p = x / n
    missed = (p * (1 - p) ** n).sum()
    unseen = math.ceil(sample.unseen)
    if unseen <= 0 or missed <= 0 or gap <= 0:
        return p
    seen = p * (1 - gap / missed * (1 - p) ** n)
    return np.concatenate([np.clip(seen, 0, 1), np.full(unseen, min(gap / unseen, 1.0))])
