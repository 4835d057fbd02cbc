"""Circuitscape's own verification cases, through its INI files and through the Python method.

Source: the test suite of Circuitscape.jl (MIT) with its published outputs; upstream passes at |dR| <= 1e-3 and sums of
squared differences < 1e-6, these tests at 1e-6 (relative) and 1e-8. The three-column file of sgVerify13 is left out:
it contradicts the matrix published beside it (it lists excluded pairs as computed and computed ones as excluded).
"""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from linkways import spatial
from linkways.corridors.current import current, resistance_matrix
from linkways.corridors.network_current import network_current
from linkways.studies.circuitscape_ini import run_circuitscape

PAIRWISE = [f"raster/pairwise/{n}/sgVerify{n}" for n in (1, 3, 5, 6, 9, 11, 12, 13)]
ONE_TO_ALL = [f"raster/one_to_all/{n}/oneToAllVerify{n}" for n in (1, 3, 5, 7, 9, 11, 12)]
ALL_TO_ONE = [f"raster/all_to_one/{n}/allToOneVerify{n}" for n in (1, 3, 5, 7, 9, 11)]
ADVANCED = [f"raster/advanced/{n}/mgVerify{n}" for n in (1, 3, 5, 6)]
NETWORKS = ["network/sgNetworkVerify1", "network/sgNetworkVerify3", "network/mgNetworkVerify2"]
STALE = {"sgVerify13_resistances_3columns.out"}
SWITCHED_OFF = {"oneToAllVerify11"}
"""Cases whose configuration asks for no maps although maps are published: run with the maps switched on."""


@pytest.fixture
def case(shared, tmp_path, monkeypatch):
    """A working folder in which the cases' paths resolve."""
    folder = shared / "data" / "corridors" / "circuitscape"
    (tmp_path / "input").symlink_to(folder / "input")
    monkeypatch.chdir(tmp_path)
    return folder


def rows_of(path: Path) -> np.ndarray:
    lines = path.read_text().splitlines()
    if lines[0].startswith("ncols"):
        lines = lines[6:]
    return np.array([[float(word) for word in line.split()] for line in lines if line.strip()])


def squared_difference(ours: np.ndarray, published: np.ndarray, name: str) -> float:
    if "branch_currents" not in name:
        assert ours.shape == published.shape, name
        return float(((ours - published) ** 2).sum())
    # branches without current are left out of the lists
    known = {(a, b): value for a, b, value in published}
    found = {(a, b): value for a, b, value in ours}
    return sum((known.get(k, 0.0) - found.get(k, 0.0)) ** 2 for k in known.keys() | found.keys())


@pytest.mark.parametrize("path", [*PAIRWISE, *ONE_TO_ALL, *ALL_TO_ONE, *ADVANCED, *NETWORKS])
def test_a_configuration_file_gives_the_published_files(case, path):
    config = Path(f"input/{path}.ini")
    if config.stem in SWITCHED_OFF:
        text = config.read_text().replace("write_cur_maps = False", "write_cur_maps = True")
        config = Path("changed.ini")
        config.write_text(text.replace("write_volt_maps = False", "write_volt_maps = True"))
    written = {p.name: p for p in run_circuitscape(config)}
    published = sorted((case / "output_verify").glob(f"{Path(path).name}_*"))
    assert published
    compared = 0
    for reference in published:
        name = reference.name
        if name in STALE:
            continue
        assert name in written, f"{name} was not written"
        ours, theirs = rows_of(written[name]), rows_of(reference)
        if "resistances" in name:
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9, err_msg=name)
        else:
            assert squared_difference(ours, theirs, name) < 1e-8, name
        compared += 1
    assert compared >= 1


# --- the same cases through the Python methods -----------------------------------------------------------------------


def grid(path: Path) -> tuple[np.ndarray, dict[str, float]]:
    # the published inputs hold every GeoTIFF as an ASCII grid too
    lines = path.with_suffix(".asc").read_text().splitlines()
    head = {k.lower(): float(v) for k, v in (line.split()[:2] for line in lines[:6])}
    values = np.array([[float(w) for w in line.split()] for line in lines[6:] if line.strip()])
    return np.where(values == -9999, np.nan, values), head


def as_raster(values: np.ndarray):
    return spatial.new_raster(values, crs="EPSG:3035", cell_size=1)


def as_points(values: np.ndarray, keep: np.ndarray | None = None) -> gpd.GeoDataFrame:
    """One feature for each id, of all its cells' centres."""
    ids = np.unique(values[(values > 0) & (True if keep is None else keep)]).astype(int)
    shapes = []
    for id in ids:
        rows, columns = np.nonzero(values == id)
        shapes.append(shapely.MultiPoint([(c + 0.5, -r - 0.5) for r, c in zip(rows, columns, strict=True)]))
    return gpd.GeoDataFrame({"node": ids}, geometry=shapes, crs="EPSG:3035")


def as_boxes(values: np.ndarray) -> gpd.GeoDataFrame:
    ids = np.unique(values[values > 0])
    shapes = []
    for id in ids:
        cells = zip(*np.nonzero(values == id), strict=True)
        shapes.append(shapely.union_all([shapely.box(c + 0.1, -r - 0.9, c + 0.9, -r - 0.1) for r, c in cells]))
    return gpd.GeoDataFrame(geometry=shapes, crs="EPSG:3035")


def settings_of(path: str) -> dict[str, str]:
    lines = Path(f"input/{path}.ini").read_text().splitlines()
    return dict((p.strip() for p in line.split("=", 1)) for line in lines if "=" in line)


def landscape_of(path: str) -> tuple[np.ndarray, dict]:
    """The habitat of a case, and the arguments that its configuration stands for."""
    given = settings_of(path)
    habitat, _ = grid(Path(given["habitat_file"]))
    named = {
        "values": "resistance" if given["habitat_map_is_resistances"] == "True" else "conductance",
        "average": "resistance" if given["connect_using_avg_resistances"] == "True" else "conductance",
        "neighbours": 4 if given["connect_four_neighbors_only"] == "True" else 8,
    }
    if given["use_polygons"] == "True":
        named["short_circuits"] = as_boxes(grid(Path(given["polygon_file"]))[0])
    return habitat, named


def published_matrix(case: Path, name: str) -> pd.DataFrame:
    table = rows_of(case / "output_verify" / f"{name}_resistances.out")
    ids = table[0, 1:].astype(int)
    return pd.DataFrame(np.where(table[1:, 1:] == -1, np.nan, table[1:, 1:]), index=ids, columns=ids)


@pytest.mark.parametrize("path", ["raster/pairwise/1/sgVerify1", "raster/pairwise/9/sgVerify9"])
def test_the_pairwise_method_gives_the_published_resistances_and_currents(case, path):
    habitat, named = landscape_of(path)
    name = Path(path).name
    ids, _ = grid(Path(settings_of(path)["point_file"]))
    on_land = np.isfinite(habitat) & (habitat > 0) if "9/" not in path else None
    flow = current(as_raster(habitat), as_points(ids, on_land), **named, case_maps=True)
    ours = resistance_matrix(flow.resistances)
    theirs = published_matrix(case, name).loc[ours.index, ours.columns]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
    cumulative = rows_of(case / "output_verify" / f"{name}_cum_curmap.asc")
    assert float(((np.nan_to_num(flow.cumulative.values) - cumulative) ** 2).sum()) < 1e-8
    for one in flow.case_currents:
        a, b = str(one.case.values).split("-")
        published = rows_of(case / "output_verify" / f"{name}_curmap_{a}_{b}.asc")
        assert float(((np.nan_to_num(one.values) - published) ** 2).sum()) < 1e-8


@pytest.mark.parametrize("mode", ["one_to_all", "all_to_one"])
def test_the_one_to_all_and_all_to_one_methods_give_the_published_maps(case, mode):
    path = f"raster/{mode}/7/{'oneToAllVerify7' if mode == 'one_to_all' else 'allToOneVerify7'}"
    given, name = settings_of(path), Path(path).name
    habitat, named = landscape_of(path)
    head = grid(Path(given["habitat_file"]))[1]
    listed = np.loadtxt(given["point_file"])
    marks = np.full(habitat.shape, np.nan)
    for id, x, y in listed:
        row = int(np.ceil(head["nrows"] - (y - head["yllcorner"]) / head["cellsize"])) - 1
        marks[row, int(np.ceil((x - head["xllcorner"]) / head["cellsize"])) - 1] = id
    flow = current(as_raster(habitat), as_points(marks), mode=mode, **named)
    table = rows_of(case / "output_verify" / f"{name}_resistances.out")
    np.testing.assert_allclose(flow.resistances.resistance.fillna(-1), table[:, 1], rtol=1e-6, atol=1e-9)
    cumulative = rows_of(case / "output_verify" / f"{name}_cum_curmap.asc")
    assert float(((np.nan_to_num(flow.cumulative.values) - cumulative) ** 2).sum()) < 1e-8


def test_the_advanced_method_gives_the_published_voltages_and_currents(case):
    habitat, _ = grid(Path("input/raster/advanced/3/cellmap10x10.asc"))
    regions, _ = grid(Path("input/raster/advanced/3/regions_grid.asc"))
    sources, _ = grid(Path("input/raster/advanced/3/sources10x10.asc"))
    grounds, _ = grid(Path("input/raster/advanced/3/grounds10x10.asc"))
    flow = current(
        as_raster(habitat),
        sources=as_raster(sources),
        grounds=as_raster(grounds),
        mode="advanced",
        voltage_maps=True,
        short_circuits=as_boxes(regions),
    )
    for ours, kind in ((flow.cumulative.values, "curmap"), (flow.voltages.values[0], "voltmap")):
        published = rows_of(case / "output_verify" / f"mgVerify3_{kind}.asc")
        assert float(((np.nan_to_num(ours) - published) ** 2).sum()) < 1e-8, kind


def test_the_network_method_gives_the_published_currents(case):
    links = pd.read_csv("input/network/sgNetworkVerify1_graph_conductances.txt", sep=r"\s+", header=None)
    links.columns = ["node_a", "node_b", "conductance"]
    focal = pd.DataFrame({"node": np.loadtxt("input/network/sgNetworkVerify1_focal_nodes.txt").astype(int)})
    flow = network_current(links, focal.sort_values("node"))
    theirs = published_matrix(case, "sgNetworkVerify1")
    np.testing.assert_allclose(resistance_matrix(flow.resistances), theirs, rtol=1e-6)
    nodes = rows_of(case / "output_verify" / "sgNetworkVerify1_node_currents_cum.txt")
    assert float(((flow.nodes.cumulative - nodes[:, 1]) ** 2).sum()) < 1e-8
    branches = flow.branches[["node_a", "node_b", "cumulative"]].to_numpy(float)
    published = rows_of(case / "output_verify" / "sgNetworkVerify1_branch_currents_cum.txt")
    assert squared_difference(branches, published, "branch_currents") < 1e-8
