"""The simulated municipality between two protected areas of the solution costa-rica-land-use."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.ndimage import distance_transform_edt, gaussian_filter
from simulated_tracks import _write_lines

from linkways import spatial

__all__ = ["costa_rica_land_use"]

CRS = "EPSG:32617"
CELL_M = 100.0
COLUMNS, ROWS = 240, 180
WEST, NORTH = 160_000.0, 1_082_000.0
"""Left and upper edge: a place on the Pacific side of Costa Rica, with no claim to its ground."""
UNIT_M = 1_000.0
FOREST, REGROWTH, SHADE, PASTURE, FIELDS, TOWN = 1, 2, 3, 4, 5, 6
NAMES = {1: "forest", 2: "regrowth", 3: "shaded coffee", 4: "pasture", 5: "oil palm and fields", 6: "town and road"}


def costa_rica_land_use(folder: Path) -> None:
    """Land cover, aquifer recharge, land value, visits, two protected areas and the planning units of a municipality.

    Truth: the ground rises from the coast in the south-west to a ridge in the north-east; the park lies in the forest
    of the north-west corner and a reserve on the ridge in the south-east; towns and oil palm fill the flat land along
    the coast road, pasture the foothills, shaded coffee a belt of middle height. Water seeps in where the ground is
    high, level and under trees. Land is dear near towns and roads; visitors come along the coast and to the park.
    """
    rng = np.random.default_rng(506)
    target = folder / "costa-rica-land-use"
    target.mkdir(parents=True, exist_ok=True)
    height = _height(rng)
    protected = _protected()
    towns = _towns()
    cover = _cover(rng, height, protected, towns)
    away = _away(towns)
    steep = np.hypot(*np.gradient(gaussian_filter(height, 2), CELL_M))
    under_trees = np.isin(cover, (FOREST, REGROWTH, SHADE))
    recharge = np.clip(height / 1_500, 0, 1) * np.exp(-steep / 0.25) * np.where(under_trees, 1.0, 0.45)
    recharge *= np.clip(1 + 0.25 * _smooth(rng, 12), 0.2, None)
    coast = np.exp(-height / 120)
    near_park = np.exp(-_away([protected.geometry.iloc[0]]) / 2_500)
    visits = np.clip(coast + 0.8 * near_park + 0.15 * _smooth(rng, 6), 0, None)
    layers = {"landcover": cover, "recharge": recharge / recharge.max(), "visits": visits / visits.max()}
    for name, values in layers.items():
        classes = {"classes": True, "class_names": NAMES} if name == "landcover" else {}
        raster = spatial.new_raster(
            np.round(values, 3).astype("float32"), crs=CRS, cell_size=CELL_M, origin=(WEST, NORTH),
            attrs={"simulated": True, **classes},
        )  # fmt: skip
        spatial.write_raster(raster, target / f"{name}.tif")
    _write_lines(target / "protected.geojson", protected)
    _write_lines(target / "units.geojson", _units(rng, cover, away, protected))


def _smooth(rng: np.random.Generator, cells: float) -> np.ndarray:
    field = gaussian_filter(rng.normal(size=(ROWS, COLUMNS)), cells)
    return np.asarray(field / field.std())


def _height(rng: np.random.Generator) -> np.ndarray:
    """Metres above the sea, from the coast in the lower left to the ridge in the upper right."""
    row, column = np.mgrid[0:ROWS, 0:COLUMNS]
    inland = (column / COLUMNS * 0.55 + (ROWS - row) / ROWS * 0.75) - 0.18
    rough = 90 * _smooth(rng, 9) + 45 * _smooth(rng, 4)
    return np.asarray(np.clip(1_350 * np.clip(inland, 0, None) ** 1.5 + rough * np.clip(inland * 3, 0.05, 1), 0, None))


def _place(across: float, down: float) -> tuple[float, float]:
    return WEST + across * COLUMNS * CELL_M, NORTH - down * ROWS * CELL_M


def _protected() -> gpd.GeoDataFrame:
    """The park in the north-west and the reserve in the south-east."""
    park = shapely.Polygon([_place(*at) for at in ((0, 0), (0.27, 0), (0.25, 0.16), (0.15, 0.3), (0, 0.33))])
    reserve = shapely.Polygon([_place(*at) for at in ((1, 0.58), (0.86, 0.62), (0.78, 0.78), (0.83, 0.93), (1, 0.97))])
    names = ["national park", "forest reserve"]
    return gpd.GeoDataFrame({"core": [1, 2], "name": names, "simulated": True}, geometry=[park, reserve], crs=CRS)


def _towns() -> list[shapely.Geometry]:
    """Three towns, and the coast road between them."""
    places = [_place(*at) for at in ((0.12, 0.72), (0.36, 0.86), (0.6, 0.9))]
    sizes = (900.0, 1_500.0, 700.0)
    road = shapely.LineString([_place(0, 0.6), *places, _place(0.75, 1)])
    return [*(shapely.Point(at).buffer(size) for at, size in zip(places, sizes, strict=True)), road.buffer(60)]


def _away(shapes: list[shapely.Geometry]) -> np.ndarray:
    """Metres from each cell's centre to the nearest of the shapes."""
    x = WEST + (np.arange(COLUMNS) + 0.5) * CELL_M
    y = NORTH - (np.arange(ROWS) + 0.5) * CELL_M
    return np.asarray(shapely.distance(shapely.points(*np.meshgrid(x, y)), shapely.union_all(shapes)))


def _cover(
    rng: np.random.Generator, height: np.ndarray, protected: gpd.GeoDataFrame, towns: list[shapely.Geometry]
) -> np.ndarray:
    wild = _smooth(rng, 5) + 0.6 * _smooth(rng, 2)
    kept = _away(list(protected.geometry))
    trees = wild + 1.5 * np.exp(-kept / 1_500) + 0.8 * (height - 500) / 500
    cover = np.full((ROWS, COLUMNS), PASTURE)
    cover[(height < 90) & (wild < 0.9)] = FIELDS
    shaded = (height > 350) & (height < 900) & (_smooth(rng, 7) > 0.1)
    cover[shaded] = SHADE
    cover[trees > 0.75] = REGROWTH
    cover[trees > 1.15] = FOREST
    cover[(kept == 0) & (wild > -1.8)] = FOREST
    cover[_away(towns[:3]) + 250 * _smooth(rng, 2) < 0] = TOWN
    cover[(_away(towns[3:]) == 0) & (cover != FOREST)] = TOWN
    # a town is one place, not cells here and there
    cover[(cover == TOWN) & (distance_transform_edt(cover == TOWN) < 1) & (kept == 0)] = FOREST
    return cover


def _units(
    rng: np.random.Generator, cover: np.ndarray, away: np.ndarray, protected: gpd.GeoDataFrame
) -> gpd.GeoDataFrame:
    """Squares of 1 km2 in four districts: what their land is worth, and which are protected or town already."""
    step = int(UNIT_M / CELL_M)
    rows, columns = ROWS // step, COLUMNS // step
    value = 4.0 + 22.0 * np.exp(-away / 1_800) + np.choose(cover - 1, [0.0, 1.0, 4.0, 5.0, 9.0, 40.0])
    value *= np.exp(0.15 * _smooth(rng, 8))
    kept = _away(list(protected.geometry)) == 0
    records = []
    for row in range(rows):
        for column in range(columns):
            at = np.s_[row * step : (row + 1) * step, column * step : (column + 1) * step]
            west, north = WEST + column * UNIT_M, NORTH - row * UNIT_M
            state = "open"
            if kept[at].mean() > 0.5:
                state = "protected"
            elif (cover[at] == TOWN).mean() > 0.4:
                state = "town"
            records.append(
                {
                    "unit": f"{chr(65 + row)}{column + 1:02d}",
                    "cost": round(float(value[at].mean()), 1),
                    "group": state,
                    "district": ("coast " if row >= rows / 2 else "hills ")
                    + ("west" if column < columns / 2 else "east"),
                    "simulated": True,
                    "geometry": shapely.box(west, north - UNIT_M, west + UNIT_M, north),
                }
            )
    return gpd.GeoDataFrame(pd.DataFrame(records), geometry="geometry", crs=CRS)
