"""Where barriers cut a river network, what each would open, and who answers for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Table, TableOf, method
from linkways.rivers._index import PassDown, PassUp

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from numpy.typing import NDArray

    from linkways.rivers._forest import BarrierPlaces, Forest

    Floats = NDArray[np.float64]

__all__ = ["RiverBarriers", "barriers"]

KM_PER_MILE = 1.609344


@dataclass(frozen=True)
class RiverBarriers:
    """Barriers with the networks above and below them, fragments, and those who answer for the barriers."""

    barriers: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame",
        Layer(
            "the barriers with cuts, fragment_up and fragment_down (named by their lowest reach), upstream_km (network "
            "up to the next barriers), downstream_free_km (free-flowing network below), functional_network_km, gain_km "
            "and gain_miles (GainMiles), barriers_to_sea, barriers_upstream, next_barrier, total_upstream_km, and the "
            "tiers tier_nc, tier_wc, tier_ncwc (1 the best of 20)"
        ),
    ]
    reaches: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame",
        Layer("the reaches with fragment (its lowest reach) and barriers_to_sea (barriers between it and the outlet)"),
    ]
    fragments: Annotated[
        "pd.DataFrame",
        TableOf("fragment, basin, reaches, length_km, free_km, barrier_below, barriers_to_sea, from the longest"),
    ]
    responsible: Annotated[
        "pd.DataFrame | None",
        TableOf("role (column), name, barriers, ranked, in_first_tiers (1 to 4), largest_gain_km, its barrier"),
    ]
    fragment_count: Annotated[int, Indicator("fragments of the network")]
    longest_km: Annotated[float, Indicator("longest fragment", unit="km")]
    open_to_sea: Annotated[float, Indicator("part of the length with no barrier between it and the outlet", unit="%")]


@method(
    "rivers.barriers",
    references=(
        "Southeast Aquatic Resources Partnership (2026) National Aquatic Barrier Inventory & Prioritization Tool, "
        "version 4.3.0 (functional network, GainMiles, scores and tiers)",
    ),
)
def barriers(
    reaches: Annotated[
        "pd.DataFrame",
        Table(
            "reaches, table or layer: reach, down (-1 at an outlet), length_m", columns=("reach", "down", "length_m")
        ),
    ],
    barriers: Annotated[
        "pd.DataFrame",
        Table(
            "barriers, table or layer: barrier, reach whose lower end carries it; passabilities; removable (false: "
            "a waterfall that cuts and is not ranked), and what else is to be carried along",
            columns=("barrier", "reach"),
        ),
    ],
    *,
    cuts_below: Annotated[
        float,
        Param("a barrier cuts the network when it lets less than this through, there and back", gt=0, le=1),
    ] = 1.0,
    pass_up: PassUp = None,
    pass_down: PassDown = None,
    waterbody: Annotated[
        str | None,
        Param("column of the reaches: part of the length that is lake or reservoir, 0 to 1, not free-flowing"),
    ] = None,
    sea: Annotated[
        str | None, Param("column of the reaches: true at outlets that end in the sea (or Great Lakes); none: all do")
    ] = None,
    unaltered: Annotated[
        str | None, Param("column of the reaches: part of the channel that is not altered, for the watershed condition")
    ] = None,
    landcover: Annotated[
        str | None, Param("column of the reaches: part of the floodplain under natural land cover, likewise")
    ] = None,
    size_class: Annotated[
        str | None, Param("column of the reaches: size class of the river; how many lie upstream counts, likewise")
    ] = None,
    rank_within: Annotated[
        str | None, Param("column of the barriers, such as a state: tiers are found within each; none: among all")
    ] = None,
    responsible: Annotated[
        Sequence[str], Param("columns of the barriers with those who answer for them, counted where they are there")
    ] = ("owner", "regulator"),
) -> RiverBarriers:
    """Barriers with the networks that they cut apart, GainMiles and tiers, as the national tool of the USA has them.

    A barrier cuts the network or it does not. The network that is joined without a barrier is a fragment. For each
    barrier that cuts, upstream_km is the length of the fragment above it and downstream_free_km the length outside
    waterbodies of the fragment below;

        gain_km = min(upstream_km, downstream_free_km), or upstream_km where no barrier lies between it and the sea,

    and functional_network_km is the sum of both. Several barriers at one place have the same gain: that of opening
    the place. Gains of several barriers must not be added up: fragments between them would count more than once.

    Tiers: a value's score is its rank among the different values, from 0 to 1; NC is the score of gain_km, WC the
    mean score of the conditions that are named (upstream means by length of unaltered and landcover, number of size
    classes upstream), NCWC the mean of both; tiers 1 to 20 are twentieths of the range of scores, from the top. All
    columns of the barriers (owners, regulators, years, costs) are carried along.

    Raises LinkwaysError for what is wrong with either table.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import rivers
    >>> reaches = pd.DataFrame({"reach": [1, 2, 3], "down": [2, 3, -1], "length_m": [5000.0, 2000.0, 3000.0]})
    >>> barriers = pd.DataFrame({"barrier": ["upper", "lower"], "reach": [1, 2], "owner": ["mill", "city"]})
    >>> rivers.barriers(reaches, barriers).barriers[["barrier", "owner", "upstream_km", "gain_km", "barriers_to_sea"]]
      barrier owner  upstream_km  gain_km  barriers_to_sea
    0   upper  mill          5.0      2.0                1
    1   lower  city          2.0      2.0                0
    """
    from linkways.rivers._forest import read_barriers, read_forest
    from linkways.rivers._kernels import fragments_of

    forest = read_forest(reaches)
    found = read_barriers(barriers, forest)
    cuts = _cuts(barriers, cuts_below, pass_up, pass_down)
    on_edge = np.bincount(found.place[cuts], minlength=len(forest.down))
    root, below, above = fragments_of(forest.down, on_edge)
    free_m = forest.length_m * (1 - _column(reaches, forest, waterbody, 1.0, 0.0))
    total_m = _subtree_sums(forest)
    length_km, free_km = (np.bincount(root, values, len(root)) / 1000 for values in (forest.length_m, free_m))
    sea_at = _column(reaches, forest, sea, 1.0, 1.0) > 0
    table = _barrier_columns(forest, found, cuts, (root, below, above), (length_km, free_km, total_m / 1000), sea_at)
    conditions = _conditions(reaches, forest, root, unaltered, landcover, size_class)
    ranked = cuts & _removable(barriers)
    groups = _groups(barriers, rank_within)
    tiers = _tiers(table["gain_km"], {k: v[found.place] for k, v in conditions.items()}, ranked, groups)
    result = barriers.assign(**table, **tiers)
    fragments = _fragment_table(forest, found, cuts, root, below, length_km, free_km)
    open_m = float(forest.length_m[below == 0].sum())
    return RiverBarriers(
        result,
        reaches.assign(fragment=forest.by_row(forest.ids[forest.row[root]]), barriers_to_sea=forest.by_row(below)),
        fragments,
        _responsible(result, ranked, [c for c in responsible if c in barriers.columns]),
        len(fragments),
        float(fragments["length_km"].max()),
        100 * open_m / float(forest.length_m.sum()) if forest.length_m.any() else float("nan"),
    )


def _cuts(
    barriers: "pd.DataFrame", cuts_below: float, pass_up: str | None, pass_down: str | None
) -> "NDArray[np.bool_]":
    """Which barriers cut; all of them where no passability is told."""
    from linkways.rivers._index import read_passabilities

    known = {"passability", "pass_up", "pass_down"} & set(barriers.columns)
    if not known and pass_up is None and pass_down is None:
        return np.ones(len(barriers), bool)
    return np.asarray(read_passabilities(barriers, pass_up, pass_down).product < cuts_below)


def _removable(barriers: "pd.DataFrame") -> "NDArray[np.bool_]":
    if "removable" not in barriers.columns:
        return np.ones(len(barriers), bool)
    column = barriers["removable"]
    if column.isna().any():
        first = barriers["barrier"][column.isna()].iloc[0]
        raise LinkwaysError(f"barriers: removable of barrier {first} is missing; say true or false")
    return np.asarray(column.astype(bool))


def _column(reaches: "pd.DataFrame", forest: "Forest", name: str | None, most: float, default: float) -> "Floats":
    from linkways.rivers._forest import numbers

    if name is None:
        return np.full(len(forest.down), default)
    return numbers(reaches, name, "reaches", forest.ids, "reach", least=0.0, most=most)[forest.row]


def _subtree_sums(forest: "Forest") -> "Floats":
    from linkways.rivers._kernels import sum_upstream

    return np.asarray(sum_upstream(forest.down, forest.length_m))


def _barrier_columns(
    forest: "Forest",
    found: "BarrierPlaces",
    cuts: "NDArray[np.bool_]",
    networks: tuple["NDArray[Any]", "NDArray[Any]", "NDArray[Any]"],
    lengths: tuple["Floats", "Floats", "Floats"],
    sea_at: "NDArray[np.bool_]",
) -> dict[str, Any]:
    import pandas as pd

    root, below, above = networks
    length_km, free_km, total_km = lengths
    place = found.place
    down = forest.down[place]
    ends = down < 0
    lower = root[np.where(ends, place, down)]
    to_sea = np.where(ends, 0, below[down])
    upstream = length_km[root[place]]
    downstream = np.where(ends, 0.0, free_km[lower])
    outlet = forest.starts[1:][forest.basin[place]] - 1
    gain = np.where((to_sea == 0) & sea_at[outlet], upstream, np.minimum(upstream, downstream))
    ids = forest.ids[forest.row]
    next_barrier = _first_on_edge(forest, found, cuts)[lower]
    next_barrier[ends] = None
    only = np.where(cuts, 1.0, np.nan)
    return {
        "cuts": cuts,
        "fragment_up": ids[root[place]],
        "fragment_down": pd.Series(ids[lower], dtype="Int64").mask(ends).array,
        "upstream_km": upstream * only,
        "downstream_free_km": downstream * only,
        "functional_network_km": (upstream + downstream) * only,
        "gain_km": gain * only,
        "gain_miles": gain * only / KM_PER_MILE,
        "barriers_to_sea": to_sea,
        "barriers_upstream": above[place],
        "next_barrier": next_barrier,
        "total_upstream_km": total_km[place],
    }


def _first_on_edge(forest: "Forest", found: "BarrierPlaces", cuts: "NDArray[np.bool_]") -> "NDArray[Any]":
    """Id of a barrier that cuts on the edge below each place, None where there is none."""
    out = np.full(len(forest.down), None, object)
    which = np.flatnonzero(cuts)[::-1]
    out[found.place[which]] = np.asarray(found.ids, object)[which]
    return out


def _conditions(
    reaches: "pd.DataFrame",
    forest: "Forest",
    root: "NDArray[Any]",
    unaltered: str | None,
    landcover: str | None,
    size_class: str | None,
) -> dict[str, "Floats"]:
    """Conditions of the fragment that ends at each place (only those of the lowest reaches mean anything)."""
    from linkways.rivers._index import share

    out: dict[str, Floats] = {}
    length = np.bincount(root, forest.length_m, len(root))
    for name in (unaltered, landcover):
        if name is not None:
            part = _column(reaches, forest, name, 1.0, 0.0)
            out[name] = np.nan_to_num(share(np.bincount(root, part * forest.length_m, len(root)), length))
    if size_class is not None:
        import pandas as pd

        if size_class not in reaches.columns:
            raise LinkwaysError(f"reaches: there is no column '{size_class}'; name that of the size class")
        codes = pd.factorize(reaches[size_class])[0][forest.row]
        pairs = np.unique(np.stack([root, codes]), axis=1)
        out[size_class] = np.bincount(pairs[0][pairs[1] >= 0], minlength=len(root)).astype(float)
    return out


def _groups(barriers: "pd.DataFrame", rank_within: str | None) -> "NDArray[Any]":
    import pandas as pd

    if rank_within is None:
        return np.zeros(len(barriers), int)
    if rank_within not in barriers.columns:
        raise LinkwaysError(f"barriers: there is no column '{rank_within}' to rank within; name one that is there")
    return np.asarray(pd.factorize(barriers[rank_within])[0])


def _tiers(
    gain: "Floats", conditions: dict[str, "Floats"], ranked: "NDArray[np.bool_]", groups: "NDArray[Any]"
) -> dict[str, Any]:
    import pandas as pd

    names = ["tier_nc", *(["tier_wc", "tier_ncwc"] if conditions else [])]
    out = {name: np.full(len(gain), np.nan) for name in names}
    for group in np.unique(groups[ranked]):
        rows = np.flatnonzero(ranked & (groups == group))
        scores = {"tier_nc": _scores(gain[rows])}
        if conditions:
            scores["tier_wc"] = np.mean([_scores(values[rows]) for values in conditions.values()], axis=0)
            scores["tier_ncwc"] = (scores["tier_nc"] + scores["tier_wc"]) / 2
        for name, values in scores.items():
            out[name][rows] = _twentieths(values)
    return {name: pd.array(values, dtype="Int64") for name, values in out.items()}


def _scores(values: "Floats") -> "Floats":
    """Rank of each value among the different values, from 0 to 1; 0 where all are the same."""
    different, rank = np.unique(values, return_inverse=True)
    return np.asarray(rank / max(len(different) - 1, 1))


def _twentieths(scores: "Floats") -> "Floats":
    """Tier 1 for the top twentieth of the range of scores, to tier 20."""
    span = float(np.ptp(scores)) or 1.0
    relative = 100 * (scores - scores.min()) / span
    return np.asarray(np.clip(20 - np.floor(relative / 5), 1, 20))


def _fragment_table(
    forest: "Forest",
    found: "BarrierPlaces",
    cuts: "NDArray[np.bool_]",
    root: "NDArray[Any]",
    below: "NDArray[Any]",
    length_km: "Floats",
    free_km: "Floats",
) -> "pd.DataFrame":
    import pandas as pd

    lowest = np.flatnonzero(root == np.arange(len(root)))
    table = pd.DataFrame(
        {
            "fragment": forest.ids[forest.row[lowest]],
            "basin": forest.outlets[forest.basin[lowest]],
            "reaches": np.bincount(root, minlength=len(root))[lowest],
            "length_km": length_km[lowest],
            "free_km": free_km[lowest],
            "barrier_below": _first_on_edge(forest, found, cuts)[lowest],
            "barriers_to_sea": below[lowest],
        }
    )
    return table.sort_values("length_km", ascending=False, kind="stable", ignore_index=True)


def _responsible(table: "pd.DataFrame", ranked: "NDArray[np.bool_]", columns: list[str]) -> "pd.DataFrame | None":
    """How many barriers each name answers for, role by role."""
    import pandas as pd

    if not columns:
        return None
    rows: list[dict[str, Any]] = []
    for column in columns:
        names = table[column].fillna("not told").astype(str)
        for name, part in table.groupby(names.to_numpy()):
            best = part["gain_km"].max()
            at = part.index[part["gain_km"] == best]
            rows.append(
                {
                    "role": column,
                    "name": name,
                    "barriers": len(part),
                    "ranked": int(ranked[table.index.get_indexer(part.index)].sum()),
                    "in_first_tiers": int((part["tier_nc"] <= 4).sum()),
                    "largest_gain_km": best,
                    "barrier": part.loc[at[0], "barrier"] if len(at) else None,
                }
            )
    found = pd.DataFrame(rows)
    return found.sort_values(["role", "in_first_tiers", "name"], ascending=[True, False, True], ignore_index=True)
