"""Indices and importances beside Conefor 2.7.3, Makurhini, Graphab, lconnect, FRAGSTATS and analytic values.

The expected values are those that the peers printed or publish on the same inputs; see the data's PROVENANCE.md. Where
the notes on a peer say that its printed value is wrong, the expected value was computed by an independent library.
"""

import gzip
import zipfile

import numpy as np
import pandas as pd
import pytest

from linkways import networks

HECTARE = 1e4


@pytest.fixture(scope="module")
def data(shared):
    return shared / "data" / "networks"


def read(folder, name):
    import geopandas as gpd

    return gpd.read_file(f"/vsigzip/{folder / (name + '.gpkg.gz')}")


def complete(xy):
    """All pairs with their Euclidean distance."""
    from scipy.spatial.distance import pdist

    a, b = np.triu_indices(len(xy), 1)
    return pd.DataFrame({"patch_a": a, "patch_b": b, "distance_m": pdist(xy)})


def centroids(geometry):
    return np.column_stack((geometry.centroid.x, geometry.centroid.y))


def inside_centroids(geometry):
    """Makurhini's anchor: centroid of the largest part, or a point on its surface where that lies outside."""
    points = []
    for polygon in geometry:
        largest = max(getattr(polygon, "geoms", [polygon]), key=lambda part: part.area)
        point = largest.centroid
        points.append((point if largest.intersects(point) else largest.point_on_surface()).coords[0])
    return np.array(points)


def with_areas(layer):
    return pd.DataFrame({"patch": np.arange(len(layer)), "area_ha": layer.geometry.area.to_numpy() / HECTARE})


def values(found):
    return found.indices.set_index("index").value


@pytest.fixture(scope="module")
def tmvs(data):
    """404 patches and the 3,467 links up to 20 km, as given to Conefor."""
    folder = data / "conefor_ref"
    patches = pd.read_csv(folder / "tmvs404_nodes.txt", sep="\t", names=["patch", "area_ha"])
    links = pd.read_csv(
        folder / "tmvs404_links20km.txt.gz", sep="\t", names=["patch_a", "patch_b", "distance_m"], compression="gzip"
    )
    return patches, links


@pytest.fixture(scope="module")
def tmvs_importance(tmvs):
    return networks.importance(*tmvs, distance=10_000)


CONEFOR = {
    "NL": 1048, "NC": 31, "CCP": 0.20922, "LCP": 0.0445486, "IICnum": 1.99831e11, "EC(IIC)": 447025, "IIC": 0.0262328,
    "IICintra": 91.9934, "IICdirect": 0.542295, "IICstep": 7.46426, "F": 3049.26, "AWF": 7.34118e9, "EC(PC)": 454321,
    "PC": 0.0270962, "PCintra": 89.0624, "PCdirect": 3.55664, "PCstep": 7.38094,
}  # fmt: skip


def test_overall_indices_are_those_of_conefor_to_its_six_digits(tmvs):
    found = values(networks.indices(*tmvs, distance=10_000, landscape_area=2_760_000))
    for index, expected in CONEFOR.items():
        assert found[index] == pytest.approx(expected, rel=1e-5), index


def test_pc_has_the_digits_that_conefor_does_not_print(tmvs):
    found = values(networks.indices(*tmvs, distance=10_000))
    assert found["PCnum"] == pytest.approx(2.064077682e11, rel=1e-9)
    assert found["EC(PC)"] == pytest.approx(454321.217, abs=1e-3)


def test_the_harary_index_is_that_of_igraph(tmvs):
    """Conefor prints 4306.28; an independent count with igraph gives the value here."""
    assert values(networks.indices(*tmvs, distance=10_000))["H"] == pytest.approx(4305.61066, abs=1e-5)


def test_every_patch_has_the_importance_that_conefor_gives_it(data, tmvs_importance):
    path = data / "conefor_ref" / "tmvs404_conefor_node_importances.txt.gz"
    conefor = pd.read_csv(path, sep="\t").set_index("Node")
    ours = tmvs_importance.patches.set_index("patch").loc[conefor.index]
    names = {
        "dPC": "dPC", "dPCintra": "dPC_intra", "dPCflux": "dPC_flux",
        "dIIC": "dIIC", "dIICintra": "dIIC_intra", "dIICflux": "dIIC_flux", "BC": "BC",
    }  # fmt: skip
    for theirs, own in names.items():
        np.testing.assert_allclose(ours[own], conefor[theirs], rtol=1e-5, atol=1e-5, err_msg=own)
    # a difference of printed numbers: noise of the sixth digit of dPC
    np.testing.assert_allclose(ours["dPC_connector"], conefor["dPCconnector"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours["dIIC_connector"], conefor["dIICconnector"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours["BC_IIC"], conefor["dBC_IIC"], rtol=1e-5, atol=1e-5)


def test_importances_sum_to_those_of_conefor(tmvs_importance):
    sums = tmvs_importance.patches[["dPC", "dPC_flux", "dPC_connector"]].sum()
    np.testing.assert_allclose(sums, [112.257860, 21.875171, 1.320274], rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def habitat(data):
    return read(data / "makurhini", "habitat_nodes")


def test_the_complete_network_of_centroids_has_the_published_pc(habitat):
    found = values(networks.indices(with_areas(habitat), complete(centroids(habitat.geometry)), distance=10_000))
    assert found["PCnum"] == pytest.approx(211455918414.03, rel=1e-9)
    assert found["EC(PC)"] == pytest.approx(459843.363, rel=1e-9)


def test_the_complete_network_of_inside_centroids_has_the_pc_and_the_true_iic(data, habitat):
    """PC as Makurhini prints it; its IICnum, 1.434e12, is seven times that of igraph on the same inputs."""
    links = complete(inside_centroids(habitat.geometry))
    landscape = read(data / "makurhini", "TMVS").geometry.area.sum() / HECTARE
    found = values(networks.indices(with_areas(habitat), links, distance=10_000, landscape_area=landscape))
    assert found["PC"] == pytest.approx(0.02801281, abs=5e-9)
    assert found["PCnum"] == pytest.approx(213602815559, rel=1e-9)
    assert found["EC(PC)"] == pytest.approx(462171.847, rel=1e-8)
    assert found["IICnum"] == pytest.approx(204199036717, rel=1e-9)


def test_equivalent_connected_area_over_time_is_that_of_the_monarch_reserve(data):
    """Table of Makurhini's MK_dECA: old-growth patches of four dates, p 0.05 at 10 km."""
    layers = [read(data / "makurhini", f"forest_patches_{year}") for year in (1993, 2003, 2007, 2011)]
    landscape = read(data / "makurhini", "study_area").geometry.area.sum() / HECTARE
    patches = [with_areas(layer) for layer in layers]
    links = [complete(inside_centroids(layer.geometry)) for layer in layers]
    found = networks.change(
        patches,
        links,
        dates=["1993", "2003", "2007", "2011"],
        distance=10_000,
        probability=0.05,
        landscape_area=landscape,
    ).dates
    np.testing.assert_allclose(found["ECA"], [50823.83, 53727.93, 39049.32, 40469.85], rtol=0, atol=0.01)
    np.testing.assert_allclose(found["area"], [91438.11, 93238.92, 83517.49, 83859.71], rtol=0, atol=0.01)
    np.testing.assert_allclose(found["ECA_share"], [18.206, 19.246, 13.988, 14.497], rtol=0, atol=6e-4)


def test_mesh_of_the_volcanic_system_is_the_published_one(data, habitat):
    landscape = read(data / "makurhini", "TMVS").geometry.area.sum() / HECTARE
    none = pd.DataFrame({"patch_a": [], "patch_b": [], "distance_m": []})
    found = values(networks.indices(with_areas(habitat), none, distance=1, landscape_area=landscape))
    assert found["MESH_patches"] / 100 == pytest.approx(1443.4320, abs=1e-4)
    assert found["MESH"] / 100 == pytest.approx(665.7257, abs=1e-4)


def test_removing_a_link_costs_what_conefor_says(data):
    """The first 50 forest nodes of Spain with all effective distances (Goicolea 2024)."""
    nodes = pd.read_csv(data / "makurhini" / "habitat_nodes_spain.csv").iloc[:50]
    with gzip.open(data / "makurhini" / "dist_original.csv.gz") as file:
        matrix = pd.read_csv(file, index_col=0).to_numpy()[:50, :50]
    a, b = np.triu_indices(50, 1)
    links = pd.DataFrame(
        {"patch_a": nodes["ID"].to_numpy()[a], "patch_b": nodes["ID"].to_numpy()[b], "cost": matrix[a, b]}
    )
    patches = pd.DataFrame({"patch": nodes["ID"], "area_ha": nodes["attribute"]})
    found = networks.importance(patches, links, weight="cost", distance=980966.64, measures=["PC"]).links
    theirs = pd.read_csv(data / "conefor_ref" / "spain50_conefor_link_removal.txt.gz", sep="\t")
    ours = found.set_index(["patch_a", "patch_b"])["dPC"]
    pairs = [(min(x, y), max(x, y)) for x, y in zip(theirs["Node1"], theirs["Node2"], strict=True)]
    assert len(pairs) == 1225
    large = (theirs["dPC"] > 1e-7).to_numpy()
    assert large.sum() > 20
    np.testing.assert_allclose(ours.loc[pairs].to_numpy()[large], theirs["dPC"][large], rtol=1e-5)
    np.testing.assert_allclose(ours.loc[pairs], theirs["dPC"], rtol=0, atol=1e-11)


def test_indices_of_lconnect_hold_with_its_isolated_patches(data, tmp_path):
    """Habitat dissolved to 36 patches, links under 500 m; its own IIC leaves out patches without links."""
    import geopandas as gpd
    import shapely

    with zipfile.ZipFile(data / "lconnect" / "vec_projected.zip") as archive:
        archive.extractall(tmp_path)
    cover = gpd.read_file(next(tmp_path.rglob("*.shp")))
    habitat = cover[cover["RECL1SS"].astype(str) == "1"]
    parts = list(shapely.get_parts(shapely.union_all(habitat.geometry.to_numpy())))
    assert len(parts) == 36
    a, b = np.triu_indices(36, 1)
    apart = shapely.distance(np.array(parts)[a], np.array(parts)[b])
    links = pd.DataFrame({"patch_a": a, "patch_b": b, "distance_m": apart})
    patches = pd.DataFrame({"patch": np.arange(36), "area_m2": shapely.area(parts)})
    found = values(
        networks.indices(patches, links, attribute="area_m2", distance=250, threshold=500, landscape_area=173006421.72)
    )
    expected = {
        "NC": 16, "NL": 24, "SLC": 18710123.978, "MSC": 2252754.714, "CCP": 0.325557980, "LCP": 0.01413096,
        "CPL": 1.811320755, "ECS": 11734436.396, "IIC": 0.00970875070,
    }  # fmt: skip
    for index, value in expected.items():
        assert found[index] == pytest.approx(value, rel=1e-8 if index != "LCP" else 4e-7), index
    # area weighted flux in lconnect sums over all ordered pairs, linked or not, which the whole matrix gives here
    assert found["AWF"] == pytest.approx(4.39006189e13, rel=1e-8)


def test_indices_of_graphab_hold(data):
    """Graphab 2.0: Euclidean links cut at 1,000 m, no distance inside patches."""
    table = pd.read_csv(data / "graphab" / "patches.csv")
    patches = pd.DataFrame({"patch": table["Id"], "area_m2": table["Area"]})
    every = pd.read_csv(data / "graphab" / "comp_euclid_links.csv.gz")
    links = every.rename(columns={"ID1": "patch_a", "ID2": "patch_b", "Dist": "distance_m"})
    links = links[links["distance_m"] <= 1000]
    assert len(links) == 378
    assert links["distance_m"].sum() == pytest.approx(166109.80953905, rel=1e-12)
    assert patches["area_m2"].sum() == pytest.approx(7931963.0452, abs=1e-4)
    found = values(
        networks.indices(
            patches,
            links,
            attribute="area_m2",
            distance=1000,
            probability=0.05,
            threshold=1001,
            landscape_area=195981593.78423,
        )
    )
    expected = {
        "NC": 19, "PC": 9.581715576e-5, "IIC": 1.6148035260e-4, "CCP": 0.3245421247, "ECS": 2574256.1397,
        "MSC": 417471.7392, "SLC": 3735409.1775, "H": 993.40600788,
    }  # fmt: skip
    for index, value in expected.items():
        assert found[index] == pytest.approx(value, rel=1e-9), index


def test_fragmentation_of_a_raster_is_that_of_fragstats(data):
    import rasterio
    from scipy.ndimage import label

    with rasterio.open(data / "landscapemetrics" / "landscape_30x30.tif") as source:
        classes = source.read(1)
    theirs = pd.read_csv(
        data / "landscapemetrics" / "fragstats_landscape.class.csv",
        skipinitialspace=True,
        sep=r"\s*,\s*",
        engine="python",
    ).set_index("TYPE")
    none = pd.DataFrame({"patch_a": [], "patch_b": [], "distance_m": []})
    whole = []
    for number in np.unique(classes):
        patch, count = label(classes == number, structure=np.ones((3, 3)))
        area = np.bincount(patch.ravel())[1:] / HECTARE
        whole.append(area)
        patches = pd.DataFrame({"patch": np.arange(count), "area_ha": area})
        found = values(networks.indices(patches, none, distance=1, landscape_area=0.09))
        row = theirs.loc[f"cls_{number}"]
        assert count == row["NP"]
        for index in ("MESH", "DIVISION", "SPLIT"):
            assert found[index] == pytest.approx(row[index], abs=5e-5), (number, index)
    patches = pd.DataFrame({"area_ha": np.concatenate(whole)}).rename_axis("patch").reset_index()
    found = values(networks.indices(patches, none, distance=1, landscape_area=0.09))
    expected = {"MESH": 0.0094, "SPLIT": 9.5926, "DIVISION": 0.8958}
    assert {k: pytest.approx(v, abs=5e-5) for k, v in expected.items()} == found[list(expected)].to_dict()


THREE = (
    pd.DataFrame({"patch": [1, 2, 3], "area_ha": [2.0, 5.0, 1.0]}),
    pd.DataFrame({"patch_a": [1, 1, 2], "patch_b": [2, 3, 3], "distance_m": [1.0, 3.0, 2.0]}),
)


def test_metapopulation_capacity_of_three_patches_is_the_analytic_one():
    """Eigenvalues of the 3 x 3 matrix, alpha = 0.5."""
    given = {"distance": 2.0, "probability": float(np.exp(-1))}
    found = networks.metapopulation_capacity(*THREE, **given)
    assert found.capacity == pytest.approx(6.473686052, abs=1e-9)
    np.testing.assert_allclose(found.patches["share"], [0.451351, 0.488657, 0.059992], atol=5e-7)
    own = networks.metapopulation_capacity(*THREE, **given, own_colonists=True)
    assert own.capacity == pytest.approx(26.764888396, abs=1e-9)


def test_metapopulation_capacity_with_an_exponent_is_that_of_metacapa():
    """Example of metacapa::meta_capacity: distances 2, 4, 3, areas 1, 1.5, 0.5, alpha 1, ex 0.5, self-colonisation."""
    patches = pd.DataFrame({"patch": [1, 2, 3], "area_ha": [1.0, 1.5, 0.5]})
    links = pd.DataFrame({"patch_a": [1, 1, 2], "patch_b": [2, 3, 3], "distance_m": [2.0, 4.0, 3.0]})
    found = networks.metapopulation_capacity(
        patches, links, distance=1.0, probability=float(np.exp(-1)), exponent=0.5, own_colonists=True
    )
    assert found.capacity == pytest.approx(1.876679, abs=5e-7)
