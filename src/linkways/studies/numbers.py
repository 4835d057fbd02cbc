"""Numbers and units as people read them: thousands separators, sensible digits, units spelt as in print."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

__all__ = ["column_heading", "column_text", "in_words", "number", "unit_of_column", "unit_text"]

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_ENDINGS = {
    "km2": "km²",
    "m2": "m²",
    "m3": "m³",
    "km": "km",
    "ha": "ha",
    "m": "m",
    "mm": "mm",
    "cm": "cm",
    "deg": "°",
    "degrees": "°",
    "percent": "%",
    "pct": "%",
    "years": "years",
    "days": "days",
    "hours": "hours",
    "h": "h",
    "seconds": "s",
    "mb": "MB",
    "kg": "kg",
    "usd": "USD",
    "eur": "EUR",
    "kmh": "km/h",
    "share": "share",
}
_NAMES_OF_THINGS = re.compile(
    r"(^|_)(id|ids|code|codes|class|year|rank|link|links|core|cores|node|patch|zone|row|column|number|seed|core_[a-z])$"
)


def number(value: Any, digits: int = 4) -> str:
    """Return ``value`` with thousands separators and about ``digits`` significant digits; whole numbers keep all.

    >>> number(2612345.678), number(0.123456), number(12), number(1.5e-7), number(float("nan"))
    ('2,612,346', '0.1235', '12', '1.5 × 10⁻⁷', 'no value')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "no value"
    if isinstance(value, bool):
        return "yes" if value else "no"
    x = float(value)
    if math.isinf(x):
        return "infinite" if x > 0 else "−infinite"
    if x == 0:
        return "0"
    if abs(x) < 10.0 ** (-digits) or abs(x) >= 1e15:
        mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
        shown = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{_minus(shown)} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    if x == int(x):
        return _minus(f"{int(x):,}")
    text = f"{x:,.{_decimals(x, digits)}f}"
    return _minus(text.rstrip("0").rstrip(".") if "." in text else text)


def column_text(name: str, values: Iterable[Any]) -> list[str]:
    """Return the cells of one table column as text, all numbers of the column with the same decimals.

    A number so small that these decimals would show it as 0 gets digits of its own.

    Columns that number or code things (``core_a``, ``year``, ``class``) get no thousands separators.
    """
    cells = list(values)
    numbers = [float(cell) for cell in cells if _is_number(cell) and math.isfinite(float(cell))]
    if not numbers:
        return [_cell(cell) for cell in cells]
    if _NAMES_OF_THINGS.search(name.lower()) and all(x == int(x) for x in numbers):
        return [str(int(cell)) if _is_finite(cell) else _cell(cell) for cell in cells]
    largest = max(abs(x) for x in numbers)
    digits = 4 if largest >= 1 else 3
    if (largest and largest < 10.0 ** (1 - digits)) or largest >= 1e15:
        return [number(cell, digits) if _is_number(cell) else _cell(cell) for cell in cells]
    whole = all(x == int(x) for x in numbers)
    decimals = 0 if whole else _decimals(largest, digits)
    least = 0.5 * 10.0**-decimals
    return [
        (number(cell, 2) if 0 < abs(float(cell)) <= least else _minus(f"{float(cell):,.{decimals}f}"))
        if _is_finite(cell)
        else _cell(cell)
        for cell in cells
    ]


def column_heading(name: str, doc: str = "") -> str:
    """Return the heading of a column: its name in words, its unit in brackets where name or ``doc`` tells it.

    >>> column_heading("min_width_m"), column_heading("cost", "links: cost (cost-metres), length_m")
    ('Minimum width (m)', 'Cost (cost-metres)')
    """
    unit, stem = unit_of_column(name)
    if not unit:
        told = re.search(rf"(?<!\w){re.escape(name)} \(([^()]{{1,40}})\)", doc)
        unit = unit_text(told.group(1)) if told else ""
    words = in_words(stem)
    return f"{words} ({unit})" if unit and unit != "share" else (f"{words} share" if unit == "share" else words)


def unit_of_column(name: str) -> tuple[str, str]:
    """Return the unit that the end of a column's name tells ("" when none) and the name without it.

    >>> unit_of_column("area_km2"), unit_of_column("rank")
    (('km²', 'area'), ('', 'rank'))
    """
    stem, _, ending = name.rpartition("_")
    unit = _ENDINGS.get(ending.lower(), "")
    return (unit, stem) if stem and unit else ("", name)


def unit_text(unit: str) -> str:
    """Return a unit as in print: ``km2`` becomes ``km²``."""
    return re.sub(r"\b(k?m|cm|mm)([23])\b", lambda m: m.group(1) + m.group(2).translate(_SUPERSCRIPT), unit or "")


def in_words(name: str) -> str:
    """Return a programmer's name as words: ``min_width`` becomes ``Minimum width``."""
    words = [_WORDS.get(word, word) for word in re.split(r"[_\s]+", name.strip()) if word]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


_WORDS = {"min": "minimum", "max": "maximum", "std": "standard deviation", "pct": "percent", "n": "number"}


def _decimals(x: float, digits: int) -> int:
    return max(0, digits - 1 - math.floor(math.log10(abs(x)))) if x else 0


def _is_number(cell: Any) -> bool:
    import numbers

    return isinstance(cell, numbers.Real) and not isinstance(cell, bool) and type(cell).__name__ != "bool"


def _is_finite(cell: Any) -> bool:
    return _is_number(cell) and math.isfinite(float(cell))


def _cell(cell: Any) -> str:
    if cell is None or (_is_number(cell) and math.isnan(float(cell))) or type(cell).__name__ in ("NAType", "NaTType"):
        return "–"
    if type(cell).__name__ in ("bool", "bool_"):
        return "yes" if cell else "no"
    return number(cell) if _is_number(cell) else str(cell)


def _minus(text: str) -> str:
    return text.replace("-", "−")
