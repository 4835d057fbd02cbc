"""A small study of the small methods, and running it."""

from pathlib import Path
from typing import Any

import numpy as np

from linkways.studies import Run, load_study, run_study

ROOT = Path(__file__).resolve().parents[2]
LAND = np.arange(1.0, 21.0).reshape(4, 5)

CHAIN = """
linkways: 1
title: A chain
seed: 7
inputs:
  land: {path: land.tif, licence: CC0-1.0}
  values: {path: values.csv}
steps:
  - {id: value, method: corridors.test_reclass, inputs: {raster: land, table: values}}
  - {id: double, method: corridors.test_double, inputs: {raster: value}, parameters: {factor: 3}}
  - {id: noise, method: corridors.test_noise, inputs: {raster: land}}
  - {id: both, method: corridors.test_add, inputs: {first: double, second: noise}}
  - {id: summary, method: corridors.test_summary, inputs: {raster: double}}
  - {id: outline, method: corridors.test_outline, inputs: {raster: land}}
report:
  maps: [{title: Both, layer: both.total, over: [land, outline]}]
  indicators: [summary.total]
"""
ALL = {"reclass": 1, "double": 1, "noise": 1, "add": 1, "summary": 1, "outline": 1}


def go(path: Path, **options: Any) -> Run:
    """Run the study at a path into the folder `out` beside it."""
    chosen = {key: options.pop(key) for key in ("inputs", "settings") if key in options}
    return run_study(load_study(path, **chosen), path.parent / "out", **options)


def leftovers(out: Path) -> list[str]:
    """Files and folders that a run wrote aside and did not move into place."""
    return [str(path) for path in out.rglob("*") if path.name.startswith(("tmp-", ".")) and path.name != ".steps"]
