"""How the connectivity of a landscape changed over time, and whether area or configuration did it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Param, Table, TableOf, method, progress, progress_between

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Change", "change"]

ID = "networks.change"


@dataclass(frozen=True)
class Change:
    """Equivalent connected area by date, and the change between dates."""

    dates: Annotated[
        "pd.DataFrame",
        TableOf(
            "date, patches, area (sum of the attribute), ECA (equivalent connected area) and ECA_error (how much of it "
            "the horizon may hide), configuration (100 ECA / area, %), area_share and ECA_share (% of the landscape)"
        ),
    ]
    changes: Annotated[
        "pd.DataFrame",
        TableOf(
            "from, to, dA and dECA (%), rECA = dECA / dA, ECA_change and its parts by_area and by_configuration (unit "
            "of the attribute), kind; last the whole period"
        ),
    ]
    eca_change: Annotated[float, Indicator("dECA from the first to the last date", unit="%")]
    area_change: Annotated[float, Indicator("dA from the first to the last date", unit="%")]


@method(
    "networks.change",
    references=(
        "Saura S, Estreguil C, Mouton C, Rodriguez-Freire M (2011) Network analysis to assess landscape connectivity "
        "trends: application to European forests (1990-2000). Ecological Indicators 11:407-416",
        "Ang BW (2004) Decomposition analysis for policymaking in energy: which is the preferred method? Energy Policy "
        "32:1131-1139 (logarithmic mean Divisia index)",
    ),
)
def change(
    patches: Annotated[
        Sequence["pd.DataFrame"],
        Table(
            "habitat patches of each date from the first, or one table with a column of dates", ("patch",), many=True
        ),
    ],
    links: Annotated[
        Sequence["pd.DataFrame"],
        Table("links of each date, or one table with the same column", ("patch_a", "patch_b"), many=True),
    ],
    *,
    date: Annotated[str | None, Param("column of dates, where one table holds them all; sorted")] = None,
    dates: Annotated[Sequence[str] | None, Param("names of the dates, one for each table; 1, 2, ... without")] = None,
    attribute: Annotated[str, Param("column of patches that holds the attribute a_i")] = "area_ha",
    weight: Annotated[
        Literal["distance_m", "cost", "probability"], Param("column of links that says how far apart patches are")
    ] = "distance_m",
    distance: Annotated[
        float | None, Param("distance (m) or cost of a link whose probability is `probability`", gt=0)
    ] = None,
    probability: Annotated[
        float, Param("probability of a link as long as the distance: 0.5 at a median, 0.05 at a maximum", gt=0, lt=1)
    ] = 0.5,
    landscape_area: Annotated[
        float | None, Param("area of the whole landscape in the unit of the attribute, for the shares", gt=0)
    ] = None,
    smallest_probability: Annotated[
        float, Param("leave out pairs whose best path is less probable than this; 0 leaves none out", ge=0, lt=1)
    ] = 0.0,
) -> Change:
    """The equivalent connected area at every date, and how much of its change is due to area and to configuration.

    ECA = sqrt(sum_ij a_i a_j p*_ij) is the area of one patch as well connected as the network. dA and dECA are changes
    in %, and rECA = dECA / dA: above 1 the habitat that came or went mattered more for connectivity than its area
    tells. ECA = A c with A the area and c = ECA / A the configuration, so that its change has two parts, L ln(A2 / A1)
    and L ln(c2 / c1) with L = (ECA2 - ECA1) / ln(ECA2 / ECA1), which add up to it exactly. ``kind`` says in words
    which of dA and dECA is larger. The same attribute at another scale, everything else equal, gives rECA = 1.

    Raises LinkwaysError for tables and dates of different number, a date without patches or habitat, and what
    networks.indices refuses.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import networks
    >>> patches = [pd.DataFrame({"patch": [1, 2], "area_ha": area}) for area in ([10.0, 10.0], [10.0, 6.0])]
    >>> links = [pd.DataFrame({"patch_a": [1], "patch_b": [2], "distance_m": [1000.0]})] * 2
    >>> networks.change(patches, links, dates=["1990", "2020"], distance=1000).changes.kind[0]
    'connectivity falls less than area'
    """
    import pandas as pd

    names, of_patches, of_links = _by_date(patches, links, date, dates)
    rows = []
    for i, (name, some, joining) in enumerate(zip(names, of_patches, of_links, strict=True)):
        with progress_between(i / len(names), (i + 1) / len(names)):
            rows.append(
                _state(
                    name, some, joining, attribute, weight, distance, probability, landscape_area, smallest_probability
                )
            )
    table = pd.DataFrame(rows)
    spans = [(i, i + 1) for i in range(len(names) - 1)]
    if len(names) > 2:
        spans.append((0, len(names) - 1))
    changes = pd.DataFrame([_change(rows[i], rows[j]) for i, j in spans])
    return Change(table, changes, float(changes["dECA"].iloc[-1]), float(changes["dA"].iloc[-1]))


def _by_date(
    patches: Sequence["pd.DataFrame"],
    links: Sequence["pd.DataFrame"],
    date: str | None,
    dates: Sequence[str] | None,
) -> tuple[list[str], list["pd.DataFrame"], list["pd.DataFrame"]]:
    """Names of the dates, and the patches and links of each."""
    if date is not None:
        if len(patches) != 1 or len(links) != 1 or dates is not None:
            raise LinkwaysError(
                f"{ID}: with the column of dates {date}, give one table of patches and links and no dates"
            )
        for what, table in (("patches", patches[0]), ("links", links[0])):
            if date not in table.columns:
                raise LinkwaysError(f"{ID}: {what} has no column '{date}' of dates; name another with date")
            if table[date].isna().any():
                row = int(np.argmax(table[date].isna()))
                raise LinkwaysError(f"{ID}: {what} row {row + 1} has no {date}; fill it in or drop the row")
        times = sorted(patches[0][date].unique().tolist())
        strange = set(links[0][date].unique().tolist()) - set(times)
        if strange:
            raise LinkwaysError(f"{ID}: links name the date {min(strange, key=str)}, for which there are no patches")
        split = ([t[t[date] == time].reset_index(drop=True) for time in times] for t in (patches[0], links[0]))
        names, of_patches, of_links = [str(t) for t in times], *split
    else:
        names = [str(i + 1) for i in range(len(patches))] if dates is None else list(dates)
        of_patches, of_links = list(patches), list(links)
        if not len(names) == len(of_patches) == len(of_links):
            raise LinkwaysError(
                f"{ID}: {len(of_patches)} tables of patches, {len(of_links)} of links and {len(names)} dates; give one "
                "of each for every date"
            )
    if len(names) < 2:
        raise LinkwaysError(f"{ID}: a change needs at least two dates")
    return names, of_patches, of_links


def _state(
    name: str,
    patches: "pd.DataFrame",
    links: "pd.DataFrame",
    attribute: str,
    weight: Any,
    distance: float | None,
    probability: float,
    landscape_area: float | None,
    smallest: float,
) -> dict[str, Any]:
    from linkways.kernels.reach import probability_sum
    from linkways.networks._graph import check_landscape, horizon_of, network

    found = network(
        f"{ID}: date {name}",
        patches,
        links,
        attribute=attribute,
        weight=weight,
        distance=distance,
        probability=probability,
        threshold=None,
    )
    check_landscape(f"{ID}: date {name}", found.attribute, landscape_area)
    area = float(found.attribute.sum())
    if area == 0:
        raise LinkwaysError(f"{ID}: the patches of date {name} have no {attribute}; leave the date out")
    reach = probability_sum(
        found.probable(), found.attribute, horizon_of(smallest), progress=lambda done: progress(done, name)
    )
    eca = math.sqrt(reach.total)
    state = {
        "date": name,
        "patches": len(found.ids),
        "area": area,
        "ECA": eca,
        "ECA_error": math.sqrt(reach.total + reach.bound) - eca,
        "configuration": 100 * eca / area,
    }
    if landscape_area is not None:
        state |= {"area_share": 100 * area / landscape_area, "ECA_share": 100 * eca / landscape_area}
    return state


def _change(first: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    area = math.log(last["area"] / first["area"])
    whole = math.log(last["ECA"] / first["ECA"])
    more = last["ECA"] - first["ECA"]
    mean = more / whole if whole != 0 else first["ECA"]
    da, deca = (100 * (last[k] / first[k] - 1) for k in ("area", "ECA"))
    return {
        "from": first["date"],
        "to": last["date"],
        "dA": da,
        "dECA": deca,
        "rECA": deca / da if da != 0 else math.nan,
        "ECA_change": more,
        "by_area": mean * area,
        "by_configuration": mean * (whole - area),
        "kind": _kind(da, deca),
    }


def _kind(area: float, eca: float) -> str:
    """What happened to connectivity, beside what happened to area, in words."""
    area, eca = (0.0 if abs(x) < 1e-9 else x for x in (area, eca))
    if eca == 0:
        return "no change" if area == 0 else "connectivity stays while area changes"
    verb, way = ("rises", "falls") if eca > 0 else ("falls", "rises")
    if area == 0:
        return f"connectivity {verb} while area stays"
    if np.sign(area) != np.sign(eca):
        return f"connectivity {verb} although area {way}"
    if math.isclose(area, eca, rel_tol=1e-9):
        return f"connectivity {verb} as area does"
    return f"connectivity {verb} {'more' if abs(eca) > abs(area) else 'less'} than area"
