"""Dispersal between sites as probability, flow and migration, whichever of them a table tells."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.seas._connectivity_tables import (
    ROUNDING,
    Excess,
    Kind,
    Sites,
    column_of,
    dated,
    is_square,
    listed,
    long_rows,
    placed,
    refuse_bad_values,
    sites_of,
)
from linkways.spatial import note

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_array

__all__ = ["Dispersal", "read_dispersal", "scaled"]


@dataclass(frozen=True)
class Dispersal:
    """Larvae between sites; in every matrix rows are sources and columns sinks."""

    sites: Sites
    kind: Kind
    source: np.ndarray
    """(entries,) site, likewise ``sink``; ``date`` is a number in ``dates``."""
    sink: np.ndarray
    date: np.ndarray
    value: np.ndarray
    """(entries,) settlers, or the entry of the matrix on that date."""
    released: np.ndarray
    """(n, dates) larvae released by a site on a date; 1 where a matrix was given, so that sums are means."""
    dates: list[Any]
    years: list[int]
    """The year of each date; empty where dates have none."""
    factor: np.ndarray
    """(n,) what turns a row of pooled values into probabilities."""
    production: np.ndarray
    """(n,) larvae that each site produces."""
    probability: "csr_array"
    flow: "csr_array"
    losses_known: bool
    """False where probabilities are shares of the settlers, so that larvae lost at sea are unknown."""

    @property
    def sends(self) -> np.ndarray:
        """(n,) whether larvae were released at the site, so that what it sends is known."""
        return np.asarray(self.released.sum(axis=1) > 0)

    @cached_property
    def inflow_all(self) -> np.ndarray:
        """(n,) settlers of each site, its own among them."""
        return np.asarray(self.flow.sum(axis=0)).ravel()

    @cached_property
    def migration(self) -> "csr_array":
        """M_ij = F_ij / sum_i F_ij: of the settlers of j, those from i; columns sum to 1, or 0 without settlers."""
        from scipy.sparse import csr_array

        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(self.inflow_all > 0, 1.0 / self.inflow_all, 0.0)
        out = self.flow.copy()
        out.data = out.data * scale[out.indices]
        return csr_array(out)


def read_dispersal(
    id: str,
    table: "pd.DataFrame",
    sites: Sites | None,
    *,
    kind: Kind,
    production: str | None,
    excess: Excess,
    name: str = "matrix",
) -> Dispersal:
    """The dispersal that a table of this kind tells.

    ``sites`` None: the sites are those of the table. A table with columns probability and flow tells both.
    """
    if excess != "refuse" and kind != "probability":
        raise LinkwaysError(f"{id}: excess {excess} is for rows of probabilities, not of kind {kind}; leave it out")
    rows = long_rows(id, table, kind, name)
    if sites is None:
        sites = sites_of(rows, square=is_square(table))
    # tables of seas.connectivity leave out pairs without settlers, and with them sites that exchange nothing
    sparse = kind == "settlement" or {"probability", "flow"} <= set(table.columns)
    rows = placed(id, rows, sites, sparse, name)
    refuse_bad_values(id, rows, sites, name)
    released, rows, dates, years = dated(id, rows, sites, kind, name)
    both = kind == "probability" and production is None and {"probability", "flow"} <= set(table.columns)
    return _converted(id, rows, sites, kind, released, dates, years, production, excess, both, name)


# --- probability, flow, migration ------------------------------------------------------------------------------


def _converted(
    id: str,
    rows: "pd.DataFrame",
    sites: Sites,
    kind: Kind,
    released: np.ndarray,
    dates: list[Any],
    years: list[int],
    production: str | None,
    excess: Excess,
    both: bool,
    name: str,
) -> Dispersal:
    rows = rows[(rows["sink"] >= 0) & (rows["value"] > 0)]
    silent = np.flatnonzero(released.sum(axis=1) == 0)
    if len(silent):
        who = listed([str(sites.names[i]) for i in silent])
        note(f"{id}: nothing was released at {len(silent)} sites, so what they send counts as nothing: {who}")
    pooled = _pooled(rows, released, "value")
    produced, told = _production(id, sites, production, kind)
    if kind == "migration":
        # from here on its entries are a flow
        recruits = _recruits(id, pooled, sites, name)
        rows = rows.assign(value=rows["value"].to_numpy() * recruits[rows["sink"].to_numpy()])
        pooled = _pooled(rows, released, "value")
    known = True
    if kind in ("flow", "migration"):
        factor, produced, known = _from_flow(id, pooled, sites, produced, told, name)
    else:
        factor = _within_one(id, pooled, sites, excess, name) if kind == "probability" else np.ones(sites.n)
    probability = scaled(pooled, factor)
    if both:
        flow = _pooled(rows, released, "flow")
        produced = _explained(id, sites, flow, probability, produced if told else None, name)
    else:
        flow = scaled(probability, produced)
    return Dispersal(
        sites,
        kind,
        rows["source"].to_numpy(),
        rows["sink"].to_numpy(),
        rows["date"].to_numpy(),
        rows["value"].to_numpy(),
        released,
        dates,
        years,
        factor,
        produced,
        probability,
        flow,
        known,
    )


def _pooled(rows: "pd.DataFrame", released: np.ndarray, column: str) -> "csr_array":
    """Sums over dates divided by what was released on all of them."""
    from scipy.sparse import coo_array

    n = len(released)
    source = rows["source"].to_numpy()
    value = rows[column].to_numpy() / released.sum(axis=1)[source]
    out = coo_array((value, (source, rows["sink"].to_numpy())), shape=(n, n)).tocsr()
    out.sum_duplicates()
    return out


def scaled(matrix: "csr_array", factor: np.ndarray) -> "csr_array":
    """Rows times a factor each; those of factor 0 have no entries."""
    out = matrix.copy()
    out.data = out.data * np.repeat(factor, np.diff(out.indptr))
    out.eliminate_zeros()
    return out


def _explained(
    id: str, sites: Sites, flow: "csr_array", probability: "csr_array", told: np.ndarray | None, name: str
) -> np.ndarray:
    """The production that explains a flow; where nothing settles what sites tell, else 0."""
    whole, share = np.asarray(flow.sum(axis=1)).ravel(), np.asarray(probability.sum(axis=1)).ravel()
    start = np.zeros_like(whole) if told is None else told.copy()
    found = np.asarray(np.divide(whole, share, out=start, where=share > 0))
    if told is not None and not np.allclose(found, told, rtol=1e-6):
        apart = np.flatnonzero(~np.isclose(found, told, rtol=1e-6))
        at = apart[0]
        note(
            f"{id}: production of {len(apart)} sites is not the one in the flows of {name}, which count, first that of "
            f"{sites.names[at]} ({told[at]:g} and {found[at]:g}); name the parameter production to take that of sites"
        )
    return found


def _within_one(id: str, matrix: "csr_array", sites: Sites, excess: Excess, name: str) -> np.ndarray:
    """(n,) factors of the rows so that none sums to more than 1."""
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    over = np.flatnonzero(sums > 1 + ROUNDING)
    factor = np.ones(sites.n)
    if not len(over):
        return factor
    top = int(sums.argmax())
    words = f"{len(over)} rows of {name} sum to more than 1, the largest that of site {sites.names[top]} ({sums[top]:g}"
    if excess == "refuse":
        raise LinkwaysError(
            f"{id}: {words}), so it holds no probabilities; name its kind flow, or set excess to largest or rows"
        )
    if excess == "largest":
        note(f"{id}: {words}); all entries are divided by that")
        return np.asarray(factor / sums[top])
    note(f"{id}: {words}); these rows are divided by their sum, so that none of their larvae are lost")
    factor[over] = 1.0 / sums[over]
    return factor


def _production(id: str, sites: Sites, column: str | None, kind: Kind) -> tuple[np.ndarray, bool]:
    """Larvae that each site produces, and whether anyone told."""
    present = sites.table is not None and "production" in sites.table.columns
    if column is None and not present:
        if kind in ("settlement", "probability"):
            note(f"{id}: sites has no column production, so every site is taken to produce 1")
        return np.ones(sites.n), False
    return column_of(id, sites, column or "production"), True


def _from_flow(
    id: str, flow: "csr_array", sites: Sites, produced: np.ndarray, told: bool, name: str
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Row factors from flow to probability, the production, and whether larvae lost at sea are counted in it."""
    sums = np.asarray(flow.sum(axis=1)).ravel()
    if not told:
        note(f"{id}: sites has no column production, so probabilities are shares of the settlers of {name}")
        produced = sums
    over = np.flatnonzero(sums > produced * (1 + ROUNDING))
    if len(over):
        at = over[0]
        raise LinkwaysError(
            f"{id}: {len(over)} rows of {name} sum to more than the production of their site, first site "
            f"{sites.names[at]} ({sums[at]:g} of {produced[at]:g}); mend one of them"
        )
    return np.divide(1.0, produced, out=np.zeros_like(sums), where=produced > 0), produced, told


def _recruits(id: str, matrix: "csr_array", sites: Sites, name: str) -> np.ndarray:
    """Settlers of each site, which turn shares of them into a flow."""
    sums = np.asarray(matrix.sum(axis=0)).ravel()
    wrong = np.flatnonzero((np.abs(sums - 1) > 1e-6) & (sums != 0))
    if len(wrong):
        raise LinkwaysError(
            f"{id}: {len(wrong)} columns of {name} sum neither to 1 nor to 0, first that of site "
            f"{sites.names[wrong[0]]} ({sums[wrong[0]]:g}), so it is no migration matrix; name its kind flow"
        )
    if sites.table is None or "recruits" not in sites.table.columns:
        raise LinkwaysError(
            f"{id}: a migration matrix tells where settlers come from and not how many they are; add a column recruits "
            "to sites"
        )
    return column_of(id, sites, "recruits")
