"""River connectivity beside published and independently computed numbers.

Data: ../shared/data/rivers, see PROVENANCE.md there. The 16 reaches of riverconn's vignette (damianobaldan/riverconn),
with expected.json computed from the definitions by brute force: block "mid" is the definition, block "from" is what
riverconn 0.3.33 prints, checked in R 4.2. The Yamaska network of the R package dci (aarkilanian/dci). The Mersey
network of FIPEX (goldford/FIPEX-with-the-DCI-10.4). The removed dams of American Rivers (figshare 5234068).
"""

import json
import math

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from linkways import rivers

CLOSE = 1e-12
PD = -1 / math.log(0.9)
"""The mean distance of a kernel 0.9^d."""


@pytest.fixture(scope="module")
def toy(shared):
    folder = shared / "data/rivers/riverconn16"
    lengths, edges = pd.read_csv(folder / "reaches.csv"), pd.read_csv(folder / "edges.csv")
    below = dict(zip(edges["from_reach"], edges["to_reach"], strict=True))
    reaches = pd.DataFrame(
        {"reach": lengths["reach"], "down": lengths["reach"].map(below), "length_m": lengths["length"].astype(float)}
    )
    mapped = edges.dropna(subset="barrier")
    barriers = pd.DataFrame({"barrier": mapped["barrier"].astype(int), "reach": mapped["from_reach"]}).assign(
        pass_up=mapped["pass_u"], pass_down=mapped["pass_d"]
    )
    return reaches, barriers, json.loads((folder / "expected.json").read_text())["values"]


DEFINITION = {
    "CCI c*B exp0.9 sym": (True, {"kernel": "exponential", "distance_m": PD}),
    "DCIp symmetric (c only)": (True, {}),
    "DCIp directional (c only)": (True, {"passability": "directional"}),
    "B only exp0.9": (False, {"kernel": "exponential", "distance_m": PD}),
    "B only asym exp pu=.5 pd=.9": (
        False,
        {"kernel": "exponential", "distance_up_m": -1 / math.log(0.5), "distance_down_m": PD},
    ),
    "c directional * B asym exp pu=.5 pd=.9": (
        True,
        {
            "passability": "directional",
            "kernel": "exponential",
            "distance_up_m": -1 / math.log(0.5),
            "distance_down_m": PD,
        },
    ),
    "B thr u0 d5": (False, {"kernel": "threshold", "distance_up_m": 1e-9, "distance_down_m": 5.0}),
    "B thr u5 d10": (False, {"kernel": "threshold", "distance_up_m": 5.0, "distance_down_m": 10.0}),
    "B thr 10": (False, {"kernel": "threshold", "distance_m": 10.0}),
    "B leptokurtic 2,10,.7": (
        False,
        {"kernel": "leptokurtic", "sigma_stationary_m": 2.0, "sigma_mobile_m": 10.0, "stationary_share": 0.7},
    ),
}
BLOCKS = [("mid", None), ("from", "riverconn")]


@pytest.mark.parametrize(("block", "compat"), BLOCKS)
@pytest.mark.parametrize("name", DEFINITION)
def test_indices_of_the_sixteen_reaches_as_defined_and_as_riverconn_prints_them(toy, block, compat, name):
    reaches, barriers, expected = toy
    with_barriers, chosen = DEFINITION[name]
    found = rivers.connectivity(reaches, barriers if with_barriers else None, compat=compat, **chosen)
    close = CLOSE if "leptokurtic" not in name else 1e-11
    assert found.cci == pytest.approx(expected[block][name], rel=close)
    assert found.kernel_error <= 1e-11


@pytest.mark.parametrize(("block", "compat"), BLOCKS)
def test_row_sums_are_sources_and_column_sums_are_sinks(toy, block, compat):
    reaches, barriers, expected = toy
    found = rivers.connectivity(
        reaches, barriers, passability="directional", kernel="exponential", distance_m=PD, compat=compat
    ).reaches.set_index("reach")
    for column, name in (("source", "row"), ("sink", "col")):
        told = expected[block][f"reach {name}-sum c directional*B .9"]
        assert {str(k): v for k, v in found[column].items()} == pytest.approx(told, rel=CLOSE)


@pytest.mark.parametrize(("block", "compat"), BLOCKS)
@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("DCIp sym", {}),
        ("DCIp dir", {"passability": "directional"}),
        ("CCI exp.9 sym", {"kernel": "exponential", "distance_m": PD}),
    ],
)
def test_gain_of_removing_each_of_seven_barriers(toy, block, compat, name, chosen):
    reaches, barriers, expected = toy
    gain = rivers.connectivity(reaches, barriers, compat=compat, **chosen).barriers.set_index("barrier")["gain_percent"]
    told = {int(k): v[name] for k, v in expected[block]["removal gain % per barrier"].items()}
    assert gain.to_dict() == pytest.approx(told, rel=1e-11)


def test_access_from_the_mouth_of_the_sixteen_reaches(toy):
    reaches, barriers, expected = toy
    found = rivers.connectivity(reaches, barriers)
    told = [
        expected["DCId (mouth=reach 16), symmetric pu*pd"],
        *(expected[f"DCId {w} only"] for w in ("upstream", "downstream")),
    ]
    assert [found.dcid, found.dcid_up, found.dcid_down] == pytest.approx([100 * v for v in told], rel=CLOSE)


# --- Yamaska -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def yamaska(shared):
    folder = shared / "data/rivers/yamaska"
    nodes, edges = pd.read_csv(folder / "net_nodes.csv"), pd.read_csv(folder / "net_edges.csv")
    below = dict(zip(edges["from"], edges.index, strict=True))
    above = dict(zip(edges["to"], edges.index, strict=True))
    reaches = pd.DataFrame({"reach": edges.index, "down": edges["to"].map(below), "length_m": edges["riv_length"]})
    barriers = nodes[nodes["type"] == "barrier"]
    return reaches, barriers.assign(barrier=barriers["node"], reach=barriers["node"].map(above))


def test_yamaska_where_the_river_below_a_barrier_belongs_below(yamaska):
    reaches, barriers = yamaska
    assert reaches["length_m"].sum() == pytest.approx(284588.533, abs=1e-3)
    one = rivers.connectivity(reaches, barriers, pass_up="pass_1")
    two = rivers.connectivity(reaches, barriers, pass_up="pass_2")
    assert one.dcip == pytest.approx(57.646852861, rel=1e-9)
    assert one.dcid == pytest.approx(67.898717698, rel=1e-9)
    assert two.dcip == pytest.approx(19.032948728, rel=1e-9)
    assert two.dcid == pytest.approx(20.280831409, rel=1e-9)


def test_yamaska_as_the_vignette_of_dci_prints_it(yamaska):
    reaches, barriers = yamaska
    found = rivers.connectivity(reaches, barriers, pass_up="pass_1", compat="dci")
    assert found.dcip == pytest.approx(55.9457980804545, rel=CLOSE)


# --- Mersey ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mersey(shared):
    """The tree of river lines, with all 196 barriers on its nodes (within 7 mm)."""
    file = shared / "data/rivers/mersey/mersey_network.gpkg"
    lines, barriers, outlet = (gpd.read_file(file, layer=name) for name in ("river_lines", "barriers", "outlet"))
    ends = [tuple((round(x, 2), round(y, 2)) for x, y in (g.coords[0], g.coords[-1])) for g in lines.geometry]
    tree = nx.Graph()
    for row, (a, b) in enumerate(ends):
        tree.add_edge(a, b, row=row)
    nodes = list(tree)
    find = cKDTree(np.array(nodes))
    gap, at = find.query(np.c_[barriers.geometry.x, barriers.geometry.y])
    assert gap.max() < 0.01
    mouth = nodes[find.query((outlet.geometry.x[0], outlet.geometry.y[0]))[1]]
    below = {node: tree[node][u]["row"] for node, u in nx.bfs_predecessors(tree, mouth)}
    upper = {row: node for node, row in below.items()}
    reaches = pd.DataFrame({"reach": range(len(lines)), "length_m": lines.length})
    towards = nx.bfs_tree(tree, mouth).reverse()
    reaches["down"] = [below.get(next(iter(towards[upper[row]])), -1) for row in reaches["reach"]]
    table = pd.DataFrame({"barrier": barriers.index, "reach": [below[nodes[k]] for k in at]})
    return reaches, table.assign(passability=barriers["passability"].to_numpy())


def test_mersey_agrees_with_the_sum_over_all_pairs_of_its_197_fragments(mersey):
    """A single permeability counts once on every way, and is not squared."""
    reaches, barriers = mersey
    whole = nx.Graph()
    whole.add_nodes_from(reaches["reach"])
    cut = dict(zip(barriers["reach"], barriers["passability"], strict=True))
    whole.add_edges_from(
        (r, d) for r, d in zip(reaches["reach"], reaches["down"], strict=True) if d >= 0 and r not in cut
    )
    number, length = {}, []
    for k, part in enumerate(nx.connected_components(whole)):
        number |= dict.fromkeys(part, k)
        length.append(reaches["length_m"][list(part)].sum())
    assert len(length) == 197
    fragments = nx.Graph()
    down = dict(zip(reaches["reach"], reaches["down"], strict=True))
    fragments.add_edges_from((number[r], number[down[r]], {"p": p}) for r, p in cut.items())
    total = 0.0
    for i in fragments:
        through = {i: 1.0}
        for a, b in nx.bfs_edges(fragments, i):
            through[b] = through[a] * fragments[a][b]["p"]
        total += length[i] * sum(length[j] * p for j, p in through.items())
    found = rivers.connectivity(reaches, barriers)
    assert found.dcip == pytest.approx(100 * total / sum(length) ** 2, rel=1e-11)
    squared = rivers.connectivity(reaches, barriers.assign(passability=barriers["passability"] ** 2)).dcip
    assert squared < 0.9 * found.dcip


# --- removed dams ---------------------------------------------------------------------------


def test_removals_by_year_are_those_of_the_american_rivers_table(shared):
    """Counts of the table: 1951 dated of 2095, the first in 1912, 1620 since 2000, and those of the last years."""
    file = shared / "data/rivers/us_dams/american_rivers_removed_dams_2024.csv"
    dams = pd.read_csv(file)
    assert len(dams) == 2095
    reaches = pd.DataFrame({"reach": range(len(dams) + 1), "down": [-1] + [0] * len(dams), "length_m": 1000.0})
    barriers = pd.DataFrame({"barrier": dams.index, "reach": range(1, len(dams) + 1), "passability": 0.0})
    barriers["removed_year"] = pd.to_numeric(dams["Year_Removed"], errors="coerce")
    found = rivers.history(reaches, barriers)
    years = found.years.set_index("year")
    assert years.index[0] == 1912
    assert years["removed"].sum() == 1951
    assert years.loc[2000:, "removed"].sum() == 1620
    assert years.loc[2019:2023, "removed"].tolist() == [106, 77, 61, 71, 78]
    standing = years["standing"].to_numpy()
    opened = len(reaches) - standing
    assert years["dcip"].to_numpy() == pytest.approx(100 * (opened**2 + standing) / len(reaches) ** 2, rel=CLOSE)
