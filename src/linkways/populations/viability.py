"""Population viability: individuals of several populations simulated over years, with and without a corridor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Param, Table, TableOf, method

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas as pd

__all__ = ["Viability", "viability"]

ID = "populations.viability"


@dataclass(frozen=True)
class Viability:
    """Numbers, extinction and genes through time, for the baseline and the scenario."""

    trajectory: Annotated[
        "pd.DataFrame",
        TableOf(
            "scenario, population (or all), year: mean, sd, median of numbers with 95 % of the replicates (low, high); "
            "extinct: all populations by this year, or this one in this year, with its 95 % interval; below_threshold"
        ),
    ]
    extinction: Annotated[
        "pd.DataFrame",
        TableOf(
            "scenario, population (or all): extinct at the end, and ever below the threshold, with 95 % intervals; "
            "ever_empty; mean and median years to the first time; number_if_alive"
        ),
    ]
    genes: Annotated[
        "pd.DataFrame",
        TableOf(
            "scenario, population (or all), year: gene_diversity (share of the founders'), observed heterozygosity, "
            "alleles per locus, inbreeding since the founders, fst; means over replicates in which it is not empty"
        ),
    ]
    difference: Annotated[
        "pd.DataFrame",
        TableOf("measure at the end: baseline, scenario, their paired difference and its 95 % interval (low, high)"),
    ]
    sensitivity: Annotated[
        "pd.DataFrame",
        TableOf(
            "rate, factor: growth_rate, extinct, its paired change from the baseline with 95 % interval, number at the "
            "end; first row: nothing changed"
        ),
    ]
    growth_rate: Annotated[float, Indicator("yearly growth rate at mean rates, without chance or density (lambda)")]
    generation_years: Annotated[float, Indicator("mean age of mothers in the stable population", unit="years")]
    extinct: Annotated[float, Indicator("probability that all populations are extinct at the end, baseline")]
    extinct_with: Annotated[float, Indicator("the same with the scenario's dispersal; no number without one")]
    figure: Annotated["matplotlib.figure.Figure", Figure("numbers and risk through time")]


@method(
    "populations.viability",
    references=(
        "Lacy RC (1993) VORTEX: a computer simulation model for population viability analysis. Wildlife Research "
        "20:45-65 (yearly events of individuals)",
        "Morton NE, Crow JF, Muller HJ (1956) An estimate of the mutational damage in man from data on consanguineous "
        "marriages. PNAS 42:855-863 (lethal equivalents)",
        "Morris WF, Doak DF (2002) Quantitative conservation biology. Sinauer (quasi-extinction, environmental "
        "variation)",
        "Caswell H (2001) Matrix population models. 2nd ed. Sinauer (growth rate, generation time)",
    ),
)
def viability(
    stages: Annotated[
        "pd.DataFrame",
        Table(
            "stages in order: survival (yearly), fecundity (young of a breeding female), years (fixed length) or "
            "advance "
            "(yearly chance of moving on; the last stage: none, or years to live); optional survival_sd, fecundity_sd, "
            "breeding_sd (among years), breeding (share that breeds), sex (female, male; empty: both)",
            columns=("stage", "survival", "fecundity"),
        ),
    ],
    populations: Annotated[
        "pd.DataFrame",
        Table(
            "populations: number at the start (or a column for each stage), capacity (individuals; empty: no limit)",
            columns=("population",),
        ),
    ],
    dispersal: Annotated[
        "pd.DataFrame | None",
        Table(
            "share of the movers of source that go to target in a year; optional from_year; left out: nobody moves",
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
    catastrophes: Annotated[
        "pd.DataFrame | None",
        Table(
            "yearly probability of each kind, and the factors of survival and fecundity in its year (empty: 1); "
            "optional population (empty: strikes all at once)",
            columns=("catastrophe", "probability", "survival", "fecundity"),
        ),
    ] = None,
    *,
    years: Annotated[int, Param("time to look ahead", unit="years", ge=1)] = 100,
    replicates: Annotated[int, Param("simulated futures of each scenario", ge=2)] = 1000,
    lethal_equivalents: Annotated[
        float,
        Param(
            "inbreeding depression of first-year survival, per diploid individual; 0: none",
            unit="lethal equivalents",
            ge=0,
            source="species specific; 3.14 was used for giant pandas",
        ),
    ],
    lethal_share: Annotated[
        float,
        Param("share of it due to recessive lethal alleles", ge=0, le=1, source="0.5 was used for giant pandas"),
    ] = 0.5,
    mating: Annotated[
        Literal["random", "pairs", "hermaphrodite", "females_only"],
        Param("any male may sire a litter; pairs of one year; every adult is both; or only females are counted"),
    ] = "random",
    litter: Annotated[
        Literal["poisson", "rounded"],
        Param("number of young of a breeding female: Poisson, or the whole number below or above the mean"),
    ] = "poisson",
    female_share: Annotated[float, Param("share of females among the young", gt=0, lt=1)] = 0.5,
    order: Annotated[
        Literal["survive_breed", "breed_survive"],
        Param(
            "a year's order: fecundity counts births to those that survived it, or the entries of a stage matrix "
            "(young seen a year later of mothers seen now)"
        ),
    ] = "survive_breed",
    density: Annotated[
        Literal["ceiling", "beverton_holt", "ricker", "none"],
        Param("at capacity: the surplus dies, or fecundity falls with numbers so that growth ends there, or nothing"),
    ] = "ceiling",
    threshold: Annotated[
        float, Param("quasi-extinction: fewer than this in all populations", unit="individuals", ge=1)
    ] = 2,
    environment_correlation: Annotated[
        float,
        Param("correlation of good and bad years among populations", ge=0, le=1, source="1 is the cautious choice"),
    ] = 1.0,
    concordance: Annotated[
        float,
        Param("correlation of good years for survival and for breeding", ge=0, le=1, source="1 is the cautious choice"),
    ] = 1.0,
    dispersing_stages: Annotated[Sequence[str], Param("stages that move; empty: all but the first")] = (),
    dispersing_sex: Annotated[Literal["both", "female", "male"], Param("who moves")] = "both",
    dispersal_survival: Annotated[float, Param("share of those who move that arrive", ge=0, le=1)] = 1.0,
    loci: Annotated[int, Param("neutral loci that each individual carries; 0: genes are left out", ge=0, le=1000)] = 20,
    report_every: Annotated[
        int, Param("genes are counted every so many years, and at the end", unit="years", ge=1)
    ] = 10,
    sensitivity: Annotated[
        float,
        Param("every rate of the baseline in turn is lowered and raised by this share; 0: not at all", ge=0, lt=1),
    ] = 0.0,
    seed: Annotated[int, Param("of the random numbers", ge=0)] = 0,
) -> Viability:
    """Extinction risk, numbers and genetic diversity of populations through time, with and without a corridor.

    Every individual has a population, sex, stage, years in the stage, two alleles at each neutral locus (each founder
    starts with alleles of its own) and recessive lethals. Each year: good and bad years are drawn (shares are beta,
    fecundity is log-normal; one normal score for survival and one for breeding in each population, correlated as
    given) and catastrophes; each individual survives or not and moves on in stage; females with a mate breed; movers
    disperse; above capacity a random choice dies; then all are counted, the young too. With order breed_survive females
    breed first and the young pass that year's losses by: the expected numbers are then those of the stage matrix.

    An individual with inbreeding coefficient F (its homozygosity by descent from the founders at the neutral loci)
    survives its first year with s exp(-B F), B = (1 - lethal_share) lethal_equivalents / 2, and not at all with two
    copies of one lethal. Founders carry lethal_share x lethal_equivalents lethals on average, each its own. Extinct
    means nobody is left, or one sex only. beverton_holt: fecundity / (1 + a N), ricker: fecundity x exp(-a N), N at
    the last count and a such that the growth rate at mean rates is 1 at capacity.

    The scenario differs from the baseline in dispersal alone and has the same random numbers: both are the same to the
    last individual until the first year in which dispersal differs, and have the same weather and catastrophes after.

    Raises LinkwaysError for rates outside 0 to 1, spreads that a share cannot have, stages without a length, unknown
    populations, dispersal of more than all, no capacity where density needs one, and inbreeding that cannot be
    followed.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> stages = pd.DataFrame(
    ...     {"stage": ["cub", "subadult", "adult"], "survival": [0.6, 0.8, 0.9], "survival_sd": [0.1, 0.05, 0.02],
    ...      "fecundity": [0, 0, 0.75], "years": [1, 3, None]}
    ... )
    >>> two = pd.DataFrame({"population": ["west", "east"], "number": [40, 8], "capacity": [50, 15]})
    >>> corridor = pd.DataFrame({"source": ["west", "east"], "target": ["east", "west"], "rate": [0.02, 0.02]})
    >>> found = populations.viability(
    ...     stages, two, dispersal_with=corridor, lethal_equivalents=3.14, replicates=200, years=50
    ... )
    >>> found.difference.set_index("measure").loc["empty: east", ["baseline", "scenario"]].round(1).tolist()
    [0.8, 0.2]
    """
    from linkways.populations._viability_inputs import catastrophes_of, life_of, model_of, start_of
    from linkways.populations._viability_results import difference, draw, extinctions, genes, replicate, trajectory
    from linkways.populations._viability_sensitivity import COLUMNS
    from linkways.populations._viability_sensitivity import sensitivity as rates_in_turn
    from linkways.populations._viability_tables import dispersal_of

    life = life_of(stages, mating, female_share, order)
    start = start_of(populations, life, density)
    struck = catastrophes_of(catastrophes, start.names)
    loci = _loci(loci, mating, lethal_equivalents, lethal_share, int(start.founders.sum()))
    settings: dict[str, Any] = {
        "years": years,
        "mating": mating,
        "litter": litter,
        "density": density,
        "environment_correlation": environment_correlation,
        "concordance": concordance,
        "dispersing_stages": list(dispersing_stages),
        "dispersing_sex": dispersing_sex,
        "dispersal_survival": dispersal_survival,
        "lethal_equivalents": lethal_equivalents,
        "lethal_share": lethal_share,
        "loci": loci,
        "report_every": report_every,
        "dispersal": dispersal_of(ID, dispersal, "dispersal", start.names, years),
    }
    drawn: dict[str, Any] = {"replicates": replicates, "seed": seed, "threshold": threshold}
    with_it = {**settings}
    if dispersal_with is not None:
        with_it["dispersal"] = dispersal_of(ID, dispersal_with, "dispersal_with", start.names, years)
    scenarios = {"baseline": settings} | ({"scenario": with_it} if dispersal_with is not None else {})
    stop = 0.3 if sensitivity > 0 else 1.0
    found = {}
    for number, (name, chosen) in enumerate(scenarios.items()):
        share = (number * stop / len(scenarios), (number + 1) * stop / len(scenarios))
        found[name] = replicate(model_of(life, start, struck, **chosen), start.names, share=share, **drawn)

    import pandas as pd

    table = pd.DataFrame(columns=COLUMNS)
    if sensitivity > 0:
        table = rates_in_turn(
            (life, start, struck, settings),
            sensitivity,
            lambda model, done: replicate(model, start.names, share=(stop + 0.7 * done, stop + 0.7 * done), **drawn),
        )
    trajectories = pd.concat([trajectory(n, f) for n, f in found.items()], ignore_index=True)
    matrix = life.matrix()
    empty = pd.DataFrame(columns=["measure", "baseline", "scenario", "difference", "low", "high"])
    return Viability(
        trajectory=trajectories,
        extinction=pd.concat([extinctions(n, f) for n, f in found.items()], ignore_index=True),
        genes=pd.concat([genes(n, f) for n, f in found.items()], ignore_index=True),
        difference=difference(found["baseline"], found["scenario"]) if "scenario" in found else empty,
        sensitivity=table,
        growth_rate=float(np.abs(np.linalg.eigvals(matrix)).max()),
        generation_years=life.generation_years(),
        extinct=float(found["baseline"].extinct[:, -1].mean()),
        extinct_with=float(found["scenario"].extinct[:, -1].mean()) if "scenario" in found else float("nan"),
        figure=draw(trajectories, threshold),
    )


def _loci(loci: int, mating: str, equivalents: float, share: float, founders: int) -> int:
    """How many loci to follow; refuse inbreeding depression that nothing tells."""
    if mating == "females_only":
        if equivalents > 0:
            raise LinkwaysError(
                f"{ID}: mating females_only has no fathers, so inbreeding cannot be followed; set "
                "lethal_equivalents to 0 "
                "or choose another mating"
            )
        return 0
    if loci == 0 and equivalents * (1 - share) > 0:
        raise LinkwaysError(f"{ID}: lethal_equivalents need loci to tell inbreeding by; set loci to 20, say")
    if loci > 0 and founders > 32_000:
        raise LinkwaysError(
            f"{ID}: {founders} founders are more than the 32,000 whose alleles can be told apart; set loci and "
            "lethal_equivalents to 0"
        )
    return loci
