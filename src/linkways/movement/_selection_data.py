"""Used and available places or steps with their variables: what a selection model is fitted to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import progress
from linkways.movement._clogit import Strata
from linkways.movement._fixes import Fixes
from linkways.movement._selection_sampling import raster_name, values_at
from linkways.movement._selection_steps import Empirical, Tentative, fit_tentative
from linkways.movement._selection_terms import Term, design
from linkways.movement._steps import steps_of

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

__all__ = ["Cases", "Ground", "StepRule", "available_points", "available_steps", "cases_of_table", "classes_by_use"]

MOVEMENT = ("sl", "log_sl", "cos_ta")
CROSSINGS = ("cross", "crossings")
START = "_start"


@dataclass(frozen=True)
class Ground:
    """Covariate rasters and barriers under the fixes."""

    rasters: "Mapping[str, xr.DataArray]"
    class_names: frozenset[str]
    barriers: "gpd.GeoDataFrame | None"
    """In the CRS of the fixes."""
    crs: Any
    unit_m: float
    """Metres in a unit of that CRS."""

    @classmethod
    def of(
        cls,
        covariates: "Sequence[xr.DataArray]",
        landcover: "xr.DataArray | None",
        barriers: "gpd.GeoDataFrame | None",
        crs: Any,
    ) -> "Ground":
        """The ground of a layer of fixes with this CRS, None without fixes; refuses two rasters of one name."""
        import pyproj

        rasters: dict[str, xr.DataArray] = {}
        for position, raster in enumerate(covariates):
            _add(rasters, raster_name(raster, position), raster)
        classes = {name for name, raster in rasters.items() if raster.attrs.get("classes") is True}
        if landcover is not None:
            _add(rasters, "landcover", landcover)
            classes.add("landcover")
        taken = set(rasters) & {*MOVEMENT, *CROSSINGS}
        if taken:
            raise LinkwaysError(f"a raster is named {min(taken)}, which is the name of a movement term; rename it")
        lines = None if barriers is None else barriers.to_crs(crs)
        unit = float(crs.axis_info[0].unit_conversion_factor) if isinstance(crs, pyproj.CRS) else 1.0
        return cls(rasters, frozenset(classes), lines, crs, unit)

    def names(self, steps: bool) -> list[str]:
        """The variables that terms may be made of."""
        if not steps:
            return list(self.rasters)
        crossings = CROSSINGS if self.barriers is not None else ()
        return [*self.rasters, *(name + START for name in self.rasters), *MOVEMENT, *crossings]

    def at(self, names: set[str], x_m: np.ndarray, y_m: np.ndarray) -> dict[str, np.ndarray]:
        """Values of rasters at places in metres of the fixes' CRS."""
        x, y = x_m / self.unit_m, y_m / self.unit_m
        return {name: values_at(self.rasters[name], x, y, self.crs) for name in names & set(self.rasters)}

    def along(self, names: set[str], begin: np.ndarray, end: np.ndarray, turn: np.ndarray) -> dict[str, np.ndarray]:
        """Values of all named variables for steps.

        Args:
            names: of the variables wanted.
            begin, end: (n, 2) metres in the fixes' CRS.
            turn: (n,) radians.
        """
        out = self.at(names, end[:, 0], end[:, 1])
        starts = {name.removesuffix(START) for name in names - set(self.rasters) if name.endswith(START)}
        out |= {name + START: values for name, values in self.at(starts, begin[:, 0], begin[:, 1]).items()}
        length = np.hypot(*(end - begin).T)
        with np.errstate(divide="ignore"):
            out |= {"sl": length, "log_sl": np.log(length), "cos_ta": np.cos(turn)}
        if names & set(CROSSINGS):
            crossed = self._crossings(begin, end)
            out |= {"crossings": crossed, "cross": np.minimum(crossed, 1.0)}
        return out

    def _crossings(self, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """How many barriers each step meets."""
        import shapely

        assert self.barriers is not None
        steps = shapely.linestrings(np.stack([begin, end], axis=1) / self.unit_m)
        step, _ = shapely.STRtree(self.barriers.geometry.to_numpy()).query(steps, predicate="intersects")
        return np.bincount(step, minlength=len(steps)).astype(float)


def _add(rasters: "dict[str, xr.DataArray]", name: str, raster: "xr.DataArray") -> None:
    if name in rasters:
        raise LinkwaysError(
            f"two covariates are named {name}; rename one (raster.rename), since terms call them by name"
        )
    rasters[name] = raster


@dataclass(frozen=True)
class Cases:
    """Rows that are used (case 1) or available (case 0), with their variables, sorted by stratum or animal."""

    case: np.ndarray
    animal: np.ndarray
    order: np.ndarray
    """Place in time of the row's fix or stratum within its animal; rows of one stratum share it."""
    stratum: np.ndarray | None
    """Number of the stratum; None for places."""
    variables: dict[str, np.ndarray]
    places: dict[str, np.ndarray] = field(default_factory=dict)
    """What else is known of the rows: where and when."""
    dropped: int = 0
    """Strata without a case or without a choice, or used places without values."""

    def chosen(self, rows: np.ndarray, dropped: int = 0) -> "Cases":
        """Some rows alone."""
        return Cases(
            self.case[rows],
            self.animal[rows],
            self.order[rows],
            None if self.stratum is None else self.stratum[rows],
            {name: values[rows] for name, values in self.variables.items()},
            {name: values[rows] for name, values in self.places.items()},
            self.dropped + dropped,
        )

    def complete(self, terms: Sequence[Term]) -> "Cases":
        """The rows for which every term has a value; with strata those alone that keep a case and a choice.

        Raises LinkwaysError when nothing is left: the covariates do not cover the used rows.
        """
        known = np.isfinite(design(terms, self.variables)).all(axis=1)
        lost = int((self.case[~known] == 1).sum())
        used = int(self.case.sum())
        if lost == used:
            values = {str(t): bool(np.isfinite(t.of(self.variables)[self.case == 1]).any()) for t in terms}
            empty = [name for name, some in values.items() if not some] or list(values)
            raise LinkwaysError(
                f"the term {empty[0]} has no value at any of the {used} used places or steps; give covariates that "
                "overlap the fixes (check their CRS and nodata)"
            )
        if self.stratum is None:
            out = self.chosen(known, lost)
        else:
            size = np.bincount(self.stratum[known], minlength=self.stratum.max() + 1)
            cases = np.bincount(self.stratum[known], weights=self.case[known], minlength=len(size))
            kept = (size > 1) & (cases == 1)
            present = np.bincount(self.stratum, minlength=len(size)) > 0
            out = self.chosen(known & kept[self.stratum], int((present & ~kept).sum()))
        if not out.case.any() or out.case.all():
            raise LinkwaysError(
                "no used place or step is left that has others to compare with; raise n_control, or give covariates "
                "that cover the ground around the fixes"
            )
        return out

    @property
    def strata(self) -> Strata:
        """Where the strata lie; every one has one case."""
        assert self.stratum is not None
        start = np.append(np.flatnonzero(np.diff(self.stratum, prepend=-1)), len(self.stratum))
        return Strata(start, np.flatnonzero(self.case == 1))

    def table(self) -> "pd.DataFrame":
        """The rows as a table."""
        import pandas as pd

        columns: dict[str, np.ndarray] = {} if self.stratum is None else {"stratum": self.stratum}
        columns |= {"animal": self.animal, "case": self.case} | self.places | self.variables
        return pd.DataFrame(columns)


@dataclass(frozen=True)
class StepRule:
    """Which steps are compared, and with what: the time of a step in seconds, and how far it may be off."""

    interval_s: float | None
    tolerance: float
    controls: int
    distribution: str | None
    """Of tentative steps; None: those that were seen."""


def available_steps(
    track: Fixes, ground: Ground, names: set[str], rule: StepRule, rng: np.random.Generator
) -> tuple[Cases, Empirical | Tentative, int]:
    """Used steps with others drawn from the same start, the distribution they are from, and steps left out.

    A step is used when it and the one before take the rule's time, it has a length, and there is a turn to it.
    """
    steps = steps_of(track)
    interval = rule.interval_s or float(np.median(steps.seconds[steps.known]))
    regular = np.abs(steps.seconds - interval) <= rule.tolerance * interval
    before = np.zeros(len(regular), bool)
    before[1:] = regular[:-1]
    turned = regular & before & np.isfinite(steps.turning_rad)
    first = np.flatnonzero(turned & (steps.length_m > 0))
    if len(first) < 2:
        raise LinkwaysError(
            f"fixes hold {len(first)} steps of {interval / 3600:g} hours that follow another one; set interval_h to "
            "the time between fixes, or raise tolerance"
        )
    source = _source(steps.length_m[regular], steps.turning_rad[turned], rule.distribution)
    progress(0.1, "drawing steps")
    size = (len(first), rule.controls)
    length, turn = source.draw(rng, size)
    length = np.column_stack([steps.length_m[first], length])
    turn = np.column_stack([steps.turning_rad[first], turn])
    bearing = steps.bearing_rad[first - 1][:, None] - turn
    begin = np.column_stack([track.x_m[first], track.y_m[first]])
    end = begin[:, None] + length[:, :, None] * np.stack([np.sin(bearing), np.cos(bearing)], axis=2)
    end[:, 0] = np.column_stack([track.x_m[first + 1], track.y_m[first + 1]])
    each = rule.controls + 1
    begin, end, turn = np.repeat(begin, each, axis=0), end.reshape(-1, 2), turn.ravel()
    row = np.repeat(first, each)
    progress(0.2, "reading covariates")
    cases = Cases(
        np.tile(np.arange(each) == 0, len(first)).astype(np.int8),
        track.animals[track.group[row]],
        row - track.start[track.group[row]],
        np.repeat(np.arange(len(first)), each),
        ground.along(names, begin, end, turn),
        {"time": track.layer["time"].to_numpy()[row], "x_m": end[:, 0], "y_m": end[:, 1]},
    )
    return cases, source, int(steps.known.sum()) - len(first)


def _source(lengths: np.ndarray, turns: np.ndarray, distribution: str | None) -> Empirical | Tentative:
    if distribution is None:
        return Empirical(lengths[lengths > 0], turns)
    return fit_tentative(distribution, lengths, turns)


def available_points(
    track: Fixes,
    ground: Ground,
    names: set[str],
    area: "gpd.GeoDataFrame | None",
    buffer_m: float | None,
    controls: int,
    rng: np.random.Generator,
) -> Cases:
    """Used fixes with points drawn evenly from the area that is available to each animal.

    The area is the polygons given, or the fixes with a buffer, or their convex hull (100 % MCP).
    """
    import shapely

    given = None if area is None else shapely.union_all(area.to_crs(ground.crs).geometry.to_numpy())
    x, y, case, row = [], [], [], []
    for group in range(len(track)):
        here = track.rows(group)
        fixes = shapely.points(track.x_m[here], track.y_m[here])
        if given is not None:
            ground_m = shapely.transform(given, lambda xy: xy * ground.unit_m)
        elif buffer_m is not None:
            ground_m = shapely.union_all(shapely.buffer(fixes, buffer_m, quad_segs=8))
        else:
            ground_m = shapely.convex_hull(shapely.multipoints(fixes))
        count = len(fixes) * controls
        drawn = _points_in(ground_m, count, rng, str(track.names[group]))
        x += [track.x_m[here], drawn[:, 0]]
        y += [track.y_m[here], drawn[:, 1]]
        case += [np.ones(len(fixes), np.int8), np.zeros(count, np.int8)]
        row += [np.arange(here.start, here.stop), here.start + np.arange(count) * len(fixes) // count]
    xs, ys, rows = np.concatenate(x), np.concatenate(y), np.concatenate(row)
    return Cases(
        np.concatenate(case),
        track.animals[track.group[rows]],
        rows - track.start[track.group[rows]],
        None,
        ground.at(names, xs, ys),
        {"x_m": xs, "y_m": ys},
    )


def _points_in(polygon: Any, count: int, rng: np.random.Generator, who: str) -> np.ndarray:
    """(count, 2) points drawn evenly from a polygon: from its box, kept when inside."""
    import shapely

    west, south, east, north = polygon.bounds
    if not polygon.area > 0:
        raise LinkwaysError(f"the area available to {who} is empty: its fixes lie on a line; give buffer_m or area")
    shapely.prepare(polygon)
    kept = np.empty((0, 2))
    share = polygon.area / ((east - west) * (north - south))
    while len(kept) < count:
        more = int((count - len(kept)) / share * 1.1) + 10
        points = rng.uniform((west, south), (east, north), (more, 2))
        kept = np.concatenate([kept, points[shapely.contains_xy(polygon, points[:, 0], points[:, 1])]])
    return kept[:count]


def cases_of_table(table: "pd.DataFrame", strata: bool) -> Cases:
    """Used and available rows that were drawn elsewhere: columns case, stratum (with strata) and animal if known.

    Raises LinkwaysError for a missing column, a case that is not 0 or 1, and a stratum with two cases.
    """
    import pandas as pd

    needed = ["case", "stratum"] if strata else ["case"]
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise LinkwaysError(f"cases has no column {missing[0]}; it has {', '.join(map(str, table.columns))}")
    case = pd.to_numeric(table["case"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = np.flatnonzero(~np.isin(case, (0, 1)))
    if len(wrong):
        raise LinkwaysError(
            f"cases has {len(wrong)} rows whose case is not 0 or 1, first row {wrong[0] + 1}; mend them"
        )
    numeric = [c for c in table.columns if pd.api.types.is_numeric_dtype(table[c].dtype) and c not in needed]
    out = Cases(
        case.astype(np.int8),
        table["animal"].astype(str).to_numpy(dtype=object) if "animal" in table else np.full(len(table), "", object),
        np.arange(len(table)),
        None,
        {str(c): table[c].to_numpy(dtype=float, na_value=np.nan) for c in numeric},
    )
    if not strata:
        return out
    empty = np.flatnonzero(table["stratum"].isna())
    if len(empty):
        raise LinkwaysError(f"cases has {len(empty)} rows without a stratum, first row {empty[0] + 1}; fill it")
    number, names = pd.factorize(table["stratum"])
    many = np.flatnonzero(np.bincount(number, weights=case) > 1)
    if len(many):
        raise LinkwaysError(
            f"cases has two used steps in stratum {names[many[0]]}; a stratum holds one and its controls"
        )
    rows = np.argsort(number, kind="stable")
    sorted_cases = out.chosen(rows)
    return Cases(
        sorted_cases.case, sorted_cases.animal, number[rows], number[rows], sorted_cases.variables, sorted_cases.places
    )


def classes_by_use(cases: Cases, class_names: frozenset[str]) -> dict[str, list[float]]:
    """Codes of each class variable, the most available first: it is the reference."""
    out: dict[str, list[float]] = {}
    for name in class_names:
        for variable in (name, name + START):
            values = cases.variables.get(variable)
            if values is None:
                continue
            codes, counts = np.unique(values[np.isfinite(values)], return_counts=True)
            out[variable] = codes[np.argsort(-counts, kind="stable")].tolist()
    return out
