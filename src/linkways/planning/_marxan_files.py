"""The input and output files of Marxan (Ball, Possingham and Watts 2009; user manual of Marxan 4)."""

import gzip
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from linkways.planning.select import Selection

__all__ = ["MarxanInput", "Settings", "read_marxan", "write_marxan"]

ID = "planning.marxan"
BEYOND = {
    "COSTTHRESH": "a cost threshold",
    "PROBABILITYWEIGHTING": "probabilities of loss",
    "CLUMPTYPE": "clumping of features",
}
BEYOND_FEATURES = {
    "target2": "a least size of clumps",
    "targetocc": "a target of occurrences",
    "sepnum": "separated occurrences",
}
SUFFIX = {1: ".dat", 2: ".txt", 3: ".csv"}


@dataclass(frozen=True)
class Settings:
    """The keys of an INPUT.DAT, in capitals, with their values as text."""

    file: Path
    values: dict[str, str]

    def text(self, key: str, default: str) -> str:
        return self.values.get(key, default)

    def number(self, key: str, default: float) -> float:
        text = self.values.get(key, "")
        if not text:
            return default
        try:
            return float(text)
        except ValueError:
            raise LinkwaysError(f"{ID}: {key} in {self.file.name} is {text!r}, and must be a number") from None


@dataclass(frozen=True)
class MarxanInput:
    """A Marxan problem: its settings and tables, with targets as amounts."""

    settings: Settings
    units: "pd.DataFrame"
    """id, cost, status"""
    features: "pd.DataFrame"
    """id, name, target"""
    amounts: "pd.DataFrame"
    """unit, feature, amount"""
    boundary: "pd.DataFrame | None"
    """unit_a, unit_b, length; each pair once unless connectivity is asymmetric"""


def read_marxan(config: Path) -> MarxanInput:
    """Read an INPUT.DAT and the tables it names.

    Raises LinkwaysError for files and columns that are missing, and for what the problem asks beyond a minimum set with
    a boundary: cost threshold, probabilities, clumping, occurrence targets, separation.
    """
    settings = _settings(config)
    for key, words in BEYOND.items():
        if settings.number(key, 0.0) != 0:
            raise LinkwaysError(f"{ID}: {config.name} asks for {words} ({key}), which is not supported; set it to 0")
    folder = config.parent / settings.text("INPUTDIR", ".").replace("\\", "/")
    units = _table(folder / settings.text("PUNAME", "pu.dat"), ("id",))
    units = units.assign(cost=units.get("cost", 1.0), status=units.get("status", 0))
    amounts = _table(folder / settings.text("PUVSPRNAME", "puvspr.dat"), ("species", "pu", "amount"))
    amounts = amounts.rename(columns={"species": "feature", "pu": "unit"})[["unit", "feature", "amount"]]
    features = _features(_table(folder / settings.text("SPECNAME", "spec.dat"), ("id",)), amounts)
    amounts = amounts[amounts["feature"].isin(features["id"])]
    name = settings.text("BOUNDNAME", "")
    edges = _edges(_table(folder / name, ("id1", "id2", "boundary")), settings) if name else None
    return MarxanInput(settings, units, features, amounts, edges)


def _settings(config: Path) -> Settings:
    if not config.is_file():
        raise LinkwaysError(f"{ID}: there is no file {config}; give the INPUT.DAT of a Marxan folder")
    values = {}
    for line in config.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        key, _, value = line.strip().partition(" ")
        if key.isupper() and value.strip():
            values[key] = value.strip()
    if not {"PUNAME", "SPECNAME"} & set(values):
        raise LinkwaysError(
            f"{ID}: {config.name} names no table of units (PUNAME) or features (SPECNAME); check the file"
        )
    return Settings(config, values)


def _table(file: Path, columns: tuple[str, ...]) -> "pd.DataFrame":
    """A table separated by commas, tabs or semicolons; its first row names the columns."""
    import pandas as pd

    file = _found(file)
    packed = file.suffix == ".gz"
    text = (gzip.decompress(file.read_bytes()) if packed else file.read_bytes()).decode("utf-8-sig", errors="replace")
    separator = next((s for s in ("\t", ",", ";") if s in text.partition("\n")[0]), r"\s+")
    try:
        table = pd.read_csv(io.StringIO(text), sep=separator)
    except ValueError as error:
        raise LinkwaysError(f"{ID}: cannot read {file.name} as a table ({str(error).splitlines()[0]})") from error
    table.columns = [str(c).strip().lower() for c in table.columns]
    for column in columns:
        if column not in table.columns:
            raise LinkwaysError(f"{ID}: {file.name} has no column '{column}'{nearest(column, table.columns)}")
    return table


def _found(file: Path) -> Path:
    """The file, whatever the case of its name, packed or not."""
    if file.is_file():
        return file
    wanted = {file.name.lower(), f"{file.name.lower()}.gz"}
    near = [f for f in file.parent.iterdir() if f.name.lower() in wanted] if file.parent.is_dir() else []
    if not near:
        raise LinkwaysError(f"{ID}: there is no file {file}; check the names in INPUT.DAT")
    return near[0]


def _features(table: "pd.DataFrame", amounts: "pd.DataFrame") -> "pd.DataFrame":
    """Features with their targets as amounts: prop (a share of all there is) where it is above 0, else target."""
    for column, words in BEYOND_FEATURES.items():
        if column in table.columns and (table[column].fillna(0) > 0).any():
            raise LinkwaysError(f"{ID}: the features ask for {words} ({column}), which is not supported; set it to 0")
    if not {"target", "prop"} & set(table.columns):
        raise LinkwaysError(f"{ID}: the table of features has neither a column target nor prop; add one")
    total = table["id"].map(amounts.groupby("feature")["amount"].sum()).fillna(0.0)
    share = table["prop"].fillna(0.0) if "prop" in table.columns else 0.0 * total
    told = table["target"].fillna(0.0) if "target" in table.columns else 0.0 * total
    target = np.where(share > 0, share * total, np.clip(told, 0.0, None))
    names = table["name"] if "name" in table.columns else table["id"].astype(str)
    return table[["id"]].assign(name=names, target=target)


def _edges(table: "pd.DataFrame", settings: Settings) -> "pd.DataFrame":
    edges = table.rename(columns={"id1": "unit_a", "id2": "unit_b", "boundary": "length"})
    edges = edges[["unit_a", "unit_b", "length"]]
    if settings.number("ASYMMETRICCONNECTIVITY", 0.0) == 1:
        return edges
    # a row told twice counts once, as in Marxan
    return edges.drop_duplicates(["unit_a", "unit_b"])


# --- output ----------------------------------------------------------------------------------------------------


def write_marxan(given: MarxanInput, found: "Selection", solution: np.ndarray) -> list[Path]:
    """Write the best solution, missing values, summary, summed solution and the bound, as INPUT.DAT asks for them."""
    import pandas as pd

    settings = given.settings
    folder = settings.file.parent / settings.text("OUTPUTDIR", "output").replace("\\", "/")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LinkwaysError(f"{ID}: the folder {folder} cannot be made ({error.strerror}); change OUTPUTDIR") from error
    stem = settings.text("SCENNAME", "output")
    held, told = _held(given, found), []
    units = given.units["id"].to_numpy()
    best = pd.DataFrame({"PUID": units, "SOLUTION": solution})
    summed = pd.DataFrame({"planning_unit": units, "number": solution})
    bound = found.summary[["objective", "bound", "gap_percent", "status", "solver"]]
    for key, name, table in (
        ("SAVEBEST", "best", best),
        ("SAVERUN", "r00001", best),
        ("SAVETARGMET", "mvbest", held),
        ("SAVETARGMET", "mv00001", held),
        ("SAVESUMMARY", "sum", _summary(found, held)),
        ("SAVESUMSOLN", "ssoln", summed),
    ):
        kind = int(settings.number(key, 0.0))
        if kind in SUFFIX:
            told.append(_write(table, folder / f"{stem}_{name}{SUFFIX[kind]}", tabbed=kind == 1))
    told.append(_write(bound, folder / f"{stem}_bound.csv", tabbed=False))
    return told


def _write(table: "pd.DataFrame", file: Path, *, tabbed: bool) -> Path:
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        table.to_csv(aside, index=False, sep="\t" if tabbed else ",", lineterminator="\n")
        aside.replace(file)
    except OSError as error:
        raise LinkwaysError(f"{ID}: {file} cannot be written ({error.strerror}); change OUTPUTDIR") from error
    finally:
        aside.unlink(missing_ok=True)
    return file


def _held(given: MarxanInput, found: "Selection") -> "pd.DataFrame":
    """The table of missing values: of each feature target, amount and occurrences held, and whether it is met."""
    import pandas as pd

    features, plan = given.features, found.plan
    chosen = set(plan.loc[plan["selected"] > 0.5, "unit"])  # type: ignore[index]
    inside = given.amounts[given.amounts["unit"].isin(chosen) & (given.amounts["amount"] > 0)].groupby("feature")
    held = features["id"].map(inside["amount"].sum()).fillna(0.0).to_numpy(dtype=float)
    target = features["target"].to_numpy(dtype=float)
    share = np.where(target > 0, held / np.where(target > 0, target, 1.0), 1.0)
    missed = given.settings.number("MISSLEVEL", 1.0)
    return pd.DataFrame(
        {
            "Conservation Feature": features["id"],
            "Feature Name": [re.sub(r"[\t,]", " ", str(n)) for n in features["name"]],
            "Target": target,
            "Amount Held": held,
            "Occurrence Target ": 0,
            "Occurrences Held": features["id"].map(inside["amount"].size()).fillna(0).astype(int),
            "Separation Target ": 0,
            "Separation Achieved": 0,
            "Target Met": np.where(share >= missed - 1e-9, "yes", "no"),
            "MPM": np.minimum(share, 1.0),
        }
    )


def _summary(found: "Selection", held: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    edge = 0.0 if np.isnan(found.boundary) else found.boundary
    short = np.clip(held["Target"] - held["Amount Held"], 0.0, None).sum()
    row = {
        "Run_Number": 1,
        "Score": found.objective,
        "Cost": found.cost,
        "Planning_Units": int(found.selected),
        "Connectivity": edge,
        "Penalty": 0.0,
        "Shortfall": short,
        "Missing_Values": int((held["Target Met"] == "no").sum()),
        "MPM": held["MPM"].min(),
    }
    return pd.DataFrame([row])
