"""Simulated animals of the built-in solutions that start from GPS tracks, with the truth they were made from."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from linkways import spatial

CRS = "EPSG:32631"
"""In the open sea, so that no one takes it for the place."""
HOUR = 3600.0
NECK_KM, NECK_WIDTH_M = 52.0, 400.0
"""Where along the deer's route the neck lies, and how wide it is between the two lakes."""
ROUTE_KM = np.array([[500, 20], [502, 34], [497, 47], [501, 60], [503, 70.5], [499, 84], [506, 98], [508, 112]], float)


# --- mule deer ---------------------------------------------------------------------------------------------------


def half_width(along_km: np.ndarray) -> np.ndarray:
    """Metres from the middle of the route to its side: 1,500, narrowing over 4 km to half the neck's width."""
    away = np.abs(along_km - NECK_KM)
    wide = 1500.0
    return np.clip(NECK_WIDTH_M / 2 + (wide - NECK_WIDTH_M / 2) * (away - 0.3) / 4.0, NECK_WIDTH_M / 2, wide)


def mule_deer_migration(folder: Path) -> None:
    """A herd that moves between winter and summer range through a neck between two lakes, which a fence crosses.

    Truth: a route of about 95 km; 12 deer, one year from 1 February 2021, a fix every 2 hours from March to June and
    from October to December and every 12 hours otherwise, location error 10 m. In each range a deer keeps to a home of
    its own (Ornstein-Uhlenbeck, standard deviation 900 m, 12 hours). Spring migration begins on 20 April +- 10 days and
    goes with 450 +- 120 m an hour and three stopovers of 2 to 7 days, autumn begins on 25 October +- 8 days with two.
    Across the route a deer keeps to a place that wanders (AR(1)) within the half-width: 1,500 m, and 200 m at the neck.
    Two lakes lie against the neck. A fence from shore to shore crosses the route 300 m before the middle of the neck:
    seven of ten passages are held up there for 6 to 30 hours within 100 m of it.
    """
    rng = np.random.default_rng(400)
    target = folder / "mule-deer-migration"
    target.mkdir(parents=True, exist_ok=True)
    route = shapely.LineString(_smooth(ROUTE_KM * 1000))
    tables, truth = [], []
    for number in range(1, 13):
        track, dates = _deer(rng, route, f"deer {number:02d}")
        tables.append(track)
        truth.append(dates)
    fixes = pd.concat(tables, ignore_index=True)
    fixes["simulated"] = True
    fixes.to_csv(
        target / "collars.csv.gz", index=False, lineterminator="\n", compression={"method": "gzip", "mtime": 0}
    )
    pd.DataFrame(truth).to_csv(target / "truth.csv", index=False, lineterminator="\n")
    _write_lines(target / "lakes.geojson", _lakes(route))
    _write_lines(target / "fences.geojson", _fences(rng, route))
    _write_lines(target / "ranges.geojson", _ranges(route))


def _smooth(corners: np.ndarray) -> np.ndarray:
    """A curve through corners (Catmull-Rom), a point every 50 m or so."""
    from scipy.interpolate import CubicSpline

    steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    curve = CubicSpline(steps, corners)
    return curve(np.linspace(0, steps[-1], int(steps[-1] / 50)))


def _frame(route: shapely.LineString, along_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of the route and the unit vector to its left."""
    at = shapely.get_coordinates(shapely.line_interpolate_point(route, along_m))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(route, np.minimum(along_m + 25, route.length)))
    behind = shapely.get_coordinates(shapely.line_interpolate_point(route, np.maximum(along_m - 25, 0)))
    forward = ahead - behind
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    return at, np.column_stack([-forward[:, 1], forward[:, 0]])


def _deer(rng: np.random.Generator, route: shapely.LineString, name: str) -> tuple[pd.DataFrame, dict[str, object]]:
    hours = np.arange(0, 365 * 24, 2)
    first = pd.Timestamp("2021-02-01T00:00:00Z")
    days = hours / 24
    spring = (pd.Timestamp("2021-04-20T00:00:00Z") - first).days + rng.normal(0, 10)
    autumn = (pd.Timestamp("2021-10-25T00:00:00Z") - first).days + rng.normal(0, 8)
    along = np.zeros(len(hours))
    up, spring_ends = _passage(rng, route.length, 3)
    down, autumn_ends = _passage(rng, route.length, 2)
    along = np.where(days >= spring, up(24 * (days - spring)), along)
    along = np.where(days >= autumn, route.length - down(24 * (days - autumn)), along)
    at, left = _frame(route, along)
    side = np.empty(len(hours))
    side[0] = rng.uniform(-0.8, 0.8)
    for i in range(1, len(hours)):
        side[i] = np.clip(0.97 * side[i - 1] + 0.25 * np.sqrt(1 - 0.97**2) * 2 * rng.normal(), -0.92, 0.92)
    places = at + left * (side * half_width(along / 1000))[:, None]
    home = np.where(along[:, None] < route.length / 2, rng.normal(0, 2500, 2), rng.normal(0, 2500, 2))
    wander = np.zeros((len(hours), 2))
    keep = np.exp(-2 / 12)
    for i in range(1, len(hours)):
        wander[i] = keep * wander[i - 1] + 900 * np.sqrt(1 - keep**2) * rng.normal(size=2)
    end = np.minimum(along, route.length - along) / 1000
    at_home = np.clip(1 - end / 5.0, 0, 1)[:, None]
    places = places + at_home * (home + wander) + rng.normal(0, 10, places.shape)
    time = first + pd.to_timedelta(hours, unit="h")
    often = np.isin(time.month, [3, 4, 5, 6, 10, 11, 12]) | (hours % 12 == 0)
    table = pd.DataFrame(
        {
            "animal": name,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x": places[:, 0].round(0).astype(int),
            "y": places[:, 1].round(0).astype(int),
        }
    )
    dates = {
        "animal": name,
        "spring_start": (first + pd.to_timedelta(spring, unit="D")).strftime("%Y-%m-%d"),
        "spring_end": (first + pd.to_timedelta(spring + spring_ends / 24, unit="D")).strftime("%Y-%m-%d"),
        "autumn_start": (first + pd.to_timedelta(autumn, unit="D")).strftime("%Y-%m-%d"),
        "autumn_end": (first + pd.to_timedelta(autumn + autumn_ends / 24, unit="D")).strftime("%Y-%m-%d"),
    }
    return table[often], dates


def _passage(rng: np.random.Generator, length: float, stops: int):  # type: ignore[no-untyped-def]
    """Metres along the way as a function of hours, with stopovers and hold-ups at the fence; and the hour it ends."""
    fence = NECK_KM * 1000 - 300
    where = np.sort(rng.uniform(0.1, 0.9, stops) * length)
    where = where[np.abs(where - NECK_KM * 1000) > 5000]
    events = [(place, rng.uniform(2, 7) * 24) for place in where]
    if rng.random() < 0.7:
        events.append((fence - rng.uniform(20, 90), rng.uniform(6, 30)))
    clock, gone, hour, metres = 0.0, 0.0, [0.0], [0.0]
    for place, stay in sorted(events):
        clock += (place - gone) / np.clip(rng.normal(450, 120), 200, 800)
        gone = place
        hour += [clock, clock + stay]
        metres += [gone, gone]
        clock += stay
    clock += (length - gone) / np.clip(rng.normal(450, 120), 200, 800)
    hour, metres = np.array([*hour, clock]), np.array([*metres, length])
    return (lambda h: np.interp(h, hour, metres)), clock


def _side(route: shapely.LineString, from_km: float, to_km: float, sign: float, outer_m: float) -> shapely.Polygon:
    """Land beside the route, from its side outwards."""
    along = np.arange(from_km * 1000, to_km * 1000 + 1, 50.0)
    at, left = _frame(route, along)
    inner = at + sign * left * half_width(along / 1000)[:, None]
    bulge = outer_m * np.sqrt(
        np.clip(1 - ((along / 1000 - (from_km + to_km) / 2) / ((to_km - from_km) / 2)) ** 2, 0, 1)
    )
    outer = inner + sign * left * bulge[:, None]
    return shapely.make_valid(shapely.Polygon(np.concatenate([inner, outer[::-1]])))


def _lakes(route: shapely.LineString) -> gpd.GeoDataFrame:
    shapes = [_side(route, 50.2, 53.4, 1, 2200), _side(route, 50.6, 54.0, -1, 1500)]
    return gpd.GeoDataFrame({"name": ["Simulated upper lake", "Simulated lower lake"]}, geometry=shapes, crs=CRS)


def _fences(rng: np.random.Generator, route: shapely.LineString) -> gpd.GeoDataFrame:
    """The fence at the neck, and eleven others laid across or along the route's surroundings."""
    at, left = _frame(route, np.array([NECK_KM * 1000 - 300]))
    lines = [shapely.LineString([at[0] - left[0] * 230, at[0] + left[0] * 230])]
    names, kinds = ["fence at the neck"], ["woven wire, 2.5 m"]
    for number in range(11):
        place = route.interpolate(rng.uniform(0.05, 0.95) * route.length)
        turn, length = rng.uniform(0, np.pi), rng.uniform(1500, 5000)
        away = rng.normal(0, 2500, 2)
        step = np.array([np.cos(turn), np.sin(turn)]) * length / 2
        centre = np.array([place.x, place.y]) + away
        lines.append(shapely.LineString([centre - step, centre + step]))
        names.append(f"pasture fence {number + 1}")
        kinds.append("barbed wire, four strands")
    return gpd.GeoDataFrame({"id": names, "type": kinds}, geometry=lines, crs=CRS)


def _ranges(route: shapely.LineString) -> gpd.GeoDataFrame:
    ends = [shapely.Point(route.coords[0]).buffer(9000, 16), shapely.Point(route.coords[-1]).buffer(9000, 16)]
    return gpd.GeoDataFrame({"range": ["winter range", "summer range"]}, geometry=ends, crs=CRS)


# --- elephants ---------------------------------------------------------------------------------------------------

LAND = {1: "bush", 2: "riverine woodland", 3: "fields", 4: "village", 5: "river"}
SELECTION = {"riverine woodland": 0.8, "fields": -0.5, "village": -2.5}
"""Log of how much rather a step ends there than in bush, all else equal: the truth of the elephants' choice."""
CROPS = {  # how gladly elephants eat it (log strength, maize 0), and income of a hectare in money a year
    "maize": (0.0, 320),
    "groundnut": (-0.3, 410),
    "sorghum": (-0.5, 260),
    "sunflower": (-1.6, 450),
    "sesame": (-2.0, 620),
    "lemongrass": (-2.6, 780),
    "chilli": (-3.2, 1150),
    "ginger": (-3.0, 900),
}


def elephant_corridors(folder: Path) -> None:
    """Elephants that roam in three reserves and cross farmland between them, incidents there, and a feeding trial.

    Truth: 120 x 80 km, 500 m cells: bush, a river with woodland, 34 villages with fields round them; three reserves.
    8 elephants, a fix every hour for 70 days. In a reserve steps are gamma (shape 1.2, mean 280 m) with turns of
    concentration 0.5; four times each leaves for another reserve with steps of mean 1,300 m (shape 4) and directions
    of concentration 4 round that of the goal. Of 20 steps that it could take it takes one by exp(selection): 0.8 for
    woodland, -0.5 for fields and -2.5 for villages, against bush; the river is crossed freely. Incidents: 140 on
    fields within 9 km of an elephant's way between reserves, more often near villages. Trial: 6 elephants, 8 crops, 40
    pieces of each offered, eaten with the probability of a logistic with strengths of its own (the table CROPS) and a
    deviation of each elephant (0.3). Incomes are our own.
    """
    rng = np.random.default_rng(2023)
    target = folder / "elephant-corridors"
    target.mkdir(parents=True, exist_ok=True)
    cover, villages = _farmland(rng)
    reserves = _reserves()
    fixes, ways = _elephants(rng, cover, reserves)
    fixes.to_csv(
        target / "collars.csv.gz", index=False, lineterminator="\n", compression={"method": "gzip", "mtime": 0}
    )
    raster = spatial.new_raster(
        cover.astype(float),
        crs=CRS,
        cell_size=500.0,
        origin=(440_000.0, 180_000.0),
        name="landcover",
        attrs={"classes": True, "simulated": True, "class_names": LAND},
    )
    spatial.write_raster(raster, target / "landcover.tif")
    _write_lines(target / "reserves.geojson", reserves)
    _write_lines(target / "villages.geojson", villages.assign(site=villages["demand"]))
    people = shapely.box(440_000, 100_000, 560_000, 180_000).difference(reserves.union_all())
    _write_lines(
        target / "reporting-area.geojson", gpd.GeoDataFrame({"name": ["settled land"]}, geometry=[people], crs=CRS)
    )
    _write_lines(target / "incidents.geojson", _incidents(rng, cover, villages, ways))
    _trial(rng).to_csv(target / "trial.csv", index=False, lineterminator="\n")
    incomes = pd.DataFrame({"food": list(CROPS), "income": [income for _, income in CROPS.values()]})
    incomes.assign(simulated=True).to_csv(target / "incomes.csv", index=False, lineterminator="\n")


def _reserves() -> gpd.GeoDataFrame:
    """Three reserves, rounded, at the west, the east and the north."""
    shapes = [
        shapely.box(444_000, 108_000, 470_000, 152_000).buffer(4000).buffer(-2000),
        shapely.box(532_000, 104_000, 556_000, 138_000).buffer(4000).buffer(-2000),
        shapely.box(492_000, 160_000, 516_000, 176_000).buffer(3000).buffer(-1500),
    ]
    names = ["Simulated western reserve", "Simulated eastern reserve", "Simulated northern reserve"]
    return gpd.GeoDataFrame({"name": names, "area": names}, geometry=shapes, crs=CRS)


def _farmland(rng: np.random.Generator) -> tuple[np.ndarray, gpd.GeoDataFrame]:
    rows, columns, cell = 160, 240, 500.0
    x = 440_000 + (np.arange(columns) + 0.5) * cell
    y = 180_000 - (np.arange(rows) + 0.5) * cell
    xx, yy = np.meshgrid(x, y)
    surface = spatial.midpoint_displacement(rows, columns, seed=rng, h=0.6, cell_size_m=cell).values
    cover = np.ones((rows, columns), int)
    river = 124_000 + 6000 * np.sin((x - 440_000) / 14_000) + 2500 * np.sin((x - 440_000) / 5000)
    beside = np.abs(yy - river[None, :])
    cover[(beside < 2600) & (surface > np.quantile(surface, 0.35))] = 2
    inside = _reserves().union_all().buffer(1500)
    places: list[tuple[float, float]] = []
    while len(places) < 34:
        place = rng.uniform(446_000, 554_000), rng.uniform(104_000, 176_000)
        apart = all(np.hypot(place[0] - a, place[1] - b) > 4500 for a, b in places)
        if apart and not inside.contains(shapely.Point(place)):
            places.append(place)
    homes = gpd.GeoDataFrame(
        {
            "demand": [f"Simulated village {number}" for number in range(1, 35)],
            "weight": np.round(rng.lognormal(np.log(900), 0.6, 34), -1).astype(int),
        },
        geometry=gpd.points_from_xy(*np.round(np.array(places).T)),
        crs=CRS,
    )
    for (a, b), people in zip(places, homes["weight"], strict=True):
        away = np.hypot(xx - a, yy - b)
        reach = 900 + 45 * np.sqrt(people)
        cover[(away < reach * (0.6 + 0.8 * surface)) & (cover == 1)] = 3
        cover[away < 500] = 4
    cover[beside < 260] = 5
    return cover, homes


def _elephants(
    rng: np.random.Generator, cover: np.ndarray, reserves: gpd.GeoDataFrame
) -> tuple[pd.DataFrame, list[np.ndarray]]:
    strength = np.zeros(6)
    for code, name in LAND.items():
        strength[code] = SELECTION.get(name, 0.0)
    # a step that would leave the map, or (while it stays) the reserve, is the less likely the farther out
    tables, ways = [], []
    time = pd.Timestamp("2022-05-01T00:00:00Z") + pd.to_timedelta(np.arange(70 * 24), unit="h")
    shapes = list(reserves.geometry)
    for shape in shapes:
        shapely.prepare(shape)
    for number in range(1, 9):
        here = int(rng.integers(3))
        leaves = set((rng.choice(np.arange(5, 66, 14), 4, replace=False) * 24 + rng.integers(0, 24, 4)).tolist())
        at = np.array([shapes[here].centroid.x, shapes[here].centroid.y]) + rng.normal(0, 3000, 2)
        heading, goal, since = rng.uniform(-np.pi, np.pi), -1, 0
        places = np.empty((len(time), 2))
        for hour in range(len(time)):
            places[hour] = at
            if hour in leaves and goal < 0:
                goal, since = int(rng.choice([r for r in range(3) if r != here])), hour
            if goal >= 0:
                towards = shapes[goal].centroid
                aim = np.arctan2(towards.y - at[1], towards.x - at[0])
                length = rng.gamma(4.0, 1300 / 4.0, 20)
                angle = aim + rng.vonmises(0, 4.0, 20)
            else:
                length = rng.gamma(1.2, 280 / 1.2, 20)
                angle = heading + rng.vonmises(0, 0.5, 20)
            ends = at + np.column_stack([np.cos(angle), np.sin(angle)]) * length[:, None]
            row = np.clip(((180_000 - ends[:, 1]) // 500).astype(int), 0, 159)
            column = np.clip(((ends[:, 0] - 440_000) // 500).astype(int), 0, 239)
            log_weight = strength[cover[row, column]]
            if goal < 0:
                log_weight = log_weight - shapely.distance(shapes[here], shapely.points(ends)) / 60
            chance = np.exp(log_weight - log_weight.max())
            pick = int(rng.choice(20, p=chance / chance.sum()))
            heading, at = angle[pick], ends[pick]
            if goal >= 0 and shapes[goal].contains(shapely.Point(at)):
                ways.append(places[since : hour + 1])
                here, goal = goal, -1
        noisy = places + rng.normal(0, 10, places.shape)
        tables.append(
            pd.DataFrame(
                {
                    "animal": f"elephant {number}",
                    "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "x": noisy[:, 0].round(0).astype(int),
                    "y": noisy[:, 1].round(0).astype(int),
                    "simulated": True,
                }
            )
        )
    return pd.concat(tables, ignore_index=True), ways


def _incidents(
    rng: np.random.Generator, cover: np.ndarray, villages: gpd.GeoDataFrame, ways: list[np.ndarray]
) -> gpd.GeoDataFrame:
    row, column = np.nonzero(cover == 3)
    x, y = 440_250 + 500.0 * column, 179_750 - 500.0 * row
    field = shapely.points(x, y)
    to_way = np.min([shapely.distance(field, shapely.LineString(way)) for way in ways if len(way) > 1], axis=0)
    to_village = np.min([np.hypot(x - p.x, y - p.y) for p in villages.geometry], axis=0)
    weight = np.exp(-to_way / 3000 - to_village / 2500) * (to_way < 9000)
    picked = rng.choice(len(x), 140, p=weight / weight.sum())
    place = np.column_stack([x[picked], y[picked]]) + rng.uniform(-250, 250, (140, 2))
    kinds = ["crop raid", "store broken", "fence broken", "person hurt"]
    day = pd.Timestamp("2022-01-01") + pd.to_timedelta(np.round(365 * rng.beta(3, 2, 140)).clip(0, 364), unit="D")
    return gpd.GeoDataFrame(
        {
            "date": day.strftime("%Y-%m-%d"),
            "kind": rng.choice(kinds, 140, p=[0.8, 0.1, 0.08, 0.02]),
        },
        geometry=gpd.points_from_xy(*np.round(place.T)),
        crs=CRS,
    )


def _trial(rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for number in range(1, 7):
        taste = {crop: strength + rng.normal(0, 0.3) for crop, (strength, _) in CROPS.items()}
        for crop, strength in taste.items():
            eaten = rng.binomial(40, 1 / (1 + np.exp(-(1.4 + strength))))
            rows.append(
                {"animal": f"elephant {number}", "food": crop, "offered": 40, "used": int(eaten), "simulated": True}
            )
    return pd.DataFrame(rows)


# --- files -------------------------------------------------------------------------------------------------------


def _write_lines(file: Path, frame: gpd.GeoDataFrame, digits: float = 0.1) -> None:
    """GeoJSON with one feature a line; coordinates in metres to ``digits``."""
    frame = frame.assign(simulated=True)
    frame = frame.set_geometry(shapely.set_precision(frame.geometry.to_numpy(), digits))
    whole = json.loads(frame.to_json(to_wgs84=False))
    lines = ",\n".join(
        json.dumps({k: f[k] for k in ("type", "properties", "geometry")}, separators=(",", ":"))
        for f in whole["features"]
    )
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{frame.crs.to_epsg()}"}}
    head = json.dumps({"type": "FeatureCollection", "crs": crs}, separators=(",", ":"))[:-1]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(head + ',"features":[\n' + lines + "\n]}\n", encoding="utf-8")
