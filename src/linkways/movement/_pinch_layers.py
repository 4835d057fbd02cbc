"""From a corridor raster to tiers, and from necks in cells to layers and tables in metres."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.movement._pinch import Area, Neck
    from linkways.movement._pinch_passages import Passages

__all__ = ["MOST_TIERS", "Grid", "Report", "Tier", "tiers_of", "widths_in_cells"]

MOST_TIERS = 8
"""Distinct values of a raster up to which each is a tier of its own."""


@dataclass(frozen=True)
class Grid:
    """The corridor's grid: its corner and signed cell in units of the CRS, and what a unit is in metres."""

    crs: Any
    x0: float
    y0: float
    dx: float
    dy: float
    unit_m: float

    @classmethod
    def of(cls, raster: "xr.DataArray") -> "Grid":
        """Refuses degrees."""
        from linkways.spatial import grid_of

        grid = grid_of(raster)
        if grid.crs.is_geographic:
            raise LinkwaysError(
                f"movement.bottlenecks: the corridor lies on degrees ({grid.crs.name}), but widths are measured in "
                "metres on a plane; project it first (spatial.align, or raster.rio.reproject)"
            )
        return cls(grid.crs, grid.x0, grid.y0, grid.dx, grid.dy, float(grid.crs.axis_info[0].unit_conversion_factor))

    @property
    def width_m(self) -> float:
        """Of a cell."""
        return abs(self.dx) * self.unit_m

    @property
    def height_m(self) -> float:
        """Of a cell."""
        return abs(self.dy) * self.unit_m

    @property
    def side_m(self) -> float:
        """The shorter side of a cell, in which necks are measured."""
        return min(self.width_m, self.height_m)

    def places(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) coordinates in the CRS of (column, row) of the padded grid."""
        return np.asarray(np.array([self.x0, self.y0]) + (points - 0.5) * np.array([self.dx, self.dy]))


@dataclass(frozen=True)
class Tier:
    """One of the nested areas of a corridor."""

    level: float
    mask: np.ndarray

    def area(self, grid: Grid) -> "Area":
        """With the clearance of every cell."""
        from linkways.movement._pinch import Area

        return Area.of(self.mask, grid.width_m, grid.height_m)


def widths_in_cells(width_m: float | None, grid: Grid) -> float:
    """A width in sides of cells, inf when there is none."""
    return np.inf if width_m is None else width_m / grid.side_m


def tiers_of(
    corridor: "xr.DataArray", values: str, levels: list[float] | None, fill_holes_km2: float, grid: Grid
) -> list[Tier]:
    """The nested areas, from the most cells to the fewest; refuses those without cells."""
    use = np.asarray(corridor.values, dtype=np.float64)
    use = np.where(np.isfinite(use), use, 0.0)
    if (use < 0).any():
        row, column = np.argwhere(use < 0)[0]
        raise LinkwaysError(
            f"movement.bottlenecks: corridor has {int((use < 0).sum())} cells below 0, first at row {row} column "
            f"{column}; set them to nodata"
        )
    if not use.any():
        raise LinkwaysError(
            "movement.bottlenecks: the corridor is empty (no cell above 0); check the raster, or the contour that it "
            "was made with"
        )
    of_level = _of_volumes(use, levels) if values == "occurrence" else _of_values(use, levels)
    holes = fill_holes_km2 * 1e6 / (grid.width_m * grid.height_m)
    tiers: list[Tier] = []
    cells = 0
    for level, mask in of_level:
        if not mask.any():
            raise LinkwaysError(
                f"movement.bottlenecks: no cell of the corridor is in the tier of level {level:g} (the highest value "
                f"is {use.max():g}); leave that level out"
            )
        if not tiers or mask.sum() < cells:  # nested areas of as many cells are one
            tiers.append(Tier(level, _without_holes(mask, holes)))
            cells = int(mask.sum())
    return tiers


def _of_values(use: np.ndarray, levels: list[float] | None) -> list[tuple[float, np.ndarray]]:
    if levels is None:
        distinct = np.unique(use[use > 0])
        if len(distinct) > MOST_TIERS:
            top = float(distinct[-1])
            levels = [float(distinct[0]), 0.1 * top, 0.2 * top]
        else:
            levels = [float(value) for value in distinct]
    levels = sorted(set(levels))
    if levels[0] <= 0:
        raise LinkwaysError(
            f"movement.bottlenecks: level {levels[0]:g} would take in cells without use; give levels above 0"
        )
    return [(level, use >= level) for level in levels]


def _of_volumes(use: np.ndarray, levels: list[float] | None) -> list[tuple[float, np.ndarray]]:
    levels = sorted(set([50.0, 95.0, 99.0] if levels is None else levels), reverse=True)
    if levels[0] > 100 or levels[-1] <= 0:
        raise LinkwaysError(
            "movement.bottlenecks: levels of an occurrence distribution are volumes in per cent, 0 to 100"
        )
    flat = use.ravel()
    order = np.argsort(-flat, kind="stable")
    above = np.concatenate([[0.0], np.cumsum(flat[order])[:-1]]) / flat.sum()
    volume = np.empty(flat.size)
    volume[order] = above
    return [(level, (use > 0) & (volume.reshape(use.shape) < level / 100)) for level in levels]


def _without_holes(mask: np.ndarray, cells: float) -> np.ndarray:
    """The mask with the holes of fewer than so many cells filled; what reaches the border is no hole."""
    if cells <= 1:
        return mask
    from linkways.kernels.labels import label_block

    labels, count = label_block(np.pad(~mask, 1, constant_values=True), neighbours=4)
    size = np.bincount(labels.ravel(), minlength=count + 1)
    small = size < cells
    small[[0, labels[0, 0]]] = False
    return np.asarray(mask | small[labels[1:-1, 1:-1]])


class Report:
    """Bottlenecks in metres, with who passes and what hems them in."""

    def __init__(
        self,
        grid: Grid,
        corridor: "xr.DataArray",
        levels: list[float],
        groups: "list[list[tuple[int, Neck]]]",
        ranges: list[str],
    ) -> None:
        self.grid = grid
        self.levels = levels
        self.groups = groups
        self.ranges = ranges
        self.use = np.nan_to_num(corridor.values)
        self.most = float(self.use.max())
        self.ends = [grid.places(group[0][1].ends) for group in groups]
        self.passages: Passages | None = None
        self.beside: list[list[dict[str, Any]]] = [[] for _ in groups]

    def add_passages(self, sequences: "gpd.GeoDataFrame | None", margin_m: float, replicates: int, seed: int) -> None:
        """Count the sequences that pass each cross-section."""
        if sequences is None:
            return
        from linkways.movement._pinch_passages import passages_of

        ends_m = [ends * self.grid.unit_m for ends in self.ends]
        self.passages = passages_of(sequences, ends_m, margin_m, replicates, np.random.default_rng(seed))

    def add_constraints(self, layers: "list[gpd.GeoDataFrame]", names: list[str] | None, reach_m: float) -> None:
        """Find what lies beyond both ends of each cross-section."""
        from linkways.movement._pinch_constraints import features_beside

        if names is not None and len(names) != len(layers):
            raise LinkwaysError(
                f"movement.bottlenecks: constraint_names holds {len(names)} names for {len(layers)} layers of "
                "constraints; give one for each, in order"
            )
        names = names or [f"layer {k + 1}" for k in range(len(layers))]
        cell = self.grid.side_m / self.grid.unit_m
        self.beside = features_beside(self.ends, layers, names, reach_m, cell, self.grid.unit_m)

    def layers(self) -> dict[str, Any]:
        """The parts of the result, numbered from the highest score."""
        import geopandas as gpd
        import pandas as pd
        import shapely

        rows = [self._row(k) for k in range(len(self.groups))]
        columns = list(self._columns())
        table = pd.DataFrame(rows, columns=columns).astype(self._columns())
        order = table.sort_values(["score", "width_m"], ascending=[False, True], kind="stable").index.to_numpy()
        table = table.iloc[order].reset_index(drop=True)
        table.insert(0, "bottleneck", np.arange(1, len(table) + 1))
        ends = np.array([self.ends[k] for k in order]).reshape(-1, 2, 2)
        crs = self.grid.crs
        lines = [(k, self.groups[i][0][1]) for k, i in enumerate(order) if self.groups[i][0][1].narrow > 0]
        return {
            "bottlenecks": gpd.GeoDataFrame(table, geometry=shapely.points(ends.mean(axis=1)), crs=crs),
            "cross_sections": gpd.GeoDataFrame(
                table[["bottleneck", "width_m"]].copy(), geometry=shapely.linestrings(ends), crs=crs
            ),
            "necks": gpd.GeoDataFrame(
                table.loc[[k for k, _ in lines], ["bottleneck", "narrow_m"]].reset_index(drop=True),
                geometry=[shapely.linestrings(self.grid.places(neck.way)) for _, neck in lines],
                crs=crs,
            ),
            "tiers": self._tiers(order),
            "passages": self._passages(order),
            "constraints": self._constraints(order),
            "count": len(table),
            "narrowest_m": float(table["width_m"].min()) if len(table) else np.nan,
        }

    @staticmethod
    def _columns() -> dict[str, str]:
        numbers = dict.fromkeys(
            ["share_use", "share_animals", "share_animals_low", "share_animals_high", "share_sequences"], "float64"
        )
        passage = dict.fromkeys(["passage_width_m", "passage_width_low_m", "passage_width_high_m"], "float64")
        return {
            **dict.fromkeys(["width_m", "width_low_m", "width_high_m", "prominence"], "float64"),
            **{"tiers": "int64", "level": "float64", "narrow_m": "float64"},
            **{"is_cut": "bool", "parts": "object", "at_border": "bool"},
            **numbers,
            "season": "object",
            **passage,
            **{"constrained_by": "object", "score": "float64"},
        }

    def _row(self, k: int) -> dict[str, Any]:
        group = self.groups[k]
        tier, neck = group[0]
        side, cell = self.grid.side_m, max(self.grid.width_m, self.grid.height_m)
        width = neck.width * side
        row = {
            "width_m": width,
            "width_low_m": max(width - cell, 0.0),
            "width_high_m": width + cell,
            "prominence": 2 * neck.clearance_beside / neck.width,
            "tiers": len(group),
            "level": self.levels[tier],
            "narrow_m": neck.narrow * side,
            "is_cut": neck.is_cut,
            "parts": ", ".join(f"{self.ranges[i]} | {self.ranges[j]}" for i, j in neck.parted),
            "at_border": self._at_border(neck),
            "share_use": self._share_use(neck),
            **(self.passages.row(k) if self.passages else {"season": ""}),
            "constrained_by": _nearest_words(self.beside[k]),
        }
        share = row["share_animals"] if self.passages else row["share_use"]
        return {**row, "score": share / (width / 1000)}

    def _at_border(self, neck: "Neck") -> bool:
        rows, columns = self.use.shape
        # the outermost cells have centres at 1 and at their number
        low, high = neck.ends <= 0.75, neck.ends >= np.array([columns, rows]) + 0.25
        return bool(low.any() or high.any())

    def _share_use(self, neck: "Neck") -> float:
        columns = self.use.shape[1]
        row, column = neck.cells // (columns + 2) - 1, neck.cells % (columns + 2) - 1
        return float(self.use[row, column].max(initial=0.0)) / self.most

    def _tiers(self, order: np.ndarray) -> "pd.DataFrame":
        import pandas as pd

        side = self.grid.side_m
        rows = [
            (number + 1, self.levels[tier], neck.width * side, 2 * neck.clearance_beside / neck.width)
            for number, k in enumerate(order)
            for tier, neck in self.groups[k]
        ]
        return pd.DataFrame(rows, columns=["bottleneck", "level", "width_m", "prominence"])

    def _passages(self, order: np.ndarray) -> "pd.DataFrame":
        import pandas as pd

        columns = ["bottleneck", "animal", "sequence", "season", "time"]
        if self.passages is None:
            return pd.DataFrame(columns=columns)
        tables = [self.passages.table(k).assign(bottleneck=number + 1) for number, k in enumerate(order)]
        return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)

    def _constraints(self, order: np.ndarray) -> "pd.DataFrame":
        import pandas as pd

        rows = [{"bottleneck": number + 1, **feature} for number, k in enumerate(order) for feature in self.beside[k]]
        return pd.DataFrame(rows, columns=["bottleneck", "side", "layer", "feature", "distance_m"])


def _nearest_words(features: list[dict[str, Any]]) -> str:
    """What lies nearest on each side, in words."""
    nearest: dict[str, dict[str, Any]] = {}
    for feature in features:
        known = nearest.get(feature["side"])
        if known is None or feature["distance_m"] < known["distance_m"]:
            nearest[feature["side"]] = feature
    return "; ".join(
        f"{side}: {' '.join(filter(None, (feature['layer'], feature['feature'])))}"
        + ("" if side == "across" else f" ({feature['distance_m']:.0f} m)")
        for side, feature in nearest.items()
    )
