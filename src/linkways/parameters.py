"""A method's parameters: what an author declares of one, and how its values are checked, read and described."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from linkways.errors import LinkwaysError, nearest

__all__ = ["Param", "Parameter"]


@dataclass(frozen=True)
class Param:
    """A parameter: what it is, its unit, its bounds, and where its default comes from."""

    doc: str
    unit: str = ""
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    choices: tuple[Any, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Parameter:
    """One declared parameter of a method."""

    name: str
    type: Any
    spec: Param
    default: Any
    required: bool

    @property
    def optional(self) -> bool:
        """Whether None is a value."""
        return type(None) in _union_members(self.type)

    @property
    def base(self) -> Any:
        """The type without None."""
        members = [t for t in _union_members(self.type) if t is not type(None)]
        return members[0] if len(members) == 1 else Union[tuple(members)]  # noqa: UP007

    @property
    def choices(self) -> tuple[Any, ...]:
        """The only values allowed, empty when any value of the type within the bounds is."""
        if get_origin(self.base) is Literal:
            return get_args(self.base)
        return self.spec.choices

    @property
    def type_name(self) -> str:
        """The type in words a form or a help page can show."""
        base = self.base
        if self.choices:
            return " | ".join(str(c) for c in self.choices)
        if get_origin(base) in (list, tuple, Sequence):
            return f"list of {_type_word(get_args(base)[0])}"
        return _type_word(base)

    @property
    def bounds(self) -> str:
        """The bounds as text, e.g. ``> 0, <= 1``."""
        spec = self.spec
        pairs = ((">=", spec.ge), (">", spec.gt), ("<=", spec.le), ("<", spec.lt))
        return ", ".join(f"{sign} {value:g}" for sign, value in pairs if value is not None)

    def check(self, value: Any, where: str = "") -> Any:
        """Return ``value`` as this parameter's type, or say in one sentence why it cannot be."""
        place = f"{where}: " if where else ""
        if value is None:
            if self.optional:
                return None
            raise LinkwaysError(f"{place}parameter {self.name} must have a value ({self.allowed()})")
        if get_origin(self.base) in (list, tuple, Sequence):
            item = get_args(self.base)[0]
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise LinkwaysError(f"{place}parameter {self.name} must be a list of {_type_word(item)}")
            return [self._check_one(v, item, place) for v in value]
        return self._check_one(value, self.base, place)

    def parse(self, text: str, where: str = "") -> Any:
        """Read the parameter from text (a command line option); lists are comma separated."""
        if text.strip().lower() in ("none", "null", "") and self.optional:
            return None
        if get_origin(self.base) in (list, tuple, Sequence):
            item = get_args(self.base)[0]
            return self.check([_from_text(part, item) for part in text.split(",")], where)
        return self.check(_from_text(text, self.base), where)

    def schema(self) -> dict[str, Any]:
        """The parameter as JSON Schema."""
        spec = self.spec
        base = self.base
        if get_origin(base) in (list, tuple, Sequence):
            out: dict[str, Any] = {"type": "array", "items": {"type": _json_type(get_args(base)[0])}}
        else:
            out = {"type": _json_type(base)}
        if self.choices:
            out["enum"] = list(self.choices)
        if self.optional:
            out["type"] = [out["type"], "null"]
            if self.choices:
                out["enum"] = [*out["enum"], None]
        names = ("minimum", spec.ge), ("exclusiveMinimum", spec.gt), ("maximum", spec.le)
        target = out.get("items", out)
        target.update({k: v for k, v in (*names, ("exclusiveMaximum", spec.lt)) if v is not None})
        out["description"] = spec.doc
        if spec.unit:
            out["x-unit"] = spec.unit
        if spec.source:
            out["x-source"] = spec.source
        if not self.required:
            out["default"] = self.default
        return out

    def allowed(self) -> str:
        """What a value may be, in words: type, unit, bounds."""
        bits = [self.type_name, self.spec.unit, self.bounds]
        return ", ".join(b for b in bits if b)

    def _check_one(self, value: Any, wanted: Any, place: str) -> Any:
        if self.choices:
            if value not in self.choices or isinstance(value, bool) != isinstance(self.choices[0], bool):
                hint = nearest(str(value), [str(c) for c in self.choices])
                raise LinkwaysError(
                    f"{place}parameter {self.name} is {value!r} but must be one of "
                    f"{', '.join(str(c) for c in self.choices)}{hint if 'did you' in hint else ''}"
                )
            return value
        try:
            value = _as_type(value, wanted)
        except (TypeError, ValueError, OverflowError):
            raise LinkwaysError(
                f"{place}parameter {self.name} is {value!r} but must be {_type_word(wanted)} ({self.allowed()})"
            ) from None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not self._within(value):
            unit = f" {self.spec.unit}" if self.spec.unit else ""
            raise LinkwaysError(
                f"{place}parameter {self.name} is {value:g}{unit} but must be {self.bounds or 'finite'}{unit}"
            )
        return value

    def _within(self, value: float) -> bool:
        spec = self.spec
        return not (
            math.isnan(value)
            or (spec.ge is not None and value < spec.ge)
            or (spec.gt is not None and value <= spec.gt)
            or (spec.le is not None and value > spec.le)
            or (spec.lt is not None and value >= spec.lt)
        )


def _union_members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _type_word(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " | ".join(str(c) for c in get_args(kind))
    if get_origin(kind) in (dict, Mapping) or kind in (dict, Mapping):
        return "a mapping of names to numbers"
    return {int: "an integer", float: "a number", bool: "true or false", str: "text"}.get(kind, str(kind))


def _json_type(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return _json_type(type(get_args(kind)[0]))
    if get_origin(kind) in (dict, Mapping):
        return "object"
    return {int: "integer", float: "number", bool: "boolean", str: "string"}[kind]


def _as_type(value: Any, kind: Any) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise TypeError
    if kind is int:
        if isinstance(value, bool) or float(value) != int(value):
            raise TypeError
        return int(value)
    if kind is float:
        if isinstance(value, (bool, str)):
            raise TypeError
        return float(value)
    if kind is str:
        if not isinstance(value, str):
            raise TypeError
        return value
    if get_origin(kind) in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise TypeError
        return {str(k): float(v) for k, v in value.items()}
    return value


def _from_text(text: str, kind: Any) -> Any:
    text = text.strip()
    if get_origin(kind) is Literal:
        return {str(c): c for c in typing.get_args(kind)}.get(text, text)
    if kind is bool:
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
    if kind in (int, float):
        try:
            number = float(text)
        except ValueError:
            return text
        return int(number) if kind is int and number == int(number) else number
    if get_origin(kind) in (dict, Mapping):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return dict(part.split("=", 1) for part in text.split(",")) if "=" in text else text
    return text
