"""The study of a municipality: what its zones promise, reckoned anew from the map of zones."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import yaml

from linkways.errors import LinkwaysError
from linkways.solutions import solution_files
from linkways.spatial import builtin_sources
from linkways.studies import load_study, read_run, run_study

ID = "costa-rica-land-use"
FOLDER = solution_files()[ID].parent
STUDY = yaml.safe_load(solution_files()[ID].read_text(encoding="utf-8"))["study"]
PLANS = ("delivery", "connected")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    for source in builtin_sources():
        try:
            source.path()
        except LinkwaysError as error:
            pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("town")
    run_study(load_study(solution_files()[ID]), folder)
    return read_run(folder)


def rows(name):
    return pd.DataFrame(STUDY["inputs"][name]["rows"])


def by_unit(values):
    """Sums over the squares of ten by ten cells, in the order of their names."""
    count = values.shape[0] // 10, values.shape[1] // 10
    return values.reshape(count[0], 10, count[1], 10).sum(axis=(1, 3)).ravel()


@pytest.fixture(scope="module")
def amounts():
    """Feature by unit, from the packaged rasters alone."""
    found = {}
    for name in ("landcover", "recharge", "visits"):
        with rasterio.open(FOLDER / f"{name}.tif") as file:
            found[name] = file.read(1).astype(float)
    cover = found.pop("landcover")
    classes = rows("classes").set_index("class")
    for name in ("macaw", "tapir", "harvest"):
        found[name] = classes[name].reindex(cover.ravel()).to_numpy().reshape(cover.shape)
    return {name: by_unit(values) for name, values in found.items()}


def zones_of(town, plan):
    return town.read(f"{plan}.plan").set_index("unit")["zone"]


def contribution(feature, zone):
    told = rows("contributions")
    both = told[told["feature"].isin([feature, "all"]) & (told["zone"] == zone)]["contribution"]
    return float(both.iloc[0]) if len(both) else 1.0


@pytest.mark.parametrize("plan", PLANS)
def test_every_target_is_met_when_it_is_reckoned_anew(town, amounts, plan):
    zones = zones_of(town, plan)
    assert zones.index.tolist() == gpd.read_file(FOLDER / "units.geojson")["unit"].tolist()
    for target in rows("targets").itertuples():
        of = amounts[target.feature]
        counted = np.array([contribution(target.feature, zone) for zone in zones])
        inside = np.ones(len(zones), bool) if target.zone == "all" else (zones == target.zone).to_numpy()
        assert (of * counted * inside).sum() >= target.target * of.sum() - 1e-6


@pytest.mark.parametrize("plan", PLANS)
def test_what_is_protected_or_town_stays_so_and_nothing_else_becomes_it(town, plan):
    zones = zones_of(town, plan)
    state = gpd.read_file(FOLDER / "units.geojson").set_index("unit")["group"]
    assert ((state == "protected") == (zones == "protected area")).all()
    assert ((state == "town") == (zones == "town")).all()
    assert (zones != "none").all()


@pytest.mark.parametrize("plan", PLANS)
def test_only_gentle_zones_lie_beside_protected_land(town, plan):
    units = gpd.read_file(FOLDER / "units.geojson").assign(zone=zones_of(town, plan).to_numpy())
    inner = units[units["zone"] == "protected area"]
    for unit in units[units["zone"] != "protected area"].itertuples():
        touching = inner.geometry.intersection(unit.geometry).length.max()
        if touching > 1.0:
            assert unit.zone in ("buffer", "focal species area", "recharge protection"), unit.unit


@pytest.mark.parametrize("plan", PLANS)
def test_the_cost_is_that_of_the_land_under_the_zones_rules(town, plan):
    units = gpd.read_file(FOLDER / "units.geojson").set_index("unit")["cost"]
    factor = rows("zones").set_index("zone")["cost_factor"]
    expected = (units * zones_of(town, plan).map(factor)).sum()
    assert town.read(f"{plan}.zoning")["cost"].sum() == pytest.approx(expected)


def test_connectivity_costs_more_and_lets_more_through(town):
    links = town.read("links.strengths")
    joined = {frozenset((row.zone_a, row.zone_b)) for row in rows("joined").itertuples()}

    def kept(plan):
        zone = zones_of(town, plan)
        pairs = zip(links["unit_a"].map(zone), links["unit_b"].map(zone), links["strength"], strict=True)
        held = [(a, b, strength) for a, b, strength in pairs if frozenset((a, b)) in joined]
        between = [strength for a, b, strength in held if "protected area" not in (a, b)]
        return sum(strength for _, _, strength in held), sum(between)

    (all_connected, between_connected), (all_alone, between_alone) = kept("connected"), kept("delivery")
    assert all_connected > all_alone
    assert between_connected > 1.3 * between_alone
    assert town.read("connected.zoning")["cost"].sum() > town.read("delivery.zoning")["cost"].sum()
    today, alone, connected = (
        town.read(f"{flow}.resistances")["resistance"].item() for flow in ("flow", "flow_delivery", "flow_connected")
    )
    assert today < connected < alone / 2


def test_simulated_layers_say_so():
    for name in ("landcover", "recharge", "visits"):
        with rasterio.open(FOLDER / f"{name}.tif") as file:
            assert file.tags()["SIMULATED"].lower() == "true"
    for name in ("units", "protected"):
        assert gpd.read_file(FOLDER / f"{name}.geojson")["simulated"].all()
    for name in ("landcover", "recharge", "visits", "protected", "units"):
        assert STUDY["inputs"][name]["simulated"] is True
