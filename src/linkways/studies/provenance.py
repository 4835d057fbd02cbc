"""What a run leaves behind for readers and programs: ``run.json`` and the RO-Crate metadata."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from linkways import __version__
from linkways.method import Method
from linkways.studies.checks import Examined, Target
from linkways.studies.store import Finished, write_json

__all__ = [
    "input_record",
    "published",
    "published_input",
    "read_record",
    "run_id",
    "step_record",
    "surroundings",
    "write_crate",
]

PACKAGES = ("numpy", "scipy", "numba", "pandas", "geopandas", "shapely", "pyproj", "rasterio", "xarray")

_FOLDERS = {
    "raster": "layers",
    "vector": "layers",
    "field": "layers",
    "table": "tables",
    "figure": "figures",
    "document": "documents",
}
_MEDIA = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".png": "image/png",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".html": "text/html",
    ".txt": "text/plain",
    ".nc": "application/x-netcdf",
    ".graphml": "application/xml",
}


def surroundings() -> dict[str, Any]:
    """What a run ran on: versions of Python, of the system and of the packages that compute."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": packages,
    }


def run_id(found: Examined, input_keys: Mapping[str, str]) -> str:
    """The identity of a run: the same study on the same inputs with the same versions has the same id."""
    study = found.study
    decides = {
        "study": {key: value for key, value in study.data.items() if key != "inputs"},
        "inputs": dict(input_keys),
        "linkways": __version__,
        "methods": {id: [method.id, method.version] for id, method in found.methods.items()},
    }
    text = json.dumps(decides, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def input_record(found: Examined, name: str, sha256: str, read: Mapping[str, Any] | None, out: Path) -> dict[str, Any]:
    """One input as ``run.json`` tells it; ``read`` holds what became known when it was read, if it was."""
    item, header = found.study.inputs[name], found.headers[name]
    record: dict[str, Any] = {"name": name, "kind": header.kind}
    if item.origin == "path":
        record["path"] = relative(Path(str(header.target)), out)
    elif item.origin != "rows":
        record[item.origin] = item.value
        if item.resource is not None:
            record["resource"] = item.resource
    for key in ("band", "layer", "align", "rule"):
        value = getattr(item, key)
        if value is not None and not (key == "band" and (header.kind != "raster" or item.origin == "builtin")):
            record[key] = value
    known = {"crs": header.crs, "bounds": header.bounds, "shape": header.shape, "log": list(header.log)}
    return {
        **record,
        "sha256": sha256,
        **known,
        **{key: value for key, value in (read or {}).items() if key in known},
        "licence": header.licence,
        "source": header.source,
        "simulated": header.simulated or bool((read or {}).get("simulated")),
    }


def step_record(found: Examined, id: str, key: str, finished: Finished, reused: bool) -> dict[str, Any]:
    """One step as ``run.json`` tells it."""
    method = found.methods[id]
    units = {parameter.name: parameter.spec.unit for parameter in method.parameters}
    return {
        "id": id,
        "method": method.id,
        "version": method.version,
        "summary": method.summary,
        "references": list(method.references),
        "parameters": {
            name: {"value": value, "unit": units.get(name, "")} for name, value in found.parameters[id].items()
        },
        "inputs": {name: _references(value) for name, value in found.wiring[id].items()},
        "key": key,
        "finished": finished.record["finished"],
        "seconds": finished.record["seconds"],
        "peak_memory_mb": finished.record["peak_memory_mb"],
        "reused": reused,
        "log": finished.record["log"],
        "outputs": list(_outputs(id, method, finished)),
    }


def published(id: str, finished: Finished) -> Iterator[tuple[str, Path]]:
    """Where each file of a step goes in the run folder, and the file in the store."""
    for part in finished.parts.values():
        for name in part.files:
            yield f"{_FOLDERS[part.kind]}/{id}.{name}", finished.folder / name


def published_input(name: str, finished: Finished) -> Iterator[tuple[str, Path]]:
    """Where each file of an input that the report shows goes in the run folder, and the file in the store."""
    for part in finished.parts.values():
        for file in part.files:
            yield f"{_FOLDERS[part.kind]}/{name}{Path(file).suffix}", finished.folder / file


def read_record(value: Any, log: list[str]) -> dict[str, Any]:
    """What becomes known of an input when it is read."""
    from linkways.studies.inputs import header_of

    header = header_of(value)
    return {
        "crs": header.crs,
        "bounds": header.bounds,
        "shape": header.shape,
        "simulated": bool(value.attrs.get("simulated")),
        "log": log,
    }


def relative(path: Path, out: Path) -> str:
    """The path as seen from the run folder, so that both can move together; in full where that cannot be."""
    try:
        return Path(os.path.relpath(path, out)).as_posix()
    except ValueError:
        return str(path)


def _references(value: Target | list[Target]) -> str | list[str]:
    return [one.reference for one in value] if isinstance(value, list) else value.reference


def _outputs(id: str, method: Method, finished: Finished) -> Iterator[dict[str, Any]]:
    for declared in method.outputs:
        part = finished.parts[declared.name]
        names = list(part.files)
        # A table is told by the file that people open.
        shown = next((name for name in names if name.endswith(".csv")), names[0] if names else None)
        yield {
            "name": declared.name,
            "kind": declared.kind,
            "doc": declared.doc,
            "unit": declared.unit,
            "file": f"{_FOLDERS[part.kind]}/{id}.{shown}" if shown is not None else None,
            "sha256": part.files[shown] if shown is not None else None,
            "value": part.value,
            **({"told": part.told} if part.told else {}),
        }


# --- RO-Crate ------------------------------------------------------------------------


def write_crate(folder: Path) -> Path:
    """Write ``ro-crate-metadata.json`` (RO-Crate 1.1 JSON-LD) for a finished run folder and return its path.

    Every file is a data entity with its SHA-256; every step is a CreateAction that says with which method (instrument)
    it made which files (result) from which inputs (object), after the Process Run Crate profile.
    """
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    entities = [*_files(folder, record), *_inputs(record), *_software(record), *_actions(record)]
    graph = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        _root(record, entities),
        {
            "@id": "#licences",
            "@type": "CreativeWork",
            "name": "Licences of the inputs",
            "description": _licences(record),
        },
        {
            "@id": "https://w3id.org/ro/wfrun/process/0.5",
            "@type": "CreativeWork",
            "name": "Process Run Crate",
            "version": "0.5",
        },
        *entities,
    ]
    path = folder / "ro-crate-metadata.json"
    write_json(path, {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph})
    return path


def _root(record: dict[str, Any], entities: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": record["title"],
        "description": record["description"] or f"A run of the study {record['title']} with Linkways",
        "identifier": record["id"],
        "datePublished": record["finished"],
        "license": {"@id": "#licences"},
        "conformsTo": {"@id": "https://w3id.org/ro/wfrun/process/0.5"},
        "hasPart": [{"@id": one["@id"]} for one in entities if one["@type"] == "File"],
        "mentions": [{"@id": one["@id"]} for one in entities if one["@type"] == "CreateAction"],
    }


def _licences(record: dict[str, Any]) -> str:
    told = [f"{one['name']}: {one['licence'] or 'not told'}" for one in record["inputs"]]
    return "The results are bound by the licences of their inputs. " + "; ".join(told)


def _files(folder: Path, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    docs = {output["file"]: output for step in record["steps"] for output in step["outputs"] if output["file"]}
    names = ["study.yaml", "run.json", "indicators.json", "report.html"]
    found = [folder / name for name in names]
    for sub in ("layers", "tables", "figures"):
        found += sorted((folder / sub).glob("*.*")) if (folder / sub).is_dir() else []
    for path in found:
        if not path.is_file() or path.name.startswith("."):
            continue
        name = path.relative_to(folder).as_posix()
        entity = {"@id": name, "@type": "File", "name": name, "encodingFormat": _MEDIA.get(path.suffix, "")}
        with path.open("rb") as file:
            entity["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        entity["contentSize"] = str(path.stat().st_size)
        if name in docs:
            unit = f" ({docs[name]['unit']})" if docs[name]["unit"] else ""
            entity["description"] = f"{docs[name]['doc']}{unit}"
        yield entity


def _inputs(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for one in record["inputs"]:
        origin = next((str(one[key]) for key in ("url", "builtin", "package", "path") if key in one), "in the study")
        entity = {
            "@id": f"#input-{one['name']}",
            "@type": "CreativeWork",
            "name": one["name"],
            "sha256": one["sha256"],
            "description": f"{'simulated ' if one['simulated'] else ''}{one['kind']} from {origin}",
        }
        if one["licence"]:
            entity["usageInfo"] = one["licence"]
        if one["source"]:
            entity["citation"] = one["source"]
        if "url" in one:
            entity["url"] = one["url"]
        yield entity


def _software(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {
        "@id": "#linkways",
        "@type": "SoftwareApplication",
        "name": "Linkways",
        "softwareVersion": record["linkways"],
        "softwareRequirements": [
            f"Python {record['python']}",
            *(f"{name} {number}" for name, number in record["packages"].items()),
        ],
    }
    seen = set()
    for step in record["steps"]:
        if step["method"] not in seen:
            seen.add(step["method"])
            yield {
                "@id": f"#method-{step['method']}",
                "@type": "SoftwareApplication",
                "name": step["method"],
                "description": step["summary"],
                "softwareVersion": f"{record['linkways']}, method version {step['version']}",
                "isPartOf": {"@id": "#linkways"},
                "citation": step["references"],
            }


def _actions(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    made = {
        f"{step['id']}.{output['name']}": output["file"] or f"#value-{step['id']}.{output['name']}"
        for step in record["steps"]
        for output in step["outputs"]
    }
    for step in record["steps"]:
        used = [ref for value in step["inputs"].values() for ref in (value if isinstance(value, list) else [value])]
        parameters = [
            {
                "@id": f"#parameter-{step['id']}.{name}",
                "@type": "PropertyValue",
                "name": name,
                "value": one["value"]
                if isinstance(one["value"], (str, int, float, bool))
                else json.dumps(one["value"]),
                **({"unitText": one["unit"]} if one["unit"] else {}),
            }
            for name, one in step["parameters"].items()
        ]
        values = [
            {
                "@id": f"#value-{step['id']}.{output['name']}",
                "@type": "PropertyValue",
                "name": f"{step['id']}.{output['name']}",
                "description": output["doc"],
                "value": output["value"] if output["value"] is not None else "none",
                **({"unitText": output["unit"]} if output["unit"] else {}),
            }
            for output in step["outputs"]
            if output["file"] is None
        ]
        yield {
            "@id": f"#step-{step['id']}",
            "@type": "CreateAction",
            "name": f"{step['id']}: {step['summary']}",
            "instrument": {"@id": f"#method-{step['method']}"},
            "object": [
                *({"@id": made.get(ref, f"#input-{ref}")} for ref in dict.fromkeys(used)),
                *({"@id": one["@id"]} for one in parameters),
            ],
            "result": [{"@id": made[f"{step['id']}.{output['name']}"]} for output in step["outputs"]],
            "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
            "endTime": step["finished"],
            "description": f"computed in {step['seconds']:.3f} s" + (", taken over" if step["reused"] else ""),
        }
        yield from parameters
        yield from values
