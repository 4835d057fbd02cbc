"""YAML in, with the line of every key: plain data only, within limits that a study never needs to pass."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from linkways.errors import StudyError

__all__ = ["Document", "Place", "read_yaml", "write_yaml"]

Place = tuple[str | int, ...]

DEEPEST = 20
MOST_VALUES = 100_000
MOST_BYTES = 5_000_000


@dataclass(frozen=True)
class Document:
    """What a YAML file says, and where it says it.

    Attributes:
        name: the file's name, for messages.
        data: dicts, lists, text, numbers, true or false, None.
        lines: the line (from 1) of every key and list item, by its place (keys and indexes from the top).
        problems: mistakes of form that do not stop the reading, such as a key given twice.
    """

    name: str
    data: Any
    lines: dict[Place, int]
    problems: tuple[str, ...] = ()

    def where(self, *place: str | int) -> str:
        """The file and the line of a place, or of the nearest thing around it that has one."""
        for length in range(len(place), 0, -1):
            line = self.lines.get(place[:length])
            if line is not None:
                return f"{self.name} line {line}"
        return self.name


def read_yaml(text: str, name: str) -> Document:
    """Read one YAML document as plain data.

    Scalars follow the YAML 1.2 core schema: ``true`` and ``false`` are the only truth values (``NO`` is a country),
    ``1e5`` is a number, dates and clock times are text.

    Raises:
        StudyError: not YAML, more than one document, deeper or larger than the limits, tags (a study holds no code).
    """
    import yaml

    if len(text) > MOST_BYTES:
        raise StudyError([f"{name} is larger than {MOST_BYTES // 1_000_000} MB; keep data in files beside the study"])
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(name)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}" if mark is not None else ""
        reason = error.problem or error.context or "it cannot be read"
        begun = error.context_mark
        if begun is not None and mark is not None and begun.line < mark.line:
            reason += f", in what begins on line {begun.line + 1}"
        raise StudyError([f"{name}{line}: not valid YAML ({reason}){_hint(text, mark)}"]) from None
    except yaml.YAMLError as error:
        raise StudyError([f"{name}: not valid YAML ({str(error).splitlines()[0]}); mend the text"]) from None
    return Document(name, builder.result, builder.lines, tuple(builder.problems))


def _hint(text: str, mark: Any) -> str:
    lines = text.splitlines()
    shown = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if "\t" in shown[: len(shown) - len(shown.lstrip())]:
        return "; indent with spaces, not tabs"
    if shown.count(": ") > 1 and not shown.lstrip().startswith(("{", "- {")):
        return "; put text that holds ': ' in quotes"
    return "; mend the indentation, quotes or brackets there"


@dataclass
class _Open:
    """A list or mapping that is being read."""

    value: Any
    place: Place
    anchor: str | None
    line: int
    key: str | None = None
    size: int = 1
    height: int = 1

    def next_place(self) -> Place:
        return (*self.place, len(self.value) if isinstance(self.value, list) else str(self.key))


@dataclass
class _Builder:
    """Builds the data from parser events, without recursion, so that no document can exhaust the stack."""

    name: str
    result: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int, int]] = field(default_factory=dict)
    total: int = 0
    documents: int = 0

    def take(self, event: Any) -> None:
        import yaml

        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self._refusal(line, "holds a second document; keep one study per file")
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._check_tag(event, line)
            self._open(event, line)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            closed = self.stack.pop()
            self._add(closed.value, closed.line, (closed.size, closed.height), closed.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self._refusal(line, f"'*{event.anchor}' refers to something that is not written before it")
            value, size, height = self.anchors[event.anchor]
            self._check_depth(len(self.stack) + height, line)
            self._count(size, line)
            self._add(_unshared(value), line, (size, height))
        elif isinstance(event, yaml.ScalarEvent):
            self._check_tag(event, line)
            plain = event.style is None or event.style == ""
            value = _plain(event.value) if plain and event.tag is None else event.value
            self._count(1, line)
            self._add(value, line, (1, 0), event.anchor, text=event.value)

    def _check_tag(self, event: Any, line: int) -> None:
        if event.tag is not None and event.tag not in _PLAIN_TAGS:
            raise self._refusal(line, f"the tag {event.tag} is not allowed, a study holds no code; remove the tag")

    def _open(self, event: Any, line: int) -> None:
        import yaml

        self._check_depth(len(self.stack) + 1, line)
        self._count(1, line)
        if self.stack and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None:
            raise self._refusal(line, "a list or mapping cannot be a key; put the name in quotes")
        place = self.stack[-1].next_place() if self.stack else ()
        self._mark(place, line)
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.stack.append(_Open(value, place, event.anchor, line))

    def _check_depth(self, depth: int, line: int) -> None:
        if depth > DEEPEST:
            raise self._refusal(line, f"is nested deeper than {DEEPEST} levels; write it flatter")

    def _count(self, size: int, line: int) -> None:
        # An alias counts as often as it is used, so that nested aliases cannot grow without bound.
        self.total += size
        if self.total > MOST_VALUES:
            raise self._refusal(line, f"holds more than {MOST_VALUES} values with its aliases written out; shorten it")

    def _add(
        self, value: Any, line: int, measure: tuple[int, int], anchor: str | None = None, *, text: str = ""
    ) -> None:
        """Put a finished value of the given (number of values, height) where it belongs."""
        size, height = measure
        if anchor is not None:
            self.anchors[anchor] = (value, size, height)
        if not self.stack:
            self.result = value
            return
        parent = self.stack[-1]
        parent.size += size
        parent.height = max(parent.height, height + 1)
        if isinstance(parent.value, list):
            self._mark(parent.next_place(), line)
            parent.value.append(value)
        elif parent.key is None:
            self._take_key(parent, text if text or isinstance(value, str) else value, line)
        else:
            parent.value[parent.key] = value
            parent.key = None

    def _take_key(self, parent: _Open, key: Any, line: int) -> None:
        if isinstance(key, (dict, list)):
            raise self._refusal(line, "a list or mapping cannot be a key; put the name in quotes")
        parent.key = str(key)
        if parent.key in parent.value:
            first = self.lines.get((*parent.place, parent.key))
            self.problems.append(
                f"{self.name} line {line}: '{parent.key}' is given twice (first on line {first}); remove one of them"
            )
        self.lines[(*parent.place, parent.key)] = line

    def _mark(self, place: Place, line: int) -> None:
        # A mapping's key already has its line, which is where a reader looks.
        self.lines.setdefault(place, line)

    def _refusal(self, line: int, sentence: str) -> StudyError:
        return StudyError([f"{self.name} line {line}: {sentence}"])


_PLAIN_TAGS = {"!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        # Python refuses to read endless digits; no quantity has this many.
        return int(text) if len(text) < 40 else float(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _unshared(value: Any) -> Any:
    """A copy, so that changing one place that an alias filled does not change the others."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def write_yaml(data: Any) -> str:
    """Plain data as YAML text that `read_yaml` reads back as the same data."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes every text that would be read back as something else."""

        def ignore_aliases(self, _: Any) -> bool:
            return True

    def text(dumper: Dumper, value: str) -> Any:
        style = "'" if _plain(value) != value else None
        if any(not letter.isprintable() for letter in value.replace("\n", "")):
            style = '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    written: str = yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)
    return written
