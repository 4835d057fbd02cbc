"""What animals choose to eat in cafeteria trials, and which crops they leave alone."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Param, Table, TableOf, method
from linkways.spatial import note

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas as pd

    from linkways.movement._preference import Test
    from linkways.movement._preference_trial import Trial

__all__ = ["FoodChoice", "food_choice"]

ID = "movement.food_choice"
DRAWS = 4000


@dataclass(frozen=True)
class FoodChoice:
    """How strongly each food is chosen, which foods differ, and which crops are both left alone and paid well."""

    foods: Annotated[
        "pd.DataFrame",
        TableOf(
            "each food, the most chosen first: used, offered_share, w (selection ratio: use over offer) with w_se, "
            "w_low, "
            "w_high, choice (preferred, avoided or neither), standardised (w as a share of all w), alpha (Manly's) "
            "with "
            "alpha_low, alpha_high, mean_rank"
        ),
    ]
    animals: Annotated["pd.DataFrame", TableOf("each animal and food: used, offered, w, alpha")]
    tests: Annotated["pd.DataFrame", TableOf("tests: test, asks, statistic, df, p")]
    pairs: Annotated[
        "pd.DataFrame",
        TableOf(
            "each two foods: difference of w with se, p, p_bonferroni, p_holm; conover_p (Holm) and nemenyi_p of the "
            "ranks"
        ),
    ]
    ranking: Annotated[
        "pd.DataFrame",
        TableOf(
            "Bradley-Terry: food, worth (shares of 1), log_worth (mean 0) with se, low, high; log_tie, log_side and "
            "log_side_se of all"
        ),
    ]
    crops: Annotated[
        "pd.DataFrame",
        TableOf(
            "crops with an income: crop, income, w, choice, unpalatability (1 - w / greatest w), income_share, score, "
            "efficient (no other crop is both less eaten and better paid), rank; empty without incomes"
        ),
    ]
    forest: Annotated["matplotlib.figure.Figure", Figure("selection ratios with their intervals")]


@method(
    ID,
    references=(
        "Manly BFJ, McDonald LL, Thomas DL, McDonald TL, Erickson WP (2002) Resource selection by animals, 2nd ed. "
        "Kluwer",
        "Manly BFJ (1974) A model for certain types of selection experiments. Biometrics 30:281-294",
        "Chesson J (1978) Measuring preference in selective predation. Ecology 59:211-215",
        "Friedman M (1937) The use of ranks to avoid the assumption of normality implicit in the analysis of variance. "
        "Journal of the American Statistical Association 32:675-701",
        "Conover WJ (1999) Practical nonparametric statistics, 3rd ed. Wiley",
        "Bradley RA, Terry ME (1952) Rank analysis of incomplete block designs. Biometrika 39:324-345",
        "Davidson RR (1970) On extending the Bradley-Terry model to accommodate ties. Journal of the American "
        "Statistical Association 65:317-328",
    ),
)
def food_choice(
    trials: Annotated[
        "pd.DataFrame",
        Table(
            "what was eaten: food, used (items, visits or weight); animal and offered when present, one row for each "
            "animal and food (several rows are added up)",
            columns=("food", "used"),
        ),
    ],
    choices: Annotated[
        "pd.DataFrame | None",
        Table(
            "choices between two foods: first, second, taken (one of the two, or empty for neither), number when "
            "present; "
            "left out: what each animal used more of",
            columns=("first", "second", "taken"),
        ),
    ] = None,
    incomes: Annotated[
        "pd.DataFrame | None", Table("income of crops: food, income", columns=("food", "income"))
    ] = None,
    *,
    design: Annotated[
        Literal["auto", "I", "II", "III"],
        Param(
            "animals not told apart (I), told apart with one offer for all (II) or each its own (III); auto: as the "
            "table is"
        ),
    ] = "auto",
    depletion: Annotated[bool, Param("what is eaten is not replaced; needs offered, in the unit of used")] = False,
    confidence: Annotated[float, Param("confidence of the intervals", gt=0, lt=1)] = 0.95,
    side: Annotated[bool, Param("let the first of two foods have an advantage (with choices)")] = False,
    seed: Annotated[int, Param("seed of the draws for the intervals of alpha", ge=0)] = 1,
) -> FoodChoice:
    """How strongly animals choose or avoid each food in cafeteria trials, with tests, and the crops they leave alone.

    Selection ratios w = use over offer with standard errors over animals and intervals for all foods together (normal,
    Bonferroni), chi-squares of choice between and among animals (Manly and others 2002); Manly's alpha for replaced or
    depleted offers with bootstrap intervals over animals; Friedman's and Quade's tests with Conover's and Nemenyi's
    comparisons; Bradley-Terry worths with ties and side. With incomes, crops are ranked by
    ``sqrt(unpalatability x income share)``, and those that no other crop beats in both are marked.

    Animals are the replicates. The log says where the trial is thin: one animal or herd, small expected counts, weights
    in place of counts (no chi-squares then).

    Raises LinkwaysError for fewer than two foods, amounts below 0, nothing used, more used than offered with depletion,
    a food used that was not offered, and choices of foods that were not on offer.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import movement
    >>> trials = pd.DataFrame({
    ...     "animal": ["Abu", "Abu", "Abu", "Cathy", "Cathy", "Cathy"],
    ...     "food": ["maize", "chilli", "garlic"] * 2,
    ...     "used": [40, 5, 9, 35, 2, 11],
    ... })
    >>> found = movement.food_choice(trials)
    >>> found.foods[["food", "w", "choice"]].round(2)
         food     w     choice
    0   maize  2.21  preferred
    1  garlic  0.59    avoided
    2  chilli  0.21    avoided
    """
    import pandas as pd

    from linkways.movement._food_choice_figure import draw_forest
    from linkways.movement._preference_trial import note_thin, trial_of

    trial = trial_of(trials, depletion, design)
    note_thin(trial)
    ratio, tests = _tests(trial)
    foods = _foods(trial, ratio, depletion, confidence, seed)
    return FoodChoice(
        foods,
        _animals(trial, depletion),
        pd.DataFrame([vars(test) for test in tests]).rename(columns={"name": "test"}),
        _pairs(trial, ratio),
        _ranking(trial, choices, side, confidence),
        _crops(foods, incomes),
        draw_forest(foods, confidence),
    )


# --- results ---------------------------------------------------------------------------------------------------


def _tests(trial: "Trial") -> tuple[Any, list["Test"]]:
    from linkways.movement._preference import friedman, quade, ratio_tests, ratios

    ratio = ratios(trial.used, trial.share, trial.pooled)
    same = trial.design == "II"
    tests = ratio_tests(trial.used, trial.share, same, trial.pooled) if trial.counted else []
    blocks = _blocks(trial)
    if len(blocks) >= 2:
        tests += [friedman(blocks), quade(blocks)]
    return ratio, tests


def _blocks(trial: "Trial") -> np.ndarray:
    """Use over offer of the animals that were offered every food, (animals, foods)."""
    whole = (trial.offered > 0).all(axis=1)
    if trial.pooled or whole.sum() < 2:
        return np.empty((0, len(trial.foods)))
    if not whole.all():
        note(f"{ID}: ranks leave out {int((~whole).sum())} animals that were not offered every food")
    return np.asarray(trial.used[whole] / trial.offered[whole])


def _foods(trial: "Trial", ratio: Any, depletion: bool, confidence: float, seed: int) -> "pd.DataFrame":
    import pandas as pd
    from scipy.stats import norm, rankdata

    from linkways.movement._preference import alphas, alphas_interval

    used, offered = trial.used, trial.offered
    k = len(trial.foods)
    z = float(norm.ppf(1 - (1 - confidence) / (2 * k)))
    low, high = ratio.w - z * ratio.se, ratio.w + z * ratio.se
    drawn, given = (v.sum(axis=0, keepdims=True) if trial.pooled else v for v in (used, offered))
    rng = np.random.default_rng(seed)
    alpha_low, alpha_high = alphas_interval(drawn, given, depletion, confidence, DRAWS, rng)
    totals = used.sum(axis=1, keepdims=True)
    blocks = _blocks(trial)
    return (
        pd.DataFrame(
            {
                "food": trial.foods,
                "used": used.sum(axis=0),
                "offered_share": (trial.share * totals).sum(axis=0) / totals.sum(),
                "w": ratio.w,
                "w_se": ratio.se,
                "w_low": np.maximum(low, 0),
                "w_high": high,
                "choice": np.select([low > 1, high < 1], ["preferred", "avoided"], "neither"),
                "standardised": ratio.w / ratio.w.sum(),
                "alpha": alphas(used.sum(axis=0), offered.sum(axis=0), depletion),
                "alpha_low": alpha_low,
                "alpha_high": alpha_high,
                "mean_rank": rankdata(-blocks, axis=1).mean(axis=0) if len(blocks) else math.nan,
            }
        )
        .sort_values("w", ascending=False, kind="stable")
        .reset_index(drop=True)
    )


def _animals(trial: "Trial", depletion: bool) -> "pd.DataFrame":
    import pandas as pd

    from linkways.movement._preference import alphas

    totals = trial.used.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        w = np.where(trial.offered > 0, trial.used / (trial.share * totals), np.nan)
    k = len(trial.foods)
    return pd.DataFrame(
        {
            "animal": np.repeat(trial.animals, k),
            "food": np.tile(trial.foods, len(trial.animals)),
            "used": trial.used.ravel(),
            "offered": trial.offered.ravel(),
            "w": w.ravel(),
            "alpha": alphas(trial.used, trial.offered, depletion).ravel(),
        }
    )


def _pairs(trial: "Trial", ratio: Any) -> "pd.DataFrame":
    import pandas as pd
    from scipy.stats import norm

    from linkways.movement._preference import conover, holm, nemenyi

    i, j = np.triu_indices(len(trial.foods), 1)
    apart = ratio.w[i] - ratio.w[j]
    variance = ratio.cover[i, i] + ratio.cover[j, j] - 2 * ratio.cover[i, j]
    se = np.sqrt(np.maximum(variance, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(apart == 0, 1.0, 2 * norm.sf(np.abs(apart) / se))
    blocks = _blocks(trial)
    ranked = len(blocks) >= 2
    return pd.DataFrame(
        {
            "food": np.array(trial.foods)[i],
            "other": np.array(trial.foods)[j],
            "difference": apart,
            "se": se,
            "p": p,
            "p_bonferroni": np.minimum(p * len(p), 1),
            "p_holm": holm(p),
            "conover_p": holm(conover(blocks)[i, j]) if ranked else math.nan,
            "nemenyi_p": nemenyi(blocks)[i, j] if ranked else math.nan,
        }
    )


# --- choices between two ---------------------------------------------------------------------------------------


def _ranking(trial: "Trial", choices: "pd.DataFrame | None", side: bool, confidence: float) -> "pd.DataFrame":
    import pandas as pd
    from scipy.stats import norm

    from linkways.movement._preference import bradley_terry

    if side and choices is None:
        raise LinkwaysError(f"{ID}: side needs choices, which tell what was offered first; give them or leave side out")
    wins, ties = _from_use(trial) if choices is None else _from_choices(trial.foods, choices)
    found = bradley_terry(wins, ties, side)
    if found.smoothed:
        note(f"{ID}: some foods were never (or always) taken before others; half a win each way was added to each pair")
    z = float(norm.ppf((1 + confidence) / 2))
    se = np.sqrt(np.diag(found.cover))
    worth = np.exp(found.log_worth)
    return (
        pd.DataFrame(
            {
                "food": trial.foods,
                "worth": worth / worth.sum(),
                "log_worth": found.log_worth,
                "se": se,
                "low": found.log_worth - z * se,
                "high": found.log_worth + z * se,
                "log_tie": found.tie,
                "log_side": found.side,
                "log_side_se": found.side_se,
            }
        )
        .sort_values("log_worth", ascending=False, kind="stable")
        .reset_index(drop=True)
    )


def _from_use(trial: "Trial") -> tuple[np.ndarray, np.ndarray]:
    """One choice of each animal and pair: what it used more of, for what was offered."""
    k = len(trial.foods)
    wins, ties = np.zeros((k, k, 2)), np.zeros((k, k))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(trial.offered > 0, trial.used / trial.offered, np.nan)
    upper = np.triu(np.ones((k, k), bool), 1)
    for one in rate:
        wins[:, :, 0] += (one[:, None] > one[None, :]) & upper
        wins[:, :, 1] += (one[:, None] > one[None, :]) & upper.T
        ties += (one[:, None] == one[None, :]) & upper
    return wins, ties


def _from_choices(foods: list[str], choices: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray]:
    from linkways.movement._preference_trial import amounts

    place = {name: k for k, name in enumerate(foods)}
    wins, ties = np.zeros((len(foods), len(foods), 2)), np.zeros((len(foods), len(foods)))
    number = amounts(choices, "number") if "number" in choices.columns else np.ones(len(choices))
    for row, (first, second, taken) in enumerate(
        zip(choices["first"].astype(str), choices["second"].astype(str), choices["taken"], strict=True)
    ):
        unknown = [name for name in (first, second) if name not in place]
        if unknown or first == second:
            raise LinkwaysError(
                f"{ID}: choices offers {unknown[0] if unknown else first + ' twice'} in row {row + 1}, and trials "
                "holds "
                f"{', '.join(foods)}; mend the name"
            )
        i, j = place[first], place[second]
        if taken is None or taken != taken or str(taken).strip() == "":
            ties[i, j] += number[row]
        elif str(taken) == first:
            wins[i, j, 0] += number[row]
        elif str(taken) == second:
            wins[j, i, 1] += number[row]
        else:
            raise LinkwaysError(
                f"{ID}: choices has {taken} taken in row {row + 1}, where {first} and {second} were offered; mend it, "
                "or "
                "leave it empty where neither was taken"
            )
    return wins, ties


# --- crops -----------------------------------------------------------------------------------------------------


def _crops(foods: "pd.DataFrame", incomes: "pd.DataFrame | None") -> "pd.DataFrame":
    import pandas as pd

    columns = ["crop", "income", "w", "choice", "unpalatability", "income_share", "score", "efficient", "rank"]
    if incomes is None:
        return pd.DataFrame(columns=columns)
    names = incomes["food"].astype(str)
    money = pd.to_numeric(incomes["income"], errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~np.isfinite(money))
    if len(wrong):
        raise LinkwaysError(f"{ID}: incomes has no number in row {wrong[0] + 1} (column income); fill it")
    twice = np.flatnonzero(names.duplicated())
    if len(twice):
        raise LinkwaysError(f"{ID}: incomes names {names.iloc[twice[0]]} twice, again in row {twice[0] + 1}; keep one")
    table = foods.merge(pd.DataFrame({"food": names.to_numpy(), "income": money}), on="food")
    if not len(table):
        raise LinkwaysError(f"{ID}: incomes and trials have no food in common; write the names alike")
    lost = sorted(set(names) - set(table["food"]))
    if lost:
        note(f"{ID}: incomes of {', '.join(lost)} are left out, as the trials did not offer them")
    return _ranked_crops(table)[columns]


def _ranked_crops(table: "pd.DataFrame") -> "pd.DataFrame":
    w, income = table["w"].to_numpy(dtype=float), table["income"].to_numpy(dtype=float)
    unpalatability = 1 - w / w.max()
    share = np.clip(income, 0, None) / income.max() if income.max() > 0 else np.zeros(len(income))
    no_worse = (w[:, None] <= w[None, :]) & (income[:, None] >= income[None, :])
    better = (w[:, None] < w[None, :]) | (income[:, None] > income[None, :])
    table = table.rename(columns={"food": "crop"}).assign(
        unpalatability=unpalatability,
        income_share=share,
        score=np.sqrt(unpalatability * share),
        efficient=np.asarray(~(no_worse & better).any(axis=0)),
    )
    table = table.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)
    return table.assign(rank=table["score"].rank(ascending=False, method="min").astype(int))
