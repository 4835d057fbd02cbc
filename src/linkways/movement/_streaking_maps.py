"""Maps and figure of streaks: where rules agree, how many animals use a cell, and how fast they are."""

from typing import TYPE_CHECKING

import numpy as np

from linkways.movement._fixes import Fixes
from linkways.movement._steps import Steps

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import xarray as xr

__all__ = ["maps_of", "speeds_of"]


def maps_of(
    track: Fixes,
    lines: "gpd.GeoDataFrame",
    rules: dict[str, np.ndarray],
    template: "xr.DataArray | None",
    cell_m: float | None,
) -> "tuple[xr.DataArray | None, xr.DataArray | None]":
    """Rules that agree, and animals with streaks, in every cell."""
    if template is None and cell_m is None:
        return None, None
    import geopandas as gpd

    from linkways.spatial import burn_lines, cell_geometry, raster_like

    if template is None:
        assert cell_m is not None
        template = _grid(track, cell_m)
    else:
        cell_m = float(np.sqrt(np.median(cell_geometry(template).area_m2)))
    agreement = np.zeros(template.shape, np.int16)
    for marked in (*rules.values(), _quick_returns(track, cell_m)):
        steps = _step_lines(track, marked)
        if len(steps):
            agreement += burn_lines(steps, template).values.astype(np.int16)
    users = np.zeros(template.shape, np.int16)
    for _, own in lines.groupby("animal"):
        users += burn_lines(gpd.GeoDataFrame(geometry=own.geometry, crs=lines.crs), template).values.astype(np.int16)
    return (
        raster_like(agreement, template, name="agreement", units="rules"),
        raster_like(users, template, name="users", units="animals"),
    )


def _grid(track: Fixes, cell_m: float) -> "xr.DataArray":
    """An empty raster over all fixes with a cell around them, its corner at a multiple of the cell."""
    from linkways.spatial import new_raster

    cell = cell_m / float(track.layer.crs.axis_info[0].unit_conversion_factor)
    west, south, east, north = track.layer.total_bounds
    left, top = np.floor(west / cell - 1) * cell, np.ceil(north / cell + 1) * cell
    columns, rows = int(np.ceil(east / cell + 1 - left / cell)), int(np.ceil(top / cell - south / cell + 1))
    return new_raster(np.zeros((rows, columns)), crs=track.layer.crs, cell_size=cell, origin=(left, top))


def _quick_returns(track: Fixes, radius_m: float) -> np.ndarray:
    """Whether a fix was visited again, for stays no longer than the median of such fixes."""
    from linkways.movement.recursions import recursions

    found = recursions(track.layer, radius_m=radius_m).sites
    again = (found["visits"] > 1).to_numpy()
    stay = found["mean_visit_h"].to_numpy()
    quick = again & (stay <= np.median(stay[again])) if again.any() else again
    quick[track.start[1:] - 1] = False
    return np.asarray(quick)


def _step_lines(track: Fixes, marked: np.ndarray) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import shapely

    xy = track.layer.geometry.get_coordinates().to_numpy()
    rows = np.flatnonzero(marked)
    return gpd.GeoDataFrame(
        geometry=shapely.linestrings(np.stack([xy[rows], xy[rows + 1]], axis=1)) if len(rows) else [],
        crs=track.layer.crs,
    )


def speeds_of(track: Fixes, steps: Steps, streak: np.ndarray) -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure as Canvas

    shown = range(min(len(track), 30))
    canvas = Canvas(figsize=(6.4, 1.2 + 0.5 * len(shown)), layout="constrained")
    axes = canvas.add_subplot()
    speed = steps.speed_m_s * 3.6
    for group in shown:
        here = track.rows(group)
        for kind, colour, shift in ((streak[here] == 0, "0.6", -0.15), (streak[here] > 0, "C1", 0.15)):
            values = speed[here][kind & steps.known[here]]
            if len(values):
                axes.boxplot(
                    values, positions=[group + shift], widths=0.25, orientation="horizontal", showfliers=False,
                    boxprops={"color": colour}, medianprops={"color": colour},
                )  # fmt: skip
    axes.set_yticks(list(shown), [str(track.names[group]) for group in shown])
    axes.set(xlabel="speed of steps, km/h: within streaks orange, others grey", ylim=(-0.6, len(shown) - 0.4))
    return canvas
