"""Which stretches to fence with hives, chilli or lights, when a fence stops some raids and sends others to its ends."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, TableOf, Vector, method, progress
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["SoftBarriers", "soft_barriers"]

ID = "planning.soft_barriers"
DRAWS = 10_000


@dataclass(frozen=True)
class SoftBarriers:
    """The stretches to fence, and the damage to expect with and without."""

    segments: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "all stretches: segment, length_m, cost, damage (a year, as it is), fenced, leaks (an open stretch lies "
            "within "
            "reach), damage_after"
        ),
    ]
    curve: Annotated[
        "pd.DataFrame",
        TableOf("tenths of the budget: budget, cost, fenced_m, damage, saved, saved_low, saved_high, gap"),
    ]
    damage_before: Annotated[float, Indicator("damage expected in a year without new fences")]
    damage_after: Annotated[float, Indicator("damage expected in a year with them, by the mean effectiveness")]
    damage_after_low: Annotated[float, Indicator("low end of it, by the prior of the effectiveness")]
    damage_after_high: Annotated[float, Indicator("high end of it")]
    cost: Annotated[float, Indicator("cost of the new fences", unit="money")]
    gap: Annotated[float, Indicator("how far from proven best, as a share of the damage; 0 is proven best")]


@method(
    ID,
    references=(
        "King LE, Lala F, Nzumu H, Mwambingu E, Douglas-Hamilton I (2017) Beehive fences as a multidimensional "
        "conflict-"
        "mitigation tool for farmers coexisting with elephants. Conservation Biology 31:743-752",
        "Osipova L, Okello MM, Njumbi SJ, et al. (2018) Fencing solves human-wildlife conflict locally but shifts "
        "problems "
        "elsewhere. Journal of Applied Ecology 55:2673-2684",
    ),
)
def soft_barriers(
    segments: Annotated[
        "gpd.GeoDataFrame",
        Vector(
            "stretches that could be fenced; columns segment (name), cost, damage (a year) and existing (true: fenced "
            "already) when present",
            geometry=("LineString",),
        ),
    ],
    incidents: Annotated[
        "gpd.GeoDataFrame | None",
        Vector(
            "incidents of one year, each counted for its nearest stretch, in place of the column damage; column damage "
            "(what each cost) when present",
            geometry=("Point",),
        ),
    ] = None,
    *,
    budget: Annotated[float, Param("what new fences may cost", unit="money", ge=0)],
    cost_per_m: Annotated[float, Param("cost of fence where the column cost is missing", unit="money/m", gt=0)] = 1.0,
    effectiveness: Annotated[
        float,
        Param(
            "share of raids that a fence turns back, the mean of its prior",
            ge=0,
            le=1,
            source="pilots with beehive fences about halved raids; other trials found no effect",
        ),
    ] = 0.5,
    effectiveness_sd: Annotated[
        float, Param("standard deviation of that prior (a beta distribution)", ge=0, lt=0.5)
    ] = 0.2,
    displaced: Annotated[
        float, Param("share of raids turned back that go round, where an open stretch is within reach", ge=0, le=1)
    ] = 0.5,
    reach_m: Annotated[float, Param("how far raiders go along to find an open stretch", unit="m", ge=0)] = 1000.0,
    confidence: Annotated[float, Param("confidence of the interval", gt=0, lt=1)] = 0.9,
    time_limit_s: Annotated[float, Param("for each budget of the curve", unit="s", gt=0)] = 60.0,
    seed: Annotated[int, Param("seed of the draws from the prior", ge=0)] = 1,
) -> SoftBarriers:
    """The stretches to fence under a budget so that the least damage is to be expected, raids that go round counted.

    With e the effectiveness and r the share displaced, a fenced stretch keeps ``1 - e`` of its damage, and ``e r`` of
    it goes to an open stretch when one lies within reach of its middle; in the midst of a long fence none does.
    Expected damage is linear in e, so the best fences follow from its mean (a mixed-integer program, solved by HiGHS);
    how sure the saving is follows from the prior, since trials of soft barriers disagree.

    Damage may be money, hectares or raids; only its ratios choose the fences.

    Raises LinkwaysError for coordinates in degrees, damages or costs below 0, no damage at all, neither damage nor
    incidents or both, names that occur twice, and a spread that no share can have.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from linkways import planning
    >>> edge = [shapely.LineString([(x, 0), (x + 1000, 0)]) for x in range(0, 6000, 1000)]
    >>> farms = gpd.GeoDataFrame({"damage": [1, 8, 9, 7, 1, 2]}, geometry=edge, crs="EPSG:32736")
    >>> found = planning.soft_barriers(farms, budget=3000, reach_m=600)
    >>> found.segments.fenced.tolist()
    [False, True, True, True, False, False]
    >>> found.damage_before, found.damage_after  # 24 x 0.5 stopped, and a half of 8 + 7 of it goes round the ends
    (28.0, 19.75)
    """
    import pandas as pd

    line = _line(segments, incidents, cost_per_m, reach_m)
    rng = np.random.default_rng(seed)
    draws = _draws(effectiveness, effectiveness_sd, rng)
    rows, chosen = [], None
    for k in range(11):
        money = budget * k / 10
        chosen = _best(line, money, effectiveness, displaced, time_limit_s)
        rows.append(_row(line, chosen, money, effectiveness, displaced, draws, confidence))
        progress((k + 1) / 11, f"fences for {k} tenths of the budget")
    assert chosen is not None
    before = _damage(line, line.existing, effectiveness, displaced)
    # damage falls in proportion to the effectiveness
    most = line.damage.sum() - _damage(line, chosen.fenced, 1.0, displaced).sum()
    after = line.damage.sum() - draws * most
    low, high = np.quantile(after, [(1 - confidence) / 2, (1 + confidence) / 2])
    told = _damage(line, chosen.fenced, effectiveness, displaced)
    layer = line.layer.assign(
        length_m=line.length,
        cost=line.cost,
        damage=line.damage,
        fenced=chosen.fenced,
        leaks=_leaks(line, chosen.fenced),
        damage_after=told,
    )
    columns = ["segment", "length_m", "cost", "damage", "fenced", "leaks", "damage_after", layer.geometry.name]
    return SoftBarriers(
        layer[columns],
        pd.DataFrame(rows),
        float(before.sum()),
        float(told.sum()),
        float(low),
        float(high),
        float(line.cost[chosen.fenced & ~line.existing].sum()),
        chosen.gap,
    )


# --- inputs ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """The stretches, and for each the others within reach of its middle."""

    layer: "gpd.GeoDataFrame"
    length: np.ndarray
    cost: np.ndarray
    damage: np.ndarray
    existing: np.ndarray
    near: np.ndarray
    """(pairs, 2): a stretch, and another within reach of its middle."""


def _line(
    segments: "gpd.GeoDataFrame", incidents: "gpd.GeoDataFrame | None", cost_per_m: float, reach_m: float
) -> _Line:
    import shapely

    from linkways.planning._coverage_inputs import flags

    if not len(segments):
        raise LinkwaysError(f"{ID}: segments holds no stretch; give at least one line")
    if segments.crs.is_geographic:
        raise LinkwaysError(
            f"{ID}: segments has coordinates in degrees, but fences are measured in metres; project it (to_crs)"
        )
    empty = np.flatnonzero(segments.geometry.isna() | segments.geometry.is_empty)
    if len(empty):
        raise LinkwaysError(
            f"{ID}: segments has {len(empty)} rows without a line, first row {empty[0] + 1}; leave them out"
        )
    unit = float(segments.crs.axis_info[0].unit_conversion_factor)
    layer = segments.reset_index(drop=True)
    given = "segment" in layer.columns
    names = np.asarray(layer["segment"].astype(str) if given else np.arange(1, len(layer) + 1).astype(str), object)
    twice = [n for k, n in enumerate(names) if n in set(names[:k])]
    if twice:
        raise LinkwaysError(f"{ID}: segments has the name {twice[0]} twice in the column segment; give each its own")
    length = layer.geometry.length.to_numpy() * unit
    cost = _numbers(layer, "cost") if "cost" in layer.columns else length * cost_per_m
    existing = flags(layer, "existing", ID)
    damage = _damages(layer, incidents)
    shapes = layer.geometry.to_numpy()
    middles = shapely.line_interpolate_point(shapely.line_merge(shapes), 0.5, normalized=True)
    pairs = shapely.STRtree(shapes).query(middles, predicate="dwithin", distance=reach_m / unit).T
    near = pairs[pairs[:, 0] != pairs[:, 1]]
    return _Line(layer.assign(segment=names), length, cost, damage, existing, near)


def _damages(layer: "gpd.GeoDataFrame", incidents: "gpd.GeoDataFrame | None") -> np.ndarray:
    import shapely

    if (incidents is None) == ("damage" not in layer.columns):
        raise LinkwaysError(f"{ID}: give either a column damage in segments or incidents, not both and not neither")
    if incidents is None:
        damage = _numbers(layer, "damage")
    else:
        points = incidents.to_crs(layer.crs).geometry.to_numpy()
        each = _numbers(incidents, "damage") if "damage" in incidents.columns else np.ones(len(points))
        nearest = shapely.STRtree(layer.geometry.to_numpy()).nearest(points) if len(points) else np.empty(0, int)
        damage = np.bincount(nearest, each, len(layer))
    if not damage.sum() > 0:
        raise LinkwaysError(f"{ID}: there is no damage on any stretch, so there is nothing to save; give some")
    return damage


def _numbers(layer: "gpd.GeoDataFrame", column: str) -> np.ndarray:
    import pandas as pd

    values = pd.to_numeric(layer[column], errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~(values >= 0) | np.isinf(values))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: {len(wrong)} values of the column {column} are not numbers of 0 or more, first row {wrong[0] + 1} "
            f"({layer[column].iloc[wrong[0]]}); mend them"
        )
    return np.asarray(values)


def _draws(mean: float, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Effectiveness drawn from a beta distribution of this mean and spread."""
    if sd == 0 or mean in (0.0, 1.0):
        return np.array([mean])
    if sd**2 >= mean * (1 - mean):
        raise LinkwaysError(
            f"{ID}: a share of mean {mean:g} cannot have a standard deviation of {sd:g}; give effectiveness_sd below "
            f"{math.sqrt(mean * (1 - mean)):.3g}"
        )
    size = mean * (1 - mean) / sd**2 - 1
    return np.asarray(rng.beta(mean * size, (1 - mean) * size, DRAWS))


# --- the program -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Chosen:
    fenced: np.ndarray
    gap: float


def _leaks(line: _Line, fenced: np.ndarray) -> np.ndarray:
    """Which fenced stretches have an open one within reach."""
    out = np.zeros(len(fenced), bool)
    i, j = line.near.T
    out[i[fenced[i] & ~fenced[j]]] = True
    return out


def _damage(line: _Line, fenced: np.ndarray, e: float, displaced: float) -> np.ndarray:
    """Damage of each stretch's raids, wherever they end."""
    kept = np.where(fenced, 1 - e + e * displaced * _leaks(line, fenced), 1.0)
    return np.asarray(line.damage * kept)


def _best(line: _Line, money: float, e: float, displaced: float, time_limit_s: float) -> _Chosen:
    """The fences with the least damage: x fenced, z leaks with z_i >= x_i - x_j for every j within reach of i."""
    import scipy.sparse as sp

    from linkways.planning._coverage_models import cheapest

    n, pairs = len(line.damage), len(line.near)
    row = np.repeat(np.arange(pairs), 3)
    column = np.column_stack([line.near[:, 0], line.near[:, 1], line.near[:, 0] + n]).ravel()
    rows = sp.csr_array((np.tile([-1.0, 1.0, 1.0], pairs), (row, column)), shape=(pairs, 2 * n))
    price = np.r_[np.where(line.existing, 0.0, line.cost), np.zeros(n)]
    x, bound = cheapest(
        np.r_[-e * line.damage, e * displaced * line.damage],
        (
            sp.vstack([rows, sp.csr_array(price[None, :])]).tocsr(),
            np.r_[np.zeros(pairs), -np.inf],
            np.r_[np.full(pairs, np.inf), money],
        ),
        np.r_[np.ones(n), np.zeros(n)].astype(int),
        (np.r_[line.existing.astype(float), np.zeros(n)], np.ones(2 * n)),
        time_limit_s,
        0.0,
        ID,
    )
    fenced = np.rint(x[:n]).astype(bool)
    damage = float(_damage(line, fenced, e, displaced).sum())
    least = damage if bound is None else line.damage.sum() + bound
    gap = abs(damage - least) / max(damage, 1e-12)
    if gap > 1e-6:
        note(
            f"{ID}: the fences for {money:g} are within {gap:.2%} of the least damage; raise time_limit_s to prove them"
        )
    return _Chosen(fenced, gap if gap > 1e-6 else 0.0)


def _row(
    line: _Line, chosen: _Chosen, money: float, e: float, displaced: float, draws: np.ndarray, confidence: float
) -> dict[str, float]:
    after = float(_damage(line, chosen.fenced, e, displaced).sum())
    before = float(_damage(line, line.existing, e, displaced).sum())
    # damage is linear in the effectiveness, and so is what is saved
    full = _damage(line, line.existing, 1.0, displaced).sum() - _damage(line, chosen.fenced, 1.0, displaced).sum()
    low, high = np.quantile(full * draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    new = chosen.fenced & ~line.existing
    return {
        "budget": money,
        "cost": float(line.cost[new].sum()),
        "fenced_m": float(line.length[new].sum()),
        "damage": after,
        "saved": before - after,
        "saved_low": float(low),
        "saved_high": float(high),
        "gap": chosen.gap,
    }
