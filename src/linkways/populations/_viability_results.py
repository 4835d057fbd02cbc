"""Running the simulation of individuals, and what its replicates say: trajectories, extinction, genes, differences."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import progress

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from linkways.populations._viability_kernels import Model

__all__ = ["Replicates", "difference", "draw", "extinctions", "genes", "replicate", "trajectory"]

ALL = "all"
NORMAL_95 = 1.959963984540054
BLOCK = 50


@dataclass(frozen=True)
class Replicates:
    """What was counted in every replicate (R), year (Y + 1) and population (D)."""

    names: list[str]
    threshold: float
    one_sex: bool
    numbers: np.ndarray
    females: np.ndarray
    moved: np.ndarray
    heterozygosity: np.ndarray
    reported: np.ndarray

    @cached_property
    def total(self) -> np.ndarray:
        """(R, Y + 1) individuals in all populations."""
        return np.asarray(self.numbers.sum(axis=2))

    @cached_property
    def extinct(self) -> np.ndarray:
        """(R, Y + 1): nobody, or only one sex where two are needed, in this year or before."""
        return np.asarray(np.logical_or.accumulate(self._gone(self.total, self.females.sum(axis=2)), axis=1))

    @cached_property
    def below(self) -> np.ndarray:
        """(R, Y + 1): extinct, or fewer than the threshold in this year or before."""
        return np.asarray(np.logical_or.accumulate(self.extinct | (self.total < self.threshold), axis=1))

    @cached_property
    def absent(self) -> np.ndarray:
        """(R, Y + 1, D): the population is empty or has one sex only in this year."""
        return self._gone(self.numbers, self.females)

    def _gone(self, numbers: np.ndarray, females: np.ndarray) -> np.ndarray:
        if self.one_sex:
            return np.asarray(numbers == 0)
        return np.asarray((females == 0) | (females == numbers))


def replicate(
    model: "Model", names: list[str], *, replicates: int, seed: int, threshold: float, share: tuple[float, float]
) -> Replicates:
    """Run the replicates side by side; equal seeds give equal years and catastrophes to every model."""
    from linkways.workers import each

    seeds = np.random.default_rng(seed).integers(0, 2**63, replicates, dtype=np.uint64)
    blocks = [seeds[i : i + BLOCK] for i in range(0, replicates, BLOCK)]
    parts = []
    for block in each(_block, model, blocks):
        parts.append(block)
        done = share[0] + (share[1] - share[0]) * len(parts) / len(blocks)
        progress(done, f"{len(parts) * BLOCK} of {replicates} replicates")
    numbers, females, moved, heterozygosity = (np.concatenate(one) for one in zip(*parts, strict=True))
    reported = np.flatnonzero(model.report) if model.loci > 0 else np.empty(0, np.int64)
    return Replicates(names, threshold, model.mating >= 2, numbers, females, moved, heterozygosity, reported)


def _block(model: "Model", seeds: np.ndarray) -> tuple[np.ndarray, ...]:
    from linkways.populations._viability_kernels import simulate

    size, populations = len(seeds), len(model.capacity)
    reports = int(model.report.sum()) if model.loci > 0 else 0
    numbers = np.zeros((size, model.years + 1, populations), np.int32)
    females = np.zeros_like(numbers)
    moved = np.zeros((size, model.years + 1), np.int32)
    heterozygosity = np.full((size, reports, populations + 1, 3), np.nan)
    if not simulate(model, seeds, numbers, females, moved, heterozygosity):
        raise LinkwaysError(
            f"populations.viability: a replicate grew beyond {model.most:,} individuals; give the populations a "
            "capacity "
            "with density: ceiling, or correct the rates"
        )
    return numbers, females, moved, heterozygosity


def trajectory(scenario: str, found: Replicates) -> "pd.DataFrame":
    """Numbers and risk in every year, for all populations together and for each."""
    import pandas as pd

    years = np.arange(found.total.shape[1])
    parts = []
    for name, numbers, gone in _groups(found):
        low, median, high = np.percentile(numbers, (2.5, 50, 97.5), axis=0)
        risk = gone.mean(axis=0)
        risk_low, risk_high = _wilson(risk, len(gone))
        parts.append(
            pd.DataFrame(
                {
                    "scenario": scenario,
                    "population": name,
                    "year": years,
                    "mean": numbers.mean(axis=0),
                    "sd": numbers.std(axis=0, ddof=1) if len(numbers) > 1 else np.nan,
                    "low": low,
                    "median": median,
                    "high": high,
                    "extinct": risk,
                    "extinct_low": risk_low,
                    "extinct_high": risk_high,
                    "below_threshold": found.below.mean(axis=0) if name == ALL else np.nan,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _groups(found: Replicates) -> list[tuple[str, np.ndarray, np.ndarray]]:
    each = [(n, found.numbers[:, :, d], found.absent[:, :, d]) for d, n in enumerate(found.names)]
    return [(ALL, found.total, found.extinct), *each]


def _wilson(share: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % score interval of a share (Wilson, 1927)."""
    z2 = NORMAL_95**2
    centre = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = NORMAL_95 / (1 + z2 / size) * np.sqrt(share * (1 - share) / size + z2 / (4 * size**2))
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)


def extinctions(scenario: str, found: Replicates) -> "pd.DataFrame":
    """Risk over the whole time, and when it struck, for all populations together and for each."""
    import pandas as pd

    size = len(found.total)
    rows = []
    for name, numbers, gone in _groups(found):
        ever = gone.any(axis=1)
        first = gone.argmax(axis=1)[ever]
        last = gone[:, -1].mean()
        low, high = _wilson(np.array([last]), size)
        alive = numbers[~gone[:, -1], -1]
        below = found.below[:, -1].mean() if name == ALL else np.nan
        below_low, below_high = _wilson(np.array([below]), size)
        rows.append(
            {
                "scenario": scenario,
                "population": name,
                "extinct": last,
                "extinct_low": low[0],
                "extinct_high": high[0],
                "below_threshold": below,
                "below_low": below_low[0],
                "below_high": below_high[0],
                "ever_empty": ever.mean(),
                "mean_years": first.mean() if len(first) else np.nan,
                "median_years": float(np.median(first)) if len(first) else np.nan,
                "number_if_alive": alive.mean() if len(alive) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def genes(scenario: str, found: Replicates) -> "pd.DataFrame":
    """Means over the replicates in which the population is not empty, in the years of the report."""
    import pandas as pd

    columns = ("gene_diversity", "heterozygosity", "alleles")
    parts = [pd.DataFrame(columns=["scenario", "population", "year", *columns, "inbreeding", "fst", "replicates"])]
    if found.heterozygosity.shape[1] == 0:
        return parts[0]
    parts = []
    within = _within(found)
    for name, d in ((ALL, len(found.names)), *((n, d) for d, n in enumerate(found.names))):
        cells = found.heterozygosity[:, :, d]
        alive = np.isfinite(cells[..., 0])
        count = alive.sum(axis=0)
        means = np.where(alive[..., None], cells, 0.0).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(count[:, None] > 0, means / count[:, None], np.nan)
            fst = 1 - within / means[:, 0] if name == ALL else np.full(len(count), np.nan)
        table = pd.DataFrame({"scenario": scenario, "population": name, "year": found.reported})
        table[list(columns)] = means
        table["inbreeding"] = 1 - means[:, 1]
        table["fst"] = fst
        table["replicates"] = count
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _within(found: Replicates) -> np.ndarray:
    """Mean over replicates of the mean gene diversity within occupied populations, (reports,)."""
    diversity = found.heterozygosity[:, :, :-1, 0]
    present = np.isfinite(diversity)
    occupied = present.sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(present, diversity, 0.0).sum(axis=2) / occupied
        alive = occupied > 0
        return np.asarray(np.where(alive, mean, 0.0).sum(axis=0) / alive.sum(axis=0))


def difference(baseline: Replicates, scenario: Replicates) -> "pd.DataFrame":
    """What the scenario changes at the end, replicate by replicate under the same years and catastrophes."""
    import pandas as pd

    measures = [
        ("extinct", baseline.extinct[:, -1], scenario.extinct[:, -1]),
        ("below_threshold", baseline.below[:, -1], scenario.below[:, -1]),
        ("number", baseline.total[:, -1], scenario.total[:, -1]),
    ]
    measures += [
        (f"empty: {name}", baseline.absent[:, -1, d], scenario.absent[:, -1, d])
        for d, name in enumerate(baseline.names)
    ]
    if baseline.heterozygosity.shape[1]:
        kept = [np.nan_to_num(one.heterozygosity[:, -1, -1, 0]) for one in (baseline, scenario)]
        measures.append(("gene_diversity", *kept))
    rows = []
    for name, before, after in measures:
        change = after.astype(float) - before.astype(float)
        error = change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else np.nan
        rows.append(
            {
                "measure": name,
                "baseline": before.mean(),
                "scenario": after.mean(),
                "difference": change.mean(),
                "low": change.mean() - NORMAL_95 * error,
                "high": change.mean() + NORMAL_95 * error,
            }
        )
    return pd.DataFrame(rows)


COLOURS = {"baseline": "#c2410c", "scenario": "#2171b5"}


def draw(trajectories: "pd.DataFrame", threshold: float) -> "Figure":
    """Numbers with 95 % of the replicates, and the risk of extinction, in every scenario."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    together = trajectories[trajectories["population"] == ALL]
    for scenario, table in together.groupby("scenario", sort=False):
        colour = COLOURS[str(scenario)]
        years = table["year"].to_numpy()
        above.fill_between(years, table["low"], table["high"], color=colour, alpha=0.18, linewidth=0)
        above.plot(years, table["mean"], color=colour, label=str(scenario))
        below.fill_between(years, table["extinct_low"], table["extinct_high"], color=colour, alpha=0.18, linewidth=0)
        below.plot(years, table["extinct"], color=colour, label=f"{scenario}: extinct")
        if threshold > 1:
            label = f"{scenario}: below {threshold:g}"
            below.plot(years, table["below_threshold"], color=colour, linestyle="--", linewidth=1, label=label)
    above.set_ylabel("individuals (mean, 95 % of replicates)")
    above.set_ylim(bottom=0)
    below.set_ylabel("share of replicates")
    below.set_ylim(0, 1)
    below.set_xlabel("year")
    for ax in (above, below):
        ax.legend(fontsize=8, frameon=False)
    return figure
