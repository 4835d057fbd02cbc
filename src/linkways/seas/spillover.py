"""What no-take zones give to fishing grounds, and to each other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.method import Indicator, Layer, Param, Table, TableOf, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["Spillover", "spillover"]

ID = "seas.spillover"


@dataclass(frozen=True)
class Spillover:
    """Larvae from no-take zones by zone, site and scenario."""

    zones: Annotated[
        "pd.DataFrame",
        TableOf(
            "zones: sites, no_take_share (of its production), settlers, fishing_grounds (settlers on grounds still "
            "fished), from_no_take (of these, born in no-take sites) and its share, same_grounds_before (settlers "
            "there without a plan), gain_percent, comparison (settlers on its fishing grounds under the other plan, or "
            "without one), more_than_comparison, sent_to_fished and sent_to_no_take (by its no-take sites), "
            "got_from_no_take (by its no-take sites)"
        ),
    ]
    exchange: Annotated[
        "pd.DataFrame",
        TableOf(
            "larvae between parts of zones: source_zone, source_kind, sink_zone, sink_kind (no_take, fished), larvae, "
            "without_uplift"
        ),
    ]
    scenarios: Annotated[
        "pd.DataFrame",
        TableOf(
            "plan, other plan and no plan: no_take_to_fished, no_take_to_no_take, no_take_to_other_no_take (zones), "
            "fished_to_no_take, fished_to_fished, on_fishing_grounds, settled, lost (larvae)"
        ),
    ]
    sites: Annotated[
        "pd.DataFrame",
        TableOf(
            "sites: zone, selected, settlers, from_no_take, gain and gain_percent (on no plan), more_than_comparison, "
            "sent_to_fished, sent_to_no_take"
        ),
    ]
    site_map: Annotated["gpd.GeoDataFrame | None", Layer("the same on the map, where sites has shapes")]
    links: Annotated[
        "gpd.GeoDataFrame | None", Layer("the links with most larvae from no-take to fished sites, from source to sink")
    ]
    spillover: Annotated[float, Indicator("larvae of no-take sites that settle on fishing grounds")]
    spillover_share: Annotated[
        float, Indicator("of the settlers on fishing grounds, those born in no-take sites", unit="1")
    ]
    between_no_take: Annotated[float, Indicator("larvae of no-take zones that settle in other no-take zones")]
    fishing_gain_percent: Annotated[
        float, Indicator("more settlers on the grounds still fished than the same had without a plan", unit="%")
    ]
    fishery_balance_percent: Annotated[
        float,
        Indicator("settlers on all fishing grounds against those of the comparison, with closed grounds", unit="%"),
    ]


@method(
    ID,
    references=(
        "Gell FR, Roberts CM (2003) Benefits beyond boundaries: the fishery effects of marine reserves. Trends in "
        "Ecology and Evolution 18:448-455 (export of larvae)",
        "Harrison HB, Williamson DH, Evans RD, et al. (2012) Larval export from marine reserves and the recruitment "
        "benefit for fish and fisheries. Current Biology 22:1023-1028",
        "Pelc RA, Warner RR, Gaines SD, Paris CB (2010) Detecting larval export from marine reserves. PNAS "
        "107:18266-18271",
    ),
)
def spillover(
    matrix: Annotated[
        "pd.DataFrame",
        Table(
            "pairs of seas.connectivity; or a matrix, square with named rows or as source, sink (or id1, id2) and "
            "value; or settlers as seas.connectivity takes them"
        ),
    ],
    sites: Annotated[
        "pd.DataFrame",
        Table("the sites, a layer or table: site, and when present production (as fished), zone, selected"),
    ],
    plan: Annotated[
        "pd.DataFrame | None",
        Table(
            "which sites are no-take, as planning.select tells: unit, selected (1, 0 or a share), other units too; "
            "left out: the column selected of sites",
            columns=("selected",),
        ),
    ] = None,
    other: Annotated[
        "pd.DataFrame | None",
        Table("another plan to compare with: unit, selected; left out: no plan", columns=("selected",)),
    ] = None,
    *,
    uplift: Annotated[
        float,
        Param(
            "larvae that a no-take site produces for each it would produce fished; 1: protection changes nothing. It "
            "differs with species and age of the reserve and has no default",
            ge=0,
        ),
    ],
    kind: Annotated[
        Literal["settlement", "probability", "flow", "migration"],
        Param("what the matrix holds; with columns probability and flow it tells both"),
    ] = "probability",
    production: Annotated[
        str | None,
        Param(
            "column of sites with the larvae that each produces as fished; left out: production if it is a column, "
            "else 1 for each (of a flow: its settlers)"
        ),
    ] = None,
    excess: Annotated[
        Literal["refuse", "largest", "rows"],
        Param(
            "rows of probabilities that sum to more than 1: refuse them; divide the whole matrix by the largest sum; "
            "divide each of these rows by its sum"
        ),
    ] = "refuse",
    zone: Annotated[
        str | None,
        Param("column of sites with the zone of each; left out: zone if it is a column, else each site is a zone"),
    ] = None,
    strongest: Annotated[int, Param("links on the map at most", ge=1)] = 500,
) -> Spillover:
    """The larvae that no-take sites send to fishing grounds and to each other, by zone and against no or another plan.

    Without a plan F_ij = production_i P_ij larvae go from i to j. With s_i the no-take share of a site (0 or 1 of most
    plans) its no-take part sends u s_i F_ij and its fished part (1 - s_i) F_ij; of what reaches j the share s_j settles
    in no-take and 1 - s_j on fishing grounds. So spillover is sum_ij u s_i F_ij (1 - s_j), and the gain of the grounds
    that stay open is sum_ij (u - 1) s_i F_ij (1 - s_j). Settlers on closed grounds are lost to the fishery, which the
    balance against the comparison counts. Larvae do not hinder each other: twice the larvae leave twice the settlers.

    Larvae are in the unit of production. NaN are shares and percentages of nothing, as the gain where nobody settled.

    Raises LinkwaysError for what seas.connectivity refuses, plans that do not name every site, shares selected that are
    not between 0 and 1, and sites without a zone where zones are told.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import seas
    >>> matrix = pd.DataFrame({"source": ["a", "a", "b"], "sink": ["a", "b", "b"], "value": [0.1, 0.2, 0.1]})
    >>> reefs = pd.DataFrame({"site": ["a", "b"], "production": [100.0, 50.0], "selected": [1, 0]})
    >>> found = seas.spillover(matrix, reefs, uplift=3)
    >>> found.spillover, round(found.spillover_share, 3)  # 3 x 100 x 0.2 of 60 + 5
    (60.0, 0.923)
    >>> found.scenarios[["scenario", "on_fishing_grounds"]].to_numpy().tolist()
    [['plan', 65.0], ['no plan', 35.0]]
    """
    import pandas as pd

    from linkways.seas import _spillover_flows as flows
    from linkways.seas._connectivity_dispersal import read_dispersal
    from linkways.seas._connectivity_maps import is_layer, refuse_unplaced
    from linkways.seas._connectivity_tables import read_sites

    found = read_dispersal(ID, matrix, read_sites(ID, sites), kind=kind, production=production, excess=excess)
    given = found.sites
    assert given.table is not None
    if is_layer(given.table):
        refuse_unplaced(ID, given.table)
    chosen = flows.selected_by(ID, given.table if plan is None else plan, given, "sites" if plan is None else "plan")
    number, names = flows.zones_of(ID, given, zone)
    made = flows.Managed(found.flow, chosen, uplift)
    none = flows.Managed(found.flow, np.zeros(given.n), uplift)
    rival = none if other is None else flows.Managed(found.flow, flows.selected_by(ID, other, given, "other"), uplift)
    scenarios = {"plan": made, **({} if other is None else {"other plan": rival}), "no plan": none}
    produced = np.where(found.sends, found.production, 0.0)
    sums = {name: flows.totals(managed, number, produced) for name, managed in scenarios.items()}
    total, against, *_ = sums.values()
    table = pd.DataFrame({"site": given.names, "zone": names[number], **flows.site_columns(made, rival)})
    before = float(np.asarray(found.flow.sum(axis=0)).ravel() @ (1.0 - chosen))
    site_map = links = None
    if is_layer(given.table):
        import geopandas as gpd

        site_map = gpd.GeoDataFrame(table, geometry=list(given.table.geometry), crs=given.table.crs)
        links = flows.links_to_grounds(made, given.table, given, strongest)
    return Spillover(
        flows.zone_table(made, rival, number, names, found.production),
        flows.exchange_table(made, number, names),
        pd.DataFrame([{"scenario": name, **row} for name, row in sums.items()]),
        table,
        site_map,
        links,
        total["no_take_to_fished"],
        _ratio(total["no_take_to_fished"], total["on_fishing_grounds"]),
        total["no_take_to_other_no_take"],
        100 * _ratio(total["on_fishing_grounds"] - before, before),
        100 * _ratio(total["on_fishing_grounds"] - against["on_fishing_grounds"], against["on_fishing_grounds"]),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
