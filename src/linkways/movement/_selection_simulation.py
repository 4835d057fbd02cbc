"""Tracks simulated from a fitted step selection model."""

from typing import TYPE_CHECKING

import numpy as np

from linkways.method import progress
from linkways.movement._selection_data import Ground
from linkways.movement._selection_fit import Fitted
from linkways.movement._selection_steps import Empirical, Tentative
from linkways.movement._selection_terms import design

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["simulate"]


def simulate(
    ground: Ground,
    fitted: Fitted,
    source: Empirical | Tentative,
    starts_m: np.ndarray,
    *,
    paths: int,
    steps: int,
    candidates: int,
    rng: np.random.Generator,
) -> "gpd.GeoDataFrame":
    """So many paths from every start, one line each, with how many steps were made.

    At every step ``candidates`` lengths and turns are drawn from the distribution that the available steps were drawn
    from, and one is chosen with probability proportional to exp(b x) of all terms. A candidate where a covariate has no
    value cannot be chosen; a path none of whose candidates can be chosen ends there.
    """
    import geopandas as gpd
    import shapely

    place = np.repeat(starts_m, paths, axis=0)
    start = np.repeat(np.arange(1, len(starts_m) + 1), paths)
    bearing = rng.uniform(0, 2 * np.pi, len(place))
    names = set().union(*(term.names for term in fitted.terms))
    way = np.empty((steps + 1, len(place), 2))
    way[0] = place
    made = np.zeros(len(place), np.int64)
    for step in range(steps):
        if step % 10 == 0:
            progress(0.9 + 0.1 * step / steps, "simulating paths")
        length, turn = source.draw(rng, (len(place), candidates))
        heading = bearing[:, None] - turn
        ends = place[:, None] + length[:, :, None] * np.stack([np.sin(heading), np.cos(heading)], axis=2)
        begins = np.broadcast_to(place[:, None], ends.shape)
        along = ground.along(names, begins.reshape(-1, 2), ends.reshape(-1, 2), turn.ravel())
        chosen = _choose((design(fitted.terms, along) @ fitted.beta).reshape(length.shape), rng)
        # a path that has ended stays where it is
        going = (chosen >= 0) & (made == step)
        rows = np.flatnonzero(going)
        place[rows], bearing[rows] = ends[rows, chosen[rows]], heading[rows, chosen[rows]]
        made[rows] += 1
        way[step + 1] = place
    unit = ground.unit_m
    lines = [shapely.linestrings(way[: max(made[k], 1) + 1, k] / unit) for k in range(len(place))]
    table = {
        "path": np.arange(1, len(place) + 1),
        "start": start,
        "steps": made,
        "left_ground": made < steps,
        "simulated": True,
    }
    return gpd.GeoDataFrame(table, geometry=lines, crs=ground.crs)


def _choose(score: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One candidate of each row with probability proportional to exp(score); -1 where none has a score."""
    score = np.where(np.isfinite(score), score, -np.inf)
    some = np.isfinite(score).any(axis=1)
    # the largest of score plus Gumbel noise is such a draw
    noisy = score + rng.gumbel(size=score.shape)
    return np.where(some, noisy.argmax(axis=1), -1)
