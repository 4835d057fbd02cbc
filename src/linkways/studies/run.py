"""Running a study into a folder, and finding finished runs again."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linkways.errors import LinkwaysError, StudyError, nearest
from linkways.studies._publish import FORMAT
from linkways.studies._work import Event, RunStopped, Work
from linkways.studies.checks import examine, out_problems
from linkways.studies.recipe import Study
from linkways.studies.store import Store, disk_sentence, locked

__all__ = ["Event", "Run", "RunStopped", "read_run", "run_study"]


@dataclass(frozen=True)
class Run:
    """One finished run: its folder and what ``run.json`` says."""

    folder: Path
    record: dict[str, Any]

    @property
    def id(self) -> str:
        """The identity of the run: the same for the same study, inputs and versions."""
        return str(self.record["id"])

    @property
    def report(self) -> Path:
        """The report."""
        return self.folder / "report.html"

    def output(self, reference: str) -> dict[str, Any]:
        """What ``run.json`` says of ``step.output``, or of ``step`` when it has one output.

        Raises:
            LinkwaysError: the run has no such output.
        """
        known = {f"{step['id']}.{one['name']}": one for step in self.record["steps"] for one in step["outputs"]}
        if reference in known:
            return dict(known[reference])
        alone = [name for name in known if name.split(".")[0] == reference]
        if len(alone) == 1:
            return dict(known[alone[0]])
        raise LinkwaysError(f"the run in {self.folder} has no output '{reference}'{nearest(reference, known)}")

    def read(self, reference: str) -> Any:
        """An output as data: a DataArray, a GeoDataFrame, a DataFrame or a number.

        Raises:
            LinkwaysError: the run has no such output, or it is a figure.
        """
        from linkways.spatial import read_field, read_raster, read_table, read_vectors

        output = self.output(reference)
        if output["file"] is None:
            return output["value"]
        path = self.folder / output["file"]
        if path.suffix == ".png":
            raise LinkwaysError(f"output {reference} is a figure; open {path}")
        if path.suffix == ".nc":
            return read_field(path)
        if path.parent.name == "tables":
            return read_table(path.with_suffix(".parquet"))
        return read_raster(path).rename(output["name"]) if path.suffix == ".tif" else read_vectors(path)


def read_run(folder: str | Path) -> Run:
    """Return the finished run in a folder.

    Raises:
        LinkwaysError: there is no finished run, or one of a newer format.
    """
    path = Path(folder)
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        if (path / ".steps").is_dir():
            raise LinkwaysError(f"the run in {path} is not finished; run the study again with --out {path}") from None
        raise LinkwaysError(f"there is no run in {path}; give the folder that a run was written to") from None
    except (OSError, ValueError) as error:
        raise LinkwaysError(f"{path / 'run.json'} cannot be read ({error}); run the study again") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        found = record.get("format") if isinstance(record, dict) else None
        raise LinkwaysError(f"the run in {path} has format {found} but this Linkways reads format {FORMAT}")
    return Run(path, record)


def run_study(
    study: Study,
    out: str | Path,
    *,
    jobs: int | None = None,
    fresh: bool = False,
    on_event: Callable[[Event], None] | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Check a study, run it into a folder, write its report and return the run.

    Steps whose method, version, parameters and inputs are those of an earlier run in the folder are taken over. So is
    what an earlier run that was stopped or killed had finished of a long step.

    Args:
        study: the study.
        out: the folder of the run; made when it does not exist.
        jobs: how many steps may run side by side; by default one per core.
        fresh: run every step, whatever is there.
        on_event: called in this thread for every `Event`.
        stop: set it from another thread to stop the run as Ctrl-C does.

    Raises:
        StudyError: the study has mistakes, all of them told; nothing was written.
        RunStopped: stopped by Ctrl-C or ``stop``; finished steps, and what is finished of long ones, are kept.
        LinkwaysError: a step refused its input, the disk is full, or another run holds the folder.
    """
    folder = Path(out)
    found = examine(study)
    problems = found.problems + out_problems(folder)
    if jobs is not None and jobs < 1:
        problems.append(f"--jobs is {jobs} but must be 1 or more")
    if problems:
        raise StudyError(problems)
    folder = folder.absolute()
    try:
        store = Store(folder / ".steps")
    except OSError as error:
        raise disk_sentence(error, folder) from error
    with locked(store.folder):
        store.tidy()
        work = Work(found, folder, store, on_event or (lambda _: None), stop or threading.Event())
        try:
            work.run(jobs or _cores(), fresh)
        except KeyboardInterrupt:
            raise work.stopped() from None
        finally:
            work.halt.set()
            store.tidy()
    return read_run(folder)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
