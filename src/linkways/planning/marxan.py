"""Run a Marxan input file unchanged, by an exact solver, and write the output files it asks for."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError
from linkways.planning._marxan_files import MarxanInput, read_marxan, write_marxan
from linkways.spatial import note

if TYPE_CHECKING:
    import pandas as pd

    from linkways.planning.select import Selection

__all__ = ["MarxanRun", "run_marxan", "solve_marxan"]

LOCKED_IN, LOCKED_OUT = 2, 3


@dataclass(frozen=True)
class MarxanRun:
    """The plan of a Marxan problem, and what Marxan would tell of it."""

    selection: "Selection"
    solutions: np.ndarray
    """(units,) 0 or 1, in the order of the file of units."""
    score: float
    """Cost, boundary cost and penalty, as Marxan adds them up; no target is missed, so the penalty is 0."""


def run_marxan(config: str | os.PathLike[str], *, gap_percent: float = 0.0, time_limit_s: float = 300.0) -> list[Path]:
    """Solve what an INPUT.DAT asks for and write Marxan's output files into its output folder; return their paths.

    Written are the best solution, its missing values, the summary and the summed solution (one run: the plan that the
    solver proves best, or best within its gap, beside which annealing in many runs has nothing to add), and a file with
    the bound, which Marxan does not know.

    Raises LinkwaysError for what Marxan offers and an exact minimum set cannot do (see `solve_marxan`).
    """
    given = read_marxan(Path(config))
    run = solve_marxan(given, gap_percent=gap_percent, time_limit_s=time_limit_s)
    return write_marxan(given, run.selection, run.solutions)


def solve_marxan(given: MarxanInput, *, gap_percent: float = 0.0, time_limit_s: float = 300.0) -> MarxanRun:
    """The least ``cost + BLM x boundary`` that meets all targets (Ball, Possingham and Watts 2009), by select.

    Marxan may miss a target at a price (SPF); here targets are met. Those above what may be selected are lowered to
    just that, which is told, as any plan misses them by as much. With ASYMMETRICCONNECTIVITY the rows of the boundary
    file lead from id1 to id2.
    """
    from linkways.planning.select import select

    settings = given.settings
    penalty = settings.number("BLM", 0.0)
    asymmetric = settings.number("ASYMMETRICCONNECTIVITY", 0.0) == 1
    units = given.units.rename(columns={"id": "unit"})[["unit", "cost", "status"]]
    units = units.assign(locked_in=units.status == LOCKED_IN, locked_out=units.status == LOCKED_OUT)
    edges = given.boundary if penalty > 0 else None
    own = {} if edges is None else _boundary(units, edges, penalty, asymmetric)
    found = select(
        units.drop(columns="status"),
        given.amounts,
        _targets(given, units),
        gap_percent=gap_percent,
        time_limit_s=time_limit_s,
        **own,  # type: ignore[arg-type]
    )
    x = found.plan["selected"].to_numpy()
    return MarxanRun(found, x.astype(int), found.objective)


def _boundary(
    units: "pd.DataFrame", edges: "pd.DataFrame", penalty: float, asymmetric: bool
) -> "dict[str, pd.DataFrame | float | bool]":
    if not asymmetric:
        return {"boundary": edges, "boundary_penalty": penalty}
    links = edges.rename(columns={"length": "strength"})
    own = links[links.unit_a == links.unit_b]
    paid = units["unit"].map(own.groupby("unit_a")["strength"].sum()).fillna(0.0)
    if (paid > 0).any():
        raise LinkwaysError(
            "planning.marxan: the boundary file gives units a row with themselves and ASYMMETRICCONNECTIVITY is 1; add "
            "these to the costs of the units instead"
        )
    return {"connectivity": links, "connectivity_penalty": penalty, "asymmetric": True}


def _targets(given: MarxanInput, units: "pd.DataFrame") -> "pd.DataFrame":
    """Absolute targets, at most what the units not locked out hold."""
    import pandas as pd

    target = given.features["target"].to_numpy(dtype=float)
    open_units = units.loc[~units.locked_out, "unit"]
    amounts = given.amounts[given.amounts["unit"].isin(open_units)]
    most = given.features["id"].map(amounts.groupby("feature")["amount"].sum()).fillna(0.0).to_numpy(dtype=float)
    above = np.flatnonzero(target > most * (1 + 1e-9))
    if len(above):
        names = ", ".join(f"{given.features['name'].iloc[j]} {target[j]:.6g} to {most[j]:.6g}" for j in above[:6])
        note(f"planning.marxan: {len(above)} targets lowered to what may be selected ({names})")
    table = pd.DataFrame({"feature": given.features["id"], "target": np.minimum(target, most), "type": "absolute"})
    return table[given.features["id"].isin(given.amounts["feature"]).to_numpy()]
