"""Free-flowing status: how far dams and other pressures reach up and down the rivers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import Indicator, Layer, Param, Table, TableOf, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from numpy.typing import NDArray

    from linkways.rivers._forest import BarrierPlaces, Forest

    Floats = NDArray[np.float64]

__all__ = ["FreeFlowing", "free_flowing"]

SECONDS_PER_YEAR = 31_536_000
WEIGHTS = {"dof": 30.0, "dor": 30.0, "sed": 15.0, "use": 15.0, "rdd": 5.0, "urb": 5.0}
SMALLEST = 0.1


@dataclass(frozen=True)
class FreeFlowing:
    """Connectivity status of every reach, and of whole rivers where these are named."""

    reaches: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame",
        Layer(
            "the reaches with dof, dor (and sed, use, rdd, urb) from 0 to 100, csi (connectivity status index, %), "
            "main_pressure, and status: free-flowing river, good connectivity, or impacted"
        ),
    ]
    rivers: Annotated[
        "pd.DataFrame | None", TableOf("river, reaches, length_km, lowest_csi, free_km, status; none without rivers")
    ]
    free_km: Annotated[float, Indicator("length of reaches that are free-flowing or of good connectivity", unit="km")]
    free_percent: Annotated[float, Indicator("the same as part of the whole length", unit="%")]


@method(
    "rivers.free_flowing",
    references=("Grill G et al. (2019) Mapping the world's free-flowing rivers. Nature 569:215-221",),
)
def free_flowing(
    reaches: Annotated[
        "pd.DataFrame",
        Table(
            "reaches, table or layer: reach, down (-1 at an outlet), length_m, discharge_m3s; optional in percent: sed "
            "(sediment trapped), use (water consumed), rdd (roads), urb (urban areas); floodplain (part of the "
            "catchment, 0 to 1), waterfall (true: one at the lower end), river (which river it belongs to)",
            columns=("reach", "down", "length_m", "discharge_m3s"),
        ),
    ],
    dams: Annotated[
        "pd.DataFrame",
        Table(
            "dams, table or layer: barrier, reach whose lower end carries it, and storage_m3 where it is known",
            columns=("barrier", "reach"),
        ),
    ],
    *,
    discharge_range: Annotated[
        float,
        Param(
            "a dam is felt up and down to where the discharge differs by this factor",
            gt=1,
            source="Grill et al. (2019)",
        ),
    ] = 5.0,
    weights: Annotated[
        Mapping[str, float] | None,
        Param("weights of dof, dor, sed, use, rdd, urb; none: 30, 30, 15, 15, 5, 5", source="Grill et al. (2019), CSI"),
    ] = None,
    threshold: Annotated[
        float, Param("reaches are free-flowing from this CSI up", unit="%", ge=0, le=100, source="Grill et al. (2019)")
    ] = 95.0,
) -> FreeFlowing:
    """Connectivity status index of every reach, from fragmentation, regulation and other pressures.

    Degree of fragmentation of a reach of discharge Q, the largest over the dams whose effect reaches it:

        DOF = 100 - 100 |log10 Q - log10 Q_dam| / log10(discharge_range), between 0 and 100,

    with Q_dam the discharge of the reach that ends at the dam; upstream of a dam a Q above Q_dam counts as Q_dam, and
    downstream one below it. Upstream, effects end at waterfalls. Degree of regulation: DOR = 100 (storage of all dams
    upstream) / (Q x 31,536,000 s), at most 100; a reach is regulated by the dams above it, not by one at its own lower
    end. Roads and urban areas count (1 + floodplain / 2) times, at most 100. Pressures under 0.1 are none. Then

        CSI = 100 - sum_k weight_k pressure_k / 100.

    Pressures without a column count as none: the weights are not shared out among the others, and the log says so. A
    river is free-flowing when all its reaches reach the threshold; reaches that do so elsewhere have good
    connectivity. Without a column river every outlet's basin is one.

    Raises LinkwaysError for what is wrong with either table, or discharges that are not above 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import rivers
    >>> reaches = pd.DataFrame({"reach": [1, 2, 3], "down": [2, 3, -1], "length_m": [1000.0] * 3,
    ...     "discharge_m3s": [10.0, 10.0, 100.0]})
    >>> dams = pd.DataFrame({"barrier": [1], "reach": [1], "storage_m3": [31_536_000.0]})
    >>> rivers.free_flowing(reaches, dams).reaches[["reach", "dof", "dor", "csi"]]
       reach    dof   dor   csi
    0      1  100.0   0.0  70.0
    1      2  100.0  10.0  67.0
    2      3    0.0   1.0  99.7
    """
    from linkways.rivers._forest import numbers, read_barriers, read_forest

    forest = read_forest(reaches)
    found = read_barriers(dams, forest)
    flow = numbers(reaches, "discharge_m3s", "reaches", forest.ids, "reach", least=0.0)[forest.row]
    if not flow.all():
        first = forest.ids[forest.row[int(np.argmin(flow))]]
        raise LinkwaysError(
            f"reaches: discharge_m3s of reach {first} is 0 but must be above 0; give the long-term mean discharge"
        )
    pressures = {
        "dof": _fragmentation(reaches, forest, found, flow, discharge_range),
        "dor": _regulation(dams, forest, found, flow),
        **_other_pressures(reaches, forest),
    }
    pressures = {name: np.where(values < SMALLEST, 0.0, values) for name, values in pressures.items()}
    weighed = _weigh(pressures, weights)
    csi = 100 - np.sum(list(weighed.values()), axis=0)
    status, table = _status(reaches, forest, csi, threshold)
    main = np.array([*weighed], object)[np.argmax(list(weighed.values()), axis=0)]
    main[csi == 100] = "none"
    columns = {**pressures, "csi": csi, "main_pressure": main, "status": status}
    free = forest.length_m[csi >= threshold].sum() / 1000
    whole = forest.length_m.sum() / 1000
    return FreeFlowing(
        reaches.assign(**{name: forest.by_row(values) for name, values in columns.items()}),
        table,
        float(free),
        float(100 * free / whole) if whole > 0 else float("nan"),
    )


def _fragmentation(
    reaches: "pd.DataFrame", forest: "Forest", found: "BarrierPlaces", flow: "Floats", factor: float
) -> "Floats":
    from linkways.rivers._kernels import dams_above, dams_below

    log = np.log10(flow)
    smallest = np.full(len(log), np.inf)
    np.minimum.at(smallest, found.place, log[found.place])
    waterfall = np.zeros(len(log), bool)
    if "waterfall" in reaches.columns:
        waterfall = reaches["waterfall"].fillna(False).to_numpy(bool)[forest.row]
    # the dam with the least discharge reaches farthest up, the one with the largest farthest down
    upward = np.maximum(dams_below(forest.down, smallest, waterfall) - log, 0)
    downward = np.maximum(log - dams_above(forest.down, smallest), 0)
    away = np.minimum(upward, downward)
    return np.asarray(np.maximum(100 - 100 * away / np.log10(factor), 0))


def _regulation(dams: "pd.DataFrame", forest: "Forest", found: "BarrierPlaces", flow: "Floats") -> "Floats":
    from linkways.rivers._forest import numbers_or_missing
    from linkways.rivers._kernels import sum_upstream
    from linkways.spatial import note

    if "storage_m3" not in dams.columns:
        note("rivers.free_flowing: dams have no column storage_m3, so that the degree of regulation is 0 everywhere")
        return np.zeros(len(flow))
    storage = numbers_or_missing(dams, "storage_m3", "dams", found.ids, "barrier", least=0.0)
    if np.isnan(storage).any():
        note(f"rivers.free_flowing: {int(np.isnan(storage).sum())} dams without storage_m3 regulate nothing")
    at_end = np.bincount(found.place, np.nan_to_num(storage), len(flow))
    above = np.asarray(sum_upstream(forest.down, at_end)) - at_end
    return np.minimum(100 * above / (flow * SECONDS_PER_YEAR), 100.0)


def _other_pressures(reaches: "pd.DataFrame", forest: "Forest") -> dict[str, "Floats"]:
    from linkways.rivers._forest import numbers
    from linkways.spatial import note

    out = {}
    for name in ("sed", "use", "rdd", "urb"):
        if name in reaches.columns:
            out[name] = numbers(reaches, name, "reaches", forest.ids, "reach", least=0.0, most=100.0)[forest.row]
    absent = [name for name in ("sed", "use", "rdd", "urb") if name not in out]
    if absent:
        note(f"rivers.free_flowing: no columns {', '.join(absent)}: these pressures count as none")
    if "floodplain" in reaches.columns:
        part = numbers(reaches, "floodplain", "reaches", forest.ids, "reach", least=0.0, most=1.0)[forest.row]
        for name in ("rdd", "urb"):
            if name in out:
                out[name] = np.minimum(out[name] * (1 + part / 2), 100.0)
    return out


def _weigh(pressures: dict[str, "Floats"], weights: Mapping[str, float] | None) -> dict[str, "Floats"]:
    chosen = dict(WEIGHTS if weights is None else weights)
    for name, value in chosen.items():
        if name not in WEIGHTS:
            raise LinkwaysError(f"weights: there is no pressure '{name}'{nearest(name, WEIGHTS)}")
        if not value >= 0:
            raise LinkwaysError(f"weights: {name} has {value:g} but weights must be 0 or more")
    total = sum(chosen.values())
    if abs(total - 100) > 1e-6:
        raise LinkwaysError(f"weights: they add up to {total:g} but must add up to 100")
    return {name: chosen.get(name, 0.0) * values / 100 for name, values in pressures.items()}


def _status(
    reaches: "pd.DataFrame", forest: "Forest", csi: "Floats", threshold: float
) -> tuple["NDArray[Any]", "pd.DataFrame | None"]:
    import pandas as pd

    named = "river" in reaches.columns
    river = reaches["river"].to_numpy()[forest.row] if named else forest.outlets[forest.basin]
    good = csi >= threshold
    code, names = pd.factorize(river)
    whole = np.ones(len(names) + 1, bool)
    np.logical_and.at(whole, code, good)
    whole[-1] = False  # reaches of no river
    free = whole[code]
    status = np.where(free, "free-flowing river", np.where(good, "good connectivity", "impacted")).astype(object)
    if not named:
        return status, None
    lowest = np.full(len(names) + 1, np.inf)
    np.minimum.at(lowest, code, csi)
    km = forest.length_m / 1000
    kept = code >= 0
    count = len(names)
    table = pd.DataFrame(
        {
            "river": names,
            "reaches": np.bincount(code[kept], minlength=count),
            "length_km": np.bincount(code[kept], km[kept], count),
            "lowest_csi": lowest[:-1],
            "free_km": np.bincount(code[kept], (km * good)[kept], count),
            "status": np.where(whole[:-1], "free-flowing", "not free-flowing"),
        }
    )
    return status, table
