"""A finished run folder made by hand: a plausible landscape, ranked corridors, tables, a chart and a solution record.

Every number that tests ask for is written here or follows from what is written here, none comes from Linkways' methods.
"""

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

CRS = "EPSG:32633"
ORIGIN = (420_000.0, 5_320_000.0)
CELL = 100.0
ROWS, COLUMNS = 300, 420
CORRIDORS = 30
RUN_ID = "0123456789abcdef0123456789abcdef"
HOSTILE = "<script>alert('x')</script>"
BOOK = "The Book of the Hills (2001)"
RASTER = "resistance.resistance.tif"
LINKS = "corridors.links.parquet"
RANKING = "priorities.ranking.csv"


def make_run(folder: Path, **changes: Any) -> Path:
    """Write the run folder; ``changes`` replace top-level keys of ``run.json``."""
    from linkways.spatial import write_raster, write_table, write_vectors

    for name in ("layers", "tables", "figures"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_raster(resistance(), folder / "layers" / "resistance.resistance.tif")
    write_raster(land_cover(), folder / "layers" / "landcover.tif")
    write_vectors(cores(), folder / "layers" / "cores.cores.parquet")
    write_vectors(links(), folder / "layers" / "corridors.links.parquet")
    ranking = pd.DataFrame(links().drop(columns="geometry"))
    write_table(ranking, folder / "tables" / "priorities.ranking.csv")
    write_table(ranking, folder / "tables" / "priorities.ranking.parquet")
    chart(folder / "figures" / "priorities.chart.png")
    record = {**run_record(), **changes}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "study.yaml").write_text("linkways: 1\n", encoding="utf-8")
    return folder


# --- layers --------------------------------------------------------------------------


def terrain() -> np.ndarray:
    """Smooth hills between 0 and 1."""
    rng = np.random.default_rng(3)
    spectrum = np.fft.rfft2(rng.normal(size=(ROWS, COLUMNS)))
    frequency = np.hypot(np.fft.fftfreq(ROWS)[:, None], np.fft.rfftfreq(COLUMNS)[None, :])
    frequency[0, 0] = 1.0
    hills = np.fft.irfft2(spectrum / frequency**1.8, s=(ROWS, COLUMNS))
    return np.asarray((hills - hills.min()) / (hills.max() - hills.min()))


def resistance() -> Any:
    """Resistance from 1 to 100, a lake of nodata in the north-west."""
    from linkways.spatial import new_raster

    values = np.exp(terrain() * np.log(100.0))
    values[values == values.min()] = 1.0
    rows, columns = np.ogrid[:ROWS, :COLUMNS]
    values[np.hypot(rows - 70, columns - 90) < 32] = np.nan
    return new_raster(values, crs=CRS, cell_size=CELL, origin=ORIGIN, name="resistance", attrs={"units": "resistance"})


def land_cover() -> Any:
    """Four land-cover classes."""
    from linkways.spatial import new_raster

    codes = np.digitize(terrain(), [0.3, 0.5, 0.7]).astype("float32")
    attrs = {"classes": True, "class_names": {0: "water", 1: "forest", 2: "grassland", 3: "cropland"}}
    return new_raster(codes, crs=CRS, cell_size=CELL, origin=ORIGIN, name="landcover", attrs=attrs)


def cores() -> gpd.GeoDataFrame:
    """Twelve core areas of 1 to 3 km radius."""
    rng = np.random.default_rng(5)
    at = _places(12)
    circles = [shapely.Point(x, y).buffer(r) for (x, y), r in zip(at, rng.uniform(800, 2200, 12), strict=True)]
    return gpd.GeoDataFrame({"core": range(1, 13)}, geometry=circles, crs=CRS)


def links() -> gpd.GeoDataFrame:
    """Thirty ranked corridors between the cores."""
    rng = np.random.default_rng(7)
    at = _places(12)
    pairs = [(a, b) for a in range(12) for b in range(a + 1, 12)]
    pairs.sort(key=lambda p: float(np.hypot(*(at[p[0]] - at[p[1]]))))
    lines = []
    for a, b in pairs[:CORRIDORS]:
        bend = (at[a] + at[b]) / 2 + rng.normal(scale=600, size=2)
        lines.append(shapely.LineString([at[a], bend, at[b]]))
    return gpd.GeoDataFrame(
        {
            "rank": np.arange(1, CORRIDORS + 1),
            "core_a": [a + 1 for a, _ in pairs[:CORRIDORS]],
            "core_b": [b + 1 for _, b in pairs[:CORRIDORS]],
            "score": np.round(np.linspace(0.91, 0.12, CORRIDORS), 4),
            "cost": np.linspace(1_234_567.8, 9_876_543.2, CORRIDORS),
            "min_width_m": np.linspace(4200, 150, CORRIDORS),
            "corridor_area_km2": np.linspace(41.25, 3.5, CORRIDORS),
            "note": [HOSTILE, *[""] * (CORRIDORS - 1)],
        },
        geometry=lines,
        crs=CRS,
    )


def chart(path: Path) -> None:
    """A small bar chart, 480 by 300 dots."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.0), dpi=100)
    figure.subplots().bar(np.arange(10), np.arange(10)[::-1])
    figure.savefig(path)


def _places(count: int) -> np.ndarray:
    rng = np.random.default_rng(11)
    x = ORIGIN[0] + rng.uniform(0.06, 0.94, count) * COLUMNS * CELL
    y = ORIGIN[1] - rng.uniform(0.06, 0.94, count) * ROWS * CELL
    return np.column_stack([x, y])


# --- run.json ------------------------------------------------------------------------


def run_record() -> dict[str, Any]:
    """What ``run.json`` says."""
    return {
        "linkways": "0.1.0",
        "format": 1,
        "id": RUN_ID,
        "title": "Corridors of the Simulated Hills",
        "description": "Core areas, resistance and ranked corridors in a landscape that was made by a random process.",
        "solution": solution(),
        "started": "2026-05-04T09:30:00Z",
        "finished": "2026-05-04T09:33:20Z",
        "seconds": 200.0,
        "peak_memory_mb": 812.4,
        "python": "3.11.7",
        "platform": "Linux x86_64",
        "packages": {"numpy": "2.4.6", "scipy": "1.17.1"},
        "seed": 42,
        "warnings": ["study.yaml line 9: input landcover has no licence; add 'licence: ...'"],
        "inputs": inputs(),
        "steps": steps(),
        "report": report(),
        "files": [],
    }


def solution() -> dict[str, Any]:
    """The record of a solution."""
    return {
        "id": "simulated-hills",
        "title": "A solution for the hills",
        "summary": "People of the hills joined the woods again.",
        "place": {"name": "Simulated Hills", "bounds": [14, 47.7, 14.5, 48.1]},
        "species": [{"scientific_name": "Lynx lynx", "name": "lynx"}],
        "challenges": ["Roads part the woods."],
        "building_blocks": [
            {"title": "Map the corridors", "description": "From land cover.", "steps": ["resistance", "corridors"]},
            {"title": "Agree with land owners", "description": "Before anything is built."},
        ],
        "impacts": [{"fact": "1,200 km2 are joined again.", "source": "book"}],
        "sources": {"book": "The Book of the Hills (2001) doi:10.1234/hills.2001"},
    }


def inputs() -> list[dict[str, Any]]:
    """Two spatial inputs, one simulated, and a table."""
    bounds = [ORIGIN[0], ORIGIN[1] - ROWS * CELL, ORIGIN[0] + COLUMNS * CELL, ORIGIN[1]]
    shape = [ROWS, COLUMNS]
    return [
        {
            "name": "landcover", "kind": "raster", "path": "landcover.tif", "sha256": "a" * 64, "crs": CRS,
            "bounds": bounds, "shape": shape, "log": ["raster landcover: the file has no CRS, EPSG:32633 as given"],
            "licence": None, "source": "drawn by a random process", "simulated": True, "file": "layers/landcover.tif",
        },
        {
            "name": "parks", "kind": "vector", "path": "parks.gpkg", "sha256": "b" * 64, "crs": CRS, "bounds": bounds,
            "shape": [12, 3], "log": [], "licence": "CC-BY-4.0", "source": "Parks agency, https://parks.example.org/data",
            "simulated": False, "file": None,
        },
        {
            "name": "values", "kind": "table", "sha256": "c" * 64, "crs": None, "bounds": None, "shape": [4, 2],
            "log": [], "licence": None, "source": None, "simulated": False, "file": None,
        },
    ]  # fmt: skip


def steps() -> list[dict[str, Any]]:
    """Four steps; ``cores`` stands on the real input alone."""
    return [
        _step(
            "resistance", "corridors.resistance", {"landcover": "landcover", "table": "values"},
            {"combine": _given("max"), "max_resistance": _given(100.0, "resistance"), "c": _given(None)},
            [_output("resistance", "layer", "resistance to movement", "resistance", f"layers/{RASTER}")],
            references=["Zeller KA et al. (2012) Estimating resistance. https://doi.org/10.1007/s10980-012-9737-0"],
        ),
        _step(
            "cores", "corridors.cores", {"polygons": "parks"}, {"min_area_km2": _given(5000.0, "km2")},
            [_output("cores", "layer", "core areas: core", "", "layers/cores.cores.parquet")],
        ),
        _step(
            "corridors", "corridors.least_cost", {"resistance": "resistance.resistance", "cores": "cores.cores"},
            {"cutoff": _given(200000.0, "cost-metres"), "seed": _given(12345)},
            [
                _output("links", "layer", "least-cost paths: rank, cost (cost-metres)", "", f"layers/{LINKS}"),
                _output("area_km2", "indicator", "area of all corridors together", "km2", None, 1234567.891),
                _output("links_count", "indicator", "corridors", "", None, CORRIDORS),
            ],
            log=["layer cores: 2 invalid geometries made valid"],
        ),
        _step(
            "priorities", "corridors.prioritise", {"corridors": "corridors.links"}, {},
            [
                _output("ranking", "table", "corridors by rank: cost (cost-metres)", "", f"tables/{RANKING}"),
                _output("chart", "figure", "score by rank", "", "figures/priorities.chart.png"),
            ],
        ),
    ]  # fmt: skip


def report() -> dict[str, Any]:
    """The report section of the study."""
    return {
        "indicators": ["corridors.area_km2", "corridors.links_count"],
        "comparisons": [
            {
                "title": "Corridor area", "published": "1.1 million km2", "source": BOOK,
                "computed": "corridors.area_km2", "why": "The book used a coarser map.",
            },
            {"title": "Lynx", "published": "about 40", "source": BOOK, "why": "Not modelled."},
        ],
        "maps": [
            {
                "title": "Resistance and ranked corridors", "layer": "resistance", "over": ["cores", "corridors.links"],
                "label": "rank", "caption": "Numbers are ranks.",
            },
            {"title": "Core areas", "layer": "cores.cores", "label": "core"},
            {"title": "Land cover", "layer": "landcover"},
        ],
        "tables": [
            {
                "title": "Ranked corridors", "table": "priorities.ranking", "rows": 12,
                "caption": "Rank 1 comes first.",
                "columns": ["rank", "core_a", "core_b", "score", "cost", "min_width_m", "corridor_area_km2", "note"],
            },
            {"title": "Core areas", "table": "cores"},
        ],
        "figures": [{"title": "Score", "figure": "priorities.chart"}],
    }  # fmt: skip


def _step(
    id: str, method: str, wired: dict[str, Any], parameters: dict[str, Any], outputs: list[dict[str, Any]],
    references: list[str] | None = None, log: list[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "id": id, "method": method, "version": 1, "summary": f"What {method} gives.", "references": references or [],
        "parameters": parameters, "inputs": wired, "key": "d" * 64, "finished": "2026-05-04T09:31:00Z",
        "seconds": 12.345, "peak_memory_mb": 700.0, "reused": id == "cores", "log": log or [], "outputs": outputs,
    }  # fmt: skip


def _given(value: Any, unit: str = "") -> dict[str, Any]:
    return {"value": value, "unit": unit}


def _output(name: str, kind: str, doc: str, unit: str, file: str | None, value: float | None = None) -> dict[str, Any]:
    return {"name": name, "kind": kind, "doc": doc, "unit": unit, "file": file, "sha256": None, "value": value}
