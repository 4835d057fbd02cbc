"""Rates of dispersal between populations from distances, costs or resistances: what viability and gene flow take."""

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Param, Table, TableOf, method

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["dispersal_rates"]

ID = "populations.dispersal_rates"


@method(
    "populations.dispersal_rates",
    references=(
        "McRae BH (2006) Isolation by resistance. Evolution 60:1551-1561 (migration and conductance)",
        "Hanski I (1994) A practical model of metapopulation dynamics. Journal of Animal Ecology 63:151-162 "
        "(exponential)",
    ),
)
def dispersal_rates(
    populations: Annotated[
        "pd.DataFrame",
        Table(
            "populations; optional size (individuals), for shares of immigrants, and node, their names in distances",
            columns=("population",),
        ),
    ],
    distances: Annotated[
        "pd.DataFrame",
        Table(
            "pairs (source, target, or core_a, core_b, or population_a, population_b ...) with how far apart they are"
        ),
    ],
    *,
    column: Annotated[str, Param("column of distances: a resistance, a cost or metres")],
    rule: Annotated[
        Literal["conductance", "exponential"],
        Param("rates go with 1 / resistance, or with exp(-distance / mean_distance)"),
    ],
    total: Annotated[
        float, Param("share of a population's individuals that leave it", unit="per year or generation", ge=0, le=1)
    ],
    per: Annotated[
        Literal["mean", "each"],
        Param("total is the mean over populations, so that well connected ones send more; or it is that of each"),
    ] = "mean",
    mean_distance: Annotated[float | None, Param("mean distance of dispersal, in the unit of column", gt=0)] = None,
    at: Annotated[
        float | None,
        Param(
            "distance of a pair at which total goes from one to the other: keeps rates of several landscapes "
            "comparable, where a mean total would give each the same; in the unit of column",
            gt=0,
        ),
    ] = None,
) -> Annotated[
    "pd.DataFrame",
    TableOf(
        "source, target, rate (share of the source's individuals), migrants, and immigrant_share (of the target's, the "
        "backward rate); the last two are empty without size"
    ),
]:
    """Dispersal rates between populations, from how far apart they are and how many leave in all.

    rate_ij = c w_ij with w = 1 / R (conductance, for effective resistances) or exp(-d / mean_distance); c is one for
    all, so that the mean share that leaves is ``total``, or one for each population; with ``at`` it is total / w(at),
    so that a landscape that lets more through has higher rates. Pairs that are not in the table
    exchange nobody. Pairs named source and target go one way; all others both ways. The rate is forward, as the
    animals go; with sizes N the backward rate of j, the share of its individuals that came from i, is N_i rate_ij /
    sum_k N_k rate_kj.

    Raises LinkwaysError for unknown populations, distances of 0 or less where 1 / R is wanted, a missing mean_distance,
    and rates that would sum to more than 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> three = pd.DataFrame({"population": ["a", "b", "c"], "size": [100, 50, 50]})
    >>> apart = pd.DataFrame({"core_a": ["a", "b"], "core_b": ["b", "c"], "resistance": [1.0, 2.0]})
    >>> populations.dispersal_rates(three, apart, column="resistance", rule="conductance", total=0.02)
      source target  rate  migrants  immigrant_share
    0      a      b  0.02       2.0         0.039216
    1      b      a  0.02       1.0         0.010101
    2      b      c  0.01       0.5         0.010000
    3      c      b  0.01       0.5         0.009804
    """
    import pandas as pd

    from linkways.populations._viability_tables import column as numbers
    from linkways.populations._viability_tables import names_of

    names = names_of(ID, populations, "populations", "population")
    known = names_of(ID, populations, "populations", "node") if "node" in populations.columns else names
    weight = _weights(known, distances, column, rule, mean_distance)
    out = weight.sum(axis=1)
    if at is not None:
        rates = total * weight * (at if rule == "conductance" else np.exp(at / mean_distance))  # type: ignore[operator]
    elif per == "each":
        lonely = np.flatnonzero(out <= 0)
        if len(lonely):
            raise LinkwaysError(
                f"{ID}: population '{names[lonely[0]]}' has no pair in distances; use per: mean, or add one"
            )
        rates = total * weight / out[:, None]
    else:
        rates = total * weight / out.mean() if out.any() else weight
    worst = int(rates.sum(axis=1).argmax())
    if rates[worst].sum() > 1:
        raise LinkwaysError(
            f"{ID}: {rates[worst].sum():.3g} of population '{names[worst]}' would leave, more than all; lower "
            "total, or use per: "
            "each"
        )
    source, target = np.nonzero(rates)
    table = pd.DataFrame(
        {
            "source": np.array(names, object)[source],
            "target": np.array(names, object)[target],
            "rate": rates[source, target],
            "migrants": np.nan,
            "immigrant_share": np.nan,
        }
    )
    if "size" in populations.columns:
        size = numbers(ID, populations, "populations", "size")
        moving = rates * size[:, None]
        after = size - moving.sum(axis=1) + moving.sum(axis=0)
        table["migrants"] = moving[source, target]
        with np.errstate(invalid="ignore", divide="ignore"):
            table["immigrant_share"] = (moving / after)[source, target]
    return table


def _weights(
    names: list[str], distances: "pd.DataFrame", name: str, rule: str, mean_distance: float | None
) -> np.ndarray:
    """(D, D) what rates are proportional to, from row to column."""
    from linkways.populations._gene_pairs import ends_of
    from linkways.populations._viability_tables import column, places

    if rule == "exponential" and mean_distance is None:
        raise LinkwaysError(f"{ID}: rule exponential needs mean_distance, in the unit of {name}; give it")
    ends = ends_of(ID, distances, "distances")
    source, target = (places(ID, distances, "distances", end, names) for end in ends)
    value = column(ID, distances, "distances", name)
    if rule == "conductance":
        zero = np.flatnonzero(value <= 0)
        if len(zero):
            raise LinkwaysError(
                f"{ID}: distances row {zero[0] + 1} has {name} {value[zero[0]]:g}, whose conductance is infinite; "
                "join these "
                "populations into one"
            )
        with np.errstate(divide="ignore"):
            strength = 1 / value
    else:
        assert mean_distance is not None
        strength = np.exp(-value / mean_distance)
    weight = np.zeros((len(names), len(names)))
    seen = np.zeros((len(names), len(names)), bool)
    for i, j, w in zip(source, target, strength, strict=True):
        pairs = ((i, j),) if ends == ("source", "target") else ((i, j), (j, i))
        for a, b in pairs:
            if a == b or seen[a, b]:
                what = "leads from a population to itself" if a == b else "is there twice"
                raise LinkwaysError(
                    f"{ID}: the pair {names[a]} and {names[b]} of distances {what}; give each pair once"
                )
            seen[a, b] = True
            weight[a, b] = w
    return weight
