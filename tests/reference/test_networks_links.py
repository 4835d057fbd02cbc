"""Patches and links beside Graphab, grainscape, Conefor's inputs and Makurhini.

Data: ../shared/data/networks, see PROVENANCE.md there for sources and licences.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
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


def test_the_tiny_landscape_of_grainscape_has_its_patches_and_as_many_links(folder):
    """43 patches, 81 links, sum of weights 6697 by grainscape.

    With whole-number costs many cells are equally cheap to reach from two patches. grainscape gives them to the one
    whose front comes first, here they belong to the patch of the lower number; the sum of weights, 6701, tells it.
    """
    classes = spatial.read_raster(f"/vsigzip/{folder}/grainscape/tiny.asc.gz", crs="EPSG:3035")
    resistance = classes.copy(data=np.array([np.nan, 1, 5, 10, 12])[classes.values.astype(int)])
    patches = networks.patches(land_cover=classes, classes=[1])
    links = minimum_planar_graph(patches, resistance)
    assert len(patches) == 43
    assert len(links) == 81
    assert links.cost.sum() == pytest.approx(6697, rel=1e-3)


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
