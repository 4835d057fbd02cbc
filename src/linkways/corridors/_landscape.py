"""The raster graph that the least-cost methods walk on, and the cells of the core areas in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.spatial import cell_geometry, grid_of, note

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from linkways.kernels.cost_distance import CostField
    from linkways.spatial import CellGeometry

__all__ = ["CoreCells", "Landscape", "core_cells", "core_table", "refuse_unreachable"]


@dataclass(frozen=True)
class Landscape:
    """A resistance raster with the step lengths of its grid."""

    raster: xr.DataArray
    cells: CellGeometry
    neighbours: int

    @classmethod
    def of(cls, resistance: xr.DataArray, neighbours: int = 8) -> Landscape:
        return cls(resistance, cell_geometry(resistance), neighbours)

    @cached_property
    def resistance(self) -> np.ndarray:
        return np.ascontiguousarray(self.raster.values, dtype=np.float64)

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.resistance.shape
        return rows, columns

    @cached_property
    def area_km2(self) -> np.ndarray:
        """Area of each cell, (rows, columns)."""
        return np.broadcast_to(self.cells.area_m2[:, None] / 1e6, self.shape)

    @cached_property
    def transform(self) -> Any:
        """From (column, row) to (x, y)."""
        return grid_of(self.raster).transform

    @property
    def steps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.cells.east_west_m, self.cells.north_south_m, self.cells.diagonal_m

    @cached_property
    def graph(self) -> Any:
        """The grid made ready once for any number of sources."""
        from linkways.kernels.cost_distance import prepare

        return prepare(self.resistance, *self.steps, neighbours=self.neighbours, wraps=self.cells.wraps)

    def cost_field(
        self, cells: np.ndarray, labels: np.ndarray | None = None, *, max_cost: float = math.inf, **options: Any
    ) -> CostField:
        from linkways.kernels.cost_distance import cost_field_on_grid

        labels = np.zeros(len(cells), np.int32) if labels is None else labels.astype(np.int32)
        return cost_field_on_grid(self.graph, cells.astype(np.int64), labels, max_cost=max_cost, **options)

    @cached_property
    def groups(self) -> np.ndarray:
        """Connected groups of passable cells, 0 where a cell cannot be entered."""
        from scipy.ndimage import label

        shape = np.ones((3, 3), int) if self.neighbours == 8 else None
        groups, _ = label(np.isfinite(self.resistance), structure=shape)
        if self.cells.wraps:
            groups = _join_seam(groups, self.neighbours)
        return np.asarray(groups)

    def like(self, values: np.ndarray, name: str, **attrs: Any) -> xr.DataArray:
        """A raster on this grid."""
        out = self.raster.copy(data=values)
        out.name = name
        keep = {k: self.raster.attrs[k] for k in ("simulated",) if k in self.raster.attrs}
        out.attrs = {**keep, **attrs}
        return out

    def points(self, cells: np.ndarray) -> np.ndarray:
        """Coordinates of cell centres, (n, 2)."""
        rows, columns = np.divmod(cells, self.shape[1])
        return np.column_stack([self.raster.x.values[columns], self.raster.y.values[rows]])

    def polygon(self, mask: np.ndarray, corner: tuple[int, int] = (0, 0)) -> Any:
        """The outline of the True cells of a window whose upper left cell is ``corner``."""
        import rasterio.features
        import rasterio.windows
        import shapely

        window = rasterio.windows.Window(corner[1], corner[0], mask.shape[1], mask.shape[0])
        moved = rasterio.windows.transform(window, self.transform)
        shapes = rasterio.features.shapes(mask.astype(np.uint8), mask=mask, transform=moved, connectivity=4)
        parts = [shapely.geometry.shape(geometry) for geometry, _ in shapes]
        return shapely.union_all(parts)


def _join_seam(groups: np.ndarray, neighbours: int) -> np.ndarray:
    import networkx as nx

    joined = nx.Graph()
    reach = (-1, 0, 1) if neighbours == 8 else (0,)
    rows = len(groups)
    for row in range(rows):
        for other in (row + r for r in reach if 0 <= row + r < rows):
            if groups[row, 0] and groups[other, -1]:
                joined.add_edge(int(groups[row, 0]), int(groups[other, -1]))
    names = np.arange(groups.max() + 1)
    for members in nx.connected_components(joined):
        names[list(members)] = min(members)
    return np.asarray(names[groups])


# --- core areas on the grid ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class CoreCells:
    """Core areas as cells: ``ids`` in order, and the flat passable cells of each."""

    ids: tuple[int, ...]
    cells: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Any:
        return iter(zip(self.ids, self.cells, strict=True))

    def labels(self, shape: tuple[int, int]) -> np.ndarray:
        """Index of the core of each cell, -1 outside every core."""
        out = np.full(shape[0] * shape[1], -1, np.int32)
        for index, cells in enumerate(self.cells):
            out[cells] = index
        return out.reshape(shape)


def core_table(cores: gpd.GeoDataFrame, what: str = "cores") -> gpd.GeoDataFrame:
    """The features with an integer column ``core``: theirs when they have one, else 1, 2, 3, ..."""
    import pandas as pd

    if "core" not in cores.columns:
        return cores.assign(core=np.arange(1, len(cores) + 1))
    ids = pd.to_numeric(cores["core"], errors="coerce")
    if ids.isna().any() or (ids % 1 != 0).any():
        bad = cores.index[ids.isna() | (ids % 1 != 0)][0]
        raise LinkwaysError(
            f"{what}: column core must hold whole numbers, but feature {bad} has {cores['core'][bad]!r}"
        )
    if ids.duplicated().any():
        twice = int(ids[ids.duplicated()].iloc[0])
        raise LinkwaysError(f"{what}: the number {twice} stands for two features in column core; dissolve or renumber")
    return cores.assign(core=ids.astype(int)).sort_values("core")


def core_cells(landscape: Landscape, cores: gpd.GeoDataFrame, what: str = "cores") -> CoreCells:
    """The passable cells of each feature by the cell-centre rule; a feature between centres takes its own cell.

    Refuses features that lie wholly on nodata or outside the raster.
    """
    from linkways.spatial import feature_of_cell

    cores = core_table(cores, what)
    if not len(cores):
        raise LinkwaysError(f"{what}: the layer holds no features")
    found = feature_of_cell(cores, landscape.raster).ravel()
    passable = np.isfinite(landscape.resistance).ravel()
    order = np.argsort(found, kind="stable")
    starts = np.searchsorted(found[order], np.arange(len(cores) + 1))
    ids, cells, lost = [], [], []
    for index, (core, geometry) in enumerate(zip(cores["core"], cores.geometry, strict=True)):
        own = order[starts[index] : starts[index + 1]]
        if not len(own):
            own = _cell_of(landscape, geometry)
        own = own[passable[own]]
        if not len(own):
            lost.append(int(core))
        ids.append(int(core))
        cells.append(np.sort(own))
    if lost:
        raise LinkwaysError(
            f"{what} {_names(lost)} lie entirely on nodata or outside the resistance raster; move or drop them, or "
            "give these cells a resistance"
        )
    return CoreCells(tuple(ids), tuple(cells))


def _cell_of(landscape: Landscape, geometry: Any) -> np.ndarray:
    from rasterio.transform import rowcol

    point = geometry.representative_point()
    row, column = rowcol(landscape.transform, point.x, point.y)
    rows, columns = landscape.shape
    if not (0 <= row < rows and 0 <= column < columns):
        return np.empty(0, np.int64)
    return np.array([int(row) * columns + int(column)])


def refuse_unreachable(landscape: Landscape, cores: CoreCells, *, drop: bool) -> CoreCells:
    """The cores that passable cells join; the others are refused by name, or dropped with a note."""
    import networkx as nx

    joined = nx.Graph()
    groups = landscape.groups.ravel()
    area = landscape.area_km2.ravel()
    size: dict[int, float] = {}
    for core, cells in cores:
        joined.add_edges_from((("core", core), int(g)) for g in np.unique(groups[cells]))
        size[core] = float(area[cells].sum())
    parts = [[n[1] for n in part if isinstance(n, tuple)] for part in nx.connected_components(joined)]
    parts.sort(key=lambda part: (-sum(size[c] for c in part), min(part)))
    if len(parts) == 1:
        return cores
    apart = sorted(c for part in parts[1:] for c in part)
    if not drop:
        raise LinkwaysError(
            f"cores {_names(apart)} cannot reach the others over passable cells; give the cells between them a "
            "resistance, drop these cores, or set unreachable to 'drop'"
        )
    note(f"cores {_names(apart)} dropped: no passable cells join them to the largest group of cores")
    kept = [i for i, core in enumerate(cores.ids) if core not in set(apart)]
    if len(kept) < 2:
        raise LinkwaysError("no two cores can reach each other over passable cells; check nodata in the resistance")
    return CoreCells(tuple(cores.ids[i] for i in kept), tuple(cores.cells[i] for i in kept))


def _names(ids: Sequence[int]) -> str:
    shown = ", ".join(str(i) for i in ids[:10])
    return shown + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")
