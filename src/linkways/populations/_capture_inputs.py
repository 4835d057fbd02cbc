"""What `capture` is given, read and checked: captures, detectors and their effort."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.populations._capture_histories import Records
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["Detectors", "read_captures", "read_detectors", "read_effort"]

ID = "populations.capture"
_UNKNOWN = {"", "unknown", "nan", "none", "na"}


@dataclass(frozen=True)
class Detectors:
    """The detectors in the order of their layer."""

    names: list[str]
    x: np.ndarray
    y: np.ndarray
    """In the layer's CRS."""
    table: "gpd.GeoDataFrame"


def read_detectors(layer: "gpd.GeoDataFrame") -> Detectors:
    """Return the detectors, each named once and somewhere."""
    if not len(layer):
        raise LinkwaysError(f"{ID}: the layer detectors has no features; give each detector a point")
    if (layer.geom_type != "Point").any():
        raise LinkwaysError(f"{ID}: the layer detectors has multipoints; give each detector one point")
    names = [_name(value) for value in layer["detector"]]
    for row, (name, point) in enumerate(zip(names, layer.geometry, strict=True)):
        if not name:
            raise LinkwaysError(f"{ID}: row {row} of the layer detectors has no detector; name it")
        if point is None or point.is_empty:
            raise LinkwaysError(f"{ID}: detector {name} has no place; give it a point or leave it out")
    twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    if twice:
        raise LinkwaysError(
            f"{ID}: detector {min(twice)} occurs {names.count(min(twice))} times in the layer detectors; keep one"
        )
    return Detectors(names, layer.geometry.x.to_numpy(), layer.geometry.y.to_numpy(), layer)


def _name(value: Any) -> str:
    """A name as text; whole numbers without a decimal point, as tables may hold them either way."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def read_effort(
    effort: "pd.DataFrame | None", detectors: Detectors, last_capture: int, occasions: int | None
) -> np.ndarray:
    """Effort (k, s) of each detector on each occasion.

    From the table of effort; else a column ``effort`` of the detectors, on each occasion; else 1.
    """
    if effort is not None:
        found = _effort_table(effort, detectors, max(last_capture, occasions or 0))
        if occasions is not None and found.shape[1] > occasions:
            raise LinkwaysError(
                f"{ID}: the table effort has {found.shape[1]} occasions and the parameter occasions is {occasions}; "
                "leave the parameter out"
            )
    else:
        number = occasions or last_capture
        each = np.ones(len(detectors.names))
        if "effort" in detectors.table.columns:
            each = _numbers(detectors.table["effort"], "effort", "the layer detectors")
        found = np.repeat(each[:, None], number, axis=1)
    if occasions is not None and last_capture > occasions:
        raise LinkwaysError(
            f"{ID}: an animal was captured on occasion {last_capture} and the parameter occasions is {occasions}; "
            "raise it"
        )
    idle = np.flatnonzero(found.sum(axis=1) == 0)
    if len(idle):
        raise LinkwaysError(
            f"{ID}: detector {detectors.names[idle[0]]} has no effort on any occasion"
            f"{f' (nor have {len(idle) - 1} others)' if len(idle) > 1 else ''}; leave it out of detectors and effort"
        )
    return found


def _numbers(column: "pd.Series", name: str, where: str) -> np.ndarray:
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").to_numpy(float)
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        row = int(bad.argmax())
        raise LinkwaysError(
            f"{ID}: {name} in row {row} of {where} is {column.iloc[row]!r}; it must be a number, 0 or more"
        )
    return np.asarray(values)


def _effort_table(effort: "pd.DataFrame", detectors: Detectors, least: int) -> np.ndarray:
    where = {name: k for k, name in enumerate(detectors.names)}
    who = [_name(value) for value in effort["detector"]]
    for row, name in enumerate(who):
        if name not in where:
            raise LinkwaysError(
                f"{ID}: row {row} of the table effort names the detector '{name}', which is not in the layer detectors"
                f"{nearest(name, where)}"
            )
    occasion = _occasions(effort["occasion"], "effort")
    values = _numbers(effort["effort"], "effort", "the table effort")
    found = np.full((len(where), max(least, int(occasion.max(initial=1)))), np.nan)
    for row, (name, s, value) in enumerate(zip(who, occasion, values, strict=True)):
        if found[where[name], s - 1] == found[where[name], s - 1]:
            raise LinkwaysError(
                f"{ID}: row {row} of the table effort gives detector {name} on occasion {s} a second time; keep one"
            )
        found[where[name], s - 1] = value
    missing = np.isnan(found)
    if missing.any():
        note(f"{ID}: {int(missing.sum())} detectors and occasions that the table effort does not name have no effort")
    return np.asarray(np.nan_to_num(found))


def _occasions(column: "pd.Series", table: str) -> np.ndarray:
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").to_numpy(float)
    bad = ~((values >= 1) & (values == np.floor(values)))
    if bad.any():
        row = int(bad.argmax())
        raise LinkwaysError(
            f"{ID}: occasion in row {row} of the table {table} is {column.iloc[row]!r}; number occasions from 1"
        )
    return np.asarray(values.astype(int))


def last_occasion(captures: "pd.DataFrame") -> int:
    """The last occasion on which an animal was captured."""
    return int(_occasions(captures["occasion"], "captures").max(initial=1))


def read_captures(captures: "pd.DataFrame", detectors: Detectors, effort: np.ndarray, detector_type: str) -> Records:
    """Return the captures by number; each animal, occasion and detector once."""
    if not len(captures):
        raise LinkwaysError(f"{ID}: the table captures has no rows; without captures there is nothing to estimate")
    who = [_name(value) for value in captures["individual"]]
    if "" in who:
        raise LinkwaysError(f"{ID}: row {who.index('')} of the table captures names no individual; leave the row out")
    animals = sorted(set(who))
    number = {name: i for i, name in enumerate(animals)}
    animal = np.array([number[name] for name in who])
    detector = _capture_detectors(captures, detectors)
    occasion = _occasions(captures["occasion"], "captures") - 1
    count = _counts(captures)
    idle = effort[detector, occasion] == 0
    if idle.any():
        row = int(idle.argmax())
        raise LinkwaysError(
            f"{ID}: row {row} of the table captures has {who[row]} at detector {detectors.names[detector[row]]} on "
            f"occasion {occasion[row] + 1}, when its effort is 0; correct the effort or the capture"
        )
    sexes, sex = _sexes(captures, who, animals)
    order = np.lexsort((detector, occasion, animal))
    rows = np.stack([animal, occasion, detector])[:, order]
    first = np.ones(len(order), bool)
    first[1:] = (rows[:, 1:] != rows[:, :-1]).any(axis=0)
    total = np.add.reduceat(count[order], np.flatnonzero(first))
    animal, occasion, detector = rows[:, first]
    if detector_type != "count" and (total > 1).any():
        note(
            f"{ID}: {int((total > 1).sum())} times an animal was seen more than once at a detector on an occasion, "
            f"which counts once with detectors of type {detector_type}"
        )
    if detector_type == "multi":
        _refuse_two_places(animals, animal, occasion, detector, detectors)
    return Records(animals, sexes, sex, animal, occasion, detector, total, effort)


def _capture_detectors(captures: "pd.DataFrame", detectors: Detectors) -> np.ndarray:
    where = {name: k for k, name in enumerate(detectors.names)}
    names = [_name(value) for value in captures["detector"]]
    unknown = [row for row, name in enumerate(names) if name not in where]
    if unknown:
        name = names[unknown[0]]
        raise LinkwaysError(
            f"{ID}: row {unknown[0]} of the table captures names the detector '{name}', which is not in the layer "
            f"detectors{nearest(name, where)}"
            f"{f'; {len(unknown)} rows do so' if len(unknown) > 1 else ''}"
        )
    return np.array([where[name] for name in names])


def _counts(captures: "pd.DataFrame") -> np.ndarray:
    if "count" not in captures.columns:
        return np.ones(len(captures), int)
    values = _numbers(captures["count"], "count", "the table captures")
    bad = (values < 1) | (values != np.floor(values))
    if bad.any():
        row = int(bad.argmax())
        raise LinkwaysError(
            f"{ID}: count in row {row} of the table captures is {values[row]:g}; give whole numbers from 1, and no row "
            "where nothing was captured"
        )
    return np.asarray(values.astype(int))


def _sexes(captures: "pd.DataFrame", who: list[str], animals: list[str]) -> tuple[list[str], np.ndarray]:
    told: dict[str, str] = {}
    if "sex" in captures.columns:
        for row, (name, value) in enumerate(zip(who, captures["sex"], strict=True)):
            sex = _name(value)
            if sex.lower() in _UNKNOWN:
                continue
            if told.setdefault(name, sex) != sex:
                raise LinkwaysError(
                    f"{ID}: row {row} of the table captures has {name} as {sex}, and another row as {told[name]}; keep "
                    "one sex, or leave it empty in all rows of this individual"
                )
    sexes = sorted(set(told.values()))
    return sexes, np.array([sexes.index(told[name]) if name in told else -1 for name in animals], np.int64)


def _refuse_two_places(
    animals: list[str], animal: np.ndarray, occasion: np.ndarray, detector: np.ndarray, detectors: Detectors
) -> None:
    same = (animal[1:] == animal[:-1]) & (occasion[1:] == occasion[:-1])
    if same.any():
        row = int(same.argmax())
        one, two = detectors.names[detector[row]], detectors.names[detector[row + 1]]
        raise LinkwaysError(
            f"{ID}: {animals[animal[row]]} is at two places at once: at detectors {one} and {two} on occasion "
            f"{occasion[row] + 1}, which traps that hold an animal (detector_type multi) exclude; keep one of the two "
            "captures, or set detector_type to binary or count"
        )
