"""Methods as OGC API processes, and a study of one step from what a process is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkways.errors import LinkwaysError, nearest
from linkways.web.problems import Forbidden
from linkways.web.replication import read_box

if TYPE_CHECKING:
    from linkways.method import Input, Method
    from linkways.web.shelf import Shelf

__all__ = ["process_description", "process_study", "process_summary"]

_RASTER = {
    "type": "object",
    "description": "a built-in layer over a box in degrees, or a layer of a run here",
    "oneOf": [
        {
            "properties": {"builtin": {"type": "string"}, "bbox": {"type": "array", "items": {"type": "number"}}},
            "required": ["builtin"],
        },
        {"properties": {"run": {"type": "string"}, "layer": {"type": "string"}}, "required": ["run", "layer"]},
    ],
}
_SCHEMAS: dict[str, Any] = {
    "raster": _RASTER,
    "vector": {"oneOf": [{"type": "object", "format": "geojson-feature-collection"}, _RASTER]},
    "table": {"oneOf": [{"type": "array", "items": {"type": "object"}}, _RASTER]},
    "field": {
        "type": "object",
        "description": "a field of a run here",
        "properties": {"run": {"type": "string"}, "layer": {"type": "string"}},
        "required": ["run", "layer"],
    },
}
_OUTPUTS: dict[str, Any] = {
    "layer": {"type": "string", "format": "binary", "contentMediaType": "image/tiff; application=geotiff"},
    "table": {"type": "string", "contentMediaType": "text/csv"},
    "field": {"type": "string", "format": "binary", "contentMediaType": "application/x-netcdf"},
    "figure": {"type": "string", "format": "binary", "contentMediaType": "image/png"},
    "document": {"type": "string", "contentMediaType": "text/html"},
    "indicator": {"type": "number"},
}


def process_summary(method: Method) -> dict[str, Any]:
    """A method as the list of processes tells it."""
    return {
        "id": method.id,
        "title": method.name.replace("_", " "),
        "description": method.summary,
        "version": f"{method.version}.0.0",
        "keywords": [method.room],
        "jobControlOptions": ["async-execute", "dismiss"],
        "outputTransmission": ["reference"],
    }


def process_description(method: Method) -> dict[str, Any]:
    """A method as a process, inputs and parameters together as the standard has them."""
    inputs: dict[str, Any] = {}
    for item in method.inputs:
        most: int | str = "unbounded" if item.spec.many else 1
        inputs[item.name] = {
            "title": item.name.replace("_", " "),
            "description": item.spec.doc,
            "minOccurs": 1 if item.required else 0,
            "maxOccurs": most,
            "schema": _SCHEMAS[item.kind],
        }
    for parameter in method.parameters:
        inputs[parameter.name] = {
            "title": parameter.name.replace("_", " "),
            "description": parameter.spec.doc,
            "minOccurs": 1 if parameter.required else 0,
            "schema": parameter.schema(),
        }
    outputs = {
        one.name: {"title": one.name.replace("_", " "), "description": one.doc, "schema": _OUTPUTS[one.kind]}
        for one in method.outputs
    }
    return {**process_summary(method), "inputs": inputs, "outputs": outputs}


def process_study(method: Method, given: Mapping[str, Any], folder: Path, shelf: Shelf) -> dict[str, Any]:
    """Return a study of one step that runs a method on what was given; data given by value are kept in the folder.

    Raises:
        LinkwaysError: an input or parameter that the method does not have, or a value it cannot take.
        Forbidden: an input by an address elsewhere, which this server never fetches.
    """
    inputs_of = {one.name: one for one in method.inputs}
    parameters_of = {one.name: one for one in method.parameters}
    inputs: dict[str, Any] = {}
    wired: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    for name, value in given.items():
        plain = (
            value["value"]
            if isinstance(value, dict) and set(value) <= {"value", "mediaType"} and "value" in value
            else value
        )
        if name in inputs_of:
            several = plain if inputs_of[name].spec.many and isinstance(plain, list) else [plain]
            names = []
            for number, one in enumerate(several, start=1):
                own = f"in_{name}" if len(several) == 1 else f"in_{name}_{number}"
                inputs[own] = _input(own, inputs_of[name], one, folder, shelf)
                names.append(own)
            wired[name] = names if inputs_of[name].spec.many else names[0]
        elif name in parameters_of:
            parameters[name] = parameters_of[name].check(plain, method.id)
        else:
            known = [*inputs_of, *parameters_of]
            raise LinkwaysError(f"{method.id} has no input '{name[:80]}'{nearest(name, known)}")
    step = {"id": "process", "method": method.id, "inputs": wired}
    return {"linkways": 1, "inputs": inputs, "steps": [{**step, **({"parameters": parameters} if parameters else {})}]}


def _input(name: str, item: Input, value: Any, folder: Path, shelf: Shelf) -> dict[str, Any]:
    if item.kind == "table" and isinstance(value, list):
        return {"rows": value}
    if not isinstance(value, dict):
        raise LinkwaysError(f"input {item.name} must be {_words(item.kind)}")
    if "href" in value:
        raise Forbidden(
            f"input {item.name} is given by an address, which this server never fetches; send the data themselves, or "
            "name a layer of a run here: {run, layer}"
        )
    classes = {"classes": True} if getattr(item.spec, "classes", False) else {}
    if "builtin" in value and item.kind != "field":
        box = value.get("bbox")
        bounds = {"bounds": list(read_box(",".join(str(side) for side in box)))} if isinstance(box, list) else {}
        return {"builtin": str(value["builtin"]), **bounds, **classes}
    if "run" in value and "layer" in value:
        from linkways.web.layers import layer_of

        run = shelf.run(str(value["run"]))
        try:
            return {"path": str(layer_of(run, str(value["layer"])).file), **classes}
        except LinkwaysError:
            output = run.output(str(value["layer"]))
            if not output["file"]:
                raise
            return {"path": str(run.folder / output["file"])}
    if item.kind in ("vector", "table") and value.get("type") == "FeatureCollection":
        file = folder / "inputs" / f"{name}.geojson"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value), encoding="utf-8")
        return {"path": str(file)}
    raise LinkwaysError(f"input {item.name} must be {_words(item.kind)}")


def _words(kind: str) -> str:
    return {
        "raster": "a raster: {builtin, bbox} or {run, layer}",
        "vector": "a GeoJSON FeatureCollection, {builtin, bbox} or {run, layer}",
        "table": "a list of rows, or {run, layer}",
        "field": "{run, layer}",
    }[kind]
