"""Detection histories and covariates of sites, seasons and visits, checked and brought into arrays."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Covariates", "Histories", "read_histories"]

ID = "populations.occupancy"


@dataclass(frozen=True)
class Histories:
    """Visits, one after the other by site, season and occasion; rows that looked at nothing are left out."""

    sites: NDArray[Any]
    seasons: NDArray[Any]
    site: NDArray[np.int64]
    """Of each visit."""
    season: NDArray[np.int64]
    occasion: NDArray[np.int64]
    """Number of the occasion among all occasions of the table."""
    y: NDArray[np.int64]
    certain: NDArray[np.bool_]
    """Visits that cannot give a false detection."""
    table: "pd.DataFrame"
    """The rows of the visits, in their order."""

    @property
    def first(self) -> NDArray[np.int64]:
        """(sites x seasons + 1,) where the visits of each site and season begin."""
        unit = self.site * len(self.seasons) + self.season
        count = np.bincount(unit, minlength=len(self.sites) * len(self.seasons))
        return np.concatenate([[0], np.cumsum(count)]).astype(np.int64)

    def kept(self, sites: NDArray[np.bool_], visits: NDArray[np.bool_]) -> "Histories":
        """Without some sites and visits."""
        visits = visits & sites[self.site]
        number = np.cumsum(sites) - 1
        return Histories(
            self.sites[sites],
            self.seasons,
            number[self.site[visits]],
            self.season[visits],
            self.occasion[visits],
            self.y[visits],
            self.certain[visits],
            self.table[visits],
        )


def read_histories(table: "pd.DataFrame", model: str) -> Histories:
    """Visits from a table of site, (season), occasion, detected, and certain for false_positive.

    Refuses detections other than 0, 1 (2), rows told twice, seasons that the model does not have, and no detection.
    """
    import pandas as pd

    if not len(table):
        raise LinkwaysError(f"{ID}: the table histories has no rows; give one for every site and occasion")
    for name in ("site", "occasion", *(["season"] if "season" in table else [])):
        gaps = np.flatnonzero(table[name].isna().to_numpy())
        if len(gaps):
            raise LinkwaysError(f"{ID}: histories row {gaps[0] + 1} has no {name}; fill it in or leave the row out")
    detected = _detected(table, model)
    site, sites = pd.factorize(table["site"])
    occasion, _ = pd.factorize(table["occasion"], sort=True)
    season, seasons = _seasons(table, model)
    order = np.arange(len(table))
    key = (site.astype(np.int64) * len(seasons) + season) * (int(occasion.max()) + 1) + occasion
    if (np.diff(key) <= 0).any():
        order = np.argsort(key, kind="stable")
        twice = np.flatnonzero(np.diff(key[order]) == 0)
        if len(twice):
            row = order[twice[0] + 1]
            raise LinkwaysError(
                f"{ID}: histories row {row + 1} tells site {table['site'].iloc[row]}, occasion "
                f"{table['occasion'].iloc[row]} a second time; keep one row for each"
            )
    order = order[~np.isnan(detected[order])]
    y = detected[order].astype(np.int64)
    if not (y > 0).any():
        raise LinkwaysError(f"{ID}: nothing was detected anywhere, so neither occupancy nor detection can be told")
    return Histories(
        np.asarray(sites),
        seasons,
        site[order].astype(np.int64),
        season[order].astype(np.int64),
        occasion[order].astype(np.int64),
        y,
        _certain(table, model)[order],
        table if len(order) == len(table) and (np.diff(order) == 1).all() else table.iloc[order],
    )


def _detected(table: "pd.DataFrame", model: str) -> NDArray[np.float64]:
    import pandas as pd

    values = pd.to_numeric(table["detected"], errors="coerce").to_numpy(float)
    allowed = (0.0, 1.0, 2.0) if model == "false_positive" else (0.0, 1.0)
    wrong = np.flatnonzero(~(np.isin(values, allowed) | table["detected"].isna().to_numpy()))
    if len(wrong):
        also = ", 2 (confirmed)" if model == "false_positive" else ""
        raise LinkwaysError(
            f"{ID}: histories row {wrong[0] + 1} has detected {table['detected'].iloc[wrong[0]]}; write 0, 1{also} "
            "or leave it empty where nobody looked"
        )
    return np.asarray(values, float)


def _certain(table: "pd.DataFrame", model: str) -> NDArray[np.bool_]:
    if model != "false_positive" or "certain" not in table:
        return np.full(len(table), model != "false_positive")
    values = table["certain"].to_numpy()
    wrong = np.flatnonzero(~np.isin(values.astype(float), (0.0, 1.0)))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: histories row {wrong[0] + 1} has certain {values[wrong[0]]}; write 1 where a visit cannot give a "
            "false detection (a camera), else 0"
        )
    return np.asarray(values.astype(float) == 1)


def _seasons(table: "pd.DataFrame", model: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    import pandas as pd

    if "season" not in table:
        if model == "dynamic":
            raise LinkwaysError(f"{ID}: model dynamic needs the column season in histories; add it (a year, say)")
        return np.zeros(len(table), np.int64), np.array([""], dtype=object)
    code, names = pd.factorize(table["season"], sort=True)
    if model == "dynamic" and len(names) < 2:
        raise LinkwaysError(
            f"{ID}: colonisation and extinction cannot be identified from one season ({names[0]}); choose model single"
        )
    if model != "dynamic" and len(names) > 1:
        raise LinkwaysError(
            f"{ID}: histories has {len(names)} seasons, but model {model} has one; choose model dynamic or the rows of "
            f"one season"
        )
    return code.astype(np.int64), np.asarray(names)


@dataclass(frozen=True)
class Covariates:
    """Values of covariates at sites, seasons and visits, by name: columns of histories, of sites, and rasters."""

    histories: Histories
    at_site: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Known for every site, from layers, tables and rasters."""

    def of_sites(self, name: str) -> NDArray[Any]:
        """Values of each site; a column of histories will do that has one value for each site."""
        if name in self.at_site:
            return self.at_site[name]
        h = self.histories
        return self._spread(name, h.site, len(h.sites), "site")

    def of_seasons(self, name: str) -> NDArray[Any]:
        """Values of each site and season but the last, flat."""
        h = self.histories
        sites, seasons = len(h.sites), len(h.seasons)
        if name == "season":
            every = np.tile(np.array([f"{s}" for s in h.seasons], dtype=object), sites)
        elif name in self.at_site:
            every = np.repeat(self.at_site[name], seasons)
        else:
            every = self._spread(name, h.site * seasons + h.season, sites * seasons, "site and season")
        return np.asarray(every.reshape(sites, seasons)[:, :-1].ravel())

    def of_visits(self, name: str) -> NDArray[Any]:
        """Values of each visit."""
        h = self.histories
        if name == "season" and len(h.seasons) > 1:
            return np.array([f"{s}" for s in h.seasons], dtype=object)[h.season]
        if name in h.table.columns:
            return _array(h.table[name])
        if name in self.at_site:
            return self.at_site[name][h.site]
        return self._unknown(name)

    def _spread(self, name: str, unit: NDArray[np.int64], count: int, what: str) -> NDArray[Any]:
        h = self.histories
        if name not in h.table.columns:
            return self._unknown(name)
        values = _array(h.table[name])
        out = np.full(count, np.nan if values.dtype.kind == "f" else None, dtype=values.dtype)
        out[unit] = values
        same = (out[unit] == values) | ((values != values) & (out[unit] != out[unit]))
        if not np.all(same):
            row = int(np.flatnonzero(~same)[0])
            raise LinkwaysError(
                f"{ID}: the covariate {name} differs among the visits of one {what} (site {h.sites[h.site[row]]}); "
                "give one value, or let it act on detection"
            )
        return out

    def _unknown(self, name: str) -> NDArray[Any]:
        known = [*self.at_site, *(c for c in self.histories.table.columns if c not in ("site", "occasion", "detected"))]
        raise LinkwaysError(
            f"{ID}: no covariate is called {name}{nearest(name, [str(k) for k in known])}; give it as a column of "
            "histories or sites, or as a raster of that name"
        )


def _array(column: "pd.Series[Any]") -> NDArray[Any]:
    """Numbers as float64, all else as objects."""
    if column.dtype.kind in "fiub":
        return column.to_numpy(float)
    return column.astype(object).where(column.notna(), None).to_numpy()
