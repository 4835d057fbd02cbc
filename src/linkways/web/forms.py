"""Forms made from the declarations: the parameters of a study's steps, and where its inputs come from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, get_origin

from linkways.errors import LinkwaysError
from linkways.web.languages import gettext
from linkways.web.replication import Box, read_box
from linkways.web.settings import Settings
from linkways.web.uploads import FORMATS, server_file, take_upload, used_mb

if TYPE_CHECKING:
    from linkways.method import Parameter
    from linkways.studies import Study

__all__ = ["apply_inputs", "apply_parameters", "input_fields", "parameter_fields", "text_of"]

_OF_THE_DATA = (
    *("builtin", "path", "url", "package", "rows", "resource", "bounds", "crs", "band", "layer", "select"),
    *("licence", "source", "simulated"),
)
"""What a study says of an input that belongs to the data, and goes with them when others are given."""


# --- parameters ----------------------------------------------------------------------


def parameter_fields(study: Study) -> list[dict[str, Any]]:
    """The steps of a study, each with the fields of its method's parameters."""
    from linkways.method import methods

    known = methods()
    steps = []
    for step in study.steps:
        method = known.get(step.method)
        fields = [_field(step.id, p, step.parameters) for p in method.parameters] if method else []
        steps.append(
            {
                "id": step.id,
                "method": step.method,
                "summary": method.summary if method else "",
                "fields": fields,
                "set": [one for one in fields if one["set"]],
                "others": [one for one in fields if not one["set"]],
            }
        )
    return steps


def _field(step: str, parameter: Parameter, given: Mapping[str, Any]) -> dict[str, Any]:
    spec = parameter.spec
    is_set = parameter.name in given
    value = given[parameter.name] if is_set else parameter.default
    kind = "choice" if parameter.choices or parameter.base is bool else "text"
    if kind == "text" and parameter.base in (int, float):
        kind = "number"
    listed = get_origin(parameter.base) is not None and not parameter.choices
    return {
        "name": f"{step}.{parameter.name}",
        "parameter": parameter.name,
        "label": parameter.name.replace("_", " "),
        "doc": spec.doc,
        "unit": spec.unit,
        "bounds": parameter.bounds,
        "source": spec.source,
        "kind": kind,
        "list": listed,
        "choices": _choices(parameter),
        "value": text_of(value),
        "default": text_of(parameter.default),
        "required": parameter.required,
        "optional": parameter.optional,
        "set": is_set,
        "min": spec.ge if spec.ge is not None else spec.gt,
        "max": spec.le if spec.le is not None else spec.lt,
        "whole": parameter.base is int,
    }


def _choices(parameter: Parameter) -> list[str]:
    chosen = ["true", "false"] if parameter.base is bool else [text_of(one) for one in parameter.choices]
    return ["", *chosen] if chosen and parameter.optional else chosen


def text_of(value: Any) -> str:
    """A parameter's value as a form shows it and `Parameter.parse` reads it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return json.dumps(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(text_of(one) for one in value)
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def apply_parameters(study: Study, form: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the study as data with the parameters of a form, and the mistakes by field.

    A field that is left empty takes the declared default; one that is not in the form stays as it is.
    """
    from linkways.method import methods

    known = methods()
    problems: dict[str, str] = {}
    steps = [dict(step) for step in study.data.get("steps", [])]
    by_id = {step.get("id"): step for step in steps}
    for step in study.steps:
        if step.method not in known:
            continue
        chosen = dict(step.parameters)
        for parameter in known[step.method].parameters:
            field = f"{step.id}.{parameter.name}"
            if field in form:
                try:
                    _set(chosen, parameter, form[field])
                except LinkwaysError as error:
                    problems[field] = str(error)
        by_id[step.id].pop("parameters", None)
        if chosen:
            by_id[step.id]["parameters"] = chosen
    data = {**study.data, "steps": steps}
    if form.get("seed", "").strip():
        if re.fullmatch("[0-9]{1,18}", form["seed"].strip()):
            data["seed"] = int(form["seed"])
        else:
            problems["seed"] = f"the seed is '{form['seed'][:40]}' but must be a whole number, 0 or more"
    return data, problems


def _set(chosen: dict[str, Any], parameter: Parameter, text: str) -> None:
    now = chosen.get(parameter.name, parameter.default)
    if text.strip() == text_of(now):
        return
    if not text.strip() and not parameter.optional:
        chosen.pop(parameter.name, None)
        return
    chosen[parameter.name] = parameter.parse(text)


# --- inputs --------------------------------------------------------------------------


def input_fields(study: Study, found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The inputs of a study, each with what it is now and what may be given instead."""
    from linkways.spatial import builtin_sources

    fields = []
    for name, item in study.inputs.items():
        kind = str((found.get(name) or {}).get("kind") or item.kind or _declared_kind(study, name))
        builtins = [
            {"name": source.name, "title": source.title}
            for source in builtin_sources()
            if (source.kind == "raster") == (kind == "raster") and kind not in ("table", "field")
        ]
        fields.append(
            {
                "name": name,
                "kind": kind,
                "doc": _doc(study, name),
                "now": _now(item),
                "builtin": item.value if item.origin == "builtin" else None,
                "builtins": builtins,
                "formats": ", ".join(FORMATS[kind]),
                "accept": ",".join(FORMATS[kind]),
                "select": {column: ", ".join(map(str, kept)) for column, kept in (item.select or {}).items()},
                "classes": bool(item.classes),
                **{key: value for key, value in (found.get(name) or {}).items() if key != "kind"},
                "simulated": item.simulated or bool((found.get(name) or {}).get("simulated")),
            }
        )
    return fields


def _declared_kind(study: Study, name: str) -> str:
    spec = _spec(study, name)
    return spec.kind if spec else "vector"


def _doc(study: Study, name: str) -> str:
    spec = _spec(study, name)
    return spec.spec.doc if spec else ""


def _spec(study: Study, name: str) -> Any:
    """The declaration of the first method input that a study input is handed to."""
    from linkways.method import methods

    known = methods()
    for step in study.steps:
        for own, reference in step.references():
            if reference == name and step.method in known:
                return next((one for one in known[step.method].inputs if one.name == own), None)
    return None


def _now(item: Any) -> str:
    """Where an input comes from now, in words."""
    if item.origin == "builtin":
        told = {"name": item.value, "box": ", ".join(f"{side:g}" for side in item.bounds or ())}
        if item.bounds:
            return gettext("built-in layer %(name)s over %(box)s") % told
        return gettext("built-in layer %(name)s") % told
    if item.origin == "package":
        return gettext("%(file)s, which comes with Linkways") % {"file": Path(str(item.resource)).name}
    if item.origin == "path":
        return gettext("your file %(file)s") % {"file": Path(str(item.value)).name}
    return gettext("a table written in the study") if item.origin == "rows" else str(item.value)


def apply_inputs(
    study: Study,
    form: Mapping[str, str],
    files: Mapping[str, tuple[str, BinaryIO]],
    folder: Path,
    settings: Settings,
    owned_mb: float = 0.0,
) -> tuple[dict[str, Any], dict[str, str], Box | None]:
    """Return the study as data with the inputs of a form, the mistakes by field, and the box if one was given.

    Args:
        study: the study as it is.
        form: ``box``; for each input ``input.NAME`` (keep, upload, server or builtin:SOURCE), ``path.NAME``,
            ``select.NAME.COLUMN``, ``licence.NAME`` and ``source.NAME``.
        files: uploads by ``file.NAME``, each with its file name.
        folder: the folder of the job, where uploads are kept.
        settings: the limits.
        owned_mb: megabytes of uploads that the user has already.
    """
    problems: dict[str, str] = {}
    box = None
    if form.get("box", "").strip():
        try:
            box = read_box(form["box"])
        except LinkwaysError as error:
            problems["box"] = str(error)
    inputs = {name: dict(item) for name, item in study.data.get("inputs", {}).items()}
    for name in study.inputs:
        try:
            inputs[name] = _changed(name, inputs[name], study, form, files, folder, settings, box, owned_mb)
        except LinkwaysError as error:
            problems[f"input.{name}"] = str(error)
    return {**study.data, "inputs": inputs}, problems, box


def _changed(
    name: str,
    item: dict[str, Any],
    study: Study,
    form: Mapping[str, str],
    files: Mapping[str, tuple[str, BinaryIO]],
    folder: Path,
    settings: Settings,
    box: Box | None,
    owned_mb: float,
) -> dict[str, Any]:
    choice = form.get(f"input.{name}", "keep")
    kind = str(item.get("kind") or _kind_of(study, name))
    how = {key: value for key, value in item.items() if key not in _OF_THE_DATA}
    told = {key: form[f"{key}.{name}"].strip() for key in ("licence", "source") if form.get(f"{key}.{name}")}
    if choice == "upload":
        filename, file = files.get(f"file.{name}", ("", None))
        if file is None or not filename:
            raise LinkwaysError(f"choose the file for {name}")
        if used_mb(folder / "inputs") + owned_mb > settings.most_user_mb:
            raise LinkwaysError(f"your uploads take {settings.most_user_mb:g} MB already; remove a run you do not need")
        kept = take_upload(file, filename, kind, folder / "inputs" / name, settings)
        return {"path": kept.relative_to(folder).as_posix(), **how, **told}
    if choice == "server":
        return {"path": str(server_file(form.get(f"path.{name}", ""), kind, settings)), **how, **told}
    if choice.startswith("builtin:"):
        bounds = list(box) if box else item.get("bounds")
        if not bounds:
            raise LinkwaysError(f"give the box over which the built-in layer for {name} is read")
        return {"builtin": choice.removeprefix("builtin:"), "bounds": bounds, **how}
    changed = dict(item)
    if box and item.get("builtin"):
        changed["bounds"] = list(box)
    if isinstance(item.get("select"), dict):
        changed |= _selected(name, item["select"], form)
        if not changed["select"]:
            changed.pop("select")
    return changed


def _selected(name: str, select: Mapping[str, Any], form: Mapping[str, str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for column, kept in select.items():
        text = form.get(f"select.{name}.{column}")
        values = kept if isinstance(kept, list) else [kept]
        if text is None or text.strip() == ", ".join(map(str, values)):
            out[column] = values
        elif text.strip():
            out[column] = [_like(part.strip(), values) for part in text.split(",") if part.strip()]
    return {"select": out}


def _like(text: str, values: list[Any]) -> Any:
    """A typed value for text, as the values it stands beside."""
    if values and isinstance(values[0], bool):
        return text.lower() == "true"
    if values and isinstance(values[0], (int, float)):
        try:
            number = float(text)
        except ValueError:
            return text
        return int(number) if number.is_integer() else number
    return text


def _kind_of(study: Study, name: str) -> str:
    from linkways.studies.inputs import open_header

    item = study.inputs[name]
    try:
        return open_header(item, study.folder, _declared_kind(study, name)).kind
    except LinkwaysError:
        return _declared_kind(study, name)
