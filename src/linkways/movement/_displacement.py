"""Net squared displacement by day, and the models of how an animal uses a year fitted to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError
from linkways.movement._fixes import Fixes

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MODELS",
    "AnimalYear",
    "Fit",
    "Leg",
    "animal_years",
    "back_at",
    "best_fit",
    "curve",
    "day_of_year",
    "fit_leg",
    "fit_models",
    "fits_table",
    "weights_of",
]

DAY = 86400.0
MODELS = {
    "resident": ("gamma", "kappa"),
    "nomad": ("beta",),
    "disperser": ("delta", "theta", "phi"),
    "migrant": ("delta", "theta", "phi", "rho", "phi2"),
    "mixed migrant": ("delta", "theta", "phi", "rho", "phi2", "zeta"),
}
"""The parameters of each model."""

# bounds of Spitz (2017), in days; kappa per day
_KAPPA = (-1.0, -0.01)
_DATE, _PACE = (1.0, 364.0), (1.0, 21.0)
# the grid of starts, and how many of its valleys are followed down
_DATES, _STAYS, _PACES, _FOLLOWED = 12, 9, (1.0, 5.0, 21.0), 12
_LOWER = np.array([_DATE[0], _PACE[0], _DATE[0], _PACE[0]])
_UPPER = np.array([_DATE[1], _PACE[1], _DATE[1], _PACE[1]])


@dataclass(frozen=True)
class AnimalYear:
    """The fixes of one animal in one year that begins on the day asked for, thinned to the first of every UTC day."""

    animal: str
    year: int
    """The calendar year in which it begins."""
    first: int
    """Its fixes lie at first to end - 1 of the layer's arrays."""
    end: int
    daily: np.ndarray
    """Those that are the first of their day."""
    days: np.ndarray
    """Time of the daily fixes since the first."""
    x_km: np.ndarray
    """Place of the daily fixes from that of the first."""
    y_km: np.ndarray
    began: float
    """Time of the first fix in seconds since 1970."""

    @property
    def nsd_km2(self) -> np.ndarray:
        """Net squared displacement of the daily fixes from the first."""
        return np.asarray(self.x_km**2 + self.y_km**2)

    @property
    def span(self) -> float:
        """Days from the first to the last fix."""
        return float(self.days[-1])


@dataclass(frozen=True)
class Fit:
    """One model fitted to one year."""

    model: str
    parameters: dict[str, float]
    rss: float
    aic: float

    @property
    def distance_km(self) -> float:
        """How far the model takes the animal: the root of delta; 0 for models without it."""
        return float(np.sqrt(self.parameters.get("delta", 0.0)))


def animal_years(fixes: Fixes, month: int, day: int) -> list[AnimalYear]:
    """The years of every animal, each beginning on a day of the year."""
    dates = fixes.seconds.astype("datetime64[s]").astype("datetime64[D]")
    calendar = dates.astype("datetime64[Y]").astype(int) + 1970
    label = calendar - (dates < np.array([f"{y:04d}-{month:02d}-{day:02d}" for y in calendar], "datetime64[D]"))
    group = fixes.group
    new = np.append(True, (np.diff(label) != 0) | (np.diff(group) != 0))
    firsts = np.flatnonzero(new)
    new_day = np.append(True, (np.diff(dates) != np.timedelta64(0, "D")) | (np.diff(group) != 0)) | new
    years = []
    for first, end in zip(firsts.tolist(), [*firsts[1:].tolist(), len(dates)], strict=True):
        daily = first + np.flatnonzero(new_day[first:end])
        years.append(
            AnimalYear(
                str(fixes.names[group[first]]),
                int(label[first]),
                first,
                end,
                daily,
                (fixes.seconds[daily] - fixes.seconds[first]) / DAY,
                (fixes.x_m[daily] - fixes.x_m[first]) / 1000,
                (fixes.y_m[daily] - fixes.y_m[first]) / 1000,
                float(fixes.seconds[first]),
            )
        )
    return years


def day_of_year(text: str) -> tuple[int, int]:
    """Month and day of a text such as 02-01."""
    try:
        month, day = (int(part) for part in text.split("-"))
        date(2001, month, day)
    except ValueError:
        raise LinkwaysError(
            f"year_start '{text}' is no day of every year; write month and day like 02-01 for 1 February"
        ) from None
    return month, day


# --- models ---------------------------------------------------------------------------------


def fit_models(year: AnimalYear) -> list[Fit]:
    """Every model fitted to a year's daily net squared displacement by least squares, in the order of `MODELS`.

    resident gamma (1 - e^(kappa t)); nomad beta t; disperser delta S((t - theta) / phi) with S(w) = 1 / (1 + e^-w);
    migrant disperser - delta S((t - theta - 2 phi - 2 phi2 - rho) / phi2); mixed migrant with zeta delta in the second
    term (Bunnefeld 2011, Spitz 2017). Amplitudes lie between 0 and the largest displacement. Shapes are fitted from a
    grid of starts over the bounds, for migrants from the valleys of a finer one, so that the same data give the same
    fit.
    AIC = n ln(2 pi RSS / n) + n + 2 (p + 1).
    """
    from linkways.movement._migration_kernels import DISPERSER, MIGRANT, MIXED, RESIDENT, fit_from, squares_at

    t, y = year.days, year.nsd_km2
    most = float(y.max())
    slope = float(y @ t / (t @ t)) if t[-1] > 0 else 0.0
    rss = {"nomad": (float(((y - slope * t) ** 2).sum()), {"beta": slope})}
    kappa = np.full((12, 4), -1.0)
    kappa[:, 0] = -np.geomspace(-_KAPPA[1], -_KAPPA[0], 12)
    low, high = np.array([_KAPPA[0], 0, 0, 0]), np.array([_KAPPA[1], 0, 0, 0])
    z = fit_from(RESIDENT, t, y, kappa, low, high, most)
    rss["resident"] = float(z[6]), {"gamma": float(z[4]), "kappa": float(z[0])}
    z = fit_from(DISPERSER, t, y, _starts(t[-1], 1, (1.0,)), _LOWER, _UPPER, most)
    rss["disperser"] = float(z[6]), {"delta": float(z[4]), "theta": float(z[0]), "phi": float(z[1])}
    grid = _starts(t[-1], _STAYS, _PACES)
    for model, code in (("migrant", MIGRANT), ("mixed migrant", MIXED)):
        z = fit_from(code, t, y, grid[_valleys(squares_at(code, t, y, grid, most))], _LOWER, _UPPER, most)
        found = {"delta": z[4], "theta": z[0], "phi": z[1], "rho": z[2], "phi2": z[3]}
        if code == MIXED:
            found["zeta"] = z[5] / z[4] if z[4] > 0 else 0.5
        rss[model] = float(z[6]), {name: float(value) for name, value in found.items()}
    return [
        Fit(model, rss[model][1], rss[model][0], _aic(rss[model][0], len(t), len(MODELS[model]))) for model in MODELS
    ]


def best_fit(fits: list[Fit], min_distance_km: float, min_stay_days: float) -> Fit:
    """The fit with the lowest AIC whose migration is as long, and whose stay between two as long, as asked for."""
    allowed = [
        fit
        for fit in fits
        if "delta" not in fit.parameters
        or (fit.distance_km >= min_distance_km and fit.parameters.get("rho", np.inf) >= min_stay_days)
    ]
    return min(allowed, key=lambda fit: fit.aic)


def weights_of(fits: list[Fit]) -> dict[str, float]:
    """Akaike weights: e^(-difference of AIC / 2), summing to 1."""
    aic = np.array([fit.aic for fit in fits])
    weight = np.exp((aic.min() - aic) / 2)
    return {fit.model: float(w) for fit, w in zip(fits, weight / weight.sum(), strict=True)}


def curve(fit: Fit, days: np.ndarray) -> np.ndarray:
    """Net squared displacement (km2) that a fit foresees."""
    p = fit.parameters
    if fit.model == "resident":
        return np.asarray(p["gamma"] * (1 - np.exp(p["kappa"] * days)))
    if fit.model == "nomad":
        return np.asarray(p["beta"] * days)
    there = p["delta"] * _logistic((days - p["theta"]) / p["phi"])
    if fit.model == "disperser":
        return there
    return there - p.get("zeta", 1.0) * p["delta"] * _logistic((days - back_at(p)) / p["phi2"])


def back_at(parameters: dict[str, float]) -> float:
    """The middle of the return, in days: theta + 2 phi + 2 phi2 + rho."""
    return parameters["theta"] + 2 * parameters["phi"] + 2 * parameters["phi2"] + parameters["rho"]


def _logistic(w: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(w / 2)))


def _starts(span: float, stays: int, paces_back: Sequence[float]) -> np.ndarray:
    """Starts over the bounds and on them: days of leaving, lengths of stay, paces of both ways."""
    last = min(max(span, 2.0), _DATE[1])
    grid = np.meshgrid(np.linspace(1, last, _DATES), np.linspace(1, last, stays), _PACES, paces_back, indexing="ij")
    return np.stack([grid[0], grid[2], grid[1], grid[3]], axis=-1).reshape(-1, 4)


def _valleys(squares: np.ndarray) -> np.ndarray:
    """The starts to follow down: those no worse than all around them, and the best of all."""
    grid = squares.reshape(_DATES, _STAYS, len(_PACES), len(_PACES))
    around = np.pad(grid, 1, constant_values=np.inf)
    shifts = np.lib.stride_tricks.sliding_window_view(around, (3, 3, 3, 3))
    low = np.flatnonzero(grid <= shifts.min(axis=(4, 5, 6, 7)))
    low = low[np.argsort(squares[low], kind="stable")][:_FOLLOWED]
    return np.union1d(low, np.argsort(squares, kind="stable")[: _FOLLOWED // 2])


def _aic(rss: float, n: int, parameters: int) -> float:
    # a model that fits exactly would have no finite AIC
    return float(n * (np.log(2 * np.pi) + 1 + np.log(max(rss, 1e-9) / n)) + 2 * (parameters + 1))


# --- one leg between two stays --------------------------------------------------------------


@dataclass(frozen=True)
class Leg:
    """A move between two stays."""

    middle: float
    """Days since the first fix."""
    pace: float
    """phi of the logistic, in days."""
    distance_km: float
    weight: float
    """Akaike weight against staying and against moving on evenly."""


def fit_leg(days: np.ndarray, along_km: np.ndarray) -> Leg:
    """A logistic move a + d S((t - theta) / phi) fitted to places along the line between two stays."""
    from linkways.movement._migration_kernels import LEG, fit_from

    lower, upper = np.array([days[0], _PACE[0], 0, 1]), np.array([days[-1], _PACE[1], 0, 1])
    grid = np.meshgrid(np.linspace(days[0], days[-1], 12)[1:-1], [1.5, 5.0, 12.0], [0.0], [1.0], indexing="ij")
    starts = np.stack([one.ravel() for one in grid], axis=1)
    z = fit_from(LEG, days, along_km, starts, lower, upper, np.inf)
    n = len(days)
    line = np.polynomial.Polynomial.fit(days, along_km, 1)(days)
    aics = np.array(
        [
            _aic(float(z[6]), n, 4),
            _aic(float(((along_km - along_km.mean()) ** 2).sum()), n, 1),
            _aic(float(((along_km - line) ** 2).sum()), n, 2),
        ]
    )
    weight = np.exp((aics.min() - aics) / 2)
    return Leg(float(z[0]), float(z[1]), float(abs(z[5])), float(weight[0] / weight.sum()))


def fits_table(years: list[AnimalYear], fits: list[list[Fit]], best: list["Fit | None"]) -> "pd.DataFrame":
    """One row for each year and model; years without fits have none."""
    import pandas as pd

    names = ("gamma", "kappa", "beta", "delta", "theta", "phi", "rho", "phi2", "zeta")
    rows = []
    for year, of_year, chosen in zip(years, fits, best, strict=True):
        weight = weights_of(of_year) if of_year else {}
        for fit in of_year:
            head = {"animal": year.animal, "year": year.year, "model": fit.model, "best": fit is chosen}
            tail = {"rss": fit.rss, "aic": fit.aic, "weight": weight[fit.model]}
            rows.append(head | {name: fit.parameters.get(name, np.nan) for name in names} | tail)
    return pd.DataFrame(rows, columns=["animal", "year", "model", "best", *names, "rss", "aic", "weight"])
