"""The recipe of a study: named inputs, steps and a report, read from plain YAML.

Reading keeps every mistake of form (unknown keys, wrong types, missing names) so that `linkways.studies.check_study`
can tell all of them together; only what cannot be read at all is refused at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from linkways.errors import LinkwaysError, StudyError, nearest
from linkways.plain_yaml import Document, Place, read_yaml

__all__ = ["FORMAT", "Step", "Study", "StudyInput", "builtin_solutions", "load_study"]

FORMAT = 1
"""Version of the study format this Linkways reads."""

ORIGINS = ("builtin", "path", "url", "package", "rows")
KINDS = ("raster", "vector", "table", "field")
RULES = ("nearest", "average", "fraction")

_STUDY_KEYS = ("linkways", "title", "description", "seed", "inputs", "steps", "report")
_INPUT_KEYS = (
    *ORIGINS,
    *("resource", "bounds", "crs", "band", "layer", "select", "kind", "classes", "align", "rule"),
    *("licence", "source", "simulated"),
)
_STEP_KEYS = ("id", "method", "inputs", "parameters")
_REPLACED_BY_OPTION = (
    *ORIGINS,
    *("resource", "bounds", "crs", "band", "layer", "select", "licence", "source", "simulated"),
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class StudyInput:
    """One named input of a study: where its data come from and how they are read."""

    name: str
    origin: str
    """``builtin``, ``path``, ``url``, ``package`` or ``rows``; empty when the recipe does not say."""
    value: Any
    """What stands under the origin: an id, a path, an address, a package name or the rows."""
    resource: str | None = None
    bounds: tuple[float, float, float, float] | None = None
    crs: str | None = None
    band: int = 1
    layer: str | None = None
    select: dict[str, list[Any]] | None = None
    """Rows or features to keep: for each column, the values that are kept."""
    kind: str | None = None
    classes: bool | None = None
    align: str | None = None
    rule: Literal["nearest", "average", "fraction"] | None = None
    licence: str | None = None
    source: str | None = None
    simulated: bool = False


@dataclass(frozen=True)
class Step:
    """One step of a study: a method with its inputs and the parameters that are set."""

    id: str
    method: str
    inputs: dict[str, str | list[str]]
    parameters: dict[str, Any]
    number: int
    """Its position in the recipe, from 0."""

    def references(self) -> Iterator[tuple[str, str]]:
        """Every (input of the method, reference) of the step."""
        for name, value in self.inputs.items():
            for reference in value if isinstance(value, list) else [value]:
                yield name, reference


@dataclass(frozen=True)
class Study:
    """A study as it will run, with what was given on the command line already in it.

    Attributes:
        document: the YAML it was read from.
        root: where the study stands in it: ``()``, or ``("study",)`` in a solution.
        folder: the folder that its paths are relative to.
        data: the study as plain data, after ``--input`` and ``--set``.
        solution: the record around the study when it was read from a solution, else None.
        problems: the mistakes of form found while reading.
        given: what the command line changed, by place.
    """

    document: Document
    root: Place
    folder: Path
    data: dict[str, Any]
    title: str
    description: str
    seed: int | None
    inputs: dict[str, StudyInput]
    steps: tuple[Step, ...]
    report: dict[str, Any]
    solution: dict[str, Any] | None
    problems: tuple[str, ...]
    given: dict[Place, str]

    def where(self, *place: str | int) -> str:
        """Where a mistake is: the command line option that brought it, or the file and line."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.given:
                return self.given[place[:length]]
        return self.document.where(*self.root, *place)

    def step(self, id: str) -> Step:
        """The step with this id.

        Raises:
            LinkwaysError: there is none.
        """
        for step in self.steps:
            if step.id == id:
                return step
        raise LinkwaysError(f"the study has no step '{id}'{nearest(id, [s.id for s in self.steps])}")


def load_study(
    source: str | Path, *, inputs: Mapping[str, str] | None = None, settings: Mapping[str, str] | None = None
) -> Study:
    """Return the study of a ``study.yaml``, a ``solution.yaml``, a folder that holds one, or a built-in solution.

    Args:
        source: the file or folder, or the id of a built-in solution.
        inputs: files or addresses to use instead of inputs of the study, by input name. The band, layer, bounds,
            CRS, licence and source written in the study belonged to the replaced file and go with it.
        settings: parameter values as text, by ``STEP.PARAM``; ``seed`` sets the study's seed.

    Raises:
        StudyError: no such study, or a file that is not readable YAML. Mistakes of form are kept in ``problems``.
    """
    file, name = _find(source)
    document = read_yaml(_text(file), name)
    root, data, solution = _study_part(document)
    reader = _Reader(document, root, data)
    reader.problems += document.problems
    reader.replace_inputs(inputs or {})
    reader.set_parameters(settings or {})
    return reader.study(file.parent, solution)


def builtin_solutions() -> dict[str, Path]:
    """The files of the built-in solutions, by id."""
    from importlib.resources import files

    folder = files("linkways").joinpath("solutions")
    if not folder.is_dir():
        return {}
    found = ((entry.name, entry.joinpath("solution.yaml")) for entry in folder.iterdir())
    return {id: Path(str(file)) for id, file in sorted(found, key=lambda pair: pair[0]) if file.is_file()}


# --- finding and reading the file ----------------------------------------------------


def _find(source: str | Path) -> tuple[Path, str]:
    path = Path(source)
    if path.is_file():
        return path, str(source)
    if path.is_dir():
        for name in ("study.yaml", "solution.yaml"):
            if (path / name).is_file():
                return path / name, str(path / name)
        raise StudyError([f"the folder {source} holds no study.yaml and no solution.yaml; give the file"])
    known = builtin_solutions()
    if str(source) in known:
        return known[str(source)], f"solution {source}"
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    if path.suffix or len(path.parts) > 1:
        hint = nearest(path.name, [name for name in beside if name.endswith((".yaml", ".yml"))])
        raise StudyError([f"there is no study at {source}{hint}; check the path"])
    raise StudyError([f"there is no study file and no solution '{source}'{nearest(str(source), known)}"])


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyError([f"{file} is not UTF-8 text (byte {error.start}); save it as UTF-8"]) from None
    except OSError as error:
        raise StudyError([f"cannot read {file}: {error.strerror}; check its permissions"]) from None


def _study_part(document: Document) -> tuple[Place, dict[str, Any], dict[str, Any] | None]:
    data = document.data
    if not isinstance(data, dict):
        raise StudyError([f"{document.name}: not a study; write 'linkways: {FORMAT}', inputs and steps"])
    if "study" in data:
        if not isinstance(data["study"], dict):
            raise StudyError([f"{document.where('study')}: study must hold inputs and steps"])
        return ("study",), dict(data["study"]), {key: value for key, value in data.items() if key != "study"}
    if "steps" not in data and "building_blocks" in data:
        raise StudyError([f"{document.name}: this solution carries no study; add one under 'study:'"])
    return (), dict(data), None


# --- from plain data to a study ------------------------------------------------------


class _Reader:
    """Turns plain data into a `Study`, noting mistakes of form on the way."""

    def __init__(self, document: Document, root: Place, data: dict[str, Any]) -> None:
        self.document, self.root, self.data = document, root, data
        self.given: dict[Place, str] = {}
        self.problems: list[str] = []

    def study(self, folder: Path, solution: dict[str, Any] | None) -> Study:
        self._unknown(self.data, _STUDY_KEYS, (), "the study")
        self._check_format()
        record = solution or {}
        inputs = {name: self._input(name, value) for name, value in self._mapping(self.data, (), "inputs").items()}
        steps = tuple(step for step in map(self._step, range(len(self._steps()))) if step is not None)
        if not steps and "steps" not in self.data:
            self._say((), "the study has no steps; add 'steps:' with at least one method")
        return Study(
            document=self.document,
            root=self.root,
            folder=folder.absolute(),
            data=self.data,
            title=str(self._of(self.data, (), "title", str, None) or record.get("title") or "Untitled study"),
            description=str(self._of(self.data, (), "description", str, None) or record.get("summary") or ""),
            seed=self._of(self.data, (), "seed", int, None),
            inputs={name: one for name, one in inputs.items() if one is not None},
            steps=steps,
            report=self._mapping(self.data, (), "report"),
            solution=solution,
            problems=tuple(self.problems),
            given=self.given,
        )

    # what the command line changes

    def replace_inputs(self, inputs: Mapping[str, str]) -> None:
        written = self.data.get("inputs")
        known = written if isinstance(written, dict) else {}
        if inputs and known:
            self.data["inputs"] = dict(known)
        for name, value in inputs.items():
            if name not in known:
                self.problems.append(f"--input {name}: the study has no input '{name}'{nearest(name, known)}")
                continue
            kept = known[name] if isinstance(known[name], dict) else {}
            kept = {key: item for key, item in kept.items() if key not in _REPLACED_BY_OPTION}
            remote = value.startswith(("http://", "https://"))
            origin = {"url": value} if remote else {"path": str(Path(value).absolute())}
            self.data["inputs"][name] = {**origin, **kept}
            self.given["inputs", name] = f"--input {name}"

    def set_parameters(self, settings: Mapping[str, str]) -> None:
        for target, text in settings.items():
            try:
                if target == "seed":
                    self._set_seed(text)
                else:
                    self._set_parameter(target, text)
            except LinkwaysError as error:
                self.problems.append(f"--set {target}: {error}")

    def _set_seed(self, text: str) -> None:
        if not re.fullmatch(r"[0-9]+", text.strip()):
            raise LinkwaysError(f"the seed is '{text}' but must be a whole number, 0 or more")
        self.data["seed"] = int(text)
        self.given["seed",] = "--set seed"

    def _set_parameter(self, target: str, text: str) -> None:
        from linkways.method import find_method

        id, dot, name = target.partition(".")
        if not dot:
            raise LinkwaysError("write it as STEP.PARAM=VALUE")
        steps = self._steps()
        by_id = {str(step.get("id")): number for number, step in enumerate(steps) if isinstance(step, dict)}
        if id not in by_id:
            raise LinkwaysError(f"the study has no step '{id}'{nearest(id, by_id)}")
        number = by_id[id]
        method = find_method(str(steps[number].get("method")))
        declared = {parameter.name: parameter for parameter in method.parameters}
        if name not in declared:
            raise LinkwaysError(f"{method.id} has no parameter '{name}'{nearest(name, declared)}")
        parameters = steps[number].get("parameters")
        changed = {**(parameters if isinstance(parameters, dict) else {}), name: declared[name].parse(text)}
        self.data["steps"] = [*steps[:number], {**steps[number], "parameters": changed}, *steps[number + 1 :]]
        self.given["steps", number, "parameters", name] = f"--set {target}"

    # the parts

    def _check_format(self) -> None:
        version = self.data.get("linkways")
        if version is None:
            self._say((), f"the version of the format is missing; add 'linkways: {FORMAT}' at the top")
        elif version != FORMAT or isinstance(version, bool):
            self._say(
                ("linkways",),
                f"the format is {version!r} but this Linkways reads format {FORMAT}; "
                f"write 'linkways: {FORMAT}' or use the Linkways the study was written for",
            )

    def _input(self, name: str, data: Any) -> StudyInput | None:
        place: Place = ("inputs", name)
        owner = f"input {name}"
        self._check_name(name, place, owner)
        if not isinstance(data, dict):
            self._say(place, f"{owner} must say where its data come from: one of {', '.join(ORIGINS)}")
            return None
        self._unknown(data, _INPUT_KEYS, place, owner)
        origins = [key for key in ORIGINS if data.get(key) is not None]
        if len(origins) != 1:
            found = " and ".join(origins) if origins else "none of them"
            self._say(place, f"{owner} needs exactly one of {', '.join(ORIGINS)} and has {found}")
        origin = origins[0] if len(origins) == 1 else ""
        if origin and origin != "rows" and not isinstance(data[origin], str):
            self._say((*place, origin), f"{owner}: {origin} must be text")
            origin = ""
        if origin == "rows" and not _is_rows(data["rows"]):
            self._say((*place, "rows"), f"{owner}: rows must be a list of rows like {{class: 1, resistance: 5}}")
            origin = ""
        if (origin == "package") != ("resource" in data) and origins:
            self._say(place, f"{owner}: package and resource go together; give both or neither")
            origin = ""
        return StudyInput(name, origin, data.get(origin), **self._reading(data, place, owner))

    def _reading(self, data: dict[str, Any], place: Place, owner: str) -> dict[str, Any]:
        """How the data of an input are read, the mistakes noted."""
        rule = self._choice(data, place, "rule", RULES, owner)
        if (data.get("align") is None) != (data.get("rule") is None):
            self._say(place, f"{owner}: align and rule go together; rule is one of {', '.join(RULES)}")
        band = self._of(data, place, "band", int, 1, owner)
        if band is not None and band < 1:
            self._say((*place, "band"), f"{owner}: bands count from 1")
        return {
            "resource": self._of(data, place, "resource", str, None, owner),
            "bounds": self._bounds(data, place, owner),
            "crs": None if data.get("crs") is None else str(data["crs"]),
            "band": band if band is not None and band >= 1 else 1,
            "layer": self._of(data, place, "layer", str, None, owner),
            "select": self._select(data, place, owner),
            "kind": self._choice(data, place, "kind", KINDS, owner),
            "classes": self._of(data, place, "classes", bool, None, owner),
            "align": self._of(data, place, "align", str, None, owner),
            "rule": rule,
            "licence": self._of(data, place, "licence", str, None, owner),
            "source": self._of(data, place, "source", str, None, owner),
            "simulated": bool(self._of(data, place, "simulated", bool, False, owner)),
        }

    def _select(self, data: dict[str, Any], place: Place, owner: str) -> dict[str, list[Any]] | None:
        """The values to keep by column, a single value as a list of one."""
        given = data.get("select")
        if given is None:
            return None
        if not isinstance(given, dict) or not given:
            self._say((*place, "select"), f"{owner}: select must name columns and the values to keep, {{name: [A, B]}}")
            return None
        return {str(column): list(kept) if isinstance(kept, list) else [kept] for column, kept in given.items()}

    def _step(self, number: int) -> Step | None:
        data, place = self._steps()[number], ("steps", number)
        if not isinstance(data, dict):
            self._say(place, f"step {number + 1} must be a mapping with id, method, inputs and parameters")
            return None
        id = data.get("id")
        owner = f"step {id}" if isinstance(id, str) else f"step {number + 1}"
        self._unknown(data, _STEP_KEYS, place, owner)
        for key in ("id", "method"):
            if not isinstance(data.get(key), str):
                self._say(place, f"{owner} has no {key}; add '{key}: ...'")
        if isinstance(id, str):
            self._check_name(id, (*place, "id"), owner)
        inputs = {}
        for name, value in self._mapping(data, place, "inputs", owner).items():
            if isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, str) for v in value)):
                inputs[name] = value
            else:
                self._say(
                    (*place, "inputs", name),
                    f"{owner}: input {name} must name a study input or a step's output (or a list of them)",
                )
        parameters = self._mapping(data, place, "parameters", owner)
        return Step(str(id), str(data.get("method") or ""), inputs, parameters, number)

    # small checks

    def _steps(self) -> list[Any]:
        steps = self.data.get("steps")
        if steps is None or isinstance(steps, list):
            return steps or []
        self._say(("steps",), "steps must be a list, each step beginning with '- id: ...'")
        self.data["steps"] = []
        return []

    def _bounds(self, data: dict[str, Any], place: Place, owner: str) -> tuple[float, float, float, float] | None:
        value = data.get("bounds")
        if value is None:
            return None
        numbers = isinstance(value, list) and all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < float("inf") for v in value
        )
        if not numbers or len(value) != 4:
            self._say((*place, "bounds"), f"{owner}: bounds must be four numbers: [west, south, east, north]")
            return None
        west, south, east, north = (float(v) for v in value)
        if south >= north:
            self._say((*place, "bounds"), f"{owner}: south ({south:g}) must lie below north ({north:g}) in bounds")
            return None
        return west, south, east, north

    def _choice(self, data: dict[str, Any], place: Place, key: str, known: tuple[str, ...], owner: str) -> str | None:
        value = data.get(key)
        if value is None or value in known:
            return value
        self._say((*place, key), f"{owner}: {key} is '{value}'{nearest(str(value), known)}")
        return None

    def _of(self, data: dict[str, Any], place: Place, key: str, kind: type, default: Any, owner: str = "") -> Any:
        value = data.get(key)
        if value is None:
            return default
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        word = {str: "text", int: "a whole number", bool: "true or false"}[kind]
        self._say((*place, key), f"{owner + ': ' if owner else ''}{key} is {value!r} but must be {word}")
        return default

    def _mapping(self, data: dict[str, Any], place: Place, key: str, owner: str = "") -> dict[str, Any]:
        value = data.get(key)
        if value is None or isinstance(value, dict):
            return value or {}
        self._say((*place, key), f"{owner + ': ' if owner else ''}{key} must be a mapping of names to what they are")
        return {}

    def _check_name(self, name: str, place: Place, owner: str) -> None:
        if not _NAME.fullmatch(name):
            self._say(place, f"{owner}: a name is made of letters, digits, - and _ and begins with a letter")

    def _unknown(self, data: dict[str, Any], known: Iterable[str], place: Place, owner: str) -> None:
        names = tuple(known)
        for key in data:
            if key not in names:
                self._say((*place, key), f"{owner}: unknown key '{key}'{nearest(key, names)}")

    def _say(self, place: Place, sentence: str) -> None:
        for length in range(len(place), 0, -1):
            if place[:length] in self.given:
                self.problems.append(f"{self.given[place[:length]]}: {sentence}")
                return
        self.problems.append(f"{self.document.where(*self.root, *place)}: {sentence}")


def _is_rows(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, dict) and row for row in value)
        and not any(isinstance(cell, (dict, list)) for row in value for cell in row.values())
    )
