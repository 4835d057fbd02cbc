"""The simulated mountains, groups and genes of the solution qinling-pandas."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.ndimage import gaussian_filter
from simulated_tracks import _write_lines

from linkways import spatial

__all__ = ["qinling_pandas"]

CRS = "EPSG:32649"
CELL_M = 200.0
COLUMNS, ROWS = 190, 120
WEST, NORTH = 205_000.0, 3_735_000.0
"""Left and upper edge: a place in the Qinling, with no claim to its ground."""

TUNNEL = (9_000.0, 12_000.0)
"""Metres from the upper edge between which the new road lies in the tunnel, under the pass."""

SIZES = {"west": 55, "east": 10}
"""Effective sizes from which the genotypes were drawn."""
APART_GENERATIONS = 4
"""Generations without any exchange before the genotypes were taken: about thirty years."""


def qinling_pandas(folder: Path) -> None:
    """Land cover with a valley road over a pass, the road before and after its tunnel, two groups, and their genes.

    Truth: a pass in the middle of the map; a road along the valleys north and south of it and in bends over it; the
    tunnel takes the part over the pass away. Genotypes: 12 loci, 8 alleles with Dirichlet frequencies in one whole
    population, then four generations of random mating apart with effective sizes 55 and 10.
    """
    rng = np.random.default_rng(108)
    target = folder / "qinling-pandas"
    target.mkdir(parents=True, exist_ok=True)
    whole, kept, closed = _road()
    cover = _cover(rng, whole)
    raster = spatial.new_raster(
        cover.astype("float32"), crs=CRS, cell_size=CELL_M, origin=(WEST, NORTH),
        attrs={"classes": True, "simulated": True},
    )  # fmt: skip
    spatial.write_raster(raster, target / "landcover.tif")
    roads = [("road.geojson", [whole], "national road over the pass"), ("road-with-tunnel.geojson", kept, "open road")]
    for name, lines, what in roads:
        given = pd.DataFrame({"name": what, "resistance": 400.0, "simulated": True}, index=range(len(lines)))
        frame = gpd.GeoDataFrame(given, geometry=lines, crs=CRS)
        _write_lines(target / name, frame)
    planting = closed.buffer(1_400.0).intersection(shapely.box(*_box(0.02)))
    frame = gpd.GeoDataFrame(
        {"name": ["bamboo over the tunnel"], "resistance": [1.0], "simulated": [True]}, geometry=[planting], crs=CRS
    )
    _write_lines(target / "planting.geojson", frame)
    _write_lines(target / "groups.geojson", _groups())
    _genotypes(rng).to_csv(target / "genotypes.csv", index=False, lineterminator="\n")


def _box(inset: float) -> tuple[float, float, float, float]:
    width, height = COLUMNS * CELL_M, ROWS * CELL_M
    return WEST + inset * width, NORTH - height * (1 - inset), WEST + width * (1 - inset), NORTH - inset * height


def _road() -> tuple[shapely.LineString, list[shapely.LineString], shapely.LineString]:
    """The road over the pass, what is left of it when the tunnel is open, and the part that is closed."""
    down = np.arange(0.0, ROWS * CELL_M + 1, 100.0)
    middle = WEST + COLUMNS * CELL_M / 2
    x = middle + 900 * np.sin(down / 3_100.0) + 300 * np.sin(down / 900.0)
    over = (down > TUNNEL[0]) & (down < TUNNEL[1])
    # bends over the pass
    x = x + np.where(over, 700 * np.sin((down - TUNNEL[0]) / (TUNNEL[1] - TUNNEL[0]) * 6 * np.pi), 0.0)
    points = np.column_stack([x, NORTH - down])
    first, last = np.flatnonzero(over)[[0, -1]]
    parts = [points[:first], points[last + 1 :]]
    return (
        shapely.LineString(points),
        [shapely.LineString(part) for part in parts],
        shapely.LineString(points[first - 1 : last + 2]),
    )


def _cover(rng: np.random.Generator, road: shapely.LineString) -> np.ndarray:
    """1 forest with bamboo, 2 other forest, 3 scrub, 4 fields, 5 villages."""
    wet = gaussian_filter(rng.normal(size=(ROWS, COLUMNS)), 5)
    wet /= wet.std()
    cover = np.where(wet > -0.35, 1, 2)
    y = NORTH - (np.arange(ROWS) + 0.5) * CELL_M
    x = WEST + (np.arange(COLUMNS) + 0.5) * CELL_M
    away = shapely.distance(shapely.points(*np.meshgrid(x, y)), road)
    down = (NORTH - y)[:, None]
    at_pass = np.exp(-(((down - sum(TUNNEL) / 2) / 2_600.0) ** 2))
    broad = 2_300.0 * (1 - 0.75 * at_pass)
    ragged = gaussian_filter(rng.normal(size=(ROWS, COLUMNS)), 2)
    ragged *= 350 / ragged.std()
    cover[away + ragged < broad * 1.5] = 3
    cover[(away + ragged < broad) & (at_pass < 0.6)] = 4
    villages = rng.random((ROWS, COLUMNS)) < 0.08
    cover[(cover == 4) & villages & (away < 900)] = 5
    return np.asarray(cover)


def _groups() -> gpd.GeoDataFrame:
    """Where the two groups live: west the large one, east the small one."""
    west, south, east, north = _box(0.06)
    width, height = east - west, north - south
    shapes = [
        shapely.box(west, south + 0.2 * height, west + 0.27 * width, north),
        shapely.box(east - 0.16 * width, south + 0.35 * height, east, north - 0.15 * height),
    ]
    return gpd.GeoDataFrame({"node": [1, 2], "name": ["west", "east"], "simulated": True}, geometry=shapes, crs=CRS)


def _genotypes(rng: np.random.Generator, loci: int = 12, alleles: int = 8) -> pd.DataFrame:
    """Individuals of both groups after some generations apart."""
    rows = []
    founders = [rng.dirichlet(np.ones(alleles)) for _ in range(loci)]
    for name, size in SIZES.items():
        genes = np.stack([rng.choice(alleles, (size, 2), p=p) for p in founders], axis=1)
        for _ in range(APART_GENERATIONS):
            parents = rng.integers(0, size, (2, size))
            genes = np.stack(
                [
                    np.take_along_axis(genes[parents[side]], rng.integers(0, 2, (size, loci, 1)), axis=2)[:, :, 0]
                    for side in range(2)
                ],
                axis=2,
            )
        for number, one in enumerate(genes):
            rows.append(
                {
                    "individual": f"{name} {number + 1}",
                    "population": name,
                    **{f"locus_{k + 1}": f"{one[k, 0] + 1:02d}/{one[k, 1] + 1:02d}" for k in range(loci)},
                }
            )
    return pd.DataFrame(rows)
