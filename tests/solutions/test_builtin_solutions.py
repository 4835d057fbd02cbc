"""The built-in solutions: their records say what their source says, and their studies run."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from linkways.errors import LinkwaysError
from linkways.spatial import builtin_sources
from linkways.studies import builtin_solutions, check_study, load_study, run_study, study_warnings

SOLUTIONS = sorted(builtin_solutions())
WITH_STUDY = [id for id, file in builtin_solutions().items() if "\nstudy:" in file.read_text(encoding="utf-8")]


@pytest.fixture(scope="module")
def data_packages():
    for source in builtin_sources():
        try:
            source.path()
        except LinkwaysError as error:
            pytest.skip(str(error))


def record(id):
    return yaml.safe_load(builtin_solutions()[id].read_text(encoding="utf-8"))


def test_the_solutions_are_found_by_their_ids():
    assert SOLUTIONS == [
        "atlantic-forest",
        "corehabs",
        "costa-rica-land-use",
        "elephant-corridors",
        "great-barrier-reef",
        "jaguar-corridor",
        "kopet-dag-cats",
        "mule-deer-migration",
        "pacific-salmon",
        "qinling-pandas",
        "salween-reserves",
        "y2y",
    ]


def test_every_built_in_solution_carries_a_study():
    assert WITH_STUDY == SOLUTIONS
    assert not any("waits_for" in record(id) for id in SOLUTIONS)


@pytest.mark.parametrize("id", WITH_STUDY)
def test_the_study_has_no_mistakes_and_no_warnings(id, data_packages):
    study = load_study(id)
    assert check_study(study) == []
    assert study_warnings(study) == []


@pytest.mark.parametrize("id", SOLUTIONS)
def test_every_figure_of_the_impacts_stands_in_the_booklet(id, shared):
    booklet = (shared / "booklet.txt").read_text(encoding="utf-8")
    facts = " ".join(impact["fact"] for impact in record(id)["impacts"])
    figures = re.findall(r"\d[\d,.]*\d|\d", facts.replace("km2", ""))
    assert facts
    for figure in figures:
        assert figure in booklet, figure
    assert record(id)["sources"]["panorama"].removeprefix("https://") in booklet.replace("-\n", "-").replace("www.", "")


@pytest.mark.parametrize("id", WITH_STUDY)
def test_building_blocks_name_steps_that_exist(id):
    steps = {step["id"] for step in record(id)["study"]["steps"]}
    for block in record(id)["building_blocks"]:
        assert set(block.get("steps", [])) <= steps


@pytest.mark.parametrize("id", ["corehabs", "jaguar-corridor", "y2y"])
def test_every_class_of_the_land_cover_table_has_a_source(id):
    table = pd.read_csv(builtin_solutions()[id].parent / "landcover.csv")
    assert sorted(table["class"]) == list(range(17))
    assert table["source"].str.len().min() > 10


@pytest.fixture(scope="module")
def corehabs(tmp_path_factory, data_packages):
    folder = tmp_path_factory.mktemp("corehabs") / "run"
    yield run_study(load_study("corehabs"), folder)
    shutil.rmtree(folder)


def test_the_road_takes_flow_from_its_cells_and_lets_it_go_round_the_ends(corehabs):
    places = corehabs.read("loss.places")
    # every cell that loses most lies on the drawn line, to within a cell of 0.05 degrees
    import shapely

    from linkways.spatial import read_vectors

    road = read_vectors(builtin_solutions()["corehabs"].parent / "road.geojson").geometry[0]
    assert (shapely.distance(places.geometry.to_numpy(), road) < 0.08).all()
    assert (places["change"] < 0).all()
    assert corehabs.read("loss.change").max() > 0


def test_crossing_sites_are_ranked_by_their_exact_gain_which_their_bound_does_not_exceed(corehabs):
    sites = corehabs.read("crossings.sites")
    assert len(sites) == 5
    assert sites["gain"].is_monotonic_decreasing
    assert (sites["at_least"] <= sites["gain"] + 1e-9).all()
    assert (sites["gain"] > 0).all()


def test_the_report_calls_the_drawn_road_simulated_and_the_land_cover_real(corehabs):
    page = corehabs.report.read_text(encoding="utf-8").lower()
    assert "simulated" in page
    assert "modis" in page


@pytest.fixture(scope="module")
def salmon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("salmon") / "run"
    yield run_study(load_study("pacific-salmon"), folder)
    shutil.rmtree(folder)


def test_every_budget_of_the_salmon_plan_is_proven_and_no_ranking_does_better(salmon):
    curve = salmon.read("plan.curve")
    assert set(curve["answer"]) == {"optimal"}
    assert (curve["greedy_value"] <= curve["value"] * (1 + 1e-9)).all()
    assert curve["value"].is_monotonic_increasing
    assert curve["greedy_share"].min() < 0.9


def test_dams_under_licence_wait_for_its_end(salmon):
    schedule = salmon.read("schedule.plan")
    ends = schedule.dropna(subset="licence_ends")
    assert (ends["year"] >= ends["licence_ends"]).all()
    # the budget of every year and what was left before
    spent = schedule.groupby("year")["cost"].sum().cumsum()
    assert (spent.to_numpy() <= 750_000 * (1 + (spent.index.to_numpy() - 2027) / 5)).all()


def test_access_today_is_the_same_in_every_step_that_tells_it(salmon):
    of_access = salmon.read("access.dcid_up") / 100 * salmon.read("access.reaches")["length_m"].sum()
    assert salmon.read("plan.before") == pytest.approx(of_access, rel=1e-9)


@pytest.fixture(scope="module")
def salween(tmp_path_factory):
    folder = tmp_path_factory.mktemp("salween") / "run"
    yield run_study(load_study("salween-reserves"), folder)
    shutil.rmtree(folder)


def test_the_next_reserves_do_more_than_other_placings_and_one_for_a_village(salween):
    others = salween.read("next_reserves.alternatives").set_index("placing")["objective"]
    assert others["chosen"] == others.max()
    assert salween.read("next_reserves.choice")["village"].dropna().is_unique
    assert salween.read("next_reserves.biomass_ratio") > 1


@pytest.fixture(scope="module")
def y2y(tmp_path_factory, data_packages):
    folder = tmp_path_factory.mktemp("y2y") / "run"
    yield run_study(load_study("y2y"), folder)
    shutil.rmtree(folder)


def test_protected_and_connected_land_grows_with_the_years_and_the_distance(y2y):
    table = y2y.read("connected.fractions")
    by_year = table[table["distance_km"] == 10].sort_values("year")["Prot"]
    assert by_year.is_monotonic_increasing
    last = table[table["year"] == table["year"].max()].sort_values("distance_km")
    assert last["ProtConn"].is_monotonic_increasing
    assert (last["ProtConn"] <= last["Prot"]).all()


def test_fractions_of_protconn_sum_to_a_hundred(y2y):
    table = y2y.read("connected.fractions")
    total = table["ProtConn_Prot"] + table["ProtConn_Trans"] + table["ProtConn_Unprot"]
    assert total.to_numpy() == pytest.approx(100)


@pytest.fixture(scope="module")
def atlantic_forest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlantic") / "run"
    yield run_study(load_study("atlantic-forest"), folder)
    shutil.rmtree(folder)


def test_the_corridor_joins_the_two_large_fragments_within_its_area(atlantic_forest):
    from scipy import ndimage

    plan = atlantic_forest.read("corridor.plan")
    forest, _ = ndimage.label(plan.values >= 2)
    sizes = np.bincount(ndimage.label(plan.values == 2)[0].ravel())[1:]
    fragments, _ = ndimage.label(plan.values == 2)
    first, second = (np.argwhere(fragments == 1 + place)[0] for place in np.argsort(-sizes)[:2])
    assert forest[tuple(first)] == forest[tuple(second)]
    assert atlantic_forest.read("corridor.restored_ha") <= 1200
    assert atlantic_forest.read("carbon.trees") == pytest.approx(2000 * atlantic_forest.read("corridor.restored_ha"))
