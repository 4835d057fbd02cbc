"""The study of the reef: larvae counted, plans held against their rules anew, and the same methods on real hexagons."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import yaml
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from linkways import planning, seas
from linkways.errors import LinkwaysError
from linkways.solutions import solution_files
from linkways.spatial import builtin_sources
from linkways.studies import load_study, run_study

ID = "great-barrier-reef"
PLANS = ("representation", "rules", "connected")
ALBERS = "EPSG:3577"


@pytest.fixture(scope="module")
def reef(tmp_path_factory):
    try:
        for source in builtin_sources():
            source.path()
    except LinkwaysError as error:
        pytest.skip(str(error))
    return run_study(load_study(ID), tmp_path_factory.mktemp("reef") / "run")


def layer(name):
    return gpd.read_file(solution_files()[ID].parent / f"{name}.geojson")


def chosen(reef, plan):
    table = reef.read(f"{plan}.plan")
    return set(table["unit"][table["selected"] == 1])


@pytest.fixture(scope="module")
def flow(reef):
    """Larvae from site to site, counted anew from the settlers of every date."""
    sites = layer("habitat").set_index("site")
    settled = reef.read("larvae.settlement")
    released = settled.drop_duplicates(["source", "released_on"]).groupby("source")["released"].sum()
    number = settled.dropna(subset="sink").pivot_table(
        index="source", columns="sink", values="settled", aggfunc="sum", fill_value=0
    )
    number = number.reindex(index=sites.index, columns=sites.index, fill_value=0)
    return number.div(released, axis=0).mul(sites["production"], axis=0)


@pytest.mark.slow
def test_every_larva_settles_dies_or_leaves(reef):
    fates = reef.read("larvae.fates")
    ends = fates[["settled", "dead", "lost", "beached", "drifting"]].sum(axis=1)
    assert (fates["released"] == ends).all()
    assert fates["released"].sum() == len(layer("habitat")) * 150 * 3
    settled = reef.read("larvae.settlement").groupby("source")["settled"].sum()
    assert settled.to_dict() == fates.set_index("source")["settled"].to_dict()


@pytest.mark.slow
def test_larvae_are_released_in_the_nights_after_the_full_moons_of_october_to_december(reef):
    dates = pd.to_datetime(reef.read("larvae.settlement")["released_on"]).drop_duplicates().sort_values()
    assert dates.dt.month.tolist() == [10, 11, 12]
    # a full moon of January 2000 and the mean month after it are right to within 14 hours
    months = (dates - pd.Timestamp("2000-01-21T04:40")).dt.total_seconds() / 86400 / 29.530588853
    nights = (months % 1) * 29.530588853
    assert nights.between(1.6, 5.4).all()


@pytest.mark.slow
def test_rows_of_the_matrix_are_larvae_that_settle_and_columns_of_migration_sum_to_one(reef, flow):
    pairs = reef.read("exchange.pairs")
    told = pairs.pivot_table(index="source", columns="sink", values="flow", fill_value=0)
    told = told.reindex(index=flow.index, columns=flow.columns, fill_value=0)
    assert told.to_numpy() == pytest.approx(flow.to_numpy(), abs=1e-9)
    production = layer("habitat").set_index("site")["production"]
    assert (pairs.groupby("source")["probability"].sum() <= 1).all()
    shares = pairs.groupby("source")["probability"].sum().reindex(flow.index, fill_value=0)
    assert shares.to_numpy() == pytest.approx((flow.sum(axis=1) / production).to_numpy())
    assert pairs.groupby("sink")["migration"].sum().to_numpy() == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
def test_a_fifth_of_every_bioregion_lies_in_the_plan(reef, plan):
    units, regions = layer("units").to_crs(ALBERS), layer("bioregions").to_crs(ALBERS)
    closed = shapely.union_all(units.geometry[units["unit"].isin(chosen(reef, plan))].to_numpy())
    share = shapely.area(shapely.intersection(regions.geometry.to_numpy(), closed)) / regions.area
    assert len(regions) == 70
    # the plan was measured on another equal-area plane
    assert share.min() >= 0.2 - 1e-4


@pytest.mark.slow
def test_reefs_that_the_plan_by_principles_touches_are_whole_and_others_are_cut(reef):
    units, reefs = layer("units").to_crs(ALBERS), layer("reefs").to_crs(ALBERS)
    cut = {}
    for plan in PLANS:
        closed = shapely.union_all(units.geometry[units["unit"].isin(chosen(reef, plan))].to_numpy())
        share = shapely.area(shapely.intersection(reefs.geometry.to_numpy(), closed)) / reefs.area
        cut[plan] = int(((share > 0.001) & (share < 0.99)).sum())
    assert cut["representation"] > 20
    assert cut["rules"] == cut["connected"] == 0


@pytest.mark.slow
def test_the_plan_with_connectivity_exchanges_more_larvae_for_little_more_cost(reef, flow):
    inside, cost = {}, layer("units").set_index("unit")["cost"]
    for plan in PLANS:
        units = chosen(reef, plan)
        sites = [site for site in flow.index if site in units]
        matrix = flow.loc[sites, sites].to_numpy()
        inside[plan] = matrix.sum() - np.trace(matrix)
        assert reef.read(f"{plan}.connectivity") == pytest.approx(inside[plan])
        assert reef.read(f"{plan}.cost") == pytest.approx(cost[list(units)].sum())
    assert inside["connected"] > 1.2 * inside["rules"] > 1.2 * inside["representation"]
    assert reef.read("connected.cost") < 1.15 * reef.read("rules.cost")


@pytest.mark.slow
def test_no_take_reefs_hold_themselves_with_principles_and_not_by_representation_alone(reef, flow):
    production = layer("habitat").set_index("site")["production"]
    settling = flow.div(production, axis=0)
    rate = {}
    for plan in PLANS:
        units = chosen(reef, plan)
        sites = [site for site in flow.index if site in units]
        rate[plan] = np.abs(np.linalg.eigvals(10 * settling.loc[sites, sites].to_numpy())).max()
        assert reef.read(f"growth_{plan}.lambda_reserves") == pytest.approx(rate[plan], rel=1e-6)
    assert rate["representation"] < 1 <= min(rate["rules"], rate["connected"])
    assert max(rate.values()) <= reef.read("network.lambda_all") + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["representation", "connected"])
def test_grounds_that_stay_open_gain_what_closed_reefs_spawn_more(reef, flow, plan):
    closed = flow.index.isin(chosen(reef, plan)).astype(float)
    more, before = closed @ flow.to_numpy() @ (1 - closed), flow.to_numpy().sum(axis=0) @ (1 - closed)
    assert reef.read(f"spill_{plan}.fishing_gain_percent") == pytest.approx(100 * more / before)


@pytest.mark.slow
def test_the_audit_fails_the_plan_with_connectivity_for_replicates_alone_and_counts_them(reef):
    audits = {plan: reef.read(f"audit_{plan}.audit").set_index("title") for plan in PLANS}
    failed = {plan: set(audit.index[audit["result"] == "fail"]) for plan, audit in audits.items()}
    assert failed["connected"] == failed["rules"] == {"Replicates"}
    assert {"Whole reefs", "Special and unique places", "Communities and environments"} < failed["representation"]
    units, regions = layer("units").to_crs(ALBERS), layer("bioregions").to_crs(ALBERS)
    closed = units[units["unit"].isin(chosen(reef, "connected"))].geometry.to_numpy()
    # hexagons that share a side, not a corner
    a, b = shapely.STRtree(closed).query(closed, predicate="dwithin", distance=30)
    side = shapely.length(shapely.intersection(shapely.buffer(closed[a], 30), shapely.boundary(closed[b]))) > 1000
    count, label = connected_components(
        csr_array((np.ones(side.sum()), (a[side], b[side])), (len(closed), len(closed)))
    )
    areas = [shapely.union_all(closed[label == k]) for k in range(count)]
    assert count == len(reef.read("audit_connected.areas"))
    touched = [(shapely.area(shapely.intersection(areas, shape)) > 0).sum() for shape in regions.geometry]
    assert abs(sum(n < 3 for n in touched) - audits["connected"].loc["Replicates", "failed"]) <= 1


@pytest.mark.slow
def test_the_study_gives_what_its_record_states(reef):
    record = yaml.safe_load(solution_files()[ID].read_text(encoding="utf-8"))
    for stated in record["reproduces"]:
        found = reef.read(stated["computed"])
        assert found == pytest.approx(stated["value"], rel=stated["tolerance_percent"] / 100, abs=1e-9), stated


@pytest.mark.slow
def test_everything_but_the_coast_is_called_simulated(reef):
    record = json.loads((reef.report.parent / "run.json").read_text())
    made_up = {one["name"] for one in record["inputs"] if one["simulated"]}
    assert made_up == {"units", "reefs", "habitat", "bioregions", "communities", "places", "harbours"}
    for name in made_up:
        assert layer(name)["simulated"].all()
    page = reef.report.read_text(encoding="utf-8")
    assert "Simulated data" in page
    assert "Natural Earth" in page


# --- real hexagons, bioregions and reefs ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(shared):
    """The 653 hexagons of Marxan Connect's tutorial, with real bioregions and reefs; flows are its simulation."""
    folder = shared / "data" / "planning" / "gbr_marxanconnect"
    names = pd.read_csv(folder / "input" / "spec.dat").set_index("id")["name"]
    published = pd.read_csv(folder / "input" / "puvspr.dat")
    amounts = pd.DataFrame(
        {"unit": published["pu"], "feature": published["species"].map(names), "amount": published["amount"]}
    )
    units = gpd.read_file(folder / "hex_planning_units.shp")
    units = gpd.GeoDataFrame({"unit": units["FID"].astype(int), "cost": 1.0}, geometry=units.geometry, crs=units.crs)
    mapped = gpd.read_file(f"zip://{folder}/bioregion_short.zip")
    mapped = mapped.assign(bioregion=[f"BIORE_{k}" for k in mapped["BIOREGI"]])
    mapped = mapped[mapped["bioregion"].isin(names)]
    regions = gpd.GeoDataFrame(
        {"bioregion": mapped["bioregion"], "kind": ["reef" if k == "R" else "other" for k in mapped["shrt_lb"]]},
        geometry=mapped.geometry.make_valid(),
        crs=mapped.crs,
    )
    reefs = gpd.read_file(f"zip://{folder}/reefs.zip")
    reefs = gpd.GeoDataFrame({"name": [f"reef {k}" for k in range(len(reefs))]}, geometry=reefs.geometry, crs=units.crs)
    flow = pd.read_csv(folder / "hexFlow.csv.gz", index_col=0)
    flow.index = flow.columns = units["unit"].to_list()
    return {"units": units, "amounts": amounts, "regions": regions, "reefs": reefs, "flow": flow, "names": list(names)}


def test_amounts_of_real_bioregions_are_those_published_for_the_hexagons(real):
    found = planning.principles(real["units"], real["regions"]).amounts
    both = real["amounts"].merge(found, on=["unit", "feature"], suffixes=("_m2", "_km2"))
    published = real["amounts"]["amount"].sum()
    assert both["amount_m2"].sum() == pytest.approx(published, rel=1e-6)
    assert both["amount_km2"].sum() * 1e6 == pytest.approx(published, rel=1e-3)
    assert (both["amount_km2"] * 1e6 / both["amount_m2"]).median() == pytest.approx(1, abs=1e-4)


def least_cost(units, amounts, targets):
    """The least number of units that hold the targets, by a program written down here."""
    features = targets.set_index("feature")["target"]
    row, column = features.index.get_indexer(amounts["feature"]), pd.Index(units).get_indexer(amounts["unit"])
    total = amounts.groupby("feature")["amount"].sum().reindex(features.index).to_numpy()
    held = coo_array((amounts["amount"] / total[row], (row, column)), (len(features), len(units)))
    found = milp(
        np.ones(len(units)),
        constraints=LinearConstraint(held.tocsr(), features.to_numpy() * (1 - 1e-9), np.inf),
        integrality=np.ones(len(units)),
        bounds=Bounds(0, 1),
    )
    return found.fun


@pytest.mark.slow
def test_real_hexagons_hold_a_fifth_of_each_bioregion_and_what_is_central_feeds_itself_more(real):
    """PageRank of Marxan Connect's tutorial (0.00091774, 0.00105463, 0.00111088), its upper half as a feature."""
    units = real["units"].drop(columns="geometry")
    found = seas.metrics(real["flow"], kind="flow", features=["pagerank"], betweenness_sources=1, lost_sites=0)
    assert found.sites["pagerank"][:3].tolist() == pytest.approx([0.00091774, 0.00105463, 0.00111088], rel=1e-4)
    shares = pd.DataFrame({"feature": real["names"], "target": 0.2, "type": "relative"})
    amounts = pd.concat([real["amounts"], found.amounts], ignore_index=True)
    targets = pd.concat([shares, found.targets], ignore_index=True)
    alone = planning.select(units, real["amounts"], shares, gap_percent=3)
    central = planning.select(units, amounts, targets)
    assert central.summary.status[0] == "optimal"
    assert central.cost == pytest.approx(least_cost(units["unit"], amounts, targets))
    assert alone.bound <= alone.cost <= central.cost
    strength = {}
    for name, plan in (("alone", alone), ("central", central)):
        x = plan.plan["selected"].to_numpy()
        held = real["amounts"].assign(amount=real["amounts"]["amount"] * x[real["amounts"]["unit"]])
        share = held.groupby("feature")["amount"].sum() / real["amounts"].groupby("feature")["amount"].sum()
        assert share.min() >= 0.2 * (1 - 1e-6)
        # for each selected unit, as the second plan has more of them
        strength[name] = x @ real["flow"].to_numpy() @ x / x.sum()
    assert strength["central"] > strength["alone"]


def test_principles_asked_of_real_reefs_are_kept_by_the_plan_made_from_them(real):
    # what lies outside the hexagons no plan can hold
    regions = gpd.clip(real["regions"].to_crs(real["units"].crs), shapely.union_all(real["units"].geometry.to_numpy()))
    asked = planning.principles(real["units"], regions, real["reefs"])
    symmetric = seas.metrics(
        real["flow"], kind="flow", symmetric=True, betweenness_sources=1, lost_sites=0
    ).connectivity.query("strength > 0.5")
    plain = planning.select(asked.units, asked.amounts, asked.targets, connectivity=symmetric, gap_percent=3)
    linked = planning.select(
        asked.units, asked.amounts, asked.targets, connectivity=symmetric, connectivity_penalty=0.02, gap_percent=3
    )
    assert linked.connectivity > plain.connectivity
    for plan in (plain, linked):
        held = plan.plan.set_index("unit")["selected"]
        inside = symmetric["strength"] * held[symmetric["unit_a"]].to_numpy() * held[symmetric["unit_b"]].to_numpy()
        assert plan.connectivity == pytest.approx(inside.sum())
        audit = planning.principles(plan.plan, regions, real["reefs"]).audit.set_index("title")["result"]
        for title in ("Minimum of each reef bioregion", "Minimum of each non-reef bioregion", "Latitudinal diversity"):
            assert audit[title] == "pass", title
