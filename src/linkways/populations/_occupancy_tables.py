"""What a fitted occupancy model says, in tables, maps and a figure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from linkways.populations._occupancy_fit import Fit, profile
from linkways.populations._occupancy_histories import Histories
from linkways.populations._occupancy_models import Dynamic, RoyleNichols
from linkways.populations._occupancy_terms import Design, columns_of, read_term
from linkways.spatial import note

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas as pd
    import xarray as xr

__all__ = ["Reported", "coefficient_table", "corridor_table", "figure_of", "maps_of", "season_table", "site_table"]

Floats = NDArray[np.float64]
LINK = {"royle_nichols": "log"}


@dataclass(frozen=True)
class Reported:
    """A fit with the names and scales of its coefficients."""

    fit: Fit
    designs: Mapping[str, Design]
    rows: tuple[tuple[str, str], ...]
    """(part, term) of each coefficient."""
    matrix: Floats
    """Coefficients in the covariates' units are matrix @ theta + shift."""
    shift: Floats
    levels: Mapping[str, list[str]]
    z: float
    """Normal quantile of the intervals."""

    def through(self, function: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
        """A function of the coefficients with its standard errors by the delta method."""
        theta = self.fit.reported
        slopes = []
        for k in range(len(theta)):
            step = np.zeros(len(theta))
            step[k] = 1e-4
            slopes.append((function(theta + step) - function(theta - step)) / 2e-4)
        jacobian = np.array(slopes)
        variance = np.einsum("ka,kl,la->a", jacobian, self.fit.covariance, jacobian, optimize=True)
        return function(theta), np.sqrt(np.maximum(variance, 0))

    def between(self, psi: Floats, error: Floats) -> tuple[Floats, Floats]:
        """The interval of a probability, symmetric on the logit scale."""
        inner = np.clip(psi, 1e-12, 1 - 1e-12)
        eta, spread = np.log(inner / (1 - inner)), self.z * error / (inner * (1 - inner))
        return 1 / (1 + np.exp(-np.clip(eta - spread, -700, 700))), 1 / (1 + np.exp(-np.clip(eta + spread, -700, 700)))


def coefficient_table(found: Reported, profiles: bool) -> "pd.DataFrame":
    """parameter, term, estimate, se, low, high, z, p, status, penalised, penalised_se."""
    import pandas as pd
    from scipy.stats import norm

    fit, matrix = found.fit, found.matrix
    free = np.flatnonzero(~fit.boundary)
    covariance = np.zeros((len(fit.theta), len(fit.theta)))
    covariance[np.ix_(free, free)] = np.linalg.inv(fit.information[np.ix_(free, free)])
    estimate = matrix @ fit.theta + found.shift
    error = np.sqrt(np.diag(matrix @ covariance @ matrix.T))
    lost = (np.abs(matrix) > 1e-12) @ fit.boundary
    low, high = estimate - found.z * error, estimate + found.z * error
    for k in range(len(estimate)):
        if lost[k] or profiles:
            ends = profile(fit, matrix[k], found.z**2 / 2)
            low[k], high[k] = ends[0] + found.shift[k], ends[1] + found.shift[k]
    with np.errstate(divide="ignore", invalid="ignore"):
        score = estimate / error
    table = pd.DataFrame(found.rows, columns=["parameter", "term"])
    table["estimate"], table["se"] = np.where(lost, np.nan, estimate), np.where(lost, np.nan, error)
    table["low"], table["high"] = low, high
    table["z"] = np.where(lost, np.nan, score)
    table["p"] = np.where(lost, np.nan, 2 * norm.sf(np.abs(score)))
    table["status"] = np.where(lost, "boundary", "estimated")
    table["penalised"] = np.nan
    table["penalised_se"] = np.nan
    if fit.penalised is not None:
        table["penalised"] = matrix @ fit.penalised + found.shift
        table["penalised_se"] = np.sqrt(np.diag(matrix @ fit.covariance @ matrix.T))
    return table


def site_table(found: Reported, histories: Histories) -> "pd.DataFrame":
    """site, season, visits, detections, psi with se and interval, conditional psi; expected abundance with it."""
    import pandas as pd

    model, seasons = found.fit.model, len(histories.seasons)
    psi, error = found.through(model.psi)
    low, high = found.between(psi, error)
    unit = histories.site * seasons + histories.season
    units = len(histories.sites) * seasons
    table = pd.DataFrame({"site": np.repeat(histories.sites, seasons)})
    table["site"] = table["site"].infer_objects()
    if seasons > 1:
        table["season"] = np.tile(histories.seasons, len(histories.sites))
    table["visits"] = np.bincount(unit, minlength=units)
    table["detections"] = np.bincount(unit, weights=histories.y > 0, minlength=units).astype(int)
    table["psi"], table["psi_se"], table["psi_low"], table["psi_high"] = psi, error, low, high
    table["psi_conditional"] = found.fit.at_reported().occupied
    if isinstance(model, RoyleNichols):
        table["abundance"], table["abundance_se"] = found.through(model.abundance)
    return table


def season_table(found: Reported, histories: Histories) -> "pd.DataFrame":
    """season, sites, surveyed, naive, mean psi with se and interval, occupied; colonisation to growth if dynamic."""
    import pandas as pd

    model, sites, seasons = found.fit.model, len(histories.sites), len(histories.seasons)
    visits = np.diff(histories.first).reshape(sites, seasons)
    seen = np.bincount(
        histories.site * seasons + histories.season, weights=histories.y > 0, minlength=sites * seasons
    ).reshape(sites, seasons)
    psi, error = found.through(lambda theta: model.psi(theta).reshape(sites, seasons).mean(axis=0))
    low, high = found.between(psi, error)
    table = pd.DataFrame({"season": histories.seasons, "sites": sites, "surveyed": (visits > 0).sum(axis=0)})
    with np.errstate(invalid="ignore"):
        table["naive"] = (seen > 0).sum(axis=0) / (visits > 0).sum(axis=0)
    table["psi"], table["psi_se"], table["psi_low"], table["psi_high"] = psi, error, low, high
    table["occupied"] = found.fit.at_reported().occupied.reshape(sites, seasons).mean(axis=0)
    if isinstance(model, Dynamic):
        rules = {"colonisation": _colonisation, "extinction": _extinction, "growth": _growth, "turnover": _turnover}
        for name, rule in rules.items():
            value, spread = found.through(partial(rule, model))
            table[name], table[f"{name}_se"] = np.append(value, np.nan), np.append(spread, np.nan)
    return table


def _colonisation(model: Dynamic, theta: Floats) -> Floats:
    return np.asarray(model.rates(theta)[0].mean(axis=0))


def _extinction(model: Dynamic, theta: Floats) -> Floats:
    return np.asarray(model.rates(theta)[1].mean(axis=0))


def _growth(model: Dynamic, theta: Floats) -> Floats:
    psi = model.psi(theta).reshape(-1, model.seasons).mean(axis=0)
    return np.asarray(psi[1:] / psi[:-1])


def _turnover(model: Dynamic, theta: Floats) -> Floats:
    """Share of the occupied sites of a season that were not occupied in the season before."""
    psi = model.psi(theta).reshape(-1, model.seasons)
    come = model.rates(theta)[0]
    return np.asarray((come * (1 - psi[:, :-1])).mean(axis=0) / psi[:, 1:].mean(axis=0))


def corridor_table(found: Reported, histories: Histories, inside: Floats) -> "pd.DataFrame":
    """where, sites, naive, occupied (share of these sites, last season) with se and interval; the last row is inside
    less outside."""
    import pandas as pd

    seasons, model = len(histories.seasons), found.fit.model
    seen = np.zeros(len(histories.sites), bool)
    last = (histories.season == seasons - 1) & (histories.y > 0)
    seen[histories.site[last]] = True
    surveyed = np.diff(histories.first).reshape(-1, seasons)[:, -1] > 0
    groups = {"inside": inside > 0, "outside": inside == 0}

    def shares(theta: Floats) -> Floats:
        occupied = model.evaluate(theta).occupied.reshape(-1, seasons)[:, -1]
        two = [occupied[g].mean() if g.any() else np.nan for g in groups.values()]
        return np.array([*two, two[0] - two[1]])

    value, error = found.through(shares)
    now = found.fit.at_reported().occupied.reshape(-1, seasons)[:, -1]
    own = np.array([np.sum(now[g] * (1 - now[g])) / max(int(g.sum()), 1) ** 2 for g in groups.values()])
    error = np.sqrt(error**2 + np.append(own, own.sum()))
    low, high = found.between(value[:2], error[:2])
    naive = [seen[g & surveyed].mean() if (g & surveyed).any() else np.nan for g in groups.values()]
    return pd.DataFrame(
        {
            "where": [*groups, "difference"],
            "sites": [int(g.sum()) for g in groups.values()] + [len(inside)],
            "naive": [*naive, naive[0] - naive[1]],
            "occupied": value,
            "se": error,
            "low": [*low, value[2] - found.z * error[2]],
            "high": [*high, value[2] + found.z * error[2]],
        }
    )


def maps_of(
    found: Reported, rasters: "Mapping[str, xr.DataArray]"
) -> "tuple[xr.DataArray | None, xr.DataArray | None]":
    """Probability of occupancy (of the first season) and its standard error by the delta method, block by block."""
    from linkways.populations._occupancy_sites import raster_values
    from linkways.spatial import block_values, raster_like, row_blocks

    design = found.designs["occupancy"]
    terms = [read_term(text) for text in dict.fromkeys(t for t in design.terms if t)]
    names = set().union(*(term.names for term in terms)) if terms else set()
    if not terms or not names <= set(rasters):
        if rasters:
            why = f"{min(names - set(rasters))} is not among the rasters" if terms else "occupancy has no terms"
            note(f"populations.occupancy: no map, because {why}")
        return None, None
    template = next(iter(rasters.values()))
    size = design.x.shape[1]
    beta, covariance = found.fit.reported[:size], found.fit.covariance[:size, :size]
    logs = isinstance(found.fit.model, RoyleNichols)
    psi, error = np.full(template.shape, np.nan), np.full(template.shape, np.nan)
    low, high = design.x.min(axis=0), design.x.max(axis=0)
    beyond = known = 0
    levels = dict(found.levels)
    for rows in row_blocks(template, cells=2**20):
        held = {name: raster_values(rasters[name], block_values(rasters[name], rows).ravel()) for name in names}
        columns = columns_of(terms, held.__getitem__, levels)
        x = design.at(columns.values)
        ok = np.isfinite(x).all(axis=1)
        eta = x @ beta
        spread = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", x, covariance, x, optimize=True), 0))
        if logs:
            here, slope = -np.expm1(-np.exp(eta)), np.exp(eta - np.exp(eta))
        else:
            here = 1 / (1 + np.exp(-np.clip(eta, -700, 700)))
            slope = here * (1 - here)
        at = slice(rows.start, rows.stop)
        psi[at] = np.where(ok, here, np.nan).reshape(len(rows), -1)
        error[at] = np.where(ok, slope * spread, np.nan).reshape(len(rows), -1)
        out = ((x < low - 1e-9) | (x > high + 1e-9)).any(axis=1) & ok
        beyond, known = beyond + int(out.sum()), known + int(ok.sum())
    if beyond:
        note(
            f"populations.occupancy: {beyond} of {known} cells of the map have covariates beyond those of the sites; "
            "there it extrapolates"
        )
    return (
        raster_like(psi, template, name="occupancy", units="probability"),
        raster_like(error, template, name="occupancy_se", units="probability"),
    )


def figure_of(found: Reported, seasons: "pd.DataFrame", simulated: Floats, seen: float) -> "matplotlib.figure.Figure":
    """Occupancy by season beside the naive share, response curves with intervals, and the goodness of fit."""
    from matplotlib.figure import Figure

    curves = _curves(found)
    panels = 1 + len(curves) + (len(simulated) > 0)
    columns = min(3, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(3.4 * columns, 2.7 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    _seasons(axes[0], seasons)
    for axis, (part, name, design, column) in zip(axes[1:], curves, strict=False):
        _curve(axis, found, part, name, design, column)
    if len(simulated):
        axis = axes[1 + len(curves)]
        axis.hist(simulated, bins=30, color="#bcd9ea")
        axis.axvline(seen, color="#a33b20")
        axis.set(xlabel="chi-square of histories (line: seen)", ylabel="simulations")
    for axis in axes[panels:]:
        axis.set_axis_off()
    return figure


def _seasons(axis: Any, seasons: "pd.DataFrame") -> None:
    at = np.arange(len(seasons))
    psi = seasons["psi"].to_numpy()
    ends = np.abs(np.stack([psi - seasons["psi_low"].to_numpy(), seasons["psi_high"].to_numpy() - psi]))
    axis.errorbar(at, psi, ends, fmt="o", capsize=3, color="#1f5f8b", label="estimated")
    axis.plot(at, seasons["naive"], "x", color="#a33b20", label="detected")
    axis.set_xticks(at, [str(s) for s in seasons["season"]])
    axis.set(ylim=(0, 1.02), ylabel="share of sites occupied")
    axis.legend(frameon=False, fontsize=7)


def _curves(found: Reported) -> list[tuple[str, str, Design, int]]:
    """Columns of plain covariates, the first eight; products and classes have no curve."""
    out = []
    for part, design in found.designs.items():
        for k, name in enumerate(design.names):
            if k and ":" not in name and "[" not in name and "**" not in name:
                out.append((part, name, design, k))
    return out[:7]


def _curve(axis: Any, found: Reported, part: str, name: str, design: Design, column: int) -> None:
    where = [k for k, (owner, _) in enumerate(found.rows) if owner == part][: design.x.shape[1]]
    grid = np.linspace(design.x[:, column].min(), design.x[:, column].max(), 60)
    x = np.tile(design.x.mean(axis=0), (60, 1))
    x[:, column] = grid
    eta = x @ found.fit.reported[where]
    spread = np.sqrt(np.einsum("ij,jk,ik->i", x, found.fit.covariance[np.ix_(where, where)], x))
    logs = isinstance(found.fit.model, RoyleNichols) and part == "occupancy"

    def inverse(value: Floats) -> Floats:
        return -np.expm1(-np.exp(np.minimum(value, 50))) if logs else 1 / (1 + np.exp(-np.clip(value, -700, 700)))

    own = grid * design.scale[column] + design.centre[column]
    axis.fill_between(
        own, inverse(eta - found.z * spread), inverse(eta + found.z * spread), color="#bcd9ea", linewidth=0
    )
    axis.plot(own, inverse(eta), color="#1f5f8b")
    axis.set(xlabel=name, ylabel=part, ylim=(0, 1))
