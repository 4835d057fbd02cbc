"""A solution with its runs as one RO-Crate: a folder that archives and other programs understand."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from linkways.catalogue._files import record_text
from linkways.catalogue._record import Solution
from linkways.errors import LinkwaysError

__all__ = ["write_solution_crate"]


def write_solution_crate(record: Solution, folder: str | Path, *, runs: Sequence[str | Path] = ()) -> Path:
    """Write a solution as an RO-Crate 1.1 and return the path of its metadata.

    The folder holds the record as YAML and JSON, its study, and below ``runs/`` what each run's own crate names, so
    that every run stays a crate of its own inside.

    Args:
        record: the solution.
        folder: a new or empty folder.
        runs: folders of finished runs.

    Raises:
        LinkwaysError: a folder that is not empty or cannot be written to, or a run without its crate.
    """
    target = Path(folder)
    if target.is_dir() and any(target.iterdir()):
        raise LinkwaysError(f"{target} is not empty; give a new folder for the crate")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".linkways-") as aside:
            crate = Path(aside) / "crate"
            crate.mkdir()
            _write(record, crate, [Path(run) for run in runs])
            if target.is_dir():
                target.rmdir()
            shutil.move(crate, target)
    except OSError as error:
        raise LinkwaysError(f"the crate cannot be written to {target} ({error.strerror or error})") from None
    return target / "ro-crate-metadata.json"


def _write(record: Solution, folder: Path, runs: list[Path]) -> None:
    (folder / "solution.yaml").write_text(record_text(record, "yaml"), encoding="utf-8")
    (folder / "solution.json").write_text(record_text(record, "json"), encoding="utf-8")
    entities = [
        _file(folder, "solution.yaml", "The record of the solution", "application/yaml"),
        _file(folder, "solution.json", "The record of the solution", "application/json"),
    ]
    if record.study:
        from linkways.plain_yaml import write_yaml

        (folder / "study.yaml").write_text(write_yaml(record.study), encoding="utf-8")
        entities.append(_file(folder, "study.yaml", "The study of the solution", "application/yaml"))
    copied = [_copy_run(run, folder) for run in runs]
    graph = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        _root(record, [*entities, *copied]),
        {"@id": "#licence", "@type": "CreativeWork", "name": record.licence or "No licence is told"},
        *_around(record),
        *entities,
        *copied,
        *(entity for run in copied for entity in [_description(run)]),
    ]
    text = json.dumps(
        {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}, indent=2, ensure_ascii=False
    )
    (folder / "ro-crate-metadata.json").write_text(text + "\n", encoding="utf-8")


def _root(record: Solution, parts: list[dict[str, Any]]) -> dict[str, Any]:
    root: dict[str, Any] = {
        "@id": "./",
        "@type": "Dataset",
        "identifier": record.id,
        "name": record.title,
        "description": record.summary,
        "inLanguage": record.language,
        "license": {"@id": "#licence"},
        "keywords": ", ".join(record.keywords),
        "hasPart": [{"@id": part["@id"]} for part in parts],
        "spatialCoverage": {"@id": "#place"},
        "about": [{"@id": f"#species-{number}"} for number, _ in enumerate(record.species)],
        "author": [{"@id": f"#contributor-{number}"} for number, _ in enumerate(record.contributors)],
        "citation": [{"@id": f"#source-{name}"} for name in record.sources],
    }
    day = record.published or record.updated
    root["datePublished"] = day.isoformat() if day else _today()
    return {key: value for key, value in root.items() if value not in ("", [])}


def _today() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).date().isoformat()


def _around(record: Solution) -> Iterator[dict[str, Any]]:
    """What the root points to that is no file: the place, species, people and sources."""
    place: dict[str, Any] = {"@id": "#place", "@type": "Place", "name": record.place.name}
    if record.place.bounds is not None:
        place["geo"] = {"@id": "#bounds"}
        west, south, east, north = record.place.bounds
        yield {"@id": "#bounds", "@type": "GeoShape", "box": f"{south} {west} {north} {east}"}
    yield place
    for number, species in enumerate(record.species):
        taxon = {"@id": f"#species-{number}", "@type": "Taxon", "name": species.scientific_name}
        yield {**taxon, **({"alternateName": species.name} if species.name else {})}
    for number, one in enumerate(record.contributors):
        person = {
            "@id": f"#contributor-{number}",
            "@type": "Person" if one.organisation else "Organization",
            "name": one.name,
        }
        yield {**person, **({"affiliation": one.organisation} if one.organisation else {})}
    for name, source in record.sources.items():
        yield {"@id": f"#source-{name}", "@type": "CreativeWork", "name": source}


def _file(folder: Path, name: str, description: str, media: str) -> dict[str, Any]:
    content = (folder / name).read_bytes()
    return {
        "@id": name,
        "@type": "File",
        "name": name,
        "description": description,
        "encodingFormat": media,
        "sha256": hashlib.sha256(content).hexdigest(),
        "contentSize": str(len(content)),
    }


def _copy_run(run: Path, folder: Path) -> dict[str, Any]:
    """Copy what a run's crate names, and return the run as a data set of the solution's crate."""
    described = run / "ro-crate-metadata.json"
    if not described.is_file():
        raise LinkwaysError(f"{run} is no finished run (it has no ro-crate-metadata.json); run the study to its end")
    graph = json.loads(described.read_text(encoding="utf-8"))["@graph"]
    root = next(one for one in graph if one["@id"] == "./")
    id = str(root.get("identifier", run.name))[:12]
    inside = Path("runs") / id
    for name in ["ro-crate-metadata.json", *(one["@id"] for one in graph if one["@type"] == "File")]:
        source = (run / name).resolve()
        if not source.is_relative_to(run.resolve()) or not source.is_file():
            raise LinkwaysError(f"{run} lacks the file {name} that its crate names; run the study again")
        (folder / inside / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / inside / name)
    return {
        "@id": f"{inside.as_posix()}/",
        "@type": "Dataset",
        "name": root["name"],
        "description": root.get("description", ""),
        "identifier": root.get("identifier", ""),
        "datePublished": root.get("datePublished", ""),
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "subjectOf": {"@id": f"{inside.as_posix()}/ro-crate-metadata.json"},
    }


def _description(run: dict[str, Any]) -> dict[str, Any]:
    return {
        "@id": run["subjectOf"]["@id"],
        "@type": "CreativeWork",
        "name": f"RO-Crate of the run {run['identifier']}",
        "encodingFormat": "application/ld+json",
        "about": {"@id": run["@id"]},
    }
