"""The simulated camera traps, fence and animals of the solution kopet-dag-cats."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import shapely.ops
from simulated_tracks import _write_lines

from linkways import corridors, spatial

__all__ = ["kopet_dag_cats"]

CRS = "EPSG:32640"
BORDER = [
    (53.91, 37.34), (54.21, 37.32), (54.65, 37.44), (54.79, 37.52), (54.86, 37.76), (55.45, 38.08), (55.74, 38.12),
    (56.21, 38.07), (56.32, 38.09), (56.3, 38.18), (56.44, 38.26), (56.73, 38.27), (57.04, 38.19), (57.19, 38.28),
    (57.34, 38.08), (57.35, 37.97), (58.16, 37.79), (58.21, 37.68), (58.36, 37.63), (58.53, 37.7), (58.68, 37.64),
    (58.8, 37.69), (59.21, 37.52), (59.31, 37.53), (59.46, 37.21), (60.02, 37.03), (60.34, 36.64), (61.17, 36.64),
]  # fmt: skip
"""Border of Turkmenistan and Iran after Natural Earth 1:10 million, straightened to 0.04 degrees, west to east."""
RESERVE_KM2 = 497.0
RESERVE_LONGITUDES = (57.46, 57.86)
FENCE_INSIDE_M = 5_000.0
"""The fence is drawn this far inside Turkmenistan, so that cameras stand on both sides of it."""

DENSITY = 0.02
"""Leopards per km2."""
LAMBDA0 = 0.03
"""Visits in a day of a leopard whose activity centre is at the camera."""
SIGMA_M = 3_500.0
ALPHA = 1.5
"""A metre in a cell of the fence costs exp(ALPHA) times as much as on open land."""
TIGHT = 1_000.0
"""Resistance of the fence in the scenario that lets hardly anything through."""
CELL_M = 1_000.0
LAND_COVER_M = 5_000.0
"""About the size of a cell of the land cover on which ways are sought."""
AROUND_M = 20_000.0

SURVEY = ("2024-09-15", "2025-02-12")
ZONE_HOURS = 5
LEOPARD, MANUL, URIAL, GOAT = "Panthera pardus saxicolor", "Otocolobus manul", "Ovis vignei", "Capra aegagrus"
PEOPLE, DOG = "Homo sapiens", "Canis lupus familiaris"
DAYS = {
    LEOPARD: [(0.55, 19.5, 3.0), (0.45, 4.5, 3.0)],
    MANUL: [(0.5, 6.0, 4.0), (0.5, 18.0, 4.0)],
    URIAL: [(0.5, 8.0, 4.0), (0.5, 16.5, 4.0)],
    GOAT: [(0.6, 9.0, 3.0), (0.4, 15.0, 3.0)],
    PEOPLE: [(1.0, 12.0, 2.5)],
    DOG: [(1.0, 11.0, 1.0)],
}
"""Share, hour by the sun and concentration of the parts (von Mises) of each species' day."""
RATES = {MANUL: 0.028, URIAL: 0.08, GOAT: 0.06, PEOPLE: 0.03, DOG: 0.02}
"""Visits in a day at a station where the species lives."""
OCCUPANCY = {MANUL: (-0.5, 4.0), URIAL: (0.6, 0.0), GOAT: (-0.2, 2.0), PEOPLE: (-0.5, 0.0), DOG: (-1.0, 0.0)}
"""Intercept and slope by the share of rocky ground (less a half) of the logit of occupancy."""
GROUPS = {URIAL: 2.5, GOAT: 3.0, PEOPLE: 0.8}
"""Mean number of animals in a picture beyond the first."""

FAILURES = [
    ("KD-05", "2024-11-10", "2024-12-04", "battery empty"),
    ("KD-11", "2024-10-20", "2024-10-28", "turned over by livestock"),
    ("KD-14", "2025-01-05", "2025-02-12", "stolen"),
    ("KD-19", "2024-12-15", "2024-12-29", "snow on the lens"),
]
PLACES = {"reserve": None, "south": (57.45, 37.05), "north": (55.4, 42.6), "west": (54.45, 39.65)}
PLACE_NAMES = {
    "reserve": "reserve behind the fence, drawn",
    "south": "ranges in Iran, drawn",
    "north": "Ustyurt in Kazakhstan, drawn",
    "west": "Great Balkan, drawn",
}


def kopet_dag_cats(folder: Path) -> None:
    """A reserve at the border, a fence through it, twenty cameras, and what they recorded.

    Truth: 20 stations in three rows 4 to 5 km apart, six of them between fence and border. Leopards: activity centres
    uniform at 0.02 per km2 within 20 km; visits Poisson, 0.03 a day at the centre, falling half-normal with sigma 3.5
    km over least-cost distance on 1 km cells, where a cell of the fence costs exp(1.5) times open land. Other species
    live at a station or not by chance (logit by the share of rocky ground) and visit those where they live at constant
    rates. Hours of the day are by the sun, from von Mises mixtures. Four cameras failed for a time; three pictures from
    the way home after take-down must be rejected. Of 39 other seeds the study's 95 % intervals held the true density in
    39 and the true cost of the fence in 36; in 6 the cost had no upper bound, as with this one.
    """
    rng = np.random.default_rng(497)
    target = folder / "kopet-dag-cats"
    border, fence, reserve = _lines()
    stations = _stations(rng, border)
    line = _frame(["border fence"], [fence])
    _write_lines(target / "fence.geojson", line.assign(resistance=_regional_cost()))
    _write_lines(target / "fence-tight.geojson", line.assign(name="border fence made tight", resistance=TIGHT))
    _write_lines(target / "reserve.geojson", _frame(["reserve"], [reserve]))
    _write_lines(target / "places.geojson", _places(reserve, fence))
    deployments = _deployments(stations)
    seen, caught = _leopards(rng, stations, fence)
    others, lived = _others(rng, stations)
    observations = _observations(rng, pd.concat([seen, others], ignore_index=True), stations)
    failures = pd.DataFrame(FAILURES, columns=["deploymentID", "start", "end", "reason"])
    for column in ("start", "end"):
        failures[column] += f"T12:00:00+{ZONE_HOURS:02d}:00"
    ground = stations[["deploymentID", "rocky"]].rename(columns={"deploymentID": "site"})
    for name, table in (
        ("deployments.csv", deployments),
        ("observations.csv", observations),
        ("failures.csv", failures.assign(simulated=True)),
        ("stations.csv", ground.assign(simulated=True)),
        ("truth.csv", _truth(stations, lived, caught)),
    ):
        table.to_csv(target / name, index=False, lineterminator="\n")


# --- ground ------------------------------------------------------------------------------------------------------


def _lines() -> tuple[shapely.LineString, shapely.LineString, shapely.Polygon]:
    """Border, fence and reserve in metres."""
    border = gpd.GeoSeries([shapely.LineString(BORDER)], crs=4326).to_crs(CRS).iloc[0]
    # west to east, Turkmenistan lies on the left
    fence = shapely.offset_curve(border, FENCE_INSIDE_M, join_style="mitre", mitre_limit=2.0)
    x = [gpd.GeoSeries.from_xy([lon], [37.9], crs=4326).to_crs(CRS).iloc[0].x for lon in RESERVE_LONGITUDES]
    part = shapely.intersection(border, shapely.box(x[0], 0, x[1], 1e7))
    low, high = 1_000.0, 40_000.0
    while high - low > 1e-6:
        depth = (low + high) / 2
        low, high = (depth, high) if _strip(part, depth).area < RESERVE_KM2 * 1e6 else (low, depth)
    return border, fence, _strip(part, high)


def _strip(part: shapely.LineString, depth: float) -> shapely.Polygon:
    edge = shapely.get_coordinates(part)
    return shapely.Polygon(np.concatenate([edge, edge[::-1] + np.array([0.0, depth])]))


def _stations(rng: np.random.Generator, border: shapely.LineString) -> pd.DataFrame:
    """Twenty cameras in three rows along the border: six before the fence, fourteen behind it."""
    x0, x1 = (gpd.GeoSeries.from_xy([lon], [37.9], crs=4326).to_crs(CRS).iloc[0].x for lon in RESERVE_LONGITUDES)
    points = []
    for north, count in ((2_600.0, 6), (7_600.0, 7), (11_600.0, 7)):
        for k in range(count):
            x = x0 + (k + 0.5) * (x1 - x0) / count + rng.uniform(-400, 400)
            line = shapely.LineString([(x, 0), (x, 1e7)])
            points.append((x, shapely.intersection(border, line).y + north + rng.uniform(-400, 400)))
    degrees = gpd.GeoSeries.from_xy(*np.array(points).T, crs=CRS).to_crs(4326)
    table = pd.DataFrame({"deploymentID": [f"KD-{k + 1:02d}" for k in range(len(points))]})
    table["longitude"], table["latitude"] = degrees.x.round(5), degrees.y.round(5)
    table["rocky"] = rng.uniform(0.05, 0.95, len(table)).round(2)
    placed = gpd.GeoSeries.from_xy(table["longitude"], table["latitude"], crs=4326).to_crs(CRS)
    table["x"], table["y"] = placed.x, placed.y
    return table


def _frame(names: list[str], shapes: list[shapely.Geometry]) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"name": names}, geometry=shapes, crs=CRS)


def _places(reserve: shapely.Polygon, fence: shapely.LineString) -> gpd.GeoDataFrame:
    """Where movement is asked from and to: the reserve a cell of land cover behind the fence, and circles of 20 km."""
    parts = shapely.ops.split(reserve, fence).geoms
    behind = max(parts, key=lambda part: part.centroid.y).difference(fence.buffer(LAND_COVER_M))
    rows = []
    for core, (name, at) in enumerate(PLACES.items(), 1):
        if at is None:
            shape = behind
        else:
            shape = gpd.GeoSeries.from_xy([at[0]], [at[1]], crs=4326).to_crs(CRS).iloc[0].buffer(20_000, quad_segs=6)
        rows.append({"core": core, "place": name, "name": PLACE_NAMES[name], "geometry": shape})
    return gpd.GeoDataFrame(rows, crs=CRS)


def _regional_cost() -> float:
    """What the fence costs in a cell of land cover: the same detour as in a cell of 1 km."""
    return float(round(1 + (np.exp(ALPHA) - 1) * CELL_M / LAND_COVER_M, 2))


# --- animals -----------------------------------------------------------------------------------------------------


def _leopards(
    rng: np.random.Generator, stations: pd.DataFrame, fence: shapely.LineString
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Visits of leopards at the cameras, over least-cost distances with the fence, and how many animals there were."""
    left, top = stations["x"].min() - AROUND_M, stations["y"].max() + AROUND_M
    columns = int(np.ceil((stations["x"].max() + AROUND_M - left) / CELL_M))
    rows = int(np.ceil((top - stations["y"].min() + AROUND_M) / CELL_M))
    open_land = spatial.new_raster(np.ones((rows, columns)), crs=CRS, cell_size=CELL_M, origin=(left, top))
    burnt = _frame(["fence"], [fence]).assign(resistance=np.exp(ALPHA))
    cost = corridors.resistance(layers=[open_land], overlays=[burnt])
    centres = rng.choice(rows * columns, rng.poisson(DENSITY * rows * columns))
    sexes = rng.choice(["female", "male"], len(centres), p=[0.6, 0.4])
    days = _effort(stations)
    records, names = [], {}
    for k, camera in stations.iterrows():
        at = gpd.GeoDataFrame(geometry=[shapely.Point(camera["x"], camera["y"])], crs=CRS)
        distance = corridors.cost_distance(cost, at).cost.values.ravel()[centres]
        expected = LAMBDA0 * days[k].size * np.exp(-(distance**2) / (2 * SIGMA_M**2))
        for animal, count in enumerate(rng.poisson(expected)):
            if count:
                name = names.setdefault(animal, f"L{len(names) + 1:02d}")
                day = rng.choice(days[k], count)
                hour = _hours(rng, LEOPARD, count)
                records.append(
                    pd.DataFrame({"k": k, "species": LEOPARD, "day": day, "hour": hour, "individualID": name,
                                  "sex": sexes[animal], "count": 1})
                )  # fmt: skip
    return pd.concat(records, ignore_index=True), {"caught": len(names)}


def _others(rng: np.random.Generator, stations: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Visits of the other species, and the stations where each lives."""
    days = _effort(stations)
    records, lived = [], {}
    for species, (intercept, slope) in OCCUPANCY.items():
        psi = 1 / (1 + np.exp(-(intercept + slope * (stations["rocky"].to_numpy() - 0.5))))
        lived[species] = rng.random(len(stations)) < psi
        for k in np.flatnonzero(lived[species]):
            count = rng.poisson(RATES[species] * days[k].size)
            records.append(
                pd.DataFrame({"k": k, "species": species, "day": rng.choice(days[k], count),
                              "hour": _hours(rng, species, count), "individualID": None, "sex": None,
                              "count": 1 + rng.poisson(GROUPS.get(species, 0.0), count)})
            )  # fmt: skip
    return pd.concat(records, ignore_index=True), lived


def _hours(rng: np.random.Generator, species: str, count: int) -> np.ndarray:
    share, hour, concentration = (np.array(part) for part in zip(*DAYS[species], strict=True))
    part = rng.choice(len(share), count, p=share)
    return (rng.vonmises((hour[part] - 12) * np.pi / 12, concentration[part]) * 12 / np.pi + 12) % 24


def _effort(stations: pd.DataFrame) -> list[np.ndarray]:
    """Whole days on which each camera worked, counted from the first."""
    first, last = (pd.Timestamp(day) for day in SURVEY)
    every = np.arange(1, (last - first).days)
    found = []
    for name in stations["deploymentID"]:
        worked = np.ones(len(every), bool)
        for other, start, end, _ in FAILURES:
            if other == name:
                begin, stop = ((pd.Timestamp(day) - first).days for day in (start, end))
                worked &= (every < begin) | (every > stop)
        found.append(every[worked])
    return found


# --- tables in Camtrap DP ----------------------------------------------------------------------------------------


def _deployments(stations: pd.DataFrame) -> pd.DataFrame:
    table = stations[["deploymentID", "longitude", "latitude"]].copy()
    table.insert(1, "locationID", table["deploymentID"])
    table["coordinateUncertainty"] = 10
    for column, day in zip(("deploymentStart", "deploymentEnd"), SURVEY, strict=True):
        table[column] = f"{day}T12:00:00+{ZONE_HOURS:02d}:00"
    table["setupBy"] = "simulated by Linkways"
    table["deploymentTags"] = "simulated:true"
    return table


def _observations(rng: np.random.Generator, seen: pd.DataFrame, stations: pd.DataFrame) -> pd.DataFrame:
    """Records in order of time, as events; three of people after take-down, which break a rule."""
    longitude = stations["longitude"].to_numpy()[seen["k"]]
    day = pd.Timestamp(SURVEY[0]) + pd.to_timedelta(seen["day"], unit="D")
    utc = seen["hour"].to_numpy() - longitude / 15 - _equation_of_time(day) / 60
    start = (day + pd.to_timedelta(utc, unit="h")).dt.floor("s")
    last = pd.Timestamp(SURVEY[1]) + pd.Timedelta(hours=12 - ZONE_HOURS)
    late = [last + pd.Timedelta(minutes=minutes) for minutes in (4, 5, 41)]
    extra = pd.DataFrame({"k": [6, 6, 7], "species": PEOPLE, "count": 2, "individualID": None, "sex": None})
    table = pd.concat([seen.assign(start=start), extra.assign(start=late)], ignore_index=True)
    table = table.sort_values(["start", "k"], kind="stable", ignore_index=True)
    ends = table["start"] + pd.to_timedelta(rng.integers(5, 60, len(table)), unit="s")
    human = table["species"] == PEOPLE
    zone = f"+{ZONE_HOURS:02d}:00"
    local = pd.Timedelta(hours=ZONE_HOURS)
    return pd.DataFrame(
        {
            "observationID": [f"O{number:04d}" for number in range(1, len(table) + 1)],
            "deploymentID": stations["deploymentID"].to_numpy()[table["k"]],
            "eventStart": (table["start"] + local).dt.strftime("%Y-%m-%dT%H:%M:%S") + zone,
            "eventEnd": (ends + local).dt.strftime("%Y-%m-%dT%H:%M:%S") + zone,
            "observationLevel": "event",
            "observationType": np.where(human, "human", "animal"),
            "scientificName": table["species"],
            "count": table["count"],
            "sex": table["sex"],
            "individualID": table["individualID"],
            "observationTags": "simulated:true",
        }
    )


def _equation_of_time(day: pd.Series) -> np.ndarray:
    """Minutes that the sun is ahead of the clock at its mean (approximation good to half a minute)."""
    angle = 2 * np.pi * (day.dt.dayofyear.to_numpy() - 81) / 365
    return np.asarray(9.87 * np.sin(2 * angle) - 7.53 * np.cos(angle) - 1.5 * np.sin(angle))


# --- truth -------------------------------------------------------------------------------------------------------


def _truth(stations: pd.DataFrame, lived: dict[str, np.ndarray], caught: dict[str, float]) -> pd.DataFrame:
    rows: list[tuple[str, str, float]] = [
        ("density", "leopards per 100 km2", 100 * DENSITY),
        ("lambda0", "visits a day at the activity centre", LAMBDA0),
        ("sigma", "m", SIGMA_M),
        ("alpha of the fence", "logarithm of cost", ALPHA),
        ("individuals recorded", "leopards", float(caught["caught"])),
    ]
    for species in (MANUL, URIAL):
        intercept, slope = OCCUPANCY[species]
        psi = 1 / (1 + np.exp(-(intercept + slope * (stations["rocky"] - 0.5))))
        rows.append((f"occupancy of {species}", "mean chance of the stations", float(psi.mean())))
        rows.append((f"stations with {species}", "share", float(lived[species].mean())))
        rows.append((f"slope of {species}", "logit by share of rocky ground", slope))
    for a, b in ((LEOPARD, URIAL), (LEOPARD, GOAT), (LEOPARD, MANUL)):
        rows.append((f"overlap of {a} and {b}", "share of the day's activity", _overlap(a, b)))
    return pd.DataFrame(rows, columns=["quantity", "unit", "value"]).round(4).assign(simulated=True)


def _overlap(a: str, b: str) -> float:
    """Integral of the smaller of the two true densities."""
    angle = np.linspace(-np.pi, np.pi, 20_001)[:-1]
    densities = []
    for species in (a, b):
        total = np.zeros_like(angle)
        for share, hour, concentration in DAYS[species]:
            total += (
                share
                * np.exp(concentration * (np.cos(angle - (hour - 12) * np.pi / 12) - 1))
                / (2 * np.pi * np.i0(concentration) * np.exp(-concentration))
            )
        densities.append(total)
    return float(np.minimum(*densities).mean() * 2 * np.pi)
