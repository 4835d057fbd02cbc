"""The built-in solutions: one folder each, with the documented record, its study and its small data."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

__all__ = ["solution_files"]


def solution_files() -> dict[str, Path]:
    """Return the ``solution.yaml`` of every built-in solution, by id."""
    folder = files("linkways.solutions")
    found = ((entry.name, entry.joinpath("solution.yaml")) for entry in folder.iterdir())
    return {id: Path(str(file)) for id, file in sorted(found, key=lambda pair: pair[0]) if file.is_file()}
