"""How well a river network is connected, for animals that move within it and for those that come from the sea."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Table, TableOf, method, progress
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
from linkways.rivers._index import Compat, Mended, Passability, PassDown, PassUp, Suitability, Weight

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from linkways.rivers._dispersal import Connected
    from linkways.rivers._index import Access, River

__all__ = ["RiverConnectivity", "connectivity"]


@dataclass(frozen=True)
class RiverConnectivity:
    """Connectivity of a river network, of its basins and reaches, and what mending each barrier would add."""

    reaches: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame",
        Layer(
            "the reaches with basin (its outlet reach), source and sink (part of the basin's weight that a reach can "
            "reach, and that can reach it), access, access_up and access_down (passability of the way between the "
            "outlet and the reach: there and back, up, down)"
        ),
    ]
    barriers: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame | None",
        Layer(
            "the barriers with what mending each one alone adds: gain_points (to 100 x CCI of its basin), gain_percent "
            "(of that index), gain_dcid, gain_dcid_up, gain_dcid_down (points of those of its basin)"
        ),
    ]
    basins: Annotated[
        "pd.DataFrame",
        TableOf("basin (outlet reach), reaches, barriers, length_km, weight, cci, dcip, dcid, dcid_up, dcid_down"),
    ]
    cci: Annotated[float, Indicator("CCI of all basins together: two places drawn anywhere are connected", unit="0-1")]
    cci_within_basins: Annotated[float, Indicator("mean CCI of the basins by weight", unit="0-1")]
    dcip: Annotated[float, Indicator("DCIp of all basins together, without distances", unit="%")]
    dcid: Annotated[float, Indicator("DCId: part of the weight that the outlet is connected to, both ways", unit="%")]
    dcid_up: Annotated[float, Indicator("DCId upstream only: access from the sea", unit="%")]
    dcid_down: Annotated[float, Indicator("DCId downstream only: way out to the sea", unit="%")]
    kernel_error: Annotated[float, Indicator("largest error of the kernel as computed; bounds that of the CCI")]


@method(
    "rivers.connectivity",
    references=(
        "Cote D, Kehler DG, Bourne C, Wiersma YF (2009) A new measure of longitudinal connectivity for stream "
        "networks. Landscape Ecology 24:101-113 (DCIp, DCId)",
        "Baldan D, Cunillera-Montcusi D, Funk A, Hein T (2022) Introducing 'riverconn': an R package to assess river "
        "connectivity indices. Environmental Modelling & Software 156:105470 (CCI, directional passability, kernels)",
        "Radinger J, Wolter C (2014) Patterns and predictors of fish dispersal in rivers. Fish and Fisheries "
        "15:456-473 (leptokurtic kernel)",
    ),
)
def connectivity(
    reaches: Annotated[
        "pd.DataFrame",
        Table(
            "reaches, table or layer: reach, down (-1 at an outlet), length_m", columns=("reach", "down", "length_m")
        ),
    ],
    barriers: Annotated[
        "pd.DataFrame | None",
        Table(
            "barriers, table or layer: barrier, reach whose lower end carries it, pass_up and pass_down or passability",
            columns=("barrier", "reach"),
        ),
    ] = None,
    *,
    weight: Weight = "length_m",
    suitability: Suitability = None,
    passability: Passability = "product",
    pass_up: PassUp = None,
    pass_down: PassDown = None,
    mended: Mended = 1.0,
    kernel: Kernel = "none",
    distances: Distances = "midpoints",
    distance_m: DistanceM = None,
    distance_up_m: DistanceUpM = None,
    distance_down_m: DistanceDownM = None,
    sigma_stationary_m: StationaryM = None,
    sigma_mobile_m: MobileM = None,
    stationary_share: StationaryShare = 0.67,
    compat: Compat = None,
) -> RiverConnectivity:
    """Connectivity of a river network, of each basin and reach, and the exact gain of mending each barrier.

    For animals that live in the river: C(i, j), the chance to get from reach i to reach j, is the product of the
    passabilities on the way times the kernel of its length, and C(i, i) = 1. With weights w and W their sum,

        CCI = sum_ij w_i w_j C(i, j) / W^2,   source_i = sum_j C(i, j) w_j / W,   sink_j = sum_i w_i C(i, j) / W,

    and DCIp is 100 CCI without a kernel. Basins are not connected: W is that of the basin for the table ``basins``
    and the reaches, and that of all basins for the indicators. For animals that come from the sea,
    DCId = 100 sum_j w_j R_j / W with R_j the passability of the way between the outlet of the basin and reach j; it
    takes no kernel. Barriers on the way multiply, several at one place too; the river just below a barrier belongs to
    the reach below. A barrier at the lower end of an outlet reach parts nothing and is left out, which is noted.

    Gains are those of mending one barrier while all others stay as they are, and are exact: the sum is linear in each
    passability. Gains of several barriers do not add up (they mostly reinforce each other). Everything takes one loop
    up and one down the network (Linkways' own; the threshold n log n), and nothing is subtracted, so that results keep
    their digits beside passabilities of 0. ``distances: points`` averages the kernel over all pairs of points of two
    reaches instead of taking that of the distance between their middles.

    Raises LinkwaysError for reaches that run in circles, ids that are missing or repeated, numbers out of bounds, and
    distances that do not belong to the kernel.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import rivers
    >>> reaches = pd.DataFrame({"reach": [1, 2, 3], "down": [3, 3, -1], "length_m": [1000.0, 1000.0, 2000.0]})
    >>> barriers = pd.DataFrame({"barrier": ["weir"], "reach": [1], "pass_up": [0.5], "pass_down": [1.0]})
    >>> found = rivers.connectivity(reaches, barriers)
    >>> round(found.dcip, 4), round(found.dcid, 4)
    (81.25, 87.5)
    >>> found.barriers[["barrier", "gain_points"]]
      barrier  gain_points
    0    weir        18.75
    """
    from linkways.rivers._index import (
        all_access,
        gains,
        mended_passabilities,
        pair_sums,
        read_passabilities,
        read_river,
    )

    if compat == "riverconn" and distances == "points":
        raise LinkwaysError("compat riverconn has distances of its own; set distances: midpoints")
    dispersal = Dispersal.of(
        kernel,
        distances,
        distance_m,
        distance_up_m,
        distance_down_m,
        sigma_stationary_m,
        sigma_mobile_m,
        stationary_share,
        from_middles=compat != "riverconn",
    )
    river = read_river(reaches, barriers, weight, suitability, compat=compat, method="rivers.connectivity")
    now = read_passabilities(barriers, pass_up, pass_down)
    then = mended_passabilities(barriers, now, mended)
    progress(0.2, "pairs of reaches")
    edges, pairs = pair_sums(river, now, passability, dispersal)
    gain = gains(river, edges, now.both(passability), then.both(passability), pairs)
    progress(0.7, "access from the outlets")
    plain = pairs if kernel == "none" else pair_sums(river, now, passability, dispersal.without_distance)[1]
    access = all_access(river, now, then)
    basins = _basin_table(river, pairs, plain, access)
    whole, squared = basins["weight"].sum(), basins["weight"].sum() ** 2
    return RiverConnectivity(
        _reach_table(reaches, river, pairs, access),
        None if barriers is None else _barrier_table(barriers, river, gain, pairs, access),
        basins,
        float(pairs.total.sum() / squared),
        float((basins["weight"] * basins["cci"]).sum() / whole),
        float(100 * plain.total.sum() / squared),
        float(100 * access[""].total.sum() / whole),
        float(100 * access["_up"].total.sum() / whole),
        float(100 * access["_down"].total.sum() / whole),
        pairs.kernel_error,
    )


def _reach_table(
    reaches: "pd.DataFrame", river: "River", pairs: "Connected", access: "dict[str, Access]"
) -> "pd.DataFrame":
    from linkways.rivers._index import share

    forest = river.forest
    basin = forest.basin
    weight = river.total_weight[basin]
    found = {"basin": forest.outlets[basin], "source": share(pairs.source, weight), "sink": share(pairs.sink, weight)}
    found |= {f"access{way}": one.share for way, one in access.items()}
    return reaches.assign(**{name: forest.by_row(values) for name, values in found.items()})


def _barrier_table(
    barriers: "pd.DataFrame", river: "River", gain: np.ndarray, pairs: "Connected", access: "dict[str, Access]"
) -> "pd.DataFrame":
    from linkways.rivers._index import share

    basin = np.searchsorted(river.forest.starts, river.barriers.place, side="right") - 1
    weight = river.total_weight[basin]
    found = {
        "basin": river.forest.outlets[basin],
        "gain_points": 100 * share(gain, weight**2),
        "gain_percent": 100 * share(gain, pairs.total[basin]),
    }
    found |= {f"gain_dcid{way}": 100 * share(one.gain, weight) for way, one in access.items()}
    return barriers.assign(**found)


def _basin_table(river: "River", pairs: "Connected", plain: "Connected", access: "dict[str, Access]") -> "pd.DataFrame":
    import pandas as pd

    from linkways.rivers._index import share

    forest = river.forest
    weight = river.total_weight
    inside = river.barriers.place[~river.barriers.at_outlet]
    return pd.DataFrame(
        {
            "basin": forest.outlets,
            "reaches": np.diff(forest.starts),
            "barriers": np.histogram(inside, forest.starts)[0],
            "length_km": forest.sum_by_basin(forest.length_m) / 1000,
            "weight": weight,
            "cci": share(pairs.total, weight**2),
            "dcip": 100 * share(plain.total, weight**2),
            **{f"dcid{way}": 100 * share(one.total, weight) for way, one in access.items()},
        }
    )
