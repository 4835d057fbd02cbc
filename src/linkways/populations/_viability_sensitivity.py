"""How far the risk and the numbers change when one rate is somewhat lower or higher."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.populations._viability_inputs import Catastrophes, Life, Start, model_of
from linkways.populations._viability_tables import Dispersal

if TYPE_CHECKING:
    import pandas as pd

    from linkways.populations._viability_results import Replicates

__all__ = ["COLUMNS", "sensitivity"]

COLUMNS = ("rate", "factor", "growth_rate", "extinct", "extinct_change", "change_low", "change_high", "number")
Case = tuple[Life, Start, Catastrophes, dict[str, Any]]


def sensitivity(case: Case, change: float, run: Callable[[Any, float], "Replicates"]) -> "pd.DataFrame":
    """Each rate times 1 - change and 1 + change, the others as they are, under the same random numbers.

    ``run(model, done)`` gives the replicates of a model. The change of extinction is paired by replicate.
    """
    import pandas as pd

    cases = [("none", 1.0, case), *_changed(case, change)]
    rows: list[dict[str, Any]] = []
    basis: np.ndarray | None = None
    for number, (rate, factor, (life, start, catastrophes, settings)) in enumerate(cases):
        found = run(model_of(life, start, catastrophes, **settings), number / len(cases))
        extinct = found.extinct[:, -1].astype(float)
        basis = extinct if basis is None else basis
        paired = extinct - basis
        error = 1.959963984540054 * paired.std(ddof=1) / np.sqrt(len(paired)) if len(paired) > 1 else np.nan
        growth = float(np.abs(np.linalg.eigvals(life.matrix())).max())
        values = (rate, factor, growth, extinct.mean(), paired.mean(), paired.mean() - error, paired.mean() + error)
        rows.append(dict(zip(COLUMNS, (*values, found.total[:, -1].mean()), strict=True)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _changed(case: Case, change: float) -> Iterator[tuple[str, float, Case]]:
    life, start, catastrophes, settings = case
    for factor in (1 - change, 1 + change):
        for s, stage in enumerate(life.stages):
            if (life.survival[:, s] > 0).any():
                survival = life.survival.copy()
                survival[:, s] = np.minimum(survival[:, s] * factor, _most(life.survival_sd[:, s]))
                yield f"survival of {stage}", factor, (replace(life, survival=survival), start, catastrophes, settings)
        for s, stage in enumerate(life.stages):
            if life.fecundity[s] * life.breeding[0, s] > 0:
                fecundity = life.fecundity.copy()
                fecundity[s] *= factor
                yield (
                    f"fecundity of {stage}",
                    factor,
                    (replace(life, fecundity=fecundity), start, catastrophes, settings),
                )
        calm = replace(
            life,
            survival_sd=_spread(life.survival, life.survival_sd, factor),
            breeding_sd=_spread(life.breeding, life.breeding_sd, factor),
            fecundity_sd=life.fecundity_sd * factor,
        )
        if life.survival_sd.any() or life.breeding_sd.any() or life.fecundity_sd.any():
            yield "environmental deviations", factor, (calm, start, catastrophes, settings)
        if np.isfinite(start.capacity).any():
            room = replace(start, capacity=np.round(start.capacity * factor))
            yield "capacity", factor, (life, room, catastrophes, settings)
        if settings["lethal_equivalents"] > 0:
            changed = {**settings, "lethal_equivalents": settings["lethal_equivalents"] * factor}
            yield "lethal equivalents", factor, (life, start, catastrophes, changed)
        if len(catastrophes.rates):
            rates = catastrophes.rates.copy()
            rates[:, 0] = np.minimum(rates[:, 0] * factor, 1.0)
            yield "probability of catastrophes", factor, (life, start, replace(catastrophes, rates=rates), settings)
        dispersal: Dispersal = settings["dispersal"]
        if dispersal.rates.any():
            rates = dispersal.rates * factor
            rates /= np.maximum(rates.sum(axis=2, keepdims=True), 1.0)
            changed = {**settings, "dispersal": replace(dispersal, rates=rates)}
            yield "dispersal", factor, (life, start, catastrophes, changed)


def _most(sd: np.ndarray) -> np.ndarray:
    """The largest mean that a share with this deviation can have, a little inside."""
    return np.where(sd > 0, 0.5 + np.sqrt(np.maximum(0.25 - (1.01 * sd) ** 2, 0.0)), 1.0)


def _spread(mean: np.ndarray, sd: np.ndarray, factor: float) -> np.ndarray:
    return np.asarray(np.minimum(sd * factor, 0.99 * np.sqrt(mean * (1 - mean))))
