"""Patches and links beside Graphab, grainscape, FRAGSTATS, Conefor's inputs and Makurhini.

Data: ../shared/data/networks, see PROVENANCE.md there for sources and licences.
"""

import heapq

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

from linkways import networks, spatial


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "data/networks"


# --- Graphab 2 (Foltete, Clauzel & Vuidel 2012), test project of SoftwareImpacts/SIMPAC-2021-11 -------------------


@pytest.fixture(scope="module")
def graphab(folder):
    # the file's geographic CRS is a placeholder: its coordinates are metres
    cover = spatial.read_raster(folder / "graphab/source.tif", crs="EPSG:27572", classes=True)
    return folder / "graphab", networks.patches(land_cover=cover, classes=[1], neighbours=4), cover


def test_patches_of_graphab_have_its_numbers_and_areas(graphab):
    source, patches, cover = graphab
    published = pd.read_csv(source / "patches.csv")
    assert patches.patch.tolist() == published.Id.tolist()
    np.testing.assert_allclose(patches.area_ha * 1e4, published.Area, rtol=1e-9)
    np.testing.assert_allclose(patches.geometry.length, published.Perim, rtol=1e-9)
    assert patches.area_ha.sum() * 1e4 == pytest.approx(7931963.0452, rel=1e-9)
    assert len(patches) == 152
    assert len(networks.patches(land_cover=cover, classes=[1], neighbours=8)) == 144


def test_all_11476_distances_of_graphab_are_found(graphab):
    source, patches, _ = graphab
    published = pd.read_csv(source / "comp_euclid_links.csv.gz").sort_values(["ID1", "ID2"])
    links = networks.links(patches)
    assert len(links) == 11476
    assert links.patch_a.tolist() == published.ID1.tolist()
    assert links.patch_b.tolist() == published.ID2.tolist()
    np.testing.assert_allclose(links.distance_m, published.Dist, rtol=1e-9, atol=1e-6)


def test_the_378_links_of_graphab_within_a_kilometre_sum_to_its_length(graphab):
    _, patches, _ = graphab
    links = networks.links(patches, max_distance_km=1)
    assert len(links) == 378
    assert links.distance_m.sum() == pytest.approx(166109.80953905, rel=1e-9)


# --- grainscape 1.0 (Chubaty, Galpern & Doctolero 2020) -----------------------------------------------------------


def minimum_planar_graph(patches, resistance):
    return networks.links(
        patches, resistance, kind="least_cost", topology="planar", weights="zones", cost_rule="entered_cells",
        neighbours=4, prune=True,
    )  # fmt: skip


def test_the_twelve_links_of_the_grainscape_regression_case_have_its_weights(folder):
    resistance, number = (
        spatial.read_raster(f"/vsigzip/{folder}/grainscape/issue72_{name}.tif.gz") for name in ("resistance", "patchID")
    )
    patches = networks.patches(number, threshold=1, neighbours=4)
    links = minimum_planar_graph(patches, resistance)
    assert len(patches) == 9
    assert sorted(links.cost) == [1, 3, 8, 25, 32, 43, 44, 60, 148, 150, 181, 194]


@pytest.fixture(scope="module")
def tiny(folder):
    classes = spatial.read_raster(f"/vsigzip/{folder}/grainscape/tiny.asc.gz", crs="EPSG:3035")
    resistance = classes.copy(data=np.array([np.nan, 1, 5, 10, 12])[classes.values.astype(int)])
    return networks.patches(land_cover=classes, classes=[1]), resistance


def spread(number, resistance, first):
    """The links of plain spreading; in a tie the patch of the lower number (``first`` 1) or higher (-1) goes first."""
    shape, queue, owner, cost = number.shape, [], np.zeros(number.shape, int), np.zeros(number.shape)
    for row, column in zip(*np.nonzero(number), strict=True):
        heapq.heappush(queue, (0.0, first * number[row, column], int(row), int(column)))
    while queue:
        paid, patch, row, column = heapq.heappop(queue)
        if owner[row, column]:
            continue
        owner[row, column], cost[row, column] = first * patch, paid
        for r, c in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            if 0 <= r < shape[0] and 0 <= c < shape[1] and not owner[r, c] and not number[r, c]:
                heapq.heappush(queue, (paid + resistance[r, c], patch, r, c))
    across = {}
    for here, there in (((slice(None), slice(0, -1)), (slice(None), slice(1, None))), (slice(0, -1), slice(1, None))):
        apart = owner[here] != owner[there]
        ways = zip(owner[here][apart], owner[there][apart], (cost[here] + cost[there])[apart], strict=True)
        for a, b, way in ways:
            pair = (min(a, b), max(a, b))
            across[pair] = min(way, across.get(pair, np.inf))
    kept = {}
    for (a, b), way in sorted(across.items(), key=lambda link: (link[1], link[0])):
        detours = (
            kept[min(a, c), max(a, c)] + kept[min(b, c), max(b, c)]
            for c in range(1, number.max() + 1)
            if {(min(a, c), max(a, c)), (min(b, c), max(b, c))}.issubset(kept)
        )
        if not any(detour < way for detour in detours):
            kept[a, b] = way
    return kept


def test_the_tiny_landscape_of_grainscape_has_its_patches_and_as_many_links(tiny):
    """43 patches, 81 links, sum of weights 6697 by grainscape.

    With whole-number costs many cells are equally cheap to reach from two patches, and the weights of links in zones
    depend on who gets them. Here it is the patch of the lower number (sum 6701); if it were always that of the higher,
    the sum would be 6687. grainscape decides from case to case, so that its sum must lie between.
    """
    patches, resistance = tiny
    links = minimum_planar_graph(patches, resistance)
    assert len(patches) == 43
    assert len(links) == 81
    number = np.nan_to_num(networks.patch_raster(land_cover=resistance, classes=[1]).values).astype(int)
    lower, higher = (spread(number, resistance.values, first) for first in (1, -1))
    ours = {(a, b): cost for a, b, cost in zip(links.patch_a, links.patch_b, links.cost, strict=True)}
    assert ours == lower
    assert len(lower) == len(higher) == 81
    least, most = sum(higher.values()), sum(lower.values())
    assert least <= 6697 <= most


# --- FRAGSTATS 4, with the landscape of landscapemetrics (Hesselbarth et al. 2019) --------------------------------


def fragstats(folder, level):
    return pd.read_csv(
        folder / f"landscapemetrics/fragstats_landscape.{level}.csv", sep=r"\s*,\s*", engine="python"
    ).rename(columns=str.strip)


def test_patches_of_every_class_have_the_areas_and_perimeters_of_fragstats(folder):
    with rasterio.open(folder / "landscapemetrics/landscape_30x30.tif") as source:
        cells = source.read(1).astype(float)
    cover = spatial.new_raster(cells, crs="EPSG:3035", cell_size=1, origin=(4e6, 3e6))
    of_class, of_patch = fragstats(folder, "class").set_index("TYPE"), fragstats(folder, "patch")
    for number in (1, 2, 3):
        patches = networks.patches(land_cover=cover, classes=[number])
        area, perimeter = patches.area_ha, patches.geometry.length
        theirs = of_patch[of_patch["TYPE"] == f"cls_{number}"].sort_values(["AREA", "PERIM"])
        order = np.lexsort((perimeter, area.round(4)))
        np.testing.assert_allclose(area[order], theirs.AREA, atol=5.1e-5)
        np.testing.assert_array_equal(perimeter[order], theirs.PERIM)
        ours = {
            "CA": area.sum(), "PLAND": 100 * area.sum() / 0.09, "NP": len(area), "PD": 100 * len(area) / 0.09,
            "LPI": 100 * area.max() / 0.09, "AREA_MN": area.mean(), "AREA_SD": area.std(ddof=0),
            "AREA_CV": 100 * area.std(ddof=0) / area.mean(), "PARA_MN": (perimeter / area).mean(),
            "DIVISION": 1 - ((area / 0.09) ** 2).sum(), "MESH": (area**2).sum() / 0.09,
            "SPLIT": 0.09**2 / (area**2).sum(),
        }  # fmt: skip
        for name, value in ours.items():
            assert value == pytest.approx(of_class.loc[f"cls_{number}", name], abs=5.1e-5), (number, name)


# --- Makurhini (Godinez-Gomez et al. 2026) and the inputs of Conefor ----------------------------------------------


@pytest.fixture(scope="module")
def tmvs(folder):
    return networks.patches(polygons=spatial.read_vectors(f"/vsigzip/{folder}/makurhini/habitat_nodes.gpkg.gz"))


@pytest.mark.parametrize(
    ("kind", "pc_numerator", "equivalent_connectivity"),
    [("centroid", 211455918414.03, 459843.363), ("inside", 213602815559.0, 462171.847)],
)
def test_anchor_distances_of_404_patches_give_the_published_connectivity(
    tmvs, kind, pc_numerator, equivalent_connectivity
):
    """PC numerator over all pairs, p = 0.5 at 10 km; Makurhini prints 2.136028e11 and 462171.8 ha (inside)."""
    links = networks.links(tmvs, kind=kind)
    area = tmvs.attribute.to_numpy()
    probability = np.exp(links.distance_m.to_numpy() * np.log(0.5) / 10_000)
    between = area[links.patch_a - 1] * area[links.patch_b - 1] * probability
    total = (area**2).sum() + 2 * between.sum()
    assert total == pytest.approx(pc_numerator, rel=1e-9)
    assert np.sqrt(total) == pytest.approx(equivalent_connectivity, abs=1e-3)


def test_patches_of_the_volcanic_system_have_the_published_area_and_perimeter(tmvs):
    assert tmvs.area_ha.sum() / 100 == pytest.approx(12735.7391, rel=2e-8)
    assert tmvs.geometry.length.sum() / 1000 == pytest.approx(17920.474, rel=1e-6)


def test_centroid_links_within_20_km_are_those_of_the_conefor_file(tmvs, folder):
    text = pd.read_csv(folder / "conefor_ref/tmvs404_links20km.txt.gz", sep=r"\s+", header=None)
    nodes = spatial.read_table(folder / "conefor_ref/tmvs404_nodes.txt")
    graph = spatial.conefor_graph(nodes, text)
    links = networks.links(tmvs, kind="centroid", max_distance_km=20)
    assert links.patch_a.tolist() == graph.links.patch_a.tolist()
    assert links.patch_b.tolist() == graph.links.patch_b.tolist()
    np.testing.assert_allclose(links.distance_m, graph.links.distance_m, atol=5.1e-4)  # the file has millimetres
    np.testing.assert_allclose(tmvs.area_ha, graph.nodes.attribute, atol=5.1e-5)


def test_distances_between_the_protected_areas_of_a_region_are_the_published_ones_to_the_millimetre(folder):
    areas = spatial.read_vectors(f"/vsigzip/{folder}/makurhini/Protected_areas.gpkg.gz")
    region = spatial.read_vectors(f"/vsigzip/{folder}/makurhini/regions.gpkg.gz").geometry.iloc[0]
    inside = areas.geometry[areas.intersects(region)].intersection(region)
    parts = shapely.get_parts(shapely.union_all(inside[inside.area > 0].to_numpy()))
    patches = networks.patches(polygons=gpd.GeoDataFrame(geometry=parts, crs=areas.crs))
    published = pd.read_csv(folder / "conefor_ref/protconn_mex1_nodes.csv")
    published = published[published.type == "Non-Transboundary"].sort_values("area_ha")
    patches = patches.sort_values("area_ha")
    np.testing.assert_allclose(patches.area_ha, published.area_ha, rtol=1e-9)
    links = networks.links(patches.assign(patch=published.id.to_numpy()).sort_values("patch"))
    table = pd.read_csv(folder / "conefor_ref/protconn_mex1_distances.csv.gz").set_index(["id1", "id2"]).edge_m
    expected = table.loc[list(zip(links.patch_a, links.patch_b, strict=True))]
    assert len(links) == 64 * 63 // 2
    np.testing.assert_allclose(links.distance_m, expected, atol=5.1e-4)


def test_geodesic_distances_of_the_same_patches_in_degrees_differ_by_the_scale_of_the_map_only(tmvs):
    """An equal-area map stretches distances by up to 0.4 % here; geodesics do not."""
    on_map = networks.links(tmvs, max_distance_km=10)
    on_ground = networks.links(tmvs.to_crs("EPSG:4326"), max_distance_km=10.1)
    both = on_map.merge(on_ground, on=["patch_a", "patch_b"])
    assert len(both) == len(on_map)
    assert (both.distance_m_y / both.distance_m_x - 1).abs().max() < 0.005
