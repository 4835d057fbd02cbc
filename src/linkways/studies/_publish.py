"""Putting the results of a run where readers look: layers, tables, figures, ``run.json``, report and RO-Crate."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from linkways.plain_yaml import write_yaml
from linkways.studies import provenance
from linkways.studies.checks import Examined
from linkways.studies.store import Finished, disk_sentence, write_json, write_text

__all__ = ["FORMAT", "publish"]

FORMAT = 1
"""Version of ``run.json``."""


def publish(
    out: Path,
    found: Examined,
    record: Mapping[str, Any],
    steps: Mapping[str, Finished],
    shown: Mapping[str, Finished],
    before_report: Callable[[], None],
) -> None:
    """Write the run folder. ``run.json`` comes after what it names, so that where it is, all of that is there.

    Args:
        out: the run folder.
        found: the examined study.
        record: what ``run.json`` says.
        steps: the finished steps.
        shown: the inputs that the report draws.
        before_report: called when the results are in place and the report is about to be written.
    """
    earlier = _earlier_files(out)
    files = dict(pair for id, finished in steps.items() for pair in provenance.published(id, finished))
    for name, finished in shown.items():
        files |= dict(provenance.published_input(name, finished))
    try:
        for name in ("run.json", "report.html", "ro-crate-metadata.json", *sorted(earlier - files.keys())):
            (out / name).unlink(missing_ok=True)
        for name, source in files.items():
            _link(source, out / name)
    except OSError as error:
        raise disk_sentence(error, out) from error
    write_json(out / "indicators.json", _indicators(record))
    write_text(out / "study.yaml", write_yaml(_study_as_run(found, out)))
    write_json(out / "run.json", {**record, "files": sorted(files)})
    before_report()
    try:
        from linkways.studies.report import write_report

        write_report(out)
    finally:
        provenance.write_crate(out)


def _study_as_run(found: Examined, out: Path) -> dict[str, Any]:
    """The study with its paths as seen from the run folder."""
    study = found.study
    data = dict(study.data)
    for key, text in (("title", study.title), ("description", study.description)):
        if text:
            data.setdefault(key, text)
    inputs = dict(data.get("inputs") or {})
    for name, item in study.inputs.items():
        if item.origin == "path":
            path = provenance.relative(Path(str(found.headers[name].target)), out)
            inputs[name] = {**inputs[name], "path": path}
    return {**data, "inputs": inputs} if inputs else data


def _earlier_files(out: Path) -> set[str]:
    """The files that an earlier run in the folder put there."""
    try:
        record = json.loads((out / "run.json").read_text(encoding="utf-8"))
        names = {str(name) for name in record["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in names if name.split("/")[0] in ("layers", "tables", "figures") and ".." not in name}


def _link(source: Path, target: Path) -> None:
    """Put a stored file in its place: a second name for it where the file system can, else a copy."""
    target.parent.mkdir(exist_ok=True)
    aside = target.with_name(f".{target.name}.new")
    aside.unlink(missing_ok=True)
    try:
        os.link(source, aside)
    except OSError:
        shutil.copyfile(source, aside)
    # Where both names already are one file, replace leaves the new name behind.
    aside.replace(target)
    aside.unlink(missing_ok=True)


def _indicators(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{step['id']}.{output['name']}",
            "value": output["value"],
            **({"told": output["told"]} if output.get("told") else {}),
            "unit": output["unit"],
            "doc": output["doc"],
            "method": step["method"],
        }
        for step in record["steps"]
        for output in step["outputs"]
        if output["kind"] == "indicator"
    ]
