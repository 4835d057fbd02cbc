"""Terms of a selection model: read from text such as ``forest:log_sl`` or ``elevation**2``, valued on variables."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from linkways.errors import LinkwaysError, nearest

__all__ = ["Term", "Variables", "design", "read_terms"]

Variables = Mapping[str, np.ndarray]

_FACTOR = re.compile(
    r"^(?:(?P<function>log|sqrt|cos)\()?(?P<name>[^():*]+?)(?P<close>\))?(?:\*\*(?P<power>\d+(?:\.\d+)?))?$"
)
_FUNCTIONS = {"log": np.log, "sqrt": np.sqrt, "cos": np.cos}


@dataclass(frozen=True)
class Factor:
    """One variable of a term: as it is, through a function, to a power, or whether it is a class."""

    name: str
    function: str = ""
    power: float = 1.0
    code: float | None = None

    def of(self, variables: Variables) -> np.ndarray:
        """Its values; NaN where a logarithm or root has none."""
        values = np.asarray(variables[self.name], dtype=float)
        if self.code is not None:
            return np.where(np.isnan(values), np.nan, values == self.code)
        if self.function:
            with np.errstate(invalid="ignore", divide="ignore"):
                values = _FUNCTIONS[self.function](values)
            values = np.where(np.isfinite(values), values, np.nan)
        return values if self.power == 1 else values**self.power

    def __str__(self) -> str:
        if self.code is not None:
            return f"{self.name}[{self.code:g}]"
        text = f"{self.function}({self.name})" if self.function else self.name
        return text if self.power == 1 else f"{text}**{self.power:g}"


@dataclass(frozen=True)
class Term:
    """A product of factors."""

    factors: tuple[Factor, ...]

    def of(self, variables: Variables) -> np.ndarray:
        """Its values."""
        values = self.factors[0].of(variables)
        for factor in self.factors[1:]:
            values = values * factor.of(variables)
        return values

    @property
    def names(self) -> set[str]:
        """The variables it is made of."""
        return {factor.name for factor in self.factors}

    def __str__(self) -> str:
        return ":".join(map(str, self.factors))


def read_terms(texts: Sequence[str], known: Sequence[str], classes: Mapping[str, Sequence[float]]) -> list[Term]:
    """Terms from their texts, those of classes as one term for every class but the first.

    Args:
        texts: factors joined by ``:``; a factor is ``name``, ``name**2``, ``log(name)``, ``sqrt(name)``, ``cos(name)``.
        known: the variables there are.
        classes: codes of the variables that are classes, the reference first.

    Raises:
        LinkwaysError: a text that is no term, an unknown variable, a function of a class, or a term given twice.
    """
    out: list[Term] = []
    for text in texts:
        products: list[tuple[Factor, ...]] = [()]
        for part in text.replace(" ", "").split(":"):
            factors = _factors(part, text, known, classes)
            products = [(*product, factor) for product in products for factor in factors]
        out += map(Term, products)
    seen: set[str] = set()
    for term in out:
        if str(term) in seen:
            raise LinkwaysError(f"terms holds {term} twice; name it once")
        seen.add(str(term))
    return out


def _factors(part: str, text: str, known: Sequence[str], classes: Mapping[str, Sequence[float]]) -> list[Factor]:
    found = _FACTOR.match(part)
    if found is None or bool(found["function"]) != bool(found["close"]):
        raise LinkwaysError(
            f"'{text}' is no term; write name, name**2, log(name), sqrt(name) or cos(name), and join factors by ':'"
        )
    name = found["name"]
    if name not in known:
        raise LinkwaysError(
            f"the term {text} names {name}, which is none of {', '.join(sorted(known))}{nearest(name, known)}"
        )
    if name not in classes:
        return [Factor(name, found["function"] or "", float(found["power"] or 1))]
    if found["function"] or found["power"]:
        raise LinkwaysError(f"the term {text} takes a function of {name}, which holds classes; write {name} alone")
    return [Factor(name, code=float(code)) for code in classes[name][1:]]


def design(terms: Sequence[Term], variables: Variables) -> np.ndarray:
    """(rows, terms) values of terms."""
    return np.column_stack([term.of(variables).ravel() for term in terms])
