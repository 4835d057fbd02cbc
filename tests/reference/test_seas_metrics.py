"""Larval networks beside the published example of Marxan Connect, its tutorial on the Great Barrier Reef.

Daigle RM, Metaxas A, Balbar AC, et al. (2020) Operationalizing ecological connectivity in spatial conservation planning
with Marxan Connect. Methods in Ecology and Evolution 11:570-579; repository remi-daigle/MarxanConnect,
docs/tutorial: CF_demographic (PageRank of hexFlow, its feature) and CSD_demographic (plans scored by the asymmetric
connectivity of reefFlow). Both matrices are simulated for the tutorial. Degree, betweenness, eigenvector centrality,
retention and covariance are not published for these two; they are compared with networkx and numpy.
"""

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from linkways import LinkwaysError
from linkways.planning import select
from linkways.seas import connectivity, metrics, spillover
from linkways.seas._metrics_network import betweenness
from linkways.spatial import read_table

# column google_demo_pu of output/pu_connect.csv, planning units 0 to 44 (rows 1 to 45 of the matrix)
PUBLISHED = [
    0.0009177353121084921, 0.0010546339741546598, 0.001110879258303883, 0.0011062754943122729, 0.0010240384095131444,
    0.0008328644885091752, 0.0010946458763376487, 0.0012093892610618349, 0.0013969718589812072, 0.001409833872929397,
    0.0013743623660643905, 0.001028134228253606, 0.0009725558010126843, 0.0012972721470314859, 0.0014285825723531127,
    0.0016308993699720535, 0.0016606300301900579, 0.0016514503543158187, 0.0015500150774358321, 0.0011957821026590066,
    0.0011061654255176618, 0.0012617414965428988, 0.0013529653812495138, 0.0014997959395458558, 0.001673714121374608,
    0.001707476849495731, 0.0017055089708214633, 0.001661922286374639, 0.001320984209285826, 0.0012083129135357295,
    0.0012315535938905871, 0.0012414045838508336, 0.0013032516988563394, 0.0014819755277145957, 0.0016369224718200345,
    0.0016994150179509646, 0.001723301261475616, 0.0017258823568769496, 0.001706554906291642, 0.0015991798055420166,
    0.0012458258063716204, 0.001077422969738803, 0.0012244672928525776, 0.0012889719123900978,
]  # fmt: skip
# the same column, units 595 to 652, the last
PUBLISHED_NORTH = [
    0.0013612294421840347, 0.001709473686857969, 0.0017603007154519954, 0.0017746997788542066, 0.0017776432934611733,
    0.0017770278976431278, 0.0017735684151232122, 0.001765697707528844, 0.0017477607924627047, 0.0016965548540067155,
    0.0014502590676316522, 0.0011610252169996162, 0.0012609322657590094, 0.0016239255792331693, 0.0017330274216585592,
    0.0017541065611973389, 0.0017594384755489816, 0.0017595515233478317, 0.001756711980166906, 0.0017500926693269701,
    0.0017345070108481069, 0.0016867972731599394, 0.0014428406735855588, 0.0011547959724958468, 0.0012084111563230105,
    0.0013061544845789546, 0.001654655270014936, 0.0016980593963225542, 0.0017077110609269074, 0.001708061894349985,
    0.0017058621900564613, 0.0017009049522915599, 0.0016888026174555263, 0.0016479792281329285, 0.0014165204325730543,
    0.0011387046163163078, 0.0010037472233651646, 0.0013417750493073042, 0.0014376123077090217, 0.0014529740214881258,
    0.0014568750025845084, 0.001456346698263138, 0.0014528957757543929, 0.001444139597142631, 0.0014167632544663002,
    0.0012152555528051896, 0.001070245541754623, 0.0008331488864378126, 0.0008972169337523783, 0.0011138208890482735,
    0.0011475553633362365, 0.001157369763989844, 0.0011595732992662545, 0.001158174483435799, 0.0011525331122308419,
    0.0011370684484970786, 0.0010690052654676765, 0.000916979008737982,
]  # fmt: skip
# units 0 to 44, and 595 to 639, of google_demo_pu_discrete_median_to_maximum 1
PUBLISHED_UPPER_HALF = [24, 25, 26, 35, 36, 37, 38]
PUBLISHED_UPPER_HALF_NORTH = [*range(596, 605), *range(609, 617), *range(622, 628)]
# CSD_demographic/output/connect_sum.txt, runs 1, 2, 10 and 16, and the reefs of their connect_best or connect_r*.txt:
# score, cost (1 a reef), and Marxan's asymmetric connectivity of reefFlow: lost from the plan, inside, across, outside
PUBLISHED_PLANS = {
    (1, 26, 47, 61, 62, 124, 185, 186, 187, 247, 276, 277, 279, 304, 319): (
        17.760485, 15, 2.760485, 8.707227, 7.249979, 20.108999,
    ),
    (7, 19, 24, 32, 66, 124, 142, 185, 186, 187, 247, 251, 261, 275, 280, 283, 299): (
        19.213861, 17, 2.213861, 5.061178, 6.019331, 24.985696,
    ),
    (
        6, 7, 14, 21, 25, 39, 53, 66, 68, 86, 92, 95, 111, 126, 129, 146, 168, 175, 185, 187, 188, 193, 214, 255, 261,
        264, 293, 312, 317, 320,
    ): (32.338736, 30, 2.338736, 5.145924, 6.197985, 24.722295),
    (1, 11, 19, 29, 42, 43, 114, 146, 152, 185, 187, 197, 247, 276, 277, 279, 304, 319): (
        20.414838, 18, 2.414838, 10.152543, 8.326874, 17.586787,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "data/planning/gbr_marxanconnect"


@pytest.fixture(scope="module")
def flow(folder):
    return read_table(folder / "hexFlow.csv.gz")


@pytest.fixture(scope="module")
def found(flow):
    return metrics(flow, kind="flow", lost_sites=0)


def test_pagerank_is_the_published_one(found):
    """Marxan Connect stored igraph's values; they agree to rounding in their 16 digits."""
    rank = found.sites.pagerank.to_numpy()
    assert np.abs(rank[: len(PUBLISHED)] - PUBLISHED).max() < 1e-14
    assert np.abs(rank[595:] - PUBLISHED_NORTH).max() < 1e-14
    assert [round(v, 8) for v in rank[:3]] == [0.00091774, 0.00105463, 0.00111088]
    assert rank.sum() == pytest.approx(1, abs=1e-13)


def test_the_feature_of_the_upper_half_is_the_published_one(found):
    units = found.amounts.unit.to_numpy() - 1
    assert units[units < len(PUBLISHED)].tolist() == PUBLISHED_UPPER_HALF
    assert units[(units >= 595) & (units < 640)].tolist() == PUBLISHED_UPPER_HALF_NORTH
    # the unit of the median itself has the feature in their input/puvspr_connect.dat too
    assert 341 in units
    assert len(units) == 327
    assert set(found.amounts.amount) == {1.0}
    assert found.targets.target.tolist() == [0.25]


def test_network_measures_are_those_of_networkx(found, flow):
    values = flow.iloc[:, 1:].to_numpy()
    np.fill_diagonal(values, 0)
    graph = nx.from_numpy_array(values, create_using=nx.DiGraph)
    assert found.sites.in_degree.tolist() == [d for _, d in graph.in_degree()]
    assert found.sites.out_degree.tolist() == [d for _, d in graph.out_degree()]
    assert found.sites.in_strength.to_numpy() == pytest.approx([d for _, d in graph.in_degree(weight="weight")])
    groups = [set(np.flatnonzero(found.sites.cluster == k)) for k in found.clusters.cluster]
    assert found.modularity == pytest.approx(nx.community.modularity(graph, groups))


def test_betweenness_is_that_of_networkx(flow):
    """Over the paths from every fortieth unit, as networkx needs long for all."""
    values = flow.iloc[:, 1:].to_numpy()
    np.fill_diagonal(values, 0)
    sources = np.arange(0, 653, 40)
    links = csr_array(values / values.sum(axis=1).max())
    graph = nx.from_scipy_sparse_array(links, create_using=nx.DiGraph)
    for _, _, edge in graph.edges(data=True):
        edge["length"] = -np.log(edge["weight"])
    for by_probability, weight in ((False, None), (True, "length")):
        expected = nx.betweenness_centrality_subset(graph, sources.tolist(), list(graph), weight=weight)
        told = betweenness(links, by_probability=by_probability, sources=sources) * len(sources) / 653
        assert told == pytest.approx(list(expected.values()), rel=1e-9, abs=1e-9)


def test_eigenvector_centrality_is_the_left_eigenvector_of_the_flow(found, flow):
    values, expected = flow.iloc[:, 1:].to_numpy(), np.ones(653)
    for _ in range(3000):
        expected = expected @ values
        expected /= expected.max()
    assert found.sites.eigenvector.to_numpy() == pytest.approx(expected, abs=1e-9)


def test_shares_of_settlers_alone_grow_by_one(found):
    """Without production rows are scaled to sum to 1, and such a matrix has the rate 1."""
    assert found.lambda_all == pytest.approx(1, abs=1e-9)
    assert found.sites.contribution.sum() == pytest.approx(1)


def test_flow_and_migration_sum_as_defined(folder, flow):
    units = gpd.read_file(folder / "hex_planning_units.shp")
    units["site"] = units["FID"].astype(int) + 1
    values = flow.iloc[:, 1:].to_numpy()
    result = connectivity(flow, units[["site", "geometry"]], kind="flow")
    assert result.pairs.flow.sum() == pytest.approx(values.sum())
    assert result.pairs.groupby("sink").migration.sum().to_numpy() == pytest.approx(np.ones(653))
    assert result.pairs.groupby("source").probability.sum().to_numpy() == pytest.approx(np.ones(653))
    own = np.diag(values)
    assert result.sites.self_recruitment.to_numpy() == pytest.approx(own / values.sum(axis=0))
    assert result.sites.relative_local_retention.to_numpy() == pytest.approx(own / values.sum(axis=1))
    assert result.sites.inflow.to_numpy() == pytest.approx(values.sum(axis=0) - own)


def test_the_declared_probabilities_of_the_reefs_are_none(folder):
    """reefFlow is declared "Probability", and 8 of its rows sum to more than 1."""
    reefs = gpd.read_file(folder / "reefs.zip")
    reefs["site"] = reefs["pu_id"]
    table, sites = read_table(folder / "reefFlow.csv.gz"), reefs[["site", "geometry"]]
    with pytest.raises(LinkwaysError, match=r"8 rows of the matrix sum to more than 1.*kind flow"):
        connectivity(table, sites, kind="probability")
    values = table.iloc[:, 1:].to_numpy()
    scaled = connectivity(table, sites, kind="probability", excess="largest")
    assert scaled.pairs.probability.sum() == pytest.approx(values.sum() / values.sum(axis=1).max())
    assert scaled.sites.settled_share.max() == pytest.approx(1)


@pytest.fixture(scope="module")
def reefs(folder):
    return read_table(folder / "reefFlow.csv.gz")


@pytest.fixture(scope="module")
def reef_links(reefs):
    return metrics(reefs, kind="flow", lost_sites=0, betweenness_sources=1).connectivity


def test_strengths_add_up_to_the_published_connectivity(reef_links):
    """Connectivity_Total of Marxan, which leaves a reef's own larvae out too."""
    assert reef_links.strength.sum() == pytest.approx(36.066204, abs=5e-7)


@pytest.mark.parametrize("chosen", PUBLISHED_PLANS, ids=len)
def test_the_asymmetric_penalty_of_a_plan_is_marxans_published_score(reef_links, chosen):
    score, cost, _, inside, _, _ = PUBLISHED_PLANS[chosen]
    unit = np.arange(1, 322)
    selected = np.isin(unit, chosen)
    units = pd.DataFrame({"unit": unit, "cost": 1.0, "locked_in": selected, "locked_out": ~selected})
    amounts = pd.DataFrame({"unit": unit, "feature": "reef", "amount": 1.0})
    targets = pd.DataFrame({"feature": ["reef"], "target": [1.0], "type": "absolute"})
    plan = select(
        units, amounts, targets, connectivity=reef_links, connectivity_penalty=1.0, asymmetric=True, time_limit_s=20
    )
    assert plan.cost == cost
    assert plan.objective == pytest.approx(score, abs=1e-6)
    assert plan.connectivity == pytest.approx(inside, abs=1e-6)


@pytest.mark.parametrize("chosen", PUBLISHED_PLANS, ids=len)
def test_larvae_that_leave_a_plan_are_marxans_published_connectivity(reefs, chosen):
    """Without uplift, spillover to the other reefs is what Marxan counts as lost, and no-take reefs keep the inside."""
    _, _, lost, inside, across, outside = PUBLISHED_PLANS[chosen]
    sites = pd.DataFrame({"site": np.arange(1, 322)})
    sites["selected"] = sites.site.isin(chosen).astype(int)
    found = spillover(reefs, sites, kind="flow", uplift=1)
    plan = found.scenarios.set_index("scenario").loc["plan"]
    assert plan.no_take_to_fished == pytest.approx(lost, abs=1e-6)
    assert plan.no_take_to_other_no_take == pytest.approx(inside, abs=1e-6)
    assert plan.no_take_to_fished + plan.fished_to_no_take == pytest.approx(across, abs=1e-6)
    # fished reefs exchange what Marxan counts outside, and each keeps its own larvae beside
    own = np.diag(reefs.iloc[:, 1:].to_numpy())[sites.selected == 0].sum()
    assert plan.fished_to_fished == pytest.approx(outside + own, abs=1e-6)


def test_a_plan_meets_the_targets_of_bioregions_and_of_the_published_feature(folder, found):
    """The tutorial's problem: a fifth of each bioregion and a quarter of the central units at least cost."""
    spec, unit, held = (pd.read_csv(folder / "input" / f) for f in ("spec.dat", "pu.dat", "puvspr.dat"))
    names = dict(zip(spec["id"], spec["name"], strict=True))
    units = pd.DataFrame({"unit": unit["id"] + 1, "cost": unit["cost"].astype(float)})
    regions = pd.DataFrame({"unit": held["pu"] + 1, "feature": held["species"].map(names), "amount": held["amount"]})
    targets = pd.DataFrame({"feature": spec["name"], "target": spec["prop"], "type": "relative"})
    plan = select(
        units,
        pd.concat([regions, found.amounts]),
        pd.concat([targets, found.targets]),
        gap_percent=1,
        time_limit_s=20,
    )
    assert plan.features.met.all()
    assert len(plan.features) == 21
    central = plan.plan.unit[plan.plan.selected == 1].isin(found.amounts.unit).sum()
    assert central >= 0.25 * 327
