"""Alleles of genotyped individuals, and what is estimated from them: diversity, F-statistics, allelic richness."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["Genotypes", "between", "genotypes_of", "nei", "richness", "weir_cockerham"]

MISSING = ("", "NA", "NAN", "0/0", "000/000", "-9/-9", "?/?", "./.")


@dataclass(frozen=True)
class Genotypes:
    """Diploid genotypes: two allele numbers (individuals, loci, 2), -1 where unknown, and populations by number."""

    populations: list[str]
    loci: list[str]
    group: np.ndarray
    alleles: np.ndarray
    names: list[list[str]]
    """Allele names of each locus."""

    @cached_property
    def counts(self) -> list[np.ndarray]:
        """Of each locus: copies of every allele (populations, alleles)."""
        out = []
        for locus, names in enumerate(self.names):
            table = np.zeros((len(self.populations), len(names)))
            known = self.alleles[:, locus, 0] >= 0
            for side in range(2):
                np.add.at(table, (self.group[known], self.alleles[known, locus, side]), 1.0)
            out.append(table)
        return out

    @cached_property
    def heterozygotes(self) -> list[np.ndarray]:
        """Of each locus: heterozygous individuals by population and allele that they carry (populations, alleles)."""
        out = []
        for locus, names in enumerate(self.names):
            table = np.zeros((len(self.populations), len(names)))
            mixed = self.alleles[:, locus, 0] != self.alleles[:, locus, 1]
            for side in range(2):
                np.add.at(table, (self.group[mixed], self.alleles[mixed, locus, side]), 1.0)
            out.append(table)
        return out

    @cached_property
    def typed(self) -> np.ndarray:
        """(loci, populations) individuals with a known genotype."""
        return np.array([c.sum(axis=1) / 2 for c in self.counts])

    @cached_property
    def observed(self) -> np.ndarray:
        """(loci, populations) share of heterozygotes; NaN where nobody is typed."""
        mixed = np.array([h.sum(axis=1) / 2 for h in self.heterozygotes])
        with np.errstate(invalid="ignore"):
            return np.asarray(mixed / self.typed)


def genotypes_of(id: str, table: "pd.DataFrame", loci: "Sequence[str]") -> Genotypes:
    """Read a table with one row for each individual: population, and a column "a/b" for each locus."""
    import pandas as pd

    others = [str(c) for c in table.columns if str(c) not in ("individual", "population")]
    for name in loci:
        if name not in others:
            raise LinkwaysError(f"{id}: loci has '{name}', which is no column of genotypes{nearest(name, others)}")
    chosen = list(loci) or others
    if not chosen:
        raise LinkwaysError(f"{id}: genotypes has no column of a locus; add one with both alleles, such as 136/146")
    codes, populations = pd.factorize(table["population"].astype("string"), sort=True)
    if (codes < 0).any():
        raise LinkwaysError(f"{id}: genotypes row {int((codes < 0).argmax()) + 1} has no population; name it")
    alleles = np.full((len(table), len(chosen), 2), -1, np.int64)
    names = []
    for position, locus in enumerate(chosen):
        found, known = _alleles(id, table, locus)
        known_names = sorted(set(found[known].ravel()))
        if not known_names:
            raise LinkwaysError(f"{id}: locus '{locus}' has no genotype of any individual; leave it out with loci")
        number = {name: k for k, name in enumerate(known_names)}
        alleles[known, position] = [[number[a], number[b]] for a, b in found[known]]
        names.append(known_names)
    return Genotypes([str(p) for p in populations], chosen, codes.astype(np.int64), alleles, names)


def _alleles(id: str, table: "pd.DataFrame", locus: str) -> tuple[np.ndarray, np.ndarray]:
    found = np.full((len(table), 2), "", object)
    known = np.zeros(len(table), bool)
    for row, cell in enumerate(table[locus]):
        text = "" if cell is None or cell != cell else str(cell).strip()
        if text.upper() in MISSING:
            continue
        parts = text.replace("|", "/").replace(":", "/").split("/")
        if len(parts) != 2 or not all(parts):
            raise LinkwaysError(
                f"{id}: genotypes row {row + 1} has '{text}' at locus '{locus}'; write both alleles as a/b, or "
                "leave it empty"
            )
        found[row] = [p.strip() for p in parts]
        known[row] = True
    return found, known


@dataclass(frozen=True)
class Nei:
    """Of each locus: Nei's statistics (Nei 1987; Jost 2008) over the populations in which it is typed."""

    ho: np.ndarray
    hs: np.ndarray
    ht: np.ndarray
    populations: np.ndarray

    def means(self) -> dict[str, float]:
        """Means over loci, and the ratios of these."""
        ho, hs, ht = (float(np.nanmean(x)) for x in (self.ho, self.hs, self.ht))
        count = 1 / float(np.mean(1 / self.populations))
        return ratios(ho, hs, ht, count)

    def by_locus(self) -> list[dict[str, float]]:
        """The same for each locus alone."""
        cells = zip(self.ho, self.hs, self.ht, self.populations, strict=True)
        return [ratios(float(a), float(b), float(c), float(n)) for a, b, c, n in cells]


def ratios(ho: float, hs: float, ht: float, count: float) -> dict[str, float]:
    """Nei's Fst, Fst', Fis and Jost's D from heterozygosities over ``count`` populations."""
    nan = float("nan")
    between = count / (count - 1) * (ht - hs) if count > 1 else nan
    total = hs + between
    return {
        "ho": ho,
        "hs": hs,
        "ht": ht,
        "fst": 1 - hs / ht if ht > 0 else nan,
        "fst_prime": between / total if total > 0 else nan,
        "fis": 1 - ho / hs if hs > 0 else nan,
        "dest": between / (1 - hs) if hs < 1 else nan,
    }


def nei(genotypes: Genotypes) -> Nei:
    """Ho, Hs and Ht with Nei's (1987) corrections: harmonic mean size, populations alike."""
    ho, hs, ht, populations = [], [], [], []
    for locus, counts in enumerate(genotypes.counts):
        size = genotypes.typed[locus]
        here = size > 0
        shares = counts[here] / (2 * size[here, None])
        count = int(here.sum())
        harmonic = count / float((1 / size[here]).sum())
        observed = float(genotypes.observed[locus, here].mean())
        same = float((shares**2).sum(axis=1).mean())
        within = harmonic / (harmonic - 1) * (1 - same - observed / (2 * harmonic)) if harmonic > 1 else float("nan")
        mean = shares.mean(axis=0)
        total = 1 - float(mean @ mean) + within / (harmonic * count) - observed / (2 * harmonic * count)
        ho.append(observed)
        hs.append(within)
        ht.append(total)
        populations.append(count)
    return Nei(np.array(ho), np.array(hs), np.array(ht), np.array(populations, float))


def weir_cockerham(genotypes: Genotypes, chosen: np.ndarray | None = None) -> np.ndarray:
    """Variance components a, b, c of each locus, summed over alleles (Weir & Cockerham 1984): (loci, 3).

    ``chosen``: populations by number; all when None. NaN where fewer than two of them are typed.
    """
    out = np.full((len(genotypes.loci), 3), np.nan)
    pick = np.arange(len(genotypes.populations)) if chosen is None else chosen
    for locus in range(len(genotypes.loci)):
        size = genotypes.typed[locus, pick]
        here = size > 0
        n, r = size[here], int(here.sum())
        mean = n.mean() if r else 0.0
        if r < 2 or mean <= 1:
            continue
        counts, mixed = genotypes.counts[locus][pick][here], genotypes.heterozygotes[locus][pick][here]
        p, h = counts / (2 * n[:, None]), mixed / n[:, None]
        spread = (r * mean - (n**2).sum() / (r * mean)) / (r - 1)
        middle = n @ p / (r * mean)
        variance = n @ (p - middle) ** 2 / ((r - 1) * mean)
        het = n @ h / (r * mean)
        inside = middle * (1 - middle) - (r - 1) / r * variance
        a = mean / spread * (variance - (inside - het / 4) / (mean - 1))
        b = mean / (mean - 1) * (inside - (2 * mean - 1) / (4 * mean) * het)
        out[locus] = a.sum(), b.sum(), het.sum() / 2
    return out


def between(genotypes: Genotypes) -> "pd.DataFrame":
    """Distances between all pairs of populations."""
    import pandas as pd

    rows = []
    for i in range(len(genotypes.populations)):
        for j in range(i + 1, len(genotypes.populations)):
            parts = np.nansum(weir_cockerham(genotypes, np.array([i, j])), axis=0)
            fst = parts[0] / parts.sum() if parts.sum() > 0 else float("nan")
            within, across, dps = _identities(genotypes, i, j)
            rows.append(
                {
                    "population_a": genotypes.populations[i],
                    "population_b": genotypes.populations[j],
                    "fst": fst,
                    "fst_linearised": fst / (1 - fst) if fst < 1 else float("inf"),
                    "nei_distance": -np.log(across / within) if across > 0 and within > 0 else float("inf"),
                    "dps": dps,
                }
            )
    columns = ["population_a", "population_b", "fst", "fst_linearised", "nei_distance", "dps"]
    return pd.DataFrame(rows, columns=columns)


def _identities(genotypes: Genotypes, i: int, j: int) -> tuple[float, float, float]:
    """Nei's (1978) identity within (geometric mean) and between; one less the share of alleles in common."""
    jx, jy, jxy, common = [], [], [], []
    for locus, counts in enumerate(genotypes.counts):
        n, m = genotypes.typed[locus, [i, j]]
        if n < 1 or m < 1:
            continue
        p, q = counts[i] / (2 * n), counts[j] / (2 * m)
        jx.append((2 * n * (p @ p) - 1) / (2 * n - 1))
        jy.append((2 * m * (q @ q) - 1) / (2 * m - 1))
        jxy.append(p @ q)
        common.append(np.minimum(p, q).sum())
    if not jx:
        return float("nan"), float("nan"), float("nan")
    within = float(np.mean(jx) * np.mean(jy))
    return float(np.sqrt(within)) if within > 0 else float("nan"), float(np.mean(jxy)), 1 - float(np.mean(common))


def richness(genotypes: Genotypes, copies: int | None) -> tuple[np.ndarray, int]:
    """Alleles expected in a sample of ``copies`` genes (rarefaction): (loci, populations), and that number.

    Left out, it is the least number of typed genes of any population and locus that has some.
    """
    from scipy.special import gammaln

    typed = genotypes.typed * 2
    least = int(typed[typed > 0].min())
    size = least if copies is None else copies
    out = np.full(typed.shape, np.nan)
    for locus, counts in enumerate(genotypes.counts):
        for d in np.flatnonzero(typed[locus] >= size):
            n, k = typed[locus, d], counts[d][counts[d] > 0]
            left = n - k
            with np.errstate(invalid="ignore"):
                log = (
                    gammaln(left + 1) - gammaln(np.maximum(left - size, 0) + 1) - gammaln(n + 1) + gammaln(n - size + 1)
                )
            missed = np.where(left >= size, np.exp(log), 0.0)
            out[locus, d] = (1 - missed).sum()
    return out, size
