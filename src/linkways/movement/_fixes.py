"""Fixes as flat arrays: what every method of this room reads from a layer of GPS points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["Fixes", "fixes_of"]


@dataclass(frozen=True)
class Fixes:
    """Fixes of one layer, by group (animal or sequence) and within a group by time.

    Group g holds the fixes ``start[g]`` to ``start[g + 1] - 1`` of the arrays and is called ``names[g]``.
    """

    layer: "gpd.GeoDataFrame"
    """The rows in this order, with an index from 0."""
    by: str
    names: np.ndarray
    start: np.ndarray
    x_m: np.ndarray
    y_m: np.ndarray
    seconds: np.ndarray
    """Since 1970-01-01 00:00 UTC."""

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, group: int) -> slice:
        """Where the fixes of a group lie."""
        return slice(int(self.start[group]), int(self.start[group + 1]))

    @property
    def group(self) -> np.ndarray:
        """The number of the group of every fix."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    @property
    def animals(self) -> np.ndarray:
        """The animal of every group."""
        return np.asarray(self.layer["animal"].to_numpy(dtype=object)[self.start[:-1]])


def fixes_of(
    layer: "gpd.GeoDataFrame", *, by: str = "animal", what: str = "fixes", needed: Sequence[str] = (), at_least: int = 2
) -> Fixes:
    """Fixes of a layer with the columns ``animal`` and ``time``, grouped by a column and sorted by time.

    Coordinates become metres of the layer's projected CRS. Raises LinkwaysError for a column that is not there, degrees
    taken for metres, a time without zone, an empty place or time, a group with fewer than ``at_least`` fixes, two fixes
    of a group at one time, a sequence that two animals share, and a layer without fixes.
    """
    import pandas as pd

    _need(layer, ("animal", "time", by, *needed), what)
    unit = _metres_per_unit(layer, what)
    if len(layer) == 0:
        raise LinkwaysError(f"{what} holds no fix; give a layer of points with the columns animal and time")
    time = _times(layer, what)
    points = layer.geometry
    _refuse_rows(
        np.asarray(points.isna() | points.is_empty), what, "no place", "leave such fixes out (movement.tracks)"
    )
    wrong = np.asarray(points.geom_type != "Point")
    _refuse_rows(wrong, what, "a geometry that is not a point", "give one point for each fix")
    _refuse_rows(np.asarray(layer[by].isna()), what, f"no {by}", f"fill the column {by}")
    key = layer[by].astype(str).to_numpy(dtype=object)
    codes, names = pd.factorize(key, sort=True)
    order = np.lexsort([time, codes])
    codes, time = codes[order], time[order]
    start = np.searchsorted(codes, np.arange(len(names) + 1))
    ordered = layer.iloc[order].reset_index(drop=True)
    same = np.flatnonzero((codes[1:] == codes[:-1]) & (time[1:] == time[:-1]))
    if len(same):
        raise LinkwaysError(
            f"{what} holds {len(same)} fixes at a time that the same {by} already has, first {names[codes[same[0]]]} "
            f"at {ordered['time'].iloc[same[0]]}; let movement.tracks leave duplicates out"
        )
    few = np.flatnonzero(np.diff(start) < at_least)
    if len(few):
        raise LinkwaysError(
            f"{what} holds {len(few)} groups by {by} with fewer than {at_least} fixes, first {names[few[0]]} with "
            f"{start[few[0] + 1] - start[few[0]]}; leave them out"
        )
    found = Fixes(
        ordered,
        by,
        np.asarray(names, object),
        start,
        np.asarray(ordered.geometry.x) * unit,
        np.asarray(ordered.geometry.y) * unit,
        time.astype(float) / 1e9,
    )
    if by != "animal":
        _refuse_shared(found, what)
    return found


def _need(layer: Any, columns: Sequence[str], what: str) -> None:
    missing = [name for name in dict.fromkeys(columns) if name not in layer.columns]
    if missing:
        raise LinkwaysError(
            f"{what} has no column {', '.join(missing)}; it has {', '.join(map(str, layer.columns))} (movement.tracks "
            "makes such a layer from any table)"
        )


def _metres_per_unit(layer: "gpd.GeoDataFrame", what: str) -> float:
    crs = layer.crs
    if crs is None:
        raise LinkwaysError(f"{what} has no CRS, so its coordinates have no unit; set one (GeoDataFrame.set_crs)")
    if crs.is_geographic:
        raise LinkwaysError(
            f"{what} has coordinates in degrees ({crs.name}), but steps are measured in metres; project it first "
            "(movement.tracks does, or GeoDataFrame.to_crs)"
        )
    return float(crs.axis_info[0].unit_conversion_factor)


def _times(layer: "gpd.GeoDataFrame", what: str) -> np.ndarray:
    """Nanoseconds since 1970 (UTC)."""
    import pandas as pd

    column = layer["time"]
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        raise LinkwaysError(
            f"{what} has text or numbers in the column time, not times; let movement.tracks read them, or use "
            "pandas.to_datetime(..., utc=True)"
        )
    if column.dt.tz is None:
        raise LinkwaysError(
            f"{what} has times without a zone, so days and seasons are not known; set one (Series.dt.tz_localize), or "
            "name it as time_zone in movement.tracks"
        )
    _refuse_rows(np.asarray(column.isna()), what, "no time", "leave such fixes out (movement.tracks)")
    return np.asarray(
        column.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[ns]").to_numpy().view(np.int64)
    )


def _refuse_rows(wrong: np.ndarray, what: str, trouble: str, mend: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        raise LinkwaysError(f"{what} has {len(rows)} rows with {trouble}, first row {rows[0] + 1}; {mend}")


def _refuse_shared(fixes: Fixes, what: str) -> None:
    animal = fixes.layer["animal"].astype(str).to_numpy(dtype=object)
    first = animal[fixes.start[:-1]]
    other = np.flatnonzero(animal != np.repeat(first, np.diff(fixes.start)))
    if len(other):
        row = other[0]
        raise LinkwaysError(
            f"{what}: the {fixes.by} {fixes.names[fixes.group[row]]} holds fixes of two animals, "
            f"{first[fixes.group[row]]} and {animal[row]}; give each animal its own names"
        )
