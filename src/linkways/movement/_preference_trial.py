"""A food choice trial as arrays, with its refusals and its doubts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError
from linkways.spatial import note

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Trial", "amounts", "note_thin", "trial_of"]

ID = "movement.food_choice"


@dataclass(frozen=True)
class Trial:
    """The amounts used and offered, (animals, foods); offers are equal shares where none are told."""

    animals: list[str]
    foods: list[str]
    used: np.ndarray
    offered: np.ndarray
    design: str

    @property
    def share(self) -> np.ndarray:
        """What is offered to each animal, as shares."""
        return np.asarray(self.offered / self.offered.sum(axis=1, keepdims=True))

    @property
    def counted(self) -> bool:
        """Whether amounts are whole numbers, so that chi-squares mean something."""
        return bool(np.all(self.used == np.rint(self.used)))

    @property
    def pooled(self) -> bool:
        """Whether animals are not told apart."""
        return self.design == "I"


def trial_of(trials: "pd.DataFrame", depletion: bool, design: str) -> Trial:
    import pandas as pd

    table = trials.assign(food=trials["food"].astype(str))
    if "animal" not in table.columns:
        if design in ("II", "III"):
            raise LinkwaysError(f"{ID}: design {design} tells animals apart, but trials has no column animal; add it")
        table = table.assign(animal="all")
    given = "offered" in table.columns
    if depletion and not given:
        raise LinkwaysError(f"{ID}: depletion needs the column offered in trials, what there was at the start")
    for column in ("used", *(["offered"] if given else [])):
        table = table.assign(**{column: amounts(table, column)})
    table = table.assign(animal=table["animal"].astype(str))
    used = table.pivot_table(index="animal", columns="food", values="used", aggfunc="sum", fill_value=0, sort=False)
    if given:
        offer = table.pivot_table(
            index="animal", columns="food", values="offered", aggfunc="sum", fill_value=0, sort=False
        )
        offered = offer.loc[used.index, used.columns].to_numpy(dtype=float)
    else:
        offered = np.ones((len(used), len(used.columns)))
        rows = pd.MultiIndex.from_frame(table[["animal", "food"]])
        absent = ~pd.MultiIndex.from_product([used.index, used.columns]).isin(rows)
        offered[absent.reshape(offered.shape)] = 0.0
    animals, foods = [str(a) for a in used.index], [str(f) for f in used.columns]
    eaten = used.to_numpy(dtype=float)
    _refuse(animals, foods, eaten, offered, depletion)
    same = bool(np.allclose(offered / offered.sum(axis=1, keepdims=True), offered[0] / offered[0].sum()))
    if design == "auto":
        design = ("II" if same else "III") if len(animals) > 1 else "I"
    if design == "II" and not same:
        raise LinkwaysError(f"{ID}: design II asks for one offer to all animals, but theirs differ; choose design III")
    if design in ("II", "III") and len(animals) < 2:
        raise LinkwaysError(f"{ID}: design {design} needs two animals or more, and trials has one; choose design I")
    return Trial(animals, foods, eaten, offered, design)


def amounts(table: "pd.DataFrame", column: str) -> np.ndarray:
    import pandas as pd

    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~(values >= 0) | np.isinf(values))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: trials has {len(wrong)} values in the column {column} that are not numbers of 0 or more, first row "
            f"{wrong[0] + 1} ({table[column].iloc[wrong[0]]}); mend them or leave the rows out"
        )
    return values


def _refuse(animals: list[str], foods: list[str], used: np.ndarray, offered: np.ndarray, depletion: bool) -> None:
    if len(foods) < 2:
        raise LinkwaysError(
            f"{ID}: trials names {len(foods)} food, and a choice needs two or more; add the other foods"
        )
    idle = np.flatnonzero(used.sum(axis=1) == 0)
    if len(idle):
        raise LinkwaysError(f"{ID}: {animals[idle[0]]} used nothing, so it chose nothing; leave the animal out")
    never = np.flatnonzero(offered.sum(axis=0) == 0)
    if len(never):
        raise LinkwaysError(
            f"{ID}: {foods[never[0]]} was offered to no animal; leave it out or mend the column offered"
        )
    wrong = np.argwhere((used > 0) & (offered == 0))
    if len(wrong):
        a, f = wrong[0]
        raise LinkwaysError(
            f"{ID}: {animals[a]} used {foods[f]}, of which nothing was offered; mend the column offered"
        )
    wrong = np.argwhere(used > offered)
    if depletion and len(wrong):
        a, f = wrong[0]
        raise LinkwaysError(
            f"{ID}: {animals[a]} used {used[a, f]:g} of {foods[f]} and was offered {offered[a, f]:g}; with depletion "
            "no "
            "more can be used than is offered"
        )


def note_thin(trial: Trial) -> None:
    if len(trial.animals) == 1:
        note(f"{ID}: one animal or herd is one replicate; what it chooses says nothing certain of others")
    elif len(trial.animals) < 5:
        note(f"{ID}: {len(trial.animals)} animals are few replicates; standard errors over animals are rough")
    if not trial.counted:
        note(f"{ID}: amounts are not whole numbers, so chi-squares, which need counts, are left out")
        return
    expected = trial.share * trial.used.sum(axis=1, keepdims=True)
    small = float(np.mean(expected[trial.offered > 0] < 5))
    if small > 0.2:
        note(f"{ID}: {small:.0%} of expected counts are below 5, so the p of chi-squares are rough")
