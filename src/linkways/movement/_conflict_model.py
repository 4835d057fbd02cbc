"""The risk of incidents on the ground: its map, its coefficients, and how well places left out are foretold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError
from linkways.movement._conflict_ground import ID, Ground
from linkways.movement._conflict_risk import (
    Family,
    Fit,
    Separated,
    area_under_curve,
    calibration,
    cross_validated,
    fit_risk,
    folds_of,
)
from linkways.spatial import note

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Risk", "risk_of"]


@dataclass(frozen=True)
class Risk:
    """What the model says; empty without covariates."""

    risk: "xr.DataArray"
    coefficients: "pd.DataFrame"
    validation: "pd.DataFrame"
    calibration: "pd.DataFrame"
    auc: float
    calibration_slope: float


def risk_of(
    ground: Ground,
    covariates: "Sequence[xr.DataArray]",
    family: Family,
    block_m: float | None,
    folds: int,
    confidence: float,
    seed: int,
) -> Risk:
    """Fit the model and test it by blocks left out."""
    import pandas as pd

    if not covariates:
        nothing = ground.raster(np.full(ground.inside.shape, np.nan), "risk", "1/km2")
        return Risk(nothing, pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), math.nan, math.nan)
    names = _names(covariates)
    layers = np.stack([np.asarray(c.values, float) for c in covariates])
    usable = ground.inside & np.isfinite(layers).all(axis=0)
    if not usable.any():
        raise LinkwaysError(f"{ID}: no cell of area has a value in every covariate; give rasters that cover the area")
    described = usable
    if ground.effort is not None:
        usable = usable & (ground.effort > 0)
    raw = layers[:, usable].T
    counts = ground.counts()[usable]
    lost = int(len(ground.points) - counts.sum())
    if lost:
        note(f"{ID}: the risk leaves out {lost} incidents in cells without effort or a value of every covariate")
    y = counts if family == "poisson" else (counts > 0).astype(float)
    offset = _offset(ground, usable, family)
    _refuse_model(raw, y, names)
    middle, spread = raw.mean(axis=0), raw.std(axis=0)
    x = (raw - middle) / spread
    block = _blocks(ground, usable, block_m, folds)
    fitted = _fitted(x, y, offset, block, family, names)
    fold = folds_of(block, folds, np.random.default_rng(seed))
    expected = cross_validated(x, y, offset, block, fold, family)
    tested = np.isfinite(expected)
    auc = area_under_curve(expected[tested] / np.exp(offset[tested]), y[tested] > 0)
    return Risk(
        _risk_map(ground, layers, described, fitted, middle, spread, family),
        _coefficients(fitted, names, spread, middle, confidence),
        _validation(expected, y, offset, fold, folds),
        _tenths(expected[tested], y[tested]),
        auc,
        calibration(expected[tested], y[tested], family) if tested.any() else math.nan,
    )


def _names(covariates: "Sequence[xr.DataArray]") -> list[str]:
    names = [str(c.name) if c.name is not None else f"covariate_{k}" for k, c in enumerate(covariates, 1)]
    twice = [n for k, n in enumerate(names) if n in names[:k]]
    if twice:
        raise LinkwaysError(f"{ID}: two covariates are named {twice[0]}; give each raster its own name")
    return names


def _offset(ground: Ground, usable: np.ndarray, family: str) -> np.ndarray:
    """Logarithm of area and of effort relative to its mean (of effort alone for presence)."""
    effort: np.ndarray = np.ones(int(usable.sum()))
    if ground.effort is not None:
        effort = ground.effort[usable] / ground.effort[usable].mean()
    return np.asarray(np.log(effort * (ground.cell_km2 if family == "poisson" else 1.0)))


def _refuse_model(raw: np.ndarray, y: np.ndarray, names: list[str]) -> None:
    still = [name for name, column in zip(names, raw.T, strict=True) if np.ptp(column) == 0]
    if still:
        raise LinkwaysError(f"{ID}: {still[0]} has the same value all over area and can explain nothing; leave it out")
    scaled = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    for k in range(1, len(names)):
        rest = scaled[:, :k]
        left = scaled[:, k] - rest @ np.linalg.lstsq(rest, scaled[:, k], rcond=None)[0]
        if left.std() < 1e-6:
            raise LinkwaysError(f"{ID}: {names[k]} follows from {', '.join(names[:k])}; leave one of them out")
    cells, needed = int((y > 0).sum()), 5 * (len(names) + 1)
    if cells < needed:
        raise LinkwaysError(
            f"{ID}: {cells} cells with incidents are too few for {len(names)} covariates; give fewer covariates or "
            "smaller "
            f"cells (at least {needed} are needed)"
        )
    if (y > 0).all():
        raise LinkwaysError(f"{ID}: every cell has incidents, so none tells where there is no risk; take smaller cells")


def _blocks(ground: Ground, usable: np.ndarray, block_m: float | None, folds: int) -> np.ndarray:
    rows, columns = np.nonzero(usable)
    down, right = rows * ground.cell[0], columns * ground.cell[1]
    side = block_m or math.sqrt(usable.sum() * ground.cell_km2 * 1e6) / 5
    number = (down // side).astype(int) * 1_000_003 + (right // side).astype(int)
    names, block = np.unique(number, return_inverse=True)
    if len(names) < folds:
        raise LinkwaysError(
            f"{ID}: the area holds {len(names)} blocks of {side:.5g} m, fewer than the {folds} folds; give a smaller "
            "block_m"
        )
    return np.asarray(block)


def _fitted(
    x: np.ndarray, y: np.ndarray, offset: np.ndarray, block: np.ndarray, family: Family, names: list[str]
) -> Fit:
    try:
        return fit_risk(x, y, offset, block, family)
    except Separated as error:
        raise LinkwaysError(
            f"{ID}: {names[error.covariate]} parts cells with incidents from cells without, so that its effect has no "
            "finite estimate; leave it out, or give a covariate that overlaps"
        ) from None


def _risk_map(
    ground: Ground,
    layers: np.ndarray,
    usable: np.ndarray,
    fitted: Fit,
    middle: np.ndarray,
    spread: np.ndarray,
    family: str,
) -> "xr.DataArray":
    from scipy.special import expit

    score = fitted.beta[0] + np.tensordot(fitted.beta[1:] / spread, layers - middle[:, None, None], axes=1)
    with np.errstate(over="ignore"):
        risk = np.exp(score) if family == "poisson" else expit(score)
    return ground.raster(np.where(usable, risk, np.nan), "risk", "1/km2" if family == "poisson" else "probability")


def _coefficients(
    fitted: Fit, names: list[str], spread: np.ndarray, middle: np.ndarray, confidence: float
) -> "pd.DataFrame":
    import pandas as pd
    from scipy.stats import norm

    # from deviations back to units: the intercept takes up the means
    back = np.diag(np.r_[1.0, 1 / spread])
    back[0, 1:] = -middle / spread
    beta = back @ fitted.beta
    model, blocks = (np.sqrt(np.diag(back @ c @ back.T)) for c in (fitted.cover, fitted.block_cover))
    z = float(norm.ppf((1 + confidence) / 2))
    return pd.DataFrame(
        {
            "covariate": ["intercept", *names],
            "estimate": beta,
            "se_model": model,
            "se_blocks": blocks,
            "low": beta - z * blocks,
            "high": beta + z * blocks,
            "p": 2 * norm.sf(np.abs(beta) / blocks),
            "per_sd": np.r_[math.nan, fitted.beta[1:]],
            "ratio": np.r_[math.nan, np.exp(fitted.beta[1:])],
        }
    )


def _validation(
    expected: np.ndarray, y: np.ndarray, offset: np.ndarray, fold: np.ndarray, folds: int
) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for one in range(folds):
        held = fold == one
        auc = math.nan
        if np.isfinite(expected[held]).all():
            auc = area_under_curve(expected[held] / np.exp(offset[held]), y[held] > 0)
        rows.append((one + 1, int(held.sum()), float(y[held].sum()), float(expected[held].sum()), auc))
    return pd.DataFrame(rows, columns=["fold", "cells", "incidents", "expected", "auc"])


def _tenths(expected: np.ndarray, y: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    parts = np.array_split(np.argsort(expected, kind="stable"), min(10, len(expected)))
    rows = [(k + 1, len(p), float(expected[p].sum()), float(y[p].sum())) for k, p in enumerate(parts)]
    return pd.DataFrame(rows, columns=["tenth", "cells", "expected", "incidents"])
