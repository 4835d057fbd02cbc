"""Gene flow: heterozygosity, Fst, alleles and effective size through generations, before and after a corridor."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Param, Table, TableOf, method

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas as pd

    from linkways.populations._gene_flow_model import Simulated

__all__ = ["GeneFlow", "gene_flow"]

ID = "populations.gene_flow"
ALL = "all"


@dataclass(frozen=True)
class GeneFlow:
    """Genetic diversity within and between populations through generations, baseline and scenario."""

    diversity: Annotated[
        "pd.DataFrame",
        TableOf(
            "scenario, generation, population (or all): heterozygosity expected, effective_size (of the loss since the "
            "generation before), simulated heterozygosity with 95 % of the replicates (low, high), observed, alleles"
        ),
    ]
    differentiation: Annotated[
        "pd.DataFrame",
        TableOf(
            "scenario, generation, population_a, population_b (or all): fst expected, simulated_fst (Nei, 1 - Hs / Ht)"
        ),
    ]
    migration: Annotated[
        "pd.DataFrame",
        TableOf(
            "scenario, from_generation, population, origin: share of its genes that were there a generation "
            "before, and "
            "migrants (that share of its individuals)"
        ),
    ]
    coalescence: Annotated[
        "pd.DataFrame",
        TableOf(
            "scenario, population_a, population_b: generations to the common ancestor at the last rates, "
            "standard_error, "
            "fst_hudson = 1 - within / between"
        ),
    ]
    fst: Annotated[float, Indicator("expected Fst over all populations at the end, baseline")]
    fst_with: Annotated[float, Indicator("the same in the scenario; no number without one")]
    heterozygosity: Annotated[float, Indicator("expected mean heterozygosity within populations at the end, baseline")]
    heterozygosity_with: Annotated[float, Indicator("the same in the scenario; no number without one")]
    figure: Annotated["matplotlib.figure.Figure", Figure("heterozygosity and Fst through generations")]


@method(
    "populations.gene_flow",
    references=(
        "Malecot G (1969) The mathematics of heredity. Freeman (identity of genes in subdivided populations)",
        "Wright S (1951) The genetical structure of populations. Annals of Eugenics 15:323-354",
        "Slatkin M (1991) Inbreeding coefficients and coalescence times. Genetical Research 58:167-175",
        "Baumdicker F et al. (2022) Efficient ancestry and mutation simulation with msprime 1.0. Genetics 220:iyab229",
    ),
)
def gene_flow(
    populations: Annotated[
        "pd.DataFrame",
        Table("populations with size (effective number of diploid individuals)", columns=("population", "size")),
    ],
    dispersal: Annotated[
        "pd.DataFrame | None",
        Table(
            "rate from source to target in a generation; optional from_generation; left out: no gene flow",
            columns=("source", "target", "rate"),
        ),
    ] = None,
    dispersal_with: Annotated[
        "pd.DataFrame | None",
        Table(
            "the same with the corridor (or the barrier): the whole table, run beside the first as the scenario",
            columns=("source", "target", "rate"),
        ),
    ] = None,
    genotypes: Annotated[
        "pd.DataFrame | None",
        Table(
            "genotyped individuals (population, a column a/b for each locus), whose allele frequencies are the "
            "start; left "
            "out: all genes are different, so that heterozygosity is the share kept",
            columns=("population",),
        ),
    ] = None,
    *,
    generations: Annotated[int, Param("time to look ahead", unit="generations", ge=1, le=100_000)] = 100,
    direction: Annotated[
        Literal["forward", "backward"],
        Param("rate is the share of the source's that go to the target, or of the target's that came from the source"),
    ] = "forward",
    mutation_rate: Annotated[
        float, Param("chance that a gene becomes one never seen before", unit="per generation", ge=0, le=1)
    ] = 0.0,
    replicates: Annotated[int, Param("forward simulations of individuals; 0: none", ge=0)] = 100,
    loci: Annotated[int, Param("loci simulated where there are no genotypes", ge=1, le=10_000)] = 20,
    coalescent_replicates: Annotated[int, Param("genealogies simulated with msprime; 0: none", ge=0)] = 0,
    report_every: Annotated[int, Param("generations between the rows of the tables", unit="generations", ge=1)] = 10,
    seed: Annotated[int, Param("of the random numbers", ge=0)] = 0,
) -> GeneFlow:
    """How genetic diversity and Fst of populations change over generations under given gene flow, and with a corridor.

    M_ik is the backward rate: the probability that a gene now in i was in k a generation ago. Forward rates f (share of
    k's individuals that go to i) give M_ik = N_k f_ki / sum_l N_l f_li, those who stay counted. Expected: the exact
    recursion of the identity of two genes, Q'_ij = (1 - u)^2 sum_kl M_ik M_jl [k = l: 1 / 2N_k + (1 - 1 / 2N_k) Q_kk;
    else Q_kl]; heterozygosity of i is 1 - Q_ii, Hs their mean, Ht the mean of 1 - Q_ij over all i, j, Fst = 1 - Hs / Ht
    (pairs: of the two). Simulated: diploid individuals in discrete generations, the mother's and the father's
    population drawn from M independently, parents at random, Mendelian loci unlinked; their mean is the recursion's,
    and alleles come with it. Sizes are effective sizes and stay as they are: for births, deaths and extinction see
    populations.viability.

    Coalescent: mean generations back to the common ancestor of two genes under the last rates for ever (msprime,
    Hudson's coalescent), from which Fst at equilibrium without mutation follows; fst_hudson is 1 - T_within /
    T_between.

    The scenario has the same random numbers: both are the same until the first generation in which rates differ.

    Raises LinkwaysError for rates outside 0 to 1 or summing to more than 1, unknown populations, sizes that are not
    whole numbers of at least 2 where individuals are simulated, populations without genotypes, and genes that can never
    meet; MissingExtra where coalescent simulation is asked for without msprime.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> two = pd.DataFrame({"population": ["west", "east"], "size": [40, 8]})
    >>> corridor = pd.DataFrame({"source": ["east", "west"], "target": ["west", "east"], "rate": [0.0125, 0.0625]})
    >>> found = populations.gene_flow(
    ...     two, dispersal_with=corridor, direction="backward", generations=20, replicates=0
    ... )
    >>> round(found.fst, 6), round(found.fst_with, 6)
    (0.310344, 0.095757)
    """
    import pandas as pd

    from linkways.populations import _gene_flow_model as model
    from linkways.populations._viability_tables import column, dispersal_of, names_of

    names = names_of(ID, populations, "populations", "population")
    size = column(ID, populations, "populations", "size", low=1.0)
    if replicates and ((size % 1 != 0) | (size < 2)).any():
        odd = int(np.flatnonzero((size % 1 != 0) | (size < 2))[0])
        raise LinkwaysError(
            f"{ID}: population '{names[odd]}' has size {size[odd]:g}, but individuals can be simulated for whole "
            "numbers of at "
            "least 2 only; round it, or set replicates to 0"
        )
    genes = model.genes_of(genotypes, names, loci)
    tables = {"baseline": dispersal} | ({"scenario": dispersal_with} if dispersal_with is not None else {})
    report = np.arange(generations + 1) % report_every == 0
    report[-1] = True
    parts: dict[str, list[pd.DataFrame]] = {"diversity": [], "differentiation": [], "migration": [], "coalescence": []}
    ends = {}
    for number, (scenario, table) in enumerate(tables.items()):
        where = "dispersal" if scenario == "baseline" else "dispersal_with"
        given = dispersal_of(
            ID, table, where, names, generations, start="from_generation", incoming=direction == "backward"
        )
        rates = model.backward(given, size, names, direction)
        identity = model.expected(genes, rates, given.period, size, mutation_rate)
        simulated = None
        if replicates:
            share = (0.8 * number / len(tables), 0.8 * (number + 1) / len(tables))
            simulated = model.simulated(
                genes, rates, given.period, size, mutation_rate, report, replicates=replicates, seed=seed, share=share
            )
        parts["diversity"].append(_diversity(scenario, names, identity, report, simulated))
        parts["differentiation"].append(_differentiation(scenario, names, identity, report, simulated))
        parts["migration"].append(_migration(scenario, names, rates, given.period, size))
        if coalescent_replicates:
            last = rates[given.period[-1]]
            times = model.coalescence(names, last, size, coalescent_replicates, seed)
            parts["coalescence"].append(_coalescence(scenario, names, *times))
        ends[scenario] = identity[-1]
    empty = pd.DataFrame(
        columns=["scenario", "population_a", "population_b", "generations", "standard_error", "fst_hudson"]
    )
    joined = {name: pd.concat(found, ignore_index=True) if found else empty for name, found in parts.items()}
    nan = float("nan")
    return GeneFlow(
        **joined,
        fst=_fst(ends["baseline"]),
        fst_with=_fst(ends["scenario"]) if "scenario" in ends else nan,
        heterozygosity=float(1 - np.diag(ends["baseline"]).mean()),
        heterozygosity_with=float(1 - np.diag(ends["scenario"]).mean()) if "scenario" in ends else nan,
        figure=_draw(joined["diversity"], joined["differentiation"]),
    )


def _fst(identity: np.ndarray) -> float:
    """Nei's Fst, 1 - Hs / Ht; NaN where nothing varies."""
    within, total = 1 - np.diag(identity).mean(), 1 - identity.mean()
    return float(1 - within / total) if total > 1e-15 else float("nan")


def _diversity(
    scenario: str, names: list[str], identity: np.ndarray, report: np.ndarray, simulated: "Simulated | None"
) -> "pd.DataFrame":
    import pandas as pd

    from linkways.populations._gene_flow_model import effective_size

    parts = []
    for d, name in [(-1, ALL), *enumerate(names)]:
        h = 1 - (identity.mean(axis=(1, 2)) if d < 0 else identity[:, d, d])
        table = pd.DataFrame(
            {
                "scenario": scenario,
                "generation": np.flatnonzero(report),
                "population": name,
                "heterozygosity": h[report],
                "effective_size": effective_size(h)[report],
            }
        )
        blank = ["simulated", "simulated_low", "simulated_high", "observed", "alleles"]
        if simulated is None:
            table[blank] = np.nan
        else:
            drawn = 1 - (simulated.identity.mean(axis=(2, 3)) if d < 0 else simulated.identity[:, :, d, d])
            observed = simulated.observed.mean(axis=2) if d < 0 else simulated.observed[:, :, d]
            low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
            columns = (drawn.mean(axis=0), low, high, observed.mean(axis=0), simulated.alleles[:, :, d].mean(axis=0))
            table[blank] = np.column_stack(columns)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _differentiation(
    scenario: str, names: list[str], identity: np.ndarray, report: np.ndarray, simulated: "Simulated | None"
) -> "pd.DataFrame":
    import pandas as pd

    mean = None if simulated is None else simulated.identity.mean(axis=0)
    count = len(names)
    groups = [(ALL, ALL, np.arange(count))]
    if 1 < count <= 100:
        groups += [(names[i], names[j], np.array([i, j])) for i in range(count) for j in range(i + 1, count)]
    rows = []
    for at, generation in enumerate(np.flatnonzero(report)):
        for a, b, pick in groups:
            inside = np.ix_(pick, pick)
            drawn = _fst(mean[at][inside]) if mean is not None else float("nan")
            rows.append((scenario, generation, a, b, _fst(identity[generation][inside]), drawn))
    columns = ["scenario", "generation", "population_a", "population_b", "fst", "simulated_fst"]
    return pd.DataFrame(rows, columns=columns)


def _migration(
    scenario: str, names: list[str], rates: np.ndarray, period: np.ndarray, size: np.ndarray
) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for p, matrix in enumerate(rates):
        first = int(np.flatnonzero(period == p)[0]) + 1
        for i, name in enumerate(names):
            others = np.flatnonzero((matrix[i] > 0) & (np.arange(len(names)) != i))
            rows += [(scenario, first, name, names[k], matrix[i, k], matrix[i, k] * size[i]) for k in others]
    return pd.DataFrame(rows, columns=["scenario", "from_generation", "population", "origin", "share", "migrants"])


def _coalescence(scenario: str, names: list[str], mean: np.ndarray, error: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for i, a in enumerate(names):
        for j in range(i, len(names)):
            hudson = 1 - (mean[i, i] + mean[j, j]) / 2 / mean[i, j] if i != j else float("nan")
            rows.append((scenario, a, names[j], mean[i, j], error[i, j], hudson))
    columns = ["scenario", "population_a", "population_b", "generations", "standard_error", "fst_hudson"]
    return pd.DataFrame(rows, columns=columns)


def _draw(diversity: "pd.DataFrame", differentiation: "pd.DataFrame") -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    colours = {"baseline": "#c2410c", "scenario": "#2171b5"}
    shown = [n for n in diversity["population"].unique() if n != ALL][:6]
    styles = ["-", "--", ":", "-.", (0, (1, 3)), (0, (5, 5))]
    for (scenario, name), table in diversity[diversity["population"].isin(shown)].groupby(
        ["scenario", "population"], sort=False
    ):
        style = styles[shown.index(name)]
        label = f"{name}, {scenario}"
        above.plot(
            table["generation"], table["heterozygosity"], color=colours[str(scenario)], linestyle=style, label=label
        )
    for scenario, table in differentiation[differentiation["population_a"] == ALL].groupby("scenario", sort=False):
        below.plot(table["generation"], table["fst"], color=colours[str(scenario)], label=str(scenario))
    above.set_ylabel("expected heterozygosity")
    below.set_ylabel("expected Fst, all")
    below.set_xlabel("generation")
    for ax in (above, below):
        ax.legend(fontsize=7, frameon=False)
    return figure
