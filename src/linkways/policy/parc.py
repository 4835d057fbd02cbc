"""How well protected cells are connected to what is protected or intact around them (PARC-connectedness), and BERI."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, TableOf, Vector, method, progress
from linkways.policy._reported import REPORTED, reported

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

__all__ = ["Connectedness", "Resilience", "beri", "parc"]

DRIELSMA = (
    "Drielsma M, Manion G, Ferrier S (2007) The spatial links tool: automated mapping of habitat linkages in "
    "variegated landscapes. Ecological Modelling 200:403-411"
)
IntactKm = Annotated[
    float,
    Param("through intact habitat the probability of a path falls to 1/e over this distance", unit="km", gt=0),
]
MatrixKm = Annotated[
    float,
    Param("the same through cells without any habitat; between the two in proportion to habitat", unit="km", gt=0),
]
Cutoff = Annotated[
    float, Param("paths of a lower probability are left out, in the value and in its reference", gt=0, le=0.5)
]
RegionColumn = Annotated[
    str | None, Param("field that names the regions of the table; none: all polygons are one region")
]


@dataclass(frozen=True)
class Connectedness:
    """PARC-connectedness of cells and regions."""

    connectedness: Annotated[
        "xr.DataArray", Layer("connectedness of each protected cell, 0 to 1; empty where nothing is protected")
    ]
    regions: Annotated["pd.DataFrame", TableOf("region, protected_km2, connectedness (mean over its protected area)")]
    reported: Annotated["pd.DataFrame", TableOf(REPORTED)]
    parc: Annotated[float, Indicator("PARC-connectedness: mean over all protected area, 0 to 1")]


@dataclass(frozen=True)
class Resilience:
    """Bioclimatic ecosystem resilience of cells and regions."""

    resilience: Annotated["xr.DataArray", Layer("resilience of each cell with habitat, 0 to 1; empty elsewhere")]
    regions: Annotated["pd.DataFrame", TableOf("region, habitat_km2, resilience (mean over its habitat)")]
    beri: Annotated[float, Indicator("resilience: mean over all habitat, 0 to 1")]


@method(
    "policy.parc",
    references=(
        DRIELSMA,
        "GBF indicators, metadata A-5-C (2022): Protected Area Representativeness and Connectedness (PARC) indices",
        "NatureServe Biodiversity Indicators Dashboard, metadata of the Protected Area Connectedness Index",
    ),
)
def parc(
    protected: Annotated["xr.DataArray", Raster("share of each cell that is protected, 0 to 1, or a 0/1 mask")],
    habitat: Annotated["xr.DataArray", Raster("share or condition of intact habitat in each cell, 0 to 1")],
    regions: Annotated["gpd.GeoDataFrame | None", Vector("polygons to average over", geometry=("Polygon",))] = None,
    *,
    intact_km: IntactKm = 10.0,
    matrix_km: MatrixKm = 1.0,
    region_column: RegionColumn = None,
    cutoff: Cutoff = 0.01,
) -> Connectedness:
    """PARC-connectedness: how well each protected cell is connected to protected and intact cells around it.

    A cell's benefit is b = P + (1 - P) H, with P its protected share and H its habitat. The probability of a path is
    exp(-sum of step length x mean of 1/alpha of its two cells), where alpha runs from ``matrix_km`` at b = 0 to
    ``intact_km`` at b = 1. The value of a protected cell i is sum_j A_j b_j p*_ij over all cells j in reach, itself
    included, with the most probable path p*_ij and the area A_j; its connectedness is that value divided by what it
    would be if all land were intact. A region's value is the mean over its protected area (weight P A).

    The cost-benefit approach of Drielsma et al. (2007) is followed with an exact search (Dijkstra, 8 neighbours) from
    every protected cell instead of their petals. Steps of 8 directions make distances up to 8 % longer than straight
    lines, in the value and in the reference alike. CSIRO's own product uses its own habitat layer and parameters,
    so that values compare within one setting only. Cells of nodata are neither land nor habitat.

    Raises LinkwaysError for values outside 0..1, and when no cell is protected.

    Examples
    --------
    >>> from linkways import policy, spatial
    >>> protected = spatial.new_raster([[1, 0, 0, 1]], crs="EPSG:3035", cell_size=1000)
    >>> habitat = spatial.new_raster([[1, 1, 0, 1]], crs="EPSG:3035", cell_size=1000)
    >>> policy.parc(protected, habitat).connectedness.values.round(3)
    array([[0.637,   nan,   nan, 0.472]])
    """
    share = _within_01(protected, "protected")
    intact = _within_01(habitat, "habitat")
    land = np.isfinite(share) & np.isfinite(intact)
    benefit = np.where(land, share + (1.0 - share) * intact, np.nan)
    focal = np.flatnonzero((land & (share > 0)).ravel())
    if not len(focal):
        raise LinkwaysError("policy.parc: no cell of protected is above 0 on known habitat; check the two rasters")
    near = _Neighbourhood.of(protected, land, cutoff)
    value = near.sums(focal, _cost(benefit, intact_km, matrix_km), benefit, what="connectedness of protected cells")
    whole = near.sums(focal, _cost(np.where(land, 1.0, np.nan), intact_km, matrix_km), np.where(land, 1.0, np.nan))
    result = _raster(protected, focal, value / whole, "connectedness")
    weight = np.where(land, share, 0.0) * near.area_km2
    table, mean = _averages(result, weight, regions, region_column, "protected_km2", "connectedness")
    how = f"exp(-1) over {intact_km:g} km of intact habitat and {matrix_km:g} km without any"
    rows = [{"indicator": "parc-connectedness", "value": mean, "unit": "0-1", "thresholds": how}]
    return Connectedness(result, table, reported("policy.parc", rows), mean)


@method(
    "policy.beri",
    references=(
        DRIELSMA,
        "Ferrier S, Harwood TD, Ware C, Hoskins AJ (2020) A globally applicable indicator of the capacity of "
        "terrestrial ecosystems to retain biological diversity under climate change: the bioclimatic ecosystem "
        "resilience index. Ecological Indicators 117:106554",
    ),
)
def beri(
    habitat: Annotated["xr.DataArray", Raster("share or condition of intact habitat in each cell, 0 to 1")],
    now: Annotated[
        "list[xr.DataArray]",
        Raster("transformed environment of today, one raster for each predictor of a dissimilarity model", many=True),
    ],
    future: Annotated[
        "list[xr.DataArray]", Raster("the same predictors under the future climate, in the same order", many=True)
    ],
    regions: Annotated["gpd.GeoDataFrame | None", Vector("polygons to average over", geometry=("Polygon",))] = None,
    *,
    intact_km: IntactKm = 10.0,
    matrix_km: MatrixKm = 1.0,
    region_column: RegionColumn = None,
    cutoff: Cutoff = 0.01,
) -> Resilience:
    """How much habitat of like species will be in reach under climate change (after BERI), for each cell of habitat.

    The neighbourhood is that of ``parc`` with the habitat as benefit. Ecological similarity of cell i today and cell
    j in the future is s_ij = exp(-sum_k |now_k(i) - future_k(j)|) for predictors k as transformed by a generalised
    dissimilarity model (which the user supplies). Resilience of i is sum_j A_j h_j p*_ij s_ij divided by
    sum_j A_j p0*_ij s0_ij, what it would be if all land were intact and the climate stayed (s0 of today with today).

    Means are weighted by habitat area; CSIRO reports weighted geometric means with weights for the uniqueness of
    cells, which are not computed here.

    Raises LinkwaysError for habitat outside 0..1, no habitat, and numbers of rasters that differ.

    Examples
    --------
    >>> from linkways import policy, spatial
    >>> habitat = spatial.new_raster([[1, 1, 1]], crs="EPSG:3035", cell_size=1000)
    >>> now = spatial.new_raster([[0.0, 0.0, 0.0]], crs="EPSG:3035", cell_size=1000)
    >>> warmer = spatial.new_raster([[1.0, 0.0, 1.0]], crs="EPSG:3035", cell_size=1000)
    >>> policy.beri(habitat, [now], [warmer]).resilience.values.round(3)
    array([[0.578, 0.593, 0.578]])
    """
    if len(now) != len(future) or not now:
        raise LinkwaysError(
            f"policy.beri: now holds {len(now)} rasters and future {len(future)}; give one of each for every predictor"
        )
    intact = _within_01(habitat, "habitat")
    here = np.stack([np.asarray(r.values, np.float64) for r in now])
    there = np.stack([np.asarray(r.values, np.float64) for r in future])
    land = np.isfinite(intact) & np.isfinite(here).all(axis=0) & np.isfinite(there).all(axis=0)
    benefit = np.where(land, intact, np.nan)
    focal = np.flatnonzero((land & (intact > 0)).ravel())
    if not len(focal):
        raise LinkwaysError("policy.beri: no cell has habitat and all predictors; check nodata in the rasters")
    near = _Neighbourhood.of(habitat, land, cutoff)
    ones = np.where(land, 1.0, np.nan)
    value = near.sums(
        focal, _cost(benefit, intact_km, matrix_km), benefit, here, there, what="resilience of habitat cells"
    )
    whole = near.sums(focal, _cost(ones, intact_km, matrix_km), ones, here, here)
    result = _raster(habitat, focal, value / whole, "resilience")
    weight = np.where(land, intact, 0.0) * near.area_km2
    table, mean = _averages(result, weight, regions, region_column, "habitat_km2", "resilience")
    return Resilience(result, table, mean)


def _within_01(raster: "xr.DataArray", name: str) -> np.ndarray:
    values = np.asarray(raster.values, dtype=np.float64)
    wrong = (values < 0) | (values > 1)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise LinkwaysError(
            f"{name} has {int(wrong.sum())} cells outside 0..1, first at row {row} column {column} "
            f"({values[row, column]:g}); scale it to shares between 0 and 1"
        )
    return values


def _cost(benefit: np.ndarray, intact_km: float, matrix_km: float) -> np.ndarray:
    """-ln p of one metre."""
    return np.asarray(1.0 / (1000.0 * (matrix_km + (intact_km - matrix_km) * benefit)))


@dataclass(frozen=True)
class _Neighbourhood:
    """The raster graph around cells."""

    steps: tuple[np.ndarray, np.ndarray, np.ndarray]
    area_km2: np.ndarray
    wraps: bool
    limit: float

    @classmethod
    def of(cls, raster: "xr.DataArray", land: np.ndarray, cutoff: float) -> "_Neighbourhood":
        from linkways.spatial import cell_geometry

        cells = cell_geometry(raster)
        area = np.broadcast_to(cells.area_km2[:, None], land.shape)
        steps = (cells.east_west_m, cells.north_south_m, cells.diagonal_m)
        return cls(steps, area, cells.wraps, -math.log(cutoff))

    def sums(
        self,
        focal: np.ndarray,
        cost: np.ndarray,
        benefit: np.ndarray,
        here: np.ndarray | None = None,
        there: np.ndarray | None = None,
        what: str = "",
    ) -> np.ndarray:
        """Neighbourhood sum of each focal cell; cells are independent, so that they are shared among the cores."""
        from linkways.workers import each

        none = np.empty((0, 1, 1))
        shared = (
            cost, *self.steps, self.wraps, self.limit, np.nan_to_num(benefit) * self.area_km2,
            none if here is None else here, none if there is None else there,
        )  # fmt: skip
        batches = np.array_split(focal, max(1, min(64, len(focal) // 50)))
        found = []
        for done, part in enumerate(each(_sums_of, shared, batches)):
            found.append(part)
            progress((done + 1) / len(batches), what)
        return np.concatenate(found)


def _sums_of(shared: Any, cells: np.ndarray) -> np.ndarray:
    from linkways.policy._kernels import neighbourhood_sums

    return np.asarray(neighbourhood_sums(cells.astype(np.int64), *shared))


def _raster(template: "xr.DataArray", focal: np.ndarray, values: np.ndarray, name: str) -> "xr.DataArray":
    from linkways.spatial import raster_like

    out = np.full(template.size, np.nan)
    out[focal] = values
    return raster_like(out.reshape(template.shape), template, name=name)


def _averages(
    result: "xr.DataArray",
    weight: np.ndarray,
    regions: "gpd.GeoDataFrame | None",
    column: str | None,
    area_name: str,
    value_name: str,
) -> "tuple[pd.DataFrame, float]":
    """The mean by region (cells whose centre lies in it) and over all cells, weighted by area."""
    import pandas as pd

    from linkways.policy._regions import WHOLE, named_regions
    from linkways.policy._sites import Decisions
    from linkways.spatial import feature_of_cell

    values = np.nan_to_num(result.values)
    masks: dict[str, np.ndarray] = {WHOLE: np.ones(values.shape, bool)}
    if regions is not None:
        import geopandas as gpd

        shapes = named_regions(regions, column, regions.crs, "repair", Decisions())
        frames = {n: gpd.GeoDataFrame(geometry=[s], crs=regions.crs) for n, s in shapes.items()}
        masks = {n: feature_of_cell(frame, result) >= 0 for n, frame in frames.items()}
    rows = []
    for name, mask in masks.items():
        area = float(weight[mask].sum())
        mean = float((weight * values)[mask].sum() / area) if area > 0 else math.nan
        rows.append({"region": name, area_name: area, value_name: mean})
    return pd.DataFrame(rows), float((weight * values).sum() / weight.sum())
