"""What the rows of a table of fixes say: whose fix, when, where, and what else is known of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.movement._tracks_times import ClockChange, Times, read_times

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Columns", "RawFixes", "parsed_crs", "read_fixes", "text_names"]

_ANIMAL = (
    "individual_local_identifier",
    "animal",
    "animal_id",
    "animalid",
    "individual",
    "individual_id",
    "id",
    "id_",
    "name",
)
_TAG = ("tag_local_identifier", "tag_id", "collar_id", "device_id", "tag", "collar")
_TIME = ("timestamp", "time", "datetime", "date_time", "fixtime", "fix_time", "acquisition_time", "date", "t", "t_")
_DEGREES = (
    ("location_long", "location_lat"),
    ("longitude", "latitude"),
    ("lon", "lat"),
    ("long", "lat"),
    ("lng", "lat"),
)
_PLANE = (("x", "y"), ("x_", "y_"), ("easting", "northing"), ("utm_easting", "utm_northing"))
_KEPT = {
    "dop": ("dop", "gps_dop", "gps_hdop", "hdop", "gps_pdop", "pdop"),
    "error_m": ("error_m", "location_error_numerical", "location_accuracy", "eobs_horizontal_accuracy_estimate"),
    "argos_class": ("argos_lc", "argos_class", "argos_loc_class", "argos_location_class", "location_class"),
    "sensor": ("sensor_type", "sensor"),
    "species": ("individual_taxon_canonical_name", "species"),
    "sequence": ("sequence",),
    "season": ("season",),
}
"""House name of what is known of a fix, and the columns it is read from."""
_NUMBERS = ("dop", "error_m")
_TRUE, _FALSE = ("true", "t", "1", "1.0", "yes"), ("false", "f", "0", "0.0", "no", "", "nan", "none", "<na>")


@dataclass(frozen=True)
class Columns:
    """Which columns to read; None is found by name."""

    animal: str | None = None
    times: Sequence[str] | None = None
    x: str | None = None
    y: str | None = None
    keep: Sequence[str] = ()


@dataclass(frozen=True)
class RawFixes:
    """One entry for every row of the table, in its order; nothing has been left out yet."""

    animal: np.ndarray
    """Text, or None."""
    times: Times
    x: np.ndarray
    """As in the table, NaN where there is no place; degrees where the CRS is geographic."""
    y: np.ndarray
    crs: Any
    visible: np.ndarray
    outlier: np.ndarray
    more: dict[str, np.ndarray] = field(default_factory=dict)
    """Columns that are carried on, by the name they get."""

    def __len__(self) -> int:
        return len(self.animal)


def read_fixes(
    table: "pd.DataFrame",
    columns: Columns,
    *,
    crs: str | None,
    time_zone: str | None,
    time_format: str | None,
    clock_change: ClockChange,
) -> RawFixes:
    """The fixes of a table or of a layer of points.

    Raises LinkwaysError for a column that is not found, a text that is no time, times without zone, a place that is no
    number, coordinates without CRS, or degrees given with a CRS in metres.
    """
    if len(table) == 0:
        raise LinkwaysError("movement.tracks: the table has no rows; give one row for each fix")
    names = _plain_names(table)
    animal = text_names(table[_animal_column(table, names, columns.animal)])
    time_columns = list(columns.times or [_found(names, _TIME, table, "time", "time_columns")])
    for name in (*time_columns, *columns.keep):
        _there(table, name)
    movebank = "individual_local_identifier" in names and time_columns == [names.get("timestamp")]
    times = read_times(table, time_columns, time_zone, time_format, clock_change, utc=movebank)
    x, y, system = _places(table, names, columns, crs)
    more = {}
    for name, sources in _KEPT.items():
        source = next((names[s] for s in sources if s in names), None)
        if source is not None:
            more[name] = _numbers(table[source], source) if name in _NUMBERS else _texts(table[source])
    more |= {name: table[name].to_numpy() for name in columns.keep}
    return RawFixes(animal, times, x, y, system, _visible(table, names), _outlier(table, names), more)


# --- columns --------------------------------------------------------------------------------


def _plain_names(table: "pd.DataFrame") -> dict[str, str]:
    """The table's columns by their names in small letters with underscores: Movebank writes either way."""
    plain: dict[str, str] = {}
    for name in map(str, table.columns):
        plain.setdefault(re.sub(r"[^a-z0-9_]+", "_", name.strip().lower()), name)
    return plain


def _there(table: "pd.DataFrame", name: str) -> str:
    if name not in table.columns:
        raise LinkwaysError(f"the table of fixes has no column '{name}'{nearest(name, map(str, table.columns))}")
    return name


def _found(names: dict[str, str], known: Sequence[str], table: "pd.DataFrame", what: str, parameter: str) -> str:
    for name in known:
        if name in names:
            return names[name]
    columns = ", ".join(map(str, table.columns[:15]))
    raise LinkwaysError(f"no column of the table is known to hold the {what} (it has {columns}); name it: {parameter}")


def _animal_column(table: "pd.DataFrame", names: dict[str, str], asked: str | None) -> str:
    if asked is not None:
        return _there(table, asked)
    tag = next((names[name] for name in _TAG if name in names), None)
    if tag is not None and not any(name in names for name in _ANIMAL):
        raise LinkwaysError(
            f"the table says which tag ({tag}) but not which animal, and a tag may be worn by several; add a column of "
            f"individuals, or say animal_column='{tag}' if each was worn by one"
        )
    return _found(names, _ANIMAL, table, "animal", "animal_column")


# --- values ---------------------------------------------------------------------------------


def text_names(column: "pd.Series") -> np.ndarray:
    """Names as text: 317 and 317.0 are '317'; None where there is none."""
    values = column.to_numpy(dtype=object)
    missing = column.isna().to_numpy(dtype=bool)
    if column.dtype.kind == "f":
        known = column[~missing].to_numpy(dtype=float)
        if (known == np.round(known)).all():
            values = values.copy()
            values[~missing] = known.astype(np.int64)
    texts = np.array(
        [None if gone else str(value).strip() for value, gone in zip(values, missing, strict=True)], object
    )
    texts[texts == ""] = None
    return texts


def _texts(column: "pd.Series") -> np.ndarray:
    values = column.to_numpy(dtype=object)
    missing = column.isna().to_numpy(dtype=bool)
    return np.array([None if gone else str(value) for value, gone in zip(values, missing, strict=True)], object)


def _numbers(column: "pd.Series", name: str) -> np.ndarray:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(numbers.isna().to_numpy() & column.notna().to_numpy())
    wrong = wrong[[str(v).strip() != "" for v in column.iloc[wrong]]] if len(wrong) else wrong
    if len(wrong):
        raise LinkwaysError(
            f"column {name} has {len(wrong)} values that are no numbers, first '{column.iloc[wrong[0]]}' in row "
            f"{wrong[0] + 1}; write numbers with a decimal point, and leave unknown ones empty"
        )
    return np.asarray(numbers.to_numpy(dtype=float, na_value=np.nan))


def _flags(column: "pd.Series", name: str) -> np.ndarray:
    """True and false as programs write them; empty is false."""
    if column.dtype == bool:
        return np.asarray(column.to_numpy())
    text = column.astype(str).str.strip().str.lower()
    true = text.isin(_TRUE).to_numpy(dtype=bool)
    wrong = np.flatnonzero(~(true | text.isin(_FALSE).to_numpy(dtype=bool)) & column.notna().to_numpy(dtype=bool))
    if len(wrong):
        raise LinkwaysError(
            f"column {name} has '{column.iloc[wrong[0]]}' in row {wrong[0] + 1}, which is neither true nor false"
        )
    return np.asarray(true)


def _visible(table: "pd.DataFrame", names: dict[str, str]) -> np.ndarray:
    if "visible" not in names:
        return np.ones(len(table), bool)
    column = table[names["visible"]]
    return np.asarray(_flags(column, names["visible"]) | column.isna().to_numpy(dtype=bool))


def _outlier(table: "pd.DataFrame", names: dict[str, str]) -> np.ndarray:
    """Movebank: marked by hand, or by an import or algorithm and not called valid by hand."""

    def flag(name: str) -> np.ndarray:
        return _flags(table[names[name]], names[name]) if name in names else np.zeros(len(table), bool)

    by_machine = flag("import_marked_outlier") | flag("algorithm_marked_outlier")
    return np.asarray(flag("manually_marked_outlier") | (by_machine & ~flag("manually_marked_valid")))


# --- places ---------------------------------------------------------------------------------


def _places(
    table: "pd.DataFrame", names: dict[str, str], columns: Columns, crs: str | None
) -> tuple[np.ndarray, np.ndarray, Any]:
    if (columns.x is None) != (columns.y is None):
        raise LinkwaysError("give both x_column and y_column, or neither")
    if columns.x is None and getattr(table, "_geometry_column_name", None) in table.columns:
        return _points(table, crs)
    given = None if crs is None else parsed_crs(crs)
    if columns.x is not None and columns.y is not None:
        pair = (_there(table, columns.x), _there(table, columns.y))
    else:
        pair = _pair(table, names, given)
    degrees = tuple(re.sub(r"[^a-z0-9_]+", "_", name.lower()) for name in pair) in _DEGREES
    if given is None:
        if not degrees:
            raise LinkwaysError(
                f"the coordinates {pair[0]} and {pair[1]} have no CRS, so nobody knows their unit; say xy_crs, e.g. "
                "EPSG:32612, or EPSG:4326 for longitude and latitude"
            )
        given = parsed_crs("EPSG:4326")
    x, y = (_numbers(table[name], name) for name in pair)
    place = np.isfinite(x) & np.isfinite(y)
    if not given.is_geographic and place.any() and (degrees or _within(x, y, place)):
        row = int(np.flatnonzero(place)[0])
        raise LinkwaysError(
            f"{pair[0]} and {pair[1]} look like degrees (row {row + 1}: {x[row]:g}, {y[row]:g}), but xy_crs {crs} is "
            "in metres; say xy_crs=EPSG:4326, and project_to for the CRS of the result"
        )
    return _on_earth(x, y, given, pair)


def _within(x: np.ndarray, y: np.ndarray, place: np.ndarray) -> bool:
    return bool((np.abs(x[place]) <= 180).all() and (np.abs(y[place]) <= 90).all())


def _on_earth(x: np.ndarray, y: np.ndarray, crs: Any, pair: tuple[str, str]) -> tuple[np.ndarray, np.ndarray, Any]:
    """No place where a receiver wrote 0 and 0 degrees, the sign of no position, or degrees that are not on Earth."""
    place = np.isfinite(x) & np.isfinite(y)
    if crs.is_geographic:
        away = place & ((np.abs(y) > 90) | (x < -180) | (x > 360))
        if 2 * away.sum() > place.sum():
            row = int(np.flatnonzero(away)[0])
            raise LinkwaysError(
                f"{pair[0]} and {pair[1]} are no longitude and latitude in {away.sum()} rows, first row {row + 1} "
                f"({x[row]:g}, {y[row]:g}); say their CRS (xy_crs), or swap x_column and y_column"
            )
        place &= ~away & ((x != 0) | (y != 0))
    return np.where(place, x, np.nan), np.where(place, y, np.nan), crs


def _pair(table: "pd.DataFrame", names: dict[str, str], crs: Any) -> tuple[str, str]:
    known = (*_PLANE, *_DEGREES) if crs is not None and not crs.is_geographic else (*_DEGREES, *_PLANE)
    for x, y in known:
        if x in names and y in names:
            return names[x], names[y]
    columns = ", ".join(map(str, table.columns[:15]))
    raise LinkwaysError(
        f"no two columns of the table are known to hold the place (it has {columns}); name them: x_column and y_column"
    )


def _points(table: Any, crs: str | None) -> tuple[np.ndarray, np.ndarray, Any]:
    import shapely

    points = table.geometry
    if points.crs is None:
        raise LinkwaysError("the layer of fixes has no CRS; give it one with set_crs")
    if crs is not None and parsed_crs(crs) != points.crs:
        raise LinkwaysError(
            f"xy_crs is {crs}, but the layer of fixes is in {points.crs.name}; leave xy_crs out, or mend the layer's "
            "CRS"
        )
    place = ~np.asarray(points.isna() | points.is_empty)
    wrong = np.flatnonzero(place & np.asarray(points.geom_type != "Point"))
    if len(wrong):
        raise LinkwaysError(
            f"the layer of fixes has {len(wrong)} features that are no points, first the one in row {wrong[0] + 1} "
            f"({points.geom_type.iloc[wrong[0]]}); give one point for each fix"
        )
    values = points.to_numpy()
    return _on_earth(shapely.get_x(values), shapely.get_y(values), points.crs, ("x", "y"))


def parsed_crs(crs: str) -> Any:
    """The pyproj CRS that a text names."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(crs)
    except CRSError:
        raise LinkwaysError(
            f"crs {crs[:80]!r} is not a coordinate reference system; write it like 'EPSG:32612'"
        ) from None
