"""The simulated reefs, bioregions, planning units and fishery of the solution great-barrier-reef, on a real coast."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from rasterio.features import shapes as cell_shapes
from rasterio.transform import from_origin
from scipy.ndimage import gaussian_filter

from linkways import spatial

__all__ = ["great_barrier_reef"]

ALBERS = "EPSG:3577"
"""Australian Albers, equal areas: everything is laid out in it."""

HEXAGON_KM = 21.0
"""From side to side: wider than the 20 km that the first principle asks of a no-take area."""

REGION = [
    (142.50, -10.69), (145.00, -10.69), (145.00, -13.00), (146.00, -15.00), (147.00, -17.50), (152.92, -21.00),
    (154.00, -24.50), (151.50, -24.50), (150.60, -24.00), (149.40, -22.80), (148.80, -21.80), (148.00, -20.50),
    (146.50, -19.60), (145.80, -18.50), (145.20, -17.00), (145.00, -15.40), (143.40, -14.60), (143.00, -13.00),
    (142.60, -11.50),
]  # fmt: skip
"""Drawn by hand around the shelf, its western side on land; not the boundary of the marine park."""

SHELF_EDGE = [
    (144.30, -10.30), (143.95, -11.50), (143.90, -12.60), (144.10, -13.60), (145.20, -14.40), (145.85, -15.60),
    (146.20, -16.60), (146.95, -17.60), (148.00, -18.50), (149.80, -19.25), (151.40, -20.10), (152.50, -21.10),
    (152.90, -22.20), (152.80, -23.30), (153.20, -24.80),
]  # fmt: skip
"""Where the slope begins, drawn by hand."""

POSITIONS = {"coastal": 2, "inner": 8, "mid": 10, "outer": 10, "slope": 10}
"""Non-reef bioregions along the shelf at each position across it: 40."""
REEFS = {"inner": 6, "mid": 12, "outer": 14}
"""Reefs in each of ten reef bioregions at each position: 30 bioregions, 320 reefs."""
STRETCHES = 30
"""Stretches of coast that each count as an environment of their own."""


def great_barrier_reef(folder: Path) -> None:
    """Planning units, reefs and bioregions of a shelf behind the real coast, with what else the principles ask for.

    Truth: positions across the shelf are shares of the way from the coast (Natural Earth) to a drawn shelf edge, with
    waves; along it, shares of the edge's length. 40 non-reef bioregions are cells of these two, of like size at each
    position, 30 reef bioregions hold 6 to 14 reefs, ovals that lie along the edge and grow towards it. Units are
    hexagons of 21 km without land; a reef may lie in several. Fishing is worth more near the coast and near harbours,
    with log-normal noise.
    """
    rng = np.random.default_rng(2004)
    target = folder / "great-barrier-reef"
    target.mkdir(parents=True, exist_ok=True)
    shelf = Shelf(rng)
    units = _units(shelf)
    reefs = _reefs(shelf, rng, shapely.union_all(units.geometry.to_numpy()))
    harbours = _harbours(shelf, rng)
    units["cost"] = _fishing(units, harbours, shelf, rng)
    bioregions = _bioregions(shelf, units, reefs)
    habitat = _habitat(units, reefs)
    layers = {
        "units": units,
        "reefs": reefs,
        "habitat": habitat,
        "bioregions": bioregions,
        "communities": _communities(shelf, bioregions, rng),
        "places": _places(reefs, rng),
        "harbours": harbours,
    }
    for name, layer in layers.items():
        _write(target / f"{name}.geojson", layer)


# --- the shelf -----------------------------------------------------------------------------------------------------


@dataclass
class Shelf:
    """Coast, edge and region in metres, and where a point lies along and across the shelf."""

    rng: np.random.Generator
    cell_m: float = 3000.0

    @cached_property
    def land(self) -> Any:
        found = spatial.builtin("natural-earth-countries", bounds=(142.0, -25.2, 154.5, -9.8)).to_crs(ALBERS)
        return shapely.simplify(shapely.union_all(found.geometry.to_numpy()), 1200.0)

    @cached_property
    def coast(self) -> Any:
        """Land without small islands."""
        parts = shapely.get_parts(self.land)
        return shapely.union_all(parts[shapely.area(parts) > 1e9])

    @cached_property
    def edge(self) -> Any:
        return _drawn(shapely.LineString(SHELF_EDGE))

    @cached_property
    def region(self) -> Any:
        return shapely.difference(_drawn(shapely.segmentize(shapely.Polygon(REGION), 0.2)), self.land)

    @cached_property
    def inshore(self) -> Any:
        """All that lies on the coast's side of the edge."""
        line = list(self.edge.coords)
        return shapely.Polygon([*line, (line[-1][0] - 1.5e6, line[-1][1]), (line[0][0] - 1.5e6, line[0][1])])

    def along(self, points: np.ndarray) -> np.ndarray:
        """Share of the edge's length, from the north."""
        return np.asarray(shapely.line_locate_point(self.edge, points, normalized=True))

    def across(self, points: np.ndarray) -> np.ndarray:
        """0 at the coast, 1 at the edge, above 1 beyond it."""
        from_coast, from_edge = shapely.distance(points, self.coast), shapely.distance(points, self.edge)
        inside = shapely.contains(self.inshore, points)
        return np.where(inside, from_coast / np.maximum(from_coast + from_edge, 1.0), 1.0 + from_edge / 1e5)

    def coast_m(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(shapely.distance(points, self.coast))

    def position(self, across: np.ndarray, coast_m: np.ndarray) -> np.ndarray:
        """Number of the position across the shelf, in the order of POSITIONS."""
        return np.where((coast_m < 16_000) & (across < 1), 0, 1 + np.searchsorted([0.45, 0.75, 1.0], across))


def _drawn(shape: Any) -> Any:
    return gpd.GeoSeries([shape], crs="EPSG:4326").to_crs(ALBERS).iloc[0]


# --- layers --------------------------------------------------------------------------------------------------------


def _units(shelf: Shelf) -> gpd.GeoDataFrame:
    """Hexagons without land; small remainders of them are no units."""
    side = HEXAGON_KM * 1000 / np.sqrt(3)
    west, south, east, north = shelf.region.bounds
    corners = side * np.column_stack([np.sin(np.arange(6) * np.pi / 3), np.cos(np.arange(6) * np.pi / 3)])
    found = []
    for row, y in enumerate(np.arange(north, south, -1.5 * side)):
        for x in np.arange(west, east, HEXAGON_KM * 1000) + (row % 2) * HEXAGON_KM * 500:
            hexagon = shapely.Polygon(corners + np.array([x, y]))
            if not hexagon.centroid.intersects(shelf.region) and hexagon.intersection(shelf.region).area < 1e8:
                continue
            water = [p for p in shapely.get_parts(shapely.difference(hexagon, shelf.land)) if p.area > 4e7]
            if water and (hexagon.centroid.within(shelf.region) or hexagon.intersects(shelf.land)):
                found.append(max(water, key=lambda p: p.area))
    inside = [shape for shape in found if shapely.intersection(shape, shelf.region).area > 0.5 * shape.area]
    names = [f"unit {k:03d}" for k in range(1, len(inside) + 1)]
    return gpd.GeoDataFrame({"unit": names, "simulated": True}, geometry=inside, crs=ALBERS)


def _reefs(shelf: Shelf, rng: np.random.Generator, water: Any) -> gpd.GeoDataFrame:
    """Ovals along the edge, apart from each other and from the coast, a set number in each reef bioregion."""
    rows: list[dict[str, Any]] = []
    placed: list[Any] = []
    west, south, east, north = shelf.region.bounds
    pool = shapely.points(rng.uniform(west, east, 120_000), rng.uniform(south, north, 120_000))
    shapely.prepare(water)
    pool = pool[shapely.contains(water, pool)]
    pool = pool[shapely.distance(pool, shelf.land) > 16_000]
    along, across = shelf.along(pool), shelf.across(pool)
    position = shelf.position(across, shelf.coast_m(pool))
    for number, (name, count) in enumerate(REEFS.items(), start=1):
        for band in range(10):
            here = np.flatnonzero((position == number) & (np.floor(along * 10) == band) & (across < 0.97))
            made = 0
            for k in here:
                reef = _oval(shelf, rng, pool[k], along[k], name)
                if made < count and all(shapely.distance(reef, other) > 1000 for other in placed):
                    placed.append(reef)
                    made += 1
                    rows.append({"name": f"reef {len(placed):03d}", "bioregion": f"{name} reefs {band + 1}",
                                 "position": name})  # fmt: skip
    shapes = shapely.intersection(np.array(placed), water)
    frame = gpd.GeoDataFrame(rows, geometry=list(shapes), crs=ALBERS)
    return frame.assign(area_km2=(frame.area / 1e6).round(1), simulated=True)


def _oval(shelf: Shelf, rng: np.random.Generator, centre: Any, along: float, position: str) -> Any:
    """An uneven oval, its long axis along the edge; ribbons at the edge, rounder ones inside."""
    ahead = shapely.line_interpolate_point(shelf.edge, [max(along - 0.01, 0), min(along + 0.01, 1)], normalized=True)
    way = np.arctan2(ahead[1].y - ahead[0].y, ahead[1].x - ahead[0].x)
    area = min(rng.lognormal(np.log({"inner": 20e6, "mid": 50e6, "outer": 55e6}[position]), 0.5), 1.6e8)
    stretch = {"inner": 1.2, "mid": 1.5, "outer": 2.2}[position] * rng.uniform(0.85, 1.15)
    angle = np.linspace(0, 2 * np.pi, 11)[:-1]
    radius = np.sqrt(area / np.pi) * (1 + 0.12 * np.sin(3 * angle + rng.uniform(0, 6)))
    x, y = radius * np.sqrt(stretch) * np.cos(angle), radius / np.sqrt(stretch) * np.sin(angle)
    turned = np.column_stack([x * np.cos(way) - y * np.sin(way), x * np.sin(way) + y * np.cos(way)])
    return shapely.Polygon(turned + np.array([centre.x, centre.y]))


def _habitat(units: gpd.GeoDataFrame, reefs: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The reef of each planning unit, which releases and receives its larvae; remainders below 4 km2 are left out."""
    whole = shapely.union_all(reefs.geometry.to_numpy())
    part = _areal(shapely.intersection(units.geometry.to_numpy(), whole))
    kept = np.flatnonzero(shapely.area(part) > 4e6)
    across = [reefs["position"].iloc[int(shapely.distance(reefs.geometry.to_numpy(), part[k]).argmin())] for k in kept]
    return gpd.GeoDataFrame(
        {
            "site": units["unit"].iloc[kept].to_numpy(),
            "production": (shapely.area(part[kept]) / 1e6).round(1),
            "position": across,
            "simulated": True,
        },
        geometry=list(part[kept]),
        crs=ALBERS,
    )


def _areal(shapes: np.ndarray) -> np.ndarray:
    """The shapes without lines and points."""
    return np.array([shapely.union_all([p for p in shapely.get_parts(s) if p.area > 0]) for s in shapes], object)


def _bioregions(shelf: Shelf, units: gpd.GeoDataFrame, reefs: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """40 non-reef bioregions, the shelf without its reefs, and 30 reef bioregions."""
    water = shapely.union_all(units.geometry.to_numpy())
    reef = shapely.union_all(reefs.geometry.to_numpy())
    sea = {name: shapely.difference(shapely.intersection(shape, water), reef) for name, shape in _zones(shelf).items()}
    rows = [(name, "coastal" if name.startswith("coastal") else "other", name.split()[0]) for name in sea]
    shapes = list(sea.values())
    for name, group in reefs.groupby("bioregion", sort=False):
        rows.append((name, "reef", str(name).split()[0]))
        shapes.append(shapely.union_all(group.geometry.to_numpy()))
    frame = pd.DataFrame(rows, columns=["bioregion", "kind", "shelf"]).assign(simulated=True)
    return gpd.GeoDataFrame(frame, geometry=shapes, crs=ALBERS)


def _zones(shelf: Shelf) -> dict[str, Any]:
    """Cells of positions along and across the shelf with wavy borders, as shapes without gaps."""
    west, south, east, north = (
        f(v / 3000) * 3000 for f, v in zip((np.floor, np.floor, np.ceil, np.ceil), shelf.region.buffer(30e3).bounds,
                                           strict=True)
    )  # fmt: skip
    size = shelf.cell_m
    x, y = np.arange(west + size / 2, east, size), np.arange(north - size / 2, south, -size)
    points = shapely.points(*np.meshgrid(x, y))
    waves = [gaussian_filter(shelf.rng.normal(size=points.shape), 8) for _ in range(2)]
    across = shelf.across(points) + 0.05 * waves[0] / waves[0].std()
    along = shelf.along(points) + 0.008 * waves[1] / waves[1].std()
    position = shelf.position(across, shelf.coast_m(points))
    water = shapely.contains(shelf.region, points)
    code = np.zeros(points.shape, np.int32)
    for number, count in enumerate(POSITIONS.values()):
        here = position == number
        # bioregions of one position are of like size
        ends = np.quantile(along[here & water], np.arange(1, count) / count)
        code[here] = number * 100 + np.searchsorted(ends, along[here])
    found = list(cell_shapes(code, transform=from_origin(west, north, size, size)))
    smooth = shapely.coverage_simplify(np.array([shapely.geometry.shape(s) for s, _ in found]), 4000.0)
    names = list(POSITIONS)
    zones: dict[str, list[Any]] = {}
    for shape, (_, value) in zip(smooth, found, strict=True):
        zones.setdefault(f"{names[int(value) // 100]} {int(value) % 100 + 1}", []).append(shape)
    order = [f"{name} {k}" for name, k in POSITIONS.items() for k in range(1, k + 1)]
    return {name: shapely.union_all(zones[name]) for name in order}


def _communities(shelf: Shelf, bioregions: gpd.GeoDataFrame, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Meadows and banks laid out at random where they occur, and the coast in stretches."""
    coast = shapely.union_all(bioregions.geometry.to_numpy()[(bioregions["kind"] == "coastal").to_numpy()])
    outer = shapely.union_all(bioregions.geometry.to_numpy()[bioregions["bioregion"].str.match(r"outer [1-4]$")])
    rows, shapes = [], []
    for name, within, number, radius, share in (
        ("seagrass meadows", coast, 40, 6_000.0, 0.1),
        ("dugong habitat", coast, 14, 8_000.0, 0.5),
        ("Halimeda banks", outer, 14, 7_000.0, 0.1),
    ):
        west, south, east, north = within.bounds
        points = shapely.points(rng.uniform(west, east, 20_000), rng.uniform(south, north, 20_000))
        chosen = points[shapely.contains(within, points)][:number]
        discs = shapely.buffer(chosen, radius * rng.uniform(0.6, 1.2, number), quad_segs=3)
        rows.append((name, share))
        shapes.append(shapely.intersection(shapely.union_all(discs), within))
    for stretch, shape in enumerate(_stretches(shelf, coast), start=1):
        rows.append((f"coast, stretch {stretch}", 0.2))
        shapes.append(shape)
    return gpd.GeoDataFrame(
        pd.DataFrame(rows, columns=["name", "target"]).assign(simulated=True), geometry=shapes, crs=ALBERS
    )


def _stretches(shelf: Shelf, coast: Any) -> list[Any]:
    """The coastal water cut across, by bands of northing and easting along the edge."""
    marks = shapely.line_interpolate_point(shelf.edge, (np.arange(STRETCHES) + 0.5) / STRETCHES, normalized=True)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(marks), extend_to=coast.buffer(5e4)))
    order = [int(np.flatnonzero(shapely.contains(cells, mark))[0]) for mark in marks]
    pieces = [shapely.intersection(coast, cells[k]) for k in order]
    return [piece for piece in pieces if piece.area > 2e8]


def _places(reefs: gpd.GeoDataFrame, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Special places on a few reefs: nesting islands and a lagoon, made up."""
    chosen = np.sort(rng.choice(len(reefs), 8, replace=False))
    centres = reefs.geometry.iloc[chosen].representative_point()
    names = [f"simulated nesting island {k}" for k in range(1, 9)]
    return gpd.GeoDataFrame(
        {"name": names, "simulated": True}, geometry=centres.buffer(1500.0, 3).to_numpy(), crs=ALBERS
    )


def _harbours(shelf: Shelf, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Places on the coast from which boats go out, made up."""
    line = shapely.boundary(shelf.coast)
    along = np.linspace(0.16, 0.94, 7) + rng.uniform(-0.02, 0.02, 7)
    off = shapely.line_interpolate_point(shelf.edge, along, normalized=True)
    places = [shapely.ops.nearest_points(line, point)[0] for point in off]
    names = [f"simulated harbour {k}" for k in range(1, 8)]
    return gpd.GeoDataFrame({"name": names, "simulated": True}, geometry=places, crs=ALBERS)


def _fishing(units: gpd.GeoDataFrame, harbours: gpd.GeoDataFrame, shelf: Shelf, rng: np.random.Generator) -> np.ndarray:
    """What the fishery earns in a unit in a year, in thousand dollars."""
    points = shapely.centroid(units.geometry.to_numpy())
    near = shapely.distance(points[:, None], harbours.geometry.to_numpy()[None]).min(axis=1)
    away = shelf.coast_m(points)
    worth = 40 + 260 * np.exp(-near / 120e3) + 120 * np.exp(-away / 40e3)
    size = shapely.area(units.geometry.to_numpy()) / 3.8e8
    return np.round(worth * size * rng.lognormal(0, 0.35, len(units))).clip(5)


def _write(file: Path, frame: gpd.GeoDataFrame) -> None:
    """GeoJSON in degrees to 0.0001 (about 10 m), one feature a line, so that a change is seen in a diff."""
    frame = frame.to_crs("EPSG:4326")
    # where borders meet, an edge that bends on its way into degrees may cross its neighbour by a hair
    valid = shapely.set_precision(shapely.make_valid(frame.geometry.to_numpy()), 1e-4)
    frame = frame.set_geometry(valid if (shapely.get_dimensions(valid) < 2).all() else _areal(valid))
    whole = json.loads(frame.to_json())
    lines = ",\n".join(
        json.dumps({k: f[k] for k in ("type", "properties", "geometry")}, separators=(",", ":"))
        for f in whole["features"]
    )
    file.write_text('{"type":"FeatureCollection","features":[\n' + lines + "\n]}\n", encoding="utf-8")
