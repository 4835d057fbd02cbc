"""Larvae exchanged between no-take and fished parts of zones, under a plan and without one."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_array

    from linkways.seas._connectivity_tables import Sites

__all__ = [
    "Managed",
    "exchange_table",
    "links_to_grounds",
    "selected_by",
    "site_columns",
    "totals",
    "zone_table",
    "zones_of",
]


@dataclass(frozen=True)
class Managed:
    """A plan at work: what its no-take sites send more, and where larvae settle."""

    flow: "csr_array"
    """(n, n) larvae from source to sink without any plan."""
    share: np.ndarray
    """(n,) no-take share of each site."""
    uplift: float
    """Larvae that a no-take site sends for each that it sends when fished."""

    @cached_property
    def from_no_take(self) -> np.ndarray:
        """(n,) settlers at each site that were born in no-take sites."""
        return np.asarray(self.flow.T @ (self.share * self.uplift))

    @cached_property
    def from_fished(self) -> np.ndarray:
        """(n,) settlers at each site that were born in fished sites."""
        return np.asarray(self.flow.T @ (1.0 - self.share))

    @cached_property
    def to_no_take(self) -> np.ndarray:
        """(n,) larvae of each site, were it fished, that settle in no-take sites."""
        return np.asarray(self.flow @ self.share)

    @cached_property
    def to_fished(self) -> np.ndarray:
        """(n,) larvae of each site, were it fished, that settle in fished sites."""
        return np.asarray(self.flow @ (1.0 - self.share))


# --- plans and zones -------------------------------------------------------------------------------------------


def selected_by(id: str, plan: "pd.DataFrame", sites: "Sites", name: str) -> np.ndarray:
    """(n,) no-take share of each site by a plan's column selected; its units that are no sites have no larvae."""
    from linkways.seas._connectivity_tables import column_of, read_sites
    from linkways.spatial import note

    units = read_sites(id, plan, name)
    share = column_of(id, units, "selected", name=name)
    over = np.flatnonzero(share > 1)
    if len(over):
        raise LinkwaysError(
            f"{id}: selected of {units.names[over[0]]} in {name} is {share[over[0]]:g}; make it 1, 0 or a share between"
        )
    place = units.places(sites.names)
    missing = np.flatnonzero(place < 0)
    if len(missing):
        raise LinkwaysError(
            f"{id}: {name} misses {len(missing)} of the sites, first {sites.names[missing[0]]}; say of each whether it "
            "is selected"
        )
    strange = np.flatnonzero(sites.places(units.names) < 0)
    if len(strange):
        note(f"{id}: {len(strange)} units of {name} are no sites, first {units.names[strange[0]]}, and left out")
    return np.asarray(share[place])


def zones_of(id: str, sites: "Sites", column: str | None) -> tuple[np.ndarray, np.ndarray]:
    """(n,) number of each site's zone, and the zones' names; each site its own where no zones are told."""
    import pandas as pd

    table = sites.table
    if column is None:
        if table is None or "zone" not in table.columns:
            return np.arange(sites.n), sites.names
        column = "zone"
    if table is None or column not in table.columns:
        known = [] if table is None else [str(c) for c in table.columns]
        raise LinkwaysError(f"{id}: sites has no column '{column}'{nearest(column, known)}; add it, or name another")
    empty = np.flatnonzero(table[column].isna())
    if len(empty):
        raise LinkwaysError(f"{id}: {column} of site {sites.names[empty[0]]} is empty; name the zone of every site")
    codes, names = pd.factorize(table[column])
    return np.asarray(codes), np.asarray(names)


# --- tables ----------------------------------------------------------------------------------------------------


def totals(plan: Managed, zone: np.ndarray, production: np.ndarray) -> dict[str, float]:
    """Larvae exchanged between and within no-take and fished sites, and those that settle nowhere."""
    share, uplift = plan.share, plan.uplift
    fished = 1.0 - share
    sent = share * uplift
    produced = float(production @ (sent + fished))
    settled = float(plan.from_no_take.sum() + plan.from_fished.sum())
    within = _within(plan, zone)
    no_take = float(plan.from_no_take @ share)
    return {
        "no_take_to_fished": float(plan.from_no_take @ fished),
        "no_take_to_no_take": no_take,
        "no_take_to_other_no_take": max(no_take - within, 0.0),
        "fished_to_no_take": float(plan.from_fished @ share),
        "fished_to_fished": float(plan.from_fished @ fished),
        "on_fishing_grounds": float((plan.from_no_take + plan.from_fished) @ fished),
        "settled": settled,
        "lost": max(produced - settled, 0.0),
    }


def _within(plan: Managed, zone: np.ndarray) -> float:
    """Larvae of no-take sites that settle in no-take sites of the same zone."""
    flow = plan.flow.tocoo()
    source, sink = flow.coords
    same = zone[source] == zone[sink]
    sent = plan.share[source] * plan.uplift * plan.share[sink]
    return float((flow.data * sent)[same].sum())


def exchange_table(plan: Managed, zone: np.ndarray, names: np.ndarray) -> "pd.DataFrame":
    """Larvae from each zone's no-take and fished part to each other's, and those without the plan's uplift."""
    import pandas as pd
    from scipy.sparse import csr_array

    n, count = len(zone), len(names)
    rows = np.arange(n)
    parts = {
        "no_take": csr_array((plan.share, (rows, zone)), shape=(n, count)),
        "fished": csr_array((1.0 - plan.share, (rows, zone)), shape=(n, count)),
    }
    tables = []
    for source, leaving in parts.items():
        for sink, reaching in parts.items():
            found = (leaving.T @ (plan.flow @ reaching)).tocoo()
            some = found.data > 0
            a, b, larvae = found.coords[0][some], found.coords[1][some], found.data[some]
            more = plan.uplift if source == "no_take" else 1.0
            tables.append(
                pd.DataFrame(
                    {
                        "source_zone": names[a],
                        "source_kind": source,
                        "sink_zone": names[b],
                        "sink_kind": sink,
                        "larvae": larvae * more,
                        "without_uplift": larvae,
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def zone_table(
    plan: Managed, other: Managed, zone: np.ndarray, names: np.ndarray, production: np.ndarray
) -> "pd.DataFrame":
    """What each zone gives and gets under the plan, and what its fishing grounds get under the other one."""
    import pandas as pd

    def add(values: np.ndarray) -> np.ndarray:
        return np.bincount(zone, weights=values, minlength=len(names))

    share, fished = plan.share, 1.0 - plan.share
    sent = share * plan.uplift
    settlers = plan.from_no_take + plan.from_fished
    before = np.asarray(plan.flow.sum(axis=0)).ravel()
    open_now, open_before = add(settlers * fished), add(before * fished)
    gained = add(plan.from_no_take * fished)
    elsewhere = add((other.from_no_take + other.from_fished) * (1.0 - other.share))
    return pd.DataFrame(
        {
            "zone": names,
            "sites": np.bincount(zone, minlength=len(names)),
            "no_take_share": _part(add(production * share), add(production)),
            "settlers": add(settlers),
            "fishing_grounds": open_now,
            "from_no_take": gained,
            "from_no_take_share": _part(gained, open_now),
            "same_grounds_before": open_before,
            "gain_percent": 100 * _part(open_now - open_before, open_before),
            "comparison": elsewhere,
            "more_than_comparison": open_now - elsewhere,
            "sent_to_fished": add(plan.to_fished * sent),
            "sent_to_no_take": add(plan.to_no_take * sent),
            "got_from_no_take": add(plan.from_no_take * share),
        }
    )


def site_columns(plan: Managed, other: Managed) -> dict[str, np.ndarray]:
    """The same by site."""
    before = np.asarray(plan.flow.sum(axis=0)).ravel()
    settlers = plan.from_no_take + plan.from_fished
    sent = plan.share * plan.uplift
    return {
        "selected": plan.share,
        "settlers": settlers,
        "from_no_take": plan.from_no_take,
        "gain": settlers - before,
        "gain_percent": 100 * _part(settlers - before, before),
        "more_than_comparison": settlers - other.from_no_take - other.from_fished,
        "sent_to_fished": plan.to_fished * sent,
        "sent_to_no_take": plan.to_no_take * sent,
    }


def _part(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))


def links_to_grounds(plan: Managed, layer: Any, sites: "Sites", most: int) -> Any:
    """Lines from no-take to fished sites with most larvae, the strongest first."""
    import geopandas as gpd

    from linkways.seas._connectivity_maps import Ways

    flow = plan.flow.tocoo()
    source, sink = flow.coords
    larvae = flow.data * plan.share[source] * plan.uplift * (1.0 - plan.share[sink])
    apart = np.flatnonzero((source != sink) & (larvae > 0))
    order = apart[np.argsort(-larvae[apart], kind="stable")][:most]
    source, sink, ways = source[order], sink[order], Ways(layer)
    distance, direction = ways.between(source, sink)
    table = {
        "source": sites.names[source],
        "sink": sites.names[sink],
        "larvae": larvae[order],
        "distance_km": distance,
        "direction_deg": direction,
    }
    return gpd.GeoDataFrame(table, geometry=list(ways.lines(source, sink)), crs=layer.crs)
