"""Numbers with a measure and a unit, and questions about them in words: "corridor narrower than 500 m"."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from linkways.errors import LinkwaysError, nearest

__all__ = [
    "MEASURES",
    "UNITS",
    "NumberQuestion",
    "bounds_in_base",
    "parse_questions",
    "singular",
    "subject_words",
    "to_base",
]

MEASURES = {
    "count": "",
    "length": "m",
    "width": "m",
    "height": "m",
    "depth": "m",
    "distance": "m",
    "area": "m2",
    "share": "%",
    "mass": "kg",
    "duration": "years",
}
"""Every measure with its base unit, in which figures are compared."""

UNITS: dict[str, tuple[str, float]] = {
    "": ("", 1.0),
    "mm": ("m", 1e-3),
    "cm": ("m", 1e-2),
    "m": ("m", 1.0),
    "km": ("m", 1e3),
    "ft": ("m", 0.3048),
    "mi": ("m", 1609.344),
    "m2": ("m2", 1.0),
    "ha": ("m2", 1e4),
    "km2": ("m2", 1e6),
    "acres": ("m2", 4046.8564224),
    "mi2": ("m2", 1609.344**2),
    "%": ("%", 1.0),
    "kg": ("kg", 1.0),
    "t": ("kg", 1e3),
    "days": ("years", 1 / 365.25),
    "months": ("years", 1 / 12),
    "years": ("years", 1.0),
}
"""Every unit with its base unit and how many of these it holds."""

_UNIT_WORDS = {
    **{unit: unit for unit in UNITS if unit},
    **dict.fromkeys(("metre", "metres", "meter", "meters"), "m"),
    **dict.fromkeys(("kilometre", "kilometres", "kilometer", "kilometers"), "km"),
    **dict.fromkeys(("centimetre", "centimetres", "centimeter", "centimeters"), "cm"),
    **dict.fromkeys(("foot", "feet"), "ft"),
    **dict.fromkeys(("mile", "miles"), "mi"),
    **dict.fromkeys(("hectare", "hectares"), "ha"),
    **dict.fromkeys(("acre",), "acres"),
    **dict.fromkeys(("km²", "sqkm", "square kilometres", "square kilometers"), "km2"),
    **dict.fromkeys(("m²", "square metres", "square meters"), "m2"),
    **dict.fromkeys(("mi²", "square miles"), "mi2"),
    **dict.fromkeys(("percent", "per cent"), "%"),
    **dict.fromkeys(("tonne", "tonnes", "tons"), "t"),
    **dict.fromkeys(("day",), "days"),
    **dict.fromkeys(("month",), "months"),
    **dict.fromkeys(("year",), "years"),
}
_MEASURE_WORDS = {
    **{measure: measure for measure in MEASURES if measure != "count"},
    **dict.fromkeys(("number", "count"), "count"),
    **dict.fromkeys(("wide",), "width"),
    **dict.fromkeys(("long",), "length"),
    **dict.fromkeys(("high", "tall"), "height"),
    **dict.fromkeys(("deep",), "depth"),
}
_COMPARED = {
    **dict.fromkeys(("narrower than",), ("<", "width")),
    **dict.fromkeys(("wider than",), (">", "width")),
    **dict.fromkeys(("shorter than",), ("<", "length")),
    **dict.fromkeys(("longer than",), (">", "length")),
    **dict.fromkeys(("lower than",), ("<", "")),
    **dict.fromkeys(("higher than",), (">", "")),
    **dict.fromkeys(("taller than",), (">", "height")),
    **dict.fromkeys(("deeper than",), (">", "depth")),
    **dict.fromkeys(("smaller than", "less than", "fewer than", "under", "below", "<"), ("<", "")),
    **dict.fromkeys(("larger than", "bigger than", "greater than", "more than", "over", "above", ">"), (">", "")),
    **dict.fromkeys(("at least", "no less than", ">=", "≥"), (">=", "")),
    **dict.fromkeys(("at most", "up to", "no more than", "<=", "≤"), ("<=", "")),
}
_MULTIPLES = {"thousand": 1e3, "million": 1e6, "billion": 1e9}
_OF_UNIT = {"m2": ("area",), "%": ("share",), "kg": ("mass",), "years": ("duration",), "": ("count",)}
_LENGTHS = ("length", "width", "height", "depth", "distance")
_LINKING_WORDS = frozenset(("a", "an", "is", "of", "that", "the", "with"))
_EMPTY_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "in", "is", "of", "on", "or", "that", "the", "to", "which", "with")
)


def _either(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_NUMBER = r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_QUESTION = re.compile(
    rf"(?<![\w<>])(?P<compared>{_either(_COMPARED)})\s*{_NUMBER}"
    rf"(?:\s+(?P<multiple>{_either(_MULTIPLES)})\b)?"
    rf"(?:\s*(?P<unit>{_either(_UNIT_WORDS)})(?![\w²]))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class NumberQuestion:
    """A question about the stated figures of solutions: which compare so with a number.

    A figure answers it when all of its range does: "more than 400" answers "over 300" and not "under 1,000", for it
    may be 5,000.

    Attributes:
        text: the words it was read from.
        measures: the measures it may be about; any when empty.
        subject: words that what is measured must hold, such as ``("corridor",)``; anything when empty.
        comparison: ``<``, ``<=``, ``>`` or ``>=``.
        value: the number, in the base unit.
        base: the base unit of the value.
    """

    text: str
    measures: tuple[str, ...]
    subject: tuple[str, ...]
    comparison: str
    value: float
    base: str

    def __str__(self) -> str:
        """The question as it was understood: ``corridor: area > 1,000 km2``."""
        found = _QUESTION.fullmatch(self.text)
        amount = self.text if found is None else self.text[found.start("number") :]
        about = f"{' '.join(self.subject)}: " if self.subject else ""
        return f"{about}{' or '.join(self.measures)} {self.comparison} {amount}"

    def holds(self, measure: str, of: str, low: float, high: float) -> bool:
        """Tell whether a figure (its bounds in the base unit) answers the question with yes."""
        if measure not in self.measures or not set(self.subject) <= set(subject_words(of)):
            return False
        return {
            "<": high < self.value,
            "<=": high <= self.value,
            ">": low > self.value,
            ">=": low >= self.value,
        }[self.comparison]


def to_base(value: float, unit: str, measure: str) -> float:
    """Return a value in the base unit of its measure.

    Raises:
        LinkwaysError: unknown unit or measure, or a unit that does not fit the measure.

    >>> to_base(4.5, "km2", "area")
    4500000.0
    """
    if measure not in MEASURES:
        raise LinkwaysError(f"there is no measure '{measure}'{nearest(measure, MEASURES)}")
    if unit not in UNITS:
        raise LinkwaysError(f"there is no unit '{unit}'{nearest(unit, [u for u in UNITS if u])}")
    base, size = UNITS[unit]
    if base != MEASURES[measure]:
        fitting = ", ".join(name or "no unit" for name, (of, _) in UNITS.items() if of == MEASURES[measure])
        raise LinkwaysError(f"the unit {unit or 'none'} does not fit the measure {measure}; write {fitting}")
    return value * size


def singular(word: str) -> str:
    """Return a word without the endings of an English plural, so that "trees" finds "tree".

    >>> [singular(word) for word in ("trees", "bodies", "grass")]
    ['tree', 'body', 'grass']
    """
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def subject_words(text: str) -> tuple[str, ...]:
    """Return the words of what a figure measures, in the form in which they are compared."""
    words = (singular(word) for word in re.findall(r"[^\W\d_]+", text.lower()))
    return tuple(word for word in words if word not in _EMPTY_WORDS)


def parse_questions(text: str, subjects: Iterable[str]) -> tuple[str, tuple[NumberQuestion, ...]]:
    """Take the questions about numbers out of a search text.

    Args:
        text: what a person asks for, such as ``jaguar corridor area over 1,000 km2``.
        subjects: what the figures of the catalogue measure; only words of these can be the subject of a question,
            so that other words stay words to search for.

    Returns:
        The words that remain, and the questions.

    Raises:
        LinkwaysError: a comparison whose unit does not fit its measure.

    >>> rest, (question,) = parse_questions("jaguar corridor narrower than 500 m", ["corridor"])
    >>> rest, question.measures, question.subject, question.comparison, question.value
    ('jaguar', ('width',), ('corridor',), '<', 500.0)
    """
    known = {word for subject in subjects for word in subject_words(subject)}
    questions: list[NumberQuestion] = []
    left, at = "", 0
    for found in _QUESTION.finditer(text):
        before, measure_before, subject_before = _taken_before(text[at : found.start()], known)
        after, measure_after, subject_after = _taken_after(text[found.end() :], known)
        measure = measure_before or measure_after
        questions.append(_question(found, measure, (*subject_before, *subject_after)))
        left += before + " "
        at = len(text) - len(after)
    return " ".join((left + text[at:]).split()), tuple(questions)


def _question(found: re.Match[str], measure: str, subject: tuple[str, ...]) -> NumberQuestion:
    comparison, implied = _COMPARED[" ".join(found["compared"].lower().split())]
    number = float(found["number"].replace(",", "")) * _MULTIPLES.get((found["multiple"] or "").lower(), 1.0)
    unit = _UNIT_WORDS[found["unit"].lower()] if found["unit"] else ""
    base, size = UNITS[unit]
    asked = implied or measure
    if asked and MEASURES[asked] != base:
        fitting = ", ".join(name for name, (of, _) in UNITS.items() if of == MEASURES[asked] and name)
        mend = f"write {fitting}" if fitting else "leave the unit out"
        raise LinkwaysError(f"'{found[0]}' asks for a {asked} in {unit or 'no unit'}; {mend}")
    measures = (asked,) if asked else _OF_UNIT.get(base, _LENGTHS)
    return NumberQuestion(found[0], measures, subject, comparison, number * size, base)


def _taken_before(text: str, known: set[str]) -> tuple[str, str, tuple[str, ...]]:
    """What remains of the words before a comparison, the measure they name, and the subject nearest to it."""
    words = list(_WORD.finditer(text))
    measure, subject, taken = _named([found[0].lower() for found in reversed(words)], known)
    return (text[: words[-taken].start()] if taken else text), measure, subject


def _taken_after(text: str, known: set[str]) -> tuple[str, str, tuple[str, ...]]:
    """The same for the words after a number: the measure ("wide"), the subject ("dams")."""
    if re.match(r"\s*[,;]", text):
        return text, "", ()
    words = list(_WORD.finditer(text))
    measure, subject, taken = _named([found[0].lower() for found in words], known)
    return (text[words[taken - 1].end() :] if taken else text), measure, subject


_WORD = re.compile(r"[^\W\d_]+")


def _named(words: list[str], known: set[str]) -> tuple[str, tuple[str, ...], int]:
    """The measure and the subject that words name, nearest first, and how many words that takes."""
    measure, subject, taken = "", tuple[str, ...](), 0
    for number, word in enumerate(words, start=1):
        if word in _MEASURE_WORDS and not measure:
            measure, taken = _MEASURE_WORDS[word], number
        elif singular(word) in known and not subject:
            subject, taken = (singular(word),), number
        elif word not in _LINKING_WORDS:
            break
    return measure, subject, taken


def bounds_in_base(
    value: float | None, low: float | None, high: float | None, unit: str, measure: str
) -> tuple[float, float]:
    """Return the least and the largest value of a figure in the base unit of its measure; open ends are infinite."""
    if value is not None:
        exact = to_base(value, unit, measure)
        return exact, exact
    least = -math.inf if low is None else to_base(low, unit, measure)
    most = math.inf if high is None else to_base(high, unit, measure)
    return least, most
