"""The terms of a model as design matrices, and whether the data can tell each of their parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.populations._capture_histories import Records
from linkways.populations._capture_inputs import ID, Detectors

if TYPE_CHECKING:
    import xarray as xr

    from linkways.populations._capture_ground import Ground

__all__ = ["Design", "Terms", "check_identifiable", "density_design", "detection_design"]

INTERCEPT = "(intercept)"
_BEHAVIOUR = ("b", "bk")


@dataclass(frozen=True)
class Terms:
    """What a model is made of, in the user's words."""

    density: tuple[str, ...]
    detection: tuple[str, ...]
    movement: tuple[str, ...]
    function: str
    resistance: tuple[str, ...]
    least_cost: bool
    by_sex: bool
    """Whether the sexes are told apart; so they are in simpler models of the same captures, to compare likelihoods."""

    @property
    def behaviour(self) -> str | None:
        """The behavioural response, if any."""
        return next((term for term in self.detection if term in _BEHAVIOUR), None)

    @property
    def amplitude(self) -> str:
        """Name of the parameter at distance 0."""
        return "lambda0" if self.function.startswith("hazard ") else "g0"


@dataclass(frozen=True)
class Design:
    """A design matrix with standardised columns, and the way back to the user's units."""

    matrix: np.ndarray
    names: list[str]
    to_raw: np.ndarray
    """(p, p) what the coefficients are multiplied with to hold for columns as given."""


def _standardised(columns: Sequence[np.ndarray], names: list[str], weights: np.ndarray | None = None) -> Design:
    """Intercept and columns; quantities are centred and scaled, 0/1 columns are not."""
    size = len(names) + 1
    to_raw = np.eye(size)
    out = []
    for j, column in enumerate(columns, 1):
        if set(np.unique(column)) <= {0.0, 1.0}:
            out.append(column)
            continue
        mean, spread = float(np.average(column, weights=weights)), float(column.std())
        out.append((column - mean) / spread)
        to_raw[0, j] = -mean / spread
        to_raw[j, j] = 1 / spread
    ones = np.ones(out[0].shape if out else ())
    return Design(np.stack([ones, *out], axis=-1) if out else ones[None], [INTERCEPT, *names], to_raw)


def density_design(terms: Sequence[str], covariates: Sequence["xr.DataArray"], ground: "Ground") -> Design:
    """(m, p) design of log density."""
    known = {str(raster.name): raster for raster in covariates}
    columns = []
    for term in terms:
        if term not in known:
            raise LinkwaysError(
                f"{ID}: density names '{term}', and no raster of density_covariates has this name{nearest(term, known)}"
                if known
                else f"{ID}: density names '{term}', and there are no density_covariates; give a raster of that name"
            )
        columns.append(ground.averaged(np.asarray(known[term].values, float)))
    unused = sorted(set(known) - set(terms))
    if unused:
        raise LinkwaysError(
            f"{ID}: density_covariates holds the raster {unused[0]}, which density does not name; add it to density or "
            "leave the raster out"
        )
    _refuse_redundant(columns, list(terms), "density", "the mask")
    if not columns:
        return Design(np.ones((len(ground.cells), 1)), [INTERCEPT], np.eye(1))
    return _standardised(columns, list(terms), ground.area_km2)


def detection_design(
    terms: Sequence[str], detectors: Detectors, sexes: Sequence[str], states: int, what: str
) -> Design:
    """(g, k, p) design of the amplitude or of sigma; groups g run over sexes, and within them over states."""
    groups, size = max(len(sexes), 1) * states, len(detectors.names)
    columns: list[np.ndarray] = []
    names: list[str] = []
    traps: list[np.ndarray] = []
    trap_names: list[str] = []
    for term in dict.fromkeys(terms):
        if term == "sex":
            for c, sex in enumerate(sexes[1:], 1):
                column = np.zeros((len(sexes), states, size))
                column[c] = 1.0
                columns.append(column.reshape(groups, size))
                names.append(f"sex {sex}")
        elif term in _BEHAVIOUR and what == "detection":
            column = np.zeros((groups // states, states, size))
            column[:, 1] = 1.0
            columns.append(column.reshape(groups, size))
            names.append(term)
        else:
            for name, values in _trap_columns(term, detectors, what):
                traps.append(values)
                trap_names.append(name)
    _refuse_redundant(traps, trap_names, what, "the detectors")
    columns += [np.broadcast_to(values, (groups, size)) for values in traps]
    names += trap_names
    if not columns:
        return Design(np.ones((groups, size, 1)), [INTERCEPT], np.eye(1))
    return _standardised(columns, names)


def _trap_columns(term: str, detectors: Detectors, what: str) -> list[tuple[str, np.ndarray]]:
    import pandas as pd

    table = detectors.table
    if term not in table.columns or term == table.geometry.name:
        known = ["sex", *_BEHAVIOUR, *(str(c) for c in table.columns if c not in ("detector", table.geometry.name))]
        raise LinkwaysError(
            f"{ID}: {what} names '{term}', which is neither sex, b, bk nor a column of the layer detectors"
            f"{nearest(term, known)}"
        )
    column = table[term]
    if column.isna().any():
        name = detectors.names[int(column.isna().to_numpy().argmax())]
        raise LinkwaysError(f"{ID}: detector {name} has no {term}, which {what} names; fill it in")
    if pd.api.types.is_numeric_dtype(column):
        return [(term, column.to_numpy(float))]
    kinds = sorted(set(column.astype(str)))
    if len(kinds) < 2:
        raise LinkwaysError(_constant(term, what, "the detectors"))
    return [(f"{term} {kind}", (column.astype(str) == kind).to_numpy(float)) for kind in kinds[1:]]


def _constant(name: str, what: str, where: str) -> str:
    return (
        f"{ID}: {what} names {name}, which is the same all over {where}, so its parameter cannot be told from the "
        f"intercept; leave it out of {what}"
    )


def _refuse_redundant(columns: Sequence[np.ndarray], names: Sequence[str], what: str, where: str) -> None:
    kept = [np.ones(columns[0].size)] if columns else []
    for column, name in zip(columns, names, strict=True):
        if np.ptp(column) <= 1e-9 * max(1e-300, np.abs(column).max()):
            raise LinkwaysError(_constant(name, what, where))
        basis = np.linalg.qr(np.stack(kept, axis=1))[0]
        scaled = (column - column.mean()) / column.std()
        rest = scaled - basis @ (basis.T @ scaled)
        if rest.std() < 1e-5:
            raise LinkwaysError(
                f"{ID}: {what} names {name}, which follows from the other columns over {where}, so its parameter "
                f"cannot be told from theirs; leave it out of {what}"
            )
        kept.append(scaled)


def check_identifiable(terms: Terms, records: Records) -> None:
    """Refuse what these captures cannot tell, with the parameter that would stay unknown."""
    places = np.array([len(np.unique(records.detector[records.animal == i])) for i in range(len(records.animals))])
    if (places < 2).all():
        raise LinkwaysError(
            f"{ID}: sigma cannot be estimated, since no individual was captured at two detectors; give captures with "
            "recaptures elsewhere"
        )
    if terms.by_sex:
        _check_sexes(terms, records, places)
    if terms.behaviour is not None:
        _check_behaviour(terms.behaviour, records)
    if len(set(terms.detection) & set(_BEHAVIOUR)) > 1:
        raise LinkwaysError(f"{ID}: detection names b and bk, whose parameters cannot be told apart; name one of them")


def _check_sexes(terms: Terms, records: Records, places: np.ndarray) -> None:
    if len(records.sexes) < 2:
        raise LinkwaysError(
            f"{ID}: the effect of sex cannot be estimated, since the captures tell "
            f"{'only ' + records.sexes[0] if records.sexes else 'no sex'}; fill the column sex, or leave sex out of "
            "detection and movement"
        )
    for c, sex in enumerate(records.sexes):
        if "sex" in terms.movement and (places[records.sex == c] < 2).all():
            raise LinkwaysError(
                f"{ID}: sigma of sex {sex} cannot be estimated, since none of them was captured at two detectors; "
                "leave sex out of movement"
            )


def _check_behaviour(term: str, records: Records) -> None:
    first: dict[tuple[int, int], int] = {}
    again = False
    for i, s, k in zip(records.animal, records.occasion, records.detector, strict=True):
        key = (int(i), int(k) if term == "bk" else -1)
        again |= s > first.setdefault(key, int(s))
    if not again:
        where = " at the same detector" if term == "bk" else ""
        raise LinkwaysError(
            f"{ID}: the behavioural response {term} cannot be estimated, since no individual was captured{where} on a "
            f"later occasion than its first; leave {term} out of detection"
        )
