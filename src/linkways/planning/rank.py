"""Which land to keep longest: cells ranked by what would be lost with them, and what the top of the ranking holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import Figure, Indicator, Layer, Param, Raster, Table, TableOf, method, progress

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas as pd
    import xarray as xr

__all__ = ["Ranking", "rank"]

ID = "planning.rank"
RULES = {"CAZ1": 0, "CAZ2": 1, "CAZMAX": 2}
LEVELS = (0.1, 0.17, 0.3)
LAID_AFRESH = 24  # rounds between layings of the rows as they are walked, so that memory is read in a row
BLOCK = 8192  # cells gathered at once: columns of a block stay in the cache while its rows are written


@dataclass(frozen=True)
class Ranking:
    """Land in the order of its priority, and what it holds."""

    rank: Annotated[
        "xr.DataArray",
        Layer("priority: share of the land lost before and with the cell, 0 to 1; 1 is lost last", unit="1"),
    ]
    curves: Annotated[
        "pd.DataFrame",
        TableOf(
            "performance curves: kept (share of the land), cells, area, cost (shares kept), and the mean, weighted "
            "mean, least and greatest share held over layers of weight above 0"
        ),
    ]
    layer_curves: Annotated["pd.DataFrame", TableOf("share held of each layer, a column each, by kept")]
    held: Annotated["pd.DataFrame", TableOf("at each level: kept, mean, min, least (the layer that has the min)")]
    layers: Annotated[
        "pd.DataFrame", TableOf("layers: weight, total, cells, area_under_curve, held_<level> (share held)")
    ]
    chart: Annotated["matplotlib.figure.Figure", Figure("performance curves: mean, least, and every layer")]
    area_under_curve: Annotated[float, Indicator("area under the curve of the mean share held, 0 to 1")]
    mean_held_30: Annotated[float, Indicator("mean share held in the top 30 per cent of the land")]
    min_held_30: Annotated[float, Indicator("least share held in the top 30 per cent of the land")]
    iterations: Annotated[int, Indicator("rounds until the order stood still")]
    mean_move: Annotated[float, Indicator("mean way of a cell in the last round, as a share of the ranking")]


@method(
    ID,
    references=(
        "Moilanen A, Lehtinen P, Kohonen I, Jalkanen J, Virtanen EA, Kujala H (2022) Novel methods for spatial "
        "prioritization with applications in conservation, land use planning and ecological impact avoidance. Methods "
        "in Ecology and Evolution 13:1062-1072 (CAZ1, CAZ2, CAZMAX, ABF)",
        "Moilanen A (2007) Landscape zonation, benefit functions and target-based planning: unifying reserve selection "
        "strategies. Biological Conservation 134:571-579 (core-area removal, additive benefits)",
    ),
)
def rank(
    features: Annotated[
        "Sequence[xr.DataArray]", Raster("amount of each feature: species, habitats, services; 0 or more", many=True)
    ],
    weights: Annotated[
        "pd.DataFrame | None",
        Table(
            "weight of each layer by its name; below 0 for what is to be avoided, 0 for what is only watched; left "
            "out: 1 for all",
            columns=("feature", "weight"),
        ),
    ] = None,
    cost: Annotated["xr.DataArray | None", Raster("cost of keeping the cell, above 0; left out: 1")] = None,
    mask: Annotated[
        "xr.DataArray | None",
        Raster("levels, whole numbers: all cells of a higher level are kept longer than any of a lower", classes=True),
    ] = None,
    *,
    rule: Annotated[
        Literal["CAZ1", "CAZ2", "CAZMAX", "ABF"], Param("how what is lost of the layers is put together")
    ] = "CAZ2",
    exponent: Annotated[
        float, Param("exponent z of the benefit of what is held, R^z, for ABF", gt=0, le=1, source="Zonation 5")
    ] = 0.25,
    missing: Annotated[
        Literal["refuse", "zero"],
        Param("nodata of a layer where another has data: refuse, or count as nothing there"),
    ] = "refuse",
    share_of: Annotated[
        Literal["area", "cells", "cost"], Param("what ranks, curves and levels count as shares of the land")
    ] = "area",
    levels: Annotated[
        list[float] | None,
        Param("tops of the ranking to report, as shares of the land; none: 0.1, 0.17 and 0.3", gt=0, le=1),
    ] = None,
    points: Annotated[int, Param("steps of the curves", ge=2)] = 200,
    tolerance: Annotated[
        float, Param("stop when cells move by less than this in a round, in the mean, as a share of the ranking", gt=0)
    ] = 2e-5,
    max_rounds: Annotated[int, Param("stop after so many rounds at the latest", ge=1)] = 500,
) -> Ranking:
    """Every cell ranked by what is lost with it when land is lost from the least valuable on, and what tops hold.

    With p_ij the share of layer j's total in cell i, and R_j(i) the share of it that cells ranked as high as i or
    higher hold, the loss with cell i is, over the layers of weight w_j,

    - CAZ1: sum_j w_j p_ij / R_j
    - CAZ2: sqrt(sum_j (w_j p_ij / R_j)^2), between the two beside it
    - CAZMAX: max_j w_j p_ij / R_j, the core areas of every layer
    - ABF: sum_j w_j z R_j^(z - 1) p_ij, the additive benefit R^z, z = ``exponent``: rich places first

    Layers of negative weight are put together by the same rule and taken off. Divided by its cost the loss is the
    score (a score below 0 is multiplied by the cost). The ranking is a fixed point: cells sorted by the scores that
    they have in it. It is sought from the order of sum_j w_j p_ij: score, sort, take the mean of the old and new place,
    until cells stand still. There can be several fixed points; the start makes the answer the same every time. Within
    a level of ``mask`` cells are ranked by themselves, with the higher levels held.

    A rank is the share of the land (``share_of``) that is gone once the cell is, so that the top 30 per cent are the
    cells with a rank above 0.7, the lowest of which may reach across; a level holds whole cells, no more than allowed.

    Raises LinkwaysError for amounts below 0 or infinite, layers with nothing in them, two layers of one name, nodata
    that differs between layers (see ``missing``), cells without cost or level, costs of 0 or below, levels that are no
    whole numbers, weights that are missing or name no layer, and weights of which none is above 0.

    Examples
    --------
    >>> from linkways import planning, spatial
    >>> lynx = spatial.new_raster([[4, 4, 1, 1]], crs="EPSG:3035", cell_size=1000, name="lynx")
    >>> orchid = spatial.new_raster([[0, 0, 0, 2]], crs="EPSG:3035", cell_size=1000, name="orchid")
    >>> found = planning.rank([lynx, orchid], levels=[0.5])
    >>> found.rank.values
    array([[0.5 , 0.75, 0.25, 1.  ]])
    >>> found.held
       kept  mean  min least
    0   0.5  0.75  0.5  lynx
    """
    if share_of == "cost" and cost is None:
        raise LinkwaysError(f"{ID}: shares of cost need costs; give the raster cost, or set share_of to area or cells")
    land = _land(features, missing)
    weight = _weights(land.names, weights)
    price = np.ones(len(land.cells)) if cost is None else _costs(cost, land.cells)
    groups = _groups(mask, land.cells)
    share, rows, columns = _shares(land, weight, price, groups)
    share, rows, order, rounds, moved = _ranked(
        share, rows, weight[columns], price, groups, rule, exponent, tolerance, max_rounds
    )
    along = _Along(rows[order], _sizes(features[0], land.cells, price), share_of)
    return _result(
        features[0], land, weight, share, order, columns, along, list(levels or LEVELS), points, rounds, moved
    )


# --- inputs ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Land:
    """The cells with data, and the amounts of every layer there."""

    names: list[str]
    cells: np.ndarray
    """Places of the cells in the flat grid."""
    amounts: list[np.ndarray]
    """Flat grids, NaN where nothing is known."""
    totals: np.ndarray
    counts: np.ndarray
    """Cells with more than nothing."""


def _land(features: Sequence["xr.DataArray"], missing: str) -> _Land:
    if not len(features):
        raise LinkwaysError(f"{ID}: features holds no layer; give at least one raster of amounts")
    names = [str(f.name) for f in features]
    twice = next((n for k, n in enumerate(names) if n in names[:k] or n == "kept"), None)
    if twice is not None:
        raise LinkwaysError(f"{ID}: layers need names of their own, and '{twice}' is taken; rename one of the features")
    amounts = [np.asarray(f.values, dtype=float).ravel() for f in features]
    for name, values in zip(names, amounts, strict=True):
        _check_amounts(name, values, features[0].shape[1])
    present = np.zeros(amounts[0].shape, bool)
    for values in amounts:
        present |= ~np.isnan(values)
    if missing == "refuse":
        _check_pattern(names, amounts, present, features[0].shape[1])
    totals = np.array([np.nansum(values) for values in amounts])
    counts = np.array([np.count_nonzero(values > 0) for values in amounts])
    return _Land(names, np.flatnonzero(present), amounts, totals, counts)


def _check_amounts(name: str, values: np.ndarray, width: int) -> None:
    wrong = np.flatnonzero((values < 0) | np.isinf(values))
    if len(wrong):
        row, column = divmod(int(wrong[0]), width)
        raise LinkwaysError(
            f"{ID}: layer {name} has {len(wrong)} cells below 0 or infinite, first at row {row} column {column} "
            f"({values[wrong[0]]:g}); give amounts of 0 or more, and a weight below 0 to what is to be avoided"
        )
    if not np.nansum(values) > 0:
        raise LinkwaysError(f"{ID}: layer {name} is nowhere above 0, so that no cell can keep it; leave it out")


def _check_pattern(names: list[str], amounts: list[np.ndarray], present: np.ndarray, width: int) -> None:
    for name, values in zip(names, amounts, strict=True):
        holes = np.flatnonzero(np.isnan(values) & present)
        if len(holes):
            row, column = divmod(int(holes[0]), width)
            raise LinkwaysError(
                f"{ID}: layer {name} has nodata in {len(holes)} cells where another layer has data, first at row {row} "
                f"column {column}; fill them, or set missing to zero if nodata means that there is nothing"
            )


def _weights(names: list[str], table: "pd.DataFrame | None") -> np.ndarray:
    if table is None:
        return np.ones(len(names))
    import pandas as pd

    given = [str(n) for n in table["feature"]]
    for name in given:
        if name not in names:
            raise LinkwaysError(f"{ID}: weights names {name}, which is no layer{nearest(name, names)}; leave it out")
    if len(set(given)) < len(given):
        twice = next(n for n in given if given.count(n) > 1)
        raise LinkwaysError(f"{ID}: weights has {twice} in {given.count(twice)} rows; give one weight for each layer")
    without = [n for n in names if n not in given]
    if without:
        raise LinkwaysError(
            f"{ID}: weights has no row for {len(without)} layers, the first {without[0]}; give each one a weight"
        )
    values = pd.to_numeric(table["weight"], errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise LinkwaysError(f"{ID}: the weight of {given[wrong[0]]} is no number (row {wrong[0] + 1}); give one")
    if not (values > 0).any():
        raise LinkwaysError(
            f"{ID}: no weight is above 0, so that nothing is worth keeping; give one layer such a weight"
        )
    by_name = dict(zip(given, values, strict=True))
    return np.array([by_name[n] for n in names])


def _costs(cost: "xr.DataArray", cells: np.ndarray) -> np.ndarray:
    price = np.asarray(cost.values, float).ravel()[cells]
    wrong = np.flatnonzero(~(price > 0) | np.isinf(price))
    if len(wrong):
        row, column = divmod(int(cells[wrong[0]]), cost.shape[1])
        raise LinkwaysError(
            f"{ID}: cost is nodata, infinite, 0 or below in {len(wrong)} cells that have features, first at row {row} "
            f"column {column} ({price[wrong[0]]:g}); give each of them a cost above 0"
        )
    # scaled so that scores with and without costs are of one size
    return np.asarray(price / price.mean())


def _groups(mask: "xr.DataArray | None", cells: np.ndarray) -> np.ndarray:
    if mask is None:
        return np.zeros(len(cells), np.int64)
    level = np.asarray(mask.values, float).ravel()[cells]
    wrong = np.flatnonzero(~np.isfinite(level) | (level != np.round(level)))
    if len(wrong):
        row, column = divmod(int(cells[wrong[0]]), mask.shape[1])
        raise LinkwaysError(
            f"{ID}: mask has no whole number in {len(wrong)} cells that have features, first at row {row} column "
            f"{column} ({level[wrong[0]]:g}); give each of them a level"
        )
    return np.asarray(np.unique(level, return_inverse=True)[1])


# --- the ranking -----------------------------------------------------------------------------------------------


def _shares(
    land: _Land, weight: np.ndarray, price: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(cells, layers) shares of totals, rows in the order that the search starts from; cells; layers of the columns."""
    start = np.zeros(len(land.cells))
    for values, total, w in zip(land.amounts, land.totals, weight, strict=True):
        if w != 0:
            start += np.nan_to_num(values[land.cells]) * (w / total)
    start = np.where(start > 0, start / price, start * price)
    rows = np.lexsort((start, groups))
    columns = np.argsort(weight < 0, kind="stable")
    share = np.empty((len(rows), len(columns)), np.float32)
    for first in range(0, len(rows), BLOCK):
        cells = land.cells[rows[first : first + BLOCK]]
        block = np.stack([land.amounts[j][cells] / land.totals[j] for j in columns])
        share[first : first + BLOCK] = np.nan_to_num(block).T
    return share, rows, columns


def _ranked(
    share: np.ndarray,
    rows: np.ndarray,
    weight: np.ndarray,
    price: np.ndarray,
    groups: np.ndarray,
    rule: str,
    exponent: float,
    tolerance: float,
    max_rounds: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, float]:
    """Shares and cells in rows as they were last laid; rows from the first to lose to the last; rounds, last move."""
    from linkways.planning import _rank_kernels as kernels

    n = len(share)
    order, score = np.arange(n), np.empty(n)
    harmful, size = int((weight >= 0).sum()), np.abs(weight)
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(groups[rows])) + 1, [n]])
    cost = price[rows]
    moved, rounds, farthest = np.inf, 0, 0.0
    while moved >= tolerance and rounds < max_rounds:
        if rule == "ABF":
            kernels.power_scores(order, share, size, harmful, cost, exponent, score)
        else:
            kernels.ratio_scores(order, share, size, harmful, cost, RULES[rule], score)
        found = np.concatenate([a + np.argsort(score[a:b], kind="stable") for a, b in pairwise(bounds)])
        order, moved = kernels.averaged_order(order, found)
        rounds += 1
        if rounds % LAID_AFRESH == 4:
            share, rows, cost, order = share[order], rows[order], cost[order], np.arange(n)
        farthest = max(farthest, moved)
        if moved > 0:
            # the moves shrink by about the same factor in every round
            done = np.log(farthest / moved) / max(np.log(farthest / tolerance), 1e-9)
            progress(float(np.clip(done, 0, 0.99)), f"round {rounds}: cells move by {moved:.2g} of the ranking")
    if moved >= tolerance:
        from linkways.spatial import note

        note(f"{ID}: after {rounds} rounds cells still move by {moved:.2g} of the ranking, above {tolerance:.2g}")
    return share, rows, order, rounds, float(moved)


# --- what it holds ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Along:
    """Land along the ranking, from the first cell to lose to the last."""

    cells: np.ndarray
    """Numbers of the cells among those with data."""
    sizes: dict[str, np.ndarray]
    """Shares of area, cells and cost that each cell is."""
    counted: str

    @property
    def lost(self) -> np.ndarray:
        """(n + 1,) share of the land lost before each place."""
        return self.before(self.counted)

    def before(self, what: str) -> np.ndarray:
        """The same of area, cells or cost."""
        summed = np.concatenate([[0.0], np.cumsum(self.sizes[what][self.cells])])
        return np.asarray(summed / summed[-1])


def _sizes(template: "xr.DataArray", cells: np.ndarray, price: np.ndarray) -> dict[str, np.ndarray]:
    from linkways.spatial import cell_geometry

    area = cell_geometry(template).area_m2[cells // template.shape[1]]
    return {"cells": np.ones(len(cells)), "area": area, "cost": price}


def _places(lost: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The place from which on the land is at most this share."""
    return np.asarray(np.searchsorted(lost, 1.0 - kept - 1e-9))


def _result(
    template: "xr.DataArray",
    land: _Land,
    weight: np.ndarray,
    share: np.ndarray,
    order: np.ndarray,
    columns: np.ndarray,
    along: _Along,
    levels: list[float],
    points: int,
    rounds: int,
    moved: float,
) -> Ranking:
    import pandas as pd

    from linkways.planning._rank_kernels import held_along
    from linkways.spatial import raster_like

    lost = along.lost
    steps = _places(lost, np.linspace(0, 1, points + 1))
    marks = _places(lost, np.array([*levels, 0.3]))
    places = np.unique(np.concatenate([steps, marks]))
    held, area = held_along(order, share, places, (lost[:-1] + lost[1:]) / 2)
    of_layer = np.argsort(columns)
    held, area = held[:, of_layer], area[of_layer]
    at_steps, at_marks = held[np.searchsorted(places, np.unique(steps))], held[np.searchsorted(places, marks)]
    curves, layer_curves = _curves(land.names, weight, along, np.unique(steps), at_steps)
    wanted = weight > 0
    grid = np.full(template.size, np.nan)
    grid[land.cells[along.cells]] = lost[1:]
    layers = pd.DataFrame(
        {"feature": land.names, "weight": weight, "total": land.totals, "cells": land.counts, "area_under_curve": area}
        | {f"held_{level:g}": row for level, row in zip(levels, at_marks[:-1], strict=True)}
    )
    return Ranking(
        rank=raster_like(grid.reshape(template.shape), template, name="rank", units="1"),
        curves=curves,
        layer_curves=layer_curves,
        held=_held(land.names, wanted, levels, at_marks[:-1]),
        layers=layers,
        chart=_chart(curves, layer_curves, wanted, along.counted),
        area_under_curve=float(area[wanted].mean()),
        mean_held_30=float(at_marks[-1, wanted].mean()),
        min_held_30=float(at_marks[-1, wanted].min()),
        iterations=rounds,
        mean_move=moved,
    )


def _curves(
    names: list[str], weight: np.ndarray, along: _Along, places: np.ndarray, held: np.ndarray
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    import pandas as pd

    wanted = weight > 0
    kept = {what: (1 - along.before(what)[places])[::-1] for what in ("cells", "area", "cost")}
    part = held[::-1, wanted]
    curves = pd.DataFrame(
        {
            "kept": kept[along.counted],
            **kept,
            "mean": part.mean(axis=1),
            "weighted_mean": part @ weight[wanted] / weight[wanted].sum(),
            "min": part.min(axis=1),
            "max": part.max(axis=1),
        }
    )
    by_layer = pd.DataFrame(held[::-1], columns=names)
    by_layer.insert(0, "kept", kept[along.counted])
    return curves, by_layer


def _held(names: list[str], wanted: np.ndarray, levels: list[float], held: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    part = held[:, wanted]
    least = [np.array(names)[wanted][k] for k in part.argmin(axis=1)]
    return pd.DataFrame({"kept": levels, "mean": part.mean(axis=1), "min": part.min(axis=1), "least": least})


def _chart(
    curves: "pd.DataFrame", layer_curves: "pd.DataFrame", wanted: np.ndarray, counted: str
) -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    kept = curves["kept"] * 100
    for name, good in zip(layer_curves.columns[1:], wanted, strict=True):
        colour = "#9fb8ad" if good else "#d9b38c"
        axes.plot(kept, layer_curves[name] * 100, color=colour, linewidth=0.5, alpha=0.7)
    axes.plot(kept, curves["mean"] * 100, color="#1b5e4b", linewidth=2, label="mean")
    axes.plot(kept, curves["min"] * 100, color="#8c2d19", linewidth=1.5, label="least")
    of = {"area": "area", "cells": "cells", "cost": "cost"}[counted]
    axes.set(
        xlabel=f"top of the ranking kept (% of {of})", ylabel="held (% of the layer)", xlim=(0, 100), ylim=(0, 101)
    )
    axes.legend(frameon=False, loc="lower right")
    return figure
