"""Checking a study before any work starts: every mistake is found, each told with where it is and how to mend it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from linkways.errors import LinkwaysError, nearest
from linkways.method import Input, Method, Output, Parameter, methods
from linkways.plain_yaml import Place
from linkways.studies.inputs import Header, open_header
from linkways.studies.recipe import Step, Study, StudyInput

__all__ = ["Examined", "Target", "check_study", "examine", "output_kind", "study_warnings"]


def check_study(study: Study, out: str | Path | None = None) -> list[str]:
    """Every mistake in the study, one sentence each with file, line, step and how to mend it; empty when it can run.

    Inputs are found and their headers opened; nothing is computed and nothing is written.

    Args:
        study: the study.
        out: the folder it is to run in; whether that can be written to is checked too.
    """
    problems = examine(study).problems
    return problems if out is None else problems + out_problems(Path(out))


def study_warnings(study: Study) -> list[str]:
    """What does not stop the study but its readers should know: missing licences, inputs that nothing uses."""
    return examine(study).warnings


@dataclass(frozen=True)
class Target:
    """What a reference in the recipe names: a study input, or one output of a step."""

    kind: str | None
    """``raster``, ``vector``, ``table``, ``figure``, ``number`` or ``document``; None for a layer not told to be
    one of the two."""
    input: str | None = None
    step: str | None = None
    output: str | None = None

    @property
    def reference(self) -> str:
        """The reference in full: ``input`` or ``step.output``."""
        return self.input if self.input is not None else f"{self.step}.{self.output}"


@dataclass
class Examined:
    """A study after examination: the mistakes, and what a run needs when there are none."""

    study: Study
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    methods: dict[str, Method] = field(default_factory=dict)
    """The method of each step, by step id."""
    headers: dict[str, Header] = field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Every parameter of each step, checked, with seed and defaults filled in."""
    wiring: dict[str, dict[str, Target | list[Target]]] = field(default_factory=dict)
    """For each step and each input of its method, what is handed on."""
    order: list[str] = field(default_factory=list)
    """Step ids, each after all it depends on."""
    shown: set[str] = field(default_factory=set)
    """Study inputs that the report shows."""

    def dependencies(self, step: str) -> set[str]:
        """The steps whose output a step uses."""
        return {target.step for target in self.targets(step) if target.step is not None}

    def targets(self, step: str) -> list[Target]:
        """Everything that is handed to a step."""
        found: list[Target] = []
        for value in self.wiring.get(step, {}).values():
            found += value if isinstance(value, list) else [value]
        return found

    def target(self, reference: str) -> Target:
        """What a reference names.

        Raises:
            LinkwaysError: nothing, or a step with several outputs of which none is named.
        """
        id, dot, output = reference.partition(".")
        if not dot and id in self.study.inputs:
            header = self.headers.get(id)
            return Target(header.kind if header else self.study.inputs[id].kind, input=id)
        steps = [step.id for step in self.study.steps]
        if id not in steps:
            known = [*steps, *([] if dot else self.study.inputs)]
            what = "step" if dot else "input or step"
            raise LinkwaysError(f"there is no {what} '{id}'{nearest(id, known)}")
        if id not in self.methods:
            # The step's method is unknown, which is told on its own.
            return Target(None, step=id, output=output or id)
        outputs = {one.name: one for one in self.methods[id].outputs}
        if not dot and len(outputs) != 1:
            raise LinkwaysError(
                f"step {id} has several outputs; name one: {', '.join(f'{id}.{name}' for name in outputs)}"
            )
        name = output if dot else next(iter(outputs))
        if name not in outputs:
            raise LinkwaysError(f"step {id} has no output '{name}'{nearest(name, outputs)}")
        return Target(output_kind(self.methods[id], outputs[name]), step=id, output=name)


def examine(study: Study) -> Examined:
    """Check the whole study and prepare what a run needs."""
    found = Examined(study)
    found.problems += study.problems
    _check_names(found)
    _find_methods(found)
    _open_inputs(found)
    _check_alignment(found)
    for step in study.steps:
        _check_step_inputs(found, step)
        _check_step_parameters(found, step)
        _check_grids(found, step)
    _check_seed(found)
    _put_in_order(found)
    _check_report(found)
    _warn(found)
    found.problems = list(dict.fromkeys(found.problems))
    return found


def output_kind(method: Method, output: Output) -> str | None:
    """``raster``, ``vector``, ``table``, ``field``, ``figure`` or ``number``; None for a layer that may be either."""
    if output.kind != "layer":
        return "number" if output.kind == "indicator" else output.kind
    text = _annotation_text(method, output)
    rasters, vectors = "DataArray" in text, "GeoDataFrame" in text
    return None if rasters == vectors else "raster" if rasters else "vector"


def out_problems(out: Path) -> list[str]:
    """Why a run cannot be written to this folder; empty when it can."""
    if out.exists() and not out.is_dir():
        return [f"--out {out} is a file; give a folder"]
    if out.is_dir():
        is_run = (out / "run.json").exists() or (out / ".steps").is_dir()
        if any(out.iterdir()) and not is_run:
            return [f"the folder {out} holds something that is not a run; give a new or empty folder"]
    existing = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    if not existing.is_dir():
        return [f"--out {out}: {existing} is a file; give a folder"]
    if not os.access(existing, os.W_OK | os.X_OK) or _is_read_only(existing):
        return [f"the folder {existing} is not writable; change its permissions or give another --out"]
    return []


# --- names, methods, inputs ----------------------------------------------------------


def _check_names(found: Examined) -> None:
    seen: dict[str, Step] = {}
    inputs = {name.casefold(): name for name in found.study.inputs}
    for step in found.study.steps:
        # Ids become file names, and some file systems do not tell case apart.
        key = step.id.casefold()
        if key in seen:
            first = found.study.where("steps", seen[key].number, "id")
            _say(found, ("steps", step.number, "id"), f"the id '{step.id}' is taken ({first}); give another", step)
        elif key in inputs:
            _say(
                found,
                ("steps", step.number, "id"),
                f"the id '{step.id}' is also the name of an input; give another",
                step,
            )
        seen.setdefault(key, step)


def _find_methods(found: Examined) -> None:
    known = methods()
    for step in found.study.steps:
        if step.method in known:
            found.methods[step.id] = known[step.method]
        elif step.method:
            sentence = f"there is no method '{step.method}'{nearest(step.method, known)}"
            _say(found, ("steps", step.number, "method"), sentence, step)


def _open_inputs(found: Examined) -> None:
    for name, item in found.study.inputs.items():
        if not item.origin:
            continue
        try:
            found.headers[name] = open_header(item, found.study.folder, _wanted_kind(found, name))
        except LinkwaysError as error:
            _say(found, ("inputs", name), f"input {name}: {error}")


def _wanted_kind(found: Examined, name: str) -> str | None:
    """The kind that the steps using an input declare, when they agree."""
    kinds = set()
    for step in found.study.steps:
        declared = {one.name: one for one in found.methods[step.id].inputs} if step.id in found.methods else {}
        kinds |= {declared[key].kind for key, ref in step.references() if ref == name and key in declared}
    return kinds.pop() if len(kinds) == 1 else None


def _check_alignment(found: Examined) -> None:
    inputs = found.study.inputs
    for name, item in inputs.items():
        if item.align is None:
            continue
        place: Place = ("inputs", name, "align")
        if item.align not in inputs:
            hint = nearest(item.align, [other for other in inputs if other != name])
            _say(found, place, f"input {name}: align names no input: '{item.align}'{hint}")
            continue
        chain = align_chain(inputs, name)
        if chain[0] in chain[1:]:
            if name == min(chain):
                _say(found, place, f"inputs are aligned in a circle: {' → '.join(chain)}; remove one 'align'")
            continue
        header, template = found.headers.get(name), found.headers.get(item.align)
        if header is None or template is None:
            continue
        if template.kind != "raster":
            _say(found, place, f"input {name}: align needs a raster and {item.align} is a {template.kind}")
            continue
        _check_overlap(found, place, name, header, align_chain(inputs, name)[-1])


def align_chain(inputs: Mapping[str, StudyInput], name: str) -> list[str]:
    """The input, the one it is aligned to, the one that is aligned to, and so on; ends where a name repeats."""
    chain = [name]
    while (following := inputs[chain[-1]].align) is not None and following in inputs:
        chain.append(following)
        if following in chain[:-1]:
            break
    return chain


def _check_overlap(found: Examined, place: Place, name: str, header: Header, template_name: str) -> None:
    template = found.headers.get(template_name)
    if header.grid is None or template is None or template.grid is None:
        return
    wanted = _bounds_in(template.grid, header.grid.crs)
    if not _overlap(header.grid.bounds, wanted, around=header.grid.crs.is_geographic):
        _say(
            found,
            place,
            f"input {name} covers {_sides(header.grid.bounds)} and input {template_name} {_sides(wanted)} (west, "
            f"south, east, north in {header.crs}), which do not overlap; check the CRS of both or give other inputs",
        )


def _bounds_in(grid: Any, crs: Any) -> tuple[float, float, float, float]:
    from rasterio.warp import transform_bounds

    from linkways.spatial._grid import same_crs

    if same_crs(grid.crs, crs):
        bounds: tuple[float, float, float, float] = grid.bounds
        return bounds
    west, south, east, north = transform_bounds(grid.crs.to_wkt(), crs.to_wkt(), *grid.bounds, densify_pts=21)
    # Across the antimeridian the eastern side comes back west of the western one.
    return west, south, east + 360.0 if crs.is_geographic and west > east else east, north


def _overlap(one: tuple[float, ...], other: tuple[float, ...], *, around: bool) -> bool:
    turns = (-360.0, 0.0, 360.0) if around else (0.0,)
    beside = any(one[0] < other[2] + turn and other[0] + turn < one[2] for turn in turns)
    return beside and one[1] < other[3] and other[1] < one[3]


def _sides(bounds: tuple[float, ...]) -> str:
    return " ".join(f"{side:g}" for side in bounds)


# --- one step ------------------------------------------------------------------------


def _check_step_inputs(found: Examined, step: Step) -> None:
    wiring: dict[str, Target | list[Target]] = {}
    method = found.methods.get(step.id)
    declared = {one.name: one for one in method.inputs} if method else {}
    for name, value in step.inputs.items():
        place: Place = ("steps", step.number, "inputs", name)
        if method and name not in declared:
            hint = nearest(name, declared)
            if name in {one.name for one in method.parameters}:
                hint = " (it is a parameter; write it under 'parameters')"
            _say(found, place, f"{method.id} has no input '{name}'{hint}", step)
        many = name in declared and declared[name].spec.many
        if isinstance(value, list) and method and name in declared and not many:
            _say(found, place, f"input {name} takes one {declared[name].kind}, not a list", step)
        targets = []
        for reference in value if isinstance(value, list) else [value]:
            target = _resolved(found, step, place, reference)
            if target is not None:
                targets.append(target)
                if name in declared:
                    _check_target(found, step, place, declared[name], target)
        if targets:
            wiring[name] = targets if many or isinstance(value, list) else targets[0]
    for one in declared.values():
        if one.required and not step.inputs.get(one.name):
            _say(
                found,
                ("steps", step.number),
                f"input {one.name} is missing; add it under 'inputs' ({one.kind}: {one.spec.doc})",
                step,
            )
    found.wiring[step.id] = wiring


def _resolved(found: Examined, step: Step, place: Place, reference: str) -> Target | None:
    try:
        return found.target(reference)
    except LinkwaysError as error:
        _say(found, place, str(error), step)
        return None


def _check_target(found: Examined, step: Step, place: Place, item: Input, target: Target) -> None:
    # the rows of a layer are a table with geometry
    fits = {item.kind, "vector"} if item.kind == "table" else {item.kind}
    if target.kind is not None and target.kind not in fits:
        sentence = f"input {item.name} must be a {item.kind} but {target.reference} is a {target.kind}"
        _say(found, place, f"{sentence}; name a {item.kind} ({item.spec.doc})", step)
        return
    header = found.headers.get(target.input) if target.input is not None else None
    if header is None:
        return
    columns = getattr(item.spec, "columns", ())
    if header.columns is not None:
        for column in columns:
            if column not in header.columns:
                hint = nearest(column, header.columns)
                _say(found, place, f"input {item.name}: {target.input} has no column '{column}'{hint}", step)
    allowed = getattr(item.spec, "geometry", ())
    if header.geometry and allowed and header.geometry.removeprefix("Multi") not in allowed:
        sentence = f"input {item.name} must hold {' or '.join(allowed)} but {target.input} holds {header.geometry}"
        _say(found, place, f"{sentence}; select or convert its features", step)


def _check_step_parameters(found: Examined, step: Step) -> None:
    method = found.methods.get(step.id)
    if method is None:
        return
    declared = {one.name: one for one in method.parameters}
    for name in step.parameters:
        if name not in declared:
            hint = nearest(name, declared)
            if name in {one.name for one in method.inputs}:
                hint = " (it is an input; write it under 'inputs')"
            _say(found, _parameter_place(step, name), f"{method.id} has no parameter '{name}'{hint}", step)
    values: dict[str, Any] = {}
    for name, parameter in declared.items():
        if name in step.parameters:
            values[name] = _checked_value(found, step, parameter, step.parameters[name])
        elif name == "seed" and found.study.seed is not None:
            values[name] = _checked_value(found, step, parameter, found.study.seed)
        elif parameter.required:
            allowed = ", ".join(bit for bit in (parameter.type_name, parameter.spec.unit, parameter.bounds) if bit)
            sentence = f"parameter {name} is missing; add it under 'parameters' ({allowed}: {parameter.spec.doc})"
            _say(found, ("steps", step.number), sentence, step)
        else:
            values[name] = parameter.default
    found.parameters[step.id] = values


def _checked_value(found: Examined, step: Step, parameter: Parameter, value: Any) -> Any:
    try:
        return parameter.check(value)
    except LinkwaysError as error:
        _say(found, _parameter_place(step, parameter.name), str(error), step)
    except (OverflowError, TypeError):
        allowed = ", ".join(bit for bit in (parameter.type_name, parameter.spec.unit, parameter.bounds) if bit)
        sentence = f"parameter {parameter.name} is {value!r} but must be {allowed}"
        _say(found, _parameter_place(step, parameter.name), sentence, step)
    return None


def _parameter_place(step: Step, name: str) -> Place:
    return ("steps", step.number, "parameters", name)


def _check_seed(found: Examined) -> None:
    study = found.study
    if study.seed is None:
        return
    if study.seed < 0:
        found.problems.append(f"{study.where('seed')}: seed is {study.seed} but must be 0 or more")
    elif found.methods and not any("seed" in values for values in found.parameters.values()):
        found.warnings.append(f"{study.where('seed')}: no step has a seed, so 'seed: {study.seed}' changes nothing")


def _check_grids(found: Examined, step: Step) -> None:
    """Study inputs that a method takes together must lie on one grid, which headers tell before work starts."""
    method = found.methods.get(step.id)
    if method is None:
        return
    first: tuple[str, Any] | None = None
    for item in method.inputs:
        if item.kind != "raster" or getattr(item.spec, "own_grid", False) or item.name not in step.inputs:
            continue
        value = found.wiring[step.id].get(item.name, [])
        for target in value if isinstance(value, list) else [value]:
            grid = _final_grid(found, target)
            if grid is None or target.input is None:
                continue
            if first is None:
                first = (target.input, grid)
            elif not first[1].matches(grid):
                _say(
                    found,
                    ("steps", step.number, "inputs", item.name),
                    f"inputs {first[0]} ({_grid_text(first[1])}) and {target.input} ({_grid_text(grid)}) lie on "
                    f"different grids; add 'align: {first[0]}' and a 'rule' to input {target.input}",
                    step,
                )


def _final_grid(found: Examined, target: Target) -> Any:
    if target.input is None:
        return None
    chain = align_chain(found.study.inputs, target.input)
    header = found.headers.get(chain[-1])
    return header.grid if header is not None and chain[-1] not in chain[:-1] else None


def _grid_text(grid: Any) -> str:
    from linkways.spatial._grid import short_name

    west, south, east, north = grid.bounds
    return f"{grid.rows} x {grid.columns} cells, {west:g} {south:g} {east:g} {north:g}, {short_name(grid.crs)}"


# --- order ---------------------------------------------------------------------------


def _put_in_order(found: Examined) -> None:
    """Order the steps, keeping the recipe's order where it is free; a circle is told by the names in it."""
    waiting = {step.id: found.dependencies(step.id) for step in found.study.steps}
    while waiting:
        ready = [id for id, needs in waiting.items() if not needs & waiting.keys()]
        if not ready:
            circle = _circle(waiting)
            number = found.study.step(circle[0]).number
            sentence = f"steps depend on each other in a circle: {' → '.join(circle)}; break it by another input"
            _say(found, ("steps", number), sentence)
            return
        found.order += ready
        for id in ready:
            del waiting[id]


def _circle(waiting: Mapping[str, set[str]]) -> list[str]:
    """One circle among steps of which each waits for another: a, what uses a, ..., a."""
    path = [next(iter(waiting))]
    while True:
        following = min(waiting[path[-1]] & waiting.keys())
        if following in path:
            # The path runs from users to what they use; told the other way round it follows the data.
            return [following, *path[: path.index(following) : -1], following]
        path.append(following)


# --- report --------------------------------------------------------------------------

_MAP_KEYS = ("title", "layer", "over", "caption", "palette", "label", "column", "width", "log")
_ENTRIES = {
    "maps": ("layer", ("raster", "vector"), _MAP_KEYS),
    "tables": ("table", ("table", "vector"), ("title", "table", "columns", "rows", "caption")),
    "figures": ("figure", ("figure",), ("title", "figure", "caption")),
    "comparisons": ("computed", ("number",), ("title", "published", "source", "computed", "why")),
}
_ENTRY_TYPES: dict[str, tuple[type, str]] = {
    "log": (bool, "true or false"),
    "rows": (int, "a whole number"),
    "columns": (list, "a list of column names"),
    **dict.fromkeys(("title", "caption", "palette", "label", "column", "width", "source", "why"), (str, "text")),
}


def _check_report(found: Examined) -> None:
    report = found.study.report
    for key in report:
        if key not in (*_ENTRIES, "indicators"):
            _say(found, ("report", key), f"report: unknown key '{key}'{nearest(key, (*_ENTRIES, 'indicators'))}")
    for section in (*_ENTRIES, "indicators"):
        entries = report.get(section)
        if entries is None:
            continue
        if not isinstance(entries, list):
            _say(found, ("report", section), f"report: {section} must be a list")
            continue
        for number, entry in enumerate(entries):
            place: Place = ("report", section, number)
            if section == "indicators":
                _check_shown(found, place, entry, ("number",), f"report indicator {number + 1}")
            else:
                _check_entry(found, place, section, entry)


def _check_entry(found: Examined, place: Place, section: str, entry: Any) -> None:
    key, kinds, known = _ENTRIES[section]
    owner = f"report {section[:-1]} {int(place[-1]) + 1}"
    if not isinstance(entry, dict):
        _say(found, place, f"{owner} must be a mapping with {', '.join(known)}")
        return
    for name, value in entry.items():
        if name not in known:
            _say(found, (*place, name), f"{owner}: unknown key '{name}'{nearest(name, known)}")
        elif name in _ENTRY_TYPES and value is not None:
            kind, word = _ENTRY_TYPES[name]
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                _say(found, (*place, name), f"{owner}: {name} is {value!r} but must be {word}")
    if entry.get(key) is None and section == "comparisons":
        if entry.get("why") is None:
            _say(found, place, f"{owner} has nothing computed; add 'computed: step.output', or say 'why' it has not")
    elif entry.get(key) is None:
        _say(found, place, f"{owner} names nothing; add '{key}: step.output'")
    else:
        _check_shown(found, (*place, key), entry[key], kinds, owner)
    over = entry.get("over") or []
    for number, reference in enumerate(over if isinstance(over, list) else [over]):
        _check_shown(found, (*place, "over", number), reference, kinds, f"{owner}: over")
    if section == "comparisons" and entry.get("published") is None:
        _say(found, place, f"{owner} lacks the published figure; add 'published: ...'")


def _check_shown(found: Examined, place: Place, reference: Any, kinds: tuple[str, ...], owner: str) -> None:
    if not isinstance(reference, str):
        _say(found, place, f"{owner}: {reference!r} must name a step's output")
        return
    try:
        target = found.target(reference)
    except LinkwaysError as error:
        _say(found, place, f"{owner}: {error}")
        return
    if target.input is not None:
        found.shown.add(target.input)
    if target.kind is not None and target.kind not in kinds:
        _say(found, place, f"{owner}: {reference} is a {target.kind}, not a {' or '.join(kinds)}; name another")


# --- warnings ------------------------------------------------------------------------


def _warn(found: Examined) -> None:
    used = {target.input for step in found.study.steps for target in found.targets(step.id)} | found.shown
    used |= {item.align for item in found.study.inputs.values()}
    for name, item in found.study.inputs.items():
        header = found.headers.get(name)
        if header is not None and header.kind != "table" and not header.licence:
            where = found.study.where("inputs", name)
            found.warnings.append(f"{where}: input {name} has no licence; add 'licence: ...' so that others may use it")
        if name not in used and item.origin:
            found.warnings.append(f"{found.study.where('inputs', name)}: input {name} is not used by any step")


# --- small matters -------------------------------------------------------------------


def _say(found: Examined, place: Iterable[str | int], sentence: str, step: Step | None = None) -> None:
    owner = f"step {step.id}: " if step is not None else ""
    found.problems.append(f"{found.study.where(*place)}: {owner}{sentence}")


def _annotation_text(method: Method, output: Output) -> str:
    import inspect

    result = inspect.signature(method.function).return_annotation
    if is_dataclass(result):
        annotation: Any = next((part.type for part in fields(result) if part.name == output.name), None)
    else:
        annotation = result
    kind = get_args(annotation)[0] if get_origin(annotation) is not None else annotation
    return str(getattr(kind, "__forward_arg__", None) or kind)


def _is_read_only(folder: Path) -> bool:
    if not hasattr(os, "statvfs"):
        return False
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
