"""Statistics of food choice: selection ratios, Manly's alpha, rank tests, Bradley-Terry worths. Numbers in and out."""

import math
from dataclasses import dataclass

import numpy as np

__all__ = [
    "Ratios",
    "Test",
    "Worths",
    "alphas",
    "alphas_interval",
    "bradley_terry",
    "conover",
    "friedman",
    "holm",
    "nemenyi",
    "quade",
    "ratio_tests",
    "ratios",
]


@dataclass(frozen=True)
class Test:
    """One test: what it asks, its statistic and degrees of freedom, and the probability of more under no effect."""

    name: str
    asks: str
    statistic: float
    df: float
    p: float


@dataclass(frozen=True)
class Ratios:
    """Selection ratios of the foods, and the covariance of their estimates."""

    w: np.ndarray
    cover: np.ndarray

    @property
    def se(self) -> np.ndarray:
        """Standard error of each."""
        return np.asarray(np.sqrt(np.diag(self.cover)))


def ratios(used: np.ndarray, share: np.ndarray, pooled: bool) -> Ratios:
    """Selection ratios w_i = use of food i over its expected use (Manly and others 2002, chapter 4).

    ``used`` and ``share`` (offered, as shares of each animal's offer) are (animals, foods). Expected is the sum over
    animals of share times the animal's use. Not pooled (designs II and III), the covariance is that of a ratio
    estimate over animals, ``n / (n - 1) sum_j d_ij d_kj`` with ``d_ij = (u_ij - w_i p_ij u_+j) / expected_i``. Pooled
    (design I) it is multinomial.
    """
    totals = used.sum(axis=1, keepdims=True)
    expected = (share * totals).sum(axis=0)
    w = used.sum(axis=0) / expected
    if pooled:
        total = totals.sum()
        part, offered = used.sum(axis=0) / total, expected / total
        cover = (np.diag(part) - np.outer(part, part)) / total / np.outer(offered, offered)
    else:
        n = len(used)
        apart = (used - w * share * totals) / expected
        cover = n / (n - 1) * apart.T @ apart if n > 1 else np.full((len(w), len(w)), np.nan)
    return Ratios(w, cover)


def ratio_tests(used: np.ndarray, share: np.ndarray, same_offer: bool, pooled: bool) -> list[Test]:
    """Log-likelihood chi-squares: do animals choose alike (L1), is there selection (L2), is it shared (L2 - L1)."""
    totals = used.sum(axis=1, keepdims=True)
    if pooled:
        together, offered = used.sum(axis=0), (share * totals).sum(axis=0)
        return [_chi_square("selection (pooled)", "do they choose at all", _g(together, offered), len(together) - 1)]
    n, foods = used.shape
    all_selection = _g(used, share * totals)
    df = int((np.count_nonzero(share, axis=1) - 1).sum())
    second = _chi_square("Manly L2", "does any animal choose", all_selection, df)
    if not same_offer:
        return [second]
    common = _g(used, used.sum(axis=0) * totals / totals.sum())
    return [
        _chi_square("Manly L1", "do animals choose differently from each other", common, (n - 1) * (foods - 1)),
        second,
        _chi_square(
            "Manly L2 - L1", "do animals on average choose", all_selection - common, df - (n - 1) * (foods - 1)
        ),
    ]


def _g(seen: np.ndarray, expected: np.ndarray) -> float:
    positive = seen > 0
    return float(2 * (seen[positive] * np.log(seen[positive] / expected[positive])).sum())


def _chi_square(name: str, asks: str, statistic: float, df: float) -> Test:
    from scipy.stats import chi2

    return Test(name, asks, statistic, df, float(chi2.sf(statistic, df)))


# --- Manly's alpha ---------------------------------------------------------------------------------------------


def alphas(used: np.ndarray, offered: np.ndarray, depletion: bool) -> np.ndarray:
    """Manly's alpha of foods along the last axis: shares of choice if all were offered alike.

    (Manly 1974; Chesson 1978) ``(r_i / n_i) / sum_j (r_j / n_j)`` where what is eaten is replaced; with depletion
    ``ln((n_i - r_i) / n_i) / sum_j ln((n_j - r_j) / n_j)``, half an item counting as left where all was eaten. NaN for
    foods that were not offered.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if depletion:
            left = np.maximum(offered - used, 0.5)
            rate = np.abs(np.log(np.minimum(left / offered, 1.0)))
        else:
            rate = used / offered
        rate = np.where(offered > 0, rate, np.nan)
        return np.asarray(rate / np.nansum(rate, axis=-1, keepdims=True))


def alphas_interval(
    used: np.ndarray, offered: np.ndarray, depletion: bool, confidence: float, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap interval of the alphas of all animals together: animals drawn anew, items for one animal."""
    n, foods = used.shape
    if n > 1:
        chosen = rng.integers(0, n, (draws, n))
        again, offers = used[chosen].sum(axis=1), offered[chosen].sum(axis=1)
    elif depletion:
        share = np.divide(used[0], offered[0], out=np.zeros(foods), where=offered[0] > 0)
        again = rng.binomial(np.rint(offered[0]).astype(int), np.clip(share, 0, 1), (draws, foods)).astype(float)
        offers = np.broadcast_to(offered[0], again.shape)
    else:
        total = used[0].sum()
        again = rng.multinomial(round(total), used[0] / total, draws).astype(float)
        offers = np.broadcast_to(offered[0], again.shape)
    found = alphas(again, offers, depletion)
    low, high = np.nanquantile(found, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high


# --- ranks -----------------------------------------------------------------------------------------------------


def friedman(values: np.ndarray) -> Test:
    """Friedman's test over animals (rows) of foods (columns), with correction for ties (Friedman 1937)."""
    ranks = _ranks(values)
    n, k = ranks.shape
    spread = (ranks**2).sum() - n * k * (k + 1) ** 2 / 4
    between = ((ranks.sum(axis=0) - n * (k + 1) / 2) ** 2).sum()
    statistic = (k - 1) * between / spread if spread > 0 else 0.0
    return _chi_square("Friedman", "do foods differ in rank within animals", float(statistic), k - 1)


def quade(values: np.ndarray) -> Test:
    """Quade's test: as Friedman's, animals that tell foods apart more strongly counting more (Quade 1979)."""
    from scipy.stats import f, rankdata

    ranks = _ranks(values)
    n, k = ranks.shape
    weight = rankdata(np.ptp(values, axis=1))
    score = weight[:, None] * (ranks - (k + 1) / 2)
    total, between = (score**2).sum(), (score.sum(axis=0) ** 2).sum() / n
    asks = "do foods differ, animals with strong preferences counting more"
    if total - between <= 1e-12 * total:
        return Test(
            "Quade", asks, math.inf if total > 0 else 0.0, k - 1, math.factorial(k) ** (1.0 - n) if total else 1.0
        )
    statistic = (n - 1) * between / (total - between)
    return Test("Quade", asks, float(statistic), k - 1, float(f.sf(statistic, k - 1, (n - 1) * (k - 1))))


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values, axis=1))


def nemenyi(values: np.ndarray) -> np.ndarray:
    """p of each pair of foods by the studentised range of mean ranks (Nemenyi 1963), (foods, foods)."""
    from scipy.stats import studentized_range

    ranks = _ranks(values)
    n, k = ranks.shape
    mean = ranks.mean(axis=0)
    q = np.abs(mean[:, None] - mean[None, :]) / math.sqrt(k * (k + 1) / (12 * n))
    return np.asarray(studentized_range.sf(q, k, np.inf))


def conover(values: np.ndarray) -> np.ndarray:
    """p of each pair of foods by Conover's t after Friedman's test (Conover 1999), not adjusted, (foods, foods)."""
    from scipy.stats import t

    ranks = _ranks(values)
    n, k = ranks.shape
    sums = ranks.sum(axis=0)
    df = (n - 1) * (k - 1)
    variance = 2 * (n * (ranks**2).sum() - (sums**2).sum()) / df
    apart = np.abs(sums[:, None] - sums[None, :])
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 2 * t.sf(apart / math.sqrt(max(variance, 0.0)), df)
    return np.where(apart == 0, 1.0, found)


def holm(p: np.ndarray) -> np.ndarray:
    """p values adjusted for their number step by step (Holm 1979)."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(stepped, 1.0)
    return out


# --- pairs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Worths:
    """Bradley-Terry: logarithms of the worths (mean 0), their covariance, and ties and side where they were fitted."""

    log_worth: np.ndarray
    cover: np.ndarray
    tie: float
    """Logarithm of Davidson's tie parameter; NaN when not fitted."""
    side: float
    """Logarithm of the odds of the first of two equal foods; NaN when not fitted."""
    side_se: float
    smoothed: bool
    """Whether half a win each way was added to every pair, as some food won or lost all."""


def bradley_terry(wins: np.ndarray, ties: np.ndarray, with_side: bool) -> Worths:
    """Worths of foods from choices between two (Bradley and Terry 1952; ties as Davidson 1970), by Newton's method.

    Args:
        wins: (foods, foods, 2): how often i was taken before j, with i offered first [0] or second [1].
        ties: (foods, foods): how often neither of i (first) and j was taken before the other.
        with_side: whether the first place adds to a food's worth.

    Of a food i offered first and j: i is taken with weight ``p_i g``, j with ``p_j``, neither with
    ``v sqrt(p_i g p_j)``. Where a set of foods has never lost to the others there is no finite worth (Ford 1957);
    half a win each way is then added to every pair that met.
    """
    k = len(wins)
    smoothed = not _connected(wins.sum(axis=2) + (ties + ties.T) / 2)
    if smoothed:
        met = (wins.sum(axis=2) + ties) > 0
        met = met | met.T
        wins = wins + 0.25 * met[:, :, None]
    with_ties = bool(ties.any())
    first, second = np.nonzero(~np.eye(k, dtype=bool))
    # each ordered pair (first, second): taken first, taken second, neither
    counts = np.column_stack([wins[first, second, 0], wins[second, first, 1], ties[first, second]])
    eye = np.eye(k)
    extra = 1 + with_side
    parts = np.zeros((len(first), 3, k + extra))
    parts[:, 0, :k], parts[:, 1, :k] = eye[first], eye[second]
    parts[:, 2, :k] = (eye[first] + eye[second]) / 2
    parts[:, 2, k] = 1.0
    if with_side:
        parts[:, 0, k + 1], parts[:, 2, k + 1] = 1.0, 0.5
    free = [*range(1, k), *([k] if with_ties else []), *([k + 1] if with_side else [])]
    beta, inverse = _newton(parts[:, : 2 + with_ties, :], counts[:, : 2 + with_ties], free)
    whole = np.zeros((k + extra, k + extra))
    whole[np.ix_(free, free)] = inverse
    centre = eye - 1 / k
    return Worths(
        centre @ beta[:k],
        centre @ whole[:k, :k] @ centre,
        float(beta[k]) if with_ties else math.nan,
        float(beta[k + 1]) if with_side else math.nan,
        math.sqrt(whole[k + 1, k + 1]) if with_side else math.nan,
        smoothed,
    )


def _newton(parts: np.ndarray, counts: np.ndarray, free: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The maximum of a multinomial logit, and the inverse of its information over the free coefficients."""
    beta = np.zeros(parts.shape[2])
    total = counts.sum(axis=1)
    inverse = np.zeros((len(free), len(free)))
    for _ in range(100):
        score = parts @ beta
        share = np.exp(score - score.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        slope = np.einsum("po,pok->k", counts - total[:, None] * share, parts)
        mean = np.einsum("po,pok->pk", share, parts)
        second = np.einsum("p,po,pok,pol->kl", total, share, parts, parts)
        curve = second - np.einsum("p,pk,pl->kl", total, mean, mean)
        inverse = np.linalg.pinv(curve[np.ix_(free, free)], hermitian=True)
        step = inverse @ slope[free]
        beta[free] += step / max(1.0, float(np.abs(step).max()) / 2)
        if np.abs(step).max() < 1e-10:
            break
    return beta, inverse


def _connected(beats: np.ndarray) -> bool:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    count, _ = connected_components(csr_array(beats > 0), directed=True, connection="strong")
    return bool(count == 1)
