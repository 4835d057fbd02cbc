"""Planning units and options from rasters, parcels and tables, checked in plain words before anything is searched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.planning._restore_problem import Options, Units
from linkways.spatial import cell_geometry, feature_of_cell, grid_of, new_raster, note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

__all__ = [
    "Action",
    "Blocks",
    "Candidates",
    "actions_of",
    "core_patches",
    "names_in",
    "options_of_parcels",
    "options_of_units",
    "units_of",
    "zones_of",
]

ID = "planning.restore"
Rule = Literal["exact", "restopt"]

#: A cell narrower than this many metres is a cell in degrees, taken for metres.
_NARROWEST_CELL_M = 0.05


@dataclass(frozen=True)
class Action:
    """Something that can be done on a unit."""

    name: str
    cost_per_ha: float
    habitat: float
    resistance_factor: float


@dataclass(frozen=True)
class Blocks:
    """The fine grid cut into blocks of ``factor`` x ``factor`` cells, from the north-western corner."""

    habitat: xr.DataArray
    factor: int

    @cached_property
    def values(self) -> np.ndarray:
        """Habitat, north up and west left."""
        return self.upright(self.habitat)

    def upright(self, raster: xr.DataArray) -> np.ndarray:
        grid = grid_of(raster)
        values = np.asarray(raster.values, float)
        values = values[::-1] if grid.dy > 0 else values
        return values[:, ::-1] if grid.dx < 0 else values

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.values.shape
        return -(-rows // self.factor), -(-columns // self.factor)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum over each block of the cells with a value."""
        rows, columns = self.shape
        k = self.factor
        padded = np.zeros((rows * k, columns * k))
        padded[: values.shape[0], : values.shape[1]] = np.nan_to_num(values)
        return np.asarray(padded.reshape(rows, k, columns, k).sum(axis=(1, 3)))

    @cached_property
    def cells(self) -> np.ndarray:
        """Number of cells of each block that belong to the landscape."""
        return self.sums(np.isfinite(self.values).astype(float))

    @cached_property
    def cell_ha(self) -> np.ndarray:
        """Mean area of one fine cell by row of blocks."""
        area = cell_geometry(self.habitat).area_m2 / 1e4
        area = area[::-1] if grid_of(self.habitat).dy > 0 else area
        padded = np.full(self.shape[0] * self.factor, np.nan)
        padded[: len(area)] = area
        return np.asarray(np.nanmean(padded.reshape(self.shape[0], self.factor), axis=1))

    @cached_property
    def raster(self) -> xr.DataArray:
        """The grid of blocks, NaN outside the landscape, else 0."""
        grid = grid_of(self.habitat)
        west, _, _, north = grid.bounds
        values = np.where(self.cells > 0, 0.0, np.nan)
        size = (abs(grid.dx) * self.factor, abs(grid.dy) * self.factor)
        return new_raster(values, crs=grid.crs, cell_size=size, origin=(west, north), name="units")

    @cached_property
    def inside(self) -> np.ndarray:
        """Flat blocks that are units."""
        return np.flatnonzero(self.cells.ravel() > 0)

    @cached_property
    def unit(self) -> np.ndarray:
        """Unit of each block, -1 outside the landscape."""
        out = np.full(self.cells.size, -1)
        out[self.inside] = np.arange(len(self.inside))
        return out.reshape(self.shape)

    def share(self, raster: xr.DataArray | None) -> np.ndarray:
        """Cells of the raster that are set, per cell of the unit that belongs to the landscape."""
        if raster is None:
            return np.zeros(len(self.inside))
        flagged = np.nan_to_num(self.upright(raster)) != 0
        return np.asarray((self.sums(flagged.astype(float)) / np.maximum(self.cells, 1)).ravel()[self.inside])

    def mean(self, raster: xr.DataArray, where: np.ndarray) -> np.ndarray:
        """Mean of the raster over the cells of each unit that are in ``where``; NaN where there is none."""
        values = self.upright(raster)
        known = where & np.isfinite(values)
        with np.errstate(invalid="ignore"):
            return np.asarray((self.sums(np.where(known, values, 0.0)) / self.sums(known * 1.0)).ravel()[self.inside])


# --- units -----------------------------------------------------------------------------------------------------


def units_of(
    blocks: Blocks, threshold: float, resistance: xr.DataArray | None, neighbours: int, rule: Rule
) -> tuple[Units, np.ndarray]:
    """The units, and the cells of habitat in each."""
    _check_habitat(blocks)
    present = blocks.sums(blocks.values).ravel()[blocks.inside]
    cells = blocks.cells.ravel()[blocks.inside]
    habitat = present / cells >= threshold - 1e-12
    geometry = cell_geometry(blocks.raster)
    rows, columns = np.divmod(blocks.inside, blocks.shape[1])
    x, y = _centres(blocks, rows, columns, rule)
    touch_ptr, touch, _ = _steps(blocks.unit, geometry, neighbours)
    step_ptr, step, length = _steps(blocks.unit, geometry, 8)
    crossing = np.ones(len(cells))
    if resistance is not None:
        crossing = blocks.mean(resistance, np.isfinite(blocks.values))
        lost = ~np.isfinite(crossing) & ~habitat
        if lost.any():
            at = int(np.argmax(lost))
            raise LinkwaysError(
                f"{ID}: resistance has no value in {int(lost.sum())} units of the landscape, first at row {rows[at]} "
                f"column {columns[at]} of the units; give every cell of the landscape a resistance"
            )
        crossing = np.where(np.isfinite(crossing), crossing, np.nanmin(crossing))
    area = geometry.area_m2[rows] / 1e4
    resisting = np.where(habitat, 0.0, crossing)
    return Units(x, y, area, habitat, crossing, resisting, touch_ptr, touch, step_ptr, step, length), present


def _check_habitat(blocks: Blocks) -> None:
    grid = grid_of(blocks.habitat)
    west, south, east, north = grid.bounds
    in_degrees = west >= -360 and east <= 360 and south >= -90 and north <= 90
    if not grid.crs.is_geographic and in_degrees and abs(grid.dx) < _NARROWEST_CELL_M:
        raise LinkwaysError(
            f"{ID}: habitat has cells of {abs(grid.dx):g} units in a CRS in metres ({grid.crs.name}), and its bounds "
            "look like degrees; give it the CRS that its coordinates are in (for example EPSG:4326)"
        )
    values = blocks.values
    known = values[np.isfinite(values)]
    if not len(known):
        raise LinkwaysError(f"{ID}: habitat is nodata everywhere; give cells of the landscape 0 or 1")
    odd = np.isfinite(values) & (values != 0) & (values != 1)
    if odd.any():
        row, column = (int(i) for i in np.argwhere(odd)[0])
        raise LinkwaysError(
            f"{ID}: habitat must hold 1 (habitat), 0 (not) and nodata, but {int(odd.sum())} cells hold other values, "
            f"first {values[row, column]:g} at row {row} column {column}; set a threshold first"
        )


def _centres(blocks: Blocks, rows: np.ndarray, columns: np.ndarray, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Centres in metres: true ones, or on the square grid of the cells' width that restopt measures on."""
    raster = blocks.raster
    xs, ys = raster.x.values[columns], raster.y.values[rows]
    crs = grid_of(raster).crs
    if crs.is_geographic:
        from pyproj import CRS, Transformer

        middle = f"+proj=aeqd +lat_0={ys.mean()} +lon_0={xs.mean()} +units=m"
        xs, ys = Transformer.from_crs(crs, CRS(middle), always_xy=True).transform(xs, ys)
        factor = 1.0
    else:
        factor = crs.axis_info[0].unit_conversion_factor
    if rule == "restopt":
        width = abs(grid_of(raster).dx) * factor
        return columns * width, rows * width
    return np.asarray(xs) * factor, np.asarray(ys) * factor


def _steps(unit: np.ndarray, geometry: Any, neighbours: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compressed rows of the units one can step to, and the metres of each step."""
    rows, columns = unit.shape
    east = np.broadcast_to(geometry.east_west_m[:, None], (rows, columns))
    south = np.broadcast_to(geometry.north_south_m[:, None], (rows - 1, columns))
    across = np.broadcast_to(geometry.diagonal_m[:, None], (rows - 1, columns))
    pairs = [(unit[:, :-1], unit[:, 1:], east[:, :-1]), (unit[:-1], unit[1:], south)]
    if neighbours == 8:
        pairs += [(unit[:-1, :-1], unit[1:, 1:], across[:, :-1]), (unit[:-1, 1:], unit[1:, :-1], across[:, :-1])]
    if geometry.wraps and columns > 2:
        pairs.append((unit[:, -1], unit[:, 0], east[:, -1]))
        if neighbours == 8:
            pairs += [(unit[:-1, -1], unit[1:, 0], across[:, -1]), (unit[1:, -1], unit[:-1, 0], across[:, -1])]
    one = np.concatenate([a.ravel() for a, _, _ in pairs])
    two = np.concatenate([b.ravel() for _, b, _ in pairs])
    length = np.concatenate([m.ravel() for _, _, m in pairs])
    known = (one >= 0) & (two >= 0)
    start = np.concatenate([one[known], two[known]])
    end = np.concatenate([two[known], one[known]])
    length = np.concatenate([length[known], length[known]])
    order = np.lexsort((end, start))
    count = int(unit.max(initial=-1)) + 1
    ptr = np.searchsorted(start[order], np.arange(count + 1))
    return ptr.astype(np.int64), end[order].astype(np.int64), length[order]


# --- candidates ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidates:
    """The units that may be restored, what is to be restored in each, and what that costs a hectare."""

    unit: np.ndarray
    restored_ha: np.ndarray
    total_ha: np.ndarray
    cost_per_ha: np.ndarray | None
    locked: np.ndarray

    @classmethod
    def of(
        cls,
        blocks: Blocks,
        units: Units,
        present: np.ndarray,
        *,
        share: float,
        threshold: float,
        rule: Rule,
        restorable: xr.DataArray | None,
        cost: xr.DataArray | None,
        locked_in: xr.DataArray | None,
        locked_out: xr.DataArray | None,
    ) -> Candidates:
        cells = blocks.cells.ravel()[blocks.inside]
        degraded = cells - present
        left = np.ceil(cells * (1 - share)) if rule == "restopt" else np.floor(cells * (1 - share) + 1e-9)
        needed = np.maximum(degraded - left, 0.0)
        open_to = ~units.habitat & (blocks.share(locked_out) < threshold - 1e-12)
        if restorable is not None:
            able = np.isfinite(blocks.values) & (blocks.values == 0) & (np.nan_to_num(blocks.upright(restorable)) != 0)
            open_to &= blocks.sums(able * 1.0).ravel()[blocks.inside] >= np.maximum(needed, 1) - 1e-9
        prices = None
        if cost is not None:
            prices = blocks.mean(cost, np.isfinite(blocks.values) & (blocks.values == 0))
            if (prices[open_to] < 0).any():
                raise LinkwaysError(f"{ID}: cost is negative in some units; costs are 0 or more a hectare")
            open_to &= np.isfinite(prices)
        inner = blocks.share(locked_in) >= threshold - 1e-12
        wanted = inner & ~units.habitat
        if (wanted & ~open_to).any():
            at = int(np.argmax(wanted & ~open_to))
            row, column = divmod(int(blocks.inside[at]), blocks.shape[1])
            raise LinkwaysError(
                f"{ID}: {int((wanted & ~open_to).sum())} units are locked in but may not be restored (locked out, not "
                f"restorable, or without a cost), first at row {row} column {column} of the units; free or drop them"
            )
        if not open_to.any():
            raise LinkwaysError(
                f"{ID}: no unit may be restored: every unit is habitat already, locked out, not restorable or without "
                "a cost; check these rasters and habitat_threshold"
            )
        chosen = np.flatnonzero(open_to)
        cell_ha = blocks.cell_ha[blocks.inside // blocks.shape[1]]
        return cls(
            chosen,
            (needed * cell_ha)[chosen],
            (degraded * cell_ha)[chosen],
            None if prices is None else prices[chosen],
            inner[chosen],
        )

    def money(self, action: Action) -> np.ndarray:
        prices = np.zeros(len(self.unit)) if self.cost_per_ha is None else self.cost_per_ha
        return np.asarray(self.restored_ha * (prices + action.cost_per_ha))


def options_of_units(candidates: Candidates, actions: list[Action], money: bool, threshold: float) -> Options:
    """One option for each unit and action."""
    count, kinds = len(candidates.unit), len(actions)
    costs = [candidates.money(a) if money else candidates.restored_ha for a in actions]
    locked = np.concatenate([candidates.locked & (k == 0) for k in range(kinds)])
    return Options(
        np.arange(count * kinds + 1),
        np.tile(candidates.unit, kinds),
        np.concatenate(costs),
        np.tile(candidates.restored_ha, kinds),
        np.repeat([a.habitat for a in actions], count),
        np.repeat([a.resistance_factor for a in actions], count),
        np.repeat([a.habitat >= threshold for a in actions], count),
        np.tile(np.arange(count), kinds),
        np.full(count * kinds, -1),
        locked,
    )


def options_of_parcels(
    blocks: Blocks,
    candidates: Candidates,
    parcels: gpd.GeoDataFrame,
    actions: list[Action],
    money: bool,
    threshold: float,
    price: np.ndarray | None,
) -> tuple[Options, np.ndarray]:
    """One option for each parcel that holds units to restore, and action; and the parcels' positions in the layer."""
    owner = _parcel_of_units(blocks, parcels)[candidates.unit]
    order = np.argsort(owner, kind="stable")
    order = order[owner[order] >= 0]
    held, starts = np.unique(owner[order], return_index=True)
    if not len(held):
        raise LinkwaysError(
            f"{ID}: no parcel holds the centre of a unit that may be restored; check that parcels and habitat overlap, "
            "or use smaller units"
        )
    if len(held) < len(parcels):
        note(f"{ID}: {len(parcels) - len(held)} of {len(parcels)} parcels hold no unit that may be restored")
    count, kinds = len(held), len(actions)
    ptr = np.append(starts, len(order))
    ha = np.add.reduceat(candidates.restored_ha[order], starts)
    costs = []
    for action in actions:
        own = np.add.reduceat((candidates.money(action) if money else candidates.restored_ha)[order], starts)
        costs.append(own + price[held] if money and price is not None else own)
    locked = np.logical_or.reduceat(candidates.locked[order], starts)
    unit_ptr = np.concatenate([ptr[:-1] + k * len(order) for k in range(kinds)] + [[kinds * len(order)]])
    options = Options(
        unit_ptr.astype(np.int64),
        np.tile(candidates.unit[order], kinds),
        np.concatenate(costs),
        np.tile(ha, kinds),
        np.repeat([a.habitat for a in actions], count),
        np.repeat([a.resistance_factor for a in actions], count),
        np.repeat([a.habitat >= threshold for a in actions], count),
        np.tile(np.arange(count), kinds),
        np.full(count * kinds, -1),
        np.concatenate([locked & (k == 0) for k in range(kinds)]),
    )
    return options, np.tile(held, kinds)


def _made_valid(parcels: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The parcels with invalid outlines made valid, which is told."""
    import shapely

    outlines = parcels.geometry.to_numpy()
    wrong = ~shapely.is_valid(outlines)
    if not wrong.any():
        return parcels
    note(f"{ID}: {int(wrong.sum())} invalid parcels made valid, first index {parcels.index[wrong][0]}")
    return parcels.set_geometry(shapely.make_valid(outlines, method="structure", keep_collapsed=False))


def _parcel_of_units(blocks: Blocks, parcels: gpd.GeoDataFrame) -> np.ndarray:
    """The parcel that holds each unit's centre, -1 where none does; the last where several do, with a note."""
    parcels = _made_valid(parcels)
    last = feature_of_cell(parcels, blocks.raster).ravel()[blocks.inside]
    first = feature_of_cell(parcels.iloc[::-1], blocks.raster).ravel()[blocks.inside]
    first = np.where(first >= 0, len(parcels) - 1 - first, -1)
    shared = np.flatnonzero(first != last)
    if len(shared):
        one, other = (parcels.index[k[shared[0]]] for k in (first, last))
        note(
            f"{ID}: parcels overlap on {len(shared)} units, first those with index {one} and {other}; each unit goes "
            "with the last of its parcels"
        )
    return np.asarray(last)


def zones_of(options: Options, names_by_unit: np.ndarray, limits: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The zone of each option by its first unit, and the zones' limits; names without a limit are free."""
    known = {str(n): i for i, n in enumerate(limits["name"])}
    limit = np.asarray(limits["limit"], float)
    if not np.all(np.isfinite(limit) & (limit >= 0)):
        raise LinkwaysError(f"{ID}: limits must be numbers of 0 or more in the unit of the budget; check column limit")
    present = {str(n) for n in np.unique(names_by_unit[names_by_unit != ""])}
    for name in known:
        if name not in present:
            raise LinkwaysError(f"{ID}: limits names {name!r}, which holds no unit{nearest(name, present)}")
    first = options.unit_of[options.unit_ptr[:-1]]
    return np.array([known.get(str(names_by_unit[u]), -1) for u in first], np.int64), limit


def names_in(blocks: Blocks, features: gpd.GeoDataFrame, column: str, what: str) -> np.ndarray:
    """The name of the feature that holds each unit's centre, '' where none does."""
    if column not in features.columns:
        raise LinkwaysError(
            f"{ID}: {what} has no column '{column}'{nearest(column, [str(c) for c in features.columns])}"
        )
    at = feature_of_cell(features, blocks.raster).ravel()[blocks.inside]
    names = np.array([str(n) for n in features[column]] + [""], dtype=object)
    return np.asarray(names[at])


def core_patches(blocks: Blocks, units: Units, cores: gpd.GeoDataFrame, join: list[str] | None) -> dict[str, int]:
    """The patch of each core that must be joined: the one with the most habitat inside the core's outline."""
    column = next((c for c in ("name", "core") if c in cores.columns), None)
    names = [str(n) for n in (cores[column] if column else range(1, len(cores) + 1))]
    wanted = names if join is None else join
    out: dict[str, int] = {}
    for name in wanted:
        if name not in names:
            raise LinkwaysError(f"{ID}: join names {name!r}, which is no core{nearest(name, names)}")
        outline = cores.iloc[[i for i, n in enumerate(names) if n == name]]
        inside = (feature_of_cell(outline, blocks.raster).ravel()[blocks.inside] >= 0) & units.habitat
        if not inside.any():
            raise LinkwaysError(
                f"{ID}: core {name!r} holds no unit of habitat, so nothing can be joined to it; check habitat and "
                "habitat_threshold there, or leave it out of join"
            )
        area = np.bincount(units.patch[inside], units.area_ha[inside])
        out[name] = int(area.argmax())
    if len(wanted) < 2:
        raise LinkwaysError(
            f"{ID}: joining needs two cores or more, and there is {len(wanted)}; add cores, or drop them"
        )
    return out


def actions_of(table: pd.DataFrame | None) -> list[Action]:
    if table is None:
        return [Action("restore", 0.0, 1.0, 0.0)]
    out: list[Action] = []
    for row, values in enumerate(table.to_dict("records")):
        name, *amounts = (values[c] for c in ("action", "cost_per_ha", "habitat", "resistance_factor"))
        try:
            action = Action(str(name), *(float(a) for a in amounts))
        except (TypeError, ValueError):
            raise LinkwaysError(f"{ID}: row {row} of actions holds {amounts!r} where numbers are needed") from None
        numbers = (action.cost_per_ha, action.habitat, action.resistance_factor)
        lawful = all(math.isfinite(n) and n >= 0 for n in numbers) and action.habitat <= 1
        if not lawful or action.resistance_factor > 1:
            raise LinkwaysError(
                f"{ID}: row {row} of actions must have cost_per_ha >= 0, habitat from 0 to 1 and resistance_factor "
                "from 0 to 1"
            )
        if action.name in (other.name for other in out):
            raise LinkwaysError(f"{ID}: actions names {action.name!r} twice; give every action its own name")
        out.append(action)
    if not out:
        raise LinkwaysError(f"{ID}: actions has no rows; leave the table out to restore habitat at the costs of cost")
    return out
