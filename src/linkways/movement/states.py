"""Behavioural states behind a track, by a hidden Markov model of its steps and turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import Figure, Indicator, Layer, Param, Raster, TableOf, Vector, method, progress
from linkways.movement._fixes import Fixes, fixes_of
from linkways.movement._steps import Steps, steps_of

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd
    import xarray as xr

    from linkways.movement._states_model import Chains, Model

__all__ = ["States", "states"]

HOUR = 3600.0
NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class States:
    """Fixes with the state of the step that begins there, and the model behind them."""

    fixes: Annotated[
        "gpd.GeoDataFrame",
        Layer("fixes with step_m, turn_rad, state (1 has the shortest mean step), probability_1, probability_2, ..."),
    ]
    parameters: Annotated[
        "pd.DataFrame",
        TableOf("of each state: mean and sd of steps, zero steps, mean turn and concentration, with 95 % intervals"),
    ]
    transitions: Annotated[
        "pd.DataFrame",
        TableOf("from, to, term, coefficient with standard error, and the probability of the move at mean covariates"),
    ]
    models: Annotated["pd.DataFrame", TableOf("states, parameters, log_likelihood, aic, bic of every number of states")]
    log_likelihood: Annotated[float, Indicator("log-likelihood of the model", unit="natural logarithm")]
    directed_share: Annotated[float, Indicator("share of steps in the state with the longest mean step")]
    distributions: Annotated["matplotlib.figure.Figure", Figure("steps and turns with the density of every state")]
    residuals: Annotated["matplotlib.figure.Figure", Figure("pseudo-residuals of steps: quantiles and autocorrelation")]


@method(
    "movement.states",
    references=(
        "Morales JM, Haydon DT, Frair J, Holsinger KE, Fryxell JM (2004) Extracting more out of relocation data: "
        "building movement models as mixtures of random walks. Ecology 85: 2436-2445",
        "Zucchini W, MacDonald IL, Langrock R (2016) Hidden Markov models for time series. 2nd ed. Chapman & Hall",
        "Michelot T, Langrock R, Patterson TA (2016) moveHMM: an R package for the statistical modelling of animal "
        "movement data using hidden Markov models. Methods in Ecology and Evolution 7: 1308-1315",
    ),
)
def states(
    fixes: Annotated["gpd.GeoDataFrame", Vector("GPS fixes", geometry=("Point",), columns=("animal", "time"))],
    covariates: Annotated[
        "Sequence[xr.DataArray] | None",
        Raster("what the moves between states depend on at a fix, each by its name", many=True, own_grid=True),
    ] = None,
    *,
    number: Annotated[int, Param("states", ge=1, le=4)] = 2,
    compare: Annotated[Sequence[int], Param("other numbers of states to fit beside it", ge=1, le=4)] = (),
    columns: Annotated[Sequence[str], Param("columns of fixes that the moves between states depend on")] = (),
    daily: Annotated[bool, Param("the moves between states depend on the hour of the day, in UTC")] = False,
    longest_h: Annotated[
        float | None,
        Param("a track is cut where fixes lie further apart; left out: half as far again as usual", unit="hours", gt=0),
    ] = None,
    mean_turn: Annotated[bool, Param("estimate the mean turn of every state; otherwise it is straight on")] = False,
    starts: Annotated[int, Param("random starts of the fit", ge=1, source="the field's advice: 25 or more")] = 25,
    seed: Annotated[int, Param("of the random starts", ge=0)] = 0,
) -> States:
    """Behavioural states of every step by a hidden Markov model, e.g. resting, foraging and directed movement.

    In state s a step l is gamma with mean m_s and standard deviation d_s (or 0 with probability z_s where the track has
    steps of length 0), a turn is von Mises with concentration k_s, and states follow each other as a Markov chain. With
    covariates x the move from r to s != r at a fix has log odds a_rs + b_rs x against staying. The likelihood (scaled
    forward algorithm) and its exact gradient (forward-backward, Fisher's identity) are given to BFGS from many
    starts. The state is that of the most likely sequence (Viterbi); the probabilities are those given the whole track.
    Intervals come from the curvature of the likelihood, on the logarithm of means, deviations and concentrations.

    Fixes must come at regular times: thin or regularise them before (movement.tracks). All animals share the model. A
    step and a turn that cannot be known (the last of a track, no direction) say nothing of the state. AIC and BIC tend
    to favour more states than behaviour has (Pohle et al., 2017): look at the residuals and at the states.

    Raises LinkwaysError for fixes that cannot be used, an unknown or empty column, covariates that do not cover the
    fixes or do not vary, and tracks with too few steps for the states.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, pandas as pd
    >>> from linkways import movement
    >>> rng = np.random.default_rng(1)
    >>> pace = np.repeat([20.0, 500.0] * 5, 20)  # resting and walking, in turns of 20 hours
    >>> heading = np.where(pace > 100, 0.2, 3.0) * rng.normal(size=200)
    >>> steps = rng.gamma(4, pace / 4)[:, None] * np.column_stack([np.cos(heading), np.sin(heading)])
    >>> time = pd.date_range("2024-01-01", periods=200, freq="h", tz="UTC")
    >>> points = gpd.points_from_xy(*(500_000 + steps.cumsum(axis=0)).T)
    >>> fixes = gpd.GeoDataFrame({"animal": "a", "time": time}, geometry=points, crs="EPSG:32612")
    >>> found = movement.states(fixes, starts=3)
    >>> found.parameters["mean_step_m"].round(-1).tolist()
    [20.0, 480.0]
    """
    from linkways.movement._states_model import fit

    track = fixes_of(fixes, needed=tuple(columns), at_least=3)
    moves = _covariates(track, covariates or (), columns, daily)
    steps = steps_of(track, longest_s=longest_step_s(track, longest_h))
    chains = chains_of(steps, moves.values)
    wanted = sorted({number, *compare})
    refuse_too_few(chains, wanted[-1], "movement.states")
    rng = np.random.default_rng(seed)
    found: dict[int, tuple[Model, float]] = {}
    for done, k in enumerate(wanted):
        progress(done / len(wanted), f"fitting {k} states")
        found[k] = fit(chains, k, turn_mean=mean_turn, starts=starts if k > 1 else 1, rng=rng)
    model, value = found[number]
    path = model.path(chains)
    return States(
        fixes=_decoded(track, steps, model, chains, path),
        parameters=_parameters(model, chains, path, mean_turn),
        transitions=_transitions(model, chains, moves, mean_turn),
        models=_models(found, chains, mean_turn),
        log_likelihood=value,
        directed_share=float((path[steps.known] == number - 1).mean()),
        distributions=_distributions(model, chains, path),
        residuals=_residuals(model, chains),
    )


def longest_step_s(track: Fixes, longest_h: float | None) -> float:
    """The longest time between the fixes of a step."""
    if longest_h is not None:
        return longest_h * HOUR
    inside = np.ones(len(track.seconds), bool)
    inside[track.start[:-1]] = False
    return 1.5 * float(np.median(np.diff(track.seconds, prepend=0.0)[inside]))


@dataclass(frozen=True)
class _Moves:
    """Covariates of the moves between states: standardised values with what brings them back."""

    names: tuple[str, ...]
    values: np.ndarray
    centre: np.ndarray
    scale: np.ndarray


def _covariates(track: Fixes, rasters: Sequence["xr.DataArray"], columns: Sequence[str], daily: bool) -> _Moves:
    from linkways.movement._selection_sampling import raster_name, values_at

    names: list[str] = []
    values: list[np.ndarray] = []
    for name in columns:
        names.append(name)
        values.append(_column(track, name))
    for position, raster in enumerate(rasters):
        names.append(raster_name(raster, position))
        values.append(values_at(raster, track.layer.geometry.x, track.layer.geometry.y, track.layer.crs))
        missing = int(np.isnan(values[-1]).sum())
        if missing:
            raise LinkwaysError(
                f"movement.states: covariate {names[-1]} has no value at {missing} of {len(track.x_m)} fixes; give a "
                "raster that covers them, or leave those fixes out"
            )
    if daily:
        angle = 2 * np.pi * (track.seconds % 86400) / 86400
        names += ["hour_sin", "hour_cos"]
        values += [np.sin(angle), np.cos(angle)]
    table = np.column_stack(values) if values else np.zeros((len(track.x_m), 0))
    centre, scale = table.mean(axis=0), table.std(axis=0)
    flat = np.flatnonzero(~(scale > 0))
    if len(flat):
        raise LinkwaysError(f"movement.states: covariate {names[flat[0]]} has one value at all fixes; leave it out")
    return _Moves(tuple(names), (table - centre) / scale, centre, scale)


def _column(track: Fixes, name: str) -> np.ndarray:
    import pandas as pd

    column = track.layer[name]
    if not pd.api.types.is_numeric_dtype(column.dtype):
        numbers = [c for c in track.layer.columns if pd.api.types.is_numeric_dtype(track.layer[c].dtype)]
        raise LinkwaysError(
            f"movement.states: column {name} holds no numbers{nearest(name, numbers)}; name one that does in columns"
        )
    values = column.to_numpy(dtype=float, na_value=np.nan)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise LinkwaysError(
            f"movement.states: column {name} is empty or infinite at {len(wrong)} fixes, first "
            f"{track.names[track.group[wrong[0]]]} at {track.layer['time'].iloc[wrong[0]]}; fill it or leave those out"
        )
    return np.asarray(values)


def chains_of(steps: Steps, covariates: np.ndarray) -> "Chains":
    """Chains of fixes that steps join; a chain ends with a group or before a gap."""
    from linkways.movement._states_model import Chains

    begins = np.ones(len(steps.length_m), bool)
    begins[1:] = ~steps.known[:-1]
    start = np.append(np.flatnonzero(begins), len(begins))
    return Chains(steps.length_m, steps.turning_rad, start, covariates)


def refuse_too_few(chains: "Chains", most: int, where: str) -> None:
    """Refuse chains that hold fewer than 10 steps for each state."""
    known = int((chains.step > 0).sum())
    if known < 10 * most or np.unique(chains.step[chains.step > 0]).size < 2 * most:
        raise LinkwaysError(
            f"{where}: {known} steps with a length above 0 are too few for {most} states; give at least 10 "
            "different ones for each state, or raise longest_h if gaps cut the track"
        )


def _decoded(track: Fixes, steps: Steps, model: "Model", chains: "Chains", path: np.ndarray) -> "gpd.GeoDataFrame":
    posterior = model.posterior(chains)
    shares = {f"probability_{s + 1}": posterior[:, s] for s in range(model.states)}
    return track.layer.assign(step_m=steps.length_m, turn_rad=steps.turning_rad, state=path + 1, **shares)


def _parameters(model: "Model", chains: "Chains", path: np.ndarray, mean_turn: bool) -> "pd.DataFrame":
    import pandas as pd

    from linkways.movement._states_model import standard_errors

    errors = standard_errors(model, chains, turn_mean=mean_turn)
    known = np.isfinite(chains.step)
    table: dict[str, Any] = {"state": np.arange(1, model.states + 1)}
    for name, values, error in (
        ("mean_step_m", model.mean, errors["mean"]),
        ("sd_step_m", model.sd, errors["sd"]),
        ("concentration", model.kappa, _kappa_error(model, errors["turn"])),
    ):
        table[name] = values
        table[f"{name}_low"] = values * np.exp(-NORMAL_95 * error)
        table[f"{name}_high"] = values * np.exp(NORMAL_95 * error)
    table["mean_turn_rad"] = model.direction
    table["zero_steps"] = model.zero
    table["share"] = np.bincount(path[known], minlength=model.states) / known.sum()
    return pd.DataFrame(table)


def _kappa_error(model: "Model", turn: np.ndarray) -> np.ndarray:
    """Standard error of the logarithm of the concentration, from those of its vector's components."""
    errors = np.zeros((2, model.states))
    errors[: len(turn) // model.states] = turn.reshape(-1, model.states)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt(((model.turn * errors) ** 2).sum(axis=0)) / model.kappa**2)


def _transitions(model: "Model", chains: "Chains", moves: _Moves, mean_turn: bool) -> "pd.DataFrame":
    """Coefficients on the covariates' own scale; standard errors of slopes, and of the intercept at their means."""
    import pandas as pd

    from linkways.movement._states_model import standard_errors

    count = model.states
    moving = ~np.eye(count, dtype=bool)
    errors = np.zeros_like(model.logits)
    errors[moving] = standard_errors(model, chains, turn_mean=mean_turn)["logits"].reshape(-1, 1 + len(moves.names))
    at_mean = model.transition(np.zeros((1, len(moves.names))))[0]
    rows = []
    for r in range(count):
        for s in range(count):
            slopes = model.logits[r, s, 1:] / moves.scale
            for k, term in enumerate(("intercept", *moves.names)):
                value = slopes[k - 1] if k else model.logits[r, s, 0] - slopes @ moves.centre
                error = errors[r, s, k] / (moves.scale[k - 1] if k else 1.0)
                rows.append((r + 1, s + 1, term, value, error if r != s else np.nan, at_mean[r, s]))
    names = ["from", "to", "term", "coefficient", "standard_error", "probability"]
    return pd.DataFrame(rows, columns=names)


def _models(found: "dict[int, tuple[Model, float]]", chains: "Chains", mean_turn: bool) -> "pd.DataFrame":
    import pandas as pd

    observations = int(np.isfinite(chains.step).sum())
    rows = []
    for number, (_, value) in found.items():
        each = 2 + chains.has_zeros + (2 if mean_turn else 1)
        parameters = number * each + number - 1 + number * (number - 1) * (1 + chains.covariates.shape[1])
        rows.append(
            (number, parameters, value, 2 * parameters - 2 * value, np.log(observations) * parameters - 2 * value)
        )
    return pd.DataFrame(rows, columns=["states", "parameters", "log_likelihood", "aic", "bic"])


def _distributions(model: "Model", chains: "Chains", path: np.ndarray) -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure as Canvas
    from scipy import stats

    canvas = Canvas(figsize=(9.0, 3.6), layout="constrained")
    steps, turns = canvas.subplots(1, 2)
    known = np.isfinite(chains.step)
    share = np.bincount(path[known], minlength=model.states) / known.sum()
    positive, turned = chains.step[chains.step > 0], chains.turn[np.isfinite(chains.turn)]
    steps.hist(positive, bins=60, density=True, color="0.85")
    turns.hist(turned, bins=36, density=True, color="0.85")
    # gamma densities may be without bound at 0
    length, angle = np.linspace(positive.max() / 400, positive.max(), 400), np.linspace(-np.pi, np.pi, 200)
    top = steps.get_ylim()[1]
    for s in range(model.states):
        shape, scale = (model.mean[s] / model.sd[s]) ** 2, model.sd[s] ** 2 / model.mean[s]
        steps.plot(length, share[s] * stats.gamma.pdf(length, shape, scale=scale), label=f"state {s + 1}")
        turns.plot(angle, share[s] * stats.vonmises.pdf(angle, max(model.kappa[s], 1e-9), loc=model.direction[s]))
    steps.set(xlabel="step, m", ylabel="density", ylim=(0, 1.3 * top))
    turns.set(xlabel="turn, radians (left positive)", ylabel="density")
    steps.legend(frameon=False)
    return canvas


def pseudo_residuals(model: "Model", chains: "Chains") -> np.ndarray:
    """Normal quantiles of the probability of a step up to the one seen, given all before; standard normal if the model
    holds (Zucchini et al., 2016, 6.2). NaN for steps that are unknown or 0."""
    from scipy import stats

    foreseen = model.foreseen(chains)
    shape, scale = (model.mean / model.sd) ** 2, model.sd**2 / model.mean
    step = chains.step[:, None]
    below = model.zero + (1 - model.zero) * stats.gamma.cdf(step, shape, scale=scale)
    residual = stats.norm.ppf(np.clip((foreseen * below).sum(axis=1), 1e-12, 1 - 1e-12))
    return np.where(chains.step > 0, residual, np.nan)


def _residuals(model: "Model", chains: "Chains") -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure as Canvas
    from scipy import stats

    residual = pseudo_residuals(model, chains)
    known = np.sort(residual[np.isfinite(residual)])
    expected = stats.norm.ppf((np.arange(len(known)) + 0.5) / len(known))
    canvas = Canvas(figsize=(9.0, 3.6), layout="constrained")
    quantiles, correlation = canvas.subplots(1, 2)
    quantiles.plot(expected, known, ".", markersize=2)
    quantiles.axline((0, 0), slope=1, color="0.5", linewidth=0.8)
    quantiles.set(xlabel="normal quantiles", ylabel="pseudo-residuals of steps")
    centred = np.nan_to_num(residual - known.mean())
    lags = np.arange(1, min(49, len(centred) // 2))
    values = [float(centred[lag:] @ centred[:-lag] / (centred @ centred)) for lag in lags]
    correlation.bar(lags, values, width=0.6)
    for bound in (-1, 1):
        correlation.axhline(bound * NORMAL_95 / np.sqrt(len(known)), color="0.5", linewidth=0.8, linestyle="--")
    correlation.set(xlabel="lag, fixes", ylabel="autocorrelation of residuals")
    return canvas
