"""Genetic diversity within populations and differentiation between them, from genotypes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Param, Table, TableOf, method

if TYPE_CHECKING:
    import pandas as pd

    from linkways.populations._gene_counts import Genotypes

__all__ = ["GeneticDiversity", "genetic_diversity"]

ID = "populations.genetic_diversity"


@dataclass(frozen=True)
class GeneticDiversity:
    """Diversity within populations, F-statistics over all, and distances between pairs."""

    populations: Annotated[
        "pd.DataFrame",
        TableOf(
            "population: individuals, ho (observed heterozygosity), he (expected, unbiased), fis, alleles per locus, "
            "allelic_richness (rarefied), private_alleles (in this population only, all loci)"
        ),
    ]
    loci: Annotated[
        "pd.DataFrame",
        TableOf("locus: alleles, Nei's ho, hs, ht, fst, fst_prime, fis, Jost's dest, and wc_fst, wc_fis, wc_fit"),
    ]
    distances: Annotated[
        "pd.DataFrame",
        TableOf(
            "population_a, population_b: fst (Weir & Cockerham), fst_linearised = fst / (1 - fst), nei_distance "
            "(1978), "
            "dps (1 - share of alleles in common)"
        ),
    ]
    wc_fst: Annotated[float, Indicator("Fst over all loci (Weir & Cockerham 1984, theta)")]
    wc_fis: Annotated[float, Indicator("Fis over all loci (Weir & Cockerham 1984, f)")]
    nei_fst: Annotated[float, Indicator("Fst from mean Hs and Ht (Nei 1987)")]
    ho: Annotated[float, Indicator("observed heterozygosity, mean over populations and loci")]
    hs: Annotated[float, Indicator("gene diversity within populations (Nei 1987)")]
    ht: Annotated[float, Indicator("gene diversity over all (Nei 1987)")]
    dest: Annotated[float, Indicator("differentiation of alleles (Jost 2008)")]
    rarefied_genes: Annotated[int, Indicator("gene copies to which allelic richness is rarefied")]


@method(
    "populations.genetic_diversity",
    references=(
        "Weir BS, Cockerham CC (1984) Estimating F-statistics for the analysis of population structure. Evolution "
        "38:1358-1370",
        "Nei M (1987) Molecular evolutionary genetics. Columbia University Press",
        "Jost L (2008) Gst and its relatives do not measure differentiation. Molecular Ecology 17:4015-4026",
        "El Mousadik A, Petit RJ (1996) High level of genetic differentiation for allelic richness among "
        "populations of "
        "the argan tree. Theoretical and Applied Genetics 92:832-839 (rarefaction)",
        "Rousset F (1997) Genetic differentiation and estimation of gene flow from F-statistics under isolation by "
        "distance. Genetics 145:1219-1228 (linearised Fst)",
    ),
)
def genetic_diversity(
    genotypes: Annotated[
        "pd.DataFrame",
        Table(
            "one row for each individual: population, optional individual, and a column for each locus with both "
            "alleles "
            "(136/146; empty where unknown)",
            columns=("population",),
        ),
    ],
    *,
    loci: Annotated[Sequence[str], Param("columns of the loci; empty: all but individual and population")] = (),
    rarefy_to: Annotated[
        int | None, Param("gene copies to rarefy allelic richness to; left out: the smallest sample", ge=2)
    ] = None,
) -> GeneticDiversity:
    """Heterozygosity, allelic richness, inbreeding and Fst of genotyped populations, with their pairwise distances.

    Fst has several estimators, so each is named: wc_fst is the sum over loci of a over that of a + b + c, Weir and
    Cockerham's components among populations, among individuals and within them; nei_fst is 1 - Hs / Ht with Nei's
    corrections for sample size. Individuals with an unknown genotype at a locus are left out of that locus. A pairwise
    Fst may be below 0: the estimator is unbiased about 0, and is not cut off here. Allelic richness is the number of
    alleles expected in a sample of equally many gene copies.

    Raises LinkwaysError for genotypes that are not two alleles, one population only, unknown loci, and loci that do not
    vary at all.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> cats = pd.DataFrame(
    ...     {"population": ["a"] * 4 + ["b"] * 4, "fca8": ["1/1", "1/2", "1/1", "1/2", "2/2", "2/2", "1/2", "2/2"]}
    ... )
    >>> found = populations.genetic_diversity(cats)
    >>> round(found.ho, 4), round(found.wc_fst, 4)
    (0.375, 0.5152)
    """
    import pandas as pd

    from linkways.populations._gene_counts import between, genotypes_of, nei, weir_cockerham

    read = genotypes_of(ID, genotypes, loci)
    if len(read.populations) < 2:
        raise LinkwaysError(f"{ID}: genotypes has one population, {read.populations[0]}; Fst needs at least two")
    if all(len(names) < 2 for names in read.names):
        raise LinkwaysError(f"{ID}: no locus has more than one allele, so nothing can be estimated; add variable loci")
    parts = weir_cockerham(read)
    a, b, c = np.nansum(parts, axis=0)
    summary = nei(read)
    means = summary.means()
    with np.errstate(invalid="ignore", divide="ignore"):
        theta = parts[:, 0] / parts.sum(axis=1)
        f = parts[:, 1] / parts[:, 1:].sum(axis=1)
        total = parts[:, :2].sum(axis=1) / parts.sum(axis=1)
    by_locus = pd.DataFrame(summary.by_locus())
    by_locus.insert(0, "locus", read.loci)
    by_locus.insert(1, "alleles", [len(names) for names in read.names])
    populations, rarefied = _populations(read, rarefy_to)
    return GeneticDiversity(
        populations=populations,
        loci=by_locus.assign(wc_fst=theta, wc_fis=f, wc_fit=total),
        distances=between(read),
        wc_fst=float(a / (a + b + c)),
        wc_fis=float(b / (b + c)),
        nei_fst=means["fst"],
        ho=means["ho"],
        hs=means["hs"],
        ht=means["ht"],
        dest=means["dest"],
        rarefied_genes=rarefied,
    )


def _populations(read: "Genotypes", rarefy_to: int | None) -> "tuple[pd.DataFrame, int]":
    import pandas as pd

    from linkways.populations._gene_counts import richness

    rarefied, size = richness(read, rarefy_to)
    if np.isnan(rarefied).all():
        raise LinkwaysError(
            f"{ID}: rarefy_to is {size}, but no population has so many gene copies typed at a locus; lower it"
        )
    copies = 2 * read.typed
    with np.errstate(invalid="ignore", divide="ignore"):
        same = np.array([((c / c.sum(axis=1, keepdims=True)) ** 2).sum(axis=1) for c in read.counts])
        expected = np.where(copies > 1, copies / (copies - 1) * (1 - same), np.nan)
    here = read.typed > 0
    observed = _mean(np.where(here, read.observed, np.nan))
    he = _mean(expected)
    with np.errstate(invalid="ignore", divide="ignore"):
        fis = 1 - observed / he
    alleles = np.array([(c > 0).sum(axis=1) for c in read.counts], float)
    private = np.zeros(len(read.populations), np.int64)
    for counts in read.counts:
        only = (counts > 0).sum(axis=0) == 1
        private += (counts[:, only] > 0).sum(axis=1)
    table = pd.DataFrame(
        {
            "population": read.populations,
            "individuals": np.bincount(read.group, minlength=len(read.populations)),
            "ho": observed,
            "he": he,
            "fis": fis,
            "alleles": _mean(np.where(here, alleles, np.nan)),
            "allelic_richness": _mean(rarefied),
            "private_alleles": private,
        }
    )
    return table, size


def _mean(by_locus: np.ndarray) -> np.ndarray:
    """Mean over the loci that have a value; NaN where none has."""
    known = np.isfinite(by_locus)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, by_locus, 0.0).sum(axis=0) / known.sum(axis=0))
