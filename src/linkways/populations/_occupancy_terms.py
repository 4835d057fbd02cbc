"""Terms of occupancy models: read from text such as ``forest``, ``elevation**2`` or ``road:effort``, and valued."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError

__all__ = ["Design", "Term", "Values", "columns_of", "design_of", "read_model", "read_term"]

Floats = NDArray[np.float64]
Values = Callable[[str], NDArray[np.generic]]
"""The values of a covariate by its name: numbers, or objects (text) for classes, None where missing."""

_FACTOR = re.compile(
    r"^(?:(?P<function>log|sqrt)\()?(?P<name>[^():*]+?)(?P<close>\))?(?:\*\*(?P<power>\d+(?:\.\d+)?))?$"
)
_PART = re.compile(r"([a-z_]+)\(((?:[^()]|\([^()]*\))*)\)")
_FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {"log": np.log, "sqrt": np.sqrt}


@dataclass(frozen=True)
class Term:
    """A product of covariates, each as it is, through log or sqrt, or to a power."""

    text: str
    factors: tuple[tuple[str, str, float], ...]
    """(name, function or nothing, power)"""

    @property
    def names(self) -> set[str]:
        """The covariates it is made of."""
        return {name for name, _, _ in self.factors}


def read_term(text: str) -> Term:
    """A term from its text; refuses what is none."""
    clean = text.replace(" ", "")
    factors = []
    for part in clean.split(":"):
        found = _FACTOR.match(part)
        if found is None or bool(found["function"]) != bool(found["close"]):
            raise LinkwaysError(
                f"populations.occupancy: '{text}' is no term; write name, name**2, log(name) or sqrt(name), and join "
                "factors by ':'"
            )
        factors.append((found["name"], found["function"] or "", float(found["power"] or 1)))
    return Term(clean, tuple(factors))


def read_model(text: str, parts: Sequence[str]) -> dict[str, list[str]]:
    """The terms of each part of a model such as ``occupancy(forest + road) detection(.)``; parts left out have none."""
    found = dict(_PART.findall(text))
    if not found or _PART.sub("", text).strip():
        raise LinkwaysError(
            f"populations.occupancy: the candidate '{text}' is no model; write {parts[0]}(forest + road) {parts[-1]}(.)"
        )
    for name in found:
        if name not in parts:
            raise LinkwaysError(
                f"populations.occupancy: the candidate '{text}' names {name}, which is no part of this model; its "
                f"parts are {', '.join(parts)}"
            )
    terms = {name: [t.strip() for t in found.get(name, "").split("+")] for name in parts}
    return {name: [t.replace(" ", "") for t in some if t not in ("", ".", "1")] for name, some in terms.items()}


@dataclass(frozen=True)
class Columns:
    """Columns of the terms of one part of a model, without an intercept."""

    names: tuple[str, ...]
    terms: tuple[str, ...]
    """The term each column is of."""
    values: Floats
    """(rows, columns), NaN where a covariate is missing."""
    classes: tuple[bool, ...]


def columns_of(terms: Sequence[Term], values: Values, levels: dict[str, list[str]]) -> Columns:
    """The columns of terms; a class has one for every level but the first in order.

    ``levels`` is filled with the classes that are met, and followed where they are known already (for prediction).
    """
    names, owners, columns, classes = [], [], [], []
    for term in terms:
        products: list[tuple[str, Floats | float, bool]] = [("", 1.0, True)]
        for factor in term.factors:
            pieces = _pieces(factor, values, levels)
            products = [
                (f"{left}:{name}" if left else name, before * column, plain and own)
                for left, before, plain in products
                for name, column, own in pieces
            ]
        for name, column, own in products:
            names.append(name)
            owners.append(term.text)
            columns.append(np.asarray(column, float))
            classes.append(own)
    rows = len(columns[0]) if columns else 0
    return Columns(
        tuple(names), tuple(owners), np.column_stack(columns) if columns else np.empty((rows, 0)), tuple(classes)
    )


def _pieces(
    factor: tuple[str, str, float], values: Values, levels: dict[str, list[str]]
) -> list[tuple[str, Floats, bool]]:
    import pandas as pd

    name, function, power = factor
    found = values(name)
    if found.dtype.kind in "fiub" and name not in levels:
        column = found.astype(float)
        if function:
            with np.errstate(invalid="ignore", divide="ignore"):
                column = _FUNCTIONS[function](column)
            column = np.where(np.isfinite(column), column, np.nan)
        label = f"{function}({name})" if function else name
        return [(label if power == 1 else f"{label}**{power:g}", column if power == 1 else column**power, False)]
    if function or power != 1:
        raise LinkwaysError(
            f"populations.occupancy: a term takes a function of {name}, which holds classes; write {name} alone"
        )
    code, unique = pd.factorize(found)
    text = [str(value) for value in unique]
    if name not in levels:
        levels[name] = sorted(set(text))
        if len(levels[name]) < 2:
            raise LinkwaysError(
                f"populations.occupancy: {name} is a class of which there is only {levels[name] or 'none'}; leave it "
                "out"
            )
    own = np.array([*(levels[name].index(value) if value in levels[name] else -1 for value in text), -1])[code]
    return [
        (f"{name}[{level}]", np.where(own < 0, np.nan, (own == k).astype(float)), True)
        for k, level in enumerate(levels[name])
        if k
    ]


@dataclass(frozen=True)
class Design:
    """An intercept and the columns of one part, brought to mean 0 and standard deviation 1 (classes stay 0 and 1)."""

    names: tuple[str, ...]
    terms: tuple[str, ...]
    """The term each column is of; '' for the intercept."""
    x: Floats
    centre: Floats
    scale: Floats

    def at(self, columns: Floats) -> Floats:
        """The same columns elsewhere, brought to the same scale, with the intercept."""
        return np.column_stack([np.ones(len(columns)), (columns - self.centre[1:]) / self.scale[1:]])

    def chosen(self, terms: Sequence[str]) -> "Design":
        """The part of it that is of some terms."""
        keep = [k for k, term in enumerate(self.terms) if not term or term in terms]
        return Design(
            tuple(self.names[k] for k in keep),
            tuple(self.terms[k] for k in keep),
            np.ascontiguousarray(self.x[:, keep]),
            self.centre[keep],
            self.scale[keep],
        )

    def raw(self) -> Floats:
        """(k, k): what brings coefficients of x to those of the covariates in their own units."""
        matrix = np.diag(1 / self.scale)
        matrix[0] = -self.centre / self.scale
        matrix[0, 0] = 1.0
        return matrix


def design_of(part: str, columns: Columns, rows: int) -> Design:
    """The design of a part; refuses columns that do not vary or cannot be told apart."""
    values = columns.values if len(columns.names) else np.empty((rows, 0))
    plain = ~np.array(columns.classes, dtype=bool)
    centre = np.where(plain, values.mean(axis=0), 0.0)
    spread = values.std(axis=0, ddof=1) if rows > 1 else np.zeros(values.shape[1])
    flat = spread <= 1e-12 * np.maximum(1.0, np.abs(values).max(axis=0, initial=0))
    if flat.any():
        raise LinkwaysError(
            f"populations.occupancy: the coefficient of {columns.names[int(np.argmax(flat))]} for {part} cannot be "
            "identified, because it has the same value everywhere; leave it out"
        )
    scale = np.where(plain, spread, 1.0)
    names = ("intercept", *columns.names)
    design = Design(
        names,
        ("", *columns.terms),
        np.ascontiguousarray(np.column_stack([np.ones(rows), (values - centre) / scale])),
        np.concatenate([[0.0], centre]),
        np.concatenate([[1.0], scale]),
    )
    _refuse_dependent(part, design)
    return design


def _refuse_dependent(part: str, design: Design) -> None:
    gram = design.x.T @ design.x / max(len(design.x), 1)
    for k in range(1, len(gram)):
        before, column = gram[:k, :k], gram[:k, k]
        left = gram[k, k] - column @ np.linalg.solve(before, column)
        if left <= 1e-10 * gram[k, k]:
            raise LinkwaysError(
                f"populations.occupancy: the coefficient of {design.names[k]} for {part} cannot be identified, because "
                "it follows from the terms before it; leave one of them out"
            )
