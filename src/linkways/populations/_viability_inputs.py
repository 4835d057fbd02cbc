"""From tables of stages, populations and catastrophes to what the simulation of individuals needs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.populations._viability_tables import column, names_of

if TYPE_CHECKING:
    import pandas as pd

    from linkways.populations._viability_kernels import Model

__all__ = ["Catastrophes", "Life", "Start", "catastrophes_of", "life_of", "model_of", "start_of"]

ID = "populations.viability"
SEXES = ("female", "male")
MATINGS = ("random", "pairs", "hermaphrodite", "females_only")
DENSITIES = ("ceiling", "beverton_holt", "ricker")
MOST = 500_000


@dataclass(frozen=True)
class Life:
    """Yearly rates by sex (female, male) and stage: mean and standard deviation among years."""

    stages: list[str]
    survival: np.ndarray
    survival_sd: np.ndarray
    breeding: np.ndarray
    breeding_sd: np.ndarray
    fecundity: np.ndarray
    fecundity_sd: np.ndarray
    advance: np.ndarray
    duration: np.ndarray
    female_share: float
    breed_first: bool

    def classes(self) -> tuple[np.ndarray, np.ndarray]:
        """Stage and years in it of each age class of females; a stage without a fixed length is one class."""
        stage, clock = [], []
        for s, years in enumerate(self.duration[0]):
            for k in range(max(int(years), 1)):
                stage.append(s)
                clock.append(k)
        return np.array(stage), np.array(clock)

    def generation_years(self) -> float:
        """Mean age of mothers at birth in the stable population: <v, w> lambda / <v, B w>, B the births."""
        matrix = self.matrix()
        births = matrix - self.matrix(0.0)
        values, right = np.linalg.eig(matrix)
        growth = values[np.argmax(values.real)].real
        w = right[:, np.argmax(values.real)].real
        values, left = np.linalg.eig(matrix.T)
        v = left[:, np.argmax(values.real)].real
        given = v @ births @ w
        return float(growth * (v @ w) / given) if given else float("nan")

    def matrix(self, scale: float = 1.0) -> np.ndarray:
        """The projection matrix of females among age classes at the mean rates, fecundity times ``scale``."""
        stage, clock = self.classes()
        size = len(stage)
        first = np.searchsorted(stage, np.arange(len(self.stages)))
        transition = np.zeros((size, size))
        for c in range(size):
            s, alive, years = stage[c], self.survival[0, stage[c]], self.duration[0, stage[c]]
            last = s == len(self.stages) - 1
            if years > 0 and clock[c] + 1 < years:
                transition[c + 1, c] = alive
            elif years > 0:
                if not last:
                    transition[first[s + 1], c] = alive
            else:
                onward = 0.0 if last else self.advance[0, s]
                transition[c, c] = alive * (1 - onward)
                if not last:
                    transition[first[s + 1], c] = alive * onward
        births = np.zeros((size, size))
        births[0] = scale * self.female_share * (self.breeding[0] * self.fecundity)[stage]
        if self.breed_first:
            return transition + births
        return (np.eye(size) + births) @ transition


def life_of(stages: "pd.DataFrame", mating: str, female_share: float, order: str) -> Life:
    """Read and check the table of stages."""
    both = "sex" in stages.columns and stages["sex"].notna().any()
    tables = [_of_sex(stages, sex) if both else stages for sex in SEXES]
    if mating in MATINGS[2:]:
        if both and len(tables[1]) and len(tables[1]) < len(stages):
            raise LinkwaysError(f"{ID}: mating {mating} knows one sex, but stages has rows of males; leave them out")
        tables = [tables[0], tables[0]]
        female_share = 1.0
    names = names_of(ID, tables[0], "stages of females" if both else "stages", "stage")
    if both and [str(s) for s in tables[1]["stage"]] != names:
        raise LinkwaysError(f"{ID}: stages of males and females differ; give both sexes the same stages in one order")
    cells = [_rates(table, names, male=bool(both and sex == "male")) for table, sex in zip(tables, SEXES, strict=True)]
    if not both:
        # without rows of their own males may sire in the stages in which females breed
        may = (cells[0]["breeding"] * cells[0]["fecundity"] > 0).astype(float)
        if mating not in MATINGS[2:]:
            cells[1] = {**cells[1], "breeding": may, "breeding_sd": np.zeros(len(names))}
    if not (cells[0]["breeding"] * cells[0]["fecundity"]).any():
        raise LinkwaysError(f"{ID}: no stage of females breeds; give at least one a fecundity above 0")
    if mating in MATINGS[:2] and not cells[1]["breeding"].any():
        raise LinkwaysError(f"{ID}: no stage of males may sire; give at least one a breeding share above 0")

    def pair(name: str) -> np.ndarray:
        return np.array([cells[0][name], cells[1][name]])

    return Life(
        stages=names,
        survival=pair("survival"),
        survival_sd=pair("survival_sd"),
        breeding=pair("breeding"),
        breeding_sd=pair("breeding_sd"),
        fecundity=cells[0]["fecundity"],
        fecundity_sd=cells[0]["fecundity_sd"],
        advance=pair("advance"),
        duration=pair("years").astype(np.int64),
        female_share=female_share,
        breed_first=order == "breed_survive",
    )


def _of_sex(stages: "pd.DataFrame", sex: str) -> "pd.DataFrame":
    words = stages["sex"].astype("string").str.strip().str.lower()
    unknown = words[~words.isin([*SEXES, "both"]) & words.notna()]
    if len(unknown):
        raise LinkwaysError(f"{ID}: stages has sex '{unknown.iloc[0]}', but it must be female, male or both (or empty)")
    return stages[words.isin([sex, "both"]) | words.isna()].reset_index(drop=True)


def _rates(table: "pd.DataFrame", names: list[str], male: bool) -> dict[str, np.ndarray]:
    where = "stages" if not male else "stages of males"
    fecundity = column(ID, table, where, "fecundity", default=0.0 if male else None, blank=0.0)
    breeding = column(ID, table, where, "breeding", default=1.0, high=1.0, blank=0.0 if male else 1.0)
    if male and "breeding" not in table.columns:
        raise LinkwaysError(
            f"{ID}: stages has rows of males but no column breeding; give the share that may sire, 0 to 1, in "
            "each stage"
        )
    cells = {
        "survival": column(ID, table, where, "survival", high=1.0),
        "survival_sd": column(ID, table, where, "survival_sd", default=0.0, blank=0.0),
        "breeding": breeding,
        "breeding_sd": column(ID, table, where, "breeding_sd", default=0.0, blank=0.0),
        "fecundity": fecundity,
        "fecundity_sd": column(ID, table, where, "fecundity_sd", default=0.0, blank=0.0),
        "advance": column(ID, table, where, "advance", default=0.0, high=1.0, blank=0.0),
        "years": column(ID, table, where, "years", default=0.0, blank=0.0),
    }
    if (cells["years"] % 1 != 0).any():
        raise LinkwaysError(f"{ID}: years in {where} must be whole; use advance for a yearly chance of moving on")
    for s, name in enumerate(names):
        _refuse_spread(cells, s, name)
        last = s == len(names) - 1
        given = (cells["years"][s] > 0) + (cells["advance"][s] > 0)
        if not last and given != 1:
            raise LinkwaysError(
                f"{ID}: stage '{name}' needs either years (a fixed length) or advance (yearly chance of moving on), "
                f"{'not both' if given else 'and has neither'}"
            )
        if last and cells["advance"][s] > 0:
            raise LinkwaysError(
                f"{ID}: the last stage '{name}' has advance, but there is none after it; leave it empty"
            )
    return cells


def _refuse_spread(cells: dict[str, np.ndarray], s: int, name: str) -> None:
    for rate in ("survival", "breeding"):
        mean, sd = cells[rate][s], cells[f"{rate}_sd"][s]
        if sd > 0 and sd**2 >= mean * (1 - mean):
            raise LinkwaysError(
                f"{ID}: stage '{name}' has {rate}_sd {sd:g}, but a share with mean {mean:g} cannot vary that "
                "much; give "
                f"less than {np.sqrt(mean * (1 - mean)):.3g}"
            )
    if cells["fecundity_sd"][s] > 0 and cells["fecundity"][s] == 0:
        raise LinkwaysError(f"{ID}: stage '{name}' has fecundity_sd but no fecundity; leave the deviation empty")


@dataclass(frozen=True)
class Start:
    """The populations at the start: individuals by age class, and room."""

    names: list[str]
    founders: np.ndarray
    capacity: np.ndarray


def start_of(populations: "pd.DataFrame", life: Life, density: str) -> Start:
    """Read and check the table of populations; totals are spread over the stable age distribution."""
    names = names_of(ID, populations, "populations", "population")
    stage, _ = life.classes()
    stable = _stable(life.matrix())
    by_stage = [s for s in life.stages if s in populations.columns]
    if "number" in populations.columns:
        total = _whole(populations, "number")
        founders = np.array([_apportion(int(n), stable) for n in total])
    elif by_stage:
        founders = np.zeros((len(names), len(stage)), np.int64)
        for name in by_stage:
            inside = stage == life.stages.index(name)
            for d, n in enumerate(_whole(populations, name)):
                founders[d, inside] = _apportion(int(n), stable[inside])
    else:
        raise LinkwaysError(
            f"{ID}: populations needs a column number (individuals), or one for each stage: {', '.join(life.stages)}"
        )
    if not founders.any():
        raise LinkwaysError(f"{ID}: all populations start with no individual; give at least one a number above 0")
    capacity = column(
        ID, populations, "populations", "capacity", default=None if density != "none" else np.inf, blank=np.inf
    )
    return Start(names, founders, capacity)


def _whole(populations: "pd.DataFrame", name: str) -> np.ndarray:
    values = column(ID, populations, "populations", name, blank=0.0)
    broken = np.flatnonzero(values % 1)
    if len(broken):
        raise LinkwaysError(
            f"{ID}: populations row {broken[0] + 1} has {name} {values[broken[0]]:g}; give a whole number"
        )
    return values


def _stable(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eig(matrix)
    vector = np.abs(vectors[:, np.argmax(values.real)].real)
    total = vector.sum()
    return np.asarray(vector / total) if total > 0 else np.full(len(vector), 1 / len(vector))


def _apportion(total: int, shares: np.ndarray) -> np.ndarray:
    """Whole numbers with the given sum, as near to the shares as can be (largest remainders)."""
    shares = shares if shares.sum() > 0 else np.ones(len(shares))
    exact = total * shares / shares.sum()
    whole = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: total - int(whole.sum())]] += 1
    return np.asarray(whole)


@dataclass(frozen=True)
class Catastrophes:
    """Yearly probability and multipliers of survival and fecundity (C, 3); the populations struck (C, D)."""

    rates: np.ndarray
    struck: np.ndarray


def catastrophes_of(table: "pd.DataFrame | None", names: list[str]) -> Catastrophes:
    """Read and check the table of catastrophes; one without a population strikes all together."""
    if table is None or len(table) == 0:
        return Catastrophes(np.zeros((0, 3)), np.zeros((0, len(names)), bool))
    where = "catastrophes"
    rates = np.column_stack(
        [
            column(ID, table, where, "probability", high=1.0),
            column(ID, table, where, "survival", default=1.0, blank=1.0),
            column(ID, table, where, "fecundity", default=1.0, blank=1.0),
        ]
    )
    struck = np.ones((len(table), len(names)), bool)
    if "population" in table.columns:
        for row, name in enumerate(table["population"]):
            if name is None or name != name or not str(name).strip():
                continue
            if str(name) not in names:
                raise LinkwaysError(
                    f"{ID}: catastrophes row {row + 1} strikes population '{name}', which is not among the populations"
                    f"{nearest(str(name), names)}"
                )
            struck[row] = np.array(names) == str(name)
    return Catastrophes(rates, struck)


def crowding_slope(life: Life, capacity: np.ndarray, density: str) -> np.ndarray:
    """Strength of density dependence of fecundity that makes the growth rate 1 at capacity."""
    from scipy.optimize import brentq

    if density not in DENSITIES[1:]:
        return np.zeros(len(capacity))

    def growth(scale: float) -> float:
        return float(np.abs(np.linalg.eigvals(life.matrix(scale))).max()) - 1.0

    if growth(1.0) <= 0:
        raise LinkwaysError(
            f"{ID}: density {density} needs rates that let the population grow when rare, but the growth rate is "
            f"{growth(1.0) + 1:.4g}; use density: ceiling, or correct the rates"
        )
    if growth(0.0) >= 0:
        raise LinkwaysError(
            f"{ID}: density {density} lowers fecundity until numbers stay the same, but without births they do "
            "not fall; "
            "correct the survival rates"
        )
    share = float(brentq(growth, 0.0, 1.0, xtol=1e-14))
    strength = 1 / share - 1 if density == "beverton_holt" else -np.log(share)
    return np.asarray(strength / capacity)


def model_of(life: Life, start: Start, catastrophes: Catastrophes, **settings: Any) -> "Model":
    """The tables and settings as one model for the kernel; settings are those of `viability`."""
    from linkways.populations import _viability_kernels as kernels

    stage, clock = life.classes()
    density = settings["density"]
    if density in DENSITIES[1:] and not np.isfinite(start.capacity).all():
        lacking = start.names[int(np.flatnonzero(~np.isfinite(start.capacity))[0])]
        raise LinkwaysError(
            f"{ID}: density {density} needs a capacity, but population '{lacking}' has none; give it one"
        )
    ceiling = start.capacity if density == "ceiling" else np.full(len(start.names), np.inf)
    equivalents, share = settings["lethal_equivalents"], settings["lethal_share"]
    dispersal = settings["dispersal"]
    return kernels.Model(
        years=settings["years"],
        breed_first=life.breed_first,
        mating=MATINGS.index(settings["mating"]),
        poisson=settings["litter"] == "poisson",
        female_share=life.female_share,
        survival=_beta_quantiles(life.survival, life.survival_sd),
        breeding=_beta_quantiles(life.breeding, life.breeding_sd),
        fecundity=_lognormal_quantiles(life.fecundity, life.fecundity_sd),
        advance=life.advance,
        duration=life.duration,
        shared_weather=settings["environment_correlation"],
        concordance=settings["concordance"],
        catastrophe=catastrophes.rates,
        struck=catastrophes.struck,
        capacity=ceiling,
        density={"beverton_holt": kernels.BEVERTON_HOLT, "ricker": kernels.RICKER}.get(density, kernels.NO_DENSITY),
        slope=crowding_slope(life, start.capacity, density),
        moves=dispersal.rates,
        period=dispersal.period,
        mover=_movers(life, settings["dispersing_stages"], settings["dispersing_sex"]),
        arrive=settings["dispersal_survival"],
        loci=settings["loci"],
        depression=equivalents / 2 * (1 - share),
        lethals=equivalents / 2 * share,
        founders=start.founders,
        class_stage=stage,
        class_clock=clock,
        report=_reports(settings["years"], settings["report_every"]),
        most=MOST,
    )


def _reports(years: int, every: int) -> np.ndarray:
    year = np.arange(years + 1)
    return np.asarray((year % every == 0) | (year == years))


def _movers(life: Life, stages: list[str], sex: str) -> np.ndarray:
    for name in stages:
        if name not in life.stages:
            raise LinkwaysError(f"{ID}: dispersing_stages has '{name}', which is no stage{nearest(name, life.stages)}")
    wanted = stages or (life.stages[1:] if len(life.stages) > 1 else life.stages)
    inside = np.isin(life.stages, wanted)
    return np.array([inside & (sex != "male"), inside & (sex != "female")])


def _grid() -> np.ndarray:
    from linkways.populations._viability_kernels import GRID, GRID_LIMIT

    return np.linspace(-GRID_LIMIT, GRID_LIMIT, GRID)


def _beta_quantiles(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """A share that varies among years as a beta distribution, at normal scores: shape of mean + (GRID,)."""
    from scipy.special import betaincinv, ndtr

    z = _grid()
    out = np.repeat(mean[..., None], len(z), axis=-1)
    for place in zip(*np.nonzero(sd > 0), strict=True):
        m, s = mean[place], sd[place]
        size = m * (1 - m) / s**2 - 1
        out[place] = betaincinv(m * size, (1 - m) * size, ndtr(z))
    return out


def _lognormal_quantiles(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """A number that varies among years as a log-normal distribution with this mean and deviation."""
    z = _grid()
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(mean > 0, np.log1p((sd / mean) ** 2), 0.0)
        centre = np.where(mean > 0, np.log(mean) - spread / 2, 0.0)
    values = np.exp(centre[:, None] + np.sqrt(spread)[:, None] * z)
    return np.where(mean[:, None] > 0, values, 0.0)
