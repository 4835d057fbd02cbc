"""How likely a monitoring plan is to find an effect, by simulation; and the figure of an effect."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from linkways.method import progress
from linkways.populations._impact_effects import TERMS, Found
from linkways.populations._impact_mixed import Mixed, fit_mixed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Plan", "draw", "power_table"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """What surveys are expected to find."""

    rate: float
    """Count of a visit to a control site before the change."""
    site_sd: float
    time_sd: float
    size: float
    """Of the negative binomial; infinite for Poisson."""


def power_table(
    plan: Plan,
    sites: list[int],
    visits: list[int],
    effects: list[float],
    simulations: int,
    confidence: float,
    seed: int,
) -> "pd.DataFrame":
    """sites (of each treatment), visits (of each period), effect: power with interval, mean ratio, coverage, failed."""
    import pandas as pd
    from scipy.stats import binomtest, norm

    z = float(norm.ppf(0.5 + confidence / 2))
    designs = [(s, v, e) for s in sites for v in visits for e in effects]
    rows = []
    for number, (site, visit, effect) in enumerate(designs):
        rng = np.random.default_rng([seed, number])
        estimates: list[tuple[float, float]] = []
        for _ in range(simulations):
            progress((number + len(estimates) / simulations) / len(designs), "simulating surveys")
            estimates.append(_estimate(_simulated(plan, site, visit, effect, rng), plan, effect))
        b, se = np.array(estimates).T
        known = np.isfinite(b)
        found = int((np.abs(b[known]) > z * se[known]).sum())
        ends = binomtest(found, simulations).proportion_ci(0.95, method="wilson")
        inside = np.abs(b[known] - np.log(effect)) <= z * se[known]
        mean = float(np.exp(b[known].mean())) if known.any() else np.nan
        coverage = float(inside.mean()) if known.any() else np.nan
        row = (site, visit, effect, found / simulations, ends.low, ends.high, mean, coverage)
        rows.append((*row, simulations - int(known.sum())))
    columns = ["sites", "visits", "effect", "power", "power_low", "power_high", "mean_ratio", "coverage", "failed"]
    return pd.DataFrame(rows, columns=columns)


def _simulated(plan: Plan, sites: int, visits: int, effect: float, rng: np.random.Generator) -> Mixed:
    site, time = np.repeat(np.arange(2 * sites), 2 * visits), np.tile(np.arange(2 * visits), 2 * sites)
    after, impact = (time >= visits).astype(float), (site >= sites).astype(float)
    x = np.column_stack([np.ones(len(site)), after, impact, after * impact])
    eta = np.log(plan.rate) + np.log(effect) * x[:, 3]
    eta += plan.site_sd * rng.normal(size=2 * sites)[site] + plan.time_sd * rng.normal(size=2 * visits)[time]
    mean = np.exp(eta)
    if np.isfinite(plan.size):
        mean = mean * rng.gamma(plan.size, 1 / plan.size, len(mean))
    groups = {"site": site} if plan.site_sd > 0 else {}
    if plan.time_sd > 0:
        groups["time"] = time
    groups = dict(sorted(groups.items(), key=lambda item: -int(item[1].max())))
    return Mixed(rng.poisson(mean).astype(float), x, np.zeros(len(mean)), groups, bool(np.isfinite(plan.size)))


def _estimate(model: Mixed, plan: Plan, effect: float) -> tuple[float, float]:
    """log effect and its standard error; none where a part of the design has no count."""
    cells = (model.x[:, 1] + 2 * model.x[:, 2]).astype(int)
    if (np.bincount(cells, model.y, 4) == 0).any():
        return np.nan, np.nan
    spreads = {"site": plan.site_sd, "time": plan.time_sd, "size": plan.size}
    start = [np.log(plan.rate), 0.0, 0.0, np.log(effect), *(np.log(spreads[name]) for name in model.names)]
    found = fit_mixed(model, np.array(start))
    k = TERMS.index("after:impact")
    return float(found.theta[k]), float(np.sqrt(found.covariance[k, k]))


def draw(found: Found | None, power: "pd.DataFrame | None", confidence: float) -> "Figure":
    """What was found in each part of the design, and the power of plans."""
    from matplotlib.figure import Figure

    panels = (found is not None) + (power is not None)
    figure = Figure(figsize=(4.2 * max(panels, 1), 3.2), layout="constrained")
    axes = list(figure.subplots(1, max(panels, 1), squeeze=False)[0])
    if found is not None:
        _cells(axes[0], found.cells)
    if power is not None:
        _power(axes[-1], power, confidence)
    return figure


def _cells(axis: Any, cells: "pd.DataFrame") -> None:
    value = "rate" if "rate" in cells else "psi"
    for treatment, colour in (("control", "#8a8a8a"), ("impact", "#1f5f8b")):
        axis.plot(
            ["before", "after"],
            cells.loc[cells["treatment"] == treatment, value],
            "o-",
            color=colour,
            label=treatment,
        )
    axis.set(ylabel="count per effort" if value == "rate" else "probability of occupancy")
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=8)


def _power(axis: Any, power: "pd.DataFrame", confidence: float) -> None:
    for (visits, effect), rows in power.groupby(["visits", "effect"]):
        ends = np.abs(np.stack([rows["power"] - rows["power_low"], rows["power_high"] - rows["power"]]))
        axis.errorbar(rows["sites"], rows["power"], ends, marker="o", capsize=2, label=f"{visits} visits, x {effect:g}")
    axis.axhline(0.8, color="0.6", linewidth=0.8, linestyle="--")
    axis.set(xlabel="sites of each treatment", ylabel=f"power at {confidence:.0%}", ylim=(0, 1.02))
    axis.legend(frameon=False, fontsize=7)
