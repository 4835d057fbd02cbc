"""The input files of Marxan and Marxan with Zones (Ball, Possingham and Watts 2009; Watts and others 2009)."""

import gzip
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.spatial import note

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ID", "MarxanInput", "MarzoneInput", "Settings", "read_marxan"]

ID = "planning.marxan"
BEYOND = {
    "COSTTHRESH": "a cost threshold",
    "PROBABILITYWEIGHTING": "probabilities of loss",
    "CLUMPTYPE": "clumping of features",
    "OPTIMISECONNECTIVITYIN": "the most connectivity inside",
    "BLOCKDEFNAME": "targets by blocks of features",
    "PENALTYNAME": "penalties of one's own",
}
BEYOND_FEATURES = {
    "target2": "a least size of clumps",
    "sepnum": "separated occurrences",
    "sepdistance": "a distance between occurrences",
    "ptarget1d": "probabilities of loss",
    "ptarget2d": "probabilities of presence",
}


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

    @property
    def repeats(self) -> int:
        """NUMREPS, 1 at least."""
        return max(int(self.number("NUMREPS", 1)), 1)

    @property
    def iterations(self) -> int:
        """NUMITNS, Marxan's 1,000,000 where it is not told."""
        return max(int(self.number("NUMITNS", 1_000_000)), 1)

    @property
    def seed(self) -> int:
        """RANDSEED; where Marxan would take the clock (-1) it is 0, so that runs can be repeated."""
        return max(int(self.number("RANDSEED", 0)), 0)


@dataclass(frozen=True)
class MarzoneInput:
    """What Marxan with Zones knows beyond Marxan; tables as they stand in the files, their columns by position."""

    zones: "pd.DataFrame"
    """zone, name"""
    costs: tuple[str, ...]
    """columns of the units that are costs"""
    zone_costs: "pd.DataFrame | None"
    """zone, cost (1 is the first), factor"""
    zone_boundaries: "pd.DataFrame | None"
    """zone_a, zone_b, factor"""
    contributions: "pd.DataFrame | None"
    """zone, feature or unit and feature, fraction; for all features where it has no such column"""
    targets: "pd.DataFrame | None"
    """zone, feature (-1: each), target, type (0 amount, 1 share, 2 occurrences, 3 share of occurrences)"""
    locks: "pd.DataFrame | None"
    """unit, zone"""
    permits: "pd.DataFrame | None"
    """unit, zone"""


@dataclass(frozen=True)
class MarxanInput:
    """A Marxan problem: its settings and tables, with targets as amounts."""

    settings: Settings
    units: "pd.DataFrame"
    """id, cost, status, and in Marxan with Zones a column for each cost"""
    features: "pd.DataFrame"
    """id, name, target, occurrences, spf"""
    amounts: "pd.DataFrame"
    """unit, feature, amount"""
    boundary: "pd.DataFrame | None"
    """unit_a, unit_b, length; each pair once unless connectivity is asymmetric"""
    marzone: MarzoneInput | None = None


def read_marxan(config: Path) -> MarxanInput:
    """Read an INPUT.DAT and the tables it names, of Marxan or (where it names zones) of Marxan with Zones.

    Rows that tell of units or features that are in no table of units or features are left out, as Marxan does, and
    counted in a note.

    Raises LinkwaysError for files and columns that are missing, and for what is asked beyond a minimum set with a
    boundary: cost threshold, probabilities, clumping, separation.
    """
    settings = _settings(config)
    for key, words in BEYOND.items():
        if settings.text(key, "0") not in ("", "0") and (key.endswith("NAME") or settings.number(key, 0.0) != 0):
            raise LinkwaysError(f"{ID}: {config.name} asks for {words} ({key}), which is not supported; set it to 0")
    folder = config.parent / settings.text("INPUTDIR", ".").replace("\\", "/")
    units = _table(folder / settings.text("PUNAME", "pu.dat"), ("id",))
    units = units.assign(status=units.get("status", 0))
    amounts = _table(folder / settings.text("PUVSPRNAME", "puvspr.dat"), ("species", "pu", "amount"))
    amounts = amounts.rename(columns={"species": "feature", "pu": "unit"})[["unit", "feature", "amount"]]
    amounts = _known(amounts, "unit", units["id"], "amounts")
    features = _table(folder / settings.text("SPECNAME", settings.text("FEATNAME", "spec.dat")), ("id",))
    features = _features(features, amounts)
    amounts = amounts[amounts["feature"].isin(features["id"])].reset_index(drop=True)
    name = settings.text("BOUNDNAME", settings.text("CONNECTIONNAME", ""))
    edges = None
    if name:
        table = _table(folder / name, ("id1", "id2", "boundary"))
        edges = _edges(_known(_known(table, "id1", units["id"], name), "id2", units["id"], name), settings)
    if settings.text("ZONESNAME", ""):
        if settings.number("ASYMMETRICCONNECTIVITY", 0.0) == 1:
            raise LinkwaysError(f"{ID}: zones know no directed connections; set ASYMMETRICCONNECTIVITY to 0")
        marzone = _marzone(settings, folder, units)
        return MarxanInput(settings, units, features, amounts, edges, marzone)
    return MarxanInput(settings, units.assign(cost=units.get("cost", 1.0)), features, amounts, edges)


def _settings(config: Path) -> Settings:
    if not config.is_file():
        raise LinkwaysError(f"{ID}: there is no file {config}; give the INPUT.DAT of a Marxan folder")
    values = {}
    for line in config.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        parts = line.split(None, 1)
        if len(parts) == 2 and parts[0] == parts[0].upper() and parts[0][0].isalpha():
            values[parts[0]] = parts[1].strip().strip('"')
    if not {"PUNAME", "SPECNAME", "FEATNAME"} & set(values):
        raise LinkwaysError(
            f"{ID}: {config.name} names no table of units (PUNAME) or features (SPECNAME); check the file"
        )
    return Settings(config, values)


def _table(file: Path, columns: tuple[str, ...], *, by_place: bool = False) -> "pd.DataFrame":
    """A table separated by commas, tabs or semicolons; its first row names the columns (or they are named here, in the
    order in which they stand)."""
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
    if by_place:
        if len(table.columns) < len(columns):
            raise LinkwaysError(
                f"{ID}: {file.name} has {len(table.columns)} columns, and needs {len(columns)}: {', '.join(columns)}"
            )
        return table.iloc[:, : len(columns)].set_axis(list(columns), axis=1)
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


def _known(table: "pd.DataFrame", column: str, names: "pd.Series[int]", what: str) -> "pd.DataFrame":
    """The rows whose unit is one of the units."""
    inside = table[column].isin(names)
    if not inside.all():
        note(f"{ID}: {int((~inside).sum())} rows of {what} left out, whose units are not in the table of units")
    return table[inside]


def _features(table: "pd.DataFrame", amounts: "pd.DataFrame") -> "pd.DataFrame":
    """Features with their targets as amounts: prop (a share of all there is) where it is above 0, else target."""
    for column, words in BEYOND_FEATURES.items():
        if column in table.columns and (table[column].fillna(0) > 0).any():
            raise LinkwaysError(f"{ID}: the features ask for {words} ({column}), which is not supported; set it to 0")
    if not {"target", "prop", "targetocc"} & set(table.columns):
        raise LinkwaysError(f"{ID}: the table of features has neither a column target nor prop; add one")
    total = table["id"].map(amounts.groupby("feature")["amount"].sum()).fillna(0.0)
    share, told, occurrences = (
        table[c].fillna(0.0) if c in table.columns else 0.0 * total for c in ("prop", "target", "targetocc")
    )
    target = np.where(share > 0, share * total, np.clip(told, 0.0, None))
    names = table["name"] if "name" in table.columns else table["id"].astype(str)
    weight = next((table[c].fillna(1.0) for c in ("spf", "fpf") if c in table.columns), 1.0 + 0.0 * total)
    return table[["id"]].assign(
        name=names,
        target=target,
        occurrences=np.clip(occurrences, 0.0, None),
        spf=np.where(weight < 0, 1.0, weight),
    )


def _edges(table: "pd.DataFrame", settings: Settings) -> "pd.DataFrame":
    edges = table.rename(columns={"id1": "unit_a", "id2": "unit_b", "boundary": "length"})
    edges = edges[["unit_a", "unit_b", "length"]].reset_index(drop=True)
    if settings.number("ASYMMETRICCONNECTIVITY", 0.0) == 1:
        # a unit's own row has no direction, and Marxan drops it here
        apart = edges[edges["unit_a"] != edges["unit_b"]]
        return apart.groupby(["unit_a", "unit_b"], as_index=False)[["length"]].sum()
    # a row told twice counts once, as in Marxan
    return edges.drop_duplicates(["unit_a", "unit_b"])


# --- zones -----------------------------------------------------------------------------------------------------


def _marzone(settings: Settings, folder: Path, units: "pd.DataFrame") -> MarzoneInput:
    def told(key: str, columns: tuple[str, ...]) -> "pd.DataFrame | None":
        name = settings.text(key, "")
        return _table(folder / name, columns, by_place=True) if name else None

    zones = _table(folder / settings.text("ZONESNAME", ""), ("zone", "name"), by_place=True)
    if zones["zone"].duplicated().any() or not len(zones):
        raise LinkwaysError(f"{ID}: the table of zones names a zone twice or none; give each zone one row")
    costs = told("COSTSNAME", ("cost", "name"))
    names = ("cost",) if costs is None else tuple(str(c).strip().lower() for c in costs.sort_values("cost")["name"])
    missing = [c for c in names if c not in units.columns and costs is not None]
    if missing:
        raise LinkwaysError(f"{ID}: the table of units has no column for the cost {missing[0]}; add it")
    return MarzoneInput(
        zones,
        names,
        told("ZONECOSTNAME", ("zone", "cost", "factor")),
        _first_told(told, ("ZONEBOUNDCOSTNAME", "ZONECONNECTIONCOSTNAME"), ("zone_a", "zone_b", "factor")),
        _contributions(told),
        _zone_targets(settings, folder),
        told("PULOCKNAME", ("unit", "zone")),
        told("PUZONENAME", ("unit", "zone")),
    )


def _first_told(told: "Reader", keys: tuple[str, ...], columns: tuple[str, ...]) -> "pd.DataFrame | None":
    return next((table for key in keys if (table := told(key, columns)) is not None), None)


def _contributions(told: "Reader") -> "pd.DataFrame | None":
    tables = [
        told("ZONECONTRIBNAME", ("zone", "feature", "fraction")),
        told("ZONECONTRIB2NAME", ("zone", "fraction")),
        told("ZONECONTRIB3NAME", ("zone", "unit", "feature", "fraction")),
    ]
    found = [t for t in tables if t is not None]
    if len(found) > 1:
        raise LinkwaysError(
            f"{ID}: INPUT.DAT names several of ZONECONTRIBNAME, ZONECONTRIB2NAME and ZONECONTRIB3NAME; keep one"
        )
    return found[0] if found else None


def _zone_targets(settings: Settings, folder: Path) -> "pd.DataFrame | None":
    """Targets of zones, for one feature each (ZONETARGETNAME) or for each of them (ZONETARGET2NAME)."""
    import pandas as pd

    found = []
    for key, columns in (("ZONETARGETNAME", ("zone", "feature", "target")), ("ZONETARGET2NAME", ("zone", "target"))):
        name = settings.text(key, "")
        if not name:
            continue
        table = _table(folder / name, columns, by_place=True)
        whole = _table(folder / name, (), by_place=False)
        kind = whole.iloc[:, len(columns)] if whole.shape[1] > len(columns) else 0
        found.append(table.assign(feature=table.get("feature", -1), type=kind))
    return pd.concat(found)[["zone", "feature", "target", "type"]] if found else None


if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[[str, tuple[str, ...]], pd.DataFrame | None]
