"""Small no-take reserves on a river: what they do, and where the next ones help most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Table, TableOf, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from numpy.typing import NDArray

    from linkways.rivers._reserve_model import Species, Waters

    Floats = NDArray[np.float64]

__all__ = ["RiverReserves", "reserves"]

PRESENT = 0.2
"""Share of the carrying capacity from which a species counts as present; ours."""


@dataclass(frozen=True)
class RiverReserves:
    """Reserves as they are and as they could be, and the river under them; all from a model, not from counts."""

    reaches: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame",
        Layer(
            "the reaches with reserve (existing, new or empty), enforcement, biomass_share (of the carrying capacity, "
            "mean over species), species_present, catch (of the capacity a year), centrality (what reaches the reach "
            "from everywhere, of the largest)"
        ),
    ]
    reserves: Annotated[
        "pd.DataFrame",
        TableOf(
            "each reserve: reach, kind, length_m, enforcement, biomass_ratio (to the same reach without any reserve), "
            "species_gained, spillover (fish that leave for open water a year, of the capacity), staying_percent, "
            "from_reserves_percent (of its settlers, born in other reserves), nearest_reserve_m"
        ),
    ]
    choice: Annotated[
        "pd.DataFrame",
        TableOf("new reserves in the order of choice: step, reach, cost, objective after it, gain, and their village"),
    ]
    alternatives: Annotated[
        "pd.DataFrame",
        TableOf("the same number of new reserves placed otherwise: placing, objective, gain_percent_of_chosen"),
    ]
    biomass_ratio: Annotated[float, Indicator("biomass inside the reserves, to that there without reserves")]
    catch_ratio: Annotated[float, Indicator("catch of the whole river, to that without reserves")]
    species_gained: Annotated[float, Indicator("species present inside the reserves beyond those without reserves")]
    reserved_percent: Annotated[float, Indicator("share of the river's length in reserves", unit="%")]
    coherence: Annotated[
        float, Indicator("chance that fish leaving one reserve settle in another, to that if all water were reserve")
    ]


@method(
    "rivers.reserves",
    references=(
        "Koning AA, Perales KM, Fluet-Chouinard E, McIntyre PB (2020) A network of grassroots reserves protects "
        "tropical river fish diversity. Nature 588:631-635 (size, enforcement and central position raise the benefit)",
        "Comte L, Olden JD (2018) Evidence for dispersal syndromes in freshwater fishes. Proceedings of the Royal "
        "Society B 285:20172214 (movement distances)",
        "Beverton RJH, Holt SJ (1957) On the dynamics of exploited fish populations",
    ),
)
def reserves(
    reaches: Annotated[
        "pd.DataFrame", Table("reaches of the river, table or layer", columns=("reach", "down", "length_m"))
    ],
    existing: Annotated[
        "pd.DataFrame | None", Table("reserves that exist: reach, and enforcement where known", columns=("reach",))
    ] = None,
    barriers: Annotated[
        "pd.DataFrame | None", Table("barriers with their passability", columns=("barrier", "reach"))
    ] = None,
    species: Annotated[
        "pd.DataFrame | None",
        Table(
            "species or guilds: species, dispersal_m, growth_rate, catchability; one, of the parameters, when left out",
            columns=("species", "dispersal_m", "growth_rate", "catchability"),
        ),
    ] = None,
    *,
    new_reserves: Annotated[int, Param("how many new reserves are chosen", ge=0)] = 0,
    budget: Annotated[float | None, Param("what the new ones may cost together, in units of cost", gt=0)] = None,
    objective: Annotated[
        Literal["biomass", "catch", "species"],
        Param("what the new ones are to raise: biomass of the river, catch, or species present times length"),
    ] = "biomass",
    min_length_m: Annotated[
        float, Param("shortest stretch that is made a reserve", unit="m", ge=0, source="Ngao basin: 300 to 1,000 m")
    ] = 300.0,
    max_length_m: Annotated[
        float, Param("longest stretch", unit="m", gt=0, source="Ngao basin: 300 to 1,000 m")
    ] = 1000.0,
    min_spacing_m: Annotated[float, Param("least distance along the river between reserves", unit="m", ge=0)] = 0.0,
    cost: Annotated[str | None, Param("column of reaches with the cost of a reserve; without it each costs 1")] = None,
    village: Annotated[str | None, Param("column of reaches; at most one new reserve for each of its values")] = None,
    habitat: Annotated[str, Param("column of reaches that the carrying capacity follows")] = "length_m",
    enforcement: Annotated[
        float, Param("share of fishing that a reserve keeps out, where existing does not say", ge=0, le=1)
    ] = 0.9,
    displaced: Annotated[
        float, Param("share of the fishing kept out that goes to open water of the basin instead", ge=0, le=1)
    ] = 1.0,
    fishing_mortality: Annotated[float, Param("of open water, a year", unit="1/year", ge=0)] = 0.5,
    dispersal_m: Annotated[
        float,
        Param("mean distance moved in a year", unit="m", gt=0, source="Comte and Olden (2018): median 1 km, genetic"),
    ] = 1000.0,
    growth_rate: Annotated[float, Param("growth when rare, a year", unit="1/year", gt=0)] = 1.0,
    random_draws: Annotated[int, Param("random placings that the choice is compared with", ge=1)] = 20,
    seed: Annotated[int, Param("of the random placings")] = 1,
) -> RiverReserves:
    """What small no-take reserves do on a river network, and the best places for the next ones: a model, stated as one.

    Each year the fish of a reach grow, n -> (1 + r) n / (1 + r n / K), are fished, the share exp(-q F e) is left, and
    settle along the river: from reach i to j the share C(i, j) l_j / sum_k C(i, k) l_k, with C the passabilities of
    the way times exp(-distance / mean distance). K follows the habitat, q is the catchability. A reserve keeps the
    share ``enforcement`` of the effort e out, the rest goes on as poaching; ``displaced`` of what is kept out is
    fished elsewhere in the basin. Results are those of the equilibrium. Size, enforcement and position act through
    this alone: no published effect is put in, so that its direction can be held against the published one.

    New reserves are chosen one by one, each time the candidate that raises the objective most for its cost (all are
    tried in the model roughly, the best twenty solved fully), then exchanged one for one while that helps; candidates
    are reaches from ``min_length_m`` to ``max_length_m``. Placings at random, evenly spaced and at the most central
    places stand beside the choice, which is a heuristic and claims no optimum. Species present inside reserves is a
    proxy of richness: those above 20 per cent of their capacity. Default rates are examples of ours: give those of
    your fish.

    Raises LinkwaysError when no reach can be a reserve, an existing one is not among the reaches, or the budget buys
    nothing.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import rivers
    >>> line = pd.DataFrame({"reach": range(9), "down": [-1, *range(8)], "length_m": 500.0})
    >>> found = rivers.reserves(line, new_reserves=1, objective="catch")
    >>> int(found.choice.reach[0])  # the middle of the river
    4
    """
    import pandas as pd

    from linkways.rivers._reserve_choice import Search

    waters = _waters(reaches, barriers, habitat, fishing_mortality, displaced)
    guilds = _species(species, dispersal_m, growth_rate)
    now = _existing(existing, waters, enforcement)
    search = Search(waters, guilds, now, objective, enforcement, PRESENT)
    chosen: list[int] = []
    steps: list[dict[str, Any]] = []
    alternatives: list[dict[str, Any]] = []
    if new_reserves:
        candidates = _candidates(reaches, waters, now, min_length_m, max_length_m, cost, village, min_spacing_m)
        if budget is not None and candidates.cost.min() > budget:
            raise LinkwaysError(
                f"a budget of {budget:g} buys no reserve: the cheapest costs {candidates.cost.min():g}; raise budget"
            )
        chosen, steps = search.choose(candidates, new_reserves, budget, progress)
        alternatives = search.alternatives(candidates, chosen, random_draws, np.random.default_rng(seed))
    protection = now.copy()
    protection[chosen] = enforcement
    layer, table, sums = _told(reaches, waters, guilds, now, protection, search)
    ids = waters.forest.ids[waters.forest.row]
    for step in steps:
        step["reach"] = ids[step.pop("place")]
    return RiverReserves(
        reaches=layer,
        reserves=table,
        choice=pd.DataFrame(steps, columns=["step", "reach", "cost", "objective", "gain", "village"]),
        alternatives=pd.DataFrame(alternatives, columns=["placing", "objective", "gain_percent_of_chosen"]),
        **sums,
    )


@dataclass(frozen=True)
class Candidates:
    """Places that can become reserves, (c,), their cost, the village they belong to (None: none) and the spacing."""

    place: "NDArray[np.int64]"
    cost: "Floats"
    village: Sequence[Any]
    min_spacing_m: float


def _waters(
    reaches: "pd.DataFrame", barriers: "pd.DataFrame | None", habitat: str, fishing: float, displaced: float
) -> "Waters":
    from linkways.rivers._forest import edge_passability
    from linkways.rivers._index import read_passabilities, read_river
    from linkways.rivers._reserve_model import Waters

    river = read_river(reaches, barriers, habitat, method="rivers.reserves")
    down, up = read_passabilities(barriers).both("directional")
    edge = edge_passability(river.forest, river.barriers, down, up)
    return Waters(river.forest, river.weight, edge.down, edge.up, fishing, displaced)


def _species(table: "pd.DataFrame | None", dispersal_m: float, growth_rate: float) -> "list[Species]":
    from linkways.rivers._forest import numbers
    from linkways.rivers._reserve_model import Species

    if table is None:
        return [Species("fish", dispersal_m, growth_rate, 1.0)]
    if not len(table):
        raise LinkwaysError("species: the table has no rows; give at least one or leave the table out")
    names = table["species"].astype(str)
    bounds = {"dispersal_m": 1e-9, "growth_rate": 1e-9, "catchability": 0.0}
    columns = {c: numbers(table, c, "species", names, "species", least=low) for c, low in bounds.items()}
    return [Species(name, *(float(columns[c][i]) for c in bounds)) for i, name in enumerate(names)]


def _existing(table: "pd.DataFrame | None", waters: "Waters", enforcement: float) -> "Floats":
    """Protection by place."""
    from linkways.rivers._forest import numbers_or_missing, rows_of, whole_numbers

    forest = waters.forest
    protection = np.zeros(len(forest.down))
    if table is None or not len(table):
        return protection
    ids = whole_numbers(table, "reach", "existing")
    row = rows_of(forest.ids, ids)
    if (row < 0).any():
        raise LinkwaysError(
            f"existing: reserve on reach {ids[row < 0][0]}, which is no reach ({int((row < 0).sum())} such reserves); "
            "correct column reach"
        )
    share = np.full(len(ids), enforcement)
    if "enforcement" in table.columns:
        told = numbers_or_missing(table, "enforcement", "existing", ids, "reach", least=0.0, most=1.0)
        share = np.where(np.isnan(told), enforcement, told)
    np.maximum.at(protection, forest.place[row], share)
    return protection


def _candidates(
    reaches: "pd.DataFrame",
    waters: "Waters",
    now: "Floats",
    min_length_m: float,
    max_length_m: float,
    cost: str | None,
    village: str | None,
    min_spacing_m: float,
) -> Candidates:
    from linkways.rivers._forest import numbers

    forest = waters.forest
    length = forest.length_m
    place = np.flatnonzero((length >= min_length_m) & (length <= max_length_m) & (now == 0) & (waters.capacity > 0))
    if not len(place):
        raise LinkwaysError(
            f"no reach of {min_length_m:g} to {max_length_m:g} m is free for a reserve (lengths go from "
            f"{length.min():.0f} to {length.max():.0f} m); widen the limits or cut the reaches into shorter ones"
        )
    prices = np.ones(len(length))
    if cost is not None:
        prices = numbers(reaches, cost, "reaches", forest.ids, "reach", least=1e-12)[forest.row]
    labels: list[Any] = [None] * len(place)
    if village is not None:
        if village not in reaches.columns:
            raise LinkwaysError(f"reaches: there is no column '{village}'; name the column that tells the village")
        column = reaches[village].iloc[forest.row[place]]
        labels = [None if missing else label for label, missing in zip(column, column.isna(), strict=True)]
    return Candidates(place, prices[place], labels, min_spacing_m)


def _told(
    reaches: "pd.DataFrame",
    waters: "Waters",
    guilds: "Sequence[Species]",
    now: "Floats",
    protection: "Floats",
    search: Any,
) -> "tuple[Any, pd.DataFrame, dict[str, float]]":
    """The layer of reaches, the table of reserves and the sums."""
    from linkways.rivers._reserve_choice import centrality, coherence, ratio, reserve_rows

    forest = waters.forest
    inside = protection > 0
    without, with_them = search.state(np.zeros_like(protection)), search.state(protection)
    kind = np.where(now > 0, "existing", np.where(inside, "new", ""))
    layer = reaches.copy()
    columns = {
        "reserve": kind,
        "enforcement": np.where(inside, protection, np.nan),
        "biomass_share": with_them.share,
        "species_present": with_them.present,
        "catch": with_them.catch,
        "centrality": centrality(waters, guilds),
    }
    for name, values in columns.items():
        layer[name] = values[forest.place]
    table = reserve_rows(waters, guilds, protection, kind, without, with_them)
    total = forest.length_m.sum()
    biomass = [(state.biomass * inside).sum() for state in (without, with_them)]
    catch = [state.catch.sum() for state in (without, with_them)]
    species = [(state.present * forest.length_m)[inside].sum() for state in (without, with_them)]
    reserved = forest.length_m[inside].sum()
    return (
        layer,
        table,
        {
            "biomass_ratio": ratio(biomass[1], biomass[0], waters.capacity[inside].sum()),
            "catch_ratio": ratio(catch[1], catch[0], waters.capacity.sum()),
            "species_gained": float((species[1] - species[0]) / reserved) if reserved > 0 else 0.0,
            "reserved_percent": float(100 * reserved / total),
            "coherence": coherence(waters, guilds, inside),
        },
    )
