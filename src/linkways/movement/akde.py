"""Home ranges from autocorrelated kernel density: areas with intervals that allow for fixes close in time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Layer, Param, Raster, TableOf, Vector, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd
    import xarray as xr

    from linkways.movement._akde import Density, Kernels
    from linkways.movement._continuous import Model
    from linkways.movement._distributions import PlaneGrid
    from linkways.movement._fixes import Fixes

__all__ = ["HomeRanges", "akde"]

ID = "movement.akde"
MOST_CELLS = 4_000_000
"""Of the map of several animals, where its cell is not given."""


@dataclass(frozen=True)
class HomeRanges:
    """The home ranges of all animals, their models, and their mean use."""

    ranges: Annotated[
        "gpd.GeoDataFrame",
        Layer("ranges: animal, percent of its use inside, bound (low, estimate or high), area_km2; the widest first"),
    ]
    use: Annotated["xr.DataArray", Layer("use of the cells: the mean of the animals' distributions, summing to 1")]
    animals: Annotated[
        "pd.DataFrame",
        TableOf(
            "each animal: fixes, days, model chosen, tau_position_h and tau_velocity_h with low and high, loglik, "
            "aicc, "
            "dof_area (effective number of independent places), bandwidth (share of the range's deviation), and for "
            "each "
            "percent area_*_km2 with low and high"
        ),
    ]
    models: Annotated[
        "pd.DataFrame",
        TableOf("every model tried: animal, model, tau_position_h, tau_velocity_h, loglik, aicc, delta_aicc, dof_area"),
    ]
    variograms: Annotated[
        "matplotlib.figure.Figure",
        Figure("semivariance of places by the time between them, with its interval, and the model chosen"),
    ]


@dataclass(frozen=True)
class _Animal:
    name: str
    model: "Model"
    tried: "list[Model]"
    kernels: "Kernels"
    grid: "PlaneGrid"
    density: "Density"
    areas: list[tuple[float, float, float, float]]


@method(
    ID,
    references=(
        "Fleming CH, Fagan WF, Mueller T, Olson KA, Leimgruber P, Calabrese JM (2015) Rigorous home range estimation "
        "with "
        "movement data: a new autocorrelated kernel density estimator. Ecology 96:1182-1188",
        "Fleming CH, Calabrese JM (2017) A new kernel density estimator for accurate home-range and species-range area "
        "estimation. Methods in Ecology and Evolution 8:571-579",
        "Fleming CH, Sheldon D, Fagan WF, et al. (2018) Correcting for missing and irregular data in home-range "
        "estimation. Ecological Applications 28:1003-1010",
        "Fleming CH, Noonan MJ, Medici EP, Calabrese JM (2019) Overcoming the challenge of small effective sample "
        "sizes "
        "in home-range estimation. Methods in Ecology and Evolution 10:1679-1689 (pHREML)",
    ),
)
def akde(
    fixes: Annotated["gpd.GeoDataFrame", Vector("GPS fixes", geometry=("Point",), columns=("animal", "time"))],
    like: Annotated[
        "xr.DataArray | None",
        Raster("a raster whose cells the map of use takes; a grid around the fixes when left out"),
    ] = None,
    *,
    model: Annotated[
        Literal["auto", "IID", "OU", "OUF"],
        Param("fixes independent (IID), places that persist (OU), velocities too (OUF), or the best by AICc"),
    ] = "auto",
    shape: Annotated[
        Literal["auto", "round", "ellipse"],
        Param("whether the range is as wide in all directions, or the best by AICc"),
    ] = "auto",
    estimator: Annotated[
        Literal["pHREML", "ML"], Param("how models are fitted; ML underrates areas of few effective places")
    ] = "pHREML",
    weights: Annotated[
        bool, Param("weigh fixes so that times with many fixes count no more than others; at most 4000 fixes an animal")
    ] = False,
    location_error_m: Annotated[
        float | None,
        Param(
            "standard deviation of a fix along each axis where the layer has no error_m; none: fixes are exact",
            unit="m",
            gt=0,
        ),
    ] = None,
    percent: Annotated[Sequence[float], Param("ranges: share of the use inside", unit="%", gt=0, lt=100)] = (
        50.0,
        95.0,
    ),
    confidence: Annotated[float, Param("confidence of the intervals", gt=0, lt=1)] = 0.95,
    cell_size_m: Annotated[
        float | None,
        Param("side of a cell of the map; a quarter of the narrowest kernel when left out", unit="m", gt=0),
    ] = None,
) -> HomeRanges:
    """Home ranges with intervals by autocorrelated kernel density (AKDE), of each animal.

    A stationary Gaussian process is fitted to the fixes at their own times by its exact likelihood (Kalman filter):
    places independent (IID), with correlation ``exp(-t/tp)`` (OU), or ``(tp exp(-t/tp) - tv exp(-t/tv)) / (tp - tv)``
    (OUF, the velocity persists too), round or an ellipse, with errors of the fixes where they are known. The model with
    the least AICc gives the kernels their width, so that 10 fixes an hour tell no more than they can, and the density
    is freed of the bias of its area. The interval of an area is that of a chi-square with twice the effective number of
    independent places: an animal followed for a few crossings of its range has a wide one.

    This is a home range: where the animal is to be found in the long run. The Brownian bridges say where it was.

    Raises LinkwaysError for fixes in degrees, fewer than five of an animal, fixes all on a line or in one place, errors
    that are not numbers, a template that they do not lie on, and more fixes than weights can be found for.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, pandas as pd
    >>> from linkways import movement
    >>> rng = np.random.default_rng(4)
    >>> places = rng.normal(0, 1000, (200, 2))
    >>> for i in range(1, 200):  # half of every place is the one before
    ...     places[i] = 0.5 * places[i - 1] + 0.75 ** 0.5 * places[i]
    >>> time = pd.date_range("2024-01-01", periods=200, freq="8h", tz="UTC")
    >>> fixes = gpd.GeoDataFrame(
    ...     {"animal": "cow", "time": time}, geometry=gpd.points_from_xy(*places.T), crs="EPSG:32636"
    ... )
    >>> found = movement.akde(fixes, model="OU", shape="round")
    >>> found.animals[["animal", "model", "area_95_low_km2", "area_95_km2", "area_95_high_km2"]].round(1)
      animal         model  area_95_low_km2  area_95_km2  area_95_high_km2
    0    cow  OU isotropic             16.3         19.9              23.8
    """
    from linkways.movement._distributions import refuse_degrees
    from linkways.movement._fixes import fixes_of

    refuse_degrees(like, ID)
    found = fixes_of(fixes, at_least=5)
    error = _errors(found, location_error_m)
    _refuse(found, shape, weights)
    levels = tuple(sorted(set(percent), reverse=True))
    animals, figures = [], []
    for g in range(len(found)):
        rows = found.rows(g)
        one = _animal(found, g, error[rows], _candidates(model, shape), estimator, weights, levels, confidence)
        animals.append(one)
        figures.append(_variogram(one, found, rows, error[rows]))
        progress((g + 1) / (len(found) + 1), f"home range of {one.name}")
    return _result(found, animals, figures, like, cell_size_m, confidence)


def _errors(found: "Fixes", location_error_m: float | None) -> np.ndarray:
    from linkways.movement._bridges import location_errors

    if location_error_m is None and "error_m" not in found.layer.columns:
        return np.zeros(len(found.x_m))
    return location_errors(found.layer, location_error_m, ID)


def _refuse(found: "Fixes", shape: str, weights: bool) -> None:
    from linkways.movement._akde import EXACT

    for g in range(len(found)):
        rows, name = found.rows(g), found.names[g]
        places = np.column_stack([found.x_m[rows], found.y_m[rows]])
        spread = np.linalg.eigvalsh(np.cov(places.T))
        if spread[1] <= 0:
            raise LinkwaysError(f"{ID}: all fixes of {name} lie in one place, so that it has no range; leave it out")
        if spread[0] <= 1e-12 * spread[1] and shape != "round":
            raise LinkwaysError(f"{ID}: all fixes of {name} lie on a line; give shape as round, or leave it out")
        if weights and len(places) > EXACT:
            raise LinkwaysError(
                f"{ID}: {name} has {len(places)} fixes, and weights can be found for at most {EXACT}; thin the fixes "
                "(movement.tracks) or leave weights out"
            )


def _candidates(model: str, shape: str) -> list[tuple[Any, bool]]:
    processes = ("IID", "OU", "OUF") if model == "auto" else (model,)
    shapes = {"auto": (True, False), "round": (True,), "ellipse": (False,)}[shape]
    return [(process, isotropic) for process in processes for isotropic in shapes]


def _animal(
    found: "Fixes",
    group: int,
    error: np.ndarray,
    candidates: list[tuple[Any, bool]],
    estimator: Any,
    weights: bool,
    percent: Sequence[float],
    confidence: float,
) -> _Animal:
    from linkways.movement._akde import areas, kernels, own_grid, use_of_cells
    from linkways.movement._continuous import fit, smoothed_places

    rows, name = found.rows(group), str(found.names[group])
    seconds = found.seconds[rows] - found.seconds[rows][0]
    x, y = found.x_m[rows], found.y_m[rows]
    tried = [fit(seconds, x, y, error, process, isotropic, estimator) for process, isotropic in candidates]
    best = min(tried, key=lambda one: one.aicc)
    _note_doubts(name, best, seconds)
    places = smoothed_places(best, seconds, np.column_stack([x, y]), error)
    shaped = kernels(best, seconds, places, weights)
    margin, widest = 5.0, 18.0
    while True:
        grid = own_grid(found.layer.crs, shaped, margin)
        density = use_of_cells(shaped, grid)
        assert density is not None
        sizes = areas(density, grid, percent, best.dof_area, confidence)
        if sizes[0][3] < grid.rows * grid.columns * grid.cell_km2 or margin >= widest:
            break
        margin *= 1.6
    return _Animal(name, best, tried, shaped, grid, density, sizes)


def _note_doubts(name: str, model: "Model", seconds: np.ndarray) -> None:
    from linkways.spatial import note

    if model.dof_area < 1.5 or model.tau_p > seconds[-1]:
        note(
            f"{ID}: {name} was followed for {seconds[-1] / 86400:.3g} days and crosses its range in "
            f"{model.tau_p / 86400:.3g}; it may have no home range, or not yet, and its area is not to be relied on"
        )
    elif not model.certain:
        note(f"{ID}: the likelihood of {name} has no clear maximum ({model.name}); its intervals are rough")


def _variogram(one: _Animal, found: "Fixes", rows: slice, error: np.ndarray) -> Any:
    from linkways.movement._akde_figure import variogram

    return variogram(one.name, one.model, found.seconds[rows], found.x_m[rows], found.y_m[rows], error)


# --- results ---------------------------------------------------------------------------------------------------


def _result(
    found: "Fixes",
    animals: list[_Animal],
    figures: list[Any],
    like: "xr.DataArray | None",
    cell_size_m: float | None,
    confidence: float,
) -> HomeRanges:
    import pandas as pd

    from linkways.movement._akde_figure import draw_variograms

    days = [(found.seconds[r][-1] - found.seconds[r][0]) / 86400 for r in map(found.rows, range(len(found)))]
    fixes = np.diff(found.start)
    rows = [_animal_row(a, int(n), float(d), confidence) for a, n, d in zip(animals, fixes, days, strict=True)]
    return HomeRanges(
        _ranges(animals, found.layer.crs),
        _map(found, animals, like, cell_size_m),
        pd.DataFrame(rows),
        pd.DataFrame([row for a in animals for row in _model_rows(a)]),
        draw_variograms(figures),
    )


def _animal_row(one: _Animal, fixes: int, days: float, confidence: float) -> dict[str, Any]:
    best = one.model
    row: dict[str, Any] = {"animal": one.name, "fixes": fixes, "days": days, "model": best.name}
    for name, tau, spread in (
        ("position", best.tau_p, best.spread_tau_p),
        ("velocity", best.tau_v, best.spread_tau_v),
    ):
        row |= _time_scale(name, tau, spread, confidence)
    row |= {"loglik": best.loglik, "aicc": best.aicc, "dof_area": best.dof_area, "bandwidth": one.kernels.bandwidth}
    row |= {"centre_x_m": best.mean[0], "centre_y_m": best.mean[1]}
    for level, area, low, high in one.areas:
        row |= {f"area_{level:g}_low_km2": low, f"area_{level:g}_km2": area, f"area_{level:g}_high_km2": high}
    return row


def _time_scale(name: str, tau: float, spread: float, confidence: float) -> dict[str, float]:
    from scipy.stats import norm

    hours = tau / 3600 if tau > 0 else math.nan
    factor = math.exp(float(norm.ppf((1 + confidence) / 2)) * min(spread, 200.0)) if spread == spread else math.nan
    return {
        f"tau_{name}_h": hours,
        f"tau_{name}_low_h": hours / factor,
        f"tau_{name}_high_h": hours * factor,
    }


def _model_rows(one: _Animal) -> list[dict[str, Any]]:
    return [
        {
            "animal": one.name,
            "model": m.name,
            "tau_position_h": m.tau_p / 3600 if m.tau_p > 0 else math.nan,
            "tau_velocity_h": m.tau_v / 3600 if m.tau_v > 0 else math.nan,
            "loglik": m.loglik,
            "aicc": m.aicc,
            "delta_aicc": m.aicc - one.model.aicc,
            "dof_area": m.dof_area,
        }
        for m in sorted(one.tried, key=lambda m: m.aicc)
    ]


def _ranges(animals: list[_Animal], crs: Any) -> "gpd.GeoDataFrame":
    import geopandas as gpd

    from linkways.movement._distributions import outline

    rows, shapes = [], []
    for one in animals:
        for level, area, low, high in one.areas:
            for bound, size in (("high", high), ("estimate", area), ("low", low)):
                # outlines follow cells, areas are told as they are
                count = max(round(size / one.grid.cell_km2), 1)
                rows.append({"animal": one.name, "percent": level, "bound": bound, "area_km2": size})
                shapes.append(outline(one.grid, np.sort(one.density.order[:count])))
    return gpd.GeoDataFrame(rows, geometry=shapes, crs=crs)


def _map(
    found: "Fixes", animals: list[_Animal], like: "xr.DataArray | None", cell_size_m: float | None
) -> "xr.DataArray":
    from linkways.movement._akde import use_of_cells
    from linkways.movement._distributions import choose_grid

    if len(animals) == 1 and like is None and cell_size_m is None:
        return animals[0].grid.raster(animals[0].density.use, "use", units="probability")
    sides = [np.sqrt(np.diag(a.kernels.cover)) for a in animals]
    reach = 5 * float(np.max(sides))
    cell = cell_size_m
    if like is None and cell is None:
        extent = [float(np.ptp(places)) + 2 * reach for places in (found.x_m, found.y_m)]
        cell = max(min(a.grid.cell_x_m for a in animals), math.sqrt(extent[0] * extent[1] / MOST_CELLS))
    grid = choose_grid(
        found.layer.crs,
        found.x_m,
        found.y_m,
        like=like,
        cell_size_m=cell,
        buffer=None if like is not None else 0.0,
        reach_m=reach,
        method=ID,
    )
    total = np.zeros(grid.rows * grid.columns)
    for one in animals:
        density = use_of_cells(one.kernels, grid)
        if density is None:
            raise LinkwaysError(
                f"{ID}: the kernels of {one.name} reach no cell of the raster like; take one that covers all fixes, or "
                f"leave {one.name} out"
            )
        total += density.use / len(animals)
    return grid.raster(total, "use", units="probability")
