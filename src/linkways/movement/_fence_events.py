"""Encounters of animals with fences, and the behaviour in each (Xu et al. 2021)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from linkways.errors import LinkwaysError
from linkways.movement._fence_kernels import usual_straightness
from linkways.movement._fixes import Fixes

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = [
    "ALTERED",
    "BEHAVIOURS",
    "Barriers",
    "Encounters",
    "Rules",
    "altered_numbers",
    "encounters_of",
    "rows_of",
    "sampling_interval_h",
]

BEHAVIOURS = ("bounce", "quick_cross", "average", "back_and_forth", "trace", "trapped", "unknown")
ALTERED = ("bounce", "back_and_forth", "trace", "trapped")

_SLACK_H = 0.05
"""Fixes whose times lie this close to the interval follow each other."""


@dataclass(frozen=True)
class Rules:
    """What makes an encounter, and what tells behaviours apart."""

    distance_m: float
    unit_m: float
    """Of the CRS."""
    interval_h: float
    b_time_h: float
    p_time_h: float
    window_h: float
    tolerance_h: float
    max_cross: int
    sd_multiplier: float
    exclude_buffer: bool

    @property
    def distance(self) -> float:
        """In units of the CRS."""
        return self.distance_m / self.unit_m

    @property
    def slack_h(self) -> float:
        """How far from the interval two fixes that follow each other may be."""
        return min(_SLACK_H, self.interval_h / 4)


@dataclass(frozen=True)
class Barriers:
    """Fence lines in the CRS of the fixes, and a tree of them."""

    lines: np.ndarray
    tree: shapely.STRtree

    @classmethod
    def of(cls, fences: "gpd.GeoDataFrame") -> "Barriers":
        """Heights are left out."""
        lines = shapely.force_2d(fences.geometry.to_numpy())
        return cls(lines, shapely.STRtree(lines))


@dataclass(frozen=True)
class Encounters:
    """Encounters by animal and time. Encounter k holds the fixes ``first[k]`` to ``last[k]``."""

    first: np.ndarray
    last: np.ndarray
    animal: np.ndarray
    duration_h: np.ndarray
    crossings: np.ndarray
    straightness: np.ndarray
    usual: np.ndarray
    """(n, 2): mean and standard deviation of the straightness around; NaN where it was not asked for."""
    behaviour: np.ndarray
    """Number in `BEHAVIOURS`."""
    paths: np.ndarray
    """The lines whose crossings are counted."""
    crossed: np.ndarray
    """(pairs, 3): encounter, fence line, how often its path crosses it."""
    beside: np.ndarray
    """(pairs, 2): encounter, fence line that one of its fixes is near."""

    def __len__(self) -> int:
        return len(self.first)


def encounters_of(fixes: Fixes, points: np.ndarray, barriers: Barriers, rules: Rules) -> Encounters:
    """All encounters; ``points`` are the places of the fixes in units of the CRS. Refuses fixes far from all fences."""
    near = _near(points, barriers, rules)
    inside = np.zeros(len(points), np.bool_)
    inside[near[:, 1]] = True
    first, last = _bursts(fixes, inside, rules)
    animal = fixes.group[first]
    duration = (fixes.seconds[last] - fixes.seconds[first]) / 3600
    short = duration <= rules.b_time_h
    begin = np.where(short, np.maximum(first - 1, fixes.start[animal]), first)
    end = np.where(short, np.minimum(last + 1, fixes.start[animal + 1] - 1), last)
    paths = _lines(points, begin, end)
    crossed = _crossed(paths, barriers)
    crossings = np.bincount(crossed[:, 0], weights=crossed[:, 2], minlength=len(first)).astype(np.int64)
    xy = shapely.get_coordinates(points)
    way = _way(xy)
    with np.errstate(invalid="ignore", divide="ignore"):
        straightness = np.hypot(*(xy[last] - xy[first]).T) / (way[last] - way[first])
    usual = np.full((len(first), 3), np.nan)
    between = ~short & (duration <= rules.p_time_h)
    usual[between] = _usual(fixes, xy, (first, last), between, rules)
    behaviour = _behaviour(duration, crossings, straightness, usual, rules)
    # without a crossing, a missing neighbour leaves open whether the animal crossed
    cut_off = short & (crossings == 0) & (end - begin != last - first + 2)
    behaviour[cut_off] = BEHAVIOURS.index("unknown")
    return Encounters(
        first, last, animal, duration, crossings, straightness, usual[:, 1:], behaviour, paths, crossed,
        _beside(near, first, last),
    )  # fmt: skip


def _near(points: np.ndarray, barriers: Barriers, rules: Rules) -> np.ndarray:
    """(pairs, 2): fence line and fix within its buffer, round ends made of 5 straight parts a quarter."""
    tree = shapely.STRtree(points)
    close = np.unique(tree.query(barriers.lines, predicate="dwithin", distance=rules.distance)[0])
    buffers = shapely.buffer(barriers.lines[close], rules.distance, quad_segs=5)
    line, fix = tree.query(buffers, predicate="intersects")
    if not len(fix):
        gap = shapely.distance(barriers.lines[barriers.tree.nearest(points)], points).min()
        raise LinkwaysError(
            f"movement.fences: no fix lies within {rules.distance_m:g} m of a fence (the nearest is "
            f"{gap * rules.unit_m:.0f} m away); give fences of the area where the animals are, or a larger distance_m"
        )
    return np.column_stack([close[line], fix])


def _bursts(fixes: Fixes, inside: np.ndarray, rules: Rules) -> tuple[np.ndarray, np.ndarray]:
    """First and last fix of each run of fixes near fences, shorter stays outside than the tolerance taken in."""
    at = np.flatnonzero(inside)
    group = fixes.group[at]
    extra = np.diff(fixes.seconds[at]) / 3600 - rules.interval_h
    follows = np.abs(extra) <= rules.slack_h
    follows |= (extra >= rules.interval_h - rules.slack_h) & (extra <= rules.tolerance_h + rules.slack_h)
    follows &= group[1:] == group[:-1]
    new = np.flatnonzero(np.concatenate([[True], ~follows]))
    return at[new], at[np.append(new[1:], len(at)) - 1]


def _lines(points: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The line through the points begin[k] to end[k], for each k."""
    count = end - begin + 1
    row = np.repeat(begin - np.concatenate([[0], np.cumsum(count)[:-1]]), count) + np.arange(count.sum())
    return np.asarray(
        shapely.linestrings(shapely.get_coordinates(points[row]), indices=np.repeat(np.arange(len(begin)), count))
    )


def _crossed(paths: np.ndarray, barriers: Barriers) -> np.ndarray:
    """(pairs, 3): path, fence line, number of points they have in common."""
    path, line = barriers.tree.query(paths, predicate="intersects")
    common = shapely.intersection(paths[path], barriers.lines[line])
    return np.column_stack([path, line, shapely.get_num_coordinates(common)])


def _way(xy: np.ndarray) -> np.ndarray:
    """The way along all points up to each."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])


def _usual(
    fixes: Fixes, xy: np.ndarray, runs: tuple[np.ndarray, np.ndarray], wanted: np.ndarray, rules: Rules
) -> np.ndarray:
    """Straightness around the wanted encounters: (n, 3) windows, mean, standard deviation."""
    first, last = runs
    kept = np.ones(len(xy), np.bool_)
    if rules.exclude_buffer:
        # +1 where a run begins, -1 after it ends: between them the fixes belong to an encounter
        change = np.zeros(len(xy) + 1, np.int64)
        np.add.at(change, first, 1)
        np.add.at(change, last + 1, -1)
        kept = np.cumsum(change[:-1]) == 0
    xy, seconds, group = xy[kept], fixes.seconds[kept], fixes.group[kept]
    gap = np.diff(seconds, prepend=-np.inf) / 3600
    apart = np.abs(gap - rules.interval_h) > rules.slack_h
    apart[np.flatnonzero(np.diff(group)) + 1] = True
    rows = np.searchsorted(group, np.arange(len(fixes) + 1))
    first, last = first[wanted], last[wanted]
    animal = fixes.group[first]
    half = rules.window_h / 2 * 3600
    begin, end = fixes.seconds[first] - half, fixes.seconds[last] + half
    hours = (fixes.seconds[last] - fixes.seconds[first]) / 3600
    steps = np.rint(hours / rules.interval_h).astype(np.int64)
    if not len(xy):
        return np.tile([0.0, np.nan, np.nan], (len(first), 1))
    x, y = xy.T.copy()
    return np.asarray(
        usual_straightness(x, y, seconds, _way(xy), apart, rows[animal], rows[animal + 1], begin, end, steps)
    )


def _behaviour(
    duration: np.ndarray, crossings: np.ndarray, straightness: np.ndarray, usual: np.ndarray, rules: Rules
) -> np.ndarray:
    number = {name: k for k, name in enumerate(BEHAVIOURS)}
    out = np.full(len(duration), number["unknown"])
    short, long = duration <= rules.b_time_h, duration > rules.p_time_h
    out[short] = np.where(crossings[short] == 0, number["bounce"], number["quick_cross"])
    out[long] = number["trapped"]
    windows, mean, sd = usual.T
    few = (rules.window_h / rules.interval_h + 1) / 4
    known = ~short & ~long & (windows >= few) & np.isfinite(straightness) & np.isfinite(sd)
    below, above = mean - rules.sd_multiplier * sd, mean + rules.sd_multiplier * sd
    with np.errstate(invalid="ignore"):
        out[known & (straightness >= below) & (straightness <= above)] = number["average"]
        few_crossings = known & (crossings <= rules.max_cross)
        out[few_crossings & (straightness < below)] = number["back_and_forth"]
        out[few_crossings & (straightness > above)] = number["trace"]
    return out


def _beside(near: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    line, fix = near.T
    event = np.searchsorted(first, fix, side="right") - 1
    within = (event >= 0) & (fix <= last[event])
    return np.unique(np.column_stack([event[within], line[within]]), axis=0)


def sampling_interval_h(fixes: Fixes, given_h: float | None) -> float:
    """The commonest time between fixes, which must be one for all animals, or the given one where it is long enough."""
    own = np.array([_commonest_h(np.diff(fixes.seconds[fixes.rows(g)])) for g in range(len(fixes))])
    if given_h is None:
        if np.ptp(own) > 0:
            low, high = int(np.argmin(own)), int(np.argmax(own))
            raise LinkwaysError(
                f"movement.fences: the commonest time between fixes is {own[low]:g} h for {fixes.names[low]} and "
                f"{own[high]:g} h for {fixes.names[high]}; give interval_h, or regularise the fixes (movement.tracks), "
                "or run the animals apart"
            )
        return float(own[0])
    longer = np.flatnonzero(own > given_h * (1 + 1e-9))
    if len(longer):
        raise LinkwaysError(
            f"movement.fences: interval_h is {given_h:g} h but the commonest time between fixes of "
            f"{fixes.names[longer[0]]} is {own[longer[0]]:g} h; give an interval_h that is not shorter"
        )
    return given_h


def _commonest_h(gaps: np.ndarray) -> float:
    """The commonest gap to a minute (to a second for gaps under ten minutes), the shortest of equally common ones."""
    grain = 60.0 if np.median(gaps) >= 600 else 1.0
    values, count = np.unique(np.rint(gaps / grain), return_counts=True)
    return float(values[np.argmax(count)] * grain / 3600)


def altered_numbers() -> list[int]:
    """The numbers of the behaviours that fences alter."""
    return [BEHAVIOURS.index(name) for name in ALTERED]


def rows_of(fixes: Fixes, found: Encounters) -> dict[str, Any]:
    """The columns that tell of each encounter."""
    import pandas as pd

    time = fixes.layer["time"].dt.tz_convert("UTC")
    return {
        "event": np.arange(1, len(found) + 1),
        "animal": fixes.names[found.animal],
        "behaviour": pd.array(np.array(BEHAVIOURS, object)[found.behaviour], dtype="str"),
        "start": time.iloc[found.first].reset_index(drop=True),
        "end": time.iloc[found.last].reset_index(drop=True),
        "duration_h": found.duration_h,
        "crossings": found.crossings,
        "straightness": found.straightness,
        "usual_straightness": found.usual[:, 0],
        "usual_sd": found.usual[:, 1],
    }
