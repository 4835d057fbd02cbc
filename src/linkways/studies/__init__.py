"""Studies: recipes of inputs and steps, checked before they run, resumable while they run, with full provenance.

>>> from linkways.studies import check_study, load_study, run_study  # doctest: +SKIP
>>> study = load_study("study.yaml", settings={"resistance.combine": "sum"})  # doctest: +SKIP
>>> check_study(study)  # doctest: +SKIP
[]
>>> run = run_study(study, "out")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linkways.studies.checks import check_study, study_warnings
    from linkways.studies.maps import draw_map
    from linkways.studies.recipe import Step, Study, StudyInput, builtin_solutions, load_study
    from linkways.studies.report import write_report
    from linkways.studies.run import Event, Run, RunStopped, read_run, run_study

__all__ = [
    "Event",
    "Run",
    "RunStopped",
    "Step",
    "Study",
    "StudyInput",
    "builtin_solutions",
    "check_study",
    "draw_map",
    "load_study",
    "read_run",
    "run_study",
    "study_warnings",
    "write_report",
]

_HOMES = {
    "maps": ("draw_map",),
    "report": ("write_report",),
    "recipe": ("Step", "Study", "StudyInput", "builtin_solutions", "load_study"),
    "checks": ("check_study", "study_warnings"),
    "run": ("Event", "Run", "RunStopped", "read_run", "run_study"),
}


def __getattr__(name: str) -> Any:
    """Open the module that holds a public name when it is first asked for."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"linkways.studies.{module}"), name)
    raise AttributeError(f"module 'linkways.studies' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
