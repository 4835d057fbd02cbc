"""The output files of Marxan 4 and Marxan with Zones, as their INPUT.DAT asks for them."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError
from linkways.planning._marxan_files import ID, MarxanInput, Settings
from linkways.planning._marxan_problem import amounts_of_marxan, edges_of_marxan, occurrences, zone_shares

if TYPE_CHECKING:
    import pandas as pd
    import scipy.sparse as sp

    from linkways.planning._zones_problem import ZoneProblem

__all__ = ["Told", "write_runs"]

SUFFIX = {1: ".dat", 2: ".txt", 3: ".csv"}
TABBED = 1


@dataclass(frozen=True)
class Told:
    """What is written: the runs in their order, the best of them, and what no run can better."""

    given: MarxanInput
    problem: "ZoneProblem"
    choices: np.ndarray
    """(runs, n)"""
    scores: np.ndarray
    best: int
    bound: "pd.DataFrame"
    solvers: tuple[str, ...]


@dataclass(frozen=True)
class _File:
    """One table to be written: the key that asks for it, the end of its name, and its header as Marxan has it."""

    key: str
    name: str
    table: "pd.DataFrame"
    header: bool = True
    quoted: bool = True


def write_runs(told: Told) -> list[Path]:
    """Write what INPUT.DAT asks for and the bound; return the paths."""
    settings = told.given.settings
    folder = settings.file.parent / settings.text("OUTPUTDIR", "output").replace("\\", "/")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LinkwaysError(f"{ID}: the folder {folder} cannot be made ({error.strerror}); change OUTPUTDIR") from error
    stem = settings.text("SCENNAME", "output")
    files = _zone_files(told) if told.given.marzone is not None else _reserve_files(told)
    written = []
    for file in files:
        kind = int(settings.number(file.key, 0.0))
        if kind in SUFFIX:
            written.append(_write(_text(file, kind), folder / f"{stem}_{file.name}{SUFFIX[kind]}"))
    if settings.number("SAVESCEN", 0.0) > 0:
        written.append(_write(_scenario(told, settings), folder / f"{stem}_sen.dat"))
    if settings.number("SAVELOG", 0.0) > 0:
        written.append(_write(_log(told), folder / f"{stem}_log.dat"))
    written.append(_write(_text(_File("", "", told.bound, quoted=False), 3), folder / f"{stem}_bound.csv"))
    return written


def _text(file: _File, kind: int) -> str:
    mark = "\t" if kind == TABBED else ","
    names = [f'"{c}"' if file.quoted else str(c) for c in file.table.columns]
    body: str = file.table.to_csv(index=False, header=False, sep=mark, lineterminator="\n")
    return (mark.join(names) + "\n" if file.header else "") + body


def _write(text: str, file: Path) -> Path:
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8", newline="\n")
        aside.replace(file)
    except OSError as error:
        raise LinkwaysError(f"{ID}: {file} cannot be written ({error.strerror}); change OUTPUTDIR") from error
    finally:
        aside.unlink(missing_ok=True)
    return file


# --- Marxan ----------------------------------------------------------------------------------------------------


def _reserve_files(told: Told) -> Iterator[_File]:
    import pandas as pd

    given, units = told.given, told.given.units["id"].to_numpy()
    runs = list(enumerate(told.choices, start=1))
    missing = [_missing(given, x) for x in told.choices]
    yield _solution(given, told.choices[told.best], "best", "SAVEBEST")
    yield _File("SAVETARGMET", "mvbest", missing[told.best])
    for run, x in runs:
        yield _solution(given, x, f"r{run:05d}", "SAVERUN")
        if given.settings.number("SAVERUN", 0.0) > 0:
            yield _File("SAVETARGMET", f"mv{run:05d}", missing[run - 1])
    yield _File("SAVESUMMARY", "sum", pd.DataFrame([_summary(told, x, missing[r - 1], r) for r, x in runs]))
    kind = int(given.settings.number("SAVESUMSOLN", 0.0))
    summed = pd.DataFrame({"planning_unit": units, "number": told.choices.sum(axis=0)})
    yield _File("SAVESUMSOLN", "ssoln", summed, header=kind != TABBED)
    matrix = pd.DataFrame(told.choices, columns=[f"P{u}" for u in units])
    matrix.insert(0, "SolutionsMatrix", [f"S{run}" for run, _ in runs])
    yield _File("SAVESOLUTIONSMATRIX", "solutionsmatrix", matrix, quoted=False)
    amounts = amounts_of_marxan(given)
    rich = pd.DataFrame({"puid": units, "richness": np.diff(amounts.tocsc().indptr)})
    yield _File("SAVERICHNESS", "richness", rich, quoted=False)
    yield _File("SAVETOTALAREAS", "totalareas", _total_areas(given, amounts), quoted=False)


def _solution(given: MarxanInput, x: np.ndarray, name: str, key: str) -> _File:
    """Marxan's three forms: ids with 0 and 1 under the names of version 4, or under older ones, or ids alone where they
    are in the reserve."""
    import pandas as pd

    units, kind = given.units["id"].to_numpy(), int(given.settings.number(key, 0.0))
    if kind == TABBED:
        rows = [str(u) if s else f"{u},0" for u, s in zip(units, x, strict=True)]
        return _File(key, name, pd.DataFrame({"unit": pd.Series(rows)}), header=False)
    if kind == 2:
        return _File(key, name, pd.DataFrame({"planning_unit": units, "solution": x}))
    return _File(key, name, pd.DataFrame({"PUID": units, "SOLUTION": x}), quoted=False)


def _missing(given: MarxanInput, x: np.ndarray) -> "pd.DataFrame":
    """The table of missing values: of each feature target, amount and occurrences held, and whether it is met."""
    import pandas as pd

    table, matrix = given.features, amounts_of_marxan(given)
    held, found = matrix @ x.astype(float), occurrences(matrix) @ x.astype(float)
    target, wanted = table["target"].to_numpy(dtype=float), table["occurrences"].to_numpy(dtype=float)
    share = np.minimum(_share(held, target), _share(found, wanted))
    return pd.DataFrame(
        {
            "Conservation Feature": table["id"],
            "Feature Name": [_plain(n) for n in table["name"]],
            "Target": target,
            "Amount Held": held,
            "Occurrence Target ": wanted.astype(int),
            "Occurrences Held": found.astype(int),
            "Separation Target ": 0,
            "Separation Achieved": 0,
            "Target Met": np.where(share >= given.settings.number("MISSLEVEL", 1.0) - 1e-9, "yes", "no"),
            "MPM": np.minimum(share, 1.0),
        }
    )


def _share(held: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.where(target > 0, held / np.where(target > 0, target, 1.0), 1.0)


def _plain(name: object) -> str:
    return re.sub(r"[\t,]", " ", str(name))


def _shortfall(table: "pd.DataFrame") -> float:
    """What is missing of targets, amounts and occurrences added up as Marxan does."""
    amounts = np.clip(table["Target"] - table["Amount Held"], 0.0, None).sum()
    return float(amounts + np.clip(table["Occurrence Target "] - table["Occurrences Held"], 0.0, None).sum())


def _summary(told: Told, x: np.ndarray, missing: "pd.DataFrame", run: int) -> dict[str, float]:
    problem, total = told.problem, _connectivity(told.given, x)
    whole = sum(total.values())
    return {
        "Run_Number": run,
        "Score": told.scores[run - 1],
        "Cost": problem.paid(x),
        "Planning_Units": int(x.sum()),
        "Connectivity": _boundary(told.given, x),
        "Connectivity_Total": whole,
        "Connectivity_In": total["in"],
        "Connectivity_Edge": total["edge"],
        "Connectivity_Out": total["out"],
        "Connectivity_In_Fraction": total["in"] / whole if whole > 0 else 0.0,
        "Penalty": problem.missed(x),
        "Shortfall": _shortfall(missing),
        "Missing_Values": int((missing["Target Met"] == "no").sum()),
        "MPM": float(missing["MPM"].min()) if len(missing) else 1.0,
    }


def _boundary(given: MarxanInput, x: np.ndarray) -> float:
    """The edge of the reserve; of directed connections those that leave it."""
    pairs, own = edges_of_marxan(given)
    a, b = x[pairs.a], x[pairs.b]
    if given.settings.number("ASYMMETRICCONNECTIVITY", 0.0) == 1:
        return float(own @ x + pairs.value @ ((a == 1) & (b == 0)))
    return float(own @ x + pairs.value @ (a != b))


def _connectivity(given: MarxanInput, x: np.ndarray) -> dict[str, float]:
    """Connections within the reserve, across its edge and outside of it."""
    pairs, own = edges_of_marxan(given)
    both = x[pairs.a] + x[pairs.b]
    inside, across, out = (float(pairs.value[both == k].sum()) for k in (2, 1, 0))
    return {"in": inside, "edge": across + float(own @ x), "out": out + float(own @ (1 - x))}


def _total_areas(given: MarxanInput, matrix: "sp.csr_array") -> "pd.DataFrame":
    import pandas as pd

    status, counted = given.units["status"].to_numpy(), occurrences(matrix)
    every, reserved, excluded = (w.astype(float) for w in (status >= 0, status == 2, status == 3))
    columns = {"spname": given.features["id"], "totalarea": matrix @ every, "reservedarea": matrix @ reserved}
    columns |= {"excludedarea": matrix @ excluded, "targetarea": given.features["target"]}
    columns |= {"totalocc": counted @ every, "reservedocc": counted @ reserved, "excludedocc": counted @ excluded}
    return pd.DataFrame(columns | {"targetocc": given.features["occurrences"]})


# --- Marxan with Zones -----------------------------------------------------------------------------------------


def _zone_files(told: Told) -> Iterator[_File]:
    import pandas as pd

    given, units = told.given, told.given.units["id"].to_numpy()
    assert given.marzone is not None
    ids = np.r_[0, given.marzone.zones["zone"].to_numpy()]
    names, runs = list(told.problem.zones), list(enumerate(told.choices, start=1))
    missing = [_zone_missing(told, x) for x in told.choices]
    best = told.choices[told.best]
    yield _File("SAVEBEST", "best", pd.DataFrame({"planning_unit": units, "zone": ids[best]}), quoted=False)
    yield _File("SAVETARGMET", "mvbest", missing[told.best])
    yield _File("SAVEZONECONNECTIVITYSUM", "zoneconnectivitysumbest", _connections(told, best))
    for run, x in runs:
        yield _File("SAVERUN", f"r{run:05d}", pd.DataFrame({"planning_unit": units, "zone": ids[x]}), quoted=False)
        if given.settings.number("SAVERUN", 0.0) > 0:
            yield _File("SAVETARGMET", f"mv{run:05d}", missing[run - 1])
        yield _File("SAVEZONECONNECTIVITYSUM", f"zoneconnectivitysum{run:05d}", _connections(told, x))
    summary = pd.DataFrame([_zone_summary(told, x, missing[r - 1], r) for r, x in runs])
    yield _File("SAVESUMMARY", "sum", summary)
    # the first zone is the one that is available: a unit in another is chosen
    summed = {"planning unit": units, "number": (told.choices > 1).sum(axis=0)}
    summed |= {name: (told.choices == k).sum(axis=0) for k, name in enumerate(names, start=1)}
    yield _File("SAVESUMSOLN", "ssoln", pd.DataFrame(summed))
    for k in range(1, len(names) + 1):
        matrix = pd.DataFrame((told.choices == k).astype(int), columns=[str(u) for u in units])
        matrix.insert(0, "SolutionsMatrix", [f"S{run}" for run, _ in runs])
        yield _File("SAVESOLUTIONSMATRIX", f"solutionsmatrix_zone{k}", matrix, quoted=False)


def _zone_missing(told: Told, x: np.ndarray) -> "pd.DataFrame":
    """Of each feature the targets over all zones and of each zone, with what is there and what contributes."""
    import pandas as pd

    given, problem = told.given, told.problem
    matrix, level = amounts_of_marxan(given), given.settings.number("MISSLEVEL", 1.0) - 1e-9
    counted, goals = occurrences(matrix), problem.goals
    shares = zone_shares(given)
    contributed = sum(shares[k] @ (x == k).astype(float) for k in range(1, problem.choices))
    found = sum(occurrences(shares[k]) @ (x == k).astype(float) for k in range(1, problem.choices))
    table = given.features
    target, wanted = table["target"].to_numpy(dtype=float), table["occurrences"].to_numpy(dtype=float)
    share = np.minimum(_share(contributed, target), _share(found, wanted))
    columns = {
        "Feature": table["id"],
        "Feature Name": [_plain(n) for n in table["name"]],
        "Target": target,
        "Total Amount": np.asarray(matrix.sum(axis=1)).ravel(),
        "Contributing Amount Held": contributed,
        "Occurrence Target ": wanted.astype(int),
        "Occurrences Held": np.asarray(found).astype(int),
        "Target Met": np.where(share >= level, "yes", "no"),
    }
    least = share
    for k, name in enumerate(problem.zones, start=1):
        inside = (x == k).astype(float)
        held, here = matrix @ inside, counted @ inside
        aim, many = np.zeros(len(table)), np.zeros(len(table))
        for t in np.flatnonzero(np.array(goals.zone) == name) if len(goals) else ():
            (many if " occurrences" in goals.names[t] else aim)[goals.feature[t]] = goals.target[t]
        own = np.minimum(_share(held, aim), _share(here, many))
        least = np.minimum(least, own)
        columns |= {
            f"Target {name}": aim,
            f"Amount Held {name}": held,
            f"Contributing Amount Held {name}": shares[k] @ inside,
            f"Occurrence Target {name}": many.astype(int),
            f"Occurrences Held {name}": here.astype(int),
            f"Target Met {name}": np.where(own >= level, "yes", "no"),
        }
    return pd.DataFrame(columns | {"MPM": np.minimum(least, 1.0)})


def _zone_summary(told: Told, x: np.ndarray, missing: "pd.DataFrame", run: int) -> dict[str, float]:
    problem = told.problem
    names, paid = problem.zones, problem.cost[np.arange(problem.n), x]
    met = [c for c in missing.columns if c.startswith("Target Met")]
    goals, held = problem.goals, problem.held(x)
    row: dict[str, float] = {"Run Number": run, "Score": told.scores[run - 1], "Cost": problem.paid(x)}
    row["Planning Units"] = int((x > 1).sum())
    row |= {f"{name} PuCount": int((x == k).sum()) for k, name in enumerate(names, start=1)}
    row |= {f"{name} Cost": float(paid[x == k].sum()) for k, name in enumerate(names, start=1)}
    return row | {
        "Connection Strength": problem.penalty(x),
        "Penalty": problem.missed(x),
        "Shortfall": float(np.clip(goals.target - held, 0.0, None).sum()),
        "Missing_Values": int((missing[met] == "no").to_numpy().sum()),
        "MPM": float(missing["MPM"].min()) if len(missing) else 1.0,
    }


def _connections(told: Told, x: np.ndarray) -> "pd.DataFrame":
    """Connections between zones, and on the diagonal what units share with none."""
    import pandas as pd

    count = told.problem.choices
    pairs, own = edges_of_marxan(told.given)
    table = np.zeros((count, count))
    apart = x[pairs.a] != x[pairs.b]
    np.add.at(table, (x[pairs.a][apart], x[pairs.b][apart]), pairs.value[apart])
    table += table.T
    np.add.at(table, (x, x), own)
    named = pd.DataFrame(table[1:, 1:], columns=list(told.problem.zones))
    named.insert(0, "Zone_Connectivity_Sum", list(told.problem.zones))
    return named


# --- texts -----------------------------------------------------------------------------------------------------


def _scenario(told: Told, settings: Settings) -> str:
    lines = [
        f"Number of Planning Units {told.problem.n}",
        f"Number of Conservation Values {len(told.given.features)}",
        f"Starting proportion {settings.number('PROP', 0.0):.2f}",
        f"Connection modifier {settings.number('BLM', 0.0):.2f}",
        "",
        f"Algorithm Used :{', '.join(dict.fromkeys(told.solvers))}",
        "No Heuristic used ",
        f"Number of iterations {settings.iterations}",
        "Initial temperature set adaptively",
        "Cooling factor set adaptively",
        f"Random Seed {settings.seed}",
        f"Number of runs {len(told.choices)}",
    ]
    return "\n".join(lines) + "\n"


def _log(told: Told) -> str:
    lines = [
        f"run {run}: {solver}, score {score:.10g}"
        for run, (solver, score) in enumerate(zip(told.solvers, told.scores, strict=True), start=1)
    ]
    return "\n".join([*lines, f"best: run {told.best + 1}"]) + "\n"
