"""How sure the connectivity of a river network is, when passabilities are guesses and some barriers are not mapped."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Layer, Param, Table, TableOf, method, progress
from linkways.rivers._dispersal import (
    Dispersal,
    DistanceDownM,
    DistanceM,
    Distances,
    DistanceUpM,
    Kernel,
    MobileM,
    StationaryM,
    StationaryShare,
)
from linkways.rivers._index import Mended, Passability, PassDown, PassUp, Suitability, Weight

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from numpy.typing import NDArray

    from linkways.rivers._index import Passabilities, River

    Floats = NDArray[np.float64]

__all__ = ["RiverUncertainty", "uncertainty"]

INDICES = ("cci", "dcid", "dcid_up", "dcid_down")
PERT_WEIGHT = 4.0
MOST_VALUES = 10_000_000


@dataclass(frozen=True)
class RiverUncertainty:
    """Distributions of the indices of a river network, and how sure the ranks of its barriers are."""

    intervals: Annotated[
        "pd.DataFrame",
        TableOf("index, mapped (best estimates, mapped barriers alone), mean, sd, low, median, high; all basins"),
    ]
    draws: Annotated["pd.DataFrame", TableOf("draw, cci, dcid, dcid_up, dcid_down, all basins together")]
    basins: Annotated[
        "pd.DataFrame | None",
        TableOf("basin, index, mean, sd, low, median, high; none when draws x basins is more than ten million"),
    ]
    barriers: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame | None",
        Layer(
            "the barriers with gain_points_mean and gain_points_sd (of mending each alone, points of 100 x CCI of all "
            "basins), best_percent (draws in which no other gains more), top_percent (draws in which it is among the "
            "top); none unless barriers are ranked"
        ),
    ]


@method(
    "rivers.uncertainty",
    references=(
        "Malcolm DG, Roseboom JH, Clark CE, Fazar W (1959) Application of a technique for research and development "
        "program evaluation. Operations Research 7:646-669 (the beta distribution between bounds)",
        "Belletti B et al. (2020) More than one million barriers fragment Europe's rivers. Nature 588:436-441 "
        "(barriers that inventories miss)",
    ),
)
def uncertainty(
    reaches: Annotated[
        "pd.DataFrame",
        Table(
            "reaches, table or layer: reach, down (-1 at an outlet), length_m", columns=("reach", "down", "length_m")
        ),
    ],
    barriers: Annotated[
        "pd.DataFrame | None",
        Table(
            "barriers, table or layer: barrier, reach whose lower end carries it, passabilities, and their bounds: "
            "pass_up_low, pass_up_high, pass_down_low, pass_down_high or passability_low, passability_high",
            columns=("barrier", "reach"),
        ),
    ] = None,
    *,
    draws: Annotated[int, Param("number of draws", ge=10)] = 1000,
    seed: Annotated[int, Param("seed of the random draws", ge=0)] = 0,
    interval: Annotated[float, Param("part of the draws between low and high", gt=0, lt=1)] = 0.95,
    distribution: Annotated[
        Literal["beta", "uniform"],
        Param("passability between its bounds: beta (PERT, with the best estimate as its mode), or uniform"),
    ] = "beta",
    spread: Annotated[
        float, Param("where a barrier has no bounds: so far on either side of the estimate, within 0 to 1", ge=0, le=1)
    ] = 0.0,
    unmapped_per_km: Annotated[
        float,
        Param(
            "barriers per km of river that no map shows, thrown evenly along all reaches",
            unit="1/km",
            ge=0,
            source="Belletti et al. (2020): 0.74 barriers per km in Europe, of which records miss some 61%",
        ),
    ] = 0.0,
    unmapped_passability: Annotated[
        float, Param("what an unmapped barrier lets through, there and back and each way", ge=0, le=1)
    ] = 0.5,
    rank_barriers: Annotated[
        bool, Param("find how sure the gains and ranks of the barriers are (takes longer)")
    ] = False,
    top: Annotated[int, Param("with rank_barriers: how many barriers are the top", ge=1)] = 10,
    mended: Mended = 1.0,
    weight: Weight = "length_m",
    suitability: Suitability = None,
    passability: Passability = "product",
    pass_up: PassUp = None,
    pass_down: PassDown = None,
    kernel: Kernel = "none",
    distances: Distances = "midpoints",
    distance_m: DistanceM = None,
    distance_up_m: DistanceUpM = None,
    distance_down_m: DistanceDownM = None,
    sigma_stationary_m: StationaryM = None,
    sigma_mobile_m: MobileM = None,
    stationary_share: StationaryShare = 0.67,
) -> RiverUncertainty:
    """Intervals of the indices of rivers.connectivity over draws of passabilities and of unmapped barriers.

    In each draw every barrier gets a passability between its bounds, independently of the others and of the other
    direction, and unmapped barriers are thrown along the rivers as a Poisson process, at points within the reaches,
    which they part there. All basins count together, as in the indicators of rivers.connectivity. With unmapped
    barriers the kernel must be none, or exponential with distances between points.

    The gains of ``rank_barriers`` are those of mending one barrier in each draw of the passabilities; of unmapped
    barriers they take the exact mean: between points d apart, unmapped barriers of density r and passability m let
    exp(-r (1 - m) d) through on average.

    Raises LinkwaysError when nothing is uncertain, bounds that do not enclose the estimate, and all that
    rivers.connectivity refuses.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import rivers
    >>> reaches = pd.DataFrame({"reach": [1, 2], "down": [2, -1], "length_m": [1000.0, 1000.0]})
    >>> weir = pd.DataFrame({"barrier": [1], "reach": [1], "passability": [0.5], "passability_low": [0.2],
    ...     "passability_high": [0.6]})
    >>> found = rivers.uncertainty(reaches, weir, draws=200).intervals.set_index("index").loc["dcid"]
    >>> bool(60 < found["low"] < found["mean"] < found["high"] < 80)
    True
    """
    from linkways.rivers._index import read_passabilities, read_river
    from linkways.spatial import note

    dispersal = Dispersal.of(
        kernel,
        distances,
        distance_m,
        distance_up_m,
        distance_down_m,
        sigma_stationary_m,
        sigma_mobile_m,
        stationary_share,
    )
    if unmapped_per_km > 0 and not (kernel == "none" or (kernel == "exponential" and distances == "points")):
        raise LinkwaysError(
            "unmapped barriers part reaches at points: set kernel: none, or kernel: exponential with distances: points"
        )
    river = read_river(reaches, barriers, weight, suitability, method="rivers.uncertainty")
    now = read_passabilities(barriers, pass_up, pass_down)
    guesses = _Guesses.of(barriers, now, (pass_up, pass_down), distribution, spread)
    if unmapped_per_km == 0 and not guesses.differ:
        raise LinkwaysError(
            "nothing is uncertain here: give bounds of the passabilities (passability_low and passability_high), a "
            "spread, or unmapped_per_km"
        )
    unmapped = _Unmapped(unmapped_per_km / 1000, unmapped_passability)
    by_basin = draws * len(river.total_weight) <= MOST_VALUES
    if not by_basin:
        note(f"rivers.uncertainty: no table of the {len(river.total_weight)} basins, which would be too large")
    together = np.empty((draws, len(INDICES), 1))
    apart = np.empty((draws, len(INDICES), len(river.total_weight) if by_basin else 0))
    ranks = _Ranks.of(river, barriers, now, mended, passability, dispersal, unmapped, top) if rank_barriers else None
    sampler = _sampler(river, passability, dispersal, unmapped)
    for number, stream in enumerate(np.random.SeedSequence(seed).spawn(draws)):
        progress(number / draws, f"draw {number + 1}")
        rng = np.random.default_rng(stream)
        drawn = guesses.draw(rng)
        sums = sampler(drawn, rng)
        together[number, :, 0] = sums.sum(axis=1)
        if by_basin:
            apart[number] = sums
        if ranks is not None:
            ranks.add(drawn)
    mapped = _sampler(river, passability, dispersal, _Unmapped(0.0, 1.0))(now, np.random.default_rng(seed))
    return _tables(river, together, apart, mapped, interval, ranks)


# --- drawing -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Unmapped:
    """Unmapped barriers: how many per metre, and what each lets through."""

    per_m: float
    passability: float

    @property
    def rate(self) -> float:
        """Decay per metre of what they let through on average."""
        return self.per_m * (1 - self.passability)


@dataclass(frozen=True)
class _Guesses:
    """Distributions of the passabilities upstream and downstream; one alone where there is but one."""

    now: "Passabilities"
    low: "tuple[Floats, ...]"
    high: "tuple[Floats, ...]"
    distribution: str

    @classmethod
    def of(
        cls,
        barriers: "pd.DataFrame | None",
        now: "Passabilities",
        columns: tuple[str | None, str | None],
        distribution: str,
        spread: float,
    ) -> "_Guesses":
        from linkways.rivers._forest import passability_columns

        if barriers is None or not len(barriers):
            return cls(now, (np.empty(0),), (np.empty(0),), distribution)
        names = passability_columns(barriers, columns)
        ways = [(names[0], now.up)] if now.up is now.down else [(names[0], now.up), (names[1], now.down)]
        bounds = [_bounds(barriers, name, values, spread) for name, values in ways]
        return cls(now, tuple(low for low, _ in bounds), tuple(high for _, high in bounds), distribution)

    @property
    def differ(self) -> bool:
        """Whether any passability is uncertain."""
        return any(bool((high > low).any()) for low, high in zip(self.low, self.high, strict=True))

    def draw(self, rng: np.random.Generator) -> "Passabilities":
        from linkways.rivers._index import Passabilities

        best = (self.now.up, self.now.down)
        drawn = [self._one(rng, *way) for way in zip(best, self.low, self.high, strict=False)]
        return Passabilities(drawn[0], drawn[-1])

    def _one(self, rng: np.random.Generator, best: "Floats", low: "Floats", high: "Floats") -> "Floats":
        span = high - low
        if not span.any():
            return best
        if self.distribution == "uniform":
            return np.asarray(low + span * rng.random(len(best)))
        width = np.where(span > 0, span, 1.0)
        part = rng.beta(1 + PERT_WEIGHT * (best - low) / width, 1 + PERT_WEIGHT * (high - best) / width)
        return np.where(span > 0, low + span * part, best)


def _bounds(barriers: "pd.DataFrame", name: str, best: "Floats", spread: float) -> tuple["Floats", "Floats"]:
    """Bounds of a column: those that stand beside it, or ``spread`` on either side where they are missing."""
    from linkways.rivers._forest import numbers_or_missing

    out = []
    for end, default in ((f"{name}_low", np.maximum(best - spread, 0)), (f"{name}_high", np.minimum(best + spread, 1))):
        if end not in barriers.columns:
            out.append(default)
            continue
        given = numbers_or_missing(barriers, end, "barriers", barriers["barrier"], "barrier", least=0.0, most=1.0)
        out.append(np.where(np.isnan(given), default, given))
    low, high = out
    wrong = (low > best) | (high < best)
    if wrong.any():
        first = int(wrong.argmax())
        raise LinkwaysError(
            f"barriers: {name} of barrier {barriers['barrier'].iloc[first]} is {best[first]:g}, outside its bounds "
            f"{low[first]:g} to {high[first]:g} ({int(wrong.sum())} such barriers); correct the bounds or the estimate"
        )
    return low, high


def _sampler(river: "River", passability: str, dispersal: Dispersal, unmapped: _Unmapped):  # type: ignore[no-untyped-def]
    """A function of passabilities and a generator: the sums of `INDICES` by basin, (indices, basins)."""
    from linkways.rivers._index import River
    from linkways.rivers._sums import BarrierEdges, contracted, index_sums, sums_between_unmapped

    if unmapped.per_m > 0:
        rate = 0.0 if dispersal.down_m is None else 1 / dispersal.down_m
        edges = BarrierEdges.of(river)

        def thrown(drawn: "Passabilities", rng: np.random.Generator) -> "Floats":
            return sums_between_unmapped(
                river, edges, drawn, passability, rng, per_m=unmapped.per_m, unmapped=unmapped.passability, rate=rate
            )

        return thrown
    small: River = contracted(river) if dispersal.kernel == "none" else river

    def plain(drawn: "Passabilities", _: np.random.Generator) -> "Floats":
        found = index_sums(small, drawn, passability, dispersal)
        return np.stack([found[name] for name in INDICES])

    return plain


@dataclass
class _Ranks:
    """Running sums over the draws of the barriers' gains and ranks."""

    river: "River"
    barriers: "pd.DataFrame"
    now: "Passabilities"
    mended: float
    passability: str
    dispersal: Dispersal
    top: int
    count: int
    mean: "Floats"
    squares: "Floats"
    best: "Floats"
    in_top: "Floats"

    @classmethod
    def of(
        cls,
        river: "River",
        barriers: "pd.DataFrame | None",
        now: "Passabilities",
        mended: float,
        passability: str,
        dispersal: Dispersal,
        unmapped: _Unmapped,
        top: int,
    ) -> "_Ranks":
        from linkways.rivers._sums import contracted

        if barriers is None or not len(barriers):
            raise LinkwaysError("there are no barriers to rank; give barriers, or set rank_barriers: false")
        if unmapped.rate > 0:
            length = 1 / (unmapped.rate + (0.0 if dispersal.down_m is None else 1 / dispersal.down_m))
            dispersal = Dispersal.of("exponential", "points", length)
        elif dispersal.kernel == "none":
            river = contracted(river)
        zeros = [np.zeros(len(barriers)) for _ in range(4)]
        return cls(river, barriers, now, mended, passability, dispersal, min(top, len(barriers)), 0, *zeros)

    def add(self, drawn: "Passabilities") -> None:
        from linkways.rivers._index import gains, mended_passabilities, pair_sums

        then = mended_passabilities(self.barriers, drawn, self.mended)
        edges, pairs = pair_sums(self.river, drawn, self.passability, self.dispersal)
        gain = gains(self.river, edges, drawn.both(self.passability), then.both(self.passability), pairs)
        points = 100 * gain / self.river.total_weight.sum() ** 2
        self.count += 1
        away = points - self.mean
        self.mean += away / self.count
        self.squares += away * (points - self.mean)
        self.best += points == points.max()
        self.in_top += points >= np.partition(points, -self.top)[-self.top]

    def table(self) -> "pd.DataFrame":
        return self.barriers.assign(
            gain_points_mean=self.mean,
            gain_points_sd=np.sqrt(self.squares / (self.count - 1)),
            best_percent=100 * self.best / self.count,
            top_percent=100 * self.in_top / self.count,
        )


# --- tables --------------------------------------------------------------------------


def _tables(
    river: "River",
    together: "Floats",
    apart: "Floats",
    mapped: "Floats",
    interval: float,
    ranks: _Ranks | None,
) -> RiverUncertainty:
    import pandas as pd

    weight = river.total_weight
    whole = weight.sum()
    values = _scaled(together, np.array([whole]))[:, :, 0]
    best = _scaled(mapped.sum(axis=1)[None, :, None], np.array([whole]))[0, :, 0]
    intervals = pd.DataFrame({"index": INDICES, "mapped": best, **_spread(values, interval)})
    basins = None
    if apart.shape[2]:
        basins = pd.DataFrame(
            {
                "basin": np.tile(river.forest.outlets, len(INDICES)),
                "index": np.repeat(INDICES, len(weight)),
                **{name: found.ravel() for name, found in _spread(_scaled(apart, weight), interval).items()},
            }
        )
    table = pd.DataFrame({"draw": np.arange(1, len(values) + 1), **dict(zip(INDICES, values.T, strict=True))})
    return RiverUncertainty(intervals, table, basins, None if ranks is None else ranks.table())


def _scaled(sums: "Floats", weight: "Floats") -> "Floats":
    """CCI from 0 to 1 and the others in percent, of sums (draws, indices, basins)."""
    from linkways.rivers._index import share

    out = 100 * share(sums, weight)
    out[:, 0] = share(sums[:, 0], weight**2)
    return np.asarray(out)


def _spread(values: "Floats", interval: float) -> dict[str, "Floats"]:
    """Mean, standard deviation and quantiles over the first axis."""
    low, median, high = np.quantile(values, [(1 - interval) / 2, 0.5, (1 + interval) / 2], axis=0)
    return {"mean": values.mean(axis=0), "sd": values.std(axis=0, ddof=1), "low": low, "median": median, "high": high}
