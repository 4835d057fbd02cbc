"""How likely an animal is to move from one reach to another: passability of the way, and how far the species goes."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import Param

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from linkways.rivers._forest import Forest

    Floats = NDArray[np.float64]

__all__ = [
    "Connected",
    "Dispersal",
    "DistanceDownM",
    "DistanceM",
    "DistanceUpM",
    "Distances",
    "Kernel",
    "MobileM",
    "StationaryM",
    "StationaryShare",
    "connected",
    "edge_factors",
]

KernelName = Literal["none", "exponential", "threshold", "leptokurtic"]
DistanceRule = Literal["midpoints", "points"]
Kernel = Annotated[
    KernelName,
    Param(
        "how the chance to move falls with the distance d along the river: not at all; exp(-d / distance_m); 1 up to "
        "distance_m and 0 beyond; or the leptokurtic kernel of a stationary and a mobile part of the population",
        source="none: Cote et al. (2009); the others: Baldan et al. (2022), Radinger & Wolter (2014)",
    ),
]
Distances = Annotated[
    DistanceRule,
    Param(
        "what distances are measured between: the middles of reaches, or all their points (exact, and the same however "
        "reaches are cut; not for the threshold)"
    ),
]
DistanceM = Annotated[
    float | None, Param("exponential: mean distance moved; threshold: largest length of the whole way", unit="m", gt=0)
]
DistanceUpM = Annotated[float | None, Param("the same for moves upstream, with distance_down_m", unit="m", gt=0)]
DistanceDownM = Annotated[float | None, Param("the same for moves downstream, with distance_up_m", unit="m", gt=0)]
StationaryM = Annotated[
    float | None, Param("leptokurtic: standard deviation of moves of the stationary part", unit="m", gt=0)
]
MobileM = Annotated[float | None, Param("leptokurtic: standard deviation of moves of the mobile part", unit="m", gt=0)]
StationaryShare = Annotated[
    float,
    Param(
        "leptokurtic: stationary part of the population",
        ge=0,
        le=1,
        source="Radinger & Wolter (2014): 0.67 on average over 40 species",
    ),
]


@dataclass(frozen=True)
class Dispersal:
    """A dispersal kernel, and how distances are measured.

    ``from_middles`` is False only for the distances that riverconn 0.3.33 takes: an edge is as long as the reach
    above it.
    """

    kernel: KernelName = "none"
    up_m: float | None = None
    down_m: float | None = None
    whole_m: float | None = None
    stationary_m: float | None = None
    mobile_m: float | None = None
    stationary_share: float = 0.67
    distances: DistanceRule = "midpoints"
    from_middles: bool = True

    @classmethod
    def of(
        cls,
        kernel: KernelName,
        distances: DistanceRule,
        distance_m: float | None = None,
        distance_up_m: float | None = None,
        distance_down_m: float | None = None,
        sigma_stationary_m: float | None = None,
        sigma_mobile_m: float | None = None,
        stationary_share: float = 0.67,
        *,
        from_middles: bool = True,
    ) -> "Dispersal":
        """Check that what the kernel needs is given, and nothing that it does not use."""
        if kernel not in get_args(KernelName):
            raise LinkwaysError(f"there is no kernel '{kernel}'{nearest(kernel, get_args(KernelName))}")
        given = {
            "distance_m": distance_m,
            "distance_up_m": distance_up_m,
            "distance_down_m": distance_down_m,
            "sigma_stationary_m": sigma_stationary_m,
            "sigma_mobile_m": sigma_mobile_m,
        }
        there = {name for name, value in given.items() if value is not None}
        both = {"distance_up_m", "distance_down_m"}
        sigmas = {"sigma_stationary_m", "sigma_mobile_m"}
        needs: dict[str, tuple[set[str], ...]] = {
            "none": (set(),),
            "exponential": ({"distance_m"}, both),
            "threshold": ({"distance_m"}, both),
            "leptokurtic": (sigmas,),
        }
        if there not in needs[kernel]:
            words = " or ".join(" and ".join(sorted(n)) if n else "no distance" for n in needs[kernel])
            raise LinkwaysError(
                f"the kernel {kernel} takes {words}, but {', '.join(sorted(there)) or 'none'} was given; correct it"
            )
        if kernel == "threshold" and distances == "points":
            raise LinkwaysError("the kernel threshold knows distances between midpoints only; set distances: midpoints")
        up, down = (distance_m, distance_m) if distance_m is not None else (distance_up_m, distance_down_m)
        return cls(
            kernel,
            up,
            down,
            distance_m,
            sigma_stationary_m,
            sigma_mobile_m,
            stationary_share,
            distances,
            from_middles,
        )

    @property
    def without_distance(self) -> "Dispersal":
        """The same without a kernel."""
        return replace(self, kernel="none", distances="midpoints")


@dataclass(frozen=True)
class Connected:
    """Sums over pairs of reaches and their slopes, all by place but ``total`` (by basin).

    Attributes:
        total: sum of w_i w_j C(i, j) over ordered pairs.
        source: sum over j of C(i, j) w_j, what a reach can reach.
        sink: sum over i of C(i, j) w_i, what can reach a reach.
        slope_down: what ``total`` rises by per unit of downstream passability of the edge below; exact at any size.
        slope_up: likewise for upstream passability.
        kernel_error: largest error of the kernel as computed, and a bound of the error of total / W^2.
    """

    total: "Floats"
    source: "Floats"
    sink: "Floats"
    slope_down: "Floats"
    slope_up: "Floats"
    kernel_error: float = 0.0


def connected(forest: "Forest", weight: "Floats", down: "Floats", up: "Floats", dispersal: Dispersal) -> Connected:
    """Connect all pairs of reaches of each basin.

    Args:
        weight: weight by place.
        down, up: passability of the edge below each place; the same array where both are the same.
        dispersal: the kernel.
    """
    if dispersal.kernel == "threshold":
        return _within(forest, weight, down, up, dispersal)
    if dispersal.kernel == "leptokurtic":
        return _leptokurtic(forest, weight, down, up, dispersal)
    from linkways.rivers._kernels import connect

    a, b, leave, through, within = edge_factors(forest, down, up, dispersal)
    total, source, sink, slope_down, slope_up = connect(
        forest.down, forest.starts, weight, a, b, leave, through, within
    )
    if dispersal.kernel == "exponential" and dispersal.distances == "midpoints":
        assert dispersal.up_m is not None
        assert dispersal.down_m is not None
        length = edge_lengths(forest, dispersal.from_middles)
        slope_down *= np.exp(-length / dispersal.down_m)
        slope_up *= np.exp(-length / dispersal.up_m)
    return Connected(total, source, sink, slope_down, slope_up)


def edge_factors(
    forest: "Forest", down: "Floats", up: "Floats", dispersal: Dispersal
) -> tuple["NDArray[Any]", "NDArray[Any]", "NDArray[Any]", "NDArray[Any]", "NDArray[Any]"]:
    """The arrays a, b, leave, through, within of `_kernels.connect` without a kernel or with an exponential one."""
    nothing = np.empty(0)
    if dispersal.kernel == "none":
        return down, up, nothing, nothing, nothing
    assert dispersal.up_m is not None
    assert dispersal.down_m is not None
    if dispersal.distances == "midpoints":
        length = edge_lengths(forest, dispersal.from_middles)
        a = down * np.exp(-length / dispersal.down_m)
        same = up is down and dispersal.up_m == dispersal.down_m
        return a, a if same else up * np.exp(-length / dispersal.up_m), nothing, nothing, nothing
    if dispersal.up_m != dispersal.down_m:
        raise LinkwaysError(
            "distances between points need one distance_m for both directions; give it, or set distances: midpoints"
        )
    return down, up, *_along(forest.length_m / dispersal.down_m)


def edge_lengths(forest: "Forest", from_middles: bool) -> "Floats":
    """Distance from the middle of each reach to that of the reach below; the length of the upper one otherwise."""
    if not from_middles:
        return forest.length_m
    below = np.where(forest.down >= 0, forest.length_m[forest.down], 0.0)
    return np.asarray((forest.length_m + below) / 2)


def _along(x: "NDArray[Any]") -> tuple["NDArray[Any]", "NDArray[Any]", "NDArray[Any]"]:
    """Leaving a reach, passing through it and moving within it, for decay x over its length, all averaged over points.

    leave = (1 - e^-x) / x, through = e^-x, within = 2 (1 - leave) / x; by their series where x is small.
    """
    small = np.abs(x) < 1e-2
    y = np.where(small, 1.0, x)
    powers = [(-x) ** k for k in range(7)]
    leave_series = sum(power / math.factorial(k + 1) for k, power in enumerate(powers))
    within_series = sum(2 * power / math.factorial(k + 2) for k, power in enumerate(powers))
    leave = np.where(small, leave_series, -np.expm1(-y) / y)
    within = np.where(small, within_series, 2 * (y + np.expm1(-y)) / y**2)
    return leave, np.exp(-x), within


# --- threshold -----------------------------------------------------------------------


def _within(forest: "Forest", weight: "Floats", down: "Floats", up: "Floats", dispersal: Dispersal) -> Connected:
    from linkways.rivers._threshold import NOTHING, TOLERANCE, connect_within, connect_within_two

    a = np.maximum(down, NOTHING)
    b = a if up is down else np.maximum(up, NOTHING)
    length = edge_lengths(forest, dispersal.from_middles)
    if dispersal.whole_m is not None:
        limit = dispersal.whole_m * (1 + TOLERANCE)
        source, sink, over_a, over_b = connect_within(forest.down, weight, a, b, length, limit)
    else:
        assert dispersal.up_m is not None
        assert dispersal.down_m is not None
        limits = dispersal.down_m * (1 + TOLERANCE), dispersal.up_m * (1 + TOLERANCE)
        source, sink, over_a, over_b = connect_within_two(forest.down, weight, a, b, length, *limits)
    source, sink = (_cleared(values, weight.sum()) for values in (source, sink))
    slope_down, slope_up = (_cleared(over / edge, weight.sum() ** 2) for over, edge in ((over_a, a), (over_b, b)))
    return Connected(forest.sum_by_basin(weight * source), source, sink, slope_down, slope_up)


def _cleared(values: "Floats", scale: float) -> "Floats":
    """Set to 0 what only the stand-in for passability 0 let through."""
    return np.where(values < 1e-130 * scale, 0.0, values)


# --- leptokurtic ---------------------------------------------------------------------


def _leptokurtic(forest: "Forest", weight: "Floats", down: "Floats", up: "Floats", dispersal: Dispersal) -> Connected:
    """Sum the results of exponential kernels of complex rates that add up to the kernel."""
    from linkways.rivers._kernels import connect

    rates, shares, error = _leptokurtic_terms(dispersal)
    length = edge_lengths(forest, dispersal.from_middles)
    sums: list[Any] = []
    for rate, share in zip(rates, shares, strict=True):
        if dispersal.distances == "midpoints":
            decay = np.exp(-rate * length)
            along = (np.empty(0, complex),) * 3
        else:
            decay = np.ones(1, complex)
            along = _along(rate * forest.length_m)
        a = down * decay
        b = a if up is down else up * decay
        parts = list(connect(forest.down, forest.starts, weight, a, b, *along))
        parts[3] *= decay
        parts[4] *= decay
        for i, part in enumerate(parts):
            value = np.asarray((share * part).real)
            if i == len(sums):
                sums.append(value)
            else:
                sums[i] += value
    # what is out of reach can come out below 0 by the error of the fit
    source, sink, slope_down, slope_up = (np.maximum(values, 0.0) for values in sums[1:])
    return Connected(sums[0], source, sink, slope_down, slope_up, error)


def _leptokurtic_terms(dispersal: Dispersal) -> tuple["NDArray[Any]", "NDArray[Any]", float]:
    """Rates and shares of damped waves, and the largest error of their sum found on a fine grid of distances."""
    assert dispersal.stationary_m is not None
    assert dispersal.mobile_m is not None
    rates, shares = _WAVES.T
    share = dispersal.stationary_share
    both = (share, dispersal.stationary_m), (1 - share, dispersal.mobile_m)
    parts = [(part, sigma) for part, sigma in both if part > 0]
    all_rates = np.concatenate([rates / sigma for _, sigma in parts])
    all_shares = np.concatenate([share * shares for share, _ in parts])
    longest = max(sigma for _, sigma in parts)
    shortest = min(sigma for _, sigma in parts)
    distance = np.unique(np.concatenate([np.linspace(0, 12 * s, 4001) for s in (shortest, longest)]))
    exact = sum(share * _tail(distance / sigma) for share, sigma in parts)
    fitted = (np.exp(-np.outer(distance, all_rates)) @ all_shares).real
    return all_rates, all_shares, float(np.abs(fitted - exact).max())


def _tail(z: "Floats") -> "Floats":
    """2 Q(z) = erfc(z / sqrt 2): the part of a normal distribution at least z standard deviations away."""
    return np.array([math.erfc(value / math.sqrt(2)) for value in z])


# Rates and shares of six damped waves whose real parts add up to `_tail`: a matrix pencil of twelve poles (Hua & Sarkar
# 1990, IEEE Trans. Acoust. 38:814-824) on 401 samples over nine standard deviations. Largest error found: 8e-13.
_WAVES = np.array(
    [
        (3.181071034709077 + 0.376107352331048j, 10.208553204451277 + 19.46353601079485j),
        (3.167553994323597 + 1.1356893863491266j, -11.405285682907612 - 1.581698695687528j),
        (3.140654850001733 + 1.9185052478639024j, 2.2026898294981683 - 2.1111170474929266j),
        (3.0998089308282677 + 2.7452717222603997j, 0.004694708043987749 + 0.3725101233869334j),
        (3.0422516142264815 + 3.651395057484608j, -0.010792618280150473 - 0.012995614863222095j),
        (2.9587844552121187 + 4.725296273346303j, 0.00014055919403798436 + 7.460197244157411e-05j),
    ]
)
